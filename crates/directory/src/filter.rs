//! Search filters as text (RFC 4515) and as they travel (RFC 4511 §4.5.1.7).

use crate::ber::{nested, octets, tlv};
use crate::limits::{FILTER_DEPTH_MAX, TEXT_BYTES_MAX};
use std::fmt;
use std::str::FromStr;

/// A checked filter.
#[derive(Clone, PartialEq, Eq)]
pub struct Filter {
    text: String,
    encoded: Vec<u8>,
}

/// The text is no filter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FilterParseError {
    /// Byte of the text where it goes wrong.
    pub at: usize,
    /// What should stand there.
    pub wanted: &'static str,
}

impl fmt::Display for FilterParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "not a filter, from character {} on: {}; write one such as (&(objectClass=computer)(netbootGUID=*))",
            self.at + 1,
            self.wanted
        )
    }
}

impl std::error::Error for FilterParseError {}

impl Default for Filter {
    /// Everything that WDS knows: `(netbootGUID=*)`.
    fn default() -> Self {
        Filter { text: "(netbootGUID=*)".to_owned(), encoded: tlv(0x87, b"netbootGUID") }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Filter {
    /// As it travels.
    pub(crate) fn encoded(&self) -> &[u8] {
        &self.encoded
    }

    /// Every entry: what a base that is read by itself is asked with.
    pub(crate) fn any() -> Filter {
        Filter { text: "(objectClass=*)".to_owned(), encoded: tlv(0x87, b"objectClass") }
    }
}

impl FromStr for Filter {
    type Err = FilterParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(FilterParseError { at: TEXT_BYTES_MAX, wanted: "it is too long" });
        }
        let mut parser = Parser { bytes: text.as_bytes(), at: 0 };
        let encoded = parser.filter(0)?;
        if parser.at < text.len() {
            return Err(parser.error("nothing may follow"));
        }
        Ok(Filter { text: text.to_owned(), encoded })
    }
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Parser<'_> {
    fn error(&self, wanted: &'static str) -> FilterParseError {
        FilterParseError { at: self.at, wanted }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8, wanted: &'static str) -> Result<(), FilterParseError> {
        if self.peek() != Some(byte) {
            return Err(self.error(wanted));
        }
        self.at += 1;
        Ok(())
    }

    fn filter(&mut self, depth: usize) -> Result<Vec<u8>, FilterParseError> {
        if depth > FILTER_DEPTH_MAX {
            return Err(self.error("it is nested too deeply"));
        }
        self.eat(b'(', "`(` is missing")?;
        let encoded = match self.peek() {
            Some(b'&') => nested(0xa0, &self.list(depth)?),
            Some(b'|') => nested(0xa1, &self.list(depth)?),
            Some(b'!') => {
                self.at += 1;
                tlv(0xa2, &self.filter(depth + 1)?)
            }
            _ => self.item()?,
        };
        self.eat(b')', "`)` is missing")?;
        Ok(encoded)
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Vec<u8>>, FilterParseError> {
        self.at += 1;
        let mut parts = Vec::new();
        while self.peek() == Some(b'(') {
            parts.push(self.filter(depth + 1)?);
        }
        Ok(parts)
    }

    fn item(&mut self) -> Result<Vec<u8>, FilterParseError> {
        let attribute = self.word();
        match self.peek() {
            Some(b'=') if !attribute.is_empty() => {
                self.at += 1;
                let parts = self.value()?;
                match &parts[..] {
                    [only] => Ok(nested(0xa3, &[octets(&attribute), octets(only)])),
                    [first, last] if first.is_empty() && last.is_empty() => Ok(tlv(0x87, &attribute)),
                    parts => Ok(substrings(&attribute, parts)),
                }
            }
            Some(relation @ (b'>' | b'<' | b'~')) if !attribute.is_empty() => {
                self.at += 1;
                self.eat(b'=', "`=` is missing")?;
                let tag = match relation {
                    b'>' => 0xa5,
                    b'<' => 0xa6,
                    _ => 0xa8,
                };
                Ok(nested(tag, &[octets(&attribute), octets(&self.single()?)]))
            }
            Some(b':') => self.extensible(&attribute),
            _ if attribute.is_empty() => Err(self.error("an attribute should stand here")),
            _ => Err(self.error("`=` is missing")),
        }
    }

    /// `attr:dn:rule:=value`; bitwise rules of Active Directory are written so.
    fn extensible(&mut self, attribute: &[u8]) -> Result<Vec<u8>, FilterParseError> {
        let mut rule: Option<Vec<u8>> = None;
        let mut of_dn = false;
        loop {
            self.eat(b':', "`:=` is missing")?;
            if self.peek() == Some(b'=') {
                self.at += 1;
                break;
            }
            let word = self.word();
            match &word[..] {
                b"" => return Err(self.error("a matching rule should stand here")),
                b"dn" | b"DN" if !of_dn && rule.is_none() => of_dn = true,
                _ if rule.is_none() => rule = Some(word),
                _ => return Err(self.error("`:=` is missing")),
            }
        }
        if attribute.is_empty() && rule.is_none() {
            return Err(self.error("an attribute or a matching rule is missing"));
        }
        let mut parts = Vec::new();
        parts.extend(rule.map(|rule| tlv(0x81, &rule)));
        if !attribute.is_empty() {
            parts.push(tlv(0x82, attribute));
        }
        parts.push(tlv(0x83, &self.single()?));
        if of_dn {
            parts.push(tlv(0x84, &[0xff]));
        }
        Ok(nested(0xa9, &parts))
    }

    /// An attribute description or an OID (RFC 4512 §2.5): letters, digits, `-`, `.`, and options by `;`.
    fn word(&mut self) -> Vec<u8> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let inside = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(**byte, b'-' | b'.' | b';' | b'_');
        let word: Vec<u8> = rest.iter().take_while(inside).copied().collect();
        self.at += word.len();
        word
    }

    /// A value without `*`.
    fn single(&mut self) -> Result<Vec<u8>, FilterParseError> {
        let mut parts = self.value()?;
        match parts.pop() {
            Some(only) if parts.is_empty() => Ok(only),
            _ => Err(self.error("`*` cannot stand here; write it as \\2a")),
        }
    }

    /// A value up to the closing parenthesis, split at each `*`, without escapes.
    fn value(&mut self) -> Result<Vec<Vec<u8>>, FilterParseError> {
        let mut parts: Vec<Vec<u8>> = Vec::new();
        let mut part = Vec::new();
        loop {
            match self.peek() {
                None | Some(b')') => {
                    parts.push(part);
                    return Ok(parts);
                }
                Some(b'*') => parts.push(std::mem::take(&mut part)),
                Some(b'(' | 0) => {
                    return Err(self.error("this character is written as \\ and two hex digits"));
                }
                Some(b'\\') => {
                    let digits = self.bytes.get(self.at + 1..self.at + 3);
                    let text = digits.and_then(|digits| std::str::from_utf8(digits).ok());
                    let all_hex = |text: &&str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
                    let byte = text.filter(all_hex).and_then(|text| u8::from_str_radix(text, 16).ok());
                    part.push(byte.ok_or_else(|| self.error("`\\` is followed by two hex digits"))?);
                    self.at += 2;
                }
                Some(byte) => part.push(byte),
            }
            self.at += 1;
        }
    }
}

fn substrings(attribute: &[u8], parts: &[Vec<u8>]) -> Vec<u8> {
    let last = parts.len().saturating_sub(1);
    let pieces: Vec<Vec<u8>> = parts
        .iter()
        .enumerate()
        .filter(|(_, part)| !part.is_empty())
        .map(|(at, part)| {
            let tag = match at {
                0 => 0x80,
                at if at == last => 0x82,
                _ => 0x81,
            };
            tlv(tag, part)
        })
        .collect();
    nested(0xa4, &[octets(attribute), nested(crate::ber::SEQUENCE, &pieces)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(text: &str) -> Vec<u8> {
        text.parse::<Filter>().unwrap().encoded
    }

    #[test]
    fn every_form_is_encoded_as_it_travels() {
        assert_eq!(encoded("(netbootGUID=*)"), Filter::default().encoded);
        assert_eq!(encoded("(a=b)"), b"\xa3\x06\x04\x01a\x04\x01b");
        assert_eq!(encoded("(a=)"), b"\xa3\x05\x04\x01a\x04\x00");
        assert_eq!(encoded("(a>=b)"), b"\xa5\x06\x04\x01a\x04\x01b");
        assert_eq!(encoded("(a<=b)"), b"\xa6\x06\x04\x01a\x04\x01b");
        assert_eq!(encoded("(a~=b)"), b"\xa8\x06\x04\x01a\x04\x01b");
        assert_eq!(encoded("(a=\\28\\00)"), b"\xa3\x07\x04\x01a\x04\x02(\x00");
        assert_eq!(encoded("(&)"), b"\xa0\x00");
        assert_eq!(encoded("(!(a=*))"), b"\xa2\x03\x87\x01a");
        assert_eq!(encoded("(|(a=*)(b=*))"), b"\xa1\x06\x87\x01a\x87\x01b");
        assert_eq!(encoded("(a=x*y*z)"), b"\xa4\x0e\x04\x01a\x30\x09\x80\x01x\x81\x01y\x82\x01z");
        assert_eq!(encoded("(a=*y)"), b"\xa4\x08\x04\x01a\x30\x03\x82\x01y");
        assert_eq!(encoded("(a:=b)"), b"\xa9\x06\x82\x01a\x83\x01b");
        assert_eq!(encoded("(a:dn:1.2:=b)"), b"\xa9\x0e\x81\x031.2\x82\x01a\x83\x01b\x84\x01\xff");
        assert_eq!(encoded("(:1.2:=b)"), b"\xa9\x08\x81\x031.2\x83\x01b");
    }

    #[test]
    fn what_is_no_filter_says_where() {
        for (text, at) in [
            ("", 0),
            ("a=b", 0),
            ("(a=b", 4),
            ("(a=b))", 5),
            ("(=b)", 1),
            ("(a)", 2),
            ("(a=(b)", 3),
            ("(a=\\2)", 3),
            ("(a>b)", 3),
            ("(a>=*)", 5),
            ("(&(a=b)", 7),
            ("(a:b:c:=d)", 6),
            ("(:=d)", 3),
        ] {
            assert_eq!(text.parse::<Filter>().unwrap_err().at, at, "{text}");
        }
        let deep = format!("{}(a=b){}", "(!".repeat(100), ")".repeat(100));
        assert_eq!(deep.parse::<Filter>().unwrap_err().wanted, "it is nested too deeply");
        assert!("(".repeat(TEXT_BYTES_MAX + 1).parse::<Filter>().is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[()&|!=*<>~:\\\\a-c2.\\PC]{0,40}") {
            let _ = text.parse::<Filter>();
        }
    }
}
