//! RFC 3046, 3527, 5107, 6842, 8357: relays and identity.

use super::*;

const RELAY: Ipv4Addr = Ipv4Addr::new(10, 88, 0, 1);

fn far() -> Subnet {
    Subnet {
        name: "far".into(),
        network: "10.88.0.0/24".parse().unwrap(),
        pools: vec!["10.88.0.100-10.88.0.110".parse().unwrap()],
        routers: vec![RELAY],
        ..lab()
    }
}

fn relay_lab() -> Lab {
    let relays = vec!["10.88.0.0/24".parse().unwrap()];
    Lab::with(Settings { subnets: vec![lab(), far()], relays, ..Settings::default() })
}

fn relayed(mut message: Message, info: &[u8]) -> Message {
    message.giaddr = RELAY;
    message.hops = 1;
    if !info.is_empty() {
        message.options.set(code::RELAY_INFO, info);
    }
    message
}

fn from_relay() -> Arrival {
    unicast(RELAY, 67, 67)
}

fn last_option(action: &Action) -> Vec<u8> {
    let mut rest = &transmit(action).payload[240..];
    let mut last = Vec::new();
    while let [code, len, after @ ..] = rest {
        if *code == 255 {
            break;
        }
        last = rest[..2 + usize::from(*len)].to_vec();
        rest = &after[usize::from(*len)..];
    }
    last
}

#[test]
fn r1_giaddr_picks_the_subnet_and_gets_the_reply() {
    let mut lab = relay_lab();
    let action = lab.act(&from_relay(), &relayed(discover(1), b""));
    assert_eq!(reply(&action).yiaddr, Ipv4Addr::new(10, 88, 0, 100));
    assert_eq!(reply(&action).giaddr, RELAY);
    assert_eq!(transmit(&action).destination, Destination::Unicast(SocketAddrV4::new(RELAY, 67)));
    assert_eq!(reply(&action).options.ip(code::SERVER_IDENTIFIER), Some(LOCAL));
}

#[test]
fn r1_the_relays_own_port_only_when_it_says_so() {
    let mut lab = relay_lab();
    let from = unicast(RELAY, 1067, 67);
    let action = lab.act(&from, &relayed(discover(1), b"\x13\x00"));
    assert_eq!(transmit(&action).destination, Destination::Unicast(SocketAddrV4::new(RELAY, 1067)));
    let action = lab.act(&from, &relayed(discover(1), b"\x01\x01x"));
    assert_eq!(transmit(&action).destination, Destination::Unicast(SocketAddrV4::new(RELAY, 67)));
}

#[test]
fn r2_option_82_comes_back_byte_for_byte_and_last() {
    let mut lab = relay_lab();
    for info in [b"\x01\x03ge1\x02\x02ab".as_slice(), b"\x01\x09bad", b"\x00", b"\x01\x01a\x01\x01b"] {
        let offer = lab.act(&from_relay(), &relayed(discover(1), info));
        let mut expected = vec![82, u8::try_from(info.len()).unwrap()];
        expected.extend(info);
        assert_eq!(last_option(&offer), expected, "R6: odd ones too");
        let nak = lab.act(&from_relay(), &relayed(reboot(1, ip(7)), info));
        assert_eq!((kind(&reply(&nak)), last_option(&nak)), (MessageType::Nak, expected));
    }
    assert!(!reply(&lab.act(&from_relay(), &relayed(discover(1), b""))).options.has(code::RELAY_INFO));
}

#[test]
fn r3_other_options_make_room_for_82() {
    let mut lab = relay_lab();
    let info: Vec<u8> = [1, 250].into_iter().chain([b'c'; 250]).collect();
    let mut request = relayed(rom(discover(1), 0), &info);
    request.options.set(code::MESSAGE_SIZE_MAX, 576u16.to_be_bytes());
    let action = lab.act(&from_relay(), &request);
    assert!(transmit(&action).payload.len() <= 548);
    assert_eq!(reply(&action).options.get(code::RELAY_INFO), Some(info.as_slice()));
}

#[test]
fn r4_option_82_without_giaddr_is_dropped() {
    let mut request = discover(1);
    request.options.set(code::RELAY_INFO, *b"\x01\x01x");
    assert_eq!(relay_lab().ignored(&request), IgnoreReason::RelayInfoWithoutRelay);
}

#[test]
fn r5_a_renewal_past_the_relay_keeps_what_the_relay_said() {
    let mut lab = relay_lab();
    let request = relayed(discover(1), b"\x01\x03ge7");
    let offer = reply(&lab.act(&from_relay(), &request));
    let ack = lab.act(&from_relay(), &take(&request, &offer));
    assert_eq!(ack.commit[0].relay_info.as_deref(), Some(b"\x01\x03ge7".as_slice()));
    lab.responder.committed(&ack.commit);
    lab.wait(1000);
    let mut renewal = renew(1, offer.yiaddr);
    renewal.xid = 9;
    let renewed = lab.act(&unicast(offer.yiaddr, 68, 67), &renewal);
    assert_eq!(kind(&reply(&renewed)), MessageType::Ack);
    assert_eq!(renewed.commit[0].relay_info, ack.commit[0].relay_info);
    assert_eq!(transmit(&renewed).destination, Destination::Unicast(SocketAddrV4::new(offer.yiaddr, 68)));
    let asked = lab.stub.asked.lock().unwrap();
    assert_eq!(asked.last().unwrap().circuit_id.as_deref(), Some(b"ge7".as_slice()));
}

#[test]
fn r7_link_selection_overrides_giaddr_and_the_override_is_option_54() {
    let mut lab = relay_lab();
    let info = b"\x05\x04\x0a\x4d\x00\x00\x0b\x04\x0a\x58\x00\x01";
    let request = relayed(discover(1), info);
    let offered = lab.act(&from_relay(), &request);
    let offer = reply(&offered);
    assert_eq!(offer.yiaddr, ip(100));
    assert_eq!(transmit(&offered).destination, Destination::Unicast(SocketAddrV4::new(RELAY, 67)));
    assert_eq!(offer.options.ip(code::SERVER_IDENTIFIER), Some(RELAY));
    let ack = reply(&lab.act(&from_relay(), &take(&request, &offer)));
    assert_eq!(kind(&ack), MessageType::Ack, "and accepted back as ours");
}

#[test]
fn r8_relays_that_are_not_listed_get_nothing() {
    let mut lab = relay_lab();
    let mut request = relayed(discover(1), b"");
    request.giaddr = Ipv4Addr::new(10, 99, 0, 1);
    assert_eq!(lab.ignored_at(&from_relay(), &request), IgnoreReason::RelayNotAllowed);
    let mut closed = Lab::new(vec![super::lab(), far()]);
    assert_eq!(closed.ignored_at(&from_relay(), &relayed(discover(1), b"")), IgnoreReason::RelayNotAllowed);
    let open = Settings {
        relays: vec!["0.0.0.0/0".parse().unwrap()],
        default_mode: DhcpMode::Proxy,
        ..Settings::default()
    };
    let mut nowhere = Lab::with(open);
    assert_eq!(nowhere.ignored_at(&from_relay(), &request), IgnoreReason::NoSubnet);
}

#[test]
fn r9_option_61_comes_back_and_is_never_invented() {
    let mut lab = relay_lab();
    let mut request = discover(1);
    assert!(!lab.ask(&request).options.has(code::CLIENT_IDENTIFIER));
    for id in [vec![0xff, 1, 2, 3], vec![9; 255]] {
        request.options.set(code::CLIENT_IDENTIFIER, id.clone());
        let offer = lab.ask(&request);
        assert_eq!(offer.options.get(code::CLIENT_IDENTIFIER), Some(id.as_slice()));
        let ack = lab.ask(&take(&request, &offer));
        assert_eq!(ack.options.get(code::CLIENT_IDENTIFIER), Some(id.as_slice()));
    }
}

#[test]
fn r14_loops_are_dropped_and_two_relays_make_one_binding() {
    let mut lab = relay_lab();
    let mut request = relayed(discover(1), b"");
    request.hops = 17;
    assert_eq!(lab.ignored_at(&from_relay(), &request), IgnoreReason::TooManyHops);
    request.hops = 16;
    let first = reply(&lab.act(&from_relay(), &request));
    let mut twin = request.clone();
    twin.giaddr = Ipv4Addr::new(10, 88, 0, 2);
    let second = reply(&lab.act(&unicast(twin.giaddr, 67, 67), &twin));
    assert_eq!(first.yiaddr, second.yiaddr);
}

#[test]
fn d8_a_relayed_nak_is_to_be_broadcast() {
    let mut lab = relay_lab();
    let action = lab.act(&from_relay(), &relayed(reboot(1, ip(9)), b""));
    let nak = reply(&action);
    assert_eq!((kind(&nak), nak.flags), (MessageType::Nak, 0x8000));
    assert_eq!(transmit(&action).destination, Destination::Unicast(SocketAddrV4::new(RELAY, 67)));
}

#[test]
fn d10_one_client_on_two_subnets_holds_two_leases() {
    let mut lab = relay_lab();
    let here = lab.lease(&discover(1));
    let request = relayed(discover(1), b"");
    let offer = reply(&lab.act(&from_relay(), &request));
    lab.act(&from_relay(), &take(&request, &offer));
    assert_ne!(here, offer.yiaddr);
    let bound = |record: &&LeaseRecord| record.state == LeaseState::Bound;
    assert_eq!(lab.responder.leases().filter(bound).count(), 2);
}

#[test]
fn d7_rule_1_an_inform_through_a_relay_is_answered_to_the_relay() {
    let mut lab = relay_lab();
    let mut inform = relayed(message(1, MessageType::Inform), b"");
    inform.ciaddr = Ipv4Addr::new(10, 88, 0, 50);
    let action = lab.act(&from_relay(), &inform);
    assert_eq!(transmit(&action).destination, Destination::Unicast(SocketAddrV4::new(RELAY, 67)));
}

#[test]
fn r2_an_option_82_that_cannot_be_echoed_changes_nothing() {
    let mut lab = relay_lab();
    let request = relayed(discover(1), b"\x01\x01x");
    let plain = request.encode(&[], &Encoding::for_client(Some(1500), 1500)).unwrap().bytes;
    let end = plain.iter().rposition(|byte| *byte == 255).unwrap();
    let mut bytes = plain[..end].to_vec();
    bytes.extend([82, 255]);
    bytes.extend([1; 255]);
    bytes.push(255);
    match lab.responder.handle(lab.now, &from_relay(), &bytes, &lab.stub) {
        Outcome::Ignore(IgnoreReason::ReplyTooLarge, Some(_)) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(lab.responder.tables()[1].holds(), 0, "no address is held for it");
}

#[test]
fn r8_a_relay_that_is_not_let_through_is_worth_one_warning_a_minute() {
    let mut lab = relay_lab();
    let mut unknown = relayed(discover(1), b"");
    unknown.giaddr = Ipv4Addr::new(10, 99, 0, 1);
    let mut snooping = discover(1);
    snooping.options.set(code::RELAY_INFO, *b"\x01\x01x");
    for (message, relay) in [(unknown, Some(&Value::from(Ipv4Addr::new(10, 99, 0, 1)))), (snooping, None)] {
        let mut levels = Vec::new();
        for wait in [0, 1, 60] {
            lab.wait(wait);
            match lab.handle(&from_relay(), &message) {
                Outcome::Ignore(_, Some(event)) => {
                    assert_eq!(event.field("relay"), relay);
                    levels.push(event.level);
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(levels, [Level::Warn, Level::Debug, Level::Warn]);
    }
}

#[test]
fn r9_a_nak_has_option_61_too() {
    let mut request = reboot(1, Ipv4Addr::new(172, 16, 0, 9));
    request.options.set(code::CLIENT_IDENTIFIER, *b"\x01abcdef");
    let nak = relay_lab().ask(&request);
    assert_eq!(kind(&nak), MessageType::Nak);
    assert_eq!(nak.options.get(code::CLIENT_IDENTIFIER), Some(b"\x01abcdef".as_slice()));
}
