//! From the typed file to settings: what depends on other keys, and the plain translation.

use super::{
    Admin, AssetPath, Assets, Backend, Boot, Dhcp, DhcpPolicy, Http, Interface, Library, Log, LogFormat,
    LogLevel, Settings, Store, Tftp, UnknownHosts,
};
use crate::dhcp_options;
use crate::file::{
    BackendFile, File, LogFormatFile, LogLevelFile, ModeFile, SubnetFile, SubnetModeFile, UnknownHostsFile,
};
use crate::units::{Address, Period};
use types::subnet::{ConfiguredOption, DhcpMode, LeaseTimes, LoaderChoice, Reservation, Subnet};

/// Shortest lease a client may ask for, unless the subnet says otherwise.
const LEASE_TIME_MIN: Period = Period::secs(5 * 60);
/// Longest one.
const LEASE_TIME_MAX: Period = Period::secs(24 * 3600);

/// Fills in what depends on other keys, so that the effective configuration shows it.
pub(crate) fn complete(file: &mut File) {
    let general = match file.dhcp.mode {
        ModeFile::Auto | ModeFile::Proxy => SubnetModeFile::Proxy,
        ModeFile::Server => SubnetModeFile::Server,
        ModeFile::Off => SubnetModeFile::Off,
    };
    for subnet in &mut file.dhcp.subnets {
        subnet.mode.get_or_insert(general);
        subnet.lease_time_min.get_or_insert(LEASE_TIME_MIN.min(subnet.lease_time));
        subnet.lease_time_max.get_or_insert(LEASE_TIME_MAX.max(subnet.lease_time));
    }
    if file.dhcp.relay.accept_from.is_empty() {
        file.dhcp.relay.accept_from = file.dhcp.subnets.iter().map(|subnet| subnet.network).collect();
    }
}

/// Turns a completed and checked file into settings.
pub(crate) fn settings(file: &File) -> Settings {
    Settings {
        site: file.site.clone(),
        interfaces: file.interfaces.iter().map(interface).collect(),
        dhcp: Dhcp {
            mode: match file.dhcp.mode {
                ModeFile::Auto => DhcpPolicy::Auto,
                ModeFile::Proxy => DhcpPolicy::Proxy,
                ModeFile::Server => DhcpPolicy::Server,
                ModeFile::Off => DhcpPolicy::Off,
            },
            unknown_hosts: match file.dhcp.unknown_hosts {
                UnknownHostsFile::Menu => UnknownHosts::Menu,
                UnknownHostsFile::LocalDisk => UnknownHosts::LocalDisk,
                UnknownHostsFile::Ignore => UnknownHosts::Ignore,
                UnknownHostsFile::Claim => UnknownHosts::Claim,
            },
            offer_hold: file.dhcp.offer_hold.0,
            probe_wait: file.dhcp.probe_wait.0,
            quarantine: file.dhcp.quarantine.0,
            stranger_rate: file.dhcp.stranger_rate,
            subnets: file.dhcp.subnets.iter().map(subnet).collect(),
            relays: file.dhcp.relay.accept_from.iter().map(|network| network.0).collect(),
        },
        boot: Boot {
            default_image: file.boot.default_image.clone(),
            loaders: file
                .boot
                .loaders
                .given()
                .map(|(firmware, file)| LoaderChoice { firmware, file: file.as_str().into() })
                .collect(),
            loop_limit: file.boot.loop_limit,
            claim_wait: file.boot.claim_wait.duration(),
        },
        tftp: Tftp {
            enabled: file.tftp.enabled,
            max_blksize: file.tftp.max_blksize,
            windowsize: file.tftp.windowsize,
            single_port: file.tftp.single_port,
            max_transfers: file.tftp.max_transfers,
            max_transfers_per_source: file.tftp.max_transfers_per_source,
        },
        http: Http {
            listen: file.http.listen,
            max_clients: file.http.max_clients,
            max_clients_per_source: file.http.max_clients_per_source,
            header_timeout: file.http.header_timeout.0,
            idle_timeout: file.http.idle_timeout.0,
        },
        admin: Admin { socket: file.admin.socket.as_str().into() },
        store: Store {
            backend: match file.store.backend {
                BackendFile::Sled => Backend::Sled,
            },
            path: file.store.path.as_str().into(),
            quota_bytes: file.store.quota.0,
            ballast_bytes: file.store.ballast.0,
        },
        library: Library {
            path: file.library.path.as_str().into(),
            inbox: file.library.inbox.as_ref().map(|path| path.as_str().into()),
        },
        assets: Assets {
            paths: file
                .assets
                .paths
                .iter()
                .map(|path| match path.as_str() {
                    "auto" => AssetPath::Auto,
                    folder => AssetPath::Folder(folder.into()),
                })
                .collect(),
            require: file.assets.require.clone(),
        },
        hooks: file.hooks.iter().filter_map(super::hook::hook).collect(),
        log: Log {
            format: match file.log.format {
                LogFormatFile::Auto => LogFormat::Auto,
                LogFormatFile::Text => LogFormat::Text,
                LogFormatFile::Json => LogFormat::Json,
            },
            level: match file.log.level {
                LogLevelFile::Error => LogLevel::Error,
                LogLevelFile::Warn => LogLevel::Warn,
                LogLevelFile::Info => LogLevel::Info,
                LogLevelFile::Debug => LogLevel::Debug,
                LogLevelFile::Trace => LogLevel::Trace,
            },
        },
    }
}

fn interface(file: &crate::file::InterfaceFile) -> Interface {
    let address = match file.address {
        Address::Auto => None,
        Address::Fixed(address) => Some(address),
    };
    Interface { name: file.name.as_str().into(), address }
}

fn subnet(file: &SubnetFile) -> Subnet {
    let mode = match file.mode {
        Some(SubnetModeFile::Server) => DhcpMode::Server,
        Some(SubnetModeFile::Proxy) | None => DhcpMode::Proxy,
        Some(SubnetModeFile::Off) => DhcpMode::Off,
    };
    let serves = mode == DhcpMode::Server;
    Subnet {
        name: file.name.shared(),
        network: file.network.0,
        mode,
        pools: if serves { file.pools.iter().map(|range| range.0).collect() } else { Vec::new() },
        excluded: if serves { file.exclude.iter().map(|range| range.0).collect() } else { Vec::new() },
        reservations: file.reservations.iter().filter(|_| serves).map(reservation).collect(),
        lease_times: LeaseTimes {
            default: file.lease_time.0,
            min: file.lease_time_min.unwrap_or(LEASE_TIME_MIN).0,
            max: file.lease_time_max.unwrap_or(LEASE_TIME_MAX).0,
        },
        routers: file.router.0.iter().map(|address| address.0).collect(),
        dns: file.dns.iter().map(|address| address.0).collect(),
        domain: file.domain.as_ref().map(|domain| domain.as_str().into()),
        options: file.options.iter().filter_map(|(code, option)| configured(code, option)).collect(),
        authoritative: file.authoritative && serves,
        uefi_discovery_control: file.uefi_discovery_control,
        next_server: file.next_server.map(|address| address.0),
    }
}

fn reservation(file: &crate::file::ReservationFile) -> Reservation {
    Reservation {
        mac: file.mac,
        address: file.address.0,
        hostname: file.hostname.as_ref().map(|name| name.as_str().into()),
    }
}

/// `None` only for what the checks have refused before.
fn configured(code: &str, option: &crate::file::OptionFile) -> Option<ConfiguredOption> {
    let code = dhcp_options::code(code).ok()?;
    let value = dhcp_options::encode(option.kind, &option.value.0).ok()?;
    Some(ConfiguredOption { code, value: value.into(), always: option.always })
}
