//! `reveille serve`: the appliance from a configuration file.

use super::config::refuse;
use crate::cli::{Global, Serve};
use crate::daemon;
use crate::failure::{Exit, Failure};
use crate::sources::{self, Refusal};
use std::process::ExitCode;

pub(crate) async fn command(global: &Global, asked: Serve) -> Result<ExitCode, Failure> {
    let mut flags = asked.set.clone();
    flags.extend(global.socket.iter().map(|socket| format!("admin.socket={}", socket.display())));
    let loaded = match sources::load(&asked.config, &flags, &[]) {
        Ok(loaded) => loaded,
        Err(Refusal::Unreadable(failure)) => return Err(failure),
        Err(Refusal::Faulty(report)) => return Ok(refuse(global, &report, Exit::Usage)),
    };
    eprint!("{}", config::render(&loaded.warnings, global.colour()));
    daemon::run(global, loaded, daemon::Strictness::Strict).await?;
    Ok(ExitCode::SUCCESS)
}
