//! Resources of all kinds together: applied in one revision or not at all, shown for an export, given to another owner.
//!
//! The whole is looked at under the inventory's lock: every writer of any of these kinds takes it, so what was
//! checked is what is committed. Preconditions on each record say the same to the store. A further kind joins in `apply`,
//! `resources` and `own`, a line each.

mod own;
mod plan;

use super::policy::{RULES_MAX, activation};
use super::{Daemon, internal, life, not_committed, precondition};
use crate::failure::{Failure, chain};
use crate::inventory::{Kept, Owned};
use admin::view::{Applied, ApplyRequest, OwnerChanged, ResourceView, TemplateView};
use admin::{Applies, BackendError, FieldError, ListPage, Problem};
use plan::{Asked, Plan, Refused, There, dangling};
use std::collections::{BTreeMap, BTreeSet};
use store::records::{encode_owned, name_key};
use store::{Batch, CommitError, Revision};
use types::resource::{Bundle, Group, Host, Name, Owner, ResourceKind, Rule, Template};
use types::{Event, EventName, EventSink};

/// Resources in one request: three times the largest site we were built for. One commit takes 65,536 changes.
const RESOURCES_MAX: usize = 50_000;
/// Faults that are listed one by one; the rest is counted.
const LISTED_MAX: usize = 100;

/// What these resources are called together in messages.
const WHAT: &str = "set of resources";

impl Applies for Daemon {
    fn apply(&self, request: ApplyRequest, dry_run: bool) -> Result<Applied, BackendError> {
        apply(self, request, dry_run)
    }

    fn resources(&self) -> Result<ListPage<ResourceView>, BackendError> {
        let mut items = Vec::new();
        views::<Template>(self, &mut items)?;
        views::<Bundle>(self, &mut items)?;
        views::<Group>(self, &mut items)?;
        views::<Rule>(self, &mut items)?;
        views::<Host>(self, &mut items)?;
        Ok(ListPage { items, next: None, revision: self.revision() })
    }

    fn own(&self, kind: ResourceKind, name: &Name, to: &Owner) -> Result<OwnerChanged, BackendError> {
        match kind {
            ResourceKind::Template => own::own::<Template>(self, name, to),
            ResourceKind::Bundle => own::own::<Bundle>(self, name, to),
            ResourceKind::Group => own::own::<Group>(self, name, to),
            ResourceKind::Rule => own::own::<Rule>(self, name, to),
            ResourceKind::Host => own::own::<Host>(self, name, to),
        }
    }

    fn templates(&self) -> Result<ListPage<TemplateView>, BackendError> {
        let mut templates: Vec<Owned<Template>> = self.inventory.all().map_err(internal)?;
        templates.sort_by(|one, other| one.resource.name.cmp(&other.resource.name));
        let users = template_users(self)?;
        let items = templates.into_iter().map(|template| template_view(template, &users)).collect();
        Ok(ListPage { items, next: None, revision: self.revision() })
    }

    fn template(&self, name: &Name) -> Result<TemplateView, BackendError> {
        let templates: Vec<Owned<Template>> = self.inventory.all().map_err(internal)?;
        let found = templates.into_iter().find(|template| template.resource.name == *name);
        let found =
            found.ok_or_else(|| BackendError::NotFound { what: "template", name: name.to_string() })?;
        Ok(template_view(found, &template_users(self)?))
    }
}

fn apply(daemon: &Daemon, request: ApplyRequest, dry_run: bool) -> Result<Applied, BackendError> {
    let ApplyRequest { owner, prune, staged, take_over, if_revision, details, resources } = request;
    if owner.as_str() == "api" {
        return Err(BackendError::Problem(
            Problem::new(400, "R-APL-02", "reserved-owner", "`api` is the owner of what is not applied")
                .with_fix("name another owner, such as ci"),
        ));
    }
    if resources.count() > RESOURCES_MAX {
        return Err(too_large(format!("{} resources, {RESOURCES_MAX} are possible", resources.count())));
    }
    let owner = Owner::Apply(owner);
    let shown = owner.to_string();
    let asked = Asked { owner: &shown, prune, take_over, details, if_revision };
    let (mut wanted_templates, mut wanted_bundles) = (resources.templates, resources.bundles);
    // As every other reader of templates and scripts has them.
    let scripts = wanted_bundles.iter_mut().flat_map(|bundle| &mut bundle.scripts);
    let texts = wanted_templates.iter_mut().map(|template| &mut template.text);
    for text in texts.chain(scripts.map(|script| &mut script.text)) {
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
    }

    let _changing = daemon.inventory.change();
    let inventory = &daemon.inventory;
    let working = daemon.working()?;
    let mut refused = Refused::default();
    let templates: Plan<Template> =
        Plan::new(inventory.all().map_err(internal)?, wanted_templates, asked, |_| true, &mut refused);
    let bundles: Plan<Bundle> =
        Plan::new(inventory.all().map_err(internal)?, wanted_bundles, asked, |_| true, &mut refused);
    let groups: Plan<Group> =
        Plan::new(inventory.all().map_err(internal)?, resources.groups, asked, |_| true, &mut refused);
    let hosts: Plan<Host> =
        Plan::new(inventory.all().map_err(internal)?, resources.hosts, asked, |_| true, &mut refused);
    let in_force = |rule: &Rule| staged || working.active.get(&rule.name) == Some(rule);
    let all_rules: Vec<Owned<Rule>> = working.file.iter().chain(&working.ours).cloned().collect();
    let wanted_rules = resources.rules.clone();
    let rules: Plan<Rule> = Plan::new(all_rules, resources.rules, asked, in_force, &mut refused);
    refuse(&refused)?;

    let mut active = working.active.clone();
    if !staged {
        active.retain(|name, _| !rules.removed.contains(name));
        // What the API owns and is the same is in force already, or was refused.
        active.extend(wanted_rules.into_iter().map(|rule| (rule.name.clone(), rule)));
    }
    let ours = rules.after().count().saturating_sub(working.file.len());
    if ours > RULES_MAX && ours > working.ours.len() {
        return Err(super::policy::too_many());
    }
    let file_rules = || working.file.iter().map(|rule| rule.resource.clone());
    let catalog = |rules: Vec<Rule>| {
        inventory.catalog_with(|parts| {
            parts.templates = templates.after().cloned().collect();
            parts.bundles = bundles.after().cloned().collect();
            parts.groups = groups.after().cloned().collect();
            parts.hosts = hosts.after().cloned().collect();
            parts.rules = rules;
        })
    };
    let then = catalog(file_rules().chain(active.values().cloned()).collect()).map_err(invalid)?;
    if rules.writes() {
        // It must be possible to put the working set in force, too.
        catalog(rules.after().cloned().collect()).map_err(invalid)?;
    }
    let plans =
        Plans { templates: &templates, bundles: &bundles, groups: &groups, rules: &rules, hosts: &hosts };
    refuse_dangling(daemon, plans, (&working.active, &active))?;

    let mut applied = Applied {
        owner: shown.clone(),
        dry_run,
        changed: false,
        revision: daemon.revision(),
        rule_set: None,
        kinds: vec![templates.counts, bundles.counts, groups.counts, rules.counts, hosts.counts],
        changes: Vec::new(),
        notes: Vec::new(),
    };
    let mut batch = written(Batch::new(), &owner, &templates)?;
    batch = written(batch, &owner, &bundles)?;
    batch = written(batch, &owner, &groups)?;
    batch = written(batch, &owner, &rules)?;
    batch = written(batch, &owner, &hosts)?;
    if active != working.active {
        let (with_set, set) = daemon.with_set(batch, &active, format!("apply {shown}"))?;
        (batch, applied.rule_set) = (with_set, Some(set));
    }
    applied.changed = !batch.changes.is_empty();
    let rules_changed = rules.counts.created + rules.counts.changed + rules.counts.removed;
    let removed_hosts: Vec<Name> = hosts.removed.iter().cloned().collect();
    for changes in [templates.changes, bundles.changes, groups.changes, rules.changes, hosts.changes] {
        applied.changes.extend(changes);
    }
    applied.notes = notes(&refused, &then, applied.changed);
    if dry_run || !applied.changed {
        return Ok(applied);
    }
    applied.revision = match removed_hosts.is_empty() {
        true => commit(daemon, batch)?.0,
        false => {
            daemon
                .world
                .remove_hosts(&removed_hosts, || {
                    let with_lives = |batch, name| life::with_removal(daemon, name, batch);
                    commit(daemon, removed_hosts.iter().try_fold(batch, with_lives)?)
                })?
                .0
        }
    };
    daemon.replace_catalog()?;
    if let Some(set) = applied.rule_set {
        let changed = usize::try_from(rules_changed).unwrap_or(usize::MAX);
        daemon.world.record(activation(set, &format!("apply {shown}"), changed));
    }
    daemon.world.record(told(&applied));
    Ok(applied)
}

/// Adds what is written and removed of a kind.
fn written<T: Kept>(mut batch: Batch, owner: &Owner, plan: &Plan<T>) -> Result<Batch, BackendError> {
    for (name, one) in &plan.put {
        let value =
            encode_owned(&T::RECORD, owner, one).map_err(|error| BackendError::Internal(chain(&error)))?;
        let key = name_key(name);
        batch = batch.expect(T::TABLE, key.clone(), precondition(plan.before.get(name))).put(
            T::TABLE,
            key,
            value,
        );
    }
    for name in &plan.removed {
        let key = name_key(name);
        batch =
            batch.expect(T::TABLE, key.clone(), precondition(plan.before.get(name))).delete(T::TABLE, key);
    }
    Ok(batch)
}

fn commit(daemon: &Daemon, batch: Batch) -> Result<Revision, BackendError> {
    daemon.store.commit_blocking(batch).map_err(|error| match &error {
        CommitError::TooLarge { what } => too_large(what.clone()),
        other => not_committed(other, "set", "of resources", None),
    })
}

fn too_large(what: String) -> BackendError {
    BackendError::Problem(
        Problem::new(413, "R-APL-01", "too-large", "too much is applied at once; nothing was changed")
            .with_cause(what)
            .with_fix("apply it in parts, each with an owner of its own"),
    )
}

/// Everything that stands against it, the worst first.
fn refuse(refused: &Refused) -> Result<(), BackendError> {
    if !refused.errors.is_empty() {
        return Err(BackendError::Invalid { what: WHAT, errors: bounded(refused.errors.clone()) });
    }
    let owned = refused.owned.iter().map(|(kind, name, owner)| (kind.as_str(), name, owner.as_str()));
    if let Some(problem) = owned_elsewhere(owned) {
        return Err(BackendError::Problem(problem));
    }
    let Some((kind, name, revision)) = refused.stale.first() else { return Ok(()) };
    let mut problem = Problem::stale(kind.as_str(), name.as_str(), Some(*revision))
        .with_fix("look at reveille diff again, then apply with the revision it shows");
    let stale = refused.stale.iter().map(|(kind, name, revision)| FieldError {
        pointer: format!("/resources/{}", kind.list()),
        detail: format!("{kind} `{name}` was written by revision {revision}"),
    });
    problem.errors = bounded(stale.collect());
    Err(BackendError::Problem(problem))
}

/// The problem of objects that others own; the first is in its title, all are in its errors.
pub(super) fn owned_elsewhere<'a>(
    objects: impl Iterator<Item = (&'static str, &'a Name, &'a str)>,
) -> Option<Box<Problem>> {
    let objects: Vec<_> = objects.collect();
    let (what, name, owner) = objects.first()?;
    let mut problem = Problem::owned_elsewhere(what, name.as_str(), owner);
    if objects.len() > 1 {
        let errors = objects.iter().map(|(what, name, owner)| FieldError {
            pointer: String::new(),
            detail: format!("{what} `{name}` is owned by {owner}"),
        });
        problem.errors = bounded(errors.collect());
        problem.cause = Some(format!("so it is with {} objects", objects.len()));
    }
    Some(problem)
}

fn bounded(mut errors: Vec<FieldError>) -> Vec<FieldError> {
    let more = errors.len().saturating_sub(LISTED_MAX);
    if more > 0 {
        errors.truncate(LISTED_MAX);
        errors.push(FieldError { pointer: String::new(), detail: format!("and {more} more") });
    }
    errors
}

/// Every kind as it is and as it would be.
#[derive(Clone, Copy)]
struct Plans<'a> {
    templates: &'a Plan<Template>,
    bundles: &'a Plan<Bundle>,
    groups: &'a Plan<Group>,
    rules: &'a Plan<Rule>,
    hosts: &'a Plan<Host>,
}

/// Refuses what would leave anything naming what is not there, unless it did so before.
fn refuse_dangling(
    daemon: &Daemon,
    Plans { templates, bundles, groups, rules, hosts }: Plans<'_>,
    (active_now, active_then): (&BTreeMap<Name, Rule>, &BTreeMap<Name, Rule>),
) -> Result<(), BackendError> {
    let images = daemon.inventory.images().map_err(internal)?;
    let found = |then: bool| {
        let mut found = BTreeSet::new();
        let there = There::from([
            names_of(templates, then),
            names_of(bundles, then),
            names_of(groups, then),
            names_of(rules, then),
            names_of(hosts, then),
        ]);
        match then {
            true => {
                dangling(groups.after(), &there, &mut found);
                dangling(rules.after().chain(active_then.values()), &there, &mut found);
                dangling(hosts.after(), &there, &mut found);
            }
            false => {
                dangling(groups.now(), &there, &mut found);
                dangling(rules.now().chain(active_now.values()), &there, &mut found);
                dangling(hosts.now(), &there, &mut found);
            }
        }
        for image in images.iter().map(|image| &image.resource) {
            let absent =
                |name: &&Name| !there.get(&ResourceKind::Template).is_some_and(|there| there.contains(name));
            if let Some(template) = image.template.as_ref().filter(absent) {
                found.insert(format!("image `{}` names template `{template}`", image.name));
            }
        }
        found
    };
    let then = found(true);
    if then.is_empty() {
        return Ok(());
    }
    let now = found(false);
    let errors: Vec<FieldError> = then
        .difference(&now)
        .map(|text| FieldError {
            pointer: String::new(),
            detail: format!("{text}, which would not be there"),
        })
        .collect();
    match errors.is_empty() {
        true => Ok(()),
        false => Err(BackendError::Invalid { what: WHAT, errors: bounded(errors) }),
    }
}

fn names_of<T: Kept>(plan: &Plan<T>, then: bool) -> (ResourceKind, BTreeSet<&Name>) {
    let names = match then {
        true => plan.after().map(|one| one.name()).collect(),
        false => plan.now().map(|one| one.name()).collect(),
    };
    (T::KIND, names)
}

fn invalid(failure: Failure) -> BackendError {
    let detail = failure.cause.unwrap_or(failure.what);
    BackendError::Invalid { what: WHAT, errors: vec![FieldError { pointer: String::new(), detail }] }
}

/// What an operator should look at beside the numbers.
fn notes(refused: &Refused, then: &::plan::Catalog, changed: bool) -> Vec<String> {
    let mut notes = Vec::new();
    if refused.left > 0 {
        notes.push(format!(
            "{} are as they should be and owned by the API; --take-over makes them this owner's",
            refused.left
        ));
    }
    if changed {
        let warnings = then.warnings();
        notes.extend(warnings.iter().take(LISTED_MAX).map(ToString::to_string));
        if warnings.len() > LISTED_MAX {
            notes.push(format!("and {} more", warnings.len() - LISTED_MAX));
        }
    }
    notes
}

fn told(applied: &Applied) -> Event {
    let sum = |count: fn(&admin::view::AppliedKind) -> u64| applied.kinds.iter().map(count).sum::<u64>();
    let event = Event::new(EventName::ConfigApplied)
        .with("owner", applied.owner.clone())
        .with("created", sum(|kind| kind.created))
        .with("changed", sum(|kind| kind.changed))
        .with("removed", sum(|kind| kind.removed))
        .with("unchanged", sum(|kind| kind.unchanged))
        .with("revision", applied.revision);
    match applied.rule_set {
        Some(set) => event.with("rule_set", set),
        None => event,
    }
}

fn views<T: Kept>(daemon: &Daemon, items: &mut Vec<ResourceView>) -> Result<(), BackendError> {
    let mut all: Vec<Owned<T>> = daemon.inventory.all().map_err(internal)?;
    all.sort_by(|one, other| one.resource.name().cmp(other.resource.name()));
    for Owned { resource, owner, revision } in all {
        let resource =
            serde_json::to_value(&resource).map_err(|error| BackendError::Internal(chain(&error)))?;
        items.push(ResourceView { kind: T::KIND, managed_by: owner, revision: revision.0, resource });
    }
    Ok(())
}

/// How many name each template.
fn template_users(daemon: &Daemon) -> Result<BTreeMap<Name, u64>, BackendError> {
    let mut users = BTreeMap::new();
    let mut count = |name: &Option<Name>| {
        if let Some(name) = name {
            *users.entry(name.clone()).or_insert(0u64) += 1;
        }
    };
    let inventory = &daemon.inventory;
    inventory.hosts().map_err(internal)?.iter().for_each(|host| count(&host.resource.template));
    inventory.groups().map_err(internal)?.iter().for_each(|group| count(&group.resource.template));
    inventory.images().map_err(internal)?.iter().for_each(|image| count(&image.resource.template));
    let rules: Vec<Owned<Rule>> = inventory.all().map_err(internal)?;
    rules.iter().for_each(|rule| count(&rule.resource.template));
    Ok(users)
}

fn template_view(template: Owned<Template>, users: &BTreeMap<Name, u64>) -> TemplateView {
    TemplateView {
        users: users.get(&template.resource.name).copied().unwrap_or(0),
        template: template.resource,
        managed_by: template.owner,
        revision: template.revision.0,
    }
}
