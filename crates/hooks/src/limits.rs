//! Every bound of hooks, with its reason.

use std::time::Duration;

/// Events that wait for one hook: a storm of a few hundred boots, some 500 bytes each.
pub const QUEUE_MAX: usize = 1000;

/// Before the second try; it doubles with each.
pub const PAUSE_FIRST: Duration = Duration::from_secs(1);

/// Longest pause of our own.
pub const PAUSE_MAX: Duration = Duration::from_secs(300);

/// Longest pause a receiver may ask for.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// Largest answer to a webhook. Receivers answer a word or a page of error; it is read so that it counts as taken, and not used.
pub const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// Bytes kept of what a command says on each of its outputs; the rest is read and forgotten.
pub const OUTPUT_BYTES_MAX: usize = 16 << 10;

/// Characters of the last error that are kept.
pub const WORDS_CHARS_MAX: usize = 300;

/// How often lost events are told.
pub const TELL_EVERY: Duration = Duration::from_secs(60);

/// For what waits when the appliance stops.
pub const DRAIN_WAIT: Duration = Duration::from_secs(3);

/// For the outputs of a command to close once its group was killed.
pub(crate) const CLOSE_WAIT: Duration = Duration::from_secs(1);
