//! Texts and places in them.

use std::fmt;

/// One configuration file: its path as the operator knows it, and its text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source {
    /// Shown in faults and origins; never opened.
    pub path: String,
    /// The YAML text.
    pub text: String,
}

impl Source {
    /// A source from its two parts.
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Source {
        Source { path: path.into(), text: text.into() }
    }
}

/// Values given outside the files. Both beat the files; flags beat the environment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Overrides {
    /// Environment variables as they are, for example `REVEILLE__HTTP__LISTEN` = `:80`. A double underscore
    /// goes one level down; lists and maps are JSON. Names without the prefix `REVEILLE__` are skipped, so the whole
    /// environment may be passed.
    pub environment: Vec<(String, String)>,
    /// Flags as dotted keys: `http.listen` = `:80`.
    pub flags: Vec<(String, String)>,
}

/// Where a value came from.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Origin {
    /// Built in.
    Default,
    /// A line of a file.
    File {
        /// Path as given.
        path: String,
        /// Line from 1.
        line: u32,
    },
    /// An environment variable.
    Environment(String),
    /// A flag, as its dotted key.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { path, line } => write!(f, "{path}:{line}"),
            Origin::Environment(name) => write!(f, "environment {name}"),
            Origin::Flag(key) => write!(f, "flag {key}"),
        }
    }
}

/// A stretch of one line. Line and column count from 1, in characters; `source` is an index into [`Texts`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Spot {
    pub(crate) source: u32,
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) length: u32,
}

impl Spot {
    /// No place at all.
    pub(crate) const NOWHERE: Spot = Spot { source: u32::MAX, line: 0, column: 1, length: 1 };
}

/// Whose text it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum TextOrigin {
    File(String),
    Environment(String),
    Flag(String),
}

impl TextOrigin {
    pub(crate) fn has_lines(&self) -> bool {
        matches!(self, TextOrigin::File(_))
    }

    pub(crate) fn label(&self) -> String {
        match self {
            TextOrigin::File(path) => path.clone(),
            TextOrigin::Environment(name) => format!("environment {name}"),
            TextOrigin::Flag(key) => format!("flag {key}"),
        }
    }
}

/// All texts of one load, with the start of each line.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    texts: Vec<Text>,
}

#[derive(Debug)]
struct Text {
    origin: TextOrigin,
    text: String,
    lines: Vec<usize>,
}

impl Texts {
    /// Adds a text and returns its number.
    pub(crate) fn add(&mut self, origin: TextOrigin, text: String) -> u32 {
        let bytes = text.as_bytes();
        let mut lines = vec![0];
        for (at, byte) in bytes.iter().enumerate() {
            // YAML 1.2 §5.4: a line ends in LF, CR LF or CR.
            if *byte == b'\n' || (*byte == b'\r' && bytes.get(at + 1) != Some(&b'\n')) {
                lines.push(at + 1);
            }
        }
        self.texts.push(Text { origin, text, lines });
        u32::try_from(self.texts.len() - 1).unwrap_or(u32::MAX)
    }

    pub(crate) fn text(&self, source: u32) -> &str {
        self.texts.get(source as usize).map_or("", |text| text.text.as_str())
    }

    pub(crate) fn origin(&self, spot: Spot) -> Option<&TextOrigin> {
        self.texts.get(spot.source as usize).map(|text| &text.origin)
    }

    /// The public form of a place.
    pub(crate) fn public_origin(&self, spot: Spot) -> Origin {
        match self.origin(spot) {
            None => Origin::Default,
            Some(TextOrigin::File(path)) => Origin::File { path: path.clone(), line: spot.line },
            Some(TextOrigin::Environment(name)) => Origin::Environment(name.clone()),
            Some(TextOrigin::Flag(key)) => Origin::Flag(key.clone()),
        }
    }

    /// The line of a place, without its end.
    pub(crate) fn line(&self, spot: Spot) -> &str {
        let Some(text) = self.texts.get(spot.source as usize) else { return "" };
        let line = (spot.line as usize).saturating_sub(1);
        let Some(&start) = text.lines.get(line) else { return "" };
        let end = text.lines.get(line + 1).copied().unwrap_or(text.text.len());
        text.text.get(start..end).unwrap_or("").trim_end_matches(['\n', '\r'])
    }
}
