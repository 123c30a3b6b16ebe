//! A checkpoint: all records of one revision in one file, so that the journal before it can go.
//!
//! `checkpoint/<revision, 20 digits>.ckpt`, written as `….new`, synced, read back, renamed, and the folder synced. The two
//! newest are kept, with all segments since the older one: each is the other's second copy.
//!
//! | offset | bytes | field (big-endian) |
//! |---|---|---|
//! | 0 | 8 | magic `RVLCKPT` and a line feed |
//! | 8 | 4 | format version, 1 |
//! | 12 | 4 | chain: checksum of the last frame it contains |
//! | 16 | 8 | revision |
//! | 24 | 8 | digest of all records |
//! | 32 | 8 | number of records |
//! | 40 | .. | records by key: key length (2), envelope length (4), key with its table byte, envelope |
//! | end | 4 | CRC-32 over everything before |

use crate::disk::Disk;
use crate::journal;
use crate::limits::CHECKPOINTS_KEPT;
use crate::truth::{Position, State};
use crate::wire::{Reader, crc32, len32};
use std::io;

/// The folder.
pub(crate) const DIR: &str = "checkpoint";
const MAGIC: [u8; 8] = *b"RVLCKPT\n";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 40;
const CHUNK_BYTES: usize = 1 << 20;

pub(crate) fn name(revision: u64) -> String {
    format!("{DIR}/{revision:020}.ckpt")
}

/// Checkpoints, newest first: revision and name.
pub(crate) fn list(disk: &dyn Disk) -> io::Result<Vec<(u64, String)>> {
    let mut found: Vec<(u64, String)> = disk
        .list(DIR)?
        .into_iter()
        .filter_map(|file| {
            let revision = file.strip_suffix(".ckpt").filter(|digits| digits.len() == 20)?.parse().ok()?;
            Some((revision, format!("{DIR}/{file}")))
        })
        .collect();
    found.sort_unstable_by(|one, other| other.cmp(one));
    Ok(found)
}

/// Removes what a crash left half written.
pub(crate) fn remove_unfinished(disk: &dyn Disk) -> io::Result<()> {
    for file in disk.list(DIR)?.iter().filter(|file| file.ends_with(".new")) {
        disk.remove(&format!("{DIR}/{file}"))?;
    }
    Ok(())
}

/// Writes a checkpoint and proves it by reading it back. Until the rename nothing that existed has changed.
pub(crate) fn write(disk: &dyn Disk, state: &State) -> io::Result<()> {
    let name = name(state.position.revision);
    let aside = format!("{name}.new");
    let outcome = write_aside(disk, &aside, state).and_then(|()| {
        disk.rename(&aside, &name)?;
        disk.sync_dir(DIR)
    });
    if outcome.is_err() {
        // Best effort: a full disk should get its room back.
        let _ = disk.remove(&aside);
    }
    outcome
}

/// A checkpoint's bytes, piece by piece: also what a backup consists of.
pub(crate) struct Encoder {
    records: std::collections::btree_map::IntoIter<Vec<u8>, Vec<u8>>,
    hasher: crc32fast::Hasher,
    piece: Vec<u8>,
    piece_bytes: usize,
    done: bool,
}

impl Encoder {
    /// Pieces of about `piece_bytes` bytes each.
    pub(crate) fn new(state: State, piece_bytes: usize) -> Encoder {
        let mut piece = Vec::with_capacity(HEADER_BYTES);
        piece.extend_from_slice(&MAGIC);
        piece.extend_from_slice(&VERSION.to_be_bytes());
        piece.extend_from_slice(&state.position.chain.to_be_bytes());
        piece.extend_from_slice(&state.position.revision.to_be_bytes());
        piece.extend_from_slice(&state.position.digest.to_be_bytes());
        piece.extend_from_slice(&(state.records.len() as u64).to_be_bytes());
        let hasher = crc32fast::Hasher::new();
        Encoder { records: state.records.into_iter(), hasher, piece, piece_bytes, done: false }
    }

    /// Bytes of the whole.
    pub(crate) fn len(state: &State) -> u64 {
        let records = state.records.iter().map(|(key, envelope)| (6 + key.len() + envelope.len()) as u64);
        HEADER_BYTES as u64 + records.sum::<u64>() + 4
    }
}

impl Iterator for Encoder {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        if self.done {
            return None;
        }
        while self.piece.len() < self.piece_bytes {
            let Some((key, envelope)) = self.records.next() else {
                self.done = true;
                break;
            };
            let key_len = u16::try_from(key.len()).expect("keys are limited before they are stored");
            self.piece.extend_from_slice(&key_len.to_be_bytes());
            self.piece.extend_from_slice(&len32(envelope.len()));
            self.piece.extend_from_slice(&key);
            self.piece.extend_from_slice(&envelope);
        }
        self.hasher.update(&self.piece);
        if self.done {
            self.piece.extend_from_slice(&self.hasher.clone().finalize().to_be_bytes());
        }
        Some(std::mem::take(&mut self.piece))
    }
}

/// Writes a checkpoint to any name, syncs it and proves it by reading it back.
pub(crate) fn write_aside(disk: &dyn Disk, aside: &str, state: &State) -> io::Result<()> {
    let mut file = disk.open(aside, true)?;
    let mut offset = 0;
    for piece in Encoder::new(state.clone(), CHUNK_BYTES) {
        file.write_at(offset, &piece)?;
        offset += piece.len() as u64;
    }
    file.sync()?;
    drop(file);
    match read(disk, aside)? {
        Ok(back) if back.position == state.position && back.records.len() == state.records.len() => Ok(()),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the checkpoint reads back differently from what was written",
        )),
    }
}

/// Why a checkpoint cannot be used.
#[derive(Debug)]
pub(crate) enum Unusable {
    /// Its bytes are not what was written.
    Damaged,
    /// It is of a format this program does not know.
    Newer(u32),
}

/// Reads a checkpoint whole.
pub(crate) fn read(disk: &dyn Disk, name: &str) -> io::Result<Result<State, Unusable>> {
    disk.read(name).map(|bytes| decode(&bytes))
}

/// Reads the bytes of a checkpoint.
pub(crate) fn decode(bytes: &[u8]) -> Result<State, Unusable> {
    let (body, crc) = bytes.split_last_chunk::<4>().ok_or(Unusable::Damaged)?;
    if u32::from_be_bytes(*crc) != crc32(&[body]) {
        return Err(Unusable::Damaged);
    }
    let mut reader = Reader(body);
    let fields = (|| {
        Some((
            reader.array::<8>()?,
            reader.u32()?,
            reader.u32()?,
            reader.u64()?,
            reader.u64()?,
            reader.u64()?,
        ))
    })();
    let (magic, version, chain, revision, digest, count) = fields.ok_or(Unusable::Damaged)?;
    if magic != MAGIC {
        return Err(Unusable::Damaged);
    }
    if version != VERSION {
        return Err(Unusable::Newer(version));
    }
    let mut state = State::default();
    for _ in 0..count {
        let record = (|| {
            let key_len = usize::from(reader.u16()?);
            let envelope_len = reader.len32()?;
            Some((reader.take(key_len)?, reader.take(envelope_len)?))
        })();
        let (key, envelope) = record.ok_or(Unusable::Damaged)?;
        if !state.load(key.to_vec(), envelope.to_vec()) {
            return Err(Unusable::Damaged);
        }
    }
    if !reader.0.is_empty() || state.position.digest != digest {
        return Err(Unusable::Damaged);
    }
    state.position = Position { revision, chain, digest };
    Ok(state)
}

/// Removes checkpoints beyond the newest two, and the journal before the older of these.
pub(crate) fn clean(disk: &dyn Disk) -> io::Result<()> {
    let all = list(disk)?;
    for (_, name) in all.iter().skip(CHECKPOINTS_KEPT) {
        disk.remove(name)?;
    }
    if all.len() > CHECKPOINTS_KEPT {
        disk.sync_dir(DIR)?;
    }
    if let Some((oldest, _)) = all.get(..CHECKPOINTS_KEPT).and_then(<[_]>::last) {
        journal::remove_before(disk, oldest + 1)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
