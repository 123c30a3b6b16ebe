//! The magic packet: pure.
//!
//! | bytes | what |
//! |---|---|
//! | 6 | `ff` |
//! | 96 | the MAC address, 16 times |
//! | 0, 4 or 6 | SecureOn password |
//!
//! Source: AMD, *Magic Packet Technology* (publication 20213, 1995), for the first 102 bytes; the password as Linux's ethtool
//! (`SOPASS_MAX` 6) and ether-wake (4 or 6 bytes) have it.

use crate::secret::Secret;
use std::fmt;
use types::MacAddr;

/// The usual port, `discard`.
pub const PORT: u16 = 9;

/// `echo`, which some want.
pub const PORT_ECHO: u16 = 7;

/// A SecureOn password: what a card waits for besides its address. Not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct SecureOn(Vec<u8>);

/// The text is no such password; it is not repeated here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("it is no SecureOn password")]
pub struct NoSecureOn;

impl NoSecureOn {
    /// What to write.
    pub fn fix(self) -> &'static str {
        "write six hex pairs (0a:1b:2c:3d:4e:5f) or four numbers with dots (192.0.2.1)"
    }
}

impl SecureOn {
    /// Reads `0a:1b:2c:3d:4e:5f` (6 bytes, hyphens or nothing between them as well) or `192.0.2.1` (4 bytes).
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(text: &Secret) -> Result<SecureOn, NoSecureOn> {
        let text = text.expose().trim();
        if let Ok(six) = text.parse::<MacAddr>() {
            return Ok(SecureOn(six.0.to_vec()));
        }
        let four = text.parse::<std::net::Ipv4Addr>().map_err(|_| NoSecureOn)?;
        Ok(SecureOn(four.octets().to_vec()))
    }
}

impl fmt::Debug for SecureOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecureOn({} bytes)", self.0.len())
    }
}

/// The payload that wakes a machine: 102, 106 or 108 bytes.
pub fn magic_packet(mac: MacAddr, password: Option<&SecureOn>) -> Vec<u8> {
    let mut packet = vec![0xff; 6];
    for _ in 0..16 {
        packet.extend(mac.0);
    }
    if let Some(password) = password {
        packet.extend(&password.0);
    }
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: MacAddr = MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]);

    #[test]
    fn a_magic_packet_has_the_address_sixteen_times() {
        let packet = magic_packet(MAC, None);
        assert_eq!(packet.len(), 102);
        assert_eq!(packet[..6], [0xff; 6]);
        assert!(packet[6..].chunks(6).all(|chunk| chunk == MAC.0));
    }

    #[test]
    fn a_password_of_four_or_six_bytes_stands_at_its_end() {
        for (text, bytes) in [
            ("0a:1b:2c:3d:4e:5f", vec![0x0a, 0x1b, 0x2c, 0x3d, 0x4e, 0x5f]),
            ("0A-1B-2C-3D-4E-5F", vec![0x0a, 0x1b, 0x2c, 0x3d, 0x4e, 0x5f]),
            (" 192.0.2.1 ", vec![192, 0, 2, 1]),
        ] {
            let password = SecureOn::parse(&Secret::new(text)).unwrap();
            let packet = magic_packet(MAC, Some(&password));
            assert_eq!(packet.len(), 102 + bytes.len());
            assert_eq!(packet[102..], bytes);
            assert_eq!(packet[..102], magic_packet(MAC, None));
        }
    }

    #[test]
    fn what_is_no_password_is_refused_and_not_repeated() {
        for text in ["", "secret", "10.0.7", "10.0.7.256", "de:ad:be:ef:00", "de:ad:be:ef:00:11:22", "::1"] {
            let error = SecureOn::parse(&Secret::new(text)).expect_err(text);
            assert!(text.is_empty() || !format!("{error} {error:?} {}", error.fix()).contains(text));
        }
        let password = SecureOn::parse(&Secret::new("192.0.2.1")).unwrap();
        assert_eq!(format!("{password:?}"), "SecureOn(4 bytes)");
    }
}
