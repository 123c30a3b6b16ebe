use super::*;

fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    folder
}

fn search(folder: &tempfile::TempDir) -> Loaders {
    Loaders::search(&[folder.path().display().to_string()])
}

#[test]
fn the_compiled_in_list_is_readable_and_consistent() {
    let list = Assets::compiled_in();
    for asset in &list.loaders {
        assert!(list.packages.iter().any(|package| package.name == asset.package), "{}", asset.name);
        assert!(
            !asset.paths.is_empty() && !asset.versions.is_empty() && !asset.firmware.is_empty(),
            "{}",
            asset.name
        );
        assert_eq!(asset.name, asset.name.to_ascii_lowercase());
        assert_eq!(list.loaders.iter().filter(|other| other.name == asset.name).count(), 1, "{}", asset.name);
    }
}

#[test]
fn folders_give_their_loaders_and_those_one_level_below() {
    let folder = folder(&[
        ("undionly.kpxe", b"own build"),
        ("arm64-efi/snponly.efi", &pe::image_of(0xaa64)),
        ("deep/er/x.efi", b"x"),
        ("README.md", b"no loader"),
        ("memdisk", b"known by name"),
        ("wimboot", b"of no package"),
    ]);
    let loaders = search(&folder);
    let names: Vec<&str> = loaders.iter().map(|loader| &*loader.name).collect();
    assert_eq!(names, ["arm64-efi/snponly.efi", "memdisk", "undionly.kpxe", "wimboot"]);
    assert_eq!(loaders.find("UNDIONLY.KPXE").unwrap().bytes, "own build");
    assert!(loaders.find("snponly.efi").is_none());
    assert_eq!(&*loaders.find_base("any/where/SNPONLY.efi").unwrap().name, "arm64-efi/snponly.efi");
}

#[test]
fn unlisted_and_changed_bytes_are_warnings_not_refusals() {
    let folder = folder(&[("undionly.kpxe", b"own build"), ("mine.efi", b"mine")]);
    let loaders = search(&folder);
    assert_eq!(loaders.find("undionly.kpxe").unwrap().standing, Standing::Changed);
    assert_eq!(loaders.find("mine.efi").unwrap().standing, Standing::Unlisted);
    assert_eq!(loaders.warnings().len(), 2);
}

#[test]
fn the_first_source_wins() {
    let (one, two) = (folder(&[("ipxe.efi", b"one")]), folder(&[("IPXE.EFI", b"two"), ("a.efi", b"a")]));
    let sources: Vec<String> =
        [&one, &two].iter().map(|folder| folder.path().display().to_string()).collect();
    let loaders = Loaders::search(&sources);
    assert_eq!(loaders.find("ipxe.efi").unwrap().bytes, "one");
    assert!(loaders.find("a.efi").is_some());
}

#[test]
fn default_choices_are_only_what_was_found_and_by_header() {
    let arm = pe::image_of(0xaa64);
    let loaders = search(&folder(&[
        ("snponly.efi", &arm),
        ("x64/ipxe.efi", &pe::image_of(0x8664)),
        ("ipxe.pxe", b"bios"),
    ]));
    let choices: Vec<(Firmware, String)> = loaders
        .default_choices()
        .into_iter()
        .map(|choice| (choice.firmware, choice.file.to_string()))
        .collect();
    assert_eq!(
        choices,
        [
            (Firmware::Bios, "ipxe.pxe".to_owned()),
            (Firmware::UefiX64, "x64/ipxe.efi".to_owned()),
            (Firmware::UefiArm64, "snponly.efi".to_owned()),
        ]
    );
}

#[test]
fn a_missing_loader_names_file_package_and_command() {
    let loaders = Loaders::search(&[]);
    assert_eq!(
        loaders.require("pxelinux.0").unwrap_err().to_string(),
        "loader `pxelinux.0` is not installed; it comes from package pxelinux: \
         apt-get install --no-install-recommends pxelinux"
    );
    assert!(loaders.require("mine.efi").unwrap_err().to_string().contains("put it into a folder"));
    assert!(loaders.missing("kernel").is_none());
}

#[test]
fn a_source_that_is_not_there_is_a_warning() {
    let loaders = Loaders::search(&["/nonexistent/loaders".to_owned()]);
    assert!(matches!(loaders.warnings(), [LoaderWarning::Unreadable { .. }]));
    assert_eq!(loaders.iter().count(), 0);
}

/// Needs the Debian packages; without them it says so and passes, unless `REVEILLE_REQUIRE_TOOLS=1`.
#[test]
fn installed_debian_packages_are_found_and_known() {
    let loaders = Loaders::search(&[AUTO.to_owned()]);
    if loaders.find("undionly.kpxe").is_none() || loaders.find("pxelinux.0").is_none() {
        assert!(
            std::env::var_os("REVEILLE_REQUIRE_TOOLS").is_none(),
            "packages ipxe and pxelinux are not installed"
        );
        eprintln!("SKIPPED: packages ipxe and pxelinux are not installed");
        return;
    }
    assert_eq!(loaders.find("undionly.kpxe").unwrap().firmware, [Firmware::Bios]);
    let choices = loaders.default_choices();
    let of = |firmware| choices.iter().find(|choice| choice.firmware == firmware).map(|choice| &*choice.file);
    assert_eq!(of(Firmware::Bios), Some("undionly.kpxe"));
    assert_eq!(of(Firmware::UefiX64), Some("snponly.efi"));
    assert_eq!(of(Firmware::UefiArm64), None);
}
