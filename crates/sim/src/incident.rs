//! What goes wrong, and when: drawn once, before the run.

use crate::Seed;
use crate::disk::Death;
use crate::scenario::{Flood, Scenario};
use crate::server::Doom;
use crate::world::Node;
use std::io::ErrorKind;
use std::time::{Duration, Instant};
use types::UnixTime;

/// The first minute is when a rack boots.
const BUSY: Duration = Duration::from_secs(60);
const YEAR: u64 = 365 * 24 * 3600;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Incident {
    /// The appliance dies now.
    Dies(usize, Death),
    /// It dies at its next commit.
    Doomed(usize, Doom),
    /// It dies while it writes a checkpoint, or writes one and lives.
    Checkpoint(usize, Option<u64>),
    /// An operation of its disk fails.
    DiskFails(usize, u64, ErrorKind),
    DiskFull(usize, bool),
    /// One way is cut for a while.
    Cut(Node, Node, Duration),
    PowerCycle(usize),
    Flood,
    ClockStep(usize, Step),
    /// The trouble is over.
    Calm,
}

/// Where a wall clock goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    By(i64),
    To(UnixTime),
}

/// Everything that goes wrong in a run, last first.
pub(crate) fn draw(
    scenario: &Scenario,
    servers: usize,
    start: Instant,
    seed: &mut Seed,
) -> Vec<(Instant, Incident)> {
    let mut all = Vec::new();
    let machines = usize::from(scenario.machines) + usize::from(scenario.relayed);
    let one = |seed: &mut Seed, count: usize| usize::try_from(seed.below(count as u64)).unwrap_or(0);
    let moment = |seed: &mut Seed| {
        let within = if seed.chance(500) { scenario.trouble.min(BUSY) } else { scenario.trouble };
        start + millis(seed, within)
    };
    for _ in 0..scenario.crashes {
        let (at, server) = (moment(seed), one(seed, servers));
        let death = if seed.chance(500) { Death::Killed } else { Death::PowerCut };
        let incident = match seed.below(10) {
            0..2 => Incident::Dies(server, death),
            2 => Incident::Doomed(server, Doom::Before(death)),
            3..6 => Incident::Doomed(server, Doom::During(seed.below(8))),
            6..9 => Incident::Doomed(server, Doom::After(death)),
            _ => Incident::Checkpoint(server, Some(seed.below(8))),
        };
        all.push((at, incident));
        if seed.chance(300) {
            all.push((moment(seed), Incident::Checkpoint(server, None)));
        }
    }
    for _ in 0..scenario.disk_errors {
        let kind = if seed.chance(500) { ErrorKind::StorageFull } else { ErrorKind::Other };
        let after = seed.below(10);
        all.push((moment(seed), Incident::DiskFails(one(seed, servers), after, kind)));
    }
    for _ in 0..scenario.disk_full {
        let (at, server) = (moment(seed), one(seed, servers));
        all.push((at, Incident::DiskFull(server, true)));
        all.push((at + millis(seed, Duration::from_secs(120)), Incident::DiskFull(server, false)));
    }
    for _ in 0..scenario.partitions {
        let server = Node::Server(one(seed, servers));
        let machine = Node::Machine(one(seed, machines));
        let other = if scenario.relayed > 0 && seed.chance(300) { Node::Relay } else { machine };
        let (from, to) = if seed.chance(500) { (server, other) } else { (other, server) };
        let at = moment(seed);
        all.push((at, Incident::Cut(from, to, millis(seed, Duration::from_secs(90)))));
    }
    for _ in 0..scenario.power_cycles {
        all.push((moment(seed), Incident::PowerCycle(one(seed, machines))));
    }
    if scenario.flood != Flood::None {
        for _ in 0..6 {
            all.push((moment(seed), Incident::Flood));
        }
    }
    for _ in 0..scenario.clock_steps {
        let step = match seed.below(6) {
            0 => Step::By(3600),
            1 => Step::By(-3600),
            2 => Step::By(YEAR.cast_signed()),
            3 => Step::By(-YEAR.cast_signed()),
            4 => Step::To(UnixTime(seed.below(100))),
            // 2106: seconds no longer fit 32 bits.
            _ => Step::To(UnixTime(u64::from(u32::MAX) - 100 + seed.below(200))),
        };
        all.push((moment(seed), Incident::ClockStep(one(seed, servers), step)));
    }
    all.push((start + scenario.trouble, Incident::Calm));
    // What is drawn beyond the end of the trouble does not come.
    all.retain(|(at, _)| *at <= start + scenario.trouble);
    all.sort_by_key(|(at, incident)| (*at, matches!(incident, Incident::Calm)));
    all.reverse();
    all
}

fn millis(seed: &mut Seed, within: Duration) -> Duration {
    Duration::from_millis(seed.below(u64::try_from(within.as_millis()).unwrap_or(0) + 1))
}
