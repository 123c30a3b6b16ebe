//! `boots/{id}`, `hosts/{ref}/trace`, `watch` and `simulate`.

use super::hosts::reference_of;
use crate::backend::Watched;
use crate::query::{FACTS, Params};
use crate::router::{body, json, list as list_answer};
use crate::view::SimulationRequest;
use crate::{Api, Problem};
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use types::resource::{Name, NameParseError};

/// Hosts one watch may name.
const HOSTS_MAX: usize = 256;

pub(crate) async fn boot(
    State(api): State<Api>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    Params::read(query.as_deref(), &[])?;
    let trace = api.call(None, move |backend| backend.trace(&id)).await?;
    json(StatusCode::OK, &trace, None)
}

pub(crate) async fn of_host(
    State(api): State<Api>,
    Path(reference): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    let last = Params::read(query.as_deref(), &["last"])?.flag("last")?;
    let reference = reference_of(&reference)?;
    let trace = api.call(None, move |backend| backend.trace_host(&reference, last)).await?;
    json(StatusCode::OK, &trace, None)
}

/// `GET /watch?group=…&where=…&hosts=a,b`
pub(crate) async fn watch(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    // One page: it is read again and again, and memory bounds it.
    let params = Params::read(query.as_deref(), &["group", "where", "hosts", "limit"])?;
    let names = params.text("hosts").into_iter().flat_map(|hosts| hosts.split(','));
    let hosts: Result<Vec<Name>, NameParseError> = names.map(str::parse).collect();
    let hosts = hosts.map_err(|error| Problem::bad_query(format!("`hosts`: {error}")))?;
    if hosts.len() > HOSTS_MAX {
        return Err(Problem::bad_query(format!("`hosts`: at most {HOSTS_MAX}; watch their group instead")));
    }
    let watched = Watched { group: params.parse("group")?, selector: params.parse("where")?, hosts };
    list_answer(&api.call(None, move |backend| backend.watch(&watched)).await?)
}

/// `POST /simulate`: reads, whatever its method says.
pub(crate) async fn simulate(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    content: Body,
) -> Result<Response, Box<Problem>> {
    Params::read(query.as_deref(), &[])?;
    let request: SimulationRequest = body(&headers, content).await?;
    let facts = Params::given(request.facts.iter(), &FACTS)?.facts()?;
    let simulation = api.call(None, move |backend| backend.simulate(&request, facts)).await?;
    json(StatusCode::OK, &simulation, None)
}
