use super::*;

fn name(code: u8, value: &[u8]) -> Option<String> {
    let mut options = Options::default();
    options.set(code, value);
    options.host_name().map(|name| name.to_string())
}

#[test]
fn good_names_are_taken_lower_case() {
    assert_eq!(name(12, b"Node-01").as_deref(), Some("node-01"));
    assert_eq!(name(12, b"node.lab.example\0").as_deref(), Some("node.lab.example"));
    assert_eq!(name(12, b"node.").as_deref(), Some("node"));
    assert_eq!(name(12, b"DESKTOP_7").as_deref(), Some("desktop_7"));
}

#[test]
fn d32_bad_names_are_dropped() {
    let long_label = [b'a'; 64];
    let long_name = [b"abcdefg.".as_slice(); 33].concat();
    for bad in [
        b"".as_slice(),
        b"\0",
        b".",
        b"..",
        b"a..b",
        b".a",
        b"-a",
        b"a-",
        b"a b",
        b"a\0b",
        b"$(reboot)",
        b"caf\xc3\xa9",
        b"\xff\xff",
        &long_label,
        &long_name,
    ] {
        assert_eq!(name(12, bad), None, "{bad:?}");
    }
    assert_eq!(name(12, &[b'a'; 63]).map(|name| name.len()), Some(63));
}

#[test]
fn d32_option_81_is_read_in_both_forms() {
    assert_eq!(name(81, b"\x00\x00\x00Node.lab").as_deref(), Some("node.lab"));
    assert_eq!(name(81, b"\x04\x00\x00\x04Node\x03lab\x00").as_deref(), Some("node.lab"));
    assert_eq!(name(81, b"\x04\x00\x00\x04Node").as_deref(), Some("node"));
}

#[test]
fn d32_bad_wire_names_are_dropped() {
    for bad in [
        b"".as_slice(),
        b"\x04\x00\x00",
        b"\x04\x00\x00\x00",
        b"\x04\x00\x00\x05node",
        b"\x04\x00\x00\xc0\x0c",
        b"\x04\x00\x00\x03a.b\x00",
        b"\x04\x00\x00\x01a\x00\x01b\x00",
        b"\x00\x00\x00",
    ] {
        assert_eq!(name(81, bad), None, "{bad:?}");
    }
}

#[test]
fn option_12_wins_and_a_bad_one_falls_back() {
    let mut options = Options::default();
    options.set(81, b"\x00\x00\x00fqdn");
    options.set(12, b"plain");
    assert_eq!(options.host_name().as_deref(), Some("plain"));
    options.set(12, b"..");
    assert_eq!(options.host_name().as_deref(), Some("fqdn"));
}
