//! A world of its own, to try a boot in: the same code, on a copy of what is remembered, and nothing of what it does is kept.
//!
//! Its events go to a bus nobody follows and into no log. Its lives are in memory only, so no arming is used up; its boot ids
//! and tokens are known to nobody else. What is copied: the lives of hosts, and of the machine that is tried its sighting, its
//! attempt and its claim.

use super::{Memory, Rollouts, Runs, Sightings, Witness, World, lock};
use admin::{EventBus, Stamped};
use arc_swap::ArcSwap;
use plan::Catalog;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use types::MacAddr;

/// Events of one rehearsal: an image of a thousand files, and some more.
const EVENTS_KEPT: usize = 4_096;

impl World {
    /// A world to try a boot of the machine with this hardware address in, under the catalog in force or another one.
    pub(crate) fn rehearsal(&self, catalog: Option<Catalog>, mac: Option<MacAddr>) -> World {
        let mut sightings = Sightings::default();
        if let Some(known) = mac.and_then(|mac| lock(&self.sightings).trusted(mac)) {
            sightings.see(&known);
        }
        let tracker = mac.map(|mac| lock(&self.tracker).only(mac)).unwrap_or_default();
        let claims = mac.map(|mac| lock(&self.claims).only(mac)).unwrap_or_default();
        World {
            catalog: ArcSwap::new(catalog.map_or_else(|| self.catalog.load_full(), Arc::new)),
            sightings: Mutex::new(sightings),
            tracker: Mutex::new(tracker),
            tickets: Mutex::default(),
            lives: self.lives.rehearsal(),
            rollouts: Rollouts::in_memory(),
            runs: Runs::default(),
            memory: Mutex::new(Memory::in_memory()),
            // What was told of a conflict an hour ago is the answer of this one.
            alarms: Mutex::new(lock(&self.alarms).untold()),
            doubts: ArcSwap::new(self.doubts.load_full()),
            untold: AtomicU64::new(0),
            // The machine that is tried is where it says.
            witness: Witness::default(),
            claims: Mutex::new(claims),
            claim_wait: self.claim_wait,
            refusals: Mutex::default(),
            bus: Arc::new(EventBus::new(EVENTS_KEPT)),
            timelines: Mutex::default(),
            rehearses: true,
        }
    }

    /// What happened after event number `since` of a rehearsal.
    pub(crate) fn happened(&self, since: u64) -> Vec<Arc<Stamped>> {
        self.bus.recent(since)
    }
}
