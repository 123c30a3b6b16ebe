//! The inbox: a folder that is watched. What is put into it is imported as the image of its name and moved away.
//!
//! The folder is looked at every few seconds, which works on NFS and SMB too, where nothing tells of changes made elsewhere.
//! What has not changed for a while ([`quiet`]) is imported, one at a time, as a job like any other. Then it is moved to
//! `done/`, or to `refused/` with a file beside it that says why. Nothing is removed, and nothing is remembered beyond a
//! restart: an import leaves nothing visible before its end, so what was under way is imported again.
//!
//! | after the import it is | what happens |
//! |---|---|
//! | as it was | moved |
//! | changed, or another one | left; it is imported again once it is at rest |
//! | not to be moved | left and not imported again while it stays like that; moving is tried once a minute |
//!
//! We stop: what failed because of that stays where it is.

mod folder;
mod names;
mod quiet;

use crate::backend::{Fault, Importer, Unimported};
use crate::failure::Failure;
use admin::view::timestamp;
use folder::{Aside, ENTRIES_MAX, Folder, Untaken};
use quiet::{Quiet, Stamp};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::runtime::Handle;
use tokio::sync::watch;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// What has not changed for so long is taken for finished: longer than a copy over a network pauses.
const QUIET: Duration = Duration::from_secs(10);

/// Between two tries to move what could not be moved.
const MOVE_EVERY: Duration = Duration::from_secs(60);

/// What the inbox did; shown by `reveille status`.
#[derive(Default)]
pub(crate) struct Counters {
    imported: AtomicU64,
    refused: AtomicU64,
    put_off: AtomicU64,
    looks_failed: AtomicU64,
    /// Not imported yet, now.
    waiting: AtomicU64,
    /// Imported or refused and not to be moved, now.
    unmoved: AtomicU64,
}

impl Counters {
    /// Their names and values.
    pub(crate) fn pairs(&self) -> [(&'static str, u64); 6] {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        [
            ("imported", of(&self.imported)),
            ("refused", of(&self.refused)),
            ("put_off", of(&self.put_off)),
            ("looks_failed", of(&self.looks_failed)),
            ("waiting", of(&self.waiting)),
            ("unmoved", of(&self.unmoved)),
        ]
    }
}

/// Who imports what is found; for tests somebody else.
pub(crate) trait Imports: Send + Sync {
    /// Imports what is called `name` and can be opened as `path`; blocks.
    fn import_found(&self, path: &Path, name: &str, is_folder: bool) -> Result<(), Unimported>;

    /// Tells of what is refused unread.
    fn refuse_found(&self, name: &str, fault: Fault) -> Unimported;
}

impl Imports for Importer {
    fn import_found(&self, path: &Path, name: &str, is_folder: bool) -> Result<(), Unimported> {
        Importer::import_found(self, path, name, is_folder).map(drop)
    }

    fn refuse_found(&self, name: &str, fault: Fault) -> Unimported {
        Importer::refuse_found(self, name, fault)
    }
}

/// A watched folder.
pub(crate) struct Inbox {
    path: PathBuf,
    /// Files and folders of the appliance that must not be in it.
    own: Vec<PathBuf>,
    importer: Arc<dyn Imports>,
    clock: Box<dyn Fn() -> Instant + Send>,
    counters: Arc<Counters>,
    quiet: Quiet,
    unmoved: BTreeMap<OsString, Unmoved>,
    /// When moving them was tried last.
    tried: Option<Instant>,
    told: Told,
}

/// What could not be moved after its import.
struct Unmoved {
    stamp: Stamp,
    to: Aside,
    why: Option<String>,
}

/// What was said and need not be said again.
#[derive(Default)]
struct Told {
    unusable: Option<String>,
    more: bool,
    open_to_all: bool,
}

impl Inbox {
    pub(crate) fn new(path: PathBuf, own: Vec<PathBuf>, importer: Arc<dyn Imports>) -> Inbox {
        Inbox {
            path,
            own,
            importer,
            clock: Box::new(Instant::now),
            counters: Arc::default(),
            quiet: Quiet::new(QUIET),
            unmoved: BTreeMap::new(),
            tried: None,
            told: Told::default(),
        }
    }

    pub(crate) fn counters(&self) -> Arc<Counters> {
        self.counters.clone()
    }

    /// Watches on a thread of its own until we stop: a share whose server is gone may block it, and nobody else.
    pub(crate) fn watch(mut self, mut stopping: watch::Receiver<bool>) {
        let runtime = Handle::current();
        let watching = move || {
            loop {
                while self.look(&stopping) {}
                let stop =
                    async { tokio::time::timeout(LOOK_EVERY, stopping.wait_for(|stop| *stop)).await.is_ok() };
                if runtime.block_on(stop) {
                    return;
                }
            }
        };
        if let Err(error) = std::thread::Builder::new().name("inbox".to_owned()).spawn(watching) {
            tracing::warn!(%error, "the inbox is not watched: its thread cannot be started; restart the appliance");
        }
    }

    /// One look. True when something was imported or refused, so that there may be more.
    fn look(&mut self, stopping: &watch::Receiver<bool>) -> bool {
        if *stopping.borrow() {
            return false;
        }
        let folder = match Folder::open(&self.path, &self.own) {
            Ok(folder) => folder,
            Err(failure) => return self.unusable(&failure),
        };
        let listing = match folder.list() {
            Ok(listing) => listing,
            Err(error) => {
                let what = format!("cannot list the inbox {}", self.path.display());
                let failure = Failure::new("R-LIB-02", what).cause(error);
                return self.unusable(&failure.fix("look whether the disk or the share it lies on is well"));
            }
        };
        self.usable(&folder, listing.more);
        let stamps = listing
            .entries
            .iter()
            .filter_map(|(name, metadata)| Some((name.clone(), folder.stamp(name, metadata)?)));
        let there: BTreeMap<OsString, Stamp> = stamps.collect();
        self.move_what_stayed(&folder, &there);
        let next = self.quiet.look((self.clock)(), there).into_iter().next();
        self.counters.waiting.store(self.quiet.waiting() as u64, Ordering::Relaxed);
        let Some((name, stamp)) = next else { return false };
        self.take(&folder, &name, stamp, stopping);
        true
    }

    fn take(&mut self, folder: &Folder, name: &OsStr, stamp: Stamp, stopping: &watch::Receiver<bool>) {
        let shown = names::shown(name);
        let outcome = match folder.take(name) {
            Ok(taken) if !taken.is_still(&stamp) => return self.put_off(name),
            Ok(taken) => self.importer.import_found(&taken.path(), &shown, taken.is_folder),
            // The next look sees what is there now.
            Err(Untaken::Gone) => return self.put_off(name),
            Err(Untaken::NotPlain(kind)) => {
                let text = format!("{shown} is {kind}; only plain files and folders are imported");
                let fault = Fault::new("not_a_plain_file", text).fix("put the file itself here");
                Err(self.importer.refuse_found(&shown, fault))
            }
            Err(Untaken::Unreadable(error)) => {
                let fault = Fault::new("source_unreadable", format!("cannot open {shown}: {error}"));
                Err(self.importer.refuse_found(&shown, fault))
            }
        };
        if outcome.is_err() && *stopping.borrow() {
            return;
        }
        match outcome {
            Ok(()) => {
                self.counters.imported.fetch_add(1, Ordering::Relaxed);
                self.settle(folder, name, Unmoved { stamp, to: Aside::Done, why: None });
            }
            Err(Unimported::Later(fault)) => {
                self.counters.put_off.fetch_add(1, Ordering::Relaxed);
                tracing::info!(file = shown, cause = %fault, "what is in the inbox waits");
                self.put_off(name);
            }
            Err(Unimported::Refused(fault)) => {
                self.counters.refused.fetch_add(1, Ordering::Relaxed);
                let why = Some(reason_file(&shown, &fault, folder));
                self.settle(folder, name, Unmoved { stamp, to: Aside::Refused, why });
            }
        }
    }

    fn put_off(&mut self, name: &OsStr) {
        self.quiet.put_off(name, (self.clock)());
    }

    /// Moves what was imported or refused, if it still is what it was then.
    fn settle(&mut self, folder: &Folder, name: &OsStr, away: Unmoved) {
        let file = names::shown(name);
        if folder.stamp_now(name) != Some(away.stamp) {
            tracing::info!(
                file,
                "it changed while it was imported; what is there now is imported when it is at rest"
            );
            return self.put_off(name);
        }
        self.quiet.settle(name);
        match folder.move_aside(name, away.to, away.why.as_deref()) {
            Ok(to) => tracing::info!(file, to = %folder.path().join(to).display(), "moved out of the inbox"),
            Err(error) => {
                let failure = Failure::new("R-LIB-03", format!("cannot move {file} out of the inbox"))
                    .cause(error)
                    .fix(format!(
                        "move it out of {} by hand, or let the appliance's user do it; until it changes it is not imported again",
                        folder.path().display()
                    ));
                tracing::warn!("{failure}");
                self.unmoved.insert(name.to_owned(), away);
                self.count_unmoved();
            }
        }
    }

    /// Tries once more, and forgets what is gone or has changed.
    fn move_what_stayed(&mut self, folder: &Folder, there: &BTreeMap<OsString, Stamp>) {
        if self.unmoved.is_empty() {
            return;
        }
        let now = (self.clock)();
        let due = self.tried.is_none_or(|tried| now.saturating_duration_since(tried) >= MOVE_EVERY);
        if due {
            self.tried = Some(now);
        }
        self.unmoved.retain(|name, away| {
            let as_it_was = there.get(name) == Some(&away.stamp);
            as_it_was && !(due && folder.move_aside(name, away.to, away.why.as_deref()).is_ok())
        });
        self.count_unmoved();
    }

    fn count_unmoved(&self) {
        self.counters.unmoved.store(self.unmoved.len() as u64, Ordering::Relaxed);
    }

    /// Says it once for each reason.
    fn unusable(&mut self, failure: &Failure) -> bool {
        self.counters.looks_failed.fetch_add(1, Ordering::Relaxed);
        let text = failure.to_string();
        if self.told.unusable.as_ref() != Some(&text) {
            tracing::warn!("{text}");
            self.told.unusable = Some(text);
        }
        false
    }

    fn usable(&mut self, folder: &Folder, more: bool) {
        let path = self.path.display();
        if self.told.unusable.take().is_some() {
            tracing::info!(%path, "the inbox can be used again");
        }
        if more && !self.told.more {
            tracing::warn!(
                %path,
                "more than {ENTRIES_MAX} entries are in the inbox, and only as many are looked at; take out what is not to be imported"
            );
        }
        self.told.more = more;
        if !self.told.open_to_all && folder.is_open_to_all() {
            self.told.open_to_all = true;
            tracing::warn!(%path, "every user of this machine may put images into the inbox; chmod o-w takes that away");
        }
    }
}

/// What stands beside a refused file.
fn reason_file(shown: &str, fault: &Fault, folder: &Folder) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = timestamp(u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
    let again = format!("to try again, move it back to {}", folder.path().display());
    let fix = match fault.way_out() {
        Some(fix) => format!("{fix}; {again}"),
        None => again,
    };
    format!(
        "{shown} was not imported\n  cause  {fault}\n  fix    {fix}\n  reason {}\n  at     {now}\n",
        fault.reason
    )
}

#[cfg(test)]
mod tests;
