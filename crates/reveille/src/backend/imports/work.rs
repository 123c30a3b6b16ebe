//! One import from its beginning to its end: fetched, checked, read, told of, and what it replaced swept.

use super::{Asked, Importer, Job, SENT, end, now_ms, remember};
use crate::backend::fault::Fault;
use crate::backend::images;
use crate::backend::wanted::Origin;
use crate::failure::chain;
use admin::view::{ImportState, ImportView, timestamp};
use fetch::{Fetched, Location};
use library::limits::VERSIONS_KEEP;
use library::{ImportError, Imported, Source};
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use types::resource::{Image, Name};
use types::{Event, EventName, EventSink, UnixTime};

impl Importer {
    /// Imports an image of the configuration file; blocks. The same version is not copied again.
    ///
    /// Of what is here already by the hash that the file asks for, nothing is fetched or read. `cancel` ends what is fetched;
    /// cancelling the job, also after it failed, sets it.
    pub(crate) fn import_from_file(
        &self,
        image: &Image,
        origin: Origin,
        cancel: &Arc<AtomicBool>,
    ) -> Result<Imported, Fault> {
        if let Some(kept) = self.kept(image)? {
            self.make_catalog();
            return Ok(kept);
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let name = image.name.clone();
        let remote = matches!(origin, Origin::There(_));
        let asked = Asked {
            image: image.clone(),
            origin,
            sha256: image.sha256.as_ref().map(|text| text.to_ascii_lowercase()),
            profile: None,
            kind_given: true,
            replace: true,
            record: false,
        };
        if remote {
            self.list(id, &asked, cancel.clone());
        }
        let done = self.run(id, asked);
        if done.as_ref().is_ok_and(|imported| imported.changed) {
            self.prune(&name);
        }
        done
    }

    /// Whether an image of the file is here by the hash that the file asks for; with the next catalog it boots as the file says.
    pub(crate) fn keep(&self, image: &Image) -> Result<bool, Fault> {
        Ok(self.kept(image)?.is_some())
    }

    fn kept(&self, image: &Image) -> Result<Option<Imported>, Fault> {
        let kept = self.library.keep_by_hash(image)?;
        if let Some(kept) = &kept {
            self.inventory.complete(kept.image.clone());
        }
        Ok(kept)
    }

    /// An import that takes its time is among those that are listed.
    fn list(&self, id: u64, asked: &Asked, cancel: Arc<AtomicBool>) {
        let view = ImportView {
            id: id.to_string(),
            source: asked.origin.to_string(),
            name: Some(asked.image.name.to_string()),
            state: ImportState::Running,
            started: timestamp(now_ms()),
            ..ImportView::default()
        };
        let job = Job { view, cancel, waiting: None };
        remember(&mut self.lock(), id, job);
    }

    pub(super) fn run(&self, id: u64, asked: Asked) -> Result<Imported, Fault> {
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

    pub(super) fn sweep_after(&self, outcome: &Result<Imported, Fault>, replace: bool) {
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
                return Err(fault.passing());
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
    pub(super) fn check(&self, id: u64, path: Option<&Path>, expected: Option<&str>) -> Result<(), Fault> {
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

    pub(super) fn import(&self, id: u64, asked: &Asked, source: Source) -> Result<Imported, ImportError> {
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

    pub(super) fn begun(&self, name: &Name, origin: &Origin) {
        let source = match origin {
            Origin::Sent => SENT.to_owned(),
            origin => origin.to_string(),
        };
        self.world.record(
            Event::new(EventName::ImageImportStarted).with("image", name.shared()).with("source", source),
        );
    }

    pub(super) fn ended(&self, id: u64, name: &Name, outcome: &Result<Imported, Fault>, record: bool) {
        match outcome {
            Ok(imported) if !record => self.take_over(&imported.image),
            Ok(_) => self.make_catalog(),
            Err(_) => {}
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

    /// Takes over how an image of the file boots, as its files completed it.
    fn take_over(&self, image: &Image) {
        self.inventory.complete(image.clone());
        self.make_catalog();
    }

    /// Puts in force what is known of images now.
    pub(crate) fn make_catalog(&self) {
        let _changing = self.inventory.change();
        if let Err(failure) = self.inventory.catalog().map(|catalog| self.world.replace_catalog(catalog)) {
            tracing::error!(%failure, "the catalog could not be made anew after an import");
        }
    }

    /// Removes versions that nobody asked to keep: a source that changes with every start would fill the disk.
    fn prune(&self, name: &Name) {
        let _changing = self.inventory.change();
        let Some(versions) = self.library.versions(name.as_str()) else { return };
        let pruned = self.inventory.pins().map_err(|failure| failure.to_string()).and_then(|pins| {
            let pinned = images::pinned_ids(&versions, &pins);
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
}
