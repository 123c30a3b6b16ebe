//! D41: expiry is written in wall time and runs on the monotonic clock, also across a restart after the clock was set.

use super::*;

const YEAR: u64 = 365 * 86_400;

/// The wall clock reads `unix`; the monotonic one goes on.
fn set(lab: &mut Lab, unix: u64) {
    lab.now.unix = UnixTime(unix);
}

/// What a daemon does about it.
fn follow(lab: &mut Lab) -> usize {
    let ticked = lab.responder.tick(lab.now);
    let Some(redating) = ticked.redating else { return 0 };
    assert_eq!(ticked.events[0].name, EventName::ServerClockSet);
    lab.responder.redated(redating.clock);
    redating.records.len()
}

/// A new process on the same store; `clock` is what its records were dated by.
fn restart(lab: &mut Lab, clock: Now) {
    let records: Vec<LeaseRecord> = lab.responder.leases().cloned().collect();
    lab.responder = Responder::new(lab.responder.settings().clone());
    lab.responder.set_clock(clock);
    lab.responder.load(records);
}

#[test]
fn a_step_dates_every_lease_anew_and_ends_none() {
    for unix in [0, 1_800_000_000 - 3600, 1_800_000_000 + 3600, 1_800_000_000 + YEAR, 4_300_000_000] {
        let mut lab = Lab::new(vec![lab()]);
        let address = lab.lease(&discover(1));
        set(&mut lab, unix);
        assert_eq!(follow(&mut lab), 1, "{unix}");
        let record = lab.responder.leases().next().unwrap().clone();
        assert_eq!(record.expires, UnixTime(unix + 3600), "{unix}");
        assert_eq!(follow(&mut lab), 0, "{unix}: once");
        let clock = lab.now;
        restart(&mut lab, clock);
        assert_eq!(kind(&lab.ask(&renew(1, address))), MessageType::Ack, "{unix}");
        assert_ne!(lab.ask(&discover(2)).yiaddr, address, "{unix}");
        lab.wait(3600 + 60);
        let taken = (2..=200)
            .map(|n| lab.handle(&arrival(), &discover(n)))
            .filter(|it| matches!(it, Outcome::Act(_)));
        assert!(taken.count() > 80, "{unix}: and it ends in its time");
    }
}

#[test]
fn a_crash_before_the_leases_are_dated_anew_finds_records_and_clock_of_one_kind() {
    let mut lab = Lab::new(vec![lab()]);
    let address = lab.lease(&discover(1));
    let old = lab.now;
    set(&mut lab, 4_000_000_000);
    // Leased after the step, before anybody noticed: dated by the old clock.
    let second = lab.lease(&discover(2));
    let records: Vec<LeaseRecord> = lab.responder.leases().cloned().collect();
    assert!(records.iter().all(|record| record.expires == old.unix.saturating_add(secs(3600))));
    restart(&mut lab, old);
    assert_eq!(follow(&mut lab), 2, "the new process dates them");
    for (n, address) in [(1, address), (2, second)] {
        assert_eq!(kind(&lab.ask(&renew(n, address))), MessageType::Ack);
    }
}

#[test]
fn a_commit_that_fails_leaves_the_old_clock_in_force() {
    let mut lab = Lab::new(vec![lab()]);
    lab.lease(&discover(1));
    let old = lab.now;
    set(&mut lab, 4_000_000_000);
    assert!(lab.responder.tick(lab.now).redating.is_some());
    lab.lease(&discover(2));
    let expires: Vec<UnixTime> = lab.responder.leases().map(|record| record.expires).collect();
    assert_eq!(expires, [old.unix.saturating_add(secs(3600)); 2]);
    assert!(lab.responder.tick(lab.now).redating.is_some(), "asked for again");
}

#[test]
fn a_clock_set_back_leaves_nothing_granted_in_the_future() {
    // After a reboot without a battery the latest grant is what tells the time: it must not be that of the clock before.
    let mut lab = Lab::new(vec![lab()]);
    lab.lease(&discover(1));
    lab.wait(3600 + 120);
    lab.lease(&discover(2));
    set(&mut lab, 100);
    assert_eq!(follow(&mut lab), 2, "what is over too");
    assert!(lab.responder.leases().all(|record| record.granted <= UnixTime(100)));
    assert_eq!(follow(&mut lab), 0, "once");
}

#[test]
fn what_is_over_stays_over_when_the_clock_goes_back() {
    let mut lab = Lab::new(vec![lab()]);
    let address = lab.lease(&discover(1));
    lab.wait(3600 + 120);
    set(&mut lab, 1_500_000_000);
    assert_eq!(follow(&mut lab), 1);
    let clock = lab.now;
    restart(&mut lab, clock);
    lab.wait(120);
    assert_eq!(lab.responder.tables()[0].free(), 100, "{address} is free");
}

#[test]
fn slow_drift_is_taken_over_before_it_eats_the_grace() {
    let mut lab = Lab::new(vec![lab()]);
    lab.lease(&discover(1));
    let mut followed = 0;
    for _ in 0..3600 {
        lab.now = lab.now.plus(secs(1));
        // A clock that gains one second in a hundred.
        if lab.now.unix.0.is_multiple_of(100) {
            lab.now.unix = UnixTime(lab.now.unix.0 + 1);
        }
        followed += usize::from(follow(&mut lab) > 0);
    }
    assert!((2..=4).contains(&followed), "{followed}");
}
