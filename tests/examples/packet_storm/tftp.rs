//! TFTP: requests real clients send, damaged, and everything that may follow them.

use crate::measure::Fate;
use crate::mutate::{self, pick};
use sim::Seed;
use std::time::{Duration, Instant};
use tftp_proto::wire::{ErrorCode, ack, data_header, decode, error_number, oack, read_request};
use tftp_proto::{Need, Packet, Policy, Repeat, Request, Transfer, Trust, negotiate};
use types::{Event, EventName};

/// Transfers under way.
const TRANSFERS: usize = 64;
/// What a transfer may want to do before it waits: the window, and an ERROR as a last word.
const STEPS_MAX: usize = 4;
const SIZES: [u64; 8] = [0, 1, 511, 512, 1468, 70_000, 94_000_000, u64::MAX / 4];
const NAMES: [&str; 5] = [
    "undionly.kpxe",
    "snponly.efi",
    "pxelinux.cfg/01-52-54-00-12-34-56",
    "/grub/grub.cfg",
    "a\u{202e}\u{7f}b",
];
const OPTIONS: [&str; 6] = ["blksize", "windowsize", "tsize", "timeout", "BLKSIZE", "multicast"];
const VALUES: [&str; 12] =
    ["0", "1", "8", "512", "1468", "65464", "65465", "4294967296", "18446744073709551616", "-1", " 8", ""];

pub(crate) struct Lab {
    now: Instant,
    transfers: Vec<Option<Transfer>>,
}

impl Lab {
    pub(crate) fn new() -> Lab {
        Lab { now: Instant::now(), transfers: (0..TRANSFERS).map(|_| None).collect() }
    }

    /// The next packet.
    pub(crate) fn next(&self, dice: &mut Seed, packet: &mut Vec<u8>) {
        let block = if dice.chance(700) { dice.below(70) as u16 } else { dice.next_u64() as u16 };
        match dice.below(12) {
            0..=4 => {
                let options: Vec<(&str, &str)> = (0..pick(dice, 6))
                    .map(|_| (OPTIONS[pick(dice, OPTIONS.len())], VALUES[pick(dice, VALUES.len())]))
                    .collect();
                let mode = ["octet", "OCTET", "netascii", "mail", "x"][pick(dice, 5).min(pick(dice, 5))];
                packet.extend(read_request(NAMES[pick(dice, NAMES.len())], mode, &options));
            }
            5..=7 => packet.extend(ack(block)),
            8 => packet.extend(error_number(dice.below(10) as u16, "User aborted the transfer")),
            9 => packet.extend(data_header(block)),
            10 => packet.extend(oack([(&b"tsize"[..], "4096".to_owned())])),
            _ => {
                let length = pick(dice, 600);
                packet.extend(dice.bytes(length));
            }
        }
        // Sound ACKs keep transfers going far enough to be worth disturbing.
        if dice.chance(500) {
            for _ in 0..1 + dice.below(2) {
                mutate::any(dice, packet);
            }
        }
    }

    /// Hands it to the port, or to a transfer under way.
    pub(crate) fn handle(&mut self, dice: &mut Seed, packet: &[u8]) -> Fate {
        self.now += Duration::from_millis(dice.below(60));
        let at = pick(dice, TRANSFERS);
        let fate = match decode(packet) {
            Ok(Packet::Rrq(request)) => {
                self.request(dice, at, &request);
                Fate::Acted
            }
            Ok(Packet::Wrq(request)) => {
                refused("write", request.name);
                Fate::Ignored
            }
            Ok(Packet::Error { code, text }) => {
                let event = Event::new(EventName::TftpAbort).with("code", u64::from(code));
                crate::log::event(&event.with("text", String::from_utf8_lossy(text).into_owned()));
                Fate::Acted
            }
            Ok(Packet::Ack { .. } | Packet::Data { .. } | Packet::Oack(_)) => Fate::Acted,
            Err(fault) => {
                if let Some(code) = fault.answer() {
                    let answer = tftp_proto::wire::error(code, &fault.to_string());
                    assert!(matches!(decode(&answer), Ok(Packet::Error { .. })));
                }
                refused(fault.reason(), &fault.to_string());
                Fate::Refused
            }
        };
        if let Some(transfer) = &mut self.transfers[at] {
            transfer.handle_packet(self.now, packet);
        }
        self.drive(dice, at);
        fate
    }

    fn request(&mut self, dice: &mut Seed, at: usize, request: &Request<'_>) {
        if let Some(transfer) = &mut self.transfers[at] {
            let repeat = if dice.chance(500) {
                transfer.handle_repeated_request(self.now)
            } else {
                transfer.handle_other_request(self.now)
            };
            if repeat != Repeat::Replace {
                return;
            }
        }
        let size = SIZES[pick(dice, SIZES.len())];
        let policy = Policy::default();
        let agreed = negotiate(request, size, &policy);
        assert!((8..=policy.blksize_max).contains(&agreed.blksize));
        assert!((1..=policy.windowsize_max).contains(&agreed.windowsize));
        let event = Event::new(EventName::TftpStart).with("file", request.name).with("bytes", size);
        crate::log::event(&event.with("blksize", u64::from(agreed.blksize)));
        let trust = if dice.chance(500) { Trust::Known } else { Trust::Stranger };
        self.transfers[at] = Some(Transfer::new(self.now, size, &agreed, trust));
    }

    /// Polls as the door does; a transfer that has ended leaves its place.
    fn drive(&mut self, dice: &mut Seed, at: usize) {
        let Some(transfer) = &mut self.transfers[at] else { return };
        if dice.chance(20) {
            transfer.abort(ErrorCode::NotDefined, "the server is stopping");
        }
        transfer.handle_timeout(self.now);
        for _ in 0..STEPS_MAX {
            match transfer.poll(self.now) {
                Need::Send(packet) => drop(decode(&packet).expect("our own bytes decode")),
                Need::SendBlocks(blocks) => {
                    let all = blocks.range();
                    for (_, range) in blocks.iter() {
                        assert!(range.start <= range.end && range.end <= all.end);
                    }
                }
                Need::Until(_) => return,
                Need::Done(ending) => {
                    let event = Event::new(EventName::TftpDone).because(ending.reason());
                    crate::log::event(&event.with("ending", format!("{ending:?}")));
                    self.transfers[at] = None;
                    return;
                }
            }
        }
        panic!("a transfer that never waits");
    }
}

fn refused(reason: &'static str, text: &str) {
    crate::log::event(&Event::new(EventName::TftpRefused).because(reason).with("text", text));
}
