//! The command line: `reveille <noun> <verb>`, bare verbs for daily work.

mod boot;
mod bundle;
mod fleet;
mod gitops;
mod hook;
mod orders;
mod policy;
mod trace;

pub(crate) use boot::Boot;
pub(crate) use bundle::{Bundle, RenderBundle};
pub(crate) use fleet::{Drift, HostSet, Rollout, RolloutPace, RolloutStart};
pub(crate) use gitops::{Apply, Diff, Export, Resource, Sources};
pub(crate) use hook::Hook;
pub(crate) use orders::{AcceptChange, Adopt, Expiry, HostImport, HostOrder, Machine, Power};

pub(crate) use trace::{FactArgs, Simulate, Trace, Until, Watch};

pub(crate) use policy::{Explain, Group, GroupFields, ItemFields, Rule, RuleFields};

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use types::resource::{ImageKind, Name};
use types::subnet::Ipv4Range;
use types::{MacAddr, MachineGuid};

/// Boots machines from the network: DHCP, TFTP and HTTP over one store.
#[derive(Parser, Debug)]
#[command(name = "reveille", version, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Args, Debug, Clone)]
pub(crate) struct Global {
    /// How results are printed: tables for people, JSON for programs.
    #[arg(short, long, global = true, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
    /// The appliance's admin socket.
    #[arg(long, global = true, value_name = "PATH", env = "REVEILLE_SOCKET")]
    pub(crate) socket: Option<PathBuf>,
    /// Colour in messages.
    #[arg(long, global = true, value_enum, default_value_t = Colour::Auto)]
    pub(crate) color: Colour,
}

/// Forms of output.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Output {
    /// Aligned columns; may change between versions.
    Table,
    /// One JSON document, or one a line for streams; stable.
    Json,
    /// `trace` only: the boot as an OpenTelemetry trace (OTLP/JSON).
    Otlp,
}

/// When to use colour.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Run the appliance from a configuration file.
    Serve(Serve),
    /// Run the appliance without a configuration file; never leases addresses unasked.
    Run(Run),
    /// Check a configuration file (the same as `config check`).
    Check(Check),
    /// Say what a machine would boot, and why; with --pcap, one that was captured.
    Explain(Box<Explain>),
    /// Say step by step what the doors would answer a machine. Changes nothing.
    Simulate(Box<Simulate>),
    /// What happened in a boot, and how long it took.
    Trace(Trace),
    /// Recorded machines.
    #[command(subcommand, alias = "hosts")]
    Host(Host),
    /// Machines nobody recorded: those that wait, those that were seen, those that are ignored.
    #[command(subcommand, alias = "machines")]
    Machine(Machine),
    /// Groups of hosts, and what those have in common.
    #[command(subcommand, alias = "groups")]
    Group(Group),
    /// Rules: what machines that a selector means are given.
    #[command(subcommand, alias = "rules")]
    Rule(Rule),
    /// Hosts that are not what they should be, and what brings them in step; exit 3 when there are any.
    Drift(Drift),
    /// Reinstall many hosts, a few at a time.
    #[command(subcommand, alias = "rollouts")]
    Rollout(Rollout),
    /// Images that can be booted.
    #[command(subcommand, alias = "images")]
    Image(Image),
    /// Templates of answer files: those the appliance has, or those of a configuration file.
    #[command(subcommand, alias = "templates")]
    Template(Template),
    /// Make hosts, groups, rules, templates and bundles what documents say, all of them in one revision or none.
    Apply(Apply),
    /// What `apply` would do. Exit 3 when there is a difference, 2 when the documents are faulty.
    Diff(Diff),
    /// Hosts, groups, rules, templates and bundles as a document that can be applied.
    Export(Export),
    /// Objects of every kind and whose they are.
    #[command(subcommand, alias = "resources")]
    Resource(Resource),
    /// Bundles of scripts, from a configuration file, and how those of a host ended.
    #[command(subcommand, alias = "bundles")]
    Bundle(Bundle),
    /// Make the hash of a password for an answer file.
    Passwd(Passwd),
    /// Addresses given out.
    #[command(subcommand, alias = "leases")]
    Lease(Lease),
    /// The newest boot of every machine.
    #[command(subcommand, alias = "boots")]
    Boot(Boot),
    /// Who is told of events, and how that goes.
    #[command(subcommand, alias = "hooks")]
    Hook(Hook),
    /// Every boot step as it happens.
    Events(Events),
    /// Listeners, counters and what is loaded.
    Status,
    /// Look at what could stop this machine from serving: interfaces, ports, loaders.
    Doctor(Doctor),
    /// Everything the appliance remembers: back it up, restore, verify, repair, dump.
    #[command(subcommand)]
    Store(Store),
    /// Configuration: check it, show what is in force, print its schema.
    #[command(subcommand)]
    Config(Config),
    /// Version of this program and, where it runs, of the appliance.
    Version,
    /// Reads one medium for the appliance, confined.
    #[command(hide = true)]
    ImportWorker,
}

/// `serve`.
#[derive(Args, Debug)]
pub(crate) struct Serve {
    /// Configuration file.
    #[arg(short, long, value_name = "FILE", default_value = "/etc/reveille/reveille.yaml")]
    pub(crate) config: PathBuf,
    /// Override one key, as `http.listen=:80`. May be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// `run`.
#[derive(Args, Debug)]
pub(crate) struct Run {
    /// Interface to serve; without one, the only wired one with an address is taken.
    #[arg(short, long, value_name = "NAME")]
    pub(crate) interface: Vec<String>,
    /// What to do with DHCP. Without it we look who else answers here.
    #[arg(long, value_enum)]
    pub(crate) dhcp: Option<RunMode>,
    /// Addresses to lease, with `--dhcp server`.
    #[arg(long, value_name = "FIRST-LAST", requires = "dhcp")]
    pub(crate) pool: Vec<Ipv4Range>,
    /// Default router handed out, with `--dhcp server`.
    #[arg(long, value_name = "ADDRESS", requires = "dhcp")]
    pub(crate) router: Option<Ipv4Addr>,
    /// What unknown machines get.
    #[arg(long, value_name = "menu|local-disk|ignore")]
    pub(crate) unknown: Option<String>,
    /// Where images and state are kept.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Port of the boot plane.
    #[arg(long, value_name = "PORT")]
    pub(crate) http_port: Option<u16>,
    /// Answer although another boot server does.
    #[arg(long)]
    pub(crate) force: bool,
}

/// DHCP mode of `run`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum RunMode {
    /// Add boot data beside another server.
    Proxy,
    /// Lease addresses (needs --pool).
    Server,
    /// Answer no DHCP; serve files only.
    Off,
}

/// `check` and `config check`.
#[derive(Args, Debug)]
pub(crate) struct Check {
    /// Configuration file.
    #[arg(short = 'f', long = "config", value_name = "FILE", default_value = "/etc/reveille/reveille.yaml")]
    pub(crate) config: PathBuf,
    /// Warnings count as faults.
    #[arg(long)]
    pub(crate) strict: bool,
}

/// `host …`.
#[derive(Subcommand, Debug)]
pub(crate) enum Host {
    /// All hosts.
    List,
    /// One host.
    Get {
        /// Name, mac:…, uuid:… or serial:…
        host: String,
    },
    /// Record a host.
    Add {
        /// Its name.
        name: Name,
        #[command(flatten)]
        fields: HostFields,
    },
    /// Change what is given of a host.
    Set {
        /// Its name.
        name: Name,
        #[command(flatten)]
        fields: HostFields,
    },
    /// Forget a host.
    Rm {
        /// Its name.
        name: Name,
    },
    /// Record what its machine says now, where it differs from the record: another card, another board.
    AcceptChange(AcceptChange),
    /// Record machines that wait or were seen; those that wait go on at once.
    Adopt(Adopt),
    /// Record the hosts of a list or directory that there is already: CSV, DHCP servers' files, LDIF, LDAP.
    Import(HostImport),
    /// How their newest boots stand, again and again: a table on a terminal, JSON lines otherwise.
    Watch(Watch),
    /// Switch a host on or off, start it anew, or set what it starts from next.
    Power(Power),
    #[command(flatten)]
    Order(HostOrder),
}

/// Fields of a host.
#[derive(Args, Debug)]
pub(crate) struct HostFields {
    /// Hardware address; may be repeated.
    #[arg(long)]
    pub(crate) mac: Vec<MacAddr>,
    /// One more hardware address, beside those that are recorded; may be repeated.
    #[arg(long, value_name = "MAC", conflicts_with = "mac")]
    pub(crate) mac_add: Vec<MacAddr>,
    /// GUID, in either byte order.
    #[arg(long)]
    pub(crate) uuid: Option<MachineGuid>,
    /// Serial number.
    #[arg(long)]
    pub(crate) serial: Option<String>,
    /// Image it boots: its current version, or `NAME@VERSION` (id or tag) to stay at that one.
    #[arg(long, value_name = "NAME[@VERSION]")]
    pub(crate) image: Option<ImageRef>,
    /// Loader to go through: ipxe or pxelinux.
    #[arg(long, value_parser = ["ipxe", "pxelinux"])]
    pub(crate) loader: Option<String>,
    /// Group it is in; `none` takes it out of its group.
    #[arg(long)]
    pub(crate) group: Option<Name>,
    /// Where it belongs, for templates and call-backs.
    #[arg(long)]
    pub(crate) location: Option<String>,
    /// What selectors may ask for as label.KEY; may be repeated.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) labels: Vec<(String, String)>,
    /// Word added to the kernel command line; may be repeated.
    #[arg(long = "kernel-arg", value_name = "WORD", allow_hyphen_values = true)]
    pub(crate) kernel_args: Vec<String>,
    /// Value for templates; may be repeated.
    #[arg(long = "param", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) params: Vec<(String, String)>,
    /// Template of its answer file, in place of its image's.
    #[arg(long)]
    pub(crate) template: Option<Name>,
    /// Bundle it runs, in place of those of its groups; may be repeated, in their order. `none` for no bundle at all.
    #[arg(long = "bundle", value_name = "NAME")]
    pub(crate) bundles: Vec<Name>,
    /// Say what would change, change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `KEY=VALUE`.
fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE".to_owned()),
    }
}

/// `image …`.
#[derive(Subcommand, Debug)]
pub(crate) enum Image {
    /// All images.
    List,
    /// One image with its files.
    Get {
        /// Its name.
        name: Name,
    },
    /// Import an image from a medium (ISO, tar, zip) here, at a URL or on standard input, a folder, the catalogue, or
    /// `files` with --kernel.
    Import(Box<Import>),
    /// Imports under way and the last ones that ended.
    Imports,
    /// End an import that is under way; nothing of it stays but what was downloaded.
    Cancel {
        /// Its id, as `image imports` shows it.
        id: String,
    },
    /// Remove an image with all its versions, and the files nothing else uses.
    Rm {
        /// Its name.
        name: Name,
        /// Although hosts boot it or images stand on it; they are left alone until they get another.
        #[arg(long)]
        force: bool,
    },
    /// Make an earlier version current again.
    Rollback {
        /// Name of the image.
        name: Name,
        /// Id (its first digits do) or tag; without it the version imported before the current one.
        #[arg(long, value_name = "VERSION")]
        to: Option<Name>,
    },
    /// Give a version a name that hosts can stay at. A tag that exists moves.
    Tag {
        /// Name of the image.
        name: Name,
        /// The tag, such as `stable`.
        tag: Name,
        /// Id (its first digits do) or another tag; without it the current version.
        #[arg(long, value_name = "VERSION")]
        version: Option<Name>,
    },
    /// Take a tag away.
    Untag {
        /// Name of the image.
        name: Name,
        /// The tag.
        tag: Name,
    },
    /// Remove old versions and the files nothing else uses. What is current, tagged or used by a host stays.
    Prune {
        /// Images; without any, all.
        names: Vec<Name>,
        /// Versions of each image that stay, the current one counted.
        #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
        keep: u16,
        /// Say what would go, change nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Read every file of every version and compare it. Changes nothing; exit 3 when something is bad.
    Verify {
        /// Images; without any, all.
        names: Vec<Name>,
    },
    /// Save one version of an image in a file, for `image import FILE` at another site.
    Export {
        /// Name of the image, or `NAME@VERSION` (id or tag).
        #[arg(value_name = "NAME[@VERSION]")]
        image: ImageRef,
        /// Where to; written whole or not at all.
        file: PathBuf,
    },
}

/// An image, and one of its versions.
#[derive(Clone, Debug)]
pub(crate) struct ImageRef {
    pub(crate) name: Name,
    pub(crate) version: Option<Name>,
}

impl std::str::FromStr for ImageRef {
    type Err = types::resource::NameParseError;

    fn from_str(text: &str) -> Result<ImageRef, Self::Err> {
        let (name, version) = match text.split_once('@') {
            Some((name, version)) => (name, Some(version.parse()?)),
            None => (text, None),
        };
        Ok(ImageRef { name: name.parse()?, version })
    }
}

/// `image import`.
#[derive(Args, Debug)]
pub(crate) struct Import {
    /// A medium (.iso, .tar, .tar.gz, .zip), an http:// or https:// URL of one, `-` for one on standard input, an exported
    /// image, a folder, `debian-netboot` or `memtest` (Debian packages), or `files`.
    ///
    /// The appliance fetches a URL itself; what an interrupted download brought is not fetched again by the next try. User
    /// name and password in a URL are used and not kept.
    pub(crate) source: String,
    /// What the medium must hash to, checked before it is read; required in spirit for http://.
    #[arg(long, value_name = "HEX")]
    pub(crate) sha256: Option<String>,
    /// Name of the image; without one it follows from the source.
    #[arg(long)]
    pub(crate) name: Option<Name>,
    /// Kernel: a path with `files`, a name inside the directory otherwise.
    #[arg(long)]
    pub(crate) kernel: Option<String>,
    /// Initial ramdisk, likewise; may be repeated.
    #[arg(long)]
    pub(crate) initrd: Vec<String>,
    /// How it is booted, where the source does not tell.
    #[arg(long, value_enum)]
    pub(crate) kind: Option<Kind>,
    /// EFI program inside the source.
    #[arg(long)]
    pub(crate) efi: Option<String>,
    /// iPXE script inside the source, run as it is.
    #[arg(long)]
    pub(crate) script: Option<String>,
    /// Disk image inside the source.
    #[arg(long)]
    pub(crate) disk: Option<String>,
    /// ESXi offline bundle: the image profile to import; without it the only one, or the one called …-standard.
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// ESXi: the image this one stands on; its files are found behind our own.
    #[arg(long)]
    pub(crate) base: Option<Name>,
    /// ESXi: module loaded after those of its boot.cfg; may be repeated.
    #[arg(long = "module", value_name = "FILE")]
    pub(crate) modules: Vec<String>,
    /// ESXi: run from memory, do not start the installer.
    #[arg(long)]
    pub(crate) stateless: bool,
    /// Template of the answer file each host gets.
    #[arg(long)]
    pub(crate) template: Option<Name>,
    /// Make it the current version of an image of that name; what was current is kept as a version.
    #[arg(long, visible_alias = "new-version")]
    pub(crate) replace: bool,
    /// Kernel command line.
    #[arg(long, allow_hyphen_values = true)]
    pub(crate) cmdline: Option<String>,
    /// One line for menus.
    #[arg(long)]
    pub(crate) description: Option<String>,
    /// Booting it may erase a disk: never in a menu.
    #[arg(long)]
    pub(crate) destructive: bool,
}

/// How an image is booted.
#[derive(Clone, Copy, ValueEnum, Debug)]
pub(crate) enum Kind {
    Linux,
    IpxeScript,
    Esxi,
    Windows,
    Efi,
    Iso,
}

impl Kind {
    pub(crate) fn as_kind(self) -> ImageKind {
        match self {
            Kind::Linux => ImageKind::Linux,
            Kind::IpxeScript => ImageKind::IpxeScript,
            Kind::Esxi => ImageKind::Esxi,
            Kind::Windows => ImageKind::Windows,
            Kind::Efi => ImageKind::Efi,
            Kind::Iso => ImageKind::Iso,
        }
    }
}

/// `template …`.
#[derive(Subcommand, Debug)]
pub(crate) enum Template {
    /// All templates: those the appliance has, or those of a configuration file.
    List {
        /// Configuration file, in place of the running appliance.
        #[arg(short, long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// The text of one, as it is written.
    #[command(visible_alias = "get")]
    Show {
        /// Its name.
        name: Name,
        /// Configuration file, in place of the running appliance.
        #[arg(short, long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// What a host would get; what only a boot tells has a stand-in.
    Render(RenderTemplate),
    /// What is wrong with a template, and with it for each host that uses it.
    Lint(LintTemplate),
}

/// `template render`.
#[derive(Args, Debug)]
pub(crate) struct RenderTemplate {
    /// Its name.
    pub(crate) name: Name,
    /// Host to render it for.
    #[arg(long)]
    pub(crate) host: Name,
    /// Image to render it for, in place of the host's.
    #[arg(long)]
    pub(crate) image: Option<Name>,
    /// Configuration file.
    #[arg(short, long, value_name = "FILE", default_value = "/etc/reveille/reveille.yaml")]
    pub(crate) config: PathBuf,
}

/// `template lint`.
#[derive(Args, Debug)]
pub(crate) struct LintTemplate {
    /// A file, or the name of a template in the configuration.
    #[arg(value_name = "FILE|NAME")]
    pub(crate) what: String,
    /// What reads the file; without it that is guessed.
    #[arg(long, value_parser = ["esxi-kickstart", "kickstart", "preseed", "user-data", "json", "unattend", "shell", "text"])]
    pub(crate) kind: Option<String>,
    /// Major release of ESXi it is for.
    #[arg(long, value_name = "MAJOR")]
    pub(crate) esxi: Option<u32>,
    /// Whether its machines boot with Secure Boot.
    #[arg(long, value_name = "true|false")]
    pub(crate) secure_boot: Option<bool>,
    /// Warnings count as errors.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Configuration file.
    #[arg(short, long, value_name = "FILE", default_value = "/etc/reveille/reveille.yaml")]
    pub(crate) config: PathBuf,
}

/// `passwd`.
#[derive(Args, Debug)]
pub(crate) struct Passwd {
    /// Read it as one line from standard input, in place of asking at the terminal.
    #[arg(long)]
    pub(crate) stdin: bool,
}

/// `lease …`.
#[derive(Subcommand, Debug)]
pub(crate) enum Lease {
    /// All leases.
    List,
}

/// `events`.
#[derive(Args, Debug)]
pub(crate) struct Events {
    /// Go on as things happen.
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Start after this sequence number.
    #[arg(long, value_name = "SEQ")]
    pub(crate) since: Option<u64>,
}

/// `doctor`.
#[derive(Args, Debug)]
pub(crate) struct Doctor {
    /// Configuration file to check against.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// `config …`.
#[derive(Subcommand, Debug)]
pub(crate) enum Config {
    /// Report every fault of a configuration file.
    Check(Check),
    /// What is in force.
    Show {
        /// Configuration file.
        #[arg(short, long, value_name = "FILE", default_value = "/etc/reveille/reveille.yaml")]
        config: PathBuf,
        /// With where each value came from.
        #[arg(long)]
        origin: bool,
    },
    /// The JSON Schema of the configuration file.
    Schema,
}

/// `store …`.
#[derive(Subcommand, Debug)]
pub(crate) enum Store {
    /// Save everything at one moment in a file. The appliance may go on.
    Backup {
        /// Where to; written whole or not at all.
        file: PathBuf,
        #[command(flatten)]
        place: Place,
    },
    /// Put a backup in the place of what a store holds; that is kept beside it. No appliance may run.
    Restore {
        /// The backup.
        file: PathBuf,
        #[command(flatten)]
        place: Place,
        /// Say what would change, change nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Read everything and compare it. Changes nothing; exit 3 when something was found.
    Verify {
        #[command(flatten)]
        place: Place,
    },
    /// Repair what can be repaired without losing anything. No appliance may run.
    Repair {
        #[command(flatten)]
        place: Place,
        /// Go on without acknowledged records that cannot be read any more.
        #[arg(long)]
        accept_loss: bool,
    },
    /// All records as JSON lines.
    Dump {
        #[command(flatten)]
        place: Place,
        /// Only this table, such as `leases`.
        #[arg(long, value_name = "NAME")]
        table: Option<String>,
    },
}

/// Which store. Without either, the running appliance is asked.
#[derive(Args, Debug)]
pub(crate) struct Place {
    /// Folder of a store that no appliance uses.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    pub(crate) store: Option<PathBuf>,
    /// The same, as `store.path` of this configuration file.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

impl Global {
    /// Whether messages on standard error are coloured.
    pub(crate) fn colour(&self) -> bool {
        match self.color {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => {
                std::env::var_os("NO_COLOR").is_none() && std::io::IsTerminal::is_terminal(&std::io::stderr())
            }
        }
    }
}
