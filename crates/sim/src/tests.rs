use super::*;
use std::time::{Duration, Instant};

fn good(scenario: &Scenario) -> Report {
    let report = Stage::new(Instant::now()).run(scenario);
    assert!(report.violations.is_empty(), "{:?} {scenario:?}", report.failure(scenario));
    report
}

#[test]
fn a_quiet_rack_boots() {
    let report = good(&Scenario::quiet(1));
    assert_eq!(report.counts.boots, 16);
    assert_eq!(report.counts.leases, 8 * 2 * 5, "three programs and two renewals per boot");
    assert_eq!(report.counts.naks + report.counts.failed_commits + report.counts.crashes, 0);
}

#[test]
fn seeds_run() {
    let stage = Stage::new(Instant::now());
    for seed in seeds(200) {
        let scenario = Scenario::of(seed);
        let report = stage.run(&scenario);
        if let Some(f) = report.failure(&scenario) {
            println!("{f}");
        }
    }
    let _ = Duration::ZERO;
}
