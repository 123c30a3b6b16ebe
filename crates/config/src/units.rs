//! Text forms of single values: durations, sizes, rates, networks, listen addresses.
//!
//! Each type reads and writes one text form and names it as `format` in the JSON Schema; `check_format` is the
//! table that the checker looks the names up in.

use crate::limits::{
    BOOT_FILE_BYTES_MAX, DURATION_SECS_MAX, INTERFACE_NAME_BYTES_MAX, SOCKET_PATH_BYTES_MAX,
};
use ipnet::Ipv4Net;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::time::Duration;
use types::subnet::Ipv4Range;

/// The text is not what its key needs: what it should have been, and an example.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{what}; {write}")]
pub struct UnitError {
    /// `not a duration`.
    pub what: &'static str,
    /// `write a number and a unit, such as 30s, 5m, 8h or 7d`.
    pub write: &'static str,
}

/// Gives a newtype its text form in serde and JSON Schema.
macro_rules! text_form {
    ($type:ty, $format:literal, $about:literal) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
        impl schemars::JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "format": $format, "description": $about })
            }
        }
    };
}

/// A length of time: `500ms`, `30s`, `5m`, `8h`, `7d` or several together (`1h30m`), at most ten years.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Period(pub Duration);

/// Units of time, largest first, in milliseconds.
const PERIODS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl Period {
    /// So many seconds.
    pub const fn secs(seconds: u64) -> Period {
        Period(Duration::from_secs(seconds))
    }

    /// As the standard library has it.
    pub fn duration(self) -> Duration {
        self.0
    }
}

impl FromStr for Period {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |what| UnitError { what, write: "write a number and a unit, such as 30s, 5m, 8h or 7d" };
        let mut rest = text;
        let mut total = 0u64;
        if rest.is_empty() {
            return Err(wrong("not a duration"));
        }
        while !rest.is_empty() {
            let (digits, tail) = split_digits(rest);
            let unit_end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
            let (unit, tail) = tail.split_at_checked(unit_end).ok_or(wrong("not a duration"))?;
            let number: u64 = digits.parse().map_err(|_| wrong("not a duration"))?;
            if unit.is_empty() {
                return Err(wrong("a duration without its unit"));
            }
            let (_, millis) = PERIODS
                .iter()
                .find(|(name, _)| *name == unit)
                .ok_or(wrong("a duration with an unknown unit"))?;
            total = number
                .checked_mul(*millis)
                .and_then(|part| total.checked_add(part))
                .filter(|sum| *sum <= DURATION_SECS_MAX * 1000)
                .ok_or(wrong("a duration of more than 3650d"))?;
            rest = tail;
        }
        Ok(Period(Duration::from_millis(total)))
    }
}

impl fmt::Display for Period {
    /// The largest unit that needs no fraction.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        if millis == 0 {
            return f.write_str("0s");
        }
        match PERIODS.iter().find(|(_, unit)| millis.is_multiple_of(u128::from(*unit))) {
            Some((name, unit)) => write!(f, "{}{name}", millis / u128::from(*unit)),
            None => write!(f, "{millis}ms"),
        }
    }
}

text_form!(Period, "duration", "Duration: a number and a unit, such as 500ms, 30s, 5m, 8h or 7d");

/// Units of bytes. Decimal and binary ones are both honoured; the binary ones come first for writing.
const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// A number of bytes: `64MiB` is 2^26, `40GB` is 40 * 10^9.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Size(pub u64);

impl FromStr for Size {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |what| UnitError { what, write: "write a number and a unit, such as 64MiB or 40GB" };
        let (digits, unit) = split_digits(text);
        let number: u64 = digits.parse().map_err(|_| wrong("not a size"))?;
        let unit = unit.trim_start();
        if unit.is_empty() && number != 0 {
            return Err(wrong("a size without its unit"));
        }
        let bytes = match SIZES.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)) {
            Some((_, bytes)) => *bytes,
            None if unit.is_empty() => 1,
            None => return Err(wrong("a size with an unknown unit")),
        };
        number.checked_mul(bytes).map(Size).ok_or(wrong("a size beyond 64 bits"))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fitting = SIZES.iter().filter(|(_, unit)| self.0 > 0 && self.0.is_multiple_of(*unit));
        match fitting.max_by_key(|(_, unit)| *unit) {
            Some((name, unit)) => write!(f, "{}{name}", self.0 / unit),
            None => write!(f, "{}B", self.0),
        }
    }
}

text_form!(Size, "size", "Size: a number and a unit, such as 64MiB or 40GB");

/// Bytes per second: `40MB/s`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Rate(pub u64);

impl FromStr for Rate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |what| UnitError { what, write: "write a size per second, such as 40MB/s" };
        let size = text.strip_suffix("/s").ok_or(wrong("not a rate"))?;
        Ok(Rate(size.parse::<Size>().map_err(|error| wrong(error.what))?.0))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", Size(self.0))
    }
}

text_form!(Rate, "rate", "Rate: a size per second, such as 40MB/s");

/// An IPv4 address in dotted form.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ipv4(pub Ipv4Addr);

impl FromStr for Ipv4 {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = UnitError { what: "not an IPv4 address", write: "write four numbers such as 10.77.0.1" };
        text.parse().map(Ipv4).map_err(|_| wrong)
    }
}

impl fmt::Display for Ipv4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

text_form!(Ipv4, "ipv4", "IPv4 address such as 10.77.0.1");

/// An IPv4 network, host bits zero: `10.77.0.0/24`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Cidr(pub Ipv4Net);

impl FromStr for Cidr {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong =
            |what| UnitError { what, write: "write the first address and the prefix, such as 10.77.0.0/24" };
        let net: Ipv4Net = text.parse().map_err(|_| wrong("not a network"))?;
        if net.trunc() != net {
            return Err(wrong("a network with bits set behind its prefix"));
        }
        Ok(Cidr(net))
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

text_form!(Cidr, "cidr", "IPv4 network such as 10.77.0.0/24");

/// A closed range of addresses, lowest first, or one address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Range(pub Ipv4Range);

impl FromStr for Range {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong =
            UnitError { what: "not an address range", write: "write 10.77.0.100-10.77.0.199, lowest first" };
        text.parse().map(Range).map_err(|_| wrong)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.first == self.0.last { self.0.first.fmt(f) } else { self.0.fmt(f) }
    }
}

text_form!(Range, "range", "Address range such as 10.77.0.100-10.77.0.199, or one address");

/// `auto`, or an IPv4 address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Address {
    /// The interface's own, when it has exactly one.
    #[default]
    Auto,
    /// This one.
    Fixed(Ipv4Addr),
}

impl FromStr for Address {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong =
            UnitError { what: "not an address", write: "write auto, or an IPv4 address such as 10.77.0.1" };
        if text == "auto" {
            return Ok(Address::Auto);
        }
        text.parse().map(Address::Fixed).map_err(|_| wrong)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Auto => f.write_str("auto"),
            Address::Fixed(address) => address.fmt(f),
        }
    }
}

text_form!(Address, "address", "auto, or an IPv4 address");

/// Where to listen: `:8080` (every address), `10.77.0.1:8080` or `[fd00::1]:8080`. Port 0 takes a free port.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Listen {
    /// `None`: every address.
    pub address: Option<IpAddr>,
    /// TCP port.
    pub port: u16,
}

impl FromStr for Listen {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = UnitError { what: "not a listen address", write: "write :8080 or 10.77.0.1:8080" };
        let (address, port) = text.rsplit_once(':').ok_or(wrong.clone())?;
        if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong);
        }
        let port = port.parse().map_err(|_| wrong.clone())?;
        let address = match address {
            "" => None,
            bracketed if bracketed.starts_with('[') => {
                let inner = bracketed
                    .strip_prefix('[')
                    .and_then(|rest| rest.strip_suffix(']'))
                    .ok_or(wrong.clone())?;
                Some(IpAddr::V6(inner.parse::<Ipv6Addr>().map_err(|_| wrong)?))
            }
            plain => Some(IpAddr::V4(plain.parse::<Ipv4Addr>().map_err(|_| wrong)?)),
        };
        Ok(Listen { address, port })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            None => write!(f, ":{}", self.port),
            Some(IpAddr::V4(address)) => write!(f, "{address}:{}", self.port),
            Some(IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
        }
    }
}

text_form!(Listen, "listen", "Where to listen: :8080 for every address, or 10.77.0.1:8080");

/// Declares a text newtype with a condition on its bytes.
macro_rules! checked_text {
    ($(#[$about_type:meta])* $name:ident, $format:literal, $about:literal, $what:literal, $write:literal, $fits:expr) => {
        $(#[$about_type])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = UnitError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let fits: fn(&str) -> bool = $fits;
                if fits(text) { Ok($name(text.to_owned())) } else { Err(UnitError { what: $what, write: $write }) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        text_form!($name, $format, $about);
    };
}

checked_text!(
    /// A file name in the boot tree: 1..=127 bytes of visible ASCII.
    BootFile, "boot-file", "File name in the boot tree, 1 to 127 visible ASCII characters",
    "not a boot file name", "use 1 to 127 visible ASCII characters",
    |text| (1..=BOOT_FILE_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
);
checked_text!(
    /// A path on this machine; not empty, no NUL, no line break.
    Path, "path", "Path on the machine that runs reveille",
    "not a path", "write a path such as /var/lib/reveille/store",
    |text| !text.is_empty() && !text.contains(char::is_control)
);
checked_text!(
    /// The path of a unix socket: 1..=107 bytes.
    SocketPath, "socket-path", "Path of a unix socket, at most 107 bytes",
    "not a socket path", "use a path of 1 to 107 bytes",
    |text| (1..=SOCKET_PATH_BYTES_MAX).contains(&text.len()) && !text.contains(char::is_control)
);
checked_text!(
    /// A Linux interface name: 1..=15 bytes, no slash, no blank.
    InterfaceName, "interface", "Name of a network interface, at most 15 characters",
    "not an interface name", "use 1 to 15 characters without slash or blank, such as enp3s0",
    |text| (1..=INTERFACE_NAME_BYTES_MAX).contains(&text.len())
        && !matches!(text, "." | "..")
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'/' | b':'))
);
checked_text!(
    /// A domain name: labels of `a-z A-Z 0-9 - _`, 1..=63 each, 253 bytes in all (RFC 1035 §2.3.4).
    Domain, "domain", "Domain name such as lab.example",
    "not a domain name", "write labels with dots between, such as lab.example",
    |text| (1..=253).contains(&text.len())
        && text.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
);

/// Checks `text` against a `format` keyword of the schema. The error says what is wrong and what to write.
/// A format not known here is not checked.
pub(crate) fn check_format(format: &str, text: &str) -> Result<(), String> {
    fn parses<T: FromStr>(text: &str) -> Result<(), String>
    where
        T::Err: fmt::Display,
    {
        text.parse::<T>().map(drop).map_err(|error| error.to_string())
    }
    match format {
        "mac" => parses::<types::MacAddr>(text),
        "uuid" => parses::<types::MachineGuid>(text),
        "name" => parses::<types::resource::Name>(text),
        "selector" => parses::<types::Selector>(text),
        "firmware" => parses::<types::Firmware>(text),
        "duration" => parses::<Period>(text),
        "size" => parses::<Size>(text),
        "rate" => parses::<Rate>(text),
        "ipv4" => parses::<Ipv4>(text),
        "cidr" => parses::<Cidr>(text),
        "range" => parses::<Range>(text),
        "address" => parses::<Address>(text),
        "listen" => parses::<Listen>(text),
        "boot-file" => parses::<BootFile>(text),
        "path" => parses::<Path>(text),
        "socket-path" => parses::<SocketPath>(text),
        "interface" => parses::<InterfaceName>(text),
        "domain" => parses::<Domain>(text),
        _ => Ok(()),
    }
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

#[cfg(test)]
mod tests;
