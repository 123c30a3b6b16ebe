//! `reveille store dump`: JSON lines in either form of output.

use super::failed;
use crate::backend::table_names;
use crate::cli::Global;
use crate::cmd::api::Api;
use crate::failure::{Exit, Failure};
use crate::out::{put_bytes, putln};
use std::path::PathBuf;
use store::Table;

pub(super) async fn command(
    global: &Global,
    folder: Option<PathBuf>,
    table: Option<&str>,
) -> Result<(), Failure> {
    let Some(folder) = folder else { return online(global, table).await };
    let only = match table.map(|name| (name, Table::from_name(name))) {
        Some((name, None)) => {
            return Err(Failure::new("R-STO-09", format!("the store has no table `{name}`"))
                .fix(format!("tables are {}", table_names()))
                .exit(Exit::NotFound));
        }
        Some((_, found)) => found,
        None => None,
    };
    let mut dump = store::offline::dump(&folder)
        .map_err(|error| failed(format!("cannot dump {}", folder.display()), &error, false))?;
    if let Some(table) = only {
        dump = dump.only(table);
    }
    dump.for_each(|line| putln!("{line}"));
    Ok(())
}

async fn online(global: &Global, table: Option<&str>) -> Result<(), Failure> {
    let api = Api::new(global);
    let query = table.map_or_else(String::new, |table| format!("?table={}", api.escape(table)));
    let mut pieces = api.download(&format!("store/dump{query}")).await?;
    while let Some(piece) = pieces.next().await? {
        put_bytes(piece.as_ref());
    }
    Ok(())
}
