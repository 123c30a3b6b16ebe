//! Dating the leases anew after the wall clock was set: their deadlines run on the monotonic clock and stay what they are.

use super::{Entry, Phase, Table};
use crate::limits::LEASE_GRACE;
use std::time::Instant;
use types::lease::LeaseRecord;
use types::{Now, UnixTime};

impl Table {
    /// The records as they have to read once `now` is the time: everything with a deadline still to come, what is over and
    /// would read as if it were not, and what would read as granted in the future. Nothing changes until
    /// [`redate`](Table::redate).
    pub fn redated(&self, now: Now) -> impl Iterator<Item = LeaseRecord> {
        self.entries.values().filter_map(move |entry| {
            let (granted, expires) = redated(now, entry);
            let changes = (granted, expires) != (entry.record.granted, entry.record.expires);
            changes.then(|| LeaseRecord { granted, expires, ..entry.record.clone() })
        })
    }

    /// Takes over what [`redated`](Table::redated) said for the same moment, durable now.
    pub fn redate(&mut self, now: Now) {
        for entry in self.entries.values_mut() {
            let (granted, expires) = redated(now, entry);
            if (granted, expires) != (entry.record.granted, entry.record.expires) {
                entry.durable = true;
                entry.safe_until = None;
                (entry.record.granted, entry.record.expires) = (granted, expires);
            }
        }
    }
}

/// When it was granted and when it ends, by a clock that reads `now`. Nothing was granted in the future: whoever looks for
/// the latest time that any lease knows of must not find that of an earlier clock.
fn redated(now: Now, entry: &Entry) -> (UnixTime, UnixTime) {
    let left = |end: Instant| end.saturating_duration_since(now.instant);
    let LeaseRecord { granted, expires, .. } = entry.record;
    let expires = match entry.phase {
        Phase::Live(Some(end)) => now.unix.saturating_add(left(end).saturating_sub(LEASE_GRACE)),
        Phase::Quarantined(end) => now.unix.saturating_add(left(end)),
        Phase::Past(_) => expires.min(now.unix),
        Phase::Live(None) => expires,
    };
    (granted.min(now.unix), expires)
}
