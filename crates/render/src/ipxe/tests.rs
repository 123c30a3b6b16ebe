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
        loader: None,
        params: std::collections::BTreeMap::new(),
        template: None,
        kernel_args_append: vec!["console=ttyS0".to_owned()],
    }
}

fn additions() -> Additions {
    Additions {
        callback: Some("http://10.77.0.1:8080/b/0123456789abcdef0123456789abcdef/up".to_owned()),
        boot_mac: Some("52:54:00:12:34:56".parse().unwrap()),
        answer: None,
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
