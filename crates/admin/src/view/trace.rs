//! What happened in a boot, and how boots stand, as the API shows them.

use super::Explanation;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use types::{MacAddr, MachineGuid};

/// One boot with everything that is remembered of it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct TraceView {
    /// Its id, also `boot_id` of its events: a ULID, 26 digits of Crockford's base 32.
    pub id: String,
    /// The same 128 bits in hex: the trace id of OpenTelemetry. Absent for an id that is no ULID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
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
    /// Who permitted an image that erases disks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub armed_by: Option<String>,
    /// How far it came: `asking`, `offered`, `loader`, `script`, `kernel`, `up` or `failed`.
    pub stage: String,
    /// `up`, `failed`, `local-disk`, `left-alone` or `restarted`; absent while it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// `running`, `slow`, `stuck`, `silent`, `refused`, or as the outcome.
    pub state: String,
    /// How it stands, in words.
    pub note: String,
    /// RFC 3339.
    pub started: String,
    /// Milliseconds since 1970 UTC.
    pub started_ms: u64,
    /// From its beginning to its end, or to now.
    pub elapsed_ms: u64,
    /// Bytes of files handed over.
    pub bytes: u64,
    /// How long boots of its image usually take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usual: Option<UsualView>,
    /// What is worth a line, in order.
    pub steps: Vec<StepView>,
    /// Its events, oldest first.
    pub events: Vec<EventView>,
    /// Events beyond those, counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more: Vec<MoreView>,
}

/// How long boots of an image took that came up.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct UsualView {
    /// Boots it is drawn from.
    pub boots: u64,
    /// The shortest.
    pub from_ms: u64,
    /// The longest.
    pub to_ms: u64,
    /// The shortest time between its last file and its call-back.
    pub silent_from_ms: u64,
    /// The longest.
    pub silent_to_ms: u64,
}

/// One line of a timeline. Times are since the boot began.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct StepView {
    /// When it began.
    pub at_ms: u64,
    /// When it ended.
    pub until_ms: u64,
    /// `discover`, `offer`, `tftp`, `loader`, `script`, `start`, `http`, `kernel`, `install`, `callback`, `finding` or `note`.
    pub step: String,
    /// What is worth saying.
    pub text: String,
    /// What stands behind bytes and rate.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tail: String,
    /// Requests or files.
    pub count: u64,
    /// Bytes handed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Bytes a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<u64>,
    /// More may be added to it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub open: bool,
    /// `debug`, `info`, `warn` or `error`.
    pub level: String,
    /// Of a finding: why that happens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Of a finding: what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form serde asks for")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// One event of a boot.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct EventView {
    /// Since the boot began.
    pub at_ms: u64,
    /// `area.what`.
    pub event: String,
    /// `debug`, `info`, `warn` or `error`.
    pub level: String,
    /// Who asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// Stable reason code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Everything else.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, serde_json::Value>,
}

/// Events that were only counted.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct MoreView {
    /// `area.what`.
    pub event: String,
    /// What kind of file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// How many.
    pub count: u64,
    /// Bytes handed over.
    pub bytes: u64,
    /// When the first began.
    pub from_ms: u64,
    /// When the last ended.
    pub until_ms: u64,
}

/// A machine and how its newest boot stands.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct WatchRow {
    /// The host record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddr>,
    /// Its newest boot; absent when none is remembered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<String>,
    /// How far it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// As [`TraceView::state`]; `none` without a boot.
    pub state: String,
    /// As [`TraceView::outcome`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// What it boots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Milliseconds since 1970 UTC at which the boot began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_ms: Option<u64>,
    /// How long it took, or has taken so far.
    pub age_ms: u64,
    /// Bytes of files handed over.
    pub bytes: u64,
    /// Bytes a second of the last ten seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<u64>,
    /// How it stands, in words.
    pub note: String,
}

/// What is to be simulated.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SimulationRequest {
    /// A recorded host, by name, `mac:…`, `uuid:…` or `serial:…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Facts to assume, by the names of `GET /explain`; they count more than what is known.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, String>,
    /// UEFI HTTP boot in place of PXE.
    pub http_boot: bool,
    /// The rules as they are edited, in place of those in force.
    pub working_rules: bool,
    /// One DHCP request as it was captured, in place of a boot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packet: Option<PacketRequest>,
    /// One file request, in place of a boot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<FileRequest>,
}

/// A captured DHCP request.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PacketRequest {
    /// Its UDP payload in hex.
    pub payload: String,
    /// `address:port` it came from.
    pub from: String,
    /// `address:port` it was sent to.
    pub to: String,
}

/// A captured TFTP request.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRequest {
    /// The name, as it was asked for.
    pub name: String,
    /// Address it came from.
    pub from: String,
}

/// What the doors would answer.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Simulation {
    /// The host record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Whose rules: `in force` or `working`.
    pub rules: String,
    /// Catalog the answers come from.
    pub generation: u64,
    /// What was known or assumed of the machine.
    pub facts: BTreeMap<String, String>,
    /// The exchanges, in order.
    pub steps: Vec<SimulatedStep>,
    /// `image`, `menu`, `local-disk`, `claim`, `ask`, `program` or `nothing`.
    pub boots: String,
    /// The image, or the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The end, in words.
    pub conclusion: String,
    /// What the answers rest on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Why that is decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Box<Explanation>>,
}

/// One exchange with a door.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct SimulatedStep {
    /// Who asks: `rom`, `http-rom`, `ipxe`, `loader`.
    pub stage: String,
    /// `dhcp`, `tftp` or `http`.
    pub door: String,
    /// What it asks.
    pub asks: String,
    /// What it gets.
    pub answer: String,
    /// It gets what it asked for.
    pub ok: bool,
    /// Stable reason code when it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What is behind that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<String>,
    /// The DHCP reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<ReplyView>,
    /// Name of the file in the boot tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// What the file is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Its size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// The text of a script or configuration; secrets in it are stand-ins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A DHCP reply.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ReplyView {
    /// `offer`, `ack`, `nak`.
    pub message: String,
    /// Where it would be sent.
    pub to: String,
    /// Address given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub yiaddr: Option<String>,
    /// Next server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub siaddr: Option<String>,
    /// `sname` of the header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sname: Option<String>,
    /// `file` of the header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Every option, in the order of the packet.
    pub options: Vec<OptionView>,
    /// Length of the UDP payload.
    pub bytes: u64,
}

/// One DHCP option.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct OptionView {
    /// Its code.
    pub code: u8,
    /// Its name.
    pub name: String,
    /// Its value, readable.
    pub value: String,
}
