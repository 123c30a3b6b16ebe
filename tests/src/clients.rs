//! Real clients, each run in a station of a lab.

use crate::{Lab, Namespace, Running};
use anyhow::{Context, Result, ensure};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Any one client is done long before, on any machine.
pub const CLIENT_DEADLINE: Duration = Duration::from_secs(60);

/// What a DHCP client was given, as its script saw it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lease {
    /// Address with prefix length: `10.77.0.100/24`.
    pub address: String,
    /// Option 54.
    pub server: String,
    /// Seconds.
    pub seconds: u32,
    /// Option 3, the first of it.
    pub router: String,
}

const UDHCPC_SCRIPT: &str = r#"#!/bin/sh
case $1 in
  bound|renew)
    ip address flush dev "$interface" scope global
    ip address add "$ip/$mask" dev "$interface"
    echo "LEASE $ip/$mask $serverid $lease ${router%% *}" ;;
  deconfig) ip link set "$interface" up ;;
  *) echo "udhcpc: $1" ;;
esac
"#;

fn script(lab: &Lab, name: &str, text: &str) -> Result<PathBuf> {
    let path = lab.path(name);
    std::fs::write(&path, text)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

fn udhcpc_command(lab: &Lab, interface: &str, extra: &[&str]) -> Result<Command> {
    let script = script(lab, "udhcpc.sh", UDHCPC_SCRIPT)?;
    let mut command = Command::new("udhcpc");
    command.args(["-f", "-i", interface, "-t", "5", "-T", "2", "-s"]).arg(script).args(extra);
    Ok(command)
}

/// Runs busybox udhcpc on `eth0` until it has a lease, which it gives to the interface and keeps.
///
/// # Errors
/// When it gets none.
pub fn udhcpc(lab: &Lab, station: &Namespace, extra: &[&str]) -> Result<Lease> {
    let command = udhcpc_command(lab, "eth0", &[&["-n", "-q"], extra].concat())?;
    let text = station.output(lab, "udhcpc", command, CLIENT_DEADLINE)?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("LEASE "))
        .with_context(|| format!("no lease:\n{text}"))?;
    let mut words = line.split_whitespace().map(str::to_string);
    let mut word = || words.next().unwrap_or_default();
    let (address, server, seconds, router) = (word(), word(), word(), word());
    Ok(Lease { address, server, seconds: seconds.parse().context("lease time")?, router })
}

/// Starts udhcpc and leaves it running; it gives its address back when it is stopped.
///
/// # Errors
/// When it cannot be started.
pub fn udhcpc_stays(lab: &Lab, station: &Namespace) -> Result<Running> {
    station.start(lab, "udhcpc", udhcpc_command(lab, "eth0", &["-R"])?)
}

/// Starts ISC dhclient on `eth0`; its line `bound to ADDRESS` tells of success.
///
/// # Errors
/// When it cannot be started.
pub fn dhclient(lab: &Lab, station: &Namespace) -> Result<Running> {
    // The system's own script would rewrite files of this machine.
    let nothing = script(lab, "dhclient.sh", "#!/bin/sh\nexit 0\n")?;
    let mut command = Command::new("dhclient");
    command.args(["-4", "-d", "-1", "-cf", "/dev/null", "-sf"]).arg(nothing);
    command.arg("-lf").arg(lab.path("dhclient.leases")).arg("-pf").arg(lab.path("dhclient.pid")).arg("eth0");
    station.start(lab, "dhclient", command)
}

/// Starts ISC dhcrelay between `down` (where clients are) and `server`, reached through `up`.
///
/// # Errors
/// When it does not come up.
pub fn dhcrelay(lab: &Lab, station: &Namespace, down: &str, up: &str, server: &str) -> Result<Running> {
    let mut command = Command::new("dhcrelay");
    command.args(["-4", "-d", "--no-pid", "-a", "-id", down, "-iu", up, server]);
    let relay = station.start(lab, "dhcrelay", command)?;
    relay.wait_for("Sending on   Socket/fallback", CLIENT_DEADLINE)?;
    Ok(relay)
}

fn fetched(lab: &Lab, station: &Namespace, name: &str, command: Command, file: &Path) -> Result<Vec<u8>> {
    let _ = std::fs::remove_file(file);
    let said = station.output(lab, name, command, CLIENT_DEADLINE)?;
    std::fs::read(file).with_context(|| format!("{name} wrote nothing:\n{said}"))
}

/// Fetches a file with tftp-hpa, which negotiates nothing.
///
/// # Errors
/// What the client said.
pub fn tftp_hpa(lab: &Lab, station: &Namespace, server: &str, name: &str) -> Result<Vec<u8>> {
    let file = lab.path("tftp-hpa.out");
    let mut command = Command::new("tftp");
    command.args(["-v", "-m", "binary", server, "-c", "get", name]).arg(&file);
    let bytes = fetched(lab, station, "tftp-hpa", command, &file)?;
    // It ends well whatever happens and leaves an empty file.
    let said = std::fs::read_to_string(lab.path("tftp-hpa.log")).unwrap_or_default();
    ensure!(!said.contains("Error code"), "tftp-hpa: {}", said.trim());
    Ok(bytes)
}

/// Fetches a file with atftp and TFTP options such as `("windowsize", "8")`.
///
/// # Errors
/// What the client said.
pub fn atftp(
    lab: &Lab,
    station: &Namespace,
    server: &str,
    name: &str,
    options: &[(&str, &str)],
) -> Result<Vec<u8>> {
    let file = lab.path("atftp.out");
    let mut command = Command::new("atftp");
    for (option, value) in options {
        command.arg("--option").arg(format!("{option} {value}"));
    }
    command.args(["--get", "--remote-file", name, "--local-file"]).arg(&file).arg(server);
    fetched(lab, station, "atftp", command, &file)
}

/// Runs curl with `args` and returns what it wrote; `-o` goes to a file of the lab.
///
/// # Errors
/// What the client said.
pub fn curl(lab: &Lab, station: &Namespace, args: &[&str]) -> Result<Vec<u8>> {
    let file = lab.path("curl.out");
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--fail", "--noproxy", "*", "-o"]).arg(&file).args(args);
    fetched(lab, station, "curl", command, &file)
}

/// Runs curl for its answer's head: status line and header fields, as text.
///
/// # Errors
/// What the client said; an error status is no error here.
pub fn curl_head(lab: &Lab, station: &Namespace, args: &[&str]) -> Result<String> {
    let mut command = Command::new("curl");
    command
        .args(["--silent", "--show-error", "--noproxy", "*", "--dump-header", "-", "-o", "/dev/null"])
        .args(args);
    station.output(lab, "curl-head", command, CLIENT_DEADLINE)
}
