//! Groups and rules behind the routes.

use super::{BackendError, Expect, HostRef, ListPage, Page, Written};
use crate::view::{
    AlarmView, GroupView, HostWrite, IgnoredView, LifeView, MachineDetail, MachineView, OrderRequest,
    RuleSetView, RuleTest, RuleView, RulesActivated,
};
use types::resource::{Group, Name, Rule};
use types::{MacAddr, Selector};

/// How a change of rules is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RuleChange {
    /// In the working set only; without it this change is put in force at once, and no other.
    pub staged: bool,
    /// Say what would be, change nothing.
    pub dry_run: bool,
}

/// What the daemon does with groups and rules. A daemon without them says so.
pub trait Policy: Send + Sync {
    /// Creates or replaces all of these hosts, or none: every one, with those it was before, in one commit. `new` are the ones
    /// that must not be there yet.
    ///
    /// # Errors
    /// When one belongs to a file, is invalid, or is there and must not be; or the commit fails.
    fn put_hosts(&self, _hosts: Vec<HostWrite>, _dry_run: bool) -> Result<u64, BackendError> {
        Err(absent("host"))
    }

    /// Looks at the power of a host, switches it, or sets what it starts from next: a request and an answer in the form of
    /// `docs/power.md`. Blocks until the controller is done.
    ///
    /// # Errors
    /// When there is no such host, its record says nothing of power, or it did not come about.
    fn power(
        &self,
        _reference: &HostRef,
        _request: serde_json::Value,
    ) -> Result<serde_json::Value, BackendError> {
        Err(absent("power"))
    }

    /// Machines that were seen and have no record, those that wait first; with a selector those it means.
    ///
    /// # Errors
    /// When they cannot be told.
    fn machines(&self, _where: Option<&Selector>) -> Result<ListPage<MachineView>, BackendError> {
        Err(absent("machine"))
    }

    /// Everything known of one machine, recorded or not.
    ///
    /// # Errors
    /// When nothing is.
    fn machine(&self, _mac: MacAddr) -> Result<MachineDetail, BackendError> {
        Err(absent("machine"))
    }

    /// Forgets what is known of one machine; its record stays.
    ///
    /// # Errors
    /// When nothing is known of it, or that could not be made durable.
    fn forget_machine(&self, _mac: MacAddr, _by: &str) -> Result<(), BackendError> {
        Err(absent("machine"))
    }

    /// What is wrong with the identity of machines.
    ///
    /// # Errors
    /// When it cannot be told.
    fn alarms(&self) -> Result<ListPage<AlarmView>, BackendError> {
        Err(absent("machine"))
    }

    /// Machines that are to be ignored.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn ignored(&self) -> Result<ListPage<IgnoredView>, BackendError> {
        Err(absent("machine"))
    }

    /// Ignores machines whose hardware address begins like this, or heeds them again.
    ///
    /// # Errors
    /// When the commit fails, or nobody is ignored by these octets.
    fn ignore(&self, _octets: &[u8], _by: &str, _ignore: bool) -> Result<(), BackendError> {
        Err(absent("machine"))
    }

    /// Carries out an order for a host; gives what is remembered of it then.
    ///
    /// # Errors
    /// When there is no such host, the order does not apply, or it could not be made durable.
    fn order(&self, _reference: &HostRef, _order: &OrderRequest) -> Result<LifeView, BackendError> {
        Err(absent("order"))
    }

    /// Groups by name.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn groups(&self, _page: &Page) -> Result<ListPage<GroupView>, BackendError> {
        Err(absent("group"))
    }

    /// One group.
    ///
    /// # Errors
    /// When there is none such.
    fn group(&self, _name: &Name) -> Result<GroupView, BackendError> {
        Err(absent("group"))
    }

    /// Creates or replaces a group.
    ///
    /// # Errors
    /// When the expectation fails, the group is invalid, or the commit fails.
    fn put_group(
        &self,
        _group: Group,
        _expect: Expect,
        _dry_run: bool,
    ) -> Result<Written<GroupView>, BackendError> {
        Err(absent("group"))
    }

    /// Removes a group that nothing refers to; gives the new revision of the store.
    ///
    /// # Errors
    /// As [`put_group`](Policy::put_group), and when something refers to it.
    fn delete_group(&self, _name: &Name, _expect: Expect, _dry_run: bool) -> Result<u64, BackendError> {
        Err(absent("group"))
    }

    /// The working set, in the order the rules are asked; what is in force only is in it as `removed`.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn rules(&self) -> Result<ListPage<RuleView>, BackendError> {
        Err(absent("rule"))
    }

    /// One rule of the working set.
    ///
    /// # Errors
    /// When there is none such.
    fn rule(&self, _name: &Name) -> Result<RuleView, BackendError> {
        Err(absent("rule"))
    }

    /// Creates or replaces a rule.
    ///
    /// # Errors
    /// When the expectation fails, the rule is invalid, or the commit fails.
    fn put_rule(
        &self,
        _rule: Rule,
        _expect: Expect,
        _change: RuleChange,
    ) -> Result<Written<RuleView>, BackendError> {
        Err(absent("rule"))
    }

    /// Removes a rule; gives the new revision of the store.
    ///
    /// # Errors
    /// As [`put_rule`](Policy::put_rule).
    fn delete_rule(&self, _name: &Name, _expect: Expect, _change: RuleChange) -> Result<u64, BackendError> {
        Err(absent("rule"))
    }

    /// Who is meant by a rule of the working set (or by a selector), and whose next boot the working set would change.
    ///
    /// # Errors
    /// When there is no such rule, or the working set makes no catalog.
    fn test_rules(
        &self,
        _rule: Option<&Name>,
        _selector: Option<&Selector>,
    ) -> Result<RuleTest, BackendError> {
        Err(absent("rule"))
    }

    /// Puts the working set in force.
    ///
    /// # Errors
    /// When it makes no catalog, or the commit fails.
    fn activate_rules(&self, _dry_run: bool) -> Result<RulesActivated, BackendError> {
        Err(absent("rule"))
    }

    /// Puts an earlier set in force again: the one of this number, or the one before. The working set stays.
    ///
    /// # Errors
    /// When there is none such, it makes no catalog any more, or the commit fails.
    fn rollback_rules(&self, _to: Option<u64>, _dry_run: bool) -> Result<RulesActivated, BackendError> {
        Err(absent("rule"))
    }

    /// The sets that are kept, the latest last.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn rule_sets(&self) -> Result<ListPage<RuleSetView>, BackendError> {
        Err(absent("rule"))
    }
}

fn absent(what: &'static str) -> BackendError {
    BackendError::Internal(format!("this daemon keeps no {what}s"))
}
