//! What is plugged in: interfaces, their addresses, and the one the default route uses.

use ipnet::Ipv4Net;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use types::MacAddr;

/// One network interface of this machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interface {
    /// Its name, such as `eth0`.
    pub name: Arc<str>,
    /// Kernel index, 1 or more.
    pub index: u32,
    /// Administratively up.
    pub up: bool,
    /// Up and with carrier.
    pub running: bool,
    /// The loopback.
    pub loopback: bool,
    /// Has no device of its own: bridge, VLAN, veth, tunnel. Best knowledge; false where `/sys` does not tell.
    pub is_virtual: bool,
    /// Can broadcast, as DHCP needs.
    pub broadcast: bool,
    /// Hardware address, when it is Ethernet and not all zeros.
    pub mac: Option<MacAddr>,
    /// IPv4 addresses with their prefix, in kernel order: the first is the primary one.
    pub ipv4: Vec<Ipv4Net>,
}

/// Every interface, in the order of their index.
///
/// # Errors
/// When the kernel does not tell.
pub fn list() -> io::Result<Vec<Interface>> {
    let mut found: BTreeMap<String, Interface> = BTreeMap::new();
    for entry in getifaddrs()? {
        let name = entry.interface_name;
        let interface = found.entry(name.clone()).or_insert_with(|| Interface {
            name: name.as_str().into(),
            index: nix::net::if_::if_nametoindex(name.as_str()).unwrap_or(0),
            up: entry.flags.contains(InterfaceFlags::IFF_UP),
            running: entry.flags.contains(InterfaceFlags::IFF_RUNNING),
            loopback: entry.flags.contains(InterfaceFlags::IFF_LOOPBACK),
            is_virtual: is_virtual(&name),
            broadcast: entry.flags.contains(InterfaceFlags::IFF_BROADCAST),
            mac: None,
            ipv4: Vec::new(),
        });
        let Some(address) = entry.address else { continue };
        if let Some(link) = address.as_link_addr() {
            interface.mac = link.addr().map(MacAddr).filter(|mac| link.halen() == 6 && mac.0 != [0; 6]);
        }
        if let Some(own) = address.as_sockaddr_in() {
            let mask = entry
                .netmask
                .as_ref()
                .and_then(|mask| mask.as_sockaddr_in().map(nix::sys::socket::SockaddrIn::ip));
            let net = match mask {
                Some(mask) => Ipv4Net::with_netmask(own.ip(), mask).ok(),
                None => Ipv4Net::new(own.ip(), 32).ok(),
            };
            interface.ipv4.extend(net);
        }
    }
    let mut interfaces: Vec<Interface> = found.into_values().collect();
    interfaces.sort_by_key(|interface| interface.index);
    Ok(interfaces)
}

/// Name of the interface the default route leaves by: the lowest metric of `/proc/net/route`. `None` without one.
pub fn default_route() -> Option<Arc<str>> {
    parse_default_route(&std::fs::read_to_string("/proc/net/route").ok()?)
}

/// Columns: Iface Destination Gateway Flags RefCnt Use Metric Mask …, numbers in hex but the metric.
fn parse_default_route(table: &str) -> Option<Arc<str>> {
    const UP: u32 = 1;
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let columns: Vec<&str> = line.split_ascii_whitespace().collect();
            let [name, destination, _, flags, _, _, metric, mask, ..] = columns.as_slice() else {
                return None;
            };
            let up = u32::from_str_radix(flags, 16).ok()? & UP != 0;
            let default = *destination == "00000000" && *mask == "00000000";
            (up && default).then_some((metric.parse::<u32>().ok()?, *name))
        })
        .min_by_key(|(metric, _)| *metric)
        .map(|(_, name)| name.into())
}

fn is_virtual(name: &str) -> bool {
    // The name comes from the kernel, which allows no slash in it.
    let entry = Path::new("/sys/class/net").join(name);
    entry.exists() && !entry.join("device").exists()
}

#[cfg(test)]
mod tests;
