//! Every bound of the door that is no setting, with its reason.

use std::time::Duration;

/// New requests a second from one address. A loader that fetches its modules one by one asks about fifty times in a second;
/// machines behind one NAT share it.
pub(crate) const SOURCE_PER_SECOND: u32 = 64;
/// And at once, after a pause.
pub(crate) const SOURCE_BURST: u32 = 128;
/// New requests a second of all machines without a lease of ours (beside another DHCP server that is everybody not met on
/// port 4011). Each may cost an opened file and a socket for seconds; at this rate that stays a tenth of one processor.
pub(crate) const STRANGERS_PER_SECOND: u32 = 400;
/// And at once: a hall of machines switched on together.
pub(crate) const STRANGERS_BURST: u32 = 800;
/// While strangers ask faster than [`STRANGERS_PER_SECOND`], one is taken up when it asks again from the same address and port:
/// not before this time (a packet that came twice) ...
pub(crate) const REPEAT_AFTER: Duration = Duration::from_millis(200);
/// ... and not after this one. UEFI firmware asks again after 4 s and after 8, curl after 5.
pub(crate) const REPEAT_WITHIN: Duration = Duration::from_secs(30);
/// First requests remembered for that, 8 bytes each. At 10,000 forged requests a second four of five are still there after
/// five seconds.
pub(crate) const FIRSTS_REMEMBERED: usize = 1 << 18;
/// New requests a second of all machines with a lease: more than DHCP gives leases in a second.
pub(crate) const KNOWN_PER_SECOND: u32 = 4000;
/// And at once.
pub(crate) const KNOWN_BURST: u32 = 4000;
/// Sources whose own rate is watched, 40 bytes each.
pub(crate) const SOURCES_REMEMBERED: usize = 4096;

/// Sessions of strangers that nobody has answered yet. Above it the oldest ends: at [`STRANGERS_PER_SECOND`] a client still
/// has more than half a second for its first ACK, and may ask again.
pub(crate) const STRANGERS_UNANSWERED_MAX: usize = 256;
/// Sessions of machines with a lease that have not answered yet; never ended for a stranger.
pub(crate) const KNOWN_UNANSWERED_MAX: usize = 1024;
/// One place in so many is kept for machines with a lease.
pub(crate) const KNOWN_SHARE: usize = 4;

/// One `tftp.flood` per this time; what is dropped in between only counts.
pub(crate) const FLOOD_EVENT_PAUSE: Duration = Duration::from_secs(60);
/// Refusals recorded as events, a second; the rest only counts.
pub(crate) const REFUSED_EVENTS_PER_SECOND: u32 = 20;
/// And at once: a loader that looks for its configuration under many names.
pub(crate) const REFUSED_EVENTS_BURST: u32 = 200;
/// Warnings about sockets that cannot be opened: when descriptors are gone, every request meets it.
pub(crate) const NO_SOCKET_WARNINGS_PER_SECOND: u32 = 1;

const _: () = assert!(SOURCE_PER_SECOND <= STRANGERS_PER_SECOND && STRANGERS_PER_SECOND <= KNOWN_PER_SECOND);
const _: () = assert!(STRANGERS_UNANSWERED_MAX < KNOWN_UNANSWERED_MAX);
