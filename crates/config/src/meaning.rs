//! Checks of meaning: what the schema cannot say because it concerns two values or more.
//!
//! Works on the typed file and points into the checked tree. Where something was left out as faulty (`spoiled`),
//! checks that would only repeat that fault keep quiet.

mod bundles;
mod hooks;
mod resources;
mod rules;
mod subnets;
mod templates;

use crate::fault::{Code, Draft, Faults};
use crate::file::File;
use crate::limits::SHORT_LIST_MAX;
use crate::source::{Spot, Texts};
use crate::tree::{Node, Step};
use std::collections::{BTreeMap, BTreeSet};
use types::resource::Name;

/// Names that may be referred to although the typed file does not define them.
pub(crate) struct Elsewhere<'a> {
    /// Items that were left out as faulty: their fault is reported already.
    pub(crate) ghosts: &'a BTreeSet<String>,
    /// Images the store holds.
    pub(crate) images: &'a [Name],
    /// Templates the store holds.
    pub(crate) templates: &'a [Name],
    /// Bundles the store holds.
    pub(crate) bundles: &'a [Name],
    /// Groups the store holds.
    pub(crate) groups: &'a [Name],
}

/// Checks everything.
pub(crate) fn check(file: &File, tree: &Node, elsewhere: &Elsewhere<'_>, texts: &Texts, faults: &mut Faults) {
    let mut view = View { tree, faults };
    interfaces(file, &mut view);
    hooks::check(file, texts, &mut view);
    subnets::check(file, &mut view);
    resources::check(file, elsewhere, &mut view);
    let catalog = rules::check(file, elsewhere, &mut view);
    templates::check(file, elsewhere, catalog.as_ref(), texts, &mut view);
    bundles::check(file, elsewhere, catalog.as_ref(), texts, &mut view);
}

/// The tree to point into and the faults to add to.
struct View<'a> {
    tree: &'a Node,
    faults: &'a mut Faults,
}

impl View<'_> {
    /// The place of a value, or of the nearest value around it.
    fn spot(&self, steps: &[Step<'_>]) -> Spot {
        self.tree.follow(steps).0.spot
    }

    /// The place of a key.
    fn key_spot(&self, steps: &[Step<'_>], key: &str) -> Spot {
        let (node, _) = self.tree.follow(steps);
        node.entry(key).map_or(node.spot, |entry| entry.spot)
    }

    /// True when something in it was left out.
    fn spoiled(&self, steps: &[Step<'_>]) -> bool {
        self.tree.follow(steps).0.spoiled
    }

    /// Refuses a list that is longer than anyone needs.
    fn short(&mut self, what: &str, length: usize, max: usize, steps: &[Step<'_>]) {
        if length > max {
            let message = format!("{what}: {length} entries; at most {max} are possible");
            self.add(Draft::new(Code::Limit, self.spot(steps), message));
        }
    }

    fn add(&mut self, draft: Draft) {
        self.faults.add(draft);
    }
}

fn interfaces(file: &File, view: &mut View<'_>) {
    let mut seen = BTreeMap::new();
    view.short("interfaces", file.interfaces.len(), SHORT_LIST_MAX, &[Step::Key("interfaces")]);
    for (index, interface) in file.interfaces.iter().enumerate() {
        let first = *seen.entry(&interface.name).or_insert(index);
        if first != index {
            let path = |index| [Step::Key("interfaces"), Step::Index(index), Step::Key("name")];
            let message = format!("interface `{}` stands twice", interface.name);
            let first = view.spot(&path(first));
            view.add(Draft::new(Code::DuplicateName, view.spot(&path(index)), message).first_at(first));
        }
    }
}
