//! `groups` and `rules`.

use super::hosts::removal;
use crate::backend::{BackendError, RuleChange};
use crate::problem::FieldError;
use crate::query::Params;
use crate::router::{body, expectation, json, list as list_answer};
use crate::view::{ADDED_KEYS, MANAGED_BY_API};
use crate::{Api, Problem};
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json as object};
use types::Selector;
use types::resource::{Group, Name, Rule};

pub(crate) async fn groups(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    let page = Params::read(query.as_deref(), &["limit", "after"])?.page()?;
    list_answer(&api.call(None, move |backend| backend.groups(&page)).await?)
}

pub(crate) async fn group(
    State(api): State<Api>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    Params::read(query.as_deref(), &[])?;
    let name = name_of("group", &name)?;
    let view = api.call(None, move |backend| backend.group(&name)).await?;
    json(StatusCode::OK, &view, Some(view.revision))
}

pub(crate) async fn write_group(
    State(api): State<Api>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    content: Body,
) -> Result<Response, Box<Problem>> {
    let dry_run = Params::read(query.as_deref(), &["dry_run"])?.flag("dry_run")?;
    let name = name_of("group", &name)?;
    let expect = expectation(&headers)?;
    let group: Group = resource("group", &name, body(&headers, content).await?)?;
    let written = api
        .call(Some(expect), move |backend| {
            owned_by_us("group", &name, backend.group(&name).map(|view| view.managed_by))?;
            backend.put_group(group, expect, dry_run)
        })
        .await?;
    written_answer(&written.item, written.item.revision, written.created && !dry_run, written.changed)
}

pub(crate) async fn remove_group(
    State(api): State<Api>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Box<Problem>> {
    let dry_run = Params::read(query.as_deref(), &["dry_run"])?.flag("dry_run")?;
    let name = name_of("group", &name)?;
    let expect = removal(&headers)?;
    let deleted = name.to_string();
    let revision =
        api.call(Some(expect), move |backend| backend.delete_group(&name, expect, dry_run)).await?;
    json(StatusCode::OK, &object!({"deleted": deleted, "revision": revision, "dry_run": dry_run}), None)
}

pub(crate) async fn rules(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    // One page: the order counts, and a set is bounded.
    Params::read(query.as_deref(), &["limit"])?;
    list_answer(&api.call(None, |backend| backend.rules()).await?)
}

pub(crate) async fn rule(
    State(api): State<Api>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    Params::read(query.as_deref(), &[])?;
    let name = name_of("rule", &name)?;
    let view = api.call(None, move |backend| backend.rule(&name)).await?;
    json(StatusCode::OK, &view, Some(view.revision))
}

pub(crate) async fn write_rule(
    State(api): State<Api>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    content: Body,
) -> Result<Response, Box<Problem>> {
    let change = change_of(query.as_deref())?;
    let name = name_of("rule", &name)?;
    let expect = expectation(&headers)?;
    let rule: Rule = resource("rule", &name, body(&headers, content).await?)?;
    let written = api
        .call(Some(expect), move |backend| {
            owned_by_us("rule", &name, backend.rule(&name).map(|view| view.managed_by))?;
            backend.put_rule(rule, expect, change)
        })
        .await?;
    let created = written.created && !change.dry_run;
    written_answer(&written.item, written.item.revision, created, written.changed)
}

pub(crate) async fn remove_rule(
    State(api): State<Api>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Box<Problem>> {
    let change = change_of(query.as_deref())?;
    let name = name_of("rule", &name)?;
    let expect = removal(&headers)?;
    let deleted = name.to_string();
    let revision = api.call(Some(expect), move |backend| backend.delete_rule(&name, expect, change)).await?;
    let answer = object!({"deleted": deleted, "revision": revision, "dry_run": change.dry_run, "staged": change.staged});
    json(StatusCode::OK, &answer, None)
}

pub(crate) async fn test(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    let params = Params::read(query.as_deref(), &["rule", "selector"])?;
    let rule = params.parse::<Name>("rule")?;
    let selector = params.parse::<Selector>("selector")?;
    let test = api.call(None, move |backend| backend.test_rules(rule.as_ref(), selector.as_ref())).await?;
    json(StatusCode::OK, &test, None)
}

pub(crate) async fn activate(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    let dry_run = Params::read(query.as_deref(), &["dry_run"])?.flag("dry_run")?;
    let activated = api.call(None, move |backend| backend.activate_rules(dry_run)).await?;
    json(StatusCode::OK, &activated, None)
}

pub(crate) async fn rollback(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    let params = Params::read(query.as_deref(), &["dry_run", "to"])?;
    let (dry_run, to) = (params.flag("dry_run")?, params.parse::<u64>("to")?);
    let activated = api.call(None, move |backend| backend.rollback_rules(to, dry_run)).await?;
    json(StatusCode::OK, &activated, None)
}

pub(crate) async fn sets(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    Params::read(query.as_deref(), &["limit"])?;
    list_answer(&api.call(None, |backend| backend.rule_sets()).await?)
}

pub(crate) async fn machines(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    let selector = Params::read(query.as_deref(), &["limit", "where"])?.parse::<Selector>("where")?;
    list_answer(&api.call(None, move |backend| backend.machines(selector.as_ref())).await?)
}

pub(crate) async fn ignored(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    Params::read(query.as_deref(), &["limit"])?;
    list_answer(&api.call(None, |backend| backend.ignored()).await?)
}

pub(crate) async fn ignore(
    State(api): State<Api>,
    Path(octets): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    let params = Params::read(query.as_deref(), &["by"])?;
    let by = params.text("by").unwrap_or("api").chars().take(128).collect::<String>();
    let parsed = octets_of(&octets)?;
    api.call(None, move |backend| backend.ignore(&parsed, &by, true)).await?;
    json(StatusCode::OK, &object!({ "ignored": octets }), None)
}

pub(crate) async fn heed(
    State(api): State<Api>,
    Path(octets): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    Params::read(query.as_deref(), &[])?;
    let parsed = octets_of(&octets)?;
    api.call(None, move |backend| backend.ignore(&parsed, "api", false)).await?;
    json(StatusCode::OK, &object!({ "heeded": octets }), None)
}

/// One to six octets: a machine, or all of its maker's.
fn octets_of(text: &str) -> Result<Box<[u8]>, Box<Problem>> {
    types::mac::octets(text).ok_or_else(|| {
        Problem::new(400, "R-API-13", "bad-octets", format!("`{text}` is no hardware address"))
            .with_fix("write one, or its first octets: 24:6e:96")
    })
}

fn change_of(query: Option<&str>) -> Result<RuleChange, Box<Problem>> {
    let params = Params::read(query, &["dry_run", "staged"])?;
    Ok(RuleChange { staged: params.flag("staged")?, dry_run: params.flag("dry_run")? })
}

fn written_answer(
    item: &impl serde::Serialize,
    revision: u64,
    created: bool,
    changed: bool,
) -> Result<Response, Box<Problem>> {
    let status = if created { StatusCode::CREATED } else { StatusCode::OK };
    let mut response = json(status, item, Some(revision))?;
    let changed = if changed { "changed" } else { "unchanged" };
    response.headers_mut().insert("reveille-result", http::HeaderValue::from_static(changed));
    Ok(response)
}

/// The owner rule: what a file defines, only that file changes.
fn owned_by_us(
    what: &'static str,
    name: &Name,
    owner: Result<String, BackendError>,
) -> Result<(), BackendError> {
    match owner {
        Ok(owner) if owner != MANAGED_BY_API => {
            Err(BackendError::Owned { what, name: name.to_string(), owner })
        }
        Ok(_) | Err(BackendError::NotFound { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

fn name_of(what: &str, text: &str) -> Result<Name, Box<Problem>> {
    text.parse().map_err(|error: types::resource::NameParseError| {
        Problem::new(400, "R-API-12", "bad-reference", format!("the name of the {what} cannot be read"))
            .with_cause(error.to_string())
    })
}

/// The resource of a body, under the name of its URL.
fn resource<T: DeserializeOwned>(
    what: &'static str,
    name: &Name,
    content: Map<String, Value>,
) -> Result<T, Box<Problem>> {
    let mut content = content;
    for key in ADDED_KEYS {
        content.remove(key);
    }
    let named = content.entry("name").or_insert_with(|| name.as_str().into()).clone();
    let invalid = |pointer: &str, detail: String| {
        Problem::invalid(what, vec![FieldError { pointer: pointer.to_owned(), detail }])
    };
    if named.as_str() != Some(name.as_str()) {
        return Err(invalid(
            "/name",
            format!("the body names {named}, the URL `{name}`; a {what} is not renamed"),
        ));
    }
    if let Some(when) = content.get("when").and_then(Value::as_str)
        && let Err(fault) = when.parse::<Selector>()
    {
        return Err(invalid("/when", fault.to_string()));
    }
    serde_json::from_value(Value::Object(content)).map_err(|error| invalid("", error.to_string()))
}
