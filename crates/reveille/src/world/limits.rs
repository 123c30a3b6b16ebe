//! Bounds of what is remembered of machines, each with its reason.

use std::time::Duration;

/// Machines in memory: five times the largest site we were built for.
pub(super) const SIGHTINGS_MAX: usize = 65_536;
/// Machines in memory that only said so themselves; inventing them is free.
pub(super) const SAID_MAX: usize = 8_192;
/// Machines without a record that are kept on the disk; the one seen longest ago goes first. A site's worth, some 8 MiB.
pub(super) const UNKNOWN_KEPT_MAX: usize = 16_384;
/// When that is reached, so many go at once.
pub(super) const UNKNOWN_PRUNED_AT_ONCE: usize = UNKNOWN_KEPT_MAX / 16;
/// How far the time at which a machine was seen last may be behind on the disk: no boot costs a write.
pub(super) const SEEN_WRITTEN_EVERY: u64 = 600;
/// Machines looked at in one round, every five seconds.
pub(super) const LOOKED_AT_ONCE: usize = 16_384;
/// Machines in one commit: some 500 KiB.
pub(super) const WRITTEN_AT_ONCE: usize = 1_000;
/// Alarms that stand at once; what comes beyond is counted.
pub(super) const ALARMS_MAX: usize = 1_024;
/// Machines named in one alarm.
pub(super) const ALARM_MACHINES_MAX: usize = 8;
/// Events of identities in one round; what comes beyond is listed and counted.
pub(super) const ALARM_EVENTS_MAX: usize = 64;
/// A machine that is refused for a conflict is told of so often.
pub(super) const CONFLICT_REPEAT: Duration = Duration::from_secs(3600);
/// Machines whose last telling is remembered for that.
pub(super) const CONFLICTS_TOLD_MAX: usize = 4_096;
/// Two machines that carry one GUID are live when both asked within this time, in seconds.
pub(super) const LIVE_SECS: u64 = 600;
/// Firmware that goes through its cards takes longer than this for so many turns, in seconds; two machines that start at once
/// do not.
pub(super) const TURNS_SECS: u64 = 20;
/// Turns of two hardware addresses with one GUID in that time that only two machines take.
pub(super) const TURNS: u8 = 3;
/// Turns of two GUIDs with one hardware address, within [`LIVE_SECS`]: a board that is replaced makes one.
pub(super) const GUID_TURNS: u8 = 2;
/// GUIDs watched for that; beyond, those of machines that are live no more are let go.
pub(super) const GUIDS_MAX: usize = 65_536;
/// Things noticed between two rounds; what comes beyond is noticed when it happens again.
pub(super) const NOTICED_MAX: usize = 1_024;
/// A hardware address that kept to one GUID for so long alternates no more.
pub(super) const SETTLED_SECS: u64 = 86_400;
