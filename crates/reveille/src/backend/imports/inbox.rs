//! What somebody put into the inbox, imported: a job like the others, run by the thread that watches the folder.

use super::{Importer, Job, end, now_ms, remember};
use crate::backend::fault::Fault;
use crate::backend::wanted::{Origin, Wanted, name_of_file};
use admin::BackendError;
use admin::view::{ImportState, ImportView, timestamp};
use library::manifest::check_file_name;
use library::{Imported, Source};
use std::path::Path;
use std::sync::atomic::Ordering;
use types::resource::{Image, ImageKind, Name};
use types::{Event, EventName, EventSink};

/// Why something in the inbox was not imported.
#[derive(Debug)]
pub(crate) enum Unimported {
    /// Nothing is wrong with it; it may go later.
    Later(Fault),
    /// It is refused.
    Refused(Fault),
}

impl Importer {
    /// Imports what is called `name` in the inbox and can be opened as `path`; blocks. An image of its name gets a new
    /// version.
    ///
    /// # Errors
    /// [`Unimported::Later`] while there are too many imports, its image is being imported, or it is being written.
    pub(crate) fn import_found(
        &self,
        path: &Path,
        name: &str,
        is_folder: bool,
    ) -> Result<Imported, Unimported> {
        let Some(image) = library::export::name_within(path).or_else(|| name_of_file(name, is_folder)) else {
            let fault = Fault::new("no_name", format!("no name of an image follows from `{name}`"))
                .fix("call it by letters, digits and hyphens, at most 63, such as rescue-2.iso");
            return Err(self.refuse_found(name, fault));
        };
        if self.is_importing(&image) {
            let text = format!("image `{image}` is being imported already");
            return Err(Unimported::Later(Fault::new("import_under_way", text)));
        }
        let source = Source::Held {
            path: path.to_owned(),
            of: source_text(name),
            name: match check_file_name(name) {
                Ok(()) => name.to_owned(),
                Err(_) => format!("{image}.iso"),
            },
        };
        let wanted = Wanted {
            origin: Origin::Here(source),
            image: Image::new(image, ImageKind::Linux),
            sha256: None,
            profile: None,
        };
        let admitted = self.admit(wanted, false, true, false).map_err(|error| match error {
            BackendError::Owned { what, name: own, owner } => {
                let text = format!("{what} `{own}` has a source of its own, at {owner}");
                let fault = Fault::new("image_owned", text)
                    .fix("call it otherwise, or remove `source` of that image");
                self.refuse_found(name, fault)
            }
            BackendError::Problem(problem) if problem.status == 429 => {
                Unimported::Later(Fault::new("busy", problem.title))
            }
            // The store, not the file.
            BackendError::Internal(text) => Unimported::Later(Fault::new("store_failed", text)),
            other => self.refuse_found(name, Fault::new("refused", other.to_string())),
        })?;
        let Some(asked) = admitted.begin else {
            return Err(Unimported::Later(Fault::new("busy", "it was not begun")));
        };
        self.run(admitted.id, asked).map_err(|fault| match fault.reason {
            "import_under_way" | "source_changed" => Unimported::Later(fault),
            "source_unreadable" => Unimported::Refused(fault.fix("let the appliance's user read it")),
            "image_unrecognised" => Unimported::Refused(fault.fix(
                "describe the image under resources.images without a source, or use reveille image import with --kernel",
            )),
            _ => Unimported::Refused(fault),
        })
    }

    /// Puts on the list, and tells of, what is refused before anything of it is read.
    pub(crate) fn refuse_found(&self, name: &str, fault: Fault) -> Unimported {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.world.record(
            Event::new(EventName::ImageImportFailed)
                .because(fault.reason)
                .with("source", source_text(name))
                .with("cause", fault.cause.clone()),
        );
        let mut view = ImportView {
            id: id.to_string(),
            source: source_text(name),
            state: ImportState::Failed,
            started: timestamp(now_ms()),
            ..ImportView::default()
        };
        end(&mut view, &fault);
        remember(&mut self.lock(), id, Job { view, cancel: Default::default(), waiting: None });
        Unimported::Refused(fault)
    }

    /// True while another job has this image.
    fn is_importing(&self, image: &Name) -> bool {
        let jobs = self.lock();
        let mut open = jobs.values().filter(|job| !job.view.state.has_ended());
        open.any(|job| job.view.name.as_deref() == Some(image.as_str()))
    }
}

/// How the source is shown: in the list of imports, in events, and with the image.
fn source_text(name: &str) -> String {
    format!("inbox:{name}")
}
