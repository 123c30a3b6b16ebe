//! RFC 2131 §4: messages, states and destinations in server mode.

use super::*;
use crate::wire::Op;

fn server_lab() -> Lab {
    Lab::new(vec![lab()])
}

#[test]
fn d1_only_requests_with_the_cookie_are_served() {
    let mut lab = server_lab();
    let good = discover(1).encode(&[], &Encoding::default()).unwrap().bytes;
    let mut not_dhcp = good.clone();
    not_dhcp[236] = 0;
    let mut long_address = good.clone();
    long_address[2] = 17;
    let texts: [(&[u8], &str); 4] = [
        (&good[..239], "too_short"),
        (&not_dhcp, "bad_cookie"),
        (&long_address, "hardware_length"),
        (b"default send string", "too_short"),
    ];
    for (bytes, expected) in texts {
        match lab.responder.handle(lab.now, &arrival(), bytes, &lab.stub) {
            Outcome::Refuse(reason) => assert_eq!(reason.as_str(), expected),
            other => panic!("{other:?}"),
        }
    }
    let mut reply = discover(1);
    reply.op = Op::BootReply;
    assert_eq!(lab.ignored(&reply), IgnoreReason::NotARequest);
    assert_eq!(lab.responder.leases().count(), 0);
}

#[test]
fn d2_d3_d4_an_offer_has_the_header_and_options_of_table_3() {
    let mut lab = server_lab();
    let mut request = discover(1);
    (request.flags, request.hops, request.secs) = (0x8000, 3, 9);
    (request.siaddr, request.yiaddr) = (ip(9), ip(9));
    let action = lab.act(&arrival(), &request);
    let offer = reply(&action);
    assert_eq!(
        (offer.op, offer.xid, offer.flags, offer.chaddr),
        (Op::BootReply, request.xid, 0x8000, request.chaddr)
    );
    assert_eq!((offer.htype, offer.hlen, offer.hops, offer.secs), (1, 6, 0, 0));
    assert_eq!((offer.ciaddr, offer.yiaddr), (Ipv4Addr::UNSPECIFIED, ip(100)));
    assert_eq!(offer.siaddr, Ipv4Addr::UNSPECIFIED, "an ordinary host gets no boot server");
    assert_eq!(kind(&offer), MessageType::Offer);
    assert_eq!(offer.options.ip(code::SERVER_IDENTIFIER), Some(LOCAL));
    assert_eq!(transmit(&action).source, SocketAddrV4::new(LOCAL, 67));
    assert_eq!(transmit(&action).interface_index, 3);
    assert_eq!(offer.options.u32(code::LEASE_TIME), Some(3600));
    assert!(action.commit.is_empty(), "an offer is memory only");
}

#[test]
fn d5_the_ack_keeps_what_the_offer_said() {
    let mut lab = server_lab();
    let mut request = discover(1);
    request.options.set_u32(code::LEASE_TIME, 1234);
    let offer = lab.ask(&request);
    let mut take = take(&request, &offer);
    take.options.remove(code::LEASE_TIME);
    let action = lab.act(&arrival(), &take);
    let ack = reply(&action);
    assert_eq!(ack.options.u32(code::LEASE_TIME), Some(1234));
    assert_eq!(ack.yiaddr, offer.yiaddr);
    for (code, value) in offer.options.iter().filter(|(code, _)| *code != code::MESSAGE_TYPE) {
        assert_eq!(ack.options.get(code), Some(value), "{code}");
    }
    assert_eq!(action.commit.len(), 1);
    let record = &action.commit[0];
    assert_eq!((record.address, record.state, &*record.subnet), (ack.yiaddr, LeaseState::Bound, "lab"));
    assert_eq!(record.expires, lab.now.unix.saturating_add(secs(1234)));
}

#[test]
fn d6_a_nak_carries_nothing_that_could_be_used() {
    let mut lab = server_lab();
    let mut request = reboot(1, Ipv4Addr::new(192, 168, 1, 7));
    request.options.set(code::CLIENT_IDENTIFIER, *b"\x01abcdef");
    request.options.set(code::PARAMETER_LIST, [1, 3, 6, 67]);
    let nak = lab.ask(&rom(request, 7));
    assert_eq!(kind(&nak), MessageType::Nak);
    assert_eq!(
        codes(&nak),
        [code::MESSAGE_TYPE, code::SERVER_IDENTIFIER, code::MESSAGE, code::CLIENT_IDENTIFIER]
    );
    let zero = Ipv4Addr::UNSPECIFIED;
    assert_eq!((nak.yiaddr, nak.siaddr, nak.ciaddr), (zero, zero, zero));
    assert!(nak.file_name().is_empty() && nak.server_name().is_empty());
}

#[test]
fn d7_replies_go_where_the_client_can_hear_them() {
    let mut lab = server_lab();
    let offer = lab.act(&arrival(), &discover(1));
    let hardware = Destination::Hardware { mac: mac(1), to: SocketAddrV4::new(ip(100), 68) };
    assert_eq!(transmit(&offer).destination, hardware);
    let mut wide = discover(2);
    wide.flags = 0x8000;
    assert_eq!(transmit(&lab.act(&arrival(), &wide)).destination, Destination::Broadcast(68));
    let address = lab.lease(&discover(1));
    let renewal = lab.act(&unicast(address, 68, 67), &renew(1, address));
    assert_eq!(transmit(&renewal).destination, Destination::Unicast(SocketAddrV4::new(address, 68)));
    assert_eq!(reply(&renewal).ciaddr, address, "D5");
    let nak = lab.act(&unicast(ip(7), 68, 67), &renew(5, address));
    assert_eq!(
        (kind(&reply(&nak)), transmit(&nak).destination),
        (MessageType::Nak, Destination::Broadcast(68))
    );
}

#[test]
fn d13_selecting_us_binds_and_selecting_another_frees() {
    let mut lab = server_lab();
    let address = lab.lease(&discover(1));
    assert_eq!(address, ip(100));
    let offer = lab.ask(&discover(2));
    assert_eq!(lab.ignored(&selecting(2, offer.yiaddr, ip(66))), IgnoreReason::OtherServerChosen);
    assert_eq!(lab.ask(&discover(3)).yiaddr, offer.yiaddr, "free for the next");
}

#[test]
fn d13_what_is_not_available_is_refused() {
    let mut lab = server_lab();
    let taken = lab.lease(&discover(1));
    lab.ask(&discover(2));
    for address in [taken, ip(250), ip(0), ip(254), ip(150)] {
        let nak = lab.ask(&selecting(2, address, LOCAL));
        assert_eq!(kind(&nak), MessageType::Nak, "{address}");
    }
    // No offer on record (we started anew), and the address is free: it may keep its word to itself.
    let ack = lab.ask(&selecting(3, ip(150), LOCAL));
    assert_eq!((kind(&ack), ack.yiaddr), (MessageType::Ack, ip(150)));
}

#[test]
fn d14_init_reboot_wrong_net_known_and_unknown() {
    let mut lab = server_lab();
    let address = lab.lease(&discover(1));
    assert_eq!(kind(&lab.ask(&reboot(1, Ipv4Addr::new(172, 16, 0, 9)))), MessageType::Nak);
    let ack = lab.ask(&reboot(1, address));
    assert_eq!((kind(&ack), ack.yiaddr, ack.ciaddr), (MessageType::Ack, address, Ipv4Addr::UNSPECIFIED));
    assert_eq!(kind(&lab.ask(&reboot(1, ip(150)))), MessageType::Nak);
    assert_eq!(lab.ignored(&reboot(2, ip(150))), IgnoreReason::UnknownLease);
    assert_eq!(lab.ignored(&reboot(2, address)), IgnoreReason::UnknownLease);
}

#[test]
fn d14_a_remembered_lease_comes_back_after_it_ended() {
    let mut lab = server_lab();
    let address = lab.lease(&discover(1));
    lab.wait(20_000);
    let ack = lab.ask(&reboot(1, address));
    assert_eq!((kind(&ack), ack.yiaddr), (MessageType::Ack, address));
}

#[test]
fn d15_a_request_that_names_nothing_is_never_acknowledged() {
    let mut lab = server_lab();
    lab.lease(&discover(1));
    assert_eq!(lab.ignored(&message(1, MessageType::Request)), IgnoreReason::Incomplete);
    let mut only_server = message(1, MessageType::Request);
    only_server.options.set_ip(code::SERVER_IDENTIFIER, LOCAL);
    assert_eq!(lab.ignored(&only_server), IgnoreReason::Incomplete);
    let mut torn = renew(1, ip(100));
    torn.options.set_ip(code::REQUESTED_ADDRESS, ip(101));
    assert_eq!(lab.ignored(&torn), IgnoreReason::Incomplete);
}

#[test]
fn d16_the_owner_renews_and_anyone_else_is_refused() {
    let mut lab = server_lab();
    let address = lab.lease(&discover(1));
    lab.wait(1800);
    let mut renewal = renew(1, address);
    renewal.xid += 1;
    let action = lab.act(&unicast(address, 68, 67), &renewal);
    assert_eq!(kind(&reply(&action)), MessageType::Ack);
    assert_eq!(action.commit.len(), 1, "every extension is committed");
    assert_eq!(action.commit[0].expires, lab.now.unix.saturating_add(secs(3600)));
    assert_eq!(kind(&reply(&lab.act(&unicast(address, 68, 67), &renew(2, address)))), MessageType::Nak);
}

#[test]
fn d17_rebinding_is_answered_only_with_a_record() {
    let mut lab = server_lab();
    let address = lab.lease(&discover(1));
    lab.wait(3000);
    assert_eq!(kind(&lab.ask(&renew(1, address))), MessageType::Ack);
    assert_eq!(lab.ignored(&renew(2, ip(177))), IgnoreReason::UnknownLease);
    assert_eq!(kind(&lab.ask(&renew(2, address))), MessageType::Nak, "we know whose it is");
}

#[test]
fn d18_decline_needs_our_name_and_the_declarers_own_binding() {
    let mut lab = server_lab();
    let address = lab.lease(&discover(1));
    let decline = |n: u32, server: Option<Ipv4Addr>, address: Option<Ipv4Addr>| {
        let mut message = message(n, MessageType::Decline);
        if let Some(server) = server {
            message.options.set_ip(code::SERVER_IDENTIFIER, server);
        }
        if let Some(address) = address {
            message.options.set_ip(code::REQUESTED_ADDRESS, address);
        }
        message
    };
    assert_eq!(lab.ignored(&decline(1, None, Some(address))), IgnoreReason::Incomplete);
    assert_eq!(lab.ignored(&decline(1, Some(ip(66)), Some(address))), IgnoreReason::Incomplete);
    assert_eq!(lab.ignored(&decline(1, Some(LOCAL), None)), IgnoreReason::Incomplete);
    assert_eq!(lab.ignored(&decline(2, Some(LOCAL), Some(address))), IgnoreReason::NotTheOwner);
    let action = lab.act(&arrival(), &decline(1, Some(LOCAL), Some(address)));
    assert!(action.transmit.is_none());
    assert_eq!(action.commit[0].state, LeaseState::Quarantined);
    assert_eq!(action.events[0].name, EventName::DhcpDeclined);
    assert_ne!(lab.ask(&discover(1)).yiaddr, address);
    lab.wait(601);
    let mut wants = discover(9);
    wants.options.set_ip(code::REQUESTED_ADDRESS, address);
    assert_eq!(lab.ask(&wants).yiaddr, address, "free when the timer is over");
}

#[test]
fn d19_release_needs_address_identity_and_name_and_is_remembered() {
    let mut lab = server_lab();
    let address = lab.lease(&discover(1));
    let release = |n: u32, server: Ipv4Addr, address: Ipv4Addr| {
        let mut message = message(n, MessageType::Release);
        message.ciaddr = address;
        message.options.set_ip(code::SERVER_IDENTIFIER, server);
        message
    };
    let from = unicast(address, 68, 67);
    assert_eq!(lab.ignored_at(&from, &release(2, LOCAL, address)), IgnoreReason::NotTheOwner);
    assert_eq!(lab.ignored_at(&from, &release(1, ip(66), address)), IgnoreReason::Incomplete);
    assert_eq!(lab.ignored_at(&from, &release(1, LOCAL, ip(150))), IgnoreReason::NotTheOwner);
    let action = lab.act(&from, &release(1, LOCAL, address));
    assert!(action.transmit.is_none());
    assert_eq!((action.commit[0].state, action.commit[0].address), (LeaseState::Released, address));
    assert_eq!(
        lab.ignored_at(&from, &release(1, LOCAL, address)),
        IgnoreReason::NotTheOwner,
        "twice is once"
    );
    assert_eq!(lab.ask(&discover(2)).yiaddr, ip(101), "fresh addresses first");
    assert_eq!(lab.ask(&discover(1)).yiaddr, address, "its own again");
}

#[test]
fn d20_inform_is_answered_without_a_lease() {
    let mut lab = server_lab();
    let mut inform = message(1, MessageType::Inform);
    inform.ciaddr = ip(50);
    let action = lab.act(&unicast(ip(50), 68, 67), &inform);
    let ack = reply(&action);
    assert_eq!((kind(&ack), ack.yiaddr, ack.ciaddr), (MessageType::Ack, Ipv4Addr::UNSPECIFIED, ip(50)));
    assert!([51, 58, 59].into_iter().all(|code| !ack.options.has(code)));
    assert_eq!(transmit(&action).destination, Destination::Unicast(SocketAddrV4::new(ip(50), 68)));
    inform.ciaddr = Ipv4Addr::UNSPECIFIED;
    let action = lab.act(&unicast(ip(51), 68, 67), &inform);
    assert_eq!(transmit(&action).destination, Destination::Unicast(SocketAddrV4::new(ip(51), 68)));
    assert!(action.commit.is_empty());
    assert_eq!(lab.responder.leases().count(), 0);
    assert_eq!(lab.ignored(&inform), IgnoreReason::Incomplete, "nowhere to answer to");
}

#[test]
fn d22_a_repeated_request_gets_the_same_ack_and_one_write() {
    let mut lab = server_lab();
    let offer = lab.ask(&discover(1));
    let request = take(&discover(1), &offer);
    let first = lab.act(&arrival(), &request);
    lab.responder.committed(&first.commit);
    lab.wait(4);
    let again = lab.act(&arrival(), &request);
    assert_eq!(first.transmit, again.transmit);
    assert!(again.commit.is_empty());
    assert_eq!(lab.responder.leases().count(), 1);
}

#[test]
fn d22_an_ack_whose_commit_failed_is_committed_again() {
    let mut lab = server_lab();
    let offer = lab.ask(&discover(1));
    let request = take(&discover(1), &offer);
    let first = lab.act(&arrival(), &request);
    assert_eq!(lab.act(&arrival(), &request).commit, first.commit);
}

#[test]
fn a_failed_write_lets_a_known_machine_keep_what_is_durable() {
    let mut lab = server_lab();
    let address = lab.lease(&discover(1));
    lab.wait(1800);
    let mut renewal = renew(1, address);
    renewal.xid = 7;
    let action = lab.act(&unicast(address, 68, 67), &renewal);
    let fallback = Message::decode(&action.fallback.expect("the old lease still runs").payload).unwrap();
    assert_eq!((kind(&fallback), fallback.yiaddr), (MessageType::Ack, address));
    assert_eq!(fallback.options.u32(code::LEASE_TIME), Some(1800));
    assert_eq!(fallback.options.u32(code::RENEWAL_TIME), Some(900));
    let offer = lab.ask(&discover(2));
    assert_eq!(lab.act(&arrival(), &take(&discover(2), &offer)).fallback, None, "nothing new is promised");
}

#[test]
fn d24_a_reply_fits_what_the_client_can_take() {
    let mut subnet = lab();
    let option =
        |code: u8| types::subnet::ConfiguredOption { code, value: vec![7; 200].into(), always: true };
    subnet.options = (200..210).map(option).collect();
    let mut lab = Lab::new(vec![subnet]);
    for (asked, limit) in [(None, 548), (Some(100u16), 548), (Some(1472), 1444), (Some(65280), 1472)] {
        let mut request = rom(discover(1), 7);
        request.options.remove(code::MESSAGE_SIZE_MAX);
        if let Some(size) = asked {
            request.options.set(code::MESSAGE_SIZE_MAX, size.to_be_bytes());
        }
        let action = lab.act(&arrival(), &request);
        assert!(transmit(&action).payload.len() <= limit, "{asked:?}");
        assert_eq!(reply(&action).file_name(), b"snponly.efi", "the boot file is not given up");
    }
}

#[test]
fn d25_options_overflow_into_file_and_sname_but_never_a_bios_roms() {
    let mut subnet = lab();
    let option =
        |code: u8| types::subnet::ConfiguredOption { code, value: vec![7; 100].into(), always: true };
    subnet.options = (200..204).map(option).collect();
    let mut lab = Lab::new(vec![subnet]);
    let offer = lab.act(&arrival(), &discover(1));
    assert_eq!(
        reply(&offer).options.iter().filter(|(code, _)| (200..204).contains(code)).count(),
        3,
        "one is in file"
    );
    lab.stub.left_alone = Some(plan::LeaveAloneReason::LocalDisk);
    let mut bios = rom(discover(2), 0);
    bios.options.remove(code::MESSAGE_SIZE_MAX);
    let offer = lab.act(&arrival(), &bios);
    assert_eq!(transmit(&offer).payload[108..236], [0; 128], "its file stays a file");
}

#[test]
fn d33_no_subnet_is_silence_and_one_warning() {
    let mut lab =
        Lab::new(vec![Subnet { network: "192.168.5.0/24".parse().unwrap(), pools: Vec::new(), ..lab() }]);
    let mut levels = Vec::new();
    for _ in 0..3 {
        match lab.handle(&arrival(), &discover(1)) {
            Outcome::Ignore(IgnoreReason::NoSubnet, Some(event)) => levels.push(event.level),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(levels, [Level::Warn, Level::Debug, Level::Debug]);
    assert_eq!(lab.ignored_at(&unicast(ip(7), 68, 67), &renew(1, ip(7))), IgnoreReason::NoSubnet);
}

#[test]
fn d34_the_pool_never_gives_what_it_must_not() {
    let mut subnet = lab();
    subnet.pools = vec!["10.77.0.0-10.77.0.6".parse().unwrap()];
    subnet.excluded = vec![ip(3).to_string().parse().unwrap()];
    subnet.routers = vec![ip(4)];
    subnet.reservations = vec![types::subnet::Reservation { mac: mac(90), address: ip(5), hostname: None }];
    let mut lab = Lab::new(vec![subnet]);
    let mut given = Vec::new();
    for n in 1..=2 {
        given.push(lab.lease(&discover(n)));
    }
    assert_eq!(given, [ip(2), ip(6)], "not .0, our own .1, excluded .3, router .4, reserved .5");
    assert_eq!(lab.ignored(&discover(3)), IgnoreReason::PoolEmpty);
    assert_eq!(lab.lease(&discover(90)), ip(5));
}

#[test]
fn d36_a_reservation_made_for_another_ends_the_lease_at_its_renewal() {
    let mut lab = server_lab();
    let address = lab.lease(&discover(1));
    let mut changed = super::lab();
    changed.reservations =
        vec![types::subnet::Reservation { mac: mac(2), address, hostname: Some("node2".into()) }];
    lab.responder.reconfigure(lab.now, Settings { subnets: vec![changed], ..Settings::default() });
    assert_eq!(lab.ignored(&discover(2)), IgnoreReason::ReservationBusy);
    let action = lab.act(&unicast(address, 68, 67), &renew(1, address));
    assert_eq!(kind(&reply(&action)), MessageType::Nak);
    assert_eq!(lab.ignored(&discover(2)), IgnoreReason::ReservationBusy, "the NAK may get lost");
    assert_ne!(lab.lease(&discover(1)), address);
    let offer = lab.ask(&discover(2));
    assert_eq!(offer.yiaddr, address);
    assert_eq!(offer.options.get(code::HOST_NAME), Some(b"node2".as_slice()));
}

#[test]
fn d36_a_changed_reservation_is_refused_at_renewal_and_the_new_one_given() {
    let reserve = |host: u8| {
        let reservation = types::subnet::Reservation { mac: mac(1), address: ip(host), hostname: None };
        vec![Subnet { reservations: vec![reservation], ..lab() }]
    };
    let mut lab = Lab::new(reserve(20));
    assert_eq!(lab.lease(&discover(1)), ip(20));
    lab.responder.reconfigure(lab.now, Settings { subnets: reserve(21), ..Settings::default() });
    assert_eq!(kind(&reply(&lab.act(&unicast(ip(20), 68, 67), &renew(1, ip(20))))), MessageType::Nak);
    assert_eq!(kind(&lab.ask(&reboot(1, ip(20)))), MessageType::Nak);
    assert_eq!(lab.lease(&discover(1)), ip(21));
    lab.responder.reconfigure(lab.now, Settings { subnets: vec![super::lab()], ..Settings::default() });
    assert_eq!(kind(&lab.ask(&renew(1, ip(21)))), MessageType::Nak, "removed, and outside the pool");
    assert_eq!(lab.lease(&discover(1)), ip(100));
}

#[test]
fn d37_addresses_no_client_can_have_are_dropped() {
    let mut lab = server_lab();
    for text in ["224.0.0.1", "127.0.0.1", "0.1.2.3", "255.255.255.255", "240.0.0.1", "10.77.0.1"] {
        lab.wait(5);
        let address: Ipv4Addr = text.parse().unwrap();
        let mut wanting = discover(1);
        wanting.options.set_ip(code::REQUESTED_ADDRESS, address);
        assert_eq!(lab.ask(&wanting).yiaddr, ip(100), "{text}: a bad wish is not followed");
        assert_eq!(lab.ignored(&reboot(1, address)), IgnoreReason::ImplausibleAddress, "{text}");
        assert_eq!(lab.ignored(&selecting(1, address, LOCAL)), IgnoreReason::ImplausibleAddress, "{text}");
        assert_eq!(lab.ignored(&renew(1, address)), IgnoreReason::ImplausibleAddress, "{text}");
        let mut relayed = discover(1);
        relayed.giaddr = address;
        assert_eq!(lab.ignored(&relayed), IgnoreReason::ImplausibleAddress, "{text}");
    }
    let mut unset = discover(1);
    unset.options.set_ip(code::REQUESTED_ADDRESS, Ipv4Addr::UNSPECIFIED);
    assert_eq!(lab.ask(&unset).yiaddr, ip(100));
}

#[test]
fn d38_siaddr_is_the_next_server_and_54_is_us() {
    let mut lab = Lab::new(vec![Subnet { next_server: Some(ip(2)), ..lab() }]);
    let offer = lab.ask(&rom(discover(1), 0));
    assert_eq!((offer.siaddr, offer.options.ip(code::SERVER_IDENTIFIER)), (ip(2), Some(LOCAL)));
    let script = lab.ask(&ipxe(discover(1), 0));
    assert_eq!(script.file_name(), b"http://10.77.0.2:8080/boot.ipxe");
}

#[test]
fn d39_a_subnet_that_is_not_authoritative_never_refuses() {
    let mut lab = Lab::new(vec![Subnet { authoritative: false, ..lab() }]);
    let address = lab.lease(&discover(1));
    assert_eq!(lab.ignored(&reboot(1, Ipv4Addr::new(172, 16, 0, 9))), IgnoreReason::NotAuthoritative);
    assert_eq!(lab.ignored(&renew(2, address)), IgnoreReason::NotAuthoritative);
    assert_eq!(lab.ignored(&selecting(2, address, LOCAL)), IgnoreReason::NotAuthoritative);
}

#[test]
fn d40_bootp_and_unknown_types_are_ignored() {
    let mut lab = server_lab();
    let mut bootp = discover(1);
    bootp.options.remove(code::MESSAGE_TYPE);
    assert_eq!(lab.ignored(&bootp), IgnoreReason::Bootp);
    for kind in [0, 2, 5, 6, 9, 10, 255] {
        let mut odd = discover(1);
        odd.options.set(code::MESSAGE_TYPE, [kind]);
        assert_eq!(lab.ignored(&odd), IgnoreReason::MessageType, "{kind}");
    }
}

#[test]
fn d44_a_new_configuration_keeps_offers_and_leases() {
    let mut lab = server_lab();
    let bound = lab.lease(&discover(1));
    let offer = lab.ask(&discover(2));
    let mut bigger = super::lab();
    bigger.pools.push("10.77.0.20-10.77.0.29".parse().unwrap());
    lab.responder.reconfigure(lab.now, Settings { subnets: vec![bigger], ..Settings::default() });
    let mut wanting = discover(3);
    wanting.options.set_ip(code::REQUESTED_ADDRESS, offer.yiaddr);
    assert_ne!(lab.ask(&wanting).yiaddr, offer.yiaddr, "it is still held");
    let ack = lab.ask(&take(&discover(2), &offer));
    assert_eq!((kind(&ack), ack.yiaddr), (MessageType::Ack, offer.yiaddr));
    assert_eq!(kind(&lab.ask(&reboot(1, bound))), MessageType::Ack);
}

#[test]
fn d44_a_subnet_taken_away_and_brought_back_remembers_its_leases() {
    let other = Subnet {
        name: "other".into(),
        network: "10.78.0.0/24".parse().unwrap(),
        pools: vec!["10.78.0.100-10.78.0.199".parse().unwrap()],
        ..lab()
    };
    let settings = |subnets: Vec<Subnet>| Settings { subnets, ..Settings::default() };
    let mut lab = Lab::new(vec![other.clone(), super::lab()]);
    let address = lab.lease(&discover(1));
    let there = Arrival { local: Ipv4Addr::new(10, 78, 0, 1), ..arrival() };
    let far = reply(&lab.act(&there, &discover(2)));
    lab.responder.reconfigure(lab.now, settings(vec![super::lab(), other.clone()]));
    assert_eq!(reply(&lab.act(&there, &discover(2))).yiaddr, far.yiaddr);
    lab.responder.reconfigure(lab.now, settings(vec![other.clone()]));
    assert_eq!((lab.responder.strays(), lab.responder.leases().count()), (1, 0));
    lab.responder.reconfigure(lab.now, settings(vec![other, super::lab()]));
    assert_eq!((lab.responder.strays(), lab.responder.leases().count()), (0, 1));
    assert_ne!(lab.lease(&discover(3)), address);
    assert_eq!(lab.lease(&discover(1)), address);
}

#[test]
fn p22_the_url_points_at_the_address_the_request_came_to() {
    let mut lab = server_lab();
    let mut other = arrival();
    other.local = ip(3);
    let action = lab.act(&other, &http_rom(discover(1), 16));
    let offer = reply(&action);
    assert_eq!(offer.file_name(), b"http://10.77.0.3:8080/snponly.efi");
    assert_eq!(offer.options.ip(code::SERVER_IDENTIFIER), Some(ip(3)));
    assert_eq!(transmit(&action).source, SocketAddrV4::new(ip(3), 67));
}

#[test]
fn a_machine_left_alone_gets_a_lease_and_no_boot_data() {
    let mut lab = server_lab();
    lab.stub.left_alone = Some(plan::LeaveAloneReason::LocalDisk);
    for request in [rom(discover(1), 0), rom(discover(2), 7), http_rom(discover(3), 16), ipxe(discover(4), 7)]
    {
        let offer = lab.ask(&request);
        assert!(!offer.yiaddr.is_unspecified() && offer.siaddr.is_unspecified());
        assert!(offer.file_name().is_empty() && offer.server_name().is_empty());
        assert!([43, 60, 66, 67, 150, 175].into_iter().all(|code| !offer.options.has(code)));
        assert!(offer.options.has(code::CLIENT_GUID), "97 comes back all the same");
    }
}

#[test]
fn p3_ordinary_hosts_get_no_boot_data() {
    let mut lab = server_lab();
    let mut dhclient = discover(1);
    dhclient
        .options
        .set(code::PARAMETER_LIST, [1, 28, 2, 3, 15, 6, 119, 12, 44, 47, 26, 121, 42, 66, 67, 43, 60]);
    let offer = lab.ask(&dhclient);
    assert!([43, 60, 66, 67, 97, 150, 175].into_iter().all(|code| !offer.options.has(code)));
}

/// OFFER, ACK, ACK to INFORM and NAK of one server, with the requests that led to them.
fn one_of_each(
    lab: &mut Lab,
    at: &Arrival,
    mut mark: impl FnMut(Message) -> Message,
) -> Vec<(Message, Action)> {
    let request = mark(discover(1));
    let offer = lab.act(at, &request);
    let taking = take(&request, &reply(&offer));
    let ack = lab.act(at, &taking);
    let mut inform = mark(message(1, MessageType::Inform));
    inform.ciaddr = ip(50);
    let informed = lab.act(at, &inform);
    let elsewhere = mark(reboot(1, Ipv4Addr::new(172, 16, 0, 9)));
    let nak = lab.act(at, &elsewhere);
    vec![(request, offer), (taking, ack), (inform, informed), (elsewhere, nak)]
}

#[test]
fn d2_every_reply_takes_over_the_header_table_3_names() {
    for (request, action) in one_of_each(&mut server_lab(), &arrival(), |mut message| {
        (message.flags, message.hops, message.secs, message.xid) = (0x8000, 3, 9, 0xfeed_beef);
        (message.siaddr, message.yiaddr) = (ip(9), ip(9));
        message
    }) {
        let reply = reply(&action);
        assert_eq!((reply.op, reply.xid, reply.flags), (Op::BootReply, 0xfeed_beef, 0x8000));
        assert_eq!((reply.chaddr, reply.htype, reply.hlen), (request.chaddr, 1, 6));
        assert_eq!((reply.hops, reply.secs, reply.giaddr), (0, 0, Ipv4Addr::UNSPECIFIED));
        assert_ne!(reply.yiaddr, ip(9));
        assert_eq!(reply.siaddr, Ipv4Addr::UNSPECIFIED);
    }
}

#[test]
fn d3_every_reply_has_53_and_54_and_54_is_the_source_address() {
    let mut at = arrival();
    at.local = ip(3);
    let replies = one_of_each(&mut server_lab(), &at, |message| message);
    let kinds: Vec<_> = replies.iter().map(|(_, action)| kind(&reply(action))).collect();
    assert_eq!(kinds, [MessageType::Offer, MessageType::Ack, MessageType::Ack, MessageType::Nak]);
    for (_, action) in &replies {
        let source = transmit(action).source;
        assert_eq!(reply(action).options.ip(code::SERVER_IDENTIFIER), Some(*source.ip()));
        assert_eq!(source, SocketAddrV4::new(ip(3), 67));
    }
}

#[test]
fn d5_ciaddr_of_an_ack_is_that_of_the_request() {
    let mut lab = server_lab();
    let address = lab.lease(&discover(1));
    for (request, ciaddr) in [
        (selecting(1, address, LOCAL), Ipv4Addr::UNSPECIFIED),
        (reboot(1, address), Ipv4Addr::UNSPECIFIED),
        (renew(1, address), address),
    ] {
        assert_eq!(lab.ask(&request).ciaddr, ciaddr);
    }
}

#[test]
fn d18_only_a_running_lease_can_be_declined() {
    let mut lab = server_lab();
    let address = lab.lease(&discover(1));
    let mut release = message(1, MessageType::Release);
    release.ciaddr = address;
    release.options.set_ip(code::SERVER_IDENTIFIER, LOCAL);
    lab.act(&unicast(address, 68, 67), &release);
    let mut wanting = discover(2);
    wanting.options.set_ip(code::REQUESTED_ADDRESS, address);
    let offer = lab.ask(&wanting);
    assert_eq!(offer.yiaddr, address);
    let mut decline = message(1, MessageType::Decline);
    decline.options.set_ip(code::SERVER_IDENTIFIER, LOCAL);
    decline.options.set_ip(code::REQUESTED_ADDRESS, address);
    assert_eq!(lab.ignored(&decline), IgnoreReason::NotTheOwner, "it had it once");
    assert_eq!(kind(&lab.ask(&take(&wanting, &offer))), MessageType::Ack, "the next one keeps its offer");
}

#[test]
fn d20_an_inform_is_answered_inside_its_network_only() {
    let mut lab = server_lab();
    let victim = Ipv4Addr::new(192, 0, 2, 9);
    let mut inform = message(1, MessageType::Inform);
    assert_eq!(lab.ignored_at(&unicast(victim, 68, 67), &inform), IgnoreReason::WrongNetwork);
    inform.ciaddr = victim;
    assert_eq!(lab.ignored_at(&unicast(ip(50), 68, 67), &inform), IgnoreReason::WrongNetwork);
    assert_eq!(lab.ignored(&inform), IgnoreReason::WrongNetwork);
}

#[test]
fn d22_two_answers_to_one_request_differ_in_nothing_at_any_stage() {
    for mark in [rom as fn(Message, u16) -> Message, ipxe, http_rom] {
        let mut lab = server_lab();
        let request = mark(discover(1), 7);
        assert_eq!(lab.act(&arrival(), &request).transmit, lab.act(&arrival(), &request).transmit);
        let offer = lab.ask(&request);
        let taking = take(&request, &offer);
        assert_eq!(lab.act(&arrival(), &taking).transmit, lab.act(&arrival(), &taking).transmit);
    }
}

#[test]
fn d29_options_of_wrong_length_are_counted_and_cost_nothing_else() {
    let mut lab = server_lab();
    let mut odd = rom(discover(1), 7);
    for code in [50, 51, 54, 57, 93, 97] {
        odd.options.set(code, [1, 2, 3, 4, 5]);
    }
    assert_eq!(kind(&lab.ask(&odd)), MessageType::Offer);
    assert_eq!(lab.responder.option_faults(), 6);
    lab.ask(&rom(discover(2), 7));
    assert_eq!(lab.responder.option_faults(), 6);
}

#[test]
fn p4_a_leasing_server_names_the_class_to_http_boot_only() {
    let mut lab = server_lab();
    let class = |lab: &mut Lab, message: Message| {
        lab.ask(&message).options.get(code::VENDOR_CLASS).map(<[u8]>::to_vec)
    };
    assert_eq!(class(&mut lab, http_rom(discover(1), 16)), Some(b"HTTPClient".to_vec()));
    for message in [rom(discover(1), 0), rom(discover(1), 7), ipxe(discover(1), 7), discover(1)] {
        assert_eq!(class(&mut lab, message), None);
    }
}

#[test]
fn p22_one_interfaces_rules_never_leak_to_another() {
    let mut quiet = super::lab();
    (quiet.name, quiet.network) = ("quiet".into(), "10.78.0.0/24".parse().unwrap());
    quiet.mode = DhcpMode::Proxy;
    let mut off = super::lab();
    (off.name, off.network, off.mode) = ("off".into(), "10.79.0.0/24".parse().unwrap(), DhcpMode::Off);
    let mut lab = Lab::new(vec![super::lab(), quiet, off]);
    let at = |third: u8, interface: &str| Arrival {
        local: Ipv4Addr::new(10, third, 0, 1),
        interface: interface.into(),
        ..arrival()
    };
    let here = reply(&lab.act(&at(77, "a"), &rom(discover(1), 0)));
    let there = reply(&lab.act(&at(78, "b"), &rom(discover(1), 0)));
    assert_eq!((here.yiaddr, here.siaddr), (ip(100), LOCAL));
    assert!(!here.options.has(code::VENDOR_CLASS));
    assert_eq!((there.yiaddr, there.siaddr), (Ipv4Addr::UNSPECIFIED, Ipv4Addr::new(10, 78, 0, 1)));
    assert!(there.options.has(code::VENDOR_CLASS) && !there.options.has(code::ROUTER));
    assert_eq!(lab.ignored_at(&at(79, "c"), &rom(discover(1), 0)), IgnoreReason::Off);
}
