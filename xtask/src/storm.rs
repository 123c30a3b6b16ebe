//! `cargo xtask storm packets | rrq | http`: what an attacker on the boot network can send, and what it costs.

mod network;

use crate::run::{cargo_command, example, step};
use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use harness::daemon::workspace;
use harness::packages::{self, BOOT, CLIENTS};
use harness::world::{self, World};
use std::path::PathBuf;
use std::process::ExitCode;

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
    /// Spoofed TFTP requests against a running appliance, with a transfer beside them.
    Rrq(network::Rrq),
    /// Slow HTTP clients against a running appliance, with DHCP and TFTP beside them.
    Http(network::Http),
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
    /// The program, where it was built before.
    #[arg(skip)]
    program: Option<PathBuf>,
}

impl Storm {
    pub(crate) fn run(self) -> Result<ExitCode> {
        match &self.what {
            What::Packets(packets) => return packets.run().map(|()| ExitCode::SUCCESS),
            What::Rrq(_) | What::Http(_) => {}
        }
        packages::ensure(&[BOOT, CLIENTS].concat())?;
        if std::env::var_os("REVEILLE_BIN").is_none() {
            step(
                "build, optimised",
                &mut cargo_command(&["build", "--profile", "sim", "--package", "reveille"]),
            )?;
        }
        let built = workspace().join("target/sim/reveille");
        let binary = std::env::var_os("REVEILLE_BIN").map_or(built, Into::into);
        // The harness reads it from there, here or inside; a start of ourselves is the way to set it.
        if world::find()? == World::Rootless || std::env::var_os("REVEILLE_BIN").is_none() {
            let program = std::env::current_exe().context("cannot find our own program")?;
            let args: Vec<String> = std::env::args().skip(1).collect();
            let status = if world::find()? == World::Rootless {
                world::run_inside_with(&program, &args, &[("REVEILLE_BIN", binary.as_os_str())])?
            } else {
                world::command(&program.to_string_lossy())
                    .args(&args)
                    .env("REVEILLE_BIN", &binary)
                    .status()?
            };
            return Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        match self.what {
            What::Packets(_) => {}
            What::Rrq(rrq) => rrq.run()?,
            What::Http(http) => http.run()?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Packets {
    /// What `ci` runs.
    pub(crate) fn short(program: PathBuf) -> Packets {
        Packets { count: PACKETS_SHORT, jobs: 1, seed: 1, program: Some(program) }
    }

    pub(crate) fn run(&self) -> Result<()> {
        let mut command = example("reveille-tests", "packet_storm", self.program.as_deref());
        for (name, value) in [("--count", self.count), ("--jobs", self.jobs), ("--seed", self.seed)] {
            command.args([name, &value.to_string()]);
        }
        step("packet storm", &mut command)
    }
}
