//! `hooks`: who is told of events.

use crate::units::{Path, Period};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::resource::Name;

/// One hook. Either `url` or `command` says who is told.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HookFile {
    /// Unique name.
    pub(crate) name: Name,
    /// Events it is told of: `host.seen`, all of an area (`boot.*`) or all (`*`). Never those of hooks.
    pub(crate) events: Vec<String>,
    /// Webhook: the address each event is sent to by POST. `http://` or `https://`, no user name or password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    /// Command: a program by its whole path and its arguments, each a template. No shell reads them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) command: Vec<String>,
    /// Template of what is sent, or given to the command on standard input. Without it the event as JSON, as the API
    /// has it.
    #[schemars(extend("format" = "lines"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<String>,
    /// What the body is: its template and its `Content-Type` follow.
    #[serde(default)]
    pub(crate) body_kind: BodyKindFile,
    /// Webhook: where the key of the signature stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) secret: Option<SecretFile>,
    /// How long one try may take. 1s to 5m.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "5m"))]
    #[serde(default = "timeout")]
    pub(crate) timeout: Period,
    /// Tries after the first that failed, 0 to 20. Without it 5 for a webhook, 0 for a command.
    #[schemars(range(min = 0, max = 20))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retries: Option<u32>,
    /// Webhook: whom to trust over https, in place of the CA certificates of the appliance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trust: Option<TrustFile>,
}

const fn timeout() -> Period {
    Period::secs(10)
}

/// What a body is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum BodyKindFile {
    /// JSON: values are escaped for the inside of a string, and what is no JSON is not sent.
    #[default]
    Json,
    /// Plain text: values as they are.
    Text,
}

/// Where a secret stands; one of the two.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SecretFile {
    /// A file by its whole path, which others cannot read. One line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<Path>,
    /// An environment variable of the appliance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) env: Option<String>,
}

/// Whom to trust over https; one of the three.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrustFile {
    /// Only the server whose certificate has this SHA-256: 64 hex digits, with or without colons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<String>,
    /// Only the CA certificates of this PEM file, by its whole path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca_file: Option<Path>,
    /// Anybody.
    #[serde(default)]
    pub(crate) insecure: bool,
}
