//! Every bound of a query, with its reason.

use std::time::Duration;

/// Entries of one answer; as many hosts as a list may have.
pub const ENTRIES_MAX: usize = inventory::limits::HOSTS_MAX;

/// Bytes of one message. An entry with the attributes that are asked for has a few hundred.
pub const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of all messages of a query: 1 KiB for each entry is plenty.
pub const ANSWER_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Entries asked for in one page. Active Directory gives at most 1000 (`MaxPageSize`).
pub const PAGE_SIZE: u32 = 500;

/// Pages of a query: a server that gives empty pages for ever is left.
pub const PAGES_MAX: usize = 20_000;

/// Values and attributes of one entry.
pub const VALUES_MAX: usize = inventory::limits::ATTRIBUTES_MAX;

/// Further queries for one attribute that comes in ranges.
pub const RANGES_MAX: usize = 64;

/// Referrals that are kept.
pub const REFERRALS_MAX: usize = 64;

/// Bytes of a page's cookie. Servers send a few dozen.
pub const COOKIE_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a filter, a base or a distinguished name.
pub const TEXT_BYTES_MAX: usize = 4096;

/// Parts of a filter inside each other.
pub const FILTER_DEPTH_MAX: usize = 32;

/// Bytes of a password.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// Characters of a directory's own words that an error shows.
pub const DIAGNOSTIC_CHARS_MAX: usize = 200;

/// For the name, every address and the TLS handshake.
pub const CONNECT_WAIT: Duration = Duration::from_secs(10);

/// Longest silence while an answer is awaited.
pub const STALL_WAIT: Duration = Duration::from_secs(30);

/// The whole query.
pub const WHOLE_WAIT: Duration = Duration::from_secs(300);

/// The bounds that a caller or a test may set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// As [`ENTRIES_MAX`], which it cannot exceed.
    pub entries_max: usize,
    /// As [`PAGE_SIZE`]; at least 1.
    pub page_size: u32,
    /// As [`CONNECT_WAIT`].
    pub connect_wait: Duration,
    /// As [`STALL_WAIT`].
    pub stall_wait: Duration,
    /// As [`WHOLE_WAIT`]; the server is told in seconds.
    pub whole_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            entries_max: ENTRIES_MAX,
            page_size: PAGE_SIZE,
            connect_wait: CONNECT_WAIT,
            stall_wait: STALL_WAIT,
            whole_wait: WHOLE_WAIT,
        }
    }
}

const _: () = assert!((MESSAGE_BYTES_MAX as u64) < ANSWER_BYTES_MAX);
const _: () = assert!(PAGES_MAX >= ENTRIES_MAX / PAGE_SIZE as usize);
