//! Small bounded memories: who ignores our offers, and which warnings were given a moment ago.

use super::IgnoreReason;
use crate::limits::{HEARD_MAX, IGNORED_OFFERS_MIN, WARNED_MAX, WARNING_PAUSE, WATCH_WINDOW, WATCHED_MAX};
use plan::LeaveAloneReason;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use types::lease::ClientKey;

/// A map that forgets: the oldest entry when it is full, every entry after its time.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    max: usize,
    age_max: Duration,
    values: HashMap<K, (Instant, u64, V)>,
    /// Insertion order; the number keeps entries of one instant apart.
    order: BTreeMap<(Instant, u64), K>,
    next: u64,
}

impl<K: Clone + Eq + Hash, V> Recent<K, V> {
    pub(super) fn new(max: usize, age_max: Duration) -> Recent<K, V> {
        Recent { max, age_max, values: HashMap::new(), order: BTreeMap::new(), next: 0 }
    }

    pub(super) fn purge(&mut self, now: Instant) {
        while let Some((&(since, number), _)) = self.order.first_key_value() {
            let over = now.saturating_duration_since(since) >= self.age_max || self.order.len() > self.max;
            if !over {
                return;
            }
            if let Some(key) = self.order.remove(&(since, number)) {
                self.values.remove(&key);
            }
        }
    }

    pub(super) fn get_mut(&mut self, now: Instant, key: &K) -> Option<&mut V> {
        self.purge(now);
        self.values.get_mut(key).map(|(_, _, value)| value)
    }

    pub(super) fn insert(&mut self, now: Instant, key: K, value: V) {
        self.remove(&key);
        self.next += 1;
        self.order.insert((now, self.next), key.clone());
        self.values.insert(key, (now, self.next, value));
        self.purge(now);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    fn is_full(&self) -> bool {
        self.values.len() >= self.max
    }

    fn remove(&mut self, key: &K) {
        if let Some((since, number, _)) = self.values.remove(key) {
            self.order.remove(&(since, number));
        }
    }
}

/// Something worth one warning, not one per packet.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Warning {
    PoolEmpty(Arc<str>),
    PoolLow(Arc<str>),
    OtherServer(Ipv4Addr),
    NoSubnet(Arc<str>),
    ReservationBusy(Ipv4Addr),
    /// A relay or switch that is not let through, and the interface.
    Relay(IgnoreReason, Arc<str>),
    /// More than may be, and the interface.
    Flood(IgnoreReason, Arc<str>),
    /// A machine that cannot boot, and why.
    Machine(ClientKey, LeaveAloneReason),
}

impl Warning {
    /// True when its subject comes out of packets: anybody can make up any number of them.
    fn is_hearsay(&self) -> bool {
        match self {
            Warning::OtherServer(_) | Warning::Machine(..) => true,
            Warning::PoolEmpty(_)
            | Warning::PoolLow(_)
            | Warning::NoSubnet(_)
            | Warning::ReservationBusy(_)
            | Warning::Relay(..)
            | Warning::Flood(..) => false,
        }
    }
}

/// What the responder remembers between packets besides leases.
#[derive(Debug)]
pub(super) struct Watch {
    offers: Recent<ClientKey, (u32, u32)>,
    warned: Recent<Warning, ()>,
    heard: Recent<Warning, ()>,
}

impl Watch {
    pub(super) fn new() -> Watch {
        Watch {
            offers: Recent::new(WATCHED_MAX, WATCH_WINDOW),
            warned: Recent::new(WARNED_MAX, WARNING_PAUSE),
            heard: Recent::new(HEARD_MAX, WARNING_PAUSE),
        }
    }

    /// An offer goes out. The number of DISCOVERs of one transaction since the first offer, once, when it has become
    /// too many.
    pub(super) fn offered(&mut self, now: Instant, client: &ClientKey, xid: u32) -> Option<u32> {
        match self.offers.get_mut(now, client) {
            Some((own, repeats)) if *own == xid => {
                *repeats = repeats.saturating_add(1);
                (*repeats == IGNORED_OFFERS_MIN).then_some(*repeats)
            }
            _ => {
                self.offers.insert(now, client.clone(), (xid, 0));
                None
            }
        }
    }

    /// The client went on: with us, with another server, or on port 4011.
    pub(super) fn went_on(&mut self, client: &ClientKey) {
        self.offers.remove(client);
    }

    /// True when this was not said a moment ago, and hearsay was not said too often.
    pub(super) fn warn(&mut self, now: Instant, warning: Warning) -> bool {
        let hearsay = warning.is_hearsay();
        let said = if hearsay { &mut self.heard } else { &mut self.warned };
        if said.get_mut(now, &warning).is_some() || (hearsay && said.is_full()) {
            return false;
        }
        said.insert(now, warning, ());
        true
    }

    pub(super) fn purge(&mut self, now: Instant) {
        self.offers.purge(now);
        self.warned.purge(now);
        self.heard.purge(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_memory_forgets_the_oldest_and_every_entry_in_time() {
        let start = crate::testing::start().instant;
        let mut recent = Recent::new(3, Duration::from_secs(10));
        for key in 0..5u64 {
            recent.insert(start + Duration::from_secs(key), key, ());
        }
        let now = start + Duration::from_secs(4);
        assert!(recent.get_mut(now, &1).is_none() && recent.get_mut(now, &2).is_some());
        assert_eq!((recent.values.len(), recent.order.len()), (3, 3));
        recent.purge(start + Duration::from_secs(13));
        assert_eq!((recent.values.len(), recent.order.len()), (1, 1));
    }
}
