use super::*;

fn with(code: u8, value: &[u8]) -> Options {
    let mut options = Options::default();
    options.set(code, value);
    options
}

#[test]
fn p1_archs_are_a_list_of_even_length() {
    assert_eq!(with(93, &[0, 7, 0, 16]).client_archs(), [ClientArch(7), ClientArch(16)]);
    assert_eq!(with(93, &[0, 7, 0]).client_archs(), []);
    assert_eq!(with(93, &[]).client_archs(), []);
    assert_eq!(Options::default().client_archs(), []);
}

#[test]
fn p1_the_vendor_class_names_the_arch() {
    let parse = VendorClass::parse;
    let class = parse(b"PXEClient:Arch:00007:UNDI:003016").unwrap();
    assert_eq!((class.class, class.arch, class.undi), (BootClass::Pxe, Some(ClientArch(7)), Some((3, 16))));
    let class = parse(b"HTTPClient:Arch:00016:UNDI:003000\0").unwrap();
    assert_eq!((class.class, class.arch, class.undi), (BootClass::Http, Some(ClientArch(16)), Some((3, 0))));
    let bare = VendorClass { class: BootClass::Pxe, arch: None, undi: None };
    for text in [
        b"PXEClient".as_slice(),
        b"PXEClient:",
        b"PXEClient:Arch:7",
        b"PXEClient:Arch:99999",
        b"PXEClient:Arch",
    ] {
        assert_eq!(parse(text), Some(bare), "{text:?}");
    }
    for text in [b"udhcp 1.35.0".as_slice(), b"", b"pxeclient", b"MSFT 5.0"] {
        assert_eq!(parse(text), None, "{text:?}");
    }
}

#[test]
fn p8_boot_the_given_file_is_06_01_08_ff() {
    let options =
        PxeOptions { discovery_control: Some(DiscoveryControl::BOOT_GIVEN_FILE), ..PxeOptions::default() };
    assert_eq!(options.encode().unwrap(), [6, 1, 8, 255]);
    assert_eq!(BOOT_GIVEN_FILE, [6, 1, 8, 255]);
}

#[test]
fn p8_the_discovery_bits_are_0_to_3() {
    let all = [
        DiscoveryControl::NO_BROADCAST,
        DiscoveryControl::NO_MULTICAST,
        DiscoveryControl::LISTED_SERVERS_ONLY,
        DiscoveryControl::BOOT_GIVEN_FILE,
    ];
    assert_eq!(all.map(|control| control.0), [1, 2, 4, 8]);
    assert!(DiscoveryControl(7).contains(DiscoveryControl::NO_MULTICAST));
    assert!(!DiscoveryControl(7).contains(DiscoveryControl::BOOT_GIVEN_FILE));
}

fn menu_options() -> PxeOptions {
    PxeOptions {
        discovery_control: Some(DiscoveryControl(7)),
        discovery_address: Some(Ipv4Addr::new(224, 0, 1, 2)),
        boot_servers: vec![
            BootServer {
                kind: 0x8001,
                addresses: vec![Ipv4Addr::new(10, 77, 0, 1), Ipv4Addr::new(10, 77, 0, 2)],
            },
            BootServer { kind: 0x8002, addresses: Vec::new() },
        ],
        menu: vec![
            MenuItem { kind: 0, text: b"disk".to_vec() },
            MenuItem { kind: 0x8001, text: b"reveille".to_vec() },
        ],
        prompt: Some(MenuPrompt { timeout_secs: 10, text: b"F8".to_vec() }),
        boot_item: Some(BootItem { kind: 0x8001, layer: 0 }),
    }
}

#[test]
fn p9_inner_lengths_are_right_and_255_ends() {
    let value = menu_options().encode().unwrap();
    let expected = [
        [6, 1, 7].as_slice(),
        &[7, 4, 224, 0, 1, 2],
        &[8, 14, 0x80, 1, 2, 10, 77, 0, 1, 10, 77, 0, 2, 0x80, 2, 0],
        &[9, 18, 0, 0, 4, b'd', b'i', b's', b'k', 0x80, 1, 8],
        b"reveille",
        &[10, 3, 10, b'F', b'8'],
        &[71, 4, 0x80, 1, 0, 0],
        &[255],
    ]
    .concat();
    assert_eq!(value, expected);
    assert_eq!(PxeOptions::decode(&value).unwrap(), menu_options());
}

#[test]
fn p9_more_than_255_bytes_are_not_written() {
    let item = |len| MenuItem { kind: 1, text: vec![b'x'; len] };
    let fits = PxeOptions { menu: vec![item(100), item(146)], ..PxeOptions::default() };
    assert_eq!(fits.encode().unwrap().len(), 255);
    let whole = PxeOptions { menu: vec![item(100), item(147)], ..PxeOptions::default() };
    assert_eq!(whole.encode(), Err(PxeError::TooLong { len: 256 }));
    let text = PxeOptions { menu: vec![item(256)], ..PxeOptions::default() };
    assert_eq!(text.encode(), Err(PxeError::Length { code: 9, len: 256 }));
    let list = PxeOptions { menu: vec![item(200), item(200)], ..PxeOptions::default() };
    assert_eq!(list.encode(), Err(PxeError::Length { code: 9, len: 406 }));
    let many = BootServer { kind: 1, addresses: vec![Ipv4Addr::UNSPECIFIED; 256] };
    let servers = PxeOptions { boot_servers: vec![many], ..PxeOptions::default() };
    assert_eq!(servers.encode(), Err(PxeError::Length { code: 8, len: 256 }));
}

#[test]
fn p10_a_boot_item_is_read_and_written_and_credentials_are_seen() {
    let asked = PxeOptions::decode(&[71, 4, 0x80, 1, 0x80, 0, 255]).unwrap().boot_item.unwrap();
    assert_eq!(asked, BootItem { kind: 0x8001, layer: 0x8000 });
    assert!(asked.wants_credentials());
    assert!(!BootItem { kind: 1, layer: 0x7fff }.wants_credentials());
    let echo = PxeOptions { boot_item: Some(BootItem { layer: 0, ..asked }), ..PxeOptions::default() };
    assert_eq!(echo.encode().unwrap(), [71, 4, 0x80, 1, 0, 0, 255]);
}

#[test]
fn malformed_option_43_is_an_error_and_never_a_panic() {
    let overrun = |code| Err(PxeError::Overrun { code });
    assert_eq!(PxeOptions::decode(&[6]), overrun(6));
    assert_eq!(PxeOptions::decode(&[6, 2, 8]), overrun(6));
    assert_eq!(PxeOptions::decode(&[8, 4, 0x80, 1, 1, 10]), overrun(8));
    assert_eq!(PxeOptions::decode(&[8, 2, 0x80, 1]), overrun(8));
    assert_eq!(PxeOptions::decode(&[9, 4, 0, 0, 2, b'x']), overrun(9));
    assert_eq!(PxeOptions::decode(&[6, 2, 8, 8]), Err(PxeError::Length { code: 6, len: 2 }));
    assert_eq!(PxeOptions::decode(&[71, 3, 0, 0, 0]), Err(PxeError::Length { code: 71, len: 3 }));
    assert_eq!(PxeOptions::decode(&[10, 0]), Err(PxeError::Length { code: 10, len: 0 }));
    assert_eq!(PxeOptions::decode(&[7, 1, 0]), Err(PxeError::Length { code: 7, len: 1 }));
    assert_eq!(with(43, &[6, 9]).pxe(), None);
}

#[test]
fn a_missing_end_pads_and_unknown_sub_options_are_tolerated() {
    let options = PxeOptions::decode(&[0, 0, 200, 2, 1, 1, 6, 1, 8]).unwrap();
    assert_eq!(options.discovery_control, Some(DiscoveryControl::BOOT_GIVEN_FILE));
    assert_eq!(PxeOptions::decode(&[]).unwrap(), PxeOptions::default());
    assert_eq!(PxeOptions::decode(&[255, 6, 9]).unwrap(), PxeOptions::default());
}

#[test]
fn p13_strings_keep_their_nul() {
    let options = with(67, b"ipxe.efi\0");
    assert_eq!(options.get(67), Some(b"ipxe.efi\0".as_slice()));
    assert_eq!(options.text(67).as_deref(), Some("ipxe.efi"));
}

#[test]
fn p14_a_guid_is_type_0_and_16_bytes() {
    let mut value = vec![0];
    value.extend(1..=16);
    assert_eq!(with(97, &value).guid().map(|guid| guid.0.to_vec()), Some((1..=16).collect()));
    assert_eq!(with(97, &value[..16]).guid(), None);
    value.push(17);
    assert_eq!(with(97, &value).guid(), None);
    value[0] = 1;
    assert_eq!(with(97, &value[..17]).guid(), None);
    assert_eq!(with(97, &[]).guid(), None);
}

#[test]
fn p15_a_user_class_is_read_bare_and_framed() {
    assert_eq!(user_classes(b"iPXE"), [b"iPXE".as_slice()]);
    assert_eq!(user_classes(b"\x04iPXE"), [b"iPXE".as_slice()]);
    assert_eq!(user_classes(b"iPXE\0"), [b"iPXE".as_slice()]);
    assert_eq!(user_classes(b"\x03lab\x04iPXE"), [b"lab".as_slice(), b"iPXE"]);
    assert_eq!(user_classes(b""), [] as [&[u8]; 0]);
    assert_eq!(user_classes(b"\0\0"), [] as [&[u8]; 0]);
    for value in [b"iPXE".as_slice(), b"\x04iPXE", b"\x03lab\x04iPXE"] {
        assert!(with(77, value).is_ipxe());
    }
    assert!(!with(77, b"gPXE").is_ipxe());
}

#[test]
fn p15_user_classes_are_written_framed() {
    let value = encode_user_classes(&[b"lab", b"iPXE"]).unwrap();
    assert_eq!(value, b"\x03lab\x04iPXE");
    assert_eq!(user_classes(&value), [b"lab".as_slice(), b"iPXE"]);
    assert_eq!(encode_user_classes(&[b""]), None);
    assert_eq!(encode_user_classes(&[&[b'x'; 256]]), None);
}

#[test]
fn p16_no_proxy_is_175_176() {
    assert!(Ipxe::decode(&IPXE_NO_PROXY).no_proxy);
    assert!(!Ipxe::decode(&[176, 1, 0]).no_proxy);
}

#[test]
fn ipxe_features_and_bus_are_read_up_to_where_sense_ends() {
    let ipxe = Ipxe::decode(&[
        177, 5, 1, 0x1a, 0xf4, 0x10, 0, 235, 3, 1, 21, 1, 19, 1, 1, 36, 1, 1, 20, 1, 0, 39, 9, 1,
    ]);
    assert_eq!(ipxe.features, [19, 36]);
    assert!(ipxe.http());
    assert_eq!(ipxe.bus_id.as_deref(), Some([1, 0x1a, 0xf4, 0x10, 0].as_slice()));
    assert_eq!(ipxe.version.as_deref(), Some([1, 21, 1].as_slice()));
    assert_eq!(Ipxe::decode(&[19]), Ipxe::default());
    assert!(with(175, &[]).is_ipxe());
}

#[test]
fn undi_is_three_bytes() {
    assert_eq!(with(94, &[1, 3, 16]).undi(), Some(Undi { kind: 1, major: 3, minor: 16 }));
    assert_eq!(with(94, &[1, 3]).undi(), None);
}
