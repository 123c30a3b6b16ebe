//! Machines, a tiny pool and time: no address is promised to two machines at once, whatever they send in which order.
//!
//! Input: records of six bytes `what, machine, address, seconds, xid, flags`; `what` 9 and up adds a golden-sized tail of raw
//! bytes as one datagram. A failed commit (flag bit 7) must not lead to an ACK of anything that is not durable.
#![no_main]

use dhcp_proto::limits::LEASE_GRACE;
use dhcp_proto::wire::{Encoding, Message, MessageType, Op, code};
use dhcp_proto::{Outcome, Responder, Settings};
use libfuzzer_sys::fuzz_target;
use plan::{Catalog, CatalogParts};
use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::{Duration, Instant};
use types::lease::{ClientKey, LeaseRecord, LeaseState};
use types::subnet::{DhcpMode, LeaseTimes, Subnet};
use types::{Arrival, Now, UnixTime};

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const DATAGRAM_BYTES: usize = 600;

fuzz_target!(|bytes: &[u8]| {
    let mut lab = Lab::new();
    let mut rest = bytes;
    while let Some((record, after)) = rest.split_first_chunk::<6>() {
        rest = after;
        if record[0] >= 9 {
            let (datagram, after) = rest.split_at(rest.len().min(DATAGRAM_BYTES));
            rest = after;
            lab.hand_in(datagram, record[5]);
        } else {
            let message = request(record);
            let encoded = message.encode(&[], &Encoding::default()).expect("a request encodes");
            lab.hand_in(&encoded.bytes, record[5]);
        }
        lab.now = lab.now.plus(Duration::from_secs(u64::from(record[3]) * 8));
    }
});

/// A request with the fields its kind may have, present or not by the flags.
fn request(&[what, machine, address, _, xid, flags]: &[u8; 6]) -> Message {
    let mut message = Message::new(Op::BootRequest);
    let address = Ipv4Addr::new(10, 77, 0, 99 + address % 6);
    message.xid = u32::from(xid % 4);
    message.chaddr[..6].copy_from_slice(&[0x52, 0x54, 0, 0, 0, machine % 8]);
    message.options.set(code::MESSAGE_TYPE, [what.clamp(1, 8)]);
    if flags & 1 != 0 {
        message.options.set_ip(code::REQUESTED_ADDRESS, address);
    }
    if flags & 2 != 0 {
        message.options.set_ip(code::SERVER_IDENTIFIER, SERVER);
    }
    if flags & 4 != 0 {
        message.ciaddr = address;
    }
    if flags & 8 != 0 {
        message.options.set(code::CLIENT_IDENTIFIER, [0, machine / 8 % 4, 7]);
    }
    if flags & 16 != 0 {
        message.options.set_u32(code::LEASE_TIME, u32::from(xid) * 0x0101_0101);
    }
    message
}

struct Lab {
    responder: Responder,
    decider: Arc<Catalog>,
    now: Now,
    durable: HashMap<Ipv4Addr, LeaseRecord>,
}

impl Lab {
    fn new() -> Lab {
        let subnet = Subnet {
            name: "lab".into(),
            network: "10.77.0.0/24".parse().expect("a network"),
            mode: DhcpMode::Server,
            pools: vec!["10.77.0.100-10.77.0.103".parse().expect("a range")],
            excluded: Vec::new(),
            reservations: Vec::new(),
            lease_times: LeaseTimes {
                default: Duration::from_secs(600),
                min: Duration::from_secs(60),
                max: Duration::from_secs(1200),
            },
            routers: Vec::new(),
            dns: Vec::new(),
            domain: None,
            options: Vec::new(),
            authoritative: true,
            uefi_discovery_control: false,
            next_server: None,
        };
        Lab {
            responder: Responder::new(Settings { subnets: vec![subnet], ..Settings::default() }),
            decider: Arc::new(Catalog::build(CatalogParts::default()).expect("an empty catalog")),
            now: Now { instant: Instant::now(), unix: UnixTime(1_800_000_000) },
            durable: HashMap::new(),
        }
    }

    fn hand_in(&mut self, datagram: &[u8], flags: u8) {
        let unicast = flags & 32 != 0;
        let arrival = Arrival {
            interface_index: 2,
            interface: "lab0".into(),
            local: SERVER,
            sent_to: SocketAddrV4::new(
                if unicast { SERVER } else { Ipv4Addr::BROADCAST },
                if flags & 64 == 0 { 67 } else { 4011 },
            ),
            remote: SocketAddrV4::new(
                if unicast { Ipv4Addr::new(10, 77, 0, 100) } else { Ipv4Addr::UNSPECIFIED },
                68,
            ),
        };
        self.responder.tick(self.now);
        let Outcome::Act(action) = self.responder.handle(self.now, &arrival, datagram, &self.decider) else {
            return;
        };
        let fails = flags & 128 != 0 && !action.commit.is_empty();
        let sent = if fails { action.fallback } else { action.transmit };
        if !fails {
            for record in &action.commit {
                self.make_durable(record);
            }
            self.responder.committed(&action.commit);
        }
        let Some(sent) = sent else { return };
        assert!((300..=1472).contains(&sent.payload.len()));
        let reply = Message::decode(&sent.payload).expect("our own bytes decode");
        let asked = Message::decode(datagram).expect("only what decodes is answered");
        assert_eq!((reply.op, reply.xid, reply.chaddr), (Op::BootReply, asked.xid, asked.chaddr));
        if reply.message_type() == Some(MessageType::Ack) && !reply.yiaddr.is_unspecified() {
            let record = self.durable.get(&reply.yiaddr).expect("an acknowledged lease is durable");
            assert_eq!(record.state, LeaseState::Bound);
            // One identifier is one client, whatever board it sits on (RFC 2131 §4.2).
            let identifier = match &record.key {
                ClientKey::ClientId(identifier) => Some(&**identifier),
                ClientKey::Hardware { .. } => None,
            };
            let same_client = identifier.is_some() && identifier == asked.options.client_identifier();
            assert!(same_client || record.mac.is_none() || record.mac == asked.mac());
            let lease = reply.options.u32(code::LEASE_TIME).expect("an ACK has a lease time");
            // A repeated REQUEST gets the same ACK without a write; the grace covers what that adds.
            let safe = record.expires.saturating_add(LEASE_GRACE);
            assert!(self.now.unix.0 + u64::from(lease) <= safe.0, "promised longer than durable");
        }
    }

    fn make_durable(&mut self, record: &LeaseRecord) {
        if let Some(earlier) = self.durable.insert(record.address, record.clone()) {
            let other = earlier.key != record.key && earlier.mac != record.mac;
            let live = earlier.state != LeaseState::Released && earlier.expires > self.now.unix;
            assert!(
                !(other && live && record.state == LeaseState::Bound),
                "{earlier:?} was given to {record:?}"
            );
        }
    }
}
