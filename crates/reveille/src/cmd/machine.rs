//! `reveille machine …` and `reveille host adopt`

use super::api::{Api, print_json};
use super::table;
use crate::cli::{Adopt, Global, Machine, Output};
use crate::failure::{Exit, Failure};
use serde_json::{Value, json};

pub(crate) async fn command(global: &Global, asked: Machine) -> Result<(), Failure> {
    let api = Api::new(global);
    match asked {
        Machine::List { selector } => {
            let query = selector.map(|selector| format!("?where={}", api.escape(&selector.to_string())));
            let machines = api.get(&format!("machines{}", query.unwrap_or_default())).await?.body;
            table::print_list(
                global,
                &machines,
                &[
                    ("CODE", |machine| table::cell(machine, "/code")),
                    ("MAC", |machine| table::cell(machine, "/mac")),
                    ("VENDOR", |machine| table::cell(machine, "/vendor")),
                    ("MODEL", |machine| table::cell(machine, "/model")),
                    ("SERIAL", |machine| table::cell(machine, "/serial")),
                    ("FIRMWARE", |machine| table::cell(machine, "/firmware")),
                    ("VIA", |machine| table::cell(machine, "/via")),
                    ("LAST SEEN", |machine| table::cell(machine, "/last_seen")),
                    ("NOTE", |machine| match table::cell(machine, "/ignored").as_str() {
                        "true" => "ignored".to_owned(),
                        _ => "-".to_owned(),
                    }),
                ],
            );
            Ok(())
        }
        Machine::Get { machine } => {
            let mac = address_of(&api, &machine).await?;
            super::identity::show_machine(global, &api.get(&format!("machines/{mac}")).await?.body);
            Ok(())
        }
        Machine::Conflicts => {
            super::identity::show_alarms(global, &api.get("machines:conflicts").await?.body);
            Ok(())
        }
        Machine::Forget { machine } => {
            let mac = address_of(&api, &machine).await?;
            let answer = api.remove(&format!("machines/{mac}")).await?;
            match global.output {
                Output::Json => print_json(&answer),
                Output::Table | Output::Otlp => {
                    eprintln!("{mac} is forgotten; it is asked anew when it comes again")
                }
            }
            Ok(())
        }
        Machine::Ignore { machine, oui } => {
            let octets = match found(&api, &machine).await {
                Ok(found) => table::cell(&found, "/mac"),
                // It need not have been seen.
                Err(_) if machine.contains([':', '-']) && !machine.starts_with("mac:") => machine,
                Err(failure) => return Err(failure),
            };
            let octets = if oui { octets.chars().take(8).collect() } else { octets };
            let answer = api.put(&format!("ignored/{octets}"), &json!({})).await?;
            match global.output {
                Output::Json => print_json(&answer),
                Output::Table | Output::Otlp => {
                    eprintln!("{octets} is ignored; to end that: reveille machine heed {octets}")
                }
            }
            Ok(())
        }
        Machine::Heed { octets } => {
            let answer = api.remove(&format!("ignored/{}", api.escape(&octets))).await?;
            match global.output {
                Output::Json => print_json(&answer),
                Output::Table | Output::Otlp => eprintln!("{octets} is heeded again"),
            }
            Ok(())
        }
        Machine::Ignored => {
            let list = api.get("ignored").await?.body;
            table::print_list(
                global,
                &list,
                &[
                    ("OCTETS", |ignored| table::cell(ignored, "/octets")),
                    ("SINCE", |ignored| table::cell(ignored, "/since")),
                    ("BY", |ignored| table::cell(ignored, "/by")),
                ],
            );
            Ok(())
        }
    }
}

/// The hardware address itself, or that of a code.
async fn address_of(api: &Api, named: &str) -> Result<types::MacAddr, Failure> {
    if let Ok(mac) = named.strip_prefix("mac:").unwrap_or(named).parse() {
        return Ok(mac);
    }
    let found = table::cell(&found(api, named).await?, "/mac");
    found
        .parse()
        .map_err(|error| Failure::new("R-MAC-02", format!("`{found}` is no hardware address")).cause(error))
}

/// The machine of a code or a hardware address.
async fn found(api: &Api, named: &str) -> Result<Value, Failure> {
    let machines = api.get("machines").await?.body;
    let plain = |text: &str| text.to_ascii_lowercase().replace(['-', ':'], "");
    let wanted = plain(named.strip_prefix("mac:").unwrap_or(named));
    let mut items = machines.pointer("/items").and_then(Value::as_array).into_iter().flatten();
    items
        .find(|machine| {
            plain(&table::cell(machine, "/mac")) == wanted || plain(&table::cell(machine, "/code")) == wanted
        })
        .cloned()
        .ok_or_else(|| {
            Failure::new("R-MAC-02", format!("no unknown machine is called `{named}`"))
                .fix("reveille machine list shows codes and hardware addresses")
                .exit(Exit::NotFound)
        })
}

/// Records one machine, or all that a selector means. Each stands by itself: one that cannot be recorded keeps no other back.
pub(crate) async fn adopt(global: &Global, api: &Api, asked: Adopt) -> Result<(), Failure> {
    let machines: Vec<Value> = match (&asked.machine, &asked.selector) {
        (Some(named), _) => vec![found(api, named).await?],
        (None, Some(selector)) => {
            let list = api.get(&format!("machines?where={}", api.escape(&selector.to_string()))).await?.body;
            let items = list.pointer("/items").and_then(Value::as_array).into_iter().flatten();
            items.filter(|machine| table::cell(machine, "/ignored") != "true").cloned().collect()
        }
        (None, None) => Vec::new(),
    };
    if machines.is_empty() {
        return Err(Failure::new("R-MAC-03", "no unknown machine is meant").exit(Exit::NotFound));
    }
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for machine in &machines {
        let name = match &asked.name {
            Some(name) => name.to_string(),
            None => made_name(&asked.prefix, machine),
        };
        let document = document(&name, machine, &asked);
        match api.create(&format!("hosts/{name}"), &document, asked.dry_run).await {
            Ok(answer) => {
                if global.output != Output::Json {
                    let would = if asked.dry_run { "would be " } else { "" };
                    eprintln!("{name} {would}recorded: {}", table::cell(machine, "/mac"));
                }
                done.push(answer);
            }
            Err(failure) => {
                eprintln!("{failure}");
                failed.push(name);
            }
        }
    }
    if global.output == Output::Json {
        print_json(&json!({ "items": done }));
    }
    match failed.is_empty() {
        true => Ok(()),
        false => Err(Failure::new(
            "R-MAC-04",
            format!("{} of {} machines were not recorded", failed.len(), machines.len()),
        )
        .cause(failed.join(", "))
        .exit(if done.is_empty() { Exit::Failed } else { Exit::Partly })),
    }
}

/// A name of what the machine says: its serial number, or its hardware address.
fn made_name(prefix: &str, machine: &Value) -> String {
    let serial = table::cell(machine, "/serial");
    let own = if serial == "-" { table::cell(machine, "/mac").replace(':', "") } else { serial };
    let folded: String = format!("{prefix}{own}")
        .to_ascii_lowercase()
        .chars()
        .map(|char| if char.is_ascii_alphanumeric() { char } else { '-' })
        .collect();
    folded.trim_matches('-').chars().take(63).collect::<String>().trim_end_matches('-').to_owned()
}

fn document(name: &str, machine: &Value, asked: &Adopt) -> Value {
    let mut identity = json!({ "mac": table::cell(machine, "/mac") });
    if let (Some(uuid), Some(identity)) = (machine.pointer("/uuid"), identity.as_object_mut()) {
        identity.insert("uuid".into(), uuid.clone());
    }
    let mut document = json!({ "name": name, "match": identity });
    if let Some(host) = document.as_object_mut() {
        if let Some(group) = &asked.group {
            host.insert("group".into(), json!(group.as_str()));
        }
        if let Some(image) = &asked.image {
            host.insert("image".into(), json!(image.name.as_str()));
            if let Some(version) = &image.version {
                host.insert("image_version".into(), json!(version.as_str()));
            }
        }
    }
    document
}
