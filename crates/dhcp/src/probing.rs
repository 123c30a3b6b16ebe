//! Asking for addresses before they are offered: the hands around [`Asking`], which knows what waits for how long.
//!
//! ```text
//! decide ─► probe? ─► ask ─┬─ nobody answers until the deadline ─► the offer leaves
//!                          ├─ another machine answers ─► quarantine, the datagram is decided again
//!                          └─ cannot ask ─► the offer leaves at once, counted
//! ```

use crate::commit::{Core, LeaseLog, Outgoing, Received};
use dhcp_proto::asking::{Asking, Due};
use dhcp_proto::limits::CONFLICTS_MAX;
use dhcp_proto::{Action, Probe, ProbeWay};
use net::{InUse, Prober};
use std::io;
use std::sync::Arc;
use std::time::Instant;
use types::Now;

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

/// Who asks, and the offers that wait.
#[derive(Default)]
pub(crate) struct Probing {
    asker: Option<Arc<dyn Ask>>,
    asking: Asking<(Received, Action)>,
}

impl Probing {
    /// Without an asker every address is offered unasked.
    pub(crate) fn new(asker: Option<Arc<dyn Ask>>) -> Probing {
        Probing { asker, asking: Asking::default() }
    }

    /// When [`Core::probes_due`] has something to do.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.asking.next_due()
    }

    fn ask(&self, probe: &Probe) -> io::Result<()> {
        match &self.asker {
            Some(asker) => asker.ask(probe),
            None => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.asking.len()
    }
}

impl<L: LeaseLog> Core<L> {
    /// Lets an action wait for its probe; answers it when there is nothing to wait for.
    pub(crate) fn ask_first(&mut self, now: Now, datagram: Received, action: Action) -> Option<Action> {
        let Some(probe) = action.probe else { return Some(action) };
        let Err((datagram, action)) = self.probing.asking.join(probe, (datagram, action)) else {
            return None;
        };
        let asked = if self.probing.asking.has_room() {
            self.probing.ask(&probe)
        } else {
            Err(io::ErrorKind::QuotaExceeded.into())
        };
        if let Err(error) = asked {
            tracing::debug!(%error, address = %probe.address, "an address is offered unasked");
            self.tally.add(|counters| counters.unprobed += 1);
            self.responder.probed(now, &probe);
            return Some(action);
        }
        self.tally.add(|counters| counters.probes += 1);
        let wait = self.responder.settings().probe_wait;
        self.probing.asking.begin(now.instant, wait, probe, (datagram, action));
        None
    }

    /// What the time has come for: asks a second time, or lets an offer go.
    pub(crate) fn probes_due(&mut self, now: Now) -> Vec<Outgoing> {
        let mut outgoing = Vec::new();
        while let Some(due) = self.probing.asking.due(now.instant) {
            match due {
                Due::Again(probe) => {
                    if let Err(error) = self.probing.ask(&probe) {
                        tracing::debug!(%error, address = %probe.address, "an address was asked for once only");
                    }
                }
                Due::Over(probe, (datagram, action)) => {
                    if self.responder.probed(now, &probe) {
                        outgoing.push(self.outgoing(datagram.socket, action, Ok(&())));
                    }
                }
            }
        }
        outgoing
    }

    /// Somebody uses an address: when an offer of it waits, that one is not made.
    pub(crate) async fn heard(&mut self, now: Now, heard: InUse) -> Vec<Outgoing> {
        let waiting = self.probing.asking.heard(heard.address, heard.mac, heard.interface_index);
        let Some((datagram, _)) = waiting else { return Vec::new() };
        self.tally.add(|counters| counters.probes_answered += 1);
        if let Some(conflict) = self.responder.address_in_use(now, heard.address, heard.mac) {
            self.events.record(conflict.event);
            // When it cannot be written the quarantine holds until we restart; that is said by the commit itself.
            let _ = self.commit(&conflict.commit, true).await;
        }
        let conflicts = datagram.conflicts.saturating_add(1);
        if conflicts >= CONFLICTS_MAX {
            self.tally.add(|counters| counters.probes_given_up += 1);
            return Vec::new();
        }
        self.turn(now, vec![Received { conflicts, ..datagram }]).await
    }
}

#[cfg(test)]
mod tests;
