//! The daemon's memory between two steps: the current catalog, who was seen where, boot attempts and their secrets.
//!
//! It decides nothing: every question goes to [`plan::decide`] with what is remembered added to what was said. Attempts and
//! their secrets may be lost in a restart; what must survive is in the store ([`lives`], [`memory`]).

mod alarms;
mod bundles;
mod claims;
mod identity;
mod limits;
mod lives;
mod memory;
mod rehearsal;
mod rollouts;
mod sightings;
mod tickets;
mod traced;
mod twins;
mod witness;

use admin::EventBus;
use alarms::{Alarms, Doubts};
use arc_swap::ArcSwap;
use boots::life::{Effect, Gate, ImageRef, Life, LifeEvent, Meant, NextBoot, Report, Timeouts};
use boots::timeline::Timelines;
use boots::{Attempt, Finding, Tracker};
pub(crate) use bundles::Runs;
use claims::{Claims, Waits};
pub(crate) use identity::Differs;
pub(crate) use lives::{LifeFault, Lives};
pub(crate) use memory::{Loaded, Memory};
use plan::{BootState, Catalog, Decider, Ordered, Verdict};
pub(crate) use rollouts::{RolloutFault, Rollouts};
pub(crate) use sightings::Sightings;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tickets::{Holder, Tickets};
pub(crate) use traced::{Glance, Told};
use tree::{BootHolder, BootLedger, BootTicket, BundleReport, CallbackError, Held, Opener};
use types::event::{Level, Value};
use types::resource::{Host, Image, Name};
use types::{Event, EventName, EventSink, Facts, MacAddr, Stage, UnixTime};
use witness::Doubt;
pub(crate) use witness::Witness;

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
    lives: Lives,
    rollouts: Rollouts,
    runs: Runs,
    claims: Mutex<Claims>,
    memory: Mutex<Memory>,
    alarms: Mutex<Alarms>,
    /// GUIDs that count nothing, as the alarms have it.
    doubts: ArcSwap<Doubts>,
    /// Events about identities that were more than are told.
    untold: AtomicU64,
    witness: Witness,
    /// How long an unknown machine waits.
    claim_wait: Duration,
    /// When a refused boot was told last, by machine and image.
    refusals: Mutex<HashMap<(Option<MacAddr>, Name), Instant>>,
    bus: Arc<EventBus>,
    /// What happened in each boot.
    timelines: Mutex<Timelines>,
    /// Nothing of it is real: see `rehearsal`.
    rehearses: bool,
}

impl World {
    /// What leases say of machines is known from the first packet on.
    #[cfg(test)]
    pub(crate) fn new(catalog: Catalog, bus: Arc<EventBus>, sightings: Sightings, lives: Lives) -> World {
        let loaded = Loaded { memory: Memory::in_memory(), machines: Vec::new(), alarms: Vec::new() };
        World::waiting(catalog, bus, (sightings, loaded), lives, Duration::from_secs(600))
    }

    /// The same, where unknown machines wait so long to be recorded. What was kept of machines is known as well.
    pub(crate) fn waiting(
        catalog: Catalog,
        bus: Arc<EventBus>,
        (mut sightings, kept): (Sightings, Loaded),
        lives: Lives,
        claim_wait: Duration,
    ) -> World {
        sightings.recall(kept.machines);
        let alarms = Alarms::of(kept.alarms, unix_now().0);
        World {
            doubts: ArcSwap::from_pointee(alarms.doubts()),
            alarms: Mutex::new(alarms),
            memory: Mutex::new(kept.memory),
            untold: AtomicU64::new(0),
            catalog: ArcSwap::from_pointee(catalog),
            sightings: Mutex::new(sightings),
            tracker: Mutex::default(),
            tickets: Mutex::default(),
            lives,
            rollouts: Rollouts::in_memory(),
            runs: Runs::default(),
            claims: Mutex::default(),
            witness: Witness::default(),
            claim_wait,
            refusals: Mutex::default(),
            bus,
            timelines: Mutex::default(),
            rehearses: false,
        }
    }

    /// With the rollouts that are under way.
    pub(crate) fn with_rollouts(self, rollouts: Rollouts) -> World {
        World { rollouts, ..self }
    }

    /// Changes of many hosts.
    pub(crate) fn rollouts(&self) -> &Rollouts {
        &self.rollouts
    }

    /// The same, with somebody to ask who is at an address.
    pub(crate) fn with_witness(self, witness: Witness) -> World {
        World { witness, ..self }
    }

    /// Swaps the catalog whole; requests under way finish on the old one.
    pub(crate) fn replace_catalog(&self, catalog: impl Into<Arc<Catalog>>) {
        self.catalog.store(catalog.into());
    }

    /// What is known of a machine.
    pub(crate) fn remembered(&self, mac: MacAddr) -> Option<Facts> {
        lock(&self.sightings).by_mac(mac).cloned()
    }

    /// Every machine that was seen, in no order.
    pub(crate) fn machines(&self) -> Vec<Facts> {
        lock(&self.sightings).all().cloned().collect()
    }

    /// The code of an unknown machine that waits or waited, and for how long it has.
    pub(crate) fn claim(&self, mac: MacAddr) -> Option<(Arc<str>, Duration)> {
        lock(&self.claims).of(mac).map(|claim| (claim.code.clone(), claim.since.elapsed()))
    }

    /// The newest attempt of every machine.
    pub(crate) fn attempts(&self) -> Vec<(MacAddr, Attempt)> {
        lock(&self.tracker).attempts().map(|(mac, attempt)| (mac, attempt.clone())).collect()
    }

    /// Looks for attempts that stopped and records what it finds, and writes what was observed of hosts and machines. Called every few
    /// seconds, and once at the end. Blocks on the disk.
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
        let catalog = self.catalog.load();
        for (host, event) in self.lives.take_notes() {
            // It may have been removed since.
            if catalog.host(host.as_str()).is_none() {
                continue;
            }
            if let Err(fault) = self.live(&host, event) {
                tracing::debug!(%host, "what was noticed of it does not apply: {fault}");
            }
        }
        for (host, life) in self.lives.all() {
            let waits = life.arming.is_some() || life.one_shot.is_some() || life.quarantine.is_some();
            if life.phase.is_under_way() || waits {
                let tick = LifeEvent::Tick { timeouts: Timeouts::default() };
                if let Err(fault) = self.live(&host, tick) {
                    tracing::debug!(%host, "time does not apply to it: {fault}");
                }
            }
        }
        self.lives.flush();
        self.look_at_machines();
        self.runs.flush();
    }

    /// Something happens to a host: made durable, then told. Blocks on the disk.
    pub(crate) fn live(&self, host: &Name, event: LifeEvent) -> Result<Arc<Life>, LifeFault> {
        let (life, effects) = self.lives.apply(unix_now(), host, event)?;
        self.rollouts.hear(host, &effects, &life);
        let catalog = self.catalog.load();
        let mac = catalog.host(host.as_str()).and_then(|host| host.identity.mac.0.first().copied());
        for mut event in effects.iter().filter_map(|effect: &Effect| lives::event_of(host, effect)) {
            event.mac = mac;
            self.publish(event);
        }
        Ok(life)
    }

    /// What is known of a recorded host: its record, and what was seen of it, with whether its GUID is to be believed.
    pub(crate) fn known(&self, host: &Host) -> Facts {
        let seen = host.identity.mac.0.iter().find_map(|&mac| self.remembered(mac));
        self.doubted(plan::known(host, seen.as_ref()))
    }

    /// What is remembered of a host.
    pub(crate) fn life(&self, host: &Name) -> Option<Arc<Life>> {
        self.lives.of(host)
    }

    /// Hosts are recorded no more, if `commit` can delete them and what is remembered of them from the store. Blocks on the disk.
    pub(crate) fn remove_hosts<T, E>(
        &self,
        hosts: &[Name],
        commit: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        self.lives.remove_with(hosts, || self.runs.remove_with(hosts, commit))
    }

    /// What this machine does next, with what is remembered of its host.
    fn decide_with_life(&self, facts: &Facts, loader_fetches: u32) -> Verdict {
        let catalog = self.catalog.load();
        let Some(host) = catalog.identify(facts) else {
            return plan::decide(&catalog, facts, &BootState { loader_fetches, ..BootState::default() });
        };
        if self.lives.is_unreadable(&host.name) {
            let why = |_: &Image| Err(LifeFault::Unreadable.to_string().into());
            let state = BootState { loader_fetches, gate: plan::Gate::Ask(&why), ..BootState::default() };
            return plan::decide(&catalog, facts, &state);
        }
        let Some(life) = self.lives.of(&host.name) else {
            return plan::decide(&catalog, facts, &BootState { loader_fetches, ..BootState::default() });
        };
        let now = unix_now();
        let boot = facts.mac.and_then(|mac| lock(&self.tracker).continues(Instant::now(), mac, facts.stage));
        let boot = boot.as_deref();
        let (ordered, spared) = match boots::life::next(&life, boot, now) {
            NextBoot::Nothing { by, reason } => {
                (Some(Ordered::Nothing { why: format!("by {by}: {reason}").into() }), None)
            }
            NextBoot::Image { image: ImageRef { name, version }, by } => {
                (Some(Ordered::Image { image: name, version, by }), None)
            }
            NextBoot::LocalDisk { by } => {
                let by = by.unwrap_or_else(|| "its one-shot of a moment ago".into());
                (Some(Ordered::LocalDisk { by }), None)
            }
            NextBoot::PinsExcept { image, why } => (None, Some((image, why.to_string()))),
            NextBoot::Pins => (None, None),
        };
        let gate = |image: &Image| -> Result<(), Arc<str>> {
            let asked = ImageRef::of(&image.name);
            let permit = boots::life::permits(&life, Gate::Begin, boot, &asked, now);
            permit.map(drop).map_err(|denied| match &spared {
                Some((except, why)) if except.name == asked.name => why.as_str().into(),
                _ => denied.to_string().into(),
            })
        };
        let state = BootState { loader_fetches, ordered: ordered.as_ref(), gate: plan::Gate::Ask(&gate) };
        plan::decide(&catalog, facts, &state)
    }

    /// `decide` for a machine as it would ask at another stage: what `explain` shows.
    pub(crate) fn decide_for(&self, facts: &Facts) -> Verdict {
        Decider::decide(self, facts)
    }

    fn publish(&self, event: Event) {
        if !self.rehearses {
            crate::log::event(&event);
            self.trace(&event);
        }
        self.bus.record(event);
    }
}

impl Decider for World {
    fn decide(&self, facts: &Facts) -> Verdict {
        let whole = self.whole(facts);
        let loader_fetches =
            facts.mac.map_or(0, |mac| lock(&self.tracker).loader_fetches(Instant::now(), mac));
        self.decide_with_life(&whole, loader_fetches)
    }

    fn is_recorded(&self, facts: &Facts) -> bool {
        self.catalog.load().identify(&self.whole(facts)).is_some()
    }

    fn recall(&self, address: IpAddr) -> Option<Facts> {
        lock(&self.sightings).by_address(address).cloned()
    }

    fn learn(&self, facts: &Facts) {
        let new = lock(&self.sightings).at(unix_now()).see(facts);
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
        let new = lock(&self.0.sightings).at(unix_now()).hear(facts);
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
        if !self.note_machine(&event) {
            return;
        }
        self.notice_local_disk(&event);
        self.notice_lease(&event);
        let attempt = lock(&self.tracker).observe(Instant::now(), &event, tickets::new_boot_id);
        event.boot = event.boot.or(attempt);
        self.publish(event);
    }
}

impl World {
    /// An address went to a system that runs.
    fn notice_lease(&self, event: &Event) {
        if event.name == EventName::DhcpAck
            && event.stage == Some(Stage::Os)
            && let (Some(mac), Some(Value::Text(address))) = (event.mac, event.field("address"))
            && let Ok(address) = address.parse()
        {
            lock(&self.sightings).lend(mac, address);
        }
    }

    /// What speaks against this being the machine it says it is.
    fn doubt(&self, facts: &Facts, host: Option<&Host>) -> Option<Doubt> {
        let cards = facts.address.map(|address| self.witness.cards(address)).unwrap_or_default();
        self.witness.doubt(&lock(&self.sightings), &cards, facts, host)
    }

    /// A recorded host asked and was sent to its own disk.
    fn notice_local_disk(&self, event: &Event) {
        let says =
            |value: Option<&Value>| matches!(value, Some(Value::Text(text)) if &**text == "local_disk");
        let to_disk = match event.name {
            EventName::DhcpOffer => says(event.field("left_alone")),
            EventName::DhcpIgnored => event.reason == Some("local_disk"),
            _ => return,
        };
        let host = event.host.as_deref().and_then(|host| host.parse::<Name>().ok()).or_else(|| {
            let facts = Facts { mac: event.mac, guid: event.guid, ..Facts::default() };
            self.catalog.load().identify(&self.doubted(facts)).map(|host| host.name.clone())
        });
        if let (true, Some(host)) = (to_disk, host) {
            self.lives.note(host, LifeEvent::SentToDisk { boot: None });
        }
    }
}

impl BootLedger for World {
    fn begin_boot(&self, facts: &Facts, host: Option<&Host>, image: &Image) -> Result<BootTicket, String> {
        let denied = self.doubt(facts, host).is_some();
        // What somebody else boots in a machine's name is none of that machine's attempts.
        let facts = if denied {
            &Facts { mac: None, guid: None, serial: None, asset: None, ..facts.clone() }
        } else {
            facts
        };
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
        // Nor is what the record of that machine holds for its answer file: root's password, say.
        let host = host.filter(|_| !denied);
        if let Some(ticket) = tickets.live(now, facts, &image.name) {
            drop(tickets);
            self.begin_life(host, &ticket.boot, image)?;
            self.tell_meant(facts, host, &ticket.boot, image);
            return Ok(ticket);
        }
        let boot = lock(&self.tracker)
            .observe(now, &started, tickets::new_boot_id)
            .unwrap_or_else(tickets::new_boot_id);
        self.begin_life(host, &boot, image)?;
        let ticket = tickets.issue(now, facts, host, &image.name, boot.clone());
        drop(tickets);
        // Off the lock that every boot takes: it looks at the scripts and the answer file of the machine.
        self.tell_meant(facts, host, &boot, image);
        self.publish(started.boot(Some(boot)));
        Ok(ticket)
    }

    fn vouch(&self, facts: &Facts, host: Option<&Host>) -> Result<(), String> {
        self.doubt(facts, host).map_or(Ok(()), |doubt| Err(doubt.to_string()))
    }

    fn open_payload(&self, opener: Opener<'_>, image: &Image) -> Result<(), String> {
        let found = match opener {
            Opener::Address(from) => {
                let tickets = lock(&self.tickets);
                tickets.of_source(from, &image.name).map(|holder| (holder.boot.clone(), holder.host.clone()))
            }
            Opener::Holder(holder) => Some((holder.boot.clone(), holder.host.clone())),
        };
        match found {
            Some((boot, Some(host))) => {
                let Ok(host) = host.parse::<Name>() else { return Ok(()) };
                let (reference, destructive) = (ImageRef::of(&image.name), image.destructive);
                let event = LifeEvent::PayloadOpened { boot, image: reference, destructive };
                match self.live(&host, event) {
                    Ok(_) => Ok(()),
                    // What erases nothing is given whatever the store says.
                    Err(fault) if !destructive => {
                        tracing::debug!(%host, "a boot of it is not remembered: {fault}");
                        Ok(())
                    }
                    Err(fault) => Err(fault.to_string()),
                }
            }
            _ if image.destructive => {
                Err("it may erase a disk, and no armed host began a boot of it from this address".to_owned())
            }
            _ => Ok(()),
        }
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
        let mut event = Event::new(EventName::BootRefused)
            .of(facts)
            .host(host.map(|host| host.name.shared()))
            .with("image", image.name.shared())
            .with("cause", fault);
        if let Some(address) = facts.address {
            event = event.with("from", address);
        }
        self.publish(event);
    }

    fn hold(&self, facts: &Facts) -> Option<Held> {
        let mac = facts.mac?;
        // Who only says to be that machine neither begins its time nor spends it.
        if facts.address.is_some_and(|address| lock(&self.sightings).denies(mac, address)) {
            return None;
        }
        let waits = lock(&self.claims).ask(Instant::now(), mac, self.claim_wait, tickets::random_128());
        let (code, left, name) = match waits {
            Waits::On(code, left) => return Some(Held { code, left }),
            Waits::Over => return None,
            Waits::Begins(code) => (code, Some(self.claim_wait), EventName::HostHeld),
            Waits::Ends(code) => (code, None, EventName::HostHoldEnded),
        };
        self.publish(Event::new(name).of(facts).with("code", code.clone()));
        left.map(|left| Held { code, left })
    }

    fn holder(&self, token: &str, from: IpAddr) -> Result<BootHolder, CallbackError> {
        let holder = self.caller(token, from)?;
        let cards = self.witness.cards(from);
        let catalog = self.catalog.load();
        let record = holder.host.as_deref().and_then(|host| catalog.host(host));
        let listed = record.map_or(&[][..], |host| &host.identity.mac.0);
        // It holds what is for the machine alone: on our own segments its card must be there.
        let own = |card: &MacAddr| holder.facts.mac == Some(*card) || listed.contains(card);
        if holder.facts.mac.is_some() && !cards.is_empty() && !cards.iter().any(own) {
            return Err(CallbackError::ForeignAddress);
        }
        Ok(holder)
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
        if let Some(host) = holder.host.as_deref().and_then(|host| host.parse::<Name>().ok()) {
            let detail = detail.map(Arc::from);
            let reported =
                LifeEvent::Reported { boot: holder.boot.clone(), report: Report::of(stage), detail };
            if let Err(fault) = self.live(&host, reported) {
                tracing::warn!(%host, stage, "a report of a host is not remembered: {fault}");
            }
        }
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

    fn report_bundle(&self, token: &str, from: IpAddr, report: &BundleReport) -> Result<(), CallbackError> {
        self.bundle_reported(token, from, report, Instant::now())
    }
}

/// The wall clock. Before 1970 it is no clock.
pub(crate) fn unix_now() -> UnixTime {
    UnixTime(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

impl World {
    /// The boot of a host begins, if it may.
    fn begin_life(&self, host: Option<&Host>, boot: &Arc<str>, image: &Image) -> Result<(), String> {
        let Some(host) = host else {
            return match image.destructive {
                true => Err("it may erase a disk, and only a recorded host can be armed for it".to_owned()),
                false => Ok(()),
            };
        };
        let (reference, destructive) = (ImageRef::of(&image.name), image.destructive);
        let event = LifeEvent::BootBegan { boot: boot.clone(), image: reference, destructive };
        match self.live(&host.name, event) {
            Ok(_) => Ok(()),
            Err(fault) if !destructive && !matches!(fault, LifeFault::Refused(_)) => {
                tracing::warn!(host = %host.name, "a boot of it is not remembered: {fault}");
                Ok(())
            }
            Err(fault) => Err(fault.to_string()),
        }
    }

    /// What a boot of a host that began is made of: what drift is told by. Losing it costs a note there.
    fn tell_meant(&self, facts: &Facts, host: Option<&Host>, boot: &Arc<str>, image: &Image) {
        let Some(host) = host else { return };
        let plan::Meant { version, values } =
            plan::Fleet::new(&self.catalog.load()).meant_for(&self.whole(facts), image);
        let meant = Meant { boot: boot.clone(), version, values: Some(values) };
        if let Err(fault) = self.live(&host.name, LifeEvent::BootMeant { meant }) {
            tracing::debug!(host = %host.name, "what its boot is made of is not remembered: {fault}");
        }
    }

    /// Whom a token belongs to that is used to tell us something: it opens nothing.
    pub(crate) fn caller(&self, token: &str, from: IpAddr) -> Result<BootHolder, CallbackError> {
        let Holder { boot, facts, host, image, .. } = self.ticket_holder(Instant::now(), token, from)?;
        Ok(BootHolder { boot, facts, host, image })
    }

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
