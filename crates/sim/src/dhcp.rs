//! Machines that boot again and again against the real DHCP engine: ROM, iPXE and operating system with three client
//! identifiers, over a bad wire, with a store that fails and a server that dies between its commit and its reply.
//!
//! Safety, looked at after every step: no two machines use one address; every lease a machine believes in is in the
//! store. Liveness: under bounded loss every machine ends its boots.

use crate::{Faults, Link, Seed};
use dhcp_proto::wire::{Encoding, Message, MessageType, Op, code};
use dhcp_proto::{Action, Outcome, Responder, Settings};
use plan::{Catalog, CatalogParts};
use std::collections::{HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::{Duration, Instant};
use types::lease::LeaseRecord;
use types::subnet::{DhcpMode, LeaseTimes, LoaderChoice, Subnet};
use types::{Arrival, Destination, Firmware, MacAddr, Now, UnixTime};

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const LEASE: Duration = Duration::from_secs(600);
/// How long a ROM or iPXE keeps its lease before the next program takes over.
const LOADING: Duration = Duration::from_secs(20);
/// Waits between two tries: UEFI firmware and iPXE as seen, in seconds; the last repeats.
const TRIES: [u64; 4] = [4, 8, 16, 32];

/// What a run does.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Decides everything random.
    pub seed: u64,
    /// Machines on the wire, at most 100.
    pub machines: u8,
    /// Boots each of them makes.
    pub boots: u32,
    /// Addresses in the pool, at most 100.
    pub pool: u8,
    /// The wire, both ways.
    pub faults: Faults,
    /// Commits that fail, in so many of 1000.
    pub commit_failures: u32,
    /// Seconds in which the server dies, in so many of 1000.
    pub crashes: u32,
    /// The wall clock jumps to and fro; the server does not die then.
    pub clock_jumps: bool,
    /// Virtual time after which the run ends, finished or not.
    pub patience: Duration,
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// Boots that reached the operating system and ran for two renewals.
    pub boots: u32,
    /// ACKs that machines took.
    pub leases: u32,
    /// Times the server died.
    pub crashes: u32,
    /// Commits that failed.
    pub commit_failures: u32,
    /// Broken promises, in words; empty in a good run.
    pub violations: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Program {
    Rom,
    Ipxe,
    Os,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Discovering,
    Requesting {
        address: Ipv4Addr,
    },
    /// A program uses its lease.
    Running {
        renewals: u32,
    },
    /// The operating system asks for more time.
    Renewing {
        renewals: u32,
    },
    Done,
}

#[derive(Clone, Copy, Debug)]
struct Belief {
    address: Ipv4Addr,
    since: Instant,
    until: Instant,
}

struct Machine {
    mac: MacAddr,
    program: Program,
    phase: Phase,
    xid: u32,
    tries: usize,
    /// When the transaction began: a lease counts from there (RFC 2131 §4.4.1).
    asked: Instant,
    timer: Instant,
    lease: Option<Belief>,
    boots: u32,
}

/// Where a datagram goes on the wire.
#[derive(Clone, Copy, Debug)]
enum Wire {
    Everyone,
    Mac(MacAddr),
    Address(Ipv4Addr),
}

struct Server {
    responder: Responder,
    store: HashMap<Ipv4Addr, LeaseRecord>,
    /// Actions waiting for their flush.
    flushing: VecDeque<(Instant, Action)>,
    wall: u64,
}

struct World {
    scenario: Scenario,
    seed: Seed,
    now: Instant,
    start: Instant,
    machines: Vec<Machine>,
    up: Link<Arrival>,
    down: Link<Wire>,
    server: Server,
    decider: Arc<Catalog>,
    report: Report,
}

/// Runs a scenario to its end. `start` is the origin of the virtual clock.
pub fn run(scenario: &Scenario, start: Instant) -> Report {
    let mut world = World::new(*scenario, start);
    let mut second = start;
    while world.now < start + scenario.patience
        && world.machines.iter().any(|machine| machine.phase != Phase::Done)
    {
        world.now = world.next_moment().min(second).max(world.now);
        if world.now >= second {
            second += Duration::from_secs(1);
            world.every_second();
        }
        world.deliver();
        world.flush();
        world.fire_timers();
        world.check();
        if !world.report.violations.is_empty() {
            break;
        }
    }
    world.report.boots = world.machines.iter().map(|machine| machine.boots).sum();
    world.report
}

fn settings(pool: u8) -> Settings {
    let address = |host: u8| Ipv4Addr::new(10, 77, 0, host);
    let first = address(100);
    let pool = types::subnet::Ipv4Range { first, last: address(99 + pool.clamp(1, 100)) };
    let subnet = Subnet {
        name: "sim".into(),
        network: "10.77.0.0/24".parse().unwrap_or_default(),
        mode: DhcpMode::Server,
        pools: vec![pool],
        excluded: Vec::new(),
        reservations: Vec::new(),
        lease_times: LeaseTimes { default: LEASE, min: LEASE, max: LEASE },
        routers: Vec::new(),
        dns: Vec::new(),
        domain: None,
        options: Vec::new(),
        authoritative: true,
        uefi_discovery_control: false,
        next_server: None,
    };
    Settings { subnets: vec![subnet], http_port: 8080, ..Settings::default() }
}

impl Machine {
    fn message(&self, kind: MessageType) -> Message {
        let mut message = Message::new(Op::BootRequest);
        message.xid = self.xid;
        for (to, from) in message.chaddr.iter_mut().zip(self.mac.0) {
            *to = from;
        }
        message.options.set(code::MESSAGE_TYPE, [kind.code()]);
        let id = |head: &[u8]| [head, &self.mac.0].concat();
        match self.program {
            Program::Rom => {}
            Program::Ipxe => {
                message.options.set(code::CLIENT_IDENTIFIER, id(&[1]));
                message.options.set(code::USER_CLASS, *b"iPXE");
                message.options.set(code::IPXE, [19, 1, 1]);
            }
            Program::Os => message.options.set(code::CLIENT_IDENTIFIER, id(&[0xff, 0, 0, 0, 1, 0, 4])),
        }
        if self.program != Program::Os {
            message.options.set(code::VENDOR_CLASS, *b"PXEClient:Arch:00007:UNDI:003000");
            message.options.set(code::CLIENT_ARCH, [0, 7]);
        }
        message
    }

    fn begin(&mut self, now: Instant, xid: u32, program: Program) {
        self.program = program;
        self.phase = Phase::Discovering;
        self.xid = xid;
        self.tries = 0;
        self.asked = now;
        self.timer = now;
        self.lease = None;
    }

    /// The time to the next try.
    fn pause(&mut self) -> Duration {
        let seconds = TRIES.get(self.tries).or(TRIES.last()).copied().unwrap_or(1);
        self.tries += 1;
        Duration::from_secs(seconds)
    }
}

impl World {
    fn new(scenario: Scenario, start: Instant) -> World {
        let mut seed = Seed::new(scenario.seed);
        let (up, down) = (Seed::new(seed.next_u64()), Seed::new(seed.next_u64()));
        let machines = (1..=scenario.machines.min(100))
            .map(|number| Machine {
                mac: MacAddr([0x52, 0x54, 0, 0, 0, number]),
                program: Program::Rom,
                phase: Phase::Discovering,
                xid: u32::from(number) << 16,
                tries: 0,
                asked: start,
                // A rack gets its power back at once, more or less.
                timer: start + Duration::from_millis(seed.below(2000)),
                lease: None,
                boots: 0,
            })
            .collect();
        let loader = LoaderChoice { firmware: Firmware::UefiX64, file: "snponly.efi".into() };
        let parts = CatalogParts { loaders: vec![loader], ..CatalogParts::default() };
        World {
            up: Link::new(scenario.faults, up),
            down: Link::new(scenario.faults, down),
            server: Server {
                responder: Responder::new(settings(scenario.pool)),
                store: HashMap::new(),
                flushing: VecDeque::new(),
                wall: 1_800_000_000,
            },
            decider: Arc::new(Catalog::build(parts).unwrap_or_default()),
            report: Report::default(),
            now: start,
            start,
            machines,
            scenario,
            seed,
        }
    }

    fn next_moment(&self) -> Instant {
        let timers =
            self.machines.iter().filter(|machine| machine.phase != Phase::Done).map(|machine| machine.timer);
        let flush = self.server.flushing.front().map(|(at, _)| *at);
        let arrivals = self.up.next_arrival().into_iter().chain(self.down.next_arrival());
        timers.chain(flush).chain(arrivals).min().unwrap_or(self.now)
    }

    fn clock(&self) -> Now {
        let passed = self.now.saturating_duration_since(self.start).as_secs();
        Now { instant: self.now, unix: UnixTime(self.server.wall + passed) }
    }

    fn every_second(&mut self) {
        if self.scenario.clock_jumps && self.seed.chance(20) {
            self.server.wall = 1_700_000_000 + self.seed.below(200_000_000);
        }
        // Records written with a wrong clock cannot be read right: runs with jumps have no restarts.
        if !self.scenario.clock_jumps && self.seed.chance(self.scenario.crashes) {
            // Dies between commit and send, or before the commit: whatever was not flushed is gone with the rest.
            self.report.crashes += 1;
            if let Some((_, action)) = self.server.flushing.pop_front() {
                self.server.store.extend(action.commit.into_iter().map(|record| (record.address, record)));
            }
            self.server.flushing.clear();
            self.server.responder = Responder::new(settings(self.scenario.pool));
            self.server.responder.load(self.server.store.values().cloned());
        }
        let now = self.clock();
        if let Some(redating) = self.server.responder.tick(now).redating {
            self.server.store.extend(redating.records.into_iter().map(|record| (record.address, record)));
            self.server.responder.redated(redating.clock);
        }
    }

    fn deliver(&mut self) {
        while let Some((arrival, bytes)) = self.up.receive(self.now) {
            let now = self.clock();
            if let Outcome::Act(action) = self.server.responder.handle(now, &arrival, &bytes, &self.decider) {
                let slow = Duration::from_millis(1 + self.seed.below(40));
                let at = self.server.flushing.back().map_or(self.now, |(at, _)| *at).max(self.now) + slow;
                self.server.flushing.push_back((at, action));
            }
        }
        while let Some((to, bytes)) = self.down.receive(self.now) {
            let Ok(reply) = Message::decode(&bytes) else { continue };
            for at in 0..self.machines.len() {
                self.hear(at, to, &reply);
            }
        }
    }

    /// The commit, then the reply: never the other way round.
    fn flush(&mut self) {
        while self.server.flushing.front().is_some_and(|(at, _)| *at <= self.now) {
            let Some((_, action)) = self.server.flushing.pop_front() else { return };
            let failed = !action.commit.is_empty() && self.seed.chance(self.scenario.commit_failures);
            if failed {
                self.report.commit_failures += 1;
            } else {
                self.server.responder.committed(&action.commit);
                self.server.store.extend(action.commit.into_iter().map(|record| (record.address, record)));
            }
            let Some(transmit) = (if failed { action.fallback } else { action.transmit }) else { continue };
            let to = match transmit.destination {
                Destination::Broadcast(_) => Wire::Everyone,
                Destination::Hardware { mac, .. } => Wire::Mac(mac),
                Destination::Unicast(to) => Wire::Address(*to.ip()),
            };
            self.down.send(self.now, to, transmit.payload);
        }
    }

    fn hear(&mut self, at: usize, to: Wire, reply: &Message) {
        let now = self.now;
        let fresh_xid = self.fresh_xid();
        let Some(machine) = self.machines.get_mut(at) else { return };
        let for_me = match to {
            Wire::Everyone => true,
            Wire::Mac(mac) => mac == machine.mac,
            Wire::Address(address) => machine.lease.is_some_and(|lease| lease.address == address),
        };
        if !for_me || reply.xid != machine.xid || reply.mac() != Some(machine.mac) {
            return;
        }
        match (reply.message_type(), machine.phase) {
            (Some(MessageType::Offer), Phase::Discovering) => {
                machine.phase = Phase::Requesting { address: reply.yiaddr };
                machine.tries = 0;
                machine.asked = now;
                machine.timer = now;
            }
            (Some(MessageType::Ack), Phase::Requesting { .. } | Phase::Renewing { .. }) => {
                let seconds = reply.options.u32(code::LEASE_TIME).unwrap_or(0);
                let until = machine.asked + Duration::from_secs(seconds.into());
                let renewals = match machine.phase {
                    Phase::Renewing { renewals } => renewals + 1,
                    _ => 0,
                };
                machine.lease = Some(Belief { address: reply.yiaddr, since: now, until });
                machine.phase = Phase::Running { renewals };
                machine.timer = now + if machine.program == Program::Os { LEASE / 2 } else { LOADING };
                self.report.leases += 1;
                if !self.server.store.contains_key(&reply.yiaddr) {
                    self.report
                        .violations
                        .push(format!("{} was acknowledged and is not durable", reply.yiaddr));
                }
            }
            (Some(MessageType::Nak), Phase::Requesting { .. } | Phase::Renewing { .. }) => {
                machine.begin(now, fresh_xid, machine.program);
            }
            _ => {}
        }
    }

    fn fresh_xid(&mut self) -> u32 {
        u32::try_from(self.seed.below(u64::from(u32::MAX))).unwrap_or(0)
    }

    fn fire_timers(&mut self) {
        for at in 0..self.machines.len() {
            let due = self
                .machines
                .get(at)
                .is_some_and(|machine| machine.phase != Phase::Done && machine.timer <= self.now);
            if due {
                self.fire(at);
            }
        }
    }

    fn fire(&mut self, at: usize) {
        let (now, fresh_xid) = (self.now, self.fresh_xid());
        let wanted = self.scenario.boots;
        let Some(machine) = self.machines.get_mut(at) else { return };
        let (message, unicast) = match machine.phase {
            Phase::Done => return,
            Phase::Discovering => {
                machine.timer = now + machine.pause();
                (machine.message(MessageType::Discover), false)
            }
            Phase::Requesting { .. } if machine.tries > 3 => {
                machine.begin(now, fresh_xid, machine.program);
                return;
            }
            Phase::Requesting { address } => {
                machine.timer = now + machine.pause();
                let mut message = machine.message(MessageType::Request);
                message.options.set_ip(code::REQUESTED_ADDRESS, address);
                message.options.set_ip(code::SERVER_IDENTIFIER, SERVER);
                (message, false)
            }
            Phase::Running { renewals } => match machine.program {
                Program::Rom => return machine.begin(now, fresh_xid, Program::Ipxe),
                Program::Ipxe => return machine.begin(now, fresh_xid, Program::Os),
                Program::Os if renewals < 2 => {
                    machine.phase = Phase::Renewing { renewals };
                    machine.xid = fresh_xid;
                    machine.asked = now;
                    return;
                }
                Program::Os => {
                    machine.boots += 1;
                    let address = machine.lease.map(|lease| lease.address);
                    let mut release = machine.message(MessageType::Release);
                    release.options.set_ip(code::SERVER_IDENTIFIER, SERVER);
                    machine.begin(now + Duration::from_secs(5), fresh_xid, Program::Rom);
                    if machine.boots >= wanted {
                        machine.phase = Phase::Done;
                    }
                    // Every other one says goodbye.
                    let Some(address) = address.filter(|_| fresh_xid & 1 == 0) else { return };
                    release.ciaddr = address;
                    (release, true)
                }
            },
            Phase::Renewing { .. } => {
                let Some(lease) = machine.lease.filter(|lease| lease.until > now) else {
                    machine.begin(now, fresh_xid, Program::Os);
                    return;
                };
                machine.timer = (now + Duration::from_secs(30)).min(lease.until);
                let mut message = machine.message(MessageType::Request);
                message.ciaddr = lease.address;
                let rebinding = now > lease.until.checked_sub(LEASE / 8).unwrap_or(now);
                (message, !rebinding)
            }
        };
        self.send_up(&message, unicast);
    }

    fn send_up(&mut self, message: &Message, unicast: bool) {
        let Ok(encoded) = message.encode(&[], &Encoding::default()) else { return };
        let to = if unicast { SERVER } else { Ipv4Addr::BROADCAST };
        let arrival = Arrival {
            interface_index: 2,
            interface: "sim0".into(),
            local: SERVER,
            sent_to: SocketAddrV4::new(to, 67),
            remote: SocketAddrV4::new(message.ciaddr, 68),
        };
        self.up.send(self.now, arrival, encoded.bytes);
    }

    fn check(&mut self) {
        let mut users: HashMap<Ipv4Addr, MacAddr> = HashMap::new();
        for machine in &self.machines {
            let Some(lease) = machine.lease.filter(|lease| lease.until > self.now) else { continue };
            if let Some(other) = users.insert(lease.address, machine.mac) {
                let since = self.now.saturating_duration_since(lease.since);
                self.report.violations.push(format!(
                    "seed {}: {other} and {} (for {since:?}) both use {}",
                    self.scenario.seed, machine.mac, lease.address
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests;
