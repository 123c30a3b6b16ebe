//! Health and status: listeners, counters by door, store and catalog.

use super::Daemon;
use admin::view::{CatalogStatus, Check, EventStatus, Health, Listener, Status, StoreStatus, timestamp};
use plan::Decider;
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};
use store::Room;

/// The counters of the doors that run.
pub(crate) struct Meters {
    pub(crate) listeners: Vec<Listener>,
    pub(crate) dhcp: Option<dhcp::Handle>,
    pub(crate) tftp: Option<std::sync::Arc<tftp::Counters>>,
    pub(crate) http: http_door::Meter,
    pub(crate) inbox: Option<std::sync::Arc<crate::inbox::Counters>>,
}

pub(super) fn health(daemon: &Daemon) -> Health {
    let store = daemon.store.status();
    let detail = store.room.reason().map(|reason| format!("{}: {reason}", store.room.as_str()));
    let checks = vec![Check { name: "store".to_owned(), ok: store.room == Room::Plenty, detail }];
    Health { ok: checks.iter().all(|check| check.ok), checks }
}

pub(super) fn status(daemon: &Daemon) -> Status {
    let store = daemon.store.status();
    let catalog = daemon.world.catalog();
    let uptime = daemon.started.elapsed();
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(uptime);
    Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started: timestamp(u64::try_from(started.as_millis()).unwrap_or(u64::MAX)),
        uptime_secs: uptime.as_secs(),
        listeners: daemon.meters.listeners.clone(),
        counters: counters(daemon),
        store: StoreStatus {
            path: daemon.store_path.display().to_string(),
            revision: store.revision.0,
            writable: store.read_only.is_none(),
            room: store.room.as_str().to_owned(),
            reason: store.room.reason().map(str::to_owned),
            numbers: [
                ("checkpoint".to_owned(), store.checkpoint.map_or(0, |revision| revision.0)),
                ("findings".to_owned(), store.findings.len() as u64),
                ("index_on_disk".to_owned(), u64::from(store.index_on_disk)),
                ("used_bytes".to_owned(), store.space.used),
                ("quota_bytes".to_owned(), store.space.quota),
                ("free_bytes".to_owned(), store.space.free),
                ("ballast_bytes".to_owned(), store.space.ballast),
            ]
            .into(),
        },
        catalog: CatalogStatus {
            generation: catalog.generation,
            hosts: catalog.hosts().count() as u64,
            images: catalog.images().count() as u64,
        },
        events: EventStatus::default(),
    }
}

fn counters(daemon: &Daemon) -> BTreeMap<String, BTreeMap<String, u64>> {
    let (meters, mut all) = (&daemon.meters, BTreeMap::new());
    if let Some(dhcp) = &meters.dhcp {
        let counters = dhcp.counters();
        let mut flat: BTreeMap<String, u64> = [
            ("received", counters.received),
            ("truncated", counters.truncated),
            ("receive_failed", counters.receive_failed),
            ("sent", counters.sent),
            ("send_failed", counters.send_failed),
            ("committed", counters.committed),
            ("commit_failed", counters.commit_failed),
            ("fallbacks", counters.fallbacks),
            ("probes", counters.probes),
            ("probes_answered", counters.probes_answered),
            ("probes_given_up", counters.probes_given_up),
            ("unprobed", counters.unprobed),
            ("batches", counters.batches),
            ("option_faults", counters.option_faults),
        ]
        .map(|(name, count)| (name.to_owned(), count))
        .into();
        for (kind, counts) in
            [("replies", &counters.replies), ("ignored", &counters.ignored), ("refused", &counters.refused)]
        {
            flat.extend(counts.iter().map(|(reason, count)| (format!("{kind}.{reason}"), *count)));
        }
        all.insert("dhcp".to_owned(), flat);
    }
    if let Some(tftp) = &meters.tftp {
        let snapshot = tftp.snapshot();
        all.insert(
            "tftp".to_owned(),
            snapshot.entries().map(|(name, count)| (name.to_owned(), count)).collect(),
        );
    }
    if let Some(inbox) = &meters.inbox {
        let pairs = inbox.pairs().into_iter();
        all.insert("inbox".to_owned(), pairs.map(|(name, count)| (name.to_owned(), count)).collect());
    }
    if !daemon.hooks.is_empty() {
        let mut flat = BTreeMap::new();
        for state in daemon.hooks.states() {
            let counts = state.counts;
            for (name, count) in [
                ("delivered", counts.delivered),
                ("failed", counts.failed),
                ("dropped", counts.dropped),
                ("missed", counts.missed),
                ("tries", counts.tries),
                ("waiting", state.waiting as u64),
            ] {
                flat.insert(format!("{}.{name}", state.name), count);
            }
        }
        all.insert("hooks".to_owned(), flat);
    }
    all.insert("machines".to_owned(), daemon.world.memory_numbers());
    let logs = daemon.logs.counts().map(|(name, count)| (name.to_owned(), count));
    all.insert("boot_logs".to_owned(), logs.into());
    let pairs = meters.http.snapshot().pairs();
    all.insert("http".to_owned(), pairs.into_iter().map(|(name, count)| (name.to_owned(), count)).collect());
    all
}
