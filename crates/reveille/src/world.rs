//! The daemon's memory between two steps: the current catalog, who was seen where, boot attempts and their secrets.
//!
//! It decides nothing: every question goes to [`plan::decide`] with what is remembered added to what was said. All of it
//! may be lost in a restart; what must survive is in the store.

mod sightings;
mod tickets;

use admin::EventBus;
use arc_swap::ArcSwap;
use boots::{Attempt, Finding, Tracker};
use plan::{BootState, Catalog, Decider, Verdict};
use sightings::Sightings;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tickets::Tickets;
use tree::{BootLedger, BootTicket, CallbackError};
use types::resource::{Host, Image};
use types::{Event, EventName, EventSink, Facts, MacAddr};

/// Everything the doors share.
pub(crate) struct World {
    catalog: ArcSwap<Catalog>,
    sightings: Mutex<Sightings>,
    tracker: Mutex<Tracker>,
    tickets: Mutex<Tickets>,
    bus: Arc<EventBus>,
}

impl World {
    pub(crate) fn new(catalog: Catalog, bus: Arc<EventBus>) -> World {
        World {
            catalog: ArcSwap::from_pointee(catalog),
            sightings: Mutex::default(),
            tracker: Mutex::default(),
            tickets: Mutex::default(),
            bus,
        }
    }

    /// Swaps the catalog whole; requests under way finish on the old one.
    pub(crate) fn replace_catalog(&self, catalog: Catalog) {
        self.catalog.store(Arc::new(catalog));
    }

    /// What was seen of a machine, newest first by nothing in particular.
    pub(crate) fn remembered(&self, mac: MacAddr) -> Option<Facts> {
        lock(&self.sightings).by_mac(mac).cloned()
    }

    /// Puts a machine into memory without an event: leases read at start.
    pub(crate) fn preload(&self, facts: &Facts) {
        lock(&self.sightings).learn(facts);
    }

    /// The newest attempt of every machine.
    pub(crate) fn attempts(&self) -> Vec<(MacAddr, Attempt)> {
        lock(&self.tracker).attempts().map(|(mac, attempt)| (mac, attempt.clone())).collect()
    }

    /// Looks for attempts that stopped and records what it finds. Called every few seconds.
    pub(crate) fn look_for_trouble(&self) {
        let findings = lock(&self.tracker).findings(Instant::now());
        for (mac, attempt, finding) in findings {
            let event = match finding {
                Finding::Stuck { stage } => Event::new(EventName::BootStuck).because(stage.as_str()),
                Finding::Silent => Event::new(EventName::BootSilent),
            };
            let mut event = event.host(attempt.host.clone()).boot(Some(attempt.id.clone()));
            event.mac = Some(mac);
            self.publish(event.with("idle_secs", attempt.last.elapsed().as_secs()));
        }
        lock(&self.tickets).expire(Instant::now());
    }

    /// `decide` for a machine as it would ask at another stage: what `explain` shows.
    pub(crate) fn decide_for(&self, facts: &Facts) -> Verdict {
        Decider::decide(self, facts)
    }

    fn publish(&self, event: Event) {
        crate::log::event(&event);
        self.bus.record(event);
    }
}

impl Decider for World {
    fn decide(&self, facts: &Facts) -> Verdict {
        let known = facts.mac.and_then(|mac| self.remembered(mac));
        let whole = known.map(|known| facts.clone().or(&known));
        let loader_fetches =
            facts.mac.map_or(0, |mac| lock(&self.tracker).loader_fetches(Instant::now(), mac));
        plan::decide(
            &self.catalog.load(),
            whole.as_ref().unwrap_or(facts),
            &BootState { armed: false, loader_fetches },
        )
    }

    fn recall(&self, address: IpAddr) -> Option<Facts> {
        lock(&self.sightings).by_address(address).cloned()
    }

    fn learn(&self, facts: &Facts) {
        if lock(&self.sightings).learn(facts) {
            self.publish(Event::new(EventName::HostSeen).of(facts));
        }
    }

    fn catalog(&self) -> Arc<Catalog> {
        self.catalog.load_full()
    }
}

impl EventSink for World {
    /// Stamps the boot attempt on the event, then puts it on the bus and into the log.
    fn record(&self, mut event: Event) {
        let attempt = lock(&self.tracker).observe(Instant::now(), &event, tickets::new_boot_id);
        event.boot = event.boot.or(attempt);
        self.publish(event);
    }
}

impl BootLedger for World {
    fn begin_boot(&self, facts: &Facts, host: Option<&Host>, image: &Image) -> BootTicket {
        let started = Event::new(EventName::BootStarted)
            .of(facts)
            .host(host.map(|host| host.name.shared()))
            .with("image", image.name.shared());
        let now = Instant::now();
        if let Some(ticket) = lock(&self.tickets).live(now, facts.mac, &image.name) {
            return ticket;
        }
        let boot = lock(&self.tracker)
            .observe(now, &started, tickets::new_boot_id)
            .unwrap_or_else(tickets::new_boot_id);
        let ticket = lock(&self.tickets).issue(now, facts, host, &image.name, boot.clone());
        self.publish(started.boot(Some(boot)));
        ticket
    }

    fn call_back(
        &self,
        token: &str,
        from: IpAddr,
        stage: &str,
        detail: Option<&str>,
    ) -> Result<(), CallbackError> {
        let holder = lock(&self.tickets).redeem(Instant::now(), token, stage)?;
        let name = match stage {
            "up" => EventName::BootUp,
            "failed" => EventName::BootFailed,
            _ => EventName::BootStage,
        };
        let mut event = Event::new(name)
            .of(&holder.facts)
            .host(holder.host)
            .boot(Some(holder.boot))
            .with("image", holder.image.shared())
            .with("address", from);
        if name == EventName::BootStage {
            event = event.with("reported", stage);
        }
        if let Some(detail) = detail {
            event = event.with("detail", detail);
        }
        self.record(event);
        Ok(())
    }
}

/// A poisoned lock means a panic elsewhere; the maps behind it are still whole after every statement.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
