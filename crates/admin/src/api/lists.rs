//! `leases` and `boots`: read only.

use crate::query::Params;
use crate::router::list;
use crate::{Api, Problem};
use axum::extract::{RawQuery, State};
use axum::response::Response;

pub(crate) async fn leases(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    let page = Params::read(query.as_deref(), &["limit", "after"])?.page()?;
    list(&api.call(None, move |backend| backend.leases(&page)).await?)
}

pub(crate) async fn boots(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    let page = Params::read(query.as_deref(), &["limit", "after"])?.page()?;
    list(&api.call(None, move |backend| backend.boots(&page)).await?)
}
