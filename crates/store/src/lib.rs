//! The journal, its checkpoint and the sled index: everything that must survive.
//!
//! [`Store::commit`] answers when a batch is on disk; what it acknowledged is never lost, and nothing that was lost goes
//! unsaid. Deliberately absent: image bytes and cache bodies (files of their own), any meaning of the records except the
//! encodings in [`records`], and the clock.
//!
//! # On disk
//!
//! | place | what | made durable by |
//! |---|---|---|
//! | `lock` | flock of the one process; its id | – |
//! | `journal/<first revision>.log` | the truth: frames of batches, chained by checksum (`journal.rs`, `frame.rs`) | one write + one `fdatasync` for each group |
//! | `checkpoint/<revision>.ckpt` | all records of one revision (`checkpoint.rs`); two are kept, and the journal since the older | written aside, synced, read back, renamed, folder synced |
//! | `index/` | sled: table byte + key → envelope, `\0position` → revision, chain, digest (`index.rs`) | nothing; it may lag or vanish |
//! | `ballast` | nothing, in real room: released when a write finds none (`room.rs`) | allocated, synced, folder synced |
//! | `index.bad-<n>/`, `damaged/` | what failed and was replaced, for study; all but the newest go when the quota is used up | – |
//! | `before-restore-<n>/` | what a restore replaced; never removed by itself ([`restore`]) | moved, folders synced |
//!
//! # Tables, keys, versions
//!
//! | table | byte | key | record |
//! |---|---|---|---|
//! | hosts | 1 | name | `Host`, version 2 |
//! | images | 2 | name | `Image`, version 1 |
//! | manifests | 3 | image name; `name@id`, `name@` | of the library |
//! | leases | 4 | family byte (4 or 6) + address, big-endian | `LeaseRecord`, version 2 |
//! | facts | 5 | of the daemon | of the daemon |
//! | boots | 6 | `host/<name>`, `rollout/<name>` | `Life`, `Rollout`, version 1 |
//! | meta | 7 | of the daemon | of the daemon |
//! | groups | 8 | name | `Group`, version 2 |
//! | rules | 9 | name | `Rule`, version 2 |
//! | rule_sets | 10 | number, big-endian | `RuleSet`, version 1 |
//! | templates | 11 | name | `Template`, version 2 |
//! | bundles | 12 | name | `Bundle`, version 2 |
//!
//! Versions: segment 1, checkpoint 1, envelope 1 (version, revision, CRC-32). A record's own version is in its JSON
//! ([`records`]).
//!
//! How a newer program reads what an older one wrote, and the other way round:
//!
//! | | older than known | newer than known |
//! |---|---|---|
//! | segment, checkpoint | read by the reader of its version, which stays; new ones are written in the new format | opening is refused with the file and its format ([`StoreError::NewerFormat`]), nothing is changed |
//! | envelope | comes with a checkpoint format, whose reader makes it anew | fails its check: the index is made anew, a checkpoint says so first by its own version |
//! | record | through one step for each version ([`records::Kind`]) | its reader refuses with both versions ([`RecordError::Newer`]); the store itself does not look inside |
//!
//! # What a crash leaves behind
//!
//! | at | found at the next start | done |
//! |---|---|---|
//! | making a segment | header missing or short | removed: nothing was written in it |
//! | writing a frame | bad bytes behind the last whole frame | cut; it was never acknowledged |
//! | between write and `fdatasync` | the frame whole, or as above | replayed: an unacknowledged batch may survive, whole |
//! | between `fdatasync` and index | index behind the journal | replayed |
//! | in sled, any time | index behind, or refusing, or with another digest | replayed, or set aside and made anew |
//! | writing a checkpoint | `*.new` | removed; the one before and the whole journal are there |
//! | between rename and removal | a checkpoint too many, old segments | removed with the next checkpoint |
//! | making the index anew | index without position | set aside and made anew |
//! | making the ballast | `ballast` short or not synced | released and made anew, when there is room |
//! | releasing the ballast | with it or without it | without it and without room for it: the store starts in the reserve |
//! | a checkpoint or evidence going for the quota | a file more or less | removed the next time |
//! | writing a backup | nothing here: the file is the client's, and has its name only when it is whole | – |
//! | restoring, before its point of no return | `restoring-<n>/` without a checkpoint | removed: the old store stands |
//! | restoring, behind it | `restoring-<n>/` with one, the old files here or there | finished, and said so |
//!
//! Damage that is no crash: a bad frame or checkpoint whose content stands in another checkpoint, the journal or the index
//! is reported, replaced by a new checkpoint and kept in `damaged/`. When no copy reaches across, opening is refused with
//! the file, the place and the revisions at stake, until an operator accepts the loss ([`StoreOptions::accept_loss`]).
//!
//! A disk without room: the ballast is released, batches that keep a promise ([`Batch::essential`]) are committed in its
//! place, others are refused with an error that says so ([`CommitError::is_disk_full`]); reads go on, a restart works (the index
//! then is in memory) and starts in the same state, and the writer notices by itself when there is room again ([`Room`]). On
//! a file system too small for a ballast, nothing can be committed then.

mod backup;
mod checkpoint;
mod commit;
mod disk;
mod engine;
mod envelope;
mod error;
mod frame;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod index;
mod journal;
mod limits;
mod model;
pub mod offline;
mod open;
pub mod records;
mod report;
pub mod restore;
mod room;
mod shared;
pub mod sim;
mod truth;
mod verify;
mod watch;
mod wire;

pub use backup::Backup;
pub use error::{CommitError, RecordError, StoreError};
pub use model::{Batch, Change, Expect, Precondition, Revision, Stored, Table};
pub use report::{Finding, IndexStart, OpenReport};
pub use room::{Room, Space};
pub use verify::{Dump, VerifyReport};
pub use watch::{Watch, Watched};

use commit::{Reply, Request, Schedule, Writer};
use disk::{Disk, RealDisk};
use index::Home;
use limits::{BALLAST_BYTES, QUEUE_BATCHES_MAX, QUOTA_BYTES, ROOM_MARGIN_BYTES};
use model::full_key;
use room::Allowance;
use shared::Shared;
use std::fs::File;
use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch as latest};

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Its folder, made when missing. Nothing else may be in it.
    pub path: PathBuf,
    /// Size at which a journal segment ends.
    pub segment_bytes: u64,
    /// Journal bytes after which a checkpoint is written.
    pub checkpoint_bytes: u64,
    /// Time after which a checkpoint is written if anything was committed.
    pub checkpoint_age: Duration,
    /// Opens with what can be read when acknowledged batches are lost for good. Only ever set because an operator said so,
    /// for one start.
    pub accept_loss: bool,
    /// Room set aside for a full disk; 0 for none.
    pub ballast_bytes: u64,
    /// The most everything in the folder may take.
    pub quota_bytes: u64,
}

impl StoreOptions {
    /// Usual settings: segments of 64 MiB, a checkpoint every 32 MiB or hour, a ballast of 8 MiB, a quota of 1 GiB.
    pub fn new(path: impl Into<PathBuf>) -> StoreOptions {
        StoreOptions {
            path: path.into(),
            segment_bytes: 64 << 20,
            checkpoint_bytes: 32 << 20,
            checkpoint_age: Duration::from_secs(3600),
            accept_loss: false,
            ballast_bytes: BALLAST_BYTES,
            quota_bytes: QUOTA_BYTES,
        }
    }
}

/// How the store is doing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status {
    /// Last batch.
    pub revision: Revision,
    /// Newest checkpoint.
    pub checkpoint: Option<Revision>,
    /// What can be committed.
    pub room: Room,
    /// Why nothing can be committed at the moment, when that is so.
    pub read_only: Option<String>,
    /// The room it takes and has.
    pub space: Space,
    /// False while records are served from memory because no index can be kept on disk.
    pub index_on_disk: bool,
    /// What was found since the start.
    pub findings: Vec<Finding>,
}

/// A handle to the open store; cheap to clone. The store closes when [`Store::close`] is called or the last handle goes;
/// both block until a checkpoint is written, so async code closes on a blocking thread.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    queue: SyncSender<Request>,
    writer: Mutex<Option<JoinHandle<()>>>,
    report: OpenReport,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

impl Inner {
    fn close(&self) {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = writer.take() {
            // When the writer is gone already there is nothing to tell it.
            let _ = self.queue.send(Request::Close);
            let _ = thread.join();
        }
    }
}

impl Store {
    /// Takes the lock, reads and if need be repairs everything, starts the writer. Blocks; a quarter of a million records
    /// take about a second.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another process has it; [`StoreError::JournalDamaged`] or [`StoreError::JournalGap`] when
    /// acknowledged batches cannot be read and no copy has them; [`StoreError::NewerFormat`]; [`StoreError::Io`] when the
    /// folder cannot be used at all.
    pub fn open(options: StoreOptions) -> Result<Store, StoreError> {
        Store::open_showing(&options, &mut |_| {})
    }

    /// As [`Store::open`], and reads one table on the way, which is far cheaper than scanning it behind: `read` gets key and
    /// value of every record, by key, while the index is still being checked, and again should they turn out to be others.
    /// Its last answer is that of the open store.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_reading<T>(
        options: &StoreOptions,
        table: Table,
        mut read: impl FnMut(&[(&[u8], &[u8])]) -> T,
    ) -> Result<(Store, T), StoreError> {
        let mut answer = None;
        let store = Store::open_showing(options, &mut |state| {
            let records: Vec<_> = state.table(table).collect();
            answer = Some(read(&records));
        })?;
        let answer = answer.unwrap_or_else(|| read(&[]));
        Ok((store, answer))
    }

    fn open_showing(options: &StoreOptions, look: open::Look<'_>) -> Result<Store, StoreError> {
        let disk = RealDisk::new(options.path.clone());
        disk.create_dir("").map_err(|source| StoreError::io("make folder", &options.path, source))?;
        // The folder may be new itself. Where its parent cannot be opened, whoever made that one answers for it.
        if let Some(Ok(parent)) = options.path.parent().map(File::open) {
            let _ = parent.sync_all();
        }
        let lock = open::lock(&options.path)?;
        Store::open_on(Arc::new(disk), Home(Some(options.path.clone())), options, Some(lock), look)
    }

    fn open_on(
        disk: Arc<dyn Disk>,
        home: Home,
        options: &StoreOptions,
        lock: Option<File>,
        look: open::Look<'_>,
    ) -> Result<Store, StoreError> {
        let began = Instant::now();
        let mut opened = open::open(&disk, &home, options.segment_bytes, options.accept_loss, look)
            .map_err(|error| error.under(&options.path))?;
        opened.report.took = began.elapsed();
        let (ballast, quota) = (options.ballast_bytes, options.quota_bytes);
        let allowance = Allowance { ballast, quota, margin: ROOM_MARGIN_BYTES };
        let (engine, report) = opened.start(disk, home, allowance);
        for finding in &report.findings {
            tracing::warn!(finding = %finding, "store: something was not as it should be at start");
        }
        let shared = engine.shared().clone();
        let (queue, requests) = sync_channel(QUEUE_BATCHES_MAX);
        let schedule = Schedule { bytes: options.checkpoint_bytes, age: options.checkpoint_age };
        let writer = Writer::new(engine, requests, schedule);
        let run = move || {
            writer.run();
            // Held to the very end; whoever finds it taken later shall not read our name.
            drop(lock.inspect(|lock| drop(lock.set_len(0))));
        };
        let writer = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(run)
            .map_err(|source| StoreError::io("start the writer of", &options.path, source))?;
        let inner = Inner { shared, queue, writer: Mutex::new(Some(writer)), report };
        Ok(Store { inner: Arc::new(inner) })
    }

    /// What opening found and did.
    pub fn report(&self) -> &OpenReport {
        &self.inner.report
    }

    /// How it is doing now.
    pub fn status(&self) -> Status {
        self.inner.shared.status()
    }

    /// A record, as the last acknowledged batch left it. Reads memory and seldom the disk.
    ///
    /// # Errors
    /// [`StoreError::IndexFailed`] when the index failed and cannot be made anew, [`StoreError::Closed`].
    pub fn get(&self, table: Table, key: &[u8]) -> Result<Option<Stored>, StoreError> {
        let key = full_key(table, key);
        self.inner.shared.read(|index| index.get(&key))
    }

    /// Up to `limit` records of a table with keys behind `after`, by key; never more than 65,536.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn scan(
        &self,
        table: Table,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Stored)>, StoreError> {
        self.inner.shared.read(|index| index.scan(table, after, limit))
    }

    /// Makes a batch durable. The answer comes when it is on disk and reads see it; dropping the future does not take the
    /// batch back.
    ///
    /// # Errors
    /// See [`CommitError`]; except for its `Index` and `Journal`, nothing has changed.
    pub async fn commit(&self, batch: Batch) -> Result<Revision, CommitError> {
        let (reply, answer) = oneshot::channel();
        self.submit(batch, Reply::Async(reply))?;
        answer.await.unwrap_or(Err(CommitError::Closed))
    }

    /// As [`Store::commit`], for threads that may block.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn commit_blocking(&self, batch: Batch) -> Result<Revision, CommitError> {
        let (reply, answer) = sync_channel(1);
        self.submit(batch, Reply::Blocking(reply))?;
        answer.recv().unwrap_or(Err(CommitError::Closed))
    }

    fn submit(&self, batch: Batch, reply: Reply<Result<Revision, CommitError>>) -> Result<(), CommitError> {
        if let Some(what) = batch.over_limit() {
            return Err(CommitError::TooLarge { what });
        }
        self.inner.queue.try_send(Request::Commit(batch, reply)).map_err(|error| match error {
            TrySendError::Full(_) => CommitError::Busy { waiting: QUEUE_BATCHES_MAX },
            TrySendError::Disconnected(_) => CommitError::Closed,
        })
    }

    /// Follows a table from now on. `None` after the store was closed.
    pub fn watch(&self, table: Table) -> Option<Watch> {
        self.inner.shared.watchers.read().unwrap_or_else(PoisonError::into_inner).watch(table)
    }

    /// What can be committed, now and whenever that changes.
    pub fn room(&self) -> latest::Receiver<Room> {
        self.inner.shared.watch_room()
    }

    /// Writes a checkpoint now; answers its revision. Blocks.
    ///
    /// # Errors
    /// [`StoreError::Io`] when it cannot be written, [`StoreError::Closed`].
    pub fn checkpoint(&self) -> Result<Revision, StoreError> {
        let (reply, answer) = sync_channel(1);
        self.inner.queue.send(Request::Roll(Reply::Blocking(reply))).map_err(|_| StoreError::Closed)?;
        let Revision(revision) = answer.recv().map_err(|_| StoreError::Closed)?;
        if revision == 0 {
            return Ok(Revision(0));
        }
        self.inner.shared.checkpoint(revision).map(Revision)
    }

    /// Reads everything and compares the index with checkpoint and journal. Blocks; others go on.
    ///
    /// # Errors
    /// Only when files cannot be read at all; what is wrong with them is in the report.
    pub fn verify(&self) -> Result<VerifyReport, StoreError> {
        verify::verify(&self.inner.shared)
    }

    /// All records of this moment as JSON lines.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn dump(&self) -> Result<Dump, StoreError> {
        self.inner.shared.read(index::Index::snapshot).map(Dump::new)
    }

    /// All records of this moment as a backup.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn backup(&self) -> Result<Backup, StoreError> {
        self.inner.shared.read(index::Index::snapshot).map(Backup::new)
    }

    /// Finishes what is queued, writes a checkpoint, flushes the index and lets go of the lock. Blocks. Other handles get
    /// `Closed` from then on.
    pub fn close(&self) {
        self.inner.close();
    }
}

#[cfg(test)]
mod tests;
