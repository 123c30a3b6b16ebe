//! Hooks as the API shows them.

use serde::{Deserialize, Serialize};

/// One hook and how it does since the daemon started. `offered` is the sum of `delivered`, `failed`, `dropped` and `waiting`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HookView {
    /// Its name.
    pub name: String,
    /// `webhook` or `command`.
    pub kind: String,
    /// What it is told of.
    pub events: Vec<String>,
    /// Events it is told of that happened.
    pub offered: u64,
    /// Events that were taken.
    pub delivered: u64,
    /// Events that were given up.
    pub failed: u64,
    /// Events that its full queue dropped.
    pub dropped: u64,
    /// Events of any kind that came too fast to be looked at.
    pub missed: u64,
    /// Tries, also those that failed.
    pub tries: u64,
    /// Events that wait, the one that is tried included.
    pub waiting: u64,
    /// Why the last try failed, until one goes well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// What became of a hook that was tried.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HookTried {
    /// Its name.
    pub name: String,
    /// It took the event.
    pub delivered: bool,
    /// Stable reason code.
    pub reason: String,
    /// The same for people.
    pub words: String,
    /// How long that took, in milliseconds.
    pub took_ms: u64,
}
