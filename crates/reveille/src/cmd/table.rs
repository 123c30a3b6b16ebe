//! Aligned columns for people.

mod columns;

pub(crate) use columns::{harmless, harmless_lines, render};

use super::api::print_json;
use crate::cli::{Global, Output};
use crate::out::put;
use serde_json::Value;

/// A column: its heading and how an item of the list fills it.
pub(crate) type Column = (&'static str, fn(&Value) -> String);

/// A list of the API on standard output, in the form asked for.
pub(crate) fn print_list(global: &Global, list: &Value, columns: &[Column]) {
    if global.output == Output::Json {
        print_json(list);
        return;
    }
    let items = list.pointer("/items").and_then(Value::as_array).into_iter().flatten();
    let rows: Vec<Vec<String>> =
        items.map(|item| columns.iter().map(|(_, fill)| fill(item)).collect()).collect();
    let heading: Vec<&str> = columns.iter().map(|(heading, _)| *heading).collect();
    put!("{}", render(&heading, &rows));
}

/// A value of an API document as a cell: `-` for nothing, lists joined by commas.
pub(crate) fn cell(document: &Value, pointer: &str) -> String {
    match document.pointer(pointer) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) if text.is_empty() => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(list)) => list.iter().map(scalar).collect::<Vec<_>>().join(","),
        Some(other) => scalar(other),
    }
}

/// Bytes for people: `58 MB`.
pub(crate) fn bytes(document: &Value, pointer: &str) -> String {
    let Some(count) = document.pointer(pointer).and_then(Value::as_u64) else { return "-".to_owned() };
    size(count)
}

/// Bytes for people, in powers of 1000.
pub(crate) fn size(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut unit = 0usize;
    let mut whole = count;
    let mut tenths = 0;
    while whole >= 1000 && unit + 1 < UNITS.len() {
        tenths = whole % 1000 / 100;
        whole /= 1000;
        unit += 1;
    }
    let unit = UNITS.get(unit).copied().unwrap_or("TB");
    if whole < 10 && unit != "B" { format!("{whole}.{tenths} {unit}") } else { format!("{whole} {unit}") }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn cells_read_documents() {
        let document = json!({"match": {"mac": ["a", "b"]}, "n": 3, "none": null});
        assert_eq!(cell(&document, "/match/mac"), "a,b");
        assert_eq!(cell(&document, "/n"), "3");
        assert_eq!(cell(&document, "/none"), "-");
        assert_eq!(size(58_300_000), "58 MB");
        assert_eq!(size(1_234), "1.2 kB");
    }
}
