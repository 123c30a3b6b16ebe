//! Commands of others, run in the workspace.

use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// The cargo that runs us.
pub(crate) fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// A cargo command in the workspace.
pub(crate) fn cargo_command(args: &[&str]) -> Command {
    let mut command = Command::new(cargo());
    command.args(args).current_dir(harness::daemon::workspace());
    command
}

/// Runs it, with its output on our terminal; says what runs and how long it took.
pub(crate) fn step(title: &str, command: &mut Command) -> Result<()> {
    eprintln!("== {title}");
    let start = Instant::now();
    let status =
        command.status().with_context(|| format!("{title}: cannot start {:?}", command.get_program()))?;
    if !status.success() {
        bail!("{title}: {status}");
    }
    eprintln!("   {title}: good, {:.0?}", start.elapsed());
    Ok(())
}

/// The appliance as it is shipped: `REVEILLE_BIN`, else built here.
pub(crate) fn optimised() -> Result<PathBuf> {
    if let Some(given) = std::env::var_os("REVEILLE_BIN") {
        return Ok(PathBuf::from(given));
    }
    let mut build = cargo_command(&["build", "--release", "--package", "reveille"]);
    step("build, optimised", build.env_remove("CARGO_TARGET_DIR"))?;
    Ok(harness::daemon::workspace().join("target/release/reveille"))
}

/// A command that runs an example of a package in the sim profile: what was built before, else by cargo. Its arguments follow.
pub(crate) fn example(package: &str, name: &str, built: Option<&Path>) -> Command {
    if let Some(program) = built {
        let mut command = Command::new(program);
        command.current_dir(harness::daemon::workspace());
        return command;
    }
    cargo_command(&["run", "--quiet", "--profile", "sim", "--package", package, "--example", name, "--"])
}

/// Builds the examples that `ci` runs, and says where they are. Both at once: asked for one by one, cargo builds most of what
/// they have in common twice, for their features differ.
pub(crate) fn optimised_examples() -> Result<PathBuf> {
    let packages = ["--package", "reveille-tests", "--package", "reveille-sim"];
    let examples = ["--example", "packet_storm", "--example", "simulate"];
    let folder = harness::daemon::workspace().join("target");
    let mut build = cargo_command(&["build", "--quiet", "--profile", "sim"]);
    build.args(packages).args(examples).arg("--target-dir").arg(&folder);
    step("examples, optimised", &mut build)?;
    Ok(folder.join("sim/examples"))
}

/// Its output, when it succeeds.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {:?}", command.get_program()))?;
    if !output.status.success() {
        bail!("{:?}: {}", command.get_program(), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// True when `cargo <name>` is installed.
pub(crate) fn has_cargo(name: &str) -> bool {
    cargo_command(&[name, "--version"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
