//! What has to be there before a door is opened: interfaces, store, library, loaders, leases.

use super::Strictness;
use crate::bootlogs::{BootLogs, Bounds};
use crate::choose;
use crate::failure::{Exit, Failure, chain};
use crate::inventory::FromFile;
use crate::world::{Sightings, World};
use config::{AssetPath, Assets, Loaded, Settings, UnknownHosts};
use library::{Library, LibraryError, LibraryOptions};
use net::interface::Interface;
use plan::UnknownPolicy;
use std::net::Ipv4Addr;
use std::num::NonZero;
use std::sync::Arc;
use store::records::decode_lease;
use store::{RecordError, Store, StoreError, StoreOptions, Table};
use types::lease::LeaseRecord;
use types::subnet::LoaderChoice;

/// Fewer are decoded faster than a thread starts.
const DECODED_ALONE_MAX: usize = 1_000;

/// The interfaces of the settings, or every wired one with an address.
pub(super) fn served_interfaces(settings: &Settings) -> Result<Vec<Interface>, Failure> {
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
pub(super) fn refuse_own_addresses_in_pools(settings: &Settings) -> Result<(), Failure> {
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

/// The leases of the store, and the machines they tell of.
pub(super) type Leased = (Vec<LeaseRecord>, Sightings);

/// The store, and what its leases say.
pub(super) async fn open_store(settings: &Settings) -> Result<(Store, Leased), Failure> {
    let options = StoreOptions {
        quota_bytes: settings.store.quota_bytes,
        ballast_bytes: settings.store.ballast_bytes,
        ..StoreOptions::new(&settings.store.path)
    };
    let opening =
        tokio::task::spawn_blocking(move || Store::open_reading(&options, Table::Leases, read_leases));
    let opened =
        opening.await.map_err(|error| Failure::new("R-STO-03", "cannot open the store").cause(error))?;
    let (store, leases) = opened.map_err(|error| {
        let failure =
            Failure::new("R-STO-03", format!("cannot open the store {}", settings.store.path.display()))
                .cause(chain(&error));
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
    let leases = leases.map_err(|error| {
        Failure::new("R-STO-02", "cannot read the leases")
            .cause(chain(&error))
            .fix("keep a copy of the store folder and report it")
    })?;
    Ok((store, leases))
}

pub(super) async fn open_library(settings: &Settings, store: &Store) -> Result<Library, Failure> {
    let options = LibraryOptions {
        loader_sources: loader_sources(&settings.assets),
        // This program once more, confined: media come from strangers.
        media_reader: library::Reader::Child { program: "/proc/self/exe".into() },
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

/// The logs that installers sent, beside the images.
pub(super) fn open_boot_logs(settings: &Settings, world: &Arc<World>) -> Result<BootLogs, Failure> {
    let folder = settings.library.path.join("logs");
    BootLogs::open(folder.clone(), Bounds::default(), world.clone(), world.clone()).map_err(|error| {
        Failure::new("R-LOG-02", format!("cannot open the folder of boot logs {}", folder.display()))
            .cause(error)
            .fix("run as root, or set library.path to a folder this user may write")
    })
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
pub(super) fn usable_loaders(
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

pub(super) fn from_file(loaded: &Loaded, loaders: Vec<LoaderChoice>) -> FromFile {
    let owner = |origin: &config::Origin| match origin {
        config::Origin::File { .. } => format!("file:{origin}"),
        other => other.to_string(),
    };
    let settings = &loaded.settings;
    FromFile {
        hosts: loaded.hosts.iter().cloned().zip(loaded.host_origins.iter().map(owner)).collect(),
        images: loaded.images.iter().cloned().zip(loaded.image_origins.iter().map(owner)).collect(),
        templates: loaded.templates.iter().cloned().zip(loaded.template_origins.iter().map(owner)).collect(),
        bundles: loaded.bundles.iter().cloned().zip(loaded.bundle_origins.iter().map(owner)).collect(),
        groups: loaded.groups.iter().cloned().zip(loaded.group_origins.iter().map(owner)).collect(),
        rules: loaded.rules.iter().cloned().zip(loaded.rule_origins.iter().map(owner)).collect(),
        site: settings.site.clone(),
        default_image: settings.boot.default_image.clone(),
        unknown: match settings.dhcp.unknown_hosts {
            UnknownHosts::Menu => UnknownPolicy::Menu,
            UnknownHosts::LocalDisk => UnknownPolicy::LocalDisk,
            UnknownHosts::Ignore => UnknownPolicy::Ignore,
            UnknownHosts::Claim => UnknownPolicy::Claim,
        },
        loaders,
        loop_limit: Some(settings.boot.loop_limit),
    }
}

fn read_leases(stored: &[(&[u8], &[u8])]) -> Result<Leased, RecordError> {
    let leases = decode_leases(stored)?;
    let sightings = Sightings::of(&leases);
    Ok((leases, sightings))
}

/// On all cores: it is most of a start with many leases.
fn decode_leases(stored: &[(&[u8], &[u8])]) -> Result<Vec<LeaseRecord>, RecordError> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let decode = |part: &[(&[u8], &[u8])]| {
        part.iter().map(|(_, value)| decode_lease(value)).collect::<Result<Vec<_>, _>>()
    };
    if stored.len() < DECODED_ALONE_MAX {
        return decode(stored);
    }
    std::thread::scope(|scope| {
        let parts = stored.chunks(stored.len().div_ceil(cores));
        let parts: Vec<_> = parts.map(|part| scope.spawn(move || decode(part))).collect();
        let mut leases = Vec::with_capacity(stored.len());
        for part in parts {
            leases.append(&mut part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok(leases)
    })
}
