use super::*;
use crate::wire::{Packet, decode, read_request};
use proptest::prelude::*;

const GENEROUS: Policy =
    Policy { blksize_max: BLKSIZE_MAX, windowsize_max: u16::MAX, in_flight_bytes_max: u32::MAX };

fn settle_mode(
    mode: &str,
    options: &[(&str, &str)],
    size: u64,
    policy: &Policy,
) -> (Negotiated, Vec<(String, String)>) {
    let packet = read_request("x", mode, options);
    let Ok(Packet::Rrq(request)) = decode(&packet) else { panic!() };
    let negotiated = negotiate(&request, size, policy);
    let listed = match &negotiated.oack {
        None => Vec::new(),
        Some(packet) => {
            let Ok(Packet::Oack(options)) = decode(packet) else { panic!() };
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            options.into_iter().map(|(name, value)| (text(name), text(value))).collect()
        }
    };
    (negotiated, listed)
}

fn settle(options: &[(&str, &str)], policy: &Policy) -> (Negotiated, Vec<(String, String)>) {
    settle_mode("octet", options, 5_000_000_000, policy)
}

fn pairs(listed: &[(String, String)]) -> Vec<(&str, &str)> {
    listed.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[test]
fn t9_names_are_caseless_unknown_ones_ignored_and_only_what_was_asked_is_listed() {
    let (negotiated, listed) =
        settle(&[("BlkSize", "1000"), ("multicast", ""), ("rollover", "0"), ("x", "y")], &Policy::default());
    assert_eq!(pairs(&listed), [("BlkSize", "1000")]);
    assert_eq!((negotiated.blksize, negotiated.windowsize), (1000, 1));
}

#[test]
fn t9_without_an_accepted_option_there_is_no_oack() {
    assert_eq!(settle(&[], &Policy::default()).0.oack, None);
    assert_eq!(settle(&[("foo", "1"), ("blksize", "abc")], &Policy::default()).0.oack, None);
}

#[test]
fn t10_blksize_is_answered_at_most_as_asked_and_within_the_policy() {
    for (asked, answered) in [("8", 8), ("512", 512), ("1468", 1468), ("65464", 1468), ("1469", 1468)] {
        let (negotiated, listed) = settle(&[("blksize", asked)], &Policy::default());
        assert_eq!(negotiated.blksize, answered);
        assert_eq!(pairs(&listed), [("blksize", answered.to_string().as_str())]);
    }
    assert_eq!(settle(&[("blksize", "65464")], &GENEROUS).0.blksize, 65_464);
}

#[test]
fn t10_junk_values_leave_the_option_out() {
    for junk in [
        "",
        "0",
        "7",
        "-1",
        "+512",
        "abc",
        "0x200",
        "65465",
        "99999999999999999999",
        " 512",
        "512 ",
        "1e3",
        "٥١٢",
    ] {
        let (negotiated, listed) = settle(&[("blksize", junk)], &GENEROUS);
        assert_eq!((negotiated.blksize, listed.len()), (512, 0), "{junk}");
    }
}

#[test]
fn t11_timeout_is_echoed_unchanged_or_left_out() {
    for (asked, accepted) in
        [("1", true), ("255", true), ("0", false), ("256", false), ("-1", false), ("x", false)]
    {
        let (negotiated, listed) = settle(&[("timeout", asked)], &Policy::default());
        assert_eq!(negotiated.timeout.is_some(), accepted);
        assert_eq!(pairs(&listed), if accepted { vec![("timeout", asked)] } else { vec![] });
    }
}

#[test]
fn t11_tsize_tells_the_true_size_in_octet_mode_and_is_left_out_in_netascii() {
    let (negotiated, listed) = settle(&[("tsize", "0")], &Policy::default());
    assert_eq!(pairs(&listed), [("tsize", "5000000000")]);
    assert!(negotiated.tells_size);
    let (negotiated, listed) =
        settle_mode("netascii", &[("tsize", "0"), ("blksize", "600")], 10, &Policy::default());
    assert_eq!(pairs(&listed), [("blksize", "600")]);
    assert!(!negotiated.tells_size);
    assert!(settle(&[("tsize", "many")], &Policy::default()).1.is_empty());
}

#[test]
fn t12_windowsize_is_answered_at_most_as_asked() {
    for (asked, answered) in [("1", 1), ("4", 4), ("64", 64), ("65535", 64)] {
        let (negotiated, listed) = settle(&[("windowsize", asked)], &Policy::default());
        assert_eq!(negotiated.windowsize, answered);
        assert_eq!(pairs(&listed), [("windowsize", answered.to_string().as_str())]);
    }
    for junk in ["0", "65536", "-4", "four"] {
        assert_eq!(settle(&[("windowsize", junk)], &GENEROUS).0.windowsize, 1);
    }
}

#[test]
fn t13_window_times_block_is_capped_and_never_below_one_block() {
    let policy = Policy { in_flight_bytes_max: 100_000, ..GENEROUS };
    assert_eq!(settle(&[("blksize", "1000"), ("windowsize", "65535")], &policy).0.windowsize, 100);
    assert_eq!(settle(&[("windowsize", "65535"), ("blksize", "65464")], &policy).0.windowsize, 1);
    let tiny = Policy { in_flight_bytes_max: 0, windowsize_max: 0, blksize_max: 0 };
    let (negotiated, _) = settle(&[("windowsize", "9"), ("blksize", "1468")], &tiny);
    assert_eq!((negotiated.windowsize, negotiated.blksize), (1, 8));
}

#[test]
fn t12_a_window_never_spans_so_many_numbers_that_an_old_ack_looks_new() {
    let (negotiated, listed) = settle(&[("blksize", "8"), ("windowsize", "65535")], &GENEROUS);
    assert_eq!(negotiated.windowsize, WINDOWSIZE_MAX);
    assert_eq!(pairs(&listed), [("blksize", "8"), ("windowsize", "16384")]);
}

#[test]
fn p23_a_block_fits_the_mtu_with_its_headers() {
    for (mtu, asked, answered) in [
        (1500, "1468", 1468),
        (1450, "1468", 1418),
        (1450, "1000", 1000),
        (576, "65464", 544),
        (65_536, "1468", 1468),
        (0, "512", 8),
    ] {
        let policy = Policy::default().within_mtu(mtu);
        assert_eq!(settle(&[("blksize", asked)], &policy).0.blksize, answered, "{mtu}");
    }
}

proptest! {
    #[test]
    fn any_values_negotiate_within_bounds(
        blksize in "[0-9a-z-]{0,6}", windowsize in "[0-9]{0,6}", timeout in "[0-9]{0,4}", size in any::<u64>(),
    ) {
        let options = [("blksize", blksize.as_str()), ("windowsize", &windowsize), ("timeout", &timeout), ("tsize", "0")];
        let packet = read_request("x", "octet", &options);
        let Ok(Packet::Rrq(request)) = decode(&packet) else { panic!() };
        let policy = Policy::default();
        let negotiated = negotiate(&request, size, &policy);
        prop_assert!((8..=policy.blksize_max).contains(&negotiated.blksize));
        prop_assert!((1..=policy.windowsize_max).contains(&negotiated.windowsize));
        prop_assert!(u32::from(negotiated.blksize) * u32::from(negotiated.windowsize) <= policy.in_flight_bytes_max);
        prop_assert!(negotiated.oack.is_some_and(|packet| packet.len() <= 512));
    }
}
