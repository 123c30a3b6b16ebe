//! What the writer does, without its thread: checks a group in order, makes it durable with one frame and one sync,
//! answers, applies it. Knows no queue, thread or clock, so that a simulation runs exactly this code.
//!
//! A group fails as a whole: when the disk refuses, every batch in it is answered with the error, also those whose
//! precondition failed, for that may have been the doing of a batch that now does not exist.

use crate::envelope;
use crate::error::{CommitError, StoreError, error_chain};
use crate::frame;
use crate::index::Index;
use crate::journal::Journal;
use crate::model::{Batch, Change, Expect, Revision, full_key, record_name};
use crate::report::Finding;
use crate::room::Allowance;
use crate::shared::Shared;
use crate::truth::Position;
use room::Keeper;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, PoisonError, RwLockWriteGuard};

mod room;

/// What becomes of one batch.
pub(crate) type Answer = Result<Revision, CommitError>;

/// The new envelope of each key a group touches; `None` is a removed record.
type Overlay = HashMap<Vec<u8>, Option<Vec<u8>>>;

/// The writing end of a store. One for each.
pub(crate) struct Engine {
    shared: Arc<Shared>,
    journal: Journal,
    /// Journal bytes written since the last checkpoint was begun.
    since: u64,
    keeper: Keeper,
}

impl Engine {
    /// Goes on behind what was read at start.
    pub(crate) fn new(shared: Arc<Shared>, journal: Journal, allowance: Allowance) -> Engine {
        Engine { shared, journal, since: 0, keeper: Keeper::new(allowance) }
    }

    /// What it shares with readers.
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Last revision.
    pub(crate) fn revision(&self) -> u64 {
        self.journal.next() - 1
    }

    /// Journal bytes written since the last checkpoint was begun.
    pub(crate) fn since_checkpoint(&self) -> u64 {
        self.since
    }

    /// Makes a group durable and calls `answer` with an answer for each batch, in order: then it is on disk, and reads wait
    /// until they see it.
    pub(crate) fn commit(&mut self, group: Vec<Batch>, answer: impl FnOnce(Vec<Answer>)) {
        let mut digest = self.shared.index().position().digest;
        let mut overlay = Overlay::new();
        let mut accepted: Vec<Vec<Change>> = Vec::new();
        let mut answers: Vec<Answer> = Vec::with_capacity(group.len());
        let waiting = self.refused_for_room(&group);
        for (number, batch) in group.into_iter().enumerate() {
            if let Some((reason, goes_on)) = &waiting
                && !goes_on.get(number).is_some_and(|goes_on| *goes_on)
            {
                answers.push(Err(CommitError::Reserved { reason: reason.clone() }));
                continue;
            }
            let before = Revision(self.revision() + accepted.len() as u64);
            answers.push(self.check(&batch, &overlay).and_then(|()| {
                if batch.changes.is_empty() {
                    return Ok(before);
                }
                let revision = before.0 + 1;
                digest = self.overlay(&batch.changes, revision, digest, &mut overlay)?;
                accepted.push(batch.changes);
                Ok(Revision(revision))
            }));
        }
        if accepted.is_empty() {
            return answer(answers);
        }
        match self.make_durable(&accepted, digest) {
            Ok(position) => {
                let shared = self.shared.clone();
                let index = shared.index_mut();
                let watchers = shared.watchers.read().unwrap_or_else(PoisonError::into_inner);
                let first = self.journal.next() - accepted.len() as u64;
                for (revision, changes) in (first..).zip(&accepted) {
                    watchers.publish(Revision(revision), changes);
                }
                drop(watchers);
                answer(answers);
                apply(&shared, index, overlay, position);
            }
            // What had to wait for room was not in the group.
            Err(error) => answer(
                answers
                    .into_iter()
                    .map(|answer| match answer {
                        Err(CommitError::Reserved { .. }) => answer,
                        _ => Err(error.clone()),
                    })
                    .collect(),
            ),
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
        self.append(&bytes, crc, batches)
            .map_err(|source| CommitError::Journal { source: Arc::new(source) })?;
        self.since += bytes.len() as u64;
        Ok(Position { revision: self.revision(), chain: crc, digest })
    }

    /// Ends the segment; the next frame begins a new one.
    pub(crate) fn roll(&mut self) {
        self.journal.roll();
    }

    /// Begins a checkpoint: answers the revision that [`Shared::checkpoint`] is to write, here or on another thread.
    pub(crate) fn begin_checkpoint(&mut self) -> u64 {
        self.journal.roll();
        self.since = 0;
        self.revision()
    }

    /// Leaves everything as a clean end does: journal cut back, checkpoint written, watchers told, index flushed.
    pub(crate) fn close(mut self) {
        if let Err(error) = self.journal.recover() {
            tracing::warn!(%error, "store: a refused commit may come back at the next start");
        }
        let revision = self.begin_checkpoint();
        if revision > 0
            && let Err(error) = self.shared.checkpoint(revision)
        {
            // The journal has it all.
            self.checkpoint_failed(&error);
        }
        self.shared.watchers.write().unwrap_or_else(PoisonError::into_inner).close();
        self.shared.index_mut().close();
    }

    fn checkpoint_failed(&self, error: &StoreError) {
        self.shared.found(Finding::CheckpointFailed { reason: error_chain(error) });
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
