//! Groups and rules: names, references, what never decides; and expectations, asked of the same decision function as every
//! door asks.

use super::resources::{doubled, item, refers};
use super::{Elsewhere, View};
use crate::fault::{Code, Draft};
use crate::file::{Expectation, File, UnknownHostsFile};
use crate::suggest::{listed, nearest};
use crate::tree::Step;
use plan::{BootState, Catalog, CatalogParts, CatalogWarning, Decision, Target, UnknownPolicy, Verdict};
use std::collections::{BTreeMap, BTreeSet};
use types::resource::{Group, Image, ImageKind, Name};
use types::subnet::LoaderChoice;

/// The catalog the files make; `None` when they make none, which is told.
pub(super) fn check(file: &File, elsewhere: &Elsewhere<'_>, view: &mut View<'_>) -> Option<Catalog> {
    let resources = &file.resources;
    doubled("groups", resources.groups.iter().map(|group| &group.name), view);
    doubled("rules", resources.rules.iter().map(|rule| &rule.name), view);
    let mut groups: BTreeSet<&str> = resources.groups.iter().map(|group| group.name.as_str()).collect();
    groups.extend(elsewhere.groups.iter().map(Name::as_str));
    let mut images: BTreeSet<&str> = resources.images.iter().map(|image| image.name.as_str()).collect();
    images.extend(elsewhere.images.iter().map(Name::as_str));
    let named = |name: &Option<Name>,
                 who: String,
                 list: &'static str,
                 index: usize,
                 key: &'static str,
                 view: &mut View<'_>| {
        if let Some(name) = name {
            group_is_there(name, &who, &item(list, index, key), &groups, elsewhere, view);
        }
    };
    for (index, host) in resources.hosts.iter().enumerate() {
        named(&host.group, format!("host `{}`", host.name), "hosts", index, "group", view);
    }
    for (index, group) in resources.groups.iter().enumerate() {
        let who = format!("group `{}`", group.name);
        named(&group.parent, who.clone(), "groups", index, "parent", view);
        if let Some(image) = &group.image {
            refers(image, &who, &item("groups", index, "image"), &images, elsewhere, view);
        } else if group.image_version.is_some() {
            version_without_image(&who, "groups", index, view);
        }
    }
    for (index, rule) in resources.rules.iter().enumerate() {
        let who = format!("rule `{}`", rule.name);
        named(&rule.group, who.clone(), "rules", index, "group", view);
        if let Some(image) = &rule.image {
            refers(image, &who, &item("rules", index, "image"), &images, elsewhere, view);
        } else if rule.image_version.is_some() {
            version_without_image(&who, "rules", index, view);
        }
    }
    let sound = cycles(&resources.groups, view);
    if !sound || view.faults.has_errors() {
        return None;
    }
    let catalog = catalog(file, elsewhere)?;
    findings(file, &catalog, view);
    for (index, expectation) in file.expect.iter().enumerate() {
        expect(file, &catalog, expectation, index, view);
    }
    Some(catalog)
}

fn group_is_there(
    name: &Name,
    who: &str,
    steps: &[Step<'_>],
    known: &BTreeSet<&str>,
    elsewhere: &Elsewhere<'_>,
    view: &mut View<'_>,
) {
    if known.contains(name.as_str()) || elsewhere.ghosts.contains(name.as_str()) {
        return;
    }
    let spot = view.spot(steps);
    view.faults.add_error(|| {
        let near =
            nearest(name.as_str(), known.iter().copied()).map(|near| format!("did you mean `{near}`?"));
        let fix = match known.is_empty() {
            true => "define it in resources.groups".to_owned(),
            false => format!("defined groups are {}", listed(known.iter().copied())),
        };
        Draft::new(Code::UnknownGroup, spot, format!("{who} names group `{name}`, which no file defines"))
            .hint_maybe(near)
            .fix(fix)
    });
}

fn version_without_image(who: &str, list: &'static str, index: usize, view: &mut View<'_>) {
    let spot = view.spot(&item(list, index, "image_version"));
    let message = format!("{who} has an `image_version` and no `image` it could be of");
    view.add(
        Draft::new(Code::VersionWithoutImage, spot, message).fix("name the image, or remove the version"),
    );
}

/// False when a group stands above itself or too deep; each is told of.
fn cycles(groups: &[Group], view: &mut View<'_>) -> bool {
    let parents: BTreeMap<&str, Option<&Name>> =
        groups.iter().map(|group| (group.name.as_str(), group.parent.as_ref())).collect();
    let mut sound = true;
    for (index, group) in groups.iter().enumerate() {
        let (mut chain, mut next) = (vec![group.name.as_str()], group.parent.as_ref());
        while let Some(name) = next {
            let name = name.as_str();
            let message = if chain.contains(&name) {
                chain.push(name);
                format!("group `{}` never comes to an end: {}", group.name, chain.join(" → "))
            } else if chain.len() >= plan::GROUP_DEPTH_MAX {
                format!("more than {} groups stand above `{}`", plan::GROUP_DEPTH_MAX, group.name)
            } else {
                chain.push(name);
                next = parents.get(name).copied().flatten();
                continue;
            };
            let spot = view.spot(&item("groups", index, "parent"));
            view.add(Draft::new(Code::GroupCycle, spot, message).fix("take one `parent` out"));
            sound = false;
            break;
        }
    }
    sound
}

/// What the daemon would make of the files, with a place-holder for every image that is in its store.
fn catalog(file: &File, elsewhere: &Elsewhere<'_>) -> Option<Catalog> {
    let resources = &file.resources;
    let mut images = resources.images.clone();
    let names: BTreeSet<Name> = resources
        .hosts
        .iter()
        .filter_map(|host| host.image.clone())
        .chain(resources.groups.iter().filter_map(|group| group.image.clone()))
        .chain(resources.rules.iter().filter_map(|rule| rule.image.clone()))
        .chain(file.boot.default_image.clone())
        .chain(elsewhere.images.iter().cloned())
        .collect();
    let known: BTreeSet<Name> = images.iter().map(|image| image.name.clone()).collect();
    let absent = names.into_iter().filter(|name| !known.contains(name));
    images.extend(absent.map(|name| Image::new(name, ImageKind::Linux)));
    let versions = versions(file);
    let firmware = types::Firmware::ALL.into_iter();
    Catalog::build(CatalogParts {
        hosts: resources.hosts.clone(),
        images,
        versions,
        groups: resources.groups.clone(),
        bundles: resources.bundles.iter().cloned().filter_map(crate::file::BundleFile::resource).collect(),
        rules: resources.rules.clone(),
        site: file.site.as_ref().map(Name::shared),
        default_image: file.boot.default_image.clone(),
        unknown: match file.dhcp.unknown_hosts {
            UnknownHostsFile::Menu => UnknownPolicy::Menu,
            UnknownHostsFile::LocalDisk => UnknownPolicy::LocalDisk,
            UnknownHostsFile::Ignore => UnknownPolicy::Ignore,
            UnknownHostsFile::Claim => UnknownPolicy::Claim,
        },
        loaders: firmware.map(|firmware| LoaderChoice { firmware, file: "loader".into() }).collect(),
        ..CatalogParts::default()
    })
    .ok()
}

/// Every version that is named is taken to be there.
fn versions(file: &File) -> Vec<plan::ImageVersion> {
    let resources = &file.resources;
    let hosts = resources.hosts.iter().map(|host| (&host.image, &host.image_version));
    let groups = resources.groups.iter().map(|group| (&group.image, &group.image_version));
    let rules = resources.rules.iter().map(|rule| (&rule.image, &rule.image_version));
    let named: BTreeSet<(Name, Name)> = hosts
        .chain(groups)
        .chain(rules)
        .filter_map(|(image, version)| Some((image.clone()?, version.clone()?)))
        .collect();
    named
        .into_iter()
        .map(|(of, version)| {
            let known = resources.images.iter().find(|image| image.name == of).cloned();
            let mut image = known.unwrap_or_else(|| Image::new(of.clone(), ImageKind::Linux));
            image.name = of.at_version(&version);
            plan::ImageVersion { of, known_as: vec![version], image }
        })
        .collect()
}

fn findings(file: &File, catalog: &Catalog, view: &mut View<'_>) {
    for warning in catalog.warnings() {
        let CatalogWarning::Rule(finding) = warning else { continue };
        // References are checked above, with a suggestion.
        if matches!(finding, plan::RuleFinding::Missing { .. }) {
            continue;
        }
        let index = file.resources.rules.iter().position(|rule| rule.name == *finding.rule());
        let spot = view.spot(&item("rules", index.unwrap_or_default(), "name"));
        view.add(Draft::new(Code::Rule, spot, finding.to_string()).fix(finding.fix()));
    }
}

fn expect(file: &File, catalog: &Catalog, wanted: &Expectation, index: usize, view: &mut View<'_>) {
    let steps = [Step::Key("expect"), Step::Index(index)];
    if view.spoiled(&steps) {
        return;
    }
    let at = |key: &'static str| [Step::Key("expect"), Step::Index(index), Step::Key(key)];
    let host = wanted.machine.host.as_ref();
    let record = host.and_then(|name| file.resources.hosts.iter().find(|host| host.name == *name));
    if let (Some(name), None) = (host, record) {
        let spot = view.spot(&at("machine"));
        let message = format!("expectation: there is no host `{name}` in the files");
        view.add(Draft::new(Code::Expectation, spot, message));
        return;
    }
    if wanted.boots.is_none()
        && wanted.template.is_none()
        && wanted.group.is_none()
        && wanted.params.is_empty()
    {
        let spot = view.spot(&steps);
        let draft = Draft::new(Code::Expectation, spot, "an expectation that expects nothing");
        view.add(draft.fix("say what it `boots`, or its `template`, `group` or `params`"));
        return;
    }
    let facts = wanted.machine.facts(record.map(|host| &host.identity));
    let state = if wanted.armed { BootState::armed() } else { BootState::default() };
    let verdict = plan::decide(catalog, &facts, &state);
    let mut wrong = |key: &'static str, what: &str, wanted: &str, found: &str| {
        let steps = at(key);
        let message = format!("expected {what} `{wanted}`, it would be `{found}`");
        let lines: Vec<String> =
            verdict.trace.0.iter().map(|line| format!("{}: {line}", line.step())).collect();
        view.add(Draft::new(Code::Expectation, view.spot(&steps), message).cause(lines.join("; ")));
    };
    if let Some(boots) = &wanted.boots {
        let found = outcome(&verdict);
        if *boots != found {
            wrong("boots", "boot of", boots, &found);
        }
    }
    let profile = verdict.profile.as_deref();
    let shown = |name: Option<&Name>| name.map_or_else(|| "none".to_owned(), ToString::to_string);
    if let Some(template) = &wanted.template {
        let found = profile.and_then(|profile| profile.template.as_ref());
        let image = match &verdict.decision {
            Decision::Boot(plan) => match &plan.target {
                Target::Image(image) => image.template.as_ref(),
                _ => None,
            },
            Decision::LeaveAlone(_) => None,
        };
        let found = found.or(image);
        if found != Some(template) {
            wrong("template", "template", template.as_str(), &shown(found));
        }
    }
    if let Some(group) = &wanted.group {
        let found = profile.and_then(|profile| profile.group.as_ref());
        if found != Some(group) {
            wrong("group", "group", group.as_str(), &shown(found));
        }
    }
    for (key, value) in &wanted.params {
        let found = profile.and_then(|profile| profile.params.get(key)).map_or("none", String::as_str);
        if found != value {
            wrong("params", &format!("parameter {key}"), value, found);
        }
    }
}

/// In the words of `boots`.
fn outcome(verdict: &Verdict) -> String {
    match &verdict.decision {
        Decision::Boot(plan) => match &plan.target {
            Target::Image(image) => image.name.to_string(),
            Target::Menu => "menu".to_owned(),
            Target::LocalDisk => "local-disk".to_owned(),
            Target::Ask => "ask".to_owned(),
            Target::Hold => "claim".to_owned(),
        },
        Decision::LeaveAlone(plan::LeaveAloneReason::LocalDisk) => "local-disk".to_owned(),
        Decision::LeaveAlone(_) => "nothing".to_owned(),
    }
}
