//! Speed beside a peer, in the same run: `cargo xtask bench dhcp | files | rules`.
//!
//! - `dhcp`: reveille and Kea (memfile) answer the same perfdhcp load on the same veth pair, in turns. Kea's memfile never
//!   syncs; every ACK of reveille is on disk before it leaves. With `--profile`, where reveille's time goes instead.
//! - `files`: one client fetches one file by HTTP from reveille and nginx (sendfile, one worker) and by TFTP from reveille
//!   and tftpd-hpa, in turns.
//! - `rules`: no peer; sets of rules are put in force while perfdhcp asks, at the size of a large site.

mod files;
mod profile;
mod rules;

use crate::run::optimised;
use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use harness::packages::{self, BENCH, BOOT, CLIENTS, TORTURE};
use harness::world::{self, World};
use harness::{Lab, Namespace, Running};
use serde_json::json;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const NETWORK: &str = "10.64.0.0/16";
const SERVER: &str = "10.64.0.1/16";
const CLIENT: &str = "10.64.0.2/16";
const POOL: &str = "10.64.1.0-10.64.200.255";
const READY: Duration = Duration::from_secs(30);

/// What to measure.
#[derive(Args)]
pub(crate) struct Bench {
    /// Which part.
    #[arg(value_enum, default_value_t = Part::Dhcp)]
    part: Part,
    /// Rounds; in each, every server is measured at every rate.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Seconds each measurement takes.
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    /// Four-way exchanges a second that perfdhcp attempts.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 2_000, 4_000, 8_000])]
    rates: Vec<u32>,
    /// No peer: where the time of an exchange goes.
    #[arg(long)]
    profile: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// DHCP exchanges beside Kea.
    Dhcp,
    /// File transfers beside nginx and tftpd-hpa.
    Files,
    /// Rules put in force under load, and `explain`.
    Rules,
}

/// One measurement.
struct Sample {
    exchanges_per_second: f64,
    drops: u64,
}

impl Bench {
    pub(crate) fn run(&self) -> Result<()> {
        packages::ensure(&[BOOT, CLIENTS, BENCH, TORTURE].concat())?;
        if world::find()? == World::Rootless {
            bail!("perfdhcp needs port 67 of a namespace: run as root");
        }
        let binary = optimised()?;
        match self.part {
            Part::Dhcp if self.profile => profile::run(self, &binary),
            Part::Dhcp => self.dhcp(&binary),
            Part::Files => files::run(&binary, self.rounds),
            Part::Rules => rules::run(self, &binary),
        }
    }

    fn dhcp(&self, binary: &Path) -> Result<()> {
        println!(
            "{:<10} {:>8} {:>12} {:>12} {:>12} {:>8}",
            "server", "asked/s", "min", "median", "max", "drops"
        );
        for &rate in &self.rates {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for _ in 0..self.rounds {
                ours.push(self.measure(rate, |lab, station| reveille(lab, station, binary))?);
                theirs.push(self.measure(rate, kea)?);
            }
            print_row("reveille", rate, &ours);
            print_row("kea", rate, &theirs);
        }
        Ok(())
    }

    /// A fresh network and a fresh server for every measurement.
    fn measure<S>(&self, rate: u32, start: impl Fn(&Lab, &Namespace) -> Result<S>) -> Result<Sample> {
        let lab = Lab::new()?;
        let segment = lab.segment()?;
        let server = lab.station(&segment, "server", Some(SERVER))?;
        let client = lab.station(&segment, "client", Some(CLIENT))?;
        let running = start(&lab, &server)?;
        let text = self.perfdhcp(&lab, &client, rate)?;
        drop(running);
        parse(&text).with_context(|| format!("perfdhcp said:\n{text}"))
    }

    /// Its report.
    fn perfdhcp(&self, lab: &Lab, client: &Namespace, rate: u32) -> Result<String> {
        let mut command = Command::new("perfdhcp");
        command.args([
            "-4",
            "-l",
            "eth0",
            "-r",
            &rate.to_string(),
            "-p",
            &self.seconds.to_string(),
            "-R",
            "20000",
        ]);
        command.args(["-W", "1", "-t", "60", SERVER.split_once('/').map_or(SERVER, |(address, _)| address)]);
        let mut perfdhcp = client.start(lab, "perfdhcp", command)?;
        // Exit 3 says that some exchanges were dropped: a result like any other here.
        perfdhcp.wait_exit(Duration::from_secs(u64::from(self.seconds) + 60))?;
        Ok(perfdhcp.transcript().text())
    }
}

fn reveille(lab: &Lab, station: &Namespace, binary: &Path) -> Result<Running> {
    reveille_under(lab, station, binary, &[])
}

/// Starts it with another program's command line before its own.
fn reveille_under(lab: &Lab, station: &Namespace, binary: &Path, wrapper: &[&str]) -> Result<Running> {
    let folder = lab.path("reveille");
    std::fs::create_dir_all(&folder)?;
    let file = folder.join("reveille.yaml");
    // JSON is YAML. Both servers log warnings only.
    let config = json!({
        "version": 1,
        "interfaces": [{ "name": "eth0" }],
        "dhcp": { "mode": "server", "probe_wait": "0s", "stranger_rate": 0, "subnets": [{ "name": "lab", "network": NETWORK, "pools": [POOL] }] },
        "admin": { "socket": folder.join("admin.sock") },
        "store": { "path": folder.join("store") },
        "library": { "path": folder.join("library") },
        "log": { "format": "text", "level": "warn" },
    });
    std::fs::write(&file, format!("{config:#}"))?;
    let own = binary.display().to_string();
    let mut line = wrapper.iter().copied().chain([own.as_str()]);
    let mut command = Command::new(line.next().unwrap_or_default());
    command.args(line).arg("serve").arg("--config").arg(&file);
    let running = station.start(lab, "reveille", command)?;
    wait_for_port(station, 67)?;
    Ok(running)
}

fn kea(lab: &Lab, station: &Namespace) -> Result<Running> {
    let folder = lab.path("kea");
    std::fs::create_dir_all(&folder)?;
    let file = folder.join("kea.json");
    let config = json!({ "Dhcp4": {
        "interfaces-config": { "interfaces": ["eth0"], "dhcp-socket-type": "udp" },
        "lease-database": { "type": "memfile", "persist": true, "name": folder.join("leases.csv"), "lfc-interval": 0 },
        "valid-lifetime": 28_800,
        "subnet4": [{ "id": 1, "subnet": NETWORK, "pools": [{ "pool": POOL.replace('-', " - ") }] }],
        "multi-threading": { "enable-multi-threading": true },
        "loggers": [{ "name": "kea-dhcp4", "severity": "WARN", "output_options": [{ "output": "stdout" }] }],
    }});
    std::fs::write(&file, format!("{config:#}"))?;
    let mut command = Command::new("kea-dhcp4");
    command.arg("-c").arg(&file).env("KEA_PIDFILE_DIR", &folder).env("KEA_LOCKFILE_DIR", &folder);
    let running = station.start(lab, "kea", command)?;
    wait_for_port(station, 67)?;
    Ok(running)
}

/// Waits until somebody holds the UDP port in the namespace.
fn wait_for_port(station: &Namespace, port: u16) -> Result<()> {
    wait_for_socket(station, "udp", port)
}

/// Waits until somebody holds the port in the namespace; `table` is `udp` or `tcp`.
fn wait_for_socket(station: &Namespace, table: &'static str, port: u16) -> Result<()> {
    let wanted = format!(":{port:04X} ");
    let until = std::time::Instant::now() + READY;
    while std::time::Instant::now() < until {
        let wanted = wanted.clone();
        let bound = station.run(move || {
            std::fs::read_to_string(format!("/proc/thread-self/net/{table}"))
                .is_ok_and(|table| table.contains(&wanted))
        })?;
        if bound {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    bail!("nobody listens on port {port}")
}

/// `Rate: 999.8 4-way exchanges/second, expected rate: 1000` and the two lines `drops: 3`.
fn parse(text: &str) -> Option<Sample> {
    let rate = text.lines().find_map(|line| line.trim().strip_prefix("Rate: "))?;
    let exchanges_per_second = rate.split_whitespace().next()?.parse().ok()?;
    let drops =
        text.lines().filter_map(|line| line.trim().strip_prefix("drops: ")?.trim().parse::<u64>().ok()).sum();
    Some(Sample { exchanges_per_second, drops })
}

fn print_row(server: &str, rate: u32, samples: &[Sample]) {
    let mut rates: Vec<f64> = samples.iter().map(|sample| sample.exchanges_per_second).collect();
    rates.sort_by(f64::total_cmp);
    let at = |index: usize| rates.get(index).copied().unwrap_or(f64::NAN);
    let drops: u64 = samples.iter().map(|sample| sample.drops).sum();
    println!(
        "{server:<10} {rate:>8} {:>12.0} {:>12.0} {:>12.0} {drops:>8}",
        at(0),
        at(rates.len() / 2),
        at(rates.len().saturating_sub(1))
    );
}
