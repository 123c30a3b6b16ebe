//! Drives a [`Conversation`]: sockets, clock and secrets. Decides nothing.

use crate::error::PowerError;
use crate::limits::Limits;
use crate::redfish::{
    Answer, Body, Conversation, Method, Plan, Question, RedfishError, Report, Step, Unanswered, service_root,
};
use crate::secret::{self, Secret};
use crate::spec::{RedfishSpec, TrustSpec};
use bytes::Bytes;
use fetch::{Client, FetchError, Location, Trust, Watch};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, IF_MATCH, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// Largest file of CA certificates: Debian's whole bundle has 220 kB.
const CA_BYTES_MAX: u64 = 4 << 20;

/// How often a cancelled action is noticed while nothing is to be done.
const NOTICE_EVERY: Duration = Duration::from_millis(100);

/// DSP0266, session login.
const TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
/// DSP0266, request headers: optional, and some services want it.
const ODATA_VERSION: HeaderName = HeaderName::from_static("odata-version");

/// Talks to the service until the conversation is over. The report is given in a failure, too.
pub(crate) async fn converse(
    spec: &RedfishSpec,
    plan: Plan,
    limits: &Limits,
    watch: &mut dyn Watch,
) -> (Report, Result<(), PowerError>) {
    let mut driver = match Driver::new(spec, limits).await {
        Ok(driver) => driver,
        Err(error) => return (Report::default(), Err(error)),
    };
    let mut conversation = Conversation::new(driver.base.clone(), plan, *limits);
    loop {
        if watch.cancelled() {
            conversation.cancel();
        }
        match conversation.poll(Instant::now()) {
            Step::Ask(question) => {
                if question.method != Method::Get && question.body != Body::Login {
                    watch.says(&format!("{} {}", question.method.as_str(), question.at));
                }
                // A session is given back also by who is in a hurry.
                let asked = if question.method == Method::Delete {
                    driver.ask(&question, &mut Unwatched).await
                } else {
                    driver.ask(&question, watch).await
                };
                match asked {
                    Ok(answer) => conversation.handle_answer(Instant::now(), &answer),
                    Err(unanswered) if matches!(unanswered.error, FetchError::Cancelled) => {
                        conversation.cancel()
                    }
                    Err(unanswered) => {
                        watch.says(&crate::error::chain(&unanswered.error));
                        conversation.handle_failure(Instant::now(), unanswered);
                    }
                }
            }
            Step::Wait(until) => {
                let left = until.saturating_duration_since(Instant::now());
                tokio::time::sleep(left.min(NOTICE_EVERY)).await;
            }
            Step::Done(report, ending) => return (*report, ending.map_err(PowerError::Redfish)),
            // The end was given before; a loop that goes on anyway is ours to stop.
            Step::Over => return (Report::default(), Err(RedfishError::Cancelled.into())),
        }
    }
}

/// Watches nothing.
pub struct Unwatched;

impl Watch for Unwatched {
    fn advanced(&mut self, _: u64, _: Option<u64>) {}
}

struct Driver {
    client: Client,
    base: Location,
    user: String,
    password: Secret,
    basic: HeaderValue,
    token: Option<HeaderValue>,
    step_wait: Duration,
}

impl Driver {
    async fn new(spec: &RedfishSpec, limits: &Limits) -> Result<Driver, PowerError> {
        let base = service_root(&spec.url).map_err(RedfishError::Address)?;
        let trust = match &spec.trust {
            TrustSpec::System => Trust::System,
            TrustSpec::Sha256(pin) => Trust::Pinned(pin.0),
            TrustSpec::CaFile(path) => {
                let read = read_authorities(path).await;
                read.map_err(|source| PowerError::CaFile { path: path.clone(), source })?
            }
            TrustSpec::Insecure => Trust::Anyone,
        };
        let bounds = fetch::Limits {
            connect_wait: limits.connect_wait,
            stall_wait: limits.silence_wait,
            ..fetch::Limits::usual(limits.answer_bytes_max)
        };
        let client = Client::new(&trust, bounds);
        let client = client.map_err(|source| PowerError::NoTrust { url: base.to_string(), source })?;
        let password = secret::read(&spec.password).await?;
        let basic = fetch::basic_authorization(&spec.user, password.expose());
        let basic = basic.ok_or_else(|| PowerError::Unsendable(base.to_string()))?;
        Ok(Driver {
            client,
            base,
            user: spec.user.clone(),
            password,
            basic,
            token: None,
            step_wait: limits.step_wait,
        })
    }

    async fn ask(&mut self, question: &Question, watch: &mut dyn Watch) -> Result<Answer, Unanswered> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(ODATA_VERSION, HeaderValue::from_static("4.0"));
        if question.authorized {
            match &self.token {
                Some(token) => headers.insert(TOKEN, token.clone()),
                None => headers.insert(AUTHORIZATION, self.basic.clone()),
            };
        }
        if let Some(Ok(tag)) = question.if_match.as_deref().map(HeaderValue::from_str) {
            headers.insert(IF_MATCH, tag);
        }
        let body = match &question.body {
            Body::Empty => Bytes::new(),
            Body::Json(value) => value.to_string().into(),
            Body::Login => serde_json::json!({"UserName": self.user, "Password": self.password.expose()})
                .to_string()
                .into(),
        };
        if !body.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let method = match question.method {
            Method::Get => http::Method::GET,
            Method::Post => http::Method::POST,
            Method::Patch => http::Method::PATCH,
            Method::Delete => http::Method::DELETE,
        };
        let asked = fetch::Question { method, headers, body };
        let replied =
            tokio::time::timeout(self.step_wait, self.client.exchange(&question.at, asked, watch)).await;
        let reply = replied.unwrap_or_else(|_| {
            Err(FetchError::TimedOut {
                authority: question.at.host().to_owned(),
                what: "did not answer whole",
                wait: self.step_wait,
            })
        });
        let reply = reply.map_err(unanswered)?;
        tracing::debug!(
            method = question.method.as_str(),
            url = %question.at,
            status = reply.status.as_u16(),
            bytes = reply.body.len(),
            "a controller answered"
        );
        if question.body == Body::Login && reply.status.is_success() {
            self.token = reply.headers.get(TOKEN).cloned().map(|mut token| {
                token.set_sensitive(true);
                token
            });
        }
        let text = |name: HeaderName| {
            reply.headers.get(name).and_then(|value| value.to_str().ok()).map(|value| value.trim().to_owned())
        };
        Ok(Answer {
            status: reply.status.as_u16(),
            etag: text(ETAG),
            location: text(LOCATION),
            retry_after: text(RETRY_AFTER).and_then(|text| text.parse().ok()).map(Duration::from_secs),
            has_token: question.body == Body::Login && self.token.is_some(),
            body: reply.body,
        })
    }
}

fn unanswered(error: FetchError) -> Unanswered {
    let not_connected = matches!(
        error,
        FetchError::Resolve { .. }
            | FetchError::Connect { .. }
            | FetchError::Tls { .. }
            | FetchError::NoRoots
            | FetchError::TimedOut { what: "did not connect", .. }
    );
    let final_word = matches!(
        error,
        FetchError::Tls { .. } | FetchError::NoRoots | FetchError::TooLarge { .. } | FetchError::Cancelled
    );
    Unanswered { maybe_heard: !not_connected, final_word, error }
}

async fn read_authorities(path: &Path) -> io::Result<Trust> {
    if tokio::fs::metadata(path).await?.len() > CA_BYTES_MAX {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "it is no file of certificates: it is too large",
        ));
    }
    let text = tokio::fs::read(path).await?;
    Trust::from_pem(&text).ok_or_else(|| io::Error::other("it has no certificate"))
}
