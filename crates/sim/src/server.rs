//! An appliance: the real responder over the real store's engine, with the door's loop around them.
//!
//! ```text
//! queue ─► up to a batch ─► handle each ─┬─► (a while) ─► one commit ─► (a while) ─► committed, transmit
//!                                        └─► ask for the address first ─► an offer, or the same datagram again
//! ```
//! The appliance may die in every gap and in the middle of a commit. Only this module and those in it call the responder,
//! and they do so as `crates/dhcp` does.

mod asking;
mod clock;
mod mutant;
mod turn;

pub use mutant::Mutant;

use crate::audit::{Audit, Memory};
use crate::disk::{Death, Disk};
use crate::report::{Book, Promise};
use crate::scenario::Scenario;
use crate::{Seed, place};
use clock::Clock;
use dhcp_proto::asking::Asking;
use dhcp_proto::{Action, Probe, Responder, Settings};
use mutant::Mutation;
use plan::Catalog;
use std::collections::{BTreeSet, VecDeque};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use turn::Turn;
use types::lease::{LeaseRecord, LeaseState};
use types::subnet::DhcpMode;
use types::{Arrival, MacAddr, Transmit, UnixTime};

/// Datagrams waiting to be decided, as the door has it; the kernel drops what comes then.
const QUEUE_MAX: usize = 256;
/// A commit outside of times of trouble.
const COMMIT_GOOD: Duration = Duration::from_millis(2);
/// Starts that may fail in a row: each on one error of the disk.
const FAILED_STARTS_MAX: u32 = 6;
/// Between two of them.
const START_PAUSE: Duration = Duration::from_secs(1);

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

/// What an appliance does to the wire.
#[derive(Debug)]
pub(crate) enum Out {
    /// A reply leaves.
    Reply(Transmit),
    /// It asks who uses an address.
    Ask(Probe),
}

#[derive(Clone)]
struct Received {
    serial: u64,
    arrival: Arrival,
    bytes: Vec<u8>,
    /// Addresses it was nearly offered and that were in use.
    conflicts: u8,
}

pub(crate) struct Server {
    pub(crate) address: Ipv4Addr,
    pub(crate) leases: bool,
    pub(crate) disk: Disk,
    audit: Audit,
    clock: Clock,
    settings: Settings,
    responder: Responder,
    queue: VecDeque<Received>,
    /// Answers to what was asked: address, and whose when it can be told.
    heard: VecDeque<(Ipv4Addr, Option<MacAddr>)>,
    asking: Asking<(Received, Action)>,
    turn: Option<Turn>,
    /// A batch is in the hands of the store.
    commits: bool,
    /// Dead until then, and what it knew.
    down: Option<(Instant, Memory)>,
    /// Starts in a row that failed.
    failed_starts: u32,
    /// Where it dies at its next commit.
    doom: Option<Doom>,
    batch: usize,
    commit_max: Duration,
    /// Datagrams that were answered.
    answered: BTreeSet<u64>,
    mutation: Mutation,
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
            audit: Audit::new(),
            clock: Clock::new(start, &mut seed),
            responder: Responder::new(settings.clone()),
            settings,
            queue: VecDeque::new(),
            heard: VecDeque::new(),
            asking: Asking::default(),
            turn: None,
            commits: false,
            down: None,
            failed_starts: 0,
            doom: None,
            batch: scenario.batch.max(1).into(),
            commit_max: scenario.commit.max(COMMIT_GOOD),
            answered: BTreeSet::new(),
            mutation: Mutation::new(mutant, Seed::new(seed.next_u64())),
            seed,
        };
        match server.disk.open() {
            Ok(()) => server.responder.set_clock(server.clock.start(start, None, UnixTime(0))),
            Err(error) => book.broke(start, Promise::StoreKeeps, error),
        }
        server
    }

    /// What its wall clock reads.
    pub(crate) fn wall(&self, at: Instant) -> UnixTime {
        self.clock.wall(at).unix
    }

    /// Sets the wall clock; false while the machine has no power or only just has.
    pub(crate) fn set_clock(&mut self, at: Instant, to: UnixTime) -> bool {
        self.clock.step(at, to)
    }

    /// It is going to die at its next commit.
    pub(crate) fn doom(&mut self, doom: Doom) {
        self.doom = Some(doom);
    }

    /// The trouble is over.
    pub(crate) fn calm(&mut self) {
        self.disk.set_full(false);
        self.doom = None;
        self.commit_max = COMMIT_GOOD;
    }

    pub(crate) fn is_up(&self) -> bool {
        self.down.is_none()
    }

    /// True when it was told of this address and stands by it for that machine until then.
    pub(crate) fn stands_by(&self, at: Instant, address: Ipv4Addr, mac: MacAddr, until: Instant) -> bool {
        let left = until.saturating_duration_since(at);
        self.audit.keeps(address, mac, self.clock.lease(at).unix.saturating_add(left))
    }

    /// When it has something to do.
    pub(crate) fn due(&self) -> Option<Instant> {
        match (&self.down, &self.turn) {
            (Some((until, _)), _) => Some(*until),
            (None, Some(turn)) => Some(turn.due()),
            (None, None) => self.asking.next_due(),
        }
    }

    /// A datagram comes in.
    pub(crate) fn receive(&mut self, serial: u64, arrival: Arrival, bytes: Vec<u8>) {
        if self.is_up() && self.queue.len() < QUEUE_MAX {
            self.queue.push_back(Received { serial, arrival, bytes, conflicts: 0 });
        }
    }

    /// Somebody says that it uses an address.
    pub(crate) fn hear(&mut self, address: Ipv4Addr, mac: Option<MacAddr>) {
        if self.is_up() {
            self.heard.push_back((address, mac));
        }
    }

    /// Goes on as far as it can by now.
    pub(crate) fn step(&mut self, at: Instant, decider: &Arc<Catalog>, book: &mut Book) -> Vec<Out> {
        let mut out = Vec::new();
        if self.down.as_ref().is_some_and(|(until, _)| *until <= at) {
            self.start_again(at, book);
        }
        while self.is_up() {
            // The order of the door: what was heard, what has waited long enough, what has come in.
            if self.turn.is_some() {
                if !self.go_on(at, &mut out, book) {
                    break;
                }
            } else if let Some((address, mac)) = self.heard.pop_front() {
                self.in_use(at, address, mac, decider, &mut out, book);
            } else if self.asking.next_due().is_some_and(|due| due <= at) {
                self.asked_long_enough(at, &mut out, book);
            } else if !self.queue.is_empty() {
                let take = self.queue.len().min(self.batch);
                let batch = self.queue.drain(..take).collect();
                self.decide(at, batch, decider, &mut out, book);
            } else {
                break;
            }
        }
        out
    }

    /// Once a second, when it is not at work.
    pub(crate) fn tick(&mut self, at: Instant, book: &mut Book) {
        if !self.is_up() || self.turn.is_some() {
            return;
        }
        self.disk.look();
        if self.disk.is_off() {
            return self.die(at, Death::PowerCut, book);
        }
        if let Some(shortage) = self.disk.shortage() {
            book.say(at, || format!("{} has {shortage}", self.address));
        }
        self.responder.set_promising(self.disk.takes_new());
        let ticked = self.responder.tick(self.clock.wall(at));
        if let Some(mut redating) = ticked.redating {
            // In the order of a hash map, which is another in each run.
            redating.records.sort_by_key(|record| record.address);
            let clock = self.clock.stored(at, redating.clock.unix);
            if self.store(at, &redating.records, true, Some(clock), book) == Some(true) {
                self.responder.redated(redating.clock);
                self.clock.taken_over(redating.clock);
                self.audit.redated();
                book.say(at, || format!("{} dates its leases anew", self.address));
            }
        } else if !self.clock.is_durable() {
            let clock = self.clock.stored(at, self.clock.lease(at).unix);
            if self.store(at, &[], true, Some(clock), book) == Some(true) {
                self.clock.set_durable();
            }
        }
        if self.is_up() {
            self.audit.counters(self.clock.lease(at), &self.responder, book);
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
        self.heard.clear();
        self.asking = Asking::default();
        self.disk.die(death);
        if death == Death::PowerCut {
            self.clock.lose_power(at, &mut self.seed);
        }
        let downtime = Duration::from_millis(100 + self.seed.below(20_000));
        self.down = Some((at + downtime, memory));
    }

    fn start_again(&mut self, at: Instant, book: &mut Book) {
        let Some((_, memory)) = self.down.take() else { return };
        let mut found: Vec<LeaseRecord> = match self.disk.open().and_then(|()| self.disk.all()) {
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
        let lasting = found.iter().filter(|record| record.state != LeaseState::Quarantined);
        let latest = lasting.map(|record| record.granted).max().unwrap_or_default();
        let stored = found.clone();
        self.mutation.loads(&mut found);
        self.responder = Responder::new(self.settings.clone());
        self.responder.set_clock(self.clock.start(at, self.disk.clock(), latest));
        self.audit.clock_changes_hands();
        if self.clock.is_of_a_new_boot() {
            self.audit.clock_falls_behind();
        }
        self.responder.load(found);
        // Only anchors what was loaded; a clock that was set meanwhile is noticed at the next tick.
        self.responder.tick(self.clock.wall(at));
        self.audit.restarted(self.clock.lease(at), memory, &stored, &self.responder, book);
    }
}
