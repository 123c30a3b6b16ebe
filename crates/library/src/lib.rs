//! Every file we hold: images by name and manifest, their bytes by sha256, and the loaders of this machine.
//!
//! What is deliberately absent: who may have what (`tree`), and joining a name that came from outside onto a path. A
//! name is a key of a manifest or of the list of loaders; only digests, which we made ourselves, become paths.
//!
//! On disk, below the library folder:
//!
//! | path | what | after a crash |
//! |---|---|---|
//! | `blobs/sha256/ab/<hex>` | one content, read-only | whole or absent |
//! | `incoming/<n>` | an import under way | removed at the next start |
//!
//! Manifests are records of the store (`Records`). An import commits its manifest last, so an image is there with all
//! its files or not at all; blobs without a manifest are swept by [`Library::collect`].
//!
//! Everything here blocks on the disk: async callers use a blocking thread.

pub mod blobs;
pub mod digest;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod import;
pub mod limits;
pub mod loaders;
pub mod manifest;
pub mod records;

pub use blobs::{BlobError, Blobs};
pub use digest::Digest;
pub use import::{ImportError, ImportRequest, Imported, Source, Unwatched, Watch};
pub use loaders::{Loader, LoaderMissing, LoaderWarning, Loaders};
pub use manifest::{FileEntry, Manifest};
pub use records::{MemoryRecords, Records, RecordsError, Remembered};

use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// Where a library is and what it may hold.
#[derive(Clone, Debug)]
pub struct LibraryOptions {
    /// Its folder; made where needed.
    pub path: PathBuf,
    /// Where loaders are searched, in order; see [`Loaders::search`].
    pub loader_sources: Vec<String>,
    /// Most bytes of one image.
    pub image_bytes_max: u64,
}

impl LibraryOptions {
    /// A library in this folder, loaders from distribution packages, usual limits.
    pub fn at(path: impl Into<PathBuf>) -> LibraryOptions {
        LibraryOptions {
            path: path.into(),
            loader_sources: vec![loaders::AUTO.to_owned()],
            image_bytes_max: limits::IMAGE_BYTES_MAX,
        }
    }
}

/// Why a library cannot be opened or changed.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// The blob store failed.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The records failed.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// Blobs of an import under way would be swept.
    #[error("an import is under way; try again when it is done")]
    ImportUnderWay,
    /// Blobs of an image whose manifest cannot be read would be swept.
    #[error("the manifest of image `{0}` cannot be read; import or delete that image first")]
    ManifestUnreadable(String),
}

/// A file of an image, open.
#[derive(Clone, Debug)]
pub struct ImageFile {
    /// Its name as the image has it.
    pub name: Arc<str>,
    /// Digest of its bytes.
    pub digest: Digest,
    /// Its bytes, mapped.
    pub bytes: Bytes,
}

/// What a sweep removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Swept {
    /// Blobs removed.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A file whose blob is missing or damaged.
#[derive(Debug)]
pub struct BadFile {
    /// The file.
    pub name: String,
    /// What is wrong.
    pub fault: BlobError,
}

/// Everything we hold. Cheap to clone.
#[derive(Clone)]
pub struct Library {
    inner: Arc<Inner>,
}

struct Inner {
    options: LibraryOptions,
    blobs: Blobs,
    records: Box<dyn Records>,
    manifests: RwLock<BTreeMap<String, Arc<Manifest>>>,
    /// Images whose records could not be read, until they are imported or deleted.
    unreadable: Mutex<BTreeSet<String>>,
    loaders: RwLock<Arc<Loaders>>,
    /// Read by imports, written by sweeps: a sweep never sees blobs whose manifest is still to come.
    sweep_gate: RwLock<()>,
    /// One import or removal of an image at a time.
    importing: Mutex<HashSet<String>>,
}

impl Library {
    /// Opens the folder, reads every manifest and searches the loaders.
    ///
    /// # Errors
    /// When the folder or the records cannot be read. Missing loaders are no error here.
    pub fn open(options: LibraryOptions, records: impl Records + 'static) -> Result<Library, LibraryError> {
        let blobs = Blobs::open_at(&options.path)?;
        let Remembered { manifests, unreadable } = records.load()?;
        for (image, why) in &unreadable {
            tracing::error!(image, why, "the manifest of an image cannot be read");
        }
        let unreadable = Mutex::new(unreadable.into_iter().map(|(image, _)| image).collect());
        let manifests =
            manifests.into_iter().map(|manifest| (manifest.image.to_string(), Arc::new(manifest)));
        let manifests = RwLock::new(manifests.collect());
        let loaders = RwLock::new(Arc::new(Loaders::search(&options.loader_sources)));
        Ok(Library {
            inner: Arc::new(Inner {
                options,
                blobs,
                records: Box::new(records),
                manifests,
                unreadable,
                loaders,
                sweep_gate: RwLock::new(()),
                importing: Mutex::default(),
            }),
        })
    }

    /// The manifest of an image.
    pub fn manifest(&self, image: &str) -> Option<Arc<Manifest>> {
        self.inner.manifests.read().unwrap_or_else(PoisonError::into_inner).get(image).cloned()
    }

    /// Every manifest, by image name.
    pub fn manifests(&self) -> Vec<Arc<Manifest>> {
        self.inner.manifests.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// A file of an image; `None` when the image or the file is not there.
    ///
    /// # Errors
    /// When the file should be there and its blob cannot be read.
    pub fn open_file(&self, image: &str, file: &str) -> Result<Option<ImageFile>, BlobError> {
        let Some(manifest) = self.manifest(image) else { return Ok(None) };
        let Some((name, entry)) = manifest.find(file) else { return Ok(None) };
        let bytes = self.inner.blobs.open(entry.sha256, entry.size)?;
        Ok(Some(ImageFile { name, digest: entry.sha256, bytes }))
    }

    /// The loaders found by the last search.
    pub fn loaders(&self) -> Arc<Loaders> {
        self.inner.loaders.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Searches the loaders again, after a package was installed or the configuration changed.
    pub fn search_loaders(&self, sources: &[String]) -> Arc<Loaders> {
        let found = Arc::new(Loaders::search(sources));
        *self.inner.loaders.write().unwrap_or_else(PoisonError::into_inner) = found.clone();
        found
    }

    /// Imports an image: all of it or nothing. Blocks for as long as the copying takes.
    ///
    /// The same version of a versioned source (the Debian installer) is not copied again.
    ///
    /// # Errors
    /// See [`ImportError`]; nothing is visible then.
    pub fn import(&self, request: &ImportRequest, watch: &mut dyn Watch) -> Result<Imported, ImportError> {
        let name = request.image.name.to_string();
        let Some(_busy) = self.occupy(&name) else { return Err(ImportError::UnderWay(name)) };
        self.import_alone(request, watch)
    }

    /// Makes a name ours alone, or `None` when an import or a removal has it.
    fn occupy(&self, name: &str) -> Option<Occupied<'_>> {
        let own = lock(&self.inner.importing).insert(name.to_owned());
        own.then(|| Occupied { inner: &self.inner, name: name.to_owned() })
    }

    fn import_alone(&self, request: &ImportRequest, watch: &mut dyn Watch) -> Result<Imported, ImportError> {
        let inner = &*self.inner;
        let _gate = inner.sweep_gate.read().unwrap_or_else(PoisonError::into_inner);
        let present = self.manifest(request.image.name.as_str());
        if present.is_some() && !request.replace {
            return Err(ImportError::Exists(request.image.name.to_string()));
        }
        let prepared = import::prepare(request, inner.options.image_bytes_max)?;
        let source = request.source.to_string();
        let same = present.filter(|present| {
            prepared.version.is_some() && present.version == prepared.version && present.source == source
        });
        let (files, new_bytes, changed) =
            match same.filter(|present| same_names(present, &prepared) && self.has_blobs(present)) {
                Some(present) => (present.files.clone(), 0, false),
                None => {
                    let (files, new_bytes) = self.copy(&prepared, watch)?;
                    (files, new_bytes, true)
                }
            };
        let image = prepared.image;
        let manifest =
            Arc::new(Manifest::new(image.name.clone(), source, prepared.version, request.now.0, files));
        inner.records.save(&manifest, request.record_image.then_some(&image))?;
        inner
            .manifests
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(image.name.to_string(), manifest.clone());
        lock(&inner.unreadable).remove(image.name.as_str());
        Ok(Imported { image, manifest, new_bytes, changed })
    }

    fn has_blobs(&self, manifest: &Manifest) -> bool {
        manifest.files.values().all(|entry| self.inner.blobs.open(entry.sha256, entry.size).is_ok())
    }

    fn copy(
        &self,
        prepared: &import::Prepared,
        watch: &mut dyn Watch,
    ) -> Result<(BTreeMap<String, FileEntry>, u64), ImportError> {
        let (mut done, mut new_bytes) = (0u64, 0u64);
        let mut files = BTreeMap::new();
        for (name, listed) in &prepared.files {
            if watch.cancelled() {
                return Err(ImportError::Cancelled);
            }
            let mut file =
                fs::File::open(&listed.path).map_err(|source| import::unreadable(&listed.path, source))?;
            let opened = file.metadata().map_err(|source| import::unreadable(&listed.path, source))?;
            // The file that was listed, not a link that took its place.
            if (opened.dev(), opened.ino()) != (listed.device, listed.inode) {
                return Err(ImportError::Moved(listed.path.clone()));
            }
            let mut advance = |bytes: u64| {
                done += bytes;
                watch.advanced(done, prepared.bytes, name);
                !watch.cancelled()
            };
            let stored = match self.inner.blobs.import(&mut file, listed.size, &mut advance) {
                Ok(stored) => stored,
                Err(BlobError::Cancelled) => return Err(ImportError::Cancelled),
                Err(BlobError::TooLarge { .. }) => return Err(ImportError::Moved(listed.path.clone())),
                Err(source) => return Err(ImportError::Blob { file: name.clone(), source }),
            };
            if stored.size != listed.size {
                return Err(ImportError::Moved(listed.path.clone()));
            }
            new_bytes += if stored.new { stored.size } else { 0 };
            files.insert(name.clone(), FileEntry { sha256: stored.digest, size: stored.size });
        }
        Ok((files, new_bytes))
    }

    /// Forgets an image; its blobs go with the next [`collect`](Self::collect). Says whether it was there.
    ///
    /// # Errors
    /// [`LibraryError::ImportUnderWay`], or when the record cannot be removed; the image stays then.
    pub fn delete(&self, image: &str) -> Result<bool, LibraryError> {
        let Some(_busy) = self.occupy(image) else { return Err(LibraryError::ImportUnderWay) };
        if self.manifest(image).is_none() && !lock(&self.inner.unreadable).contains(image) {
            return Ok(false);
        }
        self.inner.records.remove(image)?;
        let unreadable = lock(&self.inner.unreadable).remove(image);
        let mut manifests = self.inner.manifests.write().unwrap_or_else(PoisonError::into_inner);
        Ok(manifests.remove(image).is_some() || unreadable)
    }

    /// Removes every blob no image uses. Transfers under way go on.
    ///
    /// # Errors
    /// [`LibraryError::ImportUnderWay`], [`LibraryError::ManifestUnreadable`], or the file system's.
    pub fn collect(&self) -> Result<Swept, LibraryError> {
        let inner = &*self.inner;
        let _gate = match inner.sweep_gate.try_write() {
            Ok(gate) => gate,
            Err(std::sync::TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(std::sync::TryLockError::WouldBlock) => return Err(LibraryError::ImportUnderWay),
        };
        if let Some(image) = lock(&inner.unreadable).first() {
            return Err(LibraryError::ManifestUnreadable(image.clone()));
        }
        let live = self.manifests().iter().flat_map(|it| it.files.values().map(|file| file.sha256)).collect();
        let (blobs, bytes) = inner.blobs.sweep(&live)?;
        Ok(Swept { blobs, bytes })
    }

    /// Reads every file of an image whole and lists those that are missing or damaged; `None` without such an image.
    pub fn verify(&self, image: &str) -> Option<Vec<BadFile>> {
        let manifest = self.manifest(image)?;
        let mut checked: BTreeMap<Digest, u64> = BTreeMap::new();
        let mut bad = Vec::new();
        for (name, entry) in &manifest.files {
            if checked.insert(entry.sha256, entry.size) == Some(entry.size) {
                continue;
            }
            if let Err(fault) = self.inner.blobs.verify(entry.sha256, entry.size) {
                checked.remove(&entry.sha256);
                bad.push(BadFile { name: name.clone(), fault });
            }
        }
        Some(bad)
    }
}

/// A name in use; free again when this goes, also by a panic.
struct Occupied<'a> {
    inner: &'a Inner,
    name: String,
}

impl Drop for Occupied<'_> {
    fn drop(&mut self) {
        lock(&self.inner.importing).remove(&self.name);
    }
}

/// Same names and sizes: with the same version that is the same content.
fn same_names(present: &Manifest, prepared: &import::Prepared) -> bool {
    present.files.len() == prepared.files.len()
        && present
            .files
            .iter()
            .all(|(name, entry)| prepared.files.get(name).is_some_and(|own| own.size == entry.size))
}

/// A poisoned lock guards data that is whole at every step.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
