//! Python programs that tests run: pinned by version and hash, installed into the target folder at set-up, else named in one line.
//!
//! A list in `tests/python/` is what is installed; a changed list is installed anew beside nothing of the old. Wheels only: no
//! package runs code of its own while it is installed. Nothing of it is part of a build.

use crate::packages::{self, PYTHON};
use crate::{daemon, world};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A list of Python packages with their hashes.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// Name of the list in `tests/python/`, without its ending.
    pub name: &'static str,
    /// The module that is run.
    pub module: &'static str,
    /// What we need it for.
    pub why: &'static str,
    list: &'static str,
}

/// A management controller without a machine: sushy-tools with its fake driver.
pub const REDFISH: Program = Program {
    name: "redfish-simulator",
    module: "sushy_tools.emulator.main",
    why: "a Redfish service",
    list: include_str!("../python/redfish-simulator.txt"),
};

/// Debian's, 3.11 or later: the first with `-P`.
const PYTHON_FILE: &str = "/usr/bin/python3";

/// The file that says which list is installed; written last.
const STAMP: &str = "installed.txt";

impl Program {
    fn folder(&self) -> PathBuf {
        let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        let target = target.unwrap_or_else(|| daemon::workspace().join("target"));
        // Relative ones are meant from where cargo was called: the workspace, in our own commands.
        daemon::workspace().join(target).join("python").join(self.name)
    }

    fn is_here(&self) -> bool {
        std::fs::read_to_string(self.folder().join(STAMP)).is_ok_and(|list| list == self.list)
    }

    fn install(&self, folder: &Path) -> Vec<String> {
        let list = daemon::workspace().join("tests/python").join(format!("{}.txt", self.name));
        let pip = "-m pip install --quiet --no-input --disable-pip-version-check --root-user-action=ignore --no-deps --require-hashes --only-binary :all:";
        let mut args: Vec<String> = pip.split(' ').map(str::to_owned).collect();
        for (option, path) in [("--target", folder), ("--requirement", &list)] {
            args.extend([option.to_owned(), path.display().to_string()]);
        }
        args
    }

    /// The program, ready for its arguments; its packages are the only ones it sees besides Python's own.
    pub fn command(&self) -> Command {
        let mut command = world::command(PYTHON_FILE);
        command.args(["-P", "-s", "-m", self.module]).env("PYTHONPATH", self.folder());
        command.env("PYTHONUNBUFFERED", "1").env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }
}

/// Makes sure that these are installed; installs what is missing.
///
/// # Errors
/// When one cannot be installed; the text has the line to run.
pub fn ensure(wanted: &[Program]) -> Result<()> {
    packages::ensure(PYTHON)?;
    for program in wanted.iter().filter(|program| !program.is_here()) {
        let folder = program.folder();
        let line = format!("{} {}", PYTHON_FILE, program.install(&folder).join(" "));
        eprintln!("installing: {line}");
        if folder.exists() {
            std::fs::remove_dir_all(&folder)
                .with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        let mut pip = world::command(PYTHON_FILE);
        // Its report is no result of ours: it goes where the warnings go.
        let status = pip.args(program.install(&folder)).stdout(std::io::stderr()).status();
        let status = status.with_context(|| format!("cannot run {}", PYTHON_FILE))?;
        if !status.success() {
            bail!(
                "{} ({}) is not installed: pip ended with {status}\nhint: {line}",
                program.name,
                program.why
            );
        }
        std::fs::write(folder.join(STAMP), program.list).context("cannot say what is installed")?;
    }
    Ok(())
}

/// True when the program is here. When it is not, says so loudly and answers false; with `REVEILLE_REQUIRE_TOOLS=1` it panics
/// instead, as [`packages::here`] does.
///
/// # Panics
/// With `REVEILLE_REQUIRE_TOOLS=1`, when it is missing.
pub fn here(wanted: &Program) -> bool {
    if !packages::here(PYTHON) {
        return false;
    }
    if wanted.is_here() {
        return true;
    }
    let line = "cargo xtask assets";
    let required = std::env::var_os("REVEILLE_REQUIRE_TOOLS").is_some_and(|value| value != "0");
    assert!(!required, "{} ({}) is missing: {line}", wanted.name, wanted.why);
    eprintln!("SKIPPED, {} ({}) is missing: {line}", wanted.name, wanted.why);
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_of_a_list_is_pinned_by_version_and_hash() {
        let joined = REDFISH.list.replace("\\\n", "");
        let lines: Vec<&str> =
            joined.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
        assert!(lines.len() > 10);
        for line in lines {
            assert!(line.contains("==") && line.contains("--hash=sha256:"), "{line}");
        }
    }

    #[test]
    fn another_list_is_not_here() {
        let other = Program { list: "nothing", ..REDFISH };
        assert!(!other.is_here());
        assert!(other.install(Path::new("/x")).contains(&"--require-hashes".to_owned()));
    }
}
