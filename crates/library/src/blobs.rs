//! The content-addressed store: `<library>/blobs/sha256/ab/<64 hex>`, one file per content.
//!
//! A blob enters through `<library>/incoming/`: streamed through SHA-256 into a temporary file, synced, made read-only,
//! renamed to its name, its folder synced. So a name stands for whole bytes or is not there; what a crash leaves in
//! `incoming/` is removed by the next [`Blobs::open_at`]. A blob is never written to again: it is removed, or replaced
//! by rename when its bytes were found damaged.
//!
//! Reading is by memory map, so that a thousand machines reading one ramdisk share the page cache and nothing is copied.

use crate::digest::Hasher;
use crate::limits::{COPY_BYTES, OPEN_MAPS_MAX};
use crate::{Digest, lock};
use bytes::Bytes;
use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Why a blob cannot be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The file system said no.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The source could not be read.
    #[error("cannot read the source")]
    Source(#[source] io::Error),
    /// There is no such blob.
    #[error("blob {0} is missing")]
    Missing(Digest),
    /// A blob has other bytes than its name says.
    #[error("blob {digest} is damaged: {found}")]
    Damaged {
        /// Its name.
        digest: Digest,
        /// What was found instead.
        found: String,
    },
    /// More bytes than are allowed.
    #[error("more than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: u64,
    },
    /// The caller wanted no more.
    #[error("cancelled")]
    Cancelled,
}

/// A blob that has just been stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StoredBlob {
    /// Its name.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// False when the same bytes were there already.
    pub new: bool,
}

/// The blobs of one library folder. One process uses a folder at a time.
pub struct Blobs {
    blobs: PathBuf,
    incoming: PathBuf,
    next: AtomicU64,
    maps: Mutex<Maps>,
}

#[derive(Default)]
struct Maps {
    open: HashMap<Digest, (Bytes, u64)>,
    tick: u64,
}

impl Blobs {
    /// Opens the folder, making it where needed, and removes what an interrupted import left.
    ///
    /// # Errors
    /// When a folder cannot be made or read.
    pub fn open_at(library: &Path) -> Result<Blobs, BlobError> {
        let blobs = library.join("blobs").join("sha256");
        let incoming = library.join("incoming");
        for folder in [&blobs, &incoming] {
            fs::create_dir_all(folder).map_err(|source| fault("create folder", folder, source))?;
        }
        for entry in fs::read_dir(&incoming).map_err(|source| fault("list", &incoming, source))? {
            let path = entry.map_err(|source| fault("list", &incoming, source))?.path();
            tracing::info!(file = %path.display(), "an interrupted import is removed");
            fs::remove_file(&path).map_err(|source| fault("remove", &path, source))?;
        }
        Ok(Blobs { blobs, incoming, next: AtomicU64::new(0), maps: Mutex::default() })
    }

    /// Stores what `source` gives, up to `bytes_max`. `advance` is told of every piece and may cancel.
    ///
    /// # Errors
    /// When reading, writing or syncing fails, there is too much, or the caller cancels. Nothing stays behind then.
    pub fn import(
        &self,
        source: &mut dyn Read,
        bytes_max: u64,
        advance: &mut dyn FnMut(u64) -> bool,
    ) -> Result<StoredBlob, BlobError> {
        let temporary = self.incoming.join(self.next.fetch_add(1, Ordering::Relaxed).to_string());
        let stored = self.import_through(&temporary, source, bytes_max, advance);
        if stored.is_err() || stored.as_ref().is_ok_and(|stored| !stored.new) {
            // Best effort: what stays is removed at the next start.
            fs::remove_file(&temporary).ok();
        }
        stored
    }

    fn import_through(
        &self,
        temporary: &Path,
        source: &mut dyn Read,
        bytes_max: u64,
        advance: &mut dyn FnMut(u64) -> bool,
    ) -> Result<StoredBlob, BlobError> {
        let write = |source| fault("write", temporary, source);
        let mut file = File::create_new(temporary).map_err(write)?;
        let mut hasher = Hasher::default();
        let mut buffer = vec![0u8; COPY_BYTES];
        let mut size = 0u64;
        loop {
            let read = match source.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(BlobError::Source(error)),
            };
            let piece = buffer.get(..read).unwrap_or_default();
            size += piece.len() as u64;
            if size > bytes_max {
                return Err(BlobError::TooLarge { bytes_max });
            }
            hasher.update(piece);
            file.write_all(piece).map_err(write)?;
            if !advance(piece.len() as u64) {
                return Err(BlobError::Cancelled);
            }
        }
        let digest = hasher.finish();
        if self.check(digest, size).is_ok() {
            return Ok(StoredBlob { digest, size, new: false });
        }
        file.set_permissions(fs::Permissions::from_mode(0o444)).map_err(write)?;
        file.sync_all().map_err(|source| fault("sync", temporary, source))?;
        let path = self.path(digest);
        let folder = path.parent().unwrap_or(&self.blobs);
        fs::create_dir_all(folder).map_err(|source| fault("create folder", folder, source))?;
        fs::rename(temporary, &path).map_err(|source| fault("rename", &path, source))?;
        for folder in [folder, &self.blobs] {
            File::open(folder)
                .and_then(|folder| folder.sync_all())
                .map_err(|source| fault("sync folder", folder, source))?;
        }
        // A damaged blob that was just replaced may still be mapped.
        lock(&self.maps).open.remove(&digest);
        Ok(StoredBlob { digest, size, new: true })
    }

    /// The bytes of a blob, mapped. `size` is what the manifest says.
    ///
    /// # Errors
    /// [`BlobError::Missing`], [`BlobError::Damaged`] when the length differs, or the file system's.
    pub fn open(&self, digest: Digest, size: u64) -> Result<Bytes, BlobError> {
        {
            let mut maps = lock(&self.maps);
            maps.tick += 1;
            let tick = maps.tick;
            if let Some((bytes, used)) = maps.open.get_mut(&digest) {
                *used = tick;
                if bytes.len() as u64 == size {
                    return Ok(bytes.clone());
                }
            }
        }
        let bytes = self.map(digest, size)?;
        let mut maps = lock(&self.maps);
        if maps.open.len() >= OPEN_MAPS_MAX
            && let Some(oldest) =
                maps.open.iter().min_by_key(|(_, (_, used))| *used).map(|(digest, _)| *digest)
        {
            maps.open.remove(&oldest);
        }
        let tick = maps.tick;
        maps.open.insert(digest, (bytes.clone(), tick));
        Ok(bytes)
    }

    fn map(&self, digest: Digest, size: u64) -> Result<Bytes, BlobError> {
        let path = self.path(digest);
        let file = File::open(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => BlobError::Missing(digest),
            _ => fault("open", &path, source),
        })?;
        let found = file.metadata().map_err(|source| fault("read", &path, source))?.len();
        if found != size {
            return Err(BlobError::Damaged { digest, found: format!("{found} bytes instead of {size}") });
        }
        if size == 0 {
            return Ok(Bytes::new());
        }
        let map = map_blob(&file).map_err(|source| fault("map", &path, source))?;
        Ok(Bytes::from_owner(map))
    }

    /// Reads a blob whole and compares it with its name.
    ///
    /// # Errors
    /// As [`Blobs::open`], and [`BlobError::Damaged`] when the bytes differ.
    pub fn verify(&self, digest: Digest, size: u64) -> Result<(), BlobError> {
        self.check(digest, size)
    }

    /// Reads through a file, not the map: a bad sector is an error here and a signal there.
    fn check(&self, digest: Digest, size: u64) -> Result<(), BlobError> {
        let path = self.path(digest);
        let mut file = File::open(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => BlobError::Missing(digest),
            _ => fault("open", &path, source),
        })?;
        let found = file.metadata().map_err(|source| fault("read", &path, source))?.len();
        if found != size {
            return Err(BlobError::Damaged { digest, found: format!("{found} bytes instead of {size}") });
        }
        let mut hasher = Hasher::default();
        let mut buffer = vec![0u8; COPY_BYTES];
        loop {
            match file.read(&mut buffer).map_err(|source| fault("read", &path, source))? {
                0 => break,
                read => hasher.update(buffer.get(..read).unwrap_or_default()),
            }
        }
        let own = hasher.finish();
        if own == digest {
            Ok(())
        } else {
            Err(BlobError::Damaged { digest, found: format!("sha256 {own}") })
        }
    }

    /// Removes every blob that is not in `live`; returns how many and their bytes. Maps in use stay readable.
    ///
    /// # Errors
    /// When a folder cannot be listed or a file cannot be removed.
    pub fn sweep(&self, live: &HashSet<Digest>) -> Result<(u64, u64), BlobError> {
        let (mut blobs, mut bytes) = (0, 0);
        for folder in list(&self.blobs)? {
            for path in list(&folder)? {
                let digest =
                    path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
                if digest.is_none_or(|digest| live.contains(&digest)) {
                    continue;
                }
                bytes += fs::symlink_metadata(&path).map_or(0, |metadata| metadata.len());
                fs::remove_file(&path).map_err(|source| fault("remove", &path, source))?;
                blobs += 1;
            }
        }
        lock(&self.maps).open.retain(|digest, _| live.contains(digest));
        Ok((blobs, bytes))
    }

    fn path(&self, digest: Digest) -> PathBuf {
        let name = digest.to_string();
        self.blobs.join(name.get(..2).unwrap_or_default()).join(&name)
    }
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, BlobError> {
    fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
        .map_err(|source| fault("list", folder, source))
}

fn fault(action: &'static str, path: &Path, source: io::Error) -> BlobError {
    BlobError::Io { action, path: path.to_owned(), source }
}

#[expect(
    unsafe_code,
    reason = "a map is sound while nobody writes to or cuts the file: blobs are made under another name, are read-only \
              (0444) before they get this one, and are only ever unlinked or replaced by rename, which leave the \
              mapped file as it is. Whoever defeats that needs our user or root, who could as well replace us"
)]
fn map_blob(file: &File) -> io::Result<memmap2::Mmap> {
    // SAFETY: see the reason above; the map owns its region until it is dropped.
    unsafe { memmap2::Mmap::map(file) }
}

#[cfg(test)]
mod tests;
