//! The inbox as a folder: what stands in it, what an entry is, and moving it away.
//!
//! Others may write in it, so everything goes through descriptors: the folder is opened once a look, entries are opened
//! from there and never through a link, and so are `done/` and `refused/`. A link in it is moved and never followed; a
//! device, a pipe or a socket is never opened. A hard link is a file like others: who may make one is for the kernel
//! (`fs.protected_hardlinks`).

use super::names::{self, DONE, REFUSED, WHY};
use super::quiet::Stamp;
use crate::failure::Failure;
use library::limits::{FOLDER_DEPTH_MAX, IMAGE_FILES_MAX};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{FileStat, Mode, fstatat, mkdirat};
use std::collections::hash_map::DefaultHasher;
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::hash::{Hash, Hasher};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Entries looked at. Each costs a call a look, over a network a millisecond or so: a second at most.
pub(super) const ENTRIES_MAX: usize = 1_000;
/// Entries looked at below one folder. An image has no more files, so the import refuses what has more.
const BELOW_MAX: usize = IMAGE_FILES_MAX;
/// Names tried for one that is moved, from `x.iso` to `x-999.iso`; who has that many should clear up.
const NAMES_MAX: usize = 999;
/// Of the folders we make: ours to write, our group's to read.
const FOLDER_MODE: u32 = 0o750;
/// Of the file that says why.
const WHY_MODE: u32 = 0o640;
/// A folder in which new entries get its group; kept where the inbox has it.
const SET_GROUP: u32 = 0o2000;
/// What an entry is, in its mode: a file, a folder, a link.
const KIND_MASK: u32 = 0o170_000;
/// Anybody may write.
const WORLD_WRITABLE: u32 = 0o002;

/// Where something is moved to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Aside {
    /// It was imported.
    Done,
    /// It was not.
    Refused,
}

impl Aside {
    fn name(self) -> &'static str {
        match self {
            Aside::Done => DONE,
            Aside::Refused => REFUSED,
        }
    }
}

/// The open folder.
pub(super) struct Folder {
    path: PathBuf,
    open: File,
}

/// What stands in it.
pub(super) struct Listing {
    /// Entries that may be imported, with what they are themselves (a link is a link).
    pub(super) entries: Vec<(OsString, Metadata)>,
    /// There are more than [`ENTRIES_MAX`].
    pub(super) more: bool,
}

/// An entry, held open: whatever is put under its name now, this is what is imported.
pub(super) struct Taken {
    file: File,
    pub(super) is_folder: bool,
}

impl Taken {
    /// A path that leads to it while this lives.
    pub(super) fn path(&self) -> PathBuf {
        through(&self.file)
    }

    /// True when it still looks like that once it is opened: over NFS only an open asks the server, and what is known of a
    /// file without may be a minute old. For a folder and for what cannot be opened the import finds out.
    pub(super) fn is_still(&self, stamp: &Stamp) -> bool {
        let now = || File::open(self.path())?.metadata();
        self.is_folder || now().map_or(true, |metadata| stamp_of(&metadata) == *stamp)
    }
}

/// Why an entry cannot be taken.
#[derive(Debug)]
pub(super) enum Untaken {
    /// It is gone, or another one by now.
    Gone,
    /// It is this, with its article.
    NotPlain(&'static str),
    /// It cannot be opened.
    Unreadable(io::Error),
}

impl Folder {
    /// Opens the folder, made where it is missing, with `done/` and `refused/` in it. `own` are files and folders of the
    /// appliance itself: a folder that holds one of them is no inbox.
    pub(super) fn open(path: &Path, own: &[PathBuf]) -> Result<Folder, Failure> {
        let fail = |what: String| Failure::new("R-LIB-02", what);
        let shown = path.display();
        let unusable = |error: &dyn std::fmt::Display| {
            fail(format!("cannot use the inbox {shown}")).cause(error).fix(
                "make it a folder that the appliance's user may read and write, or take library.inbox out of the configuration",
            )
        };
        let open = || OpenOptions::new().read(true).custom_flags(OFlag::O_DIRECTORY.bits()).open(path);
        let open = match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                DirBuilder::new()
                    .mode(FOLDER_MODE)
                    .create(path)
                    .and_then(|()| open())
                    // The mode that was asked for was cut by our umask.
                    .and_then(|made| {
                        made.set_permissions(Permissions::from_mode(FOLDER_MODE))?;
                        Ok(made)
                    })
            }
            opened => opened,
        };
        let open = open.map_err(|error| unusable(&error))?;
        let folder = Folder { path: path.to_owned(), open };
        if let Some(held) = folder.holds(own) {
            return Err(fail(format!("cannot use the inbox {shown}"))
                .cause(format!("{} of the appliance itself is in it, and would be moved", held.display()))
                .fix("give library.inbox a folder of its own"));
        }
        for aside in [Aside::Done, Aside::Refused] {
            folder.made(aside).map_err(|error| unusable(&format!("{}/: {error}", aside.name())))?;
        }
        Ok(folder)
    }

    /// The first of these paths that is the folder or lies in it.
    fn holds<'p>(&self, own: &'p [PathBuf]) -> Option<&'p PathBuf> {
        let inbox = fs::canonicalize(through(&self.open)).ok()?;
        own.iter().find(|path| fs::canonicalize(path).is_ok_and(|path| path.starts_with(&inbox)))
    }

    /// True when every user of this machine may put something into it.
    pub(super) fn is_open_to_all(&self) -> bool {
        self.open.metadata().is_ok_and(|metadata| metadata.mode() & WORLD_WRITABLE != 0)
    }

    /// `done/` or `refused/`, open.
    fn made(&self, aside: Aside) -> io::Result<File> {
        let open = || {
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            openat(&self.open, aside.name(), flags, Mode::empty()).map(File::from)
        };
        match open() {
            Err(Errno::ENOENT) => {
                mkdirat(&self.open, aside.name(), Mode::from_bits_truncate(FOLDER_MODE))?;
                let made = open()?;
                let inherited = made.metadata()?.mode() & SET_GROUP;
                made.set_permissions(Permissions::from_mode(FOLDER_MODE | inherited))?;
                Ok(made)
            }
            // Whoever may write here must not choose where we move things to.
            Err(Errno::ELOOP | Errno::ENOTDIR) => Err(io::Error::other("it is no folder")),
            opened => Ok(opened?),
        }
    }

    /// What stands there and is not to be ignored.
    pub(super) fn list(&self) -> io::Result<Listing> {
        let mut listing = Listing { entries: Vec::new(), more: false };
        for (number, entry) in fs::read_dir(through(&self.open))?.enumerate() {
            if number >= ENTRIES_MAX {
                listing.more = true;
                break;
            }
            let entry = entry?;
            let name = entry.file_name();
            if names::is_ignored(&name) {
                continue;
            }
            // One that is gone again is none.
            if let Ok(metadata) = entry.metadata() {
                listing.entries.push((name, metadata));
            }
        }
        Ok(listing)
    }

    /// What an entry looks like; nothing for one that is gone, or for a folder without a file: that is still to come.
    pub(super) fn stamp(&self, name: &OsStr, metadata: &Metadata) -> Option<Stamp> {
        let own = stamp_of(metadata);
        if !metadata.is_dir() {
            return Some(own);
        }
        let below = Below::of(&self.open, name);
        (below.files > 0).then(|| Stamp {
            bytes: below.bytes,
            modified_ns: below.modified_ns.max(own.modified_ns),
            identity: below.mixed.wrapping_add(own.identity),
        })
    }

    /// The same of what stands under this name now.
    pub(super) fn stamp_now(&self, name: &OsStr) -> Option<Stamp> {
        let metadata = fs::symlink_metadata(through(&self.open).join(name)).ok()?;
        self.stamp(name, &metadata)
    }

    /// Takes hold of an entry without reading it: a device or a pipe is not even opened.
    pub(super) fn take(&self, name: &OsStr) -> Result<Taken, Untaken> {
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let file = match openat(&self.open, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::ENOENT) => return Err(Untaken::Gone),
            Err(error) => return Err(Untaken::Unreadable(error.into())),
        };
        let metadata = file.metadata().map_err(Untaken::Unreadable)?;
        let kind = metadata.file_type();
        let what = if kind.is_file() || kind.is_dir() {
            return Ok(Taken { file, is_folder: kind.is_dir() });
        } else if kind.is_symlink() {
            "a symbolic link"
        } else if kind.is_fifo() {
            "a pipe"
        } else if kind.is_socket() {
            "a socket"
        } else {
            "a device"
        };
        Err(Untaken::NotPlain(what))
    }

    /// Moves an entry that still is what it was, and puts the reason into a file beside it. Gives where it is now, as a path
    /// within the inbox.
    pub(super) fn move_aside(&self, name: &OsStr, to: Aside, why: Option<&str>) -> io::Result<PathBuf> {
        let target = self.made(to)?;
        for number in 1..=NAMES_MAX {
            let called = names::aside(name, number);
            let mut reason = called.clone();
            reason.push(WHY);
            if is_there(&target, &called)? || is_there(&target, &reason)? {
                continue;
            }
            renameat(&self.open, name, &target, called.as_os_str())?;
            if let Some(Err(error)) = why.map(|text| write_new(&target, &reason, text)) {
                let file = names::shown(&reason);
                tracing::warn!(file, %error, "the reason of a refusal cannot be kept; reveille image imports shows it");
            }
            return Ok(Path::new(to.name()).join(called));
        }
        Err(io::Error::other(format!("{}/ has {NAMES_MAX} of that name", to.name())))
    }

    /// Where it is, as configured.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

fn is_there(folder: &File, name: &OsStr) -> io::Result<bool> {
    let found: Result<FileStat, Errno> = fstatat(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW);
    match found {
        Ok(_) => Ok(true),
        Err(Errno::ENOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn write_new(folder: &File, name: &OsStr, text: &str) -> io::Result<()> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut file = File::from(openat(folder, name, flags, Mode::from_bits_truncate(WHY_MODE))?);
    file.set_permissions(Permissions::from_mode(WHY_MODE))?;
    file.write_all(text.as_bytes())
}

/// A path that leads to what is open, whatever stands under its name by now.
fn through(open: &File) -> PathBuf {
    format!("/proc/self/fd/{}", open.as_raw_fd()).into()
}

/// Of the entry alone. Its number is left out: some shares give another one at every look.
fn stamp_of(metadata: &Metadata) -> Stamp {
    let identity = u64::from(metadata.mode() & KIND_MASK);
    Stamp { bytes: metadata.len(), modified_ns: modified_ns(metadata), identity }
}

fn modified_ns(metadata: &Metadata) -> i128 {
    i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec())
}

/// Everything below a folder, as far as it is looked at.
#[derive(Default)]
struct Below {
    files: usize,
    bytes: u64,
    modified_ns: i128,
    mixed: u64,
}

impl Below {
    /// Looks below; what cannot be looked at is left to the import, which says so.
    fn of(parent: &File, name: &OsStr) -> Below {
        let (mut below, mut looked) = (Below::default(), 0);
        let Ok(top) = open_below(parent, name) else { return below };
        // The top is open; of the others the folder above is, and the name. The number stands for the way there.
        let mut open = vec![(Rc::new(top), OsString::new(), 0, 0u64)];
        while let Some((folder, name, depth, way)) = open.pop() {
            let folder = if depth == 0 {
                folder
            } else {
                match open_below(&folder, &name) {
                    Ok(own) => Rc::new(own),
                    Err(_) => continue,
                }
            };
            let Ok(entries) = fs::read_dir(through(&folder)) else { continue };
            for entry in entries.map_while(Result::ok) {
                looked += 1;
                if looked > BELOW_MAX {
                    return below;
                }
                let Ok(metadata) = entry.metadata() else { continue };
                let name = entry.file_name();
                let way = hash_of(&(way, &name));
                below.add(way, &metadata);
                if metadata.is_dir() && depth < FOLDER_DEPTH_MAX {
                    open.push((folder.clone(), name, depth + 1, way));
                }
            }
        }
        below
    }

    fn add(&mut self, way: u64, metadata: &Metadata) {
        let own = stamp_of(metadata);
        // In any order the same.
        self.mixed = self.mixed.wrapping_add(hash_of(&(way, own.identity, own.bytes, own.modified_ns)));
        self.modified_ns = self.modified_ns.max(own.modified_ns);
        if !metadata.is_dir() {
            self.files += 1;
            self.bytes = self.bytes.saturating_add(own.bytes);
        }
    }
}

fn hash_of(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

fn open_below(parent: &File, name: &OsStr) -> io::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    Ok(File::from(openat(parent, name, flags, Mode::empty())?))
}
