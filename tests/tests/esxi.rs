//! ESXi through real firmware: a synthetic medium whose loader and kernel are ours, so that everything between DHCP and
//! the kernel is seen.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use harness::daemon::Config;
use harness::esxi::{Medium, RELEASES};
use harness::packages::{self, BOOT, CLIENTS, MEDIA};
use harness::qemu::wait_payload;
use harness::scene::{BOOT_DEADLINE, EVENT_DEADLINE, NETWORK, POOL, SERVER};
use harness::{Firmware, Machine, Scene};

macro_rules! needs_tools {
    () => {
        harness::enter!();
        if !(packages::here(BOOT) && packages::here(CLIENTS) && packages::here(MEDIA)) {
            return;
        }
    };
}

const MODULE_BYTES: usize = 40_000;

fn import(scene: &Scene, name: &str, medium: &Medium) {
    let folder = medium.folder.to_string_lossy();
    scene.daemon.command(&["image", "import", &folder, "--name", name, "--kind", "esxi"]).unwrap();
}

#[test]
fn a_uefi_machine_boots_esxi_by_the_loader_of_its_image() {
    needs_tools!();
    let machine = Machine::new("uefi", Firmware::UefiPxe, 1);
    let scene = Scene::new(Config::server(NETWORK, POOL)).unwrap();
    let medium = Medium::build(&scene.lab.path("media"), RELEASES[2], MODULE_BYTES).unwrap();
    import(&scene, "esxi-8", &medium);
    let args = ["host", "add", "esx01", "--mac", machine.mac_text(), "--image", "esxi-8"];
    scene.daemon.command(&[&args[..], &["--kernel-arg", "logPort=com1"]].concat()).unwrap();
    let mut on = scene.power_on(&machine).unwrap();
    let lines = wait_payload(&mut on.running, BOOT_DEADLINE).unwrap();
    let bootif = format!("BOOTIF=01-{}", machine.mac_text().replace(':', "-"));
    assert!(lines.contains(&format!("up runweasel logPort=com1 {bootif}")), "{lines:#?}");
    assert!(lines.contains(&format!("modules {}", medium.release.modules.len())), "{lines:#?}");
    let said = on.running.transcript().text();
    let own = machine.mac_text().replace(':', "-");
    for line in [
        "MBOOT bootdir esxi-8".to_owned(),
        format!("MBOOT config esxi-8/01-{own}/boot.cfg"),
        format!("MBOOT module /esxi-8/jumpstrt.gz {MODULE_BYTES} "),
    ] {
        assert!(said.contains(&line), "{line} is not in\n{said}");
    }
    let order = [
        "dhcp.discover",
        "dhcp.offer",
        "dhcp.ack",
        "tftp.done:loader",
        "tftp.done:config",
        "tftp.done:kernel",
        "tftp.done:module",
    ];
    scene.daemon.wait_order(machine.mac_text(), &order, EVENT_DEADLINE).unwrap();
}

#[test]
fn a_uefi_machine_boots_esxi_through_ipxe() {
    needs_tools!();
    let machine = Machine::new("uefi", Firmware::UefiPxe, 1);
    let scene = Scene::new(Config::server(NETWORK, POOL)).unwrap();
    let medium = Medium::build(&scene.lab.path("media"), RELEASES[1], MODULE_BYTES).unwrap();
    import(&scene, "esxi-7", &medium);
    let args = ["host", "add", "esx01", "--mac", machine.mac_text(), "--image", "esxi-7", "--loader", "ipxe"];
    scene.daemon.command(&args).unwrap();
    let mut on = scene.power_on(&machine).unwrap();
    let lines = wait_payload(&mut on.running, BOOT_DEADLINE).unwrap();
    assert!(lines.contains(&"up runweasel".to_owned()), "{lines:#?}");
    assert!(lines.contains(&format!("modules {}", medium.release.modules.len())), "{lines:#?}");
    let said = on.running.transcript().text();
    let base = format!("http://{SERVER}:8080/esxi-7");
    let own = machine.mac_text().replace(':', "-");
    for line in [
        format!("MBOOT config {base}/01-{own}/boot.cfg"),
        format!("MBOOT module {base}/k.b00 {MODULE_BYTES} "),
    ] {
        assert!(said.contains(&line), "{line} is not in\n{said}");
    }
    let order = [
        "tftp.done:loader",
        "http.script",
        "http.file:loader",
        "http.script:config",
        "http.file:kernel",
        "http.file:module",
    ];
    scene.daemon.wait_order(machine.mac_text(), &order, EVENT_DEADLINE).unwrap();
}

#[test]
fn a_bios_machine_whose_ipxe_cannot_run_the_loader_is_told_so_and_not_left_hanging() {
    needs_tools!();
    let machine = Machine::new("bios", Firmware::Bios, 1);
    let scene = Scene::new(Config::server(NETWORK, POOL)).unwrap();
    let medium = Medium::build(&scene.lab.path("media"), RELEASES[0], MODULE_BYTES).unwrap();
    import(&scene, "esxi-6", &medium);
    let args = ["host", "add", "esx01", "--mac", machine.mac_text(), "--image", "esxi-6"];
    scene.daemon.command(&args).unwrap();
    let _on = scene.power_on(&machine).unwrap();
    let order = ["dhcp.ack", "boot.refused", "http.script"];
    scene.daemon.wait_order(machine.mac_text(), &order, BOOT_DEADLINE).unwrap();
    let events = scene.daemon.events();
    let refused = events.iter().find(|event| event.name() == "boot.refused").unwrap();
    assert!(refused.text("cause").unwrap().contains("COMBOOT"), "{refused:?}");
    assert!(!events.iter().any(|event| event.text("file") == Some("esxi-6/MBOOT.C32")));
}
