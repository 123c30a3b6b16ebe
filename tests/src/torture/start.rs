//! How long a start takes with many leases: after a clean end, and after a kill that left the index behind.

use super::site::{self, Site};
use super::{Outcome, copies};
use anyhow::{Context, Result};
use serde_json::json;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use store::records::{encode_lease, lease_key};
use store::{Batch, Table};
use types::UnixTime;
use types::lease::{ClientKey, LeaseRecord, LeaseState};

/// A start with this many leases takes less than a second, optimised.
pub const GOAL: Duration = Duration::from_secs(1);
/// Whatever the machine.
const READY_DEADLINE: Duration = Duration::from_secs(120);
/// Wide enough for a hundred thousand.
const POOL: &str = "10.64.1.0-10.65.255.254";
const NETWORK: &str = "10.64.0.0/15";
const BATCH: u32 = 1000;

/// How it is done.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Leases in the store.
    pub leases: u32,
    /// Starts; the middle one counts.
    pub starts: usize,
    /// Slower than this is a violation.
    pub goal: Duration,
}

/// Runs it against the program at `binary`.
///
/// # Errors
/// When the lab fails.
pub fn run(binary: &Path, options: Options) -> Result<Outcome> {
    let mut config = site::config(POOL);
    config.set(&["dhcp", "subnets"], json!([{ "name": "lab", "network": NETWORK, "pools": [POOL] }]));
    config.set(&["log", "level"], json!("info"));
    let site = Site::new(binary, config)?;
    let killed = site.lab.path("killed");
    preload(&site.store(), &killed, options.leases)?;
    let mut outcome = Outcome::default();
    let mut words = Vec::new();
    for (what, folder) in [("after a clean end", site.store()), ("after a kill", killed)] {
        let keep = site.lab.path("keep");
        copies::copy(&folder, &keep)?;
        let (mut whole, mut own) = (Vec::new(), Vec::new());
        for _ in 0..options.starts {
            let _ = std::fs::remove_dir_all(site.store());
            copies::copy(&keep, &site.store())?;
            // A start after a crash finds a disk at rest; without this the first sync would wait for our copy.
            nix::unistd::syncfs(std::fs::File::open(site.store())?)?;
            let began = Instant::now();
            let running = site.start(&[])?;
            let line = running.wait_for("server.ready", READY_DEADLINE)?;
            whole.push(began.elapsed());
            own.push(Duration::from_millis(start_ms(&line)?));
            running.cut();
        }
        std::fs::remove_dir_all(&keep)?;
        let (whole, _) = super::percentiles(&mut whole);
        let (own, _) = super::percentiles(&mut own);
        words.push(format!("{what} {whole:.0?} (start_ms {})", own.as_millis()));
        if whole > options.goal {
            outcome
                .violations
                .push(format!("a start {what} takes {whole:.1?}, the goal is {:?}", options.goal));
        }
    }
    outcome.summary =
        format!("start: {} leases, median of {}: {}", options.leases, options.starts, words.join(", "));
    Ok(outcome)
}

/// The number in `server.ready … start_ms=123`.
fn start_ms(line: &str) -> Result<u64> {
    let digits = line.split("start_ms=").nth(1).and_then(|rest| rest.split_whitespace().next());
    digits.and_then(|digits| digits.parse().ok()).with_context(|| format!("no start_ms in {line}"))
}

/// A store of `count` leases at `clean`, and at `killed` as a kill would have left it just before its end.
fn preload(clean: &Path, killed: &Path, count: u32) -> Result<()> {
    let store = copies::open(clean)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    for first in (0..count).step_by(BATCH as usize) {
        let mut batch = Batch::new();
        for number in first..count.min(first + BATCH) {
            let record = lease(number, now);
            batch = batch.put(Table::Leases, lease_key(record.address.into()), encode_lease(&record)?);
        }
        store.commit_blocking(batch)?;
    }
    copies::copy(clean, killed)?;
    store.close();
    Ok(())
}

fn lease(number: u32, now: u64) -> LeaseRecord {
    let [_, a, b, c] = number.to_be_bytes();
    let mac = [2, 0, 0, a, b, c];
    LeaseRecord {
        address: Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 64, 1, 0)).saturating_add(number)),
        subnet: "lab".into(),
        key: ClientKey::Hardware { htype: 1, address: Arc::from(mac) },
        mac: Some(types::MacAddr(mac)),
        guid: None,
        hostname: None,
        state: LeaseState::Bound,
        granted: UnixTime(now),
        expires: UnixTime(now + 3600),
        relay_info: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figure_of_the_daemon_is_read_from_its_line() {
        let line = "INFO server.ready interfaces=eth0 start_ms=104";
        assert_eq!(start_ms(line).unwrap(), 104);
        assert!(start_ms("INFO server.ready").is_err());
    }
}
