//! The store as its callers see it: on a real folder ([`folder`]), on a failing disk ([`faults`]), against a model ([`model`]).

mod faults;
mod folder;
mod model;

use super::*;

pub(super) fn key(number: u64) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

pub(super) fn put(number: u64, value: &str) -> Batch {
    Batch::new().put(Table::Leases, key(number), value)
}

/// Waits until the store has noticed by itself that everything can be committed.
pub(super) fn until_plenty(store: &Store) {
    let mut room = store.room();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let plenty = async { room.wait_for(|room| *room == Room::Plenty).await.is_ok() };
    let waited = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(30), plenty).await });
    assert_eq!(waited, Ok(true), "{:?}", store.status());
}

/// All records of a table as text.
pub(super) fn values(store: &Store, table: Table) -> Vec<(Vec<u8>, String)> {
    let records = store.scan(table, None, usize::MAX).unwrap();
    records.into_iter().map(|(key, stored)| (key, String::from_utf8(stored.value).unwrap())).collect()
}
