use super::*;
use PowerState::{Off, On, Paused, PoweringOff, PoweringOn, Unknown};

const GRACE: Duration = Duration::from_secs(300);

/// `GracefulShutdown~Off Off<300 ForceOff~Off Off=120`: send unless, await and go on, await or fail.
fn written(stages: &[Stage]) -> String {
    let words = stages.iter().map(|stage| match *stage {
        Stage::Send { kind, unless } => {
            format!("{}{}", kind.as_str(), unless.map_or(String::new(), |state| format!("~{state:?}")))
        }
        Stage::Await { state, wait, go_on } => {
            format!("{state:?}{}{}", if go_on { '<' } else { '=' }, wait.as_secs())
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

fn plan(action: Action, state: PowerState, offered: &str) -> String {
    let offered: Vec<String> = offered.split_whitespace().map(str::to_owned).collect();
    match program(action, state, &offered, &Limits::default()) {
        Ok(stages) => written(&stages),
        Err(kinds) => {
            format!("none of {}", kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(" "))
        }
    }
}

const NOW: Action = Action::Cycle { grace: None };
const GENTLY: Action = Action::Cycle { grace: Some(GRACE) };
const OFF_NOW: Action = Action::Off { grace: None };
const OFF_GENTLY: Action = Action::Off { grace: Some(GRACE) };
/// As iLO offers them [memory].
const ILO: &str = "On ForceOff GracefulShutdown ForceRestart Nmi PushPowerButton GracefulRestart";
/// As iDRAC offers them [memory].
const IDRAC: &str =
    "On ForceOff ForceRestart GracefulRestart GracefulShutdown PushPowerButton Nmi PowerCycle";

#[test]
fn every_action_leads_from_every_state_to_its_end() {
    for (action, state, offered, stages) in [
        (Action::On, Off, "", "On~On On=120"),
        (Action::On, On, "", "On=120"),
        (Action::On, PoweringOn, "", "On=120"),
        (Action::On, PoweringOff, "", "Off<120 On~On On=120"),
        (Action::On, Paused, "", "On~On On=120"),
        (Action::On, Off, "ForceOn", "ForceOn~On On=120"),
        (Action::On, Off, "PushPowerButton", "PushPowerButton~On On=120"),
        (OFF_NOW, On, "", "ForceOff~Off Off=120"),
        (OFF_NOW, PoweringOff, "", "Off<120 ForceOff~Off Off=120"),
        (OFF_GENTLY, On, "", "GracefulShutdown~Off Off<300 ForceOff~Off Off=120"),
        (OFF_GENTLY, PoweringOff, "", "Off<300 ForceOff~Off Off=120"),
        (OFF_GENTLY, On, "ForceOff", "ForceOff~Off Off=120"),
        (OFF_GENTLY, On, "GracefulShutdown", "GracefulShutdown~Off Off=300"),
        (NOW, On, IDRAC, "PowerCycle On=120"),
        (NOW, On, ILO, "ForceRestart On=120"),
        (NOW, PoweringOn, ILO, "ForceRestart On=120"),
        (NOW, On, "On ForceOff", "ForceOff~Off Off=120 On~On On=120"),
        (NOW, PoweringOff, ILO, "Off<120 ForceOff~Off Off=120 On~On On=120"),
        (NOW, Off, ILO, "On~On On=120"),
        (GENTLY, On, ILO, "GracefulShutdown~Off Off<300 ForceOff~Off Off=120 On~On On=120"),
        (GENTLY, Off, ILO, "On~On On=120"),
    ] {
        assert_eq!(plan(action, state, offered), stages, "{action:?} {state:?} {offered}");
    }
}

#[test]
fn a_system_that_does_not_tell_its_power_is_not_waited_for() {
    assert_eq!(plan(Action::On, Unknown, ""), "On~On");
    assert_eq!(plan(OFF_NOW, Unknown, ""), "ForceOff~Off");
    assert_eq!(plan(OFF_GENTLY, Unknown, ""), "GracefulShutdown~Off Off<300 ForceOff~Off");
    assert_eq!(plan(NOW, Unknown, ""), "ForceRestart");
    // The button would turn off a machine that is on.
    assert_eq!(plan(Action::On, Unknown, "PushPowerButton"), "none of On ForceOn");
}

#[test]
fn what_is_not_offered_is_said_and_not_sent() {
    for (action, state, offered, none) in [
        (Action::On, Off, "ForceOff Nmi", "none of On ForceOn PushPowerButton"),
        (OFF_NOW, On, "On GracefulShutdown", "none of ForceOff"),
        (OFF_GENTLY, On, "On Nmi", "none of ForceOff"),
        (NOW, On, "On Nmi", "none of PowerCycle ForceRestart ForceOff"),
        (NOW, On, "ForceOff", "none of PowerCycle ForceRestart On ForceOn PushPowerButton"),
        (NOW, On, "forcerestart", "none of PowerCycle ForceRestart ForceOff"),
    ] {
        assert_eq!(plan(action, state, offered), none, "{action:?} {state:?} {offered}");
    }
}

#[test]
fn what_restarts_is_never_repeated() {
    for kind in [ResetType::PowerCycle, ResetType::ForceRestart, ResetType::PushPowerButton] {
        assert!(!kind.may_repeat(), "{kind:?}");
    }
}
