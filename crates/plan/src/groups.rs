//! Groups and what hosts inherit from them.
//!
//! Root → parent → group → host: single values of the nearer one count, maps are merged by key, lists that end in
//! `_append` go one after the other.

use crate::{CatalogFault, CatalogWarning};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use types::resource::{Group, Host, Name};

/// Groups above each other, at most.
pub const DEPTH_MAX: usize = 16;

/// A group with those above it.
#[derive(Debug)]
pub(crate) struct Chain {
    /// Itself first.
    pub(crate) groups: Vec<Arc<Group>>,
    /// Their names, in the same order.
    pub(crate) names: Arc<[Name]>,
    /// Their labels, those of the nearer one before those above it.
    pub(crate) labels: BTreeMap<String, String>,
}

impl Chain {
    fn of(groups: Vec<Arc<Group>>) -> Chain {
        let names = groups.iter().map(|group| group.name.clone()).collect();
        let mut labels = BTreeMap::new();
        groups.iter().for_each(|group| add(&mut labels, &group.labels));
        Chain { groups, names, labels }
    }

    /// The labels of a record that is in these groups.
    pub(crate) fn with_labels(&self, own: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut labels = own.clone();
        add(&mut labels, &self.labels);
        labels
    }
}

/// All groups by name, each with its chain.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    chains: HashMap<Name, Arc<Chain>>,
}

impl Groups {
    pub(crate) fn build(
        groups: Vec<Group>,
        faults: &mut Vec<CatalogFault>,
        warnings: &mut Vec<CatalogWarning>,
    ) -> Groups {
        let mut by_name: HashMap<Name, Arc<Group>> = HashMap::with_capacity(groups.len());
        let mut order = Vec::with_capacity(groups.len());
        for group in groups {
            order.push(group.name.clone());
            if group.image.is_none() && group.image_version.is_some() {
                faults.push(CatalogFault::GroupVersionWithoutImage(group.name.clone()));
            }
            if let Some(twice) = by_name.insert(group.name.clone(), Arc::new(group)) {
                faults.push(CatalogFault::DuplicateGroup(twice.name.clone()));
            }
        }
        let mut chains = HashMap::with_capacity(by_name.len());
        for name in order {
            let mut groups: Vec<Arc<Group>> = Vec::new();
            let mut next = Some(name.clone());
            while let Some(at) = next.take() {
                if groups.iter().any(|group| group.name == at) {
                    faults.push(CatalogFault::GroupCycle(name.clone()));
                    break;
                }
                if groups.len() >= DEPTH_MAX {
                    faults.push(CatalogFault::GroupTooDeep(name.clone()));
                    break;
                }
                match by_name.get(&at) {
                    Some(group) => {
                        next.clone_from(&group.parent);
                        groups.push(group.clone());
                    }
                    // Said once, by the group that names it.
                    None if groups.len() == 1 => warnings
                        .push(CatalogWarning::GroupMissing { by: format!("group `{name}`"), group: at }),
                    None => {}
                }
            }
            chains.insert(name, Arc::new(Chain::of(groups)));
        }
        Groups { chains }
    }

    pub(crate) fn chain(&self, name: &Name) -> Option<&Arc<Chain>> {
        self.chains.get(name)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Group>> {
        self.chains.values().filter_map(|chain| chain.groups.first())
    }
}

/// Fills what the host does not say from a group; `chain` nearest first.
pub(crate) fn inherit(host: &mut Host, chain: &[Arc<Group>]) {
    let (mut words, mut bundles) = (Vec::new(), Vec::new());
    for group in chain {
        fill(&mut host.bundles, &group.bundles);
        bundles.splice(0..0, group.bundles_append.iter().cloned());
        fill(&mut host.loader, &group.loader);
        fill(&mut host.template, &group.template);
        fill(&mut host.location, &group.location);
        if host.image.is_none() {
            host.image.clone_from(&group.image);
            host.image_version.clone_from(&group.image_version);
        }
        add(&mut host.params, &group.params);
        add(&mut host.labels, &group.labels);
        // Those of the root stand first.
        words.splice(0..0, group.kernel_args_append.iter().cloned());
    }
    host.kernel_args_append.splice(0..0, words);
    host.bundles_append.splice(0..0, bundles);
}

/// Adds what is not there yet.
fn add(own: &mut BTreeMap<String, String>, more: &BTreeMap<String, String>) {
    for (key, value) in more {
        if !own.contains_key(key) {
            own.insert(key.clone(), value.clone());
        }
    }
}

pub(crate) fn fill<T: Clone>(own: &mut Option<T>, other: &Option<T>) {
    if own.is_none() {
        own.clone_from(other);
    }
}
