//! Time per packet and memory over the run.

use std::process::exit;
use std::time::Duration;

/// No packet may take longer, in processor time.
pub(crate) const PACKET_MAX: Duration = Duration::from_millis(50);
/// What resident memory may grow by between a tenth of the run and its end: the tables are full by then, the rest is what
/// the allocator keeps.
const GROWTH_BYTES_MAX: u64 = 8 << 20;
/// Above it the processor clock is asked: on a busy machine the wall clock counts other programs.
const SUSPICIOUS: Duration = Duration::from_millis(2);
/// The processor clock is a system call; it is read this often, and a slow packet is charged from the last reading.
const WINDOW: u64 = 256;
/// Buckets of a quarter octave, from 1 ns.
const BUCKETS: usize = 160;

/// What became of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    /// No packet of its protocol.
    Refused,
    /// Understood, not answered.
    Ignored,
    /// Answered, or a step of a transfer.
    Acted,
}

/// Of one job.
pub(crate) struct Measure {
    count: u64,
    seen: u64,
    window_cpu: Duration,
    buckets: [u64; BUCKETS],
    slowest_wall: Duration,
    slowest: (Duration, String),
    fates: [u64; 3],
    rss_early: u64,
}

/// What is printed.
pub(crate) struct Report {
    packets: u64,
    buckets: [u64; BUCKETS],
    slowest_wall: Duration,
    slowest: (Duration, String),
    fates: [u64; 3],
    rss_early: u64,
    rss_end: u64,
    log_bytes: u64,
}

impl Measure {
    pub(crate) fn new(count: u64) -> Measure {
        Measure {
            count,
            seen: 0,
            window_cpu: Duration::ZERO,
            buckets: [0; BUCKETS],
            slowest_wall: Duration::ZERO,
            slowest: (Duration::ZERO, String::new()),
            fates: [0; 3],
            rss_early: 0,
        }
    }

    /// Called before each packet is made.
    pub(crate) fn window(&mut self, index: u64) {
        if index.is_multiple_of(WINDOW) {
            self.window_cpu = cpu();
        }
        if index == self.count / 10 {
            self.rss_early = rss();
        }
    }

    pub(crate) fn note(&mut self, fate: Fate, took: Duration, packet: &[u8], at: (u64, u64)) {
        self.seen += 1;
        self.fates[fate as usize] += 1;
        self.buckets[bucket(took)] += 1;
        self.slowest_wall = self.slowest_wall.max(took);
        if took > SUSPICIOUS {
            // At most this packet's share: what came before it in the window is charged to it.
            let charged = cpu().saturating_sub(self.window_cpu).min(took);
            if charged > self.slowest.0 {
                self.slowest = (charged, hex(packet));
            }
            if charged > PACKET_MAX {
                fail(&format!("took {charged:?}"), packet, at);
            }
        }
    }

    pub(crate) fn finish(self, log_bytes: u64) -> Report {
        Report {
            packets: self.seen,
            buckets: self.buckets,
            slowest_wall: self.slowest_wall,
            slowest: self.slowest,
            fates: self.fates,
            rss_early: self.rss_early,
            rss_end: rss(),
            log_bytes,
        }
    }
}

impl Report {
    pub(crate) fn merge(reports: Vec<Report>) -> Report {
        reports.into_iter().reduce(Report::and).expect("at least one job")
    }

    fn and(mut self, other: Report) -> Report {
        self.packets += other.packets;
        self.log_bytes += other.log_bytes;
        self.buckets.iter_mut().zip(other.buckets).for_each(|(own, other)| *own += other);
        self.fates.iter_mut().zip(other.fates).for_each(|(own, other)| *own += other);
        self.slowest_wall = self.slowest_wall.max(other.slowest_wall);
        if other.slowest.0 > self.slowest.0 {
            self.slowest = other.slowest;
        }
        // The jobs share one process.
        self.rss_early = self.rss_early.max(other.rss_early);
        self.rss_end = self.rss_end.max(other.rss_end);
        self
    }

    pub(crate) fn is_good(&self) -> bool {
        self.rss_end.saturating_sub(self.rss_early) <= GROWTH_BYTES_MAX
    }

    pub(crate) fn print(&self, took: Duration) {
        let [refused, ignored, acted] = self.fates;
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        println!(
            "packets    {} in {:.1} s, {:.0}/s",
            self.packets,
            took.as_secs_f64(),
            self.packets as f64 / took.as_secs_f64()
        );
        println!("fates      {refused} refused, {ignored} ignored, {acted} acted on");
        println!("log        {:.0} MiB, ten logs in turn", mib(self.log_bytes));
        println!("panics     0");
        println!(
            "time       p50 {:?}, p99 {:?}, p99.99 {:?} (wall)",
            self.percentile(0.5),
            self.percentile(0.99),
            self.percentile(0.9999)
        );
        if self.slowest.0.is_zero() {
            println!("slowest    {:?} (wall)", self.slowest_wall);
        } else {
            println!(
                "slowest    {:?} of processor time, {:?} wall: {}",
                self.slowest.0, self.slowest_wall, self.slowest.1
            );
        }
        println!(
            "memory     {:.1} MiB after a tenth, {:.1} MiB at the end; may grow by {:.0} MiB{}",
            mib(self.rss_early),
            mib(self.rss_end),
            mib(GROWTH_BYTES_MAX),
            if self.is_good() { "" } else { ": GREW" }
        );
    }

    /// Upper bound of the bucket that share of all packets stays within.
    fn percentile(&self, share: f64) -> Duration {
        let wanted = (self.packets as f64 * share).ceil() as u64;
        let mut seen = 0;
        let at = self.buckets.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        Duration::from_nanos(2f64.powf((at.unwrap_or(BUCKETS) + 1) as f64 / 4.0) as u64)
    }
}

fn bucket(took: Duration) -> usize {
    let nanos = took.as_nanos().max(1) as f64;
    ((nanos.log2() * 4.0) as usize).min(BUCKETS - 1)
}

/// Says what is needed to see it again, and ends the program.
pub(crate) fn fail(what: &str, packet: &[u8], (seed, index): (u64, u64)) -> ! {
    println!("FAILED     {what}: packet {index} of seed {seed}");
    println!("           {}", hex(packet));
    println!("again      cargo xtask storm packets --jobs 1 --seed {seed} --count {}", index + 1);
    exit(1)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Processor time of this thread.
fn cpu() -> Duration {
    let clock = nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID;
    nix::time::clock_gettime(clock).expect("a clock of this thread").into()
}

/// Resident memory of this process.
fn rss() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.trim().trim_end_matches(" kB").trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
