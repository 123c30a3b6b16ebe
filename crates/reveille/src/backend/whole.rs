//! The whole store over the API: backup, dump, verify.

use super::internal_store;
use admin::view::{StoreFinding, StoreReport};
use admin::{BackendError, Download, Problem};
use store::{Finding, Store, Table, VerifyReport};

/// Bytes of dump that are sent at once.
const PIECE_BYTES: usize = 64 << 10;

pub(super) fn backup(store: &Store) -> Result<Download, BackendError> {
    let backup = store.backup().map_err(|error| internal_store(&error))?;
    Ok(Download {
        revision: backup.revision.0,
        records: backup.records as u64,
        bytes: Some(backup.bytes),
        pieces: Box::new(backup),
    })
}

pub(super) fn dump(store: &Store, table: Option<&str>) -> Result<Download, BackendError> {
    let table = table.map(|name| Table::from_name(name).ok_or_else(|| unknown_table(name))).transpose()?;
    let mut dump = store.dump().map_err(|error| internal_store(&error))?;
    if let Some(table) = table {
        dump = dump.only(table);
    }
    let (revision, records) = (dump.revision().0, dump.records() as u64);
    // A line by itself would be a piece of the answer each.
    let pieces = std::iter::from_fn(move || {
        let mut piece = Vec::new();
        while piece.len() < PIECE_BYTES
            && let Some(line) = dump.next()
        {
            piece.extend_from_slice(line.as_bytes());
            piece.push(b'\n');
        }
        (!piece.is_empty()).then_some(piece)
    });
    Ok(Download { revision, records, bytes: None, pieces: Box::new(pieces) })
}

pub(super) fn verify(store: &Store) -> Result<StoreReport, BackendError> {
    store.verify().map(|report| view(&report)).map_err(|error| internal_store(&error))
}

fn unknown_table(name: &str) -> BackendError {
    let problem = Problem::new(404, "R-STO-09", "no-table", format!("the store has no table `{name}`"));
    BackendError::Problem(problem.with_fix(format!("tables are {}", table_names())))
}

/// Names of all tables, for messages.
pub(crate) fn table_names() -> String {
    Table::ALL.map(Table::as_str).join(", ")
}

/// A report in the form of the API, which is the form of `-o json` too.
pub(crate) fn view(report: &VerifyReport) -> StoreReport {
    StoreReport {
        ok: report.is_clean(),
        revision: report.revision.0,
        records: report.records as u64,
        checkpoints: report.checkpoints as u64,
        segments: report.segments as u64,
        frames: report.frames as u64,
        journal_bytes: report.journal_bytes,
        findings: report.findings.iter().map(finding).collect(),
    }
}

/// A finding with what to do about it.
pub(crate) fn finding(finding: &Finding) -> StoreFinding {
    StoreFinding { what: finding.to_string(), fix: finding.advice().to_owned() }
}
