//! Events as the daemon reports them, and the boot timeline they tell.
//!
//! One JSON object per line: `ts` (RFC 3339, UTC), `event`, `mac`, … Names are those of `types::event`; the harness
//! reads them as any outside program would.

use serde_json::Value;
use std::fmt::Write as _;

/// One event.
#[derive(Clone, PartialEq, Debug)]
pub struct Event(Value);

impl Event {
    /// Reads one line; `None` when it is no event.
    pub fn parse(line: &str) -> Option<Event> {
        let value: Value = serde_json::from_str(line.trim()).ok()?;
        let event = Event(value);
        (!event.name().is_empty()).then_some(event)
    }

    fn value(&self, key: &str) -> Option<&Value> {
        self.0.get(key).or_else(|| self.0.get("fields")?.get(key)).filter(|value| !value.is_null())
    }

    /// What happened: `dhcp.discover`.
    pub fn name(&self) -> &str {
        self.text("event").unwrap_or_default()
    }

    /// A text field.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.value(key)?.as_str()
    }

    /// A number field.
    pub fn number(&self, key: &str) -> Option<u64> {
        self.value(key)?.as_u64()
    }

    /// Seconds since 1970.
    pub fn seconds(&self) -> Option<f64> {
        match self.value("ts")? {
            Value::String(text) => rfc3339(text),
            other => other.as_f64(),
        }
    }

    /// True when it fits `dhcp.offer`, or `http.file:kernel` (name and role).
    pub fn fits(&self, pattern: &str) -> bool {
        match pattern.split_once(':') {
            Some((name, role)) => self.name() == name && self.text("role") == Some(role),
            None => self.name() == pattern,
        }
    }
}

/// `2026-11-21T00:20:42.123Z` in seconds.
fn rfc3339(text: &str) -> Option<f64> {
    let (date, time) = text.strip_suffix('Z').unwrap_or(text).split_once('T')?;
    let mut date = date.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let mut time = time.split(':').map(|part| part.parse::<f64>().ok());
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    // Days since 1970 of the proleptic Gregorian calendar, years counted from March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year.div_euclid(4) - year.div_euclid(100)
        + year.div_euclid(400)
        + (153 * month + 2) / 5
        + day
        - 1
        - 719_468;
    let days: f64 = i32::try_from(days).ok()?.into();
    Some(days * 86_400.0 + hour * 3600.0 + minute * 60.0 + second)
}

/// Every event of a stream's text.
pub fn parse(text: &str) -> Vec<Event> {
    text.lines().filter_map(Event::parse).collect()
}

/// The events of one machine.
pub fn of_machine(events: &[Event], mac: &str) -> Vec<Event> {
    events.iter().filter(|event| event.text("mac") == Some(mac)).cloned().collect()
}

/// Checks that events fitting `patterns` occur in this order, whatever stands between them.
///
/// # Errors
/// Names the first one that does not come, with what came.
pub fn in_order(events: &[Event], patterns: &[&str]) -> Result<(), String> {
    let mut rest = events.iter();
    for pattern in patterns {
        if !rest.any(|event| event.fits(pattern)) {
            let names: Vec<String> = events
                .iter()
                .map(|event| match event.text("role") {
                    Some(role) => format!("{}:{role}", event.name()),
                    None => event.name().to_string(),
                })
                .collect();
            return Err(format!("no {pattern} in its place; wanted {patterns:?}, got {names:?}"));
        }
    }
    Ok(())
}

/// One line of a boot timeline.
#[derive(Clone, PartialEq, Debug)]
pub struct Step {
    /// Seconds since the first event of the machine.
    pub offset: f64,
    /// `discover`, `offer`, `loader`, `script`, `kernel`, `initrd`, `callback`, or the event's own name.
    pub word: String,
    /// What is worth saying of it.
    pub detail: String,
}

/// The timeline of one machine's events; noise is left out.
pub fn steps(events: &[Event]) -> Vec<Step> {
    let start = events.iter().find_map(Event::seconds).unwrap_or_default();
    events
        .iter()
        .filter_map(|event| {
            let word = word(event)?;
            let offset = event.seconds().unwrap_or(start) - start;
            Some(Step { offset, word, detail: detail(event) })
        })
        .collect()
}

fn word(event: &Event) -> Option<String> {
    let role = event.text("role");
    Some(match (event.name(), role) {
        ("dhcp.ignored" | "dhcp.refused" | "tftp.start" | "tftp.size_probe", _) => return None,
        // Told once more, with bytes and speed, by the transfer that carried it.
        ("loader.fetched" | "boot.started", _) => return None,
        ("tftp.done" | "http.file", Some(role)) => role.to_string(),
        ("http.script", _) => role.unwrap_or("script").to_string(),
        ("boot.up", _) => "callback".to_string(),
        (name, _) => name.strip_prefix("dhcp.").unwrap_or(name).to_string(),
    })
}

fn detail(event: &Event) -> String {
    let mut detail = String::new();
    let mut say = |text: &str| {
        if !text.is_empty() {
            let _ = write!(detail, "{}{text}", if detail.is_empty() { "" } else { "  " });
        }
    };
    for key in ["stage", "address", "boot_file", "file", "image", "reason"] {
        say(event.text(key).unwrap_or_default());
    }
    if let Some(bytes) = event.number("bytes") {
        say(&bytes_text(bytes));
        if let Some(ms) = event.number("ms").filter(|ms| *ms > 0) {
            say(&format!("{}/s", bytes_text(bytes.saturating_mul(1000) / ms)));
        }
        if event.name().starts_with("tftp.") {
            say("tftp");
        } else if event.name().starts_with("http.") {
            say("http");
        }
    }
    for key in ["blksize", "windowsize", "retransmits"] {
        if let Some(number) = event.number(key).filter(|number| *number > 0) {
            say(&format!("{key} {number}"));
        }
    }
    detail
}

/// `8.2 MB`.
fn bytes_text(bytes: u64) -> String {
    let (unit, divisor) = match bytes {
        0..1_000 => return format!("{bytes} B"),
        1_000..1_000_000 => ("kB", 100),
        1_000_000..1_000_000_000 => ("MB", 100_000),
        _ => ("GB", 100_000_000),
    };
    let tenths = bytes / divisor;
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// One step as a line of 80 columns or a little more.
pub fn line(step: &Step) -> String {
    format!("  +{:>6.2} {:<10} {}", step.offset, step.word, step.detail).trim_end().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = r#"
{"ts":"2026-02-28T23:59:59.500Z","event":"dhcp.discover","mac":"52:54:00:12:34:07","stage":"ipxe"}
{"ts":"2026-03-01T00:00:00.000Z","event":"dhcp.offer","mac":"52:54:00:12:34:07","fields":{"address":"10.77.0.100"}}
not an event
{"ts":"2026-03-01T00:00:01.000Z","event":"http.file","mac":"52:54:00:12:34:07","role":"kernel","bytes":8222656,"ms":100}
{"ts":"2026-03-01T00:00:01.000Z","event":"dhcp.discover","mac":"52:54:00:12:34:08"}
"#;

    #[test]
    fn a_stream_becomes_the_timeline_of_one_machine() {
        let events = of_machine(&parse(STREAM), "52:54:00:12:34:07");
        let lines: Vec<String> = steps(&events).iter().map(line).collect();
        assert_eq!(
            lines,
            [
                "  +  0.00 discover   ipxe",
                "  +  0.50 offer      10.77.0.100",
                "  +  1.50 kernel     8.2 MB  82.2 MB/s  http"
            ]
        );
    }

    #[test]
    fn order_is_checked_and_the_missing_step_named() {
        let events = parse(STREAM);
        in_order(&events, &["dhcp.discover", "http.file:kernel"]).unwrap();
        let error = in_order(&events, &["http.file:kernel", "dhcp.offer"]).unwrap_err();
        assert!(error.starts_with("no dhcp.offer"), "{error}");
    }

    #[test]
    fn times_are_counted_from_1970() {
        assert_eq!(rfc3339("1970-01-01T00:00:00Z"), Some(0.0));
        assert_eq!(rfc3339("2000-03-01T00:00:00Z"), Some(951_868_800.0));
        assert_eq!(rfc3339("yesterday"), None);
    }
}
