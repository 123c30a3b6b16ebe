//! Wake-on-LAN and Redfish from the command line.
//!
//! ```text
//! power redfish state --url https://bmc-17 --user reveille --password-file /etc/reveille/secrets/bmc-17 --sha256 5f8c…
//! power redfish cycle --next-boot pxe   …
//! power redfish off --grace 300         …
//! power redfish next-boot uefi-http --uri http://192.0.2.1/boot.efi …
//! power redfish cycle --dry-run         …
//! power wol 52:54:00:12:34:56 --interface eth1
//! ```

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand, ValueEnum};
use power::spec::{Fingerprint, Login, RedfishSpec, SecretRef, TrustSpec, WolSpec};
use power::{Action, ActionName, BootMode, BootTarget, Identity, Order, PowerRequest, PowerSpec, Watch};
use reveille_power as power;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::process::ExitCode;
use types::MacAddr;

/// Power of a machine: Wake-on-LAN and Redfish.
#[derive(Parser)]
#[command(name = "power", max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    way: Way,
}

#[derive(Subcommand)]
enum Way {
    /// Asks the machine's management controller.
    Redfish(Box<ByRedfish>),
    /// Sends a magic packet, three times. Nobody answers it.
    Wol(Wol),
}

#[derive(Args)]
struct ByRedfish {
    /// What to do.
    #[arg(value_enum)]
    what: What,
    /// What to start from, with `next-boot`.
    #[arg(value_enum)]
    target: Option<Target>,
    /// Address of the controller: https:// and its host.
    #[arg(long)]
    url: String,
    /// User name.
    #[arg(long)]
    user: String,
    /// File with the password; nobody else may read it.
    #[arg(long, required_unless_present = "password_env")]
    password_file: Option<PathBuf>,
    /// Environment variable with the password.
    #[arg(long, conflicts_with = "password_file")]
    password_env: Option<String>,
    /// Send the password with every question in place of a session.
    #[arg(long)]
    basic: bool,
    /// Which system: its id, UUID or serial number.
    #[arg(long)]
    system: Option<String>,
    /// SHA-256 of the controller's certificate, to know it by that alone.
    #[arg(long, conflicts_with_all = ["ca_file", "insecure"])]
    sha256: Option<Fingerprint>,
    /// PEM file with the CA of its certificate.
    #[arg(long, conflicts_with = "insecure")]
    ca_file: Option<PathBuf>,
    /// Trust anybody; allows http://, too.
    #[arg(long)]
    insecure: bool,
    /// UUID of the machine meant: nothing is switched when the controller has another.
    #[arg(long)]
    uuid: Option<types::MachineGuid>,
    /// Serial number of the machine meant.
    #[arg(long)]
    serial: Option<String>,
    /// Set what to start from before on or cycle.
    #[arg(long, value_enum)]
    next_boot: Option<Target>,
    /// URL for UEFI HTTP boot.
    #[arg(long)]
    uri: Option<String>,
    /// Mode of the firmware for the next boot; left alone unless given.
    #[arg(long, value_enum)]
    mode: Option<Mode>,
    /// Keep the next boot until it is taken back.
    #[arg(long)]
    always: bool,
    /// Seconds the operating system may take to shut down; 0 asks it nothing. `off` gives it 120, `cycle` 0.
    #[arg(long)]
    grace: Option<u64>,
    /// Ask for everything, change nothing, say what would be sent.
    #[arg(long)]
    dry_run: bool,
    /// Everything as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    State,
    On,
    Off,
    Cycle,
    NextBoot,
}

#[derive(Clone, Copy, ValueEnum)]
enum Target {
    Pxe,
    UefiHttp,
    Hdd,
    None,
}

#[derive(Clone, Copy, ValueEnum)]
enum Mode {
    Uefi,
    Legacy,
}

#[derive(Args)]
struct Wol {
    /// MAC address to wake.
    mac: MacAddr,
    /// Interface it leaves by; without one, every one that is up.
    #[arg(long)]
    interface: Option<String>,
    /// Broadcast address it goes to.
    #[arg(long)]
    broadcast: Option<Ipv4Addr>,
    /// UDP port, 9 unless given.
    #[arg(long)]
    port: Option<NonZeroU16>,
    /// File with the SecureOn password.
    #[arg(long)]
    secure_on_file: Option<PathBuf>,
    /// Say where it would go.
    #[arg(long)]
    dry_run: bool,
}

/// Tells on standard error what goes on.
struct Telling;

impl Watch for Telling {
    fn advanced(&mut self, _: u64, _: Option<u64>) {}

    fn says(&mut self, text: &str) {
        let _ = writeln!(std::io::stderr(), "{text}");
    }
}

fn whole(path: PathBuf) -> Result<PathBuf> {
    std::path::absolute(&path).with_context(|| format!("cannot name {}", path.display()))
}

impl ByRedfish {
    fn spec(&self) -> Result<PowerSpec> {
        let password = match (&self.password_file, &self.password_env) {
            (Some(path), _) => SecretRef::File(whole(path.clone())?),
            (None, name) => SecretRef::Env(name.clone().unwrap_or_default()),
        };
        let trust = match (self.sha256, &self.ca_file, self.insecure) {
            (Some(pin), _, _) => TrustSpec::Sha256(pin),
            (None, Some(path), _) => TrustSpec::CaFile(whole(path.clone())?),
            (None, None, true) => TrustSpec::Insecure,
            (None, None, false) => TrustSpec::System,
        };
        let redfish = RedfishSpec {
            url: self.url.clone(),
            user: self.user.clone(),
            password,
            login: self.basic.then_some(Login::Basic),
            system: self.system.clone(),
            trust,
        };
        Ok(PowerSpec { wol: None, redfish: Some(redfish) })
    }

    fn request(&self) -> Result<PowerRequest> {
        let target = match (self.what, self.target, self.next_boot) {
            (What::NextBoot, None, _) => {
                anyhow::bail!("say what to start from: power redfish next-boot pxe …")
            }
            (What::NextBoot, Some(target), None) => Some(target),
            (_, Some(_), _) => {
                anyhow::bail!("a target goes with next-boot; with on and cycle it is --next-boot")
            }
            (_, None, target) => target,
        };
        let action = match self.what {
            What::State | What::NextBoot => None,
            What::On => Some(ActionName::On),
            What::Off => Some(ActionName::Off),
            What::Cycle => Some(ActionName::Cycle),
        };
        let next_boot = target.map(|target| match target {
            Target::Pxe => BootTarget::Pxe,
            Target::UefiHttp => BootTarget::UefiHttp,
            Target::Hdd => BootTarget::Hdd,
            Target::None => BootTarget::None,
        });
        Ok(PowerRequest {
            action,
            grace_secs: self.grace,
            next_boot,
            http_uri: self.uri.clone(),
            boot_mode: self.mode.map(|mode| match mode {
                Mode::Uefi => BootMode::Uefi,
                Mode::Legacy => BootMode::Legacy,
            }),
            keep: self.always,
            dry_run: self.dry_run,
        })
    }
}

fn main() -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(Cli::parse()))
}

async fn run(cli: Cli) -> Result<ExitCode> {
    let spec;
    let order = match &cli.way {
        Way::Redfish(redfish) => {
            spec = redfish.spec()?;
            let (action, next_boot) = redfish.request()?.parts()?;
            Order {
                identity: Identity { uuid: redfish.uuid, serial: redfish.serial.clone() },
                next_boot,
                action,
                dry_run: redfish.dry_run,
                ..Order::state("this machine", &spec)
            }
        }
        Way::Wol(wol) => {
            let secure_on = wol.secure_on_file.clone().map(whole).transpose()?.map(SecretRef::File);
            let to = WolSpec {
                mac: Some(wol.mac),
                interface: wol.interface.clone(),
                broadcast: wol.broadcast,
                port: wol.port,
                secure_on,
            };
            spec = PowerSpec { wol: Some(to), redfish: None };
            let action = Some(Action::On);
            Order { action, dry_run: wol.dry_run, ..Order::state("this machine", &spec) }
        }
    };
    let outcome = power::perform(&order, &mut Telling).await;
    let mut out = std::io::stdout().lock();
    if matches!(&cli.way, Way::Redfish(redfish) if redfish.json) {
        writeln!(out, "{:#}", outcome.to_json())?;
        return Ok(if outcome.result.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    if let Some(system) = outcome.report.as_ref().and_then(|report| report.system.as_ref()) {
        writeln!(out, "{}: {}", system.describe(), system.power.as_str())?;
        if let (Some(target), Some(enabled)) = (&system.boot.target, &system.boot.enabled) {
            writeln!(out, "next boot: {target} ({enabled})")?;
        }
    }
    for planned in outcome.report.iter().flat_map(|report| &report.planned) {
        let when = planned.when.as_ref().map_or_else(String::new, |when| format!(", {when}"));
        writeln!(out, "would send {} {} {}{when}", planned.method.as_str(), planned.url, planned.body)?;
    }
    for target in outcome.woken.iter().flat_map(|woken| &woken.targets) {
        let would = if outcome.dry_run { "would go" } else { "went" };
        writeln!(out, "magic packet {would} to {}", target.to)?;
    }
    for note in outcome.notes() {
        writeln!(out, "note: {note}")?;
    }
    match &outcome.result {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            let mut err = std::io::stderr().lock();
            writeln!(err, "error: {}\nhint: {}", power::error::chain(error), error.fix())?;
            Ok(ExitCode::FAILURE)
        }
    }
}
