//! Call-backs: a booted system reports how far it came, under its boot's secret.

use crate::counters::bump;
use crate::door::{Link, Shared};
use crate::limits::{DETAIL_BYTES_MAX, STAGE_BYTES_MAX};
use crate::refusal::Refusal;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONNECTION};
use http::{HeaderValue, Method, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use std::sync::{Arc, Weak};
use tree::CallbackError;

pub(crate) const ALLOW: &str = "GET, POST";

/// `GET|POST /b/<token>/<stage>`; a POST body is the detail.
pub(crate) async fn take(
    State(door): State<Weak<Shared>>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: axum::extract::Request,
) -> Response {
    let Some(door) = door.upgrade() else {
        return Refusal::busy("stopping", "the appliance is stopping").into_response();
    };
    match (path, request.extensions().get::<Link>().cloned()) {
        (Ok(Path((token, stage))), Some(link)) => {
            answer(&door, link, token, stage, request).await.unwrap_or_else(IntoResponse::into_response)
        }
        _ => Refusal::bad_request("bad_name", "malformed call-back").into_response(),
    }
}

async fn answer(
    door: &Arc<Shared>,
    link: Link,
    token: String,
    stage: String,
    request: axum::extract::Request,
) -> Result<Response, Refusal> {
    let post = request.method() == Method::POST;
    if !post && request.method() != Method::GET {
        return Err(Refusal::method(ALLOW));
    }
    let stage_ok = (1..=STAGE_BYTES_MAX).contains(&stage.len())
        && stage.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.'));
    if !stage_ok {
        return Err(Refusal::bad_request("bad_stage", "a stage is 1 to 32 of a-z, 0-9, -, _ and ."));
    }
    if token.len() != 32 || !token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Refusal::new(StatusCode::NOT_FOUND, "token_unknown", "unknown call-back"));
    }
    let detail = match post {
        true => detail(door, request.into_body()).await?,
        false => None,
    };
    let ledger = door.parts.ledger.clone();
    let from = link.remote;
    let taking =
        tokio::task::spawn_blocking(move || ledger.call_back(&token, from, &stage, detail.as_deref()));
    match taking.await {
        Ok(Ok(())) => {
            bump(&door.counters.callbacks);
            let mut response = StatusCode::NO_CONTENT.into_response();
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            // QUIRK(ipxe-204): iPXE takes an answer without a length to last until the connection ends, a 204 too.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            Ok(response)
        }
        Ok(Err(error)) => Err(refused(error)),
        Err(_) => {
            tracing::error!(from = %link.remote, "taking a call-back panicked");
            Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "internal error"))
        }
    }
}

pub(crate) fn refused(error: CallbackError) -> Refusal {
    let (status, text) = match error {
        CallbackError::Expired => (StatusCode::GONE, "this call-back is no longer valid"),
        CallbackError::BadStage => (StatusCode::BAD_REQUEST, "there is no such stage"),
        // One answer for both: the asker learns nothing of other machines' tokens.
        CallbackError::Unknown | CallbackError::ForeignAddress => {
            (StatusCode::NOT_FOUND, "unknown call-back")
        }
    };
    let shown = if error == CallbackError::ForeignAddress { CallbackError::Unknown } else { error };
    Refusal::new(status, shown.reason(), text).recorded_as(error.reason())
}

/// The body as text without control characters; `None` when nothing is left.
pub(crate) async fn detail(door: &Shared, body: Body) -> Result<Option<String>, Refusal> {
    let too_large = || {
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "detail_too_large", "the text is longer than 4 KiB")
            .closing()
    };
    if http_body::Body::size_hint(&body).lower() > DETAIL_BYTES_MAX as u64 {
        return Err(too_large());
    }
    let collecting = Limited::new(body, DETAIL_BYTES_MAX).collect();
    let bytes = match tokio::time::timeout(door.body_timeout, collecting).await {
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => return Err(too_large()),
        Ok(Err(_)) => return Err(Refusal::bad_request("bad_body", "the body did not arrive whole").closing()),
        Err(_) => {
            return Err(Refusal::new(
                StatusCode::REQUEST_TIMEOUT,
                "body_timeout",
                "the body did not arrive in time",
            )
            .closing());
        }
    };
    let text: String = String::from_utf8_lossy(&bytes)
        .chars()
        .filter(|&one| !one.is_control() || matches!(one, '\n' | '\t'))
        .collect();
    let text = text.trim();
    Ok((!text.is_empty()).then(|| text.to_owned()))
}
