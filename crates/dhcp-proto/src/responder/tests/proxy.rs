//! PXE 2.1 beside another server: offers on 67, answers on 4011.

use super::*;
use plan::LeaveAloneReason;

fn proxy_lab() -> Lab {
    Lab::with(Settings { default_mode: DhcpMode::Proxy, http_port: 8080, ..Settings::default() })
}

fn to_4011(from_port: u16) -> Arrival {
    unicast(ip(60), from_port, 4011)
}

fn request(n: u32) -> Message {
    renew(n, ip(60))
}

#[test]
fn p5_a_proxy_offer_has_boot_data_and_no_address() {
    let mut lab = proxy_lab();
    let request = rom(discover(1), 0);
    let action = lab.act(&arrival(), &request);
    let offer = reply(&action);
    assert_eq!(
        (kind(&offer), offer.yiaddr, offer.siaddr),
        (MessageType::Offer, Ipv4Addr::UNSPECIFIED, LOCAL)
    );
    assert_eq!(offer.options.ip(code::SERVER_IDENTIFIER), Some(LOCAL));
    assert_eq!(offer.options.get(code::VENDOR_CLASS), Some(b"PXEClient".as_slice()));
    assert_eq!(offer.options.get(code::VENDOR_SPECIFIC), Some([6, 1, 8, 255].as_slice()));
    assert_eq!(offer.options.get(code::CLIENT_GUID), request.options.get(code::CLIENT_GUID));
    assert_eq!(offer.file_name(), b"undionly.kpxe");
    assert!([1, 3, 6, 51, 58, 59].into_iter().all(|code| !offer.options.has(code)));
    assert_eq!(transmit(&action).destination, Destination::Broadcast(68));
    assert!(action.commit.is_empty());
}

#[test]
fn p5_uefi_gets_no_option_43_unless_the_subnet_says_so() {
    let offer = proxy_lab().ask(&rom(discover(1), 7));
    assert!(!offer.options.has(code::VENDOR_SPECIFIC));
    assert_eq!(offer.options.get(code::VENDOR_CLASS), Some(b"PXEClient".as_slice()));
    assert_eq!((offer.siaddr, offer.file_name()), (LOCAL, b"snponly.efi".as_slice()));
    let subnet = Subnet { mode: DhcpMode::Proxy, uefi_discovery_control: true, pools: Vec::new(), ..lab() };
    let offer = Lab::new(vec![subnet]).ask(&rom(discover(1), 7));
    assert_eq!(offer.options.get(code::VENDOR_SPECIFIC), Some([6, 1, 8, 255].as_slice()));
}

#[test]
fn p11_a_uefi_rom_is_sent_to_our_4011_even_when_files_are_elsewhere() {
    let subnet = Subnet { mode: DhcpMode::Proxy, next_server: Some(ip(2)), ..lab() };
    let mut lab = Lab::new(vec![subnet]);
    assert_eq!(lab.ask(&rom(discover(1), 7)).siaddr, LOCAL);
    assert_eq!(reply(&lab.act(&to_4011(4011), &rom(request(1), 7))).siaddr, ip(2));
    assert_eq!(lab.ask(&rom(discover(2), 0)).siaddr, ip(2), "BIOS goes straight to the file");
    assert_eq!(lab.ask(&ipxe(discover(3), 7)).siaddr, ip(2));
}

#[test]
fn p5_ipxe_is_told_its_script_and_http_boot_its_url() {
    let mut lab = proxy_lab();
    let offer = lab.ask(&ipxe(discover(1), 7));
    assert_eq!((offer.siaddr, offer.file_name()), (LOCAL, b"http://10.77.0.1:8080/boot.ipxe".as_slice()));
    assert!(!offer.options.has(code::IPXE));
    let offer = lab.ask(&http_rom(discover(1), 16));
    assert_eq!(offer.options.get(code::VENDOR_CLASS), Some(b"HTTPClient".as_slice()));
    assert_eq!(offer.options.get(code::BOOT_FILE), Some(b"http://10.77.0.1:8080/snponly.efi\0".as_slice()));
}

#[test]
fn p5_the_proxy_never_leases_and_never_refuses() {
    let mut lab = proxy_lab();
    for message in [
        rom(message(1, MessageType::Inform), 7),
        rom(message(1, MessageType::Decline), 7),
        rom(message(1, MessageType::Release), 7),
    ] {
        assert_eq!(lab.ignored(&message), IgnoreReason::ProxyOnlyOffers);
    }
    for request in
        [selecting(1, ip(60), ip(254)), reboot(1, ip(60)), renew(1, ip(60)), selecting(1, ip(60), ip(9))]
    {
        let action = lab.act(&arrival(), &rom(request, 7));
        assert_eq!((action.transmit, action.commit.len()), (None, 0));
    }
    assert_eq!(lab.responder.leases().count(), 0);
}

#[test]
fn the_proxy_learns_the_address_another_server_gave() {
    let mut lab = proxy_lab();
    let action = lab.act(&arrival(), &ipxe(selecting(1, ip(60), ip(254)), 0));
    let learned = action.learn.unwrap();
    assert_eq!((learned.mac, learned.address), (Some(mac(1)), Some(ip(60).into())));
    assert_eq!(action.events[0].reason, Some("proxy_only_offers"));
}

#[test]
fn discover_without_a_boot_class_is_ignored_in_proxy_mode() {
    let mut lab = proxy_lab();
    assert_eq!(lab.ignored(&discover(1)), IgnoreReason::NotABootClient);
    assert_eq!(lab.ignored(&reboot(1, ip(60))), IgnoreReason::NotABootClient);
}

#[test]
fn a_machine_left_alone_hears_nothing_from_the_proxy_and_the_reason_is_told() {
    use LeaveAloneReason as Why;
    for why in [
        Why::UnknownIgnored,
        Why::LocalDisk,
        Why::NoLoader,
        Why::FirmwareUnfit,
        Why::IdentityConflict,
        Why::ImageMissing,
        Why::LoopStopped,
    ] {
        let mut lab = proxy_lab();
        lab.stub.left_alone = Some(why);
        assert_eq!(lab.ignored(&rom(discover(1), 7)).as_str(), why.as_str());
        assert_eq!(lab.ignored_at(&to_4011(4011), &rom(request(1), 7)).as_str(), why.as_str());
    }
}

#[test]
fn p2_an_unknown_arch_is_an_event_and_no_offer() {
    match proxy_lab().handle(&arrival(), &rom(discover(1), 0x99)) {
        Outcome::Ignore(IgnoreReason::FirmwareUnknown, Some(event)) => {
            assert_eq!(event.name, EventName::LoaderUnsupportedArch);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn p6_port_4011_answers_to_where_it_was_asked_from() {
    for from_port in [4011, 68, 1024] {
        for message in [request(1), message(1, MessageType::Inform)] {
            let mut lab = proxy_lab();
            let message = rom(message, 7);
            let action = lab.act(&to_4011(from_port), &message);
            let ack = reply(&action);
            assert_eq!(transmit(&action).source, SocketAddrV4::new(LOCAL, 4011));
            assert_eq!(
                transmit(&action).destination,
                Destination::Unicast(SocketAddrV4::new(ip(60), from_port))
            );
            assert_eq!(
                (kind(&ack), ack.yiaddr, ack.ciaddr),
                (MessageType::Ack, Ipv4Addr::UNSPECIFIED, message.ciaddr)
            );
            assert_eq!(ack.options.ip(code::SERVER_IDENTIFIER), Some(LOCAL));
            assert_eq!(ack.options.get(code::VENDOR_CLASS), Some(b"PXEClient".as_slice()));
            assert_eq!(ack.options.get(code::CLIENT_GUID), message.options.get(code::CLIENT_GUID));
            assert_eq!(ack.options.get(code::BOOT_FILE), Some(b"snponly.efi\0".as_slice()));
            assert_eq!((ack.siaddr, ack.file_name()), (LOCAL, b"snponly.efi".as_slice()));
            assert!(action.commit.is_empty());
            assert_eq!(action.learn.unwrap().address, Some(ip(60).into()));
        }
    }
}

#[test]
fn p11_port_4011_answers_beside_our_own_leases_too() {
    let mut lab = Lab::new(vec![lab()]);
    let ack = reply(&lab.act(&to_4011(4011), &rom(request(1), 7)));
    assert_eq!((kind(&ack), ack.file_name()), (MessageType::Ack, b"snponly.efi".as_slice()));
    assert_eq!(lab.responder.leases().count(), 0);
}

#[test]
fn p6_anything_else_on_4011_is_silence() {
    let mut lab = proxy_lab();
    let at = to_4011(4011);
    assert_eq!(lab.ignored_at(&at, &rom(discover(1), 7)), IgnoreReason::BootServerOnlyRequests);
    assert_eq!(lab.ignored_at(&at, &request(1)), IgnoreReason::NotABootClient);
    assert_eq!(lab.ignored_at(&at, &http_rom(request(1), 16)), IgnoreReason::NotAPxeClient);
    let mut broadcast = to_4011(4011);
    broadcast.sent_to = SocketAddrV4::new(Ipv4Addr::BROADCAST, 4011);
    assert_eq!(lab.ignored_at(&broadcast, &rom(request(1), 7)), IgnoreReason::NoReturnAddress);
    for (address, port) in [(Ipv4Addr::UNSPECIFIED, 68), (ip(60), 0), (Ipv4Addr::new(224, 0, 0, 1), 68)] {
        let from = unicast(address, port, 4011);
        assert_eq!(
            lab.ignored_at(&from, &rom(message(1, MessageType::Request), 7)),
            IgnoreReason::NoReturnAddress
        );
    }
    let mut off = Lab::new(vec![Subnet { mode: DhcpMode::Off, ..super::lab() }]);
    assert_eq!(off.ignored_at(&at, &rom(request(1), 7)), IgnoreReason::Off);
    assert_eq!(off.ignored(&discover(1)), IgnoreReason::Off);
}

#[test]
fn p10_the_boot_item_is_echoed_and_credentials_are_refused() {
    let mut lab = proxy_lab();
    let mut message = rom(request(1), 0);
    message.options.set(code::VENDOR_SPECIFIC, [71, 4, 0, 0, 0, 0, 255]);
    let ack = reply(&lab.act(&to_4011(68), &message));
    assert_eq!(ack.options.pxe().unwrap().boot_item, message.options.pxe().unwrap().boot_item);
    for item in [[0x80, 1, 0, 0], [0, 0, 0x80, 0]] {
        message.options.set(code::VENDOR_SPECIFIC, [&[71, 4], item.as_slice(), &[255]].concat());
        assert_eq!(lab.ignored_at(&to_4011(68), &message), IgnoreReason::BootItemUnsupported);
    }
}

#[test]
fn p4_classes_are_never_crossed() {
    let mut lab = proxy_lab();
    for (message, class) in [
        (rom(discover(1), 7), "PXEClient"),
        (http_rom(discover(1), 16), "HTTPClient"),
        (ipxe(discover(1), 0), "PXEClient"),
    ] {
        assert_eq!(lab.ask(&message).options.get(code::VENDOR_CLASS), Some(class.as_bytes()));
    }
}

#[test]
fn a_relayed_proxy_offer_asks_the_relay_to_broadcast() {
    let subnet = Subnet { mode: DhcpMode::Proxy, ..lab() };
    let relays = vec!["10.77.0.0/24".parse().unwrap()];
    let mut lab = Lab::with(Settings { subnets: vec![subnet], relays, ..Settings::default() });
    let mut request = ipxe(discover(1), 0);
    request.giaddr = ip(254);
    let action = lab.act(&unicast(ip(254), 67, 67), &request);
    assert_eq!(reply(&action).flags, 0x8000);
    assert_eq!(transmit(&action).destination, Destination::Unicast(SocketAddrV4::new(ip(254), 67)));
}

#[test]
fn without_subnet_and_default_there_is_silence() {
    let mut lab = Lab::with(Settings::default());
    assert_eq!(lab.ignored(&rom(discover(1), 7)), IgnoreReason::NoSubnet);
    assert_eq!(lab.ignored_at(&to_4011(4011), &rom(request(1), 7)), IgnoreReason::NoSubnet);
}

#[test]
fn p12_in_proxy_mode_siaddr_sname_file_66_and_67_agree_on_both_ports() {
    for (arch, file) in [(0, "undionly.kpxe"), (7, "snponly.efi")] {
        let mut lab = proxy_lab();
        let offer = lab.ask(&rom(discover(1), arch));
        let ack = reply(&lab.act(&to_4011(4011), &rom(request(1), arch)));
        for reply in [offer, ack] {
            let text = |code: u8| String::from_utf8(reply.options.get(code).unwrap().to_vec()).unwrap();
            assert_eq!((reply.siaddr, reply.server_name()), (LOCAL, b"10.77.0.1".as_slice()));
            assert_eq!((reply.file_name(), text(67).trim_end_matches('\0')), (file.as_bytes(), file));
            assert_eq!(text(66), "10.77.0.1");
        }
    }
}

#[test]
fn p18_no_machine_is_ever_shown_a_menu_of_ours_before_its_loader() {
    for uefi_discovery_control in [false, true] {
        let subnet = Subnet { mode: DhcpMode::Proxy, uefi_discovery_control, ..lab() };
        for mode in [DhcpMode::Proxy, DhcpMode::Server] {
            let mut lab = Lab::new(vec![Subnet { mode, ..subnet.clone() }]);
            for arch in [0, 7, 11] {
                let offer = lab.ask(&rom(discover(1), arch));
                let pxe = offer.options.pxe().unwrap_or_default();
                assert!(pxe.menu.is_empty() && pxe.prompt.is_none() && pxe.boot_servers.is_empty());
            }
        }
    }
}

#[test]
fn p19_a_client_of_http_boot_never_gets_a_pxe_offer() {
    let mut lab = proxy_lab();
    for arch in [16, 0x13] {
        let offer = lab.ask(&http_rom(discover(1), arch));
        assert_eq!(offer.options.get(code::VENDOR_CLASS), Some(b"HTTPClient".as_slice()));
        assert!(offer.file_name().starts_with(b"http://10.77.0.1:8080/"), "a literal address: no DNS needed");
        assert!(!offer.options.has(code::VENDOR_SPECIFIC) && !offer.options.has(code::TFTP_SERVER_NAME));
    }
}
