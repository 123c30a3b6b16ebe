use super::*;
use proptest::prelude::*;

#[test]
fn option_97_of_qemu_reads_as_the_uuid_given_to_it() {
    // `-uuid 11223344-5566-7788-99aa-bbccddeeff00` travels as 44 33 22 11 66 55 88 77 99 aa … (lab.md §3).
    let wire = MachineGuid([
        0x44, 0x33, 0x22, 0x11, 0x66, 0x55, 0x88, 0x77, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0,
    ]);
    assert_eq!(wire.smbios_text(), "11223344-5566-7788-99aa-bbccddeeff00");
    assert_eq!(wire.wire_text(), "44332211-6655-8877-99aa-bbccddeeff00");
    assert_eq!("11223344-5566-7788-99AA-BBCCDDEEFF00".parse(), Ok(wire));
    assert_eq!("{11223344-5566-7788-99AA-BBCCDDEEFF00}".parse(), Ok(wire));
    assert_eq!("112233445566778899aabbccddeeff00".parse(), Ok(wire));
    assert_eq!(MachineGuid::parse_wire_text("44332211-6655-8877-99aa-bbccddeeff00"), Ok(wire));
}

#[test]
fn factory_values_are_nobodys_in_both_orders() {
    for text in [
        "03000200-0400-0500-0006-000700080009",
        "00020003-0004-0005-0006-000700080009",
        "12345678-1234-5678-90ab-cddeefaabbcc",
        "fefefefe-fefe-fefe-fefe-fefefefefefe",
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
    ] {
        let guid: MachineGuid = text.parse().unwrap();
        assert!(guid.is_nobodys() && guid.swapped().is_nobodys(), "{text}");
    }
    assert!(!"11223344-5566-7788-99aa-bbccddeeff00".parse::<MachineGuid>().unwrap().is_nobodys());
}

#[test]
fn misplaced_dashes_are_refused() {
    for text in [
        "",
        "1122334-45566-7788-99aa-bbccddeeff00",
        "11223344-5566-7788-99aa-bbccddeeff0",
        "11223344-5566-7788-99aa-bbccddeeff0g",
    ] {
        assert_eq!(text.parse::<MachineGuid>(), Err(GuidParseError), "{text}");
    }
}

proptest! {
    #[test]
    fn swapping_twice_is_identity(bytes: [u8; 16]) {
        let guid = MachineGuid(bytes);
        prop_assert_eq!(guid.swapped().swapped(), guid);
        prop_assert_eq!(guid.smbios_text().parse(), Ok(guid));
        prop_assert_eq!(MachineGuid::parse_wire_text(&guid.wire_text()), Ok(guid));
    }

    #[test]
    fn parsing_never_panics(text in ".{0,40}") {
        let _ = text.parse::<MachineGuid>();
    }
}
