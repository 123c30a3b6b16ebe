#![expect(clippy::cast_possible_truncation, reason = "test data is cut to bytes on purpose")]

use super::*;
use crate::testing::run;

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
fn blocks_longer_than_half_a_burst_are_sent_one_by_one() {
    run(async {
        burst_arrives(true, 2, 65_464, 10).await;
    });
}
