//! How a value is put into a text of each kind. Nothing is printed that did not pass [`write()`].
//!
//! | kind | a value in `{{ … }}` |
//! |---|---|
//! | ESXi kickstart, kickstart, preseed | as it is; control characters and line ends are refused |
//! | user-data | as it is, unless it could end its scalar: then it is refused and `\| yaml` quotes it |
//! | JSON | escaped for the inside of a string; `\| json` gives the whole value with its quotes |
//! | unattend | escaped for text and attributes |
//! | shell | as it is, when it is one plain word; anything else is refused and `\| quote` makes one word of it |
//! | text | as it is |

use super::TemplateFault;
use super::fault::{refusal, there};
use minijinja::value::{Value, ValueKind};
use minijinja::{Error, Output};
use std::fmt::Write as _;
use types::resource::TemplateKind;

/// True when a reader that works line by line (Python's `splitlines` among them) may take it for a line's end, or a
/// terminal for a command.
fn breaks_lines(char: char) -> bool {
    char.is_control() || matches!(char, '\u{2028}' | '\u{2029}')
}

/// Writes one value.
pub(super) fn write(out: &mut Output<'_>, kind: TemplateKind, value: &Value) -> Result<(), Error> {
    if value.is_undefined() {
        // The missing `else` of `{{ 'a' if b }}`; every other undefined value was a fault before.
        return Ok(());
    }
    if value.is_safe() {
        return Ok(out.write_str(value.as_str().unwrap_or(""))?);
    }
    match value.kind() {
        ValueKind::String => {}
        ValueKind::Bool if kind == TemplateKind::Json => return Ok(write!(out, "{}", value.is_true())?),
        ValueKind::Number | ValueKind::Bool => return Ok(write!(out, "{value}")?),
        ValueKind::None if kind == TemplateKind::Json => return Ok(out.write_str("null")?),
        _ if kind == TemplateKind::Json => return Ok(out.write_str(&json(value)?)?),
        other => {
            return Err(refusal(
                format_args!("a value of type {other} cannot be printed"),
                "print one member, go through it with {% for … %}, or use | join(',')",
            ));
        }
    }
    let text = value.as_str().unwrap_or("");
    match kind {
        TemplateKind::EsxiKickstart | TemplateKind::Kickstart | TemplateKind::Preseed => {
            one_line(text)?;
            Ok(out.write_str(text)?)
        }
        TemplateKind::UserData => {
            plain_yaml(text)?;
            Ok(out.write_str(text)?)
        }
        TemplateKind::Json => Ok(out.write_str(&json_inside(text))?),
        TemplateKind::Unattend => Ok(out.write_str(&xml(text)?)?),
        TemplateKind::Shell => {
            plain_word(text)?;
            Ok(out.write_str(text)?)
        }
        TemplateKind::Text => Ok(out.write_str(text)?),
    }
}

/// Refuses a text that is not one line.
pub(super) fn one_line(text: &str) -> Result<(), Error> {
    if text.chars().any(breaks_lines) {
        return Err(refusal(
            "the value has a line end or another control character in it, so it would add a line",
            "give it in one line, go through it with {% for line in … | lines %}, or send it as | b64",
        ));
    }
    Ok(())
}

/// Refuses what could end a plain or quoted YAML scalar or turn it into something else (YAML 1.2.2 §7.3).
fn plain_yaml(text: &str) -> Result<(), Error> {
    let ends = text.chars().any(breaks_lines)
        || text.contains(['"', '\'', '\\'])
        || text.contains(": ")
        || text.ends_with(':')
        || text.contains(" #")
        || text.starts_with(['&', '*', '!', '|', '>', '%', '@', '`', '#', '{', '[', '}', ']', ','])
        || text.trim() != text;
    if ends {
        return Err(refusal(
            "the value would not stay one YAML scalar",
            "write it as {{ … | yaml }}, which quotes it, or in a script as {{ … | quote }}",
        ));
    }
    Ok(())
}

/// Refuses what a shell would take apart, expand or run, in quotes or without (POSIX.1-2024 XCU §2.2).
fn plain_word(text: &str) -> Result<(), Error> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_@%+=:,./-".contains(&byte);
    if !text.bytes().all(plain) {
        return Err(refusal(
            "a shell would take the value apart, or run a part of it",
            "write it as {{ … | quote }}, outside of any quotes",
        ));
    }
    Ok(())
}

/// The inside of a JSON string, which is the inside of a double-quoted YAML scalar too (RFC 8259 §7, YAML 1.2.2 §5.7).
pub(super) fn json_inside(text: &str) -> String {
    let mut inside = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '"' => inside.push_str("\\\""),
            '\\' => inside.push_str("\\\\"),
            '\n' => inside.push_str("\\n"),
            '\r' => inside.push_str("\\r"),
            '\t' => inside.push_str("\\t"),
            other if breaks_lines(other) || other == '\u{feff}' => {
                // All of them are below U+10000: one escape each. Writing to a String cannot fail.
                let _ = write!(inside, "\\u{:04x}", u32::from(other));
            }
            other => inside.push(other),
        }
    }
    inside
}

/// A whole value as JSON.
pub(super) fn json(value: &Value) -> Result<String, Error> {
    let cannot = |_| refusal("the value cannot be written as JSON", "give text, numbers, lists or maps");
    there(value)?;
    match value.kind() {
        ValueKind::None => Ok("null".to_owned()),
        ValueKind::Number => Ok(value.to_string()),
        // minijinja writes `True`, as Python does.
        ValueKind::Bool => Ok(value.is_true().to_string()),
        ValueKind::String => Ok(format!("\"{}\"", json_inside(value.as_str().unwrap_or("")))),
        ValueKind::Seq | ValueKind::Iterable => {
            let members: Result<Vec<String>, Error> =
                value.try_iter().map_err(cannot)?.map(|member| json(&member)).collect();
            Ok(format!("[{}]", members?.join(", ")))
        }
        ValueKind::Map => {
            let mut members = Vec::new();
            for key in value.try_iter().map_err(cannot)? {
                let member = value.get_item(&key).map_err(cannot)?;
                members.push(format!("\"{}\": {}", json_inside(&key.to_string()), json(&member)?));
            }
            Ok(format!("{{{}}}", members.join(", ")))
        }
        _ => Err(cannot(Error::from(minijinja::ErrorKind::BadSerialization))),
    }
}

/// XML text that can stand in an element and in an attribute (XML 1.0 §2.2, §2.4).
pub(super) fn xml(text: &str) -> Result<String, Error> {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\n' => escaped.push_str("&#10;"),
            '\r' => escaped.push_str("&#13;"),
            '\t' => escaped.push_str("&#9;"),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {
                return Err(refusal("the value has a character that XML cannot carry", "take it out"));
            }
            other => escaped.push(other),
        }
    }
    Ok(escaped)
}

/// One word of a POSIX shell.
pub(super) fn shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Base64 with padding (RFC 4648 §4).
pub(super) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4_usize {
            let index = (bits >> (18 - 6 * digit)) & 63;
            let sign = DIGITS.get(index as usize).filter(|_| digit <= chunk.len());
            text.push(sign.map_or('=', |sign| char::from(*sign)));
        }
    }
    text
}

/// What only the whole text can tell.
pub(super) fn check_whole(name: &str, kind: TemplateKind, text: &str) -> Result<(), TemplateFault> {
    if kind != TemplateKind::Json {
        return Ok(());
    }
    let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text) else { return Ok(()) };
    let at = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let fault = TemplateFault::new(name, "the rendered text is no JSON")
        .fix("a value stands inside the quotes of a string; without quotes write {{ … | json }}")
        .at(at(error.line()), Some(at(error.column())));
    Err(TemplateFault { rendered: true, ..fault })
}
