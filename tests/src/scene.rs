//! The usual scene: one segment, the appliance at 10.77.0.1, a payload to boot.

use crate::daemon::{Config, Daemon, payload_cmdline};
use crate::payload::Payload;
use crate::{Lab, Machine, Namespace, Running, Segment};
use anyhow::Result;
use std::time::Duration;

/// The network of the scene.
pub const NETWORK: &str = "10.77.0.0/24";
/// Addresses the appliance gives in server mode.
pub const POOL: &str = "10.77.0.100-10.77.0.150";
/// The appliance.
pub const SERVER: &str = "10.77.0.1";
/// Emulation on a busy two-core machine; a quiet one needs a tenth.
pub const BOOT_DEADLINE: Duration = Duration::from_secs(240);
/// What is recorded after a machine has gone on.
pub const EVENT_DEADLINE: Duration = Duration::from_secs(20);

/// A running appliance and its network.
///
/// Fields in dropping order: processes before the namespaces they run in.
pub struct Scene {
    /// reveille.
    pub daemon: Daemon,
    /// Where it runs.
    pub server: Namespace,
    /// Where machines are plugged in.
    pub segment: Segment,
    /// Kernel and ramdisk.
    pub payload: Payload,
    /// Everything else.
    pub lab: Lab,
}

impl Scene {
    /// Starts the appliance with `config`.
    ///
    /// # Errors
    /// When any part does not come up.
    pub fn new(config: Config) -> Result<Scene> {
        let lab = Lab::new()?;
        let segment = lab.segment()?;
        let server = lab.station(&segment, "server", Some(&format!("{SERVER}/24")))?;
        let folder = lab.path("payload");
        std::fs::create_dir(&folder)?;
        let payload = Payload::build(&folder)?;
        let daemon = Daemon::start(&lab, &server, config)?;
        Ok(Scene { daemon, server, segment, payload, lab })
    }

    /// Imports the payload as `name`; machines that boot it say this name as their tag.
    ///
    /// # Errors
    /// What the import said.
    pub fn import(&self, name: &str) -> Result<()> {
        self.daemon.import(name, &self.payload.kernel, &self.payload.initrd, &payload_cmdline(name))
    }

    /// Switches `machine` on.
    ///
    /// # Errors
    /// When QEMU does not start.
    pub fn power_on(&self, machine: &Machine) -> Result<PoweredOn> {
        self.power_on_at(machine, machine.port(&self.lab, &self.segment)?)
    }

    /// Switches `machine` on at a port of your own.
    ///
    /// # Errors
    /// When QEMU does not start.
    pub fn power_on_at(&self, machine: &Machine, port: crate::Port) -> Result<PoweredOn> {
        let running = machine.start(&self.lab, &self.segment, &port)?;
        Ok(PoweredOn { running, _port: port })
    }
}

/// A machine that is on, at its port.
pub struct PoweredOn {
    /// QEMU.
    pub running: Running,
    _port: crate::Port,
}

impl PoweredOn {
    /// See [`crate::qemu::wait_payload`].
    ///
    /// # Errors
    /// When the payload does not end in time.
    pub fn wait_payload(&mut self) -> Result<Vec<String>> {
        crate::qemu::wait_payload(&mut self.running, BOOT_DEADLINE)
    }
}
