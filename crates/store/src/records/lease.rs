//! Leases on disk.
//!
//! Version 2 has `lease_secs`, the length that was granted; version 1 had only the two times it follows from.

use super::Kind;
use crate::error::RecordError;
use crate::wire::{hex, unhex};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use types::lease::{ClientKey, LeaseRecord, LeaseState};
use types::{MacAddr, MachineGuid, UnixTime};

/// Leases.
pub const LEASE: Kind = Kind { name: "lease", steps: &[add_lease_secs] };

/// The length of a lease; none when it never ends. One that ends before it began has length 0.
fn length(granted: u64, expires: Option<u64>) -> Option<u64> {
    expires.map(|expires| expires.saturating_sub(granted))
}

/// Version 1 to 2.
fn add_lease_secs(record: &mut Value) -> Result<(), RecordError> {
    let bad = |field| RecordError::BadField { kind: LEASE.name, field };
    let record = record.as_object_mut().ok_or(bad("record"))?;
    let granted = record.get("granted").and_then(Value::as_u64).ok_or(bad("granted"))?;
    let expires = match record.get("expires") {
        None | Some(Value::Null) => None,
        Some(expires) => Some(expires.as_u64().ok_or(bad("expires"))?),
    };
    if let Some(secs) = length(granted, expires) {
        record.insert("lease_secs".to_owned(), secs.into());
    }
    Ok(())
}

/// A [`LeaseRecord`] on disk. Bytes a client sent are hex: they may be anything.
#[derive(Serialize, Deserialize)]
struct StoredLease {
    address: std::net::Ipv4Addr,
    subnet: String,
    key: StoredKey,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mac: Option<MacAddr>,
    /// The 16 bytes as received, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    guid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hostname: Option<String>,
    state: StoredState,
    granted: u64,
    /// Absent: it never ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<u64>,
    /// The length granted; absent when it never ends. Since version 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lease_secs: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    relay_info: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredKey {
    ClientId(String),
    Hardware { htype: u8, address: String },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredState {
    Bound,
    Released,
    Quarantined,
}

/// Writes a lease.
///
/// # Errors
/// Never for a lease of the table; see [`Kind::encode`].
pub fn encode_lease(lease: &LeaseRecord) -> Result<Vec<u8>, RecordError> {
    let LeaseRecord { address, subnet, key, mac, guid, hostname, state, granted, expires, relay_info } =
        lease;
    let stored = StoredLease {
        address: *address,
        subnet: subnet.to_string(),
        key: match key {
            ClientKey::ClientId(id) => StoredKey::ClientId(hex(id)),
            ClientKey::Hardware { htype, address } => {
                StoredKey::Hardware { htype: *htype, address: hex(address) }
            }
        },
        mac: *mac,
        guid: guid.map(|guid| hex(&guid.0)),
        hostname: hostname.as_deref().map(str::to_owned),
        state: match state {
            LeaseState::Bound => StoredState::Bound,
            LeaseState::Released => StoredState::Released,
            LeaseState::Quarantined => StoredState::Quarantined,
        },
        granted: granted.0,
        expires: (expires.0 != u64::MAX).then_some(expires.0),
        lease_secs: length(granted.0, (expires.0 != u64::MAX).then_some(expires.0)),
        relay_info: relay_info.as_deref().map(hex),
    };
    LEASE.encode(&stored)
}

/// Reads a lease.
///
/// # Errors
/// As [`Kind::decode`], and [`RecordError::BadField`] when hex is no hex or the granted length is not that of its times.
pub fn decode_lease(value: &[u8]) -> Result<LeaseRecord, RecordError> {
    let stored: StoredLease = LEASE.decode(value)?;
    if stored.lease_secs != length(stored.granted, stored.expires) {
        return Err(RecordError::BadField { kind: "lease", field: "lease_secs" });
    }
    let bytes = |field: &'static str, text: &str| -> Result<Arc<[u8]>, RecordError> {
        unhex(text).map(Arc::from).ok_or(RecordError::BadField { kind: "lease", field })
    };
    Ok(LeaseRecord {
        address: stored.address,
        subnet: stored.subnet.into(),
        key: match stored.key {
            StoredKey::ClientId(id) => ClientKey::ClientId(bytes("client_id", &id)?),
            StoredKey::Hardware { htype, address } => {
                ClientKey::Hardware { htype, address: bytes("hardware address", &address)? }
            }
        },
        mac: stored.mac,
        guid: match stored.guid {
            Some(text) => {
                let bytes = unhex(&text).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
                Some(MachineGuid(bytes.ok_or(RecordError::BadField { kind: "lease", field: "guid" })?))
            }
            None => None,
        },
        hostname: stored.hostname.map(Arc::from),
        state: match stored.state {
            StoredState::Bound => LeaseState::Bound,
            StoredState::Released => LeaseState::Released,
            StoredState::Quarantined => LeaseState::Quarantined,
        },
        granted: UnixTime(stored.granted),
        expires: UnixTime(stored.expires.unwrap_or(u64::MAX)),
        relay_info: stored.relay_info.map(|text| bytes("relay_info", &text)).transpose()?,
    })
}
