//! A machine that boots again and again: ROM, iPXE and operating system, with three client identifiers (RFC 2131 §4.4).
//!
//! ```text
//! discovering ──► requesting ──► running ──► renewing ──► … ──► off ──► discovering (ROM) …
//!                 rebooting ──────▲ (an operating system that remembers its address)
//! ```
//! A ROM and iPXE keep their lease while they load and hand over to the next program, which asks anew.

use crate::Seed;
use dhcp_proto::wire::{Message, MessageType, Op, code, message::BROADCAST_FLAG};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};
use types::MacAddr;

/// How long a ROM or iPXE keeps its lease before the next program takes over.
pub(crate) const LOADING: Duration = Duration::from_secs(20);
/// Waits between two tries: UEFI firmware and iPXE as seen, in seconds.
const TRIES: [u64; 4] = [4, 8, 16, 32];
/// How long some clients collect offers.
const GATHERING: Duration = Duration::from_secs(1);
/// From switching off to the ROM's first packet.
const SELF_TEST: Duration = Duration::from_secs(5);
/// RFC 2131 §3.1 step 5: the pause after a DECLINE.
const DECLINE_PAUSE: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Program {
    Rom,
    Ipxe,
    Os,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    Discovering,
    Requesting {
        address: Ipv4Addr,
        server: Ipv4Addr,
    },
    /// INIT-REBOOT: it remembers an address.
    Rebooting {
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

/// What a machine takes for true.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Belief {
    pub(crate) address: Ipv4Addr,
    pub(crate) server: Ipv4Addr,
    pub(crate) since: Instant,
    pub(crate) until: Instant,
}

/// How it differs from the next one.
#[derive(Clone, Copy, Debug)]
struct Habits {
    /// Waits for more offers, and takes any of them.
    gathers: bool,
    /// Its lease counts from its last try, not from the first of the transaction.
    counts_from_last: bool,
    /// Its clock is slow by so many millionths.
    drift_ppm: u32,
    /// Looks whether its address is in use before it uses it.
    probes: bool,
    /// Seconds it asks for.
    asks: Option<u32>,
    /// Its operating system verifies the address it had.
    remembers: bool,
    /// Every other time it gives its lease back.
    releases: bool,
    /// Cannot be reached without an address.
    broadcast: bool,
    /// Believes no longer lease: a flipped bit shall not put it to sleep for years.
    lease_max: Duration,
}

/// Where a message goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    Broadcast,
    Server(Ipv4Addr),
}

/// What an answer did to the machine.
#[derive(Debug)]
pub(crate) enum Heard {
    Nothing,
    /// An ACK that it takes; the belief before, when it renewed.
    Leased {
        before: Option<Belief>,
        asked: Instant,
        /// It counts a repeated ACK from its last try.
        counts_from_last: bool,
    },
    /// The address is in use: it says so.
    Declined(Box<Message>),
    /// It was told to stop using this, or not to begin.
    Refused(Option<Belief>),
}

pub(crate) struct Machine {
    pub(crate) mac: MacAddr,
    /// Its network is behind the relay.
    pub(crate) relayed: bool,
    /// Somebody spoke in its name: what it believes proves nothing.
    pub(crate) victim: bool,
    pub(crate) program: Program,
    pub(crate) phase: Phase,
    pub(crate) lease: Option<Belief>,
    pub(crate) timer: Instant,
    pub(crate) boots: u32,
    habits: Habits,
    xid: u32,
    tries: usize,
    /// When the transaction began: a lease counts from there (RFC 2131 §4.4.1).
    asked: Instant,
    /// When its last message left.
    last_try: Instant,
    offers: Vec<(Ipv4Addr, Ipv4Addr)>,
    remembered: Option<Ipv4Addr>,
    seed: Seed,
}

impl Machine {
    /// A machine that is switched on at `start`.
    pub(crate) fn new(
        mac: MacAddr,
        relayed: bool,
        drift_ppm: u32,
        (shortest, lease_max): (Option<Duration>, Duration),
        start: Instant,
        mut seed: Seed,
    ) -> Machine {
        let counts_from_last = drift_ppm == 0 && seed.chance(300);
        let asks = shortest.filter(|_| seed.chance(300)).and_then(|time| u32::try_from(time.as_secs()).ok());
        let habits = Habits {
            gathers: seed.chance(300),
            counts_from_last,
            drift_ppm: u32::try_from(seed.below(u64::from(drift_ppm) + 1)).unwrap_or(0),
            probes: seed.chance(800),
            asks,
            remembers: seed.chance(400),
            releases: seed.chance(700),
            broadcast: seed.chance(500),
            lease_max,
        };
        Machine {
            mac,
            relayed,
            victim: false,
            program: Program::Rom,
            phase: Phase::Discovering,
            lease: None,
            timer: start,
            boots: 0,
            habits,
            xid: number(&mut seed),
            tries: 0,
            asked: start,
            last_try: start,
            offers: Vec::new(),
            remembered: None,
            seed,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.phase == Phase::Done
    }

    /// The lease it lives by now.
    pub(crate) fn live(&self, now: Instant) -> Option<Belief> {
        self.lease.filter(|lease| lease.until > now)
    }

    /// A message of its present program.
    pub(crate) fn message(&self, kind: MessageType) -> Message {
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
        if self.habits.broadcast && matches!(kind, MessageType::Discover | MessageType::Request) {
            message.flags = BROADCAST_FLAG;
        }
        if let Some(asks) =
            self.habits.asks.filter(|_| matches!(kind, MessageType::Discover | MessageType::Request))
        {
            message.options.set_u32(code::LEASE_TIME, asks);
        }
        message
    }

    /// A program starts and knows of no lease.
    fn begin(&mut self, at: Instant, program: Program) {
        self.program = program;
        self.phase = Phase::Discovering;
        if let (Program::Os, Some(address)) = (program, self.remembered.filter(|_| self.habits.remembers)) {
            self.phase = Phase::Rebooting { address };
        }
        self.again(at);
        self.lease = None;
    }

    /// A new transaction.
    fn again(&mut self, at: Instant) {
        self.xid = number(&mut self.seed);
        self.tries = 0;
        (self.asked, self.timer) = (at, at);
        self.offers.clear();
    }

    fn discover_anew(&mut self, at: Instant) {
        self.phase = Phase::Discovering;
        self.lease = None;
        self.again(at);
    }

    /// The power goes and comes back.
    pub(crate) fn power_cycle(&mut self, now: Instant) {
        if !self.is_done() {
            self.begin(now + SELF_TEST, Program::Rom);
        }
    }

    /// Its loader did not come: the ROM starts over.
    pub(crate) fn boot_failed(&mut self, now: Instant) {
        self.begin(now + SELF_TEST, Program::Rom);
    }

    /// The time to the next try.
    fn pause(&mut self) -> Duration {
        let seconds = TRIES.get(self.tries).or(TRIES.last()).copied().unwrap_or(1);
        self.tries += 1;
        Duration::from_secs(seconds)
    }

    /// Its timer has come.
    pub(crate) fn fire(&mut self, now: Instant, boots: u32, wanted_renewals: u32) -> Option<(Message, Way)> {
        match self.phase {
            Phase::Done => None,
            Phase::Discovering => {
                if let Some(&(server, address)) = self.chosen() {
                    self.phase = Phase::Requesting { address, server };
                    self.tries = 0;
                    self.asked = now;
                    return self.fire(now, boots, wanted_renewals);
                }
                if self.tries > 4 {
                    self.again(now);
                }
                self.timer = now + self.pause();
                Some((self.message(MessageType::Discover), Way::Broadcast))
            }
            Phase::Requesting { .. } | Phase::Rebooting { .. } if self.tries > 3 => {
                self.discover_anew(now);
                None
            }
            Phase::Requesting { address, server } => {
                let mut message = self.message(MessageType::Request);
                message.options.set_ip(code::REQUESTED_ADDRESS, address);
                message.options.set_ip(code::SERVER_IDENTIFIER, server);
                Some(self.asks(now, message, Way::Broadcast))
            }
            Phase::Rebooting { address } => {
                let mut message = self.message(MessageType::Request);
                message.options.set_ip(code::REQUESTED_ADDRESS, address);
                Some(self.asks(now, message, Way::Broadcast))
            }
            Phase::Running { renewals } => self.runs_on(now, renewals, boots, wanted_renewals),
            Phase::Renewing { .. } => {
                let Some(lease) = self.live(now) else {
                    self.discover_anew(now);
                    return None;
                };
                let mut message = self.message(MessageType::Request);
                message.ciaddr = lease.address;
                self.last_try = now;
                self.timer = (now + Duration::from_secs(30)).min(lease.until);
                let whole = lease.until.saturating_duration_since(lease.since);
                let rebinding = lease.until.saturating_duration_since(now) < whole / 8;
                Some((message, if rebinding { Way::Broadcast } else { Way::Server(lease.server) }))
            }
        }
    }

    fn asks(&mut self, now: Instant, message: Message, way: Way) -> (Message, Way) {
        self.last_try = now;
        self.timer = now + self.pause();
        (message, way)
    }

    fn chosen(&mut self) -> Option<&(Ipv4Addr, Ipv4Addr)> {
        let at = if self.habits.gathers { self.seed.below(self.offers.len() as u64) } else { 0 };
        self.offers.get(usize::try_from(at).unwrap_or(0))
    }

    fn runs_on(
        &mut self,
        now: Instant,
        renewals: u32,
        boots: u32,
        wanted_renewals: u32,
    ) -> Option<(Message, Way)> {
        match self.program {
            Program::Rom => self.begin(now, Program::Ipxe),
            Program::Ipxe => self.begin(now, Program::Os),
            Program::Os if renewals < wanted_renewals => {
                self.phase = Phase::Renewing { renewals };
                self.again(now);
            }
            Program::Os => {
                self.boots += 1;
                let lease = self.live(now);
                let mut release = self.message(MessageType::Release);
                self.begin(now + SELF_TEST, Program::Rom);
                if self.boots >= boots {
                    self.phase = Phase::Done;
                }
                let says = self.habits.releases && self.seed.chance(500);
                let lease = lease.filter(|_| says)?;
                release.ciaddr = lease.address;
                release.options.set_ip(code::SERVER_IDENTIFIER, lease.server);
                return Some((release, Way::Server(lease.server)));
            }
        }
        None
    }

    /// A reply to its hardware address reaches it. `in_use`: another machine answers at an address.
    pub(crate) fn hear(&mut self, now: Instant, reply: &Message, in_use: impl Fn(Ipv4Addr) -> bool) -> Heard {
        let server = reply.options.ip(code::SERVER_IDENTIFIER).unwrap_or(Ipv4Addr::UNSPECIFIED);
        if reply.xid != self.xid || reply.mac() != Some(self.mac) {
            return Heard::Nothing;
        }
        match (reply.message_type(), self.phase) {
            (Some(MessageType::Offer), Phase::Discovering) if !reply.yiaddr.is_unspecified() => {
                let wait = if self.habits.gathers { GATHERING } else { Duration::ZERO };
                if self.offers.is_empty() {
                    self.timer = now + wait;
                }
                self.offers.push((server, reply.yiaddr));
                Heard::Nothing
            }
            (Some(MessageType::Ack), Phase::Requesting { server: chosen, .. }) if chosen == server => {
                self.acknowledged(now, reply, server, in_use)
            }
            (Some(MessageType::Ack), Phase::Rebooting { .. } | Phase::Renewing { .. })
                if !reply.yiaddr.is_unspecified() =>
            {
                self.acknowledged(now, reply, server, in_use)
            }
            (Some(MessageType::Nak), Phase::Requesting { server: chosen, .. }) if chosen != server => {
                Heard::Nothing
            }
            (
                Some(MessageType::Nak),
                Phase::Requesting { .. } | Phase::Rebooting { .. } | Phase::Renewing { .. },
            ) => {
                let before = self.live(now);
                self.remembered = None;
                self.discover_anew(now);
                Heard::Refused(before)
            }
            _ => Heard::Nothing,
        }
    }

    fn acknowledged(
        &mut self,
        now: Instant,
        reply: &Message,
        server: Ipv4Addr,
        in_use: impl Fn(Ipv4Addr) -> bool,
    ) -> Heard {
        let address = reply.yiaddr;
        let renewals = match self.phase {
            Phase::Renewing { renewals } => Some(renewals + 1),
            _ => None,
        };
        if renewals.is_none() && self.program == Program::Os && self.habits.probes && in_use(address) {
            let mut decline = self.message(MessageType::Decline);
            decline.options.set_ip(code::REQUESTED_ADDRESS, address);
            decline.options.set_ip(code::SERVER_IDENTIFIER, server);
            self.remembered = None;
            self.discover_anew(now + DECLINE_PAUSE);
            return Heard::Declined(Box::new(decline));
        }
        let seconds = reply.options.u32(code::LEASE_TIME).unwrap_or(0);
        let lease = Duration::from_secs(seconds.into()).min(self.habits.lease_max);
        let asked = if self.habits.counts_from_last { self.last_try } else { self.asked };
        let before = self.live(now).filter(|_| renewals.is_some());
        self.lease = Some(Belief { address, server, since: now, until: asked + self.felt(lease) });
        self.phase = Phase::Running { renewals: renewals.unwrap_or(0) };
        self.timer = match self.program {
            Program::Os => asked + self.felt(lease / 2),
            Program::Rom | Program::Ipxe => now + LOADING,
        };
        if self.program == Program::Os {
            self.remembered = Some(address);
        }
        Heard::Leased { before, asked, counts_from_last: self.habits.counts_from_last }
    }

    /// A time as its own clock measures it.
    fn felt(&self, time: Duration) -> Duration {
        time + time * self.habits.drift_ppm / 1_000_000
    }
}

fn number(seed: &mut Seed) -> u32 {
    u32::try_from(seed.below(u64::from(u32::MAX))).unwrap_or(0)
}
