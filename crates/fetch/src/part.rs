//! A download on disk: `<key>.part`, the bytes so far, and `<key>.json`, what is known of the file they belong to. The key
//! is the SHA-256 of the URL without credentials, in hex.
//!
//! The record is written before the first byte and after every sync. After a crash of the program every byte that was
//! written is there; after one of the machine only those that were synced are trusted, which the machine's boot id tells.

use crate::error::FetchError;
use crate::limits::{PART_LIFE, PARTS_MAX, ROOM_KEPT_BYTES, SYNC_BYTES};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// What is known of a file that is being fetched.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Where from, as it may be shown.
    pub(crate) url: String,
    /// Its entity tag, when it is a strong one.
    pub(crate) etag: Option<String>,
    /// When it was last changed, as the server writes it, when that tells versions apart.
    pub(crate) last_modified: Option<String>,
    /// Its length in bytes.
    pub(crate) length: Option<u64>,
    /// Bytes that survive a crash of the machine.
    #[serde(default)]
    pub(crate) synced: u64,
    /// The run of the machine in which the rest was written.
    #[serde(default)]
    pub(crate) boot: String,
}

impl Record {
    /// What tells this version of the file from any other (RFC 9110 §13.1.5).
    pub(crate) fn if_range(&self) -> Option<&str> {
        self.etag.as_deref().or(self.last_modified.as_deref())
    }
}

/// A file under way.
pub(crate) struct Part {
    path: PathBuf,
    record_path: PathBuf,
    file: File,
    size: u64,
    record: Option<Record>,
}

impl Part {
    /// What an earlier try left, or an empty one.
    pub(crate) fn open(folder: &Path, key: &str) -> Result<Part, FetchError> {
        fs::create_dir_all(folder).map_err(|source| fault("create folder", folder, source))?;
        let (path, record_path) = (folder.join(format!("{key}.part")), folder.join(format!("{key}.json")));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(nix::fcntl::OFlag::O_NOFOLLOW.bits())
            .open(&path)
            .map_err(|source| fault("open", &path, source))?;
        let mut size = file.metadata().map_err(|source| fault("read", &path, source))?.len();
        let mut record: Option<Record> =
            fs::read(&record_path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        match &record {
            Some(record) if record.boot != boot_id() => size = size.min(record.synced),
            Some(_) => {}
            None => size = 0,
        }
        if record.as_ref().and_then(|record| record.length).is_some_and(|length| size > length) {
            (size, record) = (0, None);
        }
        let mut part = Part { path, record_path, file, size, record };
        part.cut(size)?;
        Ok(part)
    }

    /// Bytes there are.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn record(&self) -> Option<&Record> {
        self.record.as_ref()
    }

    /// Starts over with a file of which this is known.
    pub(crate) fn begin(&mut self, record: Record) -> Result<(), FetchError> {
        // In this order: old bytes never stand beside a new record.
        self.cut(0)?;
        self.record = Some(Record { synced: 0, boot: boot_id(), ..record });
        self.save()
    }

    /// Goes on at this offset, which is not beyond the end.
    pub(crate) fn cut(&mut self, size: u64) -> Result<(), FetchError> {
        let write = |source| fault("write", &self.path, source);
        self.file.set_len(size).map_err(write)?;
        self.file.seek(SeekFrom::Start(size)).map_err(write)?;
        self.size = size;
        Ok(())
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), FetchError> {
        self.file.write_all(bytes).map_err(|source| fault("write", &self.path, source))?;
        let before = self.size / SYNC_BYTES;
        self.size += bytes.len() as u64;
        if self.size / SYNC_BYTES != before {
            self.sync()?;
            check_room(&self.path, 0)?;
        }
        Ok(())
    }

    /// Makes what is there durable.
    pub(crate) fn sync(&mut self) -> Result<(), FetchError> {
        self.file.sync_data().map_err(|source| fault("sync", &self.path, source))?;
        if let Some(record) = &mut self.record {
            (record.synced, record.boot) = (self.size, boot_id());
        }
        self.save()
    }

    fn save(&self) -> Result<(), FetchError> {
        let Some(record) = &self.record else { return Ok(()) };
        let fresh = self.record_path.with_extension("new");
        let write = |source| fault("write", &self.record_path, source);
        let bytes = serde_json::to_vec(record).map_err(|error| write(error.into()))?;
        fs::write(&fresh, bytes).map_err(write)?;
        fs::rename(&fresh, &self.record_path).map_err(write)
    }

    /// Leaves nothing.
    pub(crate) fn remove(&self) {
        remove(&self.path);
    }
}

/// Removes a part and its record; what cannot be removed goes with [`tidy`].
pub(crate) fn remove(part: &Path) {
    for path in [part.to_owned(), part.with_extension("json"), part.with_extension("new")] {
        fs::remove_file(path).ok();
    }
}

/// Removes parts nobody came back for and those beyond the number kept, oldest first; and what has no record.
pub(crate) fn tidy(folder: &Path, busy: impl Fn(&str) -> bool) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut parts: Vec<(Duration, PathBuf)> = Vec::new();
    for path in entries.filter_map(|entry| entry.ok().map(|entry| entry.path())) {
        let key = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if busy(key) {
            continue;
        }
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("part") if path.with_extension("json").exists() => {
                let changed = fs::symlink_metadata(&path).and_then(|metadata| metadata.modified());
                let age = changed.ok().and_then(|changed| SystemTime::now().duration_since(changed).ok());
                parts.push((age.unwrap_or_default(), path));
            }
            Some("part" | "new") => {
                fs::remove_file(&path).ok();
            }
            Some("json") if !path.with_extension("part").exists() => {
                fs::remove_file(&path).ok();
            }
            _ => {}
        }
    }
    parts.sort();
    for (place, (age, path)) in parts.iter().enumerate() {
        if place >= PARTS_MAX || *age > PART_LIFE {
            tracing::info!(file = %path.display(), "a download nobody went on with is removed");
            remove(path);
        }
    }
}

/// Bytes an unprivileged writer may still use where this file or folder is.
///
/// # Errors
/// What the file system said.
pub fn free_room(path: &Path) -> io::Result<u64> {
    let stat = nix::sys::statvfs::statvfs(path)?;
    Ok(stat.blocks_available().saturating_mul(stat.fragment_size()))
}

/// Refuses when `needed` bytes more would take what is kept for others on that disk.
///
/// # Errors
/// [`FetchError::NoRoom`], or the file system's.
pub fn check_room(path: &Path, needed: u64) -> Result<(), FetchError> {
    let free = free_room(path).map_err(|source| fault("look at the room for", path, source))?;
    if free < needed.saturating_add(ROOM_KEPT_BYTES) {
        Err(FetchError::NoRoom { needed, free })
    } else {
        Ok(())
    }
}

/// Which run of the machine this is; empty where the kernel does not tell, and then nothing unsynced is trusted.
fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_else(|_| format!("process {}", std::process::id()))
}

fn fault(action: &'static str, path: &Path, source: io::Error) -> FetchError {
    FetchError::Disk { action, path: path.to_owned(), source }
}
