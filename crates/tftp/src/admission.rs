//! How many new requests are taken up in a second: token buckets. Pure; time and chance are arguments.
//!
//! ```text
//! request ─► its source's bucket ─► holder of a lease? ─┬─ yes: the bucket of known machines
//!                                                       └─ no:  do strangers ask at a bearable rate? ─┬─ yes: admitted
//!                                  the bucket of those that ask again ◄─ yes ─ asked before? ◄─────────┴─ no
//! ```
//!
//! What strangers ask counts whether it is admitted or not: in a flood none is taken up at its first request. A machine asks
//! again, from the same address and port, because its firmware does; a forged source does not, and costs a look into a table.
//!
//! Forged sources cost nothing to invent, so strangers share one bucket and can empty nobody else's: a machine with a lease
//! is admitted from a bucket of its own kind. A refused request allocates nothing, is not answered and only counts.
//!
//! Sources are remembered in a table of fixed size. Two that meet in one place push each other out and begin with a full
//! bucket: then only the shared one bounds them.

use crate::limits::{
    FIRSTS_REMEMBERED, FLOOD_EVENT_PAUSE, KNOWN_BURST, KNOWN_PER_SECOND, REPEAT_AFTER, REPEAT_WITHIN,
    SOURCE_BURST, SOURCE_PER_SECOND, SOURCES_REMEMBERED, STRANGERS_BURST, STRANGERS_PER_SECOND,
};
use std::hash::BuildHasher;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

/// Tokens come back at a steady rate, up to the burst.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Bucket {
    per_second: u32,
    burst: u32,
    /// In thousandths.
    tokens: u64,
    since: Instant,
}

impl Bucket {
    /// A full one.
    pub(crate) fn new(now: Instant, per_second: u32, burst: u32) -> Bucket {
        Bucket { per_second, burst, tokens: u64::from(burst) * 1000, since: now }
    }

    /// Takes a token, if there is one; without one goes into debt, by no more than the burst.
    fn press(&mut self, now: Instant, debt: &mut u64) -> bool {
        self.refill(now, debt);
        if self.pay() {
            return true;
        }
        *debt = debt.saturating_add(1000).min(u64::from(self.burst) * 1000);
        false
    }

    /// Takes a token, if there is one.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        self.refill(now, &mut 0);
        self.pay()
    }

    /// What came back since the last time; a debt is paid first.
    fn refill(&mut self, now: Instant, debt: &mut u64) {
        let millis = u64::try_from(now.saturating_duration_since(self.since).as_millis()).unwrap_or(u64::MAX);
        if millis > 0 {
            let back = millis.saturating_mul(u64::from(self.per_second));
            let paid = back.min(*debt);
            *debt -= paid;
            self.tokens = self.tokens.saturating_add(back - paid).min(u64::from(self.burst) * 1000);
            // Only whole milliseconds were paid for; the rest of this one still counts.
            self.since += Duration::from_millis(millis);
        }
    }

    fn pay(&mut self) -> bool {
        match self.tokens.checked_sub(1000) {
            Some(rest) => {
                self.tokens = rest;
                true
            }
            None => false,
        }
    }
}

/// What is to be done with a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Go on. True: the source holds a lease.
    Admitted(bool),
    /// This source asks too often.
    SourceFlood,
    /// All machines without a lease together ask too often.
    StrangersFlood,
    /// All machines with a lease together ask too often.
    KnownFlood,
}

impl Verdict {
    /// Stable reason code of the event.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Verdict::Admitted(_) => "admitted",
            Verdict::SourceFlood => "source_rate",
            Verdict::StrangersFlood => "strangers_rate",
            Verdict::KnownFlood => "known_rate",
        }
    }
}

/// The rates of one door.
#[derive(Debug)]
pub(crate) struct Admission<H> {
    hasher: H,
    sources: Box<[Option<(Ipv4Addr, Bucket)>]>,
    known: Bucket,
    strangers: Bucket,
    /// What strangers asked beyond their rate, in thousandths of a request.
    debt: u64,
    /// Strangers that asked again in a flood.
    again: Bucket,
    /// First requests in a flood: what names the asker, and when in milliseconds since `start`, from 1.
    firsts: Box<[(u32, u32)]>,
    start: Instant,
    /// When the last flood was told, and how many requests were dropped since.
    told: Option<Instant>,
    dropped: u64,
}

impl<H: BuildHasher> Admission<H> {
    /// Full buckets. `hasher` decides who shares a place; nobody outside should be able to foresee it.
    pub(crate) fn new(now: Instant, hasher: H) -> Admission<H> {
        Admission {
            hasher,
            sources: vec![None; SOURCES_REMEMBERED].into(),
            known: Bucket::new(now, KNOWN_PER_SECOND, KNOWN_BURST),
            strangers: Bucket::new(now, STRANGERS_PER_SECOND, STRANGERS_BURST),
            debt: 0,
            again: Bucket::new(now, STRANGERS_PER_SECOND, STRANGERS_BURST),
            firsts: vec![(0, 0); FIRSTS_REMEMBERED].into(),
            start: now,
            told: None,
            dropped: 0,
        }
    }

    /// Judges one request. `is_known` is asked only when the source itself is within its rate.
    pub(crate) fn judge(
        &mut self,
        now: Instant,
        source: SocketAddrV4,
        is_known: impl FnOnce() -> bool,
    ) -> Verdict {
        if !self.own_bucket(now, *source.ip()).take(now) {
            return Verdict::SourceFlood;
        }
        match is_known() {
            true if self.known.take(now) => Verdict::Admitted(true),
            true => Verdict::KnownFlood,
            false if self.strangers.press(now, &mut self.debt) => Verdict::Admitted(false),
            false if self.asks_again(now, source) && self.again.take(now) => Verdict::Admitted(false),
            false => Verdict::StrangersFlood,
        }
    }

    /// True when this address and port asked before, a little while ago. Two that meet in one place push each other out.
    fn asks_again(&mut self, now: Instant, source: SocketAddrV4) -> bool {
        let hash = self.hasher.hash_one(source);
        let [tag, at] = [hash >> 32, hash % FIRSTS_REMEMBERED as u64];
        let (tag, at) = (u32::try_from(tag).unwrap_or(0), usize::try_from(at).unwrap_or(0));
        let millis = now.saturating_duration_since(self.start).as_millis() + 1;
        // It starts anew every 49 days, and then some first requests are forgotten.
        let millis = u32::try_from(millis & u128::from(u32::MAX)).unwrap_or(0).max(1);
        #[expect(clippy::indexing_slicing, reason = "the table has FIRSTS_REMEMBERED places")]
        let place = &mut self.firsts[at];
        let (own, first) = *place;
        let age = Duration::from_millis(millis.saturating_sub(first).into());
        if own != tag || first == 0 || first > millis || age > REPEAT_WITHIN {
            *place = (tag, millis);
            return false;
        }
        if age < REPEAT_AFTER {
            return false;
        }
        *place = (0, 0);
        true
    }

    /// Counts a dropped request; the number since the last time when it is time to tell of it.
    pub(crate) fn note_dropped(&mut self, now: Instant) -> Option<u64> {
        self.dropped += 1;
        let recent = |told: Instant| now.saturating_duration_since(told) < FLOOD_EVENT_PAUSE;
        if self.told.is_some_and(recent) {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.dropped))
    }

    fn own_bucket(&mut self, now: Instant, source: Ipv4Addr) -> &mut Bucket {
        let fresh = (source, Bucket::new(now, SOURCE_PER_SECOND, SOURCE_BURST));
        let at = self.hasher.hash_one(source) % SOURCES_REMEMBERED as u64;
        let at = usize::try_from(at).unwrap_or(0);
        #[expect(clippy::indexing_slicing, reason = "the table has SOURCES_REMEMBERED places")]
        let place = &mut self.sources[at];
        if place.is_none_or(|(own, _)| own != source) {
            *place = Some(fresh);
        }
        &mut place.get_or_insert(fresh).1
    }
}

#[cfg(test)]
mod tests;
