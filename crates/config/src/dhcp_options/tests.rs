use super::*;

fn bytes(kind: OptionTypeFile, values: &[&str]) -> Option<Vec<u8>> {
    encode(kind, &values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>()).ok()
}

#[test]
fn each_type_has_its_bytes() {
    use OptionTypeFile::*;
    assert_eq!(bytes(Ipv4, &["10.0.0.1", "10.0.0.2"]).unwrap(), [10, 0, 0, 1, 10, 0, 0, 2]);
    assert_eq!(bytes(Text, &["abc"]).unwrap(), b"abc");
    assert_eq!(bytes(U8, &["255"]).unwrap(), [255]);
    assert_eq!(bytes(U16, &["258"]).unwrap(), [1, 2]);
    assert_eq!(bytes(U32, &["16909060"]).unwrap(), [1, 2, 3, 4]);
    assert_eq!(bytes(I32, &["-1"]).unwrap(), [255; 4]);
    assert_eq!(bytes(Bool, &["true", "false"]).unwrap(), [1, 0]);
    assert_eq!(bytes(Hex, &["01:0a:ff"]).unwrap(), [1, 10, 255]);
    assert_eq!(bytes(Hex, &["010AFF"]).unwrap(), [1, 10, 255]);
}

#[test]
fn wrong_values_are_refused() {
    use OptionTypeFile::*;
    for (kind, value) in [
        (Ipv4, "10.0.0"),
        (U8, "256"),
        (U8, "-1"),
        (U16, "a"),
        (Bool, "yes"),
        (Hex, "abc"),
        (Hex, "zz"),
        (Hex, "é"),
        (Text, ""),
    ] {
        assert_eq!(bytes(kind, &[value]), None, "{value}");
    }
    assert_eq!(bytes(Ipv4, &[]), None);
    assert!(bytes(Text, &["x".repeat(255).as_str()]).is_some());
    assert_eq!(bytes(Text, &["x".repeat(256).as_str()]), None);
}

#[test]
fn codes_are_1_to_254_and_not_ours() {
    assert_eq!(code("42"), Ok(42));
    for text in ["0", "255", "256", "-1", "042", "+42", "a", ""] {
        assert!(code(text).unwrap_err().starts_with("is not"), "{text}");
    }
    assert_eq!(code("51").unwrap_err(), "cannot be set here; use `lease_time`");
}
