use crate::tests::*;
use crate::{Door, Opened, Role, Who};
use plan::{CatalogParts, UnknownPolicy};
use types::resource::{Image, ImageKind};
use types::{Facts, Firmware, Stage};

const MAC: &str = "52:54:00:12:34:56";
const GUID: &str = "11223344-5566-7788-99aa-bbccddeeff00";

fn machine() -> Facts {
    Facts {
        mac: Some(MAC.parse().unwrap()),
        guid: Some(GUID.parse().unwrap()),
        firmware: Some(Firmware::UefiX64),
        stage: Stage::Ipxe,
        http: true,
        ..Facts::default()
    }
}

fn pinned() -> CatalogParts {
    let web01 = host(
        "web01",
        r#""match":{"mac":"52:54:00:12:34:56"},"image":"debian-12","kernel_args_append":["console=ttyS0"]"#,
    );
    CatalogParts { hosts: vec![web01], unknown: UnknownPolicy::Menu, ..parts() }
}

fn text(opened: &Opened) -> &str {
    std::str::from_utf8(&opened.content).unwrap()
}

fn open(bench: &Bench, name: &str, who: &Who) -> Opened {
    bench.tree.open(name, who).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn reason(bench: &Bench, name: &str, who: &Who) -> &'static str {
    bench.tree.open(name, who).unwrap_err().reason()
}

#[test]
fn http_without_facts_is_asked_for_them() {
    let bench = bench(pinned());
    let opened = open(&bench, "boot.ipxe", &http(None));
    assert!(text(&opened).contains("chain --replace --autofree http://10.77.0.1:8080/boot.ipxe?mac=${"));
    assert!(opened.boot.is_none() && !opened.cacheable);
    assert!(bench.ledger.begun.lock().unwrap().is_empty());
}

#[test]
fn facts_of_a_host_give_its_image_with_callback_and_begin_a_boot() {
    let bench = bench(pinned());
    let opened = open(&bench, "boot.ipxe", &http(Some(machine())));
    let script = text(&opened);
    assert!(script.contains("# reveille: image debian-12, host web01, generation 17"), "{script}");
    assert!(script.contains("kernel --name kernel http://10.77.0.1:8080/debian-12/LINUX "), "{script}");
    assert!(
        script.contains(&format!(
            "reveille.callback=http://10.77.0.1:8080/b/{TOKEN}/up --- quiet console=ttyS0"
        ))
    );
    assert!(script.contains("BOOTIF=01-52-54-00-12-34-56"), "{script}");
    assert_eq!(opened.role, Role::Script);
    assert_eq!(
        (opened.host.as_deref(), opened.image.as_deref(), opened.boot.as_deref()),
        (Some("web01"), Some("debian-12"), Some("boot-1"))
    );
    assert_eq!(opened.facts.unwrap().address, Some("10.77.0.50".parse().unwrap()));
    let begun = bench.ledger.begun.lock().unwrap();
    assert_eq!(begun.len(), 1);
    assert_eq!((begun[0].1.as_deref(), begun[0].2.as_str()), (Some("web01"), "debian-12"));
}

#[test]
fn every_file_a_script_names_opens() {
    let bench = bench(pinned());
    let opened = open(&bench, "autoexec.ipxe", &http(Some(machine())));
    let urls: Vec<&str> =
        text(&opened).split(' ').filter_map(|word| word.strip_prefix("http://10.77.0.1:8080")).collect();
    assert_eq!(urls.len(), 2);
    for url in urls {
        open(&bench, url, &http(None));
    }
}

#[test]
fn tftp_sends_an_ipxe_with_http_back_by_http_and_serves_one_without() {
    let bench = bench(pinned());
    let first = |bench: &Bench| text(&open(bench, "boot.ipxe", &tftp())).contains("boot.ipxe?mac=");
    assert!(first(&bench), "nothing known");
    bench.recall(machine());
    assert!(first(&bench), "iPXE with HTTP");
    bench.recall(Facts { stage: Stage::Rom, http: false, ..machine() });
    assert!(first(&bench), "a ROM was seen, its iPXE not yet");
    bench.recall(Facts { http: false, ..machine() });
    let opened = open(&bench, "AUTOEXEC.ipxe", &tftp());
    assert!(text(&opened).contains("kernel --name kernel /debian-12/LINUX "), "{}", text(&opened));
    assert_eq!(opened.facts.unwrap().stage, Stage::Ipxe);
}

#[test]
fn scripts_are_found_beside_the_loader_too() {
    let bench = bench(pinned());
    for name in ["efi64/autoexec.ipxe", "any/where/boot.ipxe", "debian-12/autoexec.ipxe"] {
        assert_eq!(open(&bench, name, &http(Some(machine()))).image.as_deref(), Some("debian-12"), "{name}");
    }
}

#[test]
fn unknown_machines_get_the_menu_without_destructive_unfit_or_absent_images() {
    let images = vec![
        image("debian-12"),
        Image { destructive: true, ..image("wipe") },
        Image { firmware: vec![Firmware::Bios], ..image("bios-only") },
        image("not-imported"),
    ];
    let bench = bench(CatalogParts { images, ..pinned() });
    let stranger = Facts { mac: Some("52:54:00:00:00:01".parse().unwrap()), guid: None, ..machine() };
    let opened = open(&bench, "boot.ipxe", &http(Some(stranger.clone())));
    let script = text(&opened);
    assert_eq!(script.matches("\nitem ").count(), 2, "{script}");
    assert!(script.contains("http://10.77.0.1:8080/boot.ipxe/debian-12?mac="), "{script}");
    assert!(opened.boot.is_none());
    let chosen = open(&bench, "boot.ipxe/debian-12", &http(Some(stranger.clone())));
    assert_eq!(chosen.boot.as_deref(), Some("boot-1"));
    for name in ["boot.ipxe/wipe", "boot.ipxe/none", "boot.ipxe/../debian-12", "boot.ipxe/debian-12/x"] {
        assert!(bench.tree.open(name, &http(Some(stranger.clone()))).is_err(), "{name}");
    }
}

#[test]
fn a_choice_is_not_given_to_a_machine_that_has_no_menu() {
    let images = vec![image("debian-12"), image("other")];
    let bench = bench(CatalogParts { images, ..pinned() });
    assert_eq!(reason(&bench, "boot.ipxe/other", &http(Some(machine()))), "not_found");
    assert_eq!(open(&bench, "boot.ipxe/debian-12", &http(Some(machine()))).boot.as_deref(), Some("boot-1"));
}

#[test]
fn an_unarmed_destructive_image_means_the_local_disk() {
    let images = vec![Image { destructive: true, ..image("debian-12") }];
    let bench = bench(CatalogParts { images, ..pinned() });
    let opened = open(&bench, "boot.ipxe", &http(Some(machine())));
    assert_eq!(text(&opened), "#!ipxe\n# reveille: local disk\nimgfree\nexit 1\n");
    bench.recall(machine());
    let config = open(&bench, "pxelinux.cfg/01-52-54-00-12-34-56", &tftp());
    assert!(text(&config).contains("LOCALBOOT") && !text(&config).contains("LINUX"), "{}", text(&config));
}

#[test]
fn refusals_are_shown_on_the_screen_and_lead_to_the_disk() {
    let ignored = CatalogParts { unknown: UnknownPolicy::Ignore, ..parts() };
    let unfit = Image { firmware: vec![Firmware::Bios], ..image("debian-12") };
    let evil = Image { cmdline: "x=${net0/ip}".to_owned(), ..image("debian-12") };
    let absent = Image { kernel: Some("vmlinuz".to_owned()), ..image("debian-12") };
    for (parts, says) in [
        (ignored, "no rule matches 52:54:00:12:34:56 (uefi-x64), generation 17"),
        (CatalogParts { images: vec![], ..pinned() }, "is left alone"),
        (CatalogParts { images: vec![unfit], ..pinned() }, "image debian-12 does not boot on"),
        (CatalogParts { images: vec![evil], ..pinned() }, "cannot be booted: kernel argument"),
        (CatalogParts { images: vec![absent], ..pinned() }, "it has no file vmlinuz"),
    ] {
        let bench = bench(parts);
        let opened = open(&bench, "boot.ipxe", &http(Some(machine())));
        let script = text(&opened).replace("\necho ", " ");
        assert!(script.contains(says) && script.ends_with("exit 1\n"), "{says}: {script}");
        assert!(opened.boot.is_none() && bench.ledger.begun.lock().unwrap().is_empty(), "{says}");
    }
}

#[test]
fn pxelinux_finds_its_host_by_guid_then_mac_then_address() {
    let by_mac = bench(pinned());
    let mut by_guid = pinned();
    by_guid.hosts = vec![host("web02", &format!(r#""match":{{"uuid":"{GUID}"}},"image":"debian-12""#))];
    let by_guid = bench(by_guid);
    let wire = "pxelinux.cfg/44332211-6655-8877-99aa-bbccddeeff00";
    let mac = "/pxelinux.cfg/01-52-54-00-12-34-56";
    assert_eq!(open(&by_guid, wire, &tftp()).host.as_deref(), Some("web02"));
    assert_eq!(reason(&by_mac, wire, &tftp()), "not_found");
    let opened = open(&by_mac, mac, &tftp());
    assert_eq!((opened.host.as_deref(), opened.role), (Some("web01"), Role::Config));
    assert!(text(&opened).contains("LINUX ::/debian-12/LINUX"), "{}", text(&opened));
    assert_eq!(opened.facts.unwrap().stage, Stage::Loader);
    assert_eq!(reason(&by_guid, mac, &tftp()), "not_found");
    assert_eq!(reason(&by_mac, "pxelinux.cfg/0A4D0032", &tftp()), "not_found");
    by_mac.recall(machine());
    assert_eq!(open(&by_mac, "debian-12/pxelinux.cfg/0A4D0032", &tftp()).host.as_deref(), Some("web01"));
    assert_eq!(open(&by_mac, wire, &tftp()).host.as_deref(), Some("web01"), "recalled by address");
}

#[test]
fn every_other_name_of_the_list_is_quietly_not_found() {
    let bench = bench(pinned());
    bench.recall(machine());
    for key in [
        "0A4D003",
        "0A4D00",
        "0A",
        "0",
        "20-52-54-00-12-34-56",
        "01-52",
        "01-",
        "x",
        "defaults",
        "graphics.conf",
    ] {
        assert_eq!(reason(&bench, &format!("pxelinux.cfg/{key}"), &tftp()), "not_found", "{key}");
    }
    assert!(bench.ledger.begun.lock().unwrap().is_empty());
}

#[test]
fn default_answers_whoever_asks_by_policy() {
    let of = |policy| {
        let bench = bench(CatalogParts { unknown: policy, ..parts() });
        bench.tree.open("pxelinux.cfg/default", &tftp()).map(|opened| text(&opened).to_owned())
    };
    assert!(of(UnknownPolicy::Menu).unwrap().contains("SAY   debian-12"));
    assert!(of(UnknownPolicy::LocalDisk).unwrap().starts_with("# reveille: local disk"));
    assert_eq!(of(UnknownPolicy::Ignore).unwrap_err().reason(), "unknown_ignored");
    let known = bench(pinned());
    known.recall(machine());
    assert_eq!(open(&known, "pxelinux.cfg/default", &tftp()).host.as_deref(), Some("web01"));
}

#[test]
fn a_name_of_another_machine_takes_nothing_from_the_one_that_asks() {
    let bench = bench(pinned());
    bench.recall(Facts { mac: Some("52:54:00:00:00:01".parse().unwrap()), ..machine() });
    let opened = open(&bench, "pxelinux.cfg/01-52-54-00-12-34-56", &tftp());
    assert_eq!(opened.facts.unwrap().guid, None);
}

#[test]
fn an_image_pxelinux_cannot_boot_says_so() {
    let script =
        Image { kind: ImageKind::IpxeScript, script: Some("LINUX".to_owned()), ..image("debian-12") };
    let bench = bench(CatalogParts { images: vec![script], ..pinned() });
    let opened = open(&bench, "pxelinux.cfg/01-52-54-00-12-34-56", &tftp());
    assert!(text(&opened).contains("SAY reveille: image debian-12 cannot be booted"), "{}", text(&opened));
    assert!(opened.boot.is_none());
}

#[test]
fn a_bios_host_that_wants_pxelinux_goes_on_to_it_from_ipxe() {
    let web01 =
        host("web01", r#""match":{"mac":"52:54:00:12:34:56"},"image":"debian-12","loader":"pxelinux""#);
    let bench = bench(CatalogParts { hosts: vec![web01], ..parts() });
    let facts = Facts { firmware: Some(Firmware::Bios), ..machine() };
    let opened = open(&bench, "boot.ipxe", &http(Some(facts)));
    assert!(text(&opened).contains("chain --autofree tftp://10.77.0.1/pxelinux.0"), "{}", text(&opened));
    assert!(opened.boot.is_none());
}

#[test]
fn generated_text_has_an_etag_of_its_content() {
    let bench = bench(pinned());
    let who = Who { door: Door::Http, ..http(None) };
    let (one, two) = (open(&bench, "boot.ipxe", &who), open(&bench, "boot.ipxe", &who));
    assert_eq!((one.etag.len(), &one.etag), (32, &two.etag));
    assert_ne!(one.etag, open(&bench, "boot.ipxe", &http(Some(machine()))).etag);
    assert_eq!(one.content_type, "text/plain; charset=utf-8");
}

#[test]
fn a_host_that_stays_at_a_version_fetches_every_file_by_a_name_that_has_it() {
    let mut bench = bench(parts());
    let library = bench.tree.parts().library.clone();
    let old = library.manifest("debian-12").unwrap().id().clone();
    let source = folder(&[("LINUX", b"newer kernel"), ("initrd.gz", b"initrd"), ("only-here", b"x")]);
    let request = library::ImportRequest {
        image: image("debian-12"),
        source: library::Source::Dir(source.path().to_owned()),
        kind_given: true,
        profile: None,
        replace: true,
        record_image: false,
        now: types::UnixTime(2),
    };
    library.import(&request, &mut library::Unwatched).unwrap();
    let name: types::resource::Name = "debian-12".parse().unwrap();
    let versions = library.versions("debian-12").unwrap();
    let versions = versions.newest_first().into_iter().map(|manifest| plan::ImageVersion {
        of: name.clone(),
        known_as: vec![manifest.id().clone()],
        image: Image { name: name.at_version(manifest.id()), ..manifest.profile.as_deref().unwrap().clone() },
    });
    let mut parts = CatalogParts { versions: versions.collect(), ..pinned() };
    parts.hosts[0].image_version = Some(old.clone());
    bench.memory = std::sync::Arc::new(Memory {
        catalog: std::sync::Arc::new(plan::Catalog::build(parts).unwrap()),
        recalled: std::sync::Mutex::default(),
    });
    let parts = crate::TreeParts { decider: bench.memory.clone(), ..bench.tree.parts().clone() };
    bench.tree = crate::Tree::new(parts);
    let opened = open(&bench, "boot.ipxe", &http(Some(machine())));
    let at = format!("debian-12@{old}");
    let escaped = at.replace('@', "%40");
    assert!(text(&opened).contains(&format!("http://10.77.0.1:8080/{escaped}/LINUX ")), "{}", text(&opened));
    assert_eq!(opened.image.as_deref(), Some(at.as_str()));
    for who in [tftp(), http(None)] {
        assert_eq!(&open(&bench, &format!("{at}/linux"), &who).content[..], b"kernel");
        assert_eq!(&open(&bench, "debian-12/linux", &who).content[..], b"newer kernel");
        assert_eq!(open(&bench, &format!("{at}/linux"), &who).role, Role::Kernel);
    }
    assert_eq!(reason(&bench, &format!("{at}/only-here"), &tftp()), "not_found");
    assert_eq!(reason(&bench, "debian-12@000000000000/linux", &tftp()), "not_found");
}
