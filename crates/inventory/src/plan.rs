//! Proposals compared with what is recorded: what an import would do, entry by entry.
//!
//! # How an entry is compared
//!
//! 1. Entries of one name that share an identity and contradict each other nowhere are one machine: a laptop in two
//!    subnets stands twice in a DHCP server's list.
//! 2. Two entries that claim one name, MAC address, GUID (byte orders count as one), serial or address are conflicts, both.
//! 3. An entry whose identity is recorded for a host of another name is a conflict, and so is one whose identities are
//!    recorded for two hosts.
//! 4. An entry whose name is recorded updates that host, unless it contradicts what the host is recognised by; with
//!    [`Rules::replace_identity`] it then replaces it.
//! 5. Anything else is new.
//!
//! An update changes what the entry says and leaves the rest: an empty cell takes nothing away, and MAC addresses are
//! added, not replaced (unless `replace_identity` is set). A changed image ends the pin to a version of the old one.

mod compare;
mod index;
mod reserve;
mod show;

use crate::fault::{Fault, Origin, Weight};
use crate::found::{Found, Served};
use ipnet::Ipv4Net;
use std::fmt;
use types::resource::{Host, Name};
use types::subnet::Reservation;

/// What is recorded today.
#[derive(Clone, Copy, Debug, Default)]
pub struct Existing<'a> {
    /// Every recorded host.
    pub hosts: &'a [Recorded<'a>],
    /// Every subnet.
    pub networks: &'a [Network<'a>],
    /// Images that are there; `None` when that is not known, and then none is missed.
    pub images: Option<&'a [Name]>,
    /// Groups that are there, likewise.
    pub groups: Option<&'a [Name]>,
}

/// A recorded host.
#[derive(Clone, Copy, Debug)]
pub struct Recorded<'a> {
    /// The record.
    pub host: &'a Host,
    /// The file that owns it: then nothing else may change it.
    pub file: Option<&'a str>,
}

/// A subnet and its reservations.
#[derive(Clone, Copy, Debug)]
pub struct Network<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its addresses.
    pub network: Ipv4Net,
    /// True in server mode: only then are reservations used.
    pub serves: bool,
    /// Its fixed addresses.
    pub reservations: &'a [Reservation],
}

/// How to compare.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rules {
    /// An entry of a recorded name replaces what that host is recognised by, even when it contradicts it: the list is
    /// right about new network cards and mainboards.
    pub replace_identity: bool,
}

/// What an import would do.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ImportPlan {
    /// Entry by entry, in the order of the list.
    pub entries: Vec<Entry>,
    /// Faults of the reader that kept an entry, or the list, out.
    pub refused: Vec<Fault>,
    /// Faults of the reader that somebody should look at.
    pub doubtful: Vec<Fault>,
    /// Faults beyond the bound of the reader; any of them may be a refusal.
    pub faults_left_out: u64,
}

/// One machine of the list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Where it stands.
    pub origin: Origin,
    /// Further places of the same machine.
    pub also: Vec<Origin>,
    /// Its name here.
    pub name: Name,
    /// Its name as written.
    pub given: String,
    /// What becomes of it.
    pub outcome: Outcome,
    /// Its addresses.
    pub reservations: Vec<Reserved>,
    /// What somebody should look at, such as an image that is not there.
    pub notes: Vec<String>,
    /// What the old server gave it.
    pub served: Served,
}

/// What becomes of an entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// A new host.
    Create(Box<Host>),
    /// A recorded host is changed.
    Update {
        /// As it would be afterwards.
        host: Box<Host>,
        /// What differs, by field.
        changes: Vec<Change>,
    },
    /// Recorded as the list has it.
    Unchanged,
    /// Not possible as it stands, with every reason.
    Conflict(Vec<Conflict>),
}

/// A field that differs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// `mac`, `uuid`, `image`, `params.rack` …
    pub field: String,
    /// As recorded; `None` when it is not set.
    pub before: Option<String>,
    /// As it would be; `None` when it would be taken away.
    pub after: Option<String>,
}

/// Why an entry cannot be imported as it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Conflict {
    /// Another entry has the same name.
    NameTwice {
        /// Where the other stands.
        other: Origin,
        /// The other's name as written: it may have been folded.
        given: String,
    },
    /// Another entry claims the same identity.
    IdentityTwice {
        /// `mac 52:54:…`.
        identity: String,
        /// Where the other stands.
        other: Origin,
    },
    /// The identity is recorded for a host of another name.
    RecordedAs {
        /// `mac 52:54:…`.
        identity: String,
        /// That host.
        host: Name,
    },
    /// The name is recorded for a machine that is recognised by something else.
    NameTaken {
        /// `mac`, `uuid` or `serial`.
        field: &'static str,
        /// As recorded.
        recorded: String,
        /// As listed.
        listed: String,
    },
    /// The host would change and belongs to a file.
    FileOwned {
        /// The file.
        file: String,
        /// What would change.
        fields: Vec<String>,
    },
    /// The address is another machine's.
    AddressTaken {
        /// The address.
        address: std::net::Ipv4Addr,
        /// Whose it is: a recorded reservation or another entry.
        by: String,
    },
    /// The machine has another address in that subnet.
    OtherAddress {
        /// As listed.
        address: std::net::Ipv4Addr,
        /// As reserved.
        reserved: std::net::Ipv4Addr,
        /// The subnet.
        subnet: String,
    },
}

/// An address of an entry and what becomes of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reserved {
    /// The reservation as listed.
    pub reservation: Reservation,
    /// Subnet that has the address; `None` when none does.
    pub subnet: Option<String>,
    /// What becomes of it.
    pub fate: Fate,
}

/// What becomes of an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// To be added.
    New,
    /// Reserved already.
    Known,
    /// Reserved already, with another host name.
    Renamed,
    /// No subnet has it: it cannot be reserved.
    Outside,
    /// Its subnet gives no addresses: another server's business.
    NotServed,
    /// It is part of a conflict.
    Conflict,
}

/// Compares what a list proposes with what is recorded. Pure and total; O(entries + hosts + reservations).
pub fn plan_import(existing: &Existing<'_>, found: Found, rules: &Rules) -> ImportPlan {
    let (refused, doubtful) =
        found.faults.into_iter().partition(|fault: &Fault| fault.weight() == Weight::Refused);
    let machines = index::merged(found.hosts);
    let entries = compare::all(existing, machines, rules);
    ImportPlan { entries, refused, doubtful, faults_left_out: found.faults_left_out }
}

/// How many of each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// New hosts.
    pub create: usize,
    /// Changed hosts.
    pub update: usize,
    /// Hosts as they are.
    pub unchanged: usize,
    /// Entries in conflict.
    pub conflict: usize,
    /// Faults that kept something out.
    pub refused: usize,
}

/// What to do when some entries cannot be imported.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Rest {
    /// Import nothing.
    #[default]
    Stop,
    /// Import the others. The operator has seen the plan and says so.
    LeaveOut,
}

/// One host to be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Write<'a> {
    /// The record.
    pub host: &'a Host,
    /// True when there must be none of that name yet.
    pub new: bool,
}

/// Some entries cannot be imported, so none is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Blocked {
    /// Entries in conflict.
    pub conflicts: usize,
    /// Faults that kept something out.
    pub refused: usize,
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "nothing is imported: {} entries are in conflict and {} are refused",
            self.conflicts, self.refused
        )
    }
}

impl std::error::Error for Blocked {}

impl ImportPlan {
    /// How many of each.
    pub fn counts(&self) -> Counts {
        let left_out = usize::try_from(self.faults_left_out).unwrap_or(usize::MAX);
        let mut counts = Counts { refused: self.refused.len().saturating_add(left_out), ..Counts::default() };
        for entry in &self.entries {
            match entry.outcome {
                Outcome::Create(_) => counts.create += 1,
                Outcome::Update { .. } => counts.update += 1,
                Outcome::Unchanged => counts.unchanged += 1,
                Outcome::Conflict(_) => counts.conflict += 1,
            }
        }
        counts
    }

    /// Every host to be written, for one transaction.
    ///
    /// # Errors
    /// When an entry is in conflict or refused and the rest may not go without it.
    pub fn writes(&self, rest: Rest) -> Result<Vec<Write<'_>>, Blocked> {
        let counts = self.counts();
        if rest == Rest::Stop && counts.conflict + counts.refused > 0 {
            return Err(Blocked { conflicts: counts.conflict, refused: counts.refused });
        }
        Ok(self
            .entries
            .iter()
            .filter_map(|entry| {
                let host = match &entry.outcome {
                    Outcome::Create(host) | Outcome::Update { host, .. } => host,
                    Outcome::Unchanged | Outcome::Conflict(_) => return None,
                };
                let new = matches!(entry.outcome, Outcome::Create(_));
                Some(Write { host, new })
            })
            .collect())
    }

    /// Reservations that are missing, by subnet, of entries that are not in conflict: what belongs into
    /// `dhcp.subnets[].reservations`.
    pub fn reservations(&self) -> Vec<(&str, Vec<&Reservation>)> {
        let mut by_subnet: std::collections::BTreeMap<&str, Vec<&Reservation>> = Default::default();
        let good = self.entries.iter().filter(|entry| !matches!(entry.outcome, Outcome::Conflict(_)));
        for reserved in good.flat_map(|entry| &entry.reservations) {
            if let (Some(subnet), Fate::New) = (reserved.subnet.as_deref(), reserved.fate) {
                by_subnet.entry(subnet).or_default().push(&reserved.reservation);
            }
        }
        by_subnet.into_iter().collect()
    }
}

#[cfg(test)]
mod tests;
