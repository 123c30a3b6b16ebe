//! The document as a tree in which every value and key knows its place.
//!
//! Built from `saphyr-parser` events without recursion. Aliases are expanded here, under a budget, so nothing
//! behind this module meets one. Scalars stay text: what a plain `12` or `no` means is decided by the schema.

use crate::fault::{Code, Draft, Faults};
use crate::limits::{ALIAS_NODES_MAX, DEPTH_MAX, KEY_BYTES_MAX, NODES_MAX, VALUE_BYTES_MAX};
use crate::source::Spot;
use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// One value.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Node {
    pub(crate) spot: Spot,
    pub(crate) kind: Kind,
    /// Something in it was faulty and has been left out.
    pub(crate) spoiled: bool,
}

/// What a value is. The reader makes `Plain`, `Text`, `List` and `Map`; the checker turns each `Plain` into what its key wants.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Kind {
    /// Unquoted text, meaning not yet known.
    Plain(String),
    Text(String),
    Integer(i64),
    Bool(bool),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One key and its value.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) spot: Spot,
    pub(crate) value: Node,
}

/// One step of a path into a tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

impl Node {
    pub(crate) fn new(spot: Spot, kind: Kind) -> Node {
        Node { spot, kind, spoiled: false }
    }

    pub(crate) fn empty_map(spot: Spot) -> Node {
        Node::new(spot, Kind::Map(Vec::new()))
    }

    /// True for the ways YAML 1.2 writes null (core schema, §10.3.2).
    pub(crate) fn is_null(&self) -> bool {
        match &self.kind {
            Kind::Plain(text) => matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"),
            _ => false,
        }
    }

    /// The text of a scalar.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Plain(text) | Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.kind {
            Kind::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// Follows the path as far as it leads; returns the last value met and the number of steps taken.
    pub(crate) fn follow(&self, steps: &[Step<'_>]) -> (&Node, usize) {
        let mut node = self;
        for (taken, step) in steps.iter().enumerate() {
            let next = match (*step, &node.kind) {
                (Step::Key(key), _) => node.entry(key).map(|entry| &entry.value),
                (Step::Index(index), Kind::List(items)) => items.get(index),
                (Step::Index(_), _) => None,
            };
            match next {
                Some(next) => node = next,
                None => return (node, taken),
            }
        }
        (node, steps.len())
    }
}

/// What all texts of one load may spend together.
#[derive(Debug)]
pub(crate) struct Budget {
    nodes_left: usize,
    alias_nodes_left: usize,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget { nodes_left: NODES_MAX, alias_nodes_left: ALIAS_NODES_MAX }
    }
}

/// A finished value with its number of nodes and its height.
#[derive(Clone)]
struct Built {
    node: Node,
    size: usize,
    height: usize,
}

/// A list or map that is still open.
struct Frame {
    spot: Spot,
    anchor: usize,
    size: usize,
    height: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        seen: BTreeMap<String, Spot>,
        /// The key read last: `Some(None)` when it was faulty and its value is to be dropped.
        pending: Option<Option<(String, Spot)>>,
    },
}

/// Reads one text. `None` after a fault that leaves no tree; an empty text is an empty map.
pub(crate) fn read(source: u32, text: &str, budget: &mut Budget, faults: &mut Faults) -> Option<Node> {
    let start = Spot { source, line: 1, column: 1, length: 1 };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader =
        Reader { source, budget, faults, stack: Vec::new(), anchors: BTreeMap::new(), root: None };
    let mut parser = Parser::new_from_str(text);
    let mut documents = 0usize;
    while let Some(next) = parser.next_event() {
        let (event, span) = match next {
            Ok(found) => found,
            Err(error) => {
                let mark = *error.marker();
                let spot = spot(source, &Span::new(mark, mark));
                let tab = error.info().contains("tab");
                let mut draft =
                    Draft::new(Code::Syntax, spot, format!("not readable as YAML: {}", error.info()));
                if tab {
                    draft = draft.hint("indent with spaces");
                } else if error.info().contains("mapping values are not allowed") {
                    draft = draft.fix("check the indentation of this line; quote text that contains `: `");
                }
                reader.faults.add(draft);
                return None;
            }
        };
        if let Event::DocumentStart(_) = event {
            documents += 1;
            if documents > 1 {
                let draft = Draft::new(Code::Syntax, spot(source, &span), "a second document in one file")
                    .fix("put it into a file of its own, or remove the `---`");
                reader.faults.add(draft);
                return None;
            }
        }
        reader.take(event, &span)?;
    }
    Some(reader.root.unwrap_or_else(|| Node::empty_map(start)))
}

fn spot(source: u32, span: &Span) -> Spot {
    let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let length = if span.start.line() == span.end.line() {
        span.end.col().saturating_sub(span.start.col())
    } else if span.end.index() > span.start.index() {
        // Runs over the end of the line; the report cuts it there.
        span.end.index() - span.start.index()
    } else {
        1
    };
    Spot {
        source,
        line: small(span.start.line().max(1)),
        column: small(span.start.col() + 1),
        length: small(length.max(1)),
    }
}

struct Reader<'a> {
    source: u32,
    budget: &'a mut Budget,
    faults: &'a mut Faults,
    stack: Vec<Frame>,
    anchors: BTreeMap<usize, Built>,
    root: Option<Node>,
}

impl Reader<'_> {
    /// `None` ends the reading.
    fn take(&mut self, event: Event<'_>, span: &Span) -> Option<()> {
        let spot = spot(self.source, span);
        match event {
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Some(()),
            Event::Scalar(text, style, anchor, tag) => {
                self.spend(1, spot)?;
                if text.len() > VALUE_BYTES_MAX {
                    let message = format!("a value of {} bytes; the limit is {VALUE_BYTES_MAX}", text.len());
                    self.faults.add(Draft::new(Code::Limit, spot, message));
                    return None;
                }
                let as_text = self.tag(tag, spot, "str");
                let kind = match style {
                    ScalarStyle::Plain if !as_text => Kind::Plain(text.into_owned()),
                    // Block scalars end in a line break that nobody means.
                    ScalarStyle::Literal | ScalarStyle::Folded => {
                        Kind::Text(text.trim_end_matches('\n').to_owned())
                    }
                    _ => Kind::Text(text.into_owned()),
                };
                let built = Built { node: Node::new(spot, kind), size: 1, height: 0 };
                self.remember(anchor, &built);
                self.attach(built)
            }
            Event::SequenceStart(anchor, tag) => {
                self.tag(tag, spot, "seq");
                self.open(spot, anchor, Content::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.tag(tag, spot, "map");
                let content = Content::Map { entries: Vec::new(), seen: BTreeMap::new(), pending: None };
                self.open(spot, anchor, content)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let frame = self.stack.pop()?;
                let kind = match frame.content {
                    Content::List(items) => Kind::List(items),
                    Content::Map { entries, .. } => Kind::Map(entries),
                };
                let built =
                    Built { node: Node::new(frame.spot, kind), size: frame.size, height: frame.height };
                self.remember(frame.anchor, &built);
                self.attach(built)
            }
            Event::Alias(anchor) => self.alias(anchor, spot),
        }
    }

    fn open(&mut self, spot: Spot, anchor: usize, content: Content) -> Option<()> {
        self.spend(1, spot)?;
        self.fits_depth(1, spot)?;
        let spot = Spot { length: 1, ..spot };
        self.stack.push(Frame { spot, anchor, size: 1, height: 1, content });
        Some(())
    }

    fn alias(&mut self, anchor: usize, spot: Spot) -> Option<()> {
        let Some(built) = self.anchors.get(&anchor) else {
            let message = "an alias of a value that is not complete yet: it would contain itself";
            self.faults.add(Draft::new(Code::Syntax, spot, message));
            return None;
        };
        let (size, height) = (built.size, built.height);
        let Some(left) = self.budget.alias_nodes_left.checked_sub(size) else {
            let message = format!("aliases stand for more than {ALIAS_NODES_MAX} values");
            self.faults.add(Draft::new(Code::Limit, spot, message));
            return None;
        };
        self.budget.alias_nodes_left = left;
        self.spend(size, spot)?;
        self.fits_depth(height, spot)?;
        let built = self.anchors.get(&anchor)?.clone();
        self.attach(built)
    }

    fn spend(&mut self, nodes: usize, spot: Spot) -> Option<()> {
        match self.budget.nodes_left.checked_sub(nodes) {
            Some(left) => self.budget.nodes_left = left,
            None => {
                let message = format!("more than {NODES_MAX} values in the configuration");
                self.faults.add(Draft::new(Code::Limit, spot, message));
                return None;
            }
        }
        Some(())
    }

    fn fits_depth(&mut self, more: usize, spot: Spot) -> Option<()> {
        if self.stack.len() + more > DEPTH_MAX {
            let message = format!("nested deeper than {DEPTH_MAX} levels");
            self.faults.add(Draft::new(Code::Limit, spot, message));
            return None;
        }
        Some(())
    }

    /// Reports a tag other than the one YAML would give the value anyway; true for that one.
    fn tag(&mut self, tag: Option<Cow<'_, Tag>>, spot: Spot, natural: &str) -> bool {
        match tag {
            None => false,
            Some(tag) if tag.is_yaml_core_schema() && tag.suffix == natural => true,
            Some(tag) => {
                let message = format!("the tag `{}{}` is not read here", tag.handle, tag.suffix);
                self.faults.add(
                    Draft::new(Code::Syntax, spot, message)
                        .fix("remove the tag; quote text that must stay text"),
                );
                false
            }
        }
    }

    fn remember(&mut self, anchor: usize, built: &Built) {
        if anchor > 0 {
            // A copy per anchor; refused later all the same when used too often.
            self.anchors.insert(anchor, built.clone());
        }
    }

    fn attach(&mut self, built: Built) -> Option<()> {
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some(built.node);
            return Some(());
        };
        frame.size += built.size;
        frame.height = frame.height.max(built.height + 1);
        match &mut frame.content {
            Content::List(items) => items.push(built.node),
            Content::Map { entries, seen, pending } => match pending.take() {
                Some(Some((key, spot))) => entries.push(Entry { key, spot, value: built.node }),
                Some(None) => {}
                None => *pending = Some(key(built.node, seen, self.faults)),
            },
        }
        Some(())
    }
}

/// A key must be a short text that was not used before in its map.
fn key(node: Node, seen: &mut BTreeMap<String, Spot>, faults: &mut Faults) -> Option<(String, Spot)> {
    let spot = node.spot;
    let (Kind::Plain(text) | Kind::Text(text)) = node.kind else {
        faults.add(Draft::new(Code::WrongType, spot, "a list or map as a key; keys are text"));
        return None;
    };
    if text.len() > KEY_BYTES_MAX {
        faults.add(Draft::new(Code::Limit, spot, format!("a key longer than {KEY_BYTES_MAX} bytes")));
        return None;
    }
    if let Some(first) = seen.get(&text) {
        let message = format!("key `{text}` stands twice");
        faults.add(Draft::new(Code::DuplicateKey, spot, message).first_at(*first));
        return None;
    }
    seen.insert(text.clone(), spot);
    Some((text, spot))
}

#[cfg(test)]
mod tests;
