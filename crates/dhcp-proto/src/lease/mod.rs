//! Who has which address: one [`Table`] per subnet.
//!
//! ```text
//!            offer            bind                deadline
//!   free ──────────► held ──────────► bound ─────────────────► remembered ─── offer to anyone, oldest first ──► held
//!    ▲                │                 │  release ───────────────▲   └──── its own client comes back ───────► held
//!    └── hold lapses ─┘                 │  decline
//!    ▲                                  ▼
//!    └──────── deadline ─────────── quarantined
//! ```
//!
//! Invariants, checked by `table/tests.rs` against a plain model: an address has at most one live owner; a held address
//! is offered to nobody else; a quarantined, excluded, reserved-for-another or own address is never given.
//!
//! Expiry is written in wall time ([`types::lease::LeaseRecord::expires`]) and runs on the monotonic clock: a step of the wall clock
//! neither frees a live lease nor keeps a dead one. Records loaded at start are anchored to the first moment seen.
//!
//! A *machine* is known by its client identifier and, within a subnet, by its hardware address: the same board speaks
//! as ROM, iPXE and operating system with up to three identifiers and keeps one lease (see [`Client::is_machine_of`]).
//! DIVERGES RFC 2131 §4.2, which keys by client identifier alone: a /24 would run dry within days of boot cycles.
//!
//! Before an address is offered that is not its client's own, somebody may ask whether another machine answers there
//! ([`Table::needs_probe`]); a hold remembers that nobody did, and [`Table::conflict`] takes what was found in use.
//!
//! Deliberately absent: packets, subnet selection, the store, asking.

mod holds;
pub mod pool;
pub mod table;

pub use pool::Pool;
pub use table::{Conflicted, Refusal, Table};

use std::sync::Arc;
use types::lease::{ClientKey, LeaseRecord};
use types::{MacAddr, MachineGuid};

/// Whoever asks for an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Client {
    /// Option 61, else the hardware address.
    pub key: ClientKey,
    /// Hardware address; `None` when it is no Ethernet address or nobody's own.
    pub mac: Option<MacAddr>,
    /// GUID, for the record only.
    pub guid: Option<MachineGuid>,
    /// Host name, for the record only.
    pub hostname: Option<Arc<str>>,
    /// Option 82 as received, kept for renewals that bypass the relay (RFC 3046 §2.2).
    pub relay_info: Option<Arc<[u8]>>,
    /// The operator has a host record of it: what is kept back for known machines is for this one too.
    pub recorded: bool,
}

impl Client {
    /// True when the record is this client's, or the same board's under another identifier.
    pub fn is_machine_of(&self, record: &LeaseRecord) -> bool {
        record.key == self.key || (self.mac.is_some() && record.mac == self.mac)
    }
}
