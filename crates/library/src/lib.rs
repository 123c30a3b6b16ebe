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
pub use import::{ImportError, ImportRequest, Imported, Source, Unwatched, Watch};
pub use loaders::{Loader, LoaderMissing, LoaderWarning, Loaders};
pub use manifest::{EsxiFacts, FileEntry, Manifest};
pub use media::{MediaError, Reader};
pub use records::{Change, MemoryRecords, Records, RecordsError, Remembered, Tags};
pub use verify::{BadFile, Verifier, VerifyStep};
pub use versions::{Pruned, Versions, check_tag};

use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io::Read;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use types::resource::{Image, Name};

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
        let versions = self.versions(request.image.name.as_str());
        let present = versions.as_ref().map(|versions| versions.current.clone());
        if present.is_some() && !request.replace {
            return Err(ImportError::Exists(request.image.name.to_string()));
        }
        let options = &inner.options;
        let mut prepared = import::prepare(
            request,
            &request.source,
            &options.media_reader,
            options.image_bytes_max,
            &|| watch.cancelled(),
        )?;
        let source = match &prepared.restored {
            Some(restored) => restored.source.clone(),
            None => prepared.source.to_string(),
        };
        let same = present.filter(|present| {
            prepared.versioned
                && prepared.version.is_some()
                && present.version == prepared.version
                && present.source == source
        });
        let (files, new_bytes, changed) =
            match same.filter(|present| same_names(present, &prepared) && self.has_blobs(present)) {
                Some(present) => (present.files.clone(), 0, false),
                None => {
                    let (files, new_bytes) = self.copy(&mut prepared, watch)?;
                    (files, new_bytes, true)
                }
            };
        let import::Prepared { image, version, esxi, notes, .. } = prepared;
        import::check_twins(&image, files.iter().map(|(name, file)| (name.as_str(), file.sha256)))?;
        for note in &notes {
            tracing::warn!(image = image.name.as_str(), note, "imported image");
        }
        // Later than every other version, also when the clock was set back: rolling back goes by it.
        let newest = versions.iter().flat_map(Versions::newest_first).map(|it| it.imported).max();
        let imported = newest.map_or(request.now.0, |newest| request.now.0.max(newest.saturating_add(1)));
        let mut manifest = Manifest::new(image.name.clone(), source, version, imported, files);
        (manifest.esxi, manifest.notes) = (esxi, notes);
        manifest.profile = Some(Box::new(image.clone()));
        let manifest = Arc::new(manifest);
        self.keep_version(versions, &manifest, request.record_image.then_some(&image))?;
        lock(&inner.unreadable).remove(image.name.as_str());
        Ok(Imported { image, manifest, new_bytes, changed })
    }

    /// Makes a version current and keeps what was.
    fn keep_version(
        &self,
        before: Option<Versions>,
        manifest: &Arc<Manifest>,
        image: Option<&Image>,
    ) -> Result<(), ImportError> {
        let name = manifest.image.to_string();
        let Some(before) = before else {
            let change = Change { current: Some(manifest), image, ..Change::default() };
            self.inner.records.commit(&name, &change)?;
            self.set_versions(Versions::of(manifest.clone()));
            return Ok(());
        };
        let id = manifest.id();
        match before.get(id.as_str()) {
            Some(same) if same.files != manifest.files => {
                return Err(ImportError::IdTaken { image: name, id: id.clone() });
            }
            None if before.others.len() + 1 >= limits::VERSIONS_MAX => {
                return Err(ImportError::TooManyVersions(name));
            }
            Some(_) | None => {}
        }
        let forget = [id.clone()];
        let change = Change {
            current: Some(manifest),
            aside: Some(&*before.current).filter(|current| current.id() != id),
            forget: &forget,
            image,
            ..Change::default()
        };
        self.inner.records.commit(&name, &change)?;
        self.set_versions(before.with_current(manifest.clone()));
        Ok(())
    }

    fn has_blobs(&self, manifest: &Manifest) -> bool {
        manifest.files.values().all(|entry| self.inner.blobs.open(entry.sha256, entry.size).is_ok())
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

    /// Copies every file into the blob store. What is copied when it fails or is cancelled stays until the next sweep, so
    /// that another attempt need not copy it again.
    fn copy(
        &self,
        prepared: &mut import::Prepared,
        watch: &mut dyn Watch,
    ) -> Result<(BTreeMap<String, FileEntry>, u64), ImportError> {
        let failed = |source| ImportError::Blob { file: "incoming".to_owned(), source };
        let mut batch = self.inner.blobs.batch().map_err(failed)?;
        let copied = copy_files(prepared, &mut batch, watch);
        let committed = batch.commit().map_err(failed);
        let copied = copied?;
        committed.map(|()| copied)
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

/// Copies every file, in the order in which they are cheapest to read.
fn copy_files(
    prepared: &mut import::Prepared,
    batch: &mut Batch<'_>,
    watch: &mut dyn Watch,
) -> Result<(BTreeMap<String, FileEntry>, u64), ImportError> {
    let import::Prepared { files: listed, medium, bytes: total, restored, .. } = prepared;
    let mut order: Vec<(&String, &import::Listed)> = listed.iter().collect();
    order.sort_by_key(|(_, listed)| match listed.place {
        import::Place::Medium(index) => index,
        import::Place::File { .. } => 0,
    });
    let failed = |file: &str| {
        let file = file.to_owned();
        move |source| ImportError::Blob { file, source }
    };
    let (mut done, mut new_bytes) = (0u64, 0u64);
    let mut files = BTreeMap::new();
    // Discs list one content under several names.
    let mut same: HashMap<Vec<media::Range>, FileEntry> = HashMap::new();
    for (name, listed) in order {
        if watch.cancelled() {
            return Err(ImportError::Cancelled);
        }
        let ranges = part(listed, medium.as_ref());
        if let Some(entry) = ranges.as_ref().and_then(|ranges| same.get(ranges)) {
            check_restored(restored.as_ref(), medium.as_ref(), name, *entry)?;
            done += listed.size;
            watch.advanced(done, *total, name);
            files.insert(name.clone(), *entry);
            continue;
        }
        let hash_first = batch.has_size(listed.size).map_err(failed(name))?;
        let mut copied = None;
        for pass in [hash_first.then_some(Pass::Hash), Some(Pass::Write)].into_iter().flatten() {
            let counted = matches!(pass, Pass::Hash) || !hash_first;
            let mut advance = |bytes: u64| {
                if counted {
                    done += bytes;
                }
                watch.advanced(done.min(*total), *total, name);
                !watch.cancelled()
            };
            let mut reader = open_listed(listed, medium.as_mut())?;
            copied = match pass {
                Pass::Hash => batch.find(&mut reader, listed.size, &mut advance),
                Pass::Write => batch.import(&mut reader, listed.size, &mut advance).map(Some),
            }
            .map_err(|error| copy_fault(error, name, &listed.place))?;
            if copied.is_some() {
                break;
            }
        }
        let Some(stored) = copied.filter(|stored| stored.size == listed.size) else {
            return Err(ImportError::Moved(place_path(&listed.place, name)));
        };
        new_bytes += if stored.new { stored.size } else { 0 };
        let entry = FileEntry { sha256: stored.digest, size: stored.size };
        check_restored(restored.as_ref(), medium.as_ref(), name, entry)?;
        if let Some(ranges) = ranges {
            same.insert(ranges, entry);
        }
        files.insert(name.clone(), entry);
        if batch.waiting_bytes() > limits::COMMIT_BYTES {
            batch.commit().map_err(failed(name))?;
        }
    }
    Ok((files, new_bytes))
}

/// A file of an exported image is the one it was, or the import ends.
fn check_restored(
    restored: Option<&Manifest>,
    medium: Option<&media::Opened>,
    name: &str,
    found: FileEntry,
) -> Result<(), ImportError> {
    let Some(restored) = restored else { return Ok(()) };
    if restored.files.get(name) == Some(&found) {
        return Ok(());
    }
    let path = medium.map(|medium| medium.path().to_owned()).unwrap_or_default();
    let fault = ExportFault::Altered(format!("`{name}` has sha256 {}", found.sha256));
    Err(ImportError::Export { path, fault })
}

/// How a file is read.
#[derive(Clone, Copy)]
enum Pass {
    /// To see whether it is there.
    Hash,
    /// To store it.
    Write,
}

/// Where the bytes of a file lie on its medium; `None` for other files and for empty or compressed ones.
fn part(listed: &import::Listed, medium: Option<&media::Opened>) -> Option<Vec<media::Range>> {
    let import::Place::Medium(index) = listed.place else { return None };
    match &medium?.entries.get(index)?.content {
        media::Content::Ranges(ranges) if !ranges.is_empty() => Some(ranges.clone()),
        media::Content::Ranges(_) | media::Content::Stream { .. } => None,
    }
}

fn open_listed<'m>(
    listed: &import::Listed,
    medium: Option<&'m mut media::Opened>,
) -> Result<Box<dyn Read + 'm>, ImportError> {
    match &listed.place {
        import::Place::File { path, device, inode } => {
            let file = import::listing::open_again(path, *device, *inode)?;
            Ok(Box::new(file))
        }
        import::Place::Medium(index) => {
            let Some(medium) = medium else { return Err(ImportError::Empty("medium".to_owned())) };
            let path = medium.path().to_owned();
            medium.read(*index).map_err(|source| ImportError::Medium { path, source })
        }
    }
}

fn copy_fault(error: BlobError, name: &str, place: &import::Place) -> ImportError {
    match error {
        BlobError::Cancelled => ImportError::Cancelled,
        BlobError::TooLarge { .. } => ImportError::Moved(place_path(place, name)),
        BlobError::Source(source) if matches!(place, import::Place::Medium(_)) => {
            ImportError::Medium { path: name.into(), source: MediaError::from_io(source) }
        }
        source => ImportError::Blob { file: name.to_owned(), source },
    }
}

fn place_path(place: &import::Place, name: &str) -> PathBuf {
    match place {
        import::Place::File { path, .. } => path.clone(),
        import::Place::Medium(_) => name.into(),
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
