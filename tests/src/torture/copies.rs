//! Copies of a store's folder, and what is in them by the store's own reading.

use anyhow::{Context, Result};
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use store::records::decode_lease;
use store::{Store, StoreOptions, Table};
use types::lease::LeaseRecord;

/// Records read at once.
const SCAN_STEP: usize = 4096;

/// A scratch folder, in memory where that is possible: nothing in it has to survive, and thousands are made.
///
/// # Errors
/// When none can be made.
pub fn scratch() -> Result<tempfile::TempDir> {
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    tempfile::Builder::new().prefix("reveille-torture").tempdir_in(place).context("cannot make a folder")
}

/// Copies a folder with everything in it.
///
/// # Errors
/// When a file cannot be read or written.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    for entry in std::fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target)
                .with_context(|| format!("cannot copy {}", target.display()))?;
        }
    }
    Ok(())
}

/// Files of a folder and of those below, relative, sorted.
///
/// # Errors
/// When a folder cannot be listed.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    fn walk(root: &Path, below: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
        for entry in std::fs::read_dir(root.join(below))? {
            let entry = entry?;
            let name = below.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                walk(root, &name, found)?;
            } else {
                found.push(name);
            }
        }
        Ok(())
    }
    let mut found = Vec::new();
    walk(folder, Path::new(""), &mut found).with_context(|| format!("cannot list {}", folder.display()))?;
    found.sort();
    Ok(found)
}

/// Opens a store as the appliance does.
///
/// # Errors
/// What the store said.
pub fn open(folder: &Path) -> Result<Store> {
    Store::open(StoreOptions::new(folder))
        .with_context(|| format!("cannot open the store {}", folder.display()))
}

/// Leases in a copy of a store that a killed appliance left.
///
/// # Errors
/// When it does not open or a record cannot be read.
pub fn leases_left_in(folder: &Path) -> Result<HashMap<Ipv4Addr, LeaseRecord>> {
    let scratch = scratch()?;
    let own = scratch.path().join("store");
    copy(folder, &own)?;
    let store = open(&own)?;
    let mut leases = HashMap::new();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = store.scan(Table::Leases, after.as_deref(), SCAN_STEP)?;
        let Some((last, _)) = page.last() else { return Ok(leases) };
        after = Some(last.clone());
        for (_, stored) in page {
            let lease = decode_lease(&stored.value)?;
            leases.insert(lease.address, lease);
        }
    }
}
