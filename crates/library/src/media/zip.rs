//! Zip archives (PKWARE APPNOTE 6.3), stored or deflated, with the 64-bit extensions.
//!
//! The central directory is the list; each entry's local header must agree with it in name and method, entries must not
//! overlap each other or the directory, and what unpacks must have the size and the CRC it says. Refused: encryption,
//! other compressions, several disks, and archives with something before them.

use super::listing::{Content, Entry, Listing, Range};
use super::tar::{From, check_ratio};
use super::{Caps, MediaError, Medium, ReadAt, Refusal, le16, le32, le64, read_exact};
use crate::limits::{IMAGE_FILES_MAX, ZIP_DIRECTORY_BYTES_MAX};
use flate2::bufread::DeflateDecoder;
use std::io::{self, BufReader, Read};
use std::sync::Arc;

/// APPNOTE 4.3.16: 22 bytes and a comment of at most 65,535.
const END_BYTES: u64 = 22;
const COMMENT_BYTES_MAX: u64 = 65_535;

/// Most entries looked at: files, folders and links.
const ENTRIES_MAX: u64 = 4 * IMAGE_FILES_MAX as u64;

pub(super) struct Zip {
    medium: Arc<dyn ReadAt>,
    members: Vec<Member>,
}

/// One file: where its packed bytes are and what must come out.
#[derive(Clone, Copy)]
struct Member {
    data: Range,
    deflated: bool,
    size: u64,
    crc: u32,
}

impl Zip {
    pub(super) fn new(medium: Arc<dyn ReadAt>) -> Zip {
        Zip { medium, members: Vec::new() }
    }
}

impl Medium for Zip {
    fn list(&mut self, caps: Caps) -> Result<Listing, MediaError> {
        let medium = &*self.medium;
        let directory = Directory::find(medium)?;
        let mut bytes = vec![0u8; usize::try_from(directory.size).unwrap_or(0)];
        read_exact(medium, &mut bytes, directory.offset, "the zip directory")?;
        let mut listing = Listing::new(caps, medium.size());
        let mut members = Vec::new();
        // Every entry from its local header to the end of its bytes.
        let mut taken: Vec<(u64, u64)> = Vec::new();
        let (mut rest, mut packed) = (&bytes[..], 0u64);
        for _ in 0..directory.entries {
            let (central, length) = Central::read(rest)?;
            rest = rest.get(length..).unwrap_or_default();
            let data = central.data(medium, directory.offset)?;
            taken.push((central.local, data.offset + data.size));
            packed = packed.saturating_add(data.size);
            let folder = central.name.ends_with('/');
            match central.kind {
                Kind::Link => listing.leave_out(&central.name)?,
                Kind::Other => {
                    let text = format!(
                        "`{}` is a device, a pipe or a socket; only plain files and folders are imported",
                        central.name
                    );
                    return Err(MediaError::new(Refusal::NotPlain, text));
                }
                Kind::Plain if folder && central.size == 0 => {
                    super::listing::check_name(central.name.trim_end_matches('/'))?;
                }
                Kind::Plain => {
                    listing.add(
                        &central.name,
                        central.size,
                        Content::Stream { mark: members.len() as u64 },
                    )?;
                    check_ratio(central.size, data.size)?;
                    members.push(Member {
                        data,
                        deflated: central.deflated,
                        size: central.size,
                        crc: central.crc,
                    });
                }
            }
        }
        if !rest.is_empty() {
            return Err(MediaError::malformed("the zip's directory has more entries than it says"));
        }
        check_ratio(listing.bytes(), packed)?;
        taken.sort_unstable();
        if taken.iter().zip(taken.iter().skip(1)).any(|(one, next)| one.1 > next.0) {
            return Err(MediaError::malformed("two entries of the zip lie over each other"));
        }
        self.members = members;
        Ok(listing)
    }

    fn open(&mut self, entry: &Entry) -> Result<Box<dyn Read + '_>, MediaError> {
        Ok(Box::new(self.unpacked(entry)?))
    }
}

impl Zip {
    fn member(&self, entry: &Entry) -> Option<&Member> {
        match entry.content {
            Content::Stream { mark } => self.members.get(usize::try_from(mark).ok()?),
            Content::Ranges(_) => None,
        }
    }

    /// The bytes of a file of the listing.
    pub(super) fn unpacked(&self, entry: &Entry) -> Result<Unpacked, MediaError> {
        let Some(member) = self.member(entry) else {
            return Err(MediaError::malformed(format!("`{}` is not in the zip", entry.name)));
        };
        let end = member.data.offset + member.data.size;
        let packed = From { medium: self.medium.clone(), at: member.data.offset, end };
        let inner: Box<dyn Read> = if member.deflated {
            Box::new(DeflateDecoder::new(BufReader::with_capacity(256 << 10, packed)))
        } else {
            Box::new(packed)
        };
        Ok(Unpacked { inner, left: member.size, crc: crc32fast::Hasher::new(), wanted: member.crc })
    }

    /// Where the bytes of a file lie in the zip, when they lie there as they are.
    pub(super) fn stored_at(&self, entry: Option<&Entry>) -> Option<u64> {
        self.member(entry?).filter(|member| !member.deflated).map(|member| member.data.offset)
    }
}

/// Bytes that must have the size and the checksum they were announced with.
pub(super) struct Unpacked {
    inner: Box<dyn Read>,
    left: u64,
    crc: crc32fast::Hasher,
    wanted: u32,
}

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let damaged = || MediaError::malformed("a file of the zip does not unpack: it is damaged or cut off");
        if buffer.is_empty() {
            return Ok(0);
        }
        let read = self.inner.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                damaged().into()
            }
            _ => error,
        })?;
        if read as u64 > self.left {
            return Err(MediaError::malformed("a file of the zip unpacks to more bytes than it says").into());
        }
        self.left -= read as u64;
        self.crc.update(buffer.get(..read).unwrap_or_default());
        if read == 0 {
            if self.left > 0 {
                return Err(
                    MediaError::malformed("a file of the zip unpacks to fewer bytes than it says").into()
                );
            }
            if self.crc.clone().finalize() != self.wanted {
                return Err(damaged().into());
            }
        }
        Ok(read)
    }
}

/// Where the central directory is.
struct Directory {
    offset: u64,
    size: u64,
    entries: u64,
}

impl Directory {
    fn find(medium: &dyn ReadAt) -> Result<Directory, MediaError> {
        let size = medium.size();
        let tail = size.min(END_BYTES + COMMENT_BYTES_MAX);
        let start = size - tail;
        let mut bytes = vec![0u8; usize::try_from(tail).unwrap_or(0)];
        read_exact(medium, &mut bytes, start, "the end of the zip")?;
        // The record whose comment ends where the file does: what else looks like one is content.
        let place = (0..bytes.len().saturating_sub(21)).rev().find(|at| {
            let record = bytes.get(*at..).unwrap_or_default();
            record.starts_with(b"PK\x05\x06") && record.len() == 22 + usize::from(le16(record, 20))
        });
        let Some(place) = place else {
            return Err(MediaError::malformed("the zip has no end record: it is cut off"));
        };
        let record = bytes.get(place..).unwrap_or_default();
        let mut end = start + place as u64;
        let mut directory = Directory {
            entries: u64::from(le16(record, 10)),
            size: u64::from(le32(record, 12)),
            offset: u64::from(le32(record, 16)),
        };
        if le16(record, 4) != 0 && le16(record, 4) != 0xffff
            || le16(record, 6) != 0 && le16(record, 6) != 0xffff
        {
            return Err(MediaError::new(Refusal::Unsupported, "the zip is spread over several disks"));
        }
        // APPNOTE 4.3.15: the locator of the 64-bit record stands right before.
        if let Some(locator) = place.checked_sub(20).and_then(|at| bytes.get(at..place))
            && locator.starts_with(b"PK\x06\x07")
        {
            let at = le64(locator, 8);
            let mut wide = [0u8; 56];
            read_exact(medium, &mut wide, at, "the 64-bit end record")?;
            if !wide.starts_with(b"PK\x06\x06") || at >= end {
                return Err(MediaError::malformed(
                    "the zip's 64-bit end record is not where its locator says",
                ));
            }
            end = at;
            directory =
                Directory { entries: le64(&wide, 32), size: le64(&wide, 40), offset: le64(&wide, 48) };
        }
        if directory.entries > ENTRIES_MAX {
            return Err(MediaError::limit(format!("it has more than {ENTRIES_MAX} entries")));
        }
        if directory.size > ZIP_DIRECTORY_BYTES_MAX {
            return Err(MediaError::limit(format!(
                "its directory has more than {ZIP_DIRECTORY_BYTES_MAX} bytes"
            )));
        }
        if directory.offset.checked_add(directory.size) != Some(end) {
            return Err(MediaError::malformed(
                "the zip's directory does not end where its end record stands: something was put before it or cut off",
            ));
        }
        Ok(directory)
    }
}

enum Kind {
    Plain,
    Link,
    Other,
}

/// One entry of the central directory (APPNOTE 4.3.12).
struct Central {
    name: String,
    kind: Kind,
    deflated: bool,
    flags: u16,
    crc: u32,
    packed: u64,
    size: u64,
    local: u64,
}

impl Central {
    fn read(bytes: &[u8]) -> Result<(Central, usize), MediaError> {
        let cut_off = || MediaError::malformed("an entry of the zip's directory runs over its end");
        let head = bytes.get(..46).filter(|head| head.starts_with(b"PK\x01\x02")).ok_or_else(cut_off)?;
        let (name_bytes, extra_bytes) = (usize::from(le16(head, 28)), usize::from(le16(head, 30)));
        let length = 46 + name_bytes + extra_bytes + usize::from(le16(head, 32));
        let raw = bytes.get(46..46 + name_bytes).ok_or_else(cut_off)?;
        let extra = bytes.get(46 + name_bytes..46 + name_bytes + extra_bytes).ok_or_else(cut_off)?;
        if bytes.len() < length {
            return Err(cut_off());
        }
        let name = std::str::from_utf8(raw).map_err(|_| {
            MediaError::new(Refusal::Name, format!("file name {} is not UTF-8", raw.escape_ascii()))
        })?;
        let unsupported = |why: &str| Err(MediaError::new(Refusal::Unsupported, format!("`{name}` {why}")));
        let flags = le16(head, 8);
        // Bit 0: encrypted; 6: strongly; 13: its directory too.
        if flags & 0x2041 != 0 {
            return unsupported("is encrypted");
        }
        let deflated = match le16(head, 10) {
            0 => false,
            8 => true,
            other => return unsupported(&format!("is packed by method {other}; only deflate is read")),
        };
        // Upper byte of `made by`: 3 is Unix, 19 macOS; the upper half of the attributes is the mode then.
        let kind = match (le16(head, 4) >> 8, le32(head, 38) >> 16 & 0xf000) {
            (3 | 19, 0xa000) => Kind::Link,
            (3 | 19, 0x1000 | 0x2000 | 0x6000 | 0xc000) => Kind::Other,
            _ => Kind::Plain,
        };
        let mut central = Central {
            name: name.to_owned(),
            kind,
            deflated,
            flags,
            crc: le32(head, 16),
            packed: u64::from(le32(head, 20)),
            size: u64::from(le32(head, 24)),
            local: u64::from(le32(head, 42)),
        };
        central.widen(extra)?;
        if !deflated && central.packed != central.size {
            return Err(MediaError::malformed(format!("`{}` is stored and says two sizes", central.name)));
        }
        Ok((central, length))
    }

    /// APPNOTE 4.5.3: 64-bit forms of the fields that are all ones, in this order.
    fn widen(&mut self, mut extra: &[u8]) -> Result<(), MediaError> {
        let wide = u64::from(u32::MAX);
        while extra.len() >= 4 {
            let length = usize::from(le16(extra, 2));
            let Some(field) = extra.get(4..4 + length) else { break };
            if le16(extra, 0) == 1 {
                let mut at = 0;
                for value in [&mut self.size, &mut self.packed, &mut self.local] {
                    if *value == wide {
                        if field.len() < at + 8 {
                            return Err(MediaError::malformed(format!(
                                "`{}` lacks its 64-bit size",
                                self.name
                            )));
                        }
                        *value = le64(field, at);
                        at += 8;
                    }
                }
            }
            extra = extra.get(4 + length..).unwrap_or_default();
        }
        Ok(())
    }

    /// Where the bytes are, by the local header (APPNOTE 4.3.7), which must agree with the directory.
    fn data(&self, medium: &dyn ReadAt, directory: u64) -> Result<Range, MediaError> {
        let mut head = [0u8; 30];
        read_exact(medium, &mut head, self.local, "a local header of the zip")?;
        let name_bytes = u64::from(le16(&head, 26));
        let mut name = vec![0u8; usize::from(le16(&head, 26))];
        read_exact(medium, &mut name, self.local.saturating_add(30), "a name of the zip")?;
        let method = if self.deflated { 8 } else { 0 };
        if !head.starts_with(b"PK\x03\x04") || name != self.name.as_bytes() || le16(&head, 8) != method {
            return Err(MediaError::malformed(format!(
                "`{}` is another entry at its place than in the zip's directory",
                self.name
            )));
        }
        // Bit 3: sizes and checksum stand behind the bytes.
        let (crc, size) = (le32(&head, 14), le32(&head, 22));
        let sizes_agree = u64::from(size) == self.size || size == u32::MAX;
        if self.flags & 8 == 0 && !(sizes_agree && crc == self.crc) {
            return Err(MediaError::malformed(format!("`{}` says two sizes or checksums", self.name)));
        }
        let offset = self.local + 30 + name_bytes + u64::from(le16(&head, 28));
        match offset.checked_add(self.packed).filter(|end| *end <= directory) {
            Some(_) => Ok(Range { offset, size: self.packed }),
            None => Err(MediaError::malformed(format!("`{}` runs into the zip's directory", self.name))),
        }
    }
}
