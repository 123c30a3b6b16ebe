//! Addresses of the list against subnets, their reservations and each other.

use super::index::Machine;
use super::{Conflict, Fate, Network, Reserved};
use crate::found::Proposal;
use std::collections::HashMap;
use std::net::Ipv4Addr;
use types::MacAddr;
use types::subnet::Reservation;

/// Who has which address.
pub(super) struct Addresses<'a> {
    networks: &'a [Network<'a>],
    machines: &'a [Machine],
    /// Recorded, by address.
    reserved: HashMap<Ipv4Addr, &'a Reservation>,
    /// Recorded, by machine and subnet.
    held: HashMap<(MacAddr, usize), Ipv4Addr>,
    /// Entries by address.
    listed: HashMap<Ipv4Addr, Vec<usize>>,
}

impl<'a> Addresses<'a> {
    pub(super) fn new(networks: &'a [Network<'a>], machines: &'a [Machine]) -> Addresses<'a> {
        let mut reserved = HashMap::new();
        let mut held = HashMap::new();
        for (at, network) in networks.iter().enumerate() {
            for reservation in network.reservations {
                reserved.insert(reservation.address, reservation);
                held.insert((reservation.mac, at), reservation.address);
            }
        }
        let mut listed: HashMap<Ipv4Addr, Vec<usize>> = HashMap::new();
        for (at, machine) in machines.iter().enumerate() {
            for reservation in &machine.proposal.reservations {
                let places = listed.entry(reservation.address).or_default();
                if places.last() != Some(&at) {
                    places.push(at);
                }
            }
        }
        Addresses { networks, machines, reserved, held, listed }
    }

    /// What becomes of an entry's addresses; conflicts are added to the entry's.
    pub(super) fn judge(
        &self,
        own: usize,
        proposal: &Proposal,
        conflicts: &mut Vec<Conflict>,
    ) -> Vec<Reserved> {
        let mut own_in: HashMap<(MacAddr, usize), Ipv4Addr> = HashMap::new();
        let mut judge = |reservation: &Reservation| {
            let at = self.networks.iter().position(|network| network.network.contains(&reservation.address));
            let network = at.and_then(|at| self.networks.get(at));
            let before = conflicts.len();
            let key = at.map(|at| (reservation.mac, at));
            // The first address of the list in a subnet stands for the others when they are told to contradict it.
            let earlier = key.and_then(|key| own_in.insert(key, reservation.address));
            self.taken(own, reservation, conflicts);
            let other = key.and_then(|key| self.held.get(&key).copied().or(earlier));
            if let (Some(reserved), Some(network)) =
                (other.filter(|other| *other != reservation.address), network)
            {
                let subnet = network.name.to_owned();
                conflicts.push(Conflict::OtherAddress { address: reservation.address, reserved, subnet });
            }
            let known = self.reserved.get(&reservation.address);
            let fate = match (network, known) {
                _ if conflicts.len() > before => Fate::Conflict,
                (None, _) => Fate::Outside,
                (Some(_), Some(known))
                    if known.hostname == reservation.hostname || reservation.hostname.is_none() =>
                {
                    Fate::Known
                }
                (Some(_), Some(_)) => Fate::Renamed,
                (Some(network), None) if !network.serves => Fate::NotServed,
                (Some(_), None) => Fate::New,
            };
            let subnet = network.map(|network| network.name.to_owned());
            Reserved { reservation: reservation.clone(), subnet, fate }
        };
        proposal.reservations.iter().map(&mut judge).collect()
    }

    fn taken(&self, own: usize, reservation: &Reservation, conflicts: &mut Vec<Conflict>) {
        let address = reservation.address;
        if let Some(known) = self.reserved.get(&address).filter(|known| known.mac != reservation.mac) {
            conflicts.push(Conflict::AddressTaken { address, by: format!("reserved for {}", known.mac) });
        }
        let others = self.listed.get(&address).into_iter().flatten();
        if let Some(other) = others.filter(|at| **at != own).find_map(|at| self.machines.get(*at)) {
            conflicts
                .push(Conflict::AddressTaken { address, by: format!("listed at {}", other.proposal.origin) });
        }
    }
}
