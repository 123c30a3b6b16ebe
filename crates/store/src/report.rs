//! What was found on disk that is not as it should be, in words an operator can use.

use crate::model::Revision;
use std::fmt;
use std::time::Duration;

/// A place in a file whose bytes are not what was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Damage {
    /// The file, relative to the store's folder.
    pub(crate) file: String,
    /// Where it starts.
    pub(crate) offset: u64,
    /// Last revision before it.
    pub(crate) after: u64,
}

/// Something out of the ordinary that was dealt with. Nothing is ever repaired without one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Finding {
    /// The last write did not end: it was never acknowledged and was cut.
    TornTail {
        /// Segment file.
        segment: String,
        /// Where the whole frames end.
        offset: u64,
        /// Bytes cut.
        bytes: u64,
        /// Last whole revision.
        after: u64,
    },
    /// A segment that was being made when the process died; it holds nothing.
    UnbornSegment {
        /// Segment file.
        segment: String,
    },
    /// Bytes left over from a write that failed and was reported as failed.
    AbandonedTail {
        /// Segment file.
        segment: String,
        /// Where they start.
        offset: u64,
    },
    /// A checkpoint that does not add up; another base was used.
    DamagedCheckpoint {
        /// Checkpoint file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// A journal segment with unreadable bytes whose content stands elsewhere too.
    DamagedSegment {
        /// Segment file.
        file: String,
        /// Where.
        offset: u64,
    },
    /// A damaged file was moved out of the way.
    SetAside {
        /// The file.
        file: String,
        /// Where it is now.
        to: String,
    },
    /// The index was not usable and was made anew from checkpoint and journal.
    IndexRebuilt {
        /// What was wrong.
        reason: String,
        /// Where the old one is now, when there was one.
        set_aside: Option<String>,
    },
    /// No index can be kept on disk at the moment; records are served from memory.
    IndexInMemory {
        /// Why.
        reason: String,
    },
    /// The index failed and could not be made anew: nothing can be read or committed until the store is opened again.
    IndexLost {
        /// Why.
        reason: String,
    },
    /// Checkpoint and journal had lost acknowledged batches; they were taken back from the index.
    RestoredFromIndex {
        /// What checkpoint and journal reached.
        files: Revision,
        /// What the index had.
        index: Revision,
        /// The break, when it was in the middle.
        reason: String,
    },
    /// Acknowledged batches are gone; opening without them was asked for. What could be read stands.
    LossAccepted {
        /// What is lost.
        reason: String,
    },
    /// The disk is full: the ballast was released, and only what keeps a promise is committed.
    RoomLow {
        /// Why.
        reason: String,
    },
    /// There is room again and the ballast is whole: everything is committed.
    RoomBack,
    /// No ballast can be kept: on a full disk nothing at all can be committed.
    NoBallast {
        /// Why.
        reason: String,
    },
    /// Something kept for study was removed, because the store used up its quota.
    Removed {
        /// The file or folder.
        name: String,
    },
    /// The journal cannot be written; nothing is acknowledged until it can.
    JournalReadOnly {
        /// Why.
        reason: String,
    },
    /// A checkpoint could not be written; the journal grows until it can.
    CheckpointFailed {
        /// Why.
        reason: String,
    },
    /// Acknowledged batches cannot be read from checkpoint and journal.
    HistoryBroken {
        /// Where, and which revisions are at stake.
        reason: String,
    },
    /// A record that this program cannot read, although its bytes are what was committed.
    RecordUnreadable {
        /// Table and key.
        record: String,
        /// Why, with both versions when it is of a newer one.
        reason: String,
    },
    /// A restore that had been interrupted was finished.
    RestoreFinished {
        /// Where what was there before is.
        before: String,
    },
    /// `verify` found a record that differs between index and files.
    RecordDiffers {
        /// Table and key.
        record: String,
        /// What differs.
        reason: String,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::TornTail { segment, offset, bytes, after } => {
                write!(
                    f,
                    "cut {bytes} bytes of an unfinished write from {segment} at {offset}, after revision {after}"
                )
            }
            Finding::UnbornSegment { segment } => write!(f, "{segment} was being made and holds nothing"),
            Finding::AbandonedTail { segment, offset } => {
                write!(f, "{segment} has bytes of a failed write from {offset} on, which do not count")
            }
            Finding::DamagedCheckpoint { file, reason } => write!(f, "{file} is damaged: {reason}"),
            Finding::DamagedSegment { file, offset } => write!(f, "{file} is damaged at {offset}"),
            Finding::SetAside { file, to } => write!(f, "{file} was moved to {to}"),
            Finding::IndexRebuilt { reason, set_aside: None } => write!(f, "index made anew: {reason}"),
            Finding::IndexRebuilt { reason, set_aside: Some(to) } => {
                write!(f, "index made anew: {reason}; the old one is {to}")
            }
            Finding::IndexInMemory { reason } => write!(f, "index kept in memory only: {reason}"),
            Finding::IndexLost { reason } => write!(f, "index lost, open the store again: {reason}"),
            Finding::RestoredFromIndex { files, index, reason } => write!(
                f,
                "checkpoint and journal reach revision {files} only ({reason}); taken back from the index, which has {index}"
            ),
            Finding::LossAccepted { reason } => {
                write!(f, "opened with acknowledged batches missing: {reason}")
            }
            Finding::RoomLow { reason } => {
                write!(f, "the disk is full, only what was promised is committed, from the reserve: {reason}")
            }
            Finding::RoomBack => f.write_str("there is room again, everything is committed"),
            Finding::NoBallast { reason } => write!(f, "no ballast is kept for a full disk: {reason}"),
            Finding::Removed { name } => write!(f, "{name} was removed to stay below the quota"),
            Finding::JournalReadOnly { reason } => write!(f, "journal cannot be written: {reason}"),
            Finding::CheckpointFailed { reason } => write!(f, "checkpoint not written: {reason}"),
            Finding::HistoryBroken { reason } => f.write_str(reason),
            Finding::RecordUnreadable { record, reason } => write!(f, "{record} cannot be read: {reason}"),
            Finding::RestoreFinished { before } => {
                write!(f, "an interrupted restore was finished; what was there before is in {before}")
            }
            Finding::RecordDiffers { record, reason } => write!(f, "{record}: {reason}"),
        }
    }
}

impl Finding {
    /// What an operator does about it, one line.
    pub fn advice(&self) -> &'static str {
        match self {
            Finding::TornTail { .. } | Finding::UnbornSegment { .. } | Finding::AbandonedTail { .. } => {
                "nothing: it was never acknowledged, and is cut at the next start"
            }
            Finding::DamagedCheckpoint { .. } | Finding::DamagedSegment { .. } => {
                "look at the disk; `reveille store repair` replaces it from the other copy"
            }
            Finding::HistoryBroken { .. } => {
                "keep a copy of the folder; `reveille store repair` tries the index, else restore a backup"
            }
            Finding::SetAside { .. } => "look at the disk; remove the file when nobody needs it for study",
            Finding::IndexRebuilt { .. } | Finding::RestoredFromIndex { .. } => "look at the disk",
            Finding::IndexInMemory { .. } => "make room or see the cause, then restart the appliance",
            Finding::IndexLost { .. } => "restart the appliance",
            Finding::LossAccepted { .. } => "compare with the last backup what is missing",
            Finding::RoomLow { .. } => "make room; new machines get no address until then",
            Finding::RoomBack | Finding::Removed { .. } => "nothing",
            Finding::NoBallast { .. } => "give the store a larger disk, or set store.ballast to 0",
            Finding::JournalReadOnly { .. } => {
                "make room or replace the disk; nothing is acknowledged until then"
            }
            Finding::CheckpointFailed { .. } => "make room; it is tried again",
            Finding::RecordUnreadable { .. } => {
                "use the newer reveille that wrote it, or remove it with that one"
            }
            Finding::RestoreFinished { .. } => "remove that folder when nobody needs it",
            Finding::RecordDiffers { .. } => "restart the appliance: the index is made anew",
        }
    }
}

/// How the index was at start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IndexStart {
    /// There was nothing yet.
    New,
    /// It had every batch.
    Current,
    /// It lacked the last batches, as after a crash; they were replayed.
    CaughtUp,
    /// It was made anew.
    Rebuilt,
    /// It could not be kept on disk.
    InMemory,
}

/// What opening the store did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenReport {
    /// Last batch.
    pub revision: Revision,
    /// Records in all tables.
    pub records: usize,
    /// Checkpoint it started from.
    pub checkpoint: Option<Revision>,
    /// Journal frames read behind that checkpoint.
    pub frames: usize,
    /// Journal segments.
    pub segments: usize,
    /// State of the index.
    pub index: IndexStart,
    /// Everything out of the ordinary; empty after a clean end and after most crashes.
    pub findings: Vec<Finding>,
    /// How long it took.
    pub took: Duration,
}
