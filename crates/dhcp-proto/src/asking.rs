//! Offers that wait until their address was asked for ([`Probe`]). Nobody else waits with them.
//!
//! ```text
//!           join (its client asks again: the newer words count)
//!            │ ▲
//! begin ──► waiting ── half the time ──► ask again ──► waiting ── the time ──► over: the offer may leave
//!              │
//!              └── another machine answers ──► taken out: decide again
//! ```
//!
//! What waits is the caller's (`T`: a datagram and its action). Deliberately absent: asking, the clock, what follows.

use crate::limits::WAITING_MAX;
use crate::{Probe, ProbeWay};
use std::collections::{BTreeSet, HashMap};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};
use types::MacAddr;

/// What the time has come for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Due<T> {
    /// Ask a second time: one question may get lost.
    Again(Probe),
    /// Nobody answered.
    Over(Probe, T),
}

#[derive(Clone, Debug)]
struct Waiting<T> {
    what: T,
    probe: Probe,
    /// When nobody has answered.
    until: Instant,
    /// When something is due.
    next: Instant,
}

/// Offers that wait, by address; at most [`WAITING_MAX`].
#[derive(Debug)]
pub struct Asking<T> {
    by_address: HashMap<Ipv4Addr, Waiting<T>>,
    due: BTreeSet<(Instant, Ipv4Addr)>,
}

impl<T> Default for Asking<T> {
    fn default() -> Asking<T> {
        Asking { by_address: HashMap::new(), due: BTreeSet::new() }
    }
}

impl<T> Asking<T> {
    /// Offers that wait.
    pub fn len(&self) -> usize {
        self.by_address.len()
    }

    /// True when none waits.
    pub fn is_empty(&self) -> bool {
        self.by_address.is_empty()
    }

    /// When [`due`](Asking::due) has something.
    pub fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes the place of what waits for the same address; the question goes on. Gives `what` back when nothing does.
    ///
    /// # Errors
    /// `what`, when no question about its address is open.
    pub fn join(&mut self, probe: Probe, what: T) -> Result<(), T> {
        match self.by_address.get_mut(&probe.address) {
            Some(waiting) => {
                (waiting.what, waiting.probe) = (what, probe);
                Ok(())
            }
            None => Err(what),
        }
    }

    /// True when one more may wait.
    pub fn has_room(&self) -> bool {
        self.by_address.len() < WAITING_MAX
    }

    /// The question was asked: `what` waits for so long.
    pub fn begin(&mut self, now: Instant, wait: Duration, probe: Probe, what: T) {
        self.take(probe.address);
        self.put(Waiting { what, probe, until: now + wait, next: now + wait / 2 });
    }

    /// What is due by now, one at a time.
    pub fn due(&mut self, now: Instant) -> Option<Due<T>> {
        let address = self.due.first().filter(|(at, _)| *at <= now).map(|(_, address)| *address)?;
        let waiting = self.take(address)?;
        if waiting.until > now {
            let probe = waiting.probe;
            self.put(Waiting { next: waiting.until, ..waiting });
            return Some(Due::Again(probe));
        }
        Some(Due::Over(waiting.probe, waiting.what))
    }

    /// Somebody uses an address: with this hardware address on this interface, or, when there is none, behind a relay.
    /// What waits for the address, unless it is its own client who spoke, or another link.
    pub fn heard(&mut self, address: Ipv4Addr, by: Option<MacAddr>, interface_index: u32) -> Option<T> {
        let probe = self.by_address.get(&address)?.probe;
        let same_link = match probe.way {
            ProbeWay::Arp(asked) => interface_index == asked,
            ProbeWay::Echo(_) => by.is_none(),
        };
        let its_own = by.is_some() && by == probe.client;
        if !same_link || its_own {
            return None;
        }
        self.take(address).map(|waiting| waiting.what)
    }

    fn take(&mut self, address: Ipv4Addr) -> Option<Waiting<T>> {
        let waiting = self.by_address.remove(&address)?;
        self.due.remove(&(waiting.next, address));
        Some(waiting)
    }

    fn put(&mut self, waiting: Waiting<T>) {
        let address = waiting.probe.address;
        self.due.insert((waiting.next, address));
        self.by_address.insert(address, waiting);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ip, mac, start};

    const WAIT: Duration = Duration::from_millis(500);

    fn probe(host: u8) -> Probe {
        Probe { address: ip(host), way: ProbeWay::Arp(2), client: Some(mac(1)) }
    }

    #[test]
    fn it_is_asked_twice_and_then_over() {
        let (mut asking, now) = (Asking::default(), start().instant);
        asking.begin(now, WAIT, probe(100), "offer");
        assert_eq!((asking.next_due(), asking.due(now)), (Some(now + WAIT / 2), None));
        assert_eq!(asking.due(now + WAIT / 2), Some(Due::Again(probe(100))));
        assert_eq!(asking.due(now + WAIT / 2), None);
        assert_eq!(asking.due(now + WAIT), Some(Due::Over(probe(100), "offer")));
        assert!(asking.is_empty() && asking.next_due().is_none());
    }

    #[test]
    fn a_client_that_asks_again_takes_its_own_place() {
        let (mut asking, now) = (Asking::default(), start().instant);
        assert_eq!(asking.join(probe(100), "first"), Err("first"));
        asking.begin(now, WAIT, probe(100), "first");
        assert_eq!(asking.join(probe(100), "second"), Ok(()));
        assert_eq!(asking.due(now + WAIT * 2), Some(Due::Over(probe(100), "second")));
    }

    #[test]
    fn only_another_machine_on_the_same_link_is_a_conflict() {
        let (mut asking, now) = (Asking::default(), start().instant);
        asking.begin(now, WAIT, probe(100), "offer");
        for (by, interface) in [(Some(mac(1)), 2), (Some(mac(9)), 3), (None, 0)] {
            assert_eq!(asking.heard(ip(100), by, interface), None);
        }
        assert_eq!(asking.heard(ip(101), Some(mac(9)), 2), None);
        assert_eq!(asking.heard(ip(100), Some(mac(9)), 2), Some("offer"));
        let relayed = Probe { way: ProbeWay::Echo(ip(1)), ..probe(102) };
        asking.begin(now, WAIT, relayed, "relayed");
        assert_eq!(asking.heard(ip(102), Some(mac(9)), 2), None);
        assert_eq!(asking.heard(ip(102), None, 0), Some("relayed"));
    }
}
