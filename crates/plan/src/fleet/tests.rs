use super::*;
use crate::tests_support::*;
use crate::{CatalogParts, ImageVersion};
use types::resource::{Group, Template, TemplateKind};

fn template(text: &str) -> Template {
    Template { name: name("ks"), kind: TemplateKind::Kickstart, text: text.to_owned() }
}

fn with(change: impl FnOnce(&mut CatalogParts)) -> Catalog {
    catalog(|parts| {
        parts.current.insert(name("debian"), name("9f2c"));
        parts.templates = vec![template("lang en")];
        let mut group = Group::new(name("lab"));
        group.params = params(&[("ntp", "10.0.0.1")]);
        parts.groups = vec![group];
        parts.hosts[0].group = Some(name("lab"));
        parts.hosts[0].template = Some(name("ks"));
        change(parts);
    })
}

fn wanted(catalog: &Catalog) -> Wanted {
    let host = catalog.host("web01").unwrap().clone();
    Fleet::new(catalog).wanted(&host, &known(&host, None))
}

fn meant(change: impl FnOnce(&mut CatalogParts)) -> Meant {
    match wanted(&with(change)) {
        Wanted::Image(_, meant) => meant,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_digest_of_a_boot_is_the_same_in_every_build() {
    let meant = meant(|_| {});
    assert_eq!(meant, Meant { version: Some(name("9f2c")), values: 0xa4e3_160a_cae9_85f3 });
}

#[test]
fn whatever_a_boot_is_rendered_from_changes_its_digest() {
    type Change = Box<dyn FnOnce(&mut CatalogParts)>;
    let changes: Vec<Change> = vec![
        Box::new(|parts| parts.templates = vec![template("lang de")]),
        Box::new(|parts| parts.hosts[0].template = None),
        Box::new(|parts| parts.hosts[0].location = Some("rack 12".into())),
        Box::new(|parts| parts.hosts[0].kernel_args_append = vec!["quiet".into()]),
        Box::new(|parts| parts.hosts[0].params = params(&[("ntp", "10.0.0.2")])),
        Box::new(|parts| parts.groups[0].params = params(&[("ntp", "10.0.0.9")])),
        Box::new(|parts| parts.groups[0].params = params(&[("nt", "p10.0.0.1")])),
        Box::new(|parts| parts.images[0].cmdline = "quiet".into()),
        Box::new(|parts| parts.images[0].initrd = vec!["initrd".into()]),
        Box::new(|parts| parts.site = Some("fra1".into())),
        Box::new(|parts| {
            let mut rule = rule("all", 10, "");
            rule.params = params(&[("dns", "10.0.0.3")]);
            parts.rules = vec![rule];
        }),
    ];
    let mut seen = vec![meant(|_| {}).values];
    for (at, change) in changes.into_iter().enumerate() {
        let values = meant(change).values;
        assert!(!seen.contains(&values), "change {at} is not seen");
        seen.push(values);
    }
    // What changes nothing that is rendered is none.
    let labelled = meant(|parts| parts.hosts[0].labels = params(&[("tier", "gold")]));
    assert_eq!(labelled.values, seen[0]);
}

#[test]
fn a_pinned_version_is_wanted_whatever_is_current() {
    let catalog = with(|parts| {
        let image = Image { kernel: Some("linux".into()), ..parts.images[0].clone() };
        let image = Image { name: name("debian").at_version(&name("77ab")), ..image };
        parts.versions =
            vec![ImageVersion { of: name("debian"), known_as: vec![name("77ab"), name("old")], image }];
        parts.hosts[0].image_version = Some(name("old"));
    });
    let Wanted::Image(image, meant) = wanted(&catalog) else { panic!() };
    assert_eq!((image.name.as_str(), meant.version), ("debian@77ab", Some(name("77ab"))));
}

#[test]
fn what_cannot_be_told_is_not_guessed() {
    let why = |change: fn(&mut CatalogParts)| match wanted(&with(change)) {
        Wanted::Undecided(why) => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(why(|parts| parts.hosts[0].image = Some(name("gone"))), "image `gone` is not there");
    assert_eq!(
        why(|parts| {
            parts.hosts[0].image = None;
            parts.hosts[0].group = Some(name("gone"));
        }),
        "group `gone` is not there"
    );
    // Values of a rule count as well as its image.
    let asking = |parts: &mut CatalogParts| {
        let mut dell = rule("dell", 10, "vendor=Dell,host=web01");
        dell.params = params(&[("raid", "perc")]);
        parts.rules = vec![dell];
    };
    assert!(why(asking).contains("rule `dell`"));
    let catalog = with(asking);
    let host = catalog.host("web01").unwrap().clone();
    let fleet = Fleet::new(&catalog);
    let seen = Facts { smbios: true, vendor: Some("Dell Inc.".into()), ..Facts::default() };
    assert!(matches!(fleet.wanted(&host, &known(&host, Some(&seen))), Wanted::Image(..)));
    // Nor does it matter when what is known says that the rule does not mean it.
    let other = with(|parts| {
        let mut dell = rule("dell", 10, "vendor=Dell,host=web02");
        dell.image = Some(name("wipe"));
        parts.rules = vec![dell];
    });
    assert!(matches!(wanted(&other), Wanted::Image(..)));
    assert_eq!(wanted(&with(|parts| parts.hosts[0].image = None)), Wanted::Nothing);
}

#[test]
fn what_a_boot_was_told_is_what_the_fleet_says_of_it() {
    let catalog = with(|_| {});
    let host = catalog.host("web01").unwrap().clone();
    let facts = known(&host, None);
    let fleet = Fleet::new(&catalog);
    let Wanted::Image(image, meant) = fleet.wanted(&host, &facts) else { panic!() };
    assert_eq!(fleet.meant_for(&facts, &image), meant);
}

#[test]
fn hosts_are_meant_by_group_and_selector() {
    let catalog = with(|parts| {
        parts.groups[0].labels = params(&[("tier", "gold")]);
        parts.groups[0].parent = Some(name("site"));
        parts.groups.push(Group::new(name("site")));
    });
    let host = catalog.host("web01").unwrap().clone();
    let facts = known(&host, None);
    let fleet = Fleet::new(&catalog);
    assert!(fleet.is_in(&host, &facts, &name("lab")) && fleet.is_in(&host, &facts, &name("site")));
    assert!(!fleet.is_in(&host, &facts, &name("rack12")));
    let is_meant = |text: &str| means(&catalog, &facts, &text.parse().unwrap());
    assert_eq!(is_meant("label.tier=gold,group=site"), Match::Yes);
    assert_eq!(is_meant("label.tier=silver"), Match::No);
}
