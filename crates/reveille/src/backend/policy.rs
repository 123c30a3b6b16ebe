//! Groups and rules: the working set, the set in force and those before it.

mod compare;

use super::{Daemon, check_write, explain, internal, life, machines, not_committed, power, precondition};
use crate::failure::{Failure, chain};
use crate::inventory::{API_OWNER, Owned};
use crate::world::unix_now;
use admin::view::{
    AlarmView, GroupView, HostWrite, IgnoredView, LifeView, MachineDetail, MachineView, OrderRequest,
    RuleFindingView, RuleSetView, RuleTest, RuleView, RulesActivated, timestamp,
};
use admin::{
    BackendError, Expect, FieldError, HostRef, ListPage, Page, Policy, Problem, RuleChange, Written, paginate,
};
use compare::compare;
pub(super) use compare::machines;
use plan::{Catalog, Decider};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;
use store::records::{GROUP, RULE, RULE_SET, RuleSet, name_key, rule_set_key};
use store::{Batch, Revision, Table};
use types::resource::{Group, Name, Rule};
use types::{Event, EventName, EventSink, MacAddr, Selector};

/// Sets kept, the one in force among them.
const SETS_KEPT: usize = 10;
/// Rules of the API at once. A decision asks each.
pub(super) const RULES_MAX: usize = 5_000;

impl Policy for Daemon {
    fn put_hosts(&self, hosts: Vec<HostWrite>, dry_run: bool) -> Result<u64, BackendError> {
        machines::put_hosts(self, hosts, dry_run)
    }

    fn power(
        &self,
        reference: &HostRef,
        request: serde_json::Value,
    ) -> Result<serde_json::Value, BackendError> {
        power::power(self, reference, request)
    }

    fn machines(&self, selector: Option<&Selector>) -> Result<ListPage<MachineView>, BackendError> {
        machines::machines(self, selector)
    }

    fn machine(&self, mac: MacAddr) -> Result<MachineDetail, BackendError> {
        machines::machine(self, mac)
    }

    fn forget_machine(&self, mac: MacAddr, by: &str) -> Result<(), BackendError> {
        machines::forget(self, mac, by)
    }

    fn alarms(&self) -> Result<ListPage<AlarmView>, BackendError> {
        Ok(ListPage { items: machines::alarms(&self.world), next: None, revision: self.revision() })
    }

    fn ignored(&self) -> Result<ListPage<IgnoredView>, BackendError> {
        machines::ignored(self)
    }

    fn ignore(&self, octets: &[u8], by: &str, ignore: bool) -> Result<(), BackendError> {
        machines::ignore(self, octets, by, ignore)
    }

    fn order(&self, reference: &HostRef, order: &OrderRequest) -> Result<LifeView, BackendError> {
        life::order(self, reference, order)
    }

    fn groups(&self, page: &Page) -> Result<ListPage<GroupView>, BackendError> {
        let mut groups = self.inventory.groups().map_err(internal)?;
        groups.sort_by(|one, other| one.resource.name.cmp(&other.resource.name));
        let users = Users::of(&self.world.catalog());
        let views = groups.iter().map(|group| group_view(group, &users));
        Ok(paginate(views, page, self.revision(), |view| view.group.name.to_string()))
    }

    fn group(&self, name: &Name) -> Result<GroupView, BackendError> {
        let group = self.owned_group(name)?;
        let group = group.ok_or_else(|| BackendError::NotFound { what: "group", name: name.to_string() })?;
        Ok(group_view(&group, &Users::of(&self.world.catalog())))
    }

    fn put_group(
        &self,
        group: Group,
        expect: Expect,
        dry_run: bool,
    ) -> Result<Written<GroupView>, BackendError> {
        let _changing = self.inventory.change();
        let current = self.owned_group(&group.name)?;
        check_write("group", &group.name, current.as_ref(), expect)?;
        let catalog = self
            .inventory
            .catalog_with(|parts| {
                parts.groups.retain(|other| other.name != group.name);
                parts.groups.push(group.clone());
            })
            .map_err(|failure| invalid("group", failure))?;
        refers("group", "/parent", group.parent.as_ref(), &catalog)?;
        let users = Users::of(&catalog);
        let unchanged = current.as_ref().is_some_and(|current| current.resource == group);
        let created = current.is_none();
        if dry_run || unchanged {
            let revision = current.as_ref().map(|current| current.revision).unwrap_or_default();
            let item = Owned { resource: group, owner: API_OWNER.to_owned(), revision };
            return Ok(Written { item: group_view(&item, &users), created, changed: !unchanged });
        }
        let name = group.name.clone();
        let value = GROUP.encode(&group).map_err(|error| BackendError::Internal(chain(&error)))?;
        let batch = Batch::new().expect(Table::Groups, name_key(&name), precondition(current.as_ref())).put(
            Table::Groups,
            name_key(&name),
            value,
        );
        let revision = self.commit("group", &name, current.as_ref(), batch)?;
        self.replace_catalog()?;
        self.world.record(
            Event::new(EventName::GroupChanged).with("group", name.shared()).with("created", created),
        );
        let item = Owned { resource: group, owner: API_OWNER.to_owned(), revision };
        Ok(Written { item: group_view(&item, &users), created, changed: true })
    }

    fn delete_group(&self, name: &Name, expect: Expect, dry_run: bool) -> Result<u64, BackendError> {
        let _changing = self.inventory.change();
        let current = self.owned_group(name)?;
        check_write("group", name, current.as_ref(), expect)?;
        let used = self.users_of_group(name)?;
        if !used.is_empty() {
            let more = used.len().saturating_sub(5);
            let mut shown = used.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
            if more > 0 {
                shown.push_str(&format!(" and {more} more"));
            }
            return Err(BackendError::Problem(
                Problem::new(409, "R-RES-09", "in-use", format!("group `{name}` is in use; not removed"))
                    .with_cause(shown)
                    .with_fix("give those another group first"),
            ));
        }
        if dry_run {
            return Ok(self.revision());
        }
        let batch = Batch::new()
            .expect(Table::Groups, name_key(name), precondition(current.as_ref()))
            .delete(Table::Groups, name_key(name));
        let revision = self.commit("group", name, current.as_ref(), batch)?;
        self.replace_catalog()?;
        self.world
            .record(Event::new(EventName::GroupChanged).with("group", name.shared()).with("removed", true));
        Ok(revision.0)
    }

    fn rules(&self) -> Result<ListPage<RuleView>, BackendError> {
        let working = self.working()?;
        let mut items: Vec<RuleView> = working.views();
        items.sort_by(|one, other| {
            (one.rule.order, &one.rule.name).cmp(&(other.rule.order, &other.rule.name))
        });
        Ok(ListPage { items, next: None, revision: self.revision() })
    }

    fn rule(&self, name: &Name) -> Result<RuleView, BackendError> {
        let views = self.working()?.views();
        views
            .into_iter()
            .find(|view| view.rule.name == *name)
            .ok_or_else(|| BackendError::NotFound { what: "rule", name: name.to_string() })
    }

    fn put_rule(
        &self,
        rule: Rule,
        expect: Expect,
        change: RuleChange,
    ) -> Result<Written<RuleView>, BackendError> {
        let _changing = self.inventory.change();
        let name = rule.name.clone();
        let current = self.owned_rule(&name)?;
        check_write("rule", &name, current.as_ref(), expect)?;
        let mut working = self.working()?;
        let created = current.is_none();
        if created && working.ours.len() >= RULES_MAX {
            return Err(too_many());
        }
        let unchanged = current.as_ref().is_some_and(|current| current.resource == rule);
        working.ours.retain(|other| other.resource.name != name);
        let revision = current.as_ref().map(|current| current.revision).unwrap_or_default();
        working.ours.push(Owned { resource: rule.clone(), owner: API_OWNER.to_owned(), revision });
        let catalog = self.catalog_of(working.rules()).map_err(|failure| invalid("rule", failure))?;
        refers("rule", "/group", rule.group.as_ref(), &catalog)?;
        // This change alone is put in force; what else is staged stays so.
        let active = (!change.staged && working.active.get(&name) != Some(&rule)).then(|| {
            let mut active = working.active.clone();
            active.insert(name.clone(), rule.clone());
            active
        });
        let then = active.as_ref().map(|active| self.next_catalog(&working, active)).transpose()?;
        let changed = !unchanged || active.is_some();
        if !change.dry_run && changed {
            let value = RULE.encode(&rule).map_err(|error| BackendError::Internal(chain(&error)))?;
            let mut batch = Batch::new()
                .expect(Table::Rules, name_key(&name), precondition(current.as_ref()))
                .put(Table::Rules, name_key(&name), value);
            let set = match &active {
                Some(active) => {
                    let (with_set, set) = self.with_set(batch, active, format!("rule set {name}"))?;
                    batch = with_set;
                    Some(set)
                }
                None => None,
            };
            let revision = self.commit("rule", &name, current.as_ref(), batch)?;
            if let Some(own) = working.ours.last_mut() {
                own.revision = revision;
            }
            self.told_of(&name, created, false, set.zip(then));
        }
        if let Some(active) = active {
            working.active = active;
        }
        let view = working.views().into_iter().find(|view| view.rule.name == name);
        let item = view.ok_or_else(|| BackendError::Internal("the rule is gone".to_owned()))?;
        Ok(Written { item, created, changed })
    }

    fn delete_rule(&self, name: &Name, expect: Expect, change: RuleChange) -> Result<u64, BackendError> {
        let _changing = self.inventory.change();
        let current = self.owned_rule(name)?;
        check_write("rule", name, current.as_ref(), expect)?;
        let working = self.working()?;
        let mut batch = Batch::new()
            .expect(Table::Rules, name_key(name), precondition(current.as_ref()))
            .delete(Table::Rules, name_key(name));
        let mut set = None;
        if !change.staged && working.active.contains_key(name) {
            let mut active = working.active.clone();
            active.remove(name);
            let then = self.next_catalog(&working, &active)?;
            let (with_set, number) = self.with_set(batch, &active, format!("rule rm {name}"))?;
            (batch, set) = (with_set, Some((number, then)));
        }
        if change.dry_run {
            return Ok(self.revision());
        }
        let revision = self.commit("rule", name, current.as_ref(), batch)?;
        self.told_of(name, false, true, set);
        Ok(revision.0)
    }

    fn test_rules(&self, rule: Option<&Name>, selector: Option<&Selector>) -> Result<RuleTest, BackendError> {
        let working = self.working()?;
        let selector = match rule {
            Some(name) => {
                let found = working.rules().into_iter().find(|rule| rule.name == *name);
                let missing = || BackendError::NotFound { what: "rule", name: name.to_string() };
                Some(found.ok_or_else(missing)?.when)
            }
            None => selector.cloned(),
        };
        let then = self.catalog_of(working.rules()).map_err(|failure| invalid("rule set", failure))?;
        Ok(compare(self, &self.world.catalog(), &then, selector.as_ref()))
    }

    fn activate_rules(&self, dry_run: bool) -> Result<RulesActivated, BackendError> {
        let start = Instant::now();
        let changing = self.inventory.change();
        let working = self.working()?;
        let next = working.ours.iter().map(|rule| (rule.resource.name.clone(), rule.resource.clone()));
        let done = self.put_in_force(start, &working, next.collect(), "activate".to_owned(), dry_run)?;
        drop(changing);
        Ok(done.told(self))
    }

    fn rollback_rules(&self, to: Option<u64>, dry_run: bool) -> Result<RulesActivated, BackendError> {
        let start = Instant::now();
        let changing = self.inventory.change();
        let sets = self.inventory.rule_sets().map_err(internal)?;
        let found = match to {
            Some(number) => sets.iter().find(|set| set.number == number),
            None => sets.len().checked_sub(2).and_then(|at| sets.get(at)),
        };
        let Some(set) = found else {
            let kept: Vec<String> = sets.iter().map(|set| set.number.to_string()).collect();
            let name = to.map_or_else(|| "before this one".to_owned(), |number| number.to_string());
            return Err(BackendError::Problem(
                Problem::new(404, "R-RES-01", "not-found", format!("there is no set of rules {name}"))
                    .with_fix(format!("kept are {}; reveille rule sets", kept.join(", "))),
            ));
        };
        let next = set.rules.iter().map(|rule| (rule.name.clone(), rule.clone())).collect();
        let done =
            self.put_in_force(start, &self.working()?, next, format!("rollback to {}", set.number), dry_run)?;
        drop(changing);
        Ok(done.told(self))
    }

    fn rule_sets(&self) -> Result<ListPage<RuleSetView>, BackendError> {
        let sets = self.inventory.rule_sets().map_err(internal)?;
        let last = sets.last().map(|set| set.number);
        let items = sets.into_iter().map(|set| RuleSetView {
            active: Some(set.number) == last,
            set: set.number,
            activated: timestamp(set.activated.saturating_mul(1000)),
            by: set.by,
            rules: set.rules.iter().map(|rule| rule.name.to_string()).collect(),
        });
        Ok(ListPage { items: items.collect(), next: None, revision: self.revision() })
    }
}

impl Daemon {
    fn owned_group(&self, name: &Name) -> Result<Option<Owned<Group>>, BackendError> {
        let groups = self.inventory.groups().map_err(internal)?;
        Ok(groups.into_iter().find(|group| group.resource.name == *name))
    }

    fn owned_rule(&self, name: &Name) -> Result<Option<Owned<Rule>>, BackendError> {
        let working = self.working()?;
        Ok(working.file.into_iter().chain(working.ours).find(|rule| rule.resource.name == *name))
    }

    /// Hosts, groups and rules of every set that name a group.
    fn users_of_group(&self, name: &Name) -> Result<Vec<String>, BackendError> {
        let hosts = self.inventory.hosts().map_err(internal)?.into_iter().map(|host| host.resource);
        let groups = self.inventory.groups().map_err(internal)?.into_iter().map(|group| group.resource);
        let working = self.working()?;
        let mut used = BTreeSet::new();
        for host in hosts.filter(|host| host.group.as_ref() == Some(name)) {
            used.insert(format!("host {}", host.name));
        }
        for group in groups.filter(|group| group.parent.as_ref() == Some(name)) {
            used.insert(format!("group {}", group.name));
        }
        let rules = working.rules().into_iter().chain(working.active.values().cloned());
        for rule in rules.filter(|rule| rule.group.as_ref() == Some(name)) {
            used.insert(format!("rule {}", rule.name));
        }
        Ok(used.into_iter().collect())
    }

    /// The catalog with the rules as they are edited in force.
    pub(super) fn working_catalog(&self) -> Result<Catalog, BackendError> {
        self.catalog_of(self.working()?.rules()).map_err(|failure| invalid("rule set", failure))
    }

    pub(super) fn working(&self) -> Result<Working, BackendError> {
        let active = self.inventory.active_rules().map_err(internal)?;
        Ok(Working {
            file: self.inventory.file_rules(),
            ours: self.inventory.working_rules().map_err(internal)?,
            active: active.into_iter().map(|rule| (rule.name.clone(), rule)).collect(),
        })
    }

    /// The catalog with these rules in force, and no others.
    fn catalog_of(&self, rules: Vec<Rule>) -> Result<Catalog, Failure> {
        self.inventory.with_rules(&self.world.catalog(), rules)
    }

    /// The caller holds the inventory's lock, and needs it no longer to tell what came of it. `start`: when it was asked for.
    fn put_in_force(
        &self,
        start: Instant,
        working: &Working,
        next: BTreeMap<Name, Rule>,
        by: String,
        dry_run: bool,
    ) -> Result<PutInForce, BackendError> {
        let names: BTreeSet<&Name> = working.active.keys().chain(next.keys()).collect();
        let changed = names.into_iter().filter(|name| working.active.get(*name) != next.get(*name));
        let changed: Vec<String> = changed.map(ToString::to_string).collect();
        let rules = with_file(working, &next);
        let now = self.world.catalog();
        let then = self.inventory.next_with_rules(&now, rules);
        let then = Arc::new(then.map_err(|failure| invalid("rule set", failure))?);
        let rules = u64::try_from(next.len()).unwrap_or(u64::MAX);
        let mut activated = RulesActivated { rules, changed, ..RulesActivated::default() };
        if !activated.changed.is_empty() {
            let (batch, set) = self.with_set(Batch::new(), &next, by.clone())?;
            activated.set = set;
            if !dry_run {
                self.store
                    .commit_blocking(batch)
                    .map_err(|error| not_committed(&error, "rule set", &set.to_string(), None))?;
                self.world.replace_catalog(then.clone());
                activated.in_force_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
                self.world.record(activation(set, &by, activated.changed.len()));
            }
        }
        Ok(PutInForce { activated, now, then })
    }

    /// Adds the next set to a batch, and takes those out that are too old.
    pub(super) fn with_set(
        &self,
        mut batch: Batch,
        rules: &BTreeMap<Name, Rule>,
        by: String,
    ) -> Result<(Batch, u64), BackendError> {
        let sets = self.inventory.rule_set_numbers().map_err(internal)?;
        let number = sets.last().map_or(1, |last| last + 1);
        let set = RuleSet { number, activated: unix_now().0, by, rules: rules.values().cloned().collect() };
        let value = RULE_SET.encode(&set).map_err(|error| BackendError::Internal(chain(&error)))?;
        let key = rule_set_key(number);
        batch = batch.expect(Table::RuleSets, key.clone(), store::Expect::Absent).put(
            Table::RuleSets,
            key,
            value,
        );
        let spare = (sets.len() + 1).saturating_sub(SETS_KEPT);
        for old in sets.into_iter().take(spare) {
            batch = batch.delete(Table::RuleSets, rule_set_key(old));
        }
        Ok((batch, number))
    }

    fn commit<T>(
        &self,
        what: &'static str,
        name: &Name,
        current: Option<&Owned<T>>,
        batch: Batch,
    ) -> Result<Revision, BackendError> {
        self.store.commit_blocking(batch).map_err(|error| {
            not_committed(&error, what, name.as_str(), current.map(|current| current.revision.0))
        })
    }

    /// The catalog with a set that is about to be committed. The caller holds the inventory's lock.
    fn next_catalog(
        &self,
        working: &Working,
        active: &BTreeMap<Name, Rule>,
    ) -> Result<Catalog, BackendError> {
        let next = self.inventory.next_with_rules(&self.world.catalog(), with_file(working, active));
        next.map_err(|failure| invalid("rule", failure))
    }

    fn told_of(&self, name: &Name, created: bool, removed: bool, set: Option<(u64, Catalog)>) {
        let mut event = Event::new(EventName::RuleChanged).with("rule", name.shared());
        event = if removed { event.with("removed", true) } else { event.with("created", created) };
        self.world.record(event.with("staged", set.is_none()));
        if let Some((set, then)) = set {
            self.world.replace_catalog(then);
            self.world.record(activation(set, "one rule", 1));
        }
    }
}

/// A set that is in force, and what was before it.
struct PutInForce {
    activated: RulesActivated,
    now: Arc<Catalog>,
    then: Arc<Catalog>,
}

impl PutInForce {
    /// With what it does to machines: thousands of them take longer to look at than a set takes to be in force.
    fn told(self, daemon: &Daemon) -> RulesActivated {
        RulesActivated { test: compare(daemon, &self.now, &self.then, None), ..self.activated }
    }
}

/// The rules that are being edited, and those in force.
pub(super) struct Working {
    pub(super) file: Vec<Owned<Rule>>,
    pub(super) ours: Vec<Owned<Rule>>,
    pub(super) active: BTreeMap<Name, Rule>,
}

impl Working {
    /// Every rule of the working set, the file's among them.
    fn rules(&self) -> Vec<Rule> {
        self.file.iter().chain(&self.ours).map(|rule| rule.resource.clone()).collect()
    }

    fn views(&self) -> Vec<RuleView> {
        let found = plan::Rules::new(self.rules()).findings();
        let view = |rule: &Owned<Rule>, state: &str| RuleView {
            findings: found
                .iter()
                .filter(|finding| *finding.rule() == rule.resource.name)
                .map(finding_view)
                .collect(),
            rule: rule.resource.clone(),
            managed_by: rule.owner.clone(),
            revision: rule.revision.0,
            state: state.to_owned(),
        };
        let mut views: Vec<RuleView> = self.file.iter().map(|rule| view(rule, "active")).collect();
        views.extend(self.ours.iter().map(|rule| {
            let state = match self.active.get(&rule.resource.name) {
                None => "staged",
                Some(active) if *active == rule.resource => "active",
                Some(_) => "changed",
            };
            view(rule, state)
        }));
        for (name, rule) in &self.active {
            if !self.ours.iter().any(|own| own.resource.name == *name) {
                let owned =
                    Owned { resource: rule.clone(), owner: API_OWNER.to_owned(), revision: Revision(0) };
                views.push(view(&owned, "removed"));
            }
        }
        views
    }
}

/// The rules of the file beside these.
fn with_file(working: &Working, rules: &BTreeMap<Name, Rule>) -> Vec<Rule> {
    let file = working.file.iter().map(|rule| rule.resource.clone());
    file.chain(rules.values().cloned()).collect()
}

/// Who names which group.
struct Users {
    hosts: BTreeMap<Name, u64>,
    children: BTreeMap<Name, Vec<String>>,
}

impl Users {
    fn of(catalog: &Catalog) -> Users {
        let mut users = Users { hosts: BTreeMap::new(), children: BTreeMap::new() };
        for group in catalog.hosts().filter_map(|host| host.group.clone()) {
            *users.hosts.entry(group).or_default() += 1;
        }
        for group in catalog.groups() {
            if let Some(parent) = &group.parent {
                users.children.entry(parent.clone()).or_default().push(group.name.to_string());
            }
        }
        users.children.values_mut().for_each(|children| children.sort());
        users
    }
}

fn group_view(group: &Owned<Group>, users: &Users) -> GroupView {
    let name = &group.resource.name;
    GroupView {
        managed_by: group.owner.clone(),
        revision: group.revision.0,
        hosts: users.hosts.get(name).copied().unwrap_or(0),
        children: users.children.get(name).cloned().unwrap_or_default(),
        group: group.resource.clone(),
    }
}

pub(super) fn activation(set: u64, by: &str, changed: usize) -> Event {
    Event::new(EventName::RuleActivated)
        .with("set", set)
        .with("by", by.to_owned())
        .with("changed", u64::try_from(changed).unwrap_or(u64::MAX))
}

fn finding_view(finding: &plan::RuleFinding) -> RuleFindingView {
    RuleFindingView {
        code: finding.code().to_owned(),
        rule: finding.rule().to_string(),
        what: finding.to_string(),
        fix: finding.fix(),
    }
}

fn refers(
    what: &'static str,
    pointer: &str,
    group: Option<&Name>,
    catalog: &Catalog,
) -> Result<(), BackendError> {
    match group.filter(|name| catalog.group(name).is_none()) {
        None => Ok(()),
        Some(name) => {
            let detail = format!("there is no group `{name}`; add it first, or name another");
            Err(BackendError::Invalid {
                what,
                errors: vec![FieldError { pointer: pointer.to_owned(), detail }],
            })
        }
    }
}

fn invalid(what: &'static str, failure: Failure) -> BackendError {
    let detail = failure.cause.unwrap_or(failure.what);
    BackendError::Invalid { what, errors: vec![FieldError { pointer: String::new(), detail }] }
}

pub(super) fn too_many() -> BackendError {
    BackendError::Problem(
        Problem::new(409, "R-RUL-10", "too-many", format!("there are {RULES_MAX} rules already"))
            .with_fix("let groups and labels say what hosts have, and rules what groups of machines have"),
    )
}
