//! What an answer means for a download: pure.
//!
//! | asked for | answer | means |
//! |---|---|---|
//! | all | 200 | the file from its first byte |
//! | the rest | 206 with the range we asked for, of the file we know | the rest |
//! | the rest | 206 with anything else | the server is wrong: from the start |
//! | the rest | 200 | the file changed, or the server knows no ranges: from the start |
//! | the rest | 416 | the file became shorter: from the start |
//! | either | 301, 302, 303, 307, 308 with `Location` | elsewhere |
//! | either | anything else | refused |

use crate::part::Record;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, DATE, ETAG, LAST_MODIFIED, LOCATION, TRANSFER_ENCODING};
use http::{HeaderMap, StatusCode};

/// What we asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rest<'a> {
    /// From this byte on.
    pub(crate) from: u64,
    /// Of this file.
    pub(crate) of: &'a Record,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Write the body from the start.
    Whole(Record),
    /// Append this many bytes; the file has `length` in all.
    Append {
        /// Bytes of this body.
        bytes: u64,
        /// Bytes of the file.
        length: u64,
    },
    /// Ask there.
    Elsewhere(Vec<u8>),
    /// Ask again for all of it; the words say why.
    StartOver(Why),
    /// The length cannot be told.
    NoLength,
    /// Refused.
    Refused(StatusCode),
}

/// Why a download begins anew.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Why {
    /// Another file stands there.
    Changed,
    /// The answer fits no question of ours.
    Wrong(String),
}

pub(crate) fn judge(status: StatusCode, headers: &HeaderMap, rest: Option<Rest<'_>>) -> Verdict {
    match (status.as_u16(), rest) {
        (200, _) => whole(headers),
        (206, Some(rest)) => part(headers, rest),
        (206, None) => Verdict::StartOver(Why::Wrong("a part nobody asked for".to_owned())),
        (416, Some(_)) => Verdict::StartOver(Why::Changed),
        (301 | 302 | 303 | 307 | 308, _) => match headers.get(LOCATION) {
            Some(to) => Verdict::Elsewhere(to.as_bytes().to_vec()),
            None => Verdict::Refused(status),
        },
        _ => Verdict::Refused(status),
    }
}

fn whole(headers: &HeaderMap) -> Verdict {
    let length = text(headers, CONTENT_LENGTH).and_then(|text| text.parse::<u64>().ok());
    // A body that ends with its connection (RFC 9112 §6.3, 8) cannot be told from one that broke.
    if length.is_none() && !headers.contains_key(TRANSFER_ENCODING) {
        return Verdict::NoLength;
    }
    // Weak tags do not tell bytes apart (RFC 9110 §8.8.1); nor does a time within the second of the answer (§8.8.2.2).
    let etag = text(headers, ETAG).filter(|tag| tag.starts_with('"'));
    let last_modified = text(headers, LAST_MODIFIED).filter(|time| text(headers, DATE) != Some(time));
    Verdict::Whole(Record {
        etag: etag.map(str::to_owned),
        last_modified: last_modified.map(str::to_owned),
        length,
        ..Record::default()
    })
}

/// RFC 9110 §14.4: `bytes 10-99/100`. The length may be `*` where we know it.
fn part(headers: &HeaderMap, rest: Rest<'_>) -> Verdict {
    let wrong = |what: String| Verdict::StartOver(Why::Wrong(what));
    let Some(range) = text(headers, CONTENT_RANGE) else {
        return wrong("a part that does not say which".to_owned());
    };
    let shown: String = range.chars().take(60).collect();
    let parsed = || {
        let (span, length) = range.strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = span.split_once('-')?;
        let length = if length == "*" { rest.of.length } else { length.parse().ok() };
        Some((first.parse::<u64>().ok()?, last.parse::<u64>().ok()?, length?))
    };
    let Some((first, last, length)) = parsed() else {
        return wrong(format!("`{shown}`, which is no range"));
    };
    if first != rest.from || last < first || last >= length {
        return wrong(format!("`{shown}` in place of bytes from {}", rest.from));
    }
    if rest.of.length.is_some_and(|known| known != length) {
        return Verdict::StartOver(Why::Changed);
    }
    // It answered `If-Range` and still says it is another.
    if let (Some(own), Some(tag)) = (&rest.of.etag, text(headers, ETAG))
        && own != tag
    {
        return Verdict::StartOver(Why::Changed);
    }
    let bytes = last - first + 1;
    match text(headers, CONTENT_LENGTH).map(str::parse::<u64>) {
        Some(said) if said != Ok(bytes) => wrong(format!("`{shown}` and another length")),
        _ => Verdict::Append { bytes, length },
    }
}

fn text(headers: &HeaderMap, name: http::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn known() -> Record {
        Record { etag: Some("\"a\"".into()), length: Some(100), ..Record::default() }
    }

    fn rest(fields: &[(&'static str, &str)]) -> Verdict {
        judge(StatusCode::PARTIAL_CONTENT, &headers(fields), Some(Rest { from: 10, of: &known() }))
    }

    #[test]
    fn only_the_rest_we_asked_for_is_appended() {
        assert_eq!(rest(&[("content-range", "bytes 10-99/100")]), Verdict::Append { bytes: 90, length: 100 });
        assert_eq!(rest(&[("content-range", "bytes 10-19/*")]), Verdict::Append { bytes: 10, length: 100 });
        for wrong in [
            "bytes 0-99/100",
            "bytes 11-99/100",
            "bytes 10-100/100",
            "bytes 10-9/100",
            "10-99/100",
            "bytes */100",
            "bytes 10-99",
            "lines 10-99/100",
            "bytes 10-99/x",
            "bytes 10--99/100",
        ] {
            let verdict = rest(&[("content-range", wrong)]);
            assert!(matches!(verdict, Verdict::StartOver(Why::Wrong(_))), "{wrong}: {verdict:?}");
        }
        assert!(matches!(rest(&[]), Verdict::StartOver(Why::Wrong(_))));
        let lying = rest(&[("content-range", "bytes 10-99/100"), ("content-length", "100")]);
        assert!(matches!(lying, Verdict::StartOver(Why::Wrong(_))));
    }

    #[test]
    fn another_file_is_never_mixed_with_ours() {
        let changed = Verdict::StartOver(Why::Changed);
        assert_eq!(rest(&[("content-range", "bytes 10-199/200")]), changed);
        assert_eq!(rest(&[("content-range", "bytes 10-99/100"), ("etag", "\"b\"")]), changed);
        let record = known();
        let asked = Some(Rest { from: 10, of: &record });
        assert_eq!(judge(StatusCode::RANGE_NOT_SATISFIABLE, &HeaderMap::new(), asked), changed);
        let all = headers(&[("content-length", "100")]);
        assert!(matches!(judge(StatusCode::OK, &all, asked), Verdict::Whole(_)));
    }

    #[test]
    fn weak_validators_do_not_resume() {
        let record = |fields: &[(&'static str, &str)]| {
            let mut fields = fields.to_vec();
            fields.push(("content-length", "5"));
            match judge(StatusCode::OK, &headers(&fields), None) {
                Verdict::Whole(record) => record.if_range().map(str::to_owned),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(record(&[("etag", "\"x\"")]).as_deref(), Some("\"x\""));
        assert_eq!(record(&[("etag", "W/\"x\"")]), None);
        let (now, before) = ("Thu, 01 Jan 2026 00:00:01 GMT", "Thu, 01 Jan 2026 00:00:00 GMT");
        assert_eq!(
            record(&[("etag", "W/\"x\""), ("last-modified", before), ("date", now)]).as_deref(),
            Some(before)
        );
        assert_eq!(record(&[("last-modified", now), ("date", now)]), None);
    }

    #[test]
    fn a_body_without_an_end_is_refused() {
        assert_eq!(judge(StatusCode::OK, &HeaderMap::new(), None), Verdict::NoLength);
        let chunked = headers(&[("transfer-encoding", "chunked")]);
        assert!(matches!(judge(StatusCode::OK, &chunked, None), Verdict::Whole(_)));
        assert_eq!(judge(StatusCode::NO_CONTENT, &chunked, None), Verdict::Refused(StatusCode::NO_CONTENT));
        assert_eq!(judge(StatusCode::FOUND, &chunked, None), Verdict::Refused(StatusCode::FOUND));
    }
}
