//! The ready templates of `examples/templates`: each renders with what it says it asks for, and is nothing without.

use super::*;
use crate::kickstart::{self, Severity, Target};
use types::resource::{Host, HostMatch, Image, ImageKind};

struct Recipe {
    file: &'static str,
    kind: TemplateKind,
    /// Parameters it cannot do without, with the others that a row of them may bring.
    required: &'static [&'static str],
    optional: &'static [&'static str],
}

const NETWORK: [(&str, &str); 4] = [
    ("ip", "192.0.2.11"),
    ("netmask", "255.255.255.0"),
    ("gateway", "192.0.2.1"),
    ("nameserver", "192.0.2.2,192.0.2.3"),
];

const RECIPES: [Recipe; 7] = [
    Recipe {
        file: "esxi.ks",
        kind: EsxiKickstart,
        required: &["root_hash", "ssh_key", "ntp"],
        optional: &["disk", "ip", "vlan", "hostname", "keyboard", "syslog", "license"],
    },
    Recipe {
        file: "photon.json",
        kind: Json,
        required: &["root_hash", "ssh_key"],
        optional: &["disk", "ip"],
    },
    Recipe {
        file: "debian.cfg",
        kind: Preseed,
        required: &["root_hash", "ssh_key", "ntp"],
        optional: &["disk", "ip", "domain", "mirror", "timezone"],
    },
    Recipe {
        file: "anaconda.ks",
        kind: Kickstart,
        required: &["root_hash", "ssh_key", "ntp", "tree"],
        optional: &["disk", "ip", "vlan", "timezone"],
    },
    Recipe {
        file: "cloud-init.yaml",
        kind: UserData,
        required: &["ssh_key", "ntp"],
        optional: &["root_hash", "timezone"],
    },
    Recipe {
        file: "autoinstall.yaml",
        kind: UserData,
        required: &["root_hash", "ssh_key"],
        optional: &["timezone", "ntp"],
    },
    Recipe {
        file: "unattend.xml",
        kind: Unattend,
        required: &["admin_password", "edition"],
        optional: &["product_key", "timezone", "locale"],
    },
];

fn compiled(recipe: &Recipe) -> Compiled {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/templates");
    let text = std::fs::read_to_string(folder.join(recipe.file)).unwrap();
    compile(recipe.file, recipe.kind, &text).unwrap_or_else(|fault| panic!("{fault}: {:?}", fault.fix))
}

fn full(optional: bool) -> Values {
    let hash = format!("$6$oRWLiHCgRnBoSqXD${}", "x".repeat(86));
    let required = [
        ("root_hash", hash.as_str()),
        ("ssh_key", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE00 it's me"),
        ("ntp", "192.0.2.5"),
        ("tree", "http://192.0.2.7/rocky/9/os/"),
        ("admin_password", "Change-me-1 & <more>"),
        ("edition", "Windows Server 2025 SERVERSTANDARD"),
    ];
    let others = [
        ("disk", "mpx.vmhba0:C0:T0:L0"),
        ("vlan", "120"),
        ("hostname", "esx-1.lab.example"),
        ("keyboard", "German"),
        ("syslog", "tcp://192.0.2.6:514"),
        ("license", "AAAAA-BBBBB-CCCCC-DDDDD-EEEEE"),
        ("domain", "lab.example"),
        ("mirror", "mirror.lab.example"),
        ("timezone", "Europe/Berlin"),
        ("product_key", "AAAAA-BBBBB-CCCCC-DDDDD-EEEEE"),
        ("locale", "de-DE"),
    ];
    let mut params: Vec<(&str, &str)> = required.to_vec();
    if optional {
        params.extend(others);
        params.extend(NETWORK);
    }
    let host = Host {
        name: "esx-1".parse().unwrap(),
        identity: HostMatch::default(),
        image: None,
        image_version: None,
        group: None,
        location: None,
        power: None,
        labels: Default::default(),
        loader: None,
        template: None,
        params: params.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        kernel_args_append: Vec::new(),
        bundles: None,
        bundles_append: Vec::new(),
    };
    Values::preview(&host, Some(&Image::new("image-1".parse().unwrap(), ImageKind::Esxi)))
}

#[test]
fn every_recipe_renders_with_everything_and_with_the_least() {
    for recipe in &RECIPES {
        let template = compiled(recipe);
        for optional in [true, false] {
            let values = full(optional);
            assert_eq!(template.check(&values), [], "{}", recipe.file);
            let text = template.render(&values).unwrap();
            let told = text.contains(&values.params["ntp"]) || matches!(recipe.kind, Json | Unattend);
            assert!(told, "{}", recipe.file);
            assert!(
                text.contains("/b/00000000000000000000000000000000/"),
                "{}: calls nobody back",
                recipe.file
            );
            assert!(!text.contains("{{") && !text.contains("{%"), "{text}");
            if recipe.kind == EsxiKickstart {
                let target = Target { major: Some(8), secure_boot: Some(false) };
                assert_eq!(kickstart::lint(&text, target), [], "{text}");
            }
        }
    }
}

#[test]
fn a_recipe_as_it_is_written_has_no_errors_either() {
    let text = compiled(&RECIPES[0]).text().to_owned();
    let findings = kickstart::lint(&text, Target::default());
    assert!(findings.iter().all(|finding| finding.severity == Severity::Warning), "{findings:?}");
}

#[test]
fn no_recipe_renders_without_what_it_asks_for() {
    for recipe in &RECIPES {
        let template = compiled(recipe);
        for name in recipe.required {
            let mut values = full(true);
            values.params.remove(*name);
            let faults = template.check(&values);
            assert_eq!(faults.len(), 1, "{}: {name}: {faults:?}", recipe.file);
            assert_eq!(
                faults[0].variable.as_deref(),
                Some(format!("params.{name}").as_str()),
                "{}",
                recipe.file
            );
            assert_eq!(template.render(&values).unwrap_err(), faults[0]);
        }
        for name in recipe.optional {
            let mut values = full(true);
            values.params.remove(*name);
            assert_eq!(template.check(&values), [], "{}: {name}", recipe.file);
        }
        let mut values = full(true);
        values.callback = None;
        assert_eq!(template.check(&values)[0].variable.as_deref(), Some("callback"), "{}", recipe.file);
        // With an address of its own the rest of the network is needed too.
        for (name, _) in NETWORK.iter().skip(1).filter(|_| recipe.optional.contains(&"ip")) {
            let mut values = full(true);
            values.params.remove(*name);
            let faults = template.check(&values);
            // Photon writes the prefix behind the address.
            assert_eq!(
                faults.len(),
                usize::from(!(recipe.kind == Json && *name == "netmask")),
                "{}: {name}",
                recipe.file
            );
        }
    }
}

#[test]
fn a_recipe_asks_for_nothing_that_is_not_said() {
    for recipe in &RECIPES {
        let known = |name: &str| {
            recipe.required.contains(&name)
                || recipe.optional.contains(&name)
                || NETWORK.iter().any(|(network, _)| *network == name)
        };
        for need in compiled(recipe).needs().iter().filter_map(|need| need.strip_prefix("params.")) {
            assert!(known(need), "{}: {need}", recipe.file);
        }
    }
}

/// The folders of `examples/` that are whole by themselves carry a recipe as it is here.
#[test]
fn a_recipe_is_the_same_wherever_it_stands() {
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let read = |name: String| {
        std::fs::read_to_string(examples.join(&name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    for (folder, file) in [
        ("photon", "photon.json"),
        ("rocky-kickstart", "anaconda.ks"),
        ("ubuntu-autoinstall", "autoinstall.yaml"),
        ("debian-preseed", "debian.cfg"),
        ("windows-unattend", "unattend.xml"),
    ] {
        assert_eq!(
            read(format!("{folder}/{file}")),
            read(format!("templates/{file}")),
            "cp examples/templates/{file} examples/{folder}/"
        );
    }
}

/// What an installer is to say, in every family that lets it.
#[test]
fn every_recipe_reports_how_far_its_machine_came() {
    for recipe in &RECIPES {
        let text = compiled(recipe).render(&full(true)).unwrap();
        let says = |stage: &str| text.contains(&format!("/b/{}/{stage}", "0".repeat(32)));
        match recipe.file {
            "cloud-init.yaml" => assert!(says("up")),
            "esxi.ks" => {
                assert!(says("installing") && says("installed") && says("up") && says("log/weasel.log"))
            }
            file => {
                assert!(says("installing") && says("installed") && says("failed") && says("log/"), "{file}")
            }
        }
    }
}
