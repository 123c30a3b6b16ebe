use super::*;
use crate::wire::Op;
use crate::wire::message::BROADCAST_FLAG;
use std::net::Ipv4Addr;
use types::MacAddr;

const RELAY: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
const CIADDR: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 7);
const YIADDR: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 8);
const MAC: MacAddr = MacAddr([0x52, 0x54, 0, 0, 0, 1]);

fn reply(giaddr: bool, ciaddr: bool, broadcast: bool, yiaddr: bool) -> Message {
    let mut message = Message::new(Op::BootReply);
    message.chaddr[..6].copy_from_slice(&MAC.0);
    let pick = |on: bool, address: Ipv4Addr| if on { address } else { Ipv4Addr::UNSPECIFIED };
    message.giaddr = pick(giaddr, RELAY);
    message.ciaddr = pick(ciaddr, CIADDR);
    message.yiaddr = pick(yiaddr, YIADDR);
    message.flags = if broadcast { BROADCAST_FLAG } else { 0 };
    message
}

fn unicast(address: Ipv4Addr, port: u16) -> Destination {
    Destination::Unicast(SocketAddrV4::new(address, port))
}

#[test]
fn d7_rule_1_a_relayed_reply_goes_to_the_relay_whatever_else_is_set() {
    for bits in 0..8u8 {
        let message = reply(true, bits & 1 != 0, bits & 2 != 0, bits & 4 != 0);
        for kind in [MessageType::Offer, MessageType::Ack, MessageType::Nak] {
            assert_eq!(choose(&message, kind, SERVER_PORT), unicast(RELAY, 67));
        }
    }
    assert_eq!(choose(&reply(true, false, false, true), MessageType::Offer, 1067), unicast(RELAY, 1067));
}

#[test]
fn d7_rule_2_nak_without_giaddr_is_broadcast() {
    for bits in 0..8u8 {
        let message = reply(false, bits & 1 != 0, bits & 2 != 0, bits & 4 != 0);
        assert_eq!(choose(&message, MessageType::Nak, SERVER_PORT), Destination::Broadcast(68));
    }
}

#[test]
fn d7_rule_3_a_client_with_an_address_is_answered_there() {
    for broadcast in [false, true] {
        let message = reply(false, true, broadcast, true);
        assert_eq!(choose(&message, MessageType::Ack, SERVER_PORT), unicast(CIADDR, 68));
    }
}

#[test]
fn d7_rule_4_the_broadcast_flag_is_honoured() {
    let message = reply(false, false, true, true);
    assert_eq!(choose(&message, MessageType::Offer, SERVER_PORT), Destination::Broadcast(68));
}

#[test]
fn d7_rule_5_else_the_frame_goes_to_chaddr_and_yiaddr() {
    let message = reply(false, false, false, true);
    let expected = Destination::Hardware { mac: MAC, to: SocketAddrV4::new(YIADDR, 68) };
    assert_eq!(choose(&message, MessageType::Offer, SERVER_PORT), expected);
    assert_eq!(choose(&message, MessageType::Ack, SERVER_PORT), expected);
}

#[test]
fn d7_rule_5_without_yiaddr_or_ethernet_address_is_broadcast() {
    let proxy_offer = reply(false, false, false, false);
    assert_eq!(choose(&proxy_offer, MessageType::Offer, SERVER_PORT), Destination::Broadcast(68));
    let mut infiniband = reply(false, false, false, true);
    (infiniband.htype, infiniband.hlen) = (32, 0);
    assert_eq!(choose(&infiniband, MessageType::Offer, SERVER_PORT), Destination::Broadcast(68));
    let mut group = reply(false, false, false, true);
    group.chaddr = [0xff; 16];
    assert_eq!(choose(&group, MessageType::Offer, SERVER_PORT), Destination::Broadcast(68));
}
