//! A rollout beside the lives of its hosts, as the daemon drives it: steps and orders are durable one by one, what lives tell
//! waits in memory, and the appliance dies anywhere. Whatever happens, no host is installed twice but after a failure and with
//! retries left, and none that nobody armed.

use super::super::*;
use super::{T0, names, plan};
use crate::life::{Effect, Life, LifeEvent, LifeRefusal, Report, Step, step as live};
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};

const HOSTS: usize = 6;

/// What may happen.
#[derive(Clone, Debug)]
enum Op {
    /// A machine boots from the network and fetches its installer when it may.
    Boot(usize),
    /// The boot under way of a machine, or the one before, says this.
    Says(usize, bool, Report),
    /// A machine is sent to its disk.
    Disk(usize),
    /// An operator does this to a host.
    Arm(usize),
    Disarm(usize, bool),
    Lock(usize),
    Unlock(usize),
    Forget(usize),
    Quarantine(usize),
    Release(usize),
    /// An operator does this to the rollout.
    Pause,
    Continue,
    Cancel,
    /// The daemon takes up what it was told, as long as so many orders and commits succeed; then it dies.
    Work(usize),
    /// It looks at the lives, and takes up what it was told.
    Look,
    Dies,
}

fn ops() -> impl Strategy<Value = Op> {
    let host = 0..HOSTS;
    let reports = prop_oneof![
        3 => Just(Report::Installed),
        1 => Just(Report::Up),
        2 => Just(Report::Failed),
        1 => Just(Report::Progress)
    ];
    prop_oneof![
        6 => host.clone().prop_map(Op::Boot),
        6 => (host.clone(), any::<bool>(), reports).prop_map(|(host, old, report)| Op::Says(host, old, report)),
        2 => host.clone().prop_map(Op::Disk),
        1 => host.clone().prop_map(Op::Arm),
        1 => (host.clone(), any::<bool>()).prop_map(|(host, running)| Op::Disarm(host, running)),
        1 => host.clone().prop_map(Op::Lock),
        1 => host.clone().prop_map(Op::Unlock),
        1 => host.clone().prop_map(Op::Forget),
        1 => host.clone().prop_map(Op::Quarantine),
        1 => host.prop_map(Op::Release),
        1 => Just(Op::Pause),
        2 => Just(Op::Continue),
        1 => Just(Op::Cancel),
        2 => (0..6usize).prop_map(Op::Work),
        4 => Just(Op::Look),
        2 => Just(Op::Dies),
    ]
}

struct Site {
    lives: BTreeMap<Name, Life>,
    rollout: Rollout,
    /// What the daemon was told and has not taken up: lost when it dies.
    told: VecDeque<RolloutEvent>,
    /// Commits and orders left before it dies.
    left: usize,
    boots: u64,
    now: UnixTime,
    /// Installers given out on the rollout's own order, by host.
    begun: BTreeMap<Name, u32>,
    /// Failures after which a life armed itself again, by host.
    again: BTreeMap<Name, u32>,
    /// Installers given out that nobody had armed; stays empty.
    unarmed: Vec<Name>,
}

impl Site {
    fn new(plan: RolloutPlan) -> Site {
        let lives = plan.hosts.iter().map(|host| (host.clone(), Life::adopted(T0))).collect();
        let rollout = Rollout::new(plan, T0).unwrap();
        Site {
            lives,
            rollout,
            told: VecDeque::from([RolloutEvent::Resume]),
            left: usize::MAX,
            boots: 0,
            now: T0,
            begun: BTreeMap::new(),
            again: BTreeMap::new(),
            unarmed: Vec::new(),
        }
    }

    fn may(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left > 0
    }

    fn live(&mut self, host: &Name, event: LifeEvent) -> Result<(), LifeRefusal> {
        let before = self.lives[host].clone();
        let Step { life, effects, .. } = live(&before, event, self.now)?;
        self.lives.insert(host.clone(), life.clone());
        for effect in effects {
            if let Effect::InstallBegan { by, .. } = &effect {
                let armed = before.arming.as_ref().map(|it| &it.by);
                let shot = before.one_shot.as_ref().filter(|it| it.armed).map(|it| &it.by);
                if shot.or(armed) != Some(by) {
                    self.unarmed.push(host.clone());
                }
                if self.rollout.is_ours(by) {
                    *self.begun.entry(host.clone()).or_default() += 1;
                }
            }
            if let Effect::InstallFailed { again: true, .. } = &effect {
                *self.again.entry(host.clone()).or_default() += 1;
            }
            self.told.extend(self.rollout.hears(host, &effect, &life));
        }
        Ok(())
    }

    /// Takes up what was told: the rollout first, then its orders.
    fn work(&mut self) {
        while let Some(event) = self.told.pop_front() {
            if !self.may() {
                return self.dies();
            }
            let Ok(RolloutStep { rollout, arm, disarm, .. }) = step(&self.rollout, event, self.now) else {
                continue;
            };
            assert_eq!(rollout.check(), Ok(()));
            self.rollout = rollout;
            for host in disarm {
                if !self.may() {
                    return self.dies();
                }
                let _ = self.live(&host, self.rollout.take_back());
            }
            for host in arm {
                if !self.may() {
                    return self.dies();
                }
                match self.live(&host, self.rollout.order(self.now)) {
                    Ok(()) => {}
                    Err(LifeRefusal::AlreadyArmed { by, .. }) if self.rollout.is_ours(&by) => {
                        self.told.push_front(RolloutEvent::Armed { host });
                    }
                    Err(refusal) => {
                        let why = refusal.to_string().into();
                        self.told.push_front(RolloutEvent::Skipped { host, why });
                    }
                }
            }
        }
    }

    fn look(&mut self) {
        let states: Vec<(Name, HostState)> =
            self.rollout.progress().map(|(host, state)| (host.clone(), state.clone())).collect();
        for (host, state) in states {
            let life = self.lives[&host].clone();
            if self.rollout.must_take_back(&state, &life) {
                let _ = self.live(&host, self.rollout.take_back());
            }
            for event in self.rollout.unheard(&host, &state, Some(&life)) {
                self.told.push_back(event);
            }
        }
        self.work();
    }

    /// What was not durable is gone. A start looks first, and goes on then.
    fn dies(&mut self) {
        self.told.clear();
        self.left = usize::MAX;
        self.look();
        self.told.push_back(RolloutEvent::Resume);
        self.work();
    }

    fn boot_id(&self, host: usize, number: u64) -> Arc<str> {
        format!("H{host}B{number}").into()
    }

    fn run(&mut self, op: &Op) {
        self.now = self.now.saturating_add(Duration::from_secs(60));
        let host = |at: &usize| names(HOSTS)[*at].clone();
        let by: Arc<str> = "carol".into();
        let _ = match op {
            Op::Boot(at) => {
                self.boots += 1;
                let boot = self.boot_id(*at, self.boots);
                let image = ImageRef::current("esxi".parse().unwrap());
                let began =
                    LifeEvent::BootBegan { boot: boot.clone(), image: image.clone(), destructive: true };
                match self.live(&host(at), began) {
                    Ok(()) => {
                        let opened = LifeEvent::PayloadOpened { boot, image, destructive: true };
                        self.live(&host(at), opened)
                    }
                    Err(_) => self.live(&host(at), LifeEvent::SentToDisk { boot: None }),
                }
            }
            Op::Says(at, old, report) => {
                let life = &self.lives[&host(at)];
                let newest = life.last_boot.as_ref().map(|last| last.boot.clone());
                let installed = life.installed.as_ref().and_then(|it| it.boot.clone());
                let boot = if *old { installed.or(newest) } else { newest };
                match boot {
                    Some(boot) => {
                        self.live(&host(at), LifeEvent::Reported { boot, report: *report, detail: None })
                    }
                    None => Ok(()),
                }
            }
            Op::Disk(at) => self.live(&host(at), LifeEvent::SentToDisk { boot: None }),
            Op::Arm(at) => {
                self.live(&host(at), LifeEvent::Arm { by, image: None, expires: None, retries: 0 })
            }
            Op::Disarm(at, running) => self.live(&host(at), LifeEvent::Disarm { by, running: *running }),
            Op::Lock(at) => self.live(&host(at), LifeEvent::Lock { by, reason: "production".into() }),
            Op::Unlock(at) => self.live(&host(at), LifeEvent::Unlock { by }),
            Op::Forget(at) => self.live(&host(at), LifeEvent::Forget { by }),
            Op::Quarantine(at) => {
                self.live(&host(at), LifeEvent::Quarantine { by, reason: "odd".into(), until: None })
            }
            Op::Release(at) => self.live(&host(at), LifeEvent::Release { by }),
            Op::Pause => return self.operator(RolloutEvent::Pause { by }),
            Op::Continue => return self.operator(RolloutEvent::Continue),
            Op::Cancel => return self.operator(RolloutEvent::Cancel { by }),
            Op::Work(left) => {
                self.left = *left + 1;
                self.work();
                self.left = usize::MAX;
                return;
            }
            Op::Look => return self.look(),
            Op::Dies => return self.dies(),
        };
    }

    fn operator(&mut self, event: RolloutEvent) {
        self.told.push_back(event);
        self.work();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]
    #[test]
    fn no_story_with_a_rollout_installs_a_host_twice_or_one_that_nobody_armed(
        at_once in 1..4u16,
        failures_max in 0..3u16,
        trusts_silence in any::<bool>(),
        pins in any::<bool>(),
        retries in 0..3u8,
        story in prop::collection::vec(ops(), 0..80),
    ) {
        let image = plan(1, 1, 0).image.filter(|_| !pins);
        let mut site = Site::new(RolloutPlan { trusts_silence, image, retries, ..plan(HOSTS, at_once, failures_max) });
        // A host whose life is forgotten by an operator is one that was never installed, to everybody.
        let forgotten: Vec<Name> = story
            .iter()
            .filter_map(|op| match op {
                Op::Forget(at) => Some(names(HOSTS)[*at].clone()),
                _ => None,
            })
            .collect();
        for op in &story {
            site.run(op);
            prop_assert!(site.unarmed.is_empty());
            for (host, times) in site.begun.iter().filter(|(host, _)| !forgotten.contains(host)) {
                let again = site.again.get(host).copied().unwrap_or_default();
                prop_assert!(retries > 0 || again == 0);
                prop_assert!(*times <= 1 + again, "{} began {} times after {:?}", host, times, op);
            }
        }
        // Once it has ended, nothing of it waits in any life.
        site.operator(RolloutEvent::Cancel { by: "bob".into() });
        site.look();
        for (host, life) in &site.lives {
            prop_assert!(!site.rollout.waits(life), "{host} is still armed");
        }
        // And it knows whatever its hosts went through.
        for (host, state) in site.rollout.progress() {
            let before = state.clone();
            for event in site.rollout.unheard(host, state, site.lives.get(host)) {
                let after = step(&site.rollout, event, site.now).unwrap();
                prop_assert!(!after.changed, "{host} was {before:?}");
            }
        }
    }
}
