//! `reveille store restore FILE`

use super::failed;
use crate::cli::{Global, Output};
use crate::cmd::api::print_json;
use crate::cmd::table::render;
use crate::failure::Failure;
use crate::out::{put, putln};
use serde_json::json;
use std::path::Path;
use store::restore::Restored;

pub(super) fn command(global: &Global, file: &Path, folder: &Path, dry_run: bool) -> Result<(), Failure> {
    let restored = store::restore::restore(folder, file, dry_run)
        .map_err(|error| failed(format!("cannot restore into {}", folder.display()), &error, true))?;
    let Restored { backup, before, revision, tables, before_unreadable, moved_to } = &restored;
    let moved_to = moved_to.as_ref().map(|name| folder.join(name).display().to_string());
    if global.output == Output::Json {
        let tables: serde_json::Map<_, _> = tables
            .iter()
            .map(|(table, before, after)| (table.to_string(), json!({ "before": before, "after": after })))
            .collect();
        print_json(&json!({
            "dry_run": dry_run,
            "backup_revision": backup.0,
            "revision_before": before.0,
            "revision": revision.0,
            "tables": tables,
            "before_unreadable": before_unreadable,
            "moved_to": moved_to,
        }));
        return Ok(());
    }
    let rows: Vec<Vec<String>> = tables
        .iter()
        .filter(|(_, before, after)| before + after > 0)
        .map(|(table, before, after)| vec![table.to_string(), before.to_string(), after.to_string()])
        .collect();
    put!("{}", render(&["TABLE", "BEFORE", "AFTER"], &rows));
    if let Some(reason) = before_unreadable {
        putln!("unread   not all of what is there could be read: {reason}");
    }
    match (dry_run, moved_to) {
        (true, _) => {
            putln!("dry run  nothing was changed; the store would go on at revision {revision} or above");
        }
        (false, Some(moved_to)) => {
            putln!("restored revision {backup}; the store goes on at revision {revision}");
            putln!("kept     what was there before is in {moved_to}");
        }
        (false, None) => putln!("restored revision {backup}; the store goes on at revision {revision}"),
    }
    Ok(())
}
