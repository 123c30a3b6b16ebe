//! What the machine starts from next: the body of the PATCH, made from what is wanted and what the system says of itself.

use super::system::System;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// What to start from (DSP0268, `BootSource`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BootTarget {
    /// The network, by PXE.
    Pxe,
    /// The network, by UEFI HTTP boot.
    UefiHttp,
    /// The local disk.
    Hdd,
    /// As the firmware is set: takes an override back.
    None,
}

impl BootTarget {
    /// The value as it is sent.
    pub fn as_str(self) -> &'static str {
        match self {
            BootTarget::Pxe => "Pxe",
            BootTarget::UefiHttp => "UefiHttp",
            BootTarget::Hdd => "Hdd",
            BootTarget::None => "None",
        }
    }
}

/// How firmware starts what it starts (DSP0268, `BootSourceOverrideMode`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BootMode {
    /// As UEFI.
    Uefi,
    /// As a BIOS.
    Legacy,
}

impl BootMode {
    /// The value as it is sent.
    pub fn as_str(self) -> &'static str {
        match self {
            BootMode::Uefi => "UEFI",
            BootMode::Legacy => "Legacy",
        }
    }
}

/// What the machine shall start from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NextBoot {
    /// From what.
    pub target: BootTarget,
    /// Once, or until it is taken back.
    pub once: bool,
    /// URL for UEFI HTTP boot, where the controller takes one; without it the firmware asks DHCP.
    pub http_uri: Option<String>,
    /// The firmware's mode; `None` leaves it alone.
    pub mode: Option<BootMode>,
}

impl NextBoot {
    /// Once from there, the mode left alone.
    pub fn once(target: BootTarget) -> NextBoot {
        NextBoot { target, once: true, http_uri: None, mode: None }
    }
}

/// A PATCH of the system, and what an operator should know of it.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Change {
    pub(crate) body: Value,
    pub(crate) notes: Vec<String>,
}

/// The body. `Err` has the targets that are offered instead.
pub(crate) fn change(wanted: &NextBoot, system: &System) -> Result<Change, Vec<String>> {
    let (boot, target) = (&system.boot, wanted.target.as_str());
    // Taking it back is always possible; `None` is often not listed.
    let listed = boot.targets.is_empty() || boot.targets.iter().any(|own| own == target);
    if !listed && wanted.target != BootTarget::None {
        return Err(boot.targets.clone());
    }
    let mut notes = Vec::new();
    let enabled = match (wanted.target, wanted.once) {
        (BootTarget::None, _) => "Disabled",
        (_, true) => "Once",
        (_, false) => "Continuous",
    };
    let mut fields = Map::new();
    // Target and duration go together: some controllers take one without the other for something else.
    fields.insert("BootSourceOverrideTarget".to_owned(), json!(target));
    fields.insert("BootSourceOverrideEnabled".to_owned(), json!(enabled));
    if let Some(mode) = wanted.mode {
        fields.insert("BootSourceOverrideMode".to_owned(), json!(mode.as_str()));
    } else if let Some(mode) = boot.mode.as_ref().filter(|_| is_supermicro(system)) {
        // QUIRK(supermicro-boot-mode): the mode falls back to its default when it is not said again.
        fields.insert("BootSourceOverrideMode".to_owned(), json!(mode));
    }
    match &wanted.http_uri {
        Some(uri) if wanted.target == BootTarget::UefiHttp && boot.has_http_uri => {
            fields.insert("HttpBootUri".to_owned(), json!(uri));
        }
        Some(_) if wanted.target == BootTarget::UefiHttp => {
            notes.push("the controller takes no URL for HTTP boot: the firmware asks DHCP for it".to_owned());
        }
        // Of an earlier order: it would win over what DHCP says.
        None if wanted.target == BootTarget::UefiHttp && boot.http_uri.as_deref().is_some_and(is_url) => {
            fields.insert("HttpBootUri".to_owned(), Value::Null);
        }
        _ => {}
    }
    Ok(Change { body: json!({ "Boot": fields }), notes })
}

fn is_url(text: &str) -> bool {
    text.contains("://")
}

fn is_supermicro(system: &System) -> bool {
    system.manufacturer.as_deref().is_some_and(|name| name.to_ascii_lowercase().contains("supermicro"))
}

/// What is odd about the boot override after it was set; `None` when it is as wanted.
pub(crate) fn doubt(wanted: &NextBoot, system: &System) -> Option<String> {
    let said = system.boot.target.as_deref()?;
    let enabled = system.boot.enabled.as_deref();
    if wanted.target == BootTarget::None {
        let off = said == "None" || enabled == Some("Disabled");
        return (!off)
            .then(|| format!("the controller took it, and still says that the next boot is `{said}`"));
    }
    if said != wanted.target.as_str() {
        return Some(format!("the controller took it, and says that the next boot is `{said}`"));
    }
    let fits = match enabled {
        Some("Once") => wanted.once,
        Some("Continuous") => !wanted.once,
        Some("Disabled") => false,
        _ => true,
    };
    let enabled = enabled.unwrap_or_default();
    (!fits).then(|| format!("the controller took it, and says that it holds `{enabled}`"))
}

#[cfg(test)]
mod tests;
