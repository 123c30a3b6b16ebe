//! Hooks of a running appliance: the receiver of `examples/hooks` takes what is signed, a command what it is given.

use harness::Lab;
use harness::daemon::{Config, Daemon, workspace};
use harness::packages::{self, CLIENTS};
use harness::scene::{EVENT_DEADLINE, NETWORK, POOL, SERVER};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

const PYTHON: &str = "/usr/bin/python3";
const MAC: &str = "52:54:00:00:00:07";

#[test]
fn an_event_of_the_appliance_reaches_a_receiver_that_checks_its_signature() {
    harness::enter!();
    if !packages::here(CLIENTS) || !std::path::Path::new(PYTHON).exists() {
        return;
    }
    let lab = Lab::new().unwrap();
    let segment = lab.segment().unwrap();
    let server = lab.station(&segment, "server", Some(&format!("{SERVER}/24"))).unwrap();
    let (key, noted) = (lab.path("key"), lab.path("noted"));
    std::fs::write(&key, "correct horse battery staple\n").unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut python = Command::new(PYTHON);
    python.arg(workspace().join("examples/hooks/receiver.py")).arg(&key).arg("8000");
    let receiver = server.start(&lab, "receiver", python).unwrap();

    let mut config = Config::server(NETWORK, POOL);
    config.set(
        &["hooks"],
        json!([
            { "name": "inventory", "events": ["host.*"], "url": "http://127.0.0.1:8000/hook", "secret": { "file": key },
              "retries": 10 },
            { "name": "forged", "events": ["host.*"], "url": "http://127.0.0.1:8000/hook", "secret": { "env": "PATH" } },
            { "name": "note", "events": ["host.armed"],
              "command": ["/bin/sh", "-c", "cat > \"$1\"", "note", noted.to_string_lossy()] },
        ]),
    );
    let daemon = Daemon::start(&lab, &server, config).unwrap();
    let kernel = lab.path("kernel");
    std::fs::write(&kernel, "no kernel").unwrap();
    let kernel = kernel.to_string_lossy();
    let import = ["image", "import", "files", "--name", "installer", "--destructive", "--kernel", &*kernel];
    daemon.command(&import).unwrap();
    daemon.command(&["host", "add", "web01", "--mac", MAC, "--image", "installer"]).unwrap();
    daemon.command(&["host", "arm", "web01"]).unwrap();

    // It prints only what its signature is right for.
    let text = receiver.wait_for("\"host.armed\"", EVENT_DEADLINE).unwrap();
    let line = text.lines().find(|line| line.contains("host.armed")).unwrap();
    let event: Value = serde_json::from_str(line.get(line.find('{').unwrap()..).unwrap()).unwrap();
    assert_eq!((&event["host"], &event["level"]), (&json!("web01"), &json!("info")), "{event:#}");

    // With another key it is refused, given up at once, and told.
    let failed = daemon
        .wait_events("hook.failed", EVENT_DEADLINE, |events| {
            events.iter().find(|event| event.name() == "hook.failed").cloned()
        })
        .unwrap();
    assert_eq!(failed.text("hook"), Some("forged"));
    let states = || -> Value {
        serde_json::from_str(&daemon.command(&["hook", "list", "-o", "json"]).unwrap()).unwrap()
    };
    let list = states();
    let of = |name: &str| {
        list["items"].as_array().unwrap().iter().find(|hook| hook["name"] == name).unwrap().clone()
    };
    assert!(of("inventory")["delivered"].as_u64().unwrap() >= 1, "{list:#}");
    assert_eq!(of("inventory")["failed"], 0, "{list:#}");
    assert!(of("forged")["last_error"].as_str().unwrap().contains("401"), "{list:#}");

    daemon.command(&["hook", "test", "inventory"]).unwrap();
    receiver.wait_for("\"hook.test\"", EVENT_DEADLINE).unwrap();
    let refused = daemon.command(&["hook", "test", "forged"]).unwrap_err().to_string();
    assert!(refused.contains("401"), "{refused}");
    assert!(daemon.command(&["hook", "test", "nobody"]).unwrap_err().to_string().contains("nobody"));
    let status = daemon.command(&["status"]).unwrap();
    assert!(status.contains("inventory.delivered"), "{status}");

    let end = std::time::Instant::now() + EVENT_DEADLINE;
    let given = loop {
        let given = std::fs::read_to_string(&noted).unwrap_or_default();
        if given.ends_with('}') {
            break given;
        }
        assert!(std::time::Instant::now() < end, "the command was given {given:?}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    assert_eq!(serde_json::from_str::<Value>(&given).unwrap()["event"], "host.armed");
}
