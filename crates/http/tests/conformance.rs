//! RFC 9110 and 9112 over real sockets, line by line.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod rig;

use rig::{EXPIRED, FOREIGN, Reply, TOKEN, start};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use types::event::{Level, Value};
use types::{EventName, Firmware};

#[tokio::test]
async fn h1_head_is_get_without_the_body() {
    let rig = start(|_| {});
    let get = rig.get("/debian/linux", "").await;
    let head = rig.ask("HEAD /debian/linux HTTP/1.1\r\nHost: boot\r\nConnection: close\r\n\r\n").await;
    assert_eq!((get.status, head.status), (200, 200));
    assert_eq!(get.body.len(), 700_000);
    assert!(head.body.is_empty());
    for name in ["Content-Length", "Content-Type", "Etag", "Accept-Ranges", "Cache-Control"] {
        assert!(get.field(name).is_some(), "{name} {get:?}");
        assert_eq!(get.field(name), head.field(name), "{name}");
    }
    assert_eq!(head.field("Content-Length"), Some("700000"), "spelled as old ESXi loaders match it");
}

#[tokio::test]
async fn h1_errors_have_a_length_for_head_too() {
    let rig = start(|_| {});
    let get = rig.get("/nothing", "").await;
    let head = rig.ask("HEAD /nothing HTTP/1.1\r\nHost: boot\r\nConnection: close\r\n\r\n").await;
    assert_eq!((get.status, head.status), (404, 404));
    assert_eq!(get.text(), "reveille: file not found [not_found]\n");
    assert_eq!(get.field("Content-Length"), Some(get.body.len().to_string().as_str()));
    assert_eq!(get.field("Content-Length"), head.field("Content-Length"));
    assert!(head.body.is_empty());
}

#[tokio::test]
async fn h1_other_methods_are_405_with_allow_and_unknown_ones_501() {
    let rig = start(|_| {});
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"] {
        let reply =
            rig.ask(&format!("{method} /hundred HTTP/1.1\r\nHost: boot\r\nConnection: close\r\n\r\n")).await;
        assert_eq!((reply.status, reply.field("Allow")), (405, Some("GET, HEAD")), "{method}");
    }
    for method in ["BREW", "get", "PROPFIND"] {
        let reply =
            rig.ask(&format!("{method} /hundred HTTP/1.1\r\nHost: boot\r\nConnection: close\r\n\r\n")).await;
        assert_eq!(reply.status, 501, "{method}");
    }
}

#[tokio::test]
async fn h1_expect_continue_is_answered_before_the_body() {
    let rig = start(|_| {});
    let mut stream = rig.connect().await;
    let head = format!(
        "POST /b/{TOKEN}/up HTTP/1.1\r\nHost: boot\r\nExpect: 100-continue\r\nContent-Length: 4\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut interim = [0u8; 25];
    tokio::time::timeout(rig::DEADLINE, stream.read_exact(&mut interim)).await.unwrap().unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"done").await.unwrap();
    assert_eq!(Reply::parse(&rig::read_to_end(&mut stream).await).status, 204);
    assert_eq!(*rig.ledger.0.lock().unwrap(), [("up".to_owned(), Some("done".to_owned()))]);
}

#[tokio::test]
async fn h1_http_1_0_without_host_gets_the_body_then_close() {
    let rig = start(|_| {});
    let reply = rig.ask("GET /hundred HTTP/1.0\r\n\r\n").await;
    assert_eq!((reply.status, reply.body.len()), (200, 100));
    assert_eq!(reply.field("Content-Length"), Some("100"));
    assert_eq!(reply.field("Transfer-Encoding"), None);
}

#[tokio::test]
async fn h2_missing_repeated_or_malformed_host_is_400() {
    let rig = start(|_| {});
    for fields in [
        "",
        "Host: a\r\nHost: b\r\n",
        "Host: a\r\nHost: a\r\n",
        "Host: a b\r\n",
        "Host: a/b\r\n",
        "Host: u@a\r\n",
    ] {
        let reply = rig.ask(&format!("GET /hundred HTTP/1.1\r\n{fields}\r\n")).await;
        assert_eq!(reply.status, 400, "{fields:?}");
        assert_eq!(reply.field("Connection"), Some("close"));
    }
    for host in ["boot", "10.0.0.1:8080", "[fe80::1]:8080", "anything.example", ""] {
        let reply =
            rig.ask(&format!("GET /hundred HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await;
        assert_eq!(reply.status, 200, "{host:?}: ESXi sends it without the port, others a name");
    }
}

#[tokio::test]
async fn h2_absolute_form_is_taken_for_our_own_names_only() {
    let rig = start(|_| {});
    let port = rig.address.port();
    for (target, host, status) in [
        (format!("http://127.0.0.1:{port}/hundred"), "x", 200),
        ("http://boot/hundred".to_owned(), "boot", 200),
        ("http://10.1.2.3/hundred".to_owned(), "10.1.2.3", 421),
        ("http://elsewhere/hundred".to_owned(), "boot", 421),
        ("ftp://boot/hundred".to_owned(), "boot", 421),
    ] {
        let reply =
            rig.ask(&format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await;
        assert_eq!(reply.status, status, "{target}");
    }
}

#[tokio::test]
async fn h3_single_range_is_206_with_content_range() {
    let rig = start(|_| {});
    let reply = rig.get("/hundred", "Range: bytes=10-19\r\n").await;
    assert_eq!((reply.status, reply.field("Content-Range")), (206, Some("bytes 10-19/100")));
    assert_eq!(reply.field("Content-Length"), Some("10"));
    assert_eq!(reply.body, (10..20).collect::<Vec<u8>>());
}

#[tokio::test]
async fn h3_suffix_range_is_206() {
    let rig = start(|_| {});
    let reply = rig.get("/hundred", "Range: bytes=-5\r\n").await;
    assert_eq!((reply.status, reply.field("Content-Range")), (206, Some("bytes 95-99/100")));
    assert_eq!(reply.body, [95, 96, 97, 98, 99]);
}

#[tokio::test]
async fn h3_open_ended_range_is_206() {
    let rig = start(|_| {});
    let reply = rig.get("/hundred", "Range: bytes=98-\r\n").await;
    assert_eq!((reply.status, reply.body.as_slice()), (206, [98u8, 99].as_slice()));
}

#[tokio::test]
async fn h3_unsatisfiable_range_is_416_with_the_length() {
    let rig = start(|_| {});
    for range in ["100-", "-0", "18446744073709551616-"] {
        let reply = rig.get("/hundred", &format!("Range: bytes={range}\r\n")).await;
        assert_eq!((reply.status, reply.field("Content-Range")), (416, Some("bytes */100")), "{range}");
    }
    assert_eq!(rig.get("/empty", "Range: bytes=0-\r\n").await.field("Content-Range"), Some("bytes */0"));
}

#[tokio::test]
async fn h3_bad_syntax_many_or_scattered_ranges_send_the_whole_file() {
    let rig = start(|_| {});
    for range in ["bytes=x-y", "bytes=9-1", "lines=1-2", "bytes=0-0,2-2,4-4,6-6,8-8,10-10", "bytes=0-1,50-51"]
    {
        let reply = rig.get("/hundred", &format!("Range: {range}\r\n")).await;
        assert_eq!((reply.status, reply.body.len()), (200, 100), "{range}");
    }
    let reply = rig.get("/hundred", "Range: bytes=0-1\r\nRange: bytes=2-3\r\n").await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn h3_overlapping_ranges_are_sent_as_one() {
    let rig = start(|_| {});
    let reply = rig.get("/hundred", "Range: bytes=0-9,5-20\r\n").await;
    assert_eq!((reply.status, reply.field("Content-Range")), (206, Some("bytes 0-20/100")));
}

#[tokio::test]
async fn h3_range_on_head_is_ignored() {
    let rig = start(|_| {});
    let reply =
        rig.ask("HEAD /hundred HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\nConnection: close\r\n\r\n").await;
    assert_eq!((reply.status, reply.field("Content-Length")), (200, Some("100")));
}

#[tokio::test]
async fn h4_if_range_needs_the_same_strong_tag() {
    let rig = start(|_| {});
    for (tag, status) in
        [("\"len100\"", 206), ("\"old\"", 200), ("W/\"len100\"", 200), ("Sun, 06 Nov 1994 08:49:37 GMT", 200)]
    {
        let reply = rig.get("/hundred", &format!("Range: bytes=0-1\r\nIf-Range: {tag}\r\n")).await;
        assert_eq!(reply.status, status, "{tag}");
    }
}

#[tokio::test]
async fn h4_preconditions_are_asked_in_order() {
    let rig = start(|_| {});
    for (fields, status) in [
        ("If-Match: \"len100\"\r\n", 200),
        ("If-Match: *\r\n", 200),
        ("If-Match: \"old\"\r\n", 412),
        ("If-Match: \"old\"\r\nIf-None-Match: \"len100\"\r\n", 412),
        ("If-None-Match: \"len100\"\r\n", 304),
        ("If-None-Match: W/\"len100\"\r\nRange: bytes=0-1\r\n", 304),
        ("If-None-Match: *\r\n", 304),
        ("If-None-Match: \"a\", \"len100\"\r\n", 304),
        ("If-None-Match: \"a\"\r\nIf-Modified-Since: Sun, 06 Nov 2094 08:49:37 GMT\r\n", 200),
        ("If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 200),
    ] {
        assert_eq!(rig.get("/hundred", fields).await.status, status, "{fields:?}");
    }
}

#[tokio::test]
async fn h5_not_modified_has_its_fields_and_no_body() {
    let rig = start(|_| {});
    let reply = rig.get("/hundred", "If-None-Match: \"len100\"\r\n").await;
    assert_eq!(reply.status, 304);
    assert_eq!(reply.field("Etag"), Some("\"len100\""));
    assert!(reply.field("Cache-Control").is_some() && reply.field("Date").is_some());
    assert!(reply.body.is_empty());
}

#[tokio::test]
async fn h6_answers_say_type_nosniff_and_no_coding() {
    let rig = start(|_| {});
    let reply = rig.get("/hundred", "Accept-Encoding: gzip, br\r\n").await;
    assert_eq!(reply.field("X-Content-Type-Options"), Some("nosniff"));
    assert_eq!(reply.field("Content-Type"), Some("application/octet-stream"));
    assert_eq!(reply.field("Content-Encoding"), None);
    assert_eq!(rig.get("/nothing", "").await.field("X-Content-Type-Options"), Some("nosniff"));
}

#[tokio::test]
async fn h7_names_are_decoded_once_and_climbing_is_refused() {
    let rig = start(|_| {});
    for path in ["/debian/linux", "//debian///linux", "/%64ebian%2Flinux", "/debian/linux?x=1"] {
        assert_eq!(rig.get(path, "").await.status, 200, "{path}: never redirected");
    }
    for path in [
        "/../etc/passwd",
        "/%2e%2e/etc/passwd",
        "/debian/../hundred",
        "/debian/%2e%2e/hundred",
        "/..%5c..%5cx",
        "/a%00b",
        "/%c0%ae%c0%ae/x",
        "/%zz",
        "/a%0d%0aSet-Cookie:x",
    ] {
        assert_eq!(rig.get(path, "").await.status, 400, "{path}");
    }
    for path in [
        "/",
        "/debian",
        "/debian/",
        "/%252e%252e/hundred",
        "/hundred;v=1",
        "/hundred.",
        "/C:%5chundred",
        "/dev/null",
        "/b/x",
    ] {
        assert_eq!(rig.get(path, "").await.status, 404, "{path}");
    }
    assert!(rig.tree.asked.lock().unwrap().iter().all(|(name, _)| !name.split('/').any(|part| part == "..")));
}

#[tokio::test]
async fn h7_answers_never_repeat_the_request() {
    let rig = start(|_| {});
    for path in ["/EVIL", "/EVIL%00", "/boot.ipxe?mac=EVIL", "/b/EVIL/EVIL", "/broken"] {
        let reply = rig.get(path, "X-Evil: EVIL\r\n").await;
        assert!(reply.status >= 400);
        assert!(
            !format!("{reply:?}").contains("EVIL") && !format!("{reply:?}").contains("secret"),
            "{reply:?}"
        );
    }
}

#[tokio::test]
async fn h8_a_client_that_leaves_frees_its_seat_and_is_recorded() {
    let rig = start(|_| {});
    let mut stream = rig.connect().await;
    stream.write_all(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut some = vec![0u8; 300_000];
    stream.read_exact(&mut some).await.unwrap();
    drop(stream);
    let event = rig.event(|event| event.name == EventName::HttpFile).await;
    assert_eq!((event.reason, event.level), (Some("client_closed"), Level::Warn));
    let Some(Value::Number(bytes)) = event.field("bytes").cloned() else { panic!("{event:?}") };
    assert!((299_000..64 << 20).contains(&bytes), "what left, not what was planned: {bytes}");
    let end = std::time::Instant::now() + rig::DEADLINE;
    while rig.meter.snapshot().clients > 0 {
        assert!(std::time::Instant::now() < end);
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn h9_long_targets_are_414_and_large_heads_431() {
    let rig = start(|_| {});
    let long = "a".repeat(8 * 1024);
    assert_eq!(rig.get(&format!("/{long}"), "").await.status, 414);
    let field = format!("X-A: {}\r\n", "a".repeat(8000));
    assert_eq!(rig.get("/hundred", &field.repeat(3)).await.status, 200);
    assert_eq!(rig.get("/hundred", &field.repeat(5)).await.status, 431);
    assert_eq!(rig.get("/hundred", &"A: b\r\n".repeat(101)).await.status, 431);
    assert_eq!(rig.get("/hundred", &field.repeat(12)).await.status, 431, "beyond what is buffered at all");
}

#[tokio::test]
async fn h10_any_doubt_about_framing_is_400_and_close() {
    let rig = start(|_| {});
    for fields in [
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
        "Content-Length: 3\r\nContent-Length: 4\r\n",
        "Content-Length: +3\r\n",
        "Content-Length: 3 3\r\n",
        "Content-Length: 0x3\r\n",
        "Content-Length: \r\n",
        "Content-Length: -1\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: gzip\r\n",
    ] {
        // The second request must never be answered.
        let request = format!(
            "POST /b/{TOKEN}/up HTTP/1.1\r\nHost: a\r\n{fields}\r\n0\r\n\r\nGET /hundred HTTP/1.1\r\nHost: a\r\n\r\n"
        );
        let bytes = rig.exchange(&request).await;
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.starts_with("HTTP/1.1 400 "), "{fields:?} {text}");
        assert_eq!(text.matches("HTTP/1.1").count(), 1, "{fields:?} {text}");
    }
    assert_eq!(rig.ask("POST /b/x/up HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n").await.status, 400);
    assert!(rig.ledger.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn h11_malformed_heads_are_400() {
    let rig = start(|_| {});
    for head in [
        "GET /hundred HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
        "GET /hundred HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET /hundred HTTP/1.1\r\nHost: a\r\n: empty\r\n\r\n",
        "GET /hundred HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
        "GET /hun\x01dred HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET  /hundred HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /hundred HTTP/9.9\r\nHost: a\r\n\r\n",
    ] {
        let bytes = rig.exchange(head).await;
        assert!(
            bytes.is_empty() || bytes.starts_with(b"HTTP/1.1 400 "),
            "{head:?} {}",
            String::from_utf8_lossy(&bytes)
        );
    }
}

/// Today's behaviour: the parser drops a fragment instead of refusing it. Nothing behind us reads the target again.
#[tokio::test]
async fn h11_a_fragment_in_the_target_is_dropped() {
    let rig = start(|_| {});
    assert_eq!(rig.get("/hundred#x", "").await.status, 200);
}

#[tokio::test]
async fn h13_a_body_on_get_is_never_read_as_a_request() {
    let rig = start(|_| {});
    let smuggled = "GET /debian/linux HTTP/1.1\r\nHost: a\r\n\r\n";
    for method in ["GET", "HEAD", "DELETE"] {
        let request = format!(
            "{method} /hundred HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{smuggled}",
            smuggled.len()
        );
        let bytes = rig.exchange(&request).await;
        let text = String::from_utf8_lossy(&bytes);
        assert_eq!(text.matches("HTTP/1.1").count(), 1, "{method}");
        assert!(text.contains("Connection: close"), "{method} {text}");
    }
    assert!(rig.tree.asked.lock().unwrap().iter().all(|(name, _)| name == "hundred"));
}

#[tokio::test]
async fn h1_connect_and_options_of_the_whole_server_are_405() {
    let rig = start(|_| {});
    for (line, status) in
        [("CONNECT elsewhere:443", 405), ("CONNECT 127.0.0.1:22", 405), ("OPTIONS *", 405), ("GET *", 400)]
    {
        let bytes =
            rig.exchange(&format!("{line} HTTP/1.1\r\nHost: boot\r\nConnection: close\r\n\r\n")).await;
        let text = String::from_utf8_lossy(&bytes);
        let own = text.split(' ').nth(1).and_then(|code| code.parse::<u16>().ok());
        assert!(own == Some(status) || own == Some(400) || own == Some(404), "{line}: {text}");
    }
}

/// A sparse file of 5 GiB, mapped as the library maps its blobs.
fn five_gib() -> (bytes::Bytes, tempfile::TempDir) {
    use std::os::unix::fs::FileExt as _;
    let folder = tempfile::tempdir().unwrap();
    let digest: library::Digest = "ab".repeat(32).parse().unwrap();
    let blobs = library::Blobs::open_at(folder.path()).unwrap();
    let home = folder.path().join("blobs/sha256/ab");
    std::fs::create_dir_all(&home).unwrap();
    let file = std::fs::File::create_new(home.join(digest.to_string())).unwrap();
    file.set_len(5 << 30).unwrap();
    file.write_all_at(b"beyond 4 GiB", (4 << 30) + 7).unwrap();
    (blobs.open(digest, 5 << 30).unwrap(), folder)
}

#[tokio::test]
async fn h8_files_above_4_gib_have_their_whole_length_and_ranges() {
    let (content, _folder) = five_gib();
    let rig = rig::start_with(|_| {}, [("huge", content)]);
    let head = rig.ask("HEAD /huge HTTP/1.1\r\nHost: boot\r\nConnection: close\r\n\r\n").await;
    assert_eq!(head.field("Content-Length"), Some("5368709120"));
    let reply = rig.get("/huge", "Range: bytes=4294967303-4294967314\r\n").await;
    assert_eq!((reply.status, reply.text().as_str()), (206, "beyond 4 GiB"));
    assert_eq!(reply.field("Content-Range"), Some("bytes 4294967303-4294967314/5368709120"));
    let reply = rig.get("/huge", "Range: bytes=-3\r\n").await;
    assert_eq!(reply.field("Content-Range"), Some("bytes 5368709117-5368709119/5368709120"));
    let reply = rig.get("/huge", "Range: bytes=5368709120-\r\n").await;
    assert_eq!((reply.status, reply.field("Content-Range")), (416, Some("bytes */5368709120")));
}

#[tokio::test]
async fn h9_a_body_beyond_the_cap_is_413_and_close() {
    let rig = start(|_| {});
    for (length, status) in [("4097", 413), ("99999999999", 413), ("18446744073709551615", 431)] {
        let reply = rig
            .ask(&format!("POST /b/{TOKEN}/up HTTP/1.1\r\nHost: boot\r\nContent-Length: {length}\r\n\r\n"))
            .await;
        // `ask` returns when the connection is closed.
        assert_eq!(reply.status, status, "{length}");
    }
    assert!(rig.ledger.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn h12_chunked_bodies_of_any_shape_are_400_and_close() {
    let rig = start(|_| {});
    let endless = format!("4;{}\r\ndone\r\n0\r\n\r\n", "x=y;".repeat(5_000));
    let trailers = format!("0\r\n{}\r\n", "X: y\r\n".repeat(5_000));
    for body in [
        "4\r\ndone\r\n0\r\n\r\n",
        "00000000000000004\r\ndone\r\n0\r\n\r\n",
        "ffffffffffffffff\r\ndone\r\n0\r\n\r\n",
        "10000000000000000\r\ndone\r\n0\r\n\r\n",
        "-4\r\ndone\r\n0\r\n\r\n",
        "0x4\r\ndone\r\n0\r\n\r\n",
        "4\ndone\n0\n\n",
        "0\r\n\r\nGET /hundred HTTP/1.1\r\nHost: a\r\n\r\n",
        &endless,
        &trailers,
    ] {
        let request =
            format!("POST /b/{TOKEN}/up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        let bytes = rig.exchange(&request).await;
        let text = String::from_utf8_lossy(&bytes);
        // A reset may overtake the answer while we still send: nothing was taken all the same.
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 400 "), "{body:.40?} {text}");
        assert!(text.matches("HTTP/1.1").count() <= 1, "{body:.40?} {text}");
    }
    assert!(rig.ledger.0.lock().unwrap().is_empty());
    assert!(rig.tree.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn h14_a_connection_field_strips_nothing_from_its_request() {
    let rig = start(|_| {});
    let request = format!(
        "POST /b/{TOKEN}/up HTTP/1.1\r\nHost: boot\r\nContent-Length: 4\r\n\
         Connection: close, Host, Content-Length, Authorization\r\n\r\ndone"
    );
    assert_eq!(rig.ask(&request).await.status, 204);
    assert_eq!(*rig.ledger.0.lock().unwrap(), [("up".to_owned(), Some("done".to_owned()))]);
    let reply = rig.ask("GET /hundred HTTP/1.1\r\nConnection: close, Host\r\n\r\n").await;
    assert_eq!(reply.status, 400, "naming Host in Connection does not stand for having one");
}

#[tokio::test]
async fn h16_http_2_is_not_spoken() {
    let rig = start(|_| {});
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let bytes = rig.exchange(preface).await;
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 400 "), "{text:?}");
    let upgrade =
        "Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n";
    let reply = rig.ask(&format!("GET /hundred HTTP/1.1\r\nHost: boot\r\n{upgrade}\r\n")).await;
    assert_eq!((reply.status, reply.field("Upgrade")), (200, None));
}

#[tokio::test]
async fn a_mistyped_call_back_shows_its_token_to_nobody() {
    let rig = start(|_| {});
    for path in
        ["//b/T/up", "/B/T/up", "/%62/T/up", "/x/b/T/up", "/b%2fT/up", "/b/T", "/b/T/up/", "/T", "/b/T/UP"]
    {
        let path = path.replace('T', EXPIRED);
        assert!(rig.get(&path, "").await.status >= 400, "{path}");
    }
    rig.get("/nothing", "").await;
    rig.event(|event| event.field("file") == Some(&Value::from("nothing"))).await;
    let events = format!("{:?}", rig.events.0.lock().unwrap());
    assert!(!events.contains(EXPIRED), "{events}");
}

#[tokio::test]
async fn one_connection_serves_request_after_request() {
    let rig = start(|_| {});
    let mut stream = rig.connect().await;
    // Pipelined on purpose: the answers come in order.
    stream
        .write_all(b"HEAD /hundred HTTP/1.1\r\nHost: a\r\n\r\nGET /hundred HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    stream.write_all(b"GET /hundred HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    let bytes = rig::read_to_end(&mut stream).await;
    let count = bytes.windows(8).filter(|window| window == b"HTTP/1.1").count();
    assert_eq!(count, 3);
    assert!(bytes.ends_with(&(0..100).collect::<Vec<u8>>()));
}

#[tokio::test]
async fn a_file_sent_whole_is_recorded_with_its_bytes() {
    let rig = start(|_| {});
    assert_eq!(rig.get("/debian/linux", "").await.body.len(), 700_000);
    let event = rig.event(|event| event.name == EventName::HttpFile).await;
    assert_eq!(event.field("file"), Some(&Value::from("debian/linux")));
    assert_eq!(event.field("role"), Some(&Value::from("kernel")));
    assert_eq!(event.field("bytes"), Some(&Value::Number(700_000)));
    assert_eq!(event.field("status"), Some(&Value::Number(200)));
    assert_eq!(event.field("from"), Some(&Value::from("127.0.0.1")));
    assert!(matches!(event.field("ms"), Some(Value::Number(_))) && event.field("range").is_none());
    let reply = rig.get("/hundred", "Range: bytes=0-9\r\n").await;
    assert_eq!(reply.status, 206);
    let event = rig.event(|event| event.field("range").is_some()).await;
    assert_eq!(event.field("range"), Some(&Value::from("0-9/100")));
    assert_eq!(event.field("bytes"), Some(&Value::Number(10)));
    rig.get("/empty", "").await;
    rig.event(|event| event.field("file") == Some(&Value::from("empty"))).await;
    let meter = rig.meter.snapshot();
    assert_eq!((meter.files, meter.sent_bytes, meter.partial), (3, 700_010, 1));
}

#[tokio::test]
async fn a_loader_fetched_whole_has_an_event_of_its_own() {
    let rig = start(|_| {});
    rig.get("/ipxe.efi", "Range: bytes=0-0\r\n").await;
    rig.get("/ipxe.efi", "").await;
    let event = rig.event(|event| event.name == EventName::LoaderFetched).await;
    assert_eq!(event.field("file"), Some(&Value::from("ipxe.efi")));
    assert_eq!(event.field("bytes"), Some(&Value::Number(2)), "the part before it was not the whole");
    let files = rig.events.0.lock().unwrap().iter().filter(|event| event.name == EventName::HttpFile).count();
    assert_eq!(files, 2);
}

#[tokio::test]
async fn the_script_takes_facts_from_its_query_and_they_are_learned() {
    let rig = start(|_| {});
    let first = rig.get("/boot.ipxe", "").await;
    assert!(first.text().contains("chain"));
    assert!(rig.mind.0.lock().unwrap().is_empty());
    let reply =
        rig.get("//boot.ipxe?mac=52:54:00:12:34:56&uuid=&serial=A%20B&arch=x86_64&platform=efi", "").await;
    assert_eq!((reply.status, reply.text().as_str()), (200, "#!ipxe\nboot\n"));
    assert_eq!(reply.field("Cache-Control"), Some("no-store"));
    let learned = rig.mind.0.lock().unwrap().clone();
    assert_eq!(learned.len(), 1);
    assert_eq!(learned[0].firmware, Some(Firmware::UefiX64));
    assert_eq!(learned[0].serial.as_deref(), Some("A B"));
    let event = rig.event(|event| event.name == EventName::HttpScript && event.mac.is_some()).await;
    assert_eq!(event.field("role"), Some(&Value::from("script")));
    let refused = rig.get("/boot.ipxe?mac=zz", "").await;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("not a MAC address"), "{}", refused.text());
}

#[tokio::test]
async fn call_backs_reach_the_ledger_with_their_detail() {
    let rig = start(|_| {});
    assert_eq!(rig.get(&format!("/b/{TOKEN}/up"), "").await.status, 204);
    let text = "error\x1b[31m: no disk\n";
    let post = |path: &str, body: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    assert_eq!(rig.ask(&post(&format!("/b/{TOKEN}/failed"), text)).await.status, 204);
    let calls = rig.ledger.0.lock().unwrap().clone();
    assert_eq!(
        calls,
        [("up".to_owned(), None), ("failed".to_owned(), Some("error[31m: no disk".to_owned()))]
    );
    for (path, status) in [
        (format!("/b/{EXPIRED}/up"), 410),
        (format!("/b/{FOREIGN}/up"), 404),
        ("/b/0123456789abcdef0123456789abcdef/up".to_owned(), 404),
        ("/b/short/up".to_owned(), 404),
        (format!("/b/{TOKEN}/UP%20"), 400),
    ] {
        assert_eq!(rig.get(&path, "").await.status, status, "{path}");
    }
    assert_eq!(rig.ask(&post(&format!("/b/{TOKEN}/up"), &"x".repeat(4097))).await.status, 413);
    let put = rig.ask(&format!("PUT /b/{TOKEN}/up HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).await;
    assert_eq!((put.status, put.field("Allow")), (405, Some("GET, POST")));
    assert!(
        rig.events.0.lock().unwrap().iter().all(|event| !format!("{event:?}").contains(EXPIRED)),
        "tokens are secrets"
    );
}

#[tokio::test]
async fn machines_left_alone_and_broken_files_have_their_own_answers() {
    let rig = start(|_| {});
    let reply = rig.get("/ignored", "").await;
    assert_eq!((reply.status, reply.text().contains("unknown_ignored")), (404, true));
    let reply = rig.get("/broken", "").await;
    assert_eq!((reply.status, reply.field("Retry-After")), (503, Some("2")));
    let event = rig.event(|event| event.reason == Some("unreadable")).await;
    assert_eq!(event.name, EventName::HttpRefused);
}

#[tokio::test]
async fn curl_gets_the_same_bytes_and_resumes() {
    let rig = start(|_| {});
    let url = format!("http://{}/debian/linux", rig.address);
    let run = |args: Vec<String>| async move {
        tokio::task::spawn_blocking(move || std::process::Command::new("curl").args(args).output())
            .await
            .unwrap()
    };
    let output = match run(vec!["-sS".into(), "--max-time".into(), "20".into(), url.clone()]).await {
        Ok(output) => output,
        Err(error) => {
            assert!(std::env::var_os("REVEILLE_REQUIRE_TOOLS").is_none(), "curl is required: {error}");
            eprintln!("SKIPPED: no curl: {error}");
            return;
        }
    };
    assert!(output.status.success());
    assert_eq!(output.stdout, vec![7u8; 700_000]);
    let output = run(vec!["-sS".into(), "--max-time".into(), "20".into(), "-C".into(), "699990".into(), url])
        .await
        .unwrap();
    assert_eq!(output.stdout, vec![7u8; 10]);
}
