//! Machines nobody recorded, as the API shows them.

use serde::{Deserialize, Serialize};
use types::{MacAddr, MachineGuid};

/// A machine that was seen and has no record.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MachineView {
    /// Hardware address it boots from.
    pub mac: MacAddr,
    /// SMBIOS GUID, unless it is nobody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<MachineGuid>,
    /// SMBIOS manufacturer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// SMBIOS product.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// SMBIOS serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// SMBIOS asset tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asset: Option<String>,
    /// Firmware.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<String>,
    /// Its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Relay its requests come through, or the interface they come in on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// The code on its screen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// When it was seen first, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_seen: Option<String>,
    /// When it last asked for anything, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<String>,
    /// For how long it has waited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waited_secs: Option<u64>,
    /// It is to be ignored.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ignored: bool,
}

/// Everything known of one machine, recorded or not: `GET /machines/{mac}`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MachineDetail {
    /// Hardware address it boots from.
    pub mac: MacAddr,
    /// The host it is, when it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// What it said of itself, by name, as `explain` shows it.
    pub facts: std::collections::BTreeMap<String, String>,
    /// When it was seen first, RFC 3339.
    pub first_seen: String,
    /// When it last asked for anything, RFC 3339; up to ten minutes older after a restart.
    pub last_seen: String,
    /// The code on its screen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What is wrong with its identity.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<AlarmView>,
}

/// Something wrong with the identity of machines, as long as it is: `GET /machines:conflicts`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AlarmView {
    /// `conflict`, `identity_changed`, `uuid_duplicate` or `uuid_alternates`.
    pub kind: String,
    /// The machine, or the GUID of several.
    pub subject: String,
    /// The machines.
    pub macs: Vec<MacAddr>,
    /// The GUIDs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uuids: Vec<MachineGuid>,
    /// The hosts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Says it in words.
    pub detail: String,
    /// What erases disks is held back.
    pub holds: bool,
    /// Since when, RFC 3339.
    pub since: String,
    /// What to do.
    pub fix: String,
}

/// A way in which a machine differs from the record of its host.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ChangeView {
    /// The machine.
    pub mac: MacAddr,
    /// `mac`, `uuid` or `serial`.
    pub term: String,
    /// What it says.
    pub value: String,
    /// What erases disks is held back until that is looked at.
    pub holds: bool,
    /// Since when, RFC 3339.
    pub since: String,
}

/// One host of `POST /hosts:batch`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostWrite {
    /// The record.
    pub host: types::resource::Host,
    /// There must be none of that name yet.
    #[serde(default)]
    pub new: bool,
    /// It must be at this revision; otherwise none is written (`R-RES-03`). What is as it should be already is no matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_revision: Option<u64>,
}

/// Machines that are to be ignored: `PUT /ignored/{octets}`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct IgnoredView {
    /// First octets of their hardware address: `24:6e:96`.
    pub octets: String,
    /// Since when, RFC 3339.
    pub since: String,
    /// Who wants that.
    pub by: String,
}
