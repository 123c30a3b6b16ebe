//! Bundles on real machines' terms: an answer file fetched with the boot's secret, and the script it names run by dash with curl
//! and by busybox with wget, against the running appliance.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use harness::clients::{self, CLIENT_DEADLINE};
use harness::daemon::{Config, Daemon};
use harness::packages::{self, BOOT, CLIENTS};
use harness::scene::{EVENT_DEADLINE, NETWORK, POOL, SERVER};
use harness::{Lab, Namespace, Segment};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

const MAC: &str = "52:54:00:00:00:07";
const OTHER: &str = "52:54:00:00:00:08";
/// What a shell must not take apart.
const MOTD: &str = "it's \"so\"; $(touch evil) `touch evil` \\ %end; exit 77";
const KICKSTART: &str = "text\n%post\n{{ bundles.run }}\n%end\n%post\n{{ bundles.inline }}\n%end\n";

/// Programs of busybox, as a small system has them. Not its wget: the one of Debian's static busybox crashes.
const APPLETS: [&str; 10] =
    ["mktemp", "sed", "tail", "cat", "rm", "mkdir", "timeout", "true", "sleep", "cut"];

/// Fields in dropping order.
struct Place {
    daemon: Daemon,
    machine: Namespace,
    segment: Segment,
    lab: Lab,
    trace: PathBuf,
    _server: Namespace,
}

/// An appliance with host `web01` that runs `base`, then `late`; the machine has its address.
fn place() -> Place {
    let lab = Lab::new().unwrap();
    let segment = lab.segment().unwrap();
    let server = lab.station(&segment, "server", Some(&format!("{SERVER}/24"))).unwrap();
    let trace = lab.path("trace");
    let noted = |text: &str| format!("echo {text} >>{{{{ params.trace }}}}\n{text}() {{ :; }}\n");
    let mut config = Config::server(NETWORK, POOL);
    config
        .set(&["resources", "templates"], json!([{ "name": "std", "kind": "kickstart", "text": KICKSTART }]));
    config.set(
        &["resources", "bundles"],
        json!([
            { "name": "base", "scripts": [
                { "name": "motd", "text": format!("{}printf %s {{{{ params.motd | quote }}}} >{{{{ params.trace }}}}.motd\n", noted("one")) },
                { "name": "breaks", "text": format!("{}echo some words\necho the last words >&2\nexit 3\n", noted("two")),
                  "on_failure": "continue" },
                { "name": "slow", "text": format!("{}exec sleep 600\n", noted("three")), "timeout_secs": 1,
                  "on_failure": "continue" },
            ]},
            { "name": "late", "scripts": [
                { "name": "stops", "text": format!("{}exit 9\n", noted("four")) },
                { "name": "never", "text": noted("five") },
            ]},
        ]),
    );
    let host = json!({
        "name": "web01", "match": { "mac": MAC }, "image": "linux", "bundles": ["base"], "bundles_append": ["late"],
        "params": { "trace": trace, "motd": MOTD },
    });
    let daemon = Daemon::start(&lab, &server, config.host(host)).unwrap();
    let kernel = lab.path("kernel");
    std::fs::write(&kernel, "no kernel").unwrap();
    let kernel = kernel.to_string_lossy().into_owned();
    let import = ["image", "import", "files", "--name", "linux", "--kernel", &kernel, "--template", "std"];
    daemon.command(&[&import[..], &["--cmdline", "inst.ks={{ url }}"]].concat()).unwrap();
    let machine = leased(&lab, &segment, "machine", MAC);
    Place { daemon, machine, segment, lab, trace, _server: server }
}

fn leased(lab: &Lab, segment: &Segment, role: &str, mac: &str) -> Namespace {
    let station = lab.station(segment, role, None).unwrap();
    station.ip(&["link", "set", "eth0", "address", mac]).unwrap();
    switched_on(lab, &station);
    station
}

/// It asks as its ROM does: who booted here is known by its address.
fn switched_on(lab: &Lab, station: &Namespace) {
    let rom = ["-V", "PXEClient:Arch:00000:UNDI:002001", "-x", "0x5d:0000"];
    clients::udhcpc(lab, station, &rom).unwrap();
}

impl Place {
    fn fetch(&self, station: &Namespace, url: &str) -> Result<String, String> {
        let got = clients::curl(&self.lab, station, &[url]).map_err(|error| format!("{error:#}"))?;
        Ok(String::from_utf8(got).unwrap())
    }

    /// Begins a boot: the URL of the answer file, below which the secret stands.
    fn boot(&self) -> String {
        switched_on(&self.lab, &self.machine);
        let url = format!("http://{SERVER}:8080/boot.ipxe?mac={MAC}&platform=pcbios&arch=x86_64");
        let script = self.fetch(&self.machine, &url).unwrap();
        let url = script.split_whitespace().find_map(|word| word.strip_prefix("inst.ks="));
        url.unwrap_or_else(|| panic!("{script}")).to_owned()
    }

    /// Runs lines as an installer would; what was said, with the status in its last line.
    fn run(&self, shell: &[&str], lines: &str, path: Option<&Path>) -> String {
        let _ = std::fs::remove_file(&self.trace);
        let mut command = Command::new(shell.first().unwrap());
        // What starts it looks for its own programs first.
        let path = path.map(|path| format!("PATH={}\n", path.display())).unwrap_or_default();
        command.args(shell.get(1..).unwrap()).arg("-c").arg(format!("{path}{lines}\necho STATUS $?"));
        self.machine.output(&self.lab, "bundles", command, CLIENT_DEADLINE).unwrap()
    }

    /// A folder with these programs and no other.
    fn programs(&self, own: &str, programs: &[(&str, &str)]) -> PathBuf {
        let folder = self.lab.path(&format!("programs-{own}"));
        std::fs::create_dir(&folder).unwrap();
        for (name, program) in programs {
            std::os::unix::fs::symlink(program, folder.join(name)).unwrap();
        }
        folder
    }

    fn traced(&self) -> Vec<String> {
        std::fs::read_to_string(&self.trace).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    fn runs(&self) -> Vec<Value> {
        let host = self.daemon.command(&["host", "get", "web01", "-o", "json"]).unwrap();
        let host: Value = serde_json::from_str(&host).unwrap();
        host["bundle_runs"].as_array().unwrap().clone()
    }

    /// `base/motd done 0` of each script, in order.
    fn states(&self) -> Vec<String> {
        let text = |run: &Value, key: &str| run[key].as_str().unwrap().to_owned();
        let shown = |run: &Value| {
            format!(
                "{}/{} {} {}",
                text(run, "bundle"),
                text(run, "script"),
                text(run, "state"),
                run["exit_status"]
            )
        };
        self.runs().iter().map(shown).collect()
    }
}

const ENDED: [&str; 5] = [
    "base/motd done 0",
    "base/breaks failed 3",
    "base/slow failed 124",
    "late/stops failed 9",
    "late/never not-run null",
];

#[test]
fn a_machine_runs_its_bundles_in_order_and_each_status_arrives() {
    harness::enter!();
    if !packages::here(CLIENTS) || !packages::here(BOOT) {
        return;
    }
    let place = place();
    assert!(place.states().iter().all(|state| state.ends_with("not-run null")), "{:?}", place.states());

    // By dash with curl, as the answer file says.
    let url = place.boot();
    let answer = place.fetch(&place.machine, &url).unwrap();
    let line = answer.lines().find(|line| line.starts_with("( f=$(mktemp)")).unwrap().to_owned();
    let said = place.run(&["/bin/sh"], &line, None);
    assert!(said.ends_with("STATUS 9\n"), "{said}");
    assert_eq!(
        place.traced(),
        ["one", "two", "three", "four"],
        "in order, and nothing behind the one that stops"
    );
    let motd = std::fs::read_to_string(place.trace.with_extension("motd")).unwrap();
    assert_eq!(motd, MOTD, "the value is what it was");
    assert_eq!(place.states(), ENDED);
    let breaks = place.runs()[1].clone();
    assert_eq!(breaks["output"], "some words\nthe last words", "{breaks:#}");
    let order = [
        "boot.started",
        "bundle.script_started",
        "bundle.script_done",
        "bundle.failed",
        "bundle.script_started",
        "bundle.failed",
        "bundle.failed",
    ];
    place.daemon.wait_order(MAC, &order, EVENT_DEADLINE).unwrap();
    let failed = place.daemon.events().into_iter().find(|event| event.name() == "bundle.failed").unwrap();
    assert_eq!((failed.text("script"), failed.number("exit_status")), (Some("breaks"), Some(3)));
    assert!(failed.text("output").unwrap().contains("the last words"));
    let status = place.daemon.command(&["bundle", "status", "web01"]).unwrap_err().to_string();
    assert!(status.contains("the last words") && status.contains("exit status: 3"), "{status}");
    let explained = place.daemon.command(&["explain", "--name", "web01"]).unwrap();
    assert!(explained.contains("base/breaks failed with status 3"), "{explained}");
    assert!(
        explained.contains("bundles base ← host web01") && explained.contains("bundles_append late"),
        "{explained}"
    );

    // By busybox's shell and programs, out of the answer file itself, in another boot.
    let url = place.boot();
    let before = place.runs()[0]["boot"].clone();
    let answer = place.fetch(&place.machine, &url).unwrap();
    let inline = answer.split("%post\n").nth(2).unwrap().split("\n%end").next().unwrap();
    let programs: Vec<(&str, &str)> = APPLETS.into_iter().map(|applet| (applet, "/bin/busybox")).collect();
    let path = place.programs("busybox", &[&programs[..], &[("curl", "/usr/bin/curl")]].concat());
    let said = place.run(&["/bin/busybox", "sh"], inline, Some(&path));
    assert!(said.ends_with("STATUS 9\n") && !said.contains("nobody could be told"), "{said}");
    assert_eq!(place.traced(), ["one", "two", "three", "four"]);
    assert_eq!(place.states(), ENDED);
    assert_ne!(place.runs()[0]["boot"], before, "the last run of each is kept");
    assert_eq!(place.runs()[3]["boot"], place.runs()[0]["boot"]);

    // With wget alone: it fetches the script, and tells.
    let before = place.runs()[0]["boot"].clone();
    let url = place.boot();
    let line = line.replace(token(&answer_line(&line)), token(&url));
    let path =
        place.programs("wget", &[&programs[..], &[("sh", "/bin/sh"), ("wget", "/usr/bin/wget")]].concat());
    let said = place.run(&["/bin/sh"], &line, Some(&path));
    assert!(said.ends_with("STATUS 9\n") && !said.contains("nobody could be told"), "{said}");
    assert_eq!(place.traced(), ["one", "two", "three", "four"]);
    assert_eq!(place.states(), ENDED);
    assert_ne!(place.runs()[0]["boot"], before);
    assert_eq!(place.runs()[1]["output"], "some words\nthe last words");
}

fn answer_line(line: &str) -> String {
    line.split_whitespace().find(|word| word.starts_with("http://")).unwrap().to_owned()
}

/// The secret in a URL.
fn token(url: &str) -> &str {
    url.split("/b/").nth(1).unwrap().split('/').next().unwrap()
}

#[test]
fn bundles_and_reports_are_for_the_machine_whose_boot_it_is() {
    harness::enter!();
    if !packages::here(CLIENTS) || !packages::here(BOOT) {
        return;
    }
    let place = place();
    let url = place.boot();
    let base = url.split("/answer/").next().unwrap().to_owned();
    let runner = place.fetch(&place.machine, &format!("{base}/bundle/bundle.sh")).unwrap();
    assert!(runner.starts_with("#!/bin/sh\n"), "{runner}");
    let single = place.fetch(&place.machine, &format!("{base}/bundle/late/stops")).unwrap();
    assert!(single.ends_with("exit 9\n"), "{single}");
    let head =
        clients::curl_head(&place.lab, &place.machine, &["-I", &format!("{base}/bundle/bundle.sh")]).unwrap();
    assert!(head.contains(&format!("Content-Length: {}", runner.len())), "{head}");
    assert!(head.contains("no-store"), "{head}");

    let neighbour = leased(&place.lab, &place.segment, "neighbour", OTHER);
    let wrong = base.replace(token(&url), "00000000000000000000000000000000");
    for (station, base, asked) in [
        (&neighbour, &base, "bundle/bundle.sh"),
        (&neighbour, &base, "bundle/late/stops"),
        (&neighbour, &base, "bundle/base/motd/exit-0"),
        (&place.machine, &wrong, "bundle/bundle.sh"),
        (&place.machine, &wrong, "bundle/base/motd/exit-0"),
    ] {
        let refused = place.fetch(station, &format!("{base}/{asked}")).unwrap_err();
        assert!(refused.contains("404"), "{asked}: {refused}");
    }
    for asked in [
        "bundle/base/none/exit-0",
        "bundle/base/motd/exit-256",
        "bundle/base/motd/gone",
        "bundle/other/a/started",
    ] {
        let refused = place.fetch(&place.machine, &format!("{base}/{asked}")).unwrap_err();
        assert!(refused.contains("400"), "{asked}: {refused}");
    }
    assert!(place.states().iter().all(|state| state.ends_with("not-run null")), "{:?}", place.states());
    let long = "x".repeat(5_000);
    let report = format!("{base}/bundle/base/motd/exit-1");
    let refused = clients::curl(&place.lab, &place.machine, &["--data-binary", &long, &report]);
    assert!(format!("{:#}", refused.unwrap_err()).contains("413"));
    let told =
        clients::curl_head(&place.lab, &place.machine, &["--data-binary", "why\u{1b}[2J", &report]).unwrap();
    assert!(told.starts_with("HTTP/1.1 204"), "{told}");
    assert_eq!(place.states().first().map(String::as_str), Some("base/motd failed 1"));
    assert_eq!(place.runs()[0]["output"], "why[2J", "no control characters");
    let events = format!("{:?}", place.daemon.events());
    assert!(!events.contains(token(&url)), "no event has the secret");
}
