//! Why a verdict is what it is. Kept as data and put into words only when somebody asks.

use crate::{Change, Evidence, LeaveAloneReason, UnknownPolicy};
use std::fmt;
use std::sync::Arc;
use types::resource::{Host, Image, LoaderKind, Name, Rule};
use types::{Firmware, MacAddr, MachineGuid};

/// One step of a decision.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TraceLine {
    /// Ordinary machines get no boot data.
    NotABootClient,
    /// The machine's GUID is a factory value and was not used.
    GuidIsNobodys(MachineGuid),
    /// Several machines were seen with its GUID, which was not used.
    GuidIsDoubted(MachineGuid),
    /// The machine is a recorded host.
    Known(Arc<Host>, Vec<Evidence>),
    /// It differs from its record, and whether it is firmly that host all the same.
    Changed {
        /// The host.
        host: Arc<Host>,
        /// What differs.
        changes: Vec<Change>,
        /// What erases disks may depend on it.
        firm: bool,
    },
    /// It has something of this host and is another machine.
    Other(Arc<Host>, Vec<Evidence>, Vec<Change>),
    /// What it says of itself next decides whether it may erase a disk.
    AskedFirst(Name),
    /// No host has any of its identities.
    Unknown,
    /// An operator wants this machine, or all of its maker's, ignored.
    Ignored(MacAddr),
    /// Its identities belong to different hosts.
    Conflict(Vec<(Arc<Host>, Evidence)>),
    /// It came back for its loader too often.
    LoopStopped {
        /// Fetches counted.
        fetches: u32,
        /// Fetches allowed.
        limit: u32,
    },
    /// The host names its image.
    HostPin(Name),
    /// The host names none.
    NoHostPin,
    /// A group names the image.
    GroupPin(Name, Name),
    /// Neither this group nor one above it names one.
    NoGroupPin(Name),
    /// The group it is in is not there.
    GroupMissing(Name),
    /// A rule names the image.
    RulePin(Arc<Rule>, Name),
    /// None of so many rules does.
    NoRulePin(usize),
    /// Whether this rule is meant depends on what the machine has not said yet.
    Waits(Arc<Rule>),
    /// The default image applies.
    DefaultImage(Name),
    /// There is no default image.
    NoDefaultImage,
    /// The policy for machines without an image applies.
    Policy(UnknownPolicy),
    /// The image named is not there.
    ImageMissing(Name),
    /// The image may erase a disk and is not given; why.
    NotArmed(Name, Arc<str>),
    /// The image may erase a disk, and this boot may have it.
    Armed(Name),
    /// It is quarantined: by whom and why.
    Quarantined(Arc<str>),
    /// This boot is of its own disk: ordered by.
    DiskOnce(Arc<str>),
    /// This boot is of this image: ordered by.
    ImageOnce(Name, Arc<str>),
    /// The image does not boot on this firmware.
    FirmwareUnfit(Arc<Image>, Firmware),
    /// The firmware could not be told.
    FirmwareUnknown,
    /// No loader for this firmware.
    NoLoader(Firmware),
    /// The loader chosen.
    Loader {
        /// For this firmware.
        firmware: Firmware,
        /// Its file name.
        file: Arc<str>,
        /// The host asked for this family.
        asked: Option<LoaderKind>,
    },
    /// The image brings its own loader.
    OwnLoader {
        /// The image.
        image: Name,
        /// For this firmware.
        firmware: Firmware,
        /// Its file name.
        file: Arc<str>,
    },
    /// The loader the host asked for does not run there; the usual one is used.
    LoaderUnfit(LoaderKind, Firmware),
    /// iPXE runs already: it gets its script.
    Script,
    /// A loader without DHCP gets its configuration.
    Config,
    /// It is left alone.
    LeftAlone(LeaveAloneReason),
}

impl TraceLine {
    /// The name of the step, for a table's first column.
    pub fn step(&self) -> &'static str {
        match self {
            TraceLine::NotABootClient => "stage",
            TraceLine::GuidIsNobodys(_)
            | TraceLine::GuidIsDoubted(_)
            | TraceLine::Known(..)
            | TraceLine::Changed { .. }
            | TraceLine::Other(..)
            | TraceLine::Unknown
            | TraceLine::Ignored(_)
            | TraceLine::Conflict(_) => "identity",
            TraceLine::LoopStopped { .. } => "loop guard",
            TraceLine::HostPin(_) | TraceLine::NoHostPin => "host pin",
            TraceLine::GroupPin(..) | TraceLine::NoGroupPin(_) | TraceLine::GroupMissing(_) => "group pin",
            TraceLine::RulePin(..) | TraceLine::NoRulePin(_) | TraceLine::Waits(_) => "rules",
            TraceLine::DefaultImage(_) | TraceLine::NoDefaultImage => "default image",
            TraceLine::Policy(_) => "unknown policy",
            TraceLine::ImageMissing(_) | TraceLine::FirmwareUnfit(..) => "image",
            TraceLine::NotArmed(..) | TraceLine::Armed(_) | TraceLine::AskedFirst(_) => "armed",
            TraceLine::Quarantined(_) => "quarantine",
            TraceLine::DiskOnce(_) | TraceLine::ImageOnce(..) => "one-shot",
            TraceLine::FirmwareUnknown => "firmware",
            TraceLine::NoLoader(_)
            | TraceLine::Loader { .. }
            | TraceLine::OwnLoader { .. }
            | TraceLine::LoaderUnfit(..) => "loader",
            TraceLine::Script | TraceLine::Config => "next",
            TraceLine::LeftAlone(_) => "verdict",
        }
    }
}

impl fmt::Display for TraceLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TraceLine::NotABootClient => f.write_str("no PXEClient, HTTPClient or iPXE mark: no boot data"),
            TraceLine::GuidIsNobodys(guid) => {
                write!(f, "uuid {guid} is a factory value shared by many machines, not used")
            }
            TraceLine::Known(host, evidence) => {
                write!(f, "host `{}` by ", host.name)?;
                listed(f, evidence)
            }
            TraceLine::GuidIsDoubted(guid) => {
                write!(f, "uuid {guid} was seen on several machines, not used: reveille machine conflicts")
            }
            TraceLine::Changed { host, changes, firm } => {
                f.write_str("changed: ")?;
                listed(f, changes)?;
                f.write_str(if *firm { "; if that is right: " } else { "; nothing is erased before: " })?;
                write!(f, "reveille host accept-change {}", host.name)
            }
            TraceLine::Other(host, evidence, changes) => {
                write!(f, "not host `{}`, though it has its ", host.name)?;
                listed(f, evidence)?;
                f.write_str(": another machine by ")?;
                listed(f, changes)
            }
            TraceLine::AskedFirst(image) => {
                write!(
                    f,
                    "asked for its serial number before it may have `{image}`, for its identity changed"
                )
            }
            TraceLine::Ignored(mac) => {
                write!(f, "{mac} is to be ignored; to end that: reveille machine heed {mac}")
            }
            TraceLine::Unknown => f.write_str("no host has this mac, uuid or serial"),
            TraceLine::Conflict(claims) => {
                f.write_str("conflict:")?;
                for (host, evidence) in claims {
                    write!(f, " {evidence} is host `{}`;", host.name)?;
                }
                f.write_str(" correct one of the records")
            }
            TraceLine::LoopStopped { fetches, limit } => {
                write!(
                    f,
                    "loader fetched {fetches} times in 10 minutes, limit {limit}: sent to its local disk"
                )
            }
            TraceLine::HostPin(image) => write!(f, "image `{image}`"),
            TraceLine::NoHostPin => f.write_str("none"),
            TraceLine::GroupPin(group, image) => write!(f, "image `{image}` of group `{group}`"),
            TraceLine::NoGroupPin(group) => write!(f, "none in `{group}` or above"),
            TraceLine::GroupMissing(group) => {
                write!(f, "group `{group}` is not there; define it, or take the host out of it")
            }
            TraceLine::RulePin(rule, image) => {
                write!(f, "{} `{}`: {} → image `{image}`", rule.order, rule.name, rule.when)
            }
            TraceLine::NoRulePin(1) => f.write_str("the one rule names none"),
            TraceLine::NoRulePin(number) => write!(f, "none of {number}"),
            TraceLine::Waits(rule) => {
                write!(f, "{} `{}`: {} depends on what iPXE is asked first", rule.order, rule.name, rule.when)
            }
            TraceLine::DefaultImage(image) => write!(f, "image `{image}`"),
            TraceLine::NoDefaultImage => f.write_str("none"),
            TraceLine::Policy(policy) => f.write_str(policy.as_str()),
            TraceLine::ImageMissing(image) => {
                write!(f, "`{image}` is not there; reveille image list shows what is")
            }
            TraceLine::NotArmed(image, why) => write!(f, "no: `{image}` may erase a disk; {why}"),
            TraceLine::Armed(image) => write!(f, "yes: this boot may have `{image}`, which may erase a disk"),
            TraceLine::Quarantined(why) => write!(f, "{why}"),
            TraceLine::DiskOnce(by) => write!(f, "local disk, ordered by {by}"),
            TraceLine::ImageOnce(image, by) => write!(f, "image `{image}`, ordered by {by}"),
            TraceLine::FirmwareUnfit(image, firmware) => {
                let known: Vec<_> = image.firmware.iter().map(|firmware| firmware.as_str()).collect();
                write!(f, "`{}` does not boot on {firmware}, only on {}", image.name, known.join(", "))
            }
            TraceLine::FirmwareUnknown => {
                f.write_str("unknown: no usable option 93 and none in the vendor class")
            }
            TraceLine::NoLoader(firmware) => {
                write!(f, "none for {firmware}; reveille doctor names the package")
            }
            TraceLine::Loader { firmware, file, asked: Some(kind) } => {
                write!(f, "{firmware} → {file} (host asks for {})", kind.as_str())
            }
            TraceLine::Loader { firmware, file, asked: None } => write!(f, "{firmware} → {file}"),
            TraceLine::OwnLoader { image, firmware, file } => {
                write!(f, "{firmware} → {file} (the own loader of `{image}`)")
            }
            TraceLine::LoaderUnfit(kind, firmware) => {
                write!(f, "host asks for {}, which does not run on {firmware}", kind.as_str())
            }
            TraceLine::Script => f.write_str("iPXE is running → boot.ipxe"),
            TraceLine::Config => f.write_str("the loader is running → its configuration file"),
            TraceLine::LeftAlone(reason) => write!(f, "left alone: {reason}"),
        }
    }
}

/// `a and b and c`
fn listed<T: fmt::Display>(f: &mut fmt::Formatter<'_>, terms: &[T]) -> fmt::Result {
    for (at, term) in terms.iter().enumerate() {
        if at > 0 {
            f.write_str(" and ")?;
        }
        write!(f, "{term}")?;
    }
    Ok(())
}

/// The steps of one decision, in order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Trace(pub Vec<TraceLine>);

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, line) in self.0.iter().enumerate() {
            writeln!(f, "{:>2} {:<16} {line}", at + 1, line.step())?;
        }
        Ok(())
    }
}
