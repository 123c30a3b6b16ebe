//! Any batches, with restarts, checkpoints, kills and ruined indexes between them, against a `BTreeMap`.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<(usize, u8, Option<Vec<u8>>)>),
    Guarded(usize, u8, bool),
    Restart,
    Checkpoint,
    RuinIndex,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let change =
        (0..Table::ALL.len(), 0..12u8, proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40)));
    let step = prop_oneof![
        12 => proptest::collection::vec(change, 1..6).prop_map(Step::Commit),
        4 => (0..Table::ALL.len(), 0..12u8, any::<bool>()).prop_map(|(table, key, right)| Step::Guarded(table, key, right)),
        2 => Just(Step::Restart),
        2 => Just(Step::Checkpoint),
        1 => Just(Step::RuinIndex),
    ];
    proptest::collection::vec(step, 1..40)
}

type Model = BTreeMap<(Table, Vec<u8>), (u64, Vec<u8>)>;

fn same(store: &Store, model: &Model) {
    for table in Table::ALL {
        let own: Vec<_> = store
            .scan(table, None, usize::MAX)
            .unwrap()
            .into_iter()
            .map(|(key, stored)| ((table, key), (stored.revision.0, stored.value)))
            .collect();
        let expected: Vec<_> = model
            .iter()
            .filter(|((own, _), _)| *own == table)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        assert_eq!(own, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn any_history_equals_a_map(steps in steps()) {
        let folder = tempfile::tempdir().unwrap();
        let options = StoreOptions { segment_bytes: 500, checkpoint_bytes: 2000, ..StoreOptions::new(folder.path()) };
        let mut store = Store::open(options.clone()).unwrap();
        let (mut model, mut revision) = (Model::new(), 0);
        for step in steps {
            match step {
                Step::Commit(changes) => {
                    revision += 1;
                    let mut batch = Batch::new();
                    for (table, key, value) in changes {
                        let (table, key) = (Table::ALL[table], vec![key, 0xff]);
                        match &value {
                            Some(value) => drop(model.insert((table, key.clone()), (revision, value.clone()))),
                            None => drop(model.remove(&(table, key.clone()))),
                        }
                        batch.changes.push(Change { table, key, value });
                    }
                    prop_assert_eq!(store.commit_blocking(batch).unwrap(), Revision(revision));
                }
                Step::Guarded(table, key, right) => {
                    let (table, key) = (Table::ALL[table], vec![key, 0xff]);
                    let expect = match (model.get(&(table, key.clone())), right) {
                        (Some((revision, _)), true) => Expect::Revision(Revision(*revision)),
                        (None, true) => Expect::Absent,
                        (Some(_), false) => Expect::Absent,
                        (None, false) => Expect::Any,
                    };
                    let batch = Batch::new().expect(table, key.clone(), expect).put(table, key.clone(), "guarded");
                    let outcome = store.commit_blocking(batch);
                    prop_assert_eq!(outcome.is_ok(), right);
                    if right {
                        revision += 1;
                        model.insert((table, key), (revision, b"guarded".to_vec()));
                    }
                }
                Step::Restart => {
                    drop(store);
                    store = Store::open(options.clone()).unwrap();
                    prop_assert_eq!(&store.report().findings, &[]);
                }
                Step::Checkpoint => prop_assert_eq!(store.checkpoint().unwrap(), Revision(revision)),
                Step::RuinIndex => {
                    drop(store);
                    std::fs::remove_dir_all(folder.path().join("index")).unwrap();
                    store = Store::open(options.clone()).unwrap();
                }
            }
            same(&store, &model);
        }
        let verified = store.verify().unwrap();
        prop_assert!(verified.is_clean(), "{}", verified);
    }
}
