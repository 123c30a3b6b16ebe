//! Listens on a cable and keeps every DHCP message with the kernel's time of it.

use super::wire::{self, Said};
use crate::Namespace;
use crate::packet::{RawSocket, Worker};
use anyhow::{Result, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// The queue is read out within this on any machine.
const SETTLE_DEADLINE: Duration = Duration::from_secs(10);
/// Ethernet with a VLAN tag.
const FRAME_BYTES_MAX: usize = 1518;

/// One message on the wire.
#[derive(Clone, Debug)]
pub struct Heard {
    /// When the kernel had it.
    pub at: SystemTime,
    /// What it said.
    pub said: Said,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    heard: Vec<Heard>,
    /// Times the queue was read until it was empty.
    emptied: u64,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A listener; it ends with its value.
pub struct Sniffer {
    shared: Arc<Shared>,
    _worker: Worker,
}

impl Sniffer {
    /// Listens on `interface` of `station`, both ways.
    ///
    /// # Errors
    /// When a raw socket cannot be opened.
    pub fn start(station: &Namespace, interface: &'static str) -> Result<Sniffer> {
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        let worker = station.run(move || {
            let raw = RawSocket::open(interface)?;
            raw.stamp_times()?;
            Worker::start("sniffer", move |stopped| {
                loop {
                    let mut sources = [
                        PollFd::new(stopped.as_fd(), PollFlags::POLLIN),
                        PollFd::new(raw.as_fd(), PollFlags::POLLIN),
                    ];
                    // A timeout counts as an empty queue, too.
                    let woken = poll(&mut sources, PollTimeout::from(20u8));
                    if woken.is_ok() && sources.first().and_then(PollFd::any).unwrap_or(true) {
                        return;
                    }
                    drain(&raw, &own);
                }
            })
        })??;
        Ok(Sniffer { shared, _worker: worker })
    }

    /// Waits until everything that was on the wire before this call was read, and takes it.
    ///
    /// # Errors
    /// When the listener does not keep up.
    pub fn take(&self) -> Result<Vec<Heard>> {
        let until = Instant::now() + SETTLE_DEADLINE;
        let mut state = self.shared.state();
        // The round under way may have begun before.
        let wanted = state.emptied + 2;
        while state.emptied < wanted {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("the listener on the cable does not keep up");
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(std::mem::take(&mut state.heard))
    }
}

fn drain(raw: &RawSocket, shared: &Shared) {
    let mut buffer = [0; FRAME_BYTES_MAX];
    let mut fresh = Vec::new();
    while let Some((length, at)) = raw.receive_at(&mut buffer) {
        if let Some(said) = buffer.get(..length).and_then(wire::read) {
            fresh.push(Heard { at, said });
        }
    }
    let mut state = shared.state();
    state.heard.append(&mut fresh);
    state.emptied += 1;
    shared.changed.notify_all();
}
