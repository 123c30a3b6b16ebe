use super::*;
use serde_json::{Value, json};

fn redfish(change: &[(&str, Value)]) -> Value {
    let mut redfish = json!({
        "url": "https://bmc.example.net",
        "user": "reveille",
        "password": {"file": "/etc/reveille/bmc"},
    });
    for (key, value) in change {
        redfish[key] = value.clone();
    }
    json!({ "redfish": redfish })
}

fn read(value: Value) -> Result<PowerSpec, String> {
    serde_json::from_value(value).map_err(|error| error.to_string())
}

#[test]
fn every_form_is_written_as_it_is_read() {
    let pin = "ab".repeat(32);
    for value in [
        redfish(&[]),
        redfish(&[("trust", json!({"sha256": pin})), ("system", json!("1")), ("login", json!("basic"))]),
        redfish(&[("trust", json!({"ca_file": "/etc/ssl/bmc.pem"})), ("password", json!({"env": "BMC"}))]),
        redfish(&[("trust", json!({"insecure": true}))]),
        json!({"wol": {}}),
        json!({"wol": {"mac": "52:54:00:12:34:56", "interface": "eth1", "broadcast": "192.0.2.255", "port": 7,
            "secure_on": {"file": "/etc/reveille/secure-on"}}}),
    ] {
        let spec = read(value.clone()).unwrap();
        assert_eq!(serde_json::to_value(&spec).unwrap(), value);
        assert_eq!(spec.faults(), []);
    }
}

#[test]
fn what_is_meant_otherwise_is_refused() {
    for (value, said) in [
        (redfish(&[("password", json!("hunter2"))]), "invalid type"),
        (redfish(&[("password", json!({}))]), "a secret is given as {file: PATH} or as {env: NAME}"),
        (redfish(&[("password", json!({"file": "/x", "env": "X"}))]), "a secret is given as"),
        (redfish(&[("password", json!({"file": "bmc"}))]), "by its whole path"),
        (redfish(&[("password", json!({"env": "A=B"}))]), "letters, digits"),
        (redfish(&[("password", json!({"value": "hunter2"}))]), "unknown field `value`"),
        (redfish(&[("trust", json!({"sha256": "ab"}))]), "not a SHA-256"),
        (redfish(&[("trust", json!({"insecure": false}))]), "leave `insecure` out"),
        (redfish(&[("trust", json!({"insecure": true, "ca_file": "/x"}))]), "trust is one of"),
        (redfish(&[("verify", json!(false))]), "unknown field `verify`"),
        (json!({"ipmi": {}}), "unknown field `ipmi`"),
        (json!({"wol": {"port": 0}}), "nonzero"),
        (json!({"wol": {"mac": "52:54"}}), "MAC"),
    ] {
        let error = read(value.clone()).expect_err(said);
        assert!(error.contains(said), "{value}: {error}");
    }
}

#[test]
fn what_serde_cannot_know_is_found_before_it_is_used() {
    for (change, at) in [
        (vec![("url", json!("bmc.example.net"))], "redfish.url"),
        (vec![("url", json!("ftp://bmc"))], "redfish.url"),
        (vec![("url", json!("https://"))], "redfish.url"),
        (vec![("url", json!("http://bmc"))], "redfish.url"),
        (vec![("url", json!("https://root:calvin@bmc"))], "redfish.url"),
        (vec![("url", json!("https://bmc/redfish/v1/Systems/1"))], "redfish.url"),
        (vec![("user", json!(""))], "redfish.user"),
        (vec![("user", json!("a:b"))], "redfish.user"),
        (vec![("system", json!(" "))], "redfish.system"),
    ] {
        let faults = read(redfish(&change)).unwrap().faults();
        assert!(faults.len() == 1 && faults[0].at == at, "{change:?}: {faults:?}");
        assert!(!format!("{faults:?}").contains("calvin"));
    }
    let open =
        redfish(&[("url", json!("http://bmc:8000/redfish/v1/")), ("trust", json!({"insecure": true}))]);
    assert_eq!(read(open).unwrap().faults(), []);
    assert_eq!(read(json!({})).unwrap().faults().len(), 1);
    let group = read(json!({"wol": {"mac": "ff:ff:ff:ff:ff:ff"}})).unwrap().faults();
    assert_eq!(group[0].at, "wol.mac");
}

#[test]
fn a_fingerprint_is_read_as_tools_print_it() {
    let plain = "0123456789abcdef".repeat(4);
    let openssl: Vec<String> = plain
        .to_uppercase()
        .as_bytes()
        .chunks(2)
        .map(|pair| String::from_utf8(pair.to_vec()).unwrap())
        .collect();
    let pin: Fingerprint = plain.parse().unwrap();
    assert_eq!(openssl.join(":").parse(), Ok(pin));
    assert_eq!(format!("{pin} {pin:?}"), format!("{plain} {plain}"));
    for wrong in ["", "ab", &"g".repeat(64), &"a".repeat(63), &"a".repeat(66), "sha256:ab"] {
        assert!(wrong.parse::<Fingerprint>().is_err(), "{wrong}");
    }
}

#[test]
fn the_schema_has_the_form_that_is_written() {
    let schema = serde_json::to_value(schemars::schema_for!(PowerSpec)).unwrap().to_string();
    for key in
        ["\"secure_on\"", "\"file\"", "\"env\"", "\"sha256\"", "\"ca_file\"", "\"insecure\"", "\"session\""]
    {
        assert!(schema.contains(key), "{key}: {schema}");
    }
    assert!(schema.contains("\"additionalProperties\":false"));
}
