//! The formats by name, and which one a list is.

use crate::found::{Found, Options};
use crate::{csv, dhcpd, dnsmasq, kea, ldif, text};
use std::fmt;
use std::str::FromStr;

/// A format that is read.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Format {
    /// CSV with a header.
    Csv,
    /// ISC's `dhcpd.conf`.
    Dhcpd,
    /// dnsmasq configuration or hosts file.
    Dnsmasq,
    /// Kea JSON.
    Kea,
    /// LDIF.
    Ldif,
}

/// Bytes of a list that are looked at to tell its format.
const LOOKED_AT: usize = 64 * 1024;

impl Format {
    /// Every format.
    pub const ALL: [Format; 5] = [Format::Csv, Format::Dhcpd, Format::Dnsmasq, Format::Kea, Format::Ldif];

    /// The name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Dhcpd => "dhcpd",
            Format::Dnsmasq => "dnsmasq",
            Format::Kea => "kea",
            Format::Ldif => "ldif",
        }
    }

    /// What the list looks like, by its name's ending and else by its beginning; `None` when nothing is sure.
    pub fn guess(source: &str, bytes: &[u8]) -> Option<Format> {
        let ending = source.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
        match ending.as_deref() {
            Some("csv" | "tsv") => return Some(Format::Csv),
            Some("json") => return Some(Format::Kea),
            Some("ldif" | "ldf") => return Some(Format::Ldif),
            _ => {}
        }
        // A cut character at the end is no matter here.
        let head = bytes.get(..bytes.len().min(LOOKED_AT)).unwrap_or_default();
        let head = match text::decode(head) {
            Ok(text) => text.into_owned(),
            Err(_) => String::from_utf8_lossy(head).into_owned(),
        };
        let mut lines = head.lines().map(str::trim).filter(|line| !line.is_empty());
        let marks =
            |line: &str| line.starts_with(['{', '[']) || line.starts_with("//") || line.starts_with("/*");
        let first = lines.clone().find(|line| !line.starts_with('#')).unwrap_or_default();
        if marks(first) {
            return Some(Format::Kea);
        }
        if first.starts_with("dn:") || first.starts_with("version:") {
            return Some(Format::Ldif);
        }
        if lines.clone().any(|line| line.trim_start_matches('-').starts_with("dhcp-host")) {
            return Some(Format::Dnsmasq);
        }
        if lines.any(|line| line.starts_with("host ") || line.contains("hardware ethernet")) {
            return Some(Format::Dhcpd);
        }
        let columns = first.split([',', ';', '\t']).map(|cell| cell.trim().trim_matches('"').to_lowercase());
        let known = columns.filter(|cell| csv::COLUMNS.contains(&cell.as_str())).count();
        (known > 0).then_some(Format::Csv)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatParseError;

impl fmt::Display for FormatParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a format; use csv, dhcpd, dnsmasq, kea or ldif")
    }
}

impl std::error::Error for FormatParseError {}

impl FromStr for Format {
    type Err = FormatParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Format::ALL.into_iter().find(|format| format.as_str() == text).ok_or(FormatParseError)
    }
}

/// Reads a list of a known format. `source` names it in messages.
pub fn read(format: Format, source: &str, bytes: &[u8], options: &Options) -> Found {
    match format {
        Format::Csv => csv::read(source, bytes, options),
        Format::Dhcpd => dhcpd::read(source, bytes, options),
        Format::Dnsmasq => dnsmasq::read(source, bytes, options),
        Format::Kea => kea::read(source, bytes, options),
        Format::Ldif => ldif::read(source, bytes, options),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_shows_what_it_is() {
        for (source, text, format) in [
            ("a.csv", "", Some(Format::Csv)),
            ("a.JSON", "", Some(Format::Kea)),
            ("a.ldf", "", Some(Format::Ldif)),
            ("kea-dhcp4.conf", "// x\n{ \"Dhcp4\": {} }", Some(Format::Kea)),
            ("x.conf", "# x\n\nsubnet 10.0.0.0 netmask 255.0.0.0 {\n  host a {", Some(Format::Dhcpd)),
            ("x.conf", "domain-needed\ndhcp-host=52:54:00:12:34:56,web", Some(Format::Dnsmasq)),
            ("-", "version: 1\ndn: cn=a", Some(Format::Ldif)),
            ("-", "\u{feff}Name;MAC\n", Some(Format::Csv)),
            ("-", "hello", None),
            ("-", "", None),
        ] {
            assert_eq!(Format::guess(source, text.as_bytes()), format, "{source} {text:?}");
        }
        for format in Format::ALL {
            assert_eq!(format.as_str().parse(), Ok(format));
        }
    }
}
