//! What is wrong or doubtful in a list: which entry, on which line, why, and what to do about it.

use crate::text::shown;
use std::fmt;
use std::sync::Arc;

/// Where an entry stands in what was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Origin {
    /// The list as it was named: a path, or the URL of a directory.
    pub source: Arc<str>,
    /// Line from 1; 0 where the source has no lines (a directory).
    pub line: u32,
    /// What the list calls the entry: the name as written, a distinguished name. May be empty.
    pub entry: String,
}

impl fmt::Display for Origin {
    /// `hosts.csv:12 (WEB_01)`, safe for a terminal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.source))?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if !self.entry.is_empty() {
            write!(f, " ({})", shown(&self.entry))?;
        }
        Ok(())
    }
}

/// What a fault means for the import.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Weight {
    /// The entry, or the whole list, is not proposed.
    Refused,
    /// The entry is proposed without the part that is named, or somebody should look at it.
    Doubtful,
}

impl Weight {
    /// `refused` or `doubtful`.
    pub fn as_str(self) -> &'static str {
        match self {
            Weight::Refused => "refused",
            Weight::Doubtful => "doubtful",
        }
    }
}

/// Declares the codes once: variant, number, weight, one sentence for the documentation.
macro_rules! codes {
    ($($variant:ident = $text:literal $weight:ident $about:literal;)*) => {
        /// What kind of fault; the text `R-INV-nn` is stable.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub enum Code {
            $(#[doc = $about] $variant,)*
        }

        impl Code {
            /// Every code, in order.
            pub const ALL: &[Code] = &[$(Code::$variant,)*];

            /// The stable text: `R-INV-03`.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $text,)* }
            }

            /// What it means for the import.
            pub fn weight(self) -> Weight {
                match self { $(Code::$variant => Weight::$weight,)* }
            }

            /// One sentence that explains the code.
            pub fn about(self) -> &'static str {
                match self { $(Code::$variant => $about,)* }
            }
        }
    };
}

codes! {
    Encoding = "R-INV-01" Refused "The list is not text in UTF-8 or, with a byte order mark, UTF-16.";
    Limit = "R-INV-02" Refused "The list, or one entry, is larger or deeper than any list of machines.";
    Syntax = "R-INV-03" Refused "The text is not of the format it was read as.";
    Header = "R-INV-04" Refused "A CSV list has no header, or a column's name looks like a slip.";
    Column = "R-INV-05" Doubtful "A column that means nothing here is not read.";
    Cells = "R-INV-06" Refused "A row has more cells than the header: a separator stands inside a value.";
    ShortRow = "R-INV-07" Doubtful "A row has fewer cells than the header; what is missing counts as empty.";
    Mac = "R-INV-08" Refused "A text is no MAC address, or one that can be no machine's own.";
    Uuid = "R-INV-09" Refused "A text is no GUID.";
    Serial = "R-INV-10" Refused "A serial number cannot be used.";
    Mangled = "R-INV-11" Refused "A spreadsheet has made a number of the value and rounded or shortened it.";
    Name = "R-INV-12" Refused "The name cannot be made a resource name.";
    NameMade = "R-INV-13" Doubtful "The entry has no name; one was made of its MAC address.";
    NoIdentity = "R-INV-14" Refused "The entry has nothing that a machine can be recognised by: no MAC address, GUID or serial.";
    Nobodys = "R-INV-15" Doubtful "A GUID that many machines carry; it is left out.";
    Address = "R-INV-16" Doubtful "An address cannot be reserved; it is left out.";
    Include = "R-INV-17" Doubtful "The list names another file, which is not read.";
    NotCarried = "R-INV-18" Doubtful "Something the entry says has no counterpart here and is left out.";
    Ignored = "R-INV-19" Doubtful "The old server was told to leave this machine alone; it is not proposed.";
    ByteOrder = "R-INV-20" Doubtful "The GUID looks as if it was stored in the other byte order.";
    Reference = "R-INV-21" Refused "An image or a group is named by a text that can be no name.";
    Param = "R-INV-22" Refused "A parameter cannot be kept.";
    Switched = "R-INV-23" Doubtful "The computer account is switched off in the directory.";
}

/// One thing that is wrong or doubtful.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Its kind.
    pub code: Code,
    /// Where.
    pub origin: Origin,
    /// One sentence, lower case, no full stop, safe for a terminal.
    pub message: String,
    /// What to do about it. Empty when there is nothing to do.
    pub fix: String,
    /// How many later entries have the same to say; only the first is kept.
    pub again: u32,
}

impl Fault {
    /// What it means for the import.
    pub fn weight(&self) -> Weight {
        self.code.weight()
    }
}

impl fmt::Display for Fault {
    /// `refused R-INV-08 hosts.csv:12 (WEB_01): … (and 3 more) — hint`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}: {}", self.weight().as_str(), self.code.as_str(), self.origin, self.message)?;
        if self.again > 0 {
            write!(f, " (and {} more)", self.again)?;
        }
        if !self.fix.is_empty() {
            write!(f, "; {}", self.fix)?;
        }
        Ok(())
    }
}
