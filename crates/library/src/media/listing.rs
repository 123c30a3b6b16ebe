//! What a medium has. Every check of names, sizes and ranges is here, for our own readers and for what a child says.

use super::{Caps, MediaError, Refusal};
use crate::limits::{FOLDER_DEPTH_MAX, IMAGE_FILES_MAX, MEDIUM_NOTES_MAX, MEDIUM_RANGES_MAX, NOTED_NAMES};
use crate::manifest::check_file_name;
use std::collections::HashSet;

/// Bytes of a medium that lie together.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Range {
    /// Where they start.
    pub offset: u64,
    /// How many; never 0.
    pub size: u64,
}

/// Where the bytes of a file are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Content {
    /// In the medium as they are.
    Ranges(Vec<Range>),
    /// In a compressed stream. The mark is the reader's own.
    Stream {
        /// Where, in the reader's own way of counting.
        mark: u64,
    },
}

/// One file of a medium.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its place in the listing.
    pub index: usize,
    /// Its name: relative, `/` between folders, checked.
    pub name: String,
    /// Its length in bytes.
    pub size: u64,
    /// Where its bytes are.
    pub content: Content,
}

/// The files of a medium, in the order in which reading them is cheapest.
#[derive(Debug)]
pub struct Listing {
    caps: Caps,
    medium_size: u64,
    entries: Vec<Entry>,
    names: HashSet<String>,
    bytes: u64,
    ranges: usize,
    left_out: (usize, Vec<String>),
    notes: Vec<String>,
}

impl Listing {
    /// An empty listing of a medium of that size.
    pub fn new(caps: Caps, medium_size: u64) -> Listing {
        Listing {
            caps,
            medium_size,
            entries: Vec::new(),
            names: HashSet::new(),
            bytes: 0,
            ranges: 0,
            left_out: (0, Vec::new()),
            notes: Vec::new(),
        }
    }

    /// Adds a file. `./` before its name is dropped.
    ///
    /// # Errors
    /// When its name, size, ranges or place among the others is not what we take; see [`Refusal`].
    pub fn add(&mut self, name: &str, size: u64, content: Content) -> Result<(), MediaError> {
        let name = plain(name);
        check_name(name)?;
        if self.entries.len() >= IMAGE_FILES_MAX {
            return Err(MediaError::limit(format!("it has more than {IMAGE_FILES_MAX} files")));
        }
        self.bytes = self.bytes.saturating_add(size);
        if self.bytes > self.caps.bytes_max {
            let text = format!("its files have more than {} bytes together", self.caps.bytes_max);
            return Err(MediaError::limit(text));
        }
        if let Content::Ranges(ranges) = &content {
            self.check_ranges(name, size, ranges)?;
        }
        if !self.names.insert(name.to_owned()) {
            return Err(MediaError::new(Refusal::Twice, format!("two files are called `{name}`")));
        }
        self.entries.push(Entry { index: self.entries.len(), name: name.to_owned(), size, content });
        Ok(())
    }

    fn check_ranges(&mut self, name: &str, size: u64, ranges: &[Range]) -> Result<(), MediaError> {
        self.ranges += ranges.len();
        if self.ranges > MEDIUM_RANGES_MAX {
            return Err(MediaError::limit(format!("its files lie in more than {MEDIUM_RANGES_MAX} pieces")));
        }
        let mut sum = 0u64;
        for range in ranges {
            let end = range.offset.checked_add(range.size);
            if range.size == 0 || end.is_none_or(|end| end > self.medium_size) {
                return Err(MediaError::malformed(format!(
                    "`{name}` has {} bytes at {}, and the medium ends at {}: it is cut off or lies",
                    range.size, range.offset, self.medium_size
                )));
            }
            sum = sum.saturating_add(range.size);
        }
        if sum != size {
            return Err(MediaError::malformed(format!("`{name}` has {sum} bytes and says {size}")));
        }
        Ok(())
    }

    /// Remembers a link that is left out.
    ///
    /// # Errors
    /// When there are more of them than files allowed.
    pub fn leave_out(&mut self, name: &str) -> Result<(), MediaError> {
        self.left_out.0 += 1;
        if self.left_out.1.len() < NOTED_NAMES {
            self.left_out.1.push(name.chars().take(100).collect());
        }
        if self.left_out.0 > IMAGE_FILES_MAX {
            return Err(MediaError::limit(format!("it has more than {IMAGE_FILES_MAX} links")));
        }
        Ok(())
    }

    /// Remembers what people should know of the medium: one line, cut. Too many are dropped.
    pub fn note(&mut self, text: &str) {
        if self.notes.len() < MEDIUM_NOTES_MAX {
            self.notes.push(MediaError::malformed(text).detail);
        }
    }

    /// Files so far.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of all files so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Files and notes for people.
    pub fn into_parts(self) -> (Vec<Entry>, Vec<String>) {
        let mut notes = match self.left_out {
            (0, _) => Vec::new(),
            (count, names) => {
                let names: Vec<String> =
                    names.iter().map(|name| format!("`{}`", name.escape_default())).collect();
                let more = if count > names.len() { " …" } else { "" };
                vec![format!("{count} links are left out: {}{more}", names.join(", "))]
            }
        };
        notes.extend(self.notes);
        (self.entries, notes)
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    pub(super) fn left_out(&self) -> (usize, &[String]) {
        (self.left_out.0, &self.left_out.1)
    }
}

/// A name without the `./` that tar writes before it.
pub(super) fn plain(mut name: &str) -> &str {
    while let Some(rest) = name.strip_prefix("./") {
        name = rest;
    }
    name
}

/// A name from outside, before it may be a key.
pub(super) fn check_name(name: &str) -> Result<(), MediaError> {
    let refused = |why: &str| Err(MediaError::new(Refusal::Name, format!("file name {name:?} {why}")));
    if let Err(fault) = check_file_name(name) {
        return refused(&fault.to_string());
    }
    if name.split('/').count() > FOLDER_DEPTH_MAX + 1 {
        return Err(MediaError::limit(format!("{name:?} is more than {FOLDER_DEPTH_MAX} folders deep")));
    }
    // A path of Windows: nothing here would follow it, and nobody can mean it.
    let mut chars = name.chars();
    if chars.next().is_some_and(|char| char.is_ascii_alphabetic()) && chars.next() == Some(':') {
        return refused("starts with a drive letter");
    }
    // They turn or hide the text around them where names are shown.
    if name.chars().any(|char| matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'))
    {
        return refused("has a character that turns the text around it");
    }
    Ok(())
}
