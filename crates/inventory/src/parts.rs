//! Single values as lists write them: MAC addresses, host names, addresses.

use crate::limits::HOSTNAME_BYTES_MAX;
use crate::text::shown;
use std::net::Ipv4Addr;
use types::MacAddr;

/// Why a text is no MAC address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum NoMac {
    /// A spreadsheet wrote it: the digits are gone.
    Mangled(&'static str),
    /// It has wildcards.
    Pattern,
    /// It is one of another length: InfiniBand, EUI-64.
    Long(usize),
    /// It can be no machine's own: zeros, ones, a group.
    Group(MacAddr),
    /// Anything else.
    Other,
}

impl NoMac {
    /// A sentence about the text, and what to do.
    pub(crate) fn says(&self, text: &str) -> (String, &'static str) {
        let text = shown(text);
        match self {
            NoMac::Mangled(how) => (
                format!("`{text}` is what a spreadsheet made of a MAC address: {how}"),
                "make the column text before the addresses are typed or pasted, and fill it again from the source",
            ),
            NoMac::Pattern => (
                format!("`{text}` has wildcards and stands for many machines"),
                "give each machine an entry of its own",
            ),
            NoMac::Long(bytes) => (
                format!("`{text}` has {bytes} bytes; only Ethernet addresses of six are read"),
                "use the address of an Ethernet port, or the machine's uuid",
            ),
            NoMac::Group(mac) => {
                (format!("{mac} is no machine's own address"), "write the address of the machine's port")
            }
            NoMac::Other => {
                (format!("`{text}` is not a MAC address"), "write six hex pairs such as 52:54:00:12:34:56")
            }
        }
    }
}

/// Any usual spelling: pairs by colons or hyphens (a leading zero may be missing), Cisco dots, twelve bare digits.
pub(crate) fn mac(text: &str) -> Result<MacAddr, NoMac> {
    let read = text.parse().ok().or_else(|| pairs(text));
    match read {
        Some(mac) if MacAddr::is_unicast(mac) => Ok(mac),
        Some(mac) => Err(NoMac::Group(mac)),
        None => Err(why_not(text)),
    }
}

/// Six groups of one or two digits, as dhcpd and dnsmasq read them.
fn pairs(text: &str) -> Option<MacAddr> {
    let separator = text.chars().find(|c| matches!(c, ':' | '-'))?;
    let mut bytes = [0u8; 6];
    let mut groups = text.split(separator);
    for byte in &mut bytes {
        *byte = hex_byte(groups.next()?)?;
    }
    groups.next().is_none().then_some(MacAddr(bytes))
}

fn hex_byte(text: &str) -> Option<u8> {
    let digits = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| u8::from_str_radix(text, 16).ok()).flatten()
}

fn why_not(text: &str) -> NoMac {
    let groups: Vec<&str> = text.split([':', '-']).take(64).collect();
    if is_scientific(text) {
        return NoMac::Mangled("the last digits are rounded away");
    }
    if (1..12).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return NoMac::Mangled("zeros in front are lost");
    }
    if groups.len() > 1 && groups.contains(&"*") {
        return NoMac::Pattern;
    }
    if groups.len() > 6 && groups.iter().all(|group| hex_byte(group).is_some()) {
        return NoMac::Long(groups.len());
    }
    if matches!(text.len(), 16 | 40) && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return NoMac::Long(text.len() / 2);
    }
    NoMac::Other
}

/// `5.25401E+11`, `5,25401E+11`, `5E+11`: how spreadsheets show long numbers.
pub(crate) fn is_scientific(text: &str) -> bool {
    let Some((mantissa, exponent)) = text.split_once(['E', 'e']) else { return false };
    let Some(exponent) = exponent.strip_prefix(['+', '-']) else { return false };
    let (whole, part) = mantissa.split_once(['.', ',']).unwrap_or((mantissa, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits(exponent) && exponent.len() <= 3 && digits(whole) && digits(part)
}

/// A host name as a reservation may have one: labels of letters, digits, hyphens and underscores, by dots.
pub(crate) fn hostname(text: &str) -> Option<&str> {
    let text = text.trim_end_matches('.');
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    (!text.is_empty() && text.len() <= HOSTNAME_BYTES_MAX && text.split('.').all(label)).then_some(text)
}

/// Why an address can be no machine's.
pub(crate) fn no_machines(address: Ipv4Addr) -> Option<&'static str> {
    if address.is_unspecified() {
        Some("is no address")
    } else if address.is_broadcast() || address.is_multicast() {
        Some("is a group address")
    } else if address.is_loopback() {
        Some("is a machine's name for itself")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_spellings_are_one_address() {
        let wanted: MacAddr = "00:0a:01:02:0c:ff".parse().unwrap();
        for text in [
            "00:0a:01:02:0c:ff",
            "00:0A:01:02:0C:FF",
            "00-0a-01-02-0c-ff",
            "0:a:1:2:c:ff",
            "000a.0102.0cff",
            "000A01020CFF",
        ] {
            assert_eq!(mac(text), Ok(wanted), "{text}");
        }
        // Twelve digits with an E in them are an address and no number.
        assert_eq!(mac("52E400123456").map(|mac| mac.to_string()).unwrap(), "52:e4:00:12:34:56");
    }

    #[test]
    fn what_is_no_address_is_told_apart() {
        assert!(matches!(mac("5.25401E+11"), Err(NoMac::Mangled(_))));
        assert!(matches!(mac("5,25401E+11"), Err(NoMac::Mangled(_))));
        assert!(matches!(mac("1122334455"), Err(NoMac::Mangled(_))));
        assert_eq!(mac("52:54:*:*:*:*"), Err(NoMac::Pattern));
        assert_eq!(mac("80:00:00:48:fe:80:00:00"), Err(NoMac::Long(8)));
        assert_eq!(mac("52:54:00:12:34"), Err(NoMac::Other));
        assert_eq!(mac("52:54:00:12:34:5g"), Err(NoMac::Other));
        assert_eq!(mac("+1:54:00:12:34:56"), Err(NoMac::Other));
        assert_eq!(mac(""), Err(NoMac::Other));
        assert!(matches!(mac("ff:ff:ff:ff:ff:ff"), Err(NoMac::Group(_))));
        assert!(matches!(mac("01:00:5e:00:00:01"), Err(NoMac::Group(_))));
    }

    #[test]
    fn host_names_are_labels() {
        assert_eq!(hostname("Web-01.lab.example."), Some("Web-01.lab.example"));
        assert_eq!(hostname("web_01"), Some("web_01"));
        for bad in ["", "-a", "a-", "a..b", "a b", "ä"] {
            assert_eq!(hostname(bad), None, "{bad}");
        }
    }
}
