//! Machines as they are remembered: table facts, key `machine/<MAC in hex>`.
//!
//! Their address is not in it: leases say who has which, and what a neighbour said is not worth remembering.

use super::Kind;
use crate::error::RecordError;
use crate::wire::{hex, unhex};
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;
use std::sync::Arc;
use types::{ClientArch, Facts, Firmware, MacAddr, MachineGuid, UnixTime};

/// Machines.
pub const MACHINE: Kind = Kind { name: "machine", steps: &[] };

/// Longest record of a machine: every text at the length the doors allow, every byte escaped.
pub const MACHINE_BYTES_MAX: usize = 32 << 10;

const KEY_PREFIX: &str = "machine/";

/// What is kept of a machine, and since when it is known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Machine {
    /// What it said of itself; `mac` is always there, `address` never, `stage` is the default.
    pub facts: Facts,
    /// When it was seen first.
    pub first_seen: UnixTime,
    /// When it was seen last; written every few minutes at most.
    pub last_seen: UnixTime,
}

/// Key of a machine.
pub fn machine_key(mac: MacAddr) -> Vec<u8> {
    format!("{KEY_PREFIX}{}", hex(&mac.0)).into_bytes()
}

/// The hardware address that a key of table facts stands for.
pub fn machine_mac(key: &[u8]) -> Option<MacAddr> {
    let digits = std::str::from_utf8(key).ok()?.strip_prefix(KEY_PREFIX)?;
    unhex(digits).and_then(|bytes| <[u8; 6]>::try_from(bytes).ok()).map(MacAddr)
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct StoredMachine {
    mac: String,
    first_seen: u64,
    last_seen: u64,
    /// The 16 bytes as received, hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    guid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arch: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    firmware: Option<Firmware>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    http: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    comboot: Option<bool>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    smbios: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    vendor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    serial: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    asset: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    oemstring: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    board_serial: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nic_bus: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hostname: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    interface: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    relay: Option<Ipv4Addr>,
    /// Hex: a relay may say anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    circuit_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subnet: Option<String>,
}

/// Writes a machine.
///
/// # Errors
/// [`RecordError::BadField`] without a hardware address; else as [`Kind::encode`].
pub fn encode_machine(machine: &Machine) -> Result<Vec<u8>, RecordError> {
    let facts = &machine.facts;
    let mac = facts.mac.ok_or(RecordError::BadField { kind: MACHINE.name, field: "mac" })?;
    let text = |value: &Option<Arc<str>>| value.as_deref().map(str::to_owned);
    MACHINE.encode(&StoredMachine {
        mac: mac.to_string(),
        first_seen: machine.first_seen.0,
        last_seen: machine.last_seen.0,
        guid: facts.guid.map(|guid| hex(&guid.0)),
        arch: facts.arch.map(|arch| arch.0),
        firmware: facts.firmware,
        http: facts.http,
        comboot: facts.comboot,
        smbios: facts.smbios,
        vendor: text(&facts.vendor),
        model: text(&facts.model),
        serial: text(&facts.serial),
        asset: text(&facts.asset),
        oemstring: text(&facts.oemstring),
        board_serial: text(&facts.board_serial),
        nic_bus: text(&facts.nic_bus),
        hostname: text(&facts.hostname),
        interface: text(&facts.interface),
        relay: facts.relay,
        circuit_id: facts.circuit_id.as_deref().map(hex),
        subnet: text(&facts.subnet),
    })
}

/// Reads a machine.
///
/// # Errors
/// As [`Kind::decode`], and [`RecordError::BadField`] when hex is no hex or the hardware address is none.
pub fn decode_machine(value: &[u8]) -> Result<Machine, RecordError> {
    let bad = |field| RecordError::BadField { kind: MACHINE.name, field };
    let stored: StoredMachine = MACHINE.decode(value)?;
    let text = |value: Option<String>| value.map(Arc::from);
    let guid = match stored.guid {
        Some(text) => {
            let bytes = unhex(&text).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
            Some(MachineGuid(bytes.ok_or(bad("guid"))?))
        }
        None => None,
    };
    let circuit_id = match stored.circuit_id {
        Some(text) => Some(Arc::from(unhex(&text).ok_or(bad("circuit_id"))?)),
        None => None,
    };
    Ok(Machine {
        facts: Facts {
            mac: Some(stored.mac.parse().map_err(|_| bad("mac"))?),
            guid,
            arch: stored.arch.map(ClientArch),
            firmware: stored.firmware,
            http: stored.http,
            comboot: stored.comboot,
            smbios: stored.smbios,
            vendor: text(stored.vendor),
            model: text(stored.model),
            serial: text(stored.serial),
            asset: text(stored.asset),
            oemstring: text(stored.oemstring),
            board_serial: text(stored.board_serial),
            nic_bus: text(stored.nic_bus),
            hostname: text(stored.hostname),
            interface: text(stored.interface),
            relay: stored.relay,
            circuit_id,
            subnet: text(stored.subnet),
            ..Facts::default()
        },
        first_seen: UnixTime(stored.first_seen),
        last_seen: UnixTime(stored.last_seen),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole() -> Machine {
        let text = |text: &str| Some(Arc::from(text));
        Machine {
            facts: Facts {
                mac: Some(MacAddr([0x52, 0x54, 0, 0, 0, 1])),
                guid: Some(MachineGuid([7; 16])),
                arch: Some(ClientArch(7)),
                firmware: Some(Firmware::UefiX64),
                http: true,
                comboot: Some(false),
                smbios: true,
                vendor: text("Dell Inc."),
                model: text("PowerEdge \"R750\"\u{1}"),
                serial: text("7XK2P13"),
                asset: text("a"),
                oemstring: text("o"),
                board_serial: text("b"),
                nic_bus: text("01:80:86:10:0e"),
                hostname: text("web01"),
                interface: text("eth0"),
                relay: Some(Ipv4Addr::new(10, 4, 0, 1)),
                circuit_id: Some(Arc::from([0u8, 255].as_slice())),
                subnet: text("lab"),
                ..Facts::default()
            },
            first_seen: UnixTime(1_000),
            last_seen: UnixTime(2_000),
        }
    }

    #[test]
    fn a_machine_is_read_as_it_was_written() {
        let bare = Machine { facts: Facts { mac: Some(MacAddr([2; 6])), ..Facts::default() }, ..whole() };
        for machine in [whole(), bare] {
            let value = encode_machine(&machine).unwrap();
            assert_eq!(decode_machine(&value).unwrap(), machine);
            assert_eq!(machine_mac(&machine_key(machine.facts.mac.unwrap())), machine.facts.mac);
        }
    }

    #[test]
    fn what_is_not_kept_is_not_in_the_record() {
        let mut machine = whole();
        machine.facts.address = Some([10, 0, 0, 9].into());
        let value = String::from_utf8(encode_machine(&machine).unwrap()).unwrap();
        assert!(!value.contains("10.0.0.9"), "{value}");
        assert!(encode_machine(&Machine { facts: Facts::default(), ..whole() }).is_err());
    }

    #[test]
    fn a_record_that_is_none_is_refused_by_its_field() {
        for (value, field) in [
            (r#"{"v":1,"record":{"mac":"nothing"}}"#, "mac"),
            (r#"{"v":1,"record":{"mac":"02:00:00:00:00:01","guid":"12"}}"#, "guid"),
            (r#"{"v":1,"record":{"mac":"02:00:00:00:00:01","circuit_id":"1"}}"#, "circuit_id"),
            (r#"{"v":2,"record":{}}"#, "version"),
        ] {
            let error = decode_machine(value.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(field), "{error}");
        }
        assert_eq!(machine_mac(b"ignore/020202020202"), None);
    }
}
