//! `reveille boot …`

use super::api::{Api, print_json};
use super::table::{bytes, cell, print_list};
use crate::cli::{Boot, Global, Output};
use crate::failure::{Exit, Failure};
use crate::out::put;
use serde_json::Value;

pub(crate) async fn command(global: &Global, command: Boot) -> Result<(), Failure> {
    let api = Api::new(global);
    match command {
        Boot::List => {
            let boots = api.list("boots").await?;
            print_list(
                global,
                &boots,
                &[
                    ("MAC", |boot| cell(boot, "/mac")),
                    ("HOST", |boot| cell(boot, "/host")),
                    ("IMAGE", |boot| cell(boot, "/image")),
                    ("STAGE", |boot| cell(boot, "/stage")),
                    ("STARTED", |boot| cell(boot, "/started")),
                    ("BOOT", |boot| cell(boot, "/id")),
                ],
            );
            Ok(())
        }
        Boot::Log { of, name: None } => logs(global, &api, &of).await,
        Boot::Log { of, name: Some(name) } => {
            let log = api.get(&format!("boot-logs/{}/{}", api.escape(&of), api.escape(&name))).await?.body;
            if global.output == Output::Json {
                print_json(&log);
                return Ok(());
            }
            let text = log.pointer("/text").and_then(Value::as_str).unwrap_or_default();
            put!("{text}{}", if text.ends_with('\n') { "" } else { "\n" });
            Ok(())
        }
    }
}

async fn logs(global: &Global, api: &Api, of: &str) -> Result<(), Failure> {
    let logs = api.get(&format!("boot-logs?of={}", api.escape(of))).await?.body;
    if logs.pointer("/items").and_then(Value::as_array).is_none_or(Vec::is_empty) {
        return Err(Failure::new("R-LOG-01", format!("there is no log of `{of}`"))
            .cause("no boot of that id, host or mac:… has sent a log that is still kept")
            .fix("let its answer file send one: examples/templates/ shows how; reveille boot list has the boots")
            .exit(Exit::NotFound));
    }
    print_list(
        global,
        &logs,
        &[
            ("LOG", |log| cell(log, "/name")),
            ("SIZE", |log| bytes(log, "/bytes")),
            ("RECEIVED", |log| cell(log, "/received")),
            ("HOST", |log| cell(log, "/host")),
            ("IMAGE", |log| cell(log, "/image")),
            ("BOOT", |log| cell(log, "/boot")),
        ],
    );
    Ok(())
}
