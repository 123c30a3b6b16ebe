//! `reveille bundle …`: on the configuration file, without an appliance; only `status` asks one.

use super::api::{Api, print_json};
use super::given::{catalog, given, image_name};
use super::table::{self, cell};
use super::template::{no_such, with};
use crate::cli::{Bundle, Global, Output, RenderBundle};
use crate::failure::{Exit, Failure};
use crate::out::put;
use config::Loaded;
use render::bundle::{BundleFault, Place, Rendered, compile, runner};
use render::template::Values;
use serde_json::{Value, json};
use std::process::ExitCode;
use std::sync::Arc;
use types::resource::{self, Delivery, Host, Name, OnFailure};

/// Where a preview says that scripts are told of.
const PREVIEW_URL: &str = "http://192.0.2.1/b/00000000000000000000000000000000/bundle";

pub(crate) async fn command(global: &Global, command: Bundle) -> Result<ExitCode, Failure> {
    match command {
        Bundle::List { config } => with(global, &config, |loaded| {
            list(global, loaded)?;
            Ok(ExitCode::SUCCESS)
        }),
        Bundle::Get { name, config } => with(global, &config, |loaded| {
            let bundle = loaded.bundles.iter().find(|bundle| bundle.name == name).ok_or_else(|| {
                let names: Vec<&str> = loaded.bundles.iter().map(|bundle| bundle.name.as_str()).collect();
                let fix = match names.is_empty() {
                    true => "define it in resources.bundles".to_owned(),
                    false => format!("defined are {}", names.join(", ")),
                };
                no_such("bundle", &name, &config)
                    .fix(format!("{fix}; an applied one: reveille export --kind bundle"))
            })?;
            match global.output {
                Output::Json => print_json(&json!(bundle)),
                Output::Table | Output::Otlp => {
                    for script in &bundle.scripts {
                        let secs = script.timeout_secs.unwrap_or(0);
                        put!(
                            "{}",
                            head(&bundle.name, &script.name, &script.interpreter, secs, script.on_failure)
                        );
                        put!("{}", script.text);
                    }
                }
            }
            Ok(ExitCode::SUCCESS)
        }),
        Bundle::Render(asked) => with(global, &asked.config, |loaded| render(global, loaded, &asked)),
        Bundle::Status { host } => status(global, &host).await,
    }
}

/// `# base/ntp: /bin/sh, 60 s, stop`
fn head(bundle: &Name, script: &Name, interpreter: &str, secs: u32, then: OnFailure) -> String {
    let limit = if secs == 0 { String::new() } else { format!(", {secs} s") };
    format!("# {bundle}/{script}: {interpreter}{limit}, on failure {}\n", then.as_str())
}

fn list(global: &Global, loaded: &Loaded) -> Result<(), Failure> {
    let catalog = catalog(loaded)?;
    let given: Vec<Host> = loaded.hosts.iter().map(|host| given(&catalog, host)).collect();
    let items: Vec<Value> = loaded
        .bundles
        .iter()
        .zip(&loaded.bundle_origins)
        .map(|(bundle, origin)| {
            let hosts = given.iter().filter(|host| host.bundle_names().contains(&&bundle.name)).count();
            let bytes: usize = bundle.scripts.iter().map(|script| script.text.len()).sum();
            json!({
                "name": bundle.name, "deliver": bundle.deliver, "scripts": bundle.scripts.len(), "bytes": bytes,
                "hosts": hosts, "description": bundle.description, "origin": origin.to_string(),
            })
        })
        .collect();
    table::print_list(
        global,
        &json!({ "items": items }),
        &[
            ("BUNDLE", |bundle| cell(bundle, "/name")),
            ("DELIVERED BY", |bundle| cell(bundle, "/deliver")),
            ("SCRIPTS", |bundle| cell(bundle, "/scripts")),
            ("HOSTS", |bundle| cell(bundle, "/hosts")),
            ("FROM", |bundle| cell(bundle, "/origin")),
            ("DESCRIPTION", |bundle| cell(bundle, "/description")),
        ],
    );
    Ok(())
}

/// The texts on standard output, what is wrong on standard error. Exit 3 when the machine would be given no image.
fn render(global: &Global, loaded: &Loaded, asked: &RenderBundle) -> Result<ExitCode, Failure> {
    let catalog = catalog(loaded)?;
    let host = loaded.hosts.iter().find(|host| host.name == asked.host);
    let host = host.ok_or_else(|| no_such("host", &asked.host, &asked.config))?;
    let host = given(&catalog, host);
    let image = asked.image.as_ref().or_else(|| image_name(loaded, &host));
    let found = image.and_then(|name| loaded.images.iter().find(|image| image.name == *name));
    if let (Some(name), None) = (&asked.image, found) {
        return Err(no_such("image", name, &asked.config));
    }
    let mut bundles: Vec<Arc<resource::Bundle>> = Vec::new();
    for name in
        host.bundle_names().into_iter().filter(|name| asked.name.as_ref().is_none_or(|own| own == *name))
    {
        bundles.push(
            catalog.bundle(name.as_str()).cloned().ok_or_else(|| no_such("bundle", name, &asked.config))?,
        );
    }
    if let Some(name) = asked.name.as_ref().filter(|_| bundles.is_empty()) {
        let own: Vec<&str> = host.bundle_names().into_iter().map(Name::as_str).collect();
        return Err(Failure::new("R-BUN-01", format!("host `{}` does not run bundle `{name}`", host.name))
            .fix(match own.is_empty() {
                true => "name it in `bundles` of the host, a group of it or a rule".to_owned(),
                false => format!("it runs {}", own.join(", ")),
            })
            .exit(Exit::NotFound));
    }
    let values = Values::preview(&host, found);
    let (scripts, findings) = match render::bundle::render(&bundles, &values) {
        Ok(scripts) => (scripts, Vec::new()),
        Err(fault) => (Vec::new(), faults(&bundles, &values, fault)),
    };
    let failed = !findings.is_empty();
    if global.output == Output::Json {
        let told: Vec<Value> = findings
            .iter()
            .map(|fault| json!({ "message": fault.to_string(), "fix": fault.fix() }))
            .collect();
        print_json(&json!({
            "host": host.name, "image": image, "scripts": scripts.iter().map(to_json).collect::<Vec<_>>(),
            "runner": asked.runner.then(|| runner(PREVIEW_URL, &scripts, Place::Inside)), "findings": told,
        }));
    } else if !failed {
        match asked.runner {
            true => put!("{}", runner(PREVIEW_URL, &by_url(&bundles, scripts), Place::Inside)),
            false => {
                for script in &scripts {
                    let (secs, then) = (script.timeout_secs, script.on_failure);
                    put!("{}", head(&script.bundle, &script.name, &script.interpreter, secs, then));
                    put!("{}", script.text);
                }
            }
        }
    } else {
        for fault in &findings {
            eprintln!("error {fault}");
            if let Some(fix) = fault.fix() {
                eprintln!("  fix    {fix}");
            }
        }
    }
    Ok(ExitCode::from(if failed { Exit::Found as u8 } else { 0 }))
}

/// Those the runner that is fetched has.
fn by_url(bundles: &[Arc<resource::Bundle>], scripts: Vec<Rendered>) -> Vec<Rendered> {
    let by_url =
        |name: &Name| bundles.iter().any(|bundle| bundle.name == *name && bundle.deliver == Delivery::Url);
    scripts.into_iter().filter(|script| by_url(&script.bundle)).collect()
}

/// Everything that stands in the way, not only the first.
fn faults(bundles: &[Arc<resource::Bundle>], values: &Values, first: BundleFault) -> Vec<BundleFault> {
    let mut found = Vec::new();
    for bundle in bundles {
        for script in &bundle.scripts {
            match compile(&bundle.name, script) {
                Ok(compiled) => {
                    found.extend(compiled.check(values).into_iter().map(|fault| BundleFault::Script {
                        bundle: bundle.name.clone(),
                        script: script.name.clone(),
                        fault: Box::new(fault),
                    }))
                }
                Err(fault) => found.push(fault),
            }
        }
    }
    if found.is_empty() { vec![first] } else { found }
}

fn to_json(script: &Rendered) -> Value {
    json!({
        "bundle": script.bundle, "name": script.name, "interpreter": script.interpreter,
        "timeout_secs": script.timeout_secs, "on_failure": script.on_failure, "text": script.text,
    })
}

async fn status(global: &Global, host: &str) -> Result<ExitCode, Failure> {
    let api = Api::new(global);
    let document = api.get(&format!("hosts/{}", api.escape(host))).await?.body;
    let runs = document.pointer("/bundle_runs").cloned().unwrap_or_else(|| json!([]));
    let failed = runs.as_array().into_iter().flatten().any(|run| cell(run, "/state") == "failed");
    let none = runs.as_array().is_none_or(Vec::is_empty);
    if none && global.output != Output::Json {
        eprintln!("host {} runs no bundle", cell(&document, "/name"));
        return Ok(ExitCode::SUCCESS);
    }
    table::print_list(
        global,
        &json!({ "host": document.pointer("/name"), "items": runs }),
        &[
            ("BUNDLE", |run| cell(run, "/bundle")),
            ("SCRIPT", |run| cell(run, "/script")),
            ("STATE", |run| cell(run, "/state")),
            ("EXIT", |run| cell(run, "/exit_status")),
            ("STARTED", |run| cell(run, "/started")),
            ("ENDED", |run| cell(run, "/ended")),
            ("LAST WORDS", last_line),
        ],
    );
    Ok(ExitCode::from(if failed { Exit::Found as u8 } else { 0 }))
}

fn last_line(run: &Value) -> String {
    let output = run.pointer("/output").and_then(Value::as_str).unwrap_or_default();
    output.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("-").trim().to_owned()
}

/// What `host get` and `explain` show of it: `base/ntp done`, `base/motd failed 3`.
pub(super) fn line(run: &Value) -> String {
    let exit = match cell(run, "/state").as_str() {
        "failed" => format!(" with status {}", cell(run, "/exit_status")),
        _ => String::new(),
    };
    let when = match cell(run, "/ended").as_str() {
        "-" => String::new(),
        ended => format!(" at {ended}"),
    };
    format!("{}/{} {}{exit}{when}", cell(run, "/bundle"), cell(run, "/script"), cell(run, "/state"))
}
