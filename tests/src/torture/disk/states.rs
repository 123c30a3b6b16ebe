//! One of the states that the rules of [`disk`](super) allow, by the choices of a seed.

use super::super::Dice;
use super::{Effect, File, Folder, Inode, Naming, SECTOR};
use std::collections::{BTreeMap, HashMap};

/// Rule 3: the names of a folder.
pub(super) fn names(folder: &Folder, crash: usize, dice: &mut Dice) -> BTreeMap<String, Inode> {
    let begun: Vec<_> = folder.namings.iter().filter(|(span, _)| span.begun < crash).collect();
    let least = begun.iter().rposition(|(span, _)| span.covered(&folder.syncs, crash)).map_or(0, |at| at + 1);
    let kept = match dice.below(3) {
        0 => least,
        1 => begun.len(),
        _ => least + dice.place(begun.len() - least + 1),
    };
    let mut names = folder.base.clone();
    for (_, naming) in begun.into_iter().take(kept) {
        match naming {
            Naming::Made(name, inode) => {
                names.insert(name.clone(), *inode);
            }
            Naming::Removed(name) => {
                names.remove(name);
            }
            Naming::Renamed(old, inode, new) => {
                names.remove(old);
                names.insert(new.clone(), *inode);
            }
        }
    }
    names
}

/// Rules 1 and 2: the bytes of a file.
pub(super) fn content(file: &File, crash: usize, dice: &mut Dice) -> Vec<u8> {
    let mut bytes = file.base.clone();
    let mut pending = Vec::new();
    for (span, effect) in file.effects.iter().filter(|(span, _)| span.begun < crash) {
        if span.covered(&file.syncs, crash) {
            apply(&mut bytes, effect, |_| true);
        } else {
            pending.push(effect);
        }
    }
    let versions = pending.len();
    let mut lengths = vec![bytes.len()];
    for effect in &pending {
        let now = lengths.last().copied().unwrap_or(0);
        lengths.push(match effect {
            Effect::Write(at, new) => now.max(usize::try_from(*at).unwrap_or(0) + new.len()),
            Effect::Length(len) => usize::try_from(*len).unwrap_or(0),
            Effect::Reserve(len) => now.max(usize::try_from(*len).unwrap_or(0)),
        });
    }
    // Up to which operation each sector was written, and the length.
    let mut cuts: HashMap<u64, usize> = HashMap::new();
    let style = dice.below(4);
    let whole = match style {
        0 => 0,
        1 => versions,
        _ => dice.place(versions + 1),
    };
    let mut cut = |sector: u64, dice: &mut Dice| {
        *cuts.entry(sector).or_insert_with(|| match style {
            0 | 1 => whole,
            2 => (whole + dice.place(2)).min(versions),
            _ => dice.place(versions + 1),
        })
    };
    let len_cut = cut(u64::MAX, dice);
    for (version, effect) in pending.iter().enumerate() {
        apply(&mut bytes, effect, |sector| version < cut(sector, dice));
    }
    bytes.resize(lengths.get(len_cut).copied().unwrap_or(0), 0);
    bytes
}

/// Does an operation in those sectors that `takes` it.
fn apply(bytes: &mut Vec<u8>, effect: &Effect, mut takes: impl FnMut(u64) -> bool) {
    match effect {
        Effect::Write(at, new) => {
            let mut from = *at;
            let mut rest = new.as_slice();
            while !rest.is_empty() {
                let room = usize::try_from(SECTOR - from % SECTOR).unwrap_or(usize::MAX).min(rest.len());
                let (part, tail) = rest.split_at(room);
                if takes(from / SECTOR) {
                    let start = usize::try_from(from).unwrap_or(usize::MAX);
                    if bytes.len() < start + room {
                        bytes.resize(start + room, 0);
                    }
                    if let Some(place) = bytes.get_mut(start..start + room) {
                        place.copy_from_slice(part);
                    }
                }
                from += room as u64;
                rest = tail;
            }
        }
        Effect::Reserve(len) => {
            let len = usize::try_from(*len).unwrap_or(usize::MAX);
            bytes.resize(bytes.len().max(len), 0);
        }
        Effect::Length(len) => {
            let len = usize::try_from(*len).unwrap_or(usize::MAX);
            let end = bytes.len();
            let mut start = len;
            while start < end {
                let sector = start as u64 / SECTOR;
                let next = usize::try_from((sector + 1) * SECTOR).unwrap_or(end).min(end);
                if takes(sector)
                    && let Some(gone) = bytes.get_mut(start..next)
                {
                    gone.fill(0);
                }
                start = next;
            }
        }
    }
}
