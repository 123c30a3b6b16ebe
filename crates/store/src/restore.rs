//! Putting a backup in the place of what a store holds. Offline: the store's lock is taken.
//!
//! Nothing is destroyed and no step can be half done:
//!
//! | step | a crash behind it leaves |
//! |---|---|
//! | the backup, as a checkpoint above every revision there was, is written to `restoring-<n>/….new` and synced | the old store; the next start removes it |
//! | it gets its name in `restoring-<n>/` | a restore that the next start finishes |
//! | journal, checkpoints and index move to `before-restore-<n>/` | the same |
//! | the checkpoint moves to `checkpoint/`, `restoring-<n>/` goes | the restored store |

use crate::checkpoint::{self, Unusable};
use crate::disk::{Disk, RealDisk};
use crate::error::StoreError;
use crate::index::{self, Home, Index};
use crate::model::{Revision, Table};
use crate::report::Finding;
use crate::truth::{self, State};
use crate::verify::unreadable_record;
use crate::{journal, open};
use std::io;
use std::path::Path;

/// How the folder of a restore under way begins.
const RESTORING: &str = "restoring-";
/// How the folder of what was there before begins.
const BEFORE: &str = "before-restore-";

/// What a restore did, or with `dry_run` would do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Restored {
    /// Revision of the backup.
    pub backup: Revision,
    /// Last revision that was found in the store; 0 for a new one.
    pub before: Revision,
    /// Revision the store has now, above both.
    pub revision: Revision,
    /// Records of each table, before and in the backup.
    pub tables: Vec<(Table, usize, usize)>,
    /// Why not all records of before could be counted.
    pub before_unreadable: Option<String>,
    /// Folder inside the store's with what was there before; none for a new store, or when nothing was done.
    pub moved_to: Option<String>,
}

/// Verifies the whole of `backup` and puts it in the place of what the store at `path` holds.
///
/// # Errors
/// [`StoreError::Locked`] while a daemon runs; [`StoreError::BadBackup`], [`StoreError::NewerFormat`] or
/// [`StoreError::UnreadableRecord`] when the file is not one that can be restored here; [`StoreError::Io`]. Nothing changed then,
/// or the next start finishes it.
pub fn restore(path: &Path, backup: &Path, dry_run: bool) -> Result<Restored, StoreError> {
    let bytes = std::fs::read(backup).map_err(|source| StoreError::read(backup, source))?;
    let state = checked(&bytes, backup)?;
    let new = !path.exists();
    if dry_run && new {
        return Ok(plan(&state, None, 0));
    }
    let disk = RealDisk::new(path.to_owned());
    disk.create_dir("").map_err(|source| StoreError::io("make folder", path, source))?;
    let lock = if dry_run { open::lock_to_read(path)? } else { Some(open::lock(path)?) };
    let home = Home(Some(path.to_owned()));
    let restored = restore_on(&disk, &home, state, dry_run).map_err(|error| error.under(path));
    drop(lock);
    restored
}

/// What a backup is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Inspected {
    /// Its revision.
    pub revision: Revision,
    /// Records in it.
    pub records: usize,
}

/// Verifies the whole of a backup.
///
/// # Errors
/// As [`restore`].
pub fn inspect(backup: &Path) -> Result<Inspected, StoreError> {
    let bytes = std::fs::read(backup).map_err(|source| StoreError::read(backup, source))?;
    let state = decode(&bytes, backup)?;
    Ok(Inspected { revision: Revision(state.position.revision), records: state.records.len() })
}

/// The records of a backup, whole and of versions that this program knows.
fn checked(bytes: &[u8], file: &Path) -> Result<State, StoreError> {
    let state = decode(bytes, file)?;
    match state.records.iter().find_map(|(key, envelope)| unreadable_record(key, envelope)) {
        Some((record, reason)) => Err(StoreError::UnreadableRecord { file: file.to_owned(), record, reason }),
        None => Ok(state),
    }
}

fn decode(bytes: &[u8], file: &Path) -> Result<State, StoreError> {
    checkpoint::decode(bytes).map_err(|unusable| match unusable {
        Unusable::Newer(version) => StoreError::NewerFormat { file: file.display().to_string(), version },
        Unusable::Damaged => StoreError::BadBackup { file: file.to_owned() },
    })
}

pub(crate) fn restore_on(
    disk: &dyn Disk,
    home: &Home,
    state: State,
    dry_run: bool,
) -> Result<Restored, StoreError> {
    if !dry_run {
        finish(disk, home)?;
    }
    for dir in [journal::DIR, checkpoint::DIR] {
        if !dry_run {
            disk.create_dir(dir).map_err(|source| StoreError::io("make folder", dir, source))?;
        }
    }
    let history = truth::read(disk, None);
    // What the index alone still knows of must not be used again either.
    let indexed = if dry_run { 0 } else { Index::last_revision(home) };
    let mut restored = plan(&state, Some(history), indexed);
    if dry_run {
        return Ok(restored);
    }
    let failed = |source| StoreError::io("restore into", "", source);
    let State { records, mut position } = state;
    position.revision = restored.revision.0;
    let (number, moved) = place(disk, home, &State { position, records }).map_err(failed)?;
    restored.moved_to = moved.then(|| format!("{BEFORE}{number}"));
    Ok(restored)
}

fn plan(state: &State, before: Option<Result<truth::History, StoreError>>, indexed: u64) -> Restored {
    let backup = state.position.revision;
    let (mut reached, mut unreadable) = (indexed, None);
    let mut old = State::default();
    match before {
        None => {}
        Some(Ok(history)) => {
            let frames = history.journal.frames.iter().map(crate::frame::Frame::last).max();
            let own = history.state.position.revision.max(history.newest);
            reached = reached.max(own).max(frames.unwrap_or(0));
            old = history.state.clone();
            unreadable = history.whole().err().map(|error| error.to_string());
        }
        Some(Err(error)) => unreadable = Some(error.to_string()),
    }
    let count = |state: &State, table: Table| {
        state.records.keys().filter(|key| key.first() == Some(&table.byte())).count()
    };
    Restored {
        backup: Revision(backup),
        before: Revision(reached),
        revision: Revision(backup.max(reached).saturating_add(1)),
        tables: Table::ALL
            .into_iter()
            .map(|table| (table, count(&old, table), count(state, table)))
            .collect(),
        before_unreadable: unreadable,
        moved_to: None,
    }
}

fn number(name: &str) -> Option<u32> {
    name.strip_prefix(RESTORING).or_else(|| name.strip_prefix(BEFORE))?.parse().ok()
}

/// Answers the number it got, and whether anything was there to be moved.
fn place(disk: &dyn Disk, home: &Home, state: &State) -> io::Result<(u32, bool)> {
    let taken = disk.list_dirs("")?.iter().filter_map(|name| number(name)).max();
    let number = taken.map_or(1, |taken| taken.saturating_add(1));
    let dir = format!("{RESTORING}{number}");
    disk.create_dir(&dir)?;
    let name = checkpoint::name(state.position.revision).replace(checkpoint::DIR, &dir);
    let aside = format!("{name}.new");
    let written = checkpoint::write_aside(disk, &aside, state).and_then(|()| {
        disk.sync_dir("")?;
        disk.rename(&aside, &name)?;
        // From here on it is finished, now or at the next start.
        disk.sync_dir(&dir)
    });
    if let Err(error) = written {
        let _ = disk.remove_dir(&dir);
        return Err(error);
    }
    let moved = carry_out(disk, home, number)?;
    Ok((number, moved))
}

/// Finishes a restore that a crash interrupted, or removes one that was not ready.
pub(crate) fn finish(disk: &dyn Disk, home: &Home) -> Result<Vec<Finding>, StoreError> {
    let failed = |source| StoreError::io("finish the restore in", "", source);
    let mut findings = Vec::new();
    for dir in disk.list_dirs("").map_err(failed)? {
        let Some(number) = dir.strip_prefix(RESTORING).and_then(|number| number.parse().ok()) else {
            continue;
        };
        let ready = disk.list(&dir).map_err(failed)?.iter().any(|file| file.ends_with(".ckpt"));
        if ready {
            carry_out(disk, home, number).map_err(failed)?;
            findings.push(Finding::RestoreFinished { before: format!("{BEFORE}{number}") });
        } else {
            disk.remove_dir(&dir).map_err(failed)?;
            disk.sync_dir("").map_err(failed)?;
        }
    }
    Ok(findings)
}

/// Everything behind the point of no return; may be done again from any place in it.
fn carry_out(disk: &dyn Disk, home: &Home, number: u32) -> io::Result<bool> {
    let (from, to) = (format!("{RESTORING}{number}"), format!("{BEFORE}{number}"));
    let mut moved = false;
    for dir in [journal::DIR, checkpoint::DIR] {
        let target = format!("{to}/{dir}");
        disk.create_dir(dir)?;
        let files = disk.list(dir)?;
        if !files.is_empty() {
            disk.create_dir(&target)?;
            for file in &files {
                disk.rename(&format!("{dir}/{file}"), &format!("{target}/{file}"))?;
            }
            for made in [target.as_str(), to.as_str(), ""] {
                disk.sync_dir(made)?;
            }
            moved = true;
        }
        disk.sync_dir(dir)?;
    }
    index::move_away(home, &to)?;
    for file in disk.list(&from)?.iter().filter(|file| file.ends_with(".ckpt")) {
        disk.rename(&format!("{from}/{file}"), &format!("{}/{file}", checkpoint::DIR))?;
    }
    disk.sync_dir(checkpoint::DIR)?;
    disk.remove_dir(&from)?;
    disk.sync_dir("")?;
    Ok(moved)
}

#[cfg(test)]
mod tests;
