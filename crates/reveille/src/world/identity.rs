//! Rounds over the machines that asked for something: who they are, what is wrong with that, what is kept of them.
//!
//! Nothing here is done while a machine waits for its answer: doors only put machines into the queue.

use super::alarms::Alarms;
use super::limits::{ALARM_EVENTS_MAX, LOOKED_AT_ONCE};
use super::sightings::Noticed;
use super::{World, lock, unix_now};
use plan::{Catalog, Change, Standing};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use store::CommitError;
use store::records::{Alarm, AlarmKind};
use types::event::Value;
use types::resource::Name;
use types::{Event, EventName, Facts, MacAddr, UnixTime};

/// A way in which a machine differs from its record.
#[derive(Clone)]
pub(crate) struct Differs {
    pub(crate) mac: MacAddr,
    pub(crate) change: Change,
    /// What erases disks is held back.
    pub(crate) holds: bool,
    pub(crate) since: UnixTime,
}

impl World {
    /// What a machine says now with what is remembered of it, and whether its GUID is to be believed.
    pub(super) fn whole(&self, facts: &Facts) -> Facts {
        let known = facts.mac.and_then(|mac| lock(&self.sightings).trusted(mac));
        let mut whole = facts.clone();
        if let Some(known) = known {
            whole = whole.or(&known);
        }
        self.doubted(whole)
    }

    /// The same facts, with whether their GUID is to be believed.
    pub(crate) fn doubted(&self, mut facts: Facts) -> Facts {
        facts.guid_doubted |= self.doubts.load().doubt(&facts);
        facts
    }

    /// A machine fetched something, or is refused for a conflict; false when that needs not to be told again.
    pub(super) fn note_machine(&self, event: &Event) -> bool {
        let Some(mac) = event.mac else { return true };
        match event.name {
            EventName::HostConflict => {
                let facts = Facts {
                    mac: Some(mac),
                    guid: event.guid,
                    interface: event.interface.clone(),
                    stage: event.stage.unwrap_or_default(),
                    ..Facts::default()
                };
                let now = unix_now();
                // Beside another DHCP server it is not learned of otherwise.
                let known = lock(&self.sightings).by_mac(mac).is_some();
                if !known {
                    lock(&self.sightings).at(now).see(&facts);
                }
                lock(&self.alarms).tells_conflict(mac, now.0)
            }
            EventName::LoaderFetched | EventName::TftpDone | EventName::HttpScript | EventName::HttpFile => {
                if let Some(Value::Text(from)) = event.field("from")
                    && let Ok(from) = from.parse::<IpAddr>()
                {
                    lock(&self.sightings).fetched(mac, from);
                }
                true
            }
            _ => true,
        }
    }

    /// One round. Blocks on the disk.
    pub(super) fn look_at_machines(&self) {
        // Held over the whole: what is forgotten in between must not be written again.
        let mut memory = lock(&self.memory);
        let now = unix_now();
        let catalog = self.catalog.load_full();
        let (touched, noticed) = {
            let mut sightings = lock(&self.sightings);
            let sightings = sightings.at(now);
            (sightings.take_touched(LOOKED_AT_ONCE), sightings.take_noticed())
        };
        let mut alarms = lock(&self.alarms);
        let mut events = Vec::new();
        for noticed in noticed {
            events.extend(self.judge_noticed(&catalog, &mut alarms, noticed, now.0));
        }
        for machine in &touched {
            if let (Some(twin), Some(guid)) =
                (&machine.twin, machine.facts.guid.filter(|guid| !guid.is_nobodys()))
                && let (Some(mac), Some(other)) = (machine.facts.mac, twin.mac)
                && are_two(&catalog, &machine.facts, twin)
            {
                events.extend(alarms.twins(&catalog, guid, [mac, other], now.0));
            }
        }
        let doubts = alarms.doubts();
        let mut due = Vec::new();
        let mut alarmed = alarms.machines();
        for machine in touched {
            let facts = Facts { guid_doubted: doubts.doubt(&machine.facts), ..machine.facts.clone() };
            let standing = catalog.standing(&facts);
            events.extend(alarms.judge(&facts, &standing, now.0));
            let recorded = matches!(standing, Standing::Known { .. });
            if matches!(standing, Standing::Conflict(_) | Standing::Other { .. }) {
                alarmed.extend(facts.mac);
            }
            if recorded || machine.lasting || facts.mac.is_some_and(|mac| alarmed.contains(&mac)) {
                due.push(machine);
            }
        }
        let recall = |mac| lock(&self.sightings).by_mac(mac).cloned();
        events.extend(alarms.review(&catalog, &recall, now.0));
        let doubts = alarms.doubts();
        if **self.doubts.load() != doubts {
            self.doubts.store(Arc::new(doubts));
        }
        let unwritten = alarms.take_unwritten();
        // Doors ask for both of them: no disk is waited for with either.
        drop(alarms);
        let round = memory.write(due, unwritten, &|mac| self.is_known(&catalog, mac));
        lock(&self.alarms).write_again(round.failed_alarms);
        let mut sightings = lock(&self.sightings);
        round.failed.iter().for_each(|mac| sightings.look_again(*mac));
        round.pruned.iter().for_each(|mac| sightings.let_go(*mac));
        drop(sightings);
        drop(memory);
        if !round.pruned.is_empty() {
            let event = Event::new(EventName::HostMemoryFull).with("forgotten", round.pruned.len() as u64);
            events.push(event.with("kept_max", super::limits::UNKNOWN_KEPT_MAX as u64));
        }
        let untold = events.len().saturating_sub(ALARM_EVENTS_MAX) as u64;
        self.untold.fetch_add(untold, Ordering::Relaxed);
        events.truncate(ALARM_EVENTS_MAX);
        events.into_iter().for_each(|event| self.publish(event));
    }

    /// True when the machine with this hardware address is a recorded host, by all that is known of it.
    fn is_known(&self, catalog: &Catalog, mac: MacAddr) -> bool {
        let facts = self.remembered(mac).unwrap_or_else(|| Facts { mac: Some(mac), ..Facts::default() });
        matches!(catalog.standing(&self.doubted(facts)), Standing::Known { .. })
    }

    fn judge_noticed(
        &self,
        catalog: &Catalog,
        alarms: &mut Alarms,
        noticed: Noticed,
        now: u64,
    ) -> Option<Event> {
        let (mac, term, from, to) = match noticed {
            Noticed::Twins(guid, mac, other) => return alarms.twins(catalog, guid, [mac, other], now),
            Noticed::Alternates(mac, one, other) => {
                return alarms.alternates(catalog, mac, [one, other], now);
            }
            Noticed::OtherBoard(mac, guid, earlier) => (mac, "uuid", earlier.to_string(), guid.to_string()),
            Noticed::OtherSerial(mac, serial, earlier) => {
                (mac, "serial", earlier.to_string(), serial.to_string())
            }
        };
        // What the record has is judged with the record; this is for what only the memory knows.
        let host = catalog.host_by_mac(mac)?;
        let recorded = match term {
            "uuid" => host.identity.uuid.is_some(),
            _ => host.identity.serial.is_some(),
        };
        if recorded {
            return None;
        }
        let reason = if term == "uuid" { "board_changed" } else { "serial_changed" };
        let mut event = Event::new(EventName::HostIdentityChanged)
            .host(Some(host.name.shared()))
            .because(reason)
            .with("changes", format!("{term} {to}"))
            .with("was", format!("{term} {from}"))
            .with("holds", false);
        event.mac = Some(mac);
        Some(event)
    }

    /// When a machine was seen first and last.
    pub(crate) fn seen(&self, mac: MacAddr) -> Option<(UnixTime, UnixTime)> {
        lock(&self.sightings).when(mac)
    }

    /// Every alarm that stands.
    pub(crate) fn alarms(&self) -> Vec<Alarm> {
        lock(&self.alarms).all().cloned().collect()
    }

    /// In what the machines of a host differ from its record.
    pub(crate) fn differences(&self, host: &Name) -> Vec<Differs> {
        let about = |alarm: &Alarm| alarm.kind == AlarmKind::IdentityChanged && alarm.hosts.contains(host);
        let alarms: Vec<Alarm> = lock(&self.alarms).all().filter(|alarm| about(alarm)).cloned().collect();
        alarms.iter().flat_map(|alarm| self.differs(alarm)).collect()
    }

    /// In what machines differ from their records, by host; hosts of which none does are not in it.
    pub(crate) fn all_differences(&self) -> BTreeMap<Name, Vec<Differs>> {
        let about = |alarm: &Alarm| alarm.kind == AlarmKind::IdentityChanged;
        let alarms: Vec<Alarm> = lock(&self.alarms).all().filter(|alarm| about(alarm)).cloned().collect();
        let mut all: BTreeMap<Name, Vec<Differs>> = BTreeMap::new();
        for alarm in alarms {
            let differs = self.differs(&alarm);
            for host in alarm.hosts.iter().filter(|_| !differs.is_empty()) {
                all.entry(host.clone()).or_default().extend(differs.iter().cloned());
            }
        }
        all
    }

    /// In what the machine of an alarm differs from its record now.
    fn differs(&self, alarm: &Alarm) -> Vec<Differs> {
        let facts = alarm.macs.first().and_then(|mac| self.remembered(*mac));
        let Some((facts, mac)) = facts.and_then(|facts| facts.mac.map(|mac| (facts, mac))) else {
            return Vec::new();
        };
        let facts = self.doubted(facts);
        let (changes, holds) = match self.catalog.load().standing(&facts) {
            Standing::Known { changes, firm, .. } => (changes, !firm),
            Standing::Other { changes, .. } => (changes, true),
            Standing::Unknown | Standing::Conflict(_) => return Vec::new(),
        };
        let since = UnixTime(alarm.since);
        changes.into_iter().map(|change| Differs { mac, change, holds, since }).collect()
    }

    /// Forgets what is known of a machine, in memory and on the disk; false when nothing was. Blocks on the disk.
    ///
    /// # Errors
    /// When that could not be made durable: then it is remembered yet.
    pub(crate) fn forget_machine(&self, mac: MacAddr) -> Result<bool, CommitError> {
        let mut memory = lock(&self.memory);
        let kept = memory.forget(mac)?;
        let seen = lock(&self.sightings).forget(mac);
        drop(memory);
        // Alarms that were about it are over.
        self.look_at_machines();
        Ok(kept || seen)
    }

    /// What the status shows of machines and alarms.
    pub(crate) fn memory_numbers(&self) -> BTreeMap<String, u64> {
        let catalog = self.catalog.load_full();
        let mut numbers = lock(&self.memory).numbers(&|mac| self.is_known(&catalog, mac));
        let alarms = lock(&self.alarms);
        numbers.insert("alarms".to_owned(), alarms.all().count() as u64);
        numbers.insert("alarms_dropped".to_owned(), alarms.dropped);
        numbers.insert("events_untold".to_owned(), self.untold.load(Ordering::Relaxed));
        numbers.insert("in_memory".to_owned(), lock(&self.sightings).count() as u64);
        numbers
    }
}

/// True when two machines with one GUID are two for certain: their serial numbers differ, or they are recorded as two hosts.
fn are_two(catalog: &Catalog, one: &Facts, other: &Facts) -> bool {
    let serials = match (one.own_serial(), other.own_serial()) {
        (Some(one), Some(other)) => !one.trim().eq_ignore_ascii_case(other.trim()),
        _ => false,
    };
    let host = |facts: &Facts| facts.mac.and_then(|mac| catalog.host_by_mac(mac)).map(|host| &host.name);
    let hosts = match (host(one), host(other)) {
        (Some(one), Some(other)) => one != other,
        _ => false,
    };
    serials || hosts
}

#[cfg(test)]
mod tests;
