use super::*;

const OWN: MacAddr = MacAddr([0x52, 0x54, 0, 1, 2, 3]);
const ASKED: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 100);

#[test]
fn a_probe_has_no_sender_address_and_is_heard_as_nobodys() {
    let packet = request(OWN, ASKED);
    assert_eq!(packet.len(), ARP_BYTES);
    assert_eq!(packet[14..18], [0; 4]);
    assert_eq!(packet[24..], ASKED.octets());
    assert_eq!(sender(&packet), None);
}

#[test]
fn an_answer_and_any_other_word_from_the_address_say_who_uses_it() {
    for operation in [1, 2] {
        let mut packet = request(OWN, Ipv4Addr::new(10, 77, 0, 1));
        packet[7] = operation;
        packet[14..18].copy_from_slice(&ASKED.octets());
        assert_eq!(sender(&packet), Some((OWN, ASKED)));
        for len in 0..packet.len() {
            assert_eq!(sender(&packet[..len]), None, "cut to {len}");
        }
        packet[3] = 6;
        assert_eq!(sender(&packet), None, "not IPv4");
    }
}

#[test]
fn an_echo_sums_up_and_only_our_answer_counts() {
    for ident in [0, 1, 0x1234, 0xffff] {
        let packet = echo(ident);
        let sum: u32 = packet.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
        assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff, "{ident:#x}");
        let mut reply =
            [&[0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2][..], &packet].concat();
        assert!(!is_echo_reply(&reply, ident), "a request is no answer");
        reply[20] = 0;
        assert!(is_echo_reply(&reply, ident));
        assert!(!is_echo_reply(&reply, ident ^ 1));
        for len in 0..26 {
            assert!(!is_echo_reply(&reply[..len], ident));
        }
    }
}
