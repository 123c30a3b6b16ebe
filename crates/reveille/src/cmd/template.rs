//! `reveille template …`: lists what the appliance has, or works on a configuration file and needs none.

use super::api::{Api, print_json};
use super::given::{catalog, given, image_of, template_of};
use super::table;
use crate::cli::{Global, LintTemplate, Output, RenderTemplate, Template};
use crate::failure::{Exit, Failure};
use crate::out::{put, putln};
use crate::sources::{self, Refusal};
use config::Loaded;
use render::kickstart::{self, Severity, Target};
use render::template::{Compiled, TemplateFault, Values, compile};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use types::resource::{self, Host, Name, TemplateKind};

pub(crate) async fn command(global: &Global, command: Template) -> Result<ExitCode, Failure> {
    match command {
        Template::List { config: None } => {
            let templates = Api::new(global).get("templates").await.map_err(or_a_file)?.body;
            table::print_list(
                global,
                &templates,
                &[
                    ("NAME", |template| table::cell(template, "/name")),
                    ("KIND", |template| table::cell(template, "/kind")),
                    ("LINES", |template| {
                        let text = template.pointer("/text").and_then(serde_json::Value::as_str);
                        text.unwrap_or_default().lines().count().to_string()
                    }),
                    ("USERS", |template| table::cell(template, "/users")),
                    ("OWNER", |template| table::cell(template, "/managed_by")),
                ],
            );
            Ok(ExitCode::SUCCESS)
        }
        Template::Show { name, config: None } => {
            let template = Api::new(global).get(&format!("templates/{name}")).await.map_err(or_a_file)?.body;
            match global.output {
                Output::Json => print_json(&template),
                Output::Table | Output::Otlp => {
                    put!(
                        "{}",
                        template.pointer("/text").and_then(serde_json::Value::as_str).unwrap_or_default()
                    )
                }
            }
            Ok(ExitCode::SUCCESS)
        }
        Template::List { config: Some(config) } => with(global, &config, |loaded| {
            list(global, loaded)?;
            Ok(ExitCode::SUCCESS)
        }),
        Template::Show { name, config: Some(config) } => with(global, &config, |loaded| {
            let template = named(loaded, &name, &config)?;
            match global.output {
                Output::Json => print_json(&json!(template)),
                Output::Table | Output::Otlp => put!("{}", template.text),
            }
            Ok(ExitCode::SUCCESS)
        }),
        Template::Render(asked) => with(global, &asked.config, |loaded| render(global, loaded, &asked)),
        Template::Lint(asked) => lint(global, &asked),
    }
}

/// Says that there is another way, when no appliance answers.
fn or_a_file(failure: Failure) -> Failure {
    match failure.exit {
        Exit::Unreachable => failure.fix("start it, or read a configuration file: -c FILE"),
        _ => failure,
    }
}

/// Runs on a sound configuration; a faulty one is reported as `config show` does.
pub(super) fn with(
    global: &Global,
    file: &Path,
    run: impl FnOnce(&Loaded) -> Result<ExitCode, Failure>,
) -> Result<ExitCode, Failure> {
    match sources::load(file, &[], &[]) {
        Ok(loaded) => run(&loaded),
        Err(Refusal::Unreadable(failure)) => Err(failure),
        Err(Refusal::Faulty(report)) => Ok(super::config::refuse(global, &report, Exit::Usage)),
    }
}

/// Every host of the file with what groups and rules give it.
fn all_given(loaded: &Loaded) -> Result<Vec<Host>, Failure> {
    let catalog = catalog(loaded)?;
    Ok(loaded.hosts.iter().map(|host| given(&catalog, host)).collect())
}

fn list(global: &Global, loaded: &Loaded) -> Result<(), Failure> {
    let hosts = all_given(loaded)?;
    let items = loaded.templates.iter().zip(&loaded.template_origins).map(|(template, origin)| {
        let users = |template: &resource::Template| {
            hosts.iter().filter(|host| template_of(loaded, host) == Some(&template.name)).count()
        };
        (template, users(template), origin.to_string())
    });
    if global.output == Output::Json {
        let items: Vec<_> = items
            .map(|(template, hosts, origin)| {
                json!({ "name": template.name, "kind": template.kind, "bytes": template.text.len(), "hosts": hosts, "origin": origin })
            })
            .collect();
        print_json(&json!({ "items": items }));
        return Ok(());
    }
    let rows: Vec<Vec<String>> = items
        .map(|(template, hosts, origin)| {
            let lines = template.text.lines().count();
            vec![
                template.name.to_string(),
                template.kind.as_str().to_owned(),
                lines.to_string(),
                hosts.to_string(),
                origin,
            ]
        })
        .collect();
    put!("{}", table::render(&["NAME", "KIND", "LINES", "HOSTS", "FROM"], &rows));
    Ok(())
}

pub(super) fn no_such(what: &str, name: &Name, config: &Path) -> Failure {
    Failure::new("R-TPL-01", format!("no {what} `{name}`"))
        .cause(format!("{} does not define it", config.display()))
        .exit(Exit::NotFound)
}

fn named<'a>(loaded: &'a Loaded, name: &Name, config: &Path) -> Result<&'a resource::Template, Failure> {
    loaded.templates.iter().find(|template| template.name == *name).ok_or_else(|| {
        let names: Vec<&str> = loaded.templates.iter().map(|template| template.name.as_str()).collect();
        let fix = match names.is_empty() {
            true => "define it in resources.templates".to_owned(),
            false => format!("defined are {}", names.join(", ")),
        };
        no_such("template", name, config).fix(fix)
    })
}

/// Something that was found, in the form both commands print.
struct Finding {
    line: u32,
    rendered: bool,
    severity: Severity,
    message: String,
    fix: Option<String>,
}

impl Finding {
    fn of(fault: TemplateFault) -> Finding {
        let TemplateFault { line, rendered, message, fix, .. } = fault;
        Finding { line, rendered, severity: Severity::Error, message, fix }
    }

    fn to_json(&self) -> serde_json::Value {
        json!({
            "line": self.line, "rendered": self.rendered, "severity": self.severity.as_str(),
            "message": self.message, "fix": self.fix,
        })
    }

    fn print(&self, name: &str) {
        let place = match (self.line, self.rendered) {
            (0, _) => name.to_owned(),
            (line, false) => format!("{name}:{line}"),
            (line, true) => format!("{name}, rendered line {line}"),
        };
        eprintln!("{} {place}: {}", self.severity.as_str(), self.message);
        if let Some(fix) = &self.fix {
            eprintln!("  fix    {fix}");
        }
    }
}

/// What an installer would stop at.
fn looked_at(kind: TemplateKind, text: &str, target: Target, rendered: bool) -> Vec<Finding> {
    if kind != TemplateKind::EsxiKickstart {
        return Vec::new();
    }
    let findings = kickstart::lint(text, target).into_iter();
    findings
        .map(|found| Finding {
            line: found.line,
            rendered,
            severity: found.severity,
            message: found.message,
            fix: found.fix,
        })
        .collect()
}

fn any_error(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Error)
}

/// The text on standard output, what was found on standard error. Exit 3 when an installer would stop at it.
fn render(global: &Global, loaded: &Loaded, asked: &RenderTemplate) -> Result<ExitCode, Failure> {
    let template = named(loaded, &asked.name, &asked.config)?;
    let host = loaded
        .hosts
        .iter()
        .find(|host| host.name == asked.host)
        .ok_or_else(|| no_such("host", &asked.host, &asked.config))?;
    let host = &given(&catalog(loaded)?, host);
    let image = match &asked.image {
        None => image_of(loaded, host),
        Some(name) => Some(
            loaded
                .images
                .iter()
                .find(|image| image.name == *name)
                .ok_or_else(|| no_such("image", name, &asked.config))?,
        ),
    };
    // The load compiled it already.
    let compiled = compile(template.name.as_str(), template.kind, &template.text).map_err(|fault| {
        Failure::new("R-TPL-02", fault.to_string()).fix(fault.fix.unwrap_or_default()).exit(Exit::Found)
    })?;
    let values = Values::preview(host, image);
    let (text, findings) = match compiled.render(&values) {
        Ok(text) => {
            let findings = looked_at(template.kind, &text, Target::default(), true);
            (Some(text), findings)
        }
        Err(_) => (None, compiled.check(&values).into_iter().map(Finding::of).collect()),
    };
    let failed = text.is_none() || any_error(&findings);
    if global.output == Output::Json {
        let findings: Vec<_> = findings.iter().map(Finding::to_json).collect();
        print_json(&json!({
            "template": template.name, "host": host.name, "image": image.map(|image| &image.name),
            "text": text, "findings": findings,
        }));
    } else {
        put!("{}", text.as_deref().unwrap_or(""));
        findings.iter().for_each(|finding| finding.print(template.name.as_str()));
    }
    Ok(ExitCode::from(if failed { Exit::Found as u8 } else { 0 }))
}

/// A template of the configuration with every host it is for, or a file as it stands.
fn lint(global: &Global, asked: &LintTemplate) -> Result<ExitCode, Failure> {
    let target = Target { major: asked.esxi, secure_boot: asked.secure_boot };
    let path = PathBuf::from(&asked.what);
    let name = asked.what.parse::<Name>().ok().filter(|_| !path.is_file());
    match name {
        Some(name) => with(global, &asked.config, |loaded| {
            let template = named(loaded, &name, &asked.config)?;
            let hosts = all_given(loaded)?;
            let hosts = hosts.iter().filter(|host| template_of(loaded, host) == Some(&name));
            let previews =
                hosts.map(|host| (host.name.to_string(), Values::preview(host, image_of(loaded, host))));
            let findings = found(name.as_str(), template.kind, &template.text, target, previews);
            Ok(told(global, asked, template.kind, &findings))
        }),
        None => {
            let text = fs::read_to_string(&path).map_err(|error| {
                Failure::new("R-TPL-03", format!("cannot read template {}", path.display()))
                    .cause(error)
                    .fix("name a file, or a template of the configuration")
                    .exit(Exit::NotFound)
            })?;
            let kind = asked.kind.as_deref().and_then(kind_named).unwrap_or_else(|| guessed(&path, &text));
            let findings = found(&asked.what, kind, &text, target, std::iter::empty());
            Ok(told(global, asked, kind, &findings))
        }
    }
}

fn found(
    name: &str,
    kind: TemplateKind,
    text: &str,
    target: Target,
    previews: impl Iterator<Item = (String, Values)>,
) -> Vec<Finding> {
    let mut findings = looked_at(kind, text, target, false);
    match compile(name, kind, text) {
        Err(fault) => findings.push(Finding::of(fault)),
        Ok(compiled) => {
            previews.for_each(|(host, values)| findings.extend(of_host(&compiled, &host, &values, target)))
        }
    }
    findings.sort_by_key(|finding| (finding.rendered, finding.line));
    findings
}

/// What is only wrong for one host.
fn of_host(compiled: &Compiled, host: &str, values: &Values, target: Target) -> Vec<Finding> {
    let mut findings = match compiled.render(values) {
        Err(_) => compiled.check(values).into_iter().map(Finding::of).collect(),
        Ok(text) => {
            let mut findings = looked_at(compiled.kind(), &text, target, true);
            // Warnings are of the template and told once.
            findings.retain(|finding| finding.severity == Severity::Error);
            findings
        }
    };
    for finding in &mut findings {
        finding.message = format!("for host `{host}`: {}", finding.message);
    }
    findings
}

fn told(global: &Global, asked: &LintTemplate, kind: TemplateKind, findings: &[Finding]) -> ExitCode {
    let refused = any_error(findings) || (asked.strict && !findings.is_empty());
    if global.output == Output::Json {
        let findings: Vec<_> = findings.iter().map(Finding::to_json).collect();
        print_json(
            &json!({ "template": asked.what, "kind": kind.as_str(), "ok": !refused, "findings": findings }),
        );
    } else {
        findings.iter().for_each(|finding| finding.print(&asked.what));
        let outcome = match findings.len() {
            0 => "ok".to_owned(),
            1 => "1 finding".to_owned(),
            many => format!("{many} findings"),
        };
        putln!("{}: {outcome} ({})", asked.what, kind.as_str());
    }
    ExitCode::from(if refused { Exit::Found as u8 } else { 0 })
}

/// Every kind, for names on the command line.
const KINDS: [TemplateKind; 8] = [
    TemplateKind::EsxiKickstart,
    TemplateKind::Kickstart,
    TemplateKind::Preseed,
    TemplateKind::UserData,
    TemplateKind::Json,
    TemplateKind::Unattend,
    TemplateKind::Shell,
    TemplateKind::Text,
];

fn kind_named(name: &str) -> Option<TemplateKind> {
    KINDS.into_iter().find(|kind| kind.as_str() == name)
}

/// What a file most likely is.
fn guessed(path: &Path, text: &str) -> TemplateKind {
    let line = |start: &str| text.lines().any(|line| line.trim_start().starts_with(start));
    match path.extension().and_then(|extension| extension.to_str()).unwrap_or("") {
        "json" => TemplateKind::Json,
        "xml" => TemplateKind::Unattend,
        "sh" => TemplateKind::Shell,
        "yaml" | "yml" => TemplateKind::UserData,
        _ if line("accepteula") || line("vmaccepteula") => TemplateKind::EsxiKickstart,
        _ if line("d-i ") => TemplateKind::Preseed,
        _ if line("#cloud-config") => TemplateKind::UserData,
        "ks" => TemplateKind::Kickstart,
        _ if line("%packages") => TemplateKind::Kickstart,
        _ => TemplateKind::Text,
    }
}
