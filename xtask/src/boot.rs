//! `cargo xtask boot`: the QEMU boot matrix by hand, with everything on the terminal.

use crate::run::cargo_command;
use anyhow::{Result, ensure};
use clap::Args;
use harness::packages::{self, BOOT, CLIENTS};

/// The QEMU boot matrix by hand.
#[derive(Args)]
pub(crate) struct Boot {
    /// Cases to boot, by a part of their name; without one, all.
    case: Vec<String>,
    /// Name the cases, boot nothing.
    #[arg(long)]
    list: bool,
    /// Keep the folders with consoles, logs and configuration.
    #[arg(long)]
    keep: bool,
}

impl Boot {
    pub(crate) fn run(self) -> Result<()> {
        packages::ensure(&[BOOT, CLIENTS].concat())?;
        let mut tests =
            cargo_command(&["test", "--package", "reveille-tests", "--test", "boot_matrix", "--"]);
        tests.args(&self.case);
        if self.list {
            tests.arg("--list");
        } else {
            tests.args(["--nocapture", "--test-threads", "1"]);
        }
        tests.env("REVEILLE_REQUIRE_TOOLS", "1");
        if self.keep {
            tests.env("REVEILLE_KEEP", "1");
        }
        let status = tests.status()?;
        ensure!(status.success(), "boot matrix: {status}");
        Ok(())
    }
}
