//! From text to terms.

use super::{
    Compiled, Key, PATTERN_BYTES_MAX, PATTERN_SIZE_MAX, Pattern, SELECTOR_BYTES_MAX, Selector, TERMS_MAX,
    Term, Test, VALUES_MAX, Value,
};
use ipnet::Ipv4Net;
use regex::bytes::RegexBuilder;
use std::collections::HashMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The text is no selector; what is wrong with which part.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SelectorFault {
    /// The part it is about.
    pub part: String,
    /// What is wrong with it.
    pub what: String,
}

impl SelectorFault {
    fn new(part: &str, what: impl Into<String>) -> SelectorFault {
        let shown: String = part.chars().filter(|char| !char.is_control()).take(80).collect();
        SelectorFault { part: shown, what: what.into() }
    }
}

impl fmt::Display for SelectorFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.part, self.what)
    }
}

impl std::error::Error for SelectorFault {}

impl FromStr for Selector {
    type Err = SelectorFault;

    fn from_str(text: &str) -> Result<Selector, SelectorFault> {
        if text.len() > SELECTOR_BYTES_MAX {
            let what = format!("{} bytes long, at most {SELECTOR_BYTES_MAX} are read", text.len());
            return Err(SelectorFault::new(text, what));
        }
        let whole = text.trim();
        if whole.is_empty() || whole == "*" {
            return Ok(Selector::default());
        }
        let parts = split(whole, ',')?;
        if parts.len() > TERMS_MAX {
            return Err(SelectorFault::new(
                whole,
                format!("{} terms, at most {TERMS_MAX} are read", parts.len()),
            ));
        }
        let terms: Result<Vec<Term>, SelectorFault> =
            parts.into_iter().map(|part| term(part.trim())).collect();
        Ok(Selector::of(terms?))
    }
}

/// Splits at a separator that stands outside of quotes.
fn split(text: &str, separator: char) -> Result<Vec<&str>, SelectorFault> {
    let (mut parts, mut from, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, char) in text.char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if char == separator && !quoted => {
                parts.push(text.get(from..at).unwrap_or_default());
                from = at + char.len_utf8();
            }
            _ => {}
        }
    }
    if quoted {
        return Err(SelectorFault::new(text, "a quote is not closed"));
    }
    parts.push(text.get(from..).unwrap_or_default());
    Ok(parts)
}

fn term(part: &str) -> Result<Term, SelectorFault> {
    if part.is_empty() {
        return Err(SelectorFault::new(part, "a term is missing between two commas"));
    }
    let Some(end) = part.find(['=', '!', '~']) else {
        return Err(SelectorFault::new(part, "no `=`, `!=`, `~` or `!~`; a term is key=value"));
    };
    let (name, rest) = part.split_at(end);
    let operators: [(&str, bool, bool); 4] =
        [("!=", true, false), ("!~", true, true), ("=", false, false), ("~", false, true)];
    let found = operators
        .into_iter()
        .find_map(|(operator, negated, like)| Some((rest.strip_prefix(operator)?, negated, like)));
    let Some((value, negated, like)) = found else {
        return Err(SelectorFault::new(part, "`!` must be followed by `=` or `~`"));
    };
    let value = value.trim();
    let key = key(name.trim())?;
    if value.is_empty() {
        return Err(SelectorFault::new(part, "no value; a machine without one is never selected by it"));
    }
    let test = if like { Test::Like(pattern(&unquoted(value))?) } else { Test::AnyOf(values(&key, value)?) };
    let operator = match (negated, like) {
        (false, false) => "=",
        (true, false) => "!=",
        (false, true) => "~",
        (true, true) => "!~",
    };
    let text = format!("{key}{operator}{value}").into();
    Ok(Term { key, negated, test, text })
}

fn key(name: &str) -> Result<Key, SelectorFault> {
    if let Some(label) = name.strip_prefix("label.") {
        let fits = (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
        return match fits {
            true => Ok(Key::Label(label.into())),
            false => Err(SelectorFault::new(name, "a label is 1 to 63 of a-z, A-Z, 0-9, `-`, `_` and `.`")),
        };
    }
    Key::ALL.into_iter().find(|key| key.as_str().eq_ignore_ascii_case(name)).ok_or_else(|| {
        let known: Vec<&str> = Key::ALL.iter().map(Key::as_str).collect();
        SelectorFault::new(name, format!("no such key; known are {} and label.<key>", known.join(", ")))
    })
}

fn values(key: &Key, text: &str) -> Result<Vec<Value>, SelectorFault> {
    let parts = split(text, '|')?;
    if parts.len() > VALUES_MAX {
        let what = format!("{} values, at most {VALUES_MAX} are read; use a label or a group", parts.len());
        return Err(SelectorFault::new(text, what));
    }
    parts
        .into_iter()
        .map(|part| {
            let plain = unquoted(part.trim());
            if plain.is_empty() {
                return Err(SelectorFault::new(text, "an empty value between two bars"));
            }
            value(key, &plain)
        })
        .collect()
}

fn value(key: &Key, text: &str) -> Result<Value, SelectorFault> {
    let fault = |what: String| SelectorFault::new(&format!("{key}={text}"), what);
    match key {
        Key::Ipv4 | Key::Relay => addresses(text)
            .ok_or_else(|| fault("no address, network (10.4.0.0/16) or range (10.4.0.1-10.4.0.9)".into())),
        Key::Mac => crate::mac::octets(text)
            .map(Value::Mac)
            .ok_or_else(|| fault("no MAC address, nor its first octets (24:6e:96)".into())),
        Key::Uuid => text.parse().map(Value::Guid).map_err(|error| fault(format!("{error}"))),
        Key::Firmware => text
            .parse::<crate::Firmware>()
            .map(|firmware| Value::Text(firmware.to_string().into()))
            .map_err(|error| fault(error.to_string())),
        Key::Group | Key::Host => match text.to_ascii_lowercase().parse::<crate::resource::Name>() {
            Ok(name) => Ok(Value::Text(name.as_str().into())),
            Err(error) => Err(fault(error.to_string())),
        },
        _ => Ok(Value::Text(text.trim().into())),
    }
}

fn addresses(text: &str) -> Option<Value> {
    if let Ok(network) = text.parse::<Ipv4Net>() {
        return Some(Value::Network(network.trunc()));
    }
    if let Some((first, last)) = text.split_once('-') {
        let (first, last): (Ipv4Addr, Ipv4Addr) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        return (first <= last).then_some(Value::Range(first, last));
    }
    let address: Ipv4Addr = text.parse().ok()?;
    Some(Value::Range(address, address))
}

/// Expressions that somebody holds. A rule is read many times (each set that is kept, each look at the working set), and its
/// expression takes a hundred times as long to compile as all else of it to read.
static HELD: Mutex<Held> = Mutex::new(Held { by_text: None, spare_at: HELD_MIN });

/// Entries before the first look for those that nobody holds.
const HELD_MIN: usize = 64;

struct Held {
    by_text: Option<HashMap<Box<str>, Weak<Compiled>>>,
    /// As many entries as make the next look worth it.
    spare_at: usize,
}

impl Held {
    fn get(&self, text: &str) -> Option<Arc<Compiled>> {
        self.by_text.as_ref()?.get(text)?.upgrade()
    }

    fn keep(&mut self, compiled: &Arc<Compiled>) {
        let by_text = self.by_text.get_or_insert_default();
        if by_text.len() >= self.spare_at {
            by_text.retain(|_, held| held.strong_count() > 0);
            self.spare_at = (by_text.len() * 2).max(HELD_MIN);
        }
        by_text.insert(compiled.text.clone(), Arc::downgrade(compiled));
    }
}

fn pattern(text: &str) -> Result<Pattern, SelectorFault> {
    let held = || HELD.lock().unwrap_or_else(PoisonError::into_inner);
    let known = held().get(text);
    if let Some(compiled) = known {
        return Ok(Pattern(compiled));
    }
    let compiled = Arc::new(compile(text)?);
    held().keep(&compiled);
    Ok(Pattern(compiled))
}

fn compile(text: &str) -> Result<Compiled, SelectorFault> {
    if text.len() > PATTERN_BYTES_MAX {
        let what = format!("the expression has {} bytes, at most {PATTERN_BYTES_MAX} are read", text.len());
        return Err(SelectorFault::new(text, what));
    }
    let built = RegexBuilder::new(text)
        .case_insensitive(true)
        .unicode(false)
        .size_limit(PATTERN_SIZE_MAX)
        .dfa_size_limit(PATTERN_SIZE_MAX)
        .build();
    match built {
        Ok(regex) => Ok(Compiled { text: text.into(), regex }),
        Err(regex::Error::CompiledTooBig(_)) => {
            Err(SelectorFault::new(text, "the expression is too large; repeat less"))
        }
        Err(error) => {
            // The last line says what is wrong; those before draw the place.
            let text_of = error.to_string();
            let why = text_of.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            Err(SelectorFault::new(text, format!("no expression: {why}")))
        }
    }
}

/// The text without its quotes and their escapes; text without quotes as it is.
fn unquoted(text: &str) -> String {
    let Some(inner) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return text.to_owned();
    };
    let (mut plain, mut escaped) = (String::with_capacity(inner.len()), false);
    for char in inner.chars() {
        if char == '\\' && !escaped {
            escaped = true;
            continue;
        }
        if escaped && char != '"' && char != '\\' {
            plain.push('\\');
        }
        plain.push(char);
        escaped = false;
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_that_somebody_holds_is_compiled_once_and_forgotten_with_them() {
        let one = pattern("^held-once$").unwrap();
        let other = pattern("^held-once$").unwrap();
        assert!(Arc::ptr_eq(&one.0, &other.0));
        drop((one, other));
        // As many others as make a look for those that nobody holds certain.
        let mut held = Held { by_text: None, spare_at: HELD_MIN };
        for at in 0..HELD_MIN * 4 {
            held.keep(&Arc::new(compile(&format!("gone-{at}")).unwrap()));
        }
        assert!(held.by_text.as_ref().unwrap().len() <= HELD_MIN, "what nobody holds stays");
        assert!(held.get("gone-0").is_none());
    }
}
