use super::*;
use crate::seeds;

fn scenario(seed: u64) -> Scenario {
    Scenario {
        seed,
        machines: 20,
        boots: 2,
        pool: 30,
        faults: Faults::NONE,
        commit_failures: 0,
        crashes: 0,
        clock_jumps: false,
        patience: Duration::from_secs(40_000),
    }
}

fn good(scenario: &Scenario) -> Report {
    let report = run(scenario, Instant::now());
    let replay = format!("REVEILLE_SEED={} {scenario:?} {report:?}", scenario.seed);
    assert!(report.violations.is_empty(), "{replay}");
    assert_eq!(report.boots, u32::from(scenario.machines) * scenario.boots, "{replay}");
    report
}

#[test]
fn a_quiet_rack_boots() {
    let report = good(&scenario(1));
    assert_eq!(report.leases, 20 * 2 * 5, "three programs and two renewals per boot");
}

#[test]
fn a_harsh_wire_costs_time_and_nothing_else() {
    seeds(3).for_each(|seed| drop(good(&Scenario { faults: Faults::HARSH, ..scenario(seed) })));
}

#[test]
fn damaged_packets_harm_nobody() {
    let faults = Faults { bit_flip: 50, truncate: 50, damage_passes: true, ..Faults::NONE };
    for seed in seeds(3) {
        // A flipped bit may forge an address or a lease time; what must hold is that nothing falls over.
        run(&Scenario { faults, patience: Duration::from_secs(4_000), ..scenario(seed) }, Instant::now());
    }
}

#[test]
fn a_pool_as_small_as_the_rack_is_enough() {
    seeds(2).for_each(|seed| drop(good(&Scenario { pool: 20, faults: Faults::HARSH, ..scenario(seed) })));
}

#[test]
fn crashes_between_commit_and_reply_lose_nothing_acknowledged() {
    let mut crashes = 0;
    for seed in seeds(4) {
        crashes += good(&Scenario { crashes: 20, faults: Faults::HARSH, ..scenario(seed) }).crashes;
    }
    assert!(crashes > 0);
}

#[test]
fn a_store_that_fails_delays_and_never_lies() {
    let mut failures = 0;
    for seed in seeds(3) {
        let shaky = Scenario { commit_failures: 300, crashes: 5, faults: Faults::HARSH, ..scenario(seed) };
        failures += good(&shaky).commit_failures;
    }
    assert!(failures > 0);
}

#[test]
fn a_clock_that_jumps_frees_nothing_and_keeps_nothing() {
    seeds(2).for_each(|seed| drop(good(&Scenario { clock_jumps: true, pool: 22, ..scenario(seed) })));
}
