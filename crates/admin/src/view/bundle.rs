//! What became of the scripts of a host's bundles, as the API shows it.

use serde::{Deserialize, Serialize};

/// A script of a host's bundles, and its last run.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ScriptRunView {
    /// Its bundle.
    pub bundle: String,
    /// Its name in it.
    pub script: String,
    /// `not-run`, `started`, `done` or `failed`.
    pub state: String,
    /// Its exit status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_status: Option<u8>,
    /// When it was begun, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<String>,
    /// When it ended, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// The boot it ran in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<String>,
    /// Its last words, up to 1 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}
