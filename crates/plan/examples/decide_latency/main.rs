//! How long single decisions take: p50, p99 and the longest of many, how long a whole catalog takes to be built, and how long it
//! takes to tell what every host should have, as `reveille drift` does.
//!
//! ```text
//! cargo run --profile sim -p reveille-plan --example decide_latency -- --hosts 13000 --rules 500 --groups 200
//! ```
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "measures values made here, with a clock"
)]

mod site;

use reveille_plan::{BootState, Catalog, Fleet, decide, known, resolve};
use site::Size;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Decisions measured.
const DECISIONS: u32 = 100_000;
/// Resolutions measured: they are for people.
const RESOLUTIONS: u32 = 10_000;
/// Builds measured.
const BUILDS: usize = 9;

fn main() {
    let mut size = Size { hosts: 13_000, rules: 500, groups: 200 };
    let mut args = std::env::args().skip(1);
    while let (Some(key), Some(value)) = (args.next(), args.next()) {
        let value = value.parse().unwrap();
        match key.as_str() {
            "--hosts" => size.hosts = value,
            "--rules" => size.rules = value,
            "--groups" => size.groups = value,
            other => panic!("{other}: known are --hosts, --rules and --groups"),
        }
    }
    println!("{size:?}");
    let mut builds: Vec<Duration> = (0..BUILDS)
        .map(|_| {
            let parts = site::parts(size);
            let start = Instant::now();
            let built = black_box(Catalog::build(parts));
            let took = start.elapsed();
            drop(built);
            took
        })
        .collect();
    report("build", &mut builds);
    let catalog = site::catalog(size);
    let mut took = measured(size, DECISIONS, |facts| {
        black_box(decide(&catalog, black_box(facts), &BootState::default()));
    });
    for (at, name) in
        ["unknown, told", "known, untold", "known, told", "known, untold"].into_iter().enumerate()
    {
        let mut some: Vec<Duration> = took.iter().skip(at).step_by(4).copied().collect();
        report(&format!("decide {name}"), &mut some);
    }
    report("decide", &mut took);
    report(
        "resolve",
        &mut measured(size, RESOLUTIONS, |facts| {
            black_box(resolve(&catalog, black_box(facts)));
        }),
    );
    for (what, seen) in [("seen", true), ("not seen since the start", false)] {
        let mut took: Vec<Duration> = (0..BUILDS).map(|_| drift(size, &catalog, seen)).collect();
        report(&format!("what all {} hosts should have, {what}", size.hosts), &mut took);
    }
}

/// Asks what every host should have.
fn drift(size: Size, catalog: &Catalog, seen: bool) -> Duration {
    // Told ones have even numbers, and known ones do not divide by four.
    let said = site::facts(size, 2);
    let start = Instant::now();
    let fleet = Fleet::new(catalog);
    for host in catalog.hosts() {
        let said = types::Facts { mac: None, guid: None, serial: None, ..said.clone() };
        let facts = known(host, seen.then_some(&said));
        black_box(fleet.wanted(host, &facts));
    }
    start.elapsed()
}

fn measured(size: Size, count: u32, work: impl Fn(&types::Facts)) -> Vec<Duration> {
    // Once to warm up what is built on first use.
    for round in [count.min(1000), count] {
        let took = (0..round).map(|at| {
            let facts = site::facts(size, at);
            let start = Instant::now();
            work(&facts);
            start.elapsed()
        });
        let took: Vec<Duration> = took.collect();
        if round == count {
            return took;
        }
    }
    Vec::new()
}

fn report(what: &str, took: &mut [Duration]) {
    took.sort_unstable();
    let at = |share: usize| took[(took.len() - 1) * share / 1000];
    println!(
        "{what}: least {:?}, p50 {:?}, p99 {:?}, p99.9 {:?}, max {:?}",
        at(0),
        at(500),
        at(990),
        at(999),
        at(1000)
    );
}
