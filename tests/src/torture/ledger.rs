//! The oracle of leases: what was promised on the wire, held against what the store's files say.
//!
//! A promise is an ACK. It binds the appliance from the REQUEST it answers (a client counts its lease from there, RFC 2131
//! §4.4.1) until it ends, or until the client was seen to give it back or to take another address. From a RELEASE on the
//! wire both are right, released and not yet: the kill may have come first.
//!
//! Rules, each with a test:
//! 1. A promise in force has a bound record of its machine that ends no earlier.
//! 2. An address in force for one machine is promised to no other.
//! 3. A machine whose record moved to another address has not lost anything: the ACK of the new one may have died with us.

use super::sniffer::Heard;
use super::wire::{Kind, Said};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use types::lease::{ClientKey, LeaseRecord, LeaseState};

/// Records count in whole seconds.
const ROUNDING: Duration = Duration::from_secs(2);

/// Who has a lease: option 61 of two bytes or more, else the hardware address (RFC 2131 §4.2).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Machine {
    /// Option 61.
    Id(Vec<u8>),
    /// An Ethernet address.
    Mac([u8; 6]),
}

impl Machine {
    fn of(said: &Said) -> Machine {
        match &said.client_id {
            Some(id) if id.len() >= 2 => Machine::Id(id.clone()),
            _ => Machine::Mac(said.mac),
        }
    }

    fn has(&self, record: &LeaseRecord) -> bool {
        match (self, &record.key) {
            (Machine::Id(own), ClientKey::ClientId(id)) => own[..] == id[..],
            (Machine::Mac(own), ClientKey::Hardware { address, .. }) => own[..] == address[..],
            _ => false,
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (bytes, separator) = match self {
            Machine::Id(id) => (id.as_slice(), ""),
            Machine::Mac(mac) => (mac.as_slice(), ":"),
        };
        let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        f.write_str(&hex.join(separator))
    }
}

#[derive(Clone, Debug)]
struct Promise {
    machine: Machine,
    until: SystemTime,
    given_back: bool,
}

/// Everything seen on the wire so far.
#[derive(Default)]
pub struct Ledger {
    promises: BTreeMap<Ipv4Addr, Promise>,
    address_of: HashMap<Machine, Ipv4Addr>,
    /// First REQUEST of a transaction.
    asked: HashMap<([u8; 6], u32), SystemTime>,
    given_back: HashMap<(Machine, Ipv4Addr), SystemTime>,
    /// ACKs with a lease.
    pub acks: u64,
    /// RELEASEs.
    pub releases: u64,
    /// NAKs.
    pub naks: u64,
    /// What broke rule 2.
    pub violations: Vec<String>,
}

impl Ledger {
    /// Takes messages in the order they were on the wire.
    pub fn hear(&mut self, heard: &[Heard]) {
        for Heard { at, said } in heard {
            match said.kind {
                Kind::Request => {
                    self.asked.entry((said.mac, said.xid)).or_insert(*at);
                }
                Kind::Release | Kind::Decline => {
                    self.releases += u64::from(said.kind == Kind::Release);
                    self.give_back(*at, said);
                }
                Kind::Ack if !said.yiaddr.is_unspecified() => self.promise(*at, said),
                Kind::Nak => self.naks += 1,
                Kind::Ack | Kind::Discover | Kind::Offer => {}
            }
        }
    }

    /// Promises in force at a time.
    pub fn in_force(&self, now: SystemTime) -> usize {
        self.promises.values().filter(|promise| !promise.given_back && promise.until > now).count()
    }

    fn give_back(&mut self, at: SystemTime, said: &Said) {
        let machine = Machine::of(said);
        if let Some(promise) = self.promises.get_mut(&said.ciaddr)
            && promise.machine == machine
        {
            promise.given_back = true;
        }
        self.given_back.insert((machine, said.ciaddr), at);
    }

    fn promise(&mut self, at: SystemTime, said: &Said) {
        let Some(lease) = said.lease else { return };
        self.acks += 1;
        let machine = Machine::of(said);
        let asked = self.asked.get(&(said.mac, said.xid)).copied().unwrap_or(at);
        if let Some(other) = self.promises.get(&said.yiaddr)
            && other.machine != machine
            && !other.given_back
            && other.until > at
        {
            self.violations.push(format!(
                "{} was acknowledged to {machine} while the lease of {} runs",
                said.yiaddr, other.machine
            ));
        }
        if let Some(before) = self.address_of.insert(machine.clone(), said.yiaddr)
            && before != said.yiaddr
            && let Some(promise) = self.promises.get_mut(&before)
            && promise.machine == machine
        {
            promise.given_back = true;
        }
        // A RELEASE behind the REQUEST is worked off behind it.
        let given_back =
            self.given_back.get(&(machine.clone(), said.yiaddr)).is_some_and(|back| *back >= asked);
        let until = asked + Duration::from_secs(u64::from(lease));
        self.promises.insert(said.yiaddr, Promise { machine, until, given_back });
    }

    /// Rule 1, for the records of the files.
    pub fn check(&self, now: SystemTime, records: &HashMap<Ipv4Addr, LeaseRecord>) -> Vec<String> {
        let bound = |record: &&LeaseRecord| record.state == LeaseState::Bound;
        let mut violations = Vec::new();
        for (address, promise) in &self.promises {
            if promise.given_back || promise.until <= now {
                continue;
            }
            let machine = &promise.machine;
            let mut say = |what: String| violations.push(format!("{address} of {machine}: {what}"));
            match records.get(address) {
                Some(record) if machine.has(record) && record.state == LeaseState::Bound => {
                    let ends = UNIX_EPOCH.checked_add(Duration::from_secs(record.expires.0));
                    let short = ends.and_then(|ends| promise.until.duration_since(ends + ROUNDING).ok());
                    if let Some(short) = short {
                        say(format!("the record ends {short:.1?} before the acknowledged lease"));
                    }
                }
                _ if records.values().filter(bound).any(|record| machine.has(record)) => {}
                Some(record) if machine.has(record) => say(format!("the record says {:?}", record.state)),
                Some(record) => say(format!("the record is of {:?}", record.key)),
                None => say("acknowledged, and there is no record".to_owned()),
            }
        }
        violations
    }
}

#[cfg(test)]
mod tests;
