//! Whole loads: examples, every setting on its way into `Settings`, overrides, origins, the generated page.

use super::*;
use std::path::{Path, PathBuf};
use std::time::Duration;

mod bundles;
mod expect;
mod golden;
mod random;
mod table;

pub(crate) fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

/// Loads text as `reveille.yaml`, without overrides.
pub(crate) fn load_text(text: &str) -> Result<Loaded, Report> {
    load(&[Source::new("reveille.yaml", text)], &Overrides::default())
}

fn load_ok(text: &str) -> Loaded {
    load_text(text).unwrap_or_else(|report| panic!("{report}"))
}

/// `dir/*.yaml` below `base`.
fn fetch(base: &Path, pattern: &str) -> Result<Vec<(String, String)>, String> {
    let dir = pattern.strip_suffix("/*.yaml").ok_or("only dir/*.yaml here")?;
    let entries = std::fs::read_dir(base.join(dir)).map_err(|error| error.to_string())?;
    entries
        .map(|entry| {
            let entry = entry.map_err(|error| error.to_string())?;
            let text = std::fs::read_to_string(entry.path()).map_err(|error| error.to_string())?;
            Ok((format!("{dir}/{}", entry.file_name().to_string_lossy()), text))
        })
        .collect()
}

fn load_example(name: &str) -> Result<Loaded, Report> {
    let base = examples().join(name);
    let text = std::fs::read_to_string(base.join("reveille.yaml")).unwrap();
    let sources = [Source::new("reveille.yaml", text)];
    let include = |pattern: &str| fetch(&base, pattern);
    let file = |path: &str| match std::fs::read_to_string(base.join(path)) {
        Ok(text) => Ok((path.to_owned(), text)),
        Err(error) => Err(error.to_string()),
    };
    Loading::new(&sources).includes(&include).files(&file).load()
}

#[test]
fn every_example_loads_without_faults_or_warnings_and_has_a_readme() {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(examples()).unwrap() {
        let entry = entry.unwrap();
        if !entry.path().join("reveille.yaml").exists() {
            continue;
        }
        let name = entry.file_name().into_string().unwrap();
        let loaded = load_example(&name).unwrap_or_else(|report| panic!("{name}: {report}"));
        assert!(loaded.warnings.is_empty(), "{name}: {}", render(&loaded.warnings, false));
        assert!(entry.path().join("README.md").exists(), "{name}");
        names.push(name);
    }
    for needed in [
        "zero-config",
        "homelab-proxy",
        "isolated-lab-server",
        "relayed-vlans",
        "fixed-hosts",
        "templates",
        "rules",
        "claim",
        "rollout",
        "tools",
        "bundles",
        "photon",
        "rocky-kickstart",
        "alpine",
        "ubuntu-autoinstall",
        "debian-preseed",
        "windows-unattend",
        "ipxe-callback",
    ] {
        assert!(names.iter().any(|name| name == needed), "{needed} is missing");
    }
}

#[test]
fn the_effective_configuration_loads_again_to_the_same_settings() {
    for name in [
        "zero-config",
        "homelab-proxy",
        "isolated-lab-server",
        "relayed-vlans",
        "fixed-hosts",
        "templates",
        "bundles",
    ] {
        let loaded = load_example(name).unwrap();
        let again = load_ok(&loaded.to_yaml());
        assert_eq!(again.settings, loaded.settings, "{name}");
        assert_eq!(again.hosts, loaded.hosts, "{name}");
        assert_eq!(again.images, loaded.images, "{name}");
        assert_eq!(again.templates, loaded.templates, "{name}");
        assert_eq!(again.bundles, loaded.bundles, "{name}");
        assert!(again.warnings.is_empty(), "{name}");
    }
}

#[test]
fn no_source_at_all_an_empty_one_and_bare_sections_mean_all_defaults() {
    let defaults = load(&[], &Overrides::default()).unwrap();
    for text in
        ["", "\n", "# only a comment\n", "---\n", "~\n", "{}\n", "dhcp:\nhttp:\n", "\u{feff}version: 1\n"]
    {
        assert_eq!(load_ok(text).settings, defaults.settings, "{text:?}");
    }
    assert_eq!(defaults.settings.dhcp.mode, DhcpPolicy::Auto);
    assert!(defaults.origins.iter().all(|effective| effective.origin == Origin::Default));
}

#[test]
fn flags_beat_the_environment_which_beats_the_files() {
    let text = "http:\n  listen: ':1'\n  max_clients: 1\n  max_clients_per_source: 1\n";
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let overrides = Overrides {
        environment: vec![
            pair("REVEILLE__HTTP__LISTEN", ":2"),
            pair("REVEILLE__HTTP__MAX_CLIENTS", "2"),
            pair("REVEILLE__ASSETS__REQUIRE", "[\"uefi-arm64\"]"),
            pair("REVEILLE__BOOT__LOADERS__UEFI_ARM64", "ipxe-arm64.efi"),
            pair("REVEILLE_TOKEN", "not ours"),
            pair("PATH", "/bin"),
        ],
        flags: vec![pair("http.listen", ":3")],
    };
    let loaded = load(&[Source::new("a.yaml", text)], &overrides).unwrap();
    assert_eq!(loaded.settings.http.listen.port, 3);
    assert_eq!(loaded.settings.http.max_clients, 2);
    assert_eq!(loaded.settings.http.max_clients_per_source, 1);
    assert_eq!(loaded.settings.assets.require, [types::Firmware::UefiArm64]);
    let origin = |key: &str| {
        let effective = loaded.origins.iter().find(|effective| effective.key == key);
        let effective = effective.unwrap_or_else(|| panic!("{key} is not listed"));
        format!("{} {}", effective.value, effective.origin)
    };
    assert_eq!(origin("http.listen"), "\":3\" flag http.listen");
    assert_eq!(origin("http.max_clients"), "2 environment REVEILLE__HTTP__MAX_CLIENTS");
    assert_eq!(origin("http.max_clients_per_source"), "1 a.yaml:4");
    assert_eq!(origin("http.idle_timeout"), "1m default");
    assert_eq!(origin("assets.require[0]"), "uefi-arm64 environment REVEILLE__ASSETS__REQUIRE");
    assert_eq!(
        origin("boot.loaders.uefi-arm64"),
        "ipxe-arm64.efi environment REVEILLE__BOOT__LOADERS__UEFI_ARM64"
    );
    assert_eq!(origin("boot.loaders.bios"), "undionly.kpxe default");
}

#[test]
fn included_files_append_to_lists_and_keep_their_origin() {
    let loaded = load_example("fixed-hosts").unwrap();
    assert_eq!(loaded.hosts.len(), 3);
    assert_eq!(loaded.images.len(), 3);
    assert_eq!(loaded.host_origins[0], Origin::File { path: "resources.d/rack-12.yaml".to_owned(), line: 6 });
    assert_eq!(loaded.image_origins[1], Origin::File { path: "reveille.yaml".to_owned(), line: 21 });
    assert_eq!(loaded.hosts[0].params["vlan"], "1204");
}

#[test]
fn a_template_in_a_file_of_its_own_is_as_good_as_one_in_the_configuration() {
    let loaded = load_example("templates").unwrap();
    let names: Vec<&str> = loaded.templates.iter().map(|template| template.name.as_str()).collect();
    let wanted = ["esxi", "photon", "debian", "anaconda", "cloud-init", "autoinstall", "windows", "note"];
    assert_eq!(names, wanted);
    assert_eq!(loaded.templates[0].kind, types::resource::TemplateKind::EsxiKickstart);
    let text = std::fs::read_to_string(examples().join("templates/esxi.ks")).unwrap();
    assert_eq!(loaded.templates[0].text, text);
    assert_eq!(loaded.template_origins[0], Origin::File { path: "reveille.yaml".to_owned(), line: 15 });
    let origin = |key: &str| {
        loaded
            .origins
            .iter()
            .find(|effective| effective.key == key)
            .map(|effective| effective.origin.to_string())
    };
    assert_eq!(origin("resources.templates[0].text").as_deref(), Some("esxi.ks:1"));
    assert_eq!(origin("resources.templates[7].text").as_deref(), Some("reveille.yaml:25"));
    assert_eq!(loaded.templates[7].text, "{{ host.name }} boots {{ image.name }} from {{ server.http }}\n");
}

#[test]
fn a_fault_in_a_template_points_into_its_own_file() {
    let sources = [Source::new(
        "reveille.yaml",
        "resources: { templates: [{ name: a, kind: preseed, file: sub/a.cfg }], hosts: [{ name: h, match: { serial: sns }, template: a }] }\n",
    )];
    let load = |text: &'static str| {
        let file = move |path: &str| Ok((format!("/etc/reveille/{path}"), text.to_owned()));
        Loading::new(&sources).files(&file).load()
    };
    let report = load("# one\n  {{ hots.name }}").unwrap_err();
    assert_eq!(
        report.render(false),
        "error[R-CFG-37] /etc/reveille/sub/a.cfg:2:6 template `a`: there is no variable `hots.name`\n   \
         2 |   {{ hots.name }}\n     |      ^\n  fix    did you mean `host`?\n"
    );
    let loaded = load("{{ host.name }}").unwrap();
    assert_eq!(loaded.templates[0].text, "{{ host.name }}\n");
    let large = Box::leak("x".repeat(render::template::limits::TEMPLATE_BYTES_MAX + 1).into_boxed_str());
    let report = load(large).unwrap_err();
    assert_eq!(report.faults.iter().map(|fault| fault.code).collect::<Vec<_>>(), [Code::Limit]);
}

#[test]
fn templates_of_the_store_may_be_named() {
    let sources = [Source::new("a", "resources: { images: [{ name: i, kind: esxi, template: stored }] }\n")];
    let report = Loading::new(&sources).load().unwrap_err();
    assert_eq!(report.faults[0].code, Code::UnknownTemplate);
    let stored = ["stored".parse().unwrap()];
    assert!(Loading::new(&sources).stored_templates(&stored).load().is_ok());
}

#[test]
fn a_version_without_its_image_is_a_fault_with_and_without_a_default_image() {
    let host = "resources: { hosts: [{ name: a, match: { serial: sna }, image_version: v1 }] }\n";
    let fix = |text: &str| {
        let report = load_text(text).unwrap_err();
        assert_eq!(report.faults.len(), 1, "{report}");
        assert_eq!(report.faults[0].code, Code::VersionWithoutImage);
        report.faults[0].fix.clone().unwrap()
    };
    assert_eq!(fix(host), "write `image: NAME` beside it, or leave `image_version` out");
    assert!(fix(&format!("boot: {{ default_image: debian }}\n{host}")).contains("`image: debian`"));
}

#[test]
fn params_and_serials_are_read_as_they_are_written() {
    let text = "resources:\n  hosts:\n  - name: a\n    match: { serial: \"0012\" }\n    params:\n      a: 8.1\n      b: \"on\"\n      c: '0x10'\n      d: true\n      e: 12\n";
    let host = &load_ok(text).hosts[0];
    assert_eq!(host.identity.serial.as_deref(), Some("0012"));
    let params: Vec<&str> = host.params.values().map(String::as_str).collect();
    assert_eq!(params, ["8.1", "on", "0x10", "true", "12"]);
}

#[test]
fn images_of_the_store_may_be_named() {
    let sources = [Source::new("a", "boot: { default_image: imported }\n")];
    let codes = |loaded: Loaded| loaded.warnings.iter().map(|fault| fault.code).collect::<Vec<_>>();
    assert_eq!(codes(Loading::new(&sources).load().unwrap()), [Code::UnknownImage]);
    let stored = ["imported".parse().unwrap()];
    let loaded = Loading::new(&sources).stored_images(&stored).load().unwrap();
    assert_eq!(loaded.settings.boot.default_image, Some("imported".parse().unwrap()));
    assert!(codes(loaded).is_empty());
}

#[test]
fn thirteen_thousand_hosts_load() {
    let mut text = String::from("resources:\n  hosts:\n");
    for number in 0..13_000 {
        text.push_str(&format!(
            "  - {{ name: host-{number}, match: {{ mac: \"52:54:00:00:{:02x}:{:02x}\" }} }}\n",
            number / 256,
            number % 256
        ));
    }
    assert_eq!(load_ok(&text).hosts.len(), 13_000);
}

#[test]
fn the_schema_is_draft_07_and_json() {
    let schema: serde_json::Value = serde_json::from_str(&schema()).unwrap();
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    assert_eq!(schema["properties"]["dhcp"]["properties"]["subnets"]["items"]["required"][0], "name");
}

#[test]
fn strict_refuses_warnings() {
    let text = "resources: { hosts: [{ name: a, match: { mac: 52:54:00:12:34:56 } }] }\n";
    let report = load_ok(text).strict().unwrap_err();
    assert_eq!(report.warnings.len(), 1);
    assert!(load_ok("").strict().is_ok());
}

#[test]
fn the_committed_schema_is_current() {
    golden::compare(&Path::new(env!("CARGO_MANIFEST_DIR")).join("reveille.schema.json"), &schema());
}

#[test]
fn the_committed_reference_page_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/config.md");
    golden::compare(&path, &document());
}
