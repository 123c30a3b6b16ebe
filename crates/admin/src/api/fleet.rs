//! `rollouts`, `hosts:drift` and `hosts:repair`.

use crate::backend::RolloutOrder;
use crate::query::Params;
use crate::router::{body, json, list as list_answer};
use crate::view::{DriftRequest, RepairRequest, RolloutRequest};
use crate::{Api, Problem};
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde_json::json as object;
use types::resource::{Name, NameParseError};

pub(crate) async fn drift(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    content: Body,
) -> Result<Response, Box<Problem>> {
    Params::read(query.as_deref(), &[])?;
    let request: DriftRequest = body(&headers, content).await?;
    let report = api.call(None, move |backend| backend.drift(&request)).await?;
    json(StatusCode::OK, &report, None)
}

pub(crate) async fn repair(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    content: Body,
) -> Result<Response, Box<Problem>> {
    let dry_run = Params::read(query.as_deref(), &["dry_run"])?.flag("dry_run")?;
    let request: RepairRequest = body(&headers, content).await?;
    let report = api.call(None, move |backend| backend.repair(&request, dry_run)).await?;
    json(StatusCode::OK, &report, None)
}

pub(crate) async fn start(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    content: Body,
) -> Result<Response, Box<Problem>> {
    let dry_run = Params::read(query.as_deref(), &["dry_run"])?.flag("dry_run")?;
    let request: RolloutRequest = body(&headers, content).await?;
    let view = api.call(None, move |backend| backend.start_rollout(&request, dry_run)).await?;
    json(if dry_run { StatusCode::OK } else { StatusCode::CREATED }, &view, None)
}

pub(crate) async fn list(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    // One page: their number is bounded.
    Params::read(query.as_deref(), &["limit"])?;
    list_answer(&api.call(None, |backend| backend.rollouts()).await?)
}

pub(crate) async fn read(
    State(api): State<Api>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    Params::read(query.as_deref(), &[])?;
    let name = name_of(&name)?;
    json(StatusCode::OK, &api.call(None, move |backend| backend.rollout(&name)).await?, None)
}

pub(crate) async fn remove(
    State(api): State<Api>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    Params::read(query.as_deref(), &[])?;
    let name = name_of(&name)?;
    let deleted = name.to_string();
    api.call(None, move |backend| backend.remove_rollout(&name)).await?;
    json(StatusCode::OK, &object!({ "deleted": deleted }), None)
}

pub(crate) async fn order(
    State(api): State<Api>,
    Path((name, order)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    let params = Params::read(query.as_deref(), &["by"])?;
    let by = params.text("by").unwrap_or("api").to_owned();
    let name = name_of(&name)?;
    let order = match order.as_str() {
        "pause" => RolloutOrder::Pause,
        "resume" => RolloutOrder::Resume,
        "cancel" => RolloutOrder::Cancel,
        other => {
            return Err(Problem::new(
                404,
                "R-API-01",
                "unknown-route",
                format!("a rollout has no `{other}`"),
            )
            .with_fix("POST pause, resume or cancel"));
        }
    };
    let view = api.call(None, move |backend| backend.order_rollout(&name, &by, order)).await?;
    json(StatusCode::OK, &view, None)
}

fn name_of(text: &str) -> Result<Name, Box<Problem>> {
    text.parse().map_err(|error: NameParseError| {
        Problem::new(400, "R-API-12", "bad-reference", "the name of the rollout cannot be read")
            .with_cause(error.to_string())
    })
}
