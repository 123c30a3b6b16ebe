//! Where the appliance is tortured: a lab with a server and a client, the appliance started and killed at will, its folder
//! kept between.

use super::sniffer::Sniffer;
use crate::{Config, Lab, Namespace, Running, Segment};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The network: room for a flood.
pub const NETWORK: &str = "10.64.0.0/16";
/// The appliance.
pub const SERVER: &str = "10.64.0.1";
/// The station the load comes from.
pub const CLIENT: &str = "10.64.0.2";
/// Addresses it gives.
pub const POOL: &str = "10.64.16.0-10.64.200.255";
/// A debug build on a busy machine, with a journal to read.
const READY_DEADLINE: Duration = Duration::from_secs(60);

/// The lab.
pub struct Site {
    /// The appliance's station.
    pub server: Namespace,
    /// The load's station.
    pub client: Namespace,
    /// Their cable.
    pub segment: Segment,
    binary: PathBuf,
    config: Config,
    /// Outlives everything in it.
    pub lab: Lab,
}

/// What stands before the appliance's own command line, such as `strace …`.
pub type Wrapper<'a> = &'a [&'a str];

impl Site {
    /// Builds it for this program with [`config`].
    ///
    /// # Errors
    /// When any part does not come up.
    pub fn new(binary: &Path, config: Config) -> Result<Site> {
        let lab = Lab::new()?;
        let segment = lab.segment()?;
        let server = lab.station(&segment, "server", Some(&format!("{SERVER}/16")))?;
        let client = lab.station(&segment, "client", Some(&format!("{CLIENT}/16")))?;
        std::fs::create_dir_all(lab.path("appliance"))?;
        Ok(Site { server, client, segment, binary: binary.to_owned(), config, lab })
    }

    /// Changes what the next start reads.
    pub fn configure(&mut self, change: impl FnOnce(&mut Config)) {
        change(&mut self.config);
    }

    /// The program.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// The appliance's folder.
    pub fn folder(&self) -> PathBuf {
        self.lab.path("appliance")
    }

    /// Its store's folder, unless the configuration says another.
    pub fn store(&self) -> PathBuf {
        self.folder().join("store")
    }

    /// A listener on the appliance's own cable.
    ///
    /// # Errors
    /// When a raw socket cannot be opened.
    pub fn sniffer(&self) -> Result<Sniffer> {
        Sniffer::start(&self.server, "eth0")
    }

    /// Starts the appliance on what is in its folder and waits until it has its ports.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(&self, wrapper: Wrapper<'_>) -> Result<Running> {
        let file = self.folder().join("reveille.yaml");
        std::fs::write(&file, self.config.clone().text(&self.folder()))?;
        let own = self.binary.display().to_string();
        let mut line = wrapper.iter().copied().chain([own.as_str()]);
        let mut command = Command::new(line.next().unwrap_or_default());
        command.args(line).arg("serve").arg("--config").arg(&file);
        let mut running = self.server.start(&self.lab, "reveille", command)?;
        self.wait_ready(&mut running).with_context(|| running.transcript().tail())?;
        Ok(running)
    }

    fn wait_ready(&self, running: &mut Running) -> Result<()> {
        let until = Instant::now() + READY_DEADLINE;
        while Instant::now() < until {
            // Port 67 of any address.
            let bound = self.server.run(|| {
                std::fs::read_to_string("/proc/thread-self/net/udp")
                    .is_ok_and(|table| table.contains(":0043 "))
            })?;
            if bound {
                return Ok(());
            }
            if !running.is_alive() {
                bail!("the appliance ended instead of starting");
            }
            // There is no event to wait on for a port of another process.
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!("the appliance has no port after {READY_DEADLINE:?}")
    }

    /// Runs `reveille …` against the running appliance and reads its JSON.
    ///
    /// # Errors
    /// When it fails or answers no JSON.
    pub fn ask(&self, args: &[&str]) -> Result<Value> {
        let mut command = Command::new(&self.binary);
        command.args(args).args(["-o", "json", "--socket"]).arg(self.folder().join("admin.sock"));
        let output = command.output().context("cannot run reveille")?;
        if !output.status.success() {
            bail!("reveille {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        serde_json::from_slice(&output.stdout).context("the answer is no JSON")
    }

    /// A counter of the DHCP door, 0 when there is none of this name.
    ///
    /// # Errors
    /// As [`Site::ask`].
    pub fn counter(&self, name: &str) -> Result<u64> {
        let status = self.ask(&["status"])?;
        Ok(status
            .pointer("/counters/dhcp")
            .and_then(|all| all.get(name))
            .and_then(Value::as_u64)
            .unwrap_or(0))
    }
}

/// Server mode on [`NETWORK`] with leases of an hour; warnings only in the log. The load is machines nobody knows, as many
/// as it likes, and their addresses are offered at once.
pub fn config(pool: &str) -> Config {
    let mut config = Config::server(NETWORK, pool);
    config.set(
        &["dhcp", "subnets"],
        json!([{ "name": "lab", "network": NETWORK, "pools": [pool], "lease_time": "1h" }]),
    );
    config.set(&["dhcp", "probe_wait"], json!("0s"));
    config.set(&["dhcp", "stranger_rate"], json!(0));
    config.set(&["log", "level"], json!("warn"));
    config
}
