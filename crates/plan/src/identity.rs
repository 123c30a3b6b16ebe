//! Which recorded host a machine is: GUID, MACs and serial together, scored ([`score`]). A conflict is reported, never guessed.

pub(crate) mod score;

use crate::CatalogFault;
use score::{Change, Score};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use types::resource::Host;
use types::{Facts, MacAddr, MachineGuid};

/// What tied a machine to a host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Evidence {
    /// Its GUID.
    Guid(MachineGuid),
    /// Its hardware address.
    Mac(MacAddr),
    /// Its serial number.
    Serial(Arc<str>),
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Evidence::Guid(guid) => write!(f, "uuid {guid}"),
            Evidence::Mac(mac) => write!(f, "mac {mac}"),
            Evidence::Serial(serial) => write!(f, "serial {serial}"),
        }
    }
}

/// The outcome of looking a machine up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Identity {
    /// No identity term matched.
    Unknown,
    /// All that matched names one host, and it is that one.
    Known(Match),
    /// All that matched names one host, and too much else differs: another machine with something of that one.
    Other(Match),
    /// Terms name different hosts.
    Conflict(Vec<(usize, Evidence)>),
}

/// What ties a machine to one host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Match {
    /// The place of the host in the catalog.
    pub(crate) at: usize,
    /// What agrees, never empty.
    pub(crate) evidence: Vec<Evidence>,
    /// What differs from the record.
    pub(crate) changes: Vec<Change>,
    /// What both weigh.
    pub(crate) score: Score,
}

/// Hash lookups from every identity a request can carry to a host's place.
#[derive(Debug, Default)]
pub(crate) struct IdentityIndex {
    guids: HashMap<MachineGuid, usize>,
    macs: HashMap<MacAddr, usize>,
    serials: HashMap<Box<str>, usize>,
}

impl IdentityIndex {
    /// Indexes the hosts; what cannot be told apart goes to `faults`.
    pub(crate) fn build(hosts: &[Arc<Host>], faults: &mut Vec<CatalogFault>) -> IdentityIndex {
        let count = hosts.len();
        let mut index = IdentityIndex {
            // Each in both byte orders.
            guids: HashMap::with_capacity(
                2 * hosts.iter().filter(|host| host.identity.uuid.is_some()).count(),
            ),
            macs: HashMap::with_capacity(count),
            serials: HashMap::with_capacity(
                hosts.iter().filter(|host| host.identity.serial.is_some()).count(),
            ),
        };
        let name = |at: usize| hosts.get(at).map(|host| host.name.clone());
        for (at, host) in hosts.iter().enumerate() {
            if host.identity.is_empty() {
                faults.push(CatalogFault::EmptyMatch(host.name.clone()));
            }
            for &mac in &host.identity.mac.0 {
                if let Some(other) = index.macs.insert(mac, at).filter(|&other| other != at).and_then(name) {
                    faults.push(CatalogFault::DuplicateMac(mac, other, host.name.clone()));
                }
            }
            if let Some(guid) = host.identity.uuid {
                if guid.is_nobodys() {
                    faults.push(CatalogFault::NobodysGuid(host.name.clone(), guid));
                }
                let earlier = index.guids.insert(guid, at).or(index.guids.insert(guid.swapped(), at));
                if let Some(other) = earlier.filter(|&other| other != at).and_then(name) {
                    faults.push(CatalogFault::DuplicateGuid(guid, other, host.name.clone()));
                }
            }
            if let Some(serial) = score::own_serial(&host.identity) {
                let earlier = index.serials.insert(fold(serial), at);
                if let Some(other) = earlier.and_then(name) {
                    faults.push(CatalogFault::DuplicateSerial(serial.to_owned(), other, host.name.clone()));
                }
            }
        }
        index
    }

    pub(crate) fn by_mac(&self, mac: MacAddr) -> Option<usize> {
        self.macs.get(&mac).copied()
    }

    pub(crate) fn by_guid(&self, guid: MachineGuid) -> Option<usize> {
        self.guids.get(&guid).copied()
    }

    pub(crate) fn by_serial(&self, serial: &str) -> Option<usize> {
        if self.serials.is_empty() {
            return None;
        }
        self.serials.get(fold(serial).as_ref()).copied()
    }

    /// Looks a machine up by all it said; what is nobody's counts for nothing. `hosts` are those it was built of.
    pub(crate) fn identify(&self, hosts: &[Arc<Host>], facts: &Facts) -> Identity {
        let guid = facts.own_guid().and_then(|guid| Some((self.by_guid(guid)?, Evidence::Guid(guid))));
        let mac = facts.mac.and_then(|mac| Some((self.by_mac(mac)?, Evidence::Mac(mac))));
        let serial = facts
            .own_serial()
            .and_then(|serial| Some((self.by_serial(serial)?, Evidence::Serial(serial.clone()))));
        let matches: Vec<(usize, Evidence)> = [guid, mac, serial].into_iter().flatten().collect();
        let Some(&(at, _)) = matches.first() else { return Identity::Unknown };
        if matches.iter().any(|(other, _)| *other != at) {
            return Identity::Conflict(matches);
        }
        let Some(host) = hosts.get(at) else { return Identity::Unknown };
        let (score, changes) = score::score(&host.identity, facts);
        let evidence = matches.into_iter().map(|(_, evidence)| evidence).collect();
        let found = Match { at, evidence, changes, score };
        if score.is_it() { Identity::Known(found) } else { Identity::Other(found) }
    }
}

/// Serial numbers are compared without case and outer blanks: vendors print them either way.
fn fold(serial: &str) -> Box<str> {
    serial.trim().to_ascii_lowercase().into()
}

#[cfg(test)]
mod tests;
