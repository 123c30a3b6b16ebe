//! Floods against a running appliance in a lab: spoofed TFTP requests, slow HTTP clients, and what a machine with a lease feels
//! of them.
//!
//! The attacker sends from raw sockets in a station of its own; the victim is a station with a lease that fetches files with a
//! real client and measures four-way DHCP exchanges.

mod dhcp;
mod http;
mod rrq;

pub use dhcp::{Exchange, Prober};
pub use http::SlowClients;
pub use rrq::{Requests, RrqFlood, TFTP_PORT};

use crate::daemon::{Config, Daemon};
use crate::{Lab, Namespace, Segment, clients};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

/// The appliance.
pub const SERVER: &str = "10.77.0.1";
const NETWORK: &str = "10.77.0.0/24";
const POOL: &str = "10.77.0.100-10.77.0.199";
const ATTACKER: &str = "10.77.0.66/16";
/// The image whose file is fetched.
const IMAGE: &str = "storm";
const FILE: &str = "storm.bin";
const SERVER_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const HTTP_PORT: u16 = 8080;

/// An appliance, a machine with a lease and an attacker on one segment.
///
/// Fields in dropping order: processes before the namespaces they run in.
pub struct StormLab {
    /// reveille.
    pub daemon: Daemon,
    /// Where it runs.
    pub server: Namespace,
    /// A machine with a lease.
    pub victim: Namespace,
    /// Somebody else.
    pub attacker: Namespace,
    segment: Segment,
    lab: Lab,
    file: Vec<u8>,
}

impl StormLab {
    /// Starts it; the file that is fetched has `file_bytes`. `prlimit` bounds the appliance's open files.
    ///
    /// # Errors
    /// When any part does not come up.
    pub fn new(file_bytes: usize, open_files_max: Option<u64>) -> Result<StormLab> {
        let lab = Lab::new()?;
        let segment = lab.segment()?;
        let server = lab.station(&segment, "server", Some(&format!("{SERVER}/24")))?;
        let attacker = lab.station(&segment, "attacker", Some(ATTACKER))?;
        // Answers to invented sources leave; nobody takes them further.
        server.ip(&["route", "add", "default", "via", "10.77.0.66"])?;
        let victim = lab.station(&segment, "victim", None)?;
        let mut config = Config::server(NETWORK, POOL);
        // A usual level: at `debug` the log is the bottleneck, and nobody runs it so.
        config.set(&["log", "level"], json!("info"));
        let daemon = Daemon::start_limited(&lab, &server, config, open_files_max)?;
        let file: Vec<u8> = (0..file_bytes).map(|at| u8::try_from(at * 31 % 251).unwrap_or(0)).collect();
        let path = lab.path(FILE);
        std::fs::write(&path, &file)?;
        let other = lab.path("initrd");
        std::fs::write(&other, "x")?;
        daemon.import(IMAGE, &path, &other, "quiet")?;
        let storm = StormLab { daemon, server, victim, attacker, segment, lab, file };
        let lease = storm.prober()?.exchange(Duration::from_secs(20))?;
        storm.victim.ip(&["address", "add", &format!("{}/24", lease.address), "dev", "eth0"])?;
        Ok(storm)
    }

    /// DHCP from the victim's interface.
    ///
    /// # Errors
    /// When no raw socket can be opened.
    pub fn prober(&self) -> Result<Prober> {
        self.victim.run(|| Prober::open("eth0"))?
    }

    /// Fetches the file by TFTP, block by block, and checks it; how long that took. The client repeats a lost request after
    /// five seconds (curl: a quarter of its connect timeout), as firmware does.
    ///
    /// # Errors
    /// When the client fails or the file is another.
    pub fn fetch(&self) -> Result<Duration> {
        let url = format!("tftp://{SERVER}/{IMAGE}/{FILE}");
        let began = Instant::now();
        let got = clients::curl(&self.lab, &self.victim, &["--connect-timeout", "20", &url])?;
        let took = began.elapsed();
        if got != self.file {
            bail!("{} bytes of {} came", got.len(), self.file.len());
        }
        Ok(took)
    }

    /// Address and hardware address of the appliance, for frames.
    ///
    /// # Errors
    /// When the latter cannot be read.
    pub fn server_end(&self) -> Result<(Ipv4Addr, [u8; 6])> {
        Ok((SERVER_ADDRESS, rrq::hardware_address(&self.server)?))
    }

    /// A port of the appliance's machine that nobody reads: what comes there costs the sender and the kernel, not the
    /// appliance. It is gone with the socket.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn sink(&self) -> Result<(UdpSocket, u16)> {
        let socket = self.server.run(|| UdpSocket::bind((SERVER_ADDRESS, 0)))??;
        let port = socket.local_addr()?.port();
        Ok((socket, port))
    }

    /// Where HTTP is served.
    pub fn http_end(&self) -> (Ipv4Addr, u16) {
        (SERVER_ADDRESS, HTTP_PORT)
    }

    /// The segment, for further stations.
    pub fn segment(&self) -> (&Lab, &Segment) {
        (&self.lab, &self.segment)
    }

    /// A counter of the appliance's status: `("tftp", "started")`.
    ///
    /// # Errors
    /// When the status cannot be had or has no such counter.
    pub fn counter(&self, door: &str, name: &str) -> Result<u64> {
        let status: Value = serde_json::from_str(&self.daemon.command(&["status", "-o", "json"])?)?;
        let count = status.get("counters").and_then(|all| all.get(door)?.get(name)?.as_u64());
        count.with_context(|| format!("no counter {door}.{name} in {status}"))
    }

    /// Resident memory of the appliance, in bytes.
    ///
    /// # Errors
    /// When it is gone.
    pub fn memory(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.daemon.process().id());
        let status = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib * 1024)
    }

    /// Bytes that came into and left the appliance's interface so far.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn traffic(&self) -> Result<(u64, u64)> {
        let text = self.server.run(|| std::fs::read_to_string("/proc/thread-self/net/dev"))??;
        let line = text.lines().find_map(|line| line.trim().strip_prefix("eth0:")).context("no eth0")?;
        let numbers: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        numbers.first().copied().zip(numbers.get(8).copied()).context("unknown form of net/dev")
    }
}

/// The middle of some measurements.
pub fn median(mut all: Vec<Duration>) -> Duration {
    all.sort();
    all.get(all.len() / 2).copied().unwrap_or_default()
}
