//! `docs/config.md`, written from the shape of the file.

use crate::fault::Code;
use crate::shape::{FILE, Key, Shape};
use serde_json::Value;
use std::fmt::Write as _;

/// The sections in the order of the page. A test keeps the list complete.
const SECTIONS: [&str; 16] = [
    "version",
    "site",
    "include",
    "interfaces",
    "dhcp",
    "boot",
    "tftp",
    "http",
    "admin",
    "store",
    "library",
    "assets",
    "log",
    "hooks",
    "resources",
    "expect",
];

const HEAD: &str = "\
# Configuration reference

Written by `UPDATE_GOLDEN=1 cargo test -p reveille-config`; edit the doc comments in `crates/config/src/file.rs` instead.

reveille reads YAML. Every key is optional, and an empty file is a valid one. Unknown keys are faults; keys that start
with `x-` are ignored. `reveille config check` reports all faults at once.

- Durations are a number and a unit: `500ms`, `30s`, `5m`, `8h`, `7d`, also together: `1h30m`.
- Networks are written `10.77.0.0/24`, ranges `10.77.0.100-10.77.0.199`.
- MAC addresses take colons, hyphens, dots or none. Quote them: other YAML readers turn some into numbers.
- A machine GUID may be written in either SMBIOS byte order.
- Text is taken as it is written: `0012`, `on` and `8.0` stay text where text is wanted. Booleans are `true` and `false`.
- Environment variables beat the files: `REVEILLE__HTTP__LISTEN=:80` sets `http.listen`; a double underscore goes one
  level down, lists and maps are JSON. Flags beat the environment.
- Several files: maps merge, lists append, and the same single value in two files is a fault.
";

/// Renders the page.
pub fn document() -> String {
    let mut text = HEAD.to_owned();
    let keys = FILE.keys();
    let single: Vec<&Key> = SECTIONS
        .iter()
        .filter_map(|name| keys.iter().find(|key| key.name == *name))
        .filter(|key| inner(&key.shape).is_none())
        .collect();
    text.push_str("\n## Top level\n");
    table(&single, &mut text);
    for key in SECTIONS.iter().filter_map(|name| keys.iter().find(|key| key.name == *name)) {
        section(key, "", 2, &mut text);
    }
    text.push_str("\n## Faults and warnings\n\n| code | | meaning |\n|---|---|---|\n");
    for code in Code::ALL {
        let _ =
            writeln!(text, "| {} | {} | {} |", code.as_str(), code.severity().as_str(), cell(code.about()));
    }
    text
}

/// Keys of the record inside a shape, and how its path goes on.
fn inner(shape: &Shape) -> Option<(&[Key], &'static str)> {
    match shape {
        Shape::Record(keys) => Some((keys, "")),
        Shape::List(item) => inner(item).map(|(keys, _)| (keys, "[]")),
        Shape::Map(value) => inner(value).map(|(keys, _)| (keys, ".<key>")),
        _ => None,
    }
}

fn section(key: &Key, at: &str, level: usize, text: &mut String) {
    let Some((keys, more)) = inner(&key.shape) else { return };
    let at = format!("{}{more}", crate::check::join(at, &key.name));
    let _ = write!(text, "\n{} `{at}`\n\n{}\n", "#".repeat(level.min(4)), key.about);
    let mut ordered: Vec<&Key> = keys.iter().collect();
    ordered.sort_by_key(|key| (key.name != "name", !key.required));
    table(&ordered, text);
    for key in ordered {
        section(key, &at, level + 1, text);
    }
}

fn table(keys: &[&Key], text: &mut String) {
    text.push_str("\n| key | type | default | meaning |\n|---|---|---|---|\n");
    for key in keys {
        let default = match &key.default {
            _ if key.required => "required".to_owned(),
            _ if inner(&key.shape).is_some() => String::new(),
            Some(value) => format!("`{}`", plain(value)),
            None => String::new(),
        };
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {}{} |",
            key.name,
            cell(&kind(&key.shape)),
            cell(&default),
            cell(&key.about),
            cell(&words(&key.shape)),
        );
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

fn kind(shape: &Shape) -> String {
    match shape {
        Shape::Text { format: Some(format), .. } => format.clone(),
        Shape::Text { format: None, .. } => "text".to_owned(),
        Shape::Integer { min, max } if *max < i64::MAX && min < max => format!("{min} to {max}"),
        Shape::Integer { .. } => "whole number".to_owned(),
        Shape::Bool => "true or false".to_owned(),
        Shape::Choice(_) => "word".to_owned(),
        Shape::List(item) => format!("list of {}", kind(item)),
        Shape::OneOrMany(item) => format!("{} or list", kind(item)),
        Shape::Map(value) => format!("map to {}", kind(value)),
        Shape::Record(_) => "map".to_owned(),
        Shape::Unknown => String::new(),
    }
}

fn words(shape: &Shape) -> String {
    match shape {
        Shape::Choice(choices) => choices
            .iter()
            .map(|choice| format!("<br>`{}`: {}", choice.name, choice.about))
            .collect::<Vec<_>>()
            .concat(),
        Shape::List(item) | Shape::OneOrMany(item) => words(item),
        _ => String::new(),
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_section_is_on_the_page() {
        let mut keys: Vec<&str> = FILE.keys().iter().map(|key| key.name.as_str()).collect();
        let mut sections = SECTIONS.to_vec();
        keys.sort_unstable();
        sections.sort_unstable();
        assert_eq!(keys, sections);
    }
}
