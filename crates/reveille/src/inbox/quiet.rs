//! Which entries of the inbox have come to rest. Knows no clock, file or folder: it is told what stands there, and when.
//!
//! ```text
//!            changed               changed, put off
//!          ┌─────────┐            ┌───────────────┐
//!  new ──► moving ───┴─ period ─► at rest ── done ─► settled ── changed ──► moving
//! ```
//!
//! Rules, each with a test of its name:
//! 1. what is new or has changed begins its period anew;
//! 2. what has not changed for the whole period is at rest, the longest first;
//! 3. what is settled is never at rest again while it stays as it is;
//! 4. what is gone is forgotten, and is new when it comes back.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::time::{Duration, Instant};

/// What an entry looks like from outside. Between two equal ones nothing was written, as far as size and time tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Stamp {
    /// Bytes; for a folder those of all files below.
    pub(super) bytes: u64,
    /// Last change in nanoseconds since 1970; for a folder the latest below.
    pub(super) modified_ns: i128,
    /// What it is (a file, a link); for a folder, mixed from names, sizes and times of everything below.
    pub(super) identity: u64,
}

/// The entries that were there at the last look.
pub(super) struct Quiet {
    period: Duration,
    seen: BTreeMap<OsString, Seen>,
}

struct Seen {
    stamp: Stamp,
    /// When it was first seen like this.
    since: Instant,
    settled: bool,
}

impl Quiet {
    pub(super) fn new(period: Duration) -> Quiet {
        Quiet { period, seen: BTreeMap::new() }
    }

    /// Takes what stands there at `now` for all there is, and gives what is at rest: the longest first, then by name.
    /// Keeps as many entries as it is given.
    pub(super) fn look(
        &mut self,
        now: Instant,
        there: impl IntoIterator<Item = (OsString, Stamp)>,
    ) -> Vec<(OsString, Stamp)> {
        let mut before = std::mem::take(&mut self.seen);
        for (name, stamp) in there {
            let same = before.remove(&name).filter(|seen| seen.stamp == stamp);
            self.seen.insert(name, same.unwrap_or(Seen { stamp, since: now, settled: false }));
        }
        let rested = |seen: &Seen| now.saturating_duration_since(seen.since) >= self.period && !seen.settled;
        let mut rest: Vec<_> = self.seen.iter().filter(|(_, seen)| rested(seen)).collect();
        rest.sort_by_key(|(_, seen)| seen.since);
        rest.into_iter().map(|(name, seen)| (name.clone(), seen.stamp)).collect()
    }

    /// It has been dealt with as it is.
    pub(super) fn settle(&mut self, name: &OsStr) {
        if let Some(seen) = self.seen.get_mut(name) {
            seen.settled = true;
        }
    }

    /// It is to wait for another period.
    pub(super) fn put_off(&mut self, name: &OsStr, now: Instant) {
        if let Some(seen) = self.seen.get_mut(name) {
            seen.since = now;
        }
    }

    /// Entries that are not settled.
    pub(super) fn waiting(&self) -> usize {
        self.seen.values().filter(|seen| !seen.settled).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_secs(10);

    fn stamp(bytes: u64) -> Stamp {
        Stamp { bytes, modified_ns: 1_700_000_000_000_000_000, identity: 7 }
    }

    /// Looks, `secs` after the begin, at entries given as name and size.
    struct Bench {
        begin: Instant,
        quiet: Quiet,
    }

    impl Bench {
        fn new() -> Bench {
            Bench { begin: Instant::now(), quiet: Quiet::new(PERIOD) }
        }

        fn at(&self, secs: u64) -> Instant {
            self.begin + Duration::from_secs(secs)
        }

        fn look(&mut self, secs: u64, there: &[(&str, Stamp)]) -> Vec<String> {
            let entries = there.iter().map(|(name, stamp)| (OsString::from(name), *stamp));
            let rest = self.quiet.look(self.at(secs), entries);
            rest.into_iter().map(|(name, _)| name.to_string_lossy().into_owned()).collect()
        }
    }

    #[test]
    fn what_is_new_or_has_changed_begins_its_period_anew() {
        let mut bench = Bench::new();
        assert!(bench.look(0, &[("a.iso", stamp(1))]).is_empty());
        assert!(bench.look(9, &[("a.iso", stamp(1))]).is_empty());
        // It grew just before its time.
        assert!(bench.look(10, &[("a.iso", stamp(2))]).is_empty());
        assert!(bench.look(19, &[("a.iso", stamp(2))]).is_empty());
        // So does another time, or another kind of entry, at the same size.
        assert!(bench.look(20, &[("a.iso", Stamp { modified_ns: 1, ..stamp(2) })]).is_empty());
        assert!(bench.look(30, &[("a.iso", Stamp { identity: 8, ..stamp(2) })]).is_empty());
        assert_eq!(bench.look(40, &[("a.iso", Stamp { identity: 8, ..stamp(2) })]), ["a.iso"]);
    }

    #[test]
    fn a_file_that_never_rests_is_never_given() {
        let mut bench = Bench::new();
        for secs in 0..1_000 {
            assert!(bench.look(secs, &[("a.iso", stamp(secs))]).is_empty());
        }
    }

    #[test]
    fn what_has_not_changed_for_the_whole_period_is_at_rest_the_longest_first() {
        let mut bench = Bench::new();
        bench.look(0, &[("late", stamp(1)), ("z", stamp(1)), ("early", stamp(1)), ("a", stamp(1))]);
        bench.look(3, &[("late", stamp(2)), ("z", stamp(1)), ("early", stamp(1)), ("a", stamp(1))]);
        let there = [("late", stamp(2)), ("z", stamp(1)), ("early", stamp(1)), ("a", stamp(1))];
        assert_eq!(bench.look(10, &there), ["a", "early", "z"]);
        assert_eq!(bench.look(13, &there), ["a", "early", "z", "late"]);
    }

    #[test]
    fn what_is_settled_is_never_at_rest_again_while_it_stays_as_it_is() {
        let mut bench = Bench::new();
        bench.look(0, &[("a", stamp(1))]);
        assert_eq!((bench.look(10, &[("a", stamp(1))]), bench.quiet.waiting()), (vec!["a".to_owned()], 1));
        bench.quiet.settle(OsStr::new("a"));
        assert!(bench.look(1_000, &[("a", stamp(1))]).is_empty());
        assert_eq!(bench.quiet.waiting(), 0);
        assert!(bench.look(1_001, &[("a", stamp(2))]).is_empty());
        assert_eq!(bench.look(1_011, &[("a", stamp(2))]), ["a"]);
    }

    #[test]
    fn what_is_put_off_waits_for_another_period() {
        let mut bench = Bench::new();
        bench.look(0, &[("a", stamp(1))]);
        assert_eq!(bench.look(10, &[("a", stamp(1))]), ["a"]);
        let now = bench.at(12);
        bench.quiet.put_off(OsStr::new("a"), now);
        assert!(bench.look(21, &[("a", stamp(1))]).is_empty());
        assert_eq!(bench.look(22, &[("a", stamp(1))]), ["a"]);
    }

    #[test]
    fn what_is_gone_is_forgotten_and_is_new_when_it_comes_back() {
        let mut bench = Bench::new();
        bench.look(0, &[("a", stamp(1))]);
        bench.look(10, &[("a", stamp(1))]);
        bench.quiet.settle(OsStr::new("a"));
        assert!(bench.look(11, &[]).is_empty());
        assert!(bench.look(12, &[("a", stamp(1))]).is_empty());
        assert_eq!(bench.look(22, &[("a", stamp(1))]), ["a"]);
        // Whoever is not there can be settled or put off without harm.
        let now = bench.at(22);
        bench.quiet.settle(OsStr::new("b"));
        bench.quiet.put_off(OsStr::new("b"), now);
        assert_eq!(bench.quiet.waiting(), 1);
    }

    #[test]
    fn a_clock_that_stands_still_or_goes_back_gives_nothing_early() {
        let mut bench = Bench::new();
        bench.look(5, &[("a", stamp(1))]);
        assert!(bench.look(5, &[("a", stamp(1))]).is_empty());
        assert!(bench.look(0, &[("a", stamp(1))]).is_empty());
        assert_eq!(bench.look(15, &[("a", stamp(1))]), ["a"]);
    }
}
