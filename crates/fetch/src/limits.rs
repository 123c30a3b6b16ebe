//! Every bound of a download, with its reason.

use std::time::Duration;

/// For the name, every address and the TLS handshake of one connection.
pub const CONNECT_WAIT: Duration = Duration::from_secs(10);

/// Longest silence before an answer and between two pieces of it. There is no limit on the whole: a disc over a slow line
/// takes hours.
pub const STALL_WAIT: Duration = Duration::from_secs(30);

/// Redirects followed for one request. Mirrors take one or two.
pub const REDIRECTS_MAX: usize = 5;

/// Tries in a row that bring nothing new before a download fails.
pub const TRIES_MAX: u32 = 5;

/// Pause before the second try; it doubles with each.
pub const PAUSE_FIRST: Duration = Duration::from_secs(1);

/// Bytes that make a try one that brought something: a server that drops each connection after less is given up.
pub const PROGRESS_BYTES: u64 = 1 << 20;

/// Largest head of an answer.
pub const HEAD_BYTES_MAX: usize = 64 << 10;

/// Longest URL; more is no URL anybody meant.
pub const URL_BYTES_MAX: usize = 8 << 10;

/// Bytes written between two syncs, which are also two looks at the free room.
pub const SYNC_BYTES: u64 = 64 << 20;

/// Room left to everybody else on that disk: the store writes there too.
pub const ROOM_KEPT_BYTES: u64 = 256 << 20;

/// Begun downloads kept for another try.
pub const PARTS_MAX: usize = 16;

/// How long they are kept.
pub const PART_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);

/// How often a cancelled download is noticed while nothing comes.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The bounds that a caller or a test may set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Most bytes of one file.
    pub bytes_max: u64,
    /// As [`CONNECT_WAIT`].
    pub connect_wait: Duration,
    /// As [`STALL_WAIT`].
    pub stall_wait: Duration,
    /// As [`TRIES_MAX`].
    pub tries_max: u32,
    /// As [`PAUSE_FIRST`].
    pub pause_first: Duration,
    /// As [`PROGRESS_BYTES`].
    pub progress_bytes: u64,
}

impl Limits {
    /// The usual bounds, and this many bytes.
    pub fn usual(bytes_max: u64) -> Limits {
        Limits {
            bytes_max,
            connect_wait: CONNECT_WAIT,
            stall_wait: STALL_WAIT,
            tries_max: TRIES_MAX,
            pause_first: PAUSE_FIRST,
            progress_bytes: PROGRESS_BYTES,
        }
    }
}
