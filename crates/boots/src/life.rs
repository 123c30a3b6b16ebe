//! The life of one recorded host: what must survive a restart of the appliance for a disk to be erased once, when somebody
//! said so, and never again.
//!
//! ```text
//!                Adopt              Arm, BootOnce (destructive)           BootBegan
//!  discovered ─────────► adopted ─────────────────────────────► armed ──────────────► booting
//!                           ▲           ▲         ▲              ▲  ▲                  │   │
//!                           │ Forget    │ Arm     │ Arm          │  └──────────────────┘   │ PayloadOpened: the arming
//!                           │           │         │              │   restarted before      │ is used up, bound to
//!                           │           │         │              │   its payload           │ this one boot id
//!                           │           │         │              │                         ▼
//!                       (anywhere)   failed ◄─────│──────────────│──"failed"───────── installing ──(no word for hours)──► silent
//!                                     │           │              │  (retries left:         │  ▲                             │
//!                                     └── retry ──│──────────────┘   armed again)          │  └──────"progress"─────────────┤
//!                                                 │                          "installed",  │                                │
//!                                     local disk ◄┴── SentToDisk ── installed ◄── "up" ────┘      a restart: assumed        │
//!                                         ▲                                                                                 │
//!                                         └─────────────────────────────────────────────────────────────────────────────────┘
//!  a harmless image:  booting ──"up"──► up;  booting ──(nothing for long)──► silent
//! ```
//!
//! *Armed* is no stored stage: a host is shown as armed while it rests and has a permission that nobody used. A stored copy
//! would be one more thing that a crash could leave wrong. Quarantine and lock stand beside the stage for the same reason.
//!
//! [`step`] takes a [`Life`] and what happened and gives the next [`Life`] with what to tell others, or a refusal. It is the
//! only way a life changes. [`permits`] is the gate before destructive images, [`next`] what comes before the pins.
//!
//! # Rules, each with a test of its name in `life/tests.rs`
//!
//! 1. An arming is for one boot. It is used up when the payload is about to be handed out ([`LifeEvent::PayloadOpened`]) and
//!    bound to that boot id: the same id goes on being served, no other ever is.
//! 2. The new life is durable before the first payload byte leaves ([`Commit::First`]): a crash costs a boot, never a disk.
//! 3. A machine that restarts before its payload is still armed; one that restarts behind it goes to its local disk.
//! 4. A script that is asked for again *under the id whose payload was opened* means that the machine was restarted and its
//!    restart not seen (no DISCOVER reaches us beside another DHCP server). It is not given, see [`Gate::Begin`].
//! 5. A failure arms nobody, except when the arming said so (`retries`), and then only while its installation is under way:
//!    no restart, no other boot and no success is known. A success told afterwards takes the retry back.
//! 6. One permission at a time: no second arming while one waits or an installation runs. A double click is no loop.
//! 7. Lock and quarantine take every unused permission away, retries too, and none is given until they end. What was allowed
//!    before the doubt is allowed no more after it.
//! 8. A one-shot decides before an arming: while one waits, the arming waits too.
//! 9. A clock that stands before the moment of the arming cannot say that it has not expired: nothing is permitted until the
//!    clock is right or somebody arms anew. Times are the wall clock's and only compared.
//! 10. A host that runs from the network and says an older boot id than its last, or that is up without any boot of ours,
//!     runs from its cache ([`Life::from_cache`]) until its next payload or until it names its last boot.
//!
//! What the caller owes: steps of one host are taken one after the other, each on the life that the last one left, and a step
//! that says [`Commit::First`] is on disk before anybody is answered; when it cannot be, it did not happen. A boot id belongs to
//! one attempt of one machine and is never given twice. [`LifeEvent::BootBegan`] and [`LifeEvent::PayloadOpened`] are asked for
//! every script and every payload of a recorded host, with the id of the attempt the request belongs to, and for nobody who only
//! says to be that machine.
//!
//! Deliberately absent: the host's name (the caller's key), ids, clocks, what the pins say, and who may order what. Texts are
//! bounded ([`limits`]); a life takes a few kilobytes at most.

mod effect;
mod event;
mod gate;
mod machine;
mod meant;
mod order;
mod refusal;
mod step;

pub use effect::{Effect, Told, Withdrawal};
pub use event::{LifeEvent, Report, Timeouts};
pub use gate::{Allowed, Denied, Gate, NextBoot, Permit, Spared, next, permits};
pub use meant::Meant;
pub use refusal::{LifeFault, LifeRefusal};
pub use step::{Commit, Step, step};

use std::fmt;
use std::sync::Arc;
use types::UnixTime;
use types::resource::Name;

/// Bounds of a life, each with its reason.
pub mod limits {
    use std::time::Duration;

    /// Who ordered something: a user, a token's name, a rollout with its owner.
    pub const WHO_BYTES_MAX: usize = 128;
    /// Reasons and details: a line on a terminal, twice.
    pub const TEXT_BYTES_MAX: usize = 256;
    /// Boot ids: ours have 26 digits.
    pub const BOOT_ID_BYTES_MAX: usize = 64;
    /// Installations one arming may be tried again; beyond it somebody should look.
    pub const RETRIES_MAX: u8 = 9;
    /// How long "local disk once" holds from its first use. A machine with four NICs asks from each in turn, a minute each,
    /// and all of them are the one boot that was meant.
    pub const DISK_HOLD: Duration = Duration::from_secs(300);
    /// How far the clock may stand before the moment something was ordered: small corrections are no doubt.
    pub const CLOCK_SLACK: Duration = Duration::from_secs(600);
    /// For callers whose operator names no end: a machine armed and forgotten is not erased next year.
    pub const ARMED_USUALLY: Duration = Duration::from_secs(7 * 86_400);
}

/// An image as it is booted: its name, and the version when one is meant.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ImageRef {
    /// Name of the image.
    pub name: Name,
    /// Version id; `None` stands for whichever is current.
    pub version: Option<Name>,
}

impl ImageRef {
    /// The image of that name, whichever version is current.
    pub fn current(name: Name) -> ImageRef {
        ImageRef { name, version: None }
    }

    /// What a catalog calls `name` or `name@version`.
    pub fn of(name: &Name) -> ImageRef {
        let parts = name.as_str().split_once('@');
        match parts.and_then(|(own, version)| Some((own.parse().ok()?, version.parse().ok()?))) {
            Some((own, version)) => ImageRef { name: own, version: Some(version) },
            None => ImageRef::current(name.clone()),
        }
    }

    /// True when `asked` is what this one means: the same name, and the same version where this one names it.
    pub fn covers(&self, asked: &ImageRef) -> bool {
        self.name == asked.name && (self.version.is_none() || self.version == asked.version)
    }

    /// True when both may mean the same: the same name, and no two different versions.
    pub fn agrees(&self, other: &ImageRef) -> bool {
        self.covers(other) || other.covers(self)
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Some(version) => write!(f, "{}@{version}", self.name),
            None => self.name.fmt(f),
        }
    }
}

/// Where a host stands, as it is stored. *Armed* is not among them, see [`LifeStage`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Phase {
    /// Seen, not yet taken on by an operator.
    Discovered,
    /// Recorded; nothing of ours was booted since.
    Adopted,
    /// A script named an image for it.
    Booting,
    /// The payload of a destructive image was handed out.
    Installing,
    /// It booted something of ours and nothing was heard for long.
    Silent,
    /// It said that it is installed, or an operator did.
    Installed,
    /// It was sent to its own disk, or was seen running from it.
    LocalDisk,
    /// The system it booted called back.
    Up,
    /// It reported a failure, or an installation was broken off.
    Failed,
}

impl Phase {
    /// Every one, for documentation, readers and tests.
    pub const ALL: [Phase; 9] = [
        Phase::Discovered,
        Phase::Adopted,
        Phase::Booting,
        Phase::Installing,
        Phase::Silent,
        Phase::Installed,
        Phase::LocalDisk,
        Phase::Up,
        Phase::Failed,
    ];

    /// Stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Discovered => "discovered",
            Phase::Adopted => "adopted",
            Phase::Booting => "booting",
            Phase::Installing => "installing",
            Phase::Silent => "silent",
            Phase::Installed => "installed",
            Phase::LocalDisk => "local_disk",
            Phase::Up => "up",
            Phase::Failed => "failed",
        }
    }

    /// The phase of this name.
    pub fn from_name(name: &str) -> Option<Phase> {
        Phase::ALL.into_iter().find(|phase| phase.as_str() == name)
    }

    /// True while a boot is under way.
    pub fn is_under_way(self) -> bool {
        matches!(self, Phase::Booting | Phase::Installing)
    }
}

/// Where a host stands, as it is shown.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LifeStage {
    /// It rests, and its next boot may erase its disk.
    Armed,
    /// Anything else.
    At(Phase),
}

impl LifeStage {
    /// Stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            LifeStage::Armed => "armed",
            LifeStage::At(phase) => phase.as_str(),
        }
    }
}

/// Permission for one destructive boot of whatever the pins say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Arming {
    /// Who armed it, 1..=128 bytes.
    pub by: Arc<str>,
    /// When.
    pub at: UnixTime,
    /// The only image it is for; any that is destructive without one.
    pub image: Option<Name>,
    /// Good before this moment; `None`: until it is used.
    pub expires: Option<UnixTime>,
    /// Further installations after reported failures, 0..=9.
    pub retries: u8,
}

/// What a one-shot boots.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OnceBoot {
    /// This image.
    Image(ImageRef),
    /// The machine's own disk.
    LocalDisk,
}

impl fmt::Display for OnceBoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OnceBoot::Image(image) => image.fmt(f),
            OnceBoot::LocalDisk => f.write_str("local disk"),
        }
    }
}

/// What decides one boot before the pins do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OneShot {
    /// What is booted.
    pub what: OnceBoot,
    /// It is permission for a destructive boot of its image as well. Never with the local disk.
    pub armed: bool,
    /// Who ordered it, 1..=128 bytes.
    pub by: Arc<str>,
    /// When.
    pub at: UnixTime,
    /// Good before this moment; `None`: until it is used.
    pub expires: Option<UnixTime>,
    /// Further installations after reported failures, 0..=9; 0 unless it is armed.
    pub retries: u8,
}

/// Permission that a boot used up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Used {
    /// An arming.
    Arming(Arming),
    /// An armed one-shot.
    OneShot(OneShot),
}

impl Used {
    /// Who ordered it.
    pub fn by(&self) -> &Arc<str> {
        match self {
            Used::Arming(arming) => &arming.by,
            Used::OneShot(shot) => &shot.by,
        }
    }

    /// When.
    pub fn at(&self) -> UnixTime {
        match self {
            Used::Arming(arming) => arming.at,
            Used::OneShot(shot) => shot.at,
        }
    }

    /// Its end.
    pub fn expires(&self) -> Option<UnixTime> {
        match self {
            Used::Arming(arming) => arming.expires,
            Used::OneShot(shot) => shot.expires,
        }
    }

    /// Retries it has left.
    pub fn retries(&self) -> u8 {
        match self {
            Used::Arming(arming) => arming.retries,
            Used::OneShot(shot) => shot.retries,
        }
    }

    fn retries_mut(&mut self) -> &mut u8 {
        match self {
            Used::Arming(arming) => &mut arming.retries,
            Used::OneShot(shot) => &mut shot.retries,
        }
    }
}

/// The boot that used a permission to erase, the newest only.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Grant {
    /// The one boot it is bound to, 1..=64 bytes.
    pub boot: Arc<str>,
    /// What it installs.
    pub image: ImageRef,
    /// When its payload was opened.
    pub at: UnixTime,
    /// What it used up, with the retries that are left.
    pub used: Used,
    /// Its requests are still served.
    pub open: bool,
}

/// Nothing is given to the host, and nothing can be ordered for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Quarantine {
    /// Who ordered it, 1..=128 bytes.
    pub by: Arc<str>,
    /// When.
    pub at: UnixTime,
    /// Why, up to 256 bytes.
    pub reason: Arc<str>,
    /// It ends by itself at this moment.
    pub until: Option<UnixTime>,
}

impl Quarantine {
    /// True until its end.
    pub fn holds(&self, now: UnixTime) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// Nobody may arm it or boot something else once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lock {
    /// Who locked it, 1..=128 bytes.
    pub by: Arc<str>,
    /// When.
    pub at: UnixTime,
    /// Why, up to 256 bytes.
    pub reason: Arc<str>,
}

/// What was installed last.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Installed {
    /// The image and its version, when that was known.
    pub image: ImageRef,
    /// It erases disks: booting it again needs a new arming.
    pub destructive: bool,
    /// The boot that installed it; none when an operator said so.
    pub boot: Option<Arc<str>>,
    /// When it was told, or assumed.
    pub at: UnixTime,
    /// How that is known.
    pub told: Told,
}

/// A boot script or loader configuration that named an image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NetworkBoot {
    /// Its id, handed to the machine, 1..=64 bytes.
    pub boot: Arc<str>,
    /// What it boots.
    pub image: ImageRef,
    /// It erases disks.
    pub destructive: bool,
    /// When it began.
    pub at: UnixTime,
    /// Its payload was handed out.
    pub opened: bool,
}

/// The host runs what its cache holds, not what we gave it last.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FromCache {
    /// The boot id it says it runs; `None` when it says none.
    pub reported: Option<Arc<str>>,
    /// The boot it should be running.
    pub expected: Option<Arc<str>>,
    /// When that was first seen.
    pub since: UnixTime,
}

/// Everything durable about one recorded host. Changed by [`step`] alone; the fields are open to readers and to the store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Life {
    /// Where it stands.
    pub phase: Phase,
    /// Since when.
    pub since: UnixTime,
    /// Its last sign of life; what timeouts count from.
    pub heard: UnixTime,
    /// What it said last about where it stands, up to 256 bytes.
    pub detail: Option<Arc<str>>,
    /// Permission that waits.
    pub arming: Option<Arming>,
    /// One-shot that waits.
    pub one_shot: Option<OneShot>,
    /// The permission used last.
    pub grant: Option<Grant>,
    /// A used "local disk once" holds before this moment.
    pub disk_until: Option<UnixTime>,
    /// Nothing is given to it.
    pub quarantine: Option<Quarantine>,
    /// Nothing can be ordered for it.
    pub lock: Option<Lock>,
    /// What was installed last.
    pub installed: Option<Installed>,
    /// The newest boot that began.
    pub last_boot: Option<NetworkBoot>,
    /// It runs from its cache.
    pub from_cache: Option<FromCache>,
    /// What the newest boot was made of, where that was told.
    pub last_meant: Option<Meant>,
    /// What was installed last was made of this, where that was told.
    pub installed_meant: Option<Meant>,
}

impl Life {
    /// A host that was seen and is nobody's yet.
    pub fn discovered(now: UnixTime) -> Life {
        Life {
            phase: Phase::Discovered,
            since: now,
            heard: now,
            detail: None,
            arming: None,
            one_shot: None,
            grant: None,
            disk_until: None,
            quarantine: None,
            lock: None,
            installed: None,
            last_boot: None,
            from_cache: None,
            last_meant: None,
            installed_meant: None,
        }
    }

    /// A host that an operator has recorded.
    pub fn adopted(now: UnixTime) -> Life {
        Life { phase: Phase::Adopted, ..Life::discovered(now) }
    }

    /// Where it stands, for people.
    pub fn stage(&self, now: UnixTime) -> LifeStage {
        let waits = self.arming.as_ref().is_some_and(|it| Force::of(it.at, it.expires, now) == Force::Good)
            || self
                .one_shot
                .as_ref()
                .is_some_and(|it| it.armed && Force::of(it.at, it.expires, now) == Force::Good);
        match self.phase.is_under_way() || !waits {
            true => LifeStage::At(self.phase),
            false => LifeStage::Armed,
        }
    }

    /// The quarantine, while it holds.
    pub fn quarantined(&self, now: UnixTime) -> Option<&Quarantine> {
        self.quarantine.as_ref().filter(|quarantine| quarantine.holds(now))
    }

    /// True when it runs what its cache holds.
    pub fn booted_from_cache(&self) -> bool {
        self.from_cache.is_some()
    }

    /// The installation whose requests are still served.
    pub fn installation(&self) -> Option<&Grant> {
        self.grant.as_ref().filter(|grant| grant.open)
    }

    /// What [`step`] keeps true of every life; asked of one that was read from a disk.
    ///
    /// # Errors
    /// The first that is not so.
    pub fn check(&self) -> Result<(), LifeFault> {
        refusal::check(self)
    }
}

/// Whether something that was ordered is still good.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Force {
    Good,
    Expired,
    /// The clock stands before the order and cannot say.
    Unsure,
}

impl Force {
    pub(crate) fn of(at: UnixTime, expires: Option<UnixTime>, now: UnixTime) -> Force {
        match expires {
            None => Force::Good,
            Some(expires) if now >= expires => Force::Expired,
            Some(_) if now.saturating_add(limits::CLOCK_SLACK) < at => Force::Unsure,
            Some(_) => Force::Good,
        }
    }
}

#[cfg(test)]
mod tests;
