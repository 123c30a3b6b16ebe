//! On a real folder, with sled.

use super::*;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

fn open(path: &Path) -> Store {
    Store::open(StoreOptions::new(path)).unwrap()
}

#[test]
fn what_is_read_while_opening_is_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let opened = |path: &Path| {
        let mut calls = 0;
        let (store, read) = Store::open_reading(&StoreOptions::new(path), Table::Leases, |records| {
            calls += 1;
            records.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect::<Vec<_>>()
        })
        .unwrap();
        let scanned = store.scan(Table::Leases, None, 100).unwrap();
        let scanned: Vec<_> = scanned.into_iter().map(|(key, stored)| (key, stored.value)).collect();
        assert_eq!(read, scanned);
        (store, read.len(), calls)
    };
    let (store, count, _) = opened(folder.path());
    assert_eq!(count, 0);
    for key in ["a", "b", "c"] {
        store.commit_blocking(Batch::new().put(Table::Leases, key, "x").put(Table::Meta, key, "y")).unwrap();
    }
    store.commit_blocking(Batch::new().delete(Table::Leases, "b")).unwrap();
    store.checkpoint().unwrap();
    store.commit_blocking(Batch::new().put(Table::Leases, "a", "later")).unwrap();
    store.close();
    let (store, count, calls) = opened(folder.path());
    assert_eq!((count, calls), (2, 1));
    store.close();
    // The index gone, and then the journal's end: only the index has that.
    std::fs::remove_dir_all(folder.path().join("index")).unwrap();
    let (store, count, calls) = opened(folder.path());
    assert_eq!((count, calls), (2, 1));
    store.close();
    for file in ["journal", "checkpoint"] {
        std::fs::remove_dir_all(folder.path().join(file)).unwrap();
    }
    let (store, count, calls) = opened(folder.path());
    assert_eq!((count, calls), (2, 2), "first what the files say, then what the index saved");
    assert!(matches!(store.report().findings[..], [Finding::RestoredFromIndex { .. }]));
}

#[test]
fn a_restart_keeps_everything_and_finds_nothing_odd() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    assert_eq!(store.report().index, IndexStart::New);
    store.commit_blocking(put(1, "one").put(Table::Hosts, *b"web01", "host")).unwrap();
    store
        .commit_blocking(Batch::new().delete(Table::Leases, key(1)).put(Table::Leases, key(2), "two"))
        .unwrap();
    drop(store);
    for _ in 0..3 {
        let store = open(folder.path());
        assert_eq!(
            (store.report().index, store.report().findings.as_slice()),
            (IndexStart::Current, &[][..])
        );
        assert_eq!(store.report().checkpoint, Some(Revision(2)));
        assert_eq!(values(&store, Table::Leases), [(key(2), "two".to_owned())]);
        assert_eq!(store.get(Table::Hosts, b"web01").unwrap().unwrap().revision, Revision(1));
        assert_eq!(store.get(Table::Leases, &key(1)).unwrap(), None);
        assert!(store.verify().unwrap().is_clean());
    }
}

#[test]
fn a_second_opener_is_told_who_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let error = Store::open(StoreOptions::new(folder.path())).err().unwrap();
    let text = error.to_string();
    assert!(text.contains(&format!("in use by process {}", std::process::id())), "{text}");
    assert!(text.contains(folder.path().to_str().unwrap()) && text.contains("admin API"), "{text}");
    store.close();
    open(folder.path());
}

#[test]
fn files_are_readable_by_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    open(&path).commit_blocking(put(1, "one")).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o077;
    assert_eq!(mode(&path), 0);
    for dir in ["journal", "checkpoint"] {
        for file in std::fs::read_dir(path.join(dir)).unwrap() {
            assert_eq!(mode(&file.unwrap().path()), 0);
        }
    }
}

#[test]
fn preconditions_hold_in_commit_order() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let create = |value: &str| put(1, value).expect(Table::Leases, key(1), Expect::Absent);
    let first = store.commit_blocking(create("mine")).unwrap();
    let error = store.commit_blocking(create("other")).unwrap_err();
    let CommitError::Conflict { found: Some(found), .. } = &error else { panic!("{error}") };
    assert_eq!(*found, first);
    let update = |revision| put(1, "renewed").expect(Table::Leases, key(1), Expect::Revision(revision));
    let second = store.commit_blocking(update(first)).unwrap();
    assert!(matches!(store.commit_blocking(update(first)), Err(CommitError::Conflict { .. })));
    let present = |number| put(9, "x").expect(Table::Leases, key(number), Expect::Any);
    assert!(store.commit_blocking(present(1)).is_ok());
    assert!(matches!(store.commit_blocking(present(2)), Err(CommitError::Conflict { found: None, .. })));
    assert_eq!(store.get(Table::Leases, &key(1)).unwrap().unwrap().revision, second);
    let only_asked = Batch::new().expect(Table::Leases, key(1), Expect::Any);
    assert_eq!(store.commit_blocking(only_asked).unwrap(), store.status().revision, "no change, no revision");
}

#[test]
fn of_many_who_want_the_same_record_one_gets_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let won: usize = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..16)
            .map(|number| {
                let store = store.clone();
                let batch = put(1, &number.to_string()).expect(Table::Leases, key(1), Expect::Absent);
                scope.spawn(move || usize::from(store.commit_blocking(batch).is_ok()))
            })
            .collect();
        tries.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(won, 1);
}

#[test]
fn scans_go_by_key_in_pages_and_stay_in_their_table() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let batch = (0..100).fold(Batch::new().put(Table::Facts, *b"f", "f"), |batch, number| {
        batch.put(Table::Leases, key(number), number.to_string())
    });
    store.commit_blocking(batch.put(Table::Manifests, *b"m", "m")).unwrap();
    let mut seen = Vec::new();
    while let page = store.scan(Table::Leases, seen.last().map(Vec::as_slice), 7).unwrap()
        && !page.is_empty()
    {
        seen.extend(page.into_iter().map(|(key, _)| key));
    }
    assert_eq!(seen, (0..100).map(key).collect::<Vec<_>>());
}

#[test]
fn batches_over_a_limit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for batch in [
        Batch::new().put(Table::Meta, *b"", "x"),
        Batch::new().put(Table::Meta, vec![0; 1025], "x"),
        Batch::new().put(Table::Meta, *b"k", vec![0; 17 << 20]),
    ] {
        assert!(matches!(store.commit_blocking(batch), Err(CommitError::TooLarge { .. })));
    }
    store.commit_blocking(Batch::new().put(Table::Meta, vec![0; 1024], vec![7; 15 << 20])).unwrap();
    drop(store);
    assert_eq!(open(folder.path()).get(Table::Meta, &[0; 1024]).unwrap().unwrap().value, vec![7; 15 << 20]);
}

#[tokio::test]
async fn watchers_see_their_table_and_laggards_are_told_to_read_anew() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let (mut leases, mut hosts) = (store.watch(Table::Leases).unwrap(), store.watch(Table::Hosts).unwrap());
    let revision = store.commit(put(1, "one")).await.unwrap();
    let Some(Watched::Changed { revision: seen, changes }) = leases.next().await else { panic!() };
    assert_eq!((seen, changes.len()), (revision, 1));
    assert_eq!(hosts.try_next(), None);
    let many = limits::WATCH_EVENTS_MAX as u64 * 2;
    let commits: Vec<_> = (0..many).map(|number| store.commit(put(number, "x"))).collect();
    for commit in commits {
        commit.await.unwrap();
    }
    assert_eq!(leases.next().await, Some(Watched::Resync));
    assert_eq!(leases.try_next(), None, "after a resync only what comes later is announced");
    let revision = store.commit(put(1, "later")).await.unwrap();
    assert!(matches!(leases.next().await, Some(Watched::Changed { revision: seen, .. }) if seen == revision));
    store.close();
    assert_eq!(leases.next().await, None);
    assert!(store.watch(Table::Leases).is_none());
    assert!(matches!(store.commit(put(1, "x")).await, Err(CommitError::Closed)));
    assert!(matches!(store.get(Table::Leases, &key(1)), Err(StoreError::Closed)));
}

#[test]
fn an_index_that_is_gone_or_garbage_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let index = folder.path().join("index");
    let store = open(folder.path());
    for number in 0..500 {
        store.commit_blocking(put(number, &format!("value {number}"))).unwrap();
    }
    let expected = values(&store, Table::Leases);
    drop(store);
    type Ruin = (&'static str, fn(&Path));
    let ruin: [Ruin; 6] = [
        ("deleted", |index| std::fs::remove_dir_all(index).unwrap()),
        ("emptied", |index| {
            std::fs::remove_dir_all(index).unwrap();
            std::fs::create_dir(index).unwrap();
        }),
        ("garbage log", |index| std::fs::write(index.join("db"), vec![0xa5; 300_000]).unwrap()),
        ("truncated log", |index| {
            let file = std::fs::File::options().write(true).open(index.join("db")).unwrap();
            file.set_len(file.metadata().unwrap().len() / 2).unwrap();
        }),
        ("zeroed page", |index| {
            let mut bytes = std::fs::read(index.join("db")).unwrap();
            bytes[4096..8192].fill(0);
            std::fs::write(index.join("db"), bytes).unwrap();
        }),
        ("configuration gone", |index| std::fs::remove_file(index.join("conf")).unwrap()),
    ];
    for (what, ruin) in ruin {
        ruin(&index);
        let store = open(folder.path());
        assert_eq!(values(&store, Table::Leases), expected, "{what}");
        assert!(store.verify().unwrap().is_clean(), "{what}");
        let report = store.report();
        assert!(report.index == IndexStart::Rebuilt || report.findings.is_empty(), "{what}: {report:?}");
    }
    let kept = std::fs::read_dir(folder.path()).unwrap().flatten();
    let kept = kept.filter(|entry| entry.file_name().to_string_lossy().starts_with("index.bad-")).count();
    assert!((1..=limits::BAD_INDEXES_KEPT).contains(&kept), "{kept} damaged indexes kept");
}

#[test]
fn a_torn_snapshot_of_sled_does_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.commit_blocking(put(1, "one")).unwrap();
    drop(store);
    let index = folder.path().join("index");
    std::fs::write(index.join("snap.0000000000000FFF.generating"), b"torn").unwrap();
    let store = open(folder.path());
    assert_eq!((store.report().index, store.report().findings.as_slice()), (IndexStart::Current, &[][..]));
    drop(store);
    for entry in std::fs::read_dir(&index).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with("snap.") {
            std::fs::write(entry.path(), b"").unwrap();
        }
    }
    let store = open(folder.path());
    assert_eq!(values(&store, Table::Leases), [(key(1), "one".to_owned())]);
}

#[test]
fn an_index_from_elsewhere_is_not_believed() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (folder, value) in [(&one, "one"), (&other, "other")] {
        let store = open(folder.path());
        store.commit_blocking(put(1, value)).unwrap();
        store.commit_blocking(put(2, value)).unwrap();
    }
    std::fs::remove_dir_all(one.path().join("index")).unwrap();
    std::fs::rename(other.path().join("index"), one.path().join("index")).unwrap();
    let store = open(one.path());
    assert_eq!(store.report().index, IndexStart::Rebuilt);
    assert_eq!(values(&store, Table::Leases)[0].1, "one");
}

/// Dies without closing: what is in the folder then, as a copy.
fn died(commits: u64) -> tempfile::TempDir {
    let (live, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(live.path());
    for number in 1..=commits {
        store.commit_blocking(put(number, &format!("value {number}"))).unwrap();
    }
    // What sled has not written yet it must not need.
    let flushed = store.inner.shared.index().flush();
    assert!(flushed);
    for dir in ["journal", "checkpoint", "index"] {
        std::fs::create_dir_all(copy.path().join(dir)).unwrap();
        for file in std::fs::read_dir(live.path().join(dir)).unwrap().flatten() {
            if file.file_type().unwrap().is_file() {
                std::fs::copy(file.path(), copy.path().join(dir).join(file.file_name())).unwrap();
            }
        }
    }
    copy
}

#[test]
fn an_acknowledged_batch_the_journal_lost_is_taken_back_from_the_index() {
    let folder = died(10);
    let segment = folder.path().join("journal/00000000000000000001.log");
    let len = std::fs::metadata(&segment).unwrap().len();
    std::fs::File::options().write(true).open(&segment).unwrap().set_len(len - 20).unwrap();
    let store = open(folder.path());
    assert_eq!(values(&store, Table::Leases).len(), 10);
    let restored = |it: &Finding| {
        matches!(it, Finding::RestoredFromIndex { files: Revision(9), index: Revision(10), .. })
    };
    assert!(store.report().findings.iter().any(restored), "{:?}", store.report().findings);
    store.commit_blocking(put(11, "next")).unwrap();
    drop(store);
    let store = open(folder.path());
    assert_eq!((store.report().findings.as_slice(), values(&store, Table::Leases).len()), (&[][..], 11));
    assert!(store.verify().unwrap().is_clean());
}

#[test]
fn a_journal_damaged_in_the_middle_is_replaced_from_the_index_and_refused_without_it() {
    for with_index in [true, false] {
        let folder = died(10);
        let segment = folder.path().join("journal/00000000000000000001.log");
        let mut bytes = std::fs::read(&segment).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x40;
        std::fs::write(&segment, bytes).unwrap();
        if with_index {
            let store = open(folder.path());
            assert_eq!(values(&store, Table::Leases).len(), 10);
            let findings = &store.report().findings;
            assert!(
                findings.iter().any(|it| matches!(it, Finding::RestoredFromIndex { .. })),
                "{findings:?}"
            );
            drop(store);
            assert_eq!(open(folder.path()).report().findings, []);
        } else {
            std::fs::remove_dir_all(folder.path().join("index")).unwrap();
            let error = Store::open(StoreOptions::new(folder.path())).err().unwrap();
            assert!(matches!(error, StoreError::JournalDamaged { .. }), "{error}");
            assert!(error.to_string().contains("00000000000000000001.log is damaged at byte"), "{error}");
            assert!(!folder.path().join("index").exists(), "a refusal changes nothing");
        }
    }
}

#[test]
fn a_dump_has_a_line_for_the_whole_and_one_for_each_record() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let batch =
        Batch::new().put(Table::Hosts, *b"web01", r#"{"v":1}"#).put(Table::Meta, *b"raw", [0xff, 0x00]);
    store.commit_blocking(batch).unwrap();
    let lines: Vec<String> = store.dump().unwrap().collect();
    assert_eq!(
        lines,
        [
            r#"{"records":2,"revision":1,"store":1}"#,
            r#"{"key":"7765623031","revision":1,"table":"hosts","value":{"v":1}}"#,
            r#"{"hex":"ff00","key":"726177","revision":1,"table":"meta"}"#,
        ]
    );
    let changes: Vec<_> = lines.iter().filter_map(|line| Change::from_dump(line).unwrap()).collect();
    let other = tempfile::tempdir().unwrap();
    let restored = open(other.path());
    restored.commit_blocking(Batch { changes, ..Batch::new() }).unwrap();
    assert_eq!(restored.dump().unwrap().collect::<Vec<_>>(), lines);
    for bad in ["", "{}", r#"{"table":"hosts","key":"0"}"#, r#"{"table":"beds","key":"00","hex":""}"#] {
        assert!(Change::from_dump(bad).is_err(), "{bad}");
    }
}

#[test]
fn checkpoints_come_by_size_and_keep_the_journal_short() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        StoreOptions { segment_bytes: 4096, checkpoint_bytes: 8192, ..StoreOptions::new(folder.path()) };
    let store = Store::open(options.clone()).unwrap();
    for number in 0..2000 {
        store.commit_blocking(put(number % 10, &format!("value {number}"))).unwrap();
    }
    store.close();
    let bytes: u64 = std::fs::read_dir(folder.path().join("journal"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!(bytes < 100_000, "{bytes} bytes of journal for ten records");
    assert_eq!(
        std::fs::read_dir(folder.path().join("checkpoint")).unwrap().count(),
        limits::CHECKPOINTS_KEPT
    );
    let store = Store::open(options).unwrap();
    assert_eq!((store.report().findings.as_slice(), values(&store, Table::Leases).len()), (&[][..], 10));
    assert_eq!(store.status().revision, Revision(2000));
}

const SMALL_DISK: &str = "REVEILLE_STORE_TEST_SMALL_DISK";

/// Not a test of its own: what [`a_disk_that_is_really_full_is_survived`] runs on a file system of 24 MiB.
#[test]
fn child_that_fills_its_disk() {
    let Some(disk) = std::env::var_os(SMALL_DISK).map(std::path::PathBuf::from) else { return };
    let path = disk.join("store");
    let store = open(&path);
    for number in 0..500 {
        store.commit_blocking(put(number, "before")).unwrap();
    }
    let ballast = disk.join("ballast");
    let mut file = std::fs::File::create(&ballast).unwrap();
    while std::io::Write::write_all(&mut file, &[7; 512]).is_ok() {}
    let mut acknowledged = 500;
    let error = loop {
        match store.commit_blocking(put(acknowledged, &"x".repeat(1000))) {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
        assert!(acknowledged < 100_000, "the disk never gets full");
    };
    assert!(error.is_disk_full(), "{error:?}");
    for restart in 0..3 {
        let store = if restart == 0 { store.clone() } else { open(&path) };
        assert_eq!(values(&store, Table::Leases).len() as u64, acknowledged, "restart {restart}");
        assert!(store.get(Table::Leases, &key(acknowledged - 1)).unwrap().is_some());
        let refused = store.commit_blocking(put(acknowledged, &"x".repeat(50_000))).unwrap_err();
        assert!(refused.is_disk_full(), "{refused:?}");
        store.close();
    }
    drop(file);
    std::fs::remove_file(&ballast).unwrap();
    for _ in 0..2 {
        let store = open(&path);
        store.commit_blocking(put(acknowledged, "after")).unwrap();
        assert_eq!(values(&store, Table::Leases).len() as u64, acknowledged + 1);
        assert!(store.verify().unwrap().is_clean());
        assert!(store.status().index_on_disk);
    }
}

/// Not a test of its own: what [`a_ballast_keeps_promises_on_a_disk_that_is_really_full`] runs on one of 80 MiB.
#[test]
fn child_that_lives_off_its_ballast() {
    let Some(disk) = std::env::var_os(SMALL_DISK).map(std::path::PathBuf::from) else { return };
    let path = disk.join("store");
    let store = open(&path);
    assert_eq!(store.status().space.ballast, 8 << 20);
    store.commit_blocking(put(0, "before")).unwrap();
    let others = disk.join("others");
    let mut file = std::fs::File::create(&others).unwrap();
    while std::io::Write::write_all(&mut file, &[7; 512]).is_ok() {}
    let mut next = 1;
    while store.commit_blocking(put(next, &"x".repeat(1000))).is_ok() {
        next += 1;
        assert!(next < 100_000, "the disk never gets full");
    }
    assert!(matches!(store.status().room, Room::Reserve { .. }), "{:?}", store.status());
    for restart in 0..3 {
        let store = if restart == 0 { store.clone() } else { open(&path) };
        assert!(store.commit_blocking(put(next, "new")).unwrap_err().is_disk_full(), "restart {restart}");
        for _ in 0..100 {
            store.commit_blocking(put(0, &"x".repeat(1000)).essential()).unwrap();
        }
        assert_eq!(values(&store, Table::Leases).len() as u64, next);
        store.close();
    }
    let store = open(&path);
    drop(file);
    std::fs::remove_file(&others).unwrap();
    until_plenty(&store);
    assert_eq!(store.status().space.ballast, 8 << 20);
    store.commit_blocking(put(next, "after")).unwrap();
    assert!(store.verify().unwrap().is_clean());
}

#[test]
fn a_disk_that_is_really_full_is_survived() {
    on_a_disk_of("24m", "tests::folder::child_that_fills_its_disk");
}

#[test]
fn a_ballast_keeps_promises_on_a_disk_that_is_really_full() {
    on_a_disk_of("80m", "tests::folder::child_that_lives_off_its_ballast");
}

/// Runs a test of this binary where a file system of that size is mounted.
fn on_a_disk_of(size: &str, child: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mount = r#"mount -t tmpfs -o "size=$3" none "$1" || exit 77
        exec "$2" --exact "$4" --nocapture"#;
    let output = Command::new("unshare")
        .args(["-rm", "sh", "-c", mount, "sh"])
        .arg(folder.path())
        .arg(std::env::current_exe().unwrap())
        .args([size, child])
        .env(SMALL_DISK, folder.path())
        .output();
    let skipped = match &output {
        Ok(output) if output.status.success() => return,
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(
                output.status.code() == Some(77) || text.starts_with("unshare:"),
                "{}\n{text}",
                String::from_utf8_lossy(&output.stdout)
            );
            text
        }
        Err(error) => error.to_string(),
    };
    assert!(std::env::var_os("REVEILLE_REQUIRE_TOOLS").is_none(), "no private file system: {skipped}");
    eprintln!("SKIPPED {child}: no private file system: {skipped}");
}

const CHILD: &str = "REVEILLE_STORE_TEST_CHILD";

/// Not a test of its own: the process that [`kill_nine_loses_nothing_acknowledged`] kills.
#[test]
fn child_that_commits_until_it_is_killed() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let options =
        StoreOptions { segment_bytes: 1 << 16, checkpoint_bytes: 1 << 17, ..StoreOptions::new(path) };
    let store = Store::open(options).unwrap();
    let next = store.scan(Table::Leases, None, usize::MAX).unwrap().len() as u64;
    std::thread::scope(|scope| {
        for lane in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for number in 0.. {
                    let number = next + number * 4 + lane;
                    let key = [&lane.to_be_bytes()[..], &number.to_be_bytes()].concat();
                    store.commit_blocking(Batch::new().put(Table::Leases, key, "acknowledged")).unwrap();
                    println!("\nacknowledged {lane} {number}");
                }
            });
        }
    });
}

#[test]
fn kill_nine_loses_nothing_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged: Vec<Vec<u8>> = Vec::new();
    for round in 0..6 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tests::folder::child_that_commits_until_it_is_killed", "--nocapture"])
            .env(CHILD, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let deadline = Instant::now() + Duration::from_secs(60);
        let (mut seen, enough) = (0, 200 + round * 157);
        let mut killed = false;
        for line in output.lines().map_while(Result::ok) {
            let mut words = line.split(' ');
            if let (Some("acknowledged"), Some(lane), Some(number), None) =
                (words.next(), words.next(), words.next(), words.next())
            {
                let (lane, number): (u64, u64) = (lane.parse().unwrap(), number.parse().unwrap());
                acknowledged.push([&lane.to_be_bytes()[..], &number.to_be_bytes()].concat());
                seen += 1;
            }
            assert!(Instant::now() < deadline, "the child is too slow");
            // What it still managed to say before it died counts too.
            if seen >= enough && !killed {
                child.kill().unwrap();
                killed = true;
            }
        }
        child.wait().unwrap();
        assert!(killed, "the child ended by itself");
        let store = open(folder.path());
        for key in &acknowledged {
            assert!(
                store.get(Table::Leases, key).unwrap().is_some(),
                "round {round} lost an acknowledged record"
            );
        }
        let verified = store.verify().unwrap();
        assert!(verified.is_clean(), "{verified}");
    }
}
