use super::*;
use crate::seeds;
use std::panic::{AssertUnwindSafe, catch_unwind};

const HANG: Duration = Duration::from_secs(60);

fn scenario(profile: Profile, size: usize, faults: Faults, seed: u64) -> Scenario {
    let content = Seed::new(seed ^ 0xc0ffee).bytes(size);
    Scenario { profile, content, faults, policy: Policy::default(), trust: Trust::Known, seed }
}

/// Runs it and panics with the line that replays it when `check` does.
fn replayable(scenario: &Scenario, check: impl FnOnce(&Report)) -> Report {
    let start = Instant::now();
    let result = catch_unwind(AssertUnwindSafe(|| {
        let report = run(scenario, start);
        check(&report);
        report
    }));
    result.unwrap_or_else(|_| {
        panic!(
            "REVEILLE_SEED={} replays it: {} with {} bytes, {:?}",
            scenario.seed,
            scenario.profile.name,
            scenario.content.len(),
            scenario.faults
        )
    })
}

fn ends_well(scenario: &Scenario, report: &Report) {
    assert_eq!(report.open, 0, "a transfer hangs: {:?}", report.endings);
    assert!(report.longest_silence <= HANG, "silent for {:?}", report.longest_silence);
    assert!(report.server_lag <= HANG, "the server holds on for {:?}", report.server_lag);
    match report.outcome.as_ref().expect("the client hangs") {
        Outcome::Got(received) => assert!(*received == scenario.content, "the file differs"),
        Outcome::Refused { .. } | Outcome::GaveUp => {}
    }
}

#[test]
fn every_client_gets_its_file_over_a_quiet_link_without_a_resend() {
    for profile in PROFILES {
        for size in [0, 1, 511, 512, 1468, 4 * 1468, 100_000] {
            let scenario = scenario(profile, size, Faults::NONE, 1);
            let report = replayable(&scenario, |report| ends_well(&scenario, report));
            assert!(matches!(report.outcome, Some(Outcome::Got(_))), "{}: {report:?}", profile.name);
            assert_eq!(report.endings.last(), Some(&Ending::Complete));
            if profile.probes {
                assert_eq!(report.endings, [Ending::SizeProbe, Ending::Complete], "{}", profile.name);
            }
            let blksize = usize::from(profile.blksize.unwrap_or(512));
            let oacks = u64::from(profile.blksize.is_some()) + u64::from(profile.probes);
            assert_eq!(report.server_packets, (size / blksize) as u64 + 1 + oacks, "{} {size}", profile.name);
        }
    }
}

#[test]
fn t23_under_harsh_loss_every_transfer_ends_whole_or_with_an_error_and_none_hangs() {
    let (mut runs, mut whole) = (0u32, 0u32);
    for seed in seeds(150) {
        for profile in PROFILES {
            let size = usize::try_from(Seed::new(seed).below(60_000)).unwrap();
            let scenario = scenario(profile, size, Faults::HARSH, seed);
            let report = replayable(&scenario, |report| ends_well(&scenario, report));
            runs += 1;
            whole += u32::from(matches!(report.outcome, Some(Outcome::Got(_))));
        }
    }
    assert!(whole * 100 >= runs * 95 || runs < 50, "only {whole} of {runs} got their file");
}

#[test]
fn t23_strangers_behind_a_lossy_link_get_their_files_too() {
    let (mut runs, mut whole) = (0u32, 0u32);
    for seed in seeds(40) {
        // A ROM that keeps its port may take a late packet of its own probe for the answer: nobody can help it.
        for profile in PROFILES.into_iter().filter(|profile| !profile.keeps_port) {
            let faults = Faults { loss: 100, ..Faults::HARSH };
            let scenario = Scenario { trust: Trust::Stranger, ..scenario(profile, 20_000, faults, seed) };
            let report = replayable(&scenario, |report| ends_well(&scenario, report));
            runs += 1;
            whole += u32::from(matches!(report.outcome, Some(Outcome::Got(_))));
        }
    }
    assert!(whole * 100 >= runs * 98 || runs < 50, "only {whole} of {runs} got their file");
}

#[test]
fn packets_cut_and_flipped_that_pass_the_checksum_never_hang_or_crash_a_transfer() {
    for seed in seeds(100) {
        for profile in PROFILES {
            let faults =
                Faults { truncate: 60, bit_flip: 150, damage_passes: true, loss: 50, ..Faults::HARSH };
            let scenario = scenario(profile, 30_000, faults, seed);
            replayable(&scenario, |report| {
                assert_eq!(report.open, 0);
                assert!(report.server_lag <= HANG, "{:?}", report.server_lag);
                assert!(report.outcome.is_some());
            });
        }
    }
}

#[test]
fn t8_a_file_of_more_than_65535_blocks_survives_rollover_under_loss() {
    let faults = Faults { loss: 10, duplicate: 10, reorder: 10, ..Faults::NONE };
    for (profile, blksize, seed) in [(LOCK_STEP, 8, 1), (EDK2, 8, 2), (WIDE, 16, 3)] {
        let profile = Profile { blksize: Some(blksize), ..profile };
        let scenario = scenario(profile, usize::from(blksize) * 66_000 + 5, faults, seed);
        replayable(&scenario, |report| {
            ends_well(&scenario, report);
            assert!(
                matches!(report.outcome, Some(Outcome::Got(_))),
                "{}: {:?}",
                profile.name,
                report.endings
            );
        });
    }
}

#[test]
fn one_percent_loss_costs_little_because_resends_come_early() {
    let quiet = run(&scenario(IPXE, 2_000_000, Faults::NONE, 1), Instant::now());
    let faults = Faults { loss: 10, ..Faults::NONE };
    let lossy = run(&scenario(IPXE, 2_000_000, faults, 1), Instant::now());
    assert!(matches!(lossy.outcome, Some(Outcome::Got(_))));
    assert!(lossy.took < quiet.took * 2, "{:?} instead of {:?}", lossy.took, quiet.took);
}

#[test]
fn duplicated_packets_do_not_double_the_traffic() {
    let faults = Faults { duplicate: 1000, ..Faults::NONE };
    let scenario = scenario(LOCK_STEP, 50_000, faults, 5);
    let report = replayable(&scenario, |report| ends_well(&scenario, report));
    assert!(report.server_packets < 50_000 / 512 + 10, "{} packets", report.server_packets);
}

#[test]
fn a_client_that_vanishes_is_given_up_within_a_minute() {
    // Everything is lost after the first packets: the client's own retries end, then the server's.
    for profile in PROFILES {
        let scenario = scenario(profile, 100_000, Faults { loss: 950, ..Faults::NONE }, 11);
        replayable(&scenario, |report| ends_well(&scenario, report));
    }
}
