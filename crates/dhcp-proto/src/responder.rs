//! One datagram in, one [`Outcome`] out.
//!
//! ```text
//! decode ► sanity, relay ► subnet and mode ─┬─ server: DISCOVER REQUEST DECLINE RELEASE INFORM   (responder/server.rs)
//!                                           ├─ proxy:  DISCOVER on 67, REQUEST and INFORM on 4011 (responder/proxy.rs)
//!                                           └─ off
//! ```
//!
//! Invariants: every request ends in at most one reply; an ACK that grants or extends carries its record in
//! [`Action::commit`] until [`Responder::committed`] said it is durable; a proxy answer never leases and never refuses; whatever
//! is not answered has exactly one [`IgnoreReason`]. Work per packet is bounded and everything remembered has a limit.
//!
//! Renewals: every extension is committed. A repeated REQUEST is not one (see [`Table::bind`](crate::lease::Table::bind)).
//!
//! Time: deadlines run on the monotonic clock. Records are dated by the *lease clock*: the wall clock as it was when it was
//! last taken over, carried on by the monotonic one. When the wall clock is set, [`Responder::tick`] says so, and all
//! records move to the new one at once ([`Redating`]); a crash in between finds records and clock of one kind.
//!
//! Floods: a client that asks faster than machines boot, and unknown machines beyond what one source may bring, are not
//! answered (`responder/flood.rs`); the last addresses of a pool and of the offers are kept for machines we know.
//!
//! Deliberately absent: sockets, the store, logging, asking for addresses (see [`Probe`]).

mod flood;
mod outcome;
mod proxy;
mod server;
mod settings;
mod told;
mod watch;

pub use outcome::{Action, Conflict, IgnoreReason, Outcome, Probe, ProbeWay, Redating, RefuseReason, Ticked};
pub use settings::Settings;

use crate::classify::{classify, client};
use crate::destination::{BOOT_SERVER_PORT, SERVER_PORT, choose};
use crate::lease::{Client, Conflicted, Table};
use crate::limits::{CLOCK_STEP_MIN, HOPS_MAX, OPTION_BYTES_MAX};
use crate::wire::{Encoding, Message, MessageType, Op, RelayInfo, code};
use flood::Flood;
use plan::Decider;
use settings::SubnetIndex;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;
use types::event::Level;
use types::lease::LeaseRecord;
use types::subnet::{DhcpMode, Subnet};
use types::{Arrival, Event, EventName, Facts, Firmware, MacAddr, Now, Stage, Transmit, UnixTime};
use watch::{Warning, Watch};

/// The DHCP engine: leases, offers and the rules for answering.
#[derive(Debug)]
pub struct Responder {
    settings: Settings,
    index: SubnetIndex,
    /// One per subnet of the settings, in their order.
    tables: Vec<Table>,
    watch: Watch,
    /// Records to be anchored at the first moment we are told.
    loaded: Vec<LeaseRecord>,
    /// Records whose address is in no subnet now: kept for the configuration that brings it back.
    strays: Vec<LeaseRecord>,
    option_faults: u64,
    flood: Flood,
    /// The moment at which the lease clock was the wall clock.
    clock: Option<Now>,
    /// False while the store takes no new lease.
    promising: bool,
}

/// One request on its way to an answer.
struct Ask<'a> {
    now: Now,
    arrival: &'a Arrival,
    message: &'a Message,
    kind: MessageType,
    facts: Facts,
    client: Client,
    decider: &'a dyn Decider,
    /// Option 54 of our replies.
    server_id: Ipv4Addr,
}

/// No answer, and why.
struct Ignored {
    reason: IgnoreReason,
    event: Option<Box<Event>>,
}

impl Ask<'_> {
    /// An event about this machine and transaction.
    fn event(&self, name: EventName) -> Event {
        let event = Event::new(name).of(&self.facts).with("xid", format!("{:08x}", self.message.xid));
        match self.facts.relay {
            Some(relay) => event.with("relay", relay),
            None => event,
        }
    }

    fn ignore(&self, reason: IgnoreReason) -> Ignored {
        let event =
            self.event(EventName::DhcpIgnored).because(reason.as_str()).with("message", self.kind.as_str());
        Ignored { reason, event: Some(Box::new(event)) }
    }

    /// True when a relay or a broadcast brought it, not the client's own unicast.
    fn came_by_broadcast(&self, subnet: Option<&Subnet>) -> bool {
        let sent_to = *self.arrival.sent_to.ip();
        self.facts.relay.is_some()
            || sent_to.is_broadcast()
            || subnet.is_some_and(|subnet| {
                subnet.network.prefix_len() < 31 && subnet.network.broadcast() == sent_to
            })
    }
}

impl Responder {
    /// An engine without leases.
    pub fn new(settings: Settings) -> Responder {
        let tables: Vec<Table> =
            settings.subnets.iter().map(|subnet| Table::new(Arc::new(subnet.clone()))).collect();
        let mut responder = Responder {
            index: SubnetIndex::new(settings.subnets.iter().map(|subnet| &subnet.network)),
            tables,
            watch: Watch::new(),
            loaded: Vec::new(),
            strays: Vec::new(),
            option_faults: 0,
            flood: Flood::new(settings.stranger_rate),
            clock: None,
            promising: true,
            settings,
        };
        for address in responder.settings.own_addresses.clone() {
            responder.forbid(address);
        }
        responder
    }

    /// Takes over what the store holds, before the first packet or later.
    pub fn load(&mut self, leases: impl IntoIterator<Item = LeaseRecord>) {
        self.loaded.extend(leases);
    }

    /// Changes the settings between two packets. Leases and open offers stay; what the new settings forbid ends at its
    /// next renewal.
    pub fn reconfigure(&mut self, now: Now, settings: Settings) {
        let now = self.lease_now(now);
        self.anchor(now);
        let old = std::mem::take(&mut self.tables);
        let fresh = Responder::new(settings);
        (self.settings, self.index, self.tables) = (fresh.settings, fresh.index, fresh.tables);
        self.flood = fresh.flood;
        self.loaded = std::mem::take(&mut self.strays);
        self.anchor(now);
        // Leases before offers, whichever table they were in.
        let (mut first, mut last) = (Vec::new(), Vec::new());
        for part in old.into_iter().flat_map(Table::dissolve) {
            if part.is_offer() { last.push(part) } else { first.push(part) }
        }
        for part in first.into_iter().chain(last) {
            match self.table_of(part.address) {
                Some(table) => table.adopt(now, part),
                None => self.strays.extend(part.into_record()),
            }
        }
    }

    /// The records of an action are durable now: repeated REQUESTs need no further write.
    pub fn committed(&mut self, records: &[LeaseRecord]) {
        for record in records {
            if let Some(table) = self.table_of(record.address) {
                table.confirm(record);
            }
        }
    }

    /// Another machine answers at this address (ARP, ICMP): it goes into quarantine. The record is to be committed;
    /// `None` when the address is not ours to give.
    ///
    /// `by` is its hardware address, when it can be told: the machine that had the address last only keeps it from others.
    pub fn address_in_use(&mut self, now: Now, address: Ipv4Addr, by: Option<MacAddr>) -> Option<Conflict> {
        let now = self.lease_now(now);
        self.anchor(now);
        let quarantine = self.settings.quarantine;
        let table = self.table_of(address)?;
        let event = Event::new(EventName::DhcpAddressInUse)
            .with("address", address)
            .with("subnet", table.subnet().name.clone());
        let event = match by {
            Some(mac) => event.with("used_by", mac.to_string()),
            None => event,
        };
        Some(match table.conflict(now, address, by, quarantine)? {
            Conflicted::Quarantined(record, time) => Conflict {
                commit: vec![record],
                event: event.because("another_machine").with("quarantine_secs", time.as_secs()),
            },
            Conflicted::LastOwner => Conflict { commit: Vec::new(), event: event.because("last_owner") },
        })
    }

    /// Nobody answered at the address of a [`Probe`]. True when that client's offer still stands and its reply may leave.
    pub fn probed(&mut self, now: Now, probe: &Probe) -> bool {
        self.table_of(probe.address).is_some_and(|table| table.probed(now, probe.address, probe.client))
    }

    /// Whether the store takes new leases. While it does not, machines without a durable lease are not answered, so that
    /// another server may; everybody else is.
    pub fn set_promising(&mut self, promising: bool) {
        self.promising = promising;
    }

    /// The lease clock at start, when it is known better than by the wall clock: what the records of
    /// [`load`](Responder::load) were dated by. Without it the first moment we are told is taken.
    pub fn set_clock(&mut self, clock: Now) {
        self.clock = Some(clock);
    }

    /// What [`Redating`] said is durable: the lease clock is the wall clock of that moment from here on.
    pub fn redated(&mut self, clock: Now) {
        let strays = std::mem::take(&mut self.strays);
        self.strays = strays.into_iter().map(|record| self.redated_stray(record, clock)).collect();
        self.clock = Some(clock);
        for table in &mut self.tables {
            table.redate(clock);
        }
    }

    /// Every lease, remembered lease and quarantine, in no order.
    pub fn leases(&self) -> impl Iterator<Item = &LeaseRecord> {
        self.tables.iter().flat_map(Table::records)
    }

    /// One table per subnet of the settings, in their order: for counters and views.
    pub fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// Records whose address is in no subnet: their subnet was removed.
    pub fn strays(&self) -> usize {
        self.strays.len()
    }

    /// Options of a length they cannot have, in packets that were read all the same. Each counted as not sent.
    pub fn option_faults(&self) -> u64 {
        self.option_faults
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Ends what is over: leases, offers, quarantine, memories; notices that the wall clock was set. To be called about
    /// once a second.
    pub fn tick(&mut self, wall: Now) -> Ticked {
        let now = self.lease_now(wall);
        self.anchor(now);
        for table in &mut self.tables {
            table.sweep(now, usize::MAX);
        }
        self.watch.purge(now.instant);
        self.flood.purge(now.instant);
        let off = wall.unix.0.abs_diff(now.unix.0);
        if off < CLOCK_STEP_MIN.as_secs() {
            return Ticked::default();
        }
        let mut records: Vec<LeaseRecord> =
            self.tables.iter().flat_map(|table| table.redated(wall)).collect();
        records.extend(self.strays.iter().map(|record| self.redated_stray(record.clone(), wall)));
        let event = Event::new(EventName::ServerClockSet)
            .because(if wall.unix > now.unix { "forward" } else { "back" })
            .with("by_secs", off)
            .with("leases", records.len() as u64);
        Ticked { events: vec![event], redating: Some(Redating { clock: wall, records }) }
    }

    /// What the lease clock reads at this moment.
    pub fn lease_clock(&mut self, now: Now) -> UnixTime {
        self.lease_now(now).unix
    }

    /// This moment by the lease clock.
    fn lease_now(&mut self, now: Now) -> Now {
        let clock = *self.clock.get_or_insert(now);
        let since = now.instant.saturating_duration_since(clock.instant);
        let unix = clock.unix.saturating_add(since);
        // Whole seconds of two clocks never agree to the second: within what a lease is kept beyond its end the wall clock counts.
        let off = Duration::from_secs(now.unix.0.abs_diff(unix.0));
        Now { instant: now.instant, unix: if off < CLOCK_STEP_MIN { now.unix } else { unix } }
    }

    fn redated_stray(&self, record: LeaseRecord, clock: Now) -> LeaseRecord {
        let record = LeaseRecord { granted: record.granted.min(clock.unix), ..record };
        let Some(old) = self.clock.filter(|_| record.expires != UnixTime(u64::MAX)) else { return record };
        let since = clock.instant.saturating_duration_since(old.instant);
        let left = record.expires.saturating_since(old.unix.saturating_add(since));
        LeaseRecord { expires: clock.unix.saturating_add(left), ..record }
    }

    /// One datagram, whatever is in it. Never panics.
    pub fn handle(&mut self, now: Now, arrival: &Arrival, bytes: &[u8], decider: &dyn Decider) -> Outcome {
        let now = self.lease_now(now);
        self.anchor(now);
        let message = match Message::decode(bytes) {
            Ok(message) => message,
            Err(error) => return Outcome::Refuse(error.into()),
        };
        self.option_faults =
            self.option_faults.saturating_add(message.options.faults().len().try_into().unwrap_or(u64::MAX));
        match self.answer(now, arrival, &message, decider) {
            Ok(action) => Outcome::Act(action),
            Err(ignored) => Outcome::Ignore(ignored.reason, ignored.event),
        }
    }

    fn answer(
        &mut self,
        now: Now,
        arrival: &Arrival,
        message: &Message,
        decider: &dyn Decider,
    ) -> Result<Action, Ignored> {
        let mut facts = classify(message, arrival);
        let plain = |reason: IgnoreReason| Ignored {
            reason,
            event: Some(Box::new(Event::new(EventName::DhcpIgnored).of(&facts).because(reason.as_str()))),
        };
        let kind = match (message.op, message.message_type()) {
            (Op::BootReply, _) => return Err(plain(IgnoreReason::NotARequest)),
            (Op::BootRequest, Some(MessageType::Offer | MessageType::Ack | MessageType::Nak)) => {
                return Err(plain(IgnoreReason::MessageType));
            }
            (Op::BootRequest, Some(kind)) => kind,
            (Op::BootRequest, None) if message.options.has(code::MESSAGE_TYPE) => {
                return Err(plain(IgnoreReason::MessageType));
            }
            (Op::BootRequest, None) => return Err(plain(IgnoreReason::Bootp)),
        };
        if message.hops > HOPS_MAX {
            return Err(plain(IgnoreReason::TooManyHops));
        }
        let Some(client) = client(message, &facts) else { return Err(plain(IgnoreReason::NoIdentity)) };
        if !self.flood.admit_client(now.instant, &client.key) {
            return Err(self.too_many(now, arrival, IgnoreReason::RateLimited));
        }
        // A DISCOVER only wishes: a wish that cannot be is not followed. Silence would keep a machine that remembers an
        // address which is ours now from ever getting one.
        let asked = wanted(message).filter(|_| kind != MessageType::Discover);
        let claimed = [message.giaddr, message.ciaddr].into_iter().chain(asked);
        if claimed.into_iter().any(|address| !self.plausible(address, arrival)) {
            return Err(plain(IgnoreReason::ImplausibleAddress));
        }
        let relayed = !message.giaddr.is_unspecified();
        if relayed && !self.settings.relays.iter().any(|relay| relay.contains(&message.giaddr)) {
            let ignored = plain(IgnoreReason::RelayNotAllowed);
            return Err(self.unwelcome_relay(now, message, arrival, ignored));
        }
        if !relayed && message.options.has(code::RELAY_INFO) {
            let ignored = plain(IgnoreReason::RelayInfoWithoutRelay);
            return Err(self.unwelcome_relay(now, message, arrival, ignored));
        }
        // It cannot be echoed (RFC 3396 §5: never split). Said before anything changes on its account.
        if message.options.get(code::RELAY_INFO).is_some_and(|info| info.len() > OPTION_BYTES_MAX) {
            return Err(plain(IgnoreReason::ReplyTooLarge));
        }
        let relay_info = message.options.get(code::RELAY_INFO).map(RelayInfo::new);
        let server_id = relay_info.and_then(|info| info.server_override()).unwrap_or(arrival.local);
        let link = relay_info.and_then(|info| info.link_selection());
        let at = self.locate(arrival, message, link);
        if let Some(table) = at.and_then(|at| self.tables.get_mut(at)) {
            table.forbid(arrival.local);
            facts.subnet = Some(table.subnet().name.clone());
            // A renewal by unicast passes no relay: what the relay said at bind time still holds (RFC 3046 §2.2).
            let bound =
                table.own_record(&client, message.ciaddr).and_then(|record| record.relay_info.as_deref());
            if let Some(info) = bound.filter(|_| !relayed) {
                facts.circuit_id = RelayInfo::new(info).circuit_id().map(Into::into);
            }
        }
        let mut ask = Ask { now, arrival, message, kind, facts, client, decider, server_id };
        let configured = at.and_then(|at| self.tables.get(at)).map(|table| table.subnet().mode);
        let mode = match (configured, self.settings.default_mode) {
            (Some(mode), _) => mode,
            (None, DhcpMode::Proxy) if !relayed => DhcpMode::Proxy,
            (None, _) => return Err(self.no_subnet(&ask)),
        };
        match mode {
            DhcpMode::Off => Err(ask.ignore(IgnoreReason::Off)),
            DhcpMode::Server | DhcpMode::Proxy if arrival.sent_to.port() == BOOT_SERVER_PORT => {
                self.boot_server(&ask, at)
            }
            DhcpMode::Proxy => self.proxy(&ask, at),
            DhcpMode::Server => self.server(&mut ask, at.unwrap_or(usize::MAX)),
        }
    }

    /// The subnet a request belongs to: what the relay selects (RFC 3527), else `giaddr`, else the client's own address
    /// when it wrote to us by unicast, else the network it arrived on.
    fn locate(&self, arrival: &Arrival, message: &Message, link: Option<Ipv4Addr>) -> Option<usize> {
        if !message.giaddr.is_unspecified() {
            return self.index.find(link.unwrap_or(message.giaddr));
        }
        let here = self.index.find(arrival.local);
        let sent_to = *arrival.sent_to.ip();
        let own_broadcast =
            here.and_then(|at| self.tables.get(at)).map(|table| table.subnet().network.broadcast());
        if message.ciaddr.is_unspecified() || sent_to.is_broadcast() || own_broadcast == Some(sent_to) {
            return here;
        }
        self.index.find(message.ciaddr).or(here)
    }

    /// A relay missing from the settings, or a switch that adds option 82, keeps everything behind it from booting: one
    /// warning a minute per interface.
    fn unwelcome_relay(
        &mut self,
        now: Now,
        message: &Message,
        arrival: &Arrival,
        mut ignored: Ignored,
    ) -> Ignored {
        let warning = Warning::Relay(ignored.reason, arrival.interface.clone());
        if let Some(event) = &mut ignored.event {
            if !message.giaddr.is_unspecified() {
                event.fields.push(("relay", message.giaddr.into()));
            }
            event.fields.push(("from", (*arrival.remote.ip()).into()));
            if self.watch.warn(now.instant, warning) {
                event.level = Level::Warn;
            }
        }
        ignored
    }

    /// No answer to a flood, and one event a minute per interface: an event a packet would be a flood of its own.
    fn too_many(&mut self, now: Now, arrival: &Arrival, reason: IgnoreReason) -> Ignored {
        let warning = Warning::Flood(reason, arrival.interface.clone());
        let event = self.watch.warn(now.instant, warning).then(|| {
            let mut event = Event::new(EventName::DhcpFlood).because(reason.as_str());
            event.interface = Some(arrival.interface.clone());
            Box::new(event.with("from", *arrival.remote.ip()))
        });
        Ignored { reason, event }
    }

    fn no_subnet(&mut self, ask: &Ask<'_>) -> Ignored {
        let mut ignored = ask.ignore(IgnoreReason::NoSubnet);
        match &mut ignored.event {
            Some(event)
                if self.watch.warn(ask.now.instant, Warning::NoSubnet(ask.arrival.interface.clone())) =>
            {
                event.level = Level::Warn;
            }
            _ => {}
        }
        ignored
    }

    /// False for addresses no client and no relay can have: this network, loopback, multicast, reserved, ours. Unset is
    /// plausible.
    fn plausible(&self, address: Ipv4Addr, arrival: &Arrival) -> bool {
        let [first, ..] = address.octets();
        address.is_unspecified() || !(matches!(first, 0 | 127 | 224..=255) || self.is_own(address, arrival))
    }

    fn is_own(&self, address: Ipv4Addr, arrival: &Arrival) -> bool {
        address == arrival.local || self.settings.own_addresses.contains(&address)
    }

    fn table_of(&mut self, address: Ipv4Addr) -> Option<&mut Table> {
        let at = self.index.find(address)?;
        self.tables.get_mut(at)
    }

    fn forbid(&mut self, address: Ipv4Addr) {
        if let Some(table) = self.table_of(address) {
            table.forbid(address);
        }
    }

    fn anchor(&mut self, now: Now) {
        for record in std::mem::take(&mut self.loaded) {
            match self.table_of(record.address) {
                Some(table) => table.load(now, record),
                None => self.strays.push(record),
            }
        }
    }

    /// Next server of a place: the subnet's, else the address the request came to.
    fn next_server(&self, ask: &Ask<'_>, at: Option<usize>) -> Ipv4Addr {
        let subnet = at.and_then(|at| self.tables.get(at)).map(Table::subnet);
        subnet.and_then(|subnet| subnet.next_server).unwrap_or(ask.arrival.local)
    }

    /// The start of every reply: header (RFC 2131 §4.3.1, table 3), 53, 54, and 61 and 82 as they came (RFC 6842,
    /// RFC 3046 §2.2).
    fn begin(&self, ask: &Ask<'_>, kind: MessageType) -> Message {
        let mut reply = ask.message.reply();
        reply.options.set(code::MESSAGE_TYPE, [kind.code()]);
        reply.options.set_ip(code::SERVER_IDENTIFIER, ask.server_id);
        for echoed in [code::CLIENT_IDENTIFIER, code::RELAY_INFO] {
            if let Some(value) = ask.message.options.get(echoed) {
                reply.options.set(echoed, value);
            }
        }
        reply
    }

    /// Writes a reply and says where it goes.
    fn finish(&self, ask: &Ask<'_>, reply: &Message, kind: MessageType) -> Result<Transmit, Ignored> {
        let options = &ask.message.options;
        let mut limits = Encoding::for_client(options.u16(code::MESSAGE_SIZE_MAX), self.settings.link_mtu);
        // A ROM reads its boot file in the header. UEFI and operating systems follow option 52 (RFC 2132 §9.3).
        let reads_header =
            ask.facts.stage == Stage::Rom && ask.facts.firmware.is_none_or(|own| own == Firmware::Bios);
        limits.overload_file = !reads_header;
        limits.overload_sname = !reads_header;
        let encoded = reply
            .encode(options.param_list(), &limits)
            .map_err(|_| ask.ignore(IgnoreReason::ReplyTooLarge))?;
        let info = options.get(code::RELAY_INFO).map(RelayInfo::new);
        let own_port = info.is_some_and(|info| info.wants_source_port());
        let relay_port = if own_port { ask.arrival.remote.port() } else { SERVER_PORT };
        Ok(Transmit {
            interface_index: ask.arrival.interface_index,
            source: SocketAddrV4::new(ask.arrival.local, SERVER_PORT),
            destination: choose(reply, kind, relay_port),
            payload: encoded.bytes,
        })
    }
}

/// Option 50, when it names an address.
fn wanted(message: &Message) -> Option<Ipv4Addr> {
    message.options.ip(code::REQUESTED_ADDRESS).filter(|address| !address.is_unspecified())
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
