//! One test for each rule of the head.

use super::*;
use types::resource::{HostMatch, OneOrMany};

fn mac(last: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, last])
}

fn at(last: u8) -> Option<IpAddr> {
    Some(IpAddr::from([10, 0, 0, last]))
}

fn guid(last: u8) -> MachineGuid {
    MachineGuid([1, 2, 3, 4, 5, 6, 0x47, 8, 0x89, 10, 11, 12, 13, 14, 15, last])
}

fn facts(machine: u8, address: u8) -> Facts {
    Facts { mac: Some(mac(machine)), address: at(address), ..Facts::default() }
}

fn host(macs: &[u8], uuid: Option<u8>) -> Host {
    let identity = HostMatch {
        mac: OneOrMany(macs.iter().map(|last| mac(*last)).collect()),
        uuid: uuid.map(guid),
        serial: Some("S1".to_owned()),
    };
    Host::new("web01".parse().unwrap(), identity)
}

/// Our segment is 10.0.0.0/25; machine N has card N and address N there.
fn witness(dhcp: bool) -> Witness {
    let cards = |address: Ipv4Addr| match address.octets() {
        [10, 0, 0, last @ 1..128] => vec![mac(last)],
        _ => Vec::new(),
    };
    Witness::new(cards, move |_| dhcp)
}

fn doubt(witness: &Witness, sightings: &Sightings, facts: &Facts, host: Option<&Host>) -> Option<Doubt> {
    let cards = facts.address.map(|address| witness.cards(address)).unwrap_or_default();
    witness.doubt(sightings, &cards, facts, host)
}

fn seen(all: &[Facts]) -> Sightings {
    let mut sightings = Sightings::default();
    for facts in all {
        sightings.see(facts);
    }
    sightings
}

#[test]
fn rule_1_dhcp_knows_better() {
    let sightings = seen(&[facts(1, 1), facts(2, 2)]);
    let web01 = host(&[1], None);
    for dhcp in [true, false] {
        assert_eq!(doubt(&witness(dhcp), &sightings, &facts(1, 1), Some(&web01)), None);
        assert_eq!(doubt(&witness(dhcp), &sightings, &facts(1, 2), Some(&web01)), Some(Doubt::Elsewhere));
        assert_eq!(doubt(&witness(dhcp), &sightings, &facts(1, 200), Some(&web01)), Some(Doubt::Elsewhere));
    }
}

#[test]
fn rule_2_the_card_at_the_address_is_known() {
    let nobody = Sightings::default();
    let web01 = host(&[1, 7], None);
    for dhcp in [true, false] {
        let witness = witness(dhcp);
        assert_eq!(doubt(&witness, &nobody, &facts(1, 1), Some(&web01)), None, "never seen by DHCP");
        assert_eq!(doubt(&witness, &nobody, &facts(1, 7), Some(&web01)), None, "its other card");
        assert_eq!(doubt(&witness, &nobody, &facts(1, 9), Some(&web01)), Some(Doubt::OtherCard(mac(9))));
        assert_eq!(doubt(&witness, &nobody, &facts(1, 9), None), Some(Doubt::OtherCard(mac(9))));
    }
    // Somebody took the address of a machine that DHCP still has there.
    let before = seen(&[facts(1, 9)]);
    assert_eq!(doubt(&witness(true), &before, &facts(1, 9), Some(&web01)), Some(Doubt::OtherCard(mac(9))));
}

#[test]
fn rule_3_behind_a_router_dhcp_must_have_placed_it() {
    let web01 = host(&[1], None);
    let placed = seen(&[facts(1, 200)]);
    let nobody = Sightings::default();
    assert_eq!(doubt(&witness(true), &placed, &facts(1, 200), Some(&web01)), None);
    assert_eq!(doubt(&witness(true), &nobody, &facts(1, 200), Some(&web01)), Some(Doubt::Unseen));
    assert_eq!(doubt(&witness(false), &nobody, &facts(1, 200), Some(&web01)), None, "nothing can be known");
    let unsaid = Facts { mac: None, guid: Some(guid(1)), ..facts(1, 200) };
    assert_eq!(doubt(&witness(true), &nobody, &unsaid, Some(&web01)), Some(Doubt::Unseen));
    // By network.
    let some = Witness::new(|_| Vec::new(), |address| address.octets()[3] > 127);
    assert_eq!(doubt(&some, &nobody, &facts(1, 200), Some(&web01)), Some(Doubt::Unseen));
    assert_eq!(doubt(&some, &nobody, &facts(1, 5), Some(&web01)), None);
}

#[test]
fn rule_4_a_guid_alone_must_have_been_seen_with_that_card() {
    let says = |own: u8| Facts { guid: Some(guid(own)), ..facts(5, 5) };
    let nobody = Sightings::default();
    let with_guid = seen(&[says(1)]);
    let swapped = seen(&[Facts { guid: Some(guid(1).swapped()), ..facts(5, 5) }]);
    let other_guid = seen(&[says(9)]);
    for record in [host(&[1], Some(1)), host(&[], Some(1))] {
        let doubt = |sightings| doubt(&witness(true), sightings, &says(1), Some(&record));
        assert_eq!(doubt(&nobody), Some(Doubt::OtherMachine), "whoever says it");
        assert_eq!(doubt(&other_guid), Some(Doubt::OtherMachine));
        assert_eq!(doubt(&with_guid), None, "its second card, as firmware asked by it");
        assert_eq!(doubt(&swapped), None);
    }
    // Without DHCP of ours a GUID is believed where the record has nothing better.
    let off = witness(false);
    assert_eq!(doubt(&off, &nobody, &says(1), Some(&host(&[], Some(1)))), None);
    assert_eq!(doubt(&off, &nobody, &says(1), Some(&host(&[1], Some(1)))), Some(Doubt::OtherMachine));
    // A serial number that somebody says does not open a record that has more.
    let serial = Facts { serial: Some("S1".into()), ..facts(5, 5) };
    assert_eq!(doubt(&witness(true), &nobody, &serial, Some(&host(&[1], None))), Some(Doubt::OtherMachine));
    assert_eq!(doubt(&witness(true), &nobody, &serial, Some(&host(&[], Some(1)))), Some(Doubt::OtherMachine));
    assert_eq!(doubt(&witness(true), &nobody, &serial, Some(&host(&[], None))), None, "all there is");
}
