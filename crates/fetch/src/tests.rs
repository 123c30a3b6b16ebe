mod client;
mod server;

use super::*;
use server::{Server, deaf, good, silence};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const TAG: &str = "\"one\"";

/// Bytes that are never the same twice in a row; other seeds, other bytes.
fn bytes(seed: u64, count: usize) -> Vec<u8> {
    let mut numbers = Numbers(seed);
    (0..count).map(|_| u8::try_from(numbers.below(256)).unwrap()).collect()
}

struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % bound
    }
}

fn limits() -> Limits {
    Limits {
        connect_wait: Duration::from_secs(5),
        stall_wait: Duration::from_secs(5),
        pause_first: Duration::from_millis(1),
        progress_bytes: 1,
        ..Limits::usual(64 << 20)
    }
}

/// Cancels when so many bytes are there.
#[derive(Default)]
struct Until {
    bytes: Option<u64>,
    seen: AtomicU64,
    stop: AtomicBool,
    said: Vec<String>,
}

impl Watch for Until {
    fn advanced(&mut self, done: u64, _: Option<u64>) {
        self.seen.store(done, Ordering::Relaxed);
    }

    fn says(&mut self, text: &str) {
        self.said.push(text.to_owned());
    }

    fn cancelled(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
            || self.bytes.is_some_and(|bytes| self.seen.load(Ordering::Relaxed) >= bytes)
    }
}

struct Rig {
    folder: tempfile::TempDir,
    limits: Limits,
}

impl Rig {
    fn new() -> Rig {
        Rig { folder: tempfile::tempdir().unwrap(), limits: limits() }
    }

    /// As a program that was just started does it; gives the bytes and what an earlier run had left.
    fn fetch_watched(&self, url: &str, watch: &mut Until) -> Result<(Vec<u8>, u64), FetchError> {
        let downloads = Downloads::new(self.folder.path(), self.limits);
        let downloads = if url.starts_with("https") {
            use rustls::pki_types::pem::PemObject as _;
            let ca =
                rustls::pki_types::CertificateDer::from_pem_slice(include_bytes!("../testdata/test-ca.pem"));
            downloads.trusting(vec![ca.unwrap().to_vec()]).unwrap()
        } else {
            downloads
        };
        fetch_by(&downloads, url, watch)
    }

    fn fetch(&self, url: &str) -> Result<Vec<u8>, FetchError> {
        self.fetch_watched(url, &mut Until::default()).map(|(bytes, _)| bytes)
    }

    fn files(&self) -> usize {
        std::fs::read_dir(self.folder.path()).unwrap().count()
    }
}

fn fetch_by(downloads: &Downloads, url: &str, watch: &mut Until) -> Result<(Vec<u8>, u64), FetchError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let location: Location = url.parse().unwrap();
    let fetched = runtime.block_on(downloads.fetch(&location, watch))?;
    let bytes = std::fs::read(fetched.path()).unwrap();
    assert_eq!(bytes.len() as u64, fetched.bytes);
    Ok((bytes, fetched.resumed))
}

fn last(error: FetchError) -> FetchError {
    match error {
        FetchError::GaveUp { source, .. } => *source,
        other => other,
    }
}

#[test]
fn a_connection_that_breaks_at_twenty_points_makes_no_difference() {
    let file = bytes(1, 3_000_000);
    let mut numbers = Numbers(2);
    let breaks: Vec<usize> = (0..20).map(|_| 1 + usize::try_from(numbers.below(140_000)).unwrap()).collect();
    let (sent, at) = (file.clone(), breaks.clone());
    let server = Server::start(move |number, asked, to| {
        good(asked, to, &sent, TAG, at.get(number).copied().unwrap_or(usize::MAX))
    });
    let rig = Rig::new();
    assert_eq!(rig.fetch(&server.url("/x.iso")).unwrap(), file);
    let asked = server.asked();
    assert_eq!(asked.len(), 21);
    assert!(asked[1..].iter().all(|asked| asked.from() > Some(0) && asked.field("if-range") == Some(TAG)));
    // Each asked for what the one before did not bring.
    let mut have = 0;
    for (asked, brought) in asked[1..].iter().zip(&breaks) {
        have += brought;
        assert_eq!(asked.from(), Some(have));
    }
}

#[test]
fn a_program_that_ends_at_twenty_points_goes_on_where_it_was() {
    let file = bytes(3, 2_000_000);
    let sent = file.clone();
    let server = Server::start(move |_, asked, to| good(asked, to, &sent, TAG, usize::MAX));
    let (rig, mut numbers) = (Rig::new(), Numbers(4));
    let mut have = 0;
    for _ in 0..20 {
        let mut watch = Until { bytes: Some(have + 1 + numbers.below(60_000)), ..Until::default() };
        let error = rig.fetch_watched(&server.url("/x.iso"), &mut watch).expect_err("cancelled");
        assert!(matches!(error, FetchError::Cancelled), "{error:?}");
        have = watch.seen.load(Ordering::Relaxed);
        assert!(have < file.len() as u64);
    }
    let (got, resumed) = rig.fetch_watched(&server.url("/x.iso"), &mut Until::default()).unwrap();
    assert_eq!((got == file, resumed), (true, have));
    assert_eq!(server.asked().last().unwrap().from(), Some(usize::try_from(have).unwrap()));
}

#[test]
fn a_file_that_is_there_whole_costs_one_byte() {
    let file = bytes(5, 500_000);
    let sent = file.clone();
    let server = Server::start(move |_, asked, to| good(asked, to, &sent, TAG, usize::MAX));
    let rig = Rig::new();
    assert_eq!(rig.fetch(&server.url("/x")).unwrap(), file);
    assert_eq!(rig.fetch(&server.url("/x")).unwrap(), file);
    assert_eq!(server.asked()[1].from(), Some(file.len() - 1));
}

#[test]
fn after_a_crash_of_the_machine_only_synced_bytes_are_trusted() {
    let file = bytes(6, 800_000);
    let sent = file.clone();
    let server = Server::start(move |_, asked, to| good(asked, to, &sent, TAG, usize::MAX));
    let rig = Rig::new();
    let mut watch = Until { bytes: Some(300_000), ..Until::default() };
    rig.fetch_watched(&server.url("/x"), &mut watch).expect_err("cancelled");
    for entry in std::fs::read_dir(rig.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().unwrap() == "json" {
            let mut record: Record = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            (record.synced, record.boot) = (100_000, "another run".to_owned());
            std::fs::write(&path, serde_json::to_vec(&record).unwrap()).unwrap();
        } else {
            // What the file system makes of bytes that never reached the disk.
            let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
            std::os::unix::fs::FileExt::write_all_at(&file, &[0; 100_000], 150_000).unwrap();
        }
    }
    assert_eq!(rig.fetch(&server.url("/x")).unwrap(), file);
    assert_eq!(server.asked()[1].from(), Some(100_000));
}

#[test]
fn a_file_that_changes_meanwhile_is_fetched_anew() {
    let (old, new) = (bytes(7, 400_000), bytes(8, 300_000));
    let sent = new.clone();
    let server = Server::start(move |number, asked, to| match number {
        0 => good(asked, to, &old, TAG, 200_000),
        _ => good(asked, to, &sent, "\"two\"", usize::MAX),
    });
    let mut watch = Until::default();
    let (got, _) = Rig::new().fetch_watched(&server.url("/x"), &mut watch).unwrap();
    assert!(got == new && watch.said.iter().any(|said| said.contains("anew")), "{:?}", watch.said);
}

#[test]
fn a_server_that_ignores_if_range_does_not_mix_two_files() {
    let (old, new) = (bytes(9, 400_000), bytes(10, 400_000));
    let sent = new.clone();
    let server = Server::start(move |number, asked, to| match (number, asked.from()) {
        (0, _) => good(asked, to, &old, TAG, 200_000),
        (_, Some(from)) => {
            write!(
                to,
                "HTTP/1.1 206 P\r\nContent-Range: bytes {from}-399999/400000\r\nETag: \"two\"\r\nContent-Length: {}\r\n\r\n",
                400_000 - from
            )?;
            to.write_all(&sent[from..])
        }
        (_, None) => good(asked, to, &sent, "\"two\"", usize::MAX),
    });
    assert!(Rig::new().fetch(&server.url("/x")).unwrap() == new);
}

#[test]
fn a_wrong_part_is_thrown_away() {
    let file = bytes(11, 300_000);
    for range in ["bytes 0-299999/300000", "bytes 5-299999/300000", "bytes */300000", "nonsense"] {
        let sent = file.clone();
        let server = Server::start(move |number, asked, to| match number {
            0 => good(asked, to, &sent, TAG, 100_000),
            1 => {
                write!(to, "HTTP/1.1 206 P\r\nContent-Range: {range}\r\nContent-Length: 300000\r\n\r\n")?;
                to.write_all(&sent)
            }
            _ => good(asked, to, &sent, TAG, usize::MAX),
        });
        assert!(Rig::new().fetch(&server.url("/x")).unwrap() == file, "{range}");
        assert_eq!(server.asked()[2].from(), None, "{range}");
    }
}

#[test]
fn a_server_without_ranges_is_asked_for_all_again() {
    let file = bytes(12, 300_000);
    let sent = file.clone();
    let server = Server::start(move |number, _, to| {
        write!(to, "HTTP/1.1 200 OK\r\nETag: {TAG}\r\nContent-Length: 300000\r\n\r\n")?;
        to.write_all(&sent[..if number < 2 { 250_000 } else { 300_000 }])
    });
    assert!(Rig::new().fetch(&server.url("/x")).unwrap() == file);
    assert_eq!(server.asked().len(), 3);
}

#[test]
fn a_length_that_is_too_long_is_found_out() {
    let file = bytes(13, 50_000);
    let server = Server::start(move |_, asked, to| {
        let from = asked.from().unwrap_or(0);
        match from {
            0 => write!(to, "HTTP/1.1 200 OK\r\nETag: {TAG}\r\nContent-Length: 60000\r\n\r\n")?,
            _ => write!(to, "HTTP/1.1 206 P\r\nContent-Range: bytes {from}-59999/60000\r\n\r\n")?,
        }
        to.write_all(&file[from.min(file.len())..])
    });
    let error = Rig::new().fetch(&server.url("/x")).expect_err("ends early");
    assert!(matches!(error, FetchError::GaveUp { tries: 5, .. }), "{error:?}");
    assert!(matches!(last(error), FetchError::Broken { bytes: 50_000, .. }));
}

#[test]
fn without_a_length_only_a_body_that_says_its_end_is_taken() {
    let file = bytes(14, 200_000);
    let sent = file.clone();
    let server = Server::start(move |number, asked, to| {
        if asked.target == "/closed" {
            write!(to, "HTTP/1.1 200 OK\r\n\r\n")?;
            return to.write_all(&sent);
        }
        if asked.from().is_some() {
            return good(asked, to, &sent, TAG, usize::MAX);
        }
        write!(to, "HTTP/1.1 200 OK\r\nETag: {TAG}\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        let most = if number == 0 { 100_000 } else { sent.len() };
        for chunk in sent[..most].chunks(10_000) {
            write!(to, "{:x}\r\n", chunk.len())?;
            to.write_all(chunk)?;
            write!(to, "\r\n")?;
        }
        if number == 0 { Ok(()) } else { write!(to, "0\r\n\r\n") }
    });
    let rig = Rig::new();
    assert!(rig.fetch(&server.url("/chunked")).unwrap() == file);
    assert_eq!(server.asked()[1].from(), Some(100_000));
    assert!(rig.fetch(&server.url("/other")).unwrap() == file);
    let error = rig.fetch(&server.url("/closed")).expect_err("no end");
    assert!(matches!(error, FetchError::NoLength(_)), "{error:?}");
}

#[test]
fn more_than_is_allowed_is_refused_said_or_not() {
    let server = Server::start(|_, asked, to| {
        if asked.target == "/said" {
            return write!(to, "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n");
        }
        write!(to, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        loop {
            write!(to, "1000\r\n")?;
            to.write_all(&[7; 4096])?;
            write!(to, "\r\n")?;
        }
    });
    let rig = Rig { limits: Limits { bytes_max: 1 << 20, ..limits() }, ..Rig::new() };
    for path in ["/said", "/unsaid"] {
        let error = rig.fetch(&server.url(path)).expect_err("too large");
        assert!(matches!(error, FetchError::TooLarge { .. }), "{error:?}");
        assert_eq!(rig.files(), 0, "{path} left something");
    }
    let error = rig.fetch(
        &Server::start(|_, _, to| write!(to, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")).url("/"),
    );
    assert!(matches!(error, Err(FetchError::Empty(_))));
}

#[test]
fn redirects_end() {
    let file = bytes(15, 1000);
    let sent = file.clone();
    let server = Server::start(move |_, asked, to| match asked.target.as_str() {
        "/end" => good(asked, to, &sent, TAG, usize::MAX),
        "/file" => write!(to, "HTTP/1.1 302 F\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n"),
        "/forever" => write!(to, "HTTP/1.1 302 F\r\nLocation: /forever\r\nContent-Length: 0\r\n\r\n"),
        step => {
            let left: u32 = step[1..].parse().unwrap();
            let next = if left == 1 { "end".to_owned() } else { (left - 1).to_string() };
            write!(to, "HTTP/1.1 307 T\r\nLocation: {next}\r\nContent-Length: 0\r\n\r\n")
        }
    });
    let rig = Rig::new();
    assert!(rig.fetch(&server.url("/5")).unwrap() == file);
    for path in ["/6", "/forever"] {
        assert!(matches!(rig.fetch(&server.url(path)), Err(FetchError::Redirects(_))), "{path}");
    }
    assert!(matches!(rig.fetch(&server.url("/file")), Err(FetchError::RedirectRefused { .. })));
}

#[test]
fn https_trusts_only_whom_it_should_and_never_goes_down_to_http() {
    let file = bytes(16, 100_000);
    let (sent, other) = (file.clone(), Server::start(|_, _, to| write!(to, "HTTP/1.1 200 OK\r\n\r\n")));
    let plain = other.url("/x");
    let server = Server::secure(move |_, asked, to| match asked.target.as_str() {
        "/down" => write!(to, "HTTP/1.1 301 M\r\nLocation: {plain}\r\nContent-Length: 0\r\n\r\n"),
        _ => good(asked, to, &sent, TAG, usize::MAX),
    });
    let rig = Rig::new();
    assert!(rig.fetch(&server.url("/x")).unwrap() == file);
    assert!(matches!(rig.fetch(&server.url("/down")), Err(FetchError::Downgrade { .. })));
    assert!(other.asked().is_empty());
    // The server's own certificate is no CA.
    use rustls::pki_types::pem::PemObject as _;
    let own =
        rustls::pki_types::CertificateDer::from_pem_slice(include_bytes!("../testdata/test-server.pem"))
            .unwrap();
    let stranger = Downloads::new(rig.folder.path(), limits()).trusting(vec![own.to_vec()]).unwrap();
    let error = fetch_by(&stranger, &server.url("/y"), &mut Until::default()).expect_err("not trusted");
    assert!(matches!(error, FetchError::Tls { .. }), "{error:?}");
}

#[test]
fn credentials_go_to_their_own_server_and_into_no_message() {
    let other = Server::start(|_, asked, to| good(asked, to, b"other", TAG, usize::MAX));
    let there = other.url("/x");
    let server = Server::start(move |_, asked, to| match asked.target.as_str() {
        "/away?sig=abc" => write!(to, "HTTP/1.1 302 F\r\nLocation: {there}\r\nContent-Length: 0\r\n\r\n"),
        "/own" => write!(to, "HTTP/1.1 302 F\r\nLocation: /own2\r\nContent-Length: 0\r\n\r\n"),
        _ => write!(to, "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"),
    });
    let rig = Rig::new();
    let url = |path: &str| server.url(path).replace("http://", "http://bob:hush@");
    assert_eq!(rig.fetch(&url("/away?sig=abc")).unwrap(), b"other");
    assert_eq!(other.asked()[0].field("authorization"), None);
    let error = rig.fetch(&url("/own")).expect_err("403").to_string();
    assert_eq!(server.asked().last().unwrap().field("authorization"), Some("Basic Ym9iOmh1c2g="));
    assert!(error.contains("403") && !error.contains("hush") && !error.contains("bob"), "{error}");
    for entry in std::fs::read_dir(rig.folder.path()).unwrap() {
        let text = String::from_utf8_lossy(&std::fs::read(entry.unwrap().path()).unwrap()).into_owned();
        assert!(!text.contains("hush") && !text.contains("abc"), "{text}");
    }
}

#[test]
fn what_will_not_pass_is_not_tried_again_and_what_may_is() {
    let server = Server::start(|number, asked, to| match (asked.target.as_str(), number) {
        ("/busy", 0..3) => write!(to, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"),
        ("/busy", _) => good(asked, to, b"there", TAG, usize::MAX),
        _ => write!(to, "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"),
    });
    let rig = Rig::new();
    assert_eq!(rig.fetch(&server.url("/busy")).unwrap(), b"there");
    assert_eq!(server.asked().len(), 4);
    assert!(matches!(rig.fetch(&server.url("/none")), Err(FetchError::Status { .. })));
    assert_eq!(server.asked().len(), 5);
}

#[test]
fn silence_has_an_end_and_is_left_at_once_when_cancelled() {
    let server = Server::start(|_, _, to| {
        write!(to, "HTTP/1.1 200 OK\r\nETag: {TAG}\r\nContent-Length: 1000\r\n\r\n0123456789")?;
        to.flush()?;
        silence();
        Ok(())
    });
    let (_deaf, never) = deaf();
    for url in [server.url("/x"), never] {
        let rig = Rig {
            limits: Limits { stall_wait: Duration::from_millis(150), tries_max: 2, ..limits() },
            ..Rig::new()
        };
        let error = last(rig.fetch(&url).expect_err("silent"));
        assert!(matches!(error, FetchError::TimedOut { .. }), "{error:?}");
        let watch = Until::default();
        watch.stop.store(true, Ordering::Relaxed);
        let (begun, mut watch) = (Instant::now(), watch);
        let rig = Rig { limits: Limits { stall_wait: Duration::from_secs(15), ..limits() }, ..Rig::new() };
        let error = rig.fetch_watched(&url, &mut watch).expect_err("cancelled");
        assert!(matches!(error, FetchError::Cancelled), "{error:?}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
}

#[test]
fn what_nobody_went_on_with_is_removed() {
    let rig = Rig::new();
    let at = |name: String| rig.folder.path().join(name);
    for number in 0..20u64 {
        std::fs::write(at(format!("{number}.part")), b"x").unwrap();
        std::fs::write(at(format!("{number}.json")), b"{}").unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(at(format!("{number}.part"))).unwrap();
        file.set_modified(std::time::SystemTime::now() - Duration::from_secs(number * 24 * 3600)).unwrap();
    }
    for stray in ["a.part", "b.json", "c.new"] {
        std::fs::write(at(stray.to_owned()), b"x").unwrap();
    }
    Downloads::new(rig.folder.path(), limits()).tidy();
    assert_eq!(rig.files(), 2 * 7);
    assert!(at("6.part".to_owned()).exists() && !at("7.part".to_owned()).exists());
}

/// A server may give less than was asked for, and the length of the file may be known only then.
#[test]
fn a_rest_that_comes_in_parts_is_no_end() {
    let file = bytes(17, 200_000);
    let sent = file.clone();
    let server = Server::start(move |_, asked, to| {
        let Some(from) = asked.from() else {
            write!(
                to,
                "HTTP/1.1 200 OK\r\nETag: {TAG}\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n",
                50_000
            )?;
            return to.write_all(&sent[..50_000]);
        };
        let end = (from + 40_000).min(sent.len());
        write!(to, "HTTP/1.1 206 P\r\nContent-Range: bytes {from}-{}/200000\r\n\r\n", end - 1)?;
        to.write_all(&sent[from..end])
    });
    assert!(Rig::new().fetch(&server.url("/x")).unwrap() == file);
}
