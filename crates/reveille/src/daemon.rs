//! The appliance: store, library, catalog, doors, put together in this order and taken down in the reverse one.
//!
//! Every port is bound before anything is answered; whatever cannot be had ends the start with its cause and fix.

mod descriptors;
mod doors;
mod hooks;
mod images;
mod prepare;
mod room;

pub(crate) use prepare::loader_sources;

use crate::backend::{Daemon, Importer, Meters};
use crate::cli::Global;
use crate::failure::Failure;
use crate::inbox::Inbox;
use crate::inventory::Inventory;
use crate::log;
use crate::world::{Lives, Memory, Rollouts, Runs, World};
use admin::EventBus;
use admin::view::Setting;
use config::{Loaded, LogFormat, Settings};
use doors::{bind_admin, bind_dhcp, bind_http, bind_tftp, listeners, simulator, witness};
use nix::sys::stat::{Mode, umask};
use prepare::{
    from_file, open_boot_logs, open_library, open_store, refuse_own_addresses_in_pools, served_interfaces,
    usable_loaders,
};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tree::{Tree, TreeParts};
use types::{Event, EventName, EventSink};

/// Events kept for late readers: a storm of a few hundred boots.
const EVENTS_KEPT: usize = 10_000;
/// How often stopped boots are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// What running transfers and requests have to end in.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(10);

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
    // What we make (store, library) is for us alone; the admin socket opens itself to its group.
    umask(Mode::from_bits_truncate(0o077));
    let started = Instant::now();
    let settings = loaded.settings.clone();
    let budget =
        descriptors::Budget::take(settings.http.max_clients as usize, settings.tftp.max_transfers as usize);
    let interfaces = served_interfaces(&settings)?;
    refuse_own_addresses_in_pools(&settings)?;
    let (store, (leases, sightings)) = open_store(&settings).await?;
    let library = open_library(&settings, &store).await?;
    let loaders = usable_loaders(&settings, &library, strictness)?;
    let inventory = Arc::new(Inventory::new(store.clone(), library.clone(), from_file(&loaded, loaders)));
    let catalog = inventory.catalog()?;
    for warning in catalog.warnings() {
        tracing::warn!("{warning}");
    }
    let bus = Arc::new(EventBus::new(EVENTS_KEPT));
    let lives = Lives::load(store.clone())?;
    let kept = Memory::load(store.clone())?;
    let runs = Runs::load(store.clone())?;
    let wait = settings.boot.claim_wait;
    let world = World::waiting(catalog, bus.clone(), (sightings, kept), lives, wait).keeping(runs);
    let world = world.with_rollouts(Rollouts::load(store.clone())?).with_witness(witness(&settings));
    let world = Arc::new(world);
    let hooks = Arc::new(hooks::from_settings(&settings, world.clone())?);
    let follower = hooks::Follower::new(bus.clone(), hooks.clone());
    let importer = Arc::new(Importer::new(library.clone(), inventory.clone(), world.clone()));

    let tree = Tree::new(TreeParts {
        decider: world.clone(),
        ledger: world.clone(),
        library: library.clone(),
        http_port: settings.http.listen.port,
    });
    let logs = open_boot_logs(&settings, &world)?;
    let (stop, stopping) = watch::channel(false);
    let http = bind_http(&settings, budget, &tree, &world, &logs)?;
    let tftp = bind_tftp(&settings, budget, &interfaces, &tree, &world)?;
    let dhcp = bind_dhcp(&settings, &interfaces, leases, &store, &world)?;
    let inbox = settings.library.inbox.clone();
    let inbox = inbox.map(|path| Inbox::new(path, own_paths(&settings, &loaded), importer.clone()));
    let meters = Meters {
        listeners: listeners(&settings, &interfaces, http.addresses(), tftp.is_some(), dhcp.is_some()),
        dhcp: dhcp.as_ref().map(dhcp::Door::handle),
        tftp: tftp.as_ref().map(tftp::TftpDoor::counters),
        http: http.meter(),
        inbox: inbox.as_ref().map(Inbox::counters),
    };
    let daemon = Arc::new(Daemon {
        store: store.clone(),
        store_path: settings.store.path.clone(),
        library,
        inventory: inventory.clone(),
        world: world.clone(),
        importer: importer.clone(),
        hooks,
        logs,
        meters,
        settings: shown_settings(&loaded),
        files: files_of(&loaded),
        started,
        simulator: simulator(&settings, &interfaces),
    });
    let api = admin::Api::new(daemon.clone(), bus, stopping.clone());
    let admin = bind_admin(&settings, api)?;
    images::bring_in(&inventory, &importer, stopping.clone()).await;
    if let Some(inbox) = inbox {
        inbox.watch(stopping.clone());
    }

    let mut doors: JoinSet<()> = JoinSet::new();
    if let Some(follower) = follower {
        doors.spawn(hooks::serve(follower, stopping.clone()));
    }
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
    doors.spawn(look_for_trouble(looker, shutdown));
    doors.spawn(crate::backend::drive_rollouts(daemon, stopping.clone()));

    doors.spawn(room::tell(world.clone(), store.clone(), stopping.clone()));

    let names: Vec<String> = interfaces.iter().map(|interface| interface.name.to_string()).collect();
    world.record(
        Event::new(EventName::ServerReady)
            .with("interfaces", names.join(","))
            .with("start_ms", u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX)),
    );
    let signal = wait_for_signal().await?;
    world.record(Event::new(EventName::ServerStopping).because(signal));
    let _ = stop.send(true);
    importer.cancel_all();
    let all_ended = async { while doors.join_next().await.is_some() {} };
    if tokio::time::timeout(SHUTDOWN_PATIENCE, all_ended).await.is_err() {
        tracing::warn!("some transfers did not end in time and were cut off");
    }
    let closing = tokio::task::spawn_blocking(move || {
        world.look_for_trouble();
        store.close();
    });
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

async fn look_for_trouble(world: Arc<World>, mut shutdown: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => return,
            _ = ticks.tick() => {}
        }
        // It writes to the store: no worker of the doors waits for that.
        let looker = world.clone();
        if tokio::task::spawn_blocking(move || looker.look_for_trouble()).await.is_err() {
            tracing::error!("the look for boots that stopped panicked");
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

fn shown_settings(loaded: &Loaded) -> Vec<Setting> {
    let shown = |effective: &config::Effective| Setting {
        key: effective.key.clone(),
        value: effective.value.clone().into(),
        origin: effective.origin.to_string(),
    };
    loaded.origins.iter().map(shown).collect()
}

/// What must not be in a folder whose entries are moved.
fn own_paths(settings: &Settings, loaded: &Loaded) -> Vec<PathBuf> {
    let mut own =
        vec![settings.library.path.clone(), settings.store.path.clone(), settings.admin.socket.clone()];
    own.extend(files_of(loaded).into_iter().map(PathBuf::from));
    own
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
