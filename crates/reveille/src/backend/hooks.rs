//! Hooks behind the API.

use super::Daemon;
use admin::view::{HookTried, HookView, timestamp};
use admin::{BackendError, ListPage};
use hooks::{Notice, State};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use types::resource::Name;
use types::{Event, EventName};

/// For one try. The command line waits a minute for an answer.
const TEST_WAIT: Duration = Duration::from_secs(50);

impl admin::Hooks for Daemon {
    fn hooks(&self) -> Result<ListPage<HookView>, BackendError> {
        let items = self.hooks.states().into_iter().map(view).collect();
        Ok(ListPage { items, next: None, revision: self.revision() })
    }

    fn test_hook(&self, name: &Name) -> Result<HookTried, BackendError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let at_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let event = Event::new(EventName::HookTest)
            .host(Some("example".into()))
            .with("hook", name.as_str())
            .with("made_up", true);
        let stamped = admin::Stamped { at_ms, seq: 0, event };
        let json =
            serde_json::to_string(&stamped).map_err(|error| BackendError::Internal(error.to_string()))?;
        let notice = Notice { seq: 0, time: timestamp(at_ms), event: stamped.event, json };
        let begun = Instant::now();
        // Called on the blocking pool, where a future may be waited for.
        let trying = async { tokio::time::timeout(TEST_WAIT, self.hooks.test(name.as_str(), &notice)).await };
        let (delivered, reason, words) = match tokio::runtime::Handle::current().block_on(trying) {
            Ok(None) => return Err(BackendError::NotFound { what: "hook", name: name.to_string() }),
            Ok(Some(tried)) => (tried.is_delivered(), tried.reason, tried.words),
            Err(_) => (false, "silent", format!("no outcome within {} s", TEST_WAIT.as_secs())),
        };
        Ok(HookTried {
            name: name.to_string(),
            delivered,
            reason: reason.to_owned(),
            words,
            took_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    }
}

fn view(state: State) -> HookView {
    let counts = state.counts;
    HookView {
        name: state.name,
        kind: state.kind.to_owned(),
        events: state.events,
        offered: counts.offered,
        delivered: counts.delivered,
        failed: counts.failed,
        dropped: counts.dropped,
        missed: counts.missed,
        tries: counts.tries,
        waiting: state.waiting as u64,
        last_error: state.last_error,
    }
}
