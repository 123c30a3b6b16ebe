//! Trees as YAML text, and typed values from trees: the only place that names serde_yaml.
//!
//! The checked tree is written as plain YAML and read by `serde_yaml` into the structs. Text is quoted wherever any
//! YAML reader could take it for something else, so `0012`, `on` and `52:54:00:12:34:56` arrive as written.

use crate::fault::{Code, Draft, Faults};
use crate::source::Spot;
use crate::tree::{self, Budget, Kind, Node};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Write as _;

/// Reads a checked tree into its type.
pub(crate) fn from_tree<T: DeserializeOwned>(tree: &Node) -> Result<T, String> {
    serde_yaml::from_str(&render(tree)).map_err(|error| error.to_string())
}

/// A typed value as a tree without places, keys in the order of the struct.
pub(crate) fn to_tree<T: Serialize>(value: &T) -> Result<Node, String> {
    let text = serde_yaml::to_string(value).map_err(|error| error.to_string())?;
    let mut faults = Faults::default();
    tree::read(u32::MAX, &text, &mut Budget::default(), &mut faults)
        .ok_or_else(|| "the written text does not read back".to_owned())
}

/// Writes a tree as block YAML that ends in a line break.
pub(crate) fn render(tree: &Node) -> String {
    let mut text = String::new();
    block(tree, 0, Style::Plain, &mut text);
    text
}

/// The same for files that people keep: whole texts as literal blocks, what identifies a machine or a version always quoted.
pub(crate) fn render_kept(tree: &Node) -> String {
    let mut text = String::new();
    block(tree, 0, Style::Kept, &mut text);
    text
}

/// Who reads what is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Kept,
}

/// Keys whose values are quoted in kept files, whatever they are: other YAML readers take some for numbers.
const QUOTED: [&str; 4] = ["mac", "uuid", "serial", "image_version"];

/// Writes a value that starts on a line of its own.
fn block(node: &Node, indent: usize, style: Style, text: &mut String) {
    match &node.kind {
        Kind::Map(entries) if !entries.is_empty() => {
            for (at, entry) in entries.iter().enumerate() {
                if at > 0 || text.is_empty() || text.ends_with('\n') {
                    pad(indent, text);
                }
                scalar_text(&entry.key, text);
                text.push(':');
                nested(&entry.key, &entry.value, indent, style, text);
            }
        }
        Kind::List(items) if !items.is_empty() => {
            for (at, item) in items.iter().enumerate() {
                if at > 0 || text.is_empty() || text.ends_with('\n') {
                    pad(indent, text);
                }
                text.push('-');
                match &item.kind {
                    Kind::Map(entries) if !entries.is_empty() => {
                        text.push(' ');
                        block(item, indent + 2, style, text);
                    }
                    Kind::List(items) if !items.is_empty() => {
                        text.push(' ');
                        block(item, indent + 2, style, text);
                    }
                    _ => {
                        text.push(' ');
                        scalar(item, text);
                        text.push('\n');
                    }
                }
            }
        }
        _ => {
            scalar(node, text);
            text.push('\n');
        }
    }
}

/// Writes the value of a key, behind its colon.
fn nested(key: &str, node: &Node, indent: usize, style: Style, text: &mut String) {
    match &node.kind {
        Kind::Map(entries) if !entries.is_empty() => {
            text.push('\n');
            block(node, indent + 2, style, text);
        }
        Kind::List(items) if !items.is_empty() => {
            text.push('\n');
            let quoted = style == Style::Kept && QUOTED.contains(&key);
            match quoted {
                true => items.iter().for_each(|item| {
                    pad(indent + 2, text);
                    text.push_str("- ");
                    quote(item.as_text().unwrap_or_default(), text);
                    text.push('\n');
                }),
                false => block(node, indent + 2, style, text),
            }
        }
        Kind::Text(value) if style == Style::Kept && key == "text" && is_literal(value) => {
            text.push_str(" |\n");
            for line in value.lines() {
                if !line.is_empty() {
                    pad(indent + 2, text);
                    text.push_str(line);
                }
                text.push('\n');
            }
        }
        Kind::Text(value) if style == Style::Kept && QUOTED.contains(&key) => {
            text.push(' ');
            quote(value, text);
            text.push('\n');
        }
        _ => {
            text.push(' ');
            scalar(node, text);
            text.push('\n');
        }
    }
}

/// True for texts that a literal block gives back as they are, with the one line end that templates have (YAML 1.2 §8.1.2).
fn is_literal(value: &str) -> bool {
    let sound = |line: &str| {
        !line.starts_with('\t')
            && (line.is_empty() || !line.trim().is_empty())
            && !line
                .chars()
                .any(|c| (c.is_control() && c != '\t') || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}'))
    };
    let first = value.lines().next().unwrap_or_default();
    value.ends_with('\n')
        && !value.ends_with("\n\n")
        && !first.is_empty()
        && !first.starts_with(' ')
        && !value.contains('\r')
        && value.lines().all(sound)
}

fn pad(indent: usize, text: &mut String) {
    text.extend(std::iter::repeat_n(' ', indent));
}

fn scalar(node: &Node, text: &mut String) {
    match &node.kind {
        // A tree made from a value: its plain scalars are already as they should be.
        Kind::Plain(plain) => text.push_str(plain),
        Kind::Text(value) => scalar_text(value, text),
        Kind::Integer(number) => {
            let _ = write!(text, "{number}");
        }
        Kind::Bool(value) => {
            let _ = write!(text, "{value}");
        }
        Kind::List(_) => text.push_str("[]"),
        Kind::Map(_) => text.push_str("{}"),
    }
}

/// Plain where every YAML reader takes it for text, else in double quotes with escapes (YAML 1.2 §5.7).
fn scalar_text(value: &str, text: &mut String) {
    if is_safe_plain(value) {
        text.push_str(value);
    } else {
        quote(value, text);
    }
}

fn quote(value: &str, text: &mut String) {
    text.push('"');
    for character in value.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            c if c.is_control()
                || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') =>
            {
                let _ = write!(text, "\\u{:04x}", u32::from(c));
            }
            other => text.push(other),
        }
    }
    text.push('"');
}

fn is_safe_plain(value: &str) -> bool {
    const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let word = value.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'/' | b'-'))
        && !WORDS.contains(&value.to_ascii_lowercase().as_str());
    // 10.77.0.0/24 and ranges: three dots are a number to nobody.
    let address = value.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'/' | b'-'))
        && value.bytes().filter(|byte| *byte == b'.').count() >= 3
        && value.starts_with(|c: char| c.is_ascii_digit())
        && value.ends_with(|c: char| c.is_ascii_digit());
    let period = value
        .find(|c: char| !c.is_ascii_digit())
        .and_then(|at| value.split_at_checked(at))
        .is_some_and(|(digits, unit)| !digits.is_empty() && matches!(unit, "ms" | "s" | "m" | "h" | "d"));
    word || address || period
}

/// Reports that checker and reader disagree, which no text should bring about.
pub(crate) fn disagreement(error: &str) -> Draft {
    Draft::new(Code::Reader, Spot::NOWHERE, format!("the checked configuration does not read back: {error}"))
}

#[cfg(test)]
mod tests;
