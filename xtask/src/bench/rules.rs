//! A set of rules put in force under load: how long that takes over the socket, and whether one machine goes without its
//! answer. Beside it `explain`, at the size of a large site.

use super::{Bench, CLIENT, NETWORK, POOL, SERVER, Sample, parse, wait_for_port};
use anyhow::{Context, Result, ensure};
use harness::daemon::ask;
use harness::{Lab, Namespace, Running};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const HOSTS: u32 = 13_000;
const RULES: u32 = 500;
const GROUPS: u32 = 200;
/// Questions to `explain`, one after the other.
const QUESTIONS: u32 = 300;
/// Between two activations: machines go on under each set.
const PAUSE: Duration = Duration::from_millis(200);
const ANSWER_WAIT: Duration = Duration::from_secs(60);

/// Prints how long each took, and what perfdhcp missed.
pub(super) fn run(bench: &Bench, binary: &Path) -> Result<()> {
    println!("{HOSTS} hosts, {RULES} rules, {GROUPS} groups; perfdhcp beside it");
    for &rate in &bench.rates {
        let lab = Lab::new()?;
        let segment = lab.segment()?;
        let server = lab.station(&segment, "server", Some(SERVER))?;
        let client = lab.station(&segment, "client", Some(CLIENT))?;
        let (running, socket) = reveille(&lab, &server, binary)?;
        let api = Api(socket);
        let rules: Vec<Value> = (1..RULES).map(rule).collect();
        let documents = json!({ "owner": "bench", "resources": { "rules": rules } });
        api.ask("POST", "/resources:apply", Some(&documents))?;
        let explain: Vec<Duration> = (0..QUESTIONS)
            .map(|at| api.ask("GET", &format!("/hosts/host-{}/explain", at * 41 % HOSTS), None))
            .collect::<Result<_>>()?;
        // The same without any activation: what is missed at the end of a run, or by a machine that has other things to do.
        let quiet = sample(&bench.perfdhcp(&lab, &client, rate)?)?;
        let refused_before = refused(&lab, &server)?;
        let (mut activations, mut in_force) = (Vec::new(), Vec::new());
        let text = std::thread::scope(|scope| -> Result<String> {
            let load = scope.spawn(|| bench.perfdhcp(&lab, &client, rate));
            let mut turn = 0u32;
            while !load.is_finished() {
                turn += 1;
                let first = json!({ "name": "rule-0", "order": 1, "image": image_of(turn) });
                api.ask("PUT", "/rules/rule-0?staged=true", Some(&first))?;
                let (took, body) = api.answer("POST", "/rules:activate", None)?;
                activations.push(took);
                let ms = serde_json::from_str::<Value>(&body)?.get("in_force_ms").and_then(Value::as_u64);
                in_force.push(Duration::from_millis(ms.context("the answer does not say how long it took")?));
                std::thread::sleep(PAUSE);
            }
            load.join().map_err(|_| anyhow::anyhow!("the load ended by a panic"))?
        })?;
        let refused = refused(&lab, &server)? - refused_before;
        drop(running);
        let loaded = sample(&text)?;
        row("explain", explain);
        let count = activations.len();
        row("in force", in_force);
        row("and told", activations);
        println!(
            "{count} sets put in force under {rate} exchanges/s: {:.0}/s done, {} dropped (without any set: {:.0}/s, {}); \
             {refused} packets refused by the sockets",
            loaded.exchanges_per_second, loaded.drops, quiet.exchanges_per_second, quiet.drops
        );
    }
    Ok(())
}

fn sample(text: &str) -> Result<Sample> {
    parse(text).with_context(|| format!("perfdhcp said:\n{text}"))
}

/// Packets for which a socket of this namespace had no room, since it is there.
fn refused(lab: &Lab, station: &Namespace) -> Result<u64> {
    let mut command = Command::new("cat");
    command.arg("/proc/net/snmp");
    let text = station.output(lab, "snmp", command, Duration::from_secs(5))?;
    let mut udp =
        text.lines().filter_map(|line| line.split_once("Udp: ")).map(|(_, fields)| fields.split_whitespace());
    let (names, values) = (udp.next().context("no names")?, udp.next().context("no values")?);
    let found = names.zip(values).find(|(name, _)| *name == "RcvbufErrors");
    Ok(found.context("no RcvbufErrors")?.1.parse()?)
}

fn row(what: &str, mut took: Vec<Duration>) {
    took.sort();
    let at = |part: usize| took.get((took.len() * part / 100).min(took.len().saturating_sub(1)));
    let shown = |part| at(part).map_or(f64::NAN, |it| it.as_secs_f64() * 1e3);
    println!(
        "{what:<10} p50 {:>7.1} ms   p99 {:>7.1} ms   longest {:>7.1} ms",
        shown(50),
        shown(99),
        shown(100)
    );
}

fn image_of(at: u32) -> &'static str {
    if at.is_multiple_of(2) { "one" } else { "two" }
}

fn rule(at: u32) -> Value {
    let when = match at % 4 {
        0 => format!("vendor=Dell,model~R7.*{at}"),
        1 => format!("relay=10.{}.0.0/16", at % 250),
        2 => format!("label.rack={}", at % GROUPS),
        _ => format!("group=group-{}", at % GROUPS),
    };
    let image = image_of(at);
    json!({ "name": format!("rule-{at}"), "order": at + 2, "when": when, "image": image,
        "params": { (format!("key-{}", at % 7)): at.to_string() } })
}

fn reveille(lab: &Lab, station: &Namespace, binary: &Path) -> Result<(Running, PathBuf)> {
    let folder = lab.path("reveille");
    let files = folder.join("image");
    std::fs::create_dir_all(&files)?;
    std::fs::write(files.join("vmlinuz"), b"kernel")?;
    let image = |name: &str| json!({ "name": name, "kind": "linux", "source": format!("dir:{}", files.display()), "kernel": "vmlinuz" });
    let group = |at: u32| {
        let parent = (at > 0).then(|| format!("group-{}", at / 6));
        json!({ "name": format!("group-{at}"), "parent": parent, "params": { "vlan": at.to_string() }, "labels": { "rack": at.to_string() } })
    };
    let host = |at: u32| {
        let [_, a, b, c] = at.to_be_bytes();
        json!({ "name": format!("host-{at}"), "match": { "mac": format!("24:6e:96:{a:02x}:{b:02x}:{c:02x}"), "serial": format!("SN{at}") },
            "group": format!("group-{}", at % GROUPS), "params": { "disk": "sda" } })
    };
    let socket = folder.join("admin.sock");
    let config = json!({
        "version": 1,
        "interfaces": [{ "name": "eth0" }],
        "dhcp": { "mode": "server", "probe_wait": "0s", "stranger_rate": 0, "subnets": [{ "name": "lab", "network": NETWORK, "pools": [POOL] }] },
        "admin": { "socket": socket },
        "store": { "path": folder.join("store") },
        "library": { "path": folder.join("library") },
        "log": { "format": "text", "level": "warn" },
        "resources": {
            "images": [image("one"), image("two")],
            "groups": (0..GROUPS).map(group).collect::<Vec<_>>(),
            "hosts": (0..HOSTS).map(host).collect::<Vec<_>>(),
        },
    });
    let file = folder.join("reveille.yaml");
    std::fs::write(&file, serde_json::to_string(&config)?)?;
    let mut command = Command::new(binary);
    command.arg("serve").arg("--config").arg(&file);
    let running = station.start(lab, "reveille", command)?;
    wait_for_port(station, 67)?;
    let until = Instant::now() + ANSWER_WAIT;
    while !socket.exists() {
        ensure!(Instant::now() < until, "there is no admin socket");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok((running, socket))
}

/// Its admin socket, one connection for each question.
struct Api(PathBuf);

impl Api {
    /// How long an answer takes; anything but success is an error.
    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Duration> {
        self.answer(method, path, body).map(|(took, _)| took)
    }

    /// The time from the connection to the last byte, and the body.
    fn answer(&self, method: &str, path: &str, body: Option<&Value>) -> Result<(Duration, String)> {
        let start = Instant::now();
        let ask = |fields: &str| ask(&self.0, (method, path), fields, body, ANSWER_WAIT);
        // A rule that is not there yet is made, one that is there replaced.
        let (mut status, mut answer) = ask(if method == "PUT" { "If-Match: *\r\n" } else { "" })?;
        if matches!(status, 404 | 412) {
            (status, answer) = ask("If-None-Match: *\r\n")?;
        }
        ensure!(matches!(status, 200..300), "{method} {path}: {status} {answer}");
        Ok((start.elapsed(), answer))
    }
}
