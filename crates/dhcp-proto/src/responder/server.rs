//! We assign addresses (RFC 2131 §4.3).
//!
//! REQUEST comes in four kinds, told apart by what is in it (RFC 2131 §4.3.2, table 4):
//!
//! | state | 54 | 50 | ciaddr | way | not ours to grant |
//! |---|---|---|---|---|---|
//! | SELECTING | yes | yes | 0 | broadcast | NAK |
//! | INIT-REBOOT | no | yes | 0 | broadcast | wrong net or known otherwise: NAK; unknown: silence |
//! | RENEWING | no | no | yes | unicast | NAK |
//! | REBINDING | no | no | yes | broadcast | known otherwise: NAK; unknown: silence |
//!
//! A NAK is sent by authoritative subnets only.

use super::flood::Source;
use super::told::{host_of, told, with_arch};
use super::{Action, Ask, IgnoreReason, Ignored, Probe, ProbeWay, Responder, Warning, wanted};
use crate::lease::{Refusal, Table};
use crate::reply::{BootFile, Dress, add_boot, add_lease, add_parameters, echo_guid, lease_time};
use crate::wire::message::BROADCAST_FLAG;
use crate::wire::{Message, MessageType, code};
use plan::{Decision, LeaveAloneReason, Verdict};
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;
use types::event::Level;
use types::{EventName, Facts, Stage};

/// Shortest lease worth promising when nothing new can be written.
const FALLBACK_LEASE_MIN: Duration = Duration::from_secs(60);

/// Free addresses are few below one in this many.
const POOL_LOW_SHARE: u64 = 10;

/// Why a REQUEST is not granted.
enum No {
    /// NAK, in an authoritative subnet.
    Refused(&'static str),
    /// Another server may know.
    Silence(IgnoreReason),
}

impl Responder {
    /// A request in server mode. `at`: the subnet.
    pub(super) fn server(&mut self, ask: &mut Ask<'_>, at: usize) -> Result<Action, Ignored> {
        ask.client.recorded = ask.decider.is_recorded(&ask.facts);
        let ask = &*ask;
        match ask.kind {
            MessageType::Discover => self.discover(ask, at),
            MessageType::Request => self.request(ask, at),
            MessageType::Decline => self.decline(ask, at),
            MessageType::Release => self.release(ask, at),
            MessageType::Inform => self.inform(ask, at),
            MessageType::Offer | MessageType::Ack | MessageType::Nak => {
                Err(ask.ignore(IgnoreReason::MessageType))
            }
        }
    }

    fn table(&mut self, ask: &Ask<'_>, at: usize) -> Result<&mut Table, Ignored> {
        self.tables.get_mut(at).ok_or_else(|| ask.ignore(IgnoreReason::NoSubnet))
    }

    fn discover(&mut self, ask: &Ask<'_>, at: usize) -> Result<Action, Ignored> {
        let (hold, promising, probing) =
            (self.settings.offer_hold, self.promising, !self.settings.probe_wait.is_zero());
        self.admit(ask, at)?;
        let table = self.table(ask, at)?;
        if !promising && !table.has_durable_lease(ask.now, &ask.client) {
            return Err(ask.ignore(IgnoreReason::StoreRefuses));
        }
        let subnet = table.subnet().clone();
        let lease = lease_time(ask.message.options.u32(code::LEASE_TIME), &subnet.lease_times);
        let address = match table.offer(ask.now, &ask.client, wanted(ask.message), lease, hold) {
            Ok(address) => address,
            Err(refusal) => return Err(self.no_address(ask, at, refusal)),
        };
        let (free, size) = (table.free(), table.size());
        let probe = (probing && table.needs_probe(ask.now, &ask.client, address))
            .then(|| self.probe(ask, at, address));
        let verdict = ask.decider.decide(&ask.facts);
        let mut reply = self.begin(ask, MessageType::Offer);
        reply.yiaddr = address;
        add_lease(&mut reply, lease);
        let boot = self.dress(ask, at, &mut reply, &verdict);
        let transmit = self.finish(ask, &reply, MessageType::Offer)?;
        let mut offer =
            ask.event(EventName::DhcpOffer).with("address", address).with("subnet", subnet.name.clone());
        let warning = self.note_trouble(ask, &verdict);
        if let Some((None, _)) = warning {
            offer.level = Level::Warn;
        }
        let mut events = vec![
            ask.event(EventName::DhcpDiscover).host(host_of(&verdict)),
            told(offer, &verdict, boot.as_ref()).with("lease_secs", lease.as_secs()),
        ];
        if let Some((Some(name), reason)) = warning {
            let event = ask.event(name).because(reason.as_str()).host(host_of(&verdict));
            events.push(with_arch(ask, event));
        }
        events.extend(self.note_offer(ask));
        if free < size / POOL_LOW_SHARE
            && self.watch.warn(ask.now.instant, Warning::PoolLow(subnet.name.clone()))
        {
            let low = ask.event(EventName::DhcpPoolLow).with("subnet", subnet.name.clone());
            events.push(low.with("free", free).with("size", size));
        }
        let learn = (ask.facts.stage != Stage::Os).then(|| ask.facts.clone());
        Ok(Action { transmit: Some(transmit), events, learn, probe, ..Action::default() })
    }

    /// A machine we do not know counts against its source.
    fn admit(&mut self, ask: &Ask<'_>, at: usize) -> Result<(), Ignored> {
        let table = self.table(ask, at)?;
        if table.knows(&ask.client) || table.held(ask.now, &ask.client).is_some() {
            return Ok(());
        }
        let source = Source {
            interface: ask.arrival.interface.clone(),
            relay: ask.facts.relay,
            circuit: ask.facts.circuit_id.as_deref().map(Into::into),
        };
        if self.flood.admit_stranger(ask.now.instant, &source) {
            return Ok(());
        }
        Err(self.too_many(ask.now, ask.arrival, IgnoreReason::StrangerFlood))
    }

    /// How this address is asked for: by ARP where it is on the link, else by ICMP through the relay.
    fn probe(&self, ask: &Ask<'_>, at: usize, address: Ipv4Addr) -> Probe {
        let local = ask.arrival.local;
        let on_link = ask.facts.relay.is_none()
            && self.tables.get(at).is_some_and(|table| table.subnet().network.contains(&local));
        let way = if on_link { ProbeWay::Arp(ask.arrival.interface_index) } else { ProbeWay::Echo(local) };
        Probe { address, way, client: ask.client.mac }
    }

    /// What keeps this machine from booting, once a minute.
    pub(super) fn note_trouble(
        &mut self,
        ask: &Ask<'_>,
        verdict: &Verdict,
    ) -> Option<(Option<EventName>, LeaveAloneReason)> {
        let (name, reason) = trouble(verdict)?;
        let warning = Warning::Machine(ask.client.key.clone(), reason);
        self.watch.warn(ask.now.instant, warning).then_some((name, reason))
    }

    /// Silence with one warning a minute.
    fn no_address(&mut self, ask: &Ask<'_>, at: usize, refusal: Refusal) -> Ignored {
        let mut ignored = ask.ignore(refusal.into());
        let Some(table) = self.tables.get(at) else { return ignored };
        let reserved = table.reservation(ask.client.mac).map(|reservation| reservation.address);
        let warning = match (refusal, reserved) {
            (Refusal::ReservationBusy, Some(address)) => Warning::ReservationBusy(address),
            _ => Warning::PoolEmpty(table.subnet().name.clone()),
        };
        let event = ask
            .event(EventName::DhcpPoolEmpty)
            .because(ignored.reason.as_str())
            .with("subnet", table.subnet().name.clone());
        let event = match reserved {
            Some(address) => event.with("address", address),
            None => event.with("size", table.size()),
        };
        if self.watch.warn(ask.now.instant, warning) {
            ignored.event = Some(Box::new(event));
        }
        ignored
    }

    fn request(&mut self, ask: &Ask<'_>, at: usize) -> Result<Action, Ignored> {
        let server = ask.message.options.ip(code::SERVER_IDENTIFIER);
        let has_address = !ask.message.ciaddr.is_unspecified();
        if let Some(other) =
            server.filter(|&server| server != ask.server_id && !self.is_own(server, ask.arrival))
        {
            self.watch.went_on(&ask.client.key);
            self.table(ask, at)?.forget_offer(&ask.client);
            let mut ignored = ask.ignore(IgnoreReason::OtherServerChosen);
            ignored.event = self.note_other_server(ask, other).map(Box::new).or(ignored.event);
            return Err(ignored);
        }
        let granted = match (server, wanted(ask.message)) {
            // Some clients fill in ciaddr instead of option 50, or name us when they renew.
            (_, None) if has_address => self.check_renewal(ask, at),
            (_, Some(address)) if has_address && address == ask.message.ciaddr => self.check_renewal(ask, at),
            (Some(_), Some(address)) if !has_address => self.check_selecting(ask, at, address),
            (None, Some(address)) if !has_address => self.check_reboot(ask, at, address),
            _ => Err(No::Silence(IgnoreReason::Incomplete)),
        };
        match granted {
            Ok(address) => self.acknowledge(ask, at, address),
            Err(No::Silence(reason)) => Err(ask.ignore(reason)),
            Err(No::Refused(reason)) => self.refuse(ask, at, reason),
        }
    }

    fn check_selecting(&self, ask: &Ask<'_>, at: usize, address: Ipv4Addr) -> Result<Ipv4Addr, No> {
        let table = self.tables.get(at).ok_or(No::Silence(IgnoreReason::NoSubnet))?;
        let held = table.held(ask.now, &ask.client);
        let own = table.own_record(&ask.client, address).is_some();
        if held.is_none() && !table.knows(&ask.client) && table.floor_reached() {
            return Err(No::Silence(IgnoreReason::PoolFloor));
        }
        if !table.usable(ask.now, &ask.client, address) {
            return Err(No::Refused("address_not_available"));
        }
        // Without an offer on record (it lapsed, or we started anew) a free address is as good as offered.
        if own || held.is_none_or(|held| held == address) {
            Ok(address)
        } else {
            Err(No::Refused("address_not_offered"))
        }
    }

    fn check_reboot(&self, ask: &Ask<'_>, at: usize, address: Ipv4Addr) -> Result<Ipv4Addr, No> {
        let table = self.tables.get(at).ok_or(No::Silence(IgnoreReason::NoSubnet))?;
        if !table.subnet().network.contains(&address) {
            return Err(No::Refused("wrong_network"));
        }
        let reserved =
            table.reservation(ask.client.mac).is_some_and(|reservation| reservation.address == address);
        let own = reserved || table.own_record(&ask.client, address).is_some();
        match (own, table.usable(ask.now, &ask.client, address)) {
            (true, true) => Ok(address),
            (true, false) => Err(No::Refused("address_not_available")),
            // DIVERGES RFC 2131 §4.3.2: an address we never give is another server's to judge, whoever asks.
            (false, _) if !table.gives(address) => Err(No::Silence(IgnoreReason::UnknownLease)),
            (false, _) if table.knows(&ask.client) => Err(No::Refused("another_address_is_bound")),
            (false, _) => Err(No::Silence(IgnoreReason::UnknownLease)),
        }
    }

    fn check_renewal(&self, ask: &Ask<'_>, at: usize) -> Result<Ipv4Addr, No> {
        let table = self.tables.get(at).ok_or(No::Silence(IgnoreReason::NoSubnet))?;
        let address = ask.message.ciaddr;
        let reserved =
            table.reservation(ask.client.mac).is_some_and(|reservation| reservation.address == address);
        let own = reserved || table.own_record(&ask.client, address).is_some();
        if own && table.usable(ask.now, &ask.client, address) {
            return Ok(address);
        }
        let recorded = own || table.knows(&ask.client) || table.owner(ask.now, address).is_some();
        if ask.came_by_broadcast(Some(table.subnet())) && !recorded {
            return Err(No::Silence(IgnoreReason::UnknownLease));
        }
        if !table.subnet().network.contains(&address) {
            return Err(No::Silence(IgnoreReason::UnknownLease));
        }
        Err(No::Refused(if own { "address_not_available" } else { "not_the_owner" }))
    }

    fn acknowledge(&mut self, ask: &Ask<'_>, at: usize, address: Ipv4Addr) -> Result<Action, Ignored> {
        self.watch.went_on(&ask.client.key);
        self.admit(ask, at)?;
        let promising = self.promising;
        let table = self.table(ask, at)?;
        let subnet = table.subnet().clone();
        let essential = table.own_live(ask.now, &ask.client, address);
        if !promising && !essential {
            return Err(ask.ignore(IgnoreReason::StoreRefuses));
        }
        let asked = ask.message.options.u32(code::LEASE_TIME);
        let offered = table.held_lease(ask.now, &ask.client).filter(|_| asked.is_none());
        let lease = offered.unwrap_or_else(|| lease_time(asked, &subnet.lease_times));
        let mut client = ask.client.clone();
        if ask.facts.relay.is_none() {
            client.relay_info =
                table.own_record(&client, address).and_then(|record| record.relay_info.clone());
        }
        let durable = table.durable_left(ask.now, &client, address);
        let bound = table.bind(ask.now, &client, address, lease, ask.message.xid);
        let facts = Facts { address: Some(IpAddr::V4(address)), ..ask.facts.clone() };
        let verdict = ask.decider.decide(&facts);
        let mut reply = self.begin(ask, MessageType::Ack);
        reply.ciaddr = ask.message.ciaddr;
        reply.yiaddr = address;
        add_lease(&mut reply, bound.lease);
        let boot = self.dress(ask, at, &mut reply, &verdict);
        let transmit = self.finish(ask, &reply, MessageType::Ack)?;
        let fallback = match durable.filter(|left| *left >= FALLBACK_LEASE_MIN && !bound.commit.is_empty()) {
            Some(left) => {
                for option in [code::RENEWAL_TIME, code::REBINDING_TIME] {
                    reply.options.remove(option);
                }
                add_lease(&mut reply, left.min(bound.lease));
                Some(self.finish(ask, &reply, MessageType::Ack)?)
            }
            None => None,
        };
        let ack = ask.event(EventName::DhcpAck).with("address", address).with("subnet", subnet.name.clone());
        let mut events = vec![
            ask.event(EventName::DhcpRequest).host(host_of(&verdict)).with("address", address),
            told(ack, &verdict, boot.as_ref()).with("lease_secs", bound.lease.as_secs()),
        ];
        if bound.commit.is_empty() {
            events.iter_mut().for_each(|event| event.fields.push(("repeated", true.into())));
        }
        let learn = (facts.stage != Stage::Os).then_some(facts);
        Ok(Action {
            commit: bound.commit,
            transmit: Some(transmit),
            fallback,
            events,
            learn,
            essential,
            probe: None,
        })
    }

    /// NAK: 53, 54, 56, 61 and 82, nothing else (RFC 2131 §4.3.1, table 3).
    ///
    /// A lease its client may not keep does not end here: the NAK may get lost and the client go on. It ends when the
    /// client binds another address, or with its time.
    fn refuse(&mut self, ask: &Ask<'_>, at: usize, reason: &'static str) -> Result<Action, Ignored> {
        let table = self.table(ask, at)?;
        if !table.subnet().authoritative {
            return Err(ask.ignore(IgnoreReason::NotAuthoritative));
        }
        let address = wanted(ask.message).unwrap_or(ask.message.ciaddr);
        let mut reply = self.begin(ask, MessageType::Nak);
        reply.options.set(code::MESSAGE, reason.replace('_', " "));
        // The client may not believe in its address any more: the relay has to broadcast (RFC 2131 §4.3.2).
        if ask.facts.relay.is_some() {
            reply.flags |= BROADCAST_FLAG;
        }
        let transmit = self.finish(ask, &reply, MessageType::Nak)?;
        let event = ask.event(EventName::DhcpNak).because(reason).with("address", address);
        Ok(Action { transmit: Some(transmit), events: vec![event], ..Action::default() })
    }

    fn decline(&mut self, ask: &Ask<'_>, at: usize) -> Result<Action, Ignored> {
        let address = wanted(ask.message).filter(|_| self.names_us(ask));
        let address = address.ok_or_else(|| ask.ignore(IgnoreReason::Incomplete))?;
        let quarantine = self.settings.quarantine;
        let declined = self.table(ask, at)?.decline(ask.now, &ask.client, address, quarantine);
        let declined = declined.ok_or_else(|| ask.ignore(IgnoreReason::NotTheOwner))?;
        let event = ask
            .event(EventName::DhcpDeclined)
            .with("address", address)
            .with("subnet", declined.record.subnet.clone())
            .with("quarantined", declined.quarantined);
        Ok(Action {
            commit: vec![declined.record],
            events: vec![event],
            essential: true,
            ..Action::default()
        })
    }

    fn release(&mut self, ask: &Ask<'_>, at: usize) -> Result<Action, Ignored> {
        let address = Some(ask.message.ciaddr).filter(|own| !own.is_unspecified() && self.names_us(ask));
        let address = address.ok_or_else(|| ask.ignore(IgnoreReason::Incomplete))?;
        let released = self.table(ask, at)?.release(ask.now, &ask.client, address);
        let released = released.ok_or_else(|| ask.ignore(IgnoreReason::NotTheOwner))?;
        let event = ask
            .event(EventName::DhcpReleased)
            .with("address", address)
            .with("subnet", released.subnet.clone());
        Ok(Action { commit: vec![released], events: vec![event], essential: true, ..Action::default() })
    }

    /// INFORM (RFC 2131 §4.3.5): parameters without a lease, to `ciaddr`, else to where it came from.
    fn inform(&mut self, ask: &Ask<'_>, at: usize) -> Result<Action, Ignored> {
        let remote = *ask.arrival.remote.ip();
        let own = Some(ask.message.ciaddr).filter(|own| !own.is_unspecified()).unwrap_or(remote);
        if ask.facts.relay.is_none() {
            if own.is_unspecified() || !self.plausible(own, ask.arrival) {
                return Err(ask.ignore(IgnoreReason::Incomplete));
            }
            // RFC 2131 §4.3.5: the address is checked for consistency. Nobody aims our replies at another network.
            if !self.table(ask, at)?.subnet().network.contains(&own) {
                return Err(ask.ignore(IgnoreReason::WrongNetwork));
            }
        }
        let verdict = ask.decider.decide(&ask.facts);
        let mut reply = self.begin(ask, MessageType::Ack);
        reply.ciaddr = ask.message.ciaddr;
        let boot = self.dress(ask, at, &mut reply, &verdict);
        let mut transmit = self.finish(ask, &reply, MessageType::Ack)?;
        if reply.ciaddr.is_unspecified() && ask.facts.relay.is_none() {
            let to = SocketAddrV4::new(own, crate::destination::CLIENT_PORT);
            transmit.destination = types::Destination::Unicast(to);
        }
        let event = told(ask.event(EventName::DhcpInform), &verdict, boot.as_ref());
        Ok(Action { transmit: Some(transmit), events: vec![event], ..Action::default() })
    }

    /// Option 54 names us: RELEASE and DECLINE need it (RFC 2131 §4.4.1, table 5).
    fn names_us(&self, ask: &Ask<'_>) -> bool {
        let named = ask.message.options.ip(code::SERVER_IDENTIFIER);
        named.is_some_and(|named| named == ask.server_id || self.is_own(named, ask.arrival))
    }

    /// Parameters, GUID echo and, for a machine that boots, boot data.
    fn dress(&self, ask: &Ask<'_>, at: usize, reply: &mut Message, verdict: &Verdict) -> Option<BootFile> {
        let table = self.tables.get(at)?;
        let subnet = table.subnet();
        let reserved = table.reservation(ask.client.mac).and_then(|reservation| reservation.hostname.clone());
        let hostname: Option<Arc<str>> = reserved.or_else(|| host_of(verdict));
        add_parameters(reply, ask.message, subnet, hostname.as_ref(), ask.facts.stage);
        echo_guid(reply, ask.message);
        let Decision::Boot(plan) = &verdict.decision else { return None };
        let next_server = self.next_server(ask, Some(at));
        let boot = BootFile::of(plan, &ask.facts, next_server, self.settings.http_port)?;
        add_boot(reply, ask.message, &ask.facts, &boot, Dress::Lease);
        Some(boot)
    }
}

/// Why a boot client gets no boot data, when an operator has to do something about it, and the event of its own that
/// says so.
fn trouble(verdict: &Verdict) -> Option<(Option<EventName>, LeaveAloneReason)> {
    let Decision::LeaveAlone(reason) = verdict.decision else { return None };
    let name = match reason {
        LeaveAloneReason::NoLoader | LeaveAloneReason::FirmwareUnknown => {
            Some(EventName::LoaderUnsupportedArch)
        }
        LeaveAloneReason::LoopStopped => Some(EventName::LoaderLoop),
        LeaveAloneReason::IdentityConflict => Some(EventName::HostConflict),
        LeaveAloneReason::FirmwareUnfit | LeaveAloneReason::ImageMissing | LeaveAloneReason::GroupMissing => {
            None
        }
        LeaveAloneReason::NotABootClient
        | LeaveAloneReason::UnknownIgnored
        | LeaveAloneReason::Quarantined
        | LeaveAloneReason::LocalDisk => {
            return None;
        }
    };
    Some((name, reason))
}
