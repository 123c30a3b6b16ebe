#![expect(clippy::cast_possible_truncation, reason = "test data is cut to bytes on purpose")]

use super::*;
use crate::testing::{inside_namespace, ip, run};
use std::io::Read;
use std::time::{Duration, Instant};
use types::MacAddr;

const CLIENT_MAC: MacAddr = MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const YIADDR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 100);

/// A network card without an address: raw IPv4 packets in and out of one interface.
struct Card {
    socket: Socket,
    index: u32,
}

impl Card {
    fn open(name: &str) -> Card {
        let protocol = i32::from((libc::ETH_P_IP as u16).to_be());
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(protocol.into())).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        Card { socket, index: nix::net::if_::if_nametoindex(name).unwrap() }
    }

    fn broadcast(&self, payload: &[u8]) {
        let from = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68);
        let packet = frame::ipv4_udp(from, SocketAddrV4::new(Ipv4Addr::BROADCAST, 67), payload).unwrap();
        linux::send_ethernet(
            self.socket.as_raw_fd(),
            linux::IPV4_ETHERTYPE,
            self.index,
            MacAddr::BROADCAST,
            &packet,
        )
        .unwrap();
    }

    /// The next packet from `source` with this payload: its destination address and port.
    fn expect(&self, source: SocketAddrV4, payload: &[u8]) -> SocketAddrV4 {
        let deadline = Instant::now() + Duration::from_secs(5);
        let mut buffer = [0; 2048];
        while Instant::now() < deadline {
            let bytes = (&self.socket).read(&mut buffer).unwrap();
            let packet = &buffer[..bytes];
            if bytes < 28 || &packet[28..] != payload || packet[12..16] != source.ip().octets() {
                continue;
            }
            assert_eq!(packet[20..22], source.port().to_be_bytes());
            let to = Ipv4Addr::new(packet[16], packet[17], packet[18], packet[19]);
            return SocketAddrV4::new(to, u16::from_be_bytes([packet[22], packet[23]]));
        }
        panic!("no such packet came");
    }
}

#[test]
fn a_machine_without_an_address_is_heard_and_answered_by_frame_and_by_broadcast() {
    if !inside_namespace(
        "dhcp::tests::a_machine_without_an_address_is_heard_and_answered_by_frame_and_by_broadcast",
    ) {
        return;
    }
    ip("link add srv0 type veth peer name cli0");
    ip("link add srv1 type veth peer name cli1");
    for name in ["srv0", "cli0", "srv1", "cli1"] {
        ip(&format!("link set {name} up"));
    }
    ip("address add 10.77.0.1/24 dev srv0");
    ip("address add 10.78.0.1/24 dev srv1");
    run(async {
        let sockets =
            [DhcpSocket::bind(Some("srv0"), 67).unwrap(), DhcpSocket::bind(Some("srv1"), 67).unwrap()];
        assert!(
            DhcpSocket::bind(Some("srv0"), 67).is_err(),
            "a second server on the same interface is an error"
        );
        assert!(DhcpSocket::bind(None, 67).is_err());
        let card = Card::open("cli0");
        let mut buffer = [0; 2048];
        card.broadcast(b"discover");
        let (bytes, arrival) = sockets[0].recv(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..bytes], b"discover");
        assert_eq!(&*arrival.interface, "srv0");
        assert_eq!(arrival.local, SERVER);
        assert_eq!(arrival.sent_to, SocketAddrV4::new(Ipv4Addr::BROADCAST, 67));
        assert_eq!(arrival.remote, SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68));
        assert!(sockets[1].try_recv(&mut buffer).is_err(), "the other interface hears nothing");

        let source = SocketAddrV4::new(arrival.local, 67);
        let to = SocketAddrV4::new(YIADDR, 68);
        let mut transmit = Transmit {
            interface_index: arrival.interface_index,
            source,
            destination: Destination::Hardware { mac: CLIENT_MAC, to },
            payload: b"by frame".to_vec(),
        };
        sockets[0].send(&transmit).await.unwrap();
        assert_eq!(card.expect(source, b"by frame"), to);

        transmit.destination = Destination::Broadcast(68);
        transmit.payload = b"by broadcast".to_vec();
        sockets[0].send(&transmit).await.unwrap();
        assert_eq!(card.expect(source, b"by broadcast"), SocketAddrV4::new(Ipv4Addr::BROADCAST, 68));

        // A payload over the MTU cannot be one frame: it is broadcast in fragments instead of lost.
        transmit.destination = Destination::Hardware { mac: CLIENT_MAC, to };
        transmit.payload = vec![7; 3000];
        sockets[0].send(&transmit).await.unwrap();
    });
}

#[test]
fn one_socket_for_all_interfaces_broadcasts_on_the_one_named() {
    if !inside_namespace("dhcp::tests::one_socket_for_all_interfaces_broadcasts_on_the_one_named") {
        return;
    }
    ip("link add srv0 type veth peer name cli0");
    for name in ["srv0", "cli0"] {
        ip(&format!("link set {name} up"));
    }
    ip("address add 10.77.0.1/24 dev srv0");
    run(async {
        let socket = DhcpSocket::bind(None, 67).unwrap();
        let card = Card::open("cli0");
        card.broadcast(b"discover");
        let mut buffer = [0; 2048];
        // cli0 is in the same namespace and hears its own broadcast too; the one on srv0 is meant.
        let arrival = loop {
            let (_, arrival) = socket.recv(&mut buffer).await.unwrap();
            if &*arrival.interface == "srv0" {
                break arrival;
            }
        };
        let transmit = Transmit {
            interface_index: arrival.interface_index,
            source: SocketAddrV4::new(arrival.local, 67),
            destination: Destination::Broadcast(68),
            payload: b"offer".to_vec(),
        };
        socket.send(&transmit).await.unwrap();
        assert_eq!(card.expect(transmit.source, b"offer").port(), 68);
    });
}

#[test]
fn a_reply_by_route_comes_from_the_address_asked() {
    run(async {
        let server = DhcpSocket::bind(None, 0).unwrap();
        let client = Listener::bind("DHCP", SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0), None).unwrap();
        let asked = SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, 7), server.port());
        client.send(b"inform", Ipv4Addr::UNSPECIFIED, 0, asked).await.unwrap();
        let mut buffer = [0; 600];
        let (_, arrival) = server.recv(&mut buffer).await.unwrap();
        let transmit = Transmit {
            interface_index: arrival.interface_index,
            source: SocketAddrV4::new(arrival.local, server.port()),
            destination: Destination::Unicast(arrival.remote),
            payload: b"ack".to_vec(),
        };
        server.send(&transmit).await.unwrap();
        let (bytes, back) = client.recv(&mut buffer).await.unwrap();
        assert_eq!((&buffer[..bytes], back.remote), (&b"ack"[..], asked));
        let too_long = Transmit { payload: vec![0; 65_508], ..transmit };
        assert!(matches!(server.send(&too_long).await, Err(SendError::TooLong { bytes: 65_508 })));
    });
}
