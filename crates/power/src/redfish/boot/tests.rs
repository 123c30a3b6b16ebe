use super::*;
use crate::redfish::tests::system;

fn body(wanted: &NextBoot, of: Value) -> Result<Value, Vec<String>> {
    change(wanted, &system(of)).map(|change| change.body["Boot"].clone())
}

fn offering(targets: &[&str]) -> Value {
    json!({"Boot": {"BootSourceOverrideMode": "Legacy",
        "BootSourceOverrideTarget@Redfish.AllowableValues": targets}})
}

#[test]
fn target_and_duration_go_together_and_the_mode_is_left_alone() {
    let pxe = NextBoot::once(BootTarget::Pxe);
    let once = json!({"BootSourceOverrideTarget": "Pxe", "BootSourceOverrideEnabled": "Once"});
    assert_eq!(body(&pxe, offering(&["Pxe", "Hdd"])), Ok(once.clone()));
    assert_eq!(body(&pxe, json!({})), Ok(once));
    let stays = NextBoot { once: false, mode: Some(BootMode::Uefi), ..NextBoot::once(BootTarget::Hdd) };
    assert_eq!(
        body(&stays, offering(&["Hdd"])),
        Ok(json!({"BootSourceOverrideTarget": "Hdd", "BootSourceOverrideEnabled": "Continuous",
            "BootSourceOverrideMode": "UEFI"}))
    );
    let back = json!({"BootSourceOverrideTarget": "None", "BootSourceOverrideEnabled": "Disabled"});
    assert_eq!(body(&NextBoot::once(BootTarget::None), offering(&["Pxe"])), Ok(back));
}

#[test]
fn supermicro_is_told_its_own_mode_again() {
    for (maker, mode) in [("Supermicro", Some("Legacy")), ("SUPERMICRO Inc.", Some("Legacy")), ("HPE", None)]
    {
        let mut of = offering(&["Pxe"]);
        of["Manufacturer"] = json!(maker);
        let body = body(&NextBoot::once(BootTarget::Pxe), of).unwrap();
        assert_eq!(body.get("BootSourceOverrideMode").and_then(Value::as_str), mode, "{maker}");
    }
}

#[test]
fn a_target_that_is_not_offered_is_not_sent() {
    let http = NextBoot::once(BootTarget::UefiHttp);
    assert_eq!(body(&http, offering(&["Pxe", "Hdd"])), Err(vec!["Pxe".to_owned(), "Hdd".to_owned()]));
    assert!(body(&http, offering(&["UefiHttp"])).is_ok());
}

#[test]
fn a_url_goes_to_who_takes_one_and_an_old_one_is_taken_back() {
    let url = "http://192.0.2.1/boot.efi";
    let with = NextBoot { http_uri: Some(url.into()), ..NextBoot::once(BootTarget::UefiHttp) };
    let sent = |wanted: &NextBoot, boot: Value| {
        body(wanted, json!({ "Boot": boot })).unwrap().get("HttpBootUri").cloned()
    };
    assert_eq!(sent(&with, json!({"HttpBootUri": null})), Some(json!(url)));
    assert_eq!(sent(&with, json!({})), None);
    assert_eq!(change(&with, &system(json!({}))).unwrap().notes.len(), 1);
    let without = NextBoot::once(BootTarget::UefiHttp);
    assert_eq!(sent(&without, json!({"HttpBootUri": "http://old/"})), Some(Value::Null));
    for none in
        [json!({"HttpBootUri": null}), json!({"HttpBootUri": ""}), json!({"HttpBootUri": "None"}), json!({})]
    {
        assert_eq!(sent(&without, none), None);
    }
    let pxe = NextBoot { http_uri: Some(url.into()), ..NextBoot::once(BootTarget::Pxe) };
    assert_eq!(sent(&pxe, json!({"HttpBootUri": null})), None);
}

#[test]
fn what_the_controller_says_afterwards_is_compared() {
    let doubts = |wanted: &NextBoot, target: &str, enabled: &str| {
        let boot = json!({"BootSourceOverrideTarget": target, "BootSourceOverrideEnabled": enabled});
        doubt(wanted, &system(json!({ "Boot": boot }))).is_some()
    };
    let pxe = NextBoot::once(BootTarget::Pxe);
    assert!(!doubts(&pxe, "Pxe", "Once"));
    assert!(
        doubts(&pxe, "Pxe", "Continuous") && doubts(&pxe, "Pxe", "Disabled") && doubts(&pxe, "Hdd", "Once")
    );
    let none = NextBoot::once(BootTarget::None);
    assert!(
        !doubts(&none, "None", "Once") && !doubts(&none, "Pxe", "Disabled") && doubts(&none, "Pxe", "Once")
    );
    assert_eq!(doubt(&pxe, &system(json!({}))), None);
}
