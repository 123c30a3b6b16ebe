//! An image: a named set of files and the recipe to boot it.

use super::Name;
use crate::Firmware;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A named set of files and its profile: the recipe that boots it.
///
/// `kernel`, `initrd` and `script` are file names inside the image, looked up in its manifest and never on a disk.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Unique name; also the first part of its files' names in the boot tree.
    pub name: Name,
    /// How it is booted.
    pub kind: ImageKind,
    /// Where its files come from, for images of a configuration file: a directory or a catalogue name
    /// (`dir:/srv/debian`, `debian-netboot`). Imported images leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Linux: the kernel's file name in the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// Linux: initial ramdisks in loading order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub initrd: Vec<String>,
    /// Linux: the kernel command line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cmdline: String,
    /// iPXE script: its file name in the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// Booting it may erase a disk: never in a menu, needs an armed host.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub destructive: bool,
    /// Firmware it boots on; empty means any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub firmware: Vec<Firmware>,
    /// One line for menus.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

/// How an image is booted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ImageKind {
    /// A Linux kernel with initial ramdisks.
    Linux,
    /// An iPXE script, run as it is.
    IpxeScript,
}

impl ImageKind {
    /// The name used in configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            ImageKind::Linux => "linux",
            ImageKind::IpxeScript => "ipxe-script",
        }
    }
}
