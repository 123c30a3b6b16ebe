//! Rollouts on disk: table boots, key `rollout/<name>`, version 1. Written whole with every step.

use super::Kind;
use super::life::StoredImage;
use crate::error::RecordError;
use boots::life::ImageRef;
use boots::rollout::{HostState, Rollout, RolloutPlan, RolloutState};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use types::UnixTime;
use types::resource::Name;

/// Rollouts.
pub const ROLLOUT: Kind = Kind { name: "rollout", steps: &[] };

/// Longest record of a rollout: its hosts at their most, every one with a reason of which every byte is escaped.
pub const ROLLOUT_BYTES_MAX: usize = 2 << 20;

const KEY_PREFIX: &str = "rollout/";

/// Key of a rollout, in table boots.
pub fn rollout_key(rollout: &Name) -> Vec<u8> {
    format!("{KEY_PREFIX}{rollout}").into_bytes()
}

/// The rollout that a key of table boots stands for.
pub fn rollout_name(key: &[u8]) -> Option<Name> {
    std::str::from_utf8(key).ok()?.strip_prefix(KEY_PREFIX)?.parse().ok()
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
    forgiven: u16,
    state: StoredState,
    hosts: Vec<StoredHost>,
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

/// Writes a rollout.
///
/// # Errors
/// [`RecordError::BadField`] for one that [`Rollout::check`] refuses: no step makes such a one.
pub fn encode_rollout(rollout: &Rollout) -> Result<Vec<u8>, RecordError> {
    rollout.check().map_err(|field| RecordError::BadField { kind: ROLLOUT.name, field })?;
    let Rollout { plan, at, state, forgiven, .. } = rollout;
    let RolloutPlan { name, by, image, at_once, failures_max, retries, trusts_silence, .. } = plan;
    let stored = StoredRollout {
        name: name.clone(),
        by: by.to_string(),
        at: at.0,
        image: image.as_ref().map(StoredImage::from),
        at_once: *at_once,
        failures_max: *failures_max,
        retries: *retries,
        trusts_silence: *trusts_silence,
        forgiven: *forgiven,
        state: match state {
            RolloutState::Running => StoredState::Running,
            RolloutState::Paused { by, at } => StoredState::Paused { by: by.to_string(), at: at.0 },
            RolloutState::Stopped { at } => StoredState::Stopped { at: at.0 },
            RolloutState::Cancelled { by, at } => StoredState::Cancelled { by: by.to_string(), at: at.0 },
            RolloutState::Done { at } => StoredState::Done { at: at.0 },
        },
        hosts: rollout.progress().map(|(host, state)| stored_host(host, state)).collect(),
    };
    ROLLOUT.encode(&stored)
}

/// Reads a rollout.
///
/// # Errors
/// As [`Kind::decode`], and [`RecordError::BadField`] when it is longer than [`ROLLOUT_BYTES_MAX`], names a state that there
/// is not, or contradicts itself.
pub fn decode_rollout(value: &[u8]) -> Result<Rollout, RecordError> {
    let bad = |field| RecordError::BadField { kind: ROLLOUT.name, field };
    if value.len() > ROLLOUT_BYTES_MAX {
        return Err(bad("length"));
    }
    let stored: StoredRollout = ROLLOUT.decode(value)?;
    let (mut names, mut hosts) = (Vec::new(), Vec::new());
    for StoredHost { host, state, why } in stored.hosts {
        names.push(host);
        hosts.push(host_state(&state, why).ok_or(bad("host state"))?);
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
