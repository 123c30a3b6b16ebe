//! What a job says of itself while it works.

use super::Importer;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Who a job's work reports to.
pub(super) struct Progress<'a> {
    pub(super) importer: &'a Importer,
    pub(super) id: u64,
    pub(super) cancel: Arc<AtomicBool>,
    pub(super) phase: String,
}

impl Progress<'_> {
    pub(super) fn tell(&mut self, phase: &str, done: u64, total: Option<u64>) {
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

    pub(super) fn is_cancelled(&self) -> bool {
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
