use super::*;

fn read_text(text: &str) -> Found {
    read("kea.json", text.as_bytes(), &Options::default())
}

fn faults(text: &str) -> Vec<(Code, u32)> {
    read_text(text).faults.iter().map(|fault| (fault.code, fault.origin.line)).collect()
}

const HOST: &str = r#"{ "hw-address": "52:54:00:00:00:01", "hostname": "a", "ip-address": "10.0.0.5" }"#;

#[test]
fn the_example_is_read_whole() {
    let bytes = include_bytes!("../../../../examples/host-import/kea-dhcp4.json");
    let found = read("kea-dhcp4.json", bytes, &Options { groups: true, ..Options::default() });
    let [roamer, rack, far, floor] = &found.hosts[..] else { panic!("four hosts: {:?}", found.hosts) };
    assert_eq!((roamer.name.as_str(), roamer.group.as_ref().unwrap().as_str()), ("roamer", "lab"));
    assert_eq!(roamer.served.tags, ["lab", "late"]);
    assert_eq!(roamer.served.next_server.as_deref(), Some("10.77.0.2"));
    assert_eq!((rack.name.as_str(), rack.given.as_str()), ("rack12-u07", "Rack12_U07.lab.example"));
    assert_eq!(rack.served.boot_file.as_deref(), Some("grub/grubx64.efi"));
    assert_eq!(rack.reservations[0].address.to_string(), "10.77.0.72");
    assert_eq!(rack.origin.line, 17);
    assert_eq!((far.name.as_str(), far.reservations.len()), ("mac-525400123443", 1));
    assert_eq!(far.served.boot_file.as_deref(), Some("pxelinux.0"));
    assert_eq!(floor.served.next_server.as_deref(), Some("10.78.0.2"));
    let codes: Vec<(Code, u32)> = found.faults.iter().map(|fault| (fault.code, fault.origin.line)).collect();
    assert_eq!(
        codes,
        [
            (Code::NotCarried, 8),
            (Code::NoIdentity, 8),
            (Code::NameMade, 23),
            (Code::NotCarried, 36),
            (Code::NoIdentity, 36),
        ]
    );
}

#[test]
fn parts_and_answers_are_read() {
    for text in [
        format!(r#"{{ "Dhcp4": {{ "reservations": [ {HOST} ] }} }}"#),
        format!(
            r#"{{ "Dhcp4": {{ "subnet4": [ {{ "subnet": "10.0.0.0/8", "reservations": [ {HOST}, ] }} ] }} }}"#
        ),
        format!(r#"{{ "shared-networks": [ {{ "subnet4": [ {{ "reservations": [ {HOST} ] }} ] }} ] }}"#),
        format!("[ {HOST} ]"),
        format!(r#"[ {{ "result": 0, "text": "1 host", "arguments": {{ "hosts": [ {HOST} ] }} }} ]"#),
        format!(r#"[ {{ "result": 0, "arguments": {{ "Dhcp4": {{ "reservations": [ {HOST} ] }} }} }} ]"#),
        format!(r#"{{ "result": 0, "arguments": {{ "subnet4": [ {{ "reservations": [ {HOST} ] }} ] }} }}"#),
    ] {
        let found = read_text(&text);
        assert_eq!((found.hosts.len(), &found.faults[..]), (1, &[][..]), "{text}");
    }
}

#[test]
fn what_is_doubtful_is_told() {
    for (text, code) in [
        ("{}", Code::Syntax),
        ("[]", Code::Syntax),
        ("{ \"Dhcp6\": {} }", Code::NotCarried),
        ("{ \"Dhcp4\": { \"reservations\": [ 5 ] } }", Code::Syntax),
        ("{ \"Dhcp4\": { \"reservations\": [ <?include \"x\"?> ] } }", Code::Include),
        ("{ \"Dhcp4\": { \"hosts-database\": { \"type\": \"mysql\" } } }", Code::Include),
        ("{ \"Dhcp4\": ", Code::Syntax),
    ] {
        assert_eq!(faults(text).first().map(|fault| fault.0), Some(code), "{text}");
        assert!(read_text(text).hosts.is_empty());
    }
    for extra in [
        r#""duid": "01:02""#,
        r#""circuit-id": "x""#,
        r#""flex-id": "x""#,
        r#""option-data": [ { "name": "routers" } ]"#,
        r#""ip-addresses": [ "fd00::1" ]"#,
    ] {
        let text = format!("[ {{ \"hw-address\": \"52:54:00:00:00:01\", \"hostname\": \"a\", {extra} }} ]");
        assert_eq!(faults(&text), [(Code::NotCarried, 1)], "{text}");
        assert_eq!(read_text(&text).hosts.len(), 1);
    }
}

#[test]
fn an_address_outside_its_subnet_is_not_reserved() {
    let text = format!(r#"{{ "subnet4": [ {{ "subnet": "10.1.0.0/16", "reservations": [ {HOST} ] }} ] }}"#);
    assert_eq!(faults(&text), [(Code::Address, 1)]);
    assert!(read_text(&text).hosts[0].reservations.is_empty());
}
