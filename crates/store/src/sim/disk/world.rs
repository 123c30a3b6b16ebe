//! The files and names behind a [`SimDisk`](super::SimDisk): what is written, what is durable, what is to fail.

use super::{Fault, Rng};
use std::collections::BTreeMap;
use std::io;

/// Bytes a disk writes as one.
const SECTOR_BYTES: usize = 512;

#[derive(Clone, Debug)]
pub(super) enum Dirty {
    Write(u64, Vec<u8>),
    Len(u64),
}

#[derive(Clone, Default, Debug)]
pub(super) struct File {
    pub(super) now: Vec<u8>,
    durable: Vec<u8>,
    dirty: Vec<Dirty>,
}

#[derive(Clone, Debug)]
pub(super) enum NameChange {
    Set(String, u64),
    Rename(String, String),
    Remove(String),
}

#[derive(Clone, Default)]
pub(super) struct World {
    files: BTreeMap<u64, File>,
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    name_changes: Vec<NameChange>,
    next_file: u64,
    pub(super) operations: u64,
    pub(super) faults: BTreeMap<u64, Fault>,
    pub(super) off: bool,
    /// Files cannot grow.
    pub(super) full: bool,
    /// Bytes of all files together.
    pub(super) capacity: Option<u64>,
}

fn usize_of(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn write(bytes: &mut Vec<u8>, offset: u64, new: &[u8]) {
    let offset = usize_of(offset);
    let end = offset.saturating_add(new.len());
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    if let Some(place) = bytes.get_mut(offset..end) {
        place.copy_from_slice(new);
    }
}

fn play(bytes: &mut Vec<u8>, change: &Dirty) {
    match change {
        Dirty::Write(offset, new) => write(bytes, *offset, new),
        Dirty::Len(len) => bytes.resize(usize_of(*len), 0),
    }
}

fn play_name(names: &mut BTreeMap<String, u64>, change: &NameChange) {
    match change {
        NameChange::Set(name, id) => drop(names.insert(name.clone(), *id)),
        NameChange::Rename(from, to) => {
            if let Some(id) = names.remove(from) {
                names.insert(to.clone(), id);
            }
        }
        NameChange::Remove(name) => drop(names.remove(name)),
    }
}

impl File {
    pub(super) fn change(&mut self, change: Dirty) {
        play(&mut self.now, &change);
        self.dirty.push(change);
    }

    /// Forgets what is not durable or makes it so; readable it stays either way.
    pub(super) fn sync(&mut self, success: bool) {
        for change in std::mem::take(&mut self.dirty) {
            if success {
                play(&mut self.durable, &change);
            }
        }
    }

    /// What a power cut leaves: the durable bytes and any part of the changes since.
    fn after_power_cut(&self, rng: &mut Rng) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        for change in &self.dirty {
            match (rng.below(3), change) {
                (0, _) => {}
                (1, Dirty::Write(offset, new)) => torn(&mut bytes, *offset, new, rng),
                _ => play(&mut bytes, change),
            }
        }
        bytes
    }
}

/// Some sectors of a write, some of them in part.
fn torn(bytes: &mut Vec<u8>, offset: u64, new: &[u8], rng: &mut Rng) {
    for (at, sector) in (offset..).step_by(SECTOR_BYTES).zip(new.chunks(SECTOR_BYTES)) {
        let kept = match rng.below(3) {
            0 => continue,
            1 => sector.len(),
            _ => rng.below(sector.len() + 1),
        };
        write(bytes, at, sector.get(..kept).unwrap_or_default());
    }
}

impl World {
    /// Counts an operation that changes something; `Err` when it is to fail.
    pub(super) fn step(&mut self) -> io::Result<()> {
        self.operations += 1;
        match self.faults.get(&self.operations) {
            Some(Fault::PowerOff) => self.off = true,
            Some(Fault::Once(kind)) => return Err(io::Error::new(*kind, "injected")),
            None => {}
        }
        if self.off { Err(io::Error::other("power is off")) } else { Ok(()) }
    }

    pub(super) fn id(&self, name: &str) -> io::Result<u64> {
        self.names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.names.keys()
    }

    /// The file behind a handle; `None` when it has no name any more, not even a durable one.
    pub(super) fn file_mut(&mut self, id: u64) -> Option<&mut File> {
        self.files.get_mut(&id)
    }

    pub(super) fn read(&self, name: &str) -> io::Result<&[u8]> {
        let id = self.id(name)?;
        Ok(self.files.get(&id).map_or(&[], |file| &file.now))
    }

    /// Bytes of all files that have a name.
    pub(super) fn used(&self) -> u64 {
        self.names.values().filter_map(|id| self.files.get(id)).map(|file| file.now.len() as u64).sum()
    }

    /// Whether a file may become `end` bytes long.
    pub(super) fn room_for(&self, id: u64, end: u64) -> io::Result<()> {
        if !self.full && self.capacity.is_none() {
            return Ok(());
        }
        let len = self.files.get(&id).map_or(0, |file| file.now.len() as u64);
        let more = end.saturating_sub(len);
        let fits = |capacity: u64| self.used().saturating_add(more) <= capacity;
        if more == 0 || (!self.full && self.capacity.is_none_or(fits)) {
            Ok(())
        } else {
            Err(io::ErrorKind::StorageFull.into())
        }
    }

    pub(super) fn make(&mut self, name: &str) -> u64 {
        self.next_file += 1;
        self.files.insert(self.next_file, File::default());
        self.change_name(NameChange::Set(name.to_owned(), self.next_file));
        self.next_file
    }

    pub(super) fn change_name(&mut self, change: NameChange) {
        play_name(&mut self.names, &change);
        self.name_changes.push(change);
    }

    pub(super) fn sync_names(&mut self) {
        for change in std::mem::take(&mut self.name_changes) {
            play_name(&mut self.durable_names, &change);
        }
        // Now both say the same; what neither names is gone.
        let named = &self.durable_names;
        self.files.retain(|id, _| named.values().any(|own| own == id));
    }

    pub(super) fn edit(&mut self, name: &str, edit: impl FnOnce(&mut Vec<u8>)) -> bool {
        let Some(file) = self.names.get(name).and_then(|id| self.files.get_mut(id)) else { return false };
        edit(&mut file.now);
        file.durable = file.now.clone();
        file.dirty.clear();
        true
    }

    pub(super) fn after_power_cut(&self, rng: &mut Rng) -> World {
        let mut names = self.durable_names.clone();
        for change in self.name_changes.iter().take(rng.below(self.name_changes.len() + 1)) {
            play_name(&mut names, change);
        }
        let files = self.files.iter().map(|(id, file)| {
            let bytes = file.after_power_cut(rng);
            (*id, File { now: bytes.clone(), durable: bytes, dirty: Vec::new() })
        });
        World {
            files: files.collect(),
            durable_names: names.clone(),
            names,
            next_file: self.next_file,
            capacity: self.capacity,
            full: self.full,
            ..World::default()
        }
    }

    pub(super) fn after_death(&self) -> World {
        World { operations: 0, faults: BTreeMap::new(), off: false, ..self.clone() }
    }
}
