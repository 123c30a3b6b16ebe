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

mod debian;
pub(crate) mod listing;
mod memtest;

pub use debian::DEBIAN_NETBOOT_ROOT;
pub use memtest::MEMTEST_ROOT;

use crate::blobs::BlobError;
use crate::export::{self, ExportFault};
use crate::limits::{IMAGE_FILES_MAX, PEEK_BYTES_MAX, VERSIONS_MAX};
use crate::manifest::{EsxiFacts, FileEntry, FileNameFault, Manifest};
use crate::media::{self, Caps, Known, MediaError, MediumKind, Names, Opened, Profile, Reader};
use crate::records::RecordsError;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use types::UnixTime;
use types::resource::{Image, ImageKind, Name};

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
    fn about(self, of: &str) -> ImportError {
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

/// A source that has been looked at: what it has, and the profile completed by what it knows.
pub(crate) struct Prepared {
    pub(crate) image: Image,
    /// The source as it turned out to be.
    pub(crate) source: Source,
    pub(crate) files: BTreeMap<String, Listed>,
    /// The open medium, when files are parts of one.
    pub(crate) medium: Option<Opened>,
    pub(crate) version: Option<String>,
    /// The same version means the same bytes.
    pub(crate) versioned: bool,
    pub(crate) bytes: u64,
    pub(crate) esxi: Option<EsxiFacts>,
    pub(crate) notes: Vec<String>,
    /// For an exported image, what it was.
    pub(crate) restored: Option<Manifest>,
}

/// One file of a source.
pub(crate) struct Listed {
    pub(crate) size: u64,
    pub(crate) place: Place,
}

/// Where a file of a source is.
pub(crate) enum Place {
    /// In the file system: this file, and no link that took its place.
    File { path: PathBuf, device: u64, inode: u64 },
    /// On the open medium, at this place of its listing.
    Medium(usize),
}

/// Lists the source, checks names, kinds and limits, and tells what it is. Reads no content but that of a few small files.
pub(crate) fn prepare(
    request: &ImportRequest,
    source: &Source,
    reader: &Reader,
    bytes_max: u64,
    stop: &dyn Fn() -> bool,
) -> Result<Prepared, ImportError> {
    let mut image = request.image.clone();
    let raw = request.kind_given && image.kind == ImageKind::Iso;
    let mut versioned = false;
    let (mut version, mut medium) = (None, None);
    let mut resolved = source.clone();
    let mut files = match source {
        Source::Dir(path) => listing::directory(path)?,
        Source::Files(paths) => listing::files(paths)?,
        Source::DebianNetboot { root } => {
            let (files, own) = debian::netboot(root, &mut image)?;
            (version, versioned) = (own, true);
            files
        }
        Source::Memtest { root } => memtest::memtest(root, &mut image)?,
        Source::Detect(path) if path.is_dir() => {
            resolved = Source::Dir(path.clone());
            listing::directory(path)?
        }
        Source::Held { path, .. } if path.is_dir() => listing::directory(path)?,
        // The disc itself is what is served.
        Source::Iso(path) | Source::Detect(path) if raw => {
            resolved = Source::Iso(path.clone());
            let files = listing::files(std::slice::from_ref(path))?;
            image.disk = image.disk.or_else(|| files.keys().next().cloned());
            files
        }
        Source::Held { path, name, .. } if raw => {
            let found = listing::files(std::slice::from_ref(path))?.into_values();
            image.disk = Some(name.clone());
            found.map(|listed| (name.clone(), listed)).collect()
        }
        Source::Iso(path)
        | Source::Tar(path)
        | Source::Zip(path)
        | Source::Detect(path)
        | Source::Held { path, .. } => {
            let kind = match source {
                Source::Iso(_) => Some(MediumKind::Iso),
                Source::Tar(_) => Some(MediumKind::Tar),
                Source::Zip(_) => Some(MediumKind::Zip),
                _ => None,
            };
            let profile = match request.kind_given && image.kind != ImageKind::Esxi {
                true if request.profile.is_none() => Profile::AsItIs,
                _ => Profile::OfDepot(request.profile.as_deref()),
            };
            let opened = open_medium(reader, path, kind, profile, bytes_max, stop);
            let mut opened = opened.map_err(|error| match source {
                Source::Held { of, .. } => error.about(of),
                _ => error,
            })?;
            if let Source::Held { of, .. } = source {
                opened.call(of.into());
            }
            resolved = match opened.kind {
                _ if matches!(source, Source::Held { .. }) => source.clone(),
                MediumKind::Iso => Source::Iso(path.clone()),
                MediumKind::Tar | MediumKind::TarGz => Source::Tar(path.clone()),
                MediumKind::Zip | MediumKind::Depot => Source::Zip(path.clone()),
            };
            let files = opened.entries.iter().map(|entry| {
                (entry.name.clone(), Listed { size: entry.size, place: Place::Medium(entry.index) })
            });
            let files = files.collect();
            medium = Some(opened);
            files
        }
    };
    if let (Some(profile), None) = (&request.profile, &medium) {
        let text = format!("image profile `{profile}` was asked for, and only ESXi offline bundles have any");
        let source = MediaError::new(media::Refusal::Profile, text);
        return Err(ImportError::Medium { path: resolved.to_string().into(), source });
    }
    let mut restored = None;
    if let Some(medium) = medium.as_mut()
        && let Some(read) = export::read(&files, medium)
    {
        let path = medium.path().to_owned();
        let export = read.map_err(|fault| ImportError::Export { path, fault })?;
        // All of it is as it was, but for the name it was asked for under.
        image = Image { name: image.name, ..export.image };
        (files, restored) = (export.files, Some(export.manifest));
    }
    if files.is_empty() {
        return Err(ImportError::Empty(source.to_string()));
    }
    let bytes = files.values().map(|file| file.size).fold(0, u64::saturating_add);
    if bytes > bytes_max {
        return Err(ImportError::TooLarge { bytes_max });
    }
    let mut notes = medium.as_ref().map(|opened| opened.notes.clone()).unwrap_or_default();
    let mut esxi = None;
    if let Some(manifest) = &restored {
        (version, esxi, notes) = (manifest.version.clone(), manifest.esxi.clone(), manifest.notes.clone());
    } else if !raw && !versioned {
        let known = tell(&files, medium.as_mut());
        let said = request.kind_given || image.lacks().is_none() && image.kind != ImageKind::Esxi;
        match known {
            Some(known) => {
                known.complete(&mut image, said);
                version = known.version;
                esxi = known.esxi;
                notes.extend(known.notes);
            }
            None if !said => {
                let names: Vec<&String> = files.keys().collect();
                return Err(ImportError::Unrecognised {
                    source_text: source.to_string(),
                    listed: some_names(&names),
                });
            }
            None => {}
        }
    }
    if restored.is_none() {
        image.source = Some(resolved.to_string());
    }
    let entries = files
        .iter()
        .map(|(name, file)| (name.clone(), FileEntry { sha256: crate::Digest([0; 32]), size: file.size }));
    let names = Manifest::new(image.name.clone(), resolved.to_string(), None, 0, entries.collect());
    check_profile(&image, &names)?;
    let prepared =
        Prepared { image, source: resolved, files, medium, version, versioned, bytes, esxi, notes, restored };
    // Of different sizes they are different.
    check_twins(&prepared.image, prepared.files.iter().map(|(name, file)| (name.as_str(), file.size)))?;
    Ok(prepared)
}

fn open_medium(
    reader: &Reader,
    path: &Path,
    kind: Option<MediumKind>,
    profile: Profile<'_>,
    bytes_max: u64,
    stop: &dyn Fn() -> bool,
) -> Result<Opened, ImportError> {
    let metadata = std::fs::metadata(path).map_err(|source| unreadable(path, source))?;
    if !metadata.is_file() {
        return Err(ImportError::NotPlain { path: path.to_owned(), kind: listing::kind(&metadata) });
    }
    Opened::open(reader, path, kind, profile, Caps { bytes_max }, stop).map_err(|source| {
        if stop() { ImportError::Cancelled } else { ImportError::Medium { path: path.to_owned(), source } }
    })
}

/// What the files are.
fn tell(files: &BTreeMap<String, Listed>, mut medium: Option<&mut Opened>) -> Option<Known> {
    let mut peek = |name: &str| {
        let listed = files.get(name)?;
        let mut bytes = Vec::new();
        match (&listed.place, medium.as_deref_mut()) {
            (Place::File { path, device, inode }, _) => {
                let file = listing::open_again(path, *device, *inode).ok()?;
                file.take(PEEK_BYTES_MAX).read_to_end(&mut bytes).ok()?;
            }
            (Place::Medium(index), Some(medium)) => {
                // To its end: a stream that is left in the middle gives nothing more.
                medium.read(*index).ok()?.read_to_end(&mut bytes).ok()?;
            }
            (Place::Medium(_), None) => return None,
        }
        Some(bytes)
    };
    media::recognise(Names::new(files.iter().map(|(name, file)| (name.as_str(), file.size)), &mut peek))
}

/// Refuses names that differ only in case where machines ask without regard to it and what they stand for differs.
pub(crate) fn check_twins<'f, T: PartialEq>(
    image: &Image,
    files: impl Iterator<Item = (&'f str, T)>,
) -> Result<(), ImportError> {
    if !matches!(image.kind, ImageKind::Esxi | ImageKind::Windows) {
        return Ok(());
    }
    let mut folded: BTreeMap<String, (&str, T)> = BTreeMap::new();
    for (name, what) in files {
        match folded.get(&name.to_ascii_lowercase()) {
            Some((one, first)) if *first != what => {
                return Err(ImportError::CaseTwins { one: (*one).to_owned(), other: name.to_owned() });
            }
            Some(_) => {}
            None => {
                folded.insert(name.to_ascii_lowercase(), (name, what));
            }
        }
    }
    Ok(())
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
            listed: some_names(&manifest.files.keys().collect::<Vec<_>>()),
        }),
    }
}

fn some_names(names: &[&String]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

pub(crate) fn unreadable(path: &Path, source: io::Error) -> ImportError {
    ImportError::Source { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
