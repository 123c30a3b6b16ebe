//! The JSON shapes of the API. They only grow: no field is removed or re-typed within v1.

mod added;
mod apply;
mod bundle;
mod explain;
mod fleet;
mod hooks;
mod life;
mod logs;
mod machine;
mod policy;
mod trace;

pub use added::ADDED_KEYS;
pub use apply::{
    Applied, AppliedChange, AppliedKind, ApplyRequest, OWNER_DEFAULT, OwnRequest, OwnerChanged, ResourceView,
    TemplateView,
};
pub use bundle::ScriptRunView;
pub use explain::{AskedRule, AskedTerm, Because, ExplainedStep, Explanation, GivenValue};
pub use fleet::{
    DriftReport, DriftRequest, DriftView, HeldView, HostOrder, HostSet, Reason, RepairReport, RepairRequest,
    RolloutHostView, RolloutRequest, RolloutSummary, RolloutView,
};
pub use hooks::{HookTried, HookView};
pub use life::{InstalledView, LifeView, Order, OrderRequest, OrderView};
pub use logs::BootLogView;
pub use machine::{AlarmView, ChangeView, HostWrite, IgnoredView, MachineDetail, MachineView};
pub use policy::{
    GroupView, RuleFindingView, RuleSetView, RuleTest, RuleTestChange, RuleView, RulesActivated,
};
pub use trace::{
    EventView, FileRequest, MoreView, OptionView, PacketRequest, ReplyView, SimulatedStep, Simulation,
    SimulationRequest, StepView, TraceView, UsualView, WatchRow,
};

use crate::time::rfc3339_ms;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use types::lease::{ClientKey, LeaseRecord, LeaseState};
use types::resource::{Host, Image, ImageKind, Name};
use types::{Firmware, MacAddr, MachineGuid};

/// `managed_by` of objects made through the API.
pub const MANAGED_BY_API: &str = "api";

/// Milliseconds since 1970 as RFC 3339 text, for the time fields here.
pub fn timestamp(ms: u64) -> String {
    rfc3339_ms(ms)
}

/// `GET /version`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct VersionInfo {
    /// Of the daemon.
    pub version: String,
    /// Of the API.
    pub api: String,
    /// What this daemon can do; clients check here before they use it.
    pub features: Vec<String>,
}

/// `GET /health`; 200 when `ok`, else 503.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Health {
    /// Everything that should run does.
    pub ok: bool,
    /// Each part by itself.
    pub checks: Vec<Check>,
}

/// One part's health.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Check {
    /// `store`, `dhcp`, `tftp`, …
    pub name: String,
    /// It works.
    pub ok: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// `GET /status`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Status {
    /// Of the daemon.
    pub version: String,
    /// RFC 3339.
    pub started: String,
    /// Seconds since then.
    pub uptime_secs: u64,
    /// What it listens on.
    pub listeners: Vec<Listener>,
    /// Totals since start, by door.
    pub counters: BTreeMap<String, BTreeMap<String, u64>>,
    /// The store.
    pub store: StoreStatus,
    /// The catalog in force.
    pub catalog: CatalogStatus,
    /// The event stream; the router fills it in.
    #[serde(default)]
    pub events: EventStatus,
}

/// One listener.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Listener {
    /// `dhcp`, `proxy-dhcp`, `tftp`, `http`, `admin`.
    pub door: String,
    /// `0.0.0.0:67`, or the path of a socket.
    pub address: String,
    /// Interface it is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
}

/// The store.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct StoreStatus {
    /// Where it lies.
    pub path: String,
    /// Latest revision.
    pub revision: u64,
    /// It takes writes.
    pub writable: bool,
    /// What it takes: `plenty`, `reserve` (only what was promised before, the disk is full) or `nothing`.
    #[serde(default)]
    pub room: String,
    /// Why it is not `plenty`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Further numbers by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub numbers: BTreeMap<String, u64>,
}

/// What reading the whole store found.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct StoreReport {
    /// True when nothing was found.
    pub ok: bool,
    /// Revision that was compared.
    pub revision: u64,
    /// Records.
    pub records: u64,
    /// Sound checkpoints.
    pub checkpoints: u64,
    /// Journal segments.
    pub segments: u64,
    /// Sound journal frames.
    pub frames: u64,
    /// Bytes of journal read.
    pub journal_bytes: u64,
    /// Everything that is not as it should be.
    pub findings: Vec<StoreFinding>,
}

/// One thing that is not as it should be.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct StoreFinding {
    /// What, with the file or record it is about.
    pub what: String,
    /// What to do about it.
    pub fix: String,
}

/// The catalog in force.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct CatalogStatus {
    /// Its number.
    pub generation: u64,
    /// Hosts in it.
    pub hosts: u64,
    /// Images in it.
    pub images: u64,
}

/// The event stream.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct EventStatus {
    /// Run of the daemon.
    pub epoch: u64,
    /// Latest event.
    pub seq: u64,
    /// Followers.
    pub followers: u64,
}

/// A host as the API shows it: the resource itself, whose it is, and its revision.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HostView {
    /// The resource; its keys stand at the top level.
    #[serde(flatten)]
    pub host: Host,
    /// `api`, `apply:<name>`, or `file:<path>:<line>`.
    pub managed_by: String,
    /// Revision of this object; its `ETag` is `"r<revision>"`.
    pub revision: u64,
    /// What it went through, and what is ordered for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub life: Option<LifeView>,
    /// When it was seen first, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_seen: Option<String>,
    /// Scripts of its bundles in their order, and how the last run of each ended; not in lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bundle_runs: Vec<ScriptRunView>,
    /// When it last asked for anything, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<String>,
    /// In what its machines differ from this record.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identity_changes: Vec<ChangeView>,
    /// Its address then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// An image as the API shows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ImageView {
    /// The resource; its keys stand at the top level.
    #[serde(flatten)]
    pub image: Image,
    /// `api`, or `file:<path>:<line>`.
    pub managed_by: String,
    /// Revision of this object.
    pub revision: u64,
    /// Bytes of all its files.
    #[serde(default)]
    pub bytes: u64,
    /// Number of its files.
    #[serde(default)]
    pub files: u64,
    /// When it was imported, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<String>,
    /// Why it cannot be booted, when it cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// What its medium asks for, and what to know on which firmware.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Id of the current version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Every version that is kept, the latest import first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<VersionView>,
    /// Tags, and the version each stands for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// One version of an image.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct VersionView {
    /// The first 12 hex digits of the SHA-256 over its file list.
    pub id: String,
    /// The image's name stands for it.
    pub current: bool,
    /// When it was imported, RFC 3339.
    pub imported: String,
    /// Where its files came from.
    pub source: String,
    /// What the source calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// Bytes of all its files.
    pub bytes: u64,
    /// Number of its files.
    pub files: u64,
    /// Its tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Hosts that stay at it, by its id or a tag.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
}

/// `POST /images/{name}/rollback`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollbackRequest {
    /// Id (or its first digits) or tag; without it the version imported before the current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Name>,
}

/// `PUT /images/{name}/tags/{tag}`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TagRequest {
    /// Id (or its first digits) or tag; without it the current version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Name>,
}

/// `POST /images:prune`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PruneRequest {
    /// Images; all without any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Name>,
    /// Versions of each image that stay, the current one counted; 3 unless given. What is tagged or used stays beyond.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<usize>,
    /// Only say what would go.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// What was pruned, or with `dry_run` would be.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PruneReport {
    /// `image@id` of each version removed.
    pub removed: Vec<String>,
    /// Files removed from the disk: those that no other version has.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Nothing was removed.
    pub dry_run: bool,
}

/// A line of `GET /images:verify`: how far it is, what was found, and in the last line the whole.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct VerifyLine {
    /// Bytes read.
    pub bytes_done: u64,
    /// Bytes in all.
    pub bytes_total: u64,
    /// A file that is not as it should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<VerifyFinding>,
    /// The result; only in the last line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<VerifyReport>,
}

/// A file of an image that is missing or damaged.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct VerifyFinding {
    /// `image@id`.
    pub image: String,
    /// The file.
    pub file: String,
    /// What is wrong with it.
    pub what: String,
}

/// What verifying images found.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct VerifyReport {
    /// Nothing was found.
    pub ok: bool,
    /// Versions read.
    pub versions: u64,
    /// Their files.
    pub files: u64,
    /// Bytes read: what several files share is read once.
    pub bytes: u64,
    /// Files that are missing or damaged.
    pub bad: u64,
}

/// `POST /imports`: where an image comes from and, where the source does not tell, how it boots.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportRequest {
    /// A path on the appliance, a URL or a catalogue name; `-` for bytes that follow at `/imports/{id}/content`.
    pub source: String,
    /// Name of the image; derived from the source when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// How it is booted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ImageKind>,
    /// Kernel inside the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// Initial ramdisks inside the source.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub initrd: Vec<String>,
    /// Script inside the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// EFI program inside the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub efi: Option<String>,
    /// Disk image inside the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<String>,
    /// Image profile of an ESXi offline bundle; without it the only one, or the one whose name ends in `-standard`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// ESXi: the image it stands on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Name>,
    /// ESXi: modules loaded after those of its `boot.cfg`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<String>,
    /// ESXi: runs from memory, the installer is not started.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stateless: bool,
    /// Template of its answer file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Name>,
    /// Kernel command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmdline: Option<String>,
    /// One line for menus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Booting it may erase a disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destructive: Option<bool>,
    /// Firmware it boots on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub firmware: Vec<Firmware>,
    /// What the source must hash to, 64 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Take the place of an image of that name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replace: bool,
}

/// How far an import is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImportState {
    /// Waits its turn.
    #[default]
    Queued,
    /// Reads and hashes.
    Running,
    /// The image is there.
    Done,
    /// It is not; see `error`.
    Failed,
    /// It is not, because somebody asked for that.
    Cancelled,
}

impl ImportState {
    /// Nothing more will happen.
    pub fn has_ended(self) -> bool {
        matches!(self, ImportState::Done | ImportState::Failed | ImportState::Cancelled)
    }
}

/// One import.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ImportView {
    /// Its id.
    pub id: String,
    /// As asked, but of a URL neither user name, password nor query.
    pub source: String,
    /// Name of the image, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How far it is.
    pub state: ImportState,
    /// What it does right now, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub phase: String,
    /// Bytes done.
    pub bytes_done: u64,
    /// Bytes in all, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_total: Option<u64>,
    /// Files done.
    pub files_done: u64,
    /// RFC 3339.
    pub started: String,
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<crate::Problem>,
    /// What an operator should know all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// One lease.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LeaseView {
    /// The address.
    pub address: String,
    /// Its subnet.
    pub subnet: String,
    /// `bound`, `released` or `quarantined`.
    pub state: String,
    /// Whose, when Ethernet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddr>,
    /// Whose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<MachineGuid>,
    /// Option 61 in hex, when the client sends one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// As the client says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// The host record it belongs to; the backend fills it in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// RFC 3339.
    pub granted: String,
    /// RFC 3339; absent when it never ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}

impl From<&LeaseRecord> for LeaseView {
    fn from(record: &LeaseRecord) -> LeaseView {
        let client_id = match &record.key {
            ClientKey::ClientId(bytes) => Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
            ClientKey::Hardware { .. } => None,
        };
        LeaseView {
            address: record.address.to_string(),
            subnet: record.subnet.to_string(),
            state: match record.state {
                LeaseState::Bound => "bound",
                LeaseState::Released => "released",
                LeaseState::Quarantined => "quarantined",
            }
            .to_owned(),
            mac: record.mac,
            uuid: record.guid,
            client_id,
            hostname: record.hostname.as_deref().map(str::to_owned),
            host: None,
            granted: record.granted.to_string(),
            expires: (record.expires.0 != u64::MAX).then(|| record.expires.to_string()),
        }
    }
}

/// One boot attempt.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct BootView {
    /// Its id, also `boot_id` of its events.
    pub id: String,
    /// The host record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddr>,
    /// The machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<MachineGuid>,
    /// What it boots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// How far it came.
    pub stage: String,
    /// `up`, `failed`, …; absent while it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// RFC 3339.
    pub started: String,
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// Each stage with its time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<BootStage>,
}

/// One stage of a boot.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct BootStage {
    /// Its name.
    pub stage: String,
    /// RFC 3339.
    pub at: String,
    /// Milliseconds since the boot began.
    pub ms: u64,
    /// What the machine said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// `GET /config`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct ConfigView {
    /// Files read, in order.
    pub files: Vec<String>,
    /// Every setting, by key.
    pub settings: Vec<Setting>,
}

/// One setting in force.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Setting {
    /// `dhcp.offer_hold_secs`
    pub key: String,
    /// As it is.
    pub value: serde_json::Value,
    /// `default`, `file:<path>:<line>`, `flag:--x`, `env:X`, `store`.
    pub origin: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_view_is_flat_and_reads_back() {
        let host: Host =
            serde_json::from_str(r#"{"name":"web01","match":{"mac":"52:54:00:12:34:56"}}"#).unwrap();
        let view = HostView {
            host,
            managed_by: "api".into(),
            revision: 4,
            life: None,
            first_seen: None,
            bundle_runs: Vec::new(),
            last_seen: None,
            identity_changes: Vec::new(),
            address: None,
        };
        let text = serde_json::to_string(&view).unwrap();
        assert_eq!(
            text,
            r#"{"name":"web01","match":{"mac":"52:54:00:12:34:56"},"managed_by":"api","revision":4}"#
        );
        assert_eq!(serde_json::from_str::<HostView>(&text).unwrap(), view);
        let mut newer: serde_json::Value = serde_json::from_str(&text).unwrap();
        newer["later"] = true.into();
        assert_eq!(serde_json::from_value::<HostView>(newer).unwrap(), view, "shapes grow");
    }
}
