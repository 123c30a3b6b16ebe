//! Ethernet hardware addresses.

use std::fmt;
use std::str::FromStr;

/// A 48-bit hardware address, as the first six bytes of `chaddr` (RFC 2131 §2, `htype` 1, `hlen` 6).
///
/// Text is lower case with colons; [`FromStr`] also takes hyphens, Cisco dots (`5254.0012.3456`) and bare hex.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MacAddr(pub [u8; 6]);

/// The text is no hardware address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MacParseError;

impl fmt::Display for MacParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a MAC address; write six hex pairs such as 52:54:00:12:34:56")
    }
}

impl std::error::Error for MacParseError {}

impl MacAddr {
    /// All ones: the Ethernet broadcast address.
    pub const BROADCAST: MacAddr = MacAddr([0xff; 6]);

    /// Hyphen-separated lower-case pairs: `52-54-00-12-34-56`.
    pub fn hyphens(self) -> String {
        self.separated("-")
    }

    /// The name pxelinux asks for, hardware type first: `01-52-54-00-12-34-56`.
    pub fn pxelinux(self) -> String {
        format!("01-{}", self.hyphens())
    }

    /// False for the group bit, all zeros and all ones: such an address is nobody's own.
    pub fn is_unicast(self) -> bool {
        let [first, ..] = self.0;
        first & 1 == 0 && self.0 != [0; 6]
    }

    fn separated(self, separator: &str) -> String {
        self.0.map(|byte| format!("{byte:02x}")).join(separator)
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for MacAddr {
    type Err = MacParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let shape_ok = match text.len() {
            12 => true,
            14 => [4, 9].iter().all(|&at| text.as_bytes().get(at) == Some(&b'.')),
            17 => {
                let separator = text.as_bytes().get(2).copied();
                matches!(separator, Some(b':' | b'-'))
                    && [2, 5, 8, 11, 14].iter().all(|&at| text.as_bytes().get(at).copied() == separator)
            }
            _ => false,
        };
        let digits: Vec<u8> = text
            .bytes()
            .filter(|byte| !matches!(byte, b':' | b'-' | b'.'))
            .map(|byte| (byte as char).to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect::<Option<_>>()
            .ok_or(MacParseError)?;
        if !shape_ok || digits.len() != 12 {
            return Err(MacParseError);
        }
        let mut bytes = [0u8; 6];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair.iter().fold(0, |value, digit| value << 4 | digit);
        }
        Ok(MacAddr(bytes))
    }
}

crate::resource::text_form!(MacAddr, "mac", "MAC address: six hex pairs such as 52:54:00:12:34:56");

/// The first octets of hardware addresses, one to six, with `:`, `-` or nothing between them: a machine, or all of its
/// maker's (`24:6e:96`).
pub fn octets(text: &str) -> Option<Box<[u8]>> {
    if let Ok(mac) = text.parse::<MacAddr>() {
        return Some(mac.0.into());
    }
    let digits: String = text.trim_end_matches(['*', ':', '-']).split([':', '-']).collect();
    let whole = (2..=12).contains(&digits.len()) && digits.len().is_multiple_of(2) && digits.is_ascii();
    if !whole {
        return None;
    }
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests;
