//! What is true: a base (checkpoint, or the index where that one is damaged) and the unbroken journal behind it.

use crate::checkpoint::{self, Unusable};
use crate::disk::Disk;
use crate::envelope;
use crate::error::StoreError;
use crate::frame::Frame;
use crate::journal::{self, Contents};
use crate::model::Table;
use crate::report::{Damage, Finding};
use crate::room;
use std::collections::BTreeMap;
use std::io;

/// A point of the history, and what proves that one stands there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Position {
    /// Last batch contained.
    pub(crate) revision: u64,
    /// Checksum of the frame that ends with it.
    pub(crate) chain: u32,
    /// Digest of all records ([`envelope::digest`]).
    pub(crate) digest: u64,
}

/// All records at one position, in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) position: Position,
    /// Full key to envelope.
    pub(crate) records: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl State {
    /// Takes a record from a file; false when it is not sound.
    pub(crate) fn load(&mut self, key: Vec<u8>, envelope: Vec<u8>) -> bool {
        let sound = envelope::revision(&key, &envelope).is_some();
        self.set(key, Some(envelope));
        sound
    }

    /// Writes or removes a record and keeps the digest.
    pub(crate) fn set(&mut self, key: Vec<u8>, envelope: Option<Vec<u8>>) {
        let digest = &mut self.position.digest;
        if let Some(new) = &envelope {
            *digest = digest.wrapping_add(envelope::digest(new));
        }
        let old = match envelope {
            Some(new) => self.records.insert(key, new),
            None => self.records.remove(&key),
        };
        if let Some(old) = old {
            *digest = digest.wrapping_sub(envelope::digest(&old));
        }
    }

    /// The records of a table: key and value, by key.
    pub(crate) fn table(&self, table: Table) -> impl Iterator<Item = (&[u8], &[u8])> {
        let records = self.records.range(vec![table.byte()]..vec![table.byte() + 1]);
        records.map(|(key, envelope)| (key.get(1..).unwrap_or_default(), envelope::value(envelope)))
    }

    /// Applies a frame; false when the digest it promises does not come out.
    pub(crate) fn apply(&mut self, frame: &Frame) -> bool {
        for (key, envelope) in frame.effects() {
            self.set(key, envelope);
        }
        self.position.revision = frame.last();
        self.position.chain = frame.crc;
        self.position.digest == frame.digest
    }
}

/// The frames behind `base` when they follow without a gap and nothing at the end is unreadable.
fn follow(base: Position, journal: &Contents) -> Result<Vec<&Frame>, Break> {
    let (mut revision, mut chain) = (base.revision, base.chain);
    let mut frames = Vec::new();
    for frame in journal.frames.iter().filter(|frame| frame.last() > base.revision) {
        if frame.first != revision + 1 || frame.chain != chain {
            let damage = journal.damages.iter().rev().find(|damage| damage.after < frame.first).cloned();
            return Err(Break { after: revision, found: frame.first, damage });
        }
        (revision, chain) = (frame.last(), frame.crc);
        frames.push(frame);
    }
    match journal.damages.iter().find(|damage| damage.after >= revision) {
        Some(damage) => Err(Break { after: revision, found: 0, damage: Some(damage.clone()) }),
        None => Ok(frames),
    }
}

/// Where the history is broken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Break {
    /// Last revision in one piece with the base.
    after: u64,
    /// First revision behind the break, 0 when there is none.
    found: u64,
    damage: Option<Damage>,
}

impl Break {
    pub(crate) fn into_error(self) -> StoreError {
        let Break { after, found, damage } = self;
        match damage {
            Some(Damage { file, offset, .. }) => StoreError::JournalDamaged { file, offset, after, found },
            None => StoreError::JournalGap { folder: journal::DIR.to_owned(), after, found },
        }
    }
}

/// The history as read from disk.
pub(crate) struct History {
    pub(crate) journal: Contents,
    /// Checkpoint the state was built on.
    pub(crate) base: Option<u64>,
    /// Where that base stands.
    pub(crate) start: Position,
    pub(crate) state: State,
    /// Frames applied on the base.
    pub(crate) frames: usize,
    /// Revision of the newest checkpoint there is, readable or not: less than that is not everything.
    pub(crate) newest: u64,
    /// Files that hold damage.
    pub(crate) damaged_files: Vec<String>,
    /// Set when neither checkpoint carries on to the end of the journal: then `state` is what could be reached.
    pub(crate) broken: Option<Break>,
}

impl History {
    /// The frames an index at this position lacks. `None`: the history did not pass there, or not without a break since.
    pub(crate) fn since(&self, position: Position) -> Option<Vec<&Frame>> {
        let passed = position == self.start
            || self.journal.frames.iter().any(|frame| {
                frame.last() == position.revision
                    && frame.crc == position.chain
                    && frame.digest == position.digest
            });
        follow(position, &self.journal).ok().filter(|_| passed)
    }

    /// The state, or the error that names the break.
    pub(crate) fn whole(self) -> Result<State, StoreError> {
        match self.broken {
            Some(broken) => Err(broken.into_error()),
            None => Ok(self.state),
        }
    }
}

/// Reads everything and puts it together; with `upto`, as it was at that revision.
pub(crate) fn read(disk: &dyn Disk, upto: Option<u64>) -> Result<History, StoreError> {
    let mut journal = journal::read(disk, upto).map_err(|source| StoreError::read(journal::DIR, source))?;
    if let Some((file, version)) = journal.newer.take() {
        return Err(StoreError::NewerFormat { file, version });
    }
    let mut damaged_files: Vec<String> = journal.damages.iter().map(|damage| damage.file.clone()).collect();
    damaged_files.dedup();
    let mut listed = checkpoint::list(disk).map_err(|source| StoreError::read(checkpoint::DIR, source))?;
    listed.retain(|(revision, _)| upto.is_none_or(|upto| *revision <= upto));
    let newest = listed.first().map_or(0, |(revision, _)| *revision);
    let mut broken: Option<(Break, State)> = None;
    // Without any checkpoint the journal has to start at the beginning.
    for candidate in listed.into_iter().map(Some).chain([None]) {
        let (base, name) = match &candidate {
            None => (State::default(), None),
            Some((_, name)) => match checkpoint::read(disk, name) {
                Ok(Ok(base)) => (base, Some(name)),
                Ok(Err(Unusable::Newer(version))) => {
                    return Err(StoreError::NewerFormat { file: name.clone(), version });
                }
                unusable => {
                    let reason = match unusable {
                        Err(error) => error.to_string(),
                        _ => "its checksum does not match".to_owned(),
                    };
                    journal.findings.push(Finding::DamagedCheckpoint { file: name.clone(), reason });
                    damaged_files.push(name.clone());
                    continue;
                }
            },
        };
        let start = base.position;
        match build(base, &journal) {
            // What a newer checkpoint contained has to come out of the journal too.
            Ok((state, frames)) if state.position.revision >= newest => {
                let base = name.map(|_| start.revision);
                return Ok(History {
                    journal,
                    base,
                    start,
                    state,
                    frames,
                    newest,
                    damaged_files,
                    broken: None,
                });
            }
            Ok((state, _)) => {
                let damage =
                    damaged_files.last().map(|file| Damage { file: file.clone(), offset: 0, after: 0 });
                let after = state.position.revision;
                broken.get_or_insert((Break { after, found: newest, damage }, state));
            }
            Err(broke) => {
                broken.get_or_insert(broke);
            }
        }
    }
    let (broke, state) = broken.unwrap_or_default();
    let (base, start, frames, broken) = (None, state.position, 0, Some(broke));
    Ok(History { journal, base, start, state, frames, newest, damaged_files, broken })
}

/// The state at the end of the journal, and how many frames it took.
fn build(mut state: State, journal: &Contents) -> Result<(State, usize), (Break, State)> {
    let frames = match follow(state.position, journal) {
        Ok(frames) => frames,
        Err(broke) => return Err((broke, state)),
    };
    let count = frames.len();
    for frame in frames {
        let after = state.position.revision;
        if !state.apply(frame) {
            return Err((Break { after, found: frame.first, damage: None }, state));
        }
    }
    Ok((state, count))
}

/// Everything that can still be read on top of `base`, whatever is missing between.
pub(crate) fn salvage(mut base: State, journal: &Contents) -> State {
    let from = base.position.revision;
    for frame in journal.frames.iter().filter(|frame| frame.last() > from) {
        // The digest cannot come out across a gap.
        let _ = base.apply(frame);
    }
    base
}

/// Carries an index that is sound in itself on to the end of the journal, when it reaches across every break.
pub(crate) fn carry_on(base: State, journal: &Contents) -> Option<(State, usize)> {
    build(base, journal).ok()
}

/// The state at `revision`, as the files tell it.
pub(crate) fn at(disk: &dyn Disk, revision: u64) -> Result<State, StoreError> {
    let state = read(disk, Some(revision))?.whole()?;
    if state.position.revision == revision {
        Ok(state)
    } else {
        let (folder, after) = (journal::DIR.to_owned(), state.position.revision);
        Err(StoreError::JournalGap { folder, after, found: revision })
    }
}

/// Moves damaged files out of the way, for study; they are never removed.
pub(crate) fn set_aside(disk: &dyn Disk, files: &[String]) -> io::Result<Vec<Finding>> {
    const DIR: &str = room::DAMAGED;
    let mut moved = Vec::new();
    for file in files {
        disk.create_dir(DIR)?;
        let taken = disk.list(DIR)?;
        let plain = file.replace('/', "-");
        let free = (0u32..).map(|n| format!("{plain}.{n}")).find(|name| !taken.contains(name));
        let Some(free) = free else { continue };
        let to = format!("{DIR}/{free}");
        disk.rename(file, &to)?;
        moved.push(Finding::SetAside { file: file.clone(), to });
    }
    if !moved.is_empty() {
        for dir in [DIR, journal::DIR, checkpoint::DIR] {
            disk.sync_dir(dir)?;
        }
    }
    Ok(moved)
}
