//! One counter per outcome.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Live counters of the door; cheap to share.
        #[derive(Debug, Default)]
        pub struct Counters { $(pub(crate) $name: AtomicU64,)* }

        /// The counters at one moment.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        pub struct CountersSnapshot { $($(#[$doc])* pub $name: u64,)* }

        impl Counters {
            /// Reads every counter.
            pub fn snapshot(&self) -> CountersSnapshot {
                CountersSnapshot { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }

        impl CountersSnapshot {
            /// Every counter with its name, for metrics.
            pub fn entries(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }
        }
    };
}

counters! {
    /// Read requests that decoded.
    requests,
    /// Requests that joined a transfer under way.
    joined,
    /// Transfers now open (a gauge).
    active,
    /// Transfers begun.
    started,
    /// Ended whole.
    completed,
    /// Ended by a client that only wanted the size.
    size_probes,
    /// Ended early.
    aborted,
    /// Ended because nobody ever answered.
    unanswered,
    /// Unanswered ones ended to make room for others.
    evicted,
    /// Requests answered with an ERROR.
    refused,
    /// Requests dropped because every place was taken.
    busy,
    /// Requests dropped because their source asked too often.
    flood_source,
    /// Requests dropped because all machines without a lease together asked too often.
    flood_strangers,
    /// Requests dropped because all machines with a lease together asked too often.
    flood_known,
    /// Requests dropped because no socket could be opened for them.
    no_socket,
    /// Datagrams that deserve no answer.
    ignored,
    /// Datagrams of strangers on the port of a transfer.
    strangers,
    /// Content bytes acknowledged.
    bytes,
    /// Blocks sent again.
    retransmits,
    /// Sends the kernel refused.
    send_errors,
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
