//! The DHCP ports, 67 and 4011.
//!
//! How each reply leaves, tried in private namespaces:
//! - by route: `IP_PKTINFO` sets our source address;
//! - by broadcast: `IP_PKTINFO` names the interface, which needs neither a route nor a capability;
//! - to a hardware address: our own IPv4 and UDP header through `AF_PACKET`, no ARP and no neighbour entry left
//!   behind. Without CAP_NET_RAW, or where the interface refuses the frame, the reply is broadcast instead: every
//!   client listens for that (RFC 2131 §4.1).

use crate::error::{BindError, SendError};
use crate::frame;
use crate::linux;
use crate::listener::Listener;
use socket2::{Domain, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::AsRawFd;
use std::sync::Once;
use types::{Arrival, Destination, Transmit};

/// One DHCP port, on one interface or on all.
#[derive(Debug)]
pub struct DhcpSocket {
    listener: Listener,
    frames: Option<Socket>,
}

impl DhcpSocket {
    /// Binds 0.0.0.0 and `port`, tied to `interface` when one is named. Several interfaces can each have a socket on
    /// the same port. Also opens the socket for replies to bare hardware addresses, so privileges may be dropped
    /// afterwards.
    ///
    /// # Errors
    /// When the interface is unknown, the port is taken, or the right to it is missing.
    pub fn bind(interface: Option<&str>, port: u16) -> Result<DhcpSocket, BindError> {
        let listener = Listener::bind("DHCP", SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port), interface)?;
        let frames = match frame_socket() {
            Ok(socket) => Some(socket),
            Err(error) => {
                static SAID: Once = Once::new();
                SAID.call_once(|| {
                    tracing::warn!(%error, "no CAP_NET_RAW: machines without an address are answered by broadcast");
                });
                None
            }
        };
        Ok(DhcpSocket { listener, frames })
    }

    /// The port, as bound.
    pub fn port(&self) -> u16 {
        self.listener.address().port()
    }

    /// True when replies to a bare hardware address are possible.
    pub fn can_frame(&self) -> bool {
        self.frames.is_some()
    }

    /// Datagrams dropped because they were longer than the caller's buffer.
    pub fn truncated(&self) -> u64 {
        self.listener.truncated()
    }

    /// Waits for the next datagram. Broadcasts from machines without an address arrive like any other.
    /// `Arrival::local` is 0.0.0.0 when the interface has no IPv4 address: such a request cannot be answered.
    ///
    /// # Errors
    /// What the kernel reports (for example a link that went down); the socket stays usable.
    pub async fn recv(&self, buffer: &mut [u8]) -> io::Result<(usize, Arrival)> {
        self.listener.recv(buffer).await
    }

    /// The next datagram if one is waiting, to fill a batch.
    ///
    /// # Errors
    /// `WouldBlock` when none waits, else what the kernel reports.
    pub fn try_recv(&self, buffer: &mut [u8]) -> io::Result<(usize, Arrival)> {
        self.listener.try_recv(buffer)
    }

    /// Sends one reply. Its source port is this socket's: give a `Transmit` to the socket its request came from.
    ///
    /// # Errors
    /// When the payload is too long or the kernel refuses; nothing was sent then.
    pub async fn send(&self, transmit: &Transmit) -> Result<(), SendError> {
        if transmit.payload.len() > frame::PAYLOAD_BYTES_MAX {
            return Err(SendError::TooLong { bytes: transmit.payload.len() });
        }
        match transmit.destination {
            Destination::Unicast(to) => self
                .listener
                .send(&transmit.payload, *transmit.source.ip(), transmit.interface_index, to)
                .await
                .map_err(|source| SendError::Unicast { to: SocketAddr::V4(to), source }),
            Destination::Broadcast(port) => self.broadcast(transmit, port).await,
            Destination::Hardware { mac, to } => {
                if let (Some(frames), Some(packet)) =
                    (&self.frames, frame::ipv4_udp(transmit.source, to, &transmit.payload))
                {
                    let sent = linux::send_ethernet(
                        frames.as_raw_fd(),
                        linux::IPV4_ETHERTYPE,
                        transmit.interface_index,
                        mac,
                        &packet,
                    );
                    match sent {
                        Ok(()) => return Ok(()),
                        Err(error) => tracing::debug!(%error, %mac, "frame refused, broadcasting instead"),
                    }
                }
                self.broadcast(transmit, to.port()).await
            }
        }
    }

    async fn broadcast(&self, transmit: &Transmit, port: u16) -> Result<(), SendError> {
        let to = SocketAddrV4::new(Ipv4Addr::BROADCAST, port);
        self.listener
            .send(&transmit.payload, *transmit.source.ip(), transmit.interface_index, to)
            .await
            .map_err(|source| SendError::Broadcast { interface_index: transmit.interface_index, source })
    }
}

/// Sends only: with protocol 0 the kernel delivers nothing to it.
fn frame_socket() -> io::Result<Socket> {
    let socket = Socket::new(Domain::PACKET, Type::DGRAM, None)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests;
