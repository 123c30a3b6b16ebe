//! `cargo xtask test`: every test there is, none skipped.

use crate::run::{cargo_command, has_cargo, step};
use anyhow::Result;
use clap::Args;
use harness::packages::{self, BOOT, CLIENTS, DIRECTORY, INSTALLERS, MEDIA, TORTURE};
use harness::python::{self, REDFISH};

/// Every test: unit, property, real clients, real firmware in QEMU.
#[derive(Args, Default)]
pub(crate) struct Test {
    /// Only tests whose name contains this.
    filter: Vec<String>,
}

impl Test {
    pub(crate) fn run(self) -> Result<()> {
        packages::ensure(&[BOOT, CLIENTS, DIRECTORY, INSTALLERS, MEDIA, TORTURE].concat())?;
        python::ensure(&[REDFISH])?;
        harness::world::find()?;
        let binary = harness::daemon::binary()?;
        let filter: Vec<&str> = self.filter.iter().map(String::as_str).collect();
        if filter.is_empty() {
            step("documentation tests", &mut cargo_command(&["test", "--quiet", "--workspace", "--doc"]))?;
        }
        let mut tests = if has_cargo("nextest") {
            cargo_command(&[&["nextest", "run", "--workspace", "--no-fail-fast"], &filter[..]].concat())
        } else {
            eprintln!("note: cargo-nextest is not installed; cargo test does it, one crate after the other");
            // Machines under emulation: two at a time are all that two cores carry.
            let mut tests = cargo_command(&["test", "--workspace", "--all-targets", "--no-fail-fast", "--"]);
            tests.args(&filter).env("RUST_TEST_THREADS", "2");
            tests
        };
        tests.env("REVEILLE_REQUIRE_TOOLS", "1").env("REVEILLE_BIN", binary);
        // Cargo's own summary shall be the last thing on the terminal.
        eprintln!("== tests");
        let status = tests.status()?;
        anyhow::ensure!(status.success(), "tests: {status}");
        Ok(())
    }
}
