//! What a machine said of itself at one step. Nothing here is decided.

use crate::{ClientArch, Firmware, MacAddr, MachineGuid, Stage};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// The facts of one request, whichever door it came through.
///
/// `None` means *not said*, never *no*. Strings are as received, already cleaned of control bytes by the door.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Facts {
    /// Hardware address (`chaddr`, or `mac` of an iPXE query).
    pub mac: Option<MacAddr>,
    /// SMBIOS GUID (option 97, or `uuid` of an iPXE query); kept even when it is nobody's.
    pub guid: Option<MachineGuid>,
    /// First usable code of option 93.
    pub arch: Option<ClientArch>,
    /// What the arch code, the vendor class or iPXE's `buildarch` and `platform` say.
    pub firmware: Option<Firmware>,
    /// Who asks.
    pub stage: Stage,
    /// True when the machine can fetch its boot file by HTTP (HTTP boot, or iPXE with the HTTP feature).
    pub http: bool,
    /// Whether its iPXE can run COM32 programs (`mboot.c32`), which most builds cannot: feature 35 of option 175.
    pub comboot: Option<bool>,
    /// True once iPXE was asked for its SMBIOS data, whatever it had: what is missing of it then is not there.
    pub smbios: bool,
    /// SMBIOS manufacturer.
    pub vendor: Option<Arc<str>>,
    /// SMBIOS product name.
    pub model: Option<Arc<str>>,
    /// SMBIOS serial number.
    pub serial: Option<Arc<str>>,
    /// SMBIOS chassis asset tag.
    pub asset: Option<Arc<str>>,
    /// The last SMBIOS OEM string (most machines have one).
    pub oemstring: Option<Arc<str>>,
    /// SMBIOS serial number of the board.
    pub board_serial: Option<Arc<str>>,
    /// Bus, vendor and device number of the network card it boots from, as iPXE tells them (`01:80:86:10:0e`).
    pub nic_bus: Option<Arc<str>>,
    /// Host name the machine gave (option 12).
    pub hostname: Option<Arc<str>>,
    /// Interface the request arrived on.
    pub interface: Option<Arc<str>>,
    /// `giaddr` of the relay that forwarded it.
    pub relay: Option<Ipv4Addr>,
    /// Circuit id of option 82, opaque.
    pub circuit_id: Option<Arc<[u8]>>,
    /// Name of the subnet its address is from.
    pub subnet: Option<Arc<str>>,
    /// Address the machine has or asks from.
    pub address: Option<IpAddr>,
}

impl Facts {
    /// A GUID that identifies a machine: factory values are dropped.
    pub fn own_guid(&self) -> Option<MachineGuid> {
        self.guid.filter(|guid| !guid.is_nobodys())
    }

    /// Takes over from `earlier` whatever this request did not say (a TFTP request says next to nothing).
    pub fn or(self, earlier: &Facts) -> Facts {
        Facts {
            mac: self.mac.or(earlier.mac),
            guid: self.guid.or(earlier.guid),
            arch: self.arch.or(earlier.arch),
            firmware: self.firmware.or(earlier.firmware),
            stage: self.stage,
            // An iPXE says itself whether it has HTTP, whatever the firmware or another iPXE before it had.
            http: self.http || (self.stage != Stage::Ipxe && earlier.http),
            comboot: self.comboot.or(earlier.comboot),
            smbios: self.smbios || earlier.smbios,
            vendor: self.vendor.or_else(|| earlier.vendor.clone()),
            model: self.model.or_else(|| earlier.model.clone()),
            serial: self.serial.or_else(|| earlier.serial.clone()),
            asset: self.asset.or_else(|| earlier.asset.clone()),
            oemstring: self.oemstring.or_else(|| earlier.oemstring.clone()),
            board_serial: self.board_serial.or_else(|| earlier.board_serial.clone()),
            nic_bus: self.nic_bus.or_else(|| earlier.nic_bus.clone()),
            hostname: self.hostname.or_else(|| earlier.hostname.clone()),
            interface: self.interface.or_else(|| earlier.interface.clone()),
            relay: self.relay.or(earlier.relay),
            circuit_id: self.circuit_id.or_else(|| earlier.circuit_id.clone()),
            subnet: self.subnet.or_else(|| earlier.subnet.clone()),
            address: self.address.or(earlier.address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipxe_without_http_has_none_whatever_was_there_before_it() {
        let earlier = Facts { stage: Stage::HttpRom, http: true, ..Facts::default() };
        assert!(!Facts { stage: Stage::Ipxe, ..Facts::default() }.or(&earlier).http);
        // A TFTP request says nothing of it.
        assert!(Facts { stage: Stage::Loader, ..Facts::default() }.or(&earlier).http);
    }
}
