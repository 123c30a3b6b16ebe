//! The harness against a server that is known to work: what fails here is no fault of reveille.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use harness::clients;
use harness::packages::{self, BOOT, CLIENTS};
use harness::payload::Payload;
use harness::qemu::wait_payload;
use harness::reference::{CallbackServer, Dnsmasq};
use harness::{Firmware, Lab, Machine};
use std::path::Path;
use std::time::Duration;

/// Emulation on a busy two-core machine; a quiet one needs a tenth.
const BOOT_DEADLINE: Duration = Duration::from_secs(240);

struct Reference {
    lab: Lab,
    segment: harness::Segment,
    callbacks: CallbackServer,
    _dnsmasq: harness::Running,
    _server: harness::Namespace,
}

/// dnsmasq that gives PXE clients `loader` and iPXE a script, and files by TFTP.
fn reference() -> Reference {
    let lab = Lab::new().unwrap();
    let segment = lab.segment().unwrap();
    let server = lab.station(&segment, "server", Some("10.77.0.1/24")).unwrap();
    let callbacks = CallbackServer::start(&server, 8080).unwrap();
    let tree = lab.path("tree");
    std::fs::create_dir(&tree).unwrap();
    let payload = Payload::build(&tree).unwrap();
    assert!(payload.kernel.exists() && payload.initrd.exists());
    for loader in ["undionly.kpxe", "snponly.efi"] {
        std::fs::copy(Path::new("/usr/lib/ipxe").join(loader), tree.join(loader)).unwrap();
    }
    let script = "#!ipxe\necho SCRIPT for ${mac} ${uuid}\n\
        kernel linux initrd=payload.img console=ttyS0 quiet payload.tag=reference reveille.callback=http://10.77.0.1:8080/b/secret/up\n\
        initrd payload.img\nboot\n";
    std::fs::write(tree.join("boot.ipxe"), script).unwrap();
    let dnsmasq = Dnsmasq::new("10.77.0.100", "10.77.0.150")
        .tftp(&tree)
        .line("dhcp-userclass=set:ipxe,iPXE")
        .line("dhcp-match=set:uefi,option:client-arch,7")
        .line("dhcp-boot=tag:ipxe,boot.ipxe")
        .line("dhcp-boot=tag:!ipxe,tag:uefi,snponly.efi")
        .line("dhcp-boot=tag:!ipxe,tag:!uefi,undionly.kpxe")
        // iPXE: no proxyDHCP here, do not wait for one.
        .line("dhcp-option=tag:ipxe,encap:175,176,1b")
        .start(&lab, &server)
        .unwrap();
    Reference { lab, segment, callbacks, _dnsmasq: dnsmasq, _server: server }
}

/// Boots one machine and checks what it says and what it calls.
fn boots(firmware: Firmware, through_packet_port: bool) {
    let world = reference();
    let machine = Machine::new("machine", firmware, 7);
    let port = if through_packet_port && firmware != Firmware::BiosPxe {
        world.lab.packet_port(&world.segment, Default::default()).unwrap()
    } else {
        machine.port(&world.lab, &world.segment).unwrap()
    };
    let mut running = machine.start(&world.lab, &world.segment, &port).unwrap();
    let lines = wait_payload(&mut running, BOOT_DEADLINE).unwrap();
    assert!(lines.contains(&"uuid 11223344-5566-7788-99aa-000000000007".to_string()), "{lines:#?}");
    assert!(lines.contains(&"serial LAB0007".to_string()), "{lines:#?}");
    assert!(lines.contains(&"tag reference".to_string()), "{lines:#?}");
    assert!(lines.iter().any(|line| line.starts_with("address 10.77.0.1")), "{lines:#?}");
    assert!(lines.contains(&"called-back HTTP/1.1 204 No Content".to_string()), "{lines:#?}");
    assert_eq!(world.callbacks.requests(), "GET /b/secret/up HTTP/1.0\n");
    println!("{firmware:?} took {:.1?}", running.age());
}

#[test]
fn harness_boots_with_dnsmasq_on_bios() {
    harness::enter!();
    if packages::here(BOOT) && packages::here(CLIENTS) {
        boots(Firmware::Bios, false);
    }
}

#[test]
fn harness_boots_with_dnsmasq_on_a_plain_rom() {
    harness::enter!();
    if packages::here(BOOT) && packages::here(CLIENTS) {
        boots(Firmware::BiosPxe, true);
    }
}

#[test]
fn harness_boots_with_dnsmasq_on_uefi() {
    harness::enter!();
    if packages::here(BOOT) && packages::here(CLIENTS) {
        boots(Firmware::UefiPxe, false);
    }
}

#[test]
fn harness_boots_with_dnsmasq_through_a_packet_port() {
    harness::enter!();
    if packages::here(BOOT) && packages::here(CLIENTS) {
        boots(Firmware::Bios, true);
    }
}

#[test]
fn harness_clients_work_with_dnsmasq() {
    harness::enter!();
    if !(packages::here(BOOT) && packages::here(CLIENTS)) {
        return;
    }
    let world = reference();
    let lab = &world.lab;
    let client = lab.station(&world.segment, "client", None).unwrap();
    let lease = clients::udhcpc(lab, &client, &[]).unwrap();
    assert!(lease.address.starts_with("10.77.0.1") && lease.address.ends_with("/24"), "{lease:?}");
    assert_eq!((lease.server.as_str(), lease.seconds), ("10.77.0.1", 600));
    let script = std::fs::read(lab.path("tree/boot.ipxe")).unwrap();
    let loader = std::fs::read(lab.path("tree/undionly.kpxe")).unwrap();
    assert_eq!(clients::tftp_hpa(lab, &client, "10.77.0.1", "boot.ipxe").unwrap(), script);
    let error = clients::tftp_hpa(lab, &client, "10.77.0.1", "nothing").unwrap_err();
    assert!(format!("{error:#}").contains("Error code"), "{error:#}");
    let options = [("windowsize", "4"), ("blksize", "1428")];
    assert!(clients::atftp(lab, &client, "10.77.0.1", "undionly.kpxe", &options).unwrap() == loader);
    assert!(clients::curl(lab, &client, &["tftp://10.77.0.1/undionly.kpxe"]).unwrap() == loader);
    let head = clients::curl_head(lab, &client, &["http://10.77.0.1:8080/b/x/up"]).unwrap();
    assert!(head.starts_with("HTTP/1.1 204"), "{head}");
    let other = lab.station(&world.segment, "client", None).unwrap();
    let dhclient = clients::dhclient(lab, &other).unwrap();
    dhclient.wait_for("bound to 10.77.0.1", clients::CLIENT_DEADLINE).unwrap();
}

#[test]
fn harness_relays_to_dnsmasq() {
    harness::enter!();
    if !(packages::here(BOOT) && packages::here(CLIENTS)) {
        return;
    }
    let lab = Lab::new().unwrap();
    let (near, far) = (lab.segment().unwrap(), lab.segment().unwrap());
    let server = lab.station(&near, "server", Some("10.77.0.1/24")).unwrap();
    server.ip(&["route", "add", "10.78.0.0/24", "via", "10.77.0.2"]).unwrap();
    let _dnsmasq = Dnsmasq::new("10.77.0.100", "10.77.0.150")
        .line("dhcp-range=10.78.0.100,10.78.0.110,255.255.255.0,10m")
        .start(&lab, &server)
        .unwrap();
    let relay = lab.station(&near, "relay", Some("10.77.0.2/24")).unwrap();
    far.attach(&relay, "eth1", Some("10.78.0.1/24")).unwrap();
    let _dhcrelay = clients::dhcrelay(&lab, &relay, "eth1", "eth0", "10.77.0.1").unwrap();
    let client = lab.station(&far, "client", None).unwrap();
    assert!(clients::udhcpc(&lab, &client, &[]).unwrap().address.starts_with("10.78.0.1"));
}
