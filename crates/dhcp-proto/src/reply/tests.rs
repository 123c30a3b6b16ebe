use super::*;
use crate::testing::{LOCAL, discover, http_rom, ip, ipxe, lab, rom, secs};
use crate::wire::Op;
use plan::Target;

fn times(default: u64, min: u64, max: u64) -> LeaseTimes {
    LeaseTimes { default: secs(default), min: secs(min), max: secs(max) }
}

fn plan(step: Step) -> BootPlan {
    BootPlan { target: Target::Menu, step }
}

fn facts(message: &Message) -> Facts {
    crate::classify::classify(message, &crate::testing::arrival())
}

fn booted(request: &Message, step: Step, dress: Dress) -> Message {
    let facts = facts(request);
    let mut reply = request.reply();
    let boot = BootFile::of(&plan(step), &facts, LOCAL, 8080).unwrap();
    add_boot(&mut reply, request, &facts, &boot, dress);
    reply
}

fn proxy(uefi_discovery_control: bool) -> Dress {
    Dress::Proxy { uefi_discovery_control, boot_item: None }
}

fn loader(name: &str) -> Step {
    Step::Loader(name.into())
}

#[test]
fn d21_the_lease_time_is_bounded() {
    let bounds = times(3600, 300, 7200);
    let rows = [
        (None, 3600),
        (Some(0), 300),
        (Some(1), 300),
        (Some(600), 600),
        (Some(7201), 7200),
        (Some(u32::MAX), 7200),
    ];
    for (asked, expected) in rows {
        assert_eq!(lease_time(asked, &bounds), secs(expected), "{asked:?}");
    }
    assert_eq!(lease_time(Some(0x8000_0000), &bounds), secs(7200), "no sign anywhere");
}

#[test]
fn d21_a_lease_without_end_only_where_allowed() {
    let endless = times(3600, 300, u64::from(u32::MAX));
    assert_eq!(lease_time(Some(u32::MAX), &endless), INFINITE);
    assert_eq!(lease_time(Some(u32::MAX - 1), &endless), secs(u64::from(u32::MAX) - 1));
    assert_eq!(lease_time(None, &times(0, 0, 0)), secs(1), "never zero");
    assert_eq!(lease_time(None, &times(50, 100, 20)), secs(20), "contradicting bounds do not panic");
}

#[test]
fn d4_t1_is_before_t2_is_before_the_end() {
    for seconds in [1, 7, 8, 9, 15, 16, 300, 3600, u64::from(u32::MAX) - 1] {
        let mut reply = Message::new(Op::BootReply);
        add_lease(&mut reply, secs(seconds));
        let lease = reply.options.u32(code::LEASE_TIME).unwrap();
        if let (Some(t1), Some(t2)) =
            (reply.options.u32(code::RENEWAL_TIME), reply.options.u32(code::REBINDING_TIME))
        {
            assert!(0 < t1 && t1 < t2 && t2 < lease, "{seconds}");
        } else {
            assert!(seconds < 8);
        }
    }
    let mut reply = Message::new(Op::BootReply);
    add_lease(&mut reply, INFINITE);
    assert_eq!(reply.options.u32(code::LEASE_TIME), Some(u32::MAX));
    assert!(!reply.options.has(code::RENEWAL_TIME));
}

#[test]
fn p11_a_leasing_server_sends_pxe_clients_no_option_60() {
    for (request, name) in [(rom(discover(1), 0), "undionly.kpxe"), (rom(discover(1), 7), "snponly.efi")] {
        let reply = booted(&request, loader(name), Dress::Lease);
        assert!(!reply.options.has(code::VENDOR_CLASS) && !reply.options.has(code::VENDOR_SPECIFIC));
    }
}

#[test]
fn p12_siaddr_sname_file_66_and_67_agree() {
    let reply = booted(&rom(discover(1), 0), loader("undionly.kpxe"), Dress::Lease);
    assert_eq!(reply.siaddr, LOCAL);
    assert_eq!(reply.server_name(), LOCAL.to_string().as_bytes());
    assert_eq!(reply.options.get(code::TFTP_SERVER_NAME), Some(LOCAL.to_string().as_bytes()));
    assert_eq!(reply.file_name(), b"undionly.kpxe");
    assert_eq!(reply.options.get(code::BOOT_FILE), Some(b"undionly.kpxe".as_slice()));
}

#[test]
fn p13_option_67_is_nul_ended_for_uefi_roms_only() {
    let reply = booted(&rom(discover(1), 7), loader("snponly.efi"), Dress::Lease);
    assert_eq!(reply.options.get(code::BOOT_FILE), Some(b"snponly.efi\0".as_slice()));
    assert_eq!(reply.file_name(), b"snponly.efi");
    assert_eq!(reply.options.get(code::TFTP_SERVER_NAME), Some(LOCAL.to_string().as_bytes()), "66 is not");
    let reply = booted(&ipxe(discover(1), 7), Step::Script, Dress::Lease);
    assert_eq!(reply.options.get(code::BOOT_FILE), Some(b"http://10.77.0.1:8080/boot.ipxe".as_slice()));
}

#[test]
fn p16_ipxe_hears_that_no_proxy_offer_will_come_only_when_we_lease() {
    let request = ipxe(discover(1), 7);
    let reply = booted(&request, Step::Script, Dress::Lease);
    assert_eq!(reply.options.get(code::IPXE), Some([176, 1, 1].as_slice()));
    let reply = booted(&request, Step::Script, proxy(false));
    assert!(!reply.options.has(code::IPXE));
    assert_eq!(reply.siaddr, LOCAL, "iPXE gives up without siaddr");
    assert_eq!(reply.options.get(code::VENDOR_CLASS), Some(b"PXEClient".as_slice()));
}

#[test]
fn ipxe_without_http_is_sent_to_the_script_by_tftp() {
    let mut request = ipxe(discover(1), 0);
    request.options.set(code::IPXE, [21, 1, 1]);
    let reply = booted(&request, Step::Script, Dress::Lease);
    assert_eq!(reply.file_name(), b"boot.ipxe");
    assert_eq!(reply.options.get(code::BOOT_FILE), Some(b"boot.ipxe".as_slice()));
}

#[test]
fn p19_http_boot_gets_its_class_and_a_url_with_an_address() {
    for dress in [Dress::Lease, proxy(false), proxy(true)] {
        let reply = booted(&http_rom(discover(1), 16), loader("snponly.efi"), dress);
        assert_eq!(reply.options.get(code::VENDOR_CLASS), Some(b"HTTPClient".as_slice()));
        assert_eq!(
            reply.options.get(code::BOOT_FILE),
            Some(b"http://10.77.0.1:8080/snponly.efi\0".as_slice())
        );
        assert_eq!(reply.file_name(), b"http://10.77.0.1:8080/snponly.efi");
        assert!(!reply.options.has(code::VENDOR_SPECIFIC) && !reply.options.has(code::TFTP_SERVER_NAME));
    }
}

#[test]
fn p5_the_proxy_tells_bios_to_boot_the_file_and_uefi_to_ask_4011() {
    let reply = booted(&rom(discover(1), 0), loader("undionly.kpxe"), proxy(false));
    assert_eq!(reply.options.get(code::VENDOR_SPECIFIC), Some([6, 1, 8, 255].as_slice()));
    let reply = booted(&rom(discover(1), 7), loader("snponly.efi"), proxy(false));
    assert!(!reply.options.has(code::VENDOR_SPECIFIC));
    let reply = booted(&rom(discover(1), 7), loader("snponly.efi"), proxy(true));
    assert_eq!(reply.options.get(code::VENDOR_SPECIFIC), Some([6, 1, 8, 255].as_slice()));
    assert_eq!(reply.options.get(code::VENDOR_CLASS), Some(b"PXEClient".as_slice()));
}

#[test]
fn p10_a_boot_item_is_answered_alike() {
    let boot_item = Some(BootItem { kind: 0, layer: 1 });
    let reply =
        booted(&rom(discover(1), 0), loader("x"), Dress::Proxy { uefi_discovery_control: false, boot_item });
    assert_eq!(reply.options.get(code::VENDOR_SPECIFIC), Some([6, 1, 8, 71, 4, 0, 0, 0, 1, 255].as_slice()));
}

#[test]
fn a_boot_file_too_long_for_the_header_goes_into_option_67_alone() {
    let name = "a".repeat(128);
    let reply = booted(&rom(discover(1), 7), loader(&name), Dress::Lease);
    assert_eq!(reply.file_name(), b"");
    assert_eq!(reply.options.get(code::BOOT_FILE).unwrap().len(), 129);
    let fits = "a".repeat(127);
    assert_eq!(booted(&rom(discover(1), 7), loader(&fits), Dress::Lease).file_name().len(), 127);
}

#[test]
fn a_loader_without_dhcp_has_no_boot_file() {
    assert_eq!(BootFile::of(&plan(Step::Config), &Facts::default(), LOCAL, 80), None);
}

#[test]
fn d23_asked_parameters_are_sent_and_others_not() {
    let mut request = discover(1);
    request.options.set(code::PARAMETER_LIST, [3, 1, 15, 28]);
    let mut reply = request.reply();
    add_parameters(&mut reply, &request, &lab(), Some(&"node1".into()), Stage::Os);
    assert!(reply.options.has(code::SUBNET_MASK) && reply.options.has(code::ROUTER));
    assert_eq!(reply.options.get(code::DOMAIN_NAME), Some(b"lab.example".as_slice()));
    assert_eq!(reply.options.ip(code::BROADCAST_ADDRESS), Some(ip(255)));
    assert!(!reply.options.has(code::DNS) && !reply.options.has(code::HOST_NAME));
}

#[test]
fn d23_a_client_that_asks_for_nothing_gets_everything() {
    let mut reply = discover(1).reply();
    add_parameters(&mut reply, &discover(1), &lab(), Some(&"node1".into()), Stage::Os);
    for expected in [code::SUBNET_MASK, code::ROUTER, code::DNS, code::HOST_NAME, code::DOMAIN_NAME] {
        assert!(reply.options.has(expected), "{expected}");
    }
}

#[test]
fn configured_options_follow_option_55_unless_always_and_never_touch_the_frame_or_the_boot_data() {
    let mut subnet = lab();
    let option =
        |code: u8, always: bool| types::subnet::ConfiguredOption { code, value: vec![9; 4].into(), always };
    subnet.options = vec![
        option(42, false),
        option(119, true),
        option(54, true),
        option(82, true),
        option(67, true),
        option(61, true),
        option(43, true),
    ];
    let request = rom(discover(1), 7);
    let mut reply = request.reply();
    let mut quiet = request.clone();
    quiet.options.set(code::PARAMETER_LIST, [1]);
    add_parameters(&mut reply, &quiet, &subnet, None, Stage::Rom);
    assert!(reply.options.has(119) && !reply.options.has(42));
    assert!([54, 82, 67, 61, 43].into_iter().all(|code| !reply.options.has(code)));
    let mut reply = request.reply();
    add_parameters(&mut reply, &discover(1), &subnet, None, Stage::Os);
    assert!(
        reply.options.has(42) && reply.options.has(67) && reply.options.has(43),
        "an ordinary host gets what is configured"
    );
}
