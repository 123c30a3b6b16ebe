//! Subnets, pools and reservations as configured.

use crate::{Firmware, MacAddr};
use ipnet::Ipv4Net;
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// What we do with DHCP on a subnet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DhcpMode {
    /// We assign addresses (authoritative) and boot data.
    Server,
    /// Another server assigns addresses, we add boot data on 67 and 4011. Never a lease.
    Proxy,
    /// We answer nothing here.
    Off,
}

/// A closed range of addresses, `first <= last`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Ipv4Range {
    /// Lowest address.
    pub first: Ipv4Addr,
    /// Highest address, inclusive.
    pub last: Ipv4Addr,
}

impl Ipv4Range {
    /// True when `address` lies in the range.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        (self.first..=self.last).contains(&address)
    }

    /// Number of addresses, 1..=2^32.
    pub fn size(self) -> u64 {
        u64::from(u32::from(self.last)) - u64::from(u32::from(self.first)) + 1
    }
}

impl fmt::Display for Ipv4Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

/// The text is no address range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeParseError;

impl fmt::Display for RangeParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an address range; write 10.77.0.100-10.77.0.199, lowest first")
    }
}

impl std::error::Error for RangeParseError {}

impl FromStr for Ipv4Range {
    type Err = RangeParseError;

    /// `a-b` with `a <= b`, or one address.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let parse = |part: &str| part.trim().parse::<Ipv4Addr>().map_err(|_| RangeParseError);
        let range = Ipv4Range { first: parse(first)?, last: parse(last)? };
        if range.first <= range.last { Ok(range) } else { Err(RangeParseError) }
    }
}

/// A fixed address for one machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reservation {
    /// The machine, by hardware address.
    pub mac: MacAddr,
    /// Its address, inside the subnet.
    pub address: Ipv4Addr,
    /// Option 12 for it.
    pub hostname: Option<Arc<str>>,
}

/// Bounds of option 51.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LeaseTimes {
    /// When the client asks for none.
    pub default: Duration,
    /// Lower bound of what a client may ask.
    pub min: Duration,
    /// Upper bound.
    pub max: Duration,
}

/// One network and how DHCP behaves on it ("scope" elsewhere).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subnet {
    /// Unique name.
    pub name: Arc<str>,
    /// The network.
    pub network: Ipv4Net,
    /// Server, proxy or off.
    pub mode: DhcpMode,
    /// Addresses we may give, inside `network`. Empty outside server mode.
    pub pools: Vec<Ipv4Range>,
    /// Never given from a pool.
    pub excluded: Vec<Ipv4Range>,
    /// Fixed addresses.
    pub reservations: Vec<Reservation>,
    /// Bounds of the lease time.
    pub lease_times: LeaseTimes,
    /// Option 3, best first.
    pub routers: Vec<Ipv4Addr>,
    /// Option 6.
    pub dns: Vec<Ipv4Addr>,
    /// Option 15.
    pub domain: Option<Arc<str>>,
    /// Further options, code to raw value, sent when asked for (or always when `always`).
    pub options: Vec<ConfiguredOption>,
    /// Sends NAK for addresses of this network it does not know. Server mode only.
    pub authoritative: bool,
    /// QUIRK(edk2-2015-drops-43): proxy mode, UEFI: send option 43 = 06 01 08. Saves OVMF 2022 one second; EDK2 of 2015
    /// drops the offer.
    pub uefi_discovery_control: bool,
    /// TFTP and HTTP live on another address than the one that answers DHCP.
    pub next_server: Option<Ipv4Addr>,
}

/// One option of the configuration, already encoded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfiguredOption {
    /// Option code, 1..=254.
    pub code: u8,
    /// Raw value.
    pub value: Arc<[u8]>,
    /// Send it even when option 55 does not ask.
    pub always: bool,
}

/// The NBP a firmware is given, a name in the boot tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoaderChoice {
    /// For which firmware.
    pub firmware: Firmware,
    /// File name in the tree, at most 127 bytes (the BOOTP `file` field).
    pub file: Arc<str>,
}

#[cfg(test)]
mod tests;
