use super::*;
use crate::tests::examples;
use proptest::prelude::*;
use types::resource::{Bundle, Delivery, Group, Host, OnFailure, Rule, Script, Template};

fn no_files(_: &str, _: &str) -> Result<(String, String), String> {
    Err("there are no files here".to_owned())
}

fn read(texts: &[(&str, &str)]) -> Result<Documents, Report> {
    read_known(texts, Known::default())
}

fn read_known(texts: &[(&str, &str)], known: Known<'_>) -> Result<Documents, Report> {
    let sources: Vec<Source> = texts.iter().map(|(path, text)| Source::new(*path, *text)).collect();
    read_documents(&sources, &no_files, known)
}

fn names(names: &[&str]) -> Vec<Name> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

#[test]
fn the_example_is_sound_and_reads_back_as_it_is_written() {
    let folder = examples().join("gitops-ci/resources");
    let mut paths: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "yaml"));
    paths.sort();
    let sources: Vec<Source> = paths
        .iter()
        .map(|path| Source::new(path.display().to_string(), std::fs::read_to_string(path).unwrap()))
        .collect();
    let files = |document: &str, path: &str| {
        let whole = std::path::Path::new(document).parent().unwrap().join(path);
        let text = std::fs::read_to_string(&whole).map_err(|error| error.to_string())?;
        Ok((whole.display().to_string(), text))
    };
    let images = names(&["debian-12-netboot"]);
    let known = Known { images: &images, ..Known::default() };
    let read = read_documents(&sources, &files, known).unwrap_or_else(|report| panic!("{report}"));
    assert!(read.warnings.is_empty(), "{}", crate::render(&read.warnings, false));
    let counts = [read.resources.templates.len(), read.resources.groups.len(), read.resources.rules.len()];
    assert_eq!((counts, read.resources.hosts.len(), read.resources.bundles.len()), ([1, 2, 2], 2, 1));
    let ntp = read.resources.bundles[0].script("ntp").unwrap();
    assert!(ntp.text.starts_with("# The clock") && ntp.timeout_secs == Some(60), "{ntp:?}");
    let text = write_documents(&read.resources).unwrap();
    let again =
        read_known(&[("export.yaml", &text)], known).unwrap_or_else(|report| panic!("{report}\n{text}"));
    assert_eq!(again.resources, read.resources);
    assert!(text.contains("      text: |\n        # Debian's installer"), "{text}");
    assert!(text.contains("serial: \"0012E5\""), "{text}");
}

#[test]
fn all_faults_of_all_documents_come_at_once_with_their_places() {
    let report = read(&[
        ("a.yaml", "dhcp:\n  mode: server\nresources:\n  hosts:\n    - { name: web01, match: { mac: \"nonsense\" } }\n"),
        ("b.yaml", "resources:\n  images:\n    - { name: x, kind: linux }\n  groups:\n    - { name: lab, parent: nowhere }\n"),
        ("c.yaml", "resorces: {}\n"),
    ])
    .unwrap_err();
    let at = |file: &str, line: u32, code: Code| {
        report.faults.iter().any(|fault| fault.file == file && fault.line == line && fault.code == code)
    };
    assert!(at("a.yaml", 1, Code::Document), "{report}");
    assert!(at("a.yaml", 5, Code::BadValue), "{report}");
    assert!(at("b.yaml", 2, Code::Document), "{report}");
    assert!(at("b.yaml", 5, Code::UnknownGroup), "{report}");
    assert!(at("c.yaml", 1, Code::Document), "{report}");
    let text = report.render(false);
    assert!(text.contains("did you mean `resources`?") && text.contains("reveille image import"), "{text}");
}

#[test]
fn one_name_in_two_documents_is_a_fault() {
    let report = read(&[
        ("a.yaml", "resources: { groups: [{ name: lab }] }"),
        ("b.yaml", "resources: { groups: [{ name: lab }] }"),
    ])
    .unwrap_err();
    assert_eq!(report.faults[0].code, Code::DuplicateName, "{report}");
}

#[test]
fn what_the_appliance_has_may_be_named() {
    let text = "resources: { hosts: [{ name: web01, match: { mac: \"52:54:00:12:34:56\" }, group: lab, template: ks }] }";
    assert!(read(&[("a.yaml", text)]).is_err());
    let (groups, templates) = (names(&["lab"]), names(&["ks"]));
    let known = Known { groups: &groups, templates: &templates, ..Known::default() };
    assert_eq!(read_known(&[("a.yaml", text)], known).unwrap().resources.hosts.len(), 1);
}

#[test]
fn bundles_of_documents_are_checked_as_those_of_a_file_and_the_appliances_may_be_named() {
    let named = "resources: { hosts: [{ name: web01, match: { serial: S100 }, bundles: [base] }], groups: [{ name: g, bundles_append: [base] }], \
                 rules: [{ name: r, bundles: [base] }] }";
    let report = read(&[("a.yaml", named)]).unwrap_err();
    assert_eq!(report.faults.iter().filter(|fault| fault.code == Code::UnknownBundle).count(), 3, "{report}");
    // Defined in another document: what the host lacks is told, unless the appliance may give it.
    let defined = "resources: { bundles: [{ name: base, scripts: [{ name: s, text: 'echo {{ params.motd | quote }}' }] }] }";
    let warnings = |known| {
        let read = read_known(&[("a.yaml", named), ("b.yaml", defined)], known);
        read.unwrap_or_else(|report| panic!("{report}")).warnings
    };
    let told = warnings(Known::default());
    assert!(told.iter().any(|warning| warning.code == Code::BundleValues), "{}", crate::render(&told, false));
    assert!(warnings(Known { gives_values: true, ..Known::default() }).is_empty());
    // The appliance has it: its scripts are not known here, so nothing can be said of values.
    let bundles = names(&["base"]);
    let known = Known { bundles: &bundles, ..Known::default() };
    let read_so = read_known(&[("a.yaml", named)], known).unwrap_or_else(|report| panic!("{report}"));
    assert!(read_so.warnings.is_empty(), "{}", crate::render(&read_so.warnings, false));
    let near =
        read_known(&[("a.yaml", &named.replace("[base]", "[bsae]"))], known).unwrap_err().render(false);
    assert!(near.contains("did you mean `base`?"), "{near}");
    // What is wrong with one is told at its place.
    let report = read(&[(
        "b.yaml",
        "resources:\n  bundles:\n    - name: base\n      scripts:\n        - name: s\n          text: |\n            true\n            echo {{ hots.name }}\n",
    )])
    .unwrap_err();
    assert_eq!((report.faults[0].code, report.faults[0].line), (Code::Bundle, 8), "{report}");
}

#[test]
fn bundles_are_written_with_their_scripts_and_read_back() {
    let text = "resources: { bundles: [{ name: base, deliver: module, description: 'a: b', scripts: [{ name: s, file: s.sh, timeout_secs: 30 }, \
                { name: p, text: \"\", interpreter: /usr/bin/python3 -u, on_failure: continue }] }] }";
    let sources = [Source::new("one/a.yaml", text)];
    let files =
        |document: &str, path: &str| Ok((path.to_owned(), format!("# {document} {path}\n\nexit 0\n\n")));
    let read = read_documents(&sources, &files, Known::default()).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(read.resources.bundles[0].scripts[0].text, "# one/a.yaml s.sh\n\nexit 0\n\n");
    let written = write_documents(&read.resources).unwrap_or_else(|report| panic!("{report}"));
    assert!(written.contains("timeout_secs: 30") && written.contains("on_failure: continue"), "{written}");
    let again = read_known(&[("export.yaml", &written)], Known::default())
        .unwrap_or_else(|report| panic!("{report}\n{written}"));
    assert_eq!(again.resources, read.resources, "{written}");
}

#[test]
fn files_of_templates_are_relative_to_their_own_document() {
    let sources = [
        Source::new("one/a.yaml", "resources: { templates: [{ name: a, kind: text, file: x.txt }] }"),
        Source::new(
            "two/b.yaml",
            "x-note: free\nresources: { templates: [{ name: b, kind: text, file: x.txt }] }",
        ),
    ];
    let files = |document: &str, path: &str| Ok((path.to_owned(), format!("{document} {path}")));
    let read = read_documents(&sources, &files, Known::default()).unwrap_or_else(|report| panic!("{report}"));
    let texts: Vec<&str> = read.resources.templates.iter().map(|template| template.text.as_str()).collect();
    assert_eq!(texts, ["one/a.yaml x.txt\n", "two/b.yaml x.txt\n"]);
}

#[test]
fn secrets_are_written_as_the_references_they_are() {
    let text = "resources: { hosts: [{ name: web01, match: { mac: \"52:54:00:12:34:56\" }, power: { redfish: { \
                url: \"https://10.0.0.9\", user: admin, password: { file: /etc/reveille/bmc.pass } } } }] }";
    let read = read(&[("a.yaml", text)]).unwrap_or_else(|report| panic!("{report}"));
    let written = write_documents(&read.resources).unwrap();
    assert!(written.contains("file: /etc/reveille/bmc.pass"), "{written}");
}

#[test]
fn what_cannot_stand_in_a_document_is_refused_and_not_altered() {
    let mut group = Group::new("lab".parse().unwrap());
    for value in ["a\nb", "a\n", "\u{7}"] {
        group.params.insert("x".to_owned(), value.to_owned());
        let resources = Resources { groups: vec![group.clone()], ..Resources::default() };
        assert!(write_documents(&resources).is_err(), "{value:?}");
    }
}

/// Text as operators and machines bring it: words that YAML takes for something else, punctuation, spaces at both ends.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        prop_oneof![
            Just("no"),
            Just("0012"),
            Just("8.0"),
            Just("1e5"),
            Just("52:54:00:12:34:56"),
            Just("null"),
            Just("~"),
            Just(""),
            Just("0x10"),
            Just("- a"),
            Just("a: b"),
            Just("# x"),
            Just("{{ x }}"),
            Just("'"),
            Just("\""),
            Just("\\"),
            Just(" x "),
            Just("1_000"),
            Just("2026-01-01"),
            Just("=")
        ]
        .prop_map(str::to_owned),
        "[ -~\u{a0}-\u{2027}äß€😀]{0,24}",
    ]
}

fn template_text() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof!["[ -z|~]{0,30}", Just(String::new()), Just("\tx".to_owned()), Just("  ".to_owned())],
        1..8,
    )
    .prop_map(|lines| lines.join("\n") + "\n")
}

fn sets() -> impl Strategy<Value = Resources> {
    let map = || proptest::collection::btree_map("[a-wyz][a-z0-9_.-]{0,8}", texts(), 0..4);
    let group = (map(), map(), texts(), proptest::collection::vec(texts(), 0..3)).prop_map(
        |(params, labels, description, args)| {
            let mut group = Group::new("lab".parse().unwrap());
            (group.params, group.labels, group.description, group.kernel_args_append) =
                (params, labels, description, args);
            group
        },
    );
    let host = (
        map(),
        proptest::option::of("[0-9A-Ze+.]{1,12}"),
        any::<[u8; 6]>(),
        proptest::option::of("[0-9]{1,8}"),
    )
        .prop_map(|(params, serial, mac, version)| {
            let identity = types::resource::HostMatch {
                mac: types::resource::OneOrMany(vec![
                    types::MacAddr(mac),
                    types::MacAddr([2, 0, 0, 0, 0, 9]),
                ]),
                uuid: None,
                serial,
            };
            let mut host = Host::new("web01".parse().unwrap(), identity);
            (host.params, host.image) = (params, version.is_some().then(|| "img".parse().unwrap()));
            host.image_version = version.map(|version| version.parse().unwrap());
            host
        });
    let rule = (map(), any::<u32>()).prop_map(|(params, order)| {
        let mut rule = Rule::new("base".parse().unwrap());
        (rule.params, rule.order) = (params, order);
        rule
    });
    let script = (
        template_text(),
        proptest::option::of(1u32..=86_400),
        any::<bool>(),
        prop_oneof![Just("/bin/sh"), Just("/usr/bin/env -S python3 -u"), Just("/bin/0x10")],
    )
        .prop_map(|(text, timeout_secs, on, interpreter)| {
            let mut script = Script::new("0012".parse().unwrap(), text);
            script.timeout_secs = timeout_secs;
            script.on_failure = if on { OnFailure::Continue } else { OnFailure::Stop };
            script.interpreter = interpreter.to_owned();
            script
        });
    let bundle = (proptest::collection::vec(script, 0..3), any::<bool>(), texts()).prop_map(
        |(scripts, module, description)| Bundle {
            name: "no".parse().unwrap(),
            deliver: if module { Delivery::Module } else { Delivery::Url },
            scripts,
            description,
        },
    );
    (group, host, rule, template_text(), bundle).prop_map(|(group, host, rule, text, bundle)| Resources {
        bundles: vec![bundle],
        templates: vec![Template {
            name: "t".parse().unwrap(),
            kind: types::resource::TemplateKind::Text,
            text,
        }],
        groups: vec![group],
        rules: vec![rule],
        hosts: vec![host],
    })
}

proptest! {
    /// `write_documents` compares by itself; here it must also never have to refuse.
    #[test]
    fn whatever_a_document_may_hold_is_written_so_that_it_reads_back(resources in sets()) {
        let text = write_documents(&resources).map_err(|report| TestCaseError::fail(report.to_string()))?;
        prop_assert_eq!(read_back(&text).map_err(TestCaseError::fail)?, resources);
    }
}
