//! The events of a boot as the few lines that are worth reading.
//!
//! Rules, each with a test:
//! 1 requests of one client stage and the answers to them are one step · 2 files of one door that follow each other are one
//! step, those that were only counted among them · 3 a loader that was fetched is told by its transfer · 4 a transfer without
//! an end is an open step · 5 a finding is a step of its own, with what it means · 6 a machine that has all its files has
//! started its kernel, as far as can be told.

use super::words::{Explained, explain};
use super::{More, Timeline, number, standing::rate, text, took};
use crate::tracker::BootStage;
use std::sync::Arc;
use std::time::Duration;
use types::event::Level;
use types::{Event, EventName, Stage};

/// What a step is about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StepKind {
    /// It asks for an address and boot data.
    Discover,
    /// It was offered them.
    Offer,
    /// Files by TFTP.
    Tftp,
    /// It runs its loader, which asks again.
    Loader,
    /// A script or configuration was made for it.
    Script,
    /// An image was decided.
    Start,
    /// Files by HTTP.
    Http,
    /// It has everything.
    Kernel,
    /// What the life of a host says of an installation.
    Install,
    /// The booted system reported something.
    Callback,
    /// Something to look at.
    Finding,
    /// Anything else.
    Note,
}

impl StepKind {
    /// Stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            StepKind::Discover => "discover",
            StepKind::Offer => "offer",
            StepKind::Tftp => "tftp",
            StepKind::Loader => "loader",
            StepKind::Script => "script",
            StepKind::Start => "start",
            StepKind::Http => "http",
            StepKind::Kernel => "kernel",
            StepKind::Install => "install",
            StepKind::Callback => "callback",
            StepKind::Finding => "finding",
            StepKind::Note => "note",
        }
    }
}

/// One line of a timeline.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// When it began, since the boot began.
    pub at: Duration,
    /// When it ended.
    pub until: Duration,
    /// What it is about.
    pub kind: StepKind,
    /// What is worth saying.
    pub text: String,
    /// How often: requests, or files.
    pub count: u64,
    /// Bytes handed over.
    pub bytes: u64,
    /// More may be added to it.
    pub open: bool,
    /// How much an operator should care.
    pub level: Level,
    /// What a finding means.
    pub finding: Option<Explained>,
    /// Who asked.
    stage: Option<Stage>,
    /// File, address or reason: what the next event is compared with.
    about: Arc<str>,
    /// What stands behind bytes and rate.
    tail: String,
}

impl Step {
    /// Bytes a second, where that can be told.
    pub fn rate(&self) -> Option<u64> {
        if self.bytes == 0 { None } else { rate(self.bytes, self.until.saturating_sub(self.at)) }
    }
}

struct Steps(Vec<Step>);

impl Timeline {
    /// The steps of this boot, in the order they began to be told.
    pub fn steps(&self) -> Vec<Step> {
        let mut steps = Steps(Vec::new());
        for entry in &self.entries {
            steps.take(entry.at, &entry.event);
        }
        for more in &self.more {
            steps.more(more);
        }
        steps.started_kernel(self);
        let mut steps = steps.0;
        if let (Some(last), false) = (steps.last_mut(), self.is_over()) {
            last.open |=
                matches!(last.kind, StepKind::Http | StepKind::Tftp | StepKind::Discover | StepKind::Offer);
        }
        steps
    }
}

impl Steps {
    fn push(
        &mut self,
        kind: StepKind,
        at: Duration,
        until: Duration,
        event: &Event,
        words: impl Into<String>,
    ) {
        let about = ["file", "address"].iter().find_map(|name| text(event, name).cloned());
        self.0.push(Step {
            at,
            until,
            kind,
            text: words.into(),
            count: 1,
            bytes: 0,
            open: false,
            level: event.level,
            finding: None,
            stage: event.stage,
            about: about.unwrap_or_else(|| event.reason.unwrap_or_default().into()),
            tail: String::new(),
        });
    }

    fn take(&mut self, at: Duration, event: &Event) {
        if let Some(finding) = explain(event) {
            return self.finding(at, event, finding);
        }
        let field = |name: &str| text(event, name).map(|text| &**text);
        let system = event.stage == Some(Stage::Os);
        match event.name {
            EventName::DhcpDiscover if !system => self.discover(at, event),
            EventName::DhcpOffer | EventName::DhcpAck if !system => self.offer(at, event),
            EventName::DhcpRequest if !system => {}
            EventName::DhcpDiscover | EventName::DhcpOffer | EventName::DhcpRequest | EventName::DhcpAck => {
                self.system(at, event);
            }
            EventName::TftpStart => self.transfer_began(at, event),
            EventName::TftpSizeProbe => self.size_probe(at, event),
            EventName::TftpDone | EventName::HttpFile => self.file(at, event),
            EventName::LoaderFetched => self.loader(at, event),
            EventName::HttpScript => self.script(at, event, "http"),
            EventName::BootStarted => {
                self.push(StepKind::Start, at, at, event, format!("image {}", field("image").unwrap_or("?")));
            }
            EventName::BootUp => self.push(StepKind::Callback, at, at, event, said("up", field("detail"))),
            EventName::BootStage => {
                let words = said(field("reported").unwrap_or("a stage"), field("detail"));
                self.push(StepKind::Callback, at, at, event, words);
            }
            EventName::BootInstallBegan => {
                let by = field("by").map(|by| format!(", armed by {by}")).unwrap_or_default();
                self.push(
                    StepKind::Install,
                    at,
                    at,
                    event,
                    format!("its files are handed out{by}; the arming is used up"),
                );
            }
            EventName::BootInstalled => {
                self.push(StepKind::Install, at, at, event, "installed → next boot: its own disk");
            }
            EventName::DhcpIgnored => self.ignored(at, event),
            EventName::HostHeld | EventName::HostHoldEnded => {
                let code = field("code").unwrap_or("-");
                let words = match event.name {
                    EventName::HostHeld => format!("waits on its screen to be recorded, code {code}"),
                    _ => "waited long enough to be recorded".to_owned(),
                };
                self.push(StepKind::Note, at, at, event, words);
            }
            name => self.push(StepKind::Note, at, at, event, noted(name, event)),
        }
    }

    fn discover(&mut self, at: Duration, event: &Event) {
        let repeated = self.0.iter_mut().rev().take(2).find(|step| {
            step.kind == StepKind::Discover
                || (step.kind == StepKind::Loader && step.stage == Some(Stage::Ipxe))
        });
        if let Some(step) = repeated.filter(|step| step.stage == event.stage) {
            step.count += 1;
            step.until = at;
            step.tail = format!(", asked {} times", step.count);
            return;
        }
        let after_loader = self.0.iter().any(|step| matches!(step.kind, StepKind::Tftp | StepKind::Http));
        let (kind, who) = match event.stage {
            Some(Stage::Ipxe) if after_loader => (StepKind::Loader, "iPXE runs and asks"),
            Some(Stage::Ipxe) => (StepKind::Discover, "iPXE of the firmware"),
            Some(Stage::HttpRom) => (StepKind::Discover, "UEFI HTTP boot"),
            _ => (StepKind::Discover, "PXE ROM"),
        };
        let via = text(event, "relay").map(|relay| format!(" via relay {relay}"));
        let on = event.interface.as_ref().filter(|_| via.is_none()).map(|own| format!(" on {own}"));
        self.push(kind, at, at, event, format!("{who}{}", via.or(on).unwrap_or_default()));
    }

    fn offer(&mut self, at: Duration, event: &Event) {
        let field = |name: &str| text(event, name).map(|text| &**text);
        let boot_file = field("boot_file");
        // An OFFER, its repetitions and the ACK of what it offered.
        if let Some(step) = self.0.iter_mut().rev().take(2).find(|step| {
            step.kind == StepKind::Offer
                && step.stage == event.stage
                && *step.about == *field("address").unwrap_or_default()
        }) {
            step.until = at;
            return;
        }
        let mut words: Vec<String> = Vec::new();
        match (event.name, number(event, "port")) {
            (EventName::DhcpAck, Some(port)) => words.push(format!("on port {port}")),
            _ => words.extend(field("address").map(str::to_owned)),
        }
        match (boot_file, field("left_alone")) {
            (Some(file), _) => words.push(file.to_owned()),
            (None, Some("local_disk")) => words.push("no boot data: it is sent to its own disk".to_owned()),
            (None, Some(reason)) => words.push(format!("no boot data: {}", reason.replace('_', " "))),
            (None, None) => {}
        }
        self.push(StepKind::Offer, at, at, event, words.join(", "));
    }

    fn system(&mut self, at: Duration, event: &Event) {
        let address = text(event, "address").map(|address| format!(", {address}")).unwrap_or_default();
        let last =
            self.0.last_mut().filter(|step| step.kind == StepKind::Note && step.stage == Some(Stage::Os));
        match last {
            Some(step) => {
                step.until = at;
                if !address.is_empty() {
                    step.tail = address;
                }
            }
            None => {
                self.push(StepKind::Note, at, at, event, "an operating system asks for an address");
                if let Some(step) = self.0.last_mut() {
                    step.tail = address;
                }
            }
        }
    }

    fn transfer_began(&mut self, at: Duration, event: &Event) {
        let file = text(event, "file").map_or("?", |file| file);
        let bytes = number(event, "bytes").map(|bytes| format!(", {bytes} bytes")).unwrap_or_default();
        self.push(StepKind::Tftp, at, at, event, format!("reads {file}{bytes}, no end yet"));
        if let Some(step) = self.0.last_mut() {
            step.open = true;
            // It is known by its file until it ends.
            step.level = Level::Info;
        }
    }

    /// Takes the open step of a transfer away, and gives the moment it began.
    fn end_of(&mut self, file: &str) -> Option<Duration> {
        let place = self
            .0
            .iter()
            .rposition(|step| step.kind == StepKind::Tftp && step.open && &*step.about == file)?;
        Some(self.0.remove(place).at)
    }

    fn size_probe(&mut self, at: Duration, event: &Event) {
        let Some(file) = text(event, "file").cloned() else { return };
        let _ = self.end_of(&file);
        self.push(StepKind::Tftp, at, at, event, format!("asks the size of {file}"));
    }

    fn file(&mut self, at: Duration, event: &Event) {
        let file = text(event, "file").cloned().unwrap_or_else(|| "?".into());
        if matches!(text(event, "role").map(|role| &**role), Some("script" | "config")) {
            let _ = self.end_of(&file);
            return self.script(at, event, "tftp");
        }
        let tftp = event.name == EventName::TftpDone;
        let began = self.end_of(&file).filter(|_| tftp).unwrap_or_else(|| at.saturating_sub(took(event)));
        let kind = if tftp { StepKind::Tftp } else { StepKind::Http };
        let bytes = number(event, "bytes").unwrap_or(0);
        let loader = text(event, "role").is_some_and(|role| &**role == "loader");
        let mut tail = Vec::new();
        if tftp {
            tail.extend(number(event, "blksize").map(|size| format!("blksize {size}")));
            tail.extend(
                number(event, "retransmits")
                    .filter(|sent| *sent > 0)
                    .map(|sent| format!("{sent} sent again")),
            );
        }
        let tail = tail.join("  ");
        let group =
            self.0.last_mut().filter(|step| step.kind == kind && step.count > 0 && step.bytes > 0 && !loader);
        if let Some(step) = group.filter(|step| step.tail == tail || step.count > 1) {
            step.count += 1;
            step.bytes = step.bytes.saturating_add(bytes);
            (step.at, step.until) = (step.at.min(began), step.until.max(at));
            step.text = format!("{} files", step.count);
            step.tail = if step.tail == tail { tail } else { String::new() };
            return;
        }
        self.push(kind, began, at, event, &*file);
        if let Some(step) = self.0.last_mut() {
            (step.bytes, step.tail) = (bytes, tail);
        }
    }

    fn loader(&mut self, at: Duration, event: &Event) {
        let file = text(event, "file").cloned().unwrap_or_default();
        let told = self.0.last().is_some_and(|step| step.about == file && step.bytes > 0);
        if !told {
            self.push(StepKind::Tftp, at.saturating_sub(took(event)), at, event, &*file);
        }
    }

    fn script(&mut self, at: Duration, event: &Event, door: &str) {
        let file = text(event, "file").cloned().unwrap_or_else(|| "?".into());
        if let Some(step) =
            self.0.last_mut().filter(|step| step.kind == StepKind::Script && step.about == file)
        {
            step.count += 1;
            step.until = at;
            step.tail = format!(", {} times", step.count);
            return;
        }
        let words = match text(event, "image") {
            Some(image) => format!("{file} by {door}, for image {image}"),
            None => format!("{file} by {door}"),
        };
        self.push(StepKind::Script, at, at, event, words);
    }

    fn ignored(&mut self, at: Duration, event: &Event) {
        let reason = event.reason.unwrap_or("no reason");
        let last = self.0.last_mut().filter(|step| step.kind == StepKind::Note && &*step.about == reason);
        if let Some(step) = last {
            step.count += 1;
            step.until = at;
            step.tail = format!(", {} times", step.count);
            return;
        }
        let message = text(event, "message").map_or("a request", |message| message);
        self.push(
            StepKind::Note,
            at,
            at,
            event,
            format!("{message} not answered: {}", reason.replace('_', " ")),
        );
    }

    fn finding(&mut self, at: Duration, event: &Event, finding: Explained) {
        if event.name == EventName::TftpAbort
            && let Some(file) = text(event, "file").cloned()
        {
            let _ = self.end_of(&file);
        }
        let same =
            self.0.last_mut().filter(|step| step.kind == StepKind::Finding && step.text == finding.what);
        if let Some(step) = same {
            step.count += 1;
            step.until = at;
            step.tail = format!(", {} times", step.count);
            return;
        }
        self.push(StepKind::Finding, at, at, event, finding.what.clone());
        if let Some(step) = self.0.last_mut() {
            step.finding = Some(finding);
        }
    }

    /// What was only counted: files go to the last step of their door, everything else is a note.
    fn more(&mut self, more: &More) {
        let kind = match more.name {
            EventName::HttpFile => Some(StepKind::Http),
            EventName::TftpDone => Some(StepKind::Tftp),
            EventName::TftpStart => return,
            _ => None,
        };
        let group =
            kind.and_then(|kind| self.0.iter_mut().rev().find(|step| step.kind == kind && step.bytes > 0));
        match group {
            Some(step) => {
                step.count += more.count;
                step.bytes = step.bytes.saturating_add(more.bytes);
                (step.at, step.until) = (step.at.min(more.first), step.until.max(more.last));
                step.text = format!("{} files", step.count);
                step.tail = String::new();
            }
            None => {
                let event = Event::new(more.name);
                let words = format!("… and {} events {} more", more.count, more.name);
                self.push(StepKind::Note, more.first, more.last, &event, words);
                if let Some(step) = self.0.last_mut() {
                    step.count = more.count;
                }
            }
        }
    }

    fn started_kernel(&mut self, timeline: &Timeline) {
        let Some(fetched) = timeline.fetched.filter(|_| timeline.stage >= BootStage::Kernel) else { return };
        if self.0.iter().any(|step| step.open && step.kind == StepKind::Tftp) {
            return;
        }
        let place = self
            .0
            .iter()
            .rposition(|step| matches!(step.kind, StepKind::Http | StepKind::Tftp) && step.bytes > 0);
        let Some(place) = place else { return };
        let mut kernel = Step {
            at: fetched,
            until: fetched,
            kind: StepKind::Kernel,
            text: "has everything it was to fetch".to_owned(),
            count: 1,
            bytes: 0,
            open: false,
            level: Level::Info,
            finding: None,
            stage: None,
            about: "".into(),
            tail: String::new(),
        };
        // A failure reported since may not have been that far.
        if timeline.stage == BootStage::Kernel {
            kernel.tail = ", its kernel runs or is about to".to_owned();
        }
        self.0.insert(place + 1, kernel);
    }
}

impl Step {
    /// What is said behind the text, its bytes and its rate.
    pub fn tail(&self) -> &str {
        &self.tail
    }
}

fn said(stage: &str, detail: Option<&str>) -> String {
    match detail {
        Some(detail) => format!("{stage}: {detail}"),
        None => stage.to_owned(),
    }
}

/// Any other event: its name, its reason, and what stands in it.
fn noted(name: EventName, event: &Event) -> String {
    let reason = event.reason.map(|reason| format!(" ({})", reason.replace('_', " "))).unwrap_or_default();
    let fields = ["what", "image", "detail", "address"].iter().filter_map(|field| text(event, field));
    let fields: Vec<&str> = fields.map(|text| &**text).collect();
    let fields = if fields.is_empty() { String::new() } else { format!(": {}", fields.join(", ")) };
    format!("{name}{reason}{fields}")
}
