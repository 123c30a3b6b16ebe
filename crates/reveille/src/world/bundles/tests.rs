use super::*;
use crate::world::{Lives, Sightings};
use admin::EventBus;
use plan::{Catalog, CatalogParts, Decider};
use tree::BootLedger;
use types::resource::{Bundle, Delivery, Host, HostMatch, Image, ImageKind, OneOrMany, Rule, Script};
use types::{Facts, MacAddr, Stage};

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn facts(machine: u8) -> Facts {
    let address = Some(IpAddr::from([10, 0, 0, machine]));
    Facts { mac: Some(MacAddr([2, 0, 0, 0, 0, machine])), address, stage: Stage::Ipxe, ..Facts::default() }
}

/// Host `one` (machine 1) runs `base` with `a` and `b`; machine 3, which nobody recorded, by a rule.
fn world(runs: Runs) -> (Arc<World>, Arc<EventBus>) {
    let bundle = |own: &str, scripts: &[&str]| Bundle {
        name: name(own),
        deliver: Delivery::Url,
        scripts: scripts.iter().map(|own| Script::new(name(own), "true\n")).collect(),
        description: String::new(),
    };
    let identity = HostMatch { mac: OneOrMany(vec![MacAddr([2, 0, 0, 0, 0, 1])]), ..HostMatch::default() };
    let mut one = Host::new(name("one"), identity);
    one.bundles = Some(vec![name("base")]);
    let mut rule = Rule::new(name("all"));
    rule.bundles = Some(vec![name("other")]);
    let parts = CatalogParts {
        hosts: vec![one],
        bundles: vec![bundle("base", &["a", "b"]), bundle("other", &["c"])],
        rules: vec![rule],
        ..CatalogParts::default()
    };
    let bus = Arc::new(EventBus::new(100));
    let catalog = Catalog::build(parts).unwrap();
    let world = World::new(catalog, bus.clone(), Sightings::default(), Lives::in_memory()).keeping(runs);
    for machine in [1, 2, 3] {
        Decider::learn(&world, &facts(machine));
    }
    (Arc::new(world), bus)
}

fn begin(world: &World, machine: u8) -> Arc<str> {
    let image = Image { kernel: Some("linux".to_owned()), ..Image::new(name("debian"), ImageKind::Linux) };
    let facts = facts(machine);
    let host = Decider::decide(world, &facts).host;
    world.begin_boot(&facts, host.as_deref(), &image).unwrap().token
}

fn report(bundle: &str, script: &str, step: BundleStep, output: Option<&str>) -> BundleReport {
    BundleReport { bundle: name(bundle), script: name(script), step, output: output.map(str::to_owned) }
}

fn at(machine: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, machine])
}

fn events(bus: &EventBus) -> Vec<String> {
    let told = bus.recent(0).into_iter().filter(|event| event.event.name.area() == "bundle");
    told.map(|event| event.event.name.as_str().to_owned()).collect()
}

#[test]
fn the_last_run_of_each_script_is_kept_and_each_word_is_told_once() {
    let (world, bus) = world(Runs::default());
    let token = begin(&world, 1);
    let tell =
        |script, step, output| world.report_bundle(&token, at(1), &report("base", script, step, output));
    tell("a", BundleStep::Started, None).unwrap();
    tell("a", BundleStep::Started, None).unwrap();
    let runs = world.bundle_runs(&name("one"));
    assert_eq!((runs.len(), runs[0].exit_status, runs[0].ended), (1, None, None));
    let long = format!("{}ä", "x".repeat(2_000));
    tell("a", BundleStep::Exited(3), Some(&long)).unwrap();
    tell("b", BundleStep::Exited(0), Some("fine")).unwrap();
    let runs = world.bundle_runs(&name("one"));
    assert_eq!(
        (runs[0].exit_status, runs[1].exit_status, runs[1].output.as_deref()),
        (Some(3), Some(0), Some("fine"))
    );
    let kept = runs[0].output.as_deref().unwrap();
    assert!(kept.len() <= OUTPUT_BYTES_MAX && kept.ends_with("xä"), "{kept}");
    assert_eq!(events(&bus), ["bundle.script_started", "bundle.failed", "bundle.script_done"]);
    let text = format!("{:?}", bus.recent(0));
    assert!(!text.contains(&*token), "tokens are secrets");
    assert!(text.contains("xä") && !text.contains("fine"), "only what failed says why");
    // A later run takes the place of it, within a boot and in another.
    tell("a", BundleStep::Started, None).unwrap();
    tell("a", BundleStep::Exited(0), None).unwrap();
    assert_eq!(world.bundle_runs(&name("one"))[0].exit_status, Some(0));
}

#[test]
fn scripts_of_others_and_other_addresses_and_old_tokens_are_refused() {
    let (world, bus) = world(Runs::default());
    let token = begin(&world, 1);
    let done = BundleStep::Exited(0);
    for (bundle, script) in [("other", "c"), ("base", "c"), ("none", "a")] {
        let told = world.report_bundle(&token, at(1), &report(bundle, script, done, None));
        assert_eq!(told, Err(CallbackError::BadStage), "{bundle}/{script}");
    }
    let told = |token: &str, from| world.report_bundle(token, at(from), &report("base", "a", done, None));
    assert_eq!(told(&token, 2), Err(CallbackError::ForeignAddress));
    assert_eq!(told("00000000000000000000000000000000", 1), Err(CallbackError::Unknown));
    let late = Instant::now() + std::time::Duration::from_secs(4 * 3600);
    let expired = world.bundle_reported(&token, at(1), &report("base", "a", done, None), late);
    assert_eq!(expired, Err(CallbackError::Expired));
    assert!(events(&bus).is_empty() && world.bundle_runs(&name("one")).is_empty());
    assert_eq!(told(&token, 1), Ok(()));
}

#[test]
fn a_machine_without_a_record_is_told_of_and_not_kept() {
    let (world, bus) = world(Runs::default());
    let token = begin(&world, 3);
    world.report_bundle(&token, at(3), &report("other", "c", BundleStep::Exited(1), Some("no"))).unwrap();
    assert_eq!(events(&bus), ["bundle.failed"]);
    assert!(lock(&world.runs.runs).is_empty());
}

#[test]
fn what_is_kept_outlives_a_restart_and_goes_with_its_host() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(store::StoreOptions::new(folder.path())).unwrap();
    let (own, _) = world(Runs::load(store.clone()).unwrap());
    let token = begin(&own, 1);
    own.report_bundle(&token, at(1), &report("base", "a", BundleStep::Exited(7), Some("why"))).unwrap();
    own.look_for_trouble();
    let before = own.bundle_runs(&name("one"));
    let again = Runs::load(store.clone()).unwrap();
    assert_eq!(again.of(&name("one")), before);
    assert_eq!((before[0].exit_status, before[0].output.as_deref()), (Some(7), Some("why")));
    let delete = || store.commit_blocking(Batch::new().delete(Table::Boots, bundle_runs_key(&name("one"))));
    let refused = again.remove_with(&[name("one")], || Err::<(), ()>(()));
    assert_eq!((refused, again.of(&name("one"))), (Err(()), before), "it is there yet");
    again.remove_with(&[name("one")], delete).unwrap();
    assert!(again.of(&name("one")).is_empty());
    assert!(Runs::load(store.clone()).unwrap().of(&name("one")).is_empty());
}
