//! One change for many hosts, a few at a time: "reinstall rack 12, five at once, stop after two failures".
//!
//! ```text
//! host     waiting ──► ordered ──► armed ──► installing ──► done
//!            │            │          │  ▲         │
//!            │            ▼          ▼  └─ retry ─┤  (retry: while the rollout runs)
//!            └────────► skipped     failed ◄──────┘
//!
//! rollout  running ◄──► paused        running ──► stopped (failures)  ──► running (Continue)
//!          any but done ──► cancelled
//!          running ──► done, when no host is left
//! ```
//!
//! [`step`] takes a [`Rollout`] and what happened and gives the next one with the hosts to arm and to disarm. A host is *armed*
//! in the rollout because its life said so, never because it was asked to be: between the two the appliance may have died.
//! The rule is one order: commit the rollout (the host is *ordered* in it), arm the host, tell the rollout. After a restart
//! [`RolloutEvent::Resume`] names every ordered host again; arming one that is armed is refused by its life, and
//! [`Rollout::is_ours`] tells whether that arming is the rollout's own.
//!
//! What a host's life told while nobody listened is read from the life itself: [`Rollout::unheard`], asked after a start and from
//! time to time. Every arming carries the moment the rollout was ordered, so that nothing an earlier one of the same name did
//! is taken for its own.
//!
//! Skipped is a host that could not be ordered (locked, quarantined, gone) or was taken away while it waited; it counts as no
//! failure: nothing was tried. A rollout that stops takes the armings of hosts back that have not begun; what installs goes on,
//! but is not tried again: a host that fails while the rollout does not run (paused, too) is a failed one, whatever retries it
//! has left, and the arming that its life gave it is taken back.
//!
//! Deliberately absent: clocks to wait by (hosts time out by their life), power control, who may order it.

mod heard;
mod step;

pub use step::{RolloutStep, step};

use crate::life::{ImageRef, LifeEvent, OnceBoot, limits as life_limits};
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use types::UnixTime;
use types::resource::Name;

/// Bounds of a rollout, each with its reason.
pub mod limits {
    /// Hosts of one rollout: those of a large site, and room. Its record is written in parts, those that changed.
    pub const HOSTS_MAX: usize = 16_384;
    /// Hosts under way at once.
    pub const AT_ONCE_MAX: u16 = 256;
    /// Words about one host.
    pub const WHY_BYTES_MAX: usize = 160;
}

/// Where one host of a rollout stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HostState {
    /// Its turn has not come.
    Waiting,
    /// It is to be armed; its life has not said yet that it is.
    Ordered,
    /// It is armed and has not begun.
    Armed,
    /// Its installer was given out.
    Installing,
    /// It is installed.
    Done,
    /// It is not.
    Failed {
        /// Why, up to 160 bytes.
        why: Arc<str>,
    },
    /// It was not tried.
    Skipped {
        /// Why, up to 160 bytes.
        why: Arc<str>,
    },
}

impl HostState {
    /// Stable name.
    pub fn as_str(&self) -> &'static str {
        match self {
            HostState::Waiting => "waiting",
            HostState::Ordered => "ordered",
            HostState::Armed => "armed",
            HostState::Installing => "installing",
            HostState::Done => "done",
            HostState::Failed { .. } => "failed",
            HostState::Skipped { .. } => "skipped",
        }
    }

    /// True while it takes one of the places.
    pub fn is_under_way(&self) -> bool {
        matches!(self, HostState::Ordered | HostState::Armed | HostState::Installing)
    }

    /// True once nothing more is expected.
    pub fn is_final(&self) -> bool {
        matches!(self, HostState::Done | HostState::Failed { .. } | HostState::Skipped { .. })
    }
}

/// Whether hosts are armed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RolloutState {
    /// They are.
    Running,
    /// Somebody wants it to wait.
    Paused {
        /// Who.
        by: Arc<str>,
        /// Since when.
        at: UnixTime,
    },
    /// Too many failed.
    Stopped {
        /// When.
        at: UnixTime,
    },
    /// Somebody ended it.
    Cancelled {
        /// Who.
        by: Arc<str>,
        /// When.
        at: UnixTime,
    },
    /// No host is left.
    Done {
        /// When.
        at: UnixTime,
    },
}

impl RolloutState {
    /// Stable name.
    pub fn as_str(&self) -> &'static str {
        match self {
            RolloutState::Running => "running",
            RolloutState::Paused { .. } => "paused",
            RolloutState::Stopped { .. } => "stopped",
            RolloutState::Cancelled { .. } => "cancelled",
            RolloutState::Done { .. } => "done",
        }
    }
}

/// What is wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RolloutPlan {
    /// Its name; also in what its armings say of who ordered them.
    pub name: Name,
    /// Who wants it, 1..=37 bytes.
    pub by: Arc<str>,
    /// What is installed; `None`: what each host's pins say.
    pub image: Option<ImageRef>,
    /// Hosts, in the order of their turns; 1..=16384, none twice.
    pub hosts: Vec<Name>,
    /// Hosts under way at once, 1..=256.
    pub at_once: u16,
    /// Failures after which no further host is armed, 1 and up; 0 never stops.
    pub failures_max: u16,
    /// Retries of each host's arming, 0..=9.
    pub retries: u8,
    /// Its installers never report: a restart after the payload counts as done, not as a failure.
    pub trusts_silence: bool,
    /// How long each arming is good, at least a second; `None`: until it is used or taken back.
    pub expires: Option<Duration>,
    /// Each host is started anew, from the network, once it is armed.
    pub power_cycle: bool,
}

/// A change under way. Changed by [`step`] alone; the fields are open to readers and to the store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rollout {
    /// What is wanted.
    pub plan: RolloutPlan,
    /// When it was ordered.
    pub at: UnixTime,
    /// Whether it goes on.
    pub state: RolloutState,
    /// Failures of hosts forgiven by `Continue`: they no longer count against the limit. One less for each failed host that
    /// reports `installed` after all.
    pub forgiven: u16,
    /// Where each host of the plan stands, in its order.
    pub hosts: Vec<HostState>,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RolloutEvent {
    /// The appliance started, or the rollout was just made: who is ordered is named again, free places are filled.
    Resume,
    /// A host's life says that it is armed by us.
    Armed {
        /// Which.
        host: Name,
    },
    /// A host's life refused, or somebody took its arming away before it began.
    Skipped {
        /// Which.
        host: Name,
        /// Why; cut after 160 bytes.
        why: Arc<str>,
    },
    /// A host's installer was given out.
    Began {
        /// Which.
        host: Name,
    },
    /// A host is installed.
    Installed {
        /// Which.
        host: Name,
    },
    /// A host restarted after its payload without a word.
    Unconfirmed {
        /// Which.
        host: Name,
    },
    /// A host failed, fell silent, or never came.
    Failed {
        /// Which.
        host: Name,
        /// Why; cut after 160 bytes.
        why: Arc<str>,
    },
    /// A host failed and is armed again by its own arming. Unless the rollout runs, that is taken back and the host has failed.
    Retries {
        /// Which.
        host: Name,
    },
    /// Arm nobody for now.
    Pause {
        /// Who wants it, 1..=37 bytes.
        by: Arc<str>,
    },
    /// Go on, also after too many failures: those so far are forgiven.
    Continue,
    /// Arm nobody any more.
    Cancel {
        /// Who wants it, 1..=37 bytes.
        by: Arc<str>,
    },
}

/// Why a plan or an event is not taken. Nothing changed. The text names cause and fix.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RolloutRefusal {
    /// Not 1 to 16384 hosts.
    HostCount {
        /// How many.
        hosts: usize,
    },
    /// A host stands in the plan twice.
    HostTwice {
        /// Which.
        host: Name,
    },
    /// Not 1 to 256 at once.
    AtOnce {
        /// How many.
        at_once: u16,
    },
    /// More than 9 retries.
    Retries {
        /// How many.
        retries: u8,
    },
    /// Armings that are good for no time.
    NoTime,
    /// No name, or one too long.
    BadWho {
        /// Its length in bytes.
        bytes: usize,
    },
    /// The host is not in it.
    NoSuchHost {
        /// Which.
        host: Name,
    },
    /// It has ended.
    Ended {
        /// How.
        how: &'static str,
    },
    /// It goes on already.
    Running,
}

/// Longest name of who orders a rollout: with the rollout's own and its moment it fits an arming's.
pub const BY_BYTES_MAX: usize = 37;
const _: () = assert!(
    "rollout  0123456789abcdef ()".len() + types::resource::NAME_BYTES_MAX + BY_BYTES_MAX
        <= life_limits::WHO_BYTES_MAX
);

impl fmt::Display for RolloutRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RolloutRefusal::HostCount { hosts } => {
                write!(f, "{hosts} hosts are no rollout; name 1 to {}", limits::HOSTS_MAX)
            }
            RolloutRefusal::HostTwice { host } => write!(f, "{host} is named twice; name it once"),
            RolloutRefusal::AtOnce { at_once } => {
                write!(f, "{at_once} hosts at once cannot be; give 1 to {}", limits::AT_ONCE_MAX)
            }
            RolloutRefusal::Retries { retries } => {
                write!(f, "{retries} retries are more than may be; give 0 to {}", life_limits::RETRIES_MAX)
            }
            RolloutRefusal::NoTime => {
                f.write_str("armings that are good for no time arm nobody; give 1s and more")
            }
            RolloutRefusal::BadWho { bytes } => {
                write!(f, "the name of who orders it has {bytes} bytes; give 1 to {BY_BYTES_MAX}")
            }
            RolloutRefusal::NoSuchHost { host } => {
                write!(f, "{host} is not in it; make another rollout for it")
            }
            RolloutRefusal::Ended { how } => write!(f, "it is {how}; make another one for the hosts left"),
            RolloutRefusal::Running => f.write_str("it is running; nothing is left to do"),
        }
    }
}

impl std::error::Error for RolloutRefusal {}

/// How many hosts stand where.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Summary {
    /// Their turn has not come.
    pub waiting: usize,
    /// Ordered or armed.
    pub armed: usize,
    /// Installing.
    pub installing: usize,
    /// Installed.
    pub done: usize,
    /// Failed.
    pub failed: usize,
    /// Not tried.
    pub skipped: usize,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { waiting, armed, installing, done, failed, skipped } = self;
        write!(
            f,
            "{done} done, {installing} installing, {armed} armed, {waiting} waiting, {failed} failed, {skipped} skipped"
        )
    }
}

impl Rollout {
    /// A rollout that has not armed anybody. [`RolloutEvent::Resume`] begins it.
    ///
    /// # Errors
    /// When the plan is over a limit.
    pub fn new(plan: RolloutPlan, now: UnixTime) -> Result<Rollout, RolloutRefusal> {
        check_plan(&plan)?;
        let hosts = vec![HostState::Waiting; plan.hosts.len()];
        Ok(Rollout { plan, at: now, state: RolloutState::Running, forgiven: 0, hosts })
    }

    /// What [`step`] keeps true of every rollout; asked of one that was read from a disk.
    ///
    /// # Errors
    /// The part that is not so.
    pub fn check(&self) -> Result<(), &'static str> {
        let ensure = |field, holds: bool| if holds { Ok(()) } else { Err(field) };
        ensure("plan", check_plan(&self.plan).is_ok())?;
        ensure("host states", self.hosts.len() == self.plan.hosts.len())?;
        let short = |state: &HostState| match state {
            HostState::Failed { why } | HostState::Skipped { why } => why.len() <= limits::WHY_BYTES_MAX,
            _ => true,
        };
        ensure("host state", self.hosts.iter().all(short))?;
        ensure(
            "state",
            match &self.state {
                RolloutState::Paused { by, .. } | RolloutState::Cancelled { by, .. } => check_who(by).is_ok(),
                RolloutState::Done { .. } => self.hosts.iter().all(HostState::is_final),
                RolloutState::Running | RolloutState::Stopped { .. } => true,
            },
        )
    }

    /// Who its armings say ordered them, up to 128 bytes. No other rollout has the same, unless one of its name was ordered in
    /// the same second.
    pub fn who(&self) -> Arc<str> {
        format!("rollout {} {:x} ({})", self.plan.name, self.at.0, self.plan.by).into()
    }

    /// True when `by` of an arming stands for this rollout.
    pub fn is_ours(&self, by: &str) -> bool {
        by == &*self.who()
    }

    /// The event that arms a host of it, for [`crate::life::step`].
    pub fn order(&self, now: UnixTime) -> LifeEvent {
        let (by, retries) = (self.who(), self.plan.retries);
        let expires = self.plan.expires.map(|time| now.saturating_add(time));
        match &self.plan.image {
            None => LifeEvent::Arm { by, image: None, expires, retries },
            Some(image) => LifeEvent::BootOnce {
                by,
                what: OnceBoot::Image(image.clone()),
                armed: true,
                expires,
                retries,
            },
        }
    }

    /// The event that takes a host's arming back that has not begun.
    pub fn take_back(&self) -> LifeEvent {
        LifeEvent::Disarm { by: self.who(), running: false }
    }

    /// Hosts with where they stand, in the order of their turns.
    pub fn progress(&self) -> impl Iterator<Item = (&Name, &HostState)> {
        self.plan.hosts.iter().zip(&self.hosts)
    }

    /// How many hosts stand where.
    pub fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        for state in &self.hosts {
            *match state {
                HostState::Waiting => &mut summary.waiting,
                HostState::Ordered | HostState::Armed => &mut summary.armed,
                HostState::Installing => &mut summary.installing,
                HostState::Done => &mut summary.done,
                HostState::Failed { .. } => &mut summary.failed,
                HostState::Skipped { .. } => &mut summary.skipped,
            } += 1;
        }
        summary
    }

    /// True once nothing more is expected: no host is under way and none will be armed.
    pub fn is_over(&self) -> bool {
        let ended = matches!(self.state, RolloutState::Cancelled { .. } | RolloutState::Done { .. });
        ended && !self.hosts.iter().any(HostState::is_under_way)
    }

    fn too_many_failed(&self) -> bool {
        let failed = self.summary().failed.saturating_sub(usize::from(self.forgiven));
        self.plan.failures_max > 0 && failed >= usize::from(self.plan.failures_max)
    }
}

fn check_who(by: &str) -> Result<(), RolloutRefusal> {
    match by.len() {
        1..=BY_BYTES_MAX => Ok(()),
        bytes => Err(RolloutRefusal::BadWho { bytes }),
    }
}

fn check_plan(plan: &RolloutPlan) -> Result<(), RolloutRefusal> {
    let RolloutPlan { by, hosts, at_once, retries, .. } = plan;
    check_who(by)?;
    if hosts.is_empty() || hosts.len() > limits::HOSTS_MAX {
        return Err(RolloutRefusal::HostCount { hosts: hosts.len() });
    }
    if *at_once == 0 || *at_once > limits::AT_ONCE_MAX {
        return Err(RolloutRefusal::AtOnce { at_once: *at_once });
    }
    if *retries > life_limits::RETRIES_MAX {
        return Err(RolloutRefusal::Retries { retries: *retries });
    }
    if plan.expires.is_some_and(|time| time.as_secs() == 0) {
        return Err(RolloutRefusal::NoTime);
    }
    let mut seen = HashSet::with_capacity(hosts.len());
    match hosts.iter().find(|host| !seen.insert(host.as_str())) {
        Some(host) => Err(RolloutRefusal::HostTwice { host: host.clone() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
