use crate::tests_support::*;
use crate::{BootState, Decider, Decision, Step, Target, TraceLine, UnknownPolicy, decide, resolve};
use std::sync::Arc;
use types::Stage;
use types::resource::{Group, LoaderKind};

fn groups() -> Vec<Group> {
    let mut root = Group::new(name("prod-eu"));
    root.params = params(&[("syslog", "10.0.0.9"), ("vlan", "1")]);
    root.kernel_args_append = vec!["console=ttyS1".into()];
    root.image = Some(name("debian"));
    root.labels = params(&[("tier", "gold")]);
    let mut rack = Group::new(name("rack12"));
    rack.parent = Some(name("prod-eu"));
    rack.params = params(&[("vlan", "1204")]);
    rack.kernel_args_append = vec!["quiet".into()];
    vec![root, rack]
}

#[test]
fn values_are_inherited_and_know_their_origin() {
    let catalog = catalog(|parts| {
        parts.groups = groups();
        let host = &mut parts.hosts[0];
        host.group = Some(name("rack12"));
        host.image = None;
        host.params = params(&[("ip", "10.4.12.7")]);
        host.kernel_args_append = vec!["last".into()];
        let mut rule = rule("base", 90, "");
        rule.params = params(&[("ntp", "10.0.0.1"), ("vlan", "9")]);
        rule.kernel_args_append = vec!["first".into()];
        rule.loader = Some(LoaderKind::Ipxe);
        parts.rules = vec![rule];
    });
    let verdict = decide(&catalog, &facts(Stage::Ipxe), &BootState::default());
    let profile = verdict.profile.unwrap();
    assert_eq!(
        profile.params,
        params(&[("ip", "10.4.12.7"), ("ntp", "10.0.0.1"), ("syslog", "10.0.0.9"), ("vlan", "1204")])
    );
    assert_eq!(profile.kernel_args_append, ["first", "console=ttyS1", "quiet", "last"]);
    assert_eq!(profile.loader, Some(LoaderKind::Ipxe));
    let shown: Vec<String> = resolve(&catalog, &facts(Stage::Ipxe))
        .values
        .into_iter()
        .map(|(key, value, source)| format!("{key} {value} ← {source}"))
        .collect();
    assert_eq!(
        shown,
        [
            "group rack12 ← host web01",
            "image debian ← group prod-eu",
            "label.tier gold ← group prod-eu",
            "loader ipxe ← rule base",
            "params.ip 10.4.12.7 ← host web01",
            "params.ntp 10.0.0.1 ← rule base",
            "params.syslog 10.0.0.9 ← group prod-eu",
            "params.vlan 1204 ← group rack12",
            "kernel_args first ← rule base",
            "kernel_args console=ttyS1 ← group prod-eu",
            "kernel_args quiet ← group rack12",
            "kernel_args last ← host web01",
        ]
    );
    assert!(
        verdict
            .trace
            .0
            .iter()
            .any(|line| matches!(line, TraceLine::GroupPin(group, _) if group.as_str() == "prod-eu"))
    );
}

#[test]
fn bundles_come_from_the_nearest_list_and_know_their_origin() {
    let shown = |host: Option<Vec<&str>>, group: Option<Vec<&str>>| -> Vec<String> {
        let named = |names: Vec<&str>| names.into_iter().map(name).collect::<Vec<_>>();
        let catalog = catalog(|parts| {
            parts.groups = groups();
            parts.groups[0].bundles_append = vec![name("agent")];
            parts.groups[1].bundles = group.map(named);
            parts.hosts[0].group = Some(name("rack12"));
            parts.hosts[0].bundles = host.map(named);
            parts.hosts[0].bundles_append = vec![name("own"), name("base")];
            let mut rule = rule("all", 1, "");
            rule.bundles = Some(vec![name("ruled")]);
            parts.rules = vec![rule];
        });
        let values = resolve(&catalog, &facts(Stage::Ipxe)).values.into_iter();
        let bundles = values.filter(|(key, ..)| key.starts_with("bundles"));
        bundles.map(|(key, value, source)| format!("{key} {value} ← {source}")).collect()
    };
    let appended = ["bundles_append agent ← group prod-eu", "bundles_append own, base ← host web01"];
    let with = |first: &'static str| [&[first], &appended[..]].concat();
    assert_eq!(shown(None, None), with("bundles ruled ← rule all"));
    assert_eq!(shown(None, Some(vec!["base", "db"])), with("bundles base, db ← group rack12"));
    assert_eq!(shown(Some(vec!["mine"]), Some(vec!["base"])), with("bundles mine ← host web01"));
    assert_eq!(shown(Some(vec![]), Some(vec!["base"])), with("bundles none ← host web01"), "none is a list");
}

#[test]
fn a_bundle_that_is_not_there_is_warned_of_wherever_it_is_named() {
    let catalog = catalog(|parts| {
        parts.groups = groups();
        parts.groups[0].bundles_append = vec![name("gone")];
        parts.hosts[0].bundles = Some(vec![name("away")]);
        let mut rule = rule("all", 1, "");
        rule.bundles = Some(vec![name("lost")]);
        parts.rules = vec![rule];
    });
    let told: Vec<String> = catalog.warnings().iter().map(ToString::to_string).collect();
    for wanted in [
        "group `prod-eu` names bundle `gone`, which is not there",
        "host `web01` names bundle `away`, which is not there",
        "rule `all` names bundle `lost`, which is not there; define bundle `lost`, or name another",
    ] {
        assert!(told.iter().any(|line| line.starts_with(wanted)), "{wanted}: {told:#?}");
    }
}

#[test]
fn the_first_rule_that_matches_decides_each_item() {
    let catalog = catalog(|parts| {
        parts.hosts.clear();
        let mut xe9 = rule("gpu", 10, "model~XE9");
        xe9.image = Some(name("rescue"));
        let mut r7 = rule("r7xx", 20, "vendor=Dell,model~R7.*");
        r7.image = Some(name("debian"));
        let mut all = rule("everything", 90, "");
        all.image = Some(name("rescue"));
        all.params = params(&[("ntp", "10.0.0.1")]);
        parts.rules = vec![all, r7, xe9];
    });
    let mut machine = facts(Stage::Ipxe);
    machine.smbios = true;
    machine.vendor = Some("Dell Inc.".into());
    machine.model = Some("PowerEdge R750".into());
    let verdict = decide(&catalog, &machine, &BootState::default());
    assert_eq!(image_of(&verdict), "debian");
    assert_eq!(verdict.host, None);
    let profile = verdict.profile.unwrap();
    assert_eq!(
        (profile.name.as_str(), profile.params.get("ntp").map(String::as_str)),
        ("machine-525400123456", Some("10.0.0.1"))
    );
    let asked = resolve(&catalog, &machine).rules;
    let lines: Vec<String> = asked
        .iter()
        .map(|asked| {
            format!("{} {} {:?} {:?}", asked.rule.order, asked.rule.name, asked.answer, asked.decided)
        })
        .collect();
    assert_eq!(lines, ["10 gpu No []", "20 r7xx Yes [\"image\"]", "90 everything Yes [\"params.ntp\"]",]);
    assert_eq!(asked[0].terms[0].2.as_deref(), Some("PowerEdge R750"));
}

#[test]
fn a_machine_nobody_asked_yet_is_asked_before_a_rule_passes_it_by() {
    for unknown in [UnknownPolicy::Ignore, UnknownPolicy::LocalDisk, UnknownPolicy::Menu] {
        let catalog = catalog(|parts| {
            parts.hosts.clear();
            parts.unknown = unknown;
            let mut r7 = rule("r7xx", 20, "vendor=Dell");
            r7.image = Some(name("debian"));
            let mut all = rule("everything", 90, "");
            all.image = Some(name("rescue"));
            parts.rules = vec![r7, all];
        });
        let at = |facts| decide(&catalog, &facts, &BootState::default());
        let Decision::Boot(plan) = at(facts(Stage::Rom)).decision else { panic!("left alone") };
        assert_eq!((plan.target, plan.step), (Target::Ask, Step::Loader("undionly.kpxe".into())));
        let Decision::Boot(plan) = at(facts(Stage::Ipxe)).decision else { panic!("left alone") };
        assert_eq!((plan.target, plan.step), (Target::Ask, Step::Script));
        let mut told = facts(Stage::Ipxe);
        told.smbios = true;
        assert_eq!(image_of(&at(told.clone())), "rescue");
        told.vendor = Some("Dell Inc.".into());
        assert_eq!(image_of(&at(told.clone())), "debian");
        // Remembered from the last time, it goes straight on.
        told.stage = Stage::Rom;
        assert_eq!(image_of(&at(told)), "debian");
        // A loader that cannot be asked gets what is sure.
        assert_eq!(image_of(&at(facts(Stage::Loader))), "rescue");
    }
}

#[test]
fn a_group_that_a_rule_gives_counts_for_later_rules_and_for_nobody_with_a_group() {
    let catalog = catalog(|parts| {
        parts.groups = groups();
        parts.groups[0].image = None;
        parts.hosts[0].image = None;
        let mut grouping = rule("by-net", 10, "firmware=bios");
        grouping.group = Some(name("rack12"));
        let mut racks = rule("racks", 20, "group=prod-eu");
        racks.image = Some(name("rescue"));
        parts.rules = vec![grouping, racks];
        let mut other = parts.hosts[0].clone();
        other.name = name("lab01");
        other.identity.mac.0 = vec!["52:54:00:00:00:99".parse().unwrap()];
        other.identity.uuid = None;
        other.group = Some(name("lab"));
        parts.groups.push(Group::new(name("lab")));
        parts.hosts.push(other);
    });
    let verdict = decide(&catalog, &facts(Stage::Ipxe), &BootState::default());
    assert_eq!(image_of(&verdict), "rescue");
    assert_eq!(verdict.profile.unwrap().params.get("vlan").map(String::as_str), Some("1204"));
    let mut other = facts(Stage::Ipxe);
    other.mac = Some("52:54:00:00:00:99".parse().unwrap());
    let verdict = decide(&catalog, &other, &BootState::default());
    assert!(matches!(verdict.decision, Decision::Boot(plan) if plan.target == Target::Menu));
    assert_eq!(verdict.profile.unwrap().group, Some(name("lab")));
}

#[test]
fn a_group_that_is_gone_stops_its_hosts_and_is_told_of() {
    let catalog = catalog(|parts| {
        parts.hosts[0].image = None;
        parts.hosts[0].group = Some(name("gone"));
        parts.default_image = Some(name("rescue"));
    });
    let verdict = decide(&catalog, &facts(Stage::Rom), &BootState::default());
    assert!(matches!(verdict.decision, Decision::LeaveAlone(crate::LeaveAloneReason::GroupMissing)));
    assert!(catalog.warnings()[0].to_string().contains("host `web01` names group `gone`"));
    assert_eq!(Arc::new(catalog).catalog().group(&name("gone")).map(<[_]>::len), None);
}

#[test]
fn cycles_and_towers_of_groups_are_refused() {
    let mut parts = parts();
    parts.groups = (0..40)
        .map(|at| {
            let mut group = Group::new(name(&format!("g{at}")));
            group.parent = Some(name(&format!("g{}", at + 1)));
            group
        })
        .collect();
    let mut ring = Group::new(name("ring"));
    ring.parent = Some(name("ring"));
    parts.groups.push(ring);
    let faults: Vec<String> =
        crate::Catalog::build(parts).unwrap_err().iter().map(ToString::to_string).collect();
    assert!(
        faults.contains(&"group `ring` stands above itself; follow `parent` from it".to_owned()),
        "{faults:?}"
    );
    assert!(faults.iter().any(|fault| fault.contains("more than 16 groups stand above `g0`")), "{faults:?}");
}

/// A group pin counts more than a rule: a rule that may give a group is waited for, whatever a rule for everybody says.
#[test]
fn a_rule_that_may_give_the_group_is_waited_for_before_a_rule_names_the_image() {
    let catalog = catalog(|parts| {
        parts.hosts.clear();
        parts.groups = groups();
        parts.rules =
            vec![rule("all", 10, ""), rule("dell", 20, "vendor=Dell"), rule("lab", 30, "firmware=bios")];
        parts.rules[0].image = Some(name("rescue"));
        parts.rules[1].group = Some(name("rack12"));
    });
    let mut machine = facts(Stage::Ipxe);
    assert_eq!(image_of(&decide(&catalog, &machine, &BootState::default())), "Ask");
    machine.smbios = true;
    assert_eq!(image_of(&decide(&catalog, &machine, &BootState::default())), "rescue");
    machine.vendor = Some("Dell Inc.".into());
    assert_eq!(image_of(&decide(&catalog, &machine, &BootState::default())), "debian");
}

/// The same where a rule behind it gives another group already, and a rule before both waits for the image only.
#[test]
fn a_rule_that_may_give_another_group_is_waited_for_whoever_waits_for_the_image() {
    let catalog = catalog(|parts| {
        parts.hosts.clear();
        parts.groups = groups();
        parts.rules = vec![
            rule("image", 10, "model~R7"),
            rule("other", 20, "vendor=Dell"),
            rule("rack", 30, "firmware=bios"),
        ];
        parts.rules[0].image = Some(name("rescue"));
        parts.rules[1].group = Some(name("elsewhere"));
        parts.rules[2].group = Some(name("rack12"));
    });
    let mut machine = facts(Stage::Ipxe);
    assert_eq!(image_of(&decide(&catalog, &machine, &BootState::default())), "Ask");
    machine.smbios = true;
    assert_eq!(image_of(&decide(&catalog, &machine, &BootState::default())), "debian");
}

#[test]
fn labels_of_a_group_that_a_rule_gives_count_for_the_rules_behind_it() {
    let catalog = catalog(|parts| {
        parts.hosts[0].image = None;
        parts.hosts[0].labels = params(&[("role", "db")]);
        parts.groups = groups();
        parts.groups[0].image = None;
        parts.rules = vec![
            rule("before", 10, "label.tier=gold"),
            rule("rack", 20, "firmware=bios"),
            rule("gold", 30, "label.tier=gold,label.role=db,group=prod-eu"),
        ];
        parts.rules[0].image = Some(name("wipe"));
        parts.rules[1].group = Some(name("rack12"));
        parts.rules[2].image = Some(name("rescue"));
    });
    assert_eq!(image_of(&decide(&catalog, &facts(Stage::Rom), &BootState::armed())), "rescue");
    let resolved = resolve(&catalog, &facts(Stage::Rom));
    let shown = resolved.rules[2].terms.iter().map(|(_, _, value)| value.as_deref().unwrap_or("-"));
    assert_eq!(shown.collect::<Vec<_>>(), ["gold", "db", "rack12 < prod-eu"]);
}

#[test]
fn a_machine_of_two_records_is_shown_what_it_is_given_nothing() {
    let catalog = catalog(|parts| {
        let mut other = parts.hosts[0].clone();
        other.name = name("web02");
        other.identity = types::resource::HostMatch { serial: Some("SN2".into()), ..Default::default() };
        parts.hosts.push(other);
        parts.rules = vec![rule("all", 10, "")];
        parts.rules[0].location = Some("dc1".into());
    });
    let machine = types::Facts { serial: Some("SN2".into()), ..facts(Stage::Ipxe) };
    let resolved = resolve(&catalog, &machine);
    assert_eq!(resolved.profile, decide(&catalog, &machine, &BootState::default()).profile);
    assert!(resolved.values.is_empty() && resolved.rules.is_empty());
}
