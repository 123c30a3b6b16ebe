//! Prints what a store of many leases costs: filling it, opening it after a clean end and after a kill, scanning it.
//!
//! `cargo run --release -p reveille-store --example start_time [records] [folder]`; 100,000 records and a temporary folder
//! unless told otherwise. The kill is played by copying the folder while the store is open.

use reveille_store::{Batch, Store, StoreOptions, Table};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Records of one batch while it is filled.
const BATCH: u64 = 1000;
/// Records asked for at once, as the admin API does.
const PAGE: usize = 500;

fn main() {
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let mut arguments = std::env::args_os().skip(1);
    let records: u64 =
        arguments.next().and_then(|text| text.to_str()?.parse().ok()).unwrap_or(100_000).max(BATCH);
    let root = arguments.next().map_or_else(|| temporary.path().to_owned(), Into::into);
    let (clean, killed) = (root.join("store"), root.join("killed"));

    let store = open("new", &clean);
    let began = Instant::now();
    let value: Arc<[u8]> = vec![b'x'; 300].into();
    for first in (0..records).step_by(1000) {
        let batch = (first..first + BATCH)
            .fold(Batch::new(), |batch, number| batch.put(Table::Leases, number.to_be_bytes(), &*value));
        store.commit_blocking(batch).expect("a commit");
    }
    println!("{records} records committed in {:?}", began.elapsed());
    let began = Instant::now();
    let (mut after, mut seen) = (None::<Vec<u8>>, 0);
    loop {
        let page = store.scan(Table::Leases, after.as_deref(), PAGE).expect("a page");
        let Some((last, _)) = page.last() else { break };
        seen += page.len();
        after = Some(last.clone());
    }
    println!("{seen} records scanned in pages of {PAGE} in {:?}", began.elapsed());
    let began = Instant::now();
    let all = store.scan(Table::Leases, None, usize::MAX).expect("records").len();
    println!("{all} records scanned at once in {:?}", began.elapsed());
    copy(&clean, &killed);
    let began = Instant::now();
    store.close();
    println!("closed in {:?}", began.elapsed());
    drop(store);
    drop(open("after a clean end", &clean));
    drop(open("after a kill", &killed));
    std::fs::remove_dir_all(killed.join("index")).expect("an index");
    drop(open("without its index", &killed));
}

fn open(what: &str, path: &Path) -> Store {
    let began = Instant::now();
    let store = Store::open(StoreOptions::new(path)).expect("a store");
    println!("opened {what} in {:?}: {:?}", began.elapsed(), store.report());
    store
}

/// What a kill would leave.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a copy");
        }
    }
}
