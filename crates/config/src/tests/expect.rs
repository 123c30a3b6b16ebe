//! Groups, rules and expectations in configuration files.

use super::*;
use crate::shape::{FILE, Shape};

const RULES: &str = "
site: fra1
resources:
  images:
  - { name: esxi-8, kind: esxi, source: dir:/a, destructive: true }
  - { name: rescue, kind: linux, kernel: k }
  templates:
  - { name: std, kind: text, text: \"{{ params.ntp }}\" }
  groups:
  - { name: prod-eu, params: { syslog: 10.0.0.9 } }
  - { name: rack12, parent: prod-eu, params: { vlan: 1204 } }
  rules:
  - { name: r7xx, order: 20, when: \"vendor=Dell,model~R7.*\", image: esxi-8, template: std }
  - { name: vms, order: 30, when: \"vendor=QEMU|VMware,relay=10.4.0.0/16,circuit~eth1,subnet=lab,interface=eth0,ipv4=10.4.12.0/24,hostname=vm7,asset=a,oemstring=o,site=fra1\", image: rescue, group: rack12 }
  - { name: base, order: 90, params: { ntp: 10.0.0.1 } }
  hosts:
  - { name: esx07, match: { mac: \"24:6e:96:78:44:40\", uuid: 4c4c4544-0043-3510-8052-b4c04f4d3132, serial: 7XK }, group: rack12 }
";

const DELL: &str = "vendor: Dell Inc., model: PowerEdge R750";
const VM: &str = "vendor: QEMU, relay: 10.4.0.1, circuit: Eth1/0/7, subnet: lab, interface: eth0, ipv4: 10.4.12.7, hostname: vm7, asset: a, oemstring: o";

fn faults(expect: &str) -> Vec<String> {
    match load_text(&format!("{RULES}expect:\n{expect}\n")) {
        Ok(loaded) => {
            assert_eq!(loaded.expectations, 1, "{expect}");
            Vec::new()
        }
        Err(report) => {
            report.faults.iter().map(|fault| format!("{} {}", fault.line, fault.message)).collect()
        }
    }
}

#[test]
fn expectations_hold_or_say_what_would_be() {
    for sound in [
        format!("- {{ machine: {{ {DELL} }}, boots: local-disk }}"),
        format!(
            "- {{ machine: {{ {DELL} }}, armed: true, boots: esxi-8, template: std, params: {{ ntp: 10.0.0.1 }} }}"
        ),
        format!(
            "- {{ machine: {{ {VM} }}, boots: rescue, group: rack12, params: {{ vlan: \"1204\", syslog: 10.0.0.9 }} }}"
        ),
        "- { machine: { host: esx07 }, group: rack12, boots: menu, params: { ntp: 10.0.0.1 } }".to_owned(),
        "- { machine: { mac: \"24:6e:96:78:44:40\" }, group: rack12 }".to_owned(),
        "- { machine: { uuid: 4c4c4544-0043-3510-8052-b4c04f4d3132 }, group: rack12 }".to_owned(),
        "- { machine: { serial: 7xk, firmware: bios }, group: rack12 }".to_owned(),
    ] {
        assert_eq!(faults(&sound), Vec::<String>::new(), "{sound}");
    }
    for (wrong, message) in [
        (
            format!("- {{ machine: {{ {DELL} }}, boots: esxi-8 }}"),
            "expected boot of `esxi-8`, it would be `local-disk`",
        ),
        (
            "- { machine: { vendor: HP }, template: std }".to_owned(),
            "expected template `std`, it would be `none`",
        ),
        (
            "- { machine: { vendor: HP }, group: rack12 }".to_owned(),
            "expected group `rack12`, it would be `none`",
        ),
        (
            "- { machine: { vendor: HP }, params: { ntp: x } }".to_owned(),
            "expected parameter ntp `x`, it would be `10.0.0.1`",
        ),
        ("- { machine: { host: gone }, boots: menu }".to_owned(), "there is no host `gone`"),
        ("- { machine: { vendor: HP } }".to_owned(), "expects nothing"),
    ] {
        let found = faults(&wrong);
        assert!(found.len() == 1 && found[0].contains(message), "{wrong}: {found:?}");
    }
    // One fact less, and the rule is another's.
    for fact in VM.split(", ") {
        let without = VM.replace(fact, "model: x").replace(", model: x, model: x", "");
        let found = faults(&format!("- {{ machine: {{ {without} }}, boots: rescue }}"));
        assert_eq!(found.len(), 1, "{fact}");
    }
}

#[test]
fn every_key_of_a_machine_is_in_these_expectations() {
    let Some(Shape::List(item)) = FILE.keys().iter().find(|key| key.name == "expect").map(|key| &key.shape)
    else {
        panic!("expect is no list")
    };
    let machine = item.keys().iter().find(|key| key.name == "machine").unwrap();
    let tested = format!("{DELL}, {VM}, host: mac: uuid: serial: firmware:");
    for key in machine.shape.keys() {
        assert!(tested.contains(&format!("{}:", key.name)), "{} is in no expectation", key.name);
    }
}

#[test]
fn rules_that_never_decide_are_warned_of_where_they_stand() {
    let text = "resources:\n  rules:\n  - { name: all, order: 1, image: a }\n  - { name: dell, order: 2, when: vendor=Dell, image: b }\n";
    let loaded = load_ok(text);
    let warnings: Vec<String> = loaded
        .warnings
        .iter()
        .filter(|fault| fault.code == Code::Rule)
        .map(|fault| format!("{}:{} {}", fault.line, fault.column, fault.message))
        .collect();
    assert_eq!(warnings, ["4:13 rule `dell` never decides anything: `all` do for all its machines"]);
}
