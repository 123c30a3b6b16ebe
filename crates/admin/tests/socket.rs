//! Placing the socket, following streams, stopping, and a client without a daemon.
#![expect(clippy::unwrap_used, reason = "tests")]

mod rig;

use reveille_admin::{AdminDoor, BindError, Client, ClientError, EventBus, Options};
use rig::{DEADLINE, MemoryBackend, start};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;
use types::{Event, EventName, EventSink as _};

fn bind(socket: &std::path::Path, group: Option<&str>) -> Result<AdminDoor, BindError> {
    let (_, shutdown) = watch::channel(false);
    let api = rig::api(Arc::new(MemoryBackend::new()), Arc::new(EventBus::default()), shutdown);
    AdminDoor::bind(&Options { socket: socket.to_owned(), group: group.map(str::to_owned) }, api)
}

async fn until(what: &str, test: impl Fn() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !test() {
        assert!(Instant::now() < end, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn the_socket_is_for_owner_and_group_and_goes_when_we_stop() {
    let rig = start();
    assert_eq!(std::fs::metadata(&rig.socket).unwrap().permissions().mode() & 0o777, 0o660);
    let names: Vec<_> = std::fs::read_dir(rig.socket.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["admin.sock"], "nothing is left beside it");
    rig.stop.send(true).unwrap();
    tokio::time::timeout(DEADLINE, rig.running).await.unwrap().unwrap().unwrap();
    assert!(!rig.socket.exists());
}

#[tokio::test]
async fn a_socket_somebody_answers_on_is_left_alone() {
    let rig = start();
    assert!(matches!(bind(&rig.socket, None), Err(BindError::Taken(_))));
    assert!(rig.client.get::<Value>("/version").await.is_ok(), "the first one goes on");
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_a_file_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("admin.sock");
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    assert!(socket.exists(), "a killed daemon leaves it behind");
    assert!(bind(&socket, None).is_ok());
    let file = folder.path().join("precious");
    std::fs::write(&file, "data").unwrap();
    let Err(error) = bind(&file, None) else { panic!("bound over a file") };
    assert!(matches!(error, BindError::NotASocket(_)));
    assert_eq!(std::fs::read(&file).unwrap(), b"data");
    let Err(error) = bind(&socket, Some("no-such-group-here")) else { panic!("bound for nobody") };
    assert!(error.hint().contains("groupadd"));
}

#[tokio::test]
async fn without_a_daemon_the_client_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let missing = Client::new(folder.path().join("none.sock"));
    let stale = folder.path().join("stale.sock");
    drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
    for client in [missing, Client::new(stale)] {
        let error = client.get::<Value>("/version").await.unwrap_err();
        assert!(matches!(error, ClientError::NotRunning { .. }), "{error:?}");
        assert!(error.to_string().contains("daemon is not running"));
        assert!(error.hint().unwrap().contains("reveille run"));
        assert_eq!(error.exit_code(), 8);
    }
}

fn fetched(number: u64) -> Event {
    Event::new(EventName::HttpFile).with("number", number)
}

#[tokio::test]
async fn events_are_lines_and_following_goes_on_where_it_left_off() {
    let rig = start();
    for number in 1..=3 {
        rig.events.record(fetched(number));
    }
    rig.events.record(Event::new(EventName::DhcpNak).host(Some("web01".into())));
    let mut lines = rig.client.follow("/events?since=1").await.unwrap();
    let mut seen = Vec::new();
    while let Some(line) = lines.next().await.unwrap() {
        seen.push(serde_json::from_slice::<Value>(&line).unwrap()["seq"].as_u64().unwrap());
    }
    assert_eq!(seen, [2, 3, 4], "without follow it ends");
    let mut lines = rig.client.follow("/events?level=warn&host=web01&event=dhcp").await.unwrap();
    let line: Value = serde_json::from_slice(&lines.next().await.unwrap().unwrap()).unwrap();
    assert_eq!((&line["event"], &line["level"]), (&"dhcp.nak".into(), &"warn".into()));
    assert!(lines.next().await.unwrap().is_none());

    let mut lines = rig.client.follow("/events?follow=true&since=3").await.unwrap();
    rig.events.record(fetched(5));
    for expected in [4, 5] {
        let line = tokio::time::timeout(DEADLINE, lines.next()).await.unwrap().unwrap().unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&line).unwrap()["seq"], expected);
    }
    assert_eq!(rig.events.followers(), 1);
    drop(lines);
    // The daemon notices when it next has something to say.
    let events = rig.events.clone();
    until("a reader that left is forgotten", move || {
        events.record(fetched(0));
        events.followers() == 0
    })
    .await;
}

#[tokio::test]
async fn a_reader_too_far_back_is_told_to_resync() {
    let rig = start();
    for number in 0..150 {
        rig.events.record(fetched(number));
    }
    for path in ["/events?follow=true&since=7", "/events?since=7", "/events?since=1-3", "/events?since=900"] {
        let mut lines = rig.client.follow(path).await.unwrap();
        let line: Value = serde_json::from_slice(&lines.next().await.unwrap().unwrap()).unwrap();
        assert_eq!((&line["event"], line["seq"].as_u64()), (&"resync".into(), Some(150)), "{path}");
    }
}

#[tokio::test]
async fn the_stream_has_ids_and_resumes_after_the_last_one() {
    let rig = start();
    rig.events.record(fetched(1));
    rig.events.record(fetched(2));
    let epoch = rig.events.epoch();
    let read = async |fields: String| {
        let mut stream = tokio::net::UnixStream::connect(&rig.socket).await.unwrap();
        let request = format!("GET /api/v1/stream HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        let mut buffer = [0u8; 4096];
        while !text.contains("data: ") {
            let count = tokio::time::timeout(DEADLINE, stream.read(&mut buffer)).await.unwrap().unwrap();
            assert!(count > 0, "{text}");
            text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        }
        text
    };
    let text = read(format!("Last-Event-ID: {epoch}-1\r\n")).await;
    assert!(text.contains("content-type: text/event-stream"), "{text}");
    assert!(text.contains(&format!("id: {epoch}-2\ndata: {{\"ts\":")), "{text}");
    for id in ["1-1", "nonsense"] {
        let text = read(format!("Last-Event-ID: {id}\r\n")).await;
        assert!(text.contains(&format!("id: {epoch}-2\nevent: resync\n")), "{text}");
    }
}

#[tokio::test]
async fn stopping_ends_streams_at_once() {
    let rig = start();
    let mut lines = rig.client.follow("/events?follow=true").await.unwrap();
    rig.stop.send(true).unwrap();
    assert!(tokio::time::timeout(DEADLINE, lines.next()).await.unwrap().unwrap().is_none());
    tokio::time::timeout(DEADLINE, rig.running).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn another_user_is_refused_even_when_the_file_mode_lets_it_in() {
    if !nix::unistd::Uid::effective().is_root() {
        eprintln!("SKIPPED: only root can become another user");
        return;
    }
    let rig = start();
    for path in [rig.folder.path(), rig.socket.parent().unwrap()] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    std::fs::set_permissions(&rig.socket, std::fs::Permissions::from_mode(0o666)).unwrap();
    let socket = rig.socket.clone();
    let ask = move || {
        use std::os::unix::process::CommandExt as _;
        std::process::Command::new("curl")
            .args(["-sS", "--max-time", "20", "--unix-socket"])
            .arg(&socket)
            .arg("http://localhost/api/v1/version")
            .uid(65_534)
            .gid(65_534)
            .output()
    };
    match tokio::task::spawn_blocking(ask).await.unwrap() {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(text.contains("R-API-06"), "{text} {}", String::from_utf8_lossy(&output.stderr));
        }
        Err(error) => {
            assert!(std::env::var_os("REVEILLE_REQUIRE_TOOLS").is_none(), "curl is required: {error}");
            eprintln!("SKIPPED: no curl: {error}");
        }
    }
}

/// Larger than any other body may be, in pieces, with and without a length; and one whose sender breaks off.
#[tokio::test]
async fn the_bytes_of_an_import_are_taken_as_they_come() {
    let rig = start();
    let body = serde_json::json!({"source": "-", "name": "x"});
    for length in [None, Some(3_000_000)] {
        let started = rig.client.post::<Value>("/imports", &body).await.unwrap().body;
        let path = format!("/imports/{}/content", started["id"].as_str().unwrap());
        let (pieces, sending) = tokio::sync::mpsc::channel(1);
        tokio::spawn(async move {
            for _ in 0..30 {
                pieces.send(Ok(vec![7u8; 100_000].into())).await.unwrap();
            }
        });
        let answer = rig.client.upload::<Value>(&path, sending, length).await.unwrap().body;
        assert_eq!((&answer["bytes_done"], answer["bytes_total"].as_u64()), (&3_000_000.into(), length));
    }
    let started = rig.client.post::<Value>("/imports", &body).await.unwrap().body;
    let path = format!("/imports/{}", started["id"].as_str().unwrap());
    let (pieces, sending) = tokio::sync::mpsc::channel(2);
    pieces.send(Ok(vec![7u8; 100].into())).await.unwrap();
    pieces.send(Err(std::io::ErrorKind::BrokenPipe.into())).await.unwrap();
    let failed = rig.client.upload::<Value>(&format!("{path}/content"), sending, None).await;
    assert!(matches!(failed, Err(ClientError::Io(_))), "{failed:?}");
    let cancelled =
        rig.client.delete::<Value>(&path, &reveille_admin::client::Condition::Nothing).await.unwrap();
    assert_eq!((cancelled.status, &cancelled.body["state"]), (202, &"cancelled".into()));
}
