//! `reveille doctor`: what could stop this machine from serving. Read-only; needs no appliance.

use super::api::print_json;
use crate::choose;
use crate::cli::{Doctor, Global, Output};
use crate::failure::{Exit, Failure};
use crate::out::putln;
use crate::sources::{self, Refusal};
use library::Loaders;
use nix::unistd::{AccessFlags, access};
use serde_json::json;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::path::Path;
use std::process::ExitCode;

/// Outcome of one check. Unknown is not no.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Ok,
    Warn,
    Fail,
    Unknown,
}

struct Check {
    state: State,
    code: &'static str,
    name: &'static str,
    said: String,
    fix: Option<String>,
}

pub(crate) fn command(global: &Global, asked: &Doctor) -> Result<ExitCode, Failure> {
    let loaded = match &asked.config {
        None => sources::load_defaults(&[]),
        Some(file) => sources::load(file, &[], &[]),
    };
    let settings = match loaded {
        Ok(loaded) => loaded.settings,
        Err(Refusal::Unreadable(failure)) => return Err(failure),
        Err(Refusal::Faulty(report)) => return Ok(super::config::refuse(global, &report, Exit::Found)),
    };
    let mut checks = vec![interface_check(&settings)];
    checks.extend([67u16, 4011, 69].map(port_check));
    checks.extend(loader_checks(&settings));
    checks.extend(settings.library.inbox.as_deref().map(inbox_check));
    let failed = checks.iter().any(|check| check.state == State::Fail);
    if global.output == Output::Json {
        let items: Vec<_> = checks
            .iter()
            .map(|check| {
                json!({ "state": check.state.as_str(), "code": check.code, "check": check.name, "said": check.said, "fix": check.fix })
            })
            .collect();
        print_json(&json!({ "items": items }));
    } else {
        for check in &checks {
            putln!(" {:<5} {} {:<12} {}", check.state.as_str(), check.code, check.name, check.said);
            if let Some(fix) = &check.fix {
                putln!("         fix    {fix}");
            }
        }
    }
    Ok(ExitCode::from(if failed { Exit::Found as u8 } else { 0 }))
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::Warn => "warn",
            State::Fail => "fail",
            State::Unknown => "unkn",
        }
    }
}

fn interface_check(settings: &config::Settings) -> Check {
    let check = |state, said: String, fix: Option<&str>| Check {
        state,
        code: "R-NET-02",
        name: "interface",
        said,
        fix: fix.map(str::to_owned),
    };
    let all = match net::interface::list() {
        Ok(all) => all,
        Err(error) => return check(State::Unknown, format!("cannot list interfaces: {error}"), None),
    };
    if settings.interfaces.is_empty() {
        return match choose::interface(&all, net::interface::default_route().as_deref()) {
            Ok(chosen) => check(State::Ok, format!("{} would be served", chosen.name), None),
            Err(cause) => {
                check(State::Fail, cause, Some("name one: --interface NAME, or `interfaces:` in the file"))
            }
        };
    }
    let missing: Vec<&str> = settings
        .interfaces
        .iter()
        .map(|wanted| &*wanted.name)
        .filter(|wanted| !all.iter().any(|own| *own.name == **wanted && own.up && !own.ipv4.is_empty()))
        .collect();
    if missing.is_empty() {
        check(State::Ok, format!("{} configured, all up with an address", settings.interfaces.len()), None)
    } else {
        check(
            State::Fail,
            format!("not there, down or without an IPv4 address: {}", missing.join(", ")),
            Some("ip -brief address"),
        )
    }
}

fn port_check(port: u16) -> Check {
    let (state, said, fix) = match UdpSocket::bind(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port)) {
        Ok(_) => (State::Ok, format!("{port}/udp is free"), None),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            (State::Unknown, format!("{port}/udp needs root to look"), Some("run doctor as root".to_owned()))
        }
        Err(error) => (
            State::Warn,
            format!("{port}/udp: {error}"),
            Some(format!("`ss -lunp 'sport = :{port}'` shows who holds it; reveille itself, perhaps")),
        ),
    };
    Check { state, code: "R-NET-04", name: "port", said, fix }
}

/// Looks only; the appliance makes the folder and its `done/` and `refused/` by itself.
fn inbox_check(path: &Path) -> Check {
    let shown = path.display();
    let check = |state, said: String, fix: Option<String>| Check {
        state,
        code: "R-LIB-02",
        name: "inbox",
        said,
        fix,
    };
    let usable = AccessFlags::R_OK | AccessFlags::W_OK | AccessFlags::X_OK;
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            check(State::Ok, format!("{shown} is not there yet; the appliance makes it"), None)
        }
        Err(error) => check(State::Warn, format!("{shown}: {error}"), None),
        Ok(metadata) if !metadata.is_dir() => {
            let fix = "name a folder under library.inbox".to_owned();
            check(State::Warn, format!("{shown} is no folder"), Some(fix))
        }
        Ok(_) => match access(path, usable) {
            Ok(()) => check(State::Ok, format!("{shown} can be read and written"), None),
            Err(error) => {
                let fix = "let the appliance's user read and write it, or run doctor as that user".to_owned();
                check(State::Warn, format!("{shown}: {error}"), Some(fix))
            }
        },
    }
}

fn loader_checks(settings: &config::Settings) -> Vec<Check> {
    let loaders = Loaders::search(&crate::daemon::loader_sources(&settings.assets));
    let mut checks: Vec<Check> = settings
        .boot
        .loaders
        .iter()
        .map(|choice| match loaders.require(&choice.file) {
            Ok(loader) => Check {
                state: State::Ok,
                code: "R-AST-01",
                name: "loader",
                said: format!("{} → {} from {}", choice.firmware, loader.name, loader.path.display()),
                fix: None,
            },
            Err(missing) => Check {
                state: if settings.assets.require.contains(&choice.firmware) {
                    State::Fail
                } else {
                    State::Warn
                },
                code: "R-AST-01",
                name: "loader",
                said: format!("{} → {missing}", choice.firmware),
                fix: missing.hint(),
            },
        })
        .collect();
    checks.extend(loaders.warnings().iter().map(|warning| Check {
        state: State::Warn,
        code: "R-AST-02",
        name: "loader",
        said: warning.to_string(),
        fix: None,
    }));
    checks
}
