//! One attempt per machine, fed with the event stream.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use types::event::Value;
use types::{Event, EventName, MacAddr, Stage};

/// Bounds of the tracker, each with its reason.
pub mod limits {
    use std::time::Duration;

    /// Machines watched at once: five times the largest site we were built for.
    pub const ATTEMPTS_MAX: usize = 65_536;
    /// Window of the loader count (conformance P21).
    pub const LOADER_WINDOW: Duration = Duration::from_secs(600);
    /// Loader fetches remembered per machine; above any sensible loop limit.
    pub const LOADER_FETCHES_MAX: usize = 64;
    /// Firmware gives up after 60 s without an answer (firmware seen: OVMF 2022): nothing for longer is stuck.
    pub const STUCK_AFTER: Duration = Duration::from_secs(75);
    /// A kernel that has not called back by then is silent. Installers without a call-back are silent by nature.
    pub const SILENT_AFTER: Duration = Duration::from_secs(900);
}

/// How far an attempt has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum BootStage {
    /// It asks for an address.
    Asking,
    /// It was offered one, or boot data beside another server's.
    Offered,
    /// It fetched its loader.
    Loader,
    /// It fetched its script or loader configuration.
    Script,
    /// It fetched its kernel or an initrd.
    Kernel,
    /// The booted system called back.
    Up,
    /// The booted system reported a failure.
    Failed,
}

impl BootStage {
    /// Stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            BootStage::Asking => "asking",
            BootStage::Offered => "offered",
            BootStage::Loader => "loader",
            BootStage::Script => "script",
            BootStage::Kernel => "kernel",
            BootStage::Up => "up",
            BootStage::Failed => "failed",
        }
    }

    /// True once nothing more is expected.
    pub fn is_final(self) -> bool {
        matches!(self, BootStage::Up | BootStage::Failed)
    }
}

/// One machine's newest boot.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Unique id, given by the caller.
    pub id: Arc<str>,
    /// Host record, once an event named it.
    pub host: Option<Arc<str>>,
    /// Image, once a script named it.
    pub image: Option<Arc<str>>,
    /// When it began.
    pub started: Instant,
    /// Its last event.
    pub last: Instant,
    /// How far it has come.
    pub stage: BootStage,
    /// Bytes handed over so far.
    pub bytes: u64,
    reported: bool,
}

/// Something worth an operator's look.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Finding {
    /// Nothing for [`limits::STUCK_AFTER`] before the kernel.
    Stuck {
        /// Where it stopped.
        stage: BootStage,
    },
    /// Nothing for [`limits::SILENT_AFTER`] after the kernel.
    Silent,
}

#[derive(Clone, Default, Debug)]
struct Machine {
    attempt: Option<Attempt>,
    /// Loader file and time, oldest first.
    loaders: Vec<(Arc<str>, Instant)>,
}

/// All attempts, by hardware address.
#[derive(Default, Debug)]
pub struct Tracker {
    machines: HashMap<MacAddr, Machine>,
}

impl Tracker {
    /// Takes in one event and says which attempt it belongs to. `new_id` is called when an attempt begins.
    pub fn observe(
        &mut self,
        now: Instant,
        event: &Event,
        new_id: impl FnOnce() -> Arc<str>,
    ) -> Option<Arc<str>> {
        let mac = event.mac?;
        if !self.machines.contains_key(&mac) {
            if event.name != EventName::DhcpDiscover && event.name != EventName::BootStarted {
                return None;
            }
            self.make_room(now);
        }
        let machine = self.machines.entry(mac).or_default();
        if begins_attempt(now, event, machine.attempt.as_ref()) {
            machine.attempt = Some(Attempt {
                id: new_id(),
                host: None,
                image: None,
                started: now,
                last: now,
                stage: BootStage::Asking,
                bytes: 0,
                reported: false,
            });
        }
        if event.name == EventName::LoaderFetched
            && let Some(Value::Text(file)) = event.field("file")
        {
            machine.loaders.retain(|(_, at)| now.saturating_duration_since(*at) < limits::LOADER_WINDOW);
            if machine.loaders.len() < limits::LOADER_FETCHES_MAX {
                machine.loaders.push((file.clone(), now));
            }
        }
        let attempt = machine.attempt.as_mut()?;
        attempt.last = now;
        attempt.reported = false;
        if event.host.is_some() {
            attempt.host.clone_from(&event.host);
        }
        if let Some(Value::Text(image)) = event.field("image") {
            attempt.image = Some(image.clone());
        }
        if let (EventName::HttpFile | EventName::TftpDone, Some(Value::Number(bytes))) =
            (event.name, event.field("bytes"))
        {
            attempt.bytes = attempt.bytes.saturating_add(*bytes);
        }
        if let Some(stage) = stage_of(event)
            && stage > attempt.stage
        {
            attempt.stage = stage;
            if stage >= BootStage::Kernel {
                machine.loaders.clear();
            }
        }
        Some(attempt.id.clone())
    }

    /// How often the machine fetched one and the same loader within [`limits::LOADER_WINDOW`] without reaching a kernel.
    pub fn loader_fetches(&self, now: Instant, mac: MacAddr) -> u32 {
        let Some(machine) = self.machines.get(&mac) else { return 0 };
        let recent = || {
            machine
                .loaders
                .iter()
                .filter(|(_, at)| now.saturating_duration_since(*at) < limits::LOADER_WINDOW)
        };
        let most = recent().map(|(file, _)| recent().filter(|(other, _)| other == file).count()).max();
        most.and_then(|count| u32::try_from(count).ok()).unwrap_or(0)
    }

    /// Id of the attempt that a request of this stage goes on with; `None` when it begins another: none is under way, the
    /// last one ended, or it had come further than a machine that asks like this.
    pub fn continues(&self, now: Instant, mac: MacAddr, stage: Stage) -> Option<Arc<str>> {
        let attempt = self.attempt(mac)?;
        let idle = now.saturating_duration_since(attempt.last) >= limits::STUCK_AFTER;
        let goes_on = match stage {
            _ if attempt.stage.is_final() => false,
            Stage::Rom | Stage::HttpRom => attempt.stage <= BootStage::Offered && !idle,
            Stage::Ipxe => attempt.stage < BootStage::Kernel,
            Stage::Loader | Stage::Os => true,
        };
        goes_on.then(|| attempt.id.clone())
    }

    /// What is known of one machine alone: to try what it would be answered.
    #[must_use]
    pub fn only(&self, mac: MacAddr) -> Tracker {
        Tracker {
            machines: self.machines.get(&mac).map(|machine| (mac, machine.clone())).into_iter().collect(),
        }
    }

    /// The newest attempt of a machine.
    pub fn attempt(&self, mac: MacAddr) -> Option<&Attempt> {
        self.machines.get(&mac)?.attempt.as_ref()
    }

    /// Every machine with an attempt, in no order.
    pub fn attempts(&self) -> impl Iterator<Item = (MacAddr, &Attempt)> {
        self.machines.iter().filter_map(|(mac, machine)| Some((*mac, machine.attempt.as_ref()?)))
    }

    /// Attempts that need a look, each reported once until it moves again. Call every few seconds. O(machines).
    pub fn findings(&mut self, now: Instant) -> Vec<(MacAddr, Attempt, Finding)> {
        let mut findings = Vec::new();
        for (mac, machine) in &mut self.machines {
            let Some(attempt) = machine.attempt.as_mut().filter(|attempt| !attempt.reported) else {
                continue;
            };
            let idle = now.saturating_duration_since(attempt.last);
            let finding = match attempt.stage {
                BootStage::Up | BootStage::Failed => continue,
                BootStage::Kernel if idle >= limits::SILENT_AFTER => Finding::Silent,
                BootStage::Kernel => continue,
                stage if idle >= limits::STUCK_AFTER => Finding::Stuck { stage },
                _ => continue,
            };
            attempt.reported = true;
            findings.push((*mac, attempt.clone(), finding));
        }
        findings
    }

    /// Keeps the table bounded: first what ended, then what was idle longest.
    fn make_room(&mut self, now: Instant) {
        if self.machines.len() < limits::ATTEMPTS_MAX {
            return;
        }
        self.machines
            .retain(|_, machine| machine.attempt.as_ref().is_some_and(|attempt| !attempt.stage.is_final()));
        let mut patience = limits::SILENT_AFTER;
        while self.machines.len() >= limits::ATTEMPTS_MAX {
            self.machines.retain(|_, machine| {
                machine
                    .attempt
                    .as_ref()
                    .is_some_and(|attempt| now.saturating_duration_since(attempt.last) < patience)
            });
            patience /= 2;
            if patience < Duration::from_millis(1) {
                self.machines.clear();
            }
        }
    }
}

/// A DISCOVER begins an attempt when there is none to go on with: none at all, an ended one, or one that had come too far
/// for this client to be its next step (then the machine was restarted) or had stopped.
fn begins_attempt(now: Instant, event: &Event, attempt: Option<&Attempt>) -> bool {
    let Some(attempt) = attempt else {
        return matches!(event.name, EventName::DhcpDiscover | EventName::BootStarted)
            && event.stage != Some(Stage::Os);
    };
    let stopped = now.saturating_duration_since(attempt.last) >= limits::STUCK_AFTER;
    match (event.name, event.stage) {
        (EventName::DhcpDiscover, Some(stage)) if stopped => stage != Stage::Os,
        (EventName::DhcpDiscover, Some(Stage::Rom | Stage::HttpRom)) => attempt.stage > BootStage::Offered,
        (EventName::DhcpDiscover, Some(Stage::Ipxe)) => attempt.stage > BootStage::Loader,
        (EventName::BootStarted, _) => attempt.stage.is_final(),
        _ => false,
    }
}

pub(crate) fn stage_of(event: &Event) -> Option<BootStage> {
    let role = match event.field("role") {
        Some(Value::Text(role)) => &**role,
        _ => "",
    };
    match event.name {
        EventName::DhcpOffer | EventName::DhcpAck if event.stage != Some(Stage::Os) => {
            Some(BootStage::Offered)
        }
        EventName::LoaderFetched => Some(BootStage::Loader),
        EventName::HttpScript | EventName::BootStarted => Some(BootStage::Script),
        EventName::TftpDone if matches!(role, "script" | "config") => Some(BootStage::Script),
        // A reason means that the transfer was broken off; a lost last ACK is none.
        EventName::HttpFile if event.reason.is_some() => None,
        EventName::HttpFile | EventName::TftpDone if matches!(role, "kernel" | "initrd" | "module") => {
            Some(BootStage::Kernel)
        }
        EventName::BootUp => Some(BootStage::Up),
        EventName::BootFailed => Some(BootStage::Failed),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
