//! Hooks: from the settings to what runs, and the way of events from the bus to them.

use crate::failure::{Failure, chain};
use admin::view::timestamp;
use admin::{EventBus, Next, Position, Stamped};
use config::{HookSecret, HookTarget, HookTrust, Settings};
use hooks::{Hook, HookError, Hooks, Notice, SecretRef, Target, TrustSpec};
use power::spec::Fingerprint;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use types::EventSink;

/// For the last events to come over the bus when the appliance stops.
const LAST_EVENTS_WAIT: Duration = Duration::from_millis(100);

/// The hooks of the settings.
pub(super) fn from_settings(settings: &Settings, events: Arc<dyn EventSink>) -> Result<Hooks, Failure> {
    let hooks: Result<Vec<Hook>, HookError> = settings.hooks.iter().map(hook).collect();
    let hooks = hooks.map_err(|error| {
        Failure::new("R-HOK-01", error.to_string())
            .cause(std::error::Error::source(&error).map(chain).unwrap_or_default())
            .fix("mend it in the configuration file")
    })?;
    Ok(Hooks::new(hooks, settings.site.as_ref().map(ToString::to_string), events))
}

fn hook(settings: &config::Hook) -> Result<Hook, HookError> {
    let name = settings.name.as_str();
    let (target, arguments) = match &settings.target {
        HookTarget::Web { url, secret, trust } => {
            let secret = secret.as_ref().map(|secret| match secret {
                HookSecret::File(path) => SecretRef::File(path.clone()),
                HookSecret::Env(name) => SecretRef::Env(name.clone()),
            });
            let trust = match trust {
                HookTrust::System => TrustSpec::System,
                HookTrust::Sha256(pin) => TrustSpec::Sha256(Fingerprint(*pin)),
                HookTrust::CaFile(path) => TrustSpec::CaFile(path.clone()),
                HookTrust::Anyone => TrustSpec::Insecure,
            };
            (Target::Web { at: Hook::location(name, url)?, secret, trust }, [].as_slice())
        }
        HookTarget::Command { program, arguments } => {
            (Target::Command { program: program.clone() }, arguments.as_slice())
        }
    };
    let hook = Hook::new(name, settings.events.clone(), target)
        .timeout(settings.timeout)
        .retries(settings.retries)
        .arguments(arguments)?;
    match &settings.body {
        Some(body) => hook.body(settings.body_kind, body),
        None => Ok(hook),
    }
}

/// Hands events to hooks until `stopping`, then lets them finish what needs no waiting.
pub(super) async fn serve(mut follower: Follower, mut stopping: watch::Receiver<bool>) {
    let (stop, stopped) = watch::channel(false);
    let running = follower.hooks.clone().run(stopped);
    let follow = async {
        tokio::select! {
            () = follower.follow() => {}
            _ = stopping.wait_for(|stop| *stop) => {}
        }
        let _ = tokio::time::timeout(LAST_EVENTS_WAIT, follower.follow()).await;
        let _ = stop.send(true);
    };
    tokio::join!(follow, running);
}

/// Reads the bus like any other reader: whoever records waits for nobody.
pub(super) struct Follower {
    bus: Arc<EventBus>,
    hooks: Arc<Hooks>,
    subscription: admin::Subscription,
    /// The last event that was seen.
    last: u64,
}

impl Follower {
    /// Everything from now on; `None` when there is no hook.
    pub(super) fn new(bus: Arc<EventBus>, hooks: Arc<Hooks>) -> Option<Follower> {
        if hooks.is_empty() {
            return None;
        }
        let last = bus.last();
        let subscription = bus.follow(Some(Position { epoch: None, seq: last }));
        Some(Follower { bus, hooks, subscription, last })
    }

    /// Until the bus is gone. May be dropped at any time without losing an event.
    async fn follow(&mut self) {
        while let Some(next) = self.subscription.next().await {
            match next {
                Next::Event(stamped) => self.take(&stamped),
                Next::Resync(_) => {
                    // In this order: what comes in between is there twice, and taken once.
                    self.subscription = self.bus.subscribe();
                    for stamped in self.bus.recent(self.last) {
                        self.take(&stamped);
                    }
                }
            }
        }
    }

    fn take(&mut self, stamped: &Stamped) {
        let gap = match stamped.seq.checked_sub(self.last) {
            None | Some(0) => return,
            Some(step) => step - 1,
        };
        if gap > 0 {
            self.hooks.missed(gap);
        }
        self.last = stamped.seq;
        self.offer(stamped);
    }

    fn offer(&self, stamped: &Stamped) {
        if !self.hooks.wants(stamped.event.name) {
            return;
        }
        match serde_json::to_string(stamped) {
            Ok(json) => self.hooks.offer(Notice {
                seq: stamped.seq,
                time: timestamp(stamped.at_ms),
                event: stamped.event.clone(),
                json,
            }),
            Err(error) => tracing::error!(%error, "an event has no JSON form"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::{Event, EventName, EventPattern};

    fn quiet(bus: &Arc<EventBus>) -> Arc<Hooks> {
        let target = Target::Command { program: "/bin/true".into() };
        let hook = Hook::new("a", vec![EventPattern::Any], target);
        // Nobody runs them: everything stays where it was put.
        Arc::new(Hooks::new(vec![hook], None, bus.clone()))
    }

    #[tokio::test]
    async fn a_follower_that_falls_behind_takes_the_rest_from_the_ring_and_tells_what_is_gone() {
        for (kept, gone) in [(100_000, 0u64), (500, 1500)] {
            let bus = Arc::new(EventBus::new(kept));
            let hooks = quiet(&bus);
            let mut follower = Follower::new(bus.clone(), hooks.clone()).unwrap();
            // More than a subscription keeps.
            for _ in 0..2000 {
                bus.record(Event::new(EventName::HostSeen));
            }
            let _ = tokio::time::timeout(Duration::from_millis(500), follower.follow()).await;
            let state = &hooks.states()[0];
            assert_eq!((state.counts.missed, state.counts.offered), (gone, 2000 - gone), "{kept}");
            assert_eq!(follower.last, 2000);
        }
    }
}
