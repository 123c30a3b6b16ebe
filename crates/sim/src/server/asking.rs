//! Offers that wait until their address was asked for: a model of `crates/dhcp/src/probing.rs`.

use super::{Out, Received, Server};
use crate::report::Book;
use dhcp_proto::{Action, Probe};
use plan::Catalog;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;
use types::MacAddr;

/// Addresses in use that one datagram may meet before it is dropped.
const CONFLICTS_MAX: u8 = 8;

struct Waiting {
    datagram: Received,
    action: Action,
    probe: Probe,
    /// When the offer leaves.
    until: Instant,
    /// When something is to be done: it is asked twice.
    next: Instant,
}

/// Offers that wait, by address.
#[derive(Default)]
pub(super) struct Asking(BTreeMap<Ipv4Addr, Waiting>);

impl Asking {
    pub(super) fn due(&self) -> Option<Instant> {
        self.0.values().map(|waiting| waiting.next).min()
    }
}

impl Server {
    /// Lets an action wait for its probe.
    pub(super) fn ask_first(
        &mut self,
        at: Instant,
        datagram: Received,
        action: Action,
        probe: Probe,
        out: &mut Vec<Out>,
    ) {
        if let Some(earlier) = self.asking.0.get_mut(&probe.address) {
            // The client asks again: its newer words count, the question goes on.
            (earlier.datagram, earlier.action, earlier.probe) = (datagram, action, probe);
            return;
        }
        out.push(Out::Ask(probe));
        let wait = self.settings.probe_wait;
        let (next, until) = (at + wait / 2, at + wait);
        self.asking.0.insert(probe.address, Waiting { datagram, action, probe, until, next });
    }

    /// Asks a second time, or lets an offer go.
    pub(super) fn asked_long_enough(&mut self, at: Instant, out: &mut Vec<Out>, book: &mut Book) {
        let due = self.asking.0.iter().find(|(_, waiting)| waiting.next <= at);
        let Some(address) = due.map(|(address, _)| *address) else { return };
        let Some(mut waiting) = self.asking.0.remove(&address) else { return };
        if waiting.until > at {
            out.push(Out::Ask(waiting.probe));
            waiting.next = waiting.until;
            self.asking.0.insert(address, waiting);
        } else if self.responder.probed(self.clock.wall(at), &waiting.probe)
            && let Some(transmit) = waiting.action.transmit
        {
            self.transmit(at, waiting.datagram.serial, transmit, &[], out, book);
        }
    }

    /// Somebody uses an address: when an offer of it waits, that one is not made.
    pub(super) fn in_use(
        &mut self,
        at: Instant,
        address: Ipv4Addr,
        mac: Option<MacAddr>,
        decider: &Arc<Catalog>,
        out: &mut Vec<Out>,
        book: &mut Book,
    ) {
        let own = |waiting: &Waiting| mac.is_some() && mac == waiting.probe.client;
        if self.asking.0.get(&address).is_none_or(own) {
            return;
        }
        let Some(Waiting { mut datagram, .. }) = self.asking.0.remove(&address) else { return };
        book.counts().probes_answered += 1;
        book.say(at, || format!("{} hears that {mac:?} uses {address}", self.address));
        if let Some(conflict) = self.responder.address_in_use(self.clock.wall(at), address, mac) {
            self.audit.conflict(address, mac.filter(|_| conflict.commit.is_empty()));
            self.audit.quarantines(self.clock.lease(at), &conflict.commit);
            if !conflict.commit.is_empty() {
                match self.store(at, &conflict.commit, true, None, book) {
                    Some(true) => self.responder.committed(&conflict.commit),
                    Some(false) => self.responder.set_promising(self.disk.takes_new()),
                    None => return,
                }
            }
        }
        datagram.conflicts = datagram.conflicts.saturating_add(1);
        if datagram.conflicts < CONFLICTS_MAX {
            self.decide(at, vec![datagram], decider, out, book);
        }
    }
}
