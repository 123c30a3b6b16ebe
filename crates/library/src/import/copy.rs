//! The files of a source that was looked at, into the blob store.

use super::prepare::{Listed, Place, Prepared};
use super::{ImportError, Watch};
use crate::blobs::{Batch, BlobError};
use crate::export::ExportFault;
use crate::limits;
use crate::manifest::{FileEntry, Manifest};
use crate::media::{self, MediaError};
use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::PathBuf;

/// Copies every file, in the order in which they are cheapest to read.
pub(super) fn copy_files(
    prepared: &mut Prepared,
    batch: &mut Batch<'_>,
    watch: &mut dyn Watch,
) -> Result<(BTreeMap<String, FileEntry>, u64), ImportError> {
    let Prepared { files: listed, medium, bytes: total, restored, .. } = prepared;
    let mut order: Vec<(&String, &Listed)> = listed.iter().collect();
    order.sort_by_key(|(_, listed)| match listed.place {
        Place::Medium(index) => index,
        Place::File { .. } => 0,
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
fn part(listed: &Listed, medium: Option<&media::Opened>) -> Option<Vec<media::Range>> {
    let Place::Medium(index) = listed.place else { return None };
    match &medium?.entries.get(index)?.content {
        media::Content::Ranges(ranges) if !ranges.is_empty() => Some(ranges.clone()),
        media::Content::Ranges(_) | media::Content::Stream { .. } => None,
    }
}

fn open_listed<'m>(
    listed: &Listed,
    medium: Option<&'m mut media::Opened>,
) -> Result<Box<dyn Read + 'm>, ImportError> {
    match &listed.place {
        Place::File { path, device, inode } => {
            // The file that was listed, not a link that took its place.
            let file = super::listing::open_again(path, *device, *inode)?;
            Ok(Box::new(file))
        }
        Place::Medium(index) => {
            let Some(medium) = medium else { return Err(ImportError::Empty("medium".to_owned())) };
            let path = medium.path().to_owned();
            medium.read(*index).map_err(|source| ImportError::Medium { path, source })
        }
    }
}

fn copy_fault(error: BlobError, name: &str, place: &Place) -> ImportError {
    match error {
        BlobError::Cancelled => ImportError::Cancelled,
        BlobError::TooLarge { .. } => ImportError::Moved(place_path(place, name)),
        BlobError::Source(source) if matches!(place, Place::Medium(_)) => {
            ImportError::Medium { path: name.into(), source: MediaError::from_io(source) }
        }
        source => ImportError::Blob { file: name.to_owned(), source },
    }
}

fn place_path(place: &Place, name: &str) -> PathBuf {
    match place {
        Place::File { path, .. } => path.clone(),
        Place::Medium(_) => name.into(),
    }
}
