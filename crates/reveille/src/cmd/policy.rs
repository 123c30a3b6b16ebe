//! `reveille group …` and `reveille rule …`

use super::api::{Api, print_json, print_removed, print_unchanged, print_written, resource_of};
use super::table;
use crate::cli::{Global, Group, GroupFields, ItemFields, Output, Rule, RuleFields};
use crate::failure::{Exit, Failure};
use crate::out::{put, putln};
use serde_json::{Map, Value, json};

/// Machines shown by name; programs get all.
const SHOWN_MAX: usize = 20;

pub(crate) async fn group(global: &Global, command: Group) -> Result<(), Failure> {
    let api = Api::new(global);
    match command {
        Group::List => {
            let groups = api.list("groups").await?;
            table::print_list(
                global,
                &groups,
                &[
                    ("GROUP", |group| table::cell(group, "/name")),
                    ("PARENT", |group| table::cell(group, "/parent")),
                    ("HOSTS", |group| table::cell(group, "/hosts")),
                    ("IMAGE", image),
                    ("TEMPLATE", |group| table::cell(group, "/template")),
                    ("OWNER", |group| table::cell(group, "/managed_by")),
                ],
            );
            Ok(())
        }
        Group::Get { name } => {
            show(global, &api.get(&format!("groups/{name}")).await?.body);
            Ok(())
        }
        Group::Add { name, fields } => {
            let document = with_group(json!({ "name": name.as_str() }), &fields)?;
            let answer = api.create(&format!("groups/{name}"), &document, fields.items.dry_run).await?;
            print_written(global, &answer, fields.items.dry_run, "added");
            Ok(())
        }
        Group::Set { name, fields } => {
            let path = format!("groups/{name}");
            let current = api.get(&path).await?;
            let document = with_group(resource_of(&current.body), &fields)?;
            if document == resource_of(&current.body) {
                print_unchanged(global, &current.body);
                return Ok(());
            }
            let answer = api.replace(&path, &document, &current.etag, fields.items.dry_run).await?;
            print_written(global, &answer, fields.items.dry_run, "changed");
            Ok(())
        }
        Group::Rm { name } => {
            let path = format!("groups/{name}");
            let current = api.get(&path).await?;
            let answer = api.delete(&path, &current.etag).await?;
            print_removed(global, name.as_str(), &answer);
            Ok(())
        }
    }
}

pub(crate) async fn rule(global: &Global, command: Rule) -> Result<(), Failure> {
    let api = Api::new(global);
    match command {
        Rule::List => {
            let rules = api.get("rules").await?.body;
            list(global, &rules);
            Ok(())
        }
        Rule::Get { name } => {
            show(global, &api.get(&format!("rules/{name}")).await?.body);
            Ok(())
        }
        Rule::Add { name, fields } => {
            let document = with_rule(json!({ "name": name.as_str() }), &fields)?;
            let path = staged(&format!("rules/{name}"), fields.staged);
            let answer = api.create(&path, &document, fields.items.dry_run).await?;
            written(global, &api, &answer, &fields, "added").await
        }
        Rule::Set { name, fields } => {
            let path = format!("rules/{name}");
            let current = api.get(&path).await?;
            let document = with_rule(resource_of(&current.body), &fields)?;
            let same = document == resource_of(&current.body);
            if same && (fields.staged || table::cell(&current.body, "/state") == "active") {
                print_unchanged(global, &current.body);
                return Ok(());
            }
            let path = staged(&path, fields.staged);
            let answer = api.replace(&path, &document, &current.etag, fields.items.dry_run).await?;
            written(global, &api, &answer, &fields, "changed").await
        }
        Rule::Rm { name, staged: later, dry_run } => {
            let path = format!("rules/{name}");
            let current = api.get(&path).await?;
            let mut path = staged(&path, later);
            if dry_run {
                path.push_str(if later { "&dry_run=true" } else { "?dry_run=true" });
            }
            let answer = api.delete(&path, &current.etag).await?;
            if dry_run && global.output != Output::Json {
                eprintln!("{name} would be removed");
            } else {
                print_removed(global, name.as_str(), &answer);
            }
            Ok(())
        }
        Rule::Test { name, when } => {
            let query = match (&name, &when) {
                (Some(name), _) => format!("?rule={name}"),
                (None, Some(when)) => format!("?selector={}", api.escape(&when.to_string())),
                (None, None) => String::new(),
            };
            let test = api.get(&format!("rules:test{query}")).await?.body;
            match global.output {
                Output::Json => print_json(&test),
                Output::Table | Output::Otlp => put!("{}", tested(&test, name.is_some() || when.is_some())),
            }
            Ok(())
        }
        Rule::Activate { dry_run } => {
            let path = if dry_run { "rules:activate?dry_run=true" } else { "rules:activate" };
            activated(global, &api.post(path, &json!({})).await?, dry_run);
            Ok(())
        }
        Rule::Rollback { to, dry_run } => {
            let mut query: Vec<String> = to.map(|number| format!("to={number}")).into_iter().collect();
            query.extend(dry_run.then(|| "dry_run=true".to_owned()));
            let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
            activated(global, &api.post(&format!("rules:rollback{query}"), &json!({})).await?, dry_run);
            Ok(())
        }
        Rule::Sets => {
            let sets = api.get("rule-sets").await?.body;
            table::print_list(
                global,
                &sets,
                &[
                    ("SET", |set| table::cell(set, "/set")),
                    ("IN FORCE", |set| match set.pointer("/active").and_then(Value::as_bool) {
                        Some(true) => "yes".to_owned(),
                        _ => "-".to_owned(),
                    }),
                    ("SINCE", |set| table::cell(set, "/activated")),
                    ("BY", |set| table::cell(set, "/by")),
                    ("RULES", |set| table::cell(set, "/rules")),
                ],
            );
            Ok(())
        }
    }
}

fn list(global: &Global, rules: &Value) {
    table::print_list(
        global,
        rules,
        &[
            ("ORDER", |rule| table::cell(rule, "/order")),
            ("RULE", |rule| table::cell(rule, "/name")),
            ("WHEN", |rule| match table::cell(rule, "/when").as_str() {
                "-" => "*".to_owned(),
                when => when.to_owned(),
            }),
            ("SETS", sets),
            ("STATE", |rule| table::cell(rule, "/state")),
            ("OWNER", |rule| table::cell(rule, "/managed_by")),
        ],
    );
    if global.output == Output::Json {
        return;
    }
    let items = rules.pointer("/items").and_then(Value::as_array).into_iter().flatten();
    let mut staged = 0;
    for rule in items {
        staged += usize::from(table::cell(rule, "/state") != "active");
        for finding in rule.pointer("/findings").and_then(Value::as_array).into_iter().flatten() {
            warn(finding);
        }
    }
    if staged > 0 {
        eprintln!("{staged} staged; see reveille rule test, then reveille rule activate");
    }
}

fn warn(finding: &Value) {
    eprintln!("warn {} {}", table::cell(finding, "/code"), table::cell(finding, "/what"));
    eprintln!("  fix  {}", table::cell(finding, "/fix"));
}

/// The items of a rule in short: `image esxi-8, params ntp`.
fn sets(rule: &Value) -> String {
    let mut sets = Vec::new();
    for key in ["image", "loader", "template", "group", "location"] {
        let value = if key == "image" { image(rule) } else { table::cell(rule, &format!("/{key}")) };
        if value != "-" {
            sets.push(format!("{key} {value}"));
        }
    }
    if let Some(params) = rule.pointer("/params").and_then(Value::as_object).filter(|map| !map.is_empty()) {
        let keys: Vec<&str> = params.keys().map(String::as_str).collect();
        sets.push(format!("params {}", keys.join(" ")));
    }
    if rule.pointer("/kernel_args_append").is_some() {
        sets.push("kernel args".to_owned());
    }
    if rule.pointer("/bundles").is_some() {
        sets.push(format!("bundles {}", table::cell(rule, "/bundles")));
    }
    if sets.is_empty() { "-".to_owned() } else { sets.join(", ") }
}

fn image(document: &Value) -> String {
    match document.pointer("/image_version").and_then(Value::as_str) {
        Some(version) => format!("{}@{version}", table::cell(document, "/image")),
        None => table::cell(document, "/image"),
    }
}

/// Says what a rule that was written does to machines.
async fn written(
    global: &Global,
    api: &Api,
    answer: &Value,
    fields: &RuleFields,
    what: &str,
) -> Result<(), Failure> {
    if global.output == Output::Json {
        print_json(answer);
        return Ok(());
    }
    let dry_run = fields.items.dry_run;
    print_written(global, answer, dry_run, if fields.staged { "staged" } else { what });
    if dry_run {
        return Ok(());
    }
    let name = table::cell(answer, "/name");
    let test = api.get(&format!("rules:test?rule={name}")).await?.body;
    eprintln!(
        "it means {} of {} known machines",
        table::cell(&test, "/meant"),
        table::cell(&test, "/machines")
    );
    for finding in test.pointer("/findings").and_then(Value::as_array).into_iter().flatten() {
        if table::cell(finding, "/what").contains(&format!("`{name}`")) {
            warn(finding);
        }
    }
    Ok(())
}

fn tested(test: &Value, asked: bool) -> String {
    let mut text = String::new();
    let array = |pointer: &str| test.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default();
    let machines = table::cell(test, "/machines");
    if asked {
        let names: Vec<String> =
            array("/matches").iter().filter_map(|name| name.as_str().map(str::to_owned)).collect();
        let meant = table::cell(test, "/meant");
        text.push_str(&format!("means        {meant} of {machines} known machines\n"));
        for name in names.iter().take(SHOWN_MAX) {
            text.push_str(&format!("             {name}\n"));
        }
        if names.len() > SHOWN_MAX {
            text.push_str(&format!("             and {} more\n", names.len() - SHOWN_MAX));
        }
    }
    let changes = array("/changes");
    text.push_str(&format!("would change {} of {machines} known machines\n", changes.len()));
    let rows: Vec<Vec<String>> = changes.iter().take(SHOWN_MAX).map(change_row).collect();
    if !rows.is_empty() {
        text.push_str(&table::render(&["MACHINE", "BOOTS", "WOULD BOOT", "VALUES"], &rows));
    }
    if changes.len() > SHOWN_MAX {
        text.push_str(&format!("and {} more\n", changes.len() - SHOWN_MAX));
    }
    for finding in array("/findings") {
        text.push_str(&format!(
            "warn {} {}\n  fix  {}\n",
            table::cell(&finding, "/code"),
            table::cell(&finding, "/what"),
            table::cell(&finding, "/fix")
        ));
    }
    text
}

fn change_row(change: &Value) -> Vec<String> {
    ["/machine", "/now", "/then", "/values"].iter().map(|pointer| table::cell(change, pointer)).collect()
}

fn activated(global: &Global, answer: &Value, dry_run: bool) {
    if global.output == Output::Json {
        print_json(answer);
        return;
    }
    let changed = table::cell(answer, "/changed");
    if changed.is_empty() {
        eprintln!("unchanged");
        return;
    }
    put!("{}", tested(answer.pointer("/test").unwrap_or(&Value::Null), false));
    let state = match dry_run {
        true => "would be in force".to_owned(),
        false => format!("in force after {} ms", table::cell(answer, "/in_force_ms")),
    };
    eprintln!(
        "set {} {state}, {} rules; changed: {changed}",
        table::cell(answer, "/set"),
        table::cell(answer, "/rules")
    );
}

fn staged(path: &str, staged: bool) -> String {
    if staged { format!("{path}?staged=true") } else { path.to_owned() }
}

fn with_group(mut document: Value, fields: &GroupFields) -> Result<Value, Failure> {
    if let Some(group) = document.as_object_mut() {
        if let Some(parent) = &fields.parent {
            group.insert("parent".into(), json!(parent.as_str()));
        }
        extend(group, "labels", &fields.labels);
        items(group, &fields.items)?;
    }
    Ok(document)
}

fn with_rule(mut document: Value, fields: &RuleFields) -> Result<Value, Failure> {
    if let Some(rule) = document.as_object_mut() {
        if let Some(order) = fields.order {
            rule.insert("order".into(), json!(order));
        }
        match &fields.when {
            Some(when) if when.is_everything() => drop(rule.remove("when")),
            Some(when) => drop(rule.insert("when".into(), json!(when.to_string()))),
            None => {}
        }
        if let Some(group) = &fields.group {
            rule.insert("group".into(), json!(group.as_str()));
        }
        items(rule, &fields.items)?;
    }
    Ok(document)
}

fn items(object: &mut Map<String, Value>, fields: &ItemFields) -> Result<(), Failure> {
    for field in &fields.unset {
        let gone = match field.split_once('.') {
            Some((map, key)) => {
                let map_of = object.get_mut(map).and_then(Value::as_object_mut);
                map_of.and_then(|map| map.remove(key)).is_some()
            }
            None if field == "name" => false,
            None => {
                if field == "image" {
                    object.remove("image_version");
                }
                object.remove(field.as_str()).is_some()
            }
        };
        if !gone {
            return Err(Failure::new("R-CLI-03", format!("there is no `{field}` to take out"))
                .fix("write a field it has, as image, when or params.ntp")
                .exit(Exit::Usage));
        }
    }
    if let Some(image) = &fields.image {
        object.insert("image".into(), json!(image.name.as_str()));
        match &image.version {
            Some(version) => drop(object.insert("image_version".into(), json!(version.as_str()))),
            None => drop(object.remove("image_version")),
        }
    }
    let texts = [
        ("loader", fields.loader.as_deref()),
        ("template", fields.template.as_ref().map(types::resource::Name::as_str)),
        ("location", fields.location.as_deref()),
        ("description", fields.description.as_deref()),
    ];
    for (key, value) in texts.into_iter().filter_map(|(key, value)| Some((key, value?))) {
        object.insert(key.into(), json!(value));
    }
    extend(object, "params", &fields.params);
    if !fields.kernel_args.is_empty() {
        object.insert("kernel_args_append".into(), json!(fields.kernel_args));
    }
    set_bundles(object, &fields.bundles);
    Ok(())
}

/// The list in place of the one that was there; `none` is the empty one.
pub(super) fn set_bundles(object: &mut Map<String, Value>, names: &[types::resource::Name]) {
    let names: Vec<&str> = names.iter().map(types::resource::Name::as_str).collect();
    match names.as_slice() {
        [] => {}
        ["none"] => drop(object.insert("bundles".into(), json!([]))),
        names => drop(object.insert("bundles".into(), json!(names))),
    }
}

/// Adds pairs to a map that may not be there yet.
pub(super) fn extend(object: &mut Map<String, Value>, key: &str, pairs: &[(String, String)]) {
    if pairs.is_empty() {
        return;
    }
    let map = object.entry(key).or_insert_with(|| json!({}));
    if let Some(map) = map.as_object_mut() {
        map.extend(pairs.iter().map(|(key, value)| (key.clone(), json!(value))));
    }
}

fn show(global: &Global, document: &Value) {
    if global.output == Output::Json {
        print_json(document);
        return;
    }
    for (label, pointer) in [
        ("name", "/name"),
        ("order", "/order"),
        ("when", "/when"),
        ("state", "/state"),
        ("parent", "/parent"),
        ("children", "/children"),
        ("hosts", "/hosts"),
        ("group", "/group"),
        ("loader", "/loader"),
        ("template", "/template"),
        ("location", "/location"),
        ("params", "/params"),
        ("labels", "/labels"),
        ("kernel args", "/kernel_args_append"),
        ("bundles", "/bundles"),
        ("and bundles", "/bundles_append"),
        ("description", "/description"),
        ("owner", "/managed_by"),
        ("revision", "/revision"),
    ] {
        let value = table::cell(document, pointer);
        if value != "-" {
            putln!("{label:<12} {value}");
        }
        if pointer == "/group" && image(document) != "-" {
            putln!("{:<12} {}", "image", image(document));
        }
    }
    for finding in document.pointer("/findings").and_then(Value::as_array).into_iter().flatten() {
        warn(finding);
    }
}
