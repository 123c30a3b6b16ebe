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
pub(crate) use sightings::Sightings;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tickets::{Holder, Tickets};
use tree::{BootHolder, BootLedger, BootTicket, CallbackError};
use types::event::{Level, Value};
use types::resource::{Host, Image, Name};
use types::{Event, EventName, EventSink, Facts, MacAddr};

/// A machine that asks again and again for what it cannot have is told of once in this time.
const REFUSAL_REPEAT: Duration = Duration::from_secs(60);
/// Refusals remembered.
const REFUSALS_MAX: usize = 4096;

/// Everything the doors share.
pub(crate) struct World {
    catalog: ArcSwap<Catalog>,
    sightings: Mutex<Sightings>,
    tracker: Mutex<Tracker>,
    tickets: Mutex<Tickets>,
    /// When a refused boot was told last, by machine and image.
    refusals: Mutex<HashMap<(Option<MacAddr>, Name), Instant>>,
    bus: Arc<EventBus>,
}

impl World {
    /// What leases say of machines is known from the first packet on.
    pub(crate) fn new(catalog: Catalog, bus: Arc<EventBus>, sightings: Sightings) -> World {
        World {
            catalog: ArcSwap::from_pointee(catalog),
            sightings: Mutex::new(sightings),
            tracker: Mutex::default(),
            tickets: Mutex::default(),
            refusals: Mutex::default(),
            bus,
        }
    }

    /// Swaps the catalog whole; requests under way finish on the old one.
    pub(crate) fn replace_catalog(&self, catalog: Catalog) {
        self.catalog.store(Arc::new(catalog));
    }

    /// What is known of a machine.
    pub(crate) fn remembered(&self, mac: MacAddr) -> Option<Facts> {
        lock(&self.sightings).by_mac(mac).cloned()
    }

    /// Every machine that was seen, in no order.
    pub(crate) fn machines(&self) -> Vec<Facts> {
        lock(&self.sightings).all().cloned().collect()
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
        let known = facts.mac.and_then(|mac| lock(&self.sightings).trusted(mac));
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
        let new = lock(&self.sightings).see(facts);
        if new {
            self.publish(Event::new(EventName::HostSeen).of(facts));
        }
    }

    fn catalog(&self) -> Arc<Catalog> {
        self.catalog.load_full()
    }
}

/// The world as the HTTP door sees it: what it learns was said by whoever asked, not seen.
pub(crate) struct Hearsay(pub(crate) Arc<World>);

impl Decider for Hearsay {
    fn decide(&self, facts: &Facts) -> Verdict {
        self.0.decide(facts)
    }

    fn recall(&self, address: IpAddr) -> Option<Facts> {
        self.0.recall(address)
    }

    fn learn(&self, facts: &Facts) {
        let new = lock(&self.0.sightings).hear(facts);
        if new {
            self.0.publish(Event::new(EventName::HostSeen).of(facts));
        }
    }

    fn catalog(&self) -> Arc<Catalog> {
        Decider::catalog(&*self.0)
    }
}

impl World {
    /// True when an event was caused by somebody who only says to be the machine it is about. Fetched loaders count
    /// against their machine (the loop guard), so those must come from an address that DHCP gave it.
    fn is_an_impostors(&self, event: &Event) -> bool {
        let from = match event.field("from") {
            Some(Value::Text(text)) => text.parse::<IpAddr>().ok(),
            _ => None,
        };
        let (Some(mac), Some(from)) = (event.mac, from) else { return false };
        let sightings = lock(&self.sightings);
        match event.name {
            EventName::LoaderFetched => sightings.holder(from) != Some(mac),
            _ => sightings.denies(mac, from),
        }
    }
}

impl EventSink for World {
    /// Stamps the boot attempt on the event, then puts it on the bus and into the log.
    fn record(&self, mut event: Event) {
        if self.is_an_impostors(&event) {
            return self.publish(event);
        }
        let attempt = lock(&self.tracker).observe(Instant::now(), &event, tickets::new_boot_id);
        event.boot = event.boot.or(attempt);
        self.publish(event);
    }
}

impl BootLedger for World {
    fn begin_boot(&self, facts: &Facts, host: Option<&Host>, image: &Image) -> BootTicket {
        let denied = match (facts.mac, facts.address) {
            (Some(mac), Some(address)) => lock(&self.sightings).denies(mac, address),
            _ => false,
        };
        // What somebody else boots in a machine's name is none of that machine's attempts.
        let facts = if denied { &Facts { mac: None, guid: None, ..facts.clone() } } else { facts };
        let mut started = Event::new(EventName::BootStarted)
            .of(facts)
            .host(host.map(|host| host.name.shared()))
            .with("image", image.name.shared());
        if let (true, Some(address)) = (denied, facts.address) {
            started.level = Level::Warn;
            started = started.because("foreign_address").with("from", address);
        }
        let now = Instant::now();
        // Held over the whole: a HEAD and the GET beside it must see one ticket.
        let mut tickets = lock(&self.tickets);
        if let Some(ticket) = tickets.live(now, facts, &image.name) {
            return ticket;
        }
        let boot = lock(&self.tracker)
            .observe(now, &started, tickets::new_boot_id)
            .unwrap_or_else(tickets::new_boot_id);
        // Nor is what the record of that machine holds for its answer file: root's password, say.
        let ticket = tickets.issue(now, facts, host.filter(|_| !denied), &image.name, boot.clone());
        drop(tickets);
        self.publish(started.boot(Some(boot)));
        ticket
    }

    fn refuse_boot(&self, facts: &Facts, host: Option<&Host>, image: &Image, fault: &str) {
        let key = (facts.mac, image.name.clone());
        {
            let mut told = lock(&self.refusals);
            let now = Instant::now();
            if told.get(&key).is_some_and(|told| now.saturating_duration_since(*told) < REFUSAL_REPEAT) {
                return;
            }
            if told.len() >= REFUSALS_MAX {
                told.clear();
            }
            told.insert(key, now);
        }
        let event = Event::new(EventName::BootRefused)
            .of(facts)
            .host(host.map(|host| host.name.shared()))
            .with("image", image.name.shared())
            .with("cause", fault);
        self.publish(event);
    }

    fn holder(&self, token: &str, from: IpAddr) -> Result<BootHolder, CallbackError> {
        let Holder { boot, facts, host, image, .. } = self.ticket_holder(Instant::now(), token, from)?;
        Ok(BootHolder { boot, facts, host, image })
    }

    fn call_back(
        &self,
        token: &str,
        from: IpAddr,
        stage: &str,
        detail: Option<&str>,
    ) -> Result<(), CallbackError> {
        let now = Instant::now();
        let mac = self.ticket_holder(now, token, from)?.facts.mac;
        let holder = lock(&self.tickets).redeem(now, token, stage)?;
        // A token of an earlier boot says nothing of the one under way.
        let current =
            mac.is_some_and(|mac| lock(&self.tracker).attempt(mac).is_some_and(|own| own.id == holder.boot));
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
        if current {
            self.record(event);
        } else {
            self.publish(event);
        }
        Ok(())
    }
}

impl World {
    /// Whom a token belongs to. The system may have another address than its loader had, but not one that DHCP gave to
    /// another machine.
    fn ticket_holder(&self, now: Instant, token: &str, from: IpAddr) -> Result<Holder, CallbackError> {
        let holder = lock(&self.tickets).holder(now, token)?.clone();
        let mac = holder.facts.mac;
        let foreign =
            mac.is_some_and(|mac| lock(&self.sightings).holder(from).is_some_and(|other| other != mac));
        if foreign { Err(CallbackError::ForeignAddress) } else { Ok(holder) }
    }
}

/// A poisoned lock means a panic elsewhere; the maps behind it are still whole after every statement.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
