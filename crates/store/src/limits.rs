//! Every bound of the store, with its reason.

use std::time::Duration;

/// Longest key: a client identifier (255) or a path of a boot file fits several times.
pub(crate) const KEY_BYTES_MAX: usize = 1024;
/// Changes in one batch: a DHCP burst or one configuration, not a migration.
pub(crate) const BATCH_CHANGES_MAX: usize = 65_536;
/// Bytes in one batch: the manifest of the largest image takes about one MiB.
pub(crate) const BATCH_BYTES_MAX: usize = 16 << 20;
/// Batches in one frame: the most that share one `fdatasync`.
pub(crate) const GROUP_BATCHES_MAX: usize = 256;
/// Bytes at which a group stops gathering.
pub(crate) const GROUP_BYTES_MAX: usize = 4 << 20;
/// Longest payload a frame may claim: a full group and the one batch that went over.
pub(crate) const FRAME_BYTES_MAX: usize = GROUP_BYTES_MAX + BATCH_BYTES_MAX + (1 << 20);
/// Longest a group waits for more batches, and only when the one before had several.
pub(crate) const GATHER_MAX: Duration = Duration::from_millis(2);
/// Batches that wait for the writer before callers are told that the store is busy.
pub(crate) const QUEUE_BATCHES_MAX: usize = 4096;
/// Events a watcher may fall behind before it is told to read anew.
pub(crate) const WATCH_EVENTS_MAX: usize = 1024;
/// Checkpoints kept: the newest, and the one before as a second copy together with the journal between them.
pub(crate) const CHECKPOINTS_KEPT: usize = 2;
/// Damaged indexes kept for study before the oldest is removed.
pub(crate) const BAD_INDEXES_KEPT: usize = 2;
/// Findings remembered while running.
pub(crate) const FINDINGS_MAX: usize = 64;
/// Records one `scan` returns at most.
pub(crate) const SCAN_RECORDS_MAX: usize = 65_536;
/// Memory sled may use for its pages; its own default is 1 GiB.
pub(crate) const INDEX_CACHE_BYTES: u64 = 16 << 20;
/// How long sled may take to give up its lock after it was closed in this process.
pub(crate) const INDEX_LOCK_WAIT: Duration = Duration::from_secs(2);
/// How long a failed checkpoint waits before it is tried again.
pub(crate) const CHECKPOINT_RETRY: Duration = Duration::from_secs(60);

/// Room set aside for promises when the disk is full: some 16,000 renewals.
pub(crate) const BALLAST_BYTES: u64 = 8 << 20;
/// What the store's folder may take: a hundred times what 100,000 leases need.
pub(crate) const QUOTA_BYTES: u64 = 1 << 30;
/// Free bytes beyond a ballast before one is made again, so that the state does not flutter.
pub(crate) const ROOM_MARGIN_BYTES: u64 = 8 << 20;
/// How often room is looked after.
pub(crate) const ROOM_CHECK: Duration = Duration::from_secs(1);

/// A number of bytes for people: `8 MiB`, `1.5 GiB`, `700 bytes`.
pub(crate) fn in_words(bytes: u64) -> String {
    let units = [(1u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => match (bytes / unit, bytes % unit * 10 / unit) {
            (whole, 0) => format!("{whole} {name}"),
            (whole, tenth) => format!("{whole}.{tenth} {name}"),
        },
        None => format!("{bytes} bytes"),
    }
}

const _: () = assert!(FRAME_BYTES_MAX < u32::MAX as usize);
const _: () = assert!(KEY_BYTES_MAX <= u16::MAX as usize);
