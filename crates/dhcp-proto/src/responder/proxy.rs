//! Beside another server (PXE 2.1 §2.2): boot data in an OFFER without address on port 67, and in an ACK on port 4011.
//! Never a lease, never a NAK.
//!
//! QUIRK(edk2-asks-4011): UEFI ROMs ask port 4011 (from their own 4011, by unicast) whenever the OFFER has no option 43, and fail when nobody
//! answers; so a PXE client's REQUEST and INFORM there is always answered, to the address and port it came from, in server
//! mode too.

use super::told::{boot_event, host_of, with_arch};
use super::{Action, Ask, IgnoreReason, Ignored, Responder, Warning, wanted};
use crate::destination::BOOT_SERVER_PORT;
use crate::reply::{BootFile, Dress, add_boot, echo_guid};
use crate::wire::MessageType;
use crate::wire::message::BROADCAST_FLAG;
use crate::wire::pxe::BootItem;
use plan::{Decision, Verdict};
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use types::event::Level;
use types::{Destination, Event, EventName, Facts, Stage};

impl Responder {
    /// Port 67 beside another server.
    pub(super) fn proxy(&mut self, ask: &Ask<'_>, at: Option<usize>) -> Result<Action, Ignored> {
        if ask.facts.stage == Stage::Os {
            return Err(ask.ignore(IgnoreReason::NotABootClient));
        }
        match ask.kind {
            MessageType::Discover => self.proxy_offer(ask, at),
            MessageType::Request => Ok(self.overhear(ask)),
            MessageType::Inform
            | MessageType::Decline
            | MessageType::Release
            | MessageType::Offer
            | MessageType::Ack
            | MessageType::Nak => Err(ask.ignore(IgnoreReason::ProxyOnlyOffers)),
        }
    }

    fn proxy_offer(&mut self, ask: &Ask<'_>, at: Option<usize>) -> Result<Action, Ignored> {
        let (verdict, mut boot) = self.boot_or_silence(ask, at, &ask.facts)?;
        let dress = self.proxy_dress(at, None);
        // Firmware seen (EDK2, OVMF): a UEFI ROM sends its REQUEST to port 4011 of siaddr. That must be us; the ACK from there
        // names the server the file is on.
        if asks_4011(&ask.facts, dress) {
            boot.next_server = ask.arrival.local;
        }
        let mut reply = self.begin(ask, MessageType::Offer);
        echo_guid(&mut reply, ask.message);
        add_boot(&mut reply, ask.message, &ask.facts, &boot, dress);
        // Without yiaddr a relay has no address to unicast to. DIVERGES RFC 2131 §4.3.1, table 3: the flag is ours here.
        if ask.facts.relay.is_some() {
            reply.flags |= BROADCAST_FLAG;
        }
        let transmit = self.finish(ask, &reply, MessageType::Offer)?;
        let mut events = vec![
            ask.event(EventName::DhcpDiscover).host(host_of(&verdict)),
            boot_event(ask.event(EventName::DhcpOffer), &verdict, &boot).with("proxy", true),
        ];
        events.extend(self.note_offer(ask));
        Ok(Action { transmit: Some(transmit), events, learn: Some(ask.facts.clone()), ..Action::default() })
    }

    /// The client's REQUEST to the server that leases: not for us, but it names the address its next file requests will
    /// come from.
    fn overhear(&mut self, ask: &Ask<'_>) -> Action {
        self.watch.went_on(&ask.client.key);
        let address = Some(ask.message.ciaddr).filter(|own| !own.is_unspecified()).or(wanted(ask.message));
        let facts = Facts { address: address.map(IpAddr::V4).or(ask.facts.address), ..ask.facts.clone() };
        let events =
            ask.ignore(IgnoreReason::ProxyOnlyOffers).event.map(|event| *event).into_iter().collect();
        Action { learn: address.is_some().then_some(facts), events, ..Action::default() }
    }

    /// Port 4011, in proxy and in server mode.
    pub(super) fn boot_server(&mut self, ask: &Ask<'_>, at: Option<usize>) -> Result<Action, Ignored> {
        match ask.facts.stage {
            Stage::Rom | Stage::Ipxe => {}
            Stage::HttpRom => return Err(ask.ignore(IgnoreReason::NotAPxeClient)),
            Stage::Os | Stage::Loader => return Err(ask.ignore(IgnoreReason::NotABootClient)),
        }
        if !matches!(ask.kind, MessageType::Request | MessageType::Inform) {
            return Err(ask.ignore(IgnoreReason::BootServerOnlyRequests));
        }
        let subnet = at.and_then(|at| self.tables.get(at)).map(|table| table.subnet().clone());
        let to = return_address(ask).filter(|_| !ask.came_by_broadcast(subnet.as_deref()));
        let Some(to) = to else { return Err(ask.ignore(IgnoreReason::NoReturnAddress)) };
        let boot_item = ask.message.options.pxe().and_then(|pxe| pxe.boot_item);
        if boot_item.is_some_and(|item| item.kind != 0 || item.wants_credentials()) {
            return Err(ask.ignore(IgnoreReason::BootItemUnsupported));
        }
        let facts = Facts { address: Some(IpAddr::V4(*to.ip())), ..ask.facts.clone() };
        let (verdict, boot) = self.boot_or_silence(ask, at, &facts)?;
        self.watch.went_on(&ask.client.key);
        let mut reply = self.begin(ask, MessageType::Ack);
        reply.ciaddr = ask.message.ciaddr;
        echo_guid(&mut reply, ask.message);
        add_boot(&mut reply, ask.message, &facts, &boot, self.proxy_dress(at, boot_item));
        let mut transmit = self.finish(ask, &reply, MessageType::Ack)?;
        transmit.source.set_port(BOOT_SERVER_PORT);
        transmit.destination = Destination::Unicast(to);
        let event = boot_event(ask.event(EventName::DhcpAck), &verdict, &boot)
            .with("address", *to.ip())
            .with("proxy", true)
            .with("port", u64::from(BOOT_SERVER_PORT));
        Ok(Action { transmit: Some(transmit), events: vec![event], learn: Some(facts), ..Action::default() })
    }

    /// The boot file for a machine we do not lease to, or the reason for silence.
    fn boot_or_silence(
        &mut self,
        ask: &Ask<'_>,
        at: Option<usize>,
        facts: &Facts,
    ) -> Result<(Verdict, BootFile), Ignored> {
        let verdict = ask.decider.decide(facts);
        let boot = match &verdict.decision {
            Decision::LeaveAlone(reason) => {
                let mut ignored = ask.ignore((*reason).into());
                let warning = self.note_trouble(ask, &verdict);
                ignored.event = ignored.event.map(|event| {
                    let event = event.host(host_of(&verdict));
                    Box::new(match warning {
                        Some((name, _)) => {
                            let name = name.unwrap_or(event.name);
                            with_arch(ask, Event { name, level: Level::Warn, ..event })
                        }
                        None => event,
                    })
                });
                return Err(ignored);
            }
            Decision::Boot(plan) => {
                BootFile::of(plan, facts, self.next_server(ask, at), self.settings.http_port)
            }
        };
        boot.map(|boot| (verdict, boot)).ok_or_else(|| ask.ignore(IgnoreReason::NoBootFile))
    }

    fn proxy_dress(&self, at: Option<usize>, boot_item: Option<BootItem>) -> Dress {
        let subnet = at.and_then(|at| self.tables.get(at)).map(|table| table.subnet());
        Dress::Proxy {
            uefi_discovery_control: subnet.is_some_and(|subnet| subnet.uefi_discovery_control),
            boot_item,
        }
    }

    /// An offer goes out: says so when the machine has ignored too many.
    pub(super) fn note_offer(&mut self, ask: &Ask<'_>) -> Option<Event> {
        let repeats = self.watch.offered(ask.now.instant, &ask.client.key, ask.message.xid)?;
        Some(
            ask.event(EventName::DhcpOfferIgnored)
                .because("discover_repeated")
                .with("repeats", u64::from(repeats))
                .with("waited_secs", u64::from(ask.message.secs)),
        )
    }

    /// One warning per foreign server and minute.
    pub(super) fn note_other_server(&mut self, ask: &Ask<'_>, server: Ipv4Addr) -> Option<Event> {
        let fresh = self.watch.warn(ask.now.instant, Warning::OtherServer(server));
        fresh.then(|| ask.event(EventName::DhcpOtherServer).with("server", server))
    }
}

/// Where a request to port 4011 is answered: where it came from (PXE 2.1 §2.2.3), or `ciaddr` at the same port.
fn return_address(ask: &Ask<'_>) -> Option<SocketAddrV4> {
    let remote = ask.arrival.remote;
    let address = Some(*remote.ip()).filter(|own| !own.is_unspecified()).unwrap_or(ask.message.ciaddr);
    let good =
        !address.is_unspecified() && !address.is_broadcast() && !address.is_multicast() && remote.port() != 0;
    good.then(|| SocketAddrV4::new(address, remote.port()))
}

/// True for a PXE ROM that is given no option 43: EDK2 then asks port 4011, whatever else the OFFER says.
fn asks_4011(facts: &Facts, dress: Dress) -> bool {
    let uefi = facts.firmware.is_some_and(|firmware| firmware.is_uefi());
    facts.stage == Stage::Rom && uefi && !matches!(dress, Dress::Proxy { uefi_discovery_control: true, .. })
}
