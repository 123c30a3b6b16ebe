use super::*;
use types::{Firmware, Stage};

fn facts(last: u8, address: Option<&str>) -> Facts {
    Facts { mac: Some(mac(last)), address: address.map(|text| text.parse().unwrap()), ..Facts::default() }
}

fn mac(last: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, last])
}

fn at(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn who_is_at(sightings: &Sightings, address: &str) -> Option<MacAddr> {
    sightings.by_address(at(address)).and_then(|facts| facts.mac)
}

#[test]
fn a_machine_is_found_by_its_newest_address_only() {
    let mut sightings = Sightings::default();
    assert!(sightings.see(&facts(1, Some("10.0.0.1"))));
    assert!(!sightings.see(&facts(1, Some("10.0.0.2"))));
    assert_eq!(who_is_at(&sightings, "10.0.0.1"), None);
    assert_eq!(who_is_at(&sightings, "10.0.0.2"), Some(mac(1)));
}

#[test]
fn an_address_given_to_another_machine_follows_it() {
    let mut sightings = Sightings::default();
    sightings.see(&facts(1, Some("10.0.0.1")));
    sightings.see(&facts(2, Some("10.0.0.1")));
    assert_eq!(who_is_at(&sightings, "10.0.0.1"), Some(mac(2)));
    // The first one comes back elsewhere and takes nothing along.
    sightings.see(&facts(1, Some("10.0.0.3")));
    assert_eq!(who_is_at(&sightings, "10.0.0.1"), Some(mac(2)));
}

#[test]
fn later_facts_add_to_earlier_ones() {
    let mut sightings = Sightings::default();
    sightings.see(&Facts { firmware: Some(Firmware::Bios), ..facts(1, Some("10.0.0.1")) });
    sightings.hear(&Facts { serial: Some("S1".into()), stage: Stage::Ipxe, ..facts(1, Some("10.0.0.1")) });
    let known = sightings.trusted(mac(1)).unwrap();
    assert_eq!((known.firmware, known.serial.as_deref()), (Some(Firmware::Bios), Some("S1")));
}

#[test]
fn a_neighbour_that_says_anothers_mac_moves_nothing_and_names_nothing() {
    let mut sightings = Sightings::default();
    sightings.see(&facts(1, Some("10.0.0.1")));
    sightings.see(&facts(2, Some("10.0.0.2")));
    for from in ["10.0.0.66", "10.0.0.2"] {
        sightings.hear(&Facts { serial: Some("EVIL".into()), ..facts(1, Some(from)) });
    }
    assert_eq!(who_is_at(&sightings, "10.0.0.1"), Some(mac(1)));
    assert_eq!(who_is_at(&sightings, "10.0.0.2"), Some(mac(2)));
    assert_eq!(who_is_at(&sightings, "10.0.0.66"), None);
    assert_eq!(sightings.by_mac(mac(1)).unwrap().serial, None);
    assert!(sightings.denies(mac(1), at("10.0.0.66")) && sightings.denies(mac(9), at("10.0.0.2")));
    assert!(!sightings.denies(mac(1), at("10.0.0.1")) && !sightings.denies(mac(9), at("10.0.0.9")));
}

#[test]
fn a_machine_whose_address_dhcp_does_not_tell_may_say_it_but_no_identity() {
    let mut sightings = Sightings::default();
    sightings.see(&facts(1, Some("10.0.0.1")));
    // It restarts, and another server leases unheard.
    sightings.see(&facts(1, None));
    sightings.hear(&Facts {
        serial: Some("S".into()),
        model: Some("M".into()),
        ..facts(1, Some("10.0.0.7"))
    });
    assert_eq!(who_is_at(&sightings, "10.0.0.7"), Some(mac(1)));
    assert_eq!(sightings.holder(at("10.0.0.7")), None);
    let known = sightings.by_mac(mac(1)).unwrap();
    assert_eq!((known.serial.as_deref(), known.model.as_deref()), (None, Some("M")));
}

#[test]
fn an_identity_said_before_dhcp_saw_the_machine_is_not_its_own() {
    let mut sightings = Sightings::default();
    assert!(sightings.hear(&Facts { serial: Some("EVIL".into()), ..facts(1, Some("10.0.0.66")) }));
    assert_eq!(sightings.by_mac(mac(1)).unwrap().serial.as_deref(), Some("EVIL"));
    assert_eq!(sightings.trusted(mac(1)).unwrap().serial, None);
    sightings.see(&facts(1, None));
    assert_eq!(sightings.by_mac(mac(1)).unwrap().serial, None);
    assert_eq!(who_is_at(&sightings, "10.0.0.66"), None);
}

#[test]
fn floods_cost_the_invented_and_the_old_not_the_newest() {
    let mut sightings = Sightings::default();
    let invented = |number: u32| {
        let [a, b, c, d] = number.to_be_bytes();
        Facts { mac: Some(MacAddr([6, 0, a, b, c, d])), address: Some(at("10.9.9.9")), ..Facts::default() }
    };
    sightings.see(&facts(1, Some("10.0.0.1")));
    for number in 0..20_000 {
        sightings.hear(&invented(number));
    }
    assert!(sightings.machines.len() <= SAID_MAX + 1);
    assert_eq!(who_is_at(&sightings, "10.0.0.1"), Some(mac(1)));
    for number in 0..70_000 {
        sightings.see(&Facts { address: None, ..invented(number) });
        if number % 10_000 == 0 {
            sightings.see(&facts(1, Some("10.0.0.1")));
        }
    }
    assert!(sightings.machines.len() <= SIGHTINGS_MAX && sightings.addresses.len() <= SIGHTINGS_MAX);
    assert_eq!(who_is_at(&sightings, "10.0.0.1"), Some(mac(1)));
}

#[test]
fn of_more_leases_than_fit_the_latest_are_known() {
    let lease = |number: u32, granted: u64| {
        let [a, b, c, d] = number.to_be_bytes();
        LeaseRecord {
            address: [10, b, c, d].into(),
            subnet: "lab".into(),
            key: types::lease::ClientKey::ClientId([a, b, c, d].into()),
            mac: Some(MacAddr([2, 0, a, b, c, d])),
            guid: None,
            hostname: None,
            state: LeaseState::Bound,
            granted: types::UnixTime(granted),
            expires: types::UnixTime(granted + 3600),
            relay_info: None,
        }
    };
    let most = u32::try_from(SIGHTINGS_MAX).unwrap();
    let mut leases: Vec<LeaseRecord> = (0..most + 10).map(|number| lease(number, 1000)).collect();
    let released = LeaseRecord { state: LeaseState::Released, ..lease(most + 10, 3000) };
    leases.extend([released.clone(), lease(most + 11, 2000)]);
    let sightings = Sightings::of(&leases);
    assert_eq!(sightings.machines.len(), SIGHTINGS_MAX);
    let known = |lease: &LeaseRecord| sightings.by_address(lease.address.into()).and_then(|facts| facts.mac);
    assert_eq!(known(&lease(most + 11, 0)), Some(MacAddr([2, 0, 0, 1, 0, 11])));
    assert_eq!(known(&released), None);
}
