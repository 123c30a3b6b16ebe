//! `machines/{mac}` and what is wrong with their identity.

use crate::query::Params;
use crate::router::{json, list as list_answer};
use crate::{Api, Problem};
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use http::StatusCode;
use serde_json::json as object;
use types::MacAddr;

pub(crate) async fn read(
    State(api): State<Api>,
    Path(mac): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    Params::read(query.as_deref(), &[])?;
    let mac = mac_of(&mac)?;
    json(StatusCode::OK, &api.call(None, move |backend| backend.machine(mac)).await?, None)
}

pub(crate) async fn forget(
    State(api): State<Api>,
    Path(mac): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    let params = Params::read(query.as_deref(), &["by"])?;
    let by = params.text("by").unwrap_or("api").chars().take(128).collect::<String>();
    let mac = mac_of(&mac)?;
    api.call(None, move |backend| backend.forget_machine(mac, &by)).await?;
    json(StatusCode::OK, &object!({ "forgotten": mac.to_string() }), None)
}

pub(crate) async fn alarms(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    Params::read(query.as_deref(), &["limit"])?;
    list_answer(&api.call(None, |backend| backend.alarms()).await?)
}

fn mac_of(text: &str) -> Result<MacAddr, Box<Problem>> {
    text.parse().map_err(|error| {
        Problem::new(400, "R-API-13", "bad-octets", format!("`{text}` is no hardware address"))
            .with_cause(format!("{error}"))
            .with_fix("write 24:6e:96:78:44:40")
    })
}
