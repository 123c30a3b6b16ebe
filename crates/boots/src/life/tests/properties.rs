//! Whatever happens in whatever order, an audit that knows nothing of the state machine counts what was permitted and what
//! was opened.

use super::*;
use proptest::prelude::*;
use std::collections::HashMap;

const IMAGES: [(&str, bool); 4] = [("esxi", true), ("debian@v1", true), ("live", false), ("rescue", false)];

/// Something done to the model.
#[derive(Clone, Debug)]
enum Op {
    Arm {
        image: Option<usize>,
        life_secs: Option<u64>,
        retries: u8,
    },
    Once {
        image: Option<usize>,
        armed: bool,
        life_secs: Option<u64>,
        retries: u8,
    },
    Disarm {
        running: bool,
    },
    CancelOnce,
    Quarantine {
        secs: Option<u64>,
    },
    Release,
    Lock,
    Unlock,
    Forget,
    MarkInstalled {
        image: usize,
    },
    /// The machine is switched on: a new id, or the old one where its restart is not seen. What it is told follows.
    PowerOn {
        image: usize,
        same_id: bool,
    },
    /// It is switched on and asks for its payload.
    Boot {
        image: usize,
    },
    /// It restarts, nobody sees that, and it asks for an installer's payload under its old id.
    Restart {
        image: usize,
    },
    /// What it booted last fails.
    Fails,
    /// It is locked and unlocked.
    Doubt,
    /// The host is armed, switched on and asks for its payload.
    Install {
        retries: u8,
    },
    /// A payload is asked for in this boot, counted back from the newest.
    Open {
        image: usize,
        back: usize,
    },
    ToDisk {
        back: Option<usize>,
    },
    Report {
        back: usize,
        report: Report,
    },
    Seen {
        back: Option<usize>,
    },
    Tick,
    Later {
        secs: u64,
    },
    Earlier {
        secs: u64,
    },
    /// The appliance dies: what was not committed is gone.
    Crash,
    /// It dies before the next commit is on disk.
    CrashDuringCommit,
    /// Everything so far reaches the disk.
    Flush,
}

fn machine_ops() -> impl Strategy<Value = Op> {
    let image = 0..IMAGES.len();
    let report =
        prop_oneof![Just(Report::Installed), Just(Report::Up), Just(Report::Failed), Just(Report::Progress)];
    prop_oneof![
        4 => (image.clone(), prop::bool::weighted(0.2))
            .prop_map(|(image, same_id)| Op::PowerOn { image, same_id }),
        3 => image.clone().prop_map(|image| Op::Boot { image }),
        2 => image.clone().prop_map(|image| Op::Restart { image }),
        3 => Just(Op::Fails),
        4 => (image, 0..3usize).prop_map(|(image, back)| Op::Open { image, back }),
        2 => prop::option::of(0..3usize).prop_map(|back| Op::ToDisk { back }),
        4 => (0..3usize, report).prop_map(|(back, report)| Op::Report { back, report }),
        1 => prop::option::of(0..3usize).prop_map(|back| Op::Seen { back }),
        1 => Just(Op::Tick),
        2 => (0..20_000u64).prop_map(|secs| Op::Later { secs }),
        1 => (0..20_000u64).prop_map(|secs| Op::Earlier { secs }),
        1 => Just(Op::Crash),
        1 => Just(Op::CrashDuringCommit),
        1 => Just(Op::Flush),
    ]
}

fn ops() -> impl Strategy<Value = Op> {
    let image = 0..IMAGES.len();
    let secs = || prop::option::of(1..5_000u64);
    let operator = prop_oneof![
        4 => (prop::option::of(image.clone()), secs(), 0..4u8)
            .prop_map(|(image, life_secs, retries)| Op::Arm { image, life_secs, retries }),
        4 => (prop::option::of(image.clone()), any::<bool>(), secs(), 0..4u8)
            .prop_map(|(image, armed, life_secs, retries)| Op::Once { image, armed, life_secs, retries }),
        6 => (0..4u8).prop_map(|retries| Op::Install { retries }),
        1 => any::<bool>().prop_map(|running| Op::Disarm { running }),
        1 => Just(Op::CancelOnce),
        1 => Just(Op::Doubt),
        1 => secs().prop_map(|secs| Op::Quarantine { secs }),
        1 => Just(Op::Release),
        1 => Just(Op::Lock),
        1 => Just(Op::Unlock),
        1 => Just(Op::Forget),
        1 => image.prop_map(|image| Op::MarkInstalled { image }),
    ];
    prop_oneof![1 => operator, 2 => machine_ops()]
}

/// What an outsider counts.
#[derive(Clone, Default, Debug)]
struct Audit {
    /// Boots that may still be opened for the first time.
    left: u32,
    /// Failures that each allow one more.
    retries: u32,
    expires: Option<UnixTime>,
    /// What is left is left by a failure.
    again: bool,
    /// Boots that opened a destructive payload, with the power-on they did it in.
    opened: HashMap<String, u32>,
    newest: Option<Arc<str>>,
    /// What all accepted orders together ever allowed.
    allowed: usize,
    locked: bool,
    quarantined: Option<Option<UnixTime>>,
}

struct Model {
    disk: Life,
    memory: Life,
    now: UnixTime,
    boots: Vec<String>,
    powered: u32,
    crash_next_commit: bool,
    audit: Audit,
}

fn which(at: usize) -> (ImageRef, bool) {
    let (name, destructive) = IMAGES.get(at).copied().unwrap();
    (image(name), destructive)
}

impl Model {
    fn new() -> Model {
        let life = Life::adopted(T0);
        Model {
            disk: life.clone(),
            memory: life,
            now: T0,
            boots: vec!["BOOT0".to_owned()],
            powered: 0,
            crash_next_commit: false,
            audit: Audit::default(),
        }
    }

    /// Applies an event as the daemon does; true when it applies and what it promises is on disk.
    fn apply(&mut self, event: LifeEvent) -> bool {
        let Ok(Step { life, effects, commit }) = step(&self.memory, event, self.now) else { return false };
        assert_eq!(life.check(), Ok(()));
        assert!(effects.len() <= 6, "{effects:?}");
        assert!(format!("{life:?}").len() < 8192);
        if commit == Commit::First && std::mem::take(&mut self.crash_next_commit) {
            self.crash();
            return false;
        }
        self.memory = life;
        if commit == Commit::First {
            self.disk = self.memory.clone();
        }
        true
    }

    /// What was not committed is gone, and so is what an attempt was called: whoever asks next gets another id.
    fn crash(&mut self) {
        self.memory = self.disk.clone();
        self.boots.push(format!("BOOT{}", self.boots.len()));
    }

    fn boot(&self, back: usize) -> Arc<str> {
        let at = self.boots.len().saturating_sub(1 + back);
        self.boots.get(at).map_or("none", String::as_str).into()
    }

    fn ends(&self, secs: Option<u64>) -> Option<UnixTime> {
        secs.map(|secs| UnixTime(self.now.0 + secs))
    }

    fn ordered(&mut self, applied: bool, retries: u8, expires: Option<UnixTime>) {
        if applied {
            assert!(!self.audit.locked && !self.is_quarantined(), "ordered under lock or quarantine");
            self.audit.left = 1;
            self.audit.again = false;
            self.audit.retries = retries.into();
            self.audit.expires = expires;
            self.audit.allowed += 1 + usize::from(retries);
        }
    }

    fn is_quarantined(&self) -> bool {
        self.audit.quarantined.is_some_and(|until| until.is_none_or(|until| self.now < until))
    }

    fn nothing_left(&mut self) {
        self.audit.left = 0;
        self.audit.retries = 0;
    }

    fn open(&mut self, at: usize, back: usize) {
        let (image, destructive) = which(at);
        let boot = self.boot(back);
        let permit = permits(&self.memory, Gate::Payload, Some(&*boot), &image, self.now);
        let doomed = self.crash_next_commit;
        let given =
            self.apply(LifeEvent::PayloadOpened { boot: boot.clone(), image: image.clone(), destructive });
        if !destructive {
            return;
        }
        if !doomed {
            assert_eq!(permit.is_ok(), given, "the gate and the step say the same of {image} for {boot}");
        }
        if !given {
            return;
        }
        assert!(!self.is_quarantined(), "{boot} was given {image} under quarantine");
        if let Some(powered) = self.audit.opened.get(&*boot) {
            assert!(back > 0 || *powered == self.powered, "{boot} was given {image} again after a restart");
            return;
        }
        assert!(!self.audit.locked, "{boot} was given {image} under lock");
        assert_eq!(self.audit.left, 1, "{boot} was given {image} and nobody had armed the host for it");
        assert!(self.audit.expires.is_none_or(|expires| self.now < expires), "after its end");
        self.audit.left = 0;
        self.audit.opened.insert(boot.to_string(), self.powered);
        self.audit.newest = Some(boot);
        assert!(self.audit.opened.len() <= self.audit.allowed);
    }

    fn power_on(&mut self, at: usize, same_id: bool) {
        self.powered += 1;
        if !same_id {
            self.boots.push(format!("BOOT{}", self.boots.len()));
        }
        let (image, destructive) = which(at);
        let boot = self.boot(0);
        let gate = permits(&self.memory, Gate::Begin, Some(&*boot), &image, self.now);
        let doomed = self.crash_next_commit;
        let began = self.apply(LifeEvent::BootBegan { boot: boot.clone(), image, destructive });
        if doomed && !self.crash_next_commit {
            // The appliance died before it could answer.
            return;
        }
        if destructive {
            assert_eq!(gate.is_ok(), began);
        }
        if began {
            // An installation before this boot is over, and is not tried again.
            if self.audit.left == 0 {
                self.audit.retries = 0;
            }
        } else {
            self.apply(LifeEvent::SentToDisk { boot: Some(boot) });
        }
    }

    fn run(&mut self, op: Op) {
        if !self.is_quarantined() {
            // Once over it stays so, whatever the clock does.
            self.audit.quarantined = None;
        }
        let by = || text("somebody");
        match op {
            Op::Arm { image, life_secs, retries } => {
                let expires = self.ends(life_secs);
                let image = image.map(|at| which(at).0.name);
                let applied = self.apply(LifeEvent::Arm { by: by(), image, expires, retries });
                self.ordered(applied, retries, expires);
            }
            Op::Once { image, armed, life_secs, retries } => {
                let expires = self.ends(life_secs);
                let what = image.map_or(OnceBoot::LocalDisk, |at| OnceBoot::Image(which(at).0));
                let applied = self.apply(LifeEvent::BootOnce { by: by(), what, armed, expires, retries });
                if armed {
                    self.ordered(applied, retries, expires);
                } else if applied {
                    assert!(!self.audit.locked && !self.is_quarantined());
                }
            }
            Op::Disarm { running } => {
                if self.apply(LifeEvent::Disarm { by: by(), running }) {
                    self.nothing_left();
                }
            }
            Op::CancelOnce => {
                self.apply(LifeEvent::CancelOnce { by: by() });
            }
            Op::Quarantine { secs } => {
                let until = self.ends(secs);
                if self.apply(LifeEvent::Quarantine { by: by(), reason: text("doubt"), until }) {
                    self.audit.quarantined = Some(until);
                    self.nothing_left();
                }
            }
            Op::Release => {
                if self.apply(LifeEvent::Release { by: by() }) {
                    self.audit.quarantined = None;
                }
            }
            Op::Lock => {
                if self.apply(LifeEvent::Lock { by: by(), reason: text("precious") }) {
                    self.audit.locked = true;
                    self.nothing_left();
                }
            }
            Op::Unlock => {
                if self.apply(LifeEvent::Unlock { by: by() }) {
                    self.audit.locked = false;
                }
            }
            Op::Forget => {
                if self.apply(LifeEvent::Forget { by: by() }) {
                    self.nothing_left();
                    // With the rest it forgets what boots were called: under a new order one of them is a boot as any other.
                    self.audit.allowed -= self.audit.opened.len();
                    self.audit.opened.clear();
                    self.audit.newest = None;
                }
            }
            Op::MarkInstalled { image } => {
                let (image, destructive) = which(image);
                if self.apply(LifeEvent::MarkInstalled { by: by(), image, destructive }) {
                    self.nothing_left();
                }
            }
            Op::PowerOn { image, same_id } => self.power_on(image, same_id),
            Op::Boot { image } => {
                self.power_on(image, false);
                self.open(image, 0);
            }
            Op::Restart { image } => {
                self.power_on(image, true);
                self.open(0, 0);
            }
            Op::Fails => self.run(Op::Report { back: 0, report: Report::Failed }),
            Op::Doubt => {
                self.run(Op::Lock);
                self.run(Op::Unlock);
            }
            Op::Install { retries } => {
                self.run(Op::Arm { image: None, life_secs: None, retries });
                self.run(Op::Boot { image: 0 });
            }
            Op::Open { image, back } => self.open(image, back),
            Op::ToDisk { back } => {
                let boot = back.map(|back| self.boot(back));
                self.apply(LifeEvent::SentToDisk { boot });
            }
            Op::Report { back, report } => {
                let boot = self.boot(back);
                let applied = self.apply(LifeEvent::Reported { boot: boot.clone(), report, detail: None });
                // Only the boot that was opened last can report in a way that counts.
                if applied && self.audit.newest.as_ref() == Some(&boot) {
                    match report {
                        Report::Failed if self.audit.retries > 0 && self.audit.left == 0 => {
                            self.audit.retries -= 1;
                            self.audit.left = 1;
                            self.audit.again = true;
                        }
                        // An order given since then and not used yet keeps what it allows.
                        Report::Installed | Report::Up if self.audit.left > 0 && !self.audit.again => {}
                        Report::Installed | Report::Up => {
                            self.audit.retries = 0;
                            if self.audit.again {
                                self.audit.left = 0;
                            }
                        }
                        Report::Failed | Report::Progress => {}
                    }
                }
            }
            Op::Seen { back } => {
                let reported = back.map(|back| self.boot(back));
                self.apply(LifeEvent::SeenWithoutNetworkBoot { reported });
            }
            Op::Tick => {
                self.apply(tick());
            }
            Op::Later { secs } => self.now = UnixTime(self.now.0 + secs),
            Op::Earlier { secs } => self.now = UnixTime(self.now.0.saturating_sub(secs)),
            Op::Crash => self.crash(),
            Op::CrashDuringCommit => self.crash_next_commit = true,
            Op::Flush => self.disk = self.memory.clone(),
        }
        if self.memory.lock.is_some() {
            assert!(self.memory.arming.is_none() && self.memory.one_shot.is_none(), "locked and armed");
        }
        let _ = next(&self.memory, Some("BOOT0"), self.now);
    }
}

fn any_text() -> impl Strategy<Value = Arc<str>> {
    prop_oneof![
        Just(text("")),
        Just(text("B1")),
        Just("x".repeat(64).into()),
        Just("x".repeat(65).into()),
        Just("ß".repeat(128).into()),
        Just("x".repeat(129).into()),
        Just("\u{1F980}".repeat(100).into()),
        Just("\n\"\\\u{0}".into()),
    ]
}

fn any_time() -> impl Strategy<Value = UnixTime> {
    prop_oneof![
        Just(UnixTime(0)),
        Just(UnixTime(u64::MAX)),
        any::<u64>().prop_map(UnixTime),
        (0..10_000u64).prop_map(at),
    ]
}

fn any_event() -> impl Strategy<Value = LifeEvent> {
    let image = || (0..IMAGES.len()).prop_map(|at| which(at).0);
    let when = || prop::option::of(any_time());
    let boot = || prop::option::of(any_text());
    let timeouts = (any::<u64>(), any::<u64>()).prop_map(|(booting, installing)| Timeouts {
        booting: Duration::from_secs(booting),
        installing: Duration::from_secs(installing),
    });
    prop_oneof![
        any_text().prop_map(|by| LifeEvent::Adopt { by }),
        (any_text(), prop::option::of(image()), when(), any::<u8>()).prop_map(
            |(by, image, expires, retries)| LifeEvent::Arm {
                by,
                image: image.map(|image| image.name),
                expires,
                retries
            }
        ),
        (any_text(), any::<bool>()).prop_map(|(by, running)| LifeEvent::Disarm { by, running }),
        (any_text(), prop::option::of(image()), any::<bool>(), when(), 0..11u8).prop_map(
            |(by, what, armed, expires, retries)| LifeEvent::BootOnce {
                by,
                what: what.map_or(OnceBoot::LocalDisk, OnceBoot::Image),
                armed,
                expires,
                retries
            }
        ),
        any_text().prop_map(|by| LifeEvent::CancelOnce { by }),
        (any_text(), any_text(), when()).prop_map(|(by, reason, until)| LifeEvent::Quarantine {
            by,
            reason,
            until
        }),
        any_text().prop_map(|by| LifeEvent::Release { by }),
        (any_text(), any_text()).prop_map(|(by, reason)| LifeEvent::Lock { by, reason }),
        any_text().prop_map(|by| LifeEvent::Unlock { by }),
        any_text().prop_map(|by| LifeEvent::Forget { by }),
        (any_text(), image(), any::<bool>()).prop_map(|(by, image, destructive)| LifeEvent::MarkInstalled {
            by,
            image,
            destructive
        }),
        (any_text(), image(), any::<bool>()).prop_map(|(boot, image, destructive)| LifeEvent::BootBegan {
            boot,
            image,
            destructive
        }),
        (any_text(), image(), any::<bool>())
            .prop_map(|(boot, image, destructive)| LifeEvent::PayloadOpened { boot, image, destructive }),
        (any_text(), any::<Option<u64>>())
            .prop_map(|(boot, values)| LifeEvent::BootMeant { meant: Meant { boot, version: None, values } }),
        boot().prop_map(|boot| LifeEvent::SentToDisk { boot }),
        (any_text(), 0..4usize, boot()).prop_map(|(boot, report, detail)| LifeEvent::Reported {
            boot,
            report: [Report::Installed, Report::Up, Report::Failed, Report::Progress][report],
            detail
        }),
        boot().prop_map(|reported| LifeEvent::SeenWithoutNetworkBoot { reported }),
        timeouts.prop_map(|timeouts| LifeEvent::Tick { timeouts }),
    ]
}

/// More than usual: this is what the crate is for.
fn config() -> ProptestConfig {
    ProptestConfig { cases: ProptestConfig::default().cases.max(512), ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn nothing_is_erased_that_nobody_armed_and_one_boot_at_most_for_each_arming(
        story in prop::collection::vec(ops(), 0..80)
    ) {
        let mut model = Model::new();
        for op in story {
            model.run(op);
        }
    }

    #[test]
    fn however_often_an_installed_machine_is_switched_on_it_is_not_installed_again(
        before in prop::collection::vec(ops(), 0..30),
        retries in 0..4u8,
        told in prop_oneof![Just(Some(Report::Installed)), Just(Some(Report::Up)), Just(None)],
        after in prop::collection::vec(machine_ops(), 10..80),
    ) {
        let mut model = Model::new();
        for op in before {
            model.run(op);
        }
        model.crash_next_commit = false;
        // Whatever came before: it is set free, armed, and installs.
        for op in [Op::Release, Op::Unlock, Op::CancelOnce, Op::Disarm { running: true }] {
            model.run(op);
        }
        model.run(Op::Arm { image: None, life_secs: None, retries });
        model.run(Op::PowerOn { image: 0, same_id: false });
        model.run(Op::Open { image: 0, back: 0 });
        let installed = model.boot(0);
        prop_assert!(model.audit.opened.contains_key(&*installed));
        match told {
            Some(report) => model.run(Op::Report { back: 0, report }),
            None => model.run(Op::MarkInstalled { image: 0 }),
        }
        let opened = model.audit.opened.clone();
        // Only what machines and time do: power cuts, forged reports, clocks, crashes of ours.
        for (number, op) in after.into_iter().enumerate() {
            model.run(op);
            if number % 4 == 0 {
                model.run(Op::PowerOn { image: number % 2, same_id: false });
                model.run(Op::Open { image: number % 2, back: 0 });
            }
            for (name, destructive) in IMAGES {
                let ask = permits(&model.memory, Gate::Begin, Some("ANEW"), &image(name), model.now);
                prop_assert!(!destructive || ask.is_err(), "{} for {}", name, "ANEW");
            }
        }
        prop_assert_eq!(model.audit.opened, opened);
    }

    #[test]
    fn any_event_at_any_time_has_an_answer(
        story in prop::collection::vec((any_event(), any_time()), 0..60),
        discovered in any::<bool>(),
    ) {
        let mut life = if discovered { Life::discovered(T0) } else { Life::adopted(T0) };
        for (event, now) in story {
            let was = life.clone();
            match step(&life, event, now) {
                Ok(next) => {
                    prop_assert_eq!(next.life.check(), Ok(()));
                    prop_assert_eq!(next.commit == Commit::Nothing, next.life == was);
                    prop_assert!(next.effects.len() <= 8);
                    let shown = format!("{:?}", next.life);
                    prop_assert!(shown.len() < 16_384, "{}", shown.len());
                    for effect in &next.effects {
                        prop_assert!(effect.name().contains('.'));
                    }
                    life = next.life;
                }
                Err(refusal) => prop_assert!(!refusal.to_string().is_empty() && !refusal.reason().is_empty()),
            }
            let _ = next(&life, Some("B1"), now);
            let _ = life.stage(now);
        }
    }
}

/// The audit itself can fail: it is shown a machine that was never armed.
#[test]
#[should_panic(expected = "nobody had armed the host")]
fn the_audit_sees_an_unarmed_boot() {
    let mut model = Model::new();
    model.memory.arming = installing(0).life.grant.map(|grant| match grant.used {
        Used::Arming(arming) => arming,
        Used::OneShot(_) => unreachable!("it was armed plainly"),
    });
    model.run(Op::PowerOn { image: 0, same_id: false });
    model.run(Op::Open { image: 0, back: 0 });
}
