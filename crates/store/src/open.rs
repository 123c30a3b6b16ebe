//! Start: lock, read what is true, bring the index up to it, go on writing.

use crate::checkpoint;
use crate::disk::Disk;
use crate::engine::Engine;
use crate::error::StoreError;
use crate::index::{Fault, Home, Index};
use crate::journal::{self, Journal};
use crate::model::Revision;
use crate::report::{Finding, IndexStart, OpenReport};
use crate::restore;
use crate::room::{self, Allowance};
use crate::shared::{Shared, rebuild};
use crate::truth::{self, History, Position, State};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Takes the store for this process. Nothing is written before it is held.
pub(crate) fn lock(root: &Path) -> Result<File, StoreError> {
    let path = root.join("lock");
    let failed = |source| StoreError::io("open", &path, source);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut file = options.open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(StoreError::Locked { path: root.to_owned(), holder: holder(&mut file) });
        }
        Err(TryLockError::Error(source)) => return Err(failed(source)),
    }
    // Only there to be read by the next opener; a full disk must not keep us from starting.
    let _ = file.set_len(0).and_then(|()| file.write_all(format!("{}\n", std::process::id()).as_bytes()));
    Ok(file)
}

/// Keeps others from writing while a store is read; changes nothing. `None`: nobody ever opened it.
pub(crate) fn lock_to_read(root: &Path) -> Result<Option<File>, StoreError> {
    let path = root.join("lock");
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::io("open", &path, error)),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => {
            Err(StoreError::Locked { path: root.to_owned(), holder: holder(&mut file) })
        }
        Err(TryLockError::Error(source)) => Err(StoreError::io("lock", &path, source)),
    }
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok())
}

/// Everything a store needs to run.
pub(crate) struct Opened {
    index: Index,
    journal: Journal,
    checkpointed: u64,
    refused: Option<Arc<io::Error>>,
    pub(crate) report: OpenReport,
}

impl Opened {
    /// The writing end over it, and what opening found.
    pub(crate) fn start(self, disk: Arc<dyn Disk>, home: Home, allowance: Allowance) -> (Engine, OpenReport) {
        let shared = Shared::new(disk, home, self.index, self.checkpointed);
        let mut engine = Engine::new(Arc::new(shared), self.journal, allowance);
        let mut report = self.report;
        report.findings.extend(engine.begin_room(self.refused.as_deref()));
        (engine, report)
    }
}

/// Is shown what is true, as soon as it is thought to be known and again when it turns out to be something else: what it
/// saw last is true, when opening succeeds.
pub(crate) type Look<'a> = &'a mut dyn FnMut(&State);

/// Reads the store and repairs what can be repaired, with the room of the ballast when there is no other. How long that
/// took is for the caller to say.
pub(crate) fn open(
    disk: &Arc<dyn Disk>,
    home: &Home,
    segment_bytes: u64,
    accept_loss: bool,
    look: Look<'_>,
) -> Result<Opened, StoreError> {
    let opened = read(disk, home, segment_bytes, accept_loss, look);
    match &opened {
        Err(StoreError::Io { source, .. })
            if room::is_full(source)
                && room::held(disk.as_ref()) > 0
                && room::release(disk.as_ref()).is_ok() =>
        {
            read(disk, home, segment_bytes, accept_loss, look)
        }
        _ => opened,
    }
}

/// An index that was on disk.
type Found = Result<Option<Index>, Fault>;

/// Files and index, at the same time: each takes about half of a start. What is shown is what the files say, when they are
/// whole.
fn read_both(disk: &dyn Disk, home: &Home, look: Look<'_>) -> (Result<History, StoreError>, Found) {
    let mut files = || {
        let history = truth::read(disk, None);
        if let Ok(History { broken: None, state, .. }) = &history {
            look(state);
        }
        history
    };
    if home.0.is_none() {
        return (files(), Index::open(home));
    }
    std::thread::scope(|scope| {
        let index = scope.spawn(|| Index::open(home));
        let history = files();
        (history, index.join().unwrap_or_else(|_| Err(Fault::failed("reading it panicked"))))
    })
}

fn read(
    disk: &Arc<dyn Disk>,
    home: &Home,
    segment_bytes: u64,
    accept_loss: bool,
    look: Look<'_>,
) -> Result<Opened, StoreError> {
    let mut findings = restore::finish(disk.as_ref(), home)?;
    for dir in [journal::DIR, checkpoint::DIR] {
        disk.create_dir(dir).map_err(|source| StoreError::io("make folder", dir, source))?;
    }
    // What is in them would be gone with their names.
    disk.sync_dir("").map_err(|source| StoreError::io("sync", "", source))?;
    // A leftover is only in the way of its own successor, which empties it.
    if let Err(error) = checkpoint::remove_unfinished(disk.as_ref()) {
        findings.push(Finding::CheckpointFailed { reason: error.to_string() });
    }
    let (history, found) = read_both(disk.as_ref(), home, look);
    let mut history = history?;
    let shown = history.broken.is_none().then_some(history.state.position);
    findings.append(&mut history.journal.findings);
    findings.extend(
        history
            .journal
            .damages
            .iter()
            .map(|damage| Finding::DamagedSegment { file: damage.file.clone(), offset: damage.offset }),
    );
    // A checkpoint holds only what the journal held: a tail that ends before it has lost something since.
    let reached = history.state.position.revision;
    if let Some(tail) =
        history.journal.tail.as_ref().filter(|tail| history.broken.is_none() && tail.revision() < reached)
    {
        let file = tail.name().to_owned();
        findings.push(Finding::DamagedSegment { file: file.clone(), offset: tail.good() });
        history.damaged_files.push(file);
    }
    let was_empty = history.state.position.revision == 0 && history.broken.is_none();
    let found = settle(&mut history, found, accept_loss, &mut findings)?;
    if shown != Some(history.state.position) {
        look(&history.state);
    }
    let restored = findings
        .iter()
        .any(|finding| matches!(finding, Finding::RestoredFromIndex { .. } | Finding::LossAccepted { .. }));
    let mut checkpointed = history.base.unwrap_or(0);
    if restored || !history.damaged_files.is_empty() {
        match renew(disk.as_ref(), &mut history, restored) {
            Ok(mut moved) => {
                checkpointed = history.state.position.revision;
                findings.append(&mut moved);
            }
            Err(source) if restored => {
                return Err(StoreError::io("write", checkpoint::DIR, source));
            }
            Err(error) => findings.push(Finding::CheckpointFailed { reason: error.to_string() }),
        }
    }

    let position = history.state.position;
    let records = history.state.records.len();
    let (frames, segments) = (history.frames, history.journal.segments);
    let tail = history.journal.tail.take();
    let (index, start) = bring_up(home, history, found, was_empty, &mut findings);
    let end = (position.revision, position.chain);
    let (journal, refused) = Journal::resume(disk.clone(), tail, end, segment_bytes);
    let report = OpenReport {
        revision: Revision(position.revision),
        records,
        checkpoint: (checkpointed > 0).then_some(Revision(checkpointed)),
        frames,
        segments,
        index: start,
        findings,
        took: Duration::ZERO,
    };
    Ok(Opened { index, journal, checkpointed, refused, report })
}

/// Decides what is true when files and index disagree. The files are, unless they lost something the index still has.
fn settle(
    history: &mut History,
    found: Found,
    accept_loss: bool,
    findings: &mut Vec<Finding>,
) -> Result<Found, StoreError> {
    let files = Revision(history.state.position.revision);
    let index = match found {
        Ok(Some(index)) => index,
        other => {
            let Some(broken) = history.broken.take() else { return Ok(other) };
            let error = broken.into_error();
            if !accept_loss {
                return Err(error);
            }
            lose(history, None, &error, findings);
            return Ok(other);
        }
    };
    let ahead = index.position().revision > files.0;
    if history.broken.is_none() && !ahead {
        return Ok(Ok(Some(index)));
    }
    let carried = index.snapshot().ok().and_then(|state| truth::carry_on(state, &history.journal));
    let carried = carried.filter(|(state, _)| state.position.revision >= history.newest);
    match (carried, history.broken.take()) {
        (Some((state, frames)), broken) => {
            let reason =
                broken.map_or("its end is missing".to_owned(), |broken| broken.into_error().to_string());
            let index_revision = Revision(index.position().revision);
            findings.push(Finding::RestoredFromIndex { files, index: index_revision, reason });
            history.start = index.position();
            history.state = state;
            history.frames = frames;
            Ok(Ok(Some(index)))
        }
        // The files are whole, so the index is simply wrong.
        (None, None) => Ok(Err(Fault::failed("it has batches the journal does not know"))),
        (None, Some(broken)) => {
            let error = broken.into_error();
            if !accept_loss {
                return Err(error);
            }
            let state = index.snapshot().ok();
            lose(history, state, &error, findings);
            Ok(Err(Fault::failed("it was used for what could be saved")))
        }
    }
}

/// Puts together what is left, for an operator who said so.
fn lose(history: &mut History, index: Option<State>, error: &StoreError, findings: &mut Vec<Finding>) {
    let files = std::mem::take(&mut history.state);
    let base = match index {
        Some(index) if index.position.revision > files.position.revision => index,
        _ => files,
    };
    history.state = truth::salvage(base, &history.journal);
    let revision = history.newest.max(history.state.position.revision);
    // Revisions are never reused, also not lost ones.
    history.state.position.revision = revision;
    history.start = history.state.position;
    findings.push(Finding::LossAccepted { reason: error.to_string() });
}

/// Writes a checkpoint of what was saved, and only then moves damaged files away. With `all`, the whole journal goes: the
/// checkpoint contains it and its parts no longer fit together.
fn renew(disk: &dyn Disk, history: &mut History, all: bool) -> io::Result<Vec<Finding>> {
    let (checkpoints, mut segments): (Vec<_>, Vec<_>) =
        history.damaged_files.iter().cloned().partition(|file| file.starts_with(checkpoint::DIR));
    if all {
        segments = journal::segments(disk)?.into_iter().map(|(_, name)| name).collect();
    }
    let mut moved = truth::set_aside(disk, &checkpoints)?;
    checkpoint::write(disk, &history.state)?;
    moved.append(&mut truth::set_aside(disk, &segments)?);
    if history.journal.tail.as_ref().is_some_and(|tail| segments.iter().any(|name| name == tail.name())) {
        history.journal.tail = None;
    }
    Ok(moved)
}

/// An index that stands where the truth stands.
fn bring_up(
    home: &Home,
    history: History,
    found: Found,
    was_empty: bool,
    findings: &mut Vec<Finding>,
) -> (Index, IndexStart) {
    let fault = match found {
        Ok(Some(mut index)) => {
            let outcome = match history.since(index.position()) {
                Some(frames) => frames.iter().try_fold(IndexStart::Current, |_, frame| {
                    let position =
                        Position { revision: frame.last(), chain: frame.crc, digest: frame.digest };
                    index.apply(frame.effects(), position).map(|()| IndexStart::CaughtUp)
                }),
                None => Err(Fault::failed("its records are not those of the journal")),
            };
            match outcome {
                Ok(start) => return (index, start),
                Err(fault) => {
                    index.close();
                    fault
                }
            }
        }
        Ok(None) if was_empty || home.0.is_none() => {
            let (index, fault) = Index::build(home, history.state, 0);
            return match fault {
                None => (index, IndexStart::New),
                Some(fault) => {
                    findings.push(Finding::IndexInMemory { reason: fault.reason() });
                    (index, IndexStart::InMemory)
                }
            };
        }
        Ok(None) => Fault::failed("there was none"),
        Err(fault) => fault,
    };
    let (index, mut said) = rebuild(home, history.state, &fault, 0);
    let start = if said.iter().any(|finding| matches!(finding, Finding::IndexInMemory { .. })) {
        IndexStart::InMemory
    } else {
        IndexStart::Rebuilt
    };
    findings.append(&mut said);
    (index, start)
}
