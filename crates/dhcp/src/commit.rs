//! One batch: decide each datagram, make all leases durable at once, say what may leave.

use crate::clock;
use crate::counters::{Tally, count};
use crate::probing::Probing;
use dhcp_proto::{Action, Outcome, Redating, Responder};
use plan::Decider;
use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use store::records::{encode_lease, lease_key};
use store::{Batch, CommitError, RecordError, Room, Store, Table};
use types::lease::LeaseRecord;
use types::{Arrival, Event, EventName, EventSink, Now, Transmit, UnixTime};

/// Leases dated anew in one commit: about seven MiB of the store's sixteen.
const REDATED_AT_ONCE: usize = 20_000;

/// A commit that promises nothing new.
const KEEPING: LeaseBatch<'static> = LeaseBatch { records: &[], essential: true, clock: None };

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

    /// True when there is room for what was promised before, and for nothing else.
    fn is_reserved(&self) -> bool {
        matches!(self, LeaseLogError::Store(CommitError::Reserved { .. }))
    }
}

/// What becomes durable together.
#[derive(Clone, Copy, Default, Debug)]
pub struct LeaseBatch<'a> {
    /// A later record of the same address wins.
    pub records: &'a [LeaseRecord],
    /// It only keeps what was promised before, and may use the last room of the store.
    pub essential: bool,
    /// The records are, and all later ones will be, dated by a clock that reads this now.
    pub clock: Option<UnixTime>,
}

/// Where leases become durable.
pub trait LeaseLog: Send + Sync + 'static {
    /// Makes the whole batch durable, or none of it is promised.
    ///
    /// # Errors
    /// When the records may not survive a crash; nothing may be acknowledged then.
    fn commit(&self, batch: &LeaseBatch<'_>) -> impl Future<Output = Result<(), LeaseLogError>> + Send;

    /// False while new leases would not be taken.
    fn takes_new(&self) -> bool;
}

/// Leases in the store.
#[derive(Clone)]
pub struct StoreLog(pub Store);

impl LeaseLog for StoreLog {
    async fn commit(&self, leases: &LeaseBatch<'_>) -> Result<(), LeaseLogError> {
        let mut batch = Batch::new();
        for record in leases.records {
            batch = batch.put(Table::Leases, lease_key(record.address.into()), encode_lease(record)?);
        }
        if let Some(unix) = leases.clock {
            batch = batch.put(Table::Meta, clock::KEY, clock::encode_now(unix)?);
        }
        let batch = if leases.essential { batch.essential() } else { batch };
        self.0.commit(batch).await?;
        Ok(())
    }

    fn takes_new(&self) -> bool {
        *self.0.room().borrow() == Room::Plenty
    }
}

/// One datagram and the number of the socket it came in on.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) socket: usize,
    pub(crate) arrival: Arrival,
    pub(crate) bytes: Vec<u8>,
    /// Addresses it was nearly offered and that were in use.
    pub(crate) conflicts: u8,
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
    pub(crate) probing: Probing,
    /// The lease clock of this run is durable.
    pub(crate) clock_durable: bool,
}

impl<L: LeaseLog> Core<L> {
    /// Decides a batch. When it returns, every lease behind a returned reply is durable.
    pub(crate) async fn turn(&mut self, now: Now, batch: Vec<Received>) -> Vec<Outgoing> {
        let actions: Vec<(usize, Action)> =
            batch.into_iter().filter_map(|datagram| self.decide(now, datagram)).collect();
        let durable = self.commit_actions(actions.iter().map(|(_, action)| action)).await;
        // On a full disk promises are kept by themselves, from the store's reserve.
        let reserved = durable.as_ref().is_err_and(LeaseLogError::is_reserved);
        let kept = if reserved {
            self.commit_actions(actions.iter().map(|(_, action)| action).filter(|action| action.essential))
                .await
        } else {
            Ok(())
        };
        let option_faults = self.responder.option_faults();
        self.tally.add(|counters| {
            counters.batches += 1;
            counters.option_faults = option_faults;
        });
        let durable = durable.as_ref();
        let ending = |action: &Action| if reserved && action.essential { kept.as_ref() } else { durable };
        let outgoing = |(socket, action): (usize, Action)| {
            let ending = ending(&action);
            self.outgoing(socket, action, ending)
        };
        actions.into_iter().map(outgoing).collect()
    }

    /// Once a second: what time alone brings about.
    pub(crate) async fn tick(&mut self, now: Now) {
        self.responder.set_promising(self.log.takes_new());
        let ticked = self.responder.tick(now);
        if let Some(redating) = ticked.redating {
            if self.redate(&redating).await {
                ticked.events.into_iter().for_each(|event| self.events.record(event));
            }
        } else if !self.clock_durable {
            let clock = LeaseBatch { clock: Some(self.responder.lease_clock(now)), ..KEEPING };
            self.clock_durable = self.log.commit(&clock).await.is_ok();
        }
    }

    /// Dates all leases anew. With more than fit one commit, a crash between two of them leaves some dated by the old clock.
    async fn redate(&mut self, redating: &Redating) -> bool {
        let clock = Some(redating.clock.unix);
        let mut parts = redating.records.chunks(REDATED_AT_ONCE);
        let mut part = parts.next().unwrap_or_default();
        loop {
            if let Err(error) = self.log.commit(&LeaseBatch { records: part, clock, ..KEEPING }).await {
                tracing::warn!(
                    error = &error as &dyn Error,
                    "leases keep their old dates for now: the clock was set and the store refuses"
                );
                return false;
            }
            match parts.next() {
                Some(next) => part = next,
                None => break,
            }
        }
        self.responder.redated(redating.clock);
        self.clock_durable = true;
        true
    }

    /// What this datagram leads to now; an offer whose address has to be asked for waits.
    fn decide(&mut self, now: Now, datagram: Received) -> Option<(usize, Action)> {
        let Received { socket, arrival, bytes, conflicts } = datagram;
        if conflicts == 0 {
            self.tally.add(|counters| counters.received += 1);
        }
        match self.responder.handle(now, &arrival, &bytes, self.decider.as_ref()) {
            Outcome::Act(action) if action.probe.is_some() => {
                let datagram = Received { socket, arrival, bytes, conflicts };
                self.ask_first(now, datagram, action).map(|action| (socket, action))
            }
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

    async fn commit_actions(
        &mut self,
        actions: impl Iterator<Item = &Action> + Clone,
    ) -> Result<(), LeaseLogError> {
        let mut all = actions.filter(|action| !action.commit.is_empty());
        let records: Vec<LeaseRecord> =
            all.clone().flat_map(|action| action.commit.iter().cloned()).collect();
        let essential = all.all(|action| action.essential);
        self.commit(&records, essential).await
    }

    pub(crate) async fn commit(
        &mut self,
        records: &[LeaseRecord],
        essential: bool,
    ) -> Result<(), LeaseLogError> {
        if records.is_empty() {
            return Ok(());
        }
        let number = records.len() as u64;
        let done = self.log.commit(&LeaseBatch { records, essential, clock: None }).await;
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
                // Until the next tick finds that it takes leases again.
                self.responder.set_promising(self.log.takes_new());
            }
        }
        done
    }

    /// What is left of an action now that its commit is known.
    pub(crate) fn outgoing(
        &self,
        socket: usize,
        action: Action,
        durable: Result<&(), &LeaseLogError>,
    ) -> Outgoing {
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
