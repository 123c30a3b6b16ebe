//! The appliance: store, library, catalog, doors, put together in this order and taken down in the reverse one.
//!
//! Every port is bound before anything is answered; whatever cannot be had ends the start with its cause and fix.

use crate::backend::{Daemon, Importer, Meters};
use crate::cli::Global;
use crate::failure::{Exit, Failure, chain};
use crate::inventory::{FromFile, Inventory};
use crate::log;
use crate::world::{Hearsay, World};
use crate::{choose, failure};
use admin::view::{Listener, Setting};
use admin::{AdminDoor, EventBus};
use config::{AssetPath, Assets, DhcpPolicy, Loaded, LogFormat, Settings, UnknownHosts};
use dhcp_proto::Responder;
use library::{Library, LibraryError, LibraryOptions, Source};
use net::interface::Interface;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};
use plan::UnknownPolicy;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::records::decode_lease;
use store::{Store, StoreError, StoreOptions, Table};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tree::{Tree, TreeParts};
use types::lease::{LeaseRecord, LeaseState};
use types::subnet::{DhcpMode, LoaderChoice};
use types::{Event, EventName, EventSink, Facts};

/// Events kept for late readers: a storm of a few hundred boots.
const EVENTS_KEPT: usize = 10_000;
/// How often stopped boots are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// What running transfers and requests have to end in.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(10);
/// Leases read from the store at once.
const SCAN_STEP: usize = 1_000;
/// The TFTP port (RFC 1350 §4).
const TFTP_PORT: u16 = 69;

/// What a missing loader means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Strictness {
    /// `serve`: a required loader must be there.
    Strict,
    /// `run`: whatever is there is used.
    Lenient,
}

/// Runs until a signal says stop.
pub(crate) async fn run(global: &Global, loaded: Loaded, strictness: Strictness) -> Result<(), Failure> {
    start_log(global, &loaded.settings);
    raise_file_limit();
    // What we make (store, library) is for us alone; the admin socket opens itself to its group.
    umask(Mode::from_bits_truncate(0o077));
    let started = Instant::now();
    let settings = loaded.settings.clone();
    let interfaces = served_interfaces(&settings)?;
    refuse_own_addresses_in_pools(&settings)?;
    let store = open_store(&settings).await?;
    let library = open_library(&settings, &store).await?;
    let loaders = usable_loaders(&settings, &library, strictness)?;
    let inventory = Arc::new(Inventory::new(store.clone(), library.clone(), from_file(&loaded, loaders)));
    let catalog = inventory.catalog()?;
    for warning in catalog.warnings() {
        tracing::warn!("{warning}");
    }
    let bus = Arc::new(EventBus::new(EVENTS_KEPT));
    let world = Arc::new(World::new(catalog, bus.clone()));
    let importer = Arc::new(Importer::new(library.clone(), inventory.clone(), world.clone()));
    let leases = read_leases(&store)?;
    for lease in leases.iter().filter(|lease| lease.state == LeaseState::Bound) {
        world.preload(&Facts {
            mac: lease.mac,
            guid: lease.guid,
            address: Some(lease.address.into()),
            ..Facts::default()
        });
    }

    let tree = Tree::new(TreeParts {
        decider: world.clone(),
        ledger: world.clone(),
        library: library.clone(),
        http_port: settings.http.listen.port,
    });
    let (stop, stopping) = watch::channel(false);
    let http = bind_http(&settings, &tree, &world)?;
    let tftp = bind_tftp(&settings, &interfaces, &tree, &world)?;
    let dhcp = bind_dhcp(&settings, &interfaces, leases, &store, &world)?;
    let meters = Meters {
        listeners: listeners(&settings, &interfaces, http.addresses(), tftp.is_some(), dhcp.is_some()),
        dhcp: dhcp.as_ref().map(dhcp::Door::handle),
        tftp: tftp.as_ref().map(tftp::TftpDoor::counters),
        http: http.meter(),
    };
    let daemon = Arc::new(Daemon {
        store: store.clone(),
        store_path: settings.store.path.clone(),
        library,
        inventory: inventory.clone(),
        world: world.clone(),
        importer: importer.clone(),
        meters,
        settings: shown_settings(&loaded),
        files: files_of(&loaded),
        started,
    });
    let api = admin::Api::new(daemon, bus, stopping.clone());
    let admin = bind_admin(&settings, api)?;
    import_configured(&inventory, &importer).await;

    let mut doors: JoinSet<()> = JoinSet::new();
    let shutdown = stopping.clone();
    doors.spawn(async move { ended("HTTP", http.run(shutdown).await) });
    let shutdown = stopping.clone();
    doors.spawn(async move { ended("the API", admin.run(shutdown).await) });
    if let Some(tftp) = tftp {
        doors.spawn(tftp.run(stopping.clone()));
    }
    if let Some(dhcp) = dhcp {
        doors.spawn(dhcp.run(stopping.clone()));
    }
    let looker = world.clone();
    let shutdown = stopping.clone();
    doors.spawn(async move { look_for_trouble(&looker, shutdown).await });

    let names: Vec<String> = interfaces.iter().map(|interface| interface.name.to_string()).collect();
    world.record(
        Event::new(EventName::ServerReady)
            .with("interfaces", names.join(","))
            .with("start_ms", u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX)),
    );
    let signal = wait_for_signal().await?;
    world.record(Event::new(EventName::ServerStopping).because(signal));
    let _ = stop.send(true);
    let all_ended = async { while doors.join_next().await.is_some() {} };
    if tokio::time::timeout(SHUTDOWN_PATIENCE, all_ended).await.is_err() {
        tracing::warn!("some transfers did not end in time and were cut off");
    }
    let closing = tokio::task::spawn_blocking(move || store.close());
    closing.await.map_err(|error| Failure::new("R-STO-03", "cannot close the store").cause(error))
}

fn start_log(global: &Global, settings: &Settings) {
    let tty = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let format = match settings.log.format {
        LogFormat::Json => log::Format::Json,
        LogFormat::Auto if !tty => log::Format::Json,
        LogFormat::Auto | LogFormat::Text => log::Format::Text,
    };
    log::start(settings.log.level.as_str(), format, global.colour());
}

/// Every client is a file descriptor: takes as many as the system lets this process have.
fn raise_file_limit() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        tracing::warn!(%error, soft, hard, "cannot raise the limit of open files");
    }
}

/// The interfaces of the settings, or every wired one with an address.
fn served_interfaces(settings: &Settings) -> Result<Vec<Interface>, Failure> {
    let all = net::interface::list()
        .map_err(|error| Failure::new("R-NET-01", "cannot list the network interfaces").cause(error))?;
    if settings.interfaces.is_empty() {
        let found = choose::candidates(&all);
        if found.is_empty() {
            return Err(Failure::new("R-NET-02", "there is no wired interface with an IPv4 address")
                .fix("name one under `interfaces:`, or give it an address"));
        }
        return Ok(found.into_iter().cloned().collect());
    }
    let find = |wanted: &config::Interface| {
        let fault =
            |what: String| Failure::new("R-NET-03", what).fix("`ip -brief address` shows what is there");
        let own = all.iter().find(|interface| interface.name == wanted.name);
        let own = own.ok_or_else(|| fault(format!("there is no interface `{}`", wanted.name)))?;
        if own.ipv4.is_empty() {
            return Err(fault(format!("interface `{}` has no IPv4 address", wanted.name)));
        }
        match wanted.address {
            Some(address) if !own.ipv4.iter().any(|net| net.addr() == address) => {
                Err(fault(format!("interface `{}` does not have the address {address}", wanted.name)))
            }
            _ => Ok(own.clone()),
        }
    };
    settings.interfaces.iter().map(find).collect()
}

/// A pool that holds an address of this machine would give it away.
fn refuse_own_addresses_in_pools(settings: &Settings) -> Result<(), Failure> {
    let all = net::interface::list().unwrap_or_default();
    let own: Vec<Ipv4Addr> = all.iter().flat_map(|interface| &interface.ipv4).map(|net| net.addr()).collect();
    let clashes: Vec<String> = settings
        .dhcp
        .own_in_pools(&own)
        .iter()
        .map(|(subnet, address)| format!("{address} in the pools of subnet `{subnet}`"))
        .collect();
    if clashes.is_empty() {
        return Ok(());
    }
    Err(Failure::new("R-DHC-02", "a pool holds an address of this machine")
        .cause(clashes.join("; "))
        .fix("exclude it from the pool")
        .exit(Exit::Usage))
}

async fn open_store(settings: &Settings) -> Result<Store, Failure> {
    let path = settings.store.path.clone();
    let opening = tokio::task::spawn_blocking(move || Store::open(StoreOptions::new(path)));
    let opened =
        opening.await.map_err(|error| Failure::new("R-STO-03", "cannot open the store").cause(error))?;
    let store = opened.map_err(|error| {
        let failure =
            Failure::new("R-STO-03", format!("cannot open the store {}", settings.store.path.display()))
                .cause(failure::chain(&error));
        match &error {
            StoreError::Locked { .. } => {
                failure.fix("another reveille uses it; stop it, or set store.path").exit(Exit::Conflict)
            }
            StoreError::Io { .. } => {
                failure.fix("run as root, or set store.path to a folder this user may write")
            }
            _ => failure.fix("nothing was changed; keep a copy of the folder before anything else"),
        }
    })?;
    let report = store.report();
    for finding in &report.findings {
        tracing::warn!("store: {finding}");
    }
    tracing::info!(revision = report.revision.0, records = report.records, frames = report.frames, took = ?report.took, "store opened");
    Ok(store)
}

async fn open_library(settings: &Settings, store: &Store) -> Result<Library, Failure> {
    let options = LibraryOptions {
        loader_sources: loader_sources(&settings.assets),
        ..LibraryOptions::at(&settings.library.path)
    };
    let records = store.clone();
    let opening = tokio::task::spawn_blocking(move || Library::open(options, records));
    let fail = |cause: String| {
        Failure::new("R-LIB-01", format!("cannot open the library {}", settings.library.path.display()))
            .cause(cause)
            .fix("run as root, or set library.path to a folder this user may write")
    };
    let opened: Result<Library, LibraryError> = opening.await.map_err(|error| fail(error.to_string()))?;
    opened.map_err(|error| fail(chain(&error)))
}

/// Where loaders are searched, in the words of the library.
pub(crate) fn loader_sources(assets: &Assets) -> Vec<String> {
    let word = |path: &AssetPath| match path {
        AssetPath::Auto => library::loaders::AUTO.to_owned(),
        AssetPath::Folder(folder) => folder.display().to_string(),
    };
    assets.paths.iter().map(word).collect()
}

/// The loaders of the settings that are there. A required firmware without one ends a strict start.
fn usable_loaders(
    settings: &Settings,
    library: &Library,
    strictness: Strictness,
) -> Result<Vec<LoaderChoice>, Failure> {
    let found = library.loaders();
    for warning in found.warnings() {
        tracing::warn!("loaders: {warning}");
    }
    let mut usable = Vec::new();
    for choice in &settings.boot.loaders {
        let missing = match found.require(&choice.file) {
            Ok(_) => {
                usable.push(choice.clone());
                continue;
            }
            Err(missing) => missing,
        };
        let failure =
            Failure::new("R-AST-01", format!("there is no loader for {} machines", choice.firmware))
                .cause(&missing)
                .fix(missing.hint().unwrap_or_else(|| "put it into a folder of assets.paths".to_owned()));
        if strictness == Strictness::Strict && settings.assets.require.contains(&choice.firmware) {
            return Err(failure);
        }
        tracing::warn!("{failure}");
    }
    let lacking = settings
        .assets
        .require
        .iter()
        .find(|firmware| usable.iter().all(|choice| choice.firmware != **firmware));
    match lacking {
        Some(firmware) if strictness == Strictness::Strict => {
            Err(Failure::new("R-AST-01", format!("there is no loader for {firmware} machines"))
                .cause("assets.require names this firmware, boot.loaders does not")
                .fix(format!("add it under boot.loaders, or remove {firmware} from assets.require"))
                .exit(Exit::Usage))
        }
        _ => Ok(usable),
    }
}

fn from_file(loaded: &Loaded, loaders: Vec<LoaderChoice>) -> FromFile {
    let owner = |origin: &config::Origin| match origin {
        config::Origin::File { .. } => format!("file:{origin}"),
        other => other.to_string(),
    };
    let settings = &loaded.settings;
    FromFile {
        hosts: loaded.hosts.iter().cloned().zip(loaded.host_origins.iter().map(owner)).collect(),
        images: loaded.images.iter().cloned().zip(loaded.image_origins.iter().map(owner)).collect(),
        default_image: settings.boot.default_image.clone(),
        unknown: match settings.dhcp.unknown_hosts {
            UnknownHosts::Menu => UnknownPolicy::Menu,
            UnknownHosts::LocalDisk => UnknownPolicy::LocalDisk,
            UnknownHosts::Ignore => UnknownPolicy::Ignore,
        },
        loaders,
        loop_limit: Some(settings.boot.loop_limit),
    }
}

fn read_leases(store: &Store) -> Result<Vec<LeaseRecord>, Failure> {
    let unreadable = |cause: String| {
        Failure::new("R-STO-02", "cannot read the leases")
            .cause(cause)
            .fix("keep a copy of the store folder and report it")
    };
    let mut leases = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let step = store
            .scan(Table::Leases, after.as_deref(), SCAN_STEP)
            .map_err(|error| unreadable(chain(&error)))?;
        let last = step.len() < SCAN_STEP;
        after = step.last().map(|(key, _)| key.clone());
        for (_, stored) in step {
            leases.push(decode_lease(&stored.value).map_err(|error| unreadable(chain(&error)))?);
        }
        if last {
            return Ok(leases);
        }
    }
}

fn bind_http(settings: &Settings, tree: &Tree, world: &Arc<World>) -> Result<http_door::HttpDoor, Failure> {
    let listen = settings.http.listen;
    let address = SocketAddr::new(listen.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), listen.port);
    let options = http_door::Options {
        listen: vec![address],
        max_clients: settings.http.max_clients as usize,
        max_clients_per_source: settings.http.max_clients_per_source as usize,
        header_timeout: settings.http.header_timeout,
        idle_timeout: settings.http.idle_timeout,
        ..http_door::Options::default()
    };
    let parts = http_door::Parts {
        files: Arc::new(tree.clone()),
        decider: Arc::new(Hearsay(world.clone())),
        ledger: world.clone(),
        events: world.clone(),
    };
    http_door::HttpDoor::bind(options, parts)
        .map_err(|error| bind_failure("R-HTT-01", &error, error.source.kind(), Some(error.hint())))
}

fn bind_tftp(
    settings: &Settings,
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
        transfers_max: settings.tftp.max_transfers as usize,
        per_source_max: settings.tftp.max_transfers_per_source as usize,
        ..tftp::TftpOptions::default()
    };
    tftp::TftpDoor::bind(options, Arc::new(tree.clone()), world.clone(), world.clone())
        .map(Some)
        .map_err(|error| bind_failure("R-TFT-01", &error, error.source.kind(), error.hint()))
}

fn bind_dhcp(
    settings: &Settings,
    interfaces: &[Interface],
    leases: Vec<LeaseRecord>,
    store: &Store,
    world: &Arc<World>,
) -> Result<Option<dhcp::Door>, Failure> {
    let default_mode = match settings.dhcp.mode {
        DhcpPolicy::Auto | DhcpPolicy::Proxy => DhcpMode::Proxy,
        DhcpPolicy::Server | DhcpPolicy::Off => DhcpMode::Off,
    };
    let answers = |mode: DhcpMode| mode != DhcpMode::Off;
    if !answers(default_mode) && !settings.dhcp.subnets.iter().any(|subnet| answers(subnet.mode)) {
        return Ok(None);
    }
    let all = net::interface::list().unwrap_or_default();
    let mut responder = Responder::new(dhcp_proto::Settings {
        subnets: settings.dhcp.subnets.clone(),
        default_mode,
        relays: settings.dhcp.relays.clone(),
        own_addresses: all.iter().flat_map(|interface| &interface.ipv4).map(|net| net.addr()).collect(),
        http_port: settings.http.listen.port,
        offer_hold: settings.dhcp.offer_hold,
        ..dhcp_proto::Settings::default()
    });
    responder.load(leases);
    let configured =
        |name: &str| settings.interfaces.iter().find(|own| *own.name == *name).and_then(|own| own.address);
    let places: Vec<(Arc<str>, Option<Ipv4Addr>)> =
        interfaces.iter().map(|interface| (interface.name.clone(), configured(&interface.name))).collect();
    dhcp::Door::bind(&dhcp::Listen::on(&places), responder, store.clone(), world.clone(), world.clone())
        .map(Some)
        .map_err(|error| bind_failure("R-DHC-11", &error, error.source.kind(), error.hint()))
}

fn bind_admin(settings: &Settings, api: admin::Api) -> Result<AdminDoor, Failure> {
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

/// Images of the file: those whose files are not there yet are imported before anything is answered, the others are
/// looked at again while we serve. One that fails is an event; the rest goes on.
async fn import_configured(inventory: &Arc<Inventory>, importer: &Arc<Importer>) {
    let mut later = Vec::new();
    for image in inventory.images_with_source() {
        let Some(text) = image.source.as_deref() else { continue };
        let source = match text.parse::<Source>() {
            Ok(source) => source,
            Err(error) => {
                tracing::error!(image = %image.name, "{error}");
                continue;
            }
        };
        // Without a kernel or script of its own it cannot be booted before its source was looked at.
        let whole = image.kernel.is_some() || image.script.is_some();
        if whole && inventory.has_files(&image.name) {
            later.push((image.clone(), source));
            continue;
        }
        let (importer, image) = (importer.clone(), image.clone());
        let importing =
            tokio::task::spawn_blocking(move || importer.import_from_file(&image, source).map(drop));
        if let Ok(Err(error)) = importing.await {
            tracing::error!(cause = chain(&error), "an image of the configuration file was not imported");
        }
    }
    let importer = importer.clone();
    tokio::task::spawn_blocking(move || {
        for (image, source) in later {
            if let Err(error) = importer.import_from_file(&image, source) {
                tracing::error!(cause = chain(&error), image = %image.name, "an image was not brought up to date");
            }
        }
        importer.sweep();
    });
}

async fn look_for_trouble(world: &World, mut shutdown: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => return,
            _ = ticks.tick() => world.look_for_trouble(),
        }
    }
}

/// SIGHUP does not end us: it is what a closing terminal sends.
async fn wait_for_signal() -> Result<&'static str, Failure> {
    let listen = |kind| {
        signal(kind).map_err(|error| Failure::new("R-SYS-02", "cannot listen for signals").cause(error))
    };
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let mut hangup = listen(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok("terminated"),
            _ = interrupt.recv() => return Ok("interrupted"),
            _ = hangup.recv() => tracing::warn!("SIGHUP changes nothing: the configuration is read at start; restart to take it over"),
        }
    }
}

fn ended(door: &'static str, outcome: std::io::Result<()>) {
    if let Err(error) = outcome {
        tracing::error!(%error, "{door} stopped answering");
    }
}

fn listeners(
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

fn shown_settings(loaded: &Loaded) -> Vec<Setting> {
    let shown = |effective: &config::Effective| Setting {
        key: effective.key.clone(),
        value: effective.value.clone().into(),
        origin: effective.origin.to_string(),
    };
    loaded.origins.iter().map(shown).collect()
}

fn files_of(loaded: &Loaded) -> Vec<String> {
    let mut files: Vec<String> = loaded
        .origins
        .iter()
        .filter_map(|effective| match &effective.origin {
            config::Origin::File { path, .. } => Some(path.clone()),
            _ => None,
        })
        .collect();
    files.sort();
    files.dedup();
    files
}
