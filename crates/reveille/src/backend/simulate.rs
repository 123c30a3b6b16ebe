//! What the doors would answer a machine, step by step, without a packet: the same responder, the same boot tree and the same
//! decisions, on a copy of what is remembered ([`World::rehearsal`]). Nothing is kept of it: no lease, no boot, no arming.
//!
//! It is a model of the machine that is new here, in `simulate/walk.rs`: a ROM that takes what it is offered, iPXE, pxelinux,
//! and ESXi's loader. What machines do beyond what they are told is not modelled.

mod ask;
mod ends;
mod texts;
mod walk;

use super::{Daemon, SCAN_STEP, explain, traces};
use crate::failure::chain;
use crate::world::World;
use admin::view::{FileRequest, PacketRequest, Simulation, SimulationRequest};
use admin::{BackendError, HostRef, Problem};
use dhcp_proto::Responder;
use ends::End;
use net::interface::Interface;
use plan::Decider;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use store::Table;
use store::records::decode_lease;
use tree::{Tree, TreeParts};
use types::lease::LeaseRecord;
use types::{Arrival, Facts, MacAddr, Stage};
use walk::Walk;

/// Stands for a hardware address that nobody gave: locally administered, `SIM` in it.
const MAC_STAND_IN: MacAddr = MacAddr([0x02, 0x53, 0x49, 0x4d, 0, 1]);

/// What must be known of the doors.
pub(crate) struct Simulator {
    /// What the DHCP engine is told; `None` where nothing answers DHCP.
    pub(crate) dhcp: Option<dhcp_proto::Settings>,
    /// Where machines ask.
    pub(crate) places: Vec<Place>,
    /// TFTP is served.
    pub(crate) tftp: bool,
    /// Port of the boot plane.
    pub(crate) http_port: u16,
}

impl Simulator {
    /// The subnet that a request from this address belongs to: a relay's, or ours where there is none between (RFC 2131 §4.3.1).
    /// The smallest that holds it.
    pub(crate) fn subnet_at(&self, address: Ipv4Addr) -> Option<Arc<str>> {
        let subnets = self.dhcp.iter().flat_map(|settings| &settings.subnets);
        let holds = subnets.filter(|subnet| subnet.network.contains(&address));
        holds.max_by_key(|subnet| subnet.network.prefix_len()).map(|subnet| subnet.name.clone())
    }
}

/// An interface that is served.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) interface: Interface,
    /// Our address there.
    pub(crate) local: Ipv4Addr,
}

impl Place {
    fn has(&self, address: Ipv4Addr) -> bool {
        self.interface.ipv4.iter().any(|network| network.contains(&address))
    }

    fn arrival(&self, sent_to: SocketAddrV4, remote: SocketAddrV4) -> Arrival {
        Arrival {
            interface_index: self.interface.index,
            interface: self.interface.name.clone(),
            local: self.local,
            sent_to,
            remote,
        }
    }
}

pub(super) fn simulate(
    daemon: &Daemon,
    request: &SimulationRequest,
    given: Facts,
) -> Result<Simulation, BackendError> {
    if let Some(packet) = &request.packet {
        return packet_of(daemon, request, packet);
    }
    if let Some(file) = &request.file {
        return file_of(daemon, request, file);
    }
    let recorded = match &request.host {
        Some(text) => {
            let reference: HostRef = text.parse().map_err(|cause: String| unreadable("host", cause))?;
            traces::facts_of(daemon, &reference)?
        }
        None => Facts::default(),
    };
    let said = given.clone().or(&recorded);
    let known = said.mac.and_then(|mac| daemon.world.remembered(mac));
    let mut facts = known.map_or_else(|| said.clone(), |known| said.clone().or(&known));
    let mut notes = Vec::new();
    if facts.mac.is_none() {
        facts.mac = Some(MAC_STAND_IN);
        notes.push(format!("no hardware address is known: {MAC_STAND_IN} stands for it"));
    }
    // Where it is seen decides the relay and the place, not what was said of an earlier boot.
    facts.relay = given.relay.or(facts.relay.filter(|_| given.interface.is_none() && given.subnet.is_none()));
    facts.stage = match given.stage {
        Stage::Ipxe | Stage::HttpRom => given.stage,
        _ if request.http_boot => Stage::HttpRom,
        _ => Stage::Rom,
    };
    let place = place_of(daemon, &mut facts, &given)?;
    // Rules ask for it, and the doors know it from the first packet on.
    facts.subnet = daemon.simulator.subnet_at(facts.relay.unwrap_or(place.local)).or(facts.subnet);
    let world = rehearsal(daemon, request, facts.mac)?;
    // Before anything is asked: the walk leaves its traces in this world, and in this world only.
    let explanation = explain::explain(&world, &daemon.library, &daemon.inventory, facts.clone());
    let mut walk = walk_of(daemon, world.clone(), place, facts.clone())?;
    walk.notes = notes;
    let end = walk.whole();
    Ok(told(walk, end, request, &facts, Some(explanation)))
}

/// One captured DHCP request.
fn packet_of(
    daemon: &Daemon,
    request: &SimulationRequest,
    packet: &PacketRequest,
) -> Result<Simulation, BackendError> {
    let bytes = from_hex(&packet.payload).ok_or_else(|| unreadable("packet.payload", "it is not hex"))?;
    let place = |key: &str, text: &str| {
        text.parse::<SocketAddrV4>().map_err(|_| unreadable(key, "write an IPv4 address, a colon and a port"))
    };
    let (from, to) = (place("packet.from", &packet.from)?, place("packet.to", &packet.to)?);
    let message = dhcp_proto::wire::Message::decode(&bytes);
    let mac = message.as_ref().ok().and_then(|message| message.mac());
    let giaddr = message.as_ref().map_or(Ipv4Addr::UNSPECIFIED, |message| message.giaddr);
    let places = &daemon.simulator.places;
    let on = |address: Ipv4Addr| places.iter().find(|place| place.has(address));
    let at = on(*to.ip()).or_else(|| on(*from.ip())).or_else(|| on(giaddr)).or(places.first());
    let at = at.cloned().ok_or_else(no_place)?;
    // A capture of elsewhere was sent to another server: here it would have been sent to us.
    let broadcast = to.ip().is_broadcast() || at.interface.ipv4.iter().any(|net| net.broadcast() == *to.ip());
    let sent_to = SocketAddrV4::new(if broadcast { *to.ip() } else { at.local }, to.port());
    let arrival = at.arrival(sent_to, from);
    let world = rehearsal(daemon, request, mac)?;
    let facts = match &message {
        Ok(message) => dhcp_proto::classify::classify(message, &arrival),
        Err(_) => Facts { mac, ..Facts::default() },
    };
    let mut walk = walk_of(daemon, world, at, facts.clone())?;
    let what = match &message {
        Ok(message) => message.message_type().map_or("a BOOTP request", |kind| kind.as_str()).to_uppercase(),
        Err(_) => "bytes".to_owned(),
    };
    walk.step(facts.stage, "dhcp", format!("{what} to port {}", to.port()));
    walk.one_packet(&arrival, &bytes);
    Ok(told(walk, End::Asked, request, &facts, None))
}

/// One captured TFTP request.
fn file_of(
    daemon: &Daemon,
    request: &SimulationRequest,
    file: &FileRequest,
) -> Result<Simulation, BackendError> {
    let from: Ipv4Addr = file.from.parse().map_err(|_| unreadable("file.from", "write an IPv4 address"))?;
    let places = &daemon.simulator.places;
    let at = places.iter().find(|place| place.has(from)).or(places.first()).cloned().ok_or_else(no_place)?;
    let facts = daemon.world.recall(IpAddr::V4(from)).unwrap_or_default();
    let world = rehearsal(daemon, request, facts.mac)?;
    let mut walk = walk_of(daemon, world, at, Facts { stage: Stage::Loader, ..facts.clone() })?;
    walk.address = from;
    let _ = walk.open_tftp(&file.name);
    Ok(told(walk, End::Asked, request, &facts, None))
}

fn rehearsal(
    daemon: &Daemon,
    request: &SimulationRequest,
    mac: Option<MacAddr>,
) -> Result<Arc<World>, BackendError> {
    let catalog = if request.working_rules { Some(daemon.working_catalog()?) } else { None };
    Ok(Arc::new(daemon.world.rehearsal(catalog, mac)))
}

fn walk_of(daemon: &Daemon, world: Arc<World>, place: Place, facts: Facts) -> Result<Walk, BackendError> {
    let simulator = &daemon.simulator;
    let responder = match &simulator.dhcp {
        None => None,
        Some(settings) => {
            let leases = leases(daemon)?;
            let mut responder = Responder::new(settings.clone());
            responder.set_clock(::dhcp::lease_clock(&daemon.store, &leases, ::dhcp::now()));
            responder.load(leases);
            Some(responder)
        }
    };
    let tree = Tree::new(TreeParts {
        decider: world.clone(),
        ledger: world.clone(),
        library: daemon.library.clone(),
        http_port: simulator.http_port,
    });
    Ok(Walk::new(world, tree, responder, place, simulator.tftp, simulator.http_port, facts))
}

fn told(
    walk: Walk,
    end: End,
    request: &SimulationRequest,
    facts: &Facts,
    explanation: Option<admin::view::Explanation>,
) -> Simulation {
    let catalog = walk.world.catalog();
    let host = catalog.identify(&walk.facts).or_else(|| catalog.identify(facts));
    let (boots, image, conclusion) = end.told();
    Simulation {
        host: host.map(|host| host.name.to_string()),
        rules: if request.working_rules { "working" } else { "in force" }.to_owned(),
        generation: catalog.generation,
        facts: explain::shown(&walk.facts),
        steps: walk.steps,
        boots: boots.to_owned(),
        image,
        conclusion,
        notes: walk.notes,
        explanation: explanation.map(Box::new),
    }
}

/// Where it asks, and through which relay: what is given, else where it was seen, else the first place.
fn place_of(daemon: &Daemon, facts: &mut Facts, given: &Facts) -> Result<Place, BackendError> {
    let places = &daemon.simulator.places;
    if let Some(name) = &given.interface {
        let named = places.iter().find(|place| place.interface.name == *name);
        return named.cloned().ok_or_else(|| {
            let served: Vec<&str> = places.iter().map(|place| &*place.interface.name).collect();
            unreadable("iface", format!("`{name}` is not served; served are {}", served.join(", ")))
        });
    }
    if let Some(name) = &given.subnet {
        let subnets = daemon.simulator.dhcp.iter().flat_map(|settings| &settings.subnets);
        let subnet = subnets.clone().find(|subnet| subnet.name == *name).ok_or_else(|| {
            let known: Vec<&str> = subnets.map(|subnet| &*subnet.name).collect();
            unreadable("subnet", format!("there is no subnet `{name}`; known are {}", known.join(", ")))
        })?;
        if let Some(place) = places.iter().find(|place| subnet.network.contains(&place.local)) {
            return Ok(place.clone());
        }
        // It is behind a relay: its router, as a rule.
        facts.relay = facts.relay.or(subnet.routers.first().copied()).or(subnet.network.hosts().next());
    }
    let seen = facts.interface.as_ref();
    let seen = seen.and_then(|name| places.iter().find(|place| place.interface.name == *name));
    seen.or(places.first()).cloned().ok_or_else(no_place)
}

fn leases(daemon: &Daemon) -> Result<Vec<LeaseRecord>, BackendError> {
    let (mut leases, mut after) = (Vec::new(), None::<Vec<u8>>);
    loop {
        let step = daemon
            .store
            .scan(Table::Leases, after.as_deref(), SCAN_STEP)
            .map_err(|error| BackendError::Internal(chain(&error)))?;
        let last = step.len() < SCAN_STEP;
        after = step.last().map(|(key, _)| key.clone());
        for (_, stored) in step {
            leases.push(decode_lease(&stored.value).map_err(|error| BackendError::Internal(chain(&error)))?);
        }
        if last {
            return Ok(leases);
        }
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    digits.chunks_exact(2).map(|pair| Some(digit(pair.first()?)? << 4 | digit(pair.last()?)?)).collect()
}

fn unreadable(key: &str, cause: impl Into<String>) -> BackendError {
    let cause = format!("`{key}`: {}", cause.into());
    BackendError::Problem(
        Problem::new(400, "R-SIM-01", "bad-simulation", "what is to be simulated cannot be read")
            .with_cause(cause),
    )
}

fn no_place() -> BackendError {
    BackendError::Problem(
        Problem::new(409, "R-SIM-02", "no-place", "no interface with an IPv4 address is served")
            .with_fix("name one under `interfaces:` in the configuration"),
    )
}
