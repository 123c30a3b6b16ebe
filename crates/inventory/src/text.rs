//! Bytes to text, and outside text made safe for messages.

use crate::fault::Code;
use crate::limits::{SHOWN_CHARS_MAX, TEXT_BYTES_MAX};
use std::borrow::Cow;

/// Why bytes are no text.
pub(crate) struct NoText {
    pub(crate) code: Code,
    /// Line from 1, 0 for the whole.
    pub(crate) line: u32,
    pub(crate) message: String,
    pub(crate) fix: String,
}

/// UTF-8 with or without mark, or UTF-16 with one: what spreadsheets and `ldifde -u` write.
pub(crate) fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, NoText> {
    if bytes.len() > TEXT_BYTES_MAX {
        return Err(NoText {
            code: Code::Limit,
            line: 0,
            message: format!("the list has {} bytes, more than {TEXT_BYTES_MAX}", bytes.len()),
            fix: "split it and import the parts".to_owned(),
        });
    }
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => utf8(rest).map(Cow::Borrowed),
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes).map(Cow::Owned),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes).map(Cow::Owned),
        _ => utf8(bytes).map(Cow::Borrowed),
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, NoText> {
    std::str::from_utf8(bytes).map_err(|error| {
        let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let byte = bytes.get(error.valid_up_to()).copied().unwrap_or_default();
        NoText {
            code: Code::Encoding,
            line: line_of(good),
            message: format!("byte 0x{byte:02x} is not UTF-8"),
            fix: "save the list as UTF-8; in a spreadsheet choose `CSV UTF-8`".to_owned(),
        }
    })
}

fn utf16(bytes: &[u8], unit: impl Fn([u8; 2]) -> u16) -> Result<String, NoText> {
    let (pairs, odd) = bytes.as_chunks::<2>();
    let decoded: Result<String, _> = char::decode_utf16(pairs.iter().map(|pair| unit(*pair))).collect();
    match decoded {
        Ok(text) if odd.is_empty() => Ok(text),
        _ => Err(NoText {
            code: Code::Encoding,
            line: 0,
            message: "the list begins like UTF-16 and is not".to_owned(),
            fix: "save the list as UTF-8".to_owned(),
        }),
    }
}

/// Number of the line that follows these bytes, from 1.
pub(crate) fn line_of(before: &[u8]) -> u32 {
    let breaks = before.iter().filter(|&&byte| byte == b'\n').count();
    u32::try_from(breaks).unwrap_or(u32::MAX).saturating_add(1)
}

/// Numbers the lines of a text from front to back, each byte looked at once.
pub(crate) struct LineCounter<'a> {
    bytes: &'a [u8],
    at: usize,
    line: u32,
}

impl<'a> LineCounter<'a> {
    pub(crate) fn new(text: &'a str) -> LineCounter<'a> {
        LineCounter { bytes: text.as_bytes(), at: 0, line: 1 }
    }

    /// The line on which what begins at or after `start` begins: line ends there belong to nothing. `start` never falls.
    pub(crate) fn of_next(&mut self, start: usize) -> u32 {
        let rest = self.bytes.get(start..).unwrap_or_default();
        let ends = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let passed = self.bytes.get(self.at..start + ends).unwrap_or_default();
        self.line = self.line.saturating_add(line_of(passed) - 1);
        self.at = self.at.max(start + ends);
        self.line
    }
}

/// Lines with their numbers from 1, without line ends.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = (u32, &str)> {
    (1u32..).zip(text.lines())
}

/// Outside text for a message: cut, and without what could turn or move the text around it.
pub(crate) fn shown(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(SHOWN_CHARS_MAX)
        .map(|c| if c.is_control() || turns(c) { '\u{fffd}' } else { c })
        .collect();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// Marks that change the direction of text, and separators a terminal may take for a line end.
fn turns(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_encodings_of_spreadsheets_are_read() {
        let read = |bytes: &[u8]| decode(bytes).ok().map(Cow::into_owned);
        assert_eq!(read("\u{feff}näme".as_bytes()).as_deref(), Some("näme"));
        assert_eq!(read("näme".as_bytes()).as_deref(), Some("näme"));
        let units: Vec<u16> = "\u{feff}näme".encode_utf16().collect();
        let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        assert_eq!(read(&little).as_deref(), Some("näme"));
        assert_eq!(read(&big).as_deref(), Some("näme"));
    }

    #[test]
    fn another_encoding_is_refused_with_its_line() {
        let error = decode(b"name\nm\xfcnchen\n").err().unwrap();
        assert_eq!((error.code, error.line), (Code::Encoding, 2));
        assert!(error.message.contains("0xfc"));
        assert!(decode(&[0xff, 0xfe, 0x41]).is_err(), "half a unit");
        assert!(decode(&[0xff, 0xfe, 0x00, 0xd8]).is_err(), "half a pair");
    }

    #[test]
    fn what_a_message_shows_moves_nothing() {
        assert_eq!(shown("a\x1b[2Jb\u{202e}c"), "a\u{fffd}[2Jb\u{fffd}c");
        assert_eq!(shown(&"x".repeat(100)).chars().count(), SHOWN_CHARS_MAX + 1);
    }
}
