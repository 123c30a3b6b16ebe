//! A disk in memory that tells written from durable and fails where it is told to.

use crate::disk::{Disk, DiskFile, Usage};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use world::{Dirty, NameChange, World};

mod world;

/// What an operation does instead of succeeding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Fails once, with this error; a write gets half way. A sync that fails leaves its bytes readable and never writes
    /// them, as Linux does.
    Once(io::ErrorKind),
    /// Fails, and everything after it.
    PowerOff,
}

/// Small repeatable randomness (xorshift64*).
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The sequence of this seed; any number will do.
    pub fn new(seed: u64) -> Rng {
        // Neighbouring seeds shall not begin alike, and the state is never 0.
        Rng(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `bound`, 0 when that is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16;
        usize::try_from(drawn).unwrap_or(usize::MAX) % bound.max(1)
    }
}

/// The disk; clones are the same one.
///
/// Operations that change something are counted from 1: opening a file for writing, writing, cutting, allocating, syncing,
/// renaming, removing, syncing a folder. Reads and listings never fail and are not counted.
#[derive(Clone, Default)]
pub struct SimDisk(Arc<Mutex<World>>);

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let world = self.world();
        f.debug_struct("SimDisk").field("operations", &world.operations).finish_non_exhaustive()
    }
}

impl SimDisk {
    /// An empty disk.
    pub fn new() -> SimDisk {
        SimDisk::default()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changing operations so far.
    pub fn operations(&self) -> u64 {
        self.world().operations
    }

    /// Lets the `number`-th changing operation from the beginning fail.
    pub fn fail(&self, number: u64, fault: Fault) {
        self.world().faults.insert(number, fault);
    }

    /// Leaves no room at all for files to grow, or gives it back.
    pub fn set_full(&self, full: bool) {
        self.world().full = full;
    }

    /// Bounds the bytes of all files together; what would go over fails for want of room, a write half way.
    pub fn set_capacity(&self, bytes: u64) {
        self.world().capacity = Some(bytes);
    }

    /// The disk after a power cut: what was synced, and of everything since any part a disk may have written: whole writes,
    /// none, or some 512-byte sectors of one, torn or not; changes of names in order, up to any point. This disk stays as it
    /// is. The new one counts its operations from 1 and has no faults; its room is the same.
    #[must_use]
    pub fn crash(&self, rng: &mut Rng) -> SimDisk {
        SimDisk(Arc::new(Mutex::new(self.world().after_power_cut(rng))))
    }

    /// The disk as the next process finds it when this one dies: every byte written is there, none more durable than it was.
    /// The new one counts its operations from 1 and has no faults; its room is the same.
    #[must_use]
    pub fn fork(&self) -> SimDisk {
        SimDisk(Arc::new(Mutex::new(self.world().after_death())))
    }

    /// Changes bytes of a file behind everyone's back, durably; false when there is no such file.
    pub fn edit(&self, name: &str, edit: impl FnOnce(&mut Vec<u8>)) -> bool {
        self.world().edit(name, edit)
    }

    /// Names of all files, sorted.
    pub fn names(&self) -> Vec<String> {
        self.world().names().cloned().collect()
    }

    /// Lets every operation hang until the answer is dropped.
    #[cfg(test)]
    pub(crate) fn hang(&self) -> impl Sized + '_ {
        self.world()
    }
}

impl Disk for SimDisk {
    fn create_dir(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let world = self.world();
        let own = |name: &String| Some(name.strip_prefix(dir)?.strip_prefix('/')?.to_owned());
        Ok(world.names().filter_map(own).collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.world().read(name).map(<[u8]>::to_vec)
    }

    fn open(&self, name: &str, fresh: bool) -> io::Result<Box<dyn DiskFile>> {
        let mut world = self.world();
        world.step()?;
        let id = match (world.id(name), fresh) {
            (Ok(id), false) => id,
            (Ok(id), true) => {
                world.file_mut(id).into_iter().for_each(|file| file.change(Dirty::Len(0)));
                id
            }
            (Err(error), false) => return Err(error),
            (Err(_), true) => world.make(name),
        };
        Ok(Box::new(SimFile { disk: self.clone(), id }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut world = self.world();
        world.step()?;
        world.id(from)?;
        world.change_name(NameChange::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut world = self.world();
        world.step()?;
        world.id(name)?;
        world.change_name(NameChange::Remove(name.to_owned()));
        Ok(())
    }

    fn sync_dir(&self, _: &str) -> io::Result<()> {
        let mut world = self.world();
        world.step()?;
        world.sync_names();
        Ok(())
    }

    fn len(&self, name: &str) -> io::Result<Option<u64>> {
        Ok(self.world().read(name).ok().map(|bytes| bytes.len() as u64))
    }

    fn list_dirs(&self, dir: &str) -> io::Result<Vec<String>> {
        let world = self.world();
        let below = |name: &String| {
            let own = if dir.is_empty() { name } else { name.strip_prefix(dir)?.strip_prefix('/')? };
            own.split_once('/').map(|(first, _)| first.to_owned())
        };
        let mut names: Vec<String> = world.names().filter_map(below).collect();
        names.dedup();
        Ok(names)
    }

    fn remove_dir(&self, dir: &str) -> io::Result<()> {
        let mut world = self.world();
        world.step()?;
        let inside = |name: &&String| name.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'));
        let names: Vec<String> = world.names().filter(inside).cloned().collect();
        names.into_iter().for_each(|name| world.change_name(NameChange::Remove(name)));
        Ok(())
    }

    fn usage(&self) -> io::Result<Usage> {
        let world = self.world();
        let used = world.used();
        let total = world.capacity.unwrap_or(u64::MAX);
        let free = if world.full { 0 } else { total.saturating_sub(used) };
        Ok(Usage { used, free, total })
    }
}

struct SimFile {
    disk: SimDisk,
    id: u64,
}

impl DiskFile for SimFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut world = self.disk.world();
        let end = offset.saturating_add(bytes.len() as u64);
        let outcome = world.step().and_then(|()| world.room_for(self.id, end));
        let Some(file) = world.file_mut(self.id) else { return outcome };
        let done = if outcome.is_ok() { bytes.len() } else { bytes.len() / 2 };
        file.change(Dirty::Write(offset, bytes.get(..done).unwrap_or_default().to_vec()));
        outcome
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        let mut world = self.disk.world();
        world.step()?;
        world.file_mut(self.id).into_iter().for_each(|file| file.change(Dirty::Len(len)));
        Ok(())
    }

    fn allocate(&mut self, len: u64) -> io::Result<()> {
        let mut world = self.disk.world();
        world.step()?;
        world.room_for(self.id, len)?;
        world.file_mut(self.id).into_iter().for_each(|file| file.change(Dirty::Len(len)));
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut world = self.disk.world();
        let outcome = world.step();
        if !world.off {
            world.file_mut(self.id).into_iter().for_each(|file| file.sync(outcome.is_ok()));
        }
        outcome
    }
}
