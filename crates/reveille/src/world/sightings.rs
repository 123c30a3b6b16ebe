//! Who was seen where: the facts of a machine, found again by its address when it says next to nothing.
//!
//! Two kinds of witness. DHCP is *seen*: it names a machine's address and is believed. The query of an iPXE script is
//! *said*: anybody on the wire can say any MAC, so it never moves the address of a machine that DHCP placed elsewhere, and
//! it adds an identity (GUID, serial, asset tag) to a machine that was seen only when it comes from that machine's address.

use super::limits::{LOOKED_AT_ONCE, NOTICED_MAX, SAID_MAX, SIGHTINGS_MAX};
use super::twins::{GuidTurns, Twins};
use std::collections::{HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use store::records::Machine as Kept;
use types::lease::{LeaseRecord, LeaseState};
use types::{Facts, MacAddr, MachineGuid, Stage, UnixTime};

struct Machine {
    facts: Facts,
    /// DHCP has seen it.
    seen: bool,
    /// Its address came by DHCP, after its last DISCOVER.
    held: bool,
    tick: u64,
    first: UnixTime,
    last: UnixTime,
    /// It did more than ask for an address: worth to be kept beyond a restart.
    lasting: bool,
    /// It waits to be looked at.
    queued: bool,
    /// What is worth keeping of it changed since it was looked at.
    changed: bool,
    guids: GuidTurns,
}

/// A machine that asked for something since the last round.
pub(super) struct Touched {
    pub(super) facts: Facts,
    pub(super) first: UnixTime,
    pub(super) last: UnixTime,
    pub(super) lasting: bool,
    pub(super) changed: bool,
    /// Another machine that is live and came with its GUID.
    pub(super) twin: Option<Facts>,
}

/// Something noticed while a machine was seen, to be judged in the next round.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Noticed {
    /// Two addresses take turns with one GUID.
    Twins(MachineGuid, MacAddr, MacAddr),
    /// One address takes turns with two GUIDs.
    Alternates(MacAddr, MachineGuid, MachineGuid),
    /// It came with another GUID than before.
    OtherBoard(MacAddr, MachineGuid, MachineGuid),
    /// It says another serial number than before.
    OtherSerial(MacAddr, Arc<str>, Arc<str>),
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
    now: UnixTime,
    twins: Twins,
    /// Who asked for something since the last round, each once.
    queue: VecDeque<MacAddr>,
    noticed: Vec<Noticed>,
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
            sightings.now = lease.granted;
            sightings.see(&Facts {
                mac: lease.mac,
                guid: lease.guid,
                address: Some(lease.address.into()),
                ..Facts::default()
            });
        }
        // All of that is on the disk.
        sightings.take_touched(usize::MAX);
        sightings.take_noticed();
        sightings
    }

    /// Adds what was kept of machines. Of more than fit, those seen last.
    pub(crate) fn recall(&mut self, mut kept: Vec<Kept>) {
        kept.sort_by_key(|machine| std::cmp::Reverse(machine.last_seen));
        let mut texts = HashSet::new();
        let mut shared = |text: Option<Arc<str>>| -> Option<Arc<str>> {
            let text = text?;
            match texts.get(&text) {
                Some(known) => Some(Arc::clone(known)),
                None => {
                    texts.insert(text.clone());
                    Some(text)
                }
            }
        };
        for Kept { mut facts, first_seen, last_seen } in kept {
            let Some(mac) = facts.mac else { continue };
            // Thousands of machines say the same few.
            facts.vendor = shared(facts.vendor);
            facts.model = shared(facts.model);
            facts.interface = shared(facts.interface);
            facts.subnet = shared(facts.subnet);
            if let Some(leased) = self.machines.get_mut(&mac) {
                leased.facts = leased.facts.clone().or(&facts);
                leased.first = leased.first.min(first_seen);
                leased.last = leased.last.max(last_seen);
                leased.lasting = true;
            } else if self.machines.len() < SIGHTINGS_MAX {
                let fresh = Machine { first: first_seen, last: last_seen, ..Machine::new(facts) };
                self.machines.insert(mac, Machine { seen: true, lasting: true, ..fresh });
            }
        }
    }

    /// The time it is, for all that is seen until the next.
    pub(super) fn at(&mut self, now: UnixTime) -> &mut Sightings {
        self.now = now;
        self
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
        self.notice(mac, facts);
        let held = usable(facts.address).is_some();
        self.put(mac, whole, true, held);
        if matches!(facts.stage, Stage::Rom | Stage::HttpRom)
            && let Some(guid) = facts.guid.filter(|guid| !guid.is_nobodys())
        {
            let now = self.now.0;
            if let Some(other) = self.twins.note(guid, mac, now) {
                self.say(Noticed::Twins(guid, mac, other));
            }
            if let Some(earlier) = self.machines.get_mut(&mac).and_then(|own| own.guids.note(guid, now)) {
                self.say(Noticed::Alternates(mac, guid, earlier));
            }
        }
        new
    }

    /// What it says now against what it said before.
    fn notice(&mut self, mac: MacAddr, facts: &Facts) {
        let Some(known) = self.machines.get(&mac).filter(|known| known.seen) else { return };
        let mut noticed = None;
        if let (true, Some(guid), Some(earlier)) =
            (facts.is_other_board(&known.facts), facts.guid, known.facts.guid)
        {
            noticed = Some(Noticed::OtherBoard(mac, guid, earlier));
        } else if let (Some(serial), Some(earlier)) = (facts.own_serial(), known.facts.own_serial())
            && !serial.trim().eq_ignore_ascii_case(earlier.trim())
        {
            noticed = Some(Noticed::OtherSerial(mac, serial.clone(), earlier.clone()));
        }
        noticed.into_iter().for_each(|noticed| self.say(noticed));
    }

    fn say(&mut self, noticed: Noticed) {
        if self.noticed.len() < NOTICED_MAX && self.noticed.last() != Some(&noticed) {
            self.noticed.push(noticed);
        }
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
            self.put(mac, facts.clone(), false, false);
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
        if seen && held {
            self.notice(mac, facts);
        }
        self.put(mac, whole, seen, held);
        // It was asked at the address that DHCP gave it, and answered.
        if let Some(known) = self.machines.get_mut(&mac).filter(|known| seen && held && known.facts.smbios) {
            known.lasting = true;
        }
        false
    }

    /// A machine fetched something from an address: one that DHCP gave it, or nobody.
    pub(super) fn fetched(&mut self, mac: MacAddr, from: IpAddr) {
        if self.holder(from).is_some_and(|holder| holder != mac) {
            return;
        }
        let Some(known) = self.machines.get_mut(&mac).filter(|known| known.seen && !known.lasting) else {
            return;
        };
        known.lasting = true;
        self.touch(mac);
    }

    /// It is not kept any longer.
    pub(super) fn let_go(&mut self, mac: MacAddr) {
        if let Some(known) = self.machines.get_mut(&mac) {
            known.lasting = false;
        }
    }

    /// Forgets a machine; true when it was known.
    pub(super) fn forget(&mut self, mac: MacAddr) -> bool {
        let Some(known) = self.machines.remove(&mac) else { return false };
        if !known.seen {
            self.said = self.said.saturating_sub(1);
        }
        self.forget_address(mac, known.facts.address);
        true
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.machines.len()
    }

    /// When a machine was seen first and last.
    pub(super) fn when(&self, mac: MacAddr) -> Option<(UnixTime, UnixTime)> {
        self.machines.get(&mac).map(|known| (known.first, known.last))
    }

    /// So many that asked for something since the last round, in the order in which they did.
    pub(super) fn take_touched(&mut self, most: usize) -> Vec<Touched> {
        let most = most.min(self.queue.len());
        let mut taken = Vec::with_capacity(most.min(LOOKED_AT_ONCE));
        for mac in self.queue.drain(..most) {
            let Some(known) = self.machines.get_mut(&mac) else { continue };
            known.queued = false;
            taken.push(Touched {
                facts: known.facts.clone(),
                first: known.first,
                last: known.last,
                lasting: known.lasting,
                changed: std::mem::take(&mut known.changed),
                twin: None,
            });
        }
        for touched in &mut taken {
            let (Some(mac), Some(guid)) = (touched.facts.mac, touched.facts.guid) else { continue };
            let other = self.twins.other(guid, mac, self.now.0);
            touched.twin = other.and_then(|other| self.by_mac(other)).cloned();
        }
        taken
    }

    /// What was noticed since the last round.
    pub(super) fn take_noticed(&mut self) -> Vec<Noticed> {
        std::mem::take(&mut self.noticed)
    }

    /// It has to be looked at again: what was to be kept of it was not.
    pub(super) fn look_again(&mut self, mac: MacAddr) {
        if let Some(known) = self.machines.get_mut(&mac) {
            known.changed = true;
            self.touch(mac);
        }
    }

    fn touch(&mut self, mac: MacAddr) {
        if let Some(known) = self.machines.get_mut(&mac)
            && !std::mem::replace(&mut known.queued, true)
        {
            self.queue.push_back(mac);
        }
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

    fn put(&mut self, mac: MacAddr, facts: Facts, seen: bool, held: bool) {
        let earlier = self.machines.get(&mac).and_then(|known| known.facts.address);
        let address = usable(facts.address);
        if earlier != address {
            self.forget_address(mac, earlier);
        }
        if let Some(address) = address {
            if held {
                self.lent.remove(&address);
            }
            let other = self.addresses.insert(address, mac).filter(|other| *other != mac);
            // The one who had it is there no longer.
            if let Some(other) = other.and_then(|other| self.machines.get_mut(&other)) {
                (other.held, other.facts.address) = (false, None);
            }
        }
        self.ticks += 1;
        let (tick, now) = (self.ticks, self.now);
        let known = self.machines.entry(mac).or_insert_with(|| Machine {
            first: now,
            changed: true,
            ..Machine::new(Facts { mac: Some(mac), ..Facts::default() })
        });
        known.changed |= differs(&known.facts, &facts);
        known.facts = facts;
        (known.seen, known.held, known.tick, known.last) = (seen, held, tick, now);
        if seen {
            self.touch(mac);
        }
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

    /// A flood of invented machines costs those who only said so, then whoever asked for an address and nothing else and was
    /// not seen for longest; those that are kept go last.
    fn make_room(&mut self) {
        self.forget_said();
        if self.machines.len() < SIGHTINGS_MAX {
            return;
        }
        let passing = self.machines.values().filter(|machine| !machine.lasting).count();
        let spares_lasting = passing > SIGHTINGS_MAX / 8;
        let may_go = |machine: &Machine| !(spares_lasting && machine.lasting);
        let going = self.machines.values().filter(|machine| may_go(machine));
        let mut ticks: Vec<u64> = going.map(|machine| machine.tick).collect();
        let half = ticks.len() / 2;
        let oldest = *ticks.select_nth_unstable(half).1;
        self.machines.retain(|_, machine| !may_go(machine) || machine.tick >= oldest);
        self.drop_stray_addresses();
        let machines = &self.machines;
        self.queue.retain(|mac| machines.contains_key(mac));
    }

    fn drop_stray_addresses(&mut self) {
        let machines = &self.machines;
        self.addresses.retain(|_, mac| machines.contains_key(mac));
    }
}

impl Machine {
    /// One of whom only this is known.
    fn new(facts: Facts) -> Machine {
        Machine {
            facts,
            seen: false,
            held: false,
            tick: 0,
            first: UnixTime(0),
            last: UnixTime(0),
            lasting: false,
            queued: false,
            changed: false,
            guids: GuidTurns::default(),
        }
    }
}

/// True when something that is kept differs: neither address nor stage is.
fn differs(one: &Facts, other: &Facts) -> bool {
    let plain = |facts: &Facts| {
        (facts.guid, facts.arch, facts.firmware, facts.http, facts.comboot, facts.smbios, facts.relay)
    };
    plain(one) != plain(other)
        || one.vendor != other.vendor
        || one.model != other.model
        || one.serial != other.serial
        || one.asset != other.asset
        || one.oemstring != other.oemstring
        || one.board_serial != other.board_serial
        || one.nic_bus != other.nic_bus
        || one.hostname != other.hostname
        || one.interface != other.interface
        || one.subnet != other.subnet
        || one.circuit_id != other.circuit_id
}

fn usable(address: Option<IpAddr>) -> Option<IpAddr> {
    address.filter(|address| !address.is_unspecified())
}

fn without_identity(facts: &Facts) -> Facts {
    Facts { guid: None, serial: None, asset: None, ..facts.clone() }
}

#[cfg(test)]
mod tests;
