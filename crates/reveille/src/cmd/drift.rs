//! `reveille drift`

use super::api::{Api, print_json};
use super::{orders, rollout, table};
use crate::cli::{Drift, Global, HostSet, Output};
use crate::failure::{Exit, Failure};
use crate::out::put;
use serde_json::{Map, Value, json};
use std::io::{BufRead, IsTerminal};
use std::process::ExitCode;

/// Hosts named in a line for people; programs get all.
const SHOWN_MAX: usize = 12;

pub(crate) async fn command(global: &Global, asked: Drift) -> Result<ExitCode, Failure> {
    if asked.repair {
        return repair(global, asked).await;
    }
    let request = json!({ "of": set_of(&asked.set), "all": asked.all });
    let report = Api::new(global).post("hosts:drift", &request).await?;
    match global.output {
        Output::Json => print_json(&report),
        Output::Table | Output::Otlp => show(&report),
    }
    Ok(found(count(&report, "/drifted") + count(&report, "/undecided") > 0))
}

/// The set in the form of the API.
pub(super) fn set_of(set: &HostSet) -> Value {
    let mut of = Map::new();
    of.extend(set.group.as_ref().map(|group| ("group".to_owned(), json!(group.as_str()))));
    of.extend(set.selector.as_ref().map(|selector| ("where".to_owned(), json!(selector.to_string()))));
    if !set.hosts.is_empty() {
        of.insert("hosts".to_owned(), json!(set.hosts));
    }
    Value::Object(of)
}

fn found(any: bool) -> ExitCode {
    if any { ExitCode::from(Exit::Found as u8) } else { ExitCode::SUCCESS }
}

fn count(document: &Value, pointer: &str) -> u64 {
    document.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
}

fn texts(item: &Value, pointer: &str) -> String {
    let reasons = item.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
    let texts: Vec<String> = reasons.map(|reason| table::cell(reason, "/text")).collect();
    if texts.is_empty() { "-".to_owned() } else { texts.join("; ") }
}

fn show(report: &Value) {
    let items = report.pointer("/items").and_then(Value::as_array).cloned().unwrap_or_default();
    if !items.is_empty() {
        let rows: Vec<Vec<String>> = items
            .iter()
            .map(|item| {
                vec![
                    table::cell(item, "/host"),
                    table::cell(item, "/standing"),
                    table::cell(item, "/wants"),
                    table::cell(item, "/has"),
                    texts(item, "/reasons"),
                    texts(item, "/notes"),
                ]
            })
            .collect();
        put!("{}", table::render(&["HOST", "STANDING", "SHOULD HAVE", "HAS", "WHY", "NOTES"], &rows));
    }
    eprintln!(
        "{} hosts: {} in step, {} drifted, {} undecided; of {} nothing is wanted",
        count(report, "/hosts"),
        count(report, "/in_step"),
        count(report, "/drifted"),
        count(report, "/undecided"),
        count(report, "/unmanaged"),
    );
}

async fn repair(global: &Global, asked: Drift) -> Result<ExitCode, Failure> {
    let mut request = json!({ "of": set_of(&asked.set) });
    if let Some(fields) = request.as_object_mut() {
        fields.extend(rollout::pace_of(&asked.pace));
        fields.extend(asked.name.as_ref().map(|name| ("name".to_owned(), json!(name.as_str()))));
        fields.extend(orders::who().map(|who| ("by".to_owned(), json!(who))));
    }
    // Controllers take their time.
    let api = Api::patient(global);
    if asked.dry_run || !asked.yes {
        let planned = api.post("hosts:repair?dry_run=true", &request).await?;
        let any = count(&planned, "/found") > 0;
        if asked.dry_run || !any {
            print(global, &planned);
            return Ok(found(any));
        }
        if !std::io::stdin().is_terminal() {
            return Err(Failure::new("R-DRF-01", "nothing was repaired")
                .cause("it erases disks or restarts machines, and nobody can be asked: this is no terminal")
                .fix("the same with --yes, or --dry-run to see what would be ordered")
                .exit(Exit::Usage));
        }
        summary(&planned);
        if !agreed()? {
            return Err(Failure::new("R-DRF-02", "nothing was repaired").cause("you said no"));
        }
    }
    let done = api.post("hosts:repair", &request).await?;
    print(global, &done);
    let held = done.pointer("/held").and_then(Value::as_array).is_some_and(|held| !held.is_empty());
    Ok(if held { ExitCode::from(Exit::Partly as u8) } else { ExitCode::SUCCESS })
}

fn agreed() -> Result<bool, Failure> {
    eprint!("Order this? [y/N] ");
    let mut answer = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|error| Failure::new("R-DRF-02", "nothing was repaired").cause(error))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn print(global: &Global, report: &Value) {
    match global.output {
        Output::Json => print_json(report),
        Output::Table | Output::Otlp => summary(report),
    }
}

fn summary(report: &Value) {
    let names = |pointer: &str| -> Vec<String> {
        let list = report.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
        list.map(|item| item.as_str().map_or_else(|| table::cell(item, "/host"), str::to_owned)).collect()
    };
    let line = |what: &str, names: &[String]| {
        if names.is_empty() {
            return;
        }
        let shown: Vec<&str> = names.iter().take(SHOWN_MAX).map(String::as_str).collect();
        let more = names.len().saturating_sub(SHOWN_MAX);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        eprintln!("{:>6} {what}: {}{more}", names.len(), shown.join(" "));
    };
    let would = if report.pointer("/dry_run") == Some(&Value::Bool(true)) { "would be " } else { "" };
    let installs = names("/rollout/hosts");
    let rollout = table::cell(report, "/rollout/name");
    line(&format!("{would}installed by rollout {rollout}"), &installs);
    line(&format!("{would}started anew"), &names("/restarted"));
    line("in step with their next boot", &names("/next_boot"));
    for item in report.pointer("/held").and_then(Value::as_array).into_iter().flatten() {
        eprintln!("  left {}: {}", table::cell(item, "/host"), table::cell(item, "/why"));
    }
    if count(report, "/found") == 0 {
        eprintln!("{} hosts, nothing to repair", count(report, "/hosts"));
    } else if !installs.is_empty() && would.is_empty() {
        eprintln!("follow it: reveille rollout watch {rollout}");
    }
}
