//! Rollouts and drift of a running appliance. Machines are played by curl: script, kernel, report.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use harness::clients::curl;
use harness::daemon::{Config, Daemon, binary};
use harness::packages::{self, CLIENTS};
use harness::scene::{EVENT_DEADLINE, NETWORK, POOL, SERVER};
use harness::timeline::Event;
use harness::{Lab, Namespace, Running, Segment};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

const HOSTS: usize = 12;
const AT_ONCE: usize = 3;
const LOCKED: usize = 2;
const FAILS: usize = 7;
/// A rollout that is watched is looked at once a second.
const WATCH_DEADLINE: Duration = Duration::from_secs(60);

fn host(number: usize) -> String {
    format!("esx-{number:02}")
}

fn mac(number: usize) -> String {
    format!("52:54:00:00:01:{number:02x}")
}

/// Machines of one rack behind one network card each, and the appliance.
struct Rack {
    daemon: Daemon,
    machines: Vec<Namespace>,
    server: Namespace,
    segment: Segment,
    /// Events of appliances that were killed.
    before: Vec<Event>,
    lab: Lab,
}

impl Rack {
    fn new() -> Rack {
        let lab = Lab::new().unwrap();
        let segment = lab.segment().unwrap();
        let server = lab.station(&segment, "server", Some(&format!("{SERVER}/24"))).unwrap();
        let machine = |number: usize| {
            let address = format!("10.77.0.{}/24", 20 + number);
            let machine = lab.station(&segment, &format!("m{number}"), Some(&address)).unwrap();
            // Its own card: answers about a host go where its card is.
            machine.ip(&["link", "set", "dev", "eth0", "address", &mac(number)]).unwrap();
            machine
        };
        let machines = (1..=HOSTS).map(machine).collect();
        let daemon = Daemon::start(&lab, &server, Rack::config()).unwrap();
        let rack = Rack { daemon, machines, server, segment, before: Vec::new(), lab };
        rack.import("one", &[]);
        rack.done(&["group", "add", "rack12", "--image", "installer"]);
        for number in 1..=HOSTS {
            rack.done(&["host", "add", &host(number), "--mac", &mac(number), "--group", "rack12"]);
        }
        rack
    }

    fn config() -> Config {
        Config::server(NETWORK, POOL).unknown("ignore")
    }

    /// A version of the installer.
    fn import(&self, content: &str, more: &[&str]) {
        let kernel = self.lab.path("kernel");
        std::fs::write(&kernel, content).unwrap();
        let kernel = kernel.to_string_lossy();
        let import =
            ["image", "import", "files", "--name", "installer", "--destructive", "--kernel", &kernel];
        self.done(&[&import[..], more].concat());
    }

    /// The appliance loses its power, and has it back.
    fn cut(self) -> Rack {
        let Rack { daemon, machines, server, segment, mut before, lab } = self;
        before.extend(daemon.events());
        daemon.cut();
        let daemon = Daemon::start(&lab, &server, Rack::config()).unwrap();
        Rack { daemon, machines, server, segment, before, lab }
    }

    /// Runs a command; its exit code and what it said.
    fn run(&self, args: &[&str]) -> (i32, String) {
        let output = Command::new(binary().unwrap())
            .args(args)
            .arg("--socket")
            .arg(self.daemon.socket())
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        (output.status.code().unwrap(), text)
    }

    fn done(&self, args: &[&str]) -> String {
        let (code, text) = self.run(args);
        assert_eq!(code, 0, "{args:?}: {text}");
        text
    }

    fn json(&self, args: &[&str]) -> (i32, Value) {
        let mut command = Command::new(binary().unwrap());
        let output =
            command.args(args).args(["-o", "json", "--socket"]).arg(self.daemon.socket()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{args:?}: {error}: {text}"));
        (output.status.code().unwrap(), value)
    }

    fn rollout(&self, name: &str) -> Value {
        let view = self.json(&["rollout", "get", name]).1;
        let under_way = &view["summary"];
        let under_way = under_way["armed"].as_u64().unwrap() + under_way["installing"].as_u64().unwrap();
        assert!(under_way <= AT_ONCE as u64, "{view:#}");
        view
    }

    /// Hosts of a rollout in this state.
    fn hosts(&self, name: &str, state: &str) -> Vec<usize> {
        let view = self.rollout(name);
        let hosts = view["hosts"].as_array().unwrap().iter();
        let hosts = hosts.filter(|host| host["state"] == state);
        hosts.map(|host| host["host"].as_str().unwrap()[4..].parse().unwrap()).collect()
    }

    fn wait(&self, what: &str, mut look: impl FnMut() -> bool) {
        let end = Instant::now() + EVENT_DEADLINE;
        while !look() {
            assert!(Instant::now() < end, "{what} did not come about");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// A machine fetches, as iPXE does, from its own address.
    fn fetch(&self, number: usize, url: &str) -> Result<String, String> {
        let bytes = curl(&self.lab, &self.machines[number - 1], &[url]);
        bytes.map(|bytes| String::from_utf8(bytes).unwrap()).map_err(|error| error.to_string())
    }

    /// Switched on: the token of its installation once the installer was fetched; `None` when it goes to its disk.
    fn begins(&self, number: usize) -> Option<String> {
        let facts = format!("mac={}&uuid=&platform=pcbios&arch=i386", mac(number));
        let script = self.fetch(number, &format!("http://{SERVER}:8080/boot.ipxe?{facts}")).unwrap();
        let word = |begin: &str| {
            script.split_whitespace().find_map(|word| word.find(begin).map(|at| word[at..].to_owned()))
        };
        let callback = word("reveille.callback=")?.split_once('=').unwrap().1.to_owned();
        let kernel = script.split_whitespace().find(|word| word.contains("/installer/")).unwrap();
        let kernel = kernel.to_owned();
        self.fetch(number, &kernel).unwrap();
        Some(callback.strip_suffix("/up").unwrap().to_owned())
    }

    fn says(&self, number: usize, token: &str, stage: &str) {
        self.fetch(number, &format!("{token}/{stage}")).unwrap();
    }

    fn installs(&self, number: usize) {
        let token = self.begins(number).unwrap_or_else(|| panic!("{} is not armed", host(number)));
        self.says(number, &token, "installed");
    }

    /// Installers given out, by host; and the most hosts that were armed or installing at once.
    fn audit(&self) -> (BTreeMap<String, usize>, usize) {
        let (mut begun, mut under_way, mut most) = (BTreeMap::new(), BTreeSet::new(), 0);
        let events = self.daemon.events();
        for event in self.before.iter().chain(&events) {
            let Some(host) = event.text("host").map(str::to_owned) else { continue };
            match event.name() {
                "host.armed" => drop(under_way.insert(host)),
                "boot.install_began" => *begun.entry(host).or_default() += 1,
                "boot.installed" | "boot.install_failed" | "host.disarmed" => drop(under_way.remove(&host)),
                _ => {}
            }
            most = most.max(under_way.len());
        }
        (begun, most)
    }
}

#[test]
fn a_rack_is_reinstalled_a_few_at_a_time_and_in_step_then() {
    harness::enter!();
    if !packages::here(CLIENTS) {
        return;
    }
    let rack = Rack::new();
    let (code, drift) = rack.json(&["drift"]);
    assert_eq!((code, &drift["drifted"], &drift["in_step"]), (3, &json!(HOSTS), &json!(0)), "{drift:#}");
    assert_eq!(drift["items"][0]["reasons"][0]["code"], "never_installed");
    let (code, text) = rack.run(&["drift", "--repair"]);
    assert!(code == 2 && text.contains("--yes"), "{code} {text}");
    assert_eq!(rack.run(&["drift", "--repair", "--dry-run"]).0, 3);
    assert!(rack.run(&["rollout", "start", "all", "--image", "installer"]).1.contains("R-ROL-02"));

    rack.done(&["host", "lock", &host(LOCKED), "--reason", "production"]);
    let start = ["rollout", "start", "rack12", "--group", "rack12", "--image", "installer", "--at-once", "3"];
    let (_, planned) = rack.json(&[&start[..], &["--dry-run"]].concat());
    assert_eq!((&planned["state"], &planned["summary"]["skipped"]), (&json!("planned"), &json!(1)));
    assert!(rack.json(&["rollout", "list"]).1["items"].as_array().unwrap().is_empty());
    rack.done(&start);
    assert_eq!(rack.run(&start).0, 6, "there is one of that name");
    rack.wait("the first three", || rack.hosts("rack12", "armed") == [1, 3, 4]);
    assert_eq!(rack.hosts("rack12", "skipped"), [LOCKED]);
    assert!(rack.begins(5).is_none(), "its turn has not come");

    rack.installs(1);
    rack.wait("the next one", || rack.hosts("rack12", "armed") == [3, 4, 5]);
    rack.done(&["rollout", "pause", "rack12"]);
    rack.installs(3);
    rack.wait("the end of one", || rack.hosts("rack12", "done") == [1, 3]);
    assert_eq!(rack.hosts("rack12", "armed"), [4, 5], "nobody is armed while it waits");
    rack.done(&["rollout", "resume", "rack12"]);
    rack.wait("another", || rack.hosts("rack12", "armed") == [4, 5, 6]);

    // Right behind a report, and with an installation under way whose report will not be known any more.
    rack.installs(4);
    let lost = rack.begins(5).unwrap();
    // Its event is told behind the answer; what is cut off first is counted by nobody.
    rack.wait("its event", || {
        let events = rack.daemon.events();
        events.iter().any(|it| it.name() == "boot.install_began" && it.text("host") == Some("esx-05"))
    });
    let rack = rack.cut();
    rack.wait("what was missed", || rack.hosts("rack12", "done") == [1, 3, 4]);
    assert!(rack.fetch(5, &format!("{lost}/installed")).is_err());
    assert_eq!(rack.hosts("rack12", "installing"), [5]);
    assert!(rack.begins(5).is_none(), "it is not installed again");
    rack.done(&["host", "installed", &host(5), "--image", "installer"]);
    rack.wait("the word of an operator", || rack.hosts("rack12", "done") == [1, 3, 4, 5]);
    rack.wait("the places of both", || rack.hosts("rack12", "armed") == [6, 7, 8]);

    // A failure stops it: who has not begun is armed no more, who has goes on.
    let going = rack.begins(6).unwrap();
    let token = rack.begins(FAILS).unwrap();
    rack.says(FAILS, &token, "failed");
    rack.wait("the stop", || rack.rollout("rack12")["state"] == "stopped");
    rack.wait("the disarming", || rack.json(&["host", "get", &host(8)]).1["life"]["armed"].is_null());
    assert!(rack.begins(8).is_none());
    rack.says(6, &going, "installed");
    rack.wait("the end of what went on", || rack.hosts("rack12", "done") == [1, 3, 4, 5, 6]);
    assert_eq!(rack.run(&["rollout", "watch", "rack12"]).0, 1);
    assert_eq!(rack.run(&["rollout", "rm", "rack12"]).0, 6, "it can go on");
    let rack = rack.cut();
    assert_eq!(rack.rollout("rack12")["state"], "stopped");
    rack.done(&["rollout", "resume", "rack12"]);
    let mut watch = Command::new(binary().unwrap());
    watch.args(["rollout", "watch", "rack12", "--socket"]).arg(rack.daemon.socket());
    let mut watch = Running::start("watch", watch, None).unwrap();
    for number in 8..=HOSTS {
        rack.wait("its turn", || rack.hosts("rack12", "armed").contains(&number));
        rack.installs(number);
    }
    rack.wait("the end", || rack.rollout("rack12")["state"] == "done");
    assert_eq!(rack.run(&["rollout", "watch", "rack12"]).0, 10);
    assert_eq!(watch.wait_exit(WATCH_DEADLINE).unwrap().code(), Some(10));
    let said = watch.transcript().text();
    assert!(said.contains("esx-12 done") && said.contains("esx-07 failed"), "{said}");
    let (begun, most) = rack.audit();
    assert_eq!(most, AT_ONCE);
    assert!(begun.len() == HOSTS - 1 && begun.values().all(|times| *times == 1), "{begun:?}");
    for number in 1..=HOSTS {
        assert!(rack.begins(number).is_none(), "{} is installed again", host(number));
    }

    // What is left is repaired.
    let (code, drift) = rack.json(&["drift", "--group", "rack12"]);
    let left: Vec<&str> =
        drift["items"].as_array().unwrap().iter().map(|item| item["host"].as_str().unwrap()).collect();
    assert_eq!((code, left), (3, vec!["esx-02", "esx-07"]), "{drift:#}");
    let (code, held) = rack.json(&["drift", "--repair", "--yes", "--name", "again", &host(LOCKED)]);
    assert_eq!((code, &held["held"][0]["why"]), (10, &json!("locked: production")), "{held:#}");
    rack.done(&["host", "unlock", &host(LOCKED)]);
    rack.done(&["drift", "--repair", "--yes", "--name", "again", "--at-once", "2"]);
    rack.wait("both", || rack.hosts("again", "armed") == [LOCKED, FAILS]);
    rack.installs(LOCKED);
    rack.installs(FAILS);
    rack.wait("the end", || rack.rollout("again")["state"] == "done");
    assert_eq!(rack.run(&["rollout", "watch", "again"]).0, 0);
    let (code, drift) = rack.json(&["drift"]);
    assert_eq!((code, &drift["in_step"]), (0, &json!(HOSTS)), "{drift:#}");
    rack.done(&["drift", "--repair"]);

    // Another value, and another version.
    let reasons = |number: usize| -> Vec<String> {
        let (code, drift) = rack.json(&["drift", &host(number)]);
        let reasons = drift["items"][0]["reasons"].as_array().cloned().unwrap_or_default();
        assert_eq!(code == 3, !reasons.is_empty(), "{drift:#}");
        reasons.iter().map(|reason| reason["code"].as_str().unwrap().to_owned()).collect()
    };
    rack.done(&["host", "set", &host(1), "--param", "ntp=10.77.0.1"]);
    assert_eq!((reasons(1), reasons(3)), (vec!["values".to_owned()], vec![]));
    rack.import("two", &["--replace"]);
    assert_eq!(reasons(1), ["version", "values"]);
    assert_eq!(reasons(3), ["version"]);

    // Cancelled: nobody stays armed.
    rack.done(&["rollout", "start", "new", "--group", "rack12", "--at-once", "3"]);
    rack.wait("the first", || rack.hosts("new", "armed") == [1, 2, 3]);
    let (_, refused) = rack.run(&["rollout", "start", "other", &host(12), "--image", "installer"]);
    assert!(refused.contains("R-ROL-06"), "{refused}");
    rack.done(&["rollout", "cancel", "new"]);
    assert_eq!(rack.rollout("new")["over"], true);
    assert_eq!(rack.hosts("new", "skipped").len(), HOSTS);
    assert!(rack.begins(1).is_none());
    assert_eq!(rack.run(&["rollout", "watch", "new"]).0, 1);
    rack.done(&["rollout", "rm", "new"]);
    assert_eq!(rack.run(&["rollout", "get", "new"]).0, 5);
}

/// One host that is woken, one whose controller does not answer, and one that nobody can switch.
#[test]
fn armed_hosts_are_switched_and_one_that_cannot_be_is_armed_no_more() {
    harness::enter!();
    if !packages::here(CLIENTS) {
        return;
    }
    let lab = Lab::new().unwrap();
    let segment = lab.segment().unwrap();
    let server = lab.station(&segment, "server", Some(&format!("{SERVER}/24"))).unwrap();
    let (password, kernel) = (lab.path("password"), lab.path("kernel"));
    std::fs::write(&password, "correct horse\n").unwrap();
    std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&kernel, "no kernel").unwrap();
    let redfish = json!({
        "url": "http://127.0.0.1:9", "user": "reveille", "password": { "file": password },
        "trust": { "insecure": true },
    });
    let config = Config::server(NETWORK, POOL)
        .host(json!({ "name": "woken", "match": { "mac": "52:54:00:00:00:01" }, "power": { "wol": {} } }))
        .host(json!({ "name": "mute", "match": { "mac": "52:54:00:00:00:02" }, "power": { "redfish": redfish } }))
        .host(json!({ "name": "plain", "match": { "mac": "52:54:00:00:00:03" } }));
    let daemon = Daemon::start(&lab, &server, config).unwrap();
    let kernel = kernel.to_string_lossy();
    daemon
        .command(&["image", "import", "files", "--name", "installer", "--destructive", "--kernel", &kernel])
        .unwrap();
    daemon
        .command(&[
            "rollout",
            "start",
            "all",
            "woken",
            "mute",
            "plain",
            "--order",
            "given",
            "--image",
            "installer",
            "--at-once",
            "3",
            "--max-failures",
            "0",
            "--power",
            "cycle",
        ])
        .unwrap();
    let told = |name: &str, host: &str| {
        let (what, host) = (format!("{name} of {host}"), host.to_owned());
        let look = |events: &[Event]| {
            events.iter().any(|event| event.name() == name && event.text("host") == Some(&host)).then_some(())
        };
        daemon.wait_events(&what, EVENT_DEADLINE, look).unwrap();
    };
    told("power.done", "woken");
    told("rollout.host_failed", "mute");
    told("host.disarmed", "mute");
    let view = daemon.command(&["rollout", "get", "all", "-o", "json"]).unwrap();
    let view: Value = serde_json::from_str(&view).unwrap();
    let states: Vec<&str> =
        view["hosts"].as_array().unwrap().iter().map(|host| host["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["armed", "failed", "armed"], "{view:#}");
    assert!(view["hosts"][1]["why"].as_str().unwrap().starts_with("not switched: "), "{view:#}");
}
