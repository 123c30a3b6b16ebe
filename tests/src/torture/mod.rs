//! Torture: what an appliance must survive, done to it on purpose, with an oracle that was not asked to believe it.
//!
//! | part | what is done | what decides |
//! |---|---|---|
//! | [`kill`] | `kill -9` under load, restart time | what was seen on the wire, against the store's files |
//! | [`import`] | `kill -9` while an image comes in | what is listed, verified, served and on the disk |
//! | [`powercut`] | every order a disk may keep the recorded writes in | the batches acknowledged before the cut |
//! | [`bitrot`] | flipped bits, zeroed pages, cut files | the records before the damage |
//! | [`inject`] | failing system calls | what was acknowledged, what was on the wire |
//! | [`diskfull`] | a full disk under load, and room again | what was on the wire |
//! | [`starve`] | invented machines by the thousand | how long a known machine waits |
//!
//! Each part has a long form (`cargo xtask torture PART`) and a short one (`tests/tests/torture_*.rs`, `import_kill.rs`);
//! both run the code in here. A run is told by its seed: the same seed makes the same choices, as far as the kernel's
//! clock lets it.
//! Every oracle has tests of its own that it can fail.

pub mod bitrot;
pub mod churn;
pub mod client;
pub mod copies;
pub mod disk;
pub mod diskfull;
pub mod import;
pub mod inject;
pub mod kill;
pub mod ledger;
pub mod powercut;
pub mod site;
pub mod sniffer;
pub mod start;
pub mod starve;
pub mod syscalls;
pub mod wire;
pub mod workload;

use std::fmt;
use std::time::{Duration, Instant};

/// How often a run says how far it is.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);
/// Violations told in full; the rest is counted.
const VIOLATIONS_TOLD: usize = 20;

/// Choices that a seed repeats: SplitMix64 (Steele, Lea and Flood 2014).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The choices of a seed.
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 when there is none.
    pub fn below(&mut self, end: u64) -> u64 {
        self.any().checked_rem(end).unwrap_or(0)
    }

    /// A place in a list of this length.
    pub fn place(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }

    /// A time between two others.
    pub fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let span = most.saturating_sub(least);
        let micros = self.below(u64::try_from(span.as_micros()).unwrap_or(u64::MAX).saturating_add(1));
        least + Duration::from_micros(micros)
    }

    /// Choices of their own for step number `step`.
    #[must_use]
    pub fn fork(&self, step: u64) -> Dice {
        let mut own = Dice(self.0 ^ step.wrapping_mul(0xd6e8_feb8_6659_fd93));
        own.any();
        own
    }
}

/// A seed for a run that was given none.
pub fn fresh_seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    // Short enough to be typed again.
    Dice::new(now.as_secs() ^ u64::from(now.subsec_nanos())).below(1_000_000)
}

/// Says how far a run is, not too often.
pub struct Progress {
    name: &'static str,
    began: Instant,
    said: Instant,
}

impl Progress {
    /// Begins now.
    pub fn new(name: &'static str) -> Progress {
        Progress { name, began: Instant::now(), said: Instant::now() }
    }

    /// Says it when it is time again.
    pub fn say(&mut self, text: impl FnOnce() -> String) {
        if self.said.elapsed() >= PROGRESS_EVERY {
            self.now(&text());
        }
    }

    /// Says it.
    pub fn now(&mut self, text: &str) {
        self.said = Instant::now();
        eprintln!("   {:>4.0} s  {}: {text}", self.began.elapsed().as_secs_f64(), self.name);
    }

    /// Time since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}

/// How a part ended: one line of figures, and what must not have happened.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The figures.
    pub summary: String,
    /// Each is a defect of ours (or of the oracle), with what it takes to see it again.
    pub violations: Vec<String>,
}

impl Outcome {
    /// True when nothing happened that must not.
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for violation in self.violations.iter().take(VIOLATIONS_TOLD) {
            writeln!(f, "VIOLATION {violation}")?;
        }
        if let more @ 1.. = self.violations.len().saturating_sub(VIOLATIONS_TOLD) {
            writeln!(f, "and {more} more")?;
        }
        write!(f, "{}, {} violations", self.summary, self.violations.len())
    }
}

/// Middle and 99th of a hundred, of times in any order.
pub fn percentiles(times: &mut [Duration]) -> (Duration, Duration) {
    times.sort_unstable();
    let at = |share: usize| times.get((times.len() * share / 100).min(times.len().saturating_sub(1)));
    (at(50).copied().unwrap_or_default(), at(99).copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_choices_and_another_one_does_not() {
        let choices = |seed| {
            let mut dice = Dice::new(seed);
            (0..8).map(|_| dice.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(choices(7), choices(7));
        assert_ne!(choices(7), choices(8));
        assert_ne!(Dice::new(7).fork(1).any(), Dice::new(7).fork(2).any());
        assert_eq!(Dice::new(7).below(0), 0);
    }

    #[test]
    fn percentiles_are_of_the_sorted_times() {
        let mut times: Vec<Duration> = (1..=200).rev().map(Duration::from_millis).collect();
        assert_eq!(percentiles(&mut times), (Duration::from_millis(101), Duration::from_millis(199)));
        assert_eq!(percentiles(&mut []), (Duration::ZERO, Duration::ZERO));
    }
}
