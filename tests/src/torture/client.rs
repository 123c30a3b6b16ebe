//! A small DHCP client on a raw socket: one machine that leases and renews, and counts how long that takes.

use super::wire::{self, Kind, Said};
use crate::Namespace;
use crate::packet::RawSocket;
use anyhow::{Result, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A client repeats an unanswered message after this (RFC 2131 §4.1 begins at 4 s; firmware at 1 s).
const REPEAT: Duration = Duration::from_secs(1);
/// Ethernet with a VLAN tag.
const FRAME_BYTES_MAX: usize = 1518;

/// A machine at the end of a cable.
pub struct Client {
    station: Arc<Namespace>,
    raw: Arc<RawSocket>,
    mac: [u8; 6],
    xid: u32,
    /// What it has.
    pub address: Option<Ipv4Addr>,
    server: Option<Ipv4Addr>,
}

impl Client {
    /// A machine with this address at `interface` of `station`.
    ///
    /// # Errors
    /// When a raw socket cannot be opened.
    pub fn new(station: Arc<Namespace>, interface: &'static str, mac: [u8; 6]) -> Result<Client> {
        let raw = Arc::new(station.run(move || RawSocket::open(interface))??);
        raw.hear_servers_only(Some(mac))?;
        let [.., a, b] = mac;
        let xid = u32::from_be_bytes([a, b, 0, 0]);
        Ok(Client { station, raw, mac, xid, address: None, server: None })
    }

    /// DISCOVER to ACK; answers how long it took.
    ///
    /// # Errors
    /// When there is no lease within `patience`.
    pub fn lease(&mut self, patience: Duration) -> Result<Duration> {
        let began = Instant::now();
        self.xid += 1;
        let left = |began: Instant| patience.saturating_sub(began.elapsed());
        loop {
            let offer = self.exchange(Kind::Discover, &[], left(began))?;
            let (Some(server), address) = (offer.server, offer.yiaddr) else {
                bail!("an offer without a server")
            };
            let options = [(50, address.octets()), (54, server.octets())];
            match self.answer_to_request(&options, left(began))? {
                Some(ack) => {
                    (self.address, self.server) = (Some(ack.yiaddr), Some(server));
                    return Ok(began.elapsed());
                }
                // RFC 2131 §3.1 step 5: NAK, so once more from the start.
                None => self.xid += 1,
            }
        }
    }

    /// REQUEST for the address it has, as after a restart (INIT-REBOOT, RFC 2131 §3.2); answers how long it took.
    ///
    /// # Errors
    /// When it is refused, or not answered within `patience`.
    pub fn renew(&mut self, patience: Duration) -> Result<Duration> {
        let began = Instant::now();
        let Some(address) = self.address else { bail!("it has no lease to renew") };
        self.xid += 1;
        match self.answer_to_request(&[(50, address.octets())], patience)? {
            Some(ack) if ack.yiaddr == address => Ok(began.elapsed()),
            Some(ack) => bail!("it asked for {address} and got {}", ack.yiaddr),
            None => bail!("its lease of {address} was refused"),
        }
    }

    fn answer_to_request(&self, options: &[(u8, [u8; 4])], patience: Duration) -> Result<Option<Said>> {
        let options: Vec<(u8, &[u8])> = options.iter().map(|(code, value)| (*code, &value[..])).collect();
        let answer = self.exchange(Kind::Request, &options, patience)?;
        Ok((answer.kind == Kind::Ack).then_some(answer))
    }

    /// Sends until something comes back that answers.
    fn exchange(&self, kind: Kind, options: &[(u8, &[u8])], patience: Duration) -> Result<Said> {
        let frame = wire::request(kind, self.mac, self.xid, options);
        let until = Instant::now() + patience;
        let mut buffer = [0; FRAME_BYTES_MAX];
        loop {
            self.raw.send(&frame);
            let repeat = Instant::now() + REPEAT;
            loop {
                while let Some(length) = self.raw.receive(&mut buffer) {
                    let said = buffer.get(..length).and_then(wire::read);
                    let answers = |said: &Said| {
                        said.xid == self.xid
                            && said.mac == self.mac
                            && match kind {
                                Kind::Discover => said.kind == Kind::Offer,
                                _ => matches!(said.kind, Kind::Ack | Kind::Nak),
                            }
                    };
                    if let Some(said) = said.filter(answers) {
                        return Ok(said);
                    }
                }
                let now = Instant::now();
                if now >= until {
                    bail!("no answer to its {kind:?} within {patience:?} ({})", self.station.name());
                }
                if now >= repeat {
                    break;
                }
                let wait = repeat.min(until).saturating_duration_since(now);
                let wait =
                    PollTimeout::try_from(wait + Duration::from_millis(1)).unwrap_or(PollTimeout::ZERO);
                let _ = poll(&mut [PollFd::new(self.raw.as_fd(), PollFlags::POLLIN)], wait);
            }
        }
    }
}
