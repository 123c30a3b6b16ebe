//! What a source has, without following or opening anything that is not a plain file.

use super::ImportError;
use super::prepare::{Listed, Place, unreadable};
use crate::limits::{FOLDER_DEPTH_MAX, IMAGE_FILES_MAX};
use crate::manifest::{FileNameFault, check_file_name};
use nix::fcntl::OFlag;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Every file below `root`, by its path there. `root` itself may be a link; nothing below it may.
///
/// Each folder is opened from the one above it, and none through a link: whoever may write below `root` cannot lead the walk
/// elsewhere while it goes on.
pub(super) fn directory(root: &Path) -> Result<BTreeMap<String, Listed>, ImportError> {
    let shown = fs::canonicalize(root).map_err(|source| unreadable(root, source))?;
    let top = folder_options(OFlag::O_DIRECTORY).open(root).map_err(|source| unreadable(&shown, source))?;
    let mut files = BTreeMap::new();
    let mut open = Vec::new();
    list(Rc::new(top), &shown, "", 0, &mut files, &mut open)?;
    while let Some(Below { parent, name, path, prefix, depth }) = open.pop() {
        if depth > FOLDER_DEPTH_MAX {
            return Err(ImportError::TooDeep(path));
        }
        let own = folder_options(OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW).open(through(&parent).join(name));
        let folder = own.map_err(|source| unreadable(&path, source))?;
        drop(parent);
        list(Rc::new(folder), &path, &prefix, depth, &mut files, &mut open)?;
    }
    Ok(files)
}

/// A folder that is still to be listed. The one above stays open until then: as many descriptors as there are levels.
struct Below {
    parent: Rc<File>,
    name: OsString,
    /// As it is shown.
    path: PathBuf,
    prefix: String,
    depth: usize,
}

fn list(
    folder: Rc<File>,
    path: &Path,
    prefix: &str,
    depth: usize,
    files: &mut BTreeMap<String, Listed>,
    open: &mut Vec<Below>,
) -> Result<(), ImportError> {
    for entry in fs::read_dir(through(&folder)).map_err(|source| unreadable(path, source))? {
        let entry = entry.map_err(|source| unreadable(path, source))?;
        let (name, path) = (entry.file_name(), path.join(entry.file_name()));
        let inside = format!("{prefix}{}", last_part(&path)?);
        // Of the entry itself, not of what a link leads to.
        let metadata = entry.metadata().map_err(|source| unreadable(&path, source))?;
        if metadata.is_dir() {
            let prefix = format!("{inside}/");
            open.push(Below { parent: folder.clone(), name, path, prefix, depth: depth + 1 });
        } else {
            add(files, inside, path, &metadata)?;
        }
        if open.len() > IMAGE_FILES_MAX {
            return Err(ImportError::TooManyFiles);
        }
    }
    Ok(())
}

fn folder_options(flags: OFlag) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags.bits());
    options
}

/// A path that leads to what is open, whatever stands under its name by now.
fn through(open: &File) -> PathBuf {
    format!("/proc/self/fd/{}", open.as_raw_fd()).into()
}

/// Opens a file that was listed, and nothing that took its place.
pub(crate) fn open_again(path: &Path, device: u64, inode: u64) -> Result<File, ImportError> {
    // A pipe in its place would make an open wait.
    let opened = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path);
    let file = opened.map_err(|source| unreadable(path, source))?;
    let metadata = file.metadata().map_err(|source| unreadable(path, source))?;
    // The number alone may be that of a new entry.
    if metadata.is_file() && (metadata.dev(), metadata.ino()) == (device, inode) {
        Ok(file)
    } else {
        Err(ImportError::Moved(path.to_owned()))
    }
}

/// Files named one by one. They are the operator's own words, so a link (`/vmlinuz`) is followed.
pub(super) fn files(paths: &[PathBuf]) -> Result<BTreeMap<String, Listed>, ImportError> {
    let mut files = BTreeMap::new();
    for path in paths {
        let metadata = fs::metadata(path).map_err(|source| unreadable(path, source))?;
        add(&mut files, last_part(path)?, path.clone(), &metadata)?;
    }
    Ok(files)
}

pub(super) fn add(
    files: &mut BTreeMap<String, Listed>,
    name: String,
    path: PathBuf,
    metadata: &Metadata,
) -> Result<(), ImportError> {
    if !metadata.is_file() {
        return Err(ImportError::NotPlain { path, kind: kind(metadata) });
    }
    check_file_name(&name).map_err(|fault| ImportError::FileName { name: name.clone(), fault })?;
    if files.len() >= IMAGE_FILES_MAX {
        return Err(ImportError::TooManyFiles);
    }
    let place = Place::File { path, device: metadata.dev(), inode: metadata.ino() };
    let listed = Listed { size: metadata.len(), place };
    match files.insert(name.clone(), listed) {
        None => Ok(()),
        Some(_) => Err(ImportError::TwiceNamed(name)),
    }
}

fn last_part(path: &Path) -> Result<String, ImportError> {
    let name = path.file_name().unwrap_or_default();
    name.to_str().map(str::to_owned).ok_or_else(|| ImportError::FileName {
        name: name.to_string_lossy().into_owned(),
        fault: FileNameFault::NotUtf8,
    })
}

pub(super) fn kind(metadata: &Metadata) -> &'static str {
    let kind = metadata.file_type();
    if kind.is_symlink() {
        "a symbolic link"
    } else if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}
