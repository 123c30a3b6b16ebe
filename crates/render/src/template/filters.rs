//! The filters, tests and functions a template has. What is not listed here is not there.

use super::escape;
use super::fault::{refusal, there};
use minijinja::value::{Kwargs, Rest, Value, ValueKind};
use minijinja::{Environment, Error, State, filters, functions, tests};
use types::resource::TemplateKind;

/// Every filter. Those of Jinja mean what Jinja says; `quote`, `yaml`, `json`, `xml`, `b64` and `dashes` are ours.
pub(super) const FILTERS: &[&str] = &[
    "b64",
    "bool",
    "capitalize",
    "count",
    "d",
    "dashes",
    "default",
    "dictsort",
    "first",
    "float",
    "int",
    "items",
    "join",
    "json",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "max",
    "min",
    "quote",
    "reject",
    "replace",
    "reverse",
    "select",
    "sort",
    "split",
    "string",
    "title",
    "trim",
    "unique",
    "upper",
    "xml",
    "yaml",
];

/// Every test (`is …`).
pub(super) const TESTS: &[&str] = &[
    "defined",
    "divisibleby",
    "endingwith",
    "eq",
    "equalto",
    "even",
    "false",
    "in",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "sequence",
    "startingwith",
    "string",
    "true",
    "undefined",
];

/// Every function.
pub(super) const FUNCTIONS: &[&str] = &["range"];

pub(super) fn install(environment: &mut Environment<'static>, kind: TemplateKind) {
    builtin(environment, "bool", Value::from_function(filters::bool));
    builtin(environment, "capitalize", Value::from_function(filters::capitalize));
    builtin(environment, "count", Value::from_function(filters::length));
    environment.add_filter("d", filters::default);
    environment.add_filter("default", filters::default);
    builtin(environment, "dictsort", Value::from_function(filters::dictsort));
    builtin(environment, "first", Value::from_function(filters::first));
    builtin(environment, "float", Value::from_function(filters::float));
    builtin(environment, "int", Value::from_function(filters::int));
    builtin(environment, "items", Value::from_function(filters::items));
    builtin(environment, "last", Value::from_function(filters::last));
    builtin(environment, "length", Value::from_function(filters::length));
    builtin(environment, "lines", Value::from_function(filters::lines));
    builtin(environment, "list", Value::from_function(filters::list));
    builtin(environment, "lower", Value::from_function(filters::lower));
    builtin(environment, "max", Value::from_function(filters::max));
    builtin(environment, "min", Value::from_function(filters::min));
    builtin(environment, "reject", Value::from_function(filters::reject));
    builtin(environment, "reverse", Value::from_function(filters::reverse));
    builtin(environment, "select", Value::from_function(filters::select));
    builtin(environment, "sort", Value::from_function(filters::sort));
    builtin(environment, "split", Value::from_function(filters::split));
    builtin(environment, "string", Value::from_function(filters::string));
    builtin(environment, "title", Value::from_function(filters::title));
    builtin(environment, "trim", Value::from_function(filters::trim));
    builtin(environment, "unique", Value::from_function(filters::unique));
    builtin(environment, "upper", Value::from_function(filters::upper));
    // minijinja's own two mark their result as escaped when a part of it was.
    environment.add_filter("join", join);
    environment.add_filter("replace", replace);

    environment.add_filter("b64", |text: String| escape::base64(text.as_bytes()));
    environment.add_filter("dashes", |text: String| text.replace(':', "-"));
    environment.add_filter("quote", move |text: String| quote(kind, &text));
    environment.add_filter("json", move |value: Value| json(kind, &value));
    environment.add_filter("yaml", move |value: Value| json(kind, &value));
    environment.add_filter("xml", move |text: String| xml(kind, &text));

    environment.add_test("defined", tests::is_defined);
    test(environment, "divisibleby", Value::from_function(tests::is_divisibleby));
    test(environment, "endingwith", Value::from_function(tests::is_endingwith));
    test(environment, "eq", Value::from_function(tests::is_eq));
    test(environment, "equalto", Value::from_function(tests::is_eq));
    test(environment, "even", Value::from_function(tests::is_even));
    test(environment, "false", Value::from_function(tests::is_false));
    test(environment, "in", Value::from_function(tests::is_in));
    test(environment, "mapping", Value::from_function(tests::is_mapping));
    test(environment, "ne", Value::from_function(tests::is_ne));
    test(environment, "none", Value::from_function(tests::is_none));
    test(environment, "number", Value::from_function(tests::is_number));
    test(environment, "odd", Value::from_function(tests::is_odd));
    test(environment, "sequence", Value::from_function(tests::is_sequence));
    test(environment, "startingwith", Value::from_function(tests::is_startingwith));
    test(environment, "string", Value::from_function(tests::is_string));
    test(environment, "true", Value::from_function(tests::is_true));
    environment.add_test("undefined", tests::is_undefined);

    environment.add_function("range", functions::range);
}

/// The members one after the other; the result is checked like any other value.
fn join(state: &State<'_, '_>, value: Value, between: Option<String>) -> Result<String, Error> {
    let between = between.unwrap_or_default();
    there(&value)?;
    if value.kind() == ValueKind::String {
        return Err(refusal(
            "`join` needs a list and got one text",
            "split it first: | split(',') | join(' ')",
        ));
    }
    let mut text = String::new();
    for (index, member) in value.try_iter()?.enumerate() {
        if index > 0 {
            text.push_str(&between);
        }
        there(&member)?;
        let member = member.to_string();
        text.push_str(&member);
        charge(state, between.len() + member.len())?;
    }
    Ok(text)
}

fn replace(state: &State<'_, '_>, text: String, from: String, to: String) -> Result<String, Error> {
    charge(state, text.len() + text.matches(&*from).count().saturating_mul(to.len()))?;
    Ok(text.replace(&*from, &to))
}

/// Adds a filter of minijinja, but one that never takes a missing value for an empty one.
fn builtin(environment: &mut Environment<'static>, name: &'static str, filter: Value) {
    environment.add_filter(
        name,
        move |state: &mut State<'_, '_>, value: Value, more: Rest<Value>, named: Kwargs| {
            there(&value)?;
            let mut arguments: Vec<Value> = std::iter::once(value).chain(more.0).collect();
            if named.args().next().is_some() {
                arguments.push(named.into());
            }
            filter.call(state, &arguments)
        },
    );
}

/// Adds a test of minijinja, but one that is never silently false of a missing value.
fn test(environment: &mut Environment<'static>, name: &'static str, test: Value) {
    environment.add_test(name, move |state: &mut State<'_, '_>, value: Value, more: Rest<Value>| {
        there(&value)?;
        more.iter().try_for_each(there)?;
        let arguments: Vec<Value> = std::iter::once(value).chain(more.0).collect();
        test.call(state, &arguments).map(|told| told.is_true())
    });
}

/// Pays for bytes before they are made, at minijinja's own rate.
fn charge(state: &State<'_, '_>, bytes: usize) -> Result<(), Error> {
    state.consume_fuel(bytes as u64 / 64 + 1)
}

/// One word for a shell. A line stays a line: what reads the file may not be the shell.
fn quote(kind: TemplateKind, text: &str) -> Result<Value, Error> {
    let quoted = escape::shell(text);
    match kind {
        TemplateKind::UserData => {
            escape::one_line(text)?;
            // Single quotes are part of a script here, not of YAML.
            Ok(Value::from_safe_string(quoted))
        }
        // A NUL cannot stand in a word of a shell, nor in its script.
        TemplateKind::Shell if text.contains('\0') => {
            Err(refusal("the value has a NUL in it, which no shell can carry", "take it out"))
        }
        TemplateKind::Shell => Ok(Value::from_safe_string(quoted)),
        _ => Ok(Value::from(quoted)),
    }
}

/// A whole value as JSON, which is YAML too.
fn json(kind: TemplateKind, value: &Value) -> Result<Value, Error> {
    let text = escape::json(value)?;
    Ok(match kind {
        TemplateKind::Json | TemplateKind::UserData => Value::from_safe_string(text),
        _ => Value::from(text),
    })
}

/// XML text; it is not escaped again where everything is.
fn xml(kind: TemplateKind, text: &str) -> Result<Value, Error> {
    let text = escape::xml(text)?;
    Ok(match kind {
        TemplateKind::Unattend => Value::from_safe_string(text),
        _ => Value::from(text),
    })
}
