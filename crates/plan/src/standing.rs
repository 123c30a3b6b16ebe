//! How a machine stands to the records: what is told of it, beside what is decided.

use crate::identity::Identity;
use crate::identity::score::Change;
use crate::{Catalog, Evidence};
use std::sync::Arc;
use types::Facts;
use types::resource::Host;

/// Which host a machine is, with what speaks for it and what against.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Standing {
    /// None.
    Unknown,
    /// This one.
    Known {
        /// The host.
        host: Arc<Host>,
        /// What agrees.
        evidence: Vec<Evidence>,
        /// What differs from the record; empty for nearly every machine.
        changes: Vec<Change>,
        /// What erases disks may depend on it.
        firm: bool,
    },
    /// None, though it has something of this one.
    Other {
        /// The host.
        host: Arc<Host>,
        /// What agrees.
        evidence: Vec<Evidence>,
        /// What differs.
        changes: Vec<Change>,
    },
    /// Its terms name several hosts.
    Conflict(Vec<(Arc<Host>, Evidence)>),
}

impl Catalog {
    /// How a machine stands to the records. O(1).
    pub fn standing(&self, facts: &Facts) -> Standing {
        let at = |at: usize| self.fixed.hosts.get(at).cloned();
        match self.fixed.identities.identify(&self.fixed.hosts, facts) {
            Identity::Unknown => Standing::Unknown,
            Identity::Known(found) => match at(found.at) {
                Some(host) => Standing::Known {
                    host,
                    firm: found.score.is_firm(),
                    evidence: found.evidence,
                    changes: found.changes,
                },
                None => Standing::Unknown,
            },
            Identity::Other(found) => match at(found.at) {
                Some(host) => Standing::Other { host, evidence: found.evidence, changes: found.changes },
                None => Standing::Unknown,
            },
            Identity::Conflict(claims) => Standing::Conflict(
                claims.into_iter().filter_map(|(place, term)| Some((at(place)?, term))).collect(),
            ),
        }
    }
}
