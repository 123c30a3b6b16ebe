//! The power goes: a store at work is recorded call by call, and every state its disk may then be in is opened.
//!
//! What must hold for each state: the store opens; it holds every batch acknowledged before the cut, and otherwise only
//! batches that were on their way, all whole; what it cut off the journal it says; it verifies clean; it goes on; and when
//! it is opened once more nothing is odd. A later recording starts from such a state, so that recovery is cut short, too.

use super::disk::Recording;
use super::workload::{self, BURST_MAX};
use super::{Dice, Outcome, Progress, copies, syscalls};
use crate::Running;
use anyhow::{Context, Result, bail};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use store::{Finding, Store};

/// One recording of a hundred batches.
const RECORD_DEADLINE: Duration = Duration::from_secs(120);
/// Batches after which the workload opens its store anew.
const REOPEN: u64 = 40;
/// The workload is killed once in each recording, at one of this many first calls.
const KILL_CALLS: u64 = 10;
/// A state that takes longer hangs.
const STATE_DEADLINE: Duration = Duration::from_secs(60);

/// How it is done.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// States to open.
    pub orders: u64,
    /// States of one recording.
    pub per_recording: u64,
    /// Batches of one recording.
    pub batches: u64,
    /// States opened at once.
    pub threads: usize,
    /// Choices.
    pub seed: u64,
}

impl Options {
    /// The usual ones.
    pub fn new(orders: u64, seed: u64) -> Options {
        Options { orders, per_recording: 100, batches: 100, threads: 2, seed }
    }
}

/// A segment of no more than its header holds nothing, and goes without a word.
const SEGMENT_HEADER: u64 = 28;

/// What was seen over all states.
#[derive(Default)]
struct Seen {
    states: AtomicU64,
    cut: AtomicU64,
    more: AtomicU64,
    rebuilt: AtomicU64,
    /// Since when each thread is at its state.
    busy: Mutex<Vec<Option<(u64, Instant)>>>,
}

/// Runs it.
///
/// # Errors
/// When recording fails; what the store does wrong is in the outcome.
pub fn run(options: Options) -> Result<Outcome> {
    let program = workload::program()?;
    let mut outcome = Outcome::default();
    let mut progress = Progress::new("powercut");
    let seen = Seen::default();
    let dice = Dice::new(options.seed);
    // What the next recording finds on its disk.
    let mut base = copies::scratch()?;
    let (mut operations, mut syncs, mut recordings) = (0, 0, 0);
    let mut order = 0;
    while order < options.orders {
        let recording = record(&program, base.path(), options, &mut dice.fork(order ^ 0x4e11))?;
        let (all, durable) = recording.operations();
        (operations, syncs, recordings) = (operations + all, syncs + durable, recordings + 1);
        progress.now(&format!("recorded {all} operations, {durable} of them durable"));
        let count = options.per_recording.min(options.orders - order);
        let first = order;
        let next = AtomicU64::new(0);
        let violations = Mutex::new(Vec::new());
        seen.busy.lock().map(|mut busy| *busy = vec![None; options.threads]).ok();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..options.threads)
                .map(|lane| {
                    let (next, violations, dice, recording, seen) =
                        (&next, &violations, &dice, &recording, &seen);
                    scope.spawn(move || {
                        loop {
                            let own = next.fetch_add(1, Ordering::Relaxed);
                            if own >= count {
                                return;
                            }
                            let number = first + own;
                            set_busy(seen, lane, Some((number, Instant::now())));
                            let crash = recording.crash(&mut dice.fork(number));
                            if let Err(error) = state(recording, crash, &dice.fork(number), options, seen) {
                                let text =
                                    format!("seed {} order {number} cut at {crash}: {error:#}", options.seed);
                                violations.lock().map(|mut list| list.push(text)).ok();
                            }
                            seen.states.fetch_add(1, Ordering::Relaxed);
                            set_busy(seen, lane, None);
                        }
                    })
                })
                .collect();
            let (progress, done, seen) = (&mut progress, &done, &seen);
            scope.spawn(move || watch(progress, done, seen, options));
            workers.into_iter().for_each(|worker| drop(worker.join()));
            done.store(true, Ordering::Relaxed);
        });
        outcome.violations.append(&mut violations.into_inner().unwrap_or_default());
        order += count;
        let crash = recording.crash(&mut dice.fork(order ^ 0xbace));
        base = copies::scratch()?;
        recording.write_state(crash, &mut dice.fork(order ^ 0xbace), base.path())?;
    }
    let count = |number: &AtomicU64| number.load(Ordering::Relaxed);
    outcome.summary = format!(
        "powercut: {} states of {operations} operations ({syncs} durable) in {recordings} recordings, all opened; unacknowledged batches survived in {}, an unfinished write was cut in {}, the index was made anew in {}, {:.0?}, seed {}",
        count(&seen.states),
        count(&seen.more),
        count(&seen.cut),
        count(&seen.rebuilt),
        progress.elapsed(),
        options.seed
    );
    Ok(outcome)
}

fn set_busy(seen: &Seen, lane: usize, state: Option<(u64, Instant)>) {
    if let Ok(mut busy) = seen.busy.lock()
        && let Some(place) = busy.get_mut(lane)
    {
        *place = state;
    }
}

/// Says how far it is; a state that hangs ends the program, since its thread cannot be ended.
fn watch(progress: &mut Progress, done: &AtomicBool, seen: &Seen, options: Options) {
    while !done.load(Ordering::Relaxed) {
        progress.say(|| format!("{} of {} states", seen.states.load(Ordering::Relaxed), options.orders));
        let busy = seen.busy.lock().map(|busy| busy.clone()).unwrap_or_default();
        for (number, since) in busy.into_iter().flatten() {
            if since.elapsed() > STATE_DEADLINE {
                eprintln!(
                    "VIOLATION seed {} order {number}: still opening after {STATE_DEADLINE:?}",
                    options.seed
                );
                std::process::exit(1);
            }
        }
        // Between two looks; nobody waits for this.
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Lets the workload go on from `base`, kills it and starts it again, and reads what it did.
///
/// After the kill the memory of the system still has what was written: a store that trusts what it reads there, without
/// making it durable, loses it in the power cut that follows.
fn record(program: &Path, base: &Path, options: Options, dice: &mut Dice) -> Result<Recording> {
    // On a real disk: what is in memory has no operations worth the name.
    let place = tempfile::tempdir()?;
    let root = place.path().canonicalize()?;
    let (folder, log) = (root.join("store"), root.join("trace"));
    copies::copy(base, &folder)?;
    // Killed as it is about to make a frame durable: the frame is whole, and only in memory.
    let kill = format!("inject=fdatasync:signal=KILL:when={}", 1 + dice.below(KILL_CALLS));
    for inject in [Some(kill.as_str()), None] {
        let mut command = syscalls::recorder(&log, inject);
        command.arg(program).arg(&folder);
        command.args([options.seed, options.batches, REOPEN].map(|number| number.to_string()));
        let mut running = Running::start("store-workload", command, None)?;
        let status = running.wait_exit(RECORD_DEADLINE)?;
        if inject.is_none() && !status.success() {
            bail!("the workload ended with {status}:\n{}", running.transcript().tail());
        }
    }
    let calls = syscalls::parse(&std::fs::read_to_string(&log).context("cannot read the trace")?)?;
    Recording::new(&folder, base, &calls)
}

/// Opens one state and checks everything.
fn state(recording: &Recording, crash: usize, dice: &Dice, options: Options, seen: &Seen) -> Result<()> {
    let scratch = copies::scratch()?;
    let folder = scratch.path().join("store");
    recording.write_state(crash, &mut dice.fork(1), &folder)?;
    let acked = recording.acked(crash);
    let found = catch_unwind(AssertUnwindSafe(|| check(&folder, options.seed, acked)));
    let found = found.unwrap_or_else(|_| Err(anyhow::anyhow!("a panic escaped")))?;
    seen.more.fetch_add(u64::from(found.revision > acked), Ordering::Relaxed);
    seen.cut.fetch_add(u64::from(found.cut), Ordering::Relaxed);
    seen.rebuilt.fetch_add(u64::from(found.rebuilt), Ordering::Relaxed);
    Ok(())
}

/// What opening one state found.
#[derive(Debug)]
pub struct Found {
    /// Where the store stands.
    pub revision: u64,
    /// Bytes of the journal were cut.
    pub cut: bool,
    /// The index was made anew.
    pub rebuilt: bool,
}

/// Everything that must hold for a folder the power left, in which `acked` batches had been acknowledged.
///
/// # Errors
/// Says what does not hold.
pub fn check(folder: &Path, seed: u64, acked: u64) -> Result<Found> {
    let before = journal_bytes(folder);
    let store = Store::open(workload::options(folder)).context("a power cut is no damage")?;
    let revision = store.report().revision.0;
    let findings = store.report().findings.clone();
    if revision < acked {
        bail!("batch {acked} was acknowledged, the store stands at {revision}");
    }
    if revision > acked + BURST_MAX {
        bail!("the store stands at {revision}, more than was ever handed in; acknowledged was {acked}");
    }
    same_records(&store, seed, revision)?;
    let after = journal_bytes(folder);
    let shorter =
        |name: &PathBuf, bytes: u64| after.iter().all(|(other, left)| other != name || *left < bytes);
    let cut = before.iter().any(|(name, bytes)| *bytes > SEGMENT_HEADER && shorter(name, *bytes));
    if cut && findings.is_empty() {
        bail!("the journal became shorter ({before:?} to {after:?}) and nobody was told");
    }
    let verified = store.verify()?;
    if !verified.is_clean() {
        bail!("after recovery: {verified}");
    }
    workload::commit(&store, seed, revision + 1).context("it does not go on")?;
    store.close();
    let store = Store::open(workload::options(folder)).context("it does not open again")?;
    if let [first, ..] = store.report().findings.as_slice() {
        bail!("opened again after a clean end: {first}");
    }
    same_records(&store, seed, revision + 1).context("opened again")?;
    let rebuilt = findings.iter().any(|finding| matches!(finding, Finding::IndexRebuilt { .. }));
    Ok(Found { revision, cut, rebuilt })
}

/// Errors when the store's records are not those of this revision.
fn same_records(store: &Store, seed: u64, revision: u64) -> Result<()> {
    let (found, wanted) = (workload::records_of(store)?, workload::records_at(seed, revision));
    if found == wanted {
        return Ok(());
    }
    let differs: Vec<String> = found
        .keys()
        .chain(wanted.keys())
        .filter(|key| found.get(key) != wanted.get(key))
        .map(|(table, key)| format!("{table}/{}", String::from_utf8_lossy(key)))
        .take(5)
        .collect();
    bail!("its records are not those of revision {revision}: {}", differs.join(", "))
}

fn journal_bytes(folder: &Path) -> Vec<(PathBuf, u64)> {
    let length = |name: PathBuf| {
        Some((name.clone(), std::fs::metadata(folder.join("journal").join(name)).ok()?.len()))
    };
    copies::files(&folder.join("journal")).unwrap_or_default().into_iter().filter_map(length).collect()
}

#[cfg(test)]
mod tests;
