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
    /// Number of batches, never 0.
    count: u32,
    /// The batches as they were written; [`decode`] has walked through all of them.
    payload: Vec<u8>,
}

/// One change as it lies in a payload.
struct RawChange<'a> {
    table: Table,
    key: &'a [u8],
    value: Option<&'a [u8]>,
}

/// The changes of a payload in order, with the revision of their batch.
struct Changes<'a> {
    reader: Reader<'a>,
    /// Batches not begun.
    batches: u32,
    /// Changes left in the current one.
    left: u32,
    /// Revision of the next one.
    next: u64,
}

impl<'a> Changes<'a> {
    fn new(payload: &'a [u8], first: u64, count: u32) -> Changes<'a> {
        Changes { reader: Reader(payload), batches: count, left: 0, next: first }
    }

    /// `Some(None)`: the end. `None`: it is not in the form of a payload.
    #[expect(clippy::option_option, reason = "a fault and the end are two things")]
    fn step(&mut self) -> Option<Option<(u64, RawChange<'a>)>> {
        while self.left == 0 {
            if self.batches == 0 {
                return self.reader.0.is_empty().then_some(None);
            }
            self.left = self.reader.u32()?;
            self.batches -= 1;
            self.next = self.next.saturating_add(1);
        }
        self.left -= 1;
        let change = decode_change(&mut self.reader)?;
        Some(Some((self.next.saturating_sub(1), change)))
    }
}

impl<'a> Iterator for Changes<'a> {
    type Item = (u64, RawChange<'a>);

    fn next(&mut self) -> Option<(u64, RawChange<'a>)> {
        self.step().flatten()
    }
}

impl Frame {
    /// Revision of the last batch.
    pub(crate) fn last(&self) -> u64 {
        self.first.saturating_add(u64::from(self.count)).saturating_sub(1)
    }

    fn changes(&self) -> Changes<'_> {
        Changes::new(&self.payload, self.first, self.count)
    }

    /// What it does to the records: key and new envelope, in order.
    pub(crate) fn effects(&self) -> impl Iterator<Item = (Vec<u8>, Option<Vec<u8>>)> + '_ {
        self.changes().map(|(revision, change)| {
            let key = full_key(change.table, change.key);
            let sealed = change.value.map(|value| envelope::seal(&key, revision, value));
            (key, sealed)
        })
    }

    /// The batches, as they were committed.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn batches(&self) -> Vec<Vec<Change>> {
        let mut batches = vec![Vec::new(); self.count as usize];
        for (revision, RawChange { table, key, value }) in self.changes() {
            let at = usize::try_from(revision - self.first).unwrap_or(usize::MAX);
            if let Some(batch) = batches.get_mut(at) {
                batch.push(Change { table, key: key.to_vec(), value: value.map(<[u8]>::to_vec) });
            }
        }
        batches
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
    let mut changes = Changes::new(payload, first, count);
    while changes.step()?.is_some() {}
    let payload = payload.to_vec();
    Some((Frame { chain, crc, first, digest, count, payload }, HEADER_BYTES + payload_len))
}

fn decode_change<'a>(reader: &mut Reader<'a>) -> Option<RawChange<'a>> {
    let table = Table::from_byte(reader.u8()?)?;
    let written = match reader.u8()? {
        0 => false,
        1 => true,
        _ => return None,
    };
    let key_len = usize::from(reader.u16()?);
    let value_len = reader.len32()?;
    let key = reader.take(key_len)?;
    let value = reader.take(value_len)?;
    // A removed record has no bytes.
    (written || value.is_empty()).then_some(RawChange { table, key, value: written.then_some(value) })
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
