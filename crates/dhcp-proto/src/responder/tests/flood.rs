//! Floods: what is not answered, what is kept for machines we know, and what goes on when the store refuses.

use super::*;

fn small_rate(rate: u32) -> Lab {
    Lab::with(Settings { subnets: vec![lab()], stranger_rate: rate, ..Settings::default() })
}

#[test]
fn unknown_machines_beyond_the_rate_wait_and_known_ones_do_not() {
    let mut lab = small_rate(5);
    lab.lease(&discover(1));
    let mut reasons = Vec::new();
    for n in 1000..1100 {
        if let Outcome::Ignore(reason, event) = lab.handle(&arrival(), &discover(n)) {
            reasons.push((reason, event.is_some()));
        }
    }
    assert_eq!(reasons.len(), 81, "twenty at once, one of which is taken by the first machine");
    assert!(reasons.iter().all(|(reason, _)| *reason == IgnoreReason::StrangerFlood));
    assert_eq!(reasons.iter().filter(|(_, event)| *event).count(), 1, "one event a minute");
    assert_eq!(lab.lease(&discover(1)), ip(100), "a machine with a lease is answered");
    lab.stub.recorded = Some("web01");
    lab.ask(&discover(2000));
}

#[test]
fn requests_without_an_offer_count_too() {
    let mut lab = small_rate(1);
    let answered = (1..=50u8).filter(|n| {
        let straight = selecting(u32::from(*n), ip(100 + *n), LOCAL);
        matches!(lab.handle(&arrival(), &straight), Outcome::Act(_))
    });
    let answered = answered.count();
    assert_eq!(answered, 4);
}

#[test]
fn one_client_cannot_keep_us_busy() {
    let mut lab = Lab::new(vec![lab()]);
    let answered =
        (0..200).filter(|_| matches!(lab.handle(&arrival(), &discover(1)), Outcome::Act(_))).count();
    assert_eq!(answered, 30);
    assert_eq!(lab.ignored(&discover(1)), IgnoreReason::RateLimited);
    lab.wait(10);
    lab.ask(&discover(1));
}

#[test]
fn the_last_addresses_are_for_machines_we_know() {
    let mut lab = small_rate(0);
    let mut leased = 0;
    let refused = (1..=200).find_map(|n| match lab.handle(&arrival(), &discover(n)) {
        Outcome::Act(action) => {
            let offer = reply(&action);
            let action = lab.act(&arrival(), &take(&discover(n), &offer));
            lab.responder.committed(&action.commit);
            leased += 1;
            None
        }
        Outcome::Ignore(reason, _) => Some(reason),
        Outcome::Refuse(reason) => panic!("{reason:?}"),
    });
    assert_eq!((refused, leased), (Some(IgnoreReason::PoolFloor), 94), "of a hundred, one in sixteen stays");
    let straight = selecting(300, ip(199), LOCAL);
    assert_eq!(lab.ignored(&straight), IgnoreReason::PoolFloor, "not without an offer either");
    lab.stub.recorded = Some("web01");
    let address = lab.lease(&discover(300));
    assert_eq!(address, ip(194));
}

#[test]
fn while_the_store_refuses_known_leases_go_on_and_nothing_new_is_promised() {
    let mut lab = Lab::new(vec![lab()]);
    let address = lab.lease(&discover(1));
    let offered = lab.ask(&discover(2)).yiaddr;
    lab.wait(10);
    lab.responder.set_promising(false);
    assert_eq!(lab.ignored(&discover(3)), IgnoreReason::StoreRefuses);
    assert_eq!(lab.ignored(&selecting(2, offered, LOCAL)), IgnoreReason::StoreRefuses);
    assert_eq!(lab.ask(&discover(1)).yiaddr, address);
    let renewal = Message { xid: 9, ..renew(1, address) };
    let renewal = lab.act(&unicast(address, 68, 67), &renewal);
    assert!(renewal.essential && renewal.fallback.is_some() && !renewal.commit.is_empty());
    lab.responder.set_promising(true);
    assert_eq!(lab.ask(&discover(3)).options.u32(code::LEASE_TIME), Some(3600));
}
