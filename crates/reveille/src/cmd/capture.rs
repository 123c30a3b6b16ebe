//! `reveille explain --pcap`: a machine that was captured while it asked. The capture is read here; the appliance is asked what
//! that machine boots, and what it would answer these very bytes.

use super::api::{Api, print_json};
use super::table::{harmless, render};
use super::{explain, simulate};
use crate::cli::{Global, Output};
use crate::failure::{Exit, Failure};
use crate::out::put;
use crate::pcap::{self, Datagram, FILE_BYTES_MAX, Unread};
use dhcp_proto::classify::classify;
use dhcp_proto::wire::{Message, Op};
use serde_json::{Value, json};
use std::fs::File;
use std::io::Read as _;
use std::net::Ipv4Addr;
use std::path::Path;
use types::{Arrival, Facts, Stage, UnixTime};

/// Requests that are listed.
const LISTED_MAX: usize = 1_000;
/// Longest name a TFTP request may have, as the boot tree takes it.
const NAME_BYTES_MAX: usize = 512;
/// RRQ (RFC 1350 §5).
const TFTP_READ: [u8; 2] = [0, 1];

/// A request for one of our doors.
struct Asked<'a> {
    number: usize,
    at_ns: Option<u64>,
    datagram: Datagram<'a>,
    what: What,
}

enum What {
    /// A DHCP request and what it says of its machine.
    Dhcp(Box<Message>, Box<Facts>),
    /// A TFTP read.
    Tftp(String),
    /// Bytes to one of our ports that are neither.
    Refused(String),
}

pub(crate) async fn command(global: &Global, file: &Path, packet: Option<usize>) -> Result<(), Failure> {
    let bytes = read(file)?;
    let capture = pcap::read(&bytes).map_err(|fault| {
        Failure::new("R-PCP-02", format!("cannot read {} as a capture", file.display()))
            .cause(fault)
            .fix("write one with: tcpdump -w FILE 'udp port 67 or 68 or 4011 or 69'")
            .exit(Exit::Usage)
    })?;
    let mut asked = Vec::new();
    let mut unread = Unreadable::default();
    for packet in &capture.packets {
        match pcap::datagram(packet) {
            Ok(datagram) => asked.extend(request(packet.number, packet.at_ns, datagram)),
            Err(why) => unread.count(why),
        }
    }
    if let Some(fault) = capture.ends_early {
        eprintln!("warning: {} is read up to packet {} only: {fault}", file.display(), capture.packets.len());
    }
    let chosen = match packet {
        Some(number) => {
            let found = asked.iter().find(|asked| asked.number == number);
            Some(found.ok_or_else(|| {
                Failure::new(
                    "R-PCP-04",
                    format!("packet {number} of {} is no request for us", file.display()),
                )
                .cause(format!("it has {} packets, {} of them requests", capture.packets.len(), asked.len()))
                .fix("leave --packet out to see which are")
                .exit(Exit::NotFound)
            })?)
        }
        None if asked.len() == 1 => asked.first(),
        None => None,
    };
    match chosen {
        Some(chosen) => one(global, chosen).await,
        None if asked.is_empty() => Err(Failure::new(
            "R-PCP-03",
            format!("there is no DHCP or TFTP request in {}", file.display()),
        )
        .cause(format!("{} packets{}", capture.packets.len(), unread.told()))
        .fix("capture at the machine's side of the switch, or at this appliance, from before it is switched on")
        .exit(Exit::NotFound)),
        None => {
            list(global, &asked);
            Ok(())
        }
    }
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new("R-PCP-01", format!("cannot read {}", file.display())).cause(error).exit(Exit::Usage)
    };
    let limit = u64::try_from(FILE_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    File::open(file).map_err(failed)?.take(limit).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// Packets that could not be looked at, by why.
#[derive(Default)]
struct Unreadable {
    cut: usize,
    fragments: usize,
    link: Option<u16>,
    links: usize,
}

impl Unreadable {
    fn count(&mut self, why: Unread) {
        match why {
            Unread::Other => {}
            Unread::Cut => self.cut += 1,
            Unread::Fragment => self.fragments += 1,
            Unread::Link(link) => (self.link, self.links) = (Some(link), self.links + 1),
        }
    }

    fn told(&self) -> String {
        let mut told = String::new();
        if let Some(link) = self.link {
            told.push_str(&format!(", {} of a link that is not known (type {link})", self.links));
        }
        if self.cut > 0 {
            told.push_str(&format!(", {} cut when they were captured (tcpdump -s 0 does not)", self.cut));
        }
        if self.fragments > 0 {
            told.push_str(&format!(", {} fragments", self.fragments));
        }
        told
    }
}

/// What a datagram asks of us; `None` when it does not.
fn request(number: usize, at_ns: Option<u64>, datagram: Datagram<'_>) -> Option<Asked<'_>> {
    let what = match datagram.to.port() {
        67 | 4011 => dhcp(&datagram)?,
        69 => tftp(datagram.payload),
        _ => return None,
    };
    Some(Asked { number, at_ns, datagram, what })
}

fn dhcp(datagram: &Datagram<'_>) -> Option<What> {
    let message = match Message::decode(datagram.payload) {
        Ok(message) => message,
        Err(error) => return Some(What::Refused(format!("no DHCP: {error}"))),
    };
    // Servers answer relays on port 67.
    if message.op == Op::BootReply {
        return None;
    }
    let arrival = Arrival {
        interface_index: 0,
        interface: "capture".into(),
        local: Ipv4Addr::UNSPECIFIED,
        sent_to: datagram.to,
        remote: datagram.from,
    };
    let facts = Facts { interface: None, ..classify(&message, &arrival) };
    Some(What::Dhcp(Box::new(message), Box::new(facts)))
}

/// Name and mode, each ended by NUL (RFC 1350 §5).
fn tftp(payload: &[u8]) -> What {
    let Some(rest) = payload.strip_prefix(&TFTP_READ) else {
        return What::Refused("no TFTP read".to_owned());
    };
    let mut parts = rest.split(|byte| *byte == 0);
    match (parts.next().map(|name| String::from_utf8(name.to_vec())), parts.next(), parts.next()) {
        (Some(Ok(name)), Some(mode), Some(_))
            if !name.is_empty() && name.len() <= NAME_BYTES_MAX && !mode.is_empty() =>
        {
            What::Tftp(name)
        }
        _ => What::Refused("a TFTP request whose name cannot be read".to_owned()),
    }
}

impl Asked<'_> {
    fn words(&self) -> String {
        match &self.what {
            What::Dhcp(message, _) => {
                message.message_type().map_or("BOOTP".to_owned(), |kind| kind.as_str().to_uppercase())
            }
            What::Tftp(name) => format!("TFTP {name}"),
            What::Refused(why) => why.clone(),
        }
    }

    fn facts(&self) -> Option<&Facts> {
        match &self.what {
            What::Dhcp(_, facts) => Some(facts),
            What::Tftp(_) | What::Refused(_) => None,
        }
    }

    fn time(&self) -> String {
        let Some(at) = self.at_ns else { return "-".to_owned() };
        let seconds = UnixTime(at / 1_000_000_000).to_string();
        format!("{}.{:06}Z", seconds.trim_end_matches('Z'), at % 1_000_000_000 / 1_000)
    }

    fn document(&self) -> Value {
        let facts = self.facts();
        json!({
            "packet": self.number,
            "time": self.at_ns.map(|_| self.time()),
            "from": self.datagram.from.to_string(),
            "to": self.datagram.to.to_string(),
            "what": self.words(),
            "mac": facts.and_then(|facts| facts.mac),
            "uuid": facts.and_then(|facts| facts.guid),
            "stage": facts.map(|facts| facts.stage.as_str()),
            "arch": facts.and_then(|facts| facts.arch).map(|arch| arch.0),
            "firmware": facts.and_then(|facts| facts.firmware).map(|firmware| firmware.as_str()),
            "relay": facts.and_then(|facts| facts.relay),
        })
    }
}

fn list(global: &Global, asked: &[Asked<'_>]) {
    let hidden = asked.len().saturating_sub(LISTED_MAX);
    let shown = asked.iter().take(LISTED_MAX);
    if global.output == Output::Json {
        let items: Vec<Value> = shown.map(Asked::document).collect();
        return print_json(&json!({ "items": items, "more": hidden }));
    }
    let text = |facts: Option<String>| facts.unwrap_or_else(|| "-".to_owned());
    let rows: Vec<Vec<String>> = shown
        .map(|asked| {
            let facts = asked.facts();
            vec![
                asked.number.to_string(),
                asked.time(),
                asked.datagram.from.to_string(),
                asked.datagram.to.to_string(),
                asked.words(),
                text(facts.and_then(|facts| facts.mac).map(|mac| mac.to_string())),
                text(facts.map(|facts| facts.stage.to_string())),
                text(facts.and_then(|facts| facts.arch).map(|arch| arch.to_string())),
            ]
        })
        .collect();
    put!("{}", render(&["PACKET", "TIME", "FROM", "TO", "ASKS", "MAC", "STAGE", "ARCH"], &rows));
    if hidden > 0 {
        eprintln!("… and {hidden} more");
    }
    eprintln!("to explain one of them: --packet N");
}

/// One request: what its machine boots, and what it is answered.
async fn one(global: &Global, asked: &Asked<'_>) -> Result<(), Failure> {
    let api = Api::new(global);
    let request = match &asked.what {
        What::Tftp(name) => json!({ "file": { "name": name, "from": asked.datagram.from.ip().to_string() } }),
        What::Dhcp(..) | What::Refused(_) => json!({ "packet": {
            "payload": asked.datagram.payload.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
            "from": asked.datagram.from.to_string(),
            "to": asked.datagram.to.to_string(),
        } }),
    };
    let simulation = api.post("simulate", &request).await?;
    let explanation = match asked.facts().map(query) {
        Some(query) if !query.is_empty() => {
            let query: Vec<String> =
                query.into_iter().map(|(key, value)| format!("{key}={}", api.escape(&value))).collect();
            Some(api.get(&format!("explain?{}", query.join("&"))).await?.body)
        }
        _ => None,
    };
    if global.output == Output::Json {
        print_json(&json!({ "packet": asked.document(), "explanation": explanation, "answer": simulation }));
        return Ok(());
    }
    let packet = format!(
        "{} {}, {} → {}: {}",
        asked.number,
        asked.time(),
        asked.datagram.from,
        asked.datagram.to,
        asked.words()
    );
    put!("{:<12} {}\n", "PACKET", harmless(&packet));
    if let Some(explanation) = &explanation {
        put!("{}", explain::text(explanation));
    }
    put!("\n{}", simulate::text(&simulation, true));
    Ok(())
}

/// What the packet says, by the names of the API.
fn query(facts: &Facts) -> Vec<(&'static str, String)> {
    let stage = (facts.stage != Stage::Os).then(|| facts.stage.as_str().to_owned());
    let circuit = facts.circuit_id.as_deref().and_then(|id| std::str::from_utf8(id).ok()).map(str::to_owned);
    [
        ("mac", facts.mac.map(|mac| mac.to_string())),
        ("uuid", facts.guid.map(|guid| guid.to_string())),
        ("arch", facts.arch.map(|arch| arch.0.to_string())),
        ("stage", stage),
        ("hostname", facts.hostname.as_deref().map(str::to_owned)),
        ("relay", facts.relay.map(|relay| relay.to_string())),
        ("circuit", circuit),
        ("address", facts.address.map(|address| address.to_string())),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tftp_reads_are_told_from_other_bytes() {
        let name = |bytes: &[u8]| match tftp(bytes) {
            What::Tftp(name) => name,
            What::Refused(why) => format!("! {why}"),
            What::Dhcp(..) => unreachable!("no DHCP"),
        };
        assert_eq!(name(b"\0\x01undionly.kpxe\0octet\0blksize\x001468\0"), "undionly.kpxe");
        assert_eq!(name(b"\0\x01boot\\x64\0octet\0"), "boot\\x64");
        for bytes in
            [&b"\0\x02x\0octet\0"[..], b"\0\x01", b"\0\x01x", b"\0\x01x\0octet", b"\0\x01\xff\0octet\0", b""]
        {
            assert!(name(bytes).starts_with('!'), "{bytes:?}");
        }
    }
}
