//! Millions of malformed DHCP and TFTP packets through the pure crates, with the daemon's own log at every level.
//!
//! ```text
//! captures ─ mutate ─► Responder (server, proxy, relayed; leases in the table) ─► events ─► log: text and JSON,
//!                  └─► decode · negotiate · Transfer                           ─► events ─┘ error … trace, in turn
//! ```
//!
//! It ends in failure when a packet panics, takes longer than [`measure::PACKET_MAX`], writes a log line with a control
//! byte in it, or when memory grows. A run is a function of its seed: the packet at fault is printed as hex with the
//! command line that comes to it again. Started by `cargo xtask storm packets`.
#![expect(clippy::unwrap_used, reason = "a program of the tests, on values made here")]
#![expect(clippy::indexing_slicing, reason = "a program of the tests; bounds are those of its own tables")]
#![expect(clippy::cast_possible_truncation, reason = "random numbers are cut to the width that is wanted")]

mod dhcp;
#[path = "../../../crates/reveille/src/log.rs"]
#[expect(dead_code, reason = "the daemon starts it on standard error; here it writes into a sink")]
mod log;
mod measure;
mod mutate;
mod sink;
mod tftp;

use measure::{Measure, Report};
use sim::Seed;
use sink::Logs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

/// Of three packets, two are DHCP.
const TFTP_EVERY: u64 = 3;

fn main() -> ExitCode {
    let option = |name: &str, default: u64| {
        let mut words = std::env::args().skip_while(|word| word != name).skip(1);
        words.next().map_or(default, |value| value.parse().expect("a number"))
    };
    let (count, jobs, seed) = (option("--count", 2_000_000), option("--jobs", 1).max(1), option("--seed", 1));
    println!("packet storm: {count} packets, {jobs} jobs, seed {seed}");
    let began = Instant::now();
    let share = count / jobs;
    let threads: Vec<_> = (0..jobs)
        .map(|job| {
            let own = if job == 0 { count - share * (jobs - 1) } else { share };
            std::thread::spawn(move || storm(seed + job, own))
        })
        .collect();
    // A job that finds something ends the whole program.
    let reports: Vec<Report> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    let report = Report::merge(reports);
    report.print(began.elapsed());
    if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One job.
fn storm(seed: u64, count: u64) -> Report {
    let mut dice = Seed::new(seed);
    let mut dhcp = dhcp::Lab::new();
    let mut tftp = tftp::Lab::new();
    let logs = Logs::new();
    let mut measure = Measure::new(count);
    let mut packet = Vec::with_capacity(2048);
    for index in 0..count {
        measure.window(index);
        let is_tftp = index % TFTP_EVERY == 0;
        packet.clear();
        if is_tftp {
            tftp.next(&mut dice, &mut packet);
        } else {
            dhcp.next(&mut dice, &mut packet);
        }
        let log = logs.turn(index);
        let began = Instant::now();
        let done = catch_unwind(AssertUnwindSafe(|| {
            tracing::dispatcher::with_default(log, || {
                if is_tftp { tftp.handle(&mut dice, &packet) } else { dhcp.handle(&mut dice, &packet) }
            })
        }));
        let took = began.elapsed();
        match done {
            Ok(fate) => measure.note(fate, took, &packet, (seed, index)),
            Err(_) => measure::fail("panic", &packet, (seed, index)),
        }
    }
    measure.finish(logs.bytes())
}
