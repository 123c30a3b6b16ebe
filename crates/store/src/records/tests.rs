use super::*;
use proptest::prelude::*;

fn bytes(range: std::ops::Range<usize>) -> impl Strategy<Value = Arc<[u8]>> {
    proptest::collection::vec(any::<u8>(), range).prop_map(Arc::from)
}

fn leases() -> impl Strategy<Value = LeaseRecord> {
    let key = prop_oneof![
        bytes(2..256).prop_map(ClientKey::ClientId),
        (any::<u8>(), bytes(0..17)).prop_map(|(htype, address)| ClientKey::Hardware { htype, address }),
    ];
    let state =
        prop_oneof![Just(LeaseState::Bound), Just(LeaseState::Released), Just(LeaseState::Quarantined)];
    let text = || proptest::string::string_regex("(?s).{0,70}").unwrap();
    (
        (any::<[u8; 4]>(), text(), key, any::<Option<[u8; 6]>>(), any::<Option<[u8; 16]>>()),
        (
            proptest::option::of(text()),
            state,
            any::<u64>(),
            any::<u64>(),
            proptest::option::of(bytes(0..256)),
        ),
    )
        .prop_map(
            |((address, subnet, key, mac, guid), (hostname, state, granted, expires, relay_info))| {
                LeaseRecord {
                    address: address.into(),
                    subnet: subnet.into(),
                    key,
                    mac: mac.map(MacAddr),
                    guid: guid.map(MachineGuid),
                    hostname: hostname.map(Arc::from),
                    state,
                    granted: UnixTime(granted),
                    expires: UnixTime(expires),
                    relay_info,
                }
            },
        )
}

proptest! {
    #[test]
    fn whatever_a_client_sent_is_read_back_as_it_was(lease in leases()) {
        prop_assert_eq!(decode_lease(&encode_lease(&lease).unwrap()).unwrap(), lease);
    }

    #[test]
    fn decoding_never_panics(value in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode_lease(&value);
        let _ = decode_host(&value);
    }
}

#[test]
fn the_stored_form_of_a_lease_is_this() {
    let lease = LeaseRecord {
        address: [192, 0, 2, 7].into(),
        subnet: "lab".into(),
        key: ClientKey::Hardware { htype: 1, address: Arc::from(&[0x52, 0x54, 0, 0x12, 0x34, 0x56][..]) },
        mac: Some(MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56])),
        guid: Some(MachineGuid([0x11; 16])),
        hostname: Some("esx-1".into()),
        state: LeaseState::Bound,
        granted: UnixTime(1_795_219_199),
        expires: UnixTime(u64::MAX),
        relay_info: None,
    };
    let text = String::from_utf8(encode_lease(&lease).unwrap()).unwrap();
    assert_eq!(
        text,
        r#"{"v":1,"record":{"address":"192.0.2.7","subnet":"lab","key":{"hardware":{"htype":1,"address":"525400123456"}},"mac":"52:54:00:12:34:56","guid":"11111111111111111111111111111111","hostname":"esx-1","state":"bound","granted":1795219199}}"#
    );
    assert_eq!(decode_lease(text.as_bytes()).unwrap(), lease);
}

#[test]
fn a_newer_version_is_refused_by_name() {
    let error = decode_lease(br#"{"v":2,"record":{"whatever":true}}"#).unwrap_err();
    assert_eq!(error.to_string(), "lease record has version 2, this program reads up to 1");
}

#[test]
fn lease_keys_sort_by_address_and_read_back() {
    let addresses: [IpAddr; 4] =
        [[10, 0, 0, 9].into(), [10, 0, 1, 1].into(), [192, 0, 2, 1].into(), "2001:db8::1".parse().unwrap()];
    let keys: Vec<_> = addresses.iter().map(|address| lease_key(*address)).collect();
    assert!(keys.is_sorted());
    assert_eq!(keys[2], [4, 192, 0, 2, 1]);
    for (key, address) in keys.iter().zip(addresses) {
        assert_eq!(lease_address(key), Some(address));
    }
    assert_eq!(lease_address(&[4, 1, 2, 3]), None);
    assert_eq!(lease_address(&[]), None);
}

#[test]
fn hosts_and_images_are_read_back() {
    let host: Host = serde_json::from_str(r#"{"name":"web01","match":{"mac":"52:54:00:12:34:56"}}"#).unwrap();
    assert_eq!(decode_host(&encode_host(&host).unwrap()).unwrap(), host);
    assert_eq!(name_key(&host.name), b"web01");
    let image: Image =
        serde_json::from_str(r#"{"name":"rescue","kind":"linux","kernel":"vmlinuz"}"#).unwrap();
    assert_eq!(decode_image(&encode_image(&image).unwrap()).unwrap(), image);
}
