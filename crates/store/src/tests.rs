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

/// All records of a table as text.
pub(super) fn values(store: &Store, table: Table) -> Vec<(Vec<u8>, String)> {
    let records = store.scan(table, None, usize::MAX).unwrap();
    records.into_iter().map(|(key, stored)| (key, String::from_utf8(stored.value).unwrap())).collect()
}
