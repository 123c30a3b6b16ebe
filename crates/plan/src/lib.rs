//! One question, one answer: *what does this machine do next?*
//!
//! [`Catalog`] is everything an operator decided, of one moment, immutable and numbered. [`decide`] takes it, the
//! [`Facts`] of one request and the machine's [`BootState`] and gives a [`Verdict`] with the trace that led to it.
//! Every door asks the same function through [`Decider`], and so does `explain`.
//!
//! Deliberately absent: sockets, clocks, stores, and any memory between two questions.
//!
//! Decision order (the trace prints it): identity → quarantine, one-shot → host pin → group pin, nearest first → rules in their order → default
//! image → unknown-host policy → destructive gate (and a firm identity) → loop guard → loader for this firmware and stage.
//!
//! Values (template, parameters, kernel arguments, bundles …) come the same way: what the record says counts more than its groups,
//! those more than rules, those more than the image ([`Verdict::profile`], and [`resolve`] with the origin of each).

mod catalog;
mod changes;
mod decide;
mod fleet;
mod groups;
mod identity;
#[cfg(test)]
mod properties;
mod resolve;
mod rules;
mod standing;
mod terms;
#[cfg(test)]
mod tests_support;
mod trace;

pub use catalog::{
    Catalog, CatalogFault, CatalogParts, CatalogWarning, ImageVersion, LOOP_LIMIT_DEFAULT, UnknownPolicy,
};
pub use changes::{RuleChanges, differing};
pub use decide::{
    BootPlan, BootState, Decision, Gate, LeaveAloneReason, Ordered, Step, Target, Verdict, decide,
};
pub use fleet::{Fleet, Meant, Wanted, known, means};
pub use groups::DEPTH_MAX as GROUP_DEPTH_MAX;
pub use identity::Evidence;
pub use identity::score::{Change, Score, score};
pub use resolve::{Asked, Resolved, Source, resolve};
pub use rules::{RuleFinding, Rules};
pub use standing::Standing;
pub use trace::{Trace, TraceLine};

use std::net::IpAddr;
use std::sync::Arc;
use types::Facts;

/// What every door asks. The daemon implements it over the current catalog and its boot records; [`Catalog`]
/// implements it plainly, for tests and tools.
pub trait Decider: Send + Sync {
    /// What this machine does next.
    fn decide(&self, facts: &Facts) -> Verdict;

    /// True when the machine is a recorded host, without deciding anything.
    fn is_recorded(&self, facts: &Facts) -> bool {
        self.decide(facts).host.is_some()
    }

    /// What is known of the machine that has this address: for requests that say next to nothing (TFTP).
    fn recall(&self, _address: IpAddr) -> Option<Facts> {
        None
    }

    /// Remembers what a door learned of a machine.
    fn learn(&self, _facts: &Facts) {}

    /// The catalog of this moment.
    fn catalog(&self) -> Arc<Catalog>;
}

impl Decider for Arc<Catalog> {
    fn decide(&self, facts: &Facts) -> Verdict {
        decide(self, facts, &BootState::default())
    }

    fn is_recorded(&self, facts: &Facts) -> bool {
        self.identify(facts).is_some()
    }

    fn catalog(&self) -> Arc<Catalog> {
        self.clone()
    }
}
