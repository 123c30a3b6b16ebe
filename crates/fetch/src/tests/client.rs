use super::*;
use crate::{Client, Question, Reply, Trust, basic_authorization};
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method};

const SIZE_MAX: u64 = 100_000;

fn ask(trust: &Trust, url: &str, question: Question, watch: &mut Until) -> Result<Reply, FetchError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let client = Client::new(trust, Limits { bytes_max: SIZE_MAX, ..limits() })?;
    runtime.block_on(client.exchange(&url.parse().unwrap(), question, watch))
}

fn get() -> Question {
    Question { method: Method::GET, headers: HeaderMap::new(), body: Bytes::new() }
}

fn get_by(trust: &Trust, url: &str) -> Result<Reply, FetchError> {
    ask(trust, url, get(), &mut Until::default())
}

#[test]
fn a_question_has_its_method_fields_and_body_and_any_status_is_an_answer() {
    let server = Server::start(|_, _, to| {
        write!(to, "HTTP/1.1 418 Teapot\r\nETag: \"t\"\r\nContent-Length: 5\r\n\r\nshort")
    });
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, basic_authorization("bob", "s@crets").unwrap());
    let question = Question { method: Method::PATCH, headers, body: "{\"a\":1}".into() };
    let reply = ask(&Trust::Anyone, &server.url("/x?y"), question, &mut Until::default()).unwrap();
    assert_eq!((reply.status.as_u16(), reply.body.as_slice()), (418, b"short".as_slice()));
    assert_eq!(reply.headers.get("etag").unwrap(), "\"t\"");
    let asked = &server.asked()[0];
    assert!(asked.head.starts_with("PATCH /x?y HTTP/1.1\r\n"), "{}", asked.head);
    assert_eq!(asked.field("authorization"), Some("Basic Ym9iOnNAY3JldHM="));
    assert_eq!(asked.body, b"{\"a\":1}");
    assert!(format!("{:?}", basic_authorization("bob", "s@crets")).contains("Sensitive"));
    assert_eq!(basic_authorization("a:b", "c"), None);
}

#[test]
fn no_redirect_is_followed() {
    let server =
        Server::start(|_, _, to| write!(to, "HTTP/1.1 302 x\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n"));
    let reply = get_by(&Trust::Anyone, &server.url("/x")).unwrap();
    assert_eq!((reply.status.as_u16(), server.asked().len()), (302, 1));
}

#[test]
fn an_answer_is_no_larger_than_allowed() {
    let says =
        Server::start(|_, _, to| write!(to, "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nx"));
    let error = get_by(&Trust::Anyone, &says.url("/x")).err().unwrap();
    assert!(matches!(error, FetchError::TooLarge { says: Some(99_999_999_999), .. }), "{error:?}");
    let endless = Server::start(|_, _, to| {
        write!(to, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        loop {
            write!(to, "1000\r\n{}\r\n", "x".repeat(0x1000))?;
        }
    });
    let error = get_by(&Trust::Anyone, &endless.url("/x")).err().unwrap();
    assert!(matches!(error, FetchError::TooLarge { says: None, .. }), "{error:?}");
    let exact = Server::start(|_, _, to| {
        write!(to, "HTTP/1.1 200 OK\r\nContent-Length: {SIZE_MAX}\r\n\r\n")?;
        to.write_all(&vec![b'x'; usize::try_from(SIZE_MAX).unwrap()])
    });
    assert_eq!(get_by(&Trust::Anyone, &exact.url("/x")).unwrap().body.len() as u64, SIZE_MAX);
}

#[test]
fn a_pinned_server_is_known_by_its_certificate_alone() {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;
    let server = Server::secure(|_, _, to| write!(to, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    let own = CertificateDer::from_pem_slice(include_bytes!("../../testdata/test-server.pem")).unwrap();
    let pin: [u8; 32] = Sha256::digest(&own).into();
    assert_eq!(get_by(&Trust::Pinned(pin), &server.url("/")).unwrap().body, b"ok");
    // Its certificate names other addresses than this one: the pin is enough.
    let other = server.url("/").replace("127.0.0.1", "127.0.0.2");
    if let Err(error) = get_by(&Trust::Pinned(pin), &other) {
        assert!(matches!(error, FetchError::Connect { .. }), "{error:?}");
    }
    let error = get_by(&Trust::Pinned([7; 32]), &server.url("/")).err().unwrap();
    let FetchError::Tls { source, .. } = &error else { panic!("{error:?}") };
    assert!(source.to_string().contains(&hex(&pin)), "{source}");
    assert_eq!(get_by(&Trust::Anyone, &server.url("/")).unwrap().body, b"ok");
    let ca = Trust::from_pem(include_bytes!("../../testdata/test-ca.pem")).unwrap();
    assert_eq!(get_by(&ca, &server.url("/")).unwrap().body, b"ok");
    // The CA's certificate is no pin of the server's.
    let Trust::These(ca) = ca else { panic!() };
    let pin: [u8; 32] = Sha256::digest(&ca[0]).into();
    assert!(matches!(get_by(&Trust::Pinned(pin), &server.url("/")), Err(FetchError::Tls { .. })));
    assert!(Trust::from_pem(b"nothing in here").is_none());
    assert!(Trust::from_pem(include_bytes!("../../testdata/test-server.key.pem")).is_none());
}

#[test]
fn a_certificate_without_its_key_is_not_enough() {
    // Somebody in between shows the pinned certificate, which everybody can have, and signs with a key of his own.
    let server = Server::impostor(|_, _, to| write!(to, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;
    let own = CertificateDer::from_pem_slice(include_bytes!("../../testdata/test-server.pem")).unwrap();
    let pin: [u8; 32] = Sha256::digest(&own).into();
    for trust in [Trust::Pinned(pin), Trust::Anyone] {
        let error = get_by(&trust, &server.url("/")).err().unwrap();
        assert!(matches!(error, FetchError::Tls { .. }), "{error:?}");
    }
    assert!(server.asked().is_empty());
}

#[test]
fn a_question_is_left_when_it_is_cancelled() {
    let server = Server::start(|_, _, _| {
        silence();
        Ok(())
    });
    let mut watch = Until::default();
    watch.stop.store(true, Ordering::Relaxed);
    let error = ask(&Trust::Anyone, &server.url("/"), get(), &mut watch).err().unwrap();
    assert!(matches!(error, FetchError::Cancelled), "{error:?}");
}
