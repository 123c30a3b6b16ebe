//! UDF file systems on discs, read in place (ECMA-167 and OSTA UDF 1.02 to 2.01): what Windows media use.
//!
//! Read: one physical partition, short, long and inline allocation. Refused: virtual, sparable and metadata partitions
//! (rewritable media and Blu-ray), sparse files, allocation descriptors that go on elsewhere, and folders reached twice.
//! Descriptor tags are checked by their checksum (ECMA-167 3/7.2.3).

use super::iso::one_part;
use super::listing::{Content, Listing, Range, check_name};
use super::{Caps, MediaError, ReadAt, Refusal, le16, le32, le64, read_exact, read_full};
use crate::limits::{DIRECTORY_BYTES_MAX, FOLDER_DEPTH_MAX, FOLDERS_MAX};
use std::collections::HashSet;

const BLOCK: u64 = 2048;
const BLOCK_BYTES: usize = 2048;

/// Descriptors of one volume descriptor sequence looked at; 16 blocks are usual.
const DESCRIPTORS_MAX: u32 = 64;

/// Partition maps of one volume looked at.
const PARTITIONS_MAX: usize = 4;

/// Lists the files of the UDF file system on the disc.
pub(super) fn list(medium: &dyn ReadAt, caps: Caps) -> Result<Listing, MediaError> {
    let volume = Volume::read(medium)?;
    let set = volume.block(medium, volume.set)?;
    if tag(&set) != Some(256) {
        return Err(MediaError::malformed("the UDF file set descriptor is not where the volume says"));
    }
    let mut walk = Walk {
        medium,
        volume,
        listing: Listing::new(caps, medium.size()),
        seen: HashSet::new(),
        directory_bytes: 0,
    };
    walk.run(long_place(&set, 400))?;
    Ok(walk.listing)
}

/// A block of a partition.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Place {
    block: u32,
    partition: u16,
}

/// ECMA-167 4/14.14.2: length 0, block 4, partition reference 8.
fn long_place(bytes: &[u8], at: usize) -> Place {
    Place { block: le32(bytes, at + 4), partition: le16(bytes, at + 8) }
}

/// The tag's number, when its checksum is right: byte 4 is the sum of the other fifteen.
fn tag(block: &[u8]) -> Option<u16> {
    let head = block.get(..16)?;
    let sum = head
        .iter()
        .enumerate()
        .filter(|(at, _)| *at != 4)
        .fold(0u8, |sum, (_, byte)| sum.wrapping_add(*byte));
    (head.get(4) == Some(&sum)).then(|| le16(head, 0))
}

/// Where the partitions start, and where the file set is.
struct Volume {
    starts: Vec<Option<u32>>,
    set: Place,
}

impl Volume {
    fn read(medium: &dyn ReadAt) -> Result<Volume, MediaError> {
        let last = (medium.size() / BLOCK).saturating_sub(1);
        let mut sector = [0u8; BLOCK_BYTES];
        // ECMA-167 3/8.4.2.1: the anchor is at two of these three.
        let anchor = [256, last, last.saturating_sub(256)].into_iter().find_map(|number| {
            let read = read_full(medium, &mut sector, number * BLOCK).ok()?;
            (read == BLOCK_BYTES && tag(&sector) == Some(2)).then(|| (le32(&sector, 16), le32(&sector, 20)))
        });
        let Some((bytes, first)) = anchor else {
            return Err(MediaError::malformed(
                "the UDF anchor is at none of its places: the disc is cut off",
            ));
        };
        let mut physical: Vec<(u16, u32)> = Vec::new();
        let mut logical = None;
        let blocks = u64::from(bytes).div_ceil(BLOCK).min(u64::from(DESCRIPTORS_MAX));
        for number in 0..blocks {
            read_exact(medium, &mut sector, (u64::from(first) + number) * BLOCK, "a UDF volume descriptor")?;
            match tag(&sector) {
                Some(5) if physical.len() < PARTITIONS_MAX => {
                    physical.push((le16(&sector, 22), le32(&sector, 188)));
                }
                Some(6) => logical = Some(sector),
                Some(8) => break,
                _ => {}
            }
        }
        let Some(logical) = logical else {
            return Err(MediaError::malformed("the disc has no UDF logical volume"));
        };
        if u64::from(le32(&logical, 212)) != BLOCK {
            return Err(MediaError::new(
                Refusal::Unsupported,
                "the UDF volume has blocks of another size than 2048",
            ));
        }
        // ECMA-167 3/10.6.13: maps of type 1 are 6 bytes, the partition's number at 4.
        let mut starts = Vec::new();
        let mut at = 440;
        for _ in 0..usize::try_from(le32(&logical, 268)).unwrap_or(0).min(PARTITIONS_MAX) {
            let (kind, length) = (logical.get(at).copied(), logical.get(at + 1).copied().unwrap_or(0));
            let number = le16(&logical, at + 4);
            let start = physical.iter().find(|(own, _)| *own == number).map(|(_, start)| *start);
            starts.push(start.filter(|_| kind == Some(1)));
            at += usize::from(length.max(1));
        }
        Ok(Volume { starts, set: long_place(&logical, 248) })
    }

    fn offset(&self, place: Place) -> Result<u64, MediaError> {
        match self.starts.get(usize::from(place.partition)) {
            Some(Some(start)) => Ok((u64::from(*start) + u64::from(place.block)) * BLOCK),
            _ => Err(MediaError::new(
                Refusal::Unsupported,
                "the UDF volume has a partition of a kind that is not read",
            )),
        }
    }

    fn block(&self, medium: &dyn ReadAt, place: Place) -> Result<[u8; BLOCK_BYTES], MediaError> {
        let mut block = [0u8; BLOCK_BYTES];
        read_exact(medium, &mut block, self.offset(place)?, "a UDF descriptor")?;
        Ok(block)
    }
}

/// What an information control block describes.
struct Described {
    kind: u8,
    size: u64,
    ranges: Vec<Range>,
}

struct Walk<'a> {
    medium: &'a dyn ReadAt,
    volume: Volume,
    listing: Listing,
    seen: HashSet<Place>,
    directory_bytes: u64,
}

impl Walk<'_> {
    fn run(&mut self, root: Place) -> Result<(), MediaError> {
        self.seen.insert(root);
        let mut open = vec![(root, String::new(), 0usize)];
        while let Some((place, prefix, depth)) = open.pop() {
            if depth > FOLDER_DEPTH_MAX {
                return Err(MediaError::limit(format!(
                    "{prefix:?} is more than {FOLDER_DEPTH_MAX} folders deep"
                )));
            }
            let described = self.describe(place, &prefix)?;
            if described.kind != 4 {
                return Err(MediaError::malformed(format!("the UDF folder {prefix:?} is none")));
            }
            let bytes = self.read(&described)?;
            self.identifiers(&bytes, &prefix, depth, &mut open)?;
        }
        Ok(())
    }

    /// A directory whole: its identifiers cross blocks. Its size is bounded before anything is allocated.
    fn read(&mut self, described: &Described) -> Result<Vec<u8>, MediaError> {
        self.directory_bytes = self.directory_bytes.saturating_add(described.size);
        if self.directory_bytes > DIRECTORY_BYTES_MAX.min(self.medium.size()) {
            return Err(MediaError::limit(format!("its folders have more than {DIRECTORY_BYTES_MAX} bytes")));
        }
        let mut bytes = vec![0u8; usize::try_from(described.size).unwrap_or(0)];
        let mut at = 0usize;
        for range in &described.ranges {
            let size = usize::try_from(range.size).unwrap_or(usize::MAX);
            let Some(part) = bytes.get_mut(at..at.saturating_add(size)) else { break };
            read_exact(self.medium, part, range.offset, "a UDF folder")?;
            at += size;
        }
        Ok(bytes)
    }

    /// ECMA-167 4/14.4: tag, version 16, characteristics 18, name length 19, control block 20, use length 36, use, name.
    fn identifiers(
        &mut self,
        bytes: &[u8],
        prefix: &str,
        depth: usize,
        open: &mut Vec<(Place, String, usize)>,
    ) -> Result<(), MediaError> {
        const DELETED: u8 = 4;
        const PARENT: u8 = 8;
        let mut rest = bytes;
        while rest.len() >= 38 {
            if tag(rest) != Some(257) {
                return Err(MediaError::malformed(format!(
                    "a file identifier in the UDF folder {prefix:?} is damaged"
                )));
            }
            let characteristics = rest.get(18).copied().unwrap_or(0);
            let name_at = 38 + usize::from(le16(rest, 36));
            let name_bytes = usize::from(rest.get(19).copied().unwrap_or(0));
            let Some(raw) = rest.get(name_at..name_at + name_bytes) else {
                return Err(MediaError::malformed(format!("a name runs over the UDF folder {prefix:?}")));
            };
            let place = long_place(rest, 20);
            if characteristics & (DELETED | PARENT) == 0 {
                let name = format!("{prefix}{}", one_part(&dstring(raw)?)?);
                self.file(place, name, depth, open)?;
            }
            rest = rest.get((name_at + name_bytes).next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(())
    }

    fn file(
        &mut self,
        place: Place,
        name: String,
        depth: usize,
        open: &mut Vec<(Place, String, usize)>,
    ) -> Result<(), MediaError> {
        let described = self.describe(place, &name)?;
        // ECMA-167 4/14.6.6.
        match described.kind {
            4 => {
                check_name(&name)?;
                if !self.seen.insert(place) {
                    return Err(MediaError::malformed(format!(
                        "the folder {name:?} is reached twice: a loop"
                    )));
                }
                if self.seen.len() > FOLDERS_MAX {
                    return Err(MediaError::limit(format!("it has more than {FOLDERS_MAX} folders")));
                }
                open.push((place, format!("{name}/"), depth + 1));
                Ok(())
            }
            5 => self.listing.add(&name, described.size, Content::Ranges(described.ranges)),
            12 => self.listing.leave_out(&name),
            kind => {
                let text =
                    format!("`{name}` is of UDF kind {kind}; only plain files and folders are imported");
                Err(MediaError::new(Refusal::NotPlain, text))
            }
        }
    }

    /// File entry (261) or extended file entry (266): ECMA-167 4/14.9 and 4/14.17.
    fn describe(&self, place: Place, name: &str) -> Result<Described, MediaError> {
        let offset = self.volume.offset(place)?;
        let block = self.volume.block(self.medium, place)?;
        let lengths_at = match tag(&block) {
            Some(261) => 168,
            Some(266) => 208,
            _ => return Err(MediaError::malformed(format!("the UDF file entry of {name:?} is damaged"))),
        };
        let size = le64(&block, 56);
        let attributes = usize::try_from(le32(&block, lengths_at)).unwrap_or(usize::MAX);
        let start = (lengths_at + 8).saturating_add(attributes);
        let length = usize::try_from(le32(&block, lengths_at + 4)).unwrap_or(usize::MAX);
        let Some(descriptors) = block.get(start..start.saturating_add(length)) else {
            return Err(MediaError::malformed(format!("the UDF file entry of {name:?} runs over its block")));
        };
        let kind = block.get(27).copied().unwrap_or(0);
        let mut left = size;
        let mut ranges = Vec::new();
        let step = match le16(&block, 34) & 7 {
            0 => 8,
            1 => 16,
            3 => {
                if size > descriptors.len() as u64 {
                    return Err(MediaError::malformed(format!("{name:?} is larger than its file entry")));
                }
                if size > 0 {
                    ranges.push(Range { offset: offset + start as u64, size });
                }
                return Ok(Described { kind, size, ranges });
            }
            _ => return Err(unsupported(name)),
        };
        for descriptor in descriptors.chunks_exact(step) {
            let (length, block) = (le32(descriptor, 0), le32(descriptor, 4));
            let partition = if step == 16 { le16(descriptor, 8) } else { place.partition };
            let bytes = u64::from(length & 0x3fff_ffff).min(left);
            if length & 0x3fff_ffff == 0 || left == 0 {
                break;
            }
            // The two upper bits: 0 is recorded, the others are holes or go on elsewhere.
            if length >> 30 != 0 {
                return Err(unsupported(name));
            }
            ranges.push(Range { offset: self.volume.offset(Place { block, partition })?, size: bytes });
            left -= bytes;
        }
        if left > 0 {
            return Err(MediaError::malformed(format!("{name:?} says {size} bytes and has {}", size - left)));
        }
        Ok(Described { kind, size, ranges })
    }
}

fn unsupported(name: &str) -> MediaError {
    MediaError::new(
        Refusal::Unsupported,
        format!("{name:?} is allocated on the UDF volume in a way that is not read"),
    )
}

/// OSTA UDF 2.1.1: a byte that says how many bits a character has, 8 (Latin-1) or 16 (UCS-2), then the characters.
fn dstring(raw: &[u8]) -> Result<String, MediaError> {
    let refused =
        || MediaError::new(Refusal::Name, format!("file name {} cannot be read", raw.escape_ascii()));
    match raw.split_first() {
        Some((8, rest)) => Ok(rest.iter().map(|byte| char::from(*byte)).collect()),
        Some((16, rest)) => {
            let (units, odd) = rest.as_chunks::<2>();
            if !odd.is_empty() {
                return Err(refused());
            }
            let units = units.iter().map(|pair| u16::from_be_bytes(*pair));
            char::decode_utf16(units).collect::<Result<_, _>>().map_err(|_| refused())
        }
        _ => Err(refused()),
    }
}
