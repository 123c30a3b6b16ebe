//! Offers that wait until their address was asked for: what `crates/dhcp/src/probing.rs` does, with the same queue.

use super::{Out, Received, Server};
use crate::place::INTERFACE_INDEX;
use crate::report::Book;
use dhcp_proto::asking::Due;
use dhcp_proto::limits::CONFLICTS_MAX;
use dhcp_proto::{Action, Probe};
use plan::Catalog;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;
use types::MacAddr;

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
        let Err(waits) = self.asking.join(probe, (datagram, action)) else { return };
        out.push(Out::Ask(probe));
        self.asking.begin(at, self.settings.probe_wait, probe, waits);
    }

    /// Asks a second time, or lets an offer go.
    pub(super) fn asked_long_enough(&mut self, at: Instant, out: &mut Vec<Out>, book: &mut Book) {
        match self.asking.due(at) {
            None => {}
            Some(Due::Again(probe)) => out.push(Out::Ask(probe)),
            Some(Due::Over(probe, (datagram, action))) => {
                if self.responder.probed(self.clock.wall(at), &probe)
                    && let Some(transmit) = action.transmit
                {
                    self.transmit(at, datagram.serial, transmit, &[], out, book);
                }
            }
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
        let Some((mut datagram, _)) =
            self.asking.heard(address, mac, if mac.is_some() { INTERFACE_INDEX } else { 0 })
        else {
            return;
        };
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
