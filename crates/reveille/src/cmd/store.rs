//! `reveille store …`: through the appliance where one runs, on the folder where none does.

mod backup;
mod dump;
mod repair;
mod restore;
mod verify;

use crate::cli::{Global, Place, Store};
use crate::failure::{Exit, Failure, chain};
use crate::sources::{self, Refusal};
use std::path::PathBuf;
use std::process::ExitCode;
use store::StoreError;

pub(crate) async fn command(global: &Global, command: Store) -> Result<ExitCode, Failure> {
    match command {
        Store::Backup { file, place } => {
            backup::command(global, &file, folder(&place)?).await?;
        }
        Store::Restore { file, place, dry_run } => {
            restore::command(global, &file, &required(&place)?, dry_run)?;
        }
        Store::Verify { place } => return verify::command(global, folder(&place)?).await,
        Store::Repair { place, accept_loss } => {
            return repair::command(global, required(&place)?, accept_loss);
        }
        Store::Dump { place, table } => dump::command(global, folder(&place)?, table.as_deref()).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The folder that was named, by itself or by a configuration; `None` means the appliance is asked.
fn folder(place: &Place) -> Result<Option<PathBuf>, Failure> {
    if let Some(path) = &place.store {
        return Ok(Some(path.clone()));
    }
    let Some(config) = &place.config else { return Ok(None) };
    match sources::load(config, &[], &[]) {
        Ok(loaded) => Ok(Some(loaded.settings.store.path)),
        Err(Refusal::Unreadable(failure)) => Err(failure),
        Err(Refusal::Faulty(_)) => {
            Err(Failure::new("R-CFG-00", format!("cannot take the store's folder from {}", config.display()))
                .cause("the configuration has faults")
                .fix(format!("reveille check --config {}, or name the folder: --store DIR", config.display()))
                .exit(Exit::Usage))
        }
    }
}

fn required(place: &Place) -> Result<PathBuf, Failure> {
    folder(place)?.ok_or_else(|| {
        Failure::new("R-STO-10", "which store?")
            .cause("this works on a folder, while no appliance runs")
            .fix("--store /var/lib/reveille/store, or --config FILE that names it")
            .exit(Exit::Usage)
    })
}

/// What was attempted on the folder did not work.
fn failed(what: String, error: &StoreError, changes: bool) -> Failure {
    let code = match error {
        StoreError::Locked { .. } => "R-STO-04",
        StoreError::NoStore { .. } => "R-STO-05",
        StoreError::BadBackup { .. } => "R-STO-06",
        StoreError::NewerFormat { .. } | StoreError::UnreadableRecord { .. } => "R-STO-07",
        StoreError::JournalDamaged { .. } | StoreError::JournalGap { .. } => "R-STO-08",
        StoreError::Io { .. } | StoreError::IndexFailed { .. } | StoreError::Closed => "R-STO-03",
    };
    let failure = Failure::new(code, what).cause(chain(error));
    match error {
        StoreError::Locked { .. } if changes => failure
            .fix("the appliance holds it; stop that first: systemctl stop reveille")
            .exit(Exit::Conflict),
        StoreError::Locked { .. } => failure
            .fix("the appliance holds it; leave out --store and --config, and it answers itself")
            .exit(Exit::Conflict),
        StoreError::NoStore { .. } => {
            failure.fix("name the folder that holds `journal`: --store DIR").exit(Exit::NotFound)
        }
        StoreError::BadBackup { .. } => failure.fix("nothing was changed; use another backup"),
        StoreError::NewerFormat { .. } | StoreError::UnreadableRecord { .. } => {
            failure.fix("use the reveille that wrote it, or a newer one")
        }
        StoreError::JournalDamaged { .. } | StoreError::JournalGap { .. } => failure
            .fix("keep a copy of the folder; then `reveille store repair --store DIR` tries what is left"),
        StoreError::Io { source, .. } => match source.kind() {
            std::io::ErrorKind::NotFound => failure.exit(Exit::NotFound),
            std::io::ErrorKind::PermissionDenied => {
                failure.fix("use root or the user the appliance runs as").exit(Exit::Permission)
            }
            _ => failure,
        },
        StoreError::IndexFailed { .. } | StoreError::Closed => failure,
    }
}
