//! Floods over a private network, measured beside quiet in the same run.

use anyhow::{Result, anyhow, bail};
use clap::Args;
use harness::storm::{RrqFlood, SlowClients, StormLab, median};
use std::time::{Duration, Instant};

/// What the appliance's resident memory may grow by.
const GROWTH_BYTES_MAX: u64 = 64 << 20;
/// Any one exchange is done long before.
const DEADLINE: Duration = Duration::from_secs(60);
/// A transfer of some seconds at 512 bytes a round trip.
const FILE_BYTES: usize = 8 << 20;
/// DHCP exchanges of one measurement.
const EXCHANGES: usize = 200;

/// Spoofed TFTP read requests.
#[derive(Args)]
pub(super) struct Rrq {
    /// How many, each from an address and port of its own.
    #[arg(long, default_value_t = 30_000)]
    count: u64,
    /// So many a second.
    #[arg(long, default_value_t = 10_000)]
    rate: u64,
    /// Transfers measured with the flood, and as many without, in turns.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

/// Slow HTTP clients.
#[derive(Args)]
pub(super) struct Http {
    /// How many: half of them never finish their request, half never read.
    #[arg(long, default_value_t = 500)]
    clients: usize,
}

impl Rrq {
    pub(super) fn run(&self) -> Result<()> {
        let lab = StormLab::new(FILE_BYTES, None)?;
        lab.fetch()?;
        let before = lab.memory()?;
        let (mut sent, mut sessions) = (0, 0);
        let (mut quiet, mut flooded) = (Vec::new(), Vec::new());
        let began = Instant::now();
        for _ in 0..self.rounds.max(1) {
            quiet.push(lab.fetch()?);
            let share = self.count / self.rounds.max(1) as u64;
            let name = "storm/storm.bin";
            // The transfer is under way before the flood begins.
            let before = lab.counter("tftp", "started")?;
            let (took, flood) = std::thread::scope(|scope| -> Result<_> {
                let fetching = scope.spawn(|| lab.fetch());
                while lab.counter("tftp", "started")? == before && !fetching.is_finished() {}
                let end = lab.server_end()?;
                let flood = RrqFlood::start(&lab.attacker, end, name, true, share, self.rate)?;
                let took = fetching.join().map_err(|_| anyhow!("the fetch panicked"))??;
                Ok((took, flood))
            })?;
            flooded.push(took);
            while flood.is_running() {
                sessions = sessions.max(lab.counter("tftp", "active")?);
            }
            sent += flood.finish()?.0;
        }
        let grown = lab.memory()?.saturating_sub(before);
        let (quiet, flooded) = (median(quiet), median(flooded));
        let slower = flooded.as_secs_f64() / quiet.as_secs_f64() - 1.0;
        println!("requests   {sent} spoofed, asked for {}/s, in {:.0?}", self.rate, began.elapsed());
        for name in
            ["requests", "started", "evicted", "busy", "flood_source", "flood_strangers", "flood_known"]
        {
            println!("           {name} {}", lab.counter("tftp", name)?);
        }
        println!("sessions   {sessions} at most");
        println!("memory     {} KiB before, grown by {} KiB", before / 1024, grown / 1024);
        println!(
            "transfer   {quiet:.2?} in quiet, {flooded:.2?} under the flood, {:+.0} % (medians of {})",
            slower * 100.0,
            self.rounds
        );
        if grown > GROWTH_BYTES_MAX {
            bail!("memory grew by more than {} MiB", GROWTH_BYTES_MAX >> 20);
        }
        Ok(())
    }
}

impl Http {
    pub(super) fn run(&self) -> Result<()> {
        let lab = StormLab::new(FILE_BYTES, None)?;
        let mut prober = lab.prober()?;
        let mut measure = |title: &str| -> Result<()> {
            let mut all = Vec::with_capacity(EXCHANGES);
            let mut repeated = 0;
            for _ in 0..EXCHANGES {
                let exchange = prober.exchange(DEADLINE)?;
                all.push(exchange.took);
                repeated += exchange.repeated;
            }
            all.sort();
            let at = |share: usize| all.get(all.len() * share / 100).copied().unwrap_or_default();
            let fetched = median((0..3).map(|_| lab.fetch()).collect::<Result<_>>()?);
            println!(
                "{title:<10} dhcp p50 {:.2?}, p99 {:.2?}, {repeated} repeated; tftp {fetched:.2?}",
                at(50),
                at(99)
            );
            Ok(())
        };
        measure("quiet")?;
        let began = Instant::now();
        let slow = SlowClients::open(&lab.attacker, self.clients, lab.http_end(), "/storm/storm.bin")?;
        let (held, refused) = slow.count();
        println!("clients    {held} connected, {refused} turned away, in {:.1?}", began.elapsed());
        for name in ["clients", "refused_full", "refused_source", "accept_errors"] {
            println!("           {name} {}", lab.counter("http", name)?);
        }
        measure("slow http")?;
        println!("           clients {} at the end", lab.counter("http", "clients")?);
        drop(slow);
        measure("quiet")?;
        Ok(())
    }
}
