//! Many hosts at once, as the API shows them: drift, its repair, and rollouts.

use serde::{Deserialize, Serialize};
use types::Selector;
use types::resource::Name;

fn is_not(flag: &bool) -> bool {
    !flag
}

/// Which hosts are meant: those named, or those of a group that a selector means; with none of the three all.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HostSet {
    /// In this group, or in one below it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<Name>,
    /// Meant by this selector.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    pub selector: Option<Selector>,
    /// Names, `mac:…`, `uuid:…` or `serial:…`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
}

impl HostSet {
    /// True when it names nobody in particular.
    pub fn is_everybody(&self) -> bool {
        self.group.is_none() && self.selector.is_none() && self.hosts.is_empty()
    }
}

/// `POST /hosts:drift`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DriftRequest {
    /// Which hosts.
    pub of: HostSet,
    /// List those in step and those of which nothing is wanted, too.
    #[serde(skip_serializing_if = "is_not")]
    pub all: bool,
}

/// A code and its words.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Reason {
    /// Stable, `snake_case`.
    pub code: String,
    /// For people.
    pub text: String,
}

/// How one host stands.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct DriftView {
    /// Its name.
    pub host: String,
    /// `in-step`, `drifted`, `undecided` (it cannot be told) or `unmanaged` (nothing is wanted of it).
    pub standing: String,
    /// What it should have: `image@version`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wants: Option<String>,
    /// That image erases disks: it is compared with what was installed.
    #[serde(default, skip_serializing_if = "is_not")]
    pub destructive: bool,
    /// What it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub has: Option<String>,
    /// In what it differs, or why it cannot be told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
    /// What else is to be known of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Reason>,
}

/// The answer of `POST /hosts:drift`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct DriftReport {
    /// Hosts looked at.
    pub hosts: usize,
    /// They are what they should be.
    pub in_step: usize,
    /// They are not.
    pub drifted: usize,
    /// It cannot be told.
    pub undecided: usize,
    /// Nothing is wanted of them.
    pub unmanaged: usize,
    /// Drifted and undecided ones by name; with `all` every one.
    pub items: Vec<DriftView>,
    /// Number of the catalog that said what is wanted.
    pub generation: u64,
}

/// In which order hosts have their turns.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostOrder {
    /// By name.
    #[default]
    Name,
    /// As they were named.
    Given,
    /// One location after the other.
    Location,
    /// From each location in turn, so that none is down whole.
    Spread,
}

/// `POST /hosts:repair`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepairRequest {
    /// Which hosts.
    #[serde(default)]
    pub of: HostSet,
    /// Name of the rollout that arms those whose disk is to be erased; without one it is made of the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// Who wants it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Hosts under way at once, 1..=256.
    pub at_once: u16,
    /// Failures after which no further host is armed; 0 never stops.
    pub max_failures: u16,
    /// Each arming is good for so many seconds; without it until it is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_secs: Option<u64>,
    /// A restart without a word counts as installed.
    #[serde(default, skip_serializing_if = "is_not")]
    pub silent_installers: bool,
    /// Start hosts anew that can be switched.
    #[serde(default, skip_serializing_if = "is_not")]
    pub power_cycle: bool,
}

/// A host that was left as it is.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct HeldView {
    /// Its name.
    pub host: String,
    /// Why.
    pub why: String,
}

/// The answer of `POST /hosts:repair`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RepairReport {
    /// Hosts that were looked at.
    pub hosts: usize,
    /// Those not in step, or undecided.
    pub found: usize,
    /// What arms those whose disk is to be erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutView>,
    /// Started anew, from the network.
    pub restarted: Vec<String>,
    /// Their next boot brings them in step; nothing is to be ordered.
    pub next_boot: Vec<String>,
    /// Left as they are.
    pub held: Vec<HeldView>,
    /// Nothing was done: it was asked only.
    #[serde(default, skip_serializing_if = "is_not")]
    pub dry_run: bool,
}

/// `POST /rollouts`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RolloutRequest {
    /// Its name.
    pub name: Name,
    /// Who wants it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Image to install, `name` or `name@version`; without it what each host's pins say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Which hosts.
    pub of: HostSet,
    /// In which order.
    #[serde(default)]
    pub order: HostOrder,
    /// Hosts under way at once, 1..=256.
    pub at_once: u16,
    /// Failures after which no further host is armed; 0 never stops.
    pub max_failures: u16,
    /// Further installations of a host after reported failures, 0..=9.
    #[serde(default)]
    pub retries: u8,
    /// Each arming is good for so many seconds; without it until it is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_secs: Option<u64>,
    /// A restart without a word counts as installed.
    #[serde(default, skip_serializing_if = "is_not")]
    pub silent_installers: bool,
    /// Start each host anew once it is armed, where it can be switched.
    #[serde(default, skip_serializing_if = "is_not")]
    pub power_cycle: bool,
}

/// How many hosts of a rollout stand where.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RolloutSummary {
    /// Their turn has not come.
    pub waiting: usize,
    /// Armed.
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

/// One host of a rollout.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RolloutHostView {
    /// Its name.
    pub host: String,
    /// `waiting`, `ordered`, `armed`, `installing`, `done`, `failed`, `skipped`.
    pub state: String,
    /// Why it failed or was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// A rollout. Lists leave its hosts out.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RolloutView {
    /// Its name.
    pub name: String,
    /// `running`, `paused`, `stopped` (too many failures), `cancelled`, `done`; `planned` when it was asked only.
    pub state: String,
    /// True once nothing more is expected of it.
    pub over: bool,
    /// Who wants it.
    pub by: String,
    /// When it was ordered, RFC 3339.
    pub at: String,
    /// When it was paused, stopped, cancelled or done, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_at: Option<String>,
    /// Who paused or cancelled it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_by: Option<String>,
    /// What is installed; what each host's pins say without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Hosts under way at once.
    pub at_once: u16,
    /// Failures that stop it; 0 none.
    pub max_failures: u16,
    /// Further installations of a host.
    pub retries: u8,
    /// Each arming is good for so many seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_secs: Option<u64>,
    /// A restart without a word counts as installed.
    pub silent_installers: bool,
    /// Hosts are started anew.
    pub power_cycle: bool,
    /// How many hosts stand where.
    pub summary: RolloutSummary,
    /// Its hosts, in the order of their turns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<RolloutHostView>,
}
