use super::*;
use crate::{ClientArch, Firmware, Stage};
use proptest::prelude::*;

fn facts() -> Facts {
    Facts {
        mac: Some("24:6e:96:78:44:40".parse().unwrap()),
        guid: Some("4c4c4544-0043-3510-8052-b4c04f4d3132".parse().unwrap()),
        arch: Some(ClientArch(7)),
        firmware: Some(Firmware::UefiX64),
        stage: Stage::Ipxe,
        smbios: true,
        vendor: Some("Dell Inc.".into()),
        model: Some("PowerEdge R750".into()),
        serial: Some("7XK2P13".into()),
        hostname: Some("esx07.prod.example".into()),
        interface: Some("eth1".into()),
        subnet: Some("rack12".into()),
        relay: Some("10.4.0.1".parse().unwrap()),
        circuit_id: Some(b"Eth1/0/7".as_slice().into()),
        address: Some("10.4.12.7".parse().unwrap()),
        ..Facts::default()
    }
}

fn judge(selector: &str, facts: &Facts, may_tell: bool) -> Match {
    let host = "esx-r12-07".parse().unwrap();
    let groups = ["rack12", "prod-eu"].map(|name| name.parse().unwrap());
    let labels = [("tier".to_owned(), "Gold".to_owned())].into();
    let subject =
        Subject { facts, host: Some(&host), groups: &groups, labels: &labels, site: Some("fra1"), may_tell };
    selector.parse::<Selector>().unwrap_or_else(|fault| panic!("{selector}: {fault}")).judge(&subject)
}

#[test]
fn each_key_and_operator_holds_where_it_should() {
    let yes = [
        "",
        "*",
        " * ",
        "vendor=Dell",
        "vendor=dell inc.",
        "vendor=\"Dell Inc.\"",
        "vendor = dell",
        "vendor!=HP",
        "vendor=HP|Dell",
        "vendor=Dell,model~R7.*",
        "model~r7",
        "model~^poweredge r[67]50$",
        "model!~XE9",
        "serial=7xk2p13",
        "mac=24:6e:96",
        "mac=24-6E-96-78-44-40",
        "mac=24:6e:96:*",
        "mac=246e96784440",
        "mac!=52:54:00",
        "mac~^24:6e",
        "uuid=4c4c4544-0043-3510-8052-b4c04f4d3132",
        "uuid=44454c4c-4300-1035-8052-b4c04f4d3132",
        "ipv4=10.4.12.7",
        "ipv4=10.4.0.0/16",
        "ipv4=10.4.12.1-10.4.12.9",
        "ipv4=10.9.0.0/16|10.4.12.7",
        "relay=10.4.0.1",
        "relay!=10.5.0.0/16",
        "hostname=ESX07.prod.example",
        "domain=prod.example",
        "arch=7",
        "arch=uefi-x64",
        "firmware=uefi-x64",
        "firmware!=bios",
        "group=rack12",
        "group=prod-eu",
        "group=lab|prod-eu",
        "group!=lab",
        "host=esx-r12-07",
        "host~^esx-",
        "site=fra1",
        "subnet=rack12",
        "interface=eth1",
        "circuit=eth1/0/7",
        "label.tier=gold",
        "label.tier~go",
        "VENDOR=Dell",
    ];
    for selector in yes {
        assert_eq!(judge(selector, &facts(), false), Match::Yes, "{selector}");
    }
    let no = [
        "vendor=HP",
        "vendor!=Dell",
        "vendor!=HP|Dell",
        "vendor=Dell,model~XE9",
        "model=PowerEdge",
        "mac=24:6e:97",
        "uuid=4c4c4544-0043-3510-8052-b4c04f4d3133",
        "ipv4=10.5.0.0/16",
        "ipv4!=10.4.0.0/16",
        "ipv4=10.4.12.8-10.4.12.9",
        "arch=0",
        "firmware=bios",
        "group=lab",
        "group!=prod-eu",
        "host=web01",
        "site=ams1",
        "label.tier=silver",
        "label.none=x",
        "label.none!=x",
        "asset=1",
        "asset!=1",
        "asset~.*",
        "oemstring!~x",
    ];
    for selector in no {
        assert_eq!(judge(selector, &facts(), false), Match::No, "{selector}");
    }
}

#[test]
fn what_nobody_was_asked_yet_is_unknown_unless_another_term_decides() {
    let rom = Facts { smbios: false, vendor: None, model: None, serial: None, stage: Stage::Rom, ..facts() };
    for (selector, expected) in [
        ("vendor=Dell", Match::Unknown),
        ("vendor!=Dell", Match::Unknown),
        ("model~R7,firmware=uefi-x64", Match::Unknown),
        ("model~R7,firmware=bios", Match::No),
        ("firmware=bios,model~R7", Match::No),
        ("firmware=uefi-x64", Match::Yes),
        ("label.none=x", Match::No),
    ] {
        assert_eq!(judge(selector, &rom, true), expected, "{selector}");
        assert_ne!(judge(selector, &rom, false), Match::Unknown, "{selector}");
    }
}

#[test]
fn broken_selectors_name_the_part_and_the_reason() {
    for (selector, part, what) in [
        ("vendor", "vendor", "a term is key=value"),
        ("vendor=Dell,", "", "missing between two commas"),
        ("vendor=", "vendor=", "no value"),
        ("colour=red", "colour", "known are vendor, model"),
        ("vendor!Dell", "vendor!Dell", "`!` must be followed"),
        ("ipv4=10.4.0.0/33", "ipv4=10.4.0.0/33", "no address, network"),
        ("ipv4=10.4.0.9-10.4.0.1", "ipv4=10.4.0.9-10.4.0.1", "no address, network"),
        ("mac=zz", "mac=zz", "no MAC address"),
        ("uuid=1", "uuid=1", ""),
        ("firmware=uefi", "firmware=uefi", ""),
        ("model~R7(", "R7(", "unclosed group"),
        ("model~(?:a{999}){999}", "(?:a{999}){999}", "too large"),
        ("vendor=\"Dell", "vendor=\"Dell", "not closed"),
        ("vendor=Dell||HP", "Dell||HP", "empty value"),
        ("label.=x", "label.", "a label is"),
        ("group=No_Such", "group=No_Such", "not a name"),
    ] {
        let fault = selector.parse::<Selector>().map(drop).unwrap_err();
        assert_eq!(fault.part, part, "{selector}");
        assert!(fault.what.contains(what), "{selector}: {fault}");
    }
    let long = "x".repeat(SELECTOR_BYTES_MAX + 1);
    assert!(long.parse::<Selector>().unwrap_err().to_string().contains("at most 1024"));
    let many = vec!["vendor=a"; TERMS_MAX + 1].join(",");
    assert!(many.parse::<Selector>().unwrap_err().what.contains("17 terms"));
}

#[test]
fn quotes_keep_commas_and_bars() {
    let facts =
        Facts { vendor: Some("Smith, Wesson | Sons \"Ltd\"".into()), smbios: true, ..Facts::default() };
    assert_eq!(judge("vendor=\"Smith, Wesson | Sons \\\"Ltd\\\"\"", &facts, false), Match::Yes);
    assert_eq!(judge("vendor~\"Smith, W\"", &facts, false), Match::Yes);
}

#[test]
fn vendors_have_the_names_people_use() {
    for (raw, short) in [
        ("Dell Inc.", "Dell"),
        ("VMware, Inc.", "VMware"),
        ("HPE", "HPE"),
        ("HP", "HP"),
        ("Hewlett-Packard", "HP"),
        ("Super Micro Computer, Inc.", "Supermicro"),
        ("Cisco Systems Inc", "Cisco"),
        ("LENOVO", "Lenovo"),
        ("Huawei Technologies Co., Ltd.", "Huawei"),
        ("Microsoft Corporation", "Microsoft"),
        ("QEMU", "QEMU"),
        ("Giga-Byte Technology Co., Ltd", "GIGABYTE"),
        ("Inc.", "Inc"),
        ("", ""),
        ("ASUSTeK COMPUTER INC.", "ASUS"),
    ] {
        assert_eq!(vendor::short(raw), short, "{raw}");
    }
}

#[test]
fn a_selector_covers_those_that_say_more() {
    let selector = |text: &str| text.parse::<Selector>().unwrap();
    assert!(selector("*").covers(&selector("vendor=Dell")));
    assert!(selector("vendor=Dell").covers(&selector("model~R7,vendor=Dell")));
    assert!(!selector("vendor=Dell,model~R7").covers(&selector("vendor=Dell")));
    assert!(!selector("vendor=Dell").covers(&selector("vendor=HP")));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_and_what_is_read_is_written_back(text in "[a-z.]{0,8}[=!~]{0,2}[ -~]{0,24}(,[a-z]{0,6}[=~][ -~]{0,12})?") {
        if let Ok(selector) = text.parse::<Selector>() {
            let again: Selector = selector.to_string().parse().expect("it was read before");
            prop_assert_eq!(&again, &selector, "{}", text);
            prop_assert_eq!(judge(&text, &facts(), false), judge(&selector.to_string(), &facts(), false));
        }
    }

    #[test]
    fn equality_and_its_negation_never_both_hold(value in "[a-zA-Z0-9. ]{1,12}", key in prop::sample::select(Key::ALL.to_vec())) {
        let positive = format!("{key}=\"{value}\"").parse::<Selector>();
        let negative = format!("{key}!=\"{value}\"").parse::<Selector>();
        if let (Ok(positive), Ok(negative)) = (positive, negative) {
            let facts = facts();
            let labels = BTreeMap::new();
            let subject = Subject { facts: &facts, host: None, groups: &[], labels: &labels, site: None, may_tell: false };
            let (positive, negative) = (positive.judge(&subject), negative.judge(&subject));
            let said = subject.shown(&key).is_some();
            prop_assert_eq!(said, positive != negative, "{} {}", key, value);
        }
    }
}
