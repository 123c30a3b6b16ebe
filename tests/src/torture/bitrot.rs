//! Media that forget: one flipped bit, one zeroed page or one cut file at a time, over every file of a store's folder.
//!
//! | outcome | records | told |
//! |---|---|---|
//! | unharmed | all | nothing: the bytes were not in use |
//! | repaired | all | a finding, at start or by `verify` |
//! | cut | those of an earlier revision, whole | a finding: the last frame cannot be told from an unfinished write |
//! | refused | – | an error that names the file or the revisions at stake |
//!
//! Everything else is a violation: other records without a word, records of no revision, a panic, a refusal that names
//! nothing. Two folders are damaged in turn: one closed cleanly, one as a kill left it (the journal runs ahead of the index).

use super::{Dice, Outcome, Progress, copies, workload};
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use store::{Finding, Store};

const PAGE: u64 = 4096;
/// Batches in the damaged store.
const BATCHES: u64 = 120;

/// How it is done.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Flipped bits.
    pub flips: u64,
    /// Zeroed pages.
    pub pages: u64,
    /// Cut files.
    pub truncations: u64,
    /// Opened at once.
    pub threads: usize,
    /// Choices.
    pub seed: u64,
}

/// One damage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Damage {
    /// A bit, counted from the start of the file.
    Flip(u64),
    /// A page, by its first byte.
    Zero(u64),
    /// Everything from there on.
    Cut(u64),
}

impl Damage {
    /// Does it; false when it changed nothing.
    fn apply(self, bytes: &mut Vec<u8>) -> bool {
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        match self {
            Damage::Flip(bit) => match bytes.get_mut(place(bit / 8)) {
                Some(byte) => {
                    *byte ^= 1 << (bit % 8);
                    true
                }
                None => false,
            },
            Damage::Zero(from) => {
                let end = place(from + PAGE).min(bytes.len());
                let page = bytes.get_mut(place(from)..end).unwrap_or_default();
                let harmed = page.iter().any(|byte| *byte != 0);
                page.fill(0);
                harmed
            }
            Damage::Cut(len) => {
                let harmed = place(len) < bytes.len();
                bytes.truncate(place(len));
                harmed
            }
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Damage::Flip(_) => "bit",
            Damage::Zero(_) => "page",
            Damage::Cut(_) => "cut",
        }
    }
}

/// How a damaged store behaved.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Behaviour {
    /// Nothing was in use there.
    Unharmed,
    /// Everything is there, and it was said.
    Repaired,
    /// The end is missing, and it was said.
    Cut,
    /// It does not open, and says what is at stake.
    Refused,
}

const BEHAVIOURS: [Behaviour; 4] =
    [Behaviour::Unharmed, Behaviour::Repaired, Behaviour::Cut, Behaviour::Refused];

/// Runs it.
///
/// # Errors
/// When no store can be made; what it does wrong is in the outcome.
pub fn run(options: Options) -> Result<Outcome> {
    let place = copies::scratch()?;
    let (clean, killed) = (place.path().join("clean"), place.path().join("killed"));
    make(&clean, &killed, options.seed)?;
    let dice = Dice::new(options.seed);
    let jobs = options.flips + options.pages + options.truncations;
    let next = AtomicUsize::new(0);
    let table: Mutex<Table> = Mutex::default();
    let violations = Mutex::new(Vec::new());
    let progress = Mutex::new(Progress::new("bitrot"));
    std::thread::scope(|scope| {
        for _ in 0..options.threads {
            scope.spawn(|| {
                loop {
                    let job = next.fetch_add(1, Ordering::Relaxed) as u64;
                    if job >= jobs {
                        return;
                    }
                    let mut dice = dice.fork(job);
                    let base = if job.is_multiple_of(2) { &clean } else { &killed };
                    match one(base, job, options, &mut dice) {
                        Ok((file, damage, behaviour)) => {
                            if let Ok(mut table) = table.lock() {
                                let row = table.entry((group(&file), damage.kind())).or_default();
                                *row.entry(behaviour).or_default() += 1;
                            }
                        }
                        Err(error) => {
                            let text = format!("seed {} damage {job}: {error:#}", options.seed);
                            violations.lock().map(|mut list| list.push(text)).ok();
                        }
                    }
                    progress.lock().map(|mut progress| progress.say(|| format!("{job} of {jobs}"))).ok();
                }
            });
        }
    });
    let table = table.into_inner().unwrap_or_default();
    let sum = |behaviour| table.values().filter_map(|row| row.get(&behaviour)).sum::<u64>();
    let took = progress.into_inner().map(|progress| progress.elapsed()).unwrap_or_default();
    let summary = format!(
        "{}bitrot: {jobs} damages: {} unharmed, {} repaired, {} cut and said, {} refused and named, {took:.0?}, seed {}",
        print(&table),
        sum(Behaviour::Unharmed),
        sum(Behaviour::Repaired),
        sum(Behaviour::Cut),
        sum(Behaviour::Refused),
        options.seed
    );
    Ok(Outcome { summary, violations: violations.into_inner().unwrap_or_default() })
}

/// How often each behaviour was seen, by kind of file and of damage.
type Table = BTreeMap<(String, &'static str), BTreeMap<Behaviour, u64>>;

fn print(table: &Table) -> String {
    let mut text = format!("{:<22} {:<5}", "file", "");
    for behaviour in BEHAVIOURS {
        let _ = write!(text, " {:>9}", format!("{behaviour:?}").to_lowercase());
    }
    text.push('\n');
    for ((file, kind), row) in table {
        let _ = write!(text, "{file:<22} {kind:<5}");
        for behaviour in BEHAVIOURS {
            let _ = write!(text, " {:>9}", row.get(&behaviour).copied().unwrap_or(0));
        }
        text.push('\n');
    }
    text
}

/// Files of one kind: `journal/…log`.
fn group(file: &Path) -> String {
    let folder = file.parent().unwrap_or(Path::new(""));
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let digits = name.find(|c: char| c.is_ascii_digit());
    let stem = digits.map_or(name.as_ref(), |at| name.get(..at).unwrap_or_default());
    let ending = digits.and_then(|_| name.rsplit_once('.')).map_or("", |(_, ending)| ending);
    let ending = if matches!(ending, "log" | "ckpt") { format!(".{ending}") } else { String::new() };
    let marks = if digits.is_some() { "…" } else { "" };
    folder.join(format!("{stem}{marks}{ending}")).display().to_string()
}

fn make(clean: &Path, killed: &Path, seed: u64) -> Result<()> {
    let store = Store::open(workload::options(clean))?;
    for number in 1..=BATCHES {
        workload::commit(&store, seed, number)?;
        // Two checkpoints and a journal behind them.
        if number == BATCHES / 3 || number == BATCHES * 2 / 3 {
            store.checkpoint()?;
        }
    }
    copies::copy(clean, killed)?;
    store.close();
    Ok(())
}

fn one(base: &Path, job: u64, options: Options, dice: &mut Dice) -> Result<(PathBuf, Damage, Behaviour)> {
    let scratch = copies::scratch()?;
    let folder = scratch.path().join("store");
    copies::copy(base, &folder)?;
    let mut files = copies::files(&folder)?;
    let size = |file: &PathBuf| std::fs::metadata(folder.join(file)).map_or(0, |data| data.len());
    files.retain(|file| size(file) > 0);
    // Where a byte is hit is a matter of how many there are; but every file gets its share.
    let file = if dice.below(2) == 0 {
        files.get(dice.place(files.len())).cloned()
    } else {
        let mut at = dice.below(files.iter().map(size).sum());
        files.into_iter().find(|file| {
            let here = at < size(file);
            at = at.saturating_sub(size(file));
            here
        })
    };
    let file = file.context("no file to damage")?;
    let mut bytes = std::fs::read(folder.join(&file))?;
    let len = bytes.len() as u64;
    let damage = match job {
        _ if job < options.flips => Damage::Flip(dice.below(len * 8)),
        _ if job < options.flips + options.pages => Damage::Zero(dice.below(len.div_ceil(PAGE)) * PAGE),
        _ => Damage::Cut(dice.below(len)),
    };
    let harmed = damage.apply(&mut bytes);
    std::fs::write(folder.join(&file), bytes)?;
    let what = || {
        format!(
            "{damage:?} in {} of a store {}",
            file.display(),
            base.file_name().unwrap_or_default().display()
        )
    };
    let behaviour = judge(&folder, options.seed, BATCHES, &file).with_context(what)?;
    if !harmed && behaviour != Behaviour::Unharmed && base.ends_with("clean") {
        bail!("{}: nothing was damaged, and yet {behaviour:?}", what());
    }
    Ok((file, damage, behaviour))
}

/// Opens a damaged store that stood at `revision` and says how it behaves.
///
/// # Errors
/// When it behaves in none of the ways it may.
pub fn judge(folder: &Path, seed: u64, revision: u64, damaged: &Path) -> Result<Behaviour> {
    let judged = catch_unwind(AssertUnwindSafe(|| judge_open(folder, seed, revision, damaged)));
    judged.unwrap_or_else(|_| bail!("a panic escaped"))
}

fn judge_open(folder: &Path, seed: u64, revision: u64, damaged: &Path) -> Result<Behaviour> {
    let store = match Store::open(workload::options(folder)) {
        Ok(store) => store,
        Err(error) => {
            let text = format!("{:#}", anyhow::Error::from(error));
            let name = damaged.file_name().unwrap_or_default().to_string_lossy();
            if text.contains(name.as_ref()) || text.contains("committed after revision") {
                return Ok(Behaviour::Refused);
            }
            bail!("refused without naming it: {text}");
        }
    };
    let reached = store.report().revision.0;
    let mut findings: Vec<Finding> = store.report().findings.clone();
    findings.extend(store.verify()?.findings);
    findings.extend(store.status().findings);
    let told = !findings.is_empty();
    let records = workload::records_of(&store)?;
    if records != workload::records_at(seed, reached) {
        bail!("records of no revision (it says {reached}); told: {findings:?}");
    }
    match (reached == revision, told) {
        (true, false) => Ok(Behaviour::Unharmed),
        (true, true) => Ok(Behaviour::Repaired),
        (false, true) if reached < revision => Ok(Behaviour::Cut),
        _ => bail!("silent: it stands at {reached} instead of {revision}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_what_it_says() {
        let mut bytes = vec![0xff; 5000];
        assert!(Damage::Flip(9).apply(&mut bytes));
        assert_eq!(bytes[1], 0xfd);
        assert!(Damage::Zero(4096).apply(&mut bytes));
        assert!(!Damage::Zero(4096).apply(&mut bytes), "it is zero already");
        assert!(Damage::Cut(10).apply(&mut bytes));
        assert_eq!(bytes.len(), 10);
        assert!(!Damage::Flip(80).apply(&mut bytes) && !Damage::Cut(10).apply(&mut bytes));
    }

    #[test]
    fn a_store_that_forgets_in_silence_is_reported() {
        let folder = copies::scratch().unwrap();
        let store = Store::open(workload::options(folder.path())).unwrap();
        (1..=5).for_each(|number| workload::commit(&store, 1, number).unwrap());
        store.close();
        let error = judge(folder.path(), 1, 6, Path::new("journal/x.log")).unwrap_err();
        assert!(format!("{error:#}").contains("silent: it stands at 5 instead of 6"), "{error:#}");
        let error = judge(folder.path(), 2, 5, Path::new("journal/x.log")).unwrap_err();
        assert!(format!("{error:#}").contains("records of no revision"), "{error:#}");
        assert_eq!(judge(folder.path(), 1, 5, Path::new("journal/x.log")).unwrap(), Behaviour::Unharmed);
    }

    #[test]
    fn files_are_grouped_by_what_they_are() {
        assert_eq!(group(Path::new("journal/00000000000000000001.log")), "journal/….log");
        assert_eq!(group(Path::new("index/snap.000000000000A83F")), "index/snap.…");
        assert_eq!(group(Path::new("index/conf")), "index/conf");
    }
}
