//! The log: events and messages on standard error, in one form for people and one for machines.

use std::fmt::Write as _;
use tracing::{Dispatch, debug, error, info, warn};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use types::Event;
use types::event::{Level, Value};

/// How the log is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Format {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts the log on standard error. `level` is a `tracing` filter such as `info` or `debug,sled=warn`.
pub(crate) fn start(level: &str, format: Format, colour: bool) {
    let log = subscriber(level, format, colour, BoxMakeWriter::new(std::io::stderr));
    // A second start in one process (tests) keeps the first.
    let _ = tracing::dispatcher::set_global_default(log);
}

/// The log as it is written to `writer`.
pub(crate) fn subscriber(level: &str, format: Format, colour: bool, writer: BoxMakeWriter) -> Dispatch {
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(colour)
        .with_writer(writer);
    match format {
        Format::Text => Dispatch::new(builder.finish()),
        Format::Json => Dispatch::new(builder.json().finish()),
    }
}

/// Writes an event: a fixed sentence (its name) plus fields.
pub(crate) fn event(event: &Event) {
    let mut fields = String::new();
    for (name, value) in &event.fields {
        let _ = match value {
            Value::Text(text) => write!(fields, " {name}={}", quoted(text)),
            Value::Number(number) => write!(fields, " {name}={number}"),
            Value::Flag(flag) => write!(fields, " {name}={flag}"),
        };
    }
    let mac = event.mac.map(tracing::field::display);
    let (host, iface, boot) = (event.host.as_deref(), event.interface.as_deref(), event.boot.as_deref());
    let (stage, reason) = (event.stage.map(|stage| stage.as_str()), event.reason);
    macro_rules! write_at {
        ($level:ident) => {
            $level!(mac, host, iface, stage, reason, boot, "{}{fields}", event.name)
        };
    }
    match event.level {
        Level::Debug => write_at!(debug),
        Level::Info => write_at!(info),
        Level::Warn => write_at!(warn),
        Level::Error => write_at!(error),
    }
}

/// Text as it stands when it is harmless, else quoted with control bytes escaped: a host name must not forge a line.
fn quoted(text: &str) -> String {
    let plain = !text.is_empty()
        && text.chars().all(|char| char.is_ascii_graphic() && !matches!(char, '"' | '\\' | '='));
    if plain { text.to_owned() } else { format!("\"{}\"", text.escape_debug()) }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn text_from_the_network_cannot_forge_a_log_line() {
        assert_eq!(quoted("web01"), "web01");
        assert_eq!(quoted("a b"), "\"a b\"");
        assert_eq!(quoted("x\n2026 INFO forged\u{1b}[2J"), "\"x\\n2026 INFO forged\\u{1b}[2J\"");
    }
}
