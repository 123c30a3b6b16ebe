//! The fixed header and the way from bytes to a [`Message`].
//!
//! | offset | bytes | field | offset | bytes | field |
//! |---|---|---|---|---|---|
//! | 0 | 1 | op | 16 | 4 | yiaddr |
//! | 1 | 1 | htype | 20 | 4 | siaddr |
//! | 2 | 1 | hlen, 0..=16 | 24 | 4 | giaddr |
//! | 3 | 1 | hops | 28 | 16 | chaddr |
//! | 4 | 4 | xid | 44 | 64 | sname |
//! | 8 | 2 | secs | 108 | 128 | file |
//! | 10 | 2 | flags, bit 15 broadcast | 236 | 4 | magic cookie 99.130.83.99 |
//! | 12 | 4 | ciaddr | 240 | – | options |
//!
//! RFC 2131 §2, all big-endian.

use super::options::{MessageType, OptionReader, Options, code};
use crate::limits::{FILE_BYTES, HARDWARE_BYTES_MAX, MESSAGE_BYTES_MAX, MESSAGE_BYTES_MIN, SNAME_BYTES};
use std::net::Ipv4Addr;
use thiserror::Error;
use types::MacAddr;

/// The magic cookie that makes BOOTP vendor data options (RFC 2131 §3).
pub(super) const COOKIE: [u8; 4] = [99, 130, 83, 99];

/// Bit 15 of `flags`: the client cannot receive unicast yet (RFC 2131 §2, figure 2).
pub const BROADCAST_FLAG: u16 = 0x8000;

/// Direction of a message.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Op {
    /// Client to server, 1.
    BootRequest,
    /// Server to client, 2.
    BootReply,
}

/// One DHCP message, header fields in host order, options joined (RFC 3396) and taken out of overloaded fields.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Direction.
    pub op: Op,
    /// Hardware type (IANA), 1 is Ethernet.
    pub htype: u8,
    /// Used bytes of `chaddr`, 0..=16.
    pub hlen: u8,
    /// Relays passed.
    pub hops: u8,
    /// Transaction id.
    pub xid: u32,
    /// Seconds since the client began.
    pub secs: u16,
    /// Bit 15 asks for broadcast, the rest is zero in good packets.
    pub flags: u16,
    /// The address the client has.
    pub ciaddr: Ipv4Addr,
    /// The address the client gets.
    pub yiaddr: Ipv4Addr,
    /// Next server: where the boot file is.
    pub siaddr: Ipv4Addr,
    /// The relay that forwarded it, or unspecified.
    pub giaddr: Ipv4Addr,
    /// Hardware address, the first `hlen` bytes count.
    pub chaddr: [u8; HARDWARE_BYTES_MAX],
    /// Server name, NUL-ended text; zeros after a decode when it carried options.
    pub sname: [u8; SNAME_BYTES],
    /// Boot file, NUL-ended text; zeros after a decode when it carried options.
    pub file: [u8; FILE_BYTES],
    /// All options.
    pub options: Options,
}

/// Why bytes are refused. Each has its own counter, named by [`reason`](Self::reason).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
pub enum DecodeError {
    /// Less than header and cookie.
    #[error("{len} bytes are too short for DHCP")]
    TooShort {
        /// Bytes received.
        len: usize,
    },
    /// More than one jumbo frame.
    #[error("{len} bytes are too long for DHCP")]
    TooLong {
        /// Bytes received.
        len: usize,
    },
    /// `op` is neither 1 nor 2.
    #[error("op {op} is neither request nor reply")]
    BadOp {
        /// The byte.
        op: u8,
    },
    /// `hlen` points past `chaddr`.
    #[error("hardware address of {hlen} bytes does not fit chaddr")]
    HardwareLength {
        /// The byte.
        hlen: u8,
    },
    /// No magic cookie: plain BOOTP or something else altogether.
    #[error("no DHCP magic cookie")]
    BadCookie,
    /// An option runs past the end of its area.
    #[error("option {code} runs past the end")]
    OptionOverrun {
        /// Its code.
        code: u8,
    },
    /// Option 53 is there but not one byte long.
    #[error("message type of {len} bytes")]
    MessageTypeLength {
        /// Its length.
        len: usize,
    },
}

impl DecodeError {
    /// Every reason, for counters that start at zero.
    pub const REASONS: [&'static str; 7] = [
        "too_short",
        "too_long",
        "bad_op",
        "hardware_length",
        "bad_cookie",
        "option_overrun",
        "message_type_length",
    ];

    /// Stable name, `snake_case`.
    pub fn reason(&self) -> &'static str {
        match self {
            DecodeError::TooShort { .. } => "too_short",
            DecodeError::TooLong { .. } => "too_long",
            DecodeError::BadOp { .. } => "bad_op",
            DecodeError::HardwareLength { .. } => "hardware_length",
            DecodeError::BadCookie => "bad_cookie",
            DecodeError::OptionOverrun { .. } => "option_overrun",
            DecodeError::MessageTypeLength { .. } => "message_type_length",
        }
    }
}

/// Reads big-endian fields off the front. The caller has checked the total length.
struct Header<'a>(&'a [u8]);

impl Header<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn address(&mut self) -> Option<Ipv4Addr> {
        self.take::<4>().map(Ipv4Addr::from)
    }
}

impl Message {
    /// A message with a zero header but for the direction, and no options.
    pub fn new(op: Op) -> Message {
        Message {
            op,
            htype: 1,
            hlen: 6,
            hops: 0,
            xid: 0,
            secs: 0,
            flags: 0,
            ciaddr: Ipv4Addr::UNSPECIFIED,
            yiaddr: Ipv4Addr::UNSPECIFIED,
            siaddr: Ipv4Addr::UNSPECIFIED,
            giaddr: Ipv4Addr::UNSPECIFIED,
            chaddr: [0; HARDWARE_BYTES_MAX],
            sname: [0; SNAME_BYTES],
            file: [0; FILE_BYTES],
            options: Options::default(),
        }
    }

    /// An empty reply to `self`: op 2, and xid, flags, giaddr, chaddr, htype and hlen taken over (RFC 2131 §4.3.1,
    /// table 3); everything else is zero.
    pub fn reply(&self) -> Message {
        Message {
            htype: self.htype,
            hlen: self.hlen,
            xid: self.xid,
            flags: self.flags,
            giaddr: self.giaddr,
            chaddr: self.chaddr,
            ..Message::new(Op::BootReply)
        }
    }

    /// Reads one UDP payload.
    ///
    /// Options are joined over the option field, then `file`, then `sname` (RFC 3396 §5, RFC 2132 §9.3); a field that
    /// carried options is zero afterwards, and option 52 itself is gone. Bytes after an End are ignored. A malformed
    /// value is no error here: it is listed in [`Options::faults`] and its typed reader answers `None`.
    ///
    /// # Errors
    /// See [`DecodeError`]; a refused packet is never answered.
    pub fn decode(bytes: &[u8]) -> Result<Message, DecodeError> {
        let len = bytes.len();
        if len > MESSAGE_BYTES_MAX {
            return Err(DecodeError::TooLong { len });
        }
        let (mut message, area) = Self::decode_header(bytes).ok_or(DecodeError::TooShort { len })??;
        let mut reader = OptionReader::new();
        let overload = reader.read_field(area)?;
        if overload.file {
            reader.read_overloaded(&message.file)?;
            message.file = [0; FILE_BYTES];
        }
        if overload.sname {
            reader.read_overloaded(&message.sname)?;
            message.sname = [0; SNAME_BYTES];
        }
        message.options = reader.finish();
        match message.options.get(code::MESSAGE_TYPE) {
            Some(value) if value.len() != 1 => Err(DecodeError::MessageTypeLength { len: value.len() }),
            _ => Ok(message),
        }
    }

    /// `None` when the bytes end too early.
    fn decode_header(bytes: &[u8]) -> Option<Result<(Message, &[u8]), DecodeError>> {
        if bytes.len() < MESSAGE_BYTES_MIN {
            return None;
        }
        let mut header = Header(bytes);
        let [op, htype, hlen, hops] = header.take()?;
        let op = match op {
            1 => Op::BootRequest,
            2 => Op::BootReply,
            op => return Some(Err(DecodeError::BadOp { op })),
        };
        let message = Message {
            op,
            htype,
            hlen,
            hops,
            xid: u32::from_be_bytes(header.take()?),
            secs: u16::from_be_bytes(header.take()?),
            flags: u16::from_be_bytes(header.take()?),
            ciaddr: header.address()?,
            yiaddr: header.address()?,
            siaddr: header.address()?,
            giaddr: header.address()?,
            chaddr: header.take()?,
            sname: header.take()?,
            file: header.take()?,
            options: Options::default(),
        };
        if header.take::<4>()? != COOKIE {
            return Some(Err(DecodeError::BadCookie));
        }
        if usize::from(hlen) > HARDWARE_BYTES_MAX {
            return Some(Err(DecodeError::HardwareLength { hlen }));
        }
        Some(Ok((message, header.0)))
    }

    /// True when the client asks for a broadcast reply.
    pub fn broadcast_flag(&self) -> bool {
        self.flags & BROADCAST_FLAG != 0
    }

    /// The Ethernet address: `htype` 1 and `hlen` 6, else `None`.
    pub fn mac(&self) -> Option<MacAddr> {
        match (self.htype, self.hlen, self.chaddr) {
            (1, 6, [a, b, c, d, e, f, ..]) => Some(MacAddr([a, b, c, d, e, f])),
            _ => None,
        }
    }

    /// The first `hlen` bytes of `chaddr`.
    pub fn hardware(&self) -> &[u8] {
        self.chaddr.get(..usize::from(self.hlen)).unwrap_or(&self.chaddr)
    }

    /// Option 53. `None` for BOOTP and for types we have no name for.
    pub fn message_type(&self) -> Option<MessageType> {
        self.options.u8(code::MESSAGE_TYPE).and_then(MessageType::from_code)
    }

    /// `file` up to its first NUL.
    pub fn file_name(&self) -> &[u8] {
        until_nul(&self.file)
    }

    /// `sname` up to its first NUL.
    pub fn server_name(&self) -> &[u8] {
        until_nul(&self.sname)
    }

    /// Puts a name into `file`, NUL-ended. False, and nothing changed, when it has more than 127 bytes or a NUL.
    pub fn set_file(&mut self, name: &[u8]) -> bool {
        fill(&mut self.file, name)
    }

    /// Puts a name into `sname`, NUL-ended. False, and nothing changed, when it has more than 63 bytes or a NUL.
    pub fn set_server_name(&mut self, name: &[u8]) -> bool {
        fill(&mut self.sname, name)
    }
}

fn until_nul(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

fn fill(field: &mut [u8], text: &[u8]) -> bool {
    if text.len() >= field.len() || text.contains(&0) {
        return false;
    }
    field.fill(0);
    for (to, from) in field.iter_mut().zip(text) {
        *to = *from;
    }
    true
}

#[cfg(test)]
mod tests;
