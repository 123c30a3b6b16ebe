//! What readers, the writer and the checkpoint share: the index behind a lock, and its repair.
//!
//! Lock order: `maintenance`, then `index`. The writer holds `index` only while it applies.

use crate::Status;
use crate::checkpoint;
use crate::disk::Disk;
use crate::error::StoreError;
use crate::index::{Fault, Home, Index};
use crate::limits::FINDINGS_MAX;
use crate::model::Revision;
use crate::report::Finding;
use crate::room::{Room, Space};
use crate::truth::{self, State};
use crate::watch::Watchers;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::watch;

pub(crate) struct Shared {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) home: Home,
    index: RwLock<Index>,
    pub(crate) watchers: RwLock<Watchers>,
    /// Held by whoever reads or removes files of the past.
    maintenance: Mutex<()>,
    /// Newest checkpoint, 0 for none.
    pub(crate) checkpointed: AtomicU64,
    findings: Mutex<VecDeque<Finding>>,
    room: watch::Sender<Room>,
    space: Mutex<Space>,
}

impl Shared {
    pub(crate) fn new(disk: Arc<dyn Disk>, home: Home, index: Index, checkpointed: u64) -> Shared {
        Shared {
            disk,
            home,
            index: RwLock::new(index),
            watchers: RwLock::new(Watchers::new()),
            maintenance: Mutex::new(()),
            checkpointed: AtomicU64::new(checkpointed),
            findings: Mutex::new(VecDeque::new()),
            room: watch::Sender::new(Room::Plenty),
            space: Mutex::new(Space::default()),
        }
    }

    // A panic while one of these is held leaves nothing half changed that the checks at use would not see.
    pub(crate) fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn maintain(&self) -> MutexGuard<'_, ()> {
        self.maintenance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a finding and says it in the log.
    pub(crate) fn found(&self, finding: Finding) {
        if finding == Finding::RoomBack {
            tracing::info!("store: {finding}");
        } else {
            tracing::warn!(finding = %finding, "store: something was not as it should be");
        }
        let mut findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        if findings.len() >= FINDINGS_MAX {
            findings.pop_front();
        }
        findings.push_back(finding);
    }

    pub(crate) fn room(&self) -> Room {
        self.room.borrow().clone()
    }

    pub(crate) fn has_plenty(&self) -> bool {
        *self.room.borrow() == Room::Plenty
    }

    pub(crate) fn watch_room(&self) -> watch::Receiver<Room> {
        self.room.subscribe()
    }

    pub(crate) fn set_space(&self, space: Space) {
        *self.space.lock().unwrap_or_else(PoisonError::into_inner) = space;
    }

    /// Says what can be committed from now on, with a finding when it is something else than before.
    pub(crate) fn set_room(&self, room: Room) {
        let before = self.room.send_replace(room.clone());
        if before.as_str() != room.as_str() {
            self.found(about(&room));
        }
    }

    /// The state at start, when it is not plenty.
    pub(crate) fn begin_room(&self, room: Room) -> Finding {
        let finding = about(&room);
        self.room.send_replace(room);
        finding
    }

    pub(crate) fn findings(&self) -> Vec<Finding> {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// How the store is doing now.
    pub(crate) fn status(&self) -> Status {
        let checkpoint = self.checkpointed.load(Ordering::Acquire);
        let (index, room) = (self.index(), self.room());
        Status {
            revision: Revision(index.position().revision),
            checkpoint: (checkpoint > 0).then_some(Revision(checkpoint)),
            read_only: match &room {
                Room::Nothing { reason } => Some(reason.clone()),
                Room::Plenty | Room::Reserve { .. } => None,
            },
            room,
            space: *self.space.lock().unwrap_or_else(PoisonError::into_inner),
            index_on_disk: index.is_on_disk(),
            findings: self.findings(),
        }
    }

    /// Asks the index; when it fails, makes it anew and asks again.
    pub(crate) fn read<T>(&self, ask: impl Fn(&Index) -> Result<T, Fault>) -> Result<T, StoreError> {
        let (fault, generation) = {
            let index = self.index();
            match ask(&index) {
                Ok(answer) => return Ok(answer),
                Err(fault) => (fault, index.generation()),
            }
        };
        self.heal(&fault, generation)?;
        ask(&self.index()).map_err(|fault| match fault {
            Fault::Closed => StoreError::Closed,
            Fault::Failed { reason, .. } => StoreError::IndexFailed { reason, source: None },
        })
    }

    /// Replaces an index that failed by one made from checkpoint and journal, at the same revision.
    pub(crate) fn heal(&self, fault: &Fault, generation: u64) -> Result<(), StoreError> {
        let Fault::Failed { reason, .. } = fault else { return Err(StoreError::Closed) };
        let _maintenance = self.maintain();
        let mut index = self.index_mut();
        if index.generation() != generation {
            return Ok(());
        }
        let position = index.position();
        let failed =
            |source| StoreError::IndexFailed { reason: reason.clone(), source: Some(Box::new(source)) };
        let state = truth::at(self.disk.as_ref(), position.revision).map_err(failed)?;
        if state.position != position {
            return Err(StoreError::IndexFailed { reason: reason.clone(), source: None });
        }
        index.close();
        let (fresh, findings) = rebuild(&self.home, state, fault, generation + 1);
        *index = fresh;
        drop(index);
        findings.into_iter().for_each(|finding| self.found(finding));
        Ok(())
    }

    /// Writes a checkpoint of `revision`, or of now when the journal cannot be read back, and removes what it replaces.
    pub(crate) fn checkpoint(&self, revision: u64) -> Result<u64, StoreError> {
        let _maintenance = self.maintain();
        if self.checkpointed.load(Ordering::Acquire) >= revision {
            return Ok(self.checkpointed.load(Ordering::Acquire));
        }
        let disk = self.disk.as_ref();
        let state = match truth::at(disk, revision) {
            Ok(state) => state,
            Err(error) => {
                self.found(Finding::CheckpointFailed {
                    reason: format!("{error}; it is made from the index instead"),
                });
                self.index().snapshot().map_err(|fault| StoreError::IndexFailed {
                    reason: fault.reason(),
                    source: Some(Box::new(error)),
                })?
            }
        };
        let failed =
            |source| StoreError::Io { what: "write", path: checkpoint::DIR.into(), source: Arc::new(source) };
        checkpoint::write(disk, &state).map_err(failed)?;
        self.checkpointed.store(state.position.revision, Ordering::Release);
        checkpoint::clean(disk).map_err(failed)?;
        Ok(state.position.revision)
    }
}

fn about(room: &Room) -> Finding {
    match room.clone() {
        Room::Plenty => Finding::RoomBack,
        Room::Reserve { reason } => Finding::RoomLow { reason },
        Room::Nothing { reason } => Finding::JournalReadOnly { reason },
    }
}

/// A fresh index of `state`, and what there is to say about it. For want of room the old one stays where it is, and memory
/// serves until the next start: it will be behind, which is no fault.
pub(crate) fn rebuild(home: &Home, state: State, fault: &Fault, generation: u64) -> (Index, Vec<Finding>) {
    let reason = fault.reason();
    if matches!(fault, Fault::Failed { full: true, .. }) {
        return (Index::in_memory(state, generation), vec![Finding::IndexInMemory { reason }]);
    }
    let set_aside = match Index::set_aside(home) {
        Ok(set_aside) => set_aside,
        Err(error) => {
            let reason = format!("{reason}, and it cannot be moved away: {error}");
            return (Index::in_memory(state, generation), vec![Finding::IndexInMemory { reason }]);
        }
    };
    let (index, fault) = Index::build(home, state, generation);
    let mut findings = vec![Finding::IndexRebuilt { reason, set_aside }];
    findings.extend(fault.map(|fault| Finding::IndexInMemory { reason: fault.reason() }));
    (index, findings)
}
