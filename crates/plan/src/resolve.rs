//! Every value a machine is given, and where each comes from: what `explain` shows. Not on the way of a packet.

use crate::Catalog;
use crate::decide::{given, may_tell, profile};
use crate::identity::Identity;
use std::cell::OnceCell;
use std::fmt;
use std::sync::Arc;
use types::Facts;
use types::resource::{Group, Host, Name, Rule};
use types::selector::{Match, Subject};

/// Where a value comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// The host's own record.
    Host(Name),
    /// A group it is in.
    Group(Name),
    /// A rule.
    Rule(Name),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Host(name) => write!(f, "host {name}"),
            Source::Group(name) => write!(f, "group {name}"),
            Source::Rule(name) => write!(f, "rule {name}"),
        }
    }
}

/// A rule as it was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The rule.
    pub rule: Arc<Rule>,
    /// Whether it matched.
    pub answer: Match,
    /// Each term: as it is written, whether it holds, and what the machine has there.
    pub terms: Vec<(String, Match, Option<String>)>,
    /// The items it decided.
    pub decided: Vec<String>,
}

/// A machine's values with their origins, and the rules as they were asked.
#[derive(Clone, Debug, Default)]
pub struct Resolved {
    /// Key (`image`, `template`, `params.ntp`, …), value, origin; in the order of the keys, kernel arguments in theirs.
    pub values: Vec<(String, String, Source)>,
    /// Its groups, nearest first.
    pub groups: Vec<Name>,
    /// Every rule, in order.
    pub rules: Vec<Asked>,
    /// What it is given, whole.
    pub profile: Option<Arc<Host>>,
}

/// Resolves what [`decide`](crate::decide) would give. O(rules × terms).
pub fn resolve(catalog: &Catalog, facts: &Facts) -> Resolved {
    let place = match catalog.fixed.identities.identify(&catalog.fixed.hosts, facts) {
        Identity::Known(found) => Some(found.at),
        Identity::Unknown | Identity::Other(_) => None,
        // Nobody's values: it is given nothing, as `decide` has it.
        Identity::Conflict(_) => return Resolved::default(),
    };
    let record = place.and_then(|at| catalog.fixed.hosts.get(at));
    let own = place.and_then(|at| catalog.profile_at(at)).cloned();
    let given = given(catalog, facts, own.as_deref(), true);
    let whole = profile(catalog, facts, own.clone(), &given);
    let group = whole.as_ref().and_then(|whole| whole.group.as_ref());
    let chain: &[Arc<Group>] = group.and_then(|name| catalog.group(name)).unwrap_or_default();
    let rules = &catalog.rules;
    let rule = |at: Option<usize>| at.and_then(|at| rules.at(at));
    let mut values = Values::default();
    if let Some(host) = record {
        values.take(Source::Host(host.name.clone()), &Items::of_host(host));
        values.one("group", host.group.as_ref(), &Source::Host(host.name.clone()));
    }
    for group in chain {
        values.take(Source::Group(group.name.clone()), &Items::of_group(group));
    }
    let mut from_rule = |at: Option<usize>, key: &str, of: &dyn Fn(&Rule) -> Option<String>| {
        if let Some(rule) = rule(at)
            && let Some(value) = of(rule)
        {
            values.one(key, Some(&value), &Source::Rule(rule.name.clone()));
        }
    };
    let shown = |name: &Option<Name>| name.as_ref().map(ToString::to_string);
    from_rule(given.image, "image", &|rule| image_text(&rule.image, &rule.image_version));
    from_rule(given.loader, "loader", &|rule| rule.loader.map(|loader| loader.as_str().to_owned()));
    from_rule(given.template, "template", &|rule| shown(&rule.template));
    from_rule(given.location, "location", &|rule| rule.location.clone());
    from_rule(given.group, "group", &|rule| shown(&rule.group));
    from_rule(given.bundles, "bundles", &|rule| rule.bundles.as_deref().map(listed));
    for (key, at) in &given.params {
        from_rule(Some(*at), &format!("params.{key}"), &|rule| rule.params.get(key).cloned());
    }
    let mut values = values.found;
    values.sort_by(|one, other| one.0.cmp(&other.0));
    // In the order of the command line: rules, root, …, group, host.
    let mut words: Vec<(&[String], Source)> = Vec::new();
    if let Some(rule) = rule(given.kernel_args) {
        words.push((&rule.kernel_args_append, Source::Rule(rule.name.clone())));
    }
    for group in chain.iter().rev() {
        words.push((&group.kernel_args_append, Source::Group(group.name.clone())));
    }
    if let Some(host) = record {
        words.push((&host.kernel_args_append, Source::Host(host.name.clone())));
    }
    for (words, source) in words.into_iter().filter(|(words, _)| !words.is_empty()) {
        values.push(("kernel_args".to_owned(), words.join(" "), source));
    }
    // In the order they run.
    let mut appended: Vec<(&[Name], Source)> = chain
        .iter()
        .rev()
        .map(|group| (group.bundles_append.as_slice(), Source::Group(group.name.clone())))
        .collect();
    if let Some(host) = record {
        appended.push((&host.bundles_append, Source::Host(host.name.clone())));
    }
    for (names, source) in appended.into_iter().filter(|(names, _)| !names.is_empty()) {
        values.push(("bundles_append".to_owned(), listed(names), source));
    }
    Resolved {
        values,
        groups: chain.iter().map(|group| group.name.clone()).collect(),
        rules: asked(catalog, facts, own.as_deref(), &given),
        profile: whole,
    }
}

fn asked(catalog: &Catalog, facts: &Facts, own: Option<&Host>, given: &crate::rules::Given) -> Vec<Asked> {
    let (none, labels) = (std::collections::BTreeMap::new(), OnceCell::new());
    let own_group = own.and_then(|host| host.group.as_ref());
    let mut subject = Subject {
        facts,
        host: own.map(|host| &host.name),
        groups: own_group.and_then(|group| catalog.chain(group)).map_or(&[], |chain| &chain.names),
        labels: own.map_or(&none, |host| &host.labels),
        site: catalog.fixed.site.as_deref(),
        may_tell: may_tell(facts),
    };
    let mut all = Vec::with_capacity(given.asked.len());
    for (at, answer, decided) in &given.asked {
        let Some(rule) = catalog.rules.at(*at) else { continue };
        let terms = rule.when.terms().iter();
        let terms =
            terms.map(|term| (term.to_string(), term.judge(&subject), subject.shown(term.key()))).collect();
        all.push(Asked { rule: rule.clone(), answer: *answer, terms, decided: decided.clone() });
        if given.group == Some(*at)
            && let Some(chain) = rule.group.as_ref().and_then(|group| catalog.chain(group))
        {
            let own = subject.labels;
            subject.groups = &chain.names;
            subject.labels = labels.get_or_init(|| chain.with_labels(own));
        }
    }
    all
}

fn listed(names: &[Name]) -> String {
    match names {
        [] => "none".to_owned(),
        names => names.iter().map(Name::as_str).collect::<Vec<_>>().join(", "),
    }
}

fn image_text(image: &Option<Name>, version: &Option<Name>) -> Option<String> {
    let image = image.as_ref()?;
    Some(version.as_ref().map_or_else(|| image.to_string(), |version| image.at_version(version).to_string()))
}

/// The values of one record, by key.
struct Items(Vec<(String, String)>);

impl Items {
    fn of_host(host: &Host) -> Items {
        Items::of(
            [
                ("image", image_text(&host.image, &host.image_version)),
                ("loader", host.loader.map(|loader| loader.as_str().to_owned())),
                ("template", host.template.as_ref().map(ToString::to_string)),
                ("location", host.location.clone()),
                ("bundles", host.bundles.as_deref().map(listed)),
            ],
            [("params", &host.params), ("label", &host.labels)],
        )
    }

    fn of_group(group: &Group) -> Items {
        Items::of(
            [
                ("image", image_text(&group.image, &group.image_version)),
                ("loader", group.loader.map(|loader| loader.as_str().to_owned())),
                ("template", group.template.as_ref().map(ToString::to_string)),
                ("location", group.location.clone()),
                ("bundles", group.bundles.as_deref().map(listed)),
            ],
            [("params", &group.params), ("label", &group.labels)],
        )
    }

    fn of(
        single: [(&str, Option<String>); 5],
        maps: [(&str, &std::collections::BTreeMap<String, String>); 2],
    ) -> Items {
        let single = single.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
        let mapped = maps.into_iter().flat_map(|(name, map)| {
            map.iter().map(move |(key, value)| (format!("{name}.{key}"), value.clone()))
        });
        Items(single.chain(mapped).collect())
    }
}

/// What was found so far: the first to name a key keeps it.
#[derive(Default)]
struct Values {
    found: Vec<(String, String, Source)>,
}

impl Values {
    fn take(&mut self, source: Source, items: &Items) {
        for (key, value) in &items.0 {
            self.one(key, Some(value), &source);
        }
    }

    fn one(&mut self, key: &str, value: Option<&impl ToString>, source: &Source) {
        if let Some(value) = value
            && !self.found.iter().any(|(own, ..)| own == key)
        {
            self.found.push((key.to_owned(), value.to_string(), source.clone()));
        }
    }
}

#[cfg(test)]
mod tests;
