//! The few file operations that durability rests on, behind one trait so that tests can make each of them fail.
//!
//! Names are `/`-separated and relative to the store's folder. Nothing here retries and nothing decides.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A folder with files whose durability is explicit: bytes after `sync`, names after `sync_dir`.
pub(crate) trait Disk: Send + Sync {
    /// Makes a folder, and is content when it is there already.
    fn create_dir(&self, dir: &str) -> io::Result<()>;
    /// Names of the files in a folder, sorted.
    fn list(&self, dir: &str) -> io::Result<Vec<String>>;
    /// All bytes of a file.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;
    /// Opens a file for writing; with `fresh` it is made, or emptied when it exists.
    fn open(&self, name: &str, fresh: bool) -> io::Result<Box<dyn DiskFile>>;
    /// Replaces `to` by `from` in one step.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes the names of a folder durable.
    fn sync_dir(&self, dir: &str) -> io::Result<()>;
    /// Length of a file; `None` when there is none.
    fn len(&self, name: &str) -> io::Result<Option<u64>>;
    /// Names of the folders in a folder, sorted.
    fn list_dirs(&self, dir: &str) -> io::Result<Vec<String>>;
    /// Removes a folder with everything in it.
    fn remove_dir(&self, dir: &str) -> io::Result<()>;
    /// Room taken and left.
    fn usage(&self) -> io::Result<Usage>;
}

/// Room of a disk in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Usage {
    /// Taken by everything in the store's folder.
    pub(crate) used: u64,
    /// Free for us.
    pub(crate) free: u64,
    /// All there is.
    pub(crate) total: u64,
}

/// One file open for writing.
pub(crate) trait DiskFile: Send {
    /// Writes all of `bytes` at `offset`.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Cuts the file to `len`.
    fn set_len(&mut self, len: u64) -> io::Result<()>;
    /// Makes the file `len` bytes long and takes the room for them from the file system now.
    fn allocate(&mut self, len: u64) -> io::Result<()>;
    /// Makes bytes and length durable (`fdatasync`).
    fn sync(&mut self) -> io::Result<()>;
}

/// A folder of the real file system. Files are readable by their owner only.
pub(crate) struct RealDisk {
    root: PathBuf,
}

impl RealDisk {
    /// The folder at `root`.
    pub(crate) fn new(root: PathBuf) -> RealDisk {
        RealDisk { root }
    }
}

impl Disk for RealDisk {
    fn create_dir(&self, dir: &str) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(self.root.join(dir))
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(self.root.join(dir))? {
            let entry = entry?;
            // A name that is no text is not ours.
            if let (true, Ok(name)) = (entry.file_type()?.is_file(), entry.file_name().into_string()) {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        std::fs::read(self.root.join(name))
    }

    fn open(&self, name: &str, fresh: bool) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.write(true).create(fresh).truncate(fresh).mode(0o600);
        Ok(Box::new(RealFile(options.open(self.root.join(name))?)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.root.join(from), self.root.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.root.join(name))
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        File::open(self.root.join(dir))?.sync_all()
    }

    fn len(&self, name: &str) -> io::Result<Option<u64>> {
        match std::fs::metadata(self.root.join(name)) {
            Ok(found) => Ok(Some(found.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn list_dirs(&self, dir: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(self.root.join(dir))? {
            let entry = entry?;
            if let (true, Ok(name)) = (entry.file_type()?.is_dir(), entry.file_name().into_string()) {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn remove_dir(&self, dir: &str) -> io::Result<()> {
        std::fs::remove_dir_all(self.root.join(dir))
    }

    fn usage(&self) -> io::Result<Usage> {
        let system = nix::sys::statvfs::statvfs(&self.root)?;
        // Of what is left, only what an ordinary process may take counts.
        let bytes = |blocks: nix::libc::fsblkcnt_t| blocks.saturating_mul(system.fragment_size());
        let (free, total) = (bytes(system.blocks_available()), bytes(system.blocks()));
        Ok(Usage { used: taken(&self.root)?, free, total })
    }
}

/// Bytes that a folder and everything below it take on the disk, holes not counted.
fn taken(folder: &Path) -> io::Result<u64> {
    const BLOCK_BYTES: u64 = 512; // The unit of `st_blocks` on Linux, whatever the file system's own is.
    let mut sum = 0u64;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        // The index removes files of its own at any time.
        let found = match entry.metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            found => found?,
        };
        let below = if found.is_dir() { taken(&entry.path()) } else { Ok(0) };
        let below = below.or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(0),
            _ => Err(error),
        })?;
        sum = sum.saturating_add(found.blocks().saturating_mul(BLOCK_BYTES)).saturating_add(below);
    }
    Ok(sum)
}

struct RealFile(File);

impl DiskFile for RealFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn allocate(&mut self, len: u64) -> io::Result<()> {
        let len = i64::try_from(len).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        // The C library's own way where a file system has none, writing a byte into each block, is fine too.
        Ok(nix::fcntl::posix_fallocate(&self.0, 0, len)?)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }
}
