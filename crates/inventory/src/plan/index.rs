//! Entries of one machine made one, and lookups by everything that must be unique.

use crate::fault::Origin;
use crate::found::Proposal;
use std::collections::HashMap;
use types::resource::{HostMatch, Name};
use types::{MacAddr, MachineGuid};

/// A machine of the list and every place it stands.
pub(super) struct Machine {
    pub(super) proposal: Proposal,
    pub(super) also: Vec<Origin>,
}

/// Joins entries of one name that are plainly one machine.
pub(super) fn merged(hosts: Vec<Proposal>) -> Vec<Machine> {
    let mut machines: Vec<Machine> = Vec::with_capacity(hosts.len());
    let mut by_name: HashMap<Name, Vec<usize>> = HashMap::new();
    for proposal in hosts {
        let places = by_name.entry(proposal.name.clone()).or_default();
        let same = places
            .iter()
            .copied()
            .find(|&at| machines.get(at).is_some_and(|machine| is_same(&machine.proposal, &proposal)));
        match same.and_then(|at| machines.get_mut(at)) {
            Some(machine) => join(machine, proposal),
            None => {
                // A name that stands for many machines is a conflict of all; a few to compare with are enough.
                if places.len() < 16 {
                    places.push(machines.len());
                }
                machines.push(Machine { proposal, also: Vec::new() });
            }
        }
    }
    machines
}

/// True when the two share an identity and contradict each other nowhere.
fn is_same(one: &Proposal, other: &Proposal) -> bool {
    fn agree<T: PartialEq>(one: Option<&T>, other: Option<&T>) -> bool {
        one.zip(other).is_none_or(|(one, other)| one == other)
    }
    let (a, b) = (&one.identity, &other.identity);
    let shared = contradiction(a, b).is_none() && shares(a, b);
    let params = other.params.iter().all(|(key, value)| one.params.get(key).is_none_or(|own| own == value));
    shared
        && params
        && agree(one.image.as_ref(), other.image.as_ref())
        && agree(one.group.as_ref(), other.group.as_ref())
}

fn join(machine: &mut Machine, other: Proposal) {
    let own = &mut machine.proposal;
    for mac in other.identity.mac.0 {
        if !own.identity.mac.0.contains(&mac) {
            own.identity.mac.0.push(mac);
        }
    }
    own.identity.uuid = own.identity.uuid.or(other.identity.uuid);
    own.identity.serial = own.identity.serial.take().or(other.identity.serial);
    own.image = own.image.take().or(other.image);
    own.group = own.group.take().or(other.group);
    own.params.extend(other.params);
    for reservation in other.reservations {
        if !own.reservations.contains(&reservation) {
            own.reservations.push(reservation);
        }
    }
    machine.also.push(other.origin);
}

/// True when a MAC address, the GUID or the serial is the same.
pub(super) fn shares(one: &HostMatch, other: &HostMatch) -> bool {
    let mac = one.mac.0.iter().any(|mac| other.mac.0.contains(mac));
    let guid = one.uuid.zip(other.uuid).is_some_and(|(one, other)| canonical(one) == canonical(other));
    let serial = one
        .serial
        .as_ref()
        .zip(other.serial.as_ref())
        .is_some_and(|(one, other)| folded(one) == folded(other));
    mac || guid || serial
}

/// The first kind of identity that both have and that differs, with both values. MAC addresses differ when none is
/// shared and nothing else shows that it is one machine.
pub(super) fn contradiction(one: &HostMatch, other: &HostMatch) -> Option<(&'static str, String, String)> {
    let guids = one.uuid.zip(other.uuid).filter(|(one, other)| canonical(*one) != canonical(*other));
    if let Some((one, other)) = guids {
        return Some(("uuid", one.to_string(), other.to_string()));
    }
    if let (Some(one), Some(other)) = (&one.serial, &other.serial)
        && folded(one) != folded(other)
    {
        return Some(("serial", one.clone(), other.clone()));
    }
    let both = !one.mac.is_empty() && !other.mac.is_empty();
    (both && !shares(one, other)).then(|| ("mac", listed(&one.mac.0), listed(&other.mac.0)))
}

pub(super) fn listed(macs: &[MacAddr]) -> String {
    macs.iter().map(MacAddr::to_string).collect::<Vec<_>>().join(" ")
}

/// One of the two byte orders, the same for both.
pub(super) fn canonical(guid: MachineGuid) -> MachineGuid {
    guid.min(guid.swapped())
}

/// Serials are compared without case and outer blanks, as the catalog does.
pub(super) fn folded(serial: &str) -> String {
    serial.trim().to_ascii_lowercase()
}

/// Something a machine is known by and that must be unique.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Mac(MacAddr),
    Guid(MachineGuid),
    Serial(String),
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Key::Mac(mac) => write!(f, "mac {mac}"),
            Key::Guid(guid) => write!(f, "uuid {guid}"),
            Key::Serial(serial) => write!(f, "serial {}", crate::text::shown(serial)),
        }
    }
}

pub(super) fn keys(identity: &HostMatch) -> impl Iterator<Item = Key> {
    let macs = identity.mac.0.iter().copied().map(Key::Mac);
    let guid = identity.uuid.map(|guid| Key::Guid(canonical(guid)));
    let serial = identity.serial.as_deref().map(|serial| Key::Serial(folded(serial)));
    macs.chain(guid).chain(serial)
}
