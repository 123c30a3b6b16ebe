//! What the responder is told at start and at every change of configuration.

use crate::limits::STRANGER_RATE_DEFAULT;
use ipnet::Ipv4Net;
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::Duration;
use types::subnet::{DhcpMode, Subnet};

/// Settings of the DHCP engine.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Networks we know, none overlapping another's pools. The smallest that contains an address counts.
    pub subnets: Vec<Subnet>,
    /// For directly attached networks without a subnet: [`DhcpMode::Proxy`] without any configuration, else `Off`.
    /// `Server` counts as `Off` here: there is nothing to lease.
    pub default_mode: DhcpMode,
    /// Relays we answer, by the `giaddr` they put in. Empty: none.
    pub relays: Vec<Ipv4Net>,
    /// Further addresses of ours: accepted in option 54, never given to a client.
    pub own_addresses: Vec<Ipv4Addr>,
    /// Port of the boot plane's HTTP, for URLs.
    pub http_port: u16,
    /// How long an offered address is kept for its client.
    pub offer_hold: Duration,
    /// How long a declined address is given to nobody.
    pub quarantine: Duration,
    /// MTU of the links, for the size of replies.
    pub link_mtu: u16,
    /// How long an answer is waited for when an address is asked for before it is offered. Zero: nobody asks.
    pub probe_wait: Duration,
    /// Unknown machines a second that one interface, relay or circuit may bring; the rest waits for its next try. Zero:
    /// any number.
    pub stranger_rate: u32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            subnets: Vec::new(),
            default_mode: DhcpMode::Off,
            relays: Vec::new(),
            own_addresses: Vec::new(),
            http_port: 80,
            offer_hold: Duration::from_secs(60),
            quarantine: Duration::from_secs(600),
            link_mtu: 1500,
            probe_wait: Duration::ZERO,
            stranger_rate: STRANGER_RATE_DEFAULT,
        }
    }
}

/// Finds the subnet of an address: one lookup per prefix length in use.
#[derive(Debug, Default)]
pub(super) struct SubnetIndex {
    /// Longest first.
    lengths: Vec<u8>,
    networks: HashMap<Ipv4Net, usize>,
}

impl SubnetIndex {
    pub(super) fn new<'a>(networks: impl Iterator<Item = &'a Ipv4Net>) -> SubnetIndex {
        let mut index = SubnetIndex::default();
        for (at, network) in networks.enumerate() {
            index.lengths.push(network.prefix_len());
            index.networks.entry(network.trunc()).or_insert(at);
        }
        index.lengths.sort_unstable_by(|one, other| other.cmp(one));
        index.lengths.dedup();
        index
    }

    pub(super) fn find(&self, address: Ipv4Addr) -> Option<usize> {
        self.lengths.iter().find_map(|&length| {
            let network = Ipv4Net::new(address, length).ok()?.trunc();
            self.networks.get(&network).copied()
        })
    }
}
