//! A committed lease, as it is stored and as the table keeps it.

use crate::{MacAddr, MachineGuid, UnixTime};
use std::net::Ipv4Addr;
use std::sync::Arc;

/// Whom a lease belongs to: option 61 when the client sends one of at least two bytes, else hardware type and address
/// (RFC 2131 §4.2, RFC 2132 §9.14).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum ClientKey {
    /// Opaque bytes of option 61, 2..=255 long.
    ClientId(Arc<[u8]>),
    /// `htype` and the first `hlen` bytes of `chaddr`.
    Hardware {
        /// Hardware type, 1 for Ethernet.
        htype: u8,
        /// 0..=16 bytes.
        address: Arc<[u8]>,
    },
}

/// What holds an address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LeaseState {
    /// Acknowledged to its client until it expires.
    Bound,
    /// Given back by its client; remembered so that the same client gets it again.
    Released,
    /// Declined or found in use by another: offered to nobody until it expires.
    Quarantined,
}

/// One address and who has it. The store keeps exactly this, keyed by address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeaseRecord {
    /// The address.
    pub address: Ipv4Addr,
    /// Name of the subnet it belongs to.
    pub subnet: Arc<str>,
    /// Whom it belongs to.
    pub key: ClientKey,
    /// Hardware address at the last exchange, when it is Ethernet.
    pub mac: Option<MacAddr>,
    /// GUID at the last exchange.
    pub guid: Option<MachineGuid>,
    /// Host name the client gave, cleaned.
    pub hostname: Option<Arc<str>>,
    /// What holds the address.
    pub state: LeaseState,
    /// First acknowledged.
    pub granted: UnixTime,
    /// End of the lease or of the quarantine; `UnixTime(u64::MAX)` is infinite.
    pub expires: UnixTime,
    /// Option 82 at bind time, raw: the policy for a renewal that bypasses the relay (RFC 3046 §2.2).
    pub relay_info: Option<Arc<[u8]>>,
}
