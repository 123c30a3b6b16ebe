//! Where labs may be built: directly as root, or inside a user namespace of our own.
//!
//! As an ordinary user (or as root without the right to make namespaces) the process starts itself again under
//! `unshare --user --map-root-user --mount --net --pid --fork`, with an empty `/run`; inside, everything runs
//! unchanged. `REVEILLE_ROOTLESS=1` forces that way for root, too.

use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::OnceLock;

const INSIDE: &str = "REVEILLE_INSIDE";

/// How labs can be built here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum World {
    /// Namespaces can be made right away.
    Direct,
    /// Only inside a user namespace: start again there.
    Rootless,
}

/// `PATH` for children: the system's administration folders are missing in many users' own.
pub fn search_path() -> String {
    let own = std::env::var("PATH").unwrap_or_default();
    format!("{own}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin")
}

/// A command with a complete `PATH` and no input.
pub fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env("PATH", search_path()).stdin(Stdio::null());
    command
}

fn succeeds(program: &str, args: &[&str]) -> bool {
    command(program)
        .args(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Finds out how labs can be built here.
///
/// # Errors
/// When neither way is allowed; the text says what would help.
pub fn find() -> Result<World> {
    static FOUND: OnceLock<Option<World>> = OnceLock::new();
    FOUND
        .get_or_init(|| {
            if std::env::var_os(INSIDE).is_some() {
                return Some(World::Direct);
            }
            let forced = std::env::var_os("REVEILLE_ROOTLESS").is_some_and(|value| value != "0");
            if !forced
                && nix::unistd::geteuid().is_root()
                && succeeds("unshare", &["--mount", "--net", "true"])
            {
                return Some(World::Direct);
            }
            succeeds("unshare", &["--user", "--map-root-user", "--mount", "--net", "true"])
                .then_some(World::Rootless)
        })
        .context(
            "this process may make no network namespaces: run as root, or allow user namespaces \
             (sysctl kernel.unprivileged_userns_clone=1, user.max_user_namespaces above 0)",
        )
}

/// Starts `program` again inside a user namespace of our own and waits for it.
///
/// # Errors
/// When it cannot be started.
pub fn run_inside(program: &Path, args: &[String]) -> Result<ExitStatus> {
    run_inside_with(program, args, &[])
}

/// The same, with more environment.
///
/// # Errors
/// When it cannot be started.
pub fn run_inside_with(
    program: &Path,
    args: &[String],
    environment: &[(&str, &OsStr)],
) -> Result<ExitStatus> {
    // The empty /run is where `ip netns` keeps its names; `--kill-child` ends everything inside with us. A /proc of its own
    // has the process ids of inside; where the outer one is masked (containers) the kernel refuses it.
    let script = "mount -t tmpfs tmpfs /run && ip link set lo up && { mount -t proc proc /proc 2>/dev/null; exec \"$0\" \"$@\"; }";
    command("unshare")
        .args([
            "--user",
            "--map-root-user",
            "--mount",
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
            "sh",
            "-c",
            script,
        ])
        .arg(program)
        .args(args)
        .env(INSIDE, "1")
        .envs(environment.iter().copied())
        .status()
        .context("cannot start unshare (package util-linux)")
}

/// The name a test has for the test runner, from the type name of a function inside of it.
pub fn test_name<T>(_: T) -> String {
    let path = std::any::type_name::<T>();
    let path = path.strip_suffix("::here").unwrap_or(path);
    path.split_once("::").map_or(path, |(_, rest)| rest).to_string()
}

/// Runs the test called `name` in a world where labs can be built. True: go on, we are there. False: it ran and passed.
///
/// # Errors
/// When it failed inside, or no such world can be had.
pub fn enter(name: &str) -> Result<bool> {
    match find()? {
        World::Direct => Ok(true),
        World::Rootless => {
            let program = std::env::current_exe().context("cannot find our own program")?;
            let status = run_inside(&program, &["--exact".into(), name.into(), "--nocapture".into()])?;
            if !status.success() {
                bail!("{name} failed inside its user namespace: {status}");
            }
            Ok(false)
        }
    }
}

/// Puts the rest of a test into a world where labs can be built; as an ordinary user the test starts itself again there.
#[macro_export]
macro_rules! enter {
    () => {{
        fn here() {}
        if !$crate::world::enter(&$crate::world::test_name(here)).expect("a world for labs") {
            return;
        }
    }};
}
