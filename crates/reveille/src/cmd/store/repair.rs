//! `reveille store repair`: opens the store as the appliance does at start, says what that did, and closes it.

use super::failed;
use crate::backend::finding;
use crate::cli::{Global, Output};
use crate::cmd::api::print_json;
use crate::failure::{Exit, Failure};
use crate::out::putln;
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;
use store::{Finding, Store, StoreError, StoreOptions};

pub(super) fn command(global: &Global, folder: PathBuf, accept_loss: bool) -> Result<ExitCode, Failure> {
    let cannot = || format!("cannot repair {}", folder.display());
    if !folder.join("journal").is_dir() {
        return Err(failed(cannot(), &StoreError::NoStore { path: folder.clone() }, true));
    }
    let options = StoreOptions { accept_loss, ..StoreOptions::new(&folder) };
    let store = Store::open(options).map_err(|error| refused(cannot(), &error, accept_loss))?;
    let after = store.verify().map_err(|error| failed(cannot(), &error, true))?;
    let report = store.report().clone();
    store.close();
    let lost: Vec<String> = report
        .findings
        .iter()
        .filter(|it| matches!(it, Finding::LossAccepted { .. }))
        .map(Finding::to_string)
        .collect();
    let set_aside: Vec<&str> = report.findings.iter().filter_map(moved_to).collect();
    if global.output == Output::Json {
        print_json(&json!({
            "revision": report.revision.0,
            "records": report.records,
            "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
            "lost": lost,
            "set_aside": set_aside,
            "sound": after.is_clean(),
            "left": after.findings.iter().map(finding).collect::<Vec<_>>(),
        }));
    } else {
        for found in &report.findings {
            let word = match found {
                Finding::LossAccepted { .. } => "lost ",
                Finding::SetAside { .. } => "aside",
                Finding::IndexRebuilt { .. }
                | Finding::RestoredFromIndex { .. }
                | Finding::RestoreFinished { .. } => "done ",
                _ => "found",
            };
            putln!("{word}    {found}");
        }
        for left in &after.findings {
            putln!("left     {left}\n  do     {}", left.advice());
        }
        let sound = if after.is_clean() { "all sound" } else { "not sound" };
        putln!("result   revision {}, {} records, {sound}", report.revision, report.records);
    }
    Ok(ExitCode::from(if after.is_clean() { 0 } else { Exit::Found as u8 }))
}

/// Where something that was replaced is now.
fn moved_to(finding: &Finding) -> Option<&str> {
    match finding {
        Finding::SetAside { to, .. } => Some(to),
        Finding::IndexRebuilt { set_aside, .. } => set_aside.as_deref(),
        Finding::RestoreFinished { before } => Some(before),
        _ => None,
    }
}

/// Nothing was changed. Where acknowledged batches are at stake, the cause names them.
fn refused(what: String, error: &StoreError, accept_loss: bool) -> Failure {
    let failure = failed(what, error, true);
    match error {
        StoreError::JournalDamaged { .. } | StoreError::JournalGap { .. } if !accept_loss => failure.fix(
            "restore a backup: reveille store restore FILE --store DIR; or go on without what is lost: add --accept-loss",
        ),
        _ => failure,
    }
}
