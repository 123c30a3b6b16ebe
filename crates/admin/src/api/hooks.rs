//! `hooks`.

use crate::query::Params;
use crate::router::{json, list as list_answer};
use crate::{Api, Problem};
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use http::StatusCode;
use types::resource::{Name, NameParseError};

pub(crate) async fn list(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    // One page: the configuration bounds them.
    Params::read(query.as_deref(), &["limit"])?;
    list_answer(&api.call(None, |backend| backend.hooks()).await?)
}

pub(crate) async fn test(
    State(api): State<Api>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    Params::read(query.as_deref(), &[])?;
    let name: Name = name.parse().map_err(|error: NameParseError| {
        Problem::new(400, "R-API-12", "bad-reference", "the name of the hook cannot be read")
            .with_cause(error.to_string())
    })?;
    let tried = api.call(None, move |backend| backend.test_hook(&name)).await?;
    json(StatusCode::OK, &tried, None)
}
