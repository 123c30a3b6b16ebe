//! Floods over a private network, measured beside quiet in the same run.

use anyhow::{Result, anyhow, bail};
use clap::Args;
use harness::storm::{Requests, RrqFlood, SlowClients, StormLab, TFTP_PORT, median};
use std::ops::Range;
use std::time::{Duration, Instant};

/// What the appliance's resident memory may grow by.
const GROWTH_BYTES_MAX: u64 = 64 << 20;
/// Any one exchange is done long before.
const DEADLINE: Duration = Duration::from_secs(60);
/// A transfer of some seconds at 512 bytes a round trip.
const FILE_BYTES: usize = 8 << 20;
/// A transfer that got so far is one.
const UNDER_WAY_BYTES: u64 = 64 << 10;
/// Machines that ask for leases in turn, each within the rate of a client.
const RACK: u8 = 40;
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
        let (mut quiet, mut aside, mut flooded) = (Vec::new(), Vec::new(), Vec::new());
        let (_sink, unread) = lab.sink()?;
        let began = Instant::now();
        let rounds = self.rounds.max(1);
        let share = self.count / rounds as u64;
        for round in 0..rounds as u64 {
            quiet.push(lab.fetch()?);
            // The same packets at a port nobody reads: the share of the sender and of the kernel, who have no machine of
            // their own here.
            aside.push(self.fetch_beside(&lab, unread, 0..share)?.0);
            let (took, flood) = self.fetch_beside(&lab, TFTP_PORT, round * share..(round + 1) * share)?;
            flooded.push(took);
            while flood.is_running() {
                sessions = sessions.max(lab.counter("tftp", "active")?);
            }
            sent += flood.finish()?.0;
        }
        let grown = lab.memory()?.saturating_sub(before);
        for ((quiet, aside), flooded) in quiet.iter().zip(&aside).zip(&flooded) {
            println!(
                "round      {quiet:.2?} in quiet, {aside:.2?} beside unread packets, {flooded:.2?} under the flood"
            );
        }
        let (beside, under) = (slower(&quiet, &aside), slower(&quiet, &flooded));
        println!("requests   {sent} spoofed, asked for {}/s, in {:.0?}", self.rate, began.elapsed());
        for name in
            ["requests", "started", "evicted", "busy", "flood_source", "flood_strangers", "flood_known"]
        {
            println!("           {name} {}", lab.counter("tftp", name)?);
        }
        println!("sessions   {sessions} at most");
        println!("memory     {} KiB before, grown by {} KiB", before / 1024, grown / 1024);
        println!("transfer   {:.2?} in quiet (medians of {rounds})", median(quiet.clone()));
        println!(
            "           {:.2?} beside as many packets to a port nobody reads, {beside:+.0} %",
            median(aside)
        );
        println!("           {:.2?} under the flood, {under:+.0} %", median(flooded));
        if grown > GROWTH_BYTES_MAX {
            bail!("memory grew by more than {} MiB", GROWTH_BYTES_MAX >> 20);
        }
        Ok(())
    }

    /// A transfer that was under way when the flood began; how long it took, and the flood.
    fn fetch_beside(&self, lab: &StormLab, port: u16, numbers: Range<u64>) -> Result<(Duration, RrqFlood)> {
        let requests = Requests::new(lab.server_end()?, port, "storm/storm.bin", true, numbers);
        let (_, before) = lab.traffic()?;
        std::thread::scope(|scope| {
            let fetching = scope.spawn(|| lab.fetch());
            // Looked up in a file: asking the appliance would take its time.
            while lab.traffic()?.1 < before + UNDER_WAY_BYTES && !fetching.is_finished() {}
            let flood = RrqFlood::start(&lab.attacker, requests, self.rate)?;
            let took = fetching.join().map_err(|_| anyhow!("the fetch panicked"))??;
            Ok((took, flood))
        })
    }
}

/// By how much the second is longer, medians, in percent.
fn slower(before: &[Duration], after: &[Duration]) -> f64 {
    (median(after.to_vec()).as_secs_f64() / median(before.to_vec()).as_secs_f64() - 1.0) * 100.0
}

impl Http {
    pub(super) fn run(&self) -> Result<()> {
        let lab = StormLab::new(FILE_BYTES, None)?;
        let mut prober = lab.prober()?.rack(RACK);
        for _ in 0..RACK {
            // From now on their addresses are known to be free.
            prober.exchange(DEADLINE)?;
        }
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
