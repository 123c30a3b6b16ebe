//! What a machine is given, worked out naively from the documents: the order of decision in `crates/plan/src/lib.rs`, the
//! selectors in `crates/types/src/selector.rs`, who a machine is in `docs/identity.md`, inheritance in
//! `crates/types/src/resource/group.rs`. Shares records with the real code and nothing that decides.

use crate::draw::{Machine, RuleData, World};
use std::collections::BTreeMap;
use types::Firmware;
use types::resource::{Group, Host, HostMatch, LoaderKind};

/// What a term is about; the keys of the selectors drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Key {
    Vendor,
    Model,
    Serial,
    Mac,
    Relay,
    Firmware,
    Group,
    Subnet,
    Label(&'static str),
}

/// What is searched for in a text.
#[derive(Clone, Debug)]
pub(crate) enum Like {
    /// `text`
    Has(&'static str),
    /// `^text`
    Starts(&'static str),
    /// `one.*other`
    Then(&'static str, &'static str),
}

#[derive(Clone, Debug)]
pub(crate) enum Test {
    AnyOf(Vec<String>),
    Like(Like),
}

#[derive(Clone, Debug)]
pub(crate) struct Term {
    pub(crate) key: Key,
    pub(crate) negated: bool,
    pub(crate) test: Test,
}

impl Term {
    /// As an operator writes it.
    pub(crate) fn text(&self) -> String {
        let key = match self.key {
            Key::Vendor => "vendor".to_owned(),
            Key::Model => "model".to_owned(),
            Key::Serial => "serial".to_owned(),
            Key::Mac => "mac".to_owned(),
            Key::Relay => "relay".to_owned(),
            Key::Firmware => "firmware".to_owned(),
            Key::Group => "group".to_owned(),
            Key::Subnet => "subnet".to_owned(),
            Key::Label(name) => format!("label.{name}"),
        };
        let no = if self.negated { "!" } else { "" };
        let quoted = |value: &String| match value.contains([',', '|', ' ']) {
            true => format!("\"{value}\""),
            false => value.clone(),
        };
        match &self.test {
            Test::AnyOf(values) => {
                let values: Vec<String> = values.iter().map(quoted).collect();
                format!("{key}{no}={}", values.join("|"))
            }
            Test::Like(Like::Has(text)) => format!("{key}{no}~{text}"),
            Test::Like(Like::Starts(text)) => format!("{key}{no}~^{text}"),
            Test::Like(Like::Then(one, other)) => format!("{key}{no}~{one}.*{other}"),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Answer {
    Yes,
    No,
    NotYet,
}

/// A machine as one door knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard<'a> {
    pub(crate) machine: &'a Machine,
    /// It said what its SMBIOS has.
    pub(crate) smbios: bool,
    /// It can still be asked for that.
    pub(crate) can_be_asked: bool,
}

/// Where a boot ends.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum End {
    /// No boot data, and why.
    Left(&'static str),
    /// iPXE is to ask it first.
    Ask,
    Disk,
    Menu,
    Image(String),
}

/// All that is expected of every door.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    /// Its record.
    pub(crate) host: Option<String>,
    /// The name what is made for it carries: that of the record, or of its stand-in when rules give it anything.
    pub(crate) shown: Option<String>,
    pub(crate) end: End,
    pub(crate) loader: Option<LoaderKind>,
    /// Key, value, origin; in order of the keys, then kernel arguments in theirs.
    pub(crate) values: Vec<(String, String, String)>,
    pub(crate) groups: Vec<String>,
    /// Words of the kernel command line, root first.
    pub(crate) words: Vec<String>,
}

/// Works it out.
pub(crate) fn expect(world: &World, heard: Heard<'_>) -> Expected {
    let machine = heard.machine;
    let owners: Vec<&Host> = world.hosts.iter().filter(|host| is_named(host, heard)).collect();
    // Every term is looked up alone: two records are a conflict, one is the host.
    let host = match owners.as_slice() {
        [] => None,
        // Something of a record, and more that is another's.
        [one] => Some(*one).filter(|one| {
            let (agrees, differs) = weighed(one, heard);
            differs <= 2 * agrees
        }),
        _ => return nobody(End::Left("its mac, uuid or serial belong to different hosts")),
    };
    let named = host.and_then(|host| host.group.as_ref()).map(ToString::to_string);
    let mut chain: Vec<&Group> = named.as_deref().map(|group| world.chain(group)).unwrap_or_default();
    let mut given: BTreeMap<String, &RuleData> = BTreeMap::new();
    let (mut group_waits, mut image_waits) = (false, false);
    let mut in_order: Vec<&RuleData> = world.rules.iter().collect();
    in_order.sort_by_key(|data| (data.rule.order, data.rule.name.to_string()));
    for data in in_order {
        let rule = &data.rule;
        let labels = labels_of(host, &chain);
        let names: Vec<&str> = chain.iter().map(|group| group.name.as_str()).collect();
        match all(&data.terms, heard, &names, &labels) {
            Answer::Yes => {}
            Answer::No => continue,
            Answer::NotYet => {
                group_waits |= rule.group.is_some() && named.is_none() && !given.contains_key("group");
                image_waits |= rule.image.is_some() && !given.contains_key("image");
                continue;
            }
        }
        for item in items(rule) {
            let taken = given.contains_key(&item) || (item == "group" && named.is_some());
            if taken {
                continue;
            }
            if item == "group" {
                chain = rule.group.as_ref().map(|name| world.chain(name.as_str())).unwrap_or_default();
            }
            given.insert(item, data);
        }
    }
    let from_rule = given.get("group").and_then(|data| data.rule.group.as_ref()).map(ToString::to_string);
    let group = named.clone().or(from_rule);

    // Values: record, groups from the nearest, rules.
    let mut values: BTreeMap<String, (String, String)> = BTreeMap::new();
    let mut put = |key: String, value: Option<String>, origin: String| {
        if let Some(value) = value {
            values.entry(key).or_insert((value, origin));
        }
    };
    if let Some(host) = host {
        let origin = || format!("host {}", host.name);
        put("image".into(), host.image.as_ref().map(ToString::to_string), origin());
        put("loader".into(), host.loader.map(|kind| kind.as_str().into()), origin());
        put("template".into(), host.template.as_ref().map(ToString::to_string), origin());
        put("location".into(), host.location.clone(), origin());
        put("group".into(), host.group.as_ref().map(ToString::to_string), origin());
        host.params
            .iter()
            .for_each(|(key, value)| put(format!("params.{key}"), Some(value.clone()), origin()));
        host.labels
            .iter()
            .for_each(|(key, value)| put(format!("label.{key}"), Some(value.clone()), origin()));
    }
    for group in &chain {
        let origin = || format!("group {}", group.name);
        put("image".into(), group.image.as_ref().map(ToString::to_string), origin());
        put("loader".into(), group.loader.map(|kind| kind.as_str().into()), origin());
        put("template".into(), group.template.as_ref().map(ToString::to_string), origin());
        put("location".into(), group.location.clone(), origin());
        group
            .params
            .iter()
            .for_each(|(key, value)| put(format!("params.{key}"), Some(value.clone()), origin()));
        group
            .labels
            .iter()
            .for_each(|(key, value)| put(format!("label.{key}"), Some(value.clone()), origin()));
    }
    for (item, data) in &given {
        let rule = &data.rule;
        let value = match item.as_str() {
            "image" => rule.image.as_ref().map(ToString::to_string),
            "loader" => rule.loader.map(|kind| kind.as_str().to_owned()),
            "template" => rule.template.as_ref().map(ToString::to_string),
            "location" => rule.location.clone(),
            "group" => rule.group.as_ref().map(ToString::to_string),
            "kernel_args" => None,
            param => rule.params.get(param.trim_start_matches("params.")).cloned(),
        };
        put(item.clone(), value, format!("rule {}", rule.name));
    }
    let loader = match values.get("loader").map(|(value, _)| value.as_str()) {
        Some("pxelinux") => Some(LoaderKind::Pxelinux),
        Some(_) => Some(LoaderKind::Ipxe),
        None => None,
    };

    let mut listed: Vec<(String, String, String)> =
        values.into_iter().map(|(key, (value, origin))| (key, value, origin)).collect();
    let mut words = Vec::new();
    let mut append = |args: &[String], origin: String| {
        if !args.is_empty() {
            listed.push(("kernel_args".to_owned(), args.join(" "), origin));
            words.extend(args.iter().cloned());
        }
    };
    if let Some(data) = given.get("kernel_args") {
        append(&data.rule.kernel_args_append, format!("rule {}", data.rule.name));
    }
    for group in chain.iter().rev() {
        append(&group.kernel_args_append, format!("group {}", group.name));
    }
    if let Some(host) = host {
        append(&host.kernel_args_append, format!("host {}", host.name));
    }

    let gives_more = given.keys().any(|item| item != "image");
    let mac: String = machine.mac.iter().map(|byte| format!("{byte:02x}")).collect();
    let shown = host.map(|host| host.name.to_string());
    Expected {
        shown: shown.clone().or(gives_more.then(|| format!("machine-{mac}"))),
        host: shown,
        end: end(world, (host, heard), group.as_deref(), &chain, &given, (group_waits, image_waits)),
        loader,
        values: listed,
        groups: chain.iter().map(|group| group.name.to_string()).collect(),
        words,
    }
}

fn nobody(end: End) -> Expected {
    let (values, groups, words) = Default::default();
    Expected { host: None, shown: None, end, loader: None, values, groups, words }
}

/// Host pin → group pin, nearest first → rules → default image → policy for unknown machines → destructive gate.
fn end(
    world: &World,
    (host, heard): (Option<&Host>, Heard<'_>),
    group: Option<&str>,
    chain: &[&Group],
    given: &BTreeMap<String, &RuleData>,
    (group_waits, image_waits): (bool, bool),
) -> End {
    let pinned = host.and_then(|host| host.image.as_ref());
    let image = if let Some(image) = pinned {
        image.to_string()
    } else if group_waits {
        return End::Ask;
    } else if group.is_some() && chain.is_empty() {
        return End::Left("the group it is in is not there");
    } else if let Some(image) = chain.iter().find_map(|group| group.image.as_ref()) {
        image.to_string()
    } else if image_waits {
        return End::Ask;
    } else if let Some(image) = given.get("image").and_then(|data| data.rule.image.as_ref()) {
        image.to_string()
    } else if let Some(image) = &world.default_image {
        image.to_string()
    } else {
        return match (world.unknown.as_str(), host) {
            ("menu", _) => End::Menu,
            ("ignore", None) => End::Left("unknown machines are ignored here"),
            _ => End::Disk,
        };
    };
    let Some(found) = world.images.iter().find(|known| known.name.as_str() == image) else {
        return End::Left("the image it should boot is not there");
    };
    let armed = host.is_some_and(|host| world.armed.contains(host.name.as_str()));
    if !found.destructive {
        return End::Image(image);
    }
    let Some(host) = host.filter(|_| armed) else { return End::Disk };
    match weighed(host, heard) {
        // Nothing speaks against it, or two terms for it.
        (_, 0) => End::Image(image),
        (7.., differs) if differs <= weighed(host, heard).0 => End::Image(image),
        _ if heard.can_be_asked && host.identity.serial.is_some() => End::Ask,
        _ => End::Disk,
    }
}

/// What of a record is the machine's and what is not, by the weights of docs/identity.md.
fn weighed(host: &Host, heard: Heard<'_>) -> (u32, u32) {
    let (identity, machine) = (&host.identity, heard.machine);
    let alone = |identity: HostMatch| is_named(&Host { identity, ..host.clone() }, heard);
    let mut terms = Vec::new();
    if !identity.mac.is_empty() {
        terms.push((3, identity.mac.0.iter().any(|mac| mac.0 == machine.mac)));
    }
    if identity.uuid.is_some() {
        terms.push((4, alone(HostMatch { uuid: identity.uuid, ..HostMatch::default() })));
    }
    if heard.smbios && identity.serial.is_some() {
        terms.push((4, alone(HostMatch { serial: identity.serial.clone(), ..HostMatch::default() })));
    }
    let sum =
        |wanted: bool| terms.iter().filter(|(_, agrees)| *agrees == wanted).map(|(weight, _)| weight).sum();
    (sum(true), sum(false))
}

fn is_named(host: &Host, heard: Heard<'_>) -> bool {
    let machine = heard.machine;
    let by_mac = host.identity.mac.0.iter().any(|mac| mac.0 == machine.mac);
    let by_guid = host.identity.uuid.is_some_and(|guid| {
        let [a, b, c, d, e, f, g, h, rest @ ..] = guid.0;
        let other = [&[d, c, b, a, f, e, h, g], rest.as_slice()].concat();
        guid.0 == machine.guid || other == machine.guid
    });
    let by_serial = heard.smbios
        && host.identity.serial.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(&machine.serial));
    by_mac || by_guid || by_serial
}

/// The record's own, then those of its groups from the nearest.
fn labels_of<'a>(host: Option<&'a Host>, chain: &[&'a Group]) -> BTreeMap<&'a str, &'a str> {
    let mut labels = BTreeMap::new();
    let maps = host.map(|host| &host.labels).into_iter().chain(chain.iter().map(|group| &group.labels));
    for (key, value) in maps.flatten() {
        labels.entry(key.as_str()).or_insert(value.as_str());
    }
    labels
}

fn items(rule: &types::resource::Rule) -> Vec<String> {
    let mut items = Vec::new();
    let mut has = |there: bool, name: &str| there.then(|| items.push(name.to_owned()));
    has(rule.image.is_some(), "image");
    has(rule.loader.is_some(), "loader");
    has(rule.template.is_some(), "template");
    has(rule.location.is_some(), "location");
    has(rule.group.is_some(), "group");
    has(!rule.kernel_args_append.is_empty(), "kernel_args");
    items.extend(rule.params.keys().map(|key| format!("params.{key}")));
    items
}

fn all(terms: &[Term], heard: Heard<'_>, groups: &[&str], labels: &BTreeMap<&str, &str>) -> Answer {
    let answers: Vec<Answer> = terms.iter().map(|term| judge(term, heard, groups, labels)).collect();
    if answers.contains(&Answer::No) {
        Answer::No
    } else if answers.contains(&Answer::NotYet) {
        Answer::NotYet
    } else {
        Answer::Yes
    }
}

fn judge(term: &Term, heard: Heard<'_>, groups: &[&str], labels: &BTreeMap<&str, &str>) -> Answer {
    let machine = heard.machine;
    if matches!(term.key, Key::Vendor | Key::Model | Key::Serial) && !heard.smbios {
        return if heard.can_be_asked { Answer::NotYet } else { Answer::No };
    }
    let firmware = machine.firmware.to_string();
    let said: Vec<&str> = match term.key {
        Key::Vendor => vec![machine.vendor.0, machine.vendor.1],
        Key::Model => vec![machine.model],
        Key::Serial => vec![&machine.serial],
        Key::Firmware => vec![&firmware],
        Key::Subnet => vec![machine.subnet],
        Key::Group => groups.to_vec(),
        Key::Label(name) => labels.get(name).copied().into_iter().collect(),
        Key::Mac => return decided(term, matches_mac(term, machine.mac)),
        Key::Relay => match machine.relay {
            Some(relay) => return decided(term, matches_address(term, relay)),
            None => return Answer::No,
        },
    };
    // About something nobody said a term holds neither way.
    if said.is_empty() {
        return Answer::No;
    }
    let found = said.iter().any(|said| {
        let said = said.to_lowercase();
        match &term.test {
            Test::AnyOf(values) => values.iter().any(|value| value.to_lowercase() == said),
            Test::Like(Like::Has(text)) => said.contains(&text.to_lowercase()),
            Test::Like(Like::Starts(text)) => said.starts_with(&text.to_lowercase()),
            Test::Like(Like::Then(one, other)) => said
                .find(&one.to_lowercase())
                .is_some_and(|at| said[at + one.len()..].contains(&other.to_lowercase())),
        }
    });
    decided(term, found)
}

fn decided(term: &Term, found: bool) -> Answer {
    if found != term.negated { Answer::Yes } else { Answer::No }
}

/// Values are the first octets.
fn matches_mac(term: &Term, mac: [u8; 6]) -> bool {
    let Test::AnyOf(values) = &term.test else { unreachable!("drawn by value only") };
    let text: Vec<String> = mac.iter().map(|byte| format!("{byte:02x}")).collect();
    values.iter().any(|value| text.join(":").starts_with(value.as_str()))
}

/// Values are an address, a network or a range.
fn matches_address(term: &Term, address: [u8; 4]) -> bool {
    let Test::AnyOf(values) = &term.test else { unreachable!("drawn by value only") };
    let number = |text: &str| {
        text.split('.').fold(0u64, |sum, part| sum * 256 + part.parse::<u64>().expect("drawn as an address"))
    };
    let own = address.iter().fold(0u64, |sum, byte| sum * 256 + u64::from(*byte));
    values.iter().any(|value| {
        if let Some((network, length)) = value.split_once('/') {
            let size = 1u64 << (32 - length.parse::<u32>().expect("drawn as a network"));
            own / size == number(network) / size
        } else if let Some((first, last)) = value.split_once('-') {
            (number(first)..=number(last)).contains(&own)
        } else {
            own == number(value)
        }
    })
}

/// True unless the image lists firmware and the machine's is not in the list.
pub(crate) fn fits(world: &World, image: &str, firmware: Firmware) -> bool {
    world
        .images
        .iter()
        .find(|known| known.name.as_str() == image)
        .is_none_or(|image| image.firmware.is_empty() || image.firmware.contains(&firmware))
}

/// What a menu offers: harmless and fit.
pub(crate) fn offered(world: &World, firmware: Firmware) -> Vec<String> {
    let harmless = world.images.iter().filter(|image| !image.destructive);
    let mut names: Vec<String> = harmless.map(|image| image.name.to_string()).collect();
    names.retain(|name| fits(world, name, firmware));
    names.sort();
    names
}
