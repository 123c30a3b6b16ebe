//! `reveille store verify`: exit 3 when something is not as it should be.

use super::failed;
use crate::backend::report_view;
use crate::cli::{Global, Output};
use crate::cmd::api::{Api, print_json};
use crate::cmd::table::size;
use crate::failure::{Exit, Failure};
use crate::out::putln;
use admin::view::StoreReport;
use std::path::PathBuf;
use std::process::ExitCode;

pub(super) async fn command(global: &Global, folder: Option<PathBuf>) -> Result<ExitCode, Failure> {
    let report: StoreReport = match folder {
        Some(folder) => store::offline::verify(&folder)
            .map(|report| report_view(&report))
            .map_err(|error| failed(format!("cannot verify {}", folder.display()), &error, false))?,
        None => {
            let document = Api::new(global).get("store/verify").await?.body;
            serde_json::from_value(document).map_err(|error| {
                Failure::new("R-API-16", "the appliance's answer cannot be read").cause(error)
            })?
        }
    };
    if global.output == Output::Json {
        print_json(&serde_json::to_value(&report).unwrap_or_default());
    } else {
        print(&report);
    }
    Ok(ExitCode::from(if report.ok { 0 } else { Exit::Found as u8 }))
}

fn print(report: &StoreReport) {
    for finding in &report.findings {
        putln!("found    {}", finding.what);
        putln!("  do     {}", finding.fix);
    }
    let StoreReport { revision, records, checkpoints, segments, frames, journal_bytes, .. } = report;
    putln!(
        "read     revision {revision}: {records} records, {checkpoints} checkpoints, {frames} frames in {segments} segments ({})",
        size(*journal_bytes)
    );
    match report.findings.len() {
        0 => putln!("result   all sound"),
        1 => putln!("result   1 finding"),
        many => putln!("result   {many} findings"),
    }
}
