//! Open offers: an address kept for one client until it asks for it or the time is over. Memory only.

use super::Client;
use std::collections::{BTreeSet, HashMap};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};
use types::MacAddr;
use types::lease::ClientKey;

/// An address offered and not yet requested.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) key: ClientKey,
    pub(super) mac: Option<MacAddr>,
    pub(super) until: Instant,
    /// Lease time offered; the ACK keeps it.
    pub(super) lease: Duration,
    /// True when we knew nothing of the client.
    pub(super) stranger: bool,
    /// True when the address was asked for and nobody answered.
    pub(super) probed: bool,
}

/// All open offers of a subnet. A client has at most one, and an address at most one.
#[derive(Debug, Default)]
pub(super) struct Holds {
    by_address: HashMap<Ipv4Addr, Hold>,
    due: BTreeSet<(Instant, Ipv4Addr)>,
    by_key: HashMap<ClientKey, Ipv4Addr>,
    by_mac: HashMap<MacAddr, Ipv4Addr>,
    strangers: u64,
}

impl Holds {
    pub(super) fn len(&self) -> usize {
        self.by_address.len()
    }

    /// Offers to clients we knew nothing of.
    pub(super) fn strangers(&self) -> u64 {
        self.strangers
    }

    pub(super) fn contains(&self, address: Ipv4Addr) -> bool {
        self.by_address.contains_key(&address)
    }

    /// Addresses held for this machine under its identifier or its hardware address: at most two.
    pub(super) fn of(&self, client: &Client) -> impl Iterator<Item = Ipv4Addr> + use<> {
        let keyed = self.by_key.get(&client.key).copied();
        let by_mac = client.mac.and_then(|mac| self.by_mac.get(&mac).copied());
        keyed.into_iter().chain(by_mac.filter(|address| keyed != Some(*address)))
    }

    /// The offer this machine may still take.
    pub(super) fn open(&self, now: Instant, client: &Client) -> Option<(Ipv4Addr, &Hold)> {
        let mut own = self.of(client).filter_map(|address| Some((address, self.by_address.get(&address)?)));
        own.find(|(_, hold)| hold.until > now)
    }

    /// True when the address is kept for another machine.
    pub(super) fn blocks(&self, now: Instant, client: &Client, address: Ipv4Addr) -> bool {
        self.by_address.get(&address).is_some_and(|hold| {
            let same_machine = hold.key == client.key || (client.mac.is_some() && hold.mac == client.mac);
            hold.until > now && !same_machine
        })
    }

    /// True when this address was probed for this machine's open offer.
    pub(super) fn is_probed(&self, now: Instant, client: &Client, address: Ipv4Addr) -> bool {
        self.open(now, client).is_some_and(|(held, hold)| held == address && hold.probed)
    }

    /// Nobody answered at the address. True when it is held still for that client.
    pub(super) fn mark_probed(&mut self, now: Instant, address: Ipv4Addr, client: Option<MacAddr>) -> bool {
        let hold = self.by_address.get_mut(&address);
        match hold.filter(|hold| hold.until > now && hold.mac == client) {
            Some(hold) => {
                hold.probed = true;
                true
            }
            None => false,
        }
    }

    /// The caller has removed what this client and this address had before.
    pub(super) fn insert(&mut self, address: Ipv4Addr, hold: Hold) {
        self.due.insert((hold.until, address));
        self.by_key.insert(hold.key.clone(), address);
        if let Some(mac) = hold.mac {
            self.by_mac.insert(mac, address);
        }
        self.strangers += u64::from(hold.stranger);
        self.by_address.insert(address, hold);
    }

    /// True when there was one.
    pub(super) fn remove(&mut self, address: Ipv4Addr) -> bool {
        let Some(hold) = self.by_address.remove(&address) else { return false };
        self.due.remove(&(hold.until, address));
        self.strangers = self.strangers.saturating_sub(u64::from(hold.stranger));
        if self.by_key.get(&hold.key) == Some(&address) {
            self.by_key.remove(&hold.key);
        }
        if let Some(mac) = hold.mac
            && self.by_mac.get(&mac) == Some(&address)
        {
            self.by_mac.remove(&mac);
        }
        true
    }

    /// An offer whose time is over.
    pub(super) fn lapsed(&self, now: Instant) -> Option<Ipv4Addr> {
        self.due.first().filter(|(until, _)| *until <= now).map(|&(_, address)| address)
    }

    pub(super) fn into_iter(self) -> impl Iterator<Item = (Ipv4Addr, Hold)> {
        self.by_address.into_iter()
    }
}
