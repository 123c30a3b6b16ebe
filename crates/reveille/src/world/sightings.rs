//! Who was seen where: the facts of a machine, found again by its address when it says next to nothing.

use std::collections::HashMap;
use std::net::IpAddr;
use types::{Facts, MacAddr};

/// Machines remembered: five times the largest site we were built for.
const SIGHTINGS_MAX: usize = 65_536;

/// Facts by hardware address, with a second way in by IP address.
#[derive(Default)]
pub(super) struct Sightings {
    machines: HashMap<MacAddr, Facts>,
    addresses: HashMap<IpAddr, MacAddr>,
}

impl Sightings {
    /// Adds what was learned; true when the machine was never seen before.
    pub(super) fn learn(&mut self, facts: &Facts) -> bool {
        let Some(mac) = facts.mac else { return false };
        if self.machines.len() >= SIGHTINGS_MAX && !self.machines.contains_key(&mac) {
            // A flood of invented addresses must not cost the machines we know more than a fresh look.
            self.machines.clear();
            self.addresses.clear();
        }
        if let Some(address) = facts.address.filter(|address| !address.is_unspecified()) {
            let earlier =
                self.machines.get(&mac).and_then(|known| known.address).filter(|earlier| *earlier != address);
            if let Some(earlier) = earlier.filter(|earlier| self.addresses.get(earlier) == Some(&mac)) {
                self.addresses.remove(&earlier);
            }
            self.addresses.insert(address, mac);
        }
        match self.machines.get_mut(&mac) {
            Some(known) => {
                *known = facts.clone().or(known);
                false
            }
            None => {
                self.machines.insert(mac, facts.clone());
                true
            }
        }
    }

    pub(super) fn by_mac(&self, mac: MacAddr) -> Option<&Facts> {
        self.machines.get(&mac)
    }

    pub(super) fn by_address(&self, address: IpAddr) -> Option<&Facts> {
        self.machines.get(self.addresses.get(&address)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::{Firmware, Stage};

    fn facts(last: u8, address: Option<&str>) -> Facts {
        Facts {
            mac: Some(MacAddr([2, 0, 0, 0, 0, last])),
            address: address.map(|text| text.parse().unwrap()),
            ..Facts::default()
        }
    }

    #[test]
    fn a_machine_is_found_by_its_newest_address_only() {
        let mut sightings = Sightings::default();
        assert!(sightings.learn(&facts(1, Some("10.0.0.1"))));
        assert!(!sightings.learn(&facts(1, Some("10.0.0.2"))));
        assert!(sightings.by_address("10.0.0.1".parse().unwrap()).is_none());
        assert_eq!(
            sightings.by_address("10.0.0.2".parse().unwrap()).and_then(|facts| facts.mac),
            facts(1, None).mac
        );
    }

    #[test]
    fn an_address_given_to_another_machine_follows_it() {
        let mut sightings = Sightings::default();
        sightings.learn(&facts(1, Some("10.0.0.1")));
        sightings.learn(&facts(2, Some("10.0.0.1")));
        assert_eq!(
            sightings.by_address("10.0.0.1".parse().unwrap()).and_then(|facts| facts.mac),
            facts(2, None).mac
        );
    }

    #[test]
    fn later_facts_add_to_earlier_ones() {
        let mut sightings = Sightings::default();
        sightings.learn(&Facts { firmware: Some(Firmware::Bios), ..facts(1, None) });
        sightings.learn(&Facts { serial: Some("S1".into()), stage: Stage::Ipxe, ..facts(1, None) });
        let known = sightings.by_mac(MacAddr([2, 0, 0, 0, 0, 1])).unwrap();
        assert_eq!((known.firmware, known.serial.as_deref()), (Some(Firmware::Bios), Some("S1")));
    }
}
