//! Others on the wire: a flooder with invented names, and sometimes with those of real machines.

use crate::Seed;
use crate::machine::Machine;
use dhcp_proto::wire::{Message, MessageType, Op, code};
use std::net::Ipv4Addr;
use types::MacAddr;

/// Names a flooder invents.
const NAMES: u64 = 48;

/// A request in an invented name: for an address, or about one that is another's.
pub(crate) fn stranger(seed: &mut Seed, server: Ipv4Addr, address: Ipv4Addr) -> Message {
    let mut message = Message::new(Op::BootRequest);
    let name = u8::try_from(seed.below(NAMES)).unwrap_or(0);
    for (to, from) in message.chaddr.iter_mut().zip(MacAddr([2, 0, 0, 0, 0xf1, name]).0) {
        *to = from;
    }
    message.xid = u32::try_from(seed.below(1 << 31)).unwrap_or(0);
    let kind = match seed.below(10) {
        0..6 => MessageType::Discover,
        6..8 => MessageType::Request,
        8 => MessageType::Release,
        _ => MessageType::Decline,
    };
    about(message, kind, server, address, seed.chance(800))
}

/// A request in a machine's own name, about an address that may be its own.
pub(crate) fn impersonator(
    seed: &mut Seed,
    victim: &Machine,
    server: Ipv4Addr,
    address: Ipv4Addr,
) -> Message {
    let kind = match seed.below(5) {
        0 => MessageType::Discover,
        1 => MessageType::Decline,
        2 => MessageType::Release,
        _ => MessageType::Request,
    };
    let mut message = victim.message(kind);
    if seed.chance(500) {
        message.xid = u32::try_from(seed.below(1 << 31)).unwrap_or(0);
    }
    let own = victim.lease.map_or(address, |lease| lease.address);
    let address = if seed.chance(600) { own } else { address };
    about(message, kind, server, address, seed.chance(800))
}

fn about(
    mut message: Message,
    kind: MessageType,
    server: Ipv4Addr,
    address: Ipv4Addr,
    names_server: bool,
) -> Message {
    message.options.set(code::MESSAGE_TYPE, [kind.code()]);
    match kind {
        MessageType::Release => message.ciaddr = address,
        MessageType::Request if !names_server => message.ciaddr = address,
        _ => message.options.set_ip(code::REQUESTED_ADDRESS, address),
    }
    if names_server && kind != MessageType::Discover {
        message.options.set_ip(code::SERVER_IDENTIFIER, server);
    }
    message
}
