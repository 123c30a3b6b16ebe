//! The project's own commands: `cargo xtask demo | test | ci | sim | agree | tidy | boot | bench | fuzz |
//! storm | torture | assets`.
//!
//! Each says what it does as it goes, works without a terminal, and touches nothing outside the workspace, the
//! namespaces it makes and, as root, the package manager.

mod agree;
mod assets;
mod bench;
mod boot;
mod ci;
mod demo;
mod fuzz;
mod run;
mod sim;
mod storm;
mod test;
mod tidy;
mod torture;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// The project's own commands.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Boot a QEMU machine from a fresh appliance in a private network and show its timeline.
    Demo(demo::Demo),
    /// Every test: unit, property, real clients, real firmware in QEMU.
    Test(test::Test),
    /// Everything that must hold before a change lands.
    Ci(ci::Ci),
    /// Simulated racks from seeds; `--seed N` replays one.
    Sim(sim::Sim),
    /// Random machines at every door against an oracle; `--seed N` replays a world.
    Agree(agree::Agree),
    /// What the compiler does not check: purity, homes of libraries, documents, quirks, words, sizes.
    Tidy,
    /// The QEMU boot matrix by hand.
    Boot(boot::Boot),
    /// Speed beside a peer, in the same run.
    Bench(bench::Bench),
    /// The fuzz targets, with coverage.
    Fuzz(fuzz::Fuzz),
    /// Floods and malformed packets against our own appliance.
    Storm(storm::Storm),
    /// What an appliance must survive: kills, power cuts, rot, full disks, floods.
    Torture(torture::Torture),
    /// Install the packages that tests and demo need, and say which loaders are here.
    Assets,
}

fn main() -> ExitCode {
    let result: Result<ExitCode> = match Cli::parse().command {
        Command::Demo(demo) => demo.run(),
        Command::Test(test) => test.run().map(|()| ExitCode::SUCCESS),
        Command::Ci(ci) => ci.run().map(|()| ExitCode::SUCCESS),
        Command::Sim(sim) => sim.run(),
        Command::Agree(agree) => agree.run().map(|()| ExitCode::SUCCESS),
        Command::Tidy => tidy::run().map(|()| ExitCode::SUCCESS),
        Command::Boot(boot) => boot.run().map(|()| ExitCode::SUCCESS),
        Command::Bench(bench) => bench.run().map(|()| ExitCode::SUCCESS),
        Command::Torture(torture) => torture.run(),
        Command::Fuzz(fuzz) => fuzz.run().map(|()| ExitCode::SUCCESS),
        Command::Storm(storm) => storm.run(),
        Command::Assets => assets::run().map(|()| ExitCode::SUCCESS),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            for cause in error.chain().skip(1) {
                eprintln!("  caused by: {cause}");
            }
            ExitCode::FAILURE
        }
    }
}
