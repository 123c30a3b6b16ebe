//! Expectations: tests of the rules that live beside them.

use crate::units::Ipv4;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use types::resource::{Name, OneOrMany};
use types::{Facts, Firmware, MacAddr, MachineGuid, Stage};

/// What one machine must be given.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expectation {
    /// The machine, as it would say of itself.
    #[serde(default)]
    pub(crate) machine: MachineFile,
    /// It is armed for a destructive image.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) armed: bool,
    /// What it boots: the name of an image (or `image@version`), `local-disk`, `menu` or `nothing`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) boots: Option<String>,
    /// Template of its answer file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) template: Option<Name>,
    /// Group it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) group: Option<Name>,
    /// Parameters it has; others may be there too.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) params: BTreeMap<String, String>,
}

/// What a machine says of itself.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct MachineFile {
    /// A host of the files: its MAC address, GUID and serial are taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<Name>,
    /// MAC address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mac: Option<MacAddr>,
    /// SMBIOS GUID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) uuid: Option<MachineGuid>,
    /// SMBIOS manufacturer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) vendor: Option<String>,
    /// SMBIOS product.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) model: Option<String>,
    /// SMBIOS serial number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) serial: Option<String>,
    /// SMBIOS asset tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) asset: Option<String>,
    /// SMBIOS OEM string.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) oemstring: Option<String>,
    /// Host name it gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hostname: Option<String>,
    /// Its address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ipv4: Option<Ipv4>,
    /// Relay its requests come through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) relay: Option<Ipv4>,
    /// Circuit id of option 82, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) circuit: Option<String>,
    /// Subnet its address is from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) subnet: Option<String>,
    /// Interface its requests come in on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) interface: Option<String>,
    /// Firmware.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) firmware: Option<Firmware>,
}

impl MachineFile {
    /// The facts of a machine that was asked for all it has; `identity` of the host it names.
    pub(crate) fn facts(&self, identity: Option<&types::resource::HostMatch>) -> Facts {
        let text = |text: &Option<String>| text.as_deref().map(Into::into);
        let known = |OneOrMany(macs): &OneOrMany<MacAddr>| macs.first().copied();
        Facts {
            mac: self.mac.or_else(|| known(&identity?.mac)),
            guid: self.uuid.or_else(|| identity?.uuid),
            firmware: self.firmware,
            stage: Stage::Ipxe,
            http: true,
            smbios: true,
            vendor: text(&self.vendor),
            model: text(&self.model),
            serial: text(&self.serial).or_else(|| identity?.serial.as_deref().map(Into::into)),
            asset: text(&self.asset),
            oemstring: text(&self.oemstring),
            hostname: text(&self.hostname),
            interface: text(&self.interface),
            relay: self.relay.map(|relay| relay.0),
            circuit_id: self.circuit.as_deref().map(|circuit| circuit.as_bytes().into()),
            subnet: text(&self.subnet),
            address: self.ipv4.map(|address| address.0.into()),
            ..Facts::default()
        }
    }
}
