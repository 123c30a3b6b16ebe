use crate::tests::*;
use crate::{Opened, Role, Who};
use library::{ImportRequest, Source, Unwatched};
use plan::{CatalogParts, UnknownPolicy};
use types::resource::{Image, ImageKind};
use types::{Facts, Firmware, Stage, UnixTime};

const MAC: &str = "52:54:00:12:34:56";
const OWN: &str = "esxi-8/01-52-54-00-12-34-56/boot.cfg";

/// As on a medium: names in upper case, and what they are called in `boot.cfg` in lower case.
const MEDIUM: &[(&str, &[u8])] = &[
    ("BOOT.CFG", b"title=bios\nkernel=/b.b00\nkernelopt=runweasel cdromBoot\nmodules=/jumpstrt.gz --- /k.b00\nbuild=8.0.3-0.0.24022510\n"),
    ("EFI/BOOT/BOOT.CFG", b"title=uefi\nkernel=/b.b00\nkernelopt=runweasel cdromBoot\nmodules=/jumpstrt.gz --- /k.b00\nbuild=8.0.3-0.0.24022510\n"),
    ("EFI/BOOT/BOOTX64.EFI", b"loader"),
    ("EFI/BOOT/CRYPTO64.EFI", b"crypto"),
    ("MBOOT.C32", b"bios loader"),
    ("B.B00", b"kernel"),
    ("JUMPSTRT.GZ", b"first"),
    ("K.B00", b"second"),
];

pub(crate) fn esxi(name: &str) -> Image {
    Image::new(name.parse().unwrap(), ImageKind::Esxi)
}

fn with(images: Vec<Image>, hosts: &[(&str, &str)]) -> Bench {
    let hosts = hosts.iter().map(|(name, json)| host(name, json)).collect();
    let bench = bench(CatalogParts { images, hosts, unknown: UnknownPolicy::LocalDisk, ..parts() });
    import(&bench, "esxi-8", MEDIUM);
    bench
}

pub(crate) fn import(bench: &Bench, name: &str, files: &[(&str, &[u8])]) {
    let source = folder(files);
    let request = ImportRequest {
        image: esxi(name),
        source: Source::Dir(source.path().to_owned()),
        profile: None,
        kind_given: true,
        replace: false,
        record_image: false,
        now: UnixTime(1),
    };
    bench.tree.parts().library.import(&request, &mut Unwatched).unwrap();
}

fn pinned(image: &str) -> Bench {
    with(vec![esxi("esxi-8")], &[("esx01", &format!(r#""match":{{"mac":"{MAC}"}},"image":"{image}""#))])
}

fn machine(firmware: Firmware) -> Facts {
    Facts { mac: Some(MAC.parse().unwrap()), firmware: Some(firmware), stage: Stage::Rom, ..Facts::default() }
}

pub(crate) fn open(bench: &Bench, name: &str, who: &Who) -> Opened {
    bench.tree.open(name, who).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub(crate) fn text(opened: &Opened) -> &str {
    std::str::from_utf8(&opened.content).unwrap()
}

#[test]
fn the_loader_and_its_modules_open_by_the_names_they_are_asked_by() {
    let bench = pinned("esxi-8");
    for (name, content, role) in [
        ("esxi-8/mboot.efi", "loader", Role::Loader),
        ("esxi-8/efi/boot/bootx64.efi", "loader", Role::Loader),
        ("/ESXI-8/crypto64.efi", "crypto", Role::Loader),
        ("esxi-8/mboot.c32", "bios loader", Role::Loader),
        ("esxi-8/b.b00", "kernel", Role::Kernel),
        ("esxi-8/jumpstrt.gz", "first", Role::Module),
    ] {
        let opened = open(&bench, name, &tftp());
        assert_eq!((text(&opened), opened.role), (content, role), "{name}");
    }
}

#[test]
fn boot_cfg_is_made_for_the_machine_that_its_folder_names() {
    let bench = pinned("esxi-8");
    let by_tftp = open(&bench, OWN, &tftp());
    let config = text(&by_tftp);
    for line in ["prefix=/esxi-8", "kernel=b.b00", "kernelopt=runweasel", "modules=jumpstrt.gz --- k.b00"] {
        assert!(config.lines().any(|own| own == line), "{line} is not in\n{config}");
    }
    assert!(config.contains("build=8.0.3-0.0.24022510"), "{config}");
    assert_eq!((by_tftp.role, by_tftp.host.as_deref()), (Role::Config, Some("esx01")));
    assert_eq!((by_tftp.image.as_deref(), by_tftp.boot.as_deref()), (Some("esxi-8"), Some("boot-1")));
    let by_http = open(&bench, OWN, &http(None));
    assert!(text(&by_http).contains("prefix=http://10.77.0.1:8080/esxi-8\n"), "{}", text(&by_http));
}

#[test]
fn boot_cfg_without_a_folder_is_that_of_the_machine_at_the_address() {
    let bench = pinned("esxi-8");
    bench.recall(machine(Firmware::UefiX64));
    assert!(text(&open(&bench, "esxi-8/boot.cfg", &tftp())).contains("title=uefi"));
    bench.recall(machine(Firmware::Bios));
    let config = open(&bench, "esxi-8/boot.cfg", &tftp());
    assert!(text(&config).contains("title=bios"));
    assert!(
        text(&config).contains("BOOTIF=01-52-54-00-12-34-56"),
        "a BIOS loader does not know its interface"
    );
}

#[test]
fn a_machine_that_boots_something_else_goes_to_its_next_boot_entry() {
    let bench = pinned("debian-12");
    let config = open(&bench, OWN, &tftp());
    assert!(text(&config).contains("skip=1"), "{}", text(&config));
    assert!(!text(&config).contains("b.b00") && config.boot.is_none());
    // One that nobody knows has the local disk by policy.
    let stranger = open(&bench, "esxi-8/01-52-54-00-00-00-99/boot.cfg", &tftp());
    assert!(text(&stranger).contains("skip=1"));
    assert!(bench.ledger.begun.lock().unwrap().is_empty());
}

#[test]
fn a_profile_stands_on_its_base_with_modules_and_options_of_its_own() {
    let mut own = esxi("esxi-lab");
    own.base = Some("esxi-8".parse().unwrap());
    own.modules = vec!["net-driver.v00".to_owned()];
    own.cmdline = "allowLegacyCPU=true".to_owned();
    let bench = with(
        vec![esxi("esxi-8"), own],
        &[(
            "esx01",
            &format!(r#""match":{{"mac":"{MAC}"}},"image":"esxi-lab","kernel_args_append":["logPort=com1"]"#),
        )],
    );
    let name = "esxi-lab/01-52-54-00-12-34-56/boot.cfg";
    let config = open(&bench, name, &tftp());
    assert!(text(&config).contains("skip=1"), "its module is not there yet:\n{}", text(&config));
    import(&bench, "esxi-lab", &[("net-driver.v00", b"driver")]);
    let config = open(&bench, name, &tftp());
    for line in [
        "prefix=/esxi-lab",
        "kernelopt=runweasel allowLegacyCPU=true logPort=com1",
        "modules=jumpstrt.gz --- k.b00 --- net-driver.v00",
    ] {
        assert!(text(&config).lines().any(|own| own == line), "{line} is not in\n{}", text(&config));
    }
    for (name, content) in [
        ("esxi-lab/k.b00", "second"),
        ("esxi-lab/net-driver.v00", "driver"),
        ("esxi-lab/mboot.efi", "loader"),
    ] {
        assert_eq!(text(&open(&bench, name, &tftp())), content, "{name}");
    }
}

#[test]
fn a_stateless_image_starts_no_installer() {
    let mut image = esxi("esxi-8");
    image.stateless = true;
    let bench = with(vec![image], &[("esx01", &format!(r#""match":{{"mac":"{MAC}"}},"image":"esxi-8""#))]);
    let config = open(&bench, OWN, &tftp());
    assert!(!text(&config).contains("runweasel"), "{}", text(&config));
}

#[test]
fn names_that_are_no_machine_are_not_found() {
    let bench = pinned("esxi-8");
    for name in
        ["esxi-8/01-xx/boot.cfg", "esxi-8/01-52-54-00-12-34-56/k.b00", "esxi-9/boot.cfg", "esxi-8/nothing"]
    {
        assert_eq!(bench.tree.open(name, &tftp()).unwrap_err().reason(), "not_found", "{name}");
    }
}

#[test]
fn an_ipxe_of_a_bios_machine_that_cannot_run_the_loader_is_told_so() {
    let bench = pinned("esxi-8");
    let script = |comboot| {
        let facts = Facts { stage: Stage::Ipxe, http: true, comboot, ..machine(Firmware::Bios) };
        text(&open(&bench, "boot.ipxe", &http(Some(facts)))).to_owned()
    };
    assert!(
        script(Some(true))
            .contains("esxi-8/mboot.c32 -c http://10.77.0.1:8080/esxi-8/01-${netX/mac:hexhyp}/boot.cfg")
    );
    assert!(script(Some(false)).contains("COMBOOT") && !script(Some(false)).contains("mboot.c32"));
    assert!(script(None).contains("mboot.c32"), "an iPXE that does not say is given the chance");
}
