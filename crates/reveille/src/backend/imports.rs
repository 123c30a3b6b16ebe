//! Imports as jobs: started by the API, the inbox or the configuration file, watched by their id, one event at each end.
//!
//! A job gets its bytes first where they are elsewhere: from a URL ([`fetch`]), or from who asked for it, as the body of a
//! request of its own. Whatever it gets is checked against the SHA-256 it should have before anything looks into it.

use crate::backend::fault::Fault;
use crate::backend::wanted::{Origin, Wanted, read_request, trust_warnings};
use crate::failure::chain;
use crate::inventory::Inventory;
use crate::world::World;
use admin::view::{ImportRequest, ImportState, ImportView, timestamp};
use admin::{BackendError, Problem};
use fetch::{Downloads, Fetched, Limits, Location};
use library::limits::VERSIONS_KEEP;
use library::{ImportError, Imported, Library, Source, Spooled};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::runtime::Handle;
use types::resource::{Image, Name};
use types::{Event, EventName, EventSink, UnixTime};

/// Ended imports remembered.
const JOBS_MAX: usize = 100;
/// Imports at a time: each reads and writes the same disk.
const RUNNING_MAX: usize = 4;
/// For the bytes of an import to begin to come.
const SENDING_WAIT: Duration = Duration::from_secs(60);
/// Bytes received between two looks at the room on the disk.
const ROOM_LOOK_BYTES: u64 = 64 << 20;
/// What an image that was sent says of its source.
const SENT: &str = "upload";

/// Runs imports and remembers how they went.
pub(crate) struct Importer {
    library: Library,
    inventory: Arc<Inventory>,
    world: Arc<World>,
    downloads: Downloads,
    runtime: Handle,
    jobs: Mutex<BTreeMap<u64, Job>>,
    next: AtomicU64,
}

/// One import, as it is remembered.
struct Job {
    view: ImportView,
    cancel: Arc<AtomicBool>,
    /// What is to be done once its bytes come, and since when they are waited for.
    waiting: Option<(Instant, Asked)>,
}

/// What one import is to do.
struct Asked {
    image: Image,
    origin: Origin,
    sha256: Option<String>,
    /// The image profile of an ESXi offline bundle.
    profile: Option<String>,
    kind_given: bool,
    replace: bool,
    record: bool,
}

impl Importer {
    /// Downloads run on the runtime this is called on.
    pub(crate) fn new(library: Library, inventory: Arc<Inventory>, world: Arc<World>) -> Importer {
        let downloads = Downloads::new(library.downloads_folder(), Limits::usual(library.image_bytes_max()));
        downloads.tidy();
        Importer {
            library,
            inventory,
            world,
            downloads,
            runtime: Handle::current(),
            jobs: Mutex::default(),
            next: AtomicU64::new(1),
        }
    }

    /// Starts a job on a thread of its own and returns at once.
    pub(super) fn start(
        self: &Arc<Self>,
        request: ImportRequest,
        dry_run: bool,
    ) -> Result<ImportView, BackendError> {
        let kind_given = request.kind.is_some() || request.script.is_some();
        let wanted = read_request(&request)?;
        self.start_wanted(wanted, kind_given, request.replace, dry_run, None)
    }

    fn start_wanted(
        self: &Arc<Self>,
        wanted: Wanted,
        mut kind_given: bool,
        mut replace: bool,
        dry_run: bool,
        keep_open: Option<File>,
    ) -> Result<ImportView, BackendError> {
        let Wanted { origin, mut image, sha256, profile } = wanted;
        let name = image.name.clone();
        let mut record = true;
        let images =
            self.inventory.images().map_err(|failure| BackendError::Internal(failure.to_string()))?;
        if let Some(present) = images.iter().find(|present| present.resource.name == name) {
            let of_file = present.owner != crate::inventory::API_OWNER;
            if of_file && present.resource.source.is_none() {
                // The file says how it boots and leaves its files to us.
                image = present.resource.clone();
                (replace, record, kind_given) = (true, false, true);
            } else if of_file {
                return Err(BackendError::Owned {
                    what: "image",
                    name: name.to_string(),
                    owner: present.owner.clone(),
                });
            }
            if !replace {
                let problem =
                    Problem::new(409, "R-IMG-04", "exists", format!("image `{name}` exists already"))
                        .with_fix(
                            "import it as a new version with --replace, or under another name with --name",
                        );
                return Err(BackendError::Problem(problem));
            }
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let sent = matches!(origin, Origin::Sent);
        let view = ImportView {
            id: id.to_string(),
            source: origin.to_string(),
            name: Some(name.to_string()),
            state: if sent { ImportState::Queued } else { ImportState::Running },
            phase: if sent { "waiting for its bytes".to_owned() } else { String::new() },
            started: timestamp(now_ms()),
            warnings: trust_warnings(&origin, sha256.as_deref()),
            ..ImportView::default()
        };
        if dry_run {
            return Ok(view);
        }
        for warning in &view.warnings {
            tracing::warn!(image = name.as_str(), source = view.source, "{warning}");
        }
        let cancel = Arc::new(AtomicBool::new(false));
        let asked = Asked { image, origin, sha256, profile, kind_given, replace, record };
        let (waiting, now) = if sent { (Some((Instant::now(), asked)), None) } else { (None, Some(asked)) };
        {
            let mut jobs = self.lock();
            expire(&mut jobs);
            if jobs.values().filter(|job| !job.view.state.has_ended()).count() >= RUNNING_MAX {
                let problem = Problem::new(429, "R-IMG-05", "busy", "too many imports at a time")
                    .with_cause(format!("{RUNNING_MAX} are running"))
                    .with_fix("start it again when one of them is done: reveille image imports");
                return Err(BackendError::Problem(problem));
            }
            while jobs.len() >= JOBS_MAX {
                let ended = jobs.iter().find(|(_, job)| job.view.state.has_ended()).map(|(id, _)| *id);
                let Some(ended) = ended else { break };
                jobs.remove(&ended);
            }
            jobs.insert(id, Job { view: view.clone(), cancel, waiting });
        }
        if let Some(asked) = now {
            self.spawn(id, move |importer| {
                importer.run(id, asked).ok();
                drop(keep_open);
            })?;
        }
        Ok(view)
    }

    fn spawn(
        self: &Arc<Self>,
        id: u64,
        work: impl FnOnce(&Importer) + Send + 'static,
    ) -> Result<(), BackendError> {
        let importer = Arc::clone(self);
        let spawned = std::thread::Builder::new().name(format!("import-{id}")).spawn(move || work(&importer));
        spawned.map(drop).map_err(|error| {
            self.lock().remove(&id);
            BackendError::Internal(format!("cannot start an import thread: {error}"))
        })
    }

    /// Takes the bytes of a job that waits for them, and starts it when all have come.
    pub(super) fn receive(
        self: &Arc<Self>,
        id: &str,
        body: &mut dyn Read,
        length: Option<u64>,
    ) -> Result<ImportView, BackendError> {
        let missing = || BackendError::NotFound { what: "import", name: id.to_owned() };
        let number: u64 = id.parse().map_err(|_| missing())?;
        let asked = {
            let mut jobs = self.lock();
            expire(&mut jobs);
            let job = jobs.get_mut(&number).ok_or_else(missing)?;
            let Some((_, asked)) = job.waiting.take() else {
                let problem =
                    Problem::new(409, "R-IMG-08", "no-content", format!("import {id} takes no bytes"))
                        .with_cause("only one of source `-` does, once, and within a minute")
                        .with_fix("start it again: reveille image import - --name NAME");
                return Err(BackendError::Problem(problem));
            };
            job.view.state = ImportState::Running;
            asked
        };
        self.begun(&asked.image.name, &asked.origin);
        let mut progress = self.progress(number);
        match self.spool(body, length, &mut progress) {
            Ok(spool) => {
                self.spawn(number, move |importer| {
                    importer.run_sent(number, asked, spool).ok();
                })?;
            }
            Err(fault) => {
                self.ended(number, &asked.image.name, &Err(fault), asked.record);
            }
        }
        self.view(id).ok_or_else(missing)
    }

    /// A body in a file of ours, bounded by what an image may have and by the room there is.
    fn spool(
        &self,
        body: &mut dyn Read,
        length: Option<u64>,
        progress: &mut Progress<'_>,
    ) -> Result<Spooled, Fault> {
        let bytes_max = self.library.image_bytes_max();
        let too_large = || Fault::from(ImportError::TooLarge { bytes_max });
        let unstored = |error: &dyn std::error::Error| Fault::new("blob_failed", error.to_string());
        if length.is_some_and(|length| length > bytes_max) {
            return Err(too_large());
        }
        let mut spool = self.library.spool().map_err(|error| unstored(&error))?;
        fetch::check_room(spool.path(), length.unwrap_or(0))?;
        let (mut buffer, mut done, mut looked) = (vec![0u8; 1 << 20], 0u64, 0u64);
        progress.tell("receiving", 0, length);
        loop {
            if progress.is_cancelled() {
                return Err(ImportError::Cancelled.into());
            }
            let read = match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::Interrupted) =>
                {
                    continue;
                }
                Err(error) => {
                    let text = format!("the sender broke off after {done} bytes: {error}");
                    return Err(Fault::new("sender_broke_off", text).fix("send it again"));
                }
            };
            done += read as u64;
            if done > bytes_max {
                return Err(too_large());
            }
            if done - looked > ROOM_LOOK_BYTES {
                looked = done;
                fetch::check_room(spool.path(), 0)?;
            }
            spool.write_all(buffer.get(..read).unwrap_or_default()).map_err(|error| unstored(&error))?;
            progress.tell("receiving", done, length);
        }
        if done == 0 {
            return Err(Fault::new("source_empty", "nothing was sent"));
        }
        Ok(spool)
    }

    /// Imports an image of the configuration file; blocks. The same version is not copied again.
    pub(crate) fn import_from_file(&self, image: &Image, source: Source) -> Result<Imported, Fault> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let name = image.name.clone();
        let asked = Asked {
            image: image.clone(),
            origin: Origin::Here(source),
            sha256: None,
            profile: None,
            kind_given: true,
            replace: true,
            record: false,
        };
        let done = self.run(id, asked);
        if done.as_ref().is_ok_and(|imported| imported.changed) {
            self.prune(&name);
        }
        done
    }

    /// Removes versions that nobody asked to keep: a source that changes with every start would fill the disk.
    fn prune(&self, name: &Name) {
        let _changing = self.inventory.change();
        let Some(versions) = self.library.versions(name.as_str()) else { return };
        let pruned = self.inventory.pins().map_err(|failure| failure.to_string()).and_then(|pins| {
            let pinned = super::images::pinned_ids(&versions, &pins);
            let pruned = self.library.prune(name.as_str(), VERSIONS_KEEP, &pinned, false);
            pruned.map_err(|error| chain(&error))
        });
        match pruned {
            Ok(gone) if !gone.is_empty() => {
                let ids: Vec<String> = gone.iter().map(|it| it.manifest.id().to_string()).collect();
                self.world.record(
                    Event::new(EventName::ImagePruned)
                        .with("image", name.shared())
                        .with("versions", ids.join(" ")),
                );
                let catalog = self.inventory.catalog();
                if let Ok(catalog) = catalog {
                    self.world.replace_catalog(catalog);
                }
            }
            Ok(_) => {}
            Err(cause) => tracing::warn!(image = name.as_str(), cause, "old versions stay for now"),
        }
    }

    /// Removes files no image uses: left by a replaced image, or by an end in mid-import.
    pub(crate) fn sweep(&self) {
        match self.library.collect() {
            Ok(swept) if swept.blobs > 0 => {
                tracing::info!(files = swept.blobs, bytes = swept.bytes, "unused image files removed")
            }
            Ok(_) => {}
            // The next removal or start sweeps them.
            Err(error) => tracing::info!(cause = chain(&error), "unused image files stay for now"),
        }
    }

    pub(super) fn views(&self) -> Vec<ImportView> {
        let mut jobs = self.lock();
        expire(&mut jobs);
        jobs.values().map(|job| job.view.clone()).collect()
    }

    pub(crate) fn view(&self, id: &str) -> Option<ImportView> {
        let mut jobs = self.lock();
        expire(&mut jobs);
        jobs.get(&id.parse().ok()?).map(|job| job.view.clone())
    }

    /// Asks a job to end; gives it as it is.
    pub(super) fn cancel(&self, id: &str) -> Option<ImportView> {
        let mut jobs = self.lock();
        let job = jobs.get_mut(&id.parse().ok()?)?;
        job.cancel.store(true, Ordering::Relaxed);
        if job.waiting.take().is_some() {
            end(&mut job.view, &Fault::from(ImportError::Cancelled));
        } else if !job.view.state.has_ended() {
            "ending".clone_into(&mut job.view.phase);
        }
        Some(job.view.clone())
    }

    /// Ends every job: we stop. What was fetched stays for the next run.
    pub(crate) fn cancel_all(&self) {
        for job in self.lock().values() {
            job.cancel.store(true, Ordering::Relaxed);
        }
    }

    fn run(&self, id: u64, asked: Asked) -> Result<Imported, Fault> {
        self.begun(&asked.image.name, &asked.origin);
        let outcome = match &asked.origin {
            Origin::There(location) => self.fetch_and_import(id, &asked, location),
            Origin::Here(source) => {
                let path = match source {
                    Source::Held { path, .. } => Some(path.as_path()),
                    source => source.path(),
                };
                self.check(id, path, asked.sha256.as_deref())
                    .and_then(|()| self.import(id, &asked, source.clone()).map_err(Fault::from))
            }
            Origin::Sent => Err(Fault::new("source_empty", "nothing was sent")),
        };
        self.ended(id, &asked.image.name, &outcome, asked.record);
        self.sweep_after(&outcome, asked.replace);
        outcome
    }

    fn run_sent(&self, id: u64, asked: Asked, spool: Spooled) -> Result<Imported, Fault> {
        let source = Source::Held {
            path: spool.path().to_owned(),
            of: SENT.to_owned(),
            name: format!("{}.iso", asked.image.name),
        };
        let checked = self.check(id, Some(spool.path()), asked.sha256.as_deref());
        let outcome = checked.and_then(|()| self.import(id, &asked, source).map_err(Fault::from));
        drop(spool);
        self.ended(id, &asked.image.name, &outcome, asked.record);
        self.sweep_after(&outcome, asked.replace);
        outcome
    }

    fn sweep_after(&self, outcome: &Result<Imported, Fault>, replace: bool) {
        if outcome.is_ok() && replace {
            self.sweep();
        }
    }

    fn fetch_and_import(&self, id: u64, asked: &Asked, location: &Location) -> Result<Imported, Fault> {
        let mut progress = self.progress(id);
        progress.tell("downloading", 0, None);
        let fetched = self.runtime.block_on(self.downloads.fetch(location, &mut progress))?;
        if fetched.resumed > 0 {
            tracing::info!(url = %location, resumed = fetched.resumed, bytes = fetched.bytes, "a download went on where it was");
        }
        if let Err(fault) = self.check(id, Some(fetched.path()), asked.sha256.as_deref()) {
            if fault.reason == "sha256_differs" {
                fetched.remove();
            }
            return Err(fault);
        }
        let name = location.file_name().filter(|name| library::manifest::check_file_name(name).is_ok());
        let source = Source::Held {
            path: fetched.path().to_owned(),
            of: location.to_string(),
            name: name.unwrap_or_else(|| format!("{}.iso", asked.image.name)),
        };
        let outcome = self.import(id, asked, source);
        // What was no medium will be none; anything else may go better without fetching it again, another profile too.
        let useless = match &outcome {
            Ok(_) | Err(ImportError::Export { .. }) => true,
            Err(error @ ImportError::Medium { .. }) => error.reason() != "depot_profile",
            Err(_) => false,
        };
        if useless {
            Fetched::remove(fetched);
        }
        outcome.map_err(Fault::from)
    }

    /// Compares a file with what it should hash to, before anything looks into it.
    fn check(&self, id: u64, path: Option<&Path>, expected: Option<&str>) -> Result<(), Fault> {
        let (Some(path), Some(expected)) = (path, expected) else { return Ok(()) };
        let mut progress = self.progress(id);
        "checking sha256".clone_into(&mut progress.phase);
        let unreadable = |error: io::Error| {
            Fault::new("source_unreadable", format!("cannot read {}: {error}", path.display()))
        };
        let mut file = File::open(path).map_err(unreadable)?;
        match fetch::digest_of(&mut file, &mut progress).map_err(unreadable)? {
            None => Err(ImportError::Cancelled.into()),
            Some(found) if found == expected => Ok(()),
            Some(found) => {
                Err(Fault::new("sha256_differs", format!("its sha256 is {found} and should be {expected}"))
                    .fix("compare with what the publisher says, then fetch it again"))
            }
        }
    }

    fn import(&self, id: u64, asked: &Asked, source: Source) -> Result<Imported, ImportError> {
        let request = library::ImportRequest {
            image: asked.image.clone(),
            source,
            profile: asked.profile.clone(),
            kind_given: asked.kind_given,
            replace: asked.replace,
            record_image: asked.record,
            now: UnixTime(now_ms() / 1000),
        };
        let mut progress = self.progress(id);
        progress.tell("reading", 0, None);
        self.library.import(&request, &mut progress)
    }

    fn begun(&self, name: &Name, origin: &Origin) {
        let source = match origin {
            Origin::Sent => SENT.to_owned(),
            origin => origin.to_string(),
        };
        self.world.record(
            Event::new(EventName::ImageImportStarted).with("image", name.shared()).with("source", source),
        );
    }

    fn ended(&self, id: u64, name: &Name, outcome: &Result<Imported, Fault>, record: bool) {
        if let (Ok(imported), false) = (outcome, record) {
            self.inventory.complete(imported.image.clone());
        }
        if outcome.is_ok() {
            let _changing = self.inventory.change();
            if let Err(failure) = self.inventory.catalog().map(|catalog| self.world.replace_catalog(catalog))
            {
                tracing::error!(%failure, "the catalog could not be made anew after an import");
            }
        }
        match outcome {
            Ok(imported) => self.world.record(
                Event::new(EventName::ImageImportDone)
                    .with("image", name.shared())
                    .with("bytes", imported.manifest.bytes())
                    .with("new_bytes", imported.new_bytes)
                    .with("files", imported.manifest.files.len() as u64)
                    .with("changed", imported.changed),
            ),
            Err(fault) => self.world.record(
                Event::new(EventName::ImageImportFailed)
                    .because(fault.reason)
                    .with("image", name.shared())
                    .with("cause", fault.cause.clone()),
            ),
        }
        if let Some(job) = self.lock().get_mut(&id) {
            match outcome {
                Ok(imported) => {
                    job.view.ended = Some(timestamp(now_ms()));
                    job.view.phase.clear();
                    job.view.state = ImportState::Done;
                    job.view.bytes_done = imported.manifest.bytes();
                    job.view.bytes_total = Some(job.view.bytes_done);
                    job.view.files_done = imported.manifest.files.len() as u64;
                    job.view.warnings.extend(imported.manifest.notes.iter().cloned());
                }
                Err(fault) => end(&mut job.view, fault),
            }
        }
    }

    fn progress(&self, id: u64) -> Progress<'_> {
        let cancel = self.lock().get(&id).map(|job| job.cancel.clone()).unwrap_or_default();
        Progress { importer: self, id, cancel, phase: String::new() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A job whose bytes never came has failed.
fn expire(jobs: &mut BTreeMap<u64, Job>) {
    for job in jobs.values_mut() {
        if job.waiting.as_ref().is_some_and(|(since, _)| since.elapsed() > SENDING_WAIT) {
            job.waiting = None;
            let text = format!("its bytes did not come within {} s", SENDING_WAIT.as_secs());
            end(&mut job.view, &Fault::new("source_empty", text));
        }
    }
}

fn end(view: &mut ImportView, fault: &Fault) {
    view.ended = Some(timestamp(now_ms()));
    view.phase.clear();
    view.state = if fault.reason == "cancelled" { ImportState::Cancelled } else { ImportState::Failed };
    view.error = Some(fault.problem());
}

/// Who a job's work reports to.
struct Progress<'a> {
    importer: &'a Importer,
    id: u64,
    cancel: Arc<AtomicBool>,
    phase: String,
}

impl Progress<'_> {
    fn tell(&mut self, phase: &str, done: u64, total: Option<u64>) {
        if self.phase != phase {
            phase.clone_into(&mut self.phase);
        }
        self.report(done, total);
    }

    fn report(&self, done: u64, total: Option<u64>) {
        if let Some(job) = self.importer.lock().get_mut(&self.id) {
            job.view.bytes_done = done;
            job.view.bytes_total = total;
            if !self.is_cancelled() {
                job.view.phase.clone_from(&self.phase);
            }
        }
    }

    fn is_cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }
}

impl library::Watch for Progress<'_> {
    fn advanced(&mut self, done: u64, total: u64, file: &str) {
        self.phase.clear();
        self.phase.push_str("copying ");
        self.phase.push_str(file);
        self.report(done, Some(total));
    }

    fn cancelled(&self) -> bool {
        self.is_cancelled()
    }
}

impl fetch::Watch for Progress<'_> {
    fn advanced(&mut self, done: u64, total: Option<u64>) {
        if self.phase != "checking sha256" {
            self.tell("downloading", done, total);
        } else {
            self.report(done, total);
        }
    }

    fn says(&mut self, text: &str) {
        if let Some(job) = self.importer.lock().get_mut(&self.id) {
            text.clone_into(&mut job.view.phase);
        }
    }

    fn cancelled(&self) -> bool {
        self.is_cancelled()
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
