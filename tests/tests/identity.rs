//! Machines that are remembered, changed, mistaken for each other; and secrets that nothing shows. Against a running appliance,
//! by a scripted machine (`tests/python/machine.py`).

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use harness::daemon::{Config, Daemon, workspace};
use harness::packages::{self, BOOT, CLIENTS, INSTALLERS};
use harness::scene::{EVENT_DEADLINE, NETWORK, POOL, SERVER};
use harness::{Lab, Namespace, Segment};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

const PYTHON: &str = "/usr/bin/python3";
/// An address is probed before it is offered, and curl waits for a busy machine.
const MACHINE_DEADLINE: Duration = Duration::from_secs(120);

const DELL: &str = "serial=SN1&vendor=Dell%20Inc.&model=R750&arch=x86_64&platform=pcbios";
const OTHER: &str = "serial=SN2&vendor=HPE&model=DL380&arch=x86_64&platform=pcbios";

macro_rules! needs_tools {
    () => {
        harness::enter!();
        if !(packages::here(BOOT) && packages::here(CLIENTS) && packages::here(INSTALLERS)) {
            return;
        }
    };
}

fn guid(last: u8) -> String {
    format!("11223344-5566-7788-99aa-bbccddeeff{last:02x}")
}

fn mac(last: u8) -> String {
    format!("52:54:00:00:00:{last:02x}")
}

struct Site {
    daemon: Option<Daemon>,
    config: Config,
    server: Namespace,
    client: Namespace,
    _segment: Segment,
    lab: Lab,
}

impl Site {
    fn new(lab: Lab, config: Config) -> Site {
        let segment = lab.segment().unwrap();
        let server = lab.station(&segment, "server", Some(&format!("{SERVER}/24"))).unwrap();
        let client = lab.station(&segment, "client", None).unwrap();
        let daemon = Some(Daemon::start(&lab, &server, config.clone()).unwrap());
        Site { daemon, config, server, client, _segment: segment, lab }
    }

    fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().unwrap()
    }

    /// As a power cut would end it, and on again.
    fn kill_and_start(&mut self) {
        self.daemon.take().unwrap().cut();
        self.daemon = Some(Daemon::start(&self.lab, &self.server, self.config.clone()).unwrap());
    }

    fn command(&self, args: &[&str]) -> String {
        self.daemon().command(args).unwrap()
    }

    fn json(&self, args: &[&str]) -> Value {
        let text = self.command(&[args, &["-o", "json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{args:?}: {error}\n{text}"))
    }

    /// What a machine is given: `args` as `machine.py` takes them.
    fn machine(&self, args: &[&str]) -> Value {
        let mut python = Command::new(PYTHON);
        python.arg(workspace().join("tests/python/machine.py")).args(args);
        let text = self.client.output(&self.lab, "machine", python, MACHINE_DEADLINE).unwrap();
        serde_json::from_str(text.trim()).unwrap_or_else(|error| panic!("{args:?}: {error}\n{text}"))
    }

    fn event(&self, name: &str, number: usize) -> harness::timeline::Event {
        self.daemon()
            .wait_events(name, EVENT_DEADLINE, |events| {
                events.iter().filter(|event| event.name() == name).nth(number).cloned()
            })
            .unwrap()
    }

    fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let end = Instant::now() + EVENT_DEADLINE;
        while !holds() {
            assert!(Instant::now() < end, "{what}: {}", self.command(&["status"]));
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn kept(&self) -> u64 {
        self.json(&["status"])["counters"]["machines"]["kept"].as_u64().unwrap()
    }

    fn import(&self, name: &str, more: &[&str]) {
        let kernel = self.lab.path("kernel");
        std::fs::write(&kernel, "no kernel").unwrap();
        let kernel = kernel.to_string_lossy();
        let import = ["image", "import", "files", "--name", name, "--kernel", &*kernel];
        self.command(&[&import[..], more].concat());
    }
}

#[test]
fn a_machine_that_was_asked_is_known_at_its_first_discover_after_a_kill() {
    needs_tools!();
    let mut site = Site::new(Lab::new().unwrap(), Config::server(NETWORK, POOL).unknown("ignore"));
    site.import("payload", &[]);
    site.command(&["rule", "add", "dells", "--when", "vendor=Dell", "--image", "payload"]);
    // Neither is known: both are asked first.
    for (last, query) in [(1, DELL), (2, OTHER)] {
        let told = site.machine(&[&mac(last), &guid(last), query]);
        assert_ne!(told["file"], "", "{told:#}");
        let script = told["script"].as_str().unwrap();
        assert_eq!(script.contains("payload"), last == 1, "{script}");
    }
    // One that only asks for an address is not kept.
    site.machine(&[&mac(3), &guid(3)]);
    site.until("both are kept", || site.kept() == 2);
    let before = site.json(&["machine", "get", &mac(2)]);
    assert_eq!(before["facts"]["serial"], "SN2", "{before:#}");

    site.kill_and_start();
    assert_eq!(site.kept(), 2);
    let after = site.json(&["machine", "get", &mac(2)]);
    assert_eq!((&after["first_seen"], &after["facts"]["serial"]), (&before["first_seen"], &json!("SN2")));
    assert_ne!(site.machine(&[&mac(1), &guid(1)])["file"], "");
    // Nobody has to ask it again what it is: no rule means it, and it is ignored at once.
    assert_eq!(site.machine(&[&mac(2), &guid(2)])["file"], "");
    assert_ne!(site.machine(&[&mac(3), &guid(3)])["file"], "", "this one has to be asked yet");

    site.command(&["machine", "forget", &mac(2)]);
    let gone = site.daemon().command(&["machine", "get", &mac(2)]).unwrap_err().to_string();
    assert!(gone.contains("there is no machine"), "{gone}");
    assert_ne!(site.machine(&[&mac(2), &guid(2)])["file"], "");
}

#[test]
fn a_replaced_card_or_board_erases_nothing_before_it_is_sure_and_twins_are_told_apart() {
    needs_tools!();
    let mut site = Site::new(Lab::new().unwrap(), Config::server(NETWORK, POOL).unknown("ignore"));
    site.import("installer", &["--destructive"]);
    let add = ["host", "add", "web01", "--mac", &mac(1), "--uuid", &guid(1), "--serial", "SN1"];
    site.command(&[&add[..], &["--image", "installer"]].concat());
    site.command(&["host", "arm", "web01"]);

    // Its card is another one, and it was never asked for its serial number: it is asked before it may erase anything.
    let told = site.machine(&[&mac(11), &guid(1), "arch=x86_64&platform=pcbios"]);
    assert_ne!(told["file"], "", "{told:#}");
    assert!(!told["script"].as_str().unwrap().contains("installer/"), "{told:#}");
    let event = site.event("host.identity_changed", 0);
    assert_eq!((event.text("host"), event.text("reason")), (Some("web01"), Some("nic_changed")));
    let host = site.json(&["host", "get", "web01"]);
    assert_eq!(host["identity_changes"][0]["value"], mac(11), "{host:#}");
    assert_eq!(
        (&host["identity_changes"][0]["holds"], &host["life"]["stage"]),
        (&json!(true), &json!("armed"))
    );
    let explained = site.command(&["explain", "--mac", &mac(11)]);
    assert!(explained.contains("host accept-change web01"), "{explained}");
    site.until("the alarm is on the disk", || site.kept() == 1);

    site.kill_and_start();
    let listed = site.json(&["machine", "conflicts"]);
    assert_eq!(listed["items"][0]["kind"], "identity_changed", "{listed:#}");
    site.command(&["host", "accept-change", "web01"]);
    let host = site.json(&["host", "get", "web01"]);
    assert_eq!(host["match"]["mac"], json!([mac(1), mac(11)]), "{host:#}");
    assert_eq!(host["identity_changes"], Value::Null, "{host:#}");
    site.event("host.identity_settled", 0);
    let told = site.machine(&[&mac(11), &guid(1), "arch=x86_64&platform=pcbios"]);
    assert!(told["script"].as_str().unwrap().contains("installer"), "{told:#}");

    // Its board is another one; its serial number settles that without anybody.
    let told = site.machine(&[&mac(1), &guid(77), DELL]);
    assert!(told["script"].as_str().unwrap().contains("installer"), "{told:#}");
    let changed = site.event("host.identity_changed", 0);
    assert_eq!(changed.text("reason"), Some("board_changed"));

    // Two machines with one GUID.
    let both = guid(50);
    site.machine(&[&mac(50), &both, "serial=SN50&vendor=Dell"]);
    site.machine(&[&mac(51), &both, "serial=SN51&vendor=Dell"]);
    let twins = site.event("host.uuid_duplicate", 0);
    assert!(twins.text("macs").is_some_and(|macs| macs.contains(&mac(50)) && macs.contains(&mac(51))));
    let table = site.command(&["machine", "conflicts"]);
    assert!(table.contains("uuid_duplicate") && table.contains(&both), "{table}");
    site.machine(&[&mac(51), &guid(51)]);
    site.until("the clone has a GUID of its own", || {
        !site.command(&["machine", "conflicts"]).contains(&both)
    });
}

/// Appears nowhere by itself.
const MARK: &str = "SECRETMARK";

#[test]
fn secrets_reach_their_machine_and_are_shown_nowhere_else() {
    needs_tools!();
    let lab = Lab::new().unwrap();
    let secret = |name: &str| {
        let path = lab.path(name);
        std::fs::write(&path, format!("{MARK}-{name}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path.to_string_lossy().into_owned()
    };
    let (root, hook, bmc, ldap) = (secret("root"), secret("hook"), secret("bmc"), secret("ldap"));
    // No number: its answer file cannot be made.
    let broken = secret("broken");
    let power = json!({ "redfish": {
        "url": "http://127.0.0.1:1", "user": "reveille", "login": "basic",
        "password": { "file": bmc }, "trust": { "insecure": true },
    }});
    let mut config = Config::server(NETWORK, POOL).unknown("ignore");
    config.set(
        &["hooks"],
        json!([{ "name": "inventory", "events": ["*"], "url": "http://127.0.0.1:1/hook",
                 "secret": { "file": hook }, "retries": 0 }]),
    );
    config.set(
        &["resources", "templates"],
        json!([
            { "name": "answer", "kind": "text", "text": "password {{ params.root_hash }}\n" },
            { "name": "broken", "kind": "text",
              "text": "{% if 'broken' in params.root_hash %}{{ params.root_hash | int }}{% endif %}" },
        ]),
    );
    let host = |name: &str, last: u8, template: &str, file: &str| {
        let reference = format!("secret:file:{file}");
        json!({ "name": name, "match": { "mac": mac(last) }, "image": "payload", "template": template,
                "params": { "root_hash": reference }, "power": power })
    };
    let config = config.host(host("web01", 1, "answer", &root)).host(host("web02", 2, "broken", &broken));
    let site = Site::new(lab, config);
    site.import("payload", &["--cmdline", "answer={{url}}"]);

    // The machine is given what is its own, and the broken one a message without it.
    let told = site.machine(&[&mac(1), &guid(1), DELL, "answer"]);
    assert_eq!(told["answer"], format!("password {MARK}-root\n"), "{told:#}");
    let script = told["script"].as_str().unwrap();
    let token = script.split("/b/").nth(1).and_then(|rest| rest.split('/').next()).unwrap().to_owned();
    assert_eq!(token.len(), 32, "{script}");
    let told = site.machine(&[&mac(2), &guid(2), OTHER]);
    let mut shown = vec![("the screen of web02".to_owned(), told.to_string())];
    site.event("boot.refused", 0);
    site.event("hook.failed", 0);
    site.until("both are kept", || site.kept() == 2);

    let said = |args: &[&str]| match site.daemon().command(args) {
        Ok(text) => text,
        Err(error) => format!("{error:#}"),
    };
    let power = said(&["host", "power", "web01"]);
    assert!(power.contains("127.0.0.1"), "{power}");
    let import =
        said(&["host", "import", "ldap://127.0.0.1:1", "--bind", "x@example", "--password-file", &ldap]);
    shown.extend([("host power".to_owned(), power), ("host import".to_owned(), import)]);
    let file = site.daemon().folder().join("reveille.yaml").to_string_lossy().into_owned();
    let looks: &[&[&str]] = &[
        &["events", "--since", "0", "-o", "json"],
        &["explain", "--mac", &mac(1)],
        &["explain", "--name", "web01", "-o", "json"],
        &["explain", "--name", "web02"],
        &["host", "get", "web01"],
        &["host", "get", "web01", "-o", "json"],
        &["host", "list", "-o", "json"],
        &["machine", "get", &mac(1), "-o", "json"],
        &["boot", "list", "-o", "json"],
        &["image", "get", "payload", "-o", "json"],
        &["rule", "list", "-o", "json"],
        &["hook", "list", "-o", "json"],
        &["status", "-o", "json"],
        &["config", "show", "--config", &file, "-o", "json"],
        &["store", "dump"],
        &["export"],
        &["trace", "web01"],
        &["trace", "web01", "-o", "json"],
        &["trace", "web01", "-o", "otlp"],
        &["trace", "web02"],
        &["simulate", "--mac", &mac(1), "--verbose"],
        &["simulate", "--mac", &mac(1), "-o", "json"],
        &["simulate", "--mac", &mac(2), "--verbose"],
        &["resource", "list", "-o", "json"],
        &["template", "list", "-o", "json"],
    ];
    for args in looks {
        shown.push((args.join(" "), site.command(args)));
    }
    shown.push(("the log".to_owned(), site.daemon().process().transcript().text()));
    let mut folders = vec![site.daemon().folder().join("store")];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.is_file() {
                let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
                shown.push((path.display().to_string(), text));
            }
        }
    }
    for (what, text) in &shown {
        assert!(!text.contains(MARK), "{what} shows a secret:\n{text}");
        assert!(!text.contains(&token), "{what} shows the token of a boot:\n{text}");
    }
    // What was looked at was there to be seen.
    let of = |name: &str| &shown.iter().find(|(what, _)| what.starts_with(name)).unwrap().1;
    assert!(of("explain --mac").contains("secret:file:"), "{}", of("explain --mac"));
    assert!(of("events").contains("boot.started") && of("the log").contains("boot.started"));
    assert!(of("store dump").contains("\"serial\":\"SN1\""), "{}", of("store dump"));
    let mut journal = shown.iter().filter(|(what, _)| what.contains("/journal/"));
    assert!(journal.any(|(_, text)| text.contains("web01")), "no file of the journal has a host in it");
    assert!(of("trace web01").contains("script") && of("template list").contains("answer"));
    assert!(of("simulate --mac").contains("payload"), "{}", of("simulate --mac"));
}
