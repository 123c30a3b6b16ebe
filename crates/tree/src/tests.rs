//! The tree over a real library in a temporary folder, a catalog, and a ledger that counts.

use super::*;
use library::{ImportRequest, LibraryOptions, MemoryRecords, Source, Unwatched};
use plan::{Catalog, CatalogParts, Verdict};
use proptest::prelude::*;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Mutex;
use types::resource::{Host, ImageKind};
use types::{Firmware, Stage, UnixTime};

pub(crate) struct Memory {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) recalled: Mutex<HashMap<IpAddr, Facts>>,
}

impl Decider for Memory {
    fn decide(&self, facts: &Facts) -> Verdict {
        self.catalog.decide(facts)
    }
    fn recall(&self, address: IpAddr) -> Option<Facts> {
        self.recalled.lock().unwrap().get(&address).cloned()
    }
    fn catalog(&self) -> Arc<Catalog> {
        self.catalog.clone()
    }
}

#[derive(Default)]
pub(crate) struct Counting {
    pub(crate) begun: Mutex<Vec<(Facts, Option<String>, String)>>,
    pub(crate) refused: Mutex<Vec<String>>,
    /// What speaks against whoever asks.
    pub(crate) doubt: Mutex<Option<String>>,
}

pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef";

impl BootLedger for Counting {
    fn begin_boot(&self, facts: &Facts, host: Option<&Host>, image: &Image) -> Result<BootTicket, String> {
        let mut begun = self.begun.lock().unwrap();
        begun.push((facts.clone(), host.map(|host| host.name.to_string()), image.name.to_string()));
        Ok(BootTicket { boot: format!("boot-{}", begun.len()).into(), token: TOKEN.into() })
    }
    fn vouch(&self, _: &Facts, _: Option<&Host>) -> Result<(), String> {
        self.doubt.lock().unwrap().clone().map_or(Ok(()), Err)
    }
    fn open_payload(&self, _: Opener<'_>, image: &Image) -> Result<(), String> {
        if image.destructive { Err("it is not armed".to_owned()) } else { Ok(()) }
    }
    fn refuse_boot(&self, _: &Facts, _: Option<&Host>, image: &Image, fault: &str) {
        self.refused.lock().unwrap().push(format!("{}: {fault}", image.name));
    }
    fn hold(&self, _: &Facts) -> Option<Held> {
        Some(Held { code: "W4H-9TN".into(), left: std::time::Duration::from_secs(125) })
    }
    fn holder(&self, token: &str, _: IpAddr) -> Result<BootHolder, CallbackError> {
        let begun = self.begun.lock().unwrap();
        let (facts, host, image) =
            begun.last().filter(|_| token == TOKEN).ok_or(CallbackError::Unknown)?.clone();
        let boot = format!("boot-{}", begun.len()).into();
        Ok(BootHolder { boot, facts, host: host.map(Into::into), image: image.parse().unwrap() })
    }
    fn call_back(&self, _: &str, _: IpAddr, _: &str, _: Option<&str>) -> Result<(), CallbackError> {
        Err(CallbackError::Unknown)
    }
    fn report_bundle(&self, _: &str, _: IpAddr, _: &BundleReport) -> Result<(), CallbackError> {
        Err(CallbackError::Unknown)
    }
}

pub(crate) struct Bench {
    pub(crate) tree: Tree,
    pub(crate) memory: Arc<Memory>,
    pub(crate) ledger: Arc<Counting>,
    _folders: Vec<tempfile::TempDir>,
    root: PathBuf,
}

pub(crate) fn image(name: &str) -> Image {
    Image {
        kernel: Some("LINUX".to_owned()),
        initrd: vec!["initrd.gz".to_owned()],
        cmdline: "--- quiet".to_owned(),
        ..Image::new(name.parse().unwrap(), ImageKind::Linux)
    }
}

pub(crate) fn host(name: &str, json: &str) -> Host {
    serde_json::from_str(&format!(r#"{{"name":"{name}",{json}}}"#)).unwrap()
}

pub(crate) fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    folder
}

/// Image `debian-12` (LINUX, initrd.gz, EFI/x.efi) is imported; loaders are `undionly.kpxe`, `snponly.efi`,
/// `efi64/syslinux.efi` and `efi64/libcom32.c32`.
pub(crate) fn bench(parts: CatalogParts) -> Bench {
    let (root, source) = (
        tempfile::tempdir().unwrap(),
        folder(&[
            ("LINUX", b"kernel"),
            ("initrd.gz", b"initrd"),
            ("EFI/x.efi", b"efi"),
            ("sub/pxelinux.cfg/own", b"own"),
            ("pxelinux.0", b"own pxelinux"),
        ]),
    );
    let loaders = folder(&[
        ("undionly.kpxe", b"undi"),
        ("snponly.efi", b"snp"),
        ("libcom32.c32", b"bios module"),
        ("efi64/syslinux.efi", b"sys"),
        ("efi64/libcom32.c32", b"efi module"),
    ]);
    std::fs::write(root.path().join("secret"), b"secret").unwrap();
    let options = LibraryOptions {
        loader_sources: vec![loaders.path().display().to_string()],
        ..LibraryOptions::at(root.path())
    };
    let library = Library::open(options, MemoryRecords::default()).unwrap();
    let request = ImportRequest {
        image: image("debian-12"),
        source: Source::Dir(source.path().to_owned()),
        profile: None,
        kind_given: true,
        replace: false,
        record_image: false,
        now: UnixTime(1),
    };
    library.import(&request, &mut Unwatched).unwrap();
    let catalog = Arc::new(Catalog::build(parts).unwrap());
    let memory = Arc::new(Memory { catalog, recalled: Mutex::default() });
    let ledger = Arc::new(Counting::default());
    let parts = TreeParts { decider: memory.clone(), ledger: ledger.clone(), library, http_port: 8080 };
    let at = root.path().to_owned();
    Bench { tree: Tree::new(parts), memory, ledger, root: at, _folders: vec![root, source, loaders] }
}

pub(crate) fn parts() -> CatalogParts {
    CatalogParts { generation: 17, images: vec![image("debian-12")], ..CatalogParts::default() }
}

pub(crate) fn tftp() -> Who {
    Who {
        address: "10.77.0.50".parse().unwrap(),
        interface: Some("eth1".into()),
        local: "10.77.0.1".parse().unwrap(),
        facts: None,
        door: Door::Tftp,
    }
}

pub(crate) fn http(facts: Option<Facts>) -> Who {
    Who { door: Door::Http, facts, ..tftp() }
}

impl Bench {
    pub(crate) fn recall(&self, facts: Facts) {
        self.memory.recalled.lock().unwrap().insert(tftp().address, facts);
    }

    fn text(&self, name: &str) -> Result<(String, Role), &'static str> {
        let opened = self.tree.open(name, &tftp()).map_err(|error| error.reason())?;
        Ok((String::from_utf8(opened.content.to_vec()).unwrap(), opened.role))
    }
}

#[test]
fn loaders_open_exactly_then_by_their_last_part() {
    let bench = bench(parts());
    for (name, content) in [
        ("undionly.kpxe", "undi"),
        ("/Undionly.KPXE", "undi"),
        (r"\boot\undionly.kpxe", "undi"),
        ("efi64/libcom32.c32", "efi module"),
        ("libcom32.c32", "bios module"),
        ("boot/isolinux/libcom32.c32", "bios module"),
        ("x/efi64/libcom32.c32", "bios module"),
        ("syslinux.efi", "sys"),
    ] {
        assert_eq!(bench.text(name), Ok((content.to_owned(), Role::Loader)), "{name}");
    }
    let opened = bench.tree.open("/x/snponly.efi", &tftp()).unwrap();
    assert_eq!(
        (&*opened.name, opened.content_type, opened.cacheable),
        ("snponly.efi", "application/efi", true)
    );
}

#[test]
fn a_known_loader_that_is_not_installed_says_what_to_install() {
    let error = bench(parts()).tree.open("boot/lpxelinux.0", &tftp()).unwrap_err();
    assert_eq!((error.reason(), error.public_text()), ("loader_missing", "loader not installed"));
    assert!(error.to_string().contains("apt-get install --no-install-recommends pxelinux"), "{error}");
}

#[test]
fn image_files_open_whatever_their_case_and_slashes() {
    let bench = bench(parts());
    for (name, content, role) in [
        ("debian-12/LINUX", "kernel", Role::Kernel),
        ("/Debian-12/linux", "kernel", Role::Kernel),
        ("debian-12//initrd.gz", "initrd", Role::Initrd),
        (r"\DEBIAN-12\efi\X.EFI", "efi", Role::File),
        ("debian-12/pxelinux.0", "own pxelinux", Role::File),
        ("debian-12/sub/pxelinux.cfg/own", "own", Role::File),
    ] {
        assert_eq!(bench.text(name), Ok((content.to_owned(), role)), "{name}");
    }
    let opened = bench.tree.open("DEBIAN-12/efi/x.efi", &tftp()).unwrap();
    assert_eq!((&*opened.name, opened.image.as_deref()), ("debian-12/EFI/x.efi", Some("debian-12")));
    assert_eq!(&*opened.etag, &*Digest::of(b"efi").etag());
}

/// Same name, same length, same second: the tag is of the bytes, not of the file.
#[test]
fn h5_the_entity_tag_changes_whenever_the_bytes_do() {
    let source = folder(&[("kernel", b"one")]);
    let library_folder = tempfile::tempdir().unwrap();
    let options = library::LibraryOptions {
        loader_sources: Vec::new(),
        ..library::LibraryOptions::at(library_folder.path())
    };
    let held = library::Library::open(options, library::MemoryRecords::default()).unwrap();
    let mut tags = std::collections::BTreeSet::new();
    for bytes in [b"one", b"two", b"six"] {
        std::fs::write(source.path().join("kernel"), bytes).unwrap();
        let image = types::resource::Image {
            kernel: Some("kernel".to_owned()),
            ..types::resource::Image::new("tiny".parse().unwrap(), types::resource::ImageKind::Linux)
        };
        let request = library::ImportRequest {
            image,
            source: library::Source::Dir(source.path().to_owned()),
            profile: None,
            kind_given: true,
            replace: true,
            record_image: false,
            now: types::UnixTime(1),
        };
        held.import(&request, &mut library::Unwatched).unwrap();
        let file = held.open_file("tiny", "kernel").unwrap().unwrap();
        assert_eq!(&file.bytes[..], bytes);
        tags.insert(file.digest.etag());
    }
    assert_eq!(tags.len(), 3);
}

#[test]
fn an_open_file_outlives_its_image() {
    let bench = bench(parts());
    let opened = bench.tree.open("debian-12/LINUX", &tftp()).unwrap();
    let library = &bench.tree.parts().library;
    assert!(library.delete("debian-12").unwrap());
    library.collect().unwrap();
    assert_eq!(opened.content, "kernel");
    assert_eq!(bench.text("debian-12/LINUX"), Err("not_found"));
}

#[test]
fn a_lost_blob_is_an_error_that_shows_no_path() {
    let bench = bench(parts());
    std::fs::remove_dir_all(bench.root.join("blobs/sha256")).unwrap();
    let error = bench.tree.open("debian-12/LINUX", &tftp()).unwrap_err();
    assert_eq!((error.reason(), error.public_text()), ("unreadable", "file cannot be read"));
}

/// The corpus of conformance T19 and H7: every way out of a tree that a server was ever caught by.
fn escapes(root: &std::path::Path) -> Vec<String> {
    let ups = [
        "..",
        "../..",
        "....",
        "...",
        ". .",
        "..;",
        "%2e%2e",
        "%2E%2E",
        "%252e%252e",
        "..%2f",
        "..%5c",
        "%c0%ae%c0%ae",
        "\u{2025}",
        "\u{ff0e}\u{ff0e}",
        "..\u{a0}",
        ".. ",
        "..\0",
        "..%00",
        "~",
        "~root",
        "$HOME",
        "${HOME}",
        "*",
        "?",
    ];
    let prefixes = [
        "",
        "/",
        "//",
        "\\",
        "debian-12/",
        "debian-12\\",
        "pxelinux.cfg/",
        "boot.ipxe/",
        "efi64/",
        "./",
        "C:",
        "C:\\",
        "c:/",
        "\\\\?\\C:\\",
        "//server/share/",
        "file:///",
        "tftp://10.77.0.1/",
    ];
    let root = root.display().to_string();
    let targets = [
        "etc/passwd".to_owned(),
        "etc\\passwd".to_owned(),
        "secret".to_owned(),
        "etc/shadow%00.efi".to_owned(),
        format!("{root}/secret"),
        "proc/self/environ".to_owned(),
        "dev/zero".to_owned(),
        "blobs/sha256".to_owned(),
        "Windows/System32/config/SAM".to_owned(),
        "boot.ini".to_owned(),
    ];
    let mut names = Vec::new();
    for prefix in prefixes {
        for target in &targets {
            names.push(format!("{prefix}{target}"));
            names.push(format!("{prefix}{target}/"));
            for up in ups {
                for separator in ["/", "\\"] {
                    names.push(format!("{prefix}{up}{separator}{target}"));
                    names.push(format!("{prefix}{}{target}", format!("{up}{separator}").repeat(8)));
                }
            }
        }
    }
    names.extend(
        ["", ".", "..", "/", "\\", "//", "debian-12", "debian-12/", "debian-12/.", "debian-12/EFI", "efi64"]
            .map(str::to_owned),
    );
    names.extend(
        [
            "con",
            "nul",
            "com1",
            "aux.efi",
            "debian-12/LINUX/",
            "debian-12/LINUX.",
            "debian-12/LINUX ",
            "debian-12/LINUX::$DATA",
        ]
        .map(str::to_owned),
    );
    names.extend(
        ["debian-12/\u{0}LINUX", "debian-12/LINUX\u{0}", "LINUX", "debian-12/../debian-12/LINUX"]
            .map(str::to_owned),
    );
    names.extend((0..600).step_by(37).map(|length| "a".repeat(length)));
    names
}

#[test]
fn t19_and_h7_no_name_leaves_the_tree() {
    let bench = bench(parts());
    let names = escapes(&bench.root);
    assert!(names.len() > 2_000, "{}", names.len());
    let root = bench.root.display().to_string();
    for name in names {
        for who in [tftp(), http(None), http(Some(Facts::default()))] {
            match bench.tree.open(&name, &who) {
                Ok(opened) => panic!("{name:?} opened {}", opened.name),
                Err(error) => assert!(!error.public_text().contains(&root), "{name:?}"),
            }
        }
    }
}

#[test]
fn names_kept_for_others_do_not_open() {
    let bench = bench(parts());
    for name in [
        "grub/grub.cfg",
        "grub/grub.cfg-01-52-54-00-12-34-56",
        &format!("b/{TOKEN}/up"),
        "grub/x86_64-efi/command.lst",
    ] {
        assert_eq!(bench.text(name), Err("not_found"), "{name}");
    }
}

/// Everything the tree may ever answer with, by canonical name, for a catalog of one image and no hosts.
fn tables(bench: &Bench) -> HashSet<String> {
    let library = &bench.tree.parts().library;
    let files = library.manifests().into_iter().flat_map(|manifest| {
        let image = manifest.image.to_string();
        manifest.files.keys().map(|file| format!("{image}/{file}")).collect::<Vec<_>>()
    });
    let loaders = library.loaders();
    let loaders: Vec<String> = loaders.iter().map(|loader| loader.name.to_string()).collect();
    let generated = ["boot.ipxe", "autoexec.ipxe", "boot.ipxe/debian-12", "pxelinux.cfg/default"];
    files.chain(loaders).chain(generated.map(str::to_owned)).collect()
}

proptest! {
    #[test]
    fn open_never_panics_and_opens_only_what_a_table_has(
        pieces in proptest::collection::vec(
            prop_oneof![
                Just("/".to_owned()), Just("\\".to_owned()), Just("..".to_owned()), Just(".".to_owned()),
                Just("debian-12".to_owned()), Just("Linux".to_owned()), Just("EFI".to_owned()), Just("x.efi".to_owned()),
                Just("boot.ipxe".to_owned()), Just("pxelinux.cfg".to_owned()), Just("default".to_owned()),
                Just("01-52-54-00-12-34-56".to_owned()), Just("0A4D0032".to_owned()), Just("efi64".to_owned()),
                Just("syslinux.efi".to_owned()), ".*", "[ -~]{0,40}",
            ],
            0..8,
        ),
        by_http in any::<bool>(),
    ) {
        static BENCH: std::sync::OnceLock<(Bench, HashSet<String>)> = std::sync::OnceLock::new();
        let (bench, tables) = BENCH.get_or_init(|| {
            let bench = bench(parts());
            let tables = tables(&bench);
            (bench, tables)
        });
        let who = if by_http { http(Some(Facts::default())) } else { tftp() };
        let name = pieces.concat();
        if let Ok(opened) = bench.tree.open(&name, &who) {
            prop_assert!(tables.contains(&*opened.name), "{:?} opened {:?}", name, opened.name);
        }
    }
}

#[test]
fn recalled_facts_come_with_every_file() {
    let bench = bench(parts());
    let facts = Facts { mac: Some("52:54:00:12:34:56".parse().unwrap()), ..Facts::default() };
    bench.recall(Facts { stage: Stage::Rom, firmware: Some(Firmware::Bios), ..facts.clone() });
    assert_eq!(bench.tree.open("undionly.kpxe", &tftp()).unwrap().facts.unwrap().mac, facts.mac);
    let mapped = Who { address: "::ffff:10.77.0.50".parse().unwrap(), ..tftp() };
    assert_eq!(bench.tree.open("debian-12/linux", &mapped).unwrap().facts.unwrap().mac, facts.mac);
}
