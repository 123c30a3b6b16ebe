//! reveille itself, as an operator runs it: a configuration file, `reveille serve`, and the command line.

use crate::timeline::{self, Event};
use crate::{Lab, Namespace, Running};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A debug build on a busy machine.
const READY_DEADLINE: Duration = Duration::from_secs(60);
const COMMAND_DEADLINE: Duration = Duration::from_secs(60);

/// The program: `REVEILLE_BIN`, else the one of this build, brought up to date by cargo.
///
/// # Errors
/// When it does not build.
pub fn binary() -> Result<PathBuf> {
    if let Some(given) = std::env::var_os("REVEILLE_BIN") {
        return Ok(PathBuf::from(given));
    }
    built("reveille", "reveille")
}

/// A program of the workspace beside the one that runs, brought up to date by cargo.
///
/// # Errors
/// When it does not build.
pub fn built(package: &str, program: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("cannot find our own program")?;
    let folder = own.parent().context("our program is in no folder")?;
    // Tests are in `<target>/<profile>/deps`, commands in `<target>/<profile>`.
    let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--package", package, "--bin", program]);
    cargo.arg("--manifest-path").arg(workspace().join("Cargo.toml"));
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    if let Some(target) = folder.parent() {
        cargo.arg("--target-dir").arg(target);
    }
    let status = cargo.status().context("cannot run cargo")?;
    if !status.success() {
        bail!("{program} does not build: {status}");
    }
    Ok(folder.join(program))
}

/// The folder of the workspace.
pub fn workspace() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

/// A configuration file in the making. Interface `eth0`, everything else inside the lab's folder.
#[derive(Clone, Debug)]
pub struct Config(Value);

impl Config {
    fn new() -> Config {
        Config(json!({
            "version": 1,
            "interfaces": [{ "name": "eth0" }],
            "dhcp": { "subnets": [] },
            "boot": {},
            "http": { "listen": ":8080" },
            "log": { "format": "text", "level": "debug" },
            "resources": { "hosts": [] },
        }))
    }

    /// Addresses and boot data for `network` from `pool`.
    pub fn server(network: &str, pool: &str) -> Config {
        let mut config = Config::new().subnet(json!({ "name": "lab", "network": network, "pools": [pool] }));
        config.set(&["dhcp", "mode"], json!("server"));
        config
    }

    /// Boot data only; somebody else gives the addresses.
    pub fn proxy(network: &str) -> Config {
        let mut config = Config::new().subnet(json!({ "name": "lab", "network": network }));
        config.set(&["dhcp", "mode"], json!("proxy"));
        config
    }

    /// One more subnet, in the form of the file.
    #[must_use]
    pub fn subnet(mut self, subnet: Value) -> Config {
        self.push(&["dhcp", "subnets"], subnet);
        self
    }

    /// What unknown machines get: `menu`, `local-disk` or `ignore`.
    #[must_use]
    pub fn unknown(mut self, policy: &str) -> Config {
        self.set(&["dhcp", "unknown_hosts"], json!(policy));
        self
    }

    /// The image of machines without a host record.
    #[must_use]
    pub fn default_image(mut self, image: &str) -> Config {
        self.set(&["boot", "default_image"], json!(image));
        self
    }

    /// The first loader of BIOS machines.
    #[must_use]
    pub fn bios_loader(mut self, file: &str) -> Config {
        self.set(&["boot", "loaders"], json!({ "bios": file }));
        self
    }

    /// A host record, in the form of the file.
    #[must_use]
    pub fn host(mut self, host: Value) -> Config {
        self.push(&["resources", "hosts"], host);
        self
    }

    /// A Linux image from a folder with the payload.
    #[must_use]
    pub fn payload_image(mut self, name: &str, folder: &Path) -> Config {
        let image = json!({
            "name": name, "kind": "linux", "source": format!("dir:{}", folder.display()),
            "kernel": "linux", "initrd": ["payload.img"], "cmdline": payload_cmdline(name),
        });
        self.push(&["resources", "images"], image);
        self
    }

    /// Sets a key by its path.
    pub fn set(&mut self, path: &[&str], value: Value) {
        let mut place = &mut self.0;
        for key in path {
            if !place.is_object() {
                *place = json!({});
            }
            let Value::Object(map) = place else { return };
            place = map.entry(*key).or_insert(Value::Null);
        }
        *place = value;
    }

    fn push(&mut self, path: &[&str], value: Value) {
        let pointer = format!("/{}", path.join("/"));
        match self.0.pointer_mut(&pointer) {
            Some(Value::Array(list)) => list.push(value),
            _ => self.set(path, json!([value])),
        }
    }

    /// The file's text for a daemon that keeps everything in `folder`. JSON is YAML.
    pub(crate) fn text(mut self, folder: &Path) -> String {
        let at = |name: &str| json!(folder.join(name));
        self.set(&["admin", "socket"], at("admin.sock"));
        if self.0.pointer("/store/path").is_none() {
            self.set(&["store", "path"], at("store"));
        }
        self.set(&["library", "path"], at("library"));
        format!("{:#}\n", self.0)
    }
}

/// The command line of a payload image; its tag is the image's name.
pub fn payload_cmdline(name: &str) -> String {
    format!("console=ttyS0 quiet payload.tag={name}")
}

/// A running appliance.
pub struct Daemon {
    events: Running,
    running: Running,
    socket: PathBuf,
    binary: PathBuf,
    folder: PathBuf,
}

impl Daemon {
    /// Starts it in `station` and waits until it serves.
    ///
    /// # Errors
    /// When it does not build or does not come up; the text has its last lines.
    pub fn start(lab: &Lab, station: &Namespace, config: Config) -> Result<Daemon> {
        Daemon::start_limited(lab, station, config, None)
    }

    /// The same, with a limit on the files it may open.
    ///
    /// # Errors
    /// As [`start`](Daemon::start).
    pub fn start_limited(
        lab: &Lab,
        station: &Namespace,
        config: Config,
        open_files_max: Option<u64>,
    ) -> Result<Daemon> {
        let binary = binary()?;
        let folder = lab.path("appliance");
        std::fs::create_dir_all(&folder)?;
        let file = folder.join("reveille.yaml");
        std::fs::write(&file, config.text(&folder))?;
        let mut command = match open_files_max {
            Some(most) => {
                let mut command = Command::new("prlimit");
                command.arg(format!("--nofile={most}:{most}")).arg("--").arg(&binary);
                command
            }
            None => Command::new(&binary),
        };
        command.arg("serve").arg("--config").arg(&file);
        let running = station.start(lab, "reveille", command)?;
        running.wait_for("server.ready", READY_DEADLINE)?;
        let socket = folder.join("admin.sock");
        let mut command = Command::new(&binary);
        command.args(["events", "--follow", "--since", "0", "-o", "json", "--socket"]).arg(&socket);
        let events = station.start(lab, "events", command)?;
        events.wait_for("server.ready", READY_DEADLINE)?;
        Ok(Daemon { events, running, socket, binary, folder })
    }

    /// The daemon's own process and log.
    pub fn process(&self) -> &Running {
        &self.running
    }

    /// Its admin socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs `reveille …` against it and returns what it printed.
    ///
    /// # Errors
    /// When the command fails; the text has its output.
    pub fn command(&self, args: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.binary);
        command.args(args).arg("--socket").arg(&self.socket);
        let name = format!("reveille {}", args.join(" "));
        let mut running = Running::start(&name, command, None)?;
        let status = running.wait_exit(COMMAND_DEADLINE)?;
        let text = running.transcript().text();
        if !status.success() {
            bail!("{name} failed: {status}\n{text}");
        }
        Ok(text)
    }

    /// Imports kernel and ramdisk as image `name`.
    ///
    /// # Errors
    /// What the command said.
    pub fn import(&self, name: &str, kernel: &Path, initrd: &Path, cmdline: &str) -> Result<()> {
        let (kernel, initrd) = (kernel.to_string_lossy(), initrd.to_string_lossy());
        self.command(&[
            "image",
            "import",
            "files",
            "--name",
            name,
            "--kernel",
            &kernel,
            "--initrd",
            &initrd,
            "--cmdline",
            cmdline,
        ])?;
        Ok(())
    }

    /// Everything that happened so far.
    pub fn events(&self) -> Vec<Event> {
        timeline::parse(&self.events.transcript().text())
    }

    /// Waits until `look` finds something in the events so far; `what` names it in the error.
    ///
    /// # Errors
    /// When the deadline passes or the stream ends.
    pub fn wait_events<T>(
        &self,
        what: &str,
        deadline: Duration,
        mut look: impl FnMut(&[Event]) -> Option<T>,
    ) -> Result<T> {
        self.events.transcript().wait_until(what, deadline, |text| look(&timeline::parse(text)))
    }

    /// Waits until the machine with `mac` has gone through `patterns` in order (see [`timeline::in_order`]).
    ///
    /// # Errors
    /// Names the missing event.
    pub fn wait_order(&self, mac: &str, patterns: &[&str], deadline: Duration) -> Result<()> {
        let seen = |events: &[Event]| timeline::in_order(&timeline::of_machine(events, mac), patterns);
        self.wait_events("events in their order", deadline, |events| seen(events).ok())
            .map_err(|_| anyhow::anyhow!(seen(&self.events()).err().unwrap_or_default()))
    }

    /// Stops it politely.
    ///
    /// # Errors
    /// When it had to be killed or ended in failure.
    pub fn stop(self) -> Result<()> {
        drop(self.events);
        self.running.stop()
    }

    /// Ends it as a power cut would; its folder stays.
    pub fn cut(self) {
        self.running.cut();
    }
}

/// Asks the API of an appliance once, over its socket: the status and the body of the answer. `fields` are whole header lines.
///
/// # Errors
/// When nobody answers, no part of the answer comes within `wait`, or it is no HTTP.
pub fn ask(
    socket: &Path,
    (method, path): (&str, &str),
    fields: &str,
    body: Option<&Value>,
    wait: Duration,
) -> Result<(u16, String)> {
    let body = body.map(ToString::to_string).unwrap_or_default();
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(wait))?;
    write!(
        stream,
        "{method} /api/v1{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}Content-Type: \
         application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).context("no answer")?;
    let read = || {
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    };
    read().with_context(|| format!("{method} {path}: no answer in HTTP: {answer:?}"))
}
