//! Something that changes with events: when to look at it again, over restarts of the appliance.

use super::api::{Api, Lines};
use crate::failure::{Exit, Failure};
use std::time::{Duration, Instant};
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
    /// Ctrl-C.
    Interrupted,
}

/// A follower of the event stream. What it looks at is read afresh each time, so nothing is missed when events are.
pub(crate) struct Follower<'a> {
    api: &'a Api,
    lines: Option<Lines>,
}

impl<'a> Follower<'a> {
    /// Begins to follow; read what is looked at after this.
    pub(crate) async fn start(api: &'a Api) -> Result<Follower<'a>, Failure> {
        Ok(Follower { lines: Some(api.follow("events?follow=true").await?), api })
    }

    /// Waits for an event, `limit` or Ctrl-C.
    pub(crate) async fn wait(&mut self, limit: Duration) -> Result<Woken, Failure> {
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => match interrupted {
                Ok(()) => Ok(Woken::Interrupted),
                Err(error) => Err(Failure::new("R-SYS-02", "cannot listen for signals").cause(error)),
            },
            woken = self.next(limit) => woken,
        }
    }

    async fn next(&mut self, limit: Duration) -> Result<Woken, Failure> {
        let Some(lines) = &mut self.lines else { return self.reconnect().await };
        match timeout(limit, lines.next()).await {
            Err(_) => Ok(Woken::Tick),
            Ok(Ok(Some(_))) => {
                let until = Instant::now() + SETTLE;
                while let Some(left) = until.checked_duration_since(Instant::now()) {
                    match timeout(left, lines.next()).await {
                        Err(_) => break,
                        Ok(Ok(Some(_))) => {}
                        Ok(Ok(None) | Err(_)) => {
                            self.lines = None;
                            break;
                        }
                    }
                }
                Ok(Woken::Event)
            }
            Ok(Ok(None) | Err(_)) => {
                self.lines = None;
                self.reconnect().await
            }
        }
    }

    async fn reconnect(&mut self) -> Result<Woken, Failure> {
        let since = Instant::now();
        loop {
            match self.api.follow("events?follow=true").await {
                Ok(lines) => {
                    self.lines = Some(lines);
                    return Ok(Woken::Event);
                }
                Err(failure) if failure.exit != Exit::Unreachable || since.elapsed() > AWAY_MAX => {
                    return Err(failure);
                }
                Err(_) => sleep(RETRY).await,
            }
        }
    }
}

/// Reads again for as long as the appliance is away.
pub(crate) fn is_away(failure: &Failure) -> bool {
    failure.exit == Exit::Unreachable
}
