//! Imports as jobs: started by the API or the configuration file, watched by their id, one event at each end.

use crate::failure::chain;
use crate::inventory::Inventory;
use crate::world::World;
use admin::view::{ImportRequest, ImportState, ImportView, timestamp};
use admin::{BackendError, FieldError, Problem};
use library::limits::VERSIONS_KEEP;
use library::{ImportError, Imported, Library, Source, Watch};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use types::resource::{Image, ImageKind, Name};
use types::{Event, EventName, EventSink, UnixTime};

/// Ended imports remembered.
const JOBS_MAX: usize = 100;
/// Imports at a time: each reads and writes the same disk.
const RUNNING_MAX: usize = 4;

/// Runs imports and remembers how they went.
pub(crate) struct Importer {
    library: Library,
    inventory: Arc<Inventory>,
    world: Arc<World>,
    jobs: Mutex<BTreeMap<u64, ImportView>>,
    next: AtomicU64,
}

impl Importer {
    pub(crate) fn new(library: Library, inventory: Arc<Inventory>, world: Arc<World>) -> Importer {
        Importer { library, inventory, world, jobs: Mutex::default(), next: AtomicU64::new(1) }
    }

    /// Starts a job on a thread of its own and returns at once.
    pub(super) fn start(
        self: &Arc<Self>,
        request: ImportRequest,
        dry_run: bool,
    ) -> Result<ImportView, BackendError> {
        let (source, mut image) = read_request(&request)?;
        let mut kind_given = request.kind.is_some() || image.kind != ImageKind::Linux;
        let name = image.name.clone();
        let (mut replace, mut record) = (request.replace, true);
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
        let view = ImportView {
            id: id.to_string(),
            source: request.source.clone(),
            name: Some(name.to_string()),
            state: ImportState::Running,
            started: timestamp(now_ms()),
            ..ImportView::default()
        };
        if dry_run {
            return Ok(view);
        }
        {
            let mut jobs = self.lock();
            if jobs.values().filter(|job| job.state == ImportState::Running).count() >= RUNNING_MAX {
                let problem = Problem::new(429, "R-IMG-05", "busy", "too many imports at a time")
                    .with_cause(format!("{RUNNING_MAX} are running"))
                    .with_fix("start it again when one of them is done");
                return Err(BackendError::Problem(problem));
            }
            while jobs.len() >= JOBS_MAX {
                let ended = jobs.iter().find(|(_, job)| job.state != ImportState::Running).map(|(id, _)| *id);
                let Some(ended) = ended else { break };
                jobs.remove(&ended);
            }
            jobs.insert(id, view.clone());
        }
        let importer = Arc::clone(self);
        let spawned = std::thread::Builder::new().name(format!("import-{id}")).spawn(move || {
            let asked = Asked { image, source, profile: request.profile, kind_given, replace, record };
            let done = importer.run(id, asked);
            if done.is_ok() && replace {
                importer.sweep();
            }
        });
        match spawned {
            Ok(_) => Ok(view),
            Err(error) => {
                self.lock().remove(&id);
                Err(BackendError::Internal(format!("cannot start an import thread: {error}")))
            }
        }
    }

    /// Imports an image of the configuration file; blocks. The same version is not copied again.
    pub(crate) fn import_from_file(&self, image: &Image, source: Source) -> Result<Imported, ImportError> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let image = image.clone();
        let name = image.name.clone();
        let done = self
            .run(id, Asked { image, source, profile: None, kind_given: true, replace: true, record: false });
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
        self.lock().values().cloned().collect()
    }

    pub(super) fn view(&self, id: &str) -> Option<ImportView> {
        self.lock().get(&id.parse().ok()?).cloned()
    }

    fn run(&self, id: u64, asked: Asked) -> Result<Imported, ImportError> {
        let Asked { image, source, profile, kind_given, replace, record } = asked;
        let name = image.name.shared();
        self.world.record(
            Event::new(EventName::ImageImportStarted)
                .with("image", name.clone())
                .with("source", source.to_string()),
        );
        let now = UnixTime(now_ms() / 1000);
        let request =
            library::ImportRequest { image, source, profile, kind_given, replace, record_image: record, now };
        let mut watch = Progress { importer: self, id };
        let outcome = self.library.import(&request, &mut watch);
        if let (Ok(imported), false) = (&outcome, record) {
            self.inventory.complete(imported.image.clone());
        }
        if outcome.is_ok() {
            let _changing = self.inventory.change();
            if let Err(failure) = self.inventory.catalog().map(|catalog| self.world.replace_catalog(catalog))
            {
                tracing::error!(%failure, "the catalog could not be made anew after an import");
            }
        }
        match &outcome {
            Ok(imported) => self.world.record(
                Event::new(EventName::ImageImportDone)
                    .with("image", name)
                    .with("bytes", imported.manifest.bytes())
                    .with("new_bytes", imported.new_bytes)
                    .with("files", imported.manifest.files.len() as u64)
                    .with("changed", imported.changed),
            ),
            Err(error) => self.world.record(
                Event::new(EventName::ImageImportFailed)
                    .because(error.reason())
                    .with("image", name)
                    .with("cause", chain(error)),
            ),
        }
        if let Some(job) = self.lock().get_mut(&id) {
            job.ended = Some(timestamp(now_ms()));
            match &outcome {
                Ok(imported) => {
                    job.state = ImportState::Done;
                    job.bytes_done = imported.manifest.bytes();
                    job.bytes_total = Some(job.bytes_done);
                    job.files_done = imported.manifest.files.len() as u64;
                }
                Err(error) => {
                    job.state = ImportState::Failed;
                    job.error = Some(problem_of(error));
                }
            }
        }
        outcome
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, ImportView>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one import is to do.
struct Asked {
    image: Image,
    source: Source,
    profile: Option<String>,
    kind_given: bool,
    replace: bool,
    record: bool,
}

struct Progress<'a> {
    importer: &'a Importer,
    id: u64,
}

impl Watch for Progress<'_> {
    fn advanced(&mut self, done: u64, total: u64, file: &str) {
        if let Some(job) = self.importer.lock().get_mut(&self.id) {
            job.bytes_done = done;
            job.bytes_total = Some(total);
            file.clone_into(&mut job.phase);
        }
    }
}

fn problem_of(error: &ImportError) -> Problem {
    let problem = Problem::new(422, "R-IMG-03", "import-failed", error.to_string()).with_cause(chain(error));
    match error {
        ImportError::PackageMissing { package, .. } => {
            *problem.with_fix(format!("apt-get install {package}"))
        }
        _ => *problem,
    }
}

/// Where the files come from and the profile as far as the request has it.
fn read_request(request: &ImportRequest) -> Result<(Source, Image), BackendError> {
    let fault = |pointer: &str, detail: String| BackendError::Invalid {
        what: "import",
        errors: vec![FieldError { pointer: pointer.to_owned(), detail }],
    };
    let base = |path: &str| PathBuf::from(path).file_name().map(|name| name.to_string_lossy().into_owned());
    let (source, kernel, initrd) = if request.source == "files" {
        let kernel =
            request.kernel.as_ref().ok_or_else(|| fault("/kernel", "files need a kernel".to_owned()))?;
        let paths: Vec<PathBuf> = std::iter::once(kernel).chain(&request.initrd).map(PathBuf::from).collect();
        let initrd = request.initrd.iter().filter_map(|path| base(path)).collect();
        (Source::Files(paths), base(kernel), initrd)
    } else {
        // A path alone is a folder, or a medium told by its first bytes.
        let source = request.source.parse::<Source>().map_err(|error| fault("/source", error.to_string()))?;
        (source, request.kernel.clone(), request.initrd.clone())
    };
    let name = match &request.name {
        Some(name) => name.clone(),
        None => source
            .path()
            .and_then(library::export::name_within)
            .or_else(|| derived_name(&source))
            .ok_or_else(|| fault("/name", format!("no name follows from `{}`; give one", request.source)))?,
    };
    let image = Image {
        kind: request.kind.unwrap_or(if request.script.is_some() {
            ImageKind::IpxeScript
        } else {
            ImageKind::Linux
        }),
        kernel,
        initrd,
        script: request.script.clone(),
        efi: request.efi.clone(),
        disk: request.disk.clone(),
        base: request.base.clone(),
        modules: request.modules.clone(),
        stateless: request.stateless,
        template: request.template.clone(),
        cmdline: request.cmdline.clone().unwrap_or_default(),
        destructive: request.destructive.unwrap_or(false),
        firmware: request.firmware.clone(),
        description: request.description.clone().unwrap_or_default(),
        ..Image::new(name, ImageKind::Linux)
    };
    Ok((source, image))
}

/// `debian-netboot` is its own name; a folder or a medium gives its last part without `.iso` and the like, made a DNS
/// label.
fn derived_name(source: &Source) -> Option<Name> {
    let text = match source {
        Source::DebianNetboot { .. } | Source::Memtest { .. } => source.to_string(),
        source => source.path()?.file_name()?.to_string_lossy().into_owned(),
    };
    let is_folder = matches!(source, Source::Dir(_));
    let ending = [".iso", ".tar.gz", ".tgz", ".tar", ".zip"].into_iter().find(|ending| {
        !is_folder && text.len() > ending.len() && text.to_ascii_lowercase().ends_with(ending)
    });
    let text = text.get(..text.len() - ending.map_or(0, str::len)).unwrap_or(&text);
    let label: String = text
        .to_ascii_lowercase()
        .chars()
        .map(|char| if char.is_ascii_alphanumeric() { char } else { '-' })
        .collect();
    label.trim_matches('-').parse().ok()
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_from_sources_where_they_can() {
        let named = |source: Source| derived_name(&source).map(|name| name.to_string());
        assert_eq!(named(Source::Dir("/srv/Rescue_2.1/".into())).as_deref(), Some("rescue-2-1"));
        assert_eq!(named("debian-netboot".parse().unwrap()).as_deref(), Some("debian-netboot"));
        assert_eq!(named(Source::Files(vec!["/boot/vmlinuz".into()])), None);
        assert_eq!(named("/iso/VMware-ESXi_8.0.ISO".parse().unwrap()).as_deref(), Some("vmware-esxi-8-0"));
        assert_eq!(named(Source::Tar("/srv/netboot.tar.gz".into())).as_deref(), Some("netboot"));
    }

    #[test]
    fn files_are_named_by_their_last_part() {
        let request = ImportRequest {
            source: "files".into(),
            name: Some("tiny".parse().unwrap()),
            kernel: Some("/boot/vmlinuz".into()),
            initrd: vec!["/boot/initrd.img".into()],
            ..ImportRequest::default()
        };
        let (_, image) = read_request(&request).unwrap();
        assert_eq!(
            (image.kernel.as_deref(), image.initrd.as_slice()),
            (Some("vmlinuz"), ["initrd.img".to_owned()].as_slice())
        );
        let faulty = ImportRequest { kernel: None, ..request };
        assert!(matches!(read_request(&faulty), Err(BackendError::Invalid { .. })));
    }
}
