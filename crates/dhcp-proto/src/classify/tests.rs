use super::*;
use crate::testing::{self, arrival, discover};
use types::Firmware;

#[test]
fn what_firmware_was_seen_to_send_is_recognised() {
    type Row = (&'static str, Message, Stage, Option<Firmware>, bool);
    let rows: [Row; 6] = [
        ("iPXE BIOS ROM", testing::ipxe(discover(1), 0), Stage::Ipxe, Some(Firmware::Bios), true),
        ("ipxe.efi", testing::ipxe(discover(1), 7), Stage::Ipxe, Some(Firmware::UefiX64), true),
        ("OVMF PXE", testing::rom(discover(1), 7), Stage::Rom, Some(Firmware::UefiX64), false),
        ("OVMF HTTP boot", testing::http_rom(discover(1), 16), Stage::HttpRom, Some(Firmware::UefiX64), true),
        ("AAVMF PXE", testing::rom(discover(1), 11), Stage::Rom, Some(Firmware::UefiArm64), false),
        ("dhclient", discover(1), Stage::Os, None, false),
    ];
    for (name, message, stage, firmware, http) in rows {
        let facts = classify(&message, &arrival());
        assert_eq!((facts.stage, facts.firmware, facts.http), (stage, firmware, http), "{name}");
        assert_eq!(facts.mac, Some(testing::mac(1)), "{name}");
    }
}

#[test]
fn p1_the_first_code_we_can_serve_is_taken_from_a_list() {
    let mut message = testing::rom(discover(1), 7);
    message.options.set(code::CLIENT_ARCH, [0xff, 0xfe, 0, 9, 0, 0]);
    assert_eq!(classify(&message, &arrival()).arch, Some(ClientArch(9)));
    message.options.set(code::CLIENT_ARCH, [0xff, 0xfe, 0xff, 0xfd]);
    assert_eq!(classify(&message, &arrival()).arch, Some(ClientArch(0xfffe)));
    assert_eq!(classify(&message, &arrival()).firmware, None);
}

#[test]
fn p1_without_option_93_the_vendor_class_tells() {
    let mut message = testing::rom(discover(1), 0);
    message.options.remove(code::CLIENT_ARCH);
    message.options.set(code::VENDOR_CLASS, *b"PXEClient:Arch:00007:UNDI:003016");
    assert_eq!(classify(&message, &arrival()).firmware, Some(Firmware::UefiX64));
    // An odd length is no list.
    message.options.set(code::CLIENT_ARCH, [0, 0, 0]);
    assert_eq!(classify(&message, &arrival()).firmware, Some(Firmware::UefiX64));
}

#[test]
fn p15_the_ipxe_user_class_counts_bare_and_framed() {
    for class in [b"iPXE".as_slice(), b"\x04iPXE"] {
        let mut message = testing::rom(discover(1), 7);
        message.options.set(code::USER_CLASS, class);
        let facts = classify(&message, &arrival());
        assert_eq!(facts.stage, Stage::Ipxe);
        assert!(!facts.http, "no option 175, so HTTP is not promised");
    }
}

#[test]
fn ipxe_without_the_http_feature_is_known() {
    let mut message = testing::ipxe(discover(1), 0);
    message.options.set(code::IPXE, [21, 1, 1, 33, 1, 1]);
    let facts = classify(&message, &arrival());
    assert_eq!((facts.stage, facts.http), (Stage::Ipxe, false));
}

#[test]
fn p14_a_guid_of_other_length_or_type_is_not_said() {
    for value in [vec![0; 16], vec![1; 17], vec![0; 18]] {
        let mut message = testing::rom(discover(1), 7);
        message.options.set(code::CLIENT_GUID, value);
        assert_eq!(classify(&message, &arrival()).guid, None);
    }
}

#[test]
fn d10_the_key_is_option_61_else_the_hardware_address() {
    let mut message = discover(1);
    let key = |message: &Message| client(message, &classify(message, &arrival())).map(|client| client.key);
    let hardware = ClientKey::Hardware { htype: 1, address: testing::mac(1).0.as_slice().into() };
    assert_eq!(key(&message), Some(hardware.clone()));
    for short in [vec![], vec![1]] {
        message.options.set(code::CLIENT_IDENTIFIER, short);
        assert_eq!(key(&message), Some(hardware.clone()), "D30: 0 or 1 byte is as good as absent");
    }
    message.options.set(code::CLIENT_IDENTIFIER, vec![7; 255]);
    assert_eq!(key(&message), Some(ClientKey::ClientId([7; 255].as_slice().into())));
    message.options.remove(code::CLIENT_IDENTIFIER);
    message.hlen = 0;
    assert_eq!(key(&message), None);
}

#[test]
fn the_circuit_of_a_relayed_request_is_a_fact() {
    let mut message = discover(1);
    message.giaddr = Ipv4Addr::new(10, 9, 0, 1);
    message.options.set(code::RELAY_INFO, *b"\x01\x03ge1\x02\x01x");
    let facts = classify(&message, &arrival());
    assert_eq!(facts.circuit_id.as_deref(), Some(b"ge1".as_slice()));
    assert_eq!(facts.relay, Some(message.giaddr));
    // R6: sub-options that do not add up are no policy.
    message.options.set(code::RELAY_INFO, *b"\x01\x09ge1");
    assert_eq!(classify(&message, &arrival()).circuit_id, None);
}

#[test]
fn p2_every_architecture_code_has_its_firmware_and_unknown_ones_none() {
    use Firmware::*;
    let rows = [
        (0, Some(Bios)),
        (6, Some(UefiIa32)),
        (7, Some(UefiX64)),
        (9, Some(UefiX64)),
        (10, Some(UefiArm32)),
        (11, Some(UefiArm64)),
        (15, Some(UefiIa32)),
        (16, Some(UefiX64)),
        (18, Some(UefiArm32)),
        (19, Some(UefiArm64)),
        (21, Some(UbootArm32)),
        (22, Some(UbootArm64)),
        (27, Some(UefiRiscv64)),
        (28, Some(UefiRiscv64)),
        (39, Some(UefiLoongarch64)),
        (40, Some(UefiLoongarch64)),
        (1, None),
        (2, None),
        (12, None),
        (0x99, None),
        (u16::MAX, None),
    ];
    for (arch, firmware) in rows {
        let facts = classify(&testing::rom(discover(1), arch), &arrival());
        assert_eq!((facts.arch, facts.firmware), (Some(ClientArch(arch)), firmware), "{arch}");
    }
}

#[test]
fn p3_only_boot_classes_and_ipxe_count_as_boot_clients() {
    for (class, stage) in [
        (b"PXEClient".as_slice(), Stage::Rom),
        (b"PXEClient:Arch:00000:UNDI:002001\0", Stage::Rom),
        (b"HTTPClient:Arch:00016:UNDI:003000", Stage::HttpRom),
        (b"pxeclient", Stage::Os),
        (b"MSFT 5.0", Stage::Os),
        (b"udhcp 1.35.0", Stage::Os),
        (b"", Stage::Os),
    ] {
        let mut message = testing::rom(discover(1), 7);
        message.options.set(code::VENDOR_CLASS, class);
        assert_eq!(classify(&message, &arrival()).stage, stage, "{class:?}");
    }
}
