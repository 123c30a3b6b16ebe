//! `reveille status` and `reveille version`

use super::api::{Api, print_json};
use crate::cli::{Global, Output};
use crate::failure::Failure;
use crate::out::putln;
use serde_json::{Value, json};

pub(crate) async fn status(global: &Global) -> Result<(), Failure> {
    let document = Api::new(global).get("status").await?.body;
    if global.output == Output::Json {
        print_json(&document);
    } else {
        print_tree(&document, 0);
    }
    Ok(())
}

/// The program's own version, and the appliance's where one runs. Never fails: no appliance is an answer too.
pub(crate) async fn version(global: &Global) -> Result<(), Failure> {
    let appliance = Api::new(global).get("version").await.ok().map(|answer| answer.body);
    let own = env!("CARGO_PKG_VERSION");
    if global.output == Output::Json {
        print_json(&json!({ "program": own, "appliance": appliance }));
        return Ok(());
    }
    putln!("reveille {own}");
    match appliance.as_ref().and_then(|document| document.pointer("/version")).and_then(Value::as_str) {
        Some(version) => putln!("appliance {version}"),
        None => putln!("appliance not running here"),
    }
    Ok(())
}

/// A document as an indented list: groups by name, zero counters left out.
fn print_tree(value: &Value, depth: usize) {
    let Some(fields) = value.as_object() else { return };
    for (name, value) in fields {
        let indent = "  ".repeat(depth);
        match value {
            Value::Object(inner) if inner.is_empty() => {}
            Value::Object(_) => {
                putln!("{indent}{name}");
                print_tree(value, depth + 1);
            }
            Value::Number(number) if number.as_u64() == Some(0) && depth > 1 => {}
            Value::Null => {}
            Value::String(text) => putln!("{indent}{name:<26} {text}"),
            Value::Array(list) => {
                let items: Vec<String> = list
                    .iter()
                    .map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned))
                    .collect();
                putln!("{indent}{name:<26} {}", items.join(", "));
            }
            other => putln!("{indent}{name:<26} {other}"),
        }
    }
}
