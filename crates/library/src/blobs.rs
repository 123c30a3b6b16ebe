//! The content-addressed store: `<library>/blobs/sha256/ab/<64 hex>`, one file per content.
//!
//! A blob enters through `<library>/incoming/`: streamed through SHA-256 into a temporary file, made read-only, synced,
//! renamed to its name, its folder synced. So a name stands for whole bytes or is not there; what a crash leaves in
//! `incoming/` is removed by the next [`Blobs::open_at`]. A blob is never written to again: it is removed, or replaced
//! by rename when its bytes were found damaged.
//!
//! Many blobs enter as a [`Batch`]: all are written, then all are synced, then all are renamed. Few are synced one by
//! one; many by one `syncfs`, which reports every failed write of the file system since the batch began.
//!
//! Reading is by memory map, so that a thousand machines reading one ramdisk share the page cache and nothing is copied.

use crate::digest::Hasher;
use crate::limits::{COPY_BYTES, HASH_APART_BYTES, OPEN_MAPS_MAX, SYNC_EACH_MAX};
use crate::{Digest, lock};
use bytes::Bytes;
use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;

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
        let mut batch = self.batch()?;
        let stored = batch.import(source, bytes_max, advance)?;
        batch.commit()?;
        Ok(stored)
    }

    /// Blobs that enter together.
    ///
    /// # Errors
    /// When the folder for what comes in cannot be opened.
    pub fn batch(&self) -> Result<Batch<'_>, BlobError> {
        // Before the first write: `syncfs` reports what failed since.
        let folder = File::open(&self.incoming).map_err(|source| fault("open", &self.incoming, source))?;
        let (waiting, known) = (Vec::new(), HashMap::new());
        Ok(Batch { blobs: self, folder, waiting, bytes: 0, known, sizes: None, buffer: vec![0; COPY_BYTES] })
    }

    /// An empty file beside the blobs for as long as the result lives.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn spool(&self) -> Result<Spooled, BlobError> {
        let path = self.temporary();
        let file = File::create_new(&path).map_err(|source| fault("write", &path, source))?;
        Ok(Spooled { path, file })
    }

    fn temporary(&self) -> PathBuf {
        self.incoming.join(self.next.fetch_add(1, Ordering::Relaxed).to_string())
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

    fn check(&self, digest: Digest, size: u64) -> Result<(), BlobError> {
        let mut reader = self.reader(digest, size)?;
        let mut buffer = vec![0u8; COPY_BYTES];
        while reader.read(&mut buffer)? > 0 {}
        Ok(())
    }

    /// A blob for reading from its start to its end, where it is compared with its name. Through a file, not the map: a
    /// bad sector is an error here and a signal there.
    ///
    /// # Errors
    /// As [`Blobs::open`].
    pub fn reader(&self, digest: Digest, size: u64) -> Result<BlobReader, BlobError> {
        let path = self.path(digest);
        let file = File::open(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => BlobError::Missing(digest),
            _ => fault("open", &path, source),
        })?;
        let found = file.metadata().map_err(|source| fault("read", &path, source))?.len();
        if found != size {
            return Err(BlobError::Damaged { digest, found: format!("{found} bytes instead of {size}") });
        }
        Ok(BlobReader { path, file, digest, hasher: Some(Hasher::default()) })
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

/// A blob that is read; see [`Blobs::reader`].
pub struct BlobReader {
    path: PathBuf,
    file: File,
    digest: Digest,
    /// `None` once the end was reached.
    hasher: Option<Hasher>,
}

impl BlobReader {
    /// The next bytes; 0 at the end, when all of them are those the blob is named after.
    ///
    /// # Errors
    /// [`BlobError::Damaged`] at the end, or the file system's.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, BlobError> {
        let Some(hasher) = &mut self.hasher else { return Ok(0) };
        let read = loop {
            match self.file.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read.map_err(|source| fault("read", &self.path, source))?,
            }
        };
        if read > 0 {
            hasher.update(buffer.get(..read).unwrap_or_default());
            return Ok(read);
        }
        let own = self.hasher.take().unwrap_or_default().finish();
        if own == self.digest {
            Ok(0)
        } else {
            Err(BlobError::Damaged { digest: self.digest, found: format!("sha256 {own}") })
        }
    }
}

/// A file beside the blobs; removed when this goes, or at the next start.
pub struct Spooled {
    path: PathBuf,
    file: File,
}

impl Write for Spooled {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Spooled {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Spooled {
    fn drop(&mut self) {
        fs::remove_file(&self.path).ok();
    }
}

/// Blobs that enter together: written one after the other, visible after [`Batch::commit`]. What was written is removed
/// when it is dropped before.
pub struct Batch<'a> {
    blobs: &'a Blobs,
    folder: File,
    waiting: Vec<Waiting>,
    /// Bytes written since the last commit.
    bytes: u64,
    known: HashMap<Digest, u64>,
    /// Sizes of the blobs there were, once somebody asked.
    sizes: Option<HashSet<u64>>,
    buffer: Vec<u8>,
}

/// A blob that is written and not yet synced.
struct Waiting {
    temporary: PathBuf,
    digest: Digest,
    /// Kept for syncing while there are few.
    file: Option<File>,
}

impl Batch<'_> {
    /// Writes what `source` gives, up to `bytes_max`. `advance` is told of every piece and may cancel.
    ///
    /// # Errors
    /// When reading or writing fails, there is too much, or the caller cancels.
    pub fn import(
        &mut self,
        source: &mut dyn Read,
        bytes_max: u64,
        advance: &mut dyn FnMut(u64) -> bool,
    ) -> Result<StoredBlob, BlobError> {
        let temporary = self.blobs.temporary();
        let stored = self.import_through(&temporary, source, bytes_max, advance);
        if stored.as_ref().map_or(true, |stored| !stored.new) {
            // Best effort: what stays is removed at the next start.
            fs::remove_file(&temporary).ok();
        }
        stored
    }

    fn import_through(
        &mut self,
        temporary: &Path,
        source: &mut dyn Read,
        bytes_max: u64,
        advance: &mut dyn FnMut(u64) -> bool,
    ) -> Result<StoredBlob, BlobError> {
        let write = |source| fault("write", temporary, source);
        let mut file = File::create_new(temporary).map_err(write)?;
        let (digest, size) = pump(source, &mut self.buffer, bytes_max, advance, &mut |piece| {
            file.write_all(piece).map_err(write)
        })?;
        if self.is_there(digest, size) {
            return Ok(StoredBlob { digest, size, new: false });
        }
        file.set_permissions(fs::Permissions::from_mode(0o444)).map_err(write)?;
        let file = (self.waiting.len() < SYNC_EACH_MAX).then_some(file);
        self.waiting.push(Waiting { temporary: temporary.to_owned(), digest, file });
        self.known.insert(digest, size);
        self.bytes += size;
        Ok(StoredBlob { digest, size, new: true })
    }

    /// Whether a blob of that size was there: then it is worth reading the source once only to hash it ([`Batch::find`]).
    ///
    /// # Errors
    /// When the blobs cannot be listed.
    pub fn has_size(&mut self, size: u64) -> Result<bool, BlobError> {
        if self.sizes.is_none() {
            let mut sizes = HashSet::new();
            for folder in list(&self.blobs.blobs)? {
                for path in list(&folder)? {
                    sizes.extend(fs::symlink_metadata(&path).ok().map(|metadata| metadata.len()));
                }
            }
            self.sizes = Some(sizes);
        }
        Ok(self.sizes.as_ref().is_some_and(|sizes| sizes.contains(&size)))
    }

    /// Reads the source and says which blob it is, when that one is there and whole. Writes nothing.
    ///
    /// # Errors
    /// As [`Batch::import`].
    pub fn find(
        &mut self,
        source: &mut dyn Read,
        bytes_max: u64,
        advance: &mut dyn FnMut(u64) -> bool,
    ) -> Result<Option<StoredBlob>, BlobError> {
        let (digest, size) = pump(source, &mut self.buffer, bytes_max, advance, &mut |_| Ok(()))?;
        Ok(self.is_there(digest, size).then_some(StoredBlob { digest, size, new: false }))
    }

    /// A blob that is damaged is not there.
    fn is_there(&self, digest: Digest, size: u64) -> bool {
        self.known.get(&digest) == Some(&size) || self.blobs.check(digest, size).is_ok()
    }

    /// Bytes that wait for [`Batch::commit`].
    pub fn waiting_bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes everything written so far durable and then visible. The batch may go on.
    ///
    /// # Errors
    /// When syncing or renaming fails. Some blobs may be there then; none is half.
    pub fn commit(&mut self) -> Result<(), BlobError> {
        self.bytes = 0;
        if self.waiting.is_empty() {
            return Ok(());
        }
        if self.waiting.len() > SYNC_EACH_MAX {
            nix::unistd::syncfs(&self.folder)
                .map_err(|errno| fault("sync", &self.blobs.incoming, errno.into()))?;
        } else {
            for waiting in &self.waiting {
                if let Some(file) = &waiting.file {
                    file.sync_all().map_err(|source| fault("sync", &waiting.temporary, source))?;
                }
            }
        }
        let mut folders = HashSet::from([self.blobs.blobs.clone()]);
        while let Some(waiting) = self.waiting.pop() {
            let path = self.blobs.path(waiting.digest);
            let folder = path.parent().unwrap_or(&self.blobs.blobs).to_owned();
            let renamed = fs::create_dir_all(&folder)
                .map_err(|source| fault("create folder", &folder, source))
                .and_then(|()| {
                    fs::rename(&waiting.temporary, &path).map_err(|source| fault("rename", &path, source))
                });
            if let Err(error) = renamed {
                // Removed with the others.
                self.waiting.push(waiting);
                return Err(error);
            }
            folders.insert(folder);
            // A damaged blob that was just replaced may still be mapped.
            lock(&self.blobs.maps).open.remove(&waiting.digest);
        }
        for folder in folders {
            File::open(&folder)
                .and_then(|folder| folder.sync_all())
                .map_err(|source| fault("sync folder", &folder, source))?;
        }
        Ok(())
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        for waiting in &self.waiting {
            fs::remove_file(&waiting.temporary).ok();
        }
    }
}

/// Reads the source to its end, hashing and handing on every piece. A long one is hashed by a thread of its own.
fn pump(
    source: &mut dyn Read,
    buffer: &mut [u8],
    bytes_max: u64,
    advance: &mut dyn FnMut(u64) -> bool,
    write: &mut dyn FnMut(&[u8]) -> Result<(), BlobError>,
) -> Result<(Digest, u64), BlobError> {
    let mut size = 0u64;
    let mut next = |source: &mut dyn Read, buffer: &mut [u8]| -> Result<usize, BlobError> {
        let read = fill(source, buffer)?;
        size += read as u64;
        if size > bytes_max {
            return Err(BlobError::TooLarge { bytes_max });
        }
        if read > 0 {
            write(buffer.get(..read).unwrap_or_default())?;
            if !advance(read as u64) {
                return Err(BlobError::Cancelled);
            }
        }
        Ok(read)
    };
    let mut hasher = Hasher::default();
    let mut hashed = 0u64;
    while hashed < HASH_APART_BYTES {
        let read = next(source, buffer)?;
        if read == 0 {
            return Ok((hasher.finish(), size));
        }
        hasher.update(buffer.get(..read).unwrap_or_default());
        hashed += read as u64;
    }
    let digest = std::thread::scope(|scope| {
        // Four pieces are on the way at most; the hasher gives each back.
        const PIECES: usize = 4;
        let (full, to_hash) = sync_channel::<(Vec<u8>, usize)>(PIECES);
        let (give_back, empty) = sync_channel::<Vec<u8>>(PIECES);
        for _ in 0..PIECES {
            give_back.send(vec![0u8; COPY_BYTES]).ok();
        }
        let hashing = std::thread::Builder::new().name("hash".to_owned()).spawn_scoped(scope, move || {
            while let Ok((piece, read)) = to_hash.recv() {
                hasher.update(piece.get(..read).unwrap_or_default());
                // Nobody takes it at the end; what is on the way is hashed all the same.
                give_back.send(piece).ok();
            }
            hasher.finish()
        });
        let hashing = hashing.map_err(BlobError::Source)?;
        let lost = || BlobError::Source(io::Error::other("the hashing thread is gone"));
        loop {
            let mut piece = empty.recv().map_err(|_| lost())?;
            let read = next(source, &mut piece)?;
            if read == 0 {
                break;
            }
            full.send((piece, read)).map_err(|_| lost())?;
        }
        drop(full);
        drop(empty);
        hashing.join().map_err(|_| lost())
    })?;
    Ok((digest, size))
}

/// Fills the buffer as far as the source goes.
fn fill(source: &mut dyn Read, buffer: &mut [u8]) -> Result<usize, BlobError> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match source.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(BlobError::Source(error)),
        }
    }
    Ok(filled)
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
