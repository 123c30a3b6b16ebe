//! `reveille apply`, `diff`, `export` and `resource …`

mod differ;
mod documents;

use super::api::{Api, print_json};
use super::table;
use crate::cli::{Apply, Diff, Export, Global, Output, Resource, Sources};
use crate::failure::{Exit, Failure};
use crate::out::put;
use crate::sources::Refusal;
use admin::view::{Applied, ApplyRequest, ResourceView};
use serde_json::{Value, json};
use std::process::ExitCode;
use types::resource::{Name, Owner, Resources};

pub(crate) async fn apply(global: &Global, asked: Apply) -> Result<ExitCode, Failure> {
    let api = Api::patient(global);
    let resources = match wanted(global, &api, &asked.sources).await? {
        Ok(resources) => resources,
        Err(code) => return Ok(code),
    };
    let request = request(&asked.sources, resources, asked.if_revision, false);
    let applied = send(&api, &request, asked.dry_run).await?;
    match global.output {
        Output::Json => print_json(&shown(&applied)?),
        Output::Table | Output::Otlp => told(&applied),
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn diff(global: &Global, asked: Diff) -> Result<ExitCode, Failure> {
    let api = Api::patient(global);
    let resources = match wanted(global, &api, &asked.sources).await? {
        Ok(resources) => resources,
        Err(code) => return Ok(code),
    };
    let applied = send(&api, &request(&asked.sources, resources, None, true), true).await?;
    match global.output {
        Output::Json => print_json(&shown(&applied)?),
        Output::Table | Output::Otlp => {
            for change in &applied.changes {
                put!("{}", differ::change(change));
            }
            notes(&applied);
            match applied.changed {
                true => {
                    eprintln!(
                        "{} would change; reveille apply --if-revision {}",
                        counted(&applied),
                        applied.revision
                    )
                }
                false => eprintln!("no difference"),
            }
        }
    }
    Ok(ExitCode::from(if applied.changed { Exit::Found as u8 } else { 0 }))
}

pub(crate) async fn export(global: &Global, asked: Export) -> Result<ExitCode, Failure> {
    let api = Api::patient(global);
    let mut resources = Resources::default();
    for view in all(&api).await? {
        // What a file defines is in that file.
        let owner = view.managed_by.parse::<Owner>().ok();
        let meant = match (&asked.owner, &owner) {
            (_, None) => false,
            (Some(wanted), Some(owner)) => wanted == owner,
            (None, Some(_)) => true,
        };
        if meant && (asked.kinds.is_empty() || asked.kinds.contains(&view.kind)) {
            resources.add(view.kind, view.resource).map_err(unreadable)?;
        }
    }
    resources.sort();
    if global.output == Output::Json {
        let resources = serde_json::to_value(&resources).map_err(unreadable)?;
        print_json(&json!({ "version": 1, "resources": resources }));
        return Ok(ExitCode::SUCCESS);
    }
    match config::write_documents(&resources) {
        Ok(text) => {
            put!("{text}");
            Ok(ExitCode::SUCCESS)
        }
        Err(report) => Ok(super::config::refuse(global, &report, Exit::Failed)),
    }
}

pub(crate) async fn resource(global: &Global, asked: Resource) -> Result<ExitCode, Failure> {
    let api = Api::new(global);
    match asked {
        Resource::List { owner } => {
            let owner = owner.map(|owner| owner.to_string());
            let mut list = api.get("resources").await?.body;
            if let (Some(owner), Some(items)) =
                (owner, list.pointer_mut("/items").and_then(Value::as_array_mut))
            {
                items.retain(|item| table::cell(item, "/managed_by") == owner);
            }
            table::print_list(
                global,
                &list,
                &[
                    ("KIND", |item| table::cell(item, "/kind")),
                    ("NAME", |item| table::cell(item, "/resource/name")),
                    ("OWNER", |item| table::cell(item, "/managed_by")),
                    ("REVISION", |item| table::cell(item, "/revision")),
                ],
            );
        }
        Resource::Own { kind, name, to } => {
            let body = json!({ "owner": to.to_string() });
            let answer = api.put(&format!("resources/{kind}/{name}/owner"), &body).await?;
            match (global.output, table::cell(&answer, "/changed").as_str()) {
                (Output::Json, _) => print_json(&answer),
                (Output::Table | Output::Otlp, "true") => eprintln!(
                    "{kind} {name} is now owned by {}, revision {}",
                    table::cell(&answer, "/owner"),
                    table::cell(&answer, "/revision")
                ),
                (Output::Table | Output::Otlp, _) => eprintln!("unchanged"),
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The resources of the documents; the exit code when they are faulty, which has been told.
async fn wanted(
    global: &Global,
    api: &Api,
    sources: &Sources,
) -> Result<Result<Resources, ExitCode>, Failure> {
    let sources = documents::read(&sources.files)?;
    // What there is may be named.
    let views = all(api).await?;
    let images = api.list("images").await?;
    let images = images.pointer("/items").and_then(Value::as_array).into_iter().flatten();
    let images: Vec<Name> = images.filter_map(|image| table::cell(image, "/name").parse().ok()).collect();
    match documents::check(&sources, &views, &images) {
        Ok(found) => {
            eprint!("{}", config::render(&found.warnings, global.colour()));
            Ok(Ok(found.resources))
        }
        Err(Refusal::Unreadable(failure)) => Err(failure),
        Err(Refusal::Faulty(report)) => Ok(Err(super::config::refuse(global, &report, Exit::Usage))),
    }
}

fn request(sources: &Sources, resources: Resources, if_revision: Option<u64>, details: bool) -> ApplyRequest {
    ApplyRequest {
        owner: sources.owner.clone(),
        prune: sources.prune,
        staged: sources.staged,
        take_over: sources.take_over,
        if_revision,
        details,
        resources,
    }
}

async fn send(api: &Api, request: &ApplyRequest, dry_run: bool) -> Result<Applied, Failure> {
    let body = serde_json::to_value(request)
        .map_err(|error| Failure::new("R-CLI-05", "the resources have no JSON form").cause(error))?;
    let path = if dry_run { "resources:apply?dry_run=true" } else { "resources:apply" };
    serde_json::from_value(api.post(path, &body).await?).map_err(unreadable)
}

async fn all(api: &Api) -> Result<Vec<ResourceView>, Failure> {
    let mut list = api.get("resources").await?.body;
    let items = list.pointer_mut("/items").map(Value::take).unwrap_or_default();
    serde_json::from_value(items).map_err(unreadable)
}

fn unreadable(error: serde_json::Error) -> Failure {
    Failure::new("R-CLI-06", "the appliance shows resources this program cannot read").cause(error)
}

fn shown(applied: &Applied) -> Result<Value, Failure> {
    serde_json::to_value(applied).map_err(unreadable)
}

fn told(applied: &Applied) {
    if applied.changed {
        let cell = |count: u64| if count == 0 { "-".to_owned() } else { count.to_string() };
        let rows: Vec<Vec<String>> = applied
            .kinds
            .iter()
            .filter(|kind| kind.created + kind.changed + kind.removed + kind.unchanged > 0)
            .map(|kind| {
                let counts = [kind.created, kind.changed, kind.removed, kind.unchanged].map(cell);
                std::iter::once(kind.kind.to_string()).chain(counts).collect()
            })
            .collect();
        put!("{}", table::render(&["KIND", "CREATED", "CHANGED", "REMOVED", "UNCHANGED"], &rows));
    }
    notes(applied);
    if !applied.changed {
        eprintln!("unchanged");
        return;
    }
    let set = applied.rule_set.map(|set| format!(", rule set {set}")).unwrap_or_default();
    match applied.dry_run {
        true => eprintln!("{} would be applied as {}", counted(applied), applied.owner),
        false => {
            eprintln!("{} applied as {}, revision {}{set}", counted(applied), applied.owner, applied.revision)
        }
    }
}

fn notes(applied: &Applied) {
    for note in &applied.notes {
        eprintln!("note {note}");
    }
}

fn counted(applied: &Applied) -> String {
    match applied.changes.len() {
        1 => "1 change".to_owned(),
        many => format!("{many} changes"),
    }
}
