//! What happens to a host.

use super::refusal::{check_boot, check_reason, check_who};
use super::{ImageRef, LifeRefusal, Meant, OnceBoot};
use std::sync::Arc;
use std::time::Duration;
use types::UnixTime;
use types::resource::Name;

/// What a booted system said.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Report {
    /// The installation is on the disk.
    Installed,
    /// The system runs.
    Up,
    /// It failed.
    Failed,
    /// Any other word: it is alive.
    Progress,
}

impl Report {
    /// The call-back stage of this name; whatever has no meaning here is progress.
    pub fn of(stage: &str) -> Report {
        match stage {
            "installed" => Report::Installed,
            "up" => Report::Up,
            "failed" => Report::Failed,
            _ => Report::Progress,
        }
    }
}

/// How long a host may go without a word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// From a script to a payload, and from the payload of a harmless image to its call-back.
    pub booting: Duration,
    /// From the last word of an installation.
    pub installing: Duration,
}

impl Default for Timeouts {
    /// Half an hour to boot: a large image over a slow line. Four hours to install, as long as a call-back token is good.
    fn default() -> Timeouts {
        Timeouts { booting: Duration::from_secs(1800), installing: Duration::from_secs(4 * 3600) }
    }
}

/// Something that happened to a host. `by` is who ordered it, 1..=128 bytes; boot ids have 1..=64 bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LifeEvent {
    /// An operator takes the host on.
    Adopt {
        /// Who.
        by: Arc<str>,
    },
    /// An operator permits one destructive boot.
    Arm {
        /// Who.
        by: Arc<str>,
        /// The only image it is for.
        image: Option<Name>,
        /// Good before this moment.
        expires: Option<UnixTime>,
        /// Further installations after reported failures, 0..=9.
        retries: u8,
    },
    /// An operator takes back every permission to erase.
    Disarm {
        /// Who.
        by: Arc<str>,
        /// That of an installation under way too: it is broken off.
        running: bool,
    },
    /// An operator decides one boot.
    BootOnce {
        /// Who.
        by: Arc<str>,
        /// What is booted.
        what: OnceBoot,
        /// The image is destructive and the operator knows it.
        armed: bool,
        /// Good before this moment.
        expires: Option<UnixTime>,
        /// Further installations after reported failures, 0..=9; 0 unless `armed`.
        retries: u8,
    },
    /// An operator takes a one-shot back.
    CancelOnce {
        /// Who.
        by: Arc<str>,
    },
    /// Nothing is to be given to the host.
    Quarantine {
        /// Who, or the rule that found it.
        by: Arc<str>,
        /// Why, 1..=256 bytes.
        reason: Arc<str>,
        /// It ends by itself at this moment.
        until: Option<UnixTime>,
    },
    /// An operator ends the quarantine.
    Release {
        /// Who.
        by: Arc<str>,
    },
    /// An operator protects the host.
    Lock {
        /// Who.
        by: Arc<str>,
        /// Why, 1..=256 bytes.
        reason: Arc<str>,
    },
    /// An operator ends the protection.
    Unlock {
        /// Who.
        by: Arc<str>,
    },
    /// An operator wants nothing remembered: the host is as it was when it was adopted.
    Forget {
        /// Who.
        by: Arc<str>,
    },
    /// An operator says that the host is installed, for installers that do not.
    MarkInstalled {
        /// Who.
        by: Arc<str>,
        /// From which image.
        image: ImageRef,
        /// It erases disks.
        destructive: bool,
    },
    /// A script or loader configuration that boots an image is about to be given to the machine.
    BootBegan {
        /// Id of the boot.
        boot: Arc<str>,
        /// What it boots, with its version when that is known.
        image: ImageRef,
        /// It erases disks.
        destructive: bool,
    },
    /// What that boot is made of; told right behind [`BootBegan`](LifeEvent::BootBegan). Of another boot than the newest it
    /// says nothing.
    BootMeant {
        /// Id of the boot, version and values.
        meant: Meant,
    },
    /// The first byte of an image's kernel, ramdisk, module, disk or answer file is about to be handed out. To be asked for
    /// every such request of a destructive image: all but the first of a boot change nothing.
    PayloadOpened {
        /// Id of the boot.
        boot: Arc<str>,
        /// Whose payload.
        image: ImageRef,
        /// It erases disks.
        destructive: bool,
    },
    /// The machine asked and was sent to its own disk (or given no boot data because of it).
    SentToDisk {
        /// Id of the attempt, when there is one.
        boot: Option<Arc<str>>,
    },
    /// The booted system called back with the token of a boot.
    Reported {
        /// Id of that boot.
        boot: Arc<str>,
        /// What it said.
        report: Report,
        /// In its own words; cut after 256 bytes.
        detail: Option<Arc<str>>,
    },
    /// The host is up, went down since its last boot of ours, and asked for none in between.
    SeenWithoutNetworkBoot {
        /// The boot id it says it runs.
        reported: Option<Arc<str>>,
    },
    /// Time went by. Every event notices what has expired; this one also notices silence.
    Tick {
        /// How long silence is allowed to last.
        timeouts: Timeouts,
    },
}

impl LifeEvent {
    /// Bounds of everything outside gave us.
    pub(crate) fn check(&self, now: UnixTime) -> Result<(), LifeRefusal> {
        match self {
            LifeEvent::Adopt { by }
            | LifeEvent::Disarm { by, .. }
            | LifeEvent::CancelOnce { by }
            | LifeEvent::Release { by }
            | LifeEvent::Unlock { by }
            | LifeEvent::Forget { by }
            | LifeEvent::MarkInstalled { by, .. } => check_who(by),
            LifeEvent::Arm { by, expires, retries, .. } => {
                check_who(by)?;
                check_order(*expires, *retries, true, now)
            }
            LifeEvent::BootOnce { by, what, armed, expires, retries } => {
                check_who(by)?;
                if *armed && *what == OnceBoot::LocalDisk {
                    return Err(LifeRefusal::DiskNeedsNoArming);
                }
                check_order(*expires, *retries, *armed, now)
            }
            LifeEvent::Quarantine { by, reason, until } => {
                check_who(by)?;
                check_reason(reason)?;
                check_order(*until, 0, false, now)
            }
            LifeEvent::Lock { by, reason } => {
                check_who(by)?;
                check_reason(reason)
            }
            LifeEvent::BootBegan { boot, .. }
            | LifeEvent::PayloadOpened { boot, .. }
            | LifeEvent::Reported { boot, .. } => check_boot(boot),
            LifeEvent::BootMeant { meant } => check_boot(&meant.boot),
            LifeEvent::SentToDisk { boot } => boot.as_ref().map_or(Ok(()), check_boot),
            LifeEvent::SeenWithoutNetworkBoot { reported } => reported.as_ref().map_or(Ok(()), check_boot),
            LifeEvent::Tick { .. } => Ok(()),
        }
    }
}

fn check_order(
    expires: Option<UnixTime>,
    retries: u8,
    armed: bool,
    now: UnixTime,
) -> Result<(), LifeRefusal> {
    match expires {
        Some(expires) if expires <= now => Err(LifeRefusal::AlreadyOver { expires, now }),
        _ if retries > super::limits::RETRIES_MAX => Err(LifeRefusal::TooManyRetries { retries }),
        _ if retries > 0 && !armed => Err(LifeRefusal::RetriesWithoutArming),
        _ => Ok(()),
    }
}
