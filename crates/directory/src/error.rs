//! Why a query fails: on which directory, at which step, and what to do.

use crate::limits::DIAGNOSTIC_CHARS_MAX;
use crate::message::Outcome;
use std::io;
use std::time::Duration;

/// Why a query fails. [`fix`](Self::fix) says what to do.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The CA certificates cannot be used.
    #[error("cannot trust anybody by the CA certificates of {from}: {reason}")]
    Roots {
        /// This machine or a file.
        from: String,
        /// Why.
        reason: String,
    },
    /// The name has no address.
    #[error("cannot look up {host}")]
    Resolve {
        /// The name.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// Nobody answers there.
    #[error("cannot connect to {location}")]
    Connect {
        /// The directory.
        location: String,
        /// Why.
        source: io::Error,
    },
    /// TLS fails: certificate, name, protocol.
    #[error("cannot secure the connection to {location}")]
    Tls {
        /// The directory.
        location: String,
        /// Why.
        source: io::Error,
    },
    /// StartTLS is refused.
    #[error("{location} does not begin TLS: {outcome}")]
    StartTls {
        /// The directory.
        location: String,
        /// Its words.
        outcome: String,
    },
    /// The connection ended in the middle.
    #[error("the connection to {location} broke after {entries} entries")]
    Broken {
        /// The directory.
        location: String,
        /// Entries so far.
        entries: usize,
        /// Why.
        source: io::Error,
    },
    /// It was too quiet, or too long.
    #[error("{location} {what} within {wait:?}; {entries} entries had come")]
    Late {
        /// The directory.
        location: String,
        /// `did not answer`, `did not finish`.
        what: &'static str,
        /// The bound.
        wait: Duration,
        /// Entries so far.
        entries: usize,
    },
    /// What it sends is no LDAP.
    #[error("{location} sends what is not LDAP: {what}")]
    Protocol {
        /// The directory.
        location: String,
        /// What is wrong.
        what: &'static str,
    },
    /// The directory ends the connection by itself.
    #[error("{location} ends the connection: {outcome}")]
    Disconnected {
        /// The directory.
        location: String,
        /// Its words.
        outcome: String,
    },
    /// Name or password are refused.
    #[error("{location} refuses the password of `{dn}`: {outcome}")]
    Credentials {
        /// The directory.
        location: String,
        /// Who asked.
        dn: String,
        /// Its words, and what they mean.
        outcome: String,
    },
    /// The bind fails for another reason.
    #[error("{location} does not let `{dn}` in: {outcome}")]
    Bind {
        /// The directory.
        location: String,
        /// Who asked.
        dn: String,
        /// Result code of RFC 4511 §4.1.9.
        code: u32,
        /// Its words.
        outcome: String,
    },
    /// The server stops at a limit of its own.
    #[error("{location} stops after {entries} entries: {outcome}")]
    ServerLimit {
        /// The directory.
        location: String,
        /// Entries so far.
        entries: usize,
        /// Result code: 3 time, 4 size, 11 administrative.
        code: u32,
        /// Its words.
        outcome: String,
    },
    /// More comes than is taken.
    #[error("{location} has more than {max} {what}")]
    TooMuch {
        /// The directory.
        location: String,
        /// Entries, bytes, pages.
        what: &'static str,
        /// The bound.
        max: u64,
    },
    /// There is no entry of that name.
    #[error("{location} has no entry `{base}`; the nearest is `{matched}`")]
    NoBase {
        /// The directory.
        location: String,
        /// The base asked for.
        base: String,
        /// The part of it that is there.
        matched: String,
    },
    /// No base was given and the directory names none, or several.
    #[error("{location} does not tell where to search; it has {contexts:?}")]
    WhichBase {
        /// The directory.
        location: String,
        /// Its naming contexts.
        contexts: Vec<String>,
    },
    /// Pages cannot be had.
    #[error("{location} cannot give an answer in pages: {outcome}")]
    NoPages {
        /// The directory.
        location: String,
        /// Its words.
        outcome: String,
    },
    /// The search fails for another reason.
    #[error("{location} does not answer the search below `{base}`: {outcome}")]
    Search {
        /// The directory.
        location: String,
        /// The base.
        base: String,
        /// Result code of RFC 4511 §4.1.9.
        code: u32,
        /// Its words.
        outcome: String,
    },
    /// The base or the name of who asks is longer than any.
    #[error("the {what} has {bytes} bytes, more than {max}")]
    TooLong {
        /// `base` or `bind name`.
        what: &'static str,
        /// Its length.
        bytes: usize,
        /// The bound.
        max: usize,
    },
}

impl DirectoryError {
    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            DirectoryError::Roots { .. } => "name the CA of the directory with a PEM file",
            DirectoryError::Resolve { .. } | DirectoryError::Connect { .. } => {
                "check name and port; ldaps is 636, ldap 389"
            }
            DirectoryError::Tls { .. } => {
                "use the name that stands in the directory's certificate, and name its CA with a PEM file"
            }
            DirectoryError::StartTls { .. } => "use ldaps://, or give the directory a certificate",
            DirectoryError::Broken { .. }
            | DirectoryError::Disconnected { .. }
            | DirectoryError::Late { .. } => "try again; a narrower base or filter makes the answer smaller",
            DirectoryError::Protocol { .. } => {
                "check that the port is that of a directory, and TLS or not is as it is there"
            }
            DirectoryError::Credentials { .. } => {
                "check the bind name (a full DN, or user@domain) and the password"
            }
            DirectoryError::Bind { code: 8 | 13, .. } => "the directory wants TLS: use ldaps:// or StartTLS",
            DirectoryError::Bind { .. } => "check the bind name and what it may do",
            DirectoryError::ServerLimit { code: 4, .. } => {
                "raise the server's size limit for this bind name, or search a narrower base or filter"
            }
            DirectoryError::ServerLimit { .. } => "search a narrower base or filter",
            DirectoryError::TooMuch { .. } => "search a narrower base or filter",
            DirectoryError::NoBase { .. } => "correct the base",
            DirectoryError::WhichBase { .. } => "say with a base where to search",
            DirectoryError::NoPages { .. } => {
                "let the server support paged results, or import an LDIF export"
            }
            DirectoryError::Search { code: 1 | 50, .. } => "bind with a name that may read the computers",
            DirectoryError::Search { code: 10, .. } => "ask the server that the directory refers to",
            DirectoryError::Search { .. } => "check base and filter",
            DirectoryError::TooLong { .. } => "shorten it",
        }
    }
}

/// The directory's words for an error: code, meaning, what it says itself.
pub(crate) fn words(outcome: &Outcome) -> String {
    let mut words = format!("{} ({})", meaning(outcome.code), outcome.code);
    let said = plain(&outcome.diagnostic);
    if !said.is_empty() {
        words.push_str(", it says `");
        words.push_str(&said);
        words.push('`');
    }
    if let Some(server) = outcome.referrals.first() {
        words.push_str(", it refers to `");
        words.push_str(&plain(server));
        words.push('`');
    }
    if let Some(meaning) = account_trouble(&outcome.diagnostic) {
        words.push_str(": ");
        words.push_str(meaning);
    }
    words
}

/// Outside text for a terminal: cut, and without control characters.
pub(crate) fn plain(text: &str) -> String {
    let safe =
        |c: char| if c.is_control() || ('\u{2028}'..='\u{202e}').contains(&c) { '\u{fffd}' } else { c };
    text.trim_end_matches('\0').chars().take(DIAGNOSTIC_CHARS_MAX).map(safe).collect()
}

/// Result codes of RFC 4511 §4.1.9 that queries meet.
fn meaning(code: u32) -> &'static str {
    match code {
        1 => "operations error",
        2 => "protocol error",
        3 => "time limit exceeded",
        4 => "size limit exceeded",
        7 => "this way to authenticate is not supported",
        8 => "stronger authentication required",
        10 => "referral",
        11 => "administrative limit exceeded",
        12 => "unavailable critical extension",
        13 => "confidentiality required",
        21 => "invalid attribute syntax",
        32 => "no such object",
        34 => "invalid DN syntax",
        48 => "inappropriate authentication",
        49 => "invalid credentials",
        50 => "insufficient access rights",
        51 => "busy",
        52 => "unavailable",
        53 => "unwilling to perform",
        _ => "error",
    }
}

/// What Active Directory means by `data NNN` in the words of a refused bind (Windows error codes in hex).
fn account_trouble(diagnostic: &str) -> Option<&'static str> {
    let (_, code) = diagnostic.split_once(", data ")?;
    match code.split([',', ' ']).next()? {
        "525" => Some("there is no such user"),
        "52e" => Some("the password is wrong"),
        "530" => Some("the user may not log in at this time"),
        "531" => Some("the user may not log in from here"),
        "532" => Some("the password has expired"),
        "533" => Some("the account is switched off"),
        "701" => Some("the account has expired"),
        "773" => Some("the password has to be changed first"),
        "775" => Some("the account is locked"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_active_directory_are_explained() {
        let outcome = Outcome {
            code: 49,
            matched: String::new(),
            diagnostic:
                "80090308: LdapErr: DSID-0C09042A, comment: AcceptSecurityContext error, data 533, v3839\0"
                    .into(),
            referrals: Vec::new(),
        };
        let words = words(&outcome);
        assert!(words.starts_with("invalid credentials (49), it says `80090308"), "{words}");
        assert!(words.ends_with("the account is switched off"), "{words}");
        assert!(!words.contains('\0'));
    }
}
