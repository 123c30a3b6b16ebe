//! `GET /explain`.

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
