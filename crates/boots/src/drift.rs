//! Whether a host is what it should be: what is remembered of it beside what it would be given now.
//!
//! An image that erases disks is compared with what was installed last, any other with the newest boot: one is on a disk, the
//! other in memory. How the newest boot went counts where it is the boot that is compared: a rescue system that fails on an
//! installed host says nothing of what is on its disk. Differences make drift; notes are what a reader has to know beside them
//! and make none.
//!
//! Deliberately absent: what a host is meant to boot (`plan::Fleet` says it), and what is to be done about it.

use crate::life::{ImageRef, Life, Meant, Phase, Told};
use std::fmt;
use std::sync::Arc;
use types::UnixTime;
use types::resource::Name;

/// What a host should be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// This image, in this version, with these values.
    Image {
        /// Name and version id; without a version where the image has none.
        image: ImageRef,
        /// It erases disks.
        destructive: bool,
        /// Digest of its values.
        values: u64,
    },
    /// Nothing in particular.
    Nothing,
    /// It cannot be told.
    Undecided {
        /// Why.
        why: Arc<str>,
    },
}

/// How a host stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Standing {
    /// It is what it should be.
    InStep,
    /// It is not.
    Drifted,
    /// It cannot be told.
    Undecided,
    /// Nothing is wanted of it.
    Unmanaged,
}

impl Standing {
    /// Stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Standing::InStep => "in-step",
            Standing::Drifted => "drifted",
            Standing::Undecided => "undecided",
            Standing::Unmanaged => "unmanaged",
        }
    }
}

/// One way in which a host is not what it should be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Difference {
    /// It was never given anything of ours, or nothing that installs.
    Never {
        /// Nothing was installed; else nothing was booted.
        installed: bool,
    },
    /// It has another image.
    Image {
        /// This one.
        has: ImageRef,
    },
    /// It has another version of its image.
    Version {
        /// This one.
        has: Name,
    },
    /// What its script, answer file or bundles are rendered from has changed: a bundle's script makes an installed host drift.
    Values,
    /// Its installer was given out and nobody said that it went well.
    Unconfirmed,
    /// Its last boot failed. Of an installed host: the boot that was to install it.
    Failed {
        /// In its own words.
        detail: Option<Arc<str>>,
    },
    /// Nothing was heard of its last boot.
    Silent,
    /// It runs what its cache holds.
    FromCache,
    /// It was sent to its own disk since.
    LocalDisk,
}

impl Difference {
    /// Stable code, `snake_case`.
    pub fn code(&self) -> &'static str {
        match self {
            Difference::Never { installed: true } => "never_installed",
            Difference::Never { installed: false } => "never_booted",
            Difference::Image { .. } => "image",
            Difference::Version { .. } => "version",
            Difference::Values => "values",
            Difference::Unconfirmed => "unconfirmed",
            Difference::Failed { .. } => "failed",
            Difference::Silent => "silent",
            Difference::FromCache => "from_cache",
            Difference::LocalDisk => "local_disk",
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Never { installed: true } => f.write_str("it was never installed"),
            Difference::Never { installed: false } => f.write_str("it never booted from here"),
            Difference::Image { has } => write!(f, "it has image {has}"),
            Difference::Version { has } => write!(f, "it has version {has}"),
            Difference::Values => {
                f.write_str(
                    "its values changed: parameters, arguments, location, site, template, recipe or a bundle's script",
                )
            }
            Difference::Unconfirmed => {
                f.write_str("its installer was given out and nothing said how it went")
            }
            Difference::Failed { detail: Some(detail) } => write!(f, "its last boot failed: {detail}"),
            Difference::Failed { detail: None } => f.write_str("its last boot failed"),
            Difference::Silent => f.write_str("nothing was heard of its last boot"),
            Difference::FromCache => f.write_str("it runs what its cache holds"),
            Difference::LocalDisk => f.write_str("it was sent to its own disk since"),
        }
    }
}

/// Something to know beside the differences.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Note {
    /// That it is installed was said by an operator.
    ByHand,
    /// Which version it has was not told.
    VersionUnknown,
    /// What it was rendered from was not told.
    ValuesUnknown,
    /// A boot is under way.
    UnderWay,
    /// An order for its next boot waits.
    Ordered {
        /// Who gave it.
        by: Arc<str>,
    },
    /// It is locked.
    Locked {
        /// Why.
        reason: Arc<str>,
    },
    /// It is quarantined.
    Quarantined {
        /// Why.
        reason: Arc<str>,
    },
}

impl Note {
    /// Stable code, `snake_case`.
    pub fn code(&self) -> &'static str {
        match self {
            Note::ByHand => "by_hand",
            Note::VersionUnknown => "version_unknown",
            Note::ValuesUnknown => "values_unknown",
            Note::UnderWay => "under_way",
            Note::Ordered { .. } => "ordered",
            Note::Locked { .. } => "locked",
            Note::Quarantined { .. } => "quarantined",
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::ByHand => f.write_str("an operator said that it is installed"),
            Note::VersionUnknown => f.write_str("which version it has is not known"),
            Note::ValuesUnknown => f.write_str("what its values were is not known"),
            Note::UnderWay => f.write_str("a boot is under way"),
            Note::Ordered { by } => write!(f, "ordered by {by}"),
            Note::Locked { reason } => write!(f, "locked: {reason}"),
            Note::Quarantined { reason } => write!(f, "quarantined: {reason}"),
        }
    }
}

/// How a host stands, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Drift {
    /// How.
    pub standing: Standing,
    /// What it has: installed, or booted last.
    pub has: Option<ImageRef>,
    /// In what it differs; none unless it drifted.
    pub differences: Vec<Difference>,
    /// What else is to be known.
    pub notes: Vec<Note>,
}

impl Drift {
    /// True when nothing can or need be ordered for it now: it is held, or something was ordered or is under way.
    pub fn is_held(&self) -> bool {
        self.notes.iter().any(|note| match note {
            Note::UnderWay | Note::Ordered { .. } | Note::Locked { .. } | Note::Quarantined { .. } => true,
            Note::ByHand | Note::VersionUnknown | Note::ValuesUnknown => false,
        })
    }
}

/// Compares. `life`: what is remembered of the host, `None` when nothing is.
pub fn drift(wanted: &Wanted, life: Option<&Life>, now: UnixTime) -> Drift {
    let mut notes = life.map(|life| standing_orders(life, now)).unwrap_or_default();
    let (image, destructive, values) = match wanted {
        Wanted::Nothing => {
            return Drift { standing: Standing::Unmanaged, has: None, differences: Vec::new(), notes };
        }
        Wanted::Undecided { .. } => {
            return Drift { standing: Standing::Undecided, has: None, differences: Vec::new(), notes };
        }
        Wanted::Image { image, destructive, values } => (image, *destructive, *values),
    };
    let mut differences = Vec::new();
    let found = match destructive {
        true => life.and_then(Life::installed_as_meant).map(|(own, meant)| {
            match own.told {
                Told::Nobody => differences.push(Difference::Unconfirmed),
                Told::Operator => notes.push(Note::ByHand),
                Told::Installed | Told::Up => {}
            }
            (&own.image, meant)
        }),
        false => life.and_then(Life::last_boot_as_meant).map(|(own, meant)| (&own.image, meant)),
    };
    let has = match found {
        None => {
            differences.push(Difference::Never { installed: destructive });
            None
        }
        Some((own, meant)) => Some(compare(own, meant, image, values, &mut differences, &mut notes)),
    };
    if let Some(life) = life {
        stage(life, destructive, &mut differences);
    }
    let standing = if differences.is_empty() { Standing::InStep } else { Standing::Drifted };
    Drift { standing, has, differences, notes }
}

fn compare(
    own: &ImageRef,
    meant: Option<&Meant>,
    wanted: &ImageRef,
    values: u64,
    differences: &mut Vec<Difference>,
    notes: &mut Vec<Note>,
) -> ImageRef {
    let version = own.version.clone().or_else(|| meant.and_then(|meant| meant.version.clone()));
    let has = ImageRef { name: own.name.clone(), version };
    if has.name != wanted.name {
        // Versions and values of two images have nothing to do with each other.
        differences.push(Difference::Image { has: has.clone() });
        return has;
    }
    match (&has.version, &wanted.version) {
        (Some(own), Some(wanted)) if own != wanted => {
            differences.push(Difference::Version { has: own.clone() })
        }
        (None, Some(_)) => notes.push(Note::VersionUnknown),
        _ => {}
    }
    match meant.and_then(|meant| meant.values) {
        Some(own) if own != values => differences.push(Difference::Values),
        Some(_) => {}
        None => notes.push(Note::ValuesUnknown),
    }
    has
}

fn stage(life: &Life, destructive: bool, differences: &mut Vec<Difference>) {
    // What a harmless boot of an installed host came to is no word about its disk, and nothing to erase it for.
    let own = !destructive || life.last_boot.as_ref().is_none_or(|last| last.destructive);
    if !own {
        return;
    }
    match life.phase {
        Phase::Failed => differences.push(Difference::Failed { detail: life.detail.clone() }),
        Phase::Silent => differences.push(Difference::Silent),
        // A host whose installer ran is meant to be on its disk.
        Phase::LocalDisk if !destructive && life.last_boot.is_some() => {
            differences.push(Difference::LocalDisk);
        }
        Phase::Discovered
        | Phase::Adopted
        | Phase::Booting
        | Phase::Installing
        | Phase::Installed
        | Phase::LocalDisk
        | Phase::Up => {}
    }
    if life.booted_from_cache() {
        differences.push(Difference::FromCache);
    }
}

fn standing_orders(life: &Life, now: UnixTime) -> Vec<Note> {
    let mut notes = Vec::new();
    if let Some(quarantine) = life.quarantined(now) {
        notes.push(Note::Quarantined { reason: quarantine.reason.clone() });
    }
    if let Some(lock) = &life.lock {
        notes.push(Note::Locked { reason: lock.reason.clone() });
    }
    if life.phase.is_under_way() {
        notes.push(Note::UnderWay);
    }
    let arming = life.arming.as_ref().map(|it| &it.by);
    if let Some(by) = arming.or(life.one_shot.as_ref().map(|it| &it.by)) {
        notes.push(Note::Ordered { by: by.clone() });
    }
    notes
}

#[cfg(test)]
mod tests;
