//! Load: perfdhcp with new leases, renewals and releases.

use super::site::{SERVER, Site};
use crate::Running;
use anyhow::Result;
use std::process::Command;

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub struct Churn {
    /// New leases a second.
    pub rate: u32,
    /// Renewals a second.
    pub renew: u32,
    /// Releases a second.
    pub release: u32,
    /// Different machines.
    pub machines: u32,
}

impl Default for Churn {
    fn default() -> Churn {
        Churn { rate: 800, renew: 200, release: 200, machines: 5000 }
    }
}

/// The load, begun anew whenever it ended.
pub struct Load<'a> {
    site: &'a Site,
    churn: Churn,
    seed: u64,
    running: Option<Running>,
}

impl<'a> Load<'a> {
    /// Nothing yet.
    pub fn new(site: &'a Site, churn: Churn, seed: u64) -> Load<'a> {
        Load { site, churn, seed, running: None }
    }

    /// Makes sure that it runs.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn keep_up(&mut self) -> Result<()> {
        if self.running.as_mut().is_some_and(Running::is_alive) {
            return Ok(());
        }
        self.seed = self.seed.wrapping_add(1);
        let Churn { rate, renew, release, machines } = self.churn;
        let number = |number: u32| number.to_string();
        let mut command = Command::new("perfdhcp");
        command.args(["-4", "-l", "eth0", "-p", "600", "-W", "1", "-g", "single"]);
        command.args(["-r", &number(rate), "-f", &number(renew), "-F", &number(release)]);
        command.args(["-R", &number(machines), "-s", &(self.seed % 1_000_000).to_string(), SERVER]);
        self.running = Some(self.site.client.start(&self.site.lab, "perfdhcp", command)?);
        Ok(())
    }

    /// Ends it.
    pub fn stop(&mut self) {
        self.running = None;
    }
}
