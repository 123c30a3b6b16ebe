//! The check can fail: stores that lie are told from those that were cut.

use super::*;

fn store_at(revision: u64) -> tempfile::TempDir {
    let folder = copies::scratch().unwrap();
    let store = Store::open(workload::options(folder.path())).unwrap();
    (1..=revision).for_each(|number| workload::commit(&store, 3, number).unwrap());
    folder
}

fn text(error: &anyhow::Error) -> String {
    format!("{error:#}")
}

#[test]
fn a_store_that_holds_what_was_acknowledged_passes() {
    let folder = store_at(7);
    assert_eq!(check(folder.path(), 3, 7).unwrap().revision, 7);
}

#[test]
fn a_store_that_lost_an_acknowledged_batch_is_reported() {
    let error = check(store_at(6).path(), 3, 7).unwrap_err();
    assert!(text(&error).contains("batch 7 was acknowledged, the store stands at 6"), "{error:#}");
}

#[test]
fn a_store_with_other_records_is_reported() {
    let error = check(store_at(7).path(), 4, 7).unwrap_err();
    assert!(text(&error).contains("not those of revision 7"), "{error:#}");
}

#[test]
fn a_store_with_batches_nobody_handed_in_is_reported() {
    let error = check(store_at(20).path(), 3, 7).unwrap_err();
    assert!(text(&error).contains("more than was ever handed in"), "{error:#}");
}

#[test]
fn a_store_that_refuses_to_open_is_reported() {
    let folder = store_at(7);
    let segments = copies::files(&folder.path().join("journal")).unwrap();
    for segment in &segments {
        std::fs::write(folder.path().join("journal").join(segment), b"RVLJRNL\n\0\0\0\x09").unwrap();
    }
    std::fs::remove_dir_all(folder.path().join("index")).unwrap();
    std::fs::remove_dir_all(folder.path().join("checkpoint")).unwrap();
    assert!(check(folder.path(), 3, 7).is_err());
}
