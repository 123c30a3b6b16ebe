//! One UDP datagram in, one out: everything the pure crates need to know of a socket.

use crate::MacAddr;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

/// Where a datagram came from and which of our addresses it reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Arrival {
    /// Kernel index of the interface it came in on.
    pub interface_index: u32,
    /// Its name, as configured.
    pub interface: Arc<str>,
    /// Our own IPv4 address on that interface: server identifier, next-server and source of the reply.
    pub local: Ipv4Addr,
    /// The destination the sender used: `local`, another address of ours, or a broadcast address.
    pub sent_to: SocketAddrV4,
    /// Source address and port of the datagram. 0.0.0.0 for a machine without an address.
    pub remote: SocketAddrV4,
}

/// Where a reply goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Destination {
    /// To an address that answers ARP: a relay, a renewing client, a 4011 caller.
    Unicast(SocketAddrV4),
    /// 255.255.255.255 on the arrival interface, to this port.
    Broadcast(u16),
    /// To a machine that does not yet own `address`: framed to its hardware address, no ARP (RFC 2131 §4.1).
    Hardware {
        /// Link-layer destination.
        mac: MacAddr,
        /// IP and port in the packet.
        to: SocketAddrV4,
    },
}

/// One datagram to send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transmit {
    /// Interface it must leave by.
    pub interface_index: u32,
    /// Source address and port; the port is the one the request arrived on (67 or 4011).
    pub source: SocketAddrV4,
    /// Receiver.
    pub destination: Destination,
    /// UDP payload.
    pub payload: Vec<u8>,
}
