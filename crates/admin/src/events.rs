//! The event bus: stamps, keeps the last ones, hands them to whoever follows.
//!
//! Recording takes a short lock, never waits for a reader and never fails. A reader that falls behind the ring, or comes
//! back after a restart, is told so with [`Next::Resync`]; it never silently misses an event.

use crate::time::{now_ms, rfc3339_ms};
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast;
use types::event::Value;
use types::{Event, EventSink};

/// Events kept for readers that come later.
pub(crate) const RING_EVENTS: usize = 10_000;

/// Events a follower may be behind before it has to resync.
const FOLLOWER_EVENTS: usize = 1024;

/// An event with its time and number.
#[derive(Clone, PartialEq, Debug)]
pub struct Stamped {
    /// Milliseconds since 1970 UTC.
    pub at_ms: u64,
    /// Grows by one with each event of one run, from 1.
    pub seq: u64,
    /// The event.
    pub event: Event,
}

/// A place in the stream: which run of the daemon, and the last event seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Position {
    /// The run; `None` when the reader does not know.
    pub epoch: Option<u64>,
    /// The last event seen; 0 before the first.
    pub seq: u64,
}

/// What a follower gets.
#[derive(Clone, PartialEq, Debug)]
pub enum Next {
    /// The next event.
    Event(Arc<Stamped>),
    /// Events were missed: read the state afresh. The next event has a number above this.
    Resync(u64),
}

struct Ring {
    last: u64,
    events: VecDeque<Arc<Stamped>>,
}

/// The bus. Share it in an `Arc`.
pub struct EventBus {
    epoch: u64,
    keep: usize,
    ring: Mutex<Ring>,
    sender: broadcast::Sender<Arc<Stamped>>,
}

impl Default for EventBus {
    fn default() -> EventBus {
        EventBus::new(RING_EVENTS)
    }
}

impl EventBus {
    /// A bus that keeps the last `keep` events, at least one.
    pub fn new(keep: usize) -> EventBus {
        EventBus {
            epoch: now_ms(),
            keep: keep.max(1),
            ring: Mutex::new(Ring { last: 0, events: VecDeque::new() }),
            sender: broadcast::Sender::new(FOLLOWER_EVENTS),
        }
    }

    /// The number of this run.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The number of the latest event, 0 before the first.
    pub fn last(&self) -> u64 {
        self.lock().last
    }

    /// Followers at this moment.
    pub fn followers(&self) -> usize {
        self.sender.receiver_count()
    }

    /// Kept events after number `since`, oldest first.
    pub fn recent(&self, since: u64) -> Vec<Arc<Stamped>> {
        self.lock().events.iter().filter(|stamped| stamped.seq > since).cloned().collect()
    }

    /// Everything from now on.
    pub fn subscribe(&self) -> Subscription {
        self.follow(None)
    }

    /// Everything after a position, or from now on. A position that is gone yields a resync first.
    pub fn follow(&self, after: Option<Position>) -> Subscription {
        // The lock is held over both, so that no event falls between the past and the future.
        let ring = self.lock();
        let receiver = self.sender.subscribe();
        let mut subscription = Subscription { past: VecDeque::new(), receiver, seen: ring.last };
        if let Some(Position { epoch, seq }) = after {
            let oldest = ring.events.front().map_or(ring.last + 1, |stamped| stamped.seq);
            let gone = epoch.is_some_and(|epoch| epoch != self.epoch) || seq > ring.last || seq + 1 < oldest;
            if gone {
                subscription.past.push_back(Next::Resync(ring.last));
            } else {
                let missed = ring.events.iter().filter(|stamped| stamped.seq > seq);
                subscription.past.extend(missed.cloned().map(Next::Event));
            }
        }
        subscription
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventSink for EventBus {
    fn record(&self, event: Event) {
        let mut ring = self.lock();
        ring.last += 1;
        let stamped = Arc::new(Stamped { at_ms: now_ms(), seq: ring.last, event });
        if ring.events.len() >= self.keep {
            ring.events.pop_front();
        }
        ring.events.push_back(stamped.clone());
        // Sent under the lock to keep the order; sending never waits. No receiver is no error.
        let _ = self.sender.send(stamped);
    }
}

/// One follower.
pub struct Subscription {
    past: VecDeque<Next>,
    receiver: broadcast::Receiver<Arc<Stamped>>,
    seen: u64,
}

impl Subscription {
    /// The next event or resync; `None` when the bus is gone. May be dropped at any time without losing an event.
    pub async fn next(&mut self) -> Option<Next> {
        if let Some(next) = self.past.pop_front() {
            return Some(next);
        }
        match self.receiver.recv().await {
            Ok(stamped) => {
                self.seen = stamped.seq;
                Some(Next::Event(stamped))
            }
            Err(broadcast::error::RecvError::Lagged(count)) => {
                self.seen += count;
                Some(Next::Resync(self.seen))
            }
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

/// Keys that fields may not take.
const FIXED: [&str; 11] =
    ["ts", "seq", "level", "event", "mac", "uuid", "host", "boot_id", "iface", "stage", "reason"];

impl Serialize for Stamped {
    /// One flat object: the fixed keys first, absent ones left out, then the event's own fields.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let event = &self.event;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("ts", &rfc3339_ms(self.at_ms))?;
        map.serialize_entry("seq", &self.seq)?;
        map.serialize_entry("level", event.level.as_str())?;
        map.serialize_entry("event", event.name.as_str())?;
        if let Some(mac) = &event.mac {
            map.serialize_entry("mac", mac)?;
        }
        if let Some(guid) = &event.guid {
            map.serialize_entry("uuid", guid)?;
        }
        for (key, text) in [("host", &event.host), ("boot_id", &event.boot), ("iface", &event.interface)] {
            if let Some(text) = text {
                map.serialize_entry(key, &**text)?;
            }
        }
        if let Some(stage) = event.stage {
            map.serialize_entry("stage", stage.as_str())?;
        }
        if let Some(reason) = event.reason {
            map.serialize_entry("reason", reason)?;
        }
        for (name, value) in &event.fields {
            let prefixed;
            let name = if FIXED.contains(name) {
                prefixed = format!("field_{name}");
                prefixed.as_str()
            } else {
                name
            };
            match value {
                Value::Text(text) => map.serialize_entry(name, &*without_controls(text))?,
                Value::Number(number) => map.serialize_entry(name, number)?,
                Value::Flag(flag) => map.serialize_entry(name, flag)?,
            }
        }
        map.end()
    }
}

/// JSON escapes control bytes below 32 and leaves the others as they are; a terminal that shows the stream would obey them.
fn without_controls(text: &str) -> Cow<'_, str> {
    let raw = |char: char| matches!(char, '\u{7f}'..='\u{9f}');
    if text.contains(raw) { Cow::Owned(text.replace(raw, "\u{fffd}")) } else { Cow::Borrowed(text) }
}

/// The text is no position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PositionParseError;

impl fmt::Display for PositionParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a position; write the number of an event, or <epoch>-<number>")
    }
}

impl std::error::Error for PositionParseError {}

impl FromStr for Position {
    type Err = PositionParseError;

    /// `<seq>` or `<epoch>-<seq>`.
    fn from_str(text: &str) -> Result<Position, PositionParseError> {
        let number = |text: &str| text.parse::<u64>().map_err(|_| PositionParseError);
        Ok(match text.split_once('-') {
            Some((epoch, seq)) => Position { epoch: Some(number(epoch)?), seq: number(seq)? },
            None => Position { epoch: None, seq: number(text)? },
        })
    }
}

#[cfg(test)]
mod tests;
