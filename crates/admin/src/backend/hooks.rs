//! Hooks behind the routes.

use super::{BackendError, ListPage};
use crate::view::{HookTried, HookView};
use types::resource::Name;

/// What the daemon does with hooks. A daemon without them has an empty list.
pub trait Hooks: Send + Sync {
    /// Every hook and how it does, in the order of the configuration.
    ///
    /// # Errors
    /// When it cannot be told.
    fn hooks(&self) -> Result<ListPage<HookView>, BackendError> {
        Ok(ListPage { items: Vec::new(), next: None, revision: 0 })
    }

    /// Tells one hook of an event that is made up, once; blocks until that has ended, 50 s at most.
    ///
    /// # Errors
    /// When there is no such hook. One that fails is an outcome.
    fn test_hook(&self, name: &Name) -> Result<HookTried, BackendError> {
        Err(BackendError::NotFound { what: "hook", name: name.to_string() })
    }
}
