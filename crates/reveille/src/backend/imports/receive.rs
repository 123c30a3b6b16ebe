//! Bytes that somebody sends: taken as the body of a request, kept in a file of ours, then imported like a medium.

use super::progress::Progress;
use super::{Asked, Importer, SENT, expire};
use crate::backend::fault::Fault;
use admin::view::{ImportState, ImportView};
use admin::{BackendError, Problem};
use library::{ImportError, Imported, Source, Spooled};
use std::io::{self, Read, Write};
use std::sync::Arc;

/// Bytes received between two looks at the room on the disk.
const ROOM_LOOK_BYTES: u64 = 64 << 20;

impl Importer {
    /// Takes the bytes of a job that waits for them, and starts it when all have come.
    pub(in crate::backend) fn receive(
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
}
