//! pcapng: blocks of type, length, body, and length again; sections with a byte order of their own, and interfaces.

use super::{Fault, Fields, Order, Packet, length, push};

/// Type of a section header, the same in both byte orders.
pub(super) const SECTION: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
/// In a section header: says the byte order.
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
const INTERFACE: u32 = 1;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;
/// Option of an interface: how its times are to be read.
const RESOLUTION: u16 = 9;
/// Type and both lengths.
const BLOCK_BYTES_MIN: usize = 12;
/// Interfaces of one section.
const INTERFACES_MAX: usize = 4_096;

#[derive(Clone, Copy)]
struct Interface {
    link: u16,
    /// Units of its times in a second; `None` when that is no whole number of them.
    units: Option<u64>,
    /// Longest packet it captures; 0: any.
    longest: u32,
}

pub(super) fn read<'a>(bytes: &'a [u8], packets: &mut Vec<Packet<'a>>) -> Result<(), Fault> {
    let mut rest = bytes;
    let mut order = Order::Little;
    let mut interfaces: Vec<Interface> = Vec::new();
    while !rest.is_empty() {
        let number = packets.len() + 1;
        let short = Fault::Truncated { packet: number };
        let wrong = Fault::Length { packet: number };
        let head: [u8; 8] = *rest.first_chunk().ok_or(short)?;
        let [a, b, c, d, e, f, g, h] = head;
        if [a, b, c, d] == SECTION {
            let said: [u8; 4] = rest.get(8..12).and_then(|own| own.try_into().ok()).ok_or(short)?;
            order = match (Order::Big.u32(said), Order::Little.u32(said)) {
                (BYTE_ORDER, _) => Order::Big,
                (_, BYTE_ORDER) => Order::Little,
                _ => return Err(if packets.is_empty() { Fault::NoCapture } else { wrong }),
            };
            interfaces.clear();
        }
        let (kind, len) = (order.u32([a, b, c, d]), order.u32([e, f, g, h]));
        let len = usize::try_from(len).map_err(|_| wrong)?;
        if len < BLOCK_BYTES_MIN || !len.is_multiple_of(4) {
            return Err(wrong);
        }
        let (block, after) = rest.split_at_checked(len).ok_or(short)?;
        rest = after;
        let body = block.get(8..len - 4).ok_or(wrong)?;
        if block.get(len - 4..) != Some(&[e, f, g, h]) {
            return Err(wrong);
        }
        let mut fields = Fields { rest: body, order };
        match kind {
            INTERFACE => {
                if interfaces.len() >= INTERFACES_MAX {
                    return Err(Fault::TooMany);
                }
                interfaces.push(interface(&mut fields).ok_or(wrong)?);
            }
            ENHANCED_PACKET => {
                let mut next = || fields.u32().ok_or(wrong);
                let (on, high, low) = (next()?, next()?, next()?);
                let (captured, wire) = (next()?, next()?);
                let captured = length(captured, number)?;
                let bytes = fields.bytes(captured).ok_or(wrong)?;
                let on = usize::try_from(on).ok().and_then(|on| interfaces.get(on)).ok_or(wrong)?;
                let at = u64::from(high) << 32 | u64::from(low);
                let at_ns = on.units.and_then(|units| nanos(at, units));
                let cut = usize::try_from(wire).is_ok_and(|wire| wire > captured);
                push(packets, Packet { number, at_ns, link: on.link, bytes, cut })?;
            }
            SIMPLE_PACKET => {
                let wire = fields.u32().ok_or(wrong)?;
                let on = interfaces.first().ok_or(wrong)?;
                let kept = if on.longest == 0 { wire } else { wire.min(on.longest) };
                let captured = length(kept, number)?;
                let bytes = fields.bytes(captured).ok_or(wrong)?;
                push(packets, Packet { number, at_ns: None, link: on.link, bytes, cut: kept < wire })?;
            }
            // Names, statistics, and what came after us.
            _ => {}
        }
    }
    Ok(())
}

fn interface(fields: &mut Fields<'_>) -> Option<Interface> {
    let link = fields.u16()?;
    fields.u16()?;
    let longest = fields.u32()?;
    let mut units = Some(1_000_000);
    while let (Some(code), Some(len)) = (fields.u16(), fields.u16()) {
        if code == 0 {
            break;
        }
        let len = usize::from(len);
        let value = fields.bytes(len)?;
        // The last option may stand without its padding.
        let _ = fields.bytes((4 - len % 4) % 4);
        if let (RESOLUTION, [exponent]) = (code, value) {
            units = match exponent & 0x80 {
                0 => 10u64.checked_pow(u32::from(*exponent)),
                _ => 2u64.checked_pow(u32::from(exponent & 0x7f)),
            };
        }
    }
    Some(Interface { link, units, longest })
}

fn nanos(at: u64, units: u64) -> Option<u64> {
    let nanos = u128::from(at).checked_mul(1_000_000_000)?.checked_div(u128::from(units))?;
    u64::try_from(nanos).ok()
}
