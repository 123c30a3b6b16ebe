//! Media as images: what a library makes of them.

use super::*;
use crate::media::testing::depot::{Bundle as Depot, boot_partition};
use crate::media::testing::{Disc, Member, gzip, tar, zip};
use crate::{Library, LibraryOptions, MemoryRecords, Reader};
use std::path::{Path, PathBuf};
use types::Firmware;
use types::resource::ImageKind;

struct Bench {
    folder: tempfile::TempDir,
    library: Library,
}

fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let options =
        LibraryOptions { loader_sources: vec![], ..LibraryOptions::at(folder.path().join("library")) };
    let library = Library::open(options, MemoryRecords::default()).unwrap();
    Bench { folder, library }
}

fn blank() -> Image {
    Image::new("image".parse().unwrap(), ImageKind::Linux)
}

impl Bench {
    fn medium(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn import(&self, source: Source, image: Image, kind_given: bool) -> Result<Imported, ImportError> {
        let request = ImportRequest {
            image,
            source,
            profile: None,
            kind_given,
            replace: true,
            record_image: true,
            now: UnixTime(1_700_000_000),
        };
        self.library.import(&request, &mut Unwatched)
    }

    fn detect(&self, bytes: &[u8]) -> Result<Imported, ImportError> {
        self.import(Source::Detect(self.medium("medium", bytes)), blank(), false)
    }
}

const BOOT_CFG: &[u8] = b"bootstate=0\r\ntitle=Loading ESXi installer\r\nTIMEOUT=5\r\nprefix=\r\nkernel=/b.b00\r\n\
kernelopt=runweasel cdromBoot\r\nmodules=/jumpstrt.gz --- /useropts.gz --- /features.gz\r\nbuild=8.0.2-22380479\r\nupdated=0\r\n";

fn esxi() -> Vec<(&'static str, &'static [u8])> {
    vec![
        ("boot.cfg", BOOT_CFG),
        ("mboot.c32", b"bios"),
        ("efi/boot/boot.cfg", BOOT_CFG),
        ("efi/boot/bootx64.efi", b"efi"),
        ("b.b00", b"kernel"),
        ("jumpstrt.gz", b"1"),
        ("useropts.gz", b"2"),
        ("features.gz", b"3"),
    ]
}

#[test]
fn an_esxi_disc_becomes_an_esxi_image_with_its_build() {
    let bench = bench();
    let imported = bench.detect(&Disc::of(&esxi()).bytes()).unwrap();
    let (image, manifest) = (&imported.image, &imported.manifest);
    assert_eq!(image.kind, ImageKind::Esxi);
    assert_eq!(image.description, "VMware ESXi 8.0.2");
    assert_eq!(image.firmware, [Firmware::Bios, Firmware::UefiX64]);
    assert!(image.source.as_ref().unwrap().starts_with("iso:/"));
    assert_eq!(manifest.version.as_deref(), Some("8.0.2-22380479"));
    let facts = manifest.esxi.clone().unwrap();
    assert_eq!((facts.version.as_deref(), facts.modules), (Some("8.0.2"), 3));
    assert_eq!(facts.title.as_deref(), Some("Loading ESXi installer"));
    // What firmware asks for is told and not kept.
    assert!(manifest.notes.len() == 1 && manifest.notes[0].contains("COMBOOT"), "{:?}", manifest.notes);
    assert!(bench.library.manifest("image").unwrap().notes.is_empty());
    let kernel = bench.library.open_file("image", "b.b00").unwrap().unwrap();
    assert_eq!((&*kernel.name, &kernel.bytes[..]), ("B.B00", &b"kernel"[..]));
    // As the store keeps it.
    let text = serde_json::to_string(&**manifest).unwrap();
    assert_eq!(serde_json::from_str::<Manifest>(&text).unwrap(), **manifest);
}

#[test]
fn an_esxi_disc_without_a_uefi_loader_or_with_modules_missing_says_so() {
    let mut files = esxi();
    files.retain(|(name, _)| !name.starts_with("efi/") && *name != "useropts.gz");
    let imported = bench().detect(&Disc::of(&files).bytes()).unwrap();
    assert_eq!(imported.image.firmware, [Firmware::Bios]);
    let notes = imported.manifest.notes.join("; ");
    assert!(notes.contains("names 1 files that are not there, `/useropts.gz`"), "{notes}");
    assert!(notes.contains("no UEFI loader"), "{notes}");
}

#[test]
fn the_same_files_are_told_from_every_kind_of_medium() {
    let files = esxi();
    let members: Vec<Member> = files.iter().map(|(name, bytes)| Member::deflated(name, bytes)).collect();
    let media = [
        Disc::of(&files).bytes(),
        Disc::rock_ridge(&files).bytes(),
        Disc::joliet(&files).bytes(),
        tar(&files),
        gzip(&tar(&files)),
        zip(&members),
    ];
    for (number, bytes) in media.iter().enumerate() {
        let bench = bench();
        let imported = bench.detect(bytes).unwrap();
        assert_eq!(imported.image.kind, ImageKind::Esxi, "medium {number}");
        assert_eq!(imported.manifest.files.len(), files.len());
        assert!(bench.library.verify("image").unwrap().is_empty());
    }
    let bench = bench();
    let folder = bench.folder.path().join("tree");
    for (name, bytes) in &files {
        std::fs::create_dir_all(folder.join(name).parent().unwrap()).unwrap();
        std::fs::write(folder.join(name), bytes).unwrap();
    }
    let imported = bench.import(Source::Detect(folder), blank(), false).unwrap();
    assert!(imported.image.source.unwrap().starts_with("dir:/"));
    assert_eq!(imported.image.kind, ImageKind::Esxi);
}

#[test]
fn every_family_is_told_and_completed() {
    const TREEINFO: &[u8] = b"[general]\nfamily = Rocky Linux\nversion = 9.4\narch = x86_64\n[images-x86_64]\nkernel = images/pxeboot/vmlinuz\n";
    type Row = (&'static [(&'static str, &'static [u8])], ImageKind, &'static str, Option<&'static str>);
    let rows: [Row; 9] = [
        (
            &[
                (".disk/info", b"Debian GNU/Linux 12.5.0 \"Bookworm\"\n"),
                ("install.amd/vmlinuz", b"k"),
                ("install.amd/initrd.gz", b"i"),
            ],
            ImageKind::Linux,
            "Debian GNU/Linux 12.5.0 \"Bookworm\"",
            Some("install.amd/vmlinuz"),
        ),
        (
            &[("debian-installer/amd64/linux", b"k"), ("debian-installer/amd64/initrd.gz", b"i")],
            ImageKind::Linux,
            "Debian installer",
            Some("debian-installer/amd64/linux"),
        ),
        (
            &[("live/vmlinuz-6.1.0-18-amd64", b"k"), ("live/initrd.img-6.1.0-18-amd64", b"i")],
            ImageKind::Linux,
            "Debian live",
            Some("live/vmlinuz-6.1.0-18-amd64"),
        ),
        (
            &[(".disk/info", b"Ubuntu-Server 24.04 LTS"), ("casper/vmlinuz", b"k"), ("casper/initrd", b"i")],
            ImageKind::Linux,
            "Ubuntu-Server 24.04 LTS",
            Some("casper/vmlinuz"),
        ),
        (
            &[(".treeinfo", TREEINFO), ("images/pxeboot/vmlinuz", b"k"), ("images/pxeboot/initrd.img", b"i")],
            ImageKind::Linux,
            "Rocky Linux 9.4 installer",
            Some("images/pxeboot/vmlinuz"),
        ),
        (
            &[
                ("isolinux/vmlinuz", b"k"),
                ("isolinux/initrd.img", b"i"),
                ("RPMS/noarch/photon-release-5.0-1.ph5.noarch.rpm", b"r"),
            ],
            ImageKind::Linux,
            "Photon OS 5.0 installer",
            Some("isolinux/vmlinuz"),
        ),
        (
            &[
                (".alpine-release", b"alpine-extended-3.19.1 240126\n"),
                ("boot/vmlinuz-lts", b"k"),
                ("boot/initramfs-lts", b"i"),
            ],
            ImageKind::Linux,
            "Alpine Linux (alpine-extended-3.19.1 240126)",
            Some("boot/vmlinuz-lts"),
        ),
        (
            &[
                ("bootmgr", b"b"),
                ("boot/bcd", b"c"),
                ("boot/boot.sdi", b"s"),
                ("sources/boot.wim", b"w"),
                ("efi/boot/bootx64.efi", b"e"),
            ],
            ImageKind::Windows,
            "Windows PE",
            None,
        ),
        (
            &[("boot/memtest64.efi", b"e"), ("boot/memtest64.bin", b"b")],
            ImageKind::Efi,
            "Memtest86+",
            Some("boot/memtest64.bin"),
        ),
    ];
    for (files, kind, description, kernel) in rows {
        let imported = bench().detect(&Disc::rock_ridge(files).bytes()).unwrap();
        let image = imported.image;
        assert_eq!((image.kind, image.description.as_str()), (kind, description));
        assert_eq!(image.kernel.as_deref(), kernel);
        assert!(!image.firmware.is_empty());
    }
}

#[test]
fn what_is_asked_for_wins_over_what_is_told() {
    let bench = bench();
    let mut files = esxi();
    files.push(("own/linux", b"k"));
    let path = bench.medium("medium", &Disc::of(&files).bytes());
    let own = Image { kernel: Some("own/linux".to_owned()), description: "mine".to_owned(), ..blank() };
    let image = bench.import(Source::Iso(path.clone()), own, true).unwrap().image;
    assert_eq!((image.kind, image.kernel.as_deref()), (ImageKind::Linux, Some("own/linux")));
    assert_eq!((image.description.as_str(), image.initrd.len()), ("mine", 0));
    // A kernel says that it is Linux, also where no kind was asked for.
    let own = Image { kernel: Some("own/linux".to_owned()), ..blank() };
    assert_eq!(bench.import(Source::Iso(path.clone()), own, false).unwrap().image.kind, ImageKind::Linux);
    let disc = Image::new("image".parse().unwrap(), ImageKind::Iso);
    let imported = bench.import(Source::Detect(path), disc, true).unwrap();
    assert_eq!(imported.image.disk.as_deref(), Some("medium"));
    assert_eq!(imported.manifest.files.len(), 1);
}

#[test]
fn what_nobody_knows_is_refused_with_what_was_looked_for() {
    let error = bench().detect(&tar(&[("photos/cat.jpg", b"cat")])).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("looked for ESXi (boot.cfg") && text.contains("`photos/cat.jpg`"), "{text}");
    let error = bench().detect(b"MZ program").unwrap_err();
    assert_eq!(error.reason(), "medium_unknown");
    assert!(error.to_string().contains("an EFI or Windows program"), "{error}");
    let bench = bench();
    let path = bench.medium("x", &tar(&[("a", b"b")]));
    let error = bench.import(Source::Zip(path), blank(), false).unwrap_err().to_string();
    assert!(error.ends_with("it is no zip archive but a tar archive"), "{error}");
}

#[test]
fn names_that_differ_in_case_refuse_esxi_and_are_kept_for_linux() {
    let twins = |own: &'static [u8]| {
        let mut files = esxi();
        files.push(("B.B00", own));
        bench().detect(&tar(&files)).map(|imported| imported.manifest.files.len())
    };
    assert_eq!(twins(b"kernel").unwrap(), 9);
    for other in [&b"Kernel"[..], b"longer kernel"] {
        let error = twins(other).unwrap_err();
        assert!(
            matches!(&error, ImportError::CaseTwins { one, other } if one == "B.B00" && other == "b.b00"),
            "{error}"
        );
    }
    let linux: &[(&str, &[u8])] =
        &[("casper/vmlinuz", b"k"), ("casper/initrd", b"i"), ("README", b"1"), ("readme", b"2")];
    assert_eq!(bench().detect(&tar(linux)).unwrap().manifest.files.len(), 4);
}

#[test]
fn an_import_that_was_cut_off_goes_on_without_copying_again() {
    struct CancelAt(u64, u64);
    impl crate::Watch for CancelAt {
        fn advanced(&mut self, done: u64, _: u64, _: &str) {
            self.0 = done;
        }
        fn cancelled(&self) -> bool {
            self.0 >= self.1
        }
    }
    let parts: Vec<(String, Vec<u8>)> =
        (0..20u8).map(|number| (format!("part{number}"), vec![number; 700_000])).collect();
    let files: Vec<(&str, &[u8])> = parts.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect();
    let mut all: Vec<(&str, &[u8])> = vec![("casper/vmlinuz", b"k"), ("casper/initrd", b"i")];
    all.extend(files);
    for bytes in [Disc::rock_ridge(&all).bytes(), gzip(&tar(&all))] {
        let bench = bench();
        let request = ImportRequest {
            image: blank(),
            source: Source::Detect(bench.medium("medium", &bytes)),
            profile: None,
            kind_given: false,
            replace: false,
            record_image: true,
            now: UnixTime(1),
        };
        for stop in [0, 1, 3_000_000, 9_000_001] {
            let cut = bench.library.import(&request, &mut CancelAt(0, stop));
            assert!(matches!(cut, Err(ImportError::Cancelled)));
            assert!(bench.library.manifests().is_empty());
        }
        let imported = bench.library.import(&request, &mut Unwatched).unwrap();
        assert!(imported.new_bytes < 14_000_000 - 8_000_000, "{} copied again", imported.new_bytes);
        assert!(bench.library.verify("image").unwrap().is_empty());
        let again = bench.import(request.source.clone(), blank(), false).unwrap();
        assert_eq!((again.new_bytes, again.changed), (0, true));
    }
}

fn of_profile(bench: &Bench, bytes: &[u8], profile: Option<&str>) -> Result<Imported, ImportError> {
    let request = ImportRequest {
        image: blank(),
        source: Source::Detect(bench.medium("bundle.zip", bytes)),
        profile: profile.map(str::to_owned),
        kind_given: false,
        replace: true,
        record_image: true,
        now: UnixTime(1),
    };
    bench.library.import(&request, &mut Unwatched)
}

#[test]
fn an_offline_bundle_becomes_an_esxi_image_of_one_profile() {
    let bench = bench();
    let imported = of_profile(&bench, &Depot::usual().bytes(), None).unwrap();
    let (image, manifest) = (&imported.image, &imported.manifest);
    assert_eq!((image.kind, image.description.as_str()), (ImageKind::Esxi, "VMware ESXi 8.0.2"));
    assert!(image.source.as_ref().unwrap().starts_with("zip:/") && image.firmware.is_empty());
    assert_eq!(manifest.version.as_deref(), Some("8.0.2-0.0.22380479"));
    let facts = manifest.esxi.clone().unwrap();
    assert_eq!((facts.version.as_deref(), facts.modules), (Some("8.0.2"), 8));
    assert_eq!(facts.title.as_deref(), Some("Loading ESXi-8.0U2-22380479-standard"));
    assert!(bench.library.open_file("image", "K.B00").unwrap().is_some());
    assert!(bench.library.verify("image").unwrap().is_empty());
    // The other profile shares what it has.
    let again = of_profile(&bench, &Depot::usual().bytes(), Some("ESXi-8.0U2-22380479-tool")).unwrap();
    assert!(again.new_bytes < 7_000 && again.manifest.files.contains_key("tool.t00"), "{}", again.new_bytes);
}

#[test]
fn a_bundle_with_loaders_says_on_which_firmware_it_boots() {
    let mut bundle = Depot::usual();
    let loaders = boot_partition(&[("x/mboot64.efi", b"MZ"), ("x/mboot.c32", b"bios")]);
    bundle.vibs[0].payloads.push(("esx-boot".into(), "bootpart".into(), loaders));
    bundle.vibs[0].file_list = vec!["x/mboot64.efi".into()];
    let imported = of_profile(&bench(), &bundle.bytes(), None).unwrap();
    assert_eq!(imported.image.firmware, [Firmware::Bios, Firmware::UefiX64]);
    let notes = imported.manifest.notes.join("; ");
    assert!(!notes.contains("UEFI loader") && !notes.contains("BIOS loader"), "{notes}");
}

#[test]
fn profiles_are_asked_of_bundles_alone_and_bundles_stay_zips_for_others() {
    let bench = bench();
    let error = of_profile(&bench, &Depot::usual().bytes(), Some("none")).unwrap_err();
    assert_eq!(error.reason(), "depot_profile");
    assert!(error.to_string().contains("no image profile `none`; it has `ESXi-8.0U2"), "{error}");
    let mut several = Depot::usual();
    several.profiles[1].0 = "b-standard".to_owned();
    assert_eq!(of_profile(&bench, &several.bytes(), None).unwrap_err().reason(), "depot_profile");
    for bytes in [zip(&[Member::stored("index.xml", b"<html/>")]), Disc::of(&esxi()).bytes()] {
        let error = of_profile(&bench, &bytes, Some("p")).unwrap_err();
        assert!(error.to_string().contains("is no ESXi offline bundle"), "{error}");
    }
    let request = ImportRequest {
        image: blank(),
        source: Source::Dir(bench.folder.path().to_owned()),
        profile: Some("p".to_owned()),
        kind_given: false,
        replace: true,
        record_image: true,
        now: UnixTime(1),
    };
    let error = bench.library.import(&request, &mut Unwatched).unwrap_err();
    assert!(error.to_string().contains("only ESXi offline bundles have any"), "{error}");
    // A kernel of another kind that was asked for: its files as they are.
    let path = bench.medium("bundle.zip", &Depot::usual().bytes());
    let own = Image { kernel: Some("metadata.zip".to_owned()), ..blank() };
    let imported = bench.import(Source::Zip(path), own, true).unwrap();
    assert!(imported.manifest.files.contains_key("index.xml"));
    let damaged = of_profile(
        &bench,
        &{
            let mut bundle = Depot::usual();
            bundle.files.insert(bundle.vibs[1].path(), Some(b"!<arch>\n".to_vec()));
            bundle.bytes()
        },
        None,
    );
    assert!(matches!(damaged, Err(ImportError::Medium { .. })));
}

#[test]
fn a_file_that_was_sent_is_called_by_where_it_came_from() {
    let bench = bench();
    let of = || "https://mirror.example/x.iso".to_owned();
    let disc = Disc::of(&esxi()).bytes();
    let held =
        |bytes: &[u8]| Source::Held { path: bench.medium("7", bytes), of: of(), name: "x.iso".to_owned() };
    let imported = bench.import(held(&disc), blank(), false).unwrap();
    assert_eq!(imported.image.source, Some(of()));
    assert_eq!((imported.manifest.source.clone(), imported.image.kind), (of(), ImageKind::Esxi));
    // As it is: by its own name, not by that of our file.
    let raw = Image::new("raw".parse().unwrap(), ImageKind::Iso);
    let imported = bench.import(held(&disc), raw, true).unwrap();
    assert_eq!(imported.image.disk.as_deref(), Some("x.iso"));
    assert!(imported.manifest.find("x.iso").is_some());
    let refused = bench.import(held(b"nothing"), blank(), false).expect_err("no medium").to_string();
    assert!(refused.contains("mirror.example") && !refused.contains("/7"), "{refused}");
}

#[test]
fn a_folder_that_somebody_left_is_read_through_its_descriptor() {
    use std::os::fd::AsRawFd;
    let bench = bench();
    let folder = bench.folder.path().join("left");
    std::fs::create_dir_all(folder.join("efi/boot")).unwrap();
    for (name, bytes) in esxi() {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
    let open = std::fs::File::open(&folder).unwrap();
    let held = || Source::Held {
        path: format!("/proc/self/fd/{}", open.as_raw_fd()).into(),
        of: "inbox:left".to_owned(),
        name: "left".to_owned(),
    };
    let imported = bench.import(held(), blank(), false).unwrap();
    assert_eq!((imported.image.kind, imported.manifest.files.len()), (ImageKind::Esxi, esxi().len()));
    assert_eq!(imported.manifest.source, "inbox:left");

    std::os::unix::fs::symlink("/etc/passwd", folder.join("efi/boot/passwd")).unwrap();
    let refused = bench.import(held(), blank(), false).expect_err("a link").to_string();
    assert!(refused.contains("left/efi/boot/passwd is a symbolic link"), "{refused}");
}

#[test]
fn a_file_that_took_the_place_of_a_listed_one_is_not_read() {
    use std::os::unix::fs::MetadataExt;
    let bench = bench();
    let (path, other) = (bench.medium("listed", b"1"), bench.medium("other", b"2"));
    let listed = std::fs::metadata(&path).unwrap();
    let again = |path: &Path| listing::open_again(path, listed.dev(), listed.ino());
    assert!(again(&path).is_ok());
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(&other, &path).unwrap();
    assert!(matches!(again(&path), Err(ImportError::Moved(_))));
    // A pipe nobody writes to does not make the import wait.
    std::fs::remove_file(&path).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(matches!(again(&path), Err(ImportError::Moved(_))));
}

#[test]
fn a_spool_goes_with_its_owner() {
    use std::io::Write;
    let bench = bench();
    let mut spool = bench.library.spool().unwrap();
    spool.write_all(b"some").unwrap();
    let path = spool.path().to_owned();
    assert_eq!(std::fs::read(&path).unwrap(), b"some");
    drop(spool);
    assert!(!path.exists());
}

#[test]
fn cancelling_ends_a_listing_that_says_nothing() {
    use std::os::unix::fs::PermissionsExt;
    struct Cancelled;
    impl crate::Watch for Cancelled {
        fn advanced(&mut self, _: u64, _: u64, _: &str) {}
        fn cancelled(&self) -> bool {
            true
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("silent");
    std::fs::write(&program, "#!/bin/sh\nexec sleep 60\n").unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let medium = folder.path().join("x.tar.gz");
    std::fs::write(&medium, gzip(&tar(&[("linux", b"k")]))).unwrap();
    let options = LibraryOptions {
        loader_sources: vec![],
        media_reader: Reader::Child { program },
        ..LibraryOptions::at(folder.path().join("library"))
    };
    let library = Library::open(options, MemoryRecords::default()).unwrap();
    let request = ImportRequest {
        image: blank(),
        source: Source::Detect(medium),
        profile: None,
        kind_given: false,
        replace: false,
        record_image: true,
        now: UnixTime(1),
    };
    let begun = std::time::Instant::now();
    let error = library.import(&request, &mut Cancelled).expect_err("cancelled");
    assert!(matches!(error, ImportError::Cancelled), "{error:?}");
    assert!(begun.elapsed() < std::time::Duration::from_secs(20));
}
