//! From a captured frame to its UDP datagram.

use super::{Fields, Order, Packet};
use std::net::{Ipv4Addr, SocketAddrV4};

/// A UDP datagram over IPv4.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Datagram<'a> {
    /// Where it came from.
    pub(crate) from: SocketAddrV4,
    /// Where it went.
    pub(crate) to: SocketAddrV4,
    /// What was captured of its payload.
    pub(crate) payload: &'a [u8],
}

/// Why a packet is not read further.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unread {
    /// Not IPv4 with UDP in it.
    Other,
    /// Of a link we do not know.
    Link(u16),
    /// A part of a datagram.
    Fragment,
    /// It was cut when it was captured, or its lengths are wrong.
    Cut,
}

const LOOPBACK: u16 = 0;
const ETHERNET: u16 = 1;
const RAW: [u16; 4] = [12, 14, 101, 228];
const LOOP: u16 = 108;
const COOKED: u16 = 113;
const COOKED_2: u16 = 276;

const TYPE_IPV4: u16 = 0x0800;
/// 802.1Q, 802.1ad and the older form of it.
const TYPES_VLAN: [u16; 3] = [0x8100, 0x88a8, 0x9100];
/// Tags in front of one packet.
const VLANS_MAX: usize = 4;
const UDP: u8 = 17;

/// The UDP datagram of a packet.
///
/// # Errors
/// Why there is none to be read.
pub(crate) fn datagram<'a>(packet: &Packet<'a>) -> Result<Datagram<'a>, Unread> {
    let mut fields = Fields { rest: packet.bytes, order: Order::Big };
    let kind = link(packet.link, &mut fields)?;
    if kind != TYPE_IPV4 {
        return Err(Unread::Other);
    }
    ipv4(&mut fields)
}

/// Takes the link header off; gives the type of what follows.
fn link(link: u16, fields: &mut Fields<'_>) -> Result<u16, Unread> {
    let mut kind = match link {
        ETHERNET => {
            fields.bytes(12).ok_or(Unread::Cut)?;
            fields.u16().ok_or(Unread::Cut)?
        }
        COOKED => {
            fields.bytes(14).ok_or(Unread::Cut)?;
            fields.u16().ok_or(Unread::Cut)?
        }
        COOKED_2 => {
            let kind = fields.u16().ok_or(Unread::Cut)?;
            fields.bytes(18).ok_or(Unread::Cut)?;
            kind
        }
        LOOPBACK | LOOP => match fields.array::<4>().ok_or(Unread::Cut)? {
            // AF_INET in either byte order.
            [0, 0, 0, 2] | [2, 0, 0, 0] => TYPE_IPV4,
            _ => return Err(Unread::Other),
        },
        other if RAW.contains(&other) => TYPE_IPV4,
        other => return Err(Unread::Link(other)),
    };
    for _ in 0..VLANS_MAX {
        if !TYPES_VLAN.contains(&kind) {
            break;
        }
        fields.bytes(2).ok_or(Unread::Cut)?;
        kind = fields.u16().ok_or(Unread::Cut)?;
    }
    Ok(kind)
}

/// RFC 791 §3.1, RFC 768.
fn ipv4<'a>(fields: &mut Fields<'a>) -> Result<Datagram<'a>, Unread> {
    let header: [u8; 20] = fields.array().ok_or(Unread::Cut)?;
    let [first, _, len_high, len_low, _, _, flags, offset, _, protocol, _, _, a, b, c, d, e, f, g, h] =
        header;
    if first >> 4 != 4 || protocol != UDP {
        return Err(Unread::Other);
    }
    let header_len = usize::from(first & 0x0f) * 4;
    fields.bytes(header_len.checked_sub(header.len()).ok_or(Unread::Cut)?).ok_or(Unread::Cut)?;
    // More follow, or others went before.
    if flags & 0x3f != 0 || offset != 0 {
        return Err(Unread::Fragment);
    }
    let (source, destination) = (fields.u16().ok_or(Unread::Cut)?, fields.u16().ok_or(Unread::Cut)?);
    let len = usize::from(fields.u16().ok_or(Unread::Cut)?);
    fields.u16().ok_or(Unread::Cut)?;
    let payload = len.checked_sub(8).ok_or(Unread::Cut)?;
    let total = usize::from(u16::from_be_bytes([len_high, len_low]));
    // Zero where the card cuts segments itself.
    if total != 0 && header_len + len > total {
        return Err(Unread::Cut);
    }
    Ok(Datagram {
        from: SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), source),
        to: SocketAddrV4::new(Ipv4Addr::new(e, f, g, h), destination),
        // Ethernet pads short frames: the length counts.
        payload: fields.bytes(payload).ok_or(Unread::Cut)?,
    })
}
