//! A template: text rendered for each host, as its installer reads it.

use super::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Text with Jinja expressions that is rendered for each host: a kickstart, a preseed, user-data.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// Unique name.
    pub name: Name,
    /// What reads it: says how values are escaped and what is checked.
    pub kind: TemplateKind,
    /// The text.
    pub text: String,
}

/// What reads a rendered template.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TemplateKind {
    /// ESXi's scripted installation.
    EsxiKickstart,
    /// Anaconda: RHEL, Rocky, Fedora.
    Kickstart,
    /// Debian's installer.
    Preseed,
    /// YAML: cloud-init and Ubuntu's autoinstall.
    UserData,
    /// JSON: Photon OS.
    Json,
    /// XML: Windows Setup.
    Unattend,
    /// A script for a POSIX shell: a value that is more than one plain word has to be quoted.
    Shell,
    /// Anything else; values are taken as they are.
    Text,
}

impl TemplateKind {
    /// The name used in configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            TemplateKind::EsxiKickstart => "esxi-kickstart",
            TemplateKind::Kickstart => "kickstart",
            TemplateKind::Preseed => "preseed",
            TemplateKind::UserData => "user-data",
            TemplateKind::Json => "json",
            TemplateKind::Unattend => "unattend",
            TemplateKind::Shell => "shell",
            TemplateKind::Text => "text",
        }
    }
}
