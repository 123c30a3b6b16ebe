//! `boot.cfg`, read exactly as `mboot` reads it and written so that it reads the same again.
//!
//! How the loader reads — one test per rule, named after it:
//! 1 lines end at LF · 2 a run of white space is one blank, ends are trimmed · 3 a line is a comment only if `#` is its
//! first character · 4 the first `=` separates · 5 a blank before `=` makes the key unknown · 6 a key matches without
//! case, over the characters left of `=` alone, so any leading part of a key will do, and the first in the table wins ·
//! 7 an unknown key is ignored · 8 the last of a repeated key counts · 9 an integer that is none refuses the file ·
//! 10 an empty value is 0 or unset, not the default · 11 items of a list are separated by `---`, empty ones skipped ·
//! 12 only `kernel` is needed, and not even that with `skip`.
//!
//! What we do beside: unknown keys are kept in their order, for the tools that read `build` and `updated`. Comments and
//! lines without `=` mean nothing to anybody and are dropped.
//!
//! DIVERGES from the loader: bytes that are no text (not UTF-8, or NUL) refuse the file with the line. The loader would
//! cut a line at NUL and treat bytes above 0x7f as its C library pleases; no medium has such a file, so one that does is
//! damaged, and a damaged file must be told at import and not at boot.

use std::fmt;

/// Largest file, in bytes. The loader has no limit; 64 KiB is more than ten times the largest medium's.
pub const FILE_BYTES_MAX: usize = 64 * 1024;

/// Most items in one list. Media of 9.0 bring less than 200 modules.
pub const ITEMS_MAX: usize = 1024;

/// What separates items of a list.
const SEPARATOR: &str = "---";

/// A `boot.cfg`. An empty string and `None` are the same to the loader: strings are never `Some("")`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BootCfg {
    /// Module 0. Empty only together with `skip`.
    pub kernel: String,
    /// Options of module 0.
    pub kernelopt: Option<String>,
    /// Modules 1 to n, in loading order.
    pub modules: Vec<Item>,
    /// Banner.
    pub title: Option<String>,
    /// Folder or URL that relative names stand on; without one, the folder of the file.
    pub prefix: Option<String>,
    /// Above 0: no `BOOTIF=` is appended. Default 0.
    pub nobootif: Option<i32>,
    /// Seconds before boot. Default 5.
    pub timeout: Option<i32>,
    /// No workarounds for platforms. Default 0.
    pub noquirks: Option<i32>,
    /// No UEFI runtime services. Default 0.
    pub norts: Option<i32>,
    /// Use of the firmware's HTTP, 0 to 3. Default 1. 7.0.2 to 8.0.2.
    pub nativehttp: Option<i32>,
    /// Crypto module. From 7.0.2.
    pub crypto: Option<String>,
    /// Hardware watchdog. Default 0. From 8.0.
    pub runtimewd: Option<i32>,
    /// Its seconds. From 8.0.
    pub runtimewdtimeout: Option<i32>,
    /// TFTP block size on UEFI, 512 to 65464. Default 1468. From 8.0.
    pub tftpblksize: Option<i32>,
    /// ACPI tables. From 8.0.
    pub acpitables: Vec<Item>,
    /// Not 0: leave with an error, so that the firmware tries its next boot entry. From 8.0.1.
    pub skip: Option<i32>,
    /// Seconds after a failure before the loader leaves; below 0: never. Default -1. From 8.0.1.
    pub errtimeout: Option<i32>,
    /// Lines the loader ignores (`bootstate`, `build`, `updated` …), in their order.
    pub other: Vec<Line>,
}

/// One entry of a list: a file and its options.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Item {
    /// The file's name, as written.
    pub name: String,
    /// What follows it, up to the next separator.
    pub options: String,
}

impl Item {
    /// A file without options.
    pub fn named(name: &str) -> Item {
        Item { name: name.to_owned(), options: String::new() }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.options.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{} {}", self.name, self.options)
        }
    }
}

/// A line of which the loader knows nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// What stands left of the first `=`, as written.
    pub key: String,
    /// What stands right of it.
    pub value: String,
}

/// Why a `boot.cfg` is refused. Lines are counted from 1.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BootCfgError {
    /// More than [`FILE_BYTES_MAX`].
    TooLarge {
        /// Its size in bytes.
        bytes: usize,
    },
    /// Bytes that are no text.
    NotText {
        /// The line.
        line: usize,
    },
    /// A value that must be an integer is none.
    Integer {
        /// The line.
        line: usize,
        /// Full name of the key.
        key: &'static str,
        /// The value, cleaned for display.
        value: String,
    },
    /// A list has more than [`ITEMS_MAX`] items.
    TooManyItems {
        /// The line.
        line: usize,
        /// Full name of the key.
        key: &'static str,
    },
    /// No `kernel`.
    NoKernel,
}

impl BootCfgError {
    /// The stable reason code.
    pub fn reason(&self) -> &'static str {
        match self {
            BootCfgError::TooLarge { .. } => "boot_cfg_too_large",
            BootCfgError::NotText { .. } => "boot_cfg_not_text",
            BootCfgError::Integer { .. } => "boot_cfg_integer",
            BootCfgError::TooManyItems { .. } => "boot_cfg_too_many_items",
            BootCfgError::NoKernel => "boot_cfg_no_kernel",
        }
    }
}

impl fmt::Display for BootCfgError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BootCfgError::TooLarge { bytes } => {
                write!(f, "boot.cfg has {bytes} bytes, at most {FILE_BYTES_MAX} fit: is it the right file?")
            }
            BootCfgError::NotText { line } => {
                write!(
                    f,
                    "boot.cfg line {line} has bytes that are no text: take the file from the medium again"
                )
            }
            BootCfgError::Integer { line, key, value } => write!(
                f,
                "boot.cfg line {line}: `{key}={value}` is no whole number, for which the loader refuses the \
                 whole file: write a number or remove the line"
            ),
            BootCfgError::TooManyItems { line, key } => {
                write!(f, "boot.cfg line {line}: `{key}` lists more than {ITEMS_MAX} files")
            }
            BootCfgError::NoKernel => {
                write!(f, "boot.cfg has no line `kernel=…`, without which the loader stops: add it")
            }
        }
    }
}

impl std::error::Error for BootCfgError {}

/// A key the loader knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Key {
    Text(Text),
    List(List),
    Integer(Integer),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Text {
    Kernel,
    Kernelopt,
    Title,
    Prefix,
    Crypto,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum List {
    Modules,
    Acpitables,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Integer {
    Nobootif,
    Timeout,
    Noquirks,
    Norts,
    Nativehttp,
    Runtimewd,
    Runtimewdtimeout,
    Tftpblksize,
    Skip,
    Errtimeout,
}

/// The keys of all releases, in the loader's order: for a part of a key, the first that begins so counts.
const TABLE: [(&str, Key); 17] = [
    ("kernel", Key::Text(Text::Kernel)),
    ("kernelopt", Key::Text(Text::Kernelopt)),
    ("modules", Key::List(List::Modules)),
    ("title", Key::Text(Text::Title)),
    ("prefix", Key::Text(Text::Prefix)),
    ("nobootif", Key::Integer(Integer::Nobootif)),
    ("timeout", Key::Integer(Integer::Timeout)),
    ("noquirks", Key::Integer(Integer::Noquirks)),
    ("norts", Key::Integer(Integer::Norts)),
    ("nativehttp", Key::Integer(Integer::Nativehttp)),
    ("crypto", Key::Text(Text::Crypto)),
    ("runtimewd", Key::Integer(Integer::Runtimewd)),
    ("tftpblksize", Key::Integer(Integer::Tftpblksize)),
    ("acpitables", Key::List(List::Acpitables)),
    ("runtimewdtimeout", Key::Integer(Integer::Runtimewdtimeout)),
    ("skip", Key::Integer(Integer::Skip)),
    ("errtimeout", Key::Integer(Integer::Errtimeout)),
];

impl BootCfg {
    /// Reads a file as the loader does.
    ///
    /// # Errors
    /// Where the loader would refuse it, and where it is no text or beyond our limits.
    pub fn parse(bytes: &[u8]) -> Result<BootCfg, BootCfgError> {
        if bytes.len() > FILE_BYTES_MAX {
            return Err(BootCfgError::TooLarge { bytes: bytes.len() });
        }
        let mut cfg = BootCfg::default();
        for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            cfg.read_line(at.saturating_add(1), line)?;
        }
        if cfg.kernel.is_empty() && cfg.skip.unwrap_or_default() == 0 {
            return Err(BootCfgError::NoKernel);
        }
        Ok(cfg)
    }

    fn read_line(&mut self, line: usize, bytes: &[u8]) -> Result<(), BootCfgError> {
        let text = std::str::from_utf8(bytes).map_err(|_| BootCfgError::NotText { line })?;
        if text.contains('\0') {
            return Err(BootCfgError::NotText { line });
        }
        let text = merged(text);
        if text.starts_with('#') {
            return Ok(());
        }
        let Some((left, value)) = text.split_once('=') else { return Ok(()) };
        let value = value.trim_start_matches(' ');
        let leads = |key: &str| {
            key.as_bytes().get(..left.len()).is_some_and(|part| part.eq_ignore_ascii_case(left.as_bytes()))
        };
        match TABLE.iter().find(|(key, _)| leads(key)) {
            Some((_, Key::Text(text))) => {
                let value = (!value.is_empty()).then(|| value.to_owned());
                match text {
                    Text::Kernel => self.kernel = value.unwrap_or_default(),
                    Text::Kernelopt => self.kernelopt = value,
                    Text::Title => self.title = value,
                    Text::Prefix => self.prefix = value,
                    Text::Crypto => self.crypto = value,
                }
            }
            Some((key, Key::List(list))) => {
                let items = items(value);
                if items.len() > ITEMS_MAX {
                    return Err(BootCfgError::TooManyItems { line, key });
                }
                match list {
                    List::Modules => self.modules = items,
                    List::Acpitables => self.acpitables = items,
                }
            }
            Some((key, Key::Integer(integer))) => {
                let number = whole_number(value).ok_or_else(|| BootCfgError::Integer {
                    line,
                    key,
                    value: crate::text::screen(value),
                })?;
                *self.integer_mut(*integer) = Some(number);
            }
            None => self.other.push(Line { key: left.to_owned(), value: value.to_owned() }),
        }
        Ok(())
    }

    fn integer_mut(&mut self, integer: Integer) -> &mut Option<i32> {
        match integer {
            Integer::Nobootif => &mut self.nobootif,
            Integer::Timeout => &mut self.timeout,
            Integer::Noquirks => &mut self.noquirks,
            Integer::Norts => &mut self.norts,
            Integer::Nativehttp => &mut self.nativehttp,
            Integer::Runtimewd => &mut self.runtimewd,
            Integer::Runtimewdtimeout => &mut self.runtimewdtimeout,
            Integer::Tftpblksize => &mut self.tftpblksize,
            Integer::Skip => &mut self.skip,
            Integer::Errtimeout => &mut self.errtimeout,
        }
    }

    /// The value of a line the loader ignores; the last one of that name, whatever its case.
    pub fn other(&self, key: &str) -> Option<&str> {
        let line = self.other.iter().rev().find(|line| line.key.eq_ignore_ascii_case(key))?;
        Some(&line.value)
    }

    /// Kernel and modules, in loading order.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.kernel.as_str()).chain(self.modules.iter().map(|item| item.name.as_str()))
    }
}

/// The file: one `key=value` a line, LF, full lower-case keys. What the loader ignores stands first, for `bootstate` must
/// lie in the first 512 bytes and a list may be longer than that. No value can add a line.
impl fmt::Display for BootCfg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Line { key, value } in &self.other {
            // A blank at its end belongs to it: rule 5.
            write_line(f, &key.replace(is_blank, " "), value)?;
        }
        let texts = [("title", &self.title), ("prefix", &self.prefix), ("crypto", &self.crypto)];
        for (key, value) in texts {
            if let Some(value) = value {
                write_line(f, key, value)?;
            }
        }
        let integers = [
            ("nobootif", self.nobootif),
            ("timeout", self.timeout),
            ("noquirks", self.noquirks),
            ("norts", self.norts),
            ("nativehttp", self.nativehttp),
            ("runtimewd", self.runtimewd),
            ("runtimewdtimeout", self.runtimewdtimeout),
            ("tftpblksize", self.tftpblksize),
            ("skip", self.skip),
            ("errtimeout", self.errtimeout),
        ];
        for (key, value) in integers {
            if let Some(value) = value {
                write_line(f, key, &value.to_string())?;
            }
        }
        if !self.kernel.is_empty() {
            write_line(f, "kernel", &self.kernel)?;
        }
        if let Some(value) = &self.kernelopt {
            write_line(f, "kernelopt", value)?;
        }
        for (key, items) in [("modules", &self.modules), ("acpitables", &self.acpitables)] {
            if !items.is_empty() {
                let items: Vec<String> = items.iter().map(Item::to_string).collect();
                write_line(f, key, &items.join(" --- "))?;
            }
        }
        Ok(())
    }
}

fn write_line(f: &mut fmt::Formatter<'_>, key: &str, value: &str) -> fmt::Result {
    writeln!(f, "{key}={}", merged(value))
}

/// C's `isspace`, and NUL, which no value has.
fn is_blank(char: char) -> bool {
    matches!(char, ' ' | '\t'..='\r' | '\0')
}

/// Runs of white space made one blank, ends trimmed.
fn merged(text: &str) -> String {
    text.split(is_blank).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// An optional minus and digits; nothing at all is 0. Beyond 32 bits C's `atoi` promises nothing: `None`.
fn whole_number(value: &str) -> Option<i32> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if digits.is_empty() { Some(0) } else { value.parse().ok() }
}

/// The items of a list whose white space is merged. At an empty item the loader steps over the character behind its
/// separator as well, a blank in every list somebody wrote by hand.
fn items(list: &str) -> Vec<Item> {
    let mut items = Vec::new();
    let mut rest = list.trim_start_matches(' ');
    while !rest.is_empty() && items.len() <= ITEMS_MAX {
        if let Some(behind) = rest.strip_prefix(SEPARATOR) {
            let mut chars = behind.chars();
            chars.next();
            rest = chars.as_str().trim_start_matches(' ');
            continue;
        }
        let (item, behind) = rest.split_once(SEPARATOR).unwrap_or((rest, ""));
        let (name, options) = item.split_once(' ').unwrap_or((item, ""));
        items.push(Item { name: name.to_owned(), options: options.trim_matches(' ').to_owned() });
        rest = behind.trim_start_matches(' ');
    }
    items
}

#[cfg(test)]
mod tests;
