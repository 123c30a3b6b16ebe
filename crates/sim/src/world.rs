//! A rack, its wire and its appliances on a virtual clock.
//!
//! Safety is looked at where it could break: at every decision and every datagram of an appliance (`audit.rs`), at every
//! lease a machine takes, after every restart. Liveness at the end: when the trouble is over, everyone boots.

mod wire;

use crate::crowd;
use crate::incident::{self, Incident, Step};
use crate::machine::{Heard, LOADING, Machine, Program, Way};
use crate::report::{Book, Promise, Report};
use crate::scenario::{Appliances, Flood, Scenario};
use crate::server::{Mutant, Out, Server};
use crate::{Faults, Link, Seed, place, relay, tftp};
use dhcp_proto::limits::REPEAT_WINDOW;
use dhcp_proto::wire::{Encoding, Message, MessageType};
use plan::Catalog;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::{Duration, Instant};
use types::{MacAddr, UnixTime};

/// Once a second the appliances look at what time alone brings about.
const TICK: Duration = Duration::from_secs(1);
/// Requests in one burst of a flood.
const BURST_MAX: u64 = 12;
/// Hardware address of everybody who uses an address and asked nobody.
const SQUATTER: MacAddr = MacAddr([0x02, 0, 0, 0, 0x5a, 1]);
/// A transfer that holds on longer than this hangs.
const TRANSFER_HANGS: Duration = Duration::from_secs(60);

/// An end of the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Node {
    Server(usize),
    Machine(usize),
    Relay,
    Stranger,
    /// Whoever uses that address, asked by an appliance.
    Asked(usize, Ipv4Addr, Asked),
    /// The appliance that asked, told whose it is.
    Told(usize, Ipv4Addr, Option<MacAddr>),
}

/// How an address is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Asked {
    /// By ARP on the link: the answer names a hardware address.
    Arp,
    /// By ICMP: it does not.
    Echo,
}

/// A datagram that asks or answers who uses an address: its bytes do not matter.
const QUESTION: [u8; 28] = [0; 28];

#[derive(Clone, Debug)]
struct Frame {
    to: Node,
    source: SocketAddrV4,
    destination: SocketAddrV4,
}

struct Cut {
    from: Node,
    to: Node,
    until: Instant,
}

/// Everything that is the same in every run.
#[derive(Clone, Debug)]
pub struct Stage {
    catalog: Arc<Catalog>,
    interface: Arc<str>,
    start: Instant,
}

impl Stage {
    /// `start`: any moment, the origin of the virtual clocks.
    pub fn new(start: Instant) -> Stage {
        Stage { catalog: place::catalog(), interface: "sim0".into(), start }
    }

    /// Runs a scenario to its end.
    pub fn run(&self, scenario: &Scenario) -> Report {
        World::new(self, *scenario, None, false).run()
    }

    /// The same, with everything that happens told.
    pub fn trace(&self, scenario: &Scenario) -> Report {
        World::new(self, *scenario, None, true).run()
    }

    /// The same with an appliance that breaks a promise.
    pub fn run_mutant(&self, scenario: &Scenario, mutant: Mutant) -> Report {
        World::new(self, *scenario, Some(mutant), false).run()
    }
}

struct World<'a> {
    stage: &'a Stage,
    scenario: Scenario,
    now: Instant,
    second: Instant,
    machines: Vec<Machine>,
    servers: Vec<Server>,
    wire: Link<Frame>,
    cuts: Vec<Cut>,
    incidents: Vec<(Instant, Incident)>,
    squatted: Vec<Ipv4Addr>,
    /// Datagrams the appliances got.
    serial: u64,
    is_calm: bool,
    book: Book,
    seed: Seed,
}

impl<'a> World<'a> {
    fn new(stage: &'a Stage, scenario: Scenario, mutant: Option<Mutant>, traces: bool) -> World<'a> {
        let start = stage.start;
        let mut seed = Seed::new(scenario.seed);
        let mut book = Book::new(start, traces);
        let count = if scenario.appliances == Appliances::One { 1 } else { 2 };
        let servers = (0..count)
            .map(|number| {
                let own = Seed::new(seed.next_u64());
                Server::new(&scenario, number, mutant, start, own, &mut book)
            })
            .collect();
        let shortest = (scenario.lease_min < scenario.lease).then_some(scenario.lease_min);
        let leases = (shortest, scenario.lease);
        let machines = (0..scenario.machines + scenario.relayed)
            .map(|number| {
                // A rack gets its power back at once, more or less.
                let on = start + Duration::from_millis(seed.below(2000));
                let own = Seed::new(seed.next_u64());
                let relayed = number >= scenario.machines;
                Machine::new(place::mac(number), relayed, scenario.drift_ppm, leases, on, own)
            })
            .collect();
        let counts = book.counts();
        counts.pairs_of_appliances = u64::from(count == 2);
        counts.relays = u64::from(scenario.relayed > 0);
        let incidents = incident::draw(&scenario, count.into(), start, &mut seed);
        World {
            wire: Link::new(scenario.wire, Seed::new(seed.next_u64())),
            squatted: (0..scenario.squatters).map(|number| place::squatted(&scenario, number)).collect(),
            stage,
            scenario,
            now: start,
            second: start,
            machines,
            servers,
            cuts: Vec::new(),
            incidents,
            serial: 0,
            is_calm: false,
            book,
            seed,
        }
    }

    fn run(mut self) -> Report {
        let end = self.stage.start + self.scenario.trouble + self.scenario.patience;
        while self.now < end && self.book.report.violations.is_empty() && !self.has_ended() {
            self.now = self.next_moment().max(self.now);
            while self.incidents.last().is_some_and(|(at, _)| *at <= self.now) {
                if let Some((_, incident)) = self.incidents.pop() {
                    self.happens(incident);
                }
            }
            if self.now >= self.second {
                self.second += TICK;
                self.servers.iter_mut().for_each(|server| server.tick(self.now, &mut self.book));
            }
            self.deliver();
            self.serve();
            self.fire_timers();
        }
        self.finish()
    }

    fn finish(mut self) -> Report {
        let done = |relayed: bool| {
            self.machines.iter().filter(|machine| machine.relayed == relayed && machine.is_done()).count()
        };
        let ((own, far), (own_done, far_done)) = (self.scenario.fit(), (done(false), done(true)));
        let good = own_done >= own && far_done >= far;
        if self.book.report.violations.is_empty() && !good {
            let stuck: Vec<String> = self
                .machines
                .iter()
                .filter(|machine| !machine.is_done())
                .map(|machine| {
                    format!(
                        "{} {:?} {:?} after {} boots",
                        machine.mac, machine.program, machine.phase, machine.boots
                    )
                })
                .collect();
            self.book.broke(self.now, Promise::EveryoneBoots, stuck.join(", "));
        }
        let boots: u64 = self.machines.iter().map(|machine| u64::from(machine.boots)).sum();
        let counts = self.book.counts();
        counts.boots = boots;
        counts.datagrams = self.wire.sent;
        counts.seconds = self.now.saturating_duration_since(self.stage.start).as_secs();
        self.book.report
    }

    /// Everyone who fits has ended.
    fn has_ended(&self) -> bool {
        let (own, far) = self.scenario.fit();
        let scarce = own < self.scenario.machines.into() || far < self.scenario.relayed.into();
        let (mut own_done, mut far_done, mut all) = (0, 0, true);
        for machine in &self.machines {
            match (machine.is_done(), machine.relayed) {
                (true, false) => own_done += 1,
                (true, true) => far_done += 1,
                (false, _) => all = false,
            }
        }
        all || (scarce && self.is_calm && own_done >= own && far_done >= far)
    }

    fn next_moment(&self) -> Instant {
        let timers = self.machines.iter().filter(|machine| !machine.is_done()).map(|machine| machine.timer);
        let servers = self.servers.iter().filter_map(Server::due);
        let incident = self.incidents.last().map(|(at, _)| *at);
        timers.chain(servers).chain(incident).chain(self.wire.next_arrival()).fold(self.second, Instant::min)
    }

    fn happens(&mut self, incident: Incident) {
        let (now, book) = (self.now, &mut self.book);
        book.say(now, || format!("{incident:?}"));
        match incident {
            Incident::Calm => {
                self.is_calm = true;
                self.wire.set_faults(Faults::NONE);
                self.cuts.clear();
                self.servers.iter_mut().for_each(Server::calm);
            }
            Incident::Cut(from, to, time) => self.cuts.push(Cut { from, to, until: now + time }),
            Incident::PowerCycle(at) => {
                if let Some(machine) = self.machines.get_mut(at) {
                    machine.power_cycle(now);
                }
            }
            Incident::Flood => self.flood(),
            Incident::Dies(at, _)
            | Incident::Doomed(at, _)
            | Incident::Checkpoint(at, _)
            | Incident::DiskFails(at, ..)
            | Incident::DiskFull(at, _)
            | Incident::ClockStep(at, _) => {
                let Some(server) = self.servers.get_mut(at) else { return };
                match incident {
                    Incident::Dies(_, death) => server.die(now, death, book),
                    Incident::Doomed(_, doom) => server.doom(doom),
                    Incident::Checkpoint(_, cut) => {
                        if let Some(operations) = cut {
                            server.disk.cut_after(operations);
                        }
                        server.checkpoint(now, book);
                    }
                    Incident::DiskFails(_, after, kind) => server.disk.fail_after(after, kind),
                    Incident::DiskFull(_, full) => server.disk.set_full(full),
                    Incident::ClockStep(_, step) => {
                        let to = match step {
                            Step::By(seconds) => UnixTime(server.wall(now).0.saturating_add_signed(seconds)),
                            Step::To(time) => time,
                        };
                        book.counts().clock_steps += u64::from(server.set_clock(now, to));
                    }
                    _ => {}
                }
            }
        }
    }

    /// A burst of requests from somebody who has no business here.
    fn flood(&mut self) {
        let victims = self.scenario.flood == Flood::Impersonators;
        for _ in 0..=self.seed.below(BURST_MAX) {
            let at = self.seed.below(self.servers.len() as u64);
            let number = u8::try_from(at).unwrap_or(0);
            let server = place::appliance(number);
            // Addresses of others are of more use than free ones.
            let known: Vec<Ipv4Addr> =
                self.machines.iter().filter_map(|machine| Some(machine.lease?.address)).collect();
            let pick = self.seed.below(known.len() as u64 + 2);
            let address = known.get(usize::try_from(pick).unwrap_or(0)).copied();
            let address = address.unwrap_or_else(|| place::squatted(&self.scenario, number));
            let message = if victims && self.seed.chance(400) {
                let Some(victim) = self.machines.first_mut() else { continue };
                victim.victim = true;
                crowd::impersonator(&mut self.seed, victim, server, address)
            } else {
                crowd::stranger(&mut self.seed, server, address)
            };
            let Ok(encoded) = message.encode(&[], &Encoding::default()) else { continue };
            let from = Ipv4Addr::UNSPECIFIED;
            self.broadcast(Node::Stranger, from, &encoded.bytes);
        }
    }

    fn serve(&mut self) {
        for at in 0..self.servers.len() {
            let Some(server) = self.servers.get_mut(at) else { continue };
            let was_up = server.is_up();
            let sent = server.step(self.now, &self.stage.catalog, &mut self.book);
            let is_back = !was_up && server.is_up();
            for out in sent {
                match out {
                    Out::Reply(transmit) => self.leaves(at, transmit),
                    Out::Ask(probe) => self.ask(at, &probe),
                }
            }
            if is_back {
                self.compare_beliefs(at);
            }
        }
    }

    /// A restarted appliance stands by every lease a machine lives by.
    fn compare_beliefs(&mut self, at: usize) {
        let Some(server) = self.servers.get(at) else { return };
        for machine in self.machines.iter().filter(|machine| trusts(&self.scenario, machine)) {
            let Some(lease) = machine.live(self.now).filter(|lease| lease.server == server.address) else {
                continue;
            };
            let stands = server.stands_by(self.now, lease.address, machine.mac, lease.until);
            self.book.check(self.now, stands, Promise::DurableFirst, || {
                format!("{} lives by {} and {} forgot it", machine.mac, lease.address, server.address)
            });
        }
    }

    /// Nobody but this machine lives by the address.
    fn check_owner(&mut self, address: Ipv4Addr, mac: Option<MacAddr>, how: &str) {
        let others = self.machines.iter().filter(|other| Some(other.mac) != mac);
        for other in others.filter(|other| trusts(&self.scenario, other)) {
            let lives = other.live(self.now).is_some_and(|lease| lease.address == address);
            self.book.check(self.now, !lives, Promise::OneOwner, || {
                format!("{address} is {how} {mac:?} while {} lives by it", other.mac)
            });
        }
    }

    fn hear(&mut self, at: usize, reply: &Message) {
        let now = self.now;
        let squatted = &self.squatted;
        let Some(machine) = self.machines.get_mut(at) else { return };
        let relayed = machine.relayed;
        let heard = machine.hear(now, reply, |address| !relayed && squatted.contains(&address));
        let (mac, lease) = (machine.mac, machine.lease);
        match heard {
            Heard::Nothing => {}
            Heard::Declined(message) => {
                self.book.counts().declines += 1;
                self.book.say(now, || format!("{mac} declines {}", reply.yiaddr));
                self.say(at, &message, Way::Broadcast);
            }
            Heard::Refused(before) => {
                self.book.counts().naks += 1;
                self.book.say(now, || format!("{mac} is told NAK, had {before:?}"));
                let stands = before.is_some_and(|lease| {
                    self.servers.iter().any(|server| server.stands_by(now, lease.address, mac, lease.until))
                });
                self.book.counts().foreign_naks += u64::from(stands);
            }
            Heard::Leased { before, asked, counts_from_last } => {
                let Some(lease) = lease else { return };
                self.book.counts().leases += 1;
                self.book.say(now, || {
                    let left = lease.until.saturating_duration_since(now);
                    format!("{mac} lives by {} of {} for {left:?}", lease.address, lease.server)
                });
                let Some(machine) = self.machines.get(at) else { return };
                if !trusts(&self.scenario, machine) {
                    return;
                }
                // Rounding, the way and a slow clock are no broken promise; nor is a repeated ACK, which says the same time
                // again up to a window later. The server keeps the address that much longer.
                let repeat = if counts_from_last { REPEAT_WINDOW } else { Duration::ZERO };
                let on_the_way = now.saturating_duration_since(asked);
                let slack = on_the_way + repeat + Duration::from_secs(2) + self.scenario.lease / 100;
                let kept = before.is_none_or(|before| {
                    before.address != lease.address || lease.until + slack >= before.until
                });
                self.book.check(now, kept, Promise::NeverShorter, || {
                    format!("{mac} renewed {}: {before:?} became {lease:?}", lease.address)
                });
                self.check_owner(lease.address, Some(mac), "taken by");
                if self.scenario.transfers {
                    self.fetch_loader(at);
                }
            }
        }
    }

    /// A ROM with a lease fetches its loader over the wire as it is now.
    fn fetch_loader(&mut self, at: usize) {
        let Some(machine) = self.machines.get_mut(at).filter(|machine| machine.program == Program::Rom)
        else {
            return;
        };
        let faults = if self.is_calm { Faults::NONE } else { self.scenario.wire };
        let pick = usize::try_from(self.seed.below(tftp::PROFILES.len() as u64)).unwrap_or(0);
        let size = usize::try_from(self.seed.below(12_000)).unwrap_or(0);
        let scenario = tftp::Scenario {
            profile: tftp::PROFILES.get(pick).copied().unwrap_or(tftp::EDK2),
            content: self.seed.bytes(size),
            faults,
            policy: tftp_proto::Policy::default(),
            trust: tftp_proto::Trust::Known,
            seed: self.seed.next_u64(),
        };
        let report = tftp::run(&scenario, self.now);
        self.book.counts().transfers += 1;
        let whole = match &report.outcome {
            Some(tftp::Outcome::Got(received)) => faults.damage_passes || *received == scenario.content,
            Some(tftp::Outcome::Refused { .. } | tftp::Outcome::GaveUp) => true,
            None => false,
        };
        let good = whole && report.open == 0 && report.server_lag <= TRANSFER_HANGS;
        self.book.check(self.now, good, Promise::TransferWhole, || {
            format!("{} with {size} bytes, seed {}", scenario.profile.name, scenario.seed)
        });
        let left = machine.lease.map_or(LOADING, |lease| lease.until.saturating_duration_since(self.now));
        if matches!(report.outcome, Some(tftp::Outcome::Got(_))) && report.took < left {
            machine.timer = self.now + report.took.max(LOADING).min(left);
        } else {
            machine.boot_failed(self.now + report.took);
        }
    }

    fn fire_timers(&mut self) {
        for at in 0..self.machines.len() {
            let Some(machine) = self.machines.get_mut(at) else { continue };
            if machine.is_done() || machine.timer > self.now {
                continue;
            }
            let (boots, renewals) = (self.scenario.boots, self.scenario.renewals);
            if let Some((message, way)) = machine.fire(self.now, boots, renewals) {
                self.say(at, &message, way);
            }
        }
    }

    /// A machine says something.
    fn say(&mut self, at: usize, message: &Message, way: Way) {
        let Some(machine) = self.machines.get(at) else { return };
        let (relayed, mac) = (machine.relayed, machine.mac);
        let kind = message.message_type().map_or("?", MessageType::as_str);
        self.book.counts().releases += u64::from(message.message_type() == Some(MessageType::Release));
        self.book.say(self.now, || format!("{mac} says {kind} {way:?}"));
        let Ok(encoded) = message.encode(&[], &Encoding::default()) else { return };
        let from = Node::Machine(at);
        match way {
            Way::Broadcast if relayed => {
                if let Some(bytes) = relay::forward(at, &encoded.bytes) {
                    for server in 0..self.servers.len() {
                        let source = SocketAddrV4::new(relay::GIADDR, 67);
                        let to = place::appliance(u8::try_from(server).unwrap_or(0));
                        let destination = SocketAddrV4::new(to, 67);
                        self.send(Node::Relay, Node::Server(server), source, destination, bytes.clone());
                    }
                }
            }
            Way::Broadcast => self.broadcast(from, message.ciaddr, &encoded.bytes),
            Way::Server(address) => {
                let at = self.servers.iter().position(|server| server.address == address);
                let Some(server) = at else { return };
                let source = SocketAddrV4::new(message.ciaddr, 68);
                self.send(from, Node::Server(server), source, SocketAddrV4::new(address, 67), encoded.bytes);
            }
        }
    }
}

/// What a machine believes proves something: nobody forged its packets.
fn trusts(scenario: &Scenario, machine: &Machine) -> bool {
    !machine.victim && !scenario.wire.damage_passes
}
