//! Slow, silent and too many clients; stopping.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod rig;

use reveille_http::{HttpDoor, Parts};
use rig::{DEADLINE, Reply, Rig, start};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use types::EventName;
use types::event::Value;

const SHORT: Duration = Duration::from_millis(300);

async fn until(what: &str, test: impl Fn() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !test() {
        assert!(Instant::now() < end, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn h9_half_a_head_is_closed_in_time() {
    let rig = start(|options| options.header_timeout = SHORT);
    let mut stream = rig.connect().await;
    stream.write_all(b"GET /hundred HTTP/1.1\r\nHos").await.unwrap();
    assert!(rig::read_to_end(&mut stream).await.is_empty());
    until("header timeout is counted", || rig.meter.snapshot().header_timeouts == 1).await;
}

#[tokio::test]
async fn h9_a_silent_connection_is_closed_in_time() {
    let rig = start(|options| options.header_timeout = SHORT);
    let mut stream = rig.connect().await;
    assert!(rig::read_to_end(&mut stream).await.is_empty());
}

#[tokio::test]
async fn h9_a_head_that_trickles_is_closed_all_the_same() {
    let rig = start(|options| options.header_timeout = SHORT);
    let mut stream = rig.connect().await;
    let started = Instant::now();
    let mut request = b"GET /hundred HTTP/1.1\r\nHost: a\r\nX: ".iter().chain(std::iter::repeat(&b'x'));
    // Each byte comes well within the timeout; the whole head does not.
    while stream.write_all(&[*request.next().unwrap()]).await.is_ok() {
        assert!(started.elapsed() < DEADLINE, "never closed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn h9_an_idle_connection_outlives_the_header_timeout_and_ends_after_the_idle_one() {
    let rig = start(|options| {
        options.header_timeout = Duration::from_secs(1);
        options.idle_timeout = Duration::from_secs(4);
    });
    let mut stream = rig.connect().await;
    let request = b"GET /hundred HTTP/1.1\r\nHost: a\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut first = [0u8; 16];
    stream.read_exact(&mut first).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    stream.write_all(request).await.unwrap();
    let bytes = rig::read_to_end(&mut stream).await;
    assert_eq!(bytes.windows(8).filter(|window| window == b"HTTP/1.1").count(), 1, "the second answer came");
    until("idle timeout is counted", || rig.meter.snapshot().idle_timeouts == 1).await;
    assert_eq!(rig.meter.snapshot().header_timeouts, 0);
}

#[tokio::test]
async fn h9_a_client_that_stops_reading_is_dropped_and_recorded() {
    let rig = start(|options| options.stall_timeout = SHORT);
    let mut stream = rig.connect().await;
    stream.write_all(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let event = rig.event(|event| event.name == EventName::HttpStalled).await;
    assert_eq!(event.reason, Some("client_stalled"));
    let Some(Value::Number(bytes)) = event.field("bytes").cloned() else { panic!("{event:?}") };
    assert!(bytes > 0 && bytes < 64 << 20, "{bytes}");
    assert_eq!(event.field("total"), Some(&Value::Number(64 << 20)));
    until("the seat is free", || rig.meter.snapshot().clients == 0).await;
    assert_eq!(rig.meter.snapshot().stalled, 1);
    // What the kernel still had is thrown away: the connection was reset.
    assert!(rig::read_to_end(&mut stream).await.len() < 64 << 20);
}

#[tokio::test]
async fn h9_a_slow_but_steady_reader_gets_everything() {
    let rig = start(|options| options.stall_timeout = Duration::from_secs(5));
    let mut stream = rig.connect().await;
    stream.write_all(b"GET /big HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut buffer = vec![0u8; 1 << 20];
    let mut total = 0;
    loop {
        let count = tokio::time::timeout(DEADLINE, stream.read(&mut buffer)).await.unwrap().unwrap();
        if count == 0 {
            break;
        }
        total += count;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(total > 64 << 20, "{total}");
    assert_eq!(rig.meter.snapshot().stalled, 0);
}

#[tokio::test]
async fn h9_a_call_back_body_that_never_comes_is_408() {
    let rig = start(|options| options.header_timeout = Duration::from_secs(1));
    let head = format!("POST /b/{}/up HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", rig::TOKEN);
    assert_eq!(rig.ask(&head).await.status, 408);
}

async fn turned_away(rig: &Rig) -> Reply {
    let mut stream = rig.connect().await;
    Reply::parse(&rig::read_to_end(&mut stream).await)
}

#[tokio::test]
async fn one_source_cannot_take_all_seats() {
    let rig = start(|options| options.max_clients_per_source = 2);
    let first = rig.connect().await;
    let _second = rig.connect().await;
    until("both have seats", || rig.meter.snapshot().clients == 2).await;
    let reply = turned_away(&rig).await;
    assert_eq!((reply.status, reply.field("Retry-After")), (503, Some("2")));
    assert_eq!(rig.event(|event| event.name == EventName::HttpRefused).await.reason, Some("source_full"));
    drop(first);
    until("the seat is free again", || rig.meter.snapshot().clients == 1).await;
    assert_eq!(rig.get("/hundred", "").await.status, 200);
}

#[tokio::test]
async fn all_seats_taken_is_503() {
    let rig = start(|options| options.max_clients = 1);
    let _first = rig.connect().await;
    until("it has a seat", || rig.meter.snapshot().clients == 1).await;
    assert_eq!(turned_away(&rig).await.status, 503);
    assert_eq!(rig.meter.snapshot().refused_full, 1);
}

#[tokio::test]
async fn stopping_lets_a_running_answer_end() {
    let rig = start(|_| {});
    let mut stream = rig.connect().await;
    stream.write_all(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut first = vec![0u8; 1000];
    stream.read_exact(&mut first).await.unwrap();
    let idle = rig.connect().await;
    rig.stop.send(true).unwrap();
    let rest = rig::read_to_end(&mut stream).await;
    assert!(first.len() + rest.len() > 64 << 20, "the whole file came");
    tokio::time::timeout(DEADLINE, rig.running).await.unwrap().unwrap().unwrap();
    drop(idle);
    assert!(tokio::net::TcpStream::connect(rig.address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_taken_port_says_so_with_a_hint() {
    let rig = start(|_| {});
    let parts = Parts {
        files: rig.tree.clone(),
        decider: rig.mind.clone(),
        ledger: rig.ledger.clone(),
        logs: rig.shelf.clone(),
        events: rig.events.clone(),
    };
    let options = reveille_http::Options { listen: vec![rig.address], ..Default::default() };
    let Err(error) = HttpDoor::bind(options, parts) else { panic!("bound twice") };
    assert_eq!(error.to_string(), format!("cannot listen for HTTP on {}", rig.address));
    assert!(error.hint().contains("ss -ltnp"));
}
