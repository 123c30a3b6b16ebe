//! `cargo xtask fuzz`: the fuzz targets with coverage, for a while; and their corpora once, for every change.
//!
//! What is found goes to `fuzz/found/` and `fuzz/artifacts/`, neither of them committed. `fuzz/README.md` says how a finding
//! becomes a test and an input becomes a seed.

use crate::run::{cargo_command, step};
use anyhow::{Context, Result, bail};
use clap::Args;
use harness::daemon::workspace;
use harness::packages::{self, FUZZ};
use std::path::PathBuf;
use std::process::Command;

/// Naming the target keeps the coverage flags away from build scripts.
const TRIPLE: &str = "x86_64-unknown-linux-gnu";
const COVERAGE: &str = "--cfg fuzzing -Ccodegen-units=1 -Cdebug-assertions -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares";
/// Longest input: two DHCP packets of Ethernet size.
const INPUT_BYTES_MAX: u32 = 3072;
/// One input may not take longer.
const INPUT_SECONDS_MAX: u32 = 5;

/// Run the fuzz targets with coverage, or one of them.
#[derive(Args)]
pub(crate) struct Fuzz {
    /// Which; every one when it is left out.
    target: Option<String>,
    /// Seconds for each.
    #[arg(long, default_value_t = 10)]
    seconds: u32,
}

impl Fuzz {
    pub(crate) fn run(&self) -> Result<()> {
        packages::ensure(FUZZ)?;
        let targets = self.chosen()?;
        let mut build = cargo("build");
        build.args(["--target", TRIPLE]).env("RUSTFLAGS", COVERAGE);
        // `seed` is no target: it does not link with the coverage flags.
        for target in &targets {
            build.args(["--bin", target]);
        }
        step("fuzz targets with coverage", &mut build)?;
        for target in &targets {
            let (found, artifacts) = (folder("found").join(target), folder("artifacts"));
            for path in [&found, &artifacts] {
                std::fs::create_dir_all(path).with_context(|| format!("cannot make {}", path.display()))?;
            }
            let mut command = Command::new(folder("target").join(TRIPLE).join("debug").join(target));
            command.arg(&found).arg(corpus(target));
            command
                .args([format!("-max_total_time={}", self.seconds), format!("-max_len={INPUT_BYTES_MAX}")]);
            command.arg(format!("-timeout={INPUT_SECONDS_MAX}"));
            command.arg(format!("-artifact_prefix={}/{target}-", artifacts.display()));
            command.args(["-print_final_stats=1", "-verbosity=0"]);
            step(&format!("fuzz {target}"), &mut command)?;
        }
        Ok(())
    }

    fn chosen(&self) -> Result<Vec<String>> {
        let all = targets()?;
        match &self.target {
            None => Ok(all),
            Some(one) if all.contains(one) => Ok(vec![one.clone()]),
            Some(one) => bail!("there is no fuzz target {one}; known are {}", all.join(", ")),
        }
    }
}

/// Builds every target without coverage and runs each over its corpus, once.
pub(crate) fn replay() -> Result<()> {
    packages::ensure(FUZZ)?;
    // A few hundred small inputs need no optimiser, and building is most of it.
    let mut build = cargo("build");
    build.env("CARGO_PROFILE_DEV_OPT_LEVEL", "0").env("CARGO_PROFILE_DEV_DEBUG", "none");
    step("fuzz targets", build.args(["--quiet", "--bins"]))?;
    for target in targets()? {
        let mut command = Command::new(folder("target").join("debug").join(&target));
        command.arg(corpus(&target)).args(["-runs=0", "-verbosity=0"]);
        step(&format!("corpus of {target}"), &mut command)?;
    }
    Ok(())
}

fn cargo(command: &str) -> Command {
    let mut cargo = cargo_command(&[command, "--manifest-path", "fuzz/Cargo.toml"]);
    cargo.env("RUSTC_BOOTSTRAP", "1").env_remove("CARGO_TARGET_DIR");
    cargo
}

fn folder(name: &str) -> PathBuf {
    workspace().join("fuzz").join(name)
}

fn corpus(target: &str) -> PathBuf {
    folder("corpus").join(target)
}

/// Names of the files in `fuzz_targets`; each has a corpus.
fn targets() -> Result<Vec<String>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder("fuzz_targets"))? {
        let path = entry?.path();
        if let Some(name) = path.file_stem() {
            all.push(name.to_string_lossy().into_owned());
        }
    }
    all.sort();
    if let Some(without) = all.iter().find(|target| !corpus(target).is_dir()) {
        bail!(
            "{without} has no corpus; `cargo run --manifest-path fuzz/Cargo.toml --bin seed` writes the seeds"
        );
    }
    Ok(all)
}
