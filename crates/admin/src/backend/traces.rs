//! Timelines of boots, and what boots would be, behind the routes.

use super::{BackendError, HostRef, ListPage};
use crate::Problem;
use crate::view::{Simulation, SimulationRequest, TraceView, WatchRow};
use types::resource::Name;
use types::{Facts, Selector};

/// Which machines are watched; without any of it, all that have booted.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Watched {
    /// Hosts in this group or below it.
    pub group: Option<Name>,
    /// Machines a selector means.
    pub selector: Option<Selector>,
    /// These hosts.
    pub hosts: Vec<Name>,
}

/// What the daemon tells of boots. A daemon that remembers none says so.
pub trait Traces: Send + Sync {
    /// One boot.
    ///
    /// # Errors
    /// `R-TRC-01` when nothing is remembered of it.
    fn trace(&self, boot: &str) -> Result<TraceView, BackendError> {
        Err(forgotten(&format!("boot `{boot}`"), None))
    }

    /// The newest boot of a host or machine, or with `last` the newest that is over.
    ///
    /// # Errors
    /// When there is no such host; `R-TRC-01` when nothing is remembered of it.
    fn trace_host(&self, reference: &HostRef, _last: bool) -> Result<TraceView, BackendError> {
        Err(forgotten(&format!("a boot of {reference}"), None))
    }

    /// The newest boot of each of these machines.
    ///
    /// # Errors
    /// When there is no such group or host.
    fn watch(&self, _watched: &Watched) -> Result<ListPage<WatchRow>, BackendError> {
        Ok(ListPage { items: Vec::new(), next: None, revision: 0 })
    }

    /// What the doors would answer. Changes nothing. `facts` are those of the request, read.
    ///
    /// # Errors
    /// When there is no such host, or what is asked for cannot be read.
    fn simulate(&self, _request: &SimulationRequest, _facts: Facts) -> Result<Simulation, BackendError> {
        Err(BackendError::Internal("this daemon simulates nothing".to_owned()))
    }
}

/// `R-TRC-01`, 404. `since`: when the appliance was started (RFC 3339).
pub fn forgotten(what: &str, since: Option<&str>) -> BackendError {
    let cause = match since {
        Some(since) => format!(
            "timelines are kept in memory, the newest of each machine; the appliance was started {since}, and what booted \
             before that is gone"
        ),
        None => "this daemon keeps no timelines".to_owned(),
    };
    BackendError::Problem(
        Problem::new(404, "R-TRC-01", "not-found", format!("nothing is remembered of {what}"))
            .with_cause(cause)
            .with_fix("reveille boot list shows the boots there are; the log has older events"),
    )
}
