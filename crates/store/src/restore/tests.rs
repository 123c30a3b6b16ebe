use super::*;
use crate::model::Batch;
use crate::sim::{Fault, Rng, SimDisk, SimStore};
use crate::{Store, StoreOptions, offline, records};

fn put(number: u64, value: &str) -> Batch {
    Batch::new().put(Table::Meta, number.to_be_bytes(), value)
}

/// Writes a backup of a store on a real folder.
fn save(store: &Store, file: &Path) {
    let backup = store.backup().unwrap();
    let bytes = backup.bytes;
    let written: Vec<u8> = backup.flatten().collect();
    assert_eq!(written.len() as u64, bytes, "the length is known before");
    std::fs::write(file, written).unwrap();
}

fn lines(store: &Store) -> Vec<String> {
    store.dump().unwrap().skip(1).collect()
}

#[test]
fn a_restored_store_holds_what_the_backup_held_above_every_revision_there_was() {
    let folder = tempfile::tempdir().unwrap();
    let (path, file) = (folder.path().join("store"), folder.path().join("backup"));
    let store = Store::open(StoreOptions::new(&path)).unwrap();
    store.commit_blocking(put(1, "one").put(Table::Hosts, *b"web01", r#"{"v":1}"#)).unwrap();
    store.commit_blocking(Batch::new().delete(Table::Hosts, *b"web01")).unwrap();
    save(&store, &file);
    let expected = lines(&store);
    for number in 2..10 {
        store.commit_blocking(put(number, "later")).unwrap();
    }
    assert!(matches!(restore(&path, &file, false), Err(StoreError::Locked { .. })), "the daemon runs");
    store.close();
    let told = restore(&path, &file, true).unwrap();
    assert_eq!((told.backup, told.before, told.revision), (Revision(2), Revision(10), Revision(11)));
    assert_eq!(told.tables.iter().find(|it| it.0 == Table::Meta), Some(&(Table::Meta, 9, 1)));
    assert!(!path.join("before-restore-1").exists(), "a dry run changes nothing");
    let done = restore(&path, &file, false).unwrap();
    assert_eq!(done, Restored { moved_to: Some("before-restore-1".to_owned()), ..told });
    for part in ["journal", "checkpoint", "index"] {
        assert!(path.join("before-restore-1").join(part).exists(), "{part}");
    }
    let store = Store::open(StoreOptions::new(&path)).unwrap();
    assert_eq!((lines(&store), store.status().revision), (expected, Revision(11)));
    assert!(store.verify().unwrap().is_clean());
    assert_eq!(store.commit_blocking(put(9, "next")).unwrap(), Revision(12));
    store.close();
    // And back again: what was there before is a store of its own.
    let before = Store::open(StoreOptions::new(path.join("before-restore-1"))).unwrap();
    assert_eq!(before.status().revision, Revision(10));
    assert_eq!(restore(&path, &file, false).unwrap().moved_to.as_deref(), Some("before-restore-2"));
}

#[test]
fn a_backup_is_restored_where_there_was_no_store() {
    let folder = tempfile::tempdir().unwrap();
    let (path, file) = (folder.path().join("store"), folder.path().join("backup"));
    let store = Store::open(StoreOptions::new(&path)).unwrap();
    store.commit_blocking(put(1, "one")).unwrap();
    save(&store, &file);
    let fresh = folder.path().join("fresh");
    assert_eq!(restore(&fresh, &file, true).unwrap().revision, Revision(2));
    assert!(!fresh.exists());
    assert_eq!(restore(&fresh, &file, false).unwrap().moved_to, None);
    assert_eq!(lines(&Store::open(StoreOptions::new(&fresh)).unwrap()), lines(&store));
}

#[test]
fn a_file_that_is_no_whole_backup_is_refused_and_nothing_changes() {
    let folder = tempfile::tempdir().unwrap();
    let (path, file) = (folder.path().join("store"), folder.path().join("backup"));
    let store = Store::open(StoreOptions::new(&path)).unwrap();
    store.commit_blocking(put(1, "one")).unwrap();
    save(&store, &file);
    store.close();
    let whole = std::fs::read(&file).unwrap();
    for len in [0, 10, whole.len() - 1] {
        std::fs::write(&file, &whole[..len]).unwrap();
        assert!(matches!(restore(&path, &file, false), Err(StoreError::BadBackup { .. })), "cut to {len}");
    }
    for byte in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[byte] ^= 4;
        std::fs::write(&file, damaged).unwrap();
        assert!(restore(&path, &file, true).is_err(), "byte {byte}");
    }
    assert!(!path.join("before-restore-1").exists());
}

#[test]
fn a_backup_with_a_record_of_a_newer_program_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let (path, file) = (folder.path().join("store"), folder.path().join("backup"));
    let store = Store::open(StoreOptions::new(&path)).unwrap();
    let key = records::lease_key([192, 0, 2, 7].into());
    store.commit_blocking(Batch::new().put(Table::Leases, key, r#"{"v":99,"record":{}}"#)).unwrap();
    save(&store, &file);
    let found = store.verify().unwrap().findings;
    assert!(matches!(found.as_slice(), [Finding::RecordUnreadable { .. }]), "{found:?}");
    store.close();
    let error = restore(&path, &file, false).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("leases/04c0000207") && text.contains("lease record has version 99"), "{text}");
    let found = offline::verify(&path).unwrap().findings;
    assert!(found[0].to_string().contains("this program reads up to 2"), "{found:?}");
}

#[test]
fn a_store_is_read_offline_without_any_change() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    assert!(matches!(offline::verify(&path), Err(StoreError::NoStore { .. })));
    let store = Store::open(StoreOptions::new(&path)).unwrap();
    store.commit_blocking(put(1, "one")).unwrap();
    assert!(matches!(offline::dump(&path), Err(StoreError::Locked { .. })));
    let expected: Vec<String> = store.dump().unwrap().collect();
    store.close();
    let before = listing(&path);
    assert_eq!(offline::dump(&path).unwrap().collect::<Vec<_>>(), expected);
    assert_eq!(offline::dump(&path).unwrap().only(Table::Leases).count(), 1, "the line about the whole");
    assert!(offline::verify(&path).unwrap().is_clean());
    assert_eq!(offline::backup(&path).unwrap().records, 1);
    assert_eq!(listing(&path), before);
}

/// Every file with its bytes and time.
fn listing(path: &Path) -> Vec<(std::path::PathBuf, Vec<u8>, std::time::SystemTime)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).unwrap().flatten() {
        if entry.path().is_dir() {
            found.extend(listing(&entry.path()));
        } else {
            let time = entry.metadata().unwrap().modified().unwrap();
            found.push((entry.path(), std::fs::read(entry.path()).unwrap(), time));
        }
    }
    found.sort();
    found
}

/// A store of five records in two checkpoints and a journal, and a backup of one other.
fn ready() -> (SimDisk, State) {
    let other = SimDisk::new();
    let mut store = SimStore::open(&other).unwrap();
    store.commit(vec![put(77, "backup")]);
    store.close();
    let state = truth::read(&other, None).unwrap().whole().unwrap();
    let disk = SimDisk::new();
    let mut store = SimStore::open(&disk).unwrap();
    for number in 0..5 {
        store.commit(vec![put(number, "old")]);
        if number % 2 == 0 {
            store.checkpoint().unwrap();
        }
    }
    (disk.fork(), state)
}

#[test]
fn a_power_cut_or_error_at_any_operation_of_a_restore_leaves_the_old_store_or_the_new() {
    let (disk, state) = ready();
    let before = disk.operations();
    restore_on(&disk, &Home(None), state, false).unwrap();
    let steps = disk.operations() - before;
    let (mut old, mut new) = (0, 0);
    for step in 1..=steps {
        for fault in [Fault::PowerOff, Fault::Once(io::ErrorKind::Other)] {
            let (disk, state) = ready();
            disk.fail(disk.operations() + step, fault);
            let outcome = restore_on(&disk, &Home(None), state, false);
            for seed in 0..12 {
                let after = disk.crash(&mut Rng::new(seed * 31 + step));
                let context = format!("{fault:?} at {step} of {steps}, seed {seed}");
                let mut store = SimStore::open(&after).unwrap_or_else(|error| panic!("{context}: {error}"));
                let found: Vec<_> = store.scan(Table::Meta, None, 10).unwrap();
                let revision = store.status().revision;
                match found.len() {
                    5 => old += 1,
                    1 => new += 1,
                    other => panic!("{context}: {other} records"),
                }
                assert_eq!(revision, Revision(if found.len() == 1 { 6 } else { 5 }), "{context}");
                assert!(outcome.is_err() || found.len() == 1, "{context}: it said it was done");
                assert!(after.names().iter().all(|name| !name.starts_with(RESTORING)), "{context}");
                if found.len() == 1 {
                    let kept =
                        after.names().iter().filter(|name| name.starts_with("before-restore-1/")).count();
                    assert!(kept > 2, "{context}: {:?}", after.names());
                }
                assert!(store.commit(vec![put(9, "next")])[0].is_ok(), "{context}");
            }
        }
    }
    assert!(old > 0 && new > 0);
}
