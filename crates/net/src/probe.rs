//! Asking whether an address is in use: by ARP on a link, by ICMP echo behind a relay.
//!
//! ARP (RFC 826, RFC 5227 §1.1): a probe has an unset sender address, so that it changes nobody's table.
//!
//! ```text
//! offset  bytes  field                     value
//!  0      2      hardware type             1
//!  2      2      protocol type             0x0800
//!  4      2      address lengths           6, 4
//!  6      2      operation                 1 request, 2 reply
//!  8      6      sender hardware address   ours
//! 14      4      sender protocol address   0.0.0.0
//! 18      6      target hardware address   zero
//! 24      4      target protocol address   the address asked for
//! ```
//!
//! Whoever sends ARP of either kind *from* the address uses it. Both sockets need CAP_NET_RAW and are opened once, so
//! privileges may be dropped afterwards. When to ask and what an answer means is the caller's matter.

use crate::{interface, linux};
use nix::sys::socket::{LinkAddr, SockaddrIn, recvfrom};
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsRawFd;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use types::MacAddr;

const ARP_BYTES: usize = 28;
const ARP_REQUEST: [u8; 2] = [0, 1];
/// Hardware addresses of interfaces are asked for again after this.
const MACS_HOLD: Duration = Duration::from_secs(10);
const ECHO_REQUEST: u8 = 8;
const ECHO_REPLY: u8 = 0;
const PROTOCOL_ICMP: u8 = 1;

/// Somebody uses an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InUse {
    /// The address.
    pub address: Ipv4Addr,
    /// Who, where ARP told.
    pub mac: Option<MacAddr>,
    /// The interface it was heard on, kernel index; 0 behind a relay.
    pub interface_index: u32,
}

/// Asks for addresses and hears who uses them.
#[derive(Debug)]
pub struct Prober {
    arp: AsyncFd<Socket>,
    icmp: AsyncFd<Socket>,
    /// Tells our echoes from those of others on this machine.
    ident: u16,
    macs: Mutex<Option<(Instant, HashMap<u32, MacAddr>)>>,
}

impl Prober {
    /// Opens both sockets. Needs a running tokio runtime.
    ///
    /// # Errors
    /// Without CAP_NET_RAW.
    pub fn open() -> io::Result<Prober> {
        let protocol = Protocol::from(i32::from(linux::ARP_ETHERTYPE.to_be()));
        let arp = Socket::new(Domain::PACKET, Type::DGRAM, Some(protocol))?;
        let icmp = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4))?;
        arp.set_nonblocking(true)?;
        icmp.set_nonblocking(true)?;
        let ident = u16::try_from(std::process::id() & 0xffff).unwrap_or(0);
        let macs = Mutex::default();
        Ok(Prober { arp: linux::watch(arp)?, icmp: linux::watch(icmp)?, ident, macs })
    }

    /// Asks by ARP on an interface. Does not wait.
    ///
    /// # Errors
    /// When the interface has no hardware address, or what the kernel reports.
    pub fn ask_arp(&self, interface_index: u32, address: Ipv4Addr) -> io::Result<()> {
        let own = self.mac(interface_index).ok_or(io::ErrorKind::AddrNotAvailable)?;
        let to = MacAddr([0xff; 6]);
        linux::send_ethernet(
            self.arp.get_ref().as_raw_fd(),
            linux::ARP_ETHERTYPE,
            interface_index,
            to,
            &request(own, address),
        )
    }

    /// Asks by ICMP echo, by route. Does not wait.
    ///
    /// # Errors
    /// What the kernel reports.
    pub fn ask_echo(&self, source: Ipv4Addr, address: Ipv4Addr) -> io::Result<()> {
        let origin = linux::Origin { interface_index: 0, source: Some(source) };
        let packet = echo(self.ident);
        let to = SocketAddrV4::new(address, 0);
        linux::send(self.icmp.get_ref().as_raw_fd(), &[io::IoSlice::new(&packet)], None, origin, to)
    }

    /// Waits for the next sign that an address is in use: any, not only those asked for.
    ///
    /// # Errors
    /// What the kernel reports; the sockets stay usable.
    pub async fn hear(&self) -> io::Result<InUse> {
        loop {
            let heard = tokio::select! {
                heard = self.arp.async_io(Interest::READABLE, hear_arp) => heard?,
                heard = self.icmp.async_io(Interest::READABLE, |socket| hear_echo(socket, self.ident)) => heard?,
            };
            if let Some(heard) = heard {
                return Ok(heard);
            }
        }
    }

    fn mac(&self, interface_index: u32) -> Option<MacAddr> {
        let now = Instant::now();
        let mut known = self.macs.lock().unwrap_or_else(PoisonError::into_inner);
        match known.as_ref() {
            Some((since, macs)) if now.duration_since(*since) < MACS_HOLD => {
                macs.get(&interface_index).copied()
            }
            _ => {
                let macs: HashMap<u32, MacAddr> = interface::list()
                    .unwrap_or_default()
                    .into_iter()
                    .filter_map(|own| Some((own.index, own.mac?)))
                    .collect();
                let own = macs.get(&interface_index).copied();
                *known = Some((now, macs));
                own
            }
        }
    }
}

fn request(own: MacAddr, address: Ipv4Addr) -> Vec<u8> {
    let mut packet = Vec::with_capacity(ARP_BYTES);
    packet.extend([0, 1, 8, 0, 6, 4]);
    packet.extend(ARP_REQUEST);
    packet.extend(own.0);
    packet.extend(Ipv4Addr::UNSPECIFIED.octets());
    packet.extend([0; 6]);
    packet.extend(address.octets());
    packet
}

/// Who sends an ARP packet, and from which address. `None` for probes and what is no ARP for IPv4 over Ethernet.
fn sender(packet: &[u8]) -> Option<(MacAddr, Ipv4Addr)> {
    let (head, rest) = packet.split_first_chunk::<8>()?;
    let (mac, rest) = rest.split_first_chunk::<6>()?;
    let (address, _) = rest.split_first_chunk::<4>()?;
    let known = head.starts_with(&[0, 1, 8, 0, 6, 4, 0]) && packet.len() >= ARP_BYTES;
    let address = Ipv4Addr::from(*address);
    (known && !address.is_unspecified()).then_some((MacAddr(*mac), address))
}

fn hear_arp(socket: &Socket) -> io::Result<Option<InUse>> {
    let mut buffer = [0; 64];
    let (len, from) = recvfrom::<LinkAddr>(socket.as_raw_fd(), &mut buffer)?;
    let interface_index = from.and_then(|from| u32::try_from(from.ifindex()).ok()).unwrap_or(0);
    let heard = sender(buffer.get(..len).unwrap_or_default());
    Ok(heard.map(|(mac, address)| InUse { address, mac: Some(mac), interface_index }))
}

/// ICMP echo request (RFC 792): type, code, checksum, identifier, sequence.
fn echo(ident: u16) -> [u8; 8] {
    let [high, low] = ident.to_be_bytes();
    let sum = u32::from(ECHO_REQUEST) << 8;
    let sum = sum + u32::from(ident);
    let checksum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap_or(u16::MAX);
    let [sum_high, sum_low] = checksum.to_be_bytes();
    [ECHO_REQUEST, 0, sum_high, sum_low, high, low, 0, 0]
}

/// True for an answer to one of our echoes. A raw socket delivers the IP header too.
fn is_echo_reply(packet: &[u8], ident: u16) -> bool {
    let header = packet.first().map_or(0, |first| usize::from(first & 0x0f) * 4);
    let icmp = packet.get(9) == Some(&PROTOCOL_ICMP);
    match packet.get(header..) {
        Some([ECHO_REPLY, 0, _, _, high, low, ..]) => icmp && [*high, *low] == ident.to_be_bytes(),
        _ => false,
    }
}

fn hear_echo(socket: &Socket, ident: u16) -> io::Result<Option<InUse>> {
    let mut buffer = [0; 128];
    let (len, from) = recvfrom::<SockaddrIn>(socket.as_raw_fd(), &mut buffer)?;
    let heard = is_echo_reply(buffer.get(..len).unwrap_or_default(), ident);
    let from = from.filter(|_| heard);
    Ok(from.map(|from| InUse { address: from.ip(), mac: None, interface_index: 0 }))
}

#[cfg(test)]
mod tests;
