use super::*;

#[test]
fn codes_7_and_9_are_x64_by_erratum_4624() {
    assert_eq!(ClientArch(7).firmware(), Some(Firmware::UefiX64));
    assert_eq!(ClientArch(9).firmware(), Some(Firmware::UefiX64));
    assert_eq!(ClientArch(0).firmware(), Some(Firmware::Bios));
    assert_eq!(ClientArch(11).firmware(), Some(Firmware::UefiArm64));
}

#[test]
fn http_codes_share_the_firmware_of_their_pxe_twin() {
    for (pxe, http) in [(6, 0x0f), (7, 0x10), (0x0a, 0x12), (0x0b, 0x13), (0x1b, 0x1c), (0x27, 0x28)] {
        assert_eq!(ClientArch(pxe).firmware(), ClientArch(http).firmware(), "{pxe}");
        assert!(!ClientArch(pxe).boots_by_http() && ClientArch(http).boots_by_http(), "{pxe}");
    }
}

#[test]
fn unknown_codes_are_never_guessed() {
    for code in [1, 2, 0x21, 0x29, 0xffff] {
        assert_eq!(ClientArch(code).firmware(), None, "{code}");
    }
}

#[test]
fn every_name_reads_back() {
    for firmware in Firmware::ALL {
        assert_eq!(firmware.as_str().parse(), Ok(firmware));
    }
}
