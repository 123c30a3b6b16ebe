//! What clock the stored leases are dated by, so that a new process reads them right after the wall clock was set.
//!
//! Stored in the meta table under [`KEY`]: the boot of this machine, the time since then, and what the lease clock read. While
//! the machine runs, its own clock since boot tells how much time has passed, whatever the wall clock says. After a
//! reboot only the wall clock is left; one that is behind the leases (no battery, no NTP yet) is not believed.

use serde::{Deserialize, Serialize};
use std::time::Duration;
use store::records::{decode, encode};
use store::{RecordError, Store, Table};
use types::lease::{LeaseRecord, LeaseState};
use types::{Now, UnixTime};

/// Its key in the meta table.
pub(crate) const KEY: &[u8] = b"lease-clock";
const KIND: &str = "lease clock";
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize, Debug)]
struct Stored {
    /// `/proc/sys/kernel/random/boot_id`, a new one at each boot.
    boot: String,
    /// Time since that boot.
    since_boot_secs: u64,
    /// What the lease clock read then.
    unix: u64,
}

fn boot() -> Option<(String, Duration)> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    // Seconds since boot, suspension included, and idle time.
    let since = std::fs::read_to_string("/proc/uptime").ok()?;
    let since = since.split_whitespace().next()?.parse().ok()?;
    Some((id.trim().to_owned(), Duration::try_from_secs_f64(since).ok()?))
}

/// The record that says the lease clock reads `unix` now.
pub(crate) fn encode_now(unix: UnixTime) -> Result<Vec<u8>, RecordError> {
    let (boot, since) = boot().unwrap_or_default();
    encode(KIND, VERSION, &Stored { boot, since_boot_secs: since.as_secs(), unix: unix.0 })
}

/// What the clock that stored leases are dated by reads at `wall`: for [`dhcp_proto::Responder::set_clock`].
pub fn lease_clock(store: &Store, leases: &[LeaseRecord], wall: Now) -> Now {
    let stored = store.get(Table::Meta, KEY).ok().flatten();
    let stored = stored.and_then(|stored| decode::<Stored>(KIND, VERSION, &stored.value).ok());
    // A quarantine that is over is forgotten by us and not by the store: it may be dated by an earlier clock.
    let lasting = leases.iter().filter(|lease| lease.state != LeaseState::Quarantined);
    let latest = lasting.map(|lease| lease.granted).max().unwrap_or_default();
    Now { unix: read(stored.as_ref(), boot().as_ref(), latest, wall.unix), ..wall }
}

/// `latest`: when the newest lease was granted by the clock we look for.
fn read(
    stored: Option<&Stored>,
    boot: Option<&(String, Duration)>,
    latest: UnixTime,
    wall: UnixTime,
) -> UnixTime {
    let Some(stored) = stored else { return wall };
    match boot.filter(|(id, _)| *id == stored.boot && !id.is_empty()) {
        Some((_, since)) => UnixTime(stored.unix)
            .saturating_add(since.saturating_sub(Duration::from_secs(stored.since_boot_secs))),
        None => wall.max(UnixTime(stored.unix)).max(latest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_tells_its_boot_and_the_time_since() {
        let (id, since) = boot().unwrap();
        assert!(id.len() == 36 && !since.is_zero(), "{id} {since:?}");
    }

    fn stored(boot: &str) -> Stored {
        Stored { boot: boot.to_owned(), since_boot_secs: 1000, unix: 1_800_000_000 }
    }

    fn at(boot: &str, secs: u64) -> (String, Duration) {
        (boot.to_owned(), Duration::from_secs(secs))
    }

    #[test]
    fn within_one_boot_the_wall_clock_does_not_matter() {
        for wall in [0, 1_700_000_000, 4_300_000_000] {
            let read = read(Some(&stored("a")), Some(&at("a", 1060)), UnixTime(0), UnixTime(wall));
            assert_eq!(read, UnixTime(1_800_000_060));
        }
    }

    #[test]
    fn after_a_reboot_the_wall_clock_counts_unless_it_is_behind_the_leases() {
        let after =
            |wall, latest| read(Some(&stored("a")), Some(&at("b", 10)), UnixTime(latest), UnixTime(wall)).0;
        assert_eq!(after(1_800_009_000, 1_800_000_500), 1_800_009_000);
        assert_eq!(after(0, 1_800_000_500), 1_800_000_500);
        assert_eq!(after(0, 0), 1_800_000_000);
    }

    #[test]
    fn an_old_store_without_it_goes_by_the_wall_clock() {
        assert_eq!(read(None, Some(&at("a", 5)), UnixTime(9), UnixTime(7)), UnixTime(7));
    }
}
