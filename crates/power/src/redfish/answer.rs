//! What came back, and what can be taken from it: JSON objects, links, messages. Nothing in it is believed to have a shape.

use crate::limits::TEXT_CHARS_MAX;
use fetch::FetchError;
use serde_json::{Map, Value};
use std::time::Duration;

/// An answer with any status. A session's token is not in it: the hand keeps it and says that there was one.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `ETag`.
    pub etag: Option<String>,
    /// `Location`.
    pub location: Option<String>,
    /// `Retry-After` in its form of seconds (RFC 9110 §10.2.3); a date is not read.
    pub retry_after: Option<Duration>,
    /// There was an `X-Auth-Token`.
    pub has_token: bool,
    /// The body, whole.
    pub body: Vec<u8>,
}

/// No answer.
#[derive(Debug)]
pub struct Unanswered {
    /// The service may have seen the question all the same.
    pub maybe_heard: bool,
    /// Another try is of no use.
    pub final_word: bool,
    /// What happened.
    pub error: FetchError,
}

/// What is wrong with an answer, in words: `is no JSON`.
pub(crate) type Flaw = &'static str;

impl Answer {
    pub(crate) fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as a JSON object. serde_json bounds the depth, [`crate::limits::ANSWER_BYTES_MAX`] the size.
    pub(crate) fn object(&self) -> Result<Map<String, Value>, Flaw> {
        match serde_json::from_slice(&self.body) {
            Ok(Value::Object(object)) => Ok(object),
            Ok(_) => Err("is JSON and no object"),
            Err(_) => Err("is no JSON"),
        }
    }

    /// What the service says of a failure (DSP0266, error responses): its extended messages, of which some have the id
    /// alone, or the one text, or nothing.
    pub(crate) fn message(&self) -> Option<String> {
        let object = self.object().ok()?;
        let error = object.get("error").and_then(Value::as_object).unwrap_or(&object);
        let extended = error.get("@Message.ExtendedInfo").and_then(Value::as_array);
        let mut said: Vec<String> = extended
            .into_iter()
            .flatten()
            .take(8)
            .filter_map(|info| text(info.get("Message").or_else(|| info.get("MessageId"))?))
            .collect();
        said.dedup();
        said.truncate(2);
        if said.is_empty() {
            said.extend(error.get("message").and_then(text));
        }
        let joined = said.join(" ");
        (!joined.is_empty()).then_some(joined)
    }
}

/// A text of the service as it may be shown: one line, bounded; `None` when nothing is left.
pub(crate) fn text(value: &Value) -> Option<String> {
    let text: String = value
        .as_str()?
        .chars()
        .map(|char| if char.is_control() { ' ' } else { char })
        .take(TEXT_CHARS_MAX)
        .collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The link in `{"@odata.id": "…"}`.
pub(crate) fn link(value: Option<&Value>) -> Option<String> {
    value?.get("@odata.id")?.as_str().map(str::to_owned)
}

/// Texts of a list; others are left out.
pub(crate) fn texts(value: Option<&Value>) -> Vec<String> {
    value.and_then(Value::as_array).into_iter().flatten().take(64).filter_map(text).collect()
}

/// An entity tag as it goes into `If-Match`: `"…"` or `W/"…"` (RFC 9110 §8.8.3), bounded, without what would end the field.
pub(crate) fn etag(text: &str) -> Option<String> {
    let text = text.trim();
    let opaque = text.strip_prefix("W/").unwrap_or(text);
    let inner = opaque.strip_prefix('"')?.strip_suffix('"')?;
    let plain = inner.len() <= TEXT_CHARS_MAX && inner.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x7e));
    plain.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &str) -> Answer {
        Answer { status: 400, body: body.as_bytes().to_vec(), ..Answer::default() }
    }

    #[test]
    fn only_an_object_is_an_answer() {
        for (body, flaw) in [
            ("", "is no JSON"),
            ("<html>", "is no JSON"),
            ("{\"a\":", "is no JSON"),
            ("[1]", "is JSON and no object"),
            ("null", "is JSON and no object"),
            (&"[".repeat(100_000), "is no JSON"),
            (&"{\"a\":".repeat(100_000), "is no JSON"),
        ] {
            assert_eq!(answer(body).object(), Err(flaw));
        }
        assert!(answer("{}").object().is_ok());
        assert!(Answer { body: vec![0xff, 0xfe], ..answer("") }.object().is_err());
    }

    #[test]
    fn a_failure_is_told_in_the_service_s_words() {
        let info = |message: &str| format!(r#"{{"MessageId":"x","Message":{message}}}"#);
        let wrap = |infos: &str| {
            format!(r#"{{"error":{{"code":"c","message":"see below","@Message.ExtendedInfo":[{infos}]}}}}"#)
        };
        for (body, said) in [
            (wrap(&info("\"No.\"")), Some("No.")),
            (wrap(&format!("{},{}", info("\"No.\""), info("\"No.\""))), Some("No.")),
            (wrap(&format!("{},{},{}", info("\"A\""), info("\"B\""), info("\"C\""))), Some("A B")),
            (wrap("{\"MessageId\":\"iLO.0.10.X\"},7,null"), Some("iLO.0.10.X")),
            (wrap("7,null"), Some("see below")),
            (wrap(&info("\"a\\nb\\u001b[31m\"")), Some("a b [31m")),
            ("{}".to_owned(), None),
            ("{\"error\":7}".to_owned(), None),
            ("<h1>Bad Request</h1>".to_owned(), None),
        ] {
            assert_eq!(answer(&body).message().as_deref(), said, "{body}");
        }
        let long = wrap(&info(&format!("\"{}\"", "x".repeat(10_000))));
        assert_eq!(answer(&long).message().unwrap().len(), TEXT_CHARS_MAX);
    }

    #[test]
    fn an_entity_tag_goes_back_as_it_came_or_not_at_all() {
        for good in ["\"a\"", "W/\"1682532272\"", "\"\""] {
            assert_eq!(etag(good).as_deref(), Some(good));
        }
        for bad in
            ["", "abc", "\"", "\"a\r\nX: y\"", "\"a\"b\"", "w/\"a\"", &format!("\"{}\"", "a".repeat(300))]
        {
            assert_eq!(etag(bad), None, "{bad:?}");
        }
    }
}
