//! `reveille host watch`

use super::api::Api;
use super::follow::{Follower, Woken, is_away};
use super::table::{render, size};
use super::trace::clock;
use crate::cli::{Global, Output, Until, Watch};
use crate::failure::{Exit, Failure};
use crate::out::{put, putln};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Ages go on when nothing happens.
const TICK: Duration = Duration::from_secs(1);
/// Without a terminal only changes are told; findings come by time alone.
const TICK_PIPED: Duration = Duration::from_secs(3);
/// A terminal that does not say how large it is.
const SCREEN: (usize, usize) = (24, 80);
/// How often it is asked: it may have been made larger.
const SCREEN_EVERY: u32 = 10;

/// Moves to the top left, clears what is below; lines that are too long are cut, not wrapped.
const TOP: &str = "\u{1b}[H\u{1b}[J\u{1b}[?7l";
const AWAY: &str = "the appliance does not answer; it is looked for";
const BEGIN: &str = "\u{1b}[?1049h\u{1b}[?25l";
const END: &str = "\u{1b}[?7h\u{1b}[?25h\u{1b}[?1049l";

pub(crate) async fn command(global: &Global, asked: &Watch) -> Result<ExitCode, Failure> {
    let redraws = global.output == Output::Table && std::io::stdout().is_terminal();
    let api = Api::new(global);
    let mut follower = Follower::start(&api).await?;
    // From here on every end of the command comes by the bottom of this function.
    if redraws {
        put!("{BEGIN}");
    }
    let mut last = Vec::new();
    let outcome = watch(&api, &mut follower, asked, redraws, &mut last).await;
    if redraws {
        // What stood last stays to be read.
        put!("{END}{}", table(&last, usize::MAX));
    }
    outcome
}

async fn watch(
    api: &Api,
    follower: &mut Follower<'_>,
    asked: &Watch,
    redraws: bool,
    last: &mut Vec<Value>,
) -> Result<ExitCode, Failure> {
    let (begun, begun_ms) = (Instant::now(), now_ms());
    let path = path(api, asked);
    let interrupted = || Ok(ExitCode::from(Exit::Interrupted as u8));
    let mut away = false;
    let mut told: BTreeMap<String, Value> = BTreeMap::new();
    let (mut screen, mut draws) = (SCREEN, 0u32);
    loop {
        match follower.get(&path).await {
            Ok(None) => return interrupted(),
            Ok(Some(document)) => {
                away = false;
                *last =
                    document.body.pointer("/items").and_then(Value::as_array).cloned().unwrap_or_default();
                if redraws {
                    if draws.is_multiple_of(SCREEN_EVERY) {
                        screen = screen_size().unwrap_or(SCREEN);
                    }
                    draws = draws.wrapping_add(1);
                    put!("{TOP}{}", table(last, screen.0.saturating_sub(2)));
                } else {
                    tell(last, &mut told);
                }
                if asked.until.is_some_and(|until| reached(last, until, asked.new.then_some(begun_ms))) {
                    return Ok(ExitCode::SUCCESS);
                }
            }
            Err(failure) if is_away(&failure) => {
                if redraws {
                    put!("{TOP}{}{AWAY}\n", table(last, screen.0.saturating_sub(3)));
                } else if !away {
                    eprintln!("{AWAY}");
                }
                away = true;
            }
            Err(failure) => return Err(failure),
        }
        let tick = if redraws { TICK } else { TICK_PIPED };
        let tick = match asked.timeout.map(|timeout| timeout.duration()) {
            None => tick,
            Some(limit) => match limit.checked_sub(begun.elapsed()).filter(|left| !left.is_zero()) {
                Some(left) => tick.min(left),
                None => return Err(too_late(last, asked, limit, begun_ms)),
            },
        };
        if follower.wait(tick).await? == Woken::Interrupted {
            return interrupted();
        }
    }
}

fn path(api: &Api, asked: &Watch) -> String {
    let mut query = Vec::new();
    query.extend(asked.group.as_ref().map(|group| format!("group={group}")));
    query.extend(asked.selector.as_ref().map(|when| format!("where={}", api.escape(&when.to_string()))));
    if !asked.hosts.is_empty() {
        let names: Vec<String> = asked.hosts.iter().map(ToString::to_string).collect();
        query.push(format!("hosts={}", api.escape(&names.join(","))));
    }
    if query.is_empty() { "watch".to_owned() } else { format!("watch?{}", query.join("&")) }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Rows and columns, as the terminal says.
fn screen_size() -> Option<(usize, usize)> {
    let said =
        Command::new("stty").arg("size").stdin(Stdio::inherit()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(said.stdout).ok()?;
    let mut numbers = text.split_whitespace().map(|number| number.parse::<usize>().ok());
    match (numbers.next()??, numbers.next()??) {
        (0, _) | (_, 0) => None,
        size => Some(size),
    }
}

fn text<'a>(row: &'a Value, key: &str) -> Option<&'a str> {
    row.get(key).and_then(Value::as_str)
}

fn number(row: &Value, key: &str) -> Option<u64> {
    row.get(key).and_then(Value::as_u64)
}

/// One row a machine, at most so many.
fn table(rows: &[Value], most: usize) -> String {
    let cells = |row: &Value| {
        let stage = match (text(row, "outcome"), text(row, "stage")) {
            (Some(outcome), _) => outcome,
            (None, Some("kernel")) => "installing",
            (None, stage) => stage.unwrap_or("-"),
        };
        let goes_on = text(row, "outcome").is_none() && text(row, "boot_id").is_some();
        let rate = match number(row, "rate").filter(|_| goes_on) {
            Some(rate) => format!("{}/s", size(rate)),
            None => "-".to_owned(),
        };
        vec![
            text(row, "host").or_else(|| text(row, "mac")).unwrap_or("-").to_owned(),
            stage.to_owned(),
            if text(row, "boot_id").is_some() {
                clock(number(row, "age_ms").unwrap_or(0))
            } else {
                "-".to_owned()
            },
            text(row, "image").unwrap_or("-").to_owned(),
            rate,
            text(row, "note").unwrap_or("-").to_owned(),
        ]
    };
    // What needs somebody stands first, then what goes on, then what is over.
    let order = |row: &&Value| match text(row, "state") {
        Some("stuck" | "silent" | "refused" | "failed" | "slow") => 0,
        Some("running") => 1,
        Some("none") | None => 3,
        Some(_) => 2,
    };
    let mut sorted: Vec<&Value> = rows.iter().collect();
    sorted.sort_by_key(order);
    let shown: Vec<Vec<String>> = sorted.iter().take(most.saturating_sub(1)).map(|row| cells(row)).collect();
    let mut text = render(&["HOST", "STAGE", "AGE", "IMAGE", "RATE", "NOTE"], &shown);
    if shown.len() < rows.len() {
        text.push_str(&format!("… and {} more\n", rows.len() - shown.len()));
    }
    text
}

/// Prints the rows that changed, one a line; that a boot got older is no change.
fn tell(rows: &[Value], told: &mut BTreeMap<String, Value>) {
    let mut now = BTreeMap::new();
    for row in rows {
        let key = text(row, "host").or_else(|| text(row, "mac")).unwrap_or_default().to_owned();
        let mut same = row.clone();
        if let Some(fields) = same.as_object_mut() {
            for passing in ["age_ms", "rate"] {
                fields.remove(passing);
            }
            // Notes count seconds while nothing happens.
            if let Some(note) = fields.get_mut("note") {
                let steady: String =
                    note.as_str().unwrap_or_default().chars().filter(|char| !char.is_ascii_digit()).collect();
                *note = json!(steady);
            }
        }
        if told.get(&key) != Some(&same) {
            putln!("{row}");
        }
        now.insert(key, same);
    }
    *told = now;
}

fn is_there(row: &Value, until: Until, since_ms: Option<u64>) -> bool {
    let begun = number(row, "started_ms");
    let counts = since_ms.is_none_or(|since| begun.is_some_and(|begun| begun >= since));
    counts
        && match (until, text(row, "outcome")) {
            (Until::Up, outcome) => outcome == Some("up"),
            (Until::Done, outcome) => outcome.is_some_and(|outcome| outcome != "restarted"),
        }
}

fn reached(rows: &[Value], until: Until, since_ms: Option<u64>) -> bool {
    !rows.is_empty() && rows.iter().all(|row| is_there(row, until, since_ms))
}

fn too_late(rows: &[Value], asked: &Watch, limit: Duration, begun_ms: u64) -> Failure {
    const NAMED_MAX: usize = 5;
    let until = asked.until.unwrap_or(Until::Done);
    let late: Vec<String> = rows
        .iter()
        .filter(|row| !is_there(row, until, asked.new.then_some(begun_ms)))
        .map(|row| {
            let who = text(row, "host").or_else(|| text(row, "mac")).unwrap_or("-");
            format!("{who}: {}", text(row, "note").unwrap_or("-"))
        })
        .collect();
    let what = match until {
        Until::Up => "up",
        Until::Done => "done",
    };
    let mut cause = late.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join("; ");
    if late.len() > NAMED_MAX {
        cause.push_str(&format!("; and {} more", late.len() - NAMED_MAX));
    }
    if rows.is_empty() {
        cause = "no machine of the selection has booted".to_owned();
    }
    Failure::new(
        "R-WAT-01",
        format!("{} of {} machines are not {what} after {} s", late.len(), rows.len(), limit.as_secs()),
    )
    .cause(cause)
    .fix("reveille trace HOST shows what happened")
    .exit(Exit::TimedOut)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Value> {
        vec![
            json!({"host": "web01", "boot_id": "B1", "stage": "up", "outcome": "up", "state": "up", "image": "debian",
                "started_ms": 500, "age_ms": 221_000, "note": "up after 3:41"}),
            json!({"mac": "52:54:00:00:00:02", "boot_id": "B2", "stage": "loader", "state": "stuck", "started_ms": 900,
                "age_ms": 42_000, "rate": 1_200_000, "note": "STUCK 40 s: it stopped reading undionly.kpxe"}),
            json!({"host": "web03", "state": "none", "note": "no boot of it since the appliance was started"}),
        ]
    }

    #[test]
    fn what_needs_somebody_stands_first() {
        assert_eq!(
            table(&rows(), 20),
            "HOST               STAGE   AGE   IMAGE   RATE      NOTE\n\
             52:54:00:00:00:02  loader  0:42  -       1.2 MB/s  STUCK 40 s: it stopped reading undionly.kpxe\n\
             web01              up      3:41  debian  -         up after 3:41\n\
             web03              -       -     -       -         no boot of it since the appliance was started\n"
        );
        assert!(table(&rows(), 2).ends_with("… and 2 more\n"));
    }

    #[test]
    fn a_watch_ends_when_all_of_them_are_there_and_not_before() {
        let mut rows = rows();
        assert!(!reached(&rows, Until::Up, None) && !reached(&[], Until::Up, None));
        rows.truncate(1);
        assert!(reached(&rows, Until::Up, None) && reached(&rows, Until::Done, None));
        assert!(!reached(&rows, Until::Up, Some(501)), "a boot of before does not count");
        rows[0]["outcome"] = json!("failed");
        assert!(!reached(&rows, Until::Up, None) && reached(&rows, Until::Done, None));
    }
}
