//! Addresses that somebody uses without having asked us.

use super::Table;
use crate::lease::Client;
use crate::lease::holds::Hold;
use crate::limits::{QUARANTINE_CROWDED, QUARANTINE_SHARE};
use std::net::Ipv4Addr;
use std::time::Duration;
use types::lease::LeaseRecord;
use types::{MacAddr, Now};

/// What an answered probe leads to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Conflicted {
    /// Another machine is there: given to nobody for that time. The record is to be committed.
    Quarantined(LeaseRecord, Duration),
    /// The machine that had the address last is still there: it is kept for that one, as long as a quarantine lasts.
    LastOwner,
}

impl Table {
    /// True when the address should be asked for before it is offered to this client (RFC 2131 §2.2, §3.1): never for an
    /// address that is, or last was, its own; not again while its offer is open.
    pub fn needs_probe(&self, now: Now, client: &Client, address: Ipv4Addr) -> bool {
        self.own_record(client, address).is_none() && !self.holds.is_probed(now.instant, client, address)
    }

    /// Nobody answered at the address. True when it is held still, so that the offer may leave.
    pub fn probed(&mut self, now: Now, address: Ipv4Addr) -> bool {
        self.holds.mark_probed(now.instant, address)
    }

    /// True while the subnet may put another address into quarantine because a client says so.
    pub(super) fn quarantine_has_room(&self) -> bool {
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
        let ours = self.allowed.contains(address) || self.reserved_for.contains_key(&address);
        if !ours || self.live(now, address) {
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
}
