//! The one error form (RFC 9457 with `code`, `cause`, `fix` and `errors`), and a place for every rule that refuses.

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use std::fmt;
use types::resource::APPLY_PREFIX;

/// Media type of a problem.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// Why a request was not done, for programs and people alike.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Problem {
    /// Relative URI of the kind, such as `/problems/not-found`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What was refused, one line.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// Stable code, such as `R-RES-02`.
    pub code: String,
    /// Why, one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What to do about it, one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// Who owns the object, on `R-RES-02`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The revision that stands, on `R-RES-03`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// Each fault of the body by itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

/// One fault of a body.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FieldError {
    /// JSON pointer to the value (RFC 6901).
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
}

impl Problem {
    /// A problem of any kind; `kind` is the last part of its URI.
    pub fn new(status: u16, code: &str, kind: &str, title: impl Into<String>) -> Box<Problem> {
        Box::new(Problem {
            kind: format!("/problems/{kind}"),
            title: title.into(),
            status,
            code: code.to_owned(),
            cause: None,
            fix: None,
            owner: None,
            revision: None,
            errors: Vec::new(),
        })
    }

    /// Says why.
    #[must_use]
    pub fn with_cause(mut self: Box<Self>, cause: impl Into<String>) -> Box<Problem> {
        self.cause = Some(cause.into());
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn with_fix(mut self: Box<Self>, fix: impl Into<String>) -> Box<Problem> {
        self.fix = Some(fix.into());
        self
    }

    /// `R-RES-01`, 404.
    pub fn not_found(what: &str, name: &str) -> Box<Problem> {
        Problem::new(404, "R-RES-01", "not-found", format!("there is no {what} `{name}`"))
            .with_fix(format!("reveille {what} list"))
    }

    /// `R-RES-02`, 409: the object belongs to a file, to applied documents, or (when documents are applied) to the API.
    pub fn owned_elsewhere(what: &str, name: &str, owner: &str) -> Box<Problem> {
        let place = owner.strip_prefix("file:").unwrap_or(owner);
        let mut problem = Problem::new(
            409,
            "R-RES-02",
            "owned-elsewhere",
            format!("{what} `{name}` is owned by {place}; not changed"),
        )
        .with_fix(match owner {
            "api" => {
                format!("reveille resource own {what} {name} --to OWNER, or: reveille apply --take-over")
            }
            applied if applied.starts_with(APPLY_PREFIX) => format!(
                "edit the file it came from and apply again, or: reveille resource own {what} {name} --to api"
            ),
            _ => format!("edit {place}, then restart the appliance"),
        });
        problem.owner = Some(owner.to_owned());
        problem
    }

    /// `R-RES-03`, 412: somebody else was faster.
    pub fn stale(what: &str, name: &str, current: Option<u64>) -> Box<Problem> {
        let now = current.map_or("is gone".to_owned(), |revision| format!("is at revision r{revision}"));
        let mut problem =
            Problem::new(412, "R-RES-03", "stale", format!("{what} `{name}` has changed; it {now}"))
                .with_fix("read it again, then repeat the change");
        problem.revision = current;
        problem
    }

    /// `R-RES-04`, 428: a write must say which revision it changes.
    pub fn precondition_required() -> Box<Problem> {
        Problem::new(
            428,
            "R-RES-04",
            "precondition-required",
            "the request does not say which revision it changes",
        )
        .with_fix("send If-Match with the ETag you read, or If-None-Match: * to create")
    }

    /// `R-RES-05`, 412: it should be new and is not.
    pub fn exists(what: &str, name: &str, current: Option<u64>) -> Box<Problem> {
        let mut problem = Problem::new(412, "R-RES-05", "exists", format!("{what} `{name}` exists already"))
            .with_fix("send If-Match with its ETag to change it");
        problem.revision = current;
        problem
    }

    /// `R-RES-06`, 422: understood, but wrong.
    pub fn invalid(what: &str, errors: Vec<FieldError>) -> Box<Problem> {
        let mut problem = Problem::new(422, "R-RES-06", "invalid", format!("the {what} is not valid"));
        problem.cause = errors.first().map(|error| error.detail.clone());
        problem.errors = errors;
        problem
    }

    /// `R-API-02`, 400: the query.
    pub fn bad_query(cause: impl Into<String>) -> Box<Problem> {
        Problem::new(400, "R-API-02", "bad-query", "the query cannot be read").with_cause(cause)
    }

    /// `R-API-03`, 400: the body.
    pub fn bad_body(cause: impl Into<String>) -> Box<Problem> {
        Problem::new(400, "R-API-03", "bad-body", "the body cannot be read").with_cause(cause)
    }

    /// `R-API-08`, 500: ours. The log has the details.
    pub fn internal() -> Box<Problem> {
        Problem::new(500, "R-API-08", "internal", "the appliance failed").with_fix("see its log")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.title, self.code)
    }
}

impl std::error::Error for Problem {}

impl IntoResponse for Box<Problem> {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = Response::new(body.into());
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}
