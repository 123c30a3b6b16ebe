use super::*;
use proptest::prelude::*;

fn rrq(parts: &[&[u8]]) -> Vec<u8> {
    let mut packet = vec![0, 1];
    for part in parts {
        packet.extend(*part);
        packet.push(0);
    }
    packet
}

fn fault(packet: &[u8]) -> DecodeError {
    decode(packet).unwrap_err()
}

#[test]
fn a_request_with_options_decodes_in_order_and_spelling() {
    let packet = read_request("a/b", "OcTeT", &[("BLKSIZE", "1468"), ("tsize", "0")]);
    let Ok(Packet::Rrq(request)) = decode(&packet) else { panic!() };
    assert_eq!((request.name, request.mode), ("a/b", Mode::Octet));
    assert_eq!(request.options, [(&b"BLKSIZE"[..], &b"1468"[..]), (&b"tsize"[..], &b"0"[..])]);
}

#[test]
fn t17_modes_are_caseless() {
    for (text, mode) in [("NETASCII", Mode::Netascii), ("Mail", Mode::Mail), ("octet", Mode::Octet)] {
        let packet = read_request("x", text, &[]);
        assert!(matches!(decode(&packet), Ok(Packet::Rrq(request)) if request.mode == mode));
    }
    assert_eq!(fault(&read_request("x", "binary", &[])), DecodeError::UnknownMode);
}

#[test]
fn t18_malformed_requests_are_refused_each_with_its_reason_and_code() {
    let many: Vec<String> = (0..17).map(|at| format!("o{at}")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "1")).collect();
    for (packet, reason, code) in [
        (b"\0\x01name".to_vec(), DecodeError::MissingNul, ErrorCode::IllegalOperation),
        (b"\0\x01name\0octet".to_vec(), DecodeError::MissingNul, ErrorCode::IllegalOperation),
        (b"\0\x01name\0octet\0tsize\0".to_vec(), DecodeError::MissingNul, ErrorCode::IllegalOperation),
        (b"\0\x01name\0octet\0tsize\x000".to_vec(), DecodeError::MissingNul, ErrorCode::IllegalOperation),
        (rrq(&[b"", b"octet"]), DecodeError::EmptyName, ErrorCode::FileNotFound),
        (rrq(&[&[b'a'; 256], b"octet"]), DecodeError::NameTooLong { bytes: 256 }, ErrorCode::FileNotFound),
        (rrq(&[b"\xff\xfe", b"octet"]), DecodeError::NameNotText, ErrorCode::FileNotFound),
        (
            rrq(&[&[b'a'; 510], b"octet"]),
            DecodeError::RequestTooLong { bytes: 519 },
            ErrorCode::IllegalOperation,
        ),
        (
            read_request("x", "octet", &[("tsize", "0"), ("TSIZE", "0")]),
            DecodeError::RepeatedOption,
            ErrorCode::OptionNegotiation,
        ),
        (read_request("x", "octet", &many), DecodeError::TooManyOptions, ErrorCode::OptionNegotiation),
    ] {
        assert_eq!(fault(&packet), reason);
        assert_eq!(reason.answer(), Some(code), "{reason}");
    }
    assert!(decode(&rrq(&[&[b'a'; 255], b"octet"])).is_ok());
    assert!(decode(&read_request("x", "octet", &many[..16])).is_ok());
}

#[test]
fn padding_after_the_last_option_is_tolerated() {
    let mut packet = read_request("x", "octet", &[("tsize", "0")]);
    packet.extend([0; 40]);
    assert!(matches!(decode(&packet), Ok(Packet::Rrq(request)) if request.options.len() == 1));
}

#[test]
fn t3_bytes_that_are_no_request_are_never_answered() {
    for packet in [
        &b""[..],
        b"\0",
        b"\0\x01"[..1].as_ref(),
        b"\0\0",
        b"\0\x07abc",
        b"\xff\xff",
        b"\0\x03\0",
        b"\0\x05\0",
    ] {
        assert_eq!(fault(packet).answer(), None, "{packet:?}");
    }
}

#[test]
fn t20_error_text_is_as_long_as_its_bytes_say() {
    for text in ["", "no such file", "tab\there", &"long ".repeat(100), &"ü".repeat(100)] {
        let packet = error(ErrorCode::FileNotFound, text);
        assert_eq!(packet.iter().position(|&byte| byte == 0).unwrap(), 0);
        assert_eq!(
            packet[4..].iter().position(|&byte| byte == 0).unwrap(),
            packet.len() - 5,
            "one NUL, at the end"
        );
        assert!(packet.len() <= 5 + ERROR_TEXT_BYTES_MAX);
        let Ok(Packet::Error { code: 1, text: sent }) = decode(&packet) else { panic!() };
        let sent = std::str::from_utf8(sent).unwrap();
        assert!(!sent.chars().any(char::is_control));
        assert_eq!(sent, clean_text(text));
    }
}

#[test]
fn an_error_without_its_nul_and_an_ack_with_a_tail_are_understood() {
    assert_eq!(decode(b"\0\x05\0\x08stop"), Ok(Packet::Error { code: 8, text: b"stop" }));
    assert_eq!(decode(b"\0\x04\x12\x34tail"), Ok(Packet::Ack { block: 0x1234 }));
}

#[test]
fn oack_decodes_to_what_was_encoded() {
    let packet = oack([(&b"blksize"[..], "1468".to_owned()), (&b"tsize"[..], "0".to_owned())]);
    assert_eq!(
        decode(&packet),
        Ok(Packet::Oack(vec![(&b"blksize"[..], &b"1468"[..]), (&b"tsize"[..], &b"0"[..])]))
    );
}

proptest! {
    #[test]
    fn decode_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..700)) {
        let _ = decode(&bytes);
    }

    #[test]
    fn decode_of_damaged_requests_never_panics(
        name in "[ -~]{0,80}", at in 0usize..120, with in any::<u8>(), cut in 0usize..120,
    ) {
        let mut packet = read_request(&name, "octet", &[("blksize", "1468"), ("windowsize", "4")]);
        if let Some(byte) = packet.get_mut(at) { *byte = with; }
        packet.truncate(cut.max(1));
        let _ = decode(&packet);
    }

    #[test]
    fn a_request_survives_the_way(name in "[a-zA-Z0-9/._-]{1,200}", value in "[0-9]{1,10}") {
        let options = [("blksize", value.as_str()), ("x", "")];
        let packet = read_request(&name, "octet", &options);
        let Ok(Packet::Rrq(request)) = decode(&packet) else { panic!() };
        prop_assert_eq!(request.name, name.as_str());
        prop_assert_eq!(request.options, options.map(|(name, value)| (name.as_bytes(), value.as_bytes())));
    }
}
