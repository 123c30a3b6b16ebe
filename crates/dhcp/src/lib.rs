//! The DHCP door: sockets around the responder, commit before send.
//!
//! ```text
//! reader per socket ─► queue ─► one task: take up to BATCH_MAX ► decide each ► one commit ► send ► record events
//! ```
//!
//! - An ACK leaves only after its lease is durable (RFC 2131 §3.1 step 4). A failed commit sends what the responder named
//!   as fallback, else nothing: the client tries again.
//! - Replies leave by the socket their request came in on: port 4011 answers from port 4011.
//! - An event that says a reply left is recorded after it has left.
//! - An offer whose address has to be asked for first waits by itself (`probing`); everybody else goes on.
//! - What clock the leases are dated by is stored with them (`clock`).
//! - The queue is bounded; behind it the kernel's socket buffer fills and drops. ROMs try again.
//!
//! Deliberately absent: every decision. They are `dhcp_proto`'s.

mod clock;
mod commit;
mod counters;
mod probing;
mod serve;
#[cfg(test)]
mod testing;

pub use clock::lease_clock;
pub use commit::{LeaseBatch, LeaseLog, LeaseLogError, StoreLog};
pub use counters::Counters;
pub use serve::{Door, Handle, Listen, Wiring, now};

/// Datagrams decided between two commits. A power-on of a whole rack fits; the disk is flushed once for all of them.
pub const BATCH_MAX: usize = 64;

/// Datagrams waiting to be decided, all sockets together.
pub const QUEUE_MAX: usize = 256;

/// Commands from the rest of the daemon waiting for the task.
pub(crate) const COMMANDS_MAX: usize = 16;
