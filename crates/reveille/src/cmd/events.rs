//! `reveille events`

use super::api::Api;
use super::table;
use crate::cli::{Events, Global, Output};
use crate::failure::{Exit, Failure};
use serde_json::Value;
use std::io::{ErrorKind, Write};

/// Fields every event has or may have; what is left is printed behind them.
const COMMON: [&str; 11] =
    ["ts", "seq", "level", "event", "mac", "uuid", "host", "boot_id", "iface", "stage", "reason"];

pub(crate) async fn command(global: &Global, asked: Events) -> Result<(), Failure> {
    let mut path = format!("events?follow={}", asked.follow);
    if let Some(since) = asked.since {
        path.push_str(&format!("&since={since}"));
    }
    let json = global.output == Output::Json;
    let mut out = std::io::stdout();
    let mut last = None;
    let ended = Api::new(global)
        .stream(&path, |event| {
            last = event.get("seq").and_then(Value::as_u64).or(last);
            let written = if json { writeln!(out, "{event}") } else { writeln!(out, "{}", line(&event)) };
            // A reader that went away (`| head`) ends the stream without a complaint.
            !matches!(written.and_then(|()| out.flush()), Err(error) if error.kind() == ErrorKind::BrokenPipe)
        })
        .await?;
    if ended && asked.follow {
        // A script that waits for an event must not take this for one.
        let after =
            last.map_or_else(|| "it told of no event".to_owned(), |seq| format!("the last event was {seq}"));
        return Err(Failure::new("R-API-16", "the appliance ended the stream of events")
            .cause(format!("it was stopped or restarted; {after}"))
            .fix("the same command again, once it answers; numbers of events begin anew with each start")
            .exit(Exit::Unreachable));
    }
    Ok(())
}

/// One event for people: time, machine, event, then its fields.
fn line(event: &Value) -> String {
    let time = event.pointer("/ts").and_then(Value::as_str).and_then(|ts| ts.get(11..23)).unwrap_or("-");
    let who = match table::cell(event, "/host") {
        host if host == "-" => table::cell(event, "/mac"),
        host => host,
    };
    let mut text = format!("{time} {who:<17} {:<20}", table::cell(event, "/event"));
    for name in ["stage", "reason"] {
        if let Some(value) = event.get(name).and_then(Value::as_str) {
            text.push_str(&format!(" {value}"));
        }
    }
    for (name, value) in event.as_object().into_iter().flatten() {
        if !COMMON.contains(&name.as_str()) {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            text.push_str(&format!(" {name}={value}"));
        }
    }
    table::harmless(&text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_is_one_line_whatever_the_machine_sent() {
        let event = json!({"ts": "2026-01-02T03:04:05.678Z", "seq": 4, "event": "dhcp.discover", "mac": "52:54:00:12:34:56",
            "stage": "rom", "hostname": "x\n\u{1b}[2J\u{202e}"});
        assert_eq!(
            line(&event),
            "03:04:05.678 52:54:00:12:34:56 dhcp.discover        rom hostname=x\u{fffd}\u{fffd}[2J\u{fffd}"
        );
    }
}
