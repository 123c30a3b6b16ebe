//! One batch: decide each datagram, make all leases durable at once, send. A model of `crates/dhcp/src/commit.rs`.

use super::{Doom, Mutant, Out, Received, Server};
use crate::disk::{Death, StoredClock};
use crate::report::{Book, Promise};
use dhcp_proto::wire::{Message, MessageType};
use dhcp_proto::{Action, IgnoreReason, Outcome};
use plan::Catalog;
use std::sync::Arc;
use std::time::{Duration, Instant};
use types::Transmit;
use types::lease::LeaseRecord;

/// A batch that was decided.
pub(super) struct Turn {
    actions: Vec<(u64, Action)>,
    records: Vec<LeaseRecord>,
    commit_at: Instant,
    send_at: Instant,
    /// What the store said, once it was asked.
    durable: Option<bool>,
}

impl Turn {
    pub(super) fn due(&self) -> Instant {
        if self.durable.is_some() { self.send_at } else { self.commit_at }
    }
}

impl Server {
    /// Decides a batch; it is this appliance's turn from now on.
    pub(super) fn decide(
        &mut self,
        at: Instant,
        batch: Vec<Received>,
        decider: &Arc<Catalog>,
        out: &mut Vec<Out>,
        book: &mut Book,
    ) {
        let mut actions = Vec::new();
        for datagram in batch {
            let Received { serial, arrival, bytes, .. } = &datagram;
            let serial = *serial;
            let outcome = self.responder.handle(self.clock.wall(at), arrival, bytes, decider);
            let Ok(request) = Message::decode(bytes) else { continue };
            match outcome {
                Outcome::Act(mut action) => {
                    let reply = self.mutation.decided(&mut action);
                    let (now, hold) = (self.clock.lease(at), self.settings.offer_hold);
                    self.audit.decided(now, &request, reply.as_ref(), &action.commit, hold, book);
                    match action.probe {
                        Some(probe) => self.ask_first(at, datagram, action, probe, out),
                        None => actions.push((serial, action)),
                    }
                }
                Outcome::Ignore(reason, _) => {
                    book.say(at, || format!("{} ignores #{serial}: {}", self.address, reason.as_str()));
                    if reason == IgnoreReason::OtherServerChosen {
                        self.audit.went_elsewhere(&request);
                    }
                }
                Outcome::Refuse(_) => {}
            }
        }
        if self.mutation.is(Mutant::SendsBeforeCommit) {
            for (serial, action) in &mut actions {
                if let Some(transmit) = action.transmit.take() {
                    self.transmit(at, *serial, transmit, &[], out, book);
                }
            }
        }
        self.turn = Some(self.planned(at, actions));
    }

    fn planned(&mut self, at: Instant, actions: Vec<(u64, Action)>) -> Turn {
        let records: Vec<LeaseRecord> =
            actions.iter().flat_map(|(_, action)| action.commit.iter().cloned()).collect();
        if records.is_empty() {
            return Turn { actions, records, commit_at: at, send_at: at, durable: Some(true) };
        }
        let max = u64::try_from(self.commit_max.as_micros()).unwrap_or(u64::MAX);
        let mut half = || Duration::from_micros(self.seed.below(max) / 2);
        let commit_at = at + half();
        Turn { actions, records, commit_at, send_at: commit_at + half(), durable: None }
    }

    /// The next step of the present turn; false when its time has not come.
    pub(super) fn go_on(&mut self, at: Instant, out: &mut Vec<Out>, book: &mut Book) -> bool {
        let Some(mut turn) = self.turn.take_if(|turn| turn.due() <= at) else { return false };
        if turn.durable.is_some() {
            self.finish(at, turn, out, book);
            return true;
        }
        let promises = turn.actions.iter().filter(|(_, action)| !action.commit.is_empty());
        let essential = promises.clone().all(|(_, action)| action.essential);
        turn.durable = self.store(at, &turn.records, essential, None, book);
        // Dead is dead: then the turn is gone too.
        if let Some(taken) = turn.durable {
            if taken {
                self.responder.committed(&turn.records);
            } else {
                self.responder.set_promising(self.disk.takes_new());
            }
            self.turn = Some(turn);
        }
        true
    }

    /// One commit; `None` when the appliance died of it.
    pub(super) fn store(
        &mut self,
        at: Instant,
        records: &[LeaseRecord],
        essential: bool,
        clock: Option<StoredClock>,
        book: &mut Book,
    ) -> Option<bool> {
        self.commits = true;
        let answer = self.ask_store(at, records, essential, clock, book);
        self.commits = false;
        answer
    }

    fn ask_store(
        &mut self,
        at: Instant,
        records: &[LeaseRecord],
        essential: bool,
        clock: Option<StoredClock>,
        book: &mut Book,
    ) -> Option<bool> {
        if self.mutation.is(Mutant::CommitsNothing) {
            return Some(true);
        }
        let doom = self.doom.take();
        match doom {
            Some(Doom::Before(death)) => {
                self.die(at, death, book);
                return None;
            }
            Some(Doom::During(operations)) => self.disk.cut_after(operations),
            Some(Doom::After(_)) | None => {}
        }
        let done = self.disk.commit(records, essential, clock);
        self.audit.committed(records, done.is_ok());
        match &done {
            Ok(()) => book.counts().commits += 1,
            Err(_) => book.counts().failed_commits += 1,
        }
        book.say(at, || {
            let records = records.iter().map(|record| format!("{} {:?}", record.address, record.state));
            format!("{} commits {}: {done:?}", self.address, records.collect::<Vec<_>>().join(", "))
        });
        if self.disk.is_off() {
            book.counts().torn += 1;
            self.die(at, Death::PowerCut, book);
            return None;
        }
        if let Some(Doom::After(death)) = doom {
            self.die(at, death, book);
            return None;
        }
        Some(done.is_ok())
    }

    /// What is left of a batch now that its commit is known.
    fn finish(&mut self, at: Instant, turn: Turn, out: &mut Vec<Out>, book: &mut Book) {
        let taken = turn.durable == Some(true);
        let trusts = taken && !self.mutation.is(Mutant::CommitsNothing);
        let durable = if trusts { &*turn.records } else { &[] };
        for (serial, action) in turn.actions {
            let failed = !taken && !action.commit.is_empty();
            let Some(transmit) = (if failed { action.fallback } else { action.transmit }) else { continue };
            if self.mutation.replies_twice() {
                self.transmit(at, serial, transmit.clone(), durable, out, book);
            }
            self.transmit(at, serial, transmit, durable, out, book);
        }
    }

    /// A reply leaves. `durable`: what the store took with its batch.
    pub(super) fn transmit(
        &mut self,
        at: Instant,
        serial: u64,
        mut transmit: Transmit,
        durable: &[LeaseRecord],
        out: &mut Vec<Out>,
        book: &mut Book,
    ) {
        self.mutation.sends(&mut transmit);
        if let Ok(reply) = Message::decode(&transmit.payload) {
            book.say(at, || {
                let kind = reply.message_type().map_or("?", MessageType::as_str);
                format!("{} answers #{serial}: {kind} {} to {:?}", self.address, reply.yiaddr, reply.mac())
            });
            self.audit.leaves(self.clock.lease(at), &reply, durable, &self.disk, book);
            book.check(at, self.leases || reply.yiaddr.is_unspecified(), Promise::ProxyNeverLeases, || {
                format!("{} grants {} beside another server", self.address, reply.yiaddr)
            });
        }
        book.check(at, self.answered.insert(serial), Promise::OneReply, || {
            format!("datagram {serial} is answered twice")
        });
        out.push(Out::Reply(transmit));
    }
}
