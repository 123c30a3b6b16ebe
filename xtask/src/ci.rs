//! `cargo xtask ci`: what must hold before a change lands. `.ci/run` calls it.

use crate::run::{cargo_command, has_cargo, step};
use anyhow::Result;
use clap::Args;

/// Everything that must hold before a change lands.
#[derive(Args)]
pub(crate) struct Ci {
    /// Leave the tests out: `cargo xtask test` runs them.
    #[arg(long)]
    without_tests: bool,
}

impl Ci {
    pub(crate) fn run(self) -> Result<()> {
        step("format", &mut cargo_command(&["fmt", "--all", "--check"]))?;
        crate::tidy::run()?;
        let clippy = ["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"];
        step("clippy", &mut cargo_command(&clippy))?;
        let mut docs = cargo_command(&["doc", "--quiet", "--workspace", "--no-deps"]);
        step("docs", docs.env("RUSTDOCFLAGS", "-D warnings"))?;
        fuzz()?;
        if has_cargo("deny") {
            step("deny", &mut cargo_command(&["deny", "check"]))?;
        } else {
            eprintln!(
                "NOT CHECKED: licences and advisories. cargo-deny is not installed (cargo install cargo-deny)"
            );
        }
        if self.without_tests { Ok(()) } else { crate::test::Test::default().run() }
    }
}

/// The fuzz targets compile; running them needs a nightly compiler and time.
fn fuzz() -> Result<()> {
    let manifest = harness::daemon::workspace().join("fuzz/Cargo.toml");
    if !manifest.exists() {
        eprintln!("NOT CHECKED: fuzz targets. There are none yet");
        return Ok(());
    }
    let compiler = std::process::Command::new("c++").arg("--version").output();
    if !compiler.is_ok_and(|output| output.status.success()) {
        eprintln!("NOT CHECKED: fuzz targets. libFuzzer needs a C++ compiler (apt-get install g++)");
        return Ok(());
    }
    let mut check = cargo_command(&["check", "--quiet", "--bins", "--manifest-path"]);
    step("fuzz targets", check.arg(manifest))
}
