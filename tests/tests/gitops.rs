//! Documents that are applied to a running appliance: all of them or nothing, one owner per object, and nothing lost.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use harness::daemon::{Config, Daemon, binary, workspace};
use harness::scene::NETWORK;
use harness::{Lab, Namespace, Segment};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(30);
/// The largest site we were built for.
const FLEET: u32 = 13_000;

/// A machine for the appliance. Fields in dropping order.
struct Site {
    server: Namespace,
    _segment: Segment,
    lab: Lab,
}

/// What a command did.
#[derive(Debug)]
struct Done {
    code: i32,
    out: String,
    err: String,
}

impl Site {
    fn new() -> Site {
        let lab = Lab::new().unwrap();
        let segment = lab.segment().unwrap();
        let server = lab.station(&segment, "server", Some("10.77.0.1/24")).unwrap();
        Site { server, _segment: segment, lab }
    }

    fn start(&self) -> Daemon {
        let mut config = Config::proxy(NETWORK);
        config.set(&["dhcp", "mode"], json!("off"));
        config
            .set(&["resources", "groups"], json!([{ "name": "of-file", "params": { "ntp": "10.77.0.1" } }]));
        let templates = json!([{ "name": "text-of-file", "kind": "text", "text": "from the file\n" }]);
        config.set(&["resources", "templates"], templates);
        Daemon::start(&self.lab, &self.server, config).unwrap()
    }

    /// Writes documents into a folder of their own.
    fn documents(&self, folder: &str, files: &[(&str, &str)]) -> PathBuf {
        let folder = self.lab.path(folder);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        for (name, text) in files {
            fs::write(folder.join(name), text).unwrap();
        }
        folder
    }
}

fn run_with(daemon: &Daemon, args: &[&str], input: &str) -> Done {
    let mut command = Command::new(binary().unwrap());
    command.args(args).arg("--socket").arg(daemon.socket());
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A command that refuses before it reads closes its end.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Done { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

fn run(daemon: &Daemon, args: &[&str]) -> Done {
    run_with(daemon, args, "")
}

fn ok(daemon: &Daemon, args: &[&str]) -> Done {
    let done = run(daemon, args);
    assert_eq!(done.code, 0, "{args:?}: {done:#?}");
    done
}

fn json_of(daemon: &Daemon, args: &[&str]) -> Value {
    let done = ok(daemon, &[args, &["-o", "json"]].concat());
    serde_json::from_str(&done.out).unwrap_or_else(|error| panic!("{args:?}: {error}\n{}", done.out))
}

/// It was refused because somebody else owns it, with what to do.
fn owned(daemon: &Daemon, args: &[&str], owner: &str) {
    let done = run(daemon, args);
    assert_eq!(done.code, 6, "{args:?}: {done:#?}");
    assert!(done.err.contains("R-RES-02") && done.err.contains(owner), "{args:?}: {}", done.err);
    assert!(done.err.contains("apply again, or: reveille resource own"), "{args:?}: {}", done.err);
}

fn counts(applied: &Value, kind: &str) -> [u64; 4] {
    let kinds = applied["kinds"].as_array().unwrap();
    let found = kinds.iter().find(|one| one["kind"] == kind).unwrap();
    ["created", "changed", "removed", "unchanged"].map(|count| found[count].as_u64().unwrap())
}

fn owner_of(daemon: &Daemon, noun: &str, name: &str) -> String {
    json_of(daemon, &[noun, "get", name])["managed_by"].as_str().unwrap().to_owned()
}

/// The revision of the whole store.
fn revision(daemon: &Daemon) -> u64 {
    json_of(daemon, &["resource", "list"])["revision"].as_u64().unwrap()
}

const RACK: &str = r#"
version: 1
x-note: anchors may live here
resources:
  templates:
    - name: seed
      kind: text
      file: seed.txt
  groups:
    - name: rack
      parent: of-file
      params: { zone: "Europe/Berlin", version: "8.0" }
  rules:
    - { name: base, order: 20, when: group=rack, params: { syslog: "udp://10.0.0.9" } }
"#;

const HOSTS: &str = r#"
resources:
  hosts:
    - { name: web01, match: { mac: "52:54:00:00:00:01", serial: "0012" }, group: rack, template: seed }
    - { name: web02, match: { mac: "52:54:00:00:00:02" }, group: rack,
        power: { redfish: { url: "https://10.0.0.9", user: admin, password: { file: /etc/reveille/bmc.pass } } } }
"#;

#[test]
fn documents_are_applied_compared_exported_and_pruned() {
    harness::enter!();
    let site = Site::new();
    let daemon = site.start();
    let files = [
        ("10-rack.yaml", RACK),
        ("20-hosts.yml", HOSTS),
        ("seed.txt", "host {{ host.name }}"),
        ("note.md", "no"),
    ];
    let folder = site.documents("docs", &files);
    let from = folder.to_str().unwrap();

    // What would be, then what is.
    let before = revision(&daemon);
    let diff = run(&daemon, &["diff", "-f", from, "--owner", "ci"]);
    assert_eq!(diff.code, 3, "{diff:#?}");
    assert!(diff.out.contains("+++ host web01\n") && diff.out.contains("+name: web01\n"), "{}", diff.out);
    let dry = json_of(&daemon, &["apply", "-f", from, "--owner", "ci", "--dry-run"]);
    assert_eq!((counts(&dry, "host"), &dry["changed"]), ([2, 0, 0, 0], &json!(true)));
    assert_eq!(revision(&daemon), before, "a dry run changes nothing");
    let applied = json_of(&daemon, &["apply", "-f", from, "--owner", "ci"]);
    assert_eq!(applied["revision"], before + 1, "one revision for everything: {applied:#}");
    let kinds = ["template", "group", "rule", "host"].map(|kind| counts(&applied, kind)[0]);
    assert_eq!(kinds, [1, 1, 1, 2]);
    daemon
        .wait_events("config.applied", DEADLINE, |events| {
            let told = events.iter().find(|event| event.name() == "config.applied")?;
            (told.text("owner") == Some("apply:ci")).then_some(())
        })
        .unwrap();
    assert_eq!(owner_of(&daemon, "host", "web01"), "apply:ci");
    assert_eq!(owner_of(&daemon, "group", "of-file").split(':').next(), Some("file"));
    assert_eq!(json_of(&daemon, &["rule", "get", "base"])["state"], "active");
    assert_eq!(ok(&daemon, &["template", "get", "seed"]).out, "host {{ host.name }}\n");
    let templates = json_of(&daemon, &["template", "list"]);
    let names: Vec<&str> =
        templates["items"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["seed", "text-of-file"]);
    let explained = json_of(&daemon, &["explain", "--name", "web01"]);
    let values = explained["values"].to_string();
    assert!(values.contains("apply:ci"), "explain names the owner: {values}");

    // Again: nothing to do, no revision.
    let again = json_of(&daemon, &["apply", "-f", from, "--owner", "ci", "--prune"]);
    assert_eq!((&again["changed"], &again["revision"]), (&json!(false), &json!(before + 1)));
    assert_eq!(ok(&daemon, &["apply", "-f", from, "--owner", "ci"]).err, "unchanged\n");
    let diff = run(&daemon, &["diff", "-f", from, "--owner", "ci"]);
    assert_eq!((diff.code, diff.out.as_str(), diff.err.as_str()), (0, "", "no difference\n"));

    // An export is the same again, whoever applies it: what the API has and is the same stays its own.
    ok(
        &daemon,
        &["host", "add", "mine", "--mac", "52:54:00:00:00:09", "--param", "nr=0012", "--label", "on=yes"],
    );
    let export = ok(&daemon, &["export"]).out;
    assert!(export.contains("mac: \"52:54:00:00:00:01\"") && export.contains("nr: \"0012\""), "{export}");
    assert!(export.contains("file: /etc/reveille/bmc.pass"), "a secret stays where it is: {export}");
    assert!(!export.contains("name: of-file") && !export.contains("from the file"), "{export}");
    assert_eq!(ok(&daemon, &["export"]).out, export);
    let ci = ok(&daemon, &["export", "--owner", "ci"]).out;
    let host = ok(&daemon, &["export", "--owner", "api", "--kind", "host"]).out;
    assert!(host.contains("name: mine") && !host.contains("web01") && !ci.contains("name: mine"));
    for (owner, text) in [("ci", &ci), ("fresh", &host)] {
        let done = run_with(&daemon, &["apply", "-f", "-", "--owner", owner], text);
        assert!(done.code == 0 && done.err.ends_with("unchanged\n"), "{owner}: {done:#?}");
    }
    let done = run_with(&daemon, &["apply", "-f", "-", "--owner", "fresh", "--take-over"], &host);
    assert!(done.err.contains("1 change applied as apply:fresh"), "{done:#?}");
    assert_eq!(owner_of(&daemon, "host", "mine"), "apply:fresh");

    // A change and a removal, refused when somebody wrote in between.
    let seen = revision(&daemon);
    let shorter = HOSTS.replace("name: web02", "name: web03").replace("00:02", "00:03");
    fs::write(folder.join("20-hosts.yml"), &shorter).unwrap();
    fs::write(folder.join("seed.txt"), "host {{ host.name }}\nsecond line\n").unwrap();
    let diff = run(&daemon, &["diff", "-f", from, "--owner", "ci", "--prune"]);
    assert_eq!(diff.code, 3, "{diff:#?}");
    assert!(
        diff.out.contains("+  second line\n") && diff.out.contains("--- host web02\n+++ /dev/null"),
        "{}",
        diff.out
    );
    let stale = (seen - 2).to_string();
    ok(&daemon, &["resource", "own", "host", "web02", "--to", "other"]);
    ok(&daemon, &["resource", "own", "host", "web02", "--to", "ci"]);
    let asked = ["apply", "-f", from, "--owner", "ci", "--prune", "--if-revision"];
    let refused = run(&daemon, &[&asked[..], &[&stale]].concat());
    assert!(refused.code == 6 && refused.err.contains("R-RES-03"), "{refused:#?}");
    let now = revision(&daemon).to_string();
    let done = ok(&daemon, &[&asked[..], &[&now]].concat());
    assert!(done.out.contains("KIND") && done.out.contains("template"), "{done:#?}");
    let hosts = json_of(&daemon, &["host", "list"]);
    let names: Vec<&str> =
        hosts["items"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["mine", "web01", "web03"], "only this owner's are pruned");

    // Staged rules come into force by themselves or with the next apply.
    fs::write(folder.join("10-rack.yaml"), RACK.replace("order: 20", "order: 30")).unwrap();
    ok(&daemon, &["apply", "-f", from, "--owner", "ci", "--staged"]);
    assert_eq!(json_of(&daemon, &["rule", "get", "base"])["state"], "changed");
    let put = json_of(&daemon, &["apply", "-f", from, "--owner", "ci"]);
    assert_eq!((&put["changes"][0]["action"], counts(&put, "rule")), (&json!("activated"), [0, 1, 0, 0]));
    assert_eq!(json_of(&daemon, &["rule", "get", "base"])["state"], "active");
    daemon.stop().unwrap();
}

#[test]
fn what_is_applied_is_read_only_through_every_other_door() {
    harness::enter!();
    let site = Site::new();
    let daemon = site.start();
    let files = [("10-rack.yaml", RACK), ("20-hosts.yml", HOSTS), ("seed.txt", "host {{ host.name }}")];
    let folder = site.documents("docs", &files);
    ok(&daemon, &["apply", "-f", folder.to_str().unwrap(), "--owner", "ci"]);

    let revision_before = revision(&daemon);
    owned(&daemon, &["host", "set", "web01", "--image", "x"], "apply:ci");
    owned(&daemon, &["host", "rm", "web01"], "apply:ci");
    owned(&daemon, &["group", "set", "rack", "--param", "a=b"], "apply:ci");
    owned(&daemon, &["rule", "set", "base", "--at", "5"], "apply:ci");
    owned(&daemon, &["rule", "rm", "base"], "apply:ci");
    // The group is named by others, too; that it is not ours is what counts first.
    owned(&daemon, &["group", "rm", "rack"], "apply:ci");
    // The batch that lists and adoptions are recorded by.
    let batch = r#"[{"host":{"name":"web01","match":{"mac":"52:54:00:00:00:01"}}}]"#;
    let answer = request(&daemon, "POST", "/hosts:batch", batch);
    assert!(answer.starts_with("HTTP/1.1 409") && answer.contains("R-RES-02"), "{answer}");
    let list = site.lab.path("hosts.csv");
    fs::write(&list, "name,mac\nweb01,52:54:00:00:00:77\n").unwrap();
    let done = run(&daemon, &["host", "import", list.to_str().unwrap()]);
    assert_eq!(done.code, 6, "{done:#?}");
    // Other documents.
    let other = site.documents(
        "other",
        &[("a.yaml", "resources: { hosts: [{ name: web01, match: { mac: \"52:54:00:00:00:01\" } }] }")],
    );
    owned(&daemon, &["apply", "-f", other.to_str().unwrap(), "--owner", "other", "--take-over"], "apply:ci");
    // What a file defines, through apply and own.
    let other = site.documents("other", &[("a.yaml", "resources: { groups: [{ name: of-file }] }")]);
    for args in [
        &["apply", "-f", other.to_str().unwrap(), "--owner", "ci"][..],
        &["resource", "own", "group", "of-file", "--to", "ci"],
    ] {
        let done = run(&daemon, args);
        assert!(
            done.code == 6 && done.err.contains("R-RES-02") && done.err.contains("reveille.yaml"),
            "{done:#?}"
        );
    }
    assert_eq!(revision(&daemon), revision_before, "nothing of that changed anything");

    // State is everybody's.
    ok(&daemon, &["host", "quarantine", "web01", "--reason", "test"]);
    ok(&daemon, &["host", "release", "web01"]);
    // Given to the API it is edited there, and the documents are refused.
    ok(&daemon, &["resource", "own", "host", "web01", "--to", "api"]);
    assert_eq!(ok(&daemon, &["resource", "own", "host", "web01", "--to", "api"]).err, "unchanged\n");
    ok(&daemon, &["host", "set", "web01", "--param", "a=b"]);
    let done = run(&daemon, &["apply", "-f", folder.to_str().unwrap(), "--owner", "ci"]);
    assert!(
        done.code == 6 && done.err.contains("owned by api") && done.err.contains("--take-over"),
        "{done:#?}"
    );
    let done = run(&daemon, &["resource", "own", "host", "nobody", "--to", "api"]);
    assert_eq!(done.code, 5, "{done:#?}");
    let done = run(&daemon, &["apply", "-f", folder.to_str().unwrap(), "--owner", "api"]);
    assert_eq!(done.code, 2, "{done:#?}");
    daemon.stop().unwrap();
}

#[test]
fn a_faulty_document_changes_nothing() {
    harness::enter!();
    let site = Site::new();
    let daemon = site.start();
    ok(&daemon, &["host", "add", "mine", "--mac", "52:54:00:00:00:09"]);
    let before = revision(&daemon);
    let refused = |files: &[(&str, &str)], words: &[&str]| {
        let folder = site.documents("docs", files);
        for command in ["apply", "diff"] {
            let done = run(&daemon, &[command, "-f", folder.to_str().unwrap(), "--prune"]);
            assert_eq!(done.code, 2, "{command}: {done:#?}");
            for word in words {
                assert!(done.err.contains(word), "{command}: `{word}` is not in {}", done.err);
            }
        }
    };
    let good = "resources:\n  groups:\n    - { name: new }\n";
    // Every fault of every document, with line, column and caret.
    refused(
        &[
            ("a.yaml", good),
            ("b.yaml", "resources:\n  hosts:\n    - { name: Bad, match: { mac: \"x\" } }\n"),
            ("c.yaml", "tftp: {}\nresources:\n  images: []\n"),
        ],
        &["b.yaml:3:15", "b.yaml:3:34", "c.yaml:1:1", "c.yaml:3:3", "^^^", "images cannot be applied"],
    );
    refused(
        &[
            ("a.yaml", good),
            (
                "b.yaml",
                "resources: { hosts: [{ name: w, match: { mac: \"52:54:00:00:00:01\" }, group: nowhere }] }",
            ),
        ],
        &["no file defines", "of-file"],
    );
    // What only the whole shows: a machine that another host has.
    refused(
        &[
            ("a.yaml", good),
            ("b.yaml", "resources: { hosts: [{ name: w, match: { mac: \"52:54:00:00:00:09\" } }] }"),
        ],
        &["52:54:00:00:00:09", "mine"],
    );
    refused(
        &[("a.yaml", "resources: { templates: [{ name: t, kind: text, text: \"{{ nonsense\" }] }")],
        &["a.yaml:1:"],
    );
    refused(&[("note.txt", "nothing to apply")], &["no documents in"]);
    // Past the command: straight to the API.
    let body = r#"{"resources":{"templates":[{"name":"t","kind":"text","text":"{{ nonsense"}],"groups":[{"name":"new"}]}}"#;
    let answer = request(&daemon, "POST", "/resources:apply", body);
    assert!(answer.starts_with("HTTP/1.1 422") && answer.contains("/resources/templates/0"), "{answer}");
    let body = r#"{"resources":{"groups":[{"name":"new","parent":"nowhere"}]}}"#;
    let answer = request(&daemon, "POST", "/resources:apply", body);
    assert!(answer.starts_with("HTTP/1.1 422") && answer.contains("would not be there"), "{answer}");
    assert_eq!(revision(&daemon), before);
    assert_eq!(run(&daemon, &["group", "get", "new"]).code, 5);

    // What others name is not pruned.
    let folder = site.documents("docs", &[("a.yaml", good)]);
    ok(&daemon, &["apply", "-f", folder.to_str().unwrap()]);
    ok(&daemon, &["host", "set", "mine", "--group", "new"]);
    let folder = site.documents("docs", &[("a.yaml", "resources: {}\n")]);
    let done = run(&daemon, &["apply", "-f", folder.to_str().unwrap(), "--prune"]);
    assert!(done.code == 2 && done.err.contains("host `mine` names group `new`"), "{done:#?}");
    daemon.stop().unwrap();
}

#[test]
fn a_whole_fleet_is_one_revision_and_outlives_a_power_cut() {
    harness::enter!();
    let site = Site::new();
    let daemon = site.start();
    let mut text = "resources:\n  groups: [{ name: fleet }]\n  hosts:\n".to_owned();
    for number in 0..FLEET {
        let [_, _, high, low] = number.to_be_bytes();
        writeln!(text, "    - {{ name: h{number:05}, match: {{ mac: \"52:54:01:00:{high:02x}:{low:02x}\" }}, group: fleet, params: {{ nr: \"{number}\" }} }}").unwrap();
    }
    let folder = site.documents("docs", &[("fleet.yaml", &text)]);
    let from = folder.to_str().unwrap();
    let before = revision(&daemon);
    let applied = json_of(&daemon, &["apply", "-f", from, "--owner", "fleet"]);
    assert_eq!(
        (counts(&applied, "host"), &applied["revision"]),
        ([u64::from(FLEET), 0, 0, 0], &json!(before + 1))
    );
    // Acknowledged: a power cut right now takes nothing.
    daemon.cut();
    let daemon = site.start();
    let again = json_of(&daemon, &["apply", "-f", from, "--owner", "fleet", "--prune"]);
    assert_eq!((counts(&again, "host"), &again["changed"]), ([0, 0, 0, u64::from(FLEET)], &json!(false)));
    // One more, one otherwise, one less.
    let text = text.replace("name: h00007,", "name: new,").replace("nr: \"9\" ", "nr: \"nine\" ");
    let folder = site.documents("docs", &[("fleet.yaml", &text)]);
    let changed = json_of(&daemon, &["apply", "-f", folder.to_str().unwrap(), "--owner", "fleet", "--prune"]);
    assert_eq!(counts(&changed, "host"), [1, 1, 1, u64::from(FLEET) - 2], "{:#}", changed["changes"]);
    daemon.stop().unwrap();
}

/// The example, as a pipeline would.
#[test]
fn the_example_is_applied() {
    harness::enter!();
    let site = Site::new();
    let daemon = site.start();
    let folder = workspace().join("examples/gitops-ci/resources");
    let applied = json_of(&daemon, &["apply", "-f", path(&folder), "--owner", "ci", "--prune"]);
    let kinds = ["template", "bundle", "group", "rule", "host"].map(|kind| counts(&applied, kind)[0]);
    assert_eq!(kinds, [1, 1, 2, 2, 2]);
    assert_eq!(run(&daemon, &["diff", "-f", path(&folder), "--owner", "ci", "--prune"]).code, 0);
    daemon.stop().unwrap();
}

/// Bundles go the way of everything else: applied, named, exported, and kept while they are named.
#[test]
fn bundles_are_applied_and_stay_while_they_are_named() {
    harness::enter!();
    let site = Site::new();
    let daemon = site.start();
    let bundle = "resources:\n  bundles:\n    - name: base\n      scripts:\n        - { name: motd, file: motd.sh, timeout_secs: 30 }\n";
    let script = "echo {{ host.name }}";
    let folder = site.documents("docs", &[("10-bundles.yaml", bundle), ("motd.sh", script)]);
    let from = path(&folder);
    let applied = json_of(&daemon, &["apply", "-f", from, "--owner", "ci"]);
    assert_eq!(counts(&applied, "bundle"), [1, 0, 0, 0]);
    // Documents of others may name what the appliance has, and what it has not is told.
    let host = |bundle: &str| {
        format!("resources: {{ hosts: [{{ name: web01, match: {{ serial: S100 }}, bundles: [{bundle}] }}] }}")
    };
    let done = run_with(&daemon, &["apply", "-f", "-", "--owner", "hosts"], &host("bsae"));
    assert!(done.code == 2 && done.err.contains("did you mean `base`?"), "{done:#?}");
    let done = run_with(&daemon, &["apply", "-f", "-", "--owner", "hosts"], &host("base"));
    assert_eq!(done.code, 0, "{done:#?}");
    let runs = json_of(&daemon, &["host", "get", "web01"])["bundle_runs"].clone();
    assert_eq!((&runs[0]["bundle"], &runs[0]["script"]), (&json!("base"), &json!("motd")), "{runs:#}");
    // The way back, after a restart too.
    daemon.cut();
    let daemon = site.start();
    let export = ok(&daemon, &["export", "--kind", "bundle"]).out;
    assert!(export.contains("echo {{ host.name }}\n") && export.contains("timeout_secs: 30"), "{export}");
    assert!(!export.contains("web01"), "{export}");
    let done = run_with(&daemon, &["apply", "-f", "-", "--owner", "ci", "--prune"], &export);
    assert!(done.code == 0 && done.err.ends_with("unchanged\n"), "{done:#?}");
    // Named, it stays; past the command nothing broken gets in.
    let done = run_with(&daemon, &["apply", "-f", "-", "--owner", "ci", "--prune"], "resources: {}\n");
    assert!(done.code == 2 && done.err.contains("host `web01` names bundle `base`"), "{done:#?}");
    let body = r#"{"resources":{"bundles":[{"name":"b","scripts":[{"name":"s","text":"{{ nonsense"}]}]}}"#;
    let answer = request(&daemon, "POST", "/resources:apply", body);
    assert!(answer.starts_with("HTTP/1.1 422") && answer.contains("/resources/bundles/0"), "{answer}");
    owned(&daemon, &["apply", "-f", from, "--owner", "other"], "apply:ci");
    ok(&daemon, &["resource", "own", "bundle", "base", "--to", "api"]);
    daemon.stop().unwrap();
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A request without the command between.
fn request(daemon: &Daemon, method: &str, path: &str, body: &str) -> String {
    use std::io::Read as _;
    let mut stream = std::os::unix::net::UnixStream::connect(daemon.socket()).unwrap();
    let head = format!(
        "{method} /api/v1{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
