//! Any text a machine may have sent, at every place where it becomes text again: a log line in both forms, an event, a cell of
//! the command line, a boot script. No raw control byte, no further line, no command that is not ours.
//!
//! Input: two texts, parted by the first NUL.
#![no_main]

#[path = "../../crates/reveille/src/cmd/table/columns.rs"]
mod columns;
#[path = "../../crates/reveille/src/log.rs"]
#[expect(dead_code, reason = "the daemon starts it on standard error; here it writes into a buffer")]
mod log;

use libfuzzer_sys::fuzz_target;
use render::cmdline::Additions;
use render::ipxe::Origin;
use render::{BootImage, ipxe, message, pxelinux};
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tracing::Dispatch;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use types::resource::{Host, Image, ImageKind};
use types::{Event, EventName, Facts, Firmware};

fuzz_target!(|bytes: &[u8]| {
    let at = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let (one, other) = bytes.split_at(at);
    let one = String::from_utf8_lossy(one);
    let other = String::from_utf8_lossy(other.get(1..).unwrap_or_default());
    shown(&one, &other);
    rendered(&one, &other);
});

/// Log, event stream, table.
fn shown(one: &str, other: &str) {
    // Names of hosts, boots and interfaces are ours and checked elsewhere; fields are anybody's.
    let event = Event::new(EventName::TftpRefused).with("file", one).with("text", other);
    for (log, is_json) in [(&logs()[0], false), (&logs()[1], true)] {
        tracing::dispatcher::with_default(log, || log::event(&event));
        let text = std::mem::take(&mut *written().lock().unwrap_or_else(PoisonError::into_inner));
        one_line(&text);
        if is_json {
            let line: serde_json::Value = serde_json::from_str(&text).expect("a JSON line");
            assert_eq!(line["level"], "INFO");
        }
    }
    let line = admin::fuzzing::event_line(&event);
    assert!(!line.chars().any(char::is_control), "{line:?}");
    let line: serde_json::Value = serde_json::from_str(&line).expect("a JSON line");
    assert_eq!(line["event"], "tftp.refused");
    if !one.chars().any(char::is_control) {
        assert_eq!(line["file"], one);
    }

    let table = columns::render(&["A", "B"], &[vec![one.to_owned(), other.to_owned()]]);
    assert_eq!(table.lines().count(), 2, "{table:?}");
    assert!(!table.chars().any(|char| char.is_control() && char != '\n'), "{table:?}");
}

fn one_line(text: &str) {
    let line = text.strip_suffix('\n').expect("a line ends");
    assert!(!line.chars().any(char::is_control), "{line:?}");
}

/// Scripts and configurations.
fn rendered(one: &str, other: &str) {
    let facts = Facts { vendor: Some(one.into()), serial: Some(other.into()), ..Facts::default() };
    no_more_than(&ipxe::message(one, None), &ipxe::message("", None), 1 + usize::from(!one.is_empty()) * 64);
    ascii(&message::no_rule(&facts, 1));
    ascii(&pxelinux::message(one));
    let image = Image {
        kernel: Some(one.to_owned()),
        initrd: vec![other.to_owned()],
        cmdline: one.to_owned(),
        script: Some(other.to_owned()),
        description: other.to_owned(),
        ..Image::new("debian".parse().expect("a name"), ImageKind::Linux)
    };
    let host: Option<Host> = serde_json::from_value(serde_json::json!({
        "name": "web01", "match": { "mac": "52:54:00:00:00:01" }, "kernel_args_append": [other],
    }))
    .ok();
    let boot = BootImage {
        image: &image,
        host: host.as_ref(),
        generation: 1,
        firmware: Some(Firmware::UefiX64),
        additions: Additions::default(),
    };
    let origin = Origin::http(IpAddr::V4(Ipv4Addr::LOCALHOST), 80);
    if let Ok(script) = ipxe::image(&boot, origin) {
        ascii(&script);
        let plain = plain(&image, &boot, origin);
        assert_eq!(script.lines().count(), plain.lines().count(), "{script}");
        for (line, own) in script.lines().zip(plain.lines()) {
            assert_eq!(line.split(' ').next(), own.split(' ').next(), "{script}");
        }
    }
    if let Ok(configuration) = pxelinux::image(&boot) {
        ascii(&configuration);
        let directives = configuration.lines().filter(|line| line.trim_start().starts_with("KERNEL")).count();
        assert!(directives <= 1, "{configuration}");
    }
    let menu = ipxe::menu(&[&image], 1, origin, None);
    ascii(&menu);
    assert_eq!(menu.lines().filter(|line| line.starts_with("item ")).count(), 2, "{menu}");
}

/// The same script with harmless values.
fn plain(image: &Image, boot: &BootImage<'_>, origin: Origin) -> String {
    let image =
        Image { kernel: Some("k".into()), initrd: vec!["i".into()], cmdline: "c".into(), ..image.clone() };
    ipxe::image(&BootImage { image: &image, host: None, ..boot.clone() }, origin).expect("harmless values")
}

fn no_more_than(script: &str, plain: &str, lines: usize) {
    ascii(script);
    assert!(script.lines().count() <= plain.lines().count() + lines, "{script}");
}

fn ascii(text: &str) {
    let raw = text.chars().find(|char| !(*char == '\n' || *char == ' ' || char.is_ascii_graphic()));
    assert!(raw.is_none(), "{raw:?} in {text:?}");
}

fn written() -> &'static Arc<Mutex<String>> {
    static WRITTEN: OnceLock<Arc<Mutex<String>>> = OnceLock::new();
    WRITTEN.get_or_init(Arc::default)
}

fn logs() -> &'static [Dispatch; 2] {
    static LOGS: OnceLock<[Dispatch; 2]> = OnceLock::new();
    LOGS.get_or_init(|| {
        [log::Format::Text, log::Format::Json]
            .map(|format| log::subscriber("trace", format, false, BoxMakeWriter::new(|| Sink)))
    })
}

struct Sink;

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = std::str::from_utf8(bytes).expect("the log is text");
        written().lock().unwrap_or_else(PoisonError::into_inner).push_str(text);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
