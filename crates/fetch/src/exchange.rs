//! One question to one server: resolve, connect, TLS, request, head of the answer. Every wait has an end and is left at
//! once when the download is cancelled. No proxy, no cookies, no kept connections, no decompression.

use crate::error::FetchError;
use crate::limits::{HEAD_BYTES_MAX, LOOK_EVERY, Limits};
use crate::location::Location;
use crate::{Watch, trust};
use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, HOST, IF_RANGE, RANGE, USER_AGENT};
use http::request::Builder;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// What every question of a download has in common.
pub(crate) struct Asker<'a> {
    pub(crate) limits: &'a Limits,
    pub(crate) watch: &'a mut dyn Watch,
    /// Whom to trust; the system's when it is first needed.
    pub(crate) trusted: Option<Arc<ClientConfig>>,
    /// The first server of the chain was this machine or this link: then a redirect may lead there too.
    pub(crate) inward: Option<bool>,
    /// Bytes there are, for messages.
    pub(crate) have: u64,
}

/// An answer whose body is still to come. The connection ends with it.
pub(crate) struct Answer {
    pub(crate) response: Response<Incoming>,
    _connection: Connection,
}

struct Connection(JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Asker<'_> {
    /// Asks one server, following nothing. `from` is where a redirect came from.
    pub(crate) async fn ask(
        &mut self,
        location: &Location,
        rest: Option<(u64, &str)>,
        from: Option<&Location>,
    ) -> Result<Answer, FetchError> {
        let mut request = head(Method::GET, location).header(ACCEPT, "*/*");
        if let Some(credentials) = location.authorization() {
            request = request.header(AUTHORIZATION, credentials);
        }
        if let Some((from, validator)) = rest {
            request = request.header(RANGE, format!("bytes={from}-")).header(IF_RANGE, validator);
        }
        let request = request.body(Full::default()).map_err(|error| FetchError::Broken {
            authority: location.authority(),
            bytes: self.have,
            source: io::Error::other(error),
        })?;
        self.send(location, request, from).await
    }

    /// Sends one request to one server and waits for the head of its answer.
    pub(crate) async fn send(
        &mut self,
        location: &Location,
        request: Request<Full<Bytes>>,
        from: Option<&Location>,
    ) -> Result<Answer, FetchError> {
        let stream = self.connect(location, from).await?;
        let authority = location.authority();
        let broken =
            |source: io::Error| FetchError::Broken { authority: authority.clone(), bytes: self.have, source };
        let exchange = async {
            let mut protocol = http1::Builder::new();
            protocol.max_buf_size(HEAD_BYTES_MAX);
            let (mut sender, connection) = protocol.handshake(TokioIo::new(stream)).await?;
            let connection = tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(
                        error = &error as &dyn std::error::Error,
                        "a download's connection ended early"
                    );
                }
            });
            let connection = Connection(connection);
            let response = sender.send_request(request).await?;
            Ok(Answer { response, _connection: connection })
        };
        let waited = patiently(self.watch, self.limits.stall_wait, exchange).await;
        let answered =
            waited.map_err(|ended| ended.says(&authority, "did not answer", self.limits.stall_wait))?;
        answered.map_err(|error: hyper::Error| broken(io::Error::other(error)))
    }

    /// The next bytes of a body; `None` at its end.
    pub(crate) async fn piece(
        &mut self,
        location: &Location,
        answer: &mut Answer,
    ) -> Result<Option<Bytes>, FetchError> {
        loop {
            let waited =
                patiently(self.watch, self.limits.stall_wait, answer.response.body_mut().frame()).await;
            let authority = || location.authority();
            let frame =
                waited.map_err(|ended| ended.says(&authority(), "sent nothing", self.limits.stall_wait))?;
            match frame {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Some(Err(error)) => {
                    let source = io::Error::other(error);
                    return Err(FetchError::Broken { authority: authority(), bytes: self.have, source });
                }
            }
        }
    }

    async fn connect(
        &mut self,
        location: &Location,
        from: Option<&Location>,
    ) -> Result<Box<dyn Stream>, FetchError> {
        let (wait, authority) = (self.limits.connect_wait, location.authority());
        let until = Instant::now() + wait;
        let late = |ended: Ended| ended.says(&authority, "did not connect", wait);
        let host = location.host().to_owned();
        let looked_up = async {
            let found = tokio::net::lookup_host((host.as_str(), location.port())).await;
            found.map(Iterator::collect::<Vec<SocketAddr>>)
        };
        let resolved = patiently(self.watch, wait, looked_up).await.map_err(late)?;
        let mut addresses = resolved.map_err(|source| FetchError::Resolve { host: host.clone(), source })?;
        let allowed =
            *self.inward.get_or_insert_with(|| addresses.iter().any(|address| inward(address.ip())));
        if let Some(from) = from.filter(|_| !allowed) {
            addresses.retain(|address| !inward(address.ip()));
            if addresses.is_empty() {
                return Err(FetchError::RedirectInward { from: from.to_string(), to: location.to_string() });
            }
        }
        let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
        let mut stream = None;
        for (place, address) in addresses.iter().enumerate() {
            // What is left, shared among those that are left.
            let others = u32::try_from(addresses.len() - place).unwrap_or(u32::MAX);
            let share = until.saturating_duration_since(Instant::now()) / others;
            match patiently(self.watch, share, TcpStream::connect(address)).await {
                Ok(Ok(connected)) => {
                    stream = Some(connected);
                    break;
                }
                Ok(Err(error)) => failed = error,
                Err(Ended::Cancelled) => return Err(FetchError::Cancelled),
                Err(Ended::TooLate) => failed = io::ErrorKind::TimedOut.into(),
            }
        }
        let Some(stream) = stream else {
            return Err(FetchError::Connect { authority, source: failed });
        };
        if !location.is_secure() {
            return Ok(Box::new(stream));
        }
        let trusted = match &self.trusted {
            Some(trusted) => trusted.clone(),
            None => self.trusted.insert(trust::system()?).clone(),
        };
        let name = ServerName::try_from(host);
        let name = name.map_err(|error| FetchError::Tls {
            authority: authority.clone(),
            source: io::Error::other(error),
        })?;
        let shaking = tokio_rustls::TlsConnector::from(trusted).connect(name, stream);
        let left = until.saturating_duration_since(Instant::now());
        match patiently(self.watch, left, shaking).await.map_err(late)? {
            Ok(stream) => Ok(Box::new(stream)),
            // What rustls refuses it refuses again.
            Err(source) if source.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) => {
                Err(FetchError::Tls { authority, source })
            }
            Err(source) => Err(FetchError::Connect { authority, source }),
        }
    }
}

/// What every request of ours says.
pub(crate) fn head(method: Method, location: &Location) -> Builder {
    Request::builder()
        .method(method)
        .uri(location.target())
        .header(HOST, location.authority())
        .header(USER_AGENT, concat!("reveille/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT_ENCODING, "identity")
        .header(CONNECTION, "close")
}

/// This machine, or what only this link has: where somebody outside may not send us.
fn inward(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_link_local() || v4.is_unspecified() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local() || v6.is_unspecified(),
    }
}

/// Why a wait ended without what was waited for.
pub(crate) enum Ended {
    Cancelled,
    TooLate,
}

impl Ended {
    fn says(self, authority: &str, what: &'static str, wait: Duration) -> FetchError {
        match self {
            Ended::Cancelled => FetchError::Cancelled,
            Ended::TooLate => FetchError::TimedOut { authority: authority.to_owned(), what, wait },
        }
    }
}

/// Waits this long at most, and no longer than until the download is cancelled.
pub(crate) async fn patiently<T>(
    watch: &dyn Watch,
    wait: Duration,
    future: impl Future<Output = T>,
) -> Result<T, Ended> {
    let until = Instant::now() + wait;
    let mut future = pin!(future);
    loop {
        let look = LOOK_EVERY.min(until.saturating_duration_since(Instant::now()));
        tokio::select! {
            biased;
            output = future.as_mut() => return Ok(output),
            () = tokio::time::sleep(look) => {}
        }
        if watch.cancelled() {
            return Err(Ended::Cancelled);
        }
        if Instant::now() >= until {
            return Err(Ended::TooLate);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_and_this_link_are_inward() {
        for own in [
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "169.254.169.254",
            "fe80::1",
            "0.0.0.0",
            "::",
            "::ffff:127.0.0.1",
        ] {
            assert!(inward(own.parse().unwrap()), "{own}");
        }
        for other in ["10.0.0.1", "192.168.1.1", "8.8.8.8", "2001:db8::1", "fd00::1"] {
            assert!(!inward(other.parse().unwrap()), "{other}");
        }
    }
}
