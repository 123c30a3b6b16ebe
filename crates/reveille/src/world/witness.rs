//! Is this request from the machine it says it is? What its record holds (root's password in an answer file, say) is given
//! to nobody else.
//!
//! A MAC, a GUID and a serial number are no secrets; anybody on the wire can say them. What counts is who is at the address:
//!
//! 1. DHCP says that the machine is elsewhere, or that another one is there: no.
//! 2. The address is on a segment of ours, and its network card is neither the one said nor one of the host's record: no.
//! 3. It is on no segment of ours and DHCP did not place the machine there: no, where we have a part in DHCP. Where we have
//!    none nothing can be known, and the machine is believed.
//! 4. It was told by its GUID or serial number alone, at a card that its record does not have: no, unless DHCP saw that GUID with
//!    that card, or the record names no cards and no GUID.
//!
//! What this cannot tell is somebody who uses the machine's own hardware address, or speaks DHCP in its name: who may do that on
//! a segment is the switch's to say.

use super::Sightings;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use types::resource::Host;
use types::{Facts, MacAddr, MachineGuid};

/// What can be known of who is at an address, beside what DHCP saw.
pub(crate) struct Witness {
    /// The cards at an address of a segment of ours.
    neighbours: Box<dyn Fn(Ipv4Addr) -> Vec<MacAddr> + Send + Sync>,
    /// Where DHCP of ours would have seen a machine.
    dhcp_at: Box<dyn Fn(Ipv4Addr) -> bool + Send + Sync>,
}

impl Default for Witness {
    /// Knows nothing.
    fn default() -> Witness {
        Witness::new(|_| Vec::new(), |_| false)
    }
}

impl Witness {
    pub(crate) fn new(
        neighbours: impl Fn(Ipv4Addr) -> Vec<MacAddr> + Send + Sync + 'static,
        dhcp_at: impl Fn(Ipv4Addr) -> bool + Send + Sync + 'static,
    ) -> Witness {
        Witness { neighbours: Box::new(neighbours), dhcp_at: Box::new(dhcp_at) }
    }

    /// The cards at an address; none when it is on no segment of ours.
    pub(super) fn cards(&self, address: IpAddr) -> Vec<MacAddr> {
        match address {
            IpAddr::V4(address) => (self.neighbours)(address),
            IpAddr::V6(_) => Vec::new(),
        }
    }

    /// DHCP would have seen a machine with this address.
    fn dhcp_at(&self, address: IpAddr) -> bool {
        matches!(address, IpAddr::V4(address) if (self.dhcp_at)(address))
    }

    /// What speaks against it. `host` is whom the facts were taken for.
    pub(super) fn doubt(
        &self,
        sightings: &Sightings,
        cards: &[MacAddr],
        facts: &Facts,
        host: Option<&Host>,
    ) -> Option<Doubt> {
        let address = facts.address?;
        let listed = host.map_or(&[][..], |host| &host.identity.mac.0);
        let unseen = cards.is_empty() && self.dhcp_at(address);
        if let Some(mac) = facts.mac {
            if sightings.denies(mac, address) {
                return Some(Doubt::Elsewhere);
            }
            if let Some(card) = cards.first()
                && !cards.iter().any(|card| *card == mac || listed.contains(card))
            {
                return Some(Doubt::OtherCard(*card));
            }
            if unseen && sightings.holder(address) != Some(mac) {
                return Some(Doubt::Unseen);
            }
        } else if unseen && host.is_some() {
            return Some(Doubt::Unseen);
        }
        let identity = &host?.identity;
        if facts.mac.iter().chain(cards).any(|card| listed.contains(card)) {
            return None;
        }
        let said = facts.own_guid().filter(|guid| identity.uuid.is_some_and(|own| same(own, *guid)));
        let seen = said.is_some_and(|guid| {
            let card = facts.mac.or(cards.first().copied());
            card.and_then(|card| sightings.seen_guid(card)).is_some_and(|seen| same(seen, guid))
        });
        let by_serial_alone = listed.is_empty() && identity.uuid.is_none();
        let nothing_known = listed.is_empty() && said.is_some() && !self.dhcp_at(address);
        (!seen && !by_serial_alone && !nothing_known).then_some(Doubt::OtherMachine)
    }
}

/// In either byte order.
fn same(one: MachineGuid, other: MachineGuid) -> bool {
    one == other || one == other.swapped()
}

/// What speaks against a machine being what it says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Doubt {
    Elsewhere,
    OtherCard(MacAddr),
    Unseen,
    OtherMachine,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Doubt::Elsewhere => f.write_str("DHCP placed that machine elsewhere, or another one at this address"),
            Doubt::OtherCard(card) => write!(
                f,
                "the network card at this address is {card}, which is neither the one that was said nor in the host's record"
            ),
            Doubt::Unseen => f.write_str("neither DHCP nor a segment of ours knows the machine at this address"),
            Doubt::OtherMachine => f.write_str(
                "its network card is not in the host's record, and DHCP did not see the host's GUID with it; add the card's \
                 address to the record",
            ),
        }
    }
}

#[cfg(test)]
mod tests;
