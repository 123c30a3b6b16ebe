//! One event applied to one rollout, and what a host's life means to it.

use super::{HostState, Rollout, RolloutEvent, RolloutRefusal, RolloutState, check_who, limits};
use crate::life::{Effect, Told, Withdrawal};
use std::sync::Arc;
use types::UnixTime;
use types::resource::Name;

impl Rollout {
    /// What an effect of a host's life means to this rollout. Effects of hosts that are not in it, and armings of others, mean
    /// nothing.
    pub fn event(&self, host: &Name, effect: &Effect) -> Option<RolloutEvent> {
        if !self.plan.hosts.contains(host) {
            return None;
        }
        let host = host.clone();
        let failed = |host, why: &str| Some(RolloutEvent::Failed { host, why: why.into() });
        match effect {
            Effect::Armed { by, again: false, .. } => {
                self.is_ours(by).then_some(RolloutEvent::Armed { host })
            }
            Effect::InstallBegan { by, .. } => self.is_ours(by).then_some(RolloutEvent::Began { host }),
            Effect::Installed { told: Told::Nobody, .. } | Effect::InstallUnconfirmed { .. } => {
                Some(RolloutEvent::Unconfirmed { host })
            }
            Effect::Installed { .. } => Some(RolloutEvent::Installed { host }),
            Effect::InstallFailed { again: true, .. } => Some(RolloutEvent::Retries { host }),
            Effect::InstallFailed { detail, .. } => {
                failed(host, detail.as_deref().unwrap_or("the installation failed"))
            }
            Effect::InstallSilent { .. } => failed(host, "nothing was heard of the installation"),
            Effect::Forgotten { .. } => failed(host, "it was forgotten"),
            Effect::Disarmed { why: Withdrawal::Expired, .. } => {
                failed(host, "it did not boot before its arming expired")
            }
            Effect::Disarmed { why: Withdrawal::Installed, .. } => None,
            Effect::Disarmed { why, .. } => {
                let why = format!("disarmed before it began: {}", why.as_str()).into();
                Some(RolloutEvent::Skipped { host, why })
            }
            // That it is armed again was told by the failure.
            Effect::Armed { again: true, .. }
            | Effect::Adopted { .. }
            | Effect::OnceOrdered { .. }
            | Effect::OnceWithdrawn { .. }
            | Effect::OnceUsed { .. }
            | Effect::Quarantined { .. }
            | Effect::Released { .. }
            | Effect::Locked { .. }
            | Effect::Unlocked { .. }
            | Effect::BootSilent { .. }
            | Effect::Up { .. }
            | Effect::BootFailed { .. }
            | Effect::BootedFromCache { .. }
            | Effect::LeftCache { .. } => None,
        }
    }
}

/// What an event does.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub struct RolloutStep {
    /// The rollout from now on. To be durable before any host of `arm` is armed.
    pub rollout: Rollout,
    /// Hosts to arm now, with [`Rollout::order`].
    pub arm: Vec<Name>,
    /// Hosts to take the arming back from, with [`Rollout::take_back`]. One that has begun meanwhile goes on.
    pub disarm: Vec<Name>,
    /// True when the rollout differs from the one before.
    pub changed: bool,
}

/// Applies an event. Total; on a refusal nothing changed. O(hosts).
///
/// # Errors
/// [`RolloutRefusal`], with cause and fix.
pub fn step(rollout: &Rollout, event: RolloutEvent, now: UnixTime) -> Result<RolloutStep, RolloutRefusal> {
    let mut next = rollout.clone();
    let (mut arm, mut disarm) = (Vec::new(), Vec::new());
    let running = next.state == RolloutState::Running;
    match event {
        RolloutEvent::Resume => {
            if next.state == RolloutState::Running {
                arm.extend(ordered(&next));
            }
        }
        RolloutEvent::Armed { host } => advance(&mut next, &host, |state| match state {
            HostState::Ordered => Some(HostState::Armed),
            _ => None,
        })?,
        RolloutEvent::Skipped { host, why } => advance(&mut next, &host, |state| match state {
            HostState::Ordered | HostState::Armed => Some(HostState::Skipped { why: cut(&why) }),
            _ => None,
        })?,
        RolloutEvent::Began { host } => advance(&mut next, &host, |state| match state {
            // Its arming may have been about to be taken back when it began.
            HostState::Waiting | HostState::Ordered | HostState::Armed | HostState::Skipped { .. } => {
                Some(HostState::Installing)
            }
            HostState::Installing | HostState::Done | HostState::Failed { .. } => None,
        })?,
        RolloutEvent::Installed { host } => {
            let mut failed = false;
            advance(&mut next, &host, |state| match state {
                HostState::Installing => Some(HostState::Done),
                // A host that was given up may report late; then it is done all the same.
                HostState::Failed { .. } => {
                    failed = true;
                    Some(HostState::Done)
                }
                _ => None,
            })?;
            if failed {
                // Whose failures were forgiven is not kept: a later one must not hide behind a failure that was none.
                next.forgiven = next.forgiven.saturating_sub(1);
            }
        }
        RolloutEvent::Unconfirmed { host } => {
            let trusts_silence = next.plan.trusts_silence;
            advance(&mut next, &host, |state| match (state, trusts_silence) {
                (HostState::Installing, true) => Some(HostState::Done),
                (HostState::Installing, false) => {
                    Some(HostState::Failed { why: "it restarted without a word of its installation".into() })
                }
                _ => None,
            })?;
        }
        RolloutEvent::Failed { host, why } => advance(&mut next, &host, |state| match state {
            HostState::Ordered | HostState::Armed | HostState::Installing => {
                Some(HostState::Failed { why: cut(&why) })
            }
            _ => None,
        })?,
        RolloutEvent::Retries { host } if running => advance(&mut next, &host, |state| match state {
            HostState::Installing => Some(HostState::Armed),
            _ => None,
        })?,
        // Its life has armed it again, which nobody wants now.
        RolloutEvent::Retries { host } => {
            let how = next.state.as_str();
            let mut failed = false;
            advance(&mut next, &host, |state| match state {
                HostState::Installing => {
                    failed = true;
                    let why = format!("it failed, and is not tried again: the rollout is {how}").into();
                    Some(HostState::Failed { why })
                }
                _ => None,
            })?;
            disarm.extend(failed.then_some(host));
        }
        RolloutEvent::Pause { by } => {
            check_who(&by)?;
            not_ended(&next)?;
            next.state = RolloutState::Paused { by, at: now };
        }
        RolloutEvent::Continue => match &next.state {
            RolloutState::Running => return Err(RolloutRefusal::Running),
            RolloutState::Paused { .. } | RolloutState::Stopped { .. } => {
                next.forgiven = u16::try_from(next.summary().failed).unwrap_or(u16::MAX);
                next.state = RolloutState::Running;
                arm.extend(ordered(&next));
            }
            RolloutState::Cancelled { .. } | RolloutState::Done { .. } => not_ended(&next)?,
        },
        RolloutEvent::Cancel { by } => {
            check_who(&by)?;
            not_ended(&next)?;
            next.state = RolloutState::Cancelled { by: by.clone(), at: now };
            let why: Arc<str> = "the rollout was cancelled".into();
            for state in &mut next.hosts {
                if *state == HostState::Waiting {
                    *state = HostState::Skipped { why: why.clone() };
                }
            }
            take_back(&mut next, &mut disarm, &why);
        }
    }
    let left = |rollout: &Rollout| rollout.hosts.iter().any(|state| !state.is_final());
    if matches!(next.state, RolloutState::Done { .. }) && left(&next) {
        // A host that was skipped began all the same: it is waited for.
        next.state = RolloutState::Running;
    }
    if next.state == RolloutState::Running && next.too_many_failed() {
        next.state = RolloutState::Stopped { at: now };
        arm.clear();
        // They wait for `Continue`.
        for (host, state) in next.plan.hosts.iter().zip(&mut next.hosts) {
            if matches!(state, HostState::Ordered | HostState::Armed) {
                *state = HostState::Waiting;
                disarm.push(host.clone());
            }
        }
    }
    fill(&mut next, &mut arm);
    let open = matches!(next.state, RolloutState::Running | RolloutState::Stopped { .. });
    if open && !left(&next) {
        next.state = RolloutState::Done { at: now };
    }
    debug_assert_eq!(next.check(), Ok(()), "a step keeps what is true of every rollout");
    let changed = next != *rollout;
    Ok(RolloutStep { rollout: next, arm, disarm, changed })
}

/// Hosts whose life has not said yet that they are armed.
fn ordered(rollout: &Rollout) -> impl Iterator<Item = Name> {
    rollout.progress().filter(|(_, state)| **state == HostState::Ordered).map(|(host, _)| host.clone())
}

fn advance(
    rollout: &mut Rollout,
    host: &Name,
    to: impl FnOnce(&HostState) -> Option<HostState>,
) -> Result<(), RolloutRefusal> {
    let at = rollout.plan.hosts.iter().position(|own| own == host);
    match at.and_then(|at| rollout.hosts.get_mut(at)) {
        Some(state) => {
            if let Some(next) = to(state) {
                *state = next;
            }
            Ok(())
        }
        None => Err(RolloutRefusal::NoSuchHost { host: host.clone() }),
    }
}

fn not_ended(rollout: &Rollout) -> Result<(), RolloutRefusal> {
    match &rollout.state {
        RolloutState::Cancelled { .. } | RolloutState::Done { .. } => {
            Err(RolloutRefusal::Ended { how: rollout.state.as_str() })
        }
        RolloutState::Running | RolloutState::Paused { .. } | RolloutState::Stopped { .. } => Ok(()),
    }
}

/// Takes the places back of hosts that have not begun.
fn take_back(rollout: &mut Rollout, disarm: &mut Vec<Name>, why: &Arc<str>) {
    for (host, state) in rollout.plan.hosts.iter().zip(&mut rollout.hosts) {
        if matches!(state, HostState::Ordered | HostState::Armed) {
            *state = HostState::Skipped { why: why.clone() };
            disarm.push(host.clone());
        }
    }
}

/// Fills free places while the rollout runs.
fn fill(rollout: &mut Rollout, arm: &mut Vec<Name>) {
    if rollout.state != RolloutState::Running {
        return;
    }
    let under_way = rollout.hosts.iter().filter(|state| state.is_under_way()).count();
    let free = usize::from(rollout.plan.at_once).saturating_sub(under_way);
    let waiting = rollout.plan.hosts.iter().zip(&mut rollout.hosts);
    for (host, state) in waiting.filter(|(_, state)| **state == HostState::Waiting).take(free) {
        *state = HostState::Ordered;
        arm.push(host.clone());
    }
}

/// The first 160 bytes at most, cut between two characters.
fn cut(text: &Arc<str>) -> Arc<str> {
    match text.get(..text.floor_char_boundary(limits::WHY_BYTES_MAX)) {
        Some(head) if head.len() < text.len() => head.into(),
        _ => text.clone(),
    }
}
