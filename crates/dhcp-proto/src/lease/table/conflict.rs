//! Addresses that somebody uses without having asked us.

use super::{Entry, Phase, Table};
use crate::lease::Client;
use crate::lease::holds::Hold;
use crate::limits::{QUARANTINE_CROWDED, QUARANTINE_SHARE};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use types::lease::{ClientKey, LeaseRecord, LeaseState};
use types::{MacAddr, Now};

/// What an answered probe leads to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Conflicted {
    /// Another machine is there: given to nobody for that time. The record is to be committed.
    Quarantined(LeaseRecord, Duration),
    /// The machine that had the address last is still there: it is kept for that one, as long as a quarantine lasts.
    LastOwner,
}

/// What an accepted DECLINE leads to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Declined {
    /// To be committed.
    pub record: LeaseRecord,
    /// False when the subnet has its share of quarantined addresses already: this one is only put last in line.
    pub quarantined: bool,
}

impl Table {
    /// True when the address should be asked for before it is offered to this client (RFC 2131 §2.2, §3.1): never for an
    /// address that is, or last was, its own; not again while its offer is open.
    pub fn needs_probe(&self, now: Now, client: &Client, address: Ipv4Addr) -> bool {
        self.own_record(client, address).is_none() && !self.holds.is_probed(now.instant, client, address)
    }

    /// Nobody answered at the address. True when it is held still for the client with this hardware address, so that its
    /// offer may leave.
    pub fn probed(&mut self, now: Now, address: Ipv4Addr, client: Option<MacAddr>) -> bool {
        self.holds.mark_probed(now.instant, address, client)
    }

    /// True while the subnet may put another address into quarantine because a client says so.
    fn quarantine_has_room(&self) -> bool {
        self.quarantined < (self.size() / QUARANTINE_SHARE).max(1)
    }

    /// Somebody, with this hardware address when it is known, answers at an address that we were about to offer.
    /// `None` when it is not ours to give, or its owner holds a lease.
    pub fn conflict(
        &mut self,
        now: Now,
        address: Ipv4Addr,
        by: Option<MacAddr>,
        quarantine: Duration,
    ) -> Option<Conflicted> {
        if !self.gives(address) || self.live(now, address) {
            return None;
        }
        self.drop_hold(address);
        let last_owner = self.entries.get(&address).map(|entry| &entry.record);
        if let Some(record) = last_owner.filter(|record| by.is_some() && record.mac == by) {
            let client = Client {
                key: record.key.clone(),
                mac: record.mac,
                guid: None,
                hostname: None,
                relay_info: None,
                recorded: false,
            };
            let (until, lease) = (now.instant + quarantine, self.subnet.lease_times.default);
            let hold = Hold { key: record.key.clone(), mac: by, until, lease, stranger: false, probed: true };
            self.place_hold(address, &client, hold);
            return Some(Conflicted::LastOwner);
        }
        let time = if self.quarantine_has_room() { quarantine } else { quarantine.min(QUARANTINE_CROWDED) };
        self.quarantine(now, address, time).map(|record| Conflicted::Quarantined(record, time))
    }

    /// DECLINE (RFC 2131 §4.3.3): the address goes into quarantine, unless a fifth of the pool is there already, so no
    /// flood of declines can empty a pool. `None` when it is not this client's live lease.
    pub fn decline(
        &mut self,
        now: Now,
        client: &Client,
        address: Ipv4Addr,
        quarantine: Duration,
    ) -> Option<Declined> {
        self.own_record(client, address).filter(|_| self.live(now, address))?;
        if self.quarantine_has_room() {
            return self
                .quarantine(now, address, quarantine)
                .map(|record| Declined { record, quarantined: true });
        }
        let record = self.end(now, address)?;
        self.unindex(&record);
        Some(Declined { record, quarantined: false })
    }

    /// Takes an address out of use for a time, whoever has it: another machine answers there. `None` when it is not
    /// ours to give.
    pub fn quarantine(&mut self, now: Now, address: Ipv4Addr, quarantine: Duration) -> Option<LeaseRecord> {
        if !self.allowed.contains(address) && !self.reserved_for.contains_key(&address) {
            return None;
        }
        self.drop_hold(address);
        let earlier = self.take_entry(address).map(|entry| entry.record);
        self.fresh.take(address);
        let expires = now.unix.saturating_add(quarantine);
        let record = LeaseRecord {
            state: LeaseState::Quarantined,
            expires,
            ..earlier.unwrap_or_else(|| LeaseRecord {
                address,
                subnet: self.subnet.name.clone(),
                key: ClientKey::Hardware { htype: 0, address: Arc::from([]) },
                mac: None,
                guid: None,
                hostname: None,
                state: LeaseState::Quarantined,
                granted: now.unix,
                expires,
                relay_info: None,
            })
        };
        let phase = Phase::Quarantined(now.instant + quarantine);
        self.insert_entry(Entry {
            record: record.clone(),
            phase,
            durable: false,
            safe_until: None,
            last: None,
        });
        Some(record)
    }
}
