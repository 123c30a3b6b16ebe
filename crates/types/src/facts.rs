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
    /// Several machines were seen with this GUID: it identifies none of them. Never said by a machine, only concluded.
    pub guid_doubted: bool,
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
    /// A GUID that identifies a machine: factory values and doubted ones are dropped.
    pub fn own_guid(&self) -> Option<MachineGuid> {
        self.guid.filter(|guid| !self.guid_doubted && !guid.is_nobodys())
    }

    /// A serial number that identifies a machine: what makers leave there is dropped.
    pub fn own_serial(&self) -> Option<&Arc<str>> {
        self.serial.as_ref().filter(|serial| !crate::serial::is_nobodys(serial))
    }

    /// True when both say a GUID and not the same one, in either byte order: another board speaks.
    pub fn is_other_board(&self, earlier: &Facts) -> bool {
        let own = |facts: &Facts| facts.guid.filter(|guid| !guid.is_nobodys());
        matches!((own(self), own(earlier)), (Some(one), Some(other)) if one != other && one != other.swapped())
    }

    /// Takes over from `earlier` whatever this request did not say (a TFTP request says next to nothing). What SMBIOS said
    /// belongs to the board: under another GUID nothing of it is taken over.
    pub fn or(self, earlier: &Facts) -> Facts {
        let boardless;
        let earlier = match self.is_other_board(earlier) {
            false => earlier,
            true => {
                boardless = earlier.without_board();
                &boardless
            }
        };
        Facts {
            mac: self.mac.or(earlier.mac),
            guid: self.guid.or(earlier.guid),
            guid_doubted: self.guid_doubted,
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

    /// The same without what SMBIOS said.
    fn without_board(&self) -> Facts {
        Facts {
            guid: None,
            smbios: false,
            vendor: None,
            model: None,
            serial: None,
            asset: None,
            oemstring: None,
            board_serial: None,
            nic_bus: None,
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_smbios_said_is_not_taken_over_to_another_board() {
        let guid = |last: u8| Some(MachineGuid([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, last]));
        let earlier = Facts {
            guid: guid(1),
            smbios: true,
            serial: Some("S1".into()),
            hostname: Some("web01".into()),
            ..Facts::default()
        };
        let other = Facts { guid: guid(2), ..Facts::default() }.or(&earlier);
        assert_eq!((other.smbios, &other.serial, other.hostname.as_deref()), (false, &None, Some("web01")));
        let swapped = guid(1).map(MachineGuid::swapped);
        for same in [guid(1), swapped, None, Some(MachineGuid([0; 16]))] {
            let same = Facts { guid: same, ..Facts::default() }.or(&earlier);
            assert!(same.smbios && same.serial.is_some(), "{same:?}");
        }
    }

    #[test]
    fn an_ipxe_without_http_has_none_whatever_was_there_before_it() {
        let earlier = Facts { stage: Stage::HttpRom, http: true, ..Facts::default() };
        assert!(!Facts { stage: Stage::Ipxe, ..Facts::default() }.or(&earlier).http);
        // A TFTP request says nothing of it.
        assert!(Facts { stage: Stage::Loader, ..Facts::default() }.or(&earlier).http);
    }
}
