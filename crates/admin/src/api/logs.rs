//! `boot-logs`: what installers sent.

use crate::query::Params;
use crate::router::{json, list as list_answer};
use crate::{Api, Problem};
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use http::StatusCode;

pub(crate) async fn list(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    // One page: what is kept is bounded.
    let params = Params::read(query.as_deref(), &["of", "limit"])?;
    let of = params.text("of").map(str::to_owned);
    list_answer(&api.call(None, move |backend| backend.boot_logs(of.as_deref())).await?)
}

pub(crate) async fn read(
    State(api): State<Api>,
    Path((of, name)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    Params::read(query.as_deref(), &[])?;
    let log = api.call(None, move |backend| backend.boot_log(&of, &name)).await?;
    json(StatusCode::OK, &log, None)
}
