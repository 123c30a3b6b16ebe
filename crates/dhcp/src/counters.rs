//! What the door counts, for the API and the metrics page.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A snapshot since start. Reasons that never occurred are there with 0.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Datagrams received.
    pub received: u64,
    /// Datagrams dropped because they were longer than any DHCP message.
    pub truncated: u64,
    /// Reads from a socket that failed.
    pub receive_failed: u64,
    /// Replies that left.
    pub sent: u64,
    /// Replies the kernel refused.
    pub send_failed: u64,
    /// Replies by the event that names them, `dhcp.offer` and so on.
    pub replies: BTreeMap<&'static str, u64>,
    /// Lease records made durable.
    pub committed: u64,
    /// Lease records that could not be made durable.
    pub commit_failed: u64,
    /// ACKs sent in place of a longer one after a failed commit.
    pub fallbacks: u64,
    /// Addresses asked for before they were offered.
    pub probes: u64,
    /// Of those, the ones where another machine answered.
    pub probes_answered: u64,
    /// Addresses offered although they could not be asked for: no right to, too many at once, or the kernel refused.
    pub unprobed: u64,
    /// Offers that were not sent: too many addresses in a row were in use.
    pub probes_given_up: u64,
    /// Batches decided, of at most [`BATCH_MAX`](crate::BATCH_MAX) datagrams each.
    pub batches: u64,
    /// Options of a length they cannot have, in packets that were read all the same.
    pub option_faults: u64,
    /// Good packets not answered, by reason.
    pub ignored: BTreeMap<&'static str, u64>,
    /// Bytes that are no DHCP, by reason.
    pub refused: BTreeMap<&'static str, u64>,
}

/// Counters shared between the task and whoever asks.
#[derive(Clone, Debug)]
pub(crate) struct Tally(Arc<Mutex<Counters>>);

impl Tally {
    pub(crate) fn new() -> Tally {
        let ignored = dhcp_proto::IgnoreReason::ALL.iter().map(|reason| (reason.as_str(), 0)).collect();
        let refused = dhcp_proto::wire::DecodeError::REASONS.iter().map(|reason| (*reason, 0)).collect();
        Tally(Arc::new(Mutex::new(Counters { ignored, refused, ..Counters::default() })))
    }

    pub(crate) fn add(&self, change: impl FnOnce(&mut Counters)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(crate) fn snapshot(&self) -> Counters {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Counts one more of a kind.
pub(crate) fn count(kinds: &mut BTreeMap<&'static str, u64>, kind: &'static str) {
    *kinds.entry(kind).or_default() += 1;
}
