//! Compares the tree with the shape of the file and reports every difference.
//!
//! Returns the tree with each plain scalar turned into what its key wants and with everything faulty left out, so
//! that the checks of meaning can still look at the rest. A value with something left out is marked `spoiled`.

use crate::fault::{Code, Draft, Faults};
use crate::limits::MAP_KEYS_MAX;
use crate::shape::{Choice, FILE, Key, Shape};
use crate::suggest::{listed, nearest};
use crate::tree::{Entry, Kind, Node};
use crate::units::{Period, check_format};
use std::collections::BTreeSet;

/// The checked tree, and the names of resources that were left out.
pub(crate) struct Checked {
    pub(crate) tree: Node,
    /// Names of list items that are left out: whoever refers to them is not to blame.
    pub(crate) ghosts: BTreeSet<String>,
}

/// Words other servers use for our keys.
const ELSEWHERE: [(&str, &str); 14] = [
    ("scope", "subnets"),
    ("scopes", "subnets"),
    ("subnet", "network"),
    ("cidr", "network"),
    ("range", "pools"),
    ("ranges", "pools"),
    ("gateway", "router"),
    ("default_lease_time", "lease_time"),
    ("max_lease_time", "lease_time_max"),
    ("nameservers", "dns"),
    ("domain_name", "domain"),
    ("append", "cmdline"),
    ("initrds", "initrd"),
    ("guid", "uuid"),
];

/// Checks a whole document.
pub(crate) fn check(tree: Node, faults: &mut Faults) -> Checked {
    let spot = tree.spot;
    let mut checker = Checker { faults, ghosts: BTreeSet::new() };
    let tree = if tree.is_null() { Some(Node::empty_map(spot)) } else { checker.value(tree, &FILE, "") };
    let tree = tree.unwrap_or_else(|| Node { spoiled: true, ..Node::empty_map(spot) });
    Checked { tree, ghosts: checker.ghosts }
}

struct Checker<'a> {
    faults: &'a mut Faults,
    ghosts: BTreeSet<String>,
}

impl Checker<'_> {
    /// `None` when the value is to be left out; the fault is then reported.
    fn value(&mut self, node: Node, shape: &Shape, at: &str) -> Option<Node> {
        match shape {
            Shape::Unknown => Some(node),
            Shape::Text { format, min, max } => {
                self.text(node, format.as_deref(), min.as_deref(), max.as_deref(), at)
            }
            Shape::Integer { min, max } => self.integer(node, *min, *max, at),
            Shape::Bool => self.boolean(node, at),
            Shape::Choice(choices) => self.choice(node, choices, at),
            Shape::List(item) => self.list(node, item, at),
            Shape::OneOrMany(item) if matches!(node.kind, Kind::List(_)) => self.list(node, item, at),
            Shape::OneOrMany(item) => self.value(node, item, at),
            Shape::Map(value) => self.map(node, value, at),
            Shape::Record(keys) => self.record(node, keys, at),
        }
    }

    fn wrong_type(&mut self, node: &Node, shape_noun: &str, at: &str) -> Option<Node> {
        let found = match &node.kind {
            _ if node.is_null() => "nothing",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
            _ => "a single value",
        };
        let what = if at.is_empty() { "the configuration" } else { at };
        let message = format!("{what} must be {shape_noun}, not {found}");
        self.faults.add(Draft::new(Code::WrongType, node.spot, message));
        None
    }

    fn text(
        &mut self,
        node: Node,
        format: Option<&str>,
        min: Option<&str>,
        max: Option<&str>,
        at: &str,
    ) -> Option<Node> {
        let plain = matches!(node.kind, Kind::Plain(_));
        if node.is_null() && plain {
            return self.wrong_type(&node, "a single value", at);
        }
        let Some(text) = node.as_text() else { return self.wrong_type(&node, "a single value", at) };
        // Whole texts have line ends and tabs; what is read out of a line has neither.
        let whole = format == Some("lines");
        let fits = |c: char| !c.is_control() || (whole && matches!(c, '\n' | '\r' | '\t'));
        if let Some(control) = text.chars().find(|c| !fits(*c)) {
            let message = format!("{at} holds a control character (U+{:04X})", u32::from(control));
            self.faults.add(Draft::new(Code::BadValue, node.spot, message));
            return None;
        }
        if let Err(problem) = format.map_or(Ok(()), |format| check_format(format, text)) {
            let (what, write) = problem.split_once("; ").unwrap_or((&problem, ""));
            let message = format!("{at}: `{}` is {what}", shortened(text));
            let hint = (!write.is_empty()).then(|| write.to_owned());
            self.faults.add(Draft::new(Code::BadValue, node.spot, message).hint_maybe(hint));
            return None;
        }
        let period = |text: &str| text.parse::<Period>().ok();
        if let Some(value) = period(text) {
            let low = min.and_then(period).filter(|low| value < *low);
            let high = max.and_then(period).filter(|high| value > *high);
            let words =
                low.map(|low| format!("at least {low}")).or(high.map(|high| format!("at most {high}")));
            if let Some(words) = words {
                let message = format!("{at} must be {words}, not {text}");
                self.faults.add(Draft::new(Code::OutOfRange, node.spot, message));
                return None;
            }
        }
        if plain {
            self.warn_unquoted(&node, format, at);
        }
        let text = text.to_owned();
        Some(Node { kind: Kind::Text(text), ..node })
    }

    /// Text we read as it stands, and YAML 1.1 readers would not.
    fn warn_unquoted(&mut self, node: &Node, format: Option<&str>, at: &str) {
        let Some(text) = node.as_text() else { return };
        match format {
            Some("mac") if text.bytes().all(|b| b.is_ascii_digit() || b == b':') => {
                let message = format!("{at}: the MAC address `{text}` is not quoted");
                let draft = Draft::new(Code::UnquotedMac, node.spot, message)
                    .hint(format!("write \"{text}\""))
                    .cause("YAML 1.1 readers such as Ansible take it for a number in base 60");
                self.faults.add(draft);
            }
            None if misread_elsewhere(text) => {
                let message = format!("{at}: `{text}` is not quoted");
                let draft = Draft::new(Code::UnquotedText, node.spot, message)
                    .hint(format!("write \"{text}\""))
                    .cause("other YAML readers take it for a number or a boolean");
                self.faults.add(draft);
            }
            _ => {}
        }
    }

    fn integer(&mut self, node: Node, min: i64, max: i64, at: &str) -> Option<Node> {
        let Kind::Plain(text) = &node.kind else {
            if let Kind::Text(text) = &node.kind
                && text.parse::<i64>().is_ok()
            {
                let message = format!("{at} must be a whole number, not text");
                self.faults.add(
                    Draft::new(Code::WrongType, node.spot, message)
                        .hint(format!("write {text} without quotes")),
                );
                return None;
            }
            return self.wrong_type(&node, "a whole number", at);
        };
        if node.is_null() {
            return self.wrong_type(&node, "a whole number", at);
        }
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let decimal = !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit());
        if !decimal {
            let message = format!("{at} must be a whole number, not `{}`", shortened(text));
            self.faults.add(Draft::new(Code::WrongType, node.spot, message));
            return None;
        }
        match text.parse::<i64>() {
            Ok(number) if (min..=max).contains(&number) => Some(Node { kind: Kind::Integer(number), ..node }),
            _ => {
                let bounds = if min == max { format!("{min}") } else { format!("{min} to {max}") };
                let message = format!("{at} must be {bounds}, not {}", shortened(text));
                self.faults.add(Draft::new(Code::OutOfRange, node.spot, message));
                None
            }
        }
    }

    fn boolean(&mut self, node: Node, at: &str) -> Option<Node> {
        let value = match &node.kind {
            Kind::Plain(text) => match text.as_str() {
                "true" | "True" | "TRUE" => Some(true),
                "false" | "False" | "FALSE" => Some(false),
                _ => None,
            },
            _ => None,
        };
        if let Some(value) = value {
            return Some(Node { kind: Kind::Bool(value), ..node });
        }
        let Some(text) = node.as_text().filter(|_| !node.is_null()) else {
            return self.wrong_type(&node, "true or false", at);
        };
        let meant = match text.to_ascii_lowercase().as_str() {
            "true" | "false" if matches!(node.kind, Kind::Text(_)) => Some("write it without quotes"),
            "yes" | "on" | "y" | "1" | "enabled" | "true" => Some("write true"),
            "no" | "off" | "n" | "0" | "disabled" | "false" => Some("write false"),
            _ => None,
        };
        let message = format!("{at} must be true or false, not `{}`", shortened(text));
        let draft = Draft::new(Code::WrongType, node.spot, message).hint_maybe(meant.map(str::to_owned));
        self.faults.add(draft);
        None
    }

    fn choice(&mut self, node: Node, choices: &[Choice], at: &str) -> Option<Node> {
        let Some(text) = node.as_text().filter(|_| !node.is_null()) else {
            return self.wrong_type(&node, "a single value", at);
        };
        let names = || choices.iter().map(|choice| choice.name.as_str());
        if names().any(|name| name == text) {
            let text = text.to_owned();
            return Some(Node { kind: Kind::Text(text), ..node });
        }
        self.faults.add_error(|| {
            let message = format!("{at}: `{}` is not one of {}", shortened(text), listed(names()));
            let hint = nearest(text, names()).map(|name| format!("did you mean `{name}`?"));
            Draft::new(Code::NotAChoice, node.spot, message).hint_maybe(hint)
        });
        None
    }

    fn list(&mut self, node: Node, item: &Shape, at: &str) -> Option<Node> {
        let items = match node.kind {
            Kind::List(items) => items,
            Kind::Plain(ref text) | Kind::Text(ref text) if !node.is_null() => {
                let named = item.keys().iter().any(|key| key.name == "name");
                let write = match item {
                    Shape::Record(_) if named => Some(format!("write [{{ name: {} }}]", shortened(text))),
                    Shape::Record(_) | Shape::Map(_) => None,
                    _ => Some(format!("write [{}]", shortened(text))),
                };
                let message = format!("{at} must be a list, not a single value");
                self.faults.add(Draft::new(Code::WrongType, node.spot, message).hint_maybe(write));
                return None;
            }
            _ => return self.wrong_type(&node, "a list", at),
        };
        let mut spoiled = node.spoiled;
        let mut kept = Vec::with_capacity(items.len());
        for (index, value) in items.into_iter().enumerate() {
            let name = value.entry("name").and_then(|entry| entry.value.as_text()).map(str::to_owned);
            match self.value(value, item, &format!("{at}[{index}]")) {
                Some(value) => {
                    spoiled |= value.spoiled;
                    kept.push(value);
                }
                None => {
                    spoiled = true;
                    self.ghosts.extend(name);
                }
            }
        }
        Some(Node { spot: node.spot, kind: Kind::List(kept), spoiled })
    }

    fn map(&mut self, node: Node, shape: &Shape, at: &str) -> Option<Node> {
        let Kind::Map(entries) = node.kind else { return self.wrong_type(&node, "a map", at) };
        let mut spoiled = node.spoiled;
        if entries.len() > MAP_KEYS_MAX {
            let message = format!("{at} has {} keys; the limit is {MAP_KEYS_MAX}", entries.len());
            self.faults.add(Draft::new(Code::Limit, node.spot, message));
            return None;
        }
        let mut kept = Vec::with_capacity(entries.len());
        for entry in entries {
            if entry.key == "<<" {
                self.merge_key(&entry, at);
                spoiled = true;
                continue;
            }
            if entry.key.starts_with("x-") {
                continue;
            }
            if entry.key.is_empty() || entry.key.contains(char::is_control) {
                self.faults.add(Draft::new(Code::BadValue, entry.spot, format!("an unusable key in {at}")));
                spoiled = true;
                continue;
            }
            match self.value(entry.value, shape, &join(at, &entry.key)) {
                Some(value) => {
                    spoiled |= value.spoiled;
                    kept.push(Entry { key: entry.key, spot: entry.spot, value });
                }
                None => spoiled = true,
            }
        }
        Some(Node { spot: node.spot, kind: Kind::Map(kept), spoiled })
    }

    fn record(&mut self, node: Node, keys: &[Key], at: &str) -> Option<Node> {
        let Kind::Map(entries) = node.kind else { return self.wrong_type(&node, "a map", at) };
        let mut spoiled = node.spoiled;
        let mut complete = true;
        let mut kept: Vec<Entry> = Vec::with_capacity(entries.len());
        for entry in entries {
            let Some(key) = keys.iter().find(|key| key.name == entry.key) else {
                if entry.key == "<<" {
                    self.merge_key(&entry, at);
                    spoiled = true;
                } else if !entry.key.starts_with("x-") {
                    self.unknown_key(&entry, keys, at);
                    spoiled = true;
                }
                continue;
            };
            if entry.value.is_null() && !key.required {
                continue;
            }
            match self.value(entry.value, &key.shape, &join(at, &entry.key)) {
                Some(value) => {
                    spoiled |= value.spoiled;
                    kept.push(Entry { key: entry.key, spot: entry.spot, value });
                }
                None => {
                    spoiled = true;
                    complete &= !key.required;
                }
            }
        }
        let missing = |key: &&Key| key.required && !kept.iter().any(|entry| entry.key == key.name);
        for key in keys.iter().filter(missing).filter(|_| complete) {
            // One that is there but faulty has its fault already: then `complete` is false.
            let mut message = format!("{} lacks `{}`", if at.is_empty() { "the file" } else { at }, key.name);
            if let Shape::Choice(choices) = &key.shape {
                message
                    .push_str(&format!(" ({})", listed(choices.iter().map(|choice| choice.name.as_str()))));
            }
            self.faults.add(Draft::new(Code::MissingKey, node.spot, message));
            spoiled = true;
        }
        complete &= !keys.iter().any(|key| missing(&key));
        complete.then_some(Node { spot: node.spot, kind: Kind::Map(kept), spoiled })
    }

    fn unknown_key(&mut self, entry: &Entry, keys: &[Key], at: &str) {
        let names = || keys.iter().map(|key| key.name.as_str());
        self.faults.add_error(|| {
            let place = if at.is_empty() { "at the top".to_owned() } else { format!("in {at}") };
            let message = format!("unknown key `{}` {place}", shortened(&entry.key));
            let elsewhere = || {
                let plain = entry.key.replace('-', "_").to_lowercase();
                let (_, ours) = ELSEWHERE.iter().find(|(theirs, _)| *theirs == plain)?;
                names().find(|name| name == ours)
            };
            let draft = Draft::new(Code::UnknownKey, entry.spot, message);
            match elsewhere().or_else(|| nearest(&entry.key, names())) {
                Some(name) => draft.hint(format!("did you mean `{name}`?")),
                None => match home_of(&entry.key, &FILE, "") {
                    Some(home) => draft.hint(format!("`{}` belongs in {home}", entry.key)),
                    None => draft.fix(format!("known here are {}", listed(names()))),
                },
            }
        });
    }

    fn merge_key(&mut self, entry: &Entry, at: &str) {
        let place = if at.is_empty() { "at the top".to_owned() } else { format!("in {at}") };
        let draft = Draft::new(Code::Syntax, entry.spot, format!("a merge key {place}"))
            .cause("merge keys belong to YAML 1.1; not every reader honours them")
            .fix("write the keys out");
        self.faults.add(draft);
    }
}

/// The first place whose keys include `name`, for a key that stands on the wrong level.
fn home_of(name: &str, shape: &Shape, at: &str) -> Option<String> {
    match shape {
        Shape::Record(keys) => {
            if !at.is_empty() && keys.iter().any(|key| key.name == name) {
                return Some(at.to_owned());
            }
            keys.iter().find_map(|key| home_of(name, &key.shape, &join(at, &key.name)))
        }
        Shape::List(item) => home_of(name, item, &format!("{at}[]")),
        _ => None,
    }
}

pub(crate) fn join(at: &str, key: &str) -> String {
    if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") }
}

/// True for plain text that YAML 1.1 or the 1.2 core schema reads as something other than text in a way that
/// changes it: leading zeros, exponents, hex, yes and no. Ordinary numbers come out the same and are no trap.
fn misread_elsewhere(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    if matches!(lower.as_str(), "yes" | "no" | "on" | "off" | "y" | "n") {
        return true;
    }
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if text.len() > 1 && text.starts_with('0') && digits(text) {
        return true;
    }
    if let Some(rest) = lower.strip_prefix("0x") {
        return !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_hexdigit());
    }
    if let Some((mantissa, exponent)) = lower.split_once('e') {
        return digits(mantissa) && digits(exponent.trim_start_matches(['+', '-']));
    }
    // 8.0 becomes 8; 7.10 becomes 7.1.
    text.split_once('.').is_some_and(|(whole, part)| digits(whole) && digits(part) && part.ends_with('0'))
}

/// Enough of a text to recognise it.
pub(crate) fn shortened(text: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 60;
    let mut short: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
