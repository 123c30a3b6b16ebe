//! The machine's SMBIOS GUID, in the two byte orders the field uses.

use std::fmt;
use std::str::FromStr;

/// The 16 bytes of option 97 after its type byte, exactly as received (RFC 4578 §2.3).
///
/// Firmware sends the SMBIOS bytes raw, so the first three fields are little-endian on the wire. Two texts exist
/// for the same bytes: [`smbios_text`](Self::smbios_text) (Linux `product_uuid`, iPXE `${uuid}`, VMware) and
/// [`wire_text`](Self::wire_text) (pxelinux file names, some inventories). `Display` and [`FromStr`] use the first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MachineGuid(pub [u8; 16]);

/// The text is no GUID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuidParseError;

impl fmt::Display for GuidParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a GUID; write 32 hex digits such as 11223344-5566-7788-99aa-bbccddeeff00")
    }
}

impl std::error::Error for GuidParseError {}

/// QUIRK(factory-guids): GUIDs seen on many machines at once, as the bytes of their SMBIOS text: firmware left at its factory value.
/// Sources: fogproject#198, metal-hammer#52, and boards seen in the field.
const NOBODYS: [[u8; 16]; 4] = [
    // 03000200-0400-0500-0006-000700080009
    [0x03, 0, 0x02, 0, 0x04, 0, 0x05, 0, 0, 0x06, 0, 0x07, 0, 0x08, 0, 0x09],
    // 00020003-0004-0005-0006-000700080009: the same, read in the other byte order
    [0, 0x02, 0, 0x03, 0, 0x04, 0, 0x05, 0, 0x06, 0, 0x07, 0, 0x08, 0, 0x09],
    // 12345678-1234-5678-90ab-cddeefaabbcc
    [0x12, 0x34, 0x56, 0x78, 0x12, 0x34, 0x56, 0x78, 0x90, 0xab, 0xcd, 0xde, 0xef, 0xaa, 0xbb, 0xcc],
    [0xfe; 16],
];

impl MachineGuid {
    /// Text with the first three fields byte-swapped, as SMBIOS 2.6 and later reads them.
    pub fn smbios_text(self) -> String {
        Self::dashed(self.swapped().0)
    }

    /// Text in the order of the bytes on the wire.
    pub fn wire_text(self) -> String {
        Self::dashed(self.0)
    }

    /// The same machine written by a tool that read the other byte order.
    pub fn swapped(self) -> MachineGuid {
        let [a, b, c, d, e, f, g, h, rest @ ..] = self.0;
        let [i, j, k, l, m, n, o, p] = rest;
        MachineGuid([d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p])
    }

    /// True for all zeros, all ones and known factory values, in either byte order: such a GUID identifies no machine.
    pub fn is_nobodys(self) -> bool {
        self.0 == [0; 16]
            || self.0 == [0xff; 16]
            || NOBODYS.contains(&self.0)
            || NOBODYS.contains(&self.swapped().0)
    }

    /// Reads text in the order of the wire bytes: the form [`wire_text`](Self::wire_text) writes.
    ///
    /// # Errors
    /// When the text has not exactly 32 hex digits, with dashes at their places or none.
    pub fn parse_wire_text(text: &str) -> Result<MachineGuid, GuidParseError> {
        let body = text.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')).unwrap_or(text);
        let dashes: Vec<usize> =
            body.bytes().enumerate().filter(|(_, byte)| *byte == b'-').map(|(at, _)| at).collect();
        if !dashes.is_empty() && dashes != [8, 13, 18, 23] {
            return Err(GuidParseError);
        }
        let digits: Vec<u8> = body
            .bytes()
            .filter(|&byte| byte != b'-')
            .map(|byte| (byte as char).to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect::<Option<_>>()
            .ok_or(GuidParseError)?;
        if digits.len() != 32 {
            return Err(GuidParseError);
        }
        let mut bytes = [0u8; 16];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair.iter().fold(0, |value, digit| value << 4 | digit);
        }
        Ok(MachineGuid(bytes))
    }

    fn dashed(bytes: [u8; 16]) -> String {
        let mut text = String::with_capacity(36);
        for (at, byte) in bytes.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            text.push_str(&format!("{byte:02x}"));
        }
        text
    }
}

impl fmt::Display for MachineGuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.smbios_text())
    }
}

impl fmt::Debug for MachineGuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for MachineGuid {
    type Err = GuidParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse_wire_text(text).map(MachineGuid::swapped)
    }
}

crate::resource::text_form!(MachineGuid, "uuid", "Machine GUID, in either SMBIOS byte order");

#[cfg(test)]
mod tests;
