use super::*;
use std::net::Ipv4Addr;

fn address(last: u8, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(10, 77, 0, last), port)
}

fn udp_sum_with_pseudo_header(packet: &[u8]) -> u16 {
    fold(sum(&packet[12..]) + u64::from(PROTOCOL_UDP) + packet.len() as u64 - 20)
}

#[test]
fn both_checksums_verify_for_even_odd_and_empty_payloads() {
    for length in [0, 1, 2, 299, 300, 1472] {
        let payload: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
        let packet = ipv4_udp(address(1, 67), address(100, 68), &payload).unwrap();
        assert_eq!(fold(sum(&packet[..20])), 0xffff, "IP header of {length}");
        assert_eq!(udp_sum_with_pseudo_header(&packet), 0xffff, "UDP of {length}");
        assert_eq!(packet.len(), 28 + payload.len());
        assert_eq!(&packet[28..], &payload[..]);
    }
}

#[test]
fn header_checksum_matches_a_worked_example() {
    // The well-known example of RFC 1071 folding: 4500 0073 0000 4000 4011 b861 c0a8 0001 c0a8 00c7.
    let source = SocketAddrV4::new(Ipv4Addr::new(192, 168, 0, 1), 53);
    let to = SocketAddrV4::new(Ipv4Addr::new(192, 168, 0, 199), 53);
    let packet = ipv4_udp(source, to, &[0; 0x73 - 28]).unwrap();
    assert_eq!(packet[10..12], [0xb8, 0x61]);
}

#[test]
fn a_udp_checksum_of_zero_is_sent_as_all_ones() {
    let base = ipv4_udp(address(1, 67), address(100, 68), &[0, 0]).unwrap();
    let checksum = u16::from_be_bytes([base[26], base[27]]);
    let packet = ipv4_udp(address(1, 67), address(100, 68), &checksum.to_be_bytes()).unwrap();
    assert_eq!(packet[26..28], [0xff, 0xff]);
}

#[test]
fn a_payload_longer_than_a_datagram_is_refused() {
    assert!(ipv4_udp(address(1, 67), address(2, 68), &vec![0; PAYLOAD_BYTES_MAX]).is_some());
    assert!(ipv4_udp(address(1, 67), address(2, 68), &vec![0; PAYLOAD_BYTES_MAX + 1]).is_none());
}
