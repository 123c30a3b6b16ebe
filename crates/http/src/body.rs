//! Bodies: a file in frames, and the account of what became of it.

use crate::counters::{Counters, add, bump};
use crate::limits::FRAME_BYTES;
use crate::pulse::Pulse;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;
use types::event::Level;
use types::{Event, EventName, EventSink};

/// How a transfer ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ending {
    /// The kernel has every byte.
    Whole,
    /// The client went away.
    Aborted,
    /// The client stopped reading.
    Stalled,
    /// We stopped.
    Stopping,
}

/// One file on its way to one client; becomes an event when it ends.
pub(crate) struct Transfer {
    pub(crate) event: Event,
    pub(crate) events: Arc<dyn EventSink>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) pulse: Arc<Pulse>,
    pub(crate) started: Instant,
    /// Status code and, for a part, its `first-last/length`.
    pub(crate) status: u16,
    pub(crate) range: Option<String>,
    /// It is an NBP: fetched whole, it will run next.
    pub(crate) loader: bool,
    /// Body bytes to send.
    pub(crate) total: u64,
    /// Bytes of the status line and fields, which leave before them.
    pub(crate) head_bytes: u64,
    taken: u64,
    mark: Option<u64>,
}

/// What [`Transfer::new`] needs beyond the event.
pub(crate) struct Account {
    pub(crate) events: Arc<dyn EventSink>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) pulse: Arc<Pulse>,
    pub(crate) started: Instant,
}

impl Transfer {
    pub(crate) fn new(event: Event, account: Account, total: u64) -> Transfer {
        let Account { events, counters, pulse, started } = account;
        Transfer {
            event,
            events,
            counters,
            pulse,
            started,
            status: 200,
            range: None,
            loader: false,
            total,
            head_bytes: 0,
            taken: 0,
            mark: None,
        }
    }

    /// Every byte was handed to the connection.
    pub(crate) fn is_whole(&self) -> bool {
        self.taken == self.total
    }

    /// Records the end; `written` are the bytes of the whole connection so far.
    pub(crate) fn settle(self, written: u64, ending: Ending) {
        let bytes = match ending {
            Ending::Whole => self.total,
            _ => self
                .mark
                .map_or(0, |mark| written.saturating_sub(mark).saturating_sub(self.head_bytes))
                .min(self.taken),
        };
        let mut event = self.event;
        match ending {
            Ending::Whole if event.name == EventName::HttpScript => bump(&self.counters.scripts),
            Ending::Whole => bump(&self.counters.files),
            _ => bump(&self.counters.aborted),
        }
        add(&self.counters.sent_bytes, bytes);
        if ending == Ending::Stalled {
            event.name = EventName::HttpStalled;
        }
        if ending != Ending::Whole {
            event.level = Level::Warn;
            event.reason = Some(match ending {
                Ending::Stalled => "client_stalled",
                Ending::Stopping => "stopping",
                Ending::Aborted | Ending::Whole => "client_closed",
            });
        }
        let millis = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        event = event.with("bytes", bytes).with("ms", millis).with("status", u64::from(self.status));
        if let Some(range) = self.range {
            event = event.with("range", range);
        }
        if ending != Ending::Whole {
            event = event.with("total", self.total);
        }
        let fetched = (self.loader && ending == Ending::Whole && self.status == 200).then(|| Event {
            name: EventName::LoaderFetched,
            fields: event
                .fields
                .iter()
                .filter(|(name, _)| matches!(*name, "from" | "file" | "bytes" | "ms"))
                .cloned()
                .collect(),
            ..event.clone()
        });
        self.events.record(event);
        if let Some(fetched) = fetched {
            self.events.record(fetched.with("door", "http"));
        }
    }
}

/// A file's bytes in frames of [`FRAME_BYTES`], its length known.
pub(crate) struct FileBody {
    rest: Bytes,
    transfer: Option<Transfer>,
}

impl FileBody {
    pub(crate) fn new(content: Bytes, transfer: Transfer) -> FileBody {
        FileBody { rest: content, transfer: Some(transfer) }
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let count = self.rest.len().min(FRAME_BYTES);
        let frame = self.rest.split_to(count);
        if let Some(transfer) = &mut self.transfer {
            if transfer.mark.is_none() {
                transfer.mark = Some(transfer.pulse.written());
            }
            transfer.taken += count as u64;
        }
        Poll::Ready(Some(Ok(Frame::data(frame))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

impl Drop for FileBody {
    fn drop(&mut self) {
        if let Some(transfer) = self.transfer.take() {
            let pulse = transfer.pulse.clone();
            pulse.finish_later(transfer);
        }
    }
}

/// Any body; tells the connection when it is done with.
pub(crate) struct Tracked<B> {
    body: B,
    pulse: Arc<Pulse>,
}

impl<B> Tracked<B> {
    pub(crate) fn new(body: B, pulse: Arc<Pulse>) -> Tracked<B> {
        Tracked { body, pulse }
    }
}

impl<B> Drop for Tracked<B> {
    fn drop(&mut self) {
        self.pulse.answered();
    }
}

impl<B: Body + Unpin> Body for Tracked<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
