//! Logs of installers: `POST|PUT /b/<token>/log/<name>`, the bytes of the log as the body, under its boot's secret.
//!
//! Whoever is on the wire may try, so in this order: the name, the length said (one must be said), the secret, the room; only
//! then is the body asked for and goes piece by piece to whoever keeps it ([`Logs`]). Of an upload no
//! more than a piece and a frame are in memory. One that is silent for as long as a call-back's body may be, takes longer than [`LOG_TIME`] in
//! all, or ends before its length leaves nothing behind.

use crate::counters::{add, bump};
use crate::door::{Link, Shared};
use crate::limits::{LOG_BYTES_MAX, LOG_NAME_BYTES_MAX, LOG_TIME};
use crate::refusal::Refusal;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header::CACHE_CONTROL;
use http::{HeaderValue, Method, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Weak};
use tokio::time::{Instant, timeout, timeout_at};
use tree::CallbackError;

const ALLOW: &str = "POST, PUT";

/// Written at once. Smaller pieces would each cost a hop to a thread that may block.
const PIECE_BYTES: usize = 64 * 1024;

/// A log that is about to come.
#[derive(Clone, Copy, Debug)]
pub struct Upload<'a> {
    /// The boot's secret, 32 hex digits.
    pub token: &'a str,
    /// Where it comes from.
    pub from: IpAddr,
    /// 1 to 64 of `A-Z a-z 0-9 . _ -`, not starting with a dot.
    pub name: &'a str,
    /// Its length as the sender says, 1 to [`LOG_BYTES_MAX`].
    pub bytes: u64,
}

/// Why a log is not taken.
#[derive(Debug)]
pub enum LogRefused {
    /// The secret is no good.
    Token(CallbackError),
    /// This boot has sent all it may.
    Full,
    /// Too many come at once, in all or from this address.
    Busy,
    /// It cannot be kept; ours to look at.
    Failed(io::Error),
}

/// Who keeps logs.
pub trait Logs: Send + Sync + 'static {
    /// May this log come, and where to? Blocks on the disk.
    ///
    /// # Errors
    /// Why not. Nothing is left behind then.
    fn begin(&self, upload: &Upload<'_>) -> Result<Box<dyn LogSink>, LogRefused>;
}

/// One log as it comes. Dropping it unfinished leaves nothing behind; that blocks on the disk, too.
pub trait LogSink: Send {
    /// Takes the next bytes. Blocks on the disk.
    ///
    /// # Errors
    /// When they cannot be written.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// All bytes are there: keeps the log.
    ///
    /// # Errors
    /// When it cannot be kept.
    fn finish(self: Box<Self>) -> io::Result<()>;
}

/// `POST|PUT /b/<token>/log/<name>`.
pub(crate) async fn take(
    State(door): State<Weak<Shared>>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: axum::extract::Request,
) -> Response {
    let Some(door) = door.upgrade() else {
        return Refusal::busy("stopping", "the appliance is stopping").into_response();
    };
    match (path, request.extensions().get::<Link>().cloned()) {
        (Ok(Path((token, name))), Some(link)) => {
            answer(&door, &link, token, name, request).await.unwrap_or_else(IntoResponse::into_response)
        }
        _ => Refusal::bad_request("bad_name", "malformed log name").closing().into_response(),
    }
}

async fn answer(
    door: &Arc<Shared>,
    link: &Link,
    token: String,
    name: String,
    request: axum::extract::Request,
) -> Result<Response, Refusal> {
    if !matches!(*request.method(), Method::POST | Method::PUT) {
        return Err(Refusal::method(ALLOW));
    }
    if !name_is_good(&name) {
        let text = "a log's name is 1 to 64 of A-Z, a-z, 0-9, ., _ and -, not starting with a dot";
        return Err(Refusal::bad_request("bad_log_name", text).closing());
    }
    if token.len() != 32 || !token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(unknown().closing());
    }
    let body = request.into_body();
    let Some(bytes) = body.size_hint().exact() else {
        return Err(Refusal::new(StatusCode::LENGTH_REQUIRED, "length", "say how long the log is").closing());
    };
    if bytes == 0 {
        return Err(Refusal::bad_request("log_empty", "the log is empty"));
    }
    if bytes > LOG_BYTES_MAX {
        return Err(Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "log_too_large",
            "the log is longer than 8 MiB; send its end",
        )
        .closing());
    }
    let (logs, from) = (door.parts.logs.clone(), link.remote);
    let begin = move || logs.begin(&Upload { token: &token, from, name: &name, bytes }).map(Held::new);
    let beginning = blocking(begin).await?;
    let sink = beginning.map_err(|refused| refusal(refused).closing())?;
    receive(door, sink, body).await.map_err(Refusal::closing)?;
    bump(&door.counters.logs);
    add(&door.counters.log_bytes, bytes);
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// The body, in pieces as they come. hyper ends a body that is shorter than its length with an error, and gives no byte more.
async fn receive(door: &Shared, mut sink: Held, mut body: Body) -> Result<(), Refusal> {
    let late = || Refusal::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", "the log did not arrive in time");
    let end = Instant::now() + LOG_TIME;
    let mut piece = Vec::new();
    loop {
        let coming = timeout_at(end, timeout(door.body_timeout, body.frame()));
        let frame = match coming.await {
            Ok(Ok(Some(Ok(frame)))) => frame,
            Ok(Ok(None)) => break,
            Ok(Ok(Some(Err(_)))) => {
                return Err(Refusal::bad_request("bad_body", "the log did not arrive whole"));
            }
            Ok(Err(_)) | Err(_) => return Err(late()),
        };
        let Ok(data) = frame.into_data() else { continue };
        piece.extend_from_slice(&data);
        if piece.len() >= PIECE_BYTES {
            (sink, piece) = written(sink, piece).await?;
        }
    }
    (sink, _) = written(sink, piece).await?;
    blocking(move || sink.finish()).await?.map_err(|error| failed(&error))
}

async fn written(mut sink: Held, mut piece: Vec<u8>) -> Result<(Held, Vec<u8>), Refusal> {
    let writing = blocking(move || {
        sink.write(&piece)?;
        piece.clear();
        Ok((sink, piece))
    });
    writing.await?.map_err(|error: io::Error| failed(&error))
}

/// A sink on its way through the tasks of the door. Whatever ends it there (a broken body, a client that went, a door that is
/// closed), it is dropped where it may block.
struct Held(Option<Box<dyn LogSink>>);

impl Held {
    fn new(sink: Box<dyn LogSink>) -> Held {
        Held(Some(sink))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.as_mut().ok_or(io::ErrorKind::NotConnected)?.write(bytes)
    }

    fn finish(mut self) -> io::Result<()> {
        self.0.take().ok_or(io::ErrorKind::NotConnected)?.finish()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(sink) = self.0.take() else { return };
        // Without a runtime nobody else waits for this thread.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            drop(runtime.spawn_blocking(move || drop(sink)));
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work).await.map_err(|_| {
        tracing::error!("taking a log panicked");
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "internal error")
    })
}

fn name_is_good(name: &str) -> bool {
    (1..=LOG_NAME_BYTES_MAX).contains(&name.len())
        && !name.starts_with('.')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

/// The asker learns nothing of other machines' tokens.
fn unknown() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "token_unknown", "unknown call-back")
}

fn refusal(refused: LogRefused) -> Refusal {
    match refused {
        LogRefused::Token(CallbackError::Expired) => {
            Refusal::new(StatusCode::GONE, "token_expired", "this call-back is no longer valid")
        }
        LogRefused::Token(error) => unknown().recorded_as(error.reason()),
        LogRefused::Full => {
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "logs_full", "this boot has sent all the logs it may")
        }
        LogRefused::Busy => Refusal::busy("logs_busy", "too many logs are on their way"),
        LogRefused::Failed(error) => failed(&error),
    }
}

fn failed(error: &io::Error) -> Refusal {
    tracing::error!(%error, "a log of a boot cannot be kept");
    Refusal::new(StatusCode::INSUFFICIENT_STORAGE, "log_not_kept", "the log cannot be kept")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_plain_word() {
        for good in ["syslog", "anaconda.log", "weasel.log", "A_b-1.2", &"x".repeat(LOG_NAME_BYTES_MAX)] {
            assert!(name_is_good(good), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            ".about",
            "a/b",
            "a\\b",
            "a b",
            "a%2eb",
            "ä",
            "a\n",
            &"x".repeat(LOG_NAME_BYTES_MAX + 1),
        ] {
            assert!(!name_is_good(bad), "{bad:?}");
        }
    }
}
