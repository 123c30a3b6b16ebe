//! The index: every record by key, for reads. It is never the truth, so anything odd about it costs a rebuild and no data.
//!
//! sled 0.34.7 in `index/`, one tree: table byte and key → envelope; `\0position` → the position all of it stands at,
//! written in the same atomic batch as the records. What is known of sled and walled off here:
//! its `flush` is no fsync and an unflushed tail is lost on kill (frames behind the position are replayed); a torn
//! `snap.*.generating` stops it from opening (removed first; on corruption all snapshots go, then the whole index is set
//! aside); damaged media make it lose keys without a word or panic (digest at start, checksum at each read,
//! `catch_unwind` around each call); after a write that failed in one of its threads `flush` may wait without end (it is
//! waited for on a thread of ours, for so long); a full disk stops it from opening (records are then served from memory);
//! its subscribers block writers (not used).

use crate::envelope;
use crate::limits::{BAD_INDEXES_KEPT, INDEX_CACHE_BYTES, INDEX_LOCK_WAIT, SCAN_RECORDS_MAX};
use crate::model::{Stored, Table, full_key, record_name};
use crate::truth::{Position, State};
use crate::wire::{Reader, crc32};
use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const POSITION_KEY: &[u8] = b"\0position";
/// First key that is a record.
const RECORDS: [u8; 1] = [1];
/// Records a rebuild writes at once.
const REBUILD_RECORDS: usize = 4096;

/// The index could not answer.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// The store was closed.
    Closed,
    /// It failed, in its own words; `full` when for want of room.
    Failed { reason: String, full: bool },
}

impl Fault {
    pub(crate) fn failed(reason: impl Into<String>) -> Fault {
        Fault::Failed { reason: reason.into(), full: false }
    }

    pub(crate) fn reason(&self) -> String {
        match self {
            Fault::Closed => "closed".to_owned(),
            Fault::Failed { reason, .. } => reason.clone(),
        }
    }
}

/// Where an index lives: in `index/` of this folder, or only in memory (tests of everything else).
#[derive(Clone, Debug)]
pub(crate) struct Home(pub(crate) Option<PathBuf>);

enum Backing {
    Sled(sled::Db),
    Memory(BTreeMap<Vec<u8>, Vec<u8>>),
    /// Half applied; every read says why until it was made anew.
    Failed(Fault),
    Closed,
}

/// Every record by key.
pub(crate) struct Index {
    position: Position,
    backing: Backing,
    /// Counts rebuilds, so that two readers who met the same fault do not both repair it.
    generation: u64,
}

/// Runs one call into sled; a panic in it is a fault like any other.
fn sled_call<T>(call: impl FnOnce() -> sled::Result<T>) -> Result<T, Fault> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => {
            let full = matches!(&error, sled::Error::Io(io) if io.kind() == io::ErrorKind::StorageFull);
            Err(Fault::Failed { reason: error.to_string(), full })
        }
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err(Fault::failed(format!("panic: {}", text.unwrap_or_default())))
        }
    }
}

/// How long sled may take to write everything out. A rebuilt index of 100,000 leases takes two seconds.
const FLUSH_WITHIN: Duration = Duration::from_secs(30);

/// Runs one call that waits for sled's own threads. When a write fails in one of them, the wait may have no end (seen with an
/// injected EIO: `flush` missed the wake-up); then the call is left to itself, and its index is a broken one.
fn sled_wait<T: Send + 'static>(
    within: Duration,
    call: impl FnOnce() -> sled::Result<T> + Send + 'static,
) -> Result<T, Fault> {
    let (answer, answered) = mpsc::channel();
    let waiting = std::thread::Builder::new().name("index-wait".into()).spawn(move || {
        // Nobody listens any more when it took too long.
        let _ = answer.send(sled_call(call));
    });
    waiting.map_err(|error| Fault::failed(format!("no thread to wait for it: {error}")))?;
    answered.recv_timeout(within).unwrap_or_else(|_| Err(Fault::failed("it does not answer")))
}

fn folder(root: &Path) -> PathBuf {
    root.join("index")
}

/// Removes sled's snapshots whose name passes `which`. They only spare it a log scan.
fn remove_snapshots(folder: &Path, which: impl Fn(&str) -> bool) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_str().is_some_and(|name| name.starts_with("snap.") && which(name)) {
            // What cannot be removed makes sled refuse, and that is handled.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Moves `index/` into another folder of the store's, and is content when there is none.
pub(crate) fn move_away(home: &Home, to: &str) -> io::Result<()> {
    let Home(Some(root)) = home else { return Ok(()) };
    if !folder(root).exists() {
        return Ok(());
    }
    std::fs::create_dir_all(root.join(to))?;
    std::fs::rename(folder(root), root.join(to).join("index"))?;
    std::fs::File::open(root.join(to))?.sync_all()
}

fn open_sled(root: &Path) -> Result<sled::Db, Fault> {
    let folder = folder(root);
    remove_snapshots(&folder, |name| name.ends_with(".generating"));
    let config =
        sled::Config::new().path(&folder).cache_capacity(INDEX_CACHE_BYTES).flush_every_ms(Some(500));
    let deadline = Instant::now() + INDEX_LOCK_WAIT;
    let mut snapshots_removed = false;
    loop {
        let fault = match sled_call(|| config.open()) {
            Ok(db) => return Ok(db),
            Err(fault) => fault,
        };
        let reason = fault.reason();
        if reason.contains("could not acquire lock") && Instant::now() < deadline {
            // A handle closed a moment ago in this process is let go by sled's own threads.
            std::thread::sleep(Duration::from_millis(10));
        } else if !snapshots_removed && !reason.contains("could not acquire lock") {
            remove_snapshots(&folder, |_| true);
            snapshots_removed = true;
        } else {
            return Err(fault);
        }
    }
}

fn encode_position(position: Position) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(24);
    bytes.extend_from_slice(&position.revision.to_be_bytes());
    bytes.extend_from_slice(&position.chain.to_be_bytes());
    bytes.extend_from_slice(&position.digest.to_be_bytes());
    let crc = crc32(&[&bytes]);
    bytes.extend_from_slice(&crc.to_be_bytes());
    bytes
}

fn decode_position(bytes: &[u8]) -> Option<Position> {
    let (body, crc) = bytes.split_last_chunk::<4>()?;
    let mut reader = Reader(body);
    let position = Position { revision: reader.u64()?, chain: reader.u32()?, digest: reader.u64()? };
    (u32::from_be_bytes(*crc) == crc32(&[body])).then_some(position)
}

impl Index {
    /// Opens what is on disk and checks all of it. `Ok(None)`: there is none.
    pub(crate) fn open(home: &Home) -> Result<Option<Index>, Fault> {
        let Home(Some(root)) = home else { return Ok(None) };
        if !folder(root).exists() {
            return Ok(None);
        }
        let db = open_sled(root)?;
        let position = sled_call(|| db.get(POSITION_KEY))?.and_then(|bytes| decode_position(&bytes));
        let Some(position) = position else {
            let empty = sled_call(|| Ok(db.is_empty()))?;
            return if empty { Ok(None) } else { Err(Fault::failed("it was not finished")) };
        };
        let mut sum = Sum::default();
        sled_call(|| {
            for record in db.range(RECORDS..) {
                let (key, envelope) = record?;
                sum.add(&key, &envelope);
            }
            Ok(())
        })?;
        sum.check(position)?;
        Ok(Some(Index { position, backing: Backing::Sled(db), generation: 0 }))
    }

    /// Makes an index of `state`, on disk if that can be done. The answer's second part says why it could not.
    pub(crate) fn build(home: &Home, state: State, generation: u64) -> (Index, Option<Fault>) {
        let position = state.position;
        match Index::build_sled(home, &state) {
            Ok(Some(db)) => (Index { position, backing: Backing::Sled(db), generation }, None),
            Ok(None) => (Index::in_memory(state, generation), None),
            Err(fault) => (Index::in_memory(state, generation), Some(fault)),
        }
    }

    /// An index that is lost with the process.
    pub(crate) fn in_memory(state: State, generation: u64) -> Index {
        Index { position: state.position, backing: Backing::Memory(state.records), generation }
    }

    fn build_sled(home: &Home, state: &State) -> Result<Option<sled::Db>, Fault> {
        let Home(Some(root)) = home else { return Ok(None) };
        let db = open_sled(root)?;
        let mut records = state.records.iter().peekable();
        while records.peek().is_some() {
            let mut batch = sled::Batch::default();
            for (key, envelope) in records.by_ref().take(REBUILD_RECORDS) {
                batch.insert(key.as_slice(), envelope.as_slice());
            }
            sled_call(|| db.apply_batch(batch))?;
        }
        // Last, so that a rebuild that was cut short has no position.
        sled_call(|| db.insert(POSITION_KEY, encode_position(state.position)))?;
        let all = db.clone();
        sled_wait(FLUSH_WITHIN, move || all.flush())?;
        Ok(Some(db))
    }

    /// Moves `index/` to `index.bad-<n>`. Answers the new name.
    pub(crate) fn set_aside(home: &Home) -> io::Result<Option<String>> {
        let Home(Some(root)) = home else { return Ok(None) };
        let folder = folder(root);
        if !folder.exists() {
            return Ok(None);
        }
        let mut taken: Vec<u32> = std::fs::read_dir(root)?
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.strip_prefix("index.bad-")?.parse().ok())
            .collect();
        taken.sort_unstable();
        let name = format!("index.bad-{}", taken.last().map_or(1, |last| last + 1));
        std::fs::rename(&folder, root.join(&name))?;
        let surplus = (taken.len() + 1).saturating_sub(BAD_INDEXES_KEPT);
        for number in taken.iter().take(surplus) {
            std::fs::remove_dir_all(root.join(format!("index.bad-{number}")))?;
        }
        Ok(Some(name))
    }

    /// Last revision that an index on disk says it has; 0 when there is none or it does not say.
    pub(crate) fn last_revision(home: &Home) -> u64 {
        let Home(Some(root)) = home else { return 0 };
        if !folder(root).exists() {
            return 0;
        }
        let position = open_sled(root).and_then(|db| sled_call(|| db.get(POSITION_KEY)));
        position.ok().flatten().and_then(|bytes| decode_position(&bytes)).map_or(0, |it| it.revision)
    }

    /// Where all records stand.
    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// Number of rebuilds.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// True when it is on disk.
    pub(crate) fn is_on_disk(&self) -> bool {
        matches!(self.backing, Backing::Sled(_))
    }

    /// The sound envelope of a record.
    pub(crate) fn envelope(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        let envelope = match &self.backing {
            Backing::Sled(db) => sled_call(|| db.get(key))?.map(|bytes| bytes.to_vec()),
            Backing::Memory(records) => records.get(key).cloned(),
            Backing::Failed(fault) => return Err(fault.clone()),
            Backing::Closed => return Err(Fault::Closed),
        };
        match envelope {
            Some(envelope) if envelope::revision(key, &envelope).is_none() => Err(unsound(key)),
            sound => Ok(sound),
        }
    }

    /// A record.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Stored>, Fault> {
        let Some(envelope) = self.envelope(key)? else { return Ok(None) };
        envelope::open(key, &envelope).map(Some).ok_or_else(|| unsound(key))
    }

    /// Records of a table behind `after`, by key.
    pub(crate) fn scan(
        &self,
        table: Table,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Stored)>, Fault> {
        let start = match after {
            Some(after) => Bound::Excluded(full_key(table, after)),
            None => Bound::Included(vec![table.byte()]),
        };
        let end = Bound::Excluded(vec![table.byte() + 1]);
        let limit = limit.min(SCAN_RECORDS_MAX);
        let mut found = Vec::new();
        let mut take = |key: &[u8], envelope: &[u8]| -> Result<(), Fault> {
            let stored = envelope::open(key, envelope).ok_or_else(|| unsound(key))?;
            found.push((key.get(1..).unwrap_or_default().to_vec(), stored));
            Ok(())
        };
        match &self.backing {
            Backing::Sled(db) => {
                let records =
                    sled_call(|| db.range((start, end)).take(limit).collect::<sled::Result<Vec<_>>>())?;
                records.iter().try_for_each(|(key, envelope)| take(key, envelope))?;
            }
            Backing::Memory(records) => {
                records
                    .range((start, end))
                    .take(limit)
                    .try_for_each(|(key, envelope)| take(key, envelope))?;
            }
            Backing::Failed(fault) => return Err(fault.clone()),
            Backing::Closed => return Err(Fault::Closed),
        }
        Ok(found)
    }

    /// Applies what became durable.
    pub(crate) fn apply(
        &mut self,
        effects: impl IntoIterator<Item = (Vec<u8>, Option<Vec<u8>>)>,
        position: Position,
    ) -> Result<(), Fault> {
        match &mut self.backing {
            Backing::Sled(db) => {
                let mut batch = sled::Batch::default();
                for (key, envelope) in effects {
                    match envelope {
                        Some(envelope) => batch.insert(key, envelope),
                        None => batch.remove(key),
                    }
                }
                batch.insert(POSITION_KEY, encode_position(position));
                sled_call(|| db.apply_batch(batch))?;
            }
            Backing::Memory(records) => {
                for (key, envelope) in effects {
                    match envelope {
                        Some(envelope) => records.insert(key, envelope),
                        None => records.remove(&key),
                    };
                }
            }
            Backing::Failed(fault) => return Err(fault.clone()),
            Backing::Closed => return Err(Fault::Closed),
        }
        self.position = position;
        Ok(())
    }

    /// All entries as they are, sound or not.
    pub(crate) fn entries(&self) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, Fault> {
        match &self.backing {
            Backing::Sled(db) => sled_call(|| {
                db.range(RECORDS..)
                    .map(|record| record.map(|(key, envelope)| (key.to_vec(), envelope.to_vec())))
                    .collect::<sled::Result<BTreeMap<_, _>>>()
            }),
            Backing::Memory(records) => Ok(records.clone()),
            Backing::Failed(fault) => Err(fault.clone()),
            Backing::Closed => Err(Fault::Closed),
        }
    }

    /// All records, each sound and together what the position promises.
    pub(crate) fn snapshot(&self) -> Result<State, Fault> {
        let records = self.entries()?;
        let mut sum = Sum::default();
        records.iter().for_each(|(key, envelope)| sum.add(key, envelope));
        sum.check(self.position)?;
        Ok(State { position: self.position, records })
    }

    /// Applying what stands at `position` failed: nothing is read here any more. Made anew it stands at `position`.
    pub(crate) fn fail(&mut self, fault: &Fault, position: Position) {
        self.close();
        self.position = position;
        if matches!(fault, Fault::Failed { .. }) {
            self.backing = Backing::Failed(fault.clone());
        }
    }

    /// Lets go of the files.
    pub(crate) fn close(&mut self) {
        if let Backing::Sled(db) = std::mem::replace(&mut self.backing, Backing::Closed) {
            // The journal has it all; a failing flush costs a replay.
            let _ = sled_wait(FLUSH_WITHIN, move || {
                let flushed = db.flush();
                drop(db);
                flushed.map(|_| ())
            });
        }
    }

    /// Writes everything out, for tests that copy the folder.
    #[cfg(test)]
    pub(crate) fn flush(&self) -> bool {
        match &self.backing {
            Backing::Sled(db) => sled_call(|| db.flush()).is_ok(),
            Backing::Memory(_) | Backing::Failed(_) | Backing::Closed => false,
        }
    }

    /// Damages a record, for tests of the repair.
    #[cfg(test)]
    pub(crate) fn damage(&mut self, key: &[u8]) {
        let mut envelope = self.envelope(key).unwrap().unwrap();
        *envelope.last_mut().unwrap() ^= 1;
        match &mut self.backing {
            Backing::Sled(db) => drop(db.insert(key, envelope).unwrap()),
            Backing::Memory(records) => drop(records.insert(key.to_vec(), envelope)),
            Backing::Failed(_) | Backing::Closed => {}
        }
    }
}

/// What a pass over all records comes to.
#[derive(Default)]
struct Sum {
    records: usize,
    digest: u64,
    /// The first that fails its checksum.
    unsound: Option<Vec<u8>>,
}

impl Sum {
    fn add(&mut self, key: &[u8], envelope: &[u8]) {
        if envelope::revision(key, envelope).is_none() {
            self.unsound.get_or_insert_with(|| key.to_vec());
        }
        self.records += 1;
        self.digest = self.digest.wrapping_add(envelope::digest(envelope));
    }

    /// Each is sound, and together they are what the position promises.
    fn check(&self, position: Position) -> Result<(), Fault> {
        match &self.unsound {
            Some(key) => Err(unsound(key)),
            None if self.digest == position.digest => Ok(()),
            None => Err(Fault::failed(format!("its {} records are not those of its revision", self.records))),
        }
    }
}

fn unsound(key: &[u8]) -> Fault {
    Fault::failed(format!("record {} fails its checksum", record_name(key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_never_ends_is_a_fault_after_a_while_and_holds_nobody_up() {
        let (never, until) = mpsc::channel::<()>();
        let fault = sled_wait(Duration::from_millis(50), move || {
            let _ = until.recv();
            Ok(())
        });
        assert!(matches!(fault, Err(Fault::Failed { reason, .. }) if reason == "it does not answer"));
        drop(never);
        assert!(sled_wait(Duration::from_secs(60), || Ok(7)).is_ok_and(|seven| seven == 7));
        assert!(sled_wait(Duration::from_secs(60), || -> sled::Result<()> { panic!("odd") }).is_err());
    }
}
