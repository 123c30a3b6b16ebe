//! What is wrong with the identity of machines, as long as it is: conflicts, changes, GUIDs of several machines.
//!
//! An alarm is raised once, stands until what it tells of is no more, and is kept beyond a restart: what was told is not told
//! again. While several machines carry a GUID, or one alternates between two, that GUID counts nothing ([`Doubts`]).

use super::limits::{ALARM_MACHINES_MAX, ALARMS_MAX, CONFLICT_REPEAT, CONFLICTS_TOLD_MAX, SETTLED_SECS};
use super::twins::either_order;
use plan::{Catalog, Change, Standing};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use store::records::{Alarm, AlarmKind};
use types::resource::Name;
use types::{Event, EventName, Facts, MacAddr, MachineGuid};

/// Keys of table facts.
type Key = Vec<u8>;

#[derive(Clone)]
struct Entry {
    alarm: Alarm,
    /// When it was found last.
    last: u64,
}

/// GUIDs that count nothing.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Doubts {
    guids: HashSet<MachineGuid>,
    macs: HashSet<MacAddr>,
}

impl Doubts {
    /// True when the GUID a machine says is not to be believed.
    pub(super) fn doubt(&self, facts: &Facts) -> bool {
        facts.guid.is_some_and(|guid| self.guids.contains(&either_order(guid)))
            || facts.mac.is_some_and(|mac| self.macs.contains(&mac))
    }
}

/// Every alarm that stands.
#[derive(Clone, Default)]
pub(super) struct Alarms {
    standing: BTreeMap<Key, Entry>,
    /// Alarms that are not on the disk as they are here.
    unwritten: BTreeSet<Key>,
    /// Alarms that could not be raised, for so many stand.
    pub(super) dropped: u64,
    told: HashMap<MacAddr, u64>,
}

/// What the memory says of a machine: its facts, without doubt.
pub(super) type Recall<'a> = &'a dyn Fn(MacAddr) -> Option<Facts>;

impl Alarms {
    /// The alarms that were kept.
    pub(super) fn of(kept: Vec<Alarm>, now: u64) -> Alarms {
        let entries = kept.into_iter().map(|alarm| (alarm.key(), Entry { alarm, last: now }));
        Alarms { standing: entries.collect(), ..Alarms::default() }
    }

    /// The same alarms, of which nobody has been told.
    pub(super) fn untold(&self) -> Alarms {
        Alarms { told: HashMap::new(), ..self.clone() }
    }

    /// Every one, by its kind and subject.
    pub(super) fn all(&self) -> impl Iterator<Item = &Alarm> {
        self.standing.values().map(|entry| &entry.alarm)
    }

    /// The machines they are about.
    pub(super) fn machines(&self) -> HashSet<MacAddr> {
        self.all().flat_map(|alarm| alarm.macs.iter().copied()).collect()
    }

    /// True when the conflict of a machine is to be told now; again after an hour.
    pub(super) fn tells_conflict(&mut self, mac: MacAddr, now: u64) -> bool {
        if self.told.get(&mac).is_some_and(|told| now.saturating_sub(*told) < CONFLICT_REPEAT.as_secs()) {
            return false;
        }
        if self.told.len() >= CONFLICTS_TOLD_MAX {
            self.told.clear();
        }
        self.told.insert(mac, now);
        true
    }

    /// What its standing says of a machine; the events of what is new in it.
    pub(super) fn judge(&mut self, facts: &Facts, standing: &Standing, now: u64) -> Vec<Event> {
        let Some(mac) = facts.mac else { return Vec::new() };
        let alarm = |kind, hosts, detail, holds| Alarm {
            kind,
            macs: vec![mac],
            guids: Vec::new(),
            hosts,
            detail,
            holds,
            since: now,
        };
        match standing {
            Standing::Conflict(claims) => {
                let mut hosts: Vec<Name> = claims.iter().map(|(host, _)| host.name.clone()).collect();
                hosts.sort();
                hosts.dedup();
                let claims: Vec<String> =
                    claims.iter().map(|(host, term)| format!("{term} is host {}", host.name)).collect();
                // The event is the one of the packet, which says more.
                self.raise(alarm(AlarmKind::Conflict, hosts, claims.join(", "), true), now);
                Vec::new()
            }
            Standing::Known { host, changes, firm, .. } if !changes.is_empty() => {
                let raised = alarm(
                    AlarmKind::IdentityChanged,
                    vec![host.name.clone()],
                    format!("{} not recorded", listed(changes)),
                    !firm,
                );
                let fresh = self.raise(raised, now);
                fresh.then(|| changed(facts, &host.name, changes, !firm)).into_iter().collect()
            }
            Standing::Other { host, evidence, changes } => {
                let has: Vec<String> = evidence.iter().map(ToString::to_string).collect();
                let has = has.join(" and ");
                let detail = format!("another machine by {} has its {has}", listed(changes));
                let raised = alarm(AlarmKind::IdentityChanged, vec![host.name.clone()], detail, true);
                let event =
                    || changed(facts, &host.name, changes, true).because("other_machine").with("has", has);
                self.raise(raised, now).then(event).into_iter().collect()
            }
            Standing::Known { .. } | Standing::Unknown => Vec::new(),
        }
    }

    /// These two carry one GUID.
    pub(super) fn twins(
        &mut self,
        catalog: &Catalog,
        guid: MachineGuid,
        [mac, other]: [MacAddr; 2],
        now: u64,
    ) -> Option<Event> {
        let recorded = |mac| catalog.host_by_mac(mac).map(|host| host.name.clone());
        if recorded(mac).is_some() && recorded(mac) == recorded(other) {
            return None;
        }
        let mut alarm = Alarm {
            kind: AlarmKind::UuidDuplicate,
            macs: vec![other, mac],
            guids: vec![guid],
            hosts: Vec::new(),
            detail: String::new(),
            holds: true,
            since: now,
        };
        if let Some(known) = self.standing.get(&alarm.key()) {
            let macs = known.alarm.macs.iter().copied().filter(|known| *known != mac && *known != other);
            alarm.macs.extend(macs);
        }
        alarm.macs.sort();
        alarm.macs.truncate(ALARM_MACHINES_MAX);
        let by_guid = catalog.host_by_guid(guid).map(|host| host.name.clone());
        alarm.hosts = alarm.macs.iter().filter_map(|mac| recorded(*mac)).chain(by_guid).collect();
        alarm.hosts.sort();
        alarm.hosts.dedup();
        let macs: Vec<String> = alarm.macs.iter().map(ToString::to_string).collect();
        let macs = macs.join(", ");
        alarm.detail = format!("carried by {macs}; it counts nothing");
        let host = alarm.hosts.first().map(Name::shared);
        if !self.raise(alarm, now) {
            return None;
        }
        let mut event = Event::new(EventName::HostUuidDuplicate).host(host).with("macs", macs);
        (event.mac, event.guid) = (Some(mac), Some(guid));
        Some(event)
    }

    /// This one comes with several GUIDs in turn.
    pub(super) fn alternates(
        &mut self,
        catalog: &Catalog,
        mac: MacAddr,
        [one, other]: [MachineGuid; 2],
        now: u64,
    ) -> Option<Event> {
        let host = catalog.host_by_mac(mac).map(|host| host.name.clone());
        let mut guids = vec![one, other];
        guids.sort();
        let shown: Vec<String> = guids.iter().map(ToString::to_string).collect();
        let detail = format!("comes with uuid {} in turn; neither counts", shown.join(" and "));
        let alarm = Alarm {
            kind: AlarmKind::UuidAlternates,
            macs: vec![mac],
            guids,
            hosts: host.iter().cloned().collect(),
            detail: detail.clone(),
            holds: true,
            since: now,
        };
        if !self.raise(alarm, now) {
            return None;
        }
        let mut event = Event::new(EventName::HostUuidAlternates)
            .host(host.as_ref().map(Name::shared))
            .with("cause", detail);
        event.mac = Some(mac);
        Some(event)
    }

    /// Takes back what is so no more; the events of it.
    pub(super) fn review(&mut self, catalog: &Catalog, recall: Recall<'_>, now: u64) -> Vec<Event> {
        let doubts = self.doubts();
        let holds = |entry: &Entry| {
            let alarm = &entry.alarm;
            let known = || {
                let facts = recall(*alarm.macs.first()?)?;
                Some(Facts { guid_doubted: doubts.doubt(&facts), ..facts })
            };
            match alarm.kind {
                AlarmKind::Conflict => {
                    known().is_some_and(|facts| matches!(catalog.standing(&facts), Standing::Conflict(_)))
                }
                AlarmKind::IdentityChanged => known().is_some_and(|facts| match catalog.standing(&facts) {
                    Standing::Known { changes, .. } => !changes.is_empty(),
                    Standing::Other { .. } => true,
                    Standing::Unknown | Standing::Conflict(_) => false,
                }),
                AlarmKind::UuidDuplicate => {
                    let carries = |mac: &&MacAddr| {
                        let guid = recall(**mac).and_then(|facts| facts.guid).map(either_order);
                        guid.is_some() && guid == alarm.guids.first().copied().map(either_order)
                    };
                    let carriers: Vec<&MacAddr> = alarm.macs.iter().filter(carries).collect();
                    let hosts: Vec<_> = carriers
                        .iter()
                        .map(|mac| catalog.host_by_mac(**mac).map(|host| host.name.clone()))
                        .collect();
                    // An operator says that they are one machine.
                    let one = hosts
                        .first()
                        .is_some_and(|first| first.is_some() && hosts.iter().all(|host| host == first));
                    carriers.len() > 1 && !one
                }
                AlarmKind::UuidAlternates => {
                    now.saturating_sub(entry.last) < SETTLED_SECS
                        && alarm.macs.first().is_some_and(|mac| recall(*mac).is_some())
                }
            }
        };
        let over: Vec<Key> =
            self.standing.iter().filter(|(_, entry)| !holds(entry)).map(|(key, _)| key.clone()).collect();
        let mut events = Vec::new();
        for key in over {
            let Some(Entry { alarm, .. }) = self.standing.remove(&key) else { continue };
            self.unwritten.insert(key);
            if let Some(mac) = alarm.macs.first() {
                self.told.remove(mac);
            }
            let mut event = Event::new(EventName::HostIdentitySettled)
                .because(alarm.kind.as_str())
                .host(alarm.hosts.first().map(Name::shared))
                .with("was", alarm.detail.clone());
            event.mac = alarm.macs.first().copied();
            event.guid = alarm.guids.first().copied();
            events.push(event);
        }
        events
    }

    /// GUIDs that count nothing now.
    pub(super) fn doubts(&self) -> Doubts {
        let mut doubts = Doubts::default();
        for alarm in self.all() {
            match alarm.kind {
                AlarmKind::UuidDuplicate => {
                    doubts.guids.extend(alarm.guids.iter().copied().map(either_order));
                }
                AlarmKind::UuidAlternates => doubts.macs.extend(alarm.macs.iter().copied()),
                AlarmKind::Conflict | AlarmKind::IdentityChanged => {}
            }
        }
        doubts
    }

    /// What has to be written, `None` to be removed.
    pub(super) fn take_unwritten(&mut self) -> Vec<(Key, Option<Alarm>)> {
        let keys = std::mem::take(&mut self.unwritten);
        keys.into_iter()
            .map(|key| {
                let alarm = self.standing.get(&key).map(|entry| entry.alarm.clone());
                (key, alarm)
            })
            .collect()
    }

    /// It could not be.
    pub(super) fn write_again(&mut self, keys: impl IntoIterator<Item = Key>) {
        self.unwritten.extend(keys);
    }

    /// True when it says something new.
    fn raise(&mut self, alarm: Alarm, now: u64) -> bool {
        let key = alarm.key();
        if let Some(known) = self.standing.get_mut(&key) {
            known.last = now;
            let same = known.alarm.detail == alarm.detail && known.alarm.hosts == alarm.hosts;
            if !same || known.alarm.holds != alarm.holds {
                known.alarm = Alarm { since: known.alarm.since, ..alarm };
                self.unwritten.insert(key);
            }
            return !same;
        }
        if self.standing.len() >= ALARMS_MAX {
            self.dropped = self.dropped.saturating_add(1);
            return false;
        }
        self.unwritten.insert(key.clone());
        self.standing.insert(key, Entry { alarm, last: now });
        true
    }
}

/// `uuid … and mac …`
fn listed(changes: &[Change]) -> String {
    changes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}

fn changed(facts: &Facts, host: &Name, changes: &[Change], holds: bool) -> Event {
    let reason = match changes {
        [Change::Mac(_)] => "nic_changed",
        [Change::Guid(_)] => "board_changed",
        [Change::Serial(_)] => "serial_changed",
        _ => "several_changed",
    };
    let event = Event::new(EventName::HostIdentityChanged).of(facts).host(Some(host.shared()));
    event
        .because(reason)
        .with("changes", listed(changes))
        .with("holds", holds)
        .with("fix", format!("reveille host accept-change {host}"))
}
