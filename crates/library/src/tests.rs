use super::*;
use std::fs;
use std::path::Path;
use types::UnixTime;
use types::resource::{Image, ImageKind};

struct Bench {
    _folders: (tempfile::TempDir, tempfile::TempDir),
    source: PathBuf,
    root: PathBuf,
    library: Library,
    records: Arc<MemoryRecords>,
}

fn bench(files: &[(&str, &[u8])]) -> Bench {
    let (root, source) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (name, bytes) in files {
        write(source.path(), name, bytes);
    }
    let records = Arc::new(MemoryRecords::default());
    let options = LibraryOptions { loader_sources: vec![], ..LibraryOptions::at(root.path()) };
    let library = Library::open(options, records.clone()).unwrap();
    let (at, from) = (root.path().to_owned(), source.path().to_owned());
    Bench { _folders: (root, source), source: from, root: at, library, records }
}

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn image(name: &str) -> Image {
    Image { kernel: Some("linux".to_owned()), ..Image::new(name.parse().unwrap(), ImageKind::Linux) }
}

impl Bench {
    fn request(&self, name: &str) -> ImportRequest {
        ImportRequest {
            image: image(name),
            source: Source::Dir(self.source.clone()),
            profile: None,
            kind_given: true,
            replace: false,
            record_image: true,
            now: UnixTime(1_700_000_000),
        }
    }

    fn import(&self, name: &str) -> Result<Imported, ImportError> {
        self.library.import(&self.request(name), &mut Unwatched)
    }

    fn nothing_is_visible(&self) {
        assert!(self.library.manifests().is_empty());
        assert!(self.records.load().unwrap().current.is_empty());
        assert_eq!(fs::read_dir(self.root.join("incoming")).unwrap().count(), 0);
    }

    fn blob_count(&self) -> usize {
        let folders = fs::read_dir(self.root.join("blobs/sha256")).unwrap();
        folders.map(|folder| fs::read_dir(folder.unwrap().path()).unwrap().count()).sum()
    }
}

#[test]
fn a_directory_becomes_an_image_and_survives_a_restart() {
    let bench =
        bench(&[("linux", b"kernel"), ("EFI/Boot/x.EFI", b"efi"), ("copy", b"kernel"), ("empty", b"")]);
    let imported = bench.import("debian").unwrap();
    assert_eq!(imported.manifest.files.len(), 4);
    assert_eq!(imported.new_bytes, 9);
    assert_eq!(bench.blob_count(), 3);
    assert_eq!(bench.records.images(), [imported.image]);
    let again = Library::open(LibraryOptions::at(&bench.root), bench.records.clone()).unwrap();
    let file = again.open_file("debian", r"efi\boot\X.efi").unwrap().unwrap();
    assert_eq!((&*file.name, &file.bytes[..]), ("EFI/Boot/x.EFI", &b"efi"[..]));
    assert!(again.open_file("debian", "absent").unwrap().is_none());
    assert!(again.open_file("absent", "linux").unwrap().is_none());
    assert!(again.verify("debian").unwrap().is_empty());
}

#[test]
fn an_image_is_replaced_only_when_asked() {
    let bench = bench(&[("linux", b"one")]);
    bench.import("debian").unwrap();
    assert!(matches!(bench.import("debian"), Err(ImportError::Exists(_))));
    write(&bench.source, "linux", b"two");
    let open = bench.library.open_file("debian", "linux").unwrap().unwrap();
    bench
        .library
        .import(&ImportRequest { replace: true, ..bench.request("debian") }, &mut Unwatched)
        .unwrap();
    assert_eq!(&bench.library.open_file("debian", "linux").unwrap().unwrap().bytes[..], b"two");
    assert_eq!(bench.library.collect().unwrap(), Swept::default(), "the version before is kept");
    let pruned = bench.library.prune("debian", 1, &Default::default(), false).unwrap();
    assert_eq!(pruned.len(), 1);
    assert_eq!(bench.library.collect().unwrap(), Swept { blobs: 1, bytes: 3 });
    assert_eq!(&open.bytes[..], b"one");
}

#[test]
fn cancelling_at_any_piece_leaves_nothing_visible() {
    struct CancelAfter(u32, u32);
    impl Watch for CancelAfter {
        fn advanced(&mut self, done: u64, total: u64, _: &str) {
            assert!(done <= total);
            self.0 += 1;
        }
        fn cancelled(&self) -> bool {
            self.0 >= self.1
        }
    }
    let bench = bench(&[("a", b"1"), ("b", b"22"), ("linux", &[7; 3 << 20])]);
    for pieces in 0..5 {
        let cancelled = bench.library.import(&bench.request("debian"), &mut CancelAfter(0, pieces));
        assert!(matches!(cancelled, Err(ImportError::Cancelled)), "after {pieces}");
        bench.nothing_is_visible();
    }
    assert!(bench.blob_count() > 0);
    bench.library.collect().unwrap();
    assert_eq!(bench.blob_count(), 0);
    bench.library.import(&bench.request("debian"), &mut CancelAfter(0, 99)).unwrap();
}

#[test]
fn a_failing_commit_leaves_nothing_visible() {
    struct Full(MemoryRecords);
    impl Records for Full {
        fn load(&self) -> Result<Remembered, RecordsError> {
            self.0.load()
        }
        fn commit(&self, image: &str, _: &Change<'_>) -> Result<(), RecordsError> {
            let source = "no space left".into();
            Err(RecordsError::Store { action: "keep", image: image.to_owned(), source })
        }
        fn remove(&self, _: &str) -> Result<(), RecordsError> {
            Ok(())
        }
    }
    let bench = bench(&[("linux", b"kernel")]);
    let folder = tempfile::tempdir().unwrap();
    let library = Library::open(LibraryOptions::at(folder.path()), Full(MemoryRecords::default())).unwrap();
    assert!(matches!(library.import(&bench.request("debian"), &mut Unwatched), Err(ImportError::Records(_))));
    assert!(library.manifest("debian").is_none());
}

#[test]
fn links_pipes_and_sockets_are_refused() {
    let bench = bench(&[("linux", b"kernel")]);
    let link = bench.source.join("link");
    std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
    assert!(matches!(bench.import("debian"), Err(ImportError::NotPlain { kind: "a symbolic link", .. })));
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("/etc", &link).unwrap();
    assert!(matches!(bench.import("debian"), Err(ImportError::NotPlain { kind: "a symbolic link", .. })));
    fs::remove_file(&link).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(bench.source.join("socket")).unwrap();
    assert!(matches!(bench.import("debian"), Err(ImportError::NotPlain { kind: "a socket", .. })));
    drop(socket);
    let device = ImportRequest { source: Source::Files(vec!["/dev/null".into()]), ..bench.request("debian") };
    assert!(matches!(
        bench.library.import(&device, &mut Unwatched),
        Err(ImportError::NotPlain { kind: "a device", .. })
    ));
    bench.nothing_is_visible();
}

#[test]
fn limits_and_names_refuse_before_anything_is_copied() {
    let bench = bench(&[("linux", b"kernel")]);
    let small = LibraryOptions { image_bytes_max: 5, ..LibraryOptions::at(&bench.root) };
    let library = Library::open(small, MemoryRecords::default()).unwrap();
    assert!(matches!(
        library.import(&bench.request("debian"), &mut Unwatched),
        Err(ImportError::TooLarge { bytes_max: 5 })
    ));
    write(&bench.source, "back\\slash", b"x");
    assert!(matches!(bench.import("debian"), Err(ImportError::FileName { .. })));
    fs::remove_file(bench.source.join("back\\slash")).unwrap();
    let deep = "d/".repeat(limits::FOLDER_DEPTH_MAX + 2) + "x";
    write(&bench.source, &deep, b"x");
    assert!(matches!(bench.import("debian"), Err(ImportError::TooDeep(_))));
    assert_eq!(bench.blob_count(), 0);
}

#[test]
fn a_profile_naming_an_absent_file_is_refused_with_what_there_is() {
    let bench = bench(&[("vmlinuz", b"kernel")]);
    let error = bench.import("debian").unwrap_err().to_string();
    assert!(error.contains("kernel `linux`") && error.contains("`vmlinuz`"), "{error}");
    let script = Image { kind: ImageKind::IpxeScript, ..image("tool") };
    let request = ImportRequest { image: script, ..bench.request("tool") };
    let error = bench.library.import(&request, &mut Unwatched).unwrap_err();
    assert!(matches!(error, ImportError::ProfileIncomplete { field: "script", .. }), "{error}");
}

#[test]
fn kernel_and_ramdisks_are_imported_by_their_last_part() {
    let bench = bench(&[("boot/linux", b"kernel"), ("boot/initrd.img", b"initrd")]);
    let boot = bench.source.join("boot");
    std::os::unix::fs::symlink("linux", boot.join("vmlinuz")).unwrap();
    let paths = vec![boot.join("vmlinuz"), boot.join("initrd.img")];
    let request = ImportRequest {
        image: Image {
            kernel: Some("vmlinuz".to_owned()),
            initrd: vec!["initrd.img".to_owned()],
            ..image("own")
        },
        source: Source::Files(paths),
        ..bench.request("own")
    };
    let imported = bench.library.import(&request, &mut Unwatched).unwrap();
    assert_eq!(imported.manifest.files.keys().collect::<Vec<_>>(), ["initrd.img", "vmlinuz"]);
}

#[test]
fn deleting_forgets_the_image_and_collect_removes_only_what_nobody_uses() {
    let bench = bench(&[("linux", b"kernel"), ("one", b"1")]);
    bench.import("a").unwrap();
    fs::rename(bench.source.join("one"), bench.source.join("two")).unwrap();
    write(&bench.source, "two", b"2");
    bench.import("b").unwrap();
    assert_eq!(bench.blob_count(), 3);
    assert!(bench.library.delete("a").unwrap());
    assert!(!bench.library.delete("a").unwrap());
    assert_eq!(bench.library.collect().unwrap(), Swept { blobs: 1, bytes: 1 });
    assert!(bench.library.verify("b").unwrap().is_empty());
    assert!(bench.library.verify("a").is_none());
}

#[test]
fn collect_waits_for_no_import_and_takes_nothing_from_it() {
    struct Collecting<'a>(&'a Library, u32);
    impl Watch for Collecting<'_> {
        fn advanced(&mut self, _: u64, _: u64, _: &str) {
            self.1 += 1;
            assert!(matches!(self.0.collect(), Err(LibraryError::ImportUnderWay)));
        }
    }
    let bench = bench(&[("linux", b"kernel")]);
    let mut watch = Collecting(&bench.library, 0);
    bench.library.import(&bench.request("debian"), &mut watch).unwrap();
    assert_eq!(watch.1, 1);
    assert!(bench.library.verify("debian").unwrap().is_empty());
}

#[test]
fn an_image_is_not_removed_under_its_import_and_a_panic_frees_its_name() {
    struct Deleting<'a>(&'a Library);
    impl Watch for Deleting<'_> {
        fn advanced(&mut self, _: u64, _: u64, _: &str) {
            assert!(matches!(self.0.delete("debian"), Err(LibraryError::ImportUnderWay)));
            panic!("the watcher is broken");
        }
    }
    let bench = bench(&[("linux", b"kernel")]);
    let broken = std::panic::AssertUnwindSafe(|| {
        bench.library.import(&bench.request("debian"), &mut Deleting(&bench.library)).map(drop)
    });
    assert!(std::panic::catch_unwind(broken).is_err());
    bench.import("debian").unwrap();
    assert!(bench.library.delete("debian").unwrap());
}

#[test]
fn verify_names_damaged_files() {
    let bench = bench(&[("linux", b"kernel"), ("fine", b"fine")]);
    let imported = bench.import("debian").unwrap();
    let hex = imported.manifest.files["linux"].sha256.to_string();
    let path = bench.root.join("blobs/sha256").join(&hex[..2]).join(&hex);
    fs::remove_file(&path).unwrap();
    let bad = bench.library.verify("debian").unwrap();
    assert_eq!(bad.len(), 1);
    assert_eq!(bad[0].name, "linux");
}

fn debian_tree(root: &Path, build: &str) {
    write(
        root,
        "version.info",
        format!("Debian version:  12 (bookworm)\nInstaller build: {build}\n").as_bytes(),
    );
    write(root, "debian-installer/amd64/linux", b"kernel");
    write(root, "debian-installer/amd64/initrd.gz", b"initrd");
    write(root, "debian-installer/amd64/grubx64.efi", b"not taken");
}

#[test]
fn debian_netboot_completes_the_profile_and_is_copied_once_per_version() {
    let bench = bench(&[]);
    debian_tree(&bench.source, "20230607+deb12u15");
    let blank = Image { kernel: None, ..image("debian-12") };
    let request = ImportRequest {
        image: blank,
        source: Source::DebianNetboot { root: bench.source.clone() },
        replace: true,
        ..bench.request("debian-12")
    };
    let first = bench.library.import(&request, &mut Unwatched).unwrap();
    assert_eq!(first.image.kernel.as_deref(), Some("linux"));
    assert_eq!(first.image.initrd, ["initrd.gz"]);
    assert_eq!(first.image.description, "Debian 12 (bookworm) installer");
    assert_eq!(first.image.source.as_deref(), Some("debian-netboot"));
    assert_eq!(first.manifest.version.as_deref(), Some("20230607+deb12u15"));
    assert_eq!(first.manifest.files.len(), 2);
    assert!(!bench.library.import(&request, &mut Unwatched).unwrap().changed);
    debian_tree(&bench.source, "20230607+deb12u16");
    assert!(bench.library.import(&request, &mut Unwatched).unwrap().changed);
}

#[test]
fn a_missing_debian_package_says_what_was_looked_for_and_what_to_run() {
    let bench = bench(&[]);
    let request = ImportRequest {
        source: Source::DebianNetboot { root: "/nonexistent".into() },
        ..bench.request("debian-12")
    };
    let error = bench.library.import(&request, &mut Unwatched).unwrap_err().to_string();
    assert_eq!(
        error,
        "/nonexistent/debian-installer/amd64/linux is not there: it comes from package \
         debian-installer-12-netboot-amd64; run apt-get install --no-install-recommends \
         debian-installer-12-netboot-amd64"
    );
}

#[test]
fn source_texts_are_read_back() {
    for text in ["dir:/srv/debian", "iso:/a.iso", "tar:/a.tgz", "zip:/a", "file:/a:b", "debian-netboot"] {
        assert_eq!(text.parse::<Source>().unwrap().to_string(), text);
    }
    assert_eq!("/srv/a.iso".parse::<Source>().unwrap(), Source::Detect("/srv/a.iso".into()));
    for bad in ["", "dir:", "dir", "iso:", "http://x", "debian", "stdin", "-"] {
        assert!(bad.parse::<Source>().is_err(), "{bad}");
    }
}

#[test]
fn the_store_keeps_manifest_and_image_together_over_a_restart() {
    let bench = bench(&[("linux", b"kernel")]);
    let folder = tempfile::tempdir().unwrap();
    let options =
        LibraryOptions { loader_sources: vec![], ..LibraryOptions::at(folder.path().join("library")) };
    let open_store = || store::Store::open(store::StoreOptions::new(folder.path().join("store"))).unwrap();
    let kept = {
        let store = open_store();
        let library = Library::open(options.clone(), store.clone()).unwrap();
        let imported = library.import(&bench.request("debian"), &mut Unwatched).unwrap();
        let record = store.get(store::Table::Images, b"debian").unwrap().unwrap();
        assert_eq!(store::records::decode_image(&record.value).unwrap(), imported.image);
        store.close();
        imported.manifest
    };
    let store = open_store();
    let library = Library::open(options, store.clone()).unwrap();
    assert_eq!(library.manifest("debian").unwrap(), kept);
    // As a program wrote it that knew no versions.
    let mut old = serde_json::to_value(&*kept).unwrap();
    old.as_object_mut().unwrap().remove("profile");
    let old = serde_json::json!({"v": 1, "record": old}).to_string();
    store.commit_blocking(store::Batch::new().put(store::Table::Manifests, "debian", old)).unwrap();
    let library = Library::open(library.inner.options.clone(), store.clone()).unwrap();
    assert_eq!(library.manifest("debian").unwrap(), kept, "the profile is that of the image resource");
    assert_eq!(&library.open_file("debian", "LINUX").unwrap().unwrap().bytes[..], b"kernel");
    assert!(library.delete("debian").unwrap());
    assert!(store.get(store::Table::Images, b"debian").unwrap().is_none());
    assert!(store.get(store::Table::Manifests, b"debian").unwrap().is_none());
    store.close();
}

#[test]
fn blobs_of_an_unreadable_manifest_are_not_swept() {
    let bench = bench(&[("linux", b"kernel")]);
    let folder = tempfile::tempdir().unwrap();
    let options =
        LibraryOptions { loader_sources: vec![], ..LibraryOptions::at(folder.path().join("library")) };
    let store = store::Store::open(store::StoreOptions::new(folder.path().join("store"))).unwrap();
    let library = Library::open(options.clone(), store.clone()).unwrap();
    library.import(&bench.request("debian"), &mut Unwatched).unwrap();
    library.import(&bench.request("other"), &mut Unwatched).unwrap();
    let newer = br#"{"v":99,"record":{}}"#;
    store.commit_blocking(store::Batch::new().put(store::Table::Manifests, "debian", *newer)).unwrap();
    let library = Library::open(options, store.clone()).unwrap();
    assert!(library.manifest("debian").is_none() && library.manifest("other").is_some());
    assert!(matches!(library.collect(), Err(LibraryError::ManifestUnreadable(image)) if image == "debian"));
    assert!(library.delete("debian").unwrap());
    assert_eq!(library.collect().unwrap(), Swept::default());
    store.close();
}

/// Needs the Debian package; without it it says so and passes, unless `REVEILLE_REQUIRE_TOOLS=1`.
#[test]
fn the_installed_debian_installer_is_imported() {
    let bench = bench(&[]);
    let source: Source = "debian-netboot".parse().unwrap();
    if !Path::new(import::DEBIAN_NETBOOT_ROOT).exists() {
        let required = std::env::var_os("REVEILLE_REQUIRE_TOOLS").is_some();
        assert!(!required, "package debian-installer-12-netboot-amd64 is not installed");
        eprintln!("SKIPPED: package debian-installer-12-netboot-amd64 is not installed");
        return;
    }
    let request =
        ImportRequest { image: Image { kernel: None, ..image("debian-12") }, source, ..bench.request("x") };
    let mut last = (0, 0);
    let imported =
        bench.library.import(&request, &mut |done: u64, total: u64, _: &str| last = (done, total)).unwrap();
    assert_eq!(last.0, last.1);
    assert_eq!(imported.manifest.bytes(), last.1);
    assert!(imported.manifest.version.is_some());
    let initrd = bench.library.open_file("debian-12", "INITRD.GZ").unwrap().unwrap();
    assert_eq!(initrd.bytes.get(..2), Some(&[0x1f, 0x8b][..]));
}
