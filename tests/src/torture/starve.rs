//! Starvation: DISCOVERs of invented machines by the thousand a second, some of which go on to take a lease, while two known
//! machines (one with a reservation, one with an earlier lease) lease again and again.
//!
//! What must hold: 99 of 100 leases of a known machine take less than [`KNOWN_P99`], none fails; the appliance's memory
//! stays bounded; and within [`RECOVERY`] of the end of the flood a machine never seen leases again.

use super::client::Client;
use super::site::{self, Site};
use super::wire::{self, Kind};
use super::{Dice, Outcome, Progress, percentiles};
use crate::packet::{RawSocket, Worker};
use crate::{Namespace, Running};
use anyhow::{Context, Result};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A known machine during the flood.
pub const KNOWN_P99: Duration = Duration::from_secs(1);
/// From the last invented DISCOVER to the first lease of a stranger: offers lapse after a minute.
pub const RECOVERY: Duration = Duration::from_secs(120);
/// The appliance may grow by this much: every address of a /16 held or leased, and every invented machine forgotten.
pub const GROWTH_BYTES: u64 = 64 << 20;

/// One try of a known machine; UEFI firmware tries for a minute.
const KNOWN_PATIENCE: Duration = Duration::from_secs(20);
/// Between two leases of one machine.
const PAUSE: Duration = Duration::from_secs(2);
/// Frames go out in portions of this length of time.
const PORTION: Duration = Duration::from_millis(5);
/// Invented machines that take a lease, a second.
const TAKERS: u64 = 50;
const RESERVED: [u8; 6] = [2, 0, 0, 0xfd, 0, 1];
/// Machines that had a lease before; many, since one that asks all the time is not answered for that alone.
const EARLIER: u8 = 16;
const STRANGER: [u8; 6] = [2, 0, 0, 0xfd, 0, 3];

/// How it is done.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// DISCOVERs a second.
    pub rate: u64,
    /// How long.
    pub flood: Duration,
    /// Addresses: [`site::POOL`], or [`SMALL_POOL`].
    pub pool: &'static str,
    /// Whether to wait for the pool to recover, a minute or two.
    pub recovery: bool,
    /// Slower than this a known machine must not be at p99. `None` where others share the processor: then every lease has
    /// to come, in its patience.
    pub known_p99: Option<Duration>,
    /// Choices.
    pub seed: u64,
}

/// A thousand addresses: the flood takes all it can get at once.
pub const SMALL_POOL: &str = "10.64.16.0-10.64.19.255";

/// Runs it against the program at `binary`.
///
/// # Errors
/// When the lab fails.
pub fn run(binary: &Path, options: Options) -> Result<Outcome> {
    let mut site = Site::new(binary, site::config(options.pool))?;
    site.configure(|config| {
        let reservation = json!({ "mac": text(RESERVED), "address": "10.64.2.1", "hostname": "reserved" });
        config.set(
            &["dhcp", "subnets"],
            json!([{
                "name": "lab", "network": site::NETWORK, "pools": [options.pool], "lease_time": "1h",
                "reservations": [reservation],
            }]),
        );
        // As an appliance is set up that says nothing about it.
        config.set(&["dhcp", "probe_wait"], json!("500ms"));
        config.set(&["dhcp", "stranger_rate"], json!(500));
    });
    let running = site.start(&[])?;
    let station = |role: &str| site.lab.station(&site.segment, role, None).map(Arc::new);
    let mut known = vec![Client::new(station("reserved")?, "eth0", RESERVED)?];
    let earlier = station("earlier")?;
    for number in 0..EARLIER {
        known.push(Client::new(Arc::clone(&earlier), "eth0", [2, 0, 0, 0xfd, 1, number])?);
    }
    for client in &mut known {
        client.lease(KNOWN_PATIENCE).context("a known machine before the flood")?;
    }
    let mut progress = Progress::new("starve");
    let before = resident(&running)?;
    let received = site.counter("received")?;
    let flooder = station("flood")?;
    let flood = Flood::start(&flooder, options)?;
    let stop = AtomicBool::new(false);
    let tries: Vec<Tries> = std::thread::scope(|scope| {
        let known: Vec<_> = known
            .into_iter()
            .map(|client| {
                let stop = &stop;
                scope.spawn(move || again_and_again(client, stop))
            })
            .collect();
        let until = Instant::now() + options.flood;
        while Instant::now() < until {
            progress
                .say(|| format!("{} invented machines so far", flood.counts.sent.load(Ordering::Relaxed)));
            std::thread::sleep(Duration::from_millis(100));
        }
        stop.store(true, Ordering::Relaxed);
        known.into_iter().filter_map(|client| client.join().ok()).collect()
    });
    let (sent, taken) = flood.end();
    let ended = Instant::now();
    let received = site.counter("received")?.saturating_sub(received);
    let after = resident(&running)?;
    let mut violations = Vec::new();
    let mut words = Vec::new();
    let mut tries = tries.into_iter();
    let reserved = tries.next().unwrap_or_default();
    let earlier = tries.fold(Tries::default(), Tries::with);
    for (name, Tries { mut times, failed }) in [("reserved", reserved), ("earlier", earlier)] {
        let count = times.len();
        let (p50, p99) = percentiles(&mut times);
        words.push(format!("{name} machine {count} leases p50 {p50:.1?} p99 {p99:.1?}"));
        violations.extend(failed.into_iter().map(|error| format!("{name} machine: {error}")));
        if count == 0 {
            violations.push(format!("{name} machine: no lease during the flood"));
        }
        if let Some(goal) = options.known_p99.filter(|goal| p99 >= *goal) {
            violations.push(format!("{name} machine: p99 {p99:.1?} of {count} leases, the goal is {goal:?}"));
        }
    }
    if after.saturating_sub(before) > GROWTH_BYTES {
        violations.push(format!("the appliance grew from {before} to {after} bytes"));
    }
    if options.recovery {
        progress.now("the flood is over, a stranger asks");
        let mut stranger = Client::new(station("stranger")?, "eth0", STRANGER)?;
        match stranger.lease(RECOVERY) {
            Ok(_) => words.push(format!("a stranger leases {:.1?} after the flood", ended.elapsed())),
            Err(error) => violations.push(format!("after the flood: {error:#}")),
        }
        words.push(format!("memory then {} MiB", resident(&running)? >> 20));
    }
    running.cut();
    let summary = format!(
        "starve: {} on {}, {sent} invented DISCOVERs ({:.0}/s) and {taken} REQUESTs, {received} received; {}; memory {} to {} MiB, seed {}",
        options.rate,
        options.pool,
        sent as f64 / options.flood.as_secs_f64(),
        words.join("; "),
        before >> 20,
        after >> 20,
        options.seed
    );
    Ok(Outcome { summary, violations })
}

fn text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

#[derive(Default)]
struct Tries {
    times: Vec<Duration>,
    failed: Vec<String>,
}

impl Tries {
    fn with(mut self, mut other: Tries) -> Tries {
        self.times.append(&mut other.times);
        self.failed.append(&mut other.failed);
        self
    }
}

fn again_and_again(mut client: Client, stop: &AtomicBool) -> Tries {
    let mut tries = Tries::default();
    while !stop.load(Ordering::Relaxed) {
        match client.lease(KNOWN_PATIENCE) {
            Ok(took) => tries.times.push(took),
            Err(error) => tries.failed.push(format!("{error:#}")),
        }
        // The machine's own pace.
        std::thread::sleep(PAUSE);
    }
    tries
}

/// Bytes of memory the process holds.
fn resident(running: &Running) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").trim().parse().context("VmRSS")?;
    Ok(kib << 10)
}

#[derive(Default)]
struct Counts {
    sent: AtomicU64,
    taken: AtomicU64,
}

/// Invented machines, from one port of the switch.
struct Flood {
    counts: Arc<Counts>,
    worker: Worker,
}

impl Flood {
    fn start(station: &Namespace, options: Options) -> Result<Flood> {
        let counts = Arc::new(Counts::default());
        let own = Arc::clone(&counts);
        let worker = station.run(move || {
            let raw = RawSocket::open("eth0")?;
            raw.hear_servers_only(None)?;
            Worker::start("flood", move |stopped| {
                let _ = stopped.set_nonblocking(true);
                let mut byte = [0];
                flood(&raw, options, &own, || {
                    // Hung up: the value is gone.
                    matches!(std::io::Read::read(&mut &stopped, &mut byte), Ok(0))
                });
            })
        })??;
        Ok(Flood { counts, worker })
    }

    /// Ends it; answers DISCOVERs and REQUESTs.
    fn end(self) -> (u64, u64) {
        drop(self.worker);
        let count = |number: &AtomicU64| number.load(Ordering::Relaxed);
        (count(&self.counts.sent), count(&self.counts.taken))
    }
}

fn flood(raw: &RawSocket, options: Options, counts: &Counts, mut stopped: impl FnMut() -> bool) {
    let mut dice = Dice::new(options.seed);
    let began = Instant::now();
    let (mut sent, mut taken) = (0u64, 0u64);
    // What nobody took in one second is not taken in the next: lapsed offers would all be taken at once.
    let (mut second, mut taken_in_second) = (0, 0);
    let mut buffer = [0; 1518];
    while !stopped() {
        let elapsed = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        while sent < elapsed.saturating_mul(options.rate) / 1_000_000 {
            let [a, b, c, d, e, f, g, h] = dice.any().to_be_bytes();
            // Locally administered, never one of ours.
            let mac = [0x0a, a, b, c, d, e];
            let mut frame = wire::request(Kind::Discover, mac, u32::from_be_bytes([f, g, h, a]), &[]);
            quietly(&mut frame);
            raw.send(&frame);
            sent += 1;
        }
        // Some of the offers are taken, so that leases are taken, too.
        while let Some(length) = raw.receive(&mut buffer) {
            let Some(said) = buffer.get(..length).and_then(wire::read) else { continue };
            let own = said.kind == Kind::Offer && said.mac.first() == Some(&0x0a);
            if elapsed / 1_000_000 != second {
                (second, taken_in_second) = (elapsed / 1_000_000, 0);
            }
            if let (true, Some(server)) = (own && taken_in_second < TAKERS, said.server) {
                let options: [(u8, &[u8]); 2] = [(50, &said.yiaddr.octets()), (54, &server.octets())];
                let mut frame = wire::request(Kind::Request, said.mac, said.xid, &options);
                quietly(&mut frame);
                raw.send(&frame);
                taken += 1;
                taken_in_second += 1;
            }
        }
        counts.sent.store(sent, Ordering::Relaxed);
        counts.taken.store(taken, Ordering::Relaxed);
        std::thread::sleep(PORTION);
    }
}

/// Takes the broadcast flag out: answers go to the invented machine's own address.
fn quietly(frame: &mut [u8]) {
    if let Some(flags) = frame.get_mut(14 + 20 + 8 + 10) {
        *flags = 0;
    }
}
