//! Room on the disk: what is set aside for the day it runs out, and what may be used at all.
//!
//! The `ballast` is a file of nothing that takes real room. When a write finds none, the ballast goes and what keeps a
//! promise ([`crate::Batch::essential`]) is committed in its place; everything else is refused until there is room for a new
//! one. The quota is a bound over everything in the store's folder; over it, the store behaves as on a full disk.
//!
//! ```text
//!            a write finds no room, ballast released                 even that is used up
//!   Plenty ───────────────────────────────────────────► Reserve ───────────────────────────► Nothing
//!     ▲ ◄── room for a ballast and as much again ───────────┘ ◄── a write succeeds ───────────┘ ▲
//!     └──────────────── a write fails for another reason; the disk takes one again ─────────────┘
//! ```

use crate::disk::{Disk, Usage};
use crate::report::Finding;
use std::io;

/// The file.
pub(crate) const BALLAST: &str = "ballast";
/// Where damaged files are kept.
pub(crate) const DAMAGED: &str = "damaged";
/// How folders of damaged indexes begin.
const BAD_INDEX: &str = "index.bad-";

/// What can be committed at the moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Room {
    /// Everything.
    Plenty,
    /// What keeps a promise: the ballast was released.
    Reserve {
        /// Why.
        reason: String,
    },
    /// Nothing.
    Nothing {
        /// Why.
        reason: String,
    },
}

impl Room {
    /// `plenty`, `reserve` or `nothing`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Room::Plenty => "plenty",
            Room::Reserve { .. } => "reserve",
            Room::Nothing { .. } => "nothing",
        }
    }

    /// Why it is not plenty.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Room::Plenty => None,
            Room::Reserve { reason } | Room::Nothing { reason } => Some(reason),
        }
    }
}

/// Bytes of the store's folder and its file system, as they were when last looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Space {
    /// Taken by everything in the folder, the ballast among it.
    pub used: u64,
    /// The most it may take.
    pub quota: u64,
    /// Free in the file system.
    pub free: u64,
    /// Held by the ballast now.
    pub ballast: u64,
    /// What the ballast is to hold; 0 where there is to be none.
    pub ballast_size: u64,
}

/// What the operator allows, and how much more than a ballast has to be free before one is made again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Allowance {
    pub(crate) ballast: u64,
    pub(crate) quota: u64,
    pub(crate) margin: u64,
}

/// True for the errors that mean there is no room.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Bytes the ballast holds.
pub(crate) fn held(disk: &dyn Disk) -> u64 {
    disk.len(BALLAST).ok().flatten().unwrap_or(0)
}

/// Makes the ballast; when it cannot have all its room, it takes none.
pub(crate) fn make(disk: &dyn Disk, bytes: u64) -> io::Result<()> {
    let made = disk.open(BALLAST, true).and_then(|mut file| {
        file.allocate(bytes)?;
        file.sync()?;
        disk.sync_dir("")
    });
    if made.is_err() {
        let _ = disk.remove(BALLAST);
    }
    made
}

/// Gives the room of the ballast back. Done when it returns `Ok`, also when there was none.
pub(crate) fn release(disk: &dyn Disk) -> io::Result<()> {
    match disk.remove(BALLAST) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        // There are file systems that need room to remove a name.
        Err(_) => {
            let mut file = disk.open(BALLAST, false)?;
            file.set_len(0)?;
            file.sync()?;
        }
    }
    disk.sync_dir("")
}

/// Removes what is kept for study only, except the newest of each kind.
pub(crate) fn shed(disk: &dyn Disk) -> io::Result<Vec<Finding>> {
    let mut removed = Vec::new();
    let mut indexes: Vec<(u32, String)> = disk
        .list_dirs("")?
        .into_iter()
        .filter_map(|name| Some((name.strip_prefix(BAD_INDEX)?.parse().ok()?, name)))
        .collect();
    indexes.sort_unstable();
    indexes.pop();
    for (_, name) in indexes {
        disk.remove_dir(&name)?;
        removed.push(Finding::Removed { name });
    }
    let mut damaged = disk.list(DAMAGED).unwrap_or_default();
    damaged.pop();
    for file in damaged {
        let name = format!("{DAMAGED}/{file}");
        disk.remove(&name)?;
        removed.push(Finding::Removed { name });
    }
    Ok(removed)
}

/// True where a ballast would be too large a part of the whole file system or of the quota.
pub(crate) fn is_tiny(usage: &Usage, allowance: &Allowance) -> bool {
    let whole = allowance.ballast.saturating_add(allowance.margin).saturating_mul(TINY_DISK_SHARE);
    usage.total < whole || allowance.quota < allowance.ballast.saturating_mul(TINY_DISK_SHARE)
}

/// A file system of less than this many ballasts and margins keeps none, nor does a quota of less than so many ballasts.
const TINY_DISK_SHARE: u64 = 4;
