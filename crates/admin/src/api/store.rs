//! `store/backup`, `store/dump`, `store/verify`: the whole store, at one revision.

use crate::backend::Download;
use crate::query::Params;
use crate::router::{etag, json};
use crate::{Api, Problem};
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use http::{HeaderValue, StatusCode};
use std::convert::Infallible;
use tokio::sync::mpsc;

/// Pieces made before the client has read the last one.
const PIECES_AHEAD: usize = 2;

/// Field that says how many records are in a download.
pub(crate) const RECORDS_FIELD: &str = "reveille-records";

pub(crate) async fn backup(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    Params::read(query.as_deref(), &[])?;
    let download = api.call(None, |backend| backend.store_backup()).await?;
    Ok(answer(download, "application/octet-stream"))
}

pub(crate) async fn dump(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    let params = Params::read(query.as_deref(), &["table"])?;
    let table = params.text("table").map(str::to_owned);
    let download = api.call(None, move |backend| backend.store_dump(table.as_deref())).await?;
    Ok(answer(download, "application/x-ndjson"))
}

pub(crate) async fn verify(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    Params::read(query.as_deref(), &[])?;
    let report = api.call(None, |backend| backend.store_verify()).await?;
    json(StatusCode::OK, &report, Some(report.revision))
}

/// Sends a download as it is made, on a thread that may block.
pub(crate) fn answer(download: Download, kind: &'static str) -> Response {
    let Download { revision, records, bytes, pieces } = download;
    let (sender, receiver) = mpsc::channel(PIECES_AHEAD);
    tokio::task::spawn_blocking(move || {
        for piece in pieces {
            // Nobody reads it any more.
            if sender.blocking_send(Bytes::from(piece)).is_err() {
                return;
            }
        }
    });
    let body = stream::unfold(receiver, |mut receiver| async {
        let piece = receiver.recv().await?;
        Some((Ok::<_, Infallible>(piece), receiver))
    });
    let mut response = Response::new(Body::from_stream(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(RECORDS_FIELD, HeaderValue::from(records));
    if let Some(bytes) = bytes {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes));
    }
    if let Some(tag) = etag(revision) {
        headers.insert(ETAG, tag);
    }
    response
}
