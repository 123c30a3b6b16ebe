//! What the door counts.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Running totals since start.
        #[derive(Default, Debug)]
        pub(crate) struct Counters { $(pub(crate) $name: AtomicU64,)* }

        /// The totals at one moment.
        #[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
        pub struct Snapshot { $($(#[$doc])* pub $name: u64,)* }

        impl Counters {
            pub(crate) fn snapshot(&self) -> Snapshot {
                Snapshot { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }

        impl Snapshot {
            /// Name and value of each counter, in a fixed order.
            pub fn pairs(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)*]
            }
        }
    };
}

counters! {
    /// Connections taken.
    connections,
    /// Connections open now.
    clients,
    /// Connections refused because all seats are taken.
    refused_full,
    /// Connections refused because their source has all its seats.
    refused_source,
    /// Failed accepts.
    accept_errors,
    /// Requests with a readable head.
    requests,
    /// Files sent whole, or the whole range asked for.
    files,
    /// Scripts and configurations sent whole.
    scripts,
    /// Files and scripts broken off by the client.
    aborted,
    /// Body bytes of files and scripts that left.
    sent_bytes,
    /// Answers without a body because the client has it (304).
    not_modified,
    /// Answers with a part of a file (206).
    partial,
    /// Call-backs taken.
    callbacks,
    /// Logs of boots kept.
    logs,
    /// Bytes of these.
    log_bytes,
    /// Names that do not exist.
    not_found,
    /// Requests refused for any other reason.
    refused,
    /// Our own failures (5xx).
    failed,
    /// Connections dropped because the client stopped reading.
    stalled,
    /// Connections dropped over an unfinished request head.
    header_timeouts,
    /// Connections dropped for idleness.
    idle_timeouts,
}

pub(crate) fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

pub(crate) fn bump(counter: &AtomicU64) {
    add(counter, 1);
}
