//! Groups and rules as the API shows them.

use serde::{Deserialize, Serialize};
use types::resource::{Group, Rule};

/// A group as the API shows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GroupView {
    /// The resource; its keys stand at the top level.
    #[serde(flatten)]
    pub group: Group,
    /// `api`, `apply:<name>`, or `file:<path>:<line>`.
    pub managed_by: String,
    /// Revision of this object.
    pub revision: u64,
    /// Hosts whose record names it.
    pub hosts: u64,
    /// Groups directly below it.
    pub children: Vec<String>,
}

/// A rule as the API shows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RuleView {
    /// The resource; its keys stand at the top level.
    #[serde(flatten)]
    pub rule: Rule,
    /// `api`, `apply:<name>`, or `file:<path>:<line>`.
    pub managed_by: String,
    /// Revision of this object; 0 for what is in force only.
    pub revision: u64,
    /// `active`: in force as it stands here. `staged`: not in force yet. `changed`: in force in an earlier form. `removed`: in
    /// force until the working set is activated.
    pub state: String,
    /// What an operator should look at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<RuleFindingView>,
}

/// One thing an operator should look at.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RuleFindingView {
    /// Stable code (`R-RUL-04`).
    pub code: String,
    /// The rule it is about.
    pub rule: String,
    /// What.
    pub what: String,
    /// What to do about it.
    pub fix: String,
}

/// What a rule or the working set would do.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RuleTest {
    /// Machines looked at: recorded hosts, and unknown machines seen since the start.
    pub machines: u64,
    /// How many of those are meant by the rule or selector asked for.
    #[serde(default)]
    pub meant: u64,
    /// The first thousand of the ones meant by the rule or selector asked for; none of them without one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub matches: Vec<String>,
    /// Machines whose next boot or values the working set would change.
    pub changes: Vec<RuleTestChange>,
    /// What an operator should look at in the working set.
    pub findings: Vec<RuleFindingView>,
}

/// A machine whose next boot would be another.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RuleTestChange {
    /// Name of the host, or `mac:…`.
    pub machine: String,
    /// What it boots now.
    pub now: String,
    /// What it would boot.
    pub then: String,
    /// Values that would be others, by key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// A set that was put in force, or with `dry_run` would have been.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RulesActivated {
    /// Its number; 0 when nothing would change.
    pub set: u64,
    /// Rules in it.
    pub rules: u64,
    /// Names of rules that were added, changed or removed by it.
    pub changed: Vec<String>,
    /// Milliseconds from the order until it was in force, its commit among them; 0 when nothing was put in force.
    #[serde(default)]
    pub in_force_ms: u64,
    /// What it does to machines.
    pub test: RuleTest,
}

/// A set of rules that is or was in force.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RuleSetView {
    /// Its number.
    pub set: u64,
    /// RFC 3339.
    pub activated: String,
    /// What was done.
    pub by: String,
    /// It is in force.
    pub active: bool,
    /// Its rules by name; those of files are not in it.
    pub rules: Vec<String>,
}
