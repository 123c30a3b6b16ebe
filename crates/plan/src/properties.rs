//! What holds of rules and groups whatever they are: proved on random sets and random machines.

use crate::groups::Chain;
use crate::rules::Given;
use crate::tests_support::*;
use crate::{Catalog, CatalogParts, Resolved, RuleFinding, decide, resolve};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use types::resource::{Group, Host, HostMatch, LoaderKind, OneOrMany, Rule};
use types::selector::{Key, Match, Subject};
use types::{Facts, Firmware, Stage};

const TERMS: [&str; 22] = [
    "vendor=Dell",
    "vendor=HPE|Dell",
    "vendor!=Dell",
    "vendor~inc",
    "model~R7",
    "model~^poweredge",
    "model!~R7",
    "serial=SN1|SN3",
    "mac=52:54:00",
    "mac!=52:54",
    "relay=10.4.0.0/16",
    "relay!=10.4.0.0/24",
    "firmware=bios",
    "subnet=lab",
    "group=g0",
    "group=g1|g2",
    "group!=g1",
    "group~^g",
    "label.tier=gold",
    "label.tier!=gold",
    "label.role~^d",
    "host=web01",
];
const PARAMS: [&str; 3] = ["ntp", "vlan", "disk"];

fn any_rule() -> impl Strategy<Value = Rule> {
    let items = (
        prop::option::of(prop::sample::select(vec!["debian", "rescue", "wipe"])),
        prop::option::weighted(0.2, prop::sample::select(vec![LoaderKind::Ipxe, LoaderKind::Pxelinux])),
        prop::option::weighted(0.2, prop::sample::select(vec!["t0", "t1"])),
        prop::option::weighted(0.35, prop::sample::select(vec!["g0", "g1", "g2", "nowhere"])),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.2),
        prop::sample::subsequence(PARAMS.to_vec(), 0..=2),
        prop::option::weighted(0.2, prop::sample::subsequence(vec!["b0", "b1"], 0..=2)),
    );
    let when = prop::collection::vec(prop::sample::select(TERMS.to_vec()), 0..=3);
    (when, items).prop_map(|(when, (image, loader, template, group, location, words, params, bundles))| {
        let mut rule = rule("unnamed", 0, &when.join(","));
        rule.image = image.map(name);
        rule.loader = loader;
        rule.template = template.map(name);
        rule.group = group.map(name);
        rule.location = location.then(String::new);
        rule.kernel_args_append = if words { vec![String::new()] } else { Vec::new() };
        rule.bundles = bundles.map(|names| names.into_iter().map(name).collect());
        rule.params = params.into_iter().map(|key| (key.to_owned(), String::new())).collect();
        rule
    })
}

/// Rules in the order of their names; every value names its rule.
fn named(mut rules: Vec<Rule>) -> Vec<Rule> {
    for (at, rule) in rules.iter_mut().enumerate() {
        let own = format!("r{at:02}");
        rule.name = name(&own);
        rule.location.iter_mut().for_each(|location| location.clone_from(&own));
        rule.kernel_args_append.iter_mut().for_each(|word| word.clone_from(&own));
        rule.params.values_mut().for_each(|value| value.clone_from(&own));
    }
    rules
}

fn any_rules(most: usize) -> impl Strategy<Value = Vec<Rule>> {
    prop::collection::vec(any_rule(), 0..=most).prop_map(named)
}

fn any_machine() -> impl Strategy<Value = Facts> {
    let vendor = prop::sample::select(vec![None, Some("Dell Inc."), Some("HPE")]);
    let model = prop::sample::select(vec![None, Some("PowerEdge R750"), Some("DL380")]);
    let serial = prop::sample::select(vec![None, Some("SN1"), Some("SN2"), Some("SN9")]);
    let mac = prop::sample::select(vec!["52:54:00:12:34:56", "52:54:00:00:00:01", "24:6e:96:00:00:01"]);
    let relay = prop::sample::select(vec![None, Some([10, 4, 0, 1]), Some([10, 4, 9, 1])]);
    let stage = prop::sample::select(vec![Stage::Rom, Stage::Ipxe, Stage::Loader]);
    (vendor, model, serial, mac, relay, stage, any::<bool>(), any::<bool>()).prop_map(
        |(vendor, model, serial, mac, relay, stage, told, bios)| Facts {
            mac: mac.parse().ok(),
            vendor: vendor.filter(|_| told).map(Into::into),
            model: model.filter(|_| told).map(Into::into),
            serial: serial.filter(|_| told).map(Into::into),
            smbios: told,
            relay: relay.map(Into::into),
            subnet: relay.is_none().then(|| "lab".into()),
            stage,
            http: true,
            firmware: Some(if bios { Firmware::Bios } else { Firmware::UefiX64 }),
            ..Facts::default()
        },
    )
}

/// `g0` with `g1` below it, and `g2`; `web01` has no group, `db01` (serial SN1) is in `g1`.
fn catalog_of(rules: Vec<Rule>) -> Catalog {
    catalog(|parts| {
        parts.rules = rules;
        parts.hosts[0].image = None;
        parts.hosts[0].labels = params(&[("role", "web")]);
        let identity = HostMatch { serial: Some("SN1".into()), ..HostMatch::default() };
        parts.hosts.push(Host { group: Some(name("g1")), ..Host::new(name("db01"), identity) });
        let group = |own: &str, labels: &[(&str, &str)]| {
            let mut group = Group::new(name(own));
            group.labels = params(labels);
            group
        };
        let mut below = group("g1", &[("tier", "silver")]);
        below.parent = Some(name("g0"));
        parts.groups =
            vec![group("g0", &[("tier", "gold"), ("role", "db")]), below, group("g2", &[("tier", "gold")])];
    })
}

/// A machine's record, with what its groups give.
fn own<'a>(catalog: &'a Catalog, facts: &Facts) -> Option<&'a Host> {
    catalog.identify(facts).and_then(|host| catalog.profile(host.name.as_str())).map(|host| &**host)
}

fn given_to(catalog: &Catalog, facts: &Facts) -> Given {
    crate::decide::given(catalog, facts, own(catalog, facts), true)
}

/// What rules give, by every selector judged alone and in order.
fn plainly(catalog: &Catalog, facts: &Facts) -> Given {
    let own = own(catalog, facts);
    let own_group = own.and_then(|host| host.group.as_ref());
    let mut chain: Option<&Chain> = own_group.and_then(|group| catalog.chain(group)).map(|chain| &**chain);
    let mut given = Given::default();
    for (at, rule) in catalog.rules().iter().enumerate() {
        let mut labels = own.map(|host| host.labels.clone()).unwrap_or_default();
        for group in chain.into_iter().flat_map(|chain| &chain.groups) {
            for (key, value) in &group.labels {
                labels.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        let subject = Subject {
            facts,
            host: own.map(|host| &host.name),
            groups: chain.map_or(&[], |chain| &chain.names),
            labels: &labels,
            site: None,
            may_tell: !facts.smbios && facts.stage != Stage::Loader,
        };
        let answer = rule.when.judge(&subject);
        let mut decided = Vec::new();
        for item in rule.items() {
            let slot = match item.as_str() {
                "image" => &mut given.image,
                "loader" => &mut given.loader,
                "template" => &mut given.template,
                "location" => &mut given.location,
                "kernel_args" => &mut given.kernel_args,
                "bundles" => &mut given.bundles,
                "group" if own_group.is_some() => continue,
                "group" => &mut given.group,
                param => {
                    let key = param.trim_start_matches("params.").to_owned();
                    if answer == Match::Yes && !given.params.contains_key(&key) {
                        given.params.insert(key, at);
                        decided.push(item);
                    }
                    continue;
                }
            };
            match answer {
                Match::Yes if slot.is_none() => {
                    *slot = Some(at);
                    if item == "group"
                        && let Some(found) = rule.group.as_ref().and_then(|group| catalog.chain(group))
                    {
                        chain = Some(found);
                    }
                    decided.push(item);
                }
                Match::Unknown if slot.is_none() && item == "image" => {
                    given.image_waits.get_or_insert(at);
                }
                Match::Unknown if slot.is_none() && item == "group" => {
                    given.group_waits.get_or_insert(at);
                }
                _ => {}
            }
        }
        given.asked.push((at, answer, decided));
    }
    given
}

/// Without the order in which one rule's items were taken.
fn sorted(mut given: Given) -> Given {
    given.asked.iter_mut().for_each(|(_, _, decided)| decided.sort());
    given
}

/// All that a machine is told, but not how.
fn outcome(catalog: &Catalog, facts: &Facts) -> (String, Vec<(String, String, String)>) {
    let Resolved { values, .. } = resolve(catalog, facts);
    let values = values.into_iter().map(|(key, value, from)| (key, value, from.to_string())).collect();
    (image_of(&decide(catalog, facts, &crate::BootState::armed())), values)
}

fn asks_for_groups(rule: &Rule) -> bool {
    rule.when.terms().iter().any(|term| matches!(term.key(), Key::Group | Key::Label(_)))
}

/// What a record or a group says of bundles: a list or none, and what is appended.
fn any_bundles() -> impl Strategy<Value = (Option<Vec<&'static str>>, Vec<&'static str>)> {
    let names = || prop::collection::vec(prop::sample::select(vec!["b0", "b1", "b2", "b3"]), 0..=3);
    (prop::option::of(names()), names())
}

proptest! {
    /// Rules changed alone make the catalog that they would make with everything else read again.
    #[test]
    fn other_rules_over_a_catalog_are_as_good_as_a_new_one(
        before in any_rules(6),
        after in any_rules(6),
        machine in any_machine(),
    ) {
        let old = catalog_of(before);
        // Somebody was decided for, so that what is remembered of hosts is there to be shared.
        let _ = decide(&old, &machine, &crate::BootState::armed());
        let (over, anew) = (old.with_rules(7, after.clone()).unwrap(), catalog_of(after));
        let verdict = |catalog| {
            let found = decide(catalog, &machine, &crate::BootState::armed());
            (found.decision, found.host, found.profile, found.trace)
        };
        prop_assert_eq!(over.generation, 7);
        prop_assert_eq!(format!("{:?}", verdict(&over)), format!("{:?}", verdict(&anew)));
        prop_assert_eq!(format!("{:?}", resolve(&over, &machine)), format!("{:?}", resolve(&anew, &machine)));
        prop_assert_eq!(over.warnings(), anew.warnings());
    }
}

proptest! {
    /// The nearest list, whoever has it; then every appended one from the root down; each name once.
    #[test]
    fn bundles_are_those_of_the_nearest_list_and_all_that_are_appended(
        levels in prop::collection::vec(any_bundles(), 1..=5),
        by_rule in prop::option::of(prop::collection::vec(prop::sample::select(vec!["b4", "b5"]), 0..=2)),
    ) {
        let named = |names: &[&str]| -> Vec<_> { names.iter().map(|text| name(text)).collect() };
        let catalog = catalog(|parts| {
            // The host first, the root last.
            let (own, groups) = levels.split_first().unwrap();
            parts.hosts[0].bundles = own.0.as_deref().map(named);
            parts.hosts[0].bundles_append = named(&own.1);
            parts.hosts[0].group = (!groups.is_empty()).then(|| name("g0"));
            parts.groups = groups.iter().enumerate().map(|(at, (list, append))| Group {
                bundles: list.as_deref().map(named),
                bundles_append: named(append),
                parent: (at + 1 < groups.len()).then(|| name(&format!("g{}", at + 1))),
                ..Group::new(name(&format!("g{at}")))
            }).collect();
            parts.rules = by_rule.iter().map(|list| Rule { bundles: Some(named(list)), ..rule("r", 1, "") }).collect();
        });
        let mut expected: Vec<&str> = Vec::new();
        let nearest = levels.iter().find_map(|(list, _)| list.as_ref()).or(by_rule.as_ref());
        for text in nearest.into_iter().flatten().chain(levels.iter().rev().flat_map(|(_, append)| append)) {
            if !expected.contains(text) {
                expected.push(text);
            }
        }
        let verdict = decide(&catalog, &crate::tests_support::facts(Stage::Ipxe), &crate::BootState::default());
        let profile = verdict.profile.unwrap();
        let found: Vec<&str> = profile.bundle_names().into_iter().map(|own| own.as_str()).collect();
        prop_assert_eq!(&found, &expected);
        // What `explain` shows adds up to the same, with an origin for each part.
        let resolved = resolve(&catalog, &crate::tests_support::facts(Stage::Ipxe));
        let shown: Vec<&str> = ["bundles", "bundles_append"].iter().flat_map(|key| {
            resolved.values.iter().filter(move |(own, ..)| own == key).flat_map(|(_, value, _)| value.split(", "))
        }).filter(|text| *text != "none").collect();
        let mut once: Vec<&str> = Vec::new();
        shown.into_iter().for_each(|text| if !once.contains(&text) { once.push(text) });
        prop_assert_eq!(once, expected);
    }

    #[test]
    fn a_term_asked_once_for_all_rules_gives_the_same(
        rules in any_rules(24),
        machines in prop::collection::vec(any_machine(), 8),
    ) {
        let catalog = catalog_of(rules);
        for facts in &machines {
            prop_assert_eq!(sorted(given_to(&catalog, facts)), sorted(plainly(&catalog, facts)));
        }
    }

    /// A group counts for the rules behind it: where one gives a group, the other must not ask for groups.
    #[test]
    fn neighbours_without_a_common_item_may_change_places(
        rules in any_rules(12),
        at in any::<prop::sample::Index>(),
        machines in prop::collection::vec(any_machine(), 8),
    ) {
        let may_change = |at: &usize| {
            let (one, other) = (&rules[*at], &rules[*at + 1]);
            !one.items().iter().any(|item| other.items().contains(item))
                && (one.group.is_none() || !asks_for_groups(other))
                && (other.group.is_none() || !asks_for_groups(one))
        };
        let places: Vec<usize> = (0..rules.len().saturating_sub(1)).filter(may_change).collect();
        prop_assume!(!places.is_empty());
        let at = places[at.index(places.len())];
        let numbered = |rules: &[Rule]| -> Vec<Rule> {
            let order = 0u32..;
            rules.iter().zip(order).map(|(rule, order)| Rule { order, ..rule.clone() }).collect()
        };
        let before = catalog_of(numbered(&rules));
        let mut swapped = rules.clone();
        swapped.swap(at, at + 1);
        let after = catalog_of(numbered(&swapped));
        for facts in &machines {
            prop_assert_eq!(outcome(&before, facts), outcome(&after, facts));
        }
    }

    #[test]
    fn a_rule_behind_all_others_changes_nothing_that_is_decided(
        rules in any_rules(12),
        last in any_rule(),
        machines in prop::collection::vec(any_machine(), 8),
    ) {
        let before = catalog_of(rules.clone());
        let groupless = last.group.is_none();
        let after = catalog_of(named([rules, vec![last]].concat()));
        for facts in &machines {
            let (was, is) = (given_to(&before, facts), given_to(&after, facts));
            for (was, is) in [
                (was.image, is.image),
                (was.loader, is.loader),
                (was.template, is.template),
                (was.group, is.group),
                (was.location, is.location),
                (was.kernel_args, is.kernel_args),
                (was.bundles, is.bundles),
                (was.image_waits, is.image_waits),
                (was.group_waits, is.group_waits),
            ] {
                prop_assert!(was.is_none() || was == is);
            }
            prop_assert!(was.params.iter().all(|(key, at)| is.params.get(key) == Some(at)));
            // What a group says counts more than what a rule said before.
            if groupless {
                let ((image, values), (image_now, values_now)) = (outcome(&before, facts), outcome(&after, facts));
                prop_assert!(values.iter().all(|value| values_now.contains(value)));
                if was.image.is_some() || was.image_waits.is_some() {
                    prop_assert_eq!(image, image_now);
                }
            }
        }
    }

    #[test]
    fn a_rule_called_unreachable_decides_nothing_for_any_machine(
        rules in any_rules(16),
        machines in prop::collection::vec(any_machine(), 24),
    ) {
        let catalog = catalog_of(rules);
        let findings = catalog.rules().findings();
        for facts in &machines {
            for (at, _, decided) in given_to(&catalog, facts).asked {
                let rule = catalog.rules().at(at).unwrap();
                for finding in &findings {
                    match finding {
                        RuleFinding::Unreachable { rule: own, .. } if *own == rule.name => {
                            prop_assert!(decided.is_empty(), "{} decided {:?}", finding, decided);
                        }
                        RuleFinding::Shadowed { rule: own, items, .. } if *own == rule.name => {
                            prop_assert!(!decided.iter().any(|item| items.contains(item)), "{}: {:?}", finding, decided);
                        }
                        _ => {}
                    }
                }
            }
        }
    }

    #[test]
    fn the_nearer_value_counts_and_a_group_taken_out_of_the_middle_leaves_its_parents(
        layers in any_layers(),
        middle in any::<prop::sample::Index>(),
    ) {
        let whole = inherited(&layers);
        prop_assert_eq!(&whole, &nearest(&layers));
        // The host itself stays; the root may go.
        let mut less = layers.clone();
        let gone = less.remove(1 + middle.index(layers.len() - 1));
        let left = inherited(&less);
        prop_assert_eq!(&left, &nearest(&less));
        for (key, (value, source)) in &whole {
            if *source != gone.name {
                prop_assert_eq!(left.get(key), Some(&(value.clone(), source.clone())), "{} moved", key);
            }
        }
    }
}

/// A host or a group; values name it.
#[derive(Clone, Debug)]
struct Layer {
    name: String,
    keys: Vec<&'static str>,
}

const KEYS: [&str; 9] = [
    "image",
    "loader",
    "template",
    "location",
    "params.ntp",
    "params.vlan",
    "label.tier",
    "label.role",
    "params.disk",
];

fn any_layers() -> impl Strategy<Value = Vec<Layer>> {
    let keys = prop::sample::subsequence(KEYS.to_vec(), 0..=KEYS.len());
    prop::collection::vec(keys, 2..=5).prop_map(|layers| {
        let layer = |(at, keys)| Layer { name: format!("layer{at}"), keys };
        layers.into_iter().enumerate().map(layer).collect()
    })
}

type Origins = BTreeMap<String, (String, String)>;

/// Layers of one host, itself first: key → value and who it is from, as `resolve` has them.
fn inherited(layers: &[Layer]) -> Origins {
    let parent = |at: usize| layers.get(at + 1).map(|layer| name(&layer.name));
    let map = |layer: &Layer, prefix: &str| -> BTreeMap<String, String> {
        let own = layer.keys.iter().filter_map(|key| key.strip_prefix(prefix));
        own.map(|key| (key.to_owned(), layer.name.clone())).collect()
    };
    let mut parts = CatalogParts::default();
    for (at, layer) in layers.iter().enumerate() {
        let has = |key: &str| layer.keys.contains(&key);
        let own = || name(&layer.name);
        let mut group = Group::new(own());
        group.parent = parent(at);
        group.image = has("image").then(own);
        group.template = has("template").then(own);
        group.location = has("location").then(|| layer.name.clone());
        group.loader = has("loader").then_some(loader_of(layer));
        (group.params, group.labels) = (map(layer, "params."), map(layer, "label."));
        if at > 0 {
            parts.groups.push(group);
            continue;
        }
        let identity =
            HostMatch { mac: OneOrMany(vec!["52:54:00:12:34:56".parse().unwrap()]), ..HostMatch::default() };
        let mut host = Host::new(own(), identity);
        (host.group, host.image, host.template) = (group.parent, group.image, group.template);
        (host.location, host.loader, host.params, host.labels) =
            (group.location, group.loader, group.params, group.labels);
        parts.hosts.push(host);
    }
    let catalog = Catalog::build(parts).unwrap();
    let resolved = resolve(&catalog, &facts(Stage::Rom));
    let values = resolved.values.into_iter().filter(|(key, ..)| key != "group");
    let values: Origins = values
        .map(|(key, value, source)| {
            let source = source.to_string().split(' ').nth(1).unwrap_or_default().to_owned();
            (key, (value, source))
        })
        .collect();
    // What is given says the same.
    let profile = resolved.profile.unwrap();
    let value = |key: &str| values.get(key).map(|(value, _)| value.clone());
    assert_eq!(profile.image.as_ref().map(ToString::to_string), value("image"));
    assert_eq!(profile.template.as_ref().map(ToString::to_string), value("template"));
    assert_eq!(profile.location, value("location"));
    assert_eq!(profile.loader.map(|loader| loader.as_str().to_owned()), value("loader"));
    assert_eq!(profile.params.get("ntp").cloned(), value("params.ntp"));
    assert_eq!(profile.labels.get("tier").cloned(), value("label.tier"));
    values
}

/// The same by looking for the first layer that has a key.
fn nearest(layers: &[Layer]) -> Origins {
    let found = KEYS.iter().filter_map(|key| {
        let layer = layers.iter().find(|layer| layer.keys.contains(key))?;
        let value = match *key {
            "loader" => loader_of(layer).as_str().to_owned(),
            _ => layer.name.clone(),
        };
        Some(((*key).to_owned(), (value, layer.name.clone())))
    });
    found.collect()
}

fn loader_of(layer: &Layer) -> LoaderKind {
    if layer.keys.len().is_multiple_of(2) { LoaderKind::Ipxe } else { LoaderKind::Pxelinux }
}

proptest! {
    #[test]
    fn a_machine_that_no_changed_rule_may_mean_is_given_the_same(
        kept in any_rules(4),
        mut old in any_rules(3),
        mut new in any_rules(3),
        machine in any_machine(),
    ) {
        // Some have the same names: a rule is changed, or gone, or new, and stands before or behind those that stay.
        for some in [&mut old, &mut new] {
            for (at, rule) in some.iter_mut().enumerate() {
                rule.name = name(&format!("{}{at}", if at % 2 == 0 { "a" } else { "z" }));
            }
        }
        let with = |some: &[Rule]| catalog_of(kept.iter().chain(some).cloned().collect());
        let (now, then) = (with(&old), with(&new));
        let changes = crate::RuleChanges::between(&now, &then);
        let decide = |catalog| {
            let verdict = decide(catalog, &machine, &crate::BootState::armed());
            (format!("{:?}", verdict.decision), verdict.profile)
        };
        let (before, after) = (decide(&now), decide(&then));
        if !changes.may_matter(&machine) {
            prop_assert_eq!(&before, &after);
        }
        let keys = crate::differing(before.1.as_deref(), after.1.as_deref());
        // An empty list in the place of none is shown, and makes no difference.
        prop_assert!(keys.is_empty() || shown(&now, &machine) != shown(&then, &machine), "{keys:?}");
        let told = |profile: &Option<Arc<Host>>| profile.as_ref().map(|it| (it.params.clone(), it.template.clone()));
        prop_assert!(!keys.is_empty() || told(&before.1).unwrap_or_default() == told(&after.1).unwrap_or_default());
    }
}

/// Keys and values as they are shown, without the image and who gives them.
fn shown(catalog: &Catalog, machine: &Facts) -> Vec<(String, String)> {
    let values = resolve(catalog, machine).values.into_iter();
    values.filter(|(key, ..)| key != "image").map(|(key, value, _)| (key, value)).collect()
}
