use super::*;

fn entry(attributes: &[(&str, &[u8])]) -> Entry {
    Entry {
        line: 0,
        dn: "CN=PC-1,OU=Lab\\, 2,OU=\\4dain,DC=corp".to_owned(),
        attributes: attributes.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect(),
    }
}

fn read(attributes: &[(&str, &[u8])], order: GuidOrder) -> Found {
    propose("ldaps://dc1", &[entry(attributes)], &Options { guid_order: order, groups: false })
}

/// `DELLW…` as firmware sends it, and the text everybody shows.
const WIRE: [u8; 16] = *b"DELLW\x00\x10\x58\x80J\xc3\xc0OF72";
const TEXT: &str = "4c4c4544-0057-5810-804a-c3c04f463732";

#[test]
fn both_byte_orders_give_one_text() {
    let stored_text = MachineGuid(WIRE).swapped().0;
    for (bytes, order) in [(WIRE, GuidOrder::Wire), (stored_text, GuidOrder::Text)] {
        let found = read(&[("netbootGUID", &bytes)], order);
        assert_eq!(found.hosts[0].identity.uuid.unwrap().to_string(), TEXT);
        assert_eq!(found.faults, []);
    }
    let found = read(&[("netbootGUID", &stored_text)], GuidOrder::Wire);
    assert_eq!(found.faults[0].code, Code::ByteOrder);
}

#[test]
fn texts_in_place_of_bytes_are_read_as_their_writers_mean_them() {
    // With hyphens it is the text that Microsoft and SMBIOS show; bare digits are the octets in their order.
    for text in ["{4C4C4544-0057-5810-804A-C3C04F463732}", TEXT, "44454C4C57001058804AC3C04F463732"] {
        let found = read(&[("netbootGUID", text.as_bytes())], GuidOrder::Wire);
        assert_eq!(found.hosts[0].identity.uuid.unwrap().to_string(), TEXT, "{text}");
    }
    for text in ["00000000000000000000525400123456", "00000000-0000-0000-0000-525400123456"] {
        let found = read(&[("netbootGUID", text.as_bytes())], GuidOrder::Wire);
        assert_eq!(found.hosts[0].identity.mac.0[0].to_string(), "52:54:00:12:34:56", "{text}");
        assert_eq!(found.hosts[0].identity.uuid, None);
    }
}

#[test]
fn a_version_digit_in_the_wrong_place_is_told() {
    let guid: MachineGuid = "11223344-5566-4788-99aa-bbccddeeff00".parse().unwrap();
    assert!(!looks_swapped(guid));
    assert!(!looks_swapped(MachineGuid::parse_wire_text("11223344-5566-4088-99aa-bbccddeeff00").unwrap()));
    assert!(looks_swapped(MachineGuid::parse_wire_text("11223344-5566-40f8-99aa-bbccddeeff00").unwrap()));
}

#[test]
fn names_servers_and_units() {
    let mac = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x52, 0x54, 0, 0, 0, 1];
    let all: &[(&str, &[u8])] = &[
        ("NetBootGuid", &mac),
        ("sAMAccountName", b"PC-2$"),
        ("netbootMirrorDataFile", b"WdsUnattendFilePath=x;"),
        ("netbootInitialization", b"startrom.com"),
    ];
    let found = read(all, GuidOrder::Wire);
    let host = &found.hosts[0];
    assert_eq!(host.name.as_str(), "pc-2");
    assert_eq!(host.served.tags, ["Lab, 2", "Main"]);
    assert_eq!(host.served.boot_file.as_deref(), Some("startrom.com"));
    assert_eq!(found.faults[0].code, Code::NotCarried);
    assert_eq!(
        read(&[("netbootguid;binary", &mac)], GuidOrder::Wire).hosts[0].name.as_str(),
        "pc-1",
        "of its DN"
    );
}

#[test]
fn paths_are_taken_apart() {
    let some = |text: &str| Some(text.to_owned());
    for (text, server, file) in [
        ("WDS1", some("WDS1"), None),
        ("wds1.corp.com", some("wds1.corp.com"), None),
        ("wds1.corp\\boot\\x64\\wdsnbp.com", some("wds1.corp"), some("boot\\x64\\wdsnbp.com")),
        ("\\boot\\x64\\pxeboot.n12", None, some("boot\\x64\\pxeboot.n12")),
        ("boot/x64/wdsmgfw.efi", None, some("boot/x64/wdsmgfw.efi")),
        ("bootmgfw.efi", None, some("bootmgfw.efi")),
    ] {
        assert_eq!(machine_file_path(text), (server, file), "{text}");
    }
}

#[test]
fn what_cannot_be_a_machine_is_refused() {
    let zeros = [0u8; 16];
    assert_eq!(read(&[("netbootGUID", &zeros)], GuidOrder::Wire).hosts.len(), 0);
    let group = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0x5e, 0, 0, 1];
    assert_eq!(read(&[("netbootGUID", &group)], GuidOrder::Wire).faults[0].code, Code::Mac);
    let two = read(&[("netbootGUID", &WIRE), ("netbootGUID", &[7; 16])], GuidOrder::Wire);
    assert_eq!((two.hosts.len(), two.faults.last().map(|fault| fault.code)), (0, Some(Code::Uuid)));
}

#[test]
fn distinguished_names_never_panic() {
    for dn in ["", "=", "CN", "CN=", "CN=a\\", "CN=\\zz", "CN=\"a,b", "CN=\\ff,OU=\\e4", ",,,=,=", "CN=ä\\"]
    {
        let _ = units(dn);
    }
    assert_eq!(units("CN=\"a,b\",OU=c").len(), 2);
}
