//! Tar archives, plain or compressed by gzip (POSIX.1-1988 ustar, POSIX.1-2001 pax, GNU long names).
//!
//! A plain archive is skimmed: contents are ranges of it. A compressed one is unpacked once for the listing and once more
//! for the contents, in order; a file before the one last read means unpacking from the start.
//!
//! One number says how long an entry is, for finding the next header and for the content alike: the pax `size` where it
//! stands, else the header's. (Readers that used both let entries be smuggled: CVE-2025-62518.)

use super::listing::{Content, Entry, Listing, Range};
use super::{Caps, MediaError, Medium, ReadAt, Refusal, read_full};
use crate::limits::{TAR_EXTENSION_BYTES_MAX, TAR_HEADERS_MAX, UNPACKED_FREE_BYTES, UNPACKED_RATIO_MAX};
use flate2::bufread::MultiGzDecoder;
use std::io::{self, BufReader, Read};
use std::sync::Arc;

const BLOCK: u64 = 512;
const BLOCK_BYTES: usize = 512;

pub(super) struct Tar {
    medium: Arc<dyn ReadAt>,
    packed: bool,
    /// The compressed stream as far as it was read.
    stream: Option<Unpacked>,
    bytes_max: u64,
}

impl Tar {
    pub(super) fn plain(medium: Arc<dyn ReadAt>) -> Tar {
        Tar { medium, packed: false, stream: None, bytes_max: 0 }
    }

    pub(super) fn gzip(medium: Arc<dyn ReadAt>) -> Tar {
        Tar { medium, packed: true, stream: None, bytes_max: 0 }
    }
}

impl Medium for Tar {
    fn list(&mut self, caps: Caps) -> Result<Listing, MediaError> {
        // Headers, padding and what else stands between the files.
        self.bytes_max = caps.bytes_max.saturating_add(caps.bytes_max / 4).saturating_add(1 << 30);
        if self.packed {
            let mut stream = Unpacked::new(self.medium.clone(), self.bytes_max);
            let listing = list(&mut stream, Listing::new(caps, self.medium.size()), true)?;
            // To the end: its checksum stands there, and what follows the archive must keep the ratio too.
            stream.drain()?;
            Ok(listing)
        } else {
            let mut plain = Plain { medium: &*self.medium, at: 0 };
            list(&mut plain, Listing::new(caps, self.medium.size()), false)
        }
    }

    fn open(&mut self, entry: &Entry) -> Result<Box<dyn Read + '_>, MediaError> {
        let Content::Stream { mark } = entry.content else {
            return Err(MediaError::malformed(format!("`{}` is no stream", entry.name)));
        };
        if self.stream.as_ref().is_none_or(|stream| stream.at > mark) {
            self.stream = Some(Unpacked::new(self.medium.clone(), self.bytes_max));
        }
        let stream = self.stream.get_or_insert_with(|| Unpacked::new(self.medium.clone(), self.bytes_max));
        let ahead = mark - stream.at;
        stream.skip(ahead)?;
        Ok(Box::new(Whole { stream, left: entry.size }))
    }
}

/// A file of a stream; one that is cut off is an error, not an end.
struct Whole<'a> {
    stream: &'a mut Unpacked,
    left: u64,
}

impl Read for Whole<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if wanted == 0 {
            return Ok(0);
        }
        let read = self.stream.read(buffer.get_mut(..wanted).unwrap_or_default())?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= read as u64;
        Ok(read)
    }
}

/// Bytes that are read forwards.
trait Forward {
    fn at(&self) -> u64;
    /// How many bytes were read; fewer than asked for only at the end.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, MediaError>;
    fn skip(&mut self, bytes: u64) -> Result<(), MediaError>;
}

struct Plain<'a> {
    medium: &'a dyn ReadAt,
    at: u64,
}

impl Forward for Plain<'_> {
    fn at(&self) -> u64 {
        self.at
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, MediaError> {
        let read = read_full(self.medium, buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }

    fn skip(&mut self, bytes: u64) -> Result<(), MediaError> {
        match self.at.checked_add(bytes).filter(|end| *end <= self.medium.size()) {
            Some(end) => {
                self.at = end;
                Ok(())
            }
            None => Err(cut_off()),
        }
    }
}

/// A gzip stream, unpacked within the ratio.
struct Unpacked {
    inner: MultiGzDecoder<BufReader<From>>,
    at: u64,
    bytes_max: u64,
}

/// A medium from some place on.
pub(super) struct From {
    pub(super) medium: Arc<dyn ReadAt>,
    pub(super) at: u64,
    pub(super) end: u64,
}

impl Read for From {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted =
            usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.medium.read_at(buffer.get_mut(..wanted).unwrap_or_default(), self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// Whether so many bytes may come out of so many.
pub(super) fn check_ratio(unpacked: u64, packed: u64) -> Result<(), MediaError> {
    if unpacked > UNPACKED_FREE_BYTES && unpacked > packed.saturating_mul(UNPACKED_RATIO_MAX) {
        return Err(MediaError::limit(format!(
            "it unpacks to more than {UNPACKED_RATIO_MAX} times its size ({unpacked} bytes from {packed})"
        )));
    }
    Ok(())
}

impl Unpacked {
    fn new(medium: Arc<dyn ReadAt>, bytes_max: u64) -> Unpacked {
        let end = medium.size();
        let inner = MultiGzDecoder::new(BufReader::with_capacity(256 << 10, From { medium, at: 0, end }));
        Unpacked { inner, at: 0, bytes_max }
    }

    fn drain(&mut self) -> Result<(), MediaError> {
        let mut buffer = vec![0u8; 64 << 10];
        while self.read(&mut buffer).map_err(MediaError::from_io)? > 0 {}
        Ok(())
    }
}

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
                MediaError::malformed("its gzip data is damaged").into()
            }
            _ => error,
        })?;
        self.at += read as u64;
        check_ratio(self.at, self.inner.get_ref().get_ref().at)?;
        if self.at > self.bytes_max {
            return Err(MediaError::limit("it unpacks to more bytes than an image may have").into());
        }
        Ok(read)
    }
}

impl Forward for Unpacked {
    fn at(&self) -> u64 {
        self.at
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, MediaError> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.read(rest).map_err(MediaError::from_io)? {
                0 => break,
                read => filled += read,
            }
        }
        Ok(filled)
    }

    fn skip(&mut self, bytes: u64) -> Result<(), MediaError> {
        let mut buffer = vec![0u8; 64 << 10];
        let mut left = bytes;
        while left > 0 {
            let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            match self.read(buffer.get_mut(..wanted).unwrap_or_default()).map_err(MediaError::from_io)? {
                0 => return Err(cut_off()),
                read => left -= read as u64,
            }
        }
        Ok(())
    }
}

fn cut_off() -> MediaError {
    MediaError::malformed("the archive is cut off")
}

/// What the headers before an entry's own say of it.
#[derive(Default)]
struct Said {
    name: Option<String>,
    size: Option<u64>,
}

fn list(tar: &mut dyn Forward, mut listing: Listing, packed: bool) -> Result<Listing, MediaError> {
    let mut header = [0u8; BLOCK_BYTES];
    let mut said = Said::default();
    for number in 0..TAR_HEADERS_MAX {
        let place = tar.at();
        let read = tar.fill(&mut header)?;
        // Some writers leave out the two empty blocks.
        if read == 0 && number > 0 && said.name.is_none() && said.size.is_none() {
            return Ok(listing);
        }
        if read < BLOCK_BYTES {
            return Err(if number == 0 { no_tar() } else { cut_off() });
        }
        if header.iter().all(|byte| *byte == 0) {
            return Ok(listing);
        }
        if !is_header(&header) {
            let damaged = || MediaError::malformed(format!("the tar header at byte {place} is damaged"));
            return Err(if number == 0 { no_tar() } else { damaged() });
        }
        let own_size = number_field(&header, 124, 12)?;
        let kind = header.get(156).copied().unwrap_or(0);
        if let b'L' | b'K' | b'x' | b'g' = kind {
            let bytes = extension(tar, own_size)?;
            match kind {
                b'L' => said.name = Some(utf8(until_nul(&bytes))?),
                b'x' => pax(&bytes, &mut said)?,
                // Of links and of all files: nothing in them is read, as sizes and names for all files make no sense.
                _ => {}
            }
            continue;
        }
        let Said { name, size } = std::mem::take(&mut said);
        let name = match name {
            Some(name) => name,
            None => header_name(&header)?,
        };
        let size = size.unwrap_or(own_size);
        let begin = tar.at();
        match kind {
            0 | b'0' | b'7' => {
                // Old archives mark folders by a slash alone.
                if name.ends_with('/') && size == 0 {
                    continue;
                }
                let content = if packed {
                    Content::Stream { mark: begin }
                } else if size == 0 {
                    Content::Ranges(Vec::new())
                } else {
                    Content::Ranges(vec![Range { offset: begin, size }])
                };
                listing.add(&name, size, content)?;
            }
            b'5' => {
                let folder = super::listing::plain(&name).trim_end_matches('/');
                if !matches!(folder, "" | ".") {
                    super::listing::check_name(folder)?;
                }
            }
            b'1' | b'2' => listing.leave_out(&name)?,
            b'3' | b'4' | b'6' => {
                let text =
                    format!("`{name}` is a device or a pipe; only plain files and folders are imported");
                return Err(MediaError::new(Refusal::NotPlain, text));
            }
            other => {
                let text =
                    format!("`{name}` is a tar entry of kind {:?}, which is not read", char::from(other));
                return Err(MediaError::new(Refusal::Unsupported, text));
            }
        }
        // Links say the size of what they point to, and have no bytes.
        let bytes = if matches!(kind, b'1' | b'2') { 0 } else { size };
        let padded = bytes.checked_next_multiple_of(BLOCK).ok_or_else(cut_off)?;
        tar.skip(padded)?;
    }
    Err(MediaError::limit(format!("it has more than {TAR_HEADERS_MAX} headers")))
}

fn no_tar() -> MediaError {
    MediaError::new(
        Refusal::Unknown,
        "what it holds is no tar archive (no header with a right checksum at its start)",
    )
}

/// Whether a block is a tar header: its checksum is the sum of its bytes, with blanks for the checksum itself. Old
/// writers summed signed bytes.
pub(super) fn is_header(block: &[u8]) -> bool {
    let Ok(said) = number_field(block, 148, 8) else { return false };
    if block.len() < BLOCK_BYTES || said == 0 {
        return false;
    }
    let bytes = block.iter().take(BLOCK_BYTES).enumerate();
    let bytes = bytes.map(|(at, byte)| if (148..156).contains(&at) { b' ' } else { *byte });
    let (unsigned, signed) = bytes.fold((0i64, 0i64), |(unsigned, signed), byte| {
        (unsigned + i64::from(byte), signed + i64::from(byte.cast_signed()))
    });
    i64::try_from(said).is_ok_and(|said| said == unsigned || said == signed)
}

/// Octal digits between blanks and NULs, or GNU's binary form: high bit set, then big-endian.
pub(super) fn number_field(header: &[u8], at: usize, length: usize) -> Result<u64, MediaError> {
    let damaged = || MediaError::malformed("a number in a tar header is damaged");
    let field = header.get(at..at + length).ok_or_else(damaged)?;
    if field.first() == Some(&0x80) {
        let (high, low) = field.split_at_checked(field.len() - 8).ok_or_else(damaged)?;
        if high.iter().skip(1).any(|byte| *byte != 0) {
            return Err(damaged());
        }
        return low.first_chunk().map(|chunk| u64::from_be_bytes(*chunk)).ok_or_else(damaged);
    }
    let text = field.trim_ascii_start();
    let text = until_nul(text).trim_ascii_end();
    text.iter().try_fold(0u64, |number, byte| match byte {
        b'0'..=b'7' => Ok(number << 3 | u64::from(byte - b'0')),
        _ => Err(damaged()),
    })
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn utf8(bytes: &[u8]) -> Result<String, MediaError> {
    let text = std::str::from_utf8(bytes).map(str::to_owned);
    text.map_err(|_| {
        MediaError::new(Refusal::Name, format!("file name {} is not UTF-8", bytes.escape_ascii()))
    })
}

/// Name at 0, and for ustar what stands before it at 345. GNU archives (`ustar  `) have other things there.
pub(super) fn header_name(header: &[u8]) -> Result<String, MediaError> {
    let name = utf8(until_nul(header.get(..100).unwrap_or_default()))?;
    if header.get(257..263) == Some(b"ustar\0") {
        let prefix = utf8(until_nul(header.get(345..500).unwrap_or_default()))?;
        if !prefix.is_empty() {
            return Ok(format!("{prefix}/{name}"));
        }
    }
    Ok(name)
}

fn extension(tar: &mut dyn Forward, size: u64) -> Result<Vec<u8>, MediaError> {
    if size > TAR_EXTENSION_BYTES_MAX {
        return Err(MediaError::limit(format!(
            "an extended tar header has more than {TAR_EXTENSION_BYTES_MAX} bytes"
        )));
    }
    let mut bytes = vec![0u8; usize::try_from(size).unwrap_or(0)];
    if tar.fill(&mut bytes)? < bytes.len() {
        return Err(cut_off());
    }
    tar.skip(size.next_multiple_of(BLOCK) - size)?;
    Ok(bytes)
}

/// Records `<length> <key>=<value>\n`, the length counting all of it.
fn pax(bytes: &[u8], said: &mut Said) -> Result<(), MediaError> {
    let damaged = || MediaError::malformed("an extended tar header is damaged");
    let mut rest = bytes;
    while !rest.is_empty() && rest.first() != Some(&0) {
        let blank = rest.iter().take(8).position(|byte| *byte == b' ').ok_or_else(damaged)?;
        let digits = rest.get(..blank).and_then(|digits| std::str::from_utf8(digits).ok());
        let length: usize = digits.and_then(|digits| digits.parse().ok()).ok_or_else(damaged)?;
        let record =
            rest.get(blank + 1..length).and_then(|record| record.strip_suffix(b"\n")).ok_or_else(damaged)?;
        let equals = record.iter().position(|byte| *byte == b'=').ok_or_else(damaged)?;
        let (key, value) =
            (record.get(..equals).unwrap_or_default(), record.get(equals + 1..).unwrap_or_default());
        match key {
            b"path" => said.name = Some(utf8(value)?),
            b"size" => {
                let text = std::str::from_utf8(value).ok();
                said.size = Some(text.and_then(|text| text.parse().ok()).ok_or_else(damaged)?);
            }
            key if key.starts_with(b"GNU.sparse.") => {
                return Err(MediaError::new(Refusal::Unsupported, "it has sparse files, which are not read"));
            }
            _ => {}
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    Ok(())
}
