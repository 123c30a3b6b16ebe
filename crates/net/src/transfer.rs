//! The socket of one TFTP transfer: bound to the address the request was sent to, on a fresh port.
//!
//! Not connected, so that a stranger's packet reaches us and can be told off with ERROR 5 (RFC 1350 §4).

use crate::error::BindError;
use crate::linux::{self, Origin};
use crate::listener::open;
use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// The kernel cuts at most 64 segments from one send (`UDP_MAX_SEGMENTS` of every kernel with offload).
pub const BURST_SEGMENTS_MAX: usize = 64;
/// 65,535 − 20 IP − 8 UDP: what one send may hold in all.
pub const BURST_BYTES_MAX: usize = 65_507;

/// The longest IP packet the route from `local` to `to` takes whole: the MTU of its interface, or less where the route says
/// so. 68..=65,536.
///
/// # Errors
/// When there is no route.
pub fn route_mtu(local: Ipv4Addr, interface: Option<&str>, to: SocketAddrV4) -> io::Result<u32> {
    let socket = open(SocketAddrV4::new(local, 0), interface)?;
    // Sends nothing: it only looks the route up.
    socket.connect(&SocketAddr::V4(to).into())?;
    let mtu = nix::sys::socket::getsockopt(&socket, nix::sys::socket::sockopt::IpMtu)?;
    u32::try_from(mtu).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// One datagram as header and payload, so that the payload is never copied in user space.
pub type Segment<'a> = [IoSlice<'a>; 2];

/// A UDP socket for one transfer.
#[derive(Debug)]
pub struct TransferSocket {
    socket: UdpSocket,
    address: SocketAddrV4,
    offload: AtomicBool,
}

impl TransferSocket {
    /// Binds a fresh random port of `local`, tied to `interface` when one is named.
    ///
    /// # Errors
    /// When `local` is no longer ours or we are out of ports or files.
    pub fn bind(local: Ipv4Addr, interface: Option<&str>) -> Result<TransferSocket, BindError> {
        let wanted = SocketAddrV4::new(local, 0);
        let fault = |source| BindError {
            service: "a TFTP transfer",
            address: SocketAddr::V4(wanted),
            interface: interface.map(Arc::from),
            source,
        };
        let socket = open(wanted, interface).map_err(fault)?;
        let socket = UdpSocket::from_std(socket.into()).map_err(fault)?;
        let address = match socket.local_addr().map_err(fault)? {
            SocketAddr::V4(bound) => bound,
            SocketAddr::V6(_) => wanted,
        };
        Ok(TransferSocket { socket, address, offload: AtomicBool::new(true) })
    }

    /// Our address and port: the transfer identifier the client sees.
    pub fn address(&self) -> SocketAddrV4 {
        self.address
    }

    /// False once the kernel or the path refused offload; every segment is then a send of its own.
    pub fn offload(&self) -> bool {
        self.offload.load(Ordering::Relaxed)
    }

    /// Turns offload off for good.
    pub fn disable_offload(&self) {
        self.offload.store(false, Ordering::Relaxed);
    }

    /// Waits for the next datagram, whoever sent it. A datagram longer than the buffer is cut.
    ///
    /// # Errors
    /// What the kernel reports; the socket stays usable.
    pub async fn recv(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddrV4)> {
        loop {
            if let (bytes, SocketAddr::V4(from)) = self.socket.recv_from(buffer).await? {
                return Ok((bytes, from));
            }
        }
    }

    /// The next datagram if one is waiting.
    ///
    /// # Errors
    /// `WouldBlock` when none waits, else what the kernel reports.
    pub fn try_recv(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddrV4)> {
        loop {
            if let (bytes, SocketAddr::V4(from)) = self.socket.try_recv_from(buffer)? {
                return Ok((bytes, from));
            }
        }
    }

    /// Sends one datagram.
    ///
    /// # Errors
    /// What the kernel reports.
    pub async fn send(&self, payload: &[u8], to: SocketAddrV4) -> io::Result<()> {
        self.socket.send_to(payload, SocketAddr::V4(to)).await.map(|_| ())
    }

    /// Sends datagrams of `segment_bytes` each (header and payload together; only the last may be shorter), as few
    /// system calls as the kernel allows. Longer bursts are split at [`BURST_SEGMENTS_MAX`] and [`BURST_BYTES_MAX`].
    ///
    /// When the kernel refuses offload (no checksum offload on the interface: EIO; segments longer than the MTU:
    /// EINVAL or EMSGSIZE; old kernel: ENOPROTOOPT) it is turned off for this socket and every segment sent alone.
    ///
    /// # Errors
    /// What the kernel reports for the first segment that did not leave; the rest is not sent.
    pub async fn send_segments(
        &self,
        segments: &[Segment<'_>],
        segment_bytes: u16,
        to: SocketAddrV4,
    ) -> io::Result<()> {
        send_burst(&self.socket, &self.offload, segments, segment_bytes, Origin::default(), to).await
    }
}

pub(crate) async fn send_burst(
    socket: &UdpSocket,
    offload: &AtomicBool,
    segments: &[Segment<'_>],
    segment_bytes: u16,
    origin: Origin,
    to: SocketAddrV4,
) -> io::Result<()> {
    let per_burst = (BURST_BYTES_MAX / usize::from(segment_bytes.max(1))).clamp(1, BURST_SEGMENTS_MAX);
    let fd = socket.as_raw_fd();
    for burst in segments.chunks(per_burst) {
        if burst.len() > 1 && offload.load(Ordering::Relaxed) {
            let parts = burst.as_flattened();
            let sent = socket
                .async_io(Interest::WRITABLE, || linux::send(fd, parts, Some(segment_bytes), origin, to))
                .await;
            match sent {
                Ok(()) => continue,
                Err(error) if refuses_offload(&error) => {
                    offload.store(false, Ordering::Relaxed);
                    tracing::debug!(%error, %to, segment_bytes, "no segmentation offload for this transfer");
                }
                Err(error) => return Err(error),
            }
        }
        for segment in burst {
            socket.async_io(Interest::WRITABLE, || linux::send(fd, segment, None, origin, to)).await?;
        }
    }
    Ok(())
}

fn refuses_offload(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EIO | libc::EINVAL | libc::ENOPROTOOPT | libc::EMSGSIZE | libc::EOPNOTSUPP)
    )
}

#[cfg(test)]
mod tests;
