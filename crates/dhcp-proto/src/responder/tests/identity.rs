//! One machine under several identifiers, and what its lease record says.

use super::*;

fn duid(n: u32) -> Message {
    let mut message = discover(n);
    let mut id = vec![0xff, 0, 0, 0, 1, 0, 4];
    id.extend(mac(n).0);
    message.options.set(code::CLIENT_IDENTIFIER, id);
    message
}

#[test]
fn r11_a_thousand_boot_cycles_do_not_exhaust_a_24() {
    let mut lab = Lab::new(vec![lab()]);
    let mut first = None;
    for cycle in 0..1000u32 {
        for mut message in [rom(discover(1), 7), ipxe(discover(1), 7), duid(1)] {
            message.xid = cycle;
            let address = lab.lease(&message);
            assert_eq!(*first.get_or_insert(address), address, "cycle {cycle}");
        }
        lab.wait(90);
    }
    assert_eq!(lab.responder.leases().count(), 1);
    assert_eq!(lab.responder.tables()[0].free(), 99);
}

#[test]
fn r11_ninety_machines_cycle_in_a_pool_of_a_hundred() {
    let mut lab = Lab::new(vec![lab()]);
    for cycle in 0..12u32 {
        for n in 1..=90 {
            let stages = [rom(discover(n), 0), ipxe(discover(n), 0), duid(n)];
            let addresses: Vec<_> = stages
                .iter()
                .map(|stage| {
                    let mut stage = stage.clone();
                    stage.xid += cycle * 1000;
                    lab.lease(&stage)
                })
                .collect();
            assert!(addresses.windows(2).all(|pair| pair[0] == pair[1]));
        }
        lab.wait(500);
    }
    assert_eq!(lab.responder.leases().filter(|record| record.state == LeaseState::Bound).count(), 90);
}

#[test]
fn the_os_of_a_machine_renews_what_its_rom_was_given() {
    let mut lab = Lab::new(vec![lab()]);
    let address = lab.lease(&rom(discover(1), 7));
    let mut renewal = duid(1);
    renewal.options.set(code::MESSAGE_TYPE, [3]);
    renewal.ciaddr = address;
    let action = lab.act(&unicast(address, 68, 67), &renewal);
    assert_eq!(kind(&reply(&action)), MessageType::Ack);
    assert!(matches!(action.commit[0].key, types::lease::ClientKey::ClientId(_)));
}

#[test]
fn a_mac_that_is_nobodys_joins_no_machines() {
    let mut lab = Lab::new(vec![lab()]);
    let mut addresses = Vec::new();
    for id in [b"one".as_slice(), b"two"] {
        let mut message = discover(1);
        message.chaddr = [0; 16];
        message.options.set(code::CLIENT_IDENTIFIER, id);
        addresses.push(lab.lease(&message));
    }
    assert_ne!(addresses[0], addresses[1]);
}

#[test]
fn a_message_that_names_nobody_gets_nothing() {
    let mut message = discover(1);
    message.hlen = 0;
    assert_eq!(Lab::new(vec![lab()]).ignored(&message), IgnoreReason::NoIdentity);
}

#[test]
fn d30_a_client_identifier_of_255_bytes_is_kept_whole() {
    let mut lab = Lab::new(vec![lab()]);
    let id: Vec<u8> = (0..=254).collect();
    let mut message = discover(1);
    message.options.set(code::CLIENT_IDENTIFIER, id.clone());
    lab.lease(&message);
    let key = lab.responder.leases().next().unwrap().key.clone();
    assert_eq!(key, types::lease::ClientKey::ClientId(id.into()));
}

#[test]
fn d32_a_name_that_is_none_costs_the_name_and_not_the_lease() {
    let mut lab = Lab::new(vec![lab()]);
    for (n, name) in [(1, vec![]), (2, vec![b'a'; 64]), (3, b"..".to_vec()), (4, b"\xff\xfe".to_vec())] {
        let mut message = discover(n);
        message.options.set(code::HOST_NAME, name);
        lab.lease(&message);
    }
    assert!(lab.responder.leases().all(|record| record.hostname.is_none()));
    let mut message = discover(5);
    message.options.set(code::HOST_NAME, *b"node5\0");
    lab.lease(&message);
    assert_eq!(
        lab.responder.leases().filter_map(|record| record.hostname.as_deref()).collect::<Vec<_>>(),
        ["node5"]
    );
}

#[test]
fn a_restart_changes_nothing_a_client_could_see() {
    let mut before = Lab::new(vec![lab()]);
    let addresses: Vec<_> = (1..=20).map(|n| before.lease(&ipxe(discover(n), 7))).collect();
    let stored: Vec<_> = before.responder.leases().cloned().collect();
    let mut after = Lab::new(vec![lab()]);
    after.now = before.now.plus(secs(100));
    after.responder.load(stored.iter().cloned());
    after.responder.load([LeaseRecord { address: Ipv4Addr::new(192, 0, 2, 7), ..stored[0].clone() }]);
    for (n, address) in (1..=20).zip(addresses) {
        assert_eq!(kind(&after.ask(&reboot(n, address))), MessageType::Ack);
        assert_eq!(after.lease(&ipxe(discover(n), 7)), address);
    }
    assert_eq!(after.lease(&discover(99)), ip(120));
    assert_eq!(after.responder.strays(), 1);
}

#[test]
fn a_burst_of_discovers_never_offers_one_address_twice() {
    let mut lab = Lab::new(vec![Subnet {
        network: "10.77.0.0/16".parse().unwrap(),
        pools: vec!["10.77.0.0-10.77.255.255".parse().unwrap()],
        routers: Vec::new(),
        reservations: (0..13_000u32)
            .map(|n| types::subnet::Reservation {
                mac: mac(0x10_0000 + n),
                address: Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 77, 100, 0)) + n),
                hostname: None,
            })
            .collect(),
        ..lab()
    }]);
    let mut seen = std::collections::HashSet::new();
    for n in (1..=2000).chain(0x10_0000..0x10_0000 + 2000) {
        assert!(seen.insert(lab.ask(&discover(n)).yiaddr));
    }
    assert!(!seen.contains(&LOCAL));
}

#[test]
fn a_probe_that_finds_an_address_in_use_quarantines_it() {
    let mut lab = Lab::new(vec![lab()]);
    let offer = lab.ask(&discover(1));
    let conflict = lab.responder.address_in_use(lab.now, offer.yiaddr, None).unwrap();
    assert_eq!(conflict.commit[0].state, LeaseState::Quarantined);
    assert_eq!(kind(&lab.ask(&take(&discover(1), &offer))), MessageType::Nak);
    assert_ne!(lab.ask(&discover(1)).yiaddr, offer.yiaddr);
    assert_eq!(lab.responder.address_in_use(lab.now, Ipv4Addr::new(192, 0, 2, 1), None), None);
}

#[test]
fn r11_boards_that_share_an_unset_identifier_are_told_apart_by_their_cards() {
    let factory = hex("00 03000200040005000006000700080009");
    for shared in
        [[0; 17].to_vec(), [&[0], [0xff; 16].as_slice()].concat(), factory, vec![1, 0, 0, 0, 0, 0, 0]]
    {
        let mut lab = Lab::new(vec![lab()]);
        let mut seen = std::collections::HashSet::new();
        for n in 1..=40 {
            let mut message = rom(discover(n), 0);
            message.options.set(code::CLIENT_IDENTIFIER, shared.clone());
            let offer = lab.ask(&message);
            assert_eq!(
                offer.options.get(code::CLIENT_IDENTIFIER),
                Some(shared.as_slice()),
                "R9 all the same"
            );
            assert!(seen.insert(lab.lease(&message)), "{n} {shared:?}");
        }
    }
    let mut lab = Lab::new(vec![lab()]);
    let mut own = rom(discover(1), 0);
    own.options.set(code::CLIENT_IDENTIFIER, hex("00 44454c4c570010588 04ac3c04f463732"));
    let address = lab.lease(&own);
    let mut swapped = rom(discover(2), 0);
    swapped.options.set(code::CLIENT_IDENTIFIER, own.options.get(code::CLIENT_IDENTIFIER).unwrap());
    assert_eq!(lab.lease(&swapped), address, "R10: a GUID that is one board's own is its key");
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .map(|digit| u8::try_from(digit).unwrap())
        .collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}
