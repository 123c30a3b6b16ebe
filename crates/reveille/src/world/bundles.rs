//! What machines tell of the scripts of their bundles: the last run of each, for recorded hosts.
//!
//! Kept in memory to be read, and written every five seconds with what else was observed: a crash may lose the last of it. What a
//! host does not run any more is forgotten when it tells of something else. Of machines without a record there are only events.

use super::{World, lock, unix_now};
use crate::failure::{Failure, chain};
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use store::records::{
    OUTPUT_BYTES_MAX, ScriptRun, bundle_runs_host, bundle_runs_key, decode_bundle_runs, encode_bundle_runs,
};
use store::{Batch, Store, Table};
use tree::{BundleReport, BundleStep, CallbackError};
use types::resource::Name;
use types::resource::bundle::limits::SCRIPTS_OF_MACHINE_MAX;
use types::{Event, EventName};

/// Records read at once.
const SCAN_STEP: usize = 1_000;
/// Records written in one commit: 14 MiB at the very worst.
const FLUSHED_AT_ONCE: usize = 16;

/// The runs of all hosts.
#[derive(Default)]
pub(crate) struct Runs {
    /// `None` in tests: nothing is durable then.
    store: Option<Store>,
    runs: Mutex<HashMap<Name, Arc<Vec<ScriptRun>>>>,
    /// Hosts whose runs in memory are not written yet.
    unwritten: Mutex<BTreeSet<Name>>,
    /// Held while some are read to be written, and while hosts are removed.
    writing: Mutex<()>,
}

impl Runs {
    /// Everything in the store. A record that cannot be read is told of and begun anew.
    pub(crate) fn load(store: Store) -> Result<Runs, Failure> {
        let mut runs = HashMap::new();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let step = store.scan(Table::Boots, after.as_deref(), SCAN_STEP).map_err(|error| {
                Failure::new("R-STO-01", "cannot read boots from the store").cause(chain(&error))
            })?;
            let last = step.len() < SCAN_STEP;
            after = step.last().map(|(key, _)| key.clone());
            for (key, stored) in step {
                let Some(host) = bundle_runs_host(&key) else { continue };
                match decode_bundle_runs(&stored.value) {
                    Ok(own) => drop(runs.insert(host, Arc::new(own))),
                    Err(error) => {
                        tracing::warn!(%host, cause = chain(&error), "what became of its bundles cannot be read");
                    }
                }
            }
            if last {
                return Ok(Runs { store: Some(store), runs: Mutex::new(runs), ..Runs::default() });
            }
        }
    }

    /// What became of a host's scripts, in the order they were first told of.
    pub(crate) fn of(&self, host: &Name) -> Arc<Vec<ScriptRun>> {
        lock(&self.runs).get(host).cloned().unwrap_or_default()
    }

    /// Takes a report over. `still`: whether the host has that script yet.
    fn take(
        &self,
        now: u64,
        host: &Name,
        boot: &str,
        report: &BundleReport,
        still: impl Fn(&ScriptRun) -> bool,
    ) {
        let mut all = lock(&self.runs);
        let own = Arc::make_mut(all.entry(host.clone()).or_default());
        own.retain(still);
        let found = own.iter().position(|run| run.bundle == report.bundle && run.script == report.script);
        let mut run = ScriptRun {
            bundle: report.bundle.clone(),
            script: report.script.clone(),
            boot: boot.to_owned(),
            started: now,
            ended: None,
            exit_status: None,
            output: None,
        };
        if let BundleStep::Exited(status) = report.step {
            let before = found.and_then(|at| own.get(at));
            run.started =
                before.filter(|run| run.boot == boot && run.ended.is_none()).map_or(now, |run| run.started);
            (run.ended, run.exit_status) = (Some(now), Some(status));
            run.output = report.output.as_deref().map(last_words).map(str::to_owned);
        }
        let full = own.len() >= SCRIPTS_OF_MACHINE_MAX;
        match found.and_then(|at| own.get_mut(at)) {
            Some(place) => *place = run,
            None if full => {}
            None => own.push(run),
        }
        drop(all);
        lock(&self.unwritten).insert(host.clone());
    }

    /// Writes what was told since the last time. What cannot be written stays for the next. Blocks on the disk.
    pub(crate) fn flush(&self) {
        let Some(store) = &self.store else { return };
        let hosts: Vec<Name> = std::mem::take(&mut *lock(&self.unwritten)).into_iter().collect();
        for some in hosts.chunks(FLUSHED_AT_ONCE) {
            let _writing = lock(&self.writing);
            let mut batch = Batch::new();
            for host in some {
                // Removed since.
                let Some(own) = lock(&self.runs).get(host).cloned() else { continue };
                match encode_bundle_runs(&own) {
                    Ok(value) => batch = batch.put(Table::Boots, bundle_runs_key(host), value),
                    Err(error) => {
                        tracing::error!(%host, cause = chain(&error), "what became of its bundles has no stored form");
                    }
                }
            }
            if let Err(error) = store.commit_blocking(batch) {
                tracing::warn!(
                    cause = chain(&error),
                    hosts = some.len(),
                    "what became of bundles is not durable yet"
                );
                lock(&self.unwritten).extend(some.iter().cloned());
            }
        }
    }

    /// Takes hosts away that are recorded no more: `commit` deletes what the store has of them, and when it did they are
    /// forgotten here. No [`flush`](Runs::flush) comes between.
    pub(super) fn remove_with<T, E>(
        &self,
        hosts: &[Name],
        commit: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let _writing = lock(&self.writing);
        let done = commit()?;
        for host in hosts {
            lock(&self.runs).remove(host);
            lock(&self.unwritten).remove(host);
        }
        Ok(done)
    }
}

/// The end of a text, as much as is kept.
fn last_words(text: &str) -> &str {
    let from =
        (text.len().saturating_sub(OUTPUT_BYTES_MAX)..=text.len()).find(|at| text.is_char_boundary(*at));
    from.and_then(|from| text.get(from..)).unwrap_or_default()
}

impl World {
    /// The same world, which keeps what becomes of bundles.
    pub(crate) fn keeping(self, runs: Runs) -> World {
        World { runs, ..self }
    }

    /// What became of a host's scripts.
    pub(crate) fn bundle_runs(&self, host: &Name) -> Arc<Vec<ScriptRun>> {
        self.runs.of(host)
    }

    /// A machine tells of a script.
    pub(super) fn bundle_reported(
        &self,
        token: &str,
        from: IpAddr,
        report: &BundleReport,
        now: Instant,
    ) -> Result<(), CallbackError> {
        let holder = self.ticket_holder(now, token, from)?;
        let profile = tree::profile_of(self, &holder.facts, holder.host.as_deref());
        let profile = profile.ok_or(CallbackError::BadStage)?;
        let catalog = self.catalog.load();
        let names = profile.bundle_names();
        let runs = |bundle: &Name, script: &Name| {
            names.contains(&bundle)
                && catalog
                    .bundle(bundle.as_str())
                    .is_some_and(|bundle| bundle.script(script.as_str()).is_some())
        };
        if !runs(&report.bundle, &report.script) {
            return Err(CallbackError::BadStage);
        }
        // The same word once more: its answer was lost.
        if !lock(&self.tickets).take_bundle_step(token, report)? {
            return Ok(());
        }
        if let Some(host) = holder.host.as_deref().and_then(|host| host.parse::<Name>().ok()) {
            let still = |run: &ScriptRun| runs(&run.bundle, &run.script);
            self.runs.take(unix_now().0, &host, &holder.boot, report, still);
        }
        let name = match report.step {
            BundleStep::Started => EventName::BundleScriptStarted,
            BundleStep::Exited(0) => EventName::BundleScriptDone,
            BundleStep::Exited(_) => EventName::BundleFailed,
        };
        let mut event = Event::new(name)
            .of(&holder.facts)
            .host(holder.host)
            .boot(Some(holder.boot))
            .with("bundle", report.bundle.shared())
            .with("script", report.script.shared())
            .with("address", from);
        if let BundleStep::Exited(status) = report.step {
            event = event.with("exit_status", u64::from(status));
            // What a script says when all is well is nobody's business but its host's.
            if let Some(output) = report.output.as_deref().filter(|_| status != 0) {
                event = event.with("output", last_words(output));
            }
        }
        self.publish(event);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
