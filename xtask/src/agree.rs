//! `cargo xtask agree`: random machines at every door against an oracle. The test is `tests/tests/agree`; CI tries fewer.

use crate::run::{cargo_command, step};
use anyhow::Result;
use clap::Args;

/// Random machines at every door: DHCP, TFTP, HTTP, `explain` and `simulate` must agree with an oracle.
#[derive(Args)]
pub(crate) struct Agree {
    /// How many machines, in worlds of fifty; of 250 for `simulate`.
    #[arg(long, default_value_t = 100_000, conflicts_with = "seed")]
    hosts: u64,
    /// One world alone.
    #[arg(long)]
    seed: Option<u64>,
}

impl Agree {
    pub(crate) fn run(self) -> Result<()> {
        let mut test = cargo_command(&["test", "--quiet", "--package", "reveille-tests", "--test", "agree"]);
        test.env("REVEILLE_AGREE_HOSTS", self.hosts.to_string());
        if let Some(seed) = self.seed {
            test.env("REVEILLE_AGREE_SEED", seed.to_string());
        }
        step("all doors agree", &mut test)
    }
}
