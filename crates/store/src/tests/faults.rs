//! Power cuts and disk errors at every single operation.

use super::*;
use crate::sim::{Fault, Rng, SimDisk};
use std::io;

fn open(disk: &SimDisk) -> Result<Store, StoreError> {
    let options = StoreOptions { segment_bytes: 600, ballast_bytes: 512, ..StoreOptions::new("memory") };
    Store::open_on(Arc::new(disk.clone()), Home(None), &options, None, &mut |_| {})
}

/// What a run got acknowledged, and what was refused by a store that acknowledged nothing after it: that may still come back.
#[derive(Default)]
struct Run {
    acknowledged: Vec<u64>,
    unknown: Vec<u64>,
}

/// Twelve batches with two checkpoints and a restart between them; goes on after errors like the daemon does.
fn run(disk: &SimDisk) -> Run {
    let mut run = Run::default();
    for half in [0..6u64, 6..12] {
        // Like the service manager does.
        let Ok(store) = open(disk).or_else(|_| open(disk)) else { return run };
        let before = run.unknown.len();
        for number in half {
            match store.commit_blocking(put(number, &format!("value {number} {}", "x".repeat(100)))) {
                Ok(_) => {
                    run.acknowledged.push(number);
                    run.unknown.truncate(before);
                }
                Err(CommitError::Journal { .. }) => run.unknown.push(number),
                Err(CommitError::Reserved { .. }) => {}
                Err(other) => panic!("{other}"),
            }
            if number % 6 == 3 {
                let _ = store.checkpoint();
            }
        }
        let seen: Vec<u64> = values(&store, Table::Leases).iter().map(|(key, _)| number_of(key)).collect();
        for number in &run.acknowledged {
            assert!(seen.contains(number), "batch {number} was acknowledged and is not seen");
        }
        store.close();
    }
    run
}

fn number_of(key: &[u8]) -> u64 {
    u64::from_be_bytes(key.try_into().unwrap())
}

fn check(disk: &SimDisk, run: &Run, context: &str) {
    let store = open(disk).unwrap_or_else(|error| panic!("{context}: {error}"));
    let report = store.report().clone();
    for finding in &report.findings {
        assert!(
            matches!(
                finding,
                Finding::TornTail { .. } | Finding::UnbornSegment { .. } | Finding::AbandonedTail { .. }
            ),
            "{context}: a crash is no damage, but: {finding}"
        );
    }
    let found: Vec<u64> = values(&store, Table::Leases).iter().map(|(key, _)| number_of(key)).collect();
    let lost: Vec<_> = run.acknowledged.iter().filter(|number| !found.contains(number)).collect();
    assert!(lost.is_empty(), "{context}: lost {lost:?}, found {found:?}");
    let risen: Vec<_> = found
        .iter()
        .filter(|number| !run.acknowledged.contains(number) && !run.unknown.contains(number))
        .collect();
    assert!(risen.is_empty(), "{context}: {risen:?} were refused and came back");
    let verified = store.verify().unwrap();
    assert!(verified.is_clean(), "{context}: {verified}");
    // And it works.
    store.commit_blocking(put(99, "after")).unwrap_or_else(|error| panic!("{context}: {error}"));
    store.close();
    let store = open(disk).unwrap();
    assert_eq!(store.report().findings, [], "{context}: after a clean end");
    assert_eq!(values(&store, Table::Leases).len(), found.len() + 1, "{context}");
}

fn operations_of_a_run() -> u64 {
    let disk = SimDisk::default();
    let run = run(&disk);
    assert_eq!(run.acknowledged.len(), 12);
    disk.operations()
}

#[test]
fn a_power_cut_at_any_operation_loses_nothing_acknowledged() {
    for number in 1..=operations_of_a_run() {
        let disk = SimDisk::default();
        disk.fail(number, Fault::PowerOff);
        let run = run(&disk);
        for seed in 1..8 {
            let context = format!("power off at operation {number}, seed {seed}");
            check(&disk.crash(&mut Rng::new(seed * 7919 + number)), &run, &context);
        }
    }
}

#[test]
fn one_error_at_any_operation_costs_at_most_that_batch_also_when_power_fails_later() {
    for kind in [io::ErrorKind::Other, io::ErrorKind::StorageFull] {
        for number in 1..=operations_of_a_run() {
            let disk = SimDisk::default();
            disk.fail(number, Fault::Once(kind));
            let run = run(&disk);
            assert!(run.acknowledged.len() >= 6, "one error at {number} costs {:?}", run.acknowledged);
            check(&disk.fork(), &run, &format!("{kind:?} at operation {number}"));
            check(
                &disk.crash(&mut Rng::new(number)),
                &run,
                &format!("{kind:?} at operation {number}, then a power cut"),
            );
        }
    }
}

#[test]
fn two_errors_in_a_row_lose_nothing_acknowledged() {
    let last = operations_of_a_run();
    for number in 1..=last {
        for gap in 1..4 {
            let disk = SimDisk::default();
            disk.fail(number, Fault::Once(io::ErrorKind::Other));
            disk.fail(number + gap, Fault::Once(io::ErrorKind::Other));
            let run = run(&disk);
            let context = format!("errors at operations {number} and {}", number + gap);
            check(&disk.crash(&mut Rng::new(number)), &run, &context);
        }
    }
}

#[test]
fn a_full_disk_refuses_commits_serves_reads_restarts_and_recovers() {
    let disk = SimDisk::default();
    let store = open(&disk).unwrap();
    store.commit_blocking(put(1, "one")).unwrap();
    disk.set_full(true);
    let error = store.commit_blocking(put(2, "two")).unwrap_err();
    assert!(error.is_disk_full(), "{error}");
    assert!(store.status().read_only.is_some());
    assert_eq!(values(&store, Table::Leases), [(key(1), "one".to_owned())]);
    store.close();

    let store = open(&disk).unwrap();
    assert_eq!(values(&store, Table::Leases), [(key(1), "one".to_owned())], "a restart on a full disk works");
    assert!(store.commit_blocking(put(2, "two")).unwrap_err().is_disk_full());
    disk.set_full(false);
    until_plenty(&store);
    store.commit_blocking(put(3, "three")).unwrap();
    assert_eq!(store.status().read_only, None);
    assert_eq!(values(&store, Table::Leases), [(key(1), "one".to_owned()), (key(3), "three".to_owned())]);
    let crashed = open(&disk.crash(&mut Rng::new(1))).unwrap();
    assert_eq!(values(&crashed, Table::Leases), [(key(1), "one".to_owned()), (key(3), "three".to_owned())]);
}

#[test]
fn a_disk_that_hangs_makes_the_store_busy_and_no_caller_wait_in_line() {
    let disk = SimDisk::default();
    let store = open(&disk).unwrap();
    let hanging = disk.hang();
    let mut waiting = Vec::new();
    let error = loop {
        let (reply, answer) = oneshot::channel();
        match store.submit(put(waiting.len() as u64, "x"), Reply::Async(reply)) {
            Ok(()) => waiting.push(answer),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, CommitError::Busy { waiting: QUEUE_BATCHES_MAX }), "{error}");
    drop(hanging);
    for answer in waiting {
        answer.blocking_recv().unwrap().unwrap();
    }
    store.commit_blocking(put(0, "again")).unwrap();
}

/// A store that died with ten batches in its journal, five of them in a checkpoint too.
fn died() -> SimDisk {
    let disk = SimDisk::default();
    let store = open(&disk).unwrap();
    for number in 1..=10 {
        store.commit_blocking(put(number, &format!("value {number} {}", "x".repeat(100)))).unwrap();
        if number == 5 {
            store.checkpoint().unwrap();
        }
    }
    disk.fork()
}

#[test]
fn a_bad_frame_with_good_ones_behind_it_refuses_to_open_by_name() {
    let disk = died();
    let segment = "journal/00000000000000000006.log";
    disk.edit(segment, |bytes| bytes[100] ^= 1);
    let error = open(&disk).err().unwrap();
    let StoreError::JournalDamaged { file, after: 5, .. } = &error else { panic!("{error}") };
    assert_eq!(file, &format!("memory/{segment}"));
    assert!(error.to_string().contains("after revision 5"), "{error}");
}

#[test]
fn a_missing_segment_refuses_to_open() {
    let disk = died();
    disk.remove("journal/00000000000000000006.log").unwrap();
    let error = open(&disk).err().unwrap();
    assert!(matches!(error, StoreError::JournalGap { after: 5, .. }), "{error}");
}

#[test]
fn damage_before_the_checkpoint_is_reported_and_costs_nothing() {
    let disk = died();
    let segment = "journal/00000000000000000001.log";
    disk.edit(segment, |bytes| bytes[100] ^= 1);
    let store = open(&disk).unwrap();
    assert_eq!(values(&store, Table::Leases).len(), 10);
    let findings = &store.report().findings;
    assert!(findings.iter().any(|it| matches!(it, Finding::DamagedSegment { file, .. } if file == segment)));
    assert!(findings.iter().any(|it| matches!(it, Finding::SetAside { file, .. } if file == segment)));
    assert_eq!(store.report().checkpoint, Some(Revision(10)), "what was at stake is in a new checkpoint");
    assert!(store.verify().unwrap().is_clean());
}

#[test]
fn a_damaged_checkpoint_is_replaced_by_the_journal_behind_the_one_before() {
    let disk = died();
    let newest = "checkpoint/00000000000000000005.ckpt";
    disk.edit(newest, |bytes| bytes[50] ^= 1);
    let store = open(&disk).unwrap();
    assert_eq!(values(&store, Table::Leases).len(), 10);
    assert!(store.report().findings.iter().any(|it| matches!(it, Finding::DamagedCheckpoint { .. })));
    assert!(disk.names().iter().any(|name| name.starts_with("damaged/")), "kept for study");
    store.close();
    assert_eq!(open(&disk).unwrap().report().findings, []);
}

#[test]
fn both_copies_damaged_refuses_to_open() {
    let disk = died();
    disk.edit("checkpoint/00000000000000000005.ckpt", |bytes| bytes[50] ^= 1);
    disk.edit("journal/00000000000000000001.log", |bytes| bytes[100] ^= 1);
    let error = open(&disk).err().unwrap();
    assert!(matches!(error, StoreError::JournalDamaged { .. }), "{error}");
}

#[test]
fn an_operator_may_accept_the_loss_and_gets_all_that_is_readable() {
    let disk = died();
    disk.edit("journal/00000000000000000006.log", |bytes| bytes[100] ^= 1);
    let options = StoreOptions { accept_loss: true, ..StoreOptions::new("memory") };
    let store = Store::open_on(Arc::new(disk.clone()), Home(None), &options, None, &mut |_| {}).unwrap();
    let found: Vec<u64> = values(&store, Table::Leases).iter().map(|(key, _)| number_of(key)).collect();
    assert_eq!(found, [1, 2, 3, 4, 5, 7, 8, 9, 10]);
    assert!(store.report().findings.iter().any(|it| matches!(it, Finding::LossAccepted { .. })));
    assert_eq!(store.commit_blocking(put(11, "next")).unwrap(), Revision(11));
    store.close();
    let store = open(&disk).unwrap();
    assert_eq!((store.report().findings.as_slice(), values(&store, Table::Leases).len()), (&[][..], 10));
    assert!(store.verify().unwrap().is_clean());
}

#[test]
fn no_flipped_bit_anywhere_is_silent() {
    let disk = died();
    let expected = values(&open(&disk.fork()).unwrap(), Table::Leases);
    let mut rng = Rng::new(42);
    for name in disk.names() {
        let bits = disk.read(&name).unwrap().len() * 8;
        for _ in 0..60 {
            let bit = rng.below(bits);
            let flipped = disk.fork();
            flipped.edit(&name, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
            // A refusal is not silent; neither is a finding.
            if let Ok(store) = open(&flipped) {
                let same = values(&store, Table::Leases) == expected;
                assert!(
                    same || !store.report().findings.is_empty(),
                    "{name} bit {bit} lost records without a word"
                );
            }
        }
    }
}

#[test]
fn an_interrupted_checkpoint_leaves_the_one_before() {
    let disk = died();
    let before = disk.operations();
    let store = open(&disk).unwrap();
    store.checkpoint().unwrap();
    let steps = disk.operations() - before;
    drop(store);
    for step in 1..=steps {
        let disk = died();
        disk.fail(disk.operations() + step, Fault::PowerOff);
        if let Ok(store) = open(&disk) {
            let _ = store.checkpoint();
        }
        for seed in 1..20 {
            let after = disk.crash(&mut Rng::new(seed));
            let store = open(&after).unwrap_or_else(|error| panic!("step {step}, seed {seed}: {error}"));
            assert_eq!(values(&store, Table::Leases).len(), 10, "step {step}, seed {seed}");
        }
    }
}

#[test]
fn a_record_that_fails_its_checksum_is_repaired_from_the_files_and_reported() {
    let disk = SimDisk::default();
    let store = open(&disk).unwrap();
    store.commit_blocking(put(1, "one")).unwrap();
    store.inner.shared.index_mut().damage(&full_key(Table::Leases, &key(1)));
    assert!(!store.verify().unwrap().is_clean(), "verify sees it without touching it");
    assert_eq!(store.get(Table::Leases, &key(1)).unwrap().unwrap().value, b"one");
    assert!(matches!(store.status().findings.as_slice(), [Finding::IndexRebuilt { .. }]));
    assert!(store.verify().unwrap().is_clean());
    store.commit_blocking(put(2, "two")).unwrap();
    assert_eq!(values(&store, Table::Leases).len(), 2);
}

#[test]
fn an_index_that_fails_behind_a_commit_is_made_anew_with_that_commit_in_it() {
    let disk = SimDisk::default();
    let store = open(&disk).unwrap();
    store.commit_blocking(put(1, "one")).unwrap();
    let behind = store.inner.shared.index().snapshot().unwrap();
    store.commit_blocking(put(2, "two")).unwrap();
    {
        // As if applying the second batch had failed half way.
        let mut index = store.inner.shared.index_mut();
        let position = index.position();
        *index = crate::index::Index::in_memory(behind, index.generation());
        index.fail(&crate::index::Fault::failed("broken"), position);
    }
    assert_eq!(store.get(Table::Leases, &key(2)).unwrap().unwrap().value, b"two");
    assert!(matches!(store.status().findings.as_slice(), [Finding::IndexRebuilt { .. }]));
    assert!(store.verify().unwrap().is_clean());
    assert_eq!(store.commit_blocking(put(3, "three")).unwrap(), Revision(3));
    assert_eq!(values(&store, Table::Leases).len(), 3);
}
