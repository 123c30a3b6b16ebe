//! Many hosts at once: who is meant, who has drifted, and what brings them in step.

use super::{Daemon, power, rollouts};
use crate::world::unix_now;
use admin::view::{
    DriftReport, DriftRequest, DriftView, HeldView, HostSet, Reason, RepairReport, RepairRequest,
    RolloutRequest, RolloutView,
};
use admin::{BackendError, FieldError, Fleet, HostRef, ListPage, RolloutOrder};
use boots::drift::{Difference, Drift, Standing, Wanted, drift};
use boots::life::ImageRef;
use plan::{Catalog, Decider};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use types::Facts;
use types::resource::{Host, Name};
use types::selector::Match;

/// Hosts one repair starts anew. Each takes a controller's time, and the request waits for all.
const RESTARTS_MAX: usize = 256;

impl Fleet for Daemon {
    fn drift(&self, request: &DriftRequest) -> Result<DriftReport, BackendError> {
        let catalog = self.world.catalog();
        let looked = looked_at(self, &catalog, &request.of)?;
        let mut report =
            DriftReport { hosts: looked.len(), generation: catalog.generation, ..DriftReport::default() };
        // Who asks for a host by its name wants to read of it.
        let all = request.all || !request.of.hosts.is_empty();
        for Looked { host, wanted, drift } in &looked {
            *match drift.standing {
                Standing::InStep => &mut report.in_step,
                Standing::Drifted => &mut report.drifted,
                Standing::Undecided => &mut report.undecided,
                Standing::Unmanaged => &mut report.unmanaged,
            } += 1;
            if all || matches!(drift.standing, Standing::Drifted | Standing::Undecided) {
                report.items.push(view(&host.name, wanted, drift));
            }
        }
        Ok(report)
    }

    fn repair(&self, request: &RepairRequest, dry_run: bool) -> Result<RepairReport, BackendError> {
        repair(self, request, dry_run)
    }

    fn start_rollout(&self, request: &RolloutRequest, dry_run: bool) -> Result<RolloutView, BackendError> {
        rollouts::start(self, request, dry_run)
    }

    fn rollouts(&self) -> Result<ListPage<RolloutView>, BackendError> {
        rollouts::list(self)
    }

    fn rollout(&self, name: &Name) -> Result<RolloutView, BackendError> {
        rollouts::one(self, name)
    }

    fn order_rollout(&self, name: &Name, by: &str, order: RolloutOrder) -> Result<RolloutView, BackendError> {
        rollouts::order(self, name, by, order)
    }

    fn remove_rollout(&self, name: &Name) -> Result<(), BackendError> {
        rollouts::remove(self, name)
    }
}

/// The hosts of a set, with what is known of each: by name, or as they were named.
pub(super) fn chosen(
    daemon: &Daemon,
    catalog: &Catalog,
    set: &HostSet,
) -> Result<Vec<(Arc<Host>, Facts)>, BackendError> {
    let invalid = |pointer: &str, detail: String| BackendError::Invalid {
        what: "set of hosts",
        errors: vec![FieldError { pointer: format!("/of/{pointer}"), detail }],
    };
    if !set.hosts.is_empty() {
        if set.group.is_some() || set.selector.is_some() {
            let detail = "name hosts, or a group and a selector; not both".to_owned();
            return Err(invalid("hosts", detail));
        }
        let (mut found, mut names) = (Vec::new(), BTreeSet::new());
        for text in &set.hosts {
            let reference: HostRef = text.parse().map_err(|error| invalid("hosts", error))?;
            let host = match &reference {
                HostRef::Name(name) => catalog.host(name.as_str()),
                HostRef::Mac(mac) => catalog.host_by_mac(*mac),
                HostRef::Uuid(guid) => catalog.host_by_guid(*guid),
                HostRef::Serial(serial) => catalog.host_by_serial(serial),
            };
            let missing = || BackendError::NotFound { what: "host", name: text.clone() };
            let host = host.ok_or_else(missing)?;
            if names.insert(host.name.clone()) {
                found.push((host.clone(), daemon.world.known(host)));
            }
        }
        return Ok(found);
    }
    if let Some(group) = set.group.as_ref().filter(|group| catalog.group(group).is_none()) {
        return Err(BackendError::NotFound { what: "group", name: group.to_string() });
    }
    let fleet = plan::Fleet::new(catalog);
    let mut found: Vec<(Arc<Host>, Facts)> =
        catalog.hosts().map(|host| (host.clone(), daemon.world.known(host))).collect();
    found.retain(|(host, facts)| {
        set.group.as_ref().is_none_or(|group| fleet.is_in(host, facts, group))
            && set
                .selector
                .as_ref()
                .is_none_or(|selector| plan::means(catalog, facts, selector) == Match::Yes)
    });
    found.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
    Ok(found)
}

/// A host that was looked at.
struct Looked {
    host: Arc<Host>,
    wanted: Wanted,
    drift: Drift,
}

fn looked_at(daemon: &Daemon, catalog: &Catalog, set: &HostSet) -> Result<Vec<Looked>, BackendError> {
    let now = unix_now();
    let fleet = plan::Fleet::new(catalog);
    let mut looked = Vec::new();
    for (host, facts) in chosen(daemon, catalog, set)? {
        let wanted = match fleet.wanted(&host, &facts) {
            plan::Wanted::Image(image, meant) => Wanted::Image {
                image: ImageRef { name: ImageRef::of(&image.name).name, version: meant.version },
                destructive: image.destructive,
                values: meant.values,
            },
            plan::Wanted::Nothing => Wanted::Nothing,
            plan::Wanted::Undecided(why) => Wanted::Undecided { why: why.into() },
        };
        let drift = drift(&wanted, daemon.world.life(&host.name).as_deref(), now);
        looked.push(Looked { host, wanted, drift });
    }
    Ok(looked)
}

fn view(host: &Name, wanted: &Wanted, drift: &Drift) -> DriftView {
    let reason = |code: &str, text: String| Reason { code: code.to_owned(), text };
    let mut reasons: Vec<Reason> =
        drift.differences.iter().map(|it| reason(it.code(), it.to_string())).collect();
    let (mut wants, mut erases) = (None, false);
    match wanted {
        Wanted::Image { image, destructive, .. } => (wants, erases) = (Some(image.to_string()), *destructive),
        Wanted::Undecided { why } => reasons.push(reason("undecided", why.to_string())),
        Wanted::Nothing => {}
    }
    DriftView {
        host: host.to_string(),
        standing: drift.standing.as_str().to_owned(),
        wants,
        destructive: erases,
        has: drift.has.as_ref().map(ToString::to_string),
        reasons,
        notes: drift.notes.iter().map(|note| reason(note.code(), note.to_string())).collect(),
    }
}

fn repair(daemon: &Daemon, request: &RepairRequest, dry_run: bool) -> Result<RepairReport, BackendError> {
    let catalog = daemon.world.catalog();
    let looked = looked_at(daemon, &catalog, &request.of)?;
    let mut report = RepairReport { hosts: looked.len(), dry_run, ..RepairReport::default() };
    let (mut install, mut restart) = (Vec::new(), Vec::new());
    for Looked { host, wanted, drift } in &looked {
        let mut held = |why: String| report.held.push(HeldView { host: host.name.to_string(), why });
        match (drift.standing, wanted) {
            (Standing::InStep | Standing::Unmanaged, _) => continue,
            // Each repair would erase it again.
            _ if request.silent_installers && is_only_unconfirmed(drift) => continue,
            (_, Wanted::Undecided { why }) => held(why.to_string()),
            _ if drift.is_held() => {
                held(drift.notes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "));
            }
            (_, Wanted::Image { destructive: true, .. }) => match daemon.world.rollouts().holds(&host.name) {
                Some(rollout) => held(format!("it is in rollout {rollout}")),
                None => install.push(host.name.to_string()),
            },
            _ if request.power_cycle && host.power.is_some() && restart.len() < RESTARTS_MAX => {
                restart.push(host.name.clone());
            }
            _ => report.next_boot.push(host.name.to_string()),
        }
        report.found += 1;
    }
    if !install.is_empty() {
        let name = match &request.name {
            Some(name) => name.clone(),
            None => made_name()?,
        };
        let rollout = RolloutRequest {
            name,
            by: request.by.clone(),
            image: None,
            of: HostSet { hosts: install, ..HostSet::default() },
            order: admin::view::HostOrder::Given,
            at_once: request.at_once,
            max_failures: request.max_failures,
            retries: 0,
            expires_secs: request.expires_secs,
            silent_installers: request.silent_installers,
            power_cycle: request.power_cycle,
        };
        report.rollout = Some(rollouts::start(daemon, &rollout, dry_run)?);
    }
    if dry_run {
        report.restarted = restart.iter().map(ToString::to_string).collect();
    } else {
        restart_all(daemon, &restart, request.at_once, &mut report);
    }
    Ok(report)
}

/// True when a host is what it should be, as far as an installer that never reports can tell.
fn is_only_unconfirmed(drift: &Drift) -> bool {
    !drift.differences.is_empty() && drift.differences.iter().all(|it| *it == Difference::Unconfirmed)
}

/// Starts hosts anew, so many at once. Waits for their controllers, not for their boots.
fn restart_all(daemon: &Daemon, hosts: &[Name], at_once: u16, report: &mut RepairReport) {
    let runtime = tokio::runtime::Handle::current();
    let outcomes = Mutex::new(Vec::new());
    for some in hosts.chunks(usize::from(at_once.max(1))) {
        std::thread::scope(|scope| {
            for host in some {
                let (runtime, outcomes) = (&runtime, &outcomes);
                scope.spawn(move || {
                    let _entered = runtime.enter();
                    let outcome = power::cycle(daemon, host);
                    outcomes.lock().unwrap_or_else(PoisonError::into_inner).push((host.clone(), outcome));
                });
            }
        });
    }
    for (host, outcome) in outcomes.into_inner().unwrap_or_else(PoisonError::into_inner) {
        match outcome {
            Ok(()) => report.restarted.push(host.to_string()),
            Err(why) => report.held.push(HeldView { host: host.to_string(), why }),
        }
    }
    report.restarted.sort();
}

/// `repair-20261126-210500`
fn made_name() -> Result<Name, BackendError> {
    let time = admin::view::timestamp(unix_now().0.saturating_mul(1000));
    let digits: String = time.chars().take(19).filter(char::is_ascii_digit).collect();
    let (day, second) = digits.split_at_checked(8).unwrap_or((&digits, ""));
    format!("repair-{day}-{second}")
        .parse()
        .map_err(|_| BackendError::Internal(format!("`{time}` makes no name")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_only_unconfirmed_differs_in_nothing_else() {
        let of = |differences: Vec<Difference>| {
            let (standing, has, notes) = (Standing::Drifted, None, Vec::new());
            is_only_unconfirmed(&Drift { standing, has, differences, notes })
        };
        assert!(of(vec![Difference::Unconfirmed]));
        assert!(!of(vec![Difference::Unconfirmed, Difference::Values]));
        assert!(!of(vec![Difference::Silent]) && !of(vec![]));
    }
}
