//! ISO 9660 discs, read in place (ECMA-119; IEEE P1282 for Rock Ridge and SUSP; Joliet by its own specification).
//!
//! Which names are taken: Rock Ridge; else Joliet; else those of a UDF file system on the same disc; else the plain ones
//! without `;1` and without the dot of an empty extension. A plain tree of one file beside a UDF file system is the
//! note of a Windows disc that says so, and UDF is read.
//!
//! Read: files in several extents, folders moved by Rock Ridge (CL, RE), continuation areas (CE). Refused: interleaved
//! files, zisofs and sparse files, blocks of other sizes than 2048, directories reached twice.

use super::listing::{Content, Entry, Listing, Range};
use super::{Caps, MediaError, Medium, ReadAt, Refusal, le16, le32, read_exact, read_full, udf};
use crate::limits::{DIRECTORY_BYTES_MAX, FOLDER_DEPTH_MAX, FOLDERS_MAX};
use std::collections::HashSet;
use std::io::Read;
use std::sync::Arc;

/// ECMA-119 6.1.2: logical sectors have 2048 bytes; blocks may be smaller, and nobody writes that.
const BLOCK: u64 = 2048;
const BLOCK_BYTES: usize = 2048;

/// Volume descriptors looked at. Discs have three or four.
const DESCRIPTORS_MAX: u64 = 64;

/// Continuation areas of one record followed.
const CONTINUATIONS_MAX: usize = 16;

/// Bytes of one continuation area. SUSP keeps them inside a block.
const CONTINUATION_BYTES_MAX: u32 = 8 << 10;

/// Bytes of one Rock Ridge name with all its parts: POSIX allows 255.
const NAME_BYTES_MAX: usize = 1024;

pub(super) struct Iso {
    medium: Arc<dyn ReadAt>,
}

impl Iso {
    pub(super) fn new(medium: Arc<dyn ReadAt>) -> Iso {
        Iso { medium }
    }
}

impl Medium for Iso {
    fn list(&mut self, caps: Caps) -> Result<Listing, MediaError> {
        let medium = &*self.medium;
        let volumes = Volumes::read(medium)?;
        let Some(primary) = volumes.primary else {
            return udf::list(medium, caps);
        };
        let rock_ridge = Walk::susp_skip(medium, primary)?;
        let (root, names) = match (rock_ridge, volumes.joliet) {
            (Some(skip), _) => (primary, Names::RockRidge { skip }),
            (None, Some(joliet)) => (joliet, Names::Joliet),
            (None, None) => (primary, Names::Plain),
        };
        if volumes.udf && matches!(names, Names::Plain) {
            return match udf::list(medium, caps) {
                Ok(listing) => Ok(listing),
                // Both trees are the disc's own; the plain one has at least the names loaders ask for.
                Err(_) => Walk::new(medium, names, caps).run(root),
            };
        }
        let listing = Walk::new(medium, names, caps).run(root)?;
        if volumes.udf && listing.len() <= 1 {
            return Ok(udf::list(medium, caps).unwrap_or(listing));
        }
        Ok(listing)
    }

    fn open(&mut self, entry: &Entry) -> Result<Box<dyn Read + '_>, MediaError> {
        Err(MediaError::malformed(format!("`{}` is no stream", entry.name)))
    }
}

/// Where a directory or file lies.
#[derive(Clone, Copy, Debug)]
struct Extent {
    block: u32,
    bytes: u32,
}

/// What the volume descriptors say: 2048 bytes each from block 16.
#[derive(Default)]
struct Volumes {
    primary: Option<Extent>,
    joliet: Option<Extent>,
    udf: bool,
}

impl Volumes {
    fn read(medium: &dyn ReadAt) -> Result<Volumes, MediaError> {
        let mut volumes = Volumes::default();
        let mut sector = [0u8; BLOCK_BYTES];
        for number in 16..16 + DESCRIPTORS_MAX {
            if read_full(medium, &mut sector, number * BLOCK)? < BLOCK_BYTES {
                break;
            }
            let id = sector.get(1..6).unwrap_or_default();
            match (id, sector.first()) {
                (b"CD001", Some(1)) if volumes.primary.is_none() => {
                    volumes.primary = Some(root_of(&sector)?);
                }
                // Joliet 3.2: UCS-2 levels 1 to 3.
                (b"CD001", Some(2))
                    if matches!(sector.get(88..91), Some([0x25, 0x2f, b'@' | b'C' | b'E'])) =>
                {
                    volumes.joliet = Some(root_of(&sector)?);
                }
                (b"CD001", _) => {}
                // ECMA-167 2/9, 3/9: the sequence that announces UDF.
                (b"NSR02" | b"NSR03", _) => volumes.udf = true,
                (b"BEA01" | b"TEA01" | b"BOOT2", _) => {}
                _ => break,
            }
        }
        if volumes.primary.is_none() && !volumes.udf {
            return Err(MediaError::malformed("the disc has no primary volume descriptor"));
        }
        Ok(volumes)
    }
}

/// ECMA-119 8.4: block size at 128, root directory record at 156.
fn root_of(descriptor: &[u8]) -> Result<Extent, MediaError> {
    let block = le16(descriptor, 128);
    if u64::from(block) != BLOCK {
        return Err(MediaError::new(
            Refusal::Unsupported,
            format!("the disc has blocks of {block} bytes; only 2048 are read"),
        ));
    }
    Ok(Extent { block: le32(descriptor, 158), bytes: le32(descriptor, 166) })
}

/// Which names are read.
#[derive(Clone, Copy)]
enum Names {
    Plain,
    Joliet,
    RockRidge { skip: usize },
}

/// What the system use areas of one record say.
#[derive(Default)]
struct SystemUse {
    name: Vec<u8>,
    named: bool,
    mode: Option<u32>,
    link: bool,
    child: Option<u32>,
    relocated: bool,
    packed: bool,
}

/// A file whose record says that more extents follow.
struct Pending {
    name: String,
    ranges: Vec<Range>,
    bytes: u64,
}

struct Walk<'a> {
    medium: &'a dyn ReadAt,
    names: Names,
    listing: Listing,
    seen: HashSet<u32>,
    directory_bytes: u64,
}

impl<'a> Walk<'a> {
    fn new(medium: &'a dyn ReadAt, names: Names, caps: Caps) -> Walk<'a> {
        let listing = Listing::new(caps, medium.size());
        Walk { medium, names, listing, seen: HashSet::new(), directory_bytes: 0 }
    }

    /// The number of bytes to skip in each system use area, when the root says that it has them (SUSP 5.3).
    fn susp_skip(medium: &dyn ReadAt, root: Extent) -> Result<Option<usize>, MediaError> {
        let mut sector = [0u8; BLOCK_BYTES];
        read_exact(medium, &mut sector, u64::from(root.block) * BLOCK, "the root directory")?;
        let length = usize::from(sector.first().copied().unwrap_or(0));
        let area = sector.get(34..length).unwrap_or_default();
        // On discs with an extended architecture (XA) 14 bytes stand before it.
        Ok([0usize, 14].into_iter().find_map(|at| {
            let entry = area.get(at..at + 7)?;
            (entry.get(..6) == Some(&[b'S', b'P', 7, 1, 0xbe, 0xef][..]))
                .then(|| usize::from(entry.get(6).copied().unwrap_or(0)))
        }))
    }

    fn run(mut self, root: Extent) -> Result<Listing, MediaError> {
        let mut open = vec![(root, String::new(), 0usize)];
        self.seen.insert(root.block);
        while let Some((directory, prefix, depth)) = open.pop() {
            if depth > FOLDER_DEPTH_MAX {
                return Err(MediaError::limit(format!(
                    "{prefix:?} is more than {FOLDER_DEPTH_MAX} folders deep"
                )));
            }
            self.directory(directory, &prefix, depth, &mut open)?;
        }
        Ok(self.listing)
    }

    fn directory(
        &mut self,
        directory: Extent,
        prefix: &str,
        depth: usize,
        open: &mut Vec<(Extent, String, usize)>,
    ) -> Result<(), MediaError> {
        self.directory_bytes += u64::from(directory.bytes);
        if self.directory_bytes > DIRECTORY_BYTES_MAX {
            return Err(MediaError::limit(format!(
                "its directories have more than {DIRECTORY_BYTES_MAX} bytes"
            )));
        }
        let mut pending: Option<Pending> = None;
        let mut sector = [0u8; BLOCK_BYTES];
        for number in 0..u64::from(directory.bytes).div_ceil(BLOCK) {
            let place = (u64::from(directory.block) + number) * BLOCK;
            read_exact(self.medium, &mut sector, place, "a directory")?;
            let mut at = 0usize;
            // ECMA-119 6.8.1.1: a record does not cross a sector; zeros fill what is left.
            while let Some(&length) = sector.get(at).filter(|length| **length != 0) {
                let record = sector.get(at..at + usize::from(length)).filter(|record| record.len() >= 34);
                let Some(record) = record else {
                    return Err(MediaError::malformed(format!(
                        "the directory record at byte {} runs over its sector",
                        place + at as u64
                    )));
                };
                self.record(record, prefix, depth, open, &mut pending)?;
                at += usize::from(length);
            }
        }
        match pending {
            None => Ok(()),
            Some(pending) => {
                Err(MediaError::malformed(format!("the last piece of `{}` is missing", pending.name)))
            }
        }
    }

    /// ECMA-119 9.1: length 0, extended attribute blocks 1, block 2, bytes 10, flags 25, interleave 26 and 27, name
    /// length 32, name 33, system use after it, even.
    fn record(
        &mut self,
        record: &[u8],
        prefix: &str,
        depth: usize,
        open: &mut Vec<(Extent, String, usize)>,
        pending: &mut Option<Pending>,
    ) -> Result<(), MediaError> {
        const DIRECTORY: u8 = 2;
        const ASSOCIATED: u8 = 4;
        const MORE: u8 = 0x80;
        let byte = |at: usize| record.get(at).copied().unwrap_or(0);
        let name_length = usize::from(byte(32));
        let Some(raw) = record.get(33..33 + name_length).filter(|raw| !raw.is_empty()) else {
            return Err(MediaError::malformed(format!(
                "a name in {prefix:?} runs over its directory record"
            )));
        };
        // The folder itself and the one above it.
        if matches!(raw, [0 | 1]) {
            return Ok(());
        }
        let flags = byte(25);
        let extent =
            Extent { block: le32(record, 2).saturating_add(u32::from(byte(1))), bytes: le32(record, 10) };
        let system_use = match self.names {
            Names::RockRidge { skip } => {
                let area = 33 + name_length + usize::from(name_length.is_multiple_of(2));
                self.system_use(record.get(area..).unwrap_or_default(), skip)?
            }
            Names::Plain | Names::Joliet => SystemUse::default(),
        };
        if system_use.relocated || flags & ASSOCIATED != 0 {
            return Ok(());
        }
        let own = self.name(raw, &system_use)?;
        let name = format!("{prefix}{own}");
        if let Some(child) = system_use.child {
            let extent = self.own_extent(child)?;
            return self.descend(extent, name, depth, open);
        }
        if flags & DIRECTORY != 0 {
            return self.descend(extent, name, depth, open);
        }
        // POSIX file types, which Rock Ridge has in the mode.
        match system_use.mode.map(|mode| mode & 0xf000) {
            Some(0xa000) => return self.listing.leave_out(&name),
            Some(0x2000 | 0x6000) => return Err(not_plain(&name, "a device")),
            Some(0x1000) => return Err(not_plain(&name, "a pipe")),
            Some(0xc000) => return Err(not_plain(&name, "a socket")),
            _ if system_use.link => return self.listing.leave_out(&name),
            _ => {}
        }
        if byte(26) != 0 || byte(27) != 0 {
            return Err(MediaError::new(Refusal::Unsupported, format!("`{name}` is interleaved")));
        }
        if system_use.packed {
            let text = format!("`{name}` is stored compressed or sparse on the disc");
            return Err(MediaError::new(Refusal::Unsupported, text));
        }
        let mut file = match pending.take() {
            None => Pending { name, ranges: Vec::new(), bytes: 0 },
            Some(pending) if pending.name == name => pending,
            Some(pending) => {
                let text = format!("the next piece of `{}` is called `{name}`", pending.name);
                return Err(MediaError::malformed(text));
            }
        };
        if extent.bytes > 0 {
            let (offset, size) = (u64::from(extent.block) * BLOCK, u64::from(extent.bytes));
            file.ranges.push(Range { offset, size });
            file.bytes += size;
        }
        if flags & MORE != 0 {
            if file.ranges.len() > crate::limits::MEDIUM_RANGES_MAX {
                return Err(MediaError::limit(format!("`{}` lies in too many pieces", file.name)));
            }
            *pending = Some(file);
            return Ok(());
        }
        self.listing.add(&file.name, file.bytes, Content::Ranges(file.ranges))
    }

    fn descend(
        &mut self,
        extent: Extent,
        name: String,
        depth: usize,
        open: &mut Vec<(Extent, String, usize)>,
    ) -> Result<(), MediaError> {
        super::listing::check_name(&name)?;
        if !self.seen.insert(extent.block) {
            return Err(MediaError::malformed(format!("the folder {name:?} is reached twice: a loop")));
        }
        if self.seen.len() > FOLDERS_MAX {
            return Err(MediaError::limit(format!("it has more than {FOLDERS_MAX} folders")));
        }
        open.push((extent, format!("{name}/"), depth + 1));
        Ok(())
    }

    /// A moved directory says its own size in its first record (IEEE P1282 4.1.5.1).
    fn own_extent(&self, block: u32) -> Result<Extent, MediaError> {
        let mut record = [0u8; 34];
        read_exact(self.medium, &mut record, u64::from(block) * BLOCK, "a moved directory")?;
        Ok(Extent { block, bytes: le32(&record, 10) })
    }

    fn name(&self, raw: &[u8], system_use: &SystemUse) -> Result<String, MediaError> {
        let no_utf8 = |bytes: &[u8]| {
            MediaError::new(Refusal::Name, format!("file name {} is not UTF-8", bytes.escape_ascii()))
        };
        match self.names {
            Names::RockRidge { .. } if system_use.named => {
                let name = std::str::from_utf8(&system_use.name).map_err(|_| no_utf8(&system_use.name))?;
                one_part(name)
            }
            Names::Joliet => {
                let units = raw.as_chunks::<2>().0.iter().map(|pair| u16::from_be_bytes(*pair));
                let name: Result<String, _> = char::decode_utf16(units).collect();
                let name = name.map_err(|_| no_utf8(raw))?;
                one_part(without_version(&name))
            }
            Names::RockRidge { .. } | Names::Plain => {
                let name = std::str::from_utf8(raw).map_err(|_| no_utf8(raw))?;
                let name = without_version(name);
                one_part(name.strip_suffix('.').filter(|name| !name.is_empty()).unwrap_or(name))
            }
        }
    }

    /// Entries of a system use area: two letters, length, version, data (SUSP 4.1).
    fn system_use(&self, area: &[u8], skip: usize) -> Result<SystemUse, MediaError> {
        let mut found = SystemUse::default();
        let mut area = area.get(skip..).unwrap_or_default().to_vec();
        for _ in 0..CONTINUATIONS_MAX {
            let mut continued = None;
            let mut rest = &area[..];
            while let [a, b, length, _version, ..] = *rest {
                let length = usize::from(length);
                let Some(entry) = rest.get(..length).filter(|entry| entry.len() >= 4) else { break };
                match &[a, b] {
                    b"NM" => {
                        // Bits 1 and 2 mean `.` and `..`.
                        if entry.get(4).is_some_and(|flags| flags & 6 == 0) {
                            found.name.extend_from_slice(entry.get(5..).unwrap_or_default());
                            found.named = true;
                        }
                        if found.name.len() > NAME_BYTES_MAX {
                            let text = format!("a Rock Ridge name has more than {NAME_BYTES_MAX} bytes");
                            return Err(MediaError::limit(text));
                        }
                    }
                    b"PX" => found.mode = Some(le32(entry, 4)),
                    b"SL" => found.link = true,
                    b"CL" => found.child = Some(le32(entry, 4)),
                    b"RE" => found.relocated = true,
                    b"ZF" | b"SF" => found.packed = true,
                    b"CE" if entry.len() >= 28 => {
                        continued = Some((le32(entry, 4), le32(entry, 12), le32(entry, 20)));
                    }
                    b"ST" => break,
                    _ => {}
                }
                rest = rest.get(length..).unwrap_or_default();
            }
            let Some((block, offset, bytes)) = continued else { return Ok(found) };
            if bytes > CONTINUATION_BYTES_MAX {
                return Err(MediaError::limit("a Rock Ridge continuation area is too large"));
            }
            area = vec![0u8; usize::try_from(bytes).unwrap_or(0)];
            let place = u64::from(block) * BLOCK + u64::from(offset);
            read_exact(self.medium, &mut area, place, "a Rock Ridge continuation area")?;
        }
        Err(MediaError::malformed("the Rock Ridge continuation areas of a record do not end"))
    }
}

fn not_plain(name: &str, kind: &str) -> MediaError {
    MediaError::new(
        Refusal::NotPlain,
        format!("`{name}` is {kind}; only plain files and folders are imported"),
    )
}

/// A name of one folder has no slash, or it would be a path.
pub(super) fn one_part(name: &str) -> Result<String, MediaError> {
    if name.contains('/') {
        return Err(MediaError::new(Refusal::Name, format!("file name {name:?} has a slash")));
    }
    Ok(name.to_owned())
}

/// ECMA-119 7.5.1: `NAME.EXT;1`.
fn without_version(name: &str) -> &str {
    match name.rsplit_once(';') {
        Some((name, version)) if !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit()) => {
            name
        }
        _ => name,
    }
}
