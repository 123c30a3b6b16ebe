use crate::media::testing::{Disc, gzip, tar};
use crate::{ImportRequest, Library, LibraryOptions, MemoryRecords, Source, Unwatched};
use types::UnixTime;
use types::resource::{Holds, Image, ImageKind, UefiLoader};

struct Bench {
    folder: tempfile::TempDir,
    library: Library,
}

/// A library whose loaders are these files.
fn bench(loaders: &[(&str, &[u8])]) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("loaders");
    std::fs::create_dir(&own).unwrap();
    for (name, bytes) in loaders {
        std::fs::write(own.join(name), bytes).unwrap();
    }
    let options = LibraryOptions {
        loader_sources: vec![own.display().to_string()],
        ..LibraryOptions::at(folder.path().join("library"))
    };
    let library = Library::open(options, MemoryRecords::default()).unwrap();
    Bench { folder, library }
}

impl Bench {
    fn import(&self, image: Image, medium: &[u8]) -> (Image, Vec<String>) {
        let path = self.folder.path().join("medium");
        std::fs::write(&path, medium).unwrap();
        let request = ImportRequest {
            kind_given: image.lacks().is_none() && image.kind != ImageKind::Esxi,
            image,
            source: Source::Detect(path),
            profile: None,
            replace: true,
            record_image: true,
            now: UnixTime(1),
        };
        let imported = self.library.import(&request, &mut Unwatched).unwrap();
        (imported.image, imported.manifest.notes.clone())
    }
}

/// A PE image for x64, with an entry in its certificate table or without.
fn efi(signed: bool) -> Vec<u8> {
    let mut bytes = vec![0u8; 0x200];
    bytes[..2].copy_from_slice(b"MZ");
    bytes[0x3c] = 0x40;
    bytes[0x40..0x46].copy_from_slice(b"PE\0\0\x64\x86");
    let optional = 0x58;
    bytes[optional..optional + 2].copy_from_slice(&[0x0b, 0x02]);
    bytes[optional + 108] = 16;
    bytes[optional + 148] = u8::from(signed);
    bytes
}

fn esxi<'a>(loader: Option<&'a [u8]>, kernel: &'a [u8]) -> Vec<(&'a str, &'a [u8])> {
    let config = b"kernel=/b.b00\nmodules=/jumpstrt.gz --- /s.v00\nbuild=8.0.2-0.0.1\n";
    let mut files: Vec<(&str, &[u8])> =
        vec![("boot.cfg", config), ("b.b00", kernel), ("jumpstrt.gz", b"123"), ("s.v00", b"45")];
    files.extend(loader.map(|loader| ("efi/boot/bootx64.efi", loader)));
    files
}

fn named(name: &str, kind: ImageKind) -> Image {
    Image::new(name.parse().unwrap(), kind)
}

#[test]
fn an_esxi_disc_has_its_loaders_and_what_its_boot_cfg_loads() {
    let bench = bench(&[]);
    let loader = efi(true);
    let mut files = esxi(Some(&loader), b"kernel");
    files.push(("mboot.c32", b"bios"));
    let (image, _) = bench.import(named("whole", ImageKind::Esxi), &Disc::of(&files).bytes());
    let whole = Holds {
        bios_loader: true,
        uefi_loader: UefiLoader::Own,
        loaded_bytes: 6 + 3 + 2,
        ..Holds::default()
    };
    assert_eq!(bench.library.holds(&image), whole);
    // One that is not signed, and none.
    let loader = efi(false);
    let (image, _) = bench.import(named("plain", ImageKind::Esxi), &tar(&esxi(Some(&loader), b"k")));
    assert_eq!(bench.library.holds(&image).unsigned.as_deref(), Some("efi/boot/bootx64.efi"));
    let (image, notes) = bench.import(named("bare", ImageKind::Esxi), &tar(&esxi(None, b"k")));
    assert_eq!(bench.library.holds(&image), Holds { loaded_bytes: 6, ..Holds::default() });
    assert!(notes.iter().any(|note| note.contains("no BIOS loader")), "{notes:?}");
    assert!(notes.iter().any(|note| note.contains("no UEFI loader")), "{notes:?}");
    // On a base that has them it lacks nothing.
    let based = Image { base: Some("whole".parse().unwrap()), ..named("based", ImageKind::Esxi) };
    let based = Image { modules: vec!["own.v00".to_owned()], ..based };
    let (image, notes) = bench.import(based, &tar(&[esxi(None, b"k"), vec![("own.v00", b"1234")]].concat()));
    assert_eq!(bench.library.holds(&image), Holds { loaded_bytes: 10, ..whole });
    assert!(!notes.iter().any(|note| note.contains("loader")), "{notes:?}");
}

#[test]
fn the_loader_of_this_machine_is_told_when_it_carries_no_signature() {
    let linux = || Image { kernel: Some("linux".to_owned()), ..named("tool", ImageKind::Linux) };
    let medium = gzip(&tar(&[("linux", b"kernel"), ("initrd", b"ram")]));
    for (signed, told) in [(false, 1), (true, 0)] {
        let bench = bench(&[("snponly.efi", &efi(signed))]);
        let (image, notes) = bench.import(Image { initrd: vec!["initrd".to_owned()], ..linux() }, &medium);
        assert_eq!(notes.iter().filter(|note| note.contains("`snponly.efi`")).count(), told, "{notes:?}");
        assert_eq!(bench.library.holds(&image).loaded_bytes, 9);
        assert_eq!(bench.library.is_signed("snponly.efi"), Some(signed));
        assert_eq!(bench.library.is_signed("ipxe.efi"), None);
    }
}

#[test]
fn windows_has_the_wimboot_of_this_machine() {
    let medium = tar(&[("boot/bcd", b"b"), ("boot/boot.sdi", b"s"), ("sources/boot.wim", b"wim")]);
    for (loaders, there) in [(&[][..], false), (&[("wimboot", &b"wimboot"[..])][..], true)] {
        let bench = bench(loaders);
        let (image, notes) = bench.import(named("setup", ImageKind::Linux), &medium);
        assert_eq!(image.kind, ImageKind::Windows);
        let holds = bench.library.holds(&image);
        assert_eq!((holds.wimboot, holds.loaded_bytes), (there, 5));
        assert_eq!(notes.iter().any(|note| note.contains("needs `wimboot`")), !there, "{notes:?}");
    }
}
