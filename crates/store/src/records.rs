//! What records look like inside: keys, and versioned JSON.
//!
//! A value is `{"v":<version>,"record":{…}}`. The version belongs to the kind of record and rises when a reader of the old
//! form would misread the new one; a reader meets a higher one with a named error and never guesses.
//!
//! A record of an older version is read through a chain of steps, one from each version to the next ([`Kind`]): every old
//! version is read by one path, whatever came after it. It is written in the new form when its owner next writes it; nothing
//! rewrites a store at start. A step is never changed once a program with it was given to anybody.
//!
//! | table | key | record | version |
//! |---|---|---|---|
//! | images | name | `types::resource::Image` | 1 |
//! | hosts, groups, rules, templates, bundles | name | `types::resource::{Host, Group, Rule, Template, Bundle}` | 2; 1 has no owner |
//! | rule_sets | number, big-endian | [`RuleSet`] | 1 |
//! | leases | family (4; room for 6), then the address big-endian | [`types::lease::LeaseRecord`] | 2; 1 lacks `lease_secs` |
//! | facts | `ignore/<hex>` | [`Ignored`] | 1 |
//! | facts | `machine/<mac in hex>` | [`Machine`] | 1 |
//! | facts | `alarm/<kind>/<subject>` | [`Alarm`] | 1 |
//! | boots | `host/<name>` | [`boots::life::Life`] | 1 |
//! | boots | `rollout/<name>` | [`boots::rollout::Rollout`] without its hosts | 1 |
//! | boots | `rollout-hosts/<name>/<number>` | 128 of its hosts | 1 |
//! | boots | `bundles/<host>` | [`ScriptRun`]s | 1 |
//! | others | as their owners say | any `Serialize` value | theirs |
//!
//! Beside the record of a host, group, rule, template or bundle stands its owner, `{"v":2,"owner":"apply:ci","record":{…}}`, unless it
//! is the API's ([`decode_owned`]).
//!
//! Lives and rollouts stand in the table that was set aside for them from the first version of the store on: no folder changes,
//! a program before them keeps what it finds there and does not look inside.

mod alarm;
mod bundle;
mod ignored;
mod lease;
mod life;
mod machine;
mod owned;
mod rollout;
mod rules;

pub use alarm::{ALARM, Alarm, AlarmKind, is_alarm_key};
pub use bundle::{
    BUNDLE_RUNS, BUNDLE_RUNS_BYTES_MAX, OUTPUT_BYTES_MAX, ScriptRun, bundle_runs_host, bundle_runs_key,
    decode_bundle_runs, encode_bundle_runs,
};
pub use ignored::{IGNORED, Ignored, ignored_key, is_ignored_key};
pub use lease::{LEASE, decode_lease, encode_lease};
pub use life::{LIFE, LIFE_BYTES_MAX, decode_life, encode_life, life_host, life_key};
pub use machine::{
    MACHINE, MACHINE_BYTES_MAX, Machine, decode_machine, encode_machine, machine_key, machine_mac,
};
pub use owned::{decode_owned, encode_owned};
pub use rollout::{
    KeyValue, ROLLOUT, ROLLOUT_BYTES_MAX, ROLLOUT_HOSTS, check_rollout_order, check_rollout_part,
    decode_rollout, encode_rollout, rollout_key, rollout_keys, rollout_name, rollout_part,
};
pub use rules::{BUNDLE, GROUP, RULE, RULE_SET, RuleSet, TEMPLATE, rule_set_key, rule_set_number};

use crate::error::RecordError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::net::IpAddr;
use types::resource::{Host, Image, Name};

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
struct Unwrapped<T> {
    record: T,
}

#[derive(Deserialize)]
struct Version {
    v: u32,
}

#[derive(Deserialize)]
struct Whole<T> {
    v: u32,
    record: T,
}

/// The record, when it is one of exactly this version: read in one pass, as nearly every one can be. `None` says nothing of
/// why.
fn current<T: DeserializeOwned>(version: u32, value: &[u8]) -> Option<T> {
    let whole = serde_json::from_slice::<Whole<T>>(value).ok()?;
    (whole.v == version).then_some(whole.record)
}

/// Makes a record of one version into one of the next, in place.
///
/// # Errors
/// [`RecordError::BadField`] when it is no record of its version.
pub type Step = fn(&mut Value) -> Result<(), RecordError>;

/// A kind of record: its name, and how every older version becomes the one written today.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// For messages.
    pub name: &'static str,
    /// `steps[0]` makes version 1 into version 2, and so on.
    pub steps: &'static [Step],
}

impl Kind {
    /// The version written.
    pub const fn version(&self) -> u32 {
        let mut version = 1;
        let mut left = self.steps;
        while let [_, rest @ ..] = left {
            version += 1;
            left = rest;
        }
        version
    }

    /// Writes a record.
    ///
    /// # Errors
    /// When the value has no JSON form (a map whose keys are no text, or its own `Serialize` refuses).
    pub fn encode<T: Serialize>(&self, record: &T) -> Result<Vec<u8>, RecordError> {
        encode(self.name, self.version(), record)
    }

    /// Reads a record of any version there ever was: an older one goes through every step since.
    ///
    /// # Errors
    /// [`RecordError::Newer`] for a later version, [`RecordError::Malformed`] or what a step says when it is no such record.
    pub fn decode<T: DeserializeOwned>(&self, value: &[u8]) -> Result<T, RecordError> {
        let (kind, known) = (self.name, self.version());
        if let Some(record) = current(known, value) {
            return Ok(record);
        }
        let malformed = |source| RecordError::Malformed { kind, source };
        let Version { v: found } = serde_json::from_slice(value).map_err(malformed)?;
        let done = match found {
            0 => return Err(RecordError::BadField { kind, field: "v" }),
            found if found > known => return Err(RecordError::Newer { kind, found, known }),
            found => usize::try_from(found - 1).unwrap_or(usize::MAX),
        };
        match self.steps.get(done..) {
            None | Some([]) => {
                serde_json::from_slice::<Unwrapped<T>>(value).map(|it| it.record).map_err(malformed)
            }
            Some(steps) => {
                let Unwrapped { mut record } =
                    serde_json::from_slice::<Unwrapped<Value>>(value).map_err(malformed)?;
                steps.iter().try_for_each(|step| step(&mut record))?;
                serde_json::from_value(record).map_err(malformed)
            }
        }
    }
}

/// The version of a record; `None` when it is not in the form of one.
pub fn version(value: &[u8]) -> Option<u32> {
    serde_json::from_slice::<Version>(value).ok().map(|version| version.v)
}

/// Hosts.
pub const HOST: Kind = Kind { name: "host", steps: &[owned::owner_beside] };
/// Images.
pub const IMAGE: Kind = Kind { name: "image", steps: &[] };

/// Writes a record of a kind that has one version, and is its owner's.
///
/// # Errors
/// As [`Kind::encode`].
pub fn encode<T: Serialize>(kind: &'static str, version: u32, record: &T) -> Result<Vec<u8>, RecordError> {
    serde_json::to_vec(&Wrapped { v: version, record })
        .map_err(|source| RecordError::Malformed { kind, source })
}

/// Reads a record that every version up to `known` has the same form of.
///
/// # Errors
/// [`RecordError::Newer`] for a later version, [`RecordError::Malformed`] when it is no such record.
pub fn decode<T: DeserializeOwned>(kind: &'static str, known: u32, value: &[u8]) -> Result<T, RecordError> {
    if let Some(record) = current(known, value) {
        return Ok(record);
    }
    let malformed = |source| RecordError::Malformed { kind, source };
    // First the version alone: the rest of a later one may be anything.
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
    HOST.encode(host)
}

/// Reads a host.
///
/// # Errors
/// As [`decode`].
pub fn decode_host(value: &[u8]) -> Result<Host, RecordError> {
    HOST.decode(value)
}

/// Writes an image.
///
/// # Errors
/// Never for a checked image; see [`encode`].
pub fn encode_image(image: &Image) -> Result<Vec<u8>, RecordError> {
    IMAGE.encode(image)
}

/// Reads an image.
///
/// # Errors
/// As [`decode`].
pub fn decode_image(value: &[u8]) -> Result<Image, RecordError> {
    IMAGE.decode(value)
}

#[cfg(test)]
mod tests;
