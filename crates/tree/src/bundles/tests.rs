use crate::overlay::tests::unpack;
use crate::tests::*;
use crate::{Opened, Role, Who};
use plan::CatalogParts;
use types::resource::{Bundle, Delivery, Image, Name, Script, Template, TemplateKind};
use types::{Facts, Firmware, Stage};

const MAC: &str = "52:54:00:12:34:56";

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn bundle(own: &str, scripts: &[(&str, &str)]) -> Bundle {
    let scripts = scripts.iter().map(|(own, text)| Script::new(name(own), *text)).collect();
    Bundle { name: name(own), deliver: Delivery::Url, scripts, description: String::new() }
}

fn parts_with(bundles: Vec<Bundle>, params: &str, template: &str) -> CatalogParts {
    let template = Template { name: name("std"), kind: TemplateKind::Kickstart, text: template.to_owned() };
    let image = Image {
        cmdline: "inst.ks={{ url }}".to_owned(),
        template: Some(template.name.clone()),
        ..image("debian-12")
    };
    let names: Vec<String> = bundles.iter().map(|bundle| format!("\"{}\"", bundle.name)).collect();
    let json = format!(
        r#""match":{{"mac":"{MAC}"}},"image":"debian-12","params":{params},"bundles":[{}]"#,
        names.join(",")
    );
    CatalogParts {
        images: vec![image],
        templates: vec![template],
        hosts: vec![host("web01", &json)],
        bundles,
        ..parts()
    }
}

fn machine() -> Who {
    http(Some(Facts {
        mac: Some(MAC.parse().unwrap()),
        firmware: Some(Firmware::UefiX64),
        stage: Stage::Ipxe,
        http: true,
        ..Facts::default()
    }))
}

fn open(bench: &Bench, name: &str, who: &Who) -> Opened {
    bench.tree.open(name, who).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn text(opened: &Opened) -> &str {
    std::str::from_utf8(&opened.content).unwrap()
}

fn below(file: &str) -> String {
    format!("b/{TOKEN}/bundle/{file}")
}

#[test]
fn the_answer_file_names_or_holds_the_bundles_and_the_tree_has_the_scripts() {
    let bundles = vec![
        bundle("base", &[("ntp", "ntpdate {{ params.ntp }}\n"), ("up", "true # {{ callback }}\n")]),
        bundle("late", &[("last", "true\n")]),
    ];
    let kickstart =
        "%post\n{{ bundles.run }}\n%end\n%post\n{{ bundles.inline }}\n%end\n# {{ bundles.names }}\n";
    let bench = bench(parts_with(bundles, r#"{"ntp":"10.0.0.1"}"#, kickstart));
    let script = open(&bench, "boot.ipxe", &machine());
    assert!(text(&script).contains("inst.ks="), "{}", text(&script));
    let answer = open(&bench, &format!("b/{TOKEN}/answer/ks.cfg"), &http(None));
    let base = format!("http://10.77.0.1:8080/b/{TOKEN}/bundle");
    assert!(text(&answer).contains(&format!("-o $f {base}/bundle.sh;")), "{}", text(&answer));
    assert!(text(&answer).contains("\n:ntpdate 10.0.0.1\n") && text(&answer).ends_with("# base late\n"));
    let runner = open(&bench, &below("bundle.sh"), &http(None));
    assert!(text(&runner).starts_with(&format!("#!/bin/sh\nr_url='{base}'\n")), "{}", text(&runner));
    assert_eq!((runner.role, runner.host.as_deref(), runner.cacheable), (Role::Bundle, Some("web01"), false));
    assert_eq!(&*runner.name, "bundle/bundle.sh", "its name in events has no token");
    let places: Vec<usize> =
        ["'base' 'ntp'", "'base' 'up'", "'late' 'last'"].map(|own| text(&runner).find(own).unwrap()).to_vec();
    assert!(places.is_sorted(), "{places:?}");
    let single = open(&bench, &below("base/up"), &http(None));
    assert_eq!(text(&single), format!("true # http://10.77.0.1:8080/b/{TOKEN}\n"));
    for absent in ["base/none", "none/ntp", "other.sh", "base/ntp/x"] {
        assert_eq!(
            bench.tree.open(&below(absent), &http(None)).unwrap_err().reason(),
            "not_found",
            "{absent}"
        );
    }
}

#[test]
fn a_bundle_that_does_not_render_keeps_the_machine_from_booting_and_says_which() {
    for (scripts, told) in [
        (
            vec![("ntp", "true\n"), ("late", "echo {{ params.ntp }}\n")],
            "bundle `base`, script `late`, line 1: `params.ntp` is missing",
        ),
        (
            vec![("evil", "echo {{ params.motd }}\n")],
            "bundle `base`, script `evil`, line 1: a shell would take the value apart",
        ),
    ] {
        // Neither is named in the template.
        let bench = bench(parts_with(vec![bundle("base", &scripts)], r#"{"motd":"$(reboot)"}"#, "text\n"));
        let script = open(&bench, "boot.ipxe", &machine());
        assert!(!text(&script).contains("kernel ") && script.boot.is_none(), "{}", text(&script));
        assert!(bench.ledger.begun.lock().unwrap().is_empty());
        let refused = bench.ledger.refused.lock().unwrap().clone();
        assert!(refused.len() == 1 && refused[0].contains(told), "{refused:?}");
        assert!(!refused[0].contains("reboot"), "no value in an event");
    }
    let mut parts = parts_with(vec![bundle("base", &[("ntp", "true\n")])], "{}", "text\n");
    parts.bundles.clear();
    let bench = bench(parts);
    assert!(!text(&open(&bench, "boot.ipxe", &machine())).contains("kernel "));
    assert!(bench.ledger.refused.lock().unwrap()[0].contains("there is no bundle base"));
}

#[test]
fn another_token_another_door_and_no_boot_find_nothing_and_tell_no_token() {
    let bench = bench(parts_with(vec![bundle("base", &[("ntp", "true\n")])], "{}", "text\n"));
    let before = bench.tree.open(&below("bundle.sh"), &http(None)).unwrap_err();
    open(&bench, "boot.ipxe", &machine());
    let other =
        bench.tree.open("b/ffffffffffffffffffffffffffffffff/bundle/bundle.sh", &http(None)).unwrap_err();
    let by_tftp = bench.tree.open(&below("bundle.sh"), &tftp()).unwrap_err();
    for error in [before, other, by_tftp] {
        assert_eq!(error.reason(), "not_found");
        assert!(!format!("{error} {error:?}").contains(TOKEN), "{error:?}");
    }
    assert!(text(&open(&bench, &below("bundle.sh"), &http(None))).contains("r_run 'base' 'ntp'"));
}

#[test]
fn scripts_of_an_image_that_erases_disks_are_for_an_armed_boot_only() {
    let mut parts = parts_with(vec![bundle("base", &[("ntp", "true\n")])], "{}", "text\n");
    parts.images[0].destructive = true;
    let bench = crate::tests::bench(parts);
    // As if a boot of it had begun before: its permission is gone.
    bench.ledger.begun.lock().unwrap().push((
        Facts { mac: Some(MAC.parse().unwrap()), ..Facts::default() },
        Some("web01".to_owned()),
        "debian-12".to_owned(),
    ));
    assert_eq!(bench.tree.open(&below("bundle.sh"), &http(None)).unwrap_err().reason(), "not_armed");
}

/// An ESXi image from memory, with a bundle for it.
fn esxi(stateless: bool) -> Bench {
    const MEDIUM: &[(&str, &[u8])] = &[
        ("efi/boot/bootx64.efi", b"mboot"),
        ("b.b00", b"kernel"),
        (
            "boot.cfg",
            b"title=ESXi\nkernel=/b.b00\nkernelopt=runweasel\nmodules=/s.v00\nbuild=8.0.3-0.0.24022510\n",
        ),
        ("s.v00", b"module"),
    ];
    let mut carried = bundle("memory", &[("ntp", "esxcli system ntp set -s {{ params.ntp }}\n")]);
    carried.deliver = Delivery::Module;
    let json = format!(
        r#""match":{{"mac":"{MAC}"}},"image":"esxi","params":{{"ntp":"10.0.0.1"}},"bundles":["memory"]"#
    );
    let bench = bench(CatalogParts {
        images: vec![Image { stateless, ..Image::new(name("esxi"), types::resource::ImageKind::Esxi) }],
        hosts: vec![host("esx01", &json)],
        bundles: vec![carried],
        ..parts()
    });
    crate::esxi::tests::import(&bench, "esxi", MEDIUM);
    bench
}

#[test]
fn esxi_from_memory_carries_them_in_a_module_of_one_size_by_every_door() {
    let bench = esxi(true);
    let config = "esxi/01-52-54-00-12-34-56/boot.cfg";
    for who in [http(None), tftp()] {
        let opened = open(&bench, config, &who);
        let listed = text(&opened).lines().find_map(|line| line.strip_prefix("modules=")).unwrap().to_owned();
        assert_eq!(listed, format!("s.v00 --- reveille/{TOKEN}/bundles.tgz"));
        let (one, other) = (
            open(&bench, &format!("esxi/reveille/{TOKEN}/bundles.tgz"), &who),
            open(&bench, &format!("/ESXI/reveille/{TOKEN}/bundles.tgz"), &who),
        );
        assert_eq!((&one.content, &one.etag), (&other.content, &other.etag));
        assert_eq!((one.role, &*one.name), (Role::Module, "esxi/reveille/bundles.tgz"));
        let found = unpack(&one.content);
        assert_eq!(found[2].2, "esxcli system ntp set -s 10.0.0.1\n");
        assert!(found[3].2.contains(&format!("r_url='http://10.77.0.1:8080/b/{TOKEN}/bundle'")));
    }
    let other = "esxi/reveille/ffffffffffffffffffffffffffffffff/bundles.tgz";
    assert_eq!(bench.tree.open(other, &http(None)).unwrap_err().reason(), "not_found");
}

#[test]
fn an_installer_carries_no_module() {
    let bench = esxi(false);
    let opened = open(&bench, "esxi/01-52-54-00-12-34-56/boot.cfg", &http(None));
    assert!(text(&opened).contains("modules=s.v00\n"), "{}", text(&opened));
    let asked = format!("esxi/reveille/{TOKEN}/bundles.tgz");
    assert_eq!(bench.tree.open(&asked, &http(None)).unwrap_err().reason(), "not_found");
}

#[test]
fn whoever_only_says_to_be_the_machine_is_told_nothing_of_its_record() {
    let missing = || vec![bundle("base", &[("ntp", "ntpdate {{ params.ntp }}\n")])];
    let parts = parts_with(missing(), "{}", "{{ bundles.run }}\n");
    let bench = bench(parts);
    *bench.ledger.doubt.lock().unwrap() = Some("another machine is there".to_owned());
    // Its image wants an answer file: refused, and not for what is wrong with the record.
    let shown = text(&open(&bench, "boot.ipxe", &machine())).to_owned();
    assert!(shown.contains("another machine is there") && !shown.contains("ntp"), "{shown}");
    let refused = bench.ledger.refused.lock().unwrap().clone();
    assert_eq!(refused, ["debian-12: another machine is there"]);
    // A record that names a template that is not there says nothing more.
    let mut parts = parts_with(Vec::new(), "{}", "x\n");
    parts.hosts[0].template = Some(name("gone"));
    let bench = crate::tests::bench(parts);
    *bench.ledger.doubt.lock().unwrap() = Some("another machine is there".to_owned());
    let shown = text(&open(&bench, "boot.ipxe", &machine())).to_owned();
    assert!(shown.contains("another machine is there") && !shown.contains("gone"), "{shown}");
    // What is everybody's it is given, and nothing is rendered for it.
    let mut parts = parts_with(missing(), "{}", "x\n");
    parts.images = vec![image("debian-12")];
    let bench = crate::tests::bench(parts);
    *bench.ledger.doubt.lock().unwrap() = Some("another machine is there".to_owned());
    let script = open(&bench, "boot.ipxe", &machine());
    assert!(text(&script).contains("/debian-12/LINUX "), "{}", text(&script));
    assert_eq!(bench.ledger.begun.lock().unwrap()[0].1, None, "in nobody's name");
    assert!(bench.ledger.refused.lock().unwrap().is_empty());
}
