//! A store at work, to be watched from outside: `store-workload FOLDER SEED BATCHES REOPEN-EVERY`.
//!
//! See `harness::torture::workload`; says `acked <n>` when batch `n` is durable.

use anyhow::{Context, Result};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().context("store-workload FOLDER SEED BATCHES REOPEN-EVERY");
    let folder = next()?;
    let (seed, count, reopen) = (next()?.parse()?, next()?.parse()?, next()?.parse()?);
    harness::torture::workload::run(folder.as_ref(), seed, count, reopen)
}
