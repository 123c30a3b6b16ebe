//! What machines say of themselves against what is recorded: `machine get`, `machine conflicts`, `host accept-change`.

use super::api::{Api, print_json, print_unchanged, print_written, resource_of};
use super::table;
use crate::cli::{AcceptChange, Global, Output};
use crate::failure::{Exit, Failure};
use crate::out::putln;
use serde_json::{Map, Value, json};

/// Records what a machine of the host says now.
pub(crate) async fn accept(global: &Global, api: &Api, asked: AcceptChange) -> Result<(), Failure> {
    let current = api.get(&format!("hosts/{}", api.escape(&asked.host))).await?;
    let name = table::cell(&current.body, "/name");
    let all: Vec<&Value> = items(&current.body, "/identity_changes").collect();
    let mut machines: Vec<String> = all.iter().map(|change| table::cell(change, "/mac")).collect();
    machines.sort();
    machines.dedup();
    let machine = match (asked.machine, machines.as_slice()) {
        (_, []) => {
            print_unchanged(global, &current.body);
            return Ok(());
        }
        (Some(machine), _) if machines.contains(&machine.to_string()) => machine.to_string(),
        (Some(machine), _) => {
            return Err(Failure::new(
                "R-MAC-05",
                format!("machine {machine} does not differ from host `{name}`"),
            )
            .fix(format!("those that do: {}", machines.join(", ")))
            .exit(Exit::NotFound));
        }
        (None, [one]) => one.clone(),
        (None, several) => {
            return Err(Failure::new("R-MAC-06", format!("several machines differ from host `{name}`"))
                .cause(several.join(", "))
                .fix("look at them with reveille machine get, and name one with --machine")
                .exit(Exit::Usage));
        }
    };
    let mut document = resource_of(&current.body);
    let identity = document.as_object_mut().map(|host| host.entry("match").or_insert_with(|| json!({})));
    if let Some(identity) = identity.and_then(Value::as_object_mut) {
        for change in all.iter().filter(|change| table::cell(change, "/mac") == machine) {
            let value = table::cell(change, "/value");
            match table::cell(change, "/term").as_str() {
                "mac" => {
                    if asked.drop_old_macs {
                        identity.remove("mac");
                    }
                    add_macs(identity, std::iter::once(value));
                }
                term => drop(identity.insert(term.to_owned(), json!(value))),
            }
        }
    }
    let answer = api.replace(&format!("hosts/{name}"), &document, &current.etag, asked.dry_run).await?;
    print_written(global, &answer, asked.dry_run, "changed");
    Ok(())
}

/// Adds hardware addresses to those of a `match`.
pub(crate) fn add_macs(identity: &mut Map<String, Value>, macs: impl Iterator<Item = String>) {
    let mut all: Vec<Value> = match identity.remove("mac") {
        Some(Value::Array(list)) => list,
        Some(one) => vec![one],
        None => Vec::new(),
    };
    for mac in macs.map(Value::from) {
        if !all.contains(&mac) {
            all.push(mac);
        }
    }
    let whole = match all.as_slice() {
        [one] => one.clone(),
        _ => Value::Array(all),
    };
    identity.insert("mac".to_owned(), whole);
}

/// In what a host's machines differ from its record, below the record.
pub(crate) fn show_changes(host: &Value) {
    let name = table::cell(host, "/name");
    for (at, change) in items(host, "/identity_changes").enumerate() {
        let cell = |pointer| table::cell(change, pointer);
        let held = if cell("/holds") == "true" { "; it erases nothing until then" } else { "" };
        putln!(
            "{:<12} machine {} has {} {} since {}{held}",
            if at == 0 { "changed" } else { "" },
            cell("/mac"),
            cell("/term"),
            cell("/value"),
            cell("/since")
        );
    }
    if items(host, "/identity_changes").next().is_some() {
        putln!("{:<12} if that is right: reveille host accept-change {name}", "");
    }
}

/// Everything known of one machine.
pub(crate) fn show_machine(global: &Global, machine: &Value) {
    if global.output == Output::Json {
        return print_json(machine);
    }
    for (label, pointer) in [
        ("mac", "/mac"),
        ("host", "/host"),
        ("code", "/code"),
        ("first seen", "/first_seen"),
        ("last seen", "/last_seen"),
    ] {
        let value = table::cell(machine, pointer);
        if value != "-" {
            putln!("{label:<12} {value}");
        }
    }
    for name in machine.pointer("/facts").and_then(Value::as_object).into_iter().flat_map(Map::keys) {
        if name != "mac" {
            putln!("{name:<12} {}", table::cell(machine, &format!("/facts/{name}")));
        }
    }
    for (at, alarm) in items(machine, "/alarms").enumerate() {
        let label = if at == 0 { "alarms" } else { "" };
        putln!(
            "{label:<12} {} {}: {}",
            table::cell(alarm, "/kind"),
            table::cell(alarm, "/subject"),
            table::cell(alarm, "/detail")
        );
        putln!("{:<12} {}", "", table::cell(alarm, "/fix"));
    }
}

/// What is wrong with the identity of machines.
pub(crate) fn show_alarms(global: &Global, list: &Value) {
    table::print_list(
        global,
        list,
        &[
            ("KIND", |alarm| table::cell(alarm, "/kind")),
            ("SUBJECT", |alarm| table::cell(alarm, "/subject")),
            ("HOSTS", |alarm| table::cell(alarm, "/hosts")),
            ("HELD", |alarm| table::cell(alarm, "/holds")),
            ("SINCE", |alarm| table::cell(alarm, "/since")),
            ("DETAIL", |alarm| table::cell(alarm, "/detail")),
        ],
    );
    if global.output == Output::Table {
        let mut told: Vec<String> = items(list, "/items").map(|alarm| table::cell(alarm, "/fix")).collect();
        told.sort();
        told.dedup();
        told.iter().for_each(|fix| eprintln!("hint: {fix}"));
    }
}

fn items<'a>(document: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    document.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_added_once_and_in_the_shorter_form() {
        let added = |before: Value, macs: &[&str]| {
            let mut identity = before.as_object().cloned().unwrap();
            add_macs(&mut identity, macs.iter().map(ToString::to_string));
            Value::Object(identity)
        };
        assert_eq!(added(json!({}), &["a"]), json!({ "mac": "a" }));
        assert_eq!(added(json!({ "mac": "a" }), &["a"]), json!({ "mac": "a" }));
        assert_eq!(
            added(json!({ "mac": "a", "uuid": "u" }), &["b"]),
            json!({ "mac": ["a", "b"], "uuid": "u" })
        );
        assert_eq!(added(json!({ "mac": ["a", "b"] }), &["b", "c"]), json!({ "mac": ["a", "b", "c"] }));
    }
}
