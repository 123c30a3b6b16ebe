//! What a rollout learns of a host from its life: as it happens, and afterwards.

use super::{HostState, Rollout, RolloutEvent};
use crate::life::{Effect, Grant, Life, Phase, Told};
use types::resource::Name;

impl Rollout {
    /// What an effect of a host's life means to this rollout, given the life after the step that told it. Of installations that
    /// it did not order it hears nothing.
    pub fn hears(&self, host: &Name, effect: &Effect, life: &Life) -> Option<RolloutEvent> {
        let other = match effect {
            Effect::InstallUnconfirmed { boot, .. }
            | Effect::InstallFailed { boot, .. }
            | Effect::InstallSilent { boot, .. }
            | Effect::Installed { boot: Some(boot), .. } => {
                self.own_grant(life).is_none_or(|grant| grant.boot != *boot)
            }
            // Somebody else's order went, and this one came or is there.
            Effect::Disarmed { .. } => self.waits(life),
            _ => false,
        };
        if other { None } else { self.event(host, effect) }
    }

    /// True while an order of this rollout waits in the life of a host.
    pub fn waits(&self, life: &Life) -> bool {
        life.arming.as_ref().is_some_and(|it| self.is_ours(&it.by))
            || life.one_shot.as_ref().is_some_and(|it| it.armed && self.is_ours(&it.by))
    }

    /// What the life of a host of this rollout says that the rollout does not know yet, in order: what was told while the
    /// appliance died, or could not be written. Nothing when it knows all. `None`: nothing is remembered of the host.
    pub fn unheard(&self, host: &Name, state: &HostState, life: Option<&Life>) -> Vec<RolloutEvent> {
        let waits = life.is_some_and(|life| self.waits(life));
        let grant = life.and_then(|life| Some((self.own_grant(life)?, life)));
        let named = || host.clone();
        let failed = |why: &str| RolloutEvent::Failed { host: host.clone(), why: why.into() };
        match (state, waits, grant) {
            (HostState::Done, ..) => Vec::new(),
            (HostState::Failed { .. }, _, Some((grant, life))) => match outcome(grant, life) {
                Some(Ending::Installed) => vec![RolloutEvent::Installed { host: named() }],
                _ => Vec::new(),
            },
            (HostState::Failed { .. }, _, None) => Vec::new(),
            (HostState::Ordered, true, _) => vec![RolloutEvent::Armed { host: named() }],
            (HostState::Installing, true, _) => vec![RolloutEvent::Retries { host: named() }],
            (HostState::Armed | HostState::Waiting | HostState::Skipped { .. }, true, _) => Vec::new(),
            (_, false, Some((grant, life))) => {
                let mut told = vec![RolloutEvent::Began { host: named() }];
                told.extend(outcome(grant, life).map(|ending| match ending {
                    Ending::Installed => RolloutEvent::Installed { host: named() },
                    Ending::Unconfirmed => RolloutEvent::Unconfirmed { host: named() },
                    Ending::Failed => failed(life.detail.as_deref().unwrap_or("the installation failed")),
                    Ending::Silent => failed("nothing was heard of the installation"),
                }));
                told
            }
            (HostState::Armed, false, None) => vec![failed("its arming is gone and it did not boot")],
            (HostState::Installing, false, None) => vec![failed("nothing is remembered of its installation")],
            (HostState::Ordered | HostState::Waiting | HostState::Skipped { .. }, false, None) => Vec::new(),
        }
    }

    /// True when an order of this rollout waits for a host that the rollout does not want armed: to be taken back with
    /// [`Rollout::take_back`].
    pub fn must_take_back(&self, state: &HostState, life: &Life) -> bool {
        !state.is_under_way() && self.waits(life)
    }

    fn own_grant<'a>(&self, life: &'a Life) -> Option<&'a Grant> {
        life.grant.as_ref().filter(|grant| self.is_ours(grant.used.by()))
    }
}

/// How an installation ended.
enum Ending {
    Installed,
    Unconfirmed,
    Failed,
    Silent,
}

/// `None` while it goes on.
fn outcome(grant: &Grant, life: &Life) -> Option<Ending> {
    match life.installed.as_ref().filter(|it| it.boot.as_ref() == Some(&grant.boot)) {
        Some(it) if it.told == Told::Nobody => Some(Ending::Unconfirmed),
        Some(_) => Some(Ending::Installed),
        None if grant.open && life.phase == Phase::Silent => Some(Ending::Silent),
        None if grant.open => None,
        None => Some(Ending::Failed),
    }
}
