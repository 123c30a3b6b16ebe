//! A disk in memory that tells written from durable and fails where it is told to.
//!
//! A crash keeps what was synced, and of everything since any part: whole writes, none, or some 512-byte sectors of one;
//! changes of names survive in order, up to any point. A sync that fails leaves its bytes readable and never writes them.

use super::{Disk, DiskFile};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

/// What an operation does instead of succeeding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// Fails once, with this error; a write gets half way.
    Once(io::ErrorKind),
    /// Fails, and everything after it.
    PowerOff,
}

#[derive(Clone, Debug)]
enum Dirty {
    Write(u64, Vec<u8>),
    Len(u64),
}

#[derive(Clone, Default, Debug)]
struct File {
    now: Vec<u8>,
    durable: Vec<u8>,
    dirty: Vec<Dirty>,
}

#[derive(Clone, Debug)]
enum NameChange {
    Set(String, u64),
    Rename(String, String),
    Remove(String),
}

#[derive(Default)]
struct World {
    files: BTreeMap<u64, File>,
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    name_changes: Vec<NameChange>,
    operations: u64,
    faults: BTreeMap<u64, Fault>,
    off: bool,
    /// Writes fail for want of room.
    full: bool,
}

/// The disk; clones are the same one.
#[derive(Clone, Default)]
pub(crate) struct MemoryDisk(Arc<Mutex<World>>);

/// Small repeatable randomness (xorshift64*).
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() >> 16).unwrap() % bound.max(1)
    }
}

fn write(bytes: &mut Vec<u8>, offset: u64, new: &[u8]) {
    let offset = usize::try_from(offset).unwrap();
    if bytes.len() < offset + new.len() {
        bytes.resize(offset + new.len(), 0);
    }
    bytes[offset..offset + new.len()].copy_from_slice(new);
}

fn play(bytes: &mut Vec<u8>, change: &Dirty) {
    match change {
        Dirty::Write(offset, new) => write(bytes, *offset, new),
        Dirty::Len(len) => bytes.resize(usize::try_from(*len).unwrap(), 0),
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

impl World {
    /// Counts an operation that changes something; `Err` when it is to fail.
    fn step(&mut self) -> io::Result<()> {
        self.operations += 1;
        match self.faults.get(&self.operations) {
            Some(Fault::PowerOff) => self.off = true,
            Some(Fault::Once(kind)) => return Err(io::Error::new(*kind, "injected")),
            None => {}
        }
        if self.off { Err(io::Error::other("power is off")) } else { Ok(()) }
    }

    fn id(&self, name: &str) -> io::Result<u64> {
        self.names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl MemoryDisk {
    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    /// Operations so far that could fail.
    pub(crate) fn operations(&self) -> u64 {
        self.world().operations
    }

    /// Lets the `number`-th changing operation from the beginning fail.
    pub(crate) fn fail(&self, number: u64, fault: Fault) {
        self.world().faults.insert(number, fault);
    }

    /// Leaves no room, or gives it back.
    pub(crate) fn set_full(&self, full: bool) {
        self.world().full = full;
    }

    /// Lets every operation hang until the answer is dropped.
    pub(crate) fn hang(&self) -> impl Sized + '_ {
        self.world()
    }

    /// The disk after a power cut.
    pub(crate) fn crash(&self, rng: &mut Rng) -> MemoryDisk {
        let world = self.world();
        let mut after = World { durable_names: world.durable_names.clone(), ..World::default() };
        let kept = rng.below(world.name_changes.len() + 1);
        for change in &world.name_changes[..kept] {
            play_name(&mut after.durable_names, change);
        }
        after.names = after.durable_names.clone();
        for (id, file) in &world.files {
            let mut bytes = file.durable.clone();
            for change in &file.dirty {
                match (rng.below(3), change) {
                    (0, _) => {}
                    (1, Dirty::Write(offset, new)) => {
                        for (at, sector) in (0..).step_by(512).zip(new.chunks(512)) {
                            match rng.below(3) {
                                0 => {}
                                1 => write(&mut bytes, offset + at, sector),
                                _ => write(&mut bytes, offset + at, &sector[..rng.below(sector.len() + 1)]),
                            }
                        }
                    }
                    _ => play(&mut bytes, change),
                }
            }
            after.files.insert(*id, File { now: bytes.clone(), durable: bytes, dirty: Vec::new() });
        }
        MemoryDisk(Arc::new(Mutex::new(after)))
    }

    /// The disk as another process finds it when this one dies.
    pub(crate) fn fork(&self) -> MemoryDisk {
        let world = self.world();
        MemoryDisk(Arc::new(Mutex::new(World {
            files: world.files.clone(),
            names: world.names.clone(),
            durable_names: world.durable_names.clone(),
            name_changes: world.name_changes.clone(),
            ..World::default()
        })))
    }

    /// Changes bytes behind everyone's back.
    pub(crate) fn edit(&self, name: &str, edit: impl FnOnce(&mut Vec<u8>)) {
        let mut world = self.world();
        let id = world.id(name).unwrap();
        let file = world.files.get_mut(&id).unwrap();
        edit(&mut file.now);
        file.durable = file.now.clone();
        file.dirty.clear();
    }

    /// All file names.
    pub(crate) fn names(&self) -> Vec<String> {
        self.world().names.keys().cloned().collect()
    }
}

impl Disk for MemoryDisk {
    fn create_dir(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let prefix = format!("{dir}/");
        Ok(self
            .world()
            .names
            .keys()
            .filter_map(|name| name.strip_prefix(&prefix))
            .map(str::to_owned)
            .collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let world = self.world();
        let id = world.id(name)?;
        Ok(world.files[&id].now.clone())
    }

    fn open(&self, name: &str, fresh: bool) -> io::Result<Box<dyn DiskFile>> {
        let mut world = self.world();
        world.step()?;
        let id = match (world.id(name), fresh) {
            (Ok(id), false) => id,
            (Ok(id), true) => {
                let file = world.files.get_mut(&id).unwrap();
                file.now.clear();
                file.dirty.push(Dirty::Len(0));
                id
            }
            (Err(error), false) => return Err(error),
            (Err(_), true) => {
                let id = world.files.len() as u64;
                world.files.insert(id, File::default());
                world.names.insert(name.to_owned(), id);
                world.name_changes.push(NameChange::Set(name.to_owned(), id));
                id
            }
        };
        Ok(Box::new(MemoryFile { disk: self.clone(), id }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut world = self.world();
        world.step()?;
        world.id(from)?;
        let change = NameChange::Rename(from.to_owned(), to.to_owned());
        play_name(&mut world.names, &change);
        world.name_changes.push(change);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut world = self.world();
        world.step()?;
        world.id(name)?;
        let change = NameChange::Remove(name.to_owned());
        play_name(&mut world.names, &change);
        world.name_changes.push(change);
        Ok(())
    }

    fn sync_dir(&self, _: &str) -> io::Result<()> {
        let mut world = self.world();
        world.step()?;
        for change in std::mem::take(&mut world.name_changes) {
            play_name(&mut world.durable_names, &change);
        }
        Ok(())
    }
}

struct MemoryFile {
    disk: MemoryDisk,
    id: u64,
}

impl DiskFile for MemoryFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut world = self.disk.world();
        let outcome = world.step();
        let full = world.full;
        let file = world.files.get_mut(&self.id).unwrap();
        let end = offset + bytes.len() as u64;
        let outcome = match outcome {
            Ok(()) if full && end > file.now.len() as u64 => Err(io::ErrorKind::StorageFull.into()),
            outcome => outcome,
        };
        let done = if outcome.is_ok() { bytes } else { &bytes[..bytes.len() / 2] };
        write(&mut file.now, offset, done);
        file.dirty.push(Dirty::Write(offset, done.to_vec()));
        outcome
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        let mut world = self.disk.world();
        world.step()?;
        let file = world.files.get_mut(&self.id).unwrap();
        play(&mut file.now, &Dirty::Len(len));
        file.dirty.push(Dirty::Len(len));
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut world = self.disk.world();
        let outcome = world.step();
        let off = world.off;
        let file = world.files.get_mut(&self.id).unwrap();
        if off {
            return outcome;
        }
        let dirty = std::mem::take(&mut file.dirty);
        if outcome.is_ok() {
            for change in dirty {
                play(&mut file.durable, &change);
            }
        }
        outcome
    }
}
