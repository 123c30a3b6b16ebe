#![expect(clippy::cast_possible_truncation, reason = "test content and wire numbers are cut on purpose")]
#![expect(clippy::disallowed_methods, reason = "a virtual clock has to start somewhere")]

use super::*;
use crate::limits::BLKSIZE_MAX;
use crate::wire::{ack, decode, error_number};
use proptest::prelude::*;

const MS: Duration = Duration::from_millis(1);

fn negotiated(blksize: u16, windowsize: u16) -> Negotiated {
    Negotiated { blksize, windowsize, timeout: None, tells_size: false, oack: None }
}

fn with_oack(blksize: u16, windowsize: u16, tells_size: bool) -> Negotiated {
    let oack = wire::oack([(&b"tsize"[..], "1".to_owned())]);
    Negotiated { tells_size, oack: Some(oack), ..negotiated(blksize, windowsize) }
}

/// A transfer on a clock of its own, and what it sent.
struct Bench {
    now: Instant,
    transfer: Transfer,
    content: Vec<u8>,
    queue: Vec<Vec<u8>>,
}

impl Bench {
    fn new(size: usize, negotiated: &Negotiated, trust: Trust) -> Bench {
        let now = Instant::now();
        let content = (0..size).map(|at| (at * 31 % 253) as u8).collect();
        Bench {
            now,
            transfer: Transfer::new(now, size as u64, negotiated, trust),
            content,
            queue: Vec::new(),
        }
    }

    fn known(size: usize, negotiated: &Negotiated) -> Bench {
        Bench::new(size, negotiated, Trust::Known)
    }

    /// Does what it needs until it waits or is done.
    fn settle(&mut self) -> Need {
        loop {
            match self.transfer.poll(self.now) {
                Need::Send(packet) => self.queue.push(packet),
                Need::SendBlocks(blocks) => self.queue.extend(blocks.iter().map(|(header, range)| {
                    let mut packet = header.to_vec();
                    packet.extend(&self.content[range.start as usize..range.end as usize]);
                    packet
                })),
                waiting @ (Need::Until(_) | Need::Done(_)) => return waiting,
            }
        }
    }

    /// Everything it sent since the last call, as packets.
    fn sends(&mut self) -> Vec<Vec<u8>> {
        self.settle();
        std::mem::take(&mut self.queue)
    }

    /// Wire numbers of the blocks it sends now.
    fn blocks(&mut self) -> Vec<u16> {
        self.sends()
            .iter()
            .map(|packet| match decode(packet).unwrap() {
                Packet::Data { block, .. } => block,
                other => panic!("{other:?} instead of a block"),
            })
            .collect()
    }

    fn ack(&mut self, block: u16) -> &mut Bench {
        self.transfer.handle_packet(self.now, &ack(block));
        self
    }

    fn error(&mut self, code: u16) -> &mut Bench {
        self.transfer.handle_packet(self.now, &error_number(code, "stop"));
        self
    }

    fn wait(&mut self, duration: Duration) -> &mut Bench {
        self.now += duration;
        self.transfer.handle_timeout(self.now);
        self
    }

    fn until(&mut self) -> Duration {
        match self.settle() {
            Need::Until(deadline) => deadline - self.now,
            other => panic!("{other:?} instead of waiting"),
        }
    }

    /// Waits as long as it asks for; how long that was.
    fn wait_until(&mut self) -> Duration {
        let wait = self.until();
        self.wait(wait);
        wait
    }

    fn ending(&mut self) -> Option<Ending> {
        match self.settle() {
            Need::Done(ending) => Some(ending),
            Need::Send(_) | Need::SendBlocks(_) | Need::Until(_) => None,
        }
    }

    /// A client that loses nothing: the content it got.
    fn fetch(&mut self) -> Vec<u8> {
        let mut received = Vec::new();
        let mut expected: u64 = 1;
        for _ in 0..1_000_000 {
            let packets = self.sends();
            if packets.is_empty() {
                assert_eq!(self.ending(), Some(Ending::Complete));
                return received;
            }
            self.now += MS;
            for packet in packets {
                match decode(&packet).unwrap() {
                    Packet::Oack(_) => {
                        self.ack(0);
                    }
                    Packet::Data { block, data } => {
                        assert_eq!(block, (expected % 65_536) as u16);
                        expected += 1;
                        received.extend(data);
                    }
                    other => panic!("{other:?}"),
                }
            }
            if expected > 1 {
                self.ack(((expected - 1) % 65_536) as u16);
            }
        }
        panic!("the transfer does not end");
    }
}

#[test]
fn t4_blocks_count_from_one_and_the_last_is_short_or_empty() {
    for (size, lengths) in
        [(0, vec![0]), (1, vec![1]), (511, vec![511]), (512, vec![512, 0]), (1025, vec![512, 512, 1])]
    {
        let mut bench = Bench::known(size, &negotiated(512, 8));
        let packets = bench.sends();
        assert_eq!(packets.iter().map(|packet| packet.len() - 4).collect::<Vec<_>>(), lengths, "{size}");
        assert_eq!(packets[0][..4], [0, 3, 0, 1]);
        bench.ack(lengths.len() as u16);
        assert_eq!(bench.ending(), Some(Ending::Complete));
        assert_eq!(bench.transfer.stats().bytes_acked, size as u64);
    }
}

#[test]
fn t5_duplicate_ack_never_causes_a_send() {
    let mut bench = Bench::known(5000, &negotiated(512, 1));
    assert_eq!(bench.blocks(), [1]);
    assert_eq!(bench.ack(1).blocks(), [2]);
    for _ in 0..100 {
        assert_eq!(bench.ack(1).sends(), Vec::<Vec<u8>>::new());
    }
    assert_eq!(bench.ack(2).blocks(), [3]);
    assert!(bench.ack(0).ack(1).ack(2).sends().is_empty());
}

#[test]
fn t6_acks_ahead_of_what_was_sent_are_ignored() {
    let mut bench = Bench::known(5000, &negotiated(512, 4));
    assert_eq!(bench.blocks(), [1, 2, 3, 4]);
    assert!(bench.ack(5).ack(9).ack(65_535).ack(0).sends().is_empty());
    assert_eq!(bench.ack(4).blocks(), [5, 6, 7, 8]);
}

#[test]
fn t6_an_ack_for_the_wrong_block_does_not_stop_the_timer() {
    let mut bench = Bench::known(5000, &negotiated(512, 1));
    bench.sends();
    bench.ack(1).sends();
    let until = bench.until();
    bench.wait(until / 2).ack(1).ack(7);
    assert_eq!(bench.until(), until - until / 2);
    assert_eq!(bench.wait(until - until / 2).blocks(), [2], "the timer resends");
}

#[test]
fn t7_backoff_doubles_up_to_its_cap_then_one_error_and_close() {
    let mut bench = Bench::known(50_000, &negotiated(512, 1));
    bench.sends();
    bench.wait(5 * MS).ack(1).sends();
    let (start, mut waits) = (bench.now, Vec::new());
    let last = loop {
        waits.push(bench.wait_until());
        let packets = bench.sends();
        assert_eq!(packets.len(), 1);
        if !matches!(decode(&packets[0]), Ok(Packet::Data { block: 2, .. })) {
            break packets[0].clone();
        }
    };
    assert_eq!(waits[0], RESEND_MIN, "5 ms of round trip: resend at the floor");
    assert!(waits.windows(2).all(|pair| pair[1] == (pair[0] * 2).min(RESEND_MAX)), "{waits:?}");
    assert!(matches!(decode(&last), Ok(Packet::Error { code: 0, .. })));
    assert_eq!(bench.ending(), Some(Ending::TimedOut));
    assert!(bench.now - start < Duration::from_secs(60));
    assert!(bench.ack(2).wait(RESEND_MAX).sends().is_empty(), "nothing follows the one ERROR");
}

#[test]
fn t7_before_the_first_ack_a_known_source_gets_three_timed_resends() {
    for negotiated in [negotiated(512, 1), with_oack(1468, 4, false)] {
        let mut bench = Bench::known(100_000, &negotiated);
        let mut sends = bench.sends().len();
        while bench.ending().is_none() {
            bench.wait_until();
            sends += bench.sends().len();
        }
        assert_eq!(sends, 4, "first packet and three resends, no ERROR");
        assert_eq!(bench.ending(), Some(Ending::Unanswered));
    }
}

#[test]
fn t7_before_the_first_ack_a_stranger_gets_no_timed_resend_and_no_error() {
    for negotiated in [negotiated(512, 1), with_oack(1468, 16, true)] {
        let mut bench = Bench::new(100_000, &negotiated, Trust::Stranger);
        assert_eq!(bench.sends().len(), 1);
        assert_eq!(bench.wait_until(), UNANSWERED_HOLD);
        assert!(bench.sends().is_empty());
        assert_eq!(bench.ending(), Some(Ending::Unanswered));
    }
}

#[test]
fn t7_a_stranger_who_answered_is_resent_to_like_anybody() {
    let mut bench = Bench::new(100_000, &with_oack(1468, 1, true), Trust::Stranger);
    bench.sends();
    bench.wait(MS).ack(0);
    assert_eq!(bench.blocks(), [1]);
    bench.wait_until();
    assert_eq!(bench.blocks(), [1]);
}

#[test]
fn t8_block_numbers_roll_over_in_lock_step_and_inside_a_window() {
    for (blksize, windowsize, size) in
        [(8, 1, 8 * 70_000), (8, 7, 8 * 140_000 + 3), (9, 64, 9 * 65_535), (16, 5000, 16 * 70_000)]
    {
        for negotiated in [negotiated(blksize, windowsize), with_oack(blksize, windowsize, true)] {
            let mut bench = Bench::known(size, &negotiated);
            let content = bench.content.clone();
            assert!(bench.fetch() == content, "blksize {blksize}, windowsize {windowsize}");
            assert_eq!(bench.transfer.stats().retransmits, 0);
        }
    }
}

#[test]
fn t8_sizes_beyond_four_gigabytes_have_the_right_last_block() {
    let now = Instant::now();
    let size: u64 = 4_500_000_000;
    let mut transfer = Transfer::new(now, size, &negotiated(BLKSIZE_MAX, 64), Trust::Known);
    let (mut total, mut blocks_seen) = (0, 0u64);
    loop {
        match transfer.poll(now) {
            Need::SendBlocks(blocks) => {
                assert_eq!(blocks.range().start, total);
                total = blocks.range().end;
                blocks_seen += u64::from(blocks.count());
                assert_eq!(blocks.iter().last().unwrap().1.end, total);
                transfer.handle_packet(now, &ack(on_wire(blocks_seen)));
            }
            Need::Done(ending) => break assert_eq!(ending, Ending::Complete),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((total, blocks_seen), (size, size / u64::from(BLKSIZE_MAX) + 1));
}

#[test]
fn t12_an_ack_inside_the_window_resumes_at_the_next_block() {
    let mut bench = Bench::known(512 * 20, &negotiated(512, 8));
    assert_eq!(bench.blocks(), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(bench.ack(3).blocks(), [4, 5, 6, 7, 8, 9, 10, 11]);
    assert_eq!(bench.transfer.stats().retransmits, 5);
    assert!(bench.ack(3).sends().is_empty());
    assert_eq!(bench.ack(11).blocks(), [12, 13, 14, 15, 16, 17, 18, 19]);
    assert_eq!(bench.ack(19).blocks(), [20, 21], "a short last window");
    bench.ack(21);
    assert_eq!(bench.ending(), Some(Ending::Complete));
}

#[test]
fn t12_loss_of_the_first_the_middle_and_the_last_block_of_a_window_each_recovers() {
    for lost in [1u16, 4, 8] {
        let mut bench = Bench::known(512 * 16 - 1, &negotiated(512, 8));
        let mut received = 0u16;
        let mut dropped = false;
        let mut rounds = 0;
        while bench.ending().is_none() {
            rounds += 1;
            assert!(rounds < 10);
            let blocks = bench.blocks();
            bench.now += MS;
            let mut gap = false;
            for block in blocks {
                if block == lost && !dropped {
                    dropped = true;
                } else if block == received + 1 {
                    received = block;
                } else {
                    gap = true;
                }
            }
            if gap || received.is_multiple_of(8) {
                bench.ack(received);
            }
            if bench.ending().is_none() && bench.queue.is_empty() {
                bench.wait_until();
            }
        }
        assert_eq!((received, bench.ending()), (16, Some(Ending::Complete)), "lost {lost}");
    }
}

#[test]
fn t12_there_is_one_timer_per_window_and_it_resends_the_window() {
    let mut bench = Bench::known(512 * 20, &negotiated(512, 4));
    bench.sends();
    bench.wait(MS).ack(4);
    assert_eq!(bench.blocks(), [5, 6, 7, 8]);
    bench.wait_until();
    assert_eq!(bench.blocks(), [5, 6, 7, 8]);
}

#[test]
fn t14_the_oack_is_resent_until_block_zero_is_acked() {
    let mut bench = Bench::known(5000, &with_oack(1468, 2, true));
    let first = bench.sends();
    assert!(matches!(decode(&first[0]), Ok(Packet::Oack(_))));
    assert!(bench.ack(1).ack(2).sends().is_empty(), "no block was sent, none can be acked");
    assert_eq!(bench.wait_until(), RESEND_FIRST);
    assert_eq!(bench.sends(), first);
    assert_eq!(bench.ack(0).blocks(), [1, 2]);
    assert!(bench.ack(0).sends().is_empty());
}

#[test]
fn t14_error_8_after_an_oack_with_the_size_is_a_quiet_size_probe() {
    for code in [8, 0] {
        let mut bench = Bench::known(5000, &with_oack(1468, 4, true));
        bench.sends();
        bench.error(code);
        assert_eq!(bench.ending(), Some(Ending::SizeProbe));
        assert!(bench.sends().is_empty());
    }
}

#[test]
fn t14_any_other_error_ends_the_transfer_without_an_answer() {
    let mut without_size = Bench::known(5000, &with_oack(1468, 4, false));
    without_size.sends();
    let mut under_way = Bench::known(5000, &with_oack(1468, 4, true));
    under_way.sends();
    under_way.ack(0).sends();
    for bench in [&mut without_size, &mut under_way] {
        bench.error(8);
        assert_eq!(bench.ending(), Some(Ending::ClientError { code: 8, text: "stop".to_owned() }));
        assert!(bench.sends().is_empty());
    }
}

#[test]
fn t15_a_repeated_request_before_the_first_ack_gets_the_first_packet_again() {
    for negotiated in [negotiated(512, 1), with_oack(1468, 4, true)] {
        let mut bench = Bench::new(5000, &negotiated, Trust::Stranger);
        let first = bench.sends();
        assert_eq!(bench.transfer.handle_repeated_request(bench.now), Repeat::Joined);
        assert_eq!(bench.sends(), first);
        assert!(bench.sends().is_empty());
    }
}

#[test]
fn t15_a_late_copy_of_the_request_is_ignored_and_a_reset_machine_starts_over() {
    let mut bench = Bench::known(5000, &negotiated(512, 1));
    bench.sends();
    bench.wait(MS).ack(1).sends();
    assert_eq!(bench.transfer.handle_repeated_request(bench.now + 100 * MS), Repeat::Ignored);
    assert!(bench.sends().is_empty());
    assert_eq!(bench.transfer.handle_repeated_request(bench.now + RESET_AFTER), Repeat::Replace);
}

#[test]
fn t2_another_request_in_the_clients_name_does_not_end_a_transfer_that_makes_progress() {
    let mut bench = Bench::known(5000, &negotiated(512, 1));
    bench.sends();
    assert_eq!(bench.transfer.handle_other_request(bench.now), Repeat::Replace, "nothing acknowledged yet");
    bench.wait(MS).ack(1).sends();
    assert_eq!(bench.transfer.handle_other_request(bench.now + 100 * MS), Repeat::Ignored);
    assert_eq!(bench.transfer.handle_other_request(bench.now + RESET_AFTER), Repeat::Replace);
    for block in 2..=9 {
        assert_eq!(bench.ack(block).blocks(), [block + 1]);
    }
    assert_eq!(bench.transfer.handle_other_request(bench.now), Repeat::Replace, "its last ACK may be lost");
    bench.ack(10);
    assert_eq!(bench.transfer.handle_other_request(bench.now), Repeat::Replace);
}

#[test]
fn t7_a_machine_that_takes_two_seconds_for_every_block_gets_its_file() {
    for (negotiated, trust) in [
        (negotiated(512, 1), Trust::Stranger),
        (with_oack(512, 4, true), Trust::Known),
        (with_oack(512, 1, false), Trust::Stranger),
    ] {
        let mut bench = Bench::new(512 * 60, &negotiated, trust);
        let (blocks, window) = (61u64, u64::from(negotiated.windowsize));
        let mut sends = 0;
        let mut expected = if negotiated.oack.is_some() { vec![0] } else { vec![] };
        expected.extend((1..=blocks).filter(|block| block.is_multiple_of(window) || *block == blocks));
        for block in expected {
            let answer = bench.now + 2000 * MS;
            sends += bench.sends().len() as u64;
            while bench.now < answer {
                let step = bench.until().min(answer - bench.now);
                bench.wait(step);
                sends += bench.sends().len() as u64;
            }
            bench.ack(block as u16);
        }
        assert_eq!(bench.ending(), Some(Ending::Complete));
        assert!(sends <= blocks * 4 + 4, "{sends} sends");
    }
}

#[test]
fn t8_the_files_of_the_checklist_are_covered_once_from_end_to_end() {
    // 40 MB at 512, 100 MB at 1,468 and 4.5 GB at 65,464 bytes; in lock-step and by windows, with and without OACK.
    for (size, blksize) in [(40_000_000u64, 512u16), (100_000_000, 1468), (4_500_000_000, BLKSIZE_MAX)] {
        for windowsize in [1, 7, 64] {
            for negotiated in [negotiated(blksize, windowsize), with_oack(blksize, windowsize, true)] {
                let now = Instant::now();
                let mut transfer = Transfer::new(now, size, &negotiated, Trust::Known);
                let (mut covered, mut sent) = (0, 0u64);
                let ending = loop {
                    match transfer.poll(now) {
                        Need::Send(packet) => {
                            assert!(matches!(decode(&packet), Ok(Packet::Oack(_))));
                            transfer.handle_packet(now, &ack(0));
                        }
                        Need::SendBlocks(blocks) => {
                            for (header, range) in blocks.iter() {
                                sent += 1;
                                assert_eq!(header, wire::data_header((sent % 65_536) as u16));
                                assert_eq!(range.start, covered);
                                assert!(range.end - range.start == u64::from(blksize) || range.end == size);
                                covered = range.end;
                            }
                            transfer.handle_packet(now, &ack((sent % 65_536) as u16));
                        }
                        Need::Done(ending) => break ending,
                        Need::Until(_) => panic!("it waits at block {sent}"),
                    }
                };
                assert_eq!((ending, covered), (Ending::Complete, size));
                assert_eq!(sent, size / u64::from(blksize) + 1);
                assert_eq!(transfer.stats().bytes_acked, size);
            }
        }
    }
}

#[test]
fn t24_a_lost_final_ack_is_resent_a_few_times_and_then_closes_as_success() {
    let mut bench = Bench::known(1000, &negotiated(512, 1));
    bench.sends();
    bench.wait(MS).ack(1);
    assert_eq!(bench.blocks(), [2]);
    let mut resends = 0;
    while bench.ending().is_none() {
        bench.wait_until();
        resends += bench.sends().len();
    }
    assert_eq!(bench.ending(), Some(Ending::LastAckLost));
    assert!(Ending::LastAckLost.is_success());
    assert_eq!(resends, RESENDS_LAST_MAX as usize);
}

#[test]
fn the_timeout_option_bounds_every_wait() {
    let mut bench =
        Bench::known(50_000, &Negotiated { timeout: Some(Duration::from_secs(1)), ..negotiated(512, 1) });
    bench.sends();
    bench.wait(MS).ack(1).sends();
    while bench.ending().is_none() {
        assert!(bench.wait_until() <= Duration::from_secs(1));
        bench.sends();
    }
}

#[test]
fn a_path_slower_than_the_estimate_is_learned_and_not_flooded() {
    let mut bench = Bench::known(512 * 100, &negotiated(512, 1));
    bench.sends();
    bench.wait(MS).ack(1).sends();
    let mut extra = 0;
    for block in 2..40u16 {
        // Every answer now takes 300 ms.
        let answer = bench.now + 300 * MS;
        while bench.now < answer {
            let step = bench.until().min(answer - bench.now);
            bench.wait(step);
            extra += bench.sends().len();
        }
        bench.ack(block).sends();
    }
    assert!(extra < 20, "{extra} needless resends");
    assert!(bench.transfer.stats().round_trip.unwrap() > 100 * MS);
}

#[test]
fn an_abort_tells_a_client_that_answered_and_nobody_else() {
    let mut bench = Bench::known(5000, &negotiated(512, 1));
    bench.sends();
    bench.transfer.abort(ErrorCode::NotDefined, "the server stops");
    assert!(bench.sends().is_empty());
    assert_eq!(bench.ending(), Some(Ending::Aborted));
    let mut bench = Bench::known(5000, &negotiated(512, 1));
    bench.sends();
    bench.ack(1).sends();
    bench.transfer.abort(ErrorCode::NotDefined, "the server stops");
    assert_eq!(bench.sends(), [wire::error(ErrorCode::NotDefined, "the server stops")]);
}

#[test]
fn damaged_and_misplaced_packets_change_nothing() {
    let mut bench = Bench::known(5000, &negotiated(512, 1));
    bench.sends();
    for packet in
        [&b""[..], b"\0", b"\0\x04\0", b"\0\x03\0\x01xx", b"\0\x06", b"\0\x01x\0octet\0", b"\xff\xff\0\x01"]
    {
        bench.transfer.handle_packet(bench.now, packet);
        assert!(bench.sends().is_empty());
        assert_eq!(bench.ending(), None);
    }
}

#[derive(Clone, Debug)]
enum Op {
    Ack(u16),
    Error(u16),
    Bytes(Vec<u8>),
    Wait(u64),
    Timeout,
    Repeat,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (0u16..40).prop_map(Op::Ack),
        1 => any::<u16>().prop_map(Op::Ack),
        1 => (0u16..10).prop_map(Op::Error),
        1 => proptest::collection::vec(any::<u8>(), 0..12).prop_map(Op::Bytes),
        4 => (0u64..3000).prop_map(Op::Wait),
        4 => Just(Op::Timeout),
        1 => Just(Op::Repeat),
    ]
}

proptest! {
    #[test]
    fn any_operation_sequence_ends_and_sends_only_what_exists(
        ops in proptest::collection::vec(op(), 0..80),
        size in 0usize..20_000, blksize in 8u16..2000, windowsize in 1u16..20,
        oack in any::<bool>(), known in any::<bool>(),
    ) {
        let settled = if oack { with_oack(blksize, windowsize, true) } else { negotiated(blksize, windowsize) };
        let mut bench = Bench::new(size, &settled, if known { Trust::Known } else { Trust::Stranger });
        let blocks_max = size / usize::from(blksize) + 1;
        for op in ops {
            for packet in bench.sends() {
                if let Ok(Packet::Data { block, data }) = decode(&packet) {
                    prop_assert!(usize::from(block) <= blocks_max && block > 0);
                    let from = (usize::from(block) - 1) * usize::from(blksize);
                    prop_assert_eq!(data, &bench.content[from..(from + usize::from(blksize)).min(size)]);
                }
            }
            match op {
                Op::Ack(block) => { bench.ack(block); }
                Op::Error(code) => { bench.error(code); }
                Op::Bytes(bytes) => bench.transfer.handle_packet(bench.now, &bytes),
                Op::Wait(ms) => { bench.wait(Duration::from_millis(ms)); }
                Op::Timeout => if bench.ending().is_none() { bench.sends(); if bench.ending().is_none() { bench.wait_until(); } },
                Op::Repeat => { let _ = bench.transfer.handle_repeated_request(bench.now); }
            }
        }
        let start = bench.now;
        for _ in 0..200 {
            bench.sends();
            if bench.ending().is_some() { break; }
            bench.wait_until();
        }
        prop_assert!(bench.ending().is_some());
        prop_assert!(bench.now - start < Duration::from_secs(60));
    }

    #[test]
    fn whatever_is_negotiated_the_content_arrives_whole(
        size in 0usize..30_000, blksize in 8u16..3000, windowsize in 1u16..40, oack in any::<bool>(),
    ) {
        let settled = if oack { with_oack(blksize, windowsize, false) } else { negotiated(blksize, windowsize) };
        let mut bench = Bench::known(size, &settled);
        let content = bench.content.clone();
        prop_assert!(bench.fetch() == content);
    }
}
