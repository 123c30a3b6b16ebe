//! The life of a host on real firmware: installed once, and then left alone.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use harness::daemon::{Config, payload_cmdline};
use harness::packages::{self, BOOT, CLIENTS};
use harness::scene::{BOOT_DEADLINE, EVENT_DEADLINE, NETWORK, POOL};
use harness::{Firmware, Machine, Scene};
use serde_json::{Value, json};
use std::path::Path;

macro_rules! needs_tools {
    () => {
        harness::enter!();
        if !(packages::here(BOOT) && packages::here(CLIENTS)) {
            return;
        }
    };
}

/// Power-ons after an installation; in front of the eleventh it is armed again.
const POWER_ONS: usize = 10;

fn host(scene: &Scene) -> Value {
    let text = scene.daemon.command(&["host", "get", "web01", "-o", "json"]).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// How often the disk was installed.
fn installations(disk: &Path) -> u32 {
    let bytes = std::fs::read(disk).unwrap();
    let text = String::from_utf8_lossy(bytes.get(512..1024).unwrap()).trim_end_matches('\0').to_owned();
    if text.is_empty() { 0 } else { text.parse().unwrap() }
}

fn refused(scene: &Scene, args: &[&str]) -> String {
    scene.daemon.command(args).map(|said| panic!("{args:?} was done: {said}")).unwrap_err().to_string()
}

/// The appliance with an installer that reports `report`, and a machine with an empty disk.
fn scene(report: &str) -> (Scene, Machine, std::path::PathBuf) {
    let config = Config::server(NETWORK, POOL).unknown("ignore");
    let scene = Scene::new(config).unwrap();
    let cmdline = format!("{} payload.install={report}", payload_cmdline("installer"));
    let kernel = scene.payload.kernel.to_string_lossy().into_owned();
    let initrd = scene.payload.initrd.to_string_lossy().into_owned();
    let args = ["image", "import", "files", "--name", "installer", "--destructive"];
    scene
        .daemon
        .command(&[&args[..], &["--kernel", &kernel, "--initrd", &initrd, "--cmdline", &cmdline]].concat())
        .unwrap();
    let disk = scene.lab.path("disk.img");
    std::fs::File::create(&disk).unwrap().set_len(64 << 20).unwrap();
    let machine = Machine::new("machine", Firmware::Bios, 1).disk(&disk);
    (scene, machine, disk)
}

fn goes_to_its_disk(scene: &Scene, machine: &Machine) {
    let on = scene.power_on(machine).unwrap();
    on.running.wait_for("LOCAL DISK", BOOT_DEADLINE).unwrap();
}

#[test]
fn a_machine_is_installed_once_and_again_only_when_it_is_armed_again() {
    needs_tools!();
    let (scene, machine, disk) = scene("installed");
    let daemon = &scene.daemon;
    daemon.command(&["rule", "add", "all", "--image", "installer"]).unwrap();
    daemon.command(&["host", "add", "web01", "--mac", machine.mac_text()]).unwrap();
    assert!(refused(&scene, &["host", "boot", "web01", "--image", "installer"]).contains("--arm"));
    daemon.command(&["host", "lock", "web01", "--reason", "in production"]).unwrap();
    assert!(refused(&scene, &["host", "arm", "web01"]).contains("in production"));
    daemon.command(&["host", "unlock", "web01"]).unwrap();
    daemon.command(&["host", "arm", "web01"]).unwrap();
    assert_eq!(host(&scene)["life"]["stage"], "armed");
    assert!(refused(&scene, &["host", "arm", "web01"]).contains("armed"), "a double click is no loop");
    let explained = daemon.command(&["explain", "--name", "web01", "--firmware", "bios"]).unwrap();
    assert!(explained.contains("WOULD BOOT   image installer"), "{explained}");

    let mut on = scene.power_on(&machine).unwrap();
    let lines = on.wait_payload().unwrap();
    assert!(lines.contains(&"installed 1".to_owned()), "{lines:#?}");
    drop(on);
    daemon
        .wait_order(
            machine.mac_text(),
            &["boot.started", "boot.install_began", "boot.installed"],
            EVENT_DEADLINE,
        )
        .unwrap();
    let life = &host(&scene)["life"];
    assert_eq!(
        (&life["stage"], &life["installed"]["told"]),
        (&json!("installed"), &json!("installed")),
        "{life:#}"
    );
    let explained = daemon.command(&["explain", "--name", "web01", "--firmware", "bios"]).unwrap();
    assert!(explained.contains("local-disk") && explained.contains("installed from it"), "{explained}");

    for _ in 0..POWER_ONS {
        goes_to_its_disk(&scene, &machine);
    }
    assert_eq!(installations(&disk), 1);
    daemon.command(&["host", "arm", "web01", "--image", "installer"]).unwrap();
    let mut on = scene.power_on(&machine).unwrap();
    let lines = on.wait_payload().unwrap();
    assert!(lines.contains(&"installed 2".to_owned()), "{lines:#?}");
    drop(on);
    goes_to_its_disk(&scene, &machine);
    assert_eq!(installations(&disk), 2);
}

#[test]
fn an_installer_that_says_nothing_is_not_run_twice_and_orders_outlive_a_kill() {
    needs_tools!();
    let (scene, machine, disk) = scene("silent");
    let daemon = &scene.daemon;
    daemon.command(&["host", "add", "web01", "--mac", machine.mac_text()]).unwrap();
    daemon.command(&["host", "boot", "web01", "--image", "installer", "--arm"]).unwrap();
    let mut on = scene.power_on(&machine).unwrap();
    let lines = on.wait_payload().unwrap();
    assert!(lines.contains(&"installed 1".to_owned()), "{lines:#?}");
    drop(on);
    // It has no pin: its next boots are what the policy says, the image is no more.
    daemon.command(&["host", "set", "web01", "--image", "installer"]).unwrap();
    goes_to_its_disk(&scene, &machine);
    assert_eq!(installations(&disk), 1);
    // The files of the image are for nobody else, nor for it.
    let neighbour = scene.lab.station(&scene.segment, "neighbour", Some("10.77.0.66/24")).unwrap();
    let url = ["http://10.77.0.1:8080/installer/linux"];
    let got = harness::clients::curl(&scene.lab, &neighbour, &url);
    assert!(got.unwrap_err().to_string().contains("403"));
    daemon.command(&["host", "quarantine", "web01", "--reason", "smells odd", "--for", "1h"]).unwrap();
    assert!(refused(&scene, &["host", "arm", "web01"]).contains("smells odd"));
    let explained = daemon.command(&["explain", "--name", "web01", "--firmware", "bios"]).unwrap();
    assert!(explained.contains("quarantined"), "{explained}");
}

/// A machine nobody recorded waits on its screen, is recorded under its code, and goes on without being switched off.
#[test]
fn an_unknown_machine_waits_is_adopted_and_goes_on() {
    needs_tools!();
    let scene = Scene::new(Config::server(NETWORK, POOL).unknown("claim")).unwrap();
    scene.import("payload").unwrap();
    let daemon = &scene.daemon;
    daemon.command(&["group", "add", "lab", "--kernel-arg", "from.group=1", "--image", "payload"]).unwrap();
    let machine = Machine::new("machine", Firmware::Bios, 9);
    let mut on = scene.power_on(&machine).unwrap();
    on.running.wait_for("is not recorded yet", BOOT_DEADLINE).unwrap();
    let list = daemon.command(&["machine", "list", "-o", "json"]).unwrap();
    let list: Value = serde_json::from_str(&list).unwrap();
    let waiting = &list["items"][0];
    assert_eq!(
        (&waiting["mac"], &waiting["serial"]),
        (&json!(machine.mac_text()), &json!("LAB0009")),
        "{list:#}"
    );
    let code = waiting["code"].as_str().unwrap();
    on.running.wait_for(code, EVENT_DEADLINE).unwrap();
    assert!(refused(&scene, &["host", "adopt", "AAA-AAA"]).contains("machine list"));
    daemon.command(&["host", "adopt", &code.to_lowercase(), "--name", "web01", "--group", "lab"]).unwrap();
    let lines = on.wait_payload().unwrap();
    assert!(lines.contains(&"tag payload".to_owned()), "{lines:#?}");
    let up = lines.iter().find(|line| line.starts_with("up ")).unwrap();
    assert!(up.contains("from.group=1"), "{up}");
    assert_eq!(host(&scene)["match"]["uuid"], machine.uuid_text());
    daemon.wait_order(machine.mac_text(), &["host.held", "boot.started", "boot.up"], EVENT_DEADLINE).unwrap();
    // Another of the same maker is to be ignored: it gets no answer at all.
    daemon.command(&["machine", "ignore", "52:54:00:12:34:0a", "--oui"]).unwrap();
    let explained = daemon.command(&["explain", "--mac", "52:54:00:99:99:99", "--firmware", "bios"]).unwrap();
    assert!(explained.contains("52:54:00:99:99:99 is to be ignored"), "{explained}");
    let explained = daemon.command(&["explain", "--name", "web01", "--firmware", "bios"]).unwrap();
    assert!(explained.contains("image payload"), "a recorded host is not ignored: {explained}");
    daemon.command(&["machine", "heed", "52:54:00"]).unwrap();
    let explained = daemon.command(&["explain", "--mac", "52:54:00:99:99:99", "--firmware", "bios"]).unwrap();
    assert!(explained.contains("claim"), "{explained}");
}
