//! Where a reply goes. First rule that applies (RFC 2131 §4.1), tests in `destination/tests.rs`:
//! 1 relayed → relay, port 67 · 2 NAK → broadcast · 3 `ciaddr` set → `ciaddr` · 4 broadcast flag → broadcast ·
//! 5 else `yiaddr`, by MAC; broadcast when there is no `yiaddr` (a proxy offer) or no Ethernet address
//!
//! Looks at the finished reply, never at fields of a request that the reply does not carry: an OFFER has no `ciaddr`, so
//! a DISCOVER cannot aim one at a third party.

use crate::wire::{Message, MessageType};
use std::net::SocketAddrV4;
use types::Destination;

/// Server and relay port.
pub const SERVER_PORT: u16 = 67;

/// Client port.
pub const CLIENT_PORT: u16 = 68;

/// Boot server port of PXE (PXE 2.1 §2.4.5).
pub const BOOT_SERVER_PORT: u16 = 4011;

/// Where this reply goes. `relay_port` is [`SERVER_PORT`] unless the relay asked for its own (RFC 8357 §5).
pub fn choose(reply: &Message, kind: MessageType, relay_port: u16) -> Destination {
    if !reply.giaddr.is_unspecified() {
        return Destination::Unicast(SocketAddrV4::new(reply.giaddr, relay_port));
    }
    if kind == MessageType::Nak {
        return Destination::Broadcast(CLIENT_PORT);
    }
    if !reply.ciaddr.is_unspecified() {
        return Destination::Unicast(SocketAddrV4::new(reply.ciaddr, CLIENT_PORT));
    }
    match reply.mac().filter(|mac| mac.is_unicast()) {
        Some(mac) if !reply.broadcast_flag() && !reply.yiaddr.is_unspecified() => {
            Destination::Hardware { mac, to: SocketAddrV4::new(reply.yiaddr, CLIENT_PORT) }
        }
        _ => Destination::Broadcast(CLIENT_PORT),
    }
}

#[cfg(test)]
mod tests;
