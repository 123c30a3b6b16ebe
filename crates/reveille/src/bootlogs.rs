//! Logs of installers, kept in a folder of their own: `<library>/logs/<boot id>/<name>`.
//!
//! Beside the logs of a boot stands `.about`, one JSON object that says whose they are. A log is written under a name of its own
//! (`.part-N`), synced and renamed when all of it is there: what has a log's name is whole, also after a power cut, and what has
//! not is removed at the next start. Boot ids sort by time, so the oldest go first when there are too many.
//!
//! Room is promised before a byte comes: what is kept and what is on its way never pass the bounds together. A log of a name
//! that the boot has sent before takes the old one's place.

mod show;

pub(crate) use show::{escaped, view};

use crate::world::World;
use http_door::limits::LOG_BYTES_MAX;
use http_door::{LogRefused, LogSink, Logs, Upload};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tree::BootHolder;
use types::{Event, EventName, EventSink};

/// Whose logs a folder has.
const ABOUT: &str = ".about";
/// Names of what is on its way begin so.
const PART: &str = ".part-";
/// Length of a boot id, a ULID in base 32.
const BOOT_ID_BYTES: usize = 26;
/// What is read of an `.about`.
const ABOUT_BYTES_MAX: u64 = 4096;

/// How much is kept and taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Bytes in all. An installation of a large site's worth of failures, on a disk that holds images.
    pub(crate) bytes: u64,
    /// Bytes of one boot.
    pub(crate) boot_bytes: u64,
    /// Logs of one boot.
    pub(crate) boot_logs: usize,
    /// Boots.
    pub(crate) boots: usize,
    /// Logs on their way at once.
    pub(crate) under_way: usize,
    /// Logs on their way at once from one address.
    pub(crate) source_under_way: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            bytes: 512 << 20,
            boot_bytes: 32 << 20,
            boot_logs: 16,
            boots: 4096,
            under_way: 16,
            source_under_way: 2,
        }
    }
}

const _: () = assert!(LOG_BYTES_MAX <= 32 << 20, "one log fits into what a boot may send");

/// Whose boot it was.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct About {
    pub(crate) host: Option<String>,
    pub(crate) mac: Option<String>,
    pub(crate) image: String,
}

impl About {
    fn to_json(&self) -> String {
        json!({ "host": self.host, "mac": self.mac, "image": self.image }).to_string()
    }

    /// What cannot be read counts as not said.
    fn of_json(text: &[u8]) -> About {
        let value: Value = serde_json::from_slice(text).unwrap_or_default();
        let text = |key| value.get(key).and_then(Value::as_str).map(str::to_owned);
        About { host: text("host"), mac: text("mac"), image: text("image").unwrap_or_default() }
    }
}

/// One log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Log {
    pub(crate) bytes: u64,
    /// Milliseconds since 1970.
    pub(crate) received_ms: u64,
}

/// What is kept of one boot.
#[derive(Clone, Default, Debug)]
pub(crate) struct Kept {
    pub(crate) about: About,
    pub(crate) logs: BTreeMap<String, Log>,
    /// Bytes promised to logs on their way, and how many these are.
    promised: u64,
    under_way: usize,
}

impl Kept {
    fn bytes(&self) -> u64 {
        self.logs.values().map(|log| log.bytes).sum()
    }
}

#[derive(Default)]
struct State {
    boots: BTreeMap<String, Kept>,
    sources: HashMap<IpAddr, usize>,
    parts: u64,
    pruned: u64,
}

impl State {
    /// Kept and promised.
    fn bytes(&self) -> u64 {
        self.boots.values().map(|kept| kept.bytes() + kept.promised).sum()
    }
}

/// Whom a secret belongs to.
pub(crate) trait Holders: Send + Sync {
    fn holder(&self, token: &str, from: IpAddr) -> Result<BootHolder, tree::CallbackError>;
}

impl Holders for World {
    fn holder(&self, token: &str, from: IpAddr) -> Result<BootHolder, tree::CallbackError> {
        self.caller(token, from)
    }
}

/// The logs of boots. Cheap to clone.
#[derive(Clone)]
pub(crate) struct BootLogs {
    shelf: Arc<Shelf>,
    holders: Arc<dyn Holders>,
    events: Arc<dyn EventSink>,
}

struct Shelf {
    folder: PathBuf,
    bounds: Bounds,
    state: Mutex<State>,
}

impl BootLogs {
    /// Opens the folder, which need not be there, and forgets what was on its way.
    ///
    /// # Errors
    /// When it cannot be made or read.
    pub(crate) fn open(
        folder: PathBuf,
        bounds: Bounds,
        holders: Arc<dyn Holders>,
        events: Arc<dyn EventSink>,
    ) -> io::Result<BootLogs> {
        fs::create_dir_all(&folder)?;
        let mut state = State::default();
        for entry in fs::read_dir(&folder)?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if is_boot_id(&name) && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                let kept = read_boot(&entry.path());
                if kept.logs.is_empty() {
                    let _ = fs::remove_dir_all(entry.path());
                } else {
                    state.boots.insert(name, kept);
                }
            }
        }
        let shelf = Shelf { folder, bounds, state: Mutex::new(state) };
        shelf.prune(&mut shelf.state(), 0, "");
        Ok(BootLogs { shelf: Arc::new(shelf), holders, events })
    }

    /// Boots with logs, latest first: those of this boot id, host name or hardware address, or all.
    pub(crate) fn of(&self, reference: Option<&str>) -> Vec<(String, Kept)> {
        let state = self.shelf.state();
        let mac = reference
            .and_then(|text| text.strip_prefix("mac:"))
            .map(|mac| mac.parse::<types::MacAddr>().map_or_else(|_| mac.to_owned(), |mac| mac.to_string()));
        let is = |boot: &str, kept: &Kept| match (reference, &mac) {
            (None, _) => true,
            (Some(_), Some(mac)) => kept.about.mac.as_ref() == Some(mac),
            (Some(text), None) => boot.eq_ignore_ascii_case(text) || kept.about.host.as_deref() == Some(text),
        };
        let found = state.boots.iter().rev().filter(|(boot, kept)| !kept.logs.is_empty() && is(boot, kept));
        found.map(|(boot, kept)| (boot.clone(), kept.clone())).collect()
    }

    /// The bytes of a log that [`of`](BootLogs::of) names.
    ///
    /// # Errors
    /// When it is gone or cannot be read.
    pub(crate) fn read(&self, boot: &str, name: &str) -> io::Result<Vec<u8>> {
        let known = self.shelf.state().boots.get(boot).is_some_and(|kept| kept.logs.contains_key(name));
        if !known {
            return Err(io::ErrorKind::NotFound.into());
        }
        fs::read(self.shelf.folder.join(boot).join(name))
    }

    /// What `status` shows.
    pub(crate) fn counts(&self) -> [(&'static str, u64); 4] {
        let state = self.shelf.state();
        let logs: usize = state.boots.values().map(|kept| kept.logs.len()).sum();
        [
            ("boots", state.boots.len() as u64),
            ("logs", logs as u64),
            ("bytes", state.boots.values().map(Kept::bytes).sum()),
            ("pruned", state.pruned),
        ]
    }
}

impl Logs for BootLogs {
    fn begin(&self, upload: &Upload<'_>) -> Result<Box<dyn LogSink>, LogRefused> {
        let holder = self.holders.holder(upload.token, upload.from).map_err(LogRefused::Token)?;
        if !is_boot_id(&holder.boot) {
            return Err(LogRefused::Failed(io::ErrorKind::InvalidInput.into()));
        }
        let part = self.shelf.promise(&holder, upload)?;
        let mut coming = Coming {
            logs: self.clone(),
            holder,
            name: upload.name.to_owned(),
            from: upload.from,
            bytes: upload.bytes,
            written: 0,
            part,
            file: None,
        };
        // From here on its end takes the promise back.
        match coming.open() {
            Ok(()) => Ok(Box::new(coming)),
            Err(error) => Err(LogRefused::Failed(error)),
        }
    }
}

impl Shelf {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes room for a log; gives the name it is written under.
    fn promise(&self, holder: &BootHolder, upload: &Upload<'_>) -> Result<String, LogRefused> {
        let bounds = &self.bounds;
        let mut guard = self.state();
        let state = &mut *guard;
        let own = state.sources.get(&upload.from).copied().unwrap_or_default();
        if own >= bounds.source_under_way || state.sources.values().sum::<usize>() >= bounds.under_way {
            return Err(LogRefused::Busy);
        }
        if let Some(kept) = state.boots.get(&*holder.boot) {
            let others = kept.logs.iter().filter(|(name, _)| name.as_str() != upload.name);
            let (count, bytes) =
                others.fold((0, 0), |(count, bytes), (_, log)| (count + 1, bytes + log.bytes));
            if count + kept.under_way >= bounds.boot_logs
                || bytes + kept.promised + upload.bytes > bounds.boot_bytes
            {
                return Err(LogRefused::Full);
            }
        }
        self.prune(state, upload.bytes, &holder.boot);
        if state.bytes() + upload.bytes > bounds.bytes {
            return Err(LogRefused::Busy);
        }
        *state.sources.entry(upload.from).or_default() += 1;
        state.parts += 1;
        let kept = state.boots.entry(holder.boot.to_string()).or_default();
        kept.about = About {
            host: holder.host.as_deref().map(str::to_owned),
            mac: holder.facts.mac.map(|mac| mac.to_string()),
            image: holder.image.to_string(),
        };
        kept.promised += upload.bytes;
        kept.under_way += 1;
        Ok(format!("{PART}{}", state.parts))
    }

    /// Makes room for `bytes` more: the oldest boots go, but neither this one nor one that is sending.
    fn prune(&self, state: &mut State, bytes: u64, spare: &str) {
        let full = |state: &State| {
            let boots =
                state.boots.len() + usize::from(!spare.is_empty() && !state.boots.contains_key(spare));
            state.bytes() + bytes > self.bounds.bytes || boots > self.bounds.boots
        };
        while full(state) {
            let oldest =
                state.boots.iter().find(|(boot, kept)| kept.under_way == 0 && boot.as_str() != spare);
            let Some(boot) = oldest.map(|(boot, _)| boot.clone()) else { return };
            if let Err(error) = fs::remove_dir_all(self.folder.join(&boot))
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(boot, %error, "old logs of a boot cannot be removed");
            }
            state.boots.remove(&boot);
            state.pruned += 1;
        }
    }
}

/// A log on its way.
struct Coming {
    logs: BootLogs,
    holder: BootHolder,
    name: String,
    from: IpAddr,
    bytes: u64,
    written: u64,
    part: String,
    file: Option<File>,
}

impl Coming {
    fn folder(&self) -> PathBuf {
        self.logs.shelf.folder.join(&*self.holder.boot)
    }

    fn open(&mut self) -> io::Result<()> {
        fs::create_dir_all(self.folder())?;
        let part = self.folder().join(&self.part);
        self.file = Some(OpenOptions::new().write(true).create_new(true).open(part)?);
        Ok(())
    }
}

impl LogSink for Coming {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = self.written + bytes.len() as u64;
        if written > self.bytes {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "more bytes than were said"));
        }
        let file = self.file.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        file.write_all(bytes)?;
        self.written = written;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        if self.written != self.bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let file = self.file.take().ok_or(io::ErrorKind::NotConnected)?;
        file.sync_data()?;
        drop(file);
        let folder = self.folder();
        {
            // Held over both: what is listed is there, and two of one name have one winner.
            let mut state = self.logs.shelf.state();
            let kept = state.boots.get_mut(&*self.holder.boot).ok_or(io::ErrorKind::NotFound)?;
            if kept.logs.is_empty() {
                fs::write(folder.join(ABOUT), kept.about.to_json())?;
            }
            fs::rename(folder.join(&self.part), folder.join(&self.name))?;
            kept.logs.insert(self.name.clone(), Log { bytes: self.bytes, received_ms: now_ms() });
        }
        if let Ok(folder) = File::open(&folder) {
            let _ = folder.sync_all();
        }
        let holder = &self.holder;
        let event = Event::new(EventName::BootLogReceived)
            .of(&holder.facts)
            .host(holder.host.clone())
            .boot(Some(holder.boot.clone()))
            .with("image", holder.image.shared())
            .with("log", self.name.as_str())
            .with("bytes", self.bytes)
            .with("from", self.from);
        self.logs.events.record(event);
        Ok(())
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        drop(self.file.take());
        // Gone when it was renamed.
        let _ = fs::remove_file(self.folder().join(&self.part));
        let mut state = self.logs.shelf.state();
        if let Some(own) = state.sources.get_mut(&self.from) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                state.sources.remove(&self.from);
            }
        }
        let Some(kept) = state.boots.get_mut(&*self.holder.boot) else { return };
        kept.promised = kept.promised.saturating_sub(self.bytes);
        kept.under_way = kept.under_way.saturating_sub(1);
        if kept.under_way == 0 && kept.logs.is_empty() {
            state.boots.remove(&*self.holder.boot);
            let _ = fs::remove_dir_all(self.folder());
        }
    }
}

fn is_boot_id(name: &str) -> bool {
    name.len() == BOOT_ID_BYTES && name.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// What is whole in a boot's folder; the rest is removed.
fn read_boot(folder: &Path) -> Kept {
    let mut kept = Kept::default();
    let about = folder.join(ABOUT);
    if fs::metadata(&about).is_ok_and(|about| about.len() <= ABOUT_BYTES_MAX) {
        kept.about = fs::read(&about).map(|text| About::of_json(&text)).unwrap_or_default();
    }
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(PART) {
            let _ = fs::remove_file(entry.path());
        } else if let Ok(data) = entry.metadata()
            && data.is_file()
            && !name.starts_with('.')
        {
            let received = data.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            let received_ms = received.map_or(0, |at| u64::try_from(at.as_millis()).unwrap_or(u64::MAX));
            kept.logs.insert(name, Log { bytes: data.len(), received_ms });
        }
    }
    kept
}

#[cfg(test)]
mod tests;
