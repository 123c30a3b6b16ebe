use super::*;

#[test]
fn r2_the_raw_bytes_are_kept_whatever_they_are() {
    for raw in [[1, 2, 3].as_slice(), &[], &[1, 200, 0], &[255; 255]] {
        assert_eq!(RelayInfo::new(raw).raw(), raw);
    }
}

#[test]
fn r7_link_selection_and_server_override_are_addresses() {
    let view = RelayInfo::new(&[5, 4, 10, 88, 0, 0, 11, 4, 10, 99, 0, 1, 19, 0]);
    assert_eq!(view.link_selection(), Some(Ipv4Addr::new(10, 88, 0, 0)));
    assert_eq!(view.server_override(), Some(Ipv4Addr::new(10, 99, 0, 1)));
    assert!(view.wants_source_port());
}

#[test]
fn r6_lists_that_do_not_add_up_give_nothing() {
    for raw in [[].as_slice(), &[1], &[1, 5, b'a'], &[1, 1, b'a', 2], &[1, 1, b'a', 2, 9, 0]] {
        let view = RelayInfo::new(raw);
        assert!(!view.well_formed(), "{raw:?}");
        assert_eq!(view.circuit_id(), None);
        assert_eq!(view.sub_options().count(), 0);
    }
}

#[test]
fn r6_empty_repeated_and_short_sub_options_are_ignored() {
    let view = RelayInfo::new(&[1, 0, 2, 1, b'a', 2, 1, b'b', 5, 3, 10, 0, 0, 11, 4, 0, 0, 0, 0, 19, 1, 0]);
    assert!(view.well_formed());
    assert_eq!((view.circuit_id(), view.remote_id()), (None, None));
    assert_eq!((view.link_selection(), view.server_override()), (None, None));
    assert!(!view.wants_source_port());
}

#[test]
fn r6_every_pair_of_bytes_in_front_is_harmless() {
    for code in 0..=255 {
        for len in 0..=255 {
            let raw = [code, len, 1, 2, 3, 4];
            let view = RelayInfo::new(&raw);
            let _ = (view.circuit_id(), view.remote_id(), view.link_selection(), view.server_override());
            assert_eq!(view.raw(), raw);
        }
    }
}
