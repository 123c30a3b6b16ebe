//! Offers that wait until their address was asked for. Nobody else waits with them.
//!
//! ```text
//! decide ─► probe? ─► ask ─┬─ nobody answers until the deadline ─► the offer leaves
//!                          ├─ another machine answers ─► quarantine, the datagram is decided again
//!                          └─ cannot ask ─► the offer leaves at once, counted
//! ```

use crate::commit::{Core, LeaseLog, Outgoing, Received};
use dhcp_proto::{Action, Probe, ProbeWay};
use net::{InUse, Prober};
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;
use types::Now;

/// Offers that may wait at once: a rack of racks whose power came back. Beyond, addresses are offered unasked.
pub(crate) const WAITING_MAX: usize = 4096;

/// Addresses in use that one datagram may meet before it is dropped: its client asks again in seconds.
pub(crate) const CONFLICTS_MAX: u8 = 8;

/// Asks for an address; answers come back through [`Core::heard`].
pub(crate) trait Ask: Send + Sync {
    fn ask(&self, probe: &Probe) -> io::Result<()>;
}

impl Ask for Prober {
    fn ask(&self, probe: &Probe) -> io::Result<()> {
        match probe.way {
            ProbeWay::Arp(interface_index) => self.ask_arp(interface_index, probe.address),
            ProbeWay::Echo(source) => self.ask_echo(source, probe.address),
        }
    }
}

#[derive(Debug)]
struct Waiting {
    datagram: Received,
    action: Action,
    probe: Probe,
    /// When the offer leaves.
    until: Instant,
    /// When something is to be done: one question may get lost, so it is asked twice.
    next: Instant,
}

/// Offers that wait, by address.
#[derive(Default)]
pub(crate) struct Probing {
    asker: Option<Arc<dyn Ask>>,
    by_address: HashMap<Ipv4Addr, Waiting>,
    due: BTreeSet<(Instant, Ipv4Addr)>,
}

impl Probing {
    /// Without an asker every address is offered unasked.
    pub(crate) fn new(asker: Option<Arc<dyn Ask>>) -> Probing {
        Probing { asker, ..Probing::default() }
    }

    /// When [`Core::probes_due`] has something to do.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    fn take(&mut self, address: Ipv4Addr) -> Option<Waiting> {
        let waiting = self.by_address.remove(&address)?;
        self.due.remove(&(waiting.next, address));
        Some(waiting)
    }

    fn put(&mut self, waiting: Waiting) {
        let address = waiting.probe.address;
        self.due.insert((waiting.next, address));
        self.by_address.insert(address, waiting);
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.by_address.len()
    }
}

impl<L: LeaseLog> Core<L> {
    /// Lets an action wait for its probe; answers it when there is nothing to wait for.
    pub(crate) fn ask_first(&mut self, now: Now, datagram: Received, action: Action) -> Option<Action> {
        let Some(probe) = action.probe else { return Some(action) };
        if let Some(earlier) = self.probing.take(probe.address) {
            // The client asks again: its newer words count, the question goes on.
            self.probing.put(Waiting { datagram, action, probe, ..earlier });
            return None;
        }
        let room = self.probing.by_address.len() < WAITING_MAX;
        let asked = match self.probing.asker.as_ref().filter(|_| room) {
            Some(asker) => asker.ask(&probe),
            None => Err(io::ErrorKind::Unsupported.into()),
        };
        if let Err(error) = asked {
            tracing::debug!(%error, address = %probe.address, "an address is offered unasked");
            self.tally.add(|counters| counters.unprobed += 1);
            self.responder.probed(now, &probe);
            return Some(action);
        }
        self.tally.add(|counters| counters.probes += 1);
        let wait = self.responder.settings().probe_wait;
        let (next, until) = (now.instant + wait / 2, now.instant + wait);
        self.probing.put(Waiting { datagram, action, probe, until, next });
        None
    }

    /// What the time has come for: asks a second time, or lets an offer go.
    pub(crate) fn probes_due(&mut self, now: Now) -> Vec<Outgoing> {
        let mut outgoing = Vec::new();
        while let Some((_, address)) = self.probing.due.first().copied().filter(|(at, _)| *at <= now.instant)
        {
            let Some(waiting) = self.probing.take(address) else { break };
            if waiting.until > now.instant {
                if let Some(asker) = &self.probing.asker
                    && let Err(error) = asker.ask(&waiting.probe)
                {
                    tracing::debug!(%error, %address, "an address was asked for once only");
                }
                let next = waiting.until;
                self.probing.put(Waiting { next, ..waiting });
            } else if self.responder.probed(now, &waiting.probe) {
                outgoing.push(self.outgoing(waiting.datagram.socket, waiting.action, Ok(&())));
            }
        }
        outgoing
    }

    /// Somebody uses an address: when an offer of it waits, that one is not made.
    pub(crate) async fn heard(&mut self, now: Now, heard: InUse) -> Vec<Outgoing> {
        let Some(waiting) = self.probing.by_address.get(&heard.address) else { return Vec::new() };
        let same_link = match waiting.probe.way {
            ProbeWay::Arp(index) => heard.interface_index == index,
            ProbeWay::Echo(_) => heard.mac.is_none(),
        };
        let its_own = heard.mac.is_some() && heard.mac == waiting.probe.client;
        if !same_link || its_own {
            return Vec::new();
        }
        let Some(waiting) = self.probing.take(heard.address) else { return Vec::new() };
        self.tally.add(|counters| counters.probes_answered += 1);
        if let Some(conflict) = self.responder.address_in_use(now, heard.address, heard.mac) {
            self.events.record(conflict.event);
            // When it cannot be written the quarantine holds until we restart; that is said by the commit itself.
            let _ = self.commit(&conflict.commit, true).await;
        }
        let conflicts = waiting.datagram.conflicts.saturating_add(1);
        if conflicts >= CONFLICTS_MAX {
            self.tally.add(|counters| counters.probes_given_up += 1);
            return Vec::new();
        }
        self.turn(now, vec![Received { conflicts, ..waiting.datagram }]).await
    }
}

#[cfg(test)]
mod tests;
