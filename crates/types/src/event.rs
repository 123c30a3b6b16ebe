//! Events: the one stream behind the log, the boot timeline and `reveille events`.
//!
//! Pure crates return events, doors record them; the bus stamps the time. An event never carries a secret.

use crate::{Facts, MacAddr, MachineGuid, Stage};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// How much an operator should care.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Level {
    /// Ignored packets and other noise.
    Debug,
    /// One per boot step.
    Info,
    /// Something to look at.
    Warn,
    /// Something was lost.
    Error,
}

impl Level {
    /// Lower-case name.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        }
    }
}

macro_rules! event_names {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// What happened. The text form is stable and shared by log, API and webhooks.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum EventName { $($(#[$doc])* $variant,)* }

        impl EventName {
            /// Every name, for documentation and tests.
            pub const ALL: &'static [EventName] = &[$(EventName::$variant,)*];

            /// The one with this text.
            pub fn named(text: &str) -> Option<EventName> {
                EventName::ALL.iter().copied().find(|name| name.as_str() == text)
            }

            /// The stable text, `area.what`.
            pub fn as_str(self) -> &'static str {
                match self { $(EventName::$variant => $text,)* }
            }
        }
    };
}

event_names! {
    /// A DISCOVER we act on.
    DhcpDiscover = "dhcp.discover",
    /// An OFFER left.
    DhcpOffer = "dhcp.offer",
    /// A REQUEST we act on.
    DhcpRequest = "dhcp.request",
    /// An ACK left; its lease is durable.
    DhcpAck = "dhcp.ack",
    /// A NAK left.
    DhcpNak = "dhcp.nak",
    /// An INFORM was answered.
    DhcpInform = "dhcp.inform",
    /// A client declined an address.
    DhcpDeclined = "dhcp.declined",
    /// A client gave its address back.
    DhcpReleased = "dhcp.released",
    /// A good packet that is not for us; `reason` says why.
    DhcpIgnored = "dhcp.ignored",
    /// Bytes that are no DHCP; `reason` says why.
    DhcpRefused = "dhcp.refused",
    /// Our offer was never taken up.
    DhcpOfferIgnored = "dhcp.offer_ignored",
    /// Another server answers here.
    DhcpOtherServer = "dhcp.other_server",
    /// No address left to give.
    DhcpPoolEmpty = "dhcp.pool_empty",
    /// Few addresses left.
    DhcpPoolLow = "dhcp.pool_low",
    /// Another machine uses an address that we were about to offer; `reason` says who.
    DhcpAddressInUse = "dhcp.address_in_use",
    /// More requests than may be; `reason` says which bound. Once a minute.
    DhcpFlood = "dhcp.flood",
    /// A commit failed: nothing was sent.
    DhcpCommitFailed = "dhcp.commit_failed",
    /// A TFTP read began.
    TftpStart = "tftp.start",
    /// A TFTP read ended whole.
    TftpDone = "tftp.done",
    /// A TFTP read ended early; `reason` says why.
    TftpAbort = "tftp.abort",
    /// A client asked the size and left, as UEFI firmware does.
    TftpSizeProbe = "tftp.size_probe",
    /// A request was refused; `reason` says why.
    TftpRefused = "tftp.refused",
    /// More requests than are taken up in a second; `reason` says whose, `dropped` how many since the last of these.
    TftpFlood = "tftp.flood",
    /// An NBP was fetched whole.
    LoaderFetched = "loader.fetched",
    /// The same machine keeps fetching its first loader.
    LoaderLoop = "loader.loop",
    /// No loader for this firmware.
    LoaderUnsupportedArch = "loader.unsupported_arch",
    /// A boot script or loader configuration was rendered.
    HttpScript = "http.script",
    /// A file was sent by HTTP.
    HttpFile = "http.file",
    /// A client stopped reading.
    HttpStalled = "http.stalled",
    /// A request was refused; `reason` says why.
    HttpRefused = "http.refused",
    /// A boot attempt began: a script named an image for a machine.
    BootStarted = "boot.started",
    /// A machine was not given the image it asked for: `cause` says what is wrong with image, host or template.
    BootRefused = "boot.refused",
    /// The booted system called back.
    BootUp = "boot.up",
    /// The booted system reported a stage.
    BootStage = "boot.stage",
    /// The booted system reported a failure.
    BootFailed = "boot.failed",
    /// A machine begins a script of a bundle.
    BundleScriptStarted = "bundle.script_started",
    /// It ran to its end, with exit status 0.
    BundleScriptDone = "bundle.script_done",
    /// It failed: `exit_status` says how, `output` has its last words.
    BundleFailed = "bundle.failed",
    /// An installer sent a log; `log` names it.
    BootLogReceived = "boot.log_received",
    /// A boot stopped short of its kernel.
    BootStuck = "boot.stuck",
    /// A kernel was fetched and nothing was heard since.
    BootSilent = "boot.silent",
    /// A machine met for the first time.
    HostSeen = "host.seen",
    /// The terms of a machine name several hosts: it is given nothing. Once an hour for each machine.
    HostConflict = "host.conflict",
    /// A machine differs from its record; `reason` says in what, `changes` how, `holds` whether it may erase nothing until then.
    HostIdentityChanged = "host.identity_changed",
    /// Several machines that are live carry one GUID, which counts nothing from now on; `macs` names them.
    HostUuidDuplicate = "host.uuid_duplicate",
    /// One hardware address comes with several GUIDs in turn; none of them counts from now on.
    HostUuidAlternates = "host.uuid_alternates",
    /// What one of the four before told is so no more; `reason` says which.
    HostIdentitySettled = "host.identity_settled",
    /// More unknown machines than are kept: those seen longest ago are forgotten.
    HostMemoryFull = "host.memory_full",
    /// An operator had a machine forgotten.
    HostMachineForgotten = "host.machine_forgotten",
    /// A host record changed.
    HostChanged = "host.changed",
    /// A machine nobody recorded waits on its screen.
    HostHeld = "host.held",
    /// It has waited long enough.
    HostHoldEnded = "host.hold_ended",
    /// An operator wants a machine, or all of its maker's, ignored, or no more.
    HostIgnored = "host.ignored",
    /// The power of a host was switched, or its next boot was set.
    PowerDone = "power.done",
    /// It could not be.
    PowerFailed = "power.failed",
    /// An operator took a host on.
    HostAdopted = "host.adopted",
    /// A host may run an image that erases disks, once.
    HostArmed = "host.armed",
    /// It may no more.
    HostDisarmed = "host.disarmed",
    /// One boot of a host was decided.
    HostOnceOrdered = "host.once_ordered",
    /// It was taken back.
    HostOnceWithdrawn = "host.once_withdrawn",
    /// It is under way.
    HostOnceUsed = "host.once_used",
    /// A host is given nothing.
    HostQuarantined = "host.quarantined",
    /// Its quarantine ended.
    HostReleased = "host.released",
    /// Nothing can be ordered for a host.
    HostLocked = "host.locked",
    /// It can again.
    HostUnlocked = "host.unlocked",
    /// Nothing is remembered of what a host went through.
    HostForgotten = "host.forgotten",
    /// The payload of an image that erases disks is handed out: the arming is used up.
    BootInstallBegan = "boot.install_began",
    /// A host is installed.
    BootInstalled = "boot.installed",
    /// A machine restarted after its installer was handed out, and said nothing.
    BootInstallUnconfirmed = "boot.install_unconfirmed",
    /// An installation failed.
    BootInstallFailed = "boot.install_failed",
    /// Nothing was heard of an installation for long.
    BootInstallSilent = "boot.install_silent",
    /// A boot came to nothing that we know of.
    BootWentSilent = "boot.went_silent",
    /// A host runs what its cache holds.
    BootFromCache = "boot.from_cache",
    /// It runs again what it was given.
    BootLeftCache = "boot.left_cache",
    /// A rollout began: its first hosts are armed.
    RolloutStarted = "rollout.started",
    /// A host of a rollout is installed.
    RolloutHostDone = "rollout.host_done",
    /// A host of a rollout failed.
    RolloutHostFailed = "rollout.host_failed",
    /// A host of a rollout could not be armed, or was taken out of it.
    RolloutHostSkipped = "rollout.host_skipped",
    /// Somebody wants a rollout to wait.
    RolloutPaused = "rollout.paused",
    /// It goes on.
    RolloutResumed = "rollout.resumed",
    /// Too many hosts of a rollout failed: those that have not begun are armed no more.
    RolloutStopped = "rollout.stopped",
    /// Somebody ended a rollout.
    RolloutCancelled = "rollout.cancelled",
    /// No host of a rollout is left.
    RolloutEnded = "rollout.ended",
    /// What was remembered of a rollout that is over was removed.
    RolloutRemoved = "rollout.removed",
    /// A group changed.
    GroupChanged = "group.changed",
    /// A rule of the working set changed.
    RuleChanged = "rule.changed",
    /// A set of rules was put in force.
    RuleActivated = "rule.activated",
    /// An import began.
    ImageImportStarted = "image.import_started",
    /// An import ended.
    ImageImportDone = "image.import_done",
    /// An import failed.
    ImageImportFailed = "image.import_failed",
    /// An image was removed.
    ImageDeleted = "image.deleted",
    /// Another version of an image became current, or a tag was given or taken.
    ImageChanged = "image.changed",
    /// Old versions of an image were removed.
    ImagePruned = "image.pruned",
    /// Files of an image are missing or damaged; `image` names the version, `file` one of them.
    ImageVerifyFailed = "image.verify_failed",
    /// A configuration was taken over.
    ConfigLoaded = "config.loaded",
    /// Documents were applied: `owner` whose they are, `created`, `changed`, `removed` how many, `revision`.
    ConfigApplied = "config.applied",
    /// An object was given to another owner: `kind`, `name`, `before`, `owner`.
    ConfigOwnerChanged = "config.owner_changed",
    /// A configuration was refused; the old one stays.
    ConfigRejected = "config.rejected",
    /// The disk is full: machines that have a lease go on, nothing new is promised.
    StoreRoomLow = "store.room_low",
    /// The store cannot be written: nothing is acknowledged.
    StoreReadOnly = "store.read_only",
    /// The store takes everything again.
    StoreRoomBack = "store.room_back",
    /// A hook gave an event up; `reason` says why.
    HookFailed = "hook.failed",
    /// Events were lost to a hook that could not keep up. Once a minute.
    HookDropped = "hook.dropped",
    /// Made up to try a hook; goes to that hook only.
    HookTest = "hook.test",
    /// The appliance serves.
    ServerReady = "server.ready",
    /// The wall clock was set while we run; leases are dated anew.
    ServerClockSet = "server.clock_set",
    /// The appliance stops.
    ServerStopping = "server.stopping",
}

impl EventName {
    /// The part before the dot.
    pub fn area(self) -> &'static str {
        self.as_str().split('.').next().unwrap_or_default()
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A field value. Numbers stay numbers in JSON.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// Text; control bytes are escaped where it is shown.
    Text(Arc<str>),
    /// A count, size or time; the unit is in the field's name.
    Number(u64),
    /// Yes or no.
    Flag(bool),
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.into())
    }
}
impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text.into())
    }
}
impl From<Arc<str>> for Value {
    fn from(text: Arc<str>) -> Value {
        Value::Text(text)
    }
}
impl From<u64> for Value {
    fn from(number: u64) -> Value {
        Value::Number(number)
    }
}
impl From<bool> for Value {
    fn from(flag: bool) -> Value {
        Value::Flag(flag)
    }
}
impl From<IpAddr> for Value {
    fn from(address: IpAddr) -> Value {
        Value::Text(address.to_string().into())
    }
}
impl From<std::net::Ipv4Addr> for Value {
    fn from(address: std::net::Ipv4Addr) -> Value {
        Value::Text(address.to_string().into())
    }
}

/// One thing that happened, without its time.
#[derive(Clone, PartialEq, Debug)]
pub struct Event {
    /// What.
    pub name: EventName,
    /// How loud.
    pub level: Level,
    /// Whose hardware address.
    pub mac: Option<MacAddr>,
    /// Whose GUID.
    pub guid: Option<MachineGuid>,
    /// The host record it belongs to.
    pub host: Option<Arc<str>>,
    /// The boot attempt it belongs to.
    pub boot: Option<Arc<str>>,
    /// Where it came in.
    pub interface: Option<Arc<str>>,
    /// Who asked.
    pub stage: Option<Stage>,
    /// Stable reason code, `snake_case`.
    pub reason: Option<&'static str>,
    /// Everything else, in writing order.
    pub fields: Vec<(&'static str, Value)>,
}

impl Event {
    /// An event at its usual level, about nobody yet.
    pub fn new(name: EventName) -> Event {
        let level = match name {
            EventName::DhcpIgnored
            | EventName::DhcpRefused
            | EventName::TftpSizeProbe
            | EventName::TftpStart => Level::Debug,
            EventName::DhcpNak
            | EventName::DhcpDeclined
            | EventName::DhcpOfferIgnored
            | EventName::DhcpOtherServer
            | EventName::DhcpPoolEmpty
            | EventName::DhcpPoolLow
            | EventName::DhcpAddressInUse
            | EventName::DhcpFlood
            | EventName::ServerClockSet
            | EventName::TftpAbort
            | EventName::TftpFlood
            | EventName::LoaderLoop
            | EventName::LoaderUnsupportedArch
            | EventName::HttpStalled
            | EventName::BootFailed
            | EventName::BundleFailed
            | EventName::PowerFailed
            | EventName::RolloutHostFailed
            | EventName::RolloutStopped
            | EventName::BootRefused
            | EventName::BootStuck
            | EventName::BootSilent
            | EventName::HostConflict
            | EventName::HostIdentityChanged
            | EventName::HostUuidDuplicate
            | EventName::HostUuidAlternates
            | EventName::HostMemoryFull
            | EventName::ImageImportFailed
            | EventName::ImageVerifyFailed
            | EventName::ConfigRejected
            | EventName::HookFailed
            | EventName::HookDropped
            | EventName::StoreRoomLow => Level::Warn,
            EventName::DhcpCommitFailed | EventName::StoreReadOnly => Level::Error,
            _ => Level::Info,
        };
        Event {
            name,
            level,
            mac: None,
            guid: None,
            host: None,
            boot: None,
            interface: None,
            stage: None,
            reason: None,
            fields: Vec::new(),
        }
    }

    /// Says whose it is.
    #[must_use]
    pub fn of(mut self, facts: &Facts) -> Event {
        self.mac = facts.mac;
        self.guid = facts.guid;
        self.interface.clone_from(&facts.interface);
        self.stage = Some(facts.stage);
        self
    }

    /// Names the host record.
    #[must_use]
    pub fn host(mut self, host: Option<Arc<str>>) -> Event {
        self.host = host;
        self
    }

    /// Names the boot attempt.
    #[must_use]
    pub fn boot(mut self, boot: Option<Arc<str>>) -> Event {
        self.boot = boot;
        self
    }

    /// Gives the stable reason code.
    #[must_use]
    pub fn because(mut self, reason: &'static str) -> Event {
        self.reason = Some(reason);
        self
    }

    /// Adds a field.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Event {
        self.fields.push((name, value.into()));
        self
    }

    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.fields.iter().find(|(own, _)| *own == name).map(|(_, value)| value)
    }
}

/// Where doors put events. Recording never blocks and never fails.
pub trait EventSink: Send + Sync {
    /// Takes the event; the time is now.
    fn record(&self, event: Event);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_have_an_area() {
        let mut texts: Vec<_> = EventName::ALL.iter().map(|name| name.as_str()).collect();
        texts.sort_unstable();
        let count = texts.len();
        texts.dedup();
        assert_eq!(texts.len(), count);
        assert!(texts.iter().all(|text| text.split('.').count() == 2));
    }
}
