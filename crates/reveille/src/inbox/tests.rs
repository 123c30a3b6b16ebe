//! The folder: what is looked at, what is never opened, and where things are moved to. And what is done with it in turn.

use super::folder::{Aside, ENTRIES_MAX, Folder, Untaken};
use super::*;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::Mutex;
use tokio::sync::watch::Sender;

struct Bench {
    outside: tempfile::TempDir,
    path: PathBuf,
}

impl Bench {
    fn new() -> Bench {
        let outside = tempfile::tempdir().unwrap();
        let path = outside.path().join("inbox");
        Bench { outside, path }
    }

    fn open(&self) -> Folder {
        Folder::open(&self.path, &[]).unwrap()
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        fs::create_dir_all(self.path.join(name).parent().unwrap()).unwrap();
        fs::write(self.path.join(name), bytes).unwrap();
    }

    fn names(&self) -> Vec<String> {
        let listing = self.open().list().unwrap();
        let mut names: Vec<_> = listing.entries.iter().map(|(name, _)| names::shown(name)).collect();
        names.sort();
        names
    }

    fn stamp(&self, name: &str) -> Option<Stamp> {
        self.open().stamp_now(OsStr::new(name))
    }

    fn is_there(&self, name: &str) -> bool {
        fs::symlink_metadata(self.path.join(name)).is_ok()
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_missing_folder_is_made_with_its_two_and_one_that_is_there_keeps_its_mode() {
    let bench = Bench::new();
    bench.open();
    let made = ["", "done", "refused"].map(|name| mode(&bench.path.join(name)));
    assert_eq!(made, [0o750; 3]);

    let bench = Bench::new();
    fs::create_dir(&bench.path).unwrap();
    fs::set_permissions(&bench.path, fs::Permissions::from_mode(0o2777)).unwrap();
    let folder = bench.open();
    assert_eq!((mode(&bench.path), mode(&bench.path.join("done"))), (0o2777, 0o2750));
    assert!(folder.is_open_to_all());
}

#[test]
fn an_unusable_folder_is_named_with_cause_and_fix() {
    let bench = Bench::new();
    let refused = |path: &Path, own: &[PathBuf]| {
        let failure = Folder::open(path, own).err().unwrap();
        assert!(failure.fix.is_some() && failure.what.contains(&path.display().to_string()), "{failure}");
        failure.to_string()
    };
    fs::write(&bench.path, "a file").unwrap();
    assert!(refused(&bench.path, &[]).contains("Not a directory"));
    assert!(refused(&bench.outside.path().join("no/parent"), &[]).contains("No such file"));

    let bench = Bench::new();
    fs::create_dir(&bench.path).unwrap();
    symlink("/etc", bench.path.join("done")).unwrap();
    assert!(refused(&bench.path, &[]).contains("done/: it is no folder"));

    // What is the appliance's own would be moved away from it.
    let bench = Bench::new();
    let library = bench.path.join("library");
    fs::create_dir_all(&library).unwrap();
    assert!(refused(&bench.path, std::slice::from_ref(&library)).contains("would be moved"));
    assert!(refused(&library, std::slice::from_ref(&library)).contains("would be moved"));
    assert!(Folder::open(&library.join("inbox"), &[library]).is_ok());
}

#[test]
fn what_is_not_to_be_imported_is_not_listed() {
    let bench = Bench::new();
    bench.open();
    for name in [".hidden", "x.iso.part", "y.tmp", "done/a", "refused/b", "b.iso", "folder/linux"] {
        bench.put(name, b"1");
    }
    assert_eq!(bench.names(), ["b.iso", "folder"]);
}

#[test]
fn only_so_many_entries_are_looked_at() {
    let bench = Bench::new();
    bench.open();
    for number in 0..ENTRIES_MAX + 5 {
        bench.put(&format!("{number}.iso"), b"");
    }
    let listing = bench.open().list().unwrap();
    // `done` and `refused` count when they come first.
    assert!(listing.more && (ENTRIES_MAX - 2..=ENTRIES_MAX).contains(&listing.entries.len()));
}

#[test]
fn a_stamp_changes_with_what_stands_there() {
    let bench = Bench::new();
    bench.open();
    bench.put("x.iso", b"1");
    let first = bench.stamp("x.iso").unwrap();
    assert_eq!(bench.stamp("x.iso"), Some(first));
    bench.put("x.iso", b"12");
    let grown = bench.stamp("x.iso").unwrap();
    assert_eq!((first.bytes, grown.bytes), (1, 2));
    // Another time at the same size, and another kind of entry.
    let file = fs::File::options().write(true).open(bench.path.join("x.iso")).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    let touched = bench.stamp("x.iso").unwrap();
    assert_eq!((touched.bytes, touched.modified_ns, touched.identity), (2, 0, grown.identity));
    fs::remove_file(bench.path.join("x.iso")).unwrap();
    symlink("xy", bench.path.join("x.iso")).unwrap();
    let link = bench.stamp("x.iso").unwrap();
    assert!(link.bytes == 2 && link.identity != grown.identity);
    assert_eq!(bench.stamp("gone.iso"), None);
}

#[test]
fn a_folder_is_stamped_by_everything_below_and_waits_for_its_first_file() {
    let bench = Bench::new();
    bench.open();
    fs::create_dir_all(bench.path.join("esxi/efi/boot")).unwrap();
    assert_eq!(bench.stamp("esxi"), None, "no file yet");
    bench.put("esxi/efi/boot/boot.cfg", b"kernel=b.b00");
    let mut last = bench.stamp("esxi").unwrap();
    assert_eq!((last.bytes, bench.stamp("esxi")), (12, Some(last)));
    let mut changed = |what: &str, change: &dyn Fn()| {
        change();
        let now = bench.stamp("esxi").unwrap();
        assert_ne!(now, last, "{what}");
        last = now;
    };
    changed("a new file", &|| bench.put("esxi/b.b00", b"kernel"));
    changed("a file that grew", &|| bench.put("esxi/efi/boot/boot.cfg", b"kernel=b.b00\n"));
    changed("another name", &|| {
        fs::rename(bench.path.join("esxi/b.b00"), bench.path.join("esxi/c.b00")).unwrap();
    });
    changed("a file less", &|| fs::remove_file(bench.path.join("esxi/c.b00")).unwrap());
    // What a link below leads to is none of ours.
    fs::create_dir(bench.outside.path().join("elsewhere")).unwrap();
    changed("a link", &|| symlink("../../elsewhere", bench.path.join("esxi/link")).unwrap());
    fs::write(bench.outside.path().join("elsewhere/file"), b"1").unwrap();
    assert_eq!(bench.stamp("esxi"), Some(last));
}

#[test]
fn links_pipes_and_sockets_are_not_taken() {
    let bench = Bench::new();
    let folder = bench.open();
    let secret = bench.outside.path().join("secret");
    fs::write(&secret, "hush").unwrap();
    symlink(&secret, bench.path.join("link.iso")).unwrap();
    symlink(bench.outside.path(), bench.path.join("linked")).unwrap();
    // Nobody writes to it: an open would wait for ever.
    nix::unistd::mkfifo(&bench.path.join("pipe.iso"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(bench.path.join("socket.iso")).unwrap();
    let kind = |name: &str| match folder.take(OsStr::new(name)) {
        Err(Untaken::NotPlain(kind)) => kind,
        _ => panic!("{name} was taken"),
    };
    let kinds = ["link.iso", "linked", "pipe.iso", "socket.iso"].map(kind);
    assert_eq!(kinds, ["a symbolic link", "a symbolic link", "a pipe", "a socket"]);
    assert!(matches!(folder.take(OsStr::new("gone.iso")), Err(Untaken::Gone)));
}

#[test]
fn what_is_taken_stays_what_it_was_when_another_is_put_in_its_place() {
    let bench = Bench::new();
    let folder = bench.open();
    bench.put("x.iso", b"first");
    let stamp = bench.stamp("x.iso").unwrap();
    let taken = folder.take(OsStr::new("x.iso")).unwrap();
    fs::rename(bench.path.join("x.iso"), bench.path.join("other")).unwrap();
    symlink("/etc/passwd", bench.path.join("x.iso")).unwrap();
    assert_eq!(fs::read(taken.path()).unwrap(), b"first");
    assert!(!taken.is_folder && taken.is_still(&stamp));
    fs::write(bench.path.join("other"), "longer than first").unwrap();
    assert!(!taken.is_still(&stamp), "the link in its place is not asked");
    bench.put("folder/linux", b"kernel");
    let taken = folder.take(OsStr::new("folder")).unwrap();
    assert!(taken.is_folder);
    assert_eq!(fs::read(taken.path().join("linux")).unwrap(), b"kernel");
}

#[test]
fn what_is_moved_replaces_nothing_and_has_its_reason_beside_it() {
    let bench = Bench::new();
    let folder = bench.open();
    let mut moved = Vec::new();
    for (bytes, why) in [(b"1", "one"), (b"2", "two"), (b"3", "three")] {
        bench.put("x.iso", bytes);
        moved.push(folder.move_aside(OsStr::new("x.iso"), Aside::Refused, Some(why)).unwrap());
    }
    let text = |name: &str| fs::read_to_string(bench.path.join("refused").join(name)).unwrap();
    assert_eq!(moved, ["refused/x.iso", "refused/x-2.iso", "refused/x-3.iso"].map(PathBuf::from));
    assert_eq!((text("x.iso"), text("x.iso.why.txt")), ("1".to_owned(), "one".to_owned()));
    assert_eq!((text("x-3.iso"), text("x-3.iso.why.txt")), ("3".to_owned(), "three".to_owned()));
    assert_eq!(mode(&bench.path.join("refused/x.iso.why.txt")), 0o640);

    // A link is moved, not what it leads to; a folder with all in it.
    let secret = bench.outside.path().join("secret");
    fs::write(&secret, "hush").unwrap();
    symlink(&secret, bench.path.join("link.iso")).unwrap();
    folder.move_aside(OsStr::new("link.iso"), Aside::Refused, Some("a link")).unwrap();
    assert!(secret.is_file() && !bench.is_there("link.iso") && bench.is_there("refused/link.iso"));
    bench.put("folder/linux", b"kernel");
    folder.move_aside(OsStr::new("folder"), Aside::Done, None).unwrap();
    assert!(bench.is_there("done/folder/linux") && !bench.is_there("done/folder.why.txt"));
}

#[test]
fn nothing_is_moved_through_a_link_that_took_the_place_of_our_folder() {
    let bench = Bench::new();
    let folder = bench.open();
    let elsewhere = bench.outside.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::remove_dir(bench.path.join("refused")).unwrap();
    symlink(&elsewhere, bench.path.join("refused")).unwrap();
    bench.put("cron", b"* * * * * root evil");
    folder.move_aside(OsStr::new("cron"), Aside::Refused, Some("no medium")).unwrap_err();
    assert!(bench.is_there("cron") && fs::read_dir(&elsewhere).unwrap().next().is_none());
}

/// What happens while something is imported, and how that ends.
type During = Box<dyn Fn(&str) -> Result<(), Unimported> + Send + Sync>;

/// Imports nothing, and remembers what it was asked for.
struct Pretend {
    asked: Mutex<Vec<String>>,
    during: During,
}

impl Imports for Pretend {
    fn import_found(&self, path: &Path, name: &str, is_folder: bool) -> Result<(), Unimported> {
        assert_eq!(fs::metadata(path).unwrap().is_dir(), is_folder);
        self.asked.lock().unwrap().push(name.to_owned());
        (self.during)(name)
    }

    fn refuse_found(&self, name: &str, fault: Fault) -> Unimported {
        self.asked.lock().unwrap().push(format!("refused {name}"));
        Unimported::Refused(fault)
    }
}

/// An inbox whose clock is set by hand.
struct Watched {
    bench: Bench,
    inbox: Inbox,
    pretend: Arc<Pretend>,
    begin: Instant,
    /// Seconds since the begin.
    now: Arc<AtomicU64>,
    stop: Sender<bool>,
}

impl Watched {
    fn new(during: impl Fn(&Path, &str) -> Result<(), Unimported> + Send + Sync + 'static) -> Watched {
        let bench = Bench::new();
        let path = bench.path.clone();
        let during: During = Box::new(move |name| during(&path, name));
        let pretend = Arc::new(Pretend { asked: Mutex::default(), during });
        bench.open();
        let (path, begin, now) = (bench.path.clone(), Instant::now(), Arc::default());
        let inbox = Watched::inbox(&path, pretend.clone(), begin, &now);
        Watched { bench, inbox, pretend, begin, now, stop: watch::channel(false).0 }
    }

    fn inbox(path: &Path, pretend: Arc<Pretend>, begin: Instant, now: &Arc<AtomicU64>) -> Inbox {
        let mut inbox = Inbox::new(path.to_owned(), Vec::new(), pretend);
        let now = now.clone();
        inbox.clock = Box::new(move || begin + Duration::from_secs(now.load(Ordering::Relaxed)));
        inbox
    }

    /// Looks until there is nothing more to do, so many seconds after the begin.
    fn look(&mut self, secs: u64) {
        self.now.store(secs, Ordering::Relaxed);
        let stopping = self.stop.subscribe();
        let mut looks = 0;
        while self.inbox.look(&stopping) {
            looks += 1;
            assert!(looks < 100, "it never ends");
        }
    }

    fn asked(&self) -> Vec<String> {
        self.pretend.asked.lock().unwrap().clone()
    }

    fn counted(&self, name: &str) -> u64 {
        self.inbox.counters().pairs().into_iter().find(|(own, _)| *own == name).unwrap().1
    }
}

fn refused() -> Result<(), Unimported> {
    Err(Unimported::Refused(Fault::new("medium_unknown", "it is none of: …").fix("unpack it first")))
}

#[test]
fn each_is_imported_once_in_turn_and_moved() {
    let mut watched = Watched::new(|_, name| if name == "b.iso" { refused() } else { Ok(()) });
    watched.bench.put("a.iso", b"1");
    watched.bench.put("b.iso", b"2");
    watched.look(0);
    watched.bench.put("c/linux", b"3");
    watched.look(9);
    assert!(watched.asked().is_empty());
    watched.look(10);
    assert_eq!(watched.asked(), ["a.iso", "b.iso"]);
    watched.look(19);
    assert_eq!(watched.asked(), ["a.iso", "b.iso", "c"]);
    watched.look(1_000);
    assert_eq!(watched.asked().len(), 3);
    let there = ["done/a.iso", "refused/b.iso", "refused/b.iso.why.txt", "done/c/linux"];
    assert!(there.iter().all(|name| watched.bench.is_there(name)) && watched.bench.names().is_empty());
    let why = fs::read_to_string(watched.bench.path.join("refused/b.iso.why.txt")).unwrap();
    let (inbox, lines) = (watched.bench.path.display(), why.lines().collect::<Vec<_>>());
    assert_eq!(lines[0], "b.iso was not imported");
    assert_eq!(lines[1], "  cause  it is none of: …");
    assert_eq!(lines[2], format!("  fix    unpack it first; to try again, move it back to {inbox}"));
    assert_eq!(lines[3], "  reason medium_unknown");
    assert_eq!((watched.counted("imported"), watched.counted("refused")), (2, 1));
}

#[test]
fn a_link_is_refused_and_nothing_of_it_is_read() {
    let mut watched = Watched::new(|_, name| panic!("{name} is read"));
    let secret = watched.bench.outside.path().join("secret.iso");
    fs::write(&secret, "hush").unwrap();
    symlink(&secret, watched.bench.path.join("link.iso")).unwrap();
    watched.look(0);
    watched.look(10);
    assert_eq!(watched.asked(), ["refused link.iso"]);
    let why = fs::read_to_string(watched.bench.path.join("refused/link.iso.why.txt")).unwrap();
    assert!(why.contains("link.iso is a symbolic link") && !why.contains("hush"), "{why}");
    assert_eq!(fs::read(&secret).unwrap(), b"hush");
}

#[test]
fn what_changes_while_it_is_imported_stays_and_is_imported_again() {
    let grows = Mutex::new(true);
    let mut watched = Watched::new(move |inbox, name| {
        if std::mem::take(&mut *grows.lock().unwrap()) {
            fs::write(inbox.join(name), "more than before").unwrap();
        }
        Ok(())
    });
    watched.bench.put("a.iso", b"1");
    watched.look(0);
    watched.look(10);
    assert!(watched.bench.is_there("a.iso"));
    watched.look(19);
    assert_eq!(watched.asked().len(), 1);
    watched.look(20);
    assert_eq!(watched.asked(), ["a.iso", "a.iso"]);
    assert!(watched.bench.is_there("done/a.iso") && watched.bench.names().is_empty());
}

#[test]
fn what_is_taken_away_or_replaced_while_it_is_imported_is_left_alone() {
    let mut watched = Watched::new(|inbox, name| {
        fs::remove_file(inbox.join(name)).unwrap();
        if name == "b.iso" {
            symlink("/etc/passwd", inbox.join(name)).unwrap();
        }
        refused()
    });
    watched.bench.put("a.iso", b"1");
    watched.bench.put("b.iso", b"1");
    watched.look(0);
    watched.look(10);
    assert_eq!(watched.asked(), ["a.iso", "b.iso"]);
    assert_eq!(watched.bench.names(), ["b.iso"]);
    assert_eq!(fs::read_dir(watched.bench.path.join("refused")).unwrap().count(), 0);
}

#[test]
fn what_cannot_be_moved_is_imported_once_and_moved_as_soon_as_it_can_be() {
    let mut watched = Watched::new(|_, _| Ok(()));
    for number in 1..=999 {
        let name = names::aside(OsStr::new("a.iso"), number);
        fs::write(watched.bench.path.join("done").join(name), "").unwrap();
    }
    watched.bench.put("a.iso", b"1");
    for secs in [0, 10, 20, 30] {
        watched.look(secs);
    }
    assert_eq!((watched.asked().len(), watched.counted("unmoved")), (1, 1));
    assert!(watched.bench.is_there("a.iso"));
    fs::remove_file(watched.bench.path.join("done/a-7.iso")).unwrap();
    watched.look(90);
    assert_eq!(fs::read(watched.bench.path.join("done/a-7.iso")).unwrap(), b"1");
    assert_eq!((watched.asked().len(), watched.counted("unmoved")), (1, 0));

    // Another file of that name is another file.
    watched.bench.put("a.iso", b"2");
    watched.look(100);
    watched.look(110);
    assert_eq!((watched.asked().len(), watched.counted("unmoved")), (2, 1));
    fs::remove_file(watched.bench.path.join("a.iso")).unwrap();
    watched.look(111);
    assert_eq!(watched.counted("unmoved"), 0);
}

#[test]
fn what_has_to_wait_stays_and_is_tried_again() {
    let busy = Mutex::new(true);
    let mut watched = Watched::new(move |_, _| match std::mem::take(&mut *busy.lock().unwrap()) {
        true => Err(Unimported::Later(Fault::new("busy", "too many imports at a time"))),
        false => Ok(()),
    });
    watched.bench.put("a.iso", b"1");
    watched.look(0);
    watched.look(10);
    assert_eq!((watched.asked().len(), watched.counted("put_off")), (1, 1));
    assert!(watched.bench.is_there("a.iso"));
    watched.look(1_000);
    assert_eq!(watched.asked().len(), 2);
    assert!(watched.bench.is_there("done/a.iso"));
}

#[test]
fn what_fails_because_we_stop_stays_where_it_is() {
    let mut watched = Watched::new(|_, _| Ok(()));
    let stop = watched.stop.clone();
    let during: During = Box::new(move |_| {
        stop.send_replace(true);
        Err(Unimported::Refused(Fault::new("cancelled", "cancelled")))
    });
    watched.pretend = Arc::new(Pretend { asked: Mutex::default(), during });
    watched.inbox = Watched::inbox(&watched.bench.path, watched.pretend.clone(), watched.begin, &watched.now);
    watched.bench.put("a.iso", b"1");
    watched.bench.put("b.iso", b"1");
    watched.look(0);
    watched.look(10);
    assert_eq!(watched.asked(), ["a.iso"]);
    assert_eq!(watched.bench.names(), ["a.iso", "b.iso"]);
    // After a restart it is imported as if nothing had been.
    let mut again = Watched::new(|_, _| Ok(()));
    again.inbox.path.clone_from(&watched.bench.path);
    again.look(0);
    again.look(10);
    assert_eq!(again.asked(), ["a.iso", "b.iso"]);
    assert!(watched.bench.names().is_empty());
}

#[test]
fn a_folder_that_is_gone_for_a_while_is_watched_again() {
    let mut watched = Watched::new(|_, _| Ok(()));
    fs::remove_dir_all(&watched.bench.path).unwrap();
    fs::write(&watched.bench.path, "a file").unwrap();
    watched.look(0);
    watched.look(3);
    assert_eq!(watched.counted("looks_failed"), 2);
    fs::remove_file(&watched.bench.path).unwrap();
    watched.look(6);
    watched.bench.put("a.iso", b"1");
    watched.look(9);
    watched.look(19);
    assert_eq!(watched.asked(), ["a.iso"]);
}
