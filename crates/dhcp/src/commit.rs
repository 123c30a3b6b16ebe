//! One batch: decide each datagram, make all leases durable at once, say what may leave.

use crate::counters::{Tally, count};
use dhcp_proto::{Action, Outcome, Responder};
use plan::Decider;
use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use store::records::{encode_lease, lease_key};
use store::{Batch, CommitError, RecordError, Store, Table};
use types::lease::LeaseRecord;
use types::{Arrival, Event, EventName, EventSink, Now, Transmit};

/// Leases that did not become durable.
#[derive(Debug, thiserror::Error)]
pub enum LeaseLogError {
    /// The store did not take them.
    #[error("the store did not take the leases")]
    Store(#[from] CommitError),
    /// A lease has no stored form.
    #[error("a lease cannot be written")]
    Record(#[from] RecordError),
}

impl LeaseLogError {
    /// Stable reason code of `dhcp.commit_failed`.
    pub fn reason(&self) -> &'static str {
        match self {
            LeaseLogError::Store(error) if error.is_disk_full() => "disk_full",
            LeaseLogError::Store(_) => "store_failed",
            LeaseLogError::Record(_) => "record_unwritable",
        }
    }
}

/// Where leases become durable.
pub trait LeaseLog: Send + Sync + 'static {
    /// Makes all records durable, or none is promised. A later record of the same address wins.
    ///
    /// # Errors
    /// When the records may not survive a crash; nothing may be acknowledged then.
    fn commit(&self, records: &[LeaseRecord]) -> impl Future<Output = Result<(), LeaseLogError>> + Send;
}

/// Leases in the store.
#[derive(Clone)]
pub struct StoreLog(pub Store);

impl LeaseLog for StoreLog {
    async fn commit(&self, records: &[LeaseRecord]) -> Result<(), LeaseLogError> {
        let mut batch = Batch::new();
        for record in records {
            batch = batch.put(Table::Leases, lease_key(record.address.into()), encode_lease(record)?);
        }
        self.0.commit(batch).await?;
        Ok(())
    }
}

/// One datagram and the number of the socket it came in on.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) socket: usize,
    pub(crate) arrival: Arrival,
    pub(crate) bytes: Vec<u8>,
}

/// What may leave now, and what is to be recorded once it has.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) socket: usize,
    pub(crate) transmit: Option<Transmit>,
    pub(crate) events: Vec<Event>,
}

/// The responder and everything it is asked with.
pub(crate) struct Core<L> {
    pub(crate) responder: Responder,
    pub(crate) log: L,
    pub(crate) decider: Arc<dyn Decider>,
    pub(crate) events: Arc<dyn EventSink>,
    pub(crate) tally: Tally,
}

impl<L: LeaseLog> Core<L> {
    /// Decides a batch. When it returns, every lease behind a returned reply is durable.
    pub(crate) async fn turn(&mut self, now: Now, batch: Vec<Received>) -> Vec<Outgoing> {
        let actions: Vec<(usize, Action)> =
            batch.into_iter().filter_map(|datagram| self.decide(now, datagram)).collect();
        let records: Vec<LeaseRecord> =
            actions.iter().flat_map(|(_, action)| action.commit.iter().cloned()).collect();
        let durable = self.commit(&records).await;
        let option_faults = self.responder.option_faults();
        self.tally.add(|counters| {
            counters.batches += 1;
            counters.option_faults = option_faults;
        });
        actions.into_iter().map(|(socket, action)| self.outgoing(socket, action, durable.as_ref())).collect()
    }

    /// Once a second: what time alone brings about.
    pub(crate) fn tick(&mut self, now: Now) {
        self.responder.tick(now).into_iter().for_each(|event| self.events.record(event));
    }

    fn decide(&mut self, now: Now, datagram: Received) -> Option<(usize, Action)> {
        let Received { socket, arrival, bytes } = datagram;
        self.tally.add(|counters| counters.received += 1);
        match self.responder.handle(now, &arrival, &bytes, self.decider.as_ref()) {
            Outcome::Act(action) => Some((socket, action)),
            Outcome::Ignore(reason, event) => {
                self.tally.add(|counters| count(&mut counters.ignored, reason.as_str()));
                event.into_iter().for_each(|event| self.events.record(*event));
                None
            }
            Outcome::Refuse(reason) => {
                self.tally.add(|counters| count(&mut counters.refused, reason.as_str()));
                let mut event =
                    reason.event().with("from", *arrival.remote.ip()).with("bytes", bytes.len() as u64);
                event.interface = Some(arrival.interface);
                self.events.record(event);
                None
            }
        }
    }

    async fn commit(&mut self, records: &[LeaseRecord]) -> Result<(), LeaseLogError> {
        if records.is_empty() {
            return Ok(());
        }
        let number = records.len() as u64;
        let done = self.log.commit(records).await;
        match &done {
            Ok(()) => {
                self.responder.committed(records);
                self.tally.add(|counters| counters.committed += number);
            }
            Err(error) => {
                tracing::error!(
                    error = error as &dyn Error,
                    leases = number,
                    "leases are not durable, not acknowledged"
                );
                self.tally.add(|counters| counters.commit_failed += number);
            }
        }
        done
    }

    /// What is left of an action now that its commit is known.
    fn outgoing(&self, socket: usize, action: Action, durable: Result<&(), &LeaseLogError>) -> Outgoing {
        if let Some(facts) = &action.learn {
            self.decider.learn(facts);
        }
        let error = match durable {
            Err(error) if !action.commit.is_empty() => error,
            _ => return Outgoing { socket, transmit: action.transmit, events: action.events },
        };
        self.events.record(commit_failed(&action, error));
        let mut events = action.events;
        if action.fallback.is_some() {
            self.tally.add(|counters| counters.fallbacks += 1);
            // What the ACK would have promised is not what leaves.
            for event in events.iter_mut().filter(|event| says_sent(event.name)) {
                event.fields.retain(|(name, _)| *name != "lease_secs");
                event.fields.push(("fallback", true.into()));
            }
        } else {
            events.retain(|event| !says_sent(event.name));
        }
        Outgoing { socket, transmit: action.fallback, events }
    }
}

/// True for events that are only true once a reply has left.
pub(crate) fn says_sent(name: EventName) -> bool {
    matches!(name, EventName::DhcpOffer | EventName::DhcpAck | EventName::DhcpNak | EventName::DhcpInform)
}

/// Whose lease it was, and the whole chain of causes.
fn commit_failed(action: &Action, error: &LeaseLogError) -> Event {
    let mut causes = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        causes = format!("{causes}: {cause}");
        next = cause.source();
    }
    let mut event = Event::new(EventName::DhcpCommitFailed).because(error.reason()).with("cause", causes);
    if let Some(record) = action.commit.last() {
        event.mac = record.mac;
        event.guid = record.guid;
        event = event.with("address", record.address);
    }
    event.with("fallback", action.fallback.is_some())
}

#[cfg(test)]
mod tests;
