//! The JSON Schema of the file, and the same as a plain tree that the checker walks.
//!
//! One source for both: `schemars` derives the schema from the structs of `file.rs`, [`Shape`] reads it. So
//! the editor's schema, the checker and the documentation cannot drift apart.

use crate::file::File;
use schemars::generate::SchemaSettings;
use serde_json::Value;
use std::sync::LazyLock;

/// What a value may be.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Shape {
    /// Text; `format` names its form. Bounds are for durations, in their text form.
    Text {
        format: Option<String>,
        min: Option<String>,
        max: Option<String>,
    },
    Integer {
        min: i64,
        max: i64,
    },
    Bool,
    /// One of some words.
    Choice(Vec<Choice>),
    List(Box<Shape>),
    /// Keys are free.
    Map(Box<Shape>),
    /// Keys are fixed.
    Record(Vec<Key>),
    OneOrMany(Box<Shape>),
    /// A schema this module does not understand; a test keeps it from occurring.
    Unknown,
}

/// A word and what it means.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Choice {
    pub(crate) name: String,
    pub(crate) about: String,
}

/// A key of a record.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) required: bool,
    pub(crate) default: Option<Value>,
    pub(crate) shape: Shape,
}

/// The shape of the whole file.
pub(crate) static FILE: LazyLock<Shape> = LazyLock::new(|| Shape::read(&schema_value()));

/// The schema as JSON Schema draft-07, the newest that common editors read.
pub(crate) fn schema_value() -> Value {
    let mut settings = SchemaSettings::draft07();
    settings.inline_subschemas = true;
    let mut schema = settings.into_generator().into_root_schema_for::<File>().to_value();
    if let Some(object) = schema.as_object_mut() {
        object.insert("title".to_owned(), "reveille configuration".into());
    }
    loosen(&mut schema);
    schema
}

/// Editors must accept what the reader accepts: keys starting with `x-` everywhere.
fn loosen(value: &mut Value) {
    match value {
        Value::Object(object) => {
            if object.get("additionalProperties") == Some(&Value::Bool(false)) {
                object.insert("patternProperties".to_owned(), serde_json::json!({ "^x-": {} }));
            }
            object.values_mut().for_each(loosen);
        }
        Value::Array(items) => items.iter_mut().for_each(loosen),
        _ => {}
    }
}

impl Shape {
    fn read(schema: &Value) -> Shape {
        if let Some(parts) = schema.get("anyOf").and_then(Value::as_array) {
            let parts: Vec<&Value> = parts.iter().filter(|part| type_of(part) != Some("null")).collect();
            return match parts.as_slice() {
                [one] => Shape::read(one),
                [one, list] if type_of(list) == Some("array") => Shape::OneOrMany(Box::new(Shape::read(one))),
                _ => Shape::Unknown,
            };
        }
        if let Some([one]) = schema.get("allOf").and_then(Value::as_array).map(Vec::as_slice) {
            return Shape::read(one);
        }
        if let Some(parts) = schema.get("oneOf").and_then(Value::as_array) {
            let choice = |part: &Value| {
                let name = part.get("const")?.as_str()?.to_owned();
                Some(Choice { name, about: about(part) })
            };
            return parts
                .iter()
                .map(choice)
                .collect::<Option<Vec<_>>>()
                .map_or(Shape::Unknown, Shape::Choice);
        }
        let text = |key: &str| schema.get(key).and_then(Value::as_str).map(str::to_owned);
        match type_of(schema) {
            Some("string") => {
                Shape::Text { format: text("format"), min: text("x-minimum"), max: text("x-maximum") }
            }
            Some("integer") => {
                let bound = |key: &str| schema.get(key).and_then(Value::as_i64);
                let widest =
                    if text("format").as_deref() == Some("uint32") { i64::from(u32::MAX) } else { i64::MAX };
                Shape::Integer { min: bound("minimum").unwrap_or(0), max: bound("maximum").unwrap_or(widest) }
            }
            Some("boolean") => Shape::Bool,
            Some("array") => Shape::List(Box::new(schema.get("items").map_or(Shape::Unknown, Shape::read))),
            Some("object") => match schema.get("properties").and_then(Value::as_object) {
                Some(properties) => Shape::Record(keys(schema, properties)),
                None => Shape::Map(Box::new(
                    schema.get("additionalProperties").map_or(Shape::Unknown, Shape::read),
                )),
            },
            _ => Shape::Unknown,
        }
    }

    /// Keys of a record.
    pub(crate) fn keys(&self) -> &[Key] {
        match self {
            Shape::Record(keys) => keys,
            _ => &[],
        }
    }
}

fn keys(schema: &Value, properties: &serde_json::Map<String, Value>) -> Vec<Key> {
    let required = schema.get("required").and_then(Value::as_array);
    let is_required =
        |name: &str| required.is_some_and(|list| list.iter().any(|item| item.as_str() == Some(name)));
    properties
        .iter()
        .map(|(name, value)| Key {
            name: name.clone(),
            about: about(value),
            required: is_required(name),
            default: value.get("default").filter(|default| !default.is_null()).cloned(),
            shape: Shape::read(value),
        })
        .collect()
}

/// The description, on one line.
fn about(schema: &Value) -> String {
    let text = schema.get("description").and_then(Value::as_str).unwrap_or("");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The type, with null left out: `["string", "null"]` is `string`.
fn type_of(schema: &Value) -> Option<&str> {
    match schema.get("type")? {
        Value::String(name) => Some(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).find(|name| *name != "null"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_known(shape: &Shape, at: &str) {
        match shape {
            Shape::Unknown => panic!("schema of {at} is not understood"),
            Shape::List(inner) | Shape::Map(inner) | Shape::OneOrMany(inner) => assert_known(inner, at),
            Shape::Record(keys) => {
                for key in keys {
                    assert!(!key.about.is_empty(), "{at}.{} has no doc comment", key.name);
                    assert_known(&key.shape, &format!("{at}.{}", key.name));
                }
            }
            Shape::Choice(choices) => assert!(choices.iter().all(|choice| !choice.about.is_empty()), "{at}"),
            Shape::Text { .. } | Shape::Integer { .. } | Shape::Bool => {}
        }
    }

    #[test]
    fn every_key_has_a_doc_comment_and_a_known_shape() {
        assert_known(&FILE, "file");
    }
}
