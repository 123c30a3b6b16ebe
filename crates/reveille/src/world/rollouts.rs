//! Rollouts: many hosts, a few at a time. In the store, and in memory to be read.
//!
//! Steps are taken one after the other, each with its orders behind it, so that no order of an older step comes after a newer
//! step. The order is that of [`boots::rollout`]: the rollout is durable, then its hosts are armed or disarmed. What the lives of
//! hosts tell waits in a bounded queue ([`Rollouts::hear`]) until [`Rollouts::work`] takes it up; what is lost there, in a crash
//! or because the store refused, is read from the lives themselves ([`Rollouts::look`], every few seconds and at the start).
//!
//! It switches nothing on: hosts that are to be started anew wait in [`Rollouts::take_power`].

use super::{World, lock, unix_now};
use crate::failure::{Failure, chain};
use boots::life::{Effect, Life, LifeRefusal};
use boots::rollout::{
    HostState, Rollout, RolloutEvent, RolloutPlan, RolloutRefusal, RolloutState, RolloutStep, step,
};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex};
use store::records::{decode_rollout, encode_rollout, rollout_keys, rollout_name, rollout_part};
use store::{Batch, CommitError, Store, Table};
use tokio::sync::Notify;
use types::resource::Name;
use types::{Event, EventName, UnixTime};

/// Rollouts that are remembered. Those that are over are removed by their operator.
pub(crate) const KEPT_MAX: usize = 100;
/// Rollouts that are not over.
pub(crate) const OPEN_MAX: usize = 16;
/// What lives told and nobody took up yet; what comes beyond is found by a look.
const TOLD_MAX: usize = 65_536;
/// Records read at once.
const SCAN_STEP: usize = 1_000;

/// Why something was not done with a rollout.
#[derive(Debug)]
pub(crate) enum RolloutFault {
    /// There is none such.
    NoSuch,
    /// There is one of that name.
    Exists,
    /// As many are kept as may be.
    Kept,
    /// As many are open as may be.
    Open,
    /// A host is in another one that is not over.
    Busy { host: Name, rollout: Name },
    /// It is not over.
    GoesOn,
    /// It does not apply.
    Refused(RolloutRefusal),
    /// It could not be made durable.
    Store(CommitError),
    /// It has no stored form.
    Record(String),
}

impl fmt::Display for RolloutFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RolloutFault::NoSuch => f.write_str("there is none such"),
            RolloutFault::Exists => f.write_str("there is one of that name"),
            RolloutFault::Kept => write!(f, "{KEPT_MAX} rollouts are remembered, and more may not be"),
            RolloutFault::Open => write!(f, "{OPEN_MAX} rollouts are under way, and more may not be"),
            RolloutFault::Busy { host, rollout } => {
                write!(f, "host `{host}` is in rollout `{rollout}`, which is not over")
            }
            RolloutFault::GoesOn => f.write_str("it is not over"),
            RolloutFault::Refused(refusal) => refusal.fmt(f),
            RolloutFault::Store(error) => write!(f, "the store did not take it: {}", chain(error)),
            RolloutFault::Record(error) => write!(f, "it cannot be written: {error}"),
        }
    }
}

/// Every rollout that is remembered.
#[derive(Default)]
struct Known {
    rollouts: BTreeMap<Name, Arc<Rollout>>,
    /// The newest rollout each host is in.
    members: HashMap<Name, Name>,
    /// Moment of the newest: no two have the same, their armings are told apart by it.
    newest: UnixTime,
}

impl Known {
    fn put(&mut self, rollout: Arc<Rollout>) {
        self.newest = self.newest.max(rollout.at);
        self.rollouts.insert(rollout.plan.name.clone(), rollout);
    }

    /// Who is in which, the newer counting.
    fn index(&mut self) {
        let mut by_age: Vec<&Arc<Rollout>> = self.rollouts.values().collect();
        by_age.sort_by_key(|rollout| rollout.at);
        let members = by_age.into_iter().flat_map(|rollout| {
            rollout.plan.hosts.iter().map(|host| (host.clone(), rollout.plan.name.clone()))
        });
        self.members = members.collect();
    }
}

/// Changes of many hosts.
pub(crate) struct Rollouts {
    /// `None` in tests: nothing is durable then.
    store: Option<Store>,
    /// Held while a step is taken and its orders are carried out.
    stepping: Mutex<()>,
    known: Mutex<Known>,
    told: Mutex<VecDeque<(Name, RolloutEvent)>>,
    /// Hosts that are to be started anew, with their rollouts.
    power: Mutex<BTreeSet<(Name, Name)>>,
    /// Rollouts of which a look found that they know all and want nothing.
    settled: Mutex<HashSet<Name>>,
    woken: Notify,
}

impl Rollouts {
    pub(crate) fn in_memory() -> Rollouts {
        Rollouts {
            store: None,
            stepping: Mutex::default(),
            known: Mutex::default(),
            told: Mutex::default(),
            power: Mutex::default(),
            settled: Mutex::default(),
            woken: Notify::new(),
        }
    }

    /// Every rollout in the store. One that cannot be read is told of and arms nobody.
    pub(crate) fn load(store: Store) -> Result<Rollouts, Failure> {
        let mut orders: BTreeMap<Name, Vec<u8>> = BTreeMap::new();
        let mut parts: BTreeMap<Name, BTreeMap<usize, Vec<u8>>> = BTreeMap::new();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let step = store.scan(Table::Boots, after.as_deref(), SCAN_STEP).map_err(|error| {
                Failure::new("R-STO-01", "cannot read boots from the store").cause(chain(&error))
            })?;
            let last = step.len() < SCAN_STEP;
            after = step.last().map(|(key, _)| key.clone());
            for (key, stored) in step {
                if let Some(name) = rollout_name(&key) {
                    orders.insert(name, stored.value);
                } else if let Some((name, number)) = rollout_part(&key) {
                    parts.entry(name).or_default().insert(number, stored.value);
                }
            }
            if last {
                break;
            }
        }
        let mut known = Known::default();
        for (name, order) in orders {
            let hosts = parts.remove(&name).unwrap_or_default();
            match decode_rollout(&order, hosts.values().map(Vec::as_slice)) {
                Ok(rollout) => known.put(Arc::new(rollout)),
                Err(error) => {
                    tracing::error!(rollout = %name, cause = chain(&error), "a rollout cannot be read; it arms nobody any more");
                }
            }
        }
        known.index();
        Ok(Rollouts { store: Some(store), known: Mutex::new(known), ..Rollouts::in_memory() })
    }

    /// Every rollout, by name.
    pub(crate) fn all(&self) -> Vec<Arc<Rollout>> {
        lock(&self.known).rollouts.values().cloned().collect()
    }

    /// One rollout.
    pub(crate) fn of(&self, name: &Name) -> Option<Arc<Rollout>> {
        lock(&self.known).rollouts.get(name).cloned()
    }

    /// The rollout that is not over and that a host is in.
    pub(crate) fn holds(&self, host: &Name) -> Option<Name> {
        let known = lock(&self.known);
        let name = known.members.get(host)?;
        known.rollouts.get(name).filter(|rollout| !rollout.is_over()).map(|_| name.clone())
    }

    /// What a step of a host's life told. Never waits.
    pub(crate) fn hear(&self, host: &Name, effects: &[Effect], life: &Life) {
        if effects.is_empty() {
            return;
        }
        let rollout = {
            let known = lock(&self.known);
            known.members.get(host).and_then(|name| known.rollouts.get(name)).cloned()
        };
        let Some(rollout) = rollout else { return };
        let mut told = lock(&self.told);
        for event in effects.iter().filter_map(|effect| rollout.hears(host, effect, life)) {
            if told.len() < TOLD_MAX {
                told.push_back((rollout.plan.name.clone(), event));
            }
        }
        drop(told);
        self.woken.notify_one();
    }

    /// Waits until something was told.
    pub(crate) async fn woken(&self) {
        self.woken.notified().await;
    }

    /// Hosts to start anew, with their rollouts; each once.
    pub(crate) fn take_power(&self) -> BTreeSet<(Name, Name)> {
        std::mem::take(&mut *lock(&self.power))
    }

    /// Makes a rollout and arms its first hosts. Blocks on the disk.
    pub(crate) fn start(&self, world: &World, plan: RolloutPlan) -> Result<Arc<Rollout>, RolloutFault> {
        let _stepping = lock(&self.stepping);
        let at = {
            let known = lock(&self.known);
            self.may_start(&known, &plan)?;
            unix_now().max(UnixTime(known.newest.0.saturating_add(1)))
        };
        let rollout = Arc::new(Rollout::new(plan, at).map_err(RolloutFault::Refused)?);
        self.commit(&rollout, None, false)?;
        {
            let mut known = lock(&self.known);
            known.put(rollout.clone());
            let name = &rollout.plan.name;
            known.members.extend(rollout.plan.hosts.iter().map(|host| (host.clone(), name.clone())));
        }
        world.publish(
            told_of(EventName::RolloutStarted, &rollout)
                .with("by", rollout.plan.by.clone())
                .with("hosts", rollout.plan.hosts.len() as u64),
        );
        // It is there: what cannot be armed now is at the next look.
        lock(&self.told).push_back((rollout.plan.name.clone(), RolloutEvent::Resume));
        self.drain(world);
        self.of(&rollout.plan.name).ok_or(RolloutFault::NoSuch)
    }

    /// Whether a rollout could be started.
    pub(crate) fn would_start(&self, plan: &RolloutPlan) -> Result<(), RolloutFault> {
        self.may_start(&lock(&self.known), plan)?;
        Rollout::new(plan.clone(), unix_now()).map(drop).map_err(RolloutFault::Refused)
    }

    fn may_start(&self, known: &Known, plan: &RolloutPlan) -> Result<(), RolloutFault> {
        if known.rollouts.contains_key(&plan.name) {
            return Err(RolloutFault::Exists);
        }
        if known.rollouts.len() >= KEPT_MAX {
            return Err(RolloutFault::Kept);
        }
        if known.rollouts.values().filter(|rollout| !rollout.is_over()).count() >= OPEN_MAX {
            return Err(RolloutFault::Open);
        }
        let busy = |host: &Name| {
            let rollout = known.members.get(host).and_then(|name| known.rollouts.get(name))?;
            (!rollout.is_over()).then(|| (host.clone(), rollout.plan.name.clone()))
        };
        match plan.hosts.iter().find_map(busy) {
            Some((host, rollout)) => Err(RolloutFault::Busy { host, rollout }),
            None => Ok(()),
        }
    }

    /// An order of an operator. Blocks on the disk.
    pub(crate) fn order(
        &self,
        world: &World,
        name: &Name,
        event: RolloutEvent,
    ) -> Result<Arc<Rollout>, RolloutFault> {
        let _stepping = lock(&self.stepping);
        // In the order in which it happened.
        self.drain(world);
        self.advance(world, name, event)?;
        self.drain(world);
        self.of(name).ok_or(RolloutFault::NoSuch)
    }

    /// Forgets a rollout that is over.
    pub(crate) fn remove(&self, world: &World, name: &Name) -> Result<(), RolloutFault> {
        let _stepping = lock(&self.stepping);
        let rollout = self.of(name).ok_or(RolloutFault::NoSuch)?;
        if !rollout.is_over() {
            return Err(RolloutFault::GoesOn);
        }
        if let Some(store) = &self.store {
            let keys = rollout_keys(name, rollout.plan.hosts.len());
            let batch = keys.into_iter().fold(Batch::new(), |batch, key| batch.delete(Table::Boots, key));
            store.commit_blocking(batch).map_err(RolloutFault::Store)?;
        }
        let mut known = lock(&self.known);
        known.rollouts.remove(name);
        known.index();
        drop(known);
        lock(&self.settled).remove(name);
        world.publish(told_of(EventName::RolloutRemoved, &rollout));
        Ok(())
    }

    /// A host could not be started anew: it counts as failed, unless it began all the same.
    pub(crate) fn not_switched(&self, world: &World, name: &Name, host: &Name, why: &str) {
        let _stepping = lock(&self.stepping);
        self.drain(world);
        let Some(rollout) = self.of(name) else { return };
        let armed = rollout.progress().any(|(own, state)| own == host && *state == HostState::Armed);
        if !armed {
            return;
        }
        // Before its place is anybody else's.
        self.take_back(world, &rollout, host);
        let life = world.life(host);
        if life.as_deref().is_some_and(|life| rollout.waits(life)) {
            tracing::warn!(rollout = %name, %host, "it could not be switched, and its arming cannot be taken back; it is tried again");
            lock(&self.power).insert((name.clone(), host.clone()));
            return;
        }
        let grant = life.as_deref().and_then(|life| life.grant.as_ref());
        let began = grant.is_some_and(|grant| grant.open && rollout.is_ours(grant.used.by()));
        let event = match began {
            true => RolloutEvent::Began { host: host.clone() },
            false => RolloutEvent::Failed { host: host.clone(), why: format!("not switched: {why}").into() },
        };
        if let Err(fault) = self.advance(world, name, event) {
            tracing::warn!(rollout = %name, %host, "it could not be switched, which is not noted: {fault}");
        }
        self.drain(world);
    }

    /// True while a host is armed by a rollout and has not begun: it may be started anew.
    pub(crate) fn awaits(&self, world: &World, name: &Name, host: &Name) -> bool {
        let Some(rollout) = self.of(name) else { return false };
        world.life(host).is_some_and(|life| rollout.waits(&life) && !life.phase.is_under_way())
    }

    /// Takes up what was told. Blocks on the disk.
    pub(crate) fn work(&self, world: &World) {
        let _stepping = lock(&self.stepping);
        self.drain(world);
    }

    /// At the start: looks at everybody, and goes on.
    pub(crate) fn resume(&self, world: &World) {
        self.look(world);
        let _stepping = lock(&self.stepping);
        for rollout in self.all() {
            if rollout.state != RolloutState::Running {
                continue;
            }
            lock(&self.told).push_back((rollout.plan.name.clone(), RolloutEvent::Resume));
            if !rollout.plan.power_cycle {
                continue;
            }
            // Whether they were switched is not known: those of which nothing was heard since they were armed are.
            for (host, state) in rollout.progress() {
                let silent = world.life(host).is_some_and(|life| {
                    let armed = life.arming.as_ref().map(|it| it.at);
                    let armed = armed.or(life.one_shot.as_ref().map(|it| it.at));
                    armed.is_some_and(|armed| life.heard <= armed)
                });
                if *state == HostState::Armed && silent {
                    lock(&self.power).insert((rollout.plan.name.clone(), host.clone()));
                }
            }
        }
        self.drain(world);
    }

    /// Compares every rollout with the lives of its hosts, and takes up what it has missed. Blocks on the disk.
    pub(crate) fn look(&self, world: &World) {
        let _stepping = lock(&self.stepping);
        self.drain(world);
        for rollout in self.all() {
            let name = &rollout.plan.name;
            if lock(&self.settled).contains(name) {
                continue;
            }
            let mut quiet = rollout.is_over();
            let catalog = world.catalog.load();
            for (host, state) in rollout.progress() {
                let life = world.life(host);
                // A newer rollout has the host now; this one's orders are over.
                if let Some(life) = life.as_deref().filter(|life| rollout.must_take_back(state, life)) {
                    quiet = false;
                    tracing::debug!(rollout = %name, %host, stage = life.phase.as_str(), "an arming that is not wanted any more is taken back");
                    self.take_back(world, &rollout, host);
                }
                let mut events = rollout.unheard(host, state, life.as_deref());
                if state.is_under_way() && catalog.host(host.as_str()).is_none() {
                    events.push(RolloutEvent::Failed {
                        host: host.clone(),
                        why: "it is recorded no more".into(),
                    });
                }
                let mut told = lock(&self.told);
                told.extend(events.into_iter().map(|event| (name.clone(), event)));
            }
            let count = |is: fn(&HostState) -> bool| rollout.hosts.iter().filter(|state| is(state)).count();
            let free = count(HostState::is_under_way) < usize::from(rollout.plan.at_once)
                && rollout.hosts.contains(&HostState::Waiting);
            // A commit failed: nobody else would go on.
            if rollout.state == RolloutState::Running && (free || rollout.hosts.contains(&HostState::Ordered))
            {
                lock(&self.told).push_back((name.clone(), RolloutEvent::Resume));
            }
            if quiet {
                lock(&self.settled).insert(name.clone());
            }
            self.drain(world);
        }
    }

    /// Everything that was told, in its order. The caller holds `stepping`.
    fn drain(&self, world: &World) {
        loop {
            let Some((name, event)) = lock(&self.told).pop_front() else { return };
            if let Err(fault) = self.advance(world, &name, event) {
                match fault {
                    RolloutFault::Store(_) | RolloutFault::Record(_) => {
                        tracing::warn!(rollout = %name, "what became of a host is not noted yet: {fault}");
                    }
                    other => tracing::debug!(rollout = %name, "what was told does not apply: {other}"),
                }
            }
        }
    }

    /// One step: durable, told, carried out. The caller holds `stepping`.
    fn advance(&self, world: &World, name: &Name, event: RolloutEvent) -> Result<(), RolloutFault> {
        let before = self.of(name).ok_or(RolloutFault::NoSuch)?;
        let takes_away = matches!(event, RolloutEvent::Pause { .. } | RolloutEvent::Cancel { .. });
        let by = match &event {
            RolloutEvent::Pause { by } | RolloutEvent::Cancel { by } => Some(by.clone()),
            _ => None,
        };
        let RolloutStep { rollout, arm, disarm, changed } =
            step(&before, event, unix_now()).map_err(RolloutFault::Refused)?;
        let after = Arc::new(rollout);
        if changed {
            self.commit(&after, Some(&before), takes_away)?;
            lock(&self.known).put(after.clone());
            lock(&self.settled).remove(name);
            self.tell_changes(world, &before, &after, by);
        }
        for host in disarm {
            self.take_back(world, &after, &host);
        }
        for host in arm {
            if let Err(why) = self.arm(world, &after, &host) {
                lock(&self.told).push_front((name.clone(), why));
            }
        }
        Ok(())
    }

    /// Arms a host; the event when that is not what happens.
    fn arm(&self, world: &World, rollout: &Rollout, host: &Name) -> Result<(), RolloutEvent> {
        let skipped = |why: String| Err(RolloutEvent::Skipped { host: host.clone(), why: why.into() });
        {
            let catalog = world.catalog.load();
            let Some(record) = catalog.host(host.as_str()) else {
                return skipped("it is recorded no more".to_owned());
            };
            let there = |image: &boots::life::ImageRef| match &image.version {
                Some(version) => catalog.version(&image.name, version).is_some(),
                None => catalog.image(image.name.as_str()).is_some(),
            };
            match &rollout.plan.image {
                Some(image) if !there(image) => return skipped(format!("image {image} is not there")),
                Some(_) => {}
                None => match plan::Fleet::new(&catalog).wanted(record, &world.known(record)) {
                    plan::Wanted::Image(image, _) if image.destructive => {}
                    plan::Wanted::Undecided(why) => {
                        return skipped(format!("what it should boot cannot be told: {why}"));
                    }
                    _ => return skipped("its pins name no image that erases its disk".to_owned()),
                },
            }
        }
        match world.live(host, rollout.order(unix_now())) {
            Ok(_) => Ok(()),
            Err(super::LifeFault::Refused(LifeRefusal::AlreadyArmed { by, .. })) if rollout.is_ours(&by) => {
                Err(RolloutEvent::Armed { host: host.clone() })
            }
            // It stays ordered, and is tried again at the next look.
            Err(fault @ (super::LifeFault::Store(_) | super::LifeFault::Record(_))) => {
                tracing::warn!(%host, rollout = %rollout.plan.name, "it cannot be armed yet: {fault}");
                Ok(())
            }
            Err(fault) => skipped(fault.to_string()),
        }
    }

    fn take_back(&self, world: &World, rollout: &Rollout, host: &Name) {
        // Somebody else may have armed it since.
        if world.life(host).is_none_or(|life| !rollout.waits(&life)) {
            return;
        }
        if let Err(fault) = world.live(host, rollout.take_back()) {
            tracing::debug!(%host, rollout = %rollout.plan.name, "its arming is not taken back: {fault}");
        }
    }

    fn commit(&self, after: &Rollout, before: Option<&Rollout>, essential: bool) -> Result<(), RolloutFault> {
        let Some(store) = &self.store else { return Ok(()) };
        let parts = encode_rollout(after, before).map_err(|error| RolloutFault::Record(chain(&error)))?;
        let batch =
            parts.into_iter().fold(Batch::new(), |batch, (key, value)| batch.put(Table::Boots, key, value));
        // What takes permissions away is kept on a full disk, too.
        let batch = if essential { batch.essential() } else { batch };
        store.commit_blocking(batch).map(drop).map_err(RolloutFault::Store)
    }

    fn tell_changes(&self, world: &World, before: &Rollout, after: &Rollout, by: Option<Arc<str>>) {
        let rollout = &after.plan.name;
        let changed = after.progress().zip(&before.hosts).filter(|((_, now), was)| now != was);
        for ((host, state), _) in changed {
            let (name, why) = match state {
                HostState::Done => (EventName::RolloutHostDone, None),
                HostState::Failed { why } => (EventName::RolloutHostFailed, Some(why)),
                HostState::Skipped { why } => (EventName::RolloutHostSkipped, Some(why)),
                HostState::Armed => {
                    if after.plan.power_cycle {
                        lock(&self.power).insert((rollout.clone(), host.clone()));
                        self.woken.notify_one();
                    }
                    continue;
                }
                HostState::Waiting | HostState::Ordered | HostState::Installing => continue,
            };
            let mut event = Event::new(name).host(Some(host.shared())).with("rollout", rollout.shared());
            if let Some(why) = why {
                event = event.with("why", why.clone());
            }
            world.publish(event);
        }
        if std::mem::discriminant(&before.state) == std::mem::discriminant(&after.state) {
            return;
        }
        let name = match &after.state {
            RolloutState::Running => EventName::RolloutResumed,
            RolloutState::Paused { .. } => EventName::RolloutPaused,
            RolloutState::Stopped { .. } => EventName::RolloutStopped,
            RolloutState::Cancelled { .. } => EventName::RolloutCancelled,
            RolloutState::Done { .. } => EventName::RolloutEnded,
        };
        let mut event = told_of(name, after);
        if let Some(by) = by {
            event = event.with("by", by);
        }
        world.publish(event);
    }
}

/// An event of a rollout, with how many of its hosts stand where.
fn told_of(name: EventName, rollout: &Rollout) -> Event {
    let summary = rollout.summary();
    let mut event = Event::new(name).with("rollout", rollout.plan.name.shared());
    for (field, count) in [
        ("done", summary.done),
        ("failed", summary.failed),
        ("skipped", summary.skipped),
        ("waiting", summary.waiting),
    ] {
        event = event.with(field, count as u64);
    }
    event
}

#[cfg(test)]
mod tests;
