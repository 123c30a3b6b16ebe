//! `cargo xtask storm packets | rrq | http`: what an attacker on the boot network can send, and what it costs.

use crate::run::{cargo_command, step};
use anyhow::Result;
use clap::{Args, Subcommand};

/// Packets of the short form, for every change.
pub(crate) const PACKETS_SHORT: u64 = 2_000_000;

/// Floods against our own appliance, in a private network.
#[derive(Args)]
pub(crate) struct Storm {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Malformed DHCP and TFTP packets through the pure crates, with the log at every level.
    Packets(Packets),
}

/// Malformed packets.
#[derive(Args)]
pub(crate) struct Packets {
    /// How many, DHCP and TFTP together.
    #[arg(long, default_value_t = PACKETS_SHORT)]
    count: u64,
    /// Threads that share them, each with a seed of its own.
    #[arg(long, default_value_t = 1)]
    jobs: u64,
    /// The first thread's seed: the same seed is the same run.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Storm {
    pub(crate) fn run(self) -> Result<()> {
        match self.what {
            What::Packets(packets) => packets.run(),
        }
    }
}

impl Packets {
    /// What `ci` runs.
    pub(crate) fn short() -> Packets {
        Packets { count: PACKETS_SHORT, jobs: 1, seed: 1 }
    }

    pub(crate) fn run(&self) -> Result<()> {
        let mut command =
            cargo_command(&["run", "--quiet", "--profile", "sim", "--package", "reveille-tests"]);
        command.args(["--example", "packet_storm", "--"]);
        for (name, value) in [("--count", self.count), ("--jobs", self.jobs), ("--seed", self.seed)] {
            command.args([name, &value.to_string()]);
        }
        step("packet storm", &mut command)
    }
}
