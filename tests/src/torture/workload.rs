//! A store at work, for the parts that watch its system calls: batches that a seed and a number determine, said on standard
//! output as soon as they are acknowledged.
//!
//! Batch `n` becomes revision `n` or does not become anything: each names the one before as its condition. So the records of
//! a store at revision `n` are known, whatever happened on the way.

use super::Dice;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use store::{Batch, CommitError, Expect, Revision, Store, StoreOptions, Table};

/// Committed at once, at most.
pub const BURST_MAX: u64 = 6;
/// A batch is tried this often before the program gives up.
const TRIES: u32 = 12;
const KEYS: u64 = 48;
const TABLES: [Table; 4] = [Table::Hosts, Table::Images, Table::Leases, Table::Facts];
const LAST: &[u8] = b"last";
const SCAN_STEP: usize = 4096;

/// Records by table and key.
pub type Records = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

/// Small segments and checkpoints: all that happens once a day happens in a second.
pub fn options(folder: &Path) -> StoreOptions {
    StoreOptions {
        segment_bytes: 16 << 10,
        checkpoint_bytes: 40 << 10,
        ballast_bytes: 64 << 10,
        ..StoreOptions::new(folder)
    }
}

/// Changes of batch `number`, which is also the revision it becomes.
fn changes(seed: u64, number: u64) -> Vec<(Table, Vec<u8>, Option<Vec<u8>>)> {
    let mut dice = Dice::new(seed).fork(number);
    let mut changes = vec![(Table::Meta, LAST.to_vec(), Some(number.to_string().into_bytes()))];
    for _ in 0..=dice.below(4) {
        let table = TABLES.get(dice.place(TABLES.len())).copied().unwrap_or(Table::Facts);
        let key = format!("key-{:02}", dice.below(KEYS)).into_bytes();
        let len = match dice.below(16) {
            0 => 2000 + dice.place(5000),
            _ => 20 + dice.place(400),
        };
        let value = (dice.below(5) > 0).then(|| (0..len).map(|_| dice.any().to_le_bytes()[0]).collect());
        changes.push((table, key, value));
    }
    changes
}

fn batch(seed: u64, number: u64) -> Batch {
    let before = match number {
        1 => Expect::Absent,
        _ => Expect::Revision(Revision(number - 1)),
    };
    changes(seed, number).into_iter().fold(Batch::new().expect(Table::Meta, LAST, before), |batch, change| {
        match change {
            (table, key, Some(value)) => batch.put(table, key, value),
            (table, key, None) => batch.delete(table, key),
        }
    })
}

/// What a store holds at revision `revision`.
pub fn records_at(seed: u64, revision: u64) -> Records {
    let mut records = Records::new();
    for number in 1..=revision {
        for (table, key, value) in changes(seed, number) {
            match value {
                Some(value) => records.insert((table, key), value),
                None => records.remove(&(table, key)),
            };
        }
    }
    records
}

/// What this store holds.
///
/// # Errors
/// What the store said.
pub fn records_of(store: &Store) -> Result<Records> {
    let mut records = Records::new();
    for table in Table::ALL {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = store.scan(table, after.as_deref(), SCAN_STEP)?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            records.extend(page.into_iter().map(|(key, stored)| ((table, key), stored.value)));
        }
    }
    Ok(records)
}

/// Makes batch `number` durable in this store.
///
/// # Errors
/// What the store said.
pub fn commit(store: &Store, seed: u64, number: u64) -> Result<()> {
    let Revision(revision) = store.commit_blocking(batch(seed, number))?;
    if revision != number {
        bail!("batch {number} became revision {revision}");
    }
    Ok(())
}

/// Makes `count` batches more and says `acked <n>` for each; opens the store anew every `reopen` of them.
///
/// # Errors
/// When the store cannot be opened, or takes nothing any more.
pub fn run(folder: &Path, seed: u64, count: u64, reopen: u64) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let mut dice = Dice::new(seed).fork(0);
    let mut store = open(folder)?;
    let Revision(start) = store.status().revision;
    let (mut number, mut tries, mut opened) = (start + 1, 0, start);
    while number <= start + count {
        let burst = (1 + dice.below(BURST_MAX)).min(start + count + 1 - number);
        let answers = runtime.block_on(async {
            // One thread: tasks reach the store in the order they were made.
            let local: Vec<_> = (number..number + burst)
                .map(|number| {
                    let store = store.clone();
                    let batch = batch(seed, number);
                    tokio::spawn(async move { store.commit(batch).await })
                })
                .collect();
            let mut answers = Vec::new();
            for task in local {
                answers.push(task.await);
            }
            answers
        });
        for answer in answers {
            match answer? {
                Ok(Revision(revision)) if revision == number => {
                    println!("acked {number}");
                    (number, tries) = (number + 1, 0);
                }
                Ok(Revision(revision)) => bail!("batch {number} became revision {revision}"),
                // Behind one that was refused.
                Err(CommitError::Conflict { .. }) => {}
                Err(error) => {
                    println!("refused {number}: {error}");
                    tries += 1;
                }
            }
        }
        if tries > TRIES {
            println!("gave up at {number}");
            return Ok(());
        }
        if number > opened + reopen {
            store.close();
            store = open(folder)?;
            opened = number;
        }
    }
    store.close();
    Ok(())
}

fn open(folder: &Path) -> Result<Store> {
    let store = Store::open(options(folder)).with_context(|| format!("cannot open {}", folder.display()))?;
    println!("opened {}", store.status().revision);
    Ok(store)
}

/// The program that does [`run`]: `store-workload`, built by cargo beside whatever runs.
///
/// # Errors
/// When it does not build.
pub fn program() -> Result<PathBuf> {
    crate::daemon::built("reveille-tests", "store-workload")
}

/// The last number in lines `acked <n>`.
pub fn last_acked(text: &str) -> u64 {
    text.lines().filter_map(|line| line.strip_prefix("acked ")?.trim().parse().ok()).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_holds_what_the_seed_says() {
        let folder = crate::torture::copies::scratch().unwrap();
        let store = Store::open(options(folder.path())).unwrap();
        (1..=40).for_each(|number| commit(&store, 5, number).unwrap());
        assert!(records_of(&store).unwrap() == records_at(5, 40));
        assert!(records_at(5, 40) != records_at(5, 39), "each batch shows");
        assert!(commit(&store, 5, 40).is_err(), "a batch is never applied twice");
    }

    #[test]
    fn the_last_acknowledgement_counts() {
        assert_eq!(last_acked("opened 3\nacked 4\nacked 5\nrefused 6: no room\n"), 5);
        assert_eq!(last_acked(""), 0);
    }
}
