//! Host names a client gives itself: options 12 (RFC 2132 §3.14) and 81 (RFC 4702).
//!
//! A name is taken or dropped, never repaired, and never a reason to refuse a lease: other servers were crashed by names
//! of empty labels, of 64-byte labels, and of nothing after cleaning.

use super::options::{Options, code};
use crate::limits::{LABEL_BYTES_MAX, NAME_BYTES_MAX};
use std::sync::Arc;

/// Bit of the flags byte of option 81: the name is in DNS wire form (RFC 4702 §2.1).
const FQDN_WIRE_FORM: u8 = 0x04;

impl Options {
    /// The name in option 12, else in option 81, lower case. Labels of letters, digits, `-` and `_`, 1..=63 bytes each
    /// and not starting or ending with `-`, 255 bytes together; anything else is `None`. A trailing dot is cut.
    pub fn host_name(&self) -> Option<Arc<str>> {
        self.get(code::HOST_NAME)
            .and_then(checked_name)
            .or_else(|| self.get(code::CLIENT_FQDN).and_then(fully_qualified))
    }
}

fn fully_qualified(value: &[u8]) -> Option<Arc<str>> {
    // Flags, two obsolete result codes, name.
    let [flags, _, _, name @ ..] = value else { return None };
    if flags & FQDN_WIRE_FORM == 0 {
        return checked_name(name);
    }
    let mut text = Vec::with_capacity(name.len());
    let mut rest = name;
    while let [len @ 1..=255, after @ ..] = rest {
        // No pointers here: two high bits make a length no label has.
        let (label, more) = after.split_at_checked(usize::from(*len))?;
        if label.len() > LABEL_BYTES_MAX || label.contains(&b'.') {
            return None;
        }
        if !text.is_empty() {
            text.push(b'.');
        }
        text.extend_from_slice(label);
        rest = more;
    }
    // A lone zero ends a full name; without it the name is partial and as good.
    matches!(rest, [] | [0]).then(|| checked_name(&text)).flatten()
}

fn checked_name(bytes: &[u8]) -> Option<Arc<str>> {
    let ended = bytes.iter().rposition(|&byte| byte != 0).and_then(|last| bytes.get(..=last))?;
    let name = ended.strip_suffix(b".").unwrap_or(ended);
    if name.len() > NAME_BYTES_MAX || !name.split(|&byte| byte == b'.').all(label_is_good) {
        return None;
    }
    std::str::from_utf8(name).ok().map(|name| name.to_ascii_lowercase().into())
}

fn label_is_good(label: &[u8]) -> bool {
    let letters = label.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    (1..=LABEL_BYTES_MAX).contains(&label.len())
        && letters
        && !label.starts_with(b"-")
        && !label.ends_with(b"-")
}

#[cfg(test)]
mod tests;
