//! `reveille trace`

mod otlp;

use super::api::{Api, print_json};
use super::follow::{Follower, Woken, is_away};
use super::table;
use crate::cli::{Global, Output, Trace};
use crate::failure::{Exit, Failure};
use crate::out::{put, putln};
use admin::view::{StepView, TraceView};
use serde_json::{Value, json};
use std::process::ExitCode;
use std::time::Duration;

/// A step that may still grow is shown after so long, as it is then.
const QUIET_MS: u64 = 2_000;
/// How often a boot is looked at when nothing happens.
const LOOK: Duration = Duration::from_secs(1);

pub(crate) async fn command(global: &Global, asked: &Trace) -> Result<ExitCode, Failure> {
    let api = Api::new(global);
    let path = match (&asked.boot, &asked.host) {
        (Some(boot), _) => format!("boots/{}", api.escape(boot)),
        (None, Some(host)) => {
            let last = if asked.last { "?last=true" } else { "" };
            format!("hosts/{}/trace{last}", api.escape(host))
        }
        (None, None) => {
            return Err(Failure::new("R-CLI-02", "trace needs to know which boot")
                .fix("name a host, or give --boot")
                .exit(Exit::Usage));
        }
    };
    if asked.follow {
        if global.output == Output::Otlp {
            return Err(Failure::new("R-CLI-08", "a boot that goes on is no trace yet")
                .fix("leave --follow out, or use -o json")
                .exit(Exit::Usage));
        }
        return follow(global, &api, asked, &path).await;
    }
    let document = api.get(&path).await?.body;
    match global.output {
        Output::Json => print_json(&document),
        Output::Table => put!("{}", text(&read(document)?)),
        Output::Otlp => print_json(&otlp::document(&read(document)?)?),
    }
    Ok(ExitCode::SUCCESS)
}

fn read(document: Value) -> Result<TraceView, Failure> {
    serde_json::from_value(document).map_err(|error| {
        Failure::new("R-API-16", "the daemon's answer cannot be read")
            .cause(error)
            .fix("compare `reveille version` with the daemon's")
    })
}

/// The boot under way, or the one that begins next.
async fn follow(global: &Global, api: &Api, asked: &Trace, path: &str) -> Result<ExitCode, Failure> {
    let mut follower = Follower::start(api).await?;
    let mut shown: Option<Shown> = None;
    // A boot that was over when we came is not the one that is waited for.
    let mut over: Option<String> = None;
    let mut first = true;
    loop {
        match follower.get(path).await {
            Ok(None) => return Ok(ExitCode::from(Exit::Interrupted as u8)),
            Ok(Some(document)) => {
                let trace = read(document.body)?;
                if first && trace.outcome.is_some() && asked.boot.is_none() {
                    eprintln!("boot {} is over ({}); waiting for the next one", trace.id, trace.note);
                    over = Some(trace.id.clone());
                }
                if over.as_ref() != Some(&trace.id) {
                    let own = shown.take().filter(|shown| shown.id == trace.id);
                    let mut now = own.unwrap_or_else(|| Shown::begin(global, &trace));
                    now.go_on(global, &trace);
                    shown = Some(now);
                    if trace.outcome.is_some() {
                        end(global, &trace);
                        return Ok(ExitCode::SUCCESS);
                    }
                }
            }
            Err(failure) if failure.code == "R-TRC-01" && asked.boot.is_none() => {
                if first {
                    eprintln!("nothing is remembered of a boot of it; waiting for the next one");
                }
            }
            Err(failure) if is_away(&failure) && !first => {}
            Err(failure) => return Err(failure),
        }
        first = false;
        if follower.wait(LOOK).await? == Woken::Interrupted {
            return Ok(ExitCode::from(Exit::Interrupted as u8));
        }
    }
}

/// What was shown of a boot.
struct Shown {
    id: String,
    lines: Vec<String>,
}

impl Shown {
    fn begin(global: &Global, trace: &TraceView) -> Shown {
        if global.output == Output::Table {
            putln!("{}", head(trace));
        }
        Shown { id: trace.id.clone(), lines: Vec::new() }
    }

    /// Shows what is new; a step that grew after it was shown is shown again.
    fn go_on(&mut self, global: &Global, trace: &TraceView) {
        let over = trace.outcome.is_some();
        for (at, step) in trace.steps.iter().enumerate() {
            let quiet = trace.elapsed_ms.saturating_sub(step.until_ms) >= QUIET_MS;
            if step.open && !over && !quiet {
                break;
            }
            let line = line(step);
            match self.lines.get_mut(at) {
                Some(told) if *told == line => continue,
                Some(told) => told.clone_from(&line),
                None => self.lines.push(line.clone()),
            }
            match global.output {
                Output::Table | Output::Otlp => put!("{line}"),
                Output::Json => {
                    let mut document = json!(step);
                    if let Some(fields) = document.as_object_mut() {
                        fields.insert("boot_id".to_owned(), json!(trace.id));
                    }
                    putln!("{document}");
                }
            }
        }
    }
}

fn end(global: &Global, trace: &TraceView) {
    match global.output {
        Output::Json => putln!(
            "{}",
            json!({ "boot_id": trace.id, "step": "end", "outcome": trace.outcome, "text": trace.note, "at_ms": trace.elapsed_ms })
        ),
        Output::Table | Output::Otlp => put!("{}", foot(trace)),
    }
}

/// A whole boot for people.
fn text(trace: &TraceView) -> String {
    let mut text = format!("{}\n", head(trace));
    trace.steps.iter().for_each(|step| text.push_str(&line(step)));
    for more in &trace.more {
        let role = more.role.as_deref().map_or_else(|| more.event.clone(), |role| format!("{role} files"));
        let bytes = if more.bytes > 0 { format!(", {}", table::size(more.bytes)) } else { String::new() };
        text.push_str(&format!("  … and {} {role} more{bytes}\n", more.count));
    }
    text.push_str(&foot(trace));
    text
}

fn head(trace: &TraceView) -> String {
    let who = trace.host.clone().or_else(|| trace.mac.map(|mac| mac.to_string())).unwrap_or_default();
    let armed = trace.armed_by.as_ref().map(|by| format!("  armed by {by}")).unwrap_or_default();
    let image = trace.image.as_ref().map(|image| format!("  image {image}")).unwrap_or_default();
    format!("boot {}  {who}{armed}{image}  {}", trace.id, trace.started)
}

fn foot(trace: &TraceView) -> String {
    format!("  {:<8} {:<10} {}\n", clock(trace.elapsed_ms), trace.state, trace.note)
}

/// One step; a finding has what it means below.
fn line(step: &StepView) -> String {
    let mut words = vec![step.text.clone()];
    words.extend(step.bytes.map(table::size));
    words.extend(step.rate.map(|rate| format!("{}/s", table::size(rate))));
    let mut text = words.join("  ");
    if !step.tail.is_empty() {
        let gap = if step.tail.starts_with(',') { "" } else { "  " };
        text.push_str(&format!("{gap}{}", step.tail));
    }
    let mark = if step.step == "finding" { "!" } else { " " };
    let mut line = format!("{mark} +{:<7} {:<10} {text}\n", offset(step.at_ms), step.step);
    for (label, words) in [("why", &step.why), ("fix", &step.fix)] {
        if let Some(words) = words {
            line.push_str(&format!("  {:<8} {:<10} {label}  {words}\n", "", ""));
        }
    }
    line
}

/// `0.31`, `221.0`.
fn offset(ms: u64) -> String {
    match ms {
        0..100_000 => format!("{}.{:02}", ms / 1000, ms % 1000 / 10),
        _ => format!("{}.{}", ms / 1000, ms % 1000 / 100),
    }
}

/// `3:41`, `1:02:03`.
pub(crate) fn clock(ms: u64) -> String {
    let secs = ms / 1000;
    match secs {
        0..3600 => format!("{}:{:02}", secs / 60, secs % 60),
        _ => format!("{}:{:02}:{:02}", secs / 3600, secs / 60 % 60, secs % 60),
    }
}

#[cfg(test)]
mod tests;
