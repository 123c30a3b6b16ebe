//! One try of a webhook: a POST, signed, to one address and no further.

use crate::Try;
use crate::brain::{Verdict, judge};
use crate::limits::{ANSWER_BYTES_MAX, RETRY_AFTER_MAX};
use crate::payload::Ready;
use crate::sign::signature;
use bytes::Bytes;
use fetch::{Client, FetchError, Limits, Location, Question, Trust};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use power::spec::{SecretRef, TrustSpec};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use types::EventName;

/// An address, and what is kept between tries: whom is trusted, until a try fails.
pub(crate) struct Web<'a> {
    pub(crate) at: &'a Location,
    pub(crate) secret: Option<&'a SecretRef>,
    pub(crate) trust: &'a TrustSpec,
    pub(crate) timeout: Duration,
}

/// Tells it once.
pub(crate) async fn deliver(
    web: &Web<'_>,
    kept: &mut Option<Arc<Client>>,
    event: EventName,
    delivery: &str,
    ready: Ready,
) -> Try {
    let all = async {
        let client = match kept.take() {
            Some(client) => client,
            None => Arc::new(client(web).await?),
        };
        let question = question(web, event, delivery, ready).await?;
        let answer = client.exchange(web.at, question, &mut power::Unwatched).await.map_err(failed)?;
        *kept = Some(client);
        Ok(answer)
    };
    let answer = match tokio::time::timeout(web.timeout, all).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(failed)) => return failed,
        Err(_) => {
            let words = format!("no answer within {} s", web.timeout.as_secs_f32());
            return Try::new(Verdict::Again(None), "server_silent", words);
        }
    };
    let status = answer.status.as_u16();
    let verdict = judge(status, retry_after(&answer.headers, SystemTime::now()));
    let reason = match status {
        200..=299 => "delivered",
        300..=399 => "redirect_refused",
        _ => "server_refused",
    };
    let more = if reason == "redirect_refused" { "; redirects are not followed" } else { "" };
    Try::new(verdict, reason, format!("it answers {}{more}", answer.status))
}

/// Waits are bounded by the whole, too.
async fn client(web: &Web<'_>) -> Result<Client, Try> {
    let limits =
        Limits { connect_wait: web.timeout, stall_wait: web.timeout, ..Limits::usual(ANSWER_BYTES_MAX) };
    let trust = match web.trust {
        // Nobody is asked for a certificate.
        _ if !web.at.is_secure() => Trust::Anyone,
        TrustSpec::System => Trust::System,
        TrustSpec::Sha256(pin) => Trust::Pinned(pin.0),
        TrustSpec::Insecure => Trust::Anyone,
        TrustSpec::CaFile(path) => {
            let told = |what: String| {
                Try::new(Verdict::Again(None), "no_trust", format!("the CA file {}: {what}", path.display()))
            };
            let text = tokio::fs::read(path).await.map_err(|error| told(error.to_string()))?;
            Trust::from_pem(&text).ok_or_else(|| told("it has no certificate in it".to_owned()))?
        }
    };
    Client::new(&trust, limits).map_err(failed)
}

async fn question(web: &Web<'_>, event: EventName, delivery: &str, ready: Ready) -> Result<Question, Try> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(ready.content_type));
    let timestamp = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut own = vec![
        ("reveille-event", event.as_str().to_owned()),
        ("reveille-delivery", delivery.to_owned()),
        ("reveille-timestamp", timestamp.to_string()),
    ];
    if let Some(from) = web.secret {
        let secret = power::secret::read(from).await.map_err(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            Try::new(Verdict::Again(None), "no_secret", format!("{error}: {cause}"))
        })?;
        let made = signature(secret.expose().as_bytes(), timestamp, ready.body.as_bytes());
        own.push(("reveille-signature", made));
    }
    for (name, value) in own {
        let value = HeaderValue::try_from(value)
            .map_err(|_| Try::new(Verdict::Never, "template", "a field cannot be written"))?;
        headers.insert(HeaderName::from_static(name), value);
    }
    Ok(Question { method: Method::POST, headers, body: Bytes::from(ready.body) })
}

/// In our words: those of a download may have the path of the address, and some addresses are secrets by their path.
fn failed(error: FetchError) -> Try {
    if let FetchError::TooLarge { .. } = error {
        let words = format!("its answer is larger than {ANSWER_BYTES_MAX} bytes");
        return Try::new(Verdict::Never, "too_large", words);
    }
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(deeper) = cause {
        words = format!("{words}: {deeper}");
        cause = deeper.source();
    }
    Try::new(Verdict::Again(None), error.reason(), words)
}

/// Seconds, or a date (RFC 9110 §10.2.3). What cannot be read says nothing.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let asked = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(asked.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_to_come_back_is_read_as_seconds_or_date() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let read = |text: &'static str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
            retry_after(&headers, now).map(|asked| asked.as_secs())
        };
        assert_eq!(read("120"), Some(120));
        assert_eq!(read("Sun, 06 Nov 1994 08:50:37 GMT"), Some(60));
        assert_eq!(read("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
        assert_eq!(read("18446744073709551615"), Some(RETRY_AFTER_MAX.as_secs()));
        for text in ["soon", "-1", "1.5", "99999999999999999999999", ""] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
