//! Answers that are no files: a status, a stable code and one short line. Nothing of the request is echoed.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RETRY_AFTER,
};
use http::{HeaderName, HeaderValue, StatusCode};

/// A request we do not serve.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// Stable reason code, `snake_case`, as the machine sees it.
    pub(crate) code: &'static str,
    /// The code in the event, where it may say more.
    pub(crate) recorded: &'static str,
    /// For the machine's screen or an admin's curl. Made of our own words only.
    pub(crate) text: String,
    header: Option<Box<(HeaderName, HeaderValue)>>,
    /// The connection cannot be trusted to be in step any more.
    close: bool,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, text: impl Into<String>) -> Refusal {
        Refusal { status, code, recorded: code, text: text.into(), header: None, close: false }
    }

    pub(crate) fn bad_request(code: &'static str, text: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, code, text)
    }

    pub(crate) fn not_found() -> Refusal {
        Refusal::new(StatusCode::NOT_FOUND, "not_found", "file not found")
    }

    pub(crate) fn method(allow: &'static str) -> Refusal {
        let text = format!("this method is not allowed here; allowed: {allow}");
        Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method", text)
            .with(ALLOW, HeaderValue::from_static(allow))
    }

    pub(crate) fn unsatisfiable(length: u64) -> Refusal {
        let refusal =
            Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, "range", "the range lies outside the file");
        match HeaderValue::try_from(format!("bytes */{length}")) {
            Ok(value) => refusal.with(CONTENT_RANGE, value),
            Err(_) => refusal,
        }
    }

    pub(crate) fn busy(code: &'static str, text: impl Into<String>) -> Refusal {
        let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, code, text);
        refusal.with(RETRY_AFTER, HeaderValue::from_static("2"))
    }

    pub(crate) fn recorded_as(mut self, code: &'static str) -> Refusal {
        self.recorded = code;
        self
    }

    pub(crate) fn closing(mut self) -> Refusal {
        self.close = true;
        self
    }

    fn with(mut self, name: HeaderName, value: HeaderValue) -> Refusal {
        self.header = Some(Box::new((name, value)));
        self
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let text = format!("reveille: {} [{}]\n", self.text, self.code);
        let length = HeaderValue::from(text.len());
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_LENGTH, length);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.close {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some((name, value)) = self.header.as_deref().cloned() {
            headers.insert(name, value);
        }
        response.extensions_mut().insert(self);
        response
    }
}
