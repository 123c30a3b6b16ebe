//! Any sequence of packets, time and second thoughts on one TFTP transfer: it never sends outside the file, never waits for ever
//! and, once over, stays over.
//!
//! Input: size and options of the transfer in eight bytes, then operations of three bytes `what, high, low`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::time::{Duration, Instant};
use tftp_proto::wire::{ack, data_header, error_number, read_request};
use tftp_proto::{ErrorCode, Need, Negotiated, Repeat, Transfer, Trust};

/// A window, and an ERROR as a last word.
const STEPS_MAX: usize = 4;

fuzz_target!(|bytes: &[u8]| {
    let Some((head, mut rest)) = bytes.split_first_chunk::<8>() else { return };
    let [shift, a, b, block_high, block_low, window, flags, trust] = *head;
    let size = u64::from(u16::from_be_bytes([a, b])) << (shift % 32);
    let negotiated = Negotiated {
        blksize: u16::from_be_bytes([block_high, block_low]).clamp(8, 65_464),
        windowsize: u16::from(window).max(1),
        timeout: None,
        tells_size: flags & 1 != 0,
        oack: (flags & 2 != 0).then(|| b"\0\x06tsize\x000\0".to_vec()),
    };
    let trust = if trust & 1 == 0 { Trust::Stranger } else { Trust::Known };
    let mut now = Instant::now();
    let mut transfer = Transfer::new(now, size, &negotiated, trust);
    let mut over = settle(&mut transfer, now, size);
    while let Some(([what, high, low], after)) = rest.split_first_chunk::<3>() {
        rest = after;
        let number = u16::from_be_bytes([*high, *low]);
        match what % 9 {
            0..=2 => transfer.handle_packet(now, &ack(number)),
            3 => transfer.handle_packet(now, &error_number(number, "x\u{1b}[2J\n")),
            4 => transfer.handle_packet(now, &data_header(number)),
            5 => transfer.handle_packet(now, &read_request("a", "octet", &[])),
            6 => {
                now += Duration::from_millis(number.into());
                transfer.handle_timeout(now);
            }
            7 => {
                let repeat = if number & 1 == 0 {
                    transfer.handle_repeated_request(now)
                } else {
                    transfer.handle_other_request(now)
                };
                assert!(!over || repeat == Repeat::Replace);
            }
            _ => {
                if number == 0 {
                    transfer.abort(ErrorCode::NotDefined, "stopping");
                }
                let (cut, _) = rest.split_at(rest.len().min(usize::from(number % 32)));
                transfer.handle_packet(now, cut);
            }
        }
        let done = settle(&mut transfer, now, size);
        assert!(done || !over, "over is over");
        over = done;
        assert!(transfer.stats().bytes_acked <= size);
    }
});

/// Polls until it waits or is over; true for the latter.
fn settle(transfer: &mut Transfer, now: Instant, size: u64) -> bool {
    for _ in 0..STEPS_MAX {
        match transfer.poll(now) {
            Need::Send(packet) => assert!(!packet.is_empty() && packet.len() <= 512),
            Need::SendBlocks(blocks) => {
                assert!(blocks.range().end <= size);
                assert!(blocks.iter().all(|(_, range)| range.start <= range.end && range.end <= size));
            }
            Need::Until(deadline) => {
                assert!(deadline <= now + Duration::from_secs(60));
                return false;
            }
            Need::Done(ending) => {
                assert!(!ending.reason().is_empty());
                return true;
            }
        }
    }
    panic!("a transfer that never waits")
}
