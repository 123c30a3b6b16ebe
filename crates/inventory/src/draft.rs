//! One entry while it is read: pieces go in as text, a proposal or faults come out. What every format has in common.

use crate::fault::Code;
use crate::found::{Collector, Proposal, Served};
use crate::limits::{ADDRESSES_MAX, MACS_MAX, TAGS_MAX, VALUE_BYTES_MAX};
use crate::names;
use crate::parts;
use crate::text::shown;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use types::resource::{HostMatch, Name, OneOrMany};
use types::subnet::Reservation;
use types::{MacAddr, MachineGuid};

/// An entry under way.
#[derive(Default)]
pub(crate) struct Draft {
    pub(crate) line: u32,
    /// What the list calls it, for messages.
    pub(crate) entry: String,
    /// Its name as written.
    pub(crate) name: Option<String>,
    macs: Vec<MacAddr>,
    uuid: Option<MachineGuid>,
    serial: Option<String>,
    image: Option<Name>,
    group: Option<Name>,
    pub(crate) params: BTreeMap<String, String>,
    addresses: Vec<Ipv4Addr>,
    hostname: Option<String>,
    pub(crate) served: Served,
    /// A fault that refuses the entry was reported.
    refused: bool,
}

impl Draft {
    pub(crate) fn new(line: u32, entry: &str) -> Draft {
        Draft { line, entry: entry.to_owned(), ..Draft::default() }
    }

    /// Reports a fault of this entry.
    pub(crate) fn fault(&mut self, out: &mut Collector, code: Code, message: String, fix: &str) {
        self.refused |= code.weight() == crate::fault::Weight::Refused;
        out.fault(code, self.line, &self.entry, message, fix);
    }

    /// Reports what the entry has in common with many.
    pub(crate) fn common(&mut self, out: &mut Collector, code: Code, message: &str, fix: &str) {
        out.common(code, self.line, &self.entry, message, fix);
    }

    pub(crate) fn mac(&mut self, out: &mut Collector, text: &str) {
        match parts::mac(text) {
            Ok(mac) => self.mac_read(out, mac),
            Err(why) => {
                let (message, fix) = why.says(text);
                let code = if matches!(why, parts::NoMac::Mangled(_)) { Code::Mangled } else { Code::Mac };
                self.fault(out, code, message, fix);
            }
        }
    }

    pub(crate) fn mac_read(&mut self, out: &mut Collector, mac: MacAddr) {
        if self.macs.contains(&mac) {
            return;
        }
        if self.macs.len() >= MACS_MAX {
            let message = format!("the entry has more than {MACS_MAX} MAC addresses");
            self.fault(out, Code::Limit, message, "give each machine an entry of its own");
            return;
        }
        self.macs.push(mac);
    }

    /// A GUID that many machines carry is left out.
    pub(crate) fn uuid(&mut self, out: &mut Collector, guid: MachineGuid) {
        if guid.is_nobodys() {
            let message = format!("{guid} is a factory value that many machines carry");
            self.fault(out, Code::Nobodys, message, "recognise the machine by MAC address or serial");
            return;
        }
        match self.uuid {
            Some(first) if first != guid && first != guid.swapped() => {
                let message = format!("the entry has two GUIDs, {first} and {guid}");
                self.fault(out, Code::Uuid, message, "keep the one that the machine sends");
            }
            _ => self.uuid = Some(guid),
        }
    }

    pub(crate) fn serial(&mut self, out: &mut Collector, text: &str) {
        if parts::is_scientific(text) {
            let message = format!("`{}` is what a spreadsheet made of a serial number", shown(text));
            let fix = "make the column text before the numbers are typed or pasted, and fill it again from the source";
            self.fault(out, Code::Mangled, message, fix);
        } else if text.len() > VALUE_BYTES_MAX || text.chars().any(char::is_control) {
            let message = format!("`{}` is no serial number", shown(text));
            self.fault(
                out,
                Code::Serial,
                message,
                "write it as `dmidecode -s system-serial-number` shows it",
            );
        } else {
            self.serial = Some(text.to_owned());
        }
    }

    pub(crate) fn image(&mut self, out: &mut Collector, text: &str) {
        self.image = self.reference(out, "image", text);
    }

    pub(crate) fn group(&mut self, out: &mut Collector, text: &str) {
        self.group = self.reference(out, "group", text);
    }

    /// The nearest tag as a group, where that is wanted and the tag can be a name.
    pub(crate) fn group_of_tags(&mut self, out: &mut Collector) {
        let Some(tag) = self.served.tags.first().filter(|_| out.options.groups) else { return };
        match names::fold(tag) {
            Ok(name) => self.group = Some(name),
            Err(why) => {
                let message = format!("`{}` cannot be a group: it {why}", shown(tag));
                self.fault(out, Code::NotCarried, message, "put the machine into a group after the import");
            }
        }
    }

    /// These must be names already: an image that is folded into another is no slip that shows.
    fn reference(&mut self, out: &mut Collector, what: &str, text: &str) -> Option<Name> {
        let read = text.parse();
        if read.is_err() {
            let message = format!("`{}` is no name of an {what}", shown(text)).replace("an group", "a group");
            self.fault(out, Code::Reference, message, "use 1 to 63 of a-z, 0-9 and -");
        }
        read.ok()
    }

    /// An address to reserve, as text.
    pub(crate) fn address(&mut self, out: &mut Collector, text: &str) {
        match text.parse::<Ipv4Addr>() {
            Ok(address) => self.address_read(out, address),
            Err(_) if text.contains(':') => {
                self.common(out, Code::NotCarried, "IPv6 addresses are not reserved", "");
            }
            Err(_)
                if parts::hostname(text).is_some_and(|name| name.contains(|c: char| c.is_alphabetic())) =>
            {
                let message =
                    format!("`{}` is a name; which address it stands for is not looked up", shown(text));
                self.fault(out, Code::Address, message, "write the address");
            }
            Err(_) => {
                let message = format!("`{}` is not an IPv4 address", shown(text));
                self.fault(out, Code::Address, message, "write four numbers such as 10.77.0.5");
            }
        }
    }

    fn address_read(&mut self, out: &mut Collector, address: Ipv4Addr) {
        if let Some(why) = parts::no_machines(address) {
            self.fault(out, Code::Address, format!("{address} {why}"), "");
        } else if self.addresses.len() >= ADDRESSES_MAX {
            let message = format!("the entry has more than {ADDRESSES_MAX} addresses");
            self.fault(out, Code::Limit, message, "");
        } else if !self.addresses.contains(&address) {
            self.addresses.push(address);
        }
    }

    pub(crate) fn hostname(&mut self, out: &mut Collector, text: &str) {
        match parts::hostname(text) {
            Some(name) => self.hostname = Some(name.to_owned()),
            None => {
                let message = format!("`{}` is no host name that DHCP may carry; none is told", shown(text));
                self.fault(out, Code::NotCarried, message, "use letters, digits and hyphens");
            }
        }
    }

    pub(crate) fn tag(&mut self, text: &str) {
        if self.served.tags.len() < TAGS_MAX && text.len() <= VALUE_BYTES_MAX {
            self.served.tags.push(text.to_owned());
        }
    }

    /// Checks the whole and proposes it.
    pub(crate) fn finish(mut self, out: &mut Collector) {
        // Without a name of its own it is called as it would be told by DHCP.
        let given = self.name.take().or_else(|| self.hostname.clone()).unwrap_or_default();
        if self.entry.is_empty() {
            self.entry.clone_from(&given);
        }
        if self.macs.is_empty() && self.uuid.is_none() && self.serial.is_none() {
            if !self.refused {
                let message = "nothing tells which machine this is".to_owned();
                self.fault(out, Code::NoIdentity, message, "add its MAC address, uuid or serial");
            }
            return;
        }
        let name = match (given.is_empty(), self.macs.first()) {
            (false, _) => self.folded(out, &given),
            (true, Some(&mac)) => names::of_mac(mac).inspect(|name| {
                let message = format!("the entry has no name; it is called `{name}`");
                self.fault(
                    out,
                    Code::NameMade,
                    message,
                    "rename it after the import, or name it in the list",
                );
            }),
            (true, None) => {
                let message = "the entry has neither a name nor a MAC address to make one of".to_owned();
                self.fault(out, Code::Name, message, "name it in the list");
                None
            }
        };
        let reservations = self.reservations(out);
        let Some(name) = name.filter(|_| !self.refused) else { return };
        out.propose(Proposal {
            origin: out.origin(self.line, &self.entry),
            name,
            given,
            identity: HostMatch { mac: OneOrMany(self.macs), uuid: self.uuid, serial: self.serial },
            image: self.image,
            group: self.group,
            params: self.params,
            reservations,
            served: self.served,
        });
    }

    fn folded(&mut self, out: &mut Collector, given: &str) -> Option<Name> {
        let folded = names::fold(given);
        if let Err(why) = &folded {
            let message = format!("`{}` cannot be a name here: it {why}", shown(given));
            self.fault(out, Code::Name, message, "name it with letters, digits and hyphens");
        }
        folded.ok()
    }

    fn reservations(&mut self, out: &mut Collector) -> Vec<Reservation> {
        if self.addresses.is_empty() {
            return Vec::new();
        }
        let Some(&mac) = self.macs.first() else {
            let message = "an address is reserved by MAC address, and the entry has none";
            self.common(out, Code::Address, message, "add the MAC address of the port that gets the address");
            return Vec::new();
        };
        if self.macs.len() > 1 {
            let message = "the address is reserved for the first MAC address only";
            self.common(out, Code::Address, message, "list the port that shall have the address first");
        }
        let hostname = self.hostname.as_deref();
        let reservation = |&address| Reservation { mac, address, hostname: hostname.map(Into::into) };
        self.addresses.iter().map(reservation).collect()
    }
}
