//! Wall time with milliseconds, for people and JSON.

use std::time::{Duration, SystemTime, UNIX_EPOCH};
use types::UnixTime;

/// Milliseconds since 1970 UTC; zero on a clock before that.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// RFC 3339 in UTC with three digits of milliseconds.
pub(crate) fn rfc3339_ms(ms: u64) -> String {
    let seconds = UnixTime(ms / 1000).to_string();
    format!("{}.{:03}Z", seconds.trim_end_matches('Z'), ms % 1000)
}

#[cfg(test)]
mod tests {
    #[test]
    fn milliseconds_stand_before_the_zone() {
        assert_eq!(super::rfc3339_ms(1_795_219_199_007), "2026-11-20T23:59:59.007Z");
    }
}
