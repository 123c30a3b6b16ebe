//! A `ComputerSystem` (DSP0268), as far as power and the next boot need it. Everything is optional: an old controller leaves out
//! what it does not know.

use super::answer::{etag, link, text, texts};
use serde::Serialize;
use serde_json::{Map, Value};
use types::MachineGuid;

/// Whether a machine has power, as its controller says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PowerState {
    /// On.
    On,
    /// Off; the controller lives.
    Off,
    /// Between off and on.
    PoweringOn,
    /// Between on and off.
    PoweringOff,
    /// On and halted.
    Paused,
    /// It does not say, or says something else.
    Unknown,
}

impl PowerState {
    /// The name in texts: `on`.
    pub fn as_str(self) -> &'static str {
        match self {
            PowerState::On => "on",
            PowerState::Off => "off",
            PowerState::PoweringOn => "powering on",
            PowerState::PoweringOff => "powering off",
            PowerState::Paused => "paused",
            PowerState::Unknown => "unknown",
        }
    }

    fn parse(text: &str) -> PowerState {
        match text {
            "On" => PowerState::On,
            "Off" => PowerState::Off,
            "PoweringOn" => PowerState::PoweringOn,
            "PoweringOff" => PowerState::PoweringOff,
            "Paused" => PowerState::Paused,
            _ => PowerState::Unknown,
        }
    }
}

/// What a service says of one system.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct System {
    /// `Id`: its name within the service.
    pub id: String,
    /// `Name`.
    pub name: Option<String>,
    /// `Manufacturer`.
    pub manufacturer: Option<String>,
    /// `Model`.
    pub model: Option<String>,
    /// `SerialNumber`.
    pub serial: Option<String>,
    /// `UUID`, as it is written there.
    pub uuid: Option<String>,
    /// `BiosVersion`.
    pub bios: Option<String>,
    /// `PowerState`.
    pub power: PowerState,
    /// `Boot`.
    pub boot: Boot,
    /// `Actions`, `#ComputerSystem.Reset`.
    #[serde(skip)]
    pub reset: Option<Reset>,
    /// Link of `@Redfish.Settings`, `SettingsObject`: where changes for the next start go, when not to the system itself.
    #[serde(skip)]
    pub settings: Option<String>,
    /// `@odata.etag`, or the field of the answer.
    #[serde(skip)]
    pub etag: Option<String>,
}

/// The boot override.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Boot {
    /// `BootSourceOverrideTarget`.
    pub target: Option<String>,
    /// `BootSourceOverrideEnabled`: `Once`, `Continuous`, `Disabled`.
    pub enabled: Option<String>,
    /// `BootSourceOverrideMode`: `UEFI`, `Legacy`.
    pub mode: Option<String>,
    /// `HttpBootUri`, when it has a value.
    pub http_uri: Option<String>,
    /// The controller has `HttpBootUri`, with a value or without.
    #[serde(skip)]
    pub has_http_uri: bool,
    /// Targets that can be chosen. Empty when it does not say.
    pub targets: Vec<String>,
}

/// How to reset it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reset {
    /// Link to post to.
    pub target: String,
    /// Values of `ResetType` it takes. Empty when it does not say here.
    pub offered: Vec<String>,
    /// Link to the `ActionInfo` that says it instead (DSP0266, action info).
    pub info: Option<String>,
}

impl System {
    /// Takes what there is. Of a wrong shape is the same as not there.
    pub fn parse(object: &Map<String, Value>, field_etag: Option<&str>) -> System {
        let own = |name: &str| object.get(name).and_then(text);
        let boot = object.get("Boot").and_then(Value::as_object);
        let boot = boot.map(|boot| {
            let own = |name: &str| boot.get(name).and_then(text);
            Boot {
                target: own("BootSourceOverrideTarget"),
                enabled: own("BootSourceOverrideEnabled"),
                mode: own("BootSourceOverrideMode"),
                http_uri: own("HttpBootUri"),
                has_http_uri: boot.contains_key("HttpBootUri"),
                targets: texts(boot.get("BootSourceOverrideTarget@Redfish.AllowableValues")),
            }
        });
        let reset = object.get("Actions").and_then(|actions| actions.get("#ComputerSystem.Reset"));
        let reset = reset.and_then(|reset| {
            Some(Reset {
                target: reset.get("target")?.as_str()?.to_owned(),
                offered: texts(reset.get("ResetType@Redfish.AllowableValues")),
                info: reset.get("@Redfish.ActionInfo").and_then(Value::as_str).map(str::to_owned),
            })
        });
        let settings = object.get("@Redfish.Settings").and_then(|it| link(it.get("SettingsObject")));
        let tag = field_etag.or_else(|| object.get("@odata.etag").and_then(Value::as_str)).and_then(etag);
        System {
            id: own("Id").unwrap_or_default(),
            name: own("Name"),
            manufacturer: own("Manufacturer"),
            model: own("Model"),
            serial: own("SerialNumber"),
            uuid: own("UUID"),
            bios: own("BiosVersion"),
            power: own("PowerState").map_or(PowerState::Unknown, |state| PowerState::parse(&state)),
            boot: boot.unwrap_or_default(),
            reset,
            settings,
            etag: tag,
        }
    }

    /// Its UUID, when it is one.
    pub fn guid(&self) -> Option<MachineGuid> {
        self.uuid.as_deref()?.parse().ok()
    }

    /// Whether somebody who writes this means it: its id, UUID (in either byte order) or serial number.
    pub fn is_called(&self, name: &str) -> bool {
        let name = name.trim();
        let by_uuid = name.parse::<MachineGuid>().ok().zip(self.guid());
        self.id == name
            || by_uuid.is_some_and(|(wanted, own)| wanted == own || wanted.swapped() == own)
            || self.serial.as_deref().is_some_and(|serial| serial.eq_ignore_ascii_case(name))
    }

    /// One line for people: `iDRAC 1, PowerEdge R470, serial X`.
    pub fn describe(&self) -> String {
        let mut parts = vec![format!("system `{}`", self.id)];
        let made = [self.manufacturer.as_deref(), self.model.as_deref()];
        let made: Vec<&str> = made.into_iter().flatten().collect();
        if !made.is_empty() {
            parts.push(made.join(" "));
        }
        parts.extend(self.serial.as_ref().map(|serial| format!("serial {serial}")));
        parts.extend(self.uuid.as_ref().map(|uuid| format!("UUID {uuid}")));
        parts.join(", ")
    }
}

/// Values of `ResetType` in an `ActionInfo`.
pub(crate) fn offered_by(info: &Map<String, Value>) -> Vec<String> {
    let parameters = info.get("Parameters").and_then(Value::as_array);
    let own = parameters
        .into_iter()
        .flatten()
        .find(|parameter| parameter.get("Name").and_then(Value::as_str) == Some("ResetType"));
    texts(own.and_then(|parameter| parameter.get("AllowableValues")))
}
