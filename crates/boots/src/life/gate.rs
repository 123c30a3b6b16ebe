//! The gate before destructive images, and what decides before the pins. Both look and change nothing.

use super::{Force, ImageRef, Life, OnceBoot};
use std::fmt;
use std::sync::Arc;
use types::UnixTime;

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Gate {
    /// A boot of the image may begin: DHCP names a loader for it, a script is rendered. Refused to the boot whose payload was
    /// opened: a machine that asks what to boot has been restarted, whatever its id.
    Begin,
    /// Bytes of the image may be handed out, in a boot whose script named it.
    Payload,
}

/// What permits it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Allowed {
    /// The arming that waits. Used up by [`super::LifeEvent::PayloadOpened`].
    Arming,
    /// The armed one-shot that waits. Likewise.
    OneShot,
    /// This boot used it up itself.
    ThisBoot,
}

/// Why a destructive image is not given. The text names cause and fix.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Denied {
    /// The host is quarantined.
    Quarantined {
        /// By whom.
        by: Arc<str>,
        /// Why.
        reason: Arc<str>,
    },
    /// Nobody armed it.
    NotArmed,
    /// The permission was used by a boot.
    Used {
        /// Which.
        boot: Arc<str>,
        /// When.
        at: UnixTime,
    },
    /// This very boot used it, and its machine was restarted or it has ended.
    Over {
        /// When it opened its payload.
        at: UnixTime,
    },
    /// The permission expired.
    Expired {
        /// When.
        at: UnixTime,
    },
    /// The clock stands before the moment of the order.
    ClockBehind {
        /// That moment.
        at: UnixTime,
    },
    /// It is for another image.
    OtherImage {
        /// Which.
        armed_for: ImageRef,
    },
    /// A one-shot that permits nothing destructive decides this boot.
    OneShotFirst {
        /// What it boots.
        what: OnceBoot,
    },
    /// No script named the image in this boot.
    NotOfThisBoot,
}

impl Denied {
    /// Stable reason code.
    pub fn reason(&self) -> &'static str {
        match self {
            Denied::Quarantined { .. } => "quarantined",
            Denied::NotArmed => "not_armed",
            Denied::Used { .. } => "arming_used",
            Denied::Over { .. } => "boot_over",
            Denied::Expired { .. } => "arming_expired",
            Denied::ClockBehind { .. } => "clock_behind",
            Denied::OtherImage { .. } => "armed_for_other_image",
            Denied::OneShotFirst { .. } => "one_shot_first",
            Denied::NotOfThisBoot => "not_of_this_boot",
        }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Denied::Quarantined { by, reason } => {
                write!(f, "it is quarantined by {by} ({reason}); release it first")
            }
            Denied::NotArmed => f.write_str("it is not armed; arm it for one boot"),
            Denied::Used { boot, at } => {
                write!(f, "its arming was used by boot {boot} at {at}; arm it again to erase it again")
            }
            Denied::Over { at } => write!(
                f,
                "this boot was given its installer at {at} and has ended; arm it again to erase it again"
            ),
            Denied::Expired { at } => write!(f, "its arming expired at {at}; arm it again"),
            Denied::ClockBehind { at } => write!(
                f,
                "the clock stands before {at}, when it was armed, and cannot tell whether that is still good; set the clock or arm it again"
            ),
            Denied::OtherImage { armed_for } => {
                write!(f, "it is armed for {armed_for} only; arm it for this image, or boot that one")
            }
            Denied::OneShotFirst { what } => {
                write!(f, "its next boot is {what}, ordered once; cancel that to use the arming now")
            }
            Denied::NotOfThisBoot => f.write_str(
                "no script named this image in this boot; it is given to the boot it was decided for",
            ),
        }
    }
}

/// The answer of the gate.
pub type Permit = Result<Allowed, Denied>;

/// May this host be given a destructive image? `boot` is the attempt it asks in; `None` before one began, and never for a
/// payload. Answers [`Gate::Payload`] exactly as [`super::step`] will take the `PayloadOpened` of it. O(1).
///
/// # Errors
/// Why not.
pub fn permits(life: &Life, gate: Gate, boot: Option<&str>, image: &ImageRef, now: UnixTime) -> Permit {
    if let Some(quarantine) = life.quarantined(now) {
        let (by, reason) = (quarantine.by.clone(), quarantine.reason.clone());
        return Err(Denied::Quarantined { by, reason });
    }
    let own = life.grant.as_ref().filter(|grant| boot == Some(&*grant.boot));
    if let Some(grant) = own {
        return match gate {
            Gate::Payload if grant.open && grant.image.agrees(image) => Ok(Allowed::ThisBoot),
            // Whatever else waits, it is for a boot of its own.
            Gate::Begin | Gate::Payload => Err(Denied::Over { at: grant.at }),
        };
    }
    let last = life.last_boot.as_ref().filter(|last| last.destructive && boot == Some(&*last.boot));
    let image = match (gate, last) {
        (Gate::Begin, _) => image,
        // Its script said which version; the name of a file need not.
        (Gate::Payload, Some(last)) if last.image.agrees(image) => &last.image,
        (Gate::Payload, _) => return Err(Denied::NotOfThisBoot),
    };
    let (wrong, at, expires, allowed) = match (&life.one_shot, &life.arming) {
        (Some(shot), _) if Force::of(shot.at, shot.expires, now) != Force::Expired => match &shot.what {
            OnceBoot::Image(own) if shot.armed => {
                let wrong = (!own.covers(image)).then(|| own.clone());
                (wrong, shot.at, shot.expires, Allowed::OneShot)
            }
            what => return Err(Denied::OneShotFirst { what: what.clone() }),
        },
        (_, Some(arming)) => {
            let wrong = arming.image.as_ref().filter(|own| **own != image.name);
            (wrong.cloned().map(ImageRef::current), arming.at, arming.expires, Allowed::Arming)
        }
        (Some(shot), None) if shot.armed => {
            return Err(Denied::Expired { at: shot.expires.unwrap_or(shot.at) });
        }
        _ => {
            return Err(match &life.grant {
                Some(grant) => Denied::Used { boot: grant.boot.clone(), at: grant.at },
                None => Denied::NotArmed,
            });
        }
    };
    match (Force::of(at, expires, now), wrong) {
        (Force::Expired, _) => Err(Denied::Expired { at: expires.unwrap_or(at) }),
        (Force::Unsure, _) => Err(Denied::ClockBehind { at }),
        (Force::Good, Some(armed_for)) => Err(Denied::OtherImage { armed_for }),
        (Force::Good, None) => Ok(allowed),
    }
}

/// Why a destructive image is not booted again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Spared {
    /// The host was installed from it.
    Installed {
        /// When.
        at: UnixTime,
    },
    /// Its installer was given out and nothing says how it went.
    Begun {
        /// In which boot.
        boot: Arc<str>,
        /// When.
        at: UnixTime,
    },
}

impl fmt::Display for Spared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Spared::Installed { at } => write!(f, "it was installed from it at {at}"),
            Spared::Begun { boot, at } => write!(f, "boot {boot} was given its installer at {at}"),
        }
    }
}

/// What decides before the pins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NextBoot {
    /// Quarantine: no boot data, no script, nothing.
    Nothing {
        /// By whom.
        by: Arc<str>,
        /// Why.
        reason: Arc<str>,
    },
    /// A one-shot: this image. A destructive one passes the gate all the same.
    Image {
        /// Which.
        image: ImageRef,
        /// Who ordered it.
        by: Arc<str>,
    },
    /// "Local disk once": no pin is asked.
    LocalDisk {
        /// Who ordered it; `None` for the rest of a boot that was begun so.
        by: Option<Arc<str>>,
    },
    /// The pins decide; but when they end at this image and it is destructive, the machine goes to its own disk. The gate
    /// says so too; this says why.
    PinsExcept {
        /// Which, in any version.
        image: ImageRef,
        /// Why.
        why: Spared,
    },
    /// The pins decide.
    Pins,
}

/// What decides the boot the machine asks for in the attempt `boot`. The same until the payload of that boot is opened: who
/// asks again before gets the same. O(1).
pub fn next(life: &Life, boot: Option<&str>, now: UnixTime) -> NextBoot {
    if let Some(quarantine) = life.quarantined(now) {
        return NextBoot::Nothing { by: quarantine.by.clone(), reason: quarantine.reason.clone() };
    }
    // It asks what to boot in the boot whose payload was opened: it was restarted. What waits is for a boot of its own.
    if life.grant.as_ref().is_some_and(|grant| boot == Some(&*grant.boot)) {
        return spared(life);
    }
    if let Some(shot) = &life.one_shot
        && Force::of(shot.at, shot.expires, now) == Force::Good
    {
        return match &shot.what {
            OnceBoot::Image(image) => NextBoot::Image { image: image.clone(), by: shot.by.clone() },
            OnceBoot::LocalDisk => NextBoot::LocalDisk { by: Some(shot.by.clone()) },
        };
    }
    if life.disk_until.is_some_and(|until| disk_holds(until, now)) {
        return NextBoot::LocalDisk { by: None };
    }
    match &life.arming {
        Some(arming) if Force::of(arming.at, arming.expires, now) == Force::Good => NextBoot::Pins,
        _ => spared(life),
    }
}

/// A hold whose end is further away than a hold is long was made under another clock.
pub(super) fn disk_holds(until: UnixTime, now: UnixTime) -> bool {
    now < until && until.saturating_since(now) <= super::limits::DISK_HOLD
}

fn spared(life: &Life) -> NextBoot {
    let begun = life.grant.as_ref();
    let installed = life.installed.as_ref().filter(|installed| installed.destructive);
    let told = |boot: &Arc<str>| {
        installed.is_some_and(|it| it.boot.as_ref() == Some(boot) && it.told != super::Told::Nobody)
    };
    match (begun, installed) {
        (Some(grant), _) if grant.open && !told(&grant.boot) => NextBoot::PinsExcept {
            image: grant.image.clone(),
            why: Spared::Begun { boot: grant.boot.clone(), at: grant.at },
        },
        (_, Some(installed)) => NextBoot::PinsExcept {
            image: installed.image.clone(),
            why: Spared::Installed { at: installed.at },
        },
        (Some(grant), None) => NextBoot::PinsExcept {
            image: grant.image.clone(),
            why: Spared::Begun { boot: grant.boot.clone(), at: grant.at },
        },
        (None, None) => NextBoot::Pins,
    }
}
