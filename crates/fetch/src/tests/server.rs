//! A server that does to each request what a test tells it, on loopback.

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// One request as it came.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    pub(super) target: String,
    pub(super) head: String,
}

impl Asked {
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (own, value) = line.split_once(':')?;
            own.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// First byte of the range asked for.
    pub(super) fn from(&self) -> Option<usize> {
        self.field("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

pub(super) struct Server {
    address: SocketAddr,
    secure: bool,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// Calls `answer` with the number of each request, from 0, the request, and where to write; then closes.
    pub(super) fn start(
        answer: impl Fn(usize, &Asked, &mut dyn Write) -> io::Result<()> + Send + Sync + 'static,
    ) -> Server {
        Server::over(None, answer)
    }

    pub(super) fn secure(
        answer: impl Fn(usize, &Asked, &mut dyn Write) -> io::Result<()> + Send + Sync + 'static,
    ) -> Server {
        let certificate =
            CertificateDer::from_pem_slice(include_bytes!("../../testdata/test-server.pem")).unwrap();
        let key =
            PrivateKeyDer::from_pem_slice(include_bytes!("../../testdata/test-server.key.pem")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        Server::over(Some(Arc::new(config)), answer)
    }

    fn over(
        tls: Option<Arc<rustls::ServerConfig>>,
        answer: impl Fn(usize, &Asked, &mut dyn Write) -> io::Result<()> + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server =
            Server { address: listener.local_addr().unwrap(), secure: tls.is_some(), asked: Arc::default() };
        let (asked, answer) = (server.asked.clone(), Arc::new(answer));
        // Ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (asked, answer, tls) = (asked.clone(), answer.clone(), tls.clone());
                std::thread::spawn(move || {
                    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                    let _ = match tls {
                        None => serve(stream, &asked, &*answer),
                        Some(config) => {
                            let connection = rustls::ServerConnection::new(config).unwrap();
                            serve(rustls::StreamOwned::new(connection, stream), &asked, &*answer)
                        }
                    };
                });
            }
        });
        server
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", if self.secure { "https" } else { "http" }, self.address)
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(
    mut stream: impl Read + Write,
    asked: &Mutex<Vec<Asked>>,
    answer: &dyn Fn(usize, &Asked, &mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0u8];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let request = Asked { target: head.split(' ').nth(1).unwrap().to_owned(), head };
    let number = {
        let mut asked = asked.lock().unwrap();
        asked.push(request.clone());
        asked.len() - 1
    };
    answer(number, &request, &mut stream)?;
    stream.flush()
}

/// Answers as a good server does, but writes no more than `most` bytes of the body.
pub(super) fn good(
    asked: &Asked,
    to: &mut dyn Write,
    file: &[u8],
    etag: &str,
    most: usize,
) -> io::Result<()> {
    let from = asked.from().filter(|from| asked.field("if-range") == Some(etag) && *from < file.len());
    let body = &file[from.unwrap_or(0)..];
    match from {
        Some(from) => write!(
            to,
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {from}-{}/{}\r\n",
            file.len() - 1,
            file.len()
        )?,
        None => write!(to, "HTTP/1.1 200 OK\r\n")?,
    }
    write!(to, "ETag: {etag}\r\nContent-Length: {}\r\n\r\n", body.len())?;
    to.write_all(&body[..most.min(body.len())])
}

/// A connection that is open and says nothing.
pub(super) fn silence() {
    std::thread::sleep(Duration::from_secs(20));
}

/// For tests that need the raw socket's peer to be somebody who never answers.
pub(super) fn deaf() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    (listener, url)
}
