//! A UDP port that knows on which interface and address each datagram arrived.

use crate::error::BindError;
use crate::linux::{self, Origin};
use crate::transfer::{Segment, send_burst};
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use types::Arrival;

/// Room for a burst of a few thousand requests at power-on; the kernel grants less without CAP_NET_ADMIN.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;
/// Interfaces come and go and are renamed: a name is asked for again after this.
const NAME_HOLD: Duration = Duration::from_secs(10);
const NAMES_MAX: usize = 256;

/// A bound UDP port. Every datagram comes with its [`Arrival`].
#[derive(Debug)]
pub struct Listener {
    socket: UdpSocket,
    address: SocketAddrV4,
    names: Mutex<HashMap<u32, (Arc<str>, Instant)>>,
    offload: AtomicBool,
    truncated: AtomicU64,
}

impl Listener {
    /// Binds `address`, tied to `interface` when one is named. Port 0 takes a free one.
    ///
    /// `SO_REUSEADDR` is left off on purpose: sockets tied to different interfaces do not collide, and a second
    /// server on the same one must be an error, not a silent split of the requests.
    ///
    /// # Errors
    /// When the interface is unknown, the port is taken, or the right to it is missing.
    pub fn bind(
        service: &'static str,
        address: SocketAddrV4,
        interface: Option<&str>,
    ) -> Result<Listener, BindError> {
        let fault = |source| BindError {
            service,
            address: SocketAddr::V4(address),
            interface: interface.map(Arc::from),
            source,
        };
        let socket = open(address, interface).map_err(fault)?;
        socket.set_broadcast(true).map_err(fault)?;
        nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::Ipv4PacketInfo, &true)
            .map_err(|errno| fault(errno.into()))?;
        enlarge_receive_buffer(&socket);
        let socket = UdpSocket::from_std(socket.into()).map_err(fault)?;
        let address = match socket.local_addr().map_err(fault)? {
            SocketAddr::V4(bound) => bound,
            SocketAddr::V6(_) => address,
        };
        Ok(Listener {
            socket,
            address,
            names: Mutex::default(),
            offload: AtomicBool::new(true),
            truncated: AtomicU64::new(0),
        })
    }

    /// The bound address, with the port the kernel chose when 0 was asked.
    pub fn address(&self) -> SocketAddrV4 {
        self.address
    }

    /// Datagrams dropped because they were longer than the caller's buffer.
    pub fn truncated(&self) -> u64 {
        self.truncated.load(Ordering::Relaxed)
    }

    /// Waits for the next datagram. `Arrival::local` is 0.0.0.0 when the interface has no IPv4 address.
    ///
    /// # Errors
    /// What the kernel reports; the socket stays usable.
    pub async fn recv(&self, buffer: &mut [u8]) -> io::Result<(usize, Arrival)> {
        loop {
            let received = self
                .socket
                .async_io(Interest::READABLE, || linux::receive(self.socket.as_raw_fd(), buffer))
                .await?;
            if let Some(found) = self.arrival(received) {
                return Ok(found);
            }
        }
    }

    /// The next datagram if one is waiting, to empty a batch without another wait.
    ///
    /// # Errors
    /// `WouldBlock` when none waits, else what the kernel reports.
    pub fn try_recv(&self, buffer: &mut [u8]) -> io::Result<(usize, Arrival)> {
        loop {
            let received =
                self.socket.try_io(Interest::READABLE, || linux::receive(self.socket.as_raw_fd(), buffer))?;
            if let Some(found) = self.arrival(received) {
                return Ok(found);
            }
        }
    }

    /// Sends one datagram from `source` (0.0.0.0: the kernel chooses) by the given interface (0: the route decides).
    ///
    /// # Errors
    /// What the kernel reports.
    pub async fn send(
        &self,
        payload: &[u8],
        source: Ipv4Addr,
        interface_index: u32,
        to: SocketAddrV4,
    ) -> io::Result<()> {
        let origin = Origin { interface_index, source: Some(source).filter(|own| !own.is_unspecified()) };
        let fd = self.socket.as_raw_fd();
        self.socket
            .async_io(Interest::WRITABLE, || linux::send(fd, &[IoSlice::new(payload)], None, origin, to))
            .await
    }

    /// Sends a burst from `source`, as [`TransferSocket::send_segments`](crate::TransferSocket::send_segments) does.
    ///
    /// # Errors
    /// What the kernel reports for the first segment that did not leave.
    pub async fn send_segments(
        &self,
        segments: &[Segment<'_>],
        segment_bytes: u16,
        source: Ipv4Addr,
        to: SocketAddrV4,
    ) -> io::Result<()> {
        let origin = Origin { interface_index: 0, source: Some(source).filter(|own| !own.is_unspecified()) };
        send_burst(&self.socket, &self.offload, segments, segment_bytes, origin, to).await
    }

    fn arrival(&self, received: linux::Received) -> Option<(usize, Arrival)> {
        if received.truncated {
            self.truncated.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let arrival = Arrival {
            interface_index: received.interface_index,
            interface: self.name(received.interface_index),
            local: received.local,
            sent_to: SocketAddrV4::new(received.sent_to, self.address.port()),
            remote: received.remote,
        };
        Some((received.bytes, arrival))
    }

    fn name(&self, index: u32) -> Arc<str> {
        let now = Instant::now();
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((name, since)) = names.get(&index)
            && now.duration_since(*since) < NAME_HOLD
        {
            return name.clone();
        }
        let name: Arc<str> = nix::net::if_::if_indextoname(index)
            .ok()
            .and_then(|name| name.into_string().ok())
            .unwrap_or_else(|| format!("if{index}"))
            .into();
        if names.len() >= NAMES_MAX {
            names.clear();
        }
        names.insert(index, (name.clone(), now));
        name
    }
}

/// A non-blocking UDP socket, tied to the interface before it is bound (afterwards it could collide).
pub(crate) fn open(address: SocketAddrV4, interface: Option<&str>) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    if let Some(interface) = interface {
        socket.bind_device(Some(interface.as_bytes()))?;
    }
    socket.bind(&SocketAddr::V4(address).into())?;
    Ok(socket)
}

fn enlarge_receive_buffer(socket: &Socket) {
    let forced =
        nix::sys::socket::setsockopt(socket, nix::sys::socket::sockopt::RcvBufForce, &RECEIVE_BUFFER_BYTES);
    if forced.is_err() {
        // Without CAP_NET_ADMIN net.core.rmem_max bounds it; a smaller buffer only drops sooner.
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
    }
}

#[cfg(test)]
mod tests;
