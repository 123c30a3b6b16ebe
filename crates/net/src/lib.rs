//! UDP for a boot server: arrival interface and local address on receive, replies to a bare MAC, segmentation
//! offload on send.
//!
//! What each door gets:
//! - [`DhcpSocket`]: one per interface and port. Replies by route, by broadcast on one interface, or framed to a
//!   hardware address that has no IP address yet.
//! - [`Listener`]: the TFTP port. Tells which of our addresses was asked, so that the answer comes from it.
//! - [`TransferSocket`]: one TFTP transfer. A whole window leaves with one system call.
//! - [`Prober`]: asks whether an address is in use, by ARP and ICMP echo.
//! - [`interface`]: what is plugged in. [`neighbours`]: which card is at an address.
//!
//! What is deliberately absent: protocols, retries, decisions. IPv4 only for now; every signature that names an
//! address takes the `SocketAddrV4` of `types::Arrival`.
//!
//! Linux only: `IP_PKTINFO`, `SO_BINDTODEVICE`, `AF_PACKET`, `UDP_SEGMENT`. The `unsafe` items are in `linux`.

mod dhcp;
mod error;
mod frame;
pub mod interface;
mod linux;
mod listener;
pub mod neighbours;
mod probe;
mod transfer;

pub use dhcp::DhcpSocket;
pub use error::{BindError, SendError};
pub use listener::Listener;
pub use probe::{InUse, Prober};
pub use transfer::{BURST_BYTES_MAX, BURST_SEGMENTS_MAX, Segment, TransferSocket, route_mtu};

#[cfg(test)]
mod testing;
