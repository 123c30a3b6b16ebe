//! Where an exchange's time goes: `cargo xtask bench dhcp --profile`.
//!
//! Three sources, none of which asks the appliance to measure itself: its counters (batches, leases), the kernel's count of
//! processor time for each of its threads, and `strace` on `fdatasync` alone (a filter in the kernel lets all other calls
//! pass, so the rate is the same to a few per cent; compare it with a run without `--profile`).

use super::{Bench, Sample, parse, reveille_under};
use anyhow::{Context, Result, bail};
use harness::{Lab, Running};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// `strace` writes its table when the appliance has ended.
const TABLE_DEADLINE: Duration = Duration::from_secs(10);

pub(super) fn run(bench: &Bench, binary: &Path) -> Result<()> {
    for &rate in &bench.rates {
        measure(bench, binary, rate)?;
    }
    Ok(())
}

fn measure(bench: &Bench, binary: &Path, rate: u32) -> Result<()> {
    let lab = Lab::new()?;
    let segment = lab.segment()?;
    let server = lab.station(&segment, "server", Some(super::SERVER))?;
    let client = lab.station(&segment, "client", Some(super::CLIENT))?;
    let table = lab.path("fdatasync");
    let shown = table.display().to_string();
    let strace =
        ["strace", "-D", "-f", "-c", "-w", "--seccomp-bpf", "-e", "trace=fdatasync", "-o", shown.as_str()];
    let running = reveille_under(&lab, &server, binary, &strace)?;
    let (counters, threads) = (counters(&lab, binary)?, processor_time(&running)?);
    let began = Instant::now();
    let text = bench.perfdhcp(&lab, &client, rate)?;
    let took = began.elapsed();
    let sample = parse(&text).with_context(|| format!("perfdhcp said:\n{text}"))?;
    let counted = difference(&self::counters(&lab, binary)?, &counters);
    let spent = difference(&processor_time(&running)?, &threads);
    running.stop()?;
    let (syncs, sync_micros) = wait_for_table(&table)?;
    print(rate, took, &sample, &counted, &spent, (syncs, sync_micros));
    Ok(())
}

fn print(
    rate: u32,
    took: Duration,
    sample: &Sample,
    counted: &BTreeMap<String, u64>,
    spent: &BTreeMap<String, u64>,
    (syncs, sync_micros): (u64, f64),
) {
    let count = |name: &str| counted.get(name).copied().unwrap_or(0);
    let per = |whole: f64, parts: u64| if parts == 0 { 0.0 } else { whole / parts as f64 };
    let (batches, leases) = (count("batches"), count("committed"));
    println!(
        "asked {rate}/s: {:.0} exchanges/s, {} drops, {:.1} s",
        sample.exchanges_per_second,
        sample.drops,
        took.as_secs_f64()
    );
    println!(
        "  {} datagrams in {batches} batches: {:.1} a batch",
        count("received"),
        per(count("received") as f64, batches)
    );
    println!(
        "  {leases} leases made durable by {syncs} fdatasync: {:.1} each; mean {sync_micros:.0} us, {:.0} % of the time",
        per(leases as f64, syncs),
        syncs as f64 * sync_micros / took.as_micros() as f64 * 100.0
    );
    let busy: u64 = spent.values().sum();
    println!("  processor: {:.0} us a lease, of which", per(busy as f64 / 1000.0, leases));
    for (name, nanos) in spent.iter().filter(|(_, nanos)| **nanos > busy / 100) {
        println!("    {:>6.1} us  {name}", per(*nanos as f64 / 1000.0, leases));
    }
}

fn difference(after: &BTreeMap<String, u64>, before: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let earlier = |name| before.get(name).copied().unwrap_or(0);
    after.iter().map(|(name, count)| (name.clone(), count.saturating_sub(earlier(name)))).collect()
}

/// Counters of the DHCP door.
fn counters(lab: &Lab, binary: &Path) -> Result<BTreeMap<String, u64>> {
    let socket = lab.path("reveille").join("admin.sock");
    let mut status = Command::new(binary);
    status.args(["status", "-o", "json", "--socket"]).arg(socket);
    let status: Value = serde_json::from_str(&crate::run::output(&mut status)?)?;
    let all = status.pointer("/counters/dhcp").and_then(Value::as_object).context("no counters")?;
    Ok(all.iter().filter_map(|(name, count)| Some((name.clone(), count.as_u64()?))).collect())
}

/// Nanoseconds on a processor by name of thread, numbers left out.
fn processor_time(running: &Running) -> Result<BTreeMap<String, u64>> {
    let mut all: BTreeMap<String, u64> = BTreeMap::new();
    for thread in std::fs::read_dir(format!("/proc/{}/task", running.id()))?.flatten() {
        let read = |file: &str| std::fs::read_to_string(thread.path().join(file)).unwrap_or_default();
        let name = read("comm").trim().trim_end_matches(|c: char| c.is_ascii_digit() || c == '-').to_owned();
        let nanos: u64 =
            read("schedstat").split_whitespace().next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0);
        *all.entry(name).or_default() += nanos;
    }
    Ok(all)
}

fn wait_for_table(path: &Path) -> Result<(u64, f64)> {
    let until = Instant::now() + TABLE_DEADLINE;
    loop {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        if let Some(found) = row(&text) {
            return Ok(found);
        }
        if Instant::now() > until {
            bail!("strace left no table:\n{text}");
        }
        // It is no child of ours: there is no event to wait on.
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Calls and their mean in microseconds, of `100.00    1.234567         123     10037           fdatasync`.
fn row(table: &str) -> Option<(u64, f64)> {
    let line = table.lines().find(|line| line.trim_end().ends_with("fdatasync"))?;
    // The table ends with a total; before that it is not whole.
    table.lines().find(|line| line.trim_end().ends_with("total"))?;
    let words: Vec<&str> = line.split_whitespace().collect();
    let (seconds, calls): (f64, u64) = (words.get(1)?.parse().ok()?, words.get(3)?.parse().ok()?);
    Some((calls, seconds * 1e6 / calls as f64))
}

#[cfg(test)]
mod tests {
    use super::row;

    #[test]
    fn the_table_is_read_once_it_is_whole() {
        let line = "100.00    1.000000         100     10000           fdatasync\n";
        assert_eq!(row(line), None);
        let table =
            format!("{line}------ -----------\n100.00    1.000000         100     10000           total\n");
        assert_eq!(row(&table), Some((10_000, 100.0)));
    }
}
