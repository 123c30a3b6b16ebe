//! Faults and warnings: what is wrong, where, why, and what to do about it.
//!
//! A [`Report`] holds all of them at once, in the order of the files. It renders as text with the source
//! line and a caret, and as JSON with the same fields. Control characters of a file never reach the terminal.

use crate::limits::{EXCERPT_CHARS_MAX, FAULTS_MAX};
use crate::source::{Spot, Texts};
use std::fmt::Write as _;

/// Declares the codes once: variant, number, warning or fault, one sentence for `reveille help`.
macro_rules! codes {
    ($($variant:ident = $text:literal $severity:ident $about:literal;)*) => {
        /// What kind of fault; the text `R-CFG-nn` is stable.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub enum Code {
            $(#[doc = $about] $variant,)*
        }

        impl Code {
            /// Every code, in order.
            pub const ALL: &[Code] = &[$(Code::$variant,)*];

            /// The stable text: `R-CFG-03`.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $text,)* }
            }

            /// Whether it stops the load.
            pub fn severity(self) -> Severity {
                match self { $(Code::$variant => Severity::$severity,)* }
            }

            /// One sentence that explains the code.
            pub fn about(self) -> &'static str {
                match self { $(Code::$variant => $about,)* }
            }
        }
    };
}

codes! {
    Syntax = "R-CFG-01" Error "The text is not YAML, or uses a part of YAML that is not read here (tags, merge keys, several documents).";
    Limit = "R-CFG-02" Error "The text is larger, deeper or wider through aliases than any configuration needs.";
    UnknownKey = "R-CFG-03" Error "The key has no meaning at this place. Keys starting with `x-` are ignored.";
    WrongType = "R-CFG-04" Error "The value has the wrong form: text where a list is needed, for example.";
    BadValue = "R-CFG-05" Error "The text cannot be read as what the key needs: an address, a duration, a name.";
    MissingKey = "R-CFG-06" Error "A key that must be there is not.";
    DuplicateKey = "R-CFG-07" Error "The same key stands twice in one map or in two files; which one counts would be a guess.";
    NotAChoice = "R-CFG-08" Error "The value is not one of the words the key takes.";
    OutOfRange = "R-CFG-09" Error "The number or duration is below or above its bounds.";
    Include = "R-CFG-10" Error "An included file cannot be read, or includes others itself.";
    Override = "R-CFG-11" Error "An environment variable or flag names no setting.";
    SubnetOverlap = "R-CFG-20" Error "Two subnets cover the same addresses; a request could belong to either.";
    PoolOutside = "R-CFG-21" Error "A pool or an excluded range lies outside its network.";
    PoolTaken = "R-CFG-22" Error "A pool contains an address that is somebody's already: the router, this server, or the network itself.";
    PoolOverlap = "R-CFG-23" Error "Two pools share addresses.";
    ReservationOutside = "R-CFG-24" Error "A reserved address lies outside its network or cannot be a machine's.";
    ReservationTwice = "R-CFG-25" Error "An address or a machine is reserved twice.";
    NothingToLease = "R-CFG-26" Error "Server mode needs a subnet with a pool or reservations.";
    LeaseTimes = "R-CFG-27" Error "Lease times must rise: minimum, usual, maximum.";
    DhcpOption = "R-CFG-28" Error "A DHCP option cannot be set here, or its value does not fit its type.";
    OutsideNetwork = "R-CFG-29" Error "A router lies outside its network; machines could not reach it.";
    NoIdentity = "R-CFG-30" Error "A host has nothing to be recognised by.";
    DuplicateName = "R-CFG-31" Error "Two things of one kind have the same name.";
    DuplicateIdentity = "R-CFG-32" Error "Two hosts claim the same MAC address, GUID or serial.";
    UnknownImage = "R-CFG-33" Warning "An image is named that no file defines. It may have been imported; until it is, the machine is left alone.";
    IncompleteImage = "R-CFG-34" Error "An image lacks what its kind needs to boot, or names what its kind never uses.";
    NobodysIdentity = "R-CFG-35" Error "A MAC address or GUID that cannot belong to one machine.";
    UnknownTemplate = "R-CFG-36" Error "A template is named that no file defines.";
    Template = "R-CFG-37" Error "A template cannot be read, does not parse, or names what cannot exist.";
    TemplateValues = "R-CFG-38" Warning "A host lacks a value that its template asks for; until it is set the host is not installed.";
    TemplateText = "R-CFG-39" Warning "An installer would stop at the template's text.";
    UnknownGroup = "R-CFG-40" Error "A group is named that no file defines.";
    GroupCycle = "R-CFG-41" Error "A group stands above itself, or below too many others.";
    VersionWithoutImage = "R-CFG-42" Error "An image version is named without the image it is of.";
    Expectation = "R-CFG-43" Error "A machine would not be given what `expect` says.";
    Rule = "R-CFG-44" Warning "A rule never decides, gives nothing, or is in another's place.";
    Power = "R-CFG-45" Error "What a host says of its power cannot work.";
    Hook = "R-CFG-46" Error "A hook has nobody to tell, nothing to tell of, or says where its secret stands in no way that is known.";
    ImageSource = "R-CFG-48" Error "Where an image comes from cannot work, or nobody vouches for it.";
    Reader = "R-CFG-49" Error "The checked text could not be read back. This is a fault of reveille; please report it.";
    UnquotedMac = "R-CFG-50" Warning "An unquoted MAC address of digits only is a number to YAML 1.1 readers such as Ansible.";
    UnquotedText = "R-CFG-51" Warning "Unquoted text that other YAML readers take for a number or a boolean.";
    NoEffect = "R-CFG-52" Warning "The key is accepted but changes nothing where it stands.";
    DestructiveDefault = "R-CFG-53" Warning "The default image may erase disks.";
    UnknownBundle = "R-CFG-60" Error "A bundle is named that no file defines.";
    Bundle = "R-CFG-61" Error "A script of a bundle cannot be read, does not parse, or names what cannot exist.";
    BundleValues = "R-CFG-62" Warning "A host lacks a value that a script of its bundles asks for; until it is set the host is given no image.";
    Document = "R-CFG-63" Error "A document that is applied has resources only, and of those no images.";
}

/// Whether a fault stops the load.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// The configuration is not used.
    Error,
    /// It is used; `--strict` refuses it.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Its kind.
    pub code: Code,
    /// One sentence, lower case, no full stop.
    pub message: String,
    /// Path of the file as it was given, or the name of the variable or flag. Empty when the fault has no place.
    pub file: String,
    /// Line from 1; 0 when the source has none (variables, flags).
    pub line: u32,
    /// Column from 1, in characters.
    pub column: u32,
    /// Characters the caret underlines, at least 1.
    pub length: u32,
    /// The source line, cut to 160 characters, control characters replaced. The caret stands under `excerpt_column`.
    pub excerpt: String,
    /// Column of the caret in `excerpt`, from 1.
    pub excerpt_column: u32,
    /// Stands beside the caret: "did you mean ...".
    pub hint: Option<String>,
    /// Why it is wrong, when the message does not say it all.
    pub cause: Option<String>,
    /// What to do.
    pub fix: Option<String>,
}

/// All faults of one load. Never empty when `load` returns it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// What stops the load, in the order of the files, at most 200.
    pub faults: Vec<Fault>,
    /// What does not.
    pub warnings: Vec<Fault>,
    /// Faults and warnings beyond the limit.
    pub omitted: usize,
}

impl Report {
    /// Text for a terminal or a log, every fault with its source line.
    pub fn render(&self, colour: bool) -> String {
        let mut text = render(&self.faults, colour);
        text.push_str(&render(&self.warnings, colour));
        if self.omitted > 0 {
            let _ = writeln!(text, "and {} more", self.omitted);
        }
        text
    }

    /// The same as a JSON object: `{"faults": [..], "warnings": [..], "omitted": 0}`.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "faults": self.faults.iter().map(Fault::to_json).collect::<Vec<_>>(),
            "warnings": self.warnings.iter().map(Fault::to_json).collect::<Vec<_>>(),
            "omitted": self.omitted,
        })
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Report {}

/// Renders faults or warnings one after another.
pub fn render(faults: &[Fault], colour: bool) -> String {
    faults.iter().map(|fault| fault.render(colour)).collect()
}

impl Fault {
    /// Text of one fault: head line, excerpt with caret, cause and fix.
    pub fn render(&self, colour: bool) -> String {
        let paint = |code: &str, text: &str| {
            if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
        };
        let severity = self.code.severity();
        let tone = if severity == Severity::Error { "1;31" } else { "1;33" };
        let mut text = paint(tone, &format!("{}[{}]", severity.as_str(), self.code.as_str()));
        match (self.file.as_str(), self.line) {
            ("", _) => {}
            (file, 0) => {
                let _ = write!(text, " {file}:");
            }
            (file, line) => {
                let _ = write!(text, " {file}:{line}:{}", self.column);
            }
        }
        let _ = writeln!(text, " {}", self.message);
        if self.file.is_empty() {
            if let Some(hint) = &self.hint {
                let _ = writeln!(text, "  hint   {hint}");
            }
        } else {
            let number = if self.line == 0 { String::new() } else { self.line.to_string() };
            let width = number.len().max(2);
            let bar = paint("1;34", "|");
            let _ =
                writeln!(text, "  {} {bar} {}", paint("1;34", &format!("{number:>width$}")), self.excerpt);
            let indent = " ".repeat(self.excerpt_column.saturating_sub(1) as usize);
            let caret = paint(tone, &"^".repeat(self.length.max(1) as usize));
            let hint = self.hint.as_deref().map(|hint| format!(" {hint}")).unwrap_or_default();
            let _ = writeln!(text, "  {:width$} {bar} {indent}{caret}{hint}", "");
        }
        for (label, line) in [("cause", &self.cause), ("fix  ", &self.fix)] {
            if let Some(line) = line {
                let _ = writeln!(text, "  {label}  {line}");
            }
        }
        text
    }

    /// The same fields as a JSON object.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "code": self.code.as_str(),
            "severity": self.code.severity().as_str(),
            "message": self.message,
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "length": self.length,
            "excerpt": self.excerpt,
            "hint": self.hint,
            "cause": self.cause,
            "fix": self.fix,
        })
    }
}

/// A fault before its place is looked up.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    code: Code,
    spot: Spot,
    message: String,
    hint: Option<String>,
    cause: Option<String>,
    fix: Option<String>,
    first: Option<Spot>,
}

impl Draft {
    pub(crate) fn new(code: Code, spot: Spot, message: impl Into<String>) -> Draft {
        Draft { code, spot, message: message.into(), hint: None, cause: None, fix: None, first: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Draft {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn hint_maybe(mut self, hint: Option<String>) -> Draft {
        self.hint = hint;
        self
    }

    /// Hints at the other one of two: "first in line 12", with its file when that is another.
    pub(crate) fn first_at(mut self, first: Spot) -> Draft {
        self.first = Some(first);
        self
    }

    pub(crate) fn cause(mut self, cause: impl Into<String>) -> Draft {
        self.cause = Some(cause.into());
        self
    }

    pub(crate) fn fix(mut self, fix: impl Into<String>) -> Draft {
        self.fix = Some(fix.into());
        self
    }
}

/// Gathers drafts; keeps the first [`FAULTS_MAX`] faults and warnings each.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    errors: Vec<Draft>,
    warnings: Vec<Draft>,
    omitted: usize,
}

impl Faults {
    pub(crate) fn add(&mut self, draft: Draft) {
        let list = match draft.code.severity() {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
        };
        if list.len() < FAULTS_MAX {
            list.push(draft);
        } else {
            self.omitted += 1;
        }
    }

    /// Adds a warning whose hints are dear: once the list is full it is only counted.
    pub(crate) fn add_warning(&mut self, draft: impl FnOnce() -> Draft) {
        if self.warnings.len() < FAULTS_MAX {
            self.add(draft());
        } else {
            self.omitted += 1;
        }
    }

    /// Adds a fault whose hints are dear: once the list is full it is only counted.
    pub(crate) fn add_error(&mut self, draft: impl FnOnce() -> Draft) {
        if self.errors.len() < FAULTS_MAX {
            self.add(draft());
        } else {
            self.omitted += 1;
        }
    }

    /// True when more warnings would only be counted.
    pub(crate) fn warnings_are_full(&self) -> bool {
        self.warnings.len() >= FAULTS_MAX
    }

    pub(crate) fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// Looks up every place and sorts by it.
    pub(crate) fn finish(self, texts: &Texts) -> Report {
        let place = |mut drafts: Vec<Draft>| {
            drafts.sort_by_key(|draft| (draft.spot.source, draft.spot.line, draft.spot.column));
            drafts.into_iter().map(|draft| placed(draft, texts)).collect()
        };
        Report { faults: place(self.errors), warnings: place(self.warnings), omitted: self.omitted }
    }
}

fn placed(draft: Draft, texts: &Texts) -> Fault {
    let spot = draft.spot;
    let (file, line) = match texts.origin(spot) {
        None => (String::new(), 0),
        Some(origin) if origin.has_lines() => (origin.label(), spot.line),
        Some(origin) => (origin.label(), 0),
    };
    let first = draft.first.map(|first| match texts.origin(first) {
        Some(origin) if first.source == spot.source && origin.has_lines() => {
            format!("first in line {}", first.line)
        }
        _ => format!("first in {}", texts.public_origin(first)),
    });
    let (excerpt, excerpt_column, length) = excerpt(texts.line(spot), spot);
    let clean = |text: String| text.chars().map(visible_or_break).collect::<String>();
    Fault {
        code: draft.code,
        message: clean(draft.message),
        file: clean(file),
        line,
        column: spot.column,
        length,
        excerpt,
        excerpt_column,
        hint: draft.hint.or(first).map(clean),
        cause: draft.cause.map(clean),
        fix: draft.fix.map(clean),
    }
}

fn visible_or_break(character: char) -> char {
    if character == '\n' { ' ' } else { visible(character) }
}

/// Control and direction-changing characters would let a file repaint the operator's terminal.
fn visible(character: char) -> char {
    match character {
        '\t' => ' ',
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' => {
            '\u{fffd}'
        }
        control if control.is_control() => '\u{fffd}',
        other => other,
    }
}

/// A window of the line around the spot, the caret's column in it, the caret's length.
fn excerpt(line: &str, spot: Spot) -> (String, u32, u32) {
    let column = spot.column.max(1) as usize;
    let start = if column > EXCERPT_CHARS_MAX - 40 { column - 60 } else { 0 };
    let window: String = line.chars().skip(start).take(EXCERPT_CHARS_MAX).map(visible).collect();
    let window = window.trim_end().to_owned();
    let at = column - start;
    let room = (window.chars().count() + 1).saturating_sub(at).max(1);
    let length = (spot.length.max(1) as usize).min(room);
    let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    (window, small(at), small(length))
}

#[cfg(test)]
mod tests;
