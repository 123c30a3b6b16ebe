use super::*;
use proptest::prelude::*;
use store::Revision;
use types::resource::Group;

const CI: &str = "apply:ci";

fn group(name: &str, value: &str) -> Group {
    let mut group = Group::new(name.parse().unwrap());
    group.params.insert("v".to_owned(), value.to_owned());
    group
}

fn owned(name: &str, value: &str, owner: &str, revision: u64) -> Owned<Group> {
    Owned { resource: group(name, value), owner: owner.to_owned(), revision: Revision(revision) }
}

fn asked() -> Asked<'static> {
    Asked { owner: CI, prune: false, take_over: false, details: false, if_revision: None }
}

fn planned(current: &[Owned<Group>], wanted: &[Group], asked: Asked<'_>) -> (Plan<Group>, Refused) {
    let mut refused = Refused::default();
    let plan = Plan::new(current.to_vec(), wanted.to_vec(), asked, |_| true, &mut refused);
    (plan, refused)
}

fn actions(plan: &Plan<Group>) -> Vec<String> {
    plan.changes.iter().map(|change| format!("{} {}", change.action, change.name)).collect()
}

#[test]
fn what_is_as_it_should_be_is_left_alone() {
    let current = [owned("a", "1", CI, 3), owned("b", "1", CI, 3)];
    let (plan, refused) = planned(&current, &[group("a", "1"), group("b", "2"), group("c", "1")], asked());
    assert_eq!(actions(&plan), ["changed b", "created c"]);
    assert_eq!((plan.counts.unchanged, plan.counts.changed, plan.counts.created), (1, 1, 1));
    assert!(refused.owned.is_empty() && plan.removed.is_empty());
}

#[test]
fn only_what_this_owner_has_is_pruned() {
    let current = [
        owned("a", "1", CI, 1),
        owned("b", "1", "api", 1),
        owned("c", "1", "apply:other", 1),
        owned("d", "1", "file:x:1", 0),
    ];
    let (plan, _) = planned(&current, &[], Asked { prune: true, ..asked() });
    assert_eq!(actions(&plan), ["removed a"]);
    assert_eq!(plan.after().count(), 3);
    let (plan, _) = planned(&current, &[], asked());
    assert!(plan.changes.is_empty(), "without --prune nothing goes");
}

#[test]
fn what_is_another_owners_is_refused_each_by_itself() {
    let current =
        [owned("a", "1", "api", 1), owned("b", "1", "apply:other", 1), owned("c", "1", "file:x.yaml:3", 0)];
    let wanted = [group("a", "2"), group("b", "1"), group("c", "1")];
    let (plan, refused) = planned(&current, &wanted, asked());
    let names: Vec<_> = refused.owned.iter().map(|(_, name, owner)| format!("{name} {owner}")).collect();
    assert_eq!(names, ["a api", "b apply:other", "c file:x.yaml:3"]);
    assert!(!plan.writes());
}

#[test]
fn what_the_api_has_is_left_when_it_is_the_same_and_taken_over_when_that_is_asked_for() {
    let current = [owned("a", "1", "api", 1), owned("b", "1", "api", 1)];
    let (plan, refused) = planned(&current, &[group("a", "1")], asked());
    assert_eq!((plan.counts.unchanged, refused.left, refused.owned.len()), (1, 1, 0));
    let wanted = [group("a", "1"), group("b", "2")];
    let (plan, refused) = planned(&current, &wanted, Asked { take_over: true, ..asked() });
    assert_eq!(actions(&plan), ["taken-over a", "changed b"]);
    assert_eq!((plan.put.len(), refused.left), (2, 0));
}

#[test]
fn what_was_written_since_is_refused() {
    let current =
        [owned("a", "1", CI, 3), owned("b", "1", CI, 9), owned("c", "1", CI, 9), owned("d", "1", CI, 9)];
    let wanted = [group("a", "2"), group("b", "2"), group("c", "1")];
    let (_, refused) = planned(&current, &wanted, Asked { if_revision: Some(5), prune: true, ..asked() });
    let stale: Vec<_> = refused.stale.iter().map(|(_, name, at)| format!("{name} {at}")).collect();
    assert_eq!(stale, ["b 9", "d 9"], "unchanged ones do not count");
}

#[test]
fn what_is_recorded_and_not_in_force_is_activated() {
    let mut refused = Refused::default();
    let current = vec![owned("a", "1", CI, 1)];
    let plan = Plan::new(current, vec![group("a", "1")], asked(), |_| false, &mut refused);
    assert_eq!((actions(&plan), plan.put.len(), plan.counts.changed), (vec!["activated a".to_owned()], 0, 1));
}

#[test]
fn a_name_twice_is_refused() {
    let (_, refused) = planned(&[], &[group("a", "1"), group("a", "2")], asked());
    assert_eq!(refused.errors[0].pointer, "/resources/groups/1");
}

#[test]
fn what_names_nothing_is_found() {
    let mut child = group("child", "1");
    child.parent = Some("lab".parse().unwrap());
    child.bundles_append = vec!["lab".parse().unwrap(), "base".parse().unwrap()];
    let mut found = BTreeSet::new();
    let (lab, base): (Name, Name) = ("lab".parse().unwrap(), "base".parse().unwrap());
    // A name of one kind is none of another.
    let there = There::from([
        (ResourceKind::Template, BTreeSet::from([&lab])),
        (ResourceKind::Group, BTreeSet::from([&base])),
        (ResourceKind::Bundle, BTreeSet::from([&base])),
    ]);
    dangling([&child].into_iter(), &there, &mut found);
    assert_eq!(
        found.into_iter().collect::<Vec<_>>(),
        ["group `child` names bundle `lab`", "group `child` names group `lab`"]
    );
}

proptest! {
    /// Applied once, the same is unchanged; with prune, what is left of this owner is what was asked for; what is others' never moves.
    #[test]
    fn applying_is_idempotent_and_touches_nobody_else(
        current in proptest::collection::btree_map(0u8..8, (0u8..3, 0u8..3), 0..8),
        wanted in proptest::collection::btree_map(0u8..8, 0u8..3, 0..8),
        prune in any::<bool>(),
        take_over in any::<bool>(),
    ) {
        let owners = [CI, "api", "apply:other"];
        let current: Vec<_> = current
            .iter()
            .map(|(name, (value, owner))| owned(&format!("g{name}"), &value.to_string(), owners[usize::from(*owner)], 1))
            .collect();
        let wanted: Vec<_> = wanted.iter().map(|(name, value)| group(&format!("g{name}"), &value.to_string())).collect();
        let asked = Asked { prune, take_over, ..asked() };
        let (plan, refused) = planned(&current, &wanted, asked);
        prop_assume!(refused.owned.is_empty());
        let counts = plan.counts;
        prop_assert_eq!(counts.created + counts.changed + counts.unchanged, wanted.len() as u64);
        let after: Vec<Owned<Group>> = plan
            .after()
            .map(|one| {
                let written = plan.put.contains_key(&one.name);
                let owner = if written { CI.to_owned() } else { plan.before[&one.name].owner.clone() };
                Owned { resource: one.clone(), owner, revision: Revision(2) }
            })
            .collect();
        for one in &wanted {
            prop_assert!(after.iter().any(|owned| owned.resource == *one));
        }
        for owned in current.iter().filter(|owned| owned.owner == "apply:other") {
            prop_assert!(after.iter().any(|after| after.resource == owned.resource && after.owner == owned.owner));
        }
        if prune {
            let ours = after.iter().filter(|owned| owned.owner == CI);
            prop_assert!(ours.clone().all(|owned| wanted.contains(&owned.resource)));
        }
        let (again, refused) = planned(&after, &wanted, asked);
        prop_assert!(refused.owned.is_empty() && again.changes.is_empty());
        prop_assert_eq!(again.counts.unchanged, wanted.len() as u64);
    }
}
