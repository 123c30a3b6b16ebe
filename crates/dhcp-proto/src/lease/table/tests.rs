use super::*;
use crate::testing::{ip, lab, mac, secs, start};

const LEASE: Duration = Duration::from_secs(3600);
const HOLD: Duration = Duration::from_secs(60);

fn client(n: u32) -> Client {
    Client {
        key: ClientKey::Hardware { htype: 1, address: mac(n).0.as_slice().into() },
        mac: Some(mac(n)),
        guid: None,
        hostname: None,
        relay_info: None,
        recorded: false,
    }
}

fn named(n: u32, id: &[u8]) -> Client {
    Client { key: ClientKey::ClientId(id.into()), ..client(n) }
}

fn small(pool: &str) -> Table {
    let mut subnet = lab();
    subnet.pools = vec![pool.parse().unwrap()];
    Table::new(Arc::new(subnet))
}

fn bind(table: &mut Table, now: Now, client: &Client, xid: u32) -> LeaseRecord {
    let address = table.offer(now, client, None, LEASE, HOLD).unwrap();
    let bound = table.bind(now, client, address, LEASE, xid);
    bound.commit.last().unwrap().clone()
}

#[test]
fn d12_an_offer_is_kept_for_its_client_and_comes_back_when_it_lapses() {
    let (mut table, now) = (small("10.77.0.10-10.77.0.11"), start());
    assert_eq!(table.offer(now, &client(1), None, LEASE, HOLD), Ok(ip(10)));
    assert_eq!(table.offer(now, &client(1), None, LEASE, HOLD), Ok(ip(10)), "asked again, offered again");
    assert_eq!(table.offer(now, &client(2), Some(ip(10)), LEASE, HOLD), Ok(ip(11)));
    assert_eq!(table.offer(now, &client(3), None, LEASE, HOLD), Err(Refusal::Exhausted));
    assert!(!table.usable(now, &client(3), ip(10)));
    let later = now.plus(HOLD);
    assert_eq!(table.offer(later, &client(3), None, LEASE, HOLD), Ok(ip(10)));
    assert_eq!(table.holds(), 1);
}

#[test]
fn d12_an_offer_is_free_at_once_when_its_client_takes_another_servers() {
    let (mut table, now) = (small("10.77.0.10"), start());
    table.offer(now, &client(1), None, LEASE, HOLD).unwrap();
    assert!(table.forget_offer(&client(1)) && !table.forget_offer(&client(1)));
    assert_eq!(table.offer(now, &client(2), None, LEASE, HOLD), Ok(ip(10)));
}

#[test]
fn d9_current_then_last_then_asked_then_any() {
    let (mut table, now) = (small("10.77.0.10-10.77.0.19"), start());
    assert_eq!(table.offer(now, &client(9), Some(ip(15)), LEASE, HOLD), Ok(ip(15)), "asked for and free");
    let record = table.bind(now, &client(9), ip(15), LEASE, 1).commit.remove(0);
    assert_eq!(table.offer(now, &client(9), Some(ip(12)), LEASE, HOLD), Ok(ip(15)), "its current binding");
    assert!(table.release(now, &client(9), record.address).is_some());
    assert_eq!(table.offer(now, &client(1), None, LEASE, HOLD), Ok(ip(10)), "fresh before used");
    assert_eq!(table.offer(now, &client(9), Some(ip(12)), LEASE, HOLD), Ok(ip(15)), "its last binding");
    assert_eq!(table.offer(now, &client(2), Some(ip(15)), LEASE, HOLD), Ok(ip(11)), "held: another");
}

#[test]
fn d35_the_least_recently_ended_is_given_first_and_exhaustion_ends_with_one_sweep() {
    let (mut table, mut now) = (small("10.77.0.10-10.77.0.12"), start());
    for n in 1..=3 {
        bind(&mut table, now, &client(n), n);
        now = now.plus(secs(10));
    }
    assert_eq!(table.offer(now, &client(4), None, LEASE, HOLD), Err(Refusal::Exhausted));
    table.release(now, &client(2), ip(11)).unwrap();
    now = now.plus(secs(10));
    table.release(now, &client(1), ip(10)).unwrap();
    assert_eq!(table.offer(now, &client(4), None, LEASE, HOLD), Ok(ip(11)));
    assert_eq!(table.offer(now, &client(5), None, LEASE, HOLD), Ok(ip(10)));
    let later = now.plus(LEASE + LEASE_GRACE);
    assert_eq!(table.sweep(later, SWEEP_MAX), 1);
    assert_eq!(table.offer(later, &client(6), None, LEASE, HOLD), Ok(ip(11)), "holds lapsed, 11 ended first");
}

#[test]
fn d22_a_repeated_request_changes_nothing_and_writes_until_it_is_durable() {
    let (mut table, now) = (small("10.77.0.10-10.77.0.12"), start());
    let address = table.offer(now, &client(1), None, LEASE, HOLD).unwrap();
    let first = table.bind(now, &client(1), address, LEASE, 7);
    let again = table.bind(now.plus(secs(4)), &client(1), address, LEASE, 7);
    assert_eq!(first, again, "not durable yet: the same record again");
    table.confirm(&first.commit[0]);
    let again = table.bind(now.plus(secs(8)), &client(1), address, LEASE, 7);
    assert_eq!((again.lease, again.commit.len()), (LEASE, 0));
    let other = table.bind(now.plus(secs(8)), &client(1), address, LEASE, 8);
    assert_eq!(other.commit.len(), 1, "another transaction extends");
    assert!(other.commit[0].expires > first.commit[0].expires);
    assert_eq!(other.commit[0].granted, first.commit[0].granted);
}

#[test]
fn d36_a_reservation_waits_for_its_address_and_is_given_to_nobody_else() {
    let mut subnet = lab();
    subnet.reservations.push(types::subnet::Reservation { mac: mac(2), address: ip(100), hostname: None });
    let (mut table, now) = (Table::new(Arc::new(lab())), start());
    bind(&mut table, now, &client(1), 1);
    assert_eq!(table.own_record(&client(1), ip(100)).map(|record| record.address), Some(ip(100)));
    let mut new = Table::new(Arc::new(subnet));
    table.dissolve().for_each(|part| new.adopt(now, part));
    assert_eq!(new.offer(now, &client(2), None, LEASE, HOLD), Err(Refusal::ReservationBusy));
    assert!(!new.usable(now, &client(1), ip(100)) && !new.permitted(&client(1), ip(100)));
    new.end(now, ip(100)).unwrap();
    assert_eq!(new.offer(now, &client(2), None, LEASE, HOLD), Ok(ip(100)));
    assert_eq!(new.offer(now, &client(1), Some(ip(100)), LEASE, HOLD), Ok(ip(101)));
}

#[test]
fn d34_our_own_address_is_not_given_even_when_learned_late() {
    let (mut table, now) = (small("10.77.0.1-10.77.0.3"), start());
    table.forbid(ip(1));
    table.forbid(ip(1));
    assert_eq!(table.offer(now, &client(1), Some(ip(1)), LEASE, HOLD), Ok(ip(2)));
    assert_eq!(table.size(), 2);
}

#[test]
fn d18_declined_addresses_rest_and_a_flood_of_declines_leaves_four_fifths() {
    let (mut table, now) = (small("10.77.0.10-10.77.0.29"), start());
    let mut quarantined = 0;
    for n in 1..=40 {
        let record = bind(&mut table, now, &client(n), n);
        assert!(table.decline(now, &client(n + 100), record.address, secs(600)).is_none(), "not its own");
        let declined = table.decline(now, &client(n), record.address, secs(600)).unwrap();
        assert_eq!(declined.record.state == LeaseState::Quarantined, declined.quarantined);
        quarantined += usize::from(declined.quarantined);
        assert!(!table.knows(&client(n)), "it gets another one");
    }
    assert_eq!(quarantined, 4);
    assert_eq!(table.free(), 16);
    let later = now.plus(secs(600));
    table.sweep(later, 100);
    assert_eq!(table.free(), 20);
}

#[test]
fn r11_one_board_keeps_one_lease_under_all_its_identifiers() {
    let (mut table, mut now) = (small("10.77.0.10-10.77.0.250"), start());
    let ids = |n: u32| [client(n), named(n, &[1, 2, 3]), named(n, b"\0\x04duid")];
    let first = bind(&mut table, now, &client(1), 0).address;
    for cycle in 1..=1000u32 {
        for (stage, client) in (0u32..).zip(ids(1)) {
            let record = bind(&mut table, now, &client, cycle * 4 + stage);
            assert_eq!(record.address, first);
            assert_eq!(record.key, client.key);
        }
        now = now.plus(secs(100));
        table.sweep(now, 10);
    }
    assert_eq!(table.records().count(), 1);
}

#[test]
fn r10_the_same_identifier_on_a_new_card_keeps_the_lease() {
    let (mut table, now) = (small("10.77.0.10-10.77.0.250"), start());
    let address = bind(&mut table, now, &named(1, b"server-7"), 1).address;
    let record = bind(&mut table, now, &named(2, b"server-7"), 2);
    assert_eq!((record.address, record.mac), (address, Some(mac(2))));
    assert_ne!(bind(&mut table, now, &client(1), 3).address, address, "the old card is another machine now");
}

#[test]
fn a_machine_that_takes_a_second_address_gives_the_first_back() {
    let (mut table, now) = (small("10.77.0.10-10.77.0.250"), start());
    let first = bind(&mut table, now, &client(1), 1).address;
    let bound = table.bind(now, &client(1), ip(99), LEASE, 2);
    let states: Vec<_> = bound.commit.iter().map(|record| (record.address, record.state)).collect();
    assert_eq!(states, [(first, LeaseState::Released), (ip(99), LeaseState::Bound)]);
}

#[test]
fn d41_a_step_of_the_wall_clock_neither_frees_nor_keeps() {
    for step in [-31_536_000i64, -3600, 3600, 31_536_000] {
        let (mut table, now) = (small("10.77.0.10"), start());
        bind(&mut table, now, &client(1), 1);
        let mut half = now.plus(LEASE / 2);
        half.unix = UnixTime(half.unix.0.saturating_add_signed(step));
        table.sweep(half, 10);
        assert!(table.owner(half, ip(10)).is_some(), "{step}");
        assert_eq!(table.offer(half, &client(2), None, LEASE, HOLD), Err(Refusal::Exhausted));
        let over = half.plus(LEASE / 2 + LEASE_GRACE);
        assert!(table.owner(over, ip(10)).is_none());
        assert_eq!(table.offer(over, &client(2), None, LEASE, HOLD), Ok(ip(10)), "{step}");
    }
}

#[test]
fn loaded_leases_run_on_and_a_wrong_clock_keeps_them_no_longer_than_a_fresh_one() {
    let now = start();
    let mut before = small("10.77.0.10-10.77.0.12");
    let record = bind(&mut before, now, &client(1), 1);
    for (clock, left) in [(now.unix.0, 3600), (now.unix.0 + 3500, 100), (0, 7200)] {
        let mut table = small("10.77.0.10-10.77.0.12");
        let boot = Now { instant: now.instant, unix: UnixTime(clock) };
        table.load(boot, record.clone());
        let last = boot.plus(secs(left) + LEASE_GRACE - secs(1));
        assert!(table.owner(last, record.address).is_some(), "{clock}");
        assert!(table.owner(last.plus(secs(1)), record.address).is_none(), "{clock}");
        assert_eq!(table.offer(last.plus(secs(1)), &client(1), None, LEASE, HOLD), Ok(record.address));
    }
    let mut table = small("10.77.0.10-10.77.0.12");
    let ended = LeaseRecord { state: LeaseState::Quarantined, expires: now.unix, ..record };
    table.load(now, ended);
    assert_eq!(table.free(), 3, "a quarantine that is over is forgotten");
}

#[test]
fn a_lease_without_end_survives_everything_but_release() {
    let (mut table, now) = (small("10.77.0.10"), start());
    let address = table.offer(now, &client(1), None, INFINITE, HOLD).unwrap();
    let record = table.bind(now, &client(1), address, INFINITE, 1).commit.remove(0);
    assert_eq!(record.expires, UnixTime(u64::MAX));
    let later = now.plus(secs(10 * 365 * 86_400));
    table.sweep(later, 10);
    assert!(table.owner(later, address).is_some());
    let mut restarted = small("10.77.0.10");
    restarted.load(later, record);
    assert!(restarted.owner(later.plus(LEASE), address).is_some());
    assert!(restarted.release(later, &client(1), address).is_some());
    assert!(restarted.release(later, &client(1), address).is_none(), "D19: a second RELEASE is a no-op");
}

#[test]
fn known_machines_find_room_while_strangers_flood() {
    let (mut table, now) = (small("10.77.0.10-10.77.0.89"), start());
    let known = bind(&mut table, now, &client(1), 1);
    table.release(now, &client(1), known.address).unwrap();
    let offers = (1000..2000).filter(|&n| table.offer(now, &client(n), None, LEASE, HOLD).is_ok()).count();
    assert_eq!(offers, 70, "an eighth of 80 is kept back");
    assert_eq!(table.offer(now, &client(2000), None, LEASE, HOLD), Err(Refusal::TooManyOffers));
    assert!(table.offer(now, &client(1), None, LEASE, HOLD).is_ok());
}

#[test]
fn what_the_store_has_bounds_what_may_be_promised_without_it() {
    let (mut table, now) = (small("10.77.0.10"), start());
    let first = bind(&mut table, now, &client(1), 1);
    assert_eq!(table.durable_left(now, &client(1), ip(10)), None, "nothing is durable yet");
    table.confirm(&first);
    let half = now.plus(LEASE / 2);
    assert_eq!(table.durable_left(half, &client(1), ip(10)), Some(LEASE / 2));
    table.bind(half, &client(1), ip(10), LEASE, 2);
    assert_eq!(table.durable_left(half, &client(1), ip(10)), Some(LEASE / 2), "the extension is not durable");
    assert_eq!(table.durable_left(half, &named(1, b"other"), ip(10)), None, "nor is a change of owner");
    table.confirm(&first);
    assert_eq!(
        table.durable_left(half, &client(1), ip(10)),
        Some(LEASE / 2),
        "an old record confirms nothing"
    );
}

#[test]
fn a_conflict_found_by_a_probe_takes_the_address_out_of_use() {
    let (mut table, now) = (small("10.77.0.10-10.77.0.11"), start());
    table.offer(now, &client(1), None, LEASE, HOLD).unwrap();
    let record = table.quarantine(now, ip(10), secs(600)).unwrap();
    assert_eq!(record.state, LeaseState::Quarantined);
    assert_eq!(table.offer(now, &client(1), Some(ip(10)), LEASE, HOLD), Ok(ip(11)));
    assert_eq!(table.quarantine(now, ip(200), secs(600)), None, "not ours to give");
}
