//! `boot.cfg` as the loader of one release reads it: byte for byte, line for line.
//!
//! Written apart from the reader in `render`, to be held against it. Keys are kept by name and lists unsplit, as the
//! loader does.

use super::Release;
use super::path::is_blank;
use std::collections::BTreeMap;

/// Why a file is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConfigError {
    /// An integer that is none.
    Syntax,
    /// No kernel.
    NoKernel,
}

/// What a file sets.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Config {
    texts: BTreeMap<&'static str, Vec<u8>>,
    integers: BTreeMap<&'static str, i32>,
}

const TEXTS: [&str; 7] = ["kernel", "kernelopt", "modules", "title", "prefix", "crypto", "acpitables"];

/// Keys in the order they are tried.
fn keys(release: Release) -> Vec<&'static str> {
    let mut keys =
        vec!["kernel", "kernelopt", "modules", "title", "prefix", "nobootif", "timeout", "noquirks", "norts"];
    if release < Release::V9_0 {
        keys.push("nativehttp");
    }
    keys.push("crypto");
    if release >= Release::V8_0 {
        keys.extend(["runtimewd", "tftpblksize", "acpitables", "runtimewdtimeout"]);
    }
    if release >= Release::V8_0_2 {
        keys.extend(["skip", "errtimeout"]);
    }
    keys
}

impl Config {
    /// Reads a file. That it has a kernel is not asked here.
    ///
    /// # Errors
    /// [`ConfigError::Syntax`].
    pub fn read(release: Release, mut rest: &[u8]) -> Result<Config, ConfigError> {
        let keys = keys(release);
        let mut config = Config::default();
        while !rest.is_empty() {
            let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
            let (line, behind) = rest.split_at(end);
            rest = behind.get(1..).unwrap_or_default();
            config.read_line(&keys, &squeezed(line))?;
        }
        Ok(config)
    }

    fn read_line(&mut self, keys: &[&'static str], line: &[u8]) -> Result<(), ConfigError> {
        let Some(sign) = line.iter().position(|byte| *byte == b'=') else { return Ok(()) };
        if line.first() == Some(&b'#') {
            return Ok(());
        }
        let (left, mut value) =
            (line.get(..sign).unwrap_or_default(), line.get(sign + 1..).unwrap_or_default());
        while let Some(behind) = value.strip_prefix(b" ") {
            value = behind;
        }
        // As many characters as stand left of the sign, and no more.
        let matching = keys.iter().find(|key| {
            key.len() >= left.len()
                && key.bytes().zip(left).all(|(own, read)| own == read.to_ascii_lowercase())
        });
        let Some(key) = matching else { return Ok(()) };
        if TEXTS.contains(key) {
            self.texts.insert(key, value.to_vec());
        } else {
            self.integers.insert(key, integer(value).ok_or(ConfigError::Syntax)?);
        }
        Ok(())
    }

    /// A text that is set and not empty.
    pub fn text(&self, key: &str) -> Option<String> {
        let value = self.texts.get(key).filter(|value| !value.is_empty())?;
        Some(String::from_utf8_lossy(value).into_owned())
    }

    /// An integer that is set.
    pub fn integer(&self, key: &str) -> Option<i32> {
        self.integers.get(key).copied()
    }

    /// Name and options of every item of a list.
    pub fn list(&self, key: &str) -> Vec<(String, String)> {
        let list = self.text(key).unwrap_or_default();
        let list = list.as_bytes();
        let (mut items, mut at) = (Vec::new(), 0);
        while let Some(byte) = list.get(at) {
            if is_blank(char::from(*byte)) {
                at += 1;
                continue;
            }
            let rest = list.get(at..).unwrap_or_default();
            let separator = rest.windows(3).position(|three| three == b"---");
            if separator == Some(0) {
                // The separator, and the step of the loop.
                at += 4;
                continue;
            }
            let end = separator.unwrap_or(rest.len());
            let item = String::from_utf8_lossy(rest.get(..end).unwrap_or_default()).into_owned();
            let cut = item.find(is_blank).unwrap_or(item.len());
            let (name, options) = item.split_at(cut);
            items.push((name.to_owned(), options.trim_matches(is_blank).to_owned()));
            at = at.saturating_add(end).saturating_add(3);
        }
        items
    }
}

/// A line up to a NUL, every run of white space one blank, none at the ends.
fn squeezed(line: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::new();
    for byte in line.iter().take_while(|byte| **byte != 0) {
        if !is_blank(char::from(*byte)) {
            out.push(*byte);
        } else if out.last().is_some_and(|last| *last != b' ') {
            out.push(b' ');
        }
    }
    if out.last() == Some(&b' ') {
        out.pop();
    }
    out
}

/// Optional minus, digits, nothing else. `[model]` what does not fit 32 bits is refused.
fn integer(value: &[u8]) -> Option<i32> {
    let (sign, digits) = match value.strip_prefix(b"-") {
        Some(digits) => (-1, digits),
        None => (1, value),
    };
    let mut number: i64 = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        number = number.saturating_mul(10).saturating_add(i64::from(digit - b'0'));
    }
    i32::try_from(number.saturating_mul(sign)).ok()
}

#[cfg(test)]
mod tests;
