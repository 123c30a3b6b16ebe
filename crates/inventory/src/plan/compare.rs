//! One machine after the other against what is recorded and against the rest of the list.

use super::index::{Key, Machine, canonical, contradiction, folded, keys, listed, shares};
use super::reserve::Addresses;
use super::{Change, Conflict, Entry, Existing, Outcome, Recorded, Rules};
use crate::found::Proposal;
use std::collections::HashMap;
use types::resource::{Host, Name};

/// Places in a list by what must be unique.
struct Lookup<'a> {
    names: HashMap<&'a Name, Vec<usize>>,
    keys: HashMap<Key, Vec<usize>>,
}

impl<'a> Lookup<'a> {
    fn new(machines: impl Iterator<Item = (&'a Name, &'a types::resource::HostMatch)>) -> Lookup<'a> {
        let mut lookup = Lookup { names: HashMap::new(), keys: HashMap::new() };
        for (at, (name, identity)) in machines.enumerate() {
            lookup.names.entry(name).or_default().push(at);
            for key in keys(identity) {
                let places = lookup.keys.entry(key).or_default();
                // Both byte orders of one GUID are one key.
                if places.last() != Some(&at) {
                    places.push(at);
                }
            }
        }
        lookup
    }

    /// The first other place with that name.
    fn other_of_name(&self, name: &Name, own: usize) -> Option<usize> {
        self.names.get(name)?.iter().copied().find(|&at| at != own)
    }

    /// The first other place with that identity.
    fn other_of_key(&self, key: &Key, own: usize) -> Option<usize> {
        self.keys.get(key)?.iter().copied().find(|&at| at != own)
    }
}

pub(super) fn all(existing: &Existing<'_>, machines: Vec<Machine>, rules: &Rules) -> Vec<Entry> {
    let listed = Lookup::new(machines.iter().map(|m| (&m.proposal.name, &m.proposal.identity)));
    let recorded = Lookup::new(existing.hosts.iter().map(|r| (&r.host.name, &r.host.identity)));
    let addresses = Addresses::new(existing.networks, &machines);
    let mut entries = Vec::with_capacity(machines.len());
    for (at, machine) in machines.iter().enumerate() {
        let mut conflicts = twice(&listed, &machines, at, &machine.proposal);
        let outcome = against(existing, &recorded, &machine.proposal, rules, &mut conflicts);
        let reservations = addresses.judge(at, &machine.proposal, &mut conflicts);
        let outcome = if conflicts.is_empty() { outcome } else { Outcome::Conflict(conflicts) };
        entries.push(Entry {
            origin: machine.proposal.origin.clone(),
            also: machine.also.clone(),
            name: machine.proposal.name.clone(),
            given: machine.proposal.given.clone(),
            outcome,
            reservations,
            notes: notes(existing, &machine.proposal),
            served: machine.proposal.served.clone(),
        });
    }
    entries
}

/// Conflicts inside the list.
fn twice(listed: &Lookup<'_>, machines: &[Machine], own: usize, proposal: &Proposal) -> Vec<Conflict> {
    let mut conflicts = Vec::new();
    let other = |at: Option<usize>| at.and_then(|at| machines.get(at)).map(|machine| &machine.proposal);
    if let Some(other) = other(listed.other_of_name(&proposal.name, own)) {
        conflicts.push(Conflict::NameTwice { other: other.origin.clone(), given: other.given.clone() });
    }
    for key in keys(&proposal.identity) {
        if let Some(other) = other(listed.other_of_key(&key, own)) {
            let identity = key.to_string();
            conflicts.push(Conflict::IdentityTwice { identity, other: other.origin.clone() });
        }
    }
    conflicts
}

fn named<'a>(existing: &'a Existing<'_>, recorded: &Lookup<'_>, name: &Name) -> Option<&'a Recorded<'a>> {
    let at = recorded.names.get(name)?.first()?;
    existing.hosts.get(*at)
}

/// Compares with the recorded hosts. What cannot be goes to `conflicts`.
fn against(
    existing: &Existing<'_>,
    recorded: &Lookup<'_>,
    proposal: &Proposal,
    rules: &Rules,
    conflicts: &mut Vec<Conflict>,
) -> Outcome {
    for key in keys(&proposal.identity) {
        let holder = recorded.keys.get(&key).and_then(|places| existing.hosts.get(*places.first()?));
        if let Some(holder) = holder.filter(|holder| holder.host.name != proposal.name) {
            let (identity, host) = (key.to_string(), holder.host.name.clone());
            conflicts.push(Conflict::RecordedAs { identity, host });
        }
    }
    let Some(before) = named(existing, recorded, &proposal.name) else {
        return Outcome::Create(Box::new(proposal.host()));
    };
    let against = contradiction(&before.host.identity, &proposal.identity);
    if let Some((field, recorded, listed)) = against.filter(|_| !rules.replace_identity) {
        conflicts.push(Conflict::NameTaken { field, recorded, listed });
        return Outcome::Unchanged;
    }
    let (host, changes) = updated(before, proposal, rules);
    match before.file {
        _ if changes.is_empty() => Outcome::Unchanged,
        Some(file) => {
            let fields = changes.into_iter().map(|change| change.field).collect();
            conflicts.push(Conflict::FileOwned { file: file.to_owned(), fields });
            Outcome::Unchanged
        }
        None => Outcome::Update { host: Box::new(host), changes },
    }
}

/// The host as it would be, and what differs.
fn updated(before: &Recorded<'_>, proposal: &Proposal, rules: &Rules) -> (Host, Vec<Change>) {
    let mut host = before.host.clone();
    let mut changes = Vec::new();
    let mut change = |field: &str, before: Option<String>, after: Option<String>| {
        changes.push(Change { field: field.to_owned(), before, after });
    };
    let new = &proposal.identity;
    let mut macs = match rules.replace_identity && !new.mac.is_empty() {
        true => Vec::new(),
        false => host.identity.mac.0.clone(),
    };
    for mac in &new.mac.0 {
        if !macs.contains(mac) {
            macs.push(*mac);
        }
    }
    let same =
        macs.len() == host.identity.mac.0.len() && macs.iter().all(|mac| host.identity.mac.0.contains(mac));
    if !same {
        let text = |macs: &[types::MacAddr]| Some(listed(macs)).filter(|text| !text.is_empty());
        change("mac", text(&host.identity.mac.0), text(&macs));
        host.identity.mac.0 = macs;
    }
    if let Some(uuid) = new.uuid.filter(|uuid| host.identity.uuid.map(canonical) != Some(canonical(*uuid))) {
        change("uuid", host.identity.uuid.map(|uuid| uuid.to_string()), Some(uuid.to_string()));
        host.identity.uuid = Some(uuid);
    }
    let differs = |serial: &&String| host.identity.serial.as_deref().map(folded) != Some(folded(serial));
    if let Some(serial) = new.serial.as_ref().filter(differs) {
        change("serial", host.identity.serial.take(), Some(serial.clone()));
        host.identity.serial = Some(serial.clone());
    }
    if let Some(image) = proposal.image.as_ref().filter(|image| host.image.as_ref() != Some(*image)) {
        change("image", host.image.as_ref().map(Name::to_string), Some(image.to_string()));
        if let Some(version) = host.image_version.take() {
            change("image_version", Some(version.to_string()), None);
        }
        host.image = Some(image.clone());
    }
    if let Some(group) = proposal.group.as_ref().filter(|group| host.group.as_ref() != Some(*group)) {
        change("group", host.group.as_ref().map(Name::to_string), Some(group.to_string()));
        host.group = Some(group.clone());
    }
    for (key, value) in &proposal.params {
        if host.params.get(key) != Some(value) {
            change(&format!("params.{key}"), host.params.get(key).cloned(), Some(value.clone()));
            host.params.insert(key.clone(), value.clone());
        }
    }
    debug_assert!(shares(&host.identity, new), "an update knows the machine by what the entry says");
    (host, changes)
}

fn notes(existing: &Existing<'_>, proposal: &Proposal) -> Vec<String> {
    let missing = |known: Option<&[Name]>, name: &Option<Name>| {
        name.clone().filter(|name| known.is_some_and(|known| !known.contains(name)))
    };
    let mut notes = Vec::new();
    if let Some(image) = missing(existing.images, &proposal.image) {
        notes.push(format!("image `{image}` is not there; the machine is left alone until it is imported"));
    }
    if let Some(group) = missing(existing.groups, &proposal.group) {
        notes.push(format!("group `{group}` is not there"));
    }
    notes
}
