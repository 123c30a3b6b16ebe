//! One frame of the journal: the batches that became durable together.
//!
//! | offset | bytes | field (big-endian) |
//! |---|---|---|
//! | 0 | 4 | magic `RVJF` |
//! | 4 | 4 | length of the payload |
//! | 8 | 4 | chain: checksum of the frame before, 0 before the first |
//! | 12 | 8 | revision of the first batch; the others count up |
//! | 20 | 4 | number of batches, 1.. |
//! | 24 | 8 | digest of all records after this frame |
//! | 32 | 4 | CRC-32 over bytes 0..32 and the payload |
//! | 36 | .. | payload |
//!
//! Payload, for each batch: number of changes (4), then each change: table (1), 0 = removed or 1 = written (1), key length
//! (2), value length (4), key, value.

use crate::envelope;
use crate::limits::FRAME_BYTES_MAX;
use crate::model::{Change, Table, full_key};
use crate::wire::{Reader, crc32, len32};

/// How a frame begins.
pub(crate) const MAGIC: [u8; 4] = *b"RVJF";
pub(crate) const SUMMED_BYTES: usize = 32;
pub(crate) const HEADER_BYTES: usize = 36;

/// A whole frame, as it was read.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// Checksum of the frame before.
    pub(crate) chain: u32,
    /// Own checksum.
    pub(crate) crc: u32,
    /// Revision of the first batch.
    pub(crate) first: u64,
    /// Digest of all records after it.
    pub(crate) digest: u64,
    /// The batches, never empty.
    pub(crate) batches: Vec<Vec<Change>>,
}

impl Frame {
    /// Revision of the last batch.
    pub(crate) fn last(&self) -> u64 {
        self.first.saturating_add(self.batches.len() as u64).saturating_sub(1)
    }

    /// What it does to the records: key and new envelope, in order.
    pub(crate) fn effects(&self) -> impl Iterator<Item = (Vec<u8>, Option<Vec<u8>>)> + '_ {
        (self.first..).zip(&self.batches).flat_map(|(revision, changes)| {
            changes.iter().map(move |change| {
                let key = full_key(change.table, &change.key);
                let sealed = change.value.as_ref().map(|value| envelope::seal(&key, revision, value));
                (key, sealed)
            })
        })
    }
}

/// Writes a frame; answers its bytes and its checksum.
pub(crate) fn encode<'a>(
    chain: u32,
    first: u64,
    digest: u64,
    batches: impl ExactSizeIterator<Item = &'a [Change]>,
) -> (Vec<u8>, u32) {
    let count = len32(batches.len());
    let mut payload = Vec::new();
    for changes in batches {
        payload.extend_from_slice(&len32(changes.len()));
        for change in changes {
            let value = change.value.as_deref();
            let key_len = u16::try_from(change.key.len()).expect("keys are limited before encoding");
            payload.extend_from_slice(&[change.table.byte(), u8::from(value.is_some())]);
            payload.extend_from_slice(&key_len.to_be_bytes());
            payload.extend_from_slice(&len32(value.map_or(0, <[u8]>::len)));
            payload.extend_from_slice(&change.key);
            payload.extend_from_slice(value.unwrap_or_default());
        }
    }
    let mut bytes = Vec::with_capacity(HEADER_BYTES + payload.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&len32(payload.len()));
    bytes.extend_from_slice(&chain.to_be_bytes());
    bytes.extend_from_slice(&first.to_be_bytes());
    bytes.extend_from_slice(&count);
    bytes.extend_from_slice(&digest.to_be_bytes());
    let crc = crc32(&[&bytes, &payload]);
    bytes.extend_from_slice(&crc.to_be_bytes());
    bytes.extend_from_slice(&payload);
    (bytes, crc)
}

/// Reads the frame at the start of `bytes`; answers it and its length. `None`: there is no whole frame.
pub(crate) fn decode(bytes: &[u8]) -> Option<(Frame, usize)> {
    let mut reader = Reader(bytes);
    let header = reader.take(SUMMED_BYTES)?;
    let crc = reader.u32()?;
    let mut fields = Reader(header);
    if fields.array::<4>()? != MAGIC {
        return None;
    }
    let payload_len = fields.len32().filter(|len| *len <= FRAME_BYTES_MAX)?;
    let (chain, first, count, digest) = (fields.u32()?, fields.u64()?, fields.u32()?, fields.u64()?);
    let payload = reader.take(payload_len)?;
    // Revisions count up: a frame cannot begin where they would run out.
    let ends = first.checked_add(u64::from(count) + 1).is_some();
    if crc != crc32(&[header, payload]) || first == 0 || count == 0 || !ends {
        return None;
    }
    let mut reader = Reader(payload);
    let mut batches = Vec::new();
    for _ in 0..count {
        let changes = reader.u32()?;
        batches.push((0..changes).map(|_| decode_change(&mut reader)).collect::<Option<Vec<_>>>()?);
    }
    reader.0.is_empty().then_some((Frame { chain, crc, first, digest, batches }, HEADER_BYTES + payload_len))
}

fn decode_change(reader: &mut Reader<'_>) -> Option<Change> {
    let table = Table::from_byte(reader.u8()?)?;
    let written = match reader.u8()? {
        0 => false,
        1 => true,
        _ => return None,
    };
    let key_len = usize::from(reader.u16()?);
    let value_len = reader.len32()?;
    let key = reader.take(key_len)?.to_vec();
    let value = reader.take(value_len)?;
    // A removed record has no bytes.
    (written || value.is_empty()).then(|| Change { table, key, value: written.then(|| value.to_vec()) })
}

/// Looks for a whole frame of a later revision than `after`, from `start` on: what tells damage from a torn tail.
pub(crate) fn find(bytes: &[u8], start: usize, after: u64) -> Option<usize> {
    let rest = bytes.get(start..)?;
    rest.windows(MAGIC.len())
        .enumerate()
        .filter(|(_, window)| *window == MAGIC)
        .map(|(at, _)| start + at)
        .find(|at| bytes.get(*at..).and_then(decode).is_some_and(|(frame, _)| frame.first > after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u64) -> Vec<u8> {
        let change = Change { table: Table::Meta, key: b"k".to_vec(), value: Some(b"v".to_vec()) };
        encode(7, first, 9, [vec![change.clone()], vec![change]].iter().map(Vec::as_slice)).0
    }

    /// With the checksum made to fit.
    fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
        let crc = crc32(&[&bytes[..SUMMED_BYTES], &bytes[HEADER_BYTES..]]);
        bytes[SUMMED_BYTES..HEADER_BYTES].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    #[test]
    fn a_frame_whose_revisions_run_out_is_none() {
        for (first, sound) in [(1, true), (u64::MAX - 3, true), (u64::MAX - 2, false), (u64::MAX, false)] {
            let decoded = decode(&frame(first));
            assert_eq!(decoded.is_some(), sound, "{first}");
            if let Some((frame, _)) = decoded {
                assert_eq!((frame.last(), frame.effects().count()), (first + 1, 2));
            }
        }
    }

    #[test]
    fn a_change_is_written_or_removed_and_nothing_else() {
        let mut odd = frame(1);
        // Behind the number of changes and the table.
        odd[HEADER_BYTES + 5] = 2;
        assert!(decode(&sealed(odd.clone())).is_none());
        odd[HEADER_BYTES + 5] = 0;
        assert!(decode(&sealed(odd)).is_none(), "removed, and yet with bytes");
        assert!(decode(&frame(1)).is_some());
    }
}
