//! What is kept of machines beyond a restart, and of the alarms about them. In the store; written in rounds, off the workers.
//!
//! Kept are recorded hosts, machines an alarm is about, and those that did more than ask for an address. Those without a
//! record are bounded: the one seen longest ago goes first. A failed write costs nothing but itself: it comes again with
//! the next round.

use super::limits::{SEEN_WRITTEN_EVERY, UNKNOWN_KEPT_MAX, UNKNOWN_PRUNED_AT_ONCE, WRITTEN_AT_ONCE};
use super::sightings::Touched;
use crate::failure::{Failure, chain};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use store::records::{
    ALARM, Alarm, Machine, decode_machine, encode_machine, is_alarm_key, machine_key, machine_mac,
};
use store::{Batch, CommitError, Store, Table};
use types::MacAddr;

/// Records read at once.
const SCAN_STEP: usize = 1_000;

/// Counters of what is kept.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) written: AtomicU64,
    pub(super) write_failed: AtomicU64,
    pub(super) pruned: AtomicU64,
}

/// The machines on the disk.
pub(crate) struct Memory {
    /// `None` in tests: nothing is durable then.
    store: Option<Store>,
    /// When each was seen last, as the disk has it. Who is recorded is asked of the catalog when it matters: it changes.
    kept: HashMap<MacAddr, u64>,
    pub(super) counts: Counts,
}

/// What the store has of machines.
pub(crate) struct Loaded {
    pub(crate) memory: Memory,
    pub(crate) machines: Vec<Machine>,
    pub(crate) alarms: Vec<Alarm>,
}

/// Whether a machine is a recorded host.
pub(super) type IsRecorded<'a> = &'a dyn Fn(MacAddr) -> bool;

/// What a round left behind.
#[derive(Default)]
pub(super) struct Round {
    /// Machines whose record could not be written.
    pub(super) failed: Vec<MacAddr>,
    /// Machines that are kept no longer.
    pub(super) pruned: Vec<MacAddr>,
    /// Alarms that could not be written, by their keys.
    pub(super) failed_alarms: Vec<Vec<u8>>,
}

impl Memory {
    /// Nothing of it is written.
    pub(crate) fn in_memory() -> Memory {
        Memory { store: None, kept: HashMap::new(), counts: Counts::default() }
    }

    /// Everything the store has. A record that cannot be read is told of and left; the machine is asked anew.
    pub(crate) fn load(store: Store) -> Result<Loaded, Failure> {
        let (mut machines, mut alarms, mut unreadable) = (Vec::new(), Vec::new(), 0u64);
        let mut after: Option<Vec<u8>> = None;
        loop {
            let step = store.scan(Table::Facts, after.as_deref(), SCAN_STEP).map_err(|error| {
                Failure::new("R-STO-01", "cannot read facts from the store").cause(chain(&error))
            })?;
            let last = step.len() < SCAN_STEP;
            after = step.last().map(|(key, _)| key.clone());
            for (key, stored) in step {
                let fault = if machine_mac(&key).is_some() {
                    decode_machine(&stored.value).map(|machine| machines.push(machine)).err()
                } else if is_alarm_key(&key) {
                    ALARM.decode::<Alarm>(&stored.value).map(|alarm| alarms.push(alarm)).err()
                } else {
                    None
                };
                if let Some(fault) = fault {
                    unreadable += 1;
                    tracing::debug!(key = %String::from_utf8_lossy(&key), cause = chain(&fault), "a record of a machine cannot be read");
                }
            }
            if last {
                break;
            }
        }
        if unreadable > 0 {
            tracing::warn!(
                records = unreadable,
                "what is remembered of some machines cannot be read; they are asked anew: reveille store verify"
            );
        }
        let kept = machines.iter().filter_map(|machine| Some((machine.facts.mac?, machine.last_seen.0)));
        let memory = Memory { kept: kept.collect(), store: Some(store), counts: Counts::default() };
        Ok(Loaded { memory, machines, alarms })
    }

    /// Writes those machines of which something changed, or that were seen a while after the disk says, and the alarms; when too
    /// many are kept, those go that `recorded` does not know. Blocks on the disk.
    pub(super) fn write(
        &mut self,
        due: Vec<Touched>,
        unwritten: Vec<(Vec<u8>, Option<Alarm>)>,
        recorded: IsRecorded<'_>,
    ) -> Round {
        let mut round = Round::default();
        let Some(store) = self.store.clone() else { return round };
        let wanted: Vec<Touched> = due.into_iter().filter(|machine| self.is_due(machine)).collect();
        for some in wanted.chunks(WRITTEN_AT_ONCE) {
            let mut batch = Batch::new();
            let mut written = Vec::with_capacity(some.len());
            for machine in some {
                let Some(mac) = machine.facts.mac else { continue };
                let kept = Machine {
                    facts: machine.facts.clone(),
                    first_seen: machine.first,
                    last_seen: machine.last,
                };
                match encode_machine(&kept) {
                    Ok(value) => {
                        batch = batch.put(Table::Facts, machine_key(mac), value);
                        written.push((mac, machine.last.0));
                    }
                    Err(error) => {
                        tracing::error!(%mac, cause = chain(&error), "what is known of it has no stored form")
                    }
                }
            }
            match store.commit_blocking(batch) {
                Ok(_) => {
                    self.counts.written.fetch_add(written.len() as u64, Ordering::Relaxed);
                    self.kept.extend(written);
                }
                Err(error) => {
                    self.failed(&error, some.len());
                    round.failed.extend(written.into_iter().map(|(mac, _)| mac));
                }
            }
        }
        if !unwritten.is_empty() {
            let mut batch = Batch::new();
            for (key, alarm) in &unwritten {
                match alarm.as_ref().map(|alarm| ALARM.encode(alarm)) {
                    Some(Ok(value)) => batch = batch.put(Table::Facts, key.clone(), value),
                    Some(Err(error)) => tracing::error!(cause = chain(&error), "an alarm has no stored form"),
                    None => batch = batch.delete(Table::Facts, key.clone()),
                }
            }
            if let Err(error) = store.commit_blocking(batch) {
                self.failed(&error, unwritten.len());
                round.failed_alarms = unwritten.into_iter().map(|(key, _)| key).collect();
            }
        }
        round.pruned = self.prune(&store, recorded);
        round
    }

    fn is_due(&self, machine: &Touched) -> bool {
        let kept = machine.facts.mac.and_then(|mac| self.kept.get(&mac));
        kept.is_none_or(|last| machine.changed || machine.last.0.saturating_sub(*last) >= SEEN_WRITTEN_EVERY)
    }

    /// Takes the oldest unknown machines off the disk when there are too many.
    fn prune(&mut self, store: &Store, recorded: IsRecorded<'_>) -> Vec<MacAddr> {
        if self.kept.len() <= UNKNOWN_KEPT_MAX {
            return Vec::new();
        }
        let unknown = self.kept.iter().filter(|(mac, _)| !recorded(**mac));
        let mut by_age: Vec<(u64, MacAddr)> = unknown.map(|(mac, last)| (*last, *mac)).collect();
        if by_age.len() <= UNKNOWN_KEPT_MAX {
            return Vec::new();
        }
        by_age.sort_unstable();
        by_age.truncate(by_age.len() - UNKNOWN_KEPT_MAX + UNKNOWN_PRUNED_AT_ONCE);
        let macs: Vec<MacAddr> = by_age.into_iter().map(|(_, mac)| mac).collect();
        let batch =
            macs.iter().fold(Batch::new(), |batch, mac| batch.delete(Table::Facts, machine_key(*mac)));
        if let Err(error) = store.commit_blocking(batch) {
            self.failed(&error, macs.len());
            return Vec::new();
        }
        for mac in &macs {
            self.kept.remove(mac);
        }
        self.counts.pruned.fetch_add(macs.len() as u64, Ordering::Relaxed);
        macs
    }

    /// Takes one machine off the disk; true when it was there. Blocks on the disk.
    pub(super) fn forget(&mut self, mac: MacAddr) -> Result<bool, CommitError> {
        let there = self.kept.contains_key(&mac);
        if let (true, Some(store)) = (there, &self.store) {
            store.commit_blocking(Batch::new().delete(Table::Facts, machine_key(mac)))?;
        }
        self.kept.remove(&mac);
        Ok(there)
    }

    fn failed(&self, error: &CommitError, records: usize) {
        self.counts.write_failed.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(cause = chain(error), records, "what is known of machines is not durable yet");
    }

    /// What the status shows.
    pub(super) fn numbers(&self, recorded: IsRecorded<'_>) -> BTreeMap<String, u64> {
        let unknown = self.kept.keys().filter(|mac| !recorded(**mac)).count();
        [
            ("kept", self.kept.len() as u64),
            ("kept_unknown", unknown as u64),
            ("kept_unknown_max", UNKNOWN_KEPT_MAX as u64),
            ("written", self.counts.written.load(Ordering::Relaxed)),
            ("write_failed", self.counts.write_failed.load(Ordering::Relaxed)),
            ("pruned", self.counts.pruned.load(Ordering::Relaxed)),
        ]
        .map(|(name, count)| (name.to_owned(), count))
        .into()
    }
}
