//! What machines tell of the scripts of their bundles, under their boot's secret.
//!
//! `GET|POST /b/<token>/bundle/<bundle>/<script>/<what>`: `started`, or `exit-<0..=255>`; a POST body has the script's last words.
//! The scripts themselves are files of the boot tree.

use crate::callbacks::{ALLOW, detail, refused};
use crate::counters::bump;
use crate::door::{Link, Shared};
use crate::refusal::Refusal;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header::CACHE_CONTROL;
use http::{HeaderValue, Method, StatusCode};
use std::sync::{Arc, Weak};
use tree::{BundleReport, BundleStep};

type Segments = (String, String, String, String);

pub(crate) async fn take(
    State(door): State<Weak<Shared>>,
    path: Result<Path<Segments>, PathRejection>,
    request: axum::extract::Request,
) -> Response {
    let Some(door) = door.upgrade() else {
        return Refusal::busy("stopping", "the appliance is stopping").into_response();
    };
    match (path, request.extensions().get::<Link>().cloned()) {
        (Ok(Path(segments)), Some(link)) => {
            answer(&door, link, segments, request).await.unwrap_or_else(IntoResponse::into_response)
        }
        _ => Refusal::bad_request("bad_name", "malformed report").into_response(),
    }
}

async fn answer(
    door: &Arc<Shared>,
    link: Link,
    (token, bundle, script, what): Segments,
    request: axum::extract::Request,
) -> Result<Response, Refusal> {
    let post = request.method() == Method::POST;
    if !post && request.method() != Method::GET {
        return Err(Refusal::method(ALLOW));
    }
    let bad = || {
        Refusal::bad_request(
            "bad_report",
            "a report is a bundle, a script, and started or exit-0 to exit-255",
        )
    };
    let (Ok(bundle), Ok(script), Some(step)) = (bundle.parse(), script.parse(), step(&what)) else {
        return Err(bad());
    };
    if token.len() != 32 || !token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Refusal::new(StatusCode::NOT_FOUND, "token_unknown", "unknown call-back"));
    }
    let output = match post {
        true => detail(door, request.into_body()).await?,
        false => None,
    };
    let report = BundleReport { bundle, script, step, output };
    let (ledger, from) = (door.parts.ledger.clone(), link.remote);
    match tokio::task::spawn_blocking(move || ledger.report_bundle(&token, from, &report)).await {
        Ok(Ok(())) => {
            bump(&door.counters.callbacks);
            let mut response = StatusCode::NO_CONTENT.into_response();
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            Ok(response)
        }
        Ok(Err(error)) => Err(refused(error)),
        Err(_) => {
            tracing::error!(from = %link.remote, "taking a report of a script panicked");
            Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "internal error"))
        }
    }
}

fn step(what: &str) -> Option<BundleStep> {
    if what == "started" {
        return Some(BundleStep::Started);
    }
    let digits =
        what.strip_prefix("exit-").filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok().map(BundleStep::Exited)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_started_or_an_exit_status() {
        assert_eq!(step("started"), Some(BundleStep::Started));
        assert_eq!(step("exit-0"), Some(BundleStep::Exited(0)));
        assert_eq!(step("exit-255"), Some(BundleStep::Exited(255)));
        for bad in ["", "exit-", "exit-256", "exit-+1", "exit--1", "Started", "exit-1 ", "done"] {
            assert_eq!(step(bad), None, "{bad}");
        }
    }
}
