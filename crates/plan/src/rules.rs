//! Rules in their order, and what they give to a machine: the first that matches decides each item it has.

use crate::groups::Chain;
use crate::terms::Terms;
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use types::resource::{LoaderKind, Name, Rule};
use types::selector::{Match, Subject};

/// Rules of one set, in the order they are asked.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    rules: Vec<Arc<Rule>>,
    terms: Terms,
}

/// What is decided by which rule (its place in the set).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Given {
    pub(crate) image: Option<usize>,
    pub(crate) loader: Option<usize>,
    pub(crate) template: Option<usize>,
    pub(crate) group: Option<usize>,
    pub(crate) location: Option<usize>,
    pub(crate) kernel_args: Option<usize>,
    pub(crate) bundles: Option<usize>,
    /// By key.
    pub(crate) params: BTreeMap<String, usize>,
    /// The first rule that may give the group once the machine has told more; none before it does.
    pub(crate) group_waits: Option<usize>,
    /// The same of the image.
    pub(crate) image_waits: Option<usize>,
    /// Every rule asked, with its answer and the items it decided.
    pub(crate) asked: Vec<(usize, Match, Vec<String>)>,
}

impl Given {
    /// True when no value but image and group came from a rule.
    pub(crate) fn has_values(&self) -> bool {
        self.loader.is_some()
            || self.template.is_some()
            || self.location.is_some()
            || self.kernel_args.is_some()
            || self.bundles.is_some()
            || !self.params.is_empty()
    }
}

/// Two rules that cannot both have their way, or one that never has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RuleFinding {
    /// Two rules have one place and an item in common: the one whose name comes first is asked first.
    SamePlace {
        /// Asked first.
        first: Name,
        /// Asked second.
        second: Name,
        /// Their place.
        order: u32,
        /// What both would decide.
        items: Vec<String>,
    },
    /// Rules before it take every machine and every item it has.
    Unreachable {
        /// The rule.
        rule: Name,
        /// The rules before it.
        by: Vec<Name>,
    },
    /// Rules before it take some of its items from every machine.
    Shadowed {
        /// The rule.
        rule: Name,
        /// The items it never decides.
        items: Vec<String>,
        /// The rules before it.
        by: Vec<Name>,
    },
    /// It gives nothing.
    Empty(Name),
    /// It names an image, a template, a group or a bundle that is not there.
    Missing {
        /// The rule.
        rule: Name,
        /// `image`, `template`, `group` or `bundle`.
        kind: &'static str,
        /// What it names.
        name: Name,
    },
    /// It sends every machine to an image that may erase disks.
    DestroysAll {
        /// The rule.
        rule: Name,
        /// The image.
        image: Name,
    },
}

impl RuleFinding {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            RuleFinding::SamePlace { .. } => "R-RUL-01",
            RuleFinding::Unreachable { .. } => "R-RUL-02",
            RuleFinding::Empty(_) => "R-RUL-03",
            RuleFinding::Shadowed { .. } => "R-RUL-04",
            RuleFinding::Missing { .. } => "R-RUL-05",
            RuleFinding::DestroysAll { .. } => "R-RUL-06",
        }
    }

    /// The rule it is about.
    pub fn rule(&self) -> &Name {
        match self {
            RuleFinding::SamePlace { second: rule, .. }
            | RuleFinding::Unreachable { rule, .. }
            | RuleFinding::Shadowed { rule, .. }
            | RuleFinding::Missing { rule, .. }
            | RuleFinding::DestroysAll { rule, .. }
            | RuleFinding::Empty(rule) => rule,
        }
    }

    /// What to do about it.
    pub fn fix(&self) -> String {
        match self {
            RuleFinding::SamePlace { .. } => "give one of them another `order`".to_owned(),
            RuleFinding::Unreachable { by, .. } | RuleFinding::Shadowed { by, .. } => {
                format!("move it before {}, or narrow those", names(by))
            }
            RuleFinding::Empty(_) => "give it an item, or remove it".to_owned(),
            RuleFinding::Missing { kind, name, .. } => match *kind {
                "image" => format!("reveille image import … --name {name}"),
                kind => format!("define {kind} `{name}`, or name another"),
            },
            RuleFinding::DestroysAll { .. } => {
                "give it a selector; hosts are armed one by one all the same".to_owned()
            }
        }
    }
}

impl std::fmt::Display for RuleFinding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RuleFinding::SamePlace { first, second, order, items } => write!(
                f,
                "rules `{first}` and `{second}` both stand at {order} and both set {}; `{first}` is asked first",
                items.join(", ")
            ),
            RuleFinding::Unreachable { rule, by } => {
                write!(f, "rule `{rule}` never decides anything: {} do for all its machines", names(by))
            }
            RuleFinding::Shadowed { rule, items, by } => {
                write!(f, "rule `{rule}` never decides {}: {} do", items.join(", "), names(by))
            }
            RuleFinding::Empty(rule) => write!(f, "rule `{rule}` sets nothing"),
            RuleFinding::Missing { rule, kind, name } => {
                write!(f, "rule `{rule}` names {kind} `{name}`, which is not there")
            }
            RuleFinding::DestroysAll { rule, image } => {
                write!(f, "rule `{rule}` sends every machine to `{image}`, which may erase disks")
            }
        }
    }
}

fn names(rules: &[Name]) -> String {
    let quoted: Vec<String> = rules.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

/// The chain of a group, by its name.
pub(crate) type ChainOf<'a> = dyn Fn(&Name) -> Option<&'a Chain> + 'a;

impl Rules {
    /// In order of their places, then of their names. A name that comes twice is kept once, the first of it.
    pub fn new(rules: impl IntoIterator<Item = Rule>) -> Rules {
        let mut rules: Vec<Arc<Rule>> = rules.into_iter().map(Arc::new).collect();
        rules.sort_by(|one, other| (one.order, &one.name).cmp(&(other.order, &other.name)));
        let mut seen = BTreeSet::new();
        rules.retain(|rule| seen.insert(rule.name.clone()));
        Rules { terms: Terms::of(&rules), rules }
    }

    /// The rules, in the order they are asked.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.rules.iter()
    }

    /// The rule of that name.
    pub fn get(&self, name: &str) -> Option<&Arc<Rule>> {
        self.rules.iter().find(|rule| rule.name.as_str() == name)
    }

    /// Their number.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// True without any.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    pub(crate) fn at(&self, at: usize) -> Option<&Arc<Rule>> {
        self.rules.get(at)
    }

    /// What the rules give to a machine. A group that a rule gives counts for the rules behind it, with its labels:
    /// `groups` of a name is its chain, `None` for a machine whose record names its group.
    pub(crate) fn give<'a>(
        &'a self,
        subject: Subject<'a>,
        groups: Option<&ChainOf<'a>>,
        traced: bool,
    ) -> Given {
        let labels = OnceCell::new();
        let mut subject: Subject<'_> = subject;
        let mut given = Given::default();
        let mut answers = self.terms.unasked();
        for (at, rule) in self.rules.iter().enumerate() {
            let answer = answers.judge(at, &subject);
            let mut decided = Vec::new();
            match answer {
                Match::Yes => {
                    let mut take = |slot: &mut Option<usize>, has: bool, name: &str| {
                        if has && slot.is_none() {
                            *slot = Some(at);
                            if traced {
                                decided.push(name.to_owned());
                            }
                            return true;
                        }
                        false
                    };
                    take(&mut given.image, rule.image.is_some(), "image");
                    take(&mut given.loader, rule.loader.is_some(), "loader");
                    take(&mut given.template, rule.template.is_some(), "template");
                    take(&mut given.location, rule.location.is_some(), "location");
                    take(&mut given.kernel_args, !rule.kernel_args_append.is_empty(), "kernel_args");
                    take(&mut given.bundles, rule.bundles.is_some(), "bundles");
                    if let (Some(chain_of), Some(group)) = (groups, &rule.group)
                        && take(&mut given.group, true, "group")
                        && let Some(chain) = chain_of(group)
                    {
                        let own = subject.labels;
                        subject.groups = &chain.names;
                        subject.labels = labels.get_or_init(|| chain.with_labels(own));
                        answers.regrouped();
                    }
                    for key in rule.params.keys() {
                        if !given.params.contains_key(key) {
                            given.params.insert(key.clone(), at);
                            if traced {
                                decided.push(format!("params.{key}"));
                            }
                        }
                    }
                }
                Match::Unknown => {
                    if groups.is_some() && rule.group.is_some() && given.group.is_none() {
                        given.group_waits.get_or_insert(at);
                    }
                    if rule.image.is_some() && given.image.is_none() {
                        given.image_waits.get_or_insert(at);
                    }
                }
                Match::No => {}
            }
            if traced {
                given.asked.push((at, answer, decided));
            }
        }
        given
    }

    /// The word a rule has for an item that was decided by it.
    pub(crate) fn image(&self, given: &Given) -> Option<(&Arc<Rule>, &Name)> {
        let rule = self.at(given.image?)?;
        Some((rule, rule.image.as_ref()?))
    }

    pub(crate) fn loader(&self, given: &Given) -> Option<LoaderKind> {
        self.at(given.loader?)?.loader
    }

    pub(crate) fn template(&self, given: &Given) -> Option<Name> {
        self.at(given.template?)?.template.clone()
    }

    pub(crate) fn location(&self, given: &Given) -> Option<String> {
        self.at(given.location?)?.location.clone()
    }

    pub(crate) fn group<'a>(&'a self, given: &Given) -> Option<&'a Name> {
        self.at(given.group?)?.group.as_ref()
    }

    pub(crate) fn kernel_args(&self, given: &Given) -> &[String] {
        given.kernel_args.and_then(|at| self.at(at)).map_or(&[], |rule| &rule.kernel_args_append)
    }

    pub(crate) fn bundles(&self, given: &Given) -> Option<Vec<Name>> {
        self.at(given.bundles?)?.bundles.clone()
    }

    /// True when whoever the rule at `at` means is meant by the one at `before` as well. A rule that gives a group between
    /// them changes who is in it.
    fn covers(&self, before: usize, at: usize) -> bool {
        let mut between = self.rules.get(before..at).unwrap_or_default().iter();
        self.terms.covers(before, at)
            && !(self.terms.ask_for_groups(before) && between.any(|rule| rule.group.is_some()))
    }

    /// What an operator should look at, in the order of the rules. Terms are compared as they are written: a rule is only
    /// called unreachable when it surely is. O(rules²) comparisons of terms.
    pub fn findings(&self) -> Vec<RuleFinding> {
        let mut findings = Vec::new();
        let items: Vec<Vec<String>> = self.rules.iter().map(|rule| rule.items()).collect();
        for ((at, rule), items_of) in self.rules.iter().enumerate().zip(&items) {
            if items_of.is_empty() {
                findings.push(RuleFinding::Empty(rule.name.clone()));
                continue;
            }
            let before = || self.rules.iter().zip(&items).take(at).enumerate();
            let takers: Vec<(&Arc<Rule>, &Vec<String>)> =
                before().filter(|(other, _)| self.covers(*other, at)).map(|(_, taker)| taker).collect();
            let (mut shadowed, mut by) = (Vec::new(), Vec::new());
            for item in items_of {
                if let Some((taker, _)) = takers.iter().find(|(_, others)| others.contains(item)) {
                    shadowed.push(item.clone());
                    if !by.contains(&taker.name) {
                        by.push(taker.name.clone());
                    }
                }
            }
            let name = rule.name.clone();
            if shadowed.len() == items_of.len() {
                findings.push(RuleFinding::Unreachable { rule: name.clone(), by });
            } else if !shadowed.is_empty() {
                findings.push(RuleFinding::Shadowed { rule: name.clone(), items: shadowed, by });
            }
            for (place, (other, others)) in before().filter(|(_, (other, _))| other.order == rule.order) {
                let common: Vec<String> =
                    others.iter().filter(|item| items_of.contains(item)).cloned().collect();
                if !common.is_empty() && !self.covers(place, at) {
                    findings.push(RuleFinding::SamePlace {
                        first: other.name.clone(),
                        second: name.clone(),
                        order: rule.order,
                        items: common,
                    });
                }
            }
        }
        findings
    }
}

#[cfg(test)]
mod tests;
