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
    pub(super) body: Vec<u8>,
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

    /// One that shows the certificate of [`Server::secure`] and has another key, made when it starts.
    pub(super) fn impostor(
        answer: impl Fn(usize, &Asked, &mut dyn Write) -> io::Result<()> + Send + Sync + 'static,
    ) -> Server {
        #[derive(Debug)]
        struct Shown(Arc<rustls::sign::CertifiedKey>);
        impl rustls::server::ResolvesServerCert for Shown {
            fn resolve(&self, _: rustls::server::ClientHello<'_>) -> Option<Arc<rustls::sign::CertifiedKey>> {
                Some(self.0.clone())
            }
        }
        let certificate =
            CertificateDer::from_pem_slice(include_bytes!("../../testdata/test-server.pem")).unwrap();
        // PKCS#8 of the P-256 key that is the number one (RFC 5958, RFC 5915): its public half is the curve's generator.
        let mut key = vec![
            0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02,
            0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x6d, 0x30, 0x6b, 0x02,
            0x01, 0x01, 0x04, 0x20,
        ];
        key.extend([0; 31]);
        key.extend([
            0x01, 0xa1, 0x44, 0x03, 0x42, 0x00, 0x04, 0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8,
            0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4,
            0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96, 0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e,
            0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb,
            0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5,
        ]);
        let key = rustls::crypto::ring::sign::any_ecdsa_type(&PrivateKeyDer::Pkcs8(key.into())).unwrap();
        let shown = Shown(Arc::new(rustls::sign::CertifiedKey::new(vec![certificate], key)));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(shown));
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
    let mut request = Asked { target: head.split(' ').nth(1).unwrap().to_owned(), head, body: Vec::new() };
    if let Some(length) = request.field("content-length") {
        request.body = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut request.body)?;
    }
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
