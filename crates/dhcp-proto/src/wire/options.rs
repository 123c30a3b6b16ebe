//! The options of a message: joined values by code, in the order they were first seen.
//!
//! Reading rules, RFC 2131 §4.1, RFC 2132 §9.3 and RFC 3396 §5, tests in `options/tests.rs`:
//! 1 pad (0) is skipped · 2 End (255) stops its area, what follows is ignored · 3 a length past the end of the area refuses
//! the packet · 4 repeated codes are joined in the order option field, `file`, `sname` · 5 option 52 counts only in the
//! option field · 6 a value of wrong length is kept, listed as a fault, and not given out typed.

use super::message::DecodeError;
use dhcproto::v4::borrowed::DhcpOptionIterator;
use std::net::Ipv4Addr;
use std::sync::Arc;

/// Option codes by their names in the IANA registry.
#[expect(missing_docs, reason = "the names are the registry's")]
pub mod code {
    pub const PAD: u8 = 0;
    pub const SUBNET_MASK: u8 = 1;
    pub const ROUTER: u8 = 3;
    pub const DNS: u8 = 6;
    pub const HOST_NAME: u8 = 12;
    pub const DOMAIN_NAME: u8 = 15;
    pub const INTERFACE_MTU: u8 = 26;
    pub const BROADCAST_ADDRESS: u8 = 28;
    pub const NTP_SERVERS: u8 = 42;
    pub const VENDOR_SPECIFIC: u8 = 43;
    pub const REQUESTED_ADDRESS: u8 = 50;
    pub const LEASE_TIME: u8 = 51;
    pub const OVERLOAD: u8 = 52;
    pub const MESSAGE_TYPE: u8 = 53;
    pub const SERVER_IDENTIFIER: u8 = 54;
    pub const PARAMETER_LIST: u8 = 55;
    pub const MESSAGE: u8 = 56;
    pub const MESSAGE_SIZE_MAX: u8 = 57;
    pub const RENEWAL_TIME: u8 = 58;
    pub const REBINDING_TIME: u8 = 59;
    pub const VENDOR_CLASS: u8 = 60;
    pub const CLIENT_IDENTIFIER: u8 = 61;
    pub const TFTP_SERVER_NAME: u8 = 66;
    pub const BOOT_FILE: u8 = 67;
    pub const USER_CLASS: u8 = 77;
    pub const RAPID_COMMIT: u8 = 80;
    pub const CLIENT_FQDN: u8 = 81;
    pub const RELAY_INFO: u8 = 82;
    pub const CLIENT_ARCH: u8 = 93;
    pub const CLIENT_UNDI: u8 = 94;
    pub const CLIENT_GUID: u8 = 97;
    pub const AUTO_CONFIGURE: u8 = 116;
    pub const SUBNET_SELECTION: u8 = 118;
    pub const DOMAIN_SEARCH: u8 = 119;
    pub const CLASSLESS_ROUTES: u8 = 121;
    pub const TFTP_SERVER_ADDRESS: u8 = 150;
    pub const IPXE: u8 = 175;
    pub const END: u8 = 255;
}

/// DHCP message types 1..=8 (RFC 2132 §9.6).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum MessageType {
    /// A client looks for servers.
    Discover = 1,
    /// A server offers.
    Offer = 2,
    /// A client takes, verifies or extends.
    Request = 3,
    /// A client found its address in use.
    Decline = 4,
    /// A server agrees.
    Ack = 5,
    /// A server refuses.
    Nak = 6,
    /// A client gives its address back.
    Release = 7,
    /// A client with an address asks for the rest.
    Inform = 8,
}

impl MessageType {
    /// By wire value; `None` for 0, FORCERENEW (9) and lease queries.
    pub fn from_code(code: u8) -> Option<MessageType> {
        Some(match code {
            1 => MessageType::Discover,
            2 => MessageType::Offer,
            3 => MessageType::Request,
            4 => MessageType::Decline,
            5 => MessageType::Ack,
            6 => MessageType::Nak,
            7 => MessageType::Release,
            8 => MessageType::Inform,
            _ => return None,
        })
    }

    /// The value of option 53.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// Lower-case name.
    pub fn as_str(self) -> &'static str {
        match self {
            MessageType::Discover => "discover",
            MessageType::Offer => "offer",
            MessageType::Request => "request",
            MessageType::Decline => "decline",
            MessageType::Ack => "ack",
            MessageType::Nak => "nak",
            MessageType::Release => "release",
            MessageType::Inform => "inform",
        }
    }
}

/// A value whose length its option does not allow. It is kept as bytes and never given out typed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct OptionFault {
    /// The option.
    pub code: u8,
    /// Bytes it had.
    pub len: usize,
}

/// Options of one message. A code stands at most once; its value is the whole, joined one and may be empty.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Options {
    entries: Vec<(u8, Vec<u8>)>,
    faults: Vec<OptionFault>,
}

impl Options {
    /// The whole value, exactly as it came.
    pub fn get(&self, code: u8) -> Option<&[u8]> {
        self.entries.iter().find(|(own, _)| *own == code).map(|(_, value)| value.as_slice())
    }

    /// True when the option is there, even empty.
    pub fn has(&self, code: u8) -> bool {
        self.get(code).is_some()
    }

    /// Codes and values in the order first seen or set.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &[u8])> {
        self.entries.iter().map(|(code, value)| (*code, value.as_slice()))
    }

    /// Number of options.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Sets a value; an earlier one is replaced at its place. Pad, overload and End (0, 52, 255) are the encoder's own
    /// and are not taken.
    pub fn set(&mut self, code: u8, value: impl Into<Vec<u8>>) {
        if is_framing(code) {
            return;
        }
        let value = value.into();
        match self.entries.iter_mut().find(|(own, _)| *own == code) {
            Some((_, old)) => *old = value,
            None => self.entries.push((code, value)),
        }
    }

    /// Sets a value of four bytes.
    pub fn set_ip(&mut self, code: u8, address: Ipv4Addr) {
        self.set(code, address.octets());
    }

    /// Sets a list of addresses; nothing when it is empty.
    pub fn set_ips(&mut self, code: u8, addresses: &[Ipv4Addr]) {
        if !addresses.is_empty() {
            self.set(code, addresses.iter().flat_map(|address| address.octets()).collect::<Vec<u8>>());
        }
    }

    /// Sets a big-endian number of four bytes.
    pub fn set_u32(&mut self, code: u8, number: u32) {
        self.set(code, number.to_be_bytes());
    }

    /// Takes an option away and returns its value.
    pub fn remove(&mut self, code: u8) -> Option<Vec<u8>> {
        let at = self.entries.iter().position(|(own, _)| *own == code)?;
        Some(self.entries.remove(at).1)
    }

    /// Values that came with a length their option does not allow, one counter each.
    pub fn faults(&self) -> &[OptionFault] {
        &self.faults
    }

    /// One address; `None` unless exactly four bytes.
    pub fn ip(&self, code: u8) -> Option<Ipv4Addr> {
        self.array::<4>(code).map(Ipv4Addr::from)
    }

    /// One byte; `None` unless exactly one.
    pub fn u8(&self, code: u8) -> Option<u8> {
        self.array::<1>(code).map(|[byte]| byte)
    }

    /// Big-endian; `None` unless exactly two bytes.
    pub fn u16(&self, code: u8) -> Option<u16> {
        self.array(code).map(u16::from_be_bytes)
    }

    /// Big-endian; `None` unless exactly four bytes.
    pub fn u32(&self, code: u8) -> Option<u32> {
        self.array(code).map(u32::from_be_bytes)
    }

    fn array<const N: usize>(&self, code: u8) -> Option<[u8; N]> {
        self.get(code)?.try_into().ok()
    }

    /// Option 55: the codes the client asks for, in its order; empty when it does not say.
    pub fn param_list(&self) -> &[u8] {
        self.get(code::PARAMETER_LIST).unwrap_or_default()
    }

    /// Option 61, 2..=255 bytes; shorter is as good as absent (RFC 2132 §9.14), longer cannot be a key.
    pub fn client_identifier(&self) -> Option<&[u8]> {
        self.get(code::CLIENT_IDENTIFIER).filter(|value| (2..=255).contains(&value.len()))
    }

    /// The value as text to show: trailing NULs cut, control characters left out, bytes that are no UTF-8 replaced.
    /// `None` when absent or nothing is left. Never for comparison or keys: those use [`get`](Self::get).
    pub fn text(&self, code: u8) -> Option<Arc<str>> {
        clean_text(self.get(code)?)
    }
}

/// Text for people out of bytes from outside, see [`Options::text`].
pub fn clean_text(bytes: &[u8]) -> Option<Arc<str>> {
    let kept = bytes.iter().rposition(|&byte| byte != 0).and_then(|last| bytes.get(..=last))?;
    let text: String =
        String::from_utf8_lossy(kept).chars().filter(|character| !character.is_control()).collect();
    (!text.is_empty()).then(|| text.into())
}

/// Codes that frame options and carry none.
fn is_framing(code: u8) -> bool {
    matches!(code, code::PAD | code::OVERLOAD | code::END)
}

/// True when the RFC allows the option to be that long. Only options we read typed are listed.
fn length_allowed(code: u8, len: usize) -> bool {
    match code {
        code::MESSAGE_TYPE | code::OVERLOAD | code::AUTO_CONFIGURE => len == 1,
        code::MESSAGE_SIZE_MAX => len == 2,
        code::CLIENT_UNDI => len == 3,
        code::REQUESTED_ADDRESS | code::LEASE_TIME | code::SERVER_IDENTIFIER | code::SUBNET_SELECTION => {
            len == 4
        }
        code::RAPID_COMMIT => len == 0,
        code::PARAMETER_LIST => len >= 1,
        code::CLIENT_IDENTIFIER => (2..=255).contains(&len),
        code::CLIENT_ARCH => len >= 2 && len.is_multiple_of(2),
        code::CLIENT_GUID => len == 17,
        _ => true,
    }
}

/// Which header fields carry options (option 52).
#[derive(Clone, Copy, Default)]
pub(super) struct Overload {
    pub(super) file: bool,
    pub(super) sname: bool,
}

/// Joins areas into [`Options`].
pub(super) struct OptionReader {
    options: Options,
    /// Position in `entries` by code: joining stays linear however often a code repeats.
    places: [Option<u8>; 256],
}

impl OptionReader {
    pub(super) fn new() -> OptionReader {
        OptionReader { options: Options::default(), places: [None; 256] }
    }

    /// The option field: the only place where option 52 counts.
    pub(super) fn read_field(&mut self, area: &[u8]) -> Result<Overload, DecodeError> {
        let mut overload = Vec::new();
        self.read(area, |value| overload.extend_from_slice(value))?;
        match overload.as_slice() {
            [] => {}
            [1] => return Ok(Overload { file: true, sname: false }),
            [2] => return Ok(Overload { file: false, sname: true }),
            [3] => return Ok(Overload { file: true, sname: true }),
            other => self.options.faults.push(OptionFault { code: code::OVERLOAD, len: other.len() }),
        }
        Ok(Overload::default())
    }

    /// `file` or `sname`; a 52 in there is left out, so no field is read twice.
    pub(super) fn read_overloaded(&mut self, area: &[u8]) -> Result<(), DecodeError> {
        self.read(area, |_| ())
    }

    fn read(&mut self, area: &[u8], mut overload: impl FnMut(&[u8])) -> Result<(), DecodeError> {
        for option in DhcpOptionIterator::new(checked_area(area)?) {
            match u8::from(option.code()) {
                code::OVERLOAD => overload(option.data()),
                code => self.join(code, option.data()),
            }
        }
        Ok(())
    }

    fn join(&mut self, code: u8, value: &[u8]) {
        let entries = &mut self.options.entries;
        let place = self.places.get_mut(usize::from(code));
        let known = place.as_ref().and_then(|place| **place);
        match known.and_then(|at| entries.get_mut(usize::from(at))) {
            Some((_, joined)) => joined.extend_from_slice(value),
            None => {
                // At most 253 codes reach this line, so the position fits a byte.
                if let (Some(place), Ok(at)) = (place, u8::try_from(entries.len())) {
                    *place = Some(at);
                    entries.push((code, value.to_vec()));
                }
            }
        }
    }

    pub(super) fn finish(mut self) -> Options {
        let faults = self.options.entries.iter().filter(|(code, value)| !length_allowed(*code, value.len()));
        let faults: Vec<OptionFault> =
            faults.map(|(code, value)| OptionFault { code: *code, len: value.len() }).collect();
        self.options.faults.extend(faults);
        self.options
    }
}

/// The part of the area up to its End, or all of it: every option in there is whole. The borrowed iterator ends
/// silently at a cut option, so the check comes first.
fn checked_area(area: &[u8]) -> Result<&[u8], DecodeError> {
    let mut rest = area;
    while let [code, after @ ..] = rest {
        rest = match *code {
            code::PAD => after,
            code::END => return Ok(area.get(..area.len() - rest.len()).unwrap_or_default()),
            code => {
                let (len, body) = after.split_first().ok_or(DecodeError::OptionOverrun { code })?;
                body.get(usize::from(*len)..).ok_or(DecodeError::OptionOverrun { code })?
            }
        };
    }
    Ok(area)
}

#[cfg(test)]
mod tests;
