mod audit;

use super::*;
use crate::life::{Effect, Life, LifeRefusal, Report, Step, step as live};
use proptest::prelude::*;
use std::collections::BTreeMap;

const T0: UnixTime = UnixTime(1_800_000_000);

fn names(count: usize) -> Vec<Name> {
    (0..count).map(|number| format!("esx-{number:03}").parse().unwrap()).collect()
}

fn plan(count: usize, at_once: u16, failures_max: u16) -> RolloutPlan {
    RolloutPlan {
        name: "rack12".parse().unwrap(),
        by: "alice".into(),
        image: Some(ImageRef::current("esxi".parse().unwrap())),
        hosts: names(count),
        at_once,
        failures_max,
        retries: 0,
        trusts_silence: false,
        expires: None,
        power_cycle: false,
    }
}

fn texts(hosts: &[Name]) -> Vec<&str> {
    hosts.iter().map(Name::as_str).collect()
}

/// A rollout that goes on; the last step's orders beside it.
struct Going {
    rollout: Rollout,
    arm: Vec<Name>,
    disarm: Vec<Name>,
}

impl Going {
    fn new(plan: RolloutPlan) -> Going {
        let rollout = Rollout::new(plan, T0).unwrap();
        Going { rollout, arm: Vec::new(), disarm: Vec::new() }.on(RolloutEvent::Resume)
    }

    fn on(self, event: RolloutEvent) -> Going {
        let RolloutStep { rollout, arm, disarm, .. } = step(&self.rollout, event, T0).unwrap();
        assert_eq!(rollout.check(), Ok(()));
        Going { rollout, arm, disarm }
    }

    fn host(self, number: usize, event: fn(Name) -> RolloutEvent) -> Going {
        let host = self.rollout.plan.hosts[number].clone();
        self.on(event(host))
    }

    fn installs(self, number: usize) -> Going {
        self.host(number, |host| RolloutEvent::Armed { host })
            .host(number, |host| RolloutEvent::Began { host })
            .host(number, |host| RolloutEvent::Installed { host })
    }

    fn states(&self) -> Vec<&'static str> {
        self.rollout.hosts.iter().map(HostState::as_str).collect()
    }
}

fn fails(host: Name) -> RolloutEvent {
    RolloutEvent::Failed { host, why: "no disk".into() }
}

#[test]
fn five_at_a_time_in_the_order_of_the_plan() {
    let going = Going::new(plan(7, 3, 0));
    assert_eq!(texts(&going.arm), ["esx-000", "esx-001", "esx-002"]);
    let going = going.installs(1);
    assert_eq!(texts(&going.arm), ["esx-003"], "a free place is filled at once");
    let going = going.on(RolloutEvent::Pause { by: "bob".into() }).installs(0);
    assert!(going.arm.is_empty());
    assert_eq!(
        going.rollout.summary().to_string(),
        "2 done, 0 installing, 2 armed, 3 waiting, 0 failed, 0 skipped"
    );
    let going = going.on(RolloutEvent::Continue);
    assert_eq!(texts(&going.arm), ["esx-002", "esx-003", "esx-004"], "who is only ordered is named again");
    let going = [2, 3, 4, 5, 6].into_iter().fold(going, Going::installs);
    assert_eq!(going.rollout.state.as_str(), "done");
    assert!(going.rollout.is_over());
    assert!(matches!(
        step(&going.rollout, RolloutEvent::Continue, T0),
        Err(RolloutRefusal::Ended { how: "done" })
    ));
}

#[test]
fn it_stops_after_too_many_failures_and_takes_back_who_has_not_begun() {
    let going = Going::new(plan(8, 4, 2));
    let going =
        going.host(0, |host| RolloutEvent::Armed { host }).host(0, |host| RolloutEvent::Began { host });
    let going = going.host(1, |host| RolloutEvent::Armed { host });
    let going = going.host(2, fails);
    assert_eq!(texts(&going.arm), ["esx-004"]);
    let going = going.host(3, fails);
    assert_eq!(going.rollout.state.as_str(), "stopped");
    assert_eq!((texts(&going.arm), texts(&going.disarm)), (vec![], vec!["esx-001", "esx-004"]));
    assert_eq!(
        going.states(),
        ["installing", "waiting", "failed", "failed", "waiting", "waiting", "waiting", "waiting"]
    );
    // One that began before it could be taken back is counted as what it is.
    let going =
        going.host(1, |host| RolloutEvent::Began { host }).host(0, |host| RolloutEvent::Installed { host });
    assert!(going.arm.is_empty());
    assert_eq!(going.rollout.summary().installing, 1);
    let going = going.on(RolloutEvent::Continue);
    assert_eq!(going.arm.len(), 3, "those failures are forgiven");
    let going = going.host(5, fails);
    assert_eq!(going.rollout.state.as_str(), "running");
    assert_eq!(going.host(6, fails).rollout.state.as_str(), "stopped");
}

#[test]
fn who_cannot_be_armed_is_skipped_and_no_failure() {
    let going = Going::new(plan(3, 1, 1));
    let going = going.host(0, |host| RolloutEvent::Skipped { host, why: "it was locked by carol".into() });
    assert_eq!(texts(&going.arm), ["esx-001"]);
    assert_eq!(going.states(), ["skipped", "ordered", "waiting"]);
}

#[test]
fn a_cancelled_rollout_lets_what_installs_go_on() {
    let going = Going::new(plan(4, 2, 0)).host(0, |host| RolloutEvent::Began { host });
    let going = going.on(RolloutEvent::Cancel { by: "alice".into() });
    assert_eq!(texts(&going.disarm), ["esx-001"]);
    assert_eq!(going.states(), ["installing", "skipped", "skipped", "skipped"]);
    assert!(!going.rollout.is_over());
    let going = going.host(0, |host| RolloutEvent::Installed { host });
    assert!(going.rollout.is_over() && going.arm.is_empty());
    assert_eq!(going.rollout.state.as_str(), "cancelled");
}

#[test]
fn silence_is_a_failure_unless_the_plan_trusts_it_and_a_late_report_makes_it_good() {
    let begun = |trusts_silence| {
        Going::new(RolloutPlan { trusts_silence, ..plan(2, 1, 0) })
            .host(0, |host| RolloutEvent::Began { host })
            .host(0, |host| RolloutEvent::Unconfirmed { host })
    };
    assert_eq!(begun(true).states(), ["done", "ordered"]);
    assert_eq!(begun(false).states(), ["failed", "ordered"]);
    assert_eq!(begun(false).host(0, |host| RolloutEvent::Installed { host }).states(), ["done", "ordered"]);
}

#[test]
fn a_rollout_that_does_not_run_tries_nobody_again() {
    let begun = || {
        let plan = RolloutPlan { retries: 3, ..plan(3, 2, 1) };
        Going::new(plan)
            .host(0, |host| RolloutEvent::Armed { host })
            .host(0, |host| RolloutEvent::Began { host })
    };
    let retries = |going: Going| going.host(0, |host| RolloutEvent::Retries { host });
    let again = retries(begun());
    assert_eq!((again.states(), again.disarm.len()), (vec!["armed", "ordered", "waiting"], 0));
    let paused = retries(begun().on(RolloutEvent::Pause { by: "bob".into() }));
    let stopped = retries(begun().host(1, fails));
    let cancelled = retries(begun().on(RolloutEvent::Cancel { by: "bob".into() }));
    for (going, how) in [(paused, "paused"), (stopped, "stopped"), (cancelled, "cancelled")] {
        assert_eq!(going.rollout.state.as_str(), how);
        assert_eq!((texts(&going.arm), texts(&going.disarm)), (vec![], vec!["esx-000"]), "{how}");
        let why = format!("it failed, and is not tried again: the rollout is {how}").into();
        assert_eq!(going.rollout.hosts[0], HostState::Failed { why });
        // Told twice, it is nothing new.
        assert_eq!(retries(going).disarm.len(), 0);
    }
}

#[test]
fn a_forgiven_failure_that_was_none_hides_no_later_one() {
    let going = Going::new(plan(6, 1, 1)).host(0, fails).on(RolloutEvent::Continue);
    assert_eq!((going.rollout.state.as_str(), going.rollout.forgiven), ("running", 1));
    let going = going.host(0, |host| RolloutEvent::Installed { host });
    assert_eq!((going.states()[0], going.rollout.forgiven), ("done", 0));
    let going = going.host(0, |host| RolloutEvent::Installed { host });
    assert_eq!(going.host(1, fails).rollout.state.as_str(), "stopped");
}

#[test]
fn a_plan_over_a_limit_is_refused_with_the_limit() {
    let refused = |plan| Rollout::new(plan, T0).unwrap_err().to_string();
    assert_eq!(refused(plan(0, 1, 0)), "0 hosts are no rollout; name 1 to 16384");
    assert_eq!(refused(plan(16_385, 1, 0)), "16385 hosts are no rollout; name 1 to 16384");
    assert_eq!(refused(plan(1, 0, 0)), "0 hosts at once cannot be; give 1 to 256");
    let twice = RolloutPlan { hosts: [names(2), names(1)].concat(), ..plan(1, 1, 0) };
    assert_eq!(refused(twice), "esx-000 is named twice; name it once");
    assert_eq!(
        refused(RolloutPlan { retries: 10, ..plan(1, 1, 0) }),
        "10 retries are more than may be; give 0 to 9"
    );
    assert!(refused(RolloutPlan { by: "".into(), ..plan(1, 1, 0) }).contains("0 bytes"));
    let stranger = RolloutEvent::Installed { host: "web01".parse().unwrap() };
    let refusal = step(&Going::new(plan(1, 1, 0)).rollout, stranger, T0).unwrap_err();
    assert_eq!(refusal.to_string(), "web01 is not in it; make another rollout for it");
}

/// Lives beside a rollout, as the daemon keeps them: the rollout is committed, then hosts are armed, then it is told.
struct Site {
    lives: BTreeMap<Name, Life>,
    rollout: Rollout,
    boots: u32,
    /// Hosts of which an installer was given out, as often as it was.
    begun: Vec<Name>,
}

impl Site {
    fn new(plan: RolloutPlan) -> Site {
        let lives = plan.hosts.iter().map(|host| (host.clone(), Life::adopted(T0))).collect();
        Site { lives, rollout: Rollout::new(plan, T0).unwrap(), boots: 0, begun: Vec::new() }
    }

    /// Takes an event; `orders`: how many of its orders are carried out before the appliance dies.
    fn tell(&mut self, event: RolloutEvent, orders: usize) {
        let RolloutStep { rollout, arm, disarm, .. } = step(&self.rollout, event, T0).unwrap();
        self.rollout = rollout;
        assert!(
            self.rollout.hosts.iter().filter(|state| state.is_under_way()).count()
                <= usize::from(self.rollout.plan.at_once)
        );
        for host in disarm.into_iter().take(orders) {
            self.live(&host, self.rollout.take_back(), orders);
        }
        for host in arm.into_iter().take(orders) {
            self.live(&host, self.rollout.order(T0), orders);
        }
    }

    fn live(&mut self, host: &Name, event: LifeEvent, orders: usize) {
        let was = self.lives[host].clone();
        match live(&was, event, T0) {
            Ok(Step { life, effects, .. }) => {
                self.lives.insert(host.clone(), life);
                for effect in effects {
                    if let Effect::InstallBegan { .. } = effect {
                        self.begun.push(host.clone());
                    }
                    let life = self.lives[host].clone();
                    if let Some(event) = self.rollout.hears(host, &effect, &life) {
                        self.tell(event, orders);
                    }
                }
            }
            Err(LifeRefusal::AlreadyArmed { by, .. }) if self.rollout.is_ours(&by) => {
                self.tell(RolloutEvent::Armed { host: host.clone() }, orders);
            }
            Err(refusal) => {
                let why = refusal.to_string().into();
                self.tell(RolloutEvent::Skipped { host: host.clone(), why }, orders);
            }
        }
    }

    /// The machine is switched on: it installs when it may.
    fn power_on(&mut self, host: &Name, report: Report) {
        let image = ImageRef::current("esxi".parse().unwrap());
        self.boots += 1;
        let boot: Arc<str> = format!("B{}", self.boots).into();
        let began = LifeEvent::BootBegan { boot: boot.clone(), image: image.clone(), destructive: true };
        let Ok(Step { life, .. }) = live(&self.lives[host], began, T0) else { return };
        self.lives.insert(host.clone(), life);
        self.live(
            host,
            LifeEvent::PayloadOpened { boot: boot.clone(), image, destructive: true },
            usize::MAX,
        );
        self.live(host, LifeEvent::Reported { boot, report, detail: None }, usize::MAX);
    }
}

#[test]
fn a_rack_is_reinstalled_once_whenever_the_appliance_dies() {
    for dies_after in 0..6 {
        let mut site = Site::new(plan(9, 3, 0));
        site.tell(RolloutEvent::Resume, dies_after);
        // Started again, as often as it takes.
        site.tell(RolloutEvent::Resume, usize::MAX);
        for _ in 0..4 {
            for host in names(9) {
                site.power_on(&host, Report::Installed);
            }
        }
        assert_eq!(site.rollout.state.as_str(), "done", "{dies_after}");
        assert_eq!(site.rollout.summary().done, 9);
        let once: HashSet<_> = site.begun.iter().collect();
        assert_eq!((once.len(), site.begun.len()), (9, 9), "each was installed once");
    }
}

#[test]
fn a_locked_host_of_a_rack_is_skipped_and_never_begun() {
    let mut site = Site::new(plan(3, 2, 1));
    let locked = names(3).remove(1);
    let lock = LifeEvent::Lock { by: "carol".into(), reason: "production".into() };
    let life = live(&site.lives[&locked], lock, T0).unwrap().life;
    site.lives.insert(locked.clone(), life);
    site.tell(RolloutEvent::Resume, usize::MAX);
    for _ in 0..3 {
        for host in names(3) {
            site.power_on(&host, Report::Installed);
        }
    }
    let summary = site.rollout.summary();
    assert_eq!((summary.done, summary.skipped, summary.failed), (2, 1, 0));
    assert!(!site.begun.contains(&locked));
}

fn events(hosts: usize) -> impl Strategy<Value = RolloutEvent> {
    let host = (0..hosts).prop_map(move |at| names(hosts)[at].clone());
    (0..12u8, host).prop_map(|(kind, host)| match kind {
        0 => RolloutEvent::Resume,
        1 => RolloutEvent::Pause { by: "bob".into() },
        2 => RolloutEvent::Continue,
        3 => RolloutEvent::Skipped { host, why: "ß".repeat(200).into() },
        4 => RolloutEvent::Unconfirmed { host },
        5 => RolloutEvent::Failed { host, why: "no disk".into() },
        6 => RolloutEvent::Retries { host },
        7 | 8 => RolloutEvent::Began { host },
        9 => RolloutEvent::Installed { host },
        _ => RolloutEvent::Armed { host },
    })
}

#[test]
fn a_skipped_host_that_begins_after_the_end_is_waited_for() {
    let host = |at: usize| plan(1, 1, 0).hosts.get(at).cloned().unwrap();
    let mut rollout = Rollout::new(plan(1, 1, 0), T0).unwrap();
    let mut went = |event| {
        rollout = step(&rollout, event, T0).unwrap().rollout;
        assert_eq!(rollout.check(), Ok(()));
        rollout.state.clone()
    };
    assert_eq!(went(RolloutEvent::Resume), RolloutState::Running);
    let skipped = went(RolloutEvent::Skipped { host: host(0), why: "disarmed".into() });
    assert_eq!(skipped, RolloutState::Done { at: T0 });
    assert_eq!(went(RolloutEvent::Began { host: host(0) }), RolloutState::Running);
    assert_eq!(went(RolloutEvent::Installed { host: host(0) }), RolloutState::Done { at: T0 });
}

proptest! {
    #[test]
    fn never_more_at_once_than_said_and_nobody_after_it_stopped(
        at_once in 1..6u16,
        failures_max in 0..4u16,
        story in prop::collection::vec(events(12), 0..120),
    ) {
        let mut rollout = Rollout::new(plan(12, at_once, failures_max), T0).unwrap();
        for event in story {
            let late = matches!(event, RolloutEvent::Began { .. });
            let before = rollout.hosts.iter().filter(|state| state.is_under_way()).count();
            let Ok(next) = step(&rollout, event, T0) else { continue };
            prop_assert_eq!(next.rollout.check(), Ok(()));
            let under_way = next.rollout.hosts.iter().filter(|state| state.is_under_way()).count();
            // A host that was about to be taken back and began all the same is one more, and nobody's wish.
            prop_assert!(under_way <= usize::from(at_once).max(before + usize::from(late)));
            if next.rollout.state != RolloutState::Running {
                prop_assert!(next.arm.is_empty());
            }
            for host in &next.arm {
                let at = next.rollout.plan.hosts.iter().position(|own| own == host).unwrap();
                // Who was ordered before is only named again.
                prop_assert!(rollout.hosts[at] == HostState::Ordered || under_way <= usize::from(at_once));
                prop_assert_eq!(&next.rollout.hosts[at], &HostState::Ordered);
            }
            rollout = next.rollout;
        }
    }
}
