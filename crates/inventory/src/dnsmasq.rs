//! dnsmasq: `dhcp-host` lines of a configuration file, or the lines of a `dhcp-hostsfile` (dnsmasq(8)).
//!
//! ```text
//! [<hwaddr>][,id:<client_id>|*][,set:<tag>][,tag:<tag>][,<ipaddr>][,<hostname>][,<lease_time>][,ignore]
//! ```
//! In a hosts file the same stands without `dhcp-host=`. Which of the two a line is, it shows itself: a keyword with `=`
//! is an option. What is no host line is skipped; files that it names are reported and not followed.

use crate::draft::Draft;
use crate::fault::Code;
use crate::found::{Collector, Found, Options};
use crate::limits::VALUE_BYTES_MAX;
use crate::text::{decode, lines, shown};
use std::net::Ipv4Addr;

/// Options that name further files with hosts in them.
const INCLUDES: [&str; 4] = ["conf-file", "conf-dir", "dhcp-hostsfile", "dhcp-hostsdir"];

/// Reads a configuration file or a hosts file. `source` names it in messages.
pub fn read(source: &str, bytes: &[u8], options: &Options) -> Found {
    let mut out = Collector::new(source, options);
    match decode(bytes) {
        Ok(text) => {
            for (number, text) in lines(&text) {
                line(number, text, &mut out);
                if !out.has_room() {
                    break;
                }
            }
        }
        Err(error) => out.no_text(error),
    }
    out.finish()
}

fn line(number: u32, text: &str, out: &mut Collector) {
    let text = without_comment(text).trim();
    if text.is_empty() {
        return;
    }
    if text.len() > VALUE_BYTES_MAX {
        let message = format!("the line has {} bytes, more than {VALUE_BYTES_MAX}", text.len());
        out.fault(Code::Limit, number, "", message, "give each machine an entry of its own");
        return;
    }
    match option(text) {
        Some(("dhcp-host", value)) => host(number, value, out),
        Some((keyword, value)) if INCLUDES.contains(&keyword) => {
            let message = format!("`{}` is named there by {keyword} and not read", shown(value));
            out.fault(Code::Include, number, "", message, "import that file, too");
        }
        Some(_) => {}
        None if text == "read-ethers" => {
            let message = "/etc/ethers is named there and not read".to_owned();
            out.fault(
                Code::Include,
                number,
                "",
                message,
                "write its lines as a CSV list with the columns mac,name",
            );
        }
        // A keyword without value, such as `expand-hosts`.
        None if !text.contains([',', ':']) => {}
        None => host(number, text, out),
    }
}

/// A comment begins at the line's start or behind a blank.
fn without_comment(line: &str) -> &str {
    let begins = line.match_indices('#').find(|(at, _)| {
        line.get(..*at).is_some_and(|before| before.is_empty() || before.ends_with(char::is_whitespace))
    });
    begins.and_then(|(at, _)| line.get(..at)).unwrap_or(line)
}

/// `keyword=value`, as in a file or, with two hyphens in front, on a command line.
fn option(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix("--").unwrap_or(text);
    let (keyword, value) = text.split_once('=')?;
    let keyword = keyword.trim();
    let plain =
        keyword.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    (plain && keyword.starts_with(|c: char| c.is_ascii_lowercase())).then_some((keyword, value.trim()))
}

fn host(number: u32, value: &str, out: &mut Collector) {
    let unquoted = value.replace('"', "");
    let parts: Vec<&str> = unquoted.split(',').map(str::trim).collect();
    let named = parts.iter().copied().find(|part| *part != "ignore" && matches!(kind(part), Kind::Hostname));
    let mut draft = Draft::new(number, named.or(parts.first().copied()).unwrap_or_default());
    if parts.contains(&"ignore") {
        let message = "dnsmasq is told to ignore this machine".to_owned();
        draft.fault(out, Code::Ignored, message, "deny the machine here if it shall not boot here either");
        return;
    }
    for part in parts {
        match kind(part) {
            Kind::Empty => {}
            Kind::Mac(text) => draft.mac(out, text),
            Kind::ClientId => {
                let message = "client identifiers are not used to recognise a machine";
                draft.common(
                    out,
                    Code::NotCarried,
                    message,
                    "hosts are recognised by MAC address, uuid or serial",
                );
            }
            // Tells dnsmasq to look at the MAC address only, as is always done here.
            Kind::AnyClientId => {}
            Kind::Tag(tag) => draft.tag(tag),
            Kind::Condition => {
                let message = "the entry counts only for machines with a tag; here it counts always";
                draft.common(
                    out,
                    Code::NotCarried,
                    message,
                    "look whether two entries are meant for one machine",
                );
            }
            Kind::Hardware(number) => {
                let message = format!("hardware of the type {} cannot be recognised", shown(number));
                draft.fault(out, Code::NotCarried, message, "add the address of an Ethernet port");
            }
            Kind::Address(text) => draft.address(out, text),
            Kind::Ipv6 => draft.common(out, Code::NotCarried, "IPv6 addresses are not reserved", ""),
            Kind::LeaseTime => {
                let message = "lease times of single hosts are not carried";
                draft.common(out, Code::NotCarried, message, "set the lease time of the subnet");
            }
            Kind::Hostname => {
                draft.name = Some(part.to_owned());
                draft.hostname(out, part);
            }
        }
    }
    draft.group_of_tags(out);
    draft.finish(out);
}

/// What a part between two commas is.
enum Kind<'a> {
    Empty,
    Mac(&'a str),
    ClientId,
    AnyClientId,
    Tag(&'a str),
    Condition,
    Hardware(&'a str),
    Address(&'a str),
    Ipv6,
    LeaseTime,
    Hostname,
}

fn kind(part: &str) -> Kind<'_> {
    if part.is_empty() {
        return Kind::Empty;
    }
    if part.starts_with('[') {
        return Kind::Ipv6;
    }
    if let Some((prefix, rest)) = part.split_once(':') {
        return match prefix {
            "id" if rest == "*" => Kind::AnyClientId,
            "id" => Kind::ClientId,
            "set" | "net" => Kind::Tag(rest),
            "tag" => Kind::Condition,
            _ => hardware(part),
        };
    }
    if part.parse::<Ipv4Addr>().is_ok() {
        Kind::Address(part)
    } else if is_lease_time(part) {
        Kind::LeaseTime
    } else if part.split('-').count() >= 6 && crate::parts::mac(part).is_ok() {
        Kind::Mac(part)
    } else {
        Kind::Hostname
    }
}

/// A MAC address, perhaps with its hardware type in front: `06-00:20:e0:3b:13:af`. 1 is Ethernet, 6 is what Wi-Fi says.
fn hardware(part: &str) -> Kind<'_> {
    let typed = part.split_once('-').filter(|(number, rest)| {
        (1..=2).contains(&number.len())
            && number.bytes().all(|byte| byte.is_ascii_hexdigit())
            && rest.contains(':')
    });
    match typed {
        Some(("1" | "01" | "6" | "06", rest)) => Kind::Mac(rest),
        Some((number, _)) => Kind::Hardware(number),
        None => Kind::Mac(part),
    }
}

/// Digits with or without a unit, or `infinite`, as dnsmasq tells it from a name.
fn is_lease_time(part: &str) -> bool {
    let digits = part.strip_suffix(['s', 'm', 'h', 'd', 'w', 'S', 'M', 'H', 'D', 'W']).unwrap_or(part);
    part == "infinite" || (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests;
