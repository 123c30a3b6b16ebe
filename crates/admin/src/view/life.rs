//! What a host went through and what is ordered for it, as the API shows it.

use serde::{Deserialize, Serialize};

/// An order for a host: `POST /hosts/{reference}/orders`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderRequest {
    /// Who orders it, up to 128 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What.
    pub order: Order,
}

/// What can be ordered for a host.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Order {
    /// It may run an image that erases disks, in one boot.
    Arm {
        /// That image only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        image: Option<String>,
        /// Good for so many seconds; without it until it is used.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_secs: Option<u64>,
        /// Further installations after reported failures, 0..=9.
        #[serde(default)]
        retries: u8,
    },
    /// It may no more.
    Disarm {
        /// Nor may an installation that is under way.
        #[serde(default)]
        running: bool,
    },
    /// One boot of this image (`name` or `name@version`), or of its own disk without one.
    BootOnce {
        /// The image.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        image: Option<String>,
        /// The image may erase disks and whoever orders it knows.
        #[serde(default)]
        arm: bool,
        /// Good for so many seconds; without it until it is used.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_secs: Option<u64>,
        /// Further installations after reported failures, 0..=9.
        #[serde(default)]
        retries: u8,
    },
    /// Takes that back.
    CancelOnce {},
    /// It is given nothing.
    Quarantine {
        /// Why.
        reason: String,
        /// Ends by itself after so many seconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        secs: Option<u64>,
    },
    /// Ends that.
    Release {},
    /// Nothing can be ordered for it.
    Lock {
        /// Why.
        reason: String,
    },
    /// Ends that.
    Unlock {},
    /// It was installed from this image, says who orders it.
    Installed {
        /// The image.
        image: String,
    },
    /// Nothing is remembered of what it went through.
    Forget {},
}

/// What is remembered of a host.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct LifeView {
    /// `adopted`, `armed`, `booting`, `installing`, `installed`, `local-disk` …
    pub stage: String,
    /// Since when, RFC 3339.
    pub since: String,
    /// What it said last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// It may run an image that erases disks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub armed: Option<OrderView>,
    /// What its next boot is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub once: Option<OrderView>,
    /// It is given nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<OrderView>,
    /// Nothing can be ordered for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<OrderView>,
    /// What was installed last, and how that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installed: Option<InstalledView>,
    /// Its newest boot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_boot: Option<InstalledView>,
    /// It runs what its cache holds, not what it was given.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub booted_from_cache: bool,
}

/// An order that stands.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct OrderView {
    /// Who gave it.
    pub by: String,
    /// When, RFC 3339.
    pub at: String,
    /// Its image, `local disk`, or the reason of a quarantine or lock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
    /// When it ends, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Retries left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<u8>,
}

/// A boot that is remembered.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct InstalledView {
    /// The image.
    pub image: String,
    /// Id of the boot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<String>,
    /// When, RFC 3339.
    pub at: String,
    /// How an installation is known: `installed`, `up`, `operator`, `nobody`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<String>,
}
