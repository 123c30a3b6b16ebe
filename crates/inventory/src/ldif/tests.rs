use super::*;
use crate::found::GuidOrder;

fn read_text(text: &str) -> Found {
    read("a.ldif", text.as_bytes(), &Options::default())
}

fn faults(text: &str) -> Vec<(Code, u32)> {
    read_text(text).faults.iter().map(|fault| (fault.code, fault.origin.line)).collect()
}

const GUID: &str = "netbootGUID: 4c4c4544-0057-5810-804a-c3c04f463732";

#[test]
fn the_example_is_read_whole() {
    let bytes = include_bytes!("../../../../examples/host-import/prestaged.ldif");
    let found = read("prestaged.ldif", bytes, &Options { groups: true, ..Options::default() });
    let [first, second, third] = &found.hosts[..] else { panic!("three hosts: {:?}", found.hosts) };
    assert_eq!(first.name.as_str(), "pc-0051");
    assert_eq!(first.identity.uuid.unwrap().to_string(), "4c4c4544-0057-5810-804a-c3c04f463732");
    assert_eq!(first.served.next_server.as_deref(), Some("WDS1.corp.example"));
    assert_eq!(first.served.boot_file.as_deref(), Some("boot\\x64\\wdsnbp.com"));
    assert_eq!(first.served.tags, ["Lab 2", "Workstations"]);
    assert_eq!(first.group.as_ref().unwrap().as_str(), "lab-2");
    assert_eq!(second.identity.uuid.unwrap().wire_text(), "4c4c4544-0033-1035-8056-b4c04f4e3532");
    assert_eq!(third.identity.mac.0[0].to_string(), "52:54:00:12:34:53");
    assert_eq!(third.identity.uuid, None);
    assert_eq!(third.served.next_server.as_deref(), Some("WDS2"));
    let codes: Vec<(Code, u32)> = found.faults.iter().map(|fault| (fault.code, fault.origin.line)).collect();
    assert_eq!(codes, [(Code::ByteOrder, 11), (Code::Switched, 17), (Code::Ignored, 25)]);

    let other = read("x", bytes, &Options { guid_order: GuidOrder::Text, ..Options::default() });
    assert_eq!(other.hosts[1].identity.uuid.unwrap().to_string(), "4c4c4544-0033-1035-8056-b4c04f4e3532");
    assert_eq!(other.hosts[2].identity.mac.0[0].to_string(), "52:54:00:12:34:53", "zeros have no order");
}

#[test]
fn folded_lines_comments_and_both_line_ends() {
    let text = format!("version: 1\r\ndn: CN=a\r\n b\r\n# x\r\n y\r\nCN: a\r\n b\r\n{GUID}\r\n\r\n");
    let found = read_text(&text);
    assert_eq!(found.faults, []);
    assert_eq!((found.hosts[0].name.as_str(), found.hosts[0].origin.line), ("ab", 2));
    assert_eq!(found.hosts[0].origin.entry, "CN=ab");
}

#[test]
fn the_summary_of_ldapsearch_is_no_entry() {
    let text = format!(
        "# extended LDIF\n#\n# LDAPv3\n\n# a\ndn:: Q049YQ==\n{GUID}\n\n# search result\nsearch: 2\nresult: 0 Success\n\n# numEntries: 1\n"
    );
    let found = read_text(&text);
    assert_eq!((found.hosts.len(), &found.faults[..]), (1, &[][..]));
    assert_eq!(found.hosts[0].name.as_str(), "a");
}

#[test]
fn what_is_no_entry_is_told() {
    for (text, code) in [
        ("cn: a\n".to_owned(), Code::Syntax),
        ("dn: CN=a\nnonsense\n".to_owned(), Code::Syntax),
        ("dn: CN=a\nnetbootGUID:: ???\n".to_owned(), Code::Syntax),
        ("dn: CN=a\nnetbootGUID:< file:///x\n".to_owned(), Code::Include),
        (format!("dn: CN=a\nchangetype: modify\nadd: netbootGUID\n{GUID}\n-\n"), Code::Syntax),
        ("dn: CN=a\nchangetype: delete\n".to_owned(), Code::Syntax),
        ("dn: CN=a\ncn: a\n".to_owned(), Code::Ignored),
        ("dn: CN=a\nnetbootGUID:: AAAA\n".to_owned(), Code::Uuid),
        (format!("dn: CN=a\n{}", "x: y\n".repeat(2000)), Code::Limit),
        (format!("dn: CN=a\nx: {}", "y".repeat(3 << 20)), Code::Limit),
        (format!("dn: CN=a\nx: {}", "yyyyyyyyyyyyyyy\n ".repeat(1 << 18)), Code::Limit),
    ] {
        let codes: Vec<Code> = faults(&text).iter().map(|fault| fault.0).collect();
        assert!(codes.contains(&code), "{codes:?} {}", crate::text::shown(&text));
        assert!(read_text(&text).hosts.is_empty());
    }
}

#[test]
fn base64_is_read_strictly() {
    for (text, wanted) in [
        ("", Some(&b""[..])),
        ("QQ==", Some(b"A")),
        ("QUI=", Some(b"AB")),
        ("QUJD", Some(b"ABC")),
        ("QUJD+/8=", Some(b"ABC\xfb\xff")),
        ("QUJ", None),
        ("Q===", None),
        ("====", None),
        ("QU D", None),
    ] {
        assert_eq!(base64(text).as_deref(), wanted, "{text}");
    }
}
