//! What every request passes: the head is checked, the router picks an answer, the answer is finished and counted.

use crate::body::Tracked;
use crate::counters::{Counters, bump};
use crate::limits::{HEADER_BYTES_MAX, REFUSED_EVENTS_PER_SECOND, TARGET_BYTES_MAX};
use crate::pulse::Pulse;
use crate::refusal::Refusal;
use crate::seam::Files;
use crate::{bundles, callbacks, files, logs};
use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::header::{CONNECTION, HOST, TRANSFER_ENCODING, X_CONTENT_TYPE_OPTIONS};
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Method, Request, StatusCode, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use plan::Decider;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tower::ServiceExt as _;
use tree::BootLedger;
use tree::names::may_hold_a_token;
use types::event::Level;
use types::{Event, EventName, EventSink};

/// What the door works with.
#[derive(Clone)]
pub struct Parts {
    /// The boot tree.
    pub files: Arc<dyn Files>,
    /// Learns what iPXE tells of a machine.
    pub decider: Arc<dyn Decider>,
    /// Takes call-backs.
    pub ledger: Arc<dyn BootLedger>,
    /// Keeps logs of boots.
    pub logs: Arc<dyn logs::Logs>,
    /// Where events go.
    pub events: Arc<dyn EventSink>,
}

/// The door behind its sockets.
pub(crate) struct Shared {
    pub(crate) parts: Parts,
    pub(crate) counters: Arc<Counters>,
    /// Patience for the body of a call-back.
    pub(crate) body_timeout: Duration,
    throttle: Mutex<(Instant, u32)>,
    router: Router,
}

/// One connection, as handlers see it.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) pulse: Arc<Pulse>,
    pub(crate) remote: IpAddr,
    pub(crate) local: SocketAddr,
}

impl Shared {
    pub(crate) fn new(parts: Parts, body_timeout: Duration) -> Arc<Shared> {
        Arc::new_cyclic(|weak| Shared {
            parts,
            counters: Arc::default(),
            body_timeout,
            throttle: Mutex::new((Instant::now(), 0)),
            // Weak, because the router lives inside what its handlers need.
            router: Router::new()
                .route("/b/{token}/{stage}", any(callbacks::take))
                .route("/b/{token}/bundle/{bundle}/{script}/{what}", any(bundles::take))
                .route("/b/{token}/log/{name}", any(logs::take))
                .fallback(files::serve)
                .with_state(weak.clone()),
        })
    }

    /// Answers one request. Never fails: what goes wrong is an answer too.
    pub(crate) async fn answer(
        self: Arc<Self>,
        link: Link,
        mut request: Request<Incoming>,
    ) -> Result<Response<Tracked<Body>>, Infallible> {
        link.pulse.call();
        bump(&self.counters.requests);
        let method = request.method().clone();
        let path: String = request.uri().path().chars().take(128).collect();
        let has_body = !request.body().is_end_stream();
        let mut response = match check(&request, &link) {
            Ok(()) => {
                request.extensions_mut().insert(link.clone());
                let answered = self.router.clone().oneshot(request.map(Body::new)).await;
                answered.unwrap_or_else(|never: Infallible| match never {})
            }
            Err(refusal) => refusal.into_response(),
        };
        let headers = response.headers_mut();
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if has_body && method != Method::POST {
            // Nobody reads this body, so the next request could not be told from it.
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(refusal) = response.extensions_mut().remove::<Refusal>() {
            self.record_refusal(&refusal, &link, &path);
        }
        Ok(response.map(|body| Tracked::new(body, link.pulse.clone())))
    }

    fn record_refusal(&self, refusal: &Refusal, link: &Link, path: &str) {
        let counter = match refusal.status {
            StatusCode::NOT_FOUND => &self.counters.not_found,
            status if status.is_server_error() => &self.counters.failed,
            _ => &self.counters.refused,
        };
        bump(counter);
        let mut event = Event::new(EventName::HttpRefused)
            .because(refusal.recorded)
            .with("from", link.remote)
            .with("status", u64::from(refusal.status.as_u16()));
        // Loaders try names that need not exist.
        event.level = if refusal.recorded == "not_found" { Level::Debug } else { Level::Warn };
        let name = path.trim_start_matches('/');
        if !may_hold_a_token(name) {
            event = event.with("file", name);
        }
        self.record_throttled(event);
    }

    /// For events anybody on the wire can cause at will.
    pub(crate) fn record_throttled(&self, event: Event) {
        let mut throttle = self.throttle.lock().unwrap_or_else(PoisonError::into_inner);
        let (start, count) = &mut *throttle;
        if start.elapsed() >= Duration::from_secs(1) {
            (*start, *count) = (Instant::now(), 0);
        }
        *count = count.saturating_add(1);
        if *count <= REFUSED_EVENTS_PER_SECOND {
            drop(throttle);
            self.parts.events.record(event);
        }
    }
}

/// What must hold before anybody looks at the name.
fn check<B>(request: &Request<B>, link: &Link) -> Result<(), Refusal> {
    let uri = request.uri();
    let headers = request.headers();
    let target = uri.path_and_query().map_or(0, |path| path.as_str().len())
        + uri.authority().map_or(0, |host| host.as_str().len());
    if target > TARGET_BYTES_MAX {
        return Err(Refusal::new(
            StatusCode::URI_TOO_LONG,
            "target_too_long",
            "the request line is too long",
        )
        .closing());
    }
    let fields: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if fields > HEADER_BYTES_MAX {
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Err(
            Refusal::new(status, "headers_too_large", "the request has too many header bytes").closing()
        );
    }
    if headers.contains_key(TRANSFER_ENCODING) {
        // Nothing we take is of unknown length, and two framings of one body are how requests are smuggled.
        return Err(
            Refusal::bad_request("framing", "send a Content-Length, not a Transfer-Encoding").closing()
        );
    }
    let known = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::OPTIONS,
        Method::PATCH,
        Method::TRACE,
        Method::CONNECT,
    ];
    if !known.contains(request.method()) {
        return Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, "unknown_method", "unknown method").closing());
    }
    check_host(request, link).map_err(Refusal::closing)
}

/// RFC 9112 §3.2: exactly one Host in HTTP/1.1. Any valid value will do (loaders send it with or without port, or a name
/// we never heard of); only an absolute target must name us.
fn check_host<B>(request: &Request<B>, link: &Link) -> Result<(), Refusal> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => Some(host),
        (None, _) if request.version() < Version::HTTP_11 => None,
        (None, _) => return Err(Refusal::bad_request("host", "the request has no Host field")),
        (Some(_), Some(_)) => {
            return Err(Refusal::bad_request("host", "the request has more than one Host field"));
        }
    };
    let host = match host.map(HeaderValue::as_bytes) {
        None | Some(b"") => None,
        Some(bytes) => match Authority::try_from(bytes) {
            Ok(authority) if !authority.as_str().contains('@') => Some(authority),
            _ => return Err(Refusal::bad_request("host", "the Host field is malformed")),
        },
    };
    let uri = request.uri();
    if let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) {
        let literal = authority.host().trim_matches(['[', ']']).parse::<IpAddr>();
        let ours = match literal {
            Ok(address) => address == link.local.ip(),
            Err(_) => host.is_some_and(|host| host.host().eq_ignore_ascii_case(authority.host())),
        };
        if *scheme != Scheme::HTTP || !ours {
            let text = "this is no proxy; the request names another server";
            return Err(Refusal::new(StatusCode::MISDIRECTED_REQUEST, "other_server", text));
        }
    }
    Ok(())
}
