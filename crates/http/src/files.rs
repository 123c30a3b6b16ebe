//! Files and scripts: method, name, facts, conditions, range, body.

use crate::body::{Account, FileBody, Transfer};
use crate::conditions::{self, Outcome};
use crate::counters::bump;
use crate::door::{Link, Shared};
use crate::ranges::{self, Selection};
use crate::refusal::Refusal;
use crate::{query, target};
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, RANGE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use std::sync::{Arc, Weak};
use std::time::Instant;
use tree::{Door, OpenError, Opened, Role, Who};
use types::{Event, EventName, Facts};

const ALLOW: &str = "GET, HEAD";

/// Names that take facts in their query.
const SCRIPTS: [&str; 2] = ["boot.ipxe", "autoexec.ipxe"];

/// Everything that is no call-back.
pub(crate) async fn serve(State(door): State<Weak<Shared>>, request: axum::extract::Request) -> Response {
    let (head, _) = request.into_parts();
    let answered = match (door.upgrade(), head.extensions.get::<Link>().cloned()) {
        (Some(door), Some(link)) => answer(door, link, &head).await,
        _ => Err(Refusal::busy("stopping", "the appliance is stopping")),
    };
    answered.unwrap_or_else(IntoResponse::into_response)
}

async fn answer(door: Arc<Shared>, link: Link, head: &Parts) -> Result<Response, Refusal> {
    let started = Instant::now();
    let is_head = head.method == Method::HEAD;
    if !is_head && head.method != Method::GET {
        return Err(Refusal::method(ALLOW));
    }
    let name = target::name(head.uri.path())?;
    let facts = match SCRIPTS.iter().any(|script| name.eq_ignore_ascii_case(script)) {
        true => query::facts(head.uri.query(), link.remote)?,
        false => None,
    };
    let opened = open(&door, &link, name, facts).await?;
    let length = opened.content.len() as u64;
    let mut response = Response::new(Body::empty());
    describe(response.headers_mut(), &opened)?;
    let ranges = match conditions::evaluate(&head.headers, &opened.etag) {
        Outcome::Failed => {
            let text = "the file is not the one the condition names";
            return Err(Refusal::new(StatusCode::PRECONDITION_FAILED, "precondition", text));
        }
        Outcome::NotModified => {
            bump(&door.counters.not_modified);
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response.headers_mut().remove(CONTENT_TYPE);
            return Ok(response);
        }
        // RFC 9110 §14.2: Range is defined for GET only.
        Outcome::Proceed { ranges } => ranges && !is_head,
    };
    let mut given = head.headers.get_all(RANGE).iter();
    let selection = match (given.next(), given.next()) {
        (Some(value), None) if ranges => {
            value.to_str().map_or(Selection::Whole, |text| ranges::select(text, length))
        }
        _ => Selection::Whole,
    };
    let (content, range) = match selection {
        Selection::Unsatisfiable => return Err(Refusal::unsatisfiable(length)),
        Selection::Whole => (opened.content.clone(), None),
        Selection::Part(part) => {
            let (Ok(first), Ok(end)) = (usize::try_from(part.start), usize::try_from(part.end)) else {
                return Err(Refusal::unsatisfiable(length));
            };
            // `select` keeps parts inside the file.
            (opened.content.slice(first..end), Some(format!("{}-{}/{length}", part.start, part.end - 1)))
        }
    };
    if let Some(range) = &range {
        bump(&door.counters.partial);
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        response.headers_mut().insert(CONTENT_RANGE, text_value(&format!("bytes {range}"))?);
    }
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(content.len()));
    if is_head {
        return Ok(response);
    }
    let account = Account {
        events: door.parts.events.clone(),
        counters: door.counters.clone(),
        pulse: link.pulse.clone(),
        started,
    };
    let mut transfer = Transfer::new(event(&opened, &link), account, content.len() as u64);
    transfer.status = response.status().as_u16();
    transfer.range = range;
    transfer.loader = opened.role == Role::Loader;
    transfer.head_bytes = head_bytes(&response);
    Ok(response.map(|_| Body::new(FileBody::new(content, transfer))))
}

/// Opens on the blocking pool: the tree may read files and render.
async fn open(
    door: &Arc<Shared>,
    link: &Link,
    name: String,
    facts: Option<Facts>,
) -> Result<Opened, Refusal> {
    let who = Who { address: link.remote, interface: None, local: link.local.ip(), facts, door: Door::Http };
    let parts = door.parts.clone();
    let opening = tokio::task::spawn_blocking(move || {
        if let Some(facts) = &who.facts {
            parts.decider.learn(facts);
        }
        parts.files.open(&name, &who)
    });
    match opening.await {
        Ok(Ok(opened)) => Ok(opened),
        Ok(Err(error)) => Err(refusal(&error, link)),
        Err(_) => {
            tracing::error!(from = %link.remote, "opening a file panicked");
            Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "internal error"))
        }
    }
}

fn refusal(error: &OpenError, link: &Link) -> Refusal {
    let status = match error {
        OpenError::NotFound { .. } | OpenError::LeftAlone(_) | OpenError::LoaderMissing(_) => {
            StatusCode::NOT_FOUND
        }
        OpenError::BadName(_) => StatusCode::BAD_REQUEST,
        OpenError::NotArmed { .. } => StatusCode::FORBIDDEN,
        OpenError::Unmade(_) => StatusCode::INTERNAL_SERVER_ERROR,
        OpenError::Io { .. } => {
            tracing::error!(error = error as &dyn std::error::Error, from = %link.remote, "file cannot be opened");
            return Refusal::busy(error.reason(), error.public_text());
        }
    };
    Refusal::new(status, error.reason(), error.public_text())
}

/// Fields that GET, HEAD, 206 and 304 share.
fn describe(headers: &mut HeaderMap, opened: &Opened) -> Result<(), Refusal> {
    headers.insert(ETAG, text_value(&format!("\"{}\"", opened.etag))?);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(opened.content_type));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // A name may get new bytes: caches between us and the machine ask before they answer.
    let caching = if opened.cacheable { "no-cache" } else { "no-store" };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(caching));
    Ok(())
}

fn text_value(text: &str) -> Result<HeaderValue, Refusal> {
    HeaderValue::try_from(text).map_err(|_| {
        tracing::error!("entity tag is no header value");
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "internal error")
    })
}

fn event(opened: &Opened, link: &Link) -> Event {
    let name = match opened.role {
        Role::Script | Role::Config => EventName::HttpScript,
        Role::Loader
        | Role::Kernel
        | Role::Initrd
        | Role::Module
        | Role::Answer
        | Role::Bundle
        | Role::File => EventName::HttpFile,
    };
    let mut event = Event::new(name);
    if let Some(facts) = &opened.facts {
        event = event.of(facts);
    }
    event = event.host(opened.host.clone()).boot(opened.boot.clone());
    event =
        event.with("from", link.remote).with("file", opened.name.clone()).with("role", opened.role.as_str());
    match &opened.image {
        Some(image) => event.with("image", image.clone()),
        None => event,
    }
}

/// Bytes of status line and fields as hyper writes them, `Date` and `nosniff` included.
fn head_bytes(response: &Response) -> u64 {
    const DATE: usize = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n".len();
    const NOSNIFF: usize = "X-Content-Type-Options: nosniff\r\n".len();
    let reason = response.status().canonical_reason().unwrap_or_default();
    let line = "HTTP/1.1 200 \r\n\r\n".len() + reason.len();
    let fields: usize =
        response.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    (line + DATE + NOSNIFF + fields) as u64
}
