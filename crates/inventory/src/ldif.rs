//! LDIF (RFC 2849), as `ldifde`, `ldapsearch -LLL` and Samba's `ldbsearch` write it: text to directory entries.
//!
//! Content records are read, and of change records those that add. Values from files or URLs (`attr:< url`) are reported
//! and not fetched. The summary that `ldapsearch` prints behind the entries is no entry.

use crate::fault::Code;
use crate::found::{Collector, Found, Options};
use crate::limits::{ATTRIBUTE_BYTES_MAX, ATTRIBUTES_MAX};
use crate::text::{decode, lines, shown};
use crate::wds::{self, Entry};

/// Reads the computers of an LDIF export. `source` names it in messages.
pub fn read(source: &str, bytes: &[u8], options: &Options) -> Found {
    let mut out = Collector::new(source, options);
    match decode(bytes) {
        Ok(text) => records(&text, &mut out),
        Err(error) => out.no_text(error),
    }
    out.finish()
}

/// A record under way.
#[derive(Default)]
struct Record {
    entry: Option<Entry>,
    /// It changes what is there instead of telling what is.
    changes: bool,
    broken: bool,
}

fn records(text: &str, out: &mut Collector) {
    let mut record = Record::default();
    for (number, line) in unfolded(text) {
        if !out.has_room() {
            return;
        }
        if line.len() > 2 * ATTRIBUTE_BYTES_MAX {
            let message = format!("a value has more than {ATTRIBUTE_BYTES_MAX} bytes");
            out.fault(Code::Limit, number, "", message, "export only the attributes that are needed");
            record.broken = true;
        } else if line.is_empty() {
            std::mem::take(&mut record).finish(out);
        } else if !line.starts_with('#') {
            record.line(number, &line, out);
        }
    }
    record.finish(out);
}

/// Lines with their continuations (a line that begins with one blank), each with the number of its first. Ends with an
/// empty line.
fn unfolded(text: &str) -> impl Iterator<Item = (u32, String)> {
    let mut lines = lines(text).peekable();
    std::iter::from_fn(move || {
        let (number, first) = lines.next()?;
        let mut whole = first.to_owned();
        while let Some((_, more)) = lines.next_if(|(_, next)| next.starts_with(' ')) {
            // Over the bound it is refused anyway; it need not grow any further.
            if whole.len() <= 2 * ATTRIBUTE_BYTES_MAX {
                whole.push_str(more.get(1..).unwrap_or_default());
            }
        }
        Some((number, whole))
    })
}

impl Record {
    fn line(&mut self, number: u32, line: &str, out: &mut Collector) {
        if self.broken || line == "-" {
            return;
        }
        let Some((name, rest)) = line.split_once(':') else {
            let message = format!("`{}` has no `:` behind an attribute", shown(line));
            self.refuse(number, message, out);
            return;
        };
        let value = match rest.as_bytes().first() {
            Some(b':') => match base64(rest.get(1..).unwrap_or_default().trim()) {
                Some(value) => value,
                None => {
                    let message = format!("the value of `{}` is not base64", shown(name));
                    self.refuse(number, message, out);
                    return;
                }
            },
            Some(b'<') => {
                let message =
                    format!("the value of `{}` stands in another file and is not read", shown(name));
                out.fault(Code::Include, number, self.dn(), message, "export the value itself");
                return;
            }
            _ => rest.trim_start_matches(' ').as_bytes().to_vec(),
        };
        let name = name.to_ascii_lowercase();
        match (&mut self.entry, name.as_str()) {
            (None, "dn") => {
                let dn = String::from_utf8_lossy(&value).into_owned();
                self.entry = Some(Entry { line: number, dn, attributes: Vec::new() });
            }
            // The head of the file: the first entry may follow on the next line (RFC 2849, example 1).
            (None, "version") => {}
            // The summary behind the entries.
            (None, "search" | "result" | "control" | "pagedresults" | "ref") => self.broken = true,
            (None, _) => {
                let message = format!("`{}` stands in front of the `dn:` it belongs to", shown(&name));
                self.refuse(number, message, out);
            }
            (Some(_), "changetype") => self.changes = value != b"add",
            (Some(entry), _) if entry.attributes.len() < ATTRIBUTES_MAX => {
                entry.attributes.push((name, value))
            }
            (Some(_), _) => {
                let message = format!("the entry has more than {ATTRIBUTES_MAX} values");
                out.fault(
                    Code::Limit,
                    number,
                    self.dn(),
                    message,
                    "export only the attributes that are needed",
                );
                self.broken = true;
            }
        }
    }

    fn dn(&self) -> &str {
        self.entry.as_ref().map_or("", |entry| entry.dn.as_str())
    }

    fn refuse(&mut self, number: u32, message: String, out: &mut Collector) {
        out.fault(
            Code::Syntax,
            number,
            self.dn(),
            message,
            "export the entries again, with ldifde or ldapsearch -LLL",
        );
        self.broken = true;
    }

    fn finish(self, out: &mut Collector) {
        let Some(entry) = self.entry.filter(|_| !self.broken) else { return };
        if self.changes {
            let message = "the record changes or deletes an entry and is not read".to_owned();
            out.fault(Code::Syntax, entry.line, &entry.dn, message, "export entries, not changes");
        } else {
            wds::propose_one(&entry, out);
        }
    }
}

/// Base64 (RFC 4648 §4), padding required as RFC 2849 does.
fn base64(text: &str) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    if !bytes.len().is_multiple_of(4) {
        return None;
    }
    let padding = bytes.iter().rev().take_while(|byte| **byte == b'=').count();
    let body = bytes.get(..bytes.len() - padding)?;
    if padding > 2 {
        return None;
    }
    let mut decoded = Vec::with_capacity(body.len() / 4 * 3 + 3);
    for group in body.chunks(4) {
        let mut word = 0u32;
        for &byte in group {
            word = word << 6 | digit(byte)?;
        }
        word <<= 6 * (4 - u32::try_from(group.len()).ok()?);
        let [_, first, second, third] = word.to_be_bytes();
        let whole = [first, second, third];
        decoded.extend_from_slice(whole.get(..group.len().checked_sub(1)?)?);
    }
    Some(decoded)
}

fn digit(byte: u8) -> Option<u32> {
    match byte {
        b'A'..=b'Z' => Some(u32::from(byte - b'A')),
        b'a'..=b'z' => Some(u32::from(byte - b'a') + 26),
        b'0'..=b'9' => Some(u32::from(byte - b'0') + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
