//! `reveille bundle …` on a configuration file: no appliance, no network.

use super::run;
use std::path::Path;

fn example() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/bundles/reveille.yaml");
    file.display().to_string()
}

#[test]
fn bundles_are_listed_with_who_runs_them_by_group_rule_and_host() {
    let config = example();
    let (code, stdout, stderr) = run(&["bundle", "list", "-c", &config]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let row = |name: &str| {
        let line = stdout.lines().find(|line| line.split_whitespace().next() == Some(name));
        line.unwrap_or_else(|| panic!("{stdout}")).split_whitespace().take(4).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(row("base"), "base url 3 3");
    assert_eq!(row("database"), "database url 1 1");
    assert_eq!(row("esxi-memory"), "esxi-memory module 1 1");
    let (code, stdout, _) = run(&["bundle", "get", "database", "-c", &config]);
    let text = "# database/tune: /bin/sh, on failure stop\nsysctl -w vm.swappiness={{ params.swappiness }}\n";
    assert_eq!((code, stdout.as_str()), (0, text));
    let (_, stdout, _) = run(&["bundle", "get", "base", "-c", &config, "-o", "json"]);
    let document: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(document["scripts"][1]["timeout_secs"], 900);
}

#[test]
fn a_host_is_shown_what_it_would_run_in_order() {
    let config = example();
    let (code, stdout, stderr) = run(&["bundle", "render", "--host", "db-1", "-c", &config]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let heads: Vec<&str> =
        stdout.lines().filter(|line| line.starts_with("# ") && line.contains("on failure")).collect();
    assert_eq!(
        heads,
        [
            "# base/motd: /bin/sh, on failure stop",
            "# base/packages: /bin/sh, 900 s, on failure stop",
            "# base/inventory: /usr/bin/python3, on failure continue",
            "# database/tune: /bin/sh, on failure stop",
        ]
    );
    assert!(stdout.contains("vm.swappiness=1\n") && stdout.contains("'welcome to db-1'"), "{stdout}");
    let (code, stdout, _) = run(&["bundle", "render", "base", "--host", "web-1", "-c", &config]);
    assert!(code == 0 && stdout.contains("'mind the gap; it'\\''s $HOME' >/etc/motd"), "{stdout}");
    let (code, stdout, _) = run(&["bundle", "render", "--host", "cloud-1", "--runner", "-c", &config]);
    assert!(
        code == 0 && stdout.starts_with("#!/bin/sh\n") && stdout.contains("r_run 'base' 'motd'"),
        "{stdout}"
    );
    let (code, stdout, _) = run(&["bundle", "render", "--host", "esx-2", "-c", &config, "-o", "json"]);
    let document: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &document["scripts"][0]["bundle"]), (0, &"esxi-memory".into()));
}

#[test]
fn what_stands_in_the_way_is_told_with_exit_3_and_nothing_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("reveille.yaml");
    let text = "resources:\n  bundles: [{ name: base, scripts: [{ name: a, text: '{{ params.one }}' }, { name: b, text: '{{ params.two }}' }] }]\n  \
                hosts: [{ name: web01, match: { serial: sna }, bundles: [base], params: { two: 'a b' } }]\n";
    std::fs::write(&file, text).unwrap();
    let config = file.display().to_string();
    let (code, stdout, stderr) = run(&["bundle", "render", "--host", "web01", "-c", &config]);
    assert_eq!((code, stdout.as_str()), (3, ""), "{stderr}");
    assert!(stderr.contains("error bundle `base`, script `a`, line 1: `params.one` is missing"), "{stderr}");
    assert!(
        stderr.contains("script `b`, line 1: a shell would take") && stderr.contains("| quote"),
        "{stderr}"
    );
}

#[test]
fn a_bundle_host_or_image_that_is_not_there_is_exit_5() {
    let config = example();
    for words in [
        ["bundle", "get", "none", "-c", &config].as_slice(),
        &["bundle", "render", "--host", "none", "-c", &config],
        &["bundle", "render", "none", "--host", "web-1", "-c", &config],
        &["bundle", "render", "--host", "web-1", "--image", "none", "-c", &config],
    ] {
        let (code, _, stderr) = run(words);
        assert_eq!(code, 5, "{words:?}: {stderr}");
        assert!(stderr.contains("none"), "{stderr}");
    }
    let (_, _, stderr) = run(&["bundle", "render", "database", "--host", "web-1", "-c", &config]);
    assert!(stderr.contains("does not run bundle `database`") && stderr.contains("it runs base"), "{stderr}");
}
