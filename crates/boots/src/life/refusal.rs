//! Why an event does not apply, and what a life never is.

use super::{Denied, Life, OnceBoot, Phase, Used, limits};
use std::fmt;
use std::sync::Arc;
use types::UnixTime;

/// The event does not apply; nothing changed. The text names cause and fix, and goes behind the host's name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LifeRefusal {
    /// Nobody took the host on.
    NotAdopted,
    /// It was taken on before.
    AlreadyAdopted,
    /// It is locked.
    Locked {
        /// By whom.
        by: Arc<str>,
        /// When.
        at: UnixTime,
        /// Why.
        reason: Arc<str>,
    },
    /// It is not.
    NotLocked,
    /// It is quarantined.
    Quarantined {
        /// By whom.
        by: Arc<str>,
        /// When.
        at: UnixTime,
        /// Why.
        reason: Arc<str>,
    },
    /// It is not.
    NotQuarantined,
    /// A permission waits.
    AlreadyArmed {
        /// Who gave it.
        by: Arc<str>,
        /// When.
        at: UnixTime,
    },
    /// An installation runs.
    Installing {
        /// In which boot.
        boot: Arc<str>,
        /// Since when.
        at: UnixTime,
    },
    /// No permission is there to be taken back.
    NothingArmed,
    /// A one-shot waits.
    AlreadyOrdered {
        /// For what.
        what: OnceBoot,
        /// Who ordered it.
        by: Arc<str>,
        /// When.
        at: UnixTime,
    },
    /// None does.
    NothingOrdered,
    /// The local disk erases nothing.
    DiskNeedsNoArming,
    /// The end lies in the past.
    AlreadyOver {
        /// The end.
        expires: UnixTime,
        /// Our clock.
        now: UnixTime,
    },
    /// More than may be.
    TooManyRetries {
        /// How many were asked for.
        retries: u8,
    },
    /// Only installations are tried again.
    RetriesWithoutArming,
    /// A text is empty or too long.
    BadText {
        /// Which.
        field: &'static str,
        /// Its length in bytes.
        bytes: usize,
        /// The most it may have.
        max: usize,
    },
    /// The gate is closed.
    NotPermitted(Denied),
}

impl LifeRefusal {
    /// Stable reason code.
    pub fn reason(&self) -> &'static str {
        match self {
            LifeRefusal::NotAdopted => "not_adopted",
            LifeRefusal::AlreadyAdopted => "already_adopted",
            LifeRefusal::Locked { .. } => "locked",
            LifeRefusal::NotLocked => "not_locked",
            LifeRefusal::Quarantined { .. } => "quarantined",
            LifeRefusal::NotQuarantined => "not_quarantined",
            LifeRefusal::AlreadyArmed { .. } => "already_armed",
            LifeRefusal::Installing { .. } => "installing",
            LifeRefusal::NothingArmed => "nothing_to_disarm",
            LifeRefusal::AlreadyOrdered { .. } => "already_ordered",
            LifeRefusal::NothingOrdered => "nothing_ordered",
            LifeRefusal::DiskNeedsNoArming => "disk_needs_no_arming",
            LifeRefusal::AlreadyOver { .. } => "already_over",
            LifeRefusal::TooManyRetries { .. } => "too_many_retries",
            LifeRefusal::RetriesWithoutArming => "retries_without_arming",
            LifeRefusal::BadText { .. } => "bad_text",
            LifeRefusal::NotPermitted(denied) => denied.reason(),
        }
    }
}

impl fmt::Display for LifeRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LifeRefusal::NotAdopted => f.write_str("nobody has taken it on; adopt it first"),
            LifeRefusal::AlreadyAdopted => f.write_str("it is adopted already; nothing is left to do"),
            LifeRefusal::Locked { by, at, reason } => {
                write!(f, "it was locked by {by} at {at} ({reason}); unlock it first")
            }
            LifeRefusal::NotLocked => f.write_str("it is not locked; nothing is left to do"),
            LifeRefusal::Quarantined { by, at, reason } => {
                write!(f, "it was quarantined by {by} at {at} ({reason}); release it first")
            }
            LifeRefusal::NotQuarantined => f.write_str("it is not quarantined; nothing is left to do"),
            LifeRefusal::AlreadyArmed { by, at } => write!(
                f,
                "it was armed by {by} at {at} and has not booted since; start it, or disarm it first"
            ),
            LifeRefusal::Installing { boot, at } => write!(
                f,
                "boot {boot} is installing it since {at}; wait for its report, mark it installed, or disarm it first"
            ),
            LifeRefusal::NothingArmed => f.write_str(
                "no arming of it waits; nothing is left to do, unless a running installation is to be broken off",
            ),
            LifeRefusal::AlreadyOrdered { what, by, at } => write!(
                f,
                "its next boot was ordered by {by} at {at} ({what}); start it, or cancel that first"
            ),
            LifeRefusal::NothingOrdered => f.write_str("no boot is ordered for it; nothing is left to do"),
            LifeRefusal::DiskNeedsNoArming => {
                f.write_str("its local disk erases nothing; order it without arming")
            }
            LifeRefusal::AlreadyOver { expires, now } => {
                write!(f, "the end at {expires} is over, it is {now}; give a later one, or set the clock")
            }
            LifeRefusal::TooManyRetries { retries } => {
                write!(f, "{retries} retries are more than may be; give 0 to {}", limits::RETRIES_MAX)
            }
            LifeRefusal::RetriesWithoutArming => {
                f.write_str("only a destructive boot is tried again; leave the retries out, or arm it")
            }
            LifeRefusal::BadText { field, bytes, max } => {
                write!(f, "the {field} has {bytes} bytes; give 1 to {max}")
            }
            LifeRefusal::NotPermitted(denied) => denied.fmt(f),
        }
    }
}

impl std::error::Error for LifeRefusal {}

pub(super) fn check_who(by: &Arc<str>) -> Result<(), LifeRefusal> {
    check_text("name of who orders it", by, limits::WHO_BYTES_MAX)
}

pub(super) fn check_reason(reason: &Arc<str>) -> Result<(), LifeRefusal> {
    check_text("reason", reason, limits::TEXT_BYTES_MAX)
}

pub(super) fn check_boot(boot: &Arc<str>) -> Result<(), LifeRefusal> {
    check_text("boot id", boot, limits::BOOT_ID_BYTES_MAX)
}

fn check_text(field: &'static str, text: &str, max: usize) -> Result<(), LifeRefusal> {
    match text.len() {
        bytes if bytes == 0 || bytes > max => Err(LifeRefusal::BadText { field, bytes, max }),
        _ => Ok(()),
    }
}

/// What no life is. A record that is so was written by something else.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LifeFault {
    /// The part that cannot be.
    pub field: &'static str,
}

impl fmt::Display for LifeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the life of a host has a {} that cannot be", self.field)
    }
}

impl std::error::Error for LifeFault {}

pub(super) fn check(life: &Life) -> Result<(), LifeFault> {
    let ensure = |field: &'static str, holds: bool| if holds { Ok(()) } else { Err(LifeFault { field }) };
    let who = |by: &Arc<str>| check_who(by).is_ok();
    let reason = |text: &Arc<str>| check_reason(text).is_ok();
    let boot = |id: &Arc<str>| check_boot(id).is_ok();
    let maybe = |id: &Option<Arc<str>>| id.as_ref().is_none_or(boot);
    let arming = |it: &super::Arming| who(&it.by) && it.retries <= limits::RETRIES_MAX;
    let shot = |it: &super::OneShot| {
        let fits = match &it.what {
            OnceBoot::Image(_) => it.armed || it.retries == 0,
            OnceBoot::LocalDisk => !it.armed && it.retries == 0,
        };
        who(&it.by) && it.retries <= limits::RETRIES_MAX && fits
    };
    let detail = life.detail.as_ref().is_none_or(|text| text.len() <= limits::TEXT_BYTES_MAX);
    ensure("detail", detail)?;
    ensure("arming", life.arming.as_ref().is_none_or(arming))?;
    ensure("one-shot", life.one_shot.as_ref().is_none_or(shot))?;
    let grant = life.grant.as_ref().is_none_or(|it| {
        let used = match &it.used {
            Used::Arming(own) => arming(own),
            Used::OneShot(own) => shot(own) && own.armed,
        };
        boot(&it.boot) && used
    });
    ensure("grant", grant)?;
    let quarantine = life.quarantine.as_ref();
    ensure("quarantine", quarantine.is_none_or(|it| who(&it.by) && reason(&it.reason)))?;
    let lock = life.lock.as_ref();
    ensure("lock", lock.is_none_or(|it| who(&it.by) && reason(&it.reason)))?;
    ensure("installation", life.installed.as_ref().is_none_or(|it| maybe(&it.boot)))?;
    ensure("last boot", life.last_boot.as_ref().is_none_or(|it| boot(&it.boot)))?;
    let cache = life.from_cache.as_ref();
    ensure("cache", cache.is_none_or(|it| maybe(&it.reported) && maybe(&it.expected)))?;

    let meant = |it: &Option<super::Meant>| it.as_ref().is_none_or(|it| boot(&it.boot));
    ensure("what a boot was made of", meant(&life.last_meant) && meant(&life.installed_meant))?;

    let waits = life.arming.is_some() || life.one_shot.is_some();
    ensure(
        "arming or one-shot under lock or quarantine",
        !waits || (lock.is_none() && quarantine.is_none()),
    )?;
    let armed = life.one_shot.as_ref().is_some_and(|it| it.armed);
    ensure("second arming", life.arming.is_none() || !armed)?;
    let installing = life.phase != Phase::Installing || life.installation().is_some();
    ensure("installation without its boot", installing)?;
    let running = life.phase == Phase::Installing && (life.arming.is_some() || armed);
    ensure("arming during an installation", !running)?;
    ensure("arming before adoption", life.phase != Phase::Discovered || !waits)
}
