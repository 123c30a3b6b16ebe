//! `cargo xtask ci`: what must hold before a change lands. `.ci/run` calls it.

use crate::run::{cargo_command, has_cargo, optimised_examples, step};
use anyhow::{Result, ensure};
use clap::Args;
use std::process::ExitCode;

/// Everything that must hold before a change lands.
#[derive(Args)]
pub(crate) struct Ci {
    /// Leave the tests out: `cargo xtask test` runs them.
    #[arg(long)]
    without_tests: bool,
    /// Seeds of the simulation; 0 leaves it out.
    #[arg(long, default_value_t = 20_000)]
    sim_seeds: u64,
}

impl Ci {
    pub(crate) fn run(self) -> Result<()> {
        step("format", &mut cargo_command(&["fmt", "--all", "--check"]))?;
        crate::tidy::run()?;
        let clippy = ["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"];
        step("clippy", &mut cargo_command(&clippy))?;
        let mut docs = cargo_command(&["doc", "--quiet", "--workspace", "--no-deps"]);
        step("docs", docs.env("RUSTDOCFLAGS", "-D warnings"))?;
        // Finding something new takes coverage flags and time: `cargo xtask fuzz`.
        crate::fuzz::replay()?;
        let optimised = optimised_examples()?;
        crate::storm::Packets::short(optimised.join("packet_storm")).run()?;
        if has_cargo("deny") {
            step("deny", &mut cargo_command(&["deny", "check"]))?;
        } else {
            eprintln!(
                "NOT CHECKED: licences and advisories. cargo-deny is not installed (cargo install cargo-deny)"
            );
        }
        if self.sim_seeds > 0 {
            eprintln!("== simulation");
            let good = crate::sim::Sim::seeds(self.sim_seeds, optimised.join("simulate")).run()?;
            ensure!(good == ExitCode::SUCCESS, "simulation: the lines above replay what broke");
        }
        if self.without_tests { Ok(()) } else { crate::test::Test::default().run() }
    }
}
