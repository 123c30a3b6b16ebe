//! The appliance is tortured under load: kills, failing calls, a full disk, a flood. Short forms of `cargo xtask torture`.

use harness::daemon::binary;
use harness::packages::{self, BOOT, TORTURE};
use harness::torture::churn::Churn;
use harness::torture::{Outcome, diskfull, inject, kill, start, starve};
use std::time::Duration;

/// Any; the long forms take a fresh one each time.
const SEED: u64 = 20;
/// What a debug build on a shared machine carries.
const CHURN: Churn = Churn { rate: 300, renew: 80, release: 80, machines: 1000 };

macro_rules! needs_tools {
    () => {
        harness::enter!();
        if !packages::here(&[BOOT, TORTURE].concat()) {
            return;
        }
    };
}

fn passes(outcome: &Outcome) {
    println!("{outcome}");
    assert!(outcome.is_clean(), "{outcome}");
}

#[test]
fn a_killed_appliance_has_every_lease_it_acknowledged() {
    needs_tools!();
    passes(&kill::run(&binary().unwrap(), kill::Options { points: 6, seed: SEED, churn: CHURN }).unwrap());
}

#[test]
fn a_start_with_leases_is_timed() {
    needs_tools!();
    // A debug build says nothing about the goal of a second.
    let options = start::Options { leases: 2000, starts: 1, goal: Duration::from_secs(30) };
    passes(&start::run(&binary().unwrap(), options).unwrap());
}

#[test]
fn no_ack_leaves_without_its_record_when_calls_fail() {
    needs_tools!();
    let options = inject::Options { calls: 0, daemon_calls: 4, seed: SEED };
    passes(&inject::daemon(&binary().unwrap(), options, CHURN).unwrap());
}

#[test]
fn a_full_disk_loses_nothing_and_known_machines_are_renewed() {
    needs_tools!();
    let options = diskfull::Options { points: 3, seed: SEED, churn: CHURN };
    passes(&diskfull::run(&binary().unwrap(), options).unwrap());
}

#[test]
fn known_machines_lease_during_a_flood_of_invented_ones() {
    needs_tools!();
    let options = starve::Options {
        rate: 2000,
        flood: Duration::from_secs(5),
        pool: starve::SMALL_POOL,
        recovery: false,
        known_p99: None,
        seed: SEED,
    };
    passes(&starve::run(&binary().unwrap(), options).unwrap());
}
