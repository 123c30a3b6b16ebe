//! Media: files inside one file (an ISO 9660 or UDF disc, a tar, a zip, an ESXi depot), listed first and then read one by one.
//!
//! Nothing is mounted or unpacked to a folder. A listing names each file, its size and where its bytes are: as ranges of
//! the medium, which the caller reads by itself, or inside a compressed stream, which [`Medium::open`] gives.
//!
//! Everything on a medium is untrusted. What every reader here keeps:
//!
//! - A name enters a [`Listing`] only by [`Listing::add`], which checks it; so do ranges, sizes, counts and depths.
//! - A size is believed for what it allows, never for what is allocated: memory depends on the limits alone.
//! - Each loop ends: a directory is read once, bytes read of directories and headers are bounded.
//! - Links (symbolic, hard) name other files and are left out with a note; devices, pipes and sockets are refused.
//!
//! The daemon runs these readers in a confined child process ([`worker`]); [`Reader::InProcess`] is for tests and tools.
//! Whichever it is, the caller checks a listing that came from a child again.

mod ar;
mod child;
pub(crate) mod depot;
mod iso;
mod listing;
mod recognise;
mod tar;
mod udf;
mod wire;
pub mod worker;
mod xml;
mod zip;

pub use listing::{Content, Entry, Listing, Range};
pub(crate) use recognise::{Known, LOOKED_FOR, Names, boot_cfg_files, recognise};

use crate::limits::MEDIUM_PROBE_BYTES;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A medium: any bytes that can be read at an offset.
pub trait ReadAt: Send + Sync {
    /// Reads some bytes at an offset; 0 at the end.
    ///
    /// # Errors
    /// What the file system said.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Bytes there are.
    fn size(&self) -> u64;
}

/// A file and its length when it was opened.
pub(crate) struct OpenFile {
    file: File,
    size: u64,
}

impl OpenFile {
    pub(crate) fn new(file: File) -> io::Result<OpenFile> {
        let size = file.metadata()?.len();
        Ok(OpenFile { file, size })
    }
}

impl ReadAt for OpenFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn size(&self) -> u64 {
        self.size
    }
}

impl ReadAt for Vec<u8> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or_default();
        (&*rest).read(buffer)
    }

    fn size(&self) -> u64 {
        self.len() as u64
    }
}

/// What a medium is, by its first bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MediumKind {
    /// An ISO 9660 or UDF disc image.
    Iso,
    /// A tar archive.
    Tar,
    /// A tar archive, compressed by gzip.
    TarGz,
    /// A zip archive.
    Zip,
    /// A zip archive that is an ESXi offline bundle: the files of one of its image profiles.
    Depot,
}

impl MediumKind {
    /// Its name in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            MediumKind::Iso => "ISO image",
            MediumKind::Tar => "tar archive",
            MediumKind::TarGz => "tar.gz archive",
            MediumKind::Zip => "zip archive",
            MediumKind::Depot => "ESXi offline bundle",
        }
    }

    /// Tells a medium by its fingerprint.
    ///
    /// # Errors
    /// [`Refusal::Unknown`], which says what was looked for and what was found, or that it cannot be read.
    pub fn of(medium: &dyn ReadAt) -> Result<MediumKind, MediaError> {
        let mut head = vec![0u8; MEDIUM_PROBE_BYTES];
        let read = read_full(medium, &mut head, 0)?;
        let head = head.get(..read).unwrap_or_default();
        let at = |offset: usize, magic: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(magic));
        // ECMA-119 8.1: volume descriptors from sector 16; ECMA-167 2/9.1: `BEA01` stands there on a disc without.
        if at(32769, b"CD001") || at(32769, b"BEA01") {
            Ok(MediumKind::Iso)
        } else if at(0, b"PK\x03\x04") || at(0, b"PK\x05\x06") {
            Ok(MediumKind::Zip)
        } else if at(0, &[0x1f, 0x8b]) {
            Ok(MediumKind::TarGz)
        } else if head.get(..512).is_some_and(tar::is_header) {
            Ok(MediumKind::Tar)
        } else {
            Err(MediaError::new(
                Refusal::Unknown,
                format!(
                    "it is none of: ISO 9660 or UDF (`CD001` or `BEA01` at byte 32769), zip (`PK`), gzip (1f 8b), tar \
                     (a header with a right checksum); {}",
                    found(head)
                ),
            ))
        }
    }
}

/// What stands at the start of a file nobody here reads, in words where they are known.
fn found(head: &[u8]) -> String {
    let known: &[(&[u8], &str)] = &[
        (b"\xfd7zXZ\0", "xz data: unpack it first"),
        (b"\x28\xb5\x2f\xfd", "zstd data: unpack it first"),
        (b"BZh", "bzip2 data: unpack it first"),
        (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive: unpack it first"),
        (b"!<arch>\n", "an ar archive (a VIB or a Debian package)"),
        (b"070701", "a cpio archive (a ramdisk)"),
        (b"MSWIM\0\0\0", "a WIM image: import the folder or the ISO it stands in"),
        (b"QFI\xfb", "a qcow2 disk"),
        (b"MZ", "an EFI or Windows program: import it as a file"),
        (b"\x7fELF", "an ELF program"),
        (b"#!", "a script: import it as a file"),
    ];
    if head.is_empty() {
        return "it is empty".to_owned();
    }
    match known.iter().find(|(magic, _)| head.starts_with(magic)) {
        Some((_, words)) => format!("it starts like {words}"),
        None => {
            let first: Vec<String> = head.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            format!("it starts with {}", first.join(" "))
        }
    }
}

/// Bounds of one listing.
#[derive(Clone, Copy, Debug)]
pub struct Caps {
    /// Most bytes of all files together.
    pub bytes_max: u64,
}

/// Reads the files of one medium.
pub trait Medium {
    /// Names and sizes of its files; reads no content where the format allows it.
    ///
    /// # Errors
    /// When it is malformed, beyond the limits, or names what is no plain file.
    fn list(&mut self, caps: Caps) -> Result<Listing, MediaError>;

    /// The bytes of a file whose content is [`Content::Stream`], by its place in the listing. Cheapest in rising order.
    ///
    /// # Errors
    /// When its bytes cannot be reached. Bytes that do not unpack are errors of the reading.
    fn open(&mut self, entry: &Entry) -> Result<Box<dyn Read + '_>, MediaError>;
}

/// Opens a medium for reading in this process.
///
/// # Errors
/// When it does not start like one of this kind.
pub fn open_here(kind: MediumKind, medium: Arc<dyn ReadAt>) -> Box<dyn Medium> {
    open_profile(kind, medium, None)
}

/// The same; of a depot this image profile, or the one that is chosen without a name.
pub fn open_profile(kind: MediumKind, medium: Arc<dyn ReadAt>, profile: Option<String>) -> Box<dyn Medium> {
    match kind {
        MediumKind::Iso => Box::new(iso::Iso::new(medium)),
        MediumKind::Tar => Box::new(tar::Tar::plain(medium)),
        MediumKind::TarGz => Box::new(tar::Tar::gzip(medium)),
        MediumKind::Zip => Box::new(zip::Zip::new(medium)),
        MediumKind::Depot => Box::new(depot::Depot::new(medium, profile)),
    }
}

/// Who reads untrusted media.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Reader {
    /// This process: tests and tools on files of their own.
    #[default]
    InProcess,
    /// A child process that can open nothing; see [`worker`].
    Child {
        /// The program; it must call [`worker::run`] when its first argument is [`worker::ARGUMENT`].
        program: PathBuf,
    },
}

/// What is wanted of a depot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Profile<'a> {
    /// An image profile; without a name the one that can be told.
    OfDepot(Option<&'a str>),
    /// Its own files: it is for something else than ESXi.
    AsItIs,
}

/// A medium that is open: who reads it, and the file for the ranges of its listing.
pub(crate) struct Opened {
    path: PathBuf,
    file: Arc<OpenFile>,
    medium: Box<dyn Medium>,
    pub(crate) kind: MediumKind,
    pub(crate) entries: Vec<Entry>,
    pub(crate) notes: Vec<String>,
}

impl Opened {
    /// Opens, tells the kind where it is not given, and lists. A zip that is a depot is listed as one, unless it is wanted
    /// as it is; a profile is of depots alone. Once `stop` says so,
    /// a child that lists is ended at once.
    pub(crate) fn open(
        reader: &Reader,
        path: &Path,
        kind: Option<MediumKind>,
        profile: Profile<'_>,
        caps: Caps,
        stop: &dyn Fn() -> bool,
    ) -> Result<Opened, MediaError> {
        let opened = File::open(path).and_then(|file| {
            let again = file.try_clone()?;
            OpenFile::new(file).map(|file| (Arc::new(file), again))
        });
        let (file, again) = opened.map_err(MediaError::unreadable)?;
        let found = MediumKind::of(&*file)?;
        // A tar may be compressed or not; anything else must be what it was called.
        let kind = match kind {
            Some(MediumKind::Tar) if found == MediumKind::TarGz => found,
            Some(asked) if asked != found => {
                let text = format!("it is no {} but a {}", asked.as_str(), found.as_str());
                return Err(MediaError::new(Refusal::Unknown, text));
            }
            _ => found,
        };
        let asked = match profile {
            Profile::OfDepot(asked) => asked,
            Profile::AsItIs => None,
        };
        let opened = |kind: MediumKind| -> Result<Opened, MediaError> {
            let asked = asked.map(str::to_owned);
            let (medium, listing): (Box<dyn Medium>, Listing) = match reader {
                Reader::InProcess => {
                    let mut medium = open_profile(kind, file.clone(), asked);
                    let listing = medium.list(caps)?;
                    (medium, listing)
                }
                Reader::Child { program } => {
                    let again = again.try_clone().map_err(MediaError::unreadable)?;
                    let child = child::Child::spawn(program, again, kind, file.size())?;
                    let mut child = child.with_profile(asked);
                    let listing = child.list_until(caps, stop)?;
                    (Box::new(child), listing)
                }
            };
            let (entries, notes) = listing.into_parts();
            Ok(Opened { path: path.to_owned(), file: file.clone(), medium, kind, entries, notes })
        };
        let found = opened(kind)?;
        if kind == MediumKind::Zip && profile != Profile::AsItIs && depot::is_depot(&found.entries) {
            drop(found);
            return opened(MediumKind::Depot);
        }
        match asked {
            Some(asked) => {
                let text = format!(
                    "image profile `{asked}` was asked for, and it is no ESXi offline bundle (a zip with index.xml, metadata \
                     and packages) but a {}",
                    kind.as_str()
                );
                Err(MediaError::new(Refusal::Profile, text))
            }
            None => Ok(found),
        }
    }

    /// What it is called when something is wrong with it.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Calls it something else: its file is ours, and whoever asked knows it by another name.
    pub(crate) fn call(&mut self, path: PathBuf) {
        self.path = path;
    }

    /// The bytes of the file at this place in the listing.
    pub(crate) fn read(&mut self, index: usize) -> Result<Box<dyn Read + '_>, MediaError> {
        let Some(entry) = self.entries.get(index) else {
            return Err(MediaError::malformed(format!("there is no file {index}")));
        };
        match &entry.content {
            Content::Ranges(ranges) => Ok(Box::new(RangesReader::new(&*self.file, ranges))),
            Content::Stream { .. } => self.medium.open(entry),
        }
    }
}

/// Ranges of a medium, one after the other.
pub(crate) struct RangesReader<'a> {
    medium: &'a dyn ReadAt,
    ranges: &'a [Range],
    done: u64,
}

impl<'a> RangesReader<'a> {
    pub(crate) fn new(medium: &'a dyn ReadAt, ranges: &'a [Range]) -> RangesReader<'a> {
        RangesReader { medium, ranges, done: 0 }
    }
}

impl Read for RangesReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some((range, rest)) = self.ranges.split_first() else { return Ok(0) };
            let left = range.size.saturating_sub(self.done);
            if left == 0 {
                (self.ranges, self.done) = (rest, 0);
                continue;
            }
            let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let part = buffer.get_mut(..wanted).unwrap_or_default();
            if part.is_empty() {
                return Ok(0);
            }
            let read = self.medium.read_at(part, range.offset.saturating_add(self.done))?;
            if read == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the medium ends before the file"));
            }
            self.done += read as u64;
            return Ok(read);
        }
    }
}

/// Fills the buffer as far as the medium goes.
pub(crate) fn read_full(medium: &dyn ReadAt, buffer: &mut [u8], offset: u64) -> Result<usize, MediaError> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match medium.read_at(rest, offset.saturating_add(filled as u64)) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(MediaError::unreadable(error)),
        }
    }
    Ok(filled)
}

/// Fills the buffer or says that `what` is cut off.
pub(crate) fn read_exact(
    medium: &dyn ReadAt,
    buffer: &mut [u8],
    offset: u64,
    what: &str,
) -> Result<(), MediaError> {
    if read_full(medium, buffer, offset)? == buffer.len() {
        Ok(())
    } else {
        Err(MediaError::malformed(format!("{what} at byte {offset} runs over the end: the file is cut off")))
    }
}

/// Little-endian number at an offset; 0 where there is none.
pub(crate) fn le16(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |chunk| u16::from_le_bytes(*chunk))
}

/// Little-endian number at an offset; 0 where there is none.
pub(crate) fn le32(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |chunk| u32::from_le_bytes(*chunk))
}

/// Little-endian number at an offset; 0 where there is none.
pub(crate) fn le64(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

/// Why a medium is refused, as a class.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Refusal {
    /// Not a medium we read.
    Unknown,
    /// Its structure contradicts itself or is cut off.
    Malformed,
    /// More of something than is allowed.
    Limit,
    /// A name nobody could ask for, or one that leaves the image.
    Name,
    /// A device, a pipe or a socket.
    NotPlain,
    /// Two files of one name.
    Twice,
    /// A feature we do not read: encryption, an unknown compression.
    Unsupported,
    /// The file cannot be read.
    Unreadable,
    /// The process that reads it failed.
    Reader,
    /// A part of a depot that another part names is not there.
    Missing,
    /// Several image profiles and none chosen, or one that is not there.
    Profile,
    /// Bytes that have not the checksum they were announced with.
    Checksum,
}

impl Refusal {
    pub(crate) const ALL: [Refusal; 12] = [
        Refusal::Unknown,
        Refusal::Malformed,
        Refusal::Limit,
        Refusal::Name,
        Refusal::NotPlain,
        Refusal::Twice,
        Refusal::Unsupported,
        Refusal::Unreadable,
        Refusal::Reader,
        Refusal::Missing,
        Refusal::Profile,
        Refusal::Checksum,
    ];

    /// The stable reason code.
    pub fn as_str(self) -> &'static str {
        match self {
            Refusal::Unknown => "medium_unknown",
            Refusal::Malformed => "medium_malformed",
            Refusal::Limit => "medium_limit",
            Refusal::Name => "file_name_refused",
            Refusal::NotPlain => "not_a_plain_file",
            Refusal::Twice => "file_named_twice",
            Refusal::Unsupported => "medium_unsupported",
            Refusal::Unreadable => "source_unreadable",
            Refusal::Reader => "medium_reader_failed",
            Refusal::Missing => "depot_part_missing",
            Refusal::Profile => "depot_profile",
            Refusal::Checksum => "depot_checksum",
        }
    }
}

/// Why a medium is not read: a class for programs and a sentence for people. It may have crossed from a child process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MediaError {
    /// The class.
    pub refusal: Refusal,
    /// The sentence; one line, without control characters.
    pub detail: String,
}

impl MediaError {
    /// Control characters are shown as escapes, and the text is cut at 400 characters: it names what the medium names.
    pub fn new(refusal: Refusal, detail: impl AsRef<str>) -> MediaError {
        let mut text = String::new();
        for char in detail.as_ref().chars().take(400) {
            if char.is_control() { text.extend(char.escape_default()) } else { text.push(char) }
        }
        MediaError { refusal, detail: text }
    }

    pub(crate) fn malformed(detail: impl AsRef<str>) -> MediaError {
        MediaError::new(Refusal::Malformed, detail)
    }

    pub(crate) fn limit(detail: impl AsRef<str>) -> MediaError {
        MediaError::new(Refusal::Limit, detail)
    }

    pub(crate) fn unreadable(error: io::Error) -> MediaError {
        MediaError::new(Refusal::Unreadable, error.to_string())
    }

    /// The error of a reader, which may carry one of ours.
    pub(crate) fn from_io(error: io::Error) -> MediaError {
        match error.downcast::<MediaError>() {
            Ok(own) => own,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                MediaError::malformed("the file is cut off")
            }
            Err(error) => MediaError::unreadable(error),
        }
    }
}

impl fmt::Display for MediaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for MediaError {}

impl From<MediaError> for io::Error {
    fn from(error: MediaError) -> io::Error {
        io::Error::other(error)
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
