//! What an operator is told.

use super::*;

fn names(action: &Action) -> Vec<&'static str> {
    action.events.iter().map(|event| event.name.as_str()).collect()
}

fn event(action: &Action, name: EventName) -> &Event {
    action.events.iter().find(|event| event.name == name).expect("the event")
}

#[test]
fn an_exchange_is_told_step_by_step() {
    let mut lab = Lab::new(vec![lab()]);
    let request = rom(discover(1), 7);
    let offered = lab.act(&arrival(), &request);
    assert_eq!(names(&offered), ["dhcp.discover", "dhcp.offer"]);
    let offer = event(&offered, EventName::DhcpOffer);
    assert_eq!(
        (offer.mac, offer.stage, offer.interface.as_deref()),
        (Some(mac(1)), Some(Stage::Rom), Some("pxe0"))
    );
    assert!(offer.guid.is_some());
    assert_eq!(offer.field("address"), Some(&Value::from(ip(100))));
    assert_eq!(offer.field("boot_file"), Some(&"snponly.efi".into()));
    assert_eq!(offer.field("loader"), Some(&"snponly.efi".into()));
    assert_eq!(offer.field("generation"), Some(&17u64.into()));
    assert_eq!(offer.field("xid"), Some(&"10000001".into()));
    let acknowledged = lab.act(&arrival(), &take(&request, &reply(&offered)));
    assert_eq!(names(&acknowledged), ["dhcp.request", "dhcp.ack"]);
    let learned = acknowledged.learn.unwrap();
    assert_eq!((learned.address, learned.firmware), (Some(ip(100).into()), Some(Firmware::UefiX64)));
}

#[test]
fn an_ordinary_host_is_told_of_and_not_learned() {
    let mut lab = Lab::new(vec![lab()]);
    let offered = lab.act(&arrival(), &discover(1));
    assert_eq!(event(&offered, EventName::DhcpOffer).field("left_alone"), Some(&"not_a_boot_client".into()));
    assert_eq!(offered.learn, None);
}

#[test]
fn p17_an_ignored_offer_is_noticed_once() {
    let mut lab = Lab::new(vec![lab()]);
    let request = rom(discover(1), 7);
    let mut noticed = Vec::new();
    for _ in 0..8 {
        noticed.push(names(&lab.act(&arrival(), &request)).contains(&"dhcp.offer_ignored"));
        lab.wait(8);
    }
    assert_eq!(noticed, [false, false, false, true, false, false, false, false]);
}

#[test]
fn p17_a_machine_that_goes_on_ignores_nothing() {
    let mut lab = Lab::new(vec![lab()]);
    let request = rom(discover(1), 7);
    for _ in 0..6 {
        let offered = lab.act(&arrival(), &request);
        assert_eq!(names(&offered), ["dhcp.discover", "dhcp.offer"]);
        lab.act(&arrival(), &take(&request, &reply(&offered)));
    }
    for xid in 0..6 {
        let mut fresh = request.clone();
        fresh.xid = xid;
        assert_eq!(names(&lab.act(&arrival(), &fresh)).len(), 2);
    }
}

#[test]
fn d35_an_empty_pool_warns_once_a_minute() {
    let mut lab = Lab::new(vec![Subnet { pools: vec![ip(10).to_string().parse().unwrap()], ..lab() }]);
    lab.lease(&discover(1));
    let mut told = Vec::new();
    for wait in [0, 1, 60] {
        lab.wait(wait);
        match lab.handle(&arrival(), &discover(2)) {
            Outcome::Ignore(IgnoreReason::PoolEmpty, Some(event)) => told.push(event.name.as_str()),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(told, ["dhcp.pool_empty", "dhcp.ignored", "dhcp.pool_empty"]);
}

#[test]
fn a_pool_that_runs_low_is_said_before_it_is_empty() {
    let mut lab = Lab::new(vec![Subnet { pools: vec!["10.77.0.10-10.77.0.29".parse().unwrap()], ..lab() }]);
    let low: Vec<u32> =
        (1..=20).filter(|&n| names(&lab.act(&arrival(), &discover(n))).contains(&"dhcp.pool_low")).collect();
    assert_eq!(low, [19]);
}

#[test]
fn another_server_is_noticed_by_its_name() {
    let mut lab = Lab::new(vec![lab()]);
    let mut told = Vec::new();
    for server in [ip(66), ip(66), ip(67)] {
        match lab.handle(&arrival(), &selecting(1, ip(50), server)) {
            Outcome::Ignore(IgnoreReason::OtherServerChosen, Some(event)) => told.push(event.name.as_str()),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(told, ["dhcp.other_server", "dhcp.ignored", "dhcp.other_server"]);
}

#[test]
fn p2_a_lease_for_an_unknown_arch_comes_with_a_warning() {
    let mut lab = Lab::new(vec![lab()]);
    let action = lab.act(&arrival(), &rom(discover(1), 0x99));
    let warning = event(&action, EventName::LoaderUnsupportedArch);
    assert_eq!((warning.reason, warning.field("arch")), (Some("firmware_unknown"), Some(&0x99u64.into())));
    assert!(!reply(&action).options.has(code::BOOT_FILE));
}

#[test]
fn every_reason_has_its_own_name() {
    let mut names: Vec<_> = IgnoreReason::ALL.iter().map(|reason| reason.as_str()).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn a_machine_that_cannot_boot_is_told_of_once_a_minute_in_either_mode() {
    use plan::LeaveAloneReason as Why;
    let rows = [
        (Why::NoLoader, Some("loader.unsupported_arch")),
        (Why::FirmwareUnknown, Some("loader.unsupported_arch")),
        (Why::LoopStopped, Some("loader.loop")),
        (Why::IdentityConflict, Some("host.conflict")),
        (Why::FirmwareUnfit, None),
        (Why::ImageMissing, None),
    ];
    for (why, name) in rows {
        let mut lab = Lab::new(vec![lab()]);
        lab.stub.left_alone = Some(why);
        let mut loud = Vec::new();
        for wait in [0, 1, 60] {
            lab.wait(wait);
            let events = lab.act(&arrival(), &rom(discover(1), 7)).events;
            loud.push(events.into_iter().find(|event| event.level == Level::Warn));
        }
        let [Some(first), None, Some(_)] = loud.as_slice() else { panic!("{why:?}: {loud:?}") };
        assert_eq!(first.name.as_str(), name.unwrap_or("dhcp.offer"), "{why:?}");
        assert!(
            first.reason == Some(why.as_str()) || first.field("left_alone") == Some(&why.as_str().into())
        );

        let mut lab = Lab::with(Settings { default_mode: DhcpMode::Proxy, ..Settings::default() });
        lab.stub.left_alone = Some(why);
        for (wait, level, name) in [(0, Level::Warn, name), (1, Level::Debug, None)] {
            lab.wait(wait);
            match lab.handle(&arrival(), &rom(discover(1), 7)) {
                Outcome::Ignore(_, Some(event)) => {
                    assert_eq!((event.level, event.reason), (level, Some(why.as_str())));
                    assert_eq!(event.name.as_str(), name.unwrap_or("dhcp.ignored"));
                }
                other => panic!("{other:?}"),
            }
        }
    }
    for why in [Why::LocalDisk, Why::UnknownIgnored] {
        let mut lab = Lab::new(vec![lab()]);
        lab.stub.left_alone = Some(why);
        let events = lab.act(&arrival(), &rom(discover(1), 7)).events;
        assert!(events.iter().all(|event| event.level == Level::Info), "{why:?} is as it should be");
    }
}

#[test]
fn invented_servers_and_machines_fill_no_log_and_hide_no_other_warning() {
    let mut lab = Lab::with(Settings { default_mode: DhcpMode::Proxy, ..Settings::default() });
    let mut loud = 0;
    let mut count = |outcome: Outcome| match outcome {
        Outcome::Ignore(_, Some(event)) if event.level == Level::Warn => loud += 1,
        Outcome::Ignore(..) | Outcome::Act(_) => {}
        other @ Outcome::Refuse(_) => panic!("{other:?}"),
    };
    for n in 1..=500 {
        count(lab.handle(&arrival(), &rom(discover(n), 0x99)));
    }
    assert_eq!(loud, crate::limits::HEARD_MAX);
    let mut server = Lab::new(vec![super::lab()]);
    let mut told = 0;
    for n in 0..500u32 {
        let other = Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 99, 0, 1)) + n);
        match server.handle(&arrival(), &selecting(1 + n, ip(100), other)) {
            Outcome::Ignore(_, Some(event)) => told += usize::from(event.level == Level::Warn),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(told, crate::limits::HEARD_MAX);
    let elsewhere = Arrival { local: Ipv4Addr::new(10, 1, 0, 1), ..arrival() };
    match server.handle(&elsewhere, &discover(1)) {
        Outcome::Ignore(IgnoreReason::NoSubnet, Some(event)) => assert_eq!(event.level, Level::Warn),
        other => panic!("{other:?}"),
    }
}
