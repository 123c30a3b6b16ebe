use super::*;
use crate::esxi::tests::{esxi, import, open, text};
use crate::tests::*;
use crate::{OpenError, Role};
use plan::CatalogParts;
use types::{Facts, Firmware, Stage};

const MAC: &str = "52:54:00:12:34:56";

/// Files of an image of that build, with a loader that says whose it is, or without.
fn medium(build: &str, loader: Option<&str>) -> Vec<(String, Vec<u8>)> {
    let config = format!("kernel=b.b00\nmodules=k.b00\nbuild={build}\n");
    let mut files = vec![
        ("boot.cfg".to_owned(), config.into_bytes()),
        ("b.b00".to_owned(), b"kernel".to_vec()),
        ("k.b00".to_owned(), b"module".to_vec()),
    ];
    if let Some(loader) = loader {
        files.push(("EFI/BOOT/BOOTX64.EFI".to_owned(), loader.as_bytes().to_vec()));
        files.push(("EFI/BOOT/CRYPTO64.EFI".to_owned(), format!("crypto of {loader}").into_bytes()));
    }
    files
}

/// A bench with these images, by name, build and loader.
fn with(images: &[(&str, &str, Option<&str>)]) -> Bench {
    let pinned = host("esx01", &format!(r#""match":{{"mac":"{MAC}"}},"image":"asked""#));
    let profiles = images.iter().map(|(name, _, _)| esxi(name)).collect();
    let bench = bench(CatalogParts { images: profiles, hosts: vec![pinned], ..parts() });
    for (name, build, loader) in images {
        let files = medium(build, *loader);
        let files: Vec<(&str, &[u8])> =
            files.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect();
        import(&bench, name, &files);
    }
    bench
}

fn asked(bench: &Bench) -> Option<String> {
    bench.tree.open("asked/mboot.efi", &tftp()).ok().map(|opened| text(&opened).to_owned())
}

#[test]
fn the_newest_of_the_same_line_lends_its_loader_and_its_crypto_module() {
    let bench = with(&[
        ("asked", "8.0.1-0.0.21495797", None),
        ("older", "8.0.0-0.0.20513097", Some("8.0.0")),
        ("newer", "8.0.2-0.0.22380479", Some("8.0.2")),
        ("newest", "8.0.3-0.0.24022510", Some("8.0.3")),
        ("next", "9.0.0.0.24755229", Some("9.0.0")),
        ("bare", "8.0.3-0.0.24999999", None),
    ]);
    assert_eq!(asked(&bench).as_deref(), Some("8.0.3"));
    let crypto = open(&bench, "Asked/CRYPTO64.EFI", &tftp());
    assert_eq!((text(&crypto), crypto.role), ("crypto of 8.0.3", Role::Loader));
    // Events show whose file it is and for which image.
    assert_eq!((&*crypto.name, crypto.image.as_deref()), ("newest/EFI/BOOT/CRYPTO64.EFI", Some("asked")));
    let lent = lent_loader(&bench.tree.parts().library, &esxi("asked")).unwrap();
    assert_eq!(
        (lent.image.as_str(), lent.version.to_string()),
        ("newest", "8.0.3 build 24022510".to_owned())
    );
    // The place on a medium is asked of the medium alone.
    assert!(matches!(
        bench.tree.open("asked/efi/boot/bootx64.efi", &tftp()),
        Err(OpenError::NotFound { .. })
    ));
}

#[test]
fn an_older_one_or_one_of_another_line_never_does() {
    for (build, loader) in [
        ("8.0.0-0.0.20513097", "8.0.0"),
        ("8.0.2-0.0.22380478", "8.0.2, a build before"),
        ("8.0.2", "8.0.2 of unknown build"),
        ("7.0.3-0.20.19193900", "7.0.3"),
        ("9.0.0.0.24755229", "9.0.0"),
        ("x", "of unknown release"),
    ] {
        let bench = with(&[("asked", "8.0.2-0.0.22380479", None), ("other", build, Some(loader))]);
        assert_eq!(asked(&bench), None, "{loader}");
    }
    // The same build is as new.
    let bench = with(&[("asked", "8.0.2-0.0.22380479", None), ("other", "8.0.2-0.0.22380479", Some("same"))]);
    assert_eq!(asked(&bench).as_deref(), Some("same"));
    // Of what is not known nothing is guessed.
    let bench = with(&[("asked", "x", None), ("other", "8.0.2-0.0.22380479", Some("8.0.2"))]);
    assert_eq!(asked(&bench), None);
}

#[test]
fn an_image_with_a_loader_of_its_own_or_of_its_base_is_lent_nothing() {
    let bench = with(&[
        ("asked", "8.0.1-0.0.21495797", Some("own")),
        ("newest", "8.0.3-0.0.24022510", Some("8.0.3")),
    ]);
    assert_eq!(asked(&bench).as_deref(), Some("own"));
    assert_eq!(lent_loader(&bench.tree.parts().library, &esxi("asked")), None);
    let mut profile = esxi("profile");
    profile.base = Some("asked".parse().unwrap());
    assert_eq!(lent_loader(&bench.tree.parts().library, &profile), None);
    // A loader without its neighbour does not get that of another release.
    let mut own = medium("8.0.1-0.0.21495797", Some("own"));
    own.retain(|(name, _)| !name.contains("CRYPTO"));
    let bench = with(&[("newest", "8.0.3-0.0.24022510", Some("8.0.3"))]);
    let files: Vec<(&str, &[u8])> = own.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect();
    import(&bench, "asked", &files);
    assert!(bench.tree.open("asked/crypto64.efi", &tftp()).is_err());
}

#[test]
fn of_equal_releases_the_first_by_name_lends() {
    let bench = with(&[
        ("asked", "8.0.2-0.0.22380479", None),
        ("b", "8.0.3-0.0.24022510", Some("b")),
        ("a", "8.0.3-0.0.24022510", Some("a")),
    ]);
    assert_eq!(asked(&bench).as_deref(), Some("a"));
}

#[test]
fn a_machine_whose_loader_is_nowhere_is_told() {
    let script = |bench: &Bench, firmware: Firmware| {
        let facts = Facts {
            mac: Some(MAC.parse().unwrap()),
            firmware: Some(firmware),
            stage: Stage::Ipxe,
            ..Facts::default()
        };
        text(&open(bench, "boot.ipxe", &http(Some(facts)))).to_owned()
    };
    let alone = with(&[("asked", "8.0.2-0.0.22380479", None)]);
    let told = script(&alone, Firmware::UefiX64);
    assert!(told.contains("no UEFI loader (mboot.efi)"), "{told}");
    let told = script(&alone, Firmware::Bios);
    assert!(told.contains("no BIOS loader (mboot.c32)"), "{told}");
    let lent = with(&[("asked", "8.0.2-0.0.22380479", None), ("b", "8.0.3-0.0.24022510", Some("b"))]);
    assert!(script(&lent, Firmware::UefiX64).contains("/asked/mboot.efi"));
    assert!(script(&lent, Firmware::Bios).contains("no BIOS loader"), "it is lent to UEFI machines alone");
}
