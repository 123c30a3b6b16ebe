//! `resources` and `templates`.

use crate::query::Params;
use crate::router::{body, body_of, json, list as list_answer};
use crate::view::{ApplyRequest, OwnRequest};
use crate::{Api, Problem};
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use types::resource::{Name, NameParseError, Owner, ResourceKind};

/// Largest body: what one commit of the store may have, and half as much again for what the wire form adds.
const APPLY_BYTES_MAX: usize = 24 << 20;

pub(crate) async fn apply(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    content: Body,
) -> Result<Response, Box<Problem>> {
    let dry_run = Params::read(query.as_deref(), &["dry_run"])?.flag("dry_run")?;
    let request: ApplyRequest = body_of(&headers, content, APPLY_BYTES_MAX).await?;
    let applied = api.call(None, move |backend| backend.apply(request, dry_run)).await?;
    json(StatusCode::OK, &applied, None)
}

pub(crate) async fn resources(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    // One page: what is exported is of one moment.
    Params::read(query.as_deref(), &["limit"])?;
    list_answer(&api.call(None, |backend| backend.resources()).await?)
}

pub(crate) async fn own(
    State(api): State<Api>,
    Path((kind, name)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    content: Body,
) -> Result<Response, Box<Problem>> {
    Params::read(query.as_deref(), &[])?;
    let kind: ResourceKind = kind.parse().map_err(|cause: String| bad_reference().with_cause(cause))?;
    let name = name_of(&name)?;
    let request: OwnRequest = body(&headers, content).await?;
    let owner = Owner::from_short(&request.owner)
        .map_err(|error| bad_reference().with_cause(format!("owner `{}`: {error}", request.owner)))?;
    let changed = api.call(None, move |backend| backend.own(kind, &name, &owner)).await?;
    json(StatusCode::OK, &changed, Some(changed.revision))
}

pub(crate) async fn templates(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    Params::read(query.as_deref(), &["limit"])?;
    list_answer(&api.call(None, |backend| backend.templates()).await?)
}

pub(crate) async fn template(
    State(api): State<Api>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    Params::read(query.as_deref(), &[])?;
    let name = name_of(&name)?;
    let view = api.call(None, move |backend| backend.template(&name)).await?;
    json(StatusCode::OK, &view, Some(view.revision))
}

fn name_of(text: &str) -> Result<Name, Box<Problem>> {
    text.parse().map_err(|error: NameParseError| bad_reference().with_cause(error.to_string()))
}

fn bad_reference() -> Box<Problem> {
    Problem::new(400, "R-API-12", "bad-reference", "the reference to the resource cannot be read")
}
