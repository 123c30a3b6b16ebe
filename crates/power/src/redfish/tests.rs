use super::*;
use serde_json::{Value, json};

pub(super) fn system(value: Value) -> System {
    System::parse(value.as_object().expect("an object"), None)
}

#[test]
fn a_system_is_taken_as_far_as_it_goes() {
    let full = system(json!({
        "Id": "1", "Name": "System", "Manufacturer": "Maker", "Model": "M1", "SerialNumber": " S1 ",
        "UUID": "11223344-5566-7788-99AA-BBCCDDEEFF00", "PowerState": "PoweringOn", "@odata.etag": "W/\"7\"",
        "Boot": {"BootSourceOverrideTarget": "None", "BootSourceOverrideEnabled": "Disabled",
            "BootSourceOverrideMode": "UEFI", "HttpBootUri": null,
            "BootSourceOverrideTarget@Redfish.AllowableValues": ["None", "Pxe", 7, "Hdd"]},
        "Actions": {"#ComputerSystem.Reset": {"target": "/x", "ResetType@Redfish.AllowableValues": ["On"]}},
        "@Redfish.Settings": {"SettingsObject": {"@odata.id": "/s"}},
    }));
    assert_eq!(
        (full.id.as_str(), full.serial.as_deref(), full.power),
        ("1", Some("S1"), PowerState::PoweringOn)
    );
    assert_eq!(full.boot.targets, ["None", "Pxe", "Hdd"]);
    assert!(full.boot.has_http_uri && full.boot.http_uri.is_none());
    assert_eq!(full.reset.as_ref().unwrap().offered, ["On"]);
    assert_eq!((full.settings.as_deref(), full.etag.as_deref()), (Some("/s"), Some("W/\"7\"")));
    assert_eq!(full.describe(), "system `1`, Maker M1, serial S1, UUID 11223344-5566-7788-99AA-BBCCDDEEFF00");
    for name in
        ["1", " 1 ", "s1", "11223344-5566-7788-99aa-bbccddeeff00", "44332211-6655-8877-99aa-bbccddeeff00"]
    {
        assert!(full.is_called(name), "{name}");
    }
    assert!(!full.is_called("2") && !full.is_called(""));
}

#[test]
fn what_has_another_shape_is_not_there() {
    for odd in [
        json!({}),
        json!({"Id": 7, "Boot": [], "Actions": "x", "PowerState": {}, "UUID": [1], "@Redfish.Settings": 1}),
        json!({"Boot": {"BootSourceOverrideTarget@Redfish.AllowableValues": {"a": 1}},
            "Actions": {"#ComputerSystem.Reset": {"target": 7}}, "@odata.etag": "\"a\r\nX-Evil: 1\""}),
        json!({"Actions": {"#ComputerSystem.Reset": null}, "Id": "\u{0}\u{7}"}),
    ] {
        let system = system(odd.clone());
        assert_eq!(
            (system.id.as_str(), system.power, system.reset.clone()),
            ("", PowerState::Unknown, None),
            "{odd}"
        );
        assert_eq!((system.boot.targets.len(), system.etag), (0, None), "{odd}");
    }
    let many: Vec<String> = (0..1000).map(|n| format!("T{n}")).collect();
    let long = system(json!({"Id": "x".repeat(5000),
        "Boot": {"BootSourceOverrideTarget@Redfish.AllowableValues": many}}));
    assert_eq!((long.id.len(), long.boot.targets.len()), (crate::limits::TEXT_CHARS_MAX, 64));
}

#[test]
fn a_machine_is_the_same_by_uuid_in_either_order_or_by_serial() {
    use Sameness::{Other, Same, Unknown};
    const UUID: &str = "11223344-5566-7788-99aa-bbccddeeff00";
    const SWAPPED: &str = "44332211-6655-8877-99aa-bbccddeeff00";
    const OTHER: &str = "11223344-5566-7788-99aa-bbccddeeff01";
    const NOBODYS: &str = "00000000-0000-0000-0000-000000000000";
    for (own_uuid, own_serial, uuid, serial, same) in [
        (Some(UUID), None, Some(UUID), None, Same),
        (Some(UUID), None, Some(SWAPPED), None, Same),
        (Some(UUID), None, Some(OTHER), None, Other),
        (Some(UUID), None, None, Some("S1"), Unknown),
        (Some(UUID), None, Some(NOBODYS), None, Unknown),
        (Some(NOBODYS), None, Some(NOBODYS), None, Unknown),
        (Some(UUID), None, Some("not a uuid"), None, Unknown),
        (None, Some("s1 "), Some(OTHER), Some("S1"), Same),
        (None, Some("S1"), None, Some("S2"), Other),
        (Some(UUID), Some("S1"), Some(OTHER), Some("S1"), Same),
        (Some(UUID), Some("S1"), Some(OTHER), Some("S2"), Other),
        (Some(UUID), Some("S1"), Some(OTHER), None, Other),
        (None, Some(""), None, Some(""), Unknown),
        (None, None, Some(UUID), Some("S1"), Unknown),
    ] {
        let identity = Identity {
            uuid: own_uuid.map(|uuid| uuid.parse().unwrap()),
            serial: own_serial.map(str::to_owned),
        };
        let said = system(json!({"UUID": uuid, "SerialNumber": serial}));
        assert_eq!(identity.compare(&said), same, "{identity:?} {uuid:?} {serial:?}");
    }
}
