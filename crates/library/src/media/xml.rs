//! XML of depots, as a small tree: names without prefix, hyphen, underscore or case, so that `packed-size`, `packedSize` and
//! `vmw:packed_size` are one. What we know of these files was seen in part only.
//!
//! Refused: document type declarations (and with them every entity but the five of XML), what is not UTF-8, and more bytes,
//! depth, elements or attributes than the limits allow. A tree is at most a small multiple of its text.

use super::{MediaError, Refusal};
use crate::limits::{XML_ATTRIBUTES_MAX, XML_BYTES_MAX, XML_DEPTH_MAX, XML_ELEMENTS_MAX};
use quick_xml::Reader;
use quick_xml::escape::{resolve_predefined_entity, unescape};
use quick_xml::events::{BytesStart, Event};

/// One element.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Element {
    pub(super) name: String,
    attributes: Vec<(String, String)>,
    /// Its own text, pieces put together, ends trimmed.
    pub(super) text: String,
    pub(super) children: Vec<Element>,
}

impl Element {
    /// Reads a document; `what` names it in refusals.
    pub(super) fn parse(bytes: &[u8], what: &str) -> Result<Element, MediaError> {
        if bytes.len() as u64 > XML_BYTES_MAX {
            return Err(MediaError::limit(format!("{what} has more than {XML_BYTES_MAX} bytes")));
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let text = std::str::from_utf8(bytes)
            .map_err(|_| MediaError::malformed(format!("{what} is not UTF-8, the only encoding read")))?;
        read(text, what)
    }

    /// The children of that name (without hyphens, in lower case).
    pub(super) fn all<'e>(&'e self, name: &'e str) -> impl Iterator<Item = &'e Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The first child of that name.
    pub(super) fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of a child, or an attribute, of the first of these names that says something. Children first: the `version`
    /// of a package is an element, that of its format an attribute beside it.
    pub(super) fn value(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| {
            let child = self.child(name).map(|child| child.text.as_str());
            let attribute =
                self.attributes.iter().find(|(own, _)| own == name).map(|(_, value)| value.trim());
            child.filter(|text| !text.is_empty()).or(attribute.filter(|value| !value.is_empty()))
        })
    }

    /// Every element of that name at any depth, itself among them.
    pub(super) fn anywhere<'e>(&'e self, name: &str, found: &mut Vec<&'e Element>) {
        if self.name == name {
            found.push(self);
        }
        for child in &self.children {
            child.anywhere(name, found);
        }
    }
}

/// `vmw:Packed-Size` → `packedsize`.
fn plain(name: &str) -> String {
    let local = name.rsplit(':').next().unwrap_or(name);
    local.chars().filter(|char| !matches!(char, '-' | '_')).map(|char| char.to_ascii_lowercase()).collect()
}

fn read(text: &str, what: &str) -> Result<Element, MediaError> {
    let damaged =
        |why: &dyn std::fmt::Display| MediaError::malformed(format!("{what} is no XML that is read: {why}"));
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Element> = Vec::new();
    let mut root = None;
    let mut count = 0usize;
    loop {
        let event = reader.read_event().map_err(|error| damaged(&error))?;
        let (start, empty) = match event {
            Event::Start(start) => (start, false),
            Event::Empty(start) => (start, true),
            Event::End(_) => {
                close(&mut open, &mut root);
                continue;
            }
            Event::Text(piece) => {
                add(&mut open, &piece.xml10_content());
                continue;
            }
            Event::CData(piece) => {
                add(&mut open, &piece.xml10_content());
                continue;
            }
            Event::GeneralRef(reference) => {
                let number = reference.resolve_char_ref().map_err(|error| damaged(&error))?;
                match (number, resolve_predefined_entity(&reference.xml10_content())) {
                    (Some(char), _) => add(&mut open, char.encode_utf8(&mut [0; 4])),
                    (None, Some(text)) => add(&mut open, text),
                    (None, None) => {
                        let text = format!("{what} uses an entity of its own, which is not read");
                        return Err(MediaError::new(Refusal::Unsupported, text));
                    }
                }
                continue;
            }
            Event::DocType(_) => {
                let text = format!("{what} has a document type declaration, which is not read");
                return Err(MediaError::new(Refusal::Unsupported, text));
            }
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => continue,
            Event::Eof => break,
        };
        if open.len() >= XML_DEPTH_MAX {
            return Err(MediaError::limit(format!("{what} is more than {XML_DEPTH_MAX} elements deep")));
        }
        if root.is_some() {
            return Err(damaged(&"something follows its root element"));
        }
        let own = element(&start, what)?;
        count += 1 + own.attributes.len();
        if count > XML_ELEMENTS_MAX {
            let text = format!("{what} has more than {XML_ELEMENTS_MAX} elements and attributes");
            return Err(MediaError::limit(text));
        }
        open.push(own);
        if empty {
            close(&mut open, &mut root);
        }
    }
    match root {
        Some(root) if open.is_empty() => Ok(root),
        _ => Err(damaged(&"it ends before its root element does")),
    }
}

fn element(start: &BytesStart<'_>, what: &str) -> Result<Element, MediaError> {
    let mut own = Element { name: plain(start.name().as_ref()), ..Element::default() };
    // Doubled ones are looked for in all before: the number is small.
    for (number, attribute) in start.attributes().enumerate() {
        if number >= XML_ATTRIBUTES_MAX {
            return Err(MediaError::limit(format!(
                "{what} has an element with more than {XML_ATTRIBUTES_MAX} attributes"
            )));
        }
        let damaged = || MediaError::malformed(format!("{what} has a damaged attribute"));
        let attribute = attribute.map_err(|_| damaged())?;
        let value = unescape(&attribute.value).map_err(|_| damaged())?.into_owned();
        own.attributes.push((plain(attribute.key.as_ref()), value));
    }
    Ok(own)
}

fn close(open: &mut Vec<Element>, root: &mut Option<Element>) {
    let Some(mut done) = open.pop() else { return };
    let trimmed = done.text.trim();
    if trimmed.len() != done.text.len() {
        done.text = trimmed.to_owned();
    }
    match open.last_mut() {
        Some(parent) => parent.children.push(done),
        None => *root = Some(done),
    }
}

fn add(open: &mut [Element], text: &str) {
    if let Some(last) = open.last_mut() {
        // White space between elements means nothing, and there is much of it.
        if !(last.text.is_empty() && text.trim().is_empty()) {
            last.text.push_str(text);
        }
    }
}

#[cfg(test)]
mod tests;
