//! How much one client and one source may ask: token buckets, in memory that is bounded.
//!
//! | bucket | counts | beyond it |
//! |---|---|---|
//! | client | every request of one client | `rate_limited` |
//! | source | requests of machines we do not know, by interface, relay and circuit | `stranger_flood` |
//! | all | the same, of all sources together | `stranger_flood` |
//!
//! A source is what its sender cannot choose freely: where it is plugged in, as the kernel, the relay or the switch says.
//! Hardware addresses are free to invent, so unknown machines share their source's bucket, and known ones do not need it.

use super::watch::Recent;
use crate::limits::{
    CLIENT_BURST, CLIENT_RATE, CLIENTS_COUNTED_MAX, SOURCES_COUNTED_MAX, STRANGER_BURST_SECS,
    STRANGER_SOURCES,
};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use types::lease::ClientKey;

/// Buckets nobody touched for so long are full again.
const FORGET: Duration = Duration::from_secs(60);

const _: () = assert!(CLIENT_BURST as u64 <= FORGET.as_secs() * CLIENT_RATE as u64);
const _: () = assert!(STRANGER_BURST_SECS as u64 <= FORGET.as_secs());

/// A bucket that fills with time.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Thousandths of a request.
    level: u64,
    since: Instant,
}

/// What a bucket holds and how fast it fills.
#[derive(Clone, Copy, Debug)]
struct Size {
    rate: u32,
    burst: u32,
}

impl Bucket {
    fn full(now: Instant, size: Size) -> Bucket {
        Bucket { level: u64::from(size.burst) * 1000, since: now }
    }

    fn take(&mut self, now: Instant, size: Size) -> bool {
        let millis = now.saturating_duration_since(self.since).as_millis();
        let gained = u64::try_from(millis).unwrap_or(u64::MAX).saturating_mul(size.rate.into());
        self.level = self.level.saturating_add(gained).min(u64::from(size.burst) * 1000);
        self.since = self.since.max(now);
        match self.level.checked_sub(1000) {
            Some(left) => {
                self.level = left;
                true
            }
            None => false,
        }
    }
}

/// Where a request came in.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Source {
    pub(super) interface: Arc<str>,
    pub(super) relay: Option<Ipv4Addr>,
    /// Of option 82, which the relay or switch wrote.
    pub(super) circuit: Option<Box<[u8]>>,
}

/// What was asked lately.
#[derive(Debug)]
pub(super) struct Flood {
    stranger_rate: u32,
    clients: Recent<ClientKey, Bucket>,
    sources: Recent<Source, Bucket>,
    all: Option<Bucket>,
}

impl Flood {
    /// `stranger_rate`: unknown machines a second from one source, 0 for any number.
    pub(super) fn new(stranger_rate: u32) -> Flood {
        Flood {
            stranger_rate,
            clients: Recent::new(CLIENTS_COUNTED_MAX, FORGET),
            sources: Recent::new(SOURCES_COUNTED_MAX, FORGET),
            all: None,
        }
    }

    /// Counts a request of a client; false when it is one too many.
    pub(super) fn admit_client(&mut self, now: Instant, key: &ClientKey) -> bool {
        take(&mut self.clients, now, key, Size { rate: CLIENT_RATE, burst: CLIENT_BURST })
    }

    /// Counts a request of a machine we do not know; false when its source, or all of them, brought too many.
    pub(super) fn admit_stranger(&mut self, now: Instant, source: &Source) -> bool {
        if self.stranger_rate == 0 {
            return true;
        }
        let own =
            Size { rate: self.stranger_rate, burst: self.stranger_rate.saturating_mul(STRANGER_BURST_SECS) };
        if !take(&mut self.sources, now, source, own) {
            return false;
        }
        let (rate, burst) =
            (own.rate.saturating_mul(STRANGER_SOURCES), own.burst.saturating_mul(STRANGER_SOURCES));
        let all = Size { rate, burst };
        self.all.get_or_insert_with(|| Bucket::full(now, all)).take(now, all)
    }

    pub(super) fn purge(&mut self, now: Instant) {
        self.clients.purge(now);
        self.sources.purge(now);
    }
}

fn take<K: Clone + Eq + std::hash::Hash>(
    buckets: &mut Recent<K, Bucket>,
    now: Instant,
    key: &K,
    size: Size,
) -> bool {
    if let Some(bucket) = buckets.get_mut(now, key) {
        return bucket.take(now, size);
    }
    let mut bucket = Bucket::full(now, size);
    let admitted = bucket.take(now, size);
    buckets.insert(now, key.clone(), bucket);
    admitted
}

#[cfg(test)]
mod tests;
