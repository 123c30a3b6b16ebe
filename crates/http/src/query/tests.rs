use super::*;

const FROM: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 77, 0, 5));

fn read(query: &str) -> Facts {
    facts(Some(query), FROM).unwrap().unwrap()
}

fn refused(query: &str) -> String {
    facts(Some(query), FROM).unwrap_err().text
}

#[test]
fn an_ipxe_query_becomes_facts() {
    let facts = read(
        "mac=52:54:00:12:34:56&uuid=11223344-5566-7788-99aa-bbccddeeff00&serial=7XK%202P13&vendor=Dell%20Inc.\
         &model=PowerEdge%20R750&asset=&arch=x86_64&platform=efi",
    );
    assert_eq!(facts.mac.unwrap().to_string(), "52:54:00:12:34:56");
    assert_eq!(facts.guid.unwrap().to_string(), "11223344-5566-7788-99aa-bbccddeeff00");
    assert_eq!(facts.serial.as_deref(), Some("7XK 2P13"));
    assert_eq!(facts.vendor.as_deref(), Some("Dell Inc."));
    assert_eq!(facts.model.as_deref(), Some("PowerEdge R750"));
    assert_eq!(facts.asset, None);
    assert_eq!(facts.firmware, Some(Firmware::UefiX64));
    assert_eq!(facts.stage, Stage::Ipxe);
    assert!(facts.http);
    assert_eq!(facts.address, Some(FROM));
}

#[test]
fn every_build_of_ipxe_names_its_firmware() {
    for (arch, platform, expected) in [
        ("i386", "pcbios", Some(Firmware::Bios)),
        ("x86_64", "pcbios", Some(Firmware::Bios)),
        ("i386", "efi", Some(Firmware::UefiIa32)),
        ("arm64", "efi", Some(Firmware::UefiArm64)),
        ("riscv32", "efi", None),
        ("x86_64", "linux", None),
    ] {
        assert_eq!(read(&format!("arch={arch}&platform={platform}")).firmware, expected, "{arch} {platform}");
    }
    assert_eq!(read("arch=x86_64").firmware, None, "half an answer is no answer");
}

#[test]
fn a_query_without_facts_is_no_facts() {
    for query in [None, Some(""), Some("x=1"), Some("&&")] {
        assert_eq!(facts(query, FROM).unwrap(), None);
    }
    assert_eq!(read("mac=").mac, None, "asked and unknown is said, so that scripts do not chain for ever");
}

#[test]
fn values_that_do_not_parse_are_refused_with_a_text_for_an_admin() {
    assert!(refused("mac=hello").contains("cannot read `mac` of the query: not a MAC address"));
    assert!(refused("uuid=1").contains("not a GUID"));
    assert!(refused("arch=z80").contains("known are i386"));
    assert!(refused("platform=x").contains("pcbios"));
    assert!(refused("serial=%zz").contains("percent"));
    assert!(!refused("mac=%1b%5b31mEVIL").contains("EVIL"), "the request is never echoed");
}

#[test]
fn of_a_name_given_twice_the_first_value_counts() {
    let facts = read("mac=52:54:00:12:34:56&vendor=A&serial=S1&model=X&serial=&mac=nonsense&model=Y");
    assert_eq!(facts.mac, "52:54:00:12:34:56".parse().ok());
    assert_eq!((facts.serial.as_deref(), facts.model.as_deref()), (Some("S1"), Some("X")));
}

#[test]
fn control_bytes_go_and_long_strings_are_cut_between_characters() {
    assert_eq!(read("serial=%1b%5b31mA%00B%0a").serial.as_deref(), Some("[31mAB"));
    assert_eq!(read("model=%ff%feX").model.as_deref(), Some("\u{fffd}\u{fffd}X"));
    let long = read(&format!("asset={}", "%C3%A4".repeat(100))).asset.unwrap();
    assert_eq!(long.chars().count(), 64);
    assert_eq!(read("vendor=%20%20").vendor, None);
}

#[test]
fn plus_is_plus() {
    assert_eq!(read("serial=A+B").serial.as_deref(), Some("A+B"));
}

proptest::proptest! {
    #[test]
    fn any_query_is_read_or_refused(query in "((mac|uuid|serial|arch|x)=?[%0-9a-zA-Z:&=+-]{0,20}&?){0,6}") {
        if let Ok(Some(facts)) = facts(Some(&query), FROM) {
            let serial = facts.serial.unwrap_or_default();
            proptest::prop_assert!(serial.len() <= FACT_BYTES_MAX && !serial.contains(char::is_control));
        }
    }
}
