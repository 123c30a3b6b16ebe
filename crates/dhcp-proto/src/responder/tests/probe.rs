//! D11: an address is asked for before it is offered, unless it is its client's own.

use super::*;
use std::time::Duration;

fn probing() -> Lab {
    Lab::with(Settings {
        subnets: vec![lab()],
        probe_wait: Duration::from_millis(500),
        relays: vec!["10.77.0.0/24".parse().unwrap()],
        ..Settings::default()
    })
}

fn asked(lab: &mut Lab, message: &Message) -> Option<Probe> {
    lab.act(&arrival(), message).probe
}

/// Offered, nobody answers, taken.
fn leased(lab: &mut Lab, n: u32) -> Ipv4Addr {
    let probe = asked(lab, &discover(n)).unwrap();
    assert!(lab.responder.probed(lab.now, &probe));
    lab.lease(&discover(n))
}

#[test]
fn a_new_machine_waits_until_its_address_was_asked_for() {
    let mut lab = probing();
    let probe = asked(&mut lab, &discover(1)).unwrap();
    assert_eq!(probe, Probe { address: ip(100), way: ProbeWay::Arp(3), client: Some(mac(1)) });
    assert_eq!(asked(&mut lab, &discover(1)), Some(probe), "asked again meanwhile: the same probe");
    assert!(lab.responder.probed(lab.now, &probe));
    let action = lab.act(&arrival(), &discover(1));
    assert_eq!((action.probe, reply(&action).yiaddr), (None, ip(100)), "not asked for twice");
}

#[test]
fn its_own_address_is_never_asked_for() {
    let mut lab = probing();
    let address = leased(&mut lab, 1);
    lab.wait(1);
    assert_eq!(asked(&mut lab, &discover(1)), None, "bound");
    let mut release = message(1, MessageType::Release);
    release.ciaddr = address;
    release.options.set_ip(code::SERVER_IDENTIFIER, LOCAL);
    lab.act(&unicast(address, 68, 67), &release);
    assert_eq!(asked(&mut lab, &discover(1)), None, "remembered");
    assert_eq!(kind(&lab.ask(&reboot(1, address))), MessageType::Ack);
}

#[test]
fn an_address_that_answers_is_quarantined_and_the_next_one_is_asked_for() {
    let mut lab = probing();
    let first = asked(&mut lab, &discover(1)).unwrap();
    let conflict = lab.responder.address_in_use(lab.now, first.address, Some(mac(77))).unwrap();
    assert_eq!(conflict.commit[0].state, LeaseState::Quarantined);
    assert_eq!(conflict.event.reason, Some("another_machine"));
    assert_eq!(conflict.event.field("used_by"), Some(&Value::from(mac(77).to_string())));
    let second = asked(&mut lab, &discover(1)).unwrap();
    assert_eq!(second.address, ip(101));
    assert!(!lab.responder.probed(lab.now, &first), "that offer does not stand any more");
    lab.wait(601);
    let again = asked(&mut lab, &discover(2)).unwrap();
    assert_eq!(again.address, ip(100), "the quarantine has a timer");
}

#[test]
fn the_machine_that_had_it_last_keeps_it_from_others_and_may_have_it_again() {
    let mut lab = probing();
    let address = leased(&mut lab, 1);
    // Somebody gives it back in its name.
    let mut release = message(1, MessageType::Release);
    release.ciaddr = address;
    release.options.set_ip(code::SERVER_IDENTIFIER, LOCAL);
    lab.act(&unicast(address, 68, 67), &release);
    let mut wanting = discover(2);
    wanting.options.set_ip(code::REQUESTED_ADDRESS, address);
    assert_eq!(asked(&mut lab, &wanting).unwrap().address, address);
    let conflict = lab.responder.address_in_use(lab.now, address, Some(mac(1))).unwrap();
    assert_eq!((conflict.commit.len(), conflict.event.reason), (0, Some("last_owner")));
    assert_ne!(asked(&mut lab, &wanting).unwrap().address, address, "whatever it wishes");
    assert_eq!(kind(&lab.ask(&renew(1, address))), MessageType::Ack);
}

#[test]
fn whoever_answers_every_probe_stops_us_for_a_minute_only() {
    let mut lab = probing();
    for n in 1..=40 {
        lab.wait(1);
        let probe = asked(&mut lab, &discover(n)).unwrap();
        lab.responder.address_in_use(lab.now, probe.address, Some(mac(9999))).unwrap();
    }
    lab.wait(61);
    let free = lab.responder.tables()[0].free();
    assert_eq!(free, 80, "a fifth stays in quarantine, the rest is back");
}

#[test]
fn a_live_lease_is_not_taken_away_by_an_answer() {
    let mut lab = probing();
    let address = leased(&mut lab, 1);
    assert_eq!(lab.responder.address_in_use(lab.now, address, Some(mac(5))), None);
    assert_eq!(kind(&lab.ask(&reboot(1, address))), MessageType::Ack);
}

#[test]
fn behind_a_relay_it_is_asked_by_echo_from_our_address() {
    let mut lab = probing();
    let mut relayed = discover(1);
    relayed.giaddr = ip(254);
    let probe = asked(&mut lab, &relayed).unwrap();
    assert_eq!(probe.way, ProbeWay::Echo(LOCAL));
}

#[test]
fn without_a_wait_nobody_is_asked() {
    let mut lab = Lab::new(vec![lab()]);
    assert_eq!(asked(&mut lab, &discover(1)), None);
}

#[test]
fn a_reserved_address_in_use_by_another_is_found_too() {
    let reservation = types::subnet::Reservation { mac: mac(1), address: ip(50), hostname: None };
    let mut lab = Lab::with(Settings {
        subnets: vec![Subnet { reservations: vec![reservation], ..super::lab() }],
        probe_wait: Duration::from_millis(500),
        ..Settings::default()
    });
    assert_eq!(asked(&mut lab, &discover(1)).unwrap().address, ip(50));
    assert!(lab.responder.address_in_use(lab.now, ip(50), Some(mac(2))).is_some());
    assert_eq!(lab.ignored(&discover(1)), IgnoreReason::ReservationBusy);
}

#[test]
fn an_offer_that_waited_while_its_address_went_to_another_does_not_leave() {
    let mut lab = probing();
    let first = asked(&mut lab, &discover(1)).unwrap();
    // It takes another server's offer, and the next machine is offered the address.
    lab.ignored(&selecting(1, ip(100), ip(9)));
    let second = asked(&mut lab, &discover(2)).unwrap();
    assert_eq!(second.address, first.address);
    assert!(!lab.responder.probed(lab.now, &first));
    assert!(lab.responder.probed(lab.now, &second));
}
