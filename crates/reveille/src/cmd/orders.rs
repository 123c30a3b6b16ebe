//! Orders for hosts.

use super::api::{Api, print_json};
use super::table;
use crate::cli::{Expiry, Global, HostOrder, ImageRef, Output, Power};
use crate::failure::Failure;
use crate::out::putln;
use admin::view::{Order, OrderRequest};
use serde_json::{Value, json};

pub(crate) async fn command(global: &Global, api: &Api, asked: HostOrder) -> Result<(), Failure> {
    let (host, order) = order_of(asked);
    let request = OrderRequest { by: who(), order };
    let body = serde_json::to_value(&request)
        .map_err(|error| Failure::new("R-CLI-05", "the order has no JSON form").cause(error))?;
    let life = api.post(&format!("hosts/{}/orders", api.escape(&host)), &body).await?;
    if global.output == Output::Json {
        print_json(&life);
    } else {
        eprintln!("{host}");
        show(&life, "");
    }
    Ok(())
}

fn order_of(asked: HostOrder) -> (String, Order) {
    let secs = |expiry: Expiry| match expiry {
        Expiry::After(time) => Some(time.as_secs()),
        Expiry::Never => None,
    };
    match asked {
        HostOrder::Arm { host, image, expires, retries } => {
            let image = image.map(|image| image.to_string());
            (host, Order::Arm { image, expires_secs: secs(expires), retries })
        }
        HostOrder::Disarm { host, running } => (host, Order::Disarm { running }),
        HostOrder::Boot { host, cancel: true, .. } => (host, Order::CancelOnce {}),
        HostOrder::Boot { host, image, arm, expires, retries, .. } => {
            let image = image.as_ref().map(text_of);
            (host, Order::BootOnce { image, arm, expires_secs: secs(expires), retries })
        }
        HostOrder::Quarantine { host, reason, time } => {
            (host, Order::Quarantine { reason, secs: time.and_then(secs) })
        }
        HostOrder::Release { host } => (host, Order::Release {}),
        HostOrder::Lock { host, reason } => (host, Order::Lock { reason }),
        HostOrder::Unlock { host } => (host, Order::Unlock {}),
        HostOrder::Installed { host, image } => (host, Order::Installed { image: text_of(&image) }),
        HostOrder::Forget { host } => (host, Order::Forget {}),
    }
}

pub(super) fn text_of(image: &ImageRef) -> String {
    match &image.version {
        Some(version) => format!("{}@{version}", image.name),
        None => image.name.to_string(),
    }
}

/// Whoever called, behind `sudo` too.
pub(super) fn who() -> Option<String> {
    ["SUDO_USER", "USER", "LOGNAME"]
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|name| !name.is_empty() && name.len() <= 128)
}

/// What is remembered of a host, line by line.
pub(super) fn show(life: &Value, indent: &str) {
    let stage = table::cell(life, "/stage");
    putln!("{indent}{:<12} {stage} since {}", "stage", table::cell(life, "/since"));
    for (label, pointer) in
        [("armed", "/armed"), ("next boot", "/once"), ("quarantine", "/quarantine"), ("lock", "/lock")]
    {
        let Some(order) = life.pointer(pointer) else { continue };
        let what = match table::cell(order, "/what").as_str() {
            "-" => "for any image".to_owned(),
            what => what.to_owned(),
        };
        let until = match table::cell(order, "/expires").as_str() {
            "-" => String::new(),
            until => format!(", until {until}"),
        };
        let by = table::cell(order, "/by");
        putln!("{indent}{label:<12} {what}, by {by} at {}{until}", table::cell(order, "/at"));
    }
    for (label, pointer) in [("installed", "/installed"), ("last boot", "/last_boot")] {
        let Some(boot) = life.pointer(pointer) else { continue };
        let told = match table::cell(boot, "/told").as_str() {
            "-" => String::new(),
            "nobody" => " (nobody said so)".to_owned(),
            told => format!(" (told: {told})"),
        };
        putln!("{indent}{label:<12} {} at {}{told}", table::cell(boot, "/image"), table::cell(boot, "/at"));
    }
    if table::cell(life, "/booted_from_cache") == "true" {
        putln!("{indent}{:<12} booted from its cache", "note");
    }
    let detail = table::cell(life, "/detail");
    if detail != "-" {
        putln!("{indent}{:<12} {detail}", "it said");
    }
}

/// `host power`.
pub(crate) async fn power(global: &Global, api: &Api, asked: Power) -> Result<(), Failure> {
    let mut request = serde_json::Map::new();
    if asked.action != "state" {
        request.insert("action".into(), json!(asked.action));
    }
    for (key, value) in [("next_boot", asked.next_boot), ("http_uri", asked.http_uri)] {
        request.extend(value.map(|value| (key.to_owned(), json!(value))));
    }
    request.extend(asked.grace.map(|secs| ("grace_secs".to_owned(), json!(secs))));
    for (key, value) in [("keep", asked.keep), ("dry_run", asked.dry_run)] {
        request.extend(value.then(|| (key.to_owned(), json!(true))));
    }
    let path = format!("hosts/{}/power", api.escape(&asked.host));
    let outcome = api.post(&path, &Value::Object(request)).await?;
    if global.output == Output::Json {
        print_json(&outcome);
        return Ok(());
    }
    for (label, pointer) in [
        ("host", "/host"),
        ("by", "/by"),
        ("power", "/system/power"),
        ("model", "/system/model"),
        ("serial", "/system/serial"),
        ("did", "/did"),
        ("would send", "/planned"),
        ("sent to", "/sent_to"),
        ("note", "/notes"),
    ] {
        let value = table::cell(&outcome, pointer);
        if value != "-" && !value.is_empty() {
            putln!("{label:<12} {value}");
        }
    }
    Ok(())
}
