//! What an action tells the event stream. The daemon makes a [`types::Event`] of it and stamps the boot attempt on it.
//!
//! | name | when | fields |
//! |---|---|---|
//! | `power.done` | everything that was asked for came about, or left (`by` = `wol`) | `action` `by` `did` `state` `notes` |
//! | `power.failed` | it did not; `reason` says why | the same, `cause` and `fix` |
//!
//! A look at the state alone, and a dry run, tell nothing.

use types::event::{Level, Value};

/// One event, without its time.
#[derive(Clone, PartialEq, Debug)]
pub struct PowerEvent {
    /// `power.done` or `power.failed`.
    pub name: &'static str,
    /// How loud.
    pub level: Level,
    /// Whose power.
    pub host: String,
    /// Stable reason code of a failure.
    pub reason: Option<&'static str>,
    /// Everything else, in writing order.
    pub fields: Vec<(&'static str, Value)>,
}

/// Name of the event of an action that came about.
pub const DONE: &str = "power.done";
/// Name of the event of one that did not.
pub const FAILED: &str = "power.failed";

impl PowerEvent {
    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.fields.iter().find(|(own, _)| *own == name).map(|(_, value)| value)
    }
}
