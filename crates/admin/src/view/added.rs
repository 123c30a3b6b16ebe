//! What views have beside the keys of their resource.

/// Keys of host, group and rule views that are none of the resource's: a body that is sent back may carry them, they change
/// nothing.
pub const ADDED_KEYS: [&str; 12] = [
    "managed_by",
    "revision",
    "life",
    "first_seen",
    "last_seen",
    "identity_changes",
    "address",
    "hosts",
    "children",
    "state",
    "findings",
    "bundle_runs",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::{ChangeView, GroupView, HostView, LifeView, RuleFindingView, RuleView, ScriptRunView};
    use serde::Serialize;
    use std::collections::BTreeSet;
    use types::MacAddr;
    use types::resource::{Group, Host, HostMatch, Rule};

    fn keys(value: &impl Serialize) -> BTreeSet<String> {
        let value = serde_json::to_value(value).unwrap();
        value.as_object().unwrap().keys().cloned().collect()
    }

    #[test]
    fn every_key_that_a_view_adds_is_known() {
        let text = || Some("x".to_owned());
        let change = ChangeView {
            mac: MacAddr([2, 0, 0, 0, 0, 1]),
            term: String::new(),
            value: String::new(),
            holds: true,
            since: String::new(),
        };
        let host = HostView {
            host: Host::new("a".parse().unwrap(), HostMatch::default()),
            managed_by: String::new(),
            revision: 1,
            life: Some(LifeView::default()),
            first_seen: text(),
            bundle_runs: vec![ScriptRunView::default()],
            last_seen: text(),
            identity_changes: vec![change],
            address: text(),
        };
        let group = GroupView {
            group: Group::new("a".parse().unwrap()),
            managed_by: String::new(),
            revision: 1,
            hosts: 1,
            children: vec![String::new()],
        };
        let rule = RuleView {
            rule: Rule::new("a".parse().unwrap()),
            managed_by: String::new(),
            revision: 1,
            state: String::new(),
            findings: vec![RuleFindingView::default()],
        };
        let mut added: BTreeSet<String> = keys(&host).difference(&keys(&host.host)).cloned().collect();
        added.extend(keys(&group).difference(&keys(&group.group)).cloned());
        added.extend(keys(&rule).difference(&keys(&rule.rule)).cloned());
        assert_eq!(added, ADDED_KEYS.map(str::to_owned).into());
    }
}
