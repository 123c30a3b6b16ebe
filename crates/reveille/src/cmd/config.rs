//! `reveille config …` and `reveille check`: work on files, need no appliance.

use super::api::print_json;
use super::table;
use crate::cli::{Check, Config, Global, Output};
use crate::failure::{Exit, Failure};
use crate::out::{put, putln};
use crate::sources::{self, Refusal};
use config::{Report, render};
use serde_json::json;
use std::process::ExitCode;

pub(crate) fn command(global: &Global, command: Config) -> Result<ExitCode, Failure> {
    match command {
        Config::Check(asked) => check(global, &asked),
        Config::Schema => {
            put!("{}", config::schema());
            Ok(ExitCode::SUCCESS)
        }
        Config::Show { config, origin } => {
            let loaded = match sources::load(&config, &[], &[]) {
                Ok(loaded) => loaded,
                Err(Refusal::Unreadable(failure)) => return Err(failure),
                Err(Refusal::Faulty(report)) => return Ok(refuse(global, &report, Exit::Usage)),
            };
            if global.output == Output::Json {
                let keys = loaded.origins.iter().map(|effective| {
                    json!({ "key": effective.key, "value": effective.value, "origin": effective.origin.to_string() })
                });
                print_json(&json!({ "items": keys.collect::<Vec<_>>() }));
            } else if origin {
                let rows: Vec<Vec<String>> = loaded
                    .origins
                    .iter()
                    .map(|effective| {
                        vec![effective.key.clone(), effective.value.clone(), effective.origin.to_string()]
                    })
                    .collect();
                put!("{}", table::render(&["KEY", "VALUE", "FROM"], &rows));
            } else {
                put!("{}", loaded.to_yaml());
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Reports every fault of a file. Exit 0 when sound, 2 when unreadable, 3 when something was found.
pub(crate) fn check(global: &Global, asked: &Check) -> Result<ExitCode, Failure> {
    let loaded = match sources::load(&asked.config, &[], &[]) {
        Ok(loaded) => loaded,
        Err(Refusal::Unreadable(failure)) => return Err(failure),
        Err(Refusal::Faulty(report)) => return Ok(refuse(global, &report, Exit::Found)),
    };
    let refused = asked.strict && !loaded.warnings.is_empty();
    if global.output == Output::Json {
        let warnings: Vec<_> = loaded.warnings.iter().map(config::Fault::to_json).collect();
        print_json(
            &json!({ "file": asked.config.display().to_string(), "ok": !refused, "faults": [], "warnings": warnings }),
        );
    } else {
        eprint!("{}", render(&loaded.warnings, global.colour()));
        putln!(
            "{}: {} ({} hosts, {} images, {} subnets)",
            asked.config.display(),
            if loaded.warnings.is_empty() {
                "ok".to_owned()
            } else {
                format!("{} warnings", loaded.warnings.len())
            },
            loaded.hosts.len(),
            loaded.images.len(),
            loaded.settings.dhcp.subnets.len()
        );
    }
    Ok(ExitCode::from(if refused { Exit::Found as u8 } else { 0 }))
}

/// Prints a whole report on standard error.
pub(crate) fn refuse(global: &Global, report: &Report, exit: Exit) -> ExitCode {
    if global.output == Output::Json {
        print_json(&report.to_json());
    } else {
        eprint!("{}", report.render(global.colour()));
    }
    ExitCode::from(exit as u8)
}
