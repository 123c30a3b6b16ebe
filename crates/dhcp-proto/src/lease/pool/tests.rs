use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::time::Duration;
use types::subnet::{DhcpMode, LeaseTimes};

fn subnet(network: &str, pools: &[&str]) -> Subnet {
    Subnet {
        name: "lab".into(),
        network: network.parse().unwrap(),
        mode: DhcpMode::Server,
        pools: pools.iter().map(|text| text.parse().unwrap()).collect(),
        excluded: Vec::new(),
        reservations: Vec::new(),
        lease_times: LeaseTimes {
            default: Duration::from_secs(3600),
            min: Duration::from_secs(60),
            max: Duration::from_secs(7200),
        },
        routers: Vec::new(),
        dns: Vec::new(),
        domain: None,
        options: Vec::new(),
        authoritative: true,
        uefi_discovery_control: false,
        next_server: None,
    }
}

fn all(mut pool: Pool) -> Vec<String> {
    let mut found = Vec::new();
    while let Some(address) = pool.first() {
        assert!(pool.take(address));
        found.push(address.to_string());
    }
    assert_eq!(pool.count(), 0);
    found
}

#[test]
fn d34_network_and_broadcast_are_never_given() {
    assert_eq!(all(Pool::of(&subnet("10.0.0.0/30", &["10.0.0.0-10.0.0.3"]))), ["10.0.0.1", "10.0.0.2"]);
}

#[test]
fn d34_a_31_gives_both_and_a_32_its_only_address() {
    assert_eq!(all(Pool::of(&subnet("10.0.0.0/31", &["10.0.0.0-10.0.0.1"]))), ["10.0.0.0", "10.0.0.1"]);
    assert_eq!(all(Pool::of(&subnet("10.0.0.9/32", &["10.0.0.9"]))), ["10.0.0.9"]);
}

#[test]
fn d34_a_pool_across_0_and_255_gives_them() {
    assert_eq!(
        all(Pool::of(&subnet("10.0.0.0/16", &["10.0.0.254-10.0.1.1"]))),
        ["10.0.0.254", "10.0.0.255", "10.0.1.0", "10.0.1.1"]
    );
}

#[test]
fn d34_exclusions_routers_next_server_and_reservations_are_left_out() {
    let mut lab = subnet("10.0.0.0/24", &["10.0.0.1-10.0.0.10"]);
    lab.excluded = vec!["10.0.0.3-10.0.0.4".parse().unwrap(), "10.0.0.10-10.0.0.20".parse().unwrap()];
    lab.routers = vec!["10.0.0.1".parse().unwrap()];
    lab.next_server = Some("10.0.0.2".parse().unwrap());
    lab.reservations = vec![types::subnet::Reservation {
        mac: types::MacAddr([2, 0, 0, 0, 0, 1]),
        address: "10.0.0.6".parse().unwrap(),
        hostname: None,
    }];
    assert_eq!(all(Pool::of(&lab)), ["10.0.0.5", "10.0.0.7", "10.0.0.8", "10.0.0.9"]);
}

#[test]
fn overlapping_pools_count_once_and_pools_outside_the_network_not_at_all() {
    let pool =
        Pool::of(&subnet("10.0.0.0/24", &["10.0.0.5-10.0.0.9", "10.0.0.7-10.0.0.12", "10.9.0.1-10.9.0.5"]));
    assert_eq!(pool.count(), 8);
}

#[test]
fn the_ends_of_the_address_space_do_not_overflow() {
    let mut pool = Pool::default();
    pool.add_range(u32::MAX - 1, u32::MAX);
    pool.add_range(0, 1);
    assert_eq!(pool.count(), 4);
    pool.remove_range(0, u32::MAX);
    assert_eq!(pool.count(), 0);
    assert!(pool.give(Ipv4Addr::BROADCAST) && pool.contains(Ipv4Addr::BROADCAST));
    assert!(pool.take(Ipv4Addr::BROADCAST) && !pool.take(Ipv4Addr::BROADCAST));
}

proptest! {
    #[test]
    fn behaves_like_a_plain_set(steps in proptest::collection::vec((0u8..4, 0u32..64, 0u32..8), 0..200)) {
        let mut pool = Pool::default();
        let mut model = BTreeSet::new();
        for (step, at, len) in steps {
            let address = Ipv4Addr::from(at);
            match step {
                0 => prop_assert_eq!(pool.give(address), model.insert(at)),
                1 => prop_assert_eq!(pool.take(address), model.remove(&at)),
                2 => {
                    pool.add_range(at, at + len);
                    model.extend(at..=at + len);
                }
                _ => {
                    pool.remove_range(at, at + len);
                    model.retain(|own| !(at..=at + len).contains(own));
                }
            }
            prop_assert_eq!(pool.count(), model.len() as u64);
            prop_assert_eq!(pool.first().map(u32::from), model.first().copied());
            prop_assert_eq!(pool.contains(address), model.contains(&at));
            let ranges: Vec<_> = pool.ranges.iter().collect();
            prop_assert!(ranges.windows(2).all(|pair| u64::from(*pair[0].1) + 1 < u64::from(*pair[1].0)));
        }
    }
}
