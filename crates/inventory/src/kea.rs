//! Kea DHCPv4: host reservations of a configuration file, or of an answer to `config-get`.
//!
//! Reservations stand globally, in `subnet4` and in the subnets of `shared-networks`; `boot-file-name` and `next-server`
//! of what is around them count for them too, as in Kea. A part of a file, a list of reservations alone or the answer of
//! `config-get` with its `arguments`, is read as well.

use crate::draft::Draft;
use crate::fault::Code;
use crate::found::{Collector, Found, Options};
use crate::json::{NoJson, Node, Value, read as read_json};
use crate::limits::VALUE_BYTES_MAX;
use crate::text::{decode, shown};
use ipnet::Ipv4Net;
use std::net::Ipv4Addr;

/// Identifiers of Kea that no machine is recognised by here.
const OTHER_IDENTIFIERS: [&str; 4] = ["duid", "client-id", "circuit-id", "flex-id"];

/// What stands around a reservation.
#[derive(Clone, Copy, Default)]
struct Around<'a> {
    boot_file: Option<&'a str>,
    next_server: Option<&'a str>,
    network: Option<Ipv4Net>,
}

impl<'a> Around<'a> {
    fn inside(self, node: &'a Node) -> Around<'a> {
        let own = |key| node.text(key).filter(|text| !text.is_empty());
        Around {
            boot_file: own("boot-file-name").or(self.boot_file),
            // The default stands in answers of `config-get` and says nothing.
            next_server: own("next-server").filter(|text| *text != "0.0.0.0").or(self.next_server),
            network: own("subnet").and_then(|text| text.parse().ok()).or(self.network),
        }
    }
}

/// Reads the reservations of a Kea configuration. `source` names it in messages.
pub fn read(source: &str, bytes: &[u8], options: &Options) -> Found {
    let mut out = Collector::new(source, options);
    let text = match decode(bytes) {
        Ok(text) => text,
        Err(error) => {
            out.no_text(error);
            return out.finish();
        }
    };
    match read_json(&text) {
        Ok((node, includes)) => {
            for (line, file) in includes {
                let message = format!("`{}` is included there and not read", shown(&file));
                out.fault(Code::Include, line, "", message, "import that file, too");
            }
            document(&node, &mut out);
        }
        Err(NoJson { line, message, limit }) => {
            let code = if limit { Code::Limit } else { Code::Syntax };
            out.fault(code, line, "", message, "check the file with kea-dhcp4 -t");
        }
    }
    out.finish()
}

fn document(node: &Node, out: &mut Collector) {
    // The answer of the control agent is a list of one answer per server.
    if let [first, ..] = node.items()
        && first.get("arguments").is_some()
    {
        for answer in node.items() {
            document(answer, out);
        }
        return;
    }
    let inner = node.get("arguments").unwrap_or(node);
    if inner.get("Dhcp6").is_some() {
        let message = "the reservations of `Dhcp6` are not read".to_owned();
        out.fault(Code::NotCarried, inner.line, "", message, "");
    }
    match inner.get("Dhcp4") {
        Some(dhcp4) => server(dhcp4, out),
        None if !inner.items().is_empty() => reservations(inner.items(), Around::default(), out),
        None if ["reservations", "subnet4", "shared-networks", "hosts"]
            .iter()
            .any(|key| inner.get(key).is_some()) =>
        {
            server(inner, out);
        }
        None if inner.get("Dhcp6").is_some() => {}
        None => {
            let message = "there is no `Dhcp4`, no `subnet4` and no `reservations`".to_owned();
            out.fault(Code::Syntax, inner.line, "", message, "import the configuration file of kea-dhcp4");
        }
    }
}

fn server(dhcp4: &Node, out: &mut Collector) {
    if !dhcp4.list("hosts-databases").is_empty() || dhcp4.get("hosts-database").is_some() {
        let message = "reservations also stand in a database, which is not read".to_owned();
        let fix = "export them with the host commands hook (reservation-get-all) and import the answer";
        out.fault(Code::Include, dhcp4.line, "", message, fix);
    }
    let around = Around::default().inside(dhcp4);
    reservations(dhcp4.list("reservations"), around, out);
    // What `reservation-get-all` answers.
    reservations(dhcp4.list("hosts"), around, out);
    subnets(dhcp4.list("subnet4"), around, out);
    for network in dhcp4.list("shared-networks") {
        subnets(network.list("subnet4"), around.inside(network), out);
    }
}

fn subnets(subnets: &[Node], around: Around<'_>, out: &mut Collector) {
    for subnet in subnets {
        reservations(subnet.list("reservations"), around.inside(subnet), out);
    }
}

fn reservations(list: &[Node], around: Around<'_>, out: &mut Collector) {
    for node in list {
        if !out.has_room() {
            return;
        }
        if matches!(node.value, Value::Map(_)) {
            reservation(node, around.inside(node), out);
        } else if node.value != Value::Null {
            let message = "a reservation should stand here".to_owned();
            out.fault(Code::Syntax, node.line, "", message, "check the file with kea-dhcp4 -t");
        }
    }
}

fn reservation(node: &Node, around: Around<'_>, out: &mut Collector) {
    let name = ["hostname", "hw-address", "ip-address"].into_iter().find_map(|key| node.text(key));
    let mut draft = Draft::new(node.line, name.unwrap_or_default());
    if let Some(hostname) = node.text("hostname").filter(|text| !text.is_empty()) {
        draft.name = Some(hostname.to_owned());
        draft.hostname(out, hostname);
    }
    if let Some(mac) = node.text("hw-address") {
        draft.mac(out, mac);
    }
    for identifier in OTHER_IDENTIFIERS.iter().filter(|key| node.get(key).is_some()) {
        let message = format!("{identifier} is not used to recognise a machine");
        draft.common(out, Code::NotCarried, &message, "hosts are recognised by MAC address, uuid or serial");
    }
    if let Some(address) = node.text("ip-address").filter(|text| !text.is_empty()) {
        let outside = around.network.zip(address.parse::<Ipv4Addr>().ok());
        if let Some((network, address)) = outside.filter(|(network, address)| !network.contains(address)) {
            let message = format!("{address} lies outside its subnet {network}");
            draft.fault(out, Code::Address, message, "correct the address or the subnet it stands in");
        } else {
            draft.address(out, address);
        }
    }
    if !node.list("ip-addresses").is_empty() || !node.list("prefixes").is_empty() {
        draft.common(out, Code::NotCarried, "IPv6 addresses are not reserved", "");
    }
    if !node.list("option-data").is_empty() {
        let message = "options of single hosts are not carried";
        draft.common(out, Code::NotCarried, message, "set them for the subnet, or as params of the host");
    }
    for class in node.list("client-classes") {
        if let Value::Text(class) = &class.value {
            draft.tag(class);
        }
    }
    let kept = |text: Option<&str>| text.filter(|text| text.len() <= VALUE_BYTES_MAX).map(str::to_owned);
    draft.served.boot_file = kept(around.boot_file);
    draft.served.next_server = kept(around.next_server);
    draft.group_of_tags(out);
    draft.finish(out);
}

#[cfg(test)]
mod tests;
