//! Power of recorded hosts, by the appliance's commands against a Redfish simulator.

use harness::Scene;
use harness::daemon::Config;
use harness::packages::{self, BOOT, CLIENTS};
use harness::python::{self, REDFISH};
use harness::scene::{NETWORK, POOL};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

const UUID: &str = "27946b59-9e44-4fa7-8e91-f3527a1ef094";
const PORT: u16 = 8765;
/// Python with its libraries takes seconds on a busy machine.
const READY: Duration = Duration::from_secs(60);

#[test]
fn a_host_is_switched_on_its_own_controller_only() {
    harness::enter!();
    if !(packages::here(BOOT) && packages::here(CLIENTS) && python::here(&REDFISH)) {
        return;
    }
    let secrets = tempfile::tempdir().unwrap();
    let password = secrets.path().join("password");
    std::fs::write(&password, "correct horse\n").unwrap();
    std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o600)).unwrap();
    let power = json!({ "redfish": {
        "url": format!("http://127.0.0.1:{PORT}"), "user": "reveille", "login": "basic",
        "password": { "file": password }, "trust": { "insecure": true },
    }});
    let other = "11223344-5566-7788-99aa-bbccddeeff00";
    let config = Config::server(NETWORK, POOL)
        .host(json!({ "name": "web01", "match": { "uuid": UUID }, "power": power }))
        .host(json!({ "name": "web02", "match": { "uuid": other }, "power": power }))
        .host(json!({ "name": "web03", "match": { "mac": "52:54:00:00:00:03" } }));
    let scene = Scene::new(config).unwrap();
    let settings = format!(
        "SUSHY_EMULATOR_LISTEN_IP = '127.0.0.1'\nSUSHY_EMULATOR_LISTEN_PORT = {PORT}\n\
         SUSHY_EMULATOR_FAKE_DRIVER = True\nSUSHY_EMULATOR_STATE_DIR = '{}'\n\
         SUSHY_EMULATOR_FAKE_SYSTEMS = [{{'uuid': '{UUID}', 'name': 'node', 'power_state': 'Off', 'nics': []}}]\n",
        secrets.path().display()
    );
    let file = secrets.path().join("emulator.conf");
    std::fs::write(&file, settings).unwrap();
    let mut simulator = REDFISH.command();
    simulator.arg("--config").arg(&file).arg("--fake");
    let running = scene.server.start(&scene.lab, "redfish", simulator).unwrap();
    running.wait_for("Running on http", READY).unwrap();

    let power = |args: &[&str]| -> Value {
        let text = scene.daemon.command(&[&["host", "power"], args, &["-o", "json"]].concat()).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let refused =
        |args: &[&str]| scene.daemon.command(args).map(|said| panic!("{said}")).unwrap_err().to_string();
    assert_eq!(power(&["web01"])["system"]["power"], "off");
    let dry = power(&["web01", "on", "--next-boot", "pxe", "--dry-run"]);
    assert!(dry["planned"].as_array().is_some_and(|planned| !planned.is_empty()), "{dry:#}");
    assert_eq!(power(&["web01"])["system"]["power"], "off");
    power(&["web01", "on", "--next-boot", "pxe"]);
    assert_eq!(power(&["web01"])["system"]["power"], "on");
    assert!(refused(&["host", "power", "web02", "off", "--grace", "0"]).contains("R-POW-02"));
    assert_eq!(power(&["web01"])["system"]["power"], "on", "it is another machine's controller");
    assert!(refused(&["host", "power", "web03", "on"]).contains("R-POW-01"));
    let events = scene.daemon.events();
    let told: Vec<&str> =
        events.iter().map(harness::timeline::Event::name).filter(|name| name.starts_with("power.")).collect();
    assert_eq!(told, ["power.done", "power.failed"]);
    let all = format!("{events:?}");
    assert!(!all.contains("correct horse"), "a password is in an event");
}
