//! What came of a run, and the sum over many.

use crate::Scenario;
use std::fmt;
use std::time::{Duration, Instant};

/// A promise that may break, by its name in reports.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Promise {
    /// An address has at most one live owner among what machines believe, and is offered to nobody else.
    OneOwner,
    /// A record is durable before the ACK that rests on it leaves.
    DurableFirst,
    /// A lease never gets shorter without NAK, RELEASE, DECLINE or its end.
    NeverShorter,
    /// A restart changes nothing that can be observed.
    RestartChangesNothing,
    /// Counters equal a recomputation from the records.
    CountersAgree,
    /// Every request ends in at most one reply.
    OneReply,
    /// What is remembered is bounded by the number of addresses.
    MemoryBounded,
    /// A quarantined address is given to nobody before its time is over.
    QuarantineHolds,
    /// The store opens after every crash, with everything it acknowledged and nothing it did not take.
    StoreKeeps,
    /// A relay gets its option back as it was, and what is its client's business.
    RelayEchoed,
    /// A proxy leases nothing.
    ProxyNeverLeases,
    /// A file arrives whole or not at all, and no transfer hangs.
    TransferWhole,
    /// When the trouble is over, every machine that fits ends its boots.
    EveryoneBoots,
}

impl Promise {
    /// Its name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Promise::OneOwner => "one owner",
            Promise::DurableFirst => "durable first",
            Promise::NeverShorter => "never shorter",
            Promise::RestartChangesNothing => "restart changes nothing",
            Promise::CountersAgree => "counters agree",
            Promise::OneReply => "one reply",
            Promise::MemoryBounded => "memory bounded",
            Promise::QuarantineHolds => "quarantine holds",
            Promise::StoreKeeps => "store keeps",
            Promise::RelayEchoed => "relay echoed",
            Promise::ProxyNeverLeases => "proxy never leases",
            Promise::TransferWhole => "transfer whole",
            Promise::EveryoneBoots => "everyone boots",
        }
    }
}

/// A broken promise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// Which.
    pub promise: Promise,
    /// Virtual time since the start.
    pub at: Duration,
    /// How, in words.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:.3} s): {}", self.promise.as_str(), self.at.as_secs_f64(), self.what)
    }
}

macro_rules! counts {
    ($($(#[$doc:meta])* $field:ident: $text:literal,)*) => {
        /// What happened, counted.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        pub struct Counts { $($(#[$doc])* pub $field: u64,)* }

        impl Counts {
            /// Adds another run's.
            pub fn add(&mut self, other: &Counts) {
                $(self.$field += other.$field;)*
            }

            /// Names and numbers, in order.
            pub fn pairs(&self) -> Vec<(&'static str, u64)> {
                vec![$(($text, self.$field),)*]
            }
        }
    };
}

counts! {
    /// Boots that reached the operating system and ran for their renewals.
    boots: "boots",
    /// ACKs that machines took.
    leases: "leases",
    /// NAKs that machines obeyed.
    naks: "NAKs",
    /// NAKs for a lease another appliance stands by.
    foreign_naks: "NAKs for the other appliance's leases",
    /// Leases given back.
    releases: "releases",
    /// Addresses declined.
    declines: "declines",
    /// Addresses asked for before they were offered.
    probes: "probes",
    /// Of these, found in use.
    probes_answered: "addresses found in use",
    /// Times an appliance died.
    crashes: "crashes",
    /// Of these, with a commit under way on its disk.
    torn: "torn commits",
    /// Commits that failed.
    failed_commits: "failed commits",
    /// Commits that were made durable.
    commits: "commits",
    /// Checkpoints written.
    checkpoints: "checkpoints",
    /// Steps of a wall clock.
    clock_steps: "clock steps",
    /// Loaders fetched.
    transfers: "transfers",
    /// Datagrams put on the wire.
    datagrams: "datagrams",
    /// Runs with two appliances.
    pairs_of_appliances: "two-appliance worlds",
    /// Runs with a relay.
    relays: "relay worlds",
    /// Virtual seconds.
    seconds: "virtual seconds",
}

/// What came of a run.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// What happened.
    pub counts: Counts,
    /// Broken promises; empty in a good run.
    pub violations: Vec<Violation>,
    /// Everything that happened, when it was asked for.
    pub trace: Vec<String>,
}

impl Report {
    /// The line that replays a bad run and says what broke; `None` for a good one.
    pub fn failure(&self, scenario: &Scenario) -> Option<String> {
        let first = self.violations.first()?;
        Some(format!("cargo xtask sim --seed {}   # {first} [{scenario}]", scenario.seed))
    }
}

/// The report while it is written.
pub(crate) struct Book {
    pub(crate) report: Report,
    start: Instant,
    traces: bool,
}

impl Book {
    pub(crate) fn new(start: Instant, traces: bool) -> Book {
        Book { report: Report::default(), start, traces }
    }

    pub(crate) fn counts(&mut self) -> &mut Counts {
        &mut self.report.counts
    }

    /// A line of the trace.
    pub(crate) fn say(&mut self, at: Instant, line: impl FnOnce() -> String) {
        if self.traces {
            let since = at.saturating_duration_since(self.start);
            self.report.trace.push(format!("{:>10.4} {}", since.as_secs_f64(), line()));
        }
    }

    /// A promise is broken.
    pub(crate) fn broke(&mut self, at: Instant, promise: Promise, what: String) {
        self.say(at, || format!("BROKEN {}: {what}", promise.as_str()));
        let at = at.saturating_duration_since(self.start);
        self.report.violations.push(Violation { promise, at, what });
    }

    /// Says so when `holds` is false.
    pub(crate) fn check(
        &mut self,
        at: Instant,
        holds: bool,
        promise: Promise,
        what: impl FnOnce() -> String,
    ) {
        if !holds {
            self.broke(at, promise, what());
        }
    }
}
