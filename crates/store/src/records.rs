//! What records look like inside: keys, and versioned JSON.
//!
//! A value is `{"v":<version>,"record":{…}}`. The version belongs to the kind of record and rises when a reader of the old
//! form would misread the new one; a reader meets a higher one with a named error and never guesses.
//!
//! | table | key | record | version |
//! |---|---|---|---|
//! | hosts, images | name | `types::resource::{Host, Image}` | 1 |
//! | leases | family (4; room for 6), then the address big-endian | [`LeaseRecord`] | 1 |
//! | others | as their owners say | any `Serialize` value | theirs |

use crate::error::RecordError;
use crate::wire::{hex, unhex};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;
use types::lease::{ClientKey, LeaseRecord, LeaseState};
use types::resource::{Host, Image, Name};
use types::{MacAddr, MachineGuid, UnixTime};

/// Version of lease records.
pub const LEASE_VERSION: u32 = 1;
/// Version of host records.
pub const HOST_VERSION: u32 = 1;
/// Version of image records.
pub const IMAGE_VERSION: u32 = 1;

/// Key of a lease: the family (4 or 6), then the address, big-endian: scans go by address.
pub fn lease_key(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => [&[4u8][..], &address.octets()].concat(),
        IpAddr::V6(address) => [&[6u8][..], &address.octets()].concat(),
    }
}

/// The address a lease key stands for.
pub fn lease_address(key: &[u8]) -> Option<IpAddr> {
    match key.split_first()? {
        (4, octets) => <[u8; 4]>::try_from(octets).ok().map(IpAddr::from),
        (6, octets) => <[u8; 16]>::try_from(octets).ok().map(IpAddr::from),
        _ => None,
    }
}

/// Key of a host or an image: its name.
pub fn name_key(name: &Name) -> Vec<u8> {
    name.as_str().as_bytes().to_vec()
}

#[derive(Serialize)]
struct Wrapped<'a, T> {
    v: u32,
    record: &'a T,
}

#[derive(Deserialize)]
struct Version {
    v: u32,
}

#[derive(Deserialize)]
struct Unwrapped<T> {
    record: T,
}

/// Writes a record.
///
/// # Errors
/// When the value has no JSON form (a map whose keys are no text, or its own `Serialize` refuses).
pub fn encode<T: Serialize>(kind: &'static str, version: u32, record: &T) -> Result<Vec<u8>, RecordError> {
    serde_json::to_vec(&Wrapped { v: version, record })
        .map_err(|source| RecordError::Malformed { kind, source })
}

/// Reads a record of any version up to `known`.
///
/// # Errors
/// [`RecordError::Newer`] for a later version, [`RecordError::Malformed`] when it is no such record.
pub fn decode<T: DeserializeOwned>(kind: &'static str, known: u32, value: &[u8]) -> Result<T, RecordError> {
    let malformed = |source| RecordError::Malformed { kind, source };
    let Version { v: found } = serde_json::from_slice(value).map_err(malformed)?;
    if found > known {
        return Err(RecordError::Newer { kind, found, known });
    }
    serde_json::from_slice::<Unwrapped<T>>(value).map(|unwrapped| unwrapped.record).map_err(malformed)
}

/// Writes a host.
///
/// # Errors
/// Never for a checked host; see [`encode`].
pub fn encode_host(host: &Host) -> Result<Vec<u8>, RecordError> {
    encode("host", HOST_VERSION, host)
}

/// Reads a host.
///
/// # Errors
/// As [`decode`].
pub fn decode_host(value: &[u8]) -> Result<Host, RecordError> {
    decode("host", HOST_VERSION, value)
}

/// Writes an image.
///
/// # Errors
/// Never for a checked image; see [`encode`].
pub fn encode_image(image: &Image) -> Result<Vec<u8>, RecordError> {
    encode("image", IMAGE_VERSION, image)
}

/// Reads an image.
///
/// # Errors
/// As [`decode`].
pub fn decode_image(value: &[u8]) -> Result<Image, RecordError> {
    decode("image", IMAGE_VERSION, value)
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
/// Never for a lease of the table; see [`encode`].
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
        relay_info: relay_info.as_deref().map(hex),
    };
    encode("lease", LEASE_VERSION, &stored)
}

/// Reads a lease.
///
/// # Errors
/// As [`decode`], and [`RecordError::BadField`] when hex is no hex.
pub fn decode_lease(value: &[u8]) -> Result<LeaseRecord, RecordError> {
    let stored: StoredLease = decode("lease", LEASE_VERSION, value)?;
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

#[cfg(test)]
mod tests;
