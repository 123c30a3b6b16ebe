//! Something that changes with events: when to look at it again, over restarts of the appliance.

use super::api::{Api, Document, Lines};
use crate::failure::{Exit, Failure};

use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{sleep, timeout};

/// Between two tries to reach the appliance.
const RETRY: Duration = Duration::from_millis(500);
/// So long it may be away.
const AWAY_MAX: Duration = Duration::from_secs(60);
/// Events that come together are looked at together.
const SETTLE: Duration = Duration::from_millis(300);

/// What made us look again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Woken {
    /// Something happened, or may have.
    Event,
    /// Time passed.
    Tick,
    /// Ctrl-C, or SIGTERM.
    Interrupted,
}

/// A follower of the event stream. What it looks at is read afresh each time, so nothing is missed when events are.
pub(crate) struct Follower<'a> {
    api: &'a Api,
    lines: Option<Lines>,
    /// Since when the appliance does not answer.
    away: Option<Instant>,
    interrupts: Interrupts,
}

/// Ctrl-C and SIGTERM. Whoever came between two looks is heard at the next.
struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    fn listen() -> std::io::Result<Interrupts> {
        Ok(Interrupts {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

impl<'a> Follower<'a> {
    /// Begins to follow; read what is looked at after this.
    pub(crate) async fn start(api: &'a Api) -> Result<Follower<'a>, Failure> {
        // Until the appliance answers, Ctrl-C ends the command as it ends any other.
        let lines = Some(api.follow("events?follow=true").await?);
        let interrupts = Interrupts::listen()
            .map_err(|error| Failure::new("R-SYS-02", "cannot listen for signals").cause(error))?;
        Ok(Follower { api, lines, away: None, interrupts })
    }

    /// What is looked at; `None`: Ctrl-C, also of an appliance that hangs.
    pub(crate) async fn get(&mut self, path: &str) -> Result<Option<Document>, Failure> {
        tokio::select! {
            biased;
            () = self.interrupts.next() => Ok(None),
            answer = self.api.get(path) => answer.map(Some),
        }
    }

    /// Waits for an event, `limit` or Ctrl-C. While the appliance is away it is looked for, a minute at most in all.
    pub(crate) async fn wait(&mut self, limit: Duration) -> Result<Woken, Failure> {
        let Follower { api, lines, away, interrupts } = self;
        tokio::select! {
            biased;
            () = interrupts.next() => Ok(Woken::Interrupted),
            woken = next(api, lines, away, limit) => woken,
        }
    }
}

async fn next(
    api: &Api,
    stream: &mut Option<Lines>,
    away: &mut Option<Instant>,
    limit: Duration,
) -> Result<Woken, Failure> {
    let until = Instant::now() + limit;
    if let Some(lines) = stream {
        match timeout(limit, lines.next()).await {
            Err(_) => return Ok(Woken::Tick),
            Ok(Ok(Some(_))) => {
                if !settled(lines).await {
                    *stream = None;
                }
                return Ok(Woken::Event);
            }
            Ok(Ok(None) | Err(_)) => *stream = None,
        }
    }
    let since = *away.get_or_insert_with(Instant::now);
    let left = until.saturating_duration_since(Instant::now());
    match timeout(left, reconnect(api, since)).await {
        Err(_) => Ok(Woken::Tick),
        Ok(lines) => {
            (*stream, *away) = (Some(lines?), None);
            Ok(Woken::Event)
        }
    }
}

/// Takes the events that come together; false when the stream ended.
async fn settled(lines: &mut Lines) -> bool {
    let until = Instant::now() + SETTLE;
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        match timeout(left, lines.next()).await {
            Err(_) => break,
            Ok(Ok(Some(_))) => {}
            Ok(Ok(None) | Err(_)) => return false,
        }
    }
    true
}

async fn reconnect(api: &Api, since: Instant) -> Result<Lines, Failure> {
    loop {
        match api.follow("events?follow=true").await {
            Ok(lines) => return Ok(lines),
            Err(failure) if failure.exit != Exit::Unreachable || since.elapsed() > AWAY_MAX => {
                return Err(failure);
            }
            Err(_) => sleep(RETRY).await,
        }
    }
}

/// Reads again for as long as the appliance is away.
pub(crate) fn is_away(failure: &Failure) -> bool {
    failure.exit == Exit::Unreachable
}
