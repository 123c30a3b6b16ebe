//! Dating the leases anew after the wall clock was set: their deadlines run on the monotonic clock and stay what they are.

use super::{Entry, Phase, Table};
use crate::limits::LEASE_GRACE;
use std::time::Instant;
use types::lease::LeaseRecord;
use types::{Now, UnixTime};

impl Table {
    /// The records as they have to read once `now` is the time: everything with a deadline still to come, and what
    /// is over and would read as if it were not. Nothing changes until [`redate`](Table::redate).
    pub fn redated(&self, now: Now) -> impl Iterator<Item = LeaseRecord> {
        self.entries.values().filter_map(move |entry| {
            let expires = redated(now, entry)?;
            (expires != entry.record.expires).then(|| LeaseRecord { expires, ..entry.record.clone() })
        })
    }

    /// Takes over what [`redated`](Table::redated) said for the same moment, durable now.
    pub fn redate(&mut self, now: Now) {
        for entry in self.entries.values_mut() {
            if let Some(expires) = redated(now, entry) {
                if entry.record.expires != expires {
                    entry.durable = true;
                    entry.safe_until = None;
                }
                entry.record.expires = expires;
            }
        }
    }
}

/// `None` for what may stay as it is: without end, or over by the new clock too.
fn redated(now: Now, entry: &Entry) -> Option<UnixTime> {
    let left = |end: Instant| end.saturating_duration_since(now.instant);
    match entry.phase {
        Phase::Live(Some(end)) => Some(now.unix.saturating_add(left(end).saturating_sub(LEASE_GRACE))),
        Phase::Quarantined(end) => Some(now.unix.saturating_add(left(end))),
        Phase::Past(_) => (entry.record.expires > now.unix).then_some(now.unix),
        Phase::Live(None) => None,
    }
}
