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
