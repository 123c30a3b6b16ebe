//! Which kinds of reset lead where: a short program of sends and waits, made at once from what the system offers and where it
//! stands.
//!
//! | action | system is | offered | program |
//! |---|---|---|---|
//! | on | on, powering on | | wait for on |
//! | on | off, unknown | `On`, else `ForceOn`, else `PushPowerButton` | that unless on, wait for on |
//! | off, gentle | | `GracefulShutdown` | that unless off, wait as long as allowed, `ForceOff` unless off, wait for off |
//! | off, at once | | `ForceOff` | that unless off, wait for off |
//! | cycle, gentle | | | as off gentle, then as on |
//! | cycle, at once | on | `PowerCycle`, else `ForceRestart` | that, wait for on |
//! | cycle, at once | on | neither | as off at once, then as on |
//! | cycle | off | | as on |
//!
//! What is powering off is waited for first, where it has to go on. A system that does not tell its power is sent what was asked
//! for and not waited for.

use super::system::PowerState;
use crate::limits::Limits;
use serde::Serialize;
use std::time::Duration;

/// What is wanted of a machine's power.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// It has power.
    On,
    /// It has none.
    Off {
        /// How long its operating system may take; `None` asks it nothing.
        grace: Option<Duration>,
    },
    /// It starts anew; one that is off is turned on.
    Cycle {
        /// How long its operating system may take; `None` asks it nothing.
        grace: Option<Duration>,
    },
}

impl Action {
    /// The name in texts and events: `cycle`.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::On => "on",
            Action::Off { .. } => "off",
            Action::Cycle { .. } => "cycle",
        }
    }
}

/// Kinds of reset we ask for (DSP0268, `Resource.ResetType`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
pub enum ResetType {
    /// Turns on.
    On,
    /// Turns on, whatever stands against it.
    ForceOn,
    /// Turns off at once.
    ForceOff,
    /// Asks the operating system to shut down.
    GracefulShutdown,
    /// Restarts at once.
    ForceRestart,
    /// Takes the power away for a moment.
    PowerCycle,
    /// As a finger would.
    PushPowerButton,
}

impl ResetType {
    /// The value as it is sent.
    pub fn as_str(self) -> &'static str {
        match self {
            ResetType::On => "On",
            ResetType::ForceOn => "ForceOn",
            ResetType::ForceOff => "ForceOff",
            ResetType::GracefulShutdown => "GracefulShutdown",
            ResetType::ForceRestart => "ForceRestart",
            ResetType::PowerCycle => "PowerCycle",
            ResetType::PushPowerButton => "PushPowerButton",
        }
    }

    /// Sent twice it does no more than once, as long as the machine is looked at in between.
    pub(crate) fn may_repeat(self) -> bool {
        match self {
            ResetType::On | ResetType::ForceOn | ResetType::ForceOff | ResetType::GracefulShutdown => true,
            ResetType::ForceRestart | ResetType::PowerCycle | ResetType::PushPowerButton => false,
        }
    }
}

/// One step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Post a reset.
    Send {
        /// Which.
        kind: ResetType,
        /// Not when the machine is there already.
        unless: Option<PowerState>,
    },
    /// Look until the machine is there.
    Await {
        /// Where.
        state: PowerState,
        /// How long at most.
        wait: Duration,
        /// When it does not get there: the next stage, or failure.
        go_on: bool,
    },
}

/// What a service that does not say is taken to offer: the kinds every one of them has had since the first schema.
const USUAL: [ResetType; 4] =
    [ResetType::On, ResetType::ForceOff, ResetType::GracefulShutdown, ResetType::ForceRestart];

/// The steps for an action, from where the machine stands and what is offered (empty: it does not say).
///
/// # Errors
/// The kinds of which none is offered.
pub fn program(
    action: Action,
    state: PowerState,
    offered: &[String],
    limits: &Limits,
) -> Result<Vec<Stage>, Vec<ResetType>> {
    let has = |kind: ResetType| {
        if offered.is_empty() {
            USUAL.contains(&kind)
        } else {
            offered.iter().any(|own| own == kind.as_str())
        }
    };
    let first =
        |kinds: &[ResetType]| kinds.iter().copied().find(|kind| has(*kind)).ok_or_else(|| kinds.to_vec());
    let wait = limits.power_wait;
    let known = state != PowerState::Unknown;
    let mut stages = Vec::new();
    let turn_on = |stages: &mut Vec<Stage>, from: PowerState| -> Result<(), Vec<ResetType>> {
        if !matches!(from, PowerState::On | PowerState::PoweringOn) {
            // The button turns off what is on: only where we know.
            let button: &[ResetType] = &[ResetType::On, ResetType::ForceOn, ResetType::PushPowerButton];
            let kinds = if known { button } else { &[ResetType::On, ResetType::ForceOn] };
            stages.push(Stage::Send { kind: first(kinds)?, unless: Some(PowerState::On) });
        }
        stages.push(Stage::Await { state: PowerState::On, wait, go_on: false });
        Ok(())
    };
    let turn_off = |stages: &mut Vec<Stage>, grace: Option<Duration>| -> Result<(), Vec<ResetType>> {
        let off = PowerState::Off;
        let shutdown = first(&[ResetType::GracefulShutdown]);
        let force = first(&[ResetType::ForceOff]);
        if let (Some(grace), Ok(kind)) = (grace, &shutdown)
            && state != PowerState::PoweringOff
        {
            stages.push(Stage::Send { kind: *kind, unless: Some(off) });
            stages.push(Stage::Await { state: off, wait: grace, go_on: force.is_ok() });
            if force.is_err() {
                return Ok(());
            }
        } else if state == PowerState::PoweringOff {
            stages.push(Stage::Await { state: off, wait: grace.unwrap_or(wait), go_on: force.is_ok() });
        }
        stages.push(Stage::Send { kind: force?, unless: Some(off) });
        stages.push(Stage::Await { state: off, wait, go_on: false });
        Ok(())
    };
    match action {
        Action::On => {
            if state == PowerState::PoweringOff {
                stages.push(Stage::Await { state: PowerState::Off, wait, go_on: true });
            }
            turn_on(&mut stages, state)?;
        }
        Action::Off { grace } => turn_off(&mut stages, grace)?,
        Action::Cycle { .. } if state == PowerState::Off => turn_on(&mut stages, state)?,
        Action::Cycle { grace: Some(grace) } => {
            turn_off(&mut stages, Some(grace))?;
            turn_on(&mut stages, PowerState::Off)?;
        }
        Action::Cycle { grace: None } => match first(&[ResetType::PowerCycle, ResetType::ForceRestart]) {
            Ok(kind) if state != PowerState::PoweringOff => {
                stages.push(Stage::Send { kind, unless: None });
                stages.push(Stage::Await { state: PowerState::On, wait, go_on: false });
            }
            restart => {
                let both = turn_off(&mut stages, None).and_then(|()| turn_on(&mut stages, PowerState::Off));
                // What would have done it names itself, too.
                both.map_err(|kinds| match restart {
                    Ok(_) => kinds,
                    Err(mut restarts) => {
                        restarts.extend(kinds);
                        restarts
                    }
                })?;
            }
        },
    }
    if !known {
        // Nobody tells when it gets there.
        stages.retain(|stage| {
            matches!(stage, Stage::Send { .. }) || matches!(stage, Stage::Await { go_on: true, .. })
        });
    }
    Ok(stages)
}

#[cfg(test)]
mod tests;
