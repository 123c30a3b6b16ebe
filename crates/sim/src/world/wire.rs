//! Who hears what: from every end of the wire to every other.

use super::{Asked, Frame, Node, QUESTION, SQUATTER, World};
use crate::machine::Machine;
use crate::place::INTERFACE_INDEX;
use crate::relay;
use crate::report::Promise;
use dhcp_proto::wire::{Encoding, Message};
use dhcp_proto::{Probe, ProbeWay};
use std::net::{Ipv4Addr, SocketAddrV4};
use types::{Arrival, Destination, MacAddr, Transmit};

impl World<'_> {
    /// To every appliance.
    pub(super) fn broadcast(&mut self, from: Node, source: Ipv4Addr, bytes: &[u8]) {
        for at in 0..self.servers.len() {
            let destination = SocketAddrV4::new(Ipv4Addr::BROADCAST, 67);
            self.send(from, Node::Server(at), SocketAddrV4::new(source, 68), destination, bytes.to_vec());
        }
    }

    pub(super) fn send(
        &mut self,
        from: Node,
        to: Node,
        source: SocketAddrV4,
        destination: SocketAddrV4,
        bytes: Vec<u8>,
    ) {
        let now = self.now;
        if self.is_cut(from, to) {
            return;
        }
        self.wire.send(now, Frame { to, source, destination }, bytes);
    }

    pub(super) fn deliver(&mut self) {
        while let Some((frame, bytes)) = self.wire.receive(self.now) {
            match frame.to {
                Node::Server(at) => {
                    self.serial += 1;
                    let Some(server) = self.servers.get_mut(at) else { continue };
                    let arrival = Arrival {
                        interface_index: INTERFACE_INDEX,
                        interface: self.stage.interface.clone(),
                        local: server.address,
                        sent_to: frame.destination,
                        remote: frame.source,
                    };
                    server.receive(self.serial, arrival, bytes);
                }
                Node::Relay => self.relay_back(&bytes),
                Node::Machine(at) => {
                    if let Ok(reply) = Message::decode(&bytes) {
                        self.hear(at, &reply);
                    }
                }
                Node::Stranger => {}
                Node::Asked(server, address, way) => self.answer(server, address, way),
                Node::Told(at, address, mac) => {
                    if let Some(server) = self.servers.get_mut(at) {
                        server.hear(address, mac);
                    }
                }
            }
        }
    }

    /// An appliance asks who uses an address.
    pub(super) fn ask(&mut self, at: usize, probe: &Probe) {
        self.book.counts().probes += 1;
        let way = match probe.way {
            ProbeWay::Arp(_) => Asked::Arp,
            ProbeWay::Echo(_) => Asked::Echo,
        };
        let nowhere = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
        self.send(Node::Server(at), Node::Asked(at, probe.address, way), nowhere, nowhere, QUESTION.to_vec());
    }

    /// Whoever uses the address says so, unless the question does not reach it.
    fn answer(&mut self, server: usize, address: Ipv4Addr, way: Asked) {
        let (from, mac) = match self.answers_arp(address) {
            Some(Node::Machine(at)) => (Node::Machine(at), self.machines.get(at).map(|machine| machine.mac)),
            _ if self.squatted.contains(&address) => (Node::Stranger, Some(SQUATTER)),
            _ => return,
        };
        if self.is_cut(Node::Server(server), from) || self.is_cut(from, Node::Server(server)) {
            return;
        }
        let mac = mac.filter(|_| way == Asked::Arp);
        let nowhere = SocketAddrV4::new(address, 0);
        self.send(from, Node::Told(server, address, mac), nowhere, nowhere, QUESTION.to_vec());
    }

    fn is_cut(&self, from: Node, to: Node) -> bool {
        self.cuts.iter().any(|cut| cut.from == from && cut.to == to && cut.until > self.now)
    }

    /// A reply leaves an appliance.
    pub(super) fn leaves(&mut self, at: usize, transmit: Transmit) {
        let bytes = transmit.payload;
        let Ok(reply) = Message::decode(&bytes) else { return };
        let mac = reply.mac();
        if !reply.yiaddr.is_unspecified() {
            self.check_owner(reply.yiaddr, mac, "given to");
        }
        let (from, source) = (Node::Server(at), transmit.source);
        let (to, destination) = match transmit.destination {
            Destination::Unicast(to) if *to.ip() == relay::GIADDR => (Some(Node::Relay), to),
            Destination::Unicast(to) => (self.answers_arp(*to.ip()), to),
            Destination::Broadcast(port) => {
                (self.on_the_wire(mac), SocketAddrV4::new(Ipv4Addr::BROADCAST, port))
            }
            Destination::Hardware { mac, to } => (self.on_the_wire(Some(mac)), to),
        };
        if let Some(to) = to {
            self.send(from, to, source, destination, bytes);
        }
    }

    /// The machine with an address, wherever it is.
    fn answers_arp(&self, address: Ipv4Addr) -> Option<Node> {
        let has = |machine: &Machine| machine.live(self.now).is_some_and(|lease| lease.address == address);
        self.machines.iter().position(has).map(Node::Machine)
    }

    /// The machine of that hardware address, on the first network.
    fn on_the_wire(&self, mac: Option<MacAddr>) -> Option<Node> {
        let is = |machine: &Machine| !machine.relayed && Some(machine.mac) == mac;
        self.machines.iter().position(is).map(Node::Machine)
    }

    /// A reply comes back to the relay; whatever way it goes on, only its machine listens.
    fn relay_back(&mut self, bytes: &[u8]) {
        let Some((reply, info)) = relay::back(bytes) else { return };
        let mac = reply.mac();
        let at = self.machines.iter().position(|machine| machine.relayed && Some(machine.mac) == mac);
        let Some(at) = at else { return };
        let echoed = info.as_deref() == Some(&*relay::info(at)) || self.scenario.wire.damage_passes;
        self.book.check(self.now, echoed, Promise::RelayEchoed, || {
            format!("option 82 of port {at} came back as {info:?}")
        });
        if let Ok(encoded) = reply.encode(&[], &Encoding::default()) {
            let (source, to) = (SocketAddrV4::new(relay::GIADDR, 67), SocketAddrV4::new(reply.yiaddr, 68));
            self.send(Node::Relay, Node::Machine(at), source, to, encoded.bytes);
        }
    }
}
