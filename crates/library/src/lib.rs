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
//! | `downloads/` | files that are fetched ([`Library::downloads_folder`]) | gone on with |
//!
//! Manifests are records of the store (`Records`). An import commits its manifest last, so an image is there with all
//! its files or not at all; blobs without a manifest are swept by [`Library::collect`].
//!
//! An image has several versions side by side ([`versions`]); its name alone is the current one, `name@id` any that is
//! kept. A version leaves as one file and comes back from it ([`export`]).
//!
//! Everything here blocks on the disk: async callers use a blocking thread.

pub mod blobs;
pub mod digest;
pub mod export;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod holds;
pub mod import;
pub mod limits;
pub mod loaders;
pub mod manifest;
pub mod media;
pub mod records;
pub mod verify;
pub mod versions;

pub use blobs::{Batch, BlobError, Blobs, Spooled};
pub use digest::Digest;
pub use export::{Export, ExportFault};
pub use import::{ImportError, ImportRequest, Imported, Source, SourceParseError, Unwatched, Watch};
pub use loaders::{Loader, LoaderMissing, LoaderWarning, Loaders};
pub use manifest::{EsxiFacts, FileEntry, Manifest};
pub use media::{MediaError, Reader};
pub use records::{Change, MemoryRecords, Records, RecordsError, Remembered, Tags};
pub use verify::{BadFile, Verifier, VerifyStep};
pub use versions::{Pruned, Versions, check_tag};

use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use types::resource::Name;

/// Where a library is and what it may hold.
#[derive(Clone, Debug)]
pub struct LibraryOptions {
    /// Its folder; made where needed.
    pub path: PathBuf,
    /// Where loaders are searched, in order; see [`Loaders::search`].
    pub loader_sources: Vec<String>,
    /// Most bytes of one image.
    pub image_bytes_max: u64,
    /// Who reads media. The daemon's are read by a confined child process.
    pub media_reader: Reader,
}

impl LibraryOptions {
    /// A library in this folder, loaders from distribution packages, usual limits.
    pub fn at(path: impl Into<PathBuf>) -> LibraryOptions {
        LibraryOptions {
            path: path.into(),
            loader_sources: vec![loaders::AUTO.to_owned()],
            image_bytes_max: limits::IMAGE_BYTES_MAX,
            media_reader: Reader::InProcess,
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
    /// There is no such image.
    #[error("there are no files of an image `{0}`")]
    NoImage(String),
    /// The image has no such version.
    #[error("image `{image}` has no version `{version}`; it has {there}")]
    NoVersion {
        /// The image.
        image: String,
        /// As asked.
        version: Name,
        /// Ids and tags it has.
        there: String,
    },
    /// Several versions begin like that.
    #[error("image `{image}` has several versions that begin with `{version}`; write more of the id")]
    VersionUnclear {
        /// The image.
        image: String,
        /// As asked.
        version: Name,
    },
    /// Nothing was imported before the current version.
    #[error("image `{0}` has no version that was imported before the current one")]
    NoEarlier(String),
    /// It could be taken for an id.
    #[error(
        "`{0}` reads like the id of a version; a tag has a letter behind f, a hyphen, or more than 12 digits"
    )]
    TagRefused(Name),
    /// No more tags.
    #[error("image `{_0}` has {max} tags, which is the most; remove one first", max = limits::TAGS_MAX)]
    TooManyTags(String),
    /// Nobody knows how it boots.
    #[error("image `{0}` has no profile to export")]
    NoProfile(String),
    /// Its index has no JSON form.
    #[error("the index of the export cannot be written")]
    Unexportable(#[source] serde_json::Error),
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

/// Everything we hold. Cheap to clone.
#[derive(Clone)]
pub struct Library {
    inner: Arc<Inner>,
}

struct Inner {
    options: LibraryOptions,
    blobs: Blobs,
    records: Box<dyn Records>,
    images: RwLock<BTreeMap<String, Versions>>,
    /// Images whose records could not be read, until they are imported or deleted.
    unreadable: Mutex<BTreeSet<String>>,
    loaders: RwLock<Arc<Loaders>>,
    /// Read by imports, written by sweeps: a sweep never sees blobs whose manifest is still to come.
    sweep_gate: RwLock<()>,
    /// One import, removal or change of versions of an image at a time.
    importing: Mutex<HashSet<String>>,
    /// Versions that are being exported: their blobs stay.
    held: Mutex<HashMap<u64, Arc<Manifest>>>,
    next_held: AtomicU64,
}

impl Library {
    /// Opens the folder, reads every manifest and searches the loaders.
    ///
    /// # Errors
    /// When the folder or the records cannot be read. Missing loaders are no error here.
    pub fn open(options: LibraryOptions, records: impl Records + 'static) -> Result<Library, LibraryError> {
        let blobs = Blobs::open_at(&options.path)?;
        let (images, unreadable) = Library::assemble(records.load()?);
        for (image, why) in &unreadable {
            tracing::error!(image, why, "the manifest of an image cannot be read");
        }
        let unreadable = Mutex::new(unreadable.into_keys().collect());
        let loaders = RwLock::new(Arc::new(Loaders::search(&options.loader_sources)));
        Ok(Library {
            inner: Arc::new(Inner {
                options,
                blobs,
                records: Box::new(records),
                images: RwLock::new(images),
                unreadable,
                loaders,
                sweep_gate: RwLock::new(()),
                importing: Mutex::default(),
                held: Mutex::default(),
                next_held: AtomicU64::new(0),
            }),
        })
    }

    /// The manifest of an image: of its current version, or as `name@id` of any that is kept.
    pub fn manifest(&self, image: &str) -> Option<Arc<Manifest>> {
        let images = self.inner.images.read().unwrap_or_else(PoisonError::into_inner);
        match image.split_once('@') {
            Some((name, id)) => images.get(name)?.get(id).cloned(),
            None => images.get(image).map(|versions| versions.current.clone()),
        }
    }

    /// The manifest of the current version of every image, by image name.
    pub fn manifests(&self) -> Vec<Arc<Manifest>> {
        self.all_versions().into_iter().map(|versions| versions.current).collect()
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

    /// Makes a name ours alone, or `None` when an import or a removal has it.
    fn occupy(&self, name: &str) -> Option<Occupied<'_>> {
        let own = lock(&self.inner.importing).insert(name.to_owned());
        own.then(|| Occupied { inner: &self.inner, name: name.to_owned() })
    }

    /// An empty file beside the blobs, for what somebody sends: media are read at any offset.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn spool(&self) -> Result<Spooled, BlobError> {
        self.inner.blobs.spool()
    }

    /// Most bytes of one image.
    pub fn image_bytes_max(&self) -> u64 {
        self.inner.options.image_bytes_max
    }

    /// A folder for files that are fetched. Unlike `incoming/` it outlives a restart; whoever fetches keeps it tidy.
    pub fn downloads_folder(&self) -> PathBuf {
        self.inner.options.path.join("downloads")
    }

    /// Forgets an image with all its versions; its blobs go with the next [`collect`](Self::collect). Says whether it was there.
    ///
    /// # Errors
    /// [`LibraryError::ImportUnderWay`], or when the record cannot be removed; the image stays then.
    pub fn delete(&self, image: &str) -> Result<bool, LibraryError> {
        let Some(_busy) = self.occupy(image) else { return Err(LibraryError::ImportUnderWay) };
        let of_image = |key: &String| key.split('@').next() == Some(image);
        if self.manifest(image).is_none() && !lock(&self.inner.unreadable).iter().any(of_image) {
            return Ok(false);
        }
        self.inner.records.remove(image)?;
        lock(&self.inner.unreadable).retain(|key| !of_image(key));
        self.inner.images.write().unwrap_or_else(PoisonError::into_inner).remove(image);
        Ok(true)
    }

    /// Removes every blob that no version of any image uses. Transfers under way go on.
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
        let mut live = HashSet::new();
        let mut use_of = |manifest: &Manifest| live.extend(manifest.files.values().map(|file| file.sha256));
        for versions in self.all_versions() {
            versions.newest_first().into_iter().for_each(|manifest| use_of(manifest));
        }
        lock(&inner.held).values().for_each(|manifest| use_of(manifest));
        let (blobs, bytes) = inner.blobs.sweep(&live)?;
        Ok(Swept { blobs, bytes })
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

/// A poisoned lock guards data that is whole at every step.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
