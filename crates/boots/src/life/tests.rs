//! Every transition, by the rules of the module head.

mod cache;
mod properties;
mod transitions;

use super::*;
use std::time::Duration;

pub(super) const T0: UnixTime = UnixTime(1_800_000_000);

pub(super) fn at(secs: u64) -> UnixTime {
    UnixTime(T0.0 + secs)
}

pub(super) fn text(text: &str) -> Arc<str> {
    text.into()
}

/// `esxi` or `esxi@v1`.
pub(super) fn image(text: &str) -> ImageRef {
    match text.split_once('@') {
        Some((name, version)) => {
            ImageRef { name: name.parse().unwrap(), version: Some(version.parse().unwrap()) }
        }
        None => ImageRef::current(text.parse().unwrap()),
    }
}

pub(super) fn adopt() -> LifeEvent {
    LifeEvent::Adopt { by: text("alice") }
}

pub(super) fn arm() -> LifeEvent {
    arm_with(None, None, 0)
}

pub(super) fn arm_with(only: Option<&str>, expires: Option<UnixTime>, retries: u8) -> LifeEvent {
    let image = only.map(|name| name.parse().unwrap());
    LifeEvent::Arm { by: text("alice"), image, expires, retries }
}

pub(super) fn disarm(running: bool) -> LifeEvent {
    LifeEvent::Disarm { by: text("alice"), running }
}

pub(super) fn once(what: &str, armed: bool) -> LifeEvent {
    let what = match what {
        "local disk" => OnceBoot::LocalDisk,
        name => OnceBoot::Image(image(name)),
    };
    LifeEvent::BootOnce { by: text("bob"), what, armed, expires: None, retries: 0 }
}

pub(super) fn lock() -> LifeEvent {
    LifeEvent::Lock { by: text("carol"), reason: text("production") }
}

pub(super) fn quarantine(until: Option<UnixTime>) -> LifeEvent {
    LifeEvent::Quarantine { by: text("identity"), reason: text("two machines say its mac"), until }
}

pub(super) fn began(boot: &str, name: &str, destructive: bool) -> LifeEvent {
    LifeEvent::BootBegan { boot: text(boot), image: image(name), destructive }
}

pub(super) fn opened(boot: &str, name: &str, destructive: bool) -> LifeEvent {
    LifeEvent::PayloadOpened { boot: text(boot), image: image(name), destructive }
}

pub(super) fn to_disk(boot: &str) -> LifeEvent {
    LifeEvent::SentToDisk { boot: Some(text(boot)) }
}

pub(super) fn says(boot: &str, report: Report) -> LifeEvent {
    LifeEvent::Reported { boot: text(boot), report, detail: None }
}

pub(super) fn tick() -> LifeEvent {
    LifeEvent::Tick { timeouts: Timeouts::default() }
}

/// A life that goes on, and what it told.
#[derive(Clone)]
pub(super) struct Told {
    pub(super) life: Life,
    pub(super) effects: Vec<Effect>,
    pub(super) commit: Commit,
}

impl Told {
    pub(super) fn adopted() -> Told {
        Told { life: Life::adopted(T0), effects: Vec::new(), commit: Commit::Nothing }
    }

    /// Applies an event that has to apply; forgets what was told before.
    pub(super) fn on(self, secs: u64, event: LifeEvent) -> Told {
        let what = format!("{event:?}");
        match step(&self.life, event, at(secs)) {
            Ok(Step { life, effects, commit }) => {
                assert_eq!(life.check(), Ok(()), "{what}");
                Told { life, effects, commit }
            }
            Err(refusal) => panic!("{what}: {refusal}"),
        }
    }

    pub(super) fn refuses(&self, secs: u64, event: LifeEvent) -> LifeRefusal {
        let what = format!("{event:?}");
        match step(&self.life, event, at(secs)) {
            Ok(step) => panic!("{what} applies: {:?}", step.effects),
            Err(refusal) => refusal,
        }
    }

    pub(super) fn stage(&self, secs: u64) -> &'static str {
        self.life.stage(at(secs)).as_str()
    }

    pub(super) fn names(&self) -> Vec<&'static str> {
        self.effects.iter().map(Effect::name).collect()
    }

    pub(super) fn begin(&self, secs: u64, boot: &str, name: &str) -> Permit {
        permits(&self.life, Gate::Begin, Some(boot), &image(name), at(secs))
    }

    pub(super) fn payload(&self, secs: u64, boot: &str, name: &str) -> Permit {
        permits(&self.life, Gate::Payload, Some(boot), &image(name), at(secs))
    }

    pub(super) fn next(&self, secs: u64, boot: &str) -> NextBoot {
        next(&self.life, Some(boot), at(secs))
    }
}

/// Armed, booted as `B1`, its installer given out at second 20.
pub(super) fn installing(retries: u8) -> Told {
    Told::adopted()
        .on(0, arm_with(None, None, retries))
        .on(10, began("B1", "esxi", true))
        .on(20, opened("B1", "esxi", true))
}
