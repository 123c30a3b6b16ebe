//! A subnet, requests and collected events for this crate's tests.

use dhcp_proto::wire::{Encoding, Message, MessageType, Op, code};
use dhcp_proto::{Responder, Settings};
use plan::{Catalog, CatalogParts, Decider};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use types::subnet::{DhcpMode, LeaseTimes, Subnet};
use types::{Event, EventName, EventSink};

pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
pub(crate) const RELAY: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 1);

fn subnet(name: &str, network: &str, pool: &str) -> Subnet {
    let hour = Duration::from_secs(3600);
    Subnet {
        name: name.into(),
        network: network.parse().unwrap(),
        mode: DhcpMode::Server,
        pools: vec![pool.parse().unwrap()],
        excluded: Vec::new(),
        reservations: Vec::new(),
        lease_times: LeaseTimes { default: hour, min: Duration::from_secs(60), max: hour * 24 },
        routers: vec![SERVER],
        dns: Vec::new(),
        domain: None,
        options: Vec::new(),
        authoritative: true,
        uefi_discovery_control: false,
        next_server: None,
    }
}

/// Here, and one network behind a relay.
pub(crate) fn settings() -> Settings {
    Settings {
        subnets: vec![
            subnet("here", "10.77.0.0/24", "10.77.0.100-10.77.0.199"),
            subnet("behind", "10.78.0.0/24", "10.78.0.100-10.78.0.199"),
        ],
        relays: vec!["10.78.0.0/24".parse().unwrap()],
        ..Settings::default()
    }
}

pub(crate) fn responder() -> Responder {
    Responder::new(settings())
}

pub(crate) fn decider() -> Arc<dyn Decider> {
    Arc::new(Arc::new(Catalog::build(CatalogParts::default()).unwrap()))
}

/// A request of machine number `machine`, before encoding.
pub(crate) fn request(kind: MessageType, machine: u8) -> Message {
    let mut message = Message::new(Op::BootRequest);
    message.xid = 0x7700_0000 | u32::from(machine);
    message.chaddr[..6].copy_from_slice(&[0x52, 0x54, 0, 0, 0, machine]);
    message.options.set(code::MESSAGE_TYPE, [kind.code()]);
    message.options.set(code::PARAMETER_LIST, [1, 3, 6, 51]);
    message
}

/// A REQUEST that takes an offer of ours.
pub(crate) fn taking(machine: u8, address: Ipv4Addr) -> Message {
    let mut message = request(MessageType::Request, machine);
    message.options.set_ip(code::SERVER_IDENTIFIER, SERVER);
    message.options.set_ip(code::REQUESTED_ADDRESS, address);
    message
}

pub(crate) fn bytes(message: &Message) -> Vec<u8> {
    message.encode(&[], &Encoding::default()).unwrap().bytes
}

/// Events in the order they were recorded.
#[derive(Clone, Default)]
pub(crate) struct Recorded(Arc<Mutex<Vec<Event>>>);

impl EventSink for Recorded {
    fn record(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

impl Recorded {
    pub(crate) fn names(&self) -> Vec<EventName> {
        self.0.lock().unwrap().iter().map(|event| event.name).collect()
    }

    pub(crate) fn all(&self) -> Vec<Event> {
        self.0.lock().unwrap().clone()
    }
}
