//! The one writer: gathers batches, checks them in order, makes them durable together, applies them, answers.
//!
//! ```text
//! queue ──► gather (what is there; up to 2 ms more when the last group had several) ──► check preconditions in order
//!   ──► one frame, one write, one fdatasync ──► index taken ──► watchers, answers ──► index applied
//! ```
//! Answers do not wait for the index: sled's thread pool makes an apply take several times the `fdatasync`, and a machine
//! waits for its lease meanwhile. Readers do wait: the index is locked before the first answer leaves, so whoever was
//! answered reads what it wrote.
//!
//! A group fails as a whole: when the disk refuses, every batch in it is answered with the error, also those whose
//! precondition failed, for that may have been the doing of a batch that now does not exist.

use crate::disk::Disk;
use crate::envelope;
use crate::error::CommitError;
use crate::frame;
use crate::index::Index;
use crate::journal::Journal;
use crate::limits::{CHECKPOINT_RETRY, GATHER_MAX, GROUP_BATCHES_MAX, GROUP_BYTES_MAX};
use crate::model::{Batch, Change, Expect, Revision, full_key, record_name};
use crate::report::Finding;
use crate::shared::Shared;
use crate::truth::Position;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError};
use std::sync::{Arc, PoisonError, RwLockWriteGuard};
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

type Answer = Result<Revision, CommitError>;

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

/// The new envelope of each key a group touches; `None` is a removed record.
type Overlay = HashMap<Vec<u8>, Option<Vec<u8>>>;

pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) journal: Journal,
    pub(crate) requests: Receiver<Request>,
    pub(crate) schedule: Schedule,
    /// Journal bytes written since the last checkpoint was begun.
    since: u64,
    /// When it was begun, or may be tried again.
    since_when: Instant,
    checkpoint: Option<JoinHandle<bool>>,
    /// The last one failed.
    retry: bool,
    last_group: usize,
}

impl Writer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        journal: Journal,
        requests: Receiver<Request>,
        schedule: Schedule,
    ) -> Writer {
        let since_when = Instant::now();
        Writer {
            shared,
            journal,
            requests,
            schedule,
            since: 0,
            since_when,
            checkpoint: None,
            retry: false,
            last_group: 0,
        }
    }

    /// Runs until closed, then leaves everything as a clean end does: checkpoint written, index flushed.
    pub(crate) fn run(mut self) {
        let mut carried = None;
        loop {
            let request = match carried.take() {
                Some(request) => request,
                None => match self.requests.recv_timeout(self.schedule.age.min(CHECKPOINT_RETRY)) {
                    Ok(request) => request,
                    Err(RecvTimeoutError::Timeout) => {
                        self.checkpoint_when_due();
                        continue;
                    }
                    Err(RecvTimeoutError::Disconnected) => break,
                },
            };
            match request {
                Request::Commit(batch, reply) => {
                    let mut group = vec![(batch, reply)];
                    carried = self.gather(&mut group);
                    self.last_group = group.len();
                    self.commit(group);
                    self.checkpoint_when_due();
                }
                Request::Roll(reply) => {
                    self.journal.roll();
                    reply.send(Revision(self.journal.next() - 1));
                }
                Request::Close => break,
            }
        }
        self.close();
    }

    /// Adds what waits. When the group before had several batches, their senders are likely to come again: waits for as
    /// many, [`GATHER_MAX`] at most. A lone committer never waits.
    fn gather(&self, group: &mut Vec<(Batch, Reply<Answer>)>) -> Option<Request> {
        let deadline = Instant::now() + GATHER_MAX;
        let mut weight: usize = group.iter().map(|(batch, _)| batch.weight()).sum();
        while group.len() < GROUP_BATCHES_MAX && weight < GROUP_BYTES_MAX {
            let request = match self.requests.try_recv() {
                Ok(request) => request,
                Err(TryRecvError::Empty) if group.len() < self.last_group => {
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
                    group.push((batch, reply));
                }
                other => return Some(other),
            }
        }
        None
    }

    fn commit(&mut self, group: Vec<(Batch, Reply<Answer>)>) {
        let position = self.shared.index().position();
        let mut digest = position.digest;
        let mut overlay = Overlay::new();
        let mut accepted: Vec<Vec<Change>> = Vec::new();
        let mut answers: Vec<(Reply<Answer>, Answer)> = Vec::with_capacity(group.len());
        for (batch, reply) in group {
            let before = Revision(self.journal.next() + accepted.len() as u64 - 1);
            let answer = self.check(&batch, &overlay).and_then(|()| {
                if batch.changes.is_empty() {
                    return Ok(before);
                }
                let revision = before.0 + 1;
                digest = self.overlay(&batch.changes, revision, digest, &mut overlay)?;
                accepted.push(batch.changes);
                Ok(Revision(revision))
            });
            answers.push((reply, answer));
        }
        let shared = self.shared.clone();
        let mut applied = None;
        let mut failed = None;
        if !accepted.is_empty() {
            match self.make_durable(&accepted, digest) {
                Ok(position) => applied = Some((shared.index_mut(), position)),
                Err(error) => failed = Some(error),
            }
        }
        if applied.is_some() {
            let watchers = shared.watchers.read().unwrap_or_else(PoisonError::into_inner);
            let first = self.journal.next() - accepted.len() as u64;
            for (revision, changes) in (first..).zip(&accepted) {
                watchers.publish(Revision(revision), changes);
            }
        }
        for (reply, answer) in answers {
            reply.send(match &failed {
                Some(error) => Err(error.clone()),
                None => answer,
            });
        }
        if let Some((index, position)) = applied {
            apply(&shared, index, overlay, position);
        }
    }

    /// The record as it will be when everything accepted so far in this group is durable.
    fn envelope(&self, key: &[u8], overlay: &Overlay) -> Result<Option<Vec<u8>>, CommitError> {
        match overlay.get(key) {
            Some(envelope) => Ok(envelope.clone()),
            None => {
                self.shared.read(|index| index.envelope(key)).map_err(|source| CommitError::Index { source })
            }
        }
    }

    fn check(&self, batch: &Batch, overlay: &Overlay) -> Result<(), CommitError> {
        for condition in &batch.preconditions {
            let key = full_key(condition.table, &condition.key);
            let envelope = self.envelope(&key, overlay)?;
            let found = envelope.and_then(|envelope| envelope::revision(&key, &envelope)).map(Revision);
            let holds = match condition.expect {
                Expect::Absent => found.is_none(),
                Expect::Revision(expected) => found == Some(expected),
                Expect::Any => found.is_some(),
            };
            if !holds {
                let (table, expected) = (condition.table, condition.expect);
                return Err(CommitError::Conflict { table, record: record_name(&key), expected, found });
            }
        }
        Ok(())
    }

    /// Lays a batch over the index; answers the digest after it.
    fn overlay(
        &self,
        changes: &[Change],
        revision: u64,
        mut digest: u64,
        overlay: &mut Overlay,
    ) -> Result<u64, CommitError> {
        // Everything that may fail first: a batch is laid over whole or not at all.
        let mut old = Vec::with_capacity(changes.len());
        for change in changes {
            let key = full_key(change.table, &change.key);
            let envelope = self.envelope(&key, overlay)?;
            old.push((key, envelope));
        }
        for (change, (key, old)) in changes.iter().zip(old) {
            let new = change.value.as_ref().map(|value| envelope::seal(&key, revision, value));
            let old = match overlay.entry(key) {
                // A key may come twice in one batch.
                Entry::Occupied(mut entry) => entry.insert(new.clone()),
                Entry::Vacant(entry) => {
                    entry.insert(new.clone());
                    old
                }
            };
            digest = digest.wrapping_add(new.as_deref().map_or(0, envelope::digest));
            digest = digest.wrapping_sub(old.as_deref().map_or(0, envelope::digest));
        }
        Ok(digest)
    }

    /// Answers where everything stands once this is applied.
    fn make_durable(&mut self, accepted: &[Vec<Change>], digest: u64) -> Result<Position, CommitError> {
        let batches = accepted.len() as u64;
        let (bytes, crc) = frame::encode(
            self.journal.chain(),
            self.journal.next(),
            digest,
            accepted.iter().map(Vec::as_slice),
        );
        let written = self.journal.append(&bytes, crc, batches);
        self.say_whether_read_only(written.as_ref().err());
        written.map_err(|source| CommitError::Journal { source: Arc::new(source) })?;
        self.since += bytes.len() as u64;
        Ok(Position { revision: self.journal.next() - 1, chain: crc, digest })
    }

    fn say_whether_read_only(&self, error: Option<&std::io::Error>) {
        let mut read_only = self.shared.read_only.lock().unwrap_or_else(PoisonError::into_inner);
        match (error, read_only.is_some()) {
            (Some(error), false) => {
                *read_only = Some(error.to_string());
                drop(read_only);
                self.shared.found(Finding::JournalReadOnly { reason: error.to_string() });
            }
            (Some(error), true) => *read_only = Some(error.to_string()),
            (None, true) => {
                *read_only = None;
                tracing::info!("store: the journal can be written again");
            }
            (None, false) => {}
        }
    }

    fn checkpoint_when_due(&mut self) {
        if let Some(running) = self.checkpoint.take_if(|running| running.is_finished()) {
            self.retry = !running.join().unwrap_or(false);
        }
        let waited = self.since_when.elapsed();
        let due = self.since >= self.schedule.bytes
            || (self.since > 0 && waited >= self.schedule.age)
            || (self.retry && waited >= CHECKPOINT_RETRY);
        if !due || self.checkpoint.is_some() {
            return;
        }
        self.journal.roll();
        self.since = 0;
        self.since_when = Instant::now();
        let (shared, revision) = (self.shared.clone(), self.journal.next() - 1);
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
                self.shared.found(Finding::CheckpointFailed { reason: error.to_string() });
            }
        }
    }

    fn close(mut self) {
        if let Some(running) = self.checkpoint.take() {
            let _ = running.join();
        }
        if let Err(error) = self.journal.recover() {
            tracing::warn!(%error, "store: a refused commit may come back at the next start");
        }
        self.journal.roll();
        let revision = self.journal.next() - 1;
        if revision > 0
            && let Err(error) = self.shared.checkpoint(revision)
        {
            // The journal has it all.
            self.shared.found(Finding::CheckpointFailed { reason: error_chain(&error) });
        }
        self.shared.watchers.write().unwrap_or_else(PoisonError::into_inner).close();
        self.shared.index_mut().close();
    }
}

/// Brings the index to `position`, which is durable: whatever the index does now, it must come to contain it. Reads never
/// show a past in which it was not acknowledged: they wait, or meet an index that says it failed.
fn apply(shared: &Shared, mut index: RwLockWriteGuard<'_, Index>, overlay: Overlay, position: Position) {
    let Err(fault) = index.apply(overlay, position) else { return };
    let generation = index.generation();
    index.fail(&fault, position);
    drop(index);
    if let Err(error) = shared.heal(&fault, generation) {
        shared.found(Finding::IndexLost { reason: error_chain(&error) });
        shared.index_mut().close();
    }
}

/// An error and its causes on one line.
pub(crate) fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// The journal of a store that was just read, ready to be written.
pub(crate) fn resume(
    disk: &Arc<dyn Disk>,
    tail: Option<crate::journal::Tail>,
    position: Position,
    segment_bytes: u64,
) -> (Journal, Option<Finding>) {
    let (journal, refused) =
        Journal::resume(disk.clone(), tail, (position.revision, position.chain), segment_bytes);
    (journal, refused.map(|error| Finding::JournalReadOnly { reason: error.to_string() }))
}
