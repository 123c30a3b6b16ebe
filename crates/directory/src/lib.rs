//! Entries of an LDAP directory, read page by page: computers prestaged for WDS in Active Directory, or in any other
//! directory that keeps them alike.
//!
//! ```text
//! connect ► TLS (ldaps) or StartTLS ► bind ► [root DSE, when no base is given] ► search, page after page ► unbind
//! ```
//! What it speaks is the part of LDAP v3 (RFC 4511) that reading takes: simple bind, search, the paged results control
//! (RFC 2696), StartTLS (RFC 4511 §4.14) and Active Directory's ranges of values (MS-ADTS §3.1.1.3.1.3.3). `ber`,
//! `message` and [`filter`] know bytes only; `session` has the socket.
//!
//! What is deliberately absent: writing anything, SASL and Kerberos, following referrals (they are told), DNS SRV records.
//!
//! Every message, page, list and wait is bounded ([`limits`]). What a directory answers is outside input: a malformed
//! message ends the query with an error and nothing else.

mod ber;
mod error;
pub mod filter;
pub mod limits;
mod location;
mod message;
mod secret;
mod session;
mod trust;

pub use error::DirectoryError;
pub use filter::{Filter, FilterParseError};
pub use limits::Limits;
pub use location::{Location, LocationParseError, Security};
pub use secret::{Secret, SecretError, SecretRef};
pub use trust::Roots;

use inventory::wds::Entry;

/// What to ask, of whom, and how far to go.
#[derive(Clone, Debug)]
pub struct Query {
    /// Where the directory is.
    pub location: Location,
    /// How the connection is secured; [`Location::usual_security`] is what the URL means.
    pub security: Security,
    /// Whom to trust over TLS.
    pub roots: Roots,
    /// Who asks; nobody asks anonymously.
    pub bind: Option<Bind>,
    /// Entry below which to search. `None`: the directory's default naming context, or its only one.
    pub base: Option<String>,
    /// Which entries; [`Filter::default`] is `(netbootGUID=*)`.
    pub filter: Filter,
    /// How far to go.
    pub limits: Limits,
}

/// Who asks.
#[derive(Clone, Debug)]
pub struct Bind {
    /// Distinguished name; Active Directory also takes `user@domain`.
    pub dn: String,
    /// The password, read where it stands before the query begins.
    pub password: Secret,
}

/// What a directory answered.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Answer {
    /// The entries, with the attributes that `inventory::wds` reads.
    pub entries: Vec<Entry>,
    /// Other servers that hold more: told, not asked.
    pub referrals: Vec<String>,
    /// The base that was searched.
    pub base: String,
}

/// Asks. Give `answer.entries` to `inventory::wds::propose`.
///
/// # Errors
/// When anything fails: what has come until then is dropped, since half a list looks like machines that are gone.
pub async fn read(query: &Query) -> Result<Answer, DirectoryError> {
    session::read(query).await
}
