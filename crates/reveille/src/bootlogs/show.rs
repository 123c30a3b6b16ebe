//! A log as an operator sees it: what an installer wrote is a stranger's text.

use super::{Kept, Log};
use admin::view::{BootLogView, timestamp};
use std::fmt::Write as _;

/// Text whose control characters are written out (`\x1b`), line ends and tabs apart: nothing in it moves a cursor or turns the
/// direction of writing. Bytes that are no UTF-8 are written out likewise; a carriage return before a line end falls away.
pub(crate) fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        let mut chars = chunk.valid().chars().peekable();
        while let Some(one) = chars.next() {
            match one {
                '\n' | '\t' => text.push(one),
                '\r' if chars.peek() == Some(&'\n') => {}
                one if u32::from(one) < 0x100 && one.is_control() => {
                    let _ = write!(text, "\\x{:02x}", u32::from(one));
                }
                '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                    let _ = write!(text, "\\u{{{:x}}}", u32::from(one));
                }
                one => text.push(one),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// One log of a boot as the API shows it.
pub(crate) fn view(boot: &str, kept: &Kept, name: &str, log: &Log) -> BootLogView {
    BootLogView {
        boot: boot.to_owned(),
        host: kept.about.host.clone(),
        mac: kept.about.mac.as_ref().and_then(|mac| mac.parse().ok()),
        image: kept.about.image.clone(),
        name: name.to_owned(),
        bytes: log.bytes,
        received: timestamp(log.received_ms),
        text: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_log_reaches_a_terminal_as_a_command() {
        assert_eq!(escaped(b"a\tb\r\nc\x1b[31m\x07\x00\rd"), "a\tb\nc\\x1b[31m\\x07\\x00\\x0dd");
        assert_eq!(escaped(b"\xff\xfegr\xc3\xbc\xc3\x9fe"), "\\xff\\xfegrüße");
        assert_eq!(escaped("\u{9b}31m \u{202e}evil".as_bytes()), "\\x9b31m \\u{202e}evil");
        let shown = escaped(&(0..=255u8).collect::<Vec<_>>());
        assert!(shown.chars().all(|one| !one.is_control() || matches!(one, '\n' | '\t')));
    }
}
