//! What a source has, without following or opening anything that is not a plain file.

use super::ImportError;
use super::prepare::{Listed, Place, unreadable};
use crate::limits::{FOLDER_DEPTH_MAX, IMAGE_FILES_MAX};
use crate::manifest::{FileNameFault, check_file_name};
use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Every file below `root`, by its path there. `root` itself may be a link; nothing below it may.
pub(super) fn directory(root: &Path) -> Result<BTreeMap<String, Listed>, ImportError> {
    let root = fs::canonicalize(root).map_err(|source| unreadable(root, source))?;
    let mut files = BTreeMap::new();
    let mut open: Vec<(PathBuf, String, usize)> = vec![(root, String::new(), 0)];
    while let Some((folder, prefix, depth)) = open.pop() {
        if depth > FOLDER_DEPTH_MAX {
            return Err(ImportError::TooDeep(folder));
        }
        for entry in fs::read_dir(&folder).map_err(|source| unreadable(&folder, source))? {
            let path = entry.map_err(|source| unreadable(&folder, source))?.path();
            let name = format!("{prefix}{}", last_part(&path)?);
            let metadata = fs::symlink_metadata(&path).map_err(|source| unreadable(&path, source))?;
            if metadata.is_dir() {
                open.push((path, format!("{name}/"), depth + 1));
            } else {
                add(&mut files, name, path, &metadata)?;
            }
            if open.len() > IMAGE_FILES_MAX {
                return Err(ImportError::TooManyFiles);
            }
        }
    }
    Ok(files)
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
