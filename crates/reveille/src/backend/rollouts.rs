//! Rollouts behind the API, and the task that drives them.

use super::{Daemon, fleet, life, not_committed, power};
use crate::world::{RolloutFault, unix_now};
use admin::view::{HostOrder, RolloutHostView, RolloutRequest, RolloutSummary, RolloutView, timestamp};
use admin::{BackendError, ListPage, Problem, RolloutOrder};
use boots::life::{ImageRef, Life};
use boots::rollout::{BY_BYTES_MAX, HostState, Rollout, RolloutEvent, RolloutPlan, RolloutState};
use plan::Decider;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use types::UnixTime;
use types::resource::{Host, Name};

/// How often the lives of hosts are looked at for what was missed.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Controllers asked at once.
const SWITCHES_MAX: usize = 32;

pub(super) fn start(
    daemon: &Daemon,
    request: &RolloutRequest,
    dry_run: bool,
) -> Result<RolloutView, BackendError> {
    let name = &request.name;
    let refused = |code: &str, what: &str, cause: String, fix: &str| {
        let title = format!("rollout `{name}`: not started");
        BackendError::Problem(Problem::new(409, code, what, title).with_cause(cause).with_fix(fix))
    };
    if request.of.is_everybody() {
        return Err(refused(
            "R-ROL-02",
            "everybody",
            "it names no hosts, and nobody means all".to_owned(),
            "name hosts, a group (--group) or a selector (--where)",
        ));
    }
    let image = match &request.image {
        None => None,
        Some(text) => {
            let (image, known) = life::named(daemon, text)?;
            if !known.destructive {
                return Err(refused(
                    "R-ROL-03",
                    "nothing-to-arm",
                    format!("image `{}` erases nothing and is booted by unarmed hosts", known.name),
                    "name it in their record or group; their next boot is enough",
                ));
            }
            Some(image)
        }
    };
    let catalog = daemon.world.catalog();
    let mut hosts: Vec<Arc<Host>> =
        fleet::chosen(daemon, &catalog, &request.of)?.into_iter().map(|(host, _)| host).collect();
    if hosts.is_empty() {
        return Err(refused(
            "R-ROL-02",
            "nobody",
            "no recorded host is meant".to_owned(),
            "reveille explain shows what a selector or group sees of a host",
        ));
    }
    in_order(&mut hosts, request.order);
    let plan = RolloutPlan {
        name: name.clone(),
        by: who(request.by.as_deref()),
        image,
        hosts: hosts.iter().map(|host| host.name.clone()).collect(),
        at_once: request.at_once,
        failures_max: request.max_failures,
        retries: request.retries,
        trusts_silence: request.silent_installers,
        expires: request.expires_secs.map(Duration::from_secs),
        power_cycle: request.power_cycle,
    };
    if dry_run {
        daemon.world.rollouts().would_start(&plan).map_err(|fault| problem(name, fault))?;
        return Ok(planned(daemon, plan));
    }
    let rollout = daemon.world.rollouts().start(&daemon.world, plan).map_err(|fault| problem(name, fault))?;
    Ok(view(&rollout, true))
}

pub(super) fn list(daemon: &Daemon) -> Result<ListPage<RolloutView>, BackendError> {
    let mut all = daemon.world.rollouts().all();
    all.sort_by_key(|rollout| std::cmp::Reverse(rollout.at));
    let items = all.iter().map(|rollout| view(rollout, false)).collect();
    Ok(ListPage { items, next: None, revision: daemon.revision() })
}

pub(super) fn one(daemon: &Daemon, name: &Name) -> Result<RolloutView, BackendError> {
    let rollout = daemon.world.rollouts().of(name).ok_or_else(|| problem(name, RolloutFault::NoSuch))?;
    Ok(view(&rollout, true))
}

pub(super) fn order(
    daemon: &Daemon,
    name: &Name,
    by: &str,
    order: RolloutOrder,
) -> Result<RolloutView, BackendError> {
    let by = who(Some(by));
    let event = match order {
        RolloutOrder::Pause => RolloutEvent::Pause { by },
        RolloutOrder::Resume => RolloutEvent::Continue,
        RolloutOrder::Cancel => RolloutEvent::Cancel { by },
    };
    let rollouts = daemon.world.rollouts();
    let rollout = rollouts.order(&daemon.world, name, event).map_err(|fault| problem(name, fault))?;
    Ok(view(&rollout, true))
}

pub(super) fn remove(daemon: &Daemon, name: &Name) -> Result<(), BackendError> {
    daemon.world.rollouts().remove(&daemon.world, name).map_err(|fault| problem(name, fault))
}

/// Who wants it, as long as a rollout may say.
fn who(by: Option<&str>) -> Arc<str> {
    let by = by.filter(|by| !by.is_empty()).unwrap_or("api");
    by.get(..by.floor_char_boundary(BY_BYTES_MAX)).unwrap_or(by).into()
}

fn in_order(hosts: &mut Vec<Arc<Host>>, order: HostOrder) {
    let place = |host: &Arc<Host>| host.location.clone().unwrap_or_default();
    match order {
        HostOrder::Given => {}
        HostOrder::Name => hosts.sort_by(|one, other| one.name.cmp(&other.name)),
        HostOrder::Location => {
            hosts.sort_by(|one, other| (place(one), &one.name).cmp(&(place(other), &other.name)))
        }
        HostOrder::Spread => {
            hosts.sort_by(|one, other| one.name.cmp(&other.name));
            let mut places: BTreeMap<String, VecDeque<Arc<Host>>> = BTreeMap::new();
            for host in hosts.drain(..) {
                places.entry(place(&host)).or_default().push_back(host);
            }
            while !places.is_empty() {
                hosts.extend(places.values_mut().filter_map(VecDeque::pop_front));
                places.retain(|_, left| !left.is_empty());
            }
        }
    }
}

/// What would become of it if every host were armed now.
fn planned(daemon: &Daemon, plan: RolloutPlan) -> RolloutView {
    let now = unix_now();
    let states = plan.hosts.iter().map(|_| HostState::Waiting).collect();
    let mut rollout = Rollout { plan, at: now, state: RolloutState::Running, forgiven: 0, hosts: states };
    let order = rollout.order(now);
    for (host, state) in rollout.plan.hosts.iter().zip(&mut rollout.hosts) {
        let life = daemon.world.life(host).unwrap_or_else(|| Arc::new(Life::adopted(now)));
        if let Err(refusal) = boots::life::step(&life, order.clone(), now) {
            *state = HostState::Skipped { why: refusal.to_string().into() };
        }
    }
    RolloutView { state: "planned".to_owned(), ..view(&rollout, true) }
}

fn shown(time: UnixTime) -> String {
    timestamp(time.0.saturating_mul(1000))
}

fn view(rollout: &Rollout, with_hosts: bool) -> RolloutView {
    let Rollout { plan, at, state, .. } = rollout;
    let (state_at, state_by) = match state {
        RolloutState::Running => (None, None),
        RolloutState::Paused { by, at } | RolloutState::Cancelled { by, at } => {
            (Some(*at), Some(by.to_string()))
        }
        RolloutState::Stopped { at } | RolloutState::Done { at } => (Some(*at), None),
    };
    let summary = rollout.summary();
    let host = |(host, state): (&Name, &HostState)| RolloutHostView {
        host: host.to_string(),
        state: state.as_str().to_owned(),
        why: match state {
            HostState::Failed { why } | HostState::Skipped { why } => Some(why.to_string()),
            _ => None,
        },
    };
    RolloutView {
        name: plan.name.to_string(),
        state: state.as_str().to_owned(),
        over: rollout.is_over(),
        by: plan.by.to_string(),
        at: shown(*at),
        state_at: state_at.map(shown),
        state_by,
        image: plan.image.as_ref().map(ImageRef::to_string),
        at_once: plan.at_once,
        max_failures: plan.failures_max,
        retries: plan.retries,
        expires_secs: plan.expires.map(|time| time.as_secs()),
        silent_installers: plan.trusts_silence,
        power_cycle: plan.power_cycle,
        summary: RolloutSummary {
            waiting: summary.waiting,
            armed: summary.armed,
            installing: summary.installing,
            done: summary.done,
            failed: summary.failed,
            skipped: summary.skipped,
        },
        hosts: if with_hosts { rollout.progress().map(host).collect() } else { Vec::new() },
    }
}

fn problem(name: &Name, fault: RolloutFault) -> BackendError {
    let (code, what, fix) = match &fault {
        RolloutFault::NoSuch => return BackendError::NotFound { what: "rollout", name: name.to_string() },
        RolloutFault::Store(error) => return not_committed(error, "rollout", name.as_str(), None),
        RolloutFault::Record(text) => return BackendError::Internal(text.clone()),
        RolloutFault::Exists => {
            ("R-ROL-04", "exists", format!("take another name, or: reveille rollout rm {name}"))
        }
        RolloutFault::Kept => {
            ("R-ROL-05", "too-many", "remove some that are over: reveille rollout rm".to_owned())
        }
        RolloutFault::Open => {
            ("R-ROL-05", "too-many", "wait for one, or cancel it: reveille rollout list".to_owned())
        }
        RolloutFault::Busy { rollout, .. } => {
            ("R-ROL-06", "busy", format!("leave the host out, or: reveille rollout cancel {rollout}"))
        }
        RolloutFault::GoesOn => ("R-ROL-07", "goes-on", format!("reveille rollout cancel {name}")),
        RolloutFault::Refused(_) => ("R-ROL-01", "refused", format!("reveille rollout get {name}")),
    };
    let title = format!("rollout `{name}`: not done");
    BackendError::Problem(Problem::new(409, code, what, title).with_cause(fault.to_string()).with_fix(fix))
}

/// Drives every rollout until it is told to stop: whatever the lives of hosts tell is taken up at once, what was missed every
/// few seconds, and hosts that are to be started anew are.
pub(crate) async fn drive(daemon: Arc<Daemon>, mut shutdown: watch::Receiver<bool>) {
    let switches = Arc::new(Semaphore::new(SWITCHES_MAX));
    let starting = daemon.clone();
    blocking(move || starting.world.rollouts().resume(&starting.world)).await;
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let look = tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => return,
            () = daemon.world.rollouts().woken() => false,
            _ = ticks.tick() => true,
        };
        let driven = daemon.clone();
        blocking(move || match look {
            true => driven.world.rollouts().look(&driven.world),
            false => driven.world.rollouts().work(&driven.world),
        })
        .await;
        for (rollout, host) in daemon.world.rollouts().take_power() {
            tokio::spawn(switch(daemon.clone(), switches.clone(), rollout, host));
        }
    }
}

/// One host started anew. One without power settings waits for whoever switches it on.
async fn switch(daemon: Arc<Daemon>, switches: Arc<Semaphore>, rollout: Name, host: Name) {
    let Ok(_held) = switches.acquire().await else { return };
    blocking(move || {
        let catalog = daemon.world.catalog();
        let switched = catalog.host(host.as_str()).is_some_and(|host| host.power.is_some());
        // It may have begun by itself, or is not wanted any more.
        if !switched || !daemon.world.rollouts().awaits(&daemon.world, &rollout, &host) {
            return;
        }
        if let Err(why) = power::cycle(&daemon, &host) {
            daemon.world.rollouts().not_switched(&daemon.world, &rollout, &host, &why);
        }
    })
    .await;
}

/// Where it may wait for the disk.
async fn blocking(work: impl FnOnce() + Send + 'static) {
    if tokio::task::spawn_blocking(work).await.is_err() {
        tracing::error!("a step of the rollouts panicked");
    }
}
