//! Bundles of a file: what is wrong with one is told where it stands, and who lacks what.

use super::*;
use types::resource::{Delivery, OnFailure};

fn faults(text: &str) -> Vec<String> {
    match load_text(text) {
        Ok(loaded) => loaded.warnings.iter().map(short).collect(),
        Err(report) => report.faults.iter().chain(&report.warnings).map(short).collect(),
    }
}

fn short(fault: &Fault) -> String {
    format!("{} {} {}", fault.code.as_str(), fault.line, fault.message)
}

#[test]
fn the_example_has_bundles_by_group_rule_and_host_and_scripts_in_files() {
    let loaded = load_example("bundles").unwrap();
    let names: Vec<&str> = loaded.bundles.iter().map(|bundle| bundle.name.as_str()).collect();
    assert_eq!(names, ["base", "database", "esxi-install", "esxi-memory"]);
    let packages = loaded.bundles[0].script("packages").unwrap();
    let text = std::fs::read_to_string(examples().join("bundles/scripts/packages.sh")).unwrap();
    assert_eq!((packages.text.as_str(), packages.timeout_secs), (text.as_str(), Some(900)));
    let inventory = loaded.bundles[0].script("inventory").unwrap();
    assert_eq!(inventory.on_failure, OnFailure::Continue);
    assert_eq!(loaded.bundles[3].deliver, Delivery::Module);
    assert_eq!(loaded.bundle_origins.len(), 4);
}

#[test]
fn a_bundle_that_is_named_has_to_be_there_and_the_nearest_is_suggested() {
    let text = "resources:\n  bundles: [{ name: base, scripts: [{ name: s, text: a }] }]\n  groups:\n    - name: g\n      bundles_append: [base, bsae]\n  \
                rules:\n    - name: r\n      bundles: [other]\n  hosts:\n    - name: h\n      match: { serial: sna }\n      bundles:\n        - bases\n";
    assert_eq!(
        faults(text),
        [
            "R-CFG-60 5 group `g` names bundle `bsae`, which no file defines",
            "R-CFG-60 8 rule `r` names bundle `other`, which no file defines",
            "R-CFG-60 13 host `h` names bundle `bases`, which no file defines",
        ]
    );
    let report = load_text(text).unwrap_err().render(false);
    assert!(report.contains("did you mean `base`?"), "{report}");
}

#[test]
fn a_script_that_cannot_work_is_told_of_at_its_line() {
    let text = "resources:\n  bundles:\n    - name: base\n      scripts:\n        - name: one\n          text: |\n            true\n            echo {{ hots.name }}\n        \
                - { name: one, text: a }\n        - { name: two, text: a, interpreter: sh }\n        - { name: three }\n        - { name: four, text: a, file: b }\n        \
                - { name: five, text: a, timeout_secs: 0 }\n    - { name: none, scripts: [] }\n    - { name: base, scripts: [{ name: s, text: '{{ bundles.run }}' }] }\n";
    let found = faults(text);
    for wanted in [
        "R-CFG-61 8 bundle `base`, script `one`: there is no variable `hots.name`",
        "R-CFG-31 9 bundle `base` has script `one` twice",
        "R-CFG-61 10 bundle `base`, script `two`: interpreter `sh`: its program is not named by its whole path",
        "R-CFG-06 11 bundle `base`, script `three` has neither `text` nor `file`",
        "R-CFG-61 12 bundle `base`, script `four` has both `text` and `file`",
        "R-CFG-61 14 bundle `none` has no scripts",
        "R-CFG-31 15 bundle `base` is defined twice",
        "R-CFG-61 15 bundle `base`, script `s`, line 1: there is no variable `bundles.run`",
    ] {
        assert!(found.contains(&wanted.to_owned()), "{wanted} is not in {found:#?}");
    }
    assert!(found.iter().any(|fault| fault.starts_with("R-CFG-09 13 ")), "{found:#?}");
    let many: Vec<String> = (0..33).map(|at| format!("{{ name: s{at}, text: a }}")).collect();
    let many = format!("resources: {{ bundles: [{{ name: a, scripts: [{}] }}] }}", many.join(", "));
    assert_eq!(faults(&many), ["R-CFG-02 1 bundle `a` has 33 scripts; at most 32 are possible"]);
}

#[test]
fn a_fault_in_a_script_points_into_its_own_file() {
    let sources = [Source::new(
        "reveille.yaml",
        "resources: { bundles: [{ name: a, scripts: [{ name: s, file: s.sh }] }] }\n",
    )];
    let load = |text: String| {
        let file = move |path: &str| Ok((format!("/etc/reveille/{path}"), text.clone()));
        Loading::new(&sources).files(&file).load()
    };
    let report = load("# one\necho {{ prams.x }}".to_owned()).unwrap_err().render(false);
    assert!(
        report.starts_with(
            "error[R-CFG-61] /etc/reveille/s.sh:2:9 bundle `a`, script `s`: there is no variable"
        ),
        "{report}"
    );
    assert_eq!(load("true".to_owned()).unwrap().bundles[0].scripts[0].text, "true\n");
    assert_eq!(load("x".repeat(65_537)).unwrap_err().faults[0].code, Code::Limit);
    let gone = Loading::new(&sources).load().unwrap_err();
    assert_eq!(gone.faults[0].code, Code::Bundle);
}

#[test]
fn a_host_that_lacks_what_its_bundles_ask_for_is_named() {
    let text = |value: &str| {
        format!(
            "resources:\n  bundles: [{{ name: base, scripts: [{{ name: ntp, text: 'ntpdate {{{{ params.ntp }}}}' }}] }}]\n  \
             groups: [{{ name: g, bundles: [base] }}]\n  hosts:\n    - {{ name: good, match: {{ serial: S100 }}, group: g, params: {{ ntp: 10.0.0.1 }} }}\n    \
             - {{ name: other, match: {{ serial: S200 }}, group: g{value} }}\n"
        )
    };
    assert_eq!(
        faults(&text("")),
        [
            "R-CFG-62 6 host `other` cannot be given its bundles: script `base/ntp`, line 1: `params.ntp` is missing: host `other` lacks it"
        ]
    );
    let hostile = faults(&text(", params: { ntp: '$(reboot)' }"));
    assert!(
        hostile[0].contains("a shell would take the value apart") && !hostile[0].contains("reboot"),
        "{hostile:?}"
    );
    assert_eq!(faults(&text(", bundles: []")), Vec::<String>::new(), "it has none of its own accord");
}
