use super::*;
use crate::{ImportError, ImportRequest, LibraryOptions, MemoryRecords, Source, Unwatched};
use std::fs;
use std::path::PathBuf;
use types::UnixTime;
use types::resource::ImageKind;

struct Site {
    folder: tempfile::TempDir,
    library: Library,
}

fn site() -> Site {
    let folder = tempfile::tempdir().unwrap();
    let options =
        LibraryOptions { loader_sources: vec![], ..LibraryOptions::at(folder.path().join("library")) };
    let library = Library::open(options, MemoryRecords::default()).unwrap();
    Site { folder, library }
}

fn request(name: &str, source: Source) -> ImportRequest {
    ImportRequest {
        profile: None,
        image: Image::new(name.parse().unwrap(), ImageKind::Linux),
        source,
        kind_given: false,
        replace: true,
        record_image: true,
        now: UnixTime(1_700_000_000),
    }
}

impl Site {
    /// A site with an image of two files of the same bytes and an empty one.
    fn with_image(kernel: &[u8]) -> Site {
        let site = site();
        let source = site.folder.path().join("source");
        fs::create_dir_all(source.join("boot")).unwrap();
        for (name, bytes) in [("boot/linux", kernel), ("copy", kernel), ("empty", b""), ("odd", b"12345")] {
            fs::write(source.join(name), bytes).unwrap();
        }
        let mut asked = request("tiny", Source::Dir(source));
        asked.image.kernel = Some("boot/linux".to_owned());
        asked.image.cmdline = "quiet".to_owned();
        asked.kind_given = true;
        site.library.import(&asked, &mut Unwatched).unwrap();
        site
    }

    fn exported(&self) -> Vec<u8> {
        let mut export = self.library.export("tiny", None, None).unwrap();
        let bytes = export.bytes();
        let whole: Vec<u8> = export.by_ref().flatten().collect();
        assert!(export.fault().is_none());
        assert_eq!(whole.len() as u64, bytes);
        whole
    }

    fn file(&self, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join("image.tar");
        fs::write(&path, bytes).unwrap();
        path
    }

    fn import(&self, bytes: &[u8]) -> Result<crate::Imported, ImportError> {
        self.library.import(&request("again", Source::Detect(self.file(bytes))), &mut Unwatched)
    }
}

#[test]
fn an_exported_image_is_the_same_at_another_site() {
    let (here, there) = (Site::with_image(&[7; 3000]), site());
    let file = here.exported();
    assert_eq!(file, here.exported(), "the same version gives the same file");
    let path = there.file(&file);
    assert_eq!(name_within(&path).unwrap().as_str(), "tiny");
    let imported = there.import(&file).unwrap();
    let before = here.library.manifest("tiny").unwrap();
    assert_eq!(imported.manifest.id(), before.id());
    assert_eq!(imported.manifest.source, before.source);
    assert_eq!((imported.image.name.as_str(), imported.image.cmdline.as_str()), ("again", "quiet"));
    assert_eq!(imported.new_bytes, 3005);
    assert!(there.library.verify("again").unwrap().is_empty());
    assert_eq!(there.import(&file).unwrap().new_bytes, 0);
    assert!(there.library.versions("again").unwrap().others.is_empty());
}

#[test]
fn a_file_that_names_an_export_keeps_how_it_boots() {
    let (here, there) = (site(), site());
    let source = here.folder.path().join("source");
    fs::create_dir_all(&source).unwrap();
    fs::write(source.join("start.efi"), [7; 3000]).unwrap();
    let mut asked = request("tiny", Source::Dir(source));
    asked.image.kind = ImageKind::Efi;
    asked.image.efi = Some("start.efi".to_owned());
    asked.image.cmdline = "quiet".to_owned();
    asked.image.template = Some("answers".parse().unwrap());
    asked.image.destructive = true;
    asked.kind_given = true;
    here.library.import(&asked, &mut Unwatched).unwrap();

    let mut named = request("again", Source::Detect(there.file(&here.exported())));
    named.image.sha256 = Some("ab".repeat(32));
    (named.kind_given, named.record_image) = (true, false);
    let first = there.library.import(&named, &mut Unwatched).unwrap().image;
    assert!(first.destructive);
    let kept = there.library.keep_by_hash(&named.image).unwrap().expect("it is here by its hash");
    assert_eq!(kept.image, first);
    assert_eq!((kept.image.kind, kept.image.cmdline.as_str()), (ImageKind::Efi, "quiet"));
    assert_eq!(kept.image.template.as_ref().unwrap().as_str(), "answers");
    assert!(kept.image.destructive);
    let index = there.library.export("again", None, None).unwrap().next().unwrap();
    assert!(!String::from_utf8_lossy(&index).contains("restored"));
}

#[test]
fn what_the_file_says_erases_a_disk_does_so_from_an_export_too() {
    let (here, there) = (Site::with_image(&[7; 3000]), site());
    let mut named = request("again", Source::Detect(there.file(&here.exported())));
    named.image.sha256 = Some("ab".repeat(32));
    assert!(!there.library.import(&named, &mut Unwatched).unwrap().image.destructive);
    named.image.destructive = true;
    let kept = there.library.keep_by_hash(&named.image).unwrap().expect("it is here by its hash");
    assert!(kept.image.destructive);
    assert!(there.library.import(&named, &mut Unwatched).unwrap().image.destructive);
}

#[test]
fn tar_lists_it_and_sha256sum_checks_it() {
    let here = Site::with_image(b"kernel");
    let path = here.file(&here.exported());
    let run = |program: &str, words: &[&str]| {
        std::process::Command::new(program).args(words).current_dir(here.folder.path()).output()
    };
    let Ok(listed) = run("tar", &["-xvf", path.to_str().unwrap()]) else { return };
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let names = String::from_utf8(listed.stdout).unwrap();
    let names: Vec<&str> = names.lines().collect();
    assert_eq!((names.first(), names.last()), (Some(&INDEX_NAME), Some(&SUM_NAME)));
    assert_eq!(names.len(), 5);
    assert!(run("sha256sum", &["-c", SUM_NAME]).unwrap().status.success());
}

#[test]
fn an_export_cut_off_anywhere_is_refused_with_nothing_visible() {
    let here = Site::with_image(&[7; 3000]);
    let file = here.exported();
    // The last two empty blocks may be missing: other writers leave them out.
    for cut in (0..file.len() - 2 * BLOCK).step_by(97) {
        let there = site();
        let refused = there.import(&file[..cut]);
        assert!(refused.is_err(), "cut at {cut}");
        assert!(there.library.manifests().is_empty(), "cut at {cut}");
    }
    let whole_blobs = file.len() - 4 * BLOCK;
    let error = site().import(&file[..whole_blobs]).unwrap_err();
    assert_eq!(error.reason(), "export_cut_off", "{error}");
}

#[test]
fn an_export_with_any_bit_changed_is_refused_or_the_same() {
    let here = Site::with_image(&[7; 1500]);
    let (file, id) = (here.exported(), here.library.manifest("tiny").unwrap().id().clone());
    for at in (0..file.len()).step_by(41) {
        let mut bytes = file.clone();
        bytes[at] ^= 0x10;
        let there = site();
        match there.import(&bytes) {
            Ok(imported) => {
                // Padding, or a part of a header that nobody reads.
                assert_eq!(
                    (imported.manifest.id(), imported.image.cmdline.as_str()),
                    (&id, "quiet"),
                    "at {at}"
                );
                assert!(there.library.verify("again").unwrap().is_empty());
            }
            Err(_) => assert!(there.library.manifests().is_empty(), "at {at}"),
        }
    }
    let mut bytes = file.clone();
    let at = bytes.windows(5).position(|window| window == b"quiet").unwrap();
    bytes[at] = b'Q';
    let error = site().import(&bytes).unwrap_err();
    assert_eq!(error.reason(), "export_altered", "{error}");
    let mut bytes = file;
    let at = bytes.windows(5).position(|window| window == b"12345").unwrap();
    bytes[at] = b'9';
    let error = site().import(&bytes).unwrap_err();
    assert_eq!(error.reason(), "export_altered", "{error}");
}

#[test]
fn a_damaged_blob_ends_the_export_early() {
    let here = Site::with_image(b"kernel");
    let digest = here.library.manifest("tiny").unwrap().files["odd"].sha256;
    let hex = digest.to_string();
    let path = here.folder.path().join("library/blobs/sha256").join(&hex[..2]).join(&hex);
    fs::remove_file(&path).unwrap();
    assert!(matches!(
        here.library.export("tiny", None, None),
        Err(LibraryError::Blob(BlobError::Missing(_)))
    ));
    fs::write(&path, b"54321").unwrap();
    let mut export = here.library.export("tiny", None, None).unwrap();
    let sent: u64 = export.by_ref().map(|piece| piece.len() as u64).sum();
    assert!(sent < export.bytes() && matches!(export.fault(), Some(BlobError::Damaged { .. })));
}

#[test]
fn what_is_exported_is_not_swept_meanwhile() {
    let here = Site::with_image(b"kernel");
    let mut export = here.library.export("tiny", None, None).unwrap();
    export.next().unwrap();
    assert!(here.library.delete("tiny").unwrap());
    assert_eq!(here.library.collect().unwrap().blobs, 0);
    assert!(export.by_ref().count() > 0 && export.fault().is_none());
    drop(export);
    assert_eq!(here.library.collect().unwrap().blobs, 3);
}

#[test]
fn sizes_beyond_octal_are_read_back() {
    let size = (9 << 30) + 1;
    let header = header("blobs/sha256/x", size, u64::MAX);
    assert_eq!(&header[124..136], [0x80, 0, 0, 0, 0, 0, 0, 2, 0x40, 0, 0, 1]);
    assert_eq!(padding(512), 0);
    assert_eq!(padding(513), 511);
}
