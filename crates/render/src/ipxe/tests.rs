use super::*;
use crate::cmdline::Additions;
use insta::assert_snapshot;
use proptest::prelude::*;
use std::net::Ipv4Addr;
use types::resource::Host;

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 1));

fn debian() -> Image {
    Image {
        kernel: Some("linux".to_owned()),
        initrd: vec!["initrd.gz".to_owned(), "extra files.gz".to_owned()],
        cmdline: "vga=788 --- quiet".to_owned(),
        description: "Debian 12 installer".to_owned(),
        ..Image::new("debian-12".parse().unwrap(), ImageKind::Linux)
    }
}

fn web01() -> Host {
    Host {
        name: "web01".parse().unwrap(),
        identity: types::resource::HostMatch::default(),
        image: None,
        image_version: None,
        group: None,
        location: None,
        power: None,
        labels: Default::default(),
        loader: None,
        params: std::collections::BTreeMap::new(),
        template: None,
        kernel_args_append: vec!["console=ttyS0".to_owned()],
        bundles: None,
        bundles_append: Vec::new(),
    }
}

fn additions() -> Additions {
    Additions {
        callback: Some("http://10.77.0.1:8080/b/0123456789abcdef0123456789abcdef/up".to_owned()),
        boot_mac: Some("52:54:00:12:34:56".parse().unwrap()),
        answer: None,
        overlay: None,
    }
}

#[test]
fn first_script_asks_again_with_facts() {
    assert_snapshot!(first(LOCAL, 8080));
}

/// A vendor called `x&mac=…` adds a parameter, behind the real one.
#[test]
fn identity_and_firmware_stand_before_any_string_of_the_machine() {
    let first_string = FACTS_QUERY.find(":uristring").unwrap();
    for name in ["mac=", "uuid=", "arch=", "platform="] {
        assert!(FACTS_QUERY.find(name).unwrap() < first_string, "{name}");
    }
}

#[test]
fn linux_image_on_uefi_by_http() {
    let (image, host) = (debian(), web01());
    let boot = BootImage {
        image: &image,
        host: Some(&host),
        generation: 17,
        firmware: Some(Firmware::UefiX64),
        additions: additions(),
    };
    assert_snapshot!(super::image(&boot, Origin::http(LOCAL, 8080)).unwrap());
}

#[test]
fn linux_image_on_bios_by_tftp() {
    let image = debian();
    let boot = BootImage {
        image: &image,
        host: None,
        generation: 17,
        firmware: Some(Firmware::Bios),
        additions: additions(),
    };
    assert_snapshot!(super::image(&boot, Origin::Tftp).unwrap());
}

#[test]
fn script_image_of_unknown_firmware() {
    let image = Image { kind: ImageKind::IpxeScript, script: Some("My Script.ipxe".to_owned()), ..debian() };
    let boot = BootImage { image: &image, host: None, generation: 1, firmware: None, additions: additions() };
    assert_snapshot!(super::image(&boot, Origin::http(LOCAL, 80)).unwrap());
}

#[test]
fn menu_of_two_images() {
    let (one, two) =
        (debian(), Image { name: "rescue".parse().unwrap(), description: String::new(), ..debian() });
    assert_snapshot!(menu(&[&one, &two], 17, Origin::http(LOCAL, 8080), Some(Firmware::UefiX64)));
}

#[test]
fn local_disk_of_bios_uefi_and_unknown_firmware() {
    assert_snapshot!(format!(
        "{}\n{}\n{}",
        local_disk(Some(Firmware::Bios)),
        local_disk(Some(Firmware::UefiArm64)),
        local_disk(None)
    ));
}

#[test]
fn no_rule_message_fits_the_screen() {
    let text = "reveille: no rule matches 52:54:00:12:34:56 (uefi-x64), generation 17; \
                try: reveille explain --mac 52:54:00:12:34:56";
    let script = message(text, Some(Firmware::Bios));
    assert!(script.lines().all(|line| line.len() <= "echo ".len() + text::SCREEN_COLUMNS), "{script}");
    assert_snapshot!(script);
}

#[test]
fn ipv6_addresses_stand_in_brackets() {
    let origin = Origin::http("fe80::1".parse().unwrap(), 80);
    assert_eq!(origin.url("a b"), "http://[fe80::1]:80/a%20b");
}

#[test]
fn every_goto_has_its_label() {
    let image = debian();
    let boot = BootImage { image: &image, host: None, generation: 1, firmware: None, additions: additions() };
    for script in [
        first(LOCAL, 80),
        super::image(&boot, Origin::Tftp).unwrap(),
        loader("pxelinux.0", LOCAL, None),
        menu(&[&image], 1, Origin::Tftp, None),
    ] {
        for target in
            script.lines().filter_map(|line| line.split("goto ").nth(1)).filter(|to| *to != "${chosen}")
        {
            assert!(script.lines().any(|line| line == format!(":{target}")), "{target} in {script}");
        }
    }
}

fn of_kind(kind: ImageKind) -> Image {
    let name = kind.as_str().parse().unwrap();
    let image = Image::new(name, kind);
    match kind {
        ImageKind::Linux => Image { name: image.name, ..debian() },
        ImageKind::IpxeScript => Image { script: Some("own.ipxe".to_owned()), ..image },
        ImageKind::Esxi => image,
        ImageKind::Windows => Image {
            initrd: ["Boot/BCD", "Boot/boot.sdi", "sources/boot.wim"].map(str::to_owned).to_vec(),
            cmdline: "gui".to_owned(),
            ..image
        },
        ImageKind::Efi => Image {
            efi: Some("memtest.efi".to_owned()),
            kernel: Some("memtest.bin".to_owned()),
            cmdline: "keyboard=both".to_owned(),
            ..image
        },
        ImageKind::Iso => Image { disk: Some("rescue.iso".to_owned()), ..image },
    }
}

const KINDS: [ImageKind; 6] = [
    ImageKind::Linux,
    ImageKind::IpxeScript,
    ImageKind::Esxi,
    ImageKind::Windows,
    ImageKind::Efi,
    ImageKind::Iso,
];

fn script_of(image: &Image, firmware: Option<Firmware>, origin: Origin) -> Result<String, RenderError> {
    let boot = BootImage { image, host: None, generation: 17, firmware, additions: Additions::default() };
    super::image(&boot, origin)
}

/// What iPXE does with a script on a machine, when the commands that begin with `broken` fail: the commands it runs,
/// without `echo`, `sleep` and the ones that only lead the way. `||` runs what follows only after a failure; `goto` goes
/// on behind the label; the end of the script, and a failure nothing caught, end it.
fn run(script: &str, platform: &str, broken: &str) -> Vec<String> {
    let lines: Vec<&str> = script.lines().collect();
    let (mut at, mut ran, mut steps) = (0, Vec::new(), 0);
    'lines: while let Some(line) = lines.get(at) {
        steps += 1;
        assert!(steps < 1000, "the script does not end: {script}");
        at += 1;
        if line.starts_with('#') || line.starts_with(':') {
            continue;
        }
        for command in line.split(" || ") {
            let words: Vec<String> =
                command.split(' ').map(|word| word.replace("${platform}", platform)).collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let worked = match words.as_slice() {
                ["goto", label] => {
                    let found = lines.iter().position(|line| line.strip_prefix(':') == Some(*label));
                    at = found.unwrap_or_else(|| panic!("no label {label} in {script}"));
                    continue 'lines;
                }
                ["iseq", one, two] => one == two,
                ["echo" | "sleep" | "imgfree" | "set", ..] => true,
                ["exit", ..] => {
                    ran.push(command.to_owned());
                    return ran;
                }
                _ => {
                    ran.push(command.to_owned());
                    let failed = !broken.is_empty() && command.starts_with(broken);
                    // What boots or hands over does not come back.
                    if !failed && matches!(words.first(), Some(&"boot" | &"sanboot" | &"chain")) {
                        return ran;
                    }
                    !failed
                }
            };
            if worked {
                continue 'lines;
            }
        }
        panic!("a failure that nothing catches: {line} in {script}");
    }
    ran
}

fn platform_of(firmware: Firmware) -> &'static str {
    if firmware == Firmware::Bios { "pcbios" } else { "efi" }
}

#[test]
fn esxi_on_bios_uefi_and_unknown_firmware() {
    let image = of_kind(ImageKind::Esxi);
    let http = Origin::http(LOCAL, 8080);
    assert_snapshot!(script_of(&image, None, http).unwrap());
    let mboot = |file: &str| {
        let folder = "http://10.77.0.1:8080/esxi";
        vec![
            format!("kernel {folder}/{file} -c {folder}/01-${{netX/mac:hexhyp}}/boot.cfg"),
            "boot".to_owned(),
        ]
    };
    for firmware in [Firmware::Bios, Firmware::UefiX64] {
        let file = if firmware == Firmware::Bios { "mboot.c32" } else { "mboot.efi" };
        for known in [Some(firmware), None] {
            let script = script_of(&image, known, http).unwrap();
            assert_eq!(run(&script, platform_of(firmware), ""), mboot(file), "{known:?}");
        }
    }
    let tftp = script_of(&image, Some(Firmware::UefiX64), Origin::Tftp).unwrap();
    assert_eq!(
        run(&tftp, "efi", ""),
        ["kernel /esxi/mboot.efi -c /esxi/01-${netX/mac:hexhyp}/boot.cfg", "boot"]
    );
}

#[test]
fn windows_gives_wimboot_every_file_by_its_own_name() {
    let image = of_kind(ImageKind::Windows);
    assert_snapshot!(script_of(&image, Some(Firmware::UefiX64), Origin::http(LOCAL, 8080)).unwrap());
    let own = Image { kernel: Some("wimboot-2.8".to_owned()), ..image.clone() };
    let script = script_of(&own, None, Origin::Tftp).unwrap();
    assert!(script.contains("kernel --name wimboot /windows/wimboot-2.8 gui ||"), "{script}");
    let blank = Image { initrd: vec!["boot/a b".to_owned()], ..image };
    assert!(matches!(script_of(&blank, None, Origin::Tftp), Err(RenderError::FileName { .. })));
}

#[test]
fn an_efi_program_has_a_kernel_for_bios_or_is_refused_there() {
    let image = of_kind(ImageKind::Efi);
    let http = Origin::http(LOCAL, 80);
    let script = script_of(&image, None, http).unwrap();
    assert_snapshot!(script);
    assert_eq!(run(&script, "pcbios", "")[0], "kernel http://10.77.0.1:80/efi/memtest.bin keyboard=both");
    assert_eq!(run(&script, "efi", "")[0], "kernel http://10.77.0.1:80/efi/memtest.efi keyboard=both");
    let bare = Image { kernel: None, ..image };
    let refused = script_of(&bare, Some(Firmware::Bios), http);
    assert_eq!(refused, Err(RenderError::FirmwareUnfit { field: "kernel" }));
    let script = script_of(&bare, None, http).unwrap();
    assert_eq!(run(&script, "pcbios", ""), [SANBOOT.split(" || ").next().unwrap()]);
    assert_eq!(run(&script, "efi", "").len(), 2);
}

#[test]
fn a_disk_image_is_attached_by_http_alone() {
    let image = of_kind(ImageKind::Iso);
    assert_snapshot!(script_of(&image, Some(Firmware::Bios), Origin::http(LOCAL, 80)).unwrap());
    let refused = script_of(&image, None, Origin::Tftp);
    assert_eq!(refused, Err(RenderError::KindUnfit { kind: "iso", loader: "iPXE without HTTP" }));
}

/// Whichever command fails, on every machine: the machine ends at its own disk, and no failure stops the script.
#[test]
fn every_script_ends_at_the_local_disk_when_a_command_fails() {
    let disk =
        |platform: &str| if platform == "pcbios" { "sanboot --no-describe --drive 0x80" } else { "exit 1" };
    for kind in KINDS {
        for (firmware, platform) in [
            (Some(Firmware::Bios), "pcbios"),
            (Some(Firmware::UefiX64), "efi"),
            (None, "pcbios"),
            (None, "efi"),
        ] {
            let script = script_of(&of_kind(kind), firmware, Origin::http(LOCAL, 80)).unwrap();
            let whole = run(&script, platform, "");
            for broken in &whole {
                let ran = run(&script, platform, broken);
                assert_eq!(ran.last().map(String::as_str), Some(disk(platform)), "{broken} in {script}");
            }
            // The machine's own disk does not start either.
            let ran = run(&local_disk(firmware), platform, "sanboot");
            assert_eq!(ran.last().map(String::as_str), Some("exit 1"));
        }
    }
}

/// Lines of a script that are not text of ours, by their first word.
fn commands(script: &str) -> Vec<&str> {
    script.lines().filter_map(|line| line.split(' ').next()).collect()
}

/// True when iPXE would expand something that is not of our own writing.
fn expands(script: &str) -> bool {
    script.replace("${platform}", "").replace("${chosen}", "").contains("${")
}

proptest! {
    /// Whatever the strings of an image say, the script has the same commands, or there is none.
    #[test]
    fn no_value_adds_a_command(cmdline in ".*", kernel in ".*", initrd in ".*", description in ".*", word in ".*") {
        let (plain, host) = (debian(), web01());
        let image = Image {
            kernel: Some(kernel),
            initrd: vec![initrd.clone(), initrd],
            cmdline,
            description,
            ..debian()
        };
        let evil = Host { kernel_args_append: vec![word.clone()], ..web01() };
        let boot = |image, host| BootImage {
            image, host, generation: 1, firmware: None, additions: additions(),
        };
        let expected = super::image(&boot(&plain, Some(&host)), Origin::Tftp).unwrap();
        if let Ok(script) = super::image(&boot(&image, Some(&evil)), Origin::Tftp) {
            prop_assert_eq!(commands(&script), commands(&expected));
            prop_assert_eq!(script.matches("||").count(), expected.matches("||").count());
            prop_assert!(!expands(&script));
        }
        let shown = menu(&[&image], 1, Origin::Tftp, None);
        let plain_menu = menu(&[&plain], 1, Origin::Tftp, None);
        prop_assert_eq!(commands(&shown), commands(&plain_menu));
        prop_assert!(!expands(&shown));
        let said = message(&word, None);
        prop_assert!(!expands(&said));
        prop_assert!(said.lines().all(|line| !line.split(' ').any(|word| matches!(word, ";" | "&&"))));
    }
}
