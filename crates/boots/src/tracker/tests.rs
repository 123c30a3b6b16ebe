#![expect(clippy::cast_possible_truncation, reason = "small constants")]

use super::*;
use proptest::prelude::*;
use types::Facts;

const MAC: MacAddr = MacAddr([0x52, 0x54, 0, 0, 0, 1]);

fn event(name: EventName, stage: Stage) -> Event {
    Event::new(name).of(&Facts { mac: Some(MAC), stage, ..Facts::default() })
}

struct World {
    tracker: Tracker,
    now: Instant,
    ids: u32,
}

impl World {
    #[expect(
        clippy::disallowed_methods,
        reason = "an Instant can be made in no other way; only differences count"
    )]
    fn new() -> World {
        World { tracker: Tracker::default(), now: Instant::now(), ids: 0 }
    }

    fn see(&mut self, event: &Event) -> Option<Arc<str>> {
        let ids = &mut self.ids;
        self.tracker.observe(self.now, event, || {
            *ids += 1;
            format!("boot-{ids}").into()
        })
    }

    fn stage(&self) -> Option<BootStage> {
        self.tracker.attempt(MAC).map(|attempt| attempt.stage)
    }
}

fn a_whole_boot() -> Vec<Event> {
    vec![
        event(EventName::DhcpDiscover, Stage::Rom),
        event(EventName::DhcpOffer, Stage::Rom),
        event(EventName::LoaderFetched, Stage::Rom).with("file", "undionly.kpxe"),
        event(EventName::DhcpDiscover, Stage::Ipxe),
        event(EventName::DhcpOffer, Stage::Ipxe),
        event(EventName::HttpScript, Stage::Ipxe).with("image", "debian"),
        event(EventName::HttpFile, Stage::Ipxe).with("role", "kernel").with("bytes", 100u64),
        event(EventName::HttpFile, Stage::Ipxe).with("role", "initrd").with("bytes", 50u64),
        event(EventName::BootUp, Stage::Os),
    ]
}

#[test]
fn a_whole_boot_is_one_attempt() {
    let mut world = World::new();
    for event in a_whole_boot() {
        assert_eq!(world.see(&event).as_deref(), Some("boot-1"), "{:?}", event.name);
    }
    let attempt = world.tracker.attempt(MAC).unwrap();
    assert_eq!(
        (attempt.stage, attempt.bytes, attempt.image.as_deref()),
        (BootStage::Up, 150, Some("debian"))
    );
}

#[test]
fn a_kernel_broken_off_is_no_kernel() {
    let mut world = World::new();
    world.see(&event(EventName::DhcpDiscover, Stage::Ipxe));
    world.see(&event(EventName::HttpFile, Stage::Ipxe).with("role", "kernel").because("client_closed"));
    assert_eq!(world.stage(), Some(BootStage::Asking));
}

#[test]
fn a_restart_at_any_later_stage_begins_a_new_attempt() {
    for steps in 3..=9 {
        let mut world = World::new();
        for event in a_whole_boot().iter().take(steps) {
            world.see(event);
        }
        let id = world.see(&event(EventName::DhcpDiscover, Stage::Rom));
        assert_eq!(id.as_deref(), Some("boot-2"), "after {steps} steps");
    }
}

#[test]
fn the_leases_of_the_booted_system_do_not_begin_an_attempt() {
    let mut world = World::new();
    assert_eq!(world.see(&event(EventName::DhcpDiscover, Stage::Os)), None);
    for event in a_whole_boot() {
        world.see(&event);
    }
    world.see(&event(EventName::DhcpDiscover, Stage::Os));
    world.see(&event(EventName::DhcpAck, Stage::Os));
    assert_eq!(world.stage(), Some(BootStage::Up));
}

#[test]
fn fetching_one_loader_again_and_again_is_counted_and_a_kernel_clears_the_count() {
    let mut world = World::new();
    world.see(&event(EventName::DhcpDiscover, Stage::Rom));
    for round in 1..=8 {
        world.see(&event(EventName::LoaderFetched, Stage::Rom).with("file", "pxelinux.0"));
        world.see(&event(EventName::LoaderFetched, Stage::Rom).with("file", "ldlinux.c32"));
        assert_eq!(world.tracker.loader_fetches(world.now, MAC), round);
    }
    world.now += limits::LOADER_WINDOW;
    assert_eq!(world.tracker.loader_fetches(world.now, MAC), 0, "outside the window");
    world.see(&event(EventName::LoaderFetched, Stage::Rom).with("file", "pxelinux.0"));
    world.see(&event(EventName::TftpDone, Stage::Loader).with("role", "kernel"));
    assert_eq!(world.tracker.loader_fetches(world.now, MAC), 0, "cleared by the kernel");
}

#[test]
fn a_stop_before_the_kernel_is_stuck_once_and_after_it_silent() {
    let mut world = World::new();
    world.see(&event(EventName::DhcpDiscover, Stage::Rom));
    world.see(&event(EventName::DhcpOffer, Stage::Rom));
    world.now += limits::STUCK_AFTER;
    let findings = world.tracker.findings(world.now);
    assert!(matches!(findings.as_slice(), [(_, _, Finding::Stuck { stage: BootStage::Offered })]));
    assert!(world.tracker.findings(world.now).is_empty(), "reported once");
    world.see(&event(EventName::HttpFile, Stage::Ipxe).with("role", "kernel"));
    world.now += limits::STUCK_AFTER;
    assert!(world.tracker.findings(world.now).is_empty());
    world.now += limits::SILENT_AFTER;
    assert!(matches!(world.tracker.findings(world.now).as_slice(), [(_, _, Finding::Silent)]));
}

#[test]
fn the_table_stays_bounded_under_a_flood_of_machines() {
    let mut world = World::new();
    for at in 0..(limits::ATTEMPTS_MAX as u32 + 10) {
        let [a, b, c, d] = at.to_be_bytes();
        let mut flood = event(EventName::DhcpDiscover, Stage::Rom);
        flood.mac = Some(MacAddr([2, 0, a, b, c, d]));
        world.see(&flood);
    }
    assert!(world.tracker.attempts().count() <= limits::ATTEMPTS_MAX);
}

proptest! {
    #[test]
    fn any_sequence_keeps_one_attempt_whose_stage_never_falls_back(
        picks in prop::collection::vec((0usize..EventName::ALL.len(), 0usize..5, 0usize..5), 0..60)
    ) {
        let stages = [Stage::Os, Stage::Rom, Stage::HttpRom, Stage::Ipxe, Stage::Loader];
        let roles = ["loader", "script", "kernel", "initrd", "file"];
        let mut world = World::new();
        let mut before: Option<(Arc<str>, BootStage)> = None;
        for (name, stage, role) in picks {
            let event = event(EventName::ALL[name], stages[stage]).with("role", roles[role]).with("file", "x");
            world.see(&event);
            let after = world.tracker.attempt(MAC).map(|attempt| (attempt.id.clone(), attempt.stage));
            if let (Some((old, was)), Some((new, is))) = (&before, &after) && old == new {
                prop_assert!(is >= was);
            }
            before = after;
        }
    }
}
