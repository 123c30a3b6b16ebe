//! What an operator was told of the identity of machines and that stands yet: table facts, key `alarm/<kind>/<subject>`.

use super::Kind;
use serde::{Deserialize, Serialize};
use types::resource::Name;
use types::{MacAddr, MachineGuid};

/// Alarms.
pub const ALARM: Kind = Kind { name: "identity alarm", steps: &[] };

const KEY_PREFIX: &str = "alarm/";

/// What is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlarmKind {
    /// The terms of a machine name several hosts.
    Conflict,
    /// A machine differs from its record.
    IdentityChanged,
    /// Several machines carry one GUID.
    UuidDuplicate,
    /// One hardware address comes with several GUIDs in turn.
    UuidAlternates,
}

impl AlarmKind {
    /// Stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            AlarmKind::Conflict => "conflict",
            AlarmKind::IdentityChanged => "identity_changed",
            AlarmKind::UuidDuplicate => "uuid_duplicate",
            AlarmKind::UuidAlternates => "uuid_alternates",
        }
    }
}

/// One alarm.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Alarm {
    /// What is wrong.
    pub kind: AlarmKind,
    /// The machines it is about; the first is the one it was found at.
    pub macs: Vec<MacAddr>,
    /// The GUIDs it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guids: Vec<MachineGuid>,
    /// The hosts it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<Name>,
    /// Says it in words.
    pub detail: String,
    /// Whether what erases disks is held back.
    #[serde(default)]
    pub holds: bool,
    /// Since when, seconds since 1970.
    pub since: u64,
}

impl Alarm {
    /// What it is about: a GUID for several machines with one, else the machine.
    pub fn subject(&self) -> String {
        match (self.kind, self.guids.first(), self.macs.first()) {
            (AlarmKind::UuidDuplicate, Some(guid), _) => guid.to_string(),
            (_, _, Some(mac)) => mac.to_string(),
            _ => "unknown".to_owned(),
        }
    }

    /// Its key in table facts: the same for either byte order of a GUID.
    pub fn key(&self) -> Vec<u8> {
        let subject = match (self.kind, self.guids.first()) {
            (AlarmKind::UuidDuplicate, Some(guid)) => (*guid).min(guid.swapped()).wire_text(),
            _ => self.subject(),
        };
        format!("{KEY_PREFIX}{}/{subject}", self.kind.as_str()).into_bytes()
    }
}

/// True for keys of alarms.
pub fn is_alarm_key(key: &[u8]) -> bool {
    key.starts_with(KEY_PREFIX.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_is_read_as_it_was_written_and_has_its_own_key() {
        let alarm = Alarm {
            kind: AlarmKind::UuidDuplicate,
            macs: vec![MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2])],
            guids: vec![MachineGuid([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16])],
            hosts: Vec::new(),
            detail: "two machines".to_owned(),
            holds: true,
            since: 1_000,
        };
        let value = ALARM.encode(&alarm).unwrap();
        assert_eq!(ALARM.decode::<Alarm>(&value).unwrap(), alarm);
        let other = Alarm { kind: AlarmKind::Conflict, ..alarm.clone() };
        assert!(is_alarm_key(&alarm.key()) && alarm.key() != other.key());
        let swapped =
            Alarm { guids: alarm.guids.iter().map(|guid| guid.swapped()).collect(), ..alarm.clone() };
        assert_eq!(swapped.key(), alarm.key());
        assert_eq!(other.key(), b"alarm/conflict/02:00:00:00:00:01");
    }
}
