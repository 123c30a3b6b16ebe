//! `cargo xtask sim`: racks from seeds, on all cores. The code is `crates/sim`; assertions are alive in its profile.

use crate::run::example;
use anyhow::{Context, Result};
use clap::Args;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::thread::available_parallelism;

/// Simulated racks from seeds: everything that may go wrong, and what must hold all the same.
#[derive(Args)]
pub(crate) struct Sim {
    /// How many seeds.
    #[arg(long, default_value_t = 20_000, conflicts_with = "seed")]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0, conflicts_with = "seed")]
    from: u64,
    /// Threads; as many as there are cores when left out.
    #[arg(long)]
    jobs: Option<usize>,
    /// One seed alone.
    #[arg(long)]
    seed: Option<u64>,
    /// Tell everything that happens to that seed.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// The program, where it was built before.
    #[arg(skip)]
    program: Option<PathBuf>,
}

impl Sim {
    /// That many seeds from the beginning.
    pub(crate) fn seeds(seeds: u64, program: PathBuf) -> Sim {
        Sim { seeds, from: 0, jobs: None, seed: None, trace: false, program: Some(program) }
    }

    pub(crate) fn run(self) -> Result<ExitCode> {
        let (first, count) = self.seed.map_or((self.from, self.seeds), |seed| (seed, 1));
        let cores = available_parallelism().map_or(1, usize::from);
        let mut run = example("reveille-sim", "simulate", self.program.as_deref());
        run.args([first, count].map(|number| number.to_string()));
        run.arg(self.jobs.unwrap_or(cores).to_string());
        if self.trace {
            run.arg("trace");
        }
        status(&mut run)
    }
}

fn status(command: &mut Command) -> Result<ExitCode> {
    let status = command.status().context("cannot start the simulator")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
