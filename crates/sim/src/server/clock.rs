//! An appliance's clocks: the wall clock that anybody may set, and the lease clock its records are dated by.
//!
//! A model of `crates/dhcp/src/clock.rs`, which reads the real ones. Within one boot the time since then tells what passed;
//! after a power cut only the wall clock is left, and it is not believed when it is behind the leases.
//!
//! What nobody could tell is left out: a clock that is set to the future before the first commit of a boot, and a power cut within the
//! second between a step and the commit that dates the leases anew, whichever of the two times the battery kept.

use crate::Seed;
use crate::disk::StoredClock;
use dhcp_proto::limits::CLOCK_STEP_MIN;
use std::time::{Duration, Instant};
use types::{Now, UnixTime};

pub(super) struct Clock {
    /// Milliseconds since 1970 at `origin`, moved by every step.
    wall_millis: u64,
    origin: Instant,
    boot: u64,
    booted: Instant,
    /// The moment at which the lease clock was read last.
    lease: Now,
    /// The store knows the lease clock of this process.
    durable: bool,
    /// The power went between a step and its commit.
    between: bool,
    /// The wall clock is all there is until the store knows of this boot.
    booting: bool,
}

impl Clock {
    pub(super) fn new(start: Instant, seed: &mut Seed) -> Clock {
        let wall_millis = 1_800_000_000_000 + seed.below(1000);
        let lease = Now { instant: start, unix: UnixTime(wall_millis / 1000) };
        Clock {
            wall_millis,
            origin: start,
            boot: 1,
            booted: start,
            lease,
            durable: false,
            between: false,
            booting: false,
        }
    }

    pub(super) fn wall(&self, at: Instant) -> Now {
        let passed = at.saturating_duration_since(self.origin).as_millis();
        let millis = self.wall_millis.saturating_add(u64::try_from(passed).unwrap_or(0));
        Now { instant: at, unix: UnixTime(millis / 1000) }
    }

    pub(super) fn lease(&self, at: Instant) -> Now {
        let since = at.saturating_duration_since(self.lease.instant);
        Now { instant: at, unix: self.lease.unix.saturating_add(since) }
    }

    fn set(&mut self, at: Instant, to: UnixTime) {
        (self.origin, self.wall_millis) = (at, to.0.saturating_mul(1000));
    }

    /// Somebody sets the wall clock; false when that is not possible now.
    pub(super) fn step(&mut self, at: Instant, to: UnixTime) -> bool {
        if !self.booting {
            self.set(at, to);
        }
        !self.booting
    }

    /// The machine starts anew. Sometimes its clock has no battery.
    pub(super) fn lose_power(&mut self, at: Instant, seed: &mut Seed) {
        let (wall, lease) = (self.wall(at).unix, self.lease(at).unix);
        self.between |= wall.0.abs_diff(lease.0) >= CLOCK_STEP_MIN.as_secs();
        if seed.chance(150) {
            // Behind whichever of the two the leases are dated by: the commit between them may be durable unheard.
            self.set(at, UnixTime(seed.below(100)).min(lease).min(wall));
            self.between = false;
        }
        self.boot += 1;
        (self.booted, self.booting) = (at, true);
    }

    fn since_boot(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.booted)
    }

    /// What is stored when the lease clock reads `unix`.
    pub(super) fn stored(&self, at: Instant, unix: UnixTime) -> StoredClock {
        StoredClock { boot: self.boot, since_boot: self.since_boot(at).as_secs(), unix: unix.0 }
    }

    /// A process begins: the lease clock goes on from what is stored. `latest`: when the newest lease was granted.
    pub(super) fn start(&mut self, at: Instant, stored: Option<StoredClock>, latest: UnixTime) -> Now {
        if let Some(stored) = stored.filter(|_| std::mem::take(&mut self.between)) {
            self.set(at, UnixTime(stored.unix));
        }
        let wall = self.wall(at).unix;
        let unix = match stored {
            None => wall,
            Some(stored) if stored.boot == self.boot => {
                let passed = self.since_boot(at).saturating_sub(Duration::from_secs(stored.since_boot));
                UnixTime(stored.unix).saturating_add(passed)
            }
            Some(stored) => wall.max(UnixTime(stored.unix)).max(latest),
        };
        self.durable = false;
        self.lease = Now { instant: at, unix };
        self.lease
    }

    /// The lease clock is the wall clock of this moment now, and the store knows.
    pub(super) fn taken_over(&mut self, clock: Now) {
        self.lease = clock;
        self.set_durable();
    }

    /// True when the store knows of an earlier boot only.
    pub(super) fn is_of_a_new_boot(&self) -> bool {
        self.booting
    }

    pub(super) fn is_durable(&self) -> bool {
        self.durable
    }

    pub(super) fn set_durable(&mut self) {
        (self.durable, self.booting) = (true, false);
    }
}
