use super::*;
use crate::media::testing::depot::{ar, ar_header};

/// Names and bytes, or the first refusal.
fn read(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, MediaError> {
    let mut archive = Ar::new(bytes)?;
    let mut members = Vec::new();
    while let Some(member) = archive.next()? {
        let mut content = Vec::new();
        archive.read_to_end(&mut content).map_err(MediaError::from_io)?;
        let offset = usize::try_from(member.offset).unwrap();
        assert_eq!(bytes[offset..offset + content.len()], content);
        members.push((member.name, content));
    }
    Ok(members)
}

fn owned(members: &[(&str, &[u8])]) -> Vec<(String, Vec<u8>)> {
    members.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect()
}

#[test]
fn members_of_odd_and_even_and_no_length_are_read_in_order() {
    let members: &[(&str, &[u8])] =
        &[("descriptor.xml", b"<vib/>"), ("sig.pkcs7", b""), ("odd", b"123"), ("even", b"1234")];
    assert_eq!(read(&ar(members)).unwrap(), owned(members));
    let mut unpadded = ar(&[("odd", b"123")]);
    unpadded.pop();
    assert_eq!(read(&unpadded).unwrap(), owned(&[("odd", b"123")]));
    assert_eq!(read(&ar(&[])).unwrap(), []);
}

#[test]
fn gnu_names_are_read_short_and_long() {
    let mut bytes = b"!<arch>\n".to_vec();
    bytes.extend(ar_header("/", 4));
    bytes.extend(b"syms");
    bytes.extend(ar_header("//", 24));
    bytes.extend(b"a-name-longer-than-16/\n\n");
    bytes.extend(ar_header("/0", 2));
    bytes.extend(b"12");
    bytes.extend(ar_header("short/", 1));
    bytes.extend(b"x");
    assert_eq!(read(&bytes).unwrap(), owned(&[("a-name-longer-than-16", b"12"), ("short", b"x")]));
}

#[test]
fn what_is_passed_over_is_not_the_next_member() {
    let bytes = ar(&[("a", &[1; 100_001]), ("b", b"2")]);
    let mut archive = Ar::new(&bytes[..]).unwrap();
    assert_eq!(archive.next().unwrap().unwrap().name, "a");
    archive.read_exact(&mut [0; 10]).unwrap();
    assert_eq!(archive.next().unwrap().unwrap().name, "b");
    assert_eq!(archive.next().unwrap(), None);
}

#[test]
fn one_that_is_cut_off_or_lies_is_refused() {
    let whole = ar(&[("descriptor.xml", b"<vib version=\"5.0\"/>"), ("payload", &[7; 300])]);
    for length in 0..whole.len() {
        // Between two members it is an archive of fewer.
        if ![8, 8 + 60 + 20].contains(&length) {
            assert!(read(&whole[..length]).is_err(), "cut at {length}");
        }
    }
    let lying = |size: &str| {
        let mut bytes = ar(&[("a", b"12")]);
        bytes[8 + 48..8 + 58].copy_from_slice(format!("{size:<10}").as_bytes());
        read(&bytes).unwrap_err().refusal
    };
    for size in ["3", "9999999999", "-1", "0x10", "1 2", "1e9"] {
        assert_eq!(lying(size), Refusal::Malformed, "{size}");
    }
    let mut bytes = b"!<arch>\n".to_vec();
    bytes.extend(ar_header("/9", 0));
    assert_eq!(read(&bytes).unwrap_err().refusal, Refusal::Malformed);
    let mut bytes = b"!<arch>\n".to_vec();
    bytes.extend(ar_header("#1/20", 0));
    assert_eq!(read(&bytes).unwrap_err().refusal, Refusal::Unsupported);
    let many = vec![("x", &b""[..]); AR_MEMBERS_MAX + 1];
    assert_eq!(read(&ar(&many)).unwrap_err().refusal, Refusal::Limit);
    let mut bytes = b"!<arch>\n".to_vec();
    bytes.extend(ar_header("//", 9_999_999));
    assert_eq!(read(&bytes).unwrap_err().refusal, Refusal::Limit);
}
