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

/// The same from a disc image that is served as it is and read as a drive over HTTP.
#[test]
fn a_bios_machine_boots_a_disc_image_over_http() {
    needs_tools!();
    let machine = Machine::new("machine", Firmware::Bios, 1);
    let scene = Scene::new(Config::server(NETWORK, POOL)).unwrap();
    let disc = "/usr/lib/memtest86+/memtest86+x64.iso";
    scene.daemon.command(&["image", "import", disc, "--name", "disc", "--kind", "iso"]).unwrap();
    host(&scene, &machine, "disc");
    let _on = scene.power_on(&machine).unwrap();
    // The boot loader on it has no serial console: that it is read on and on shows that it runs.
    scene
        .daemon
        .wait_events("reads of the disc", BOOT_DEADLINE, |events| {
            let bytes: u64 = events
                .iter()
                .filter(|event| event.name() == "http.file" && event.text("image") == Some("disc"))
                .filter_map(|event| event.number("bytes"))
                .sum();
            (bytes > 100_000).then_some(())
        })
        .unwrap();
}
