//! Hosts that are to be switched, beside the lives that they have.

use super::super::lives::Lives;
use super::super::sightings::Sightings;
use super::*;
use admin::EventBus;
use boots::life::{ImageRef, LifeEvent, Report};
use plan::{Catalog, CatalogParts};
use types::MacAddr;
use types::resource::{Host, HostMatch, Image, ImageKind, OneOrMany};

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn world() -> (World, Arc<EventBus>) {
    let host = |own: &str, last| {
        let identity =
            HostMatch { mac: OneOrMany(vec![MacAddr([2, 0, 0, 0, 0, last])]), ..HostMatch::default() };
        Host { image: Some(name("esxi")), ..Host::new(name(own), identity) }
    };
    let image = Image {
        kernel: Some("linux".to_owned()),
        destructive: true,
        ..Image::new(name("esxi"), ImageKind::Linux)
    };
    let hosts = vec![host("one", 1), host("two", 2)];
    let parts = CatalogParts { hosts, images: vec![image], ..CatalogParts::default() };
    let bus = Arc::new(EventBus::new(100));
    let world =
        World::new(Catalog::build(parts).unwrap(), bus.clone(), Sightings::default(), Lives::in_memory());
    (world, bus)
}

/// Of both hosts, one at a time, with power.
fn started(world: &World, retries: u8) -> Name {
    for host in ["one", "two"] {
        let _ = world.live(&name(host), LifeEvent::Adopt { by: "alice".into() });
    }
    let plan = RolloutPlan {
        name: name("rack"),
        by: "alice".into(),
        image: Some(ImageRef::current(name("esxi"))),
        hosts: vec![name("one"), name("two")],
        at_once: 1,
        failures_max: 0,
        retries,
        trusts_silence: false,
        expires: None,
        power_cycle: true,
    };
    world.rollouts().start(world, plan).unwrap().plan.name.clone()
}

fn states(world: &World) -> Vec<&'static str> {
    world.rollouts().of(&name("rack")).unwrap().hosts.iter().map(HostState::as_str).collect()
}

fn begins(world: &World, host: &str, boot: &str) {
    let (boot, image): (Arc<str>, _) = (boot.into(), ImageRef::current(name("esxi")));
    let began = LifeEvent::BootBegan { boot: boot.clone(), image: image.clone(), destructive: true };
    world.live(&name(host), began).unwrap();
    world.live(&name(host), LifeEvent::PayloadOpened { boot, image, destructive: true }).unwrap();
}

#[test]
fn a_host_is_switched_once_also_after_a_start() {
    let (world, _) = world();
    let rack = started(&world, 0);
    assert_eq!(states(&world), ["armed", "waiting"]);
    // Nobody has taken them up, and it starts again.
    world.rollouts().resume(&world);
    let power: Vec<_> = world.rollouts().take_power().into_iter().collect();
    assert_eq!(power, [(rack, name("one"))]);
    assert!(world.rollouts().take_power().is_empty());
}

#[test]
fn a_host_that_could_not_be_switched_is_disarmed_before_the_next_is_armed() {
    let (world, bus) = world();
    let rack = started(&world, 0);
    let before = bus.recent(0).len();
    world.rollouts().not_switched(&world, &rack, &name("one"), "no answer");
    assert_eq!(states(&world), ["failed", "armed"]);
    let rollout = world.rollouts().of(&rack).unwrap();
    assert!(!rollout.waits(&world.life(&name("one")).unwrap()));
    assert!(rollout.waits(&world.life(&name("two")).unwrap()));
    let told: Vec<String> =
        bus.recent(0)[before..].iter().map(|stamped| stamped.event.name.as_str().to_owned()).collect();
    let at = |wanted: &str| told.iter().position(|own| own == wanted).unwrap_or_else(|| panic!("{told:?}"));
    assert!(
        at("host.disarmed") < at("rollout.host_failed") && at("rollout.host_failed") < at("host.armed"),
        "{told:?}"
    );
}

#[test]
fn a_host_that_begins_while_it_cannot_be_switched_installs() {
    let (world, _) = world();
    let rack = started(&world, 1);
    begins(&world, "one", "B1");
    // As when it began after everything that was told had been taken up.
    lock(&world.rollouts().told).clear();
    world.rollouts().not_switched(&world, &rack, &name("one"), "no answer");
    assert_eq!(states(&world), ["installing", "waiting"]);
    // A failed try of it is no beginning.
    let failed = LifeEvent::Reported { boot: "B1".into(), report: Report::Failed, detail: None };
    world.live(&name("one"), failed).unwrap();
    world.rollouts().work(&world);
    assert_eq!(states(&world), ["armed", "waiting"]);
    world.rollouts().not_switched(&world, &rack, &name("one"), "no answer");
    assert_eq!(states(&world), ["failed", "armed"]);
}
