use super::*;
use proptest::prelude::*;

#[test]
fn four_spellings_are_one_address() {
    let expected = MacAddr([0x52, 0x54, 0, 0x12, 0xab, 0x56]);
    for text in ["52:54:00:12:ab:56", "52-54-00-12-AB-56", "5254.0012.ab56", "52540012AB56"] {
        assert_eq!(text.parse(), Ok(expected), "{text}");
    }
}

#[test]
fn wrong_shapes_are_refused() {
    for text in [
        "",
        "52:54:00:12:34",
        "52:54-00:12:34:56",
        "5254:0012:3456",
        "52:54:00:12:34:5g",
        "5:254:00:12:34:56",
    ] {
        assert_eq!(text.parse::<MacAddr>(), Err(MacParseError), "{text}");
    }
}

#[test]
fn group_and_zero_addresses_are_not_unicast() {
    assert!(!MacAddr::BROADCAST.is_unicast());
    assert!(!MacAddr([0; 6]).is_unicast());
    assert!(!MacAddr([1, 0, 0x5e, 0, 0, 1]).is_unicast());
    assert!(MacAddr([0x52, 0x54, 0, 0, 0, 1]).is_unicast());
}

proptest! {
    #[test]
    fn text_and_back_is_identity(bytes: [u8; 6]) {
        let mac = MacAddr(bytes);
        prop_assert_eq!(mac.to_string().parse(), Ok(mac));
        prop_assert_eq!(mac.hyphens().parse(), Ok(mac));
    }

    #[test]
    fn parsing_never_panics(text in ".{0,24}") {
        let _ = text.parse::<MacAddr>();
    }
}
