//! Two clocks that never mix: [`Instant`] for deadlines, [`UnixTime`] for leases.

use std::fmt;
use std::time::{Duration, Instant};

/// Wall time in whole seconds since 1970-01-01 UTC. Lease records carry it across restarts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct UnixTime(pub u64);

impl UnixTime {
    /// Saturating: an infinite lease stays infinite.
    pub fn saturating_add(self, duration: Duration) -> UnixTime {
        UnixTime(self.0.saturating_add(duration.as_secs()))
    }

    /// Time from `earlier` to `self`; zero when the clock went backwards.
    pub fn saturating_since(self, earlier: UnixTime) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Days to civil date after Howard Hinnant's published algorithm, proleptic Gregorian, UTC.
        let days = self.0 / 86_400 + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + u64::from(month <= 2);
        let second = self.0 % 86_400;
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
            second / 3_600,
            second / 60 % 60,
            second % 60
        )
    }
}

/// The moment a packet is handled, on both clocks. The shell reads them once per batch.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Monotonic: holds, timers, retries.
    pub instant: Instant,
    /// Wall: lease expiry.
    pub unix: UnixTime,
}

impl Now {
    /// Both clocks moved forward alike.
    pub fn plus(self, duration: Duration) -> Now {
        Now { instant: self.instant + duration, unix: self.unix.saturating_add(duration) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unix_time_prints_as_rfc_3339_utc() {
        assert_eq!(UnixTime(0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(UnixTime(951_782_400).to_string(), "2000-02-29T00:00:00Z");
        assert_eq!(UnixTime(1_795_219_199).to_string(), "2026-11-20T23:59:59Z");
    }
}
