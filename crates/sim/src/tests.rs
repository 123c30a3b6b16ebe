use super::*;
use crate::report::Promise::*;
use std::time::{Duration, Instant};

fn stage() -> Stage {
    Stage::new(Instant::now())
}

/// Runs it; panics with the line that replays it.
fn good(scenario: &Scenario) -> Report {
    let report = stage().run(scenario);
    assert!(report.violations.is_empty(), "{} {scenario:?}", report.failure(scenario).unwrap_or_default());
    report
}

fn rack(seed: u64) -> Scenario {
    let trouble = Duration::from_secs(900);
    Scenario {
        machines: 20,
        pool: 30,
        trouble,
        patience: Duration::from_secs(40_000),
        ..Scenario::quiet(seed)
    }
}

#[test]
fn a_quiet_rack_boots() {
    let report = good(&Scenario::quiet(1));
    assert_eq!(report.counts.boots, 16);
    assert_eq!(report.counts.leases, 8 * 2 * 5, "three programs and two renewals per boot");
    assert_eq!(report.counts.naks + report.counts.failed_commits + report.counts.crashes, 0);
}

#[test]
fn the_same_seed_gives_the_same_run_whatever_the_origin_of_its_clock() {
    for seed in 0..20 {
        let scenario = Scenario::of(seed);
        assert_eq!(scenario, Scenario::of(seed));
        let later = Stage::new(Instant::now() + Duration::from_millis(1234));
        assert_eq!(stage().trace(&scenario), later.trace(&scenario), "seed {seed}");
    }
}

#[test]
fn seeds_break_nothing() {
    let stage = stage();
    let bad: Vec<String> = seeds(60)
        .filter_map(|seed| {
            let scenario = Scenario::of(seed);
            stage.run(&scenario).failure(&scenario)
        })
        .collect();
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

#[test]
fn seeds_meet_every_kind_of_trouble() {
    let stage = stage();
    let mut sum = Counts::default();
    (0..100).for_each(|seed| sum.add(&stage.run(&Scenario::of(seed)).counts));
    let never: Vec<&str> = sum
        .pairs()
        .into_iter()
        .filter(|(name, number)| *number == 0 && !name.contains("other appliance"))
        .map(|(name, _)| name)
        .collect();
    assert!(never.is_empty(), "no {}", never.join(", no "));
}

/// Seeds that broke something once, and what.
const REGRESSIONS: &[(u64, &str)] = &[
    (13, "a process killed in its commit knows more than its store: that is no forgotten lease"),
    (66, "a disk that refuses once while the store opens is tried again"),
    (34, "a clock without battery after one that was set: the latest grant tells no time to come"),
    (86, "a clock set to 1970 and a power cut: leases stay leases"),
    (3462, "a quarantine that was over begins once more by a clock that is behind"),
    (12647, "an address kept for its last owner takes the place of what that one was offered"),
    (212, "an ACK and a RELEASE in one batch: the lease was durable when the ACK was decided"),
    (
        57_382,
        "a battery that dies in the commit that dates the leases anew: which clock they have, nobody could tell",
    ),
    (86_362, "a repeated ACK behind a slow disk is covered by the time a lease is kept beyond its end"),
    (112_196, "a sync that fails at start: the frame is written again, not only synced again"),
    (3_000_259, "a damaged packet may name its client by an odd hardware address alone"),
];

#[test]
fn seeds_that_broke_something_once_break_nothing_now() {
    for (seed, what) in REGRESSIONS {
        let scenario = Scenario::of(*seed);
        assert_eq!(stage().run(&scenario).failure(&scenario), None, "{what}");
    }
}

#[test]
fn a_harsh_wire_costs_time_and_nothing_else() {
    let report = good(&Scenario { wire: Faults::HARSH, ..rack(1) });
    assert_eq!(report.counts.boots, 40);
}

#[test]
fn a_pool_as_small_as_the_rack_is_enough() {
    let report = good(&Scenario { pool: 20, wire: Faults::HARSH, ..rack(2) });
    assert_eq!(report.counts.boots, 40);
}

#[test]
fn a_pool_of_one_serves_one_machine_after_the_other() {
    let report = good(&Scenario { machines: 3, pool: 1, boots: 1, renewals: 0, ..rack(3) });
    assert!(report.counts.boots >= 1);
}

#[test]
fn an_appliance_that_dies_everywhere_loses_nothing_acknowledged() {
    let (mut crashes, mut torn) = (0, 0);
    for seed in seeds(4) {
        let report = good(&Scenario { crashes: 30, wire: Faults::HARSH, ..rack(seed) });
        crashes += report.counts.crashes;
        torn += report.counts.torn;
    }
    assert!(crashes > 20 && torn > 3, "{crashes} {torn}");
}

#[test]
fn a_disk_that_refuses_delays_and_never_lies() {
    let shaky = Scenario { disk_errors: 30, disk_full: 4, crashes: 3, wire: Faults::HARSH, ..rack(5) };
    assert!(good(&shaky).counts.failed_commits > 20);
}

#[test]
fn a_clock_that_steps_frees_nothing_and_keeps_nothing() {
    let report = good(&Scenario { clock_steps: 12, pool: 22, ..rack(6) });
    assert_eq!((report.counts.boots, report.counts.clock_steps), (40, 12));
}

#[test]
fn machines_behind_a_relay_boot_and_renew_past_it() {
    let report =
        good(&Scenario { machines: 2, relayed: 10, relayed_pool: 10, wire: Faults::HARSH, ..rack(7) });
    assert_eq!(report.counts.boots, 24);
}

#[test]
fn two_appliances_never_give_one_address_twice() {
    let scenario =
        Scenario { appliances: Appliances::Two, pool: 12, crashes: 4, wire: Faults::HARSH, ..rack(8) };
    assert_eq!(good(&scenario).counts.boots, 40);
}

#[test]
fn squatters_cost_a_decline_each_time_and_their_addresses_go_last() {
    let report = good(&Scenario { squatters: 2, probe_wait: Duration::ZERO, ..rack(9) });
    assert_eq!(report.counts.boots, 40);
    assert!(report.counts.declines > 0);
}

#[test]
fn squatters_that_answer_when_asked_cost_no_decline() {
    let report = good(&Scenario { squatters: 2, ..rack(9) });
    assert_eq!((report.counts.boots, report.counts.declines), (40, 0));
    assert!(report.counts.probes_answered > 0);
}

#[test]
fn damaged_packets_harm_no_appliance() {
    let wire = Faults { bit_flip: 50, truncate: 50, damage_passes: true, ..Faults::NONE };
    // A flipped bit may forge what a machine believes; what the appliance does is held to every promise.
    (0..3).for_each(|seed| drop(good(&Scenario { wire, ..rack(seed) })));
}

/// How many seeds it takes to catch a shell that breaks a promise, and which promise was seen broken.
fn caught(mutant: Mutant) -> (u64, Promise) {
    let stage = stage();
    let found = (0..400).find_map(|seed| {
        let report = stage.run_mutant(&Scenario::of(seed), mutant);
        report.violations.first().map(|violation| (seed, violation.promise))
    });
    found.unwrap_or_else(|| panic!("nobody notices {mutant:?}"))
}

#[test]
fn every_broken_shell_is_caught_within_a_few_seeds() {
    for (mutant, promise) in [
        (Mutant::SendsBeforeCommit, DurableFirst),
        (Mutant::CommitsNothing, DurableFirst),
        (Mutant::ForgetsARecord, RestartChangesNothing),
        (Mutant::OffersWhatIsHeld, OneOwner),
        (Mutant::ShortensLeases, NeverShorter),
        (Mutant::PromisesMore, DurableFirst),
        (Mutant::RepliesTwice, OneReply),
        (Mutant::ForgetsQuarantine, RestartChangesNothing),
    ] {
        let (seeds, broken) = caught(mutant);
        assert_eq!(broken, promise, "{mutant:?} at seed {seeds}");
        println!("{mutant:?}: seed {seeds}");
    }
}
