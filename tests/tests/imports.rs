//! Images that come from elsewhere: a URL, standard input.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use harness::daemon::{Config, Daemon};
use harness::scene::NETWORK;
use harness::{Lab, Namespace};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(60);
const ADDRESS: &str = "10.77.0.1/24";
const MIRROR: &str = "10.77.0.7";

/// A tar with one kernel and one ramdisk.
fn medium(folder: &Path) -> Vec<u8> {
    let kernel: Vec<u8> = (0..6_000_000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("linux"), kernel).unwrap();
    std::fs::write(folder.join("initrd.gz"), b"ramdisk").unwrap();
    let output =
        Command::new("tar").arg("-C").arg(folder).args(["-cf", "-", "linux", "initrd.gz"]).output().unwrap();
    assert!(output.status.success());
    output.stdout
}

fn sha256(bytes: &[u8]) -> String {
    let mut child = Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    let text = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    text.split(' ').next().unwrap().to_owned()
}

/// A server with ranges, whose lines are slow until `fast`. Gives the first byte of every request.
struct Mirror {
    fast: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
    from: Arc<Mutex<Vec<usize>>>,
}

fn mirror(station: &Namespace, file: Vec<u8>) -> Mirror {
    let mirror = Mirror { fast: Arc::default(), sent: Arc::default(), from: Arc::default() };
    // A socket stays in the name space it was made in.
    let listener = station.run(|| TcpListener::bind((MIRROR, 80)).unwrap()).unwrap();
    let (fast, sent, from) = (mirror.fast.clone(), mirror.sent.clone(), mirror.from.clone());
    let file = Arc::new(file);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (fast, sent, from, file) = (fast.clone(), sent.clone(), from.clone(), file.clone());
            std::thread::spawn(move || answer(stream, &file, &fast, &sent, &from));
        }
    });
    mirror
}

fn answer(
    mut stream: TcpStream,
    file: &[u8],
    fast: &AtomicBool,
    sent: &AtomicUsize,
    from: &Mutex<Vec<usize>>,
) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0u8];
        stream.read_exact(&mut byte).ok()?;
        head.extend(byte);
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let at =
        head.split("range: bytes=").nth(1).and_then(|rest| rest.split('-').next()?.parse::<usize>().ok());
    from.lock().unwrap().push(at.unwrap_or(0));
    let (status, range) = match at {
        Some(at) => ("206 P", format!("Content-Range: bytes {at}-{}/{}\r\n", file.len() - 1, file.len())),
        None => ("200 OK", String::new()),
    };
    let body = file.get(at.unwrap_or(0)..)?;
    write!(stream, "HTTP/1.1 {status}\r\n{range}ETag: \"e\"\r\nContent-Length: {}\r\n\r\n", body.len())
        .ok()?;
    for piece in body.chunks(64 << 10) {
        stream.write_all(piece).ok()?;
        sent.fetch_add(piece.len(), Ordering::Relaxed);
        if !fast.load(Ordering::Relaxed) {
            // A slow line, no wait for anything.
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    Some(())
}

fn wait(what: &str, mut there: impl FnMut() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !there() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn part_bytes(daemon_folder: &Path) -> u64 {
    let entries = std::fs::read_dir(daemon_folder.join("library/downloads")).into_iter().flatten().flatten();
    let parts = entries.filter(|entry| entry.path().extension().is_some_and(|ending| ending == "part"));
    parts.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum()
}

#[test]
fn a_download_goes_on_after_the_appliance_was_killed_in_its_middle() {
    harness::enter!();
    let lab = Lab::new().unwrap();
    let segment = lab.segment().unwrap();
    let server = lab.station(&segment, "server", Some(ADDRESS)).unwrap();
    let there = lab.station(&segment, "mirror", Some("10.77.0.7/24")).unwrap();
    let file = medium(&lab.path("medium"));
    let digest = sha256(&file);
    let mirror = mirror(&there, file);
    let url = format!("http://bob:hush@{MIRROR}/Rescue.tar?key=abc");
    let import = ["image", "import", &url, "--sha256", &digest, "--kernel", "linux", "--initrd", "initrd.gz"];
    let config = || {
        let mut config = Config::proxy(NETWORK);
        config.set(&["dhcp", "mode"], "off".into());
        config
    };

    let daemon = Daemon::start(&lab, &server, config()).unwrap();
    let mut asking = Command::new(harness::daemon::binary().unwrap())
        .args(import)
        .arg("--socket")
        .arg(daemon.socket())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait("a million bytes", || part_bytes(daemon.folder()) > 1_000_000);
    assert!(!daemon.command(&["image", "list"]).unwrap().contains("rescue"), "visible before its end");
    daemon.cut();
    assert!(!asking.wait().unwrap().success());

    mirror.fast.store(true, Ordering::Relaxed);
    let daemon = Daemon::start(&lab, &server, config()).unwrap();
    let kept = part_bytes(daemon.folder());
    assert!(kept > 1_000_000);
    let said = daemon.command(&import).unwrap();
    assert!(said.contains("stored   rescue"), "{said}");
    let from = mirror.from.lock().unwrap().clone();
    assert_eq!(from.first(), Some(&0));
    assert_eq!(from.last().map(|from| *from as u64), Some(kept), "{from:?}");
    assert_eq!(part_bytes(daemon.folder()), 0, "what was imported is not kept twice");

    // What is secret in the URL is nowhere.
    let shown = [
        daemon.command(&["image", "get", "rescue"]).unwrap(),
        daemon.command(&["image", "imports", "-o", "json"]).unwrap(),
        daemon.process().transcript().text(),
        format!("{:?}", daemon.events()),
    ]
    .concat();
    assert!(shown.contains("10.77.0.7/Rescue.tar"), "{shown}");
    for secret in ["hush", "bob", "key=abc"] {
        assert!(!shown.contains(secret), "{secret}");
    }

    // Other bytes than they should be.
    let wrong = "0".repeat(64);
    let refused = daemon
        .command(&["image", "import", &url, "--sha256", &wrong, "--name", "other"])
        .expect_err("differs");
    assert!(refused.to_string().contains(&digest) && refused.to_string().contains(&wrong), "{refused}");
    assert_eq!(part_bytes(daemon.folder()), 0);
    daemon.stop().unwrap();
}

#[test]
fn an_image_of_the_file_is_fetched_once_and_boots_as_the_file_says() {
    harness::enter!();
    let lab = Lab::new().unwrap();
    let segment = lab.segment().unwrap();
    let server = lab.station(&segment, "server", Some(ADDRESS)).unwrap();
    let there = lab.station(&segment, "mirror", Some("10.77.0.7/24")).unwrap();
    let file = medium(&lab.path("medium"));
    let digest = sha256(&file);
    let mirror = mirror(&there, file);
    mirror.fast.store(true, Ordering::Relaxed);
    let config = |digest: &str, cmdline: &str| {
        let mut config = Config::proxy(NETWORK);
        config.set(&["dhcp", "mode"], "off".into());
        let source = format!("http://{MIRROR}/rescue.tar");
        let image = json!({ "name": "rescue", "kind": "linux", "source": source, "sha256": digest,
            "kernel": "linux", "initrd": ["initrd.gz"], "cmdline": cmdline });
        config.set(&["resources", "images"], json!([image]));
        config
    };
    let asked = || mirror.from.lock().unwrap().len();
    let image = |daemon: &Daemon| -> Value {
        serde_json::from_str(&daemon.command(&["image", "get", "rescue", "-o", "json"]).unwrap()).unwrap()
    };

    let daemon = Daemon::start(&lab, &server, config(&digest, "one")).unwrap();
    wait("its files", || image(&daemon)["files"].as_u64() == Some(2));
    wait("the job's end", || {
        let listed = daemon.command(&["image", "imports"]).unwrap();
        listed.lines().any(|line| line.contains("rescue") && line.contains("done"))
    });
    assert_eq!((asked(), image(&daemon)["cmdline"].as_str()), (1, Some("one")));
    let version = image(&daemon)["current"].clone();
    daemon.stop().unwrap();

    // The same hash: nothing is asked of the server, and what the file says now counts.
    let daemon = Daemon::start(&lab, &server, config(&digest.to_uppercase(), "two")).unwrap();
    assert_eq!((asked(), image(&daemon)["cmdline"].as_str()), (1, Some("two")));
    assert_eq!(image(&daemon)["current"], version);
    daemon.stop().unwrap();

    // Another hash is another file. The server has the old one: what is here stays, and the reason is said.
    let wrong = "0".repeat(64);
    let daemon = Daemon::start(&lab, &server, config(&wrong, "three")).unwrap();
    wait("the refusal", || {
        let listed = daemon.command(&["image", "imports", "-o", "json"]).unwrap();
        listed.contains(&wrong) && listed.contains(&digest)
    });
    assert_eq!((asked(), &image(&daemon)["current"]), (2, &version));
    daemon.stop().unwrap();
}

#[test]
fn standard_input_is_imported_whole_or_leaves_nothing() {
    harness::enter!();
    let lab = Lab::new().unwrap();
    let segment = lab.segment().unwrap();
    let server = lab.station(&segment, "server", Some(ADDRESS)).unwrap();
    let mut config = Config::proxy(NETWORK);
    config.set(&["dhcp", "mode"], "off".into());
    let daemon = Daemon::start(&lab, &server, config).unwrap();
    let file = medium(&lab.path("medium"));
    let begin = |name: &str| {
        Command::new(harness::daemon::binary().unwrap())
            .args([
                "image",
                "import",
                "-",
                "--name",
                name,
                "--kernel",
                "linux",
                "--initrd",
                "initrd.gz",
                "--socket",
            ])
            .arg(daemon.socket())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let mut whole = begin("whole");
    whole.stdin.take().unwrap().write_all(&file).unwrap();
    let output = whole.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(daemon.command(&["image", "list"]).unwrap().contains("whole"));

    // The sender is killed in the middle.
    let mut cut = begin("cut");
    let spooled = || {
        let entries = std::fs::read_dir(daemon.folder().join("library/incoming")).unwrap().flatten();
        entries.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum::<u64>()
    };
    let stdin = {
        let mut stdin = cut.stdin.take().unwrap();
        stdin.write_all(&file[..3_000_000]).unwrap();
        stdin
    };
    wait("some of it", || spooled() > 1_000_000);
    cut.kill().unwrap();
    cut.wait().unwrap();
    drop(stdin);
    wait("nothing of it", || spooled() == 0);
    wait("the job's end", || {
        daemon
            .command(&["image", "imports"])
            .unwrap()
            .lines()
            .any(|line| line.contains("cut") && line.contains("failed"))
    });

    // Ctrl-C while nothing comes.
    let mut idle = begin("idle");
    let stdin = {
        let mut stdin = idle.stdin.take().unwrap();
        stdin.write_all(&file[..3_000_000]).unwrap();
        stdin
    };
    wait("some of it", || spooled() > 1_000_000);
    Command::new("kill").args(["-INT", &idle.id().to_string()]).status().unwrap();
    let output = idle.wait_with_output().unwrap();
    drop(stdin);
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    wait("nothing of it", || spooled() == 0);
    assert!(!daemon.command(&["image", "list"]).unwrap().contains("idle"));
    daemon.stop().unwrap();
}
