//! `reveille hook …`

use super::api::{Api, print_json};
use super::table::{cell, print_list};
use crate::cli::{Global, Hook, Output};
use crate::failure::Failure;
use serde_json::{Value, json};

pub(crate) async fn command(global: &Global, command: Hook) -> Result<(), Failure> {
    let api = Api::new(global);
    match command {
        Hook::List => {
            let hooks = api.get("hooks").await?.body;
            print_list(
                global,
                &hooks,
                &[
                    ("HOOK", |hook| cell(hook, "/name")),
                    ("KIND", |hook| cell(hook, "/kind")),
                    ("DELIVERED", |hook| cell(hook, "/delivered")),
                    ("FAILED", |hook| cell(hook, "/failed")),
                    ("LOST", lost),
                    ("WAITING", |hook| cell(hook, "/waiting")),
                    ("LAST ERROR", |hook| cell(hook, "/last_error")),
                ],
            );
            Ok(())
        }
        Hook::Test { name } => {
            let tried = api.post(&format!("hooks/{name}/test"), &json!({})).await?;
            let delivered = tried.pointer("/delivered") == Some(&Value::Bool(true));
            if global.output == Output::Json {
                print_json(&tried);
            }
            let words = cell(&tried, "/words");
            if !delivered {
                return Err(Failure::new("R-HOK-02", format!("hook `{name}` did not take the event"))
                    .cause(words)
                    .fix("docs/hooks.md says what a hook is given and what it must answer"));
            }
            if global.output != Output::Json {
                eprintln!("hook `{name}` took the event in {} ms: {words}", cell(&tried, "/took_ms"));
            }
            Ok(())
        }
    }
}

fn lost(hook: &Value) -> String {
    let count = |pointer| hook.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    (count("/dropped") + count("/missed")).to_string()
}
