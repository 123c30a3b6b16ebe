//! What the daemon uses: checked values with all defaults filled in.

mod convert;
mod hook;

pub(crate) use convert::{complete, settings};
pub(crate) use hook::fingerprint;
pub use hook::{Hook, HookSecret, HookTarget, HookTrust};

use crate::units::Listen;
use ipnet::Ipv4Net;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use types::Firmware;
use types::resource::Name;
use types::subnet::{LoaderChoice, Subnet};

/// All settings of the daemon.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Name of this place.
    pub site: Option<Name>,
    /// Interfaces to serve; empty means: find them.
    pub interfaces: Vec<Interface>,
    /// DHCP.
    pub dhcp: Dhcp,
    /// What machines boot.
    pub boot: Boot,
    /// TFTP.
    pub tftp: Tftp,
    /// HTTP for booting machines.
    pub http: Http,
    /// The API.
    pub admin: Admin,
    /// The store.
    pub store: Store,
    /// The library.
    pub library: Library,
    /// Boot loaders.
    pub assets: Assets,
    /// The log.
    pub log: Log,
    /// Who is told of events, in their order, names unique.
    pub hooks: Vec<Hook>,
}

/// One interface to serve.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interface {
    /// Name in the system, 1..=15 bytes.
    pub name: Arc<str>,
    /// Address to answer from; `None`: the only one it has.
    pub address: Option<Ipv4Addr>,
}

/// DHCP settings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dhcp {
    /// Mode of networks that no subnet describes.
    pub mode: DhcpPolicy,
    /// Machines that no host record knows.
    pub unknown_hosts: UnknownHosts,
    /// How long an offer is kept, 1s..=10m.
    pub offer_hold: Duration,
    /// How long a probed address may answer, 0..=3s; zero probes none.
    pub probe_wait: Duration,
    /// How long an address in use by another is given to nobody, 1m..=1d.
    pub quarantine: Duration,
    /// Unknown machines a second from one source, 0..=100000; 0 is any number.
    pub stranger_rate: u32,
    /// Networks, without overlap, each with its own mode.
    pub subnets: Vec<Subnet>,
    /// Networks whose relays are answered. Never wider than what the file says: without `relay.accept_from` the
    /// networks of the subnets.
    pub relays: Vec<Ipv4Net>,
}

impl Dhcp {
    /// Addresses of this machine that a pool would give away, with the subnet. Those written in the file are
    /// refused when it is loaded; those of `auto` interfaces are known only once the interfaces are looked at.
    pub fn own_in_pools(&self, own: &[Ipv4Addr]) -> Vec<(Arc<str>, Ipv4Addr)> {
        let mut found = Vec::new();
        for subnet in &self.subnets {
            let gives = |address: Ipv4Addr| {
                subnet.pools.iter().any(|pool| pool.contains(address))
                    && !subnet.excluded.iter().any(|excluded| excluded.contains(address))
            };
            let taken = own.iter().copied().filter(|address| gives(*address));
            found.extend(taken.map(|address| (subnet.name.clone(), address)));
        }
        found
    }
}

/// Mode of networks that no subnet describes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DhcpPolicy {
    /// Proxy where another server answers, nothing elsewhere. Never a lease.
    Auto,
    /// Boot data only.
    Proxy,
    /// Addresses and boot data, on the subnets that have some.
    Server,
    /// Nothing.
    Off,
}

/// What machines get that no host record knows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum UnknownHosts {
    /// The default image, or a menu.
    Menu,
    /// Their own disk.
    LocalDisk,
    /// No boot data.
    Ignore,
    /// They wait until they are recorded.
    Claim,
}

/// What machines boot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Boot {
    /// Image of hosts that name none.
    pub default_image: Option<Name>,
    /// First boot program by firmware.
    pub loaders: Vec<LoaderChoice>,
    /// Starts in ten minutes that count as a loop, 2..=100.
    pub loop_limit: u32,
    /// How long an unknown machine waits to be recorded.
    pub claim_wait: Duration,
}

/// TFTP settings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tftp {
    /// Answer TFTP at all.
    pub enabled: bool,
    /// Largest block in bytes, 512..=65464.
    pub max_blksize: u16,
    /// Largest window in blocks, 1..=64.
    pub windowsize: u16,
    /// Answer from port 69 itself.
    pub single_port: bool,
    /// Transfers at a time, 1..=65535.
    pub max_transfers: u32,
    /// Transfers at a time for one address, 1..=65535.
    pub max_transfers_per_source: u32,
}

/// HTTP settings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Http {
    /// Where to listen.
    pub listen: Listen,
    /// Connections at a time, 1..=100000.
    pub max_clients: u32,
    /// Connections at a time from one address, 1..=100000.
    pub max_clients_per_source: u32,
    /// Time to send a request, 1s..=10m.
    pub header_timeout: Duration,
    /// Time a connection may stay silent, 1s..=1h.
    pub idle_timeout: Duration,
}

/// API settings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Admin {
    /// Unix socket, 1..=107 bytes.
    pub socket: PathBuf,
}

/// Store settings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Store {
    /// How it keeps its data.
    pub backend: Backend,
    /// Its folder.
    pub path: PathBuf,
    /// The most its folder may take, in bytes.
    pub quota_bytes: u64,
    /// Room set aside for a full disk, in bytes; 0 for none.
    pub ballast_bytes: u64,
}

/// How the store keeps its data.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Backend {
    /// On this machine.
    Sled,
}

/// Library settings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Library {
    /// Its folder.
    pub path: PathBuf,
    /// The folder that is watched for media, as written: it may be relative to the configuration file.
    pub inbox: Option<PathBuf>,
}

/// Where loaders come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Assets {
    /// Places to look in, best first.
    pub paths: Vec<AssetPath>,
    /// Firmware that must have a loader.
    pub require: Vec<Firmware>,
}

/// One place to look for loaders in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AssetPath {
    /// The folders of the distribution's packages.
    Auto,
    /// This folder.
    Folder(PathBuf),
}

/// Log settings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Log {
    /// Form of lines.
    pub format: LogFormat,
    /// Least level.
    pub level: LogLevel,
}

/// Form of log lines.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    /// Text.
    Text,
    /// JSON.
    Json,
}

/// Least level that is logged.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum LogLevel {
    /// What was lost.
    Error,
    /// What an operator should look at.
    Warn,
    /// One line per boot step.
    Info,
    /// Ignored requests too.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// The word `tracing` filters take.
    pub fn as_str(self) -> &'static str {
        match self {
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
            LogLevel::Trace => "trace",
        }
    }
}
