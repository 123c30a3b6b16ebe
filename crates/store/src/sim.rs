//! The store without thread, clock, folder and sled, for simulations: [`SimStore`] is the engine the daemon runs, over a
//! [`SimDisk`] that loses, tears and refuses what it is told to.
//!
//! The same calls give the same answers and the same bytes: nothing here draws a number or reads a clock. The index is in
//! memory, so everything a store is after a restart came out of journal and checkpoint.
//!
//! ```
//! use reveille_store::sim::{Rng, SimDisk, SimStore};
//! use reveille_store::{Batch, Table};
//!
//! let disk = SimDisk::new();
//! let mut store = SimStore::open(&disk).unwrap();
//! assert!(store.commit(vec![Batch::new().put(Table::Leases, *b"a", "one")])[0].is_ok());
//! let after_a_power_cut = disk.crash(&mut Rng::new(7));
//! let store = SimStore::open(&after_a_power_cut).unwrap();
//! assert_eq!(store.get(Table::Leases, b"a").unwrap().unwrap().value, b"one");
//! ```

mod disk;

pub use disk::{Fault, Rng, SimDisk};

use crate::engine::Engine;
use crate::error::{CommitError, StoreError, error_chain};
use crate::index::Home;
use crate::model::{Batch, Revision, Stored, Table, full_key};
use crate::open;
use crate::report::{Finding, OpenReport};
use crate::room::Allowance;
use crate::verify::{self, VerifyReport};
use crate::{Status, shared};
use std::fmt;
use std::sync::Arc;

/// Sizes of a [`SimStore`]. The default is small enough that segments and checkpoints come all the time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SimOptions {
    /// Size at which a journal segment ends.
    pub segment_bytes: u64,
    /// Journal bytes after which a commit is followed by a checkpoint.
    pub checkpoint_bytes: u64,
    /// Opens with what can be read when acknowledged batches are lost for good.
    pub accept_loss: bool,
    /// Room set aside for a full disk.
    pub ballast_bytes: u64,
    /// The most all files may take.
    pub quota_bytes: u64,
    /// What has to be free beyond a ballast before one is made again.
    pub margin_bytes: u64,
}

impl Default for SimOptions {
    fn default() -> SimOptions {
        SimOptions {
            segment_bytes: 4 << 10,
            checkpoint_bytes: 16 << 10,
            accept_loss: false,
            ballast_bytes: 2 << 10,
            quota_bytes: 1 << 20,
            margin_bytes: 2 << 10,
        }
    }
}

/// A store that does everything at once, in the caller's thread. Dropped without [`SimStore::close`] it died.
pub struct SimStore {
    engine: Engine,
    checkpoint_bytes: u64,
    report: OpenReport,
}

impl fmt::Debug for SimStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimStore").field("revision", &self.engine.revision()).finish_non_exhaustive()
    }
}

impl SimStore {
    /// Reads and if need be repairs what is on the disk, as the daemon's start does. There is no lock.
    ///
    /// # Errors
    /// As [`crate::Store::open`].
    pub fn open(disk: &SimDisk) -> Result<SimStore, StoreError> {
        SimStore::open_with(disk, SimOptions::default())
    }

    /// As [`SimStore::open`], with other sizes.
    ///
    /// # Errors
    /// As [`crate::Store::open`].
    pub fn open_with(disk: &SimDisk, options: SimOptions) -> Result<SimStore, StoreError> {
        let SimOptions {
            segment_bytes,
            checkpoint_bytes,
            accept_loss,
            ballast_bytes,
            quota_bytes,
            margin_bytes,
        } = options;
        let allowance = Allowance { ballast: ballast_bytes, quota: quota_bytes, margin: margin_bytes };
        let disk: Arc<dyn crate::disk::Disk> = Arc::new(disk.clone());
        let home = Home(None);
        let opened = open::open(&disk, &home, segment_bytes, accept_loss, &mut |_| {})?;
        let (engine, report) = opened.start(disk, home, allowance);
        Ok(SimStore { engine, checkpoint_bytes, report })
    }

    fn shared(&self) -> &shared::Shared {
        self.engine.shared()
    }

    /// What opening found and did.
    pub fn report(&self) -> &OpenReport {
        &self.report
    }

    /// Makes a group of batches durable with one frame and one sync, as when they waited together for the writer; answers
    /// for each, in order. A checkpoint follows when one is due.
    pub fn commit(&mut self, batches: Vec<Batch>) -> Vec<Result<Revision, CommitError>> {
        let (mut answers, mut within, mut fitting) = (Vec::new(), Vec::new(), Vec::new());
        for batch in batches {
            let over = batch.over_limit();
            within.push(over.is_none());
            match over {
                Some(what) => answers.push(Err(CommitError::TooLarge { what })),
                None => fitting.push(batch),
            }
        }
        let mut refused = std::mem::take(&mut answers).into_iter();
        self.engine.commit(fitting, |committed| {
            let mut committed = committed.into_iter();
            let next = |within| if within { committed.next() } else { refused.next() };
            answers = within.into_iter().filter_map(next).collect();
        });
        if self.engine.since_checkpoint() >= self.checkpoint_bytes && self.engine.checkpoint_fits() {
            // What failed is a finding.
            let _ = self.checkpoint();
        }
        answers
    }

    /// Writes a checkpoint now; answers its revision, 0 for the empty store.
    ///
    /// # Errors
    /// [`StoreError::Io`] when it cannot be written.
    pub fn checkpoint(&mut self) -> Result<Revision, StoreError> {
        let revision = self.engine.begin_checkpoint();
        if revision == 0 {
            return Ok(Revision(0));
        }
        let written = self.shared().checkpoint(revision);
        if let Err(error) = &written {
            self.shared().found(Finding::CheckpointFailed { reason: error_chain(error) });
        }
        written.map(Revision)
    }

    /// A record, as the last acknowledged batch left it.
    ///
    /// # Errors
    /// As [`crate::Store::get`].
    pub fn get(&self, table: Table, key: &[u8]) -> Result<Option<Stored>, StoreError> {
        let key = full_key(table, key);
        self.shared().read(|index| index.get(&key))
    }

    /// Up to `limit` records of a table with keys behind `after`, by key.
    ///
    /// # Errors
    /// As [`crate::Store::scan`].
    pub fn scan(
        &self,
        table: Table,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Stored)>, StoreError> {
        self.shared().read(|index| index.scan(table, after, limit))
    }

    /// Looks after room, as the daemon does about each second: notices that the quota is used up, that there is room again,
    /// or that a disk which failed takes writes again.
    pub fn look(&mut self) {
        self.engine.look();
    }

    /// How it is doing now.
    pub fn status(&self) -> Status {
        self.shared().status()
    }

    /// True while everything can be committed.
    pub fn has_plenty(&self) -> bool {
        self.shared().has_plenty()
    }

    /// Reads everything and compares it with the index.
    ///
    /// # Errors
    /// As [`crate::Store::verify`].
    pub fn verify(&self) -> Result<VerifyReport, StoreError> {
        verify::verify(self.shared())
    }

    /// Ends as the daemon does: journal cut back, checkpoint written.
    pub fn close(self) {
        self.engine.close();
    }
}

#[cfg(test)]
mod tests;
