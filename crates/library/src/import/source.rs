//! Where the files of an image come from, as it is asked for and shown.

use super::{DEBIAN_NETBOOT_ROOT, MEMTEST_ROOT};
use std::fmt;
use std::path::{Path, PathBuf};

/// Where the files of an image come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// Every file below a directory, by its path there.
    Dir(PathBuf),
    /// Files named one by one; they are called by their last part.
    Files(Vec<PathBuf>),
    /// The files of an ISO 9660 or UDF disc image.
    Iso(PathBuf),
    /// The files of a tar archive, compressed by gzip or not.
    Tar(PathBuf),
    /// The files of a zip archive.
    Zip(PathBuf),
    /// A folder, or a medium told by its first bytes.
    Detect(PathBuf),
    /// What somebody sent or left: a medium, told by its first bytes, or a folder.
    Held {
        /// The file or folder; may lead to a descriptor (`/proc/self/fd/N`).
        path: PathBuf,
        /// Where it came from, as it may be shown: a URL, `upload`, `inbox:rescue.iso`.
        of: String,
        /// What it is called where it is served as it is.
        name: String,
    },
    /// The installer of the Debian package `debian-installer-12-netboot-amd64`, without a network.
    DebianNetboot {
        /// Where the package has its text installer; [`DEBIAN_NETBOOT_ROOT`] on Debian.
        root: PathBuf,
    },
    /// The memory test of the Debian package `memtest86+`, for BIOS and UEFI machines.
    Memtest {
        /// Where the package has it; [`MEMTEST_ROOT`] on Debian.
        root: PathBuf,
    },
}

/// The text is no source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no image source; write a path, `dir:/path`, `iso:/path`, `tar:/path`, `zip:/path`, `file:/path` (told by \
     its first bytes), `debian-netboot` or `memtest`"
)]
pub struct SourceParseError(pub String);

impl std::str::FromStr for Source {
    type Err = SourceParseError;

    /// A kind and a path, a path alone, or a catalogue name: `debian-netboot`, `memtest`. [`Source::Held`] has no text that
    /// is read back: whoever sends one may not mean a file of ours.
    fn from_str(text: &str) -> Result<Source, SourceParseError> {
        if text.starts_with('/') {
            return Ok(Source::Detect(text.into()));
        }
        match text.split_once(':').filter(|(_, path)| !path.is_empty()) {
            Some(("dir", path)) => Ok(Source::Dir(path.into())),
            Some(("iso", path)) => Ok(Source::Iso(path.into())),
            Some(("tar", path)) => Ok(Source::Tar(path.into())),
            Some(("zip", path)) => Ok(Source::Zip(path.into())),
            Some(("file", path)) => Ok(Source::Detect(path.into())),
            None if text == "debian-netboot" => {
                Ok(Source::DebianNetboot { root: DEBIAN_NETBOOT_ROOT.into() })
            }
            None if text == "memtest" => Ok(Source::Memtest { root: MEMTEST_ROOT.into() }),
            _ => Err(SourceParseError(text.to_owned())),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Dir(path) => write!(f, "dir:{}", path.display()),
            Source::Files(paths) => {
                let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
                write!(f, "files:{}", paths.join(","))
            }
            Source::Iso(path) => write!(f, "iso:{}", path.display()),
            Source::Tar(path) => write!(f, "tar:{}", path.display()),
            Source::Zip(path) => write!(f, "zip:{}", path.display()),
            Source::Detect(path) => write!(f, "file:{}", path.display()),
            Source::Held { of, .. } => f.write_str(of),
            Source::DebianNetboot { .. } => f.write_str("debian-netboot"),
            Source::Memtest { .. } => f.write_str("memtest"),
        }
    }
}

impl Source {
    /// The file or folder it names, when it is one: what an image without a name is called after.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Source::Dir(path)
            | Source::Iso(path)
            | Source::Tar(path)
            | Source::Zip(path)
            | Source::Detect(path) => Some(path),
            Source::Files(_)
            | Source::Held { .. }
            | Source::DebianNetboot { .. }
            | Source::Memtest { .. } => None,
        }
    }
}
