//! A store that nobody runs, read without changing anything in it.
//!
//! The index is not looked at: to open it is to write to it, and it is made anew when it is wrong.

use crate::backup::Backup;
use crate::disk::RealDisk;
use crate::error::StoreError;
use crate::truth::{self, State};
use crate::verify::{self, Dump, VerifyReport};
use crate::{journal, open};
use std::path::Path;

/// Reads with the lock held, so that nobody begins to write meanwhile. There has to be a store.
fn with_disk<T>(path: &Path, read: impl FnOnce(&RealDisk) -> Result<T, StoreError>) -> Result<T, StoreError> {
    if !path.join(journal::DIR).is_dir() {
        return Err(StoreError::NoStore { path: path.to_owned() });
    }
    let _lock = open::lock_to_read(path)?;
    read(&RealDisk::new(path.to_owned())).map_err(|error| error.under(path))
}

fn state(path: &Path) -> Result<State, StoreError> {
    with_disk(path, |disk| truth::read(disk, None)?.whole())
}

/// Reads everything and says what is not as it should be.
///
/// # Errors
/// [`StoreError::NoStore`], [`StoreError::Locked`], [`StoreError::NewerFormat`], and [`StoreError::Io`] when files cannot be
/// read at all; what is wrong with them is in the report.
pub fn verify(path: &Path) -> Result<VerifyReport, StoreError> {
    with_disk(path, verify::files)
}

/// All records as JSON lines.
///
/// # Errors
/// As [`verify`], and [`StoreError::JournalDamaged`] or [`StoreError::JournalGap`] when not everything can be read.
pub fn dump(path: &Path) -> Result<Dump, StoreError> {
    state(path).map(Dump::new)
}

/// All records as a backup.
///
/// # Errors
/// As [`dump`].
pub fn backup(path: &Path) -> Result<Backup, StoreError> {
    state(path).map(Backup::new)
}
