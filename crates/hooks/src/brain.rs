//! What waits for one hook, when it is tried, when it is given up. Pure: time and dice are arguments.
//!
//! ```text
//! offer ─► waiting ─ poll ─► under way ─ finish(Done) ─► delivered
//!            │ full:          ▲     │ finish(Again), tries left ─► pausing ─ poll, its time has come ─┐
//!            ▼ the oldest     └─────┼────────────────────────────────────────────────────────────────┘
//!          dropped                  └ finish(Never), or no tries left ─► failed
//! ```

use crate::limits::{PAUSE_FIRST, PAUSE_MAX, RETRY_AFTER_MAX, TELL_EVERY};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What one try came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It was taken.
    Done,
    /// Another try may go better; not before this, if the receiver said so.
    Again(Option<Duration>),
    /// Another try would go the same way.
    Never,
}

/// What is to be done for a hook.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step<T> {
    /// Try this one, then say how it went.
    Try(T),
    /// Nothing before this.
    Until(Instant),
    /// Nothing until something is offered.
    Idle,
    /// A try is under way.
    UnderWay,
}

/// What became of the one that was tried.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ending<T> {
    /// It was taken.
    Delivered,
    /// It is tried again after this.
    Again(Duration),
    /// It is not; after so many tries.
    GaveUp(T, u32),
    /// Nothing was under way.
    Nothing,
}

/// Counts of one hook. `offered` is the sum of `delivered`, `failed`, `dropped` and what waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Events that were wanted.
    pub offered: u64,
    /// Events that were taken.
    pub delivered: u64,
    /// Events that were given up.
    pub failed: u64,
    /// Events that a full queue dropped.
    pub dropped: u64,
    /// Events of any kind that came too fast to be looked at.
    pub missed: u64,
    /// Tries, also those that failed.
    pub tries: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    UnderWay,
    Pausing(Instant),
}

#[derive(Debug)]
struct AtHand<T> {
    item: T,
    tries: u32,
    state: State,
}

/// The line of one hook.
#[derive(Debug)]
pub struct Line<T> {
    queue_max: usize,
    tries_max: u32,
    waiting: VecDeque<T>,
    at_hand: Option<AtHand<T>>,
    counts: Counts,
    untold: u64,
    told: Option<Instant>,
}

impl<T: Clone> Line<T> {
    /// A line of at most `queue_max` (at least one) that wait, each tried `retries` times after the first.
    pub fn new(queue_max: usize, retries: u32) -> Line<T> {
        Line {
            queue_max: queue_max.max(1),
            tries_max: retries.saturating_add(1),
            waiting: VecDeque::new(),
            at_hand: None,
            counts: Counts::default(),
            untold: 0,
            told: None,
        }
    }

    /// Takes one. Gives back the oldest that waits when there is no room; never the one that is tried.
    pub fn offer(&mut self, item: T) -> Option<T> {
        self.counts.offered += 1;
        let dropped = if self.waiting.len() >= self.queue_max { self.waiting.pop_front() } else { None };
        if dropped.is_some() {
            self.counts.dropped += 1;
            self.untold += 1;
        }
        self.waiting.push_back(item);
        dropped
    }

    /// So many events were never looked at.
    pub fn missed(&mut self, count: u64) {
        self.counts.missed = self.counts.missed.saturating_add(count);
        self.untold = self.untold.saturating_add(count);
    }

    /// What is to be done now.
    pub fn poll(&mut self, now: Instant) -> Step<T> {
        match &mut self.at_hand {
            Some(AtHand { state: State::UnderWay, .. }) => Step::UnderWay,
            Some(AtHand { state: State::Pausing(until), .. }) if *until > now => Step::Until(*until),
            Some(again) => {
                again.state = State::UnderWay;
                again.tries = again.tries.saturating_add(1);
                self.counts.tries += 1;
                Step::Try(again.item.clone())
            }
            None => match self.waiting.pop_front() {
                None => Step::Idle,
                Some(item) => {
                    self.at_hand = Some(AtHand { item: item.clone(), tries: 1, state: State::UnderWay });
                    self.counts.tries += 1;
                    Step::Try(item)
                }
            },
        }
    }

    /// The try under way came to this. `dice` is any number.
    pub fn finish(&mut self, now: Instant, verdict: Verdict, dice: u32) -> Ending<T> {
        let Some(mut tried) = self.at_hand.take_if(|at_hand| at_hand.state == State::UnderWay) else {
            return Ending::Nothing;
        };
        match verdict {
            Verdict::Done => {
                self.counts.delivered += 1;
                Ending::Delivered
            }
            Verdict::Again(asked) if tried.tries < self.tries_max => {
                let pause = pause(tried.tries, asked, dice);
                tried.state = State::Pausing(now.checked_add(pause).unwrap_or(now));
                self.at_hand = Some(tried);
                Ending::Again(pause)
            }
            Verdict::Again(_) | Verdict::Never => {
                self.counts.failed += 1;
                Ending::GaveUp(tried.item, tried.tries)
            }
        }
    }

    /// How many were lost since it was last asked: at most once in [`TELL_EVERY`], never zero.
    pub fn tell(&mut self, now: Instant) -> Option<u64> {
        let due = self.tell_at(now)? <= now;
        due.then(|| {
            self.told = Some(now);
            std::mem::take(&mut self.untold)
        })
    }

    /// When [`tell`](Line::tell) has something to say; `None` when nothing was lost.
    pub fn tell_at(&self, now: Instant) -> Option<Instant> {
        (self.untold > 0).then(|| self.told.map_or(now, |told| told + TELL_EVERY))
    }

    /// How many there are, the one that is tried included.
    pub fn waiting(&self) -> usize {
        self.waiting.len() + usize::from(self.at_hand.is_some())
    }

    /// Its counts.
    pub fn counts(&self) -> Counts {
        self.counts
    }
}

/// The pause after so many tries: it doubles, and the dice take up to half of it away, so that a receiver that comes back is not
/// met by all at once. Never shorter than what the receiver asks for, within [`RETRY_AFTER_MAX`].
pub fn pause(tries: u32, asked: Option<Duration>, dice: u32) -> Duration {
    let doubled = PAUSE_FIRST.saturating_mul(1 << tries.saturating_sub(1).min(16)).min(PAUSE_MAX);
    let half = doubled / 2;
    let own = half + half.mul_f64(f64::from(dice) / f64::from(u32::MAX));
    own.max(asked.unwrap_or_default().min(RETRY_AFTER_MAX))
}

/// What an answer to a webhook means.
///
/// 2xx is taken. 429 and every 5xx may pass (503 and 429 say when: RFC 9110 §10.2.3, RFC 6585 §4); everything else will not,
/// redirects among it.
pub fn judge(status: u16, retry_after: Option<Duration>) -> Verdict {
    match status {
        200..=299 => Verdict::Done,
        429 | 503 => Verdict::Again(retry_after),
        500..=599 => Verdict::Again(None),
        _ => Verdict::Never,
    }
}

#[cfg(test)]
mod tests;
