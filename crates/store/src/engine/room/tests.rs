//! Full disks: what goes on, what stops, and how it ends, at every point and through crashes.

use crate::disk::Disk;
use crate::error::CommitError;
use crate::model::{Batch, Table};
use crate::report::Finding;
use crate::room::{BALLAST, Room};
use crate::sim::{Fault, Rng, SimDisk, SimOptions, SimStore};
use std::io;

const OPTIONS: SimOptions = SimOptions {
    segment_bytes: 600,
    checkpoint_bytes: 3000,
    accept_loss: false,
    ballast_bytes: 2000,
    quota_bytes: 1 << 20,
    margin_bytes: 2000,
};

fn open(disk: &SimDisk) -> SimStore {
    SimStore::open_with(disk, OPTIONS).unwrap()
}

fn put(number: u64) -> Batch {
    Batch::new().put(Table::Leases, number.to_be_bytes(), [b'x'; 100])
}

fn commit(store: &mut SimStore, batch: Batch) -> Result<(), CommitError> {
    store.commit(vec![batch]).remove(0).map(|_| ())
}

fn held(disk: &SimDisk) -> u64 {
    disk.len(BALLAST).unwrap().unwrap_or(0)
}

fn used(disk: &SimDisk) -> u64 {
    disk.usage().unwrap().used
}

fn numbers(store: &SimStore) -> Vec<u64> {
    let records = store.scan(Table::Leases, None, usize::MAX).unwrap();
    records.into_iter().map(|(key, _)| u64::from_be_bytes(key.try_into().unwrap())).collect()
}

/// Commits until the ballast is released.
fn fill(store: &mut SimStore, mut number: u64) -> u64 {
    while store.status().room == Room::Plenty {
        commit(store, put(number)).unwrap();
        number += 1;
    }
    number
}

#[test]
fn a_new_store_takes_the_room_of_its_ballast_at_once() {
    let disk = SimDisk::new();
    let store = open(&disk);
    assert_eq!((held(&disk), store.status().space.ballast), (2000, 2000));
    assert_eq!((store.status().room, store.report().findings.as_slice()), (Room::Plenty, &[][..]));
}

#[test]
fn on_a_full_disk_what_was_promised_goes_on_and_new_promises_stop() {
    let disk = SimDisk::new();
    disk.set_capacity(20_000);
    let mut store = open(&disk);
    let next = fill(&mut store, 0);
    let found = store.status().findings;
    assert!(matches!(found.last(), Some(Finding::RoomLow { .. })), "{found:?}");
    assert_eq!(held(&disk), 0);
    let answers = store.commit(vec![put(next), put(0).essential(), put(next), put(1).essential()]);
    assert!(
        matches!(
            answers.as_slice(),
            [Err(CommitError::Reserved { .. }), Ok(_), Err(CommitError::Reserved { .. }), Ok(_)]
        ),
        "{answers:?}"
    );
    assert!(answers[0].as_ref().unwrap_err().is_disk_full());
    let mut kept = 0;
    while commit(&mut store, put(2).essential()).is_ok() {
        kept += 1;
        assert!(kept < 1000, "the disk never gets full");
    }
    assert!(kept > 5, "{kept} renewals from a ballast of 2000 bytes");
    assert!(matches!(store.status().room, Room::Nothing { .. }));
    assert!(store.status().read_only.is_some());
    assert_eq!(numbers(&store).len() as u64, next, "reads go on");
}

#[test]
fn a_group_in_which_room_runs_out_is_committed_whole_from_the_ballast() {
    let disk = SimDisk::new();
    let mut store = open(&disk);
    disk.set_full(true);
    let answers = store.commit(vec![put(1), put(2).essential()]);
    // Released room does not help on a disk that stays full.
    assert!(answers.iter().all(|answer| matches!(answer, Err(CommitError::Journal { .. }))), "{answers:?}");
    disk.set_full(false);
    store.look();
    disk.set_capacity(used(&disk));
    let answers = store.commit(vec![put(1), put(2).essential()]);
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert!(matches!(store.status().room, Room::Reserve { .. }));
}

#[test]
fn room_comes_back_by_itself_and_not_before_there_is_a_margin() {
    let disk = SimDisk::new();
    disk.set_capacity(20_000);
    let mut store = open(&disk);
    let next = fill(&mut store, 0);
    while commit(&mut store, put(0).essential()).is_ok() {}
    let full = used(&disk);
    disk.set_capacity(full + 3900);
    store.look();
    assert!(matches!(store.status().room, Room::Reserve { .. }), "a ballast and a margin are 4000 bytes");
    assert_eq!(held(&disk), 0);
    disk.set_capacity(used(&disk) + 4000);
    store.look();
    assert_eq!((store.status().room, held(&disk)), (Room::Plenty, 2000));
    assert_eq!(store.status().findings.last(), Some(&Finding::RoomBack));
    commit(&mut store, put(next)).unwrap();
}

#[test]
fn a_disk_that_failed_is_found_to_work_again_without_traffic() {
    let disk = SimDisk::new();
    let mut store = open(&disk);
    commit(&mut store, put(1)).unwrap();
    disk.fail(disk.operations() + 2, Fault::Once(io::ErrorKind::Other));
    assert!(matches!(commit(&mut store, put(2)), Err(CommitError::Journal { .. })));
    assert!(matches!(store.status().room, Room::Nothing { .. }));
    assert_eq!(held(&disk), 2000, "a ballast does not help against a bad disk");
    disk.fail(disk.operations() + 1, Fault::Once(io::ErrorKind::Other));
    store.look();
    assert!(matches!(store.status().room, Room::Nothing { .. }), "it still fails");
    store.look();
    assert_eq!(store.status().room, Room::Plenty);
    commit(&mut store, put(3)).unwrap();
    assert_eq!(numbers(&open(&disk.crash(&mut Rng::new(1)))), [1, 3]);
}

#[test]
fn a_restart_on_a_full_disk_starts_in_the_right_state() {
    let disk = SimDisk::new();
    disk.set_capacity(20_000);
    let mut store = open(&disk);
    let next = fill(&mut store, 0);
    let expected = numbers(&store);
    for disk in [disk.fork(), disk.crash(&mut Rng::new(3))] {
        let mut store = open(&disk);
        assert!(matches!(store.status().room, Room::Reserve { .. }), "{:?}", store.status().room);
        assert!(store.report().findings.iter().any(|it| matches!(it, Finding::RoomLow { .. })));
        assert_eq!(numbers(&store), expected);
        assert!(matches!(commit(&mut store, put(next)), Err(CommitError::Reserved { .. })));
        commit(&mut store, put(0).essential()).unwrap();
        disk.set_capacity(100_000);
        let mut store = open(&disk);
        assert_eq!((store.status().room, held(&disk)), (Room::Plenty, 2000));
        commit(&mut store, put(next)).unwrap();
    }
}

#[test]
fn a_small_file_system_keeps_no_ballast_and_says_so() {
    let disk = SimDisk::new();
    disk.set_capacity(15_000);
    let mut store = open(&disk);
    assert_eq!((held(&disk), store.status().room), (0, Room::Plenty));
    assert!(store.report().findings.iter().any(|it| matches!(it, Finding::NoBallast { .. })));
    let mut number = 0;
    let error = loop {
        match commit(&mut store, put(number)) {
            Ok(()) => number += 1,
            Err(error) => break error,
        }
    };
    assert!(error.is_disk_full(), "{error}");
    assert!(matches!(store.status().room, Room::Nothing { .. }));
    disk.set_capacity(used(&disk) + 1000);
    store.look();
    assert_eq!(store.status().room, Room::Plenty);
}

#[test]
fn a_ballast_of_another_size_is_made_anew() {
    let disk = SimDisk::new();
    drop(open(&disk));
    disk.edit(BALLAST, |bytes| bytes.truncate(700));
    drop(open(&disk));
    assert_eq!(held(&disk), 2000);
    drop(SimStore::open_with(&disk, SimOptions { ballast_bytes: 0, ..OPTIONS }).unwrap());
    assert_eq!(held(&disk), 0);
}

#[test]
fn the_quota_removes_old_evidence_then_old_journal_and_then_acts_as_a_full_disk() {
    let disk = SimDisk::new();
    drop(open(&disk));
    for name in ["damaged/one.0", "damaged/two.0"] {
        disk.open(name, true).unwrap().write_at(0, &[7; 3000]).unwrap();
    }
    let options = SimOptions { quota_bytes: 12_000, checkpoint_bytes: u64::MAX, ..OPTIONS };
    let mut store = SimStore::open_with(&disk, options).unwrap();
    let mut number = 0;
    while store.status().findings.is_empty() {
        commit(&mut store, put(number % 5)).unwrap();
        number += 1;
    }
    assert_eq!(store.status().findings, [Finding::Removed { name: "damaged/one.0".to_owned() }]);
    assert_eq!(store.status().checkpoint, None);
    for number in 0..300 {
        commit(&mut store, put(number % 5)).unwrap();
        store.look();
        assert!(used(&disk) <= 12_000);
    }
    assert!(store.status().checkpoint.is_some(), "checkpoints let go of the journal");
    let mut number = 5;
    while store.status().room == Room::Plenty {
        commit(&mut store, put(number)).unwrap();
        number += 1;
    }
    let reason = store.status().room.reason().unwrap().to_owned();
    assert!(reason.contains("quota of 11.7 KiB"), "{reason}");
    assert!(matches!(commit(&mut store, put(number)), Err(CommitError::Reserved { .. })));
    commit(&mut store, put(0).essential()).unwrap();
    assert!(used(&disk) <= 12_000);
}

/// Fills the disk, goes on in the reserve until nothing is left, gets room back. Answers what was acknowledged.
fn life(disk: &SimDisk, capacity: u64) -> Vec<u64> {
    disk.set_capacity(capacity);
    let mut acknowledged = Vec::new();
    // Once more, as the service manager does.
    let Ok(mut store) = SimStore::open_with(disk, OPTIONS).or_else(|_| SimStore::open_with(disk, OPTIONS))
    else {
        return acknowledged;
    };
    for number in 0..60 {
        let batch = if number % 2 == 0 { put(number) } else { put(number).essential() };
        if commit(&mut store, batch).is_ok() {
            acknowledged.push(number);
        }
        if number % 10 == 5 {
            store.look();
        }
        if number == 45 {
            disk.set_capacity(1 << 20);
        }
    }
    acknowledged
}

fn check(disk: &SimDisk, acknowledged: &[u64], context: &str) {
    disk.set_capacity(1 << 20);
    let mut store = SimStore::open_with(disk, OPTIONS).unwrap_or_else(|error| panic!("{context}: {error}"));
    let found = numbers(&store);
    let lost: Vec<_> = acknowledged.iter().filter(|number| !found.contains(number)).collect();
    assert!(lost.is_empty(), "{context}: lost {lost:?}");
    assert_eq!((store.status().room, held(disk)), (Room::Plenty, 2000), "{context}");
    commit(&mut store, put(99)).unwrap_or_else(|error| panic!("{context}: {error}"));
}

#[test]
fn a_disk_that_fills_at_any_byte_loses_nothing_and_recovers() {
    for capacity in (0..16_000).step_by(61) {
        let disk = SimDisk::new();
        let acknowledged = life(&disk, capacity);
        check(&disk.crash(&mut Rng::new(capacity)), &acknowledged, &format!("capacity {capacity}"));
        check(&disk.fork(), &acknowledged, &format!("capacity {capacity}"));
    }
}

#[test]
fn a_power_cut_at_any_operation_of_releasing_and_making_the_ballast_loses_nothing() {
    let disk = SimDisk::new();
    life(&disk, 16_500);
    let operations = disk.operations();
    for number in 1..=operations {
        for fault in
            [Fault::PowerOff, Fault::Once(io::ErrorKind::Other), Fault::Once(io::ErrorKind::StorageFull)]
        {
            let disk = SimDisk::new();
            disk.fail(number, fault);
            let acknowledged = life(&disk, 16_500);
            for seed in 0..4 {
                let after = disk.crash(&mut Rng::new(seed * 7919 + number));
                check(&after, &acknowledged, &format!("{fault:?} at {number} of {operations}, seed {seed}"));
            }
        }
    }
}
