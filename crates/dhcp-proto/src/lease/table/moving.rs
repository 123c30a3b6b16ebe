//! From the tables of one configuration to those of the next, in the middle of exchanges: nothing acknowledged and
//! nothing offered is forgotten.

use super::{Entry, Table};
use crate::lease::Client;
use crate::lease::holds::Hold;
use std::net::Ipv4Addr;
use types::Now;
use types::lease::LeaseRecord;

/// A part of a table on its way to another.
#[derive(Debug)]
pub struct Moving {
    /// The address it is about: it belongs to the table whose subnet contains it.
    pub address: Ipv4Addr,
    what: What,
}

#[derive(Debug)]
enum What {
    Own,
    Entry(Box<Entry>),
    Hold(Hold),
}

impl Moving {
    /// True for an open offer.
    pub fn is_offer(&self) -> bool {
        matches!(self.what, What::Hold(_))
    }

    /// The record, when it is a lease: to be kept although no subnet has room for it now.
    pub fn into_record(self) -> Option<LeaseRecord> {
        match self.what {
            What::Entry(entry) => Some(entry.record),
            What::Own | What::Hold(_) => None,
        }
    }
}

impl Table {
    /// Takes a table apart for its successors (a new configuration in the middle of exchanges): our own addresses first,
    /// then leases, then open offers.
    pub fn dissolve(self) -> impl Iterator<Item = Moving> {
        let own = self.own.into_iter().map(|address| Moving { address, what: What::Own });
        let entries = self.entries.into_iter();
        let entries = entries.map(|(address, entry)| Moving { address, what: What::Entry(Box::new(entry)) });
        let holds = self.holds.into_iter().map(|(address, hold)| Moving { address, what: What::Hold(hold) });
        own.chain(entries).chain(holds)
    }

    /// Takes in a part of an earlier table. An offer the new configuration does not allow is dropped; a lease is kept
    /// and ends at its next renewal.
    pub fn adopt(&mut self, now: Now, moving: Moving) {
        match moving.what {
            What::Own => self.forbid(moving.address),
            What::Entry(entry) => {
                self.remove_entry(moving.address);
                self.insert_entry(*entry);
            }
            What::Hold(hold) => {
                let client = Client {
                    key: hold.key.clone(),
                    mac: hold.mac,
                    guid: None,
                    hostname: None,
                    relay_info: None,
                    recorded: false,
                };
                if hold.until > now.instant && self.usable(now, &client, moving.address) {
                    self.place_hold(moving.address, &client, hold);
                }
            }
        }
    }
}
