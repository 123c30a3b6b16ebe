//! Backups: a checkpoint of one revision in a file of the operator's.

use crate::checkpoint::Encoder;
use crate::model::Revision;
use crate::truth::State;
use std::fmt;

/// Bytes of a piece: what a connection takes at once.
const PIECE_BYTES: usize = 256 << 10;

/// All records of one revision as the bytes of a checkpoint, in pieces; written one after the other they are what
/// [`crate::restore::restore`] reads. The last piece ends with a checksum over everything before.
pub struct Backup {
    /// The revision it is of.
    pub revision: Revision,
    /// Records in it.
    pub records: usize,
    /// Bytes of all pieces together.
    pub bytes: u64,
    pieces: Encoder,
}

impl Backup {
    pub(crate) fn new(state: State) -> Backup {
        Backup {
            revision: Revision(state.position.revision),
            records: state.records.len(),
            bytes: Encoder::len(&state),
            pieces: Encoder::new(state, PIECE_BYTES),
        }
    }
}

impl fmt::Debug for Backup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Backup { revision, records, bytes, .. } = self;
        f.debug_struct("Backup")
            .field("revision", revision)
            .field("records", records)
            .field("bytes", bytes)
            .finish_non_exhaustive()
    }
}

impl Iterator for Backup {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        self.pieces.next()
    }
}
