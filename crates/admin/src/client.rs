//! The CLI's side of the socket: one connection per request, errors in the one form.

use crate::Problem;
use crate::api::store::RECORDS_FIELD;
use crate::problem::PROBLEM_JSON;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, HOST, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;

/// Largest answer that is read whole.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Longest line of a stream.
const LINE_BYTES_MAX: usize = 1 << 20;

/// For the whole of a request that is no stream.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes of a body that is sent in pieces.
pub type Piece = Bytes;

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens on the socket.
    #[error("the reveille daemon is not running (no answer on {})", .socket.display())]
    NotRunning {
        /// Where it should listen.
        socket: PathBuf,
    },
    /// The socket may not be opened by this user.
    #[error("this user may not connect to {}", .socket.display())]
    Denied {
        /// Which.
        socket: PathBuf,
    },
    /// The daemon said no.
    #[error("{0}")]
    Problem(Box<Problem>),
    /// The daemon took too long.
    #[error("the daemon did not answer in time")]
    TimedOut,
    /// The answer made no sense; client and daemon may be of different versions.
    #[error("the daemon's answer cannot be read: {0}")]
    Protocol(String),
    /// The connection broke.
    #[error("the connection to the daemon broke")]
    Io(#[source] io::Error),
}

impl ClientError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            ClientError::NotRunning { .. } => {
                Some("`reveille run` starts it; `--socket` names another socket".to_owned())
            }
            ClientError::Denied { socket } => {
                Some(format!("use root or join the group that owns {}", socket.display()))
            }
            ClientError::Problem(problem) => problem.fix.clone(),
            ClientError::TimedOut => Some("look at the daemon's log".to_owned()),
            ClientError::Protocol(_) => Some("compare `reveille version` with the daemon's".to_owned()),
            ClientError::Io(_) => None,
        }
    }

    /// Exit code for a command that ends with this: 1 failed, 2 usage, 4 permission, 5 not found, 6 conflict,
    /// 7 timed out, 8 unreachable.
    pub fn exit_code(&self) -> u8 {
        match self {
            ClientError::NotRunning { .. } | ClientError::Io(_) => 8,
            ClientError::Denied { .. } => 4,
            ClientError::TimedOut => 7,
            ClientError::Protocol(_) => 1,
            ClientError::Problem(problem) => match problem.status {
                400 | 422 => 2,
                401 | 403 => 4,
                404 => 5,
                409 | 412 | 428 => 6,
                _ => 1,
            },
        }
    }
}

/// What a write expects to find, as the client says it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Condition {
    /// No condition: for requests that take none.
    Nothing,
    /// Must be new.
    Create,
    /// Must be at the revision of this `ETag`.
    Match(String),
    /// Must be there, whatever its revision.
    Present,
}

/// A whole answer.
#[derive(Clone, PartialEq, Debug)]
pub struct Answer<T> {
    /// HTTP status, a success.
    pub status: u16,
    /// The `ETag`, for a later [`Condition::Match`].
    pub etag: Option<String>,
    /// The body.
    pub body: T,
}

/// A way to the daemon.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
    patience: Duration,
}

impl Client {
    /// A client for a socket; connects with each request.
    pub fn new(socket: impl Into<PathBuf>) -> Client {
        Client { socket: socket.into(), patience: TIMEOUT }
    }

    /// Waits so long for an answer: some take as long as a machine takes to shut down.
    #[must_use]
    pub fn patient(self, patience: Duration) -> Client {
        Client { patience, ..self }
    }

    /// Its socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// `GET /api/v1<path>`.
    ///
    /// # Errors
    /// When the daemon is not reached or says no.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<Answer<T>, ClientError> {
        self.request(Method::GET, path, None::<&()>, &Condition::Nothing).await
    }

    /// `PUT`.
    ///
    /// # Errors
    /// As [`get`](Client::get).
    pub async fn put<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        condition: &Condition,
    ) -> Result<Answer<T>, ClientError> {
        self.request(Method::PUT, path, Some(body), condition).await
    }

    /// `POST`.
    ///
    /// # Errors
    /// As [`get`](Client::get).
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<Answer<T>, ClientError> {
        self.request(Method::POST, path, Some(body), &Condition::Nothing).await
    }

    /// `DELETE`.
    ///
    /// # Errors
    /// As [`get`](Client::get).
    pub async fn delete<T: DeserializeOwned>(
        &self,
        path: &str,
        condition: &Condition,
    ) -> Result<Answer<T>, ClientError> {
        self.request(Method::DELETE, path, None::<&()>, condition).await
    }

    /// `PUT` of something large, in pieces as they come; `length` in bytes where it is known before.
    ///
    /// # Errors
    /// As [`get`](Client::get), and [`ClientError::Io`] when a piece is an error: the daemon gets a body without an end then.
    pub async fn upload<T: DeserializeOwned>(
        &self,
        path: &str,
        pieces: tokio::sync::mpsc::Receiver<io::Result<Piece>>,
        length: Option<u64>,
    ) -> Result<Answer<T>, ClientError> {
        let frames = futures_util::stream::unfold(pieces, |mut pieces| async move {
            let piece = pieces.recv().await?;
            Some((piece.map(http_body::Frame::data), pieces))
        });
        let mut request = Request::builder()
            .method(Method::PUT)
            .uri(format!("/api/v1{path}"))
            .header(HOST, "localhost")
            .header(CONTENT_TYPE, "application/octet-stream");
        if let Some(length) = length {
            request = request.header(CONTENT_LENGTH, length);
        }
        let body = http_body_util::StreamBody::new(Box::pin(frames));
        let request = request.body(body).map_err(|error| ClientError::Protocol(error.to_string()))?;
        let response = self.send(request).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = whole(response.into_body()).await?;
        if !status.is_success() {
            return Err(refusal(status, &headers, &bytes));
        }
        let body =
            serde_json::from_slice(&bytes).map_err(|error| ClientError::Protocol(error.to_string()))?;
        Ok(Answer { status: status.as_u16(), etag: None, body })
    }

    /// Fetches something large, such as `/store/backup`, in pieces.
    ///
    /// # Errors
    /// As [`get`](Client::get); a connection that breaks later is told by [`Pieces::next`].
    pub async fn download(&self, path: &str) -> Result<Pieces, ClientError> {
        let response = self.begin(path).await?;
        let headers = response.headers();
        let number = |name: &str| headers.get(name)?.to_str().ok()?.parse().ok();
        let tag = headers.get(ETAG).and_then(|tag| tag.to_str().ok());
        Ok(Pieces {
            revision: tag
                .and_then(|tag| tag.strip_prefix("\"r")?.strip_suffix('"')?.parse().ok())
                .unwrap_or_default(),
            records: number(RECORDS_FIELD).unwrap_or_default(),
            bytes: number(CONTENT_LENGTH.as_str()),
            body: response.into_body(),
        })
    }

    /// Follows a stream of lines such as `/events?follow=true`.
    ///
    /// # Errors
    /// As [`get`](Client::get); a stream that ends later is told by [`Lines::next`].
    pub async fn follow(&self, path: &str) -> Result<Lines, ClientError> {
        Ok(Lines { body: self.begin(path).await?.into_body(), buffer: BytesMut::new() })
    }

    /// Sends a request whose answer comes in time or in parts.
    async fn begin(&self, path: &str) -> Result<http::Response<Incoming>, ClientError> {
        let request = build(Method::GET, path, Bytes::new(), &Condition::Nothing)?;
        let response =
            tokio::time::timeout(TIMEOUT, self.send(request)).await.map_err(|_| ClientError::TimedOut)??;
        let status = response.status();
        if !status.is_success() {
            let headers = response.headers().clone();
            return Err(refusal(status, &headers, &whole(response.into_body()).await?));
        }
        Ok(response)
    }

    async fn request<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
        condition: &Condition,
    ) -> Result<Answer<T>, ClientError> {
        let bytes = match body {
            Some(body) => {
                serde_json::to_vec(body).map_err(|error| ClientError::Protocol(error.to_string()))?
            }
            None => Vec::new(),
        };
        let request = build(method, path, bytes.into(), condition)?;
        let exchange = async {
            let response = self.send(request).await?;
            let (status, headers) = (response.status(), response.headers().clone());
            Ok((status, headers, whole(response.into_body()).await?))
        };
        let (status, headers, bytes) =
            tokio::time::timeout(self.patience, exchange).await.map_err(|_| ClientError::TimedOut)??;
        // An unhealthy daemon still tells its health.
        let is_problem = headers.get(CONTENT_TYPE).is_some_and(|kind| kind == PROBLEM_JSON);
        if is_problem || !(status.is_success() || status == StatusCode::SERVICE_UNAVAILABLE) {
            return Err(refusal(status, &headers, &bytes));
        }
        let body =
            if bytes.is_empty() { serde_json::from_str("null") } else { serde_json::from_slice(&bytes) };
        Ok(Answer {
            status: status.as_u16(),
            etag: headers.get(ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned),
            body: body.map_err(|error| ClientError::Protocol(error.to_string()))?,
        })
    }

    async fn send<B>(&self, request: Request<B>) -> Result<http::Response<Incoming>, ClientError>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                ClientError::NotRunning { socket: self.socket.clone() }
            }
            io::ErrorKind::PermissionDenied => ClientError::Denied { socket: self.socket.clone() },
            _ => ClientError::Io(error),
        })?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // Ends when the answer is read or dropped.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "connection to the daemon ended early"
                );
            }
        });
        sender.send_request(request).await.map_err(broken)
    }
}

/// The pieces of a download.
pub struct Pieces {
    /// Revision of the store that it shows.
    pub revision: u64,
    /// Records in it.
    pub records: u64,
    /// Length of the whole in bytes, where the daemon knows it before.
    pub bytes: Option<u64>,
    body: Incoming,
}

impl Pieces {
    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// When the connection breaks before the end, or no byte comes for a minute.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        loop {
            let frame = tokio::time::timeout(TIMEOUT, self.body.frame()).await;
            match frame.map_err(|_| ClientError::TimedOut)? {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Some(Err(error)) => return Err(broken(error)),
            }
        }
    }
}

/// The lines of a stream.
pub struct Lines {
    body: Incoming,
    buffer: BytesMut,
}

impl Lines {
    /// The next line without its end; `None` when the daemon ended the stream. Empty lines are skipped.
    ///
    /// # Errors
    /// When the connection breaks or a line is absurdly long.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|&byte| byte == b'\n') {
                let mut line = self.buffer.split_to(end + 1);
                line.truncate(end);
                if !line.is_empty() {
                    return Ok(Some(line.freeze()));
                }
                continue;
            }
            if self.buffer.len() > LINE_BYTES_MAX {
                return Err(ClientError::Protocol("a line is longer than 1 MiB".to_owned()));
            }
            match self.body.frame().await {
                None if self.buffer.is_empty() => return Ok(None),
                None => return Ok(Some(std::mem::take(&mut self.buffer).freeze())),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => return Err(broken(error)),
            }
        }
    }
}

fn build(
    method: Method,
    path: &str,
    body: Bytes,
    condition: &Condition,
) -> Result<Request<Full<Bytes>>, ClientError> {
    let mut request =
        Request::builder().method(method).uri(format!("/api/v1{path}")).header(HOST, "localhost");
    if !body.is_empty() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    request = match condition {
        Condition::Nothing => request,
        Condition::Create => request.header(IF_NONE_MATCH, "*"),
        Condition::Match(tag) => request.header(IF_MATCH, tag),
        Condition::Present => request.header(IF_MATCH, "*"),
    };
    request.body(Full::new(body)).map_err(|error| ClientError::Protocol(error.to_string()))
}

async fn whole(body: Incoming) -> Result<Bytes, ClientError> {
    match Limited::new(body, ANSWER_BYTES_MAX).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            Err(ClientError::Protocol("it is larger than 64 MiB".to_owned()))
        }
        Err(error) => Err(ClientError::Io(io::Error::other(error))),
    }
}

fn refusal(status: StatusCode, headers: &HeaderMap, bytes: &[u8]) -> ClientError {
    let is_problem = headers.get(CONTENT_TYPE).is_some_and(|kind| kind == PROBLEM_JSON);
    match serde_json::from_slice::<Problem>(bytes) {
        Ok(problem) if is_problem => ClientError::Problem(Box::new(problem)),
        _ => ClientError::Protocol(format!("status {status} without a reason")),
    }
}

fn broken(error: hyper::Error) -> ClientError {
    ClientError::Io(io::Error::other(error))
}
