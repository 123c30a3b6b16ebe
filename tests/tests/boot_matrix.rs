//! Real firmware and loaders against reveille. Each case asserts what the machine says on its serial line and what
//! reveille says it did.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use harness::daemon::Config;
use harness::packages::{self, BOOT, CLIENTS};
use harness::packet::{Tamper, plain_rom};
use harness::reference::Dnsmasq;
use harness::scene::{BOOT_DEADLINE, EVENT_DEADLINE, NETWORK, POOL, PoweredOn};
use harness::{Firmware, Machine, Scene, timeline};

const LEASED: [&str; 4] = ["dhcp.discover", "dhcp.offer", "dhcp.request", "dhcp.ack"];
const BOOTED_BY_HTTP: [&str; 4] = ["http.script", "http.file:kernel", "http.file:initrd", "boot.up"];

fn server() -> Config {
    Config::server(NETWORK, POOL)
}

/// Boots `machine` into image `tag` and checks its serial line and, in order, its events.
fn boots(scene: &Scene, machine: &Machine, tag: &str, events: &[&[&str]]) {
    ends_well(scene, machine, scene.power_on(machine).unwrap(), tag, events);
}

fn ends_well(scene: &Scene, machine: &Machine, mut on: PoweredOn, tag: &str, events: &[&[&str]]) {
    let lines = on.wait_payload().unwrap();
    check_payload(machine, tag, &lines);
    scene.daemon.wait_order(machine.mac_text(), &events.concat(), EVENT_DEADLINE).unwrap();
    println!("{} took {:.1?}", machine.mac_text(), on.running.age());
}

fn check_payload(machine: &Machine, tag: &str, lines: &[String]) {
    assert!(lines.contains(&format!("uuid {}", machine.uuid_text())), "{lines:#?}");
    assert!(lines.contains(&format!("tag {tag}")), "{lines:#?}");
    assert!(
        lines.iter().any(|line| line.starts_with("called-back HTTP/") && line.contains(" 204 ")),
        "{lines:#?}"
    );
}

fn add_host(scene: &Scene, name: &str, machine: &Machine, image: &str, more: &[&str]) {
    let args = ["host", "add", name, "--uuid", machine.uuid_text(), "--image", image];
    scene.daemon.command(&[&args[..], more].concat()).unwrap();
}

/// An appliance in server mode with image `one` and a host for `machine`, by GUID.
fn scene_for(machine: &Machine, more: &[&str]) -> Scene {
    let scene = Scene::new(server()).unwrap();
    scene.import("one").unwrap();
    add_host(&scene, "first", machine, "one", more);
    scene
}

macro_rules! needs_tools {
    () => {
        harness::enter!();
        if !(packages::here(BOOT) && packages::here(CLIENTS)) {
            return;
        }
    };
}

#[test]
fn a_bios_machine_with_ipxe_rom_boots_by_http() {
    needs_tools!();
    let machine = Machine::new("bios", Firmware::Bios, 1);
    let scene = scene_for(&machine, &[]);
    boots(&scene, &machine, "one", &[&LEASED, &BOOTED_BY_HTTP]);
}

#[test]
fn a_bios_machine_with_a_plain_rom_chains_to_undionly_and_boots_by_http() {
    needs_tools!();
    let machine = Machine::new("bios", Firmware::BiosPxe, 1);
    let scene = scene_for(&machine, &[]);
    boots(&scene, &machine, "one", &[&LEASED, &["tftp.done:loader"], &LEASED, &BOOTED_BY_HTTP]);
}

const BOOTED_BY_PXELINUX: [&str; 5] =
    ["tftp.done:loader", "tftp.done:config", "tftp.done:kernel", "tftp.done:initrd", "boot.up"];

#[test]
fn a_bios_machine_boots_through_pxelinux_by_its_guid() {
    needs_tools!();
    let machine = Machine::new("bios", Firmware::BiosPxe, 1);
    let scene = scene_for(&machine, &["--loader", "pxelinux"]);
    boots(&scene, &machine, "one", &[&LEASED, &BOOTED_BY_PXELINUX]);
}

#[test]
fn a_bios_machine_boots_through_pxelinux_by_its_mac() {
    needs_tools!();
    // A GUID left at its factory value is nobody's: only the hardware address is left.
    let machine = Machine::new("bios", Firmware::BiosPxe, 1).uuid("03000200-0400-0500-0006-000700080009");
    let scene = Scene::new(server()).unwrap();
    scene.import("one").unwrap();
    let args =
        ["host", "add", "first", "--mac", machine.mac_text(), "--image", "one", "--loader", "pxelinux"];
    scene.daemon.command(&args).unwrap();
    boots(&scene, &machine, "one", &[&LEASED, &BOOTED_BY_PXELINUX]);
}

#[test]
fn a_machine_boots_by_tftp_over_a_wire_that_loses_one_frame_in_a_hundred() {
    needs_tools!();
    let machine = Machine::new("bios", Firmware::BiosPxe, 1);
    let scene = scene_for(&machine, &["--loader", "pxelinux"]);
    let tamper = Tamper { loss_per_10k: 100, outbound: Some(plain_rom()), inbound: None };
    let port = scene.lab.packet_port(&scene.segment, tamper).unwrap();
    let on = scene.power_on_at(&machine, port).unwrap();
    ends_well(&scene, &machine, on, "one", &[&LEASED, &BOOTED_BY_PXELINUX]);
}

#[test]
fn a_uefi_machine_chains_to_ipxe_and_boots_by_http() {
    needs_tools!();
    let machine = Machine::new("uefi", Firmware::UefiPxe, 1);
    let scene = scene_for(&machine, &[]);
    boots(&scene, &machine, "one", &[&LEASED, &["tftp.done:loader"], &LEASED, &BOOTED_BY_HTTP]);
}

#[test]
fn a_uefi_machine_boots_by_http_alone() {
    needs_tools!();
    let machine = Machine::new("uefi", Firmware::UefiHttp, 1);
    let scene = scene_for(&machine, &[]);
    boots(&scene, &machine, "one", &[&LEASED, &["http.file:loader"], &LEASED, &BOOTED_BY_HTTP]);
}

/// dnsmasq gives addresses and nothing else; reveille adds what to boot.
fn boots_beside_another_server(firmware: Firmware, events: &[&[&str]]) {
    let machine = Machine::new("machine", firmware, 1);
    let scene = Scene::new(Config::proxy(NETWORK)).unwrap();
    scene.import("one").unwrap();
    add_host(&scene, "first", &machine, "one", &[]);
    let other = scene.lab.station(&scene.segment, "other", Some("10.77.0.2/24")).unwrap();
    let _dnsmasq = Dnsmasq::new("10.77.0.200", "10.77.0.220").start(&scene.lab, &other).unwrap();
    boots(&scene, &machine, "one", events);
    let acks = scene
        .daemon
        .events()
        .iter()
        .filter(|event| event.fits("dhcp.ack") && event.text("stage") == Some("os"))
        .count();
    assert_eq!(acks, 0, "a proxy leases nothing to an operating system");
}

#[test]
fn a_bios_machine_boots_beside_another_dhcp_server() {
    needs_tools!();
    boots_beside_another_server(Firmware::Bios, &[&["dhcp.discover", "dhcp.offer"], &BOOTED_BY_HTTP]);
}

#[test]
fn a_plain_rom_boots_beside_another_dhcp_server() {
    needs_tools!();
    let proxied = ["dhcp.discover", "dhcp.offer"];
    boots_beside_another_server(
        Firmware::BiosPxe,
        &[&proxied, &["tftp.done:loader"], &proxied, &BOOTED_BY_HTTP],
    );
}

#[test]
fn a_uefi_machine_boots_beside_another_dhcp_server() {
    needs_tools!();
    let proxied = ["dhcp.discover", "dhcp.offer"];
    boots_beside_another_server(
        Firmware::UefiPxe,
        &[&proxied, &["tftp.done:loader"], &proxied, &BOOTED_BY_HTTP],
    );
}

#[test]
fn two_machines_get_different_images_by_their_guids() {
    needs_tools!();
    let scene = Scene::new(server()).unwrap();
    let machines = [
        ("one", Machine::new("first", Firmware::Bios, 1)),
        ("two", Machine::new("second", Firmware::Bios, 2)),
    ];
    for (image, machine) in &machines {
        scene.import(image).unwrap();
        add_host(&scene, &format!("host-{image}"), machine, image, &[]);
    }
    let mut on: Vec<_> = machines.iter().map(|(_, machine)| scene.power_on(machine).unwrap()).collect();
    for ((image, machine), on) in machines.iter().zip(&mut on) {
        check_payload(machine, image, &on.wait_payload().unwrap());
        let events = [&LEASED[..], &BOOTED_BY_HTTP].concat();
        scene.daemon.wait_order(machine.mac_text(), &events, EVENT_DEADLINE).unwrap();
    }
}

/// No boot file of any kind went to this machine.
fn assert_fetched_nothing(scene: &Scene, machine: &Machine) {
    let events = timeline::of_machine(&scene.daemon.events(), machine.mac_text());
    let fetched: Vec<_> = events
        .iter()
        .filter(|event| event.name().starts_with("tftp.") || event.name().starts_with("http."))
        .collect();
    assert!(fetched.is_empty(), "{fetched:#?}");
}

#[test]
fn an_unknown_machine_is_shown_the_menu() {
    needs_tools!();
    let scene = Scene::new(server().unknown("menu")).unwrap();
    scene.import("one").unwrap();
    let machine = Machine::new("stranger", Firmware::Bios, 9);
    let on = scene.power_on(&machine).unwrap();
    on.running.wait_for("what does this machine boot?", BOOT_DEADLINE).unwrap();
    on.running.wait_for("one", BOOT_DEADLINE).unwrap();
    scene.daemon.wait_order(machine.mac_text(), &["dhcp.ack", "http.script"], EVENT_DEADLINE).unwrap();
}

#[test]
fn an_unknown_machine_goes_to_its_disk_when_told_so() {
    needs_tools!();
    let scene = Scene::new(server().unknown("local-disk")).unwrap();
    let machine = Machine::new("stranger", Firmware::Bios, 9);
    let on = scene.power_on(&machine).unwrap();
    // It has no disk, which is what the firmware then says.
    on.running.wait_for("No bootable device", BOOT_DEADLINE).unwrap();
    scene.daemon.wait_order(machine.mac_text(), &LEASED, EVENT_DEADLINE).unwrap();
}

#[test]
fn an_unknown_machine_is_ignored_when_told_so() {
    needs_tools!();
    let scene = Scene::new(server().unknown("ignore")).unwrap();
    let machine = Machine::new("stranger", Firmware::Bios, 9);
    let on = scene.power_on(&machine).unwrap();
    on.running.wait_for("No more network devices", BOOT_DEADLINE).unwrap();
    assert_fetched_nothing(&scene, &machine);
}
