use super::*;
use crate::wire::golden;

fn discover() -> Vec<u8> {
    golden::bytes(golden::OVMF_PXE_DISCOVER)
}

fn with(at: usize, byte: u8) -> Result<Message, DecodeError> {
    let mut bytes = discover();
    bytes[at] = byte;
    Message::decode(&bytes)
}

#[test]
fn d1_a_datagram_shorter_than_header_and_cookie_is_refused() {
    let bytes = discover();
    for len in 0..240 {
        assert_eq!(Message::decode(&bytes[..len]), Err(DecodeError::TooShort { len }));
    }
    assert!(Message::decode(&bytes[..240]).is_ok());
}

#[test]
fn d1_a_datagram_longer_than_a_jumbo_frame_is_refused() {
    let mut bytes = discover();
    bytes.resize(MESSAGE_BYTES_MAX, 0);
    assert!(Message::decode(&bytes).is_ok());
    bytes.push(0);
    assert_eq!(Message::decode(&bytes), Err(DecodeError::TooLong { len: MESSAGE_BYTES_MAX + 1 }));
}

#[test]
fn d1_op_is_request_or_reply() {
    assert_eq!(with(0, 2).unwrap().op, Op::BootReply);
    for op in [0, 3, 255] {
        assert_eq!(with(0, op), Err(DecodeError::BadOp { op }));
    }
}

#[test]
fn d1_a_hardware_length_over_sixteen_is_refused() {
    assert_eq!(with(2, 16).unwrap().hardware().len(), 16);
    for hlen in [17, 100, 255] {
        assert_eq!(with(2, hlen), Err(DecodeError::HardwareLength { hlen }));
    }
}

#[test]
fn d1_without_the_magic_cookie_it_is_refused() {
    for at in 236..240 {
        assert_eq!(with(at, 0), Err(DecodeError::BadCookie));
    }
}

#[test]
fn only_six_bytes_of_ethernet_are_a_mac() {
    assert_eq!(with(2, 6).unwrap().mac().unwrap().to_string(), "52:54:00:12:34:56");
    assert_eq!(with(2, 5).unwrap().mac(), None);
    assert!(with(2, 0).unwrap().hardware().is_empty());
    assert_eq!(with(1, 32).unwrap().mac(), None);
}

#[test]
fn header_fields_stand_where_the_table_says() {
    let mut bytes = discover();
    for (at, byte) in bytes.iter_mut().enumerate().take(236).skip(3) {
        *byte = u8::try_from(at).unwrap();
    }
    let message = Message::decode(&bytes).unwrap();
    assert_eq!(message.hops, 3);
    assert_eq!(message.xid, 0x0405_0607);
    assert_eq!((message.secs, message.flags), (0x0809, 0x0a0b));
    let addresses =
        [message.ciaddr, message.yiaddr, message.siaddr, message.giaddr].map(|address| address.octets());
    assert_eq!(addresses, [[12, 13, 14, 15], [16, 17, 18, 19], [20, 21, 22, 23], [24, 25, 26, 27]]);
    assert_eq!((message.chaddr[0], message.chaddr[15]), (28, 43));
    assert_eq!((message.sname[0], message.sname[63]), (44, 107));
    assert_eq!((message.file[0], message.file[127]), (108, 235));
}

#[test]
fn d2_a_reply_takes_over_what_table_3_says_and_nothing_else() {
    let mut request = Message::decode(&discover()).unwrap();
    request.hops = 3;
    request.secs = 9;
    request.ciaddr = Ipv4Addr::new(10, 0, 0, 9);
    request.giaddr = Ipv4Addr::new(10, 0, 0, 1);
    let reply = request.reply();
    assert_eq!(reply.op, Op::BootReply);
    assert_eq!((reply.xid, reply.flags, reply.giaddr), (request.xid, request.flags, request.giaddr));
    assert_eq!((reply.chaddr, reply.htype, reply.hlen), (request.chaddr, request.htype, request.hlen));
    assert_eq!((reply.hops, reply.secs, reply.ciaddr), (0, 0, Ipv4Addr::UNSPECIFIED));
    assert!(reply.options.is_empty());
}

#[test]
fn d29_a_message_type_that_is_not_one_byte_is_refused() {
    let mut bytes = discover()[..240].to_vec();
    bytes.extend([53, 2, 1, 1, 255]);
    assert_eq!(Message::decode(&bytes), Err(DecodeError::MessageTypeLength { len: 2 }));
    bytes.truncate(240);
    bytes.extend([53, 0, 255]);
    assert_eq!(Message::decode(&bytes), Err(DecodeError::MessageTypeLength { len: 0 }));
}

#[test]
fn unknown_message_types_have_no_name_but_their_byte() {
    let mut bytes = discover()[..240].to_vec();
    bytes.extend([53, 1, 9, 255]);
    let forcerenew = Message::decode(&bytes).unwrap();
    assert_eq!(forcerenew.message_type(), None);
    assert!(forcerenew.options.has(code::MESSAGE_TYPE));
}

#[test]
fn names_in_header_fields_end_in_nul_or_are_not_taken() {
    let mut message = Message::new(Op::BootReply);
    assert!(message.set_file(b"ipxe.efi"));
    assert_eq!(message.file_name(), b"ipxe.efi");
    assert!(message.set_file(b"x"));
    assert_eq!(message.file_name(), b"x");
    assert!(message.set_file(&[b'a'; 127]));
    assert!(!message.set_file(&[b'b'; 128]));
    assert!(!message.set_file(b"a\0b"));
    assert_eq!(message.file_name(), [b'a'; 127]);
    assert!(message.set_server_name(&[b's'; 63]));
    assert!(!message.set_server_name(&[b's'; 64]));
}

#[test]
fn every_refusal_has_its_own_reason() {
    let all = [
        DecodeError::TooShort { len: 0 },
        DecodeError::TooLong { len: 0 },
        DecodeError::BadOp { op: 0 },
        DecodeError::HardwareLength { hlen: 0 },
        DecodeError::BadCookie,
        DecodeError::OptionOverrun { code: 0 },
        DecodeError::MessageTypeLength { len: 0 },
    ];
    assert_eq!(all.map(|error| error.reason()), DecodeError::REASONS);
}
