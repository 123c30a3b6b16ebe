//! `reveille rollout …`

use super::api::{Api, print_json};
use super::{drift, orders, table};
use crate::cli::{Expiry, Global, Output, Rollout, RolloutPace, RolloutStart};
use crate::failure::{Exit, Failure};
use crate::out::{put, putln};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use types::resource::Name;

/// How often a rollout that is watched is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Rows of the table on a terminal; the rest is in its numbers.
const ROWS_MAX: usize = 20;

pub(crate) async fn command(global: &Global, command: Rollout) -> Result<ExitCode, Failure> {
    let api = Api::new(global);
    match command {
        Rollout::Start(asked) => start(global, &api, asked).await?,
        Rollout::List => {
            let list = api.get("rollouts").await?.body;
            table::print_list(
                global,
                &list,
                &[
                    ("ROLLOUT", |it| table::cell(it, "/name")),
                    ("STATE", |it| table::cell(it, "/state")),
                    ("IMAGE", image),
                    ("DONE", |it| table::cell(it, "/summary/done")),
                    ("UNDER WAY", |it| {
                        (count(it, "/summary/armed") + count(it, "/summary/installing")).to_string()
                    }),
                    ("WAITING", |it| table::cell(it, "/summary/waiting")),
                    ("FAILED", |it| table::cell(it, "/summary/failed")),
                    ("SKIPPED", |it| table::cell(it, "/summary/skipped")),
                    ("BY", |it| table::cell(it, "/by")),
                    ("SINCE", |it| table::cell(it, "/at")),
                ],
            );
        }
        Rollout::Get { name } => show(global, &api.get(&format!("rollouts/{name}")).await?.body),
        Rollout::Watch { name, timeout } => return watch(global, &api, &name, timeout).await,
        Rollout::Pause { name } => order(global, &api, &name, "pause").await?,
        Rollout::Resume { name } => order(global, &api, &name, "resume").await?,
        Rollout::Cancel { name } => order(global, &api, &name, "cancel").await?,
        Rollout::Rm { name } => {
            let answer = api.remove(&format!("rollouts/{name}")).await?;
            super::api::print_removed(global, name.as_str(), &answer);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The pace in the form of the API.
pub(super) fn pace_of(pace: &RolloutPace) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("at_once".to_owned(), json!(pace.at_once));
    fields.insert("max_failures".to_owned(), json!(pace.max_failures));
    if let Expiry::After(time) = pace.expires {
        fields.insert("expires_secs".to_owned(), json!(time.as_secs()));
    }
    for (key, value) in [("silent_installers", pace.silent_installers), ("power_cycle", pace.power.is_some())]
    {
        fields.extend(value.then(|| (key.to_owned(), json!(true))));
    }
    fields
}

async fn start(global: &Global, api: &Api, asked: RolloutStart) -> Result<(), Failure> {
    let mut request = pace_of(&asked.pace);
    request.insert("name".to_owned(), json!(asked.name.as_str()));
    request.insert("of".to_owned(), drift::set_of(&asked.set));
    request.insert("order".to_owned(), json!(asked.order));
    request.insert("retries".to_owned(), json!(asked.retries));
    request.extend(asked.image.as_ref().map(|image| ("image".to_owned(), json!(orders::text_of(image)))));
    request.extend(orders::who().map(|who| ("by".to_owned(), json!(who))));
    let path = if asked.dry_run { "rollouts?dry_run=true" } else { "rollouts" };
    let view = api.post(path, &Value::Object(request)).await?;
    if asked.dry_run || global.output == Output::Json {
        show(global, &view);
    } else {
        eprintln!("{}", line(&view));
        eprintln!("follow it: reveille rollout watch {}", asked.name);
    }
    Ok(())
}

async fn order(global: &Global, api: &Api, name: &Name, order: &str) -> Result<(), Failure> {
    let by = orders::who().map_or_else(String::new, |who| format!("?by={}", api.escape(&who)));
    let view = api.post(&format!("rollouts/{name}/{order}{by}"), &json!({})).await?;
    match global.output {
        Output::Json => print_json(&view),
        Output::Table => eprintln!("{}", line(&view)),
    }
    Ok(())
}

fn count(document: &Value, pointer: &str) -> u64 {
    document.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
}

fn image(view: &Value) -> String {
    match table::cell(view, "/image").as_str() {
        "-" => "as pinned".to_owned(),
        image => image.to_owned(),
    }
}

/// A rollout in one line.
fn line(view: &Value) -> String {
    let of = |name: &str| table::cell(view, &format!("/summary/{name}"));
    format!(
        "{} {}: {} done, {} installing, {} armed, {} waiting, {} failed, {} skipped",
        table::cell(view, "/name"),
        table::cell(view, "/state"),
        of("done"),
        of("installing"),
        of("armed"),
        of("waiting"),
        of("failed"),
        of("skipped"),
    )
}

fn hosts(view: &Value) -> impl Iterator<Item = &Value> {
    view.pointer("/hosts").and_then(Value::as_array).into_iter().flatten()
}

fn row(host: &Value) -> Vec<String> {
    ["/host", "/state", "/why"].iter().map(|pointer| table::cell(host, pointer)).collect()
}

fn show(global: &Global, view: &Value) {
    if global.output == Output::Json {
        return print_json(view);
    }
    let at_once = table::cell(view, "/at_once");
    putln!("{}", line(view));
    putln!("{:<10} {}, {at_once} at once, stops after {} failures", "image", image(view), stops(view));
    putln!("{:<10} {} at {}", "by", table::cell(view, "/by"), table::cell(view, "/at"));
    let since = table::cell(view, "/state_at");
    if since != "-" {
        let by = table::cell(view, "/state_by");
        let by = if by == "-" { String::new() } else { format!(" by {by}") };
        putln!("{:<10} {since}{by}", table::cell(view, "/state"));
    }
    let rows: Vec<Vec<String>> = hosts(view).map(row).collect();
    put!("{}", table::render(&["HOST", "STATE", "WHY"], &rows));
}

fn stops(view: &Value) -> String {
    match count(view, "/max_failures") {
        0 => "no number of".to_owned(),
        number => number.to_string(),
    }
}

async fn watch(
    global: &Global,
    api: &Api,
    name: &Name,
    timeout: Option<Duration>,
) -> Result<ExitCode, Failure> {
    let ends = timeout.map(|time| Instant::now() + time);
    let on_terminal = global.output == Output::Table && std::io::stdout().is_terminal();
    let mut told: BTreeMap<String, String> = BTreeMap::new();
    let (mut state, mut drawn) = (String::new(), 0usize);
    loop {
        let view = api.get(&format!("rollouts/{name}")).await?.body;
        if on_terminal {
            drawn = draw(&view, drawn);
        } else {
            state = tell(global, &view, &mut told, &state);
        }
        if let Some(code) = ended(&view) {
            if !on_terminal {
                eprintln!("{}", line(&view));
            }
            return Ok(ExitCode::from(code));
        }
        if ends.is_some_and(|ends| Instant::now() >= ends) {
            return Err(Failure::new("R-ROL-08", format!("rollout `{name}` goes on"))
                .cause("the time to watch it is over")
                .fix(format!("reveille rollout watch {name}"))
                .exit(Exit::TimedOut));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The exit code of a rollout of which nothing more is expected by itself.
fn ended(view: &Value) -> Option<u8> {
    let under_way = count(view, "/summary/armed") + count(view, "/summary/installing");
    let stopped = table::cell(view, "/state") == "stopped";
    if view.pointer("/over") != Some(&Value::Bool(true)) && !(stopped && under_way == 0) {
        return None;
    }
    let done = count(view, "/summary/done");
    let left = hosts(view).count() as u64 - done.min(hosts(view).count() as u64);
    Some(match (stopped, done, left) {
        (true, ..) | (_, 0, _) => Exit::Failed as u8,
        (false, _, 0) => 0,
        (false, ..) => Exit::Partly as u8,
    })
}

/// What changed since the last time, a line each; the state of the rollout now.
fn tell(global: &Global, view: &Value, told: &mut BTreeMap<String, String>, state: &str) -> String {
    for host in hosts(view) {
        let (name, now) = (table::cell(host, "/host"), table::cell(host, "/state"));
        let before = told.insert(name.clone(), now.clone());
        // Nobody wants to read that thirteen thousand hosts wait.
        if before.as_deref() == Some(now.as_str()) || (before.is_none() && now == "waiting") {
            continue;
        }
        match (global.output, table::cell(host, "/why").as_str()) {
            (Output::Json, _) => putln!("{host}"),
            (Output::Table, "-") => putln!("{name} {now}"),
            (Output::Table, why) => putln!("{name} {now}: {why}"),
        }
    }
    let now = table::cell(view, "/state");
    if now != state && global.output == Output::Table {
        putln!("{}", line(view));
    }
    now
}

/// Draws the table over the one before; gives its lines.
fn draw(view: &Value, before: usize) -> usize {
    let shown = |host: &&Value| !matches!(table::cell(host, "/state").as_str(), "waiting" | "done");
    let rows: Vec<Vec<String>> = hosts(view).filter(shown).take(ROWS_MAX).map(row).collect();
    let text = format!("{}\n{}", line(view), table::render(&["HOST", "STATE", "WHY"], &rows));
    let up = if before > 0 { format!("\x1b[{before}A") } else { String::new() };
    put!("{up}\x1b[J{text}");
    text.lines().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(state: &str, over: bool, states: &[&str]) -> Value {
        let of = |name: &str| states.iter().filter(|state| **state == name).count();
        let hosts: Vec<Value> = states.iter().map(|state| json!({ "host": "h", "state": state })).collect();
        json!({ "state": state, "over": over, "hosts": hosts, "summary": {
            "done": of("done"), "armed": of("armed"), "installing": of("installing"),
        }})
    }

    #[test]
    fn the_exit_code_says_how_a_rollout_ended() {
        assert_eq!(ended(&view("running", false, &["done", "armed"])), None);
        assert_eq!(ended(&view("done", true, &["done", "done"])), Some(0));
        assert_eq!(ended(&view("done", true, &["done", "failed"])), Some(10));
        assert_eq!(ended(&view("done", true, &["skipped", "failed"])), Some(1));
        assert_eq!(ended(&view("cancelled", false, &["done", "installing"])), None);
        assert_eq!(ended(&view("cancelled", true, &["done", "skipped"])), Some(10));
        assert_eq!(ended(&view("stopped", false, &["installing", "waiting"])), None);
        assert_eq!(ended(&view("stopped", false, &["done", "failed", "waiting"])), Some(1));
    }
}
