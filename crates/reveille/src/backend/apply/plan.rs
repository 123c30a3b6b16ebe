//! What applying would do to one kind of resource. Reads and decides; changes nothing.

use crate::inventory::{API_OWNER, Kept, Owned};
use admin::FieldError;
use admin::view::{AppliedChange, AppliedKind};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use types::resource::{Name, ResourceKind};

/// How it is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    /// `apply:<name>`
    pub(super) owner: &'a str,
    pub(super) prune: bool,
    pub(super) take_over: bool,
    pub(super) details: bool,
    pub(super) if_revision: Option<u64>,
}

/// Why it cannot be, each thing by itself, of all kinds.
#[derive(Debug, Default)]
pub(super) struct Refused {
    /// Belongs to somebody else.
    pub(super) owned: Vec<(ResourceKind, Name, String)>,
    /// Was written after the revision the caller knows, with that revision.
    pub(super) stale: Vec<(ResourceKind, Name, u64)>,
    /// Is wrong by itself.
    pub(super) errors: Vec<FieldError>,
    /// Is the API's and just as it should be: left there, which is no refusal but worth a note.
    pub(super) left: u64,
}

/// One kind, as it is and as it would be.
#[derive(Debug)]
pub(super) struct Plan<T> {
    pub(super) before: BTreeMap<Name, Owned<T>>,
    pub(super) put: BTreeMap<Name, T>,
    pub(super) removed: BTreeSet<Name>,
    pub(super) counts: AppliedKind,
    pub(super) changes: Vec<AppliedChange>,
}

impl<T: Kept> Plan<T> {
    /// `in_force` is false for what is recorded as it should be and yet has something left to do.
    pub(super) fn new(
        current: Vec<Owned<T>>,
        wanted: Vec<T>,
        asked: Asked<'_>,
        in_force: impl Fn(&T) -> bool,
        refused: &mut Refused,
    ) -> Plan<T> {
        let before = current.into_iter().map(|owned| (owned.resource.name().clone(), owned)).collect();
        let counts = AppliedKind { kind: T::KIND, created: 0, changed: 0, removed: 0, unchanged: 0 };
        let mut plan =
            Plan { before, put: BTreeMap::new(), removed: BTreeSet::new(), counts, changes: Vec::new() };
        let mut seen = BTreeSet::new();
        for (at, one) in wanted.into_iter().enumerate() {
            let name = one.name().clone();
            let pointer = || format!("/resources/{}/{at}", T::KIND.list());
            for fault in one.faults() {
                let detail = format!("{} `{name}`: {fault}", T::KIND);
                refused.errors.push(FieldError { pointer: pointer(), detail });
            }
            if !seen.insert(name.clone()) {
                let detail = format!("{} `{name}` stands here twice", T::KIND);
                refused.errors.push(FieldError { pointer: pointer(), detail });
                continue;
            }
            plan.want(name, one, asked, &in_force, refused);
        }
        if asked.prune {
            plan.prune(&seen, asked, refused);
        }
        plan.changes.sort_by(|one, other| one.name.cmp(&other.name));
        plan
    }

    fn want(
        &mut self,
        name: Name,
        one: T,
        asked: Asked<'_>,
        in_force: &impl Fn(&T) -> bool,
        refused: &mut Refused,
    ) {
        let Some(before) = self.before.get(&name) else {
            self.counts.created += 1;
            self.tell(&name, "created", None, Some(&one), asked);
            self.put.insert(name, one);
            return;
        };
        let same = before.resource == one;
        let ours = before.owner == asked.owner;
        let takes = before.owner == API_OWNER && asked.take_over;
        if !ours && !takes {
            if same && before.owner == API_OWNER && in_force(&one) {
                self.counts.unchanged += 1;
                refused.left += 1;
            } else {
                refused.owned.push((T::KIND, name, before.owner.clone()));
            }
            return;
        }
        let action = match (same, ours, in_force(&one)) {
            (true, true, true) => {
                self.counts.unchanged += 1;
                return;
            }
            (true, true, false) => "activated",
            (true, false, _) => "taken-over",
            (false, _, _) => "changed",
        };
        if asked.if_revision.is_some_and(|known| before.revision.0 > known) {
            refused.stale.push((T::KIND, name.clone(), before.revision.0));
        }
        self.counts.changed += 1;
        let before = before.resource.clone();
        self.tell(&name, action, Some(&before), Some(&one), asked);
        if action != "activated" {
            self.put.insert(name, one);
        }
    }

    fn prune(&mut self, wanted: &BTreeSet<Name>, asked: Asked<'_>, refused: &mut Refused) {
        let gone = |(name, owned): &(&Name, &Owned<T>)| owned.owner == asked.owner && !wanted.contains(*name);
        let gone: Vec<(Name, Owned<T>)> =
            self.before.iter().filter(gone).map(|(name, owned)| (name.clone(), owned.clone())).collect();
        for (name, owned) in gone {
            if asked.if_revision.is_some_and(|known| owned.revision.0 > known) {
                refused.stale.push((T::KIND, name.clone(), owned.revision.0));
            }
            self.counts.removed += 1;
            self.tell(&name, "removed", Some(&owned.resource), None, asked);
            self.removed.insert(name);
        }
    }

    fn tell(&mut self, name: &Name, action: &str, before: Option<&T>, after: Option<&T>, asked: Asked<'_>) {
        let shown = |one: Option<&T>| -> Option<Value> {
            one.filter(|_| asked.details).and_then(|one| serde_json::to_value(one).ok())
        };
        self.changes.push(AppliedChange {
            kind: T::KIND,
            name: name.clone(),
            action: action.to_owned(),
            before: shown(before),
            after: shown(after),
        });
    }

    /// All of the kind as they would be.
    pub(super) fn after(&self) -> impl Iterator<Item = &T> {
        let stay = |name: &Name| !self.put.contains_key(name) && !self.removed.contains(name);
        let before = self.before.iter().filter(move |(name, _)| stay(name)).map(|(_, owned)| &owned.resource);
        before.chain(self.put.values())
    }

    /// All of the kind as they are.
    pub(super) fn now(&self) -> impl Iterator<Item = &T> {
        self.before.values().map(|owned| &owned.resource)
    }

    /// True when a record is written or removed.
    pub(super) fn writes(&self) -> bool {
        !self.put.is_empty() || !self.removed.is_empty()
    }
}

/// The names of each kind that may be named.
pub(super) type There<'a> = BTreeMap<ResourceKind, BTreeSet<&'a Name>>;

/// Says of resources what they name that is not there: `host web01 names group lab`.
pub(super) fn dangling<'a, T: Kept + 'a>(
    all: impl Iterator<Item = &'a T>,
    there: &There<'_>,
    found: &mut BTreeSet<String>,
) {
    for one in all {
        for (kind, name) in one.names() {
            if !there.get(&kind).is_some_and(|names| names.contains(name)) {
                found.insert(format!("{} `{}` names {kind} `{name}`", T::KIND, one.name()));
            }
        }
    }
}

#[cfg(test)]
mod tests;
