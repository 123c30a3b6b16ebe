//! Which machines something is for: `vendor=Dell,model~R7.*`. One grammar in YAML, API and command line.
//!
//! ```text
//! selector   all of its terms, separated by commas; empty or `*` is every machine
//! term       key = value | key != value | key ~ expression | key !~ expression
//! value      one or several, separated by `|`; any of them counts
//! "a, b"     in quotes commas, bars and quotes (`\"`) are text
//! ```
//!
//! | keys | read as |
//! |---|---|
//! | `vendor` `model` `serial` `asset` `hostname` `domain` `oemstring` `site` `circuit` `subnet` `interface` | text, without case; a vendor also by its short name ([`vendor::short`]) |
//! | `mac` | an address, or its first octets (`24:6e:96`) |
//! | `uuid` | in either byte order |
//! | `ipv4` `relay` | an address, a network (`10.4.0.0/16`) or a range (`10.4.0.10-10.4.0.99`) |
//! | `arch` `firmware` | by number and by name (`7`, `uefi-x64`) |
//! | `group` | the group itself or one above it |
//! | `host` | name of the record |
//! | `label.<key>` | label of the record or of its groups |
//!
//! A term about something nobody said holds neither way: `vendor!=Dell` says nothing of a machine whose vendor is not
//! known. Expressions are searched for anywhere in the text, without case, in linear time (the `regex` crate), at most
//! [`PATTERN_BYTES_MAX`] long.

mod parse;
pub mod vendor;

pub use parse::SelectorFault;

use crate::resource::Name;
use crate::{Facts, MacAddr, MachineGuid};
use ipnet::Ipv4Net;
use regex::bytes::Regex;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// Longest selector, in bytes.
pub const SELECTOR_BYTES_MAX: usize = 1024;
/// Most terms of one selector.
pub const TERMS_MAX: usize = 16;
/// Most values of one term.
pub const VALUES_MAX: usize = 64;
/// Longest expression, in bytes.
pub const PATTERN_BYTES_MAX: usize = 256;
/// Memory one compiled expression may take, in bytes: what `.{1000}` would need is refused.
const PATTERN_SIZE_MAX: usize = 256 << 10;

/// What a term is about.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Key {
    /// SMBIOS manufacturer.
    Vendor,
    /// SMBIOS product.
    Model,
    /// SMBIOS serial number.
    Serial,
    /// SMBIOS asset tag.
    Asset,
    /// Hardware address it boots from.
    Mac,
    /// Its address.
    Ipv4,
    /// Host name it gave.
    Hostname,
    /// What is behind the first dot of that name.
    Domain,
    /// SMBIOS GUID.
    Uuid,
    /// SMBIOS OEM string.
    Oemstring,
    /// Architecture code of option 93.
    Arch,
    /// Firmware.
    Firmware,
    /// Group it is in, or one above it.
    Group,
    /// Site of this appliance.
    Site,
    /// Relay its requests come through.
    Relay,
    /// Circuit id of option 82.
    Circuit,
    /// Subnet its address is from.
    Subnet,
    /// Our interface its requests come in on.
    Interface,
    /// Name of its record.
    Host,
    /// A label.
    Label(Box<str>),
}

impl Key {
    /// Every key but labels, in the order help lists them.
    pub const ALL: [Key; 19] = [
        Key::Vendor,
        Key::Model,
        Key::Serial,
        Key::Asset,
        Key::Mac,
        Key::Ipv4,
        Key::Hostname,
        Key::Domain,
        Key::Uuid,
        Key::Oemstring,
        Key::Arch,
        Key::Firmware,
        Key::Group,
        Key::Site,
        Key::Relay,
        Key::Circuit,
        Key::Subnet,
        Key::Interface,
        Key::Host,
    ];

    /// The key as it is written, without the name of a label.
    pub fn as_str(&self) -> &'static str {
        match self {
            Key::Vendor => "vendor",
            Key::Model => "model",
            Key::Serial => "serial",
            Key::Asset => "asset",
            Key::Mac => "mac",
            Key::Ipv4 => "ipv4",
            Key::Hostname => "hostname",
            Key::Domain => "domain",
            Key::Uuid => "uuid",
            Key::Oemstring => "oemstring",
            Key::Arch => "arch",
            Key::Firmware => "firmware",
            Key::Group => "group",
            Key::Site => "site",
            Key::Relay => "relay",
            Key::Circuit => "circuit",
            Key::Subnet => "subnet",
            Key::Interface => "interface",
            Key::Host => "host",
            Key::Label(_) => "label",
        }
    }

    /// True for what only a running iPXE can tell: before it was asked, nobody knows.
    pub fn is_smbios(&self) -> bool {
        matches!(self, Key::Vendor | Key::Model | Key::Serial | Key::Asset | Key::Oemstring)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Label(name) => write!(f, "label.{name}"),
            key => f.write_str(key.as_str()),
        }
    }
}

/// One value a term compares with.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Value {
    Text(Box<str>),
    Network(Ipv4Net),
    Range(Ipv4Addr, Ipv4Addr),
    Mac(Box<[u8]>),
    Guid(MachineGuid),
}

/// A compiled expression; compared by its text.
#[derive(Clone, Debug)]
struct Pattern(Arc<Compiled>);

#[derive(Debug)]
struct Compiled {
    text: Box<str>,
    regex: Regex,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.0.text == other.0.text
    }
}

impl Eq for Pattern {}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Test {
    AnyOf(Vec<Value>),
    Like(Pattern),
}

/// One condition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Term {
    key: Key,
    negated: bool,
    test: Test,
    /// As it was written.
    text: Box<str>,
}

impl Term {
    /// What it is about.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Whether it holds.
    pub fn judge(&self, subject: &Subject<'_>) -> Match {
        let found = match &self.test {
            Test::AnyOf(values) => subject.any(&self.key, |said| values.iter().any(|value| value.is(said))),
            Test::Like(pattern) => subject.any(&self.key, |said| said.is_like(&pattern.0.regex)),
        };
        match found {
            None if self.key.is_smbios() && subject.may_tell => Match::Unknown,
            None => Match::No,
            Some(found) if found != self.negated => Match::Yes,
            Some(_) => Match::No,
        }
    }

    /// Work of judging it, for the order: comparing is cheaper than searching.
    fn cost(&self) -> u8 {
        match self.test {
            Test::AnyOf(_) => 0,
            Test::Like(_) => 1,
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether a selector or a term holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Match {
    /// It holds.
    Yes,
    /// It does not.
    No,
    /// It depends on what the machine has not been asked yet.
    Unknown,
}

/// Which machines something is for. Compared by what it says, not by its blanks.
#[derive(Clone, Debug, Default)]
pub struct Selector {
    terms: Arc<[Term]>,
    /// Places in `terms`, cheapest first.
    order: Arc<[usize]>,
}

impl PartialEq for Selector {
    fn eq(&self, other: &Selector) -> bool {
        self.terms == other.terms
    }
}

impl Eq for Selector {}

impl Selector {
    fn of(terms: Vec<Term>) -> Selector {
        let mut order: Vec<usize> = (0..terms.len()).collect();
        order.sort_by_key(|&at| terms.get(at).map(Term::cost));
        Selector { terms: terms.into(), order: order.into() }
    }

    /// Its terms, as written.
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// Its terms, in the order of the work they are.
    pub fn cheapest_first(&self) -> impl Iterator<Item = &Term> {
        self.order.iter().filter_map(|&at| self.terms.get(at))
    }

    /// True when every machine is meant.
    pub fn is_everything(&self) -> bool {
        self.terms.is_empty()
    }

    /// True when every machine that `other` means is meant by this one too, as far as the terms themselves say: each of
    /// ours is one of the other's.
    pub fn covers(&self, other: &Selector) -> bool {
        self.terms.iter().all(|term| other.terms.contains(term))
    }

    /// Whether it holds. One term that does not hold decides, whatever is unknown beside it.
    pub fn judge(&self, subject: &Subject<'_>) -> Match {
        let mut unknown = false;
        for term in self.cheapest_first() {
            match term.judge(subject) {
                Match::Yes => {}
                Match::No => return Match::No,
                Match::Unknown => unknown = true,
            }
        }
        if unknown { Match::Unknown } else { Match::Yes }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_everything() {
            return f.write_str("*");
        }
        for (at, term) in self.terms.iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            write!(f, "{term}")?;
        }
        Ok(())
    }
}

crate::resource::text_form!(
    Selector,
    "selector",
    "Terms separated by commas (vendor=Dell,model~R7.*); empty or * is every machine."
);

/// What is known of a machine and can be selected by.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// What it said.
    pub facts: &'a Facts,
    /// Name of its record.
    pub host: Option<&'a Name>,
    /// Its group and those above, nearest first.
    pub groups: &'a [Name],
    /// Labels of record and groups.
    pub labels: &'a BTreeMap<String, String>,
    /// Site of this appliance.
    pub site: Option<&'a str>,
    /// It was not asked for its SMBIOS data yet, and can be.
    pub may_tell: bool,
}

/// What a machine said, in the form its key has.
enum Said<'a> {
    Text(Cow<'a, str>),
    Address(Ipv4Addr),
    Mac(MacAddr),
    Guid(MachineGuid),
}

impl Said<'_> {
    fn is_like(&self, regex: &Regex) -> bool {
        match self {
            Said::Text(text) => regex.is_match(text.as_bytes()),
            Said::Address(address) => regex.is_match(address.to_string().as_bytes()),
            Said::Mac(mac) => regex.is_match(mac.to_string().as_bytes()),
            Said::Guid(guid) => {
                regex.is_match(guid.to_string().as_bytes())
                    || regex.is_match(guid.swapped().to_string().as_bytes())
            }
        }
    }
}

impl Value {
    fn is(&self, said: &Said<'_>) -> bool {
        match (self, said) {
            (Value::Text(own), Said::Text(text)) => {
                text.len() >= own.len()
                    && (text.eq_ignore_ascii_case(own) || text.trim().eq_ignore_ascii_case(own))
            }
            (Value::Network(network), Said::Address(address)) => network.contains(address),
            (Value::Range(first, last), Said::Address(address)) => (first..=last).contains(&address),
            (Value::Mac(octets), Said::Mac(mac)) => mac.0.starts_with(octets),
            (Value::Guid(own), Said::Guid(guid)) => own == guid || own.swapped() == *guid,
            _ => false,
        }
    }
}

impl Subject<'_> {
    /// Whether `test` holds for one of the values the machine has for the key; `None` when it has none.
    fn any(&self, key: &Key, test: impl Fn(&Said<'_>) -> bool) -> Option<bool> {
        let facts = self.facts;
        let text = |text: Option<&str>| text.map(|text| test(&Said::Text(text.into())));
        let shown = |shown: Option<String>| shown.map(|shown| test(&Said::Text(shown.into())));
        match key {
            Key::Vendor => {
                let raw = facts.vendor.as_deref()?;
                Some(test(&Said::Text(raw.into())) || test(&Said::Text(vendor::short(raw))))
            }
            Key::Model => text(facts.model.as_deref()),
            Key::Serial => text(facts.serial.as_deref()),
            Key::Asset => text(facts.asset.as_deref()),
            Key::Oemstring => text(facts.oemstring.as_deref()),
            Key::Hostname => text(facts.hostname.as_deref()),
            Key::Domain => text(facts.hostname.as_deref()?.split_once('.').map(|(_, domain)| domain)),
            Key::Interface => text(facts.interface.as_deref()),
            Key::Subnet => text(facts.subnet.as_deref()),
            Key::Site => text(self.site),
            Key::Host => text(self.host.map(Name::as_str)),
            Key::Circuit => shown(facts.circuit_id.as_deref().map(circuit_text)),
            Key::Mac => facts.mac.map(|mac| test(&Said::Mac(mac))),
            Key::Uuid => facts.own_guid().map(|guid| test(&Said::Guid(guid))),
            Key::Relay => facts.relay.map(|relay| test(&Said::Address(relay))),
            Key::Ipv4 => match facts.address? {
                IpAddr::V4(address) => Some(test(&Said::Address(address))),
                IpAddr::V6(_) => None,
            },
            Key::Arch => {
                let arch = facts.arch?;
                let number = arch.0.to_string();
                let named = arch.firmware().map(|firmware| firmware.to_string());
                let named = named.is_some_and(|name| test(&Said::Text(name.into())));
                Some(named || test(&Said::Text(number.into())))
            }
            Key::Firmware => shown(facts.firmware.map(|firmware| firmware.to_string())),
            Key::Group => {
                let any = self.groups.iter().any(|group| test(&Said::Text(group.as_str().into())));
                (!self.groups.is_empty()).then_some(any)
            }
            Key::Label(name) => text(self.labels.get(&**name).map(String::as_str)),
        }
    }

    /// What the machine has for a key, as `explain` shows it beside a term; `None` when it has nothing.
    pub fn shown(&self, key: &Key) -> Option<String> {
        let facts = self.facts;
        match key {
            Key::Vendor => facts.vendor.as_deref().map(str::to_owned),
            Key::Model => facts.model.as_deref().map(str::to_owned),
            Key::Serial => facts.serial.as_deref().map(str::to_owned),
            Key::Asset => facts.asset.as_deref().map(str::to_owned),
            Key::Oemstring => facts.oemstring.as_deref().map(str::to_owned),
            Key::Hostname => facts.hostname.as_deref().map(str::to_owned),
            Key::Domain => facts.hostname.as_deref()?.split_once('.').map(|(_, domain)| domain.to_owned()),
            Key::Interface => facts.interface.as_deref().map(str::to_owned),
            Key::Subnet => facts.subnet.as_deref().map(str::to_owned),
            Key::Site => self.site.map(str::to_owned),
            Key::Host => self.host.map(ToString::to_string),
            Key::Circuit => facts.circuit_id.as_deref().map(circuit_text),
            Key::Mac => facts.mac.map(|mac| mac.to_string()),
            Key::Uuid => facts.own_guid().map(|guid| guid.to_string()),
            Key::Relay => facts.relay.map(|relay| relay.to_string()),
            Key::Ipv4 => facts.address.map(|address| address.to_string()),
            Key::Arch => facts.arch.map(|arch| arch.to_string()),
            Key::Firmware => facts.firmware.map(|firmware| firmware.to_string()),
            Key::Group => {
                let names: Vec<&str> = self.groups.iter().map(Name::as_str).collect();
                (!names.is_empty()).then(|| names.join(" < "))
            }
            Key::Label(name) => self.labels.get(&**name).cloned(),
        }
    }
}

/// A circuit id as text: most are (`Eth1/0/7`), others are shown in hex.
fn circuit_text(circuit: &[u8]) -> String {
    match std::str::from_utf8(circuit) {
        Ok(text) if !text.is_empty() && !text.chars().any(char::is_control) => text.to_owned(),
        _ => circuit.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

#[cfg(test)]
mod tests;
