use super::*;
use crate::wire::golden;
use std::net::Ipv4Addr;

fn offer() -> Message {
    let mut offer = Message::decode(&golden::bytes(golden::OVMF_PXE_DISCOVER)).unwrap().reply();
    offer.options.set(code::SUBNET_MASK, [255, 255, 255, 0]);
    offer.options.set_ip(code::SERVER_IDENTIFIER, Ipv4Addr::new(10, 77, 0, 1));
    offer.options.set(code::MESSAGE_TYPE, [2]);
    offer.options.set_u32(code::LEASE_TIME, 3600);
    offer
}

/// Codes of the option field as written, split options repeated.
fn codes(area: &[u8]) -> Vec<u8> {
    let mut codes = Vec::new();
    let mut rest = area;
    while let [code, after @ ..] = rest {
        rest = match code {
            0 => after,
            255 => {
                codes.push(255);
                break;
            }
            code => {
                codes.push(*code);
                &after[1 + usize::from(after[0])..]
            }
        };
    }
    codes
}

fn field_codes(encoded: &Encoded) -> Vec<u8> {
    codes(&encoded.bytes[240..])
}

#[test]
fn d23_the_asked_order_is_kept_after_what_must_come_first() {
    let mut offer = offer();
    for code in [60, 3, 15, 6, 97] {
        offer.options.set(code, [10, 77, 0, 1]);
    }
    let encoded = offer.encode(&[15, 3, 1, 15, 6, 99, 53], &Encoding::default()).unwrap();
    assert_eq!(field_codes(&encoded), [53, 54, 51, 1, 15, 3, 6, 60, 97, 255]);
}

#[test]
fn d23_the_subnet_mask_comes_before_routers_even_when_asked_after() {
    let mut offer = offer();
    offer.options.set(3, [10, 77, 0, 1]);
    let codes = field_codes(&offer.encode(&[3, 1], &Encoding::default()).unwrap());
    assert!(codes.iter().position(|code| *code == 1) < codes.iter().position(|code| *code == 3));
}

#[test]
fn d24_the_size_follows_option_57_the_mtu_and_576() {
    let size = |asked, mtu| Encoding::for_client(asked, mtu).size_max;
    assert_eq!(size(None, 1500), 548);
    assert_eq!(size(Some(0), 1500), 548);
    assert_eq!(size(Some(575), 1500), 548);
    assert_eq!(size(Some(1472), 1500), 1444);
    assert_eq!(size(Some(65280), 1500), 1472);
    assert_eq!(size(Some(65280), 9000), 1472);
    assert_eq!(size(Some(1472), 1000), 972);
    assert_eq!(size(Some(1472), 68), 548);
}

#[test]
fn d24_what_does_not_fit_is_left_out_and_reported_and_what_boots_stays() {
    let mut offer = offer();
    offer.options.set(119, vec![b's'; 200]);
    offer.options.set(43, [6, 1, 8, 255]);
    offer.options.set(67, vec![b'u'; 200]);
    offer.options.set(97, [0; 17]);
    let encoded = offer.encode(&[119], &Encoding::default()).unwrap();
    assert_eq!(encoded.dropped, [119]);
    assert!(encoded.bytes.len() <= 548);
    assert_eq!(field_codes(&encoded), [53, 54, 51, 1, 43, 67, 97, 255]);
}

#[test]
fn d25_overflow_goes_to_file_then_sname_and_each_area_ends() {
    let mut offer = offer();
    offer.options.set(67, vec![b'u'; 240]);
    offer.options.set(119, vec![b's'; 120]);
    offer.options.set(15, vec![b'd'; 50]);
    let limits = Encoding { overload_file: true, overload_sname: true, ..Encoding::default() };
    let encoded = offer.encode(&[], &limits).unwrap();
    assert!(encoded.dropped.is_empty());
    assert_eq!(field_codes(&encoded), [53, 54, 51, 1, 67, 52, 255]);
    assert_eq!(codes(&encoded.bytes[108..236]), [119, 255]);
    assert_eq!(codes(&encoded.bytes[44..108]), [15, 255]);
    let at = encoded.bytes.windows(3).position(|option| option == [52, 1, 3]);
    assert!(at.is_some_and(|at| at > 240));
    let again = Message::decode(&encoded.bytes).unwrap();
    assert_eq!(again.options.get(119), Some([b's'; 120].as_slice()));
    assert_eq!((again.file, again.sname), ([0; 128], [0; 64]));
}

#[test]
fn d25_option_52_names_the_areas_really_used() {
    let mut offer = offer();
    offer.options.set(67, vec![b'u'; 240]);
    offer.options.set(15, vec![b'd'; 60]);
    let file_only = Encoding { overload_file: true, ..Encoding::default() };
    let bytes = offer.encode(&[], &file_only).unwrap().bytes;
    assert!(bytes[240..].windows(3).any(|option| option == [52, 1, 1]));
    let sname_only = Encoding { overload_sname: true, ..Encoding::default() };
    let bytes = offer.encode(&[], &sname_only).unwrap().bytes;
    assert!(!bytes[240..].windows(3).any(|option| option == [52, 1, 1] || option == [52, 1, 3]));
    let again = Message::decode(&bytes).unwrap();
    assert_eq!(again.options.get(15).map(<[u8]>::len), Some(60));
}

#[test]
fn d25_a_header_field_in_use_is_never_overloaded() {
    let mut offer = offer();
    assert!(offer.set_file(b"undionly.kpxe"));
    offer.options.set(67, vec![b'u'; 240]);
    offer.options.set(119, vec![b's'; 120]);
    let limits = Encoding { overload_file: true, overload_sname: true, ..Encoding::default() };
    let encoded = offer.encode(&[], &limits).unwrap();
    assert_eq!(encoded.dropped, [119]);
    assert!(encoded.bytes[108..].starts_with(b"undionly.kpxe\0"));
}

#[test]
fn d25_without_need_there_is_no_overload() {
    let limits = Encoding { overload_file: true, overload_sname: true, ..Encoding::default() };
    assert!(!field_codes(&offer().encode(&[], &limits).unwrap()).contains(&52));
}

#[test]
fn d27_every_message_ends_and_is_padded_to_300_bytes() {
    let bytes = offer().encode(&[], &Encoding::default()).unwrap().bytes;
    assert_eq!(bytes.len(), 300);
    let end = 240 + 3 + 6 + 6 + 6;
    assert_eq!(bytes[end], 255);
    assert!(bytes[end + 1..].iter().all(|byte| *byte == 0));
    let empty = Message::new(Op::BootReply).encode(&[], &Encoding::default()).unwrap().bytes;
    assert_eq!((empty.len(), empty[240]), (300, 255));
}

#[test]
fn r2_option_82_is_last_byte_for_byte_and_in_the_option_field() {
    let raw: Vec<u8> = (0..100).collect();
    let mut offer = offer();
    offer.options.set(82, raw.clone());
    offer.options.set(67, vec![b'u'; 170]);
    offer.options.set(119, vec![b's'; 100]);
    let limits = Encoding { overload_file: true, overload_sname: true, ..Encoding::default() };
    let encoded = offer.encode(&[82, 67], &limits).unwrap();
    assert_eq!(field_codes(&encoded), [53, 54, 51, 1, 67, 52, 82, 255]);
    assert_eq!(Message::decode(&encoded.bytes).unwrap().options.get(82), Some(raw.as_slice()));
}

#[test]
fn r2_option_82_is_not_added() {
    assert!(!field_codes(&offer().encode(&[82], &Encoding::default()).unwrap()).contains(&82));
}

#[test]
fn r3_option_82_survives_size_pressure() {
    let raw = vec![9; 255];
    let mut offer = offer();
    offer.options.set(82, raw.clone());
    offer.options.set(67, vec![b'u'; 100]);
    offer.options.set(60, b"PXEClient");
    let encoded = offer.encode(&[], &Encoding::default()).unwrap();
    assert_eq!(encoded.dropped, [67]);
    let again = Message::decode(&encoded.bytes).unwrap();
    assert_eq!(again.options.get(82), Some(raw.as_slice()));
    assert_eq!(again.options.get(60), Some(b"PXEClient".as_slice()));
}

#[test]
fn r12_long_values_are_split_but_never_53_or_82() {
    let mut offer = offer();
    offer.options.set(67, vec![b'u'; 600]);
    let roomy = Encoding::for_client(Some(1500), 1500);
    let encoded = offer.encode(&[67], &roomy).unwrap();
    assert_eq!(field_codes(&encoded), [53, 54, 51, 1, 67, 67, 67, 255]);
    assert_eq!(Message::decode(&encoded.bytes).unwrap().options.get(67).map(<[u8]>::len), Some(600));
    for code in [53, 82] {
        let mut offer = self::offer();
        offer.options.set(code, vec![1; 256]);
        assert_eq!(offer.encode(&[], &roomy), Err(EncodeError::Unsplittable { code, len: 256 }));
    }
}

#[test]
fn r12_values_at_the_split_keep_their_length() {
    for len in [0, 1, 254, 255, 256, 509, 510, 511] {
        let mut offer = offer();
        offer.options.set(43, vec![7; len]);
        let encoded = offer.encode(&[], &Encoding::for_client(Some(1500), 1500)).unwrap();
        assert_eq!(Message::decode(&encoded.bytes).unwrap().options.get(43).map(<[u8]>::len), Some(len));
    }
}

#[test]
fn a_reply_that_cannot_be_whole_is_an_error() {
    let tiny = |size_max| Encoding { size_max, ..Encoding::default() };
    assert_eq!(offer().encode(&[], &tiny(240)), Err(EncodeError::NoRoom { code: 82 }));
    assert_eq!(offer().encode(&[], &tiny(241)), Err(EncodeError::NoRoom { code: 53 }));
    assert_eq!(offer().encode(&[], &tiny(244)), Err(EncodeError::NoRoom { code: 54 }));
    let bad = Message { hlen: 17, ..offer() };
    assert_eq!(bad.encode(&[], &Encoding::default()), Err(EncodeError::HardwareLength { hlen: 17 }));
}

#[test]
fn d24_no_mix_of_lengths_exceeds_the_size_with_or_without_overload() {
    for (overload_file, overload_sname) in [(false, false), (true, false), (false, true), (true, true)] {
        let limits = Encoding { overload_file, overload_sname, ..Encoding::default() };
        for first in 0..300 {
            let mut offer = offer();
            offer.options.set(67, vec![b'u'; first]);
            offer.options.set(119, vec![b's'; 40]);
            offer.options.set(15, vec![b'd'; 125]);
            offer.options.set(12, vec![b'h'; 61]);
            let encoded = offer.encode(&[], &limits).unwrap();
            assert!(encoded.bytes.len() <= 548, "{first} bytes, {limits:?}");
            let again = Message::decode(&encoded.bytes).unwrap();
            assert_eq!(again.options.len() + encoded.dropped.len(), offer.options.len());
        }
    }
}

#[test]
fn d25_an_option_that_leaves_no_room_for_the_end_of_its_area_does_not_go_there() {
    let full = |code, len, limits: &Encoding| {
        let mut offer = offer();
        offer.options.set(67, vec![b'u'; 270]);
        offer.options.set(code, vec![b'x'; len]);
        offer.encode(&[], limits).unwrap()
    };
    let file = Encoding { overload_file: true, ..Encoding::default() };
    let sname = Encoding { overload_sname: true, ..Encoding::default() };
    let fits = full(119, 125, &file);
    assert_eq!((fits.bytes[235], fits.dropped.len()), (255, 0));
    assert_eq!(full(119, 126, &file).dropped, [119]);
    let fits = full(119, 61, &sname);
    assert_eq!((fits.bytes[107], fits.dropped.len()), (255, 0));
    assert_eq!(full(119, 62, &sname).dropped, [119]);
}

#[test]
fn the_message_type_never_leaves_the_option_field() {
    let limits = Encoding { size_max: 244, overload_file: true, overload_sname: true };
    assert_eq!(offer().encode(&[], &limits), Err(EncodeError::NoRoom { code: 53 }));
}
