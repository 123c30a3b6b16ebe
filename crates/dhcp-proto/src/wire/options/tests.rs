use super::*;
use crate::wire::{Message, golden};

/// A request with this option field, and these header fields if given.
fn message(area: &[u8], file: &[u8], sname: &[u8]) -> Result<Message, DecodeError> {
    let mut bytes = golden::bytes(golden::DHCLIENT_DISCOVER)[..240].to_vec();
    bytes[44..44 + sname.len()].copy_from_slice(sname);
    bytes[108..108 + file.len()].copy_from_slice(file);
    bytes.extend_from_slice(area);
    Message::decode(&bytes)
}

fn options(area: &[u8]) -> Options {
    message(area, &[], &[]).unwrap().options
}

#[test]
fn d28_pad_is_skipped_and_end_stops() {
    let options = options(&[0, 0, 53, 1, 1, 0, 12, 1, b'a', 255, 12, 1, b'b', 60, 200]);
    assert_eq!(options.iter().collect::<Vec<_>>(), [(53, [1].as_slice()), (12, b"a")]);
}

#[test]
fn d28_an_option_field_may_end_without_end() {
    assert_eq!(options(&[53, 1, 1]).u8(53), Some(1));
    assert!(options(&[]).is_empty());
}

#[test]
fn d28_an_option_past_the_end_refuses_the_packet() {
    for area in [[53, 1, 1, 60, 4, b'x', b'y'].as_slice(), &[53, 1, 1, 60], &[53, 1, 1, 60, 255]] {
        assert_eq!(message(area, &[], &[]), Err(DecodeError::OptionOverrun { code: 60 }));
    }
}

#[test]
fn d26_overloaded_fields_are_read_after_the_option_field_file_first() {
    let area = [43, 1, b'1', 52, 1, 3, 53, 1, 1, 255];
    let message =
        message(&area, &[43, 1, b'2', 12, 1, b'f', 255, 9], &[43, 1, b'3', 15, 1, b's', 255]).unwrap();
    assert_eq!(message.options.get(43), Some(b"123".as_slice()));
    let codes: Vec<u8> = message.options.iter().map(|(code, _)| code).collect();
    assert_eq!(codes, [43, 53, 12, 15]);
    assert_eq!((message.file, message.sname), ([0; 128], [0; 64]));
}

#[test]
fn d26_a_field_that_is_not_overloaded_stays_text() {
    let only_file = message(&[52, 1, 1, 255], &[12, 1, b'f', 255], b"server").unwrap();
    assert_eq!(only_file.options.get(12), Some(b"f".as_slice()));
    assert_eq!(only_file.server_name(), b"server");
    let only_sname = message(&[52, 1, 2, 255], b"boot", &[12, 1, b's', 255]).unwrap();
    assert_eq!(only_sname.options.get(12), Some(b"s".as_slice()));
    assert_eq!(only_sname.file_name(), b"boot");
}

#[test]
fn d26_an_overload_inside_file_or_sname_is_ignored() {
    let message = message(&[52, 1, 1, 255], &[52, 1, 3, 12, 1, b'f', 255], &[15, 1, b's', 255]).unwrap();
    assert_eq!(message.options.get(12), Some(b"f".as_slice()));
    assert!(!message.options.has(15));
    assert!(!message.options.has(code::OVERLOAD));
    assert_eq!(message.server_name(), &[15, 1, b's', 255]);
}

#[test]
fn d26_a_malformed_overload_is_a_fault_and_not_followed() {
    for area in
        [[52, 2, 1, 1, 255].as_slice(), &[52, 1, 4, 255], &[52, 1, 1, 52, 1, 1, 255], &[52, 1, 0, 255]]
    {
        let message = message(area, &[12, 1, b'f', 255], &[]).unwrap();
        assert!(!message.options.has(12));
        assert_eq!(message.options.faults().first().map(|fault| fault.code), Some(code::OVERLOAD));
    }
}

#[test]
fn d28_an_overrun_in_an_overloaded_field_refuses_the_packet() {
    let error = message(&[52, 1, 2, 255], &[], &[12, 63, b's']).unwrap_err();
    assert_eq!(error, DecodeError::OptionOverrun { code: 12 });
}

#[test]
fn r12_repeated_options_are_joined_wherever_they_stand() {
    let options = options(&[61, 2, 1, 2, 12, 1, b'h', 61, 2, 3, 4, 61, 0, 255]);
    assert_eq!(options.get(61), Some([1, 2, 3, 4].as_slice()));
    assert_eq!(options.iter().count(), 2);
}

#[test]
fn r12_a_value_over_255_bytes_is_joined_in_order() {
    let mut area = vec![67, 255];
    area.extend([b'a'; 255]);
    area.extend([67, 45]);
    area.extend([b'b'; 45]);
    let value = options(&area).get(67).unwrap().to_vec();
    assert_eq!(value, [[b'a'; 255].as_slice(), &[b'b'; 45]].concat());
}

#[test]
fn d29_fixed_size_options_of_wrong_length_are_kept_as_bytes_and_listed() {
    for (code, good) in
        [(50, 4), (51, 4), (52, 1), (54, 4), (57, 2), (93, 2), (93, 4), (94, 3), (97, 17), (116, 1), (118, 4)]
    {
        for len in 0..20u8 {
            let mut area = vec![code, len];
            area.extend(std::iter::repeat_n(1, usize::from(len)));
            let options = options(&area);
            let allowed =
                usize::from(len) == good || code == 93 && len > 0 && len % 2 == 0 || code == 52 && len == 0;
            let fault = OptionFault { code, len: usize::from(len) };
            assert_eq!(options.faults().contains(&fault), !allowed, "option {code} of {len} bytes");
            assert_eq!(options.ip(code).is_some(), len == 4 && code != 52);
            assert_eq!(options.u16(code).is_some(), len == 2 && code != 52);
        }
    }
}

#[test]
fn d29_typed_reads_of_other_lengths_give_nothing() {
    let options = options(&[50, 3, 10, 0, 0, 57, 1, 5, 255]);
    assert_eq!((options.ip(50), options.u16(57)), (None, None));
    assert_eq!(options.faults(), [OptionFault { code: 50, len: 3 }, OptionFault { code: 57, len: 1 }]);
    assert_eq!(options.get(50), Some([10, 0, 0].as_slice()));
}

#[test]
fn d30_a_client_identifier_of_0_or_1_byte_is_absent_and_255_are_kept() {
    for len in [0u8, 1] {
        let mut area = vec![61, len];
        area.extend(std::iter::repeat_n(7, usize::from(len)));
        let options = options(&area);
        assert_eq!(options.client_identifier(), None);
        assert_eq!(options.faults(), [OptionFault { code: 61, len: len.into() }]);
    }
    let long: Vec<u8> = (1..=255).collect();
    let mut options = Options::default();
    options.set(61, long.clone());
    assert_eq!(options.client_identifier(), Some(long.as_slice()));
    options.set(61, vec![1; 256]);
    assert_eq!(options.client_identifier(), None);
}

#[test]
fn d31_text_is_shown_clean_and_kept_raw() {
    let cases: [(&[u8], Option<&str>); 8] = [
        (b"PXEClient", Some("PXEClient")),
        (b"PXEClient\0\0", Some("PXEClient")),
        (b"a\0b", Some("ab")),
        (b"\x1b[31mred\n", Some("[31mred")),
        (b"caf\xe9", Some("caf\u{fffd}")),
        (b"\xc2\x9b2J", Some("2J")),
        (b"", None),
        (b"\0\0", None),
    ];
    for (raw, shown) in cases {
        for code in [12, 15, 17, 56, 60, 66, 67, 77] {
            let mut options = Options::default();
            options.set(code, raw);
            assert_eq!(options.text(code).as_deref(), shown);
            assert_eq!(options.get(code), Some(raw));
        }
    }
}

#[test]
fn framing_codes_cannot_be_set() {
    let mut options = Options::default();
    for code in [0, 52, 255] {
        options.set(code, [1]);
    }
    assert!(options.is_empty());
}

#[test]
fn a_value_set_again_keeps_its_place() {
    let mut options = Options::default();
    options.set(53, [1]);
    options.set(12, b"a");
    options.set(53, [2]);
    assert_eq!(options.iter().collect::<Vec<_>>(), [(53, [2].as_slice()), (12, b"a")]);
    assert_eq!(options.remove(53), Some(vec![2]));
    assert_eq!(options.remove(53), None);
    assert_eq!(options.len(), 1);
}

#[test]
fn message_types_have_their_registry_values() {
    for code in 0..=255 {
        let kind = MessageType::from_code(code);
        assert_eq!(kind.map(MessageType::code), (1..=8).contains(&code).then_some(code));
    }
}
