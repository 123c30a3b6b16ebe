use super::*;
use crate::model::Expect;

fn put(number: u64, value: &str) -> Batch {
    Batch::new().put(Table::Leases, number.to_be_bytes(), value)
}

fn values(store: &SimStore) -> Vec<(Vec<u8>, u64)> {
    let records = store.scan(Table::Leases, None, usize::MAX).unwrap();
    records.into_iter().map(|(key, stored)| (key, stored.revision.0)).collect()
}

#[test]
fn a_group_is_one_frame_and_each_batch_has_its_own_answer() {
    let disk = SimDisk::new();
    let mut store = SimStore::open(&disk).unwrap();
    let wanted = || put(1, "mine").expect(Table::Leases, 1u64.to_be_bytes(), Expect::Absent);
    let large = Batch::new().put(Table::Meta, vec![0; 1025], "x");
    let before = disk.operations();
    let answers = store.commit(vec![wanted(), large, wanted(), put(2, "two")]);
    assert!(
        matches!(
            answers.as_slice(),
            [
                Ok(Revision(1)),
                Err(CommitError::TooLarge { .. }),
                Err(CommitError::Conflict { .. }),
                Ok(Revision(2))
            ]
        ),
        "{answers:?}"
    );
    // A segment: opened, header written, synced, its name synced; then the frame: written, synced.
    assert_eq!(disk.operations() - before, 6);
    assert_eq!(store.get(Table::Leases, &2u64.to_be_bytes()).unwrap().unwrap().value, b"two");
}

#[test]
fn small_sizes_make_segments_and_checkpoints_come_by_themselves() {
    let disk = SimDisk::new();
    let options = SimOptions { segment_bytes: 300, checkpoint_bytes: 1000, ..SimOptions::default() };
    let mut store = SimStore::open_with(&disk, options).unwrap();
    for number in 0..100 {
        assert!(store.commit(vec![put(number % 7, "some value")]).iter().all(Result::is_ok));
    }
    assert!(store.status().checkpoint.unwrap() > Revision(80), "{:?}", store.status());
    assert!(disk.names().iter().filter(|name| name.starts_with("journal/")).count() > 2);
    assert!(store.verify().unwrap().is_clean());
    let expected = values(&store);
    for disk in [disk.fork(), disk.crash(&mut Rng::new(1))] {
        let store = SimStore::open_with(&disk, options).unwrap();
        assert_eq!((values(&store), store.report().findings.as_slice()), (expected.clone(), &[][..]));
    }
    store.close();
    let store = SimStore::open_with(&disk, options).unwrap();
    assert_eq!((store.report().frames, store.report().checkpoint), (0, Some(Revision(100))));
}

#[test]
fn the_same_calls_leave_the_same_bytes() {
    let run = |seed: u64| {
        let disk = SimDisk::new();
        let mut rng = Rng::new(seed);
        let cut = rng.below(60) as u64 + 20;
        disk.fail(cut, Fault::PowerOff);
        if let Ok(mut store) = SimStore::open(&disk) {
            for number in 0..40 {
                let group =
                    (0..1 + rng.below(3)).map(|_| put(rng.below(9) as u64, &number.to_string())).collect();
                store.commit(group);
            }
        }
        let after = disk.crash(&mut rng);
        let names = after.names();
        let bytes: Vec<_> = names.iter().map(|name| crate::disk::Disk::read(&after, name).unwrap()).collect();
        let store = SimStore::open(&after).unwrap();
        (names, bytes, values(&store), store.report().clone())
    };
    for seed in 0..50 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}
