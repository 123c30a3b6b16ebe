//! Every door, bound with what the settings say of it and not yet answering.

use super::descriptors::Budget;
use crate::backend::{Place, Simulator};
use crate::bootlogs::BootLogs;
use crate::failure::{Exit, Failure, chain};
use crate::world::{Hearsay, Witness, World};
use admin::AdminDoor;
use admin::view::Listener;
use config::{DhcpPolicy, Settings};
use dhcp_proto::Responder;
use net::interface::Interface;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use store::Store;
use tree::Tree;
use types::lease::LeaseRecord;
use types::subnet::DhcpMode;

/// The TFTP port (RFC 1350 §4).
const TFTP_PORT: u16 = 69;

pub(super) fn bind_http(
    settings: &Settings,
    budget: Budget,
    tree: &Tree,
    world: &Arc<World>,
    logs: &BootLogs,
) -> Result<http_door::HttpDoor, Failure> {
    let listen = settings.http.listen;
    let address = SocketAddr::new(listen.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), listen.port);
    let options = http_door::Options {
        listen: vec![address],
        max_clients: budget.http,
        max_clients_per_source: settings.http.max_clients_per_source as usize,
        header_timeout: settings.http.header_timeout,
        idle_timeout: settings.http.idle_timeout,
        ..http_door::Options::default()
    };
    let parts = http_door::Parts {
        files: Arc::new(tree.clone()),
        decider: Arc::new(Hearsay(world.clone())),
        ledger: world.clone(),
        logs: Arc::new(logs.clone()),
        events: world.clone(),
    };
    http_door::HttpDoor::bind(options, parts)
        .map_err(|error| bind_failure("R-HTT-01", &error, error.source.kind(), Some(error.hint())))
}

pub(super) fn bind_tftp(
    settings: &Settings,
    budget: Budget,
    interfaces: &[Interface],
    tree: &Tree,
    world: &Arc<World>,
) -> Result<Option<tftp::TftpDoor>, Failure> {
    if !settings.tftp.enabled {
        return Ok(None);
    }
    let place = |interface: &Interface| tftp::TftpListen {
        address: Ipv4Addr::UNSPECIFIED,
        interface: Some(interface.name.clone()),
        port: TFTP_PORT,
    };
    let options = tftp::TftpOptions {
        listen: interfaces.iter().map(place).collect(),
        max_blksize: settings.tftp.max_blksize,
        windowsize_max: settings.tftp.windowsize,
        single_port: settings.tftp.single_port,
        transfers_max: budget.tftp,
        per_source_max: settings.tftp.max_transfers_per_source as usize,
        ..tftp::TftpOptions::default()
    };
    tftp::TftpDoor::bind(options, Arc::new(tree.clone()), world.clone(), world.clone())
        .map(Some)
        .map_err(|error| bind_failure("R-TFT-01", &error, error.source.kind(), error.hint()))
}

/// Mode of networks that no subnet describes.
fn default_mode(settings: &Settings) -> DhcpMode {
    match settings.dhcp.mode {
        DhcpPolicy::Auto | DhcpPolicy::Proxy => DhcpMode::Proxy,
        DhcpPolicy::Server | DhcpPolicy::Off => DhcpMode::Off,
    }
}

fn answers(mode: DhcpMode) -> bool {
    mode != DhcpMode::Off
}

/// What tells who is at an address.
pub(super) fn witness(settings: &Settings) -> Witness {
    let subnets = settings.dhcp.subnets.clone();
    let elsewhere = answers(default_mode(settings));
    Witness::new(net::neighbours::cards_at, move |address| {
        let own = subnets.iter().find(|subnet| subnet.network.contains(&address));
        own.map_or(elsewhere, |subnet| answers(subnet.mode))
    })
}

/// What the DHCP engine is told; `None` where nothing answers DHCP.
fn responder_settings(settings: &Settings) -> Option<dhcp_proto::Settings> {
    let default_mode = default_mode(settings);
    if !answers(default_mode) && !settings.dhcp.subnets.iter().any(|subnet| answers(subnet.mode)) {
        return None;
    }
    let all = net::interface::list().unwrap_or_default();
    Some(dhcp_proto::Settings {
        subnets: settings.dhcp.subnets.clone(),
        default_mode,
        relays: settings.dhcp.relays.clone(),
        own_addresses: all.iter().flat_map(|interface| &interface.ipv4).map(|net| net.addr()).collect(),
        http_port: settings.http.listen.port,
        offer_hold: settings.dhcp.offer_hold,
        probe_wait: settings.dhcp.probe_wait,
        quarantine: settings.dhcp.quarantine,
        stranger_rate: settings.dhcp.stranger_rate,
        ..dhcp_proto::Settings::default()
    })
}

/// What `simulate` needs to know of the doors.
pub(super) fn simulator(settings: &Settings, interfaces: &[Interface]) -> Simulator {
    let configured =
        |name: &str| settings.interfaces.iter().find(|own| *own.name == *name).and_then(|own| own.address);
    let place = |interface: &Interface| {
        let first = interface.ipv4.first().map(|net| net.addr());
        Some(Place { interface: interface.clone(), local: configured(&interface.name).or(first)? })
    };
    Simulator {
        dhcp: responder_settings(settings),
        places: interfaces.iter().filter_map(place).collect(),
        tftp: settings.tftp.enabled,
        http_port: settings.http.listen.port,
    }
}

pub(super) fn bind_dhcp(
    settings: &Settings,
    interfaces: &[Interface],
    leases: Vec<LeaseRecord>,
    store: &Store,
    world: &Arc<World>,
) -> Result<Option<dhcp::Door>, Failure> {
    let Some(answering) = responder_settings(settings) else { return Ok(None) };
    let mut responder = Responder::new(answering);
    responder.set_clock(dhcp::lease_clock(store, &leases, dhcp::now()));
    responder.load(leases);
    let configured =
        |name: &str| settings.interfaces.iter().find(|own| *own.name == *name).and_then(|own| own.address);
    let places: Vec<(Arc<str>, Option<Ipv4Addr>)> =
        interfaces.iter().map(|interface| (interface.name.clone(), configured(&interface.name))).collect();
    dhcp::Door::bind(&dhcp::Listen::on(&places), responder, store.clone(), world.clone(), world.clone())
        .map(Some)
        .map_err(|error| bind_failure("R-DHC-11", &error, error.source.kind(), error.hint()))
}

pub(super) fn bind_admin(settings: &Settings, api: admin::Api) -> Result<AdminDoor, Failure> {
    let socket = settings.admin.socket.clone();
    AdminDoor::bind(&admin::Options { socket, group: None }, api).map_err(|error| {
        let kind = match &error {
            admin::BindError::Io { source, .. } => source.kind(),
            _ => std::io::ErrorKind::Other,
        };
        bind_failure("R-API-15", &error, kind, Some(error.hint()))
    })
}

fn bind_failure(
    code: &str,
    error: &(dyn std::error::Error + 'static),
    kind: std::io::ErrorKind,
    hint: Option<String>,
) -> Failure {
    let mut failure = Failure::new(code, error.to_string());
    failure.cause = error.source().map(chain);
    failure.fix = hint;
    if kind == std::io::ErrorKind::PermissionDenied { failure.exit(Exit::Permission) } else { failure }
}

pub(super) fn listeners(
    settings: &Settings,
    interfaces: &[Interface],
    http: &[SocketAddr],
    tftp: bool,
    dhcp: bool,
) -> Vec<Listener> {
    let mut all = Vec::new();
    let ports = [(dhcp, "dhcp", 67), (dhcp, "proxy-dhcp", 4011), (tftp, "tftp", TFTP_PORT)];
    for interface in interfaces {
        for (_, door, port) in ports.into_iter().filter(|(on, ..)| *on) {
            all.push(Listener {
                door: door.to_owned(),
                address: format!("0.0.0.0:{port}/udp"),
                interface: Some(interface.name.to_string()),
            });
        }
    }
    let http = http.iter().map(|address| Listener {
        door: "http".into(),
        address: address.to_string(),
        interface: None,
    });
    all.extend(http);
    all.push(Listener {
        door: "admin".to_owned(),
        address: settings.admin.socket.display().to_string(),
        interface: None,
    });
    all
}
