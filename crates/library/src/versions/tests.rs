use super::*;
use crate::{ImportRequest, LibraryOptions, MemoryRecords, Source, Unwatched};
use proptest::prelude::*;
use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;
use types::UnixTime;
use types::resource::ImageKind;

struct Bench {
    _folder: tempfile::TempDir,
    root: PathBuf,
    library: Library,
    records: Arc<MemoryRecords>,
}

fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_owned();
    let records = Arc::new(MemoryRecords::default());
    let library = Library::open(options(&root), records.clone()).unwrap();
    Bench { _folder: folder, root, library, records }
}

fn options(root: &std::path::Path) -> LibraryOptions {
    LibraryOptions { loader_sources: vec![], ..LibraryOptions::at(root.join("library")) }
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

impl Bench {
    /// Imports an image of one kernel with these bytes, and one file that all share.
    fn import(&self, image: &str, kernel: &str) -> Name {
        let source = self.root.join("source");
        fs::create_dir_all(&source).unwrap();
        fs::write(source.join("linux"), kernel).unwrap();
        fs::write(source.join("shared"), "shared").unwrap();
        let image = Image {
            kernel: Some("linux".to_owned()),
            cmdline: kernel.to_owned(),
            ..Image::new(name(image), ImageKind::Linux)
        };
        let request = ImportRequest {
            profile: None,
            image,
            source: Source::Dir(source),
            kind_given: true,
            replace: true,
            record_image: true,
            now: UnixTime(1_700_000_000),
        };
        self.library.import(&request, &mut Unwatched).unwrap().manifest.id().clone()
    }

    fn kernel(&self, image: &str) -> Option<Vec<u8>> {
        self.library.open_file(image, "linux").unwrap().map(|file| file.bytes.to_vec())
    }

    fn reopened(&self) -> Library {
        Library::open(options(&self.root), self.records.clone()).unwrap()
    }
}

#[test]
fn every_kept_version_opens_by_its_own_name() {
    let bench = bench();
    let (one, two) = (bench.import("debian", "one"), bench.import("debian", "two"));
    assert_ne!(one, two);
    assert_eq!(bench.kernel("debian").unwrap(), b"two");
    assert_eq!(bench.kernel(&format!("debian@{one}")).unwrap(), b"one");
    assert_eq!(bench.kernel(&format!("debian@{two}")).unwrap(), b"two");
    for absent in ["debian@", "debian@000000000000", "debian@one", "other@"] {
        assert!(bench.kernel(absent).is_none(), "{absent}");
    }
    let again = bench.reopened().versions("debian").unwrap();
    assert_eq!((again.current.id(), again.others.keys().collect::<Vec<_>>()), (&two, vec![&one]));
}

#[test]
fn the_same_files_are_no_new_version_and_an_old_one_becomes_current_again() {
    let bench = bench();
    let one = bench.import("debian", "one");
    assert_eq!(bench.import("debian", "one"), one);
    assert!(bench.library.versions("debian").unwrap().others.is_empty());
    let two = bench.import("debian", "two");
    assert_eq!(bench.import("debian", "one"), one);
    let versions = bench.library.versions("debian").unwrap();
    assert_eq!((versions.current.id(), versions.others.keys().collect::<Vec<_>>()), (&one, vec![&two]));
}

#[test]
fn rolling_back_brings_the_profile_too_and_goes_on_to_what_was_before() {
    let bench = bench();
    let ids = ["one", "two", "three"].map(|kernel| bench.import("debian", kernel));
    let back = |to: Option<&Name>| bench.library.rollback("debian", to, true).map(|it| it.id().clone());
    assert_eq!(back(None).unwrap(), ids[1]);
    assert_eq!(bench.records.images()[0].cmdline, "two");
    assert_eq!(back(None).unwrap(), ids[0]);
    assert_eq!(bench.kernel("debian").unwrap(), b"one");
    assert!(matches!(back(None), Err(LibraryError::NoEarlier(_))));
    let short = name(&ids[2].as_str()[..VERSION_PREFIX_MIN]);
    assert_eq!(back(Some(&short)).unwrap(), ids[2]);
    assert_eq!(back(Some(&ids[2])).unwrap(), ids[2]);
    let error = back(Some(&name("gone"))).unwrap_err().to_string();
    assert!(error.contains("no version `gone`") && error.contains(ids[0].as_str()), "{error}");
    assert_eq!(bench.reopened().versions("debian").unwrap().others.len(), 2);
    assert!(matches!(bench.library.rollback("other", None, true), Err(LibraryError::NoImage(_))));
}

#[test]
fn a_tag_moves_and_is_no_id() {
    let bench = bench();
    let (one, two) = (bench.import("debian", "one"), bench.import("debian", "two"));
    let stable = name("stable");
    assert_eq!(bench.library.tag("debian", &stable, Some(&one)).unwrap(), one);
    let at = |library: &Library| library.versions("debian").unwrap().pinned(&stable).unwrap().id().clone();
    assert_eq!(at(&bench.reopened()), one);
    assert_eq!(bench.library.tag("debian", &stable, None).unwrap(), two);
    assert_eq!(at(&bench.library), two);
    for id in ["beef", "000000000000", "123456"] {
        assert!(matches!(bench.library.tag("debian", &name(id), None), Err(LibraryError::TagRefused(_))));
    }
    for tag in ["abc", "v1", "2024-01-31", "0000000000000"] {
        bench.library.tag("debian", &name(tag), None).unwrap();
    }
    assert_eq!(bench.library.untag("debian", &stable).unwrap(), Some(two));
    assert_eq!(bench.library.untag("debian", &stable).unwrap(), None);
    for number in 0..TAGS_MAX - 4 {
        bench.library.tag("debian", &name(&format!("t-{number}")), None).unwrap();
    }
    assert!(matches!(bench.library.tag("debian", &stable, None), Err(LibraryError::TooManyTags(_))));
}

#[test]
fn pruning_keeps_the_latest_the_current_the_tagged_and_the_pinned() {
    let bench = bench();
    let ids: Vec<Name> = (0..6).map(|number| bench.import("debian", &format!("k{number}"))).collect();
    bench.library.tag("debian", &name("stable"), Some(&ids[0])).unwrap();
    bench.library.rollback("debian", Some(&ids[2]), true).unwrap();
    let pinned = BTreeSet::from([ids[1].clone()]);
    let gone = |dry_run| -> Vec<Name> {
        let pruned = bench.library.prune("debian", 2, &pinned, dry_run).unwrap();
        pruned.iter().map(|it| it.manifest.id().clone()).collect()
    };
    let expected = vec![ids[4].clone(), ids[3].clone()];
    assert_eq!(gone(true), expected);
    assert_eq!(bench.library.versions("debian").unwrap().others.len(), 5);
    assert_eq!(gone(false), expected);
    assert_eq!(gone(false), Vec::<Name>::new());
    assert_eq!(bench.library.collect().unwrap().blobs, 2);
    assert_eq!(bench.reopened().versions("debian").unwrap().others.len(), 3);
    assert!(bench.library.verify("debian").unwrap().is_empty());
}

#[test]
fn one_version_too_many_is_refused_and_says_what_to_do() {
    let bench = bench();
    for number in 0..crate::limits::VERSIONS_MAX {
        bench.import("debian", &format!("k{number}"));
    }
    let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| bench.import("debian", "more")));
    assert!(refused.is_err());
    assert_eq!(bench.kernel("debian").unwrap(), b"k63");
    bench.import("debian", "k5");
    assert_eq!(bench.library.prune("debian", 3, &BTreeSet::new(), false).unwrap().len(), 61);
    bench.import("debian", "more");
}

/// What the records do when they are asked: everything, or nothing because the power went.
struct Failing {
    records: Arc<MemoryRecords>,
    fails: std::sync::atomic::AtomicBool,
}

impl crate::Records for Arc<Failing> {
    fn load(&self) -> Result<crate::Remembered, crate::RecordsError> {
        self.records.load()
    }

    fn commit(&self, image: &str, change: &Change<'_>) -> Result<(), crate::RecordsError> {
        if self.fails.load(std::sync::atomic::Ordering::Relaxed) {
            let source = "the power went".into();
            return Err(crate::RecordsError::Store { action: "keep", image: image.to_owned(), source });
        }
        self.records.commit(image, change)
    }

    fn remove(&self, image: &str) -> Result<(), crate::RecordsError> {
        self.records.remove(image)
    }
}

#[test]
fn a_change_that_cannot_be_kept_changes_nothing() {
    let mut bench = bench();
    let failing = Arc::new(Failing { records: bench.records.clone(), fails: false.into() });
    bench.library = Library::open(options(&bench.root), failing.clone()).unwrap();
    let (one, two) = (bench.import("debian", "one"), bench.import("debian", "two"));
    failing.fails.store(true, std::sync::atomic::Ordering::Relaxed);
    let library = &bench.library;
    assert!(library.rollback("debian", None, true).is_err());
    assert!(library.tag("debian", &name("stable"), None).is_err());
    assert!(library.prune("debian", 1, &BTreeSet::new(), false).is_err());
    for library in [library, &bench.reopened()] {
        let versions = library.versions("debian").unwrap();
        assert_eq!((versions.current.id(), versions.others.keys().next()), (&two, Some(&one)));
        assert!(versions.tags.is_empty());
    }
}

#[test]
fn the_store_keeps_all_versions_and_forgets_those_of_one_image_alone() {
    let mut bench = bench();
    let store = store::Store::open(store::StoreOptions::new(bench.root.join("store"))).unwrap();
    bench.library = Library::open(options(&bench.root), store.clone()).unwrap();
    let one = bench.import("debian", "one");
    for image in ["debian", "debian-12", "debiana", "debian0"] {
        bench.import(image, "two");
        bench.import(image, "three");
    }
    bench.library.tag("debian", &name("stable"), Some(&one)).unwrap();
    bench.library.rollback("debian", Some(&one), true).unwrap();
    let reopened = Library::open(options(&bench.root), store.clone()).unwrap();
    let versions = reopened.versions("debian").unwrap();
    assert_eq!((versions.current.id(), versions.others.len()), (&one, 2));
    assert_eq!(versions.tags.get("stable"), Some(&one));
    let image = store.get(store::Table::Images, b"debian").unwrap().unwrap();
    assert_eq!(store::records::decode_image(&image.value).unwrap().cmdline, "one");
    assert!(bench.library.delete("debian").unwrap());
    let left = store.scan(store::Table::Manifests, None, 100).unwrap();
    assert_eq!(left.len(), 6);
    assert!(left.iter().all(|(key, _)| !key.starts_with(b"debian@") && key != b"debian"));
    // What an older program would take for the image itself it refuses to read.
    let aside = left.iter().find(|(key, _)| key.contains(&b'@')).unwrap();
    assert_eq!(store::records::version(&aside.1.value), Some(2));
    store.close();
}

#[test]
fn a_version_that_cannot_be_read_stops_the_sweep_until_its_image_is_removed() {
    let mut bench = bench();
    let store = store::Store::open(store::StoreOptions::new(bench.root.join("store"))).unwrap();
    bench.library = Library::open(options(&bench.root), store.clone()).unwrap();
    let one = bench.import("debian", "one");
    bench.import("debian", "two");
    let key = format!("debian@{one}");
    let newer = br#"{"v":99,"record":{}}"#;
    store.commit_blocking(store::Batch::new().put(store::Table::Manifests, key.as_str(), *newer)).unwrap();
    let library = Library::open(options(&bench.root), store.clone()).unwrap();
    assert_eq!(library.unreadable(), [key]);
    assert!(library.manifest("debian").is_some());
    assert!(matches!(library.collect(), Err(LibraryError::ManifestUnreadable(_))));
    assert!(library.delete("debian").unwrap());
    assert_eq!(library.collect().unwrap().blobs, 3);
    store.close();
}

/// One thing an operator does.
#[derive(Clone, Debug)]
enum Act {
    Import(u8, u8),
    Tag(u8, u8, u8),
    Untag(u8, u8),
    Pin(u8, u8),
    Unpin(u8),
    Rollback(u8, Option<u8>),
    Prune(u8, u8),
    Delete(u8),
    Collect,
    Restart,
}

fn act() -> impl Strategy<Value = Act> {
    let (image, content, nth) = (0..3u8, 0..5u8, 0..6u8);
    prop_oneof![
        4 => (image.clone(), content).prop_map(|(image, content)| Act::Import(image, content)),
        2 => (image.clone(), 0..2u8, nth.clone()).prop_map(|(image, tag, nth)| Act::Tag(image, tag, nth)),
        1 => (image.clone(), 0..2u8).prop_map(|(image, tag)| Act::Untag(image, tag)),
        2 => (image.clone(), nth.clone()).prop_map(|(image, nth)| Act::Pin(image, nth)),
        1 => image.clone().prop_map(Act::Unpin),
        2 => (image.clone(), prop::option::of(nth)).prop_map(|(image, nth)| Act::Rollback(image, nth)),
        2 => (image.clone(), 1..4u8).prop_map(|(image, keep)| Act::Prune(image, keep)),
        1 => image.prop_map(Act::Delete),
        2 => Just(Act::Collect),
        1 => Just(Act::Restart),
    ]
}

/// An image as it should be: versions by age with their content, which is current, tags and pins by content.
#[derive(Clone, Default)]
struct Model {
    /// Content and when it came, latest last.
    versions: Vec<u8>,
    current: u8,
    tags: BTreeMap<u8, u8>,
    pins: BTreeSet<u8>,
}

fn image_name(image: u8) -> String {
    format!("i{image}")
}

fn tag_name(tag: u8) -> Name {
    name(&format!("tag-{tag}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever is done in whatever order: what is current, pinned, tagged or young enough is there with its bytes, and
    /// what the model forgot is gone after a sweep.
    #[test]
    fn no_sequence_loses_a_version_that_is_used(acts in prop::collection::vec(act(), 1..40)) {
        let mut bench = bench();
        let mut model: BTreeMap<u8, Model> = BTreeMap::new();
        // The id of a content is the same in every image.
        let mut ids: BTreeMap<u8, Name> = BTreeMap::new();
        for act in acts {
            match act {
                Act::Import(image, content) => {
                    ids.insert(content, bench.import(&image_name(image), &content.to_string()));
                    let own = model.entry(image).or_default();
                    own.versions.retain(|it| *it != content);
                    own.versions.push(content);
                    own.current = content;
                }
                Act::Tag(image, tag, nth) => {
                    let Some(own) = model.get_mut(&image) else { continue };
                    let content = own.versions[usize::from(nth) % own.versions.len()];
                    bench.library.tag(&image_name(image), &tag_name(tag), Some(&ids[&content])).unwrap();
                    own.tags.insert(tag, content);
                }
                Act::Untag(image, tag) => {
                    let Some(own) = model.get_mut(&image) else { continue };
                    let removed = bench.library.untag(&image_name(image), &tag_name(tag)).unwrap();
                    prop_assert_eq!(removed.as_ref(), own.tags.remove(&tag).map(|content| &ids[&content]));
                }
                Act::Pin(image, nth) => {
                    let Some(own) = model.get_mut(&image) else { continue };
                    own.pins.insert(own.versions[usize::from(nth) % own.versions.len()]);
                }
                Act::Unpin(image) => {
                    let Some(own) = model.get_mut(&image) else { continue };
                    own.pins.clear();
                }
                Act::Rollback(image, nth) => {
                    let Some(own) = model.get_mut(&image) else { continue };
                    let at = own.versions.iter().position(|it| *it == own.current).unwrap();
                    let target = match nth {
                        Some(nth) => Some(own.versions[usize::from(nth) % own.versions.len()]),
                        None => at.checked_sub(1).map(|before| own.versions[before]),
                    };
                    let to = nth.and(target).map(|content| ids[&content].clone());
                    let done = bench.library.rollback(&image_name(image), to.as_ref(), true);
                    prop_assert_eq!(done.ok().map(|it| it.id().clone()), target.map(|it| ids[&it].clone()));
                    own.current = target.unwrap_or(own.current);
                }
                Act::Prune(image, keep) => {
                    let Some(own) = model.get_mut(&image) else { continue };
                    let pinned = own.pins.iter().map(|content| ids[content].clone()).collect();
                    bench.library.prune(&image_name(image), usize::from(keep), &pinned, false).unwrap();
                    let mut young = 1;
                    let mut kept: Vec<u8> = Vec::new();
                    for content in own.versions.iter().rev() {
                        let current = *content == own.current;
                        young += usize::from(!current);
                        let used = own.pins.contains(content) || own.tags.values().any(|it| it == content);
                        if current || young <= usize::from(keep) || used {
                            kept.insert(0, *content);
                        }
                    }
                    own.versions = kept;
                }
                Act::Delete(image) => {
                    let there = model.remove(&image).is_some();
                    prop_assert_eq!(bench.library.delete(&image_name(image)).unwrap(), there);
                }
                Act::Collect => {
                    bench.library.collect().unwrap();
                    let contents: HashSet<u8> =
                        model.values().flat_map(|own| own.versions.iter().copied()).collect();
                    for (content, id) in &ids {
                        let hex = crate::Digest::of(content.to_string().as_bytes()).to_string();
                        let path = bench.root.join("library/blobs/sha256").join(&hex[..2]).join(&hex);
                        prop_assert_eq!(path.exists(), contents.contains(content), "{}", id);
                    }
                }
                Act::Restart => bench.library = bench.reopened(),
            }
            prop_assert_eq!(bench.library.manifests().len(), model.len());
            for (image, own) in &model {
                let image = image_name(*image);
                let versions = bench.library.versions(&image).unwrap();
                let ages: Vec<Name> = versions.newest_first().iter().rev().map(|it| it.id().clone()).collect();
                let expected: Vec<Name> = own.versions.iter().map(|it| ids[it].clone()).collect();
                prop_assert_eq!(ages, expected);
                prop_assert_eq!(bench.kernel(&image).unwrap(), own.current.to_string().into_bytes());
                for content in &own.versions {
                    let there = bench.kernel(&format!("{image}@{}", ids[content])).unwrap();
                    prop_assert_eq!(there, content.to_string().into_bytes());
                }
                for (tag, content) in &own.tags {
                    prop_assert_eq!(versions.pinned(&tag_name(*tag)).unwrap().id(), &ids[content]);
                }
                prop_assert!(bench.library.verify(&image).unwrap().is_empty());
            }
        }
    }
}
