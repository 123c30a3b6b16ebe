//! Broken configurations in `testdata/*.yaml`, each with the report it must give in `*.txt`.
//! `UPDATE_GOLDEN=1` writes the reports anew.

use super::*;

/// Compares with the committed text, or writes it when asked to.
pub(super) fn compare(path: &Path, text: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, text).unwrap();
        return;
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == text,
        "{} is not current; run with UPDATE_GOLDEN=1 and read the diff:\n{text}",
        path.display()
    );
}

#[test]
fn every_broken_configuration_gives_its_report() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let report = match load_text(&text) {
            Err(report) => {
                assert!(!report.faults.is_empty(), "{}", path.display());
                report
            }
            Ok(loaded) => {
                assert!(!loaded.warnings.is_empty(), "{} is sound", path.display());
                Report { warnings: loaded.warnings, ..Report::default() }
            }
        };
        assert!(report.faults.iter().all(|fault| fault.code != Code::Reader), "{}", path.display());
        compare(&path.with_extension("txt"), &report.render(false));
        count += 1;
    }
    assert!(count >= 12, "only {count} broken configurations");
}

#[test]
fn broken_overrides_name_the_variable() {
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let overrides = Overrides {
        environment: vec![
            pair("REVEILLE__HTTP__LISTEN", "80"),
            pair("REVEILLE__HTPP__LISTEN", ":80"),
            pair("REVEILLE__ASSETS__REQUIRE", "bios"),
            pair("REVEILLE__DHCP__RELAY__ACCEPT_FROM", "[\"10.0.0.0/8\", \"10.1.1.1/8\"]"),
            pair("REVEILLE__INTERFACES", "[{\"name\": \"eth0\", \"adress\": \"auto\"}]"),
        ],
        flags: vec![pair("http.max_clients", "many"), pair("log.level.x", "1")],
    };
    let report = load(&[], &overrides).unwrap_err();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/overrides.txt");
    compare(&path, &report.render(false));
    assert_eq!(report.to_json()["faults"].as_array().unwrap().len(), report.faults.len());
}
