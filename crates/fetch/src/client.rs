//! One question of any method, with a small answer: for who talks to a server rather than takes a file from it.
//!
//! What is deliberately absent: redirects, tries, sessions. Who asks decides what an answer means.

use crate::Watch;
use crate::error::FetchError;
use crate::exchange::{Asker, head};
use crate::limits::Limits;
use crate::location::Location;
use crate::trust::Trust;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::Full;
use std::io;
use std::sync::Arc;

/// Asks servers it trusts. Every question has a connection of its own.
pub struct Client {
    limits: Limits,
    trusted: Arc<rustls::ClientConfig>,
}

/// What is asked.
pub struct Question {
    /// The method.
    pub method: Method,
    /// Fields beside `Host`, `User-Agent`, `Accept-Encoding: identity` and `Connection: close`.
    pub headers: HeaderMap,
    /// The body; empty for none.
    pub body: Bytes,
}

/// What was answered, whatever its status.
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// Every field.
    pub headers: HeaderMap,
    /// The body, whole.
    pub body: Vec<u8>,
}

impl Client {
    /// One that trusts these; `limits.bytes_max` bounds a body, `connect_wait` and `stall_wait` each wait. The rest of the limits
    /// is for downloads.
    ///
    /// # Errors
    /// [`FetchError::NoRoots`] when there is nobody to trust.
    pub fn new(trust: &Trust, limits: Limits) -> Result<Client, FetchError> {
        Ok(Client { limits, trusted: trust.config()? })
    }

    /// Asks once. The whole has no end but that of its waits and its size: a caller that needs one drops the future.
    ///
    /// # Errors
    /// See [`FetchError`]; an answer with a status of failure is none.
    pub async fn exchange(
        &self,
        at: &Location,
        question: Question,
        watch: &mut dyn Watch,
    ) -> Result<Reply, FetchError> {
        let mut request = head(question.method, at);
        if let Some(fields) = request.headers_mut() {
            fields.extend(question.headers);
        }
        let request = request.body(Full::new(question.body)).map_err(|error| FetchError::Broken {
            authority: at.authority(),
            bytes: 0,
            source: io::Error::other(error),
        })?;
        let trusted = Some(self.trusted.clone());
        let mut asker = Asker { limits: &self.limits, watch, trusted, inward: None, have: 0 };
        let mut answer = asker.send(at, request, None).await?;
        let too_large =
            |says| FetchError::TooLarge { url: at.to_string(), says, bytes_max: self.limits.bytes_max };
        let says = answer.response.headers().get(http::header::CONTENT_LENGTH);
        let says = says.and_then(|says| says.to_str().ok()?.trim().parse::<u64>().ok());
        if says.is_some_and(|says| says > self.limits.bytes_max) {
            return Err(too_large(says));
        }
        let mut body = Vec::new();
        while let Some(piece) = asker.piece(at, &mut answer).await? {
            if (body.len() as u64).saturating_add(piece.len() as u64) > self.limits.bytes_max {
                return Err(too_large(None));
            }
            body.extend_from_slice(&piece);
            asker.have = body.len() as u64;
        }
        let (parts, _) = answer.response.into_parts();
        Ok(Reply { status: parts.status, headers: parts.headers, body })
    }
}
