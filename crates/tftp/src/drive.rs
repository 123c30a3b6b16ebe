//! One transfer: the dozen lines around the state machine, and what is told about it afterwards.

use crate::counters::{Counters, count};
use crate::files::File;
use crate::sessions::{Key, Session};
use bytes::Bytes;
use net::{Listener, Segment, TransferSocket};
use std::io::{self, IoSlice};
use std::net::SocketAddrV4;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tftp_proto::{Blocks, Ending, ErrorCode, Need, Negotiated, Stats, wire};
use tokio::sync::watch;
use types::event::Level;
use types::{Event, EventName, Facts};

/// Replies to a read are ACKs and ERRORs; what is longer is cut.
const REPLY_BYTES_MAX: usize = 512;
/// A packet sent before the request that replaced us is here by now.
const LAST_WORD_WAIT: Duration = Duration::from_millis(50);
/// Strangers told off per transfer; further ones are dropped.
const STRANGERS_TOLD_MAX: usize = 4;

/// The way the packets of one transfer take.
pub(crate) enum Path {
    /// A port of its own.
    Own(TransferSocket),
    /// The listening port; replies come through the session.
    Shared(Arc<Listener>),
}

impl Path {
    async fn send(&self, packet: &[u8], key: Key) -> io::Result<()> {
        match self {
            Path::Own(socket) => socket.send(packet, key.remote).await,
            Path::Shared(listener) => listener.send(packet, key.local, 0, key.remote).await,
        }
    }

    async fn send_segments(&self, segments: &[Segment<'_>], segment_bytes: u16, key: Key) -> io::Result<()> {
        match self {
            Path::Own(socket) => socket.send_segments(segments, segment_bytes, key.remote).await,
            Path::Shared(listener) => {
                listener.send_segments(segments, segment_bytes, key.local, key.remote).await
            }
        }
    }

    async fn recv(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddrV4)> {
        match self {
            Path::Own(socket) => socket.recv(buffer).await,
            Path::Shared(_) => std::future::pending().await,
        }
    }
}

/// Everything one transfer needs.
pub(crate) struct Drive {
    pub(crate) key: Key,
    pub(crate) session: Arc<Session>,
    pub(crate) path: Path,
    pub(crate) content: Bytes,
    pub(crate) counters: Arc<Counters>,
    /// True once running transfers have to end.
    pub(crate) stop: watch::Receiver<bool>,
}

/// How it went.
pub(crate) struct Finished {
    /// `None`: another request of the same client took its place, or it had to make room.
    pub(crate) ending: Option<Ending>,
    pub(crate) stats: Stats,
}

impl Drive {
    /// Runs the transfer in the session to its end.
    pub(crate) async fn run(mut self) -> Finished {
        let mut buffer = [0; REPLY_BYTES_MAX];
        let mut told: Vec<SocketAddrV4> = Vec::new();
        let mut stats = Stats::default();
        loop {
            if self.session.is_cancelled() {
                return Finished { ending: self.last_word(&mut buffer).await, stats };
            }
            let need = match self.session.transfer().as_mut() {
                None => return Finished { ending: None, stats },
                Some(transfer) => {
                    let need = transfer.poll(Instant::now());
                    stats = transfer.stats();
                    need
                }
            };
            match need {
                Need::Send(packet) => {
                    let sent = self.path.send(&packet, self.key).await;
                    self.note(sent);
                }
                Need::SendBlocks(blocks) => {
                    let sent = self.send_blocks(&blocks).await;
                    self.note(sent);
                }
                Need::Until(deadline) => self.wait(deadline, &mut buffer, &mut told).await,
                Need::Done(ending) => return Finished { ending: Some(ending), stats },
            }
        }
    }

    /// A client that asks again from the same port may have ended its first request with an ERROR that still waits at
    /// the old socket (firmware's size probe): then that was the ending.
    async fn last_word(&self, buffer: &mut [u8]) -> Option<Ending> {
        // Or it was read just before the new request was.
        if let Some(ending) = self.ended() {
            return Some(ending);
        }
        if !self.session.is_replaced() || !self.session.is_unanswered() {
            return None;
        }
        let received = tokio::time::timeout(LAST_WORD_WAIT, self.path.recv(buffer)).await.ok()?;
        let (bytes, _) = received.ok().filter(|(_, from)| *from == self.key.remote)?;
        self.session
            .transfer()
            .as_mut()?
            .handle_packet(Instant::now(), buffer.get(..bytes).unwrap_or_default());
        self.ended()
    }

    /// How the transfer ended, if it has.
    fn ended(&self) -> Option<Ending> {
        match self.session.transfer().as_mut()?.poll(Instant::now()) {
            Need::Done(ending) => Some(ending),
            Need::Send(_) | Need::SendBlocks(_) | Need::Until(_) => None,
        }
    }

    /// A datagram the kernel refused is as good as lost: the timer sends it again.
    fn note(&self, sent: io::Result<()>) {
        if let Err(error) = sent {
            count(&self.counters.send_errors);
            tracing::debug!(%error, remote = %self.key.remote, "TFTP packet not sent");
        }
    }

    async fn wait(&mut self, deadline: Instant, buffer: &mut [u8], told: &mut Vec<SocketAddrV4>) {
        tokio::select! {
            received = self.path.recv(buffer) => match received {
                Ok((bytes, from)) if from == self.key.remote => {
                    let packet = buffer.get(..bytes).unwrap_or_default();
                    if let Some(transfer) = self.session.transfer().as_mut() {
                        transfer.handle_packet(Instant::now(), packet);
                    }
                }
                Ok((bytes, from)) => self.tell_off(from, buffer.get(..bytes).unwrap_or_default(), told).await,
                Err(error) => tracing::debug!(%error, remote = %self.key.remote, "TFTP socket"),
            },
            () = tokio::time::sleep_until(deadline.into()) => {
                if let Some(transfer) = self.session.transfer().as_mut() {
                    transfer.handle_timeout(Instant::now());
                }
            }
            () = self.session.wake.notified() => {}
            () = stopped(&mut self.stop) => {
                if let Some(transfer) = self.session.transfer().as_mut() {
                    transfer.abort(ErrorCode::NotDefined, "the server is stopping");
                }
            }
        }
    }

    /// RFC 1350 §4: a packet from elsewhere gets ERROR 5, once, and changes nothing. An ERROR gets none.
    async fn tell_off(&self, from: SocketAddrV4, packet: &[u8], told: &mut Vec<SocketAddrV4>) {
        count(&self.counters.strangers);
        let is_error = packet.get(..2) == Some(&[0, 5]);
        if is_error
            || told.contains(&from)
            || told.len() >= STRANGERS_TOLD_MAX
            || !crate::listen::may_answer(from)
        {
            return;
        }
        told.push(from);
        if let Path::Own(socket) = &self.path {
            let answer = wire::error(ErrorCode::UnknownTransferId, "unknown transfer id");
            let sent = socket.send(&answer, from).await;
            self.note(sent);
        }
    }

    async fn send_blocks(&self, blocks: &Blocks) -> io::Result<()> {
        let cut: Vec<([u8; 4], Range<u64>)> = blocks.iter().collect();
        let segments: Vec<Segment<'_>> = cut
            .iter()
            .map(|(header, range)| {
                let bounds = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
                let payload =
                    bounds.and_then(|(start, end)| self.content.get(start..end)).unwrap_or_default();
                [IoSlice::new(header), IoSlice::new(payload)]
            })
            .collect();
        self.path.send_segments(&segments, blocks.packet_bytes(), self.key).await
    }
}

/// Also when the sender is gone: the door was dropped.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// What a finished transfer leaves in the counters.
pub(crate) fn tally(counters: &Counters, finished: &Finished) {
    counters.bytes.fetch_add(finished.stats.bytes_acked, Ordering::Relaxed);
    counters.retransmits.fetch_add(finished.stats.retransmits, Ordering::Relaxed);
    count(match &finished.ending {
        Some(Ending::Complete | Ending::LastAckLost) => &counters.completed,
        Some(Ending::SizeProbe) => &counters.size_probes,
        Some(Ending::Unanswered) | None => &counters.unanswered,
        Some(Ending::ClientError { .. } | Ending::TimedOut | Ending::Aborted) => &counters.aborted,
    });
}

/// An event about this file and machine.
fn about(name: EventName, file: &File, facts: &Facts, key: Key) -> Event {
    let event = Event::new(name)
        .of(facts)
        .host(file.host.clone())
        .boot(file.boot.clone())
        .with("file", file.name.clone())
        .with("role", file.role)
        .with("address", *key.remote.ip());
    match &file.image {
        Some(image) => event.with("image", image.clone()),
        None => event,
    }
}

/// The event of a beginning.
pub(crate) fn started(file: &File, facts: &Facts, key: Key, negotiated: &Negotiated, bytes: u64) -> Event {
    about(EventName::TftpStart, file, facts, key)
        .with("bytes", bytes)
        .with("blksize", u64::from(negotiated.blksize))
        .with("windowsize", u64::from(negotiated.windowsize))
}

/// The events of an end.
pub(crate) fn ended(
    file: &File,
    facts: &Facts,
    key: Key,
    negotiated: &Negotiated,
    finished: &Finished,
    took: Duration,
) -> Vec<Event> {
    let name = match &finished.ending {
        Some(Ending::Complete | Ending::LastAckLost) => EventName::TftpDone,
        Some(Ending::SizeProbe) => EventName::TftpSizeProbe,
        Some(Ending::ClientError { .. } | Ending::TimedOut | Ending::Unanswered | Ending::Aborted) | None => {
            EventName::TftpAbort
        }
    };
    let with_numbers = |name| {
        about(name, file, facts, key)
            .with("bytes", finished.stats.bytes_acked)
            .with("ms", u64::try_from(took.as_millis()).unwrap_or(u64::MAX))
            .with("blksize", u64::from(negotiated.blksize))
            .with("windowsize", u64::from(negotiated.windowsize))
            .with("retransmits", finished.stats.retransmits)
    };
    let mut event = with_numbers(name);
    match &finished.ending {
        Some(Ending::Complete | Ending::SizeProbe) => {}
        Some(ending) => event = event.because(ending.reason()),
        None => event = event.because("replaced"),
    }
    match &finished.ending {
        Some(Ending::ClientError { code, text }) => {
            event = event.with("code", u64::from(*code)).with("text", text.as_str());
        }
        // Anybody can send requests in another's name; they are counted, not shouted about.
        Some(Ending::Unanswered) | None => event.level = Level::Debug,
        Some(
            Ending::Complete | Ending::LastAckLost | Ending::SizeProbe | Ending::TimedOut | Ending::Aborted,
        ) => {}
    }
    let fetched = name == EventName::TftpDone && file.is_loader;
    let mut events = vec![event];
    if fetched {
        events.push(with_numbers(EventName::LoaderFetched));
    }
    events
}
