use super::*;

fn all(blobs: &Blobs) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        list(&blobs.blobs).unwrap().iter().flat_map(|folder| list(folder).unwrap()).collect();
    files.extend(list(&blobs.incoming).unwrap());
    files
}

fn put(blobs: &Blobs, bytes: &[u8]) -> StoredBlob {
    blobs.import(&mut &*bytes, u64::MAX, &mut |_| true).unwrap()
}

#[test]
fn same_bytes_are_kept_once() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::open_at(folder.path()).unwrap();
    let first = put(&blobs, b"kernel");
    let second = put(&blobs, b"kernel");
    assert!(first.new && !second.new);
    assert_eq!(first.digest, second.digest);
    assert_eq!(all(&blobs).len(), 1);
    assert_eq!(&blobs.open(first.digest, 6).unwrap()[..], b"kernel");
}

#[test]
fn an_empty_file_is_a_blob() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::open_at(folder.path()).unwrap();
    let stored = put(&blobs, b"");
    assert!(blobs.open(stored.digest, 0).unwrap().is_empty());
    blobs.verify(stored.digest, 0).unwrap();
}

#[test]
fn cancelling_and_failing_leave_nothing() {
    struct Failing(usize);
    impl Read for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0 += 1;
            if self.0 > 2 { Err(io::Error::other("gone")) } else { Ok(buffer.len()) }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::open_at(folder.path()).unwrap();
    assert!(matches!(blobs.import(&mut &b"abc"[..], u64::MAX, &mut |_| false), Err(BlobError::Cancelled)));
    assert!(matches!(
        blobs.import(&mut &b"abc"[..], 2, &mut |_| true),
        Err(BlobError::TooLarge { bytes_max: 2 })
    ));
    assert!(matches!(blobs.import(&mut Failing(0), u64::MAX, &mut |_| true), Err(BlobError::Source(_))));
    assert!(all(&blobs).is_empty());
}

#[test]
fn what_a_crash_left_is_removed_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let kept = put(&Blobs::open_at(folder.path()).unwrap(), b"whole");
    fs::write(folder.path().join("incoming/7"), b"half").unwrap();
    let blobs = Blobs::open_at(folder.path()).unwrap();
    assert_eq!(all(&blobs).len(), 1);
    blobs.verify(kept.digest, 5).unwrap();
}

#[test]
fn damage_is_found_and_repaired_by_importing_again() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::open_at(folder.path()).unwrap();
    let stored = put(&blobs, b"kernel");
    let path = blobs.path(stored.digest);
    for (bad, open_finds) in [(&b"Kernel"[..], false), (b"short", true)] {
        fs::remove_file(&path).unwrap();
        fs::write(&path, bad).unwrap();
        lock(&blobs.maps).open.clear();
        assert!(matches!(blobs.verify(stored.digest, 6), Err(BlobError::Damaged { .. })));
        assert_eq!(blobs.open(stored.digest, 6).is_err(), open_finds);
        assert!(put(&blobs, b"kernel").new);
        assert_eq!(&blobs.open(stored.digest, 6).unwrap()[..], b"kernel");
    }
    fs::remove_file(&path).unwrap();
    lock(&blobs.maps).open.clear();
    assert!(matches!(blobs.open(stored.digest, 6), Err(BlobError::Missing(_))));
}

#[test]
fn a_removed_blob_stays_readable_for_who_has_it_open() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::open_at(folder.path()).unwrap();
    let (kept, gone) = (put(&blobs, b"kept"), put(&blobs, b"gone"));
    let open = blobs.open(gone.digest, 4).unwrap();
    assert_eq!(blobs.sweep(&HashSet::from([kept.digest])).unwrap(), (1, 4));
    assert_eq!(&open[..], b"gone");
    assert!(blobs.open(gone.digest, 4).is_err());
    assert!(blobs.open(kept.digest, 4).is_ok());
}

#[test]
fn open_maps_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::open_at(folder.path()).unwrap();
    for number in 0..OPEN_MAPS_MAX + 10 {
        let bytes = number.to_string();
        let stored = put(&blobs, bytes.as_bytes());
        assert_eq!(&blobs.open(stored.digest, stored.size).unwrap()[..], bytes.as_bytes());
    }
    assert_eq!(lock(&blobs.maps).open.len(), OPEN_MAPS_MAX);
}
