//! The oracle can fail, and does not without reason.

use super::*;
use std::sync::Arc;
use types::UnixTime;

const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 10);
const NOW: u64 = 1_800_000_000;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW + seconds)
}

fn heard(seconds: u64, kind: Kind, machine: u8, address: Ipv4Addr) -> Heard {
    let ciaddr = if kind == Kind::Release { address } else { Ipv4Addr::UNSPECIFIED };
    let yiaddr = if kind == Kind::Ack { address } else { Ipv4Addr::UNSPECIFIED };
    let lease = (kind == Kind::Ack).then_some(600);
    let said = Said { kind, xid: 7, mac: [machine; 6], client_id: None, ciaddr, yiaddr, lease, server: None };
    Heard { at: at(seconds), said }
}

fn record(machine: u8, address: Ipv4Addr, expires: u64) -> (Ipv4Addr, LeaseRecord) {
    let record = LeaseRecord {
        address,
        subnet: "lab".into(),
        key: ClientKey::Hardware { htype: 1, address: Arc::from([machine; 6]) },
        mac: None,
        guid: None,
        hostname: None,
        state: LeaseState::Bound,
        granted: UnixTime(NOW),
        expires: UnixTime(NOW + expires),
        relay_info: None,
    };
    (address, record)
}

fn leased() -> Ledger {
    let mut ledger = Ledger::default();
    ledger.hear(&[heard(0, Kind::Request, 1, ADDRESS), heard(1, Kind::Ack, 1, ADDRESS)]);
    ledger
}

#[test]
fn a_record_that_holds_the_promise_is_right() {
    let records = HashMap::from([record(1, ADDRESS, 600)]);
    assert_eq!(leased().check(at(5), &records), Vec::<String>::new());
    assert_eq!(leased().in_force(at(5)), 1);
}

#[test]
fn a_dropped_record_is_reported() {
    let violations = leased().check(at(5), &HashMap::new());
    assert_eq!(violations, ["10.0.0.9 of 01:01:01:01:01:01: acknowledged, and there is no record"]);
}

#[test]
fn a_renewal_without_its_record_is_reported() {
    let mut ledger = leased();
    let mut again = [heard(100, Kind::Request, 1, ADDRESS), heard(100, Kind::Ack, 1, ADDRESS)];
    again.iter_mut().for_each(|heard| heard.said.xid = 8);
    ledger.hear(&again);
    let violations = ledger.check(at(101), &HashMap::from([record(1, ADDRESS, 600)]));
    assert!(violations[0].contains("ends 98.0s before"), "{violations:?}");
}

#[test]
fn a_record_of_another_machine_or_in_another_state_is_reported() {
    let violations = leased().check(at(5), &HashMap::from([record(2, ADDRESS, 600)]));
    assert!(violations[0].contains("the record is of"), "{violations:?}");
    let (_, mut released) = record(1, ADDRESS, 600);
    released.state = LeaseState::Released;
    let violations = leased().check(at(5), &HashMap::from([(ADDRESS, released)]));
    assert!(violations[0].contains("Released"), "{violations:?}");
}

#[test]
fn one_address_for_two_machines_is_reported() {
    let mut ledger = leased();
    ledger.hear(&[heard(2, Kind::Ack, 2, ADDRESS)]);
    assert_eq!(ledger.violations.len(), 1);
    assert!(ledger.violations[0].contains("while the lease of 01:01"), "{:?}", ledger.violations);
}

#[test]
fn an_address_given_back_or_over_may_go_to_another() {
    let mut ledger = leased();
    ledger.hear(&[heard(2, Kind::Release, 1, ADDRESS), heard(3, Kind::Ack, 2, ADDRESS)]);
    assert_eq!(ledger.violations, Vec::<String>::new());
    let mut ledger = leased();
    ledger.hear(&[heard(700, Kind::Ack, 2, ADDRESS)]);
    assert_eq!(ledger.violations, Vec::<String>::new());
}

#[test]
fn after_a_release_both_are_right() {
    let mut ledger = leased();
    ledger.hear(&[heard(2, Kind::Release, 1, ADDRESS)]);
    assert_eq!(ledger.check(at(5), &HashMap::new()), Vec::<String>::new());
    // The REQUEST was there first, its ACK came last: the RELEASE may be worked off after it.
    let mut ledger = Ledger::default();
    let order = [Kind::Request, Kind::Release, Kind::Ack];
    ledger.hear(&order.map(|kind| heard(0, kind, 1, ADDRESS)));
    assert_eq!(ledger.check(at(5), &HashMap::new()), Vec::<String>::new());
}

#[test]
fn a_release_by_somebody_else_excuses_nothing() {
    let mut ledger = leased();
    ledger.hear(&[heard(2, Kind::Release, 2, ADDRESS)]);
    assert_eq!(ledger.check(at(5), &HashMap::new()).len(), 1);
}

#[test]
fn a_machine_that_moved_has_lost_nothing() {
    assert_eq!(leased().check(at(5), &HashMap::from([record(1, OTHER, 600)])), Vec::<String>::new());
    let mut ledger = leased();
    ledger.hear(&[heard(3, Kind::Ack, 1, OTHER)]);
    assert_eq!(ledger.check(at(5), &HashMap::from([record(1, OTHER, 610)])), Vec::<String>::new());
}
