//! Several sources become one tree: files, then included files, then environment, then flags.
//!
//! Files are peers: maps merge, lists append, and the same single value in two files is a fault. Environment and
//! flags replace what the files say.

use crate::fault::{Code, Draft, Faults};
use crate::limits::{INCLUDED_FILES_MAX, TEXT_BYTES_MAX};
use crate::shape::{FILE, Shape};
use crate::source::{Overrides, Source, Spot, TextOrigin, Texts};
use crate::suggest::nearest;
use crate::tree::{self, Budget, Entry, Kind, Node};
use std::collections::BTreeMap;

/// What variables of ours start with.
pub(crate) const ENVIRONMENT_PREFIX: &str = "REVEILLE__";

/// Fetches the files of one `include` pattern as (path, text), or says why it cannot. The pattern is relative to
/// the file that names it; the caller knows where that is. Called once per pattern.
pub type IncludeLoader<'a> = dyn Fn(&str) -> Result<Vec<(String, String)>, String> + 'a;

/// Reads and merges everything.
pub(crate) struct Merge<'a> {
    pub(crate) texts: &'a mut Texts,
    pub(crate) faults: &'a mut Faults,
    budget: Budget,
    bytes_left: usize,
    /// A text was unreadable: what it would have said is unknown.
    pub(crate) incomplete: bool,
}

impl<'a> Merge<'a> {
    pub(crate) fn new(texts: &'a mut Texts, faults: &'a mut Faults) -> Merge<'a> {
        Merge { texts, faults, budget: Budget::default(), bytes_left: TEXT_BYTES_MAX, incomplete: false }
    }

    pub(crate) fn run(
        &mut self,
        sources: &[Source],
        overrides: &Overrides,
        loader: &IncludeLoader<'_>,
    ) -> Node {
        let mut tree: Option<Node> = None;
        let mut patterns = Vec::new();
        for source in sources {
            if let Some(found) = self.read_file(&source.path, &source.text) {
                patterns.extend(included(&found));
                self.join(&mut tree, found);
            }
        }
        let mut files = Vec::new();
        for (pattern, spot) in patterns {
            match loader(&pattern) {
                Ok(found) => files.extend(found.into_iter().map(|(path, text)| (path, text, spot))),
                Err(why) => {
                    let draft =
                        Draft::new(Code::Include, spot, format!("cannot include `{pattern}`")).cause(why);
                    self.faults.add(draft);
                    self.incomplete = true;
                }
            }
        }
        files.sort_by(|a, b| a.0.cmp(&b.0));
        files.dedup_by(|a, b| a.0 == b.0);
        if let Some((_, _, spot)) = files.get(INCLUDED_FILES_MAX) {
            let message = format!("more than {INCLUDED_FILES_MAX} files are included");
            self.faults.add(Draft::new(Code::Limit, *spot, message));
            self.incomplete = true;
            files.truncate(INCLUDED_FILES_MAX);
        }
        for (path, text, _) in files {
            if let Some(mut found) = self.read_file(&path, &text) {
                self.refuse_include(&mut found);
                self.join(&mut tree, found);
            }
        }
        let mut tree = tree.unwrap_or_else(|| Node::empty_map(Spot::NOWHERE));
        let mut environment: Vec<&(String, String)> = overrides.environment.iter().collect();
        environment.sort();
        for (name, value) in environment {
            if let Some(key) = name.strip_prefix(ENVIRONMENT_PREFIX) {
                let segments: Vec<&str> = key.split("__").collect();
                self.put(&mut tree, TextOrigin::Environment(name.clone()), name, &segments, value);
            }
        }
        for (key, value) in &overrides.flags {
            let segments: Vec<&str> = key.split('.').collect();
            self.put(&mut tree, TextOrigin::Flag(key.clone()), key, &segments, value);
        }
        tree
    }

    pub(crate) fn read_file(&mut self, path: &str, text: &str) -> Option<Node> {
        let found = self.read(TextOrigin::File(path.to_owned()), text);
        self.incomplete |= found.is_none();
        found.map(|mut tree| {
            // Homes of anchors; their aliases are expanded by now.
            if let Kind::Map(entries) = &mut tree.kind {
                entries.retain(|entry| !entry.key.starts_with("x-"));
            }
            tree
        })
    }

    fn read(&mut self, origin: TextOrigin, text: &str) -> Option<Node> {
        match self.bytes_left.checked_sub(text.len()) {
            Some(left) => self.bytes_left = left,
            None => {
                let source = self.texts.add(origin, String::new());
                let spot = Spot { source, line: 1, column: 1, length: 1 };
                let message = format!("{} bytes; all files together may have {TEXT_BYTES_MAX}", text.len());
                self.faults.add(Draft::new(Code::Limit, spot, message));
                return None;
            }
        }
        let source = self.texts.add(origin, text.to_owned());
        tree::read(source, self.texts.text(source), &mut self.budget, self.faults)
    }

    fn refuse_include(&mut self, tree: &mut Node) {
        let Kind::Map(entries) = &mut tree.kind else { return };
        entries.retain(|entry| {
            if entry.key == "include" {
                let draft = Draft::new(Code::Include, entry.spot, "an included file includes others")
                    .fix("name all of them in the first file");
                self.faults.add(draft);
            }
            entry.key != "include"
        });
    }

    pub(crate) fn join(&mut self, tree: &mut Option<Node>, more: Node) {
        match tree {
            None => *tree = Some(more),
            Some(tree) if more.is_null() || tree.is_null() => {
                if tree.is_null() {
                    *tree = more;
                }
            }
            Some(tree) => self.merge(tree, more, ""),
        }
    }

    fn merge(&mut self, into: &mut Node, more: Node, at: &str) {
        match (&mut into.kind, more.kind) {
            (Kind::Map(entries), Kind::Map(others)) => {
                let index: BTreeMap<String, usize> =
                    entries.iter().enumerate().map(|(at, entry)| (entry.key.clone(), at)).collect();
                for other in others {
                    match index.get(&other.key).and_then(|at| entries.get_mut(*at)) {
                        None => entries.push(other),
                        Some(_) if other.value.is_null() => {}
                        Some(entry) if entry.value.is_null() => *entry = other,
                        Some(entry) => {
                            let at = crate::check::join(at, &other.key);
                            self.merge(&mut entry.value, other.value, &at);
                        }
                    }
                }
            }
            (Kind::List(items), Kind::List(others)) => items.extend(others),
            (Kind::Plain(own) | Kind::Text(own), Kind::Plain(other) | Kind::Text(other))
                if *own == other && at == "version" => {}
            _ => {
                let what = if at.is_empty() { "the top of the file" } else { at };
                let draft = Draft::new(Code::DuplicateKey, more.spot, format!("{what} stands in two files"))
                    .first_at(into.spot);
                self.faults.add(draft);
            }
        }
    }

    /// Puts an override in its place, replacing what was there.
    fn put(&mut self, tree: &mut Node, origin: TextOrigin, name: &str, segments: &[&str], value: &str) {
        let shown = format!("{name}={value}");
        let width = |text: &str| u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        let name_spot = |source| Spot { source, line: 1, column: 1, length: width(name).max(1) };
        if value.len() > crate::limits::VALUE_BYTES_MAX {
            let source = self.texts.add(origin, name.to_owned());
            self.faults.add(Draft::new(Code::Limit, name_spot(source), "a value that is too long"));
            return;
        }
        let source = self.texts.add(origin, shown);
        let (keys, shape) = match resolve(segments) {
            Ok(found) => found,
            Err((wrong, place, known)) => {
                let draft = match nearest(&wrong, known.iter().map(String::as_str)) {
                    Some(near) => {
                        Draft::new(Code::Override, name_spot(source), format!("no setting `{wrong}` {place}"))
                            .hint(format!("did you mean `{near}`?"))
                    }
                    None if known.is_empty() => {
                        Draft::new(Code::Override, name_spot(source), format!("no setting `{wrong}` {place}"))
                            .cause("it is a single value or a list; lists are given whole, as JSON")
                    }
                    None => {
                        Draft::new(Code::Override, name_spot(source), format!("no setting `{wrong}` {place}"))
                            .fix(format!(
                                "known are {}",
                                crate::suggest::listed(known.iter().map(String::as_str))
                            ))
                    }
                };
                self.faults.add(draft);
                return;
            }
        };
        let column = width(name) + 2;
        let spot = Spot { source, line: 1, column, length: width(value).max(1) };
        let json = value.starts_with(['[', '{']) && !matches!(shape, Shape::Text { .. });
        let node = if json {
            let mut own = Faults::default();
            match tree::read(source, value, &mut self.budget, &mut own) {
                Some(mut node) if !own.has_errors() => {
                    shift(&mut node, column - 1);
                    node
                }
                _ => {
                    let draft =
                        Draft::new(Code::Override, spot, format!("the value of {name} is not readable"))
                            .hint("write lists as JSON: [\"a\", \"b\"]");
                    self.faults.add(draft);
                    return;
                }
            }
        } else {
            Node::new(spot, Kind::Plain(value.to_owned()))
        };
        if tree.is_null() {
            *tree = Node::empty_map(spot);
        }
        let mut place = tree;
        for (at, key) in keys.iter().enumerate() {
            if !matches!(place.kind, Kind::Map(_)) {
                *place = Node::empty_map(spot);
            }
            let Kind::Map(entries) = &mut place.kind else { return };
            let index = entries.iter().position(|entry| entry.key == *key).unwrap_or_else(|| {
                let value = Node::empty_map(spot);
                entries.push(Entry { key: key.clone(), spot: name_spot(source), value });
                entries.len() - 1
            });
            let Some(entry) = entries.get_mut(index) else { return };
            if at + 1 == keys.len() {
                *entry = Entry { key: key.clone(), spot: name_spot(source), value: node };
                return;
            }
            place = &mut entry.value;
        }
    }
}

/// A segment that names nothing, where that was, and what is known there.
type NoSetting = (String, String, Vec<String>);

/// Finds the keys a variable or flag means. Case and `-` against `_` do not matter: a variable has neither.
fn resolve(segments: &[&str]) -> Result<(Vec<String>, &'static Shape), NoSetting> {
    let mut shape: &'static Shape = &FILE;
    let mut keys = Vec::new();
    for segment in segments {
        let place = if keys.is_empty() { "at the top".to_owned() } else { format!("in {}", keys.join(".")) };
        let plain = |text: &str| text.replace('-', "_").to_lowercase();
        match shape {
            Shape::Record(known) => match known.iter().find(|key| plain(&key.name) == plain(segment)) {
                Some(key) => {
                    keys.push(key.name.clone());
                    shape = &key.shape;
                }
                None => {
                    return Err((
                        segment.to_lowercase(),
                        place,
                        known.iter().map(|key| key.name.clone()).collect(),
                    ));
                }
            },
            Shape::Map(value) => {
                keys.push(segment.to_lowercase());
                shape = value;
            }
            _ => return Err((segment.to_lowercase(), place, Vec::new())),
        }
    }
    Ok((keys, shape))
}

/// Moves the places of a value that stands behind `NAME=`.
fn shift(node: &mut Node, columns: u32) {
    let moved = |spot: &mut Spot| {
        if spot.line == 1 {
            spot.column = spot.column.saturating_add(columns);
        }
    };
    moved(&mut node.spot);
    match &mut node.kind {
        Kind::List(items) => items.iter_mut().for_each(|item| shift(item, columns)),
        Kind::Map(entries) => {
            for entry in entries {
                moved(&mut entry.spot);
                shift(&mut entry.value, columns);
            }
        }
        _ => {}
    }
}

/// The include patterns of a file, as far as they are readable; the checker reports the others.
fn included(tree: &Node) -> Vec<(String, Spot)> {
    match tree.entry("include").map(|entry| &entry.value.kind) {
        Some(Kind::List(items)) => {
            items.iter().filter_map(|item| Some((item.as_text()?.to_owned(), item.spot))).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
