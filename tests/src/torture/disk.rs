//! What a disk may hold after the power went: recorded operations in, every state the rules allow out.
//!
//! Rules, each with a test:
//! 1. Bytes of a write that ended before an `fsync` or `fdatasync` of its file began are there once that one has ended.
//!    Nothing else makes bytes durable: not `sync_file_range`, not `close`, not time.
//! 2. Each 512-byte sector of a file holds what any of its writes since then left in it, whatever the others hold. The length
//!    of the file is any it had since then; what was never written reads as zeros.
//! 3. Names of a folder (made, renamed, removed) stand as after any number of its operations, and no fewer than had ended
//!    before its last `fsync` began. A rename is there whole or not at all.
//! 4. What had not begun is not there.

use super::Dice;
use super::syscalls::Call;
use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

mod states;

/// What a disk writes whole.
pub const SECTOR: u64 = 512;

type Inode = usize;

/// Where an operation began and ended in the order of the trace.
#[derive(Clone, Copy, Debug)]
struct Span {
    begun: usize,
    done: usize,
}

impl Span {
    fn covered(self, syncs: &[Span], crash: usize) -> bool {
        syncs.iter().any(|sync| sync.done < crash && self.done < sync.begun)
    }
}

#[derive(Clone, Debug)]
enum Effect {
    Write(u64, Vec<u8>),
    Length(u64),
    /// At least this long; no byte changes.
    Reserve(u64),
}

#[derive(Clone, Debug, Default)]
struct File {
    base: Vec<u8>,
    effects: Vec<(Span, Effect)>,
    syncs: Vec<Span>,
}

/// An operation on the names of a folder.
#[derive(Clone, Debug)]
enum Naming {
    Made(String, Inode),
    Removed(String),
    Renamed(String, Inode, String),
}

#[derive(Clone, Debug, Default)]
struct Folder {
    base: BTreeMap<String, Inode>,
    namings: Vec<(Span, Naming)>,
    syncs: Vec<Span>,
    /// As the program sees it.
    now: BTreeMap<String, Inode>,
}

#[derive(Clone, Debug)]
enum Node {
    File(File),
    Folder(Folder),
}

/// All operations of one run below one folder.
pub struct Recording {
    nodes: Vec<Node>,
    /// Numbers the program wrote, and where the write began.
    acked: Vec<(usize, u64)>,
    /// What it found on disk when it began: that was there already.
    found: Option<u64>,
    /// Where it said that it had opened its store.
    opened: Vec<usize>,
    /// First place behind everything.
    end: usize,
    syncs: usize,
    operations: usize,
}

impl Recording {
    /// Follows the calls of a program that found `base` on disk at `root`.
    ///
    /// # Errors
    /// When a call is not understood.
    pub fn new(root: &Path, base: &Path, calls: &[Call]) -> Result<Recording> {
        let top = Node::Folder(Folder::default());
        let mut recording = Recording {
            nodes: vec![top],
            acked: Vec::new(),
            found: None,
            opened: Vec::new(),
            end: 0,
            syncs: 0,
            operations: 0,
        };
        recording.take_base(0, base)?;
        let mut places = HashMap::new();
        for call in calls {
            recording.end = recording.end.max(call.begun + 1);
            recording
                .take(root, call, &mut places)
                .with_context(|| format!("{} at {}", call.name, call.begun))?;
        }
        Ok(recording)
    }

    /// A place at which the power goes: anywhere, and one time in four soon after a store was opened, when what it found
    /// may be less durable than it looks.
    pub fn crash(&self, dice: &mut Dice) -> usize {
        match self.opened.get(dice.place(self.opened.len())) {
            Some(opened) if dice.below(4) == 0 => (opened + 1 + dice.place(8)).min(self.end),
            _ => dice.place(self.end + 1),
        }
    }

    /// Operations on files and folders, and how many of them make something durable.
    pub fn operations(&self) -> (usize, usize) {
        (self.operations, self.syncs)
    }

    /// Last batch acknowledged before the power goes at `crash`.
    pub fn acked(&self, crash: usize) -> u64 {
        let acked = self.acked.iter().filter(|(begun, _)| *begun < crash).map(|(_, number)| *number).max();
        acked.max(self.found).unwrap_or(0)
    }

    fn take_base(&mut self, folder: Inode, path: &Path) -> Result<()> {
        for entry in std::fs::read_dir(path).with_context(|| format!("cannot list {}", path.display()))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let inode = self.nodes.len();
            if entry.file_type()?.is_dir() {
                self.nodes.push(Node::Folder(Folder::default()));
                self.take_base(inode, &entry.path())?;
            } else {
                let base = std::fs::read(entry.path())?;
                self.nodes.push(Node::File(File { base, ..File::default() }));
            }
            if let Some(Node::Folder(folder)) = self.nodes.get_mut(folder) {
                folder.base.insert(name.clone(), inode);
                folder.now.insert(name, inode);
            }
        }
        Ok(())
    }

    fn take(&mut self, root: &Path, call: &Call, places: &mut HashMap<i64, u64>) -> Result<()> {
        if call.result.is_some_and(|result| result < 0) {
            return Ok(());
        }
        let span = Span { begun: call.begun, done: call.done };
        let own =
            |at: usize| call.file(at).and_then(|(_, path)| path.strip_prefix(root).ok()).map(Path::to_owned);
        let named = |at: usize| {
            let text = String::from_utf8_lossy(call.text(at)?).into_owned();
            Path::new(&text).strip_prefix(root).ok().map(Path::to_owned)
        };
        match call.name.as_str() {
            "openat" => {
                if let Some(number) = call.result {
                    places.insert(number, 0);
                }
                if let (Some(path), true) = (named(1), call.flag(2, "O_CREAT") || call.flag(2, "O_TRUNC")) {
                    let fresh = self.find(&path).is_none();
                    if fresh {
                        self.make(span, &path, Node::File(File::default()))?;
                    } else if call.flag(2, "O_TRUNC") {
                        self.change(span, &path, Effect::Length(0))?;
                    }
                }
            }
            "write" => {
                let Some((number, _)) = call.file(0) else { return Ok(()) };
                if let Some(path) = own(0) {
                    let at = places.get(&number).copied().unwrap_or(0);
                    let bytes = self.bytes(call)?;
                    places.insert(number, at + bytes.len() as u64);
                    self.change(span, &path, Effect::Write(at, bytes))?;
                } else if number == 1 {
                    let said = |word| call.text(1).and_then(|text| number_after(text, word));
                    // What an opened store shows must not vanish either: somebody may have seen it.
                    let shown = said("acked ").or_else(|| said("opened "));
                    self.acked.extend(shown.map(|number| (call.begun, number)));
                    self.opened.extend(said("opened ").map(|_| call.begun));
                    self.found = self.found.or(said("opened "));
                }
            }
            "pwrite64" => {
                if let Some(path) = own(0) {
                    let at = call.number(3).context("no offset")?;
                    self.change(span, &path, Effect::Write(at, self.bytes(call)?))?;
                }
            }
            "read" => {
                if let (Some((number, _)), Some(result)) = (call.file(0), call.result) {
                    *places.entry(number).or_default() += result.unsigned_abs();
                }
            }
            "lseek" => {
                if let (Some((number, _)), Some(result)) = (call.file(0), call.result) {
                    places.insert(number, result.unsigned_abs());
                }
            }
            "ftruncate" => {
                if let Some(path) = own(0) {
                    self.change(span, &path, Effect::Length(call.number(1).context("no length")?))?;
                }
            }
            "fallocate" => match (own(0), call.number(1), call.number(2), call.number(3)) {
                (Some(path), Some(0), Some(at), Some(len)) => {
                    self.change(span, &path, Effect::Reserve(at + len))?;
                }
                (Some(_), ..) if call.flag(1, "FALLOC_FL_KEEP_SIZE") => {}
                (Some(_), ..) => bail!("this way to reserve room is not known here"),
                (None, ..) => {}
            },
            "fsync" | "fdatasync" => {
                if let Some(path) = own(0) {
                    self.sync(span, &path)?;
                }
            }
            "sync_file_range" => {}
            "mkdir" => {
                if let Some(path) = named(0).filter(|path| !path.as_os_str().is_empty()) {
                    self.make(span, &path, Node::Folder(Folder::default()))?;
                }
            }
            "rename" => {
                if let (Some(from), Some(to)) = (named(0), named(1)) {
                    self.rename(span, &from, &to)?;
                }
            }
            "unlink" => self.remove(span, named(0))?,
            "unlinkat" => {
                let below = match own(0) {
                    Some(folder) => {
                        call.text(1).map(|name| folder.join(String::from_utf8_lossy(name).as_ref()))
                    }
                    None => named(1),
                };
                self.remove(span, below)?;
            }
            other => {
                let touches = (0..3).any(|at| own(at).is_some() || named(at).is_some());
                if touches {
                    bail!("{other} on the folder is not known here");
                }
            }
        }
        Ok(())
    }

    /// What was written: as much as the call says.
    fn bytes(&self, call: &Call) -> Result<Vec<u8>> {
        let bytes = call.text(1).context("no bytes")?;
        let written = call.result.and_then(|result| usize::try_from(result).ok()).unwrap_or(bytes.len());
        Ok(bytes.get(..written).context("more was written than was shown")?.to_vec())
    }

    fn find(&self, path: &Path) -> Option<Inode> {
        path.components().try_fold(0, |inode, part| match self.nodes.get(inode)? {
            Node::Folder(folder) => folder.now.get(&*part.as_os_str().to_string_lossy()).copied(),
            Node::File(_) => None,
        })
    }

    fn parent(&mut self, path: &Path) -> Result<(&mut Folder, String)> {
        let name = path.file_name().context("no name")?.to_string_lossy().into_owned();
        let inode = self.find(path.parent().unwrap_or(Path::new(""))).context("its folder is not there")?;
        match self.nodes.get_mut(inode) {
            Some(Node::Folder(folder)) => Ok((folder, name)),
            _ => bail!("{} is in no folder", path.display()),
        }
    }

    fn make(&mut self, span: Span, path: &Path, node: Node) -> Result<()> {
        self.operations += 1;
        let inode = self.nodes.len();
        self.nodes.push(node);
        let (folder, name) = self.parent(path)?;
        folder.now.insert(name.clone(), inode);
        folder.namings.push((span, Naming::Made(name, inode)));
        Ok(())
    }

    fn remove(&mut self, span: Span, path: Option<PathBuf>) -> Result<()> {
        let Some(path) = path else { return Ok(()) };
        self.operations += 1;
        let (folder, name) = self.parent(&path)?;
        folder.now.remove(&name);
        folder.namings.push((span, Naming::Removed(name)));
        Ok(())
    }

    fn rename(&mut self, span: Span, from: &Path, to: &Path) -> Result<()> {
        self.operations += 1;
        if from.parent() != to.parent() {
            bail!("a rename from one folder to another is not known here");
        }
        let inode = self.find(from).context("what is renamed is not there")?;
        let new = to.file_name().context("no name")?.to_string_lossy().into_owned();
        let (folder, old) = self.parent(from)?;
        folder.now.remove(&old);
        folder.now.insert(new.clone(), inode);
        folder.namings.push((span, Naming::Renamed(old, inode, new)));
        Ok(())
    }

    fn change(&mut self, span: Span, path: &Path, effect: Effect) -> Result<()> {
        self.operations += 1;
        // Removed while it was open: nobody sees it again.
        if let Some(Node::File(file)) = self.find(path).and_then(|inode| self.nodes.get_mut(inode)) {
            file.effects.push((span, effect));
        }
        Ok(())
    }

    fn sync(&mut self, span: Span, path: &Path) -> Result<()> {
        self.operations += 1;
        self.syncs += 1;
        match self.find(path).and_then(|inode| self.nodes.get_mut(inode)) {
            Some(Node::File(file)) => file.syncs.push(span),
            Some(Node::Folder(folder)) => folder.syncs.push(span),
            None => {}
        }
        Ok(())
    }

    /// Writes one state the disk may be in after the power went at `crash` into an empty folder.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write_state(&self, crash: usize, dice: &mut Dice, to: &Path) -> Result<()> {
        self.write_node(0, crash, dice, to)
    }

    fn write_node(&self, inode: Inode, crash: usize, dice: &mut Dice, to: &Path) -> Result<()> {
        match self.nodes.get(inode) {
            Some(Node::File(file)) => std::fs::write(to, states::content(file, crash, dice))
                .with_context(|| format!("cannot write {}", to.display())),
            Some(Node::Folder(folder)) => {
                std::fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
                states::names(folder, crash, dice)
                    .iter()
                    .try_for_each(|(name, inode)| self.write_node(*inode, crash, dice, &to.join(name)))
            }
            None => Ok(()),
        }
    }
}

/// 7 in `acked 7`.
fn number_after(text: &[u8], word: &str) -> Option<u64> {
    std::str::from_utf8(text).ok()?.strip_prefix(word)?.trim().parse().ok()
}

#[cfg(test)]
mod tests;
