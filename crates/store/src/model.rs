//! What callers hand in and get back: tables, revisions, batches.

use crate::limits::{BATCH_BYTES_MAX, BATCH_CHANGES_MAX, KEY_BYTES_MAX};
use crate::wire::hex;
use std::fmt;

/// A set of records of one kind. The number is the first byte of the record's key on disk and never changes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Table {
    /// Hosts the operator recorded, by name.
    Hosts = 1,
    /// Images, by name.
    Images = 2,
    /// Image manifests: which blobs an image consists of, by image name; other versions by `name@id`, tags by `name@`.
    Manifests = 3,
    /// Leases, by address.
    Leases = 4,
    /// What machines said of themselves.
    Facts = 5,
    /// Boot attempts and arming.
    Boots = 6,
    /// Everything single: generation counters, cursors, tokens.
    Meta = 7,
    /// Groups of hosts, by name.
    Groups = 8,
    /// Rules as they are being edited, by name.
    Rules = 9,
    /// Sets of rules that are or were in force, by their number.
    RuleSets = 10,
    /// Templates of answer files, by name.
    Templates = 11,
    /// Bundles of scripts, by name.
    Bundles = 12,
}

impl Table {
    /// All tables, in key order.
    pub const ALL: [Table; 12] = [
        Table::Hosts,
        Table::Images,
        Table::Manifests,
        Table::Leases,
        Table::Facts,
        Table::Boots,
        Table::Meta,
        Table::Groups,
        Table::Rules,
        Table::RuleSets,
        Table::Templates,
        Table::Bundles,
    ];

    /// The name in dumps and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Table::Hosts => "hosts",
            Table::Images => "images",
            Table::Manifests => "manifests",
            Table::Leases => "leases",
            Table::Facts => "facts",
            Table::Boots => "boots",
            Table::Meta => "meta",
            Table::Groups => "groups",
            Table::Rules => "rules",
            Table::RuleSets => "rule_sets",
            Table::Templates => "templates",
            Table::Bundles => "bundles",
        }
    }

    /// The table with this name.
    pub fn from_name(name: &str) -> Option<Table> {
        Table::ALL.into_iter().find(|table| table.as_str() == name)
    }

    pub(crate) fn byte(self) -> u8 {
        self as u8
    }

    pub(crate) fn from_byte(byte: u8) -> Option<Table> {
        Table::ALL.into_iter().find(|table| table.byte() == byte)
    }

    /// Number of the table from zero, for arrays with one slot each.
    pub(crate) fn slot(self) -> usize {
        usize::from(self.byte()) - 1
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Number of a committed batch. Counts up by one, never reused; 0 is the empty store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A record as it was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stored {
    /// The batch that wrote it last.
    pub revision: Revision,
    /// Its bytes, as they were committed.
    pub value: Vec<u8>,
}

/// One record written or removed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// The table.
    pub table: Table,
    /// The key, 1..=1024 bytes.
    pub key: Vec<u8>,
    /// The new bytes; `None` removes the record, and is no fault when there is none.
    pub value: Option<Vec<u8>>,
}

/// What a record has to be for a batch to apply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expect {
    /// There is no such record.
    Absent,
    /// The record was last written by this batch.
    Revision(Revision),
    /// There is a record, whoever wrote it.
    Any,
}

/// A condition on one record, checked in commit order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Precondition {
    /// The table.
    pub table: Table,
    /// The key.
    pub key: Vec<u8>,
    /// What has to be there.
    pub expect: Expect,
}

/// Changes that become durable together or not at all, provided all preconditions hold.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Batch {
    /// Conditions, seen before any change of this batch.
    pub preconditions: Vec<Precondition>,
    /// Changes in order; a later one of the same key wins.
    pub changes: Vec<Change>,
    /// It keeps what was promised before, and is committed from the reserve when the disk is full.
    pub essential: bool,
}

impl Batch {
    /// A batch without conditions and changes.
    pub fn new() -> Batch {
        Batch::default()
    }

    /// Adds a condition.
    #[must_use]
    pub fn expect(mut self, table: Table, key: impl Into<Vec<u8>>, expect: Expect) -> Batch {
        self.preconditions.push(Precondition { table, key: key.into(), expect });
        self
    }

    /// Adds a written record.
    #[must_use]
    pub fn put(mut self, table: Table, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Batch {
        self.changes.push(Change { table, key: key.into(), value: Some(value.into()) });
        self
    }

    /// Adds a removed record.
    #[must_use]
    pub fn delete(mut self, table: Table, key: impl Into<Vec<u8>>) -> Batch {
        self.changes.push(Change { table, key: key.into(), value: None });
        self
    }

    /// Marks it as keeping what was promised: a lease renewed, released or quarantined. Never set on new promises: the reserve
    /// is small.
    #[must_use]
    pub fn essential(mut self) -> Batch {
        self.essential = true;
        self
    }

    /// Bytes it takes in the journal, about.
    pub(crate) fn weight(&self) -> usize {
        self.changes
            .iter()
            .map(|change| 16 + change.key.len() + change.value.as_ref().map_or(0, Vec::len))
            .sum()
    }

    /// Names the first limit it breaks.
    pub(crate) fn over_limit(&self) -> Option<String> {
        let keys =
            self.changes.iter().map(|change| &change.key).chain(self.preconditions.iter().map(|it| &it.key));
        for key in keys {
            if key.is_empty() || key.len() > KEY_BYTES_MAX {
                return Some(format!("a key has {} bytes, allowed are 1 to {KEY_BYTES_MAX}", key.len()));
            }
        }
        let (changes, bytes) = (self.changes.len(), self.weight());
        if changes > BATCH_CHANGES_MAX {
            return Some(format!("{changes} changes, allowed are {BATCH_CHANGES_MAX}"));
        }
        (bytes > BATCH_BYTES_MAX).then(|| format!("{bytes} bytes, allowed are {BATCH_BYTES_MAX}"))
    }
}

/// Table and key in one: how a record is ordered in the index and in a checkpoint.
pub(crate) fn full_key(table: Table, key: &[u8]) -> Vec<u8> {
    let mut full = Vec::with_capacity(1 + key.len());
    full.push(table.byte());
    full.extend_from_slice(key);
    full
}

/// `leases/04c0a80001`: how a record is called in messages.
pub(crate) fn record_name(full_key: &[u8]) -> String {
    match full_key.split_first() {
        Some((byte, key)) => match (Table::from_byte(*byte), std::str::from_utf8(key)) {
            (Some(table), Ok(text))
                if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) =>
            {
                format!("{table}/{text}")
            }
            (Some(table), _) => format!("{table}/{}", hex(key)),
            (None, _) => hex(full_key),
        },
        None => String::new(),
    }
}
