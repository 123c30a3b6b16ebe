//! What a step tells others.

use super::{ImageRef, OnceBoot};
use std::sync::Arc;
use std::time::Duration;
use types::UnixTime;
use types::resource::Name;

/// How it is known that a host is installed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Told {
    /// The installer said `installed`.
    Installed,
    /// The system it installed said `up`.
    Up,
    /// An operator said so.
    Operator,
    /// Nobody: the machine restarted after its payload and said nothing.
    Nobody,
}

impl Told {
    /// Every one, for readers and tests.
    pub const ALL: [Told; 4] = [Told::Installed, Told::Up, Told::Operator, Told::Nobody];

    /// Stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Told::Installed => "installed",
            Told::Up => "up",
            Told::Operator => "operator",
            Told::Nobody => "nobody",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<Told> {
        Told::ALL.into_iter().find(|told| told.as_str() == name)
    }
}

/// Why an order was taken back before it was used.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Withdrawal {
    /// An operator did.
    Operator,
    /// The host was locked.
    Locked,
    /// The host was quarantined.
    Quarantined,
    /// It expired.
    Expired,
    /// It was to try again what has succeeded.
    Installed,
}

impl Withdrawal {
    /// Stable reason code.
    pub fn as_str(self) -> &'static str {
        match self {
            Withdrawal::Operator => "operator",
            Withdrawal::Locked => "locked",
            Withdrawal::Quarantined => "quarantined",
            Withdrawal::Expired => "expired",
            Withdrawal::Installed => "installed",
        }
    }
}

/// Something to tell: the daemon makes an event of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// An operator took the host on.
    Adopted {
        /// Who.
        by: Arc<str>,
    },
    /// The host may run a destructive image once.
    Armed {
        /// Who armed it.
        by: Arc<str>,
        /// The only image it is for.
        image: Option<ImageRef>,
        /// Good before this moment.
        expires: Option<UnixTime>,
        /// Retries left.
        retries: u8,
        /// A failure armed it again.
        again: bool,
    },
    /// It may no more.
    Disarmed {
        /// Why.
        why: Withdrawal,
        /// Who, when it was somebody.
        by: Option<Arc<str>>,
    },
    /// One boot is decided.
    OnceOrdered {
        /// Who decided it.
        by: Arc<str>,
        /// For what.
        what: OnceBoot,
        /// Good before this moment.
        expires: Option<UnixTime>,
    },
    /// It is no more.
    OnceWithdrawn {
        /// What was decided.
        what: OnceBoot,
        /// Why not any more.
        why: Withdrawal,
        /// Who, when it was somebody.
        by: Option<Arc<str>>,
    },
    /// The one boot is under way.
    OnceUsed {
        /// Its id, when there is one.
        boot: Option<Arc<str>>,
        /// What it boots.
        what: OnceBoot,
    },
    /// The host is given nothing.
    Quarantined {
        /// Who or what found it.
        by: Arc<str>,
        /// Why.
        reason: Arc<str>,
        /// It ends by itself at this moment.
        until: Option<UnixTime>,
    },
    /// The quarantine ended.
    Released {
        /// Who ended it; `None`: it ended by itself.
        by: Option<Arc<str>>,
    },
    /// Nothing can be ordered for the host.
    Locked {
        /// Who locked it.
        by: Arc<str>,
        /// Why.
        reason: Arc<str>,
    },
    /// It can.
    Unlocked {
        /// Who unlocked it.
        by: Arc<str>,
    },
    /// Nothing is remembered of the host.
    Forgotten {
        /// Who wanted it.
        by: Arc<str>,
    },
    /// The payload of a destructive image is handed out; the arming is used up.
    InstallBegan {
        /// The one boot that may.
        boot: Arc<str>,
        /// The image.
        image: ImageRef,
        /// Who had armed the host.
        by: Arc<str>,
        /// Retries left.
        retries: u8,
    },
    /// The host is installed.
    Installed {
        /// The boot that did it; none when an operator says so.
        boot: Option<Arc<str>>,
        /// From which image.
        image: ImageRef,
        /// How that is known: never [`Told::Nobody`].
        told: Told,
        /// Who, when an operator said so.
        by: Option<Arc<str>>,
    },
    /// The machine restarted after its payload and said nothing: it goes to its disk, whatever is on it.
    InstallUnconfirmed {
        /// The boot.
        boot: Arc<str>,
        /// The image.
        image: ImageRef,
    },
    /// The installation failed, or was broken off by who disarmed the host.
    InstallFailed {
        /// The boot.
        boot: Arc<str>,
        /// The image.
        image: ImageRef,
        /// In the words of the machine.
        detail: Option<Arc<str>>,
        /// The host is armed again, by its arming's own terms.
        again: bool,
    },
    /// Nothing was heard of an installation for long.
    InstallSilent {
        /// The boot.
        boot: Arc<str>,
        /// The image.
        image: ImageRef,
        /// For how long.
        silent: Duration,
    },
    /// A boot came to nothing that we know of.
    BootSilent {
        /// The boot.
        boot: Arc<str>,
        /// The image.
        image: ImageRef,
        /// Its payload was handed out.
        opened: bool,
        /// For how long nothing was heard.
        silent: Duration,
    },
    /// The booted system runs.
    Up {
        /// The boot.
        boot: Arc<str>,
        /// The image.
        image: ImageRef,
    },
    /// The booted system failed.
    BootFailed {
        /// The boot.
        boot: Arc<str>,
        /// The image.
        image: ImageRef,
        /// In the words of the machine.
        detail: Option<Arc<str>>,
    },
    /// The host runs what its cache holds.
    BootedFromCache {
        /// The boot id it says it runs.
        reported: Option<Arc<str>>,
        /// The boot it should be running.
        expected: Option<Arc<str>>,
    },
    /// The host runs what it was given again.
    LeftCache {
        /// The boot.
        boot: Arc<str>,
    },
}

impl Effect {
    /// The name of its event, `area.what`.
    pub fn name(&self) -> &'static str {
        match self {
            Effect::Adopted { .. } => "host.adopted",
            Effect::Armed { .. } => "host.armed",
            Effect::Disarmed { .. } => "host.disarmed",
            Effect::OnceOrdered { .. } => "host.once_ordered",
            Effect::OnceWithdrawn { .. } => "host.once_withdrawn",
            Effect::OnceUsed { .. } => "host.once_used",
            Effect::Quarantined { .. } => "host.quarantined",
            Effect::Released { .. } => "host.released",
            Effect::Locked { .. } => "host.locked",
            Effect::Unlocked { .. } => "host.unlocked",
            Effect::Forgotten { .. } => "host.forgotten",
            Effect::InstallBegan { .. } => "boot.install_began",
            Effect::Installed { .. } => "boot.installed",
            Effect::InstallUnconfirmed { .. } => "boot.install_unconfirmed",
            Effect::InstallFailed { .. } => "boot.install_failed",
            Effect::InstallSilent { .. } => "boot.install_silent",
            Effect::BootSilent { .. } => "boot.went_silent",
            Effect::Up { .. } => "boot.up",
            Effect::BootFailed { .. } => "boot.failed",
            Effect::BootedFromCache { .. } => "boot.from_cache",
            Effect::LeftCache { .. } => "boot.left_cache",
        }
    }

    /// True for what an operator should look at.
    pub fn is_warning(&self) -> bool {
        match self {
            Effect::Quarantined { .. }
            | Effect::InstallUnconfirmed { .. }
            | Effect::InstallFailed { .. }
            | Effect::InstallSilent { .. }
            | Effect::BootFailed { .. }
            | Effect::BootedFromCache { .. } => true,
            Effect::Disarmed { why, .. } | Effect::OnceWithdrawn { why, .. } => {
                !matches!(why, Withdrawal::Operator | Withdrawal::Installed)
            }
            Effect::Adopted { .. }
            | Effect::Armed { .. }
            | Effect::OnceOrdered { .. }
            | Effect::OnceUsed { .. }
            | Effect::Released { .. }
            | Effect::Locked { .. }
            | Effect::Unlocked { .. }
            | Effect::Forgotten { .. }
            | Effect::InstallBegan { .. }
            | Effect::Installed { .. }
            | Effect::BootSilent { .. }
            | Effect::Up { .. }
            | Effect::LeftCache { .. } => false,
        }
    }
}

/// An arming's image, as effects name it.
pub(super) fn named(image: Option<&Name>) -> Option<ImageRef> {
    image.cloned().map(ImageRef::current)
}
