//! What a DHCP message says of the machine that sent it. Nothing is decided here, and nothing odd fails a packet: what
//! cannot be read counts as not said.
//!
//! Who asks (RFC 4578, UEFI 2.5 §23.7, firmware seen), first that applies:
//! 1 user class `iPXE`, bare or in RFC 3004 framing, or option 175 → iPXE · 2 vendor class `HTTPClient…` → UEFI HTTP boot ·
//! 3 vendor class `PXEClient…` → a PXE ROM · 4 else an ordinary host, which never gets boot data

use crate::lease::Client;
use crate::wire::pxe::BootClass;
use crate::wire::{Message, RelayInfo, code};
use std::net::{IpAddr, Ipv4Addr};
use types::lease::ClientKey;
use types::{Arrival, ClientArch, Facts, MachineGuid, Stage};

/// The facts of one message.
pub fn classify(message: &Message, arrival: &Arrival) -> Facts {
    let options = &message.options;
    let vendor = options.vendor_class();
    let stage = match vendor.map(|vendor| vendor.class) {
        _ if options.is_ipxe() => Stage::Ipxe,
        Some(BootClass::Http) => Stage::HttpRom,
        Some(BootClass::Pxe) => Stage::Rom,
        None => Stage::Os,
    };
    let arch = usable_arch(&options.client_archs()).or_else(|| vendor.and_then(|vendor| vendor.arch));
    let http = match stage {
        Stage::HttpRom => true,
        Stage::Ipxe => options.ipxe().is_some_and(|ipxe| ipxe.http()),
        Stage::Rom | Stage::Os | Stage::Loader => false,
    };
    let relay_info = options.get(code::RELAY_INFO).map(RelayInfo::new);
    Facts {
        mac: message.mac().filter(|mac| mac.is_unicast()),
        guid: options.guid(),
        arch,
        firmware: arch.and_then(ClientArch::firmware),
        stage,
        http,
        comboot: options.ipxe().filter(|ipxe| !ipxe.features.is_empty()).map(|ipxe| ipxe.comboot()),
        hostname: options.host_name(),
        interface: Some(arrival.interface.clone()),
        relay: Some(message.giaddr).filter(|relay| !relay.is_unspecified()),
        circuit_id: relay_info.and_then(|info| info.circuit_id()).map(Into::into),
        address: address(message, arrival),
        ..Facts::default()
    }
}

/// Whom a lease would belong to: option 61 unless many machines share it, else the hardware address. `None` when the message
/// names nobody: no option 61 of two bytes or more and an empty hardware address.
pub fn client(message: &Message, facts: &Facts) -> Option<Client> {
    let key = match message.options.client_identifier() {
        Some(id) if message.hlen == 0 || !is_shared(id) => ClientKey::ClientId(id.into()),
        None if message.hlen == 0 => return None,
        _ => ClientKey::Hardware { htype: message.htype, address: message.hardware().into() },
    };
    Some(Client {
        key,
        mac: facts.mac,
        guid: facts.guid,
        hostname: facts.hostname.clone(),
        relay_info: message.options.get(code::RELAY_INFO).map(Into::into),
        recorded: false,
    })
}

/// QUIRK(shared-client-ids): true for the identifiers whole batches of boards share: PXE ROMs send type 0 and their GUID (PXE 2.1 §2.2), and an
/// unset GUID is the same on all of them; likewise type 1 with an unset Ethernet address.
///
/// DIVERGES RFC 2131 §4.2: as keys they would give one address to all of these machines at once.
fn is_shared(id: &[u8]) -> bool {
    match id {
        [0, guid @ ..] => guid.try_into().is_ok_and(|guid| MachineGuid(guid).is_nobodys()),
        [1, address @ ..] if address.len() == 6 => {
            address.iter().all(|byte| *byte == 0) || address.iter().all(|byte| *byte == 0xff)
        }
        _ => false,
    }
}

/// RFC 4578 §2.1: a list, best first. The first we have a name for, else the first.
fn usable_arch(list: &[ClientArch]) -> Option<ClientArch> {
    list.iter().find(|arch| arch.firmware().is_some()).or(list.first()).copied()
}

/// The address it has: `ciaddr`, else where an unrelayed packet came from.
fn address(message: &Message, arrival: &Arrival) -> Option<IpAddr> {
    let remote = *arrival.remote.ip();
    let own = |address: &Ipv4Addr| !address.is_unspecified();
    Some(message.ciaddr)
        .filter(own)
        .or(Some(remote).filter(|address| own(address) && message.giaddr.is_unspecified()))
        .map(IpAddr::V4)
}

#[cfg(test)]
mod tests;
