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
