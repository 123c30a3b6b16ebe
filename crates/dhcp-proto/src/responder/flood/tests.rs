use super::*;
use crate::testing::{mac, secs, start};

fn key(n: u32) -> ClientKey {
    ClientKey::Hardware { htype: 1, address: mac(n).0.as_slice().into() }
}

fn source(interface: &str) -> Source {
    Source { interface: interface.into(), relay: None, circuit: None }
}

fn admitted(flood: &mut Flood, now: Instant, source: &Source, asked: usize) -> usize {
    (0..asked).filter(|_| flood.admit_stranger(now, source)).count()
}

#[test]
fn a_client_gets_its_burst_and_then_one_a_second() {
    let (mut flood, now) = (Flood::new(500), start().instant);
    let asked = |flood: &mut Flood, now| (0..100).filter(|_| flood.admit_client(now, &key(1))).count();
    assert_eq!(asked(&mut flood, now), 30);
    assert_eq!(asked(&mut flood, now + secs(1)), 1);
    assert_eq!(asked(&mut flood, now + secs(11)), 10);
    assert!(flood.admit_client(now, &key(2)), "another client has its own");
}

#[test]
fn a_source_is_bounded_and_another_is_not_harmed_by_it() {
    let (mut flood, now) = (Flood::new(10), start().instant);
    assert_eq!(admitted(&mut flood, now, &source("eth0"), 1000), 40);
    assert_eq!(admitted(&mut flood, now, &source("eth1"), 1000), 40);
    assert_eq!(admitted(&mut flood, now + secs(1), &source("eth0"), 1000), 10);
}

#[test]
fn many_sources_together_are_bounded_too() {
    let (mut flood, now) = (Flood::new(10), start().instant);
    let all: usize = (0..50).map(|n| admitted(&mut flood, now, &source(&format!("eth{n}")), 1000)).sum();
    assert_eq!(all, 160);
}

#[test]
fn without_a_rate_everybody_is_let_in() {
    let (mut flood, now) = (Flood::new(0), start().instant);
    assert_eq!(admitted(&mut flood, now, &source("eth0"), 10_000), 10_000);
}

#[test]
fn memory_is_bounded_whatever_is_invented() {
    let (mut flood, now) = (Flood::new(500), start().instant);
    for n in 0..100_000u32 {
        flood.admit_client(now + Duration::from_millis(n.into()), &key(n));
        flood.admit_stranger(now, &source(&n.to_string()));
    }
    assert!(flood.clients.len() <= CLIENTS_COUNTED_MAX && flood.sources.len() <= SOURCES_COUNTED_MAX);
}
