//! Why nothing was imported: one sentence for people and one stable reason each.

use crate::blobs::BlobError;
use crate::export::ExportFault;
use crate::limits::{IMAGE_FILES_MAX, VERSIONS_MAX};
use crate::manifest::FileNameFault;
use crate::media::{self, MediaError};
use crate::records::RecordsError;
use std::io;
use std::path::PathBuf;
use types::resource::Name;

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
    /// A medium is not what we read, or is refused.
    #[error("cannot import {}: {source}", path.display())]
    Medium {
        /// Which.
        path: PathBuf,
        /// Why.
        source: MediaError,
    },
    /// Nobody knows what the files are, and the request does not say.
    #[error(
        "cannot tell how {source_text} boots; looked for {}; it has {listed}. Name a kernel (and ramdisks) to import it as it is",
        media::LOOKED_FOR
    )]
    Unrecognised {
        /// The source.
        source_text: String,
        /// Some names it has.
        listed: String,
    },
    /// Two files whose names differ only in case, with different bytes.
    #[error(
        "`{one}` and `{other}` differ only in case and have different bytes; a machine asking for one may get the other"
    )]
    CaseTwins {
        /// The one.
        one: String,
        /// The other.
        other: String,
    },
    /// The profile lacks what its kind needs.
    #[error("an image of kind {kind} needs `{field}:`")]
    ProfileIncomplete {
        /// The kind.
        kind: &'static str,
        /// The field.
        field: &'static str,
    },
    /// An exported image that is not whole, or not what it says.
    #[error("cannot import {} as an exported image: {fault}", path.display())]
    Export {
        /// Which.
        path: PathBuf,
        /// Why.
        fault: ExportFault,
    },
    /// The image has as many versions as one may have.
    #[error(
        "image `{0}` has {VERSIONS_MAX} versions, which is the most; remove old ones: reveille image prune {0}"
    )]
    TooManyVersions(String),
    /// Another version has the same short id.
    #[error("image `{image}` has other files under the id {id}; import it under another name")]
    IdTaken {
        /// The image.
        image: String,
        /// The id.
        id: Name,
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
    /// The same of a medium that whoever asked knows by another name.
    pub(super) fn about(self, of: &str) -> ImportError {
        match self {
            ImportError::Source { source, .. } => ImportError::Source { path: of.into(), source },
            ImportError::NotPlain { kind, .. } => ImportError::NotPlain { path: of.into(), kind },
            ImportError::Medium { source, .. } => ImportError::Medium { path: of.into(), source },
            other => other,
        }
    }

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
            ImportError::Medium { source, .. } => source.refusal.as_str(),
            ImportError::Unrecognised { .. } => "image_unrecognised",
            ImportError::CaseTwins { .. } => "names_differ_in_case",
            ImportError::ProfileIncomplete { .. } => "profile_incomplete",
            ImportError::Export { fault: ExportFault::CutOff, .. } => "export_cut_off",
            ImportError::Export { fault: ExportFault::Altered(_), .. } => "export_altered",
            ImportError::Export { fault: ExportFault::Newer(_), .. } => "export_newer",
            ImportError::TooManyVersions(_) => "too_many_versions",
            ImportError::IdTaken { .. } => "version_id_taken",
            ImportError::PackageMissing { .. } => "package_missing",
            ImportError::Moved(_) => "source_changed",
            ImportError::Cancelled => "cancelled",
            ImportError::Blob { .. } => "blob_failed",
            ImportError::Records(_) => "store_failed",
        }
    }
}
