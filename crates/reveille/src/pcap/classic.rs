//! pcap: a header of 24 bytes, then for each packet 16 bytes and what was captured.
//!
//! | offset | bytes | header | offset | bytes | packet |
//! |---|---|---|---|---|---|
//! | 0 | 4 | magic a1b2c3d4 (µs), a1b23c4d (ns) | 0 | 4 | seconds since 1970 |
//! | 4 | 4 | version 2.4 | 4 | 4 | µs or ns |
//! | 8 | 12 | zone, accuracy, longest packet | 8 | 4 | bytes captured |
//! | 20 | 4 | link type, low 16 bits | 12 | 4 | bytes on the wire |

use super::{Fault, Fields, Order, Packet, length, push};

/// Header bytes after the magic number and before the link type.
const BEFORE_LINK: usize = 16;

pub(super) fn read<'a>(head: [u8; 4], bytes: &'a [u8], packets: &mut Vec<Packet<'a>>) -> Result<(), Fault> {
    let (order, nanos) = match head {
        [0xa1, 0xb2, 0xc3, 0xd4] => (Order::Big, false),
        [0xd4, 0xc3, 0xb2, 0xa1] => (Order::Little, false),
        [0xa1, 0xb2, 0x3c, 0x4d] => (Order::Big, true),
        [0x4d, 0x3c, 0xb2, 0xa1] => (Order::Little, true),
        _ => return Err(Fault::NoCapture),
    };
    let mut fields = Fields { rest: bytes.get(head.len()..).unwrap_or_default(), order };
    let in_header = Fault::Truncated { packet: 0 };
    fields.bytes(BEFORE_LINK).ok_or(in_header)?;
    let [link, _] = split(fields.u32().ok_or(in_header)?);
    while !fields.rest.is_empty() {
        let number = packets.len() + 1;
        let short = Fault::Truncated { packet: number };
        let mut next = || fields.u32().ok_or(short);
        let (seconds, fraction, captured, wire) = (next()?, next()?, next()?, next()?);
        let captured = length(captured, number)?;
        let bytes = fields.bytes(captured).ok_or(short)?;
        let fraction = u64::from(fraction) * if nanos { 1 } else { 1_000 };
        let at_ns = u64::from(seconds).checked_mul(1_000_000_000).and_then(|at| at.checked_add(fraction));
        let cut = usize::try_from(wire).is_ok_and(|wire| wire > captured);
        push(packets, Packet { number, at_ns, link, bytes, cut })?;
    }
    Ok(())
}

/// Low and high half.
fn split(number: u32) -> [u16; 2] {
    let [a, b, c, d] = number.to_be_bytes();
    [u16::from_be_bytes([c, d]), u16::from_be_bytes([a, b])]
}
