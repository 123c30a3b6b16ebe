//! What surrounds every record in the index and in a checkpoint: a version, its revision, a checksum.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 1 | envelope version, 1 |
//! | 1 | 8 | revision, big-endian |
//! | 9 | 4 | CRC-32 over table byte, key, version, revision and value, big-endian |
//! | 13 | .. | value |

use crate::model::{Revision, Stored};
use crate::wire::{Reader, crc32};

/// Version written.
const VERSION: u8 = 1;
/// Bytes before the value.
const HEADER_BYTES: usize = 13;

/// Wraps a value.
pub(crate) fn seal(full_key: &[u8], revision: u64, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + value.len());
    bytes.push(VERSION);
    bytes.extend_from_slice(&revision.to_be_bytes());
    let crc = crc32(&[full_key, &[VERSION], &revision.to_be_bytes(), value]);
    bytes.extend_from_slice(&crc.to_be_bytes());
    bytes.extend_from_slice(value);
    bytes
}

/// Unwraps a value; `None` when anything about it is wrong.
pub(crate) fn open(full_key: &[u8], envelope: &[u8]) -> Option<Stored> {
    let (revision, value) = checked(full_key, envelope)?;
    Some(Stored { revision: Revision(revision), value: value.to_vec() })
}

/// The revision of a sound envelope.
pub(crate) fn revision(full_key: &[u8], envelope: &[u8]) -> Option<u64> {
    checked(full_key, envelope).map(|(revision, _)| revision)
}

/// The value of an envelope that is known to be sound.
pub(crate) fn value(envelope: &[u8]) -> &[u8] {
    envelope.get(HEADER_BYTES..).unwrap_or_default()
}

fn checked<'a>(full_key: &[u8], envelope: &'a [u8]) -> Option<(u64, &'a [u8])> {
    let mut reader = Reader(envelope);
    let version = reader.u8().filter(|version| *version == VERSION)?;
    let revision = reader.u64()?;
    let crc = reader.u32()?;
    let value = reader.0;
    (crc == crc32(&[full_key, &[version], &revision.to_be_bytes(), value])).then_some((revision, value))
}

/// What a record adds to the digest of the whole set: its checksum and revision, mixed. The digest is the wrapping sum
/// over all records, so it is kept by adding the new and subtracting the old, and does not depend on order.
pub(crate) fn digest(envelope: &[u8]) -> u64 {
    let mut reader = Reader(envelope);
    let fields = reader.u8().and_then(|_| Some((reader.u64()?, reader.u32()?)));
    let (revision, crc) = fields.unwrap_or_default();
    mix(mix(revision) ^ u64::from(crc))
}

/// The finisher of SplitMix64 (Steele, Lea and Flood 2014): every input bit reaches every output bit.
fn mix(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_is_seen() {
        let sealed = seal(b"\x04key", 7, b"value");
        assert_eq!(open(b"\x04key", &sealed).unwrap().value, b"value");
        assert!(open(b"\x04kez", &sealed).is_none(), "a record under another key is not that record");
        for bit in 0..sealed.len() * 8 {
            let mut damaged = sealed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(open(b"\x04key", &damaged).is_none(), "bit {bit}");
        }
        for len in 0..sealed.len() {
            assert!(open(b"\x04key", &sealed[..len]).is_none(), "cut to {len}");
        }
    }
}
