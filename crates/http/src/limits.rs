//! Every bound of the boot plane, with its reason.

use std::time::Duration;

/// One body frame. 256 KiB is where fewer system calls stop paying (measured).
pub const FRAME_BYTES: usize = 256 * 1024;

/// Longest request target; more is 414. Our longest own URL, the script's, stays below 1 KiB.
pub const TARGET_BYTES_MAX: usize = 8 * 1024;

/// Bytes of all header fields; more is 431.
pub const HEADER_BYTES_MAX: usize = 32 * 1024;

/// Header fields of one request; more is 431.
pub const HEADERS_MAX: usize = 100;

/// What hyper may buffer of a request head: target and fields with room to tell 414 from 431.
pub const HEAD_BYTES_MAX: usize = TARGET_BYTES_MAX + HEADER_BYTES_MAX + 8 * 1024;

/// Detail text of a call-back; more is 413.
pub const DETAIL_BYTES_MAX: usize = 4 * 1024;

/// One log of a boot; more is 413. Installers write a few hundred kilobytes.
pub const LOG_BYTES_MAX: u64 = 8 << 20;

/// Name of a log.
pub const LOG_NAME_BYTES_MAX: usize = 64;

/// For one log to arrive, however steadily: 8 MiB over half a megabit a second.
pub const LOG_TIME: Duration = Duration::from_secs(130);

/// Ranges of one request that are looked at; with more the whole file is sent (CVE-2011-3192).
pub const RANGES_MAX: usize = 5;

/// Bytes of a name in the boot tree, decoded.
pub const NAME_BYTES_MAX: usize = 1024;

/// Bytes of one SMBIOS string kept from a query.
pub const FACT_BYTES_MAX: usize = 128;

/// Stage name of a call-back.
pub const STAGE_BYTES_MAX: usize = 32;

/// Unsent bytes the kernel takes per connection. Keeps memory down and makes progress visible: the socket asks for
/// more whenever half of this has left, so a full `stall_timeout` without means less than 4 KiB/s.
pub const UNSENT_BYTES: u32 = 256 * 1024;

/// Connections the kernel queues before we accept them.
pub const BACKLOG: i32 = 1024;

/// Pause after running out of descriptors or memory, so that accepting does not spin.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// First keepalive probe on a quiet connection.
pub const KEEPALIVE_TIME: Duration = Duration::from_secs(30);

/// Further keepalive probes.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// Unacknowledged data for this long drops the connection: a machine reset in mid-download does exactly this.
pub const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// What running answers get when the appliance stops.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// Refusals recorded as events in one second; the rest only count.
pub const REFUSED_EVENTS_PER_SECOND: u32 = 50;

const _: () = assert!(HEAD_BYTES_MAX >= 8 * 1024, "hyper takes no smaller buffer");
const _: () = assert!(UNSENT_BYTES as usize >= FRAME_BYTES, "one frame must fit into the socket");
