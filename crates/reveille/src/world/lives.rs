//! What must be remembered of each recorded host: armings, one-shots, installations. In the store, and in memory to be read.
//!
//! Steps are taken one after the other, each on the life the last one left. What permits something, or takes a permission
//! away, is durable before anybody is answered; what was only observed is written together every few seconds
//! ([`Lives::flush`]), so that a storm of harmless boots waits for no disk. What a door only noticed ([`Lives::note`]) waits for
//! the next look. Losing either costs nothing but its line in a timeline.

use super::lock;
use crate::failure::{Failure, chain};
use boots::life::{Commit, Effect, Life, LifeEvent, LifeRefusal, Step, step};
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex};
use store::records::{decode_life, encode_life, life_host, life_key};
use store::{Batch, CommitError, Store, Table};
use types::resource::Name;
use types::{Event, EventName, UnixTime};

/// Notes that wait; what comes beyond is only missing in a timeline.
const NOTES_MAX: usize = 65_536;
/// Records read at once.
const SCAN_STEP: usize = 1_000;
/// Lives written in one commit: 32 MiB at the very worst, one in practice.
const FLUSHED_AT_ONCE: usize = 1_000;

/// Why a step was not taken.
#[derive(Debug)]
pub(crate) enum LifeFault {
    /// It does not apply.
    Refused(LifeRefusal),
    /// It could not be made durable.
    Store(CommitError),
    /// It has no stored form.
    Record(String),
    /// The record of this host cannot be read: nothing is permitted until it is forgotten.
    Unreadable,
}

impl fmt::Display for LifeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LifeFault::Refused(refusal) => refusal.fmt(f),
            LifeFault::Store(error) => write!(f, "the store did not take it: {}", chain(error)),
            LifeFault::Record(error) => write!(f, "it cannot be written: {error}"),
            LifeFault::Unreadable => f.write_str(
                "what is remembered of it cannot be read, so nothing is permitted; forget it: reveille host forget",
            ),
        }
    }
}

/// The lives of all hosts.
pub(crate) struct Lives {
    /// `None` in tests and rehearsals: nothing is durable then.
    store: Option<Store>,
    /// Held while a step is taken and made durable.
    stepping: Mutex<()>,
    lives: Mutex<HashMap<Name, Arc<Life>>>,
    /// Hosts whose record could not be read.
    unreadable: Mutex<Vec<Name>>,
    notes: Mutex<Vec<(Name, LifeEvent)>>,
    /// Hosts whose life in memory is not written yet.
    unwritten: Mutex<BTreeSet<Name>>,
}

impl Lives {
    #[cfg(test)]
    pub(crate) fn in_memory() -> Lives {
        Lives {
            store: None,
            stepping: Mutex::default(),
            lives: Mutex::default(),
            unreadable: Mutex::default(),
            notes: Mutex::default(),
            unwritten: Mutex::default(),
        }
    }

    /// Every life in the store. One that cannot be read is told of and permits nothing.
    pub(crate) fn load(store: Store) -> Result<Lives, Failure> {
        let (mut lives, mut unreadable) = (HashMap::new(), Vec::new());
        let mut after: Option<Vec<u8>> = None;
        loop {
            let step = store.scan(Table::Boots, after.as_deref(), SCAN_STEP).map_err(|error| {
                Failure::new("R-STO-01", "cannot read boots from the store").cause(chain(&error))
            })?;
            let last = step.len() < SCAN_STEP;
            after = step.last().map(|(key, _)| key.clone());
            for (key, stored) in step {
                let Some(host) = life_host(&key) else { continue };
                match decode_life(&stored.value) {
                    Ok(life) => drop(lives.insert(host, Arc::new(life))),
                    Err(error) => {
                        tracing::error!(%host, cause = chain(&error), "what is remembered of a host cannot be read; it is given nothing that erases disks");
                        unreadable.push(host);
                    }
                }
            }
            if last {
                break;
            }
        }
        Ok(Lives {
            store: Some(store),
            stepping: Mutex::default(),
            lives: Mutex::new(lives),
            unreadable: Mutex::new(unreadable),
            notes: Mutex::default(),
            unwritten: Mutex::default(),
        })
    }

    /// The same lives, where nothing that happens is durable.
    pub(super) fn rehearsal(&self) -> Lives {
        Lives {
            store: None,
            stepping: Mutex::default(),
            lives: Mutex::new(lock(&self.lives).clone()),
            unreadable: Mutex::new(lock(&self.unreadable).clone()),
            notes: Mutex::default(),
            unwritten: Mutex::default(),
        }
    }

    /// What is remembered of a host; `None` for one of which nothing is.
    pub(crate) fn of(&self, host: &Name) -> Option<Arc<Life>> {
        lock(&self.lives).get(host).cloned()
    }

    /// True when nothing may be permitted, for its record cannot be read.
    pub(crate) fn is_unreadable(&self, host: &Name) -> bool {
        lock(&self.unreadable).contains(host)
    }

    /// Every host of which something is remembered.
    pub(crate) fn all(&self) -> Vec<(Name, Arc<Life>)> {
        lock(&self.lives).iter().map(|(name, life)| (name.clone(), life.clone())).collect()
    }

    /// Something a door noticed and that may be lost.
    pub(crate) fn note(&self, host: Name, event: LifeEvent) {
        let mut notes = lock(&self.notes);
        if notes.len() < NOTES_MAX {
            notes.push((host, event));
        }
    }

    /// What was noticed since the last time.
    pub(crate) fn take_notes(&self) -> Vec<(Name, LifeEvent)> {
        std::mem::take(&mut *lock(&self.notes))
    }

    /// Takes a step. Blocks on the disk when what it did must be durable first.
    ///
    /// # Errors
    /// When it does not apply, or could not be made durable: then it did not happen.
    pub(crate) fn apply(
        &self,
        now: UnixTime,
        host: &Name,
        event: LifeEvent,
    ) -> Result<(Arc<Life>, Vec<Effect>), LifeFault> {
        let _stepping = lock(&self.stepping);
        let forgets = matches!(event, LifeEvent::Forget { .. });
        // What takes a permission away is kept on a full disk, too; everything else waits for room.
        let essential = matches!(
            event,
            LifeEvent::Disarm { .. }
                | LifeEvent::CancelOnce { .. }
                | LifeEvent::Quarantine { .. }
                | LifeEvent::Lock { .. }
        );
        if !forgets && self.is_unreadable(host) {
            return Err(LifeFault::Unreadable);
        }
        let before = self.of(host).unwrap_or_else(|| Arc::new(Life::adopted(now)));
        let Step { life, effects, commit } = step(&before, event, now).map_err(LifeFault::Refused)?;
        if commit == Commit::Nothing {
            return Ok((before, effects));
        }
        let life = Arc::new(life);
        match (&self.store, commit) {
            (None, _) => {}
            (Some(_), Commit::Later | Commit::Nothing) => drop(lock(&self.unwritten).insert(host.clone())),
            (Some(store), Commit::First) => {
                let value = encode_life(&life).map_err(|error| LifeFault::Record(chain(&error)))?;
                let batch = Batch::new().put(Table::Boots, life_key(host), value);
                let batch = if essential { batch.essential() } else { batch };
                store.commit_blocking(batch).map_err(LifeFault::Store)?;
                lock(&self.unwritten).remove(host);
            }
        }
        if forgets {
            lock(&self.unreadable).retain(|other| other != host);
        }
        lock(&self.lives).insert(host.clone(), life.clone());
        Ok((life, effects))
    }

    /// Writes what was observed since the last time. What cannot be written stays for the next. Blocks on the disk.
    pub(crate) fn flush(&self) {
        let Some(store) = &self.store else { return };
        let hosts: Vec<Name> = std::mem::take(&mut *lock(&self.unwritten)).into_iter().collect();
        for some in hosts.chunks(FLUSHED_AT_ONCE) {
            // No step comes between, and no removal: an older life must not be written over a newer one or over none. Steps
            // come between two commits, and each commit has the lives of its moment.
            let _stepping = lock(&self.stepping);
            let mut batch = Batch::new();
            for host in some {
                match self.of(host).map(|life| encode_life(&life)) {
                    Some(Ok(value)) => batch = batch.put(Table::Boots, life_key(host), value),
                    Some(Err(error)) => {
                        tracing::error!(%host, cause = chain(&error), "its life has no stored form")
                    }
                    // Removed since.
                    None => {}
                }
            }
            if let Err(error) = store.commit_blocking(batch) {
                tracing::warn!(
                    cause = chain(&error),
                    hosts = some.len(),
                    "what hosts went through is not durable yet"
                );
                lock(&self.unwritten).extend(some.iter().cloned());
            }
        }
    }

    /// Takes hosts away that are recorded no more: `commit` deletes what the store has of them, and when it did they are
    /// forgotten here. No step and no [`flush`](Lives::flush) comes between, which would write a life again that is deleted,
    /// with its arming. Blocks on the disk.
    pub(super) fn remove_with<T, E>(
        &self,
        hosts: &[Name],
        commit: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let _stepping = lock(&self.stepping);
        let done = commit()?;
        for host in hosts {
            lock(&self.lives).remove(host);
            lock(&self.unwritten).remove(host);
        }
        lock(&self.unreadable).retain(|other| !hosts.contains(other));
        Ok(done)
    }
}

/// The event of an effect; `None` for what the call-back itself is told as.
pub(super) fn event_of(host: &Name, effect: &Effect) -> Option<Event> {
    if matches!(effect, Effect::Up { .. } | Effect::BootFailed { .. }) {
        return None;
    }
    let name = EventName::ALL.iter().find(|name| name.as_str() == effect.name())?;
    let mut event = Event::new(*name).host(Some(host.shared()));
    if effect.is_warning() {
        event.level = types::event::Level::Warn;
    }
    let secs = |time: &UnixTime| time.0;
    Some(match effect {
        Effect::Adopted { by } | Effect::Unlocked { by } | Effect::Forgotten { by } => {
            event.with("by", by.clone())
        }
        Effect::Armed { by, image, expires, retries, again } => {
            let mut event = event.with("by", by.clone()).with("retries", u64::from(*retries));
            if let Some(image) = image {
                event = event.with("image", image.to_string());
            }
            if let Some(expires) = expires {
                event = event.with("expires", secs(expires));
            }
            event.with("again", *again)
        }
        Effect::Disarmed { why, by } => with_by(event.because(why.as_str()), by),
        Effect::OnceOrdered { by, what, expires } => {
            let event = event.with("by", by.clone()).with("what", what.to_string());
            match expires {
                Some(expires) => event.with("expires", secs(expires)),
                None => event,
            }
        }
        Effect::OnceWithdrawn { what, why, by } => {
            with_by(event.because(why.as_str()).with("what", what.to_string()), by)
        }
        Effect::OnceUsed { boot, what } => event.boot(boot.clone()).with("what", what.to_string()),
        Effect::Quarantined { by, reason, until } => {
            let event = event.with("by", by.clone()).with("why", reason.clone());
            match until {
                Some(until) => event.with("until", secs(until)),
                None => event,
            }
        }
        Effect::Released { by } => with_by(event, by),
        Effect::Locked { by, reason } => event.with("by", by.clone()).with("why", reason.clone()),
        Effect::InstallBegan { boot, image, by, retries } => event
            .boot(Some(boot.clone()))
            .with("image", image.to_string())
            .with("by", by.clone())
            .with("retries", u64::from(*retries)),
        Effect::Installed { boot, image, told, by } => {
            let event = event.boot(boot.clone()).with("image", image.to_string()).with("told", told.as_str());
            with_by(event, by)
        }
        Effect::InstallUnconfirmed { boot, image } => {
            event.boot(Some(boot.clone())).with("image", image.to_string())
        }
        Effect::InstallFailed { boot, image, detail, again } => {
            let event = event.boot(Some(boot.clone())).with("image", image.to_string()).with("again", *again);
            match detail {
                Some(detail) => event.with("detail", detail.clone()),
                None => event,
            }
        }
        Effect::InstallSilent { boot, image, silent } | Effect::BootSilent { boot, image, silent, .. } => {
            event
                .boot(Some(boot.clone()))
                .with("image", image.to_string())
                .with("idle_secs", silent.as_secs())
        }
        Effect::BootedFromCache { reported, expected } => {
            let event = event.boot(expected.clone());
            match reported {
                Some(reported) => event.with("reported", reported.clone()),
                None => event,
            }
        }
        Effect::LeftCache { boot } => event.boot(Some(boot.clone())),
        Effect::Up { .. } | Effect::BootFailed { .. } => return None,
    })
}

fn with_by(event: Event, by: &Option<Arc<str>>) -> Event {
    match by {
        Some(by) => event.with("by", by.clone()),
        None => event,
    }
}

#[cfg(test)]
mod tests;
