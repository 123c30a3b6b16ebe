//! What a run is made of. A scenario follows from its seed alone; tests write their own by changing a quiet one.

use crate::{Faults, Seed};
use std::fmt;
use std::time::Duration;

/// Who answers on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Appliances {
    /// One, and it leases.
    One,
    /// Two with disjoint pools, both lease.
    Two,
    /// One leases, the other adds boot data beside it.
    WithProxy,
}

/// Who floods the wire with requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flood {
    /// Nobody.
    None,
    /// Invented machines ask for addresses, and talk about addresses of others under their own names.
    Strangers,
    /// As above, and they speak in the names of real machines. Nobody can tell those from a released lease: the machines
    /// spoken for are left out of the checks of what machines believe.
    Impersonators,
}

/// What a run does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scenario {
    /// Decides everything random.
    pub seed: u64,
    /// Machines on the appliances' own network, at most 100.
    pub machines: u8,
    /// Machines behind a relay agent, at most 50.
    pub relayed: u8,
    /// Boots each of them makes.
    pub boots: u32,
    /// Renewals the operating system makes in each.
    pub renewals: u32,
    /// The lease time of the configuration.
    pub lease: Duration,
    /// The shortest lease a machine may ask for; equal to `lease` when it may not.
    pub lease_min: Duration,
    /// Addresses in the pool of each leasing appliance, at most 100.
    pub pool: u8,
    /// The same, of the network behind the relay; at most 50.
    pub relayed_pool: u8,
    /// Who answers.
    pub appliances: Appliances,
    /// The wire, until the trouble is over.
    pub wire: Faults,
    /// One way between two of its ends is cut for a while, so often.
    pub partitions: u32,
    /// A commit takes up to this long.
    pub commit: Duration,
    /// So often a write, sync or rename of a disk fails.
    pub disk_errors: u32,
    /// So often a disk is full for a while.
    pub disk_full: u32,
    /// Times an appliance's process dies or loses its power.
    pub crashes: u32,
    /// Times a machine loses its power.
    pub power_cycles: u32,
    /// Machines that use an address of the pool and asked nobody.
    pub squatters: u8,
    /// Who floods the wire.
    pub flood: Flood,
    /// Steps of an appliance's wall clock.
    pub clock_steps: u32,
    /// How long an address is asked for before it is offered; zero: nobody asks.
    pub probe_wait: Duration,
    /// Machines' clocks are slow by up to this, in millionths.
    pub drift_ppm: u32,
    /// Datagrams an appliance decides between two commits, at least 1.
    pub batch: u8,
    /// Machines fetch their loader over the same wire.
    pub transfers: bool,
    /// How long there is trouble. After that the wire and the disks are good.
    pub trouble: Duration,
    /// Virtual time after that in which every machine has to end its boots.
    pub patience: Duration,
}

impl Scenario {
    /// No trouble at all: eight machines, two boots each.
    pub fn quiet(seed: u64) -> Scenario {
        Scenario {
            seed,
            machines: 8,
            relayed: 0,
            boots: 2,
            renewals: 2,
            lease: Duration::from_secs(600),
            lease_min: Duration::from_secs(600),
            pool: 12,
            relayed_pool: 0,
            appliances: Appliances::One,
            wire: Faults::NONE,
            partitions: 0,
            commit: Duration::from_millis(2),
            disk_errors: 0,
            disk_full: 0,
            crashes: 0,
            power_cycles: 0,
            squatters: 0,
            flood: Flood::None,
            clock_steps: 0,
            probe_wait: Duration::from_millis(500),
            drift_ppm: 0,
            batch: 16,
            transfers: false,
            trouble: Duration::ZERO,
            patience: Duration::from_secs(20_000),
        }
    }

    /// The scenario of a seed.
    pub fn of(number: u64) -> Scenario {
        // Not the stream the run itself uses.
        let mut seed = Seed::new(number ^ 0x5ce0_a51f_0bad_5eed);
        let dice = &mut seed;
        let machines = up_to(dice, 1, 6);
        let relayed = if dice.chance(250) { up_to(dice, 1, 3) } else { 0 };
        let appliances = match dice.below(100) {
            0..70 => Appliances::One,
            70..88 => Appliances::Two,
            _ => Appliances::WithProxy,
        };
        let lease = Duration::from_secs(pick(dice, &[120, 300, 300, 600, 600, 1800]));
        let squatters = if dice.chance(200) { up_to(dice, 1, 2) } else { 0 };
        let scarce = dice.chance(150);
        let pool = if scarce { up_to(dice, 1, machines) } else { machines + up_to(dice, 0, 4) } + squatters;
        let relayed_pool = if relayed == 0 { 0 } else { relayed + up_to(dice, 0, 2) };
        let flood = match dice.below(100) {
            0..84 => Flood::None,
            84..94 => Flood::Strangers,
            _ => Flood::Impersonators,
        };
        let boots = if machines + relayed <= 3 { 1 + some(dice, 500, 2) } else { 1 + some(dice, 300, 1) };
        let renewals = some(dice, 800, 2);
        let longest = if dice.chance(200) { 1500 } else { 400 };
        let trouble = Duration::from_secs(60 + dice.below(longest));
        let scenario = Scenario {
            seed: number,
            machines,
            relayed,
            boots,
            renewals,
            lease,
            lease_min: if dice.chance(300) { lease / 2 } else { lease },
            pool,
            relayed_pool,
            appliances,
            wire: wire(dice),
            partitions: some(dice, 300, 3),
            commit: Duration::from_millis(pick(dice, &[1, 5, 5, 40, 40, 400, 3000])),
            disk_errors: some(dice, 350, 6),
            disk_full: some(dice, 200, 2),
            crashes: some(dice, 500, 4),
            power_cycles: some(dice, 250, 3),
            squatters,
            flood,
            clock_steps: some(dice, 300, 3),
            probe_wait: Duration::from_millis(pick(dice, &[0, 500, 500])),
            drift_ppm: if dice.chance(300) { 5_000 } else { 0 },
            batch: up_to(dice, 1, 16),
            transfers: dice.chance(600),
            trouble,
            patience: Duration::ZERO,
        };
        Scenario { patience: scenario.enough(), ..scenario }
    }

    /// Machines on the own network that can have an address at once, and those behind the relay.
    pub fn fit(&self) -> (usize, usize) {
        let leasing = if self.appliances == Appliances::Two { 2 } else { 1 };
        let room = |pool: u8, taken: u8| usize::from(pool.saturating_sub(taken)) * leasing;
        let own = room(self.pool, self.squatters).min(self.machines.into());
        (own, room(self.relayed_pool, 0).min(self.relayed.into()))
    }

    /// Time in which whatever trouble left behind has run out, and every boot has ended.
    fn enough(&self) -> Duration {
        let leftovers = self.lease * 2 + Duration::from_secs(60 + 60 + 600 * 2);
        let boot = self.lease * (self.renewals + 1) + Duration::from_secs(300);
        // An appliance without a battery may take all that time for not passed.
        leftovers + self.trouble + boot * (self.boots + 1) * 2
    }
}

fn wire(dice: &mut Seed) -> Faults {
    let delay = Duration::from_millis(pick(dice, &[1, 1, 5, 50]));
    let late = Duration::from_millis(pick(dice, &[30, 30, 500, 2000]));
    let base = Faults { delay, late, ..Faults::NONE };
    match dice.below(100) {
        0..15 => base,
        15..50 => Faults { loss: 50, duplicate: 30, reorder: 100, ..base },
        50..80 => Faults { truncate: 10, bit_flip: 10, delay, late, ..Faults::HARSH },
        80..92 => Faults { loss: 100, duplicate: 300, reorder: 400, ..base },
        _ => Faults { loss: 50, duplicate: 50, truncate: 20, bit_flip: 60, damage_passes: true, ..base },
    }
}

/// Zero, or with that chance 1 to `most`.
fn some(dice: &mut Seed, per_mille: u32, most: u32) -> u32 {
    let count = 1 + u32::try_from(dice.below(most.into())).unwrap_or(0);
    if dice.chance(per_mille) { count } else { 0 }
}

fn up_to(dice: &mut Seed, least: u8, most: u8) -> u8 {
    let span = u64::from(most.saturating_sub(least)) + 1;
    least.saturating_add(u8::try_from(dice.below(span)).unwrap_or(0))
}

fn pick(dice: &mut Seed, from: &[u64]) -> u64 {
    let at = usize::try_from(dice.below(from.len() as u64)).unwrap_or(0);
    from.get(at).copied().unwrap_or(1)
}

impl fmt::Display for Scenario {
    /// Says what is not as in a quiet run, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} machines", self.machines)?;
        if self.relayed > 0 {
            write!(f, " and {} behind a relay (pool {})", self.relayed, self.relayed_pool)?;
        }
        write!(f, ", pool {}, lease {} s, {:?}", self.pool, self.lease.as_secs(), self.appliances)?;
        let counts = [
            (self.partitions, "partitions"),
            (self.disk_errors, "disk errors"),
            (self.disk_full, "full disks"),
            (self.crashes, "crashes"),
            (self.power_cycles, "power cycles"),
            (self.squatters.into(), "squatters"),
            (self.clock_steps, "clock steps"),
            (self.wire.loss, "‰ lost"),
        ];
        for (count, name) in counts.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, ", {count} {name}")?;
        }
        if self.wire.damage_passes {
            f.write_str(", damaged packets pass")?;
        }
        match self.flood {
            Flood::None => Ok(()),
            Flood::Strangers => f.write_str(", strangers flood"),
            Flood::Impersonators => f.write_str(", impersonators flood"),
        }
    }
}
