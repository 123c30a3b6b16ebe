//! How much what a machine says of itself speaks for a recorded host, and how much against it. Pure arithmetic over a record
//! and what was said.
//!
//! | term | weight |
//! |---|---|
//! | SMBIOS GUID, in either byte order | 4 |
//! | serial number, without case | 4 |
//! | MAC address, any of the record's | 3 |
//!
//! A term *agrees* when record and machine both have it and it is the same, and *differs* when both have it and it is another.
//! What either does not say, and what is nobody's ([`MachineGuid::is_nobodys`], [`types::serial::is_nobodys`]), counts nothing.
//!
//! # Rules, each with a test of its name in `identity/tests.rs`
//!
//! 1. Nothing agrees: it is not this host.
//! 2. The machine is the host as long as what differs weighs at most twice what agrees: one agreeing term outweighs any one
//!    other, a serial number also outweighs GUID and MAC together (the board was replaced), a MAC does not outweigh GUID and
//!    serial number (its card was put into another machine).
//! 3. It is the host *firmly* when nothing differs, or when at least two terms agree and what differs weighs no more than they.
//!    Only a firm one is given images that erase disks.

use std::fmt;
use std::sync::Arc;
use types::resource::HostMatch;
use types::{Facts, MacAddr, MachineGuid};

/// Weight of the SMBIOS GUID: it stays with the board, and cloned virtual machines share it.
pub(crate) const GUID_WEIGHT: u8 = 4;
/// Weight of the serial number: it stays with the chassis.
pub(crate) const SERIAL_WEIGHT: u8 = 4;
/// Weight of a MAC address: it stays with a card, which can be moved.
pub(crate) const MAC_WEIGHT: u8 = 3;
/// What has to agree where something differs: two terms.
pub(crate) const FIRM: u8 = MAC_WEIGHT + SERIAL_WEIGHT;

/// A term in which a machine differs from its record: what it says now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// A hardware address that the record does not have.
    Mac(MacAddr),
    /// Another GUID than the record's.
    Guid(MachineGuid),
    /// Another serial number than the record's.
    Serial(Arc<str>),
}

impl Change {
    /// The name of the term.
    pub fn term(&self) -> &'static str {
        match self {
            Change::Mac(_) => "mac",
            Change::Guid(_) => "uuid",
            Change::Serial(_) => "serial",
        }
    }

    /// What the machine says.
    pub fn value(&self) -> String {
        match self {
            Change::Mac(mac) => mac.to_string(),
            Change::Guid(guid) => guid.to_string(),
            Change::Serial(serial) => serial.to_string(),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Mac(mac) => write!(f, "mac {mac}"),
            Change::Guid(guid) => write!(f, "uuid {guid}"),
            Change::Serial(serial) => write!(f, "serial {serial}"),
        }
    }
}

/// What speaks for a host and what against it, each the sum of the weights of its terms.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Score {
    /// Of terms that agree, 0..=11.
    pub agree: u8,
    /// Of terms that differ, 0..=11.
    pub differ: u8,
}

impl Score {
    /// True when the machine is the host.
    pub fn is_it(self) -> bool {
        self.agree > 0 && self.differ <= self.agree.saturating_mul(2)
    }

    /// True when it is, and what erases disks may depend on it.
    pub fn is_firm(self) -> bool {
        self.agree > 0 && (self.differ == 0 || (self.agree >= FIRM && self.differ <= self.agree))
    }
}

/// Holds what a machine says against one record.
pub fn score(record: &HostMatch, facts: &Facts) -> (Score, Vec<Change>) {
    let (mut score, mut changes) = (Score::default(), Vec::new());
    let mut weigh = |weight: u8, agrees: bool, change: &dyn Fn() -> Change| match agrees {
        true => score.agree = score.agree.saturating_add(weight),
        false => {
            score.differ = score.differ.saturating_add(weight);
            changes.push(change());
        }
    };
    if let (Some(own), Some(said)) = (record.uuid.filter(|guid| !guid.is_nobodys()), facts.own_guid()) {
        weigh(GUID_WEIGHT, own == said || own == said.swapped(), &|| Change::Guid(said));
    }
    if let (Some(own), Some(said)) = (own_serial(record), facts.own_serial()) {
        weigh(SERIAL_WEIGHT, same_serial(own, said), &|| Change::Serial(said.clone()));
    }
    if let (false, Some(said)) = (record.mac.is_empty(), facts.mac) {
        weigh(MAC_WEIGHT, record.mac.0.contains(&said), &|| Change::Mac(said));
    }
    (score, changes)
}

/// The serial number of a record, unless it is nobody's.
pub(crate) fn own_serial(record: &HostMatch) -> Option<&str> {
    record.serial.as_deref().filter(|serial| !types::serial::is_nobodys(serial))
}

/// Vendors print them in either case, and with blanks around them.
fn same_serial(one: &str, other: &str) -> bool {
    one.trim().eq_ignore_ascii_case(other.trim())
}
