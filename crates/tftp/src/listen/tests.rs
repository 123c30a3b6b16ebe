use super::*;

#[test]
fn t3_sources_that_would_answer_back_or_are_no_machine_get_no_answer() {
    let machine = Ipv4Addr::new(10, 77, 0, 5);
    for port in [0, 7, 19, 53, 67, 69] {
        assert!(!may_answer(SocketAddrV4::new(machine, port)), "{port}");
    }
    for address in [Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST, Ipv4Addr::new(224, 0, 0, 1)] {
        assert!(!may_answer(SocketAddrV4::new(address, 2000)), "{address}");
    }
    assert!(may_answer(SocketAddrV4::new(machine, 2000)));
}

#[test]
fn t3_the_broadcast_address_of_a_network_of_ours_is_no_machine() {
    let networks: [Ipv4Net; 3] =
        ["10.77.0.1/16", "192.0.2.9/31", "198.51.100.1/32"].map(|text| text.parse().unwrap());
    for (address, everybody) in [
        ([10, 77, 255, 255], true),
        ([10, 77, 0, 0], true),
        ([10, 77, 0, 255], false),
        ([192, 0, 2, 9], false),
        ([198, 51, 100, 1], false),
        ([10, 78, 255, 255], false),
    ] {
        assert_eq!(is_everybody(address.into(), &networks), everybody, "{address:?}");
    }
}

#[test]
fn t7_in_single_port_mode_a_stranger_gets_one_block_for_each_ack() {
    let policy = Policy::default();
    assert_eq!(cautious(policy, true, Trust::Stranger), Policy { windowsize_max: 1, ..policy });
    assert_eq!(cautious(policy, true, Trust::Known), policy);
    assert_eq!(cautious(policy, false, Trust::Stranger), policy);
}
