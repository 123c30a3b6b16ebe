//! Free addresses of a subnet as disjoint ranges: taking, giving back and finding the lowest are O(log n), whatever
//! the size of the pool.

use ipnet::Ipv4Net;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use types::subnet::Subnet;

/// A set of addresses, kept as ranges that never touch.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    /// First address of a range to its last, both inclusive.
    ranges: BTreeMap<u32, u32>,
    count: u64,
}

impl Pool {
    /// Every address the subnet may give from its pools: inside the network, without network and broadcast address,
    /// exclusions, routers, next server and reservations (RFC 3021: a /31 has no network or broadcast address).
    pub fn of(subnet: &Subnet) -> Pool {
        let mut pool = Pool::default();
        let (first, last) = host_bounds(subnet.network);
        for range in &subnet.pools {
            let (from, to) = (u32::from(range.first).max(first), u32::from(range.last).min(last));
            if from <= to {
                pool.add_range(from, to);
            }
        }
        for range in &subnet.excluded {
            pool.remove_range(u32::from(range.first), u32::from(range.last));
        }
        let fixed = subnet.reservations.iter().map(|reservation| &reservation.address);
        for &address in subnet.routers.iter().chain(&subnet.next_server).chain(fixed) {
            pool.take(address);
        }
        pool
    }

    /// Number of addresses in the set.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// True when the address is in the set.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        let at = u32::from(address);
        self.ranges.range(..=at).next_back().is_some_and(|(_, &last)| at <= last)
    }

    /// The lowest address.
    pub fn first(&self) -> Option<Ipv4Addr> {
        self.ranges.keys().next().copied().map(Ipv4Addr::from)
    }

    /// Takes one address out; false when it was not in the set.
    pub fn take(&mut self, address: Ipv4Addr) -> bool {
        let at = u32::from(address);
        let held = self.contains(address);
        if held {
            self.remove_range(at, at);
        }
        held
    }

    /// Puts one address in; false when it was there.
    pub fn give(&mut self, address: Ipv4Addr) -> bool {
        let at = u32::from(address);
        let absent = !self.contains(address);
        if absent {
            self.add_range(at, at);
        }
        absent
    }

    /// Union with `from..=to`; overlapping and touching ranges become one.
    fn add_range(&mut self, from: u32, to: u32) {
        let (mut first, mut last) = (from, to);
        if let Some((&left, &left_last)) = self.ranges.range(..=from).next_back()
            && left_last >= from.saturating_sub(1)
        {
            first = left;
            last = last.max(left_last);
        }
        while let Some((&start, &end)) = self.ranges.range(first..=last.saturating_add(1)).next() {
            last = last.max(end);
            self.ranges.remove(&start);
            self.count -= span(start, end);
        }
        self.ranges.insert(first, last);
        self.count += span(first, last);
    }

    /// Difference with `from..=to`.
    fn remove_range(&mut self, from: u32, to: u32) {
        let left = self.ranges.range(..from).next_back().map(|(&start, &end)| (start, end));
        let mut touched: Vec<(u32, u32)> = left.filter(|&(_, end)| end >= from).into_iter().collect();
        touched.extend(self.ranges.range(from..=to.max(from)).map(|(&start, &end)| (start, end)));
        for (start, end) in touched {
            self.ranges.remove(&start);
            self.count -= span(start, end);
            if start < from {
                self.ranges.insert(start, from - 1);
                self.count += span(start, from - 1);
            }
            if end > to {
                self.ranges.insert(to + 1, end);
                self.count += span(to + 1, end);
            }
        }
    }
}

/// First and last address of a network that a host may have.
fn host_bounds(network: Ipv4Net) -> (u32, u32) {
    let (first, last) = (u32::from(network.network()), u32::from(network.broadcast()));
    if network.prefix_len() >= 31 { (first, last) } else { (first + 1, last - 1) }
}

fn span(first: u32, last: u32) -> u64 {
    u64::from(last) - u64::from(first) + 1
}

#[cfg(test)]
mod tests;
