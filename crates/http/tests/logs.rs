//! Logs of installers: what is taken, what is refused, and that nothing half stays.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod rig;

use reveille_http::limits::LOG_BYTES_MAX;
use rig::{DEADLINE, EXPIRED, FOREIGN, Reply, Rig, TOKEN, start};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt as _;
use types::EventName;

async fn until(what: &str, test: impl Fn() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !test() {
        assert!(Instant::now() < end, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn head(method: &str, path: &str, length: u64) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")
}

async fn send(rig: &Rig, method: &str, path: &str, body: &str) -> Reply {
    rig.ask(&format!("{}{body}", head(method, path, body.len() as u64))).await
}

fn kept(rig: &Rig) -> Vec<(String, usize)> {
    rig.shelf.kept.lock().unwrap().iter().map(|(name, bytes)| (name.clone(), bytes.len())).collect()
}

#[tokio::test]
async fn a_log_is_taken_by_post_and_by_put() {
    let rig = start(|_| {});
    let long = "line\n".repeat(60_000);
    assert_eq!(send(&rig, "POST", &format!("/b/{TOKEN}/log/syslog"), "one\ntwo\n").await.status, 204);
    assert_eq!(send(&rig, "PUT", &format!("/b/{TOKEN}/log/anaconda.log"), &long).await.status, 204);
    assert_eq!(kept(&rig), [("syslog".to_owned(), 8), ("anaconda.log".to_owned(), 300_000)]);
    assert!(rig.shelf.kept.lock().unwrap().iter().any(|(_, bytes)| bytes == long.as_bytes()));
    let counted = rig.meter.snapshot();
    assert_eq!((counted.logs, counted.log_bytes, counted.callbacks), (2, 300_008, 0));
}

#[tokio::test]
async fn what_is_no_log_of_this_boot_is_refused_before_a_byte_of_it_is_read() {
    let rig = start(|_| {});
    let of = |token: &str, name: &str| format!("/b/{token}/log/{name}");
    for (path, status) in [
        (of(EXPIRED, "a"), 410),
        (of(FOREIGN, "a"), 404),
        (of("0123456789abcdef0123456789abcdef", "a"), 404),
        (of("short", "a"), 404),
        (of(TOKEN, ".about"), 400),
        (of(TOKEN, "%2e%2e"), 400),
        (of(TOKEN, "a%2fb"), 400),
        (of(TOKEN, "a%00"), 400),
        (of(TOKEN, &"x".repeat(65)), 400),
        (of(TOKEN, "full.log"), 413),
        (of(TOKEN, "busy.log"), 503),
        (of(TOKEN, "broken.log"), 507),
    ] {
        // The body never comes: an answer shows that nobody waited for it.
        let reply = rig.ask(&head("POST", &path, 1000)).await;
        assert_eq!(reply.status, status, "{path}");
        assert!(!reply.text().contains("secret"), "{}", reply.text());
    }
    assert_eq!(rig.ask(&head("POST", &of(TOKEN, "a"), LOG_BYTES_MAX + 1)).await.status, 413);
    assert_eq!(rig.ask(&head("POST", &of(TOKEN, "a"), 0)).await.status, 400);
    assert_eq!(rig.get(&of(TOKEN, "a"), "").await.status, 405);
    let chunked = format!(
        "POST {} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        of(TOKEN, "a")
    );
    assert_eq!(rig.ask(&chunked).await.status, 400);
    assert_eq!((kept(&rig), rig.meter.snapshot().logs), (vec![], 0));
    let told = format!("{:?}", rig.events.0.lock().unwrap());
    assert!(
        told.contains("token_foreign_address") && !told.contains(TOKEN) && !told.contains(FOREIGN),
        "{told}"
    );
}

#[tokio::test]
async fn a_log_that_stops_coming_leaves_nothing() {
    let rig = start(|options| options.header_timeout = Duration::from_millis(300));
    let path = format!("/b/{TOKEN}/log/slow.log");
    // Silent in its middle.
    let mut silent = rig.connect().await;
    silent.write_all(format!("{}half", head("POST", &path, 1000)).as_bytes()).await.unwrap();
    let reply = Reply::parse(&rig::read_to_end(&mut silent).await);
    assert_eq!(reply.status, 408);
    // Gone in its middle.
    let mut gone = rig.connect().await;
    gone.write_all(format!("{}half", head("POST", &path, 1000)).as_bytes()).await.unwrap();
    until("it began", || rig.shelf.open.load(Ordering::SeqCst) == 1).await;
    drop(gone);
    until("it ended", || rig.shelf.open.load(Ordering::SeqCst) == 0).await;
    assert_eq!(kept(&rig), []);
    let refused =
        rig.events.0.lock().unwrap().iter().filter(|event| event.name == EventName::HttpRefused).count();
    assert!(refused >= 1);
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_to_go_on() {
    let rig = start(|_| {});
    let request = format!(
        "PUT /b/{TOKEN}/log/a.log HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\nConnection: close\r\n\r\n"
    );
    let mut stream = rig.connect().await;
    stream.write_all(request.as_bytes()).await.unwrap();
    until("it began", || rig.shelf.open.load(Ordering::SeqCst) == 1).await;
    stream.write_all(b"text").await.unwrap();
    let said = String::from_utf8(rig::read_to_end(&mut stream).await).unwrap();
    assert!(said.starts_with("HTTP/1.1 100") && said.contains("HTTP/1.1 204"), "{said}");
    assert_eq!(kept(&rig), [("a.log".to_owned(), 4)]);
}
