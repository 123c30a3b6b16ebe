//! The heartbeat of one connection: what it waits for, since when, and when patience ends.
//!
//! ```text
//!   connect ──► Head ──head read──► Busy ──all answers flushed──► Idle ──first byte──► Head
//! ```
//!
//! In every phase a full socket starts the stall clock and any byte that leaves stops it. [`Watched`] reports the bytes;
//! [`Pulse::expired`] resolves when a clock runs out. A finished file waits here until its last byte reached the kernel.

use crate::body::{Ending, Transfer};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// How long each phase may last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) header: Duration,
    pub(crate) idle: Duration,
    pub(crate) stall: Duration,
}

/// Which clock ran out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Expiry {
    Header,
    Idle,
    Stalled,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Head,
    Busy,
    Idle,
}

struct State {
    phase: Phase,
    since: Instant,
    /// The socket is full and nothing has left since then.
    blocked: Option<Instant>,
    calls: u64,
    ended: u64,
    written: u64,
    finishing: Vec<Transfer>,
    reset: bool,
}

/// Shared by the socket, the answers and the watchdog of one connection.
pub(crate) struct Pulse {
    state: Mutex<State>,
    patience: Patience,
}

impl Pulse {
    pub(crate) fn new(patience: Patience) -> Pulse {
        let state = State {
            phase: Phase::Head,
            since: Instant::now(),
            blocked: None,
            calls: 0,
            ended: 0,
            written: 0,
            finishing: Vec::new(),
            reset: false,
        };
        Pulse { state: Mutex::new(state), patience }
    }

    fn with<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A request head is complete.
    pub(crate) fn call(&self) {
        self.with(|state| {
            state.calls += 1;
            state.phase = Phase::Busy;
        });
    }

    /// The body of an answer was taken over whole, or dropped.
    pub(crate) fn answered(&self) {
        self.with(|state| state.ended += 1);
    }

    /// Bytes the kernel took so far.
    pub(crate) fn written(&self) -> u64 {
        self.with(|state| state.written)
    }

    /// Keeps a transfer until its bytes are flushed or the connection ends.
    pub(crate) fn finish_later(&self, transfer: Transfer) {
        self.with(|state| state.finishing.push(transfer));
    }

    /// Ends what was still under way. The socket is closed by now.
    pub(crate) fn close(&self, ending: Ending) {
        let (transfers, written) = self.with(|state| (std::mem::take(&mut state.finishing), state.written));
        for transfer in transfers {
            transfer.settle(written, ending);
        }
    }

    /// Unsent bytes are worth nothing to this client: reset instead of lingering.
    pub(crate) fn reset(&self) {
        self.with(|state| state.reset = true);
    }

    fn read(&self) {
        self.with(|state| {
            if state.phase == Phase::Idle {
                state.phase = Phase::Head;
                state.since = Instant::now();
            }
        });
    }

    fn wrote(&self, count: usize) {
        self.with(|state| {
            state.written += count as u64;
            state.blocked = None;
        });
    }

    fn write_blocked(&self) {
        self.with(|state| {
            state.blocked.get_or_insert_with(Instant::now);
        });
    }

    fn flushed(&self) {
        let (transfers, written) = self.with(|state| {
            if state.phase == Phase::Busy && state.calls == state.ended {
                state.phase = Phase::Idle;
                state.since = Instant::now();
            }
            (std::mem::take(&mut state.finishing), state.written)
        });
        for transfer in transfers {
            if transfer.is_whole() {
                transfer.settle(written, Ending::Whole);
            } else {
                self.finish_later(transfer);
            }
        }
    }

    fn deadline(&self) -> Option<(Instant, Expiry)> {
        self.with(|state| {
            if let Some(blocked) = state.blocked {
                return Some((blocked + self.patience.stall, Expiry::Stalled));
            }
            match state.phase {
                Phase::Head => Some((state.since + self.patience.header, Expiry::Header)),
                Phase::Idle => Some((state.since + self.patience.idle, Expiry::Idle)),
                Phase::Busy => None,
            }
        })
    }

    /// Resolves when a clock has run out.
    pub(crate) async fn expired(&self) -> Expiry {
        // No clock can run out sooner than this after it starts, so looking this often misses none.
        let shortest = self.patience.header.min(self.patience.idle).min(self.patience.stall);
        loop {
            let now = Instant::now();
            let wake = match self.deadline() {
                Some((deadline, expiry)) if deadline <= now => return expiry,
                Some((deadline, _)) => deadline.min(now + shortest),
                None => now + shortest,
            };
            tokio::time::sleep_until(wake).await;
        }
    }
}

/// The socket, watched.
pub(crate) struct Watched {
    stream: TcpStream,
    pulse: Arc<Pulse>,
}

impl Watched {
    pub(crate) fn new(stream: TcpStream, pulse: Arc<Pulse>) -> Watched {
        Watched { stream, pulse }
    }

    fn after_write(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &result {
            Poll::Ready(Ok(count)) if *count > 0 => self.pulse.wrote(*count),
            Poll::Pending => self.pulse.write_blocked(),
            Poll::Ready(_) => {}
        }
        result
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if self.pulse.with(|state| state.reset) {
            // Best effort: without it the kernel keeps the unsent bytes until its own timeout.
            let _ = socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.pulse.read();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.after_write(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.after_write(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        // A TCP stream buffers nothing, so a flush means that hyper's own buffer is empty.
        self.pulse.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
