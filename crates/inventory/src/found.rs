//! What a reader gives back: proposals and faults, bounded.

use crate::fault::{Code, Fault, Origin};
use crate::limits::{FAULTS_MAX, HOSTS_MAX};
use crate::text::{NoText, shown};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use types::resource::{Host, HostMatch, Name};
use types::subnet::Reservation;

/// A machine that a list proposes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proposal {
    /// Where it stands, and what the list calls it.
    pub origin: Origin,
    /// Its name here. What the list wrote is [`Proposal::given`].
    pub name: Name,
    /// Its name as written; empty when it has none there.
    pub given: String,
    /// How it is recognised; never empty.
    pub identity: HostMatch,
    /// Image it shall boot. Only a CSV list can say.
    pub image: Option<Name>,
    /// Group it shall belong to.
    pub group: Option<Name>,
    /// Values for templates and scripts.
    pub params: BTreeMap<String, String>,
    /// Addresses to reserve for it.
    pub reservations: Vec<Reservation>,
    /// What the old server gave it: for people, decides nothing.
    pub served: Served,
}

impl Proposal {
    /// The host as it would be recorded if nothing were known of it yet.
    pub fn host(&self) -> Host {
        Host {
            group: self.group.clone(),
            image: self.image.clone(),
            params: self.params.clone(),
            ..Host::new(self.name.clone(), self.identity.clone())
        }
    }
}

/// What the old server gave a machine.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Served {
    /// Boot file name or path.
    pub boot_file: Option<String>,
    /// Server it was sent to.
    pub next_server: Option<String>,
    /// Its tags, classes, group blocks or organizational units, nearest first, as written.
    pub tags: Vec<String>,
}

/// Everything a list held.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Found {
    /// What it proposes, in its order. At most [`HOSTS_MAX`].
    pub hosts: Vec<Proposal>,
    /// What is wrong or doubtful, by line. At most [`FAULTS_MAX`].
    pub faults: Vec<Fault>,
    /// Faults beyond that.
    pub faults_left_out: u64,
}

impl Found {
    /// Adds another list to the same import. The bounds are those of each list.
    pub fn append(&mut self, other: Found) {
        self.hosts.extend(other.hosts);
        self.faults.extend(other.faults);
        self.faults_left_out += other.faults_left_out;
    }
}

/// What a reader may be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// Take the nearest tag, class, group block or organizational unit as the machine's group. CSV lists have a column.
    pub groups: bool,
    /// In which byte order a directory stores GUIDs.
    pub guid_order: GuidOrder,
}

/// Byte order of GUIDs stored as 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum GuidOrder {
    /// As the machine sends them in option 97, the first three fields little-endian: what WDS stores and looks up.
    #[default]
    Wire,
    /// As the text reads, first digit first: what tools store that took the text for a row of hex digits.
    Text,
}

/// Takes proposals and faults, and keeps the bounds.
pub(crate) struct Collector {
    source: Arc<str>,
    pub(crate) options: Options,
    found: Found,
    /// Faults that say the same of many entries, by code and message.
    repeated: HashMap<(Code, String), usize>,
    full: bool,
}

impl Collector {
    pub(crate) fn new(source: &str, options: &Options) -> Collector {
        Collector {
            source: source.into(),
            options: *options,
            found: Found::default(),
            repeated: HashMap::new(),
            full: false,
        }
    }

    pub(crate) fn origin(&self, line: u32, entry: &str) -> Origin {
        Origin { source: self.source.clone(), line, entry: entry.to_owned() }
    }

    /// `message` and `fix` are ours; outside text in them has gone through [`shown`].
    pub(crate) fn fault(&mut self, code: Code, line: u32, entry: &str, message: String, fix: &str) {
        if self.found.faults.len() >= FAULTS_MAX {
            self.found.faults_left_out += 1;
            return;
        }
        let origin = self.origin(line, &shown(entry));
        self.found.faults.push(Fault { code, origin, message, fix: fix.to_owned(), again: 0 });
    }

    /// As [`fault`](Self::fault) for what many entries have in common: kept once and counted.
    pub(crate) fn common(&mut self, code: Code, line: u32, entry: &str, message: &str, fix: &str) {
        let key = (code, message.to_owned());
        if let Some(first) = self.repeated.get(&key).and_then(|&at| self.found.faults.get_mut(at)) {
            first.again = first.again.saturating_add(1);
            return;
        }
        if self.found.faults.len() < FAULTS_MAX {
            self.repeated.insert(key, self.found.faults.len());
        }
        self.fault(code, line, entry, message.to_owned(), fix);
    }

    pub(crate) fn no_text(&mut self, error: NoText) {
        self.fault(error.code, error.line, "", error.message, &error.fix);
    }

    /// False when the list is full: then the reader stops.
    pub(crate) fn has_room(&self) -> bool {
        !self.full
    }

    pub(crate) fn propose(&mut self, proposal: Proposal) {
        if self.found.hosts.len() < HOSTS_MAX {
            self.found.hosts.push(proposal);
        } else if !self.full {
            self.full = true;
            let line = proposal.origin.line;
            let message = format!("the list has more than {HOSTS_MAX} hosts; from here on nothing is read");
            // Over the bound of faults if need be: the one fault that must not be missed.
            self.found.faults.truncate(FAULTS_MAX - 1);
            self.fault(Code::Limit, line, "", message, "split it and import the parts");
        }
    }

    pub(crate) fn finish(self) -> Found {
        let mut found = self.found;
        found.faults.sort_by_key(|fault| fault.origin.line);
        found
    }
}
