use super::*;
use plan::CatalogParts;
use types::Stage;
use types::resource::ImageKind;

fn mac(last: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, last])
}

fn at(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

fn facts(machine: u8, address: u8) -> Facts {
    Facts { mac: Some(mac(machine)), address: Some(at(address)), stage: Stage::Ipxe, ..Facts::default() }
}

fn image() -> Image {
    Image { kernel: Some("linux".to_owned()), ..Image::new("debian".parse().unwrap(), ImageKind::Linux) }
}

/// A world with two recorded hosts; machine 1 is at 10.0.0.1 and machine 2 at 10.0.0.2.
fn world() -> (Arc<World>, Arc<EventBus>) {
    let host = |name: &str, identity| Host {
        name: name.parse().unwrap(),
        identity,
        image: None,
        image_version: None,
        group: None,
        location: None,
        power: None,
        labels: Default::default(),
        loader: None,
        params: std::collections::BTreeMap::new(),
        template: None,
        kernel_args_append: Vec::new(),
        bundles: None,
        bundles_append: Vec::new(),
    };
    let by_mac =
        types::resource::HostMatch { mac: types::resource::OneOrMany(vec![mac(1)]), ..Default::default() };
    let by_serial = types::resource::HostMatch { serial: Some("S2".to_owned()), ..Default::default() };
    let parts =
        CatalogParts { hosts: vec![host("one", by_mac), host("two", by_serial)], ..CatalogParts::default() };
    let bus = Arc::new(EventBus::new(100));
    let world = Arc::new(World::new(
        Catalog::build(parts).unwrap(),
        bus.clone(),
        Sightings::default(),
        Lives::in_memory(),
    ));
    world.learn(&facts(1, 1));
    world.learn(&facts(2, 2));
    (world, bus)
}

fn discover(machine: u8) -> Event {
    Event::new(EventName::DhcpDiscover).of(&Facts {
        mac: Some(mac(machine)),
        stage: Stage::Rom,
        ..Facts::default()
    })
}

#[test]
fn a_neighbour_cannot_give_a_machine_another_ones_serial() {
    let (world, _) = world();
    let before = world.decide(&Facts { mac: Some(mac(1)), ..Facts::default() });
    for from in [2, 66] {
        Hearsay(world.clone()).learn(&Facts { serial: Some("S2".into()), ..facts(1, from) });
    }
    // Nor before it was ever seen.
    Hearsay(world.clone()).learn(&Facts { serial: Some("S2".into()), ..facts(9, 66) });
    let after = world.decide(&Facts { mac: Some(mac(1)), ..Facts::default() });
    assert_eq!(before.host, after.host);
    assert!(after.host.is_some());
    assert!(world.decide(&Facts { mac: Some(mac(9)), ..Facts::default() }).host.is_none());
    assert_eq!(world.recall(at(1)).and_then(|known| known.mac), Some(mac(1)));
}

#[test]
fn a_boot_in_anothers_name_is_not_that_machines_attempt() {
    let (world, bus) = world();
    world.record(discover(1));
    let own = world.begin_boot(&facts(1, 1), None, &image()).unwrap();
    let stolen = world.begin_boot(&facts(1, 66), None, &image()).unwrap();
    assert_ne!((&own.token, &own.boot), (&stolen.token, &stolen.boot));
    world.call_back(&stolen.token, at(66), "up", None).unwrap();
    let stage = |world: &World| world.attempts().into_iter().find(|(own, _)| *own == mac(1)).unwrap().1.stage;
    assert!(!stage(&world).is_final());
    assert_eq!(
        world.begin_boot(&facts(1, 1), None, &image()).unwrap(),
        own,
        "the same question has the same answer"
    );
    world.call_back(&own.token, at(1), "up", None).unwrap();
    assert!(stage(&world).is_final());
    let text = format!("{:?}", bus.recent(0));
    assert!(!text.contains(&*own.token) && !text.contains(&*stolen.token), "tokens are secrets");
}

#[test]
fn a_boot_in_anothers_name_gets_nothing_out_of_that_machines_record() {
    let (world, _) = world();
    let known = world.decide(&facts(1, 1)).host.expect("machine 1 is recorded");
    let own = world.begin_boot(&facts(1, 1), Some(&known), &image()).unwrap();
    assert_eq!(world.holder(&own.token, at(1)).unwrap().host, Some(known.name.shared()));
    for neighbour in [2, 66] {
        let stolen = world.begin_boot(&facts(1, neighbour), Some(&known), &image()).unwrap();
        let holder = world.holder(&stolen.token, at(neighbour)).unwrap();
        assert_eq!((holder.host, holder.facts.mac), (None, None), "from address {neighbour}");
    }
    assert!(matches!(world.holder(&own.token, at(2)), Err(CallbackError::ForeignAddress)));
}

#[test]
fn a_token_in_the_hands_of_another_known_machine_is_worth_nothing() {
    let (world, _) = world();
    let own = world.begin_boot(&facts(1, 1), None, &image()).unwrap();
    assert_eq!(world.call_back(&own.token, at(2), "up", None), Err(CallbackError::ForeignAddress));
    // An installed system may have another address than its loader had.
    assert_eq!(world.call_back(&own.token, at(77), "installed", None), Ok(()));
    assert_eq!(world.call_back(&own.token, at(1), "up", None), Ok(()));
    assert_eq!(world.call_back(&own.token, at(1), "up", None), Err(CallbackError::Expired), "once only");
}

#[test]
fn a_token_of_an_earlier_boot_does_not_end_the_next_one() {
    let (world, _) = world();
    world.record(discover(1));
    let earlier = world.begin_boot(&facts(1, 1), None, &image()).unwrap();
    world.record(discover(1));
    world.call_back(&earlier.token, at(1), "failed", None).unwrap();
    let (_, attempt) = world.attempts().into_iter().find(|(own, _)| *own == mac(1)).unwrap();
    assert!(attempt.id != earlier.boot && !attempt.stage.is_final());
}

#[test]
fn loaders_fetched_from_elsewhere_never_trip_the_loop_guard() {
    let (world, _) = world();
    world.record(discover(1));
    let fetched = |from: IpAddr| {
        let event = Event::new(EventName::LoaderFetched).of(&facts(1, 1));
        world.record(event.with("from", from).with("file", "ipxe.efi"));
    };
    (0..20).for_each(|_| fetched(at(66)));
    assert_eq!(lock(&world.tracker).loader_fetches(Instant::now(), mac(1)), 0);
    (0..3).for_each(|_| fetched(at(1)));
    assert_eq!(lock(&world.tracker).loader_fetches(Instant::now(), mac(1)), 3);
}

#[test]
fn a_rom_that_fetches_its_loader_again_and_again_is_left_to_its_disk() {
    let (world, _) = world();
    let rom = Facts { stage: Stage::Rom, firmware: Some(types::Firmware::Bios), ..facts(1, 1) };
    let reason = |world: &World| match world.decide(&rom).decision {
        plan::Decision::LeaveAlone(reason) => reason.as_str(),
        plan::Decision::Boot(_) => "boots",
    };
    world.record(discover(1));
    let fetched =
        Event::new(EventName::LoaderFetched).of(&rom).with("file", "undionly.kpxe").with("address", at(1));
    for _ in 0..plan::LOOP_LIMIT_DEFAULT {
        world.record(fetched.clone());
        assert_ne!(reason(&world), "loop_stopped");
    }
    world.record(fetched);
    assert_eq!(reason(&world), "loop_stopped");
    world.record(Event::new(EventName::HttpFile).of(&facts(1, 1)).with("role", "kernel").with("bytes", 1u64));
    assert_ne!(reason(&world), "loop_stopped", "a kernel ends the count");
}

/// The same world where cards can be looked up: machine N has card N and address N.
fn with_cards() -> (Arc<World>, Arc<EventBus>) {
    let (world, bus) = world();
    let cards = |address: std::net::Ipv4Addr| vec![mac(address.octets()[3])];
    let world = Arc::into_inner(world).unwrap().with_witness(Witness::new(cards, |_| true));
    (Arc::new(world), bus)
}

#[test]
fn a_token_opens_nothing_where_another_card_is() {
    let (world, _) = with_cards();
    let known = world.decide(&facts(1, 1)).host.expect("machine 1 is recorded");
    let own = world.begin_boot(&facts(1, 1), Some(&known), &image()).unwrap();
    assert!(world.holder(&own.token, at(1)).is_ok());
    for neighbour in [2, 66] {
        assert!(matches!(world.holder(&own.token, at(neighbour)), Err(CallbackError::ForeignAddress)));
    }
    // A report opens nothing: the running system may have put another card in front.
    assert_eq!(world.call_back(&own.token, at(66), "installed", None), Ok(()));
}

#[test]
fn an_address_that_went_to_a_running_system_is_the_former_machines_no_more() {
    let (world, _) = world();
    let known = world.decide(&facts(1, 1)).host.expect("machine 1 is recorded");
    let own = world.begin_boot(&facts(1, 1), Some(&known), &image()).unwrap();
    assert_eq!(world.vouch(&facts(1, 1), Some(&known)), Ok(()));
    let leased = Facts { mac: Some(mac(5)), stage: Stage::Os, ..Facts::default() };
    world.record(Event::new(EventName::DhcpAck).of(&leased).with("address", at(1)));
    assert!(world.vouch(&facts(1, 1), Some(&known)).is_err());
    assert!(matches!(world.holder(&own.token, at(1)), Err(CallbackError::ForeignAddress)));
    assert_eq!(world.recall(at(1)), None, "nor is it taken for that machine");
    // It boots again and has the address again.
    world.learn(&facts(1, 1));
    assert_eq!(world.vouch(&facts(1, 1), Some(&known)), Ok(()));
}

/// What is remembered, in a form that shows every difference.
fn remembered(world: &World, bus: &EventBus) -> String {
    let one: Name = "one".parse().unwrap();
    format!(
        "{:?} {:?} {:?} {} {:?} {}",
        world.life(&one),
        world
            .attempts()
            .iter()
            .map(|(mac, attempt)| (*mac, attempt.stage, attempt.bytes))
            .collect::<Vec<_>>(),
        world.remembered(mac(1)),
        bus.last(),
        world.claim(mac(9)).map(|(code, _)| code),
        world.glances(|_, _| true).len(),
    )
}

#[test]
fn a_rehearsal_answers_as_the_world_does_and_leaves_no_trace() {
    let (world, bus) = world();
    let one: Name = "one".parse().unwrap();
    let eraser = Image { destructive: true, ..image() };
    let orders: [Option<LifeEvent>; 3] = [
        None,
        Some(LifeEvent::Arm { by: "alice".into(), image: None, expires: None, retries: 0 }),
        Some(LifeEvent::Quarantine { by: "alice".into(), reason: "smells odd".into(), until: None }),
    ];
    for order in orders {
        if let Some(order) = order {
            world.live(&one, order).unwrap();
        }
        let before = remembered(&world, &bus);
        let rehearsal = Arc::new(world.rehearsal(None, Some(mac(1))));
        for stage in [Stage::Rom, Stage::Ipxe, Stage::Loader] {
            let asks = Facts { stage, ..facts(1, 1) };
            assert_eq!(
                format!("{:?}", rehearsal.decide(&asks).decision),
                format!("{:?}", world.decide(&asks).decision)
            );
        }
        // Everything a door does.
        rehearsal.record(discover(1));
        Hearsay(rehearsal.clone()).learn(&Facts { vendor: Some("Dell".into()), ..facts(1, 1) });
        rehearsal.hold(&facts(9, 9));
        let known = rehearsal.decide(&facts(1, 1)).host.expect("machine 1 is recorded");
        let begun = rehearsal.begin_boot(&facts(1, 1), Some(&known), &eraser);
        if let Ok(ticket) = &begun {
            rehearsal.open_payload(Opener::Address(at(1)), &eraser).unwrap();
            let used = rehearsal.life(&one).unwrap();
            assert!(used.arming.is_none(), "it is used up there");
            rehearsal.call_back(&ticket.token, at(1), "installed", None).unwrap();
        }
        assert!(!rehearsal.happened(0).is_empty());
        assert_eq!(remembered(&world, &bus), before);
        // The gate says the same in both. Asked last: the world's own answer counts.
        let real = world.begin_boot(&facts(1, 1), Some(&known), &eraser);
        assert_eq!(begun.map(drop), real.map(drop));
    }
}
