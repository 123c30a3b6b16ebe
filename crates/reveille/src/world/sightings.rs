//! Who was seen where: the facts of a machine, found again by its address when it says next to nothing.
//!
//! Two kinds of witness. DHCP is *seen*: it names a machine's address and is believed. The query of an iPXE script is
//! *said*: anybody on the wire can say any MAC, so it never moves the address of a machine that DHCP placed elsewhere, and
//! it adds an identity (GUID, serial, asset tag) to a machine that was seen only when it comes from that machine's address.

use std::collections::HashMap;
use std::net::IpAddr;
use types::lease::{LeaseRecord, LeaseState};
use types::{Facts, MacAddr, MachineGuid};

/// Machines remembered: five times the largest site we were built for.
const SIGHTINGS_MAX: usize = 65_536;
/// Machines remembered that only said so themselves; inventing them is free.
const SAID_MAX: usize = 8_192;

struct Machine {
    facts: Facts,
    /// DHCP has seen it.
    seen: bool,
    /// Its address came by DHCP, after its last DISCOVER.
    held: bool,
    tick: u64,
}

/// Facts by hardware address, with a second way in by IP address.
#[derive(Default)]
pub(crate) struct Sightings {
    machines: HashMap<MacAddr, Machine>,
    addresses: HashMap<IpAddr, MacAddr>,
    /// Addresses that DHCP gave to running systems: known for who is there, not as machines to boot.
    lent: HashMap<IpAddr, MacAddr>,
    said: usize,
    ticks: u64,
}

impl Sightings {
    /// What leases say: who has an address now. Of more than fit, those granted last.
    pub(crate) fn of(leases: &[LeaseRecord]) -> Sightings {
        let bound = leases.iter().filter(|lease| lease.state == LeaseState::Bound && lease.mac.is_some());
        let mut bound: Vec<&LeaseRecord> = bound.collect();
        // The latest last: it is believed, and forgotten last.
        bound.sort_by_key(|lease| lease.granted);
        bound.drain(..bound.len().saturating_sub(SIGHTINGS_MAX));
        let mut sightings = Sightings {
            machines: HashMap::with_capacity(bound.len()),
            addresses: HashMap::with_capacity(bound.len()),
            ..Sightings::default()
        };
        for lease in bound {
            sightings.see(&Facts {
                mac: lease.mac,
                guid: lease.guid,
                address: Some(lease.address.into()),
                ..Facts::default()
            });
        }
        sightings
    }

    /// Takes in what DHCP saw; true when the machine was never seen before.
    pub(super) fn see(&mut self, facts: &Facts) -> bool {
        let Some(mac) = facts.mac else { return false };
        let (new, whole) = match self.machines.get(&mac) {
            Some(known) if known.seen => (false, facts.clone().or(&known.facts)),
            Some(known) => {
                self.said = self.said.saturating_sub(1);
                let said = Facts { address: None, ..without_identity(&known.facts) };
                (false, facts.clone().or(&said))
            }
            None => (true, facts.clone()),
        };
        if new && self.machines.len() >= SIGHTINGS_MAX {
            self.make_room();
        }
        let held = usable(facts.address).is_some();
        self.put(mac, Machine { facts: whole, seen: true, held, tick: 0 });
        new
    }

    /// DHCP gave an address to a running system: whoever booted from there is there no longer.
    pub(super) fn lend(&mut self, mac: MacAddr, address: IpAddr) {
        if let Some(other) = self.addresses.get(&address).copied().filter(|other| *other != mac) {
            self.addresses.remove(&address);
            if let Some(other) = self.machines.get_mut(&other) {
                (other.held, other.facts.address) = (false, None);
            }
        }
        if self.lent.len() >= SIGHTINGS_MAX {
            self.lent.clear();
        }
        self.lent.insert(address, mac);
    }

    /// The GUID that DHCP saw with this card.
    pub(super) fn seen_guid(&self, mac: MacAddr) -> Option<MachineGuid> {
        self.machines.get(&mac).filter(|machine| machine.seen)?.facts.own_guid()
    }

    /// Takes in what a script request said; true when nobody ever spoke of the machine before.
    pub(super) fn hear(&mut self, facts: &Facts) -> bool {
        let Some(mac) = facts.mac else { return false };
        if facts.address.is_some_and(|address| self.denies(mac, address)) {
            return false;
        }
        let Some(known) = self.machines.get(&mac) else {
            if self.said >= SAID_MAX || self.machines.len() >= SIGHTINGS_MAX {
                self.forget_said();
            }
            if self.machines.len() >= SIGHTINGS_MAX {
                return false;
            }
            self.said += 1;
            self.put(mac, Machine { facts: facts.clone(), seen: false, held: false, tick: 0 });
            return true;
        };
        let (seen, held) = (known.seen, known.held);
        // What DHCP said stands before what a stranger says; the address is the stranger's, for as long as DHCP has none.
        let whole = if seen && !held {
            let mut whole = known.facts.clone().or(&without_identity(facts));
            (whole.stage, whole.address) = (facts.stage, usable(facts.address).or(whole.address));
            whole
        } else {
            facts.clone().or(&known.facts)
        };
        self.put(mac, Machine { facts: whole, seen, held, tick: 0 });
        false
    }

    /// True when DHCP says that this machine is elsewhere, or that another one is at this address.
    pub(super) fn denies(&self, mac: MacAddr, address: IpAddr) -> bool {
        let elsewhere = self
            .machines
            .get(&mac)
            .is_some_and(|machine| machine.held && machine.facts.address != Some(address));
        elsewhere || self.holder(address).is_some_and(|holder| holder != mac)
    }

    /// The machine DHCP placed at this address.
    pub(super) fn holder(&self, address: IpAddr) -> Option<MacAddr> {
        let booted =
            self.addresses.get(&address).filter(|mac| self.machines.get(mac).is_some_and(|own| own.held));
        booted.or_else(|| self.lent.get(&address)).copied()
    }

    /// Everything known of a machine.
    pub(super) fn by_mac(&self, mac: MacAddr) -> Option<&Facts> {
        self.machines.get(&mac).map(|machine| &machine.facts)
    }

    /// Every machine that DHCP has seen.
    pub(super) fn all(&self) -> impl Iterator<Item = &Facts> {
        self.machines.values().filter(|machine| machine.seen).map(|machine| &machine.facts)
    }

    /// What may be added to what the machine says now: an identity only when it was not a mere saying.
    pub(super) fn trusted(&self, mac: MacAddr) -> Option<Facts> {
        let machine = self.machines.get(&mac)?;
        Some(if machine.seen { machine.facts.clone() } else { without_identity(&machine.facts) })
    }

    pub(super) fn by_address(&self, address: IpAddr) -> Option<&Facts> {
        self.by_mac(*self.addresses.get(&address)?)
    }

    fn put(&mut self, mac: MacAddr, mut machine: Machine) {
        let earlier = self.machines.get(&mac).and_then(|known| known.facts.address);
        let address = usable(machine.facts.address);
        if earlier != address {
            self.forget_address(mac, earlier);
        }
        if let Some(address) = address {
            if machine.held {
                self.lent.remove(&address);
            }
            let other = self.addresses.insert(address, mac).filter(|other| *other != mac);
            // The one who had it is there no longer.
            if let Some(other) = other.and_then(|other| self.machines.get_mut(&other)) {
                (other.held, other.facts.address) = (false, None);
            }
        }
        self.ticks += 1;
        machine.tick = self.ticks;
        self.machines.insert(mac, machine);
    }

    fn forget_address(&mut self, mac: MacAddr, address: Option<IpAddr>) {
        if let Some(address) = address.filter(|address| self.addresses.get(address) == Some(&mac)) {
            self.addresses.remove(&address);
        }
    }

    fn forget_said(&mut self) {
        self.machines.retain(|_, machine| machine.seen);
        self.said = 0;
        self.drop_stray_addresses();
    }

    /// A flood of invented machines costs those who only said so, then whoever was not seen for longest.
    fn make_room(&mut self) {
        self.forget_said();
        if self.machines.len() < SIGHTINGS_MAX {
            return;
        }
        let mut ticks: Vec<u64> = self.machines.values().map(|machine| machine.tick).collect();
        let half = ticks.len() / 2;
        let oldest = *ticks.select_nth_unstable(half).1;
        self.machines.retain(|_, machine| machine.tick >= oldest);
        self.drop_stray_addresses();
    }

    fn drop_stray_addresses(&mut self) {
        let machines = &self.machines;
        self.addresses.retain(|_, mac| machines.contains_key(mac));
    }
}

fn usable(address: Option<IpAddr>) -> Option<IpAddr> {
    address.filter(|address| !address.is_unspecified())
}

fn without_identity(facts: &Facts) -> Facts {
    Facts { guid: None, serial: None, asset: None, ..facts.clone() }
}

#[cfg(test)]
mod tests;
