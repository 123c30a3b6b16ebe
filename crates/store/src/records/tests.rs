use super::*;
use proptest::prelude::*;
use std::sync::Arc;
use types::lease::{ClientKey, LeaseRecord, LeaseState};
use types::{MacAddr, MachineGuid, UnixTime};

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
        r#"{"v":2,"record":{"address":"192.0.2.7","subnet":"lab","key":{"hardware":{"htype":1,"address":"525400123456"}},"mac":"52:54:00:12:34:56","guid":"11111111111111111111111111111111","hostname":"esx-1","state":"bound","granted":1795219199}}"#
    );
    assert_eq!(decode_lease(text.as_bytes()).unwrap(), lease);
}

#[test]
fn a_newer_version_is_refused_by_name() {
    let error = decode_lease(br#"{"v":3,"record":{"whatever":true}}"#).unwrap_err();
    assert_eq!(error.to_string(), "lease record has version 3, this program reads up to 2");
    let error = decode_host(br#"{"v":3,"record":{"whatever":true}}"#).unwrap_err();
    assert_eq!(error.to_string(), "host record has version 3, this program reads up to 2");
}

/// A lease as version 1 wrote it, with these times.
fn version_1(times: &str) -> Vec<u8> {
    format!(
        r#"{{"v":1,"record":{{"address":"192.0.2.7","subnet":"lab","key":{{"client_id":"01ff"}},"state":"bound",{times}}}}}"#
    )
    .into_bytes()
}

#[test]
fn a_lease_of_version_1_is_read_and_written_as_version_2_with_its_length() {
    let lease = decode_lease(&version_1(r#""granted":1000,"expires":4600"#)).unwrap();
    assert_eq!((lease.granted, lease.expires), (UnixTime(1000), UnixTime(4600)));
    let text = String::from_utf8(encode_lease(&lease).unwrap()).unwrap();
    assert!(text.starts_with(r#"{"v":2,"#) && text.contains(r#""lease_secs":3600"#), "{text}");
    assert_eq!(decode_lease(text.as_bytes()).unwrap(), lease);
    let infinite = decode_lease(&version_1(r#""granted":1000"#)).unwrap();
    assert_eq!(infinite.expires, UnixTime(u64::MAX));
    assert!(!String::from_utf8(encode_lease(&infinite).unwrap()).unwrap().contains("lease_secs"));
}

#[test]
fn a_lease_whose_length_contradicts_its_times_is_refused() {
    let text = String::from_utf8(version_1(r#""granted":1000,"expires":4600,"lease_secs":3601"#)).unwrap();
    let error = decode_lease(text.replace(r#""v":1"#, r#""v":2"#).as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "lease record has a bad lease_secs");
    let missing = text.replace(r#""v":1"#, r#""v":2"#).replace(r#","lease_secs":3601"#, "");
    assert!(matches!(
        decode_lease(missing.as_bytes()),
        Err(RecordError::BadField { field: "lease_secs", .. })
    ));
}

#[test]
fn what_is_no_record_of_its_old_version_is_refused_by_the_step_that_meets_it() {
    for (times, field) in [(r#""granted":"x""#, "granted"), (r#""granted":1,"expires":-5"#, "expires")] {
        let error = decode_lease(&version_1(times)).unwrap_err();
        assert!(matches!(error, RecordError::BadField { field: found, .. } if found == field), "{error}");
    }
    assert!(decode_lease(br#"{"v":1,"record":[]}"#).is_err());
    assert!(decode_lease(br#"{"v":0,"record":{}}"#).is_err(), "versions begin at 1");
}

#[test]
fn steps_follow_each_other_from_whatever_version_a_record_has() {
    fn add(record: &mut Value, digit: u64) -> Result<(), RecordError> {
        *record = (record.as_u64().unwrap_or_default() * 10 + digit).into();
        Ok(())
    }
    const KIND: Kind = Kind { name: "number", steps: &[|it| add(it, 2), |it| add(it, 3), |it| add(it, 4)] };
    assert_eq!(KIND.version(), 4);
    for (value, expected) in
        [(r#"{"v":1,"record":1}"#, 1234), (r#"{"v":3,"record":3}"#, 34), (r#"{"v":4,"record":4}"#, 4)]
    {
        assert_eq!(KIND.decode::<u64>(value.as_bytes()).unwrap(), expected);
    }
    assert_eq!(KIND.decode::<u64>(&KIND.encode(&7u64).unwrap()).unwrap(), 7);
    assert!(matches!(
        KIND.decode::<u64>(br#"{"v":5,"record":{}}"#),
        Err(RecordError::Newer { known: 4, .. })
    ));
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

#[test]
fn one_pass_or_two_say_the_same() {
    #[derive(Serialize, Deserialize, PartialEq, Eq, Debug)]
    struct Thing {
        a: u32,
    }
    const KIND: Kind = Kind { name: "thing", steps: &[|_| Ok(())] };
    let read = |text: &str| KIND.decode::<Thing>(text.as_bytes());
    for sound in [
        r#"{"v":2,"record":{"a":7}}"#,
        r#"{"record":{"a":7},"v":2}"#,
        r#" {"v":2,"x":[{}],"record":{"a":7,"b":1}} "#,
        // In the form of version 2, and one all the same.
        r#"{"v":1,"record":{"a":7}}"#,
    ] {
        assert_eq!(read(sound).unwrap(), Thing { a: 7 }, "{sound}");
    }
    for newer in [r#"{"v":3,"record":{"a":7}}"#, r#"{"v":3}"#, r#"{"record":0,"v":3}"#] {
        assert!(matches!(read(newer), Err(RecordError::Newer { found: 3, known: 2, .. })), "{newer}");
        assert!(matches!(decode::<Thing>("thing", 2, newer.as_bytes()), Err(RecordError::Newer { .. })));
    }
    let zero = r#"{"v":0,"record":{"a":7}}"#;
    assert!(matches!(read(zero), Err(RecordError::BadField { field: "v", .. })));
    for malformed in [
        r#"{"v":2}"#,
        r#"{"record":{"a":7}}"#,
        r#"{"v":2,"record":{}}"#,
        r#"{"v":2,"v":2,"record":{"a":7}}"#,
        r#"{"v":2,"record":{"a":7},"record":{"a":7}}"#,
        r#"{"v":2,"record":{"a":7}}x"#,
        "",
    ] {
        assert!(matches!(read(malformed), Err(RecordError::Malformed { .. })), "{malformed}");
        assert!(matches!(
            decode::<Thing>("thing", 2, malformed.as_bytes()),
            Err(RecordError::Malformed { .. })
        ));
    }
}
