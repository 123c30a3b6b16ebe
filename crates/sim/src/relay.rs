//! A relay agent in front of the second network (RFC 1542 §4, RFC 3046): broadcasts go to every appliance with its address
//! and the client's port in option 82; replies come back to it and lose the option. Renewals by unicast pass beside it.

use dhcp_proto::wire::{Encoding, Message, Op, code};
use std::net::Ipv4Addr;

/// Its address on the second network.
pub(crate) const GIADDR: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 1);

const HOPS_MAX: u8 = 16;

/// Option 82 for the port a machine is plugged into.
pub(crate) fn info(port: usize) -> Vec<u8> {
    let circuit = format!("ge-0/0/{port}");
    let mut info = vec![1, u8::try_from(circuit.len()).unwrap_or(0)];
    info.extend(circuit.into_bytes());
    info
}

/// A client's broadcast on its way to the appliances.
pub(crate) fn forward(port: usize, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut message = Message::decode(bytes).ok()?;
    if message.op != Op::BootRequest || message.hops >= HOPS_MAX || message.options.has(code::RELAY_INFO) {
        return None;
    }
    message.hops += 1;
    message.giaddr = GIADDR;
    message.options.set(code::RELAY_INFO, info(port));
    Some(message.encode(&[], &Encoding::default()).ok()?.bytes)
}

/// An appliance's reply on its way to the client, and option 82 as it came back.
pub(crate) fn back(bytes: &[u8]) -> Option<(Message, Option<Vec<u8>>)> {
    let mut message = Message::decode(bytes).ok()?;
    if message.op != Op::BootReply || message.giaddr != GIADDR {
        return None;
    }
    let info = message.options.remove(code::RELAY_INFO);
    Some((message, info))
}
