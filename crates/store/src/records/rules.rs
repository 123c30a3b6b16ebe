//! Groups, rules, templates, bundles, and the sets of rules that are or were in force.

use super::Kind;
use super::owned::owner_beside;
use serde::{Deserialize, Serialize};
use types::resource::Rule;

/// Groups.
pub const GROUP: Kind = Kind { name: "group", steps: &[owner_beside] };
/// Rules as they are being edited.
pub const RULE: Kind = Kind { name: "rule", steps: &[owner_beside] };
/// Templates of answer files. There was never one of version 1; so all that have owners have their versions in common.
pub const TEMPLATE: Kind = Kind { name: "template", steps: &[owner_beside] };
/// Bundles of scripts. As with templates there was never one of version 1.
pub const BUNDLE: Kind = Kind { name: "bundle", steps: &[owner_beside] };
/// Sets of rules.
pub const RULE_SET: Kind = Kind { name: "rule set", steps: &[] };

/// Rules that were put in force together. The one with the highest number is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RuleSet {
    /// Its number, from 1.
    pub number: u64,
    /// When it was put in force, seconds since 1970.
    pub activated: u64,
    /// What was done, in a word or two (`activate`, `rollback to 3`, `rule add r7xx`).
    pub by: String,
    /// The rules, by name.
    pub rules: Vec<Rule>,
}

/// Key of a set: its number, big-endian, so that the last is the highest.
pub fn rule_set_key(number: u64) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

/// The number in a key of [`Table::RuleSets`](crate::Table::RuleSets); `None` when it is none of ours.
pub fn rule_set_number(key: &[u8]) -> Option<u64> {
    key.try_into().ok().map(u64::from_be_bytes)
}
