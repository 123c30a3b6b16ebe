//! `hosts` and `explain`.

use crate::backend::{Backend, BackendError, Expect, HostRef};
use crate::problem::FieldError;
use crate::query::{FACTS, Params};
use crate::router::{body, body_of, expectation, json, list as list_answer};
use crate::view::{ADDED_KEYS, HostWrite, MANAGED_BY_API, OrderRequest};
use crate::{Api, Problem};
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json as object};
use types::resource::{Host, Name};
use types::{MacAddr, MachineGuid};

pub(crate) async fn list(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    let page = Params::read(query.as_deref(), &["limit", "after"])?.page()?;
    list_answer(&api.call(None, move |backend| backend.hosts(&page)).await?)
}

pub(crate) async fn read(
    State(api): State<Api>,
    Path(reference): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    Params::read(query.as_deref(), &[])?;
    let reference = reference_of(&reference)?;
    let view = api.call(None, move |backend| backend.host(&reference)).await?;
    json(StatusCode::OK, &view, Some(view.revision))
}

pub(crate) async fn write(
    State(api): State<Api>,
    Path(reference): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    content: Body,
) -> Result<Response, Box<Problem>> {
    let dry_run = Params::read(query.as_deref(), &["dry_run"])?.flag("dry_run")?;
    let name = name_of(&reference)?;
    let expect = expectation(&headers)?;
    let host = host_of(&name, body(&headers, content).await?)?;
    let written = api
        .call(Some(expect), move |backend| {
            not_owned_by_a_file(backend, &name)?;
            backend.put_host(host, expect, dry_run)
        })
        .await?;
    let status = if written.created && !dry_run { StatusCode::CREATED } else { StatusCode::OK };
    let mut response = json(status, &written.item, Some(written.item.revision))?;
    let changed = if written.changed { "changed" } else { "unchanged" };
    response.headers_mut().insert("reveille-result", http::HeaderValue::from_static(changed));
    Ok(response)
}

pub(crate) async fn remove(
    State(api): State<Api>,
    Path(reference): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Box<Problem>> {
    let dry_run = Params::read(query.as_deref(), &["dry_run"])?.flag("dry_run")?;
    let name = name_of(&reference)?;
    let expect = removal(&headers)?;
    let deleted = name.to_string();
    let revision = api
        .call(Some(expect), move |backend| {
            not_owned_by_a_file(backend, &name)?;
            backend.delete_host(&name, expect, dry_run)
        })
        .await?;
    json(StatusCode::OK, &object!({"deleted": deleted, "revision": revision, "dry_run": dry_run}), None)
}

pub(crate) async fn order(
    State(api): State<Api>,
    Path(reference): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    content: Body,
) -> Result<Response, Box<Problem>> {
    Params::read(query.as_deref(), &[])?;
    let reference = reference_of(&reference)?;
    let order: OrderRequest = body(&headers, content).await?;
    let life = api.call(None, move |backend| backend.order(&reference, &order)).await?;
    json(StatusCode::OK, &life, None)
}

/// Largest body of a batch: a list of the largest site we were built for, three times over.
const BATCH_BYTES_MAX: usize = 12 << 20;

pub(crate) async fn batch(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    content: Body,
) -> Result<Response, Box<Problem>> {
    let dry_run = Params::read(query.as_deref(), &["dry_run"])?.flag("dry_run")?;
    let hosts: Vec<HostWrite> = body_of(&headers, content, BATCH_BYTES_MAX).await?;
    let written = hosts.len();
    let revision = api.call(None, move |backend| backend.put_hosts(hosts, dry_run)).await?;
    json(StatusCode::OK, &object!({ "hosts": written, "revision": revision, "dry_run": dry_run }), None)
}

pub(crate) async fn power(
    State(api): State<Api>,
    Path(reference): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    content: Body,
) -> Result<Response, Box<Problem>> {
    Params::read(query.as_deref(), &[])?;
    let reference = reference_of(&reference)?;
    let request: Value = body(&headers, content).await?;
    let outcome = api.call(None, move |backend| backend.power(&reference, request)).await?;
    json(StatusCode::OK, &outcome, None)
}

pub(crate) async fn explain(
    State(api): State<Api>,
    Path(reference): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    Params::read(query.as_deref(), &[])?;
    let reference = reference_of(&reference)?;
    let explanation = api.call(None, move |backend| backend.explain_host(&reference)).await?;
    json(StatusCode::OK, &explanation, None)
}

pub(crate) async fn explain_facts(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    let facts = Params::read(query.as_deref(), &FACTS)?.facts()?;
    let explanation = api.call(None, move |backend| backend.explain(facts)).await?;
    json(StatusCode::OK, &explanation, None)
}

/// The owner rule: what a file defines, only that file changes.
fn not_owned_by_a_file(backend: &dyn Backend, name: &Name) -> Result<(), BackendError> {
    match backend.host(&HostRef::Name(name.clone())) {
        Ok(view) if view.managed_by != MANAGED_BY_API => {
            Err(BackendError::Owned { what: "host", name: name.to_string(), owner: view.managed_by })
        }
        Ok(_) | Err(BackendError::NotFound { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// A removal needs something to be there.
pub(crate) fn removal(headers: &HeaderMap) -> Result<Expect, Box<Problem>> {
    match expectation(headers)? {
        Expect::Absent => Err(Problem::precondition_required()),
        expect => Ok(expect),
    }
}

pub(crate) fn reference_of(text: &str) -> Result<HostRef, Box<Problem>> {
    text.parse().map_err(|cause: String| bad_reference().with_cause(cause))
}

/// Writes go by name: an identity may move from host to host.
fn name_of(text: &str) -> Result<Name, Box<Problem>> {
    text.parse()
        .map_err(|error: types::resource::NameParseError| bad_reference().with_cause(error.to_string()))
}

fn bad_reference() -> Box<Problem> {
    Problem::new(400, "R-API-12", "bad-reference", "the host reference cannot be read")
        .with_fix("write its name; to read or explain also mac:…, uuid:… or serial:…")
}

fn host_of(name: &Name, content: Map<String, Value>) -> Result<Host, Box<Problem>> {
    let mut content = content;
    for key in ADDED_KEYS {
        content.remove(key);
    }
    content.entry("name").or_insert_with(|| name.as_str().into());
    let unreadable = unreadable_identities(&content);
    let host: Host = match serde_json::from_value(Value::Object(content)) {
        Ok(host) => host,
        Err(_) if !unreadable.is_empty() => return Err(Problem::invalid("host", unreadable)),
        Err(error) => {
            let fault = FieldError { pointer: String::new(), detail: error.to_string() };
            return Err(Problem::invalid("host", vec![fault]));
        }
    };
    let mut errors = Vec::new();
    if host.name != *name {
        let detail = format!("the body names `{}`, the URL `{name}`; a host is not renamed", host.name);
        errors.push(FieldError { pointer: "/name".to_owned(), detail });
    }
    if host.identity.is_empty() {
        let detail = "a host needs at least one of mac, uuid and serial".to_owned();
        errors.push(FieldError { pointer: "/match".to_owned(), detail });
    }
    if errors.is_empty() { Ok(host) } else { Err(Problem::invalid("host", errors)) }
}

/// What people mistype most, each by its place: the reader of the whole only knows that something is wrong.
fn unreadable_identities(content: &Map<String, Value>) -> Vec<FieldError> {
    let Some(terms) = content.get("match") else { return Vec::new() };
    let mut faults = Vec::new();
    let mut check = |pointer: String, value: &Value, fault: &dyn Fn(&str) -> Option<String>| {
        let detail = match value.as_str() {
            Some(text) => fault(text),
            None => Some("not a text".to_owned()),
        };
        if let Some(detail) = detail {
            faults.push(FieldError { pointer, detail });
        }
    };
    let mac = |text: &str| text.parse::<MacAddr>().err().map(|error| error.to_string());
    match terms.get("mac") {
        Some(Value::Array(many)) => {
            for (at, one) in many.iter().enumerate() {
                check(format!("/match/mac/{at}"), one, &mac);
            }
        }
        Some(one) => check("/match/mac".to_owned(), one, &mac),
        None => {}
    }
    if let Some(uuid) = terms.get("uuid").filter(|uuid| !uuid.is_null()) {
        let fault = |text: &str| text.parse::<MachineGuid>().err().map(|error| error.to_string());
        check("/match/uuid".to_owned(), uuid, &fault);
    }
    faults
}
