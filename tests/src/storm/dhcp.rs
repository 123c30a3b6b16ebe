//! A DHCP client that measures: DISCOVER to ACK, from a raw socket, with the interface's own hardware address.

use crate::packet::RawSocket;
use anyhow::{Context, Result, bail};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// Wait for one answer before it asks again.
const PATIENCE: Duration = Duration::from_secs(2);
/// Ethernet, IP and UDP headers.
const DHCP_AT: usize = 42;
const OPTIONS_AT: usize = DHCP_AT + 240;

/// One four-way exchange.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exchange {
    /// The address given.
    pub address: Ipv4Addr,
    /// From the first DISCOVER to the ACK.
    pub took: Duration,
    /// Packets that had to be sent again.
    pub repeated: u32,
}

/// Asks for leases.
pub struct Prober {
    socket: RawSocket,
    mac: [u8; 6],
    /// Machines that ask in turn: one alone is soon held back by the rate of a client.
    machines: u8,
    transaction: u32,
}

impl Prober {
    /// On an interface of the calling thread's namespace.
    ///
    /// # Errors
    /// When no raw socket can be opened.
    pub fn open(interface: &str) -> Result<Prober> {
        let mut all = nix::ifaddrs::getifaddrs()?.filter(|own| own.interface_name == interface);
        let mac = all.find_map(|own| own.address?.as_link_addr()?.addr()).context("no hardware address")?;
        let socket = RawSocket::open(interface)?;
        socket.hear_servers_only(None)?;
        Ok(Prober { socket, mac, machines: 1, transaction: 0x5354_0000 })
    }

    /// So many machines ask in turn.
    #[must_use]
    pub fn rack(self, machines: u8) -> Prober {
        Prober { machines: machines.max(1), ..self }
    }

    /// DISCOVER, OFFER, REQUEST, ACK.
    ///
    /// # Errors
    /// When there is no ACK within `deadline`.
    pub fn exchange(&mut self, deadline: Duration) -> Result<Exchange> {
        self.transaction += 1;
        let began = Instant::now();
        let mut repeated = 0;
        let offer = self.ask(1, &[], 2, began + deadline, &mut repeated)?;
        let mut options = vec![50, 4];
        options.extend(offer.octets());
        options.extend([54, 4, 10, 77, 0, 1]);
        let address = self.ask(3, &options, 5, began + deadline, &mut repeated)?;
        Ok(Exchange { address, took: began.elapsed(), repeated })
    }

    /// Sends until an answer of type `wanted` comes.
    fn ask(
        &self,
        kind: u8,
        options: &[u8],
        wanted: u8,
        until: Instant,
        repeated: &mut u32,
    ) -> Result<Ipv4Addr> {
        let frame = self.frame(kind, options);
        let mut buffer = [0; 1518];
        loop {
            self.socket.send_patiently(&frame);
            let again = (Instant::now() + PATIENCE).min(until);
            while Instant::now() < again {
                self.socket.wait(again.saturating_duration_since(Instant::now()));
                while let Some(count) = self.socket.receive(&mut buffer) {
                    if let Some(address) = self.answer(buffer.get(..count).unwrap_or_default(), wanted) {
                        return Ok(address);
                    }
                }
            }
            if Instant::now() >= until {
                bail!("no answer to DHCP message {kind}");
            }
            *repeated += 1;
        }
    }

    fn answer(&self, frame: &[u8], wanted: u8) -> Option<Ipv4Addr> {
        let ours = frame.get(12..14)? == [8, 0]
            && frame.get(23)? == &17
            && frame.get(36..38)? == [0, 68]
            && frame.get(DHCP_AT + 4..DHCP_AT + 8)? == self.transaction.to_be_bytes();
        let kind = frame.get(OPTIONS_AT..)?.windows(3).find(|option| option.starts_with(&[53, 1]))?.get(2)?;
        if !ours || *kind != wanted {
            return None;
        }
        let address: [u8; 4] = frame.get(DHCP_AT + 16..DHCP_AT + 20)?.try_into().ok()?;
        Some(address.into())
    }

    fn frame(&self, kind: u8, options: &[u8]) -> Vec<u8> {
        let mut dhcp = vec![1, 1, 6, 0];
        dhcp.extend(self.transaction.to_be_bytes());
        // secs, the broadcast flag, four addresses
        dhcp.extend([0, 0, 0x80, 0]);
        dhcp.extend([0; 16]);
        let mut mac = self.mac;
        mac[5] = mac[5].wrapping_add((self.transaction % u32::from(self.machines)).to_le_bytes()[0]);
        dhcp.extend(mac);
        dhcp.extend([0; 10 + 192]);
        dhcp.extend([0x63, 0x82, 0x53, 0x63, 53, 1, kind]);
        // A machine that boots: only those are known to the other doors.
        dhcp.extend([60, 20]);
        dhcp.extend(b"PXEClient:Arch:00000");
        dhcp.extend([93, 2, 0, 0]);
        dhcp.extend(options);
        dhcp.push(255);
        dhcp.resize(dhcp.len().max(300), 0);
        let udp_bytes = u16::try_from(8 + dhcp.len()).unwrap_or(u16::MAX);
        let mut ip = [0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255];
        ip[2..4].copy_from_slice(&(20 + udp_bytes).to_be_bytes());
        let words =
            ip.chunks(2).map(|pair| pair.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte)));
        let sum: u32 = words.sum();
        let folded = (sum & 0xffff) + (sum >> 16);
        let [_, _, high, low] = (!folded).to_be_bytes();
        (ip[10], ip[11]) = (high, low);
        let mut frame = vec![0xff; 6];
        frame.extend(self.mac);
        frame.extend([8, 0]);
        frame.extend(ip);
        frame.extend([0, 68, 0, 67]);
        frame.extend(udp_bytes.to_be_bytes());
        frame.extend([0, 0]);
        frame.extend(dhcp);
        frame
    }
}
