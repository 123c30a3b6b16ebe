//! The one writer: gathers batches from the queue, has the [`Engine`] make them durable together, sends the answers.
//!
//! ```text
//! queue ──► gather (what is there; up to 2 ms more when the last group had several) ──► check preconditions in order
//!   ──► one frame, one write, one fdatasync ──► index taken ──► watchers, answers ──► index applied
//! ```
//! Answers do not wait for the index: sled's thread pool makes an apply take several times the `fdatasync`, and a machine
//! waits for its lease meanwhile. Readers do wait: the index is locked before the first answer leaves, so whoever was
//! answered reads what it wrote.

use crate::engine::{Answer, Engine};
use crate::error::error_chain;
use crate::limits::{CHECKPOINT_RETRY, GATHER_MAX, GROUP_BATCHES_MAX, GROUP_BYTES_MAX, ROOM_CHECK};
use crate::model::{Batch, Revision};
use crate::report::Finding;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How a caller waits.
pub(crate) enum Reply<T> {
    Async(oneshot::Sender<T>),
    Blocking(SyncSender<T>),
}

impl<T> Reply<T> {
    fn send(self, answer: T) {
        // A caller that went away does not want to know.
        match self {
            Reply::Async(sender) => drop(sender.send(answer)),
            Reply::Blocking(sender) => drop(sender.send(answer)),
        }
    }
}

/// What the writer is asked.
pub(crate) enum Request {
    /// Make this durable.
    Commit(Batch, Reply<Answer>),
    /// End the segment; answers the last revision.
    Roll(Reply<Revision>),
    /// Finish.
    Close,
}

/// When a checkpoint is due.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    /// Journal bytes since the last one.
    pub(crate) bytes: u64,
    /// Time since the last one, when anything was committed.
    pub(crate) age: Duration,
}

/// The thread around the engine.
pub(crate) struct Writer {
    engine: Engine,
    requests: Receiver<Request>,
    schedule: Schedule,
    /// When the last checkpoint was begun, or may be tried again.
    since_when: Instant,
    checkpoint: Option<JoinHandle<bool>>,
    /// The last one failed.
    retry: bool,
    last_group: usize,
    /// When room was last looked after.
    looked: Instant,
}

impl Writer {
    pub(crate) fn new(engine: Engine, requests: Receiver<Request>, schedule: Schedule) -> Writer {
        let since_when = Instant::now();
        Writer {
            engine,
            requests,
            schedule,
            since_when,
            checkpoint: None,
            retry: false,
            last_group: 0,
            looked: since_when,
        }
    }

    /// Runs until closed, then leaves everything as a clean end does: checkpoint written, index flushed.
    pub(crate) fn run(mut self) {
        let mut carried = None;
        loop {
            let request = match carried.take() {
                Some(request) => request,
                None => match self.requests.recv_timeout(self.patience()) {
                    Ok(request) => request,
                    Err(RecvTimeoutError::Timeout) => {
                        self.look();
                        self.checkpoint_when_due();
                        continue;
                    }
                    Err(RecvTimeoutError::Disconnected) => break,
                },
            };
            match request {
                Request::Commit(batch, reply) => {
                    let (mut batches, mut replies) = (vec![batch], vec![reply]);
                    carried = self.gather(&mut batches, &mut replies);
                    self.last_group = batches.len();
                    self.engine.commit(batches, |answers| {
                        replies.into_iter().zip(answers).for_each(|(reply, answer)| reply.send(answer));
                    });
                    self.look();
                    self.checkpoint_when_due();
                }
                Request::Roll(reply) => {
                    self.engine.roll();
                    reply.send(Revision(self.engine.revision()));
                }
                Request::Close => break,
            }
        }
        if let Some(running) = self.checkpoint.take() {
            let _ = running.join();
        }
        self.engine.close();
    }

    /// How long nothing may be asked before something is due.
    fn patience(&self) -> Duration {
        let checkpoint = self.schedule.age.min(CHECKPOINT_RETRY);
        if self.engine.wants_look() {
            checkpoint.min(ROOM_CHECK.saturating_sub(self.looked.elapsed()))
        } else {
            checkpoint
        }
    }

    fn look(&mut self) {
        if self.engine.wants_look() && self.looked.elapsed() >= ROOM_CHECK {
            self.engine.look();
            self.looked = Instant::now();
        }
    }

    /// Adds what waits. When the group before had several batches, their senders are likely to come again: waits for as
    /// many, [`GATHER_MAX`] at most. A lone committer never waits.
    fn gather(&self, batches: &mut Vec<Batch>, replies: &mut Vec<Reply<Answer>>) -> Option<Request> {
        let deadline = Instant::now() + GATHER_MAX;
        let mut weight: usize = batches.iter().map(Batch::weight).sum();
        while batches.len() < GROUP_BATCHES_MAX && weight < GROUP_BYTES_MAX {
            let request = match self.requests.try_recv() {
                Ok(request) => request,
                Err(TryRecvError::Empty) if batches.len() < self.last_group => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    match self.requests.recv_timeout(left) {
                        Ok(request) => request,
                        Err(_) => return None,
                    }
                }
                Err(_) => return None,
            };
            match request {
                Request::Commit(batch, reply) => {
                    weight += batch.weight();
                    batches.push(batch);
                    replies.push(reply);
                }
                other => return Some(other),
            }
        }
        None
    }

    fn checkpoint_when_due(&mut self) {
        if let Some(running) = self.checkpoint.take_if(|running| running.is_finished()) {
            self.retry = !running.join().unwrap_or(false);
        }
        let waited = self.since_when.elapsed();
        let since = self.engine.since_checkpoint();
        let due = since >= self.schedule.bytes
            || (since > 0 && waited >= self.schedule.age)
            || (self.retry && waited >= CHECKPOINT_RETRY);
        if !due || self.checkpoint.is_some() || !self.engine.checkpoint_fits() {
            return;
        }
        self.since_when = Instant::now();
        let (shared, revision) = (self.engine.shared().clone(), self.engine.begin_checkpoint());
        let run = move || match shared.checkpoint(revision) {
            Ok(_) => true,
            Err(error) => {
                shared.found(Finding::CheckpointFailed { reason: error_chain(&error) });
                false
            }
        };
        match std::thread::Builder::new().name("store-checkpoint".to_owned()).spawn(run) {
            Ok(handle) => self.checkpoint = Some(handle),
            Err(error) => {
                self.retry = true;
                self.engine.shared().found(Finding::CheckpointFailed { reason: error.to_string() });
            }
        }
    }
}
