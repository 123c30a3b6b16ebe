//! The TFTP door: sockets and timers around [`tftp_proto::Transfer`].
//!
//! ```text
//! Listener (69) ─► source sane? ─► rates ─► request sound? caps? ─► one task per transfer ─► its own socket
//!                                              │ same machine, same request: joins   poll · send · wait, until done
//! ```
//!
//! It decides nothing: what a name means is the boot tree's matter ([`Files`]), what is sent when is the state
//! machine's. Files are opened on the blocking pool, a few at a time; content is sent from where it lies, a window per
//! system call.
//!
//! What is deliberately absent: writing (refused with code 2), IPv6, waiting for any network to answer a request.
//!
//! Invariants: an ERROR is never answered; a datagram from a stranger never disturbs a transfer; a flood of forged
//! requests costs a bounded number of sessions and never one that has been answered.

mod admission;
mod counters;
mod drive;
mod files;
mod limits;
mod listen;
mod sessions;

pub use counters::{Counters, CountersSnapshot};
pub use files::{File, Files, Refusal};
pub use listen::TftpDoor;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use tftp_proto::Policy;
use tftp_proto::limits as protocol;

/// One place to listen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TftpListen {
    /// Our address; 0.0.0.0 for all, each answered from the address asked.
    pub address: Ipv4Addr,
    /// Tied to this interface.
    pub interface: Option<Arc<str>>,
    /// 69; 0 takes a free one.
    pub port: u16,
}

impl TftpListen {
    /// Port 69 of `address`, on any interface.
    pub fn on(address: Ipv4Addr) -> TftpListen {
        TftpListen { address, interface: None, port: 69 }
    }
}

/// Settings of the door.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TftpOptions {
    /// Where to listen.
    pub listen: Vec<TftpListen>,
    /// Largest block granted, 8..=65464.
    pub max_blksize: u16,
    /// Largest window granted, in blocks.
    pub windowsize_max: u16,
    /// Cap on window × block of one transfer, in bytes.
    pub in_flight_bytes_max: u32,
    /// Answer from the listening port instead of a fresh one per transfer: for firewalls, against RFC 1350 §4. Nothing then
    /// tells a forged ACK from a true one, so clients that are neither on-link nor known get windows of one block.
    pub single_port: bool,
    /// Transfers at once, of all machines.
    pub transfers_max: usize,
    /// Transfers at once of one address. Machines behind one NAT share it.
    pub per_source_max: usize,
    /// Files being opened at once; further requests wait.
    pub opens_max: usize,
    /// A request whose file is not open by then is dropped without an answer; the client asks again or is gone.
    pub open_patience: Duration,
    /// After shutdown began, running transfers have this long.
    pub shutdown_grace: Duration,
}

impl Default for TftpOptions {
    fn default() -> TftpOptions {
        TftpOptions {
            listen: vec![TftpListen::on(Ipv4Addr::UNSPECIFIED)],
            max_blksize: protocol::BLKSIZE_ETHERNET_MAX,
            windowsize_max: protocol::WINDOWSIZE_DEFAULT_MAX,
            in_flight_bytes_max: protocol::IN_FLIGHT_BYTES_DEFAULT_MAX,
            single_port: false,
            transfers_max: 2048,
            per_source_max: 64,
            opens_max: 16,
            open_patience: Duration::from_secs(10),
            shutdown_grace: Duration::from_secs(3),
        }
    }
}

impl TftpOptions {
    pub(crate) fn policy(&self) -> Policy {
        Policy {
            blksize_max: self.max_blksize,
            windowsize_max: self.windowsize_max,
            in_flight_bytes_max: self.in_flight_bytes_max,
        }
    }
}

#[cfg(test)]
mod tests;
