//! One version of an image as one file, for sites that no network reaches.
//!
//! A tar that any `tar` unpacks, the same bytes for the same version:
//!
//! | entry | what |
//! |---|---|
//! | `reveille-image.json` | format and version, digests and sizes of all blobs, image resource, manifest |
//! | `blobs/sha256/<64 hex>` | each blob once, in the order of their digests |
//! | `reveille-image.sha256` | SHA-256 of the first entry, as `sha256sum` writes it: the end, and proof of the rest |
//!
//! Reading goes the way of every medium (by the confined child); a file that was cut off lacks its last entry, one that was
//! altered differs from a digest, and nothing of either becomes visible.

use crate::blobs::BlobReader;
use crate::import::{Listed, Place};
use crate::limits::{COPY_BYTES, EXPORT_INDEX_BYTES_MAX, IMAGE_FILES_MAX};
use crate::manifest::check_file_name;
use crate::media::Opened;
use crate::{BlobError, Digest, FileEntry, Library, LibraryError, Manifest, lock};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use types::resource::{Image, Name};

/// The first entry.
pub const INDEX_NAME: &str = "reveille-image.json";
/// The last entry.
pub const SUM_NAME: &str = "reveille-image.sha256";
const BLOBS: &str = "blobs/sha256/";
const FORMAT: &str = "reveille-image";
/// Rises when a reader of the old form would misread the new one.
const FORMAT_VERSION: u32 = 1;
const BLOCK: usize = 512;

/// What the first entry says.
#[derive(Serialize, Deserialize)]
struct Index {
    format: String,
    format_version: u32,
    id: Name,
    blobs: Vec<FileEntry>,
    image: Image,
    manifest: Manifest,
}

/// A file that is no whole, unaltered export.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExportFault {
    /// Its end is not there.
    #[error("it is cut off: `{SUM_NAME}` is not in it")]
    CutOff,
    /// A part is not what the export says.
    #[error("it was altered or damaged: {0}")]
    Altered(String),
    /// Made by a later program.
    #[error("it has format {0}; this program knows {FORMAT_VERSION}")]
    Newer(u32),
}

fn altered(what: impl Into<String>) -> ExportFault {
    ExportFault::Altered(what.into())
}

/// An export that was read.
pub(crate) struct Restored {
    pub(crate) image: Image,
    pub(crate) manifest: Manifest,
    pub(crate) files: BTreeMap<String, Listed>,
}

/// Reads the index of a medium that is an export; `None` when it is another medium.
pub(crate) fn read(
    files: &BTreeMap<String, Listed>,
    medium: &mut Opened,
) -> Option<Result<Restored, ExportFault>> {
    let index = files.get(INDEX_NAME)?;
    let others = files.keys().filter(|name| *name != INDEX_NAME && *name != SUM_NAME);
    let foreign = others.clone().find(|name| !name.starts_with(BLOBS));
    if foreign.is_some() && !files.contains_key(SUM_NAME) {
        return None;
    }
    Some(read_whole(files, index, foreign, medium))
}

fn read_whole(
    files: &BTreeMap<String, Listed>,
    index: &Listed,
    foreign: Option<&String>,
    medium: &mut Opened,
) -> Result<Restored, ExportFault> {
    if let Some(name) = foreign {
        return Err(altered(format!("`{name}` is no part of an export")));
    }
    let Some(sum) = files.get(SUM_NAME) else { return Err(ExportFault::CutOff) };
    let text = entry(index, medium, EXPORT_INDEX_BYTES_MAX, INDEX_NAME)?;
    let sum = entry(sum, medium, BLOCK as u64, SUM_NAME)?;
    if sum != sum_text(Digest::of(&text)).as_bytes() {
        return Err(altered(format!("`{INDEX_NAME}` does not have the sum in `{SUM_NAME}`")));
    }
    #[derive(Deserialize)]
    struct Head {
        format: String,
        format_version: u32,
    }
    let unreadable = |error: serde_json::Error| altered(format!("`{INDEX_NAME}` cannot be read: {error}"));
    let head: Head = serde_json::from_slice(&text).map_err(unreadable)?;
    if head.format != FORMAT {
        return Err(altered(format!("`{INDEX_NAME}` has format `{}`", head.format)));
    }
    if head.format_version > FORMAT_VERSION {
        return Err(ExportFault::Newer(head.format_version));
    }
    let Index { id, image, manifest, .. } = serde_json::from_slice(&text).map_err(unreadable)?;
    if manifest.files.len() > IMAGE_FILES_MAX {
        return Err(altered(format!("more than {IMAGE_FILES_MAX} files")));
    }
    if *manifest.id() != id {
        return Err(altered(format!("its files are those of version {}, not {id}", manifest.id())));
    }
    let mut own = BTreeMap::new();
    for (name, file) in &manifest.files {
        check_file_name(name).map_err(|fault| altered(format!("file name {name:?} {fault}")))?;
        let blob = files.get(&format!("{BLOBS}{}", file.sha256));
        let blob = blob.filter(|blob| blob.size == file.size);
        let Some(Listed { place: Place::Medium(index), size }) = blob else {
            return Err(altered(format!("the bytes of `{name}` are not in it")));
        };
        own.insert(name.clone(), Listed { size: *size, place: Place::Medium(*index) });
    }
    Ok(Restored { image, manifest, files: own })
}

fn entry(listed: &Listed, medium: &mut Opened, bytes_max: u64, name: &str) -> Result<Vec<u8>, ExportFault> {
    let Place::Medium(index) = listed.place else { return Err(altered(format!("`{name}` is elsewhere"))) };
    if listed.size > bytes_max {
        return Err(altered(format!("`{name}` has more than {bytes_max} bytes")));
    }
    let mut bytes = Vec::new();
    let reader = medium.read(index).map_err(|error| altered(format!("`{name}`: {error}")))?;
    reader
        .take(bytes_max + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| altered(format!("`{name}`: {error}")))?;
    Ok(bytes)
}

/// The name of the image in an export, for whoever imports it without giving one. Looks at the first entry of a plain tar
/// only and believes nothing: what is imported is checked by the import.
pub fn name_within(file: &Path) -> Option<Name> {
    #[derive(Deserialize)]
    struct Head {
        image: Named,
    }
    #[derive(Deserialize)]
    struct Named {
        name: Name,
    }
    let mut file =
        std::fs::File::open(file).ok().filter(|file| file.metadata().is_ok_and(|it| it.is_file()))?;
    let mut header = [0u8; BLOCK];
    file.read_exact(&mut header).ok()?;
    let rest = header.strip_prefix(INDEX_NAME.as_bytes())?;
    let size = rest.get(124 - INDEX_NAME.len()..135 - INDEX_NAME.len())?;
    let size = u64::from_str_radix(std::str::from_utf8(size).ok()?, 8).ok()?;
    if rest.first() != Some(&0) || size > EXPORT_INDEX_BYTES_MAX {
        return None;
    }
    let head: Head = serde_json::from_reader(std::io::BufReader::new(file.take(size))).ok()?;
    Some(head.image.name)
}

fn sum_text(sum: Digest) -> String {
    format!("{sum}  {INDEX_NAME}\n")
}

/// An image on its way into a file: the pieces, in order. It ends early when a blob cannot be read or is not what its name
/// says; see [`fault`](Export::fault). What it needs is not swept meanwhile.
pub struct Export {
    held: Held,
    blobs: std::vec::IntoIter<FileEntry>,
    /// The blob under way and what is to follow it to the next block.
    open: Option<(BlobReader, usize)>,
    index: Option<Vec<u8>>,
    end: Option<Vec<u8>>,
    bytes: u64,
    fault: Option<BlobError>,
}

impl Export {
    /// The version.
    pub fn manifest(&self) -> &Manifest {
        &self.held.manifest
    }

    /// Length of the whole.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Why it ended early.
    pub fn fault(&self) -> Option<&BlobError> {
        self.fault.as_ref()
    }

    fn piece(&mut self) -> Result<Option<Vec<u8>>, BlobError> {
        if let Some(index) = self.index.take() {
            return Ok(Some(index));
        }
        if let Some((reader, padding)) = &mut self.open {
            let mut piece = vec![0u8; COPY_BYTES];
            let read = reader.read(&mut piece)?;
            piece.truncate(read);
            if read > 0 {
                return Ok(Some(piece));
            }
            let padding = *padding;
            self.open = None;
            if padding > 0 {
                return Ok(Some(vec![0; padding]));
            }
        }
        let Some(blob) = self.blobs.next() else { return Ok(self.end.take()) };
        let reader = self.held.library.inner.blobs.reader(blob.sha256, blob.size)?;
        self.open = Some((reader, padding(blob.size)));
        let name = format!("{BLOBS}{}", blob.sha256);
        Ok(Some(header(&name, blob.size, self.held.manifest.imported).to_vec()))
    }
}

impl Iterator for Export {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        if self.fault.is_some() {
            return None;
        }
        match self.piece() {
            Ok(piece) => piece,
            Err(fault) => {
                let image = self.held.manifest.image.as_str();
                tracing::error!(image, error = &fault as &dyn std::error::Error, "an export ends early");
                self.fault = Some(fault);
                None
            }
        }
    }
}

/// A version whose blobs are not swept while this lives.
struct Held {
    library: Library,
    number: u64,
    manifest: Arc<Manifest>,
}

impl Drop for Held {
    fn drop(&mut self) {
        lock(&self.library.inner.held).remove(&self.number);
    }
}

impl Library {
    /// A version as one file; without one, the current. `profile` is the image resource for a version that was imported
    /// before versions had their own.
    ///
    /// # Errors
    /// [`LibraryError::NoImage`], [`LibraryError::NoVersion`], or when a blob is missing.
    pub fn export(
        &self,
        image: &str,
        version: Option<&Name>,
        profile: Option<&Image>,
    ) -> Result<Export, LibraryError> {
        let held = {
            // No sweep between finding and holding it.
            let _gate = self.inner.sweep_gate.read().unwrap_or_else(std::sync::PoisonError::into_inner);
            let versions = self.versions(image).ok_or_else(|| LibraryError::NoImage(image.to_owned()))?;
            let manifest = match version {
                Some(version) => versions.find(version)?.clone(),
                None => versions.current.clone(),
            };
            let number = self.inner.next_held.fetch_add(1, Ordering::Relaxed);
            lock(&self.inner.held).insert(number, manifest.clone());
            Held { library: self.clone(), number, manifest }
        };
        let manifest = &held.manifest;
        let blobs: BTreeMap<Digest, u64> =
            manifest.files.values().map(|file| (file.sha256, file.size)).collect();
        let blobs: Vec<FileEntry> =
            blobs.into_iter().map(|(sha256, size)| FileEntry { sha256, size }).collect();
        for blob in &blobs {
            self.inner.blobs.reader(blob.sha256, blob.size)?;
        }
        let known = manifest.profile.as_deref().or(profile);
        let Some(known) = known else { return Err(LibraryError::NoProfile(image.to_owned())) };
        // The profile stands beside it.
        let mut bare = Manifest::clone(manifest);
        (bare.profile, bare.restored) = (None, false);
        let index = Index {
            format: FORMAT.to_owned(),
            format_version: FORMAT_VERSION,
            id: manifest.id().clone(),
            blobs: blobs.clone(),
            image: known.clone(),
            manifest: bare,
        };
        let text = serde_json::to_vec(&index).map_err(LibraryError::Unexportable)?;
        let when = manifest.imported;
        let sum = sum_text(Digest::of(&text));
        let mut end = tar_entry(SUM_NAME, sum.as_bytes(), when);
        end.extend([0; 2 * BLOCK]);
        let index = tar_entry(INDEX_NAME, &text, when);
        let blob_bytes = blobs.iter().map(|it| BLOCK as u64 + it.size + padding(it.size) as u64);
        let bytes = index.len() as u64 + blob_bytes.fold(0, u64::saturating_add) + end.len() as u64;
        Ok(Export {
            blobs: blobs.into_iter(),
            open: None,
            index: Some(index),
            end: Some(end),
            bytes,
            fault: None,
            held,
        })
    }
}

fn tar_entry(name: &str, bytes: &[u8], when: u64) -> Vec<u8> {
    let size = bytes.len() as u64;
    let mut entry = header(name, size, when).to_vec();
    entry.extend_from_slice(bytes);
    entry.resize(entry.len() + padding(size), 0);
    entry
}

/// Bytes from the end of a content to the next block.
fn padding(size: u64) -> usize {
    let over = usize::try_from(size % BLOCK as u64).unwrap_or(0);
    if over == 0 { 0 } else { BLOCK - over }
}

/// A ustar header (POSIX.1-1988). A size of 8 GiB or more is written in GNU's binary form, which every `tar` reads.
fn header(name: &str, size: u64, when: u64) -> [u8; BLOCK] {
    const OCTAL_MAX: u64 = 1 << 33;
    let mut header = [0u8; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| {
        if let Some(field) = header.get_mut(at..at + bytes.len()) {
            field.copy_from_slice(bytes);
        }
    };
    put(0, name.as_bytes());
    put(100, b"0000444\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    if size < OCTAL_MAX {
        put(124, format!("{size:011o}\0").as_bytes());
    } else {
        put(124, &[0x80]);
        put(128, &size.to_be_bytes());
    }
    put(136, format!("{:011o}\0", when.min(OCTAL_MAX - 1)).as_bytes());
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    if let Some(field) = header.get_mut(148..156) {
        field.copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    header
}

#[cfg(test)]
mod tests;
