//! Names as other lists write them, made names of ours.

use crate::text::shown;
use std::fmt;
use std::net::Ipv4Addr;
use types::MacAddr;
use types::resource::{NAME_BYTES_MAX, Name};

/// Why a text cannot be made a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FoldError {
    /// Nothing is left of it.
    Empty,
    /// It has a character that no rule replaces.
    Character(char),
    /// What is left has this many bytes.
    Long(usize),
    /// It is an address, of which cutting the domain would leave a number.
    Address,
}

impl fmt::Display for FoldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FoldError::Empty => f.write_str("has no letter or digit"),
            FoldError::Character(c) => {
                write!(f, "has the character `{}`, which no name may have", shown(&c.to_string()))
            }
            FoldError::Long(bytes) => write!(f, "is {bytes} bytes long, more than {NAME_BYTES_MAX}"),
            FoldError::Address => f.write_str("is an address, not a name"),
        }
    }
}

impl std::error::Error for FoldError {}

/// A host name, account name or title as a resource name: outer blanks and the `$` of computer accounts go, the domain is
/// cut at the first dot, letters become small, underscores and blanks become hyphens, outer hyphens go.
///
/// # Errors
/// When anything else would have to change, or nothing or too much is left: two machines must not become one by accident.
pub fn fold(text: &str) -> Result<Name, FoldError> {
    let text = text.trim().trim_end_matches('$');
    if text.parse::<Ipv4Addr>().is_ok() {
        return Err(FoldError::Address);
    }
    let label = text.split('.').next().unwrap_or_default();
    let mut folded = String::new();
    for c in label.chars() {
        match c {
            'a'..='z' | '0'..='9' | '-' => folded.push(c),
            'A'..='Z' => folded.push(c.to_ascii_lowercase()),
            '_' | ' ' => folded.push('-'),
            other => return Err(FoldError::Character(other)),
        }
        if folded.len() > 16 * NAME_BYTES_MAX {
            return Err(FoldError::Long(label.len()));
        }
    }
    let folded = folded.trim_matches('-');
    match folded.len() {
        0 => Err(FoldError::Empty),
        bytes if bytes > NAME_BYTES_MAX => Err(FoldError::Long(bytes)),
        _ => folded.parse().map_err(|_| FoldError::Empty),
    }
}

/// The name of a machine of which only the MAC address is known: `mac-525400123456`.
pub(crate) fn of_mac(mac: MacAddr) -> Option<Name> {
    format!("mac-{}", mac.hyphens().replace('-', "")).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_other_lists_call_a_machine_becomes_a_name() {
        for (text, name) in [
            ("web01", "web01"),
            ("WEB_01", "web-01"),
            ("  Web 01 ", "web-01"),
            ("WEB01$", "web01"),
            ("web01.lab.example.org", "web01"),
            ("_web-", "web"),
            ("R12.example", "r12"),
        ] {
            assert_eq!(fold(text).unwrap().as_str(), name, "{text}");
        }
    }

    #[test]
    fn what_would_have_to_be_guessed_is_refused() {
        assert_eq!(fold("büro"), Err(FoldError::Character('ü')));
        assert_eq!(fold("a/b"), Err(FoldError::Character('/')));
        assert_eq!(fold("___"), Err(FoldError::Empty));
        assert_eq!(fold(".example.org"), Err(FoldError::Empty));
        assert_eq!(fold("10.0.0.5"), Err(FoldError::Address));
        assert_eq!(fold(&"a".repeat(64)), Err(FoldError::Long(64)));
        assert!(fold(&"a".repeat(63)).is_ok());
    }
}
