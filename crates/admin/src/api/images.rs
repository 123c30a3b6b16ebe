//! `images` and `imports`.

use crate::api::hosts::removal;
use crate::api::store::answer as download_answer;
use crate::backend::BackendError;
use crate::query::Params;
use crate::router::{body, json, list as list_answer};
use crate::view::{ImportRequest, MANAGED_BY_API, PruneRequest, RollbackRequest, TagRequest};
use crate::{Api, Problem};
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::header::{CONTENT_LENGTH, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json as object;
use std::collections::VecDeque;
use std::io::{self, Read};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, mpsc};
use types::resource::Name;

pub(crate) async fn list(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    let page = Params::read(query.as_deref(), &["limit", "after"])?.page()?;
    list_answer(&api.call(None, move |backend| backend.images(&page)).await?)
}

pub(crate) async fn read(State(api): State<Api>, Path(name): Path<String>) -> Result<Response, Box<Problem>> {
    let name = name_of(&name)?;
    let view = api.call(None, move |backend| backend.image(&name)).await?;
    json(StatusCode::OK, &view, Some(view.revision))
}

pub(crate) async fn remove(
    State(api): State<Api>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Box<Problem>> {
    let params = Params::read(query.as_deref(), &["dry_run", "force"])?;
    let (dry_run, force) = (params.flag("dry_run")?, params.flag("force")?);
    let name = name_of(&name)?;
    let expect = removal(&headers)?;
    let deleted = name.to_string();
    let revision = api
        .call(Some(expect), move |backend| {
            let view = backend.image(&name)?;
            if view.managed_by != MANAGED_BY_API {
                return Err(BackendError::Owned {
                    what: "image",
                    name: name.to_string(),
                    owner: view.managed_by,
                });
            }
            backend.delete_image(&name, expect, force, dry_run)
        })
        .await?;
    json(StatusCode::OK, &object!({"deleted": deleted, "revision": revision, "dry_run": dry_run}), None)
}

pub(crate) async fn rollback(
    State(api): State<Api>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    content: Body,
) -> Result<Response, Box<Problem>> {
    Params::read(query.as_deref(), &[])?;
    let name = name_of(&name)?;
    let RollbackRequest { to } = body(&headers, content).await?;
    let view = api.call(None, move |backend| backend.rollback_image(&name, to.as_ref())).await?;
    json(StatusCode::OK, &view, Some(view.revision))
}

pub(crate) async fn tag(
    State(api): State<Api>,
    Path((name, tag)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    content: Body,
) -> Result<Response, Box<Problem>> {
    Params::read(query.as_deref(), &[])?;
    let (name, tag) = (name_of(&name)?, tag_of(&tag)?);
    let TagRequest { version } = body(&headers, content).await?;
    let view = api.call(None, move |backend| backend.tag_image(&name, &tag, version.as_ref())).await?;
    json(StatusCode::OK, &view, Some(view.revision))
}

pub(crate) async fn untag(
    State(api): State<Api>,
    Path((name, tag)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    Params::read(query.as_deref(), &[])?;
    let (name, tag) = (name_of(&name)?, tag_of(&tag)?);
    let view = api.call(None, move |backend| backend.untag_image(&name, &tag)).await?;
    json(StatusCode::OK, &view, Some(view.revision))
}

pub(crate) async fn prune(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    content: Body,
) -> Result<Response, Box<Problem>> {
    Params::read(query.as_deref(), &[])?;
    let request: PruneRequest = body(&headers, content).await?;
    if request.keep == Some(0) {
        return Err(Problem::bad_body("`keep` counts the current version: it is 1 or more".to_owned()));
    }
    let report = api.call(None, move |backend| backend.prune_images(&request)).await?;
    json(StatusCode::OK, &report, None)
}

pub(crate) async fn export(
    State(api): State<Api>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    let version = Params::read(query.as_deref(), &["version"])?.parse::<Name>("version")?;
    let name = name_of(&name)?;
    let download = api.call(None, move |backend| backend.export_image(&name, version.as_ref())).await?;
    Ok(download_answer(download, "application/x-tar"))
}

/// `?image=a,b`; all images without it.
pub(crate) async fn verify(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    let params = Params::read(query.as_deref(), &["image"])?;
    let names = params.text("image").unwrap_or_default().split(',').filter(|name| !name.is_empty());
    let names = names.map(name_of).collect::<Result<Vec<Name>, _>>()?;
    let download = api.call(None, move |backend| backend.verify_images(&names)).await?;
    Ok(download_answer(download, "application/x-ndjson"))
}

fn tag_of(text: &str) -> Result<Name, Box<Problem>> {
    text.parse().map_err(|error: types::resource::NameParseError| {
        Problem::new(422, "R-IMG-10", "tag-refused", format!("`{text}` cannot be a tag"))
            .with_cause(error.to_string())
            .with_fix("choose another, such as `stable`")
    })
}

fn name_of(text: &str) -> Result<Name, Box<Problem>> {
    text.parse().map_err(|_| Problem::not_found("image", text))
}

/// Answers of requests that carried an `Idempotency-Key`: a repeated request starts nothing twice.
#[derive(Default)]
pub(crate) struct Idempotency(Mutex<VecDeque<Started>>);

struct Started {
    at: Instant,
    key: String,
    request: ImportRequest,
    id: String,
}

/// How long a key is remembered.
const KEY_LIFE: Duration = Duration::from_secs(24 * 3600);

/// Keys remembered at most; the oldest goes first.
const KEYS_MAX: usize = 1000;

/// Bytes of a key.
const KEY_BYTES_MAX: usize = 255;

pub(crate) async fn start(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    content: Body,
) -> Result<Response, Box<Problem>> {
    let dry_run = Params::read(query.as_deref(), &["dry_run"])?.flag("dry_run")?;
    let key = match headers.get("idempotency-key") {
        None => None,
        Some(value) => match value.to_str() {
            Ok(text) if (1..=KEY_BYTES_MAX).contains(&text.len()) => Some(text.to_owned()),
            _ => {
                return Err(Problem::new(
                    400,
                    "R-API-13",
                    "bad-key",
                    "the Idempotency-Key is 1 to 255 ASCII characters",
                ));
            }
        },
    };
    let request: ImportRequest = body(&headers, content).await?;
    // Held over the start, so that two requests with one key cannot both start.
    let mut started = api.keys().0.lock().await;
    started.retain(|entry| entry.at.elapsed() < KEY_LIFE);
    if let Some(earlier) = started.iter().find(|entry| Some(&entry.key) == key.as_ref()) {
        if earlier.request != request {
            return Err(Problem::new(
                422,
                "R-API-14",
                "key-reused",
                "this Idempotency-Key came with another request before",
            ));
        }
        let id = earlier.id.clone();
        let view = api.call(None, move |backend| backend.import(&id)).await?;
        return accepted(&view.id, &view);
    }
    let asked = request.clone();
    let view = api.call(None, move |backend| backend.start_import(asked, dry_run)).await?;
    if dry_run {
        return json(StatusCode::OK, &view, None);
    }
    if let Some(key) = key {
        if started.len() >= KEYS_MAX {
            started.pop_front();
        }
        started.push_back(Started { at: Instant::now(), key, request, id: view.id.clone() });
    }
    accepted(&view.id, &view)
}

fn accepted(id: &str, view: &impl serde::Serialize) -> Result<Response, Box<Problem>> {
    let mut response = json(StatusCode::ACCEPTED, view, None)?;
    if let Ok(location) = HeaderValue::try_from(format!("/api/v1/imports/{id}")) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

pub(crate) async fn imports(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    let page = Params::read(query.as_deref(), &["limit", "after"])?.page()?;
    list_answer(&api.call(None, move |backend| backend.imports(&page)).await?)
}

pub(crate) async fn import(State(api): State<Api>, Path(id): Path<String>) -> Result<Response, Box<Problem>> {
    let view = api.call(None, move |backend| backend.import(&id)).await?;
    json(StatusCode::OK, &view, None)
}

/// Asks it to end. It may still be ending when the answer comes; its state says so.
pub(crate) async fn cancel(State(api): State<Api>, Path(id): Path<String>) -> Result<Response, Box<Problem>> {
    let view = api.call(None, move |backend| backend.cancel_import(&id)).await?;
    json(StatusCode::ACCEPTED, &view, None)
}

/// The bytes of an import of source `-`, of any length: no other body is as large.
pub(crate) async fn receive(
    State(api): State<Api>,
    Path(id): Path<String>,
    headers: HeaderMap,
    content: Body,
) -> Result<Response, Box<Problem>> {
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let (pieces, arriving) = mpsc::channel(PIECES_WAITING);
    let receiving = tokio::spawn(async move {
        let mut body = Arriving { pieces: arriving, piece: Bytes::new(), runtime: Handle::current() };
        api.call(None, move |backend| backend.receive_import(&id, &mut body, length)).await
    });
    let mut frames = content.into_data_stream();
    while let Some(piece) = frames.next().await {
        let broken = piece.is_err();
        // Who no longer takes them has ended; its answer says why.
        if pieces.send(piece.map_err(io::Error::other)).await.is_err() || broken {
            break;
        }
    }
    drop(pieces);
    match receiving.await {
        Ok(view) => json(StatusCode::ACCEPTED, &view?, None),
        Err(_) => Err(Problem::internal()),
    }
}

/// Pieces of a body that have come and are not yet written.
const PIECES_WAITING: usize = 16;

/// How often who waits for a body may look at something else.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A body for a thread that blocks.
struct Arriving {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
    runtime: Handle,
}

impl Read for Arriving {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            let next = async { tokio::time::timeout(LOOK_EVERY, self.pieces.recv()).await };
            match self.runtime.block_on(next) {
                Ok(Some(piece)) => self.piece = piece?,
                Ok(None) => return Ok(0),
                Err(_) => return Err(io::ErrorKind::TimedOut.into()),
            }
        }
        let count = self.piece.len().min(buffer.len());
        let taken = self.piece.split_to(count);
        if let Some(place) = buffer.get_mut(..count) {
            place.copy_from_slice(&taken);
        }
        Ok(count)
    }
}
