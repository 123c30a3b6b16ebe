//! `reveille run`: no configuration file. Looks who else answers DHCP here, and never leases unasked.

use super::config::refuse;
use crate::cli::{Global, Run, RunMode};
use crate::failure::{Exit, Failure};
use crate::probe::{self, Advice, Heard};
use crate::sources::{self, Refusal};
use crate::{choose, daemon};
use net::interface::Interface;
use serde_json::json;
use std::process::ExitCode;

pub(crate) async fn command(global: &Global, asked: Run) -> Result<ExitCode, Failure> {
    let all = net::interface::list()
        .map_err(|error| Failure::new("R-NET-01", "cannot list the network interfaces").cause(error))?;
    let served = served_interfaces(&all, &asked)?;
    let mut flags = base_flags(global, &asked, &served);
    let mut heard_text = None;
    let mode = match asked.dhcp {
        Some(mode) => {
            if mode == RunMode::Proxy && !asked.force {
                heard_text = Some(refuse_to_race(&served).await?);
            }
            mode
        }
        None => {
            let (mode, text) = look_around(&served).await;
            heard_text = Some(text);
            mode
        }
    };
    flags.extend(mode_flags(&asked, mode, &served)?);
    let loaded = match sources::load_defaults(&flags) {
        Ok(loaded) => loaded,
        Err(Refusal::Unreadable(failure)) => return Err(failure),
        Err(Refusal::Faulty(report)) => return Ok(refuse(global, &report, Exit::Usage)),
    };
    eprintln!(
        "reveille {}   no configuration file: defaults (reveille config schema lists every key)",
        env!("CARGO_PKG_VERSION")
    );
    for interface in &served {
        let addresses: Vec<String> = interface.ipv4.iter().map(ToString::to_string).collect();
        eprintln!("  interface  {} {}", interface.name, addresses.join(" "));
    }
    if let Some(text) = heard_text {
        eprintln!("  dhcp       {text}");
    }
    daemon::run(global, loaded, daemon::Strictness::Lenient).await?;
    Ok(ExitCode::SUCCESS)
}

fn served_interfaces<'a>(all: &'a [Interface], asked: &Run) -> Result<Vec<&'a Interface>, Failure> {
    if asked.interface.is_empty() {
        let route = net::interface::default_route();
        let chosen = choose::interface(all, route.as_deref()).map_err(|cause| {
            Failure::new("R-NET-02", "cannot tell which interface to serve")
                .cause(cause)
                .fix("name it: reveille run --interface NAME")
                .exit(Exit::Usage)
        })?;
        return Ok(vec![chosen]);
    }
    let find = |name: &String| {
        all.iter().find(|interface| *interface.name == **name).ok_or_else(|| {
            let known: Vec<&str> = all.iter().map(|interface| &*interface.name).collect();
            Failure::new("R-NET-03", format!("there is no interface `{name}`"))
                .cause(format!("interfaces here are {}", known.join(", ")))
                .exit(Exit::Usage)
        })
    };
    asked.interface.iter().map(find).collect()
}

/// Proxy beside a server that only leases, silence otherwise; with the sentence for the operator.
async fn look_around(served: &[&Interface]) -> (RunMode, String) {
    let mut all = Heard::new();
    for interface in served {
        match probe::listen(interface).await {
            Ok(heard) => all.extend(heard),
            Err(cause) => {
                return (
                    RunMode::Off,
                    format!(
                        "cannot look who answers here ({cause}) → DHCP is not answered; choose with --dhcp proxy|server|off"
                    ),
                );
            }
        }
    }
    let names = |all: &Heard| all.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match probe::advise(&all) {
        Advice::Proxy => (
            RunMode::Proxy,
            format!(
                "{} answers here and sends no boot data → proxy mode, addresses stay with it",
                names(&all)
            ),
        ),
        Advice::BootServerHere => (RunMode::Off, boot_clash(&all)),
        Advice::NobodyHere => (
            RunMode::Off,
            "nobody answers here → DHCP is not answered; to lease addresses: --dhcp server --pool FIRST-LAST"
                .to_owned(),
        ),
    }
}

async fn refuse_to_race(served: &[&Interface]) -> Result<String, Failure> {
    for interface in served {
        let Ok(heard) = probe::listen(interface).await else { continue };
        if probe::advise(&heard) == Advice::BootServerHere {
            return Err(Failure::new(
                "R-DHC-05",
                format!("another boot server answers on {}", interface.name),
            )
            .cause(boot_clash(&heard))
            .fix("stop it, or race it on purpose with --force"));
        }
    }
    Ok("proxy mode, as asked".to_owned())
}

fn boot_clash(heard: &Heard) -> String {
    let servers: Vec<String> = heard
        .iter()
        .filter_map(|(address, server)| {
            Some(format!("{address} sends boot file `{}`", server.boot_file.as_ref()?.escape_debug()))
        })
        .collect();
    format!(
        "{} → DHCP is not answered; remove options 66 and 67 there, or: --dhcp proxy --force",
        servers.join(", ")
    )
}

fn base_flags(global: &Global, asked: &Run, served: &[&Interface]) -> Vec<String> {
    let interfaces: Vec<_> = served.iter().map(|interface| json!({ "name": &*interface.name })).collect();
    let mut flags = vec![format!("interfaces={}", json!(interfaces))];
    if let Some(data) = &asked.data {
        flags.push(format!("store.path={}", data.join("store").display()));
        flags.push(format!("library.path={}", data.join("library").display()));
    }
    if let Some(socket) = &global.socket {
        flags.push(format!("admin.socket={}", socket.display()));
    }
    if let Some(port) = asked.http_port {
        flags.push(format!("http.listen=:{port}"));
    }
    if let Some(policy) = &asked.unknown {
        flags.push(format!("dhcp.unknown_hosts={policy}"));
    }
    flags
}

fn mode_flags(asked: &Run, mode: RunMode, served: &[&Interface]) -> Result<Vec<String>, Failure> {
    match mode {
        RunMode::Proxy => Ok(vec!["dhcp.mode=proxy".to_owned()]),
        RunMode::Off => Ok(vec!["dhcp.mode=off".to_owned()]),
        RunMode::Server => {
            let network = |interface: &&Interface| interface.ipv4.first().copied();
            let (Some(network), false) = (served.first().and_then(network), asked.pool.is_empty()) else {
                return Err(Failure::new("R-DHC-01", "cannot lease addresses without a pool")
                    .fix("reveille run --dhcp server --pool 192.168.1.100-192.168.1.150")
                    .exit(Exit::Usage));
            };
            let pools: Vec<String> = asked.pool.iter().map(ToString::to_string).collect();
            let mut subnet = json!({ "name": "lan", "network": network.trunc().to_string(), "mode": "server", "pools": pools });
            if let (Some(router), Some(fields)) = (asked.router, subnet.as_object_mut()) {
                fields.insert("router".into(), json!(router.to_string()));
            }
            Ok(vec!["dhcp.mode=server".to_owned(), format!("dhcp.subnets={}", json!([subnet]))])
        }
    }
}
