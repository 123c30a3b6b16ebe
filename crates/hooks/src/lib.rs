//! Hooks: events go to whoever the operator named, by webhook or by command.
//!
//! ```text
//! event ─ wanted? ─► Line of each hook that wants it ─ poll ─► one try ─ verdict ─► delivered, again later, or given up
//!                    bounded, in order, drops its oldest       web or command
//! ```
//!
//! [`brain`] decides (who waits, when to try again, when to give up) and knows no socket, clock or dice; `web` and `command`
//! do one try; [`Hooks`] holds them together, one task for each hook. Offering an event takes a short lock and never waits:
//! nobody who records events is slowed by who hears of them.
//!
//! Invariants, each with a test:
//! - Of every event offered it is told what became of it: delivered, failed, dropped, or still waiting.
//! - A hook gets its events in the order in which they happened; a retry holds back what is behind it.
//! - Tries, waits, queues, answers and outputs are bounded, see [`limits`].
//! - A value of an event is one argument, or a part of one, whatever it holds: there is no shell.
//! - When a command's try is over, nothing of its process group is left.
//! - No event of a hook starts a hook.
//! - Secrets, addresses beyond their host, and what a receiver answers are in no event and no log line.
//!
//! What is deliberately absent: redirects, a queue that outlives the daemon (`reveille events --since` has what was missed),
//! delivery in parallel, answers that change what the appliance does.
//!
//! Sources: RFC 2104 (HMAC), RFC 9110 §10.2.3 (`Retry-After`).

pub mod brain;
mod command;
mod drive;
pub mod limits;
mod payload;
pub mod sign;
mod spec;
mod web;

pub use drive::{Hooks, Notice, State};
pub use fetch::Trust;
pub use power::spec::{SecretRef, TrustSpec};
pub use spec::{Hook, HookError, Target};

/// What became of one try.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Try {
    /// What to do now.
    pub verdict: brain::Verdict,
    /// Stable reason code: `delivered`, or why not.
    pub reason: &'static str,
    /// The same for people, without secrets.
    pub words: String,
}

impl Try {
    fn new(verdict: brain::Verdict, reason: &'static str, words: impl Into<String>) -> Try {
        Try { verdict, reason, words: words.into() }
    }

    /// It was taken.
    pub fn is_delivered(&self) -> bool {
        self.verdict == brain::Verdict::Done
    }
}
