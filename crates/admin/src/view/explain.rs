//! Why a machine boots what it boots, as the API shows it.

use super::ScriptRunView;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a machine would boot, and why.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Explanation {
    /// `image`, `menu`, `local-disk` or `nothing`.
    pub boots: String,
    /// The image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The host record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Reason code when it is left alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What it is told at each door, in order.
    pub steps: Vec<ExplainedStep>,
    /// The decision's trace.
    pub because: Vec<Because>,
    /// What to know of the image on this machine's firmware, and what its medium asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Its groups, nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Every rule in force, in order, as it was asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<AskedRule>,
    /// Every value it is given, with its origin.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<GivenValue>,
    /// Scripts of its bundles in their order; of a recorded host with how the last run of each ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bundle_runs: Vec<ScriptRunView>,
    /// The script it would get.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// What was known of it, by name.
    pub facts: BTreeMap<String, String>,
    /// Catalog the answer comes from.
    pub generation: u64,
}

/// What one door tells it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ExplainedStep {
    /// Who asks: `rom`, `http-rom`, `ipxe`, `loader`.
    pub stage: String,
    /// The answer, in words.
    pub answer: String,
}

/// One line of a trace.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Because {
    /// What was asked, in words.
    pub text: String,
    /// It applied.
    pub matched: bool,
}

/// A rule as it was asked.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct AskedRule {
    /// Its place.
    pub order: u32,
    /// Its name.
    pub rule: String,
    /// `yes`, `no`, or `unknown` before the machine was asked for more.
    pub answer: String,
    /// Its terms.
    pub terms: Vec<AskedTerm>,
    /// The items it decided.
    pub decides: Vec<String>,
}

/// One term of a rule's selector.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct AskedTerm {
    /// As it is written.
    pub term: String,
    /// `yes`, `no` or `unknown`.
    pub answer: String,
    /// What the machine has there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub has: Option<String>,
}

/// A value a machine is given.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct GivenValue {
    /// `image`, `template`, `params.ntp` …
    pub key: String,
    /// The value.
    pub value: String,
    /// `host web01`, `group rack12`, `rule base`.
    pub from: String,
    /// Where that is defined: `api`, or `file:<path>:<line>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}
