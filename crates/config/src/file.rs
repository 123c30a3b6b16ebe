//! The shape of the file: every key with its meaning, unit, bounds and default.
//!
//! The doc comments are the reference: they land in the JSON Schema and in `docs/config.md`. Nothing outside this
//! crate sees these types; the daemon uses [`crate::Settings`].

mod bundle;
mod dhcp;
mod expect;
mod hook;

pub(crate) use bundle::{BundleFile, ScriptFile};
pub(crate) use dhcp::{
    DhcpFile, ModeFile, OptionFile, OptionTypeFile, ReservationFile, SubnetFile, SubnetModeFile,
    UnknownHostsFile,
};

pub(crate) use expect::Expectation;
pub(crate) use hook::{BodyKindFile, HookFile, SecretFile, TrustFile};

use crate::units::{Address, BootFile, InterfaceName, Listen, Path, Period, Size, SocketPath};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::Firmware;
use types::resource::{Group, Host, Image, Name, Rule, TemplateKind};

/// Configuration of reveille. Every key is optional; an empty file is a valid one.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct File {
    /// Version of this format.
    #[schemars(range(min = 1, max = 1))]
    pub(crate) version: u32,
    /// Name of this place, shown in logs and the status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) site: Option<Name>,
    /// More files, as patterns relative to this file. Maps merge, lists append; the same single value in two files is
    /// a fault. Included files include no others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) include: Vec<Path>,
    /// Interfaces to serve. Empty: the wired ones that carry an address.
    pub(crate) interfaces: Vec<InterfaceFile>,
    /// DHCP: who gives addresses, and to which networks.
    pub(crate) dhcp: DhcpFile,
    /// What machines boot.
    pub(crate) boot: BootSectionFile,
    /// TFTP.
    pub(crate) tftp: TftpFile,
    /// HTTP for booting machines. The API is elsewhere.
    pub(crate) http: HttpFile,
    /// The API and the command line.
    pub(crate) admin: AdminFile,
    /// Where leases, hosts and boot records are kept.
    pub(crate) store: StoreFile,
    /// Where image files are kept.
    pub(crate) library: LibraryFile,
    /// Boot loaders, which come from packages of the distribution or from folders.
    pub(crate) assets: AssetsFile,
    /// The log.
    pub(crate) log: LogFile,
    /// Hosts, groups, rules, images, templates and bundles owned by the files: the same objects as in the API.
    pub(crate) resources: ResourcesFile,
    /// Who is told of events: addresses they are sent to, commands they are given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) hooks: Vec<HookFile>,
    /// What certain machines must be given: a change of the rules that breaks one of these is a fault.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) expect: Vec<Expectation>,
}

impl Default for File {
    fn default() -> File {
        File {
            version: 1,
            site: None,
            include: Vec::new(),
            interfaces: Vec::new(),
            dhcp: DhcpFile::default(),
            boot: BootSectionFile::default(),
            tftp: TftpFile::default(),
            http: HttpFile::default(),
            admin: AdminFile::default(),
            store: StoreFile::default(),
            library: LibraryFile::default(),
            assets: AssetsFile::default(),
            log: LogFile::default(),
            resources: ResourcesFile::default(),
            hooks: Vec::new(),
            expect: Vec::new(),
        }
    }
}

/// One interface.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InterfaceFile {
    /// Its name in the system, such as enp3s0.
    pub(crate) name: InterfaceName,
    /// The address to answer from. `auto` takes the only one it has.
    #[serde(default)]
    pub(crate) address: Address,
}

/// What machines boot.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct BootSectionFile {
    /// Image of every machine that no host record gives one, recorded or not. With it `dhcp.unknown_hosts` has no effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) default_image: Option<Name>,
    /// The first boot program of each firmware, a file name in the boot tree.
    pub(crate) loaders: LoadersFile,
    /// Starts of one machine in ten minutes that count as a boot loop. 2 to 100.
    #[schemars(range(min = 2, max = 100))]
    pub(crate) loop_limit: u32,
    /// How long an unknown machine waits to be recorded, with `dhcp.unknown_hosts: claim`.
    #[schemars(extend("x-minimum" = "10s", "x-maximum" = "7d"))]
    pub(crate) claim_wait: Period,
}

impl Default for BootSectionFile {
    fn default() -> BootSectionFile {
        BootSectionFile {
            default_image: None,
            loaders: LoadersFile::default(),
            loop_limit: 6,
            claim_wait: Period::secs(600),
        }
    }
}

/// First boot programs by firmware. A firmware without one is left alone.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct LoadersFile {
    /// x86 BIOS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bios: Option<BootFile>,
    /// 32-bit x86 UEFI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) uefi_ia32: Option<BootFile>,
    /// 64-bit x86 UEFI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) uefi_x64: Option<BootFile>,
    /// 32-bit ARM UEFI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) uefi_arm32: Option<BootFile>,
    /// 64-bit ARM UEFI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) uefi_arm64: Option<BootFile>,
    /// 64-bit RISC-V UEFI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) uefi_riscv64: Option<BootFile>,
    /// 64-bit LoongArch UEFI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) uefi_loongarch64: Option<BootFile>,
    /// 32-bit ARM U-Boot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) uboot_arm32: Option<BootFile>,
    /// 64-bit ARM U-Boot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) uboot_arm64: Option<BootFile>,
}

impl Default for LoadersFile {
    fn default() -> LoadersFile {
        LoadersFile {
            bios: "undionly.kpxe".parse().ok(),
            uefi_ia32: None,
            uefi_x64: "snponly.efi".parse().ok(),
            uefi_arm32: None,
            uefi_arm64: None,
            uefi_riscv64: None,
            uefi_loongarch64: None,
            uboot_arm32: None,
            uboot_arm64: None,
        }
    }
}

impl LoadersFile {
    /// The given ones, by firmware.
    pub(crate) fn given(&self) -> impl Iterator<Item = (Firmware, &BootFile)> {
        Firmware::ALL.into_iter().filter_map(|firmware| {
            let file = match firmware {
                Firmware::Bios => &self.bios,
                Firmware::UefiIa32 => &self.uefi_ia32,
                Firmware::UefiX64 => &self.uefi_x64,
                Firmware::UefiArm32 => &self.uefi_arm32,
                Firmware::UefiArm64 => &self.uefi_arm64,
                Firmware::UefiRiscv64 => &self.uefi_riscv64,
                Firmware::UefiLoongarch64 => &self.uefi_loongarch64,
                Firmware::UbootArm32 => &self.uboot_arm32,
                Firmware::UbootArm64 => &self.uboot_arm64,
            };
            file.as_ref().map(|file| (firmware, file))
        })
    }
}

/// TFTP.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TftpFile {
    /// Answer TFTP at all.
    pub(crate) enabled: bool,
    /// Largest block in bytes that a client may negotiate. 512 to 65464; above 1468 packets are cut on Ethernet.
    #[schemars(range(min = 512, max = 65464))]
    pub(crate) max_blksize: u16,
    /// Most blocks sent before one is acknowledged (RFC 7440). 1 to 64.
    #[schemars(range(min = 1, max = 64))]
    pub(crate) windowsize: u16,
    /// Answer from port 69 itself, for firewalls and container networks that drop answers from other ports.
    pub(crate) single_port: bool,
    /// Transfers at a time. 1 to 65535.
    #[schemars(range(min = 1, max = 65535))]
    pub(crate) max_transfers: u32,
    /// Transfers at a time for one address. 1 to 65535.
    #[schemars(range(min = 1, max = 65535))]
    pub(crate) max_transfers_per_source: u32,
}

impl Default for TftpFile {
    fn default() -> TftpFile {
        TftpFile {
            enabled: true,
            max_blksize: 1468,
            windowsize: 16,
            single_port: false,
            max_transfers: 4096,
            max_transfers_per_source: 16,
        }
    }
}

/// HTTP for booting machines.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct HttpFile {
    /// Where to listen: `:8080` for every address, or `10.77.0.1:8080`. Port 0 takes a free one.
    pub(crate) listen: Listen,
    /// Connections at a time. 1 to 100000.
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) max_clients: u32,
    /// Connections at a time from one address. 1 to 100000.
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) max_clients_per_source: u32,
    /// Time a client has to send its request. 1s to 10m.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "10m"))]
    pub(crate) header_timeout: Period,
    /// Time a connection may stay silent. 1s to 1h.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "1h"))]
    pub(crate) idle_timeout: Period,
}

impl Default for HttpFile {
    fn default() -> HttpFile {
        HttpFile {
            listen: Listen { address: None, port: 8080 },
            max_clients: 4000,
            max_clients_per_source: 64,
            header_timeout: Period::secs(10),
            idle_timeout: Period::secs(60),
        }
    }
}

/// The API and the command line.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AdminFile {
    /// Unix socket of the API, at most 107 bytes.
    pub(crate) socket: SocketPath,
}

impl Default for AdminFile {
    fn default() -> AdminFile {
        AdminFile { socket: preset("/run/reveille/admin.sock") }
    }
}

/// How the store keeps its data.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum BackendFile {
    /// On this machine: a journal and a sled index.
    #[default]
    Sled,
}

/// The store.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct StoreFile {
    /// How it keeps its data.
    pub(crate) backend: BackendFile,
    /// Its folder.
    pub(crate) path: Path,
    /// The most everything in its folder may take. Over it the store removes what it keeps for study only, then behaves as on
    /// a full disk.
    pub(crate) quota: Size,
    /// Room set aside in its folder: on a full disk, machines that have a lease go on from it while new ones wait. 0 for
    /// none.
    pub(crate) ballast: Size,
}

impl Default for StoreFile {
    fn default() -> StoreFile {
        StoreFile {
            backend: BackendFile::default(),
            path: preset("/var/lib/reveille/store"),
            quota: Size(1 << 30),
            ballast: Size(8 << 20),
        }
    }
}

/// The library.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LibraryFile {
    /// Its folder.
    pub(crate) path: Path,
    /// A folder to watch, relative to this file: what is put into it (ISO, tar, zip, a folder) is imported as the image
    /// of its name and moved to `done/` or `refused/` in it. Whoever may write there decides what machines boot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) inbox: Option<Path>,
}

impl Default for LibraryFile {
    fn default() -> LibraryFile {
        LibraryFile { path: preset("/var/lib/reveille/library"), inbox: None }
    }
}

/// Boot loaders.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AssetsFile {
    /// Folders to look in, best first. `auto` stands for the folders of the distribution's packages.
    pub(crate) paths: Vec<Path>,
    /// Firmware that must have a loader for the daemon to start.
    pub(crate) require: Vec<Firmware>,
}

impl Default for AssetsFile {
    fn default() -> AssetsFile {
        AssetsFile { paths: vec![preset("auto")], require: vec![Firmware::Bios, Firmware::UefiX64] }
    }
}

/// Form of log lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LogFormatFile {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// One line of text each.
    Text,
    /// One JSON object each.
    Json,
}

/// Least level that is logged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LogLevelFile {
    /// What was lost.
    Error,
    /// What an operator should look at.
    Warn,
    /// One line per boot step.
    #[default]
    Info,
    /// Ignored requests too.
    Debug,
    /// Everything.
    Trace,
}

/// The log.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LogFile {
    /// Form of its lines.
    pub(crate) format: LogFormatFile,
    /// Least level that is logged.
    pub(crate) level: LogLevelFile,
}

/// Resources owned by the files.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ResourcesFile {
    /// Images.
    pub(crate) images: Vec<Image>,
    /// Templates of answer files: kickstarts, preseeds, user-data.
    pub(crate) templates: Vec<TemplateFile>,
    /// Bundles: scripts that machines run once their system is there.
    pub(crate) bundles: Vec<BundleFile>,
    /// Groups of hosts: data centers, clusters, racks.
    pub(crate) groups: Vec<Group>,
    /// Rules: what machines that a selector means are given.
    pub(crate) rules: Vec<Rule>,
    /// Hosts.
    pub(crate) hosts: Vec<Host>,
}

/// Text with Jinja expressions that is rendered for each host. Either `text` or `file` gives it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TemplateFile {
    /// Unique name.
    pub(crate) name: Name,
    /// What reads it: says how values are escaped and what is checked.
    pub(crate) kind: TemplateKind,
    /// The text.
    #[schemars(extend("format" = "lines"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
    /// A file with the text, relative to the configuration file, at most 256 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<Path>,
}

/// A built-in value; a test loads the defaults, so a wrong one never leaves this crate.
fn preset<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().expect("built-in defaults are well formed")
}
