#![expect(clippy::cast_possible_truncation, reason = "test data is cut to bytes on purpose")]

use super::*;
use crate::testing::{inside_namespace, ip, run};

async fn burst_arrives(offload: bool, count: usize, block: usize, last: usize) -> bool {
    let sender = TransferSocket::bind(Ipv4Addr::LOCALHOST, None).unwrap();
    if !offload {
        sender.disable_offload();
    }
    let receiver = TransferSocket::bind(Ipv4Addr::LOCALHOST, None).unwrap();
    let content: Vec<u8> = (0..count * block).map(|at| (at % 251) as u8).collect();
    let headers: Vec<[u8; 4]> = (0..count).map(|at| [0, 3, (at >> 8) as u8, at as u8]).collect();
    let segments: Vec<Segment<'_>> = (0..count)
        .map(|at| {
            let length = if at + 1 == count { last } else { block };
            [IoSlice::new(&headers[at]), IoSlice::new(&content[at * block..at * block + length])]
        })
        .collect();
    sender.send_segments(&segments, block as u16 + 4, receiver.address()).await.unwrap();
    let mut buffer = vec![0; 65_536];
    for (at, header) in headers.iter().enumerate() {
        let (bytes, from) = receiver.recv(&mut buffer).await.unwrap();
        let length = if at + 1 == count { last } else { block };
        assert_eq!(from, sender.address());
        assert_eq!(&buffer[..4], header);
        assert_eq!(&buffer[4..bytes], &content[at * block..at * block + length]);
    }
    sender.offload()
}

#[test]
fn a_window_leaves_in_one_burst_and_arrives_as_single_blocks() {
    run(async {
        burst_arrives(true, 16, 1468, 1468).await;
        burst_arrives(true, 16, 1468, 0).await;
        burst_arrives(true, 1, 512, 3).await;
        burst_arrives(true, 70, 512, 17).await;
    });
}

#[test]
fn without_offload_the_same_blocks_arrive() {
    run(async {
        assert!(!burst_arrives(false, 16, 1468, 100).await);
    });
}

#[test]
fn a_kernel_that_refuses_offload_is_sent_single_blocks_from_then_on() {
    if !inside_namespace("transfer::tests::a_kernel_that_refuses_offload_is_sent_single_blocks_from_then_on")
    {
        return;
    }
    // Segments longer than the MTU are refused; alone, they leave as fragments.
    ip("link set lo mtu 1300 up");
    run(async {
        assert!(!burst_arrives(true, 16, 1468, 100).await, "offload is off after the refusal");
        assert!(burst_arrives(true, 16, 1024, 100).await, "and stays on where it is taken");
    });
}

#[test]
fn blocks_longer_than_half_a_burst_are_sent_one_by_one() {
    run(async {
        burst_arrives(true, 2, 65_464, 10).await;
    });
}

#[test]
fn a_transfer_socket_cannot_send_to_a_broadcast_address() {
    run(async {
        let sender = TransferSocket::bind(Ipv4Addr::LOCALHOST, None).unwrap();
        let everybody = SocketAddrV4::new(Ipv4Addr::new(127, 255, 255, 255), 9);
        let error = sender.send(b"x", everybody).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    });
}

#[test]
fn p23_the_mtu_of_a_route_is_that_of_its_interface() {
    if !inside_namespace("transfer::tests::p23_the_mtu_of_a_route_is_that_of_its_interface") {
        return;
    }
    ip("link set lo up");
    ip("link add small type veth peer name far");
    ip("link set far up");
    ip("link set small mtu 1400 up");
    ip("address add 10.9.0.1/24 dev small");
    let own = Ipv4Addr::new(10, 9, 0, 1);
    assert_eq!(route_mtu(own, None, SocketAddrV4::new(Ipv4Addr::new(10, 9, 0, 7), 2000)).unwrap(), 1400);
    assert!(
        route_mtu(Ipv4Addr::LOCALHOST, None, SocketAddrV4::new(Ipv4Addr::LOCALHOST, 2000)).unwrap() >= 1500
    );
    assert!(route_mtu(own, None, SocketAddrV4::new(Ipv4Addr::new(8, 8, 8, 8), 2000)).is_err());
}
