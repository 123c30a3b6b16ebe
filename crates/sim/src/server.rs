//! An appliance: the real responder over the real store, with the door's loop around them.
//!
//! ```text
//! queue ─► up to a batch ─► handle each ─► (a while) ─► one commit ─► (a while) ─► committed, transmit
//! ```
//! The appliance may die in every gap and in the middle of the commit. This is the only module that calls the responder.

use crate::audit::{Audit, Memory};
use crate::disk::{Death, Disk};
use crate::report::{Book, Promise};
use crate::scenario::Scenario;
use crate::{Seed, place};
use dhcp_proto::wire::{Encoding, Message, MessageType, code};
use dhcp_proto::{Action, IgnoreReason, Outcome, Responder, Settings};
use plan::Catalog;
use std::collections::{BTreeSet, VecDeque};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use types::lease::LeaseRecord;
use types::subnet::DhcpMode;
use types::{Arrival, Now, Transmit, UnixTime};

/// Datagrams waiting to be decided, as the door has it; the kernel drops what comes then.
const QUEUE_MAX: usize = 256;
/// A commit outside of times of trouble.
const COMMIT_GOOD: Duration = Duration::from_millis(2);

/// Starts that may fail in a row: each on one error of the disk.
const FAILED_STARTS_MAX: u32 = 6;
/// Between two of them.
const START_PAUSE: Duration = Duration::from_secs(1);

/// A shell that breaks a promise, to show that the checks notice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mutant {
    /// Replies leave before the commit.
    SendsBeforeCommit,
    /// Nothing is committed, and success is reported.
    CommitsNothing,
    /// One record is not loaded at start.
    ForgetsARecord,
    /// Offers go out with an address that was offered to another.
    OffersWhatIsHeld,
    /// A renewal is answered with half the time.
    ShortensLeases,
    /// An ACK promises twice the time that was written down.
    PromisesMore,
    /// Some replies are sent twice.
    RepliesTwice,
    /// Quarantine is left out of what is committed and told.
    ForgetsQuarantine,
}

/// Where an appliance is going to die.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Doom {
    /// A batch is decided, nothing is written.
    Before(Death),
    /// Its power goes at this operation of a commit or what follows.
    During(u64),
    /// The commit is made, nothing is sent.
    After(Death),
}

struct Received {
    serial: u64,
    arrival: Arrival,
    bytes: Vec<u8>,
}

/// A batch that was decided.
struct Turn {
    actions: Vec<(u64, Action)>,
    records: Vec<LeaseRecord>,
    commit_at: Instant,
    send_at: Instant,
    /// What the store said, once it was asked.
    durable: Option<bool>,
}

pub(crate) struct Server {
    pub(crate) address: Ipv4Addr,
    pub(crate) leases: bool,
    pub(crate) disk: Disk,
    pub(crate) audit: Audit,
    settings: Settings,
    responder: Responder,
    queue: VecDeque<Received>,
    turn: Option<Turn>,
    /// Dead until then, and what it knew.
    down: Option<(Instant, Memory)>,
    /// A batch is in the hands of the store.
    commits: bool,
    /// Starts in a row that failed.
    failed_starts: u32,
    batch: usize,
    commit_max: Duration,
    /// Virtual milliseconds since 1970 at the start, plus what the clock was moved by.
    wall_millis: u64,
    start: Instant,
    mutant: Option<Mutant>,
    last_offer: Option<(Ipv4Addr, Message)>,
    /// Where it dies at its next commit.
    doom: Option<Doom>,
    /// Datagrams that were answered.
    answered: BTreeSet<u64>,
    seed: Seed,
}

impl Server {
    pub(crate) fn new(
        scenario: &Scenario,
        number: u8,
        mutant: Option<Mutant>,
        start: Instant,
        mut seed: Seed,
        book: &mut Book,
    ) -> Server {
        let settings = place::settings(scenario, number);
        let leases = settings.subnets.iter().any(|subnet| subnet.mode == DhcpMode::Server);
        let mut server = Server {
            address: place::appliance(number),
            leases,
            disk: Disk::new(Seed::new(seed.next_u64())),
            audit: Audit::default(),
            responder: Responder::new(settings.clone()),
            settings,
            queue: VecDeque::new(),
            turn: None,
            down: None,
            commits: false,
            failed_starts: 0,
            batch: scenario.batch.max(1).into(),
            commit_max: scenario.commit.max(COMMIT_GOOD),
            wall_millis: 1_800_000_000_000 + seed.below(1000),
            start,
            mutant,
            last_offer: None,
            doom: None,
            answered: BTreeSet::new(),
            seed,
        };
        if let Err(error) = server.disk.open() {
            book.broke(start, Promise::StoreKeeps, error);
        }
        server
    }

    /// Both clocks.
    pub(crate) fn now(&self, at: Instant) -> Now {
        let passed = u64::try_from(at.saturating_duration_since(self.start).as_millis()).unwrap_or(0);
        Now { instant: at, unix: UnixTime(self.wall_millis.saturating_add(passed) / 1000) }
    }

    /// Sets the wall clock.
    pub(crate) fn set_clock(&mut self, at: Instant, to: UnixTime) {
        let passed = u64::try_from(at.saturating_duration_since(self.start).as_millis()).unwrap_or(0);
        self.wall_millis = to.0.saturating_mul(1000).saturating_sub(passed);
        self.audit.clock_moved = true;
    }

    /// The trouble is over.
    pub(crate) fn calm(&mut self) {
        self.disk.set_full(false);
        self.doom = None;
        self.commit_max = COMMIT_GOOD;
    }

    /// It is going to die at its next commit.
    pub(crate) fn doom(&mut self, doom: Doom) {
        self.doom = Some(doom);
    }

    pub(crate) fn is_up(&self) -> bool {
        self.down.is_none()
    }

    /// When it has something to do.
    pub(crate) fn due(&self) -> Option<Instant> {
        match (&self.down, &self.turn) {
            (Some((until, _)), _) => Some(*until),
            (None, Some(turn)) if turn.durable.is_none() => Some(turn.commit_at),
            (None, Some(turn)) => Some(turn.send_at),
            (None, None) => None,
        }
    }

    /// A datagram comes in.
    pub(crate) fn receive(&mut self, serial: u64, arrival: Arrival, bytes: Vec<u8>) {
        if self.is_up() && self.queue.len() < QUEUE_MAX {
            self.queue.push_back(Received { serial, arrival, bytes });
        }
    }

    /// Goes on as far as it can by now. Returns what it sends, each with the datagram that caused it.
    pub(crate) fn step(
        &mut self,
        at: Instant,
        decider: &Arc<Catalog>,
        book: &mut Book,
    ) -> Vec<(u64, Transmit)> {
        let mut sent = Vec::new();
        if self.down.as_ref().is_some_and(|(until, _)| *until <= at) {
            self.start_again(at, book);
        }
        while self.is_up() {
            match self.turn.take() {
                None if self.queue.is_empty() => break,
                None => {
                    let turn = self.decide(at, decider, book);
                    self.turn = Some(turn);
                    if self.mutant == Some(Mutant::SendsBeforeCommit)
                        && let Some(turn) = &self.turn
                    {
                        let replies: Vec<_> = turn
                            .actions
                            .iter()
                            .filter_map(|(serial, action)| Some((*serial, action.transmit.clone()?)))
                            .collect();
                        for (serial, transmit) in replies {
                            self.transmit(at, serial, transmit, &[], &mut sent, book);
                        }
                    }
                }
                Some(mut turn) if turn.durable.is_none() && turn.commit_at <= at => {
                    self.commits = true;
                    turn.durable = self.commit(at, &turn.records, book);
                    self.commits = false;
                    if turn.durable.is_some() {
                        self.turn = Some(turn);
                    }
                }
                Some(turn) if turn.durable.is_some() && turn.send_at <= at => {
                    self.finish(at, turn, &mut sent, book);
                }
                waiting => {
                    self.turn = waiting;
                    break;
                }
            }
        }
        sent
    }

    /// Decides a batch.
    fn decide(&mut self, at: Instant, decider: &Arc<Catalog>, book: &mut Book) -> Turn {
        let now = self.now(at);
        let mut actions = Vec::new();
        for _ in 0..self.batch {
            let Some(Received { serial, arrival, bytes }) = self.queue.pop_front() else { break };
            let outcome = self.responder.handle(now, &arrival, &bytes, decider);
            let Ok(request) = Message::decode(&bytes) else { continue };
            match outcome {
                Outcome::Act(mut action) => {
                    if self.mutant == Some(Mutant::ForgetsQuarantine) {
                        action.commit.retain(|record| record.state != types::lease::LeaseState::Quarantined);
                    }
                    let reply = action.transmit.as_ref();
                    let reply = reply.and_then(|transmit| Message::decode(&transmit.payload).ok());
                    let reply = self.mutate_offer(&mut action, reply);
                    let hold = self.settings.offer_hold;
                    self.audit.decided(now, &request, reply.as_ref(), &action.commit, hold, book);
                    actions.push((serial, action));
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
        let records: Vec<LeaseRecord> =
            actions.iter().flat_map(|(_, action)| action.commit.iter().cloned()).collect();
        if records.is_empty() {
            return Turn { actions, records, commit_at: at, send_at: at, durable: Some(true) };
        }
        let max = u64::try_from(self.commit_max.as_micros()).unwrap_or(u64::MAX);
        let (before, after) = (self.seed.below(max), self.seed.below(max));
        let commit_at = at + Duration::from_micros(before / 2);
        Turn {
            actions,
            records,
            commit_at,
            send_at: commit_at + Duration::from_micros(after / 2),
            durable: None,
        }
    }

    /// One commit for the batch; `None` when the appliance died of it.
    fn commit(&mut self, at: Instant, records: &[LeaseRecord], book: &mut Book) -> Option<bool> {
        if self.mutant == Some(Mutant::CommitsNothing) {
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
        let done = self.disk.commit(records);
        let taken = done.is_ok();
        self.audit.committed(records, taken);
        match &done {
            Ok(()) => book.counts().commits += 1,
            Err(_) => book.counts().failed_commits += 1,
        }
        book.say(at, || {
            let addresses: Vec<_> =
                records.iter().map(|record| format!("{} {:?}", record.address, record.state)).collect();
            format!("{} commits {}: {:?}", self.address, addresses.join(", "), done)
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
        Some(taken)
    }

    /// What is left of a batch now that its commit is known.
    fn finish(&mut self, at: Instant, turn: Turn, sent: &mut Vec<(u64, Transmit)>, book: &mut Book) {
        let taken = turn.durable == Some(true);
        if taken {
            self.responder.committed(&turn.records);
        }
        if self.mutant == Some(Mutant::SendsBeforeCommit) {
            return;
        }
        let trusts = taken && self.mutant != Some(Mutant::CommitsNothing);
        let durable = if trusts { &*turn.records } else { &[] };
        for (serial, action) in turn.actions {
            let failed = !taken && !action.commit.is_empty();
            if let Some(transmit) = if failed { action.fallback } else { action.transmit } {
                if self.mutant == Some(Mutant::RepliesTwice) && self.seed.chance(50) {
                    self.transmit(at, serial, transmit.clone(), durable, sent, book);
                }
                self.transmit(at, serial, transmit, durable, sent, book);
            }
        }
    }

    fn transmit(
        &mut self,
        at: Instant,
        serial: u64,
        mut transmit: Transmit,
        durable: &[LeaseRecord],
        sent: &mut Vec<(u64, Transmit)>,
        book: &mut Book,
    ) {
        self.mutate_ack(&mut transmit);
        let now = self.now(at);
        if let Ok(reply) = Message::decode(&transmit.payload) {
            self.audit.leaves(now, &reply, durable, &self.disk, book);
            book.check(at, self.leases || reply.yiaddr.is_unspecified(), Promise::ProxyNeverLeases, || {
                format!("{} grants {} beside another server", self.address, reply.yiaddr)
            });
            book.say(at, || {
                let kind = reply.message_type().map_or("?", MessageType::as_str);
                format!("{} answers #{serial}: {kind} {} to {:?}", self.address, reply.yiaddr, reply.mac())
            });
        }
        book.check(at, self.answered.insert(serial), Promise::OneReply, || {
            format!("datagram {serial} is answered twice")
        });
        sent.push((serial, transmit));
    }

    /// Once a second, when it is not at work.
    pub(crate) fn tick(&mut self, at: Instant, book: &mut Book) {
        if self.is_up() && self.turn.is_none() {
            let now = self.now(at);
            self.responder.tick(now);
            self.audit.counters(now, &self.responder, book);
        }
    }

    /// Writes a checkpoint, and may die of it.
    pub(crate) fn checkpoint(&mut self, at: Instant, book: &mut Book) {
        if self.is_up() {
            book.counts().checkpoints += u64::from(self.disk.checkpoint());
            if self.disk.is_off() {
                self.die(at, Death::PowerCut, book);
            }
        }
    }

    /// Dies, whatever it is doing.
    pub(crate) fn die(&mut self, at: Instant, death: Death, book: &mut Book) {
        if !self.is_up() {
            return;
        }
        book.say(at, || format!("{} dies: {death:?}", self.address));
        book.counts().crashes += 1;
        let memory = self.audit.died(&self.responder, self.commits || self.turn.is_some());
        self.turn = None;
        self.queue.clear();
        self.last_offer = None;
        self.disk.die(death);
        let downtime = Duration::from_millis(100 + self.seed.below(20_000));
        self.down = Some((at + downtime, memory));
    }

    fn start_again(&mut self, at: Instant, book: &mut Book) {
        let Some((_, memory)) = self.down.take() else { return };
        let mut found = match self.disk.open().and_then(|()| self.disk.all()) {
            Ok(found) => found,
            Err(error) => {
                // A disk that refuses once is tried again, as the service manager does. One without room is no reason.
                self.failed_starts += 1;
                book.check(at, self.failed_starts <= FAILED_STARTS_MAX, Promise::StoreKeeps, || error);
                self.disk.die(Death::Killed);
                self.down = Some((at + START_PAUSE, memory));
                return;
            }
        };
        self.failed_starts = 0;
        if let Some(odd) = self.disk.oddity() {
            book.broke(at, Promise::StoreKeeps, odd);
        }
        book.say(at, || format!("{} is back with {} records", self.address, found.len()));
        self.audit.opened(at, &found, book);
        let stored = found.clone();
        if self.mutant == Some(Mutant::ForgetsARecord) {
            found.pop();
        }
        self.responder = Responder::new(self.settings.clone());
        self.responder.load(found);
        let now = self.now(at);
        self.responder.tick(now);
        self.audit.restarted(now, memory, &stored, &self.responder, book);
    }

    fn mutate_offer(&mut self, action: &mut Action, reply: Option<Message>) -> Option<Message> {
        let mut reply = reply?;
        if self.mutant == Some(Mutant::OffersWhatIsHeld) && reply.message_type() == Some(MessageType::Offer) {
            let last = self.last_offer.replace((reply.yiaddr, reply.clone()));
            if let Some((address, other)) = last.filter(|(_, other)| other.mac() != reply.mac()) {
                reply.yiaddr = address;
                drop(other);
                rewrite(action.transmit.as_mut(), &reply);
            }
        }
        Some(reply)
    }

    fn mutate_ack(&mut self, transmit: &mut Transmit) {
        let Some(mutant) = self.mutant else { return };
        let Ok(mut reply) = Message::decode(&transmit.payload) else { return };
        let lease = reply.options.u32(code::LEASE_TIME);
        let Some(lease) = lease.filter(|_| reply.message_type() == Some(MessageType::Ack)) else { return };
        let changed = match mutant {
            Mutant::ShortensLeases if !reply.ciaddr.is_unspecified() => lease / 4,
            Mutant::PromisesMore => lease.saturating_mul(2),
            _ => return,
        };
        reply.options.set_u32(code::LEASE_TIME, changed);
        rewrite(Some(transmit), &reply);
    }

    /// True when it was told of this address and stands by it for that machine until then.
    pub(crate) fn stands_by(
        &self,
        at: Instant,
        address: Ipv4Addr,
        mac: types::MacAddr,
        until: Instant,
    ) -> bool {
        let left = until.saturating_duration_since(at);
        self.audit.keeps(address, mac, self.now(at).unix.saturating_add(left))
    }
}

fn rewrite(transmit: Option<&mut Transmit>, reply: &Message) {
    if let (Some(transmit), Ok(encoded)) = (transmit, reply.encode(&[], &Encoding::default())) {
        transmit.payload = encoded.bytes;
    }
}
