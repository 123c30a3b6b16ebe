//! `reveille host …`

use super::api::{Api, print_json, print_removed, print_unchanged, print_written, resource_of};
use super::table;
use crate::cli::{Global, Host, HostFields, Output};
use crate::failure::{Exit, Failure};
use crate::out::putln;
use serde_json::{Map, Value, json};

pub(crate) async fn command(global: &Global, command: Host) -> Result<(), Failure> {
    let api = Api::new(global);
    match command {
        Host::AcceptChange(asked) => super::identity::accept(global, &api, asked).await,
        Host::Adopt(asked) => super::machine::adopt(global, &api, asked).await,
        Host::Import(asked) => super::host_import::command(global, &api, asked).await,
        Host::Power(asked) => super::orders::power(global, &Api::patient(global), asked).await,
        Host::Order(order) => super::orders::command(global, &api, order).await,
        // It ends with an exit code of its own: `main` has it.
        Host::Watch(asked) => super::watch::command(global, &asked).await.map(drop),
        Host::List => list(global, &api).await,
        Host::Get { host } => {
            let document = api.get(&format!("hosts/{}", api.escape(&host))).await?.body;
            show(global, &document);
            Ok(())
        }
        Host::Add { name, fields } => {
            if fields.mac.is_empty()
                && fields.mac_add.is_empty()
                && fields.uuid.is_none()
                && fields.serial.is_none()
            {
                return Err(Failure::new(
                    "R-CLI-01",
                    format!("cannot add host `{name}` without an identity"),
                )
                .fix("give --mac, --uuid or --serial")
                .exit(Exit::Usage));
            }
            let document = merged(json!({ "name": name.as_str(), "match": {} }), &fields);
            let answer = api.create(&format!("hosts/{name}"), &document, fields.dry_run).await?;
            print_written(global, &answer, fields.dry_run, "added");
            Ok(())
        }
        Host::Set { name, fields } => {
            let path = format!("hosts/{name}");
            let current = api.get(&path).await?;
            let document = merged(resource_of(&current.body), &fields);
            if document == resource_of(&current.body) {
                print_unchanged(global, &current.body);
                return Ok(());
            }
            let answer = api.replace(&path, &document, &current.etag, fields.dry_run).await?;
            print_written(global, &answer, fields.dry_run, "changed");
            Ok(())
        }
        Host::Rm { name } => {
            let path = format!("hosts/{name}");
            let current = api.get(&path).await?;
            let answer = api.delete(&path, &current.etag).await?;
            print_removed(global, name.as_str(), &answer);
            Ok(())
        }
    }
}

async fn list(global: &Global, api: &Api) -> Result<(), Failure> {
    let hosts = api.list("hosts").await?;
    table::print_list(
        global,
        &hosts,
        &[
            ("HOST", |host| table::cell(host, "/name")),
            ("MAC", |host| table::cell(host, "/match/mac")),
            ("UUID", |host| table::cell(host, "/match/uuid")),
            ("IMAGE", |host| match host.pointer("/image_version").and_then(Value::as_str) {
                Some(version) => format!("{}@{version}", table::cell(host, "/image")),
                None => table::cell(host, "/image"),
            }),
            ("GROUP", |host| table::cell(host, "/group")),
            ("STAGE", |host| table::cell(host, "/life/stage")),
            ("OWNER", |host| table::cell(host, "/managed_by")),
        ],
    );
    Ok(())
}

fn merged(mut document: Value, fields: &HostFields) -> Value {
    if let Some(host) = document.as_object_mut() {
        let identity = host.entry("match").or_insert_with(|| json!({}));
        if let Some(identity) = identity.as_object_mut() {
            set_identity(identity, fields);
        }
        if let Some(image) = &fields.image {
            host.insert("image".into(), json!(image.name.as_str()));
            match &image.version {
                Some(version) => drop(host.insert("image_version".into(), json!(version.as_str()))),
                None => drop(host.remove("image_version")),
            }
        }
        if let Some(loader) = &fields.loader {
            host.insert("loader".into(), json!(loader));
        }
        if let Some(template) = &fields.template {
            host.insert("template".into(), json!(template.as_str()));
        }
        match &fields.group {
            Some(group) if group.as_str() == "none" => drop(host.remove("group")),
            Some(group) => drop(host.insert("group".into(), json!(group.as_str()))),
            None => {}
        }
        if let Some(location) = &fields.location {
            host.insert("location".into(), json!(location));
        }
        super::policy::extend(host, "labels", &fields.labels);
        super::policy::extend(host, "params", &fields.params);
        if !fields.kernel_args.is_empty() {
            host.insert("kernel_args_append".into(), json!(fields.kernel_args));
        }
        super::policy::set_bundles(host, &fields.bundles);
    }
    document
}

fn set_identity(identity: &mut Map<String, Value>, fields: &HostFields) {
    match fields.mac.as_slice() {
        [] => {}
        [one] => drop(identity.insert("mac".into(), json!(one))),
        many => drop(identity.insert("mac".into(), json!(many))),
    }
    if !fields.mac_add.is_empty() {
        super::identity::add_macs(identity, fields.mac_add.iter().map(ToString::to_string));
    }
    if let Some(uuid) = fields.uuid {
        identity.insert("uuid".into(), json!(uuid));
    }
    if let Some(serial) = &fields.serial {
        identity.insert("serial".into(), json!(serial));
    }
}

fn show(global: &Global, document: &Value) {
    if global.output == Output::Json {
        print_json(document);
        return;
    }
    for (label, pointer) in [
        ("name", "/name"),
        ("mac", "/match/mac"),
        ("uuid", "/match/uuid"),
        ("serial", "/match/serial"),
        ("group", "/group"),
        ("image", "/image"),
        ("version", "/image_version"),
        ("loader", "/loader"),
        ("kernel args", "/kernel_args_append"),
        ("template", "/template"),
        ("bundles", "/bundles"),
        ("and bundles", "/bundles_append"),
        ("location", "/location"),
        ("labels", "/labels"),
        ("params", "/params"),
        ("owner", "/managed_by"),
        ("revision", "/revision"),
        ("first seen", "/first_seen"),
        ("last seen", "/last_seen"),
        ("address", "/address"),
    ] {
        let value = table::cell(document, pointer);
        if value != "-" {
            putln!("{label:<12} {value}");
        }
    }
    super::identity::show_changes(document);
    if let Some(life) = document.pointer("/life") {
        super::orders::show(life, "");
    }
    for run in document.pointer("/bundle_runs").and_then(Value::as_array).into_iter().flatten() {
        putln!("{:<12} {}", "script", super::bundle::line(run));
    }
}
