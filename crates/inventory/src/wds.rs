//! Computers prestaged for Windows Deployment Services: directory entries to proposals.
//!
//! What an entry says (MS-WDSOSD §3.1.1.2 and the schema of Active Directory, attributes 1.2.840.113556.1.4.358, .359,
//! .361 and .1241):
//!
//! | attribute | read as |
//! |---|---|
//! | `netbootGUID` | which machine it is: 16 bytes, see below |
//! | `cn`, `sAMAccountName`, `dNSHostName` | its name; the `$` of account names and the domain are cut |
//! | `netbootMachineFilePath` | the server and boot program it was given |
//! | `netbootInitialization` | the boot program, where the other names none |
//! | `netbootMirrorDataFile` | deployment settings of Windows; told and left out |
//! | `distinguishedName` | its organizational units, nearest first, as tags |
//!
//! # The two forms of `netbootGUID`, and the two byte orders
//!
//! A machine prestaged by MAC address has ten zero bytes and the six of the address: `00000000000000000000` and twelve
//! digits. All else is an SMBIOS GUID. WDS compares with the 16 bytes of option 97 as they came, so the bytes in the
//! directory are those on the wire, the first three fields little-endian; that is [`GuidOrder::Wire`]. Administration
//! tools show the same bytes as `{67452301-AB89-EFCD-…}` for the octets `0123456789ABCDEF…`. A script that wrote the
//! digits of such a text in their order has stored the other order, [`GuidOrder::Text`], which WDS would never find but
//! which imports of other tools do hold. A GUID whose version digit (RFC 9562 §4.2) stands where only the other
//! order has it is reported; machines are recognised by either order, so it decides what is shown and not what boots.

use crate::draft::Draft;
use crate::fault::Code;
use crate::found::{Collector, Found, GuidOrder, Options};
use crate::limits::VALUE_BYTES_MAX;
use types::{MacAddr, MachineGuid};

/// Attributes that are read of an entry: what a query should ask for.
pub const ATTRIBUTES: [&str; 9] = [
    "cn",
    "sAMAccountName",
    "dNSHostName",
    "distinguishedName",
    "netbootGUID",
    "netbootMachineFilePath",
    "netbootInitialization",
    "netbootMirrorDataFile",
    "userAccountControl",
];

/// `ADS_UF_ACCOUNTDISABLE` of `userAccountControl` (MS-ADTS §2.2.16).
const ACCOUNT_DISABLED: u32 = 2;

/// One entry of a directory.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Entry {
    /// Line in an export, from 1; 0 for an entry that came from a directory.
    pub line: u32,
    /// Its distinguished name.
    pub dn: String,
    /// Attributes and values, one pair for each value. Names are compared without case; options behind `;` are cut.
    pub attributes: Vec<(String, Vec<u8>)>,
}

impl Entry {
    /// Every value of an attribute.
    fn values<'a>(&'a self, attribute: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let wanted =
            move |name: &str| name.split(';').next().unwrap_or_default().eq_ignore_ascii_case(attribute);
        self.attributes.iter().filter(move |(name, _)| wanted(name)).map(|(_, value)| value.as_slice())
    }

    /// The first value that is text and not empty.
    fn text<'a>(&'a self, attribute: &'a str) -> Option<&'a str> {
        let text = |value| std::str::from_utf8(value).ok().map(str::trim);
        self.values(attribute).filter_map(text).find(|text| !text.is_empty())
    }
}

/// Proposes the machines of a directory. `source` names it in messages: the URL it was read from.
pub fn propose(source: &str, entries: &[Entry], options: &Options) -> Found {
    let mut out = Collector::new(source, options);
    for entry in entries {
        if !out.has_room() {
            break;
        }
        propose_one(entry, &mut out);
    }
    out.finish()
}

pub(crate) fn propose_one(entry: &Entry, out: &mut Collector) {
    let mut draft = Draft::new(entry.line, &entry.dn);
    if entry.values("netbootGUID").next().is_none() {
        let message = "an entry without netbootGUID cannot be recognised and is left out";
        draft.common(out, Code::Ignored, message, "");
        return;
    }
    for value in entry.values("netbootGUID") {
        match read_guid(value, out.options.guid_order) {
            Ok(Stored::Mac(mac)) if mac.is_unicast() => draft.mac_read(out, mac),
            Ok(Stored::Mac(mac)) => draft.mac(out, &mac.to_string()),
            Ok(Stored::Guid(guid)) => {
                if looks_swapped(guid) {
                    let message = "the GUID looks as if its bytes were stored in the other order";
                    let fix = "compare it with what the machine shows; if many do, import with the other GUID order";
                    draft.common(out, Code::ByteOrder, message, fix);
                }
                draft.uuid(out, guid);
            }
            Err(bytes) => {
                let message = format!("netbootGUID has {bytes} bytes; 16 are a GUID or a MAC address");
                draft.fault(out, Code::Uuid, message, "prestage the machine again");
            }
        }
    }
    let units = units(&entry.dn);
    let rdn = units.iter().find(|(kind, _)| kind.eq_ignore_ascii_case("cn")).map(|(_, value)| value.as_str());
    let name = ["cn", "sAMAccountName", "dNSHostName"].iter().find_map(|attribute| entry.text(attribute));
    draft.name = name.or(rdn).map(str::to_owned);
    for (_, unit) in units.iter().filter(|(kind, _)| kind.eq_ignore_ascii_case("ou")) {
        draft.tag(unit);
    }
    let (server, file) = entry.text("netbootMachineFilePath").map(machine_file_path).unwrap_or_default();
    draft.served.next_server = server;
    draft.served.boot_file = file.or_else(|| {
        let text = entry.text("netbootInitialization")?;
        Some(text.to_owned()).filter(|text| text.len() <= VALUE_BYTES_MAX)
    });
    if entry.text("netbootMirrorDataFile").is_some() {
        let message = "deployment settings of WDS (netbootMirrorDataFile) are not carried";
        draft.common(out, Code::NotCarried, message, "set image and answer file of the host here");
    }
    let control = entry.text("userAccountControl").and_then(|text| text.parse::<u32>().ok());
    if control.is_some_and(|control| control & ACCOUNT_DISABLED != 0) {
        let message = "the computer account is switched off; the machine is proposed all the same";
        draft.common(out, Code::Switched, message, "leave it out if the machine is gone");
    }
    draft.group_of_tags(out);
    draft.finish(out);
}

enum Stored {
    Mac(MacAddr),
    Guid(MachineGuid),
}

/// Sixteen bytes as they are stored, or one of the texts that exports write in their place: a GUID with hyphens or
/// braces reads as Microsoft and SMBIOS do, 32 bare digits as the octets in their order.
fn read_guid(value: &[u8], order: GuidOrder) -> Result<Stored, usize> {
    let stored = |bytes: [u8; 16]| match bytes {
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d, e, f] if [a, b, c, d, e, f] != [0; 6] => {
            Stored::Mac(MacAddr([a, b, c, d, e, f]))
        }
        bytes => Stored::Guid(match order {
            GuidOrder::Wire => MachineGuid(bytes),
            GuidOrder::Text => MachineGuid(bytes).swapped(),
        }),
    };
    if let Ok(bytes) = <[u8; 16]>::try_from(value) {
        return Ok(stored(bytes));
    }
    let text = std::str::from_utf8(value).unwrap_or_default().trim();
    let read = match text.contains('-') {
        // The zeros of a MAC address have no order.
        true => text.parse::<MachineGuid>().map(|guid| match stored(guid.0) {
            Stored::Guid(_) => Stored::Guid(guid),
            mac @ Stored::Mac(_) => mac,
        }),
        false => MachineGuid::parse_wire_text(text).map(|guid| stored(guid.0)),
    };
    read.map_err(|_| value.len())
}

/// True when the bytes make more sense in the other order: the version digit is none where it belongs and is one where
/// the other order has it (RFC 9562 §4.1: the variant bits tell that there is one), or a Dell's text begins as its bytes do.
fn looks_swapped(guid: MachineGuid) -> bool {
    let [a, b, c, d, _, _, other, high, variant, ..] = guid.0;
    let versioned =
        variant & 0xc0 == 0x80 && !(1..=8).contains(&(high >> 4)) && (1..=5).contains(&(other >> 4));
    // On the wire it says `DELL`.
    versioned || [a, b, c, d] == *b"LLED"
}

/// `SERVER\path`, a server alone, or a path alone. Returns server and path.
fn machine_file_path(text: &str) -> (Option<String>, Option<String>) {
    let kept = |text: &str| Some(text.to_owned()).filter(|text| (1..=VALUE_BYTES_MAX).contains(&text.len()));
    let slash = |c| matches!(c, '\\' | '/');
    match text.split_once(slash) {
        None if text.contains('.') && text.rsplit('.').next().is_some_and(is_program) => (None, kept(text)),
        None => (kept(text), None),
        Some((head, _)) if head.is_empty() || head.eq_ignore_ascii_case("boot") => {
            (None, kept(text.trim_start_matches(slash)))
        }
        Some((server, path)) => (kept(server), kept(path)),
    }
}

/// Endings of boot programs, so that one without a folder is not taken for a server.
fn is_program(ending: &str) -> bool {
    ["n12", "efi", "0", "exe"].iter().any(|known| ending.eq_ignore_ascii_case(known))
}

/// Kinds and values of a distinguished name (RFC 4514 §3), the entry's own first. What cannot be read ends it.
fn units(dn: &str) -> Vec<(String, String)> {
    let mut units = Vec::new();
    let mut rest = dn;
    while let Some((kind, value)) = rest.split_once('=') {
        let (value, behind) = unit_value(value);
        units.push((kind.trim().to_owned(), value));
        rest = behind;
        if units.len() >= crate::limits::TAGS_MAX {
            break;
        }
    }
    units
}

/// A value up to its comma, without its escapes, and what follows.
fn unit_value(text: &str) -> (String, &str) {
    let mut value: Vec<u8> = Vec::new();
    let mut chars = text.char_indices();
    let mut quoted = false;
    let mut end = text.len();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {
                let pair =
                    text.get(at + 1..at + 3).filter(|pair| pair.bytes().all(|b| b.is_ascii_hexdigit()));
                match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
                    Some(byte) => {
                        value.push(byte);
                        chars.next();
                        chars.next();
                    }
                    None => {
                        let next = chars.next().map(|(_, c)| c.to_string()).unwrap_or_default();
                        value.extend_from_slice(next.as_bytes());
                    }
                }
            }
            '"' => quoted = !quoted,
            ',' | ';' if !quoted => {
                end = at;
                break;
            }
            c => value.extend_from_slice(c.to_string().as_bytes()),
        }
    }
    let behind = text.get(end + 1..).unwrap_or_default();
    (String::from_utf8_lossy(&value).trim().to_owned(), behind)
}

#[cfg(test)]
mod tests;
