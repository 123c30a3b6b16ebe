use super::*;
use insta::assert_snapshot;
use proptest::prelude::*;
use types::resource::Host;

fn debian() -> Image {
    Image {
        kernel: Some("linux".to_owned()),
        initrd: vec!["initrd.gz".to_owned(), "firmware.cpio.gz".to_owned()],
        cmdline: "vga=788 --- quiet".to_owned(),
        description: "Debian 12 installer".to_owned(),
        ..Image::new("debian-12".parse().unwrap(), ImageKind::Linux)
    }
}

fn boot(image: &Image) -> BootImage<'_> {
    BootImage {
        image,
        host: None,
        generation: 17,
        firmware: None,
        additions: Additions {
            callback: Some("http://10.77.0.1:8080/b/0123456789abcdef0123456789abcdef/up".to_owned()),
            boot_mac: Some("52:54:00:12:34:56".parse().unwrap()),
            answer: None,
            overlay: None,
        },
    }
}

#[test]
fn linux_image() {
    let image = debian();
    let host = Host {
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
    };
    assert_snapshot!(super::image(&BootImage { host: Some(&host), ..boot(&image) }).unwrap());
}

#[test]
fn menu_leaves_out_what_pxelinux_cannot_boot() {
    let one = debian();
    let two = Image { name: "script".parse().unwrap(), kind: ImageKind::IpxeScript, ..debian() };
    let three = Image { name: "bad".parse().unwrap(), initrd: vec!["a b".to_owned()], ..debian() };
    assert_snapshot!(menu(&[&one, &two, &three], 17));
}

#[test]
fn local_disk_and_message() {
    let text = "reveille: no rule matches 52:54:00:12:34:56 (bios), generation 17; try: reveille explain --mac \
                52:54:00:12:34:56";
    assert_snapshot!(format!("{}\n{}", local_disk(), message(text)));
}

#[test]
fn what_pxelinux_cannot_boot_is_refused() {
    for kind in [ImageKind::IpxeScript, ImageKind::Windows, ImageKind::Efi, ImageKind::Iso] {
        let image = Image { kind, ..debian() };
        assert!(matches!(super::image(&boot(&image)), Err(RenderError::KindUnfit { .. })), "{kind:?}");
    }
}

#[test]
fn esxi_names_the_machines_own_boot_cfg_and_says_what_it_needs() {
    let image =
        Image { cmdline: "not here".to_owned(), ..Image::new("esxi-8".parse().unwrap(), ImageKind::Esxi) };
    assert_snapshot!(super::image(&boot(&image)).unwrap());
}

#[test]
fn esxi_in_a_menu_finds_its_boot_cfg_by_itself() {
    let image = Image::new("esxi-8".parse().unwrap(), ImageKind::Esxi);
    let menu = menu(&[&image], 17);
    assert!(
        menu.contains("LABEL esxi-8\n  KERNEL ::/esxi-8/mboot.c32\n  APPEND -\n  IPAPPEND 2\n"),
        "{menu}"
    );
}

#[test]
fn file_names_with_blanks_commas_or_great_length_are_refused() {
    for kernel in ["a b", "a,b", "ä", "a\nb", &"x".repeat(250)] {
        let image = Image { kernel: Some(kernel.to_owned()), ..debian() };
        assert!(matches!(super::image(&boot(&image)), Err(RenderError::FileName { .. })), "{kernel:?}");
    }
}

fn directives(config: &str) -> Vec<String> {
    config.lines().filter_map(|line| line.split_ascii_whitespace().next()).map(str::to_owned).collect()
}

proptest! {
    #[test]
    fn no_value_adds_a_directive(cmdline in ".*", kernel in ".*", description in ".*") {
        let plain = debian();
        let image = Image { kernel: Some(kernel), cmdline, description, ..debian() };
        let expected = super::image(&boot(&plain)).unwrap();
        if let Ok(config) = super::image(&boot(&image)) {
            prop_assert_eq!(directives(&config), directives(&expected));
            prop_assert_eq!(directives(&menu(&[&image], 1)), directives(&menu(&[&plain], 1)));
        }
        let known = ["#", "DEFAULT", "PROMPT", "TIMEOUT", "SAY", "LABEL", "LOCALBOOT"];
        let unknown = directives(&message(&image.description)).into_iter().find(|word| !known.contains(&word.as_str()));
        prop_assert_eq!(unknown, None);
    }
}
