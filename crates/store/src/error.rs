//! What can go wrong, by concern: opening and reading, committing, decoding a record.

use crate::model::{Expect, Revision, Table};
use crate::room;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The store cannot be opened or read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it open.
    #[error("the store at {path} is in use{}; only one process opens it, use the admin API of the running one", holder.map_or(String::new(), |pid| format!(" by process {pid}")))]
    Locked {
        /// The store's folder.
        path: PathBuf,
        /// Process id of the holder, when it can be read.
        holder: Option<u32>,
    },
    /// A file or folder of the store cannot be used.
    #[error("cannot {what} {path}")]
    Io {
        /// What was attempted.
        what: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why it failed.
        source: Arc<io::Error>,
    },
    /// The journal has unreadable bytes with acknowledged batches at stake, and no copy reaches across.
    #[error(
        "{file} is damaged at byte {offset}: what was committed after revision {after} cannot be read{}; restore a backup, or open once accepting the loss",
        if *found == 0 { String::new() } else { format!(" until revision {found}") }
    )]
    JournalDamaged {
        /// The file.
        file: String,
        /// Where.
        offset: u64,
        /// Last revision that is whole.
        after: u64,
        /// First revision that can be read again, 0 for none.
        found: u64,
    },
    /// Batches are missing between files that are sound in themselves.
    #[error(
        "{folder} lacks what was committed after revision {after} until revision {found}: a file is missing or from another store; bring it back, restore a backup, or open once accepting the loss"
    )]
    JournalGap {
        /// The folder.
        folder: String,
        /// Last revision before the gap.
        after: u64,
        /// First revision behind it.
        found: u64,
    },
    /// A file of a later program.
    #[error(
        "{file} has format {version}, written by a newer reveille; use that one, or restore a backup of this one"
    )]
    NewerFormat {
        /// The file.
        file: String,
        /// Its format.
        version: u32,
    },
    /// There is no store in this folder.
    #[error("there is no store at {path}")]
    NoStore {
        /// The folder.
        path: PathBuf,
    },
    /// A file that is no backup, or not the whole of one.
    #[error("{file} is no whole backup: its checksum does not match")]
    BadBackup {
        /// The file.
        file: PathBuf,
    },
    /// A backup holds a record that this program cannot read.
    #[error("{file} holds {record}, which this program cannot read: {reason}")]
    UnreadableRecord {
        /// The file.
        file: PathBuf,
        /// Table and key.
        record: String,
        /// Why, with both versions when it is of a newer one.
        reason: String,
    },
    /// The index failed and could not be made anew.
    #[error("the index failed ({reason}) and cannot be made anew")]
    IndexFailed {
        /// What the index said.
        reason: String,
        /// Why it cannot be made anew.
        source: Option<Box<StoreError>>,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    pub(crate) fn io(what: &'static str, path: impl Into<PathBuf>, source: io::Error) -> StoreError {
        StoreError::Io { what, path: path.into(), source: Arc::new(source) }
    }

    pub(crate) fn read(path: impl Into<PathBuf>, source: io::Error) -> StoreError {
        StoreError::io("read", path, source)
    }

    /// Says where: inside, files are relative to the store's folder.
    pub(crate) fn under(self, root: &Path) -> StoreError {
        let full = |file: String| root.join(file).display().to_string();
        match self {
            StoreError::Io { what, path, source } => StoreError::Io { what, path: root.join(path), source },
            StoreError::JournalDamaged { file, offset, after, found } => {
                StoreError::JournalDamaged { file: full(file), offset, after, found }
            }
            StoreError::JournalGap { folder, after, found } => {
                StoreError::JournalGap { folder: full(folder), after, found }
            }
            StoreError::NewerFormat { file, version } => {
                StoreError::NewerFormat { file: full(file), version }
            }
            other => other,
        }
    }
}

/// A batch was not acknowledged.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CommitError {
    /// A precondition does not hold. Nothing changed.
    #[error("record {record} of {table} is {}, expected {expected:?}", found.map_or("absent".to_owned(), |found| format!("at revision {found}")))]
    Conflict {
        /// The table.
        table: Table,
        /// The key, readable.
        record: String,
        /// What was asked for.
        expected: Expect,
        /// What is there.
        found: Option<Revision>,
    },
    /// Too many batches wait. Nothing changed; try again.
    #[error("the store is busy: {waiting} batches wait for the disk")]
    Busy {
        /// The bound that was reached.
        waiting: usize,
    },
    /// The batch is larger than allowed. Nothing changed.
    #[error("the batch is over a limit: {what}")]
    TooLarge {
        /// Which limit, with both numbers.
        what: String,
    },
    /// The disk refused. What was in the batch is not acknowledged; it may only reappear if the process dies before the
    /// journal could be cut back.
    #[error("cannot write the journal")]
    Journal {
        /// Why.
        source: Arc<io::Error>,
    },
    /// The disk has no room but a reserve, which is kept for what was promised before ([`crate::Batch::essential`]). Nothing
    /// changed.
    #[error("the disk is full, what is left is kept for machines that have a lease: {reason}")]
    Reserved {
        /// Why.
        reason: String,
    },
    /// The index cannot tell what is there and cannot be made anew: nothing was written. The store has to be opened anew.
    #[error("the index failed, nothing can be committed")]
    Index {
        /// Why.
        source: StoreError,
    },
    /// The store was closed before the batch was looked at.
    #[error("the store is closed")]
    Closed,
}

impl CommitError {
    /// True when the disk has no room: the caller should promise nothing new.
    pub fn is_disk_full(&self) -> bool {
        match self {
            CommitError::Journal { source } => room::is_full(source),
            CommitError::Reserved { .. } => true,
            _ => false,
        }
    }
}

/// A record's bytes do not make sense.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Written by a later program.
    #[error("{kind} record has version {found}, this program reads up to {known}")]
    Newer {
        /// Kind of record.
        kind: &'static str,
        /// Its version.
        found: u32,
        /// The latest version known.
        known: u32,
    },
    /// Not the JSON of such a record.
    #[error("{kind} record cannot be read")]
    Malformed {
        /// Kind of record.
        kind: &'static str,
        /// Why.
        source: serde_json::Error,
    },
    /// A field has a value that cannot be.
    #[error("{kind} record has a bad {field}")]
    BadField {
        /// Kind of record.
        kind: &'static str,
        /// The field.
        field: &'static str,
    },
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
