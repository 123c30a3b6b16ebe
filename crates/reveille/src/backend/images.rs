//! Versions of images behind the API: what is current, tagged and used, what may go, and images as files.

use super::{Daemon, check_write, internal};
use crate::failure::chain;
use crate::inventory::{API_OWNER, Owned, Pin};
use crate::world::World;
use admin::view::{
    ImageView, PruneReport, PruneRequest, VerifyFinding, VerifyLine, VerifyReport, VersionView, timestamp,
};
use admin::{BackendError, Download, Expect, Problem};
use library::limits::{VERSIONS_KEEP, VERSIONS_MAX};
use library::{LibraryError, Manifest, VerifyStep, Versions};
use plan::Decider;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use types::resource::{Image, Name};
use types::{Event, EventName, EventSink};

/// Users shown in a message.
const USERS_SHOWN: usize = 4;
/// A verification under way says so this often.
const SAY_EACH: Duration = Duration::from_secs(1);

impl Daemon {
    pub(super) fn image_view(&self, image: &Owned<Image>, pins: &[Pin]) -> ImageView {
        let name = &image.resource.name;
        let versions = self.library.versions(name.as_str());
        let current = versions.as_ref().map(|versions| &versions.current);
        ImageView {
            image: image.resource.clone(),
            managed_by: image.owner.clone(),
            revision: image.revision.0,
            bytes: current.map_or(0, |manifest| manifest.bytes()),
            files: current.map_or(0, |manifest| manifest.files.len() as u64),
            imported: current.map(|manifest| imported(manifest)),
            fault: current.is_none().then(|| {
                format!("its files are not there: reveille image import DIR --name {}", image.resource.name)
            }),
            notes: current.map_or_else(Vec::new, |manifest| self.notes(&image.resource, manifest)),
            version: current.map(|manifest| manifest.id().to_string()),
            versions: versions
                .as_ref()
                .map(|versions| version_views(versions, name, pins))
                .unwrap_or_default(),
            tags: versions
                .iter()
                .flat_map(|versions| &versions.tags)
                .map(|(tag, id)| (tag.to_string(), id.to_string()))
                .collect(),
        }
    }

    /// What its medium asks for, and what to know on which firmware.
    fn notes(&self, image: &Image, manifest: &Manifest) -> Vec<String> {
        let firmware = image.notes(&tree::holds(&self.library, image), None);
        manifest.notes.iter().cloned().chain(firmware).collect()
    }

    fn found_image(&self, name: &Name) -> Result<Owned<Image>, BackendError> {
        let image = self.owned_image(name)?;
        image.ok_or_else(|| BackendError::NotFound { what: "image", name: name.to_string() })
    }

    fn view_again(&self, name: &Name) -> Result<ImageView, BackendError> {
        let pins = self.inventory.pins().map_err(internal)?;
        Ok(self.image_view(&self.found_image(name)?, &pins))
    }

    fn changed(&self, name: &Name, event: Event) -> Result<(), BackendError> {
        self.replace_catalog()?;
        self.world.record(event.with("image", name.shared()));
        Ok(())
    }
}

fn imported(manifest: &Manifest) -> String {
    timestamp(manifest.imported.saturating_mul(1000))
}

fn version_views(versions: &Versions, name: &Name, pins: &[Pin]) -> Vec<VersionView> {
    let view = |manifest: &Arc<Manifest>| {
        let id = manifest.id();
        let stays = |pin: &&Pin| {
            pin.image == *name && versions.pinned(&pin.version).is_some_and(|pinned| pinned.id() == id)
        };
        VersionView {
            id: id.to_string(),
            current: id == versions.current.id(),
            imported: imported(manifest),
            source: manifest.source.clone(),
            release: manifest.version.clone(),
            bytes: manifest.bytes(),
            files: manifest.files.len() as u64,
            tags: versions.tags_of(id).map(ToString::to_string).collect(),
            hosts: pins.iter().filter(stays).map(|pin| pin.by.clone()).collect(),
        }
    };
    versions.newest_first().into_iter().map(view).collect()
}

/// What the library said, as the API says it.
fn refused(what: String, name: &Name, error: &LibraryError) -> BackendError {
    let problem =
        |status, code, kind| Problem::new(status, code, kind, what.clone()).with_cause(chain(error));
    let show = format!("reveille image get {name} shows its versions and tags");
    BackendError::Problem(match error {
        LibraryError::ImportUnderWay => problem(409, "R-IMG-07", "under-way")
            .with_fix("try again when what is under way is done: reveille image list"),
        LibraryError::NoImage(_) => problem(404, "R-IMG-08", "no-files")
            .with_fix(format!("import them: reveille image import SOURCE --name {name}")),
        LibraryError::NoVersion { .. } | LibraryError::NoEarlier(_) => {
            problem(404, "R-IMG-09", "no-version").with_fix(show)
        }
        LibraryError::VersionUnclear { .. } => problem(422, "R-IMG-09", "version-unclear").with_fix(show),
        LibraryError::TagRefused(_) => {
            problem(422, "R-IMG-10", "tag-refused").with_fix("choose another, such as `stable`")
        }
        LibraryError::TooManyTags(_) => {
            problem(409, "R-IMG-10", "too-many-tags").with_fix(format!("reveille image untag {name} TAG"))
        }
        LibraryError::Blob(_) => problem(500, "R-IMG-11", "damaged")
            .with_fix(format!("reveille image verify {name} names every damaged file; import them again")),
        error => return BackendError::Internal(chain(error)),
    })
}

fn shown(users: &[String]) -> String {
    let some = users.iter().take(USERS_SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match users.len().saturating_sub(USERS_SHOWN) {
        0 => some,
        more => format!("{some} and {more} more"),
    }
}

/// Who cannot boot any more when the image goes: hosts that name it and images that stand on it.
fn users(daemon: &Daemon, name: &Name) -> Result<Option<Box<Problem>>, BackendError> {
    let catalog = daemon.world.catalog();
    let hosts = catalog.hosts().filter(|host| host.image.as_ref() == Some(name));
    let mut hosts: Vec<String> = hosts.map(|host| host.name.to_string()).collect();
    let groups = catalog.groups().filter(|group| group.image.as_ref() == Some(name));
    hosts.extend(groups.map(|group| format!("group {}", group.name)));
    let rules = catalog.rules().iter().filter(|rule| rule.image.as_ref() == Some(name));
    hosts.extend(rules.map(|rule| format!("rule {}", rule.name)));
    let images = daemon.inventory.images().map_err(internal)?;
    let above = images.iter().filter(|image| image.resource.base.as_ref() == Some(name));
    let above: Vec<String> = above.map(|image| image.resource.name.to_string()).collect();
    let problem = Problem::new(409, "R-IMG-06", "in-use", format!("image `{name}` is in use"));
    Ok(match (hosts.as_slice(), above.as_slice()) {
        ([], []) => None,
        ([], above) => Some(
            problem
                .with_cause(format!("images {} stand on it", shown(above)))
                .with_fix(format!("remove them first, or all the same: reveille image rm {name} --force")),
        ),
        (hosts, _) => Some(problem.with_cause(format!("{} boot it", shown(hosts))).with_fix(format!(
            "give them another image first: reveille host set HOST --image OTHER, or: reveille image rm {name} --force"
        ))),
    })
}

pub(super) fn delete(
    daemon: &Daemon,
    name: &Name,
    expect: Expect,
    force: bool,
    dry_run: bool,
) -> Result<u64, BackendError> {
    let _changing = daemon.inventory.change();
    let current = daemon.owned_image(name)?;
    check_write("image", name, current.as_ref(), expect)?;
    if !force && let Some(problem) = users(daemon, name)? {
        return Err(BackendError::Problem(problem));
    }
    if dry_run {
        return Ok(daemon.revision());
    }
    let deleted = daemon.library.delete(name.as_str());
    deleted.map_err(|error| refused(format!("image `{name}` was not removed"), name, &error))?;
    daemon.replace_catalog()?;
    match daemon.library.collect() {
        Ok(swept) => daemon.world.record(
            Event::new(EventName::ImageDeleted).with("image", name.shared()).with("freed_bytes", swept.bytes),
        ),
        // The next removal sweeps them.
        Err(error) => tracing::warn!(cause = chain(&error), "unused image files stay for now"),
    }
    Ok(daemon.revision())
}

pub(super) fn rollback(daemon: &Daemon, name: &Name, to: Option<&Name>) -> Result<ImageView, BackendError> {
    let _changing = daemon.inventory.change();
    let image = daemon.found_image(name)?;
    let of_file = image.owner != API_OWNER;
    if of_file && image.resource.source.is_some() {
        // The next start would import that source again.
        return Err(BackendError::Owned { what: "image", name: name.to_string(), owner: image.owner });
    }
    let before = daemon.library.manifest(name.as_str());
    let now = daemon
        .library
        .rollback(name.as_str(), to, !of_file)
        .map_err(|error| refused(format!("image `{name}` was not rolled back"), name, &error))?;
    if before.as_ref().is_none_or(|before| before.id() != now.id()) {
        let event = Event::new(EventName::ImageChanged).with("version", now.id().shared());
        daemon.changed(name, event)?;
    }
    daemon.view_again(name)
}

pub(super) fn tag(
    daemon: &Daemon,
    name: &Name,
    tag: &Name,
    version: Option<&Name>,
) -> Result<ImageView, BackendError> {
    let _changing = daemon.inventory.change();
    daemon.found_image(name)?;
    let id = daemon
        .library
        .tag(name.as_str(), tag, version)
        .map_err(|error| refused(format!("image `{name}` was not tagged"), name, &error))?;
    let event = Event::new(EventName::ImageChanged).with("tag", tag.shared()).with("version", id.shared());
    daemon.changed(name, event)?;
    daemon.view_again(name)
}

pub(super) fn untag(daemon: &Daemon, name: &Name, tag: &Name) -> Result<ImageView, BackendError> {
    let _changing = daemon.inventory.change();
    daemon.found_image(name)?;
    let pins = daemon.inventory.pins().map_err(internal)?;
    let stay = pins.iter().filter(|pin| pin.image == *name && pin.version == *tag);
    let stay: Vec<String> = stay.map(|pin| pin.by.clone()).collect();
    if !stay.is_empty() {
        let what = format!("tag `{tag}` of image `{name}` is in use");
        let problem = Problem::new(409, "R-IMG-06", "in-use", what)
            .with_cause(format!("hosts {} stay at it", shown(&stay)))
            .with_fix(format!(
                "give them another version first: reveille host set HOST --image {name}@VERSION"
            ));
        return Err(BackendError::Problem(problem));
    }
    let id = daemon
        .library
        .untag(name.as_str(), tag)
        .map_err(|error| refused(format!("tag `{tag}` of image `{name}` was not removed"), name, &error))?;
    let Some(id) = id else {
        return Err(BackendError::NotFound { what: "tag", name: format!("{name}@{tag}") });
    };
    let event = Event::new(EventName::ImageChanged).with("untagged", tag.shared());
    daemon.changed(name, event.with("version", id.shared()))?;
    daemon.view_again(name)
}

/// Ids of an image that hosts stay at.
pub(super) fn pinned_ids(versions: &Versions, pins: &[Pin]) -> BTreeSet<Name> {
    let own = pins.iter().filter(|pin| pin.image == versions.current.image);
    own.filter_map(|pin| versions.pinned(&pin.version)).map(|manifest| manifest.id().clone()).collect()
}

pub(super) fn prune(daemon: &Daemon, request: &PruneRequest) -> Result<PruneReport, BackendError> {
    let _changing = daemon.inventory.change();
    let keep = request.keep.unwrap_or(VERSIONS_KEEP).min(VERSIONS_MAX);
    let images = match request.images.as_slice() {
        [] => daemon.library.all_versions(),
        named => {
            let found = |name: &Name| {
                let versions = daemon.library.versions(name.as_str());
                versions.ok_or_else(|| BackendError::NotFound { what: "image", name: name.to_string() })
            };
            named.iter().map(found).collect::<Result<_, _>>()?
        }
    };
    let pins = daemon.inventory.pins().map_err(internal)?;
    let mut report = PruneReport { dry_run: request.dry_run, ..PruneReport::default() };
    for versions in images {
        let name = &versions.current.image;
        let pinned = pinned_ids(&versions, &pins);
        let pruned = daemon
            .library
            .prune(name.as_str(), keep, &pinned, request.dry_run)
            .map_err(|error| refused(format!("image `{name}` was not pruned"), name, &error))?;
        let ids: Vec<String> = pruned.iter().map(|it| it.manifest.id().to_string()).collect();
        if !request.dry_run && !ids.is_empty() {
            daemon.changed(name, Event::new(EventName::ImagePruned).with("versions", ids.join(" ")))?;
        }
        report.removed.extend(pruned.iter().map(|it| it.image.at_version(it.manifest.id()).to_string()));
    }
    if !request.dry_run {
        match daemon.library.collect() {
            Ok(swept) => (report.blobs, report.bytes) = (swept.blobs, swept.bytes),
            // The next one sweeps them.
            Err(error) => tracing::warn!(cause = chain(&error), "unused image files stay for now"),
        }
    }
    Ok(report)
}

pub(super) fn export(daemon: &Daemon, name: &Name, version: Option<&Name>) -> Result<Download, BackendError> {
    let image = daemon.found_image(name)?;
    let export = daemon
        .library
        .export(name.as_str(), version, Some(&image.resource))
        .map_err(|error| refused(format!("image `{name}` was not exported"), name, &error))?;
    Ok(Download {
        revision: daemon.revision(),
        records: export.manifest().files.len() as u64,
        bytes: Some(export.bytes()),
        pieces: Box::new(export),
    })
}

pub(super) fn verify(daemon: &Daemon, names: &[Name]) -> Result<Download, BackendError> {
    if let Some(absent) = names.iter().find(|name| daemon.library.manifest(name.as_str()).is_none()) {
        return Err(BackendError::NotFound { what: "image", name: absent.to_string() });
    }
    let steps = daemon.library.verifier(names);
    let report = VerifyReport { versions: steps.versions(), files: steps.files(), ..VerifyReport::default() };
    let (bytes_total, versions) = (steps.bytes(), steps.versions());
    let lines = Verifying {
        world: daemon.world.clone(),
        steps,
        bytes_total,
        report: Some(report),
        waiting: VecDeque::new(),
        told: BTreeSet::new(),
    };
    Ok(Download { revision: daemon.revision(), records: versions, bytes: None, pieces: Box::new(lines) })
}

/// The lines of a verification.
struct Verifying {
    world: Arc<World>,
    steps: library::Verifier,
    bytes_total: u64,
    /// Taken when it is sent, last.
    report: Option<VerifyReport>,
    waiting: VecDeque<VerifyFinding>,
    /// Versions there was an event for: one each.
    told: BTreeSet<Name>,
}

impl Verifying {
    fn line(&self, finding: Option<VerifyFinding>, report: Option<VerifyReport>) -> Vec<u8> {
        let of = report.as_ref().or(self.report.as_ref());
        let bytes_done = of.map_or(0, |report| report.bytes);
        let line = VerifyLine { bytes_done, bytes_total: self.bytes_total, finding, report };
        let mut text = serde_json::to_vec(&line).unwrap_or_default();
        text.push(b'\n');
        text
    }
}

impl Iterator for Verifying {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        if let Some(finding) = self.waiting.pop_front() {
            return Some(self.line(Some(finding), None));
        }
        let begun = Instant::now();
        while begun.elapsed() < SAY_EACH {
            let report = self.report.as_mut()?;
            match self.steps.next() {
                Some(VerifyStep::Read(bytes)) => report.bytes += bytes,
                Some(VerifyStep::Bad(files)) => {
                    report.bad += files.len() as u64;
                    for file in files {
                        let image = file.image.at_version(&file.version);
                        if self.told.insert(image.clone()) {
                            self.world.record(
                                Event::new(EventName::ImageVerifyFailed)
                                    .with("image", image.shared())
                                    .with("file", file.name.clone())
                                    .with("cause", file.fault.clone()),
                            );
                        }
                        let image = image.to_string();
                        self.waiting.push_back(VerifyFinding { image, file: file.name, what: file.fault });
                    }
                    let finding = self.waiting.pop_front();
                    return Some(self.line(finding, None));
                }
                None => {
                    report.ok = report.bad == 0;
                    let report = self.report.take();
                    return Some(self.line(None, report));
                }
            }
        }
        Some(self.line(None, None))
    }
}
