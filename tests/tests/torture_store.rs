//! A store is tortured: power cuts, damaged media, failing calls. Short forms of `cargo xtask torture`.

use harness::packages::{self, BOOT, TORTURE};
use harness::torture::{Outcome, bitrot, inject, powercut};

/// Any; the long forms take a fresh one each time.
const SEED: u64 = 20;

fn passes(outcome: &Outcome) {
    println!("{outcome}");
    assert!(outcome.is_clean(), "{outcome}");
}

#[test]
fn a_power_cut_loses_nothing_acknowledged_and_never_stops_a_start() {
    if packages::here(&[BOOT, TORTURE].concat()) {
        let options = powercut::Options { per_recording: 40, ..powercut::Options::new(120, SEED) };
        passes(&powercut::run(options).unwrap());
    }
}

#[test]
fn damaged_media_are_told_or_harmless_never_silent() {
    let options = bitrot::Options { flips: 120, pages: 40, truncations: 40, threads: 2, seed: SEED };
    passes(&bitrot::run(options).unwrap());
}

#[test]
fn after_a_failing_call_everything_acknowledged_is_there() {
    if packages::here(&[BOOT, TORTURE].concat()) {
        passes(&inject::store(inject::Options { calls: 24, daemon_calls: 0, seed: SEED }).unwrap());
    }
}
