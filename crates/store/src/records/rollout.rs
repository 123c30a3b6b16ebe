//! Rollouts on disk, in parts so that a step of thirteen thousand hosts writes a few kilobytes: table boots, key
//! `rollout/<name>` for the order and its state, `rollout-hosts/<name>/<number>` for 128 hosts each, with where they stand. All
//! parts of a step are in one batch. Version 1 of both.

use super::Kind;
use super::life::StoredImage;
use crate::error::RecordError;
use boots::life::ImageRef;
use boots::rollout::{HostState, Rollout, RolloutPlan, RolloutState};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use types::UnixTime;
use types::resource::Name;

/// Rollouts without their hosts.
pub const ROLLOUT: Kind = Kind { name: "rollout", steps: &[] };
/// Hosts of a rollout.
pub const ROLLOUT_HOSTS: Kind = Kind { name: "rollout hosts", steps: &[] };

/// Longest part of a rollout: its hosts with a reason each of which every byte is escaped.
pub const ROLLOUT_BYTES_MAX: usize = 256 << 10;

/// Hosts in one part.
const PART_HOSTS: usize = 128;
const KEY_PREFIX: &str = "rollout/";
const HOSTS_PREFIX: &str = "rollout-hosts/";

/// Key of a rollout, in table boots.
pub fn rollout_key(rollout: &Name) -> Vec<u8> {
    format!("{KEY_PREFIX}{rollout}").into_bytes()
}

/// The rollout that a key of table boots stands for.
pub fn rollout_name(key: &[u8]) -> Option<Name> {
    std::str::from_utf8(key).ok()?.strip_prefix(KEY_PREFIX)?.parse().ok()
}

/// The rollout whose hosts a key of table boots stands for, and which part of them. Parts sort by number.
pub fn rollout_part(key: &[u8]) -> Option<(Name, usize)> {
    let (name, number) = std::str::from_utf8(key).ok()?.strip_prefix(HOSTS_PREFIX)?.split_once('/')?;
    Some((name.parse().ok()?, usize::from_str_radix(number, 16).ok()?))
}

fn part_key(rollout: &Name, number: usize) -> Vec<u8> {
    format!("{HOSTS_PREFIX}{rollout}/{number:04x}").into_bytes()
}

/// Every key a rollout of so many hosts has.
pub fn rollout_keys(rollout: &Name, hosts: usize) -> Vec<Vec<u8>> {
    let parts = (0..hosts.div_ceil(PART_HOSTS)).map(|number| part_key(rollout, number));
    std::iter::once(rollout_key(rollout)).chain(parts).collect()
}

#[derive(Serialize, Deserialize)]
struct StoredRollout {
    name: Name,
    by: String,
    at: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    image: Option<StoredImage>,
    at_once: u16,
    failures_max: u16,
    retries: u8,
    trusts_silence: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_secs: Option<u64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    power_cycle: bool,
    forgiven: u16,
    state: StoredState,
    /// How many stand in the parts.
    hosts: usize,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredState {
    Running,
    Paused { by: String, at: u64 },
    Stopped { at: u64 },
    Cancelled { by: String, at: u64 },
    Done { at: u64 },
}

#[derive(Serialize, Deserialize)]
struct StoredHost {
    host: Name,
    state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

fn stored_host(host: &Name, state: &HostState) -> StoredHost {
    let why = match state {
        HostState::Failed { why } | HostState::Skipped { why } => Some(why.to_string()),
        HostState::Waiting
        | HostState::Ordered
        | HostState::Armed
        | HostState::Installing
        | HostState::Done => None,
    };
    StoredHost { host: host.clone(), state: state.as_str().to_owned(), why }
}

fn host_state(state: &str, why: Option<String>) -> Option<HostState> {
    let why = || -> Option<Arc<str>> { why.map(Arc::from) };
    Some(match state {
        "waiting" => HostState::Waiting,
        "ordered" => HostState::Ordered,
        "armed" => HostState::Armed,
        "installing" => HostState::Installing,
        "done" => HostState::Done,
        "failed" => HostState::Failed { why: why()? },
        "skipped" => HostState::Skipped { why: why()? },
        _ => return None,
    })
}

/// A key of table boots, and its value.
pub type KeyValue = (Vec<u8>, Vec<u8>);

/// Keys and values of a rollout: with `before`, the parts that differ from that one; the order and its state stand first.
///
/// # Errors
/// [`RecordError::BadField`] for one that [`Rollout::check`] refuses: no step makes such a one.
pub fn encode_rollout(rollout: &Rollout, before: Option<&Rollout>) -> Result<Vec<KeyValue>, RecordError> {
    rollout.check().map_err(|field| RecordError::BadField { kind: ROLLOUT.name, field })?;
    let before = before.filter(|before| before.plan.hosts.len() == rollout.plan.hosts.len());
    let Rollout { plan, at, state, forgiven, hosts } = rollout;
    let RolloutPlan {
        name,
        by,
        image,
        at_once,
        failures_max,
        retries,
        trusts_silence,
        expires,
        power_cycle,
        ..
    } = plan;
    let stored = StoredRollout {
        name: name.clone(),
        by: by.to_string(),
        at: at.0,
        image: image.as_ref().map(StoredImage::from),
        at_once: *at_once,
        failures_max: *failures_max,
        retries: *retries,
        trusts_silence: *trusts_silence,
        expires_secs: expires.map(|time| time.as_secs()),
        power_cycle: *power_cycle,
        forgiven: *forgiven,
        state: match state {
            RolloutState::Running => StoredState::Running,
            RolloutState::Paused { by, at } => StoredState::Paused { by: by.to_string(), at: at.0 },
            RolloutState::Stopped { at } => StoredState::Stopped { at: at.0 },
            RolloutState::Cancelled { by, at } => StoredState::Cancelled { by: by.to_string(), at: at.0 },
            RolloutState::Done { at } => StoredState::Done { at: at.0 },
        },
        hosts: hosts.len(),
    };
    let mut written = vec![(rollout_key(name), ROLLOUT.encode(&stored)?)];
    let parts = plan.hosts.chunks(PART_HOSTS).zip(hosts.chunks(PART_HOSTS)).enumerate();
    for (number, (names, states)) in parts {
        let old = before.and_then(|before| before.hosts.chunks(PART_HOSTS).nth(number));
        if old == Some(states) {
            continue;
        }
        let part: Vec<StoredHost> =
            names.iter().zip(states).map(|(host, state)| stored_host(host, state)).collect();
        written.push((part_key(name, number), ROLLOUT_HOSTS.encode(&part)?));
    }
    Ok(written)
}

/// Reads a rollout: the record of its order, and those of its hosts in the order of their numbers.
///
/// # Errors
/// As [`Kind::decode`], and [`RecordError::BadField`] when a part is longer than [`ROLLOUT_BYTES_MAX`], names a state that
/// there is not, hosts are missing, or it contradicts itself.
pub fn decode_rollout<'a>(
    order: &[u8],
    parts: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Rollout, RecordError> {
    let bad = |field| RecordError::BadField { kind: ROLLOUT.name, field };
    let stored = decode_order(order)?;
    let (mut names, mut hosts) = (Vec::new(), Vec::new());
    for part in parts {
        for (host, state) in decode_part(part)? {
            names.push(host);
            hosts.push(state);
        }
    }
    if names.len() != stored.hosts {
        return Err(bad("number of hosts"));
    }
    let rollout = Rollout {
        plan: RolloutPlan {
            name: stored.name,
            by: stored.by.into(),
            image: stored.image.map(ImageRef::from),
            hosts: names,
            at_once: stored.at_once,
            failures_max: stored.failures_max,
            retries: stored.retries,
            trusts_silence: stored.trusts_silence,
            expires: stored.expires_secs.map(Duration::from_secs),
            power_cycle: stored.power_cycle,
        },
        at: UnixTime(stored.at),
        state: match stored.state {
            StoredState::Running => RolloutState::Running,
            StoredState::Paused { by, at } => RolloutState::Paused { by: by.into(), at: UnixTime(at) },
            StoredState::Stopped { at } => RolloutState::Stopped { at: UnixTime(at) },
            StoredState::Cancelled { by, at } => RolloutState::Cancelled { by: by.into(), at: UnixTime(at) },
            StoredState::Done { at } => RolloutState::Done { at: UnixTime(at) },
        },
        forgiven: stored.forgiven,
        hosts,
    };
    rollout.check().map_err(bad)?;
    Ok(rollout)
}

/// Looks at one part by itself: its order and state.
///
/// # Errors
/// As [`decode_rollout`].
pub fn check_rollout_order(value: &[u8]) -> Result<(), RecordError> {
    decode_order(value).map(drop)
}

/// Looks at one part by itself: some of its hosts.
///
/// # Errors
/// As [`decode_rollout`].
pub fn check_rollout_part(value: &[u8]) -> Result<(), RecordError> {
    decode_part(value).map(drop)
}

fn decode_order(value: &[u8]) -> Result<StoredRollout, RecordError> {
    match value.len() > ROLLOUT_BYTES_MAX {
        true => Err(RecordError::BadField { kind: ROLLOUT.name, field: "length" }),
        false => ROLLOUT.decode(value),
    }
}

fn decode_part(value: &[u8]) -> Result<Vec<(Name, HostState)>, RecordError> {
    let bad = |field| RecordError::BadField { kind: ROLLOUT_HOSTS.name, field };
    if value.len() > ROLLOUT_BYTES_MAX {
        return Err(bad("length"));
    }
    let part: Vec<StoredHost> = ROLLOUT_HOSTS.decode(value)?;
    let host = |StoredHost { host, state, why }: StoredHost| {
        Ok((host, host_state(&state, why).ok_or(bad("host state"))?))
    };
    part.into_iter().map(host).collect()
}
