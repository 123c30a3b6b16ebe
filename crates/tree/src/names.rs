//! Names as machines ask them, folded to keys.

use std::fmt;

/// Longest name, in bytes: a TFTP request has 512 in all (RFC 1350 §2), HTTP is held to the same.
pub const NAME_BYTES_MAX: usize = 512;

/// What is wrong with a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NameFault {
    /// Nothing is named.
    Empty,
    /// More than [`NAME_BYTES_MAX`].
    TooLong,
    /// It has a NUL or another control character.
    Control,
    /// It climbs with `..`.
    Parent,
    /// It starts with a drive letter.
    Drive,
    /// It ends with a slash: folders are not listed.
    Folder,
}

impl fmt::Display for NameFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NameFault::Empty => "is empty",
            NameFault::TooLong => "is too long",
            NameFault::Control => "has a control character",
            NameFault::Parent => "climbs with `..`",
            NameFault::Drive => "has a drive letter",
            NameFault::Folder => "is that of a folder",
        })
    }
}

/// One spelling for all: `\` is `/`, slashes at the start or in a row and `.` parts fall away. Case stays.
///
/// Nothing is decoded here: `%2e%2e` is two characters too many for any table.
///
/// # Errors
/// The first fault.
pub fn fold(name: &str) -> Result<String, NameFault> {
    if name.len() > NAME_BYTES_MAX {
        return Err(NameFault::TooLong);
    }
    if name.contains(char::is_control) {
        return Err(NameFault::Control);
    }
    let slashed = name.replace('\\', "/");
    let parts: Vec<&str> = slashed.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        return Err(NameFault::Parent);
    }
    match parts.first() {
        None if name.is_empty() => Err(NameFault::Empty),
        None => Err(NameFault::Folder),
        Some(first) if matches!(first.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic()) => {
            Err(NameFault::Drive)
        }
        Some(_) if slashed.ends_with('/') => Err(NameFault::Folder),
        Some(_) => Ok(parts.join("/")),
    }
}

/// Hex digits in a row that may be a good part of the secret of a boot; names of loaders and images have no such runs.
const TOKEN_DIGITS_TELLING: u32 = 16;

/// True for a name, as it was asked, that must not be recorded: call-back names and what belongs to a boot hold its secret,
/// however they were mistyped (`/B/…`, `/%62/…`, `/x/b/…`).
pub fn may_hold_a_token(name: &str) -> bool {
    let mut digits = 0;
    name.trim_start_matches('/').starts_with("b/")
        || name.bytes().any(|byte| {
            digits = if byte.is_ascii_hexdigit() { digits + 1 } else { 0 };
            digits >= TOKEN_DIGITS_TELLING
        })
}

/// Media type of text we make.
pub const TEXT: &str = "text/plain; charset=utf-8";

/// Media type by ending. UEFI HTTP boot tells a program from a disk image by it (UEFI 2.10 §24.7.3, conformance P20).
pub fn content_type(name: &str) -> &'static str {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
    match ending.as_str() {
        "efi" => "application/efi",
        "iso" => "application/vnd.efi-iso",
        "img" => "application/vnd.efi-img",
        "cfg" | "ipxe" | "txt" => TEXT,
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests;
