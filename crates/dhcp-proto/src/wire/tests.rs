//! Golden packets, properties over arbitrary bytes and the second opinion of dhcproto's owned decoder.

use super::encode::Encoding;
use super::golden;
use super::message::{Message, Op};
use super::options::{MessageType, code};
use super::pxe::{BootClass, PxeOptions, Undi, user_classes};
use super::relay::RelayInfo;
use dhcproto::{Decodable, v4};
use proptest::prelude::*;
use std::net::Ipv4Addr;
use types::ClientArch;

fn decoded(text: &str) -> Message {
    Message::decode(&golden::bytes(text)).unwrap()
}

/// What a golden packet must yield.
struct Expected {
    file: &'static str,
    kind: MessageType,
    bytes: usize,
    arch: Option<u16>,
    undi: Option<(u8, u8)>,
    class: Option<BootClass>,
    ipxe: bool,
    identifier: bool,
    size_max: Option<u16>,
    broadcast: bool,
    asks: usize,
}

#[test]
fn golden_packets_say_what_their_firmware_says() {
    let table = [
        (
            "ipxe-bios-rom-discover",
            400,
            Some(0),
            Some((2, 1)),
            Some(BootClass::Pxe),
            true,
            true,
            Some(1472),
            false,
            23,
        ),
        (
            "undionly-discover",
            400,
            Some(0),
            Some((2, 1)),
            Some(BootClass::Pxe),
            true,
            true,
            Some(1472),
            true,
            23,
        ),
        (
            "ipxe-efi-discover",
            391,
            Some(7),
            Some((3, 10)),
            Some(BootClass::Pxe),
            true,
            true,
            Some(1472),
            false,
            23,
        ),
        (
            "ovmf-pxe-discover",
            347,
            Some(7),
            Some((3, 0)),
            Some(BootClass::Pxe),
            false,
            false,
            Some(1472),
            true,
            35,
        ),
        (
            "ovmf-pxe-discover-relayed",
            369,
            Some(7),
            Some((3, 0)),
            Some(BootClass::Pxe),
            false,
            false,
            Some(1472),
            true,
            35,
        ),
        (
            "ovmf-pxe-request",
            359,
            Some(7),
            Some((3, 0)),
            Some(BootClass::Pxe),
            false,
            false,
            Some(65280),
            true,
            35,
        ),
        (
            "ovmf-pxe-4011-request",
            347,
            Some(7),
            Some((3, 0)),
            Some(BootClass::Pxe),
            false,
            false,
            Some(65280),
            false,
            35,
        ),
        (
            "ovmf-http-discover",
            340,
            Some(16),
            Some((3, 0)),
            Some(BootClass::Http),
            false,
            false,
            Some(1472),
            true,
            27,
        ),
        (
            "aavmf-pxe-discover",
            347,
            Some(11),
            Some((3, 0)),
            Some(BootClass::Pxe),
            false,
            false,
            Some(1472),
            true,
            35,
        ),
        ("udhcpc-discover", 300, None, None, None, false, true, Some(576), false, 7),
        ("dhclient-discover", 300, None, None, None, false, false, None, false, 13),
    ];
    assert_eq!(table.len(), golden::ALL.len());
    for (file, bytes, arch, undi, class, ipxe, identifier, size_max, broadcast, asks) in table {
        let kind = if file.contains("request") { MessageType::Request } else { MessageType::Discover };
        let expected =
            Expected { file, kind, bytes, arch, undi, class, ipxe, identifier, size_max, broadcast, asks };
        check(&expected);
    }
}

fn check(expected: &Expected) {
    let file = expected.file;
    let (_, text) = golden::ALL.iter().find(|(name, _)| *name == file).unwrap();
    assert_eq!(golden::bytes(text).len(), expected.bytes, "{file}");
    let message = decoded(text);
    let options = &message.options;
    assert_eq!(message.op, Op::BootRequest);
    assert_eq!(message.message_type(), Some(expected.kind), "{file}");
    assert_eq!(message.mac().unwrap().to_string(), "52:54:00:12:34:56");
    assert_eq!(options.faults(), [], "{file}");
    assert_eq!(
        options.client_archs(),
        expected.arch.map(ClientArch).into_iter().collect::<Vec<_>>(),
        "{file}"
    );
    assert_eq!(options.vendor_class().map(|class| class.class), expected.class, "{file}");
    assert_eq!(options.vendor_class().and_then(|class| class.arch), expected.arch.map(ClientArch), "{file}");
    assert_eq!(options.vendor_class().and_then(|class| class.undi), expected.undi, "{file}");
    assert_eq!(options.undi(), expected.undi.map(|(major, minor)| Undi { kind: 1, major, minor }), "{file}");
    assert_eq!(options.is_ipxe(), expected.ipxe, "{file}");
    assert_eq!(options.ipxe().is_some_and(|ipxe| ipxe.http()), expected.ipxe, "{file}");
    assert_eq!(options.client_identifier().is_some(), expected.identifier, "{file}");
    assert_eq!(options.u16(code::MESSAGE_SIZE_MAX), expected.size_max, "{file}");
    assert_eq!(message.broadcast_flag(), expected.broadcast, "{file}");
    assert_eq!(options.param_list().len(), expected.asks, "{file}");
    let guid = options.guid().map(|guid| guid.smbios_text());
    let boots = expected.class.is_some();
    assert_eq!(guid.as_deref(), boots.then_some("11223344-5566-7788-9900-aabbccddeeff"), "{file}");
}

#[test]
fn golden_relayed_discover_shows_its_relay() {
    let message = decoded(golden::OVMF_PXE_DISCOVER_RELAYED);
    let relay = RelayInfo::new(message.options.get(code::RELAY_INFO).unwrap());
    assert_eq!(message.giaddr, Ipv4Addr::new(10, 99, 0, 1));
    assert_eq!(message.hops, 1);
    assert_eq!(relay.circuit_id(), Some(b"ge01".as_slice()));
    assert_eq!(relay.link_selection(), Some(Ipv4Addr::new(10, 88, 0, 0)));
}

#[test]
fn golden_packets_survive_a_round_trip() {
    for (file, text) in golden::ALL {
        let message = decoded(text);
        let order: Vec<u8> = message.options.iter().map(|(code, _)| code).collect();
        let encoded = message.encode(&order, &Encoding::default()).unwrap();
        assert!(encoded.dropped.is_empty(), "{file}");
        let again = Message::decode(&encoded.bytes).unwrap();
        assert_eq!(sorted(&again), sorted(&message), "{file}");
    }
}

/// Options by code: encode puts some first.
fn sorted(message: &Message) -> (Message, Vec<(u8, Vec<u8>)>) {
    let mut options: Vec<(u8, Vec<u8>)> =
        message.options.iter().map(|(code, value)| (code, value.to_vec())).collect();
    options.sort();
    (Message { options: Default::default(), ..message.clone() }, options)
}

#[test]
fn p7_probe_text_of_a_load_balancer_is_refused() {
    assert_eq!(Message::decode(b"default send string").unwrap_err().reason(), "too_short");
    let mut long = b"default send string ".repeat(20);
    assert_eq!(Message::decode(&long).unwrap_err().reason(), "bad_op");
    long[0] = 1;
    assert_eq!(Message::decode(&long).unwrap_err().reason(), "bad_cookie");
}

/// Calls every reader: none of them may panic.
fn read_everything(message: &Message) {
    let options = &message.options;
    let _ = (
        message.mac(),
        message.hardware(),
        message.message_type(),
        message.file_name(),
        message.server_name(),
    );
    let _ =
        (options.host_name(), options.client_archs(), options.undi(), options.guid(), options.vendor_class());
    let _ = (
        options.user_classes(),
        options.ipxe(),
        options.is_ipxe(),
        options.pxe(),
        options.client_identifier(),
    );
    for (code, value) in options.iter() {
        let _ =
            (options.text(code), options.ip(code), options.u8(code), options.u16(code), options.u32(code));
        let _ = (PxeOptions::decode(value), user_classes(value), super::pxe::Ipxe::decode(value));
        let relay = RelayInfo::new(value);
        let _ = (relay.circuit_id(), relay.remote_id(), relay.link_selection(), relay.server_override());
        let _ = (relay.wants_source_port(), relay.sub_options().count());
    }
}

/// A golden packet with bytes changed, cut or added.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), any::<u8>());
    let tail = prop::collection::vec(any::<u8>(), 0..64);
    (
        0..golden::ALL.len(),
        prop::collection::vec(change, 0..16),
        any::<prop::sample::Index>(),
        any::<bool>(),
        tail,
    )
        .prop_map(|(packet, changes, cut, cutting, tail)| {
            let mut bytes = golden::bytes(golden::ALL[packet].1);
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if cutting {
                bytes.truncate(cut.index(bytes.len() + 1));
            }
            bytes.extend(tail);
            bytes
        })
}

/// Header and cookie are good, everything after is arbitrary.
fn arbitrary_options() -> impl Strategy<Value = Vec<u8>> {
    (0u8..4, prop::collection::vec(any::<u8>(), 192), prop::collection::vec(any::<u8>(), 0..600)).prop_map(
        |(overload, fields, area)| {
            let mut bytes = golden::bytes(golden::DHCLIENT_DISCOVER)[..240].to_vec();
            bytes[44..236].copy_from_slice(&fields);
            bytes.extend([52, 1, overload]);
            bytes.extend(area);
            bytes
        },
    )
}

fn any_message() -> impl Strategy<Value = Message> {
    let value = prop_oneof![
        8 => prop::collection::vec(any::<u8>(), 0..20),
        1 => prop::collection::vec(any::<u8>(), 250..530),
    ];
    let option = (
        (1u8..=254).prop_filter("52, 53, 54 and 82 have rules of their own", |code| {
            ![52, 53, 54, 82].contains(code)
        }),
        value,
    );
    let header =
        (any::<[u8; 3]>(), 0u8..=16, any::<u32>(), any::<[u16; 2]>(), any::<[u32; 4]>(), any::<[u8; 16]>());
    let fields = (any::<bool>(), any::<[u8; 32]>());
    (
        header,
        fields,
        prop::collection::vec(option, 0..12),
        prop::option::of(prop::collection::vec(any::<u8>(), 0..=255)),
    )
        .prop_map(|((small, hlen, xid, wide, addresses, chaddr), (named, text), options, relay_info)| {
            let mut message = Message::new(if small[0] & 1 == 0 { Op::BootRequest } else { Op::BootReply });
            [_, message.htype, message.hops] = small;
            message.hlen = hlen;
            message.xid = xid;
            [message.secs, message.flags] = wide;
            let [ciaddr, yiaddr, siaddr, giaddr] = addresses.map(Ipv4Addr::from);
            message.ciaddr = ciaddr;
            message.yiaddr = yiaddr;
            message.siaddr = siaddr;
            message.giaddr = giaddr;
            message.chaddr = chaddr;
            if named {
                message.file[..32].copy_from_slice(&text);
                message.sname[..32].copy_from_slice(&text);
            }
            message.options.set(code::MESSAGE_TYPE, [small[0] % 8 + 1]);
            message.options.set_ip(code::SERVER_IDENTIFIER, ciaddr);
            for (code, value) in options {
                message.options.set(code, value);
            }
            if let Some(raw) = relay_info {
                message.options.set(code::RELAY_INFO, raw);
            }
            message
        })
}

proptest! {
    #[test]
    fn decode_never_panics_on_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..700)) {
        if let Ok(message) = Message::decode(&bytes) {
            read_everything(&message);
        }
    }

    #[test]
    fn decode_never_panics_on_mutated_packets(bytes in mutated()) {
        if let Ok(message) = Message::decode(&bytes) {
            read_everything(&message);
        }
    }

    #[test]
    fn decode_never_panics_on_arbitrary_options_and_overload(bytes in arbitrary_options()) {
        if let Ok(message) = Message::decode(&bytes) {
            read_everything(&message);
        }
    }

    #[test]
    fn encode_then_decode_is_identity(message in any_message(), order in prop::collection::vec(any::<u8>(), 0..20)) {
        let roomy = Encoding { size_max: 8000, overload_file: false, overload_sname: false };
        let encoded = message.encode(&order, &roomy).unwrap();
        prop_assert!(encoded.dropped.is_empty());
        prop_assert!(encoded.bytes.len() >= 300);
        let again = Message::decode(&encoded.bytes).unwrap();
        prop_assert_eq!(sorted(&again), sorted(&message));
        prop_assert_eq!(again.encode(&order, &roomy).unwrap().bytes.len(), encoded.bytes.len());
    }

    #[test]
    fn encode_keeps_to_its_size_and_reports_what_it_left_out(
        message in any_message(), size_max in 548usize..1472, overload_file: bool, overload_sname: bool,
    ) {
        let limits = Encoding { size_max, overload_file, overload_sname };
        let encoded = message.encode(&[], &limits).unwrap();
        prop_assert!(encoded.bytes.len() <= size_max);
        let again = Message::decode(&encoded.bytes).unwrap();
        for (code, value) in message.options.iter() {
            let expected = (!encoded.dropped.contains(&code)).then_some(value);
            prop_assert_eq!(again.options.get(code), expected, "option {}", code);
        }
        prop_assert_eq!(again.options.len() + encoded.dropped.len(), message.options.len());
        prop_assert_eq!((again.file, again.sname), (message.file, message.sname));
    }

    /// R13. dhcproto's owned decoder is right about neighbours: pieces of one option in a row.
    #[test]
    fn r13_opaque_options_in_neighbouring_pieces_read_as_dhcproto_reads_them(
        code in prop::sample::select(vec![60u8, 61, 82]),
        value in prop::collection::vec(any::<u8>(), 1..=255),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 1..8),
    ) {
        let mut bytes = golden::bytes(golden::DHCLIENT_DISCOVER)[..240].to_vec();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(value.len())).collect();
        cuts.sort_unstable();
        let mut from = 0;
        for to in cuts.into_iter().chain([value.len()]) {
            bytes.push(code);
            bytes.push(u8::try_from(to - from).unwrap());
            bytes.extend_from_slice(&value[from..to]);
            from = to;
        }
        bytes.push(255);
        let ours = Message::decode(&bytes).unwrap();
        prop_assert_eq!(ours.options.get(code), Some(value.as_slice()));
        if code != code::RELAY_INFO {
            let theirs = v4::Message::from_bytes(&bytes).unwrap();
            let theirs = match theirs.opts().get(v4::OptionCode::from(code)) {
                Some(v4::DhcpOption::ClientIdentifier(bytes) | v4::DhcpOption::ClassIdentifier(bytes)) => Some(bytes.clone()),
                _ => None,
            };
            prop_assert_eq!(theirs, Some(value));
        }
    }
}

/// R13, exhaustive: one piece and eight pieces, apart from each other.
#[test]
fn r13_61_82_and_60_of_every_length_come_back_whole_and_in_pieces() {
    for code in [code::VENDOR_CLASS, code::CLIENT_IDENTIFIER, code::RELAY_INFO] {
        for len in 0..=255u8 {
            let value: Vec<u8> = (0..len).collect();
            let mut message = decoded(golden::DHCLIENT_DISCOVER);
            message.options.set(code, value.clone());
            let encoded = message.encode(&[], &Encoding::default()).unwrap();
            let again = Message::decode(&encoded.bytes).unwrap();
            assert_eq!(again.options.get(code), Some(value.as_slice()), "option {code} of {len} bytes");

            for pieces in 2..=8usize {
                let mut bytes = golden::bytes(golden::DHCLIENT_DISCOVER)[..240].to_vec();
                for piece in value.chunks(value.len().div_ceil(pieces).max(1)) {
                    bytes.extend([code, u8::try_from(piece.len()).unwrap()]);
                    bytes.extend_from_slice(piece);
                    bytes.extend([12, 1, b'x']);
                }
                let again = Message::decode(&bytes).unwrap();
                let expected = (len > 0).then_some(value.as_slice());
                assert_eq!(again.options.get(code), expected, "option {code} of {len} bytes in {pieces}");
            }
        }
    }
}

/// Each code that dhcproto knows by name comes out of its iterator under its own number.
#[test]
fn every_code_keeps_its_number() {
    let mut bytes = golden::bytes(golden::DHCLIENT_DISCOVER)[..240].to_vec();
    let codes: Vec<u8> = (1..=254).filter(|code| ![52, 53].contains(code)).collect();
    for code in &codes {
        bytes.extend([*code, 1, *code]);
    }
    let message = Message::decode(&bytes).unwrap();
    let read: Vec<(u8, Vec<u8>)> =
        message.options.iter().map(|(code, value)| (code, value.to_vec())).collect();
    assert_eq!(read, codes.iter().map(|code| (*code, vec![*code])).collect::<Vec<_>>());
}

#[test]
fn dhcproto_reads_our_offer_as_we_wrote_it() {
    let mut offer = decoded(golden::OVMF_PXE_DISCOVER).reply();
    offer.yiaddr = Ipv4Addr::new(10, 77, 0, 100);
    offer.siaddr = Ipv4Addr::new(10, 77, 0, 1);
    assert!(offer.set_file(b"snponly.efi"));
    offer.options.set(code::MESSAGE_TYPE, [MessageType::Offer.code()]);
    offer.options.set_ip(code::SERVER_IDENTIFIER, Ipv4Addr::new(10, 77, 0, 1));
    offer.options.set_u32(code::LEASE_TIME, 3600);
    offer.options.set_ips(code::ROUTER, &[Ipv4Addr::new(10, 77, 0, 1)]);
    offer.options.set(code::BOOT_FILE, b"snponly.efi\0");
    let bytes = offer.encode(&[3, 67], &Encoding::default()).unwrap().bytes;

    let theirs = v4::Message::from_bytes(&bytes).unwrap();
    assert_eq!(theirs.opcode(), v4::Opcode::BootReply);
    assert_eq!(theirs.xid(), offer.xid);
    assert_eq!(theirs.yiaddr(), offer.yiaddr);
    assert_eq!(theirs.opts().msg_type(), Some(v4::MessageType::Offer));
    let expected = v4::DhcpOption::AddressLeaseTime(3600);
    assert_eq!(theirs.opts().get(v4::OptionCode::AddressLeaseTime), Some(&expected));
    let expected = v4::DhcpOption::BootfileName(b"snponly.efi\0".to_vec());
    assert_eq!(theirs.opts().get(v4::OptionCode::BootfileName), Some(&expected));
}
