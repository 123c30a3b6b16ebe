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
        let Some(shown) = narrowed(&request, &planned) else {
            print(global, &planned);
            return Ok(ExitCode::from(Exit::Partly as u8));
        };
        summary(&planned);
        if !agreed()? {
            return Err(Failure::new("R-DRF-02", "nothing was repaired").cause("you said no"));
        }
        let mut done = api.post("hosts:repair", &shown).await?;
        left_besides(&mut done, &planned);
        return Ok(finished(global, &done));
    }
    let done = api.post("hosts:repair", &request).await?;
    Ok(finished(global, &done))
}

/// What somebody agreed to: the request for the hosts that were shown, whoever is meant by then. `None`: for no host anything
/// was to be ordered (and a set that names nobody means everybody).
fn narrowed(request: &Value, planned: &Value) -> Option<Value> {
    let installs = named(planned, "/rollout/hosts");
    let hosts: Vec<String> = [installs, named(planned, "/restarted"), named(planned, "/next_boot")]
        .into_iter()
        .flatten()
        .collect();
    if hosts.is_empty() {
        return None;
    }
    let mut narrowed = request.as_object()?.clone();
    narrowed.insert("of".to_owned(), json!({ "hosts": hosts }));
    Some(Value::Object(narrowed))
}

/// Hosts that were shown as left are so in the report of what was done, too.
fn left_besides(done: &mut Value, planned: &Value) {
    let left = planned.pointer("/held").and_then(Value::as_array).cloned().unwrap_or_default();
    let found = count(done, "/found") + left.len() as u64;
    let hosts = count(planned, "/hosts");
    if let Some(fields) = done.as_object_mut() {
        fields.insert("hosts".to_owned(), json!(hosts));
        fields.insert("found".to_owned(), json!(found));
        match fields.get_mut("held").and_then(Value::as_array_mut) {
            Some(held) => held.extend(left),
            None => drop(fields.insert("held".to_owned(), Value::Array(left))),
        }
    }
}

fn finished(global: &Global, done: &Value) -> ExitCode {
    print(global, done);
    let held = done.pointer("/held").and_then(Value::as_array).is_some_and(|held| !held.is_empty());
    if held { ExitCode::from(Exit::Partly as u8) } else { ExitCode::SUCCESS }
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

/// Hosts of a list, by name.
fn named(report: &Value, pointer: &str) -> Vec<String> {
    let list = report.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
    list.map(|item| item.as_str().map_or_else(|| table::cell(item, "/host"), str::to_owned)).collect()
}

fn summary(report: &Value) {
    let names = |pointer: &str| named(report, pointer);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ordered_after_the_question_is_what_was_shown() {
        let request = json!({ "of": { "group": "rack12", "where": "site=a" }, "at_once": 2 });
        let planned = json!({
            "hosts": 24, "found": 4, "dry_run": true,
            "rollout": { "name": "repair-1", "hosts": [{ "host": "esx-1", "state": "waiting" }] },
            "restarted": ["web-1"], "next_boot": ["web-2"],
            "held": [{ "host": "esx-2", "why": "locked: production" }],
        });
        let shown = narrowed(&request, &planned).unwrap();
        assert_eq!(shown, json!({ "of": { "hosts": ["esx-1", "web-1", "web-2"] }, "at_once": 2 }));
        let mut done = json!({ "hosts": 3, "found": 3, "held": [{ "host": "web-1", "why": "no answer" }] });
        left_besides(&mut done, &planned);
        assert_eq!((count(&done, "/hosts"), count(&done, "/found")), (24, 4));
        assert_eq!(named(&done, "/held"), ["web-1", "esx-2"]);
        // Nobody to order for is not everybody.
        let held =
            json!({ "hosts": 1, "found": 1, "restarted": [], "next_boot": [], "held": planned["held"] });
        assert_eq!(narrowed(&request, &held), None);
    }
}
