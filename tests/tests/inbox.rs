//! The watched folder: what is put into it becomes an image and is moved away, or is refused and says why.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use harness::daemon::{Config, Daemon};
use harness::scene::NETWORK;
use harness::{Lab, Namespace, Segment};
use serde_json::Value;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The quiet period and an import, on a busy machine.
const DEADLINE: Duration = Duration::from_secs(90);
const ADDRESS: &str = "10.77.0.1/24";

/// A machine for the appliance. Fields in dropping order.
struct Site {
    server: Namespace,
    _segment: Segment,
    lab: Lab,
}

impl Site {
    fn new() -> Site {
        let lab = Lab::new().unwrap();
        let segment = lab.segment().unwrap();
        let server = lab.station(&segment, "server", Some(ADDRESS)).unwrap();
        Site { server, _segment: segment, lab }
    }

    fn start(&self) -> Daemon {
        let mut config = Config::proxy(NETWORK);
        config.set(&["dhcp", "mode"], "off".into());
        // Relative to the configuration file, which stands in the daemon's folder.
        config.set(&["library", "inbox"], "inbox".into());
        // One image that the file describes and whose files come by the inbox.
        let image = serde_json::json!([{ "name": "fixed", "kind": "linux", "kernel": "linux", "cmdline": "of-file" }]);
        config.set(&["resources", "images"], image);
        Daemon::start(&self.lab, &self.server, config).unwrap()
    }

    /// An archive that is told for Debian's installer by its names; `mark` is in its kernel.
    fn archive(&self, mark: &str) -> Vec<u8> {
        let folder = self.lab.path("medium");
        let inside = folder.join("debian-installer/amd64");
        fs::create_dir_all(&inside).unwrap();
        fs::write(inside.join("linux"), mark.repeat(100_000)).unwrap();
        fs::write(inside.join("initrd.gz"), "ramdisk").unwrap();
        tar(&folder, &["debian-installer"])
    }
}

fn tar(folder: &Path, names: &[&str]) -> Vec<u8> {
    let output = Command::new("tar").arg("-C").arg(folder).args(["-cf", "-"]).args(names).output().unwrap();
    assert!(output.status.success());
    output.stdout
}

fn wait(what: &str, mut there: impl FnMut() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !there() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn inbox(daemon: &Daemon) -> PathBuf {
    daemon.folder().join("inbox")
}

fn image(daemon: &Daemon, name: &str) -> Option<Value> {
    let text = daemon.command(&["image", "get", name, "-o", "json"]).ok()?;
    serde_json::from_str(&text).ok()
}

/// The list of imports: source, state and reason of each.
fn imports(daemon: &Daemon) -> Vec<(String, String)> {
    let text = daemon.command(&["image", "imports", "-o", "json"]).unwrap();
    let list: Value = serde_json::from_str(&text).unwrap();
    let items = list.pointer("/items").and_then(Value::as_array).cloned().unwrap_or_default();
    let of = |item: &Value, key: &str| item.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    items.iter().map(|item| (of(item, "source"), of(item, "state"))).collect()
}

#[test]
fn what_is_put_into_the_inbox_is_imported_or_refused_and_moved() {
    harness::enter!();
    let site = Site::new();
    let daemon = site.start();
    let inbox = inbox(&daemon);
    wait("the folder", || inbox.join("refused").is_dir() && inbox.join("done").is_dir());

    // A file that grows until we say so.
    let growing = site.archive("growing");
    let (half, whole) = (growing.len() / 2, growing.len());
    let mut file = File::create(inbox.join("growing.tar")).unwrap();
    let finish = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let finish = finish.clone();
        move || {
            let mut at = 0;
            while !finish.load(Ordering::Relaxed) {
                let next = (at + 16).min(half);
                file.write_all(&growing[at..next]).unwrap();
                at = next;
                // A slow sender, no wait for anything.
                std::thread::sleep(Duration::from_millis(200));
            }
            file.write_all(&growing[at..]).unwrap();
        }
    });

    let secret = site.lab.path("secret.tar");
    fs::write(&secret, site.archive("hush")).unwrap();
    std::os::unix::fs::symlink(&secret, inbox.join("link.tar")).unwrap();
    fs::write(inbox.join("Rescue_2.tar"), site.archive("rescue")).unwrap();
    fs::write(inbox.join("garbage.iso"), "garbage").unwrap();
    fs::write(
        inbox.join("unknown.tar"),
        tar(&site.lab.path("medium"), &["debian-installer/amd64/initrd.gz"]),
    )
    .unwrap();
    fs::write(inbox.join("half.tar.part"), "half").unwrap();
    fs::create_dir_all(inbox.join("folder/debian-installer/amd64")).unwrap();
    fs::write(inbox.join("folder/debian-installer/amd64/linux"), "kernel").unwrap();
    fs::write(inbox.join("folder/debian-installer/amd64/initrd.gz"), "ramdisk").unwrap();
    fs::create_dir_all(inbox.join("linked/debian-installer")).unwrap();
    std::os::unix::fs::symlink(&secret, inbox.join("linked/debian-installer/linux")).unwrap();

    let moved = [
        "done/Rescue_2.tar",
        "done/folder/debian-installer/amd64/linux",
        "refused/garbage.iso.why.txt",
        "refused/unknown.tar.why.txt",
        "refused/link.tar.why.txt",
        "refused/linked.why.txt",
    ];
    wait("six entries moved", || moved.iter().all(|name| inbox.join(name).exists()));
    let why = |name: &str| fs::read_to_string(inbox.join("refused").join(format!("{name}.why.txt"))).unwrap();
    for (name, part) in [
        // What was looked for, and what was there.
        ("garbage.iso", "`CD001` or `BEA01` at byte 32769"),
        ("garbage.iso", "inbox:garbage.iso"),
        ("unknown.tar", "looked for ESXi (boot.cfg with mboot.c32 or b.b00"),
        ("unknown.tar", "`debian-installer/amd64/initrd.gz`"),
        ("unknown.tar", "fix    describe the image under resources.images"),
        ("link.tar", "link.tar is a symbolic link"),
        ("linked", "linked/debian-installer/linux is a symbolic link"),
        ("link.tar", "move it back to"),
    ] {
        assert!(why(name).contains(part), "no {part:?} in {}", why(name));
    }
    assert!(fs::symlink_metadata(inbox.join("refused/link.tar")).unwrap().is_symlink());
    assert!(secret.is_file() && inbox.join("half.tar.part").is_file());

    // The one that grows all the time is not touched.
    assert!(inbox.join("growing.tar").is_file() && image(&daemon, "growing").is_none());
    assert!(!imports(&daemon).iter().any(|(source, _)| source == "inbox:growing.tar"));
    finish.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    wait("the grown one", || inbox.join("done/growing.tar").exists());
    assert_eq!(fs::metadata(inbox.join("done/growing.tar")).unwrap().len(), whole as u64);
    let grown = image(&daemon, "growing").unwrap();
    assert_eq!(grown.get("source").and_then(Value::as_str), Some("inbox:growing.tar"));

    assert!(image(&daemon, "rescue-2").is_some() && image(&daemon, "folder").is_some());
    for name in ["garbage", "unknown", "link", "linked", "half-tar", "half"] {
        assert!(image(&daemon, name).is_none(), "{name}");
    }
    let jobs = imports(&daemon);
    for (source, state) in [
        ("inbox:Rescue_2.tar", "done"),
        ("inbox:folder", "done"),
        ("inbox:growing.tar", "done"),
        ("inbox:garbage.iso", "failed"),
        ("inbox:link.tar", "failed"),
    ] {
        assert!(jobs.contains(&(source.to_owned(), state.to_owned())), "{source} in {jobs:?}");
    }
    let failed = daemon.events().iter().filter(|event| event.name() == "image.import_failed").count();
    assert_eq!(failed, 4);
    let status = daemon.command(&["status", "-o", "json"]).unwrap();
    let status: Value = serde_json::from_str(&status).unwrap();
    let counted = |name: &str| status.pointer(&format!("/counters/inbox/{name}")).and_then(Value::as_u64);
    assert_eq!((counted("imported"), counted("refused")), (Some(3), Some(4)), "{status}");
    daemon.stop().unwrap();
}

#[test]
fn an_image_gets_a_new_version_and_an_interrupted_import_is_done_again() {
    harness::enter!();
    let site = Site::new();
    let daemon = site.start();
    let inbox = inbox(&daemon);
    wait("the folder", || inbox.join("refused").is_dir());
    let versions = |daemon: &Daemon, name: &str| {
        let image = image(daemon, name).unwrap_or_default();
        image.get("versions").and_then(Value::as_array).map_or(0, Vec::len)
    };
    // The file describes `fixed`: its kernel is where the file says, whatever else is there.
    let medium = site.lab.path("own");
    fs::create_dir_all(&medium).unwrap();
    for mark in ["first", "second"] {
        fs::write(medium.join("linux"), mark).unwrap();
        fs::write(inbox.join("fixed.tar"), tar(&medium, &["linux"])).unwrap();
        fs::write(inbox.join("lab.tar"), site.archive(mark)).unwrap();
        wait(mark, || !inbox.join("fixed.tar").exists() && !inbox.join("lab.tar").exists());
    }
    assert_eq!((versions(&daemon, "fixed"), versions(&daemon, "lab")), (2, 2), "{:?}", imports(&daemon));
    let fixed = image(&daemon, "fixed").unwrap();
    assert_eq!(fixed.get("cmdline").and_then(Value::as_str), Some("of-file"));
    for name in ["fixed.tar", "fixed-2.tar", "lab.tar", "lab-2.tar"] {
        assert!(inbox.join("done").join(name).is_file(), "{name}");
    }

    // Killed in mid-import: a folder with a file that takes a while to copy.
    let large = site.lab.path("large");
    let inside = large.join("debian-installer/amd64");
    fs::create_dir_all(&inside).unwrap();
    for name in ["linux", "initrd.gz"] {
        fs::write(inside.join(name), name).unwrap();
    }
    File::create(inside.join("sparse")).unwrap().set_len(8 << 30).unwrap();
    fs::rename(large, inbox.join("large")).unwrap();
    let is_running = |(source, state): &(String, String)| source == "inbox:large" && state == "running";
    wait("the import", || imports(&daemon).iter().any(is_running));
    daemon.cut();
    assert!(inbox.join("large").is_dir());

    let daemon = site.start();
    assert!(image(&daemon, "large").is_none(), "visible before its end");
    wait("the import", || imports(&daemon).iter().any(is_running));
    // And one that is cancelled is refused.
    let text = daemon.command(&["image", "imports", "-o", "json"]).unwrap();
    let list: Value = serde_json::from_str(&text).unwrap();
    let id = list.pointer("/items/0/id").and_then(Value::as_str).unwrap().to_owned();
    daemon.command(&["image", "cancel", &id]).unwrap();
    wait("its end", || inbox.join("refused/large.why.txt").exists());
    let why = fs::read_to_string(inbox.join("refused/large.why.txt")).unwrap();
    assert!(why.contains("cancelled"), "{why}");
    assert!(image(&daemon, "large").is_none());
    daemon.stop().unwrap();
}
