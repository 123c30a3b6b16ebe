//! Logs of boots behind the routes.

use super::{BackendError, ListPage};
use crate::view::BootLogView;

/// What the daemon keeps of installers' logs. A daemon without any has an empty list.
pub trait BootLogs: Send + Sync {
    /// Logs, those of the latest boot first: of the boot with this id, of this host, of this machine (`mac:…`), or all. Without
    /// their text.
    ///
    /// # Errors
    /// When it cannot be told.
    fn boot_logs(&self, of: Option<&str>) -> Result<ListPage<BootLogView>, BackendError> {
        let _ = of;
        Ok(ListPage { items: Vec::new(), next: None, revision: 0 })
    }

    /// The log of that name of the latest boot that has one, with its text.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    fn boot_log(&self, of: &str, name: &str) -> Result<BootLogView, BackendError> {
        Err(BackendError::NotFound { what: "boot log", name: format!("{of}/{name}") })
    }
}
