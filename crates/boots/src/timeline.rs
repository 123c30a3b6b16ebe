//! What happened in one boot, in order: for people who ask what went wrong, and how long it took.
//!
//! A [`Timeline`] is fed with every event of its boot, whatever part of us told it, and gives the [`Step`]s that are worth a
//! line ([`Timeline::steps`]) and how the boot stands ([`Timeline::standing`]). [`Timelines`] keeps as many as fit.
//!
//! Bounds: the first [`limits::FILES_OF_BOOT_MAX`] files and [`limits::EVENTS_OF_BOOT_MAX`] events of a boot are kept one by
//! one. What comes beyond is counted by kind, with its bytes and its times ([`More`]): nothing is left out silently. Findings
//! are always kept one by one, up to [`limits::FINDINGS_OF_BOOT_MAX`].
//!
//! Deliberately absent: clocks (every event comes with its time), ids, text for a terminal, the store.

mod keep;
mod standing;
mod steps;
mod words;

pub use keep::{Timelines, Usual};
pub use standing::{Standing, State};
pub use steps::{Step, StepKind};
pub use words::Explained;

use crate::tracker::{BootStage, stage_of};
use std::sync::Arc;
use std::time::{Duration, Instant};
use types::event::Value;
use types::{Event, EventName, MacAddr, MachineGuid, Stage};

/// Bounds of timelines, each with its reason.
pub mod limits {
    /// Boots of one machine that are kept: the one under way, and those it is compared with.
    pub const BOOTS_OF_MACHINE_MAX: usize = 4;
    /// Boots kept in all: one of each machine of the largest site we were built for, and some more.
    pub const BOOTS_MAX: usize = 16_384;
    /// Boots among them that no DHCP began: whoever asks by HTTP may call itself what it likes.
    pub const BOOTS_SAID_MAX: usize = 1_024;
    /// Events kept one by one in all; about half a kilobyte each.
    pub const EVENTS_MAX: usize = 262_144;
    /// Events of one boot that are kept one by one: an ordinary boot has less than thirty.
    pub const EVENTS_OF_BOOT_MAX: usize = 96;
    /// Files among them: ESXi fetches 150.
    pub const FILES_OF_BOOT_MAX: usize = 16;
    /// Findings of one boot, beside the other events.
    pub const FINDINGS_OF_BOOT_MAX: usize = 32;
    /// Kinds of what is only counted. There are fewer in any boot.
    pub const MORE_MAX: usize = 32;
    /// Boots of an image whose times are remembered.
    pub const HISTORY_OF_IMAGE_MAX: usize = 16;
    /// Images whose times are remembered.
    pub const IMAGES_MAX: usize = 256;
    /// So many boots of an image came up before something is called usual.
    pub const USUAL_BOOTS_MIN: usize = 2;
}

/// A moment on both clocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct At {
    /// For what lies between two events.
    pub instant: Instant,
    /// Milliseconds since 1970 UTC, for people.
    pub unix_ms: u64,
}

/// One event of a boot. Whose it is stands in the [`Timeline`], not in the event.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// Since the boot began.
    pub at: Duration,
    /// What happened.
    pub event: Event,
}

/// Events that are only counted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct More {
    /// What happened.
    pub name: EventName,
    /// What kind of file, where it is about files.
    pub role: Option<Arc<str>>,
    /// How often.
    pub count: u64,
    /// Bytes handed over, all of them together.
    pub bytes: u64,
    /// When the first of them began, since the boot began.
    pub first: Duration,
    /// When the last of them ended.
    pub last: Duration,
}

/// Why nothing more is expected of a boot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// The booted system called back.
    Up,
    /// It reported a failure.
    Failed,
    /// The machine was given no boot data, for this reason: it goes to its own disk.
    LeftAlone(LeftAlone),
    /// The machine began another boot.
    Restarted,
}

/// A reason of `left_alone`: one of the stable texts, or another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LeftAlone {
    /// It boots its own disk.
    LocalDisk,
    /// Anything else: the event says what.
    Other,
}

impl Ending {
    /// Stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Ending::Up => "up",
            Ending::Failed => "failed",
            Ending::LeftAlone(LeftAlone::LocalDisk) => "local-disk",
            Ending::LeftAlone(LeftAlone::Other) => "left-alone",
            Ending::Restarted => "restarted",
        }
    }
}

/// One boot.
#[derive(Clone, PartialEq, Debug)]
pub struct Timeline {
    /// Its id, as in its events.
    pub id: Arc<str>,
    /// The machine.
    pub mac: Option<MacAddr>,
    /// What the machine says of itself.
    pub guid: Option<MachineGuid>,
    /// The host record, once an event named it.
    pub host: Option<Arc<str>>,
    /// The image, once an event named it.
    pub image: Option<Arc<str>>,
    /// Who permitted an image that erases disks.
    pub armed_by: Option<Arc<str>>,
    /// When its first event was.
    pub started: At,
    /// Its last event that the machine caused, since it began.
    pub last: Duration,
    /// How far it has come.
    pub stage: BootStage,
    /// Why nothing more is expected.
    pub ending: Option<Ending>,
    /// When that was, since it began.
    pub ended: Option<Duration>,
    /// Bytes of files handed over.
    pub bytes: u64,
    /// When the last of its files was handed over.
    pub fetched: Option<Duration>,
    /// Its events, oldest first.
    pub entries: Vec<Entry>,
    /// What is only counted.
    pub more: Vec<More>,
    files: usize,
    findings: usize,
}

impl Timeline {
    /// A boot that begins now.
    pub fn new(id: Arc<str>, started: At) -> Timeline {
        Timeline {
            id,
            mac: None,
            guid: None,
            host: None,
            image: None,
            armed_by: None,
            started,
            last: Duration::ZERO,
            stage: BootStage::Asking,
            ending: None,
            ended: None,
            bytes: 0,
            fetched: None,
            entries: Vec::new(),
            more: Vec::new(),
            files: 0,
            findings: 0,
        }
    }

    /// Since it began.
    pub fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started.instant)
    }

    /// True once nothing more is expected.
    pub fn is_over(&self) -> bool {
        self.ending.is_some()
    }

    /// Takes in an event of this boot.
    pub fn take(&mut self, now: Instant, event: &Event) {
        let at = self.age(now);
        self.mac = self.mac.or(event.mac);
        self.guid = event.guid.or(self.guid);
        if event.host.is_some() {
            self.host.clone_from(&event.host);
        }
        if let Some(image) = text(event, "image")
            && event.name != EventName::BootRefused
        {
            self.image = Some(image.clone());
        }
        if let (EventName::BootInstallBegan, Some(by)) = (event.name, text(event, "by")) {
            self.armed_by = Some(by.clone());
        }
        if !is_ours_alone(event.name) {
            self.last = at;
        }
        if let Some(stage) = stage_of(event) {
            self.stage = self.stage.max(stage);
        }
        self.note_ending(at, event);
        let (file, bytes) = (is_file(event), number(event, "bytes").unwrap_or(0));
        if file && !matches!(event.name, EventName::TftpStart) {
            self.bytes = self.bytes.saturating_add(bytes);
            self.fetched = Some(at);
        }
        self.keep(at, event, file);
    }

    /// The machine begins another boot.
    pub fn superseded(&mut self, now: Instant) {
        if self.ending.is_none() {
            (self.ending, self.ended) = (Some(Ending::Restarted), Some(self.age(now)));
        }
    }

    fn note_ending(&mut self, at: Duration, event: &Event) {
        let left = text(event, "left_alone").map(|reason| &**reason);
        let ending = match event.name {
            EventName::BootUp => Some(Ending::Up),
            EventName::BootFailed => Some(Ending::Failed),
            EventName::DhcpOffer | EventName::DhcpAck if event.stage != Some(Stage::Os) => {
                left.map(left_alone)
            }
            EventName::DhcpIgnored if event.reason == Some("local_disk") => Some(left_alone("local_disk")),
            _ => None,
        };
        // What was called back stands, whatever the system fetches afterwards.
        let said = matches!(self.ending, Some(Ending::Up | Ending::Failed));
        match ending {
            Some(Ending::LeftAlone(_)) if said => {}
            Some(ending) => (self.ending, self.ended) = (Some(ending), Some(at)),
            None if !said && goes_on(event) => (self.ending, self.ended) = (None, None),
            None => {}
        }
    }

    fn keep(&mut self, at: Duration, event: &Event, file: bool) {
        let finding = words::explain(event).is_some();
        let room = if finding {
            self.findings < limits::FINDINGS_OF_BOOT_MAX
        } else {
            self.entries.len() - self.findings < limits::EVENTS_OF_BOOT_MAX
                && (!file || self.files < limits::FILES_OF_BOOT_MAX)
        };
        // A system that is up renews its address for as long as it runs.
        let renews = event.stage == Some(Stage::Os) && self.entries.len() > limits::EVENTS_OF_BOOT_MAX / 2;
        if !room || (renews && !finding) {
            return self.count(at, event, file);
        }
        self.files += usize::from(file);
        self.findings += usize::from(finding);
        let event = Event { mac: None, guid: None, host: None, boot: None, ..event.clone() };
        self.entries.push(Entry { at, event });
    }

    fn count(&mut self, at: Duration, event: &Event, file: bool) {
        let role = text(event, "role").filter(|_| file).cloned();
        let bytes = if event.name == EventName::TftpStart { 0 } else { number(event, "bytes").unwrap_or(0) };
        let first = at.saturating_sub(took(event));
        let known = self.more.iter().position(|more| more.name == event.name && more.role == role);
        // Where there are too many kinds, the last one stands for the rest.
        let place =
            known.or_else(|| self.more.len().checked_sub(1).filter(|last| *last + 1 >= limits::MORE_MAX));
        match place.and_then(|place| self.more.get_mut(place)) {
            Some(more) => {
                more.count += 1;
                more.bytes = more.bytes.saturating_add(bytes);
                (more.first, more.last) = (more.first.min(first), more.last.max(at));
            }
            None => self.more.push(More { name: event.name, role, count: 1, bytes, first, last: at }),
        }
    }
}

fn left_alone(reason: &str) -> Ending {
    Ending::LeftAlone(if reason == "local_disk" { LeftAlone::LocalDisk } else { LeftAlone::Other })
}

/// The machine asks for more, so it was not at its end.
fn goes_on(event: &Event) -> bool {
    event.stage != Some(Stage::Os)
        && matches!(
            event.name,
            EventName::DhcpDiscover
                | EventName::TftpStart
                | EventName::TftpDone
                | EventName::LoaderFetched
                | EventName::HttpScript
                | EventName::HttpFile
                | EventName::BootStarted
        )
}

/// True for what we find by looking at the clock: the machine did nothing.
fn is_ours_alone(name: EventName) -> bool {
    matches!(
        name,
        EventName::BootStuck
            | EventName::BootSilent
            | EventName::BootInstallSilent
            | EventName::BootWentSilent
            | EventName::BootInstallUnconfirmed
    )
}

/// True for a file that was handed over, whole or in part, or is being.
fn is_file(event: &Event) -> bool {
    let made = matches!(text(event, "role").map(|role| &**role), Some("script" | "config"));
    !made && matches!(event.name, EventName::TftpStart | EventName::TftpDone | EventName::HttpFile)
}

/// How long the transfer took that an event tells the end of.
fn took(event: &Event) -> Duration {
    Duration::from_millis(number(event, "ms").unwrap_or(0))
}

pub(crate) fn text<'a>(event: &'a Event, name: &str) -> Option<&'a Arc<str>> {
    match event.field(name) {
        Some(Value::Text(text)) => Some(text),
        _ => None,
    }
}

pub(crate) fn number(event: &Event, name: &str) -> Option<u64> {
    match event.field(name) {
        Some(Value::Number(number)) => Some(*number),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
