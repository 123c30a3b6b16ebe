//! Logs of boots as the API shows them.

use serde::{Deserialize, Serialize};
use types::MacAddr;

/// A log that an installer sent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BootLogView {
    /// Id of the boot.
    pub boot: String,
    /// The host record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddr>,
    /// What it booted.
    pub image: String,
    /// Name of the log, as its sender called it.
    pub name: String,
    /// Bytes as they were sent.
    pub bytes: u64,
    /// When it had come; RFC 3339.
    pub received: String,
    /// Its text; absent in lists. Control characters other than line ends and tabs, and bytes that are no UTF-8, are written
    /// out as `\x1b`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}
