//! What the confined process and its parent say to each other: frames of a tag, a length and as many bytes.
//!
//! | tag | from | bytes (little-endian) |
//! |---|---|---|
//! | `L` | parent | kind 1, most bytes of all files 8, then the image profile asked for, if any: list |
//! | `R` | parent | place in the listing 8: read that file |
//! | `E` | child | size 8, then `0` and ranges (count 4, each offset 8 and size 8) or `1` and a mark 8, then the name |
//! | `O` | child | links left out 8, then names, a NUL after each |
//! | `N` | child | a note for people |
//! | `B` | child | bytes of the file |
//! | `D` | child | done |
//! | `X` | child | class of the refusal 1, then the sentence |
//!
//! Neither side believes the other's lengths: a frame has at most [`FRAME_BYTES_MAX`].

use super::listing::{Content, Entry, Range};
use super::{MediaError, MediumKind, Refusal, le32, le64};
use std::io::{self, Read, Write};

/// Most bytes of one frame: the ranges of the most scattered file, and its name.
pub(super) const FRAME_BYTES_MAX: usize = 2 << 20;

/// Bytes of content in one frame.
pub(super) const PIECE_BYTES: usize = 256 << 10;

const KINDS: [MediumKind; 5] =
    [MediumKind::Iso, MediumKind::Tar, MediumKind::TarGz, MediumKind::Zip, MediumKind::Depot];

pub(super) fn write(to: &mut impl Write, tag: u8, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(|_| io::Error::other("a frame is too long"))?;
    let [a, b, c, d] = length.to_le_bytes();
    to.write_all(&[tag, a, b, c, d])?;
    to.write_all(bytes)
}

/// Reads a frame into `bytes`, whose room is used again, and returns its tag.
pub(super) fn read(from: &mut impl Read, bytes: &mut Vec<u8>) -> io::Result<u8> {
    let mut head = [0u8; 5];
    from.read_exact(&mut head)?;
    let length = usize::try_from(le32(&head, 1)).unwrap_or(usize::MAX);
    if length > FRAME_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame is too long"));
    }
    bytes.resize(length, 0);
    from.read_exact(bytes)?;
    Ok(head[0])
}

pub(super) fn list_request(kind: MediumKind, bytes_max: u64, profile: Option<&str>) -> Vec<u8> {
    let place = KINDS.iter().position(|own| *own == kind).unwrap_or(0);
    let mut bytes = vec![u8::try_from(place).unwrap_or(0)];
    bytes.extend(bytes_max.to_le_bytes());
    bytes.extend(profile.unwrap_or_default().as_bytes());
    bytes
}

pub(super) fn read_list_request(bytes: &[u8]) -> Option<(MediumKind, u64, Option<String>)> {
    let (kind, rest) = bytes.split_first()?;
    let (bytes_max, profile) = rest.split_first_chunk()?;
    let profile = Some(std::str::from_utf8(profile).ok()?).filter(|profile| !profile.is_empty());
    Some((*KINDS.get(usize::from(*kind))?, u64::from_le_bytes(*bytes_max), profile.map(str::to_owned)))
}

pub(super) fn entry(entry: &Entry) -> Vec<u8> {
    let mut bytes = entry.size.to_le_bytes().to_vec();
    match &entry.content {
        Content::Ranges(ranges) => {
            bytes.push(0);
            bytes.extend(u32::try_from(ranges.len()).unwrap_or(u32::MAX).to_le_bytes());
            for range in ranges {
                bytes.extend(range.offset.to_le_bytes());
                bytes.extend(range.size.to_le_bytes());
            }
        }
        Content::Stream { mark } => {
            bytes.push(1);
            bytes.extend(mark.to_le_bytes());
        }
    }
    bytes.extend(entry.name.as_bytes());
    bytes
}

/// Name, size and content; `None` when the frame is none.
pub(super) fn read_entry(bytes: &[u8]) -> Option<(&str, u64, Content)> {
    let size = le64(bytes, 0);
    let (content, name) = match bytes.get(8)? {
        0 => {
            let count = usize::try_from(le32(bytes, 9)).ok()?;
            let (pieces, name) = bytes.get(13..)?.split_at_checked(count.checked_mul(16)?)?;
            let ranges = pieces.chunks_exact(16).map(|it| Range { offset: le64(it, 0), size: le64(it, 8) });
            (Content::Ranges(ranges.collect()), name)
        }
        1 => (
            Content::Stream {
                mark: bytes.get(9..).and_then(|rest| rest.first_chunk()).map(|it| u64::from_le_bytes(*it))?,
            },
            bytes.get(17..)?,
        ),
        _ => return None,
    };
    Some((std::str::from_utf8(name).ok()?, size, content))
}

pub(super) fn error(error: &MediaError) -> Vec<u8> {
    let place = Refusal::ALL.iter().position(|own| *own == error.refusal).unwrap_or(0);
    let mut bytes = vec![u8::try_from(place).unwrap_or(0)];
    bytes.extend(error.detail.as_bytes());
    bytes
}

pub(super) fn read_error(bytes: &[u8]) -> MediaError {
    let (place, text) = bytes.split_first().unwrap_or((&0, &[]));
    let refusal = Refusal::ALL.get(usize::from(*place)).copied().unwrap_or(Refusal::Reader);
    MediaError::new(refusal, String::from_utf8_lossy(text))
}
