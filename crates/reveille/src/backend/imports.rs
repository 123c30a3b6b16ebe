//! Imports as jobs: started by the API, the inbox or the configuration file, watched by their id, one event at each end.
//!
//! A job gets its bytes first where they are elsewhere: from a URL ([`fetch`]), or from who asked for it, as the body of a
//! request of its own. Whatever it gets is checked against the SHA-256 it should have before anything looks into it.

mod inbox;
mod progress;
mod receive;
mod work;

use crate::backend::fault::Fault;
use crate::backend::wanted::{Origin, Wanted, read_request, trust_warnings};
use crate::inventory::Inventory;
use crate::world::World;
use admin::view::{ImportRequest, ImportState, ImportView, timestamp};
use admin::{BackendError, Problem};
use fetch::{Downloads, Limits};
pub(crate) use inbox::Unimported;
use library::{ImportError, Library};
use progress::Progress;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::runtime::Handle;
use types::resource::Image;

/// Ended imports remembered.
const JOBS_MAX: usize = 100;
/// Imports at a time: each reads and writes the same disk.
const RUNNING_MAX: usize = 4;
/// For the bytes of an import to begin to come.
const SENDING_WAIT: Duration = Duration::from_secs(60);
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
    /// Of the configuration file's images, that of every try.
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

/// A job that is in the list.
struct Admitted {
    id: u64,
    view: ImportView,
    /// What is to be done now; nothing for a dry run or while its bytes are still to come.
    begin: Option<Asked>,
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
        let Admitted { id, view, begin } = self.admit(wanted, kind_given, request.replace, dry_run)?;
        if let Some(asked) = begin {
            self.spawn(id, move |importer| {
                importer.run(id, asked).ok();
            })?;
        }
        Ok(view)
    }

    /// Takes a job up: from here on it is in the list, and whoever has it runs it.
    fn admit(
        &self,
        wanted: Wanted,
        mut kind_given: bool,
        mut replace: bool,
        dry_run: bool,
    ) -> Result<Admitted, BackendError> {
        let Wanted { origin, mut image, sha256, profile } = wanted;
        let name = image.name.clone();
        let mut record = true;
        if let Some((own, owner)) = self.inventory.image_of_file(&name) {
            if own.source.is_some() {
                let (name, owner) = (name.to_string(), owner.clone());
                return Err(BackendError::Owned { what: "image", name, owner });
            }
            // The file says how it boots and leaves its files to us, each time anew.
            image = own.clone();
            (replace, record, kind_given) = (true, false, true);
        } else if !replace {
            let images =
                self.inventory.images().map_err(|failure| BackendError::Internal(failure.to_string()))?;
            if images.iter().any(|present| present.resource.name == name) {
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
            return Ok(Admitted { id, view, begin: None });
        }
        for warning in &view.warnings {
            tracing::warn!(image = name.as_str(), source = view.source, "{warning}");
        }
        let cancel = Arc::new(AtomicBool::new(false));
        let asked = Asked { image, origin, sha256, profile, kind_given, replace, record };
        let (waiting, begin) = if sent { (Some((Instant::now(), asked)), None) } else { (None, Some(asked)) };
        {
            let mut jobs = self.lock();
            expire(&mut jobs);
            if jobs.values().filter(|job| !job.view.state.has_ended()).count() >= RUNNING_MAX {
                let problem = Problem::new(429, "R-IMG-05", "busy", "too many imports at a time")
                    .with_cause(format!("{RUNNING_MAX} are running"))
                    .with_fix("start it again when one of them is done: reveille image imports");
                return Err(BackendError::Problem(problem));
            }
            remember(&mut jobs, id, Job { view: view.clone(), cancel, waiting });
        }
        Ok(Admitted { id, view, begin })
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

    fn progress(&self, id: u64) -> Progress<'_> {
        let cancel = self.lock().get(&id).map(|job| job.cancel.clone()).unwrap_or_default();
        Progress { importer: self, id, cancel, phase: String::new() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a job, and forgets the oldest that has ended where there are too many.
fn remember(jobs: &mut BTreeMap<u64, Job>, id: u64, job: Job) {
    while jobs.len() >= JOBS_MAX {
        let ended = jobs.iter().find(|(_, job)| job.view.state.has_ended()).map(|(id, _)| *id);
        let Some(ended) = ended else { break };
        jobs.remove(&ended);
    }
    jobs.insert(id, job);
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

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
