//! From a [`Message`] to bytes: order, splitting, overload, size limit, padding.
//!
//! Writing rules, tests in `encode/tests.rs`:
//! 1 53, 54, 51, 58, 59, 1 come first, then the codes in the wanted order, then the rest as set (RFC 2132 §3.3: 1 before 3)
//! · 2 option 82 is last before End and stays in the option field (RFC 3046 §2.2) · 3 values over 255 bytes are split, never 53
//! or 82 (RFC 3396 §5) · 4 what does not fit goes to `file`, then `sname`, where the caller allows it and the field is empty
//! (RFC 2132 §9.3) · 5 what still does not fit is left out, the least needed first, and reported · 6 every area ends with End
//! · 7 zeros follow up to 300 bytes.

use super::message::{COOKIE, Message, Op};
use super::options::code;
use crate::limits::{
    DATAGRAM_BYTES_MAX, DATAGRAM_BYTES_MIN, FILE_BYTES, HARDWARE_BYTES_MAX, IP_UDP_HEADER_BYTES,
    MESSAGE_BYTES_MIN, OPTION_BYTES_MAX, REPLY_BYTES_MIN, SNAME_BYTES,
};
use thiserror::Error;

/// First in every message, in this order.
const HEAD: [u8; 6] = [
    code::MESSAGE_TYPE,
    code::SERVER_IDENTIFIER,
    code::LEASE_TIME,
    code::RENEWAL_TIME,
    code::REBINDING_TIME,
    code::SUBNET_MASK,
];

/// Kept longest when room is short: what makes the reply valid, then what makes the machine boot, then its network.
const NEEDED: [u8; 16] = [
    code::MESSAGE_TYPE,
    code::SERVER_IDENTIFIER,
    code::LEASE_TIME,
    code::CLIENT_IDENTIFIER,
    code::VENDOR_CLASS,
    code::CLIENT_GUID,
    code::VENDOR_SPECIFIC,
    code::BOOT_FILE,
    code::SUBNET_MASK,
    code::ROUTER,
    code::IPXE,
    code::TFTP_SERVER_NAME,
    code::RENEWAL_TIME,
    code::REBINDING_TIME,
    code::MESSAGE,
    code::DNS,
];

/// Option 52 itself: code, length, value.
const OVERLOAD_BYTES: usize = 3;

/// What the receiver can take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Encoding {
    /// UDP payload, bytes; see [`for_client`](Self::for_client).
    pub size_max: usize,
    /// Options may go to `file`, if it is all zeros. Never for a BIOS ROM: it reads its boot file there.
    pub overload_file: bool,
    /// Options may go to `sname`, if it is all zeros.
    pub overload_sname: bool,
}

impl Encoding {
    /// The size a client takes, from its option 57 and the MTU of the link, both counting IP and UDP headers
    /// (RFC 2132 §9.10): absent or below 576 is read as 576, and no reply is larger than 1500 or the MTU. No overload.
    pub fn for_client(message_size_max: Option<u16>, link_mtu: u16) -> Encoding {
        let link = usize::from(link_mtu).clamp(DATAGRAM_BYTES_MIN, DATAGRAM_BYTES_MAX);
        let datagram =
            message_size_max.map_or(DATAGRAM_BYTES_MIN, usize::from).clamp(DATAGRAM_BYTES_MIN, link);
        Encoding { size_max: datagram - IP_UDP_HEADER_BYTES, overload_file: false, overload_sname: false }
    }
}

impl Default for Encoding {
    /// What every client takes.
    fn default() -> Encoding {
        Encoding::for_client(None, 1500)
    }
}

/// Bytes ready to send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Encoded {
    /// UDP payload, 300 bytes or more.
    pub bytes: Vec<u8>,
    /// Codes there was no room for.
    pub dropped: Vec<u8>,
}

/// The message cannot be written. Always our own fault or a hostile option 82.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum EncodeError {
    /// Options 53 and 82 are never split.
    #[error("option {code} of {len} bytes cannot be split")]
    Unsplittable {
        /// The option.
        code: u8,
        /// Its length.
        len: usize,
    },
    /// Not even the options a reply cannot be without fit.
    #[error("no room for option {code}")]
    NoRoom {
        /// The option.
        code: u8,
    },
    /// `hlen` over 16.
    #[error("hardware address of {hlen} bytes does not fit chaddr")]
    HardwareLength {
        /// The field.
        hlen: u8,
    },
}

/// Where an option goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Field,
    File,
    Sname,
}

/// One area and the bytes left in it; End is already taken off.
struct Room {
    place: Place,
    left: usize,
}

struct Item<'a> {
    code: u8,
    value: &'a [u8],
    place: Option<Place>,
}

impl Message {
    /// Writes the message. `order`: codes in the order the client would like them, usually its option 55.
    ///
    /// # Errors
    /// See [`EncodeError`].
    pub fn encode(&self, order: &[u8], limits: &Encoding) -> Result<Encoded, EncodeError> {
        if usize::from(self.hlen) > HARDWARE_BYTES_MAX {
            return Err(EncodeError::HardwareLength { hlen: self.hlen });
        }
        let relay_info = self.options.get(code::RELAY_INFO);
        let mut items = self.ordered(order);
        for (code, value) in items
            .iter()
            .map(|item| (item.code, item.value))
            .chain(relay_info.map(|raw| (code::RELAY_INFO, raw)))
        {
            if value.len() > OPTION_BYTES_MAX && matches!(code, code::MESSAGE_TYPE | code::RELAY_INFO) {
                return Err(EncodeError::Unsplittable { code, len: value.len() });
            }
        }
        let reserved = MESSAGE_BYTES_MIN + 1 + relay_info.map_or(0, encoded_len);
        let field =
            limits.size_max.checked_sub(reserved).ok_or(EncodeError::NoRoom { code: code::RELAY_INFO })?;
        let total: usize = items.iter().map(|item| encoded_len(item.value)).sum();
        if total <= field {
            items.iter_mut().for_each(|item| item.place = Some(Place::Field));
        } else {
            place(&mut items, &mut self.rooms(field, limits));
        }
        for item in items.iter().filter(|item| item.place.is_none()) {
            if matches!(item.code, code::MESSAGE_TYPE | code::SERVER_IDENTIFIER) {
                return Err(EncodeError::NoRoom { code: item.code });
            }
        }
        let dropped = items.iter().filter(|item| item.place.is_none()).map(|item| item.code).collect();
        Ok(Encoded { bytes: self.write(&items, relay_info), dropped })
    }

    /// All options but 82: head, wanted order, rest.
    fn ordered(&self, order: &[u8]) -> Vec<Item<'_>> {
        let mut taken = [false; 256];
        let mut items = Vec::with_capacity(self.options.len());
        let rest = self.options.iter().map(|(code, _)| code);
        for code in HEAD.into_iter().chain(order.iter().copied()).chain(rest) {
            let Some(taken) = taken.get_mut(usize::from(code)) else { continue };
            if code == code::RELAY_INFO || std::mem::replace(taken, true) {
                continue;
            }
            if let Some(value) = self.options.get(code) {
                items.push(Item { code, value, place: None });
            }
        }
        items
    }

    /// Areas in the order they are filled. A field with something in it is not for options.
    fn rooms(&self, field: usize, limits: &Encoding) -> Vec<Room> {
        let file = limits.overload_file && self.file == [0; FILE_BYTES];
        let sname = limits.overload_sname && self.sname == [0; SNAME_BYTES];
        let field = if file || sname { field.saturating_sub(OVERLOAD_BYTES) } else { field };
        let mut rooms = vec![Room { place: Place::Field, left: field }];
        if file {
            rooms.push(Room { place: Place::File, left: FILE_BYTES - 1 });
        }
        if sname {
            rooms.push(Room { place: Place::Sname, left: SNAME_BYTES - 1 });
        }
        rooms
    }

    fn write(&self, items: &[Item<'_>], relay_info: Option<&[u8]>) -> Vec<u8> {
        let area = |place: Place| -> Vec<u8> {
            let mut area = Vec::new();
            items
                .iter()
                .filter(|item| item.place == Some(place))
                .for_each(|item| put(&mut area, item.code, item.value));
            area
        };
        let (file, sname) = (area(Place::File), area(Place::Sname));
        let overload = u8::from(!file.is_empty()) | u8::from(!sname.is_empty()) << 1;

        let mut bytes = Vec::with_capacity(DATAGRAM_BYTES_MIN);
        let op = match self.op {
            Op::BootRequest => 1,
            Op::BootReply => 2,
        };
        bytes.extend_from_slice(&[op, self.htype, self.hlen, self.hops]);
        bytes.extend_from_slice(&self.xid.to_be_bytes());
        bytes.extend_from_slice(&self.secs.to_be_bytes());
        bytes.extend_from_slice(&self.flags.to_be_bytes());
        for address in [self.ciaddr, self.yiaddr, self.siaddr, self.giaddr] {
            bytes.extend_from_slice(&address.octets());
        }
        bytes.extend_from_slice(&self.chaddr);
        put_field(&mut bytes, &self.sname, &sname);
        put_field(&mut bytes, &self.file, &file);
        bytes.extend_from_slice(&COOKIE);
        bytes.extend_from_slice(&area(Place::Field));
        if overload != 0 {
            put(&mut bytes, code::OVERLOAD, &[overload]);
        }
        if let Some(raw) = relay_info {
            put(&mut bytes, code::RELAY_INFO, raw);
        }
        bytes.push(code::END);
        bytes.resize(bytes.len().max(REPLY_BYTES_MIN), 0);
        bytes
    }
}

/// Gives every item the first area with room, the most needed items first.
fn place(items: &mut [Item<'_>], rooms: &mut [Room]) {
    let mut by_need: Vec<&mut Item<'_>> = items.iter_mut().collect();
    by_need.sort_by_key(|item| NEEDED.iter().position(|needed| *needed == item.code).unwrap_or(NEEDED.len()));
    for item in by_need {
        let len = encoded_len(item.value);
        // The message type is looked for in the option field only, by old relays and by filters.
        let mut rooms =
            rooms.iter_mut().filter(|room| item.code != code::MESSAGE_TYPE || room.place == Place::Field);
        if let Some(room) = rooms.find(|room| room.left >= len) {
            room.left -= len;
            item.place = Some(room.place);
        }
    }
}

/// Code and length bytes included, split values too.
fn encoded_len(value: &[u8]) -> usize {
    value.len() + 2 * value.len().div_ceil(OPTION_BYTES_MAX).max(1)
}

fn put(area: &mut Vec<u8>, code: u8, value: &[u8]) {
    let mut rest = value;
    loop {
        let (piece, more) = rest.split_at(rest.len().min(OPTION_BYTES_MAX));
        // A piece has at most 255 bytes.
        area.push(code);
        area.push(u8::try_from(piece.len()).unwrap_or(u8::MAX));
        area.extend_from_slice(piece);
        rest = more;
        if rest.is_empty() {
            return;
        }
    }
}

/// A header field: its own text, or options and their End in its place.
fn put_field(bytes: &mut Vec<u8>, own: &[u8], options: &[u8]) {
    if options.is_empty() {
        bytes.extend_from_slice(own);
        return;
    }
    let end = bytes.len() + own.len();
    bytes.extend_from_slice(options);
    bytes.push(code::END);
    bytes.resize(end, code::PAD);
}

#[cfg(test)]
mod tests;
