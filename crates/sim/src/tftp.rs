//! Model TFTP clients against [`tftp_proto::Transfer`].
//!
//! The clients follow what firmware was seen to do: their options, whether they probe the size first, from the same
//! port or another, how long they wait, whether they linger for a lost last ACK. The server side is a model of the
//! door: one transfer per client port, repeated requests joined.

use crate::{Faults, Link, Seed};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tftp_proto::wire::{ack, decode, error, error_number, read_request};
use tftp_proto::{Ending, ErrorCode, Need, Packet, Policy, Repeat, Transfer, Trust, negotiate};

/// The port requests go to.
const SERVER_PORT: u16 = 69;
const CLIENT_PORT_FIRST: u16 = 2070;
const TRANSFER_PORT_FIRST: u16 = 40_000;
/// A run longer than this does not end.
const RUN_MAX: Duration = Duration::from_secs(4 * 3600);

/// How a client behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Profile {
    /// Who it is modelled on.
    pub name: &'static str,
    /// Its blksize option.
    pub blksize: Option<u16>,
    /// Its windowsize option.
    pub windowsize: Option<u16>,
    /// Asks the size.
    pub tsize: bool,
    /// First asks the size alone, then sends ERROR 8 and asks again.
    pub probes: bool,
    /// The second request comes from the same port.
    pub keeps_port: bool,
    /// Acknowledges a block it already has (the sorcerer's apprentice waits for such servers).
    pub acks_duplicates: bool,
    /// Stays a while after the last block to acknowledge it again.
    pub lingers: bool,
    /// Wait before it repeats its last packet.
    pub timeout: Duration,
    /// How often it does so without progress.
    pub retries: u32,
}

const PLAIN: Profile = Profile {
    name: "lock-step",
    blksize: None,
    windowsize: None,
    tsize: false,
    probes: false,
    keeps_port: false,
    acks_duplicates: true,
    lingers: true,
    timeout: Duration::from_secs(1),
    retries: 12,
};

/// UEFI: size probe, then blksize 1468 and windowsize 4; timeout 4 s, 6 retries.
pub const EDK2: Profile = Profile {
    name: "edk2",
    blksize: Some(1468),
    windowsize: Some(4),
    probes: true,
    lingers: false,
    timeout: Duration::from_secs(4),
    retries: 6,
    ..PLAIN
};

/// A ROM that asks twice from one and the same port.
pub const SAME_PORT_ROM: Profile =
    Profile { name: "same-port-rom", keeps_port: true, windowsize: None, ..EDK2 };

/// iPXE.
pub const IPXE: Profile = Profile {
    name: "ipxe",
    blksize: Some(1432),
    tsize: true,
    lingers: false,
    timeout: Duration::from_millis(500),
    ..PLAIN
};

/// pxelinux.
pub const PXELINUX: Profile = Profile {
    name: "pxelinux",
    blksize: Some(1408),
    tsize: true,
    timeout: Duration::from_millis(700),
    ..PLAIN
};

/// GRUB.
pub const GRUB: Profile = Profile { name: "grub", blksize: Some(1024), tsize: true, ..PLAIN };

/// RFC 1350 and nothing else; a block it has already is dropped in silence.
pub const LOCK_STEP: Profile = Profile { acks_duplicates: false, ..PLAIN };

/// A client with a wide window, as WDS clients and atftp can have.
pub const WIDE: Profile = Profile { name: "wide-window", blksize: Some(1468), windowsize: Some(64), ..PLAIN };

/// All of them.
pub const PROFILES: [Profile; 7] = [EDK2, SAME_PORT_ROM, IPXE, PXELINUX, GRUB, LOCK_STEP, WIDE];

/// How the client's story ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It has a whole file.
    Got(Vec<u8>),
    /// It was sent an ERROR.
    Refused {
        /// Code of the ERROR.
        code: u16,
    },
    /// It ran out of retries.
    GaveUp,
}

/// What one run showed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Of the client; `None`: it hangs.
    pub outcome: Option<Outcome>,
    /// How the server's transfers ended, in that order.
    pub endings: Vec<Ending>,
    /// Transfers still open at the end of the run: hangs.
    pub open: usize,
    /// Longest time in which the client gained nothing.
    pub longest_silence: Duration,
    /// Time from the client's end until the server's last transfer ended.
    pub server_lag: Duration,
    /// From the first request to the client's end.
    pub took: Duration,
    /// Packets the server sent.
    pub server_packets: u64,
    /// Packets the client sent.
    pub client_packets: u64,
}

/// One client, one file, one link.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The client.
    pub profile: Profile,
    /// The file.
    pub content: Vec<u8>,
    /// Both directions.
    pub faults: Faults,
    /// What the server grants.
    pub policy: Policy,
    /// What the server believes of the source.
    pub trust: Trust,
    /// Of the faults.
    pub seed: u64,
}

type Ports = (u16, u16);

struct Session {
    client_port: u16,
    request: Vec<u8>,
    transfer: Transfer,
}

/// The door, as far as the state machine can tell.
struct Server<'a> {
    scenario: &'a Scenario,
    sessions: BTreeMap<u16, Session>,
    next_port: u16,
    endings: Vec<Ending>,
}

impl Server<'_> {
    fn receive(&mut self, now: Instant, (from, to): Ports, bytes: &[u8], link: &mut Link<Ports>) {
        if to != SERVER_PORT {
            match self.sessions.get_mut(&to) {
                Some(session) if session.client_port == from => session.transfer.handle_packet(now, bytes),
                // A port nobody listens on: the kernel answers with ICMP, which clients ignore.
                _ => {}
            }
            return;
        }
        let request = match decode(bytes) {
            Ok(Packet::Rrq(request)) => request,
            Ok(_) => return,
            Err(fault) => {
                if let Some(code) = fault.answer() {
                    link.send(now, (SERVER_PORT, from), error(code, &fault.to_string()));
                }
                return;
            }
        };
        let existing = self.sessions.iter_mut().find(|(_, session)| session.client_port == from);
        if let Some((&port, session)) = existing {
            let same = session.request == bytes;
            if same && session.transfer.handle_repeated_request(now) != Repeat::Replace {
                return;
            }
            self.sessions.remove(&port);
        }
        if request.name != "file" {
            link.send(now, (SERVER_PORT, from), error(ErrorCode::FileNotFound, "no such file"));
            return;
        }
        let size = self.scenario.content.len() as u64;
        let negotiated = negotiate(&request, size, &self.scenario.policy);
        let transfer = Transfer::new(now, size, &negotiated, self.scenario.trust);
        self.sessions
            .insert(self.next_port, Session { client_port: from, request: bytes.to_vec(), transfer });
        self.next_port += 1;
    }

    /// Lets every transfer do what it needs; when the next one wants to be woken.
    fn settle(&mut self, now: Instant, link: &mut Link<Ports>) -> Option<Instant> {
        let mut wake: Option<Instant> = None;
        let Server { scenario, sessions, endings, .. } = self;
        sessions.retain(|&port, session| {
            session.transfer.handle_timeout(now);
            loop {
                match session.transfer.poll(now) {
                    Need::Send(packet) => link.send(now, (port, session.client_port), packet),
                    Need::SendBlocks(blocks) => {
                        for (header, range) in blocks.iter() {
                            let range = usize::try_from(range.start).unwrap_or(usize::MAX)
                                ..usize::try_from(range.end).unwrap_or(usize::MAX);
                            let payload = scenario.content.get(range).unwrap_or_default();
                            link.send(now, (port, session.client_port), [&header, payload].concat());
                        }
                    }
                    Need::Until(deadline) => {
                        wake = Some(wake.map_or(deadline, |earlier| earlier.min(deadline)));
                        return true;
                    }
                    Need::Done(ending) => {
                        endings.push(ending);
                        return false;
                    }
                }
            }
        });
        wake
    }
}

enum Phase {
    /// The request is out.
    Asking { probe: bool },
    /// Blocks come from this port.
    Receiving { server_port: u16 },
    /// It has everything and answers repeats until then.
    Lingering { server_port: u16, until: Instant },
    /// It is gone.
    Gone,
}

struct Client {
    profile: Profile,
    phase: Phase,
    port: u16,
    request: Vec<u8>,
    last: (u16, Vec<u8>),
    blksize: usize,
    windowsize: u16,
    in_window: u16,
    received: Vec<u8>,
    blocks: u64,
    timer: Instant,
    tries: u32,
    progressed: Instant,
    longest_silence: Duration,
    outcome: Option<Outcome>,
}

impl Client {
    fn new(profile: Profile, now: Instant) -> Client {
        Client {
            profile,
            phase: Phase::Asking { probe: profile.probes },
            port: CLIENT_PORT_FIRST,
            request: Vec::new(),
            last: (SERVER_PORT, Vec::new()),
            blksize: 512,
            windowsize: 1,
            in_window: 0,
            received: Vec::new(),
            blocks: 0,
            timer: now,
            tries: 0,
            progressed: now,
            longest_silence: Duration::ZERO,
            outcome: None,
        }
    }

    fn ask(&mut self, now: Instant, probe: bool, link: &mut Link<Ports>) {
        let blksize = self.profile.blksize.map(|value| value.to_string());
        let windowsize = self.profile.windowsize.map(|value| value.to_string());
        let mut options: Vec<(&str, &str)> = Vec::new();
        if self.profile.tsize || probe {
            options.push(("tsize", "0"));
        }
        options.extend(blksize.as_deref().map(|value| ("blksize", value)));
        options.extend(windowsize.as_deref().map(|value| ("windowsize", value)));
        self.request = read_request("file", "octet", &options);
        self.phase = Phase::Asking { probe };
        let request = self.request.clone();
        self.send(now, SERVER_PORT, request, link);
    }

    fn send(&mut self, now: Instant, to: u16, packet: Vec<u8>, link: &mut Link<Ports>) {
        self.last = (to, packet.clone());
        self.timer = now + self.profile.timeout;
        link.send(now, (self.port, to), packet);
    }

    fn progress(&mut self, now: Instant) {
        self.longest_silence = self.longest_silence.max(now - self.progressed);
        self.progressed = now;
        self.tries = 0;
    }

    fn end(&mut self, now: Instant, outcome: Outcome) {
        self.longest_silence = self.longest_silence.max(now - self.progressed);
        self.outcome = Some(outcome);
        self.phase = Phase::Gone;
    }

    fn acknowledge(&mut self, now: Instant, to: u16, link: &mut Link<Ports>) {
        self.in_window = 0;
        let block = u16::try_from(self.blocks % 65_536).unwrap_or(0);
        self.send(now, to, ack(block).to_vec(), link);
    }

    fn receive(&mut self, now: Instant, (from, to): Ports, bytes: &[u8], link: &mut Link<Ports>) {
        if to != self.port {
            return;
        }
        let packet = decode(bytes);
        match (&self.phase, packet) {
            (Phase::Gone, _) | (_, Err(_)) => {}
            (Phase::Asking { .. }, Ok(Packet::Error { code, .. })) => {
                self.end(now, Outcome::Refused { code })
            }
            (&Phase::Asking { probe }, Ok(Packet::Oack(options))) => {
                if probe {
                    link.send(now, (self.port, from), error_number(8, "User aborted the transfer"));
                    self.progress(now);
                    if !self.profile.keeps_port {
                        self.port += 1;
                    }
                    self.ask(now, false, link);
                    return;
                }
                for (name, value) in options {
                    let value = std::str::from_utf8(value).ok().and_then(|text| text.parse::<u16>().ok());
                    match (name, value) {
                        (b"blksize", Some(value)) => self.blksize = value.into(),
                        (b"windowsize", Some(value)) => self.windowsize = value,
                        _ => {}
                    }
                }
                self.phase = Phase::Receiving { server_port: from };
                self.progress(now);
                self.acknowledge(now, from, link);
            }
            (Phase::Asking { .. }, Ok(Packet::Data { block: 1, data })) => {
                self.phase = Phase::Receiving { server_port: from };
                self.take(now, from, 1, data, link);
            }
            (&(Phase::Receiving { server_port } | Phase::Lingering { server_port, .. }), Ok(packet))
                if server_port != from =>
            {
                // RFC 1350 §4: tell a stranger off, but never answer an ERROR.
                if !matches!(packet, Packet::Error { .. }) {
                    link.send(
                        now,
                        (self.port, from),
                        error(ErrorCode::UnknownTransferId, "unknown transfer id"),
                    );
                }
            }
            (Phase::Receiving { .. }, Ok(Packet::Data { block, data })) => {
                self.take(now, from, block, data, link)
            }
            (Phase::Receiving { .. }, Ok(Packet::Oack(_))) => {
                if self.blocks == 0 {
                    self.acknowledge(now, from, link);
                }
            }
            (Phase::Receiving { .. }, Ok(Packet::Error { code, .. })) => {
                self.end(now, Outcome::Refused { code })
            }
            (&Phase::Lingering { server_port, .. }, Ok(Packet::Data { .. })) => {
                let block = u16::try_from(self.blocks % 65_536).unwrap_or(0);
                link.send(now, (self.port, server_port), ack(block).to_vec());
            }
            (_, Ok(_)) => {}
        }
    }

    fn take(&mut self, now: Instant, from: u16, block: u16, data: &[u8], link: &mut Link<Ports>) {
        let have = u16::try_from(self.blocks % 65_536).unwrap_or(0);
        let ahead = block.wrapping_sub(have);
        if ahead != 1 {
            let gap = ahead != 0 && ahead < 0x8000;
            if (gap && self.windowsize > 1) || self.profile.acks_duplicates {
                self.acknowledge(now, from, link);
            }
            return;
        }
        self.blocks += 1;
        self.received.extend(data);
        self.progress(now);
        self.in_window += 1;
        if data.len() < self.blksize {
            self.acknowledge(now, from, link);
            let received = std::mem::take(&mut self.received);
            self.end(now, Outcome::Got(received));
            if self.profile.lingers {
                self.phase = Phase::Lingering { server_port: from, until: now + self.profile.timeout * 3 };
            }
        } else if self.in_window >= self.windowsize {
            self.acknowledge(now, from, link);
        } else {
            self.timer = now + self.profile.timeout;
        }
    }

    /// Acts on its timer; when it wants to be woken next.
    fn settle(&mut self, now: Instant, link: &mut Link<Ports>) -> Option<Instant> {
        match self.phase {
            Phase::Gone => None,
            Phase::Lingering { until, .. } if now >= until => {
                self.phase = Phase::Gone;
                None
            }
            Phase::Lingering { until, .. } => Some(until),
            Phase::Asking { probe } if self.request.is_empty() => {
                self.ask(now, probe, link);
                Some(self.timer)
            }
            Phase::Asking { .. } | Phase::Receiving { .. } => {
                if now >= self.timer {
                    if self.tries >= self.profile.retries {
                        self.end(now, Outcome::GaveUp);
                        return None;
                    }
                    self.tries += 1;
                    self.in_window = 0;
                    let (to, packet) = self.last.clone();
                    self.send(now, to, packet, link);
                }
                Some(self.timer)
            }
        }
    }
}

/// Runs one scenario to its end. `start` is any moment: only differences count.
pub fn run(scenario: &Scenario, start: Instant) -> Report {
    let mut seed = Seed::new(scenario.seed);
    let mut up: Link<Ports> = Link::new(scenario.faults, Seed::new(seed.next_u64()));
    let mut down: Link<Ports> = Link::new(scenario.faults, Seed::new(seed.next_u64()));
    let mut server =
        Server { scenario, sessions: BTreeMap::new(), next_port: TRANSFER_PORT_FIRST, endings: Vec::new() };
    let mut client = Client::new(scenario.profile, start);
    let mut now = start;
    let mut client_ended = None;
    while now - start < RUN_MAX {
        while let Some((ports, bytes)) = up.receive(now) {
            server.receive(now, ports, &bytes, &mut down);
            server.settle(now, &mut down);
        }
        while let Some((ports, bytes)) = down.receive(now) {
            client.receive(now, ports, &bytes, &mut up);
        }
        let wakes = [
            client.settle(now, &mut up),
            server.settle(now, &mut down),
            up.next_arrival(),
            down.next_arrival(),
        ];
        if client.outcome.is_some() && client_ended.is_none() {
            client_ended = Some(now);
        }
        match wakes.into_iter().flatten().min() {
            Some(next) => now = now.max(next),
            None => break,
        }
    }
    let client_end = client_ended.unwrap_or(now);
    Report {
        outcome: client.outcome,
        open: server.sessions.len(),
        endings: server.endings,
        longest_silence: client.longest_silence,
        server_lag: now - client_end,
        took: client_end - start,
        server_packets: down.sent,
        client_packets: up.sent,
    }
}

#[cfg(test)]
mod tests;
