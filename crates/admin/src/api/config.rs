//! `version`, `health`, `status`, `config`.

use crate::query::Params;
use crate::router::json;
use crate::view::EventStatus;
use crate::{Api, Problem};
use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::StatusCode;

pub(crate) async fn version(State(api): State<Api>) -> Result<Response, Box<Problem>> {
    let version = api.call(None, |backend| Ok(backend.version())).await?;
    json(StatusCode::OK, &version, None)
}

pub(crate) async fn health(State(api): State<Api>) -> Result<Response, Box<Problem>> {
    let health = api.call(None, |backend| Ok(backend.health())).await?;
    json(if health.ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, &health, None)
}

pub(crate) async fn status(State(api): State<Api>) -> Result<Response, Box<Problem>> {
    let mut status = api.call(None, |backend| Ok(backend.status())).await?;
    status.events = EventStatus {
        epoch: api.events.epoch(),
        seq: api.events.last(),
        followers: u64::try_from(api.events.followers()).unwrap_or(u64::MAX),
    };
    json(StatusCode::OK, &status, None)
}

pub(crate) async fn config(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    Params::read(query.as_deref(), &[])?;
    let config = api.call(None, |backend| backend.config()).await?;
    json(StatusCode::OK, &config, None)
}
