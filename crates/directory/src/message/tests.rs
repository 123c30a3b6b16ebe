use super::*;
use proptest::prelude::*;

/// Answers as a server writes them.
pub(crate) mod answers {
    use super::*;

    pub(crate) fn result(id: u32, tag: u8, code: u32, matched: &str, diagnostic: &str) -> Vec<u8> {
        let parts = [number(ENUMERATED, code), octets(matched.as_bytes()), octets(diagnostic.as_bytes())];
        message(id, &[nested(tag, &parts)])
    }

    pub(crate) fn done(id: u32, cookie: Option<&[u8]>) -> Vec<u8> {
        let mut parts = vec![nested(0x65, &[number(ENUMERATED, 0), octets(b""), octets(b"")])];
        if let Some(cookie) = cookie {
            let value = nested(SEQUENCE, &[number(INTEGER, 0), octets(cookie)]);
            parts.push(nested(0xa0, &[nested(SEQUENCE, &[octets(PAGED), octets(&value)])]));
        }
        message(id, &parts)
    }

    pub(crate) fn entry(id: u32, dn: &str, attributes: &[(&str, &[&[u8]])]) -> Vec<u8> {
        let list: Vec<Vec<u8>> = attributes
            .iter()
            .map(|(name, values)| {
                let values: Vec<Vec<u8>> = values.iter().map(|value| octets(value)).collect();
                nested(SEQUENCE, &[octets(name.as_bytes()), nested(SET, &values)])
            })
            .collect();
        message(id, &[nested(0x64, &[octets(dn.as_bytes()), nested(SEQUENCE, &list)])])
    }

    pub(crate) fn referral(id: u32, server: &str) -> Vec<u8> {
        message(id, &[nested(0x73, &[octets(server.as_bytes())])])
    }

    pub(crate) fn notice(diagnostic: &str) -> Vec<u8> {
        result(0, 0x78, 52, "", diagnostic)
    }
}

#[test]
fn requests_are_written_as_rfc_4511_has_them() {
    assert_eq!(bind(1, "cn=a", "p"), b"\x30\x11\x02\x01\x01\x60\x0c\x02\x01\x03\x04\x04cn=a\x80\x01p");
    assert_eq!(unbind(2), b"\x30\x05\x02\x01\x02\x42\x00");
    assert_eq!(start_tls(1), b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037");
    let filter = "(a=*)".parse().unwrap();
    let plain = Search {
        base: "b",
        scope: Scope::Subtree,
        filter: &filter,
        attributes: &["c"],
        seconds: 0,
        page: None,
    };
    assert_eq!(
        search(3, &plain),
        b"\x30\x1f\x02\x01\x03\x63\x1a\x04\x01b\x0a\x01\x02\x0a\x01\x00\x02\x01\x00\x02\x01\x00\x01\x01\x00\x87\x01a\x30\x03\x04\x01c"
    );
    let paged = search(3, &Search { page: Some((500, b"k")), ..plain });
    assert!(paged.ends_with(b"\x01\x01\xff\x04\x09\x30\x07\x02\x02\x01\xf4\x04\x01k"), "{paged:x?}");
}

#[test]
fn answers_are_read() {
    let entry = decode(&answers::entry(7, "cn=a", &[("x", &[b"1", b"2"]), ("y", &[])])).unwrap();
    let Op::Entry(read) = entry.op else { panic!() };
    assert_eq!((entry.id, read.dn.as_str()), (7, "cn=a"));
    assert_eq!(read.attributes, [("x".to_owned(), b"1".to_vec()), ("x".to_owned(), b"2".to_vec())]);
    let done = decode(&answers::done(8, Some(b"next"))).unwrap();
    assert_eq!((done.cookie.as_deref(), matches!(done.op, Op::Done(_))), (Some(&b"next"[..]), true));
    assert_eq!(decode(&answers::done(8, None)).unwrap().cookie, None);
    let refused = decode(&answers::result(1, 0x61, 49, "", "no")).unwrap();
    let Op::Bound(outcome) = refused.op else { panic!() };
    assert_eq!((outcome.code, outcome.diagnostic.as_str()), (49, "no"));
    let Op::Referral(servers) = decode(&answers::referral(1, "ldap://b")).unwrap().op else { panic!() };
    assert_eq!(servers, ["ldap://b"]);
}

#[test]
fn frames_wait_for_the_whole_and_end_what_is_too_long() {
    let whole = answers::done(1, None);
    assert_eq!(frame(&whole), Ok(Frame::Whole(whole.len())));
    for cut in 0..whole.len() {
        assert_eq!(frame(&whole[..cut]), Ok(Frame::Partial));
    }
    assert_eq!(frame(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), Ok(Frame::TooLong(0xffff_ffff)));
    assert_eq!(frame(b"HTTP/1.1 400"), Err(Broken));
    assert_eq!(frame(&[0x30, 0x80]), Err(Broken));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = frame(&bytes);
        let _ = decode(&bytes);
    }

    #[test]
    fn no_damaged_answer_panics(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        for whole in [
            answers::entry(7, "cn=a", &[("x", &[b"1", b"2"]), ("y", &[])]),
            answers::done(8, Some(b"next")),
            answers::result(1, 0x61, 49, "", "no"),
        ] {
            let mut bytes = whole.clone();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes.truncate(cut.index(bytes.len()) + 1);
            let _ = frame(&bytes);
            let _ = decode(&bytes);
        }
    }
}
