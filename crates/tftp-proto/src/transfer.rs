//! One TFTP read as the server sees it: blocks, window, retries. Knows no socket, clock or file.
//!
//! ```text
//!            options accepted                       ACK 0
//! request ────────────────────► Offered ─────────────────────────► Sending ──── last block acked ──► Complete
//!    │                             │ ERROR 8 after a size: SizeProbe  │ ▲ │
//!    │ none accepted               │ silence: Unanswered              │ └─┘ ACK inside or at the end of the window:
//!    └─────────────────────────────┼─────────────► Sending            │     the next window starts behind it
//!                                  ▼                                  ▼
//!                    ERROR: ClientError        silence: TimedOut, or LastAckLost in the last window
//! ```
//!
//! Rules, each with a test of its name:
//! - only progress or the timer sends; a duplicate ACK never does (RFC 1123 §4.2.3.1);
//! - ACKs behind the window or ahead of what was sent change nothing, not even the timer;
//! - before the first ACK a stranger gets one answer per request of his, a known source three timed resends more;
//! - resends start after the measured round trip, double each time, and stop: then one ERROR.
//!
//! Block numbers are counted in 64 bits here and wrap to 16 on the wire: 65535 is followed by 0.

use crate::limits::{
    PATIENCE, RESEND_FIRST, RESEND_MAX, RESEND_MIN, RESENDS_LAST_MAX, RESENDS_MAX, RESENDS_UNANSWERED_MAX,
    RESET_AFTER, UNANSWERED_HOLD,
};
use crate::negotiate::Negotiated;
use crate::wire::{self, ErrorCode, Packet};
use std::ops::Range;
use std::time::{Duration, Instant};

/// Whether the source of the request is more than a claim.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trust {
    /// On-link or holder of a lease: a lost first packet is resent on a timer.
    Known,
    /// May be forged: until its first ACK it only gets answers to its own packets.
    Stranger,
}

/// How a transfer ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ending {
    /// Every block was acknowledged.
    Complete,
    /// Every block was sent, all but the last window acknowledged, and the last ACK never came. A success.
    LastAckLost,
    /// QUIRK(uefi-size-probe): the client asked the size and left, as UEFI firmware does. A success.
    SizeProbe,
    /// The client sent an ERROR.
    ClientError {
        /// Its code.
        code: u16,
        /// Its text, cleaned and cut.
        text: String,
    },
    /// The client stopped answering; it got one ERROR.
    TimedOut,
    /// Nobody ever answered; nothing more was sent.
    Unanswered,
    /// We gave up, see [`Transfer::abort`].
    Aborted,
}

impl Ending {
    /// True when the client has what it wanted.
    pub fn is_success(&self) -> bool {
        match self {
            Ending::Complete | Ending::LastAckLost | Ending::SizeProbe => true,
            Ending::ClientError { .. } | Ending::TimedOut | Ending::Unanswered | Ending::Aborted => false,
        }
    }

    /// Stable reason code.
    pub fn reason(&self) -> &'static str {
        match self {
            Ending::Complete => "complete",
            Ending::LastAckLost => "last_ack_lost",
            Ending::SizeProbe => "size_probe",
            Ending::ClientError { .. } => "client_error",
            Ending::TimedOut => "timed_out",
            Ending::Unanswered => "unanswered",
            Ending::Aborted => "aborted",
        }
    }
}

/// A run of blocks to send, cut from the content by the driver. All are `blksize` long but the very last one of the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Blocks {
    first: u64,
    count: u16,
    blksize: u16,
    size: u64,
}

impl Blocks {
    /// How many, 1..=65535.
    pub fn count(&self) -> u16 {
        self.count
    }

    /// Length of a whole DATA packet: header and full block.
    pub fn packet_bytes(&self) -> u16 {
        self.blksize + wire::DATA_HEADER_BYTES
    }

    /// The range of the content all of them cover.
    pub fn range(&self) -> Range<u64> {
        let start = (self.first - 1) * u64::from(self.blksize);
        start..self.size.min(start + u64::from(self.count) * u64::from(self.blksize))
    }

    /// Header and content range of each. The last block of a file may be empty.
    pub fn iter(&self) -> impl Iterator<Item = ([u8; 4], Range<u64>)> + use<> {
        let Blocks { first, count, blksize, size } = *self;
        (first..first + u64::from(count)).map(move |block| {
            let start = ((block - 1) * u64::from(blksize)).min(size);
            (wire::data_header(on_wire(block)), start..size.min(start + u64::from(blksize)))
        })
    }
}

/// What the driver has to do next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Need {
    /// Send this packet.
    Send(Vec<u8>),
    /// Send these blocks, in order.
    SendBlocks(Blocks),
    /// Wait for a packet, or for this moment and then call [`Transfer::handle_timeout`].
    Until(Instant),
    /// Nothing: it is over. Stays so.
    Done(Ending),
}

/// What became of a request that came again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Repeat {
    /// Nothing was acknowledged yet: the first packet is sent again.
    Joined,
    /// A late copy: nothing happens.
    Ignored,
    /// The machine was reset and starts over: end this transfer and open a new one.
    Replace,
}

/// Counters of one transfer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Content bytes acknowledged.
    pub bytes_acked: u64,
    /// Blocks sent again, and OACKs.
    pub retransmits: u64,
    /// Smoothed round trip, once measured.
    pub round_trip: Option<Duration>,
}

#[derive(Debug)]
enum State {
    /// The OACK is out, ACK 0 awaited.
    Offered,
    /// Blocks `acked + 1 ..= sent` are out.
    Sending,
    /// Over.
    Ended(Ending),
}

/// One TFTP read.
#[derive(Debug)]
pub struct Transfer {
    size: u64,
    blocks: u64,
    blksize: u16,
    windowsize: u16,
    tells_size: bool,
    trust: Trust,
    oack: Option<Vec<u8>>,

    state: State,
    /// The window (or the OACK) has to be sent.
    pending: bool,
    /// One last packet to send although the transfer is over.
    farewell: Option<Vec<u8>>,
    /// The client answered at least once.
    answered: bool,
    /// The OACK left at least once.
    offered: bool,
    /// Last block acknowledged; 0: none.
    acked: u64,
    /// Last block of the window under way.
    sent: u64,
    /// Highest block ever sent.
    sent_highest: u64,

    deadline: Instant,
    progressed: Instant,
    resends: u32,
    estimate: RoundTrip,
    /// Wait before the next resend of this window.
    wait: Duration,
    /// Wait this window started with.
    wait_first: Duration,
    /// When this window left, unless a part of it had been sent before (Karn: such an ACK is ambiguous).
    timed: Option<Instant>,
    retransmits: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct RoundTrip {
    smoothed: Option<Duration>,
    deviation: Duration,
}

impl RoundTrip {
    /// RFC 6298 §2.
    fn sample(&mut self, measured: Duration) {
        match self.smoothed {
            None => {
                self.smoothed = Some(measured);
                self.deviation = measured / 2;
            }
            Some(smoothed) => {
                self.deviation = (self.deviation * 3 + smoothed.abs_diff(measured)) / 4;
                self.smoothed = Some((smoothed * 7 + measured) / 8);
            }
        }
    }

    fn wait(&self) -> Duration {
        match self.smoothed {
            Some(smoothed) => (smoothed + self.deviation * 4).max(RESEND_MIN),
            None => RESEND_FIRST,
        }
    }
}

impl Transfer {
    /// A transfer of `size` bytes whose request was just accepted; [`poll`](Self::poll) has the first packet.
    pub fn new(now: Instant, size: u64, negotiated: &Negotiated, trust: Trust) -> Transfer {
        let blksize = negotiated.blksize.max(1);
        Transfer {
            size,
            blocks: size / u64::from(blksize) + 1,
            blksize,
            windowsize: negotiated.windowsize.max(1),
            tells_size: negotiated.tells_size,
            trust,
            state: if negotiated.oack.is_some() { State::Offered } else { State::Sending },
            oack: negotiated.oack.clone(),
            pending: true,
            farewell: None,
            answered: false,
            offered: false,
            acked: 0,
            sent: 0,
            sent_highest: 0,
            deadline: now,
            progressed: now,
            resends: 0,
            estimate: RoundTrip::default(),
            wait: RESEND_FIRST,
            wait_first: RESEND_FIRST,
            timed: None,
            retransmits: 0,
        }
    }

    /// True until the client's first packet: such a transfer is the first to go when there are too many.
    pub fn is_unanswered(&self) -> bool {
        !self.answered
    }

    /// Counters so far.
    pub fn stats(&self) -> Stats {
        Stats {
            bytes_acked: self.size.min(self.acked.saturating_mul(self.blksize.into())),
            retransmits: self.retransmits,
            round_trip: self.estimate.smoothed,
        }
    }

    /// A packet from the client's address and port. Anything but an ACK or an ERROR is ignored: it may be damaged.
    pub fn handle_packet(&mut self, now: Instant, packet: &[u8]) {
        match (&self.state, wire::decode(packet)) {
            (State::Ended(_), _) | (State::Offered | State::Sending, Err(_)) => {}
            (State::Offered, Ok(Packet::Ack { block: 0 })) => {
                self.measure(now);
                self.state = State::Sending;
                self.progress(now);
            }
            // An ACK for a block that was never sent.
            (State::Offered, Ok(Packet::Ack { .. })) => {}
            (State::Sending, Ok(Packet::Ack { block })) => self.handle_ack(now, block),
            (State::Offered, Ok(Packet::Error { code: 0 | 8, .. })) if self.tells_size => {
                self.state = State::Ended(Ending::SizeProbe);
            }
            (State::Offered | State::Sending, Ok(Packet::Error { code, text })) => {
                let text = wire::clean_text(&String::from_utf8_lossy(text));
                self.state = State::Ended(Ending::ClientError { code, text });
            }
            (
                State::Offered | State::Sending,
                Ok(Packet::Rrq(_) | Packet::Wrq(_) | Packet::Data { .. } | Packet::Oack(_)),
            ) => {}
        }
    }

    fn handle_ack(&mut self, now: Instant, block: u16) {
        let ahead = u64::from(block.wrapping_sub(on_wire(self.acked)));
        // 0 is a duplicate; more than is under way is an old ACK or one for blocks never sent.
        if ahead == 0 || ahead > self.sent - self.acked {
            return;
        }
        if self.acked + ahead == self.sent {
            self.measure(now);
        }
        self.acked += ahead;
        if self.acked == self.blocks {
            self.answered = true;
            self.state = State::Ended(Ending::Complete);
        } else {
            self.progress(now);
        }
    }

    /// The client has something new: the next window starts behind it.
    fn progress(&mut self, now: Instant) {
        self.answered = true;
        self.progressed = now;
        self.pending = true;
        // Without a clean measurement the backoff is kept in part, so that a path slower than our estimate is
        // learned after all; a single loss does not slow down what follows.
        self.wait = match self.timed {
            Some(_) => self.estimate.wait(),
            None => self.wait.min(self.wait_first * 4),
        }
        .min(RESEND_MAX);
        self.wait_first = self.wait;
        self.resends = 0;
        self.timed = None;
    }

    fn measure(&mut self, now: Instant) {
        if let Some(since) = self.timed {
            self.estimate.sample(now.saturating_duration_since(since));
        }
    }

    /// The moment of [`Need::Until`] has come. Earlier calls change nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.pending || now < self.deadline {
            return;
        }
        match self.state {
            State::Ended(_) => {}
            State::Offered | State::Sending if !self.answered => {
                if self.resends < self.unanswered_resends() {
                    self.resend();
                } else {
                    self.state = State::Ended(Ending::Unanswered);
                }
            }
            State::Offered | State::Sending => {
                let impatient = now.saturating_duration_since(self.progressed) >= PATIENCE;
                let in_last_window = matches!(self.state, State::Sending) && self.sent == self.blocks;
                if in_last_window && (impatient || self.resends >= RESENDS_LAST_MAX) {
                    self.state = State::Ended(Ending::LastAckLost);
                } else if impatient || self.resends >= RESENDS_MAX {
                    self.farewell = Some(wire::error(ErrorCode::NotDefined, "timed out waiting for an ACK"));
                    self.state = State::Ended(Ending::TimedOut);
                } else {
                    self.resend();
                }
            }
        }
    }

    fn unanswered_resends(&self) -> u32 {
        match self.trust {
            Trust::Known => RESENDS_UNANSWERED_MAX,
            Trust::Stranger => 0,
        }
    }

    fn resend(&mut self) {
        self.resends += 1;
        self.wait = (self.wait * 2).min(RESEND_MAX);
        self.pending = true;
        self.timed = None;
    }

    /// The same request came again from the same address and port.
    pub fn handle_repeated_request(&mut self, now: Instant) -> Repeat {
        match self.state {
            State::Ended(_) => Repeat::Replace,
            State::Offered | State::Sending if !self.answered => {
                // One answer per request: the copy may have been forged like the first.
                self.pending = true;
                self.timed = None;
                Repeat::Joined
            }
            State::Offered | State::Sending => {
                if now.saturating_duration_since(self.progressed) >= RESET_AFTER {
                    Repeat::Replace
                } else {
                    Repeat::Ignored
                }
            }
        }
    }

    /// Another request came from the same address and port. Its client gave this transfer up, or somebody forged it: while
    /// blocks are being acknowledged it is not believed. A client that means it asks again.
    pub fn handle_other_request(&mut self, now: Instant) -> Repeat {
        let in_last_window = self.sent == self.blocks;
        let recent = now.saturating_duration_since(self.progressed) < RESET_AFTER;
        match self.state {
            // A size probe, or a reset machine, or the ACK of the OACK was forged: nothing is lost yet.
            State::Ended(_) | State::Offered => Repeat::Replace,
            State::Sending if self.acked > 0 && recent && !in_last_window => Repeat::Ignored,
            State::Sending => Repeat::Replace,
        }
    }

    /// Ends the transfer from our side, with one ERROR to a client that had answered.
    pub fn abort(&mut self, code: ErrorCode, text: &str) {
        if matches!(self.state, State::Ended(_)) {
            return;
        }
        if self.answered {
            self.farewell = Some(wire::error(code, text));
        }
        self.state = State::Ended(Ending::Aborted);
    }

    /// What to do next. Call again after doing it, until [`Need::Until`] or [`Need::Done`].
    pub fn poll(&mut self, now: Instant) -> Need {
        match &self.state {
            State::Ended(ending) => match self.farewell.take() {
                Some(packet) => Need::Send(packet),
                None => Need::Done(ending.clone()),
            },
            State::Offered | State::Sending if !self.pending => Need::Until(self.deadline),
            State::Offered => {
                self.retransmits += u64::from(self.offered);
                self.arm(now, self.offered);
                self.offered = true;
                Need::Send(self.oack.clone().unwrap_or_default())
            }
            State::Sending => {
                let first = self.acked + 1;
                let count = (self.blocks - self.acked).min(self.windowsize.into());
                self.sent = self.acked + count;
                let again = (self.sent_highest + 1).saturating_sub(first).min(count);
                self.retransmits += again;
                self.sent_highest = self.sent_highest.max(self.sent);
                self.arm(now, again > 0);
                let count = u16::try_from(count).unwrap_or(self.windowsize);
                Need::SendBlocks(Blocks { first, count, blksize: self.blksize, size: self.size })
            }
        }
    }

    fn arm(&mut self, now: Instant, again: bool) {
        self.pending = false;
        self.timed = if again { None } else { Some(now) };
        let give_up = !self.answered && self.resends >= self.unanswered_resends();
        self.deadline = now + if give_up { UNANSWERED_HOLD } else { self.wait };
    }
}

/// Block number as it travels.
fn on_wire(block: u64) -> u16 {
    let [.., high, low] = block.to_be_bytes();
    u16::from_be_bytes([high, low])
}

#[cfg(test)]
mod tests;
