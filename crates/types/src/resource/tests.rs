use super::*;

#[test]
fn names_are_dns_labels() {
    for good in ["a", "esx-r12-07", "debian-12", "0", &"a".repeat(63)] {
        assert!(good.parse::<Name>().is_ok(), "{good}");
    }
    for bad in ["", "-a", "a-", "A", "a.b", "a/b", "a_b", "ä", &"a".repeat(64)] {
        assert!(bad.parse::<Name>().is_err(), "{bad}");
    }
}

#[test]
fn host_takes_one_mac_or_several_and_writes_the_shorter_form() {
    let one = r#"{"name":"web01","match":{"mac":"52:54:00:12:34:56"}}"#;
    let host: Host = serde_json::from_str(one).unwrap();
    assert_eq!(serde_json::to_string(&host).unwrap(), one);
    let two =
        r#"{"name":"web01","match":{"mac":["52:54:00:12:34:56","52:54:00:12:34:57"]},"image":"debian"}"#;
    let host: Host = serde_json::from_str(two).unwrap();
    assert_eq!(host.identity.mac.0.len(), 2);
    assert_eq!(serde_json::to_string(&host).unwrap(), two);
}

#[test]
fn unknown_keys_are_refused() {
    assert!(serde_json::from_str::<Host>(r#"{"name":"a","match":{},"colour":"red"}"#).is_err());
}

#[test]
fn a_fault_in_one_or_many_is_told_by_the_value() {
    for text in [r#"{"name":"a","match":{"mac":"52:54"}}"#, r#"{"name":"a","match":{"mac":["52:54"]}}"#] {
        let message = serde_json::from_str::<Host>(text).unwrap_err().to_string();
        assert!(message.contains("six hex pairs"), "{message}");
    }
}
