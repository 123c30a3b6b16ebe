//! Captures as `tcpdump` and Wireshark write them, read for the UDP datagrams in them. Pure: bytes in, packets out.
//!
//! | part | forms |
//! |---|---|
//! | file | pcap of microseconds and nanoseconds in both byte orders, pcapng sections in both byte orders |
//! | link | Ethernet with VLAN tags, Linux cooked v1 and v2, raw IP, BSD loopback |
//! | above | IPv4, UDP; the first fragment of a datagram is told apart and not read |
//!
//! Sources: the PCAP and PCAPNG drafts of the IETF opsawg, link types by tcpdump.org. A file that contradicts itself is read up
//! to there and says so ([`Capture::ends_early`]): what came before it is good. Nothing in a file makes us reserve memory: every
//! length is checked against the bytes there are.

mod classic;
mod frame;
mod ng;

pub(crate) use frame::{Datagram, Unread, datagram};

use std::fmt;

/// Longest file that is read.
pub(crate) const FILE_BYTES_MAX: usize = 64 << 20;
/// Packets of one file that are looked at.
pub(crate) const PACKETS_MAX: usize = 1_000_000;
/// Longest packet; what captures of jumbo frames and of segmentation offload have, with room.
const PACKET_BYTES_MAX: usize = 256 << 10;

/// One packet of a capture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Packet<'a> {
    /// Its number, from 1, as capture programs show it.
    pub(crate) number: usize,
    /// Nanoseconds since 1970 UTC, where the file says when.
    pub(crate) at_ns: Option<u64>,
    /// Link type (tcpdump.org).
    pub(crate) link: u16,
    /// What was captured of it.
    pub(crate) bytes: &'a [u8],
    /// It was longer on the wire.
    pub(crate) cut: bool,
}

/// What a file holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Capture<'a> {
    /// Its packets, in order.
    pub(crate) packets: Vec<Packet<'a>>,
    /// What keeps the rest of it from being read.
    pub(crate) ends_early: Option<Fault>,
}

/// What is wrong with a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// It begins like no capture.
    NoCapture,
    /// More than [`FILE_BYTES_MAX`].
    TooLong,
    /// It ends inside of its header, or of this packet.
    Truncated {
        /// Number of the packet, 0 for the header.
        packet: usize,
    },
    /// A length that cannot be.
    Length {
        /// Number of the packet, 0 for the header.
        packet: usize,
    },
    /// More than [`PACKETS_MAX`].
    TooMany,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = |packet: &usize| match packet {
            0 => "its header".to_owned(),
            number => format!("packet {number}"),
        };
        match self {
            Fault::NoCapture => f.write_str("it begins like neither pcap nor pcapng"),
            Fault::TooLong => write!(f, "it is larger than {} MiB", FILE_BYTES_MAX >> 20),
            Fault::Truncated { packet } => write!(f, "it ends inside of {}", place(packet)),
            Fault::Length { packet } => write!(f, "the length of {} cannot be", place(packet)),
            Fault::TooMany => write!(f, "it has more than {PACKETS_MAX} packets"),
        }
    }
}

/// Reads a whole file.
///
/// # Errors
/// When it is no capture, or not one packet of it can be told from the next.
pub(crate) fn read(bytes: &[u8]) -> Result<Capture<'_>, Fault> {
    if bytes.len() > FILE_BYTES_MAX {
        return Err(Fault::TooLong);
    }
    let head: [u8; 4] = match bytes.first_chunk() {
        Some(head) => *head,
        None => return Err(Fault::NoCapture),
    };
    let mut packets = Vec::new();
    let outcome = match head {
        ng::SECTION => ng::read(bytes, &mut packets),
        _ => classic::read(head, bytes, &mut packets),
    };
    match outcome {
        Ok(()) => Ok(Capture { packets, ends_early: None }),
        Err(fault) if packets.is_empty() => Err(fault),
        Err(fault) => Ok(Capture { packets, ends_early: Some(fault) }),
    }
}

/// Byte order of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Order {
    Big,
    Little,
}

impl Order {
    fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Order::Big => u16::from_be_bytes(bytes),
            Order::Little => u16::from_le_bytes(bytes),
        }
    }

    fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Order::Big => u32::from_be_bytes(bytes),
            Order::Little => u32::from_le_bytes(bytes),
        }
    }
}

/// Takes fields off the front.
struct Fields<'a> {
    rest: &'a [u8],
    order: Order,
}

impl<'a> Fields<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*head)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(|bytes| self.order.u16(bytes))
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(|bytes| self.order.u32(bytes))
    }

    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(head)
    }
}

fn push<'a>(packets: &mut Vec<Packet<'a>>, packet: Packet<'a>) -> Result<(), Fault> {
    if packets.len() >= PACKETS_MAX {
        return Err(Fault::TooMany);
    }
    packets.push(packet);
    Ok(())
}

fn length(captured: u32, packet: usize) -> Result<usize, Fault> {
    usize::try_from(captured).ok().filter(|len| *len <= PACKET_BYTES_MAX).ok_or(Fault::Length { packet })
}

#[cfg(test)]
mod tests;
