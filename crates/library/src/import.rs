//! Import: files in, an image out, all of it or nothing.
//!
//! A source is listed first (names, sizes, limits), then copied into the blob store, then the manifest is committed:
//! only the last step makes anything visible. What an interrupted import copied is swept by `collect`.
//!
//! Refused, each with the name it is about: symbolic links, devices, sockets and pipes; names nobody could ask for; a
//! profile that names a file the source has not; more files, bytes or folders than the limits allow. Links on a medium
//! (ISO, tar, zip) are left out with a note: distributions have them for people who browse.
//!
//! A file that `export` made is recognised by its first entry and restored: its profile, its version, every file compared
//! with its digest ([`crate::export`]).
//!
//! What the files are is told by their names and a few small ones ([`crate::media`]); what the request says wins.
//!
//! Names that differ only in case: machines that boot ESXi or Windows ask without regard to it, so two such names with
//! different bytes refuse the import; with the same bytes they are the same file twice. Other images keep both, and the
//! exact name is looked up first.
//!
//! Copying again is cheap: a file whose size a blob has is hashed before anything is written, and not written when that
//! blob is there and whole. So an import that was cut off goes on where it was, at the speed of reading.

mod again;
mod copy;
mod debian;
mod error;
pub(crate) mod listing;
mod memtest;
mod prepare;
mod source;

pub use debian::DEBIAN_NETBOOT_ROOT;
pub use error::ImportError;
pub use memtest::MEMTEST_ROOT;
pub(crate) use prepare::{Listed, Place};
pub use source::{Source, SourceParseError};

use crate::manifest::{FileEntry, Manifest};
use crate::records::Change;
use crate::{Library, Versions, limits, lock};
use prepare::Prepared;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use types::UnixTime;
use types::resource::Image;

/// What to import.
#[derive(Clone, Debug)]
pub struct ImportRequest {
    /// The image: its name and as much of the profile as the source does not know itself.
    pub image: Image,
    /// Where its files come from.
    pub source: Source,
    /// Of an ESXi offline bundle, the image profile. Without one: the only one, else the only one called `…-standard`.
    pub profile: Option<String>,
    /// The kind was asked for. Otherwise a source that is recognised says it.
    pub kind_given: bool,
    /// Replace an image of that name; otherwise it is refused.
    pub replace: bool,
    /// Keep the image resource beside the manifest. Not for images of a configuration file, which has it.
    pub record_image: bool,
    /// The time, for the manifest.
    pub now: UnixTime,
}

/// An image that is now there.
#[derive(Clone, Debug)]
pub struct Imported {
    /// Its completed profile.
    pub image: Image,
    /// Its files. Behind the notes of the medium stand those of [`Image::notes`], which are not kept: they may be others
    /// tomorrow.
    pub manifest: Arc<Manifest>,
    /// Bytes that were not in the library before.
    pub new_bytes: u64,
    /// False when the same version of the same source was there and nothing was copied.
    pub changed: bool,
}

/// Who watches an import.
pub trait Watch {
    /// Told after every piece. `done` of `total` bytes are copied, `file` is under way.
    fn advanced(&mut self, done: u64, total: u64, file: &str);

    /// Asked after every piece; `true` ends the import and leaves nothing.
    fn cancelled(&self) -> bool {
        false
    }
}

/// Nobody watches.
pub struct Unwatched;

impl Watch for Unwatched {
    fn advanced(&mut self, _: u64, _: u64, _: &str) {}
}

impl<F: FnMut(u64, u64, &str)> Watch for F {
    fn advanced(&mut self, done: u64, total: u64, file: &str) {
        self(done, total, file);
    }
}

impl Library {
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

    fn import_alone(&self, request: &ImportRequest, watch: &mut dyn Watch) -> Result<Imported, ImportError> {
        let inner = &*self.inner;
        let _gate = inner.sweep_gate.read().unwrap_or_else(PoisonError::into_inner);
        let versions = self.versions(request.image.name.as_str());
        let present = versions.as_ref().map(|versions| versions.current.clone());
        if present.is_some() && !request.replace {
            return Err(ImportError::Exists(request.image.name.to_string()));
        }
        let options = &inner.options;
        let mut prepared = prepare::prepare(
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
        let Prepared { image, version, esxi, notes, restored, .. } = prepared;
        prepare::check_twins(&image, files.iter().map(|(name, file)| (name.as_str(), file.sha256)))?;
        for note in &notes {
            tracing::warn!(image = image.name.as_str(), note, "imported image");
        }
        // Later than every other version, also when the clock was set back: rolling back goes by it.
        let newest = versions.iter().flat_map(Versions::newest_first).map(|it| it.imported).max();
        let imported = newest.map_or(request.now.0, |newest| request.now.0.max(newest.saturating_add(1)));
        let mut manifest = Manifest::new(image.name.clone(), source, version, imported, files);
        (manifest.esxi, manifest.notes) = (esxi, notes);
        (manifest.profile, manifest.restored) = (Some(Box::new(image.clone())), restored.is_some());
        let manifest = Arc::new(manifest);
        self.keep_version(versions, &manifest, request.record_image.then_some(&image))?;
        lock(&inner.unreadable).remove(image.name.as_str());
        let mut told = Manifest::clone(&manifest);
        told.notes.extend(image.notes(&self.holds(&image), None));
        Ok(Imported { image, manifest: Arc::new(told), new_bytes, changed })
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

    /// Copies every file into the blob store. What is copied when it fails or is cancelled stays until the next sweep, so
    /// that another attempt need not copy it again.
    fn copy(
        &self,
        prepared: &mut Prepared,
        watch: &mut dyn Watch,
    ) -> Result<(BTreeMap<String, FileEntry>, u64), ImportError> {
        let failed = |source| ImportError::Blob { file: "incoming".to_owned(), source };
        let mut batch = self.inner.blobs.batch().map_err(failed)?;
        let copied = copy::copy_files(prepared, &mut batch, watch);
        let committed = batch.commit().map_err(failed);
        let copied = copied?;
        committed.map(|()| copied)
    }
}

/// Same names and sizes: with the same version that is the same content.
fn same_names(present: &Manifest, prepared: &Prepared) -> bool {
    present.files.len() == prepared.files.len()
        && present
            .files
            .iter()
            .all(|(name, entry)| prepared.files.get(name).is_some_and(|own| own.size == entry.size))
}

#[cfg(test)]
mod tests;
