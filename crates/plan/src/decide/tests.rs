use super::*;
use crate::CatalogParts;
use proptest::prelude::*;
use types::resource::{HostMatch, ImageKind, OneOrMany};
use types::subnet::LoaderChoice;
use types::{MacAddr, MachineGuid};

const GUID: &str = "11223344-5566-7788-99aa-bbccddeeff00";
const MAC: &str = "52:54:00:12:34:56";

fn image(name: &str) -> Image {
    Image { kernel: Some("linux".into()), ..Image::new(name.parse().unwrap(), ImageKind::Linux) }
}

fn host(name: &str, mac: Option<&str>, uuid: Option<&str>, image: Option<&str>) -> Host {
    Host {
        image: image.map(|text| text.parse().unwrap()),
        ..Host::new(
            name.parse().unwrap(),
            HostMatch {
                mac: OneOrMany(mac.map(|text| text.parse().unwrap()).into_iter().collect()),
                uuid: uuid.map(|text| text.parse().unwrap()),
                serial: None,
            },
        )
    }
}

fn parts() -> CatalogParts {
    CatalogParts {
        generation: 7,
        hosts: vec![host("web01", Some(MAC), Some(GUID), Some("debian"))],
        images: vec![image("debian"), image("rescue"), Image { destructive: true, ..image("wipe") }],
        loaders: vec![
            LoaderChoice { firmware: Firmware::Bios, file: "undionly.kpxe".into() },
            LoaderChoice { firmware: Firmware::UefiX64, file: "snponly.efi".into() },
        ],
        ..CatalogParts::default()
    }
}

fn catalog(change: impl FnOnce(&mut CatalogParts)) -> Catalog {
    let mut parts = parts();
    change(&mut parts);
    Catalog::build(parts).unwrap()
}

fn facts(stage: Stage, firmware: Firmware, mac: &str) -> Facts {
    Facts { mac: Some(mac.parse().unwrap()), stage, firmware: Some(firmware), http: true, ..Facts::default() }
}

fn asked(catalog: &Catalog, facts: &Facts) -> Result<BootPlan, LeaveAloneReason> {
    match decide(catalog, facts, &BootState::default()).decision {
        Decision::Boot(plan) => Ok(plan),
        Decision::LeaveAlone(reason) => Err(reason),
    }
}

fn target_image(plan: Result<BootPlan, LeaveAloneReason>) -> String {
    match plan.unwrap().target {
        Target::Image(image) => image.name.to_string(),
        other => format!("{other:?}"),
    }
}

#[test]
fn each_firmware_and_stage_gets_its_step() {
    let catalog = catalog(|_| {});
    let step = |stage, firmware| asked(&catalog, &facts(stage, firmware, MAC)).map(|plan| plan.step);
    assert_eq!(step(Stage::Rom, Firmware::Bios), Ok(Step::Loader("undionly.kpxe".into())));
    assert_eq!(step(Stage::Rom, Firmware::UefiX64), Ok(Step::Loader("snponly.efi".into())));
    assert_eq!(step(Stage::HttpRom, Firmware::UefiX64), Ok(Step::Loader("snponly.efi".into())));
    assert_eq!(step(Stage::Rom, Firmware::UefiArm64), Err(LeaveAloneReason::NoLoader));
    assert_eq!(step(Stage::Ipxe, Firmware::Bios), Ok(Step::Script));
    assert_eq!(step(Stage::Ipxe, Firmware::UefiArm64), Ok(Step::Script));
    assert_eq!(step(Stage::Loader, Firmware::Bios), Ok(Step::Config));
    assert_eq!(step(Stage::Os, Firmware::Bios), Err(LeaveAloneReason::NotABootClient));
}

#[test]
fn a_machine_is_known_by_its_guid_in_either_byte_order_or_by_its_mac() {
    let catalog = catalog(|_| {});
    let guid: MachineGuid = GUID.parse().unwrap();
    for facts in [
        Facts { guid: Some(guid), stage: Stage::Ipxe, ..Facts::default() },
        Facts { guid: Some(guid.swapped()), stage: Stage::Ipxe, ..Facts::default() },
        facts(Stage::Ipxe, Firmware::Bios, MAC),
    ] {
        let verdict = decide(&catalog, &facts, &BootState::default());
        assert_eq!(verdict.host.map(|host| host.name.to_string()).as_deref(), Some("web01"));
        assert_eq!(verdict.generation, 7);
    }
}

#[test]
fn a_guid_that_is_nobodys_identifies_nobody() {
    let catalog = catalog(|_| {});
    let guid: MachineGuid = "03000200-0400-0500-0006-000700080009".parse().unwrap();
    let verdict = decide(
        &catalog,
        &Facts { guid: Some(guid), stage: Stage::Ipxe, ..Facts::default() },
        &BootState::default(),
    );
    assert!(verdict.host.is_none());
    assert_eq!(verdict.trace.0.first(), Some(&TraceLine::GuidIsNobodys(guid)));
}

#[test]
fn identities_of_two_hosts_are_a_conflict_and_nothing_is_booted() {
    let catalog =
        catalog(|parts| parts.hosts.push(host("web02", Some("52:54:00:00:00:02"), None, Some("rescue"))));
    let mixed = Facts {
        guid: Some(GUID.parse().unwrap()),
        ..facts(Stage::Ipxe, Firmware::Bios, "52:54:00:00:00:02")
    };
    let verdict = decide(&catalog, &mixed, &BootState::default());
    assert!(matches!(verdict.decision, Decision::LeaveAlone(LeaveAloneReason::IdentityConflict)));
    let text = verdict.trace.to_string();
    assert!(text.contains("web01") && text.contains("web02"), "{text}");
}

#[test]
fn host_pin_comes_before_the_default_image_and_both_before_the_policy() {
    let with_default = catalog(|parts| parts.default_image = Some("rescue".parse().unwrap()));
    let stranger = facts(Stage::Ipxe, Firmware::Bios, "52:54:00:99:99:99");
    assert_eq!(target_image(asked(&with_default, &facts(Stage::Ipxe, Firmware::Bios, MAC))), "debian");
    assert_eq!(target_image(asked(&with_default, &stranger)), "rescue");
    assert_eq!(target_image(asked(&catalog(|_| {}), &stranger)), "Menu");
}

#[test]
fn unknown_machines_get_what_the_policy_says() {
    let stranger = |stage| facts(stage, Firmware::Bios, "52:54:00:99:99:99");
    let policy = |policy| catalog(|parts| parts.unknown = policy);
    assert_eq!(
        asked(&policy(UnknownPolicy::Ignore), &stranger(Stage::Rom)),
        Err(LeaveAloneReason::UnknownIgnored)
    );
    assert_eq!(
        asked(&policy(UnknownPolicy::LocalDisk), &stranger(Stage::Rom)),
        Err(LeaveAloneReason::LocalDisk)
    );
    assert_eq!(
        asked(&policy(UnknownPolicy::LocalDisk), &stranger(Stage::Ipxe)),
        Ok(BootPlan { target: Target::LocalDisk, step: Step::Script })
    );
    assert_eq!(
        asked(&policy(UnknownPolicy::Menu), &stranger(Stage::Rom)),
        Ok(BootPlan { target: Target::Menu, step: Step::Loader("undionly.kpxe".into()) })
    );
}

#[test]
fn a_recorded_host_without_an_image_is_never_ignored() {
    let catalog = catalog(|parts| {
        parts.unknown = UnknownPolicy::Ignore;
        for host in &mut parts.hosts {
            host.image = None;
        }
    });
    assert_eq!(target_image(asked(&catalog, &facts(Stage::Ipxe, Firmware::Bios, MAC))), "LocalDisk");
}

#[test]
fn a_destructive_image_needs_an_armed_host() {
    let catalog = catalog(|parts| {
        for host in &mut parts.hosts {
            host.image = Some("wipe".parse().unwrap());
        }
    });
    let asking = facts(Stage::Ipxe, Firmware::Bios, MAC);
    assert_eq!(target_image(asked(&catalog, &asking)), "LocalDisk");
    let armed = BootState::armed();
    let Decision::Boot(plan) = decide(&catalog, &asking, &armed).decision else { panic!("left alone") };
    assert_eq!(target_image(Ok(plan)), "wipe");
}

#[test]
fn a_machine_that_loops_is_sent_to_its_disk() {
    let catalog = catalog(|parts| parts.loop_limit = Some(3));
    let looping = |fetches| BootState { loader_fetches: fetches, ..BootState::default() };
    let rom = facts(Stage::Rom, Firmware::Bios, MAC);
    assert!(matches!(decide(&catalog, &rom, &looping(3)).decision, Decision::Boot(_)));
    let verdict = decide(&catalog, &rom, &looping(4));
    assert!(matches!(verdict.decision, Decision::LeaveAlone(LeaveAloneReason::LoopStopped)));
    let at_ipxe = decide(&catalog, &facts(Stage::Ipxe, Firmware::Bios, MAC), &looping(4));
    assert!(matches!(
        at_ipxe.decision,
        Decision::Boot(BootPlan { target: Target::LocalDisk, step: Step::Script })
    ));
    assert!(verdict.trace.0.contains(&TraceLine::LoopStopped { fetches: 4, limit: 3 }));
}

#[test]
fn a_missing_image_leaves_the_machine_alone_and_says_which() {
    let catalog = catalog(|parts| {
        for host in &mut parts.hosts {
            host.image = Some("gone".parse().unwrap());
        }
    });
    let verdict = decide(&catalog, &facts(Stage::Rom, Firmware::Bios, MAC), &BootState::default());
    assert!(matches!(verdict.decision, Decision::LeaveAlone(LeaveAloneReason::ImageMissing)));
    assert!(verdict.trace.to_string().contains("gone"));
}

#[test]
fn an_image_for_other_firmware_is_not_started_by_the_rom() {
    let catalog = catalog(|parts| {
        for image in &mut parts.images {
            image.firmware = vec![Firmware::UefiX64];
        }
    });
    assert_eq!(
        asked(&catalog, &facts(Stage::Rom, Firmware::Bios, MAC)),
        Err(LeaveAloneReason::FirmwareUnfit)
    );
    assert!(asked(&catalog, &facts(Stage::Rom, Firmware::UefiX64, MAC)).is_ok());
}

#[test]
fn a_host_may_ask_for_pxelinux_where_it_runs() {
    let catalog = catalog(|parts| {
        for host in &mut parts.hosts {
            host.loader = Some(LoaderKind::Pxelinux);
        }
    });
    let step = |stage, firmware| asked(&catalog, &facts(stage, firmware, MAC)).unwrap().step;
    assert_eq!(step(Stage::Rom, Firmware::Bios), Step::Loader("pxelinux.0".into()));
    assert_eq!(step(Stage::Ipxe, Firmware::Bios), Step::Loader("pxelinux.0".into()));
    assert_eq!(step(Stage::Rom, Firmware::UefiX64), Step::Loader("snponly.efi".into()));
    assert_eq!(step(Stage::Ipxe, Firmware::UefiX64), Step::Script);
}

fn any_facts() -> impl Strategy<Value = Facts> {
    let stage = prop::sample::select(vec![Stage::Os, Stage::Rom, Stage::HttpRom, Stage::Ipxe, Stage::Loader]);
    let firmware = prop::option::of(prop::sample::select(Firmware::ALL.to_vec()));
    let mac = prop::option::of(prop_oneof![
        Just(MAC.parse::<MacAddr>().unwrap()),
        any::<[u8; 6]>().prop_map(MacAddr)
    ]);
    let guid = prop::option::of(prop_oneof![
        Just(GUID.parse::<MachineGuid>().unwrap()),
        any::<[u8; 16]>().prop_map(MachineGuid)
    ]);
    (stage, firmware, mac, guid).prop_map(|(stage, firmware, mac, guid)| Facts {
        stage,
        firmware,
        mac,
        guid,
        ..Facts::default()
    })
}

proptest! {
    #[test]
    fn decide_is_total_explains_itself_and_never_starts_an_unarmed_destructive_image(
        facts in any_facts(),
        fetches in 0u32..12,
        pin in prop::sample::select(vec!["debian", "wipe", "gone"]),
        policy in prop::sample::select(vec![UnknownPolicy::Menu, UnknownPolicy::LocalDisk, UnknownPolicy::Ignore]),
    ) {
        let catalog = catalog(|parts| {
            parts.unknown = policy;
            for host in &mut parts.hosts {
                host.image = Some(pin.parse().unwrap());
            }
        });
        let verdict = decide(&catalog, &facts, &BootState { loader_fetches: fetches, ..BootState::default() });
        prop_assert!(!verdict.trace.0.is_empty());
        if let Decision::Boot(BootPlan { target: Target::Image(image), .. }) = &verdict.decision {
            prop_assert!(!image.destructive);
        }
        if facts.stage == Stage::Os {
            prop_assert!(!matches!(verdict.decision, Decision::Boot(_)));
        }
    }

    #[test]
    fn decide_does_not_depend_on_the_order_of_hosts(facts in any_facts(), seed in 0usize..5) {
        let many = |parts: &mut CatalogParts| {
            for at in 2..6u8 {
                let mac = MacAddr([0x52, 0x54, 0, 0, 0, at]).to_string();
                parts.hosts.push(host(&format!("web0{at}"), Some(&mac), None, Some("rescue")));
            }
        };
        let forward = catalog(many);
        let rotated = catalog(|parts| { many(parts); parts.hosts.rotate_left(seed); });
        let one = decide(&forward, &facts, &BootState::default());
        let other = decide(&rotated, &facts, &BootState::default());
        prop_assert_eq!(one.trace, other.trace);
    }
}

#[test]
fn an_esxi_image_brings_its_own_loader_for_uefi_unless_the_host_asks_for_another() {
    let esxi = Image::new("esxi-8".parse().unwrap(), ImageKind::Esxi);
    let catalog = |loader| {
        catalog(|parts| {
            parts.images.push(esxi.clone());
            parts.hosts[0].image = Some("esxi-8".parse().unwrap());
            parts.hosts[0].loader = loader;
        })
    };
    let step = |loader, stage, firmware| asked(&catalog(loader), &facts(stage, firmware, MAC)).unwrap().step;
    let own = Step::Loader("esxi-8/mboot.efi".into());
    assert_eq!(step(None, Stage::Rom, Firmware::UefiX64), own);
    assert_eq!(step(None, Stage::HttpRom, Firmware::UefiX64), own);
    assert_eq!(step(None, Stage::Rom, Firmware::Bios), Step::Loader("undionly.kpxe".into()));
    assert_eq!(step(None, Stage::Ipxe, Firmware::UefiX64), Step::Script);
    assert_eq!(
        step(Some(LoaderKind::Ipxe), Stage::Rom, Firmware::UefiX64),
        Step::Loader("snponly.efi".into())
    );
    let verdict = decide(&catalog(None), &facts(Stage::Rom, Firmware::UefiX64, MAC), &BootState::default());
    assert!(verdict.trace.to_string().contains("the own loader of `esxi-8`"), "{}", verdict.trace);
}

#[test]
fn a_host_stays_at_the_version_it_names_by_id_or_tag_and_gets_no_other_when_it_is_gone() {
    let name = |text: &str| text.parse::<Name>().unwrap();
    let parts = |version: &str| {
        let (image, id) = (name("debian-12"), name("9f2c00000000"));
        let profile =
            Image { kernel: Some("old".into()), ..Image::new(image.at_version(&id), ImageKind::Linux) };
        let known_as = vec![id, name("stable")];
        let mut host = host("web01", Some(MAC), None, None);
        (host.image, host.image_version) = (Some(image.clone()), Some(name(version)));
        CatalogParts {
            hosts: vec![host],
            images: vec![Image::new(image.clone(), ImageKind::Linux)],
            versions: vec![crate::ImageVersion { of: image, known_as, image: profile }],
            ..CatalogParts::default()
        }
    };
    for version in ["9f2c00000000", "stable"] {
        let catalog = Catalog::build(parts(version)).unwrap();
        assert!(catalog.warnings().is_empty());
        let plan = asked(&catalog, &facts(Stage::Ipxe, Firmware::Bios, MAC));
        assert_eq!(target_image(plan), "debian-12@9f2c00000000", "{version}");
        assert!(catalog.image("debian-12@9f2c00000000").is_some());
        assert!(catalog.image("debian-12@stable").is_none(), "a tag moves: no URL has it");
        assert_eq!(catalog.menu_images(None).len(), 1, "menus have current versions only");
    }
    for gone in ["9f2c", "000000000000", "testing"] {
        let catalog = Catalog::build(parts(gone)).unwrap();
        let warning = catalog.warnings()[0].to_string();
        assert!(warning.contains(&format!("image `debian-12@{gone}`, which is not there")), "{warning}");
        let plan = asked(&catalog, &facts(Stage::Ipxe, Firmware::Bios, MAC));
        assert_eq!(plan, Err(LeaveAloneReason::ImageMissing));
    }
    let mut alone = parts("stable");
    alone.hosts[0].image = None;
    let faults = Catalog::build(alone).unwrap_err();
    assert_eq!(faults, [crate::CatalogFault::VersionWithoutImage(name("web01"))]);
}
