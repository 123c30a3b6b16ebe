//! The leases of one subnet.
//!
//! Every operation is O(log n): addresses and identities are hash maps, deadlines and the order of reuse are ordered
//! sets, free addresses are ranges. What is kept is bounded by the number of addresses.

use super::Client;
use super::holds::{Hold, Holds};
use super::pool::Pool;
use crate::limits::{FLOOR_SIZE, FREE_FLOOR_SHARE, HOLD_FLOOR_SHARE, LEASE_GRACE, REPEAT_WINDOW, SWEEP_MAX};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use types::lease::{ClientKey, LeaseRecord, LeaseState};
use types::subnet::Subnet;
use types::{MacAddr, Now, UnixTime};

/// A lease time without end: option 51 = 0xffff_ffff (RFC 2131 §3.3).
pub const INFINITE: Duration = Duration::from_secs(u32::MAX as u64);

mod clock;
mod conflict;
mod moving;
pub use conflict::{Conflicted, Declined};
pub use moving::Moving;

/// Leases, offers and quarantine of one subnet.
#[derive(Debug)]
pub struct Table {
    subnet: Arc<Subnet>,
    /// Addresses the pools may give to anybody.
    allowed: Pool,
    /// Of those, the ones without entry and without hold.
    fresh: Pool,
    /// Our own addresses, learned from arrivals.
    own: HashSet<Ipv4Addr>,
    entries: HashMap<Ipv4Addr, Entry>,
    by_key: HashMap<ClientKey, Ipv4Addr>,
    by_mac: HashMap<MacAddr, Ipv4Addr>,
    /// Ends of bound and quarantined entries.
    due: BTreeSet<(Instant, Ipv4Addr)>,
    /// Ended entries of pool addresses without a hold, least recently ended first.
    past: BTreeSet<(UnixTime, Ipv4Addr)>,
    holds: Holds,
    quarantined: u64,
    reserved_for: HashMap<Ipv4Addr, MacAddr>,
    reservation: HashMap<MacAddr, usize>,
}

#[derive(Debug)]
struct Entry {
    record: LeaseRecord,
    phase: Phase,
    /// True when the store has this record.
    durable: bool,
    /// End of the last record of this lease the store has, when that is an older one.
    safe_until: Option<Instant>,
    /// The last ACK, to answer a repeated REQUEST alike.
    last: Option<LastAck>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Bound; `None` never ends.
    Live(Option<Instant>),
    /// Ended or given back at that wall time; free for others.
    Past(UnixTime),
    /// Given to nobody until then.
    Quarantined(Instant),
}

#[derive(Clone, Copy, Debug)]
struct LastAck {
    xid: u32,
    at: Instant,
    lease: Duration,
}

/// Why no address is offered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// Every address is bound, held or quarantined.
    Exhausted,
    /// Too many offers to unknown machines are open; the rest is kept for known ones.
    TooManyOffers,
    /// Few addresses are free; those are kept for known machines.
    FloorKept,
    /// The address reserved for this machine is still somebody else's.
    ReservationBusy,
}

/// What [`Table::bind`] did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bound {
    /// Lease time to put into the ACK.
    pub lease: Duration,
    /// Records that must be durable before the ACK leaves; empty for a repeated REQUEST whose record is.
    pub commit: Vec<LeaseRecord>,
}

impl Table {
    /// An empty table.
    pub fn new(subnet: Arc<Subnet>) -> Table {
        let allowed = Pool::of(&subnet);
        let pairs = || subnet.reservations.iter().enumerate();
        Table {
            fresh: allowed.clone(),
            allowed,
            own: HashSet::new(),
            entries: HashMap::new(),
            by_key: HashMap::new(),
            by_mac: HashMap::new(),
            due: BTreeSet::new(),
            past: BTreeSet::new(),
            holds: Holds::default(),
            quarantined: 0,
            reserved_for: pairs().map(|(_, reservation)| (reservation.address, reservation.mac)).collect(),
            reservation: pairs().map(|(at, reservation)| (reservation.mac, at)).collect(),
            subnet,
        }
    }

    /// The subnet as configured.
    pub fn subnet(&self) -> &Arc<Subnet> {
        &self.subnet
    }

    /// Pool addresses that could be offered now.
    pub fn free(&self) -> u64 {
        self.fresh.count() + u64::try_from(self.past.len()).unwrap_or(u64::MAX)
    }

    /// Pool addresses in all.
    pub fn size(&self) -> u64 {
        self.allowed.count()
    }

    /// Offers open now.
    pub fn holds(&self) -> usize {
        self.holds.len()
    }

    /// Every record, in no order: bound, remembered and quarantined.
    pub fn records(&self) -> impl Iterator<Item = &LeaseRecord> {
        self.entries.values().map(|entry| &entry.record)
    }

    /// The reservation of a machine.
    pub fn reservation(&self, mac: Option<MacAddr>) -> Option<&types::subnet::Reservation> {
        self.reservation.get(&mac?).and_then(|&at| self.subnet.reservations.get(at))
    }

    /// Takes over what the store holds; the address is in this subnet.
    ///
    /// The remaining time is counted from `now` on the monotonic clock and never longer than a fresh lease would be, so a
    /// machine that starts with a wrong clock keeps addresses a little too long rather than giving them twice.
    pub fn load(&mut self, now: Now, record: LeaseRecord) {
        self.remove_entry(record.address);
        let infinite = record.expires == UnixTime(u64::MAX);
        let left = record.expires.saturating_add(LEASE_GRACE).saturating_since(now.unix);
        let phase = match record.state {
            LeaseState::Bound if infinite => Phase::Live(None),
            LeaseState::Bound if !left.is_zero() => {
                let longest = self.subnet.lease_times.max.max(self.subnet.lease_times.default);
                let longest = longest.saturating_add(LEASE_GRACE);
                Phase::Live(now.instant.checked_add(left.min(longest)))
            }
            LeaseState::Bound | LeaseState::Released => Phase::Past(record.expires),
            LeaseState::Quarantined => {
                let left = record.expires.saturating_since(now.unix).min(crate::limits::QUARANTINE_MAX);
                if left.is_zero() {
                    self.refill(record.address);
                    return;
                }
                Phase::Quarantined(now.instant + left)
            }
        };
        self.insert_entry(Entry { record, phase, durable: true, safe_until: None, last: None });
    }

    /// Says that an address is our own: it is never given.
    pub fn forbid(&mut self, address: Ipv4Addr) {
        if self.subnet.network.contains(&address) && self.own.insert(address) {
            self.allowed.take(address);
            self.fresh.take(address);
            if let Some(Entry { phase: Phase::Past(ended), .. }) = self.entries.get(&address) {
                self.past.remove(&(*ended, address));
            }
        }
    }

    /// Ends holds, leases and quarantines whose time is over, at most `max` of each kind. Returns how many leases ended.
    pub fn sweep(&mut self, now: Now, max: usize) -> usize {
        for _ in 0..max {
            let Some(address) = self.holds.lapsed(now.instant) else { break };
            self.drop_hold(address);
        }
        let mut ended = 0;
        for _ in 0..max {
            let Some(&(_, address)) = self.due.first().filter(|(end, _)| *end <= now.instant) else { break };
            let Some(mut entry) = self.take_entry(address) else { break };
            match entry.phase {
                Phase::Live(_) => {
                    ended += 1;
                    entry.phase = Phase::Past(entry.record.expires);
                    self.insert_entry(entry);
                }
                Phase::Quarantined(_) | Phase::Past(_) => self.refill(address),
            }
        }
        ended
    }

    /// Chooses an address for a DISCOVER and holds it until `hold` is over (RFC 2131 §4.3.1): the reservation, the
    /// current binding, an open offer, the last binding if still free, the address asked for if free, any free address,
    /// the least recently used one. `lease` is what the OFFER will say and the ACK must keep.
    ///
    /// # Errors
    /// When there is no address for this client now.
    pub fn offer(
        &mut self,
        now: Now,
        client: &Client,
        wanted: Option<Ipv4Addr>,
        lease: Duration,
        hold: Duration,
    ) -> Result<Ipv4Addr, Refusal> {
        self.sweep(now, SWEEP_MAX);
        let known = self.knows(client);
        let address = if let Some(reservation) = self.reservation(client.mac) {
            let address = reservation.address;
            self.usable(now, client, address).then_some(address).ok_or(Refusal::ReservationBusy)?
        } else {
            let live = |address: &Ipv4Addr| self.live(now, *address);
            let found = self
                .candidates(client)
                .filter(live)
                .chain(self.held(now, client))
                .chain(self.candidates(client))
                .chain(wanted)
                .find(|&address| self.usable(now, client, address));
            found.or_else(|| self.any_free()).ok_or(Refusal::Exhausted)?
        };
        if !known && self.held(now, client).is_none() {
            if self.strangers_full() {
                return Err(Refusal::TooManyOffers);
            }
            if self.floor_reached() {
                return Err(Refusal::FloorKept);
            }
        }
        let probed = self.holds.is_probed(now.instant, client, address);
        let until = now.instant + hold;
        let hold = Hold { key: client.key.clone(), mac: client.mac, until, lease, stranger: !known, probed };
        self.place_hold(address, client, hold);
        Ok(address)
    }

    /// The address offered to this client and not yet requested, with the lease time offered.
    pub fn held(&self, now: Now, client: &Client) -> Option<Ipv4Addr> {
        self.holds.open(now.instant, client).map(|(address, _)| address)
    }

    /// The lease time offered to this client.
    pub fn held_lease(&self, now: Now, client: &Client) -> Option<Duration> {
        self.holds.open(now.instant, client).map(|(_, hold)| hold.lease)
    }

    /// Forgets the offer to a client: it took another server's. True when there was one.
    pub fn forget_offer(&mut self, client: &Client) -> bool {
        let own: Vec<Ipv4Addr> = self.holds.of(client).collect();
        own.iter().for_each(|&address| self.drop_hold(address));
        !own.is_empty()
    }

    /// True when the client may have the address now: it is its reservation or a pool address, not ours, not
    /// quarantined, not held for and not bound to another machine.
    pub fn usable(&self, now: Now, client: &Client, address: Ipv4Addr) -> bool {
        let held_by_other = self.holds.blocks(now.instant, client, address);
        let taken = self.entries.get(&address).is_some_and(|entry| match entry.phase {
            Phase::Live(_) => self.live(now, address) && !client.is_machine_of(&entry.record),
            Phase::Quarantined(until) => until > now.instant,
            Phase::Past(_) => false,
        });
        self.permitted(client, address) && !held_by_other && !taken
    }

    /// True when configuration lets this client have this address at all.
    pub fn permitted(&self, client: &Client, address: Ipv4Addr) -> bool {
        if self.own.contains(&address) {
            return false;
        }
        match self.reservation(client.mac) {
            Some(reservation) => reservation.address == address,
            None => self.allowed.contains(address),
        }
    }

    /// The record of this address when it is, or last was, this machine's.
    pub fn own_record(&self, client: &Client, address: Ipv4Addr) -> Option<&LeaseRecord> {
        let entry = self.entries.get(&address)?;
        let counts = !matches!(entry.phase, Phase::Quarantined(_)) && client.is_machine_of(&entry.record);
        counts.then_some(&entry.record)
    }

    /// True when we have a lease, a remembered lease, a reservation or a host record of this machine.
    pub fn knows(&self, client: &Client) -> bool {
        client.recorded || self.has_history(client)
    }

    /// True when we have a lease, a remembered lease or a reservation for this machine.
    pub fn has_history(&self, client: &Client) -> bool {
        self.reservation(client.mac).is_some() || self.candidates(client).next().is_some()
    }

    /// True when the address is bound to this machine now.
    pub fn own_live(&self, now: Now, client: &Client, address: Ipv4Addr) -> bool {
        self.live(now, address) && self.own_record(client, address).is_some()
    }

    /// True when this machine has a lease here that the store knows of.
    pub fn has_durable_lease(&self, now: Now, client: &Client) -> bool {
        self.candidates(client).any(|address| self.durable_left(now, client, address).is_some())
    }

    /// True when the address is one that we give to anybody at all.
    pub fn gives(&self, address: Ipv4Addr) -> bool {
        self.allowed.contains(address) || self.reserved_for.contains_key(&address)
    }

    /// The record of whoever has the address bound now.
    pub fn owner(&self, now: Now, address: Ipv4Addr) -> Option<&LeaseRecord> {
        self.entries.get(&address).filter(|_| self.live(now, address)).map(|entry| &entry.record)
    }

    /// Binds the address to the client. The caller has checked [`usable`](Self::usable).
    ///
    /// A REQUEST repeated within [`REPEAT_WINDOW`] (same transaction) changes nothing. Any other one extends the lease and
    /// is committed. Other addresses of the same machine in this subnet are given back: it has just taken a new one.
    pub fn bind(&mut self, now: Now, client: &Client, address: Ipv4Addr, lease: Duration, xid: u32) -> Bound {
        if let Some(entry) = self.entries.get(&address)
            && let (Phase::Live(_), Some(last)) = (entry.phase, entry.last)
            && entry.record.key == client.key
            && last.xid == xid
            && now.instant.saturating_duration_since(last.at) < REPEAT_WINDOW
        {
            let commit = if entry.durable { Vec::new() } else { vec![entry.record.clone()] };
            return Bound { lease: last.lease, commit };
        }
        self.forget_offer(client);
        let mut commit = Vec::new();
        let others: Vec<Ipv4Addr> = self.candidates(client).filter(|&other| other != address).collect();
        for other in others {
            commit.extend(self.end(now, other));
        }
        let safe_until = self.safe_until(client, address);
        let earlier = self.take_entry(address);
        let granted = earlier
            .as_ref()
            .filter(|entry| matches!(entry.phase, Phase::Live(_)) && client.is_machine_of(&entry.record))
            .map_or(now.unix, |entry| entry.record.granted);
        self.fresh.take(address);
        let infinite = lease >= INFINITE;
        let record = LeaseRecord {
            address,
            subnet: self.subnet.name.clone(),
            key: client.key.clone(),
            mac: client.mac,
            guid: client.guid,
            hostname: client.hostname.clone(),
            state: LeaseState::Bound,
            granted,
            expires: if infinite { UnixTime(u64::MAX) } else { now.unix.saturating_add(lease) },
            relay_info: client.relay_info.clone(),
        };
        let phase = Phase::Live(if infinite { None } else { now.instant.checked_add(lease + LEASE_GRACE) });
        let durable = earlier.is_some_and(|entry| entry.durable && entry.record == record);
        if !durable {
            commit.push(record.clone());
        }
        let last = Some(LastAck { xid, at: now.instant, lease });
        self.insert_entry(Entry { record, phase, durable, safe_until, last });
        Bound { lease, commit }
    }

    /// How long this client may use the address by what the store has already, whatever was extended since.
    pub fn durable_left(&self, now: Now, client: &Client, address: Ipv4Addr) -> Option<Duration> {
        self.safe_until(client, address)?.checked_duration_since(now.instant)?.checked_sub(LEASE_GRACE)
    }

    fn safe_until(&self, client: &Client, address: Ipv4Addr) -> Option<Instant> {
        let entry = self.entries.get(&address).filter(|entry| entry.record.key == client.key)?;
        match entry.phase {
            Phase::Live(end) if entry.durable => end,
            Phase::Live(_) => entry.safe_until,
            Phase::Past(_) | Phase::Quarantined(_) => None,
        }
    }

    /// Ends a live lease: its client gave it back or may not keep it. `None` when it was not bound.
    pub fn end(&mut self, now: Now, address: Ipv4Addr) -> Option<LeaseRecord> {
        if !self.live(now, address) {
            return None;
        }
        let mut entry = self.take_entry(address)?;
        entry.record.state = LeaseState::Released;
        entry.record.expires = now.unix;
        entry.phase = Phase::Past(now.unix);
        entry.durable = false;
        entry.last = None;
        let record = entry.record.clone();
        self.insert_entry(entry);
        Some(record)
    }

    /// RELEASE (RFC 2131 §4.3.4): the binding ends and is remembered. `None` when it is not this client's live lease.
    pub fn release(&mut self, now: Now, client: &Client, address: Ipv4Addr) -> Option<LeaseRecord> {
        self.own_record(client, address)?;
        self.end(now, address)
    }

    /// The store has this record now. An older version of the same address changes nothing.
    pub fn confirm(&mut self, record: &LeaseRecord) {
        if let Some(entry) = self.entries.get_mut(&record.address)
            && entry.record == *record
        {
            entry.durable = true;
        }
    }

    fn live(&self, now: Now, address: Ipv4Addr) -> bool {
        self.entries.get(&address).is_some_and(|entry| match entry.phase {
            Phase::Live(end) => end.is_none_or(|end| end > now.instant),
            Phase::Past(_) | Phase::Quarantined(_) => false,
        })
    }

    /// Addresses of this machine's entries, by key first. Live and remembered; at most two.
    fn candidates(&self, client: &Client) -> impl Iterator<Item = Ipv4Addr> {
        let keyed = self.by_key.get(&client.key).copied();
        let by_mac = client
            .mac
            .and_then(|mac| self.by_mac.get(&mac).copied())
            .filter(|address| keyed != Some(*address));
        keyed.into_iter().chain(by_mac)
    }

    fn any_free(&self) -> Option<Ipv4Addr> {
        self.fresh.first().or_else(|| self.past.first().map(|&(_, address)| address))
    }

    /// True when unknown machines hold all they may: an eighth of a larger pool stays for machines we know.
    fn strangers_full(&self) -> bool {
        let floor = self.size() / HOLD_FLOOR_SHARE;
        self.size() >= FLOOR_SIZE && self.holds.strangers() >= self.size() - floor
    }

    /// True when the free addresses are so few that unknown machines get none of them (one in
    /// [`FREE_FLOOR_SHARE`] of a larger pool).
    pub fn floor_reached(&self) -> bool {
        self.size() >= FLOOR_SIZE && self.free() <= self.size() / FREE_FLOOR_SHARE
    }

    fn place_hold(&mut self, address: Ipv4Addr, client: &Client, hold: Hold) {
        self.forget_offer(client);
        self.drop_hold(address);
        self.fresh.take(address);
        if let Some(Entry { phase: Phase::Past(ended), .. }) = self.entries.get(&address) {
            self.past.remove(&(*ended, address));
        }
        self.holds.insert(address, hold);
    }

    fn drop_hold(&mut self, address: Ipv4Addr) {
        if !self.holds.remove(address) {
            return;
        }
        match self.entries.get(&address).map(|entry| entry.phase) {
            Some(Phase::Past(ended)) if self.allowed.contains(address) => {
                self.past.insert((ended, address));
            }
            Some(_) => {}
            None => self.refill(address),
        }
    }

    /// Back to the free ranges, when it is a pool address without entry and hold.
    fn refill(&mut self, address: Ipv4Addr) {
        if self.allowed.contains(address)
            && !self.entries.contains_key(&address)
            && !self.holds.contains(address)
        {
            self.fresh.give(address);
        }
    }

    fn insert_entry(&mut self, entry: Entry) {
        let address = entry.record.address;
        self.fresh.take(address);
        match entry.phase {
            Phase::Live(Some(end)) => {
                self.due.insert((end, address));
            }
            Phase::Live(None) => {}
            Phase::Past(ended) => {
                if self.allowed.contains(address) && !self.holds.contains(address) {
                    self.past.insert((ended, address));
                }
            }
            Phase::Quarantined(until) => {
                self.quarantined += 1;
                self.due.insert((until, address));
            }
        }
        // A quarantined address is nobody's: its client gets another. Otherwise the better claim is found by identity.
        if !matches!(entry.phase, Phase::Quarantined(_)) {
            let rank = |phase: Phase, record: &LeaseRecord| {
                (matches!(phase, Phase::Live(_)), record.granted, record.expires)
            };
            let own = rank(entry.phase, &entry.record);
            let better = |other: Option<&Ipv4Addr>| {
                other
                    .and_then(|other| self.entries.get(other))
                    .is_none_or(|other| rank(other.phase, &other.record) <= own)
            };
            let (by_key, by_mac) = (
                better(self.by_key.get(&entry.record.key)),
                entry.record.mac.filter(|mac| better(self.by_mac.get(mac))),
            );
            if by_key {
                self.by_key.insert(entry.record.key.clone(), address);
            }
            if let Some(mac) = by_mac {
                self.by_mac.insert(mac, address);
            }
        }
        self.entries.insert(address, entry);
    }

    fn take_entry(&mut self, address: Ipv4Addr) -> Option<Entry> {
        let entry = self.entries.remove(&address)?;
        match entry.phase {
            Phase::Live(Some(end)) => {
                self.due.remove(&(end, address));
            }
            Phase::Live(None) => {}
            Phase::Past(ended) => {
                self.past.remove(&(ended, address));
            }
            Phase::Quarantined(until) => {
                self.quarantined = self.quarantined.saturating_sub(1);
                self.due.remove(&(until, address));
            }
        }
        self.unindex(&entry.record);
        Some(entry)
    }

    /// Takes an entry out and forgets it: the address is fresh again unless held.
    fn remove_entry(&mut self, address: Ipv4Addr) {
        if self.take_entry(address).is_some() {
            self.refill(address);
        }
    }

    fn unindex(&mut self, record: &LeaseRecord) {
        if self.by_key.get(&record.key) == Some(&record.address) {
            self.by_key.remove(&record.key);
        }
        if let Some(mac) = record.mac
            && self.by_mac.get(&mac) == Some(&record.address)
        {
            self.by_mac.remove(&mac);
        }
    }
}

#[cfg(test)]
mod tests;
