//! The confined process as the daemon uses it. Example `import_rate` is the program; cargo builds it with the tests.

use super::super::child::Child;
use super::super::testing::depot::{Bundle, Vib};
use super::super::testing::{Disc, Member, gzip, tar, zip};
use super::*;
use crate::{ImportError, ImportRequest, Library, LibraryOptions, MemoryRecords, Source, Unwatched};
use std::io::Write;
use types::UnixTime;
use types::resource::{Image, ImageKind};

/// The program, or `None` when only the tests were built.
fn program() -> Option<PathBuf> {
    let own = std::env::current_exe().unwrap();
    let path = own.parent().unwrap().parent().unwrap().join("examples/import_rate");
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("REVEILLE_REQUIRE_TOOLS").is_none(), "{} is not built", path.display());
    eprintln!("SKIPPED: {} is not built; run without --lib", path.display());
    None
}

fn file_of(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn child(kind: MediumKind, bytes: &[u8]) -> Option<Child> {
    Some(Child::spawn(&program()?, file_of(bytes), kind, bytes.len() as u64).unwrap())
}

#[test]
fn a_child_says_what_this_process_reads_itself() {
    let big = vec![5u8; 3_000_000];
    let files: &[(&str, &[u8])] = &[("a/first", &big), ("empty", b""), ("third", b"3")];
    let members: Vec<Member> = files.iter().map(|(name, bytes)| Member::deflated(name, bytes)).collect();
    for (kind, bytes) in [
        (MediumKind::Iso, Disc::joliet(files).bytes()),
        (MediumKind::Tar, tar(files)),
        (MediumKind::TarGz, gzip(&tar(files))),
        (MediumKind::Zip, zip(&members)),
    ] {
        let Some(mut child) = child(kind, &bytes) else { return };
        let (entries, _) = child.list(CAPS).unwrap().into_parts();
        let own = open_here(kind, Arc::new(bytes)).list(CAPS).unwrap().into_parts().0;
        assert_eq!(entries, own);
        for entry in entries.iter().rev().filter(|entry| matches!(entry.content, Content::Stream { .. })) {
            let mut content = Vec::new();
            child.open(entry).unwrap().read_to_end(&mut content).unwrap();
            let wanted = files.iter().find(|(name, _)| *name == entry.name).unwrap();
            assert!(content == wanted.1, "{} of a {}", entry.name, kind.as_str());
        }
    }
}

#[test]
fn a_child_reads_the_profile_of_a_depot_that_it_is_asked_for() {
    let bundle = Bundle { deflated: true, ..Bundle::usual() };
    let bytes = bundle.bytes();
    let profile = Some("ESXi-8.0U2-22380479-tool".to_owned());
    let Some(child) = child(MediumKind::Depot, &bytes) else { return };
    let mut child = child.with_profile(profile.clone());
    let (entries, notes) = child.list(CAPS).unwrap().into_parts();
    let mut own = open_profile(MediumKind::Depot, Arc::new(bytes), profile);
    assert_eq!((entries.clone(), notes.clone()), own.list(CAPS).unwrap().into_parts());
    assert!(notes.iter().any(|note| note.contains("no signature")), "{notes:?}");
    for entry in entries.iter().chain(entries.iter().rev()) {
        let (mut content, mut wanted) = (Vec::new(), Vec::new());
        child.open(entry).unwrap().read_to_end(&mut content).unwrap();
        own.open(entry).unwrap().read_to_end(&mut wanted).unwrap();
        assert!(content == wanted && content.len() as u64 == entry.size, "{}", entry.name);
    }
    let mut child = child.with_profile(Some("other".to_owned()));
    assert_eq!(child.list(CAPS).unwrap_err().refusal, Refusal::Profile);
}

/// Metadata of the largest size, and packages of many times its memory: it reads them in the room it has.
#[test]
fn a_depot_larger_than_the_childs_memory_is_read_in_it() {
    let mut bundle = Bundle::usual();
    let large: Vec<u8> = vec![7; 300 << 20];
    bundle.vibs[1] = Vib::of("VMware", "vmx", "8.0.2-0.0.22380479", &[("vmx", "vgz", &large)]);
    let names = format!(
        "<vib><vendor>x</vendor><name>y</name><version>z</version>{}</vib>",
        "<f>a</f>".repeat(90_000)
    );
    for number in 0..20 {
        bundle.inner.insert(format!("vibs/more-{number}.xml"), Some(names.clone().into_bytes()));
    }
    let bytes = bundle.bytes();
    drop((bundle, large));
    let Some(mut child) = child(MediumKind::Depot, &bytes) else { return };
    let (entries, _) = child.list(CAPS).unwrap().into_parts();
    assert!(entries.iter().any(|entry| entry.name == "vmx.v00" && entry.size == 300 << 20));
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 100 << 10, "{peak} KiB at most");
}

#[test]
fn refusals_cross_with_their_class() {
    let bytes = tar(&[("../x", b"1")]);
    let Some(mut child) = child(MediumKind::Tar, &bytes) else { return };
    let error = child.list(CAPS).unwrap_err();
    assert_eq!(error.refusal, Refusal::Name);
    assert!(error.detail.contains("\"../x\""), "{error}");
    // It answers on: a refusal is no failure of the process.
    assert_eq!(child.list(CAPS).unwrap_err().refusal, Refusal::Name);
}

#[test]
fn a_damaged_file_is_told_while_it_is_read() {
    let bytes = zip(&[Member { crc: 1, ..Member::stored("a", &[1; 600_000]) }]);
    let Some(mut child) = child(MediumKind::Zip, &bytes) else { return };
    let (entries, _) = child.list(CAPS).unwrap().into_parts();
    let error = child.open(&entries[0]).unwrap().read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(MediaError::from_io(error).refusal, Refusal::Malformed);
}

#[test]
fn a_stream_that_is_left_gives_no_other_file() {
    let bytes = gzip(&tar(&[("a", &[1; 600_000]), ("b", b"2")]));
    let Some(mut child) = child(MediumKind::TarGz, &bytes) else { return };
    let (entries, _) = child.list(CAPS).unwrap().into_parts();
    let mut some = [0u8; 10];
    child.open(&entries[0]).unwrap().read_exact(&mut some).unwrap();
    let Err(error) = child.open(&entries[1]).map(drop) else { panic!("it gave the rest of the other file") };
    assert_eq!(error.refusal, Refusal::Reader);
}

/// Programs that are no readers: what they say or do not say is a refusal.
#[test]
fn a_program_that_is_no_reader_is_told() {
    let bytes = tar(&[("a", b"1")]);
    for name in ["/bin/true", "/bin/cat", "/bin/yes"] {
        let mut child =
            Child::spawn(Path::new(name), file_of(&bytes), MediumKind::Tar, bytes.len() as u64).unwrap();
        let error = child.list(CAPS).unwrap_err();
        assert_eq!(error.refusal, Refusal::Reader, "{name}");
    }
    let Err(error) = Child::spawn(Path::new("/nonexistent"), file_of(&bytes), MediumKind::Tar, 1) else {
        panic!()
    };
    assert_eq!(error.refusal, Refusal::Reader);
}

/// The limits are on the process itself: they hold whatever it runs.
#[test]
fn the_process_can_open_nothing_and_has_no_room() {
    let bytes = gzip(&tar(&[("a", &[1; 600_000])]));
    let Some(mut child) = child(MediumKind::TarGz, &bytes) else { return };
    // It has answered, so it is confined.
    child.list(CAPS).unwrap();
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{}/{name}", child.id())).unwrap();
    let limits = read("limits");
    let limit = |name: &str| {
        let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len()..].split_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(limit("Max open files"), ["0", "0"]);
    assert_eq!(limit("Max file size"), ["0", "0"]);
    assert_eq!(limit("Max core file size"), ["0", "0"]);
    assert_eq!(
        limit("Max address space"),
        [worker::ADDRESS_BYTES_MAX.to_string(), worker::ADDRESS_BYTES_MAX.to_string()]
    );
    assert_eq!(limit("Max cpu time"), [worker::CPU_SECS_MAX.to_string(), worker::CPU_SECS_MAX.to_string()]);
    let status = read("status");
    assert!(status.lines().any(|line| line == "NoNewPrivs:\t1"), "{status}");
    // Medium and socket, each twice, and nowhere to write errors.
    let open = std::fs::read_dir(format!("/proc/{}/fd", child.id())).unwrap();
    let open: Vec<_> = open.map(|entry| std::fs::read_link(entry.unwrap().path()).unwrap()).collect();
    assert!(open.len() <= 5, "{open:?}");
    assert_eq!(read("environ"), "");
}

/// Nobody closes its socket: a parent that is killed in the middle of an unpacking is not heard of before the first word.
#[test]
fn a_child_does_not_outlive_the_thread_that_started_it() {
    if program().is_none() {
        return;
    }
    let started = std::thread::spawn(|| {
        let mut child = child(MediumKind::Tar, &tar(&[("linux", b"kernel")])).unwrap();
        // Once it has answered it is confined.
        child.list(CAPS).unwrap();
        let id = child.id();
        std::mem::forget(child);
        id
    });
    let status = format!("/proc/{}/status", started.join().unwrap());
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    // Its parent lives and does not ask: what is left of it is a name in the table.
    while !std::fs::read_to_string(&status).unwrap().contains("State:\tZ") {
        assert!(std::time::Instant::now() < until, "it lives on");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn an_import_by_a_child_is_the_same_and_hostile_media_are_refused() {
    let Some(program) = program() else { return };
    let folder = tempfile::tempdir().unwrap();
    let options = LibraryOptions {
        loader_sources: vec![],
        media_reader: Reader::Child { program },
        ..LibraryOptions::at(folder.path().join("library"))
    };
    let library = Library::open(options, MemoryRecords::default()).unwrap();
    let path = folder.path().join("medium");
    let import = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let request = ImportRequest {
            image: Image::new("image".parse().unwrap(), ImageKind::Linux),
            source: Source::Detect(path.clone()),
            profile: None,
            kind_given: false,
            replace: true,
            record_image: true,
            now: UnixTime(1),
        };
        library.import(&request, &mut Unwatched)
    };
    let files: &[(&str, &[u8])] =
        &[(".disk/info", b"Ubuntu 24.04"), ("casper/vmlinuz", &[1; 2_000_000]), ("casper/initrd", &[2; 100])];
    for bytes in [Disc::rock_ridge(files).bytes(), gzip(&tar(files))] {
        let imported = import(&bytes).unwrap();
        assert_eq!(imported.image.description, "Ubuntu 24.04");
        assert!(library.verify("image").unwrap().is_empty());
    }
    let error = import(&tar(&[("../../evil", b"x")])).unwrap_err();
    assert!(
        matches!(&error, ImportError::Medium { source, .. } if source.refusal == Refusal::Name),
        "{error}"
    );
}
