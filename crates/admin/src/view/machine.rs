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
    /// For how long it has waited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waited_secs: Option<u64>,
    /// It is to be ignored.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ignored: bool,
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
