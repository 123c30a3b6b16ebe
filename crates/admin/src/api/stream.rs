//! `events` as newline-delimited JSON, `stream` as server-sent events.
//!
//! A line is one event, or `{"event":"resync",…}` when events were missed. Quiet streams send an empty line (NDJSON) or a
//! comment (SSE) every [`HEARTBEAT`], so that both ends notice a dead peer.

use crate::events::{EventBus, Next, Position, Stamped, Subscription};
use crate::query::Params;
use crate::time::{now_ms, rfc3339_ms};
use crate::{Api, Problem};
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use types::MacAddr;
use types::event::Level;

/// Longest silence of a stream.
const HEARTBEAT: Duration = Duration::from_secs(15);

const FILTERS: [&str; 7] = ["follow", "since", "level", "host", "mac", "boot", "event"];

/// `GET /events`: what is kept, then with `follow=true` what comes.
pub(crate) async fn events(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Response, Box<Problem>> {
    let params = Params::read(query.as_deref(), &FILTERS)?;
    let filter = Filter::read(&params)?;
    let since: Option<Position> = params.parse("since")?;
    let form = Form::Lines;
    let body = if params.flag("follow")? {
        follow(&api, since, filter, form)
    } else {
        Body::from(kept(&api.events, since.unwrap_or(Position { epoch: None, seq: 0 }), &filter).await)
    };
    Ok(answer(body, "application/x-ndjson"))
}

/// `GET /stream`: from now on, or from `Last-Event-ID`.
pub(crate) async fn stream(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Box<Problem>> {
    let params = Params::read(query.as_deref(), &FILTERS)?;
    let filter = Filter::read(&params)?;
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let since = match last.filter(|text| !text.is_empty()) {
        // An id we did not make: the reader knows nothing, and hears so.
        Some(text) => Some(text.parse().unwrap_or(Position { epoch: Some(0), seq: 0 })),
        None => params.parse("since")?,
    };
    let form = Form::ServerSent { epoch: api.events.epoch() };
    Ok(answer(follow(&api, since, filter, form), "text/event-stream"))
}

fn answer(body: Body, kind: &'static str) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Everything kept after a position, as lines.
async fn kept(bus: &EventBus, since: Position, filter: &Filter) -> String {
    let mut text = String::new();
    let oldest = bus.recent(0).first().map_or(1, |stamped| stamped.seq);
    let foreign = since.epoch.is_some_and(|epoch| epoch != bus.epoch()) || since.seq > bus.last();
    if foreign || (since.seq > 0 && since.seq + 1 < oldest) {
        text.push_str(&Form::Lines.resync(bus.last()));
    }
    let since = if foreign { 0 } else { since.seq };
    for stamped in bus.recent(since).iter().filter(|stamped| filter.takes(stamped)) {
        text.push_str(&Form::Lines.event(stamped));
    }
    text
}

#[derive(Clone, Copy)]
enum Form {
    Lines,
    ServerSent { epoch: u64 },
}

impl Form {
    fn event(self, stamped: &Stamped) -> String {
        // Maps with text keys always have a JSON form.
        let json = serde_json::to_string(stamped).unwrap_or_default();
        match self {
            Form::Lines => format!("{json}\n"),
            Form::ServerSent { epoch } => format!("id: {epoch}-{}\ndata: {json}\n\n", stamped.seq),
        }
    }

    fn resync(self, seq: u64) -> String {
        let ts = rfc3339_ms(now_ms());
        let json = format!(r#"{{"ts":"{ts}","seq":{seq},"level":"warn","event":"resync"}}"#);
        match self {
            Form::Lines => format!("{json}\n"),
            Form::ServerSent { epoch } => format!("id: {epoch}-{seq}\nevent: resync\ndata: {json}\n\n"),
        }
    }

    fn heartbeat(self) -> &'static str {
        match self {
            Form::Lines => "\n",
            Form::ServerSent { .. } => ": still here\n\n",
        }
    }
}

struct Feed {
    subscription: Subscription,
    shutdown: watch::Receiver<bool>,
    filter: Filter,
    form: Form,
}

fn follow(api: &Api, since: Option<Position>, filter: Filter, form: Form) -> Body {
    let subscription = api.events.follow(since);
    let feed = Feed { subscription, shutdown: api.shutdown.clone(), filter, form };
    Body::from_stream(stream::unfold(feed, |mut feed| async move {
        let text = feed.next().await?;
        Some((Ok::<Bytes, Infallible>(text.into()), feed))
    }))
}

impl Feed {
    async fn next(&mut self) -> Option<String> {
        let heartbeat = tokio::time::sleep(HEARTBEAT);
        tokio::pin!(heartbeat);
        loop {
            tokio::select! {
                next = self.subscription.next() => match next? {
                    Next::Event(stamped) if self.filter.takes(&stamped) => return Some(self.form.event(&stamped)),
                    Next::Event(_) => {}
                    Next::Resync(seq) => return Some(self.form.resync(seq)),
                },
                () = &mut heartbeat => return Some(self.form.heartbeat().to_owned()),
                _ = self.shutdown.wait_for(|stop| *stop) => return None,
            }
        }
    }
}

/// Which events a reader wants; every given part must hold.
#[derive(Default)]
struct Filter {
    level: Option<Level>,
    host: Option<String>,
    mac: Option<MacAddr>,
    boot: Option<String>,
    /// A name, or an area such as `dhcp`.
    event: Option<String>,
}

impl Filter {
    fn read(params: &Params) -> Result<Filter, Box<Problem>> {
        let levels = [Level::Debug, Level::Info, Level::Warn, Level::Error];
        let level = match params.text("level") {
            None => None,
            Some(text) => match levels.into_iter().find(|level| level.as_str() == text) {
                None => return Err(Problem::bad_query("`level`: known are debug, info, warn, error")),
                found => found,
            },
        };
        let text = |key| params.text(key).map(str::to_owned);
        Ok(Filter {
            level,
            host: text("host"),
            mac: params.parse("mac")?,
            boot: text("boot"),
            event: text("event"),
        })
    }

    fn takes(&self, stamped: &Arc<Stamped>) -> bool {
        let event = &stamped.event;
        let name = event.name.as_str();
        self.level.is_none_or(|level| event.level >= level)
            && self.host.as_deref().is_none_or(|host| event.host.as_deref() == Some(host))
            && self.mac.is_none_or(|mac| event.mac == Some(mac))
            && self.boot.as_deref().is_none_or(|boot| event.boot.as_deref() == Some(boot))
            && self.event.as_deref().is_none_or(|wanted| {
                name == wanted || name.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('.'))
            })
    }
}
