//! What a change of rules does to machines: whom it could matter to, and which values would be others. Not on the way of a packet,
//! but of every machine of a site at once.

use crate::Catalog;
use std::collections::BTreeSet;
use std::sync::Arc;
use types::Facts;
use types::resource::{Host, Rule};
use types::selector::{Key, Match, Subject};

/// Rules that are not the same in two catalogs which differ in nothing else.
#[derive(Debug)]
pub struct RuleChanges<'a> {
    now: &'a Catalog,
    /// As they are and as they would be.
    rules: Vec<&'a Arc<Rule>>,
}

impl<'a> RuleChanges<'a> {
    /// Compares the rules of both.
    pub fn between(now: &'a Catalog, then: &'a Catalog) -> RuleChanges<'a> {
        let not_in = |other: &'a Catalog| {
            let known: std::collections::HashMap<&str, &Arc<Rule>> =
                other.rules().iter().map(|rule| (rule.name.as_str(), rule)).collect();
            move |rule: &&'a Arc<Rule>| known.get(rule.name.as_str()).is_none_or(|other| *other != *rule)
        };
        let gone = now.rules().iter().filter(not_in(then));
        let new = then.rules().iter().filter(not_in(now));
        RuleChanges { now, rules: gone.chain(new).collect() }
    }

    /// False when none of them means this machine, neither as it is nor as it would be: it is given the same by both catalogs. O(changed
    /// rules).
    pub fn may_matter(&self, facts: &Facts) -> bool {
        let own = self.now.identify(facts).and_then(|host| self.now.profile(host.name.as_str()));
        let none = std::collections::BTreeMap::new();
        let group = own.and_then(|own| own.group.as_ref());
        let chain = group.and_then(|group| self.now.chain(group));
        let subject = Subject {
            facts,
            host: own.map(|own| &own.name),
            groups: chain.map_or(&[], |chain| &chain.names),
            labels: own.map_or(&none, |own| &own.labels),
            site: self.now.site(),
            may_tell: true,
        };
        // A rule before it may give a host without a group one, and its labels.
        let open = |key: &Key| group.is_none() && matches!(key, Key::Group | Key::Label(_));
        self.rules.iter().any(|rule| {
            let mut terms = rule.when.cheapest_first();
            terms.all(|term| open(term.key()) || term.judge(&subject) != Match::No)
        })
    }
}

/// Keys of values, as `resolve` names them, that are not the same for a machine with this and with that profile; the image is none.
pub fn differing(now: Option<&Host>, then: Option<&Host>) -> Vec<String> {
    let of = |host: Option<&Host>| host.map(values).unwrap_or_default();
    let (now, then) = (of(now), of(then));
    let other: BTreeSet<&str> = now.symmetric_difference(&then).map(|(key, _)| key.as_str()).collect();
    other.into_iter().map(str::to_owned).collect()
}

fn values(host: &Host) -> BTreeSet<(String, String)> {
    let bundles: Vec<&str> = host.bundle_names().into_iter().map(types::resource::Name::as_str).collect();
    let single = [
        ("group", host.group.as_ref().map(ToString::to_string)),
        ("loader", host.loader.map(|loader| loader.as_str().to_owned())),
        ("template", host.template.as_ref().map(ToString::to_string)),
        ("location", host.location.clone()),
        ("bundles", Some(bundles.join(" ")).filter(|names| !names.is_empty())),
        ("kernel_args", Some(host.kernel_args_append.join(" ")).filter(|words| !words.is_empty())),
    ];
    let single = single.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    single.chain(host.params.iter().map(|(key, value)| (format!("params.{key}"), value.clone()))).collect()
}
