//! How a boot stands: in a word for a table, and in words for people.

use super::words::explain;
use super::{Ending, LeftAlone, Timeline, Usual, number, text, took};
use crate::tracker::BootStage;
use std::time::{Duration, Instant};
use types::EventName;
use types::event::Level;

/// A rate is that of files of so long ago at most.
const RATE_WINDOW: Duration = Duration::from_secs(10);

/// How a boot stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum State {
    /// It goes on.
    Running,
    /// It has everything, and nothing was heard since: longer than boots of its image usually take.
    Slow,
    /// It stopped short of its kernel.
    Stuck,
    /// It has everything, and has not called back in time.
    Silent,
    /// It was not given what it asked for.
    Refused,
    /// It called back.
    Up,
    /// It reported a failure.
    Failed,
    /// It was given no boot data.
    LeftAlone,
    /// The machine began another boot.
    Restarted,
}

impl State {
    /// Stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Running => "running",
            State::Slow => "slow",
            State::Stuck => "stuck",
            State::Silent => "silent",
            State::Refused => "refused",
            State::Up => "up",
            State::Failed => "failed",
            State::LeftAlone => "left-alone",
            State::Restarted => "restarted",
        }
    }
}

/// How a boot stands now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standing {
    /// In a word.
    pub state: State,
    /// In words.
    pub note: String,
    /// Since the machine was heard last.
    pub idle: Duration,
    /// Bytes a second of the files of the last ten seconds; `None` when there were none.
    pub rate: Option<u64>,
}

impl Timeline {
    /// How it stands at this moment; `usual` is how long boots of its image take.
    pub fn standing(&self, now: Instant, usual: Option<&Usual>) -> Standing {
        let age = self.age(now);
        let idle = age.saturating_sub(self.last);
        let (state, note) = self.judged(age, idle, usual);
        Standing { state, note, idle, rate: self.rate(age) }
    }

    fn judged(&self, age: Duration, idle: Duration, usual: Option<&Usual>) -> (State, String) {
        let ended = self.ended.unwrap_or(age);
        match self.ending {
            Some(Ending::Up) => return (State::Up, format!("up after {}", clock(ended))),
            Some(Ending::Failed) => {
                let said = self.said(EventName::BootFailed, "detail");
                let said = said.map(|said| format!(": {said}")).unwrap_or_default();
                return (State::Failed, format!("failed after {}{said}", clock(ended)));
            }
            Some(Ending::LeftAlone(LeftAlone::LocalDisk)) => {
                return (State::LeftAlone, "sent to its own disk".to_owned());
            }
            Some(Ending::LeftAlone(LeftAlone::Other)) => {
                let why = self.entries.iter().rev().find_map(|entry| text(&entry.event, "left_alone"));
                let why = why.map_or_else(|| "no boot data".to_owned(), |why| why.replace('_', " "));
                return (State::LeftAlone, format!("left alone: {why}"));
            }
            Some(Ending::Restarted) => {
                let note = format!("started anew after {}, at stage {}", clock(ended), self.stage.as_str());
                return (State::Restarted, note);
            }
            None => {}
        }
        if let Some((state, what)) = self.trouble() {
            let word = state.as_str().to_uppercase();
            return (state, format!("{word} {}: {what}", clock(idle)));
        }
        if self.stage != BootStage::Kernel {
            let waits = match self.stage {
                BootStage::Asking => "asks for an address",
                BootStage::Offered => "has an offer, fetches its loader next",
                BootStage::Loader => "runs its loader",
                _ => "has its script, fetches its files",
            };
            return (State::Running, waits.to_owned());
        }
        let silent = age.saturating_sub(self.fetched.unwrap_or(self.last));
        match usual {
            None => (State::Running, format!("has everything, silent for {}", clock(silent))),
            Some(usual) => {
                let (from, to) = usual.whole;
                let usual = format!("usual {} s for this image", range(from, to));
                // A quarter more is no news.
                if age > to + to / 4 + Duration::from_secs(5) {
                    (State::Slow, format!("silent for {}, longer than {usual}", clock(silent)))
                } else {
                    (State::Running, format!("within usual time ({usual})"))
                }
            }
        }
    }

    /// What keeps it, when the last thing that happened is a finding.
    fn trouble(&self) -> Option<(State, String)> {
        let last = self.entries.iter().rev().find(|entry| entry.event.level >= Level::Info)?;
        let state = match last.event.name {
            EventName::BootStuck => State::Stuck,
            EventName::BootSilent | EventName::BootInstallSilent | EventName::BootWentSilent => State::Silent,
            EventName::BootRefused | EventName::HttpRefused | EventName::TftpRefused => State::Refused,
            EventName::LoaderLoop
            | EventName::LoaderUnsupportedArch
            | EventName::DhcpOfferIgnored
            | EventName::TftpAbort
            | EventName::HttpStalled => State::Stuck,
            _ => return None,
        };
        // Of a machine that stopped, the last thing that went wrong before says more than that it did.
        let since = self.entries.iter().rev().map(|entry| (&entry.event, explain(&entry.event)));
        let mut wrong = since
            .take_while(|(event, found)| found.is_some() || event.level < Level::Info)
            .filter(|(event, _)| !matches!(event.name, EventName::BootStuck | EventName::BootSilent))
            .filter_map(|(_, found)| found);
        let stopped = matches!(last.event.name, EventName::BootStuck | EventName::BootSilent);
        let what = if stopped { wrong.next() } else { None };
        let what = what.or_else(|| explain(&last.event))?;
        Some((state, what.what))
    }

    fn said(&self, name: EventName, field: &str) -> Option<&str> {
        let entry = self.entries.iter().rev().find(|entry| entry.event.name == name)?;
        text(&entry.event, field).map(|text| &**text)
    }

    fn rate(&self, age: Duration) -> Option<u64> {
        let since = age.saturating_sub(RATE_WINDOW);
        let sent = |name: EventName| matches!(name, EventName::HttpFile | EventName::TftpDone);
        let kept = self.entries.iter().filter(|entry| sent(entry.event.name)).map(|entry| {
            (
                entry.at.saturating_sub(took(&entry.event)),
                entry.at,
                number(&entry.event, "bytes").unwrap_or(0),
            )
        });
        let counted =
            self.more.iter().filter(|more| sent(more.name)).map(|more| (more.first, more.last, more.bytes));
        let recent: Vec<(Duration, Duration, u64)> =
            kept.chain(counted).filter(|(_, end, _)| *end >= since).collect();
        let begin = recent.iter().map(|(begin, ..)| *begin).min()?;
        let end = recent.iter().map(|(_, end, _)| *end).max()?;
        let bytes = recent.iter().fold(0u64, |sum, (.., bytes)| sum.saturating_add(*bytes));
        rate(bytes, end.saturating_sub(begin))
    }
}

/// Bytes a second; `None` for what took no time that could be measured.
pub(super) fn rate(bytes: u64, took: Duration) -> Option<u64> {
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    bytes.saturating_mul(1000).checked_div(millis)
}

/// `42 s`, `3:41`, `1:02:03`.
pub(super) fn clock(time: Duration) -> String {
    let secs = time.as_secs();
    match secs {
        0..60 => format!("{secs} s"),
        60..3600 => format!("{}:{:02}", secs / 60, secs % 60),
        _ => format!("{}:{:02}:{:02}", secs / 3600, secs / 60 % 60, secs % 60),
    }
}

/// `190–260`, in whole seconds.
fn range(from: Duration, to: Duration) -> String {
    let (from, to) = (from.as_secs(), to.as_secs().max(from.as_secs()));
    if from == to { from.to_string() } else { format!("{from}–{to}") }
}
