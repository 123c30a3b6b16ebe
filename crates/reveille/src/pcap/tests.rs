use super::*;
use proptest::prelude::*;
use std::net::SocketAddrV4;

const PAYLOAD: &[u8] = b"hello, world";

/// IPv4 and UDP around a payload (RFC 791, RFC 768), without checksums.
fn ip_packet(payload: &[u8]) -> Vec<u8> {
    let udp = u16::try_from(payload.len() + 8).unwrap();
    let total = (udp + 20).to_be_bytes();
    let mut bytes =
        vec![0x45, 0, total[0], total[1], 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 9, 255, 255, 255, 255];
    bytes.extend([0, 68, 0, 67]);
    bytes.extend(udp.to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(payload);
    bytes
}

fn ethernet(tags: &[u16], payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xff; 6];
    bytes.extend([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
    for tag in tags {
        bytes.extend(tag.to_be_bytes());
        bytes.extend([0, 7]);
    }
    bytes.extend([8, 0]);
    bytes.extend(ip_packet(payload));
    bytes.resize(bytes.len().max(60), 0);
    bytes
}

struct Kind {
    big: bool,
    nanos: bool,
}

impl Kind {
    fn u32(&self, number: u32) -> [u8; 4] {
        if self.big { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    fn u16(&self, number: u16) -> [u8; 2] {
        if self.big { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    fn classic(&self, link: u32, frames: &[&[u8]]) -> Vec<u8> {
        let magic = if self.nanos { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
        let mut bytes = self.u32(magic).to_vec();
        bytes.extend(self.u16(2));
        bytes.extend(self.u16(4));
        bytes.extend([0; 8]);
        bytes.extend(self.u32(65_535));
        bytes.extend(self.u32(link));
        for frame in frames {
            let len = u32::try_from(frame.len()).unwrap();
            for field in [1_700_000_000, 5, len, len] {
                bytes.extend(self.u32(field));
            }
            bytes.extend(*frame);
        }
        bytes
    }

    fn block(&self, kind: u32, body: &[u8]) -> Vec<u8> {
        let padded = body.len().next_multiple_of(4);
        let len = u32::try_from(padded + 12).unwrap();
        let mut bytes = self.u32(kind).to_vec();
        bytes.extend(self.u32(len));
        bytes.extend(body);
        bytes.resize(padded + 8, 0);
        bytes.extend(self.u32(len));
        bytes
    }

    fn ng(&self, link: u16, frames: &[&[u8]]) -> Vec<u8> {
        let section = [&self.u32(0x1a2b_3c4d)[..], &self.u16(1), &self.u16(0), &[0xff; 8]].concat();
        let resolution: &[u8] = if self.nanos { &[9, 0, 0, 0] } else { &[6, 0, 0, 0] };
        let interface = [
            &self.u16(link)[..],
            &self.u16(0),
            &self.u32(0),
            &self.u16(9),
            &self.u16(1),
            resolution,
            &self.u16(0),
            &self.u16(0),
        ]
        .concat();
        let mut bytes = self.block(0x0a0d_0d0a, &section);
        bytes.extend(self.block(1, &interface));
        bytes.extend(self.block(5, &[0; 12]));
        let at: u64 = if self.nanos { 1_700_000_000_000_000_005 } else { 1_700_000_000_000_005 };
        let [high, low] = [u32::try_from(at >> 32).unwrap(), u32::try_from(at & 0xffff_ffff).unwrap()];
        for frame in frames {
            let len = u32::try_from(frame.len()).unwrap();
            let head: Vec<u8> = [0, high, low, len, len].iter().flat_map(|field| self.u32(*field)).collect();
            bytes.extend(self.block(6, &[&head[..], frame].concat()));
        }
        bytes
    }
}

const KINDS: [Kind; 4] = [
    Kind { big: false, nanos: false },
    Kind { big: true, nanos: false },
    Kind { big: false, nanos: true },
    Kind { big: true, nanos: true },
];

fn hello(packet: &Packet<'_>) {
    let datagram = datagram(packet).unwrap();
    let place = |text: &str| text.parse::<SocketAddrV4>().unwrap();
    assert_eq!((datagram.from, datagram.to), (place("10.0.0.9:68"), place("255.255.255.255:67")));
    assert_eq!(datagram.payload, PAYLOAD);
}

#[test]
fn every_form_of_file_gives_the_same_packets() {
    let frame = ethernet(&[], PAYLOAD);
    for kind in KINDS {
        let expected = 1_700_000_000_000_000_000 + if kind.nanos { 5 } else { 5_000 };
        for file in [kind.classic(1, &[&frame, &frame]), kind.ng(1, &[&frame, &frame])] {
            let capture = read(&file).unwrap();
            assert_eq!((capture.packets.len(), capture.ends_early), (2, None));
            for (packet, number) in capture.packets.iter().zip(1..) {
                assert_eq!((packet.number, packet.at_ns, packet.cut), (number, Some(expected), false));
                hello(packet);
            }
        }
    }
}

#[test]
fn every_link_leads_to_the_datagram() {
    let ip = ip_packet(PAYLOAD);
    let cooked = [&[0, 0, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, 8, 0][..], &ip].concat();
    let cooked_2 = [&[8, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0][..], &ip].concat();
    let loopback = [&[2, 0, 0, 0][..], &ip].concat();
    let frames: [(u16, Vec<u8>); 7] = [
        (1, ethernet(&[], PAYLOAD)),
        (1, ethernet(&[0x8100], PAYLOAD)),
        (1, ethernet(&[0x88a8, 0x8100], PAYLOAD)),
        (113, cooked),
        (276, cooked_2),
        (101, ip.clone()),
        (0, loopback),
    ];
    for (link, frame) in &frames {
        hello(&Packet { number: 1, at_ns: None, link: *link, bytes: frame, cut: false });
    }
    let odd = |link: u16, bytes: &[u8]| {
        datagram(&Packet { number: 1, at_ns: None, link, bytes, cut: false }).map(drop)
    };
    assert_eq!(odd(147, &ip), Err(Unread::Link(147)));
    assert_eq!(odd(1, &ethernet(&[0x8100; 5], PAYLOAD)), Err(Unread::Other), "no packet has five tags");
}

#[test]
fn fragments_other_protocols_and_cut_packets_are_told_apart() {
    let odd = |change: fn(&mut Vec<u8>)| {
        let mut bytes = ip_packet(PAYLOAD);
        change(&mut bytes);
        datagram(&Packet { number: 1, at_ns: None, link: 101, bytes: &bytes, cut: false }).unwrap_err()
    };
    assert_eq!(odd(|bytes| bytes[6] = 0x20), Unread::Fragment);
    assert_eq!(odd(|bytes| bytes[7] = 1), Unread::Fragment);
    assert_eq!(odd(|bytes| bytes[9] = 6), Unread::Other);
    assert_eq!(odd(|bytes| bytes[0] = 0x65), Unread::Other);
    assert_eq!(odd(|bytes| bytes[0] = 0x44), Unread::Cut, "a header shorter than it can be");
    assert_eq!(odd(|bytes| bytes[0] = 0x4f), Unread::Cut, "a header longer than the packet");
    assert_eq!(odd(|bytes| bytes.truncate(30)), Unread::Cut);
    assert_eq!(odd(|bytes| bytes[25] = 0xff), Unread::Cut, "a datagram longer than the packet");
    assert_eq!(odd(|bytes| bytes[24..26].fill(0)), Unread::Cut, "a datagram shorter than its header");
}

#[test]
fn files_that_lie_are_read_up_to_there() {
    let frame = ethernet(&[], PAYLOAD);
    for kind in KINDS {
        let classic = kind.classic(1, &[&frame, &frame]);
        let capture = read(&classic[..classic.len() - 1]).unwrap();
        assert_eq!((capture.packets.len(), capture.ends_early), (1, Some(Fault::Truncated { packet: 2 })));
        // The second packet says that it is 4 GiB long.
        let mut lying = classic.clone();
        let at = 24 + 16 + frame.len() + 8;
        lying[at..at + 4].fill(0xff);
        assert_eq!(read(&lying).unwrap().ends_early, Some(Fault::Length { packet: 2 }));
        let ng = kind.ng(1, &[&frame]);
        assert_eq!(read(&ng[..ng.len() - 2]).unwrap_err(), Fault::Truncated { packet: 1 });
        let mut lying = ng.clone();
        let last = lying.len() - 1;
        lying[last] ^= 0x10;
        assert_eq!(read(&lying).unwrap_err(), Fault::Length { packet: 1 }, "both lengths have to agree");
    }
    for bytes in [&b""[..], b"\xa1\xb2", b"GIF89a", b"\x0a\x0d\x0d\x0a\x1c\0\0\0\0\0\0\0"] {
        assert_eq!(read(bytes).unwrap_err(), Fault::NoCapture, "{bytes:?}");
    }
    assert_eq!(read(&[0xa1, 0xb2, 0xc3, 0xd4, 0]).unwrap_err(), Fault::Truncated { packet: 0 });
    assert_eq!(read(&vec![0; FILE_BYTES_MAX + 1]).unwrap_err(), Fault::TooLong);
}

proptest! {
    /// Whatever is in a file: no panic, and every packet lies within it.
    #[test]
    fn any_bytes_are_read_or_refused(
        kind in 0usize..4, ng in any::<bool>(), link in prop::sample::select(vec![0u16, 1, 12, 101, 113, 276, 147]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        keep in any::<prop::sample::Index>(), noise in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let (frame, kind) = (ethernet(&[0x8100], PAYLOAD), &KINDS[kind]);
        let frames = [&frame[..], &noise[..]];
        let mut file = if ng { kind.ng(link, &frames) } else { kind.classic(link.into(), &frames) };
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        file.truncate(keep.index(file.len() + 1));
        if let Ok(capture) = read(&file) {
            for packet in &capture.packets {
                prop_assert!(packet.bytes.len() <= file.len());
                let _ = datagram(packet).map(|datagram| datagram.payload.len());
            }
        }
        let _ = read(&noise);
    }
}
