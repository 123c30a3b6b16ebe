//! Machines nobody recorded: those that wait, those that were seen, those that are to be ignored.

use super::{Daemon, internal};
use crate::failure::chain;
use crate::inventory::{API_OWNER, Owned};
use crate::world::{World, unix_now};
use admin::view::{AlarmView, ChangeView, HostWrite, IgnoredView, MachineDetail, MachineView, timestamp};
use admin::{BackendError, FieldError, ListPage};
use plan::Decider;
use std::collections::{BTreeMap, BTreeSet};
use store::records::{Alarm, AlarmKind, IGNORED, Ignored, encode_host, ignored_key, name_key};
use store::{Batch, Table};
use types::resource::{Host, Name};
use types::selector::{Match, Subject};
use types::{Event, EventName, EventSink, Facts, MacAddr, Selector};

/// Prefixes that may be ignored; a decision looks at each.
const IGNORED_MAX: usize = 1_000;

pub(super) fn machines(
    daemon: &Daemon,
    selector: Option<&Selector>,
) -> Result<ListPage<MachineView>, BackendError> {
    let catalog = daemon.world.catalog();
    let ignored = daemon.inventory.ignored().map_err(internal)?;
    let none = BTreeMap::new();
    let mut items: Vec<MachineView> = Vec::new();
    for facts in daemon.world.machines() {
        let facts = daemon.world.doubted(facts);
        let Some(mac) = facts.mac.filter(|_| catalog.identify(&facts).is_none()) else { continue };
        let (first_seen, last_seen) = seen(&daemon.world, std::iter::once(mac)).unzip();
        let asked = Facts { smbios: true, ..facts.clone() };
        let subject = Subject {
            facts: &asked,
            host: None,
            groups: &[],
            labels: &none,
            site: catalog.site(),
            may_tell: false,
        };
        if selector.is_some_and(|selector| selector.judge(&subject) != Match::Yes) {
            continue;
        }
        let claim = daemon.world.claim(mac);
        let text = |value: &Option<std::sync::Arc<str>>| value.as_deref().map(str::to_owned);
        items.push(MachineView {
            mac,
            uuid: facts.own_guid(),
            vendor: text(&facts.vendor),
            model: text(&facts.model),
            serial: text(&facts.serial),
            asset: text(&facts.asset),
            firmware: facts.firmware.map(|firmware| firmware.to_string()),
            address: facts.address.map(|address| address.to_string()),
            via: facts.relay.map(|relay| relay.to_string()).or_else(|| text(&facts.interface)),
            code: claim.as_ref().map(|(code, _)| code.to_string()),
            first_seen,
            last_seen,
            waited_secs: claim.map(|(_, waited)| waited.as_secs()),
            ignored: ignored.iter().any(|ignored| mac.0.starts_with(&ignored.octets)),
        });
    }
    items.sort_by_key(|machine| (machine.code.is_none(), machine.mac));
    Ok(ListPage { items, next: None, revision: daemon.revision() })
}

/// Everything known of one machine.
pub(super) fn machine(daemon: &Daemon, mac: MacAddr) -> Result<MachineDetail, BackendError> {
    let missing = || BackendError::NotFound { what: "machine", name: mac.to_string() };
    let facts = daemon.world.remembered(mac).ok_or_else(missing)?;
    let (first_seen, last_seen) = seen(&daemon.world, std::iter::once(mac)).ok_or_else(missing)?;
    let facts = daemon.world.doubted(facts);
    let catalog = daemon.world.catalog();
    Ok(MachineDetail {
        mac,
        host: catalog.identify(&facts).map(|host| host.name.to_string()),
        facts: super::explain::shown(&facts),
        first_seen,
        last_seen,
        code: daemon.world.claim(mac).map(|(code, _)| code.to_string()),
        alarms: alarms(&daemon.world).into_iter().filter(|alarm| alarm.macs.contains(&mac)).collect(),
    })
}

/// Forgets what is known of a machine; its record stays.
pub(super) fn forget(daemon: &Daemon, mac: MacAddr, by: &str) -> Result<(), BackendError> {
    let known = daemon
        .world
        .forget_machine(mac)
        .map_err(|error| super::not_committed(&error, "machine", &mac.to_string(), None))?;
    if !known {
        return Err(BackendError::NotFound { what: "machine", name: mac.to_string() });
    }
    let mut event = Event::new(EventName::HostMachineForgotten).with("by", by.to_owned());
    event.mac = Some(mac);
    daemon.world.record(event);
    Ok(())
}

/// When one of these machines was seen first and last, as it is shown.
pub(super) fn seen(world: &World, macs: impl Iterator<Item = MacAddr>) -> Option<(String, String)> {
    let times: Vec<_> = macs.filter_map(|mac| world.seen(mac)).collect();
    let first = times.iter().map(|(first, _)| first.0).min()?;
    let last = times.iter().map(|(_, last)| last.0).max()?;
    Some((shown_time(first), shown_time(last)))
}

/// In what the machines of a host differ from its record.
pub(super) fn changes(world: &World, host: &Name) -> Vec<ChangeView> {
    world.differences(host).iter().map(change_view).collect()
}

/// The same of every host that has any.
pub(super) fn all_changes(world: &World) -> BTreeMap<Name, Vec<ChangeView>> {
    let views = |all: Vec<crate::world::Differs>| all.iter().map(change_view).collect();
    world.all_differences().into_iter().map(|(host, all)| (host, views(all))).collect()
}

fn change_view(differs: &crate::world::Differs) -> ChangeView {
    ChangeView {
        mac: differs.mac,
        term: differs.change.term().to_owned(),
        value: differs.change.value(),
        holds: differs.holds,
        since: shown_time(differs.since.0),
    }
}

/// What is wrong with the identity of machines.
pub(super) fn alarms(world: &World) -> Vec<AlarmView> {
    let view = |alarm: Alarm| AlarmView {
        kind: alarm.kind.as_str().to_owned(),
        subject: alarm.subject(),
        fix: fix(&alarm),
        macs: alarm.macs,
        uuids: alarm.guids,
        hosts: alarm.hosts.iter().map(ToString::to_string).collect(),
        detail: alarm.detail,
        holds: alarm.holds,
        since: shown_time(alarm.since),
    };
    world.alarms().into_iter().map(view).collect()
}

fn fix(alarm: &Alarm) -> String {
    let host = alarm.hosts.first().map_or("HOST", |host| host.as_str());
    match alarm.kind {
        AlarmKind::Conflict => {
            format!("take what is not its own from one of the records: reveille host set {host} …")
        }
        AlarmKind::IdentityChanged => format!("if that is right: reveille host accept-change {host}"),
        AlarmKind::UuidDuplicate => {
            "give one of them a GUID of its own; one machine with several cards: reveille host set HOST --mac-add MAC"
                .to_owned()
        }
        AlarmKind::UuidAlternates => "find out who else uses its hardware address; then: reveille machine forget MAC"
            .replace("MAC", &alarm.subject()),
    }
}

fn shown_time(secs: u64) -> String {
    timestamp(secs.saturating_mul(1000))
}

pub(super) fn ignored(daemon: &Daemon) -> Result<ListPage<IgnoredView>, BackendError> {
    let items = daemon.inventory.ignored().map_err(internal)?.into_iter().map(|ignored| IgnoredView {
        octets: shown(&ignored.octets),
        since: timestamp(ignored.since.saturating_mul(1000)),
        by: ignored.by,
    });
    Ok(ListPage { items: items.collect(), next: None, revision: daemon.revision() })
}

pub(super) fn ignore(daemon: &Daemon, octets: &[u8], by: &str, ignore: bool) -> Result<(), BackendError> {
    let _changing = daemon.inventory.change();
    let all = daemon.inventory.ignored().map_err(internal)?;
    let there = all.iter().any(|ignored| ignored.octets == octets);
    let name = shown(octets);
    let batch = match (ignore, there) {
        (true, true) => return Ok(()),
        (false, false) => return Err(BackendError::NotFound { what: "ignored machine", name }),
        (true, false) if all.len() >= IGNORED_MAX => {
            return Err(BackendError::Problem(
                admin::Problem::new(409, "R-MAC-01", "too-many", "too many machines are ignored one by one")
                    .with_fix("ignore their makers by the first three octets"),
            ));
        }
        (true, false) => {
            let record = Ignored { octets: octets.to_vec(), since: unix_now().0, by: by.to_owned() };
            let value = IGNORED.encode(&record).map_err(|error| BackendError::Internal(chain(&error)))?;
            Batch::new().put(Table::Facts, ignored_key(octets), value)
        }
        (false, true) => Batch::new().delete(Table::Facts, ignored_key(octets)),
    };
    daemon
        .store
        .commit_blocking(batch)
        .map_err(|error| super::not_committed(&error, "ignored machine", &name, None))?;
    daemon.replace_catalog()?;
    let event = Event::new(EventName::HostIgnored).with("octets", name).with("by", by.to_owned());
    daemon.world.record(event.with("ignored", ignore));
    Ok(())
}

/// All of these hosts, or none.
pub(super) fn put_hosts(daemon: &Daemon, hosts: Vec<HostWrite>, dry_run: bool) -> Result<u64, BackendError> {
    let _changing = daemon.inventory.change();
    let current: BTreeMap<Name, Owned<Host>> = daemon
        .inventory
        .hosts()
        .map_err(internal)?
        .into_iter()
        .map(|host| (host.resource.name.clone(), host))
        .collect();
    let owned = hosts.iter().filter_map(|write| {
        let host = current.get(&write.host.name).filter(|host| host.owner != API_OWNER)?;
        Some(("host", &host.resource.name, host.owner.as_str()))
    });
    if let Some(problem) = super::apply::owned_elsewhere(owned) {
        return Err(BackendError::Problem(problem));
    }
    if let Some(stale) = stale(&hosts, &current) {
        return Err(stale);
    }
    let mut errors = Vec::new();
    for (at, write) in hosts.iter().enumerate() {
        let name = &write.host.name;
        let detail = match current.get(name) {
            Some(_) if write.new => format!("host `{name}` exists already"),
            _ if write.host.identity.is_empty() => format!("host `{name}` has no mac, uuid or serial"),
            _ => continue,
        };
        errors.push(FieldError { pointer: format!("/{at}"), detail });
    }
    if !errors.is_empty() {
        return Err(BackendError::Invalid { what: "list of hosts", errors });
    }
    let catalog = daemon.inventory.catalog_with(|parts| {
        let names: BTreeSet<&Name> = hosts.iter().map(|write| &write.host.name).collect();
        parts.hosts.retain(|host| !names.contains(&host.name));
        parts.hosts.extend(hosts.iter().map(|write| write.host.clone()));
    });
    let catalog = catalog.map_err(|failure| BackendError::Invalid {
        what: "list of hosts",
        errors: vec![FieldError { pointer: String::new(), detail: failure.cause.unwrap_or(failure.what) }],
    })?;
    for (at, write) in hosts.iter().enumerate() {
        if let Some(group) = write.host.group.as_ref().filter(|group| catalog.group(group).is_none()) {
            let detail = format!("host `{}`: there is no group `{group}`; add it first", write.host.name);
            errors.push(FieldError { pointer: format!("/{at}/host/group"), detail });
        }
    }
    if !errors.is_empty() {
        return Err(BackendError::Invalid { what: "list of hosts", errors });
    }
    let mut batch = Batch::new();
    let mut changed = 0u64;
    for HostWrite { host, .. } in &hosts {
        let before = current.get(&host.name);
        if before.is_some_and(|before| before.resource == *host) {
            continue;
        }
        changed += 1;
        let value = encode_host(host).map_err(|error| BackendError::Internal(chain(&error)))?;
        batch = batch.expect(Table::Hosts, name_key(&host.name), super::precondition(before)).put(
            Table::Hosts,
            name_key(&host.name),
            value,
        );
    }
    if dry_run || changed == 0 {
        return Ok(daemon.revision());
    }
    let revision = daemon
        .store
        .commit_blocking(batch)
        .map_err(|error| super::not_committed(&error, "list", "of hosts", None))?;
    daemon.replace_catalog()?;
    daemon
        .world
        .record(Event::new(EventName::HostChanged).with("hosts", changed).with("revision", revision.0));
    Ok(revision.0)
}

/// The first that would be overwritten though somebody changed it, or removed it, since it was read.
fn stale(hosts: &[HostWrite], current: &BTreeMap<Name, Owned<Host>>) -> Option<BackendError> {
    hosts.iter().find_map(|HostWrite { host, if_revision, .. }| {
        let known = (*if_revision)?;
        let now = current.get(&host.name);
        let revision = now.map(|now| now.revision.0);
        if revision == Some(known) || now.is_some_and(|now| now.resource == *host) {
            return None;
        }
        Some(BackendError::Unexpected { what: "host", name: host.name.to_string(), current: revision })
    })
}

fn shown(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests;
