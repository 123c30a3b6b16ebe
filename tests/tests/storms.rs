//! The appliance under floods: bounds hold, and a machine with a lease is served.

use harness::packages::{self, Package};
use harness::storm::{Requests, RrqFlood, SERVER, SlowClients, StormLab, TFTP_PORT};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(60);
const MEMORY_GROWTH_MAX: u64 = 64 << 20;
/// Unanswered sessions of strangers: 256, and as many again whose task is still ending.
const SESSIONS_MAX: u64 = 2 * 256;

/// iproute2, util-linux and curl are all these tests need.
fn tools() -> Vec<Package> {
    let all = packages::BOOT.iter().chain(packages::CLIENTS).copied();
    all.filter(|package| ["iproute2", "util-linux", "ethtool", "curl"].contains(&package.name)).collect()
}

macro_rules! needs_tools {
    () => {
        harness::enter!();
        if !packages::here(&tools()) {
            return;
        }
    };
}

#[test]
fn thirty_thousand_spoofed_requests_cost_bounded_sessions_and_memory_and_no_machine_its_file() {
    needs_tools!();
    let lab = StormLab::new(1 << 20, None).unwrap();
    lab.fetch().unwrap();
    let before = lab.memory().unwrap();
    let end = lab.server_end().unwrap();
    let requests = Requests::new(end, TFTP_PORT, "storm/storm.bin", false, 0..30_000);
    let flood = RrqFlood::start(&lab.attacker, requests, 10_000).unwrap();
    lab.fetch().expect("a machine with a lease gets its file meanwhile");
    let mut most = 0;
    while flood.is_running() {
        most = most.max(lab.counter("tftp", "active").unwrap());
    }
    flood.finish().unwrap();
    assert!(most <= SESSIONS_MAX, "{most} sessions");
    assert!(lab.counter("tftp", "flood_strangers").unwrap() > 10_000, "most are dropped unread");
    let grown = lab.memory().unwrap().saturating_sub(before);
    assert!(grown < MEMORY_GROWTH_MAX, "{grown} bytes more");
    lab.daemon
        .wait_events("tftp.flood", DEADLINE, |all| all.iter().find(|one| one.fits("tftp.flood")).cloned())
        .unwrap();
    lab.fetch().unwrap();
}

#[test]
fn answers_to_spoofed_requests_are_a_small_multiple_of_what_they_cost() {
    needs_tools!();
    let lab = StormLab::new(1 << 20, None).unwrap();
    // Fewer than the strangers' burst, so that every one is answered; with ARP and DHCP the wire carries little else.
    for (options, most) in [(false, 13), (true, 5)] {
        let (in_before, out_before) = lab.traffic().unwrap();
        let started = lab.counter("tftp", "started").unwrap();
        let end = lab.server_end().unwrap();
        let requests = Requests::new(end, TFTP_PORT, "storm/storm.bin", options, 0..200);
        RrqFlood::start(&lab.attacker, requests, 1000).unwrap().finish().unwrap();
        let until = Instant::now() + DEADLINE;
        while lab.counter("tftp", "started").unwrap() < started + 200
            || lab.counter("tftp", "active").unwrap() > 0
        {
            assert!(Instant::now() < until, "the sessions do not end");
        }
        let (in_after, out_after) = lab.traffic().unwrap();
        let (asked, answered) = (in_after - in_before, out_after - out_before);
        assert!(
            answered > 0 && answered <= asked * most,
            "{answered} bytes for {asked} (options: {options})"
        );
    }
}

#[test]
fn five_hundred_slow_http_clients_leave_dhcp_and_tftp_alone() {
    needs_tools!();
    let lab = StormLab::new(1 << 20, None).unwrap();
    let slow = SlowClients::open(&lab.attacker, 500, lab.http_end(), "/storm/storm.bin").unwrap();
    assert_eq!(slow.count(), (500, 0));
    assert!(lab.counter("http", "clients").unwrap() >= 250, "they are held");
    let mut prober = lab.prober().unwrap();
    for _ in 0..20 {
        prober.exchange(DEADLINE).unwrap();
    }
    lab.fetch().unwrap();
    drop(slow);
}

#[test]
fn running_out_of_descriptors_silences_nobody_for_good() {
    needs_tools!();
    let lab = StormLab::new(1 << 20, Some(160)).unwrap();
    let slow = SlowClients::open(&lab.attacker, 400, lab.http_end(), "/storm/storm.bin").unwrap();
    let mut prober = lab.prober().unwrap();
    for _ in 0..5 {
        prober.exchange(DEADLINE).unwrap();
    }
    lab.fetch().expect("TFTP has descriptors of its own");
    lab.counter("http", "refused_full").expect("the API has, too");
    drop(slow);
    let url = format!("http://{SERVER}:8080/storm/storm.bin");
    let until = Instant::now() + DEADLINE;
    let got = loop {
        match harness::clients::curl(lab.segment().0, &lab.victim, &[&url]) {
            Ok(got) => break got,
            Err(error) => assert!(Instant::now() < until, "HTTP does not come back: {error:#}"),
        }
    };
    assert_eq!(got.len(), 1 << 20);
}
