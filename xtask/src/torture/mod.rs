//! `cargo xtask torture kill | import | powercut | bitrot | inject | diskfull | starve`: the long forms.
//!
//! The code is the harness's (`harness::torture`), where it runs as ordinary tests in its short forms. Each part says how
//! far it is every few seconds, ends with one line of figures, and fails on any violation. `--seed` repeats a run.

use crate::run::optimised;
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use harness::packages::{self, BOOT, CLIENTS, MEDIA, TORTURE};
use harness::torture::churn::Churn;
use harness::torture::{
    Outcome, bitrot, diskfull, fresh_seed, import, inject, kill, powercut, site, start, starve,
};
use harness::world::{self, World};
use std::process::ExitCode;
use std::time::Duration;

/// What is done.
#[derive(Args)]
pub(crate) struct Torture {
    #[command(subcommand)]
    part: Part,
    /// Repeats the choices of an earlier run.
    #[arg(long, global = true)]
    seed: Option<u64>,
}

#[derive(Subcommand)]
enum Part {
    /// `kill -9` of the appliance under load: everything acknowledged on the wire is in the store.
    Kill {
        /// Kills.
        #[arg(long, default_value_t = 200)]
        points: u32,
        /// Leases preloaded to measure the restart; 0 leaves that out.
        #[arg(long, default_value_t = 100_000)]
        leases: u32,
    },
    /// `kill -9` while an image comes in: nothing of it is there, what was there is whole, and it comes in once more.
    Import {
        /// Kills.
        #[arg(long, default_value_t = 200)]
        points: u32,
        /// Bytes of the image.
        #[arg(long, default_value_t = 96_000_000)]
        bytes: usize,
    },
    /// Every state a disk may be in after the power went: the store starts and holds what it acknowledged.
    Powercut {
        /// States opened.
        #[arg(long, default_value_t = 1000)]
        orders: u64,
    },
    /// Flipped bits, zeroed pages and cut files: told or harmless, never silent.
    Bitrot {
        /// Flipped bits.
        #[arg(long, default_value_t = 1000)]
        flips: u64,
        /// Zeroed pages.
        #[arg(long, default_value_t = 200)]
        pages: u64,
        /// Cut files.
        #[arg(long, default_value_t = 200)]
        truncations: u64,
    },
    /// Failing system calls: nothing acknowledged that is not there.
    Inject {
        /// Runs of a store, each with another call failing.
        #[arg(long, default_value_t = 500)]
        calls: usize,
        /// Runs of the appliance under load.
        #[arg(long, default_value_t = 40)]
        daemon_calls: u64,
    },
    /// A full disk under load, a restart on it, and room again.
    Diskfull {
        /// Times the disk fills.
        #[arg(long, default_value_t = 50)]
        points: u32,
    },
    /// Invented machines by the thousand while known ones lease again and again.
    Starve {
        /// DISCOVERs a second.
        #[arg(long, default_value_t = 10_000)]
        rate: u64,
        /// How long.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
}

impl Torture {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        packages::ensure(&[BOOT, CLIENTS, MEDIA, TORTURE].concat())?;
        if world::find()? == World::Rootless {
            bail!("torture needs port 67 of a namespace, mounts and traces: run as root");
        }
        let seed = self.seed.unwrap_or_else(fresh_seed);
        let mut clean = true;
        let mut report = |outcome: Outcome| {
            clean &= outcome.is_clean();
            println!("{outcome}");
        };
        match self.part {
            Part::Kill { points, leases } => {
                let binary = optimised()?;
                if leases > 0 {
                    report(start::run(&binary, start::Options { leases, starts: 5, goal: start::GOAL })?);
                }
                report(kill::run(&binary, kill::Options { points, seed, churn: Churn::default() })?);
            }
            Part::Import { points, bytes } => {
                report(import::run(&optimised()?, import::Options { points, seed, bytes })?);
            }
            Part::Bitrot { flips, pages, truncations } => {
                report(bitrot::run(bitrot::Options { flips, pages, truncations, threads: 2, seed })?);
            }
            Part::Inject { calls, daemon_calls } => {
                let options = inject::Options { calls, daemon_calls, seed };
                report(inject::store(options)?);
                report(inject::daemon(&optimised()?, options, Churn::default())?);
            }
            Part::Diskfull { points } => {
                let options = diskfull::Options { points, seed, churn: Churn::default() };
                report(diskfull::run(&optimised()?, options)?);
            }
            Part::Starve { rate, seconds } => {
                let binary = optimised()?;
                for pool in [starve::SMALL_POOL, site::POOL] {
                    let flood = Duration::from_secs(seconds);
                    report(starve::run(
                        &binary,
                        starve::Options {
                            rate,
                            flood,
                            pool,
                            recovery: true,
                            known_p99: Some(starve::KNOWN_P99),
                            seed,
                        },
                    )?);
                }
            }
            Part::Powercut { orders } => report(powercut::run(powercut::Options::new(orders, seed))?),
        }
        Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
