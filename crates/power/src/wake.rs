//! Sends magic packets: UDP to broadcast addresses, several times, unanswered. [`targets`] says where to, without a socket.
//!
//! A switched-off machine has no address, and after minutes no switch knows its port: only a broadcast gets there. The packet
//! leaves by the interface whose subnet it is for, from that interface's address.

use crate::limits::{WAKE_PAUSE, WAKE_REPEATS, WAKE_TARGETS_MAX};
use crate::spec::WolSpec;
use crate::wol::{PORT, SecureOn, magic_packet};
use net::interface::Interface;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use tokio::net::UdpSocket;
use types::MacAddr;

/// One broadcast address, and whom it is reached by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// Interface of that subnet; `None` where the routing table decides.
    pub interface: Option<Arc<str>>,
    /// Our address there; unspecified where the routing table decides.
    pub source: Ipv4Addr,
    /// Broadcast address and port.
    pub to: SocketAddrV4,
}

/// A packet left.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Woken {
    /// Whom it is for.
    pub mac: MacAddr,
    /// Where it went, several times each.
    pub targets: Vec<Target>,
    /// What did not work beside it.
    pub notes: Vec<String>,
}

/// Why no packet left.
#[derive(Debug, thiserror::Error)]
pub enum WakeError {
    /// The kernel does not tell its interfaces.
    #[error("cannot list the interfaces of this machine")]
    List(#[source] io::Error),
    /// The name is wrong.
    #[error("there is no interface `{name}`; there are {known}")]
    NoInterface {
        /// The name.
        name: String,
        /// Those there are.
        known: String,
    },
    /// It is off.
    #[error("interface `{0}` is down")]
    Down(Arc<str>),
    /// It has no subnet to broadcast to.
    #[error("interface `{0}` has no IPv4 subnet with a broadcast address")]
    NoSubnet(Arc<str>),
    /// No interface of all.
    #[error("no interface of this machine is up and has an IPv4 subnet with a broadcast address")]
    Nowhere,
    /// The machine has no address to wake.
    #[error("the host has no MAC address to wake")]
    NoMac,
    /// The address is nobody's.
    #[error("{0} is no network card's own address")]
    GroupMac(MacAddr),
    /// The password is none.
    #[error("the SecureOn password is none")]
    Password(#[source] crate::wol::NoSecureOn),
    /// The socket said no.
    #[error("cannot send a magic packet to {to}{by}", by = interface.as_ref().map_or_else(String::new, |name| format!(" by interface `{name}`")))]
    Send {
        /// Broadcast address and port.
        to: SocketAddrV4,
        /// The interface.
        interface: Option<Arc<str>>,
        /// What the kernel said.
        source: io::Error,
    },
}

impl WakeError {
    /// The stable reason code.
    pub fn reason(&self) -> &'static str {
        match self {
            WakeError::NoInterface { .. } => "interface_unknown",
            WakeError::Down(_) => "interface_down",
            WakeError::NoSubnet(_) | WakeError::Nowhere => "no_broadcast",
            WakeError::NoMac | WakeError::GroupMac(_) => "no_mac",
            WakeError::Password(_) => "password_malformed",
            WakeError::List(_) | WakeError::Send { .. } => "send_failed",
        }
    }

    /// What to do about it.
    pub fn fix(&self) -> String {
        match self {
            WakeError::List(_) => "try again; the appliance's log has more".to_owned(),
            WakeError::NoInterface { .. } => "correct `power.wol.interface`".to_owned(),
            WakeError::Down(name) => format!("ip link set {name} up"),
            WakeError::NoSubnet(name) => {
                format!("give `{name}` an address of the machine's subnet, or name `power.wol.broadcast`")
            }
            WakeError::Nowhere => {
                "name `power.wol.broadcast`, the broadcast address of the machine's subnet".to_owned()
            }
            WakeError::NoMac | WakeError::GroupMac(_) => {
                "give the address of its network card: `match.mac` of the host, or `power.wol.mac`".to_owned()
            }
            WakeError::Password(error) => error.fix().to_owned(),
            WakeError::Send { source, .. } => match source.kind() {
                io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
                    "no route leads there: name `power.wol.interface`, or add the route".to_owned()
                }
                io::ErrorKind::PermissionDenied => {
                    "a packet filter refuses it, or the address is no broadcast address: check both"
                        .to_owned()
                }
                _ => "check the interface: ip addr".to_owned(),
            },
        }
    }
}

/// Where a packet goes.
///
/// 1. a named interface → each of its subnets; with a named broadcast address → that one, from the interface's address ·
/// 2. a named broadcast address alone → that one, as routes have it · 3. nothing → each subnet of every interface that is up
///
/// # Errors
/// When there is nowhere to send to.
pub fn targets(interfaces: &[Interface], spec: &WolSpec) -> Result<Vec<Target>, WakeError> {
    let port = spec.port.map_or(PORT, std::num::NonZeroU16::get);
    if let Some(name) = &spec.interface {
        let Some(interface) = interfaces.iter().find(|interface| *interface.name == **name) else {
            let known: Vec<&str> = interfaces.iter().map(|interface| &*interface.name).collect();
            return Err(WakeError::NoInterface { name: name.clone(), known: known.join(", ") });
        };
        if !interface.up {
            return Err(WakeError::Down(interface.name.clone()));
        }
        let found = match spec.broadcast {
            Some(broadcast) => interface
                .ipv4
                .first()
                .map(|own| Target {
                    interface: Some(interface.name.clone()),
                    source: own.addr(),
                    to: SocketAddrV4::new(broadcast, port),
                })
                .into_iter()
                .collect(),
            None => subnets(interface, port),
        };
        if found.is_empty() {
            return Err(WakeError::NoSubnet(interface.name.clone()));
        }
        return Ok(found);
    }
    if let Some(broadcast) = spec.broadcast {
        let to = SocketAddrV4::new(broadcast, port);
        return Ok(vec![Target { interface: None, source: Ipv4Addr::UNSPECIFIED, to }]);
    }
    let mut found: Vec<Target> = interfaces
        .iter()
        .filter(|interface| interface.up && !interface.loopback && interface.broadcast)
        .flat_map(|interface| subnets(interface, port))
        .collect();
    found.truncate(WAKE_TARGETS_MAX);
    if found.is_empty() { Err(WakeError::Nowhere) } else { Ok(found) }
}

/// RFC 3021: a /31 has no broadcast address, nor has a host route.
fn subnets(interface: &Interface, port: u16) -> Vec<Target> {
    interface
        .ipv4
        .iter()
        .filter(|own| own.prefix_len() < 31)
        .map(|own| Target {
            interface: Some(interface.name.clone()),
            source: own.addr(),
            to: SocketAddrV4::new(own.broadcast(), port),
        })
        .collect()
}

/// Sends the packet to each target, [`WAKE_REPEATS`] times. Whether anybody woke is not known.
///
/// # Errors
/// When it left for none of them.
pub async fn wake(mac: MacAddr, password: Option<&SecureOn>, targets: &[Target]) -> Result<Woken, WakeError> {
    if !mac.is_unicast() {
        return Err(WakeError::GroupMac(mac));
    }
    let packet = magic_packet(mac, password);
    let (mut sent, mut failed) = (Vec::new(), Vec::new());
    for target in targets {
        match send(&packet, target).await {
            Ok(()) => sent.push(target.clone()),
            Err(source) => {
                failed.push(WakeError::Send { to: target.to, interface: target.interface.clone(), source })
            }
        }
    }
    if sent.is_empty() {
        return Err(failed.into_iter().next().unwrap_or(WakeError::Nowhere));
    }
    let notes = failed.iter().map(|error| crate::error::chain(error)).collect();
    tracing::debug!(%mac, targets = sent.len(), "magic packets left");
    Ok(Woken { mac, targets: sent, notes })
}

async fn send(packet: &[u8], target: &Target) -> io::Result<()> {
    let socket = UdpSocket::bind(SocketAddrV4::new(target.source, 0)).await?;
    socket.set_broadcast(true)?;
    for round in 0..WAKE_REPEATS {
        if round > 0 {
            tokio::time::sleep(WAKE_PAUSE).await;
        }
        let sent = socket.send_to(packet, target.to).await?;
        if sent != packet.len() {
            return Err(io::ErrorKind::WriteZero.into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
