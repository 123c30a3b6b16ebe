//! Import: files in, an image out, all of it or nothing.
//!
//! A source is listed first (names, sizes, limits), then copied into the blob store, then the manifest is committed:
//! only the last step makes anything visible. What an interrupted import copied is swept by `collect`.
//!
//! Refused, each with the name it is about: symbolic links, devices, sockets and pipes; names nobody could ask for; a
//! profile that names a file the source has not; more files, bytes or folders than the limits allow.

mod debian;
mod listing;

pub use debian::DEBIAN_NETBOOT_ROOT;

use crate::blobs::BlobError;
use crate::limits::IMAGE_FILES_MAX;
use crate::manifest::{FileEntry, FileNameFault, Manifest};
use crate::records::RecordsError;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use types::UnixTime;
use types::resource::Image;

/// Where the files of an image come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// Every file below a directory, by its path there.
    Dir(PathBuf),
    /// Files named one by one; they are called by their last part.
    Files(Vec<PathBuf>),
    /// The installer of the Debian package `debian-installer-12-netboot-amd64`, without a network.
    DebianNetboot {
        /// Where the package has its text installer; [`DEBIAN_NETBOOT_ROOT`] on Debian.
        root: PathBuf,
    },
}

/// The text is no source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no image source; write `dir:/path` or `debian-netboot`")]
pub struct SourceParseError(pub String);

impl std::str::FromStr for Source {
    type Err = SourceParseError;

    /// `dir:/path`, or a catalogue name: `debian-netboot`.
    fn from_str(text: &str) -> Result<Source, SourceParseError> {
        match text.split_once(':') {
            Some(("dir", path)) if !path.is_empty() => Ok(Source::Dir(path.into())),
            None if text == "debian-netboot" => {
                Ok(Source::DebianNetboot { root: DEBIAN_NETBOOT_ROOT.into() })
            }
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
            Source::DebianNetboot { .. } => f.write_str("debian-netboot"),
        }
    }
}

/// What to import.
#[derive(Clone, Debug)]
pub struct ImportRequest {
    /// The image: its name and as much of the profile as the source does not know itself.
    pub image: Image,
    /// Where its files come from.
    pub source: Source,
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
    /// Its files.
    pub manifest: std::sync::Arc<Manifest>,
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

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// There is an image of that name.
    #[error("image `{0}` exists; delete it or ask for it to be replaced")]
    Exists(String),
    /// The same image is being imported.
    #[error("image `{0}` is being imported already")]
    UnderWay(String),
    /// Something in the source could not be read.
    #[error("cannot read {}", path.display())]
    Source {
        /// What.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// Neither a file nor a folder.
    #[error("{} is {kind}; only plain files and folders are imported", path.display())]
    NotPlain {
        /// What.
        path: PathBuf,
        /// What it is, with its article.
        kind: &'static str,
    },
    /// A name nobody could ask for.
    #[error("file name {name:?} {fault}")]
    FileName {
        /// The name.
        name: String,
        /// What is wrong with it.
        fault: FileNameFault,
    },
    /// Two files would have one name.
    #[error("two files are called `{0}`")]
    TwiceNamed(String),
    /// Folders inside folders without end.
    #[error("{} is more than {} folders deep", .0.display(), crate::limits::FOLDER_DEPTH_MAX)]
    TooDeep(PathBuf),
    /// Too many files.
    #[error("more than {IMAGE_FILES_MAX} files")]
    TooManyFiles,
    /// Too many bytes.
    #[error("more than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: u64,
    },
    /// Nothing to import.
    #[error("{0} has no files")]
    Empty(String),
    /// The profile names a file that is not there.
    #[error("the image names {role} `{file}`, which {source_text} has not; it has {listed}")]
    ProfileFile {
        /// What the file is for.
        role: &'static str,
        /// The name.
        file: String,
        /// The source.
        source_text: String,
        /// Some names it has.
        listed: String,
    },
    /// The profile lacks what its kind needs.
    #[error("an image of kind {kind} needs `{field}:`")]
    ProfileIncomplete {
        /// The kind.
        kind: &'static str,
        /// The field.
        field: &'static str,
    },
    /// A package is not installed.
    #[error("{} is not there: it comes from package {package}; run apt-get install --no-install-recommends {package}", looked_for.display())]
    PackageMissing {
        /// The package.
        package: &'static str,
        /// The file looked for.
        looked_for: PathBuf,
    },
    /// A file changed while it was read.
    #[error("{} changed while it was read", .0.display())]
    Moved(PathBuf),
    /// The caller wanted no more.
    #[error("cancelled")]
    Cancelled,
    /// The blob store failed.
    #[error("cannot store `{file}`")]
    Blob {
        /// The file under way.
        file: String,
        /// Why.
        source: BlobError,
    },
    /// The manifest could not be kept.
    #[error("cannot keep the manifest")]
    Records(#[from] RecordsError),
}

impl ImportError {
    /// The stable reason code.
    pub fn reason(&self) -> &'static str {
        match self {
            ImportError::Exists(_) => "image_exists",
            ImportError::UnderWay(_) => "import_under_way",
            ImportError::Source { .. } => "source_unreadable",
            ImportError::NotPlain { .. } => "not_a_plain_file",
            ImportError::FileName { .. } => "file_name_refused",
            ImportError::TwiceNamed(_) => "file_named_twice",
            ImportError::TooDeep(_) => "too_deep",
            ImportError::TooManyFiles => "too_many_files",
            ImportError::TooLarge { .. } => "too_large",
            ImportError::Empty(_) => "source_empty",
            ImportError::ProfileFile { .. } => "profile_file_missing",
            ImportError::ProfileIncomplete { .. } => "profile_incomplete",
            ImportError::PackageMissing { .. } => "package_missing",
            ImportError::Moved(_) => "source_changed",
            ImportError::Cancelled => "cancelled",
            ImportError::Blob { .. } => "blob_failed",
            ImportError::Records(_) => "store_failed",
        }
    }
}

/// A source that has been looked at: what it has, and the profile completed by what it knows.
pub(crate) struct Prepared {
    pub(crate) image: Image,
    pub(crate) files: BTreeMap<String, Listed>,
    pub(crate) version: Option<String>,
    pub(crate) bytes: u64,
}

/// One file of a source.
pub(crate) struct Listed {
    pub(crate) path: PathBuf,
    pub(crate) size: u64,
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

/// Lists the source and checks names, kinds and limits. Reads no content.
pub(crate) fn prepare(request: &ImportRequest, bytes_max: u64) -> Result<Prepared, ImportError> {
    let mut image = request.image.clone();
    let (files, version) = match &request.source {
        Source::Dir(path) => (listing::directory(path)?, None),
        Source::Files(paths) => (listing::files(paths)?, None),
        Source::DebianNetboot { root } => debian::netboot(root, &mut image)?,
    };
    if files.is_empty() {
        return Err(ImportError::Empty(request.source.to_string()));
    }
    let bytes = files.values().map(|file| file.size).fold(0, u64::saturating_add);
    if bytes > bytes_max {
        return Err(ImportError::TooLarge { bytes_max });
    }
    image.source = Some(request.source.to_string());
    let entries = files
        .iter()
        .map(|(name, file)| (name.clone(), FileEntry { sha256: crate::Digest([0; 32]), size: file.size }));
    let names = Manifest::new(image.name.clone(), request.source.to_string(), None, 0, entries.collect());
    check_profile(&image, &names)?;
    Ok(Prepared { image, files, version, bytes })
}

/// Every file the profile names must be there.
pub(crate) fn check_profile(image: &Image, manifest: &Manifest) -> Result<(), ImportError> {
    if let Some(field) = image.lacks() {
        return Err(ImportError::ProfileIncomplete { kind: image.kind.as_str(), field });
    }
    match image.named_files().find(|(_, file)| manifest.find(file).is_none()) {
        None => Ok(()),
        Some((role, file)) => Err(ImportError::ProfileFile {
            role,
            file: file.to_owned(),
            source_text: manifest.source.clone(),
            listed: some_names(manifest),
        }),
    }
}

fn some_names(manifest: &Manifest) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<String> = manifest.files.keys().take(SHOWN).map(|name| format!("`{name}`")).collect();
    match manifest.files.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

pub(crate) fn unreadable(path: &Path, source: io::Error) -> ImportError {
    ImportError::Source { path: path.to_owned(), source }
}
