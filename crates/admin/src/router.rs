//! The routes and what they share.

use crate::api::{
    apply, config, fleet, hooks, hosts, images, lists, logs, machines, policy, store, stream, traces,
};
use crate::backend::{Backend, BackendError, Expect, ListPage};
use crate::{EventBus, Problem};
use axum::Router;
use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Largest body of a request.
pub(crate) const BODY_BYTES_MAX: usize = 1 << 20;

/// For a whole body to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// What the routes work with.
#[derive(Clone)]
pub struct Api {
    /// The daemon.
    pub backend: Arc<dyn Backend>,
    /// Its events.
    pub events: Arc<EventBus>,
    /// Turns true when streams have to end.
    pub shutdown: watch::Receiver<bool>,
    keys: Arc<images::Idempotency>,
}

impl Api {
    /// The API over a daemon.
    pub fn new(backend: Arc<dyn Backend>, events: Arc<EventBus>, shutdown: watch::Receiver<bool>) -> Api {
        Api { backend, events, shutdown, keys: Arc::default() }
    }

    pub(crate) fn keys(&self) -> &Arc<images::Idempotency> {
        &self.keys
    }

    /// Runs a backend call where it may block.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        expect: Option<Expect>,
        call: impl FnOnce(&dyn Backend) -> Result<T, BackendError> + Send + 'static,
    ) -> Result<T, Box<Problem>> {
        let backend = self.backend.clone();
        match tokio::task::spawn_blocking(move || call(&*backend)).await {
            Ok(result) => result.map_err(|error| error.into_problem(expect)),
            Err(_) => {
                tracing::error!("an API request panicked");
                Err(Problem::internal())
            }
        }
    }
}

/// All of `/api/v1`.
pub fn router(api: Api) -> Router {
    let v1 = Router::new()
        .route("/version", get(config::version))
        .route("/health", get(config::health))
        .route("/status", get(config::status))
        .route("/config", get(config::config))
        .route("/hosts", get(hosts::list))
        .route("/hosts:batch", post(hosts::batch))
        .route("/hosts:drift", post(fleet::drift))
        .route("/hosts:repair", post(fleet::repair))
        .route("/rollouts", get(fleet::list).post(fleet::start))
        .route("/rollouts/{name}", get(fleet::read).delete(fleet::remove))
        .route("/rollouts/{name}/{order}", post(fleet::order))
        .route("/hosts/{reference}", get(hosts::read).put(hosts::write).delete(hosts::remove))
        .route("/hosts/{reference}/explain", get(hosts::explain))
        .route("/hosts/{reference}/orders", post(hosts::order))
        .route("/hosts/{reference}/power", post(hosts::power))
        .route("/explain", get(hosts::explain_facts))
        .route("/hosts/{reference}/trace", get(traces::of_host))
        .route("/boots/{id}", get(traces::boot))
        .route("/watch", get(traces::watch))
        .route("/simulate", post(traces::simulate))
        .route("/machines", get(policy::machines))
        .route("/machines:conflicts", get(machines::alarms))
        .route("/machines/{mac}", get(machines::read).delete(machines::forget))
        .route("/ignored", get(policy::ignored))
        .route("/ignored/{octets}", put(policy::ignore).delete(policy::heed))
        .route("/groups", get(policy::groups))
        .route("/groups/{name}", get(policy::group).put(policy::write_group).delete(policy::remove_group))
        .route("/rules", get(policy::rules))
        .route("/rules/{name}", get(policy::rule).put(policy::write_rule).delete(policy::remove_rule))
        .route("/rules:test", get(policy::test))
        .route("/rules:activate", post(policy::activate))
        .route("/rules:rollback", post(policy::rollback))
        .route("/resources", get(apply::resources))
        .route("/resources:apply", post(apply::apply))
        .route("/resources/{kind}/{name}/owner", put(apply::own))
        .route("/templates", get(apply::templates))
        .route("/templates/{name}", get(apply::template))
        .route("/hooks", get(hooks::list))
        .route("/hooks/{name}/test", post(hooks::test))
        .route("/rule-sets", get(policy::sets))
        .route("/images", get(images::list))
        .route("/images/{name}", get(images::read).delete(images::remove))
        .route("/images/{name}/rollback", post(images::rollback))
        .route("/images/{name}/tags/{tag}", put(images::tag).delete(images::untag))
        .route("/images/{name}/export", get(images::export))
        .route("/images:prune", post(images::prune))
        .route("/images:verify", get(images::verify))
        .route("/imports", post(images::start).get(images::imports))
        .route("/imports/{id}", get(images::import).delete(images::cancel))
        .route("/imports/{id}/content", put(images::receive))
        .route("/leases", get(lists::leases))
        .route("/boots", get(lists::boots))
        .route("/boot-logs", get(logs::list))
        .route("/boot-logs/{of}/{name}", get(logs::read))
        .route("/store/backup", get(store::backup))
        .route("/store/dump", get(store::dump))
        .route("/store/verify", get(store::verify))
        .route("/events", get(stream::events))
        .route("/stream", get(stream::stream));
    Router::new()
        .nest("/api/v1", v1)
        .fallback(unknown_route)
        .method_not_allowed_fallback(unknown_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(map_response(harden))
        .with_state(api)
}

async fn unknown_route() -> Box<Problem> {
    Problem::new(404, "R-API-01", "unknown-route", "there is no such route")
        .with_fix("GET /api/v1/version lists features")
}

async fn unknown_method() -> Box<Problem> {
    Problem::new(405, "R-API-04", "method", "this method is not allowed here")
        .with_fix("the Allow field lists what is")
}

async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// `"r41"`
pub(crate) fn etag(revision: u64) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("\"r{revision}\"")).ok()
}

/// A JSON answer, with its revision as tag.
pub(crate) fn json(
    status: StatusCode,
    value: &impl Serialize,
    revision: Option<u64>,
) -> Result<Response, Box<Problem>> {
    let body = serde_json::to_vec(value).map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "an answer has no JSON form");
        Problem::internal()
    })?;
    let mut response = (status, Body::from(body)).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(tag) = revision.and_then(etag) {
        response.headers_mut().insert(ETAG, tag);
    }
    Ok(response)
}

/// `{items, next, revision}`
pub(crate) fn list<T: Serialize>(page: &ListPage<T>) -> Result<Response, Box<Problem>> {
    #[derive(Serialize)]
    struct List<'a, T> {
        items: &'a [T],
        next: &'a Option<String>,
        revision: u64,
    }
    let list = List { items: &page.items, next: &page.next, revision: page.revision };
    json(StatusCode::OK, &list, Some(page.revision))
}

/// What a write expects; 428 when it does not say.
pub(crate) fn expectation(headers: &HeaderMap) -> Result<Expect, Box<Problem>> {
    let one = |name| {
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => Ok(Some(value.to_str().unwrap_or_default().trim())),
            (Some(_), Some(_)) => Err(bad_precondition()),
        }
    };
    match (one(IF_MATCH)?, one(IF_NONE_MATCH)?) {
        (None, None) => Err(Problem::precondition_required()),
        (None, Some("*")) => Ok(Expect::Absent),
        (Some("*"), None) => Ok(Expect::Present),
        (Some(tag), None) => {
            let digits = tag.strip_prefix("\"r").and_then(|rest| rest.strip_suffix('"'));
            let revision = digits.and_then(|digits| digits.parse().ok()).ok_or_else(bad_precondition)?;
            Ok(Expect::Revision(revision))
        }
        _ => Err(bad_precondition()),
    }
}

fn bad_precondition() -> Box<Problem> {
    Problem::new(400, "R-API-09", "bad-precondition", "the precondition cannot be read")
        .with_fix("send one If-Match: \"r41\" (or *), or one If-None-Match: *")
}

/// A JSON body in its type.
pub(crate) async fn body<T: DeserializeOwned>(headers: &HeaderMap, body: Body) -> Result<T, Box<Problem>> {
    body_of(headers, body, BODY_BYTES_MAX).await
}

/// The same, of a body that may be larger.
pub(crate) async fn body_of<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
) -> Result<T, Box<Problem>> {
    let kind = headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    let essence = kind.map(|kind| kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    if essence.is_some_and(|essence| essence != "application/json") {
        return Err(Problem::new(415, "R-API-10", "media-type", "the body is not JSON")
            .with_fix("send Content-Type: application/json"));
    }
    let bytes = read(body, bytes_max).await?;
    serde_json::from_slice(&bytes).map_err(|error| Problem::bad_body(error.to_string()))
}

async fn read(body: Body, bytes_max: usize) -> Result<Bytes, Box<Problem>> {
    match tokio::time::timeout(BODY_TIMEOUT, axum::body::to_bytes(body, bytes_max)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => {
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                if cause.is::<http_body_util::LengthLimitError>() {
                    return Err(Problem::new(
                        413,
                        "R-API-05",
                        "too-large",
                        format!("the body is larger than {} MiB", bytes_max >> 20),
                    ));
                }
                source = cause.source();
            }
            Err(Problem::bad_body("it did not arrive whole"))
        }
        Err(_) => Err(Problem::new(408, "R-API-11", "body-timeout", "the body did not arrive in time")),
    }
}
