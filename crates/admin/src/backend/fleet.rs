//! Drift and rollouts behind the routes.

use super::{BackendError, ListPage};
use crate::view::{DriftReport, DriftRequest, RepairReport, RepairRequest, RolloutRequest, RolloutView};
use types::resource::Name;

/// What can be ordered for a rollout.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RolloutOrder {
    /// Arm nobody for now.
    Pause,
    /// Go on; failures so far are forgiven.
    Resume,
    /// Arm nobody any more, and take back who has not begun.
    Cancel,
}

/// What the daemon does with many hosts at once. A daemon without it says so.
pub trait Fleet: Send + Sync {
    /// Which hosts are what they should be.
    ///
    /// # Errors
    /// When a host, group or selector that is named is not there.
    fn drift(&self, _request: &DriftRequest) -> Result<DriftReport, BackendError> {
        Err(absent("drift"))
    }

    /// Orders what brings hosts in step that are not.
    ///
    /// # Errors
    /// As [`drift`](Fleet::drift) and [`start_rollout`](Fleet::start_rollout).
    fn repair(&self, _request: &RepairRequest, _dry_run: bool) -> Result<RepairReport, BackendError> {
        Err(absent("drift"))
    }

    /// Makes a rollout and arms its first hosts; both are durable then.
    ///
    /// # Errors
    /// When it is over a limit, its image is not there or erases nothing, there is one of that name, a host is in another
    /// one, or the commit fails.
    fn start_rollout(&self, _request: &RolloutRequest, _dry_run: bool) -> Result<RolloutView, BackendError> {
        Err(absent("rollout"))
    }

    /// Every rollout that is remembered, the newest first, without its hosts.
    ///
    /// # Errors
    /// When they cannot be told.
    fn rollouts(&self) -> Result<ListPage<RolloutView>, BackendError> {
        Err(absent("rollout"))
    }

    /// One rollout with its hosts.
    ///
    /// # Errors
    /// When there is none such.
    fn rollout(&self, _name: &Name) -> Result<RolloutView, BackendError> {
        Err(absent("rollout"))
    }

    /// Carries out an order for a rollout.
    ///
    /// # Errors
    /// When there is none such, it does not apply, or the commit fails.
    fn order_rollout(
        &self,
        _name: &Name,
        _by: &str,
        _order: RolloutOrder,
    ) -> Result<RolloutView, BackendError> {
        Err(absent("rollout"))
    }

    /// Forgets a rollout that is over.
    ///
    /// # Errors
    /// When there is none such, it is not over, or the commit fails.
    fn remove_rollout(&self, _name: &Name) -> Result<(), BackendError> {
        Err(absent("rollout"))
    }
}

fn absent(what: &'static str) -> BackendError {
    BackendError::Internal(format!("this daemon does nothing about {what}"))
}
