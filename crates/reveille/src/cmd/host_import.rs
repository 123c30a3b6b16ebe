//! `reveille host import`

use super::api::{Api, print_json, resource_of};
use super::table;
use crate::cli::{Global, HostImport, Output};
use crate::failure::{Exit, Failure};
use crate::out::put;
use ::inventory::plan::{Existing, Recorded, Rest, Rules};
use ::inventory::{Format, Found, ImportPlan, Options, plan_import};
use admin::view::HostWrite;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Read;
use types::resource::{Host, Name};

/// Longest list, as its reader has it.
const LIST_BYTES_MAX: u64 = 64 << 20;

pub(crate) async fn command(global: &Global, api: &Api, asked: HostImport) -> Result<(), Failure> {
    let options = Options { groups: asked.groups, ..Options::default() };
    let found = match asked.source.contains("://") {
        true => from_directory(&asked, &options).await?,
        false => from_list(&asked, &options)?,
    };
    let recorded = recorded(api).await?;
    let hosts: Vec<Recorded<'_>> = recorded
        .iter()
        .map(|(host, owner, _)| Recorded {
            host,
            file: (owner != admin::view::MANAGED_BY_API).then_some(owner.as_str()),
        })
        .collect();
    let (images, groups) = (names(api, "images").await?, names(api, "groups").await?);
    let existing = Existing { hosts: &hosts, networks: &[], images: Some(&images), groups: Some(&groups) };
    let plan = plan_import(&existing, found, &Rules { replace_identity: asked.replace_identity });
    if global.output == Output::Table {
        put!("{plan}");
    }
    let rest = if asked.leave_out { Rest::LeaveOut } else { Rest::Stop };
    let writes = plan.writes(rest).map_err(|blocked| {
        Failure::new("R-INV-30", "nothing was recorded")
            .cause(format!(
                "{} entries contradict what is recorded, {} could not be read",
                blocked.conflicts, blocked.refused
            ))
            .fix("correct the list, or record the rest with --leave-out")
            .exit(Exit::Conflict)
    })?;
    let revisions: BTreeMap<&Name, u64> =
        recorded.iter().map(|(host, _, revision)| (&host.name, *revision)).collect();
    let body: Vec<HostWrite> = writes
        .iter()
        .map(|write| HostWrite {
            host: write.host.clone(),
            new: write.new,
            if_revision: revisions.get(&write.host.name).copied(),
        })
        .collect();
    let body = serde_json::to_value(&body)
        .map_err(|error| Failure::new("R-CLI-05", "the hosts have no JSON form").cause(error))?;
    let path = if asked.dry_run { "hosts:batch?dry_run=true" } else { "hosts:batch" };
    let answer = match writes.is_empty() {
        true => json!({ "hosts": 0 }),
        false => api.post(path, &body).await?,
    };
    told(global, &plan, &answer, asked.dry_run);
    Ok(())
}

fn told(global: &Global, plan: &ImportPlan, answer: &Value, dry_run: bool) {
    let counts = plan.counts();
    if global.output == Output::Json {
        print_json(&json!({
            "create": counts.create, "update": counts.update, "unchanged": counts.unchanged,
            "conflict": counts.conflict, "refused": counts.refused, "dry_run": dry_run,
            "revision": answer.pointer("/revision"),
        }));
        return;
    }
    let reservations = plan.reservations_yaml();
    if !reservations.is_empty() {
        put!("{reservations}");
    }
    let would = if dry_run { "would be " } else { "" };
    eprintln!("{} hosts {would}recorded", table::cell(answer, "/hosts"));
}

fn from_list(asked: &HostImport, options: &Options) -> Result<Found, Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::new("R-INV-31", format!("cannot read {}", asked.source)).cause(error)
    };
    let mut bytes = Vec::new();
    if asked.source == "-" {
        std::io::stdin().lock().take(LIST_BYTES_MAX).read_to_end(&mut bytes).map_err(unreadable)?;
    } else {
        let file = std::fs::File::open(&asked.source).map_err(unreadable)?;
        file.take(LIST_BYTES_MAX).read_to_end(&mut bytes).map_err(unreadable)?;
    }
    let format = asked.format.or_else(|| Format::guess(&asked.source, &bytes)).ok_or_else(|| {
        Failure::new("R-INV-32", format!("cannot tell what {} is", asked.source))
            .fix("say it: --format csv, dhcpd, dnsmasq, kea or ldif")
            .exit(Exit::Usage)
    })?;
    Ok(::inventory::read(format, &asked.source, &bytes, options))
}

async fn from_directory(asked: &HostImport, options: &Options) -> Result<Found, Failure> {
    let failed = |cause: String| {
        Failure::new("R-INV-33", format!("cannot read the directory {}", asked.source)).cause(cause)
    };
    let location: directory::Location =
        asked.source.parse().map_err(|error| failed(format!("{error}")).exit(Exit::Usage))?;
    let bind = match (&asked.bind, &asked.password_file) {
        (Some(dn), Some(file)) => {
            let password = directory::SecretRef::File(file.clone())
                .read()
                .map_err(|error| failed(crate::failure::chain(&error)))?;
            Some(directory::Bind { dn: dn.clone(), password })
        }
        _ => None,
    };
    let query = directory::Query {
        security: location.usual_security(),
        location,
        roots: asked.ca_file.clone().map_or(directory::Roots::System, directory::Roots::File),
        bind,
        base: asked.base.clone(),
        filter: asked.filter.clone().unwrap_or_default(),
        limits: directory::Limits::default(),
    };
    let answer = directory::read(&query).await.map_err(|error| failed(crate::failure::chain(&error)))?;
    for referral in &answer.referrals {
        eprintln!("note {referral} holds more; ask it, too");
    }
    Ok(::inventory::wds::propose(&asked.source, &answer.entries, options))
}

/// Every recorded host, whose it is, and its revision.
async fn recorded(api: &Api) -> Result<Vec<(Host, String, u64)>, Failure> {
    let list = api.list("hosts").await?;
    let items = list.pointer("/items").and_then(Value::as_array).into_iter().flatten();
    items
        .map(|item| {
            let owner = table::cell(item, "/managed_by");
            let revision = item.pointer("/revision").and_then(Value::as_u64).unwrap_or(0);
            let host = serde_json::from_value(resource_of(item)).map_err(|error| {
                Failure::new("R-CLI-06", "the appliance shows hosts this program cannot read").cause(error)
            })?;
            Ok((host, owner, revision))
        })
        .collect()
}

async fn names(api: &Api, list: &str) -> Result<Vec<Name>, Failure> {
    let list = api.list(list).await?;
    let items = list.pointer("/items").and_then(Value::as_array).into_iter().flatten();
    Ok(items.filter_map(|item| table::cell(item, "/name").parse().ok()).collect())
}
