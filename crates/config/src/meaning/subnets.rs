//! Subnets: overlap, pools, reservations, lease times, options.

use super::View;
use crate::dhcp_options;
use crate::fault::{Code, Draft};
use crate::file::{File, ModeFile, SubnetFile, SubnetModeFile};
use crate::limits::{OPTION_ADDRESSES_MAX, SHORT_LIST_MAX};
use crate::tree::Step;
use crate::units::Address;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use types::subnet::Ipv4Range;

pub(super) fn check(file: &File, view: &mut View<'_>) {
    let subnets = &file.dhcp.subnets;
    names(subnets, view);
    overlap(subnets, view);
    let mut own: Vec<Ipv4Addr> = Vec::new();
    for interface in &file.interfaces {
        if let Address::Fixed(address) = interface.address {
            own.push(address);
        }
    }
    for (index, subnet) in subnets.iter().enumerate() {
        let mut one = One { subnet, index, view };
        if !one.fits() {
            continue;
        }
        one.routers();
        one.options();
        one.lease_times();
        if subnet.mode == Some(SubnetModeFile::Server) {
            one.pools(&own);
            one.reservations(&own);
            one.nothing_to_lease();
        } else {
            one.no_effect();
        }
    }
    let dhcp = [Step::Key("dhcp")];
    let serves = subnets.iter().any(|subnet| subnet.mode == Some(SubnetModeFile::Server));
    if file.dhcp.mode == ModeFile::Server && !serves && !view.spoiled(&dhcp) {
        let draft = Draft::new(
            Code::NothingToLease,
            view.spot(&[Step::Key("dhcp"), Step::Key("mode")]),
            "server mode without a subnet to serve",
        )
        .fix("add dhcp.subnets with a network and a pool, or use mode: proxy");
        view.add(draft);
    }
}

fn path(index: usize) -> [Step<'static>; 3] {
    [Step::Key("dhcp"), Step::Key("subnets"), Step::Index(index)]
}

fn names(subnets: &[SubnetFile], view: &mut View<'_>) {
    let mut seen = BTreeMap::new();
    for (index, subnet) in subnets.iter().enumerate() {
        if let Some(first) = seen.insert(&subnet.name, index) {
            seen.insert(&subnet.name, first);
            let at = |index| [path(index).as_slice(), &[Step::Key("name")]].concat();
            let first = view.spot(&at(first));
            let message = format!("subnet `{}` stands twice", subnet.name);
            view.add(Draft::new(Code::DuplicateName, view.spot(&at(index)), message).first_at(first));
        }
    }
}

/// Networks are prefixes: of two that overlap, one contains the other's first address.
fn overlap(subnets: &[SubnetFile], view: &mut View<'_>) {
    let mut sorted: Vec<(usize, &SubnetFile)> = subnets.iter().enumerate().collect();
    sorted.sort_by_key(|(_, subnet)| (subnet.network.0.network(), subnet.network.0.prefix_len()));
    let mut widest: Option<(usize, &SubnetFile)> = None;
    for (index, subnet) in sorted {
        match widest {
            Some((other, wide)) if wide.network.0.contains(&subnet.network.0.network()) => {
                let (first, second) = (index.min(other), index.max(other));
                let (Some(one), Some(two)) = (subnets.get(first), subnets.get(second)) else { continue };
                let at = [path(second).as_slice(), &[Step::Key("network")]].concat();
                let message = format!(
                    "subnet `{}` ({}) overlaps `{}` ({})",
                    two.name, two.network, one.name, one.network
                );
                view.add(Draft::new(Code::SubnetOverlap, view.spot(&at), message));
            }
            _ => widest = Some((index, subnet)),
        }
    }
}

struct One<'a, 'b> {
    subnet: &'a SubnetFile,
    index: usize,
    view: &'a mut View<'b>,
}

impl One<'_, '_> {
    fn at(&self, more: &[Step<'static>]) -> Vec<Step<'static>> {
        [path(self.index).as_slice(), more].concat()
    }

    fn fault(&mut self, code: Code, more: &[Step<'static>], message: String) -> Draft {
        Draft::new(code, self.view.spot(&self.at(more)), message)
    }

    /// Lists no longer than a reply can carry, or than anyone needs.
    fn fits(&mut self) -> bool {
        let lists = [
            ("router", self.subnet.router.0.len(), OPTION_ADDRESSES_MAX),
            ("dns", self.subnet.dns.len(), OPTION_ADDRESSES_MAX),
            ("pools", self.subnet.pools.len(), SHORT_LIST_MAX),
            ("exclude", self.subnet.exclude.len(), SHORT_LIST_MAX),
        ];
        for (key, length, max) in lists {
            self.view.short(key, length, max, &self.at(&[Step::Key(key)]));
        }
        lists.iter().all(|(_, length, max)| length <= max)
    }

    /// Network and broadcast address of everything wider than /31 are nobody's (RFC 3021 for /31).
    fn is_edge(&self, address: Ipv4Addr) -> bool {
        let network = self.subnet.network.0;
        network.prefix_len() < 31 && (address == network.network() || address == network.broadcast())
    }

    fn is_router(&self, address: Ipv4Addr) -> bool {
        self.subnet.router.0.iter().any(|router| router.0 == address)
    }

    fn routers(&mut self) {
        for (at, router) in self.subnet.router.0.iter().enumerate() {
            if !self.subnet.network.0.contains(&router.0) || self.is_edge(router.0) {
                let message = format!("router {router} cannot be reached in {}", self.subnet.network);
                let draft =
                    self.fault(Code::OutsideNetwork, &[Step::Key("router"), Step::Index(at)], message);
                self.view.add(draft);
            }
        }
    }

    fn options(&mut self) {
        for (code, option) in &self.subnet.options {
            let steps = self.at(&[Step::Key("options")]);
            if let Err(why) = dhcp_options::code(code) {
                let spot = self.view.key_spot(&steps, code);
                self.view.add(Draft::new(Code::DhcpOption, spot, format!("option {code} {why}")));
                continue;
            }
            if let Err(why) = dhcp_options::encode(option.kind, &option.value.0) {
                let value = [steps.as_slice(), &[Step::Key(code), Step::Key("value")]].concat();
                if !self.view.spoiled(&value) {
                    let spot = self.view.spot(&value);
                    self.view.add(Draft::new(Code::DhcpOption, spot, format!("option {code}: {why}")));
                }
            }
        }
    }

    fn lease_times(&mut self) {
        let usual = self.subnet.lease_time;
        if let Some(min) = self.subnet.lease_time_min.filter(|min| *min > usual) {
            let message = format!("lease_time_min {min} is above lease_time {usual}");
            let draft = self.fault(Code::LeaseTimes, &[Step::Key("lease_time_min")], message);
            self.view.add(draft);
        }
        if let Some(max) = self.subnet.lease_time_max.filter(|max| *max < usual) {
            let message = format!("lease_time_max {max} is below lease_time {usual}");
            let draft = self.fault(Code::LeaseTimes, &[Step::Key("lease_time_max")], message);
            self.view.add(draft);
        }
    }

    fn pools(&mut self, own: &[Ipv4Addr]) {
        let network = self.subnet.network.0;
        let inside = |range: Ipv4Range| network.contains(&range.first) && network.contains(&range.last);
        for (at, range) in self.subnet.pools.iter().enumerate() {
            let steps = [Step::Key("pools"), Step::Index(at)];
            if !inside(range.0) {
                let message = format!("pool {range} lies outside {network}");
                let draft = self
                    .fault(Code::PoolOutside, &steps, message)
                    .hint(format!("the network ends at {}", network.broadcast()));
                self.view.add(draft);
                continue;
            }
            let free = |address: &Ipv4Addr| {
                range.0.contains(*address)
                    && !self.subnet.exclude.iter().any(|excluded| excluded.0.contains(*address))
            };
            let edges = [network.network(), network.broadcast()];
            let mut taken: Vec<(Ipv4Addr, &str)> = Vec::new();
            taken.extend(
                edges
                    .into_iter()
                    .filter(|edge| self.is_edge(*edge))
                    .map(|edge| (edge, "of the network itself")),
            );
            taken.extend(self.subnet.router.0.iter().map(|router| (router.0, "of the router")));
            taken.extend(own.iter().map(|address| (*address, "of this server")));
            taken.extend(self.subnet.next_server.iter().map(|address| (address.0, "of next_server")));
            taken.retain(|(address, _)| free(address));
            taken.sort();
            taken.dedup_by_key(|(address, _)| *address);
            for (address, whose) in taken {
                let message = format!("pool {range} contains {address}, the address {whose}");
                let draft = self
                    .fault(Code::PoolTaken, &steps, message)
                    .fix(format!("start or end the pool elsewhere, or add {address} to exclude"));
                self.view.add(draft);
            }
        }
        for (at, range) in self.subnet.exclude.iter().enumerate() {
            if !inside(range.0) {
                let message = format!("excluded range {range} lies outside {network}");
                let draft = self.fault(Code::PoolOutside, &[Step::Key("exclude"), Step::Index(at)], message);
                self.view.add(draft);
            }
        }
        let mut sorted: Vec<(usize, Ipv4Range)> =
            self.subnet.pools.iter().enumerate().map(|(at, range)| (at, range.0)).collect();
        sorted.sort_by_key(|(_, range)| *range);
        let mut before: Option<Ipv4Range> = None;
        for (at, range) in sorted {
            match before {
                Some(other) if range.first <= other.last => {
                    let message = format!("pool {range} overlaps pool {other}");
                    let draft =
                        self.fault(Code::PoolOverlap, &[Step::Key("pools"), Step::Index(at)], message);
                    self.view.add(draft);
                    if range.last > other.last {
                        before = Some(range);
                    }
                }
                _ => before = Some(range),
            }
        }
    }

    fn reservations(&mut self, own: &[Ipv4Addr]) {
        let network = self.subnet.network.0;
        let mut addresses = BTreeMap::new();
        let mut machines = BTreeMap::new();
        for (at, reservation) in self.subnet.reservations.iter().enumerate() {
            let step = |key| [Step::Key("reservations"), Step::Index(at), Step::Key(key)];
            let address = reservation.address.0;
            let wrong = if !network.contains(&address) {
                Some(format!("reserved address {address} lies outside {network}"))
            } else if self.is_edge(address) {
                Some(format!("reserved address {address} is the network's own"))
            } else if self.is_router(address) {
                Some(format!("reserved address {address} is the router's"))
            } else if own.contains(&address) {
                Some(format!("reserved address {address} is this server's"))
            } else {
                None
            };
            if let Some(message) = wrong {
                let draft = self.fault(Code::ReservationOutside, &step("address"), message);
                self.view.add(draft);
            }
            if !reservation.mac.is_unicast() {
                let message = format!("{} is a group address, no machine's own", reservation.mac);
                let draft = self.fault(Code::NobodysIdentity, &step("mac"), message);
                self.view.add(draft);
            }
            let twice = [
                (addresses.insert(address.to_string(), at), "address", address.to_string()),
                (machines.insert(reservation.mac.to_string(), at), "mac", reservation.mac.to_string()),
            ];
            for (first, key, text) in twice {
                let Some(first) = first else { continue };
                let steps = self.at(&[Step::Key("reservations"), Step::Index(first), Step::Key(key)]);
                let first = self.view.spot(&steps);
                let message = format!("{text} is reserved twice");
                let draft = self.fault(Code::ReservationTwice, &step(key), message).first_at(first);
                self.view.add(draft);
            }
        }
    }

    fn nothing_to_lease(&mut self) {
        let nothing = self.subnet.pools.is_empty() && self.subnet.reservations.is_empty();
        if nothing && !self.view.spoiled(&self.at(&[])) {
            let message =
                format!("subnet `{}` is in server mode without pools or reservations", self.subnet.name);
            let draft = self
                .fault(Code::NothingToLease, &[Step::Key("mode")], message)
                .fix("add pools: [\"first-last\"], or use mode: proxy");
            self.view.add(draft);
        }
    }

    /// Keys that only server mode uses.
    fn no_effect(&mut self) {
        let subnet = self.subnet;
        let given = [
            ("pools", !subnet.pools.is_empty()),
            ("exclude", !subnet.exclude.is_empty()),
            ("reservations", !subnet.reservations.is_empty()),
        ];
        for (key, _) in given.into_iter().filter(|(_, given)| *given) {
            let spot = self.view.key_spot(&self.at(&[]), key);
            let message = format!("`{key}` has no effect: subnet `{}` gives no addresses", subnet.name);
            self.view.add(
                Draft::new(Code::NoEffect, spot, message)
                    .fix("write mode: server if reveille is to give addresses here"),
            );
        }
    }
}
