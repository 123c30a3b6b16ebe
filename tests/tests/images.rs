//! Images of every kind that Debian's packages have, on real firmware.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use harness::daemon::Config;
use harness::packages::{self, BOOT, CLIENTS, MEDIA};
use harness::scene::{BOOT_DEADLINE, EVENT_DEADLINE, NETWORK, POOL};
use harness::{Firmware, Machine, Scene};

macro_rules! needs_tools {
    () => {
        harness::enter!();
        if !(packages::here(BOOT) && packages::here(CLIENTS) && packages::here(MEDIA)) {
            return;
        }
    };
}

fn host(scene: &Scene, machine: &Machine, image: &str) {
    scene.daemon.command(&["host", "add", "first", "--mac", machine.mac_text(), "--image", image]).unwrap();
}

/// The memory test says its name on the serial line.
fn memtest(firmware: Firmware, file: &str) {
    // On UEFI it gives up without a screen.
    let machine = Machine::new("machine", firmware, 1).screen();
    let scene = Scene::new(Config::server(NETWORK, POOL)).unwrap();
    scene.daemon.command(&["image", "import", "memtest", "--cmdline", "console=ttyS0,115200"]).unwrap();
    host(&scene, &machine, "memtest");
    let on = scene.power_on(&machine).unwrap();
    on.running.wait_for("Memtest86+", BOOT_DEADLINE).unwrap();
    scene
        .daemon
        .wait_order(machine.mac_text(), &["dhcp.ack", "boot.started", "http.script"], EVENT_DEADLINE)
        .unwrap();
    let events = scene.daemon.events();
    assert!(events.iter().any(|event| event.text("file") == Some(file)), "{events:?}");
}

#[test]
fn a_bios_machine_runs_the_memory_test() {
    needs_tools!();
    memtest(Firmware::Bios, "memtest/memtest86+x64.bin");
}

#[test]
fn a_uefi_machine_runs_the_memory_test() {
    needs_tools!();
    memtest(Firmware::UefiPxe, "memtest/memtest86+x64.efi");
}

/// A disc with isolinux, kernel and ramdisk: served as it is, read as a drive over HTTP.
#[test]
fn a_bios_machine_boots_a_disc_image_over_http() {
    needs_tools!();
    let machine = Machine::new("machine", Firmware::Bios, 1);
    let scene = Scene::new(Config::server(NETWORK, POOL)).unwrap();
    let disc = scene.payload.disc(&scene.lab.path("disc"), "disc").unwrap();
    let disc = disc.to_string_lossy();
    scene.daemon.command(&["image", "import", &disc, "--name", "disc", "--kind", "iso"]).unwrap();
    host(&scene, &machine, "disc");
    let mut on = scene.power_on(&machine).unwrap();
    let lines = on.wait_payload().unwrap();
    assert!(lines.contains(&"tag disc".to_owned()), "{lines:#?}");
    let events = scene.daemon.events();
    let parts =
        events.iter().filter(|event| event.name() == "http.file" && event.text("range").is_some()).count();
    assert!(parts > 10, "it was read in {parts} parts");
}

/// The files of a disc: told what they are, taken out of it, and booted by their names.
#[test]
fn kernel_and_ramdisk_are_taken_out_of_a_disc() {
    needs_tools!();
    let machine = Machine::new("machine", Firmware::Bios, 1);
    let scene = Scene::new(Config::server(NETWORK, POOL)).unwrap();
    let disc = scene.payload.disc(&scene.lab.path("disc"), "disc").unwrap();
    let args = ["image", "import", &disc.to_string_lossy(), "--name", "one", "--kind", "linux"];
    let files = ["--kernel", "isolinux/linux", "--initrd", "isolinux/payload.img"];
    let words = ["--cmdline", "console=ttyS0 quiet payload.tag=taken"];
    scene.daemon.command(&[&args[..], &files, &words].concat()).unwrap();
    host(&scene, &machine, "one");
    let lines = scene.power_on(&machine).unwrap().wait_payload().unwrap();
    assert!(lines.contains(&"tag taken".to_owned()), "{lines:#?}");
}

/// The script of the example, run as it is: what it shows is on the machine's screen, and the machine goes on to its disk.
#[test]
fn a_bios_machine_runs_a_script_as_it_is() {
    needs_tools!();
    let machine = Machine::new("machine", Firmware::Bios, 1).serial("7XK2P13");
    let scene = Scene::new(Config::server(NETWORK, POOL)).unwrap();
    let folder = scene.lab.path("scripts");
    std::fs::create_dir(&folder).unwrap();
    let own = harness::daemon::workspace().join("examples/tools/scripts/facts.ipxe");
    let text = std::fs::read_to_string(own).unwrap().replace("prompt --timeout 30000", "prompt --timeout 1");
    std::fs::write(folder.join("facts.ipxe"), text).unwrap();
    let folder = folder.to_string_lossy();
    let args = ["image", "import", &folder, "--name", "facts", "--script", "facts.ipxe"];
    scene.daemon.command(&args).unwrap();
    host(&scene, &machine, "facts");
    let on = scene.power_on(&machine).unwrap();
    on.running.wait_for("serial 7XK2P13", BOOT_DEADLINE).unwrap();
    on.running.wait_for(machine.mac_text(), BOOT_DEADLINE).unwrap();
    let events = scene.daemon.events();
    assert!(events.iter().any(|event| event.text("file") == Some("facts/facts.ipxe")), "{events:?}");
}

#[test]
fn a_uefi_machine_chains_to_grub() {
    needs_tools!();
    let machine = Machine::new("machine", Firmware::UefiPxe, 1);
    let scene = Scene::new(Config::server(NETWORK, POOL)).unwrap();
    let folder = "/usr/lib/grub/x86_64-efi/monolithic";
    let args = ["image", "import", folder, "--name", "grub", "--kind", "efi", "--efi", "grubnetx64.efi"];
    scene.daemon.command(&args).unwrap();
    host(&scene, &machine, "grub");
    let on = scene.power_on(&machine).unwrap();
    on.running.wait_for("GNU GRUB", BOOT_DEADLINE).unwrap();
}

/// The installer of Debian's package, to its first question, with an answer file of the host's on the way.
#[test]
fn a_bios_machine_comes_to_the_first_question_of_debians_installer() {
    needs_tools!();
    let machine = Machine::new("machine", Firmware::Bios, 1).memory_mib(1024);
    let scene = Scene::new(Config::server(NETWORK, POOL)).unwrap();
    scene.daemon.command(&["image", "import", "debian-netboot", "--cmdline", "console=ttyS0 --- "]).unwrap();
    host(&scene, &machine, "debian-netboot");
    let on = scene.power_on(&machine).unwrap();
    on.running.wait_for("Select a language", BOOT_DEADLINE).unwrap();
}
