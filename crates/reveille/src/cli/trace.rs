//! `trace`, `simulate` and `host watch`.

use clap::{Args, ValueEnum};
use config::units::Period;
use std::net::{IpAddr, Ipv4Addr};
use types::resource::Name;
use types::{Firmware, MacAddr, MachineGuid, Selector};

/// `trace`.
#[derive(Args, Debug)]
pub(crate) struct Trace {
    /// Name, mac:…, uuid:… or serial:…
    #[arg(required_unless_present = "boot")]
    pub(crate) host: Option<String>,
    /// The newest boot that is over, in place of the newest.
    #[arg(long, conflicts_with = "follow")]
    pub(crate) last: bool,
    /// This boot (`boot list` shows ids).
    #[arg(long, value_name = "ID", conflicts_with_all = ["host", "last"])]
    pub(crate) boot: Option<String>,
    /// Go on as things happen, until the boot is over. Where it is over already, wait for the next one.
    #[arg(short, long)]
    pub(crate) follow: bool,
}

/// What a machine is assumed to be.
#[derive(Args, Debug, Default)]
pub(crate) struct FactArgs {
    /// Hardware address.
    #[arg(long)]
    pub(crate) mac: Option<MacAddr>,
    /// GUID, in either byte order.
    #[arg(long)]
    pub(crate) uuid: Option<MachineGuid>,
    /// Serial number.
    #[arg(long)]
    pub(crate) serial: Option<String>,
    /// Firmware to assume when the machine was never seen.
    #[arg(long, visible_alias = "arch")]
    pub(crate) firmware: Option<Firmware>,
    /// Manufacturer to assume.
    #[arg(long)]
    pub(crate) vendor: Option<String>,
    /// Product to assume.
    #[arg(long)]
    pub(crate) model: Option<String>,
    /// Asset tag to assume.
    #[arg(long)]
    pub(crate) asset: Option<String>,
    /// OEM string to assume.
    #[arg(long)]
    pub(crate) oemstring: Option<String>,
    /// Host name to assume.
    #[arg(long)]
    pub(crate) hostname: Option<String>,
    /// Address to assume.
    #[arg(long)]
    pub(crate) address: Option<IpAddr>,
    /// Relay to assume.
    #[arg(long)]
    pub(crate) relay: Option<Ipv4Addr>,
    /// Circuit id to assume.
    #[arg(long)]
    pub(crate) circuit: Option<String>,
    /// Subnet to assume.
    #[arg(long)]
    pub(crate) subnet: Option<String>,
    /// Interface to assume.
    #[arg(long)]
    pub(crate) interface: Option<String>,
}

impl FactArgs {
    /// What is given, by the names of the API.
    pub(crate) fn pairs(&self) -> Vec<(&'static str, String)> {
        let text = |value: &Option<String>| value.clone();
        [
            ("mac", self.mac.map(|mac| mac.to_string())),
            ("uuid", self.uuid.map(|uuid| uuid.to_string())),
            ("serial", text(&self.serial)),
            ("arch", self.firmware.map(|firmware| firmware.to_string())),
            ("vendor", text(&self.vendor)),
            ("model", text(&self.model)),
            ("asset", text(&self.asset)),
            ("oemstring", text(&self.oemstring)),
            ("hostname", text(&self.hostname)),
            ("address", self.address.map(|address| address.to_string())),
            ("relay", self.relay.map(|relay| relay.to_string())),
            ("circuit", text(&self.circuit)),
            ("subnet", text(&self.subnet)),
            ("iface", text(&self.interface)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }
}

/// `simulate`.
#[derive(Args, Debug)]
pub(crate) struct Simulate {
    /// A recorded host: its name, mac:…, uuid:… or serial:…
    #[arg(long)]
    pub(crate) host: Option<String>,
    #[command(flatten)]
    pub(crate) facts: FactArgs,
    /// UEFI HTTP boot in place of PXE.
    #[arg(long)]
    pub(crate) http_boot: bool,
    /// The iPXE in the firmware asks, not a PXE ROM.
    #[arg(long, conflicts_with = "http_boot")]
    pub(crate) ipxe: bool,
    /// The rules as they are edited, in place of those in force.
    #[arg(long)]
    pub(crate) working_rules: bool,
    /// Show every option of each DHCP reply, and every script.
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

/// `host watch`.
#[derive(Args, Debug)]
pub(crate) struct Watch {
    /// These hosts; without any and without a selection, every machine that has booted.
    pub(crate) hosts: Vec<Name>,
    /// Hosts in this group or below it.
    #[arg(long)]
    pub(crate) group: Option<Name>,
    /// Machines a selector means: vendor=Dell,model~R7.*
    #[arg(long = "where", value_name = "SELECTOR")]
    pub(crate) selector: Option<Selector>,
    /// End once all of them are up, or their boots are over whatever way.
    #[arg(long, value_enum)]
    pub(crate) until: Option<Until>,
    /// Only boots that begin from now on count for --until.
    #[arg(long, requires = "until")]
    pub(crate) new: bool,
    /// With --until: give up after so long, with exit code 7.
    #[arg(long, value_name = "TIME", requires = "until")]
    pub(crate) timeout: Option<Period>,
}

/// When a watch ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Until {
    /// Every boot is over: up, failed, or sent to its own disk.
    Done,
    /// Every boot called back.
    Up,
}
